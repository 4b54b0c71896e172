/*
 * The DMA API on the host: masks and zones, all-or-nothing lists, pools, the checker's findings;
 * and what submit_bio refuses before a driver sees it.
 */
#include "unit.h"
#include <string.h>
#include "host.h"
#include "lib/errno.h"
#include "mm/phys/alloc.h"
#include "mm/block/bio.h"
#include "mm/dma/dma.h"
#include "mm/slab/slab.h"
#include "mm/phys/zone.h"

static struct device *new_device(unsigned int bits)
{
	static struct device dev;

	dev = (struct device){.name = "unit"};
	CU_ASSERT_EQUAL(dma_set_mask_and_coherent(&dev, DMA_BIT_MASK(bits)), 0);
	return &dev;
}

static void masks_choose_zones(void)
{
	static const struct {
		unsigned int bits;
		enum zone_type zone;
	} want[] = {{24, ZONE_DMA},
		    {28, ZONE_DMA},
		    {32, ZONE_DMA32},
		    {40, ZONE_NORMAL},
		    {64, ZONE_NORMAL}};

	for (unsigned int i = 0; i < ARRAY_SIZE(want); i++) {
		struct device *dev = new_device(want[i].bits);
		dma_addr_t h;
		void *p = dma_alloc_coherent(dev, PAGE_SIZE, &h, GFP_KERNEL);

		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_EQUAL(page_zone(virt_to_page(p))->type, want[i].zone);
		CU_ASSERT_EQUAL(h, __pa(p));
		dma_free_coherent(dev, PAGE_SIZE, p, h);
	}
	struct device tiny = {.name = "tiny"};
	CU_ASSERT_EQUAL(dma_set_mask_and_coherent(&tiny, DMA_BIT_MASK(16)), -EIO);
}

static void coherent_blocks_cost_their_pages_only(void)
{
	struct device *dev = new_device(64);
	u64 before;

	drain_all_pages();
	before = nr_free_pages();
	for (size_t pages = 1; pages <= 20; pages++) {
		dma_addr_t h;
		u8 *p = dma_alloc_coherent(dev, pages * PAGE_SIZE - 1, &h, GFP_KERNEL);

		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_EQUAL(p[0] | p[pages * PAGE_SIZE - 2], 0);
		memset(p, 0xff, pages * PAGE_SIZE - 1);
		drain_all_pages();
		CU_ASSERT_EQUAL(nr_free_pages(), before - pages);
		dma_free_coherent(dev, pages * PAGE_SIZE - 1, p, h);
		drain_all_pages();
		CU_ASSERT_EQUAL(nr_free_pages(), before);
	}
	CU_ASSERT_PTR_NULL(dma_alloc_coherent(dev, 0, &(dma_addr_t){0}, GFP_KERNEL));
	CU_ASSERT_PTR_NULL(dma_alloc_coherent(dev, 64ul << 20, &(dma_addr_t){0}, GFP_KERNEL));
}

static void mapping_checks_mask_and_kind(void)
{
	struct device *dev = new_device(24);
	void *high = kmalloc(256, GFP_KERNEL), *low = kmalloc(256, GFP_KERNEL | GFP_DMA);
	struct page *p = alloc_page(GFP_KERNEL | GFP_DMA);
	int on_stack = 0;
	dma_addr_t h;

	CU_ASSERT_EQUAL(dma_map_single(dev, high, 256, DMA_TO_DEVICE), DMA_MAPPING_ERROR);
	CU_ASSERT_EQUAL(dma_map_single(dev, &on_stack, 4, DMA_TO_DEVICE), DMA_MAPPING_ERROR);
	CU_ASSERT_EQUAL(dma_map_single(dev, low, 0, DMA_TO_DEVICE), DMA_MAPPING_ERROR);
	CU_ASSERT_EQUAL(dma_map_page(dev, p, 0, 16, DMA_NONE), DMA_MAPPING_ERROR);
	h = dma_map_single(dev, low, 256, DMA_TO_DEVICE);
	CU_ASSERT_EQUAL(h, __pa(low));
	CU_ASSERT_EQUAL(dma_map_page(dev, p, 100, 16, DMA_TO_DEVICE), page_to_phys(p) + 100);
	CU_ASSERT_EQUAL(dev->mappings, 2);
	dma_unmap_single(dev, h, 256, DMA_TO_DEVICE);
	dma_unmap_page(dev, page_to_phys(p) + 100, 16, DMA_TO_DEVICE);
	CU_ASSERT_EQUAL(dev->mappings, 0);
	__free_page(p);
	kfree(high);
	kfree(low);
}

static void last_byte_counts(void)
{
	struct device *dev = new_device(64);
	struct page *p = alloc_pages(GFP_KERNEL | GFP_DMA, 1);

	/* A mask that ends in the middle of the second page. */
	dev->dma_mask = page_to_phys(p) + PAGE_SIZE + 99;
	CU_ASSERT_EQUAL(dma_map_page(dev, p, PAGE_SIZE, 101, DMA_TO_DEVICE), DMA_MAPPING_ERROR);
	CU_ASSERT_EQUAL(dma_map_page(dev, p, PAGE_SIZE, 100, DMA_TO_DEVICE),
			page_to_phys(p) + PAGE_SIZE);
	dma_unmap_page(dev, page_to_phys(p) + PAGE_SIZE, 100, DMA_TO_DEVICE);
	__free_pages(p, 1);
}

static void lists_are_all_or_nothing(void)
{
	struct device *dev = new_device(24);
	struct scatterlist sg[3];

	for (int i = 0; i < 3; i++)
		sg[i] = (struct scatterlist){alloc_page(GFP_KERNEL | (i == 2 ? 0 : GFP_DMA)), 8, 64,
					     0};
	CU_ASSERT_EQUAL(dma_map_sg(dev, sg, 3, DMA_TO_DEVICE), 0);
	CU_ASSERT_EQUAL(dev->mappings, 0);
	CU_ASSERT_EQUAL(dma_map_sg(dev, sg, 2, DMA_TO_DEVICE), 2);
	CU_ASSERT_EQUAL(dev->mappings, 2);
	dma_unmap_sg(dev, sg, 2, DMA_TO_DEVICE);
	CU_ASSERT_EQUAL(dev->mappings, 0);
	for (int i = 0; i < 3; i++)
		__free_page(sg[i].page);
}

static void pool_overflowed(void *arg)
{
	dma_addr_t h;
	struct dma_pool *pool = dma_pool_create("unit", new_device(64), 64, 64);
	u8 *p = dma_pool_alloc(pool, GFP_KERNEL, &h);

	dma_pool_free(pool, p, h);
	memset(p, 0x41, 8); /* a device that still writes */
	dma_pool_alloc(pool, GFP_KERNEL, &h);
}

static void pool_foreign(void *arg)
{
	static u8 block[64];

	dma_pool_free(dma_pool_create("unit", new_device(64), 64, 64), block, 0);
}

static void pools(void)
{
	struct dma_pool *pool = dma_pool_create("unit", new_device(64), 600, 16);
	void *p[20];
	dma_addr_t h[20];

	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	for (int i = 0; i < 20; i++) {
		p[i] = dma_pool_alloc(pool, GFP_KERNEL, &h[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p[i]);
		CU_ASSERT_EQUAL(h[i], __pa(p[i]));
		CU_ASSERT_EQUAL(h[i] / PAGE_SIZE, (h[i] + 599) / PAGE_SIZE);
		memset(p[i], i, 600);
	}
	for (int i = 0; i < 20; i++)
		CU_ASSERT(((u8 *)p[i])[0] == i && ((u8 *)p[i])[599] == i);
	CU_ASSERT_EQUAL(dma_pool_destroy(pool), -EBUSY);
	for (int i = 0; i < 20; i++)
		dma_pool_free(pool, p[i], h[i]);
	CU_ASSERT_EQUAL(dma_pool_destroy(pool), 0);
	CU_ASSERT_PTR_NULL(dma_pool_create("bad", new_device(64), 0, 8));
	CU_ASSERT_PTR_NULL(dma_pool_create("bad", new_device(64), 64, 24));
	CU_ASSERT_PTR_NULL(dma_pool_create("bad", new_device(64), PAGE_SIZE + 8, 8));
	CU_ASSERT_TRUE(host_panics(pool_overflowed, NULL, "DP1"));
	CU_ASSERT_TRUE(host_panics(pool_foreign, NULL, "not of this pool"));
}

/* From here on with the checker. */
static void checker_random_good_use_is_silent(void)
{
	struct device *dev = new_device(64);
	static u8 *buf[64];
	static dma_addr_t h[64];
	u64 errors, live = 0;

	CU_ASSERT_EQUAL(dma_debug_init(), 0);
	errors = dma_debug_errors();
	for (int i = 0; i < 64; i++)
		buf[i] = kmalloc(300, GFP_KERNEL);
	for (int op = 0; op < 100000; op++) {
		int i = get_random_u64() % 64;
		enum dma_data_direction dir = i % 3;

		if (h[i]) {
			if (op % 5 == 0)
				dma_sync_single_for_cpu(dev, h[i] + i, 100, dir);
			dma_unmap_single(dev, h[i], 200 + i, dir);
			h[i] = 0;
			live--;
		} else {
			h[i] = dma_map_single(dev, buf[i], 200 + i, dir);
			live++;
		}
		if (op % 4096 == 0)
			CU_ASSERT_EQUAL(dma_debug_check_leaks(dev), live);
	}
	/* The look for leaks above counted what was live as errors; nothing else was wrong. */
	errors = dma_debug_errors();
	for (int i = 0; i < 64; i++) {
		if (h[i])
			dma_unmap_single(dev, h[i], 200 + i, i % 3);
		kfree(buf[i]);
	}
	CU_ASSERT_EQUAL(dma_debug_errors(), errors);
	CU_ASSERT_EQUAL(dma_debug_check_leaks(dev), 0);
	CU_ASSERT_EQUAL(dev->mappings, 0);
}

static void checker_names_each_misuse(void)
{
	struct device *dev = new_device(64), other = {.name = "other", .dma_mask = ~0ull};
	void *buf = kmalloc(512, GFP_KERNEL), *block;
	dma_addr_t h, c;
	u64 e;

#define EXPECT_ONE(call, text)                                    \
	do {                                                      \
		e = dma_debug_errors();                           \
		host_log_clear();                                 \
		call;                                             \
		CU_ASSERT_EQUAL(dma_debug_errors(), e + 1);       \
		CU_ASSERT_PTR_NOT_NULL(strstr(host_log(), text)); \
	} while (0)
	h = dma_map_single(dev, buf, 512, DMA_TO_DEVICE);
	EXPECT_ONE(dma_unmap_single(dev, h, 256, DMA_TO_DEVICE), "another size");
	EXPECT_ONE(dma_unmap_single(dev, h, 512, DMA_TO_DEVICE), "not mapped");
	h = dma_map_single(dev, buf, 512, DMA_TO_DEVICE);
	EXPECT_ONE(dma_unmap_single(dev, h, 512, DMA_FROM_DEVICE), "another direction");
	h = dma_map_single(dev, buf, 512, DMA_TO_DEVICE);
	EXPECT_ONE(dma_sync_single_for_cpu(dev, h + 256, 512, DMA_TO_DEVICE), "beyond the mapping");
	EXPECT_ONE(dma_unmap_single(&other, h, 512, DMA_TO_DEVICE), "another device");
	block = dma_alloc_coherent(dev, PAGE_SIZE, &c, GFP_KERNEL);
	EXPECT_ONE(dma_unmap_single(dev, c, PAGE_SIZE, DMA_BIDIRECTIONAL), "coherent memory");
	/* Freed by a wrong size: told, and not done. */
	e = dma_debug_errors();
	dma_free_coherent(dev, 2 * PAGE_SIZE, block, c);
	CU_ASSERT_EQUAL(dma_debug_errors(), e + 1);
	CU_ASSERT_EQUAL(virt_to_page(block)->refcount, 1);
	__free_page(virt_to_page(block));
	EXPECT_ONE(dma_map_single(dev, &e, 8, DMA_TO_DEVICE), "cannot be mapped");
	/* The first of each kind is printed, the second is counted only. */
	host_log_clear();
	e = dma_debug_errors();
	dma_unmap_single(dev, 0x1000, 512, DMA_TO_DEVICE);
	CU_ASSERT_EQUAL(dma_debug_errors(), e + 1);
	CU_ASSERT_PTR_NULL(strstr(host_log(), "DMA-API"));
	kfree(buf);
}

static int ended_status;
static unsigned int nr_ended;
static void note_end(struct bio *bio)
{
	ended_status = bio->status;
	nr_ended++;
}

static void bios_are_checked_before_the_driver(void)
{
	struct host_disk *d = host_disk_create("swap", 1 << 20);
	struct page *p = alloc_page(GFP_KERNEL);
	const u64 sectors = (1 << 20) / 512;
	const struct {
		struct bio bio;
		int status;
	} cases[] = {
		{{.op = BIO_READ, .sector = 0, .nr_pages = 0}, -EINVAL},
		{{.op = BIO_READ, .sector = 0, .nr_pages = BIO_MAX_PAGES + 1}, -EINVAL},
		{{.op = BIO_READ, .sector = sectors - 7, .nr_pages = 1}, -EIO},
		{{.op = BIO_READ, .sector = sectors, .nr_pages = 1}, -EIO},
		{{.op = BIO_WRITE, .sector = ~0ull - 7, .nr_pages = 1}, -EIO},
		{{.op = (enum bio_op)77, .sector = 0, .nr_pages = 1}, -EINVAL},
		{{.op = BIO_READ, .sector = sectors - 8, .nr_pages = 1}, 0},
	};

	CU_ASSERT_PTR_EQUAL(find_block_device("swap"), &d->bdev);
	CU_ASSERT_PTR_NULL(find_block_device("disk9"));
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bio bio = cases[i].bio;
		u64 reads = d->nr_reads + d->nr_writes;

		bio.bdev = &d->bdev;
		bio.pages[0] = p;
		bio.end_io = note_end;
		nr_ended = 0;
		submit_bio(&bio);
		CU_ASSERT_EQUAL(nr_ended, 1);
		CU_ASSERT_EQUAL(ended_status, cases[i].status);
		CU_ASSERT_EQUAL(d->nr_reads + d->nr_writes - reads, cases[i].status == 0);
	}
	__free_page(p);
}

static void waiting_for_a_slow_disk(void)
{
	struct block_device *bdev = find_block_device("swap");
	struct host_disk *d = container_of(bdev, struct host_disk, bdev);
	struct page *p = alloc_page(GFP_KERNEL);
	struct bio bio = {.bdev = bdev, .op = BIO_WRITE, .sector = 16, .nr_pages = 1, .pages = {p}};

	d->deferred = true;
	memset(page_address(p), 0x77, PAGE_SIZE);
	CU_ASSERT_EQUAL(submit_bio_wait(&bio), 0);
	CU_ASSERT_EQUAL(d->data[16 * 512 + 4095], 0x77);
	d->fail_at = 1;
	bio.op = BIO_READ;
	CU_ASSERT_EQUAL(submit_bio_wait(&bio), -EIO);
	d->deferred = false;
	__free_page(p);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"masks choose zones", masks_choose_zones},
		{"coherent blocks cost their pages only", coherent_blocks_cost_their_pages_only},
		{"mapping checks mask and kind", mapping_checks_mask_and_kind},
		{"the last byte counts", last_byte_counts},
		{"lists are all or nothing", lists_are_all_or_nothing},
		{"pools", pools},
		{"checker: good use is silent", checker_random_good_use_is_silent},
		{"checker: each misuse is named", checker_names_each_misuse},
		{"bios are checked before the driver", bios_are_checked_before_the_driver},
		{"waiting for a slow disk", waiting_for_a_slow_disk},
	};

	host_boot_default("");
	return unit_run("dma and bio", cases, sizeof(cases) / sizeof(cases[0]));
}
