/* Reclaim: the interface within mm/reclaim. */
#ifndef MM_VMSCAN_H
#define MM_VMSCAN_H
#include "mm/reclaim/policy.h"
#include "mm/swap/swapcache.h"

#define DEF_PRIORITY	    12 /* a pass looks at 1/4096 of the lists, then twice as much, ... */
#define KSWAPD_MAX_FAILURES 16 /* fruitless runs before kswapd leaves it to direct reclaim */

/** What one reclaim is asked to do, and its result. */
struct scan_control {
	gfp_t gfp;
	struct mem_cgroup *target; /* only the groups of its subtree; NULL: all */
	int swappiness;		   /* with a target: instead of vm_swappiness */
	u32 nodes;		   /* direct reclaim: only of these, a bit each */
	unsigned int order;
	enum zone_type highest; /* pages of higher zones do not help */
	int priority;
	bool kswapd;
	bool no_swap;	       /* only pages of files */
	bool no_demotion;      /* not to a slower node */
	bool demotes;	       /* evict_isolated() alone: pages are collected for a slower node */
	bool low_was_skipped;  /* a group was skipped because of its memory.low */
	bool low_is_reclaimed; /* memory.low does not protect any more: nothing else is left */
	u64 nr_to_reclaim;
	bool may_writepage; /* it writes pages of files itself instead of leaving them to the flusher */
	u64 nr_scanned, nr_reclaimed;	/* pages */
	u64 nr_dirty;			/* pages of files that were left to the flusher */
	u64 nr_slab;			/* objects that shrinkers freed */
	struct swap_write_batch writes; /* the swap write being filled during one pass */
};
/** One pass at sc->priority over the lists of one (cgroup, node) pair, until sc->nr_to_reclaim is
 * reached. Sleeps. Requests being filled stay in sc->writes. */
void shrink_lruvec(struct lruvec *lv, struct scan_control *sc);
/** One pass over the lruvecs of sc->target's subtree on a node, and over slab caches. Sleeps. */
void shrink_node(pg_data_t *node, struct scan_control *sc);
/** kswapd's work: reclaim until a zone the waker could use is above high. Sleeps. Returns pages
 * reclaimed. */
u64 balance_pgdat(pg_data_t *node, unsigned int order, enum zone_type highest);
/** Is some zone that the request could use above its high watermark? */
bool pgdat_balanced(const pg_data_t *node, unsigned int order, enum zone_type highest);

/** Pages of files could not be taken because they are dirty or being written: wait a short time for the flusher, if
 * any write is under way. */
void reclaim_wait_for_flusher(struct scan_control *sc);

/* For madvise(). `pages` were isolated by lru_isolate(); its references are dropped. */
/** Reclaim them: written where needed, and freed when that is done. Sleeps. Returns pages freed. */
u64 reclaim_pages(struct list_head *pages);
/** Put the pages on the inactive list, as if they had not been used. */
void deactivate_pages(struct list_head *pages);

/* What evict.c does with isolated pages */
struct evict_result {
	u64 freed, activated; /* pages */
};
/** Judge and take the pages of iso. Those freed move to `dead` with reference count 0; those that
 * stay remain in iso->pages, oldest last, for put_back(). Sleeps. */
void evict_isolated(struct isolated *iso, struct list_head *dead, struct scan_control *sc,
		    struct evict_result *result);
/** Wait for the writes of the listed pages, and move to `dead` those that have not been used again. Returns pages.
 * Sleeps. */
u64 evict_written(struct list_head *pages, struct list_head *dead);
#endif
