/*
 * The page cache on a real disk: contents, requests against what the disk counted, the flusher by
 * age and by amount, writers that wait, several threads at once, memory that runs out. On the swap
 * disk after swapoff, as every test machine can have one.
 */
#include "mm/cache/filemap.h"
#include "tests/tests.h"

#define MEM   "memory=24M,high=4M swap=40M"
#define CHUNK (64 * KIB)

static struct address_space *take_device(struct test *t, struct block_device **bdev)
{
	struct address_space *mapping;

	*bdev = find_block_device("swap");
	if (!*bdev || do_swapoff(*bdev)) {
		test_fail(t, __FILE__, __LINE__, "no disk");
		return NULL;
	}
	mapping = bdev_mapping(*bdev);
	if (!mapping)
		test_fail(t, __FILE__, __LINE__, "no memory for the device's mapping");
	return mapping;
}

static void disk_stats(struct mmvm_disk_stats *s)
{
	testchan_call(MMVM_REC_DISK_STATS, "swap", 0, 0, s, sizeof(*s));
}

static void fill(u64 *w, u64 pos, size_t bytes, u64 seed)
{
	for (size_t i = 0; i < bytes / 8; i++)
		w[i] = word_for(pos + i * 8, seed);
}

static bool holds(const u64 *w, u64 pos, size_t bytes, u64 seed)
{
	for (size_t i = 0; i < bytes / 8; i++)
		if (w[i] != word_for(pos + i * 8, seed))
			return false;
	return true;
}

static int write_range(struct address_space *mapping, void *buf, u64 from, u64 to, u64 seed)
{
	for (u64 pos = from; pos < to; pos += CHUNK) {
		size_t n = min(to - pos, (u64)CHUNK);

		fill(buf, pos, n, seed);
		if (kernel_file_write(mapping, buf, n, pos) != (long)n)
			return -EIO;
	}
	return 0;
}

static int check_range(struct address_space *mapping, void *buf, u64 from, u64 to, u64 seed)
{
	for (u64 pos = from; pos < to; pos += CHUNK) {
		size_t n = min(to - pos, (u64)CHUNK);

		if (kernel_file_read(mapping, buf, n, pos) != (long)n)
			return -EIO;
		if (!holds(buf, pos, n, seed))
			return -EINVAL;
	}
	return 0;
}

/* Let reads that are under way end. */
static void settle(struct address_space *mapping)
{
	unsigned long index = 0;
	struct page *page;

	while (find_get_pages(mapping, &index, ~0ul, -1, &page, 1)) {
		lock_page(page);
		unlock_page(page);
		put_page(page);
	}
}

GUEST_TEST(pagecache, what_was_written_is_read_and_counted, 0, 0, MEM)
{
	const u64 pages = 256; /* well below what wakes the flusher */
	struct mmvm_disk_stats before, after;
	struct block_device *bdev;
	struct address_space *mapping = take_device(t, &bdev);
	void *buf = kmalloc(CHUNK, GFP_KERNEL);
	s64 written = ev(NR_WRITTEN);

	REQUIRE(mapping && buf);
	disk_stats(&before);
	CHECK_EQ(write_range(mapping, buf, 0, pages << PAGE_SHIFT, 7), 0);
	CHECK_EQ(global_stat(NR_FILE_DIRTY), pages);
	CHECK_EQ(filemap_write_and_wait_range(mapping, 0, ~0ull >> 1), 0);
	CHECK_EQ(global_stat(NR_FILE_DIRTY) + global_stat(NR_WRITEBACK), 0);
	CHECK_EQ(ev(NR_WRITTEN) - written, pages);
	disk_stats(&after);
	CHECK_EQ(after.reads, before.reads);
	CHECK_EQ(after.writes - before.writes, pages / BIO_MAX_PAGES);
	CHECK_EQ(after.sectors_written - before.sectors_written, pages * 8);
	/* In memory: no request. Thrown out: read again, in requests of 128 KiB. */
	CHECK_EQ(check_range(mapping, buf, 0, pages << PAGE_SHIFT, 7), 0);
	disk_stats(&before);
	CHECK_EQ(before.reads, after.reads);
	CHECK(drop_pagecache() >= pages);
	CHECK_EQ(mapping->nrpages, 0);
	CHECK_EQ(check_range(mapping, buf, 0, pages << PAGE_SHIFT, 7), 0);
	settle(mapping);
	disk_stats(&after);
	CHECK_EQ(after.sectors_read - before.sectors_read, mapping->nrpages * 8);
	CHECK(after.reads - before.reads <= pages / BIO_MAX_PAGES * 2 + 4);
	kfree(buf);
}

static bool all_clean(void *arg)
{
	return !global_stat(NR_FILE_DIRTY) && !global_stat(NR_WRITEBACK);
}

GUEST_TEST(pagecache, old_pages_are_written_by_themselves, 0, 60, MEM)
{
	struct mmvm_disk_stats before, after;
	struct block_device *bdev;
	struct address_space *mapping = take_device(t, &bdev);
	void *buf = kmalloc(CHUNK, GFP_KERNEL);

	REQUIRE(mapping && buf);
	disk_stats(&before);
	CHECK_EQ(write_range(mapping, buf, MIB, 2 * MIB, 3), 0);
	sleep_ms(50);
	disk_stats(&after);
	CHECK_EQ(after.writes, before.writes); /* thirty seconds have not gone by */
	dirty_expire_centisecs = 5;
	dirty_writeback_centisecs = 5;
	wakeup_flusher();
	CHECK(wait_until(all_clean, NULL, 20000));
	disk_stats(&after);
	CHECK_EQ(after.sectors_written - before.sectors_written, MIB / 512);
	kfree(buf);
}

GUEST_TEST(pagecache, writers_wait_for_the_disk, 0, 120, MEM)
{
	struct block_device *bdev;
	struct address_space *mapping = take_device(t, &bdev);
	void *buf = kmalloc(CHUNK, GFP_KERNEL);
	s64 throttled = ev(MMVM_DIRTY_THROTTLED), most = 0;
	u64 background, limit, highest = 0;

	REQUIRE(mapping && buf);
	/* So little that a writer is there when it first looks, before the flusher has been woken. */
	dirty_background_bytes = PAGE_SIZE;
	dirty_bytes = PAGE_SIZE;
	for (u64 pos = 0; pos < 12 * MIB; pos += CHUNK) {
		CHECK_EQ(write_range(mapping, buf, pos, pos + CHUNK, 9), 0);
		dirty_limits(&background, &limit);
		highest = max(highest, limit);
		most = max(most, global_stat(NR_FILE_DIRTY));
	}
	CHECK(ev(MMVM_DIRTY_THROTTLED) > throttled);
	CHECK((u64)most <= highest + CHUNK / PAGE_SIZE);
	sync_all_mappings();
	CHECK(all_clean(NULL));
	drop_pagecache();
	CHECK_EQ(check_range(mapping, buf, 0, 12 * MIB, 9), 0);
	kfree(buf);
}

/* Threads that read, write, sync and throw out the same pages. */
#define WORDS_PER_TASK 64
struct worker {
	struct address_space *mapping;
	u64 seed;
	unsigned int nr;
	int err;
};
static s32 workers_left;
static struct rw_semaphore inode_lock; /* as a file system's: one writer at a time */

static int work(void *arg)
{
	struct worker *w = arg;
	u64 *buf = kmalloc(2 * PAGE_SIZE, GFP_KERNEL), rnd = w->seed;
	u64 mine[WORDS_PER_TASK];

	for (unsigned int i = 0; i < WORDS_PER_TASK; i++)
		mine[i] = 0;
	if (!buf)
		w->err = -ENOMEM;
	for (unsigned int i = 0; i < 400 && !w->err; i++) {
		unsigned int slot;
		u64 pos;

		rnd = rnd * 6364136223846793005ull + 1442695040888963407ull;
		slot = (rnd >> 33) % WORDS_PER_TASK;
		/* Words of all workers lie in the same pages. */
		pos = MIB + slot * PAGE_SIZE + w->nr * 8 + PAGE_SIZE / 2;
		switch ((rnd >> 40) % 8) {
		case 0 ... 2:
			mine[slot] = rnd | 1;
			down_write(&inode_lock);
			if (kernel_file_write(w->mapping, &mine[slot], 8, pos) != 8)
				w->err = -EIO;
			up_write(&inode_lock);
			break;
		case 3 ... 5:
			if (mine[slot]) {
				if (kernel_file_read(w->mapping, buf, 8, pos) != 8)
					w->err = -EIO;
				else if (buf[0] != mine[slot])
					w->err = -EINVAL;
			}
			break;
		case 6:
			if (filemap_write_and_wait_range(w->mapping, pos, pos + 5 * PAGE_SIZE))
				w->err = -EIO;
			break;
		default:
			invalidate_mapping_pages(w->mapping, pos >> PAGE_SHIFT,
						 (pos >> PAGE_SHIFT) + 20);
		}
	}
	kfree(buf);
	atomic_sub(&workers_left, 1);
	return 0;
}

static bool workers_done(void *arg)
{
	return !atomic_load(&workers_left);
}

static void many_at_once(struct test *t)
{
	static struct worker w[4];
	struct block_device *bdev;
	struct address_space *mapping = take_device(t, &bdev);

	if (!mapping)
		return;
	init_rwsem(&inode_lock);
	workers_left = ARRAY_SIZE(w);
	for (unsigned int i = 0; i < ARRAY_SIZE(w); i++) {
		w[i] = (struct worker){mapping, get_random_u64(), i, 0};
		CHECK_EQ(kthread_run(work, &w[i], "worker"), 0);
	}
	CHECK(wait_until(workers_done, NULL, 100000));
	for (unsigned int i = 0; i < ARRAY_SIZE(w); i++)
		CHECK_EQ(w[i].err, 0);
	CHECK_EQ(filemap_write_and_wait_range(mapping, 0, ~0ull >> 1), 0);
	CHECK(all_clean(NULL));
}
GUEST_TEST(pagecache, many_at_once, 0, 120, MEM)
{
	many_at_once(t);
}
GUEST_TEST(pagecache, many_at_once_on_two_cpus, 0, 120, MEM " cpus=2")
{
	many_at_once(t);
}

GUEST_TEST(pagecache, memory_that_runs_out, 0, 120, MEM)
{
	struct block_device *bdev;
	struct address_space *mapping = take_device(t, &bdev);
	void *buf = kmalloc(CHUNK, GFP_KERNEL);
	s64 nodes;

	REQUIRE(mapping && buf);
	truncate_inode_pages(mapping);
	nodes = radix_nr_nodes;
	for (u64 k = 1; k < 40; k++) {
		long got;

		alloc_fail_nth(k);
		got = kernel_file_read(mapping, buf, CHUNK, k * MIB / 8 + 5);
		CHECK(got == -ENOMEM || got > 0);
		got = kernel_file_write(mapping, buf, CHUNK, k * MIB / 4 + 5);
		CHECK(got == -ENOMEM || got > 0);
		alloc_fail_nth(0);
		CHECK_EQ(filemap_write_and_wait_range(mapping, 0, ~0ull >> 1), 0);
		truncate_inode_pages(mapping);
	}
	CHECK_EQ(radix_nr_nodes, nodes);
	CHECK_EQ(global_stat(NR_FILE_PAGES), 0);
	kfree(buf);
}

GUEST_TEST(pagecache, a_disk_that_fails, 0, 60, MEM)
{
	struct block_device *bdev;
	struct address_space *mapping = take_device(t, &bdev);
	void *buf = kmalloc(CHUNK, GFP_KERNEL);
	s32 mine, other;

	REQUIRE(mapping && buf);
	mine = other = mapping_sample_error(mapping);
	CHECK_EQ(write_range(mapping, buf, 0, 4 * CHUNK, 5), 0);
	CHECK_EQ(testchan_call(MMVM_REC_HOSTFAULT, "swap", 1, 1, NULL, 0), 0);
	CHECK_EQ(filemap_write_and_wait_range(mapping, 0, ~0ull >> 1), -EIO);
	CHECK(all_clean(NULL));
	/* The flusher's error counts as well: each opener gets it once. */
	CHECK_EQ(mapping_check_error(mapping, &mine), -EIO);
	CHECK_EQ(mapping_check_error(mapping, &mine), 0);
	CHECK_EQ(mapping_check_error(mapping, &other), -EIO);
	CHECK_EQ(write_range(mapping, buf, 0, 4 * CHUNK, 6), 0);
	CHECK_EQ(filemap_write_and_wait_range(mapping, 0, ~0ull >> 1), 0);
	CHECK_EQ(mapping_check_error(mapping, &other), 0);
	/* A failed read: that of the read-ahead is made again for the page that is wanted. */
	drop_pagecache();
	CHECK_EQ(testchan_call(MMVM_REC_HOSTFAULT, "swap", 1, 1, NULL, 0), 0);
	CHECK_EQ(check_range(mapping, buf, 0, CHUNK, 6), 0);
	drop_pagecache();
	CHECK_EQ(testchan_call(MMVM_REC_HOSTFAULT, "swap", 1, 1000, NULL, 0), 0);
	CHECK_EQ(kernel_file_read(mapping, buf, CHUNK, 0), -EIO);
	CHECK_EQ(testchan_call(MMVM_REC_HOSTFAULT, "swap", 0, 0, NULL, 0), 0);
	CHECK_EQ(check_range(mapping, buf, 0, 4 * CHUNK, 6), 0);
	kfree(buf);
}

/* Reclaim takes clean pages, waits for the flusher, and loses nothing; what comes back too soon is
 * seen. */
GUEST_TEST(pagecache, a_file_larger_than_memory, 0, 120, MEM)
{
	struct block_device *bdev;
	struct address_space *mapping = take_device(t, &bdev);
	void *buf = kmalloc(CHUNK, GFP_KERNEL);
	s64 refaults = ev(WORKINGSET_REFAULT_FILE);

	REQUIRE(mapping && buf);
	CHECK_EQ(write_range(mapping, buf, 0, 36 * MIB, 11), 0);
	CHECK_EQ(check_range(mapping, buf, 0, 36 * MIB, 11), 0);
	CHECK(ev(PGSTEAL_FILE) > (s64)(20 * MIB / PAGE_SIZE));
	CHECK(ev(WORKINGSET_REFAULT_FILE) > refaults);
	CHECK_EQ(ev(OOM_KILL), 0);
	CHECK_EQ(filemap_write_and_wait_range(mapping, 0, ~0ull >> 1), 0);
	CHECK(all_clean(NULL));
	kfree(buf);
}
