/*
 * Bounce buffers, with the DMA engine behind a mask of 24 bits: what it reads and writes are pages above
 * 4 GiB, which it cannot reach. Each direction is proved by the contents.
 */
#include "drivers/dmaengine.h"
#include "mm/dma/swiotlb.h"
#include "tests/tests.h"

#define MEM	"memory=32M,high=8M append=swiotlb=128 dma_debug"
#define PLANTED MMVM_TESTF_EXPECT_AUDIT
#define LEN	3000u

static struct page *high_page(void)
{
	struct page *p = alloc_page(GFP_KERNEL);

	return p && page_zone(p)->type == ZONE_NORMAL ? p : NULL;
}

static void fill(u8 *at, unsigned int seed)
{
	for (unsigned int i = 0; i < LEN; i++)
		at[i] = (u8)(i * 7 + seed);
}

static bool is_filled(const u8 *at, unsigned int seed)
{
	for (unsigned int i = 0; i < LEN; i++)
		if (at[i] != (u8)(i * 7 + seed))
			return false;
	return true;
}

GUEST_TEST(swiotlb, each_direction_bounces, 0, 0, MEM)
{
	struct device *dev = dmaengine_device();
	struct page *from = high_page(), *to = high_page();
	struct dma_request r = {.op = MMVM_DMA_COPY, .len = LEN};
	u8 *src, *dst;

	if (!dev) {
		test_skip(t, "no DMA engine here");
		return;
	}
	REQUIRE(from && to);
	src = page_address(from);
	dst = page_address(to);
	CHECK_EQ(dmaengine_set_mask(24), 0);
	CHECK_EQ(swiotlb_nr_slots(), 128);
	fill(src, 1);
	memset(dst, 0x5a, LEN);

	/* To the device, and from it. */
	r.src = dma_map_page(dev, from, 0, LEN, DMA_TO_DEVICE);
	r.dst = dma_map_page(dev, to, 0, LEN, DMA_FROM_DEVICE);
	REQUIRE(r.src != DMA_MAPPING_ERROR && r.dst != DMA_MAPPING_ERROR);
	CHECK(is_swiotlb_addr(r.src) && is_swiotlb_addr(r.dst));
	CHECK(r.src + LEN <= 16 * MIB && r.dst + LEN <= 16 * MIB);
	CHECK_EQ(swiotlb_used(), 4); /* two slots each */
	CHECK_EQ(dmaengine_transfer(&r), 0);
	CHECK_EQ(dst[0], 0x5a); /* not yet */
	dma_sync_single_for_cpu(dev, r.dst, LEN, DMA_FROM_DEVICE);
	CHECK(is_filled(dst, 1));

	/* The CPU writes again and gives it to the device. */
	fill(src, 2);
	CHECK_EQ(dmaengine_transfer(&r), 0);
	dma_sync_single_for_cpu(dev, r.dst, LEN, DMA_FROM_DEVICE);
	CHECK(is_filled(dst, 1)); /* the device has not seen it */
	dma_sync_single_for_device(dev, r.src, LEN, DMA_TO_DEVICE);
	CHECK_EQ(dmaengine_transfer(&r), 0);
	dma_unmap_page(dev, r.dst, LEN, DMA_FROM_DEVICE);
	CHECK(is_filled(dst, 2)); /* by unmap */
	CHECK_EQ(dst[LEN], 0);	  /* and no further */

	/* What only the device reads is not copied back. */
	memset(src, 0x77, LEN);
	dma_unmap_page(dev, r.src, LEN, DMA_TO_DEVICE);
	CHECK_EQ(src[5], 0x77);
	CHECK_EQ(swiotlb_used(), 0);
	CHECK_EQ(swiotlb_used_hiwater(), 4);

	/* Both ways in one mapping. */
	r.op = MMVM_DMA_FILL;
	r.pattern = 0x1122334455667788ull;
	r.dst = dma_map_page(dev, to, 0, LEN, DMA_BIDIRECTIONAL);
	REQUIRE(r.dst != DMA_MAPPING_ERROR);
	r.len = 8; /* of the rest what was there comes back */
	CHECK_EQ(dmaengine_transfer(&r), 0);
	dma_unmap_page(dev, r.dst, LEN, DMA_BIDIRECTIONAL);
	CHECK_EQ(dst[0], 0x88);
	CHECK_EQ(dst[9], (u8)(9 * 7 + 2));
	CHECK_EQ(dev->mappings, 0);
	CHECK_EQ(dma_debug_errors(), 0);
	CHECK_EQ(dmaengine_set_mask(64), 0);
	__free_page(from);
	__free_page(to);
}

GUEST_TEST(swiotlb, a_full_pool_is_an_error, 0, 0, MEM)
{
	struct device dev = {.name = "narrow"};
	struct page *p = high_page();
	dma_addr_t h[65];

	REQUIRE(p);
	CHECK_EQ(dma_set_mask_and_coherent(&dev, DMA_BIT_MASK(24)), 0);
	for (unsigned int i = 0; i < 64; i++) {
		h[i] = dma_map_page(&dev, p, 0, PAGE_SIZE, DMA_TO_DEVICE);
		CHECK(h[i] != DMA_MAPPING_ERROR);
	}
	CHECK_EQ(swiotlb_used(), 128);
	CHECK_EQ(dma_map_page(&dev, p, 0, PAGE_SIZE, DMA_TO_DEVICE), DMA_MAPPING_ERROR);
	CHECK_EQ(dma_map_page(&dev, p, 0, 8, DMA_TO_DEVICE), DMA_MAPPING_ERROR);
	CHECK_EQ(dev.mappings, 64);
	test_expect_words(t, "narrow: swiotlb buffer is full (sz: 4096 bytes), total 128 (slots)");
	dma_unmap_page(&dev, h[10], PAGE_SIZE, DMA_TO_DEVICE);
	h[10] = dma_map_page(&dev, p, 0, PAGE_SIZE, DMA_TO_DEVICE);
	CHECK(h[10] != DMA_MAPPING_ERROR);
	for (unsigned int i = 0; i < 64; i++)
		dma_unmap_page(&dev, h[i], PAGE_SIZE, DMA_TO_DEVICE);
	CHECK_EQ(swiotlb_used(), 0);
	CHECK_EQ(dma_debug_errors(), 0);
	__free_page(p);
}

GUEST_TEST(swiotlb, planted_leak, PLANTED, 0, MEM)
{
	struct device dev = {.name = "forgetful"};
	struct page *p = high_page();

	REQUIRE(p);
	CHECK_EQ(dma_set_mask_and_coherent(&dev, DMA_BIT_MASK(24)), 0);
	CHECK(dma_map_page(&dev, p, 0, PAGE_SIZE, DMA_TO_DEVICE) != DMA_MAPPING_ERROR);
	__free_page(p);
	test_expect_audit(t, "bounce");
}

GUEST_TEST(swiotlb, bad_options_are_one_line, 0, 0, "memory=32M,high=8M append=swiotlb=force")
{
	CHECK_EQ(swiotlb_nr_slots(), 0);
	test_expect_words(t, "swiotlb=force: not a number of slots of 2 KiB, ignored");
}
