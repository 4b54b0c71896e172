/*
 * DMA pools: coherent blocks of one size, for devices that need many small ones.
 *
 *   pool -> page (4 KiB, coherent)        a free block holds the link to the next free one
 *             | block | block | block |   pool->free -> block -> block -> ...
 *
 * Pages stay with the pool until it is destroyed; all pages share one free list, last in first out, so that a block
 * that is still in the CPU's cache is reused first. The first words of a free block hold the link: a device that
 * writes to a freed block breaks the list, and the check at allocation (DP1) catches the usual cases.
 *
 * DP1: a free link is NULL or points at a block boundary of one of the pool's pages.
 *
 * Lock: pool->lock, innermost but for the console.
 */
#include "lib/errno.h"
#include "lib/list.h"
#include "lib/string.h"
#include "mm/dma/dma.h"
#include "mm/slab/slab.h"

struct dma_block {
	struct dma_block *next;
	dma_addr_t handle;
};

struct dma_pool_page {
	struct list_head node;
	u8 *cpu;
	dma_addr_t handle;
};

struct dma_pool {
	spinlock_t lock;
	struct device *dev;
	size_t size;		/* C: bytes from block to block */
	struct list_head pages; /* lock */
	struct dma_block *free; /* lock */
	u64 in_use;		/* lock: blocks in use */
	char name[32];
};

struct dma_pool *dma_pool_create(const char *name, struct device *dev, size_t size, size_t align)
{
	struct dma_pool *pool;

	if (!align || align & (align - 1) || align > PAGE_SIZE || !size || size > PAGE_SIZE)
		return NULL;
	size = ALIGN_UP(max(size, sizeof(struct dma_block)), max(align, (size_t)8));
	if (size > PAGE_SIZE)
		return NULL;
	pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	if (!pool)
		return NULL;
	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->pages);
	pool->dev = dev;
	pool->size = size;
	strscpy(pool->name, name, sizeof(pool->name));
	return pool;
}

int dma_pool_destroy(struct dma_pool *pool)
{
	struct dma_pool_page *page, *next;

	if (pool->in_use) {
		printk("DMA pool %s: destroyed with %lu blocks in use\n", pool->name,
		       (unsigned long)pool->in_use);
		return -EBUSY;
	}
	list_for_each_entry_safe (page, next, &pool->pages, node) {
		list_del(&page->node);
		dma_free_coherent(pool->dev, PAGE_SIZE, page->cpu, page->handle);
		kfree(page);
	}
	kfree(pool);
	return 0;
}

/** DP1 for one block; lock held. */
static bool block_of_pool(const struct dma_pool *pool, const void *block)
{
	const struct dma_pool_page *page;

	list_for_each_entry (page, &pool->pages, node) {
		size_t off = (const u8 *)block - page->cpu;

		if (off < PAGE_SIZE)
			return off % pool->size == 0 && off + pool->size <= PAGE_SIZE;
	}
	return false;
}

/** Another page of blocks. Returns 0 or -ENOMEM. Takes the lock itself. */
static int pool_grow(struct dma_pool *pool, gfp_t gfp)
{
	struct dma_pool_page *page = kmalloc(sizeof(*page), gfp);
	unsigned long flags;

	if (!page)
		return -ENOMEM;
	page->cpu = dma_alloc_coherent(pool->dev, PAGE_SIZE, &page->handle, gfp);
	if (!page->cpu) {
		kfree(page);
		return -ENOMEM;
	}
	flags = spin_lock_irqsave(&pool->lock);
	list_add(&page->node, &pool->pages);
	for (size_t off = 0; off + pool->size <= PAGE_SIZE; off += pool->size) {
		struct dma_block *b = (struct dma_block *)(page->cpu + off);

		b->next = pool->free;
		b->handle = page->handle + off;
		pool->free = b;
	}
	spin_unlock_irqrestore(&pool->lock, flags);
	return 0;
}

void *dma_pool_alloc(struct dma_pool *pool, gfp_t gfp, dma_addr_t *handle)
{
	struct dma_block *b;
	unsigned long flags;

	for (;;) {
		flags = spin_lock_irqsave(&pool->lock);
		b = pool->free;
		if (b)
			break;
		spin_unlock_irqrestore(&pool->lock, flags);
		if (pool_grow(pool, gfp))
			return NULL;
	}
	if (unlikely(b->next && !block_of_pool(pool, b->next)))
		panic("DMA pool %s: block %p was written to while free (DP1)", pool->name, b);
	pool->free = b->next;
	pool->in_use++;
	*handle = b->handle;
	spin_unlock_irqrestore(&pool->lock, flags);
	return b;
}

void dma_pool_free(struct dma_pool *pool, void *cpu, dma_addr_t handle)
{
	struct dma_block *b = cpu;
	unsigned long flags = spin_lock_irqsave(&pool->lock);

	if (unlikely(!block_of_pool(pool, cpu)))
		panic("DMA pool %s: freed block %p is not of this pool", pool->name, cpu);
	b->next = pool->free;
	b->handle = handle;
	pool->free = b;
	pool->in_use--;
	spin_unlock_irqrestore(&pool->lock, flags);
}
