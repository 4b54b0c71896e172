/*
 * Fault injection with the real driver: each request to the swap disk, and each mapping of a page for it, fails
 * once. The hosted tests (tests/unit/mm_inject.c) have the other points; this one has the ring, its slots and
 * the device's mappings.
 */
#include "lib/errno.h"
#include "lib/fail.h"
#include "mm/block/bio.h"
#include "mm/dma/dma.h"
#include "mm/reclaim/lru.h"
#include "mm/slab/slab.h"
#include "mm/swap/swap.h"
#include "mm/virt/vma.h"
#include "tests/tests.h"

#define MEM   "memory=24M,high=4M swap=16M append=fault_inject dma_debug"
#define PAGES 96ul
#define MOST  1000

struct counts {
	u64 objects, free, mappings;
	s64 used_swap;
};

static bool writes_are_done(void *arg)
{
	return !global_stat(NR_WRITEBACK);
}

static struct counts count_all(struct test *t, const struct block_device *bdev)
{
	struct counts c;

	CHECK(wait_until(writes_are_done, NULL, 60000));
	lru_add_drain_all();
	purge_vmap_areas();
	c.objects = slab_objects_in_use();
	c.free = settled_free_pages();
	c.mappings = READ_ONCE(bdev->dma_dev->mappings);
	c.used_swap = (s64)(swap_total_pages() - swap_free_pages());
	return c;
}

/* Pages to the disk and back. Returns how many reads failed; each finds its page the next time. */
static u32 out_and_in(struct test *t)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = mm ? testmm_map(t, mm, PAGES * PAGE_SIZE) : 0;
	u32 failures = 0;
	u64 v;

	if (!a)
		return 0;
	testmm_fill(t, mm, a, PAGES, 3);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(do_madvise(mm, a, PAGES * PAGE_SIZE, MADV_PAGEOUT), 0);
		CHECK(wait_until(writes_are_done, NULL, 60000));
	}
	for (unsigned long i = 0; i < PAGES; i++) {
		if (!testmm_read(mm, a + i * PAGE_SIZE, &v))
			continue;
		failures++;
		CHECK_EQ(testmm_read(mm, a + i * PAGE_SIZE, &v), 0);
	}
	testmm_verify(t, mm, a, PAGES, 3);
	mmput(mm);
	return failures;
}

/* Returns how many there are. The swap code tries again, page by page, so that a read need not fail. */
static u64 sweep(struct test *t, enum fail_point point)
{
	struct block_device *bdev = find_block_device("swap");
	struct counts before, after;
	u64 k;

	if (!bdev || !bdev->dma_dev)
		return 0;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(out_and_in(t), 0);
	before = count_all(t, bdev);
	CHECK_EQ(before.mappings, 0);
	for (k = 1; k < MOST; k++) {
		u64 failed = fail_count(point);
		s64 errors = ev(MMVM_SWAP_IO_ERROR);
		u32 failures;

		CHECK(fail_nth(point, k));
		failures = out_and_in(t);
		fail_nth(point, 0);
		if (fail_count(point) == failed) {
			CHECK_EQ(failures, 0);
			break;
		}
		CHECK(ev(MMVM_SWAP_IO_ERROR) > errors);
		after = count_all(t, bdev);
		CHECK_EQ(after.objects, before.objects);
		CHECK_EQ(after.mappings, 0);
		CHECK_EQ(after.used_swap, before.used_swap);
		CHECK(after.free + 4 >=
		      before.free); /* but for what caches keep: tables, empty slabs */
	}
	CHECK(k < MOST);
	return k - 1;
}

GUEST_TEST(inject, each_mapping_for_the_disk_fails, MMVM_TESTF_LAB_ONLY, 300, MEM)
{
	CHECK(sweep(t, FAIL_DMA_MAP) >= PAGES); /* each page is mapped, out or in */
}

GUEST_TEST(inject, each_request_to_the_disk_fails, 0, 300, MEM)
{
	CHECK(sweep(t, FAIL_BIO) >= 10);
}

GUEST_TEST(inject, without_the_option_nothing_fails, 0, 0, "memory=24M,high=4M swap=16M")
{
	CHECK(!fail_nth(FAIL_BIO, 1));
	CHECK_EQ(out_and_in(t), 0);
	CHECK_EQ(fail_count(FAIL_BIO), 0);
	fail_nth(FAIL_BIO, 0);
}
