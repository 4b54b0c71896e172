/*
 * The page cache on the host, over a disk in memory: reading, read-ahead, writing, writeback,
 * throttling, errors, truncation, shadows, and memory that runs out in between.
 */
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "host.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/cache/filemap.h"
#include "mm/init.h"
#include "mm/virt/mm.h"
#include "mm/memcg/memcg.h"
#include "mm/slab/slab.h"
#include "unit.h"

#define MIB (1ull << 20)
static struct host_disk *disk;
static struct address_space *dev;
static u8 buf[1 << 20] __attribute__((aligned(4096)));

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

static u8 byte_at(u64 pos)
{
	return (pos * 0x9e3779b97f4a7c15ull >> 40) ^ (pos >> 12);
}

/* The disk's contents anew, nothing of them in memory. */
static void fresh(void)
{
	disk->deferred = false;
	disk->fail_at = 0;
	truncate_inode_pages(dev);
	writeback_pass(~0ull); /* nothing to write: off the list */
	for (u64 i = 0; i < disk->bdev.nr_sectors * 512; i++)
		disk->data[i] = byte_at(i);
	disk->nr_reads = disk->nr_writes = disk->pages_read = disk->pages_written = 0;
	CU_ASSERT_EQUAL_FATAL(global_stat(NR_FILE_PAGES), 0);
	CU_ASSERT_EQUAL_FATAL(global_stat(NR_FILE_DIRTY), 0);
	CU_ASSERT_EQUAL_FATAL(global_stat(NR_WRITEBACK), 0);
}

static bool right(const u8 *p, u64 pos, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != byte_at(pos + i))
			return false;
	return true;
}

static long read_at(struct file_ra_state *ra, u64 pos, size_t n)
{
	u64 at = pos;
	long got;

	memset(buf, 0xee, n);
	got = generic_file_read(dev, ra, (unsigned long)buf, n, &at);
	CU_ASSERT_EQUAL(at, pos + (got > 0 ? got : 0));
	return got;
}

/* References instead of copies: what they name, how far they reach, and that none is kept. */
static void references_to_what_a_read_would_copy(void)
{
	struct page_piece piece[8];
	struct file_ra_state ra;
	struct page *page;
	int n;

	file_ra_state_init(&ra);
	n = generic_file_pieces(dev, &ra, 100, 2 * PAGE_SIZE, piece, 8);
	CU_ASSERT_FATAL(n > 0 && n <= 3);
	CU_ASSERT(piece[0].offset == 100 && piece[0].len == PAGE_SIZE - 100);
	for (int i = 0; i < n; i++) {
		page = find_get_page(dev, i);
		CU_ASSERT(page == piece[i].page && page == piece[i].held);
		CU_ASSERT(right((u8 *)host_page(page) + piece[i].offset,
				i * PAGE_SIZE + piece[i].offset, piece[i].len));
		lru_add_drain_all();
		CU_ASSERT_EQUAL(page_ref_count(page), 3); /* the cache's, the piece's, ours */
		put_page(page);
	}
	/* Who holds them keeps them. */
	CU_ASSERT_EQUAL(invalidate_mapping_pages(dev, 0, n), 0);
	for (int i = 0; i < n; i++)
		put_page(piece[i].held);
	CU_ASSERT_EQUAL(invalidate_mapping_pages(dev, 0, n), (u64)n);
	/* The end. */
	CU_ASSERT_EQUAL(generic_file_pieces(dev, &ra, dev->size, 1, piece, 8), 0);
	CU_ASSERT_EQUAL(generic_file_pieces(dev, &ra, 0, 0, piece, 8), 0);
	n = generic_file_pieces(dev, &ra, dev->size - 10, 100, piece, 8);
	CU_ASSERT(n == 1 && piece[0].len == 10);
	put_page(piece[0].held);
}

static long write_at(u64 pos, size_t n)
{
	u64 at = pos;

	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(pos + i) ^ 0x55;
	return generic_file_write(dev, (unsigned long)buf, n, &at, ~0ull);
}

static void reads_are_the_disks_contents(void)
{
	struct file_ra_state ra;
	u64 size = dev->size;

	fresh();
	file_ra_state_init(&ra);
	for (int i = 0; i < 3000; i++) {
		u64 pos = get_random_u64() % (size + 5000), n = get_random_u64() % 20000;
		u64 expected = pos >= size ? 0 : min(n, size - pos);

		CU_ASSERT_EQUAL_FATAL(read_at(&ra, pos, n), expected);
		CU_ASSERT_FATAL(right(buf, pos, expected));
		CU_ASSERT_FATAL(expected == n || buf[expected] == 0xee);
	}
	CU_ASSERT(disk->pages_read <= DIV_ROUND_UP(size, PAGE_SIZE));
	CU_ASSERT_EQUAL(global_stat(NR_FILE_PAGES), dev->nrpages);
	CU_ASSERT_EQUAL(nr_blockdev_pages(), dev->nrpages);
}

static void a_reader_in_order_finds_everything_there(void)
{
	struct file_ra_state ra;
	u64 misses = event(MMVM_CACHE_MISS), async = event(MMVM_READAHEAD_ASYNC);

	fresh();
	file_ra_state_init(&ra);
	for (u64 pos = 0; pos < dev->size; pos += PAGE_SIZE)
		CU_ASSERT_EQUAL_FATAL(read_at(&ra, pos, PAGE_SIZE),
				      min(dev->size - pos, (u64)PAGE_SIZE));
	CU_ASSERT_EQUAL(event(MMVM_CACHE_MISS) - misses, 1);
	CU_ASSERT(event(MMVM_READAHEAD_ASYNC) - async > 20);
	CU_ASSERT_EQUAL(disk->pages_read, DIV_ROUND_UP(dev->size, PAGE_SIZE));
	/* Windows of 32 pages, but for the first ones and the part of a page at the end. */
	CU_ASSERT(disk->nr_reads <= disk->pages_read / 32 + 5);
}

static void a_reader_out_of_order_reads_what_it_wants(void)
{
	struct file_ra_state ra;

	fresh();
	file_ra_state_init(&ra);
	for (u64 i = 0; i < 100; i++) {
		u64 page = (i * 389 + 17) % 1000;

		CU_ASSERT_EQUAL(read_at(&ra, page * PAGE_SIZE, PAGE_SIZE), PAGE_SIZE);
	}
	CU_ASSERT_EQUAL(disk->pages_read, 100);
}

static void the_policy(void)
{
	struct file_ra_state ra;
	struct ra_decision d;
	u32 size = 0;

	file_ra_state_init(&ra);
	d = readahead_policy(&ra, 0, 1, false);
	CU_ASSERT(d.start == 0 && d.size == 4 && d.async_size == 3);
	/* The mark of each window: the next one, twice as large, up to the most. */
	for (int i = 0; i < 8; i++) {
		ra.start = d.start;
		ra.size = d.size;
		ra.async_size = d.async_size;
		size = d.size;
		d = readahead_policy(&ra, d.start + d.size - d.async_size, 1, true);
		CU_ASSERT_EQUAL(d.start, ra.start + ra.size);
		CU_ASSERT_EQUAL(d.size, min(size * 2, VM_READAHEAD_PAGES));
		CU_ASSERT_EQUAL(d.async_size, d.size);
	}
	/* Somewhere else: only what is wanted, and no mark. */
	ra = (struct file_ra_state){
		.start = 100, .size = 32, .async_size = 32, .max = 32, .prev = 120};
	d = readahead_policy(&ra, 5000, 2, false);
	CU_ASSERT(d.start == 5000 && d.size == 2 && !d.async_size);
	/* In order from there on: small again. */
	ra.start = d.start;
	ra.size = d.size;
	ra.async_size = 0;
	ra.prev = 5001;
	d = readahead_policy(&ra, 5002, 2, false);
	CU_ASSERT(d.start == 5002 && d.size <= 8);
	/* A large read wants it all at once. */
	file_ra_state_init(&ra);
	d = readahead_policy(&ra, 0, 32, false);
	CU_ASSERT(d.size == 32);
	/* Told that there is no order. */
	ra.max = 0;
	d = readahead_policy(&ra, 0, 1, false);
	CU_ASSERT(d.size == 1 && !d.async_size);
}

static void nothing_is_read_behind_the_end(void)
{
	struct file_ra_state ra;
	u64 size = dev->size;

	fresh();
	file_ra_state_init(&ra);
	dev->size = 10 * PAGE_SIZE + 100;
	CU_ASSERT_EQUAL(read_at(&ra, 8 * PAGE_SIZE, 100 * PAGE_SIZE), 2 * PAGE_SIZE + 100);
	CU_ASSERT(right(buf, 8 * PAGE_SIZE, 2 * PAGE_SIZE + 100));
	force_page_cache_readahead(dev, 0, 1000);
	CU_ASSERT_EQUAL(disk->pages_read, 11);
	CU_ASSERT_EQUAL(dev->nrpages, 11);
	dev->size = size;
}

static void writes_reach_the_disk_in_few_requests(void)
{
	const u64 n = 100;
	struct file_ra_state ra;

	fresh();
	file_ra_state_init(&ra);
	CU_ASSERT_EQUAL(write_at(8 * PAGE_SIZE, n * PAGE_SIZE), n * PAGE_SIZE);
	CU_ASSERT_EQUAL(disk->pages_read, 0); /* whole pages are not read first */
	CU_ASSERT_EQUAL(disk->pages_written, 0);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), n);
	/* A range only. */
	CU_ASSERT_EQUAL(filemap_write_and_wait_range(dev, 8 * PAGE_SIZE, 9 * PAGE_SIZE - 1), 0);
	CU_ASSERT_EQUAL(disk->pages_written, 1);
	CU_ASSERT_EQUAL(filemap_write_and_wait_range(dev, 0, ~0ull >> 1), 0);
	CU_ASSERT_EQUAL(disk->pages_written, n);
	CU_ASSERT_EQUAL(disk->nr_writes, 1 + DIV_ROUND_UP(n - 1, (u64)BIO_MAX_PAGES));
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 0);
	CU_ASSERT_EQUAL(global_stat(NR_WRITEBACK), 0);
	for (u64 i = 0; i < n * PAGE_SIZE; i++)
		if (disk->data[8 * PAGE_SIZE + i] != (byte_at(8 * PAGE_SIZE + i) ^ 0x55)) {
			CU_FAIL("the disk has other bytes");
			break;
		}
	CU_ASSERT(right(disk->data, 0, 8 * PAGE_SIZE));
	/* Nothing dirty: nothing is written. */
	CU_ASSERT_EQUAL(filemap_write_and_wait_range(dev, 0, ~0ull >> 1), 0);
	CU_ASSERT_EQUAL(disk->pages_written, n);
}

static void a_part_of_a_page_is_read_first(void)
{
	fresh();
	CU_ASSERT_EQUAL(write_at(PAGE_SIZE - 10, 20), 20);
	CU_ASSERT_EQUAL(disk->pages_read, 2);
	CU_ASSERT_EQUAL(filemap_write_and_wait_range(dev, 0, ~0ull >> 1), 0);
	CU_ASSERT(right(disk->data, 0, PAGE_SIZE - 10));
	CU_ASSERT_EQUAL(disk->data[PAGE_SIZE], byte_at(PAGE_SIZE) ^ 0x55);
	CU_ASSERT(right(disk->data + PAGE_SIZE + 10, PAGE_SIZE + 10, PAGE_SIZE - 10));
	/* The device's last page is a part of one. */
	CU_ASSERT_EQUAL(dev->size % PAGE_SIZE, 512);
	CU_ASSERT_EQUAL(write_at(dev->size - 100, 200), 100);
	CU_ASSERT_EQUAL(write_at(dev->size, 1), -ENOSPC);
	CU_ASSERT_EQUAL(filemap_write_and_wait_range(dev, 0, ~0ull >> 1), 0);
	CU_ASSERT_EQUAL(disk->data[dev->size - 1], byte_at(dev->size - 1) ^ 0x55);
}

static void user_memory_that_faults(void)
{
	struct file_ra_state ra;
	u64 at = 0;

	fresh();
	file_ra_state_init(&ra);
	memset(buf, 0x33, 4 * PAGE_SIZE);
	/* Comes in when touched without the page lock. */
	host_user_fault = (struct host_user_fault){(unsigned long)buf + 8192,
						   (unsigned long)buf + 12288, true, 0, 0};
	CU_ASSERT_EQUAL(generic_file_write(dev, (unsigned long)buf, 4 * PAGE_SIZE, &at, ~0ull),
			4 * PAGE_SIZE);
	CU_ASSERT_EQUAL(host_user_fault.nr_resolved, 1);
	CU_ASSERT(host_user_fault.nr_refused >= 1);
	CU_ASSERT_EQUAL(at, 4 * PAGE_SIZE);
	/* Never comes: what could be written is, and told. */
	truncate_inode_pages(dev);
	at = 100;
	host_user_fault = (struct host_user_fault){(unsigned long)buf + 8192,
						   (unsigned long)buf + 12288, false, 0, 0};
	CU_ASSERT_EQUAL(generic_file_write(dev, (unsigned long)buf, 4 * PAGE_SIZE, &at, ~0ull),
			8192);
	CU_ASSERT_EQUAL(at, 8292);
	CU_ASSERT_EQUAL(generic_file_write(dev, (unsigned long)buf + 8192, 10, &at, ~0ull),
			-EFAULT);
	at = 0;
	CU_ASSERT_EQUAL(generic_file_read(dev, &ra, (unsigned long)buf, 4 * PAGE_SIZE, &at), 8192);
	CU_ASSERT_EQUAL(at, 8192);
	at = 0;
	CU_ASSERT_EQUAL(generic_file_read(dev, &ra, (unsigned long)buf + 8192, 10, &at), -EFAULT);
	CU_ASSERT_EQUAL(at, 0);
	host_user_fault = (struct host_user_fault){0};
	/* No lock was lost. */
	truncate_inode_pages(dev);
	/* The limit. */
	at = 10;
	CU_ASSERT_EQUAL(generic_file_write(dev, (unsigned long)buf, 100, &at, 15), 5);
	CU_ASSERT_EQUAL(generic_file_write(dev, (unsigned long)buf, 100, &at, 15), -EFBIG);
}

static void read_errors_are_told_and_tried_again(void)
{
	struct file_ra_state ra;

	fresh();
	file_ra_state_init(&ra);
	ra.max = 0;
	disk->fail_at = 1;
	/* The read-ahead fails silently, the reader reads the page again. */
	CU_ASSERT_EQUAL(read_at(&ra, 0, 100), 100);
	CU_ASSERT(right(buf, 0, 100));
	fresh();
	for (int i = 0; i < 3; i++) {
		int err;

		disk->fail_at = 1;
		CU_ASSERT_PTR_NULL(read_cache_page(dev, 5, &err));
		CU_ASSERT_EQUAL(err, -EIO);
	}
	CU_ASSERT_EQUAL(read_at(&ra, 5 * PAGE_SIZE, 100), 100);
	CU_ASSERT(right(buf, 5 * PAGE_SIZE, 100));
}

static void each_opener_is_told_of_an_error_once(void)
{
	s32 a, b, late;

	fresh();
	a = mapping_sample_error(dev);
	b = mapping_sample_error(dev);
	CU_ASSERT_EQUAL(write_at(0, PAGE_SIZE), PAGE_SIZE);
	disk->fail_at = 1;
	CU_ASSERT_EQUAL(filemap_write_and_wait_range(dev, 0, ~0ull >> 1), -EIO);
	late = mapping_sample_error(dev); /* nobody has got the error yet, so this one will */
	CU_ASSERT_EQUAL(mapping_check_error(dev, &a), -EIO);
	CU_ASSERT_EQUAL(mapping_check_error(dev, &a), 0);
	CU_ASSERT_EQUAL(mapping_check_error(dev, &late), -EIO);
	CU_ASSERT_EQUAL(mapping_check_error(dev, &late), 0);
	/* Another one. */
	CU_ASSERT_EQUAL(write_at(0, PAGE_SIZE), PAGE_SIZE);
	disk->fail_at = 1;
	CU_ASSERT_EQUAL(filemap_write_and_wait_range(dev, 0, ~0ull >> 1), -EIO);
	CU_ASSERT_EQUAL(mapping_check_error(dev, &a), -EIO);
	CU_ASSERT_EQUAL(mapping_check_error(dev, &b), -EIO);
	CU_ASSERT_EQUAL(mapping_check_error(dev, &b), 0);
	late = mapping_sample_error(dev);
	CU_ASSERT_EQUAL(mapping_check_error(dev, &late), 0);
	mapping_set_error(dev, -ENOSPC);
	CU_ASSERT_EQUAL(mapping_check_error(dev, &b), -ENOSPC);
	CU_ASSERT_EQUAL(mapping_check_error(dev, &a), -ENOSPC);
	CU_ASSERT_EQUAL(mapping_check_error(dev, &a), 0);
	CU_ASSERT_EQUAL(global_stat(NR_WRITEBACK), 0);
}

static void a_page_dirtied_while_it_is_written(void)
{
	fresh();
	disk->deferred = true;
	CU_ASSERT_EQUAL(write_at(0, PAGE_SIZE), PAGE_SIZE);
	writeback_pass(~0ull);
	CU_ASSERT_EQUAL(global_stat(NR_WRITEBACK), 1);
	CU_ASSERT_EQUAL(write_at(0, 100), 100);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 1);
	/* The flusher does not wait; fsync does, and writes again. */
	writeback_pass(~0ull);
	CU_ASSERT_EQUAL(disk->pages_written, 0);
	CU_ASSERT_EQUAL(filemap_write_and_wait_range(dev, 0, ~0ull >> 1), 0);
	CU_ASSERT_EQUAL(disk->pages_written, 2);
	CU_ASSERT_EQUAL(global_stat(NR_WRITEBACK) + global_stat(NR_FILE_DIRTY), 0);
	/* A truncation waits for what is on its way. */
	CU_ASSERT_EQUAL(write_at(0, PAGE_SIZE), PAGE_SIZE);
	writeback_pass(~0ull);
	truncate_inode_pages(dev);
	CU_ASSERT_EQUAL(global_stat(NR_WRITEBACK) + global_stat(NR_FILE_DIRTY), 0);
}

static void old_pages_are_written_and_new_ones_are_not(void)
{
	u64 begin;

	fresh();
	host_time_ns += 1000000000;
	CU_ASSERT_EQUAL(write_at(0, 4 * PAGE_SIZE), 4 * PAGE_SIZE);
	begin = host_time_ns;
	CU_ASSERT_EQUAL(writeback_pass(begin - 500000000), 0);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 4);
	CU_ASSERT_EQUAL(writeback_pass(begin), 4);
	CU_ASSERT_EQUAL(disk->pages_written, 4);
	CU_ASSERT_EQUAL(writeback_pass(~0ull), 0);
	CU_ASSERT_EQUAL(write_at(0, 4 * PAGE_SIZE), 4 * PAGE_SIZE);
	sync_all_mappings();
	CU_ASSERT_EQUAL(disk->pages_written, 8);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 0);
}

static u64 most_dirty;
static bool run_flusher(void)
{
	u64 dirty = global_stat(NR_FILE_DIRTY) + global_stat(NR_WRITEBACK);

	most_dirty = max(most_dirty, dirty);
	writeback_pass(0);
	return host_disks_poll();
}

static void writers_wait_for_the_disk(void)
{
	u64 background, limit, throttled = event(MMVM_DIRTY_THROTTLED);

	struct dirty_knobs k = {.background_ratio = 10, .ratio = 20};

	dirty_limits_of(1000, &k, &background, &limit);
	CU_ASSERT(background == 100 && limit == 200);
	k.background_ratio = 30;
	dirty_limits_of(1000, &k, &background, &limit);
	CU_ASSERT(background == 100 && limit == 200);
	k.background_ratio = 10;
	dirty_limits_of(0, &k, &background, &limit);
	CU_ASSERT(limit > 0 && background < limit);
	k = (struct dirty_knobs){.background_ratio = 5, .bytes = 80 * PAGE_SIZE - 1};
	dirty_limits_of(1000, &k, &background, &limit);
	CU_ASSERT(background == 50 && limit == 80);
	k.background_bytes = 33 * PAGE_SIZE;
	dirty_limits_of(10, &k, &background, &limit);
	CU_ASSERT(background == 33 && limit == 80);
	k.background_bytes = 90 * PAGE_SIZE;
	dirty_limits_of(10, &k, &background, &limit);
	CU_ASSERT(background == 40 && limit == 80);
	fresh();
	disk->deferred = true;
	host_idle_hook = run_flusher;
	dirty_limits(&background, &limit);
	CU_ASSERT(limit > 500 && limit < dev->size / PAGE_SIZE);
	for (u64 pos = 0; pos + sizeof(buf) <= dev->size; pos += sizeof(buf))
		CU_ASSERT_EQUAL(write_at(pos, sizeof(buf)), sizeof(buf));
	CU_ASSERT(event(MMVM_DIRTY_THROTTLED) > throttled);
	CU_ASSERT(disk->pages_written > 0);
	CU_ASSERT(most_dirty <= limit + 16);
	CU_ASSERT((u64)global_stat(NR_FILE_DIRTY) <= limit + 16);
	host_idle_hook = NULL;
	CU_ASSERT_EQUAL(filemap_write_and_wait_range(dev, 0, ~0ull >> 1), 0);
	CU_ASSERT_EQUAL(disk->data[3 * PAGE_SIZE], byte_at(3 * PAGE_SIZE) ^ 0x55);
}

static void evicted_pages_leave_shadows(void)
{
	struct file_ra_state ra;
	struct page *page;
	u64 refaults = event(WORKINGSET_REFAULT_FILE);

	fresh();
	file_ra_state_init(&ra);
	read_at(&ra, 0, 20 * PAGE_SIZE);
	lru_add_drain();
	page = find_lock_page(dev, 3);
	get_page(page);
	CU_ASSERT_FALSE(page_cache_evict(page)); /* somebody else has it */
	put_page(page);
	set_page_dirty(page);
	CU_ASSERT_FALSE(page_cache_evict(page)); /* or it is dirty */
	CU_ASSERT(clear_page_dirty_for_io(page));
	CU_ASSERT(page_cache_evict(page));
	ClearPageLocked(page);
	release_dead_page(page);
	CU_ASSERT_EQUAL(dev->nrvalues, 1);
	CU_ASSERT_EQUAL(nr_shadows, 1);
	CU_ASSERT_PTR_NULL(find_get_page(dev, 3));
	read_at(&ra, 0, 5 * PAGE_SIZE);
	CU_ASSERT(right(buf, 0, 5 * PAGE_SIZE));
	CU_ASSERT_EQUAL(event(WORKINGSET_REFAULT_FILE) - refaults, 1);
	CU_ASSERT_EQUAL(nr_shadows, 0);
	/* Every clean and unused page is dropped, with no shadow; used pages stay. */
	lru_add_drain();
	page = find_get_page(dev, 7);
	write_at(8 * PAGE_SIZE, 1);
	CU_ASSERT_EQUAL(dev->nrpages - drop_pagecache(), 2);
	CU_ASSERT_EQUAL(dev->nrpages, 2);
	CU_ASSERT_EQUAL(dev->nrvalues, 0);
	put_page(page);
	CU_ASSERT_EQUAL(invalidate_mapping_pages(dev, 0, 8), 1);
}

static void many_shadows_are_shrunk(void)
{
	struct file_ra_state ra;
	s64 nodes, nr;
	u64 reclaimed;

	fresh();
	file_ra_state_init(&ra);
	ra.max = 0;
	/* One page of each node, evicted: the dearest there is. */
	for (u64 i = 0; i < dev->size >> PAGE_SHIFT; i += 64) {
		struct page *page;

		read_at(&ra, i * PAGE_SIZE, 1);
		lru_add_drain();
		page = find_lock_page(dev, i);
		CU_ASSERT(page_cache_evict(page));
		ClearPageLocked(page);
		release_dead_page(page);
	}
	CU_ASSERT(nr_shadows > 80);
	CU_ASSERT(radix_nr_nodes > nr_shadows);
	nodes = radix_nr_nodes;
	nr = nr_shadows;
	reclaimed = event(WORKINGSET_NODERECLAIM);
	for (int i = 0; i < 100 && nr_shadows; i++)
		shrink_slab(GFP_KERNEL, 0);
	/* Each shadow was its node's only item, and those above are freed with the last of them. */
	reclaimed = event(WORKINGSET_NODERECLAIM) - reclaimed;
	CU_ASSERT_EQUAL(reclaimed, (u64)(nr - nr_shadows));
	CU_ASSERT(reclaimed && nodes - radix_nr_nodes >= (s64)reclaimed);
	CU_ASSERT_EQUAL(mem_cgroup_workingset(&root_mem_cgroup, 0, WORKINGSET_NODERECLAIM),
			event(WORKINGSET_NODERECLAIM));
	CU_ASSERT(radix_nr_nodes <= (s64)totalram_pages() / 256);
	truncate_inode_pages(dev);
	CU_ASSERT_EQUAL(nr_shadows, 0);
	CU_ASSERT_EQUAL(radix_nr_nodes, 0);
}

static void truncation(void)
{
	struct file_ra_state ra;
	u64 size = dev->size;

	fresh();
	file_ra_state_init(&ra);
	write_at(0, 70 * PAGE_SIZE);
	dev->size = 5 * PAGE_SIZE + 100;
	truncate_pagecache(dev, dev->size);
	CU_ASSERT_EQUAL(dev->nrpages, 6);
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 6);
	dev->size = 6 * PAGE_SIZE;
	CU_ASSERT_EQUAL(read_at(&ra, 5 * PAGE_SIZE, 2 * PAGE_SIZE), PAGE_SIZE);
	CU_ASSERT_EQUAL(buf[99], byte_at(5 * PAGE_SIZE + 99) ^ 0x55);
	for (unsigned int i = 100; i < PAGE_SIZE; i++)
		CU_ASSERT_FATAL(!buf[i]);
	dev->size = size;
	truncate_inode_pages(dev);
	CU_ASSERT_EQUAL(radix_nr_nodes, 0);
	lru_add_drain(); /* its queue holds references */
	CU_ASSERT_EQUAL(count_frames(PAGE_FILE), 0);
}

/* Each allocation of a read and of a write fails once: nothing leaks, no lock is lost. */
static void memory_that_runs_out(void)
{
	struct file_ra_state ra;
	unsigned int failed = 0;

	for (u64 k = 1; k < 80; k++) {
		long got;
		u64 count;

		fresh();
		file_ra_state_init(&ra);
		alloc_fail_nth(k);
		got = read_at(&ra, 60 * PAGE_SIZE, 40 * PAGE_SIZE);
		CU_ASSERT(got == -ENOMEM || (got > 0 && right(buf, 60 * PAGE_SIZE, got)));
		got = write_at(4095 * PAGE_SIZE, 10 * PAGE_SIZE);
		CU_ASSERT(got == -ENOMEM || got > 0);
		count = alloc_fail_count();
		alloc_fail_nth(0);
		failed += count != 0;
		CU_ASSERT_EQUAL(read_at(&ra, 60 * PAGE_SIZE, 40 * PAGE_SIZE), 40 * PAGE_SIZE);
		CU_ASSERT(right(buf, 60 * PAGE_SIZE, 40 * PAGE_SIZE));
		CU_ASSERT_EQUAL(filemap_write_and_wait_range(dev, 0, ~0ull >> 1), 0);
	}
	CU_ASSERT(failed > 10);
	fresh();
	CU_ASSERT_EQUAL(radix_nr_nodes, 0);
	lru_add_drain(); /* its queue holds references */
	CU_ASSERT_EQUAL(count_frames(PAGE_FILE), 0);
	CU_ASSERT_EQUAL(check_pages() + check_slabs(), 0);
}

static void meminfo_tells(void)
{
	static char text[4096];
	struct report r;
	struct file_ra_state ra;
	char want[64];

	fresh();
	file_ra_state_init(&ra);
	read_at(&ra, 0, 50 * PAGE_SIZE);
	write_at(100 * PAGE_SIZE, 7 * PAGE_SIZE);
	r = (struct report){.buf = text, .size = sizeof(text)};
	report_meminfo(&r);
	snprintf(want, sizeof(want), "Buffers:        %8lu kB\n", (unsigned long)dev->nrpages * 4);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, want));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Cached:                0 kB\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Dirty:                28 kB\n"));
}

int main(void)
{
	static const struct unit_case cases[] = {
#define T(f) {#f, f}
		T(reads_are_the_disks_contents),
		T(a_reader_in_order_finds_everything_there),
		T(a_reader_out_of_order_reads_what_it_wants),
		T(the_policy),
		T(nothing_is_read_behind_the_end),
		T(references_to_what_a_read_would_copy),
		T(writes_reach_the_disk_in_few_requests),
		T(a_part_of_a_page_is_read_first),
		T(user_memory_that_faults),
		T(read_errors_are_told_and_tried_again),
		T(each_opener_is_told_of_an_error_once),
		T(a_page_dirtied_while_it_is_written),
		T(old_pages_are_written_and_new_ones_are_not),
		T(writers_wait_for_the_disk),
		T(evicted_pages_leave_shadows),
		T(many_shadows_are_shrunk),
		T(truncation),
		T(memory_that_runs_out),
		T(meminfo_tells),
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("disk0", 24 * MIB + 512);
	dev = bdev_mapping(&disk->bdev);
	if (!dev || dev != bdev_mapping(&disk->bdev))
		abort();
	return unit_run("page cache", cases, ARRAY_SIZE(cases));
}
