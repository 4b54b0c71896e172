/*
 * Allocating and freeing pages: the path that everything takes, and the long way when memory is
 * short.
 *
 *   alloc_pages
 *     1. the per-CPU list of the first zone that fits              (tens of instructions)
 *     2. every zone of the zonelist above its low mark             get_page_from_freelist
 *     3. wake kswapd; again down to min, or deeper as flags allow  alloc_slowpath
 *     4. direct compaction (for blocks), direct reclaim, retries, the OOM killer
 *
 * What the flags mean here:
 *   DIRECT_RECLAIM  may sleep: a call where sleeping is not allowed is a bug and panics.
 *   KSWAPD_RECLAIM  wakes kswapd when the low mark is reached.
 *   HIGH            may use half of min; with no DIRECT_RECLAIM (GFP_ATOMIC) a quarter more.
 *   MEMALLOC, TIF_MEMALLOC, TIF_OOM_VICTIM, TIF_KILLED   may use everything (not with NOMEMALLOC).
 *   NORETRY         one round of reclaim. RETRY_MAYFAIL: all rounds, but no OOM killer.
 *   NOFAIL          never NULL; only where sleeping is allowed.
 *   THISNODE        no other node than the wanted one, whatever happens.
 *   neither of these, order <= 3: tries until the OOM killer has nobody left; order > 3: gives up.
 *
 * I1  A page leaves here with refcount 1, mapcount -1, flags = zone and node (and PG_head if asked
 *     for), mapping NULL, private_ 0, type and order set.
 *     With __GFP_COMP and order > 0 it is the head of a compound block (folio.h).
 * I2  A page comes back with none of PAGE_FLAGS_BAD_AT_FREE, no mapping count, refcount 0, and the
 *     order it was given out with; else we stop, because the next owner would suffer for it.
 *
 * Locks: interrupts off around the per-CPU lists; zone->lock inside.
 */
#include "lib/trace.h"
#include "mm/huge/hugetlb.h"
#include "mm/memcg/memcg.h"
#include "mm/numa/mempolicy.h"
#include "mm/phys/compaction.h"
#include "mm/phys/folio.h"
#include "mm/phys/internal.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/oom.h"
#include "mm/swap/swap.h"
#include "mm/reclaim/reclaim.h"

#define COSTLY_ORDER	    3 /* larger blocks are not worth killing or looping for */
#define MAX_RECLAIM_RETRIES 16
#define RETRY_NS	    1000000ull /* wait for others to free */

u64 alloc_fail_countdown;
static u64 fail_count;

void alloc_fail_nth(u64 k)
{
	alloc_fail_countdown = k;
}

u64 alloc_fail_count(void)
{
	return fail_count;
}

/* Keep an address in a register: gcc would rather compute it anew for each field. */
#define HOLD(p) __asm__("" : "+r"(p))

/* ---- taking a block ---- */

static __always_inline struct page *pcp_pop(struct per_cpu_pages *pcp, struct list_head *list,
					    unsigned int order)
{
	struct list_head *first = list->next, *second = first->next;

	list->next = second;
	second->prev = list;
	pcp->count -= 1u << order;
	return list_entry(first, struct page, lru);
}

static __always_inline void prep_page(struct page *page, unsigned int order,
				      enum mmvm_page_type type)
{
	page->mapcount = -1;
	page->refcount = 1;
	page->mapping = NULL;
	page->private_ = 0;
	page_set_state(page, PAGE_STATE(type, order, 0, 0));
}

/* Make the tails find their head; nobody counts anything yet. */
void prep_compound(struct page *page, unsigned int order)
{
	const u64 flags = page->flags & PAGE_FLAGS_KEPT;
	struct folio *folio = (struct folio *)page;

	for (struct page *tail = page + 1; tail < page + (1ul << order); tail++) {
		tail->flags = flags;
		tail->lru.next = (struct list_head *)((unsigned long)page | 1);
		tail->mapping = NULL;
		tail->index = 0;
		tail->private_ = 0;
		tail->mapcount = -1;
		tail->refcount = 0;
		page_set_state(tail, PAGE_STATE(PAGE_INVALID, 0, 0, 0));
	}
	folio_counts(folio)->large_mapcount = -1;
	folio_counts(folio)->entire_mapcount = -1;
	page->flags |= 1ull << PG_head;
}

/* The block is being freed: its tails are to be as nobody had ever used them. */
static __attribute__((noinline)) void destroy_compound(struct page *page)
{
	struct folio *folio = (struct folio *)page;

	if (folio_counts(folio)->large_mapcount != -1 || folio_counts(folio)->entire_mapcount != -1)
		bad_page(page, "large folio freed while mapped");
	for (struct page *tail = page + 1; tail < page + (1ul << page->order); tail++) {
		if ((unsigned long)tail->lru.next != ((unsigned long)page | 1))
			bad_page(tail, "is in a large folio, but names another head");
		if (tail->refcount || tail->mapcount != -1)
			bad_page(tail, "tail freed while in use");
		/* The first tail's counts of mapped pages and pins, the second's deferred link. */
		if (tail->mapping)
			bad_page(tail, "tail freed with counts or links of its folio left");
		tail->lru.next = NULL;
	}
	page->flags &= ~(1ull << PG_head);
}

static __attribute__((noinline)) void prep_rare(struct page *page, gfp_t gfp, unsigned int order)
{
	if ((gfp & __GFP_COMP) && order)
		prep_compound(page, order);
	if (gfp & __GFP_ZERO)
		for (unsigned long i = 0; i < 1ul << order; i++)
			clear_page(page_address(page) + (i << PAGE_SHIFT));
}

/* One block of this zone, watermarks not looked at. */
static struct page *rmqueue(struct zone *z, unsigned int order, unsigned int migratetype)
{
	struct page *page = NULL;
	unsigned long flags;

	if (order <= PCP_MAX_ORDER) {
		struct per_cpu_pages *pcp;
		struct list_head *list;

		flags = arch_irq_save();
		pcp = &z->pcp[cpu_id()];
		list = &pcp->lists[order * NR_PCP_MIGRATETYPES + migratetype];
		if (!list_empty(list) || pcp_refill(z, pcp, order, migratetype))
			page = pcp_pop(pcp, list, order);
		arch_irq_restore(flags);
	} else {
		flags = spin_lock_irqsave(&z->lock);
		page = buddy_take(z, order, migratetype);
		spin_unlock_irqrestore(&z->lock, flags);
		if (page)
			zone_stat_add(z, NR_FREE_PAGES, -(1l << order));
	}
	if (page)
		count_vm_events(PGALLOC_DMA + z->type, 1u << order);
	if (unlikely(z->boosted)) {
		z->boosted = false; /* of two who see it both may wake kswapd, which does no harm */
		wakeup_kswapd(z, GFP_KERNEL, 0, z->type);
	}
	return page;
}

/* Where an allocation looks: down the zonelist of `node`, at the zones of `nodes`. Passed by value, in
 * two registers. */
struct where {
	pg_data_t *node;
	u32 nodes; /* a bit each, or ALL_NODES */
};

static inline bool outside(const struct zone *z, struct where w)
{
	return unlikely(w.nodes != ALL_NODES) && !(w.nodes & 1u << z->node->id);
}

static struct page *get_page_from_freelist(struct where w, gfp_t gfp, unsigned int order,
					   enum zone_watermark mark, unsigned int alloc_flags)
{
	enum zone_type highest = gfp_zone(gfp);
	unsigned int migratetype = gfp_migratetype(gfp);

	if (migratetype == MIGRATE_MOVABLE)
		alloc_flags |= ALLOC_CMA;
	for (struct zone **zp = w.node->zonelist; *zp; zp++) {
		struct zone *z = *zp;
		struct page *page;

		if (z->type > highest || outside(z, w))
			continue;
		if (!(alloc_flags & ALLOC_NO_WATERMARKS) &&
		    !zone_watermark_ok(z, order, z->watermark[mark], highest, alloc_flags))
			continue;
		page = rmqueue(z, order, migratetype);
		if (page) {
			if (unlikely(numa_stat))
				numa_count(w.node, w.nodes, highest, z);
			return page;
		}
	}
	return NULL;
}

/* ---- when memory is short ---- */

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

static void wake_all_kswapds(struct where w, gfp_t gfp, unsigned int order)
{
	enum zone_type highest = gfp_zone(gfp);
	pg_data_t *last = NULL;

	for (struct zone **zp = w.node->zonelist; *zp; zp++) {
		if ((*zp)->type > highest || (*zp)->node == last || outside(*zp, w))
			continue;
		last = (*zp)->node;
		wakeup_kswapd(*zp, gfp, order, highest);
	}
}

/* Would some zone be above min if everything that reclaim can reach were gone? */
static bool reclaim_could_help(struct where w, gfp_t gfp, unsigned int order)
{
	enum zone_type highest = gfp_zone(gfp);

	for (struct zone **zp = w.node->zonelist; *zp; zp++) {
		struct zone *z = *zp;
		s64 reclaimable;

		if (z->type > highest || outside(z, w))
			continue;
		reclaimable = zone_stat(z, NR_INACTIVE_FILE) + zone_stat(z, NR_ACTIVE_FILE) +
			      zone_stat(z, NR_SLAB_RECLAIMABLE);
		/* With swap full, what has a slot already can still go. */
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
static struct page *alloc_direct_compact(struct where w, gfp_t gfp, unsigned int order,
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
		compaction_defer_reset(page_zone(page), order, true);
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

static struct page *alloc_slowpath(struct where w, gfp_t gfp, unsigned int order)
{
	const bool can_reclaim = gfp & __GFP_DIRECT_RECLAIM;
	unsigned int no_progress = 0, alloc_flags;
	bool drained = false, compacted = false, killed;
	unsigned long progress;
	struct page *page;

	if ((gfp & __GFP_NOFAIL) && !can_reclaim)
		panic("BUG: __GFP_NOFAIL allocation where sleeping is not allowed");
	for (;;) {
		if (gfp & __GFP_KSWAPD_RECLAIM)
			wake_all_kswapds(w, gfp, order);
		alloc_flags = gfp_to_alloc_flags(gfp);
		page = get_page_from_freelist(w, gfp, order, WMARK_MIN, alloc_flags);
		if (page)
			return page;
		/* Who reclaims must not wait for reclaim. */
		if (!can_reclaim || (current_thread_info()->flags & TIF_MEMALLOC))
			goto nopage;

		/* May not do I/O: may hold what it would wait for. */
		if (order && (gfp & __GFP_IO) && !compacted) {
			compacted = true;
			page = alloc_direct_compact(w, gfp, order, alloc_flags, MIGRATE_ASYNC);
			if (page)
				return page;
		}
		count_vm_event(ALLOCSTALL);
		progress = try_to_free_node_pages(w.nodes, gfp, order);
		page = get_page_from_freelist(w, gfp, order, WMARK_MIN, alloc_flags);
		if (page)
			return page;
		if (!drained) {
			/* What was freed may sit in small pieces in the per-CPU lists. */
			drained = true;
			lru_add_drain_all();
			drain_all_pages();
			page = get_page_from_freelist(w, gfp, order, WMARK_MIN, alloc_flags);
			if (page)
				return page;
		}
		if (order && (gfp & (__GFP_IO | __GFP_NORETRY)) == __GFP_IO) {
			page = alloc_direct_compact(w, gfp, order, alloc_flags, MIGRATE_SYNC_LIGHT);
			if (page)
				return page;
		}
		if (gfp & __GFP_NORETRY)
			goto nopage;
		if (order > COSTLY_ORDER && !(gfp & (__GFP_RETRY_MAYFAIL | __GFP_NOFAIL)))
			goto nopage;
		no_progress = progress && order <= COSTLY_ORDER ? 0 : no_progress + 1;
		if (no_progress <= MAX_RECLAIM_RETRIES && reclaim_could_help(w, gfp, order)) {
			cond_resched();
			continue;
		}
		if (alloc_flags & ALLOC_NO_WATERMARKS)
			goto nopage; /* already dying: killing more would not help us */
		if ((gfp & (__GFP_RETRY_MAYFAIL | __GFP_THISNODE)) || !(gfp & __GFP_FS) ||
		    order > COSTLY_ORDER)
			goto nopage;
		killed = true;
		if (oom_trylock()) {
			/* Somebody may have freed, or killed, meanwhile: what counts is what the
			 * lists hold now that nobody else decides. */
			page = get_page_from_freelist(w, gfp, order, WMARK_HIGH, 0);
			if (!page)
				killed = out_of_memory_on(w.nodes, gfp, order);
			oom_unlock();
			if (page)
				return page;
		}
		if (!killed)
			goto nopage;
		no_progress = 0;
		sleep_ns(RETRY_NS);
		continue;
	nopage:
		if (!(gfp & __GFP_NOFAIL)) {
			warn_alloc(gfp, order);
			return NULL;
		}
		page = get_page_from_freelist(w, gfp, order, WMARK_MIN, ALLOC_NO_WATERMARKS);
		if (page)
			return page;
		no_progress = 0;
		sleep_ns(RETRY_NS);
	}
}

/* ---- the interface ---- */

bool alloc_should_fail(gfp_t gfp)
{
	u64 left = READ_ONCE(alloc_fail_countdown), seen;

	/* Several CPUs count; it stays at 0 when they have. */
	while (left && (seen = atomic_cmpxchg(&alloc_fail_countdown, left, left - 1)) != left)
		left = seen;
	if (left != 1 || (gfp & __GFP_NOFAIL))
		return false;
	atomic_add(&fail_count, 1);
	return true;
}

gfp_t alloc_check_context(gfp_t gfp)
{
	if (may_sleep())
		return gfp;
	if (mmvm_shared->booted)
		panic("BUG: allocation that may sleep (gfp 0x%x) where sleeping is not allowed",
		      gfp);
	/* Before the scheduler runs there is nothing to wait for. */
	return gfp & ~(__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM);
}

__attribute__((noinline)) struct page *alloc_pages_where(gfp_t gfp, unsigned int order,
							 enum mmvm_page_type type, unsigned int nid,
							 u32 nodes)
{
	struct where w = {&node_data[nid], gfp & __GFP_THISNODE ? nodes & 1u << nid : nodes};
	struct page *page;

	env_race_point("an allocation");
	if (order > MAX_ORDER)
		return NULL;
	if (unlikely(alloc_fail_countdown) && alloc_should_fail(gfp))
		return NULL;
	if (gfp & __GFP_DIRECT_RECLAIM)
		gfp = alloc_check_context(gfp);
	page = get_page_from_freelist(w, gfp, order, WMARK_LOW, 0);
	if (unlikely(!page))
		page = alloc_slowpath(w, gfp, order);
	if (!page)
		return NULL;
	prep_page(page, order, type);
	if (gfp & (__GFP_ZERO | __GFP_COMP))
		prep_rare(page, gfp, order);
	return page;
}

/* The long way, where the policy in force wants it (mm/numa/mempolicy.h), or at the CPU's node. */
static inline struct page *alloc_pages_slow(gfp_t gfp, unsigned int order, enum mmvm_page_type type)
{
	if (static_key(KEY_NUMA))
		return mempolicy_alloc(gfp, order, type);
	return alloc_pages_where(gfp, order, type, numa_node_id(), ALL_NODES);
}

/* May this allocation do what it asks to? The slow way knows what to say when not. */
static inline bool may_sleep_for(gfp_t gfp)
{
	return !(gfp & __GFP_DIRECT_RECLAIM) ||
	       (!current_thread_info()->preempt_count && !arch_irqs_disabled());
}

static __always_inline struct page *alloc_fast(gfp_t gfp, unsigned int order,
					       enum mmvm_page_type type)
{
	const struct thread_info *ti;
	const struct pcp_first *first;
	struct list_head *list;
	unsigned long flags;
	struct page *page;

	env_race_point("an allocation");
	if (unlikely(order > PCP_MAX_ORDER || alloc_fail_countdown))
		return alloc_pages_slow(gfp, order, type);

	flags = arch_irq_save();
	ti = current_thread_info();
	/* The slow way knows what to say about a sleeper with interrupts off or a lock held. */
	if ((gfp & __GFP_DIRECT_RECLAIM) && unlikely(!(flags & 1ul << 9) || ti->preempt_count))
		goto slow;
	first = &pcp_first[ti->cpu][gfp & 0x1f];
	HOLD(first);
	list = first->list + order * NR_PCP_MIGRATETYPES;
	if (unlikely(list_empty(list)))
		goto slow;
	page = pcp_pop(first->pcp, list, order);
	*(u64 *)((char *)mmvm_shared + first->pcp->alloc_event) += 1u << order;
	arch_irq_restore(flags);
	prep_page(page, order, type);
	if (__builtin_constant_p(order) && !order) {
		if (gfp & __GFP_ZERO)
			clear_page(page_address(page));
	} else if (unlikely(gfp & (__GFP_ZERO | __GFP_COMP))) {
		prep_rare(page, gfp, order);
	}
	return page;
slow:
	arch_irq_restore(flags);
	return alloc_pages_slow(gfp, order, type);
}

/* Traced, an allocation takes its own way, and the usual one keeps its registers. */
static __attribute__((noinline, cold)) struct page *traced_alloc(gfp_t gfp, unsigned int order,
								 enum mmvm_page_type type, u64 ip)
{
	struct page *page = alloc_fast(gfp, order, type);

	if (page)
		trace_point(ALLOC, ip, .pfn = page_to_pfn(page), .arg = type, .order = order);
	return page;
}

struct page *__alloc_pages(gfp_t gfp, unsigned int order, enum mmvm_page_type type)
{
	if (unlikely(trace_on))
		return traced_alloc(gfp, order, type, TRACE_IP);
	return alloc_fast(gfp, order, type);
}

struct page *__alloc_page(gfp_t gfp, enum mmvm_page_type type)
{
	if (unlikely(trace_on))
		return traced_alloc(gfp, 0, type, TRACE_IP);
	return alloc_fast(gfp, 0, type);
}

struct page *__alloc_pages_node(unsigned int nid, gfp_t gfp, unsigned int order,
				enum mmvm_page_type type)
{
	struct page *page = alloc_pages_where(gfp, order, type, nid, ALL_NODES);

	if (page && unlikely(trace_on))
		trace_point(ALLOC, TRACE_IP, .pfn = page_to_pfn(page), .arg = type, .order = order);
	return page;
}

unsigned int alloc_pages_bulk(gfp_t gfp, unsigned int nr, enum mmvm_page_type type,
			      struct page **pages)
{
	const struct pcp_first *first;
	unsigned int got = 0, n;
	unsigned long flags;

	while (got < nr) {
		if (unlikely(alloc_fail_countdown || !may_sleep_for(gfp)))
			goto single;
		n = got;
		flags = arch_irq_save();
		first = &pcp_first[cpu_id()][gfp & 0x1f];
		HOLD(first);
		while (got < nr && !list_empty(first->list)) {
			struct page *page = pcp_pop(first->pcp, first->list, 0);

			prep_page(page, 0, type);
			pages[got++] = page;
		}
		*(u64 *)((char *)mmvm_shared + first->pcp->alloc_event) += got - n;
		arch_irq_restore(flags);
		for (; (gfp & __GFP_ZERO) && n < got; n++)
			prep_rare(pages[n], gfp, 0);
		if (got == nr)
			break;
	single:
		pages[got] = alloc_pages_slow(gfp, 0, type);
		if (!pages[got])
			break;
		got++;
	}
	if (unlikely(trace_on))
		for (n = 0; n < got; n++)
			trace_point(ALLOC, TRACE_IP, .pfn = page_to_pfn(pages[n]), .arg = type);
	return got;
}

unsigned long __get_free_pages(gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages(gfp, order);

	return page ? (unsigned long)page_address(page) : 0;
}

unsigned long get_zeroed_page(gfp_t gfp)
{
	return __get_free_pages(gfp | __GFP_ZERO, 0);
}

/* ---- freeing ---- */

static __attribute__((noinline)) void __noreturn bad_free(const struct page *page)
{
	if (page->type == PAGE_BUDDY || page->type == PAGE_PCP)
		bad_page(page, "double free");
	if (!page_type_in_use(page))
		bad_page(page, "freed, but it was never allocated");
	if (page->flags & PAGE_FLAGS_BAD_AT_FREE)
		bad_page(page, "freed, but flags say that it is still in use");
	if (page->mapcount != -1)
		bad_page(page, "freed while mapped");
	bad_page(page, "freed in a bad state");
}

static __attribute__((noinline, cold)) void trace_free(const struct page *page, u64 ip)
{
	trace_point(FREE, ip, .pfn = page_to_pfn(page), .arg = page->type, .order = page->order);
}

/* May a page whose last reference is gone go to its list? No: it is in a bad state, or compound. */
static __always_inline bool free_is_plain(const struct page *page)
{
	return page_type_in_use(page) &&
	       !(page->flags & (PAGE_FLAGS_BAD_AT_FREE | 1ull << PG_head)) && page->mapcount == -1;
}

/* Interrupts off. */
static __always_inline void free_to_pcp(struct zone *z, struct page *page, unsigned int order,
					unsigned int cpu)
{
	struct per_cpu_pages *pcp = &z->pcp[cpu];
	unsigned long i = order * NR_PCP_MIGRATETYPES + *pageblock_type(z, page);

	HOLD(pcp);
	page_set_state(page, pcp->state[i]);
	list_add(&page->lru, &pcp->lists[i]);
	pcp->count += 1u << order;
	if (unlikely(pcp->count > pcp->high))
		pcp_drain_batch(z, pcp);
}

static __attribute__((noinline)) void free_to_buddy(struct zone *z, struct page *page,
						    unsigned int order)
{
	unsigned long flags = spin_lock_irqsave(&z->lock);

	buddy_free_page(z, page, order);
	spin_unlock_irqrestore(&z->lock, flags);
	zone_stat_add(z, NR_FREE_PAGES, 1l << order);
	count_vm_events(PGFREE, 1u << order);
}

static __always_inline void free_plain(struct page *page, unsigned int order)
{
	struct zone *z = page_zone(page);
	unsigned long flags;
	unsigned int cpu;

	page->flags &= PAGE_FLAGS_KEPT;
	env_page_freed(page);
	if (unlikely(order > PCP_MAX_ORDER)) {
		free_to_buddy(z, page, order);
		return;
	}
	flags = arch_irq_save();
	cpu = cpu_id();
	mmvm_shared->event[cpu][PGFREE] += 1u << order;
	free_to_pcp(z, page, order, cpu);
	arch_irq_restore(flags);
}

/* Not plain: charged to a memory cgroup, compound, a pool's, or in a bad state. */
static __attribute__((noinline)) void free_unusual(struct page *page, unsigned int order)
{
	bool known = PageCharged(page) || PageHead(page);

	if (!known || !page_type_in_use(page))
		bad_free(page);
	if (PageCharged(page))
		mem_cgroup_uncharge(page);
	if (page->type == PAGE_HUGETLB) {
		hugetlb_free_page(page); /* to its pool */
		return;
	}
	if (PageHead(page))
		destroy_compound(page);
	if (!free_is_plain(page))
		bad_free(page);
	free_plain(page, order);
}

/* The last reference is gone. */
static __always_inline void free_block(struct page *page, unsigned int order)
{
	if (likely(free_is_plain(page)))
		free_plain(page, order);
	else
		free_unusual(page, order);
}

/* As above: traced, frees go their own way. */
static __attribute__((noinline, cold)) void traced_free(struct page *page, unsigned int order,
							u64 ip)
{
	trace_free(page, ip);
	free_block(page, order);
}

static __attribute__((noinline)) void __noreturn bad_reference(const struct page *page)
{
	bad_page(page, page->type == PAGE_BUDDY || page->type == PAGE_PCP
			       ? "double free"
			       : "reference count below zero");
}

void __free_pages(struct page *page, unsigned int order)
{
	s32 left;

	if (unlikely(page->order != order))
		bad_page(page, page_type_in_use(page) ? "freed with another order" : "double free");
	left = atomic_sub_return(&page->refcount, 1);
	if (unlikely(left)) {
		if (left < 0)
			bad_reference(page);
		return;
	}
	if (unlikely(trace_on)) {
		traced_free(page, order, TRACE_IP);
		return;
	}
	free_block(page, order);
}

void put_page(struct page *page)
{
	s32 left = atomic_sub_return(&page->refcount, 1);

	if (likely(left > 0))
		return;
	if (unlikely(left < 0))
		bad_reference(page);
	if (unlikely(PageLRU(page))) {
		release_dead_page(page);
		return;
	}
	if (unlikely(trace_on)) {
		traced_free(page, page->order, TRACE_IP);
		return;
	}
	free_block(page, page->order);
}

void free_dead_block(struct page *page)
{
	free_block(page, page->order);
}

void free_pages(unsigned long addr, unsigned int order)
{
	if (addr)
		__free_pages(virt_to_page((void *)addr), order);
}

/* A large folio among a batch of single pages, of which the caller counts one as freed. */
static __attribute__((noinline)) void free_large_of_batch(struct page *page)
{
	free_block(page, page->order);
	mmvm_shared->event[cpu_id()][PGFREE]--;
}

/* One page of a batch. Interrupts off; `z` and `pcp` are those of the page before. */
static __always_inline void free_next(struct page *page, struct zone **z,
				      struct per_cpu_pages **pcp, unsigned int cpu)
{
	struct zone *mine = page_zone(page);
	unsigned long i;

	if (unlikely(page->refcount || page->order)) {
		if (page->refcount)
			bad_page(page, "to be freed in a batch, but referenced");
		free_large_of_batch(page);
		return;
	}
	if (unlikely(!free_is_plain(page))) {
		if (PageCharged(page) && page_type_in_use(page))
			mem_cgroup_uncharge(page);
		if (!free_is_plain(page))
			bad_free(page);
	}
	page->flags &= PAGE_FLAGS_KEPT;
	env_page_freed(page);
	if (unlikely(mine != *z)) {
		*z = mine;
		*pcp = &mine->pcp[cpu];
	}
	HOLD(*pcp);
	i = *pageblock_type(mine, page);
	page_set_state(page, (*pcp)->state[i]);
	list_add(&page->lru, &(*pcp)->lists[i]);
	if (unlikely(++(*pcp)->count > (*pcp)->high))
		pcp_drain_batch(mine, *pcp);
}

static __attribute__((noinline, cold)) void trace_free_list(struct list_head *list, u64 ip)
{
	struct page *page;

	list_for_each_entry (page, list, lru)
		trace_free(page, ip);
}

void free_unref_page_list(struct list_head *list)
{
	struct list_head *next, *pos = list->next;
	struct per_cpu_pages *pcp = NULL;
	struct zone *z = NULL;
	unsigned long flags;
	unsigned int cpu, n = 0;

	if (pos == list)
		return;
	if (unlikely(trace_on))
		trace_free_list(list, TRACE_IP);
	flags = arch_irq_save();
	cpu = cpu_id();
	for (; pos != list; pos = next, n++) {
		next = pos->next;
		free_next(list_entry(pos, struct page, lru), &z, &pcp, cpu);
	}
	mmvm_shared->event[cpu][PGFREE] += n;
	arch_irq_restore(flags);
	INIT_LIST_HEAD(list);
}

void free_unref_pages(struct page **pages, unsigned int nr)
{
	struct per_cpu_pages *pcp = NULL;
	struct zone *z = NULL;
	unsigned long flags;
	unsigned int cpu;

	if (unlikely(trace_on))
		for (unsigned int i = 0; i < nr; i++)
			trace_free(pages[i], TRACE_IP);
	flags = arch_irq_save();
	cpu = cpu_id();
	for (unsigned int i = 0; i < nr; i++)
		free_next(pages[i], &z, &pcp, cpu);
	mmvm_shared->event[cpu][PGFREE] += nr;
	arch_irq_restore(flags);
}

void split_page(struct page *page, unsigned int order)
{
	u64 flags = page->flags;

	if (unlikely(!page_type_in_use(page) || page->order != order || page->refcount != 1 ||
		     PageHead(page)))
		bad_page(page, "split, but it is not a plain block of that order with one owner");
	for (unsigned long i = 0; i < 1ul << order; i++) {
		page[i].flags = flags;
		prep_page(&page[i], 0, page->type);
	}
}

/* Boot memory joins: reserved until now, with one reference. */
void free_reserved_frame(struct page *page)
{
	struct zone *z = page_zone(page);

	if (unlikely(page->type != PAGE_RESERVED || page->refcount != 1))
		bad_page(page, "is not boot memory");
	page->refcount = 0;
	z->managed++;
	z->shared->managed = z->managed;
	mmvm_shared->totalram++;
	if (unlikely(trace_on))
		trace_free(page, TRACE_IP);
	free_to_buddy(z, page, 0);
}

u64 nr_free_pages(void)
{
	return global_stat(NR_FREE_PAGES);
}
