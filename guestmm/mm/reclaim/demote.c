/*
 * Demotion: what is cold on a node with CPUs moves to a node without, instead of to the disk.
 *
 *   node with CPUs ──cold, reclaim──> nearest node without ──cold, reclaim──> swap, or dropped
 *          ^                                │
 *          └───────── touched: numa_balancing=2 (mm/numa/balancing.c) ─┘
 *
 * Reclaim judges pages as ever (evict.c); those that it would take are collected, and moved when no page lock is
 * held. What finds no room is judged once more and goes the usual way. Large pages go the usual way at once: they
 * cannot move.
 *
 * As Linux: demotion does not ask policies; a mapping whose bind forbids the slow node is not "held" any more
 * (mempolicy.h). Other than Linux 6.1: a memory cgroup at its own limit does not demote, which would not help it,
 * and neither does MADV_PAGEOUT.
 *
 * Locks: none on entry. Source: Documentation/ABI/testing/sysfs-kernel-mm-numa, mm/vmscan.c of Linux 6.1.
 */
#include "mm/phys/alloc.h"
#include "mm/phys/migrate.h"
#include "mm/reclaim/demote.h"
#include "mm/reclaim/lru.h"

bool numa_demotion_enabled; /* R */

int demotion_target(int nid, u32 not_these)
{
	u32 slow = memory_nodes & ~cpu_nodes & ~not_these;
	int best = NUMA_NO_NODE;

	if (!node_is_toptier(nid) || !cpu_nodes)
		return NUMA_NO_NODE;
	for (; slow; slow &= slow - 1) {
		const int n = __builtin_ctz(slow);

		if (best == NUMA_NO_NODE || node_distance(nid, n) < node_distance(nid, best))
			best = n;
	}
	return best;
}

bool can_demote(const pg_data_t *node, const struct scan_control *sc)
{
	return READ_ONCE(numa_demotion_enabled) && !sc->target && !sc->no_demotion &&
	       demotion_target(node->id, 0) != NUMA_NO_NODE;
}

/* Room on the nearest slow node, or on the next. The slow node's kswapd makes some. */
static struct folio *slow_target(struct folio *src, void *private)
{
	const gfp_t gfp = (GFP_HIGHUSER_MOVABLE & ~__GFP_RECLAIM) | GFP_NOWAIT | __GFP_THISNODE |
			  __GFP_NOMEMALLOC;
	struct page *page = NULL;
	u32 tried = 0;
	int nid;

	while (!page && (nid = demotion_target(*(int *)private, tried)) != NUMA_NO_NODE) {
		page = __alloc_pages_node(nid, gfp, folio_order(src), PAGE_OTHER);
		tried |= 1u << nid;
	}
	return (struct folio *)page;
}

static u64 length_of(const struct list_head *pages)
{
	const struct page *page;
	u64 n = 0;

	list_for_each_entry (page, pages, lru)
		n++;
	return n;
}

u64 demote_pages(struct list_head *pages, struct lruvec *lv, const struct scan_control *sc)
{
	u64 before = length_of(pages), left;
	int nid = lv->node->id;
	unsigned int moved = 0;
	unsigned long flags;

	migrate_pages(pages, slow_target, NULL, &nid, MIGRATE_ASYNC, MR_DEMOTION, &moved);
	count_vm_events(sc->kswapd ? PGDEMOTE_KSWAPD : PGDEMOTE_DIRECT, moved);
	left = length_of(pages);
	/* Migration has taken those that went out of nr_isolated; so will put_back(), which knows how many were
	 * isolated. */
	flags = spin_lock_irqsave(&lv->lock);
	lv->nr_isolated += before - left;
	spin_unlock_irqrestore(&lv->lock, flags);
	return before - left;
}
