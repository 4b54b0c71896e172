/* Between dma.c and dma_debug.c: the calls that dma.c makes when dma_debug is on. */
#ifndef MM_DMA_DEBUG_H
#define MM_DMA_DEBUG_H
#include "mm/dma/dma.h"

enum dma_debug_kind { DMA_DEBUG_STREAMING, DMA_DEBUG_COHERENT };

/** A mapping or coherent block was made. */
void dma_debug_add(struct device *dev, enum dma_debug_kind kind, dma_addr_t addr, size_t size,
		   enum dma_data_direction dir);
/** A mapping or block is about to be removed: check that it exists and that the arguments match. Returns false if
 * it does not exist; then the caller does not change its counts or free the memory. */
bool dma_debug_remove(struct device *dev, enum dma_debug_kind kind, dma_addr_t addr, size_t size,
		      enum dma_data_direction dir);
/** A sync of [addr, addr + size). */
void dma_debug_sync(struct device *dev, dma_addr_t addr, size_t size, enum dma_data_direction dir);
/** A mapping that was refused because the caller must not make it. */
void dma_debug_bad_map(struct device *dev, const void *ptr, size_t size, const char *why);
#endif
