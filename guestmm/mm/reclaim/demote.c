/*
 * Demotion: cold pages of a node with CPUs move to a node without CPUs instead of to the disk.
 *
 *   node with CPUs ──cold, reclaim──> nearest node without ──cold, reclaim──> swap, or dropped
 *          ^                                │
 *          └───────── touched: numa_balancing=2 (mm/numa/balancing.c) ─┘
 *
 * Reclaim judges pages as usual (evict.c). The pages that it would take are collected, and moved when no page lock
 * is held. A page for which the slow node has no room is judged once more and evicted as usual. Large pages are
 * never demoted: demotion moves single pages only.
 *
 * As in Linux, demotion ignores memory policies; a mapping whose bind forbids the slow node loses its policy_held
 * mark (mbind.c). Unlike Linux 6.1, a memory cgroup at its own limit does not demote, because that would not lower
 * its usage; neither does MADV_PAGEOUT.
 *
 * Locks: none on entry. Source: Documentation/ABI/testing/sysfs-kernel-mm-numa, mm/vmscan.c of Linux 6.1.
 */
#include "mm/phys/alloc.h"
#include "mm/move/migrate.h"
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

/* A page on the nearest slow node, or on the next. The slow node's kswapd is woken if the node is short of
 * memory. */
static struct folio *slow_target(struct folio *src, void *private)
{
	const gfp_t gfp = (GFP_HIGHUSER_MOVABLE & ~__GFP_RECLAIM) | GFP_NOWAIT | __GFP_THISNODE |
			  __GFP_NOMEMALLOC;
	struct page *page = NULL;
	u32 tried = 0;
	int nid;

	while (!page && (nid = demotion_target(*(int *)private, tried)) != NUMA_NO_NODE) {
		page = __alloc_pages_node(nid, migration_gfp(src, gfp), folio_order(src),
					  PAGE_OTHER);
		tried |= 1u << nid;
	}
	return (struct folio *)page;
}

u64 demote_pages(struct list_head *pages, struct lruvec *lv, const struct scan_control *sc)
{
	u64 before = list_length(pages), left;
	int nid = lv->node->id;
	unsigned int moved = 0;
	unsigned long flags;

	migrate_pages(pages, slow_target, NULL, &nid, MIGRATE_ASYNC, MR_DEMOTION, &moved);
	count_vm_events(sc->kswapd ? PGDEMOTE_KSWAPD : PGDEMOTE_DIRECT, moved);
	left = list_length(pages);
	/* Migration has subtracted the moved pages from nr_isolated. put_back() will subtract all that were
	 * isolated, so add them back. */
	flags = spin_lock_irqsave(&lv->lock);
	lv->nr_isolated += before - left;
	spin_unlock_irqrestore(&lv->lock, flags);
	return before - left;
}
