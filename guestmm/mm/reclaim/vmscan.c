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
 * Pages of files that were not used are unmapped, too; those that are clean are freed at once, and
 * leave a shadow where they were; the others wait for the flusher. Shared memory goes to swap, out
 * of its file's tree. How much is taken from anonymous memory and how much from files says
 * scan_balance(): the wish (swappiness), what each has cost lately, and what there is.
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
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/cache/pagecache.h"
#include "mm/virt/rmap.h"
#include "mm/slab/slab.h"
#include "mm/reclaim/vmscan.h"

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

enum page_verdict file_check_references(unsigned int ptes, bool referenced, bool exec)
{
	if (!ptes)
		return PAGE_RECLAIM;
	return referenced || ptes > 1 || exec ? PAGE_ACTIVATE : PAGE_KEEP;
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

void scan_balance(const struct scan_balance *b, u64 target[2])
{
	u64 size[2] = {b->inactive[0] + b->active[0], b->inactive[1] + b->active[1]};
	u64 total, weight[2], sum;

	target[0] = scan_target(size[0], b->priority, b->swappiness, b->can_swap);
	/* Files cost no swap: what counts for them is only that they are there. */
	target[1] = size[1] ? scan_target(size[1], b->priority, 200, true) : 0;
	if (!target[0] || !target[1])
		return;
	if (!b->priority)
		return; /* the last look: everything */
	if (b->file_is_tiny) {
		target[1] = 0; /* the last of the files are what everybody uses */
		return;
	}
	/* Plenty of files that were used once: no reason to touch anything else. */
	if (!inactive_is_low(b->inactive[1], b->active[1]) && b->inactive[1] >> b->priority) {
		target[0] = 0;
		return;
	}
	/* Each gets what was wished for (swappiness of 200), less the more it has cost; but neither
	 * cost counts more than three times the other's. */
	total = b->cost[0] + b->cost[1];
	sum = 3 * total + 2;
	weight[0] = b->swappiness * sum / (total + b->cost[0] + 1);
	weight[1] = (200 - b->swappiness) * sum / (total + b->cost[1] + 1);
	sum = weight[0] + weight[1];
	for (unsigned int i = 0; i < 2; i++)
		target[i] = target[i] * weight[i] / sum;
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
		sc->isolated = lru >= LRU_INACTIVE_FILE ? NR_ISOLATED_FILE : NR_ISOLATED_ANON;
		zone_stat_add(sc->isolated_zone, sc->isolated, taken);
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
		zone_stat_add(sc->isolated_zone, sc->isolated, -(s64)taken);
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

/* Start writing a locked, dirty, unmapped page of a file. It is unlocked, whatever happens. */
static void write_file_page(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);
	struct writeback_control wbc = {.start = page->index,
					.end = page->index + 1,
					.nr_to_write = 1,
					.for_reclaim = true};

	if (!mapping->ops->writepage || !clear_page_dirty_for_io(page)) {
		unlock_page(page);
		return;
	}
	/* An error is remembered for fsync; the page is dirty again. */
	if (!mapping->ops->writepage(page, &wbc) && mapping->ops->writepages_end)
		mapping->ops->writepages_end(mapping, &wbc);
}

/* A locked page of a file that nobody has used. */
static enum outcome shrink_file_page(struct page *page, struct scan_control *sc)
{
	if (page_mapped(page) && !try_to_unmap(page))
		return OUT_ACTIVATE;
	if (PageDirty(page)) {
		/* One page here and one there is what disks are slow at: the flusher writes files
		 * in their order. Only when it does not come along do we. */
		if (!sc->may_writepage || !(sc->gfp & __GFP_FS)) {
			sc->nr_dirty++;
			return OUT_KEEP;
		}
		write_file_page(page);
		return OUT_WRITING;
	}
	return page_cache_evict(page) ? OUT_FREED : OUT_KEEP;
}

/* One locked page, as far as it goes. OUT_WRITING: unlocked already. */
static enum outcome shrink_locked_page(struct page *page, struct scan_control *sc)
{
	bool file = page_is_file_lru(page), referenced, clean;
	unsigned long vm_flags;
	unsigned int ptes;

	if (PageWriteback(page)) {
		sc->nr_dirty += file;
		return OUT_KEEP;
	}
	ptes = page_referenced(page, &vm_flags);
	if (vm_flags & VM_LOCKED)
		return OUT_ACTIVATE;
	referenced = TestClearPageReferenced(page);
	switch (file ? file_check_references(ptes, referenced, vm_flags & VM_EXEC)
		     : page_check_references(ptes, referenced)) {
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
	if (page_mapping_file(page)) {
		if (file)
			return shrink_file_page(page, sc);
		/* Shared memory: into the swap cache, and from there like any other. */
		if (!(sc->gfp & __GFP_IO) || (page_mapped(page) && !try_to_unmap(page)) ||
		    !shmem_writeout(page))
			return OUT_ACTIVATE;
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

static unsigned int shrink_inactive_list(pg_data_t *node, unsigned int file, unsigned int nr,
					 struct scan_control *sc)
{
	unsigned int taken, freed, activated = 0;
	LIST_HEAD(pages);
	LIST_HEAD(keep);
	LIST_HEAD(dead);

	taken = isolate_pages(node, file ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON, nr, sc, &pages);
	sc->nr_scanned += taken;
	count_vm_events(sc->kswapd ? PGSCAN_KSWAPD : PGSCAN_DIRECT, taken);
	count_vm_events(file ? PGSCAN_FILE : PGSCAN_ANON, taken);
	freed = shrink_page_list(&pages, &keep, &dead, &activated, sc);
	putback_pages(node, &keep, taken, sc);
	free_dead_pages(&dead);
	workingset_age(node->id, activated);
	count_vm_events(PGACTIVATE, activated);
	count_vm_events(sc->kswapd ? PGSTEAL_KSWAPD : PGSTEAL_DIRECT, freed);
	count_vm_events(file ? PGSTEAL_FILE : PGSTEAL_ANON, freed);
	lru_note_cost(node, file, 0, activated);
	sc->nr_reclaimed += freed;
	return taken;
}

/* Move pages from the active to the inactive list; their accessed bits start afresh. */
static void shrink_active_list(pg_data_t *node, unsigned int file, unsigned int nr,
			       struct scan_control *sc)
{
	unsigned int taken, deactivated = 0;
	unsigned long vm_flags;
	struct page *page;
	LIST_HEAD(pages);

	taken = isolate_pages(node, file ? LRU_ACTIVE_FILE : LRU_ACTIVE_ANON, nr, sc, &pages);
	count_vm_events(PGREFILL, taken);
	list_for_each_entry (page, &pages, lru) {
		bool anon = PageAnon(page);
		unsigned int ptes;

		/* A page of a file could leave it while we look who maps it. */
		if (!anon && !trylock_page(page))
			continue;
		ptes = page_referenced(page, &vm_flags);
		if (!anon)
			unlock_page(page);
		/* Text that runs stays: a program that waits for its next page waits for the disk. */
		if ((vm_flags & VM_LOCKED) || (file && ptes && (vm_flags & VM_EXEC)))
			continue;
		atomic_and(&page->flags, ~(1ull << PG_active | 1ull << PG_referenced));
		deactivated++;
	}
	count_vm_events(PGDEACTIVATE, deactivated);
	putback_pages(node, &pages, taken, sc);
}

/* Look at up to nr pages of one kind. False: it has none left. */
static bool shrink_lists(pg_data_t *node, unsigned int file, unsigned int nr,
			 struct scan_control *sc)
{
	const u64 *inactive = &node->nr_lru[file ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON];
	const u64 *active = &node->nr_lru[file ? LRU_ACTIVE_FILE : LRU_ACTIVE_ANON];

	if (inactive_is_low(*inactive, *active))
		shrink_active_list(node, file, nr, sc);
	return shrink_inactive_list(node, file, nr, sc) || *active;
}

static bool file_is_tiny(const pg_data_t *node)
{
	u64 have = node->nr_lru[LRU_INACTIVE_FILE] + node->nr_lru[LRU_ACTIVE_FILE], high = 0;

	for (unsigned int i = 0; i < MAX_NR_ZONES; i++) {
		const struct zone *z = &node->zones[i];

		if (!z->managed)
			continue;
		have += zone_stat(z, NR_FREE_PAGES);
		high += z->watermark[WMARK_HIGH];
	}
	return have <= high;
}

void shrink_node(pg_data_t *node, struct scan_control *sc)
{
	struct scan_balance b = {
		.inactive = {node->nr_lru[LRU_INACTIVE_ANON], node->nr_lru[LRU_INACTIVE_FILE]},
		.active = {node->nr_lru[LRU_ACTIVE_ANON], node->nr_lru[LRU_ACTIVE_FILE]},
		.cost = {node->lru_cost[0], node->lru_cost[1]},
		.priority = sc->priority,
		.swappiness = vm_swappiness,
		.can_swap = swap_free_pages() || global_stat(NR_SWAPCACHE) > 0 ||
			    atomic_load(&nr_lazyfree) > 0,
		.file_is_tiny = file_is_tiny(node),
	};
	u64 target[2];

	scan_balance(&b, target);
	while ((target[0] || target[1]) && sc->nr_reclaimed < sc->nr_to_reclaim) {
		for (unsigned int file = 0; file < 2; file++) {
			unsigned int nr = min(target[file], (u64)SWAP_CLUSTER_MAX);

			if (nr && !shrink_lists(node, file, nr, sc))
				nr = target[file];
			target[file] -= nr;
		}
		cond_resched();
	}
	swap_write_flush(&sc->writes);
	if (sc->nr_dirty)
		wakeup_flusher();
	sc->nr_slab += shrink_slab(sc->gfp, sc->priority);
}

/* How long to give the disk, and how often before looking elsewhere. */
#define FLUSHER_WAIT_NS 2000000ull

void reclaim_wait_for_flusher(struct scan_control *sc)
{
	sc->nr_dirty = 0;
	if (global_stat(NR_WRITEBACK) > 0 || global_stat(NR_FILE_DIRTY) > 0)
		sleep_ns(FLUSHER_WAIT_NS);
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
	psi_memstall_enter();
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
		/* The same for files; but who may be what the flusher waits for does not wait. */
		if ((gfp & __GFP_FS) && sc.nr_reclaimed == before && sc.nr_dirty)
			reclaim_wait_for_flusher(&sc);
		if (ti->flags & TIF_KILLED)
			break;
	}
	atomic_and(&ti->flags, ~TIF_MEMALLOC);
	psi_memstall_leave();
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
	sc->isolated = page_is_file_lru(first) ? NR_ISOLATED_FILE : NR_ISOLATED_ANON;
	zone_stat_add(sc->isolated_zone, sc->isolated, taken);
	return taken;
}

static bool evict_clean(struct page *page)
{
	if (PageSwapCache(page))
		return swap_cache_evict(page);
	return page_mapping_file(page) && page_is_file_lru(page) && page_cache_evict(page);
}

/* Free what has been written. Those that somebody came back for stay on the list. */
static unsigned int evict_written(struct list_head *pages, struct list_head *dead)
{
	unsigned int freed = 0;
	struct page *page, *n;

	list_for_each_entry_safe (page, n, pages, lru) {
		wait_on_page_writeback(page);
		if (page_mapped(page) || !trylock_page(page))
			continue;
		if (!page_mapped(page) && !PageWriteback(page) && !PageDirty(page) &&
		    evict_clean(page)) {
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
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = MAX_NR_ZONES - 1, .may_writepage = true};
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
