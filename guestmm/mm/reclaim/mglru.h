/*
 * The interface between the multi-generational policy and the code that looks for accessed bits for it. That code
 * is mglru_walk.c (page tables) in the guest, and vmm/policy/guest/sim.c in the simulator.
 */
#ifndef MM_MGLRU_H
#define MM_MGLRU_H
#include "lib/format.h"
#include "mm/reclaim/policy.h"

#define MGLRU_MAX_GENS 4u /* generations of a lruvec at most */
#define MGLRU_MIN_GENS 2u /* the youngest, from which nothing is taken */
#define MGLRU_TIERS    4u /* by uses through read() and write(): 0, 1, 2 to 3, more */

/** Look for accessed bits in the page tables whose pages may be the lruvec's, clear them, and call
 * mglru_page_young() for each page found. `seq`: the youngest generation; one more with each walk.
 * May sleep. */
void mglru_walk(struct lruvec *lv, u64 seq);
/** The page was used: mark it for the generation that is youngest now. It moves there when eviction reaches it. Any
 * context. The caller keeps the page from being freed. */
void mglru_page_young(struct page *page);

/** Minimum age in nanoseconds of a generation before pages are evicted from it (thrashing protection); 0: off. */
extern u64 mglru_min_ttl_ns;

/** rmap has found an accessed bit of `vma` at addr, and cleared it: its neighbours in the same table are
 * likely to have theirs. page_table_lock held. */
struct vm_area_struct;
void mglru_look_around(struct vm_area_struct *vma, unsigned long addr, pte_t *pte);
/** May the table have hot pages, according to the last walk and the look-arounds? */
bool mglru_table_is_hot(unsigned int node, u64 seq, const void *table);
void mglru_table_found_hot(unsigned int node, u64 seq, const void *table);

/** The tier of a page with this many counted uses [pure]. */
unsigned int mglru_tier(unsigned int uses);
/** Refaults and evictions of a part of the pages, for the controller. */
struct mglru_pos {
	u64 refaulted, total;
	u32 gain;
};
/** Does the process variable have few refaults, or a lower rate than the set point, by their gains? [pure] */
bool mglru_refaults_less(const struct mglru_pos *set_point, const struct mglru_pos *variable);
/** Generations of each lruvec, as Linux's debugfs lru_gen lists them. */
void mglru_report(struct report *r);
#endif
