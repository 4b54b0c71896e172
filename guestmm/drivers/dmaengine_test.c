/*
 * The DMA engine's self test: move a pattern between every pair of zones with every mask that the
 * engine has, and check every byte and the checksum.
 *
 *   mask bits \ buffer in   DMA     DMA32     NORMAL
 *   24                      moved   refused   refused        refused twice: by dma_map_page(), and
 *   32                      moved   moved     refused        by the engine when it is asked anyway
 *   64                      moved   moved     moved
 *
 * A zone that this machine does not have is left out.
 */
#include "drivers/dmaengine.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/phys/zone.h"

#define TEST_LEN 256u

static const gfp_t zone_gfp[] = {[ZONE_DMA] = GFP_DMA, [ZONE_DMA32] = GFP_DMA32, [ZONE_NORMAL] = 0};
#define NR_TEST_ZONES 3

struct selftest {
	struct device *dev;
	struct page *page[2][NR_TEST_ZONES]; /* [source, destination][zone], NULL = no such zone */
	u64 seed;
};

static void fill_pattern(u8 *buf, u64 seed)
{
	for (u32 i = 0; i < TEST_LEN; i += 8) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		memcpy(buf + i, &seed, 8);
	}
}

/** The engine must refuse an address beyond its mask, even when a driver hands it one. */
static int try_forbidden(struct selftest *st, phys_addr_t src, phys_addr_t dst)
{
	struct dma_request r = {.op = MMVM_DMA_COPY, .src = src, .dst = dst, .len = TEST_LEN};

	if (dmaengine_transfer(&r) == 0 || r.status != MMVM_DMA_ERR_MASK) {
		printk("dma-engine: %lx to %lx beyond its mask gave status %u\n",
		       (unsigned long)src, (unsigned long)dst, r.status);
		return -EIO;
	}
	return 0;
}

static int try_pair(struct selftest *st, struct page *src, struct page *dst)
{
	struct dma_request r = {.op = MMVM_DMA_COPY, .len = TEST_LEN};
	u8 *from = page_address(src), *to = page_address(dst);
	u64 mask = st->dev->dma_mask;
	bool allowed = page_to_phys(src) + TEST_LEN - 1 <= mask &&
		       page_to_phys(dst) + TEST_LEN - 1 <= mask;
	int err = 0;

	fill_pattern(from, ++st->seed);
	memset(to, 0x5a, TEST_LEN);
	r.src = dma_map_page(st->dev, src, 0, TEST_LEN, DMA_TO_DEVICE);
	r.dst = dma_map_page(st->dev, dst, 0, TEST_LEN, DMA_FROM_DEVICE);
	if (allowed != (r.src != DMA_MAPPING_ERROR && r.dst != DMA_MAPPING_ERROR))
		err = -EFAULT;
	else if (allowed)
		err = dmaengine_transfer(&r);
	if (r.src != DMA_MAPPING_ERROR)
		dma_unmap_page(st->dev, r.src, TEST_LEN, DMA_TO_DEVICE);
	if (r.dst != DMA_MAPPING_ERROR)
		dma_unmap_page(st->dev, r.dst, TEST_LEN, DMA_FROM_DEVICE);
	if (err)
		return err;
	if (!allowed) {
		err = try_forbidden(st, page_to_phys(src), page_to_phys(dst));
		if (!err && to[0] != 0x5a)
			err = -EFAULT; /* the request was refused, but the data was written */
		return err;
	}
	if (memcmp(from, to, TEST_LEN) || r.checksum != fnv1a_64(from, TEST_LEN)) {
		printk("dma-engine: copy of frame %lx to %lx differs\n", page_to_pfn(src),
		       page_to_pfn(dst));
		return -EIO;
	}
	return 0;
}

/** Test filling and checksums, which use a single buffer. */
static int try_fill(struct selftest *st, struct page *page)
{
	struct dma_request r = {
		.op = MMVM_DMA_FILL, .len = TEST_LEN - 3, .pattern = 0x1122334455667788ull};
	u8 *buf = page_address(page);
	u64 sum;
	int err;

	memset(buf, 0, TEST_LEN);
	r.dst = dma_map_page(st->dev, page, 0, TEST_LEN, DMA_BIDIRECTIONAL);
	if (r.dst == DMA_MAPPING_ERROR)
		return -EFAULT;
	err = dmaengine_transfer(&r);
	sum = r.checksum;
	if (!err) {
		r.op = MMVM_DMA_CHECKSUM;
		r.src = r.dst;
		err = dmaengine_transfer(&r);
	}
	dma_unmap_page(st->dev, r.dst, TEST_LEN, DMA_BIDIRECTIONAL);
	if (err)
		return err;
	if (buf[0] != 0x88 || buf[7] != 0x11 || buf[8] != 0x88 || buf[TEST_LEN - 3] != 0 ||
	    sum != r.checksum || sum != fnv1a_64(buf, TEST_LEN - 3))
		return -EIO;
	return 0;
}

static int try_all(struct selftest *st)
{
	static const unsigned int bits[] = {24, 32, 64};

	for (unsigned int m = 0; m < ARRAY_SIZE(bits); m++) {
		int err = dmaengine_set_mask(bits[m]);

		for (int s = 0; s < NR_TEST_ZONES && !err; s++)
			for (int d = 0; d < NR_TEST_ZONES && !err; d++)
				if (st->page[0][s] && st->page[1][d])
					err = try_pair(st, st->page[0][s], st->page[1][d]);
		if (err)
			return err;
	}
	return try_fill(st, st->page[0][ZONE_DMA]);
}

int dmaengine_self_test(void)
{
	struct selftest st = {.dev = dmaengine_device(), .seed = get_random_u64()};
	int err = 0;

	if (!st.dev)
		return -ENODEV;
	for (int side = 0; side < 2; side++) {
		for (int z = 0; z < NR_TEST_ZONES; z++) {
			struct page *p = alloc_page(GFP_KERNEL | zone_gfp[z]);

			/* A zone that is absent or full is served from a lower one. */
			if (p && page_zone(p)->type != (enum zone_type)z) {
				__free_page(p);
				p = NULL;
			}
			st.page[side][z] = p;
		}
	}
	if (st.page[0][ZONE_DMA] && st.page[1][ZONE_DMA])
		err = try_all(&st);
	else
		err = -ENOMEM;
	dmaengine_set_mask(64);
	if (!err && st.dev->mappings)
		err = -EBUSY;
	for (int side = 0; side < 2; side++)
		for (int z = 0; z < NR_TEST_ZONES; z++)
			if (st.page[side][z])
				__free_page(st.page[side][z]);
	return err;
}
