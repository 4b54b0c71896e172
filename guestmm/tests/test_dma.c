/*
 * The DMA API with a real device behind it: masks, directions, the engine's errors, and the checker
 * catching what drivers do wrong.
 */
#include "drivers/dmaengine.h"
#include "tests/tests.h"

#define MEM	  "memory=32M,high=8M" /* 16 MiB DMA, 8 MiB DMA32, 8 MiB NORMAL */
#define MEM_DEBUG "memory=32M,high=8M append=dma_debug"

#define REQUIRE_ENGINE()                                    \
	do {                                                \
		if (!dmaengine_device()) {                  \
			test_skip(t, "no DMA engine here"); \
			return;                             \
		}                                           \
	} while (0)

GUEST_TEST(dma, engine_moves_data_between_all_zones, 0, 0, MEM_DEBUG)
{
	u64 done;

	REQUIRE_ENGINE();
	done = dmaengine_completed();
	CHECK_EQ(dmaengine_self_test(), 0);
	CHECK(dmaengine_completed() - done >= 9 * 3); /* each pair under each mask, and the fill */
	CHECK_EQ(dma_debug_errors(), 0);
	CHECK_EQ(dmaengine_device()->mappings, 0);
}

GUEST_TEST(dma, coherent_memory_obeys_the_mask, 0, 0, MEM_DEBUG)
{
	static const struct {
		unsigned int bits;
		enum zone_type zone;
	} want[] = {{24, ZONE_DMA}, {32, ZONE_DMA32}, {64, ZONE_NORMAL}};
	struct device dev = {.name = "test"};
	u64 before = settled_free_pages();

	for (unsigned int i = 0; i < ARRAY_SIZE(want); i++) {
		dma_addr_t h;
		u8 *p;

		CHECK_EQ(dma_set_mask_and_coherent(&dev, DMA_BIT_MASK(want[i].bits)), 0);
		p = dma_alloc_coherent(&dev, 3 * PAGE_SIZE, &h, GFP_KERNEL);
		REQUIRE(p);
		CHECK(h + 3 * PAGE_SIZE - 1 <= DMA_BIT_MASK(want[i].bits));
		CHECK_EQ(page_zone(virt_to_page(p))->type, want[i].zone);
		CHECK_EQ(virt_to_page(p)->type, PAGE_DMA);
		for (unsigned int b = 0; b < 3 * PAGE_SIZE; b += 512)
			CHECK_EQ(p[b], 0);
		CHECK_EQ(settled_free_pages(), before - 3); /* three, not four */
		dma_free_coherent(&dev, 3 * PAGE_SIZE, p, h);
		CHECK_EQ(settled_free_pages(), before);
	}
	CHECK_EQ(dma_set_mask_and_coherent(&dev, DMA_BIT_MASK(20)), -EIO);
	CHECK_EQ(dma_debug_errors(), 0);
}

GUEST_TEST(dma, buffers_beyond_the_mask_are_refused, 0, 0, MEM)
{
	struct device dev = {.name = "test"};
	void *high = kmalloc(PAGE_SIZE, GFP_KERNEL),
	     *low = kmalloc(PAGE_SIZE, GFP_KERNEL | GFP_DMA);
	u8 on_stack[16];
	dma_addr_t h;

	REQUIRE(high && low);
	CHECK_EQ(dma_set_mask_and_coherent(&dev, DMA_BIT_MASK(24)), 0);
	CHECK_EQ(dma_map_single(&dev, high, PAGE_SIZE, DMA_TO_DEVICE), DMA_MAPPING_ERROR);
	h = dma_map_single(&dev, low, PAGE_SIZE, DMA_TO_DEVICE);
	CHECK_EQ(h, __pa(low));
	CHECK_EQ(dev.mappings, 1);
	dma_unmap_single(&dev, h, PAGE_SIZE, DMA_TO_DEVICE);
	CHECK_EQ(dev.mappings, 0);
	/* Stacks are virtually mapped: no device can follow. */
	CHECK_EQ(dma_map_single(&dev, on_stack, 16, DMA_TO_DEVICE), DMA_MAPPING_ERROR);
	CHECK_EQ(dma_map_single(&dev, low, 0, DMA_TO_DEVICE), DMA_MAPPING_ERROR);
	CHECK_EQ(dma_map_single(&dev, low, 16, DMA_NONE), DMA_MAPPING_ERROR);
	CHECK_EQ(dev.mappings, 0);
	kfree(high);
	kfree(low);
}

GUEST_TEST(dma, scatter_list_is_all_or_nothing, 0, 0, MEM)
{
	struct device dev = {.name = "test"};
	struct scatterlist sg[4];

	CHECK_EQ(dma_set_mask_and_coherent(&dev, DMA_BIT_MASK(24)), 0);
	for (int i = 0; i < 4; i++) {
		sg[i].page = alloc_page(i == 3 ? GFP_KERNEL : GFP_KERNEL | GFP_DMA);
		REQUIRE(sg[i].page);
		sg[i].offset = i * 16;
		sg[i].length = 100;
	}
	CHECK_EQ(dma_map_sg(&dev, sg, 4, DMA_FROM_DEVICE), 0); /* the last is too high */
	CHECK_EQ(dev.mappings, 0);
	CHECK_EQ(dma_map_sg(&dev, sg, 3, DMA_FROM_DEVICE), 3);
	CHECK_EQ(dev.mappings, 3);
	CHECK_EQ(sg[2].dma_address, page_to_phys(sg[2].page) + 32);
	dma_unmap_sg(&dev, sg, 3, DMA_FROM_DEVICE);
	CHECK_EQ(dev.mappings, 0);
	for (int i = 0; i < 4; i++)
		__free_page(sg[i].page);
}

GUEST_TEST(dma, engine_error_reaches_the_request, 0, 0, MEM)
{
	struct device *dev = dmaengine_device();
	u8 *a = kmalloc(512, GFP_KERNEL), *b = kmalloc(512, GFP_KERNEL);
	struct dma_request r = {.op = MMVM_DMA_COPY, .len = 512};

	REQUIRE_ENGINE();
	REQUIRE(a && b);
	memset(a, 1, 512);
	memset(b, 2, 512);
	r.src = dma_map_single(dev, a, 512, DMA_TO_DEVICE);
	r.dst = dma_map_single(dev, b, 512, DMA_FROM_DEVICE);
	dmaengine_inject(1, 0);
	CHECK_EQ(dmaengine_transfer(&r), -EIO);
	CHECK_EQ(r.status, MMVM_DMA_ERR_INJECTED);
	CHECK_EQ(b[0], 2);
	CHECK_EQ(dmaengine_transfer(&r), 0); /* and the next one works */
	CHECK_EQ(b[511], 1);
	r.dst = MMVM_RAM_LOW_MAX; /* the hole */
	CHECK_EQ(dmaengine_transfer(&r), -EIO);
	CHECK_EQ(r.status, MMVM_DMA_ERR_ADDRESS);
	r.dst = __pa(b);
	r.len = 0;
	CHECK_EQ(dmaengine_transfer(&r), -EIO);
	CHECK_EQ(r.status, MMVM_DMA_ERR_LENGTH);
	r.len = 16;
	r.op = 77;
	CHECK_EQ(dmaengine_transfer(&r), -EIO);
	CHECK_EQ(r.status, MMVM_DMA_ERR_OP);
	dma_unmap_single(dev, r.src, 512, DMA_TO_DEVICE);
	dma_unmap_single(dev, r.dst, 512, DMA_FROM_DEVICE);
	kfree(a);
	kfree(b);
}

#define NR_REQUESTS 200 /* three times the ring */
static struct dma_request request[NR_REQUESTS];
static u32 nr_completed, next_expected, out_of_order;

static void count_completion(struct dma_request *r)
{
	out_of_order += r != &request[next_expected++];
	atomic_add(&nr_completed, 1);
}

GUEST_TEST(dma, ring_wraps_and_keeps_the_order, 0, 0, MEM)
{
	struct device *dev = dmaengine_device();
	u8 *buf = kmalloc(8192, GFP_KERNEL);
	dma_addr_t h;

	REQUIRE_ENGINE();
	REQUIRE(buf);
	h = dma_map_single(dev, buf, 8192, DMA_FROM_DEVICE);
	for (int i = 0; i < NR_REQUESTS; i++) {
		request[i] = (struct dma_request){.op = MMVM_DMA_FILL,
						  .dst = h + i * 32,
						  .len = 32,
						  .pattern = 0x1000 + i,
						  .complete = count_completion};
		dmaengine_submit(&request[i]);
	}
	CHECK_EQ(dmaengine_wait(&request[NR_REQUESTS - 1]), 0);
	dma_unmap_single(dev, h, 8192, DMA_FROM_DEVICE);
	CHECK_EQ(nr_completed, NR_REQUESTS);
	CHECK_EQ(out_of_order, 0);
	for (int i = 0; i < NR_REQUESTS; i++)
		CHECK_EQ(((u64 *)buf)[i * 4 + 3], 0x1000 + i);
	kfree(buf);
}

GUEST_TEST(dma, waiter_sleeps_while_the_engine_is_slow, 0, 0, MEM)
{
	struct dma_request r = {.op = MMVM_DMA_CHECKSUM, .len = 64};
	u8 *a = kzalloc(64, GFP_KERNEL);
	u64 start;

	REQUIRE_ENGINE();
	REQUIRE(a);
	r.src = dma_map_single(dmaengine_device(), a, 64, DMA_TO_DEVICE);
	dmaengine_inject(0, 20000);
	start = ktime_ns();
	CHECK_EQ(dmaengine_transfer(&r), 0);
	CHECK(ktime_ns() - start >= 20000000);
	dmaengine_inject(0, 0);
	CHECK_EQ(r.checksum, fnv1a_64(a, 64));
	dma_unmap_single(dmaengine_device(), r.src, 64, DMA_TO_DEVICE);
	kfree(a);
}

GUEST_TEST(dma, pool_blocks_are_small_and_apart, 0, 0, MEM_DEBUG)
{
	struct device dev = {.name = "test"};
	struct dma_pool *pool;
	void *p[200];
	dma_addr_t h[200];

	CHECK_EQ(dma_set_mask_and_coherent(&dev, DMA_BIT_MASK(32)), 0);
	CHECK(!dma_pool_create("bad", &dev, 64, 3));
	CHECK(!dma_pool_create("bad", &dev, PAGE_SIZE + 1, 8));
	pool = dma_pool_create("test", &dev, 100, 64);
	REQUIRE(pool);
	for (int i = 0; i < 200; i++) {
		p[i] = dma_pool_alloc(pool, GFP_KERNEL, &h[i]);
		REQUIRE(p[i]);
		CHECK_EQ(h[i], __pa(p[i]));
		CHECK_EQ(h[i] & 63, 0);
		CHECK_EQ(h[i] >> PAGE_SHIFT, (h[i] + 99) >> PAGE_SHIFT);
		memset(p[i], i, 100);
	}
	CHECK_EQ(dma_pool_destroy(pool), -EBUSY);
	for (int i = 0; i < 200; i++) {
		CHECK_EQ(((u8 *)p[i])[99], i);
		dma_pool_free(pool, p[i], h[i]);
	}
	CHECK_EQ(dma_pool_destroy(pool), 0);
	CHECK_EQ(dma_debug_check_leaks(&dev), 0);
}

/* What the checker must find. */
struct misuse {
	struct device dev;
	u8 *buf;
	dma_addr_t h;
};

static bool misuse_start(struct test *t, struct misuse *m, enum dma_data_direction dir)
{
	*m = (struct misuse){.dev = {.name = "misused"}};
	m->buf = kzalloc(1024, GFP_KERNEL);
	CHECK(dma_debug);
	CHECK_EQ(dma_set_mask_and_coherent(&m->dev, DMA_BIT_MASK(64)), 0);
	m->h = dma_map_single(&m->dev, m->buf, 1024, dir);
	return m->buf && m->h != DMA_MAPPING_ERROR;
}

GUEST_TEST(dma_debug, double_unmap_is_found, 0, 0, MEM_DEBUG)
{
	struct misuse m;

	REQUIRE(misuse_start(t, &m, DMA_TO_DEVICE));
	dma_unmap_single(&m.dev, m.h, 1024, DMA_TO_DEVICE);
	CHECK_EQ(dma_debug_errors(), 0);
	dma_unmap_single(&m.dev, m.h, 1024, DMA_TO_DEVICE);
	CHECK_EQ(dma_debug_errors(), 1);
	CHECK_EQ(m.dev.mappings, 0); /* and not minus one */
}

GUEST_TEST(dma_debug, wrong_size_direction_and_device_are_found, 0, 0, MEM_DEBUG)
{
	struct device other = {.name = "other", .dma_mask = ~0ull};
	struct misuse m;

	REQUIRE(misuse_start(t, &m, DMA_TO_DEVICE));
	dma_unmap_single(&m.dev, m.h, 512, DMA_TO_DEVICE);
	CHECK_EQ(dma_debug_errors(), 1);
	REQUIRE(misuse_start(t, &m, DMA_TO_DEVICE));
	dma_unmap_single(&m.dev, m.h, 1024, DMA_FROM_DEVICE);
	CHECK_EQ(dma_debug_errors(), 2);
	REQUIRE(misuse_start(t, &m, DMA_TO_DEVICE));
	dma_unmap_single(&other, m.h, 1024, DMA_TO_DEVICE);
	CHECK_EQ(dma_debug_errors(), 3);
}

GUEST_TEST(dma_debug, sync_outside_a_mapping_is_found, 0, 0, MEM_DEBUG)
{
	struct misuse m;

	REQUIRE(misuse_start(t, &m, DMA_FROM_DEVICE));
	dma_sync_single_for_cpu(&m.dev, m.h + 512, 512, DMA_FROM_DEVICE);
	dma_sync_single_for_device(&m.dev, m.h, 1024, DMA_FROM_DEVICE);
	CHECK_EQ(dma_debug_errors(), 0);
	dma_sync_single_for_cpu(&m.dev, m.h + 512, 1024, DMA_FROM_DEVICE);
	CHECK_EQ(dma_debug_errors(), 1);
	dma_sync_single_for_cpu(&m.dev, m.h, 1024, DMA_TO_DEVICE);
	CHECK_EQ(dma_debug_errors(), 2);
	dma_unmap_single(&m.dev, m.h, 1024, DMA_FROM_DEVICE);
	dma_sync_single_for_cpu(&m.dev, m.h, 16, DMA_FROM_DEVICE);
	CHECK_EQ(dma_debug_errors(), 3);
}

GUEST_TEST(dma_debug, leaks_and_mixed_up_kinds_are_found, 0, 0, MEM_DEBUG)
{
	struct misuse m;
	dma_addr_t h;
	void *p;

	REQUIRE(misuse_start(t, &m, DMA_TO_DEVICE));
	p = dma_alloc_coherent(&m.dev, PAGE_SIZE, &h, GFP_KERNEL);
	REQUIRE(p);
	CHECK_EQ(dma_debug_check_leaks(&m.dev), 2);
	CHECK_EQ(dma_debug_errors(), 2);
	dma_unmap_single(&m.dev, h, PAGE_SIZE, DMA_BIDIRECTIONAL);
	CHECK_EQ(dma_debug_errors(), 3);
	CHECK_EQ(m.dev.mappings, 1); /* the coherent block was not taken for a mapping */
	dma_free_coherent(&m.dev, PAGE_SIZE, p, h);
	dma_unmap_single(&m.dev, m.h, 1024, DMA_TO_DEVICE);
	CHECK_EQ(dma_debug_check_leaks(&m.dev), 0);
	CHECK_EQ(dma_debug_errors(), 3);
}
