/* Reclaim from inside. [R1 R2] */
#ifndef MM_VMSCAN_H
#define MM_VMSCAN_H
#include "mm/swapcache.h"

#define DEF_PRIORITY	    12 /* a pass looks at 1/4096 of the lists, then twice as much, ... */
#define KSWAPD_MAX_FAILURES 16 /* fruitless runs before kswapd leaves it to direct reclaim */

/** One reclaim's task and result. */
struct scan_control {
	gfp_t gfp;
	unsigned int order;
	enum zone_type highest; /* pages of higher zones do not help */
	int priority;
	bool kswapd;
	u64 nr_to_reclaim;
	u64 nr_scanned, nr_reclaimed;	/* pages */
	u64 nr_slab;			/* objects that shrinkers freed */
	struct zone *isolated_zone;	/* whose level counts the isolated pages */
	struct swap_write_batch writes; /* request being filled, over one pass */
};
/** One pass over a node's lists at sc->priority. Sleeps. */
void shrink_node(pg_data_t *node, struct scan_control *sc);
/** kswapd's work: reclaim until a zone the waker could use is above high. Sleeps. Returns pages
 * reclaimed. */
u64 balance_pgdat(pg_data_t *node, unsigned int order, enum zone_type highest);
/** Is some zone that the request could use above its high watermark? */
bool pgdat_balanced(const pg_data_t *node, unsigned int order, enum zone_type highest);

/** What madvise() asks for. `pages`: isolated by lru_isolate(), with its references, which go. */
/** Reclaim them: written where needed, and freed when that is done. Sleeps. Returns pages freed. */
u64 reclaim_pages(struct list_head *pages);
/** Put them on the inactive list, as if they had not been used. */
void deactivate_pages(struct list_head *pages);

/* Policy [pure] */
/** Should the active list give pages to the inactive one? Up to 1 GiB they are kept equal; the
 * larger memory is, the smaller a part suffices to see who is used twice. Pages. */
bool inactive_is_low(u64 inactive, u64 active);
enum page_verdict { PAGE_RECLAIM, PAGE_KEEP, PAGE_ACTIVATE };
/** What to do with an inactive page: `ptes` of its mappings were used since the last look,
 * `referenced` = the last look found a use, too. */
enum page_verdict page_check_references(unsigned int ptes, bool referenced);
/** How many pages of an inactive list of `size` to look at. */
u64 scan_target(u64 size, int priority, int swappiness, bool can_swap);
#endif
