/*
 * swiotlb: bounce buffers for devices that cannot reach a page.
 *
 * Only mm/dma/ and boot include this; drivers use the DMA API, which bounces when it has to.
 */
#ifndef MM_SWIOTLB_H
#define MM_SWIOTLB_H
#include "mm/dma/dma.h"

/** Read swiotlb=SLOTS (of 2 KiB) and take that memory, low enough for every device. *why is empty, or says
 * what is wrong with the option. Boot, before the zones are made. */
void swiotlb_reserve(const char *option, char *why, size_t why_size);
/** Make the table of slots. Boot, once there is kmalloc(). */
void swiotlb_init(void);

/** A bounce buffer with a copy of [pa, pa + size). DMA_MAPPING_ERROR: no pool, none of it within the mask, `size`
 * above 256 KiB, or the pool is full. Any context. */
dma_addr_t swiotlb_map(const struct device *dev, phys_addr_t pa, size_t size);
/** The device is done: copy back what it may have written, and free the buffer. */
void swiotlb_unmap(dma_addr_t addr, size_t size, enum dma_data_direction dir);
/** Copy a part of a mapping from the bounce buffer to the driver's page, or back. */
void swiotlb_sync_for_cpu(dma_addr_t addr, size_t size, enum dma_data_direction dir);
void swiotlb_sync_for_device(dma_addr_t addr, size_t size, enum dma_data_direction dir);

extern phys_addr_t swiotlb_base; /* C after boot */
extern u64 swiotlb_bytes;	 /* C after boot; 0: there is no pool */
/** Is it an address in a bounce buffer? */
static inline bool is_swiotlb_addr(dma_addr_t addr)
{
	return addr - swiotlb_base < swiotlb_bytes;
}

/** Slots: of the pool, in use, in use at most. */
u64 swiotlb_nr_slots(void);
u64 swiotlb_used(void);
u64 swiotlb_used_hiwater(void);
struct mmvm_audit_swiotlb;
void swiotlb_audit_layout(struct mmvm_audit_swiotlb *a);
#endif
