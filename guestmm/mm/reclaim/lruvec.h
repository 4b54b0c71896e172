/*
 * struct lruvec: the reclaimable pages of one (memory cgroup, node) pair.
 *
 * Each list has a number. Number 0 is the unevictable list; the others belong to the lruvec's reclaim policy, which
 * names them in its table (struct lru_list_desc). A page on a list carries the list's number in its flags
 * (PAGE_LIST_SHIFT). So removing it, which munmap() does very often, needs no policy: unlink it, and subtract from
 * nr[number].
 *
 * L1  PG_lru is set exactly while the page is on a list of folio_lruvec(). PAGE_LIST then is the
 *     number of that list, and the list's flags_mask/flags_value hold for the page's flags. All of
 *     them change under lruvec->lock only; off the lists PAGE_LIST is 0.
 * L2  nr[] and the zones' levels (lru_list_desc.level) agree with the lists whenever lruvec->lock
 *     is free. Both count pages of 4 KiB, not folios.
 * L3  A list holds no reference on its pages. Whoever drops the last reference of a page takes it off its list.
 *     Whoever finds a page on a list takes a reference, unless the count is 0: then the page is being freed, and
 *     that thread waits for lruvec->lock.
 * L4  Only the policy's own file, the functions here, lruvec.c, lru.c and change_policy.c use the heads of the
 *     lists.
 *
 * Locks: lruvec->lock, interrupts off, because the end of a write moves pages from an interrupt.
 * It is taken under the page lock, anon_vma, i_mmap and page-table locks, and never two at once.
 */
#ifndef MM_LRUVEC_H
#define MM_LRUVEC_H
#include "mm/phys/folio.h"
#include "mmvm/audit.h"

#define LRU_MAX_LISTS	    (MMVM_AUDIT_MAX_LRU_LISTS + 1) /* of a lruvec, the unevictable one included */
#define LRU_UNEVICTABLE	    0 /* number of the list of pages that reclaim does not look at */
#define LRU_MAX_POLICIES    MMVM_AUDIT_MAX_POLICIES
#define LRUVEC_POLICY_WORDS 64

/** One list of a policy. */
struct lru_list_desc {
	const char *name;
	enum zone_stat_item level;   /* the zone level that counts its pages */
	u64 flags_mask, flags_value; /* holds for the flags of each page on the list */
	unsigned int kind;	     /* MMVM_LRU_ANON, MMVM_LRU_FILE or MMVM_LRU_ANY */
};

struct lruvec {
	spinlock_t lock;
	const struct reclaim_policy *policy;  /* lock to change */
	u32 policy_index;		      /* lock: row of the policy, for the host */
	u32 id;				      /* C: index in lruvec_table, part of a shadow */
	pg_data_t *node;		      /* C */
	u64 memcg;			      /* C: id of the memory cgroup; 0 = the root */
	struct list_head link;		      /* lruvec_list_lock: all lruvecs, for the host */
	struct list_head list[LRU_MAX_LISTS]; /* lock */
	u64 nr[LRU_MAX_LISTS];		      /* lock: pages */
	u64 nr_isolated;		      /* lock: pages that are isolated */
	u64 workingset[NR_WORKINGSET_ITEMS];  /* A: events WORKINGSET_* of its pages */
	u64 state[LRUVEC_POLICY_WORDS];	      /* the policy's, under the locks it names */
};

extern struct lruvec root_lruvec[MMVM_MAX_NODES];
extern struct list_head lruvec_list; /* every lruvec */
#define MAX_LRUVECS MMVM_AUDIT_MAX_LRUVECS
extern struct lruvec *lruvec_table[MAX_LRUVECS]; /* by id; NULL = none. Read without a lock. */

/** Empty lruvecs of all nodes, under the chosen policy. Once, before the first page. */
void lruvecs_init(const char *policy);
/** Make an empty lruvec. It gets an id, joins lruvec_list and is of the current policy. Returns 0 or
 * -ENOSPC (MAX_LRUVECS are in use). */
int lruvec_init(struct lruvec *lv, pg_data_t *node, u64 memcg);
/** Remove a lruvec whose lists are empty. Shadows that name it become invalid. */
void lruvec_destroy(struct lruvec *lv);

/** The lruvec whose lists the folio (here: its head page) is on or will be put on. */
struct lruvec *mem_cgroup_page_lruvec(const struct page *page);
static inline struct lruvec *page_lruvec(const struct page *page)
{
	return unlikely(PageCharged(page)) ? mem_cgroup_page_lruvec(page)
					   : &root_lruvec[page_node_id(page)];
}
static inline struct lruvec *folio_lruvec(const struct folio *folio)
{
	return page_lruvec(&folio->page);
}
/** How many pages a head or single page adds to nr[] and the levels: those of its folio. */
static inline s64 page_lru_pages(const struct page *page)
{
	return 1ll << page->order;
}
static inline unsigned int page_list(const struct page *page)
{
	return READ_ONCE(page->flags) >> PAGE_LIST_SHIFT & PAGE_LIST_MASK;
}
/** 1: the page counts as one of a file. 0: it counts as anonymous memory, as shared memory does. */
static inline unsigned int page_is_file_lru(const struct page *page)
{
	return !PageSwapBacked(page);
}
/** Sum of the lists of a level (NR_INACTIVE_ANON ... NR_UNEVICTABLE), in pages. */
u64 lruvec_level(const struct lruvec *lv, enum zone_stat_item level);
/** Sum over the lruvecs of a node. */
u64 node_lru_level(const pg_data_t *node, enum zone_stat_item level);
/** Next lruvec of the node within `target`'s subtree (NULL: all) after `prev` (NULL: the first), those of parents
 * first. NULL ends. The group of the returned lruvec is referenced until the next call, so a caller must iterate to
 * the end. */
struct mem_cgroup;
struct lruvec *next_lruvec(pg_data_t *node, struct mem_cgroup *target, struct lruvec *prev);

/** count_vm_events(), also for the lruvec's memory cgroup; an event WORKINGSET_* by node, too. */
void mem_cgroup_count_lruvec(const struct lruvec *lv, enum vm_event_item item, u64 n);
static inline void count_lruvec_events(struct lruvec *lv, enum vm_event_item item, u64 n)
{
	count_vm_events(item, n);
	if (item >= WORKINGSET_REFAULT_ANON && item <= WORKINGSET_NODERECLAIM)
		atomic_add(&lv->workingset[item - WORKINGSET_REFAULT_ANON], n);
	if (unlikely(lv->memcg))
		mem_cgroup_count_lruvec(lv, item, n);
}

/** Pages added to and removed from one list, not yet in the counters. lv->lock. */
struct lru_delta {
	unsigned int zone, list;
	s64 n;
};
void lru_delta_flush(struct lruvec *lv, struct lru_delta *d);
static inline void lru_delta_add(struct lruvec *lv, struct lru_delta *d, const struct page *page,
				 unsigned int list, s64 n)
{
	unsigned int zone = page_zone_index(page);

	if (unlikely(d->zone != zone || d->list != list)) {
		lru_delta_flush(lv, d);
		d->zone = zone;
		d->list = list;
	}
	d->n += n;
}

/* For policies. lv->lock held, the page on no list / on one. */
static inline void lruvec_add_page(struct lruvec *lv, struct page *page, unsigned int list,
				   struct lru_delta *d)
{
	atomic_or(&page->flags, 1ull << PG_lru | (u64)list << PAGE_LIST_SHIFT);
	list_add(&page->lru, &lv->list[list]);
	lru_delta_add(lv, d, page, list, page_lru_pages(page));
}
static inline void lruvec_del_page(struct lruvec *lv, struct page *page, struct lru_delta *d)
{
	unsigned int list = page_list(page);

	atomic_and(&page->flags, ~(1ull << PG_lru | PAGE_LIST_MASK << PAGE_LIST_SHIFT));
	list_del(&page->lru);
	lru_delta_add(lv, d, page, list, -page_lru_pages(page));
}
/** To the head of another list. */
static inline void lruvec_move_page(struct lruvec *lv, struct page *page, unsigned int list,
				    struct lru_delta *d)
{
	lruvec_del_page(lv, page, d);
	lruvec_add_page(lv, page, list, d);
}
#endif
