/*
 * Compaction: making large free blocks out of small ones by moving the pages between them.
 *
 * Locks: none on entry, may sleep. compaction.c tells how it works and what it counts.
 */
#ifndef MM_COMPACTION_H
#define MM_COMPACTION_H
#include "mm/move/migrate.h"

enum compact_result {
	COMPACT_SKIPPED,   /* too little memory, or a block is there already: nothing was tried */
	COMPACT_DEFERRED,  /* it failed lately */
	COMPACT_COMPLETE,  /* the scanners have met; no block came of it */
	COMPACT_CONTENDED, /* gave up: killed */
	COMPACT_SUCCESS,   /* there is a block */
};

/** For an allocation of `order` pages from `node`'s zonelist: compact the zones it may use until one has
 * a block. */
enum compact_result try_to_compact_pages(pg_data_t *node, gfp_t gfp, unsigned int order,
					 enum migrate_mode mode);
/** The allocation succeeded after all: the zone is worth trying again. */
void compaction_defer_reset(struct zone *z, unsigned int order);

/** kswapd has freed pages for a block of this order, but cannot join them. Any context. */
void wakeup_kcompactd(pg_data_t *node, unsigned int order, enum zone_type highest);
int kcompactd_init(void);

/** All nodes, wholly: /proc/sys/vm/compact_memory. */
void compact_memory(void);
extern unsigned int sysctl_compaction_proactiveness; /* 0..100, 0 = never on its own */
extern int
	sysctl_compact_unevictable_allowed; /* 0: compaction leaves locked pages where they are; 1 */
extern unsigned int sysctl_extfrag_threshold; /* 0..1000, 500 */
void compaction_proactiveness_changed(void);

/* Policy, pure; formulas of Linux's mm/vmstat.c. */
/** Free memory of a zone, by size. */
struct frag_info {
	u64 free_pages, blocks_total, blocks_suitable;
};
/** What is free in the zone, for a request of this order. [reads without a lock] */
struct frag_info fragmentation_info(const struct zone *z, unsigned int order);
/** Why would an allocation fail? Towards 0: for lack of memory, towards 1000: because it is in pieces;
 * -1000: it would not fail. */
int fragmentation_index(const struct frag_info *f, unsigned int order);
/** Of 1000 parts of the free memory, those that are in blocks too small for the order. */
int unusable_index(const struct frag_info *f, unsigned int order);
struct report;
/** One line a zone, as /sys/kernel/debug/extfrag/{extfrag_index,unusable_index} of Linux. */
void report_extfrag_index(struct report *r);
void report_unusable_index(struct report *r);
#endif
