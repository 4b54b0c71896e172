/*
 * A guest for device tests: RAM between guard pages, an interrupt line that counts, and a small
 * virtio driver that can do everything right or exactly one thing wrong.
 *
 *   gpa  0x0        0x100000      0x200000            4 GiB
 *        [ region 0 ][ region 1 ]   (hole)             [ region 2 ]
 *   Regions 0 and 1 touch, as two nodes' memory does. Around each mapping stand pages that cannot
 *   be touched, so that a byte outside guest RAM ends the test program.
 */
#ifndef VMM_VIRTQUEUE_DRIVER_H
#define VMM_VIRTQUEUE_DRIVER_H

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "devices/devices.h"

#define MIB	   (1ull << 20)
#define HIGH_BASE  (4ull << 30)
#define RAM_PAGES  (MIB / 4096)
#define DIRTY_LONG (RAM_PAGES / (8 * sizeof(unsigned long)))

struct test_irq {
	struct irq_line line;
	int fd; /* counts edges, to wait on */
};

struct rig {
	struct guest_ram ram;
	unsigned long dirty[3][DIRTY_LONG];
	struct test_irq irq;
};

static inline void test_irq_raise(struct irq_line *line)
{
	struct test_irq *t = (struct test_irq *)line;

	__atomic_fetch_add(&line->raised, 1, __ATOMIC_RELAXED);
	eventfd_write(t->fd, 1);
}

static inline uint8_t *guarded_map(size_t size)
{
	uint8_t *p = mmap(NULL, size + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + 4096, size, PROT_READ | PROT_WRITE)) {
		perror("guarded_map");
		exit(2);
	}
	return p + 4096;
}

static inline void rig_init(struct rig *rig)
{
	static const uint64_t gpa[3] = {0, MIB, HIGH_BASE};

	memset(rig, 0, sizeof(*rig));
	for (int i = 0; i < 3; i++)
		rig->ram.region[i] = (struct guest_ram_region){.gpa = gpa[i],
							       .size = MIB,
							       .hva = guarded_map(MIB),
							       .dirty = rig->dirty[i]};
	rig->ram.nr = 3;
	rig->irq.line.raise = test_irq_raise;
	rig->irq.line.eventfd = -1;
	rig->irq.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static inline void rig_exit(struct rig *rig)
{
	for (int i = 0; i < 3; i++)
		munmap(rig->ram.region[i].hva - 4096, MIB + 8192);
	close(rig->irq.fd);
}

static inline void *at(struct rig *rig, uint64_t gpa)
{
	return guest_ram_ptr(&rig->ram, gpa, 1);
}

static inline bool page_dirty(const struct rig *rig, uint64_t gpa)
{
	for (unsigned int i = 0; i < rig->ram.nr; i++) {
		const struct guest_ram_region *r = &rig->ram.region[i];
		uint64_t p = (gpa - r->gpa) / 4096;

		if (gpa >= r->gpa && gpa - r->gpa < r->size)
			return r->dirty[p / 64] >> p % 64 & 1;
	}
	return false;
}

static inline unsigned int count_dirty(const struct rig *rig)
{
	unsigned int n = 0;

	for (int i = 0; i < 3; i++)
		for (unsigned int w = 0; w < DIRTY_LONG; w++)
			n += (unsigned int)__builtin_popcountl(rig->dirty[i][w]);
	return n;
}

static inline void clear_dirty(struct rig *rig)
{
	memset(rig->dirty, 0, sizeof(rig->dirty));
}

static inline struct device_env rig_env(struct rig *rig, const char *role)
{
	return (struct device_env){.role = role,
				   .base = 0xd0000000,
				   .gsi = 8,
				   .irq = &rig->irq.line,
				   .ram = &rig->ram};
}

static inline uint32_t reg_read(struct device *dev, uint64_t offset)
{
	uint32_t v = 0x5a5a5a5a;

	dev->model->read(dev, offset, 4, &v);
	return v;
}
static inline void reg_write(struct device *dev, uint64_t offset, uint32_t v)
{
	dev->model->write(dev, offset, 4, &v);
}
static inline uint64_t errors(const struct device *dev)
{
	return __atomic_load_n(&dev->guest_errors, __ATOMIC_RELAXED);
}

/* Wait up to ten seconds for an edge; true when one came. */
static inline bool wait_irq(struct rig *rig)
{
	struct pollfd p = {.fd = rig->irq.fd, .events = POLLIN};
	eventfd_t n;

	return poll(&p, 1, 10000) == 1 && eventfd_read(rig->irq.fd, &n) == 0;
}

/* A small generator, one state a thread. */
static inline uint32_t noise(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

/* ---- the driver --------------------------------------------------- */

#define VERSION_1 (1ull << VIRTIO_F_VERSION_1)
#define EVENT_IDX (1ull << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT  (1ull << VIRTIO_RING_F_INDIRECT_DESC)

#define ST_ACK	       VIRTIO_CONFIG_S_ACKNOWLEDGE
#define ST_DRIVER      (ST_ACK | VIRTIO_CONFIG_S_DRIVER)
#define ST_FEATURES_OK (ST_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define ST_DRIVER_OK   (ST_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)
#define ST_NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET

#define QUEUE_BASE(q) (0x10000ull + 0x10000 * (q)) /* rings of queue q, in region 0 */

struct drv_queue {
	struct rig *rig;
	struct device *dev;
	unsigned int index, num;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t next_avail, next_used;
};

static inline uint16_t *used_event(struct drv_queue *q)
{
	return &q->avail->ring[q->num];
}
static inline uint16_t *avail_event(struct drv_queue *q)
{
	return (uint16_t *)&q->used->ring[q->num];
}

/* Reset and negotiate up to FEATURES_OK. Returns the status read back. */
static inline uint32_t drv_features(struct device *dev, uint64_t features)
{
	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_ACK);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER);
	for (uint32_t i = 0; i < 2; i++) {
		reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
	}
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_FEATURES_OK);
	return reg_read(dev, VIRTIO_MMIO_STATUS);
}

static inline void set_addr(struct device *dev, uint64_t low_reg, uint64_t gpa)
{
	reg_write(dev, low_reg, (uint32_t)gpa);
	reg_write(dev, low_reg + 4, (uint32_t)(gpa >> 32));
}

/* Tell the device where a ring of `num` is: everything at chosen addresses. */
static inline void drv_ring_at(struct device *dev, unsigned int q, uint32_t num, uint64_t desc,
			       uint64_t avail, uint64_t used)
{
	reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, q);
	reg_write(dev, VIRTIO_MMIO_QUEUE_NUM, num);
	set_addr(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, desc);
	set_addr(dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, avail);
	set_addr(dev, VIRTIO_MMIO_QUEUE_USED_LOW, used);
	reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 1);
}

static inline void drv_queue_init(struct drv_queue *q, struct rig *rig, struct device *dev,
				  unsigned int index, unsigned int num)
{
	uint64_t base = QUEUE_BASE(index);

	memset(at(rig, base), 0, 0x10000);
	*q = (struct drv_queue){.rig = rig,
				.dev = dev,
				.index = index,
				.num = num,
				.desc = at(rig, base),
				.avail = at(rig, base + 0x4000),
				.used = at(rig, base + 0x8000)};
	drv_ring_at(dev, index, num, base, base + 0x4000, base + 0x8000);
}

/* Reset, negotiate, one queue, DRIVER_OK. */
static inline void drv_start(struct drv_queue *q, struct rig *rig, struct device *dev,
			     unsigned int num, uint64_t features)
{
	eventfd_t n;

	CU_ASSERT_EQUAL(drv_features(dev, features | VERSION_1), ST_FEATURES_OK);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	drv_queue_init(q, rig, dev, 0, num);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER_OK);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_STATUS), ST_DRIVER_OK);
	eventfd_read(rig->irq.fd, &n);
	rig->irq.line.raised = 0;
}

static inline void drv_desc(struct drv_queue *q, unsigned int i, uint64_t addr, uint32_t len,
			    uint16_t flags, uint16_t next)
{
	q->desc[i] = (struct vring_desc){.addr = addr, .len = len, .flags = flags, .next = next};
}

/* Make the chain at `head` available; no doorbell. */
static inline void drv_avail(struct drv_queue *q, uint16_t head)
{
	q->avail->ring[q->next_avail % q->num] = head;
	q->next_avail++;
	__atomic_store_n(&q->avail->idx, q->next_avail, __ATOMIC_RELEASE);
}

static inline void drv_notify(struct drv_queue *q)
{
	reg_write(q->dev, VIRTIO_MMIO_QUEUE_NOTIFY, q->index);
}

static inline uint16_t used_idx(struct drv_queue *q)
{
	return __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
}

/* Take the next completion: its head, or -1 when there is none. */
static inline int drv_used(struct drv_queue *q, uint32_t *len)
{
	struct vring_used_elem *e = &q->used->ring[q->next_used % q->num];

	if (used_idx(q) == q->next_used)
		return -1;
	q->next_used++;
	if (len)
		*len = e->len;
	return (int)e->id;
}

/* A disk request in three descriptors from `head`: header and status in the page at `meta`. */
static inline void drv_request(struct drv_queue *q, uint16_t head, uint64_t meta, uint32_t type,
			       uint64_t sector, uint64_t data, uint32_t len)
{
	struct virtio_blk_outhdr *hdr = at(q->rig, meta);
	uint16_t in =
		type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID ? VRING_DESC_F_WRITE : 0;

	*hdr = (struct virtio_blk_outhdr){.type = type, .sector = sector};
	*(uint8_t *)at(q->rig, meta + 16) = 0xee;
	drv_desc(q, head, meta, 16, VRING_DESC_F_NEXT, len ? head + 1 : head + 2);
	drv_desc(q, head + 1, data, len, VRING_DESC_F_NEXT | in, head + 2);
	drv_desc(q, head + 2, meta + 16, 1, VRING_DESC_F_WRITE, 0);
}

#define META 0x90000ull /* header and status of single requests, region 0 */

/* One request, served on this thread. Returns its status byte, or -1 if it was not completed. */
static inline int drv_do(struct drv_queue *q, uint32_t type, uint64_t sector, uint64_t data,
			 uint32_t len)
{
	drv_request(q, 0, META, type, sector, data, len);
	drv_avail(q, 0);
	virtio_blk_poll(q->dev);
	if (drv_used(q, NULL) != 0)
		return -1;
	return *(uint8_t *)at(q->rig, META + 16);
}

/* ---- a disk whose file is longer than the disk -------------------- */

#define DISK_SIZE    (256u << 10)
#define DISK_SECTORS (DISK_SIZE / 512)
#define DISK_TAIL    8192 /* canary bytes beyond the end */

static inline uint8_t disk_byte(uint64_t offset)
{
	return (uint8_t)(offset * 7 + (offset >> 9) * 13 + 1);
}

static inline int disk_file(void)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	uint8_t buf[4096];

	for (uint64_t off = 0; off < DISK_SIZE + DISK_TAIL; off += sizeof(buf)) {
		for (unsigned int i = 0; i < sizeof(buf); i++)
			buf[i] = off < DISK_SIZE ? disk_byte(off + i) : 0xca;
		if (pwrite(fd, buf, sizeof(buf), (off_t)off) != sizeof(buf)) {
			perror("disk_file");
			exit(2);
		}
	}
	return fd;
}

/* Neither shorter nor longer, and the canary in place. */
static inline bool disk_tail_intact(int fd)
{
	uint8_t buf[DISK_TAIL];

	if (lseek(fd, 0, SEEK_END) != DISK_SIZE + DISK_TAIL ||
	    pread(fd, buf, sizeof(buf), DISK_SIZE) != sizeof(buf))
		return false;
	for (unsigned int i = 0; i < sizeof(buf); i++) {
		if (buf[i] != 0xca)
			return false;
	}
	return true;
}

static inline struct device *disk_create(struct rig *rig, int fd, unsigned int queues, bool worker,
					 bool read_only)
{
	struct device_env env = rig_env(rig, "disk0");
	struct virtio_blk_params params = {.fd = fd,
					   .size = DISK_SIZE,
					   .num_queues = queues,
					   .no_worker = !worker,
					   .read_only = read_only};
	struct device *dev = virtio_blk_create(&env, &params);

	if (!dev) {
		perror("virtio_blk_create");
		exit(2);
	}
	return dev;
}

#endif
