/* Page allocator: the interface everything above uses. */
#ifndef MM_ALLOC_H
#define MM_ALLOC_H
#include "mm/phys/gfp.h"
#include "mm/phys/page.h"
#include "mmvm/page.h"

/**
 * Allocate 2^order contiguous frames. Returns the head page with refcount 1, type PAGE_OTHER,
 * order set, mapcount -1; NULL when it cannot (never with __GFP_NOFAIL). Sleeps only with
 * __GFP_DIRECT_RECLAIM. Looks first at the node of the CPU it runs on.
 */
static inline struct page *alloc_pages(gfp_t gfp, unsigned int order);
static inline struct page *alloc_page(gfp_t gfp);
/** As alloc_pages, and say who owns the block. */
static inline struct page *alloc_pages_type(gfp_t gfp, unsigned int order,
					    enum mmvm_page_type type);

/* Out of line: any order, and single pages. */
struct page *__alloc_pages(gfp_t gfp, unsigned int order, enum mmvm_page_type type);
struct page *__alloc_page(gfp_t gfp, enum mmvm_page_type type);
static inline struct page *alloc_pages_type(gfp_t gfp, unsigned int order, enum mmvm_page_type type)
{
	if (__builtin_constant_p(order) && !order)
		return __alloc_page(gfp, type);
	return __alloc_pages(gfp, order, type);
}
static inline struct page *alloc_pages(gfp_t gfp, unsigned int order)
{
	return alloc_pages_type(gfp, order, PAGE_OTHER);
}
static inline struct page *alloc_page(gfp_t gfp)
{
	return __alloc_page(gfp, PAGE_OTHER);
}
/** As alloc_pages, from the node's zonelist. NUMA_NO_NODE: the CPU's node. */
#define NUMA_NO_NODE (-1)
struct page *__alloc_pages_node(unsigned int nid, gfp_t gfp, unsigned int order,
				enum mmvm_page_type type);
extern unsigned int nr_online_nodes;
static inline struct page *alloc_pages_node(int nid, gfp_t gfp, unsigned int order)
{
	if (nid == NUMA_NO_NODE || likely(nr_online_nodes == 1))
		return alloc_pages(gfp, order);
	return __alloc_pages_node(nid, gfp, order, PAGE_OTHER);
}
/** Up to `nr` single pages at once. Returns how many there are, fewer only when memory is out. */
unsigned int alloc_pages_bulk(gfp_t gfp, unsigned int nr, enum mmvm_page_type type,
			      struct page **pages);
/** Drop the caller's reference of an alloc_pages block; checks order, refcount and state (double
 * free). */
void __free_pages(struct page *page, unsigned int order);
/** Free a list (linked by lru) of folios whose refcount has fallen to 0. */
void free_unref_page_list(struct list_head *list);
/** The same for an array of them. */
void free_unref_pages(struct page **pages, unsigned int nr);
static inline void __free_page(struct page *page)
{
	__free_pages(page, 0);
}
/** Free a large block whose refcount has fallen to 0. */
void free_dead_block(struct page *page);
/** Turn an order-n block (allocated without __GFP_COMP) into 2^n single pages, each with refcount
 * 1. */
void split_page(struct page *page, unsigned int order);

/** The same by direct-map address; 0 on failure. */
unsigned long __get_free_pages(gfp_t gfp, unsigned int order);
unsigned long get_zeroed_page(gfp_t gfp);
void free_pages(unsigned long addr, unsigned int order);

/** Return the pages of one CPU's lists, or of all, to the buddy. */
void drain_local_pages(void);
void drain_all_pages(void);
u64 nr_free_pages(void); /* buddy only */
u64 totalram_pages(void);

/* Fault injection: fail the k-th allocation from now (1 = the next), 0 = off; and how many were
 * failed. */
void alloc_fail_nth(u64 k);
u64 alloc_fail_count(void);
#endif
