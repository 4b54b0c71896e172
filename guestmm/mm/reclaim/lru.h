/* LRU lists from inside: batched adding, batched freeing. [R1] */
#ifndef MM_LRU_H
#define MM_LRU_H
#include "mm/swap/swap.h"

#define PAGE_PLACE_MASK (PAGE_ZONE_MASK << PAGE_ZONE_SHIFT | PAGE_NODE_MASK << PAGE_NODE_SHIFT)

/** The list a page belongs on, by its flags. */
static inline enum lru_list page_lru(const struct page *page)
{
	u64 f = READ_ONCE(page->flags);

	if (unlikely(f >> PG_unevictable & 1))
		return LRU_UNEVICTABLE;
	return (f >> PG_swapbacked & 1 ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE) +
	       (f >> PG_active & 1);
}

/** Pages added to and removed from one list of one zone, not yet in the counters. lru_lock. */
struct lru_delta {
	unsigned int zone;
	enum lru_list lru;
	s64 n;
};
void lru_delta_flush(struct lru_delta *d);
static inline void lru_delta_add(struct lru_delta *d, const struct page *page, enum lru_list lru,
				 s64 n)
{
	unsigned int zone = page_zone_index(page);

	if (unlikely(d->zone != zone || d->lru != lru)) {
		lru_delta_flush(d);
		d->zone = zone;
		d->lru = lru;
	}
	d->n += n;
}

/** Is it weighed as a page of a file (1), or as anonymous memory, which shared memory is (0)? */
static inline unsigned int page_is_file_lru(const struct page *page)
{
	return !PageSwapBacked(page);
}
/** Taking pages of one kind has cost something: `io` requests, or `rotated` pages looked at in vain.
 * What lies back counts less and less. */
void lru_note_cost(pg_data_t *node, unsigned int file, u64 io, u64 rotated);

/** Queue a page for the list its flags name. The batch holds a reference. Preemption off. */
#define LRU_BATCH 15
struct lru_batch {
	u64 nr;
	struct page *pages[LRU_BATCH];
};
extern struct lru_batch lru_batches[MMVM_MAX_CPUS];
void lru_batch_drain(struct lru_batch *b);
static inline void __lru_add(struct page *page)
{
	struct lru_batch *b = &lru_batches[cpu_id()];

	get_page(page);
	b->pages[b->nr++] = page;
	if (unlikely(b->nr == LRU_BATCH))
		lru_batch_drain(b);
}
/** Take an evictable page off its list, with a reference. False: it is on none, or about to be
 * freed. */
bool lru_isolate(struct page *page);
/** Pages with PG_lazyfree (A). */
extern s64 nr_lazyfree;
static inline void page_clear_lazyfree(struct page *page)
{
	if (TestClearPageLazyfree(page))
		atomic_sub(&nr_lazyfree, 1);
}
/** Put this CPU's queued pages on their lists. */
void lru_add_drain(void);
/** Those of every CPU. May sleep. */
void lru_add_drain_all(void);

/** Drop one reference of each page; those that fall to none leave the LRU and are freed. Any
 * context but NMI. */
void release_pages(struct page **pages, unsigned int nr);
/** Free a page whose last reference the caller has just dropped. */
void release_dead_page(struct page *page);
static inline void release_page(struct page *page)
{
	if (atomic_dec_and_test(&page->refcount))
		release_dead_page(page);
}
/** As release_pages for pages on a list (linked by lru) that are on no LRU list. */
void release_page_list(struct list_head *pages);
/** Free pages on a list whose reference count is 0 and that are on no LRU list. */
void free_dead_pages(struct list_head *pages);
#endif
