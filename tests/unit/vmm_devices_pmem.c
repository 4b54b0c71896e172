/*
 * A file as memory (virtio-pmem): where it lies, that a flush reaches the file system, and which requests
 * break the protocol.
 */
#include "vmm_virtqueue_driver.h"
#include "../host/unit.h"
#include <linux/virtio_ids.h>
#include <linux/virtio_pmem.h>

#define REQ   0xa0000ull
#define RESP  0xa1000ull
#define START (8ull << 30)
#define SIZE  (6 * MIB)

static struct rig rig;
static struct device *dev;
static struct drv_queue q;

static void start_with(int fd, bool read_only)
{
	struct virtio_pmem_params params = {
		.fd = fd, .start = START, .size = SIZE, .read_only = read_only, .no_worker = true};
	struct device_env env;

	CU_ASSERT_FATAL(fd >= 0);
	rig_init(&rig);
	env = rig_env(&rig, "pmem0");
	dev = virtio_pmem_create(&env, &params);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev);
	drv_start(&q, &rig, dev, 16, 0);
}

static void start(void)
{
	start_with(memfd_create("pmem", MFD_CLOEXEC), false);
}

static void stop(void)
{
	dev->model->destroy(dev);
	rig_exit(&rig);
}

static struct pmem_state state(void)
{
	struct pmem_state s;

	virtio_pmem_state(dev, &s);
	return s;
}

/* A request of `out` bytes with room for `in`. Returns the answer, or -1: nothing came back. */
static int64_t request(uint32_t type, uint32_t out, uint32_t in)
{
	const uint32_t none = 0x77777777;
	uint32_t ret, written;

	memcpy(at(&rig, REQ), &type, sizeof(type));
	memcpy(at(&rig, RESP), &none, sizeof(none));
	drv_desc(&q, 0, REQ, out, VRING_DESC_F_NEXT, 1);
	drv_desc(&q, 1, RESP, in, VRING_DESC_F_WRITE, 0);
	drv_avail(&q, 0);
	virtio_pmem_poll(dev);
	if (drv_used(&q, &written) < 0)
		return -1;
	CU_ASSERT_EQUAL(written, 4);
	memcpy(&ret, at(&rig, RESP), sizeof(ret));
	return ret;
}

static void test_configuration(void)
{
	start();
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_PMEM);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_CONFIG), (uint32_t)START);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_CONFIG + 4), START >> 32);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_CONFIG + 8), SIZE);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_CONFIG + 12), 0);
	CU_ASSERT_EQUAL(errors(dev), 0);
	reg_write(dev, VIRTIO_MMIO_CONFIG, 1); /* it is the device's */
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_CONFIG), (uint32_t)START);
	CU_ASSERT_EQUAL(errors(dev), 1);
	stop();
}

static void test_a_flush_is_answered(void)
{
	start();
	CU_ASSERT_EQUAL(request(VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4), 0);
	CU_ASSERT(page_dirty(&rig, RESP));
	CU_ASSERT_EQUAL(count_dirty(&rig), 2);				 /* and the used ring */
	CU_ASSERT_EQUAL(request(VIRTIO_PMEM_REQ_TYPE_FLUSH, 64, 64), 0); /* longer is right, too */
	CU_ASSERT_EQUAL(state().flushes, 2);
	CU_ASSERT_EQUAL(state().errors, 0);
	CU_ASSERT_EQUAL(errors(dev), 0);
	stop();
}

/* fdatasync() is what is answered: here it fails, as it does for everything that is no file. */
static void test_the_file_system_says_no(void)
{
	start_with(eventfd(0, EFD_CLOEXEC), false);
	CU_ASSERT_EQUAL(request(VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4), 1);
	CU_ASSERT_EQUAL(state().flushes, 0);
	CU_ASSERT_EQUAL(state().errors, 1);
	CU_ASSERT_EQUAL(errors(dev), 0); /* not the guest's fault */
	stop();
	start_with(eventfd(0, EFD_CLOEXEC), true);
	CU_ASSERT_EQUAL(request(VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4), 0); /* nothing to be written */
	stop();
}

static void test_flushes_that_are_to_fail(void)
{
	start();
	virtio_pmem_fail(dev, 2);
	CU_ASSERT_EQUAL(request(VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4), 1);
	CU_ASSERT_EQUAL(request(VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4), 1);
	CU_ASSERT_EQUAL(request(VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4), 0);
	CU_ASSERT_EQUAL(state().errors, 2);
	stop();
}

static void test_other_requests_are_refused(void)
{
	start();
	CU_ASSERT_EQUAL(request(1, 4, 4), 1);
	CU_ASSERT_EQUAL(request(~0u, 4, 4), 1);
	CU_ASSERT_EQUAL(state().flushes, 0);
	CU_ASSERT_EQUAL(state().errors, 2);
	CU_ASSERT_EQUAL(errors(dev), 2);
	stop();
}

/* In pieces, over the seam of two regions of RAM. */
static void test_requests_in_pieces(void)
{
	uint32_t written;

	start();
	memset(at(&rig, MIB - 2), 0, 2);
	memset(at(&rig, MIB), 0, 2);
	memset(at(&rig, RESP), 0xff, 8);
	drv_desc(&q, 0, MIB - 2, 4, VRING_DESC_F_NEXT, 1);
	drv_desc(&q, 1, RESP, 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 2);
	drv_desc(&q, 2, RESP + 1, 3, VRING_DESC_F_WRITE, 0);
	drv_avail(&q, 0);
	virtio_pmem_poll(dev);
	CU_ASSERT_EQUAL(drv_used(&q, &written), 0);
	CU_ASSERT_EQUAL(*(uint64_t *)at(&rig, RESP), 0xffffffff00000000ull);
	CU_ASSERT_EQUAL(state().flushes, 1);
	stop();
}

static void test_what_breaks_the_protocol(void)
{
	static const uint32_t bad[][2] = {{3, 4}, {4, 3}, {1, 1}};

	start();
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(request(VIRTIO_PMEM_REQ_TYPE_FLUSH, bad[i][0], bad[i][1]), -1);
		CU_ASSERT(reg_read(dev, VIRTIO_MMIO_STATUS) & ST_NEEDS_RESET);
		CU_ASSERT_EQUAL(*(uint32_t *)at(&rig, RESP), 0x77777777);
		drv_start(&q, &rig, dev, 16, 0);
	}
	/* Nothing to read; nothing to write; the range itself, which is no RAM of a device. */
	drv_desc(&q, 0, RESP, 4, VRING_DESC_F_WRITE, 0);
	drv_avail(&q, 0);
	virtio_pmem_poll(dev);
	CU_ASSERT(reg_read(dev, VIRTIO_MMIO_STATUS) & ST_NEEDS_RESET);
	drv_start(&q, &rig, dev, 16, 0);
	drv_desc(&q, 0, REQ, 4, 0, 0);
	drv_avail(&q, 0);
	virtio_pmem_poll(dev);
	CU_ASSERT(reg_read(dev, VIRTIO_MMIO_STATUS) & ST_NEEDS_RESET);
	drv_start(&q, &rig, dev, 16, 0);
	drv_desc(&q, 0, START, 4, VRING_DESC_F_NEXT, 1);
	drv_desc(&q, 1, RESP, 4, VRING_DESC_F_WRITE, 0);
	drv_avail(&q, 0);
	virtio_pmem_poll(dev);
	CU_ASSERT(reg_read(dev, VIRTIO_MMIO_STATUS) & ST_NEEDS_RESET);
	CU_ASSERT_EQUAL(state().flushes, 0);
	CU_ASSERT_EQUAL(state().errors, 0);
	drv_start(&q, &rig, dev, 16, 0);
	CU_ASSERT_EQUAL(request(VIRTIO_PMEM_REQ_TYPE_FLUSH, 4, 4), 0);
	stop();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(test_configuration),
		UNIT_CASE(test_a_flush_is_answered),
		UNIT_CASE(test_the_file_system_says_no),
		UNIT_CASE(test_flushes_that_are_to_fail),
		UNIT_CASE(test_other_requests_are_refused),
		UNIT_CASE(test_requests_in_pieces),
		UNIT_CASE(test_what_breaks_the_protocol),
	};

	return unit_run("pmem", cases, sizeof(cases) / sizeof(cases[0]));
}
