/*
 * Fuzz the balloon: a hostile driver with all queues. On one thread, the queues are served synchronously,
 * so that every finding repeats.
 *
 * What must hold whatever the driver does: no sanitizer report; no access outside guest RAM (guard pages
 * around each mapping); the device's set has as many pages as it says, all of them RAM, and as many as went
 * in and did not come out; memory is taken only of pages that the driver named. After a reset the device
 * serves a plain request.
 */
#include <linux/virtio_balloon.h>
#include "virtio.h"

#define NR_QUEUES 5u
#define RING(q)	  (0x1000ull + 0x1000 * (q)) /* rings of queue q: a page each */
#define META	  0x6000ull		     /* frame numbers, statistics */
#define TABLE	  0x7000ull
#define FEATURES                                                                     \
	(1u << VIRTIO_BALLOON_F_STATS_VQ | 1u << VIRTIO_BALLOON_F_REPORTING |        \
	 1u << VIRTIO_BALLOON_F_DEFLATE_ON_OOM | 1u << VIRTIO_RING_F_INDIRECT_DESC | \
	 1u << VIRTIO_RING_F_EVENT_IDX)

static struct ring ring[NR_QUEUES];

static void negotiate(uint32_t features)
{
	negotiate_features(features);
	for (unsigned int q = 0; q < NR_QUEUES; q++) {
		ring[q] = (struct ring){RING(q), RING(q) + 0x400, RING(q) + 0x800, 0};
		start_queue(&ring[q], q);
	}
	wr(VIRTIO_MMIO_STATUS, 15);
}

/* A frame of RAM, or next to it. */
static uint32_t frame(struct input *in)
{
	uint32_t n = (uint32_t)take(in, 1);

	if (n < 0x40)
		return n;
	return n < 0x60 ? (uint32_t)(HIGH_BASE >> 12) - 4 + (n - 0x40) : (uint32_t)take(in, 4);
}

/* A buffer that could be right for its queue, direct or in a table. */
static void put_request(struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1);
	unsigned int q = how % NR_QUEUES, n = (unsigned int)take(in, 1) % 9;
	bool reports = q >= 3, indirect = how & 0x80;
	uint64_t table = indirect ? TABLE : ring[q].desc, gpa = META;
	uint32_t len = n * 4;

	for (unsigned int i = 0; i < n && !reports; i++) {
		struct virtio_balloon_stat s = {(uint16_t)take(in, 1), take(in, 2)};
		uint32_t pfn = frame(in);

		if (q == 2)
			poke(META + i * sizeof(s), &s, sizeof(s));
		else
			poke(META + i * sizeof(pfn), &pfn, sizeof(pfn));
	}
	if (q == 2)
		len = n * (uint32_t)sizeof(struct virtio_balloon_stat);
	if (reports) {
		gpa = (uint64_t)frame(in) << 12;
		len = n << 12;
	}
	put_desc(table, 0, gpa, len, reports ? VRING_DESC_F_WRITE : 0, 0);
	if (indirect)
		put_desc(ring[q].desc, 0, TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	put_avail(&ring[q], 0);
}

static void step(struct input *in)
{
	uint8_t op = (uint8_t)take(in, 1);
	unsigned int q = op / 10 % NR_QUEUES;
	uint64_t offset, gpa, v;

	switch (op % 10) {
	case 0:
	case 1:
		any_register(in, op / 10, op % 10 == 0);
		break;
	case 2: /* a register that exists, the configuration among them */
		offset = take(in, 1) % 0x48 * 4;
		wr(offset, (uint32_t)take(in, 4));
		break;
	case 3: /* poke a few bytes where rings and requests are */
		gpa = RING(0) + take(in, 2) % 0x7000;
		v = take(in, 8);
		poke(gpa, &v, 1 + op / 10 % 8);
		break;
	case 4:
		any_field(in, op & 0x80 ? TABLE : ring[q].desc);
		break;
	case 5:
		put_request(in);
		break;
	case 6:
		put_avail(&ring[q], (uint16_t)take(in, 2));
		break;
	case 7:
		virtio_balloon_poll(dev);
		break;
	case 8:
		negotiate(op & 0x80 ? (uint32_t)take(in, 4) : FEATURES);
		break;
	case 9:
		if (op & 0x80)
			virtio_balloon_ask_stats(dev);
		else
			virtio_balloon_set_target(dev, take(in, 2));
		break;
	}
}

static void check(void)
{
	struct balloon_state s;
	uint64_t n = 0;

	virtio_balloon_state(dev, &s);
	for (int i = 0; i < 3; i++)
		for (uint64_t at = 0; at < RAM_SIZE; at += 4096)
			n += virtio_balloon_has(dev, ram.region[i].gpa + at);
	if (n != s.pages || s.inflated - s.deflated != s.pages || s.refused)
		abort();
	if (virtio_balloon_has(dev, 2 * RAM_SIZE) || virtio_balloon_has(dev, ~0ull))
		abort();
	if (s.given_back > s.inflated + s.reported)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input in = {.p = bytes, .end = bytes + len};
	struct virtio_balloon_params params = {.target = 5, .no_worker = true};
	const uint32_t pfn[] = {9, 10, (uint32_t)(HIGH_BASE >> 12)};
	struct balloon_state before, after;

	if (!dev) {
		struct device_env env = set_up_ram();

		dev = virtio_balloon_create(&env, &params);
		if (!dev)
			abort();
	}
	for (int i = 0; i < 3; i++)
		memset(ram.region[i].hva, 0, RAM_SIZE);
	dev->model->reset(dev);
	negotiate(FEATURES);
	for (int steps = 0; in.p < in.end && steps < 200; steps++)
		step(&in);
	virtio_balloon_poll(dev);
	check();

	/* Whatever happened, a reset mends it. */
	memset(ram.region[0].hva, 0, RAM_SIZE);
	negotiate(0);
	if (rd(VIRTIO_MMIO_STATUS) != 15)
		abort();
	virtio_balloon_state(dev, &before);
	poke(META, pfn, sizeof(pfn));
	put_desc(ring[0].desc, 0, META, sizeof(pfn), 0, 0);
	put_avail(&ring[0], 0);
	if (virtio_balloon_poll(dev) != 1)
		abort();
	virtio_balloon_state(dev, &after);
	if (before.pages || after.pages != 3 || after.given_back - before.given_back != 3)
		abort();
	check();
	return 0;
}
