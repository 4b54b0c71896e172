/*
 * Reclaim: passes over the lists until enough is free.
 *
 *   try_to_free_pages (an allocation)  ┐                        for each lruvec of the node:
 *   balance_pgdat (kswapd)             ├─> shrink_node ─────────> shrink_lruvec:
 *   a memory cgroup at its limit       ┘   (a group's subtree)      policy->plan
 *                                                                   policy->age, isolate
 *                                                                   evict_isolated
 *                                                                   policy->put_back
 *
 * Passes have priorities from 12 (look at little) to 0 (at everything), until nr_to_reclaim pages
 * are free.
 *
 * Locks: none are held on entry. lruvec->lock is taken by the policy's operations; everything
 * between isolate and put_back runs without spinlocks.
 */
#include "lib/trace.h"
#include "mm/phys/alloc.h"
#include "mm/cache/pagecache.h"
#include "mm/memcg/memcg.h"
#include "arch/static_key.h"
#include "mm/reclaim/demote.h"
#include "mm/reclaim/lru.h"
#include "mm/slab/slab.h"
#include "mm/reclaim/vmscan.h"

int vm_swappiness = 60;

/* Isolate up to nr pages of one kind and take those that the policy lets go. False: there are none
 * left. */
static bool shrink_kind(struct lruvec *lv, unsigned int file, unsigned int nr,
			struct scan_control *sc)
{
	struct isolated iso = ISOLATED_INIT(iso, lv, file);
	struct evict_result result;
	LIST_HEAD(dead);
	u64 taken;

	if (lv->policy->age)
		lv->policy->age(lv, file, nr, sc);
	taken = lv->policy->isolate(&iso, nr, sc);
	sc->nr_scanned += taken;
	count_lruvec_events(lv, sc->kswapd ? PGSCAN_KSWAPD : PGSCAN_DIRECT, taken);
	count_lruvec_events(lv, file ? PGSCAN_FILE : PGSCAN_ANON, taken);
	evict_isolated(&iso, &dead, sc, &result);
	lv->policy->put_back(&iso);
	free_dead_pages(&dead);
	count_lruvec_events(lv, PGACTIVATE, result.activated);
	count_lruvec_events(lv, sc->kswapd ? PGSTEAL_KSWAPD : PGSTEAL_DIRECT, result.freed);
	count_lruvec_events(lv, file ? PGSTEAL_FILE : PGSTEAL_ANON, result.freed);
	sc->nr_reclaimed += result.freed;
	return taken || lruvec_level(lv, file ? NR_ACTIVE_FILE : NR_ACTIVE_ANON);
}

static bool file_is_tiny(const pg_data_t *node)
{
	u64 have = node_lru_level(node, NR_INACTIVE_FILE) + node_lru_level(node, NR_ACTIVE_FILE);
	u64 high = 0;

	for (unsigned int i = 0; i < MAX_NR_ZONES; i++) {
		const struct zone *z = &node->zones[i];

		if (!z->managed)
			continue;
		have += zone_stat(z, NR_FREE_PAGES);
		high += z->watermark[WMARK_HIGH];
	}
	return have <= high;
}

/* The part of a target that a group's protection leaves, but never nothing at all: a group slightly above
 * its protection would stall its own reclaim. */
static u64 unprotected(u64 target, u64 usage, u64 protection)
{
	if (!protection || !target || !usage)
		return target;
	protection = min(protection, usage);
	return max(target * (usage - protection) / usage, (u64)SWAP_CLUSTER_MAX);
}

/* Does its own protection hold against this reclaim? Not against the group's own limit. */
static bool may_be_protected(const struct mem_cgroup *memcg, const struct scan_control *sc)
{
	return mem_cgroup_enabled() && !mem_cgroup_is_root(memcg) && memcg != sc->target;
}

/* Take from the targets what the group's protection keeps, at every priority. */
static void keep_protected(const struct mem_cgroup *memcg, struct scan_control *sc, u64 target[2])
{
	u64 hard = READ_ONCE(memcg->memory.effective_min);
	u64 soft = READ_ONCE(memcg->memory.effective_low);
	u64 usage = page_counter_read(&memcg->memory);

	if (soft > hard && !sc->low_is_reclaimed) {
		hard = soft;
		sc->low_was_skipped = true; /* there is more, should this not be enough */
	}
	for (unsigned int file = 0; file < 2; file++)
		target[file] = unprotected(target[file], usage, hard);
}

/* Pages that the group may still give until it is at its effective memory.min. */
static u64 above_min(const struct mem_cgroup *memcg, const struct scan_control *sc)
{
	u64 usage, hard;

	if (!may_be_protected(memcg, sc))
		return ~0ull;
	hard = READ_ONCE(memcg->memory.effective_min);
	usage = page_counter_read(&memcg->memory);
	return usage > hard ? usage - hard : 0;
}

void shrink_lruvec(struct lruvec *lv, struct scan_control *sc)
{
	const struct mem_cgroup *memcg = mem_cgroup_from_id(lv->memcg);
	const int swappiness = sc->target ? sc->swappiness : READ_ONCE(vm_swappiness);
	const struct reclaim_pressure p = {
		.priority = sc->priority,
		.swappiness = swappiness,
		/* A group with swappiness 0 does not swap, as on Linux; the machine does, if nothing else is left. */
		.can_swap = !sc->no_swap && (swappiness || !sc->target) &&
			    (mem_cgroup_swap_room(memcg) || global_stat(NR_SWAPCACHE) > 0 ||
			     atomic_load(&nr_lazyfree) > 0 ||
			     (static_key(KEY_NUMA) && can_demote(lv->node, sc))),
		.file_is_tiny = !sc->target && file_is_tiny(lv->node),
	};
	u64 target[2], before = sc->nr_reclaimed;

	lv->policy->plan(lv, &p, target);
	if (may_be_protected(memcg, sc))
		keep_protected(memcg, sc, target);
	/* Each group gives its share, even if other groups have given enough already. */
	while ((target[0] || target[1]) && sc->nr_reclaimed - before < sc->nr_to_reclaim &&
	       above_min(memcg, sc)) {
		for (unsigned int file = 0; file < 2; file++) {
			u64 most = min((u64)SWAP_CLUSTER_MAX, above_min(memcg, sc));
			unsigned int nr = min(target[file], most);

			if (nr && !shrink_kind(lv, file, nr, sc))
				nr = target[file];
			target[file] -= nr;
		}
		cond_resched();
	}
}

/* May the group's pages be reclaimed, or does its protection forbid it? */
static bool group_gives(struct lruvec *lv, struct scan_control *sc)
{
	struct mem_cgroup *memcg = mem_cgroup_from_id(lv->memcg);

	if (likely(!mem_cgroup_enabled()))
		return true;
	switch (mem_cgroup_update_protection(sc->target ? sc->target : &root_mem_cgroup, memcg)) {
	case MEMCG_BELOW_MIN:
		return false;
	case MEMCG_BELOW_LOW:
		if (!sc->low_is_reclaimed) {
			sc->low_was_skipped = true;
			return false;
		}
		mem_cgroup_event(memcg, MEMCG_LOW);
		break;
	case MEMCG_UNPROTECTED:
		break;
	}
	return true;
}

void shrink_node(pg_data_t *node, struct scan_control *sc)
{
	for (struct lruvec *lv = NULL; (lv = next_lruvec(node, sc->target, lv)) != NULL;) {
		struct shrink_control slab = {.gfp = sc->gfp,
					      .node = node->id,
					      .memcg = mem_cgroup_from_id(lv->memcg),
					      .priority = sc->priority,
					      .kswapd = sc->kswapd};

		if (!group_gives(lv, sc))
			continue;
		shrink_lruvec(lv, sc);
		sc->nr_slab += shrink_slab_group(&slab);
	}
	swap_write_flush(&sc->writes);
	if (sc->nr_dirty)
		wakeup_flusher();
}

/* How long to wait for the disk, and how often, before taking other pages. */
#define FLUSHER_WAIT_NS 2000000ull

void reclaim_wait_for_flusher(struct scan_control *sc)
{
	sc->nr_dirty = 0;
	if (global_stat(NR_WRITEBACK) > 0 || global_stat(NR_FILE_DIRTY) > 0)
		sleep_ns(FLUSHER_WAIT_NS);
}

/* Passes of rising urgency over all nodes, for a task that waits for the result. */
static void reclaim_directly(struct scan_control *sc)
{
	struct thread_info *ti = current_thread_info();
	bool may_wait = sc->gfp & __GFP_IO;

	psi_memstall_enter();
	atomic_or(&ti->flags, TIF_MEMALLOC);
	lru_add_drain();
	/* Pages that are being written are free soonest, so wait for them. A caller that the disk may depend on
	 * does not wait. */
	if (may_wait && swap_writes_in_flight() >= SWAP_CLUSTER_MAX)
		swap_wait_for_write();
	for (sc->priority = DEF_PRIORITY; sc->priority >= 0; sc->priority--) {
		u64 before = sc->nr_reclaimed;

		for (unsigned int i = 0; i < MMVM_MAX_NODES; i++)
			if (node_data[i].present && (sc->nodes & 1u << i))
				shrink_node(&node_data[i], sc);
		if (sc->nr_reclaimed >= sc->nr_to_reclaim)
			break;
		/* The pages written above become free when the disk is done. Wait for it rather than go on to pages
		 * that are in use. */
		if (may_wait && sc->nr_reclaimed == before && swap_writes_in_flight()) {
			swap_wait_for_write();
			sc->priority++;
		}
		/* The same for files. A thread that the flusher may wait for does not wait. */
		if ((sc->gfp & __GFP_FS) && sc->nr_reclaimed == before && sc->nr_dirty)
			reclaim_wait_for_flusher(sc);
		if (ti->flags & TIF_KILLED)
			break;
		/* Only memory protected by memory.low is left. */
		if (!sc->priority && !sc->nr_reclaimed && sc->low_was_skipped &&
		    !sc->low_is_reclaimed) {
			sc->low_is_reclaimed = true;
			sc->priority = DEF_PRIORITY;
		}
	}
	atomic_and(&ti->flags, ~TIF_MEMALLOC);
	psi_memstall_leave();
}

unsigned long try_to_free_node_pages(u32 nodes, gfp_t gfp, unsigned int order)
{
	struct scan_control sc = {.gfp = gfp,
				  .order = order,
				  .nodes = nodes,
				  .highest = gfp_zone(gfp),
				  .nr_to_reclaim = SWAP_CLUSTER_MAX};

	trace_point(DIRECT_BEGIN, 0, .order = order);
	reclaim_directly(&sc);
	trace_point(DIRECT_END, sc.nr_reclaimed, .order = order);
	if (sc.nr_reclaimed)
		for (unsigned int i = 0; i < MMVM_MAX_NODES; i++)
			node_data[i].reclaim_failures = 0;
	return sc.nr_reclaimed ? sc.nr_reclaimed : sc.nr_slab != 0;
}

unsigned long try_to_free_pages(gfp_t gfp, unsigned int order)
{
	return try_to_free_node_pages(ALL_NODES, gfp, order);
}

u64 try_to_free_group_pages(struct mem_cgroup *memcg, u64 nr, gfp_t gfp)
{
	return try_to_free_group_pages_by(memcg, nr, gfp, READ_ONCE(vm_swappiness));
}

u64 try_to_free_group_pages_by(struct mem_cgroup *memcg, u64 nr, gfp_t gfp, int swappiness)
{
	struct scan_control sc = {.gfp = gfp,
				  .target = memcg,
				  .swappiness = swappiness,
				  .nodes = ALL_NODES,
				  .highest = MAX_NR_ZONES - 1,
				  .may_writepage = true,
				  .nr_to_reclaim = max(nr, (u64)SWAP_CLUSTER_MAX)};

	trace_point(DIRECT_BEGIN, 0);
	reclaim_directly(&sc);
	trace_point(DIRECT_END, sc.nr_reclaimed);
	return sc.nr_reclaimed;
}

/* ---- on request ---- */

u64 reclaim_pages(struct list_head *pages)
{
	struct scan_control sc = {.gfp = GFP_KERNEL,
				  .highest = MAX_NR_ZONES - 1,
				  .no_demotion = true,
				  .may_writepage = true};
	struct thread_info *ti = current_thread_info();

	while (!list_empty(pages)) {
		struct isolated iso = ISOLATED_INIT(iso, NULL, 0);
		struct evict_result result;
		LIST_HEAD(dead);

		isolated_take(&iso, pages);
		atomic_or(&ti->flags, TIF_MEMALLOC);
		evict_isolated(&iso, &dead, &sc, &result);
		swap_write_flush(&sc.writes);
		sc.nr_reclaimed += result.freed + evict_written(&iso.pages, &dead);
		atomic_and(&ti->flags, ~TIF_MEMALLOC);
		iso.lruvec->policy->put_back(&iso);
		free_dead_pages(&dead);
		count_vm_events(PGACTIVATE, result.activated);
	}
	return sc.nr_reclaimed;
}

void deactivate_pages(struct list_head *pages)
{
	while (!list_empty(pages)) {
		struct isolated iso = ISOLATED_INIT(iso, NULL, 0);
		struct page *page;

		count_vm_events(PGDEACTIVATE, isolated_take(&iso, pages));
		list_for_each_entry (page, &iso.pages, lru)
			iso.lruvec->policy->demote(page);
		iso.lruvec->policy->put_back(&iso);
	}
}
