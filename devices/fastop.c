/*
 * Fast operations: the guest asks the VMM to fill or copy memory, where its own instructions are
 * dear (MMVM_QUIRK_FASTOP), to start another vCPU, or to give way to one. The request lies in a
 * mailbox of the shared window, one a vCPU; `out` of the vCPU's number to one port executes it.
 *
 * I1. The mailbox is read once, field by field, into a local; only the local is checked and used.
 * I2. Work is bounded by MAX_LEN a request.
 *
 * Locks: none. Two vCPUs that ask for the same bytes race as they would with instructions of their
 * own.
 */
#include "devices/device_impl.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#define MAX_LEN (2ull << 20)

struct fastop {
	struct device dev;
	struct mmvm_shared *shared;
	unsigned int nr_cpus;
	fastop_cpu_start_fn cpu_start;
	void *cpu_start_arg;
};

/* Little-endian pattern repeated from the first byte; dst is 8-byte aligned. */
static void fill(uint8_t *dst, uint64_t len, uint64_t value)
{
	uint64_t i;

	if (value == (value & 0xff) * 0x0101010101010101ull) {
		memset(dst, (int)(value & 0xff), len);
		return;
	}
	for (i = 0; i + 8 <= len; i += 8)
		memcpy(dst + i, &value, 8);
	memcpy(dst + i, &value, len - i);
}

static int do_fill(struct device *dev, const struct mmvm_mailbox *m)
{
	uint8_t *dst;

	if (m->dst % 8)
		return -EINVAL;
	dst = guest_ram_ptr(dev->ram, m->dst, m->len);
	if (!dst)
		return -EFAULT;
	guest_ram_begin_write(dev->ram);
	fill(dst, m->len, m->value);
	guest_ram_mark_dirty(dev->ram, m->dst, m->len);
	guest_ram_end_write(dev->ram);
	return 0;
}

static int do_copy(struct device *dev, const struct mmvm_mailbox *m)
{
	uint8_t *dst = guest_ram_ptr(dev->ram, m->dst, m->len);
	const uint8_t *src = guest_ram_ptr(dev->ram, m->src, m->len);

	if (!dst || !src)
		return -EFAULT;
	if (m->dst < m->src + m->len && m->src < m->dst + m->len)
		return -EINVAL;
	guest_ram_begin_write(dev->ram);
	memcpy(dst, src, m->len);
	guest_ram_mark_dirty(dev->ram, m->dst, m->len);
	guest_ram_end_write(dev->ram);
	return 0;
}

static int do_cpu_start(struct device *dev, const struct mmvm_mailbox *m)
{
	struct fastop *f = container_of(dev, struct fastop, dev);

	if (!f->cpu_start)
		return -EINVAL;
	return f->cpu_start(f->cpu_start_arg, m->value, m->dst, m->src, m->len);
}

static int execute(struct device *dev, const struct mmvm_mailbox *m)
{
	if (m->op == MMVM_FASTOP_NOP)
		return 0;
	if (m->op == MMVM_FASTOP_YIELD)
		return -sched_yield();
	if (m->op == MMVM_FASTOP_CPU_START)
		return do_cpu_start(dev, m);
	if (m->op != MMVM_FASTOP_FILL && m->op != MMVM_FASTOP_COPY)
		return -EINVAL;
	if (m->len > MAX_LEN)
		return -EINVAL;
	if (m->len == 0)
		return 0;
	return m->op == MMVM_FASTOP_FILL ? do_fill(dev, m) : do_copy(dev, m);
}

static void fastop_write(struct device *dev, uint64_t offset, unsigned int size, const void *data)
{
	struct fastop *f = container_of(dev, struct fastop, dev);
	volatile struct mmvm_mailbox *box;
	struct mmvm_mailbox m;
	unsigned int cpu;
	int err;

	cpu = *(const uint8_t *)data;
	if (offset != 0 || size != 1 || cpu >= f->nr_cpus) {
		device_guest_error(dev);
		return;
	}
	box = &f->shared->mailbox[cpu];
	m = (struct mmvm_mailbox){
		.op = box->op,
		.dst = box->dst,
		.src = box->src,
		.len = box->len,
		.value = box->value,
	};
	err = execute(dev, &m);
	if (err)
		device_guest_error(dev);
	box->result = err;
}

static void fastop_read(struct device *dev, uint64_t offset, unsigned int size, void *data)
{
	device_bad_read(dev, data, size);
}

static void fastop_reset(struct device *dev)
{
	/* Nothing is kept between requests. */
}

static void fastop_destroy(struct device *dev)
{
	free(container_of(dev, struct fastop, dev));
}

static const struct device_model fastop_model = {
	.name = "fastop",
	.node = "fastop",
	.compatible = MMVM_FDT_COMPAT_FASTOP,
	.size = 1,
	.pio = true,
	.read = fastop_read,
	.write = fastop_write,
	.reset = fastop_reset,
	.destroy = fastop_destroy,
};

struct device *fastop_create(const struct device_env *env, struct mmvm_shared *shared,
			     unsigned int nr_cpus)
{
	struct fastop *f;

	if (nr_cpus == 0 || nr_cpus > MMVM_MAX_CPUS) {
		errno = EINVAL;
		return NULL;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	device_init(&f->dev, &fastop_model, env);
	f->shared = shared;
	f->nr_cpus = nr_cpus;
	return &f->dev;
}

void fastop_set_cpu_start(struct device *dev, fastop_cpu_start_fn fn, void *arg)
{
	struct fastop *f = container_of(dev, struct fastop, dev);

	f->cpu_start = fn;
	f->cpu_start_arg = arg;
}
