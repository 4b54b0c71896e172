/* The disk: contents, many requests at once, the full queue, errors, discard. On the swap disk
 * after swapoff, as every test machine can have one. */
#include "drivers/virtio.h"
#include "mm/block/bio.h"
#include "mm/dma/dma.h"
#include "tests/tests.h"

#define MEM	"memory=24M,high=4M swap=16M append=dma_debug"
#define SECTORS (PAGE_SIZE / 512)

static struct block_device *take_disk(struct test *t)
{
	struct block_device *bdev = find_block_device("swap");

	if (!bdev)
		test_fail(t, __FILE__, __LINE__, "no swap disk");
	else if (do_swapoff(bdev))
		test_fail(t, __FILE__, __LINE__, "swapoff failed");
	else
		return bdev;
	return NULL;
}

static void fill(struct page *p, u64 seed)
{
	u64 *w = page_address(p);

	for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
		w[i] = word_for(i, seed);
}

static bool holds(struct page *p, u64 seed)
{
	u64 *w = page_address(p);

	for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
		if (w[i] != word_for(i, seed))
			return false;
	return true;
}

static int do_io(struct block_device *bdev, enum bio_op op, u64 sector, struct page **pages, u32 n)
{
	static struct bio bio;

	bio = (struct bio){.bdev = bdev, .op = op, .sector = sector, .nr_pages = n};
	for (u32 i = 0; i < n; i++)
		bio.pages[i] = pages[i];
	return submit_bio_wait(&bio);
}

GUEST_TEST(blk, what_was_written_is_read, 0, 0, MEM)
{
	struct block_device *bdev = take_disk(t);
	struct page *page[BIO_MAX_PAGES];

	REQUIRE(bdev);
	CHECK_EQ(bdev->nr_sectors, 16 * MIB / 512);
	CHECK(find_block_device(bdev->name) == bdev);
	for (u32 i = 0; i < BIO_MAX_PAGES; i++) {
		page[i] = alloc_page(GFP_KERNEL);
		REQUIRE(page[i]);
		fill(page[i], 100 + i);
	}
	CHECK_EQ(do_io(bdev, BIO_WRITE, 80, page, BIO_MAX_PAGES), 0);
	CHECK_EQ(do_io(bdev, BIO_FLUSH, 0, NULL, 0), 0);
	/* Backwards, one by one. */
	for (u32 i = 0; i < BIO_MAX_PAGES; i++)
		CHECK_EQ(do_io(bdev, BIO_READ, 80 + (BIO_MAX_PAGES - 1 - i) * SECTORS, &page[i], 1),
			 0);
	for (u32 i = 0; i < BIO_MAX_PAGES; i++) {
		CHECK(holds(page[i], 100 + BIO_MAX_PAGES - 1 - i));
		__free_page(page[i]);
	}
}

GUEST_TEST(blk, bad_requests_fail_at_once, 0, 0, MEM)
{
	struct block_device *bdev = take_disk(t);
	struct page *p = alloc_page(GFP_KERNEL), *many[BIO_MAX_PAGES];
	struct mmvm_disk_stats before, after;

	REQUIRE(bdev && p);
	for (u32 i = 0; i < BIO_MAX_PAGES; i++)
		many[i] = p;
	testchan_call(MMVM_REC_DISK_STATS, "swap", 0, 0, &before, sizeof(before));
	CHECK_EQ(do_io(bdev, BIO_READ, bdev->nr_sectors - SECTORS + 1, &p, 1), -EIO);
	CHECK_EQ(do_io(bdev, BIO_READ, ~0ull - 3, &p, 1), -EIO);
	CHECK_EQ(do_io(bdev, BIO_READ, 0, many, 0), -EINVAL);
	testchan_call(MMVM_REC_DISK_STATS, "swap", 0, 0, &after, sizeof(after));
	CHECK_EQ(after.reads, before.reads); /* none of them left the guest */
	CHECK_EQ(do_io(bdev, BIO_READ, bdev->nr_sectors - SECTORS, &p, 1), 0);
	__free_page(p);
}

/* A file system's blocks may be smaller than pages: a piece moves, its neighbours do not. */
GUEST_TEST(blk, part_of_a_page_moves_alone, 0, 0, MEM)
{
	struct block_device *bdev = take_disk(t);
	struct page *p = alloc_page(GFP_KERNEL), *q = alloc_page(GFP_KERNEL);
	struct bio bio;

	REQUIRE(bdev && p && q);
	fill(p, 1);
	CHECK_EQ(do_io(bdev, BIO_WRITE, 80, &p, 1), 0);
	fill(p, 2);
	bio = (struct bio){.bdev = bdev, .op = BIO_WRITE, .sector = 82, .nr_pages = 1};
	bio.pages[0] = p;
	bio.offset = 1024;
	bio.len = 512;
	CHECK_EQ(submit_bio_wait(&bio), 0);
	CHECK_EQ(do_io(bdev, BIO_READ, 80, &q, 1), 0);
	fill(p, 1);
	CHECK(!memcmp(page_address(q), page_address(p), 1024));
	CHECK(!memcmp(page_address(q) + 1536, page_address(p) + 1536, PAGE_SIZE - 1536));
	fill(p, 2);
	CHECK(!memcmp(page_address(q) + 1024, page_address(p) + 1024, 512));
	/* And back into the middle of a page. */
	bio.op = BIO_READ;
	bio.pages[0] = p;
	bio.sector = 80;
	bio.offset = 512;
	bio.len = 1024;
	fill(p, 3);
	CHECK_EQ(submit_bio_wait(&bio), 0);
	CHECK(!memcmp(page_address(p) + 512, page_address(q), 1024));
	fill(q, 3);
	CHECK(!memcmp(page_address(p), page_address(q), 512));
	CHECK(!memcmp(page_address(p) + 1536, page_address(q) + 1536, PAGE_SIZE - 1536));
	/* What is no piece of one page. */
	bio.len = 513;
	CHECK_EQ(submit_bio_wait(&bio), -EINVAL);
	bio.offset = 3584;
	bio.len = 1024;
	CHECK_EQ(submit_bio_wait(&bio), -EINVAL);
	__free_page(p);
	__free_page(q);
}

#define NR_BIOS 150 /* more than the queue holds */
static struct bio bios[NR_BIOS];
static u32 nr_ended; /* atomic */

static void count_end(struct bio *bio)
{
	bio->private_ = (void *)((unsigned long)bio->private_ + 1);
	atomic_add(&nr_ended, 1);
}

static bool all_ended(void *arg)
{
	return atomic_load(&nr_ended) == NR_BIOS;
}

GUEST_TEST(blk, more_requests_than_the_queue_holds, 0, 120, MEM)
{
	struct block_device *bdev = take_disk(t);
	struct virtio_blk_counts before, after;
	unsigned long flags;

	REQUIRE(bdev);
	virtio_blk_get_counts(bdev, &before);
	for (int pass = 0; pass < 2; pass++) {
		nr_ended = 0;
		for (int i = 0; i < NR_BIOS; i++) {
			struct page *p = pass ? bios[i].pages[0] : alloc_page(GFP_KERNEL);

			REQUIRE(p);
			if (pass)
				memset(page_address(p), 0, PAGE_SIZE);
			else
				fill(p, i);
			bios[i] = (struct bio){.bdev = bdev,
					       .op = pass ? BIO_READ : BIO_WRITE,
					       .sector = (i * 37 % NR_BIOS) * SECTORS,
					       .nr_pages = 1,
					       .pages = {p},
					       .end_io = count_end};
		}
		/* With interrupts off no write is completed, so the queue fills for certain. */
		flags = arch_irq_save();
		for (int i = 0; i < NR_BIOS; i++)
			submit_bio(&bios[i]);
		arch_irq_restore(flags);
		CHECK(wait_until(all_ended, NULL, 20000));
		for (int i = 0; i < NR_BIOS; i++) {
			CHECK_EQ(bios[i].status, 0);
			CHECK_EQ((unsigned long)bios[i].private_, 1); /* exactly once */
		}
	}
	for (int i = 0; i < NR_BIOS; i++) {
		CHECK(holds(bios[i].pages[0], i));
		__free_page(bios[i].pages[0]);
	}
	virtio_blk_get_counts(bdev, &after);
	CHECK(after.queue_full > before.queue_full);
	CHECK(after.interrupts > before.interrupts);
	CHECK(dma_debug);
	CHECK_EQ(dma_debug_errors(), 0);
}

GUEST_TEST(blk, reads_are_polled_and_writes_interrupt, 0, 0, MEM)
{
	struct block_device *bdev = take_disk(t);
	struct page *p = alloc_page(GFP_KERNEL);
	struct virtio_blk_counts before, after;

	REQUIRE(bdev && p);
	virtio_blk_get_counts(bdev, &before);
	fill(p, 1);
	for (int i = 0; i < 50; i++)
		CHECK_EQ(do_io(bdev, BIO_WRITE, i * SECTORS, &p, 1), 0);
	virtio_blk_get_counts(bdev, &after);
	CHECK(after.interrupts - before.interrupts >= 50);
	CHECK_EQ(after.polled, before.polled);
	before = after;
	for (int i = 0; i < 50; i++)
		CHECK_EQ(do_io(bdev, BIO_READ, i * SECTORS, &p, 1), 0);
	virtio_blk_get_counts(bdev, &after);
	/* On a busy host some reads take longer than we look, and then interrupt. */
	CHECK(after.polled - before.polled + after.interrupts - before.interrupts >= 50);
	CHECK(after.polled > before.polled);
	CHECK(holds(p, 1));
	__free_page(p);
}

GUEST_TEST(blk, disk_error_fails_its_request_only, 0, 0, MEM)
{
	struct block_device *bdev = take_disk(t);
	struct page *p = alloc_page(GFP_KERNEL);

	REQUIRE(bdev && p);
	fill(p, 1);
	CHECK_EQ(do_io(bdev, BIO_WRITE, 0, &p, 1), 0);
	CHECK_EQ(testchan_call(MMVM_REC_HOSTFAULT, "swap", 2, 1, NULL, 0), 0);
	CHECK_EQ(do_io(bdev, BIO_READ, 0, &p, 1), 0);
	CHECK_EQ(do_io(bdev, BIO_READ, 0, &p, 1), -EIO);
	CHECK_EQ(do_io(bdev, BIO_READ, 0, &p, 1), 0);
	CHECK(holds(p, 1));
	__free_page(p);
}

GUEST_TEST(blk, discard_and_write_zeroes_clear, 0, 0, MEM)
{
	static const enum bio_op ops[] = {BIO_WRITE_ZEROES, BIO_DISCARD};
	struct block_device *bdev = take_disk(t);
	struct page *p = alloc_page(GFP_KERNEL);

	REQUIRE(bdev && p);
	REQUIRE(bdev->has_write_zeroes && bdev->has_discard);
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		struct bio bio = {.bdev = bdev, .op = ops[i], .sector = 8, .nr_sectors = 16};

		for (u64 s = 0; s < 32; s += SECTORS) {
			fill(p, s + 1);
			CHECK_EQ(do_io(bdev, BIO_WRITE, s, &p, 1), 0);
		}
		CHECK_EQ(submit_bio_wait(&bio), 0);
		for (u64 s = 0; s < 32; s += SECTORS) {
			CHECK_EQ(do_io(bdev, BIO_READ, s, &p, 1), 0);
			if (s == 8 || s == 16)
				CHECK_EQ(*(u64 *)page_address(p), 0);
			else
				CHECK(holds(p, s + 1));
		}
	}
	__free_page(p);
}

/* The device takes 16 MiB of them in one request: the driver sends the rest after it. */
GUEST_TEST(blk, a_discard_larger_than_a_request_is_cut, 0, 0, "memory=24M,high=4M swap=40M")
{
	static const enum bio_op ops[] = {BIO_WRITE_ZEROES, BIO_DISCARD};
	/* The first page, both sides of the cut, the last page, and the first one that stays. */
	static const u64 at[] = {0, 32768 - SECTORS, 32768, 40960 - SECTORS, 40960};
	struct block_device *bdev = take_disk(t);
	struct page *p = alloc_page(GFP_KERNEL);

	REQUIRE(bdev && p);
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		struct bio bio = {.bdev = bdev, .op = ops[i], .sector = 0, .nr_sectors = 40960};

		for (unsigned int k = 0; k < ARRAY_SIZE(at); k++) {
			fill(p, at[k] + 1);
			CHECK_EQ(do_io(bdev, BIO_WRITE, at[k], &p, 1), 0);
		}
		CHECK_EQ(submit_bio_wait(&bio), 0);
		for (unsigned int k = 0; k < ARRAY_SIZE(at); k++) {
			CHECK_EQ(do_io(bdev, BIO_READ, at[k], &p, 1), 0);
			if (at[k] < 40960)
				CHECK_EQ(*(u64 *)page_address(p), 0);
			else
				CHECK(holds(p, at[k] + 1));
		}
	}
	__free_page(p);
}

static bool some_ended(void *arg)
{
	return atomic_load(&nr_ended) == (u32)(unsigned long)arg;
}

GUEST_TEST(blk, device_that_gives_up_fails_everything_once, 0, 0, MEM)
{
	struct block_device *bdev = take_disk(t);
	struct page *p = alloc_page(GFP_KERNEL);
	/* A frame that is no RAM: the device can only refuse the whole queue. */
	struct page *nowhere = pfn_to_page(MMVM_RAM_LOW_MAX >> PAGE_SHIFT);

	REQUIRE(bdev && p);
	for (int i = 0; i < 100; i++) {
		bios[i] = (struct bio){.bdev = bdev,
				       .op = BIO_READ,
				       .sector = i * SECTORS,
				       .nr_pages = 1,
				       .pages = {i == 20 ? nowhere : p},
				       .end_io = count_end};
		submit_bio(&bios[i]);
	}
	CHECK(wait_until(some_ended, (void *)100ul, 5000));
	for (int i = 0; i < 100; i++)
		CHECK_EQ((unsigned long)bios[i].private_, 1);
	CHECK_EQ(bios[20].status, -EIO);
	CHECK_EQ(bios[99].status, -EIO); /* waited for a slot, and was failed with the rest */
	CHECK_EQ(do_io(bdev, BIO_READ, 0, &p, 1), -EIO);
	CHECK_EQ(dma_debug_errors(), 0); /* everything was unmapped, once */
	__free_page(p);
}
