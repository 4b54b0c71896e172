/*
 * Allocating when memory is short: what alloc_pages_where() does after the first walk of the zonelist found
 * no zone above its low mark.
 *
 *   1. wake kswapd, then look again: down to min, or deeper as flags allow
 *   2. direct compaction, for blocks, before pages are evicted for them
 *   3. direct reclaim; once, drain the per-CPU lists of all CPUs
 *   4. compaction again, waiting for pages that are under I/O
 *   5. retry while reclaim makes progress, up to MAX_RECLAIM_RETRIES rounds without any
 *   6. the OOM killer
 *
 * What each flag of the allocation means here is listed in page_alloc.c.
 *
 * Locks: none held here. Reclaim, compaction and the OOM killer take their own and may sleep.
 */
#include "mm/move/compaction.h"
#include "mm/phys/internal.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/oom.h"
#include "mm/reclaim/reclaim.h"
#include "mm/swap/swap.h"

#define COSTLY_ORDER	    3 /* larger blocks are not worth killing or looping for */
#define MAX_RECLAIM_RETRIES 16
#define RETRY_NS	    1000000ull /* wait for others to free */

static unsigned int gfp_to_alloc_flags(gfp_t gfp)
{
	unsigned int alloc_flags = 0;

	if (gfp & __GFP_HIGH)
		alloc_flags |= ALLOC_HIGH;
	if ((gfp & (__GFP_HIGH | __GFP_DIRECT_RECLAIM)) == __GFP_HIGH)
		alloc_flags |= ALLOC_HARDER;
	if (!(gfp & __GFP_NOMEMALLOC) &&
	    ((gfp & __GFP_MEMALLOC) ||
	     current_thread_info()->flags & (TIF_MEMALLOC | TIF_OOM_VICTIM | TIF_KILLED)))
		alloc_flags |= ALLOC_NO_WATERMARKS;
	return alloc_flags;
}

static void wake_all_kswapds(struct alloc_where w, gfp_t gfp, unsigned int order)
{
	enum zone_type highest = gfp_zone(gfp);
	pg_data_t *last = NULL;

	for (struct zone **zp = w.node->zonelist; *zp; zp++) {
		if ((*zp)->type > highest || (*zp)->node == last || alloc_outside(*zp, w))
			continue;
		last = (*zp)->node;
		wakeup_kswapd(*zp, gfp, order, highest);
	}
}

/* Would some zone be above min if everything that reclaim can reach were freed? */
static bool reclaim_could_help(struct alloc_where w, gfp_t gfp, unsigned int order)
{
	enum zone_type highest = gfp_zone(gfp);

	for (struct zone **zp = w.node->zonelist; *zp; zp++) {
		struct zone *z = *zp;
		s64 reclaimable;

		if (z->type > highest || alloc_outside(z, w))
			continue;
		reclaimable = zone_stat(z, NR_INACTIVE_FILE) + zone_stat(z, NR_ACTIVE_FILE) +
			      zone_stat(z, NR_SLAB_RECLAIMABLE);
		/* When swap is full, pages that have a slot already can still be reclaimed. */
		if (swap_free_pages())
			reclaimable += zone_stat(z, NR_INACTIVE_ANON) +
				       zone_stat(z, NR_ACTIVE_ANON) +
				       zone_stat(z, NR_ISOLATED_ANON);
		else
			reclaimable += zone_stat(z, NR_SWAPCACHE);
		if (reclaimable + zone_stat(z, NR_FREE_PAGES) >
		    (s64)(z->watermark[WMARK_MIN] + z->lowmem_reserve[highest]) + (1l << order))
			return true;
	}
	return false;
}

/* Is the block missing only because memory is in pieces? Then make it, before pages are thrown out. */
static struct page *alloc_direct_compact(struct alloc_where w, gfp_t gfp, unsigned int order,
					 unsigned int alloc_flags, enum migrate_mode mode)
{
	enum compact_result ret;
	struct page *page;

	ret = try_to_compact_pages(w.node, gfp, order, mode);
	if (ret == COMPACT_SKIPPED || ret == COMPACT_DEFERRED)
		return NULL;
	count_vm_event(COMPACT_STALL);
	page = get_page_from_freelist(w, gfp, order, WMARK_MIN, alloc_flags);
	if (page) {
		count_vm_event(COMPACTSUCCESS);
		compaction_defer_reset(page_zone(page), order);
		return page;
	}
	count_vm_event(COMPACTFAIL);
	return NULL;
}

static void warn_alloc(gfp_t gfp, unsigned int order)
{
	if (gfp & __GFP_NOWARN)
		return;
	printk("page allocation failure: order:%u, gfp:0x%x, free:%lu pages\n", order, gfp,
	       (unsigned long)nr_free_pages());
}

/* What one allocation has tried so far. */
struct attempt {
	struct alloc_where where;
	gfp_t gfp;
	unsigned int order;
	unsigned int alloc_flags;
	unsigned int no_progress; /* rounds of reclaim in a row that freed nothing we can use */
	bool compacted, drained;  /* done once an allocation */
};

static struct page *take(const struct attempt *a)
{
	return get_page_from_freelist(a->where, a->gfp, a->order, WMARK_MIN, a->alloc_flags);
}

/* One round of making memory: a page, or NULL and in `progress` how many pages reclaim freed. */
static struct page *make_memory(struct attempt *a, unsigned long *progress)
{
	struct page *page;

	*progress = 0;
	/* A caller without __GFP_IO may hold a lock that moving a page would wait for. */
	if (a->order && (a->gfp & __GFP_IO) && !a->compacted) {
		a->compacted = true;
		page = alloc_direct_compact(a->where, a->gfp, a->order, a->alloc_flags,
					    MIGRATE_ASYNC);
		if (page)
			return page;
	}
	count_vm_event(ALLOCSTALL);
	*progress = try_to_free_node_pages(a->where.nodes, a->gfp, a->order);
	page = take(a);
	if (page)
		return page;
	if (!a->drained) {
		/* Pages that were freed may lie in per-CPU lists, where they do not merge. */
		a->drained = true;
		lru_add_drain_all();
		drain_all_pages();
		page = take(a);
		if (page)
			return page;
	}
	if (a->order && (a->gfp & (__GFP_IO | __GFP_NORETRY)) == __GFP_IO)
		return alloc_direct_compact(a->where, a->gfp, a->order, a->alloc_flags,
					    MIGRATE_SYNC_LIGHT);
	return NULL;
}

/* Has another round of reclaim a chance? */
static bool worth_a_round(struct attempt *a, unsigned long progress)
{
	a->no_progress = progress && a->order <= COSTLY_ORDER ? 0 : a->no_progress + 1;
	return a->no_progress <= MAX_RECLAIM_RETRIES &&
	       reclaim_could_help(a->where, a->gfp, a->order);
}

/* May the OOM killer be called for this allocation? */
static bool may_kill(const struct attempt *a)
{
	return !(a->alloc_flags & ALLOC_NO_WATERMARKS) && /* dying: killing more would not help */
	       !(a->gfp & (__GFP_RETRY_MAYFAIL | __GFP_THISNODE)) && (a->gfp & __GFP_FS) &&
	       a->order <= COSTLY_ORDER;
}

/* Kill, unless another thread does so already. A page, or NULL; `again`: memory is being freed. */
static struct page *kill_for_memory(const struct attempt *a, bool *again)
{
	struct page *page;

	*again = true;
	if (!oom_trylock())
		return NULL;
	/* Another thread may have freed pages or killed a process meanwhile. With oom_lock held
	 * nobody else does: look at the lists once more. */
	page = get_page_from_freelist(a->where, a->gfp, a->order, WMARK_HIGH, 0);
	if (!page)
		*again = out_of_memory_on(a->where.nodes, a->gfp, a->order);
	oom_unlock();
	return page;
}

/* Wake kswapd and look down to min, or deeper where flags allow: with luck, this is all. */
static inline struct page *wake_and_take(struct alloc_where w, gfp_t gfp, unsigned int order,
					 unsigned int *alloc_flags)
{
	if (gfp & __GFP_KSWAPD_RECLAIM)
		wake_all_kswapds(w, gfp, order);
	*alloc_flags = gfp_to_alloc_flags(gfp);
	return get_page_from_freelist(w, gfp, order, WMARK_MIN, *alloc_flags);
}

/* wake_and_take() found nothing: all else that this allocation may do, until there is a page or nothing is
 * left to try (NULL). */
static struct page *alloc_persistently(struct attempt *a)
{
	for (;;) {
		unsigned long progress;
		struct page *page;
		bool again;

		/* A thread that reclaims must not wait for reclaim. */
		if (!(a->gfp & __GFP_DIRECT_RECLAIM) ||
		    (current_thread_info()->flags & TIF_MEMALLOC))
			return NULL;
		page = make_memory(a, &progress);
		if (page)
			return page;
		if (a->gfp & __GFP_NORETRY)
			return NULL;
		if (a->order > COSTLY_ORDER && !(a->gfp & (__GFP_RETRY_MAYFAIL | __GFP_NOFAIL)))
			return NULL;
		if (worth_a_round(a, progress)) {
			cond_resched();
		} else {
			if (!may_kill(a))
				return NULL;
			page = kill_for_memory(a, &again);
			if (page || !again)
				return page;
			a->no_progress = 0;
			sleep_ns(RETRY_NS);
		}
		page = wake_and_take(a->where, a->gfp, a->order, &a->alloc_flags);
		if (page)
			return page;
	}
}

static __attribute__((noinline)) struct page *
alloc_hard(struct alloc_where w, gfp_t gfp, unsigned int order, unsigned int alloc_flags)
{
	struct attempt a = {.where = w, .gfp = gfp, .order = order, .alloc_flags = alloc_flags};
	struct page *page;

	for (;;) {
		page = alloc_persistently(&a);
		if (page)
			return page;
		if (!(gfp & __GFP_NOFAIL)) {
			warn_alloc(gfp, order);
			return NULL;
		}
		a.alloc_flags = ALLOC_NO_WATERMARKS;
		page = take(&a);
		if (page)
			return page;
		a.no_progress = 0;
		sleep_ns(RETRY_NS);
		page = wake_and_take(w, gfp, order, &a.alloc_flags);
		if (page)
			return page;
	}
}

struct page *alloc_slowpath(struct alloc_where w, gfp_t gfp, unsigned int order)
{
	unsigned int alloc_flags;
	struct page *page;

	if ((gfp & __GFP_NOFAIL) && !(gfp & __GFP_DIRECT_RECLAIM))
		panic("BUG: __GFP_NOFAIL allocation where sleeping is not allowed");
	page = wake_and_take(w, gfp, order, &alloc_flags);
	return likely(page) ? page : alloc_hard(w, gfp, order, alloc_flags);
}
