/*
 * LRU lists: how pages come onto them and leave them, whatever the policy.
 *
 *   fault ─> per-CPU batch (15) ─> policy->add ─> a list ─> policy->isolate ─> reclaimed
 *                                                  │
 *                                                  └─> last reference dropped: freed
 *
 * The lists themselves and their invariants are in lruvec.h. In addition:
 *
 * I1  The batch holds a reference on each of its pages, so none is freed while it is in the batch.
 * I2  Whoever isolates a page holds a reference on it; lruvec->nr_isolated counts it until it is put back or freed.
 *
 * Locks: lruvec->lock, interrupts off. A batch belongs to its CPU and is used with preemption off. The only
 * interrupt that uses it is the one by which another CPU has all batches drained; that one waits until preemption
 * is on.
 */
#include "lib/trace.h"
#include "mm/cache/pagecache.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/vmscan.h"
#include "mm/huge/thp.h"
#include "mm/virt/mm.h"

DEFINE_PER_CPU_ALIGNED(struct lru_batch, lru_batches);
s64 nr_lazyfree;

/** Level of one of the lruvec's lists. */
static enum zone_stat_item list_level(const struct lruvec *lv, unsigned int list)
{
	return list == LRU_UNEVICTABLE ? NR_UNEVICTABLE : lv->policy->lists[list - 1].level;
}

void lru_delta_flush(struct lruvec *lv, struct lru_delta *d)
{
	if (!d->n)
		return;
	lv->nr[d->list] += d->n;
	zone_stat_add(zone_table[d->zone], list_level(lv, d->list), d->n);
	if (unlikely(lv->memcg))
		mem_cgroup_lru_stat(lv, list_level(lv, d->list), d->n);
	d->n = 0;
}

#define trace_lru(event, lv, page, list)                \
	trace_point(event, 0, .pfn = page_to_pfn(page), \
		    .arg = list_level(lv, list) - NR_INACTIVE_ANON)

/* ---- adding ---- */

void lru_batch_drain(struct lru_batch *b)
{
	unsigned int nr = b->nr;

	b->nr = 0;
	for (unsigned int i = 0, next; i < nr; i = next) {
		struct lruvec *lv = page_lruvec(b->pages[i]);
		unsigned long flags;

		for (next = i + 1; next < nr && page_lruvec(b->pages[next]) == lv;)
			next++;
		flags = spin_lock_irqsave(&lv->lock);
		lv->policy->add(lv, &b->pages[i], next - i);
		spin_unlock_irqrestore(&lv->lock, flags);
	}
	release_pages(b->pages, nr);
}

void lru_add_drain(void)
{
	struct lru_batch *b;

	preempt_disable();
	b = this_cpu_ptr(&lru_batches);
	if (b->nr)
		lru_batch_drain(b);
	preempt_enable();
}

static void drain_this_cpu(void *arg)
{
	lru_add_drain();
}

void lru_add_drain_all(void)
{
	on_each_cpu(drain_this_cpu, NULL);
}

void lru_add_anon(struct page *page, bool active)
{
	set_bit(PG_swapbacked, &page->flags);
	if (active)
		SetPageActive(page);
	lru_add(page);
}

void mark_page_accessed(struct page *page)
{
	reclaim_policy->used(page);
}

/* ---- single pages ---- */

void lru_del(struct page *page)
{
	struct lruvec *lv = page_lruvec(page);
	unsigned long flags = spin_lock_irqsave(&lv->lock);

	if (PageLRU(page)) {
		struct lru_delta d = {0};

		lruvec_del_page(lv, page, &d);
		lru_delta_flush(lv, &d);
	}
	spin_unlock_irqrestore(&lv->lock, flags);
}

/* Isolate the page unless it has one of these flags. lv->lock held. */
static __always_inline bool take(struct lruvec *lv, struct page *page, u64 except,
				 struct lru_delta *d)
{
	if (!PageLRU(page) || (READ_ONCE(page->flags) & except) || !get_page_unless_zero(page))
		return false;
	trace_lru(ISOLATE, lv, page, page_list(page));
	lruvec_del_page(lv, page, d);
	lv->nr_isolated += page_lru_pages(page);
	return true;
}

static bool isolate_unless(struct page *page, u64 except)
{
	struct lruvec *lv = page_lruvec(page);
	unsigned long flags = spin_lock_irqsave(&lv->lock);
	struct lru_delta d = {0};
	bool taken = take(lv, page, except, &d);

	lru_delta_flush(lv, &d);
	spin_unlock_irqrestore(&lv->lock, flags);
	return taken;
}

bool lru_isolate(struct page *page)
{
	return isolate_unless(page, 1ull << PG_unevictable);
}

bool lru_isolate_any(struct page *page)
{
	return isolate_unless(page, 0);
}

unsigned int lru_isolate_run(struct page **pages, unsigned int n, struct list_head *to)
{
	struct lru_delta d = {0};
	struct lruvec *lv = NULL;
	unsigned long flags = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct page *page = pages[i];

		if (unlikely(page_lruvec(page) != lv)) {
			if (lv) {
				lru_delta_flush(lv, &d);
				spin_unlock_irqrestore(&lv->lock, flags);
			}
			lv = page_lruvec(page);
			flags = spin_lock_irqsave(&lv->lock);
		}
		if (!take(lv, page, 0, &d))
			break;
		list_add_tail(&page->lru, to);
	}
	if (lv) {
		lru_delta_flush(lv, &d);
		spin_unlock_irqrestore(&lv->lock, flags);
	}
	return i;
}

void lru_unisolate(struct lruvec *lv, u64 pages)
{
	unsigned long flags = spin_lock_irqsave(&lv->lock);

	lv->nr_isolated -= pages;
	spin_unlock_irqrestore(&lv->lock, flags);
}

/* Does the page belong to a mapping whose pages are unevictable? The caller keeps the mapping from being freed. */
static bool page_never_leaves(const struct page *page)
{
	const struct address_space *mapping = page_mapping_file(page);

	return mapping && READ_ONCE(mapping->flags) & AS_UNEVICTABLE;
}

void lru_set_mlocked(struct page *page, enum lru_keep keep)
{
	struct lruvec *lv = page_lruvec(page);
	unsigned long flags = spin_lock_irqsave(&lv->lock);
	struct lru_delta d = {0};
	bool lock = keep == LRU_KEEP, listed = PageLRU(page), stays;

	if (PageMlocked(page) == lock)
		goto out;
	/* A page that is not mlocked any more may belong to a file whose pages stay in memory anyway. */
	stays = lock || page_never_leaves(page);
	if (listed)
		lruvec_del_page(lv, page, &d);
	if (lock)
		atomic_or(&page->flags, 1ull << PG_mlocked | 1ull << PG_unevictable);
	else
		atomic_and(&page->flags,
			   ~(1ull << PG_mlocked | (stays ? 0 : 1ull << PG_unevictable)));
	page_stat_add(page, NR_MLOCK, lock ? page_lru_pages(page) : -page_lru_pages(page));
	if (listed && stays)
		lruvec_add_page(lv, page, LRU_UNEVICTABLE, &d);
	lru_delta_flush(lv, &d);
	if (listed && !stays) {
		get_page(page); /* add() leaves out pages that only their batch holds */
		lv->policy->add(lv, &page, 1);
		atomic_sub(&page->refcount, 1); /* the mapping's keeps it */
	}
out:
	spin_unlock_irqrestore(&lv->lock, flags);
}

void lru_set_unevictable(struct page *page, enum lru_keep keep)
{
	struct lruvec *lv = page_lruvec(page);
	unsigned long flags = spin_lock_irqsave(&lv->lock);
	struct lru_delta d = {0};
	bool on = keep == LRU_KEEP, listed = PageLRU(page);

	if (PageMlocked(page) || !!PageUnevictable(page) == on)
		goto out;
	if (listed)
		lruvec_del_page(lv, page, &d);
	if (on)
		atomic_or(&page->flags, 1ull << PG_unevictable);
	else
		atomic_and(&page->flags, ~(1ull << PG_unevictable));
	if (listed && on)
		lruvec_add_page(lv, page, LRU_UNEVICTABLE, &d);
	lru_delta_flush(lv, &d);
	if (listed && !on)
		lv->policy->add(lv, &page, 1);
out:
	spin_unlock_irqrestore(&lv->lock, flags);
}

void lru_written(struct page **pages, unsigned int n)
{
	struct lruvec *lv = NULL;
	unsigned long flags = 0;
	u64 moved = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct page *page = pages[i];

		if (page_lruvec(page) != lv) {
			if (lv)
				spin_unlock_irqrestore(&lv->lock, flags);
			lv = page_lruvec(page);
			flags = spin_lock_irqsave(&lv->lock);
		}
		if (PageReclaim(page) && PageLRU(page) && !PageUnevictable(page))
			moved += lv->policy->written(lv, page);
	}
	if (lv)
		spin_unlock_irqrestore(&lv->lock, flags);
	count_vm_events(PGROTATED, moved);
}

/* ---- isolating and putting back ---- */

u64 isolate_list_tail(struct isolated *iso, unsigned int list, unsigned int nr,
		      const struct scan_control *sc)
{
	struct lruvec *lv = iso->lruvec;
	struct list_head *head = &lv->list[list];
	struct lru_delta d = {0};
	unsigned long flags = spin_lock_irqsave(&lv->lock);

	iso->list = list;
	for (unsigned int seen = 0; seen < nr && !list_empty(head); seen++) {
		struct page *page = list_last_entry(head, struct page, lru);

		if (unlikely(page_zone(page)->type > sc->highest || !get_page_unless_zero(page))) {
			list_move(&page->lru, head);
			continue;
		}
		trace_lru(ISOLATE, lv, page, list);
		lruvec_del_page(lv, page, &d);
		list_add(&page->lru, &iso->pages);
		iso->nr += page_lru_pages(page);
	}
	lru_delta_flush(lv, &d);
	lv->nr_isolated += iso->nr;
	spin_unlock_irqrestore(&lv->lock, flags);
	if (iso->nr) {
		/* The level is only read as a sum over zones, so one page's zone may stand for all. */
		iso->zone = page_zone(list_first_entry(&iso->pages, struct page, lru));
		iso->level = iso->file ? NR_ISOLATED_FILE : NR_ISOLATED_ANON;
		zone_stat_add(iso->zone, iso->level, iso->nr);
	}
	return iso->nr;
}

u64 isolated_take(struct isolated *iso, struct list_head *pages)
{
	struct page *first = list_first_entry(pages, struct page, lru), *page, *n;

	iso->lruvec = page_lruvec(first);
	iso->file = page_is_file_lru(first);
	iso->list = LRU_MAX_LISTS;
	iso->nr = 0;
	list_for_each_entry_safe (page, n, pages, lru) {
		if (page_lruvec(page) != iso->lruvec || page_is_file_lru(page) != iso->file)
			continue;
		list_move(&page->lru, &iso->pages);
		iso->nr += page_lru_pages(page);
	}
	iso->zone = page_zone(first);
	iso->level = iso->file ? NR_ISOLATED_FILE : NR_ISOLATED_ANON;
	zone_stat_add(iso->zone, iso->level, iso->nr);
	return iso->nr;
}

void put_back_pages(struct isolated *iso, const struct reclaim_policy *policy, lru_place_fn place)
{
	struct lruvec *lv = iso->lruvec;
	struct lru_delta d = {0};
	unsigned long flags;
	LIST_HEAD(dead);

	flags = spin_lock_irqsave(&lv->lock);
	/* They were isolated under another policy. */
	if (unlikely(lv->policy != policy))
		place = lv->policy->place;
	while (!list_empty(&iso->pages)) {
		struct page *page = list_last_entry(&iso->pages, struct page, lru);
		unsigned int where = lru_place(lv, page, place), list = where & ~LRU_AT_TAIL;

		list_del(&page->lru);
		trace_lru(PUTBACK, lv, page, list);
		/* Put it on the list before the batch's reference is dropped: then the code that drops the last
		 * one sees PG_lru. */
		lruvec_add_page(lv, page, list, &d);
		if (where & LRU_AT_TAIL)
			list_move_tail(&page->lru, &lv->list[list]);
		if (unlikely(atomic_dec_and_test(&page->refcount))) {
			lruvec_del_page(lv, page, &d);
			list_add(&page->lru, &dead);
		}
	}
	lru_delta_flush(lv, &d);
	lv->nr_isolated -= iso->nr;
	spin_unlock_irqrestore(&lv->lock, flags);
	if (iso->nr)
		zone_stat_add(iso->zone, iso->level, -(s64)iso->nr);
	iso->nr = 0;
	free_dead_pages(&dead);
}

void lru_putback(struct list_head *pages)
{
	while (!list_empty(pages)) {
		struct isolated iso = ISOLATED_INIT(iso, NULL, 0);

		isolated_take(&iso, pages);
		iso.lruvec->policy->put_back(&iso);
	}
}

/* ---- freeing ---- */

/* Reset a page without references to the state in which the allocator takes it back. */
static inline bool page_forget(struct page *page)
{
	bool large = false;

	if (unlikely(page->flags & (1ull << PG_mlocked | 1ull << PG_lazyfree | 1ull << PG_head))) {
		if (PageMlocked(page))
			page_stat_add(page, NR_MLOCK, -page_lru_pages(page));
		page_clear_lazyfree(page);
		large = PageHead(page);
	}
	page->flags &= PAGE_FORGET_MASK | (large ? 1ull << PG_head : 0);
	page->mapping = NULL;
	return large;
}

/* Free large folios that are off the LRU, have no reference and went through page_forget(). */
static void free_large_list(struct list_head *pages)
{
	struct page *page, *n;

	list_for_each_entry_safe (page, n, pages, lru) {
		thp_undefer((struct folio *)page);
		free_dead_block(page);
	}
}

void release_pages(struct page **pages, unsigned int nr)
{
	struct lru_delta d = {0};
	struct lruvec *lv = NULL;
	unsigned long flags = 0;
	LIST_HEAD(large);
	LIST_HEAD(dead);

	for (unsigned int i = 0; i < nr; i++) {
		struct page *page = pages[i];

		if (!atomic_dec_and_test(&page->refcount))
			continue;
		if (likely(PageLRU(page))) {
			if (unlikely(page_lruvec(page) != lv)) {
				if (lv) {
					lru_delta_flush(lv, &d);
					spin_unlock_irqrestore(&lv->lock, flags);
				}
				lv = page_lruvec(page);
				flags = spin_lock_irqsave(&lv->lock);
			}
			/* page_forget() clears the flags. */
			__list_del(page->lru.prev, page->lru.next);
			lru_delta_add(lv, &d, page, page_list(page), -page_lru_pages(page));
		}
		list_add_tail(&page->lru, unlikely(page_forget(page)) ? &large : &dead);
	}
	if (lv) {
		lru_delta_flush(lv, &d);
		spin_unlock_irqrestore(&lv->lock, flags);
	}
	if (!list_empty(&dead))
		free_unref_page_list(&dead);
	if (unlikely(!list_empty(&large)))
		free_large_list(&large);
}

void release_dead_page(struct page *page)
{
	LIST_HEAD(dead);

	if (unlikely(page->type == PAGE_HUGETLB)) {
		free_dead_block(page);
		return;
	}
	if (PageLRU(page))
		lru_del(page);
	if (unlikely(page_forget(page))) {
		list_add(&page->lru, &dead);
		free_large_list(&dead);
		return;
	}
	list_add(&page->lru, &dead);
	free_unref_page_list(&dead);
}

void release_page_list(struct list_head *pages)
{
	struct page *page, *n;
	LIST_HEAD(dead);

	list_for_each_entry_safe (page, n, pages, lru) {
		list_del(&page->lru);
		if (atomic_dec_and_test(&page->refcount))
			list_add_tail(&page->lru, &dead);
	}
	free_dead_pages(&dead);
}

void free_dead_pages(struct list_head *pages)
{
	struct page *page, *n;
	LIST_HEAD(large);

	if (list_empty(pages))
		return;
	list_for_each_entry_safe (page, n, pages, lru)
		if (unlikely(page_forget(page)))
			list_move(&page->lru, &large);
	free_unref_page_list(pages);
	free_large_list(&large);
}
