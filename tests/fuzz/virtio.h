/*
 * What fuzz targets of virtio devices share: guest RAM between guard pages, the input as a stream of
 * numbers, the driver's side of a queue, and the steps that are the same for every device.
 */
#ifndef FUZZ_VIRTIO_H
#define FUZZ_VIRTIO_H
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
#define NUM	  16u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct guest_ram ram;
static unsigned long dirty[3][1];
static struct device *dev;

/* A queue as the driver has it. */
struct ring {
	uint64_t desc, avail, used;
	uint16_t idx;
};

struct input {
	const uint8_t *p, *end;
};

static inline uint64_t take(struct input *in, unsigned int n)
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

/* Two regions that touch, one above 4 GiB; one file behind them, so that memory can be given back. */
static inline struct device_env set_up_ram(void)
{
	static const uint64_t gpa[3] = {0, RAM_SIZE, HIGH_BASE};
	int fd = memfd_create("ram", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 3 * RAM_SIZE))
		abort();
	for (int i = 0; i < 3; i++) {
		uint8_t *p =
			mmap(NULL, RAM_SIZE + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED ||
		    mmap(p + 4096, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			 (off_t)(i * RAM_SIZE)) == MAP_FAILED)
			abort();
		ram.region[i] = (struct guest_ram_region){
			.gpa = gpa[i], .size = RAM_SIZE, .hva = p + 4096, .dirty = dirty[i]};
	}
	ram.nr = 3;
	return (struct device_env){.role = "fuzz", .irq = &irq, .ram = &ram};
}

static inline void wr(uint64_t offset, uint32_t v)
{
	dev->model->write(dev, offset, 4, &v);
}
static inline uint32_t rd(uint64_t offset)
{
	uint32_t v = 0;

	dev->model->read(dev, offset, 4, &v);
	return v;
}

/* From reset to FEATURES_OK; then queues, then wr(VIRTIO_MMIO_STATUS, 15). */
static inline void negotiate_features(uint64_t features)
{
	wr(VIRTIO_MMIO_STATUS, 0);
	wr(VIRTIO_MMIO_STATUS, 1);
	wr(VIRTIO_MMIO_STATUS, 3);
	wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	wr(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	wr(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	wr(VIRTIO_MMIO_DRIVER_FEATURES, 1); /* VERSION_1 */
	wr(VIRTIO_MMIO_STATUS, 11);
}

static inline void start_queue(struct ring *r, unsigned int queue)
{
	wr(VIRTIO_MMIO_QUEUE_SEL, queue);
	wr(VIRTIO_MMIO_QUEUE_NUM, NUM);
	wr(VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)r->desc);
	wr(VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)r->avail);
	wr(VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)r->used);
	wr(VIRTIO_MMIO_QUEUE_READY, 1);
	r->idx = 0;
}

static inline void poke(uint64_t gpa, const void *buf, uint64_t len)
{
	guest_ram_write(&ram, gpa, buf, len);
}

static inline void put_desc(uint64_t table, unsigned int i, uint64_t addr, uint32_t len,
			    uint16_t flags, uint16_t next)
{
	struct vring_desc d = {.addr = addr, .len = len, .flags = flags, .next = next};

	poke(table + 16ull * i, &d, sizeof(d));
}

static inline void put_avail(struct ring *r, uint16_t head)
{
	poke(r->avail + 4 + 2ull * (r->idx % NUM), &head, 2);
	r->idx++;
	poke(r->avail + 2, &r->idx, 2);
}

/* `how` chooses the width. */
static inline void any_register(struct input *in, unsigned int how, bool write)
{
	static const unsigned int width[] = {1, 2, 4, 8};
	uint64_t offset = take(in, 2) % 0x1000, v = write ? take(in, 4) : 0;
	uint8_t data[8];

	memcpy(data, &v, 8);
	if (write)
		dev->model->write(dev, offset, width[how % 4], data);
	else
		dev->model->read(dev, offset, width[how % 4], data);
}

/* A field of entry `i` of a table of descriptors. */
static inline void any_field(struct input *in, uint64_t table)
{
	static const uint8_t at[] = {0, 8, 12, 14}, bytes[] = {8, 4, 2, 2};
	uint64_t gpa = table + take(in, 1) % NUM * 16, v = take(in, 8);
	unsigned int field = take(in, 1) % 4;

	poke(gpa + at[field], &v, bytes[field]);
}

#endif
