/*
 * Allocating pages: the path that everything takes. What happens when memory is short is in alloc_slow.c,
 * freeing in page_free.c.
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
 *     (I2, what a page must look like when it is freed, is in page_free.c.)
 *
 * Locks: interrupts off around the per-CPU lists; zone->lock inside.
 */
#include "arch/tails.h"
#include "lib/fail.h"
#include "lib/trace.h"
#include "mm/numa/mempolicy.h"
#include "mm/phys/highmem.h"
#include "mm/phys/folio.h"
#include "mm/phys/internal.h"
#include "mm/reclaim/reclaim.h"

u64 alloc_fail_countdown;
static u64 failed; /* A */

void alloc_fail_nth(u64 k)
{
	alloc_fail_countdown = k;
}

u64 alloc_fail_count(void)
{
	return failed;
}

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

static __always_inline void prep_state(struct page *page, unsigned int order,
				       enum mmvm_page_type type)
{
	page->mapcount = -1;
	page->refcount = 1;
	page->mapping = NULL;
	page->private_ = 0;
	page_set_state(page, PAGE_STATE(type, order, 0, 0));
}

/* A block that comes from a free list. */
static __always_inline void prep_page(struct page *page, unsigned int order,
				      enum mmvm_page_type type)
{
	if (static_key(KEY_POISON))
		check_page_poison(page, order);
	prep_state(page, order, type);
}

static __always_inline void prep_tail(struct page *tail, u64 flags, u64 head)
{
	tail->flags = flags;
	tail->lru.next = (struct list_head *)head;
	tail->mapping = NULL;
	tail->mapcount = -1;
	tail->refcount = 0;
	page_set_state(tail, PAGE_STATE(PAGE_INVALID, 0, 0, 0));
}

/* Make the tails find their head; nobody counts anything yet. What they held before means nothing: the tails of a free
 * block may never have been written. index and private_ of a tail are read in the second only. A huge page has 511 of
 * them, which was most of what its fault cost: three stores each are the least. */
void prep_compound(struct page *page, unsigned int order)
{
	const u64 flags = page->flags & PAGE_FLAGS_KEPT, head = (u64)page | 1;
	const unsigned long pages = 1ul << order;
	struct folio *folio = (struct folio *)page;

	if (pages >= ARCH_TAILS_MIN) {
		struct page tail = {.flags = 0};

		prep_tail(&tail, flags, head);
		arch_fill_tails(page, pages, &tail);
	} else {
		for (unsigned long i = 1; i < pages; i++)
			prep_tail(page + i, flags, head);
	}
	folio_counts(folio)->large_mapcount = -1;
	folio_counts(folio)->entire_mapcount = -1;
	if (order > 1) {
		folio_links(folio)->deferred = (struct list_head){NULL, NULL};
		folio_links(folio)->hugetlb = 0;
	}
	page->flags |= 1ull << PG_head;
}

static __attribute__((noinline)) void prep_rare(struct page *page, gfp_t gfp, unsigned int order)
{
	if ((gfp & __GFP_COMP) && order)
		prep_compound(page, order);
	if (gfp & __GFP_ZERO)
		for (unsigned long i = 0; i < 1ul << order; i++)
			clear_highpage(page + i);
}

/* One block of this zone, watermarks not looked at. Out of line: what it needs would fill the registers of the
 * loop that looks for the zone. */
static __attribute__((noinline)) struct page *rmqueue(struct zone *z, unsigned int order,
						      unsigned int migratetype)
{
	struct page *page = NULL;
	unsigned long flags;

	if (order <= PCP_MAX_ORDER) {
		struct per_cpu_pages *pcp;
		struct list_head *list;

		flags = arch_irq_save();
		pcp = this_cpu_ptr(z->pcp);
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
		z->boosted =
			false; /* two CPUs may both see it and wake kswapd, which does no harm */
		wakeup_kswapd(z, GFP_KERNEL, 0, z->type);
	}
	return page;
}

/* zone_watermark_ok(), inline where the answer is one comparison: a single page, no reserve opened for it. */
static __always_inline bool watermark_ok(const struct zone *z, unsigned int order, u64 mark,
					 enum zone_type highest, unsigned int alloc_flags)
{
	if (likely(!order && !(alloc_flags & (ALLOC_HIGH | ALLOC_HARDER)) && !z->cma_pages))
		return zone_stat(z, NR_FREE_PAGES) > (s64)(mark + z->lowmem_reserve[highest]);
	return zone_watermark_ok(z, order, mark, highest, alloc_flags);
}

struct page *get_page_from_freelist(struct alloc_where w, gfp_t gfp, unsigned int order,
				    enum zone_watermark mark, unsigned int alloc_flags)
{
	enum zone_type highest = gfp_zone(gfp);
	unsigned int migratetype = gfp_migratetype(gfp);

	if (migratetype == MIGRATE_MOVABLE)
		alloc_flags |= ALLOC_CMA;
	for (struct zone **zp = w.node->zonelist; *zp; zp++) {
		struct zone *z = *zp;
		struct page *page;

		if (z->type > highest || alloc_outside(z, w))
			continue;
		if (!(alloc_flags & ALLOC_NO_WATERMARKS) &&
		    !watermark_ok(z, order, z->watermark[mark], highest, alloc_flags))
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

/* ---- the interface ---- */

bool alloc_should_fail(gfp_t gfp)
{
	if (!fail_step(&alloc_fail_countdown) || (gfp & __GFP_NOFAIL))
		return false;
	atomic_add(&failed, 1);
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
	struct alloc_where w = {&node_data[nid], gfp & __GFP_THISNODE ? nodes & 1u << nid : nodes};
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
	first = this_cpu_ptr(&pcp_first[gfp & 0x1f]);
	HOLD(first);
	list = first->list + order * NR_PCP_MIGRATETYPES;
	if (unlikely(list_empty(list)))
		goto slow;
	page = pcp_pop(first->pcp, list, order);
	this_cpu_add_event(first->pcp->alloc_event, 1u << order);
	arch_irq_restore(flags);
	prep_page(page, order, type);
	if (__builtin_constant_p(order) && !order) {
		if (gfp & __GFP_ZERO)
			clear_highpage(page);
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
		first = this_cpu_ptr(&pcp_first[gfp & 0x1f]);
		HOLD(first);
		while (got < nr && !list_empty(first->list)) {
			struct page *page = pcp_pop(first->pcp, first->list, 0);

			prep_page(page, 0, type);
			pages[got++] = page;
		}
		this_cpu_add_event(first->pcp->alloc_event, got - n);
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

/* ---- splitting, counting ---- */

void split_page(struct page *page, unsigned int order)
{
	u64 flags = page->flags;

	if (unlikely(!page_type_in_use(page) || page->order != order || page->refcount != 1 ||
		     PageHead(page)))
		bad_page(page, "split, but it is not a plain block of that order with one owner");
	/* The head comes last: until then, who walks the frames by their orders steps over the tails, which may
	 * still look like the free heads that they once were. */
	for (unsigned long i = 1ul << order; i-- > 0;) {
		page[i].flags = flags;
		prep_state(&page[i], 0, page->type);
	}
}

u64 nr_free_pages(void)
{
	return global_stat(NR_FREE_PAGES);
}
