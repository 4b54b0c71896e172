/*
 * Reading the flattened device tree (Devicetree Specification 0.4, chapter 5) once, at boot.
 *
 *   header | reservation block | structure | strings
 *                                    └─ BEGIN name { PROP len nameoff data }* children END
 *
 * A node's properties stand before its children, so one pass is enough: properties are collected
 * into a struct node. When the next BEGIN or END shows that there are no more, node_done() looks at
 * the node. The compatible or device_type string, or the name, says what a node is. Nothing here
 * depends on the order of nodes.
 *
 * The VMM, which writes the tree, is trusted. But a truncated or foreign tree must not make the kernel
 * read elsewhere, so each step is checked against the end of its block, and a violation stops the boot.
 */
#include "kernel/boot_info.h"
#include "kernel/boot.h"
#include "kernel/console.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/memblock.h"
#include "mm/phys/zone.h"

#define FDT_MAGIC      0xd00dfeedu
#define FDT_BEGIN_NODE 1u
#define FDT_END_NODE   2u
#define FDT_PROP       3u
#define FDT_NOP	       4u
#define FDT_END	       9u

struct fdt_header {
	u32 magic, totalsize, off_dt_struct, off_dt_strings, off_mem_rsvmap, version,
		last_comp_version, boot_cpuid_phys, size_dt_strings, size_dt_struct;
};

struct prop {
	const char *data; /* NULL = the node has none */
	u32 len;
};
struct node {
	const char *name;
	struct prop compatible, device_type, reg, interrupts, role, read_only, numa_node, distances;
};

struct boot_info boot_info;

static u32 be32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v)); /* a foreign tree may not be aligned */
	return __builtin_bswap32(v);
}
/* The value of a property of one or two cells. */
static u64 prop_u64(const struct prop *p)
{
	if (p->len >= 8)
		return (u64)be32(p->data) << 32 | be32(p->data + 4);
	return p->len >= 4 ? be32(p->data) : 0;
}
/* The property's string; NULL: it has no NUL at its end. */
static const char *prop_string(const struct prop *p)
{
	return p->len && p->data[p->len - 1] == '\0' ? p->data : NULL;
}
static bool prop_is(const struct prop *p, const char *s)
{
	return prop_string(p) && !strcmp(p->data, s);
}
/* The address that a string of the tree will have in the direct map. */
static const char *direct(const char *s)
{
	return s ? __va((unsigned long)s - MMVM_KERNEL_VIRT) : NULL;
}

static __init void node_device(const struct node *n, struct boot_device *d)
{
	d->base = prop_u64(&n->reg);
	if (n->reg.len >= 16)
		d->size = (u64)be32(n->reg.data + 8) << 32 | be32(n->reg.data + 12);
	d->gsi = prop_u64(&n->interrupts);
	if (prop_string(&n->compatible))
		strscpy(d->compatible, n->compatible.data, sizeof(d->compatible));
	if (prop_string(&n->role))
		strscpy(d->role, n->role.data, sizeof(d->role));
	d->read_only = prop_u64(&n->read_only);
}

/* The NUMA node of a cpu or memory node of the tree. Updates the number of nodes. */
static __init int node_id(const struct node *n)
{
	u64 id = prop_u64(&n->numa_node);

	if (id >= MMVM_MAX_NODES)
		panic("device tree: NUMA node %lu in %s", (unsigned long)id, n->name);
	boot_info.nr_nodes = max(boot_info.nr_nodes, (u32)id + 1);
	return (int)id;
}

/* numa-distance-map-v1: triples of from, to, distance. */
static __init void node_distances(const struct prop *p)
{
	for (u32 i = 0; i + 12 <= p->len; i += 12) {
		u32 from = be32(p->data + i), to = be32(p->data + i + 4),
		    distance = be32(p->data + i + 8);

		if (node_set_distance(from, to, distance))
			panic("device tree: bad distance map");
		boot_info.node_distance[from][to] = (u8)distance;
	}
}

static bool has_testchan __initdata;

/* Handle a node, all of whose properties have been read. */
static __init void node_done(const struct node *n)
{
	if (prop_is(&n->device_type, "memory")) {
		struct boot_device ram = {0};

		node_device(n, &ram);
		if (memblock_add(ram.base, ram.size, node_id(n)))
			panic("device tree: bad memory node %s", n->name);
	} else if (prop_is(&n->device_type, "cpu")) {
		u64 cpu = prop_u64(&n->reg);

		if (cpu < MMVM_MAX_CPUS)
			node_set_cpu(cpu, boot_info.cpu_node[cpu] = node_id(n));
		boot_info.nr_cpus++;
	} else if (prop_is(&n->compatible, "numa-distance-map-v1")) {
		node_distances(&n->distances);
	} else if (prop_is(&n->compatible, MMVM_FDT_COMPAT_TESTCHAN)) {
		has_testchan = true;
	} else if (n->reg.len >= 16 && prop_string(&n->compatible) &&
		   boot_info.nr_devices < ARRAY_SIZE(boot_info.device)) {
		/* Memory, address and size of two cells each. Ports have three cells in all. */
		node_device(n, &boot_info.device[boot_info.nr_devices++]);
	}
}

/* Properties of /chosen are stored directly in boot_info. */
static __init void chosen_prop(const char *name, const struct prop *p)
{
	if (!strcmp(name, "bootargs"))
		boot_info.cmdline = direct(prop_string(p));
	else if (!strcmp(name, "linux,initrd-start"))
		boot_info.initrd_start = prop_u64(p);
	else if (!strcmp(name, "linux,initrd-end"))
		boot_info.initrd_end = prop_u64(p);
	else if (!strcmp(name, MMVM_FDT_ARGV) && prop_string(p)) {
		boot_info.argv = direct(p->data);
		boot_info.argv_len = p->len;
	} else if (!strcmp(name, MMVM_FDT_TEST))
		boot_info.test = direct(prop_string(p));
	else if (!strcmp(name, MMVM_FDT_CONSOLE))
		boot_info.console_input = direct(prop_string(p));
	else if (!strcmp(name, MMVM_FDT_QUIRKS))
		boot_info.quirks = prop_u64(p);
	else if (!strcmp(name, MMVM_FDT_TSC_HZ))
		boot_info.tsc_hz = prop_u64(p);
	else if (!strcmp(name, MMVM_FDT_LAPIC_HZ))
		boot_info.lapic_hz = prop_u64(p);
	else if (!strcmp(name, MMVM_FDT_EPOCH_NS))
		boot_info.epoch_ns = prop_u64(p);
	else if (!strcmp(name, MMVM_FDT_SEED))
		boot_info.seed = prop_u64(p);
}

static __init void node_prop(struct node *n, const char *name, const struct prop *p)
{
	if (!strcmp(n->name, "chosen"))
		chosen_prop(name, p);
	else if (!strcmp(name, "compatible"))
		n->compatible = *p;
	else if (!strcmp(name, "device_type"))
		n->device_type = *p;
	else if (!strcmp(name, "reg"))
		n->reg = *p;
	else if (!strcmp(name, "interrupts"))
		n->interrupts = *p;
	else if (!strcmp(name, MMVM_FDT_ROLE))
		n->role = *p;
	else if (!strcmp(name, MMVM_FDT_READ_ONLY))
		n->read_only = *p;
	else if (!strcmp(name, "numa-node-id"))
		n->numa_node = *p;
	else if (!strcmp(name, "distance-matrix"))
		n->distances = *p;
}

/* One pass over the structure block [p, end). */
static __init void scan_structure(const char *p, const char *end, const char *strings,
				  u32 strings_size)
{
	struct node n = {.name = NULL};

	while (p + 4 <= end) {
		u32 token = be32(p), len, nameoff;

		p += 4;
		switch (token) {
		case FDT_BEGIN_NODE:
			if (n.name)
				node_done(&n);
			len = strnlen(p, end - p);
			if (p + len == end)
				panic("device tree: node name runs out of the tree");
			n = (struct node){.name = p};
			p += ALIGN_UP(len + 1, 4u);
			break;
		case FDT_END_NODE:
			if (n.name)
				node_done(&n);
			n = (struct node){.name = NULL};
			break;
		case FDT_PROP:
			if (end - p < 8)
				panic("device tree: truncated property");
			len = be32(p);
			nameoff = be32(p + 4);
			p += 8;
			if (len > (u64)(end - p) || nameoff >= strings_size)
				panic("device tree: property runs out of the tree");
			if (n.name)
				node_prop(&n, strings + nameoff, &(struct prop){p, len});
			p += ALIGN_UP(len, 4u);
			break;
		case FDT_NOP:
			break;
		case FDT_END:
			return;
		default:
			panic("device tree: unknown token %x", token);
		}
	}
	panic("device tree: no end");
}

__init void fdt_scan(phys_addr_t pa)
{
	const char *fdt = (const char *)(MMVM_KERNEL_VIRT + pa);
	const struct fdt_header *h = (const struct fdt_header *)fdt;
	u32 total = be32(&h->totalsize), structure = be32(&h->off_dt_struct),
	    strings = be32(&h->off_dt_strings), size = be32(&h->size_dt_struct),
	    strings_size = be32(&h->size_dt_strings);

	if (be32(&h->magic) != FDT_MAGIC || total > MMVM_FDT_MAX || structure > total ||
	    size > total - structure || strings > total || strings_size > total - strings ||
	    !strings_size || fdt[strings + strings_size - 1] != '\0')
		panic("no device tree at %lx", (unsigned long)pa);
	scan_structure(fdt + structure, fdt + structure + size, fdt + strings, strings_size);
	if (!boot_info.tsc_hz || !boot_info.lapic_hz)
		panic("device tree: no clock rates");
	if (!boot_info.cmdline)
		boot_info.cmdline = "";
	if (has_testchan)
		console_use_testchan();

	/* Frame 0 is never handed out, because address 0 means none. The VMM's GDT and page tables, which follow
	 * it, are freed when the kernel's own are in use (paging_init()). */
	memblock_reserve(0, MMVM_BOOT_PML4 + MMVM_BOOT_PT_PAGES * PAGE_SIZE);
	memblock_reserve(ALIGN_DOWN(pa, PAGE_SIZE),
			 ALIGN_UP(pa + total, PAGE_SIZE) - ALIGN_DOWN(pa, PAGE_SIZE));
	if (boot_info.initrd_end > boot_info.initrd_start) {
		phys_addr_t start = ALIGN_DOWN(boot_info.initrd_start, PAGE_SIZE);

		memblock_reserve(start, ALIGN_UP(boot_info.initrd_end, PAGE_SIZE) - start);
	}
}

/* Find the value of `name` on a command line. It is not terminated; *len_out is its length. NULL: it is not there. */
static const char *find_word(const char *p, const char *name, size_t *len_out)
{
	size_t n = strlen(name);

	while (*p) {
		const char *word = p;
		size_t len;

		while (*p && *p != ' ')
			p++;
		len = p - word;
		while (*p == ' ')
			p++;
		if (len < n || strncmp(word, name, n) || (len > n && word[n] != '='))
			continue;
		n = len > n ? n + 1 : n;
		*len_out = len - n;
		return word + n;
	}
	return NULL;
}

bool cmdline_get(const char *name, char *buf, size_t size)
{
	size_t len;
	const char *value = find_word(boot_info.cmdline, name, &len);

	boot_option_asked(name);
	if (value)
		strscpy(buf, value, min(size, len + 1));
	return value;
}

static __init const char *find_word_early(const char *name, size_t *len)
{
	const char *p = boot_info.cmdline;

	boot_option_asked(name);

	/* The direct map, where it will be found, does not exist yet. */
	if ((unsigned long)p < MMVM_KERNEL_VIRT)
		p = (const char *)(MMVM_KERNEL_VIRT + __pa(p));
	return find_word(p, name, len);
}

__init bool cmdline_has_early(const char *name)
{
	size_t len;

	return find_word_early(name, &len);
}

__init bool cmdline_get_early(const char *name, char *buf, size_t size)
{
	size_t len;
	const char *value = find_word_early(name, &len);

	if (value)
		strscpy(buf, value, min(size, len + 1));
	return value;
}
