/*
 * Memory cgroups: which group of processes a page is charged to, and what that group may use.
 *
 *   mm->memcg ──charge──> page->memcg_id ──mem_cgroup_of()──> struct mem_cgroup ──parent──> ... root
 *
 * A page is charged when it is made, to the group of the address space that makes it, and stays
 * charged to it until it is freed, wherever the process moves. The root group is id 0: its pages are
 * not charged, and a machine with no other group pays one test of a flag for all of this.
 *
 * Ownership: a cgroup's directory, every mm of its processes and every charged page or swap slot
 * hold one reference each. A group whose directory is removed is `offline`: it stays until its last
 * page is freed, still counts in its ancestors, and gets no new page.
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

/** Events of a group: name in memory.events. */
#define MEMCG_EVENTS(X)               \
	X(MEMCG_LOW, "low")           \
	X(MEMCG_HIGH, "high")         \
	X(MEMCG_MAX, "max")           \
	X(MEMCG_OOM, "oom")           \
	X(MEMCG_OOM_KILL, "oom_kill") \
	X(MEMCG_OOM_GROUP_KILL, "oom_group_kill")
/** Events of a group's swap: name in memory.swap.events. */
#define MEMCG_SWAP_EVENTS(X)       \
	X(MEMCG_SWAP_HIGH, "high") \
	X(MEMCG_SWAP_MAX, "max")   \
	X(MEMCG_SWAP_FAIL, "fail")
#define MEMCG_ENUM_(name, text) name,
enum memcg_event { MEMCG_EVENTS(MEMCG_ENUM_) NR_MEMCG_EVENTS };
enum memcg_swap_event { MEMCG_SWAP_EVENTS(MEMCG_ENUM_) NR_MEMCG_SWAP_EVENTS };
#undef MEMCG_ENUM_

/** Files with events: a reader is told when one has changed. */
enum memcg_notify {
	MEMCG_NOTIFY_NONE,
	MEMCG_NOTIFY_EVENTS,
	MEMCG_NOTIFY_LOCAL,
	MEMCG_NOTIFY_SWAP,
	NR_MEMCG_NOTIFY
};
/** Files with a highest usage, which each opener may reset for himself. */
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
	s64 zswap_bytes, zswapped;    /* A: in the pool, and pages that these were; own */
	s64 obj_bytes; /* A: of slab objects; `memory` has them in whole pages of this sum; own */
	s64 slab_bytes[MMVM_MAX_NODES][2]; /* A: these by node: unreclaimable, reclaimable */
	/* Unused objects charged to this group, by node, under their owners' locks (mm/slab/list_lru.h) */
	struct list_lru slab_lru[NR_LIST_LRUS][MMVM_MAX_NODES];
	u64 zswap_max;				/* L: pages of the pool */
	bool no_zswap_writeback;		/* L: its pages do not go to the disk */
	u64 events[NR_MEMCG_EVENTS];		/* A: this group's and its descendants' */
	u64 events_local[NR_MEMCG_EVENTS];	/* A: its own */
	u64 swap_events[NR_MEMCG_SWAP_EVENTS];	/* A: with its descendants' */
	bool oom_group;				/* L */
	u64 notified[NR_MEMCG_NOTIFY];		/* A: changes of each file: what poll(2) compares */
	struct wait_queue events_wq;		/* woken when one is counted */
	struct list_head peaks[NR_MEMCG_PEAKS]; /* L: struct memcg_peak */
	struct lruvec *lruvec[MMVM_MAX_NODES];	/* C: of the nodes that there are; the root: NULL */
	struct list_head dead;			/* L: on its way to be freed */
	/* R: usage of which mem_cgroup_settle_protection() worked out the effective protection, and the generation of
	 * the settings that it used; 0: reclaim has worked it out since. For the audit. */
	u64 settled_usage, settled_as_of;
};

extern struct mem_cgroup root_mem_cgroup;
extern spinlock_t memcg_lock;
/** How many groups but the root there are or were: 0 while nobody uses groups. */
extern u32 memcg_in_use;
/** cgroup_disable=memory: there is no memory controller, and nobody can make a group that is charged. */
extern bool memcg_disabled;
/** Boot options, read by `get`; before any group is made. */
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
/** A new group below `parent`, with one reference: or ERR_PTR(-ENOMEM, -ENOSPC: too many groups).
 * May sleep. */
struct mem_cgroup *mem_cgroup_create(struct mem_cgroup *parent);
/** Its directory is removed: it takes no new pages, its slab objects become its parent's, its reference is dropped. The
 * parent still has its directory, and keeps it until this returns: the cgroup lock sees to that. May sleep. */
void mem_cgroup_offline(struct mem_cgroup *memcg);
static inline void mem_cgroup_get(struct mem_cgroup *memcg)
{
	if (!mem_cgroup_is_root(memcg))
		atomic_add(&memcg->refs, 1);
}
/** Any context. */
void mem_cgroup_put_many(struct mem_cgroup *memcg, s64 n);
static inline void mem_cgroup_put(struct mem_cgroup *memcg)
{
	mem_cgroup_put_many(memcg, 1);
}
/** The group of an id that somebody holds a reference of. */
struct mem_cgroup *mem_cgroup_from_id(u16 id);
/** The group a page is charged to: the root if none. Stable while the page is not freed. */
struct mem_cgroup *mem_cgroup_of(const struct page *page);
/** For a look from outside at a frame that nobody holds: the inode number of the directory of the group that it is
 * charged to, or of the nearest one above that has not been removed; 0: it is charged to none. Takes memcg_lock. */
u64 mem_cgroup_frame_ino(const struct page *page);
/** mm's group with a reference; mm NULL: the root's. Preemption is off inside, so it may be called
 * anywhere. */
struct mem_cgroup *mem_cgroup_get_from_mm(struct mm_struct *mm);
/** Change mm's group; takes over the reference. Pages that are charged stay charged to the old one. May sleep: it
 * waits until nobody uses the old one. */
void mem_cgroup_set_mm(struct mm_struct *mm, struct mem_cgroup *memcg);
/** A new address space begins in the group of the current one. */
void mem_cgroup_init_mm(struct mm_struct *mm);
/** Nobody uses the address space any more. */
void mem_cgroup_exit_mm(struct mm_struct *mm);
/** Is `memcg` the group `top` or below it? */
bool mem_cgroup_is_descendant(const struct mem_cgroup *memcg, const struct mem_cgroup *top);
/** Groups below `top` whose directory was removed and which still hold memory. */
u32 mem_cgroup_nr_offline(struct mem_cgroup *top);
/** The groups below and including `top`, parents first: NULL starts and ends. The one returned has a
 * reference, which the next call drops; mem_cgroup_iter_break() ends early. */
struct mem_cgroup *mem_cgroup_iter(struct mem_cgroup *top, struct mem_cgroup *prev);
void mem_cgroup_iter_break(struct mem_cgroup *pos);

/** Its pages of one node that reclaim may take. */
static inline struct lruvec *mem_cgroup_lruvec(const struct mem_cgroup *memcg,
					       const pg_data_t *node)
{
	return mem_cgroup_is_root(memcg) ? &root_lruvec[node->id] : memcg->lruvec[node->id];
}
/** Free the groups without references. A thread calls it; tests may. May sleep. */
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
/** The same for a page that comes back from swap: to the group whose slot it is, unless that group
 * is offline. */
static inline int mem_cgroup_swapin_charge(struct page *page, struct mm_struct *mm, swp_entry_t e,
					   gfp_t gfp)
{
	return mem_cgroup_enabled() ? mem_cgroup_charge_slot(page, mm, e, gfp) : 0;
}
int mem_cgroup_charge_kernel_page(struct page *page, struct mm_struct *mm, gfp_t gfp);
/** Charge a page of kernel memory that mm has caused: page tables, stacks, slabs. */
static inline int mem_cgroup_charge_kernel(struct page *page, struct mm_struct *mm, gfp_t gfp)
{
	return mem_cgroup_enabled() ? mem_cgroup_charge_kernel_page(page, mm, gfp) : 0;
}
/** The page is about to be freed. Clears PG_charged. Any context. */
void mem_cgroup_uncharge(struct page *page);
/** `to` takes over the charge of `from` (migration, collapse): same group, same number of pages. */
void mem_cgroup_migrate(struct page *from, struct page *to);
/** A block has been split into 2^order single pages: each carries its share of the charge. */
void mem_cgroup_split(struct page *head, unsigned int order);

/* Slab objects (object.c). Each holds a reference of its group, and its slab names the group (mm/slab/account.c). */
/** Charge an object that the current task allocates to its group: the group, NULL (the root's: not charged), or
 * ERR_PTR(-ENOMEM): the group is full. Sleeps if gfp says so; what may not sleep is not charged. */
struct mem_cgroup *mem_cgroup_charge_obj(u32 bytes, gfp_t gfp);
/** The group takes an object over from another one, whatever its limits say. Not the root. Any context. */
void mem_cgroup_take_obj(struct mem_cgroup *memcg, u32 bytes);
/** It has been freed, or there was no memory for it. Any context. */
void mem_cgroup_uncharge_obj(u16 id, u32 bytes);
/** It lies on that node; negative: no longer. */
void mem_cgroup_count_obj(u16 id, int node, bool reclaimable, s64 bytes);
/** Bytes of objects of the group and all below it, of one node or (-1) of all. Not for the root. */
u64 mem_cgroup_slab_bytes(struct mem_cgroup *top, int node, bool reclaimable);
/** Count pages in the group and above: 0, or -ENOMEM as mem_cgroup_charge(). For memcg/ only. */
int mem_cgroup_try_charge(struct mem_cgroup *memcg, u64 nr, gfp_t gfp);

/* Swap slots. The owner of each slot is recorded in swap_info.memcg, made when groups come into use. */
/** A slot was taken for a charged page: count it. -ENOMEM: the group's swap is full. si->lock not
 * held. */
int mem_cgroup_charge_swap(struct page *page, swp_entry_t e);
/** The slot is free again. si->lock held. */
void mem_cgroup_uncharge_swap(u16 id);
/** Free slots that the group and its ancestors may still take. */
u64 mem_cgroup_swap_room(const struct mem_cgroup *memcg);

/* zswap (zswap.c) */
/** May the page be compressed, by the limits of its group and those above? */
bool mem_cgroup_may_zswap(const struct page *page);
/** It is, into `bytes` (0: no memory at all): they count as kernel memory of its group. Returns the group's
 * id, with a reference; 0: the root's, which is not charged. */
u16 mem_cgroup_charge_zswap(const struct page *page, u32 bytes);
void mem_cgroup_uncharge_zswap(u16 id, u32 bytes);
/** May pages of the group go to a swap device? */
bool mem_cgroup_zswap_writeback_id(u16 id);
bool mem_cgroup_zswap_writeback(const struct page *page);
/** Bytes of the pool that belong to the group and all below it, and pages that they were. */
void mem_cgroup_zswap_usage(struct mem_cgroup *top, u64 *bytes, u64 *pages);

/* ---- counters (stat.c) ---- */
/** An event of a page, for its group only. */
static inline void mem_cgroup_count_page(const struct page *page, enum vm_event_item item)
{
	if (mem_cgroup_enabled())
		atomic_add(&mem_cgroup_of(page)->event[item], 1);
}
void mem_cgroup_event(struct mem_cgroup *memcg, enum memcg_event e);
void mem_cgroup_swap_event(struct mem_cgroup *memcg, enum memcg_swap_event e);
/** A page's share in a level changes. page_stat_add() calls it for charged pages. */
void mem_cgroup_page_stat(const struct page *page, enum zone_stat_item item, s64 delta);
/** The same for pages that enter or leave one of its LRU lists. */
void mem_cgroup_lru_stat(const struct lruvec *lv, enum zone_stat_item item, s64 delta);
/** Sum over the group and all below it, of one node or (-1) of all; in the item's unit. The root's
 * is the machine's. */
s64 mem_cgroup_stat(struct mem_cgroup *memcg, int node, enum zone_stat_item item);
u64 mem_cgroup_vm_event(struct mem_cgroup *memcg, enum vm_event_item item);
/** Events WORKINGSET_* of one node, of the group and all below it, the removed ones included. */
u64 mem_cgroup_workingset(struct mem_cgroup *top, int node, enum vm_event_item item);
/** count_vm_event() also for a group. */
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
/** Reclaim up to `nr` pages from a group and all below it. Sleeps. Returns pages reclaimed. */
u64 mem_cgroup_reclaim(struct mem_cgroup *memcg, u64 nr, gfp_t gfp);
/** A charge found `memcg` full and reclaim did not help: kill one of its processes. True: somebody
 * was killed or is dying, so try again. May sleep. */
bool mem_cgroup_out_of_memory(struct mem_cgroup *memcg, gfp_t gfp, unsigned int order);
/** On the way to user mode, after a charge above `high`: reclaim, then sleep, the longer the more the
 * group is above it. May sleep. */
void mem_cgroup_handle_over_high(void);
/** What a group's protection says to reclaim. */
enum memcg_protection {
	MEMCG_UNPROTECTED, /* it uses more than is protected */
	MEMCG_BELOW_LOW,   /* only if nothing else is left */
	MEMCG_BELOW_MIN,   /* never */
};
/** Work out memcg->memory.effective_min and effective_low, in pages: what reclaim for `top` must (min) and should
 * (low) leave alone. Of a parent before its children. Returns what follows from them and from one reading of the
 * group's usage, so that a group which grows meanwhile is not taken for one above its protection. */
enum memcg_protection mem_cgroup_update_protection(struct mem_cgroup *top,
						   struct mem_cgroup *memcg);
/** Work it out for all groups, as for reclaim of the whole machine, for an audit that follows. */
void mem_cgroup_settle_protection(void);
/** memory.min or memory.low of some group has changed. memcg_lock held. */
void mem_cgroup_protection_changed(void);
/** How long to sleep for being above `high` [pure]; ns. */
u64 mem_cgroup_high_sleep_ns(u64 usage, u64 high);

/** Where the host finds the groups. */
struct mmvm_audit_memcg_layout;
void mem_cgroup_audit_layout(struct mmvm_audit_memcg_layout *l);
/** Of the generation of all settings of min and low; for memcg/ only. */
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
	/** NULL: read-only. `text` without its last newline. 0 or -errno. May sleep. */
	int (*write)(struct mem_cgroup *memcg, const char *text);
};
extern const struct memcg_file memcg_files[]; /* ends with name NULL */

/* memory.peak and memory.swap.peak (peak.c) */
struct memcg_peak;
/** An opener wants to know the highest usage from now on: his *slot, NULL until the first time, says from when. 0 or
 * -ENOMEM. May sleep. */
int mem_cgroup_peak_reset(struct memcg_peak **slot, struct mem_cgroup *memcg,
			  enum memcg_peak_of which);
/** The highest usage that this opener is to see, in pages. A slot of another group counts for nothing. */
u64 mem_cgroup_peak_read(struct memcg_peak *const *slot, struct mem_cgroup *memcg,
			 enum memcg_peak_of which);
/** The file is closed. NULL is allowed. Any context in which memory may be freed. */
void mem_cgroup_peak_free(struct memcg_peak *peak);
#endif
