/*
 * Writeback: dirty pages, their tags and counts, writing them, and errors.
 *
 *   clean ──set_page_dirty──> DIRTY ──clear_page_dirty_for_io, writepage──> WRITEBACK ──end──> clean
 *                               ^                                               │
 *                               └───────────── dirtied again ───────────────────┘
 *
 * flusher.c decides when pages are written; dirty_throttle.c, how fast a writer may dirty pages.
 *
 * W1  NR_FILE_DIRTY = pages with PG_dirty in mappings that are written; NR_WRITEBACK = pages with
 *     PG_writeback. Their mapping's wb->nr_dirty is the sum of both.
 * W2  fsync writes the pages that were dirty when it began, TOWRITE, not those that become dirty while
 *     it works; otherwise a steady writer would hold it for ever.
 * W3  A thread that waits for a page lock or for writeback first submits its partly filled request: another thread
 *     may wait for the pages in it.
 *
 * Errors: mapping->wb_err holds the last error, and a count of errors that rises only after the last one was
 * reported. Each opener keeps the value up to which errors were reported to it.
 *
 *   wb_err:  31 ... 13 count | 12 reported | 11 ... 0 errno
 *
 * Locks: mapping->lock, interrupts off, for tags.
 */
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/cache/bdi.h"
#include "mm/cache/dax.h"
#include "mm/cache/filemap.h"

#define WRITE_BATCH 15

/* ---- pages ------------------------------------------------------------------------------------ */

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
		atomic_add(&mapping->wb->nr_dirty, 1);
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
	atomic_sub(&mapping->wb->nr_dirty, 1);
	return true;
}

void cancel_dirty_page(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);

	if (!TestClearPageDirty(page) || !mapping_is_written(mapping))
		return;
	page_stat_add(page, NR_FILE_DIRTY, -1);
	atomic_sub(&mapping->wb->nr_dirty, 1);
	current_thread_info()->io.cancelled_write_bytes += PAGE_SIZE;
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
	atomic_add(&mapping->wb->nr_dirty, 1);
	atomic_add(&mapping->wb->nr_writeback, 1);
	spin_unlock_irqrestore(&mapping->lock, flags);
	note_dirty_mapping(mapping);
}

bool file_page_written(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	struct bdi_writeback *wb = mapping->wb; /* outlives the mapping */
	bool was = TestClearPageWriteback(page);

	radix_tag_clear(&mapping->pages, page->index, PAGECACHE_TAG_WRITEBACK);
	page_stat_add(page, NR_WRITEBACK, -1);
	atomic_sub(&wb->nr_dirty, 1);
	atomic_sub(&wb->nr_writeback, 1);
	count_vm_event(NR_WRITTEN);
	trace_file(FILE_WRITTEN, page, mapping);
	spin_unlock_irqrestore(&mapping->lock, flags);
	wb_page_written(wb);
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
	/* fsync(2) reports only these two. */
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
	/* Mark the error as reported: the next one is counted as a new error. */
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

/* W2: tag the pages that are dirty now. */
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

/* Write one page, to which the caller holds a reference. 0 or -errno. */
static int write_one(struct address_space *mapping, struct page *page,
		     struct writeback_control *wbc)
{
	int err;

	if (!trylock_page(page)) {
		if (wbc->for_reclaim)
			return 0;
		submit_pending(mapping, wbc); /* W3 */
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

	if (mapping_is_dax(mapping))
		return dax_writeback(mapping);
	if (!mapping_is_written(mapping) || end < start)
		return 0;
	err = write_cache_pages(mapping, &wbc);
	wait_for_writeback(mapping, wbc.start, wbc.end);
	if (!err && atomic_load(&mapping->wb_err) != since)
		err = -(atomic_load(&mapping->wb_err) & (WB_ERR_TOLD - 1));
	return err;
}
