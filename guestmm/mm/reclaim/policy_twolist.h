/* Decisions of the policy "twolist", for its tests. All pure. */
#ifndef MM_POLICY_TWOLIST_H
#define MM_POLICY_TWOLIST_H
#include "mm/reclaim/policy.h"

/** Should the active list give pages to the inactive one? Up to 1 GiB they are kept equal; the larger memory is,
 * the smaller the part that suffices to see which pages are used twice. Pages. */
bool inactive_is_low(u64 inactive, u64 active);
enum page_verdict twolist_judge(const struct page_use *use);
/** How many pages of the lists of one kind, `size` in all, to look at. */
u64 scan_target(u64 size, int priority, int swappiness, bool can_swap);
/** The input of scan_balance(). Index 0 is anonymous memory, 1 files. */
struct scan_balance {
	struct reclaim_pressure p;
	u64 inactive[2], active[2]; /* pages on the lists */
	u64 cost[2];		    /* recent cost of taking pages of this kind */
};
/** Pages of each to look at in one pass. */
void scan_balance(const struct scan_balance *b, u64 target[2]);
/** Would a list longer by `workingset` pages have kept a page evicted at this clock's reading? */
bool twolist_was_active(u32 evicted_at, u32 now, u64 workingset);
/** Advance the clock: `pages` pages have left the inactive lists. */
void twolist_age_clock(struct lruvec *lv, u64 pages);
#endif
