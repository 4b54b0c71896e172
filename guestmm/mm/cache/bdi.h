/*
 * Writeback of one disk: its dirty files, its flusher, and how fast it takes pages.
 *
 *   address_space ──wb──> struct bdi_writeback <──wb── block_device
 *
 * Files that lie on no disk have default_wb. Rates are in pages per second.
 */
#ifndef MM_BDI_H
#define MM_BDI_H
#include "lib/env.h"
#include "mm/cache/pagecache.h"

#define WB_INITIAL_RATE 25600u /* assumed before it was measured: 100 MiB/s, as Linux */

/** Lock letters: D dirty_lock (flusher.c), R rate_lock, A atomic, C constant. */
struct bdi_writeback {
	char name[24];			 /* C: of the thread */
	struct list_head dirty_mappings; /* D */
	struct list_head node;		 /* D: all disks */
	struct wait_queue wait;		 /* the flusher's */
	bool wanted;			 /* A: set before the wake-up */
	u64 wanted_pages;		 /* A: to write even if few pages are dirty in all */
	u64 passes;			 /* A: of the flusher */
	s64 nr_dirty;			 /* A: pages of its files that are dirty or being written */
	s64 nr_writeback;		 /* A: of these, being written */
	u64 nr_dirtied;	 /* A: pages ever dirtied, as counted by balance_dirty_pages() */
	u64 nr_written;	 /* A: pages, ever */
	u64 completions; /* A: pages written lately: halved every three seconds */
	spinlock_t rate_lock;
	u64 stamp, dirtied_stamp, written_stamp; /* R: when the rates were last looked at */
	u64 write_rate;				 /* R: pages the disk takes */
	u64 task_rate;				 /* R: pages each of its writers may dirty */
};

extern struct bdi_writeback default_wb;

/* flusher.c */
/** The writeback state of a disk, made at the first use and never freed. default_wb: no disk was given, or there is
 * no memory. May sleep. */
struct bdi_writeback *bdi_of(struct block_device *bdev);
/** The next writeback state after `wb`. NULL begins the iteration and ends it. */
struct bdi_writeback *next_wb(struct bdi_writeback *wb);
/** Wake the flushers of disks with dirty pages. */
void wakeup_dirty_flushers(void);
/** Wake the disk's flusher to write this many pages, even below the limits. */
void wb_want_pages(struct bdi_writeback *wb, u64 pages);
void add_dirty_mapping(struct address_space *mapping);
/** Something of the mapping has just been tagged DIRTY or WRITEBACK. */
static inline void note_dirty_mapping(struct address_space *mapping)
{
	smp_mb(); /* the tag is seen before we look: with put_back() */
	if (unlikely(list_empty(&mapping->dirty_list)))
		add_dirty_mapping(mapping);
}

/* dirty_throttle.c */
void dirty_throttle_init(void);
/** Is the number of dirty pages so high that the disk's flusher must write? */
bool wb_over_background(struct bdi_writeback *wb);
/** A page has been written. Any context. */
void wb_page_written(struct bdi_writeback *wb);
/** Wake the writers that wait at a limit. Any context. */
void wb_wake_writers(void);

/** How many pages are dirty against one limit: from `freerun` on writers are slowed down, at `limit` they stop. */
struct dirty_level {
	u64 dirty, background, limit;
};
#define DIRTY_SCALE 1024u
/** What a writer's rate is multiplied by, in 1024ths [pure]: 2048 at or below half way between
 * background and limit, 1024 half way from there to the limit, 0 at the limit or above. Linux's
 * pos_ratio: 1 + ((setpoint - dirty) / (limit - setpoint))^3. */
u32 dirty_position(const struct dirty_level *l);
/** A writer's pause. */
struct dirty_pause {
	u64 until; /* ns: the writer's next pause is counted from here */
	u64 pause; /* ns to sleep now: 0, or 10 to 200 ms */
};
/** A task that paid up to `paid_until` dirties `pages` more at `now`, and may dirty `rate` pages a second
 * [pure]. */
struct dirty_pause dirty_pause_of(u64 paid_until, u64 now, u64 pages, u64 rate);
/** The rate of each writer from now on [pure]: it was `task_rate`, times `position`; together they dirtied
 * `dirty_rate` and the disk wrote `write_rate`. */
u64 dirty_next_rate(u64 task_rate, u32 position, u64 dirty_rate, u64 write_rate);
#endif
