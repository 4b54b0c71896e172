/*
 * The virtio-console: what is printed and typed arrives whole and in order, buffers are used once, and a guest that
 * breaks the rules stops itself.
 */
#include <linux/virtio_console.h>
#include "vmm_virtqueue_driver.h"
#include "../host/unit.h"

#define DATA 0xa0000ull

static struct rig rig;
static struct device *dev;
static struct drv_queue rx, tx;
static char printed[256];
static size_t nr_printed;
static unsigned int rooms;

static void sink(void *arg, const void *bytes, size_t len)
{
	CU_ASSERT_PTR_EQUAL(arg, &rig);
	CU_ASSERT_FATAL(nr_printed + len <= sizeof(printed));
	memcpy(printed + nr_printed, bytes, len);
	nr_printed += len;
}

static void room(void *arg)
{
	CU_ASSERT_PTR_EQUAL(arg, &rooms);
	rooms++;
}

static void start(void)
{
	struct virtio_console_params params = {.sink = sink,
					       .sink_arg = &rig,
					       .room = room,
					       .arg = &rooms,
					       .rows = 24,
					       .cols = 80,
					       .no_worker = true};
	struct device_env env;

	rig_init(&rig);
	env = rig_env(&rig, "console");
	nr_printed = 0;
	rooms = 0;
	dev = virtio_console_create(&env, &params);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev);
	drv_start(&rx, &rig, dev, 16, 1ull << VIRTIO_CONSOLE_F_SIZE);
	drv_queue_init(&tx, &rig, dev, 1, 16);
}

static void stop(void)
{
	dev->model->destroy(dev);
	rig_exit(&rig);
}

/* Offer one buffer as descriptor i of a queue. */
static void offer(struct drv_queue *q, unsigned int i, uint64_t gpa, uint32_t len, uint16_t flags)
{
	drv_desc(q, i, gpa, len, flags, 0);
	drv_avail(q, (uint16_t)i);
	virtio_console_poll(dev);
}

static bool broken(void)
{
	return reg_read(dev, VIRTIO_MMIO_STATUS) & ST_NEEDS_RESET;
}

static void test_what_is_printed_comes_in_order(void)
{
	uint32_t len;

	start();
	memcpy(at(&rig, DATA), "one ", 4);
	/* Over the seam of two regions, and of two descriptors. */
	memcpy(at(&rig, MIB - 2), "tw", 2);
	memcpy(at(&rig, MIB), "o ", 2);
	offer(&tx, 0, DATA, 4, 0);
	drv_desc(&tx, 1, MIB - 2, 4, VRING_DESC_F_NEXT, 2);
	offer(&tx, 2, DATA, 3, 0); /* descriptor 2 alone, before it is the tail of 1 */
	drv_avail(&tx, 1);
	virtio_console_poll(dev);
	CU_ASSERT_EQUAL(nr_printed, 14);
	CU_ASSERT(!memcmp(printed, "one onetwo one", 14));
	CU_ASSERT(drv_used(&tx, &len) == 0 && len == 0);
	CU_ASSERT(drv_used(&tx, &len) == 2 && len == 0);
	CU_ASSERT(drv_used(&tx, &len) == 1 && len == 0);
	CU_ASSERT(!page_dirty(&rig, DATA) && !page_dirty(&rig, MIB));
	stop();
}

static void test_what_is_typed_waits_for_buffers(void)
{
	uint32_t len;

	start();
	CU_ASSERT_EQUAL(virtio_console_input(dev, "abc", 3), 0);
	CU_ASSERT_EQUAL(rooms, 0);
	offer(&rx, 0, DATA, 2, VRING_DESC_F_WRITE);
	CU_ASSERT_EQUAL(rooms, 1);
	offer(&rx, 1, DATA + 4096, 8, VRING_DESC_F_WRITE);
	CU_ASSERT_EQUAL(rooms, 1); /* nobody has come back yet */
	CU_ASSERT_EQUAL(virtio_console_input(dev, "abc", 3), 3);
	CU_ASSERT(drv_used(&rx, &len) == 0 && len == 2);
	CU_ASSERT(drv_used(&rx, &len) == 1 && len == 1);
	CU_ASSERT(!memcmp(at(&rig, DATA), "ab", 3));
	CU_ASSERT(!memcmp(at(&rig, DATA + 4096), "c", 2));
	CU_ASSERT(page_dirty(&rig, DATA) && page_dirty(&rig, DATA + 4096));
	CU_ASSERT(!page_dirty(&rig, DATA + 8192));
	/* A buffer is used once, even if it was not filled. */
	CU_ASSERT_EQUAL(virtio_console_input(dev, "d", 1), 0);
	CU_ASSERT(drv_used(&rx, &len) < 0);
	CU_ASSERT_EQUAL(errors(dev), 0);
	stop();
}

static void test_the_window(void)
{
	uint32_t size, generation;

	start();
	CU_ASSERT_EQUAL(rig.irq.line.raised, 0);
	offer(&rx, 0, DATA, 8, VRING_DESC_F_WRITE); /* the first: Linux wants to be told */
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	reg_write(dev, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
	offer(&rx, 1, DATA, 8, VRING_DESC_F_WRITE);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	size = reg_read(dev, VIRTIO_MMIO_CONFIG);
	CU_ASSERT_EQUAL(size, 24u << 16 | 80);
	generation = reg_read(dev, VIRTIO_MMIO_CONFIG_GENERATION);
	virtio_console_resize(dev, 50, 132);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	CU_ASSERT_NOT_EQUAL(reg_read(dev, VIRTIO_MMIO_CONFIG_GENERATION), generation);
	size = reg_read(dev, VIRTIO_MMIO_CONFIG);
	CU_ASSERT_EQUAL(size, 50u << 16 | 132);
	stop();
}

static void test_a_reset_forgets_the_buffers(void)
{
	start();
	offer(&rx, 0, DATA, 8, VRING_DESC_F_WRITE);
	drv_start(&rx, &rig, dev, 16, 0);
	CU_ASSERT_EQUAL(virtio_console_input(dev, "abc", 3), 0);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, DATA), 0);
	offer(&rx, 0, DATA + 64, 8, VRING_DESC_F_WRITE);
	CU_ASSERT_EQUAL(virtio_console_input(dev, "abc", 3), 3);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, DATA), 0);
	CU_ASSERT(!memcmp(at(&rig, DATA + 64), "abc", 4));
	/* So does the end of the queue. */
	offer(&rx, 1, DATA + 128, 8, VRING_DESC_F_WRITE);
	reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, 0);
	reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 0);
	CU_ASSERT_EQUAL(virtio_console_input(dev, "abc", 3), 0);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, DATA + 128), 0);
	stop();
}

static void test_who_breaks_the_rules_stops(void)
{
	start();
	offer(&tx, 0, DATA, 4, VRING_DESC_F_WRITE);
	CU_ASSERT(broken());
	CU_ASSERT_EQUAL(nr_printed, 0);
	stop();
	start();
	offer(&rx, 0, DATA, 4, 0);
	CU_ASSERT(broken());
	stop();
	/* One buffer again and again: no more are kept than a ring can have. */
	start();
	for (int i = 0; i < 256; i++)
		offer(&rx, 0, DATA, 4, VRING_DESC_F_WRITE);
	CU_ASSERT(!broken());
	offer(&rx, 0, DATA, 4, VRING_DESC_F_WRITE);
	CU_ASSERT(broken());
	CU_ASSERT_EQUAL(virtio_console_input(dev, "abc", 3), 0);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, DATA), 0);
	stop();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(test_what_is_printed_comes_in_order),
		UNIT_CASE(test_what_is_typed_waits_for_buffers),
		UNIT_CASE(test_the_window),
		UNIT_CASE(test_a_reset_forgets_the_buffers),
		UNIT_CASE(test_who_breaks_the_rules_stops),
	};

	return unit_run("virtio-console", cases, sizeof(cases) / sizeof(cases[0]));
}
