/*
 * Writeback: from dirty pages to the disk, and writers that are faster than it.
 *
 *   clean ──set_page_dirty──> DIRTY ──clear_page_dirty_for_io, writepage──> WRITEBACK ──end──> clean
 *                               ^                                               │
 *                               └───────────── dirtied again ───────────────────┘
 *
 * Mappings with something dirty or on its way are on one list, in the order in which they became so.
 * The flusher takes from its head: every dirty_writeback_centisecs what is older than
 * dirty_expire_centisecs; whenever more than dirty_background_ratio of the memory that could be file
 * pages is dirty, until it is less. Above dirty_ratio writers wait for the disk; from half way between
 * the two on they are slowed down. Either limit may be given in bytes (dirty_bytes,
 * dirty_background_bytes).
 *
 * W1  A mapping with a page tagged DIRTY or WRITEBACK is on dirty_mappings. Whoever tags looks at the
 *     list after; whoever takes off looks at the tags after.
 * W2  NR_FILE_DIRTY = pages with PG_dirty in mappings that are written; NR_WRITEBACK = pages with
 *     PG_writeback.
 * W3  A mapping on somebody's `busy` list is not freed: writeback_forget() waits.
 * W4  fsync writes the pages that were dirty when it began, TOWRITE, not those that become dirty while
 *     it works; otherwise a steady writer would hold it for ever.
 * W5  Nobody waits for a page lock or for writeback with a request half filled: what it holds may be
 *     what the other waits for.
 *
 * Errors: mapping->wb_err holds the last error, and a count of errors that goes up only when somebody
 * was told of the last; each opener keeps the value up to which it was told.
 *
 *   wb_err:  31 ... 13 count | 12 told | 11 ... 0 errno
 *
 * Locks: dirty_lock is taken alone. mapping->lock, interrupts off, for tags.
 */
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/cache/filemap.h"

unsigned int dirty_background_ratio = 10;
unsigned int dirty_ratio = 20;
u64 dirty_background_bytes, dirty_bytes;
unsigned int dirty_writeback_centisecs = 500;
unsigned int dirty_expire_centisecs = 3000;

#define CENTISEC     10000000ull /* ns */
#define CHUNK_PAGES  1024	 /* of one mapping before the next gets its turn */
#define WRITE_BATCH  15
#define CHECK_EVERY  8 /* pages a CPU dirties between two looks at the limits */
#define PAUSE_NS     (10 * 1000000ull)
#define MAX_PAUSE_NS (200 * 1000000ull)

static LIST_HEAD(dirty_mappings); /* dirty_lock; by dirty_list */
static spinlock_t dirty_lock = SPINLOCK_INIT;

/* Somebody is writing a mapping. */
struct busy {
	struct address_space *mapping;
	struct list_head node;
};
static LIST_HEAD(busy_list); /* dirty_lock */
static struct wait_queue busy_wait;

static struct wait_queue flusher_wait;
static bool flusher_wanted;
static u64 flusher_passes;	       /* A */
static struct wait_queue written_wait; /* throttled writers */
static u64 nr_written;		       /* A: pages, ever */
static s32 nr_throttled;	       /* A */
static u32 dirtied[MMVM_MAX_CPUS];     /* own CPU: pages since the last look at the limits */

void writeback_init(void)
{
	wait_queue_init(&busy_wait);
	wait_queue_init(&flusher_wait);
	wait_queue_init(&written_wait);
}

/* ---- pages ------------------------------------------------------------------------------------ */

/* W1. Something of the mapping has just been tagged. */
static __attribute__((noinline)) void add_dirty_mapping(struct address_space *mapping)
{
	spin_lock(&dirty_lock);
	if (list_empty(&mapping->dirty_list)) {
		mapping->dirtied_at = ktime_ns();
		list_add_tail(&mapping->dirty_list, &dirty_mappings);
	}
	spin_unlock(&dirty_lock);
}

static inline void note_dirty_mapping(struct address_space *mapping)
{
	smp_mb(); /* the tag is seen before we look: with put_back() */
	if (unlikely(list_empty(&mapping->dirty_list)))
		add_dirty_mapping(mapping);
}

void set_page_dirty(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);
	unsigned long flags;

	if (PageDirty(page))
		return;
	if (!mapping_is_written(mapping)) {
		SetPageDirty(page);
		return;
	}
	flags = spin_lock_irqsave(&mapping->lock);
	if (likely(page->mapping == mapping) && !TestSetPageDirty(page)) {
		radix_tag_set(&mapping->pages, page->index, PAGECACHE_TAG_DIRTY);
		page_stat_add(page, NR_FILE_DIRTY, 1);
		count_vm_event(NR_DIRTIED);
		current_thread_info()->io.write_bytes += PAGE_SIZE;
		trace_file(FILE_DIRTY, page, mapping);
	}
	spin_unlock_irqrestore(&mapping->lock, flags);
	note_dirty_mapping(mapping);
}

bool clear_page_dirty_for_io(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);

	if (!mapping_is_written(mapping))
		return TestClearPageDirty(page);
	if (page_mapped(page) && page_mkclean(page))
		set_page_dirty(page);
	if (!TestClearPageDirty(page))
		return false;
	page_stat_add(page, NR_FILE_DIRTY, -1);
	return true;
}

void cancel_dirty_page(struct page *page)
{
	if (TestClearPageDirty(page) && mapping_is_written(page_mapping_file(page))) {
		page_stat_add(page, NR_FILE_DIRTY, -1);
		current_thread_info()->io.cancelled_write_bytes += PAGE_SIZE;
	}
}

void set_page_writeback(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);
	unsigned long flags = spin_lock_irqsave(&mapping->lock);

	SetPageWriteback(page);
	trace_file(FILE_WRITE, page, mapping);
	radix_tag_set(&mapping->pages, page->index, PAGECACHE_TAG_WRITEBACK);
	if (!PageDirty(page))
		radix_tag_clear(&mapping->pages, page->index, PAGECACHE_TAG_DIRTY);
	radix_tag_clear(&mapping->pages, page->index, PAGECACHE_TAG_TOWRITE);
	page_stat_add(page, NR_WRITEBACK, 1);
	spin_unlock_irqrestore(&mapping->lock, flags);
	note_dirty_mapping(mapping);
}

bool file_page_written(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	bool was = TestClearPageWriteback(page);

	radix_tag_clear(&mapping->pages, page->index, PAGECACHE_TAG_WRITEBACK);
	page_stat_add(page, NR_WRITEBACK, -1);
	count_vm_event(NR_WRITTEN);
	trace_file(FILE_WRITTEN, page, mapping);
	spin_unlock_irqrestore(&mapping->lock, flags);
	atomic_add(&nr_written, 1);
	if (unlikely(atomic_load(&nr_throttled)))
		wake_up(&written_wait);
	return was;
}

/* ---- errors ----------------------------------------------------------------------------------- */

#define WB_ERR_TOLD  (1 << 12)
#define WB_ERR_COUNT (1 << 13)

void mapping_set_error(struct address_space *mapping, int err)
{
	s32 old, new;

	if (!err)
		return;
	/* fsync(2) knows no others. */
	err = err == -ENOSPC ? ENOSPC : EIO;
	do {
		old = atomic_load(&mapping->wb_err);
		new = (old & ~(WB_ERR_COUNT - 1)) | err;
		if (old & WB_ERR_TOLD)
			new = (s32)((u32) new + WB_ERR_COUNT);
		if (new == old)
			return;
	} while (atomic_cmpxchg(&mapping->wb_err, old, new) != old);
}

s32 mapping_sample_error(const struct address_space *mapping)
{
	s32 now = atomic_load(&mapping->wb_err);

	return now & WB_ERR_TOLD ? now : 0;
}

int mapping_check_error(struct address_space *mapping, s32 *since)
{
	s32 now = atomic_load(&mapping->wb_err);

	if (likely(now == *since) || !now)
		return 0;
	/* A new error from now on counts as another. */
	atomic_cmpxchg(&mapping->wb_err, now, now | WB_ERR_TOLD);
	now |= WB_ERR_TOLD;
	if (now == *since)
		return 0;
	*since = now;
	return -(now & (WB_ERR_TOLD - 1));
}

/* ---- writing one mapping ---------------------------------------------------------------------- */

static void submit_pending(struct address_space *mapping, struct writeback_control *wbc)
{
	if (wbc->bio && mapping->ops->writepages_end)
		mapping->ops->writepages_end(mapping, wbc);
}

/* W4: what is dirty now. */
static void tag_pages_to_write(struct address_space *mapping, unsigned long start,
			       unsigned long end)
{
	unsigned long flags = spin_lock_irqsave(&mapping->lock), index = start;

	for (unsigned int n = 1;; n++) {
		if (!radix_next_tagged(&mapping->pages, &index, PAGECACHE_TAG_DIRTY) ||
		    index >= end)
			break;
		radix_tag_set(&mapping->pages, index, PAGECACHE_TAG_TOWRITE);
		if (!++index)
			break;
		if (n % 256 == 0) { /* let interrupts in */
			spin_unlock_irqrestore(&mapping->lock, flags);
			flags = spin_lock_irqsave(&mapping->lock);
		}
	}
	spin_unlock_irqrestore(&mapping->lock, flags);
}

/* A page with a reference. 0, or what went wrong. */
static int write_one(struct address_space *mapping, struct page *page,
		     struct writeback_control *wbc)
{
	int err;

	if (!trylock_page(page)) {
		if (wbc->for_reclaim)
			return 0;
		submit_pending(mapping, wbc); /* W5 */
		lock_page(page);
	}
	if (page->mapping != mapping || !PageDirty(page))
		goto skip;
	if (PageWriteback(page)) {
		if (!wbc->sync)
			goto skip;
		submit_pending(mapping, wbc);
		wait_on_page_writeback(page);
	}
	if (!clear_page_dirty_for_io(page))
		goto skip;
	err = mapping->ops->writepage(page, wbc);
	wbc->nr_to_write--;
	return err;
skip:
	unlock_page(page);
	return 0;
}

int write_cache_pages(struct address_space *mapping, struct writeback_control *wbc)
{
	int tag = wbc->sync ? PAGECACHE_TAG_TOWRITE : PAGECACHE_TAG_DIRTY, err = 0;
	unsigned long index = wbc->start;
	struct page *pages[WRITE_BATCH];

	if (!mapping_is_written(mapping))
		return 0;
	if (wbc->sync)
		tag_pages_to_write(mapping, wbc->start, wbc->end);
	while (index < wbc->end && (wbc->sync || wbc->nr_to_write > 0)) {
		unsigned int n = find_get_pages(mapping, &index, wbc->end, tag, pages, WRITE_BATCH);

		if (!n)
			break;
		for (unsigned int i = 0; i < n; i++) {
			int e = write_one(mapping, pages[i], wbc);

			if (e && !err)
				err = e;
			put_page(pages[i]);
		}
		cond_resched();
	}
	submit_pending(mapping, wbc);
	return err;
}

static void wait_for_writeback(struct address_space *mapping, unsigned long start,
			       unsigned long end)
{
	struct page *pages[WRITE_BATCH];

	while (start < end && radix_tagged(&mapping->pages, PAGECACHE_TAG_WRITEBACK)) {
		unsigned int n = find_get_pages(mapping, &start, end, PAGECACHE_TAG_WRITEBACK,
						pages, WRITE_BATCH);

		if (!n)
			break;
		for (unsigned int i = 0; i < n; i++) {
			wait_on_page_writeback(pages[i]);
			put_page(pages[i]);
		}
	}
}

int filemap_write_and_wait_range(struct address_space *mapping, u64 start, u64 end)
{
	struct writeback_control wbc = {.start = start >> PAGE_SHIFT,
					.end = (end >> PAGE_SHIFT) + 1,
					.nr_to_write = (s64)(~0ull >> 1),
					.sync = true};
	s32 since = atomic_load(&mapping->wb_err);
	int err;

	if (!mapping_is_written(mapping) || end < start)
		return 0;
	err = write_cache_pages(mapping, &wbc);
	wait_for_writeback(mapping, wbc.start, wbc.end);
	if (!err && atomic_load(&mapping->wb_err) != since)
		err = -(atomic_load(&mapping->wb_err) & (WB_ERR_TOLD - 1));
	return err;
}

/* ---- all mappings ----------------------------------------------------------------------------- */

static bool has_work(const struct address_space *mapping)
{
	return READ_ONCE(mapping->pages.tags) &
	       (1u << PAGECACHE_TAG_DIRTY | 1u << PAGECACHE_TAG_WRITEBACK);
}

/* The oldest mapping, dirty since no later than `before`, and nobody may free it (W3). */
static struct address_space *take_oldest(u64 before, struct busy *b)
{
	b->mapping = NULL;
	spin_lock(&dirty_lock);
	if (!list_empty(&dirty_mappings)) {
		struct address_space *mapping =
			list_first_entry(&dirty_mappings, struct address_space, dirty_list);

		if (mapping->dirtied_at <= before) {
			b->mapping = mapping;
			list_add(&b->node, &busy_list);
		}
	}
	spin_unlock(&dirty_lock);
	return b->mapping;
}

/* Done for now: to the end of the list, or off it if nothing is left. */
static void put_back(struct busy *b)
{
	struct address_space *mapping = b->mapping;

	spin_lock(&dirty_lock);
	if (!list_empty(&mapping->dirty_list)) {
		list_del(&mapping->dirty_list);
		INIT_LIST_HEAD(&mapping->dirty_list);
		smp_mb(); /* W1 */
		if (has_work(mapping)) {
			mapping->dirtied_at = ktime_ns();
			list_add_tail(&mapping->dirty_list, &dirty_mappings);
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

	/* Files that become dirty meanwhile join the tail of the list: their time is later than ours. */
	while ((mapping = take_oldest(begin, &b))) {
		filemap_write_and_wait_range(mapping, 0, ~0ull >> 1);
		put_back(&b);
	}
}

/* ---- limits ----------------------------------------------------------------------------------- */

static u64 limit_of(u64 dirtyable, unsigned int ratio, u64 bytes)
{
	return bytes ? DIV_ROUND_UP(bytes, PAGE_SIZE) : dirtyable * min(ratio, 100u) / 100;
}

void dirty_limits_of(u64 dirtyable, const struct dirty_knobs *k, u64 *background, u64 *limit)
{
	*limit = limit_of(dirtyable, k->ratio, k->bytes);
	*limit = max(*limit, (u64)CHECK_EVERY);
	*background = limit_of(dirtyable, k->background_ratio, k->background_bytes);
	if (*background >= *limit)
		*background = *limit / 2;
}

void dirty_limits(u64 *background, u64 *limit)
{
	const struct dirty_knobs k = {.background_ratio = READ_ONCE(dirty_background_ratio),
				      .ratio = READ_ONCE(dirty_ratio),
				      .background_bytes = READ_ONCE(dirty_background_bytes),
				      .bytes = READ_ONCE(dirty_bytes)};
	s64 dirtyable = global_stat(NR_FREE_PAGES) + global_stat(NR_ACTIVE_FILE) +
			global_stat(NR_INACTIVE_FILE);

	for (unsigned int i = 0; i < nr_zones; i++)
		dirtyable -= zone_table[i]->watermark[WMARK_HIGH];
	dirty_limits_of(dirtyable > 0 ? dirtyable : 0, &k, background, limit);
}

static u64 dirty_now(void)
{
	s64 n = global_stat(NR_FILE_DIRTY) + global_stat(NR_WRITEBACK);

	return n > 0 ? n : 0;
}

void wakeup_flusher(void)
{
	if (READ_ONCE(flusher_wanted))
		return;
	WRITE_ONCE(flusher_wanted, true);
	wake_up(&flusher_wait);
}

/* Sleep until the disk has written something, at most `ns`. */
static void wait_for_progress(u64 ns)
{
	struct wait_entry we;

	atomic_add(&nr_throttled, 1);
	prepare_to_wait(&written_wait, &we);
	schedule_timeout(ns);
	finish_wait(&written_wait, &we);
	atomic_sub(&nr_throttled, 1);
}

static __attribute__((noinline)) void throttle(void)
{
	u64 background, limit, before = atomic_load(&nr_written), now, seen, passes;

	for (;;) {
		dirty_limits(&background, &limit);
		now = dirty_now();
		if (now <= background)
			return;
		wakeup_flusher();
		if (now <= (background + limit) / 2)
			return;
		count_vm_event(MMVM_DIRTY_THROTTLED);
		if (now <= limit) {
			wait_for_progress(PAUSE_NS);
			return;
		}
		passes = atomic_load(&flusher_passes);
		seen = before;
		wait_for_progress(MAX_PAUSE_NS);
		before = atomic_load(&nr_written);
		if (current_thread_info()->flags & TIF_KILLED)
			return;
		/* A whole pass that wrote nothing: the disk does not take them. Memory will run out
		 * in the allocator, which can say so; waiting here would be for ever. */
		if (before == seen && atomic_load(&flusher_passes) > passes + 1)
			return;
	}
}

void balance_dirty_pages(struct address_space *mapping)
{
	u32 *n = &dirtied[cpu_id()];

	if (likely(++*n < CHECK_EVERY))
		return;
	*n = 0;
	if (mapping_is_written(mapping))
		throttle();
}

/* ---- the flusher ------------------------------------------------------------------------------ */

static bool over_background(void)
{
	u64 background, limit;

	dirty_limits(&background, &limit);
	return (u64)max(global_stat(NR_FILE_DIRTY), (s64)0) > background;
}

/* Write of the oldest mapping: all of it, or a chunk. Pages written, -1: there is none. */
static s64 write_oldest(u64 before, s64 nr)
{
	struct writeback_control wbc = {.end = ~0ul, .nr_to_write = nr};
	struct busy b;

	if (!take_oldest(before, &b))
		return -1;
	write_cache_pages(b.mapping, &wbc);
	put_back(&b);
	return nr - wbc.nr_to_write;
}

u64 writeback_pass(u64 expired)
{
	u64 begin = ktime_ns(), written = 0;
	s64 n;

	/* Those that stay dirty go behind, with a later time. */
	expired = min(expired, begin);
	while ((n = write_oldest(expired, (s64)(~0ull >> 1))) >= 0)
		written += n;
	/* Each mapping gets its turn; go round again while that helps. */
	while (over_background()) {
		u64 round = 0;

		while ((n = write_oldest(begin, CHUNK_PAGES)) >= 0 && over_background())
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

static int flusher(void *arg)
{
	/* Its own allocations must not wait for what it writes. */
	atomic_or(&current_thread_info()->flags, TIF_MEMALLOC);
	for (;;) {
		u64 interval = READ_ONCE(dirty_writeback_centisecs) * CENTISEC, now, age;
		struct wait_entry we;

		prepare_to_wait(&flusher_wait, &we);
		if (!READ_ONCE(flusher_wanted)) {
			if (interval)
				schedule_timeout(interval);
			else
				schedule();
		}
		finish_wait(&flusher_wait, &we);
		WRITE_ONCE(flusher_wanted, false);
		now = ktime_ns();
		age = dirty_expire_centisecs * CENTISEC;
		writeback_pass(interval && now > age ? now - age : 0);
		atomic_add(&flusher_passes, 1);
		if (unlikely(atomic_load(&nr_throttled)))
			wake_up(&written_wait);
	}
	return 0;
}

int flusher_init(void)
{
	return kthread_run(flusher, NULL, "flush");
}
