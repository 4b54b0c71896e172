/*
 * Fuzz virtio-pmem: a hostile driver. On one thread, the queue is served synchronously, so that every
 * finding repeats.
 *
 * What must hold whatever the driver does: no sanitizer report; no access outside guest RAM (guard pages
 * around each mapping); the configuration says what it said. After a reset the device serves a flush.
 */
#include <linux/virtio_pmem.h>
#include "virtio.h"

#define RING  0x1000ull
#define META  0x2000ull
#define TABLE 0x3000ull
#define START (16ull << 30)
#define SIZE  (64ull << 20)

static struct ring ring = {RING, RING + 0x400, RING + 0x800, 0};

static void negotiate(uint32_t features)
{
	negotiate_features(features);
	ring.idx = 0;
	start_queue(&ring, 0);
	wr(VIRTIO_MMIO_STATUS, 15);
}

/* A request that could be right, direct or in a table. */
static void put_request(struct input *in)
{
	uint8_t how = (uint8_t)take(in, 1);
	uint64_t table = how & 0x80 ? TABLE : ring.desc;
	uint32_t type = how & 0x40 ? (uint32_t)take(in, 4) : VIRTIO_PMEM_REQ_TYPE_FLUSH;

	poke(META, &type, sizeof(type));
	put_desc(table, 0, META, how & 0x20 ? (uint32_t)take(in, 1) : 4, VRING_DESC_F_NEXT, 1);
	put_desc(table, 1, META + 64, how & 0x10 ? (uint32_t)take(in, 1) : 4, VRING_DESC_F_WRITE,
		 0);
	if (how & 0x80)
		put_desc(ring.desc, 0, TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	put_avail(&ring, 0);
}

static void step(struct input *in)
{
	uint8_t op = (uint8_t)take(in, 1);
	uint64_t gpa, v;

	switch (op % 9) {
	case 0:
	case 1:
		any_register(in, op / 9, op % 9 == 0);
		break;
	case 2: /* a register that exists, the configuration among them */
		gpa = take(in, 1) % 0x48 * 4;
		wr(gpa, (uint32_t)take(in, 4));
		break;
	case 3: /* poke a few bytes where ring and requests are */
		gpa = RING + take(in, 2) % 0x3000;
		v = take(in, 8);
		poke(gpa, &v, 1 + op / 9 % 8);
		break;
	case 4:
		any_field(in, op & 0x80 ? TABLE : ring.desc);
		break;
	case 5:
		put_request(in);
		break;
	case 6:
		put_avail(&ring, (uint16_t)take(in, 2));
		break;
	case 7:
		virtio_pmem_poll(dev);
		break;
	case 8:
		negotiate(op & 0x80 ? (uint32_t)take(in, 4)
				    : 1u << VIRTIO_RING_F_INDIRECT_DESC |
					      1u << VIRTIO_RING_F_EVENT_IDX);
		break;
	}
}

static void check(void)
{
	if (rd(VIRTIO_MMIO_CONFIG) != (uint32_t)START ||
	    rd(VIRTIO_MMIO_CONFIG + 4) != START >> 32 || rd(VIRTIO_MMIO_CONFIG + 8) != SIZE ||
	    rd(VIRTIO_MMIO_CONFIG + 12))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input in = {.p = bytes, .end = bytes + len};
	const uint32_t flush = VIRTIO_PMEM_REQ_TYPE_FLUSH, none = ~0u;
	struct pmem_state before, after;
	uint32_t ret;

	if (!dev) {
		struct virtio_pmem_params params = {.fd = memfd_create("pmem", MFD_CLOEXEC),
						    .start = START,
						    .size = SIZE,
						    .no_worker = true};
		struct device_env env = set_up_ram();

		dev = virtio_pmem_create(&env, &params);
		if (!dev)
			abort();
	}
	for (int i = 0; i < 3; i++)
		memset(ram.region[i].hva, 0, RAM_SIZE);
	dev->model->reset(dev);
	negotiate(1u << VIRTIO_RING_F_INDIRECT_DESC | 1u << VIRTIO_RING_F_EVENT_IDX);
	for (int steps = 0; in.p < in.end && steps < 200; steps++)
		step(&in);
	virtio_pmem_poll(dev);
	check();

	/* Whatever happened, a reset mends it. */
	memset(ram.region[0].hva, 0, RAM_SIZE);
	negotiate(0);
	if (rd(VIRTIO_MMIO_STATUS) != 15)
		abort();
	virtio_pmem_state(dev, &before);
	poke(META, &flush, sizeof(flush));
	poke(META + 64, &none, sizeof(none));
	put_desc(ring.desc, 0, META, 4, VRING_DESC_F_NEXT, 1);
	put_desc(ring.desc, 1, META + 64, 4, VRING_DESC_F_WRITE, 0);
	put_avail(&ring, 0);
	if (virtio_pmem_poll(dev) != 1)
		abort();
	virtio_pmem_state(dev, &after);
	memcpy(&ret, ram.region[0].hva + META + 64, sizeof(ret));
	if (ret || after.flushes != before.flushes + 1 || after.errors != before.errors)
		abort();
	check();
	return 0;
}
