/*
 * The virtio transport and its queues against a driver that breaks one rule at a time: each breach
 * ends in NEEDS_RESET or an ignored write, never in a byte written outside RAM, and a reset brings
 * the device back.
 */
#include "vmm_virtqueue_driver.h"
#include "../host/unit.h"

static struct rig rig;
static struct device *dev;
static int fd;
static struct drv_queue q;

static void start(void)
{
	rig_init(&rig);
	fd = disk_file();
	dev = disk_create(&rig, fd, 1, false, false);
}

static void stop(void)
{
	CU_ASSERT(disk_tail_intact(fd));
	dev->model->destroy(dev);
	rig_exit(&rig);
}

static void test_identity(void)
{
	uint64_t features = 0, before;
	uint8_t wide[8];

	start();
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_VERSION), 2);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_DEVICE_ID), 2);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_QUEUE_NUM_MAX), 256);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_VENDOR_ID), 0x4d564d4d);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_SHM_LEN_LOW), 0xffffffff); /* none */
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_SHM_LEN_HIGH), 0xffffffff);
	reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, 1);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	for (uint32_t i = 0; i < 3; i++) {
		reg_write(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, i);
		if (i < 2)
			features |= (uint64_t)reg_read(dev, VIRTIO_MMIO_DEVICE_FEATURES) << 32 * i;
		else
			CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	}
	CU_ASSERT((features & VERSION_1) != 0);
	CU_ASSERT(features & EVENT_IDX);
	CU_ASSERT(features & INDIRECT);
	CU_ASSERT(features & 1ull << VIRTIO_BLK_F_FLUSH);
	CU_ASSERT(features & 1ull << VIRTIO_BLK_F_DISCARD);
	CU_ASSERT(features & 1ull << VIRTIO_BLK_F_WRITE_ZEROES);
	CU_ASSERT(!(features & 1ull << VIRTIO_BLK_F_RO));
	CU_ASSERT_EQUAL(errors(dev), 0);

	/* Registers know one width. */
	before = errors(dev);
	memset(wide, 0, sizeof(wide));
	dev->model->read(dev, VIRTIO_MMIO_MAGIC_VALUE, 2, wide);
	CU_ASSERT(wide[0] == 0xff && wide[1] == 0xff && wide[2] == 0);
	dev->model->read(dev, VIRTIO_MMIO_MAGIC_VALUE, 8, wide);
	CU_ASSERT(wide[0] == 0xff && wide[7] == 0xff);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_MAGIC_VALUE + 2), 0xffffffff);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_QUEUE_NOTIFY), 0xffffffff); /* write-only */
	CU_ASSERT_EQUAL(reg_read(dev, 0x0f8), 0xffffffff);		      /* none */
	CU_ASSERT_EQUAL(errors(dev), before + 5);
	dev->model->write(dev, VIRTIO_MMIO_STATUS, 2, "\1\0");
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_STATUS), 0);
	reg_write(dev, VIRTIO_MMIO_MAGIC_VALUE, 1);
	CU_ASSERT_EQUAL(errors(dev), before + 7);
	stop();
}

static void test_config_space(void)
{
	struct virtio_blk_config cfg;
	uint64_t capacity = 0, before;
	uint16_t half;
	uint8_t byte;
	const uint64_t base = VIRTIO_MMIO_CONFIG;

	start();
	for (unsigned int i = 0; i < sizeof(cfg); i++)
		dev->model->read(dev, base + i, 1, (uint8_t *)&cfg + i);
	CU_ASSERT_EQUAL(cfg.capacity, DISK_SECTORS);
	CU_ASSERT_EQUAL(cfg.seg_max, 254);
	CU_ASSERT_EQUAL(cfg.num_queues, 1);
	dev->model->read(dev, base, 8, &capacity);
	CU_ASSERT_EQUAL(capacity, DISK_SECTORS);
	CU_ASSERT_EQUAL(reg_read(dev, base), DISK_SECTORS);
	dev->model->read(dev, base, 2, &half);
	CU_ASSERT_EQUAL(half, DISK_SECTORS & 0xffff);
	CU_ASSERT_EQUAL(errors(dev), 0);

	before = errors(dev);
	CU_ASSERT_EQUAL(reg_read(dev, base + 2), 0xffffffff); /* misaligned */
	dev->model->read(dev, base + sizeof(cfg), 1, &byte);  /* past the end */
	CU_ASSERT_EQUAL(byte, 0xff);
	CU_ASSERT_EQUAL(reg_read(dev, 0xffc), 0xffffffff);
	reg_write(dev, base, 0); /* not writable */
	CU_ASSERT_EQUAL(reg_read(dev, base), DISK_SECTORS);
	CU_ASSERT_EQUAL(errors(dev), before + 4);
	stop();
}

static void test_resize_changes_generation(void)
{
	uint32_t generation;

	start();
	generation = reg_read(dev, VIRTIO_MMIO_CONFIG_GENERATION);
	virtio_blk_resize(dev, DISK_SIZE / 2);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_CONFIG_GENERATION), generation + 1);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 0); /* no driver yet */
	drv_start(&q, &rig, dev, 8, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, DISK_SECTORS / 2 - 1, 0xa0000, 512), 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, DISK_SECTORS / 2, 0xa0000, 512), 1);
	rig.irq.line.raised = 0;
	reg_write(dev, VIRTIO_MMIO_INTERRUPT_ACK, 3);
	virtio_blk_resize(dev, DISK_SIZE);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_CONFIG_GENERATION), generation + 2);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 1);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_CONFIG), DISK_SECTORS);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, DISK_SECTORS / 2, 0xa0000, 512), 0);
	stop();
}

static void test_status_moves_forward_only(void)
{
	uint64_t before;

	start();
	before = errors(dev);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER & ~ST_ACK); /* out of order */
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_STATUS), 0);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_ACK);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER_OK); /* skips FEATURES_OK */
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_STATUS), ST_ACK);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_ACK); /* clears a bit */
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_STATUS), ST_DRIVER);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER | 0x10); /* reserved bit */
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_STATUS), ST_DRIVER);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER | ST_NEEDS_RESET); /* the device's bit */
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_STATUS), ST_DRIVER);
	CU_ASSERT_EQUAL(errors(dev), before + 4);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER | VIRTIO_CONFIG_S_FAILED);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_STATUS), ST_DRIVER | VIRTIO_CONFIG_S_FAILED);
	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_STATUS), 0);
	stop();
}

static void test_features_are_checked_and_frozen(void)
{
	uint64_t before;

	start();
	CU_ASSERT_EQUAL(drv_features(dev, 0), ST_DRIVER); /* no VERSION_1 */
	CU_ASSERT_EQUAL(drv_features(dev, VERSION_1 | 1ull << 40), ST_DRIVER);
	CU_ASSERT_EQUAL(drv_features(dev, VERSION_1 | 1ull << VIRTIO_BLK_F_RO), ST_DRIVER);
	CU_ASSERT_EQUAL(drv_features(dev, VERSION_1 | INDIRECT), ST_FEATURES_OK);
	before = errors(dev);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, 0); /* too late */
	CU_ASSERT_EQUAL(errors(dev), before + 1);
	/* INDIRECT is still in force. */
	drv_queue_init(&q, &rig, dev, 0, 8);
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER_OK);
	drv_request(&q, 1, META, VIRTIO_BLK_T_FLUSH, 0, 0, 0);
	drv_desc(&q, 1, META, 16, VRING_DESC_F_NEXT, 1);
	memcpy(at(&rig, 0xa0000), &q.desc[1], 16);
	memcpy(at(&rig, 0xa0010), &q.desc[3], 16);
	drv_desc(&q, 0, 0xa0000, 32, VRING_DESC_F_INDIRECT, 0);
	drv_avail(&q, 0);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 1);
	/* Words past the second hold no feature: zero is fine, anything else is not. */
	drv_features(dev, VERSION_1);
	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
	before = errors(dev);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, 0);
	CU_ASSERT_EQUAL(errors(dev), before);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	CU_ASSERT_EQUAL(errors(dev), before + 1);
	stop();
}

/** Whether the worker is told to look at queue 0; takes the doorbell. */
static bool kicked(void)
{
	struct pollfd p = {.fd = dev->notify_fd[0], .events = POLLIN};
	eventfd_t n;

	return poll(&p, 1, 0) == 1 && !eventfd_read(p.fd, &n);
}

static void test_nothing_is_served_before_driver_ok(void)
{
	start();
	drv_features(dev, VERSION_1);
	drv_queue_init(&q, &rig, dev, 0, 8);
	drv_request(&q, 0, META, VIRTIO_BLK_T_IN, 0, 0xa0000, 512);
	drv_avail(&q, 0);
	drv_notify(&q);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 0);
	CU_ASSERT_EQUAL(used_idx(&q), 0);
	kicked(); /* the worker took that doorbell, and found nothing that it may serve */
	reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER_OK);
	CU_ASSERT(kicked());
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 1);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, META + 16), 0);
	/* Nor after the queue was stopped. */
	reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 0);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_QUEUE_READY), 0);
	drv_avail(&q, 0);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 0);
	stop();
}

static void test_queue_registers_are_guarded(void)
{
	uint64_t before;

	start();
	drv_start(&q, &rig, dev, 8, 0);
	before = errors(dev);
	reg_write(dev, VIRTIO_MMIO_QUEUE_NUM, 16); /* ready: frozen */
	reg_write(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, 0);
	reg_write(dev, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 1);
	reg_write(dev, VIRTIO_MMIO_QUEUE_USED_LOW, 0);
	reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 1); /* twice */
	reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 2);
	reg_write(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 1); /* no such queue */
	reg_write(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0xffffffff);
	reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, 7);
	reg_write(dev, VIRTIO_MMIO_QUEUE_NUM, 8);
	reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_QUEUE_READY), 0);
	CU_ASSERT_EQUAL(errors(dev), before + 10);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, 0, 0xa0000, 512), 0);

	/* Ready before FEATURES_OK is ignored. */
	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
	drv_ring_at(dev, 0, 8, 0x10000, 0x14000, 0x18000);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_QUEUE_READY), 0);
	stop();
}

static void test_bad_rings_are_refused(void)
{
	static const struct {
		uint32_t num;
		uint64_t desc, avail, used;
	} bad[] = {
		{0, 0x10000, 0x14000, 0x18000},
		{3, 0x10000, 0x14000, 0x18000},
		{512, 0x10000, 0x14000, 0x18000},
		{0x80000000, 0x10000, 0x14000, 0x18000},
		{8, 0x10008, 0x14000, 0x18000}, /* alignment */
		{8, 0x10000, 0x14001, 0x18000},
		{8, 0x10000, 0x14000, 0x18002},
		{8, 0x300000, 0x14000, 0x18000}, /* outside RAM */
		{8, 0x10000, 0x300000, 0x18000},
		{8, 0x10000, 0x14000, 0x300000},
		{8, 0xfffffffffffffff0, 0x14000, 0x18000}, /* wraps */
		{8, 0x10000, 0xfffffffffffffffe, 0x18000},
		{8, 0x10000, 0x14000, 0xfffffffffffffffc},
		{8, 2 * MIB - 112, 0x14000, 0x18000}, /* one descriptor too long */
		{8, 0x10000, 2 * MIB - 20, 0x18000},  /* used_event outside */
		{8, 0x10000, 0x14000, 2 * MIB - 68},  /* avail_event outside */
	};

	start();
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(drv_features(dev, VERSION_1), ST_FEATURES_OK);
		drv_ring_at(dev, 0, bad[i].num, bad[i].desc, bad[i].avail, bad[i].used);
		CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_QUEUE_READY), 0);
		CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_STATUS), ST_FEATURES_OK | ST_NEEDS_RESET);
		reg_write(dev, VIRTIO_MMIO_STATUS, ST_DRIVER_OK);
		CU_ASSERT_EQUAL(virtio_blk_poll(dev), 0);
	}
	/* The last byte of RAM is still RAM. */
	CU_ASSERT_EQUAL(drv_features(dev, VERSION_1), ST_FEATURES_OK);
	drv_ring_at(dev, 0, 8, 2 * MIB - 128, 0x14000, 2 * MIB - 200);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_QUEUE_READY), 1);
	stop();
}

static void test_chains_of_every_shape(void)
{
	struct virtio_blk_outhdr hdr = {.type = VIRTIO_BLK_T_IN, .sector = 3};
	uint8_t *data, *p;
	uint32_t len;
	uint64_t before;

	start();
	drv_start(&q, &rig, dev, 16, INDIRECT);
	before = errors(dev);
	data = at(&rig, 0xa0000);

	/* Header in two pieces, data in three, status in a segment of its own. */
	memcpy(at(&rig, 0x91000), &hdr, 16);
	drv_desc(&q, 0, 0x91000, 5, VRING_DESC_F_NEXT, 7);
	drv_desc(&q, 7, 0x91005, 11, VRING_DESC_F_NEXT, 2);
	drv_desc(&q, 2, 0xa0000, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 9);
	drv_desc(&q, 9, 0xa0001, 1000, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 3);
	drv_desc(&q, 3, 0xa03e9, 23, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 4);
	drv_desc(&q, 4, 0x91020, 1, VRING_DESC_F_WRITE, 0);
	drv_avail(&q, 0);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 1);
	CU_ASSERT_EQUAL(drv_used(&q, &len), 0);
	CU_ASSERT_EQUAL(len, 1025);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, 0x91020), 0);
	for (unsigned int i = 0; i < 1024; i++)
		CU_ASSERT_EQUAL_FATAL(data[i], disk_byte(3 * 512 + i));

	/* Header and data in one out segment, for a write. */
	hdr = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_OUT, .sector = 5};
	memcpy(at(&rig, 0x91000), &hdr, 16);
	memset(at(&rig, 0x91010), 0x42, 512);
	drv_desc(&q, 5, 0x91000, 528, VRING_DESC_F_NEXT, 6);
	drv_desc(&q, 6, 0x91300, 1, VRING_DESC_F_WRITE, 0);
	drv_avail(&q, 5);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 1);
	CU_ASSERT_EQUAL(drv_used(&q, &len), 5);
	CU_ASSERT_EQUAL(len, 1);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, 0x91300), 0);

	/* Data and status in one in segment, running over two RAM regions, through an indirect
	 * table at an odd address behind a direct descriptor. */
	hdr = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN, .sector = 5};
	memcpy(at(&rig, 0x91000), &hdr, 16);
	q.desc[1] = (struct vring_desc){
		.addr = MIB - 100, .len = 513, .flags = VRING_DESC_F_WRITE, .next = 99};
	memcpy(at(&rig, 0x92003), &q.desc[1], 16);
	drv_desc(&q, 0, 0x91000, 16, VRING_DESC_F_NEXT, 8);
	drv_desc(&q, 8, 0x92003, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	drv_avail(&q, 0);
	clear_dirty(&rig);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 1);
	CU_ASSERT_EQUAL(drv_used(&q, &len), 0);
	CU_ASSERT_EQUAL(len, 513);
	p = at(&rig, MIB - 100);
	for (unsigned int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL_FATAL(p[i], 0x42);
	p = at(&rig, MIB);
	for (unsigned int i = 0; i < 412; i++)
		CU_ASSERT_EQUAL_FATAL(p[i], 0x42);
	CU_ASSERT_EQUAL(p[412], 0); /* status */
	CU_ASSERT(page_dirty(&rig, MIB - 100));
	CU_ASSERT(page_dirty(&rig, MIB));
	CU_ASSERT(page_dirty(&rig, 0x18000)); /* used ring */
	CU_ASSERT_EQUAL(count_dirty(&rig), 3);
	CU_ASSERT_EQUAL(errors(dev), before);
	stop();
}

/* ---- hostile chains ----------------------------------------------- */

static void put_table(uint64_t gpa, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags,
		      uint16_t next)
{
	struct vring_desc d = {.addr = addr, .len = len, .flags = flags, .next = next};

	memcpy(at(&rig, gpa + 16 * i), &d, 16);
}

#define TABLE 0xb0000ull
#define NEXT  VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define IND   VRING_DESC_F_INDIRECT

/*
 * Each case starts from a good request at descriptors 0, 1, 2, and the same one in an indirect
 * table of three, and breaks one rule: but for that rule, the chain would be served. Just behind
 * the descriptor table lies what would fit.
 */
static void spoil_chain(unsigned int which)
{
	switch (which) {
	case 0: /* head outside the table */
		drv_desc(&q, 8, META, 16, NEXT, 1);
		q.avail->ring[1] = 8;
		break;
	case 1:
		q.avail->ring[1] = 0xffff;
		break;
	case 2: /* available index too far ahead */
		q.avail->idx = 10;
		break;
	case 3:
		q.avail->idx = 0xffff;
		break;
	case 4: /* next outside the table */
		drv_desc(&q, 8, 0xa0000, 512, NEXT | WRITE, 2);
		q.desc[0].next = 8;
		break;
	case 5:
		q.desc[1].next = 0xffff;
		break;
	case 6: /* a loop of one, and of two */
		q.desc[0].next = 0;
		break;
	case 7:
		q.desc[1].next = 0;
		q.desc[1].flags = NEXT;
		break;
	case 8: /* a loop among in descriptors */
		q.desc[2].flags |= NEXT;
		q.desc[2].next = 1;
		break;
	case 9: /* out after in */
		q.desc[2].flags |= NEXT;
		q.desc[2].next = 3;
		drv_desc(&q, 3, 0xa4000, 16, 0, 0);
		break;
	case 10: /* no length */
		q.desc[1].len = 0;
		break;
	case 11: /* the hole */
		q.desc[1].addr = 2 * MIB;
		break;
	case 12: /* the last byte is outside */
		q.desc[1].addr = 2 * MIB - 511;
		break;
	case 13: /* wraps */
		q.desc[1].addr = ~0ull - 255;
		break;
	case 14: /* huge */
		q.desc[1].len = 0xffffffff;
		break;
	case 15: /* header outside */
		q.desc[0].addr = 0xd0000000;
		break;
	case 16: /* header too short */
		q.desc[0].len = 15;
		break;
	case 17: /* nothing to write the status into */
		q.desc[1].flags = 0;
		break;
	case 18: /* nothing to read */
		q.desc[0].flags |= WRITE;
		break;
	}
}

/* The same in indirect tables. */
static void spoil_table(unsigned int which)
{
	switch (which) {
	case 19: /* indirect: empty, odd length, too long, outside */
		drv_desc(&q, 0, TABLE, 0, IND, 0);
		break;
	case 20:
		drv_desc(&q, 0, TABLE, 49, IND, 0);
		break;
	case 21:
		drv_desc(&q, 0, TABLE, 257 * 16, IND, 0);
		break;
	case 22:
		drv_desc(&q, 0, 2 * MIB - 16, 32, IND, 0);
		break;
	case 23:
		drv_desc(&q, 0, TABLE, 0xfffffff0, IND, 0);
		break;
	case 24: /* INDIRECT and NEXT together */
		drv_desc(&q, 0, TABLE, 48, IND | NEXT, 1);
		break;
	case 25: /* a table within a table */
		drv_desc(&q, 0, TABLE, 48, IND, 0);
		put_table(TABLE, 1, 0xa0000, 512, IND | NEXT | WRITE, 2);
		break;
	case 26: /* next outside the indirect table, though inside the ring */
		drv_desc(&q, 0, TABLE, 32, IND, 0);
		put_table(TABLE, 0, META, 16, NEXT, 2);
		break;
	case 27: /* a loop inside */
		drv_desc(&q, 0, TABLE, 48, IND, 0);
		put_table(TABLE, 1, 0xa0000, 512, NEXT | WRITE, 1);
		break;
	case 28: /* the data of a table outside */
		drv_desc(&q, 0, TABLE, 32, IND, 0);
		put_table(TABLE, 0, META, 16, NEXT, 1);
		put_table(TABLE, 1, 0x7ffffffffffff000, 4096, WRITE, 0);
		break;
	case 29: /* a table too late: the descriptors before it fill the chain */
		drv_desc(&q, 0, META, 16, NEXT, 1);
		for (uint16_t i = 1; i < 8; i++)
			drv_desc(&q, i, 0xa0000, 1, NEXT | WRITE, i + 1);
		break;
	}
}

static void spoil(unsigned int which)
{
	spoil_chain(which);
	spoil_table(which);
}
#define SPOILERS 30

static void put_good_request(void)
{
	drv_request(&q, 0, META, VIRTIO_BLK_T_IN, 0, 0xa0000, 512);
	put_table(TABLE, 0, META, 16, NEXT, 1);
	put_table(TABLE, 1, 0xa0000, 512, NEXT | WRITE, 2);
	put_table(TABLE, 2, META + 16, 1, WRITE, 0);
}

static void test_hostile_chains_need_reset(void)
{
	uint8_t *data;

	start();
	data = at(&rig, 0xa0000);
	for (unsigned int i = 0; i < SPOILERS; i++) {
		drv_start(&q, &rig, dev, 8, INDIRECT);
		put_good_request();
		drv_desc(&q, 0, TABLE, 48, IND, 0);
		drv_avail(&q, 0);
		CU_ASSERT_EQUAL(virtio_blk_poll(dev), 1);
		reg_write(dev, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
		CU_ASSERT_EQUAL(rig.irq.line.raised, 1);
		memset(data, 0x77, 1024);

		put_good_request();
		drv_avail(&q, 0);
		spoil(i);
		CU_ASSERT_EQUAL(virtio_blk_poll(dev), 0);
		CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_STATUS), ST_DRIVER_OK | ST_NEEDS_RESET);
		CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS),
				VIRTIO_MMIO_INT_CONFIG);
		CU_ASSERT_EQUAL(rig.irq.line.raised, 2);
		CU_ASSERT_EQUAL(used_idx(&q), 1);
		/* It stays so until a reset, though the chain be mended and the doorbell rung. */
		put_good_request();
		q.avail->ring[1] = 0;
		q.avail->idx = q.next_avail;
		drv_notify(&q);
		CU_ASSERT_EQUAL(virtio_blk_poll(dev), 0);
		CU_ASSERT_EQUAL(rig.irq.line.raised, 2);
		for (unsigned int k = 0; k < 1024; k++)
			CU_ASSERT_EQUAL_FATAL(data[k], 0x77);
	}
	drv_start(&q, &rig, dev, 8, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_IN, 0, 0xa0000, 512), 0);
	/* Indirect without having asked for it. */
	drv_desc(&q, 0, TABLE, 32, IND, 0);
	put_table(TABLE, 0, META, 16, NEXT, 1);
	put_table(TABLE, 1, META + 16, 1, WRITE, 0);
	drv_avail(&q, 0);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 0);
	CU_ASSERT(reg_read(dev, VIRTIO_MMIO_STATUS) & ST_NEEDS_RESET);
	stop();
}

/* What came before the bad chain was served and is reported. */
static void test_good_chains_before_a_bad_one(void)
{
	start();
	drv_start(&q, &rig, dev, 8, 0);
	drv_request(&q, 0, META, VIRTIO_BLK_T_IN, 0, 0xa0000, 512);
	drv_avail(&q, 0);
	drv_avail(&q, 0);
	drv_avail(&q, 77);
	drv_avail(&q, 0);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 2);
	CU_ASSERT_EQUAL(used_idx(&q), 2);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 2);
	stop();
}

static void test_longest_chain(void)
{
	start();
	drv_start(&q, &rig, dev, 256, INDIRECT);
	/* 256 direct descriptors: header, 254 of 2 bytes, status: 508 bytes are no sector. */
	drv_request(&q, 0, META, VIRTIO_BLK_T_IN, 0, 0xa0000, 2);
	for (uint16_t i = 1; i < 255; i++)
		drv_desc(&q, i, 0xa0000 + 2 * i, 2, NEXT | WRITE, i + 1);
	drv_desc(&q, 255, META + 16, 1, WRITE, 0);
	drv_avail(&q, 0);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 1);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, META + 16), VIRTIO_BLK_S_IOERR);
	/* 256 indirect ones: 253 of 4 bytes and one of 12 are two sectors. */
	put_table(TABLE, 0, META, 16, NEXT, 1);
	for (uint16_t i = 1; i < 255; i++)
		put_table(TABLE, i, 0xa0000 + 4 * i, i == 254 ? 12 : 4, NEXT | WRITE, i + 1);
	put_table(TABLE, 255, META + 16, 1, WRITE, 0);
	drv_desc(&q, 0, TABLE, 256 * 16, IND, 0);
	drv_avail(&q, 0);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 1);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, META + 16), VIRTIO_BLK_S_OK);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, 0xa0004 + 1023), disk_byte(1023));
	stop();
}

/* ---- interrupts and doorbells ------------------------------------- */

static void test_interrupts_by_flag(void)
{
	start();
	drv_start(&q, &rig, dev, 8, 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_FLUSH, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 1);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	reg_write(dev, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	q.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_FLUSH, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 1);
	CU_ASSERT_EQUAL(reg_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	CU_ASSERT_EQUAL(q.used->flags, 0); /* idle: wants doorbells */
	clear_dirty(&rig);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 0); /* the flags were written, if only for a moment */
	CU_ASSERT(page_dirty(&rig, QUEUE_BASE(0) + 0x8000));
	stop();
}

static void test_interrupts_by_event_index(void)
{
	start();
	drv_start(&q, &rig, dev, 8, EVENT_IDX);
	q.avail->flags = VRING_AVAIL_F_NO_INTERRUPT; /* means nothing now */
	*used_event(&q) = 0;			     /* the first completion, please */
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_FLUSH, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 1);
	CU_ASSERT_EQUAL(*avail_event(&q), 1); /* and the device wants the next doorbell */
	*used_event(&q) = 3;		      /* completions 1 and 2 are not interesting */
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_FLUSH, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_FLUSH, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 1);
	CU_ASSERT_EQUAL(drv_do(&q, VIRTIO_BLK_T_FLUSH, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 2);
	/* A batch of six is one interrupt. */
	*used_event(&q) = 4;
	drv_request(&q, 0, META, VIRTIO_BLK_T_FLUSH, 0, 0, 0);
	for (int i = 0; i < 6; i++)
		drv_avail(&q, 0);
	CU_ASSERT_EQUAL(virtio_blk_poll(dev), 6);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 3);
	CU_ASSERT_EQUAL(*avail_event(&q), 10);
	stop();
}

static void test_indices_wrap(void)
{
	unsigned int n = 0;

	start();
	drv_start(&q, &rig, dev, 4, EVENT_IDX);
	for (; n < 66000; n++) {
		*used_event(&q) = q.next_used;
		if (drv_do(&q, VIRTIO_BLK_T_IN, n % DISK_SECTORS, 0xa0000, 512) != 0)
			break;
		if (*(uint8_t *)at(&rig, 0xa0000) != disk_byte(n % DISK_SECTORS * 512ull))
			break;
	}
	CU_ASSERT_EQUAL(n, 66000);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 66000);
	CU_ASSERT_EQUAL(errors(dev), 0);
	stop();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(test_identity),
		UNIT_CASE(test_config_space),
		UNIT_CASE(test_resize_changes_generation),
		UNIT_CASE(test_status_moves_forward_only),
		UNIT_CASE(test_features_are_checked_and_frozen),
		UNIT_CASE(test_nothing_is_served_before_driver_ok),
		UNIT_CASE(test_queue_registers_are_guarded),
		UNIT_CASE(test_bad_rings_are_refused),
		UNIT_CASE(test_chains_of_every_shape),
		UNIT_CASE(test_hostile_chains_need_reset),
		UNIT_CASE(test_good_chains_before_a_bad_one),
		UNIT_CASE(test_longest_chain),
		UNIT_CASE(test_interrupts_by_flag),
		UNIT_CASE(test_interrupts_by_event_index),
		UNIT_CASE(test_indices_wrap),
	};

	return unit_run("virtio transport and queues", cases, sizeof(cases) / sizeof(cases[0]));
}
