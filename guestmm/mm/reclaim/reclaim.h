/*
 * The room mm/reclaim for the rest of the kernel: which page leaves memory, and when.
 *
 *   lru.h, lru.c          pages onto lists and off them, freeing
 *   lruvec.h, lruvec.c    the lists of one (memory cgroup, node) pair
 *   policy.h, policy_*.c  which page to look at next
 *   vmscan.c, evict.c     passes over the lists; taking pages
 *   demote.c              moving pages to a slower node instead
 *   workingset.c          shadows: what is remembered of evicted pages
 *   kswapd.c, oom*.c      reclaim ahead of need; killing when reclaim fails
 *
 * Ownership: an LRU list holds no references on its pages; a page belongs to those who do. Whoever isolates a page
 * holds a reference on it, and puts it back or frees it.
 *
 * Errors: reclaim returns how many pages it freed; 0 means no progress. Only functions that start threads or change
 * settings return an errno.
 *
 * Lock order (outer to inner), this room's part:
 *
 *   page lock (trylock only) > anon_vma, i_mmap > page_table_lock > lruvec->lock > zone->lock
 *                                              mapping->lock, swap_info lock > (no lock of ours)
 *
 * lruvec->lock is taken with interrupts off; never two lruvecs' at once.
 */
#ifndef MM_RECLAIM_H
#define MM_RECLAIM_H
#include "mm/phys/zone.h"

/** Start kswapd for every node. Returns 0 or -ENOMEM. */
int kswapd_init(void);
/** Allocation in `zone` fell below low: wake its node's kswapd. Any context. */
void wakeup_kswapd(struct zone *zone, gfp_t gfp, unsigned int order, enum zone_type highest);
/** Direct reclaim for an allocation. Sleeps. Returns pages reclaimed (0 = no progress). */
unsigned long try_to_free_pages(gfp_t gfp, unsigned int order);
/** The same where only pages of these nodes help, a bit each. */
unsigned long try_to_free_node_pages(u32 nodes, gfp_t gfp, unsigned int order);
/** The same from one memory cgroup and all below it. */
struct mem_cgroup;
u64 try_to_free_group_pages(struct mem_cgroup *memcg, u64 nr, gfp_t gfp);
/** The same with a swappiness of its own, 0 (only pages of files) to 200. */
u64 try_to_free_group_pages_by(struct mem_cgroup *memcg, u64 nr, gfp_t gfp, int swappiness);
/** Get the right to decide about killing. False: another thread has it. Does not sleep. */
bool oom_trylock(void);
void oom_unlock(void);
/** Nothing can be reclaimed: choose a process and kill it. Call it between oom_trylock() and oom_unlock(). May
 * sleep. Returns true if a process was killed or is still dying, or the balloon gave pages back. */
bool out_of_memory(gfp_t gfp, unsigned int order);
extern int vm_swappiness; /* 0..200, default 60 */

/** Badness as Linux 6.12: rss + swap + page tables in pages, plus adj * total / 1000; LONG_MIN =
 * never. [pure] */
long oom_badness_points(u64 rss, u64 swap, u64 pgtable_pages, u64 totalpages, int oom_score_adj);

/** Queue a new anonymous page for the LRU. */
void lru_add_anon(struct page *page, bool active);
/** Take the page off its LRU list, if it is on one. */
void lru_del(struct page *page);
/** The page was read, written or otherwise used without an accessed bit. */
void mark_page_accessed(struct page *page);
#endif
