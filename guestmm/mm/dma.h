/* DMA API: memory that devices can reach, and the rules for who owns it when. [D1] */
#ifndef MM_DMA_H
#define MM_DMA_H
#include "mm/gfp.h"
#include "mm/page.h"

typedef u64 dma_addr_t;
#define DMA_MAPPING_ERROR (~(dma_addr_t)0)
#define DMA_BIT_MASK(n)	  ((n) == 64 ? ~0ull : (1ull << (n)) - 1)
enum dma_data_direction { DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_NONE };

struct device {
	const char *name;
	u64 dma_mask, coherent_dma_mask;
	u64 mappings; /* live streaming mappings: leaks show at device removal */
};
/** Returns 0 or -EIO when no zone can serve the mask. */
int dma_set_mask_and_coherent(struct device *dev, u64 mask);
void *dma_alloc_coherent(struct device *dev, size_t size, dma_addr_t *handle, gfp_t gfp);
void dma_free_coherent(struct device *dev, size_t size, void *cpu, dma_addr_t handle);
/** DMA_MAPPING_ERROR when the buffer is beyond the mask (no bounce buffers in this form). */
dma_addr_t dma_map_single(struct device *dev, void *ptr, size_t size, enum dma_data_direction dir);
void dma_unmap_single(struct device *dev, dma_addr_t h, size_t size, enum dma_data_direction dir);
dma_addr_t dma_map_page(struct device *dev, struct page *p, size_t off, size_t size,
			enum dma_data_direction dir);
void dma_unmap_page(struct device *dev, dma_addr_t h, size_t size, enum dma_data_direction dir);
struct scatterlist {
	struct page *page;
	u32 offset, length;
	dma_addr_t dma_address;
};
int dma_map_sg(struct device *dev, struct scatterlist *sg, int n,
	       enum dma_data_direction dir); /* n or 0 */
void dma_unmap_sg(struct device *dev, struct scatterlist *sg, int n, enum dma_data_direction dir);
void dma_sync_single_for_cpu(struct device *dev, dma_addr_t h, size_t size,
			     enum dma_data_direction dir);
void dma_sync_single_for_device(struct device *dev, dma_addr_t h, size_t size,
				enum dma_data_direction dir);
/** Misuse found so far (double unmap, wrong size or direction, leak): each printed once, all
 * counted. */
u64 dma_debug_errors(void);
#endif
