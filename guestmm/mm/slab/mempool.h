/* Memory pools: a reserve of elements for paths that must not fail. */
#ifndef MM_MEMPOOL_H
#define MM_MEMPOOL_H
#include "lib/env.h"
#include "mm/phys/gfp.h"
#include "mm/slab/slab.h"

typedef void *(*mempool_alloc_fn)(gfp_t gfp, void *pool_data);
typedef void (*mempool_free_fn)(void *element, void *pool_data);

struct mempool {
	spinlock_t lock;
	unsigned int min_nr;  /* size of the reserve */
	unsigned int curr_nr; /* elements in it now; lock */
	void **elements;      /* lock */
	void *pool_data;
	mempool_alloc_fn alloc;
	mempool_free_fn free;
	struct wait_queue wait; /* for an element to come back */
	u64 nr_from_reserve;	/* allocations the reserve served; lock */
};

/** Make a pool with a full reserve of `min_nr` elements. NULL if no memory. May sleep. */
struct mempool *mempool_create(unsigned int min_nr, mempool_alloc_fn alloc, mempool_free_fn free,
			       void *pool_data);
/** Free the reserve and the pool. Every element must have come back. May sleep. */
void mempool_destroy(struct mempool *pool);
/**
 * One element: from the allocator, else from the reserve, else (with __GFP_DIRECT_RECLAIM) sleep
 * until one comes back. NULL only for callers that may not sleep.
 */
void *mempool_alloc(struct mempool *pool, gfp_t gfp);
/** Give an element back: to the reserve while it is not full. Any context. NULL is fine. */
void mempool_free(struct mempool *pool, void *element);

/* Pools over a slab cache (pool_data = cache) and over page blocks (pool_data = order). */
void *mempool_alloc_slab(gfp_t gfp, void *cache);
void mempool_free_slab(void *element, void *cache);
void *mempool_alloc_pages(gfp_t gfp, void *order);
void mempool_free_pages(void *element, void *order);
#endif
