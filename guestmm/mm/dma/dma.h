/*
 * DMA API: memory that devices can reach, and the rules for when the CPU or the device owns it.
 *
 * A coherent block may be used by both sides at any time. A streaming mapping hands a buffer to the
 * device from map to unmap; in between the CPU looks at it only after dma_sync_*_for_cpu and gives
 * it back by dma_sync_*_for_device.
 */
#ifndef MM_DMA_H
#define MM_DMA_H
#include "mm/phys/gfp.h"
#include "mm/phys/page.h"

typedef u64 dma_addr_t;
#define DMA_MAPPING_ERROR (~(dma_addr_t)0)
#define DMA_BIT_MASK(n)	  (~0ull >> (64 - (n))) /* n from 1 to 64 */
enum dma_data_direction { DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_NONE };

struct device {
	const char *name;
	u64 dma_mask, coherent_dma_mask;
	u64 mappings; /* live streaming mappings; atomic */
};

/** Returns 0 or -EIO when no zone can serve the mask. */
int dma_set_mask_and_coherent(struct device *dev, u64 mask);
/** Zeroed, physically contiguous, within the coherent mask; *handle is its address for the device.
 * NULL if no memory. Sleeps only as `gfp` allows. */
void *dma_alloc_coherent(struct device *dev, size_t size, dma_addr_t *handle, gfp_t gfp);
void dma_free_coherent(struct device *dev, size_t size, void *cpu, dma_addr_t handle);
/** Physically contiguous pages from the CMA area (cma=), within the coherent mask, not zeroed; larger than the
 * buddy allocator can give. NULL: there is no area, it is too full, it lies beyond the mask, or gfp lacks
 * __GFP_DIRECT_RECLAIM. Sleeps. */
struct page *dma_alloc_contiguous(struct device *dev, size_t size, gfp_t gfp);
/** Free pages of dma_alloc_contiguous(). Returns false if they do not belong to the CMA area. */
bool dma_release_from_contiguous(struct device *dev, struct page *pages, size_t count);
/** Hand a direct-map buffer (kmalloc, pages; not vmalloc, stack or kernel image) to the device. DMA_MAPPING_ERROR:
 * it is no such buffer, or it lies beyond the mask and there is no bounce buffer for it. Any context. */
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
/** All or nothing: returns n or 0. */
int dma_map_sg(struct device *dev, struct scatterlist *sg, int n, enum dma_data_direction dir);
void dma_unmap_sg(struct device *dev, struct scatterlist *sg, int n, enum dma_data_direction dir);
void dma_sync_single_for_cpu(struct device *dev, dma_addr_t h, size_t size,
			     enum dma_data_direction dir);
void dma_sync_single_for_device(struct device *dev, dma_addr_t h, size_t size,
				enum dma_data_direction dir);

/* Pools: many small coherent blocks of one size, cut from pages. */
struct dma_pool;
/** Blocks of `size` bytes, aligned to `align` (a power of two), none across a page. NULL on bad
 * sizes or no memory. May sleep. */
struct dma_pool *dma_pool_create(const char *name, struct device *dev, size_t size, size_t align);
/** Destroy a pool. All blocks must have been freed; otherwise it returns -EBUSY and keeps the pool. */
int dma_pool_destroy(struct dma_pool *pool);
/** One block, its contents unspecified. NULL if no memory. */
void *dma_pool_alloc(struct dma_pool *pool, gfp_t gfp, dma_addr_t *handle);
void dma_pool_free(struct dma_pool *pool, void *cpu, dma_addr_t handle);

/* Checking (mm/dma/dma_debug.c), switched on once at boot by `dma_debug`, before the first mapping. */
extern bool dma_debug;
/** Switch on. Returns 0 or -ENOMEM. May sleep. */
int dma_debug_init(void);
/** Misuse found so far (double unmap, wrong size or direction, leak ...): the first of each kind
 * is printed, all are counted. */
u64 dma_debug_errors(void);
/** The device is removed: each mapping or allocation that it still has is an error. Returns how
 * many. */
unsigned int dma_debug_check_leaks(struct device *dev);
#endif
