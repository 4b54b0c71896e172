/*
 * Zones, nodes, the buddy allocator's lists, per-CPU pages and watermarks.
 *
 * Lock letters: Z the zone's lock to change, I interrupts off on the CPU that it belongs to, C constant after
 * boot, R relaxed: written without a lock, a stale value does no harm.
 */
#ifndef MM_ZONE_H
#define MM_ZONE_H
#include "lib/env.h"
#include "lib/list.h"
#include "mm/phys/gfp.h"
#include "mm/phys/page.h"
#include "lib/shared.h"

#define NR_ORDERS	11 /* orders 0..10 */
#define MAX_ORDER	(NR_ORDERS - 1)
#define PAGEBLOCK_ORDER 9 /* 2 MiB */
enum migratetype {
	MIGRATE_UNMOVABLE,
	MIGRATE_MOVABLE,
	MIGRATE_RECLAIMABLE,
	MIGRATE_CMA,
	NR_MIGRATETYPES
};
#define NR_PCP_MIGRATETYPES 3 /* the first three have per-CPU lists */
#define PCP_MAX_ORDER	    3 /* orders 0..3 are cached per CPU */
#define NR_PCP_LISTS	    (NR_PCP_MIGRATETYPES * (PCP_MAX_ORDER + 1))

enum zone_type { ZONE_DMA, ZONE_DMA32, ZONE_NORMAL, ZONE_HIGHMEM, ZONE_MOVABLE, MAX_NR_ZONES };
enum zone_watermark { WMARK_MIN, WMARK_LOW, WMARK_HIGH, NR_WMARK };
struct free_area {
	struct list_head free_list[NR_MIGRATETYPES]; /* Z */
	u64 nr_free;				     /* Z: blocks */
};

/** A CPU's cache of free pages of one zone. 256 bytes. */
struct per_cpu_pages {
	struct list_head
		lists[NR_PCP_LISTS]; /* I. Index: order * NR_PCP_MIGRATETYPES + migratetype */
	u32 count;		     /* I: pages on all lists */
	u32 high, batch;	     /* R: pages; see zone_pcp_batch() */
	u32 alloc_event;	     /* C: PGALLOC_* of the zone */
	u32 state[NR_PCP_LISTS]; /* C: type, order, migratetype and cpu of a page on each list */
};
_Static_assert(sizeof(struct per_cpu_pages) == 256, "indexed with a shift");

struct zone {
	spinlock_t lock;
	struct free_area free_area[NR_ORDERS]; /* Z */
	/* C. What it points to, Z: bytes, one enum migratetype a pageblock, biased: see pageblock_type().
	 * Those of the CMA area say MOVABLE. */
	unsigned long pageblock_map;
	struct pglist_data *node;	    /* C */
	enum zone_type type;		    /* C */
	unsigned long map_start, map_bytes; /* C: the zone's struct pages, as addresses */
	unsigned int index; /* C: slot in zone_table, shared window and audit root */
	unsigned long start_pfn, spanned, present; /* C */
	unsigned long managed;			   /* C after the end of boot memory */
	u64 watermark[NR_WMARK];		   /* Z: pages, with the boost; read without it */
	u64 watermark_boost;			   /* Z: pages in each mark */
	u64 lowmem_reserve
		[MAX_NR_ZONES]; /* R: pages kept from allocations that could use higher zones */
	struct per_cpu_pages __percpu *pcp; /* C. Each CPU's, I */
	struct mmvm_shared_zone *shared;    /* C. Levels: zone->shared->stat[], relaxed atomics */
	unsigned long cma_start, cma_pages; /* C: the area that cma= made; cma_pages 0 = none */
	bool boosted; /* Z to set, R to clear: kswapd has yet to be woken for the boost */
	/* R: deferral of compaction (mm/move/compaction.c, I2) */
	unsigned int compact_considered, compact_defer_shift, compact_order_failed;
};

/** A zonelist entry array ends with NULL. */
#define MAX_ZONELIST (MMVM_MAX_NODES * MAX_NR_ZONES + 1)

/** A node. */
typedef struct pglist_data {
	int id;				     /* C */
	struct zone zones[MAX_NR_ZONES];     /* their own */
	struct zone *zonelist[MAX_ZONELIST]; /* C: this node's zones high to low, then other nodes'
						by distance */
	struct wait_queue kswapd_wait;	     /* its own lock */
	unsigned int kswapd_order;	     /* R: the largest block that somebody waits for */
	enum zone_type kswapd_highest;	     /* R: and the highest zone */
	bool present;			     /* C: it has memory */
	unsigned int reclaim_failures;	     /* R: kswapd gives up after KSWAPD_MAX_FAILURES */
} pg_data_t;

extern pg_data_t node_data[MMVM_MAX_NODES];
extern struct zone *zone_table[MMVM_MAX_ZONES]; /* by page_zone_index(); NULL = none */
extern unsigned int nr_zones;
static inline struct zone *page_zone(const struct page *p)
{
	return zone_table[page_zone_index(p)];
}
static inline pg_data_t *page_pgdat(const struct page *p)
{
	return &node_data[page_node_id(p)];
}

/* Nodes (node.c) */
extern u8 cpu_node[MMVM_MAX_CPUS];   /* C */
extern unsigned int nr_online_nodes; /* C: with memory */
extern u32 memory_nodes;	     /* C: those, a bit each */
extern u32 cpu_nodes;		     /* C: with a CPU; 0 while no CPU says where it is */
extern unsigned int nr_node_ids;     /* C: highest node with memory or a CPU, + 1 */
#define ALL_NODES (~0u)
DECLARE_PER_CPU(unsigned int, numa_node); /* C */
/** Node of the CPU we run on, which may be another one soon. */
static inline unsigned int numa_node_id(void)
{
	return this_cpu_read(numa_node);
}
/** Does the node have a CPU? Memory of others is slower. */
static inline bool node_is_toptier(int nid)
{
	return cpu_nodes ? cpu_nodes >> nid & 1 : nid == 0;
}
/** Relative cost of an access: 10 is local. */
unsigned int node_distance(unsigned int from, unsigned int to);
/** Boot only, before zones are made. 0, or -EINVAL: no such node or CPU, or no such distance. */
int node_set_distance(unsigned int from, unsigned int to, unsigned int d);
int node_set_cpu(unsigned int cpu, unsigned int node);
/** vm.numa_stat: count numa_hit and its kind. After a change call numa_stat_changed(). */
extern int numa_stat;
void numa_stat_changed(void);

/* Levels and events */
static inline void zone_stat_add(struct zone *z, enum zone_stat_item item, s64 delta)
{
	atomic_add(&z->shared->stat[item], delta);
}
/** A charged page's level changes: its memory cgroup counts it too (mm/memcg/stat.c). */
void mem_cgroup_page_stat(const struct page *page, enum zone_stat_item item, s64 delta)
	__attribute__((cold));
static inline void page_stat_add(const struct page *p, enum zone_stat_item item, s64 delta)
{
	zone_stat_add(page_zone(p), item, delta);
	if (unlikely(PageCharged(p)))
		mem_cgroup_page_stat(p, item, delta);
}
static inline s64 zone_stat(const struct zone *z, enum zone_stat_item item)
{
	return READ_ONCE(z->shared->stat[item]);
}
/** Sum over all zones. */
s64 global_stat(enum zone_stat_item item);
/** On this CPU's row, which the monitor reads. */
static inline void count_vm_events(enum vm_event_item e, u64 n)
{
	this_cpu_add_event(e, n);
}
static inline void count_vm_event(enum vm_event_item e)
{
	this_cpu_add_event(e, 1);
}
u64 sum_vm_event(enum vm_event_item e);

/* Watermarks [policy, pure] */
/** May an order-`order` allocation leave the zone above `mark` pages? `highest` = highest zone the
 * caller could use (for lowmem_reserve); `alloc_flags` = ALLOC_*. */
bool zone_watermark_ok(const struct zone *z, unsigned int order, u64 mark, enum zone_type highest,
		       unsigned int alloc_flags);
#define ALLOC_HIGH	    0x1u /* __GFP_HIGH: down to half of min */
#define ALLOC_NO_WATERMARKS 0x2u /* TIF_MEMALLOC, OOM victim */
#define ALLOC_HARDER	    0x4u
#define ALLOC_CMA	    0x8u /* movable: free pages of the CMA area count */
/** Recompute watermarks and lowmem_reserve from min_free_kbytes, as Linux does. */
void setup_per_zone_wmarks(void);
extern u64 min_free_kbytes;
extern u64 watermark_scale_factor; /* 10 = 0.1 % */
extern u32 lowmem_reserve_ratio[MAX_NR_ZONES];
void lowmem_reserve_ratio_changed(void);
/** Ten-thousandths of the high mark that a zone's marks may rise by when pages of different mobility get
 * mixed; 0 = off, and the default here (Linux: 15000). */
extern u64 watermark_boost_factor;
/** Such a mix has happened. zone->lock held. */
void boost_watermark(struct zone *z);
/** kswapd has done what the boost asked for. */
void unboost_watermark(struct zone *z, u64 pages);
/** 0, or 8 and more: a CPU's list may hold that fraction of a zone, divided among the node's CPUs. */
extern u32 percpu_pagelist_high_fraction;
void percpu_pagelist_high_fraction_changed(void);

/** Zone the flags allow at most, and the mobility group they ask for. */
extern u8 gfp_zone_table[16]; /* by gfp & 0xf */
static inline enum zone_type gfp_zone(gfp_t gfp)
{
	return gfp_zone_table[gfp & 0xf];
}
extern const u8 gfp_migratetype_table[4]; /* by (gfp & (RECLAIMABLE | MOVABLE)) >> 3 */
static inline enum migratetype gfp_migratetype(gfp_t gfp)
{
	return gfp_migratetype_table[gfp >> 3 & 3];
}
#endif
