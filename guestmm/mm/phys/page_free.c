/*
 * Freeing pages: the last reference is gone, and the block returns to its per-CPU list or to the buddy.
 *
 *   __free_pages, put_page         one block                      free_block
 *   free_unref_page(s|_list)       a batch of unreferenced folios free_next
 *
 * I2  A page comes back with none of PAGE_FLAGS_BAD_AT_FREE, no mapping count, refcount 0, and the
 *     order it was given out with; else we stop, because the next owner would suffer for it.
 *     (I1, what a page looks like when it is given out, is in page_alloc.c.)
 *
 * Locks: interrupts off around the per-CPU lists; zone->lock inside.
 */
#include "lib/trace.h"
#include "mm/huge/hugetlb.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/folio.h"
#include "mm/phys/internal.h"
#include "mm/reclaim/lru.h"

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

/* May a page without references enter its free list? No: it is in a bad state, or compound. */
static __always_inline bool free_is_plain(const struct page *page)
{
	return page_type_in_use(page) &&
	       !(page->flags & (PAGE_FLAGS_BAD_AT_FREE | 1ull << PG_head)) && page->mapcount == -1;
}

/* Interrupts off. */
static __always_inline void free_to_pcp(struct zone *z, struct page *page, unsigned int order)
{
	struct per_cpu_pages *pcp = this_cpu_ptr(z->pcp);
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

	page->flags &= PAGE_FLAGS_KEPT;
	env_page_freed(page);
	if (unlikely(order > PCP_MAX_ORDER)) {
		free_to_buddy(z, page, order);
		return;
	}
	flags = arch_irq_save();
	this_cpu_add_event(PGFREE, 1u << order);
	free_to_pcp(z, page, order);
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

/* The last reference was dropped. */
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
	this_cpu_add_event(PGFREE, -1);
}

/* One page of a batch. Interrupts off; `z` and `pcp` are those of the page before. */
static __always_inline void free_next(struct page *page, struct zone **z,
				      struct per_cpu_pages **pcp)
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
		*pcp = this_cpu_ptr(mine->pcp);
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
	unsigned int n = 0;

	if (pos == list)
		return;
	if (unlikely(trace_on))
		trace_free_list(list, TRACE_IP);
	flags = arch_irq_save();
	for (; pos != list; pos = next, n++) {
		next = pos->next;
		free_next(list_entry(pos, struct page, lru), &z, &pcp);
	}
	this_cpu_add_event(PGFREE, n);
	arch_irq_restore(flags);
	INIT_LIST_HEAD(list);
}

void free_unref_pages(struct page **pages, unsigned int nr)
{
	struct per_cpu_pages *pcp = NULL;
	struct zone *z = NULL;
	unsigned long flags;

	if (unlikely(trace_on))
		for (unsigned int i = 0; i < nr; i++)
			trace_free(pages[i], TRACE_IP);
	flags = arch_irq_save();
	for (unsigned int i = 0; i < nr; i++)
		free_next(pages[i], &z, &pcp);
	this_cpu_add_event(PGFREE, nr);
	arch_irq_restore(flags);
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
	if (static_key(KEY_POISON))
		page_poison_block(page, 0);
	free_to_buddy(z, page, 0);
}
