/*
 * DMA engine (include/mmvm/dmaengine.h): copies, fills and checksums guest memory on a thread of
 * its own, within an address mask; on request it delays them or makes errors.
 *
 *   ring:   | done | done | taken | ready | ready | free |        one worker, in order
 *                          tail            ^        ^ head (doorbell)
 *
 *   take descriptor (copy) -> delay -> check -> source into buffer -> checksum -> buffer to
 *   destination -> checksum, status into the ring -> tail++ -> interrupt
 *
 * I1. A descriptor is copied once and only the copy is used. Data goes through the device's own
 *     buffer, so the checksum is that of the bytes written even if the guest changes the source
 *     meanwhile, and overlapping copies come out right.
 * I2. `ring` and `size` change only while the engine is disabled, and it is enabled only with a
 *     ring that lies in RAM: reads of descriptors cannot fail.
 * I3. head - tail <= size at all times; a doorbell that would break this halts the engine.
 * I4. When a write of CONTROL that disables or resets has returned, the worker touches no guest
 *     memory: it is not `busy`.
 *
 * Locks: e->lock protects every field below it. While `busy` the worker works on its copies without
 * the lock. e->wake is signalled when something changes that the worker, or a waiter for !busy,
 * waits for. The interrupt is raised without the lock.
 */
#include "devices/device_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include "mmvm/dmaengine.h"
#include "devices/locking.h"
#include <x86intrin.h>

#define CONTROL_ENABLE (1u << 0)
#define CONTROL_RESET  (1u << 1)
#define IRQ_COMPLETION (1u << 0)
#define IRQ_ERROR      (1u << 1)
#define DELAY_MAX      1000000u
#define RING_MAX       1024u

struct dma_engine {
	struct device dev;
	pthread_t worker;
	uint8_t *buffer; /* MMVM_DMA_LEN_MAX bytes; the worker's */

	pthread_mutex_t lock;
	pthread_cond_t wake; /* monotonic clock */
	bool enabled, halted, busy, stop;
	uint64_t ring;
	uint32_t size, head, tail;
	uint32_t mask_bits, irq_status, delay_us, fail_at;
};

/* What the worker needs of the registers for one descriptor. */
struct dma_job {
	uint64_t desc_gpa, mask;
	bool inject;
};

static uint64_t fnv1a(const uint8_t *p, uint64_t len)
{
	uint64_t h = 0xcbf29ce484222325ull;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

static bool fits_mask(uint64_t addr, uint64_t len, uint64_t mask)
{
	return addr <= mask && len - 1 <= mask - addr;
}

static void fill(uint8_t *p, uint64_t len, uint64_t pattern)
{
	for (uint64_t i = 0; i < len; i++)
		p[i] = (uint8_t)(pattern >> 8 * (i % 8));
}

/* Do what the descriptor says. Returns enum mmvm_dma_err, and the checksum if OK. */
static uint32_t execute(struct dma_engine *e, const struct mmvm_dma_desc *d,
			const struct dma_job *job, uint64_t *checksum)
{
	bool reads = d->op == MMVM_DMA_COPY || d->op == MMVM_DMA_CHECKSUM;
	bool writes = d->op == MMVM_DMA_COPY || d->op == MMVM_DMA_FILL;

	if (job->inject)
		return MMVM_DMA_ERR_INJECTED;
	if ((!reads && !writes) || (d->flags & ~MMVM_DMA_F_IRQ))
		return MMVM_DMA_ERR_OP;
	if (d->len == 0 || d->len > MMVM_DMA_LEN_MAX)
		return MMVM_DMA_ERR_LENGTH;
	if ((reads && !fits_mask(d->src, d->len, job->mask)) ||
	    (writes && !fits_mask(d->dst, d->len, job->mask)))
		return MMVM_DMA_ERR_MASK;

	if (!reads)
		fill(e->buffer, d->len, d->pattern);
	else if (guest_ram_read(e->dev.ram, d->src, e->buffer, d->len))
		return MMVM_DMA_ERR_ADDRESS;
	if (writes && guest_ram_write(e->dev.ram, d->dst, e->buffer, d->len))
		return MMVM_DMA_ERR_ADDRESS;
	*checksum = fnv1a(e->buffer, d->len);
	return MMVM_DMA_OK;
}

/* The checksum first: a guest that polls `status` finds it valid. */
static void write_back(struct dma_engine *e, uint64_t gpa, uint32_t status, uint64_t checksum)
{
	const uint64_t at = gpa + offsetof(struct mmvm_dma_desc, status);
	uint32_t *p = guest_ram_ptr(e->dev.ram, at, sizeof(*p));

	guest_ram_write(e->dev.ram, gpa + offsetof(struct mmvm_dma_desc, checksum), &checksum,
			sizeof(checksum));
	guest_ram_begin_write(e->dev.ram);
	__atomic_store_n(p, status, __ATOMIC_RELEASE);
	guest_ram_mark_dirty(e->dev.ram, at, sizeof(*p));
	guest_ram_end_write(e->dev.ram);
}

static bool runnable(const struct dma_engine *e)
{
	return e->enabled && !e->halted && e->head != e->tail;
}

/* Wait for the descriptor's time to come. Under the lock; false when disabled meanwhile. */
static bool wait_delay(struct dma_engine *e) NEEDS_LOCK(e->lock)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += e->delay_us / 1000000;
	until.tv_nsec += 1000l * (e->delay_us % 1000000);
	if (until.tv_nsec >= 1000000000l) {
		until.tv_nsec -= 1000000000l;
		until.tv_sec++;
	}
	while (runnable(e) && !e->stop) {
		if (pthread_cond_timedwait(&e->wake, &e->lock, &until) == ETIMEDOUT)
			break;
	}
	return runnable(e) && !e->stop;
}

/* The memory it wrote first, then the memory it read; nothing for a refused descriptor. */
static void trace_job(const struct dma_engine *e, const struct mmvm_dma_desc *d, uint32_t status,
		      uint64_t begin)
{
	const uint64_t gpa[2] = {d->op == MMVM_DMA_CHECKSUM ? d->src : d->dst, d->src};
	const uint64_t len[2] = {d->len, d->len};
	struct device_event ev = {
		.dev = &e->dev,
		.op = d->op,
		.status = status,
		.begin = begin,
		.nr = status != MMVM_DMA_OK    ? 0
		      : d->op == MMVM_DMA_COPY ? 2
					       : 1,
		.gpa = gpa,
		.len = len,
	};

	e->dev.trace(e->dev.trace_arg, &ev);
}

/* One descriptor. Called and left with the lock held. */
static void serve_one(struct dma_engine *e) NEEDS_LOCK(e->lock)
{
	struct mmvm_dma_desc d;
	struct dma_job job;
	uint64_t checksum = 0;
	uint32_t status;
	uint64_t begin;
	bool raise;

	if (e->delay_us && !wait_delay(e))
		return;
	job.desc_gpa = e->ring + (uint64_t)(e->tail % e->size) * sizeof(d);
	job.mask = e->mask_bits == 64 ? ~0ull : (1ull << e->mask_bits) - 1;
	job.inject = e->fail_at == 1;
	if (e->fail_at)
		e->fail_at--;
	e->busy = true;
	pthread_mutex_unlock(&e->lock);

	begin = __rdtsc();
	guest_ram_read(e->dev.ram, job.desc_gpa, &d, sizeof(d));
	status = execute(e, &d, &job, &checksum);
	if (status != MMVM_DMA_OK && status != MMVM_DMA_ERR_INJECTED)
		device_guest_error(&e->dev);
	write_back(e, job.desc_gpa, status, checksum);
	if (e->dev.trace)
		trace_job(e, &d, status, begin);
	raise = d.flags & MMVM_DMA_F_IRQ;

	pthread_mutex_lock(&e->lock);
	e->tail++;
	if (raise)
		e->irq_status |= IRQ_COMPLETION;
	if (status != MMVM_DMA_OK)
		e->irq_status |= IRQ_ERROR;
	if (raise) {
		/* Still busy: a reset waits until the interrupt is out. */
		pthread_mutex_unlock(&e->lock);
		device_raise_irq(&e->dev);
		pthread_mutex_lock(&e->lock);
	}
	e->busy = false;
	pthread_cond_broadcast(&e->wake);
}

static void *worker_main(void *arg)
{
	struct dma_engine *e = arg;

	pthread_mutex_lock(&e->lock);
	while (!e->stop) {
		if (runnable(e))
			serve_one(e);
		else
			pthread_cond_wait(&e->wake, &e->lock);
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

/* ---- registers, all under the lock -------------------------------- */

/* The wait drops the lock, and another vCPU may enable the engine during the wait: disable it again. */
static void disable(struct dma_engine *e) NEEDS_LOCK(e->lock)
{
	e->enabled = false;
	pthread_cond_broadcast(&e->wake);
	while (e->busy) {
		pthread_cond_wait(&e->wake, &e->lock);
		e->enabled = false;
	}
}

static void reset_locked(struct dma_engine *e) NEEDS_LOCK(e->lock)
{
	disable(e);
	e->halted = false;
	e->ring = 0;
	e->size = e->head = e->tail = 0;
	e->irq_status = e->delay_us = e->fail_at = 0;
	e->mask_bits = 64;
}

/* Something only a reset mends. Returns true: raise. */
static bool halt(struct dma_engine *e)
{
	e->halted = true;
	e->irq_status |= IRQ_ERROR;
	device_guest_error(&e->dev);
	return true;
}

/* Returns true if the caller must raise an interrupt. */
static bool write_control(struct dma_engine *e, uint32_t val) NEEDS_LOCK(e->lock)
{
	if (val & ~(CONTROL_ENABLE | CONTROL_RESET)) {
		device_guest_error(&e->dev);
		return false;
	}
	if (val & CONTROL_RESET) {
		reset_locked(e);
		return false;
	}
	if (!(val & CONTROL_ENABLE)) {
		disable(e);
		return false;
	}
	if (e->enabled)
		return false;
	if (e->halted) {
		device_guest_error(&e->dev);
		return false;
	}
	if (e->size == 0 || e->ring % sizeof(struct mmvm_dma_desc) || e->head - e->tail > e->size ||
	    !guest_ram_ptr(e->dev.ram, e->ring, e->size * sizeof(struct mmvm_dma_desc)))
		return halt(e);
	e->enabled = true;
	pthread_cond_broadcast(&e->wake);
	return false;
}

static bool write_doorbell(struct dma_engine *e, uint32_t head) NEEDS_LOCK(e->lock)
{
	if (!e->enabled || e->halted) {
		device_guest_error(&e->dev);
		return false;
	}
	/* Forward by at most what is free: both counts are free-running. */
	if (head - e->tail > e->size || head - e->head > e->size)
		return halt(e);
	e->head = head;
	pthread_cond_broadcast(&e->wake);
	return false;
}

/* Keep `val` in *reg if it is allowed, else count. */
static void set_if(struct dma_engine *e, bool allowed, uint32_t *reg, uint32_t val)
{
	if (allowed)
		*reg = val;
	else
		device_guest_error(&e->dev);
}

/* The ring moves only while the engine is disabled (I2). */
static void write_ring(struct dma_engine *e, uint64_t ring) NEEDS_LOCK(e->lock)
{
	if (e->enabled)
		device_guest_error(&e->dev);
	else
		e->ring = ring;
}

static bool write_register(struct dma_engine *e, uint64_t offset, uint32_t val) NEEDS_LOCK(e->lock)
{
	switch (offset) {
	case MMVM_DMA_REG_CONTROL:
		return write_control(e, val);
	case MMVM_DMA_REG_RING_LO:
		write_ring(e, (e->ring & ~0xffffffffull) | val);
		break;
	case MMVM_DMA_REG_RING_HI:
		write_ring(e, (e->ring & 0xffffffffull) | (uint64_t)val << 32);
		break;
	case MMVM_DMA_REG_RING_SIZE:
		set_if(e, !e->enabled && val >= 2 && val <= RING_MAX && !(val & (val - 1)),
		       &e->size, val);
		break;
	case MMVM_DMA_REG_DOORBELL:
		return write_doorbell(e, val);
	case MMVM_DMA_REG_MASK_BITS:
		set_if(e, val == 24 || val == 32 || val == 64, &e->mask_bits, val);
		break;
	case MMVM_DMA_REG_IRQ_ACK:
		e->irq_status &= ~val;
		break;
	case MMVM_DMA_REG_DELAY_US:
		set_if(e, val <= DELAY_MAX, &e->delay_us, val);
		break;
	case MMVM_DMA_REG_FAIL_AT:
		e->fail_at = val;
		break;
	default:
		device_guest_error(&e->dev);
		break;
	}
	return false;
}

static bool read_register(const struct dma_engine *e, uint64_t offset, uint32_t *val)
	NEEDS_LOCK(e->lock)
{
	switch (offset) {
	case MMVM_DMA_REG_ID:
		*val = MMVM_DMA_ID;
		break;
	case MMVM_DMA_REG_VERSION:
		*val = 1;
		break;
	case MMVM_DMA_REG_CONTROL:
		*val = e->enabled ? CONTROL_ENABLE : 0;
		break;
	case MMVM_DMA_REG_STATUS:
		*val = (e->enabled ? MMVM_DMA_ST_ENABLED : 0) |
		       (e->halted ? MMVM_DMA_ST_HALTED : 0);
		break;
	case MMVM_DMA_REG_RING_LO:
		*val = (uint32_t)e->ring;
		break;
	case MMVM_DMA_REG_RING_HI:
		*val = (uint32_t)(e->ring >> 32);
		break;
	case MMVM_DMA_REG_RING_SIZE:
		*val = e->size;
		break;
	case MMVM_DMA_REG_TAIL:
		*val = e->tail;
		break;
	case MMVM_DMA_REG_MASK_BITS:
		*val = e->mask_bits;
		break;
	case MMVM_DMA_REG_IRQ_STATUS:
		*val = e->irq_status;
		break;
	case MMVM_DMA_REG_DELAY_US:
		*val = e->delay_us;
		break;
	case MMVM_DMA_REG_FAIL_AT:
		*val = e->fail_at;
		break;
	default:
		return false;
	}
	return true;
}

static void dma_read(struct device *dev, uint64_t offset, unsigned int size, void *data)
{
	struct dma_engine *e = container_of(dev, struct dma_engine, dev);
	uint32_t val = 0;
	bool ok;

	pthread_mutex_lock(&e->lock);
	ok = size == 4 && read_register(e, offset, &val);
	pthread_mutex_unlock(&e->lock);
	if (ok)
		memcpy(data, &val, sizeof(val));
	else
		device_bad_read(dev, data, size);
}

static void dma_write(struct device *dev, uint64_t offset, unsigned int size, const void *data)
{
	struct dma_engine *e = container_of(dev, struct dma_engine, dev);
	uint32_t val;
	bool raise;

	if (size != 4) {
		device_guest_error(dev);
		return;
	}
	memcpy(&val, data, sizeof(val));
	pthread_mutex_lock(&e->lock);
	raise = write_register(e, offset, val);
	pthread_mutex_unlock(&e->lock);
	if (raise)
		device_raise_irq(dev);
}

/* ---- life --------------------------------------------------------- */

static void dma_reset(struct device *dev)
{
	struct dma_engine *e = container_of(dev, struct dma_engine, dev);

	pthread_mutex_lock(&e->lock);
	reset_locked(e);
	pthread_mutex_unlock(&e->lock);
}

static void dma_destroy(struct device *dev)
{
	struct dma_engine *e = container_of(dev, struct dma_engine, dev);

	pthread_mutex_lock(&e->lock);
	e->stop = true;
	pthread_cond_broadcast(&e->wake);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->worker, NULL);
	pthread_cond_destroy(&e->wake);
	pthread_mutex_destroy(&e->lock);
	free(e->buffer);
	free(e);
}

static const struct device_model dma_model = {
	.name = "dma-engine",
	.node = "dma",
	.compatible = MMVM_FDT_COMPAT_DMA,
	.size = MMVM_DMAENGINE_SIZE,
	.read = dma_read,
	.write = dma_write,
	.reset = dma_reset,
	.destroy = dma_destroy,
};

DEVICE(0, "dma", dma_engine_create);

struct device *dma_engine_create(const struct device_env *env)
{
	struct dma_engine *e = calloc(1, sizeof(*e));
	pthread_condattr_t attr;
	int err;

	if (!e)
		return NULL;
	e->buffer = malloc(MMVM_DMA_LEN_MAX);
	if (!e->buffer) {
		free(e);
		return NULL;
	}
	device_init(&e->dev, &dma_model, env);
	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->wake, &attr);
	pthread_condattr_destroy(&attr);
	e->mask_bits = 64;
	err = device_start_worker(&e->dev, &e->worker, worker_main, e);
	if (err) {
		pthread_cond_destroy(&e->wake);
		pthread_mutex_destroy(&e->lock);
		free(e->buffer);
		free(e);
		errno = -err;
		return NULL;
	}
	return &e->dev;
}
