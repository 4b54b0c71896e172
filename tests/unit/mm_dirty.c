/*
 * Dirty throttling on the host. The pure functions are tested alone. Then writers run without end over disks
 * that take their time, on a clock that only disks and pauses advance: so waits are exact, and the same in
 * every run.
 */
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "host.h"
#include "mm/cache/bdi.h"
#include "mm/cache/filemap.h"
#include "mm/init.h"
#include "mm/virt/mm.h"
#include "mm/slab/slab.h"
#include "unit.h"

#define MS 1000000ull
static struct host_disk *disk[2];
static struct address_space *dev[2];
static u8 buf[PAGE_SIZE];

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

static void positions(void)
{
	struct dirty_level l = {.background = 400,
				.limit = 800}; /* free until 600, half way at 700 */
	u32 last = 2 * DIRTY_SCALE;

	l.dirty = 0;
	CU_ASSERT_EQUAL(dirty_position(&l), 2 * DIRTY_SCALE);
	l.dirty = 600;
	CU_ASSERT_EQUAL(dirty_position(&l), 2 * DIRTY_SCALE);
	l.dirty = 650; /* 1 + (1/2)^3 */
	CU_ASSERT_EQUAL(dirty_position(&l), DIRTY_SCALE + DIRTY_SCALE / 8);
	l.dirty = 700;
	CU_ASSERT_EQUAL(dirty_position(&l), DIRTY_SCALE);
	l.dirty = 750;
	CU_ASSERT_EQUAL(dirty_position(&l), DIRTY_SCALE - DIRTY_SCALE / 8);
	l.dirty = 800;
	CU_ASSERT_EQUAL(dirty_position(&l), 0);
	/* It never rises, and is 0 at the limit only. */
	for (l.dirty = 600; l.dirty < 800; l.dirty++) {
		CU_ASSERT(dirty_position(&l) <= last);
		last = dirty_position(&l);
		CU_ASSERT(last > 0);
	}
}

static void pauses(void)
{
	struct dirty_pause p = dirty_pause_of(0, 1000 * MS, 8, 8000);

	/* 8 pages at 8000 a second are 1 ms, and 10 ms are credit. */
	CU_ASSERT_EQUAL(p.pause, 0);
	CU_ASSERT_EQUAL(p.until, 991 * MS);
	/* Short pauses add up until they are worth one. */
	for (int i = 0; i < 18; i++) {
		p = dirty_pause_of(p.until, 1000 * MS, 8, 8000);
		CU_ASSERT_EQUAL(p.pause, 0);
	}
	p = dirty_pause_of(p.until, 1000 * MS, 8, 8000);
	p = dirty_pause_of(p.until, 1000 * MS, 8, 8000);
	CU_ASSERT_EQUAL(p.pause, 11 * MS);
	/* In proportion, and no longer than 200 ms, with nothing left to pay. */
	p = dirty_pause_of(1000 * MS, 1000 * MS, 80, 800);
	CU_ASSERT_EQUAL(p.pause, 100 * MS);
	p = dirty_pause_of(1000 * MS, 1000 * MS, 8, 1);
	CU_ASSERT_EQUAL(p.pause, 200 * MS);
	CU_ASSERT_EQUAL(p.until, 1200 * MS);
}

static void rates(void)
{
	/* Two writers dirtied twice what the disk wrote: each comes to half of it. */
	u64 rate = 1000;

	for (int i = 0; i < 30; i++)
		rate = dirty_next_rate(rate, DIRTY_SCALE, 2 * rate, 1000);
	CU_ASSERT(rate >= 495 && rate <= 505);
	/* One comes to all of it, from above and from below. */
	for (int i = 0; i < 30; i++)
		rate = dirty_next_rate(rate, DIRTY_SCALE, rate, 1000);
	CU_ASSERT(rate >= 990 && rate <= 1000);
	CU_ASSERT(dirty_next_rate(1, 1, ~0ull >> 1, 0) >= 1);
}

static bool flush(void)
{
	writeback_pass(0);
	return true;
}

static void begin(u64 page_ns_0, u64 page_ns_1)
{
	u64 ns[2] = {page_ns_0, page_ns_1};

	for (int i = 0; i < 2; i++) {
		struct bdi_writeback *wb = dev[i]->wb;

		filemap_write_and_wait_range(dev[i], 0, ~0ull >> 1);
		truncate_inode_pages(dev[i]);
		disk[i]->deferred = true;
		disk[i]->page_ns = ns[i];
		disk[i]->idle_at = host_time_ns;
		disk[i]->pages_written = 0;
		wb->write_rate = wb->task_rate = WB_INITIAL_RATE;
		wb->stamp = host_time_ns;
		wb->written_stamp = wb->nr_written;
		wb->dirtied_stamp = wb->nr_dirtied;
		wb->completions = 0;
	}
	host_thread_info.dirty_paid_until = 0;
	host_idle_hook = flush;
	dirty_bytes = 800 * PAGE_SIZE;
	dirty_background_bytes = 400 * PAGE_SIZE;
}

/* A page more, as the n-th; then the flushers work. Returns the time it took. */
static u64 write_page(int i, u64 n)
{
	u64 pos = n * PAGE_SIZE % dev[i]->size, from = host_time_ns;

	host_thread_info.flags &= ~TIF_MEMALLOC;
	CU_ASSERT_EQUAL(kernel_file_write(dev[i], buf, PAGE_SIZE, pos), PAGE_SIZE);
	from = host_time_ns - from;
	host_disks_run();
	writeback_pass(0);
	return from;
}

static u64 dirty_now(void)
{
	return global_stat(NR_FILE_DIRTY) + global_stat(NR_WRITEBACK);
}

/* 16,000 pages for a disk that takes 2,000 a second. */
static void a_writer_is_slowed_down_smoothly(void)
{
	const u64 pages = 16000, page_ns = MS / 2;
	u64 longest = 0, most = 0, start, stalled = event(MMVM_DIRTY_STALLED);
	u64 throttled = event(MMVM_DIRTY_THROTTLED), late = 0;

	begin(page_ns, page_ns);
	start = host_time_ns;
	for (u64 n = 0; n < pages; n++) {
		u64 ns = write_page(0, n);

		longest = max(longest, ns);
		most = max(most, dirty_now());
		/* After four seconds the rate has been found. */
		if (host_time_ns - start > 4000 * MS)
			late = max(late, ns);
	}
	CU_ASSERT(event(MMVM_DIRTY_THROTTLED) - throttled > 100);
	CU_ASSERT_EQUAL(event(MMVM_DIRTY_STALLED), stalled);
	CU_ASSERT(longest <= 200 * MS + page_ns * BIO_MAX_PAGES);
	CU_ASSERT(late > 0);
	CU_ASSERT(late <= 60 * MS);
	CU_ASSERT(most <= 800 + 8);
	/* The disk was never idle for long: it has written what it could. */
	CU_ASSERT(host_time_ns - start <= pages * page_ns * 11 / 10);
	printf("longest pause %llu ms, after 4 s %llu ms, most dirty %llu, %llu ms for %llu\n",
	       (unsigned long long)(longest / MS), (unsigned long long)(late / MS),
	       (unsigned long long)most, (unsigned long long)((host_time_ns - start) / MS),
	       (unsigned long long)(pages * page_ns / MS));
}

/* A disk of 40 pages a second beside one of 4,000: both writers write as they may. The fast one's pages
 * are bounded by its own disk. */
static void a_slow_disk_does_not_stop_another(void)
{
	const u64 fast_ns = MS / 4;
	u64 slow = 0, fast, longest = 0, start;

	begin(25 * MS, fast_ns);
	/* The slow disk's writer alone: up to its limit. */
	for (; slow < 700; slow++)
		write_page(0, slow);
	CU_ASSERT(dirty_now() > 600);
	host_thread_info.dirty_paid_until = 0; /* another task */
	start = host_time_ns;
	for (fast = 0; fast < 8000; fast++)
		longest = max(longest, write_page(1, fast));
	CU_ASSERT(longest <= 200 * MS);
	CU_ASSERT(host_time_ns - start <= 8000 * fast_ns * 3 / 2);
	printf("beside a slow disk: longest pause %llu ms, %llu ms for %llu\n",
	       (unsigned long long)(longest / MS),
	       (unsigned long long)((host_time_ns - start) / MS),
	       (unsigned long long)(8000 * fast_ns / MS));
}

static void disks_have_flushers_of_their_own(void)
{
	CU_ASSERT_PTR_NOT_EQUAL(dev[0]->wb, dev[1]->wb);
	CU_ASSERT_PTR_EQUAL(bdi_of(&disk[0]->bdev), dev[0]->wb);
	CU_ASSERT_PTR_EQUAL(bdi_of(NULL), &default_wb);
	begin(0, 0);
	for (u64 n = 0; n < 10; n++)
		CU_ASSERT_EQUAL(kernel_file_write(dev[n % 3 == 0], buf, PAGE_SIZE, n * PAGE_SIZE),
				PAGE_SIZE);
	CU_ASSERT_EQUAL(dev[1]->wb->nr_dirty, 4);
	CU_ASSERT_EQUAL(dev[0]->wb->nr_dirty, 6);
	sync_all_mappings();
	CU_ASSERT_EQUAL(dev[0]->wb->nr_dirty + dev[1]->wb->nr_dirty, 0);
	CU_ASSERT_EQUAL(disk[0]->pages_written, 6);
	CU_ASSERT_EQUAL(disk[1]->pages_written, 4);
}

int main(void)
{
	static const struct unit_case cases[] = {
#define T(f) {#f, f}
		T(positions),
		T(pauses),
		T(rates),
		T(disks_have_flushers_of_their_own),
		T(a_writer_is_slowed_down_smoothly),
		T(a_slow_disk_does_not_stop_another),
	};

	host_boot_default("debug_vm");
	mm_init();
	for (int i = 0; i < 2; i++) {
		disk[i] = host_disk_create(i ? "disk1" : "disk0", 16ull << 20);
		dev[i] = bdev_mapping(&disk[i]->bdev);
		if (!dev[i])
			abort();
	}
	return unit_run("dirty", cases, ARRAY_SIZE(cases));
}
