/*
 * Per-CPU caches of free pages: what makes the common allocation a few instructions.
 *
 * Each CPU has, for each zone, a list for every (order <= 3, migrate type); blocks go on and come
 * off at the front, where they are warm in the cache. An empty list is filled with a batch from the
 * buddy under one hold of zone->lock; a CPU that holds more than `high` pages returns a batch,
 * coldest first.
 *
 * I1  Blocks here have type PAGE_PCP, refcount 0, cpu = the owner, migratetype and order = the
 *     list's.
 * I2  count = pages on all lists of this CPU and zone. They are not in NR_FREE_PAGES: watermarks
 *     are looked at when pages leave the buddy, so a hot allocation has nothing to compare.
 *
 * Only the owner touches its lists, with interrupts off; they need no lock. Who wants all lists
 * drained has each CPU drain its own (on_each_cpu()).
 */
#include "mm/kvirt/percpu.h"
#include "mm/phys/internal.h"

/* A batch pays for a hold of zone->lock and must not empty a small zone: a 256th of it, from 8 to
 * 64 pages, and no more than a 64th of a tiny one. A power of two, so that one block gives it. */
u32 zone_pcp_batch(u64 managed)
{
	u64 batch = managed / 256;

	if (batch < 8)
		batch = min((u64)8, managed / 64);
	if (batch > 64)
		batch = 64;
	return batch ? 1u << (63 - __builtin_clzll(batch)) : 1;
}

u32 zone_pcp_high(u64 managed)
{
	return 4 * zone_pcp_batch(managed);
}

u32 zone_pcp_high_fraction(u64 managed, u32 fraction, u32 cpus)
{
	u64 high = fraction ? managed / fraction / max(cpus, 1u) : 0;

	return max(high, (u64)zone_pcp_high(managed));
}

u32 percpu_pagelist_high_fraction;

static u32 cpus_of_node(int node)
{
	u32 n = 0;

	for (unsigned int cpu = 0; cpu < mmvm_shared->nr_cpus && cpu < MMVM_MAX_CPUS; cpu++)
		n += cpu_node[cpu] == node;
	return n;
}

/* A list that is too long now gives a batch back at each free until it is not. */
void percpu_pagelist_high_fraction_changed(void)
{
	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];
		u32 high = zone_pcp_high_fraction(z->managed, percpu_pagelist_high_fraction,
						  cpus_of_node(z->node->id));

		for_each_possible_cpu (cpu) {
			struct per_cpu_pages *pcp = per_cpu_ptr(z->pcp, cpu);

			pcp->batch = zone_pcp_batch(z->managed);
			WRITE_ONCE(pcp->high, high);
		}
	}
}

void pcp_init(struct zone *z)
{
	z->pcp = alloc_percpu(sizeof(struct per_cpu_pages), 64);
	if (!z->pcp)
		panic("no per-CPU memory for a zone");
	for_each_possible_cpu (cpu) {
		struct per_cpu_pages *pcp = per_cpu_ptr(z->pcp, cpu);

		for (unsigned int i = 0; i < NR_PCP_LISTS; i++) {
			INIT_LIST_HEAD(&pcp->lists[i]);
			pcp->state[i] = PAGE_STATE(PAGE_PCP, i / NR_PCP_MIGRATETYPES,
						   i % NR_PCP_MIGRATETYPES, cpu);
		}
		pcp->alloc_event = PGALLOC_DMA + z->type;
	}
}

unsigned int pcp_refill(struct zone *z, struct per_cpu_pages *pcp, unsigned int order,
			unsigned int migratetype)
{
	unsigned int want = max(1u, pcp->batch >> order), got;

	spin_lock(&z->lock);
	got = buddy_take_bulk(z, order, want, migratetype,
			      &pcp->lists[order * NR_PCP_MIGRATETYPES + migratetype]);
	spin_unlock(&z->lock);
	zone_stat_add(z, NR_FREE_PAGES, -((s64)got << order));
	pcp->count += got << order;
	count_vm_event(MMVM_PCP_REFILL);
	return got;
}

/* As drain_list(), of a zone with a CMA area. */
static __attribute__((noinline, cold)) s32 drain_list_cma(struct zone *z, struct list_head *list,
							  unsigned int order, s32 pages)
{
	for (; pages > 0 && !list_empty(list); pages -= 1 << order) {
		struct page *page = list_last_entry(list, struct page, lru);

		list_del(&page->lru);
		buddy_free_page(z, page, order);
	}
	return pages;
}

/* Return blocks from the back of a list until `pages` were returned or it is empty. Returns how many pages are
 * still to be returned. zone->lock held. */
static s32 drain_list(struct zone *z, struct list_head *list, unsigned int order, s32 pages)
{
	struct list_head *pos = list->prev;

	if (unlikely(z->cma_pages))
		return drain_list_cma(z, list, order, pages);
	for (; pages > 0 && pos != list; pages -= 1 << order) {
		struct page *page = list_entry(pos, struct page, lru);

		pos = pos->prev;
		buddy_free(z, page, order, *pageblock_type(z, page));
	}
	list->prev = pos;
	pos->next = list;
	return pages;
}

static void drain(struct zone *z, struct per_cpu_pages *pcp, s32 pages)
{
	s32 left = pages;

	spin_lock(&z->lock);
	/* Large blocks first: they are few, and the buddy has more use for them. */
	for (int i = NR_PCP_LISTS - 1; i >= 0 && left > 0; i--)
		if (!list_empty(&pcp->lists[i]))
			left = drain_list(z, &pcp->lists[i], i / NR_PCP_MIGRATETYPES, left);
	spin_unlock(&z->lock);
	pages -= left;
	pcp->count -= pages;
	zone_stat_add(z, NR_FREE_PAGES, pages);
	count_vm_event(MMVM_PCP_DRAIN);
}

void pcp_drain_batch(struct zone *z, struct per_cpu_pages *pcp)
{
	drain(z, pcp, pcp->batch);
}

void pcp_drain_all(struct zone *z, struct per_cpu_pages *pcp)
{
	if (pcp->count)
		drain(z, pcp, pcp->count);
}

void drain_local_pages(void)
{
	unsigned long flags = arch_irq_save();

	for (unsigned int i = 0; i < nr_zones; i++)
		pcp_drain_all(zone_table[i], this_cpu_ptr(zone_table[i]->pcp));
	arch_irq_restore(flags);
}

static void drain_this_cpu(void *arg)
{
	drain_local_pages();
}

void drain_all_pages(void)
{
	on_each_cpu(drain_this_cpu, NULL);
}
