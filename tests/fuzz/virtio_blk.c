/*
 * Fuzz the disk and the transport below it. The input is a program for a hostile guest: register
 * accesses of any width, pokes into RAM, ring entries, doorbells. It runs on one thread, the queue
 * is served synchronously, so that every finding repeats.
 *
 * What must hold whatever the program does: no sanitizer report; no access outside guest RAM (guard
 * pages around each mapping) or beyond the disk's end (canary in the file); after a reset the
 * device serves a plain request.
 *
 * To reach deep states quickly a program starts from a negotiated device with a ready queue of 16
 * and a request in it, and one kind of step builds a whole plausible chain for the later steps to
 * spoil.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include "virtio.h"

#define DISK_SIZE (32u << 10)
#define DISK_TAIL 4096u
#define DESC	  0x1000ull
#define META	  0x4000ull
#define TABLE	  0x5000ull
#define DATA	  0x6000ull

static int fd;
static struct ring ring = {.desc = DESC, .avail = 0x2000, .used = 0x3000};

static void set_up(void)
{
	struct device_env env = set_up_ram();
	struct virtio_blk_params params = {.size = DISK_SIZE, .num_queues = 2, .no_worker = true};

	fd = memfd_create("disk", MFD_CLOEXEC);
	params.fd = fd;
	dev = virtio_blk_create(&env, &params);
	if (!dev)
		abort();
}

static void fresh_disk(void)
{
	static uint8_t tail[DISK_TAIL];

	memset(tail, 0xca, sizeof(tail));
	if (ftruncate(fd, 0) || ftruncate(fd, DISK_SIZE) ||
	    pwrite(fd, tail, sizeof(tail), DISK_SIZE) != sizeof(tail))
		abort();
}

static void check_disk(void)
{
	uint8_t tail[DISK_TAIL];

	if (lseek(fd, 0, SEEK_END) != DISK_SIZE + DISK_TAIL ||
	    pread(fd, tail, sizeof(tail), DISK_SIZE) != sizeof(tail))
		abort();
	for (unsigned int i = 0; i < sizeof(tail); i++) {
		if (tail[i] != 0xca)
			abort();
	}
}

static void negotiate(uint64_t features, unsigned int queue)
{
	negotiate_features(features);
	start_queue(&ring, queue);
	wr(VIRTIO_MMIO_STATUS, 15);
}

/* A request that could be right, direct or in a table. */
static void put_request(struct input *in)
{
	static const uint32_t type[] = {VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_OUT,
					VIRTIO_BLK_T_FLUSH,   VIRTIO_BLK_T_GET_ID,
					VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};
	static const uint64_t place[] = {DATA, RAM_SIZE - 512, RAM_SIZE * 2 - 4096, HIGH_BASE};
	uint8_t how = (uint8_t)take(in, 1);
	struct virtio_blk_outhdr hdr = {.type = type[take(in, 1) % 6], .sector = take(in, 1)};
	uint32_t data_len = (uint32_t)take(in, 1) * 64;
	uint64_t data = place[take(in, 1) % 4];
	bool in_data = hdr.type == VIRTIO_BLK_T_IN || hdr.type == VIRTIO_BLK_T_GET_ID;
	bool indirect = how & 1;
	uint64_t table = indirect ? TABLE : DESC;
	uint16_t first = indirect ? 0 : (how >> 1) % (NUM - 3), head = first;

	poke(META, &hdr, sizeof(hdr));
	put_desc(table, first, META, 16, VRING_DESC_F_NEXT, data_len ? first + 1 : first + 2);
	put_desc(table, first + 1, data, data_len,
		 VRING_DESC_F_NEXT | (in_data ? VRING_DESC_F_WRITE : 0), first + 2);
	put_desc(table, first + 2, META + 16, 1, VRING_DESC_F_WRITE, 0);
	if (indirect) {
		head = (how >> 1) % NUM;
		put_desc(DESC, head, TABLE, 48, VRING_DESC_F_INDIRECT, 0);
	}
	put_avail(&ring, head);
}

static void step(struct input *in)
{
	uint8_t op = (uint8_t)take(in, 1);
	uint64_t offset, gpa, v;

	switch (op % 10) {
	case 0:
	case 1:
		any_register(in, op / 10, op % 10 == 0);
		break;
	case 2: /* a register that exists */
		offset = take(in, 1) % 0x40 * 4;
		wr(offset, (uint32_t)take(in, 4));
		break;
	case 3: /* poke a few bytes where the rings are */
		gpa = DESC + take(in, 2) % 0x5000;
		v = take(in, 8);
		poke(gpa, &v, 1 + op / 10 % 8);
		break;
	case 4:
		any_field(in, op / 10 % 2 ? DESC : TABLE);
		break;
	case 5:
		put_request(in);
		break;
	case 6:
		put_avail(&ring, (uint16_t)take(in, 2));
		break;
	case 7:
		virtio_blk_poll(dev);
		break;
	case 8:
		negotiate(op / 10 % 2 ? 0x30000000u : (uint32_t)take(in, 4), op / 10 % 3);
		break;
	case 9:
		virtio_blk_inject(dev, take(in, 1), op / 10 % 3);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input in = {.p = bytes, .end = bytes + len};
	uint8_t status = 0xee;

	if (!dev)
		set_up();
	for (int i = 0; i < 3; i++)
		memset(ram.region[i].hva, 0, RAM_SIZE);
	fresh_disk();
	dev->model->reset(dev);
	virtio_blk_inject(dev, 0, 0);
	negotiate(0x30000000u, 0); /* event index and indirect */

	for (int steps = 0; in.p < in.end && steps < 200; steps++)
		step(&in);
	virtio_blk_poll(dev);
	check_disk();

	/* Whatever happened, a reset mends it. */
	virtio_blk_inject(dev, 0, 0);
	memset(ram.region[0].hva, 0, RAM_SIZE);
	negotiate(0, 0);
	if (rd(VIRTIO_MMIO_STATUS) != 15)
		abort();
	put_desc(DESC, 0, META, 16, VRING_DESC_F_NEXT, 1);
	put_desc(DESC, 1, DATA, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	put_desc(DESC, 2, META + 16, 1, VRING_DESC_F_WRITE, 0);
	put_avail(&ring, 0);
	if (virtio_blk_poll(dev) != 1 || guest_ram_read(&ram, META + 16, &status, 1) || status)
		abort();
	return 0;
}
