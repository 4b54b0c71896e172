/*
 * LRU lists: pages that reclaim may take, in the order in which it should look at them.
 *
 *   node->lru[INACTIVE_ANON]  head (new) ... tail (next to be looked at)
 *   node->lru[ACTIVE_ANON]    head ... tail (next to become inactive)
 *   node->lru[UNEVICTABLE]    pages of locked mappings: no order
 *
 *   fault ─> per-CPU batch (15) ─> inactive ─(used twice)─> active ─(ageing)─> inactive ─>
 * reclaimed
 *
 * I1  PG_lru is set exactly while the page is on a list of its node; PG_active, PG_unevictable and
 *     PG_swapbacked then name the list. They change only under lru_lock or while off the lists.
 * I2  nr_lru[] and the zones' levels agree with the lists whenever lru_lock is free.
 * I3  A page in a batch carries a reference of the batch, so it cannot be freed under it. A page
 *     on a list carries none: whoever drops the last reference takes it off the list.
 * I4  Whoever finds a page on a list and wants it takes a reference unless it is 0: at 0 it is
 *     being freed and its freer waits for lru_lock.
 *
 * Locks: lru_lock, interrupts off, because the end of a write rotates pages from an interrupt.
 * Batches belong to their CPU and are touched with preemption off, and from no interrupt but one
 * that another CPU asks for to have all drained, and that comes where preemption was on.
 */
#include "lib/trace.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/virt/mm.h"

#define SWAP_COST 32u /* one request costs as much as looking at so many pages */

struct lru_batch lru_batches[MMVM_MAX_CPUS];
s64 nr_lazyfree;

void lru_delta_flush(struct lru_delta *d)
{
	struct zone *z;

	if (!d->n)
		return;
	z = zone_table[d->zone];
	z->node->nr_lru[d->lru] += d->n;
	zone_stat_add(z, NR_INACTIVE_ANON + d->lru, d->n);
	d->n = 0;
}

void lru_batch_drain(struct lru_batch *b)
{
	struct lru_delta d = {0};
	pg_data_t *node = NULL;
	unsigned long flags = 0;
	unsigned int nr = b->nr;

	b->nr = 0;
	for (unsigned int i = 0; i < nr; i++) {
		struct page *page = b->pages[i];
		enum lru_list lru;

		if (unlikely(page_ref_count(page) == 1))
			continue; /* freed meanwhile: only we still hold it */
		if (unlikely(page_pgdat(page) != node)) {
			if (node) {
				lru_delta_flush(&d);
				spin_unlock_irqrestore(&node->lru_lock, flags);
			}
			node = page_pgdat(page);
			flags = spin_lock_irqsave(&node->lru_lock);
		}
		lru = page_lru(page);
		SetPageLRU(page);
		list_add(&page->lru, &node->lru[lru]);
		lru_delta_add(&d, page, lru, 1);
	}
	if (node) {
		lru_delta_flush(&d);
		spin_unlock_irqrestore(&node->lru_lock, flags);
	}
	release_pages(b->pages, nr);
}

void lru_add_drain(void)
{
	struct lru_batch *b;

	preempt_disable();
	b = &lru_batches[cpu_id()];
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
	preempt_disable();
	__lru_add(page);
	preempt_enable();
}

void lru_del(struct page *page)
{
	pg_data_t *node = page_pgdat(page);
	unsigned long flags = spin_lock_irqsave(&node->lru_lock);

	if (TestClearPageLRU(page)) {
		struct lru_delta d = {0};

		list_del(&page->lru);
		lru_delta_add(&d, page, page_lru(page), -1);
		lru_delta_flush(&d);
	}
	spin_unlock_irqrestore(&node->lru_lock, flags);
}

bool lru_isolate(struct page *page)
{
	pg_data_t *node = page_pgdat(page);
	unsigned long flags = spin_lock_irqsave(&node->lru_lock);
	bool taken = false;

	if (PageLRU(page) && !PageUnevictable(page) && get_page_unless_zero(page)) {
		struct lru_delta d = {0};

		ClearPageLRU(page);
		list_del(&page->lru);
		lru_delta_add(&d, page, page_lru(page), -1);
		lru_delta_flush(&d);
		node->nr_isolated++;
		trace_point(ISOLATE, 0, .pfn = page_to_pfn(page), .arg = page_lru(page));
		taken = true;
	}
	spin_unlock_irqrestore(&node->lru_lock, flags);
	return taken;
}

static void activate_page(struct page *page)
{
	pg_data_t *node = page_pgdat(page);
	unsigned long flags = spin_lock_irqsave(&node->lru_lock);

	if (PageLRU(page) && !PageActive(page) && !PageUnevictable(page)) {
		struct lru_delta d = {0};

		lru_delta_add(&d, page, page_lru(page), -1);
		SetPageActive(page);
		lru_delta_add(&d, page, page_lru(page), 1);
		lru_delta_flush(&d);
		list_move(&page->lru, &node->lru[page_lru(page)]);
		count_vm_event(PGACTIVATE);
	}
	spin_unlock_irqrestore(&node->lru_lock, flags);
}

void mark_page_accessed(struct page *page)
{
	if (!PageReferenced(page)) {
		SetPageReferenced(page);
	} else if (!PageActive(page) && PageLRU(page)) {
		activate_page(page);
		ClearPageReferenced(page);
	}
}

void lru_note_cost(pg_data_t *node, unsigned int file, u64 io, u64 rotated)
{
	u64 size = 0;

	node->lru_cost[file] += io * SWAP_COST + rotated;
	for (unsigned int i = 0; i < LRU_UNEVICTABLE; i++)
		size += node->nr_lru[i];
	if (node->lru_cost[0] + node->lru_cost[1] > size / 4) {
		node->lru_cost[0] /= 2;
		node->lru_cost[1] /= 2;
	}
}

/* ---- freeing ----------------------------------------------------------------------------------
 */

/* Make a page that nothing refers to any more look as the allocator wants it back. */
static inline void page_forget(struct page *page)
{
	if (unlikely(page->flags & (1ull << PG_mlocked | 1ull << PG_lazyfree))) {
		if (PageMlocked(page))
			page_stat_add(page, NR_MLOCK, -1);
		page_clear_lazyfree(page);
	}
	page->flags &= PAGE_PLACE_MASK;
	page->mapping = NULL;
}

void release_pages(struct page **pages, unsigned int nr)
{
	struct lru_delta d = {0};
	pg_data_t *node = NULL;
	unsigned long flags = 0;
	LIST_HEAD(dead);

	for (unsigned int i = 0; i < nr; i++) {
		struct page *page = pages[i];

		if (!atomic_dec_and_test(&page->refcount))
			continue;
		if (likely(PageLRU(page))) {
			if (unlikely(page_pgdat(page) != node)) {
				if (node) {
					lru_delta_flush(&d);
					spin_unlock_irqrestore(&node->lru_lock, flags);
				}
				node = page_pgdat(page);
				flags = spin_lock_irqsave(&node->lru_lock);
			}
			__list_del(page->lru.prev, page->lru.next);
			lru_delta_add(&d, page, page_lru(page), -1);
		}
		page_forget(page);
		list_add_tail(&page->lru, &dead);
	}
	if (node) {
		lru_delta_flush(&d);
		spin_unlock_irqrestore(&node->lru_lock, flags);
	}
	if (!list_empty(&dead))
		free_unref_page_list(&dead);
}

void release_dead_page(struct page *page)
{
	LIST_HEAD(dead);

	if (PageLRU(page))
		lru_del(page);
	page_forget(page);
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
	struct page *page;

	if (list_empty(pages))
		return;
	list_for_each_entry (page, pages, lru)
		page_forget(page);
	free_unref_page_list(pages);
}
