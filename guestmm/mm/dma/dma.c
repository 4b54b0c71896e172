/*
 * DMA mappings. Device addresses are physical addresses here, so a mapping only checks its arguments, unless it
 * needs a bounce buffer.
 *
 *   mask       memory that the device can reach
 *   < 24 bits  none: dma_set_mask_and_coherent() returns -EIO
 *   < 32 bits  ZONE_DMA    (below 16 MiB)
 *   < RAM's    ZONE_DMA32  (below 4 GiB)
 *   else       any zone
 *
 * A streaming mapping of memory beyond the mask gets a bounce buffer, if there is a pool (swiotlb.c).
 *
 * The CPU's caches are coherent with devices on x86, so a sync only checks the call and copies to and from
 * bounce buffers.
 *
 * D1: no address given to a device lies, with its whole length, beyond the device's mask.
 * D2: dev->mappings is the number of streaming mappings not yet unmapped.
 * D3: only frames with a struct page are mapped: vmalloc memory (thread stacks!) and the kernel
 *     image are refused, because their pages need not be contiguous or writable.
 *
 * No locks: nothing is shared but an atomic count; the checker has its own.
 */
#include "lib/errno.h"
#include "lib/fail.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/dma/dma_debug.h"
#include "mm/dma/swiotlb.h"
#include "mm/phys/memblock.h"
#include "mm/move/contig.h"
#include "mm/phys/zone.h"

static bool fits_mask(u64 mask, phys_addr_t pa, size_t size)
{
	return size && pa <= mask && size - 1 <= mask - pa;
}

/** Zone modifier for memory within `mask`. [pure] */
static gfp_t dma_gfp(u64 mask, phys_addr_t ram_end)
{
	if (mask >= ram_end - 1)
		return 0;
	return mask >= DMA_BIT_MASK(32) ? __GFP_DMA32 : __GFP_DMA;
}

int dma_set_mask_and_coherent(struct device *dev, u64 mask)
{
	if (mask < min((u64)DMA_BIT_MASK(24), memblock_end() - 1))
		return -EIO;
	dev->dma_mask = mask;
	dev->coherent_dma_mask = mask;
	return 0;
}

static unsigned int size_order(size_t size)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < size)
		order++;
	return order;
}

/* The tail of a block that is no power of two was freed when it was allocated: free the rest page by page. */
static void free_coherent_pages(struct page *page, size_t nr)
{
	unsigned int order = size_order(nr << PAGE_SHIFT);

	if (1ul << order == nr) {
		__free_pages(page, order);
		return;
	}
	for (size_t i = 0; i < nr; i++)
		__free_page(page + i);
}

static struct page *alloc_coherent_pages(gfp_t gfp, size_t nr)
{
	unsigned int order = size_order(nr << PAGE_SHIFT);
	struct page *page;

	if (order >= NR_ORDERS)
		return NULL;
	page = alloc_pages_type(gfp, order, PAGE_DMA);
	if (page && 1ul << order != nr) {
		split_page(page, order);
		for (size_t i = 0; i < nr; i++)
			page[i].type = PAGE_DMA;
		for (size_t i = nr; i < 1ul << order; i++)
			__free_page(page + i);
	}
	return page;
}

void *dma_alloc_coherent(struct device *dev, size_t size, dma_addr_t *handle, gfp_t gfp)
{
	u64 mask = dev->coherent_dma_mask;
	size_t nr = size / PAGE_SIZE + !!(size % PAGE_SIZE);
	struct page *page;

	if (!size)
		return NULL;
	gfp &= ~(__GFP_DMA | __GFP_DMA32 | __GFP_HIGHMEM | __GFP_MOVABLE);
	page = alloc_coherent_pages(gfp | __GFP_ZERO | dma_gfp(mask, memblock_end()), nr);
	if (!page)
		return NULL;
	if (!fits_mask(mask, page_to_phys(page), size)) {
		/* The mask lies between the limits of two zones, and the zone returned memory beyond it. */
		free_coherent_pages(page, nr);
		return NULL;
	}
	*handle = page_to_phys(page);
	if (unlikely(dma_debug))
		dma_debug_add(dev, DMA_DEBUG_COHERENT, *handle, size, DMA_BIDIRECTIONAL);
	return page_address(page);
}

#define CONTIGUOUS_ALIGN_ORDER \
	8u /* as Linux's CONFIG_CMA_ALIGNMENT: larger ones are not aligned more */

struct page *dma_alloc_contiguous(struct device *dev, size_t size, gfp_t gfp)
{
	size_t nr = size / PAGE_SIZE + !!(size % PAGE_SIZE);
	struct page *page;

	if (!size || !(gfp & __GFP_DIRECT_RECLAIM))
		return NULL;
	page = cma_alloc(nr, min(size_order(size), CONTIGUOUS_ALIGN_ORDER));
	if (page && !fits_mask(dev->coherent_dma_mask, page_to_phys(page), size)) {
		cma_release(page, nr);
		return NULL;
	}
	return page;
}

bool dma_release_from_contiguous(struct device *dev, struct page *pages, size_t count)
{
	return cma_release(pages, count);
}

void dma_free_coherent(struct device *dev, size_t size, void *cpu, dma_addr_t handle)
{
	if (!cpu)
		return;
	if (unlikely(dma_debug) &&
	    !dma_debug_remove(dev, DMA_DEBUG_COHERENT, handle, size, DMA_BIDIRECTIONAL))
		return;
	free_coherent_pages(virt_to_page(cpu), size / PAGE_SIZE + !!(size % PAGE_SIZE));
}

static dma_addr_t map_phys(struct device *dev, phys_addr_t pa, size_t size,
			   enum dma_data_direction dir)
{
	if (should_fail(FAIL_DMA_MAP))
		return DMA_MAPPING_ERROR;
	if (unlikely(!fits_mask(dev->dma_mask, pa, size))) {
		pa = swiotlb_map(dev, pa, size);
		if (pa == DMA_MAPPING_ERROR)
			return DMA_MAPPING_ERROR;
	}
	atomic_add(&dev->mappings, 1);
	if (unlikely(dma_debug))
		dma_debug_add(dev, DMA_DEBUG_STREAMING, pa, size, dir);
	return pa;
}

static void unmap_phys(struct device *dev, dma_addr_t h, size_t size, enum dma_data_direction dir)
{
	if (unlikely(dma_debug) && !dma_debug_remove(dev, DMA_DEBUG_STREAMING, h, size, dir))
		return;
	if (unlikely(is_swiotlb_addr(h)))
		swiotlb_unmap(h, size, dir);
	atomic_sub(&dev->mappings, 1);
}

dma_addr_t dma_map_single(struct device *dev, void *ptr, size_t size, enum dma_data_direction dir)
{
	phys_addr_t pa = __pa(ptr);

	/* Addresses outside the direct map wrap to frames that do not exist. */
	if (unlikely(dir >= DMA_NONE || !size || !pfn_valid(pa >> PAGE_SHIFT) ||
		     !pfn_valid((pa + size - 1) >> PAGE_SHIFT))) {
		dma_debug_bad_map(dev, ptr, size,
				  dir >= DMA_NONE ? "no direction"
				  : !size	  ? "no length"
						  : "not a buffer of the direct map");
		return DMA_MAPPING_ERROR;
	}
	return map_phys(dev, pa, size, dir);
}

void dma_unmap_single(struct device *dev, dma_addr_t h, size_t size, enum dma_data_direction dir)
{
	unmap_phys(dev, h, size, dir);
}

dma_addr_t dma_map_page(struct device *dev, struct page *p, size_t off, size_t size,
			enum dma_data_direction dir)
{
	if (unlikely(dir >= DMA_NONE || !size)) {
		dma_debug_bad_map(dev, p, size, dir >= DMA_NONE ? "no direction" : "no length");
		return DMA_MAPPING_ERROR;
	}
	return map_phys(dev, page_to_phys(p) + off, size, dir);
}

void dma_unmap_page(struct device *dev, dma_addr_t h, size_t size, enum dma_data_direction dir)
{
	unmap_phys(dev, h, size, dir);
}

int dma_map_sg(struct device *dev, struct scatterlist *sg, int n, enum dma_data_direction dir)
{
	for (int i = 0; i < n; i++) {
		sg[i].dma_address = dma_map_page(dev, sg[i].page, sg[i].offset, sg[i].length, dir);
		if (unlikely(sg[i].dma_address == DMA_MAPPING_ERROR)) {
			dma_unmap_sg(dev, sg, i, dir);
			return 0;
		}
	}
	return n;
}

void dma_unmap_sg(struct device *dev, struct scatterlist *sg, int n, enum dma_data_direction dir)
{
	for (int i = 0; i < n; i++)
		unmap_phys(dev, sg[i].dma_address, sg[i].length, dir);
}

void dma_sync_single_for_cpu(struct device *dev, dma_addr_t h, size_t size,
			     enum dma_data_direction dir)
{
	if (unlikely(dma_debug))
		dma_debug_sync(dev, h, size, dir);
	if (unlikely(is_swiotlb_addr(h)))
		swiotlb_sync_for_cpu(h, size, dir);
	barrier();
}

void dma_sync_single_for_device(struct device *dev, dma_addr_t h, size_t size,
				enum dma_data_direction dir)
{
	if (unlikely(dma_debug))
		dma_debug_sync(dev, h, size, dir);
	if (unlikely(is_swiotlb_addr(h)))
		swiotlb_sync_for_device(h, size, dir);
	barrier();
}
