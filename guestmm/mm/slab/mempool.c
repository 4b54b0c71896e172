/*
 * Memory pools.
 *
 * Some paths must make progress when the allocator cannot: writing a page out frees memory, so the request that
 * writes it must not wait for memory. A pool sets `min_nr` elements aside. Allocation asks the allocator first and
 * uses the reserve only when that fails; freeing refills the reserve first.
 *
 * I1  0 <= curr_nr <= min_nr, and elements[0..curr_nr) are free elements.
 * I2  A sleeper is woken for every element that reaches the reserve: an element is put there under
 * the lock before the wake-up, and a sleeper looks at curr_nr after it has queued itself.
 *
 * So with at most min_nr elements out at a time for bounded use, mempool_alloc() never waits for
 * memory. Lock: pool->lock (interrupts off), innermost.
 */
#include "mm/slab/mempool.h"
#include "mm/phys/alloc.h"

static void *take_reserved(struct mempool *pool)
{
	unsigned long flags = spin_lock_irqsave(&pool->lock);
	void *element = NULL;

	if (pool->curr_nr) {
		element = pool->elements[--pool->curr_nr];
		pool->nr_from_reserve++;
	}
	spin_unlock_irqrestore(&pool->lock, flags);
	return element;
}

static void free_reserve(struct mempool *pool)
{
	while (pool->curr_nr)
		pool->free(pool->elements[--pool->curr_nr], pool->pool_data);
	kfree(pool->elements);
	kfree(pool);
}

struct mempool *mempool_create(unsigned int min_nr, mempool_alloc_fn alloc, mempool_free_fn free,
			       void *pool_data)
{
	struct mempool *pool = kzalloc(sizeof(*pool), GFP_KERNEL);

	if (!pool)
		return NULL;
	pool->elements = kcalloc(min_nr, sizeof(void *), GFP_KERNEL);
	if (!pool->elements) {
		kfree(pool);
		return NULL;
	}
	spin_lock_init(&pool->lock);
	wait_queue_init(&pool->wait);
	pool->min_nr = min_nr;
	pool->alloc = alloc;
	pool->free = free;
	pool->pool_data = pool_data;
	while (pool->curr_nr < min_nr) {
		void *element = alloc(GFP_KERNEL, pool_data);

		if (!element) {
			free_reserve(pool);
			return NULL;
		}
		pool->elements[pool->curr_nr++] = element;
	}
	return pool;
}

void mempool_destroy(struct mempool *pool)
{
	if (!pool)
		return;
	BUG_ON(pool->curr_nr != pool->min_nr); /* an element is still out */
	free_reserve(pool);
}

void *mempool_alloc(struct mempool *pool, gfp_t gfp)
{
	/* The pool's reserve is the fallback: the allocator need not try hard, use its own reserves, or warn. */
	gfp_t gentle = (gfp | __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN) &
		       ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL);
	void *element = pool->alloc(gentle, pool->pool_data);

	if (!element)
		element = take_reserved(pool);
	if (element || !(gfp & __GFP_DIRECT_RECLAIM))
		return element;

	/* The reserve is empty: now reclaim is worth its cost. If that fails too, wait until elements in use are
	 * freed. */
	element =
		pool->alloc((gfp | __GFP_NOMEMALLOC | __GFP_NORETRY | __GFP_NOWARN) & ~__GFP_NOFAIL,
			    pool->pool_data);
	if (!element)
		wait_event(&pool->wait, (element = take_reserved(pool)) != NULL);
	return element;
}

void mempool_free(struct mempool *pool, void *element)
{
	unsigned long flags;

	if (!element)
		return;
	flags = spin_lock_irqsave(&pool->lock);
	if (pool->curr_nr < pool->min_nr) {
		pool->elements[pool->curr_nr++] = element;
		element = NULL;
	}
	spin_unlock_irqrestore(&pool->lock, flags);
	if (element)
		pool->free(element, pool->pool_data);
	else
		wake_up(&pool->wait);
}

void *mempool_alloc_slab(gfp_t gfp, void *cache)
{
	return kmem_cache_alloc(cache, gfp);
}

void mempool_free_slab(void *element, void *cache)
{
	kmem_cache_free(cache, element);
}

void *mempool_alloc_pages(gfp_t gfp, void *order)
{
	return alloc_pages(gfp, (unsigned long)order);
}

void mempool_free_pages(void *element, void *order)
{
	__free_pages(element, (unsigned long)order);
}
