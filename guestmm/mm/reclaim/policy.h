/*
 * struct reclaim_policy: which pages to look at next, and what to do with them.
 *
 *   new page ──add──> lists ──isolate──> struct isolated ──(vmscan: judge, evict)──┬──> freed
 *                      ^ ^                                                         │
 *                      │ └───────────────────── put_back <─────────────────────────┘
 *                      └── age, used, written: pages move between the policy's lists
 *
 * A policy is one file and one row of the table in lruvec.c. It decides; mm/reclaim/evict.c acts: a policy never
 * unmaps, writes or frees. evict.c records its findings about a page that stays in the page's flags, for
 * put_back(): PG_referenced (one use since the last look) and PG_active (belongs among the used pages). Nothing
 * else is remembered between isolate() and put_back().
 *
 * The same file is compiled into the guest, into the unit tests and into the simulator of `mmvm
 * policy`. It may use lruvec.h, workingset.h, the flags of struct page and page_referenced();
 * nothing else.
 */
#ifndef MM_RECLAIM_POLICY_H
#define MM_RECLAIM_POLICY_H
#include "arch/pgtable.h"
#include "mm/reclaim/lruvec.h"

struct scan_control;
struct vm_area_struct;

/** The input of plan(): how much memory is needed, and what can be reclaimed. */
struct reclaim_pressure {
	int priority;	   /* 12: little, 0: everything */
	int swappiness;	   /* 0..200 */
	bool can_swap;	   /* anonymous pages can leave memory */
	bool file_is_tiny; /* all files and free pages do not reach the high watermarks */
};

/** The input of judge(): how an isolated page was used. */
struct page_use {
	unsigned int ptes; /* its mappings that were used since the last look */
	bool referenced;   /* PG_referenced was set (and is cleared) */
	bool file;	   /* a page of a file, not anonymous or shared memory */
	bool exec;	   /* mapped as a program's text */
	bool active;	   /* PG_active */
	u32 policy;	   /* the policy's bits of the page's flags (PAGE_POLICY) */
};
enum page_verdict {
	PAGE_RECLAIM,  /* take it */
	PAGE_KEEP,     /* used once: PG_referenced, put back */
	PAGE_ACTIVATE, /* PG_active, put back */
};

/** Pages taken off the lists of one lruvec. The isolator holds a reference on each. */
struct isolated {
	struct lruvec *lruvec;
	unsigned int list; /* number of the list they came from; LRU_MAX_LISTS = several */
	unsigned int file; /* 1: pages of files, 0: anonymous */
	u64 nr;		   /* pages, counted by nr_isolated and the level */
	struct zone *zone; /* whose level NR_ISOLATED_* counts them all */
	enum zone_stat_item level;
	struct list_head pages; /* oldest last */
};
#define ISOLATED_INIT(name, lv, file_)                                                 \
	{                                                                              \
		.lruvec = (lv), .file = (file_), .pages = LIST_HEAD_INIT((name).pages) \
	}

struct reclaim_policy {
	const char *name;
	/** Lists 1 .. nr_lists. (Every policy has list 0, the unevictable one.) */
	const struct lru_list_desc *lists;
	unsigned int nr_lists;
	struct mmvm_audit_gens gens; /* for the host; max_gens 0: no generations */

	/** Initialise lv->state for empty lists. */
	void (*init)(struct lruvec *lv);
	/** The list of an evictable page that comes from another policy's lists. lv->lock held. */
	unsigned int (*place)(const struct lruvec *lv, const struct page *page);
	/** New pages, and pages that change their lruvec, enter the lists. lv->lock held.
	 * Pages of which a batch holds the only reference (lru_page_dead) are left out. */
	void (*add)(struct lruvec *lv, struct page **pages, unsigned int nr);
	/** The page was used by a read, write or other access that sets no accessed bit. No locks. */
	void (*used)(struct page *page);

	/** Pages of anonymous memory [0] and of files [1] to look at in one pass. */
	void (*plan)(const struct lruvec *lv, const struct reclaim_pressure *p, u64 target[2]);
	/** Make sure that isolate() finds pages, if the lists are out of balance. May look at about
	 * nr pages' accessed bits. May sleep. NULL: nothing to do. */
	void (*age)(struct lruvec *lv, unsigned int file, unsigned int nr, struct scan_control *sc);
	/** Take up to nr pages, those least likely to be missed. Fills iso, whose lruvec and kind
	 * are set. Returns iso->nr. */
	u64 (*isolate)(struct isolated *iso, unsigned int nr, const struct scan_control *sc);
	/** What to do with an isolated page [pure]. */
	enum page_verdict (*judge)(const struct page_use *use);
	/** Return the pages of iso to the lists and drop their references. iso->list tells whether
	 * isolate() took them or madvise() did (LRU_MAX_LISTS). */
	void (*put_back)(struct isolated *iso);

	/** The page has been written to swap: let it be looked at next. lv->lock held, the page is on
	 * an evictable list. Returns whether it was moved. */
	bool (*written)(struct lruvec *lv, struct page *page);
	/** madvise(MADV_COLD): forget what is known in favour of an isolated page. */
	void (*demote)(struct page *page);

	/** The page leaves memory. Returns the token to remember in its place: SHADOW_TOKEN_BITS bits. Any context,
	 * no locks. */
	u32 (*evicted)(struct lruvec *lv, const struct page *page);
	/** The page, on no list yet, comes back after `token` was remembered. No locks. */
	void (*refault)(struct lruvec *lv, struct page *page, u32 token);

	/** rmap has found the accessed bit of `addr` set, and cleared it. page_table_lock held. NULL:
	 * the policy does not use it. */
	void (*look_around)(struct vm_area_struct *vma, unsigned long addr, pte_t *pte);
};

/** The policy that new lruvecs get. policy_mutex to change. */
extern const struct reclaim_policy *reclaim_policy;
/** Change the policy of all lruvecs; their pages move over. -EINVAL: there is no policy of that name. May sleep.
 * Each policy keeps its state in words of its own in lv->state, and checks lv->policy under lv->lock before it
 * links a page, because an operation that began under the old policy may end under the new one. */
int reclaim_policy_set(const char *name);
/** All policies, by row. NULL ends. */
extern const struct reclaim_policy *const reclaim_policies[];
/** Policies that other files refer to by name. */
extern const struct reclaim_policy policy_twolist, policy_s3fifo, policy_mglru;
/** Row of the policy of that name, or -EINVAL. */
int reclaim_policy_row(const char *name);

/* ---- parts that policies are made of (lru.c) ---- */

/** Is the reference of the batch that adds the page the only one left? */
static inline bool lru_page_dead(const struct page *page)
{
	return page_ref_count(page) == 1;
}
/** Where an evictable page with these flags belongs [pure]: the number of a list, with LRU_AT_TAIL to be looked
 * at next. */
typedef unsigned int (*lru_place_fn)(const struct lruvec *lv, const struct page *page);
#define LRU_AT_TAIL 0x80u

/** `place` for a page that may be unevictable. */
static inline __attribute__((always_inline)) unsigned int
lru_place(const struct lruvec *lv, const struct page *page, lru_place_fn place)
{
	return unlikely(PageUnevictable(page)) ? LRU_UNEVICTABLE : place(lv, page);
}
/** The usual add(): each page to the head of the list that `place` names. lv->lock held. */
static inline __attribute__((always_inline)) void
lruvec_add_pages(struct lruvec *lv, struct page **pages, unsigned int nr, lru_place_fn place)
{
	struct lru_delta d = {0};

	for (unsigned int i = 0; i < nr; i++)
		if (likely(!lru_page_dead(pages[i])))
			lruvec_add_page(lv, pages[i], lru_place(lv, pages[i], place) & ~LRU_AT_TAIL,
					&d);
	lru_delta_flush(lv, &d);
}
/** The usual isolate(): up to nr pages from the tail of a list. Pages of zones that the caller cannot use, and
 * pages about to be freed, move to the list's head. */
u64 isolate_list_tail(struct isolated *iso, unsigned int list, unsigned int nr,
		      const struct scan_control *sc);
/** The usual put_back(): the last (oldest) page of iso first. `place` is that of `policy`. */
void put_back_pages(struct isolated *iso, const struct reclaim_policy *policy, lru_place_fn place);
#endif
