/* Demotion: cold pages move to a slower node instead of to the disk (demote.c). */
#ifndef MM_DEMOTE_H
#define MM_DEMOTE_H
#include "mm/reclaim/vmscan.h"

/** /sys/kernel/mm/numa/demotion_enabled. */
extern bool numa_demotion_enabled;
/** The nearest node without CPUs, except `not_these` (a bit each). NUMA_NO_NODE: there is none, or node nid itself
 * has no CPUs. */
int demotion_target(int nid, u32 not_these);
/** May this reclaim move pages of the node to a slower one? */
bool can_demote(const pg_data_t *node, const struct scan_control *sc);
/** Move isolated, unlocked, single pages of lv to a slower node. Those that stay remain on the list. Returns how many left
 * it: moved, or freed meanwhile. Sleeps. */
u64 demote_pages(struct list_head *pages, struct lruvec *lv, const struct scan_control *sc);
#endif
