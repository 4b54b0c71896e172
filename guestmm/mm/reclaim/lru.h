/* LRU lists for the rest of mm/: batched adding, batched freeing, isolating one page. */
#ifndef MM_LRU_H
#define MM_LRU_H
#include "mm/reclaim/lruvec.h"
#include "mm/reclaim/policy.h"
#include "mm/reclaim/reclaim.h"

/* Flags that an unused page keeps: its zone and node, and that it is still charged to a memory cgroup. The free
 * path uncharges it when no lruvec is locked. */
#define PAGE_FORGET_MASK \
	(PAGE_ZONE_MASK << PAGE_ZONE_SHIFT | PAGE_NODE_MASK << PAGE_NODE_SHIFT | 1ull << PG_charged)

#define LRU_BATCH 15
struct lru_batch {
	u64 nr;
	struct page *pages[LRU_BATCH];
};
DECLARE_PER_CPU(struct lru_batch, lru_batches);
void lru_batch_drain(struct lru_batch *b);
/** Queue a page for the list its policy chooses. The batch holds a reference. Preemption off. */
static inline void __lru_add(struct page *page)
{
	struct lru_batch *b = this_cpu_ptr(&lru_batches);

	get_page(page);
	b->pages[b->nr++] = page;
	if (unlikely(b->nr == LRU_BATCH))
		lru_batch_drain(b);
}
/** The same with preemption on. */
static inline void lru_add(struct page *page)
{
	preempt_disable();
	__lru_add(page);
	preempt_enable();
}
/** Take an evictable page off its list, with a reference. False: it is on none, or about to be
 * freed. */
bool lru_isolate(struct page *page);
/** The same for a page that may be unevictable; for migration, not for reclaim. */
bool lru_isolate_any(struct page *page);
/** lru_isolate_any() for pages[0..n), which go to the end of the list, until one cannot be taken: returns how many
 * were. Interrupts are off meanwhile: a few dozen at most. */
unsigned int lru_isolate_run(struct page **pages, unsigned int n, struct list_head *to);
/** Pages that lru_isolate() took from this lruvec will not be put back: they are not counted as isolated any
 * more. Their references stay the caller's. */
void lru_unisolate(struct lruvec *lruvec, u64 pages);
/** Put back pages isolated by lru_isolate(), of any lruvecs, and drop their references. */
void lru_putback(struct list_head *pages);
/** Move the pages of one lruvec and kind, those of the first page, from a list of pages that
 * lru_isolate() took to iso. Returns iso->nr. */
u64 isolated_take(struct isolated *iso, struct list_head *pages);
/** Does a page stay in memory whatever happens, or may it be reclaimed again? */
enum lru_keep { LRU_LET_GO, LRU_KEEP };
/** Change PG_mlocked and PG_unevictable; a page on a list changes the list. The caller holds the page
 * by a mapping (P held) or a reference. */
void lru_set_mlocked(struct page *page, enum lru_keep keep);
/** The same for PG_unevictable alone, for a page that is kept for another reason than mlock(2). A page that is
 * mlocked as well stays unevictable. The caller holds a reference. */
void lru_set_unevictable(struct page *page, enum lru_keep keep);
/** The pages have been written to swap: those that are on a list are moved so that they are looked at next. Any
 * context. */
void lru_written(struct page **pages, unsigned int n);
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

/** Drop one reference of each page. Pages whose count becomes 0 leave the LRU and are freed. Any context but
 * NMI. */
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
