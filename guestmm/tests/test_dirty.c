/*
 * Dirty bits: clearing them loses nothing, and what devices write is seen.
 *
 * What devices write is in the host's dirty log as well: the DMA engine's pages and the disk's. The
 * guest says which pages of a block it let devices write, and the VMM compares (MMVM_REC_ROUND,
 * vmm/observe/dirty_exact.c); on the way it finds any page of RAM that is in one of its witnesses'
 * books and not in the other's. User programs are compared in the same way by user/dirtyset.c.
 *
 *   page   0        1        2        3        4        5        6        7
 *          -       filled    -      filled   read     read      -      copied to
 */
#include "drivers/dmaengine.h"
#include "drivers/virtio.h"
#include "mm/block/bio.h"
#include "tests/tests.h"

#define BLOCK_ORDER 3
#define BLOCK_PAGES (1u << BLOCK_ORDER)
#define SECTOR	    80

struct arena {
	struct page *block;
	struct device *dma;
	struct block_device *disk;
	struct mmvm_round round;
	u64 written;
};

static int tell(struct arena *a, const char *phase)
{
	return testchan_call(MMVM_REC_ROUND, phase, (unsigned long)&a->round, 0, NULL, 0);
}

static int dma(struct arena *a, enum mmvm_dma_op op, unsigned int from, unsigned int to)
{
	struct page *src = a->block + from, *dst = a->block + to;
	struct dma_request r = {.op = op, .len = 64, .pattern = 0x1122334455667788};
	int err;

	r.src = dma_map_page(a->dma, src, 0, r.len, DMA_TO_DEVICE);
	r.dst = dma_map_page(a->dma, dst, 128, r.len, DMA_FROM_DEVICE);
	if (r.src == DMA_MAPPING_ERROR || r.dst == DMA_MAPPING_ERROR)
		return -ENOMEM;
	err = dmaengine_transfer(&r);
	dma_unmap_page(a->dma, r.src, r.len, DMA_TO_DEVICE);
	dma_unmap_page(a->dma, r.dst, r.len, DMA_FROM_DEVICE);
	a->written |= 1ull << to;
	return err;
}

static int disk(struct arena *a, enum bio_op op, unsigned int first, unsigned int nr)
{
	static struct bio bio;

	bio = (struct bio){.bdev = a->disk, .op = op, .sector = SECTOR, .nr_pages = nr};
	for (unsigned int i = 0; i < nr; i++)
		bio.pages[i] = a->block + first + i;
	if (op == BIO_READ)
		a->written |= ((1ull << nr) - 1) << first;
	return submit_bio_wait(&bio);
}

#define CLEAN_PAGES 24ul
#define HOLE	    5ul /* never touched */
#define ZERO	    6ul /* read only: the zero page */

/** Dirty PTEs among the pages of a mapping. */
static unsigned int nr_dirty_ptes(struct mm_struct *mm, unsigned long at)
{
	unsigned int n = 0;

	for (unsigned long i = 0; i < CLEAN_PAGES; i++)
		n += pte_dirty(testmm_pte(mm, at + i * PAGE_SIZE)) &&
		     pte_present(testmm_pte(mm, at + i * PAGE_SIZE));
	return n;
}

GUEST_TEST(dirty, cleaned_pages_keep_what_was_written, 0, 0, "memory=24M,high=4M swap=16M")
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long at = testmm_map(t, mm, CLEAN_PAGES * PAGE_SIZE), i;
	u64 v;

	REQUIRE(at);
	for (i = 0; i < CLEAN_PAGES; i++) {
		if (i == ZERO)
			CHECK_EQ(testmm_read(mm, at + i * PAGE_SIZE, &v), 0);
		else if (i != HOLE)
			CHECK_EQ(testmm_write(mm, at + i * PAGE_SIZE, word_for(i, 1)), 0);
	}
	CHECK_EQ(nr_dirty_ptes(mm, at), CLEAN_PAGES - 2);
	/* A part, then the rest: each dirty PTE is counted once. */
	CHECK_EQ(mm_clean_range(mm, at, at + 4 * PAGE_SIZE), 4);
	CHECK_EQ(nr_dirty_ptes(mm, at), CLEAN_PAGES - 6);
	CHECK_EQ(mm_clean_range(mm, 0, TASK_SIZE), CLEAN_PAGES - 6);
	CHECK_EQ(mm_clean_range(mm, 0, TASK_SIZE), 0);
	CHECK_EQ(nr_dirty_ptes(mm, at), 0);
	for (i = 0; i < CLEAN_PAGES; i++) {
		struct page *page = testmm_page(mm, at + i * PAGE_SIZE);

		if (i != HOLE && i != ZERO)
			CHECK(page && PageDirty(page));
	}
	/* Written again: dirty again, and only that one. */
	CHECK_EQ(testmm_write(mm, at, word_for(0, 2)), 0);
	CHECK_EQ(nr_dirty_ptes(mm, at), 1);
	CHECK_EQ(mm_clean_range(mm, at, at + PAGE_SIZE), 1);

	/* Reclaim must not take them for clean. */
	CHECK_EQ(do_madvise(mm, at, CLEAN_PAGES * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK(pte_is_swap(testmm_pte(mm, at)));
	for (i = 0; i < CLEAN_PAGES; i++) {
		if (i == HOLE || i == ZERO)
			continue;
		CHECK_EQ(testmm_read(mm, at + i * PAGE_SIZE, &v), 0);
		CHECK_EQ(v, word_for(i, i ? 1 : 2));
	}
	mmput(mm);
}

GUEST_TEST(dirty, devices_are_in_the_log, 0, 0, "memory=24M,high=4M swap=16M dirty=auto")
{
	static struct arena a;
	int found;

	a.dma = dmaengine_device();
	a.disk = find_block_device("swap");
	a.block = alloc_pages(GFP_KERNEL | __GFP_ZERO, BLOCK_ORDER);
	REQUIRE(a.dma && a.disk && a.block);
	CHECK_EQ(do_swapoff(a.disk), 0);
	CHECK_EQ(dmaengine_set_mask(64), 0);
	/* What the disk will give back. */
	CHECK_EQ(disk(&a, BIO_WRITE, 0, 2), 0);
	a.round = (struct mmvm_round){.number = 1,
				      .base = (unsigned long)page_address(a.block),
				      .pages = BLOCK_PAGES,
				      .written = (unsigned long)&a.written};
	CHECK_EQ(tell(&a, "device"), -EINVAL); /* no round has begun */

	a.written = 0;
	CHECK_EQ(tell(&a, "begin"), 0);
	CHECK_EQ(dma(&a, MMVM_DMA_FILL, 0, 1), 0);
	CHECK_EQ(dma(&a, MMVM_DMA_FILL, 0, 3), 0);
	CHECK_EQ(dma(&a, MMVM_DMA_COPY, 1, 7), 0);
	CHECK_EQ(disk(&a, BIO_READ, 4, 2), 0);
	CHECK_EQ(a.written, 0xba);
	CHECK_EQ(tell(&a, "device"), 0);

	/* A checksum writes nothing; a page that is claimed and was not written is found, by the log
	 * and, where it can look, by the host. */
	a.round.number = 2;
	CHECK_EQ(tell(&a, "begin"), 0);
	CHECK_EQ(disk(&a, BIO_WRITE, 4, 2), 0);
	a.written = 1;
	found = tell(&a, "device");
	CHECK(found == 1 || found == 2);

	/* And one that the CPU wrote is not a device's. */
	a.round.number = 3;
	CHECK_EQ(tell(&a, "begin"), 0);
	a.written = 0;
	*(volatile u64 *)page_address(a.block + 2) = 1;
	CHECK_EQ(tell(&a, "device"), 1);

	/* Addresses that are not there. */
	CHECK_EQ(tell(&a, "begin"), 0);
	a.round.written = 0x1000;
	CHECK_EQ(tell(&a, "device"), -EFAULT);
	CHECK_EQ(tell(&a, "begin"), 0);
	a.round.base++;
	CHECK_EQ(tell(&a, "device"), -EINVAL);
	CHECK_EQ(tell(&a, "nonsense"), -EINVAL);
	__free_pages(a.block, BLOCK_ORDER);
}
