/*
 * The DMA engine against a small driver: what it moves, what it refuses, and that it does nothing more once
 * a reset has returned.
 */
#include "vmm_virtqueue_driver.h"
#include "../host/unit.h"
#include <pthread.h>
#include "mmvm/dmaengine.h"

static struct rig rig;
static struct device *dev;
static uint32_t head, ring_size;

#define RING 0x10000ull
#define SRC  0x40000ull
#define DST  0x50000ull

static struct mmvm_dma_desc *desc(uint32_t i)
{
	return (struct mmvm_dma_desc *)at(&rig, RING) + i % ring_size;
}

static void setup_ring(uint32_t size)
{
	ring_size = size;
	head = 0;
	reg_write(dev, MMVM_DMA_REG_CONTROL, 2);
	reg_write(dev, MMVM_DMA_REG_RING_LO, (uint32_t)RING);
	reg_write(dev, MMVM_DMA_REG_RING_HI, 0);
	reg_write(dev, MMVM_DMA_REG_RING_SIZE, size);
	reg_write(dev, MMVM_DMA_REG_CONTROL, 1);
}

static void start(uint32_t size)
{
	struct device_env env;

	rig_init(&rig);
	env = rig_env(&rig, "dma");
	dev = dma_engine_create(&env);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev);
	setup_ring(size);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_STATUS), MMVM_DMA_ST_ENABLED);
}

static void stop(void)
{
	dev->model->destroy(dev);
	rig_exit(&rig);
}

static void put(uint16_t op, uint64_t src, uint64_t dst, uint32_t len, uint64_t pattern)
{
	*desc(head++) = (struct mmvm_dma_desc){.src = src,
					       .dst = dst,
					       .len = len,
					       .op = op,
					       .flags = MMVM_DMA_F_IRQ,
					       .pattern = pattern,
					       .cookie = 0xc00c1e};
}

static bool wait_tail(uint32_t tail)
{
	for (int i = 0; i < 100000; i++) {
		if (reg_read(dev, MMVM_DMA_REG_TAIL) == tail)
			return true;
		usleep(100);
	}
	return false;
}

/* Submit what was put and wait for it; the status of the last. */
static uint32_t run(void)
{
	reg_write(dev, MMVM_DMA_REG_DOORBELL, head);
	CU_ASSERT_FATAL(wait_tail(head));
	return desc(head - 1)->status;
}

static uint32_t one(uint16_t op, uint64_t src, uint64_t dst, uint32_t len, uint64_t pattern)
{
	put(op, src, dst, len, pattern);
	return run();
}

/* FNV-1a, written down a second time. */
static uint64_t fnv(const uint8_t *p, uint64_t len)
{
	uint64_t h = 14695981039346656037ull;

	for (uint64_t i = 0; i < len; i++) {
		h ^= p[i];
		h *= 1099511628211ull;
	}
	return h;
}

static void put_bytes(uint64_t gpa, unsigned int len)
{
	uint8_t *p = at(&rig, gpa);

	for (unsigned int i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 37 + (i >> 8) + 11);
}

static void test_copy_fill_checksum(void)
{
	uint8_t *dst;

	start(8);
	dst = at(&rig, DST);
	put_bytes(SRC, 5000);
	memset(dst, 0xcc, 8192);
	CU_ASSERT_EQUAL(one(MMVM_DMA_COPY, SRC + 3, DST + 1, 4097, 0), MMVM_DMA_OK);
	CU_ASSERT(memcmp(dst + 1, at(&rig, SRC + 3), 4097) == 0);
	CU_ASSERT_EQUAL(dst[0], 0xcc);
	CU_ASSERT_EQUAL(dst[4098], 0xcc);
	CU_ASSERT_EQUAL(desc(head - 1)->checksum, fnv(dst + 1, 4097));
	CU_ASSERT_EQUAL(desc(head - 1)->cookie, 0xc00c1e);
	CU_ASSERT(page_dirty(&rig, DST));
	CU_ASSERT(page_dirty(&rig, DST + 4096));
	CU_ASSERT(page_dirty(&rig, RING));
	CU_ASSERT_EQUAL(count_dirty(&rig), 3);

	CU_ASSERT_EQUAL(one(MMVM_DMA_FILL, 0, DST + 5, 11, 0x1817161514131211ull), MMVM_DMA_OK);
	for (unsigned int i = 0; i < 11; i++)
		CU_ASSERT_EQUAL(dst[5 + i], 0x11 + i % 8);
	CU_ASSERT_EQUAL(desc(head - 1)->checksum, fnv(dst + 5, 11));

	clear_dirty(&rig);
	CU_ASSERT_EQUAL(one(MMVM_DMA_CHECKSUM, SRC, 0, 5000, 0), MMVM_DMA_OK);
	CU_ASSERT_EQUAL(desc(head - 1)->checksum, fnv(at(&rig, SRC), 5000));
	CU_ASSERT_EQUAL(count_dirty(&rig), 1); /* the ring only */

	/* Overlapping, and over the seam of two regions, at the largest length. */
	put_bytes(SRC, 4096);
	CU_ASSERT_EQUAL(one(MMVM_DMA_COPY, SRC, SRC + 1, 4095, 0), MMVM_DMA_OK);
	for (unsigned int i = 0; i < 4095; i++)
		CU_ASSERT_EQUAL_FATAL(((uint8_t *)at(&rig, SRC + 1))[i],
				      (uint8_t)(i * 37 + (i >> 8) + 11));
	CU_ASSERT_EQUAL(one(MMVM_DMA_FILL, 0, MIB - 0x1000, MMVM_DMA_LEN_MAX, 7), MMVM_DMA_OK);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, 2 * MIB - 0x1008), 7);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, 2 * MIB - 0x1000), 0);
	CU_ASSERT_EQUAL(errors(dev), 0);
	stop();
}

static void test_ring_wraps(void)
{
	unsigned int n = 0;

	start(4);
	for (; n < 2000; n++) {
		unsigned int batch = 1 + n % 4;

		for (unsigned int i = 0; i < batch; i++)
			put(MMVM_DMA_FILL, 0, DST + 64 * i, 64, n * 4ull + i);
		if (run() != MMVM_DMA_OK)
			break;
		for (unsigned int i = 0; i < batch; i++)
			if (*(uint64_t *)at(&rig, DST + 64 * i + 56) != n * 4ull + i)
				goto out;
	}
out:
	CU_ASSERT_EQUAL(n, 2000);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_TAIL), head);
	CU_ASSERT_EQUAL(head, 5000);
	stop();
}

static void test_masks(void)
{
	static const struct {
		uint32_t bits;
		uint64_t src, dst;
		uint32_t len, status;
	} t[] = {
		{24, SRC, DST, 64, MMVM_DMA_OK},
		{24, SRC, HIGH_BASE, 64, MMVM_DMA_ERR_MASK},
		{24, HIGH_BASE, DST, 64, MMVM_DMA_ERR_MASK},
		{24, SRC, 0xffffc1, 64, MMVM_DMA_ERR_MASK},    /* the last byte does not fit */
		{24, SRC, 0xffffc0, 64, MMVM_DMA_ERR_ADDRESS}, /* fits, is no RAM */
		{32, SRC, HIGH_BASE, 64, MMVM_DMA_ERR_MASK},
		{32, SRC, HIGH_BASE - 64, 64, MMVM_DMA_ERR_ADDRESS},
		{32, SRC, HIGH_BASE - 63, 64, MMVM_DMA_ERR_MASK},
		{64, SRC, HIGH_BASE, 64, MMVM_DMA_OK},
		{64, SRC, ~0ull - 63, 64, MMVM_DMA_ERR_ADDRESS},
		{64, SRC, ~0ull - 62, 64, MMVM_DMA_ERR_MASK}, /* wraps */
	};

	start(8);
	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		reg_write(dev, MMVM_DMA_REG_MASK_BITS, t[i].bits);
		CU_ASSERT_EQUAL(one(MMVM_DMA_COPY, t[i].src, t[i].dst, t[i].len, 0), t[i].status);
	}
	/* What an operation does not use is not checked: a fill has no source. */
	reg_write(dev, MMVM_DMA_REG_MASK_BITS, 24);
	CU_ASSERT_EQUAL(one(MMVM_DMA_FILL, ~0ull, DST, 64, 0), MMVM_DMA_OK);
	CU_ASSERT_EQUAL(one(MMVM_DMA_CHECKSUM, SRC, ~0ull, 64, 0), MMVM_DMA_OK);
	for (uint32_t bits = 0; bits < 70; bits++) {
		bool ok = bits == 24 || bits == 32 || bits == 64;

		reg_write(dev, MMVM_DMA_REG_MASK_BITS, 24);
		reg_write(dev, MMVM_DMA_REG_MASK_BITS, bits);
		CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_MASK_BITS), ok ? bits : 24);
	}
	stop();
}

static void test_bad_descriptors(void)
{
	start(8);
	memset(at(&rig, DST), 0x66, 4096);
	CU_ASSERT_EQUAL(one(0, SRC, DST, 64, 0), MMVM_DMA_ERR_OP);
	CU_ASSERT_EQUAL(one(4, SRC, DST, 64, 0), MMVM_DMA_ERR_OP);
	CU_ASSERT_EQUAL(one(0xffff, SRC, DST, 64, 0), MMVM_DMA_ERR_OP);
	CU_ASSERT_EQUAL(one(MMVM_DMA_COPY, SRC, DST, 0, 0), MMVM_DMA_ERR_LENGTH);
	CU_ASSERT_EQUAL(one(MMVM_DMA_COPY, 0, DST, MMVM_DMA_LEN_MAX + 1, 0), MMVM_DMA_ERR_LENGTH);
	CU_ASSERT_EQUAL(one(MMVM_DMA_COPY, 0, DST, 0xffffffff, 0), MMVM_DMA_ERR_LENGTH);
	CU_ASSERT_EQUAL(one(MMVM_DMA_COPY, 2 * MIB - 63, DST, 64, 0), MMVM_DMA_ERR_ADDRESS);
	CU_ASSERT_EQUAL(one(MMVM_DMA_COPY, SRC, 2 * MIB - 63, 64, 0), MMVM_DMA_ERR_ADDRESS);
	put(MMVM_DMA_COPY, SRC, DST, 64, 0);
	desc(head - 1)->flags = 0x8001;
	CU_ASSERT_EQUAL(run(), MMVM_DMA_ERR_OP);
	CU_ASSERT_EQUAL(errors(dev), 9);
	for (unsigned int i = 0; i < 4096; i++)
		CU_ASSERT_EQUAL_FATAL(*(uint8_t *)at(&rig, DST + i), 0x66);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_IRQ_STATUS), 3);
	reg_write(dev, MMVM_DMA_REG_IRQ_ACK, 2);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_IRQ_STATUS), 1);
	/* A bad descriptor does not stop the ring. */
	CU_ASSERT_EQUAL(one(MMVM_DMA_COPY, SRC, DST, 64, 0), MMVM_DMA_OK);
	stop();
}

static void test_interrupts(void)
{
	start(8);
	put(MMVM_DMA_FILL, 0, DST, 8, 1);
	desc(head - 1)->flags = 0;
	run();
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_IRQ_STATUS), 0);
	CU_ASSERT_EQUAL(rig.irq.line.raised, 0);
	put(MMVM_DMA_FILL, 0, DST, 8, 1);
	reg_write(dev, MMVM_DMA_REG_DOORBELL, head);
	CU_ASSERT(wait_irq(&rig));
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_TAIL), head); /* told after it was done */
	CU_ASSERT_EQUAL(desc(head - 1)->status, MMVM_DMA_OK);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_IRQ_STATUS), 1);
	reg_write(dev, MMVM_DMA_REG_IRQ_ACK, 1);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_IRQ_STATUS), 0);
	stop();
}

static void test_injected_error(void)
{
	start(8);
	memset(at(&rig, DST), 0, 64);
	reg_write(dev, MMVM_DMA_REG_FAIL_AT, 3);
	for (uint64_t i = 1; i <= 5; i++)
		put(MMVM_DMA_FILL, 0, DST + 8 * i, 8, i);
	run();
	for (uint32_t i = 1; i <= 5; i++) {
		CU_ASSERT_EQUAL(desc(i - 1)->status, i == 3 ? MMVM_DMA_ERR_INJECTED : MMVM_DMA_OK);
		CU_ASSERT_EQUAL(*(uint64_t *)at(&rig, DST + 8 * i), i == 3 ? 0 : i);
	}
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_FAIL_AT), 0);
	CU_ASSERT_EQUAL(errors(dev), 0); /* not the guest's fault */
	stop();
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void test_delay(void)
{
	uint64_t t, took = 0;

	start(8);
	reg_write(dev, MMVM_DMA_REG_DELAY_US, 1000001);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_DELAY_US), 0);
	reg_write(dev, MMVM_DMA_REG_DELAY_US, 20000);
	t = now_us();
	put(MMVM_DMA_FILL, 0, DST, 8, 1);
	put(MMVM_DMA_FILL, 0, DST, 8, 2);
	reg_write(dev, MMVM_DMA_REG_DOORBELL, head);
	CU_ASSERT(wait_tail(2));
	CU_ASSERT(now_us() - t >= 40000); /* each */
	stop();
	/* A reset does not wait for it, and nothing has happened by then. Others may run for longer than that on a busy
	 * machine: it is tried again. */
	for (int tries = 0; tries < 20; tries++) {
		start(8);
		reg_write(dev, MMVM_DMA_REG_DELAY_US, 1000000);
		memset(at(&rig, DST), 0x44, 8);
		t = now_us();
		put(MMVM_DMA_FILL, 0, DST, 8, 3);
		reg_write(dev, MMVM_DMA_REG_DOORBELL, head);
		usleep(1000);
		reg_write(dev, MMVM_DMA_REG_CONTROL, 2);
		took = now_us() - t;
		if (took < 500000)
			break;
		stop();
	}
	CU_ASSERT_FATAL(took < 500000);
	CU_ASSERT_EQUAL(desc(0)->status, MMVM_DMA_PENDING);
	CU_ASSERT_EQUAL(*(uint8_t *)at(&rig, DST), 0x44);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_DELAY_US), 0);
	stop();
}

static void test_reset_while_busy(void)
{
	unsigned int busy = 0;
	bool quiet = true;
	eventfd_t n;
	uint32_t done;

	start(64);
	/* Until it was the middle often enough: where others run, the worker may have its turn first. */
	for (unsigned int round = 0; round < 60 || (busy < 10 && round < 6000); round++) {
		setup_ring(64);
		for (unsigned int i = 0; i < 32; i++)
			put(MMVM_DMA_FILL, 0, MIB + 0x4000, 0x40000, round);
		reg_write(dev, MMVM_DMA_REG_DOORBELL, head);
		while (reg_read(dev, MMVM_DMA_REG_TAIL) < round % 8)
			;
		if (round & 1)
			reg_write(dev, MMVM_DMA_REG_CONTROL, 0);
		else
			dev->model->reset(dev);
		done = 0;
		while (done < 32 && desc(done)->status == MMVM_DMA_OK)
			done++;
		busy += done < 32;
		memset(at(&rig, MIB + 0x4000), 0x99, 0x40000);
		eventfd_read(rig.irq.fd, &n);
		usleep(500);
		for (unsigned int i = 0; i < 0x40000; i += 64)
			quiet = quiet && *((uint8_t *)at(&rig, MIB + 0x4000) + i) == 0x99;
		for (uint32_t i = done; i < 32; i++)
			quiet = quiet && desc(i)->status == MMVM_DMA_PENDING;
		quiet = quiet && eventfd_read(rig.irq.fd, &n) != 0;
		CU_ASSERT_FATAL(quiet);
		if (round & 1) { /* disabled only: it goes on where it was */
			CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_TAIL), done);
			reg_write(dev, MMVM_DMA_REG_CONTROL, 1);
			CU_ASSERT(wait_tail(32));
		}
	}
	CU_ASSERT(busy >= 10); /* it was the middle */
	stop();
}

static void test_bad_rings_halt(void)
{
	static const struct {
		uint64_t ring;
		uint32_t size;
	} bad[] = {
		{RING + 8, 8},	       /* alignment */
		{3 * MIB, 8},	       /* outside */
		{2 * MIB - 448, 8},    /* one descriptor too long */
		{~0ull - 63, 8},       /* wraps */
		{MMVM_SHARED_BASE, 8}, /* not RAM */
	};
	uint64_t before;

	start(8);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		reg_write(dev, MMVM_DMA_REG_CONTROL, 2);
		set_addr(dev, MMVM_DMA_REG_RING_LO, bad[i].ring);
		reg_write(dev, MMVM_DMA_REG_RING_SIZE, bad[i].size);
		rig.irq.line.raised = 0;
		reg_write(dev, MMVM_DMA_REG_CONTROL, 1);
		CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_STATUS), MMVM_DMA_ST_HALTED);
		CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_IRQ_STATUS), 2);
		CU_ASSERT_EQUAL(rig.irq.line.raised, 1);
		reg_write(dev, MMVM_DMA_REG_CONTROL, 1); /* stays so */
		CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_STATUS), MMVM_DMA_ST_HALTED);
	}
	/* No ring size at all. */
	reg_write(dev, MMVM_DMA_REG_CONTROL, 2);
	set_addr(dev, MMVM_DMA_REG_RING_LO, RING);
	reg_write(dev, MMVM_DMA_REG_CONTROL, 1);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_STATUS), MMVM_DMA_ST_HALTED);
	reg_write(dev, MMVM_DMA_REG_CONTROL, 2);
	before = errors(dev);
	for (uint32_t i = 0; i < 10; i++) {
		static const uint32_t size[] = {0, 1, 3, 6, 1023, 1025, 2048, 0x80000000, ~0u, 12};

		reg_write(dev, MMVM_DMA_REG_RING_SIZE, size[i]);
		CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_RING_SIZE), 0);
	}
	CU_ASSERT_EQUAL(errors(dev), before + 10);
	stop();
}

static void test_bad_doorbells(void)
{
	static const uint32_t bad[] = {9, 0x80000000, ~0u};

	for (unsigned int i = 0; i < 3; i++) {
		start(8);
		reg_write(dev, MMVM_DMA_REG_DOORBELL, bad[i]);
		CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_STATUS),
				MMVM_DMA_ST_ENABLED | MMVM_DMA_ST_HALTED);
		reg_write(dev, MMVM_DMA_REG_DOORBELL, 1); /* not any more */
		usleep(1000);
		CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_TAIL), 0);
		setup_ring(8);
		CU_ASSERT_EQUAL(one(MMVM_DMA_FILL, 0, DST, 8, 1), MMVM_DMA_OK);
		/* Backwards. */
		reg_write(dev, MMVM_DMA_REG_DOORBELL, 0);
		CU_ASSERT(reg_read(dev, MMVM_DMA_REG_STATUS) & MMVM_DMA_ST_HALTED);
		stop();
	}
}

/* Doorbells that look right by one of the two counts only, while nothing has completed yet. */
static void test_doorbells_ahead_and_behind(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		start(8);
		reg_write(dev, MMVM_DMA_REG_DELAY_US, 1000000);
		reg_write(dev, MMVM_DMA_REG_DOORBELL, 4);
		CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_STATUS), MMVM_DMA_ST_ENABLED);
		/* Eight more than the last one but twelve more than completed; or back by two. */
		reg_write(dev, MMVM_DMA_REG_DOORBELL, i ? 2 : 12);
		CU_ASSERT(reg_read(dev, MMVM_DMA_REG_STATUS) & MMVM_DMA_ST_HALTED);
		CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_TAIL), 0);
		stop();
	}
}

static void test_registers(void)
{
	uint64_t before;
	uint8_t wide[8] = {0};

	start(8);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_ID), MMVM_DMA_ID);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_VERSION), 1);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_CONTROL), 1);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_RING_HI), 0);
	reg_write(dev, MMVM_DMA_REG_CONTROL, 1); /* again: nothing happens */
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_STATUS), MMVM_DMA_ST_ENABLED);
	before = errors(dev);
	dev->model->read(dev, MMVM_DMA_REG_ID, 8, wide);
	CU_ASSERT_EQUAL(wide[7], 0xff);
	dev->model->write(dev, MMVM_DMA_REG_CONTROL, 1, "\2");
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_STATUS), MMVM_DMA_ST_ENABLED);
	CU_ASSERT_EQUAL(reg_read(dev, 2), 0xffffffff);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_DOORBELL), 0xffffffff);
	reg_write(dev, MMVM_DMA_REG_ID, 0);
	reg_write(dev, 0xffc, 0);
	reg_write(dev, MMVM_DMA_REG_CONTROL, 4);
	reg_write(dev, MMVM_DMA_REG_RING_LO, 0); /* enabled */
	reg_write(dev, MMVM_DMA_REG_RING_SIZE, 16);
	CU_ASSERT_EQUAL(errors(dev), before + 9);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_RING_LO), RING);
	CU_ASSERT_EQUAL(reg_read(dev, MMVM_DMA_REG_RING_SIZE), 8);
	stop();
}

/* Two vCPUs write registers and descriptors at random: see test_two_wild_vcpus of the disk. */
static void *wild_vcpu(void *arg)
{
	static const uint16_t reg[] = {
		MMVM_DMA_REG_CONTROL,	MMVM_DMA_REG_RING_LO,  MMVM_DMA_REG_RING_HI,
		MMVM_DMA_REG_RING_SIZE, MMVM_DMA_REG_DOORBELL, MMVM_DMA_REG_MASK_BITS,
		MMVM_DMA_REG_IRQ_ACK,	MMVM_DMA_REG_FAIL_AT,  MMVM_DMA_REG_DELAY_US};
	uint64_t state = (uintptr_t)arg;

	for (unsigned int i = 0; i < 20000; i++) {
		struct mmvm_dma_desc *d =
			(struct mmvm_dma_desc *)at(&rig, RING) + noise(&state) % 16;
		uint32_t r = noise(&state);

		if (r % 4 == 0) {
			d->src = noise(&state) % (2 * MIB + 64);
			d->dst = MIB + noise(&state) % (MIB + 64);
			d->len = noise(&state) % 5000;
			d->op = (uint16_t)(noise(&state) % 5);
			d->flags = MMVM_DMA_F_IRQ;
		} else if (r % 4 == 1) { /* mostly right */
			reg_write(dev, MMVM_DMA_REG_DOORBELL,
				  reg_read(dev, MMVM_DMA_REG_TAIL) + 1 + r / 4 % 4);
		} else if (r % 64 == 2) {
			setup_ring(16);
		} else if (r % 64 == 3) {
			reg_write(dev, reg[r / 64 % 9], noise(&state) % 128);
		} else {
			reg_read(dev, reg[r / 4 % 9]);
		}
	}
	return NULL;
}

static void test_two_wild_vcpus(void)
{
	pthread_t t[2];

	start(16);
	alarm(100);
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, wild_vcpu, (void *)(i + 1));
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT(rig.irq.line.raised > 0);
	CU_ASSERT(errors(dev) > 0);
	setup_ring(16);
	CU_ASSERT_EQUAL(one(MMVM_DMA_FILL, 0, DST, 64, 9), MMVM_DMA_OK);
	alarm(0);
	stop();
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(test_copy_fill_checksum),
		UNIT_CASE(test_ring_wraps),
		UNIT_CASE(test_masks),
		UNIT_CASE(test_bad_descriptors),
		UNIT_CASE(test_interrupts),
		UNIT_CASE(test_injected_error),
		UNIT_CASE(test_delay),
		UNIT_CASE(test_reset_while_busy),
		UNIT_CASE(test_bad_rings_halt),
		UNIT_CASE(test_bad_doorbells),
		UNIT_CASE(test_doorbells_ahead_and_behind),
		UNIT_CASE(test_registers),
		UNIT_CASE(test_two_wild_vcpus),
	};

	return unit_run("DMA engine", cases, sizeof(cases) / sizeof(cases[0]));
}
