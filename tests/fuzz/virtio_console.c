/*
 * Fuzz virtio-console: a hostile driver with both queues, and a person who types. On one thread, the queues are
 * served synchronously, so that every finding repeats.
 *
 * What must hold whatever the driver does: no sanitizer report; no access outside guest RAM (guard pages
 * around each mapping); no more is taken of what is typed than there was; with the device in NEEDS_RESET or just
 * reset nothing is taken. After a reset a line is printed and a line is typed.
 */
#include <linux/virtio_console.h>
#include "virtio.h"

#define RING(q)	 (0x1000ull + 0x1000 * (q)) /* rings of queue q: a page each */
#define BUFFER	 0x4000ull
#define TABLE	 0x5000ull
#define RECEIVE	 0
#define TRANSMIT 1
#define FEATURES                                                           \
	(1u << VIRTIO_CONSOLE_F_SIZE | 1u << VIRTIO_RING_F_INDIRECT_DESC | \
	 1u << VIRTIO_RING_F_EVENT_IDX)

static struct ring ring[2];
static uint64_t printed, sum;

static void sink(void *arg, const void *bytes, size_t len)
{
	/* Every byte is read: they must be there. */
	for (size_t i = 0; i < len; i++)
		sum += ((const uint8_t *)bytes)[i];
	printed += len;
}

static void room(void *arg) {}

static void negotiate(uint32_t features)
{
	negotiate_features(features);
	for (unsigned int q = 0; q < 2; q++) {
		ring[q] = (struct ring){RING(q), RING(q) + 0x400, RING(q) + 0x800, 0};
		start_queue(&ring[q], q);
	}
	wr(VIRTIO_MMIO_STATUS, 15);
}

static bool is_served(void)
{
	uint32_t status = rd(VIRTIO_MMIO_STATUS);

	return (status & VIRTIO_CONFIG_S_DRIVER_OK) && !(status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* A buffer that could be right for its queue, direct or in a table. */
static void put_buffer(struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1), i = (uint8_t)take(in, 1) % NUM;
	unsigned int q = how & 1;
	uint16_t flags = q == RECEIVE ? VRING_DESC_F_WRITE : 0;
	uint64_t table = how & 0x80 ? TABLE : ring[q].desc;

	if (how & 0x40)
		flags ^= VRING_DESC_F_WRITE;
	put_desc(table, how & 0x80 ? 0 : i, how & 0x20 ? take(in, 5) : BUFFER + i * 64u,
		 how & 0x10 ? (uint32_t)take(in, 4) : 64, flags, 0);
	if (how & 0x80)
		put_desc(ring[q].desc, i, TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	put_avail(&ring[q], i);
}

static void type(struct input *in)
{
	uint8_t keys[256];
	size_t n = take(in, 1), taken;
	bool served = is_served();

	memset(keys, 'k', sizeof(keys));
	taken = virtio_console_input(dev, keys, n);
	if (taken > n || (taken && !served))
		abort();
}

static void step(struct input *in)
{
	uint8_t op = (uint8_t)take(in, 1);
	uint64_t gpa, v;

	switch (op % 11) {
	case 0:
	case 1:
		any_register(in, op / 11, op % 11 == 0);
		break;
	case 2: /* a register that exists, the configuration among them */
		gpa = take(in, 1) % 0x48 * 4;
		wr(gpa, (uint32_t)take(in, 4));
		break;
	case 3: /* poke a few bytes where rings and buffers are */
		gpa = RING(0) + take(in, 2) % 0x5000;
		v = take(in, 8);
		poke(gpa, &v, 1 + op / 11 % 8);
		break;
	case 4:
		any_field(in, op & 0x80 ? TABLE : ring[op >> 6 & 1].desc);
		break;
	case 5:
		put_buffer(in);
		break;
	case 6:
		put_avail(&ring[op >> 7], (uint16_t)take(in, 2));
		break;
	case 7:
		virtio_console_poll(dev);
		break;
	case 8:
		negotiate(op & 0x80 ? (uint32_t)take(in, 4) : FEATURES);
		break;
	case 9:
		type(in);
		break;
	case 10:
		virtio_console_resize(dev, (uint16_t)take(in, 2), (uint16_t)take(in, 2));
		break;
	}
}

/* Whatever happened, a reset mends it. */
static void a_line_each_way(void)
{
	uint64_t before = printed;

	memset(ram.region[0].hva, 0, RAM_SIZE);
	negotiate(0);
	if (rd(VIRTIO_MMIO_STATUS) != 15 || virtio_console_input(dev, "x", 1))
		abort();
	put_desc(ring[TRANSMIT].desc, 0, BUFFER, 5, 0, 0);
	put_avail(&ring[TRANSMIT], 0);
	put_desc(ring[RECEIVE].desc, 0, BUFFER + 64, 5, VRING_DESC_F_WRITE, 0);
	put_avail(&ring[RECEIVE], 0);
	virtio_console_poll(dev);
	if (printed != before + 5 || virtio_console_input(dev, "line\n?", 6) != 5 ||
	    memcmp((uint8_t *)ram.region[0].hva + BUFFER + 64, "line\n", 6))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input in = {.p = bytes, .end = bytes + len};

	if (!dev) {
		struct virtio_console_params params = {
			.sink = sink, .room = room, .no_worker = true};
		struct device_env env = set_up_ram();

		dev = virtio_console_create(&env, &params);
		if (!dev)
			abort();
	}
	for (int i = 0; i < 3; i++)
		memset(ram.region[i].hva, 0, RAM_SIZE);
	dev->model->reset(dev);
	negotiate(FEATURES);
	for (int steps = 0; in.p < in.end && steps < 200; steps++)
		step(&in);
	virtio_console_poll(dev);
	a_line_each_way();
	return 0;
}
