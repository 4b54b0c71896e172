/* Reclaim from inside. [R1 R2] */
#ifndef MM_VMSCAN_H
#define MM_VMSCAN_H
#include "mm/swap/swapcache.h"

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
	bool may_writepage;		/* writes pages of files itself, not only the flusher */
	u64 nr_scanned, nr_reclaimed;	/* pages */
	u64 nr_dirty;			/* pages of files that were left to the flusher */
	u64 nr_slab;			/* objects that shrinkers freed */
	struct zone *isolated_zone;	/* whose level counts the isolated pages */
	enum zone_stat_item isolated;	/* which level */
	struct swap_write_batch writes; /* request being filled, over one pass */
};
/** One pass over a node's lists at sc->priority. Sleeps. */
void shrink_node(pg_data_t *node, struct scan_control *sc);
/** kswapd's work: reclaim until a zone the waker could use is above high. Sleeps. Returns pages
 * reclaimed. */
u64 balance_pgdat(pg_data_t *node, unsigned int order, enum zone_type highest);
/** Is some zone that the request could use above its high watermark? */
bool pgdat_balanced(const pg_data_t *node, unsigned int order, enum zone_type highest);

/** Pages of files could not be taken because they are dirty or being written: wait a little for the
 * flusher, if anything is on its way. */
void reclaim_wait_for_flusher(struct scan_control *sc);

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
/** The same for a page of a file; `exec` = it is mapped as a program's text. */
enum page_verdict file_check_references(unsigned int ptes, bool referenced, bool exec);
/** How many pages of an inactive list of `size` to look at. */
u64 scan_target(u64 size, int priority, int swappiness, bool can_swap);
/** What is known when anonymous memory and files are weighed against each other. Index 0 is
 * anonymous memory, 1 files. */
struct scan_balance {
	u64 inactive[2], active[2]; /* pages on the lists */
	u64 cost[2];		    /* what taking from it has cost lately: see lru_note_cost() */
	int priority, swappiness;
	bool can_swap;
	bool file_is_tiny; /* all files and free pages together do not reach the high watermarks */
};
/** Pages of each to look at in one pass. */
void scan_balance(const struct scan_balance *b, u64 target[2]);
#endif
