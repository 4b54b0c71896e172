/*
 * The flushers: one thread for each disk that files lie on, so that a slow disk does not delay pages of
 * other disks.
 *
 * Mappings with pages that are dirty or being written are on the list of their disk, in the order in which
 * they became so. The disk's flusher takes them from the head:
 *
 *   every dirty_writeback_centisecs   pages that are older than dirty_expire_centisecs
 *   above dirty_background_ratio      of the memory that could be file pages, or of the disk's part of it:
 *                                     until fewer are dirty
 *   wanted_pages                      what a memory cgroup above its own share asks for
 *
 * F1  A mapping with a page tagged DIRTY or WRITEBACK is on wb->dirty_mappings. Whoever sets a tag checks the list
 *     afterwards; whoever takes a mapping off the list checks the tags afterwards.
 * F2  A mapping on somebody's `busy` list is not freed: writeback_forget() waits.
 * F3  A struct bdi_writeback is never freed, so an interrupt may use one after its file was freed.
 *
 * Locks: dirty_lock is taken alone. bdi_mutex to make one.
 */
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/block/bio.h"
#include "mm/cache/bdi.h"
#include "mm/cache/filemap.h"
#include "mm/slab/slab.h"

unsigned int dirty_writeback_centisecs = 500;
unsigned int dirty_expire_centisecs = 3000;

#define CENTISEC    10000000ull /* ns */
#define CHUNK_PAGES 1024	/* of one mapping before the next gets its turn */

/* For files on no disk, and for disks for which none could be allocated. */
struct bdi_writeback default_wb = {.name = "none",
				   .dirty_mappings = LIST_HEAD_INIT(default_wb.dirty_mappings)};
static LIST_HEAD(wb_list); /* dirty_lock; it only grows */
static spinlock_t dirty_lock = SPINLOCK_INIT;
static struct mutex bdi_mutex = MUTEX_INIT(bdi_mutex);
static bool flushers_run; /* bdi_mutex */

/* A mapping that a thread is writing. */
struct busy {
	struct address_space *mapping;
	struct list_head node;
};
static LIST_HEAD(busy_list); /* dirty_lock */
static struct wait_queue busy_wait;

static void wb_init(struct bdi_writeback *wb)
{
	INIT_LIST_HEAD(&wb->dirty_mappings);
	wait_queue_init(&wb->wait);
	spin_lock_init(&wb->rate_lock);
	wb->write_rate = wb->task_rate = WB_INITIAL_RATE;
}

static void wb_enlist(struct bdi_writeback *wb)
{
	spin_lock(&dirty_lock);
	list_add_tail(&wb->node, &wb_list);
	spin_unlock(&dirty_lock);
}

void writeback_init(void)
{
	wait_queue_init(&busy_wait);
	dirty_throttle_init();
	wb_init(&default_wb);
	wb_enlist(&default_wb);
}

struct bdi_writeback *next_wb(struct bdi_writeback *wb)
{
	struct bdi_writeback *next = NULL;

	spin_lock(&dirty_lock);
	if (!wb)
		next = list_first_entry(&wb_list, struct bdi_writeback, node);
	else if (wb->node.next != &wb_list)
		next = list_entry(wb->node.next, struct bdi_writeback, node);
	spin_unlock(&dirty_lock);
	return next;
}

static int flusher(void *arg);

struct bdi_writeback *bdi_of(struct block_device *bdev)
{
	struct bdi_writeback *wb;

	if (!bdev)
		return &default_wb;
	if (likely(READ_ONCE(bdev->wb)))
		return bdev->wb;
	mutex_lock(&bdi_mutex);
	wb = bdev->wb;
	if (wb)
		goto out;
	wb = kzalloc(sizeof(*wb), GFP_KERNEL);
	if (!wb)
		goto out;
	wb_init(wb);
	ksnprintf(wb->name, sizeof(wb->name), "flush-%s", bdev->name);
	if (flushers_run && kthread_run(flusher, wb, wb->name)) {
		kfree(wb);
		wb = NULL;
		goto out;
	}
	wb_enlist(wb);
	WRITE_ONCE(bdev->wb, wb);
out:
	mutex_unlock(&bdi_mutex);
	return wb ? wb : &default_wb;
}

/* F1. Something of the mapping has just been tagged. */
__attribute__((noinline)) void add_dirty_mapping(struct address_space *mapping)
{
	spin_lock(&dirty_lock);
	if (list_empty(&mapping->dirty_list)) {
		mapping->dirtied_at = ktime_ns();
		list_add_tail(&mapping->dirty_list, &mapping->wb->dirty_mappings);
	}
	spin_unlock(&dirty_lock);
}

/* ---- all mappings ----------------------------------------------------------------------------- */

static bool has_work(const struct address_space *mapping)
{
	return READ_ONCE(mapping->pages.tags) &
	       (1u << PAGECACHE_TAG_DIRTY | 1u << PAGECACHE_TAG_WRITEBACK);
}

/* The oldest mapping, dirty since no later than `before`, and nobody may free it (F2). */
static struct address_space *take_oldest(struct bdi_writeback *wb, u64 before, struct busy *b)
{
	b->mapping = NULL;
	spin_lock(&dirty_lock);
	if (!list_empty(&wb->dirty_mappings)) {
		struct address_space *mapping =
			list_first_entry(&wb->dirty_mappings, struct address_space, dirty_list);

		if (mapping->dirtied_at <= before) {
			b->mapping = mapping;
			list_add(&b->node, &busy_list);
		}
	}
	spin_unlock(&dirty_lock);
	return b->mapping;
}

/* The thread is done with the mapping: move it to the end of the list, or off the list if nothing is dirty. */
static void put_back(struct busy *b)
{
	struct address_space *mapping = b->mapping;

	spin_lock(&dirty_lock);
	if (!list_empty(&mapping->dirty_list)) {
		list_del(&mapping->dirty_list);
		INIT_LIST_HEAD(&mapping->dirty_list);
		smp_mb(); /* F1 */
		if (has_work(mapping)) {
			mapping->dirtied_at = ktime_ns();
			list_add_tail(&mapping->dirty_list, &mapping->wb->dirty_mappings);
		}
	}
	list_del(&b->node);
	spin_unlock(&dirty_lock);
	wake_up(&busy_wait);
}

static bool is_busy(struct address_space *mapping)
{
	struct busy *b;
	bool found = false;

	spin_lock(&dirty_lock);
	list_for_each_entry (b, &busy_list, node)
		found |= b->mapping == mapping;
	spin_unlock(&dirty_lock);
	return found;
}

void writeback_forget(struct address_space *mapping)
{
	spin_lock(&dirty_lock);
	if (!list_empty(&mapping->dirty_list)) {
		list_del(&mapping->dirty_list);
		INIT_LIST_HEAD(&mapping->dirty_list);
	}
	spin_unlock(&dirty_lock);
	wait_event(&busy_wait, !is_busy(mapping));
}

void sync_all_mappings(void)
{
	u64 begin = ktime_ns();
	struct address_space *mapping;
	struct busy b;

	for (struct bdi_writeback *wb = NULL; (wb = next_wb(wb));) {
		/* Files that become dirty during the pass are added at the tail of the list: their time is later
		 * than that of the pass. */
		while ((mapping = take_oldest(wb, begin, &b))) {
			filemap_write_and_wait_range(mapping, 0, ~0ull >> 1);
			put_back(&b);
		}
	}
}

/* ---- the threads ------------------------------------------------------------------------------ */

static void wake_wb(struct bdi_writeback *wb)
{
	if (READ_ONCE(wb->wanted))
		return;
	WRITE_ONCE(wb->wanted, true);
	wake_up(&wb->wait);
}

void wakeup_flusher(void)
{
	for (struct bdi_writeback *wb = NULL; (wb = next_wb(wb));)
		wake_wb(wb);
}

void wakeup_dirty_flushers(void)
{
	for (struct bdi_writeback *wb = NULL; (wb = next_wb(wb));)
		if (atomic_load(&wb->nr_dirty) > 0)
			wake_wb(wb);
}

void wb_want_pages(struct bdi_writeback *wb, u64 pages)
{
	if (READ_ONCE(wb->wanted_pages) < pages)
		WRITE_ONCE(wb->wanted_pages, pages);
	wake_wb(wb);
}

/* Write the oldest mapping: all of it, or up to nr pages. Returns pages written; -1: there is no mapping. */
static s64 write_oldest(struct bdi_writeback *wb, u64 before, s64 nr)
{
	struct writeback_control wbc = {.end = ~0ul, .nr_to_write = nr};
	struct busy b;

	if (!take_oldest(wb, before, &b))
		return -1;
	write_cache_pages(b.mapping, &wbc);
	put_back(&b);
	return nr - wbc.nr_to_write;
}

/* One pass over one disk's mappings, as writeback_pass(). */
static u64 wb_pass(struct bdi_writeback *wb, u64 expired)
{
	u64 begin = ktime_ns(), written = 0, wanted = atomic_xchg(&wb->wanted_pages, 0);
	s64 n;

	/* Mappings that stay dirty move to the end of the list, with a later time. */
	expired = min(expired, begin);
	while ((n = write_oldest(wb, expired, (s64)(~0ull >> 1))) >= 0)
		written += n;
	/* Each mapping gets its turn; repeat as long as that writes pages. */
	while (written < wanted || wb_over_background(wb)) {
		u64 round = 0;

		while ((n = write_oldest(wb, begin, CHUNK_PAGES)) >= 0 &&
		       (written + round + n < wanted || wb_over_background(wb)))
			round += n;
		if (n > 0)
			round += n;
		written += round;
		if (!round)
			break;
		begin = ktime_ns();
	}
	return written;
}

u64 writeback_pass(u64 expired)
{
	u64 written = 0;

	for (struct bdi_writeback *wb = NULL; (wb = next_wb(wb));)
		written += wb_pass(wb, expired);
	return written;
}

static int flusher(void *arg)
{
	struct bdi_writeback *wb = arg;

	/* The flusher's own allocations must not wait for its writes. */
	atomic_or(&current_thread_info()->flags, TIF_MEMALLOC);
	for (;;) {
		u64 interval = READ_ONCE(dirty_writeback_centisecs) * CENTISEC, now, age;
		struct wait_entry we;

		prepare_to_wait(&wb->wait, &we);
		if (!READ_ONCE(wb->wanted)) {
			if (interval)
				schedule_timeout(interval);
			else
				schedule();
		}
		finish_wait(&wb->wait, &we);
		WRITE_ONCE(wb->wanted, false);
		now = ktime_ns();
		age = dirty_expire_centisecs * CENTISEC;
		wb_pass(wb, interval && now > age ? now - age : 0);
		atomic_add(&wb->passes, 1);
		wb_wake_writers();
	}
	return 0;
}

int flusher_init(void)
{
	int err = 0;

	mutex_lock(&bdi_mutex);
	flushers_run = true;
	for (struct bdi_writeback *wb = NULL; !err && (wb = next_wb(wb));)
		err = kthread_run(flusher, wb, wb == &default_wb ? "flush" : wb->name);
	mutex_unlock(&bdi_mutex);
	return err;
}
