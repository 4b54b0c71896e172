/* Swap areas, the swap cache, and reclaim's entry points. [R1 R2 R3] */
#ifndef MM_SWAP_H
#define MM_SWAP_H
#include "lib/format.h"
#include "mm/cache/bio.h"
#include "mm/virt/mm_types.h"
#include "mm/phys/zone.h"

/** Use a disk with a mkswap header (SWAPSPACE2, version 1) as swap; prio -1 = next lower than the
 * last. Returns 0, -EINVAL (header), -EIO, -ENOMEM, -EBUSY (already in use). May sleep. */
int do_swapon(struct block_device *bdev, int prio);
/** Bring everything back and stop using it. Returns 0, -ENOMEM (does not fit), -EINTR (killed),
 * -EINVAL. */
int do_swapoff(struct block_device *bdev);
u64 swap_total_pages(void);
u64 swap_free_pages(void);
void report_swaps(struct report *r);

/** Add or drop a reference of a swap slot for a PTE. */
int swap_duplicate(swp_entry_t e);
void swap_free(swp_entry_t e);

/* Reclaim */
/** Start kswapd for every node. */
int kswapd_init(void);
/** Allocation in `zone` fell below low: wake its node's kswapd. Any context. */
void wakeup_kswapd(struct zone *zone, gfp_t gfp, unsigned int order, enum zone_type highest);
/** Direct reclaim for an allocation. Sleeps. Returns pages reclaimed (0 = no progress). */
unsigned long try_to_free_pages(gfp_t gfp, unsigned int order);
/** Only one may decide about killing: false when somebody else is at it. May not sleep. */
bool oom_trylock(void);
void oom_unlock(void);
/** Nothing reclaimable: pick and kill a process; between oom_trylock() and oom_unlock(). May sleep.
 * Returns true if one was killed or is still dying.
 */
bool out_of_memory(gfp_t gfp, unsigned int order);
extern int vm_swappiness; /* 0..200, default 60 */

/** Badness as Linux 6.12: rss + swap + page tables in pages, plus adj * total / 1000; LONG_MIN =
 * never. [pure] */
long oom_badness_points(u64 rss, u64 swap, u64 pgtable_pages, u64 totalpages, int oom_score_adj);

/* LRU */
void lru_add_anon(struct page *page, bool active);
void lru_del(struct page *page); /* if on an LRU list */
void mark_page_accessed(struct page *page);
#endif
