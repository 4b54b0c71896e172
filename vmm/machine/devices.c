/*
 * The devices of a configuration, made and put on the bus at their places in mmvm/layout.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "devices/devices.h"
#include "machine/internal.h"
#include "mmvm/trace.h"

static int no_device(struct mmvm_error *err, const char *what)
{
	return mmvm_error(err, MMVM_EXIT_HOST, "cannot create the %s: %s", what, strerror(errno));
}

/** A guest's trace ring is full. The number comes from the guest: the code that takes it checks it. */
static void ring_full(void *machine, uint8_t cpu)
{
	struct machine *m = machine;

	observers_ring_full(m->config.observers, cpu);
}

static int create_ports(struct machine *m, struct mmvm_error *err)
{
	struct device_env env = {.role = "console",
				 .base = MMVM_SERIAL_PORT,
				 .gsi = MMVM_SERIAL_GSI,
				 .ram = &m->ram};
	struct device *dev;

	env.irq = machine_irq_line(m, MMVM_SERIAL_GSI, err);
	if (!env.irq)
		return -1;
	dev = serial_create(&env, machine_console_write, m);
	if (!dev)
		return no_device(err, "serial port");
	serial_on_room(dev, m->config.console_input == CONSOLE_INPUT_STREAM, m->config.console_room,
		       m->config.console_arg);
	m->serial = dev;
	if (machine_add_device(m, dev, err))
		return -1;

	env = (struct device_env){.base = MMVM_TESTCHAN_PORT, .ram = &m->ram};
	dev = testchan_create(&env, &machine_testchan_ops, m);
	if (!dev)
		return no_device(err, "test channel");
	if (machine_add_device(m, dev, err))
		return -1;

	env.base = MMVM_TRACE_PORT;
	env.compatible = MMVM_FDT_COMPAT_TRACE;
	dev = command_port_create(&env, 0xff, ring_full, m);
	if (!dev)
		return no_device(err, "trace port");
	if (machine_add_device(m, dev, err))
		return -1;

	env.base = MMVM_FASTOP_PORT;
	env.compatible = NULL;
	dev = fastop_create(&env, m->shared, m->config.cpus);
	if (!dev)
		return no_device(err, "fast operations port");
	fastop_set_cpu_start(dev, machine_vcpu_release, m);
	return machine_add_device(m, dev, err);
}

/** Where a device is, and its interrupt. 0, or -1 with err. */
static int set_env(struct machine *m, struct device_env *env, const char *role, uint64_t base,
		   uint32_t gsi, struct mmvm_error *err)
{
	*env = (struct device_env){.role = role, .base = base, .gsi = gsi, .ram = &m->ram};
	env->irq = machine_irq_line(m, gsi, err);
	return env->irq ? 0 : -1;
}

int machine_virtio_env(struct machine *m, struct device_env *env, const char *role,
		       unsigned int place, struct mmvm_error *err)
{
	return set_env(m, env, role, MMVM_VIRTIO_BASE + place * MMVM_VIRTIO_STRIDE,
		       MMVM_VIRTIO_GSI + place, err);
}

static int create_declared(struct machine *m, const struct device_entry *e, struct mmvm_error *err)
{
	struct device_env env;
	struct device *dev;

	if (set_env(m, &env, e->role, MMVM_DEVICE_BASE + e->slot * MMVM_DEVICE_STRIDE,
		    MMVM_DEVICE_GSI + e->slot, err))
		return -1;
	dev = e->create(&env);
	if (!dev)
		return no_device(err, e->role);
	return machine_add_device(m, dev, err);
}

/** The devices that have declared themselves (devices/devices.h), in the order of their slots. */
static int create_declared_devices(struct machine *m, struct mmvm_error *err)
{
	for (unsigned int slot = 0; slot < MMVM_DEVICE_SLOTS; slot++) {
		const struct device_entry *found = NULL;

		for (const struct device_entry *e = __start_mmvm_devices; e < __stop_mmvm_devices;
		     e++) {
			if (e->slot >= MMVM_DEVICE_SLOTS || (found && e->slot == slot))
				return mmvm_error(err, MMVM_EXIT_HOST,
						  "device %s: slot %u is taken, or there is none",
						  e->role, e->slot);
			if (e->slot == slot)
				found = e;
		}
		if (found && create_declared(m, found, err))
			return -1;
	}
	return 0;
}

static int create_disk(struct machine *m, unsigned int i, struct mmvm_error *err)
{
	const struct disk_config *c = &m->config.disk[i];
	struct device_env env;
	struct virtio_blk_params blk = {.read_only = c->read_only};
	struct machine_disk *d = &m->disk[i];

	blk.fd = machine_disk_open(c, &blk.size, err);
	if (blk.fd < 0)
		return -1;
	if (machine_virtio_env(m, &env, c->role, i, err)) {
		close(blk.fd);
		return -1;
	}
	d->dev = virtio_blk_create(&env, &blk);
	if (!d->dev) {
		no_device(err, "disk");
		close(blk.fd);
		return -1;
	}
	memcpy(d->role, c->role, sizeof(d->role) - 1);
	d->size = blk.size;
	m->nr_disks = i + 1;
	return machine_add_device(m, d->dev, err);
}

static int create_balloon(struct machine *m, struct mmvm_error *err)
{
	struct device_env env;
	struct virtio_balloon_params params = {.target = m->config.balloon_target};

	if (params.target > (m->config.ram_low + m->config.ram_high) / MMVM_PAGE_SIZE)
		return mmvm_error(err, MMVM_EXIT_USAGE, "a balloon of %llu MiB is larger than RAM",
				  (unsigned long long)(params.target * MMVM_PAGE_SIZE >> 20));
	if (machine_virtio_env(m, &env, "balloon", MMVM_VIRTIO_BALLOON, err))
		return -1;
	m->balloon = virtio_balloon_create(&env, &params);
	if (!m->balloon)
		return no_device(err, "balloon");
	return machine_add_device(m, m->balloon, err);
}

static int create_rng(struct machine *m, struct mmvm_error *err)
{
	struct device_env env;
	struct virtio_rng_params params = {.seed = m->config.seed};
	struct device *dev;

	if (machine_virtio_env(m, &env, "rng", MMVM_VIRTIO_RNG, err))
		return -1;
	dev = virtio_rng_create(&env, &params);
	if (!dev)
		return no_device(err, "rng");
	return machine_add_device(m, dev, err);
}

/** A terminal beside the serial port, which then is only printed to. */
static int create_console(struct machine *m, struct mmvm_error *err)
{
	struct device_env env;
	struct virtio_console_params params = {
		.sink = machine_console_write,
		.sink_arg = m,
		.room = m->config.console_room,
		.arg = m->config.console_arg,
		.rows = m->config.console_rows,
		.cols = m->config.console_cols,
	};

	if (machine_virtio_env(m, &env, "console", MMVM_VIRTIO_CONSOLE, err))
		return -1;
	m->console_dev = virtio_console_create(&env, &params);
	if (!m->console_dev)
		return no_device(err, "virtio console");
	return machine_add_device(m, m->console_dev, err);
}

int machine_create_devices(struct machine *m, struct mmvm_error *err)
{
	if (create_ports(m, err) || create_declared_devices(m, err))
		return -1;
	for (unsigned int i = 0; i < m->config.nr_disks; i++)
		if (create_disk(m, i, err))
			return -1;
	if (m->config.balloon && create_balloon(m, err))
		return -1;
	if (machine_pmem_create(m, err))
		return -1;
	if (m->config.virtio_console && create_console(m, err))
		return -1;
	return m->config.rng ? create_rng(m, err) : 0;
}

size_t machine_console_input(struct machine *m, const void *bytes, size_t len)
{
	return m->console_dev ? virtio_console_input(m->console_dev, bytes, len)
			      : serial_input(m->serial, bytes, len);
}

void machine_console_eof(struct machine *m)
{
	serial_break(m->serial);
}

void machine_console_resize(struct machine *m, uint16_t rows, uint16_t cols)
{
	__atomic_store_n(&m->shared->console_size, (uint32_t)rows << 16 | cols, __ATOMIC_RELEASE);
	if (m->console_dev)
		virtio_console_resize(m->console_dev, rows, cols);
	else
		serial_modem_change(m->serial);
}

bool machine_disk_stats(const struct machine *m, const char *role, struct mmvm_disk_stats *out)
{
	for (unsigned int i = 0; i < m->nr_disks; i++) {
		if (strcmp(m->disk[i].role, role))
			continue;
		virtio_blk_stats(m->disk[i].dev, out);
		return true;
	}
	return false;
}

bool machine_disk(const struct machine *m, unsigned int i, const char **role, uint64_t *size)
{
	if (i >= m->nr_disks)
		return false;
	*role = m->disk[i].role;
	*size = m->disk[i].size;
	return true;
}

bool machine_device_errors(const struct machine *m, unsigned int i, const char **name, uint64_t *n)
{
	const struct device *dev;

	if (i >= m->nr_devices)
		return false;
	dev = m->device[i];
	*name = dev->role[0] ? dev->role : dev->model->name;
	*n = __atomic_load_n(&dev->guest_errors, __ATOMIC_RELAXED);
	return true;
}

uint64_t machine_guest_errors(const struct machine *m)
{
	uint64_t n = __atomic_load_n(&m->unclaimed, __ATOMIC_RELAXED);

	for (unsigned int i = 0; i < m->nr_devices; i++)
		n += __atomic_load_n(&m->device[i]->guest_errors, __ATOMIC_RELAXED);
	return n;
}

bool machine_balloon_state(const struct machine *m, struct balloon_state *out)
{
	if (m->balloon)
		virtio_balloon_state(m->balloon, out);
	return m->balloon != NULL;
}

int machine_balloon_set_target(struct machine *m, uint64_t pages)
{
	return m->balloon ? virtio_balloon_set_target(m->balloon, pages) : -ENODEV;
}

void machine_balloon_ask_stats(struct machine *m)
{
	if (m->balloon)
		virtio_balloon_ask_stats(m->balloon);
}

void machine_balloon_settle(struct machine *m)
{
	if (m->balloon)
		virtio_balloon_poll(m->balloon);
}

bool machine_balloon_has(const struct machine *m, uint64_t gpa)
{
	return m->balloon && virtio_balloon_has(m->balloon, gpa);
}
