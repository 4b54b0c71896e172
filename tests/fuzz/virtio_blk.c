/*
 * Fuzz the disk and the transport below it. The input is a program for a hostile guest: register
 * accesses of any width, pokes into RAM, ring entries, doorbells. It runs on one thread, the queue
 * is served synchronously, so that every finding repeats.
 *
 * What must hold whatever the program does: no sanitizer report; no access outside guest RAM (guard
 * pages around each mapping) or behind the disk's end (canary in the file); after a reset the
 * device serves a plain request.
 *
 * To reach deep states quickly a program starts from a negotiated device with a ready queue of 16
 * and a request in it, and one kind of step builds a whole plausible chain for the later steps to
 * spoil.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "devices/devices.h"

#define RAM_SIZE  (64u << 10) /* each region */
#define HIGH_BASE (4ull << 30)
#define DISK_SIZE (32u << 10)
#define DISK_TAIL 4096u
#define NUM	  16u
#define DESC	  0x1000ull
#define AVAIL	  0x2000ull
#define USED	  0x3000ull
#define META	  0x4000ull
#define TABLE	  0x5000ull
#define DATA	  0x6000ull

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct guest_ram ram;
static unsigned long dirty[3][1];
static struct device *dev;
static int fd;
static uint16_t avail_idx;

struct input {
	const uint8_t *p, *end;
};

static uint64_t take(struct input *in, unsigned int n)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < n && in->p < in->end; i++)
		v |= (uint64_t)*in->p++ << 8 * i;
	return v;
}

static void no_irq(struct irq_line *line)
{
	line->raised++;
}
static struct irq_line irq = {.raise = no_irq, .eventfd = -1};

static void set_up(void)
{
	static const uint64_t gpa[3] = {0, RAM_SIZE, HIGH_BASE};
	struct device_env env = {.role = "fuzz", .irq = &irq, .ram = &ram};
	struct virtio_blk_params params = {.size = DISK_SIZE, .num_queues = 2, .no_worker = true};

	for (int i = 0; i < 3; i++) {
		uint8_t *p =
			mmap(NULL, RAM_SIZE + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || mprotect(p + 4096, RAM_SIZE, PROT_READ | PROT_WRITE))
			abort();
		ram.region[i] = (struct guest_ram_region){
			.gpa = gpa[i], .size = RAM_SIZE, .hva = p + 4096, .dirty = dirty[i]};
	}
	ram.nr = 3;
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

static void wr(uint64_t offset, uint32_t v)
{
	dev->model->write(dev, offset, 4, &v);
}
static uint32_t rd(uint64_t offset)
{
	uint32_t v = 0;

	dev->model->read(dev, offset, 4, &v);
	return v;
}

static void negotiate(uint64_t features, unsigned int queue)
{
	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_STATUS, 1);
	wr(VIRTIO_MMIO_STATUS, 3);
	wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	wr(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	wr(VIRTIO_MMIO_DRIVER_FEATURES, 1); /* VERSION_1 */
	wr(VIRTIO_MMIO_STATUS, 11);
	wr(VIRTIO_MMIO_QUEUE_SEL, queue);
	wr(VIRTIO_MMIO_QUEUE_NUM, NUM);
	wr(VIRTIO_MMIO_QUEUE_DESC_LOW, DESC);
	wr(VIRTIO_MMIO_QUEUE_AVAIL_LOW, AVAIL);
	wr(VIRTIO_MMIO_QUEUE_USED_LOW, USED);
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	wr(VIRTIO_MMIO_STATUS, 15);
	avail_idx = 0;
}

static void poke(uint64_t gpa, const void *buf, uint64_t len)
{
	guest_ram_write(&ram, gpa, buf, len);
}

static void put_desc(uint64_t table, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags,
		     uint16_t next)
{
	struct vring_desc d = {.addr = addr, .len = len, .flags = flags, .next = next};

	poke(table + 16ull * i, &d, sizeof(d));
}

static void put_avail(uint16_t head)
{
	poke(AVAIL + 4 + 2ull * (avail_idx % NUM), &head, 2);
	avail_idx++;
	poke(AVAIL + 2, &avail_idx, 2);
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
	put_avail(head);
}

static void step(struct input *in)
{
	static const unsigned int width[] = {1, 2, 4, 8};
	uint8_t data[8], op = (uint8_t)take(in, 1);
	uint64_t offset, gpa, v;

	switch (op % 10) {
	case 0: /* any register, any width */
		offset = take(in, 2) % 0x1000;
		v = take(in, 4);
		memcpy(data, &v, 8);
		dev->model->write(dev, offset, width[op / 10 % 4], data);
		break;
	case 1:
		offset = take(in, 2) % 0x1000;
		dev->model->read(dev, offset, width[op / 10 % 4], data);
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
	case 4: /* a field of a descriptor */
		gpa = (op / 10 % 2 ? DESC : TABLE) + take(in, 1) % NUM * 16;
		v = take(in, 8);
		switch (take(in, 1) % 4) {
		case 0:
			poke(gpa, &v, 8);
			break;
		case 1:
			poke(gpa + 8, &v, 4);
			break;
		case 2:
			poke(gpa + 12, &v, 2);
			break;
		case 3:
			poke(gpa + 14, &v, 2);
			break;
		}
		break;
	case 5:
		put_request(in);
		break;
	case 6:
		put_avail((uint16_t)take(in, 2));
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
	put_avail(0);
	if (virtio_blk_poll(dev) != 1 || guest_ram_read(&ram, META + 16, &status, 1) || status)
		abort();
	return 0;
}
