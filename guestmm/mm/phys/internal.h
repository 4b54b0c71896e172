/*
 * What the rooms of mm/ share about frames and blocks. Nothing outside mm/ includes this.
 *
 * Locks, outer to inner: list_lock of a slab's node > interrupts off (per-CPU lists, sheaves) > zone->lock.
 */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H
#include "mm/phys/zone.h"
#include "mm/phys/alloc.h"

/* memblock.c */
/** Whole frames [pfn, end) of RAM, all reserved or all free. */
typedef void (*memblock_span_fn)(pfn_t pfn, pfn_t end, int node, bool is_reserved, void *arg);
void memblock_for_each_span(memblock_span_fn fn, void *arg);

/* zone.c */
/** Zones, zonelists and pageblocks from memblock; every frame reserved or in the buddy. Boot
 * only. */
void zones_init(u64 movable_pages);
/** Where an allocation looks first, by CPU and gfp & 0x1f: its order-0 list of the first zone of the
 * CPU's node. Lists of higher orders follow, NR_PCP_MIGRATETYPES further each. An empty list: take the
 * long way. */
struct pcp_first {
	struct list_head *list;
	struct per_cpu_pages *pcp;
};
DECLARE_PER_CPU(struct pcp_first[32], pcp_first);

/* node.c */
/** Point pcp_first at each CPU's lists; after the zonelists are built. Boot only. */
void pcp_first_init(void);
/** Every node's zonelist, once the zones have their pages. Boot only. */
void build_zonelists(void);
/** An allocation that walked `node`'s zonelist from zones of type `highest` down, at those of `nodes`, got a
 * page of `z`. Only while numa_stat is set. */
void numa_count(const pg_data_t *node, u32 nodes, enum zone_type highest, struct zone *z);

/* page.c */
void page_wait_init(void);
/** Something is wrong with a page: name it, print the page, stop. */
void __noreturn bad_page(const struct page *page, const char *why);
/** Frames with a struct page, for pfn_valid() and the audit. */
extern struct mmvm_pfn_range {
	pfn_t start, end;
} ram_range[MMVM_MAX_RAM_REGIONS];
extern unsigned int nr_ram_ranges;

/* type, order, migratetype and cpu as one word: one store, one compare. */
#define PAGE_STATE(type, order, migratetype, cpu) \
	((u32)(type) | (u32)(order) << 8 | (u32)(migratetype) << 16 | (u32)(cpu) << 24)
/** In the field of the CPU, for type BUDDY: the block was reported to the host (mm/move/reporting.c). */
#define BUDDY_REPORTED 1
static inline void page_set_state(struct page *p, u32 state)
{
	__builtin_memcpy(&p->type, &state, sizeof(state));
}
static inline u32 page_state(const struct page *p)
{
	u32 state;

	__builtin_memcpy(&state, &p->type, sizeof(state));
	return state;
}
/** Type and order alone. */
static inline u32 page_type_order(const struct page *p)
{
	u16 state;

	__builtin_memcpy(&state, &p->type, sizeof(state));
	return state;
}
/** In use by somebody, so that it may be freed. */
static inline bool page_type_in_use(const struct page *p)
{
	return (u8)(p->type - PAGE_OTHER) < NR_PAGE_TYPES - PAGE_OTHER;
}

#define PAGE_FLAGS_KEPT \
	(~0ull << PAGE_ZONE_SHIFT) /* zone and node: for the life of the machine \
				    */
/* Set on a page that is being freed, each of these means that somebody still uses it. */
#define PAGE_FLAGS_BAD_AT_FREE                                                         \
	(1ull << PG_locked | 1ull << PG_lru | 1ull << PG_active | 1ull << PG_mlocked | \
	 1ull << PG_unevictable | 1ull << PG_swapcache | 1ull << PG_writeback |        \
	 1ull << PG_isolated | 1ull << PG_migrating | 1ull << PG_charged)

/* A pageblock's struct pages are 2^PAGEBLOCK_SHIFT bytes, aligned to that, so a struct page's
 * address finds its pageblock's byte with a shift; pageblock_map has the start of both
 * subtracted. */
#define PAGEBLOCK_SHIFT (PAGEBLOCK_ORDER + 6)
_Static_assert(sizeof(struct page) == 1 << (PAGEBLOCK_SHIFT - PAGEBLOCK_ORDER), "struct page");
/** Type of the pageblock that holds the page. zone->lock, or a stale answer is good enough. */
static inline u8 *pageblock_type(const struct zone *z, const struct page *page)
{
	return (u8 *)(z->pageblock_map + ((unsigned long)page >> PAGEBLOCK_SHIFT));
}

/** Is the frame in the zone's CMA area? Its pageblocks say MOVABLE, which is right for the per-CPU lists;
 * the buddy's lists of the area are those of MIGRATE_CMA. */
static inline bool page_in_cma(const struct zone *z, const struct page *page)
{
	return unlikely(z->cma_pages) && page_to_pfn(page) - z->cma_start < z->cma_pages;
}
static inline unsigned int page_migratetype(const struct zone *z, const struct page *page)
{
	return page_in_cma(z, page) ? MIGRATE_CMA : *pageblock_type(z, page);
}

/* buddy.c: all under zone->lock, interrupts off; NR_FREE_PAGES is the caller's. */
/** Give a block to the lists, merging. The page's flags hold its zone. */
void buddy_free(struct zone *z, struct page *page, unsigned int order, unsigned int migratetype);
/** As above, to the lists of the frame's pageblock or of the CMA area; counts NR_FREE_CMA. */
void buddy_free_page(struct zone *z, struct page *page, unsigned int order);
/** Take one block, falling back to other types. NULL if there is none. Head's flags are set; its state is that of a
 * block in use (PAGE_OTHER). */
struct page *buddy_take(struct zone *z, unsigned int order, unsigned int migratetype);
/** Take up to `nr` blocks onto `list` (tail), state PAGE_PCP for this CPU. Returns how many. */
unsigned int buddy_take_bulk(struct zone *z, unsigned int order, unsigned int nr,
			     unsigned int migratetype, struct list_head *list);
/** Head of the block, free or in use, that covers the frame; NULL: no RAM. From the largest size down,
 * because a tail may still look like the free head that it once was. Exact for free blocks under
 * zone->lock; a block in use may change meanwhile. */
struct page *block_head(pfn_t pfn);
/** Take a given free block off its list. Returns its order; the pages are the caller's, their fields as
 * they were. */
unsigned int buddy_isolate(struct zone *z, struct page *page);
/* Policy, pure. */
/** Types to try in this order when `migratetype` has nothing; ends with NR_MIGRATETYPES. */
const u8 *buddy_fallbacks(unsigned int migratetype);
/** May an allocation of type `want` try to take over the pageblock of a free block it falls back
 * to? */
bool buddy_may_claim(unsigned int free_order, unsigned int want);
/** Should it, given the block's free pages and its movable pages in use? */
bool buddy_should_claim(unsigned int want, unsigned int block_type, unsigned int nr_free,
			unsigned int nr_movable);

/* pcp.c: interrupts off. */
/** Batch and high mark, in pages, for a zone of this many pages. [pure] */
u32 zone_pcp_batch(u64 managed);
u32 zone_pcp_high(u64 managed);
/** The high mark when a CPU may hold 1/fraction of the zone, shared by this many CPUs; fraction 0: as above.
 * [pure] */
u32 zone_pcp_high_fraction(u64 managed, u32 fraction, u32 cpus);
void pcp_init(struct zone *z);
/** Fill an empty list. Returns blocks put there. */
unsigned int pcp_refill(struct zone *z, struct per_cpu_pages *pcp, unsigned int order,
			unsigned int migratetype);
/** The CPU's cache is above its high mark: return a batch to the buddy. */
void pcp_drain_batch(struct zone *z, struct per_cpu_pages *pcp);
void pcp_drain_all(struct zone *z, struct per_cpu_pages *pcp);

/* Keep an address in a register: gcc would rather compute it anew for each field. */
#define HOLD(p) __asm__("" : "+r"(p))

/** Where an allocation looks: down the zonelist of `node`, at the zones of `nodes`. Passed by value, in two
 * registers. */
struct alloc_where {
	pg_data_t *node;
	u32 nodes; /* a bit each, or ALL_NODES */
};
/** May the allocation not use this zone, because of its node? */
static inline bool alloc_outside(const struct zone *z, struct alloc_where w)
{
	return unlikely(w.nodes != ALL_NODES) && !(w.nodes & 1u << z->node->id);
}

/* page_alloc.c */
/** A block of the first zone that stays above `mark` without it; `alloc_flags` = ALLOC_*. NULL: no zone does.
 * The page is not prepared yet (invariant I1 does not hold). */
struct page *get_page_from_freelist(struct alloc_where w, gfp_t gfp, unsigned int order,
				    enum zone_watermark mark, unsigned int alloc_flags);
/** An allocation that starts at `nid` and stays within `nodes`; not traced, no policy looked at. */
struct page *alloc_pages_where(gfp_t gfp, unsigned int order, enum mmvm_page_type type,
			       unsigned int nid, u32 nodes);
/** Make head and tails of a block one compound block; nobody counts anything yet. */
void prep_compound(struct page *page, unsigned int order);
/** Not 0: a test counts allocations down to the one that fails. */
extern u64 alloc_fail_countdown;

/* poison.c; on with static_key(KEY_POISON) */
/** The block is about to enter a free list: fill it. */
void page_poison_block(struct page *page, unsigned int order);
/** The block comes from a free list: panics if somebody has written to it. */
#ifdef MMVM_HOSTED
void page_check_poison(const struct page *page, unsigned int order);
#else
__attribute__((no_caller_saved_registers)) void page_check_poison(const struct page *page,
								  unsigned int order);
#endif
static __always_inline void check_page_poison(struct page *page, unsigned int order)
{
#ifdef MMVM_HOSTED
	page_check_poison(page, order);
#else
	/* As in env_page_freed(). */
	__asm__ volatile("call page_check_poison" : : "D"(page), "S"(order) : "memory", "cc");
#endif
}
/** Count one; true when it is the one. */
bool alloc_should_fail(gfp_t gfp);
/** An allocation that may sleep is about to: panics where it must not. Returns the flags that hold
 * (before the scheduler runs, without reclaim). */
gfp_t alloc_check_context(gfp_t gfp);

/* page_free.c */
/** A PAGE_RESERVED frame becomes a free page of its zone. */
void free_reserved_frame(struct page *page);

/* alloc_slow.c */
/** No zone is above its low mark: reclaim, compact, retry, kill. Returns a page that is not prepared yet, or
 * NULL (never with __GFP_NOFAIL). May sleep when gfp has __GFP_DIRECT_RECLAIM. */
struct page *alloc_slowpath(struct alloc_where w, gfp_t gfp, unsigned int order);

/* vmalloc.c */
extern s64 kernel_pgtables;   /* page-table pages made for the vmalloc area */
u64 vmalloc_used_pages(void); /* pages behind vmalloc areas */

/* shrinker.c, slab.c: for the audit */
extern struct list_head slab_caches;
struct mmvm_audit_cache_layout;
void slab_audit_layout(struct mmvm_audit_cache_layout *l);
#endif
