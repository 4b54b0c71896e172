/*
 * Memory cgroups: which group of processes a page is charged to, and what that group may use.
 *
 *   mm->memcg ──charge──> page->memcg_id ──mem_cgroup_of()──> struct mem_cgroup ──parent──> ... root
 *
 * A page is charged when it is allocated, to the group of the address space that it is allocated for.
 * It stays charged to that group until it is freed, even if the process moves to another group. The root
 * group has id 0. Its pages are not charged: while there is no other group, the cost is the test of one flag.
 *
 * Ownership: a cgroup's directory, every mm of its processes and every charged page or swap slot
 * hold one reference each. A group whose directory is removed is `offline`: it stays until its last page is freed and
 * still counts in its ancestors, but no new page is charged to it.
 *
 * Locks: memcg_lock (spinlock, interrupts off): ids, the tree of groups, limits. Innermost. Charging
 * takes no lock; it may reclaim and then sleeps like any allocation with the same gfp.
 */
#ifndef MM_MEMCG_H
#define MM_MEMCG_H
#include "lib/format.h"
#include "mm/memcg/page_counter.h"
#include "mm/phys/zone.h"
#include "mm/reclaim/lruvec.h"
#include "mm/slab/list_lru.h"
#include "mm/virt/mm_types.h"

/** Events of a group, by their names in memory.events. */
#define MEMCG_EVENTS(X)               \
	X(MEMCG_LOW, "low")           \
	X(MEMCG_HIGH, "high")         \
	X(MEMCG_MAX, "max")           \
	X(MEMCG_OOM, "oom")           \
	X(MEMCG_OOM_KILL, "oom_kill") \
	X(MEMCG_OOM_GROUP_KILL, "oom_group_kill")
/** Events of a group's swap, by their names in memory.swap.events. */
#define MEMCG_SWAP_EVENTS(X)       \
	X(MEMCG_SWAP_HIGH, "high") \
	X(MEMCG_SWAP_MAX, "max")   \
	X(MEMCG_SWAP_FAIL, "fail")
#define MEMCG_ENUM_(name, text) name,
enum memcg_event { MEMCG_EVENTS(MEMCG_ENUM_) NR_MEMCG_EVENTS };
enum memcg_swap_event { MEMCG_SWAP_EVENTS(MEMCG_ENUM_) NR_MEMCG_SWAP_EVENTS };
#undef MEMCG_ENUM_

/** Files of events: poll(2) tells a reader when one has changed. */
enum memcg_notify {
	MEMCG_NOTIFY_NONE,
	MEMCG_NOTIFY_EVENTS,
	MEMCG_NOTIFY_LOCAL,
	MEMCG_NOTIFY_SWAP,
	NR_MEMCG_NOTIFY
};
/** Files that show the highest usage. Each open file may restart its measurement without affecting the others. */
enum memcg_peak_of { MEMCG_PEAK_MEMORY, MEMCG_PEAK_SWAP, NR_MEMCG_PEAKS };

/** One group. Lock letters: L memcg_lock, A atomic, C constant after creation, R relaxed. */
struct mem_cgroup {
	u64 ino;		    /* C once it is in use: inode number of its directory */
	u16 id;			    /* C: in struct page and in swap slots; the root is 0 */
	bool offline;		    /* L: its directory was removed */
	s64 refs;		    /* A: see above; the last one frees it */
	struct mem_cgroup *parent;  /* C, with a reference; NULL at the root */
	struct list_head children;  /* L: offline ones too */
	struct list_head sibling;   /* L */
	struct page_counter memory; /* pages */
	struct page_counter swap;   /* slots */
	/* A: this group's own pages by node, without its children's */
	s64 stat[MMVM_MAX_NODES][NR_ZONE_STAT_ITEMS];
	u64 event[NR_VM_EVENT_ITEMS]; /* A: likewise */
	s64 kernel_pages;	      /* A: kernel memory among `memory` */
	s64 zswap_bytes, zswapped;    /* A: compressed bytes, and the pages they hold; own */
	s64 obj_bytes; /* A: of slab objects; `memory` has them rounded up to pages; own */
	s64 slab_bytes[MMVM_MAX_NODES][2]; /* A: the same: [0] unreclaimable, [1] reclaimable */
	/* Unused objects charged to this group, by node, under their owners' locks (mm/slab/list_lru.h) */
	struct list_lru slab_lru[NR_LIST_LRUS][MMVM_MAX_NODES];
	u64 zswap_max;				/* L: pages of compressed data, at most */
	bool no_zswap_writeback;		/* L: its pages do not go to the disk */
	u64 events[NR_MEMCG_EVENTS];		/* A: this group's and its descendants' */
	u64 events_local[NR_MEMCG_EVENTS];	/* A: its own */
	u64 swap_events[NR_MEMCG_SWAP_EVENTS];	/* A: with its descendants' */
	bool oom_group;				/* L */
	u64 notified[NR_MEMCG_NOTIFY];		/* A: counts changes of each file, for poll(2) */
	struct wait_queue events_wq;		/* woken when an event is counted */
	struct list_head peaks[NR_MEMCG_PEAKS]; /* L: struct memcg_peak */
	struct lruvec *lruvec[MMVM_MAX_NODES];	/* C: of the nodes that there are; the root: NULL */
	struct list_head dead;			/* L: on its way to be freed */
	/* R: usage of which mem_cgroup_settle_protection() worked out the effective protection, and the generation of
	 * the settings that it used; 0: reclaim has worked it out since. For the audit. */
	u64 settled_usage, settled_as_of;
};

extern struct mem_cgroup root_mem_cgroup;
extern spinlock_t memcg_lock;
/** How many groups have been created, not counting the root. 0: nobody uses groups. */
extern u32 memcg_in_use;
/** cgroup_disable=memory was given: there is no memory controller, so no group is ever charged. */
extern bool memcg_disabled;
/** Read the boot options from cmdline with `get`. Call it before any group is created. */
void mem_cgroup_boot_options(const char *cmdline, bool (*get)(const char *cmdline, const char *name,
							      char *buf, size_t size));
static inline bool mem_cgroup_enabled(void)
{
	return unlikely(READ_ONCE(memcg_in_use));
}
static inline bool mem_cgroup_is_root(const struct mem_cgroup *memcg)
{
	return memcg == &root_mem_cgroup;
}

/* ---- groups (memcg.c) ---- */
/** Create a group below `parent`. Returns it with one reference, or ERR_PTR(-ENOMEM, or -ENOSPC: too many groups).
 * May sleep. */
struct mem_cgroup *mem_cgroup_create(struct mem_cgroup *parent);
/** The group's directory is removed: the group takes no new pages, its slab objects are charged to its parent, and the
 * directory's reference is dropped. The caller holds the cgroup lock, so that the parent's directory cannot be
 * removed before this returns. May sleep. */
void mem_cgroup_offline(struct mem_cgroup *memcg);
static inline void mem_cgroup_get(struct mem_cgroup *memcg)
{
	if (!mem_cgroup_is_root(memcg))
		atomic_add(&memcg->refs, 1);
}
/** Drop n references. Dropping the last one leaves the group to the reaper. Any context. */
void mem_cgroup_put_many(struct mem_cgroup *memcg, s64 n);
static inline void mem_cgroup_put(struct mem_cgroup *memcg)
{
	mem_cgroup_put_many(memcg, 1);
}
/** The group with this id. The caller makes sure that somebody holds a reference on it. */
struct mem_cgroup *mem_cgroup_from_id(u16 id);
/** The group that the page is charged to, or the root if it is charged to none. The answer is valid until the page is
 * freed. */
struct mem_cgroup *mem_cgroup_of(const struct page *page);
/** Inode number of the directory of the group that a frame is charged to. If the directory was removed: of the nearest
 * ancestor that still has one. 0: the frame is charged to no group. The caller needs no reference on the
 * frame. Takes memcg_lock. For /proc/kpagecgroup. */
u64 mem_cgroup_frame_ino(const struct page *page);
/** The group of mm, with a reference; the root if mm is NULL. Any context. */
struct mem_cgroup *mem_cgroup_get_from_mm(struct mm_struct *mm);
/** Move mm to memcg, and take over the caller's reference on it. Charged pages stay charged to the old group. Waits
 * until no CPU is using mm's old group, so it may sleep. */
void mem_cgroup_set_mm(struct mm_struct *mm, struct mem_cgroup *memcg);
/** Put a new address space into the group of the current one. */
void mem_cgroup_init_mm(struct mm_struct *mm);
/** The address space is being freed: drop its reference on its group. */
void mem_cgroup_exit_mm(struct mm_struct *mm);
/** Is `memcg` the group `top` or below it? */
bool mem_cgroup_is_descendant(const struct mem_cgroup *memcg, const struct mem_cgroup *top);
/** Number of groups at or below `top` that are offline: their directory was removed, but they still hold memory. */
u32 mem_cgroup_nr_offline(struct mem_cgroup *top);
/** Walk `top` and the groups below it, parents before children. prev NULL starts the walk; NULL ends it. The group
 * returned has a reference, which the next call drops. To stop early, call mem_cgroup_iter_break(). */
struct mem_cgroup *mem_cgroup_iter(struct mem_cgroup *top, struct mem_cgroup *prev);
void mem_cgroup_iter_break(struct mem_cgroup *pos);

/** The group's LRU lists of one node. */
static inline struct lruvec *mem_cgroup_lruvec(const struct mem_cgroup *memcg,
					       const pg_data_t *node)
{
	return mem_cgroup_is_root(memcg) ? &root_lruvec[node->id] : memcg->lruvec[node->id];
}
/** Free the groups that have no references left. The reaper's thread calls it, and so do tests. May sleep. */
void mem_cgroup_free_dead(void);

/* ---- charging (charge.c). `page` is a single page or the head of a block ---- */
int mem_cgroup_charge_mm(struct page *page, struct mm_struct *mm, gfp_t gfp);
/** Charge a new page of user memory to mm's group (NULL: the current address space's). 0, or -ENOMEM
 * when the group is full, nothing could be reclaimed and nobody in it could be killed. Sleeps if
 * gfp says so. */
static inline int mem_cgroup_charge(struct page *page, struct mm_struct *mm, gfp_t gfp)
{
	return mem_cgroup_enabled() ? mem_cgroup_charge_mm(page, mm, gfp) : 0;
}
int mem_cgroup_charge_slot(struct page *page, struct mm_struct *mm, swp_entry_t e, gfp_t gfp);
/** The same for a page read from swap. It is charged to the group that its slot is charged to, or to mm's if that group
 * is offline. */
static inline int mem_cgroup_swapin_charge(struct page *page, struct mm_struct *mm, swp_entry_t e,
					   gfp_t gfp)
{
	return mem_cgroup_enabled() ? mem_cgroup_charge_slot(page, mm, e, gfp) : 0;
}
int mem_cgroup_charge_kernel_page(struct page *page, struct mm_struct *mm, gfp_t gfp);
/** Charge a page of kernel memory that is allocated on behalf of mm: a page table, a stack, a slab. */
static inline int mem_cgroup_charge_kernel(struct page *page, struct mm_struct *mm, gfp_t gfp)
{
	return mem_cgroup_enabled() ? mem_cgroup_charge_kernel_page(page, mm, gfp) : 0;
}
/** The page is about to be freed. Clears PG_charged. Any context. */
void mem_cgroup_uncharge(struct page *page);
/** Move the charge of `from` to `to`, which has as many pages (migration, collapse). */
void mem_cgroup_migrate(struct page *from, struct page *to);
/** A block has been split into 2^order single pages: each carries its share of the charge. */
void mem_cgroup_split(struct page *head, unsigned int order);

/* Slab objects (object.c). Each holds a reference on its group, and its slab names the group (mm/slab/account.c). */
/** Charge an object of `bytes` to the group of the current task. Returns that group; NULL if nothing is charged, which
 * is so for the root and for allocations that may not sleep; or ERR_PTR(-ENOMEM): the group is full. Sleeps if
 * gfp allows it. */
struct mem_cgroup *mem_cgroup_charge_obj(u32 bytes, gfp_t gfp);
/** Charge an object of another group to this one, even above its limits. The group is not the root. Any context. */
void mem_cgroup_take_obj(struct mem_cgroup *memcg, u32 bytes);
/** Undo the charge of an object that has been freed, or that could not be allocated. Any context. */
void mem_cgroup_uncharge_obj(u16 id, u32 bytes);
/** Add `bytes` to the group's slab memory on a node. Negative: the object is freed. */
void mem_cgroup_count_obj(u16 id, int node, bool reclaimable, s64 bytes);
/** Bytes of slab objects of `top` and all groups below it, on one node or (-1) on all. Not for the root. */
u64 mem_cgroup_slab_bytes(struct mem_cgroup *top, int node, bool reclaimable);
/** Count `nr` pages in the group and its ancestors. 0, or -ENOMEM as for mem_cgroup_charge(). For memcg/ only. */
int mem_cgroup_try_charge(struct mem_cgroup *memcg, u64 nr, gfp_t gfp);

/* Swap slots. swap_info.memcg records the group of each slot; it is allocated when the first group is created. */
/** Charge the slot `e`, just allocated for `page`, to the page's group. 0, or -ENOMEM: the group's swap is full. The
 * caller does not hold si->lock. */
int mem_cgroup_charge_swap(struct page *page, swp_entry_t e);
/** A slot of the group `id` is freed: undo its charge. si->lock held. */
void mem_cgroup_uncharge_swap(u16 id);
/** How many more slots may be charged to the group before it or an ancestor reaches its limit. */
u64 mem_cgroup_swap_room(const struct mem_cgroup *memcg);

/* zswap (zswap.c) */
/** Do the limits of the page's group and of its ancestors allow that it is compressed? */
bool mem_cgroup_may_zswap(const struct page *page);
/** The page was compressed to `bytes` (0: it needs no memory, being all one value): charge them to its group as kernel
 * memory. Returns the group's id, with a reference on the group, or 0: the page is the root's and not charged. */
u16 mem_cgroup_charge_zswap(const struct page *page, u32 bytes);
void mem_cgroup_uncharge_zswap(u16 id, u32 bytes);
/** May compressed pages of the group be written to a swap device (memory.zswap.writeback)? */
bool mem_cgroup_zswap_writeback_id(u16 id);
bool mem_cgroup_zswap_writeback(const struct page *page);
/** Compressed bytes of `top` and all groups below it, and the number of pages that they hold. */
void mem_cgroup_zswap_usage(struct mem_cgroup *top, u64 *bytes, u64 *pages);

/* ---- counters (stat.c) ---- */
/** Count an event of a page in its group. The machine's count is not changed. */
static inline void mem_cgroup_count_page(const struct page *page, enum vm_event_item item)
{
	if (mem_cgroup_enabled())
		atomic_add(&mem_cgroup_of(page)->event[item], 1);
}
void mem_cgroup_event(struct mem_cgroup *memcg, enum memcg_event e);
void mem_cgroup_swap_event(struct mem_cgroup *memcg, enum memcg_swap_event e);
/** Add delta to a level of the page's group. page_stat_add() calls it for charged pages. */
void mem_cgroup_page_stat(const struct page *page, enum zone_stat_item item, s64 delta);
/** The same for pages that enter or leave one of its LRU lists. */
void mem_cgroup_lru_stat(const struct lruvec *lv, enum zone_stat_item item, s64 delta);
/** A level of the group and all groups below it, on one node or (-1) on all, in the item's unit. For the root: the
 * level of the whole machine. */
s64 mem_cgroup_stat(struct mem_cgroup *memcg, int node, enum zone_stat_item item);
u64 mem_cgroup_vm_event(struct mem_cgroup *memcg, enum vm_event_item item);
/** Number of WORKINGSET_* events on one node, in the group and all groups below it, removed ones included. */
u64 mem_cgroup_workingset(struct mem_cgroup *top, int node, enum vm_event_item item);
/** count_vm_event(), and count the event in the group, too. */
static inline void mem_cgroup_count(struct mem_cgroup *memcg, enum vm_event_item item, u64 n)
{
	atomic_add(&memcg->event[item], n);
}
void mem_cgroup_count_mm_slow(struct mm_struct *mm, enum vm_event_item item);
static inline void mem_cgroup_count_mm(struct mm_struct *mm, enum vm_event_item item)
{
	if (mem_cgroup_enabled())
		mem_cgroup_count_mm_slow(mm, item);
}

/* ---- limits (limit.c) ---- */
/** Reclaim up to `nr` pages from a group and all groups below it. Returns the number of pages reclaimed. May sleep. */
u64 mem_cgroup_reclaim(struct mem_cgroup *memcg, u64 nr, gfp_t gfp);
/** `memcg` is full and reclaim did not help: kill one of its processes. Returns whether a process was killed or is
 * dying already; then the charge should be tried again. May sleep. */
bool mem_cgroup_out_of_memory(struct mem_cgroup *memcg, gfp_t gfp, unsigned int order);
/** Called on the way to user mode by a task that charged pages above memory.high: reclaim, then sleep, longer the
 * further the group is above it (limit.c). */
void mem_cgroup_handle_over_high(void);
/** How far memory.min and memory.low protect a group from reclaim at present. */
enum memcg_protection {
	MEMCG_UNPROTECTED, /* it uses more than is protected: reclaim from it */
	MEMCG_BELOW_LOW,   /* reclaim from it only if nothing else is left */
	MEMCG_BELOW_MIN,   /* never reclaim from it */
};
/** Compute memcg->memory.effective_min and effective_low, in pages: the memory that reclaim for `top` must (min) or
 * should (low) leave alone. Call it for a parent before its children. Returns the group's protection. The result
 * comes from the same reading of the usage as the effective values, so a group that grows meanwhile is not
 * mistaken for one above its protection. */
enum memcg_protection mem_cgroup_update_protection(struct mem_cgroup *top,
						   struct mem_cgroup *memcg);
/** Compute the protection of all groups as reclaim of the whole machine would. Call it before an audit, which computes
 * it too and compares. */
void mem_cgroup_settle_protection(void);
/** memory.min or memory.low of some group has changed. memcg_lock held. */
void mem_cgroup_protection_changed(void);
/** How long a task sleeps when its group uses `usage` pages with this `high` [pure]. In ns. */
u64 mem_cgroup_high_sleep_ns(u64 usage, u64 high);

/** Where the host finds the groups. */
struct mmvm_audit_memcg_layout;
void mem_cgroup_audit_layout(struct mmvm_audit_memcg_layout *l);
/** Address of the generation number of the min and low settings, for the audit; for memcg/ only. */
u64 mem_cgroup_settings_gva(void);

/* ---- files (files.c) ---- */
/** A control file of a group. */
struct memcg_file {
	const char *name; /* "memory.max" */
	bool on_root;
	u8 notifies; /* enum memcg_notify: poll(2) reports a change */
	u8 peak;     /* not 0: this enum memcg_peak_of + 1; a write resets it for that opener */
	/** The text. */
	void (*show)(struct report *r, struct mem_cgroup *memcg);
	/** Act on a write. `text` has no newline at its end. 0 or -errno. May sleep. NULL: the file is read-only. */
	int (*write)(struct mem_cgroup *memcg, const char *text);
};
extern const struct memcg_file memcg_files[]; /* ends with name NULL */

/* memory.peak and memory.swap.peak (peak.c) */
struct memcg_peak;
/** Restart the measurement of the highest usage for one open file. *slot keeps its state: NULL before the first call,
 * allocated here. 0 or -ENOMEM. May sleep. */
int mem_cgroup_peak_reset(struct memcg_peak **slot, struct mem_cgroup *memcg,
			  enum memcg_peak_of which);
/** The highest usage in pages that an open file with this slot shows. A slot of another group is ignored. */
u64 mem_cgroup_peak_read(struct memcg_peak *const *slot, struct mem_cgroup *memcg,
			 enum memcg_peak_of which);
/** The file is closed: free its slot. NULL is allowed. Any context in which kfree() may be called. */
void mem_cgroup_peak_free(struct memcg_peak *peak);
#endif
