/* Writeback of several disks, and the dirty limits of a memory cgroup. The disks are of memory; one can
 * be stopped, as a disk that does not answer: its queue is full, and who submits to it sleeps. */
#include "mm/block/bio.h"
#include "mm/phys/highmem.h"
#include "mm/cache/bdi.h"
#include "mm/cache/filemap.h"
#include "mm/memcg/memcg.h"
#include "tests/tests.h"

#define MEM	     "memory=96M,high=0M cpus=2"
#define DISK_PAGES   3072ul
#define PAGE_SECTORS (PAGE_SIZE / 512)

struct slow_disk {
	struct block_device bdev;
	char *data;
	bool stopped;
	struct wait_queue wait;
	u64 written; /* pages */
};

static void slow_submit(struct block_device *bdev, struct bio *bio)
{
	struct slow_disk *d = bdev->private_;
	char *at = d->data + bio->sector * 512;

	wait_event(&d->wait, !READ_ONCE(d->stopped));
	bio->status = 0;
	for (u32 i = 0; i < bio->nr_pages && bio->op <= BIO_WRITE; i++, at += PAGE_SIZE) {
		if (bio->op == BIO_READ)
			memcpy_to_page(bio->pages[i], 0, at, PAGE_SIZE);
		else
			memcpy_from_page(at, bio->pages[i], 0, PAGE_SIZE);
		atomic_add(&d->written, bio->op == BIO_WRITE);
	}
	bio->end_io(bio);
}

static struct address_space *make_disk(struct test *t, struct slow_disk *d, const char *name)
{
	struct address_space *mapping = NULL;

	d->data = vmalloc(DISK_PAGES * PAGE_SIZE);
	if (d->data) {
		strscpy(d->bdev.name, name, sizeof(d->bdev.name));
		strscpy(d->bdev.role, name, sizeof(d->bdev.role));
		d->bdev.nr_sectors = DISK_PAGES * PAGE_SECTORS;
		d->bdev.submit = slow_submit;
		d->bdev.private_ = d;
		wait_queue_init(&d->wait);
		register_block_device(&d->bdev);
		mapping = bdev_mapping(&d->bdev);
	}
	CHECK(mapping);
	return mapping;
}

static u8 page_of_data[2][PAGE_SIZE];

static int write_pages(struct address_space *mapping, u8 *data, unsigned long first,
		       unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		if (kernel_file_write(mapping, data, PAGE_SIZE, (first + i) * PAGE_SIZE) !=
		    (long)PAGE_SIZE)
			return -EIO;
	return 0;
}

static struct address_space *stopped_mapping;
static s32 stopped_done;

static int write_to_stopped(void *arg)
{
	int err = write_pages(stopped_mapping, page_of_data[0], 0, 600);

	atomic_store(&stopped_done, err ? -1 : 1);
	return 0;
}

static bool stopped_is_full(void *arg)
{
	return atomic_load(&stopped_mapping->wb->nr_dirty) >= 200;
}

static bool is_done(void *arg)
{
	return atomic_load(&stopped_done);
}

static bool all_clean(void *arg)
{
	return !global_stat(NR_FILE_DIRTY) && !global_stat(NR_WRITEBACK);
}

GUEST_TEST(writeback, a_stopped_disk_does_not_stop_another, 0, 120, MEM)
{
	static struct slow_disk a, b;
	struct address_space *good = make_disk(t, &b, "ramb");
	s64 throttled = ev(MMVM_DIRTY_THROTTLED);

	stopped_mapping = make_disk(t, &a, "rama");
	REQUIRE(good && stopped_mapping);
	CHECK(good->wb != stopped_mapping->wb);
	dirty_bytes = 256 * PAGE_SIZE;
	dirty_background_bytes = 128 * PAGE_SIZE;
	a.stopped = true;
	CHECK_EQ(kthread_run(write_to_stopped, NULL, "writer"), 0);
	CHECK(wait_until(stopped_is_full, NULL, 60000));

	/* Twelve times the limit on the other disk. */
	CHECK_EQ(write_pages(good, page_of_data[1], 0, DISK_PAGES), 0);
	CHECK_EQ(write_pages(good, page_of_data[1], 0, 64), 0);
	CHECK(atomic_load(&b.written) > DISK_PAGES - 256);
	CHECK_EQ(atomic_load(&a.written), 0);
	CHECK_EQ(atomic_load(&stopped_done), 0);
	CHECK(ev(MMVM_DIRTY_THROTTLED) > throttled);
	/* The stopped disk's pages are bounded, too. */
	CHECK(atomic_load(&stopped_mapping->wb->nr_dirty) <= 256 + 16);

	a.stopped = false;
	wake_up(&a.wait);
	CHECK(wait_until(is_done, NULL, 60000));
	CHECK_EQ(stopped_done, 1);
	sync_all_mappings();
	CHECK(all_clean(NULL));
	CHECK_EQ(good->wb->nr_dirty + stopped_mapping->wb->nr_dirty, 0);
}

GUEST_TEST(writeback, a_group_has_its_own_dirty_limit, 0, 120, MEM)
{
	static struct slow_disk b;
	struct address_space *mapping = make_disk(t, &b, "ramb");
	struct mem_cgroup *a = mem_cgroup_create(&root_mem_cgroup);
	struct mm_struct *mm = testmm_create(t);
	s64 throttled = ev(MMVM_DIRTY_THROTTLED), most = 0;
	u64 background, limit;

	REQUIRE(mapping && !IS_ERR(a));
	dirty_limits(&background, &limit);
	CHECK(background > 1000); /* the machine's would let it write for long */
	WRITE_ONCE(a->memory.max, 1024);
	mem_cgroup_get(a);
	mem_cgroup_set_mm(mm, a);
	kthread_use_mm(mm);
	for (unsigned long i = 0; i < 2000; i++) {
		CHECK_EQ(write_pages(mapping, page_of_data[1], i, 1), 0);
		most = max(most, (s64)(mem_cgroup_stat(a, -1, NR_FILE_DIRTY) +
				       mem_cgroup_stat(a, -1, NR_WRITEBACK)));
	}
	/* A fifth of its 1,024 pages, and the pages between two looks. */
	CHECK(most > 50);
	CHECK(most <= 1024 / 5 + 16);
	CHECK(ev(MMVM_DIRTY_THROTTLED) > throttled);
	CHECK(atomic_load(&b.written) > 1000);
	CHECK_EQ(a->events[MEMCG_OOM], 0);
	kthread_unuse_mm();
	mmput(mm);
	sync_all_mappings();
	CHECK_EQ(mem_cgroup_stat(a, -1, NR_FILE_DIRTY), 0);
	mem_cgroup_offline(a);
	drop_pagecache();
}
