/*
 * The device tree: how the guest learns about its machine.
 *
 *   /                 #address-cells 2, #size-cells 2
 *   +- chosen         command line, initrd, seeds, what to run, clocks, quirks of the host
 *   +- cpus/cpu@N
 *   +- memory@GPA     one a region and node, numa-node-id
 *   +- distance-map   between nodes, if there are several
 *   +- serial@3f8, testchan@600, fastop@610    ports: compatible, reg (port, length), interrupts
 *   +- virtio@GPA ... "virtio,mmio", reg, interrupts, mmvm,role
 *   +- dma@GPA, shared@GPA
 *
 * Ports stand in an "isa" bus of their own, whose first address cell is 1 for I/O space, as the ISA
 * binding says. Written with libfdt's sequential calls straight into guest RAM; errors are sticky
 * and looked at once.
 */
#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "machine/internal.h"

/** A tree being written: the first error stays. */
struct tree {
	void *fdt;
	int err;
};

static void keep(struct tree *t, int err)
{
	if (!t->err)
		t->err = err;
}

static void begin(struct tree *t, const char *name)
{
	keep(t, fdt_begin_node(t->fdt, name));
}

static void begin_at(struct tree *t, const char *name, uint64_t address)
{
	char full[64];

	snprintf(full, sizeof(full), "%s@%llx", name, (unsigned long long)address);
	begin(t, full);
}

static void end(struct tree *t)
{
	keep(t, fdt_end_node(t->fdt));
}

static void put_u32(struct tree *t, const char *name, uint32_t value)
{
	keep(t, fdt_property_u32(t->fdt, name, value));
}

static void put_u64(struct tree *t, const char *name, uint64_t value)
{
	keep(t, fdt_property_u64(t->fdt, name, value));
}

static void put_string(struct tree *t, const char *name, const char *value)
{
	keep(t, fdt_property_string(t->fdt, name, value));
}

static void put_reg(struct tree *t, uint64_t base, uint64_t size)
{
	fdt64_t reg[2] = {cpu_to_fdt64(base), cpu_to_fdt64(size)};

	keep(t, fdt_property(t->fdt, "reg", reg, sizeof(reg)));
}

static void put_port(struct tree *t, uint32_t port, uint32_t size)
{
	fdt32_t reg[3] = {cpu_to_fdt32(1), cpu_to_fdt32(port), cpu_to_fdt32(size)};

	keep(t, fdt_property(t->fdt, "reg", reg, sizeof(reg)));
}

/** Strings one after another, each with its NUL. */
static void put_stringlist(struct tree *t, const char *name, const char *const *list)
{
	size_t len = 0;
	void *at;
	char *p;

	for (unsigned int i = 0; list[i]; i++)
		len += strlen(list[i]) + 1;
	if (len > MMVM_FDT_MAX) {
		keep(t, -FDT_ERR_NOSPACE);
		return;
	}
	keep(t, fdt_property_placeholder(t->fdt, name, (int)len, &at));
	if (t->err)
		return;
	p = at;
	for (unsigned int i = 0; list[i]; i++)
		p = stpcpy(p, list[i]) + 1;
}

static void put_chosen(struct tree *t, const struct machine *m, const uint8_t seed[32])
{
	const struct machine_config *c = &m->config;

	begin(t, "chosen");
	put_string(t, "bootargs", c->append ? c->append : "");
	if (c->initrd) {
		put_u64(t, "linux,initrd-start", m->initrd_gpa);
		put_u64(t, "linux,initrd-end", m->initrd_gpa + c->initrd_len);
	}
	keep(t, fdt_property(t->fdt, "rng-seed", seed, 32));
	if (c->test)
		put_string(t, MMVM_FDT_TEST, c->test);
	else if (c->argv && c->argv[0])
		put_stringlist(t, MMVM_FDT_ARGV, c->argv);
	put_u32(t, MMVM_FDT_QUIRKS, m->quirks);
	put_u64(t, MMVM_FDT_TSC_HZ, m->tsc_hz);
	put_u64(t, MMVM_FDT_LAPIC_HZ, m->lapic_hz);
	put_u64(t, MMVM_FDT_EPOCH_NS, machine_unix_ns());
	put_u64(t, MMVM_FDT_SEED, c->seed);
	if (c->console_input)
		put_string(t, MMVM_FDT_CONSOLE,
			   c->console_input == CONSOLE_INPUT_TTY ? "tty" : "stream");
	end(t);
}

static void put_cpus(struct tree *t, const struct machine *m)
{
	begin(t, "cpus");
	put_u32(t, "#address-cells", 1);
	put_u32(t, "#size-cells", 0);
	for (unsigned int i = 0; i < m->config.cpus; i++) {
		begin_at(t, "cpu", i);
		put_string(t, "device_type", "cpu");
		put_u32(t, "reg", i);
		put_u32(t, "numa-node-id", machine_cpu_node(&m->config, i));
		if (i)
			put_string(t, "enable-method", MMVM_FDT_ENABLE_FASTOP);
		end(t);
	}
	end(t);
}

static void put_memory(struct tree *t, const struct machine *m)
{
	struct machine_node_range r;

	for (unsigned int i = 0; machine_node_range(m, i, &r); i++) {
		begin_at(t, "memory", r.gpa);
		put_string(t, "device_type", "memory");
		put_reg(t, r.gpa, r.size);
		put_u32(t, "numa-node-id", r.node);
		end(t);
	}
}

/** numa-distance-map-v1: triples of from, to, distance. One node needs none. */
static void put_distances(struct tree *t, const struct machine *m)
{
	unsigned int nr = machine_nr_nodes(&m->config);
	fdt32_t map[MMVM_MAX_NODES * MMVM_MAX_NODES * 3], *p = map;

	if (nr < 2)
		return;
	for (unsigned int a = 0; a < nr; a++) {
		for (unsigned int b = 0; b < nr; b++) {
			*p++ = cpu_to_fdt32(a);
			*p++ = cpu_to_fdt32(b);
			*p++ = cpu_to_fdt32(machine_node_distance(&m->config, a, b));
		}
	}
	begin(t, "distance-map");
	put_string(t, "compatible", "numa-distance-map-v1");
	keep(t, fdt_property(t->fdt, "distance-matrix", map, (int)((p - map) * 4)));
	end(t);
}

/** A device as its model declares it. */
static void put_device(struct tree *t, const struct device *d)
{
	struct device_property p;

	begin_at(t, d->model->node, d->base);
	put_string(t, "compatible", d->compatible);
	if (d->pio)
		put_port(t, (uint32_t)d->base, (uint32_t)d->size);
	else
		put_reg(t, d->base, d->size);
	if (d->irq)
		put_u32(t, "interrupts", d->gsi);
	if (d->role[0])
		put_string(t, MMVM_FDT_ROLE, d->role);
	for (unsigned int i = 0; d->model->property && d->model->property(d, i, &p); i++) {
		if (p.kind == PROPERTY_U32)
			put_u32(t, p.name, (uint32_t)p.number);
		else if (p.kind == PROPERTY_U64)
			put_u64(t, p.name, p.number);
		else
			put_string(t, p.name, p.string);
	}
	end(t);
}

enum device_kind { MEMORY_DEVICES, PORT_DEVICES };

/** Those with ports, or those with memory. A device without a compatible string has no node. */
static void put_devices(struct tree *t, const struct machine *m, enum device_kind kind)
{
	for (unsigned int i = 0; i < m->nr_devices; i++)
		if (m->device[i]->compatible && m->device[i]->pio == (kind == PORT_DEVICES))
			put_device(t, m->device[i]);
}

static void put_ports(struct tree *t, const struct machine *m)
{
	begin(t, "isa");
	put_string(t, "compatible", "isa");
	put_u32(t, "#address-cells", 2);
	put_u32(t, "#size-cells", 1);
	put_devices(t, m, PORT_DEVICES);
	end(t);
}

static void put_mmio(struct tree *t, const struct machine *m)
{
	put_devices(t, m, MEMORY_DEVICES);
	begin_at(t, "shared", MMVM_SHARED_BASE);
	put_string(t, "compatible", MMVM_FDT_COMPAT_SHARED);
	put_reg(t, MMVM_SHARED_BASE, MMVM_SHARED_SIZE);
	end(t);
}

int machine_build_fdt(struct machine *m, const uint8_t seed[32], struct mmvm_error *err)
{
	struct tree t = {.fdt = guest_ram_ptr(&m->ram, MMVM_FDT_BASE, MMVM_FDT_MAX)};

	if (!t.fdt)
		return mmvm_error(err, MMVM_EXIT_USAGE, "too little RAM for the device tree");
	keep(&t, fdt_create(t.fdt, (int)MMVM_FDT_MAX));
	keep(&t, fdt_finish_reservemap(t.fdt));
	begin(&t, "");
	put_u32(&t, "#address-cells", 2);
	put_u32(&t, "#size-cells", 2);
	put_string(&t, "compatible", "mmvm");
	put_string(&t, "model", "mmvm");
	put_chosen(&t, m, seed);
	put_cpus(&t, m);
	put_memory(&t, m);
	put_distances(&t, m);
	put_ports(&t, m);
	put_mmio(&t, m);
	end(&t);
	keep(&t, fdt_finish(t.fdt));
	if (t.err == -FDT_ERR_NOSPACE)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "command line and program arguments are too long: the device "
				  "tree has room for %llu bytes",
				  MMVM_FDT_MAX);
	if (t.err)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot write the device tree: %s",
				  fdt_strerror(t.err));
	/* fdt_finish() moves the strings down and leaves the old ones where they were. The guest
	 * counts on RAM being zero. */
	memset((char *)t.fdt + fdt_totalsize(t.fdt), 0, MMVM_FDT_MAX - fdt_totalsize(t.fdt));
	return 0;
}
