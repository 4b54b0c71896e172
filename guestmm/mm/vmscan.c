/*
 * Reclaim: find the pages least likely to be missed, and free their frames.
 *
 *                    looked at, 32 at a time
 *   inactive tail ─> used since? ──yes, first time──> head of inactive, marked
 *                         │        yes, again ──────> active
 *                         no
 *                         v
 *                    slot in swap, PTEs replaced by its entry
 *                         │  dirty ──> write, back to the list; its end moves it to the tail
 *                         v  clean
 *                    out of the swap cache, freed
 *
 * A new page starts inactive with the accessed bit of its first touch, so everybody gets a second
 * look. Passes go from priority 12 (little) to 0 (everything) until enough was freed.
 *
 * I1  An isolated page is on no list and we hold a reference; node->nr_isolated counts them.
 * I2  Nothing here waits for memory: requests come from a pool, slots from an array, and who
 *     reclaims has TIF_MEMALLOC, so that what drivers allocate comes from the reserves.
 * I3  No page lock is waited for: a locked page is somebody's, and skipped.
 * I4  A page leaves memory only if the cache's reference and ours are the only ones
 *     (swap_cache_evict), and only if its slot holds its contents or it was never needed.
 *
 * Locks: lru_lock to isolate and put back; everything between runs without spinlocks.
 */
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/alloc.h"
#include "mm/lru.h"
#include "mm/rmap.h"
#include "mm/slab.h"
#include "mm/vmscan.h"

int vm_swappiness = 60;

/* ---- policy -----------------------------------------------------------------------------------
 */

bool inactive_is_low(u64 inactive, u64 active)
{
	u64 gib = (inactive + active) >> (30 - PAGE_SHIFT), ratio = 1;

	while (ratio * ratio < 10 * gib)
		ratio++;
	return inactive * ratio < active;
}

enum page_verdict page_check_references(unsigned int ptes, bool referenced)
{
	if (!ptes)
		return PAGE_RECLAIM;
	return referenced || ptes > 1 ? PAGE_ACTIVATE : PAGE_KEEP;
}

u64 scan_target(u64 size, int priority, int swappiness, bool can_swap)
{
	/* Without a wish to swap only when nothing else is left. */
	if (!can_swap || (!swappiness && priority))
		return 0;
	/* At least a cluster: a write of a few pages costs nearly as much as one of 32. */
	if (size >> priority < SWAP_CLUSTER_MAX)
		return min(size, (u64)SWAP_CLUSTER_MAX);
	return size >> priority;
}

/* ---- isolating and putting back ---------------------------------------------------------------
 */

/* Take up to nr pages from the tail of a list: the oldest becomes the last of `out`. */
static unsigned int isolate_pages(pg_data_t *node, enum lru_list lru, unsigned int nr,
				  struct scan_control *sc, struct list_head *out)
{
	struct list_head *list = &node->lru[lru];
	struct lru_delta d = {0};
	unsigned int taken = 0;
	unsigned long flags = spin_lock_irqsave(&node->lru_lock);

	for (unsigned int seen = 0; seen < nr && !list_empty(list); seen++) {
		struct page *page = list_last_entry(list, struct page, lru);

		/* Of no use to the caller, or about to be freed: out of the way. */
		if (unlikely(page_zone(page)->type > sc->highest || !get_page_unless_zero(page))) {
			list_move(&page->lru, list);
			continue;
		}
		ClearPageLRU(page);
		list_move(&page->lru, out);
		lru_delta_add(&d, page, lru, -1);
		trace_point(ISOLATE, 0, .pfn = page_to_pfn(page), .arg = lru);
		taken++;
	}
	lru_delta_flush(&d);
	node->nr_isolated += taken;
	spin_unlock_irqrestore(&node->lru_lock, flags);
	if (taken) {
		/* A level that is read as a sum: the zone of one page may stand for all. */
		sc->isolated_zone = page_zone(list_first_entry(out, struct page, lru));
		zone_stat_add(sc->isolated_zone, NR_ISOLATED_ANON, taken);
	}
	return taken;
}

/* Return pages to the heads of the lists their flags name, the last (oldest) first, and drop our
 * references. `taken` were isolated. */
static void putback_pages(pg_data_t *node, struct list_head *pages, unsigned int taken,
			  struct scan_control *sc)
{
	struct page *page;
	struct lru_delta d = {0};
	unsigned long flags;
	LIST_HEAD(dead);

	flags = spin_lock_irqsave(&node->lru_lock);
	while (!list_empty(pages)) {
		enum lru_list lru;

		page = list_last_entry(pages, struct page, lru);
		lru = page_lru(page);
		list_del(&page->lru);
		trace_point(PUTBACK, 0, .pfn = page_to_pfn(page), .arg = lru);
		SetPageLRU(page); /* before our reference goes: then whoever drops the last one sees
				     it */
		/* Written already: its end found it on no list. */
		if (lru == LRU_INACTIVE_ANON && PageReclaim(page) && !PageWriteback(page))
			list_add_tail(&page->lru, &node->lru[lru]);
		else
			list_add(&page->lru, &node->lru[lru]);
		lru_delta_add(&d, page, lru, 1);
		if (unlikely(atomic_dec_and_test(&page->refcount))) {
			ClearPageLRU(page);
			list_move(&page->lru, &dead);
			lru_delta_add(&d, page, lru, -1);
		}
	}
	lru_delta_flush(&d);
	node->nr_isolated -= taken;
	spin_unlock_irqrestore(&node->lru_lock, flags);
	if (taken)
		zone_stat_add(sc->isolated_zone, NR_ISOLATED_ANON, -(s64)taken);
	free_dead_pages(&dead);
}

/* ---- a batch of inactive pages ----------------------------------------------------------------
 */

static bool page_is_zero(const u64 *w)
{
	for (unsigned int i = 0; i < PAGE_SIZE / sizeof(*w); i++)
		if (w[i])
			return false;
	return true;
}

/* The slot of a page that is all zeroes needs no disk. Returns whether it was recorded so. */
static bool record_zero_page(struct page *page)
{
	swp_entry_t e = {page->private_};
	struct swap_info *si = swap_area(e);
	bool zero = page_is_zero(page_address(page));

	/* The second look of a slot: what it says must become true either way. */
	if (zero || (READ_ONCE(si->map[swp_offset(e)]) & SWAP_MAP_ZERO)) {
		spin_lock(&si->lock);
		if (zero)
			si->map[swp_offset(e)] |= SWAP_MAP_ZERO;
		else
			si->map[swp_offset(e)] &= ~SWAP_MAP_ZERO;
		spin_unlock(&si->lock);
	}
	if (zero) {
		ClearPageDirty(page);
		count_vm_event(SWPOUT_ZERO);
		trace_point(SWAP_OUT_ZERO, e.v, .pfn = page_to_pfn(page));
	}
	return zero;
}

enum outcome { OUT_FREED, OUT_KEEP, OUT_ACTIVATE, OUT_WRITING };

/* One locked page, as far as it goes. OUT_WRITING: unlocked already. */
static enum outcome shrink_locked_page(struct page *page, struct scan_control *sc)
{
	unsigned long vm_flags;
	unsigned int ptes;
	bool clean;

	if (PageWriteback(page))
		return OUT_KEEP;
	ptes = page_referenced(page, &vm_flags);
	if (vm_flags & VM_LOCKED)
		return OUT_ACTIVATE;
	switch (page_check_references(ptes, TestClearPageReferenced(page))) {
	case PAGE_KEEP:
		SetPageReferenced(page);
		return OUT_KEEP;
	case PAGE_ACTIVATE:
		return OUT_ACTIVATE;
	case PAGE_RECLAIM:
		break;
	}
	if (PageError(page) && PageDirty(page)) {
		/* A write failed: go round once before the next try. */
		ClearPageError(page);
		return OUT_ACTIVATE;
	}
	if (PageLazyfree(page) && !PageSwapCache(page) && page_mapped(page)) {
		if (try_to_discard(page) && atomic_cmpxchg(&page->refcount, 1, 0) == 1)
			return OUT_FREED;
		page_clear_lazyfree(page); /* written again: like any other */
	}
	if (!PageSwapCache(page)) {
		if (!page_mapped(page))
			return OUT_KEEP; /* its owner is letting go of it */
		if (!(sc->gfp & __GFP_IO) || !add_to_swap(page))
			return OUT_ACTIVATE; /* swap is full: no use in looking again soon */
	}
	if (page_mapped(page) && !try_to_unmap(page)) {
		try_to_free_swap(page);
		return OUT_ACTIVATE;
	}
	clean = !PageDirty(page);
	if (!clean) {
		if (!swap_users((swp_entry_t){page->private_})) {
			/* Unmapped for good while we held it: nobody wants the contents. */
			ClearPageDirty(page);
		} else if (!record_zero_page(page)) {
			if (!(sc->gfp & __GFP_IO))
				return OUT_KEEP;
			swap_write_page(&sc->writes, page);
			return OUT_WRITING;
		}
	}
	clean = clean && !PageReclaim(page); /* and was not written by us just now */
	if (!swap_cache_evict(page))
		return OUT_KEEP;
	if (clean)
		count_vm_event(MMVM_SWAP_DROP_CLEAN);
	return OUT_FREED;
}

/* Isolated pages: what was freed goes to `dead`, the rest to `keep`. Returns how many were freed. */
static unsigned int shrink_page_list(struct list_head *pages, struct list_head *keep,
				     struct list_head *dead, unsigned int *activated,
				     struct scan_control *sc)
{
	unsigned int freed = 0;

	while (!list_empty(pages)) {
		struct page *page = list_last_entry(pages, struct page, lru);
		enum outcome what = OUT_KEEP;

		list_del(&page->lru);
		if (trylock_page(page)) {
			what = shrink_locked_page(page, sc);
			if (what == OUT_FREED)
				ClearPageLocked(page); /* nobody can wait: no references */
			else if (what != OUT_WRITING)
				unlock_page(page);
		}
		if (what == OUT_FREED) {
			list_add_tail(&page->lru, dead);
			freed++;
			continue;
		}
		if (what == OUT_ACTIVATE) {
			SetPageActive(page);
			(*activated)++;
		}
		list_add(&page->lru, keep);
	}
	return freed;
}

static unsigned int shrink_inactive_list(pg_data_t *node, unsigned int nr, struct scan_control *sc)
{
	unsigned int taken, freed, activated = 0;
	LIST_HEAD(pages);
	LIST_HEAD(keep);
	LIST_HEAD(dead);

	taken = isolate_pages(node, LRU_INACTIVE_ANON, nr, sc, &pages);
	sc->nr_scanned += taken;
	count_vm_events(sc->kswapd ? PGSCAN_KSWAPD : PGSCAN_DIRECT, taken);
	count_vm_events(PGSCAN_ANON, taken);
	freed = shrink_page_list(&pages, &keep, &dead, &activated, sc);
	putback_pages(node, &keep, taken, sc);
	free_dead_pages(&dead);
	workingset_age(node->id, activated);
	count_vm_events(PGACTIVATE, activated);
	count_vm_events(sc->kswapd ? PGSTEAL_KSWAPD : PGSTEAL_DIRECT, freed);
	count_vm_events(PGSTEAL_ANON, freed);
	sc->nr_reclaimed += freed;
	return taken;
}

/* Move pages from the active to the inactive list; their accessed bits start afresh. */
static void shrink_active_list(pg_data_t *node, unsigned int nr, struct scan_control *sc)
{
	unsigned int taken, deactivated = 0;
	unsigned long vm_flags;
	struct page *page;
	LIST_HEAD(pages);

	taken = isolate_pages(node, LRU_ACTIVE_ANON, nr, sc, &pages);
	count_vm_events(PGREFILL, taken);
	list_for_each_entry (page, &pages, lru) {
		page_referenced(page, &vm_flags);
		if (vm_flags & VM_LOCKED)
			continue;
		atomic_and(&page->flags, ~(1ull << PG_active | 1ull << PG_referenced));
		deactivated++;
	}
	count_vm_events(PGDEACTIVATE, deactivated);
	putback_pages(node, &pages, taken, sc);
}

void shrink_node(pg_data_t *node, struct scan_control *sc)
{
	u64 inactive = node->nr_lru[LRU_INACTIVE_ANON], active = node->nr_lru[LRU_ACTIVE_ANON];
	bool can_swap =
		swap_free_pages() || global_stat(NR_SWAPCACHE) > 0 || atomic_load(&nr_lazyfree) > 0;
	u64 target = scan_target(inactive + active, sc->priority, vm_swappiness, can_swap);

	while (target && sc->nr_reclaimed < sc->nr_to_reclaim) {
		unsigned int nr = min(target, (u64)SWAP_CLUSTER_MAX);

		if (inactive_is_low(node->nr_lru[LRU_INACTIVE_ANON], node->nr_lru[LRU_ACTIVE_ANON]))
			shrink_active_list(node, nr, sc);
		if (!shrink_inactive_list(node, nr, sc) && !node->nr_lru[LRU_ACTIVE_ANON])
			break;
		target -= nr;
		cond_resched();
	}
	swap_write_flush(&sc->writes);
	sc->nr_slab += shrink_slab(sc->gfp, sc->priority);
}

unsigned long try_to_free_pages(gfp_t gfp, unsigned int order)
{
	struct scan_control sc = {.gfp = gfp,
				  .order = order,
				  .highest = gfp_zone(gfp),
				  .nr_to_reclaim = SWAP_CLUSTER_MAX};
	struct thread_info *ti = current_thread_info();
	bool may_wait = gfp & __GFP_IO;

	trace_point(DIRECT_BEGIN, 0, .order = order);
	atomic_or(&ti->flags, TIF_MEMALLOC);
	lru_add_drain();
	/* What is on its way to the disk is the nearest memory there is. Not for callers that may
	 * be what the disk waits for. */
	if (may_wait && swap_writes_in_flight() >= SWAP_CLUSTER_MAX)
		swap_wait_for_write();
	for (sc.priority = DEF_PRIORITY; sc.priority >= 0; sc.priority--) {
		u64 before = sc.nr_reclaimed;

		for (unsigned int i = 0; i < MMVM_MAX_NODES; i++)
			if (node_data[i].present)
				shrink_node(&node_data[i], &sc);
		if (sc.nr_reclaimed >= sc.nr_to_reclaim)
			break;
		/* What we have written becomes free when the disk is done: wait for it rather than
		 * go on to pages that are in use. */
		if (may_wait && sc.nr_reclaimed == before && swap_writes_in_flight()) {
			swap_wait_for_write();
			sc.priority++;
		}
		if (ti->flags & TIF_KILLED)
			break;
	}
	atomic_and(&ti->flags, ~TIF_MEMALLOC);
	trace_point(DIRECT_END, sc.nr_reclaimed, .order = order);
	if (sc.nr_reclaimed)
		for (unsigned int i = 0; i < MMVM_MAX_NODES; i++)
			node_data[i].reclaim_failures = 0;
	return sc.nr_reclaimed ? sc.nr_reclaimed : sc.nr_slab != 0;
}

/* ---- on request -------------------------------------------------------------------------------
 */

/* Move the pages of one node, that of the first, to `out`, and count them as isolated. */
static unsigned int take_one_node(struct list_head *pages, struct list_head *out,
				  struct scan_control *sc)
{
	struct page *first = list_first_entry(pages, struct page, lru), *page, *n;
	unsigned int taken = 0;

	list_for_each_entry_safe (page, n, pages, lru) {
		if (page_node_id(page) != page_node_id(first))
			continue;
		list_move(&page->lru, out);
		taken++;
	}
	sc->isolated_zone = page_zone(first);
	zone_stat_add(sc->isolated_zone, NR_ISOLATED_ANON, taken);
	return taken;
}

/* Free what has been written. Those that somebody came back for stay on the list. */
static unsigned int evict_written(struct list_head *pages, struct list_head *dead)
{
	unsigned int freed = 0;
	struct page *page, *n;

	list_for_each_entry_safe (page, n, pages, lru) {
		wait_on_page_writeback(page);
		if (!PageSwapCache(page) || page_mapped(page) || !trylock_page(page))
			continue;
		if (PageSwapCache(page) && !page_mapped(page) && !PageWriteback(page) &&
		    !PageDirty(page) && swap_cache_evict(page)) {
			ClearPageLocked(page);
			list_move_tail(&page->lru, dead);
			freed++;
		} else {
			unlock_page(page);
		}
	}
	return freed;
}

u64 reclaim_pages(struct list_head *pages)
{
	struct scan_control sc = {.gfp = GFP_KERNEL, .highest = MAX_NR_ZONES - 1};
	struct thread_info *ti = current_thread_info();

	while (!list_empty(pages)) {
		pg_data_t *node = page_pgdat(list_first_entry(pages, struct page, lru));
		unsigned int taken, activated = 0;
		LIST_HEAD(of_node);
		LIST_HEAD(keep);
		LIST_HEAD(dead);

		taken = take_one_node(pages, &of_node, &sc);
		atomic_or(&ti->flags, TIF_MEMALLOC);
		sc.nr_reclaimed += shrink_page_list(&of_node, &keep, &dead, &activated, &sc);
		swap_write_flush(&sc.writes);
		sc.nr_reclaimed += evict_written(&keep, &dead);
		atomic_and(&ti->flags, ~TIF_MEMALLOC);
		putback_pages(node, &keep, taken, &sc);
		free_dead_pages(&dead);
		count_vm_events(PGACTIVATE, activated);
	}
	return sc.nr_reclaimed;
}

void deactivate_pages(struct list_head *pages)
{
	struct scan_control sc = {0};

	while (!list_empty(pages)) {
		pg_data_t *node = page_pgdat(list_first_entry(pages, struct page, lru));
		unsigned int taken;
		struct page *page;
		LIST_HEAD(of_node);

		taken = take_one_node(pages, &of_node, &sc);
		list_for_each_entry (page, &of_node, lru)
			atomic_and(&page->flags, ~(1ull << PG_active | 1ull << PG_referenced));
		count_vm_events(PGDEACTIVATE, taken);
		putback_pages(node, &of_node, taken, &sc);
	}
}
