/*
 * Free page reporting, as Linux's mm/page_reporting.c: every two seconds, the free blocks of a pageblock and
 * more that the host has not been told of yet.
 *
 *   buddy list ──isolate──> report, at most REPORTING_CAPACITY at once ──> back to the list's end, marked
 *
 * A block's mark (BUDDY_REPORTED) is where the per-CPU lists keep their CPU. So it is gone as soon as the
 * allocator does anything with the block: what is allocated, split, or merged is not marked, and what
 * allocates and frees pays nothing.
 *
 * G1  While the host has a block in its hands, the block is allocated (type OTHER, one reference): no
 *     neighbour merges with it, nobody gets it.
 * G2  A report leaves the zone above its high watermark, and takes no more than a quarter of what is free
 *     (but one block always): what is away for a moment is not missed.
 *
 * Locks: `round_mutex` is held for a round; zone->lock within, but not during the report to the host.
 */
#include "mm/move/reporting.h"
#include "lib/env.h"
#include "mm/phys/internal.h"

#define INTERVAL_NS 2000000000ull

static reporting_fn report_fn; /* set before the thread runs */
static struct mutex round_mutex = MUTEX_INIT(round_mutex);
static bool frozen; /* round_mutex */
static u64 rounds;  /* A */

struct batch {
	struct page *page[REPORTING_CAPACITY];
	struct reported_range range[REPORTING_CAPACITY];
	u32 n;
};

/* G2; `had`: free pages when the batch was empty. zone->lock held. */
static bool may_take(const struct zone *z, unsigned int order, s64 had, const struct batch *b)
{
	const s64 left = zone_stat(z, NR_FREE_PAGES) - (1l << order);

	return b->n < REPORTING_CAPACITY && left >= (s64)z->watermark[WMARK_HIGH] &&
	       (!b->n || left >= had - had / 4);
}

/* zone->lock held. */
static void take(struct zone *z, struct page *page, unsigned int order, struct batch *b)
{
	buddy_isolate(z, page);
	zone_stat_add(z, NR_FREE_PAGES, -(1l << order));
	page_set_state(page, PAGE_STATE(PAGE_OTHER, order, 0, 0));
	page->refcount = 1;
	b->range[b->n] = (struct reported_range){page_to_phys(page), PAGE_SIZE << order};
	b->page[b->n++] = page;
}

/* Blocks of one list that are not marked. */
static void fill(struct zone *z, unsigned int order, unsigned int migratetype, struct batch *b)
{
	const unsigned long flags = spin_lock_irqsave(&z->lock);
	const s64 had = zone_stat(z, NR_FREE_PAGES);
	struct page *page, *next;

	b->n = 0;
	list_for_each_entry_safe (page, next, &z->free_area[order].free_list[migratetype], lru) {
		if (!may_take(z, order, had, b))
			break;
		if (page->cpu != BUDDY_REPORTED)
			take(z, page, order, b);
	}
	spin_unlock_irqrestore(&z->lock, flags);
}

/* What a neighbour has merged with is a new block, and not marked. */
static void put_back(struct zone *z, unsigned int order, struct batch *b, bool reported)
{
	const unsigned long flags = spin_lock_irqsave(&z->lock);

	for (u32 i = 0; i < b->n; i++) {
		struct page *page = b->page[i];

		page->refcount = 0;
		buddy_free_page(z, page, order);
		zone_stat_add(z, NR_FREE_PAGES, 1l << order);
		if (!reported || page_type_order(page) != PAGE_STATE(PAGE_BUDDY, order, 0, 0))
			continue;
		page->cpu = BUDDY_REPORTED;
		list_move_tail(&page->lru, &z->free_area[order].free_list[page->migratetype]);
	}
	spin_unlock_irqrestore(&z->lock, flags);
}

/* 0, or the host's error. */
static int report_zone(struct zone *z, reporting_fn report)
{
	struct batch b;
	int err = 0;

	for (unsigned int order = MAX_ORDER; order >= PAGEBLOCK_ORDER; order--) {
		for (unsigned int type = 0; type < NR_MIGRATETYPES; type++) {
			/* Blocks that become free meanwhile wait for the next round. */
			u64 budget = READ_ONCE(z->free_area[order].nr_free);

			do {
				fill(z, order, type, &b);
				if (b.n)
					err = report(b.range, b.n);
				put_back(z, order, &b, !err);
				budget -= min(budget, (u64)b.n);
			} while (b.n && budget && !err);
			if (err)
				return err;
		}
	}
	return 0;
}

int page_reporting_round(reporting_fn report)
{
	int err = 0;

	mutex_lock(&round_mutex);
	for (unsigned int i = 0; i < nr_zones && !frozen && !err; i++)
		err = report_zone(zone_table[i], report);
	mutex_unlock(&round_mutex);
	atomic_add(&rounds, 1);
	return err;
}

static int reporting_thread(void *arg)
{
	do
		sleep_ns(INTERVAL_NS);
	while (!page_reporting_round(report_fn));
	printk("page reporting: the host takes no more reports\n");
	return 0;
}

int page_reporting_register(reporting_fn report)
{
	if (static_key(KEY_POISON)) {
		printk("page reporting: off, as free pages are poisoned\n");
		return 0;
	}
	BUG_ON(report_fn);
	report_fn = report;
	return kthread_run(reporting_thread, NULL, "page_reporting");
}

u64 page_reporting_rounds(void)
{
	return atomic_load(&rounds);
}

void page_reporting_freeze(void)
{
	mutex_lock(&round_mutex);
	frozen = true;
	mutex_unlock(&round_mutex);
}
