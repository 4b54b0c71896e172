/*
 * The source of random bytes: they come from the seed, in order, no more than asked for, and only into
 * buffers that may be written.
 */
#include "vmm_virtqueue_driver.h"
#include "../host/unit.h"

#define DATA 0xa0000ull

static struct rig rig;
static struct device *dev;
static struct drv_queue q;

static void start(uint64_t seed)
{
	struct virtio_rng_params params = {.seed = seed, .no_worker = true};
	struct device_env env;

	rig_init(&rig);
	env = rig_env(&rig, "rng");
	dev = virtio_rng_create(&env, &params);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev);
	drv_start(&q, &rig, dev, 16, 0);
}

static void stop(void)
{
	dev->model->destroy(dev);
	rig_exit(&rig);
}

/* One buffer. Returns the bytes that came, or -1. */
static int64_t get(uint64_t gpa, uint32_t len, uint16_t flags)
{
	uint32_t got;

	drv_desc(&q, 0, gpa, len, flags, 0);
	drv_avail(&q, 0);
	virtio_rng_poll(dev);
	return drv_used(&q, &got) < 0 ? -1 : (int64_t)got;
}

static void test_bytes_come_from_the_seed(void)
{
	uint64_t first, again, requests, bytes;

	start(0);
	CU_ASSERT_EQUAL(get(DATA, 8, VRING_DESC_F_WRITE), 8);
	/* The first output of SplitMix64 from 0. */
	CU_ASSERT_EQUAL(*(uint64_t *)at(&rig, DATA), 0xe220a8397b1dcdafull);
	CU_ASSERT(page_dirty(&rig, DATA));
	CU_ASSERT_EQUAL(get(DATA, 8, VRING_DESC_F_WRITE), 8);
	CU_ASSERT_EQUAL(*(uint64_t *)at(&rig, DATA), 0x6e789e6aa1b965f4ull);
	virtio_rng_counts(dev, &requests, &bytes);
	CU_ASSERT_EQUAL(requests, 2);
	CU_ASSERT_EQUAL(bytes, 16);
	stop();
	start(1);
	CU_ASSERT_EQUAL(get(DATA, 13, VRING_DESC_F_WRITE), 13);
	first = *(uint64_t *)at(&rig, DATA);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, DATA + 13), 0);
	stop();
	start(1);
	CU_ASSERT_EQUAL(get(DATA, 8, VRING_DESC_F_WRITE), 8);
	again = *(uint64_t *)at(&rig, DATA);
	CU_ASSERT_EQUAL(first, again);
	stop();
}

static void test_a_request_is_bounded(void)
{
	start(7);
	CU_ASSERT_EQUAL(get(DATA, 0x20000, VRING_DESC_F_WRITE), 65536);
	CU_ASSERT_NOT_EQUAL(*(uint64_t *)at(&rig, DATA + 65528), 0);
	CU_ASSERT_EQUAL(*(uint64_t *)at(&rig, DATA + 65536), 0);
	/* Over the seam of two regions. */
	CU_ASSERT_EQUAL(get(MIB - 16, 32, VRING_DESC_F_WRITE), 32);
	CU_ASSERT_NOT_EQUAL(*(uint64_t *)at(&rig, MIB), 0);
	CU_ASSERT_EQUAL(errors(dev), 0);
	stop();
}

static void test_what_breaks_the_protocol(void)
{
	start(7);
	CU_ASSERT_EQUAL(get(DATA, 8, 0), -1);
	CU_ASSERT(reg_read(dev, VIRTIO_MMIO_STATUS) & ST_NEEDS_RESET);
	drv_start(&q, &rig, dev, 16, 0);
	CU_ASSERT_EQUAL(get(2 * MIB, 8, VRING_DESC_F_WRITE), -1);
	CU_ASSERT(reg_read(dev, VIRTIO_MMIO_STATUS) & ST_NEEDS_RESET);
	drv_start(&q, &rig, dev, 16, 0);
	CU_ASSERT_EQUAL(get(DATA, 8, VRING_DESC_F_WRITE), 8);
	stop();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(test_bytes_come_from_the_seed),
		UNIT_CASE(test_a_request_is_bounded),
		UNIT_CASE(test_what_breaks_the_protocol),
	};

	return unit_run("rng", cases, sizeof(cases) / sizeof(cases[0]));
}
