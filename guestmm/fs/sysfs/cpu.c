/*
 * /sys/devices/system/cpu: the CPUs, with their topology and caches.
 *
 * Each CPU is a core, and all are in one package, because the device tree does not say otherwise. The caches
 * are those of CPUID's deterministic cache parameters: Intel's leaf 4 (SDM volume 2A, CPUID), AMD's leaf
 * 8000001Dh (APM volume 3, appendix E). If a processor has neither, no caches are shown.
 * Format: Linux, Documentation/ABI/testing/sysfs-devices-system-cpu.
 */
#include "arch/processor.h"
#include "arch/smp.h"
#include "fs/sysfs/sysfs.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

#define MAX_CACHES     8
#define LEAF_CACHE     4u
#define LEAF_AMD_MAX   0x80000000u
#define LEAF_AMD_BITS  0x80000001u
#define LEAF_AMD_CACHE 0x8000001du
#define ECX_TOPOEXT    (1u << 22)

enum { CPU_ONLINE, CPU_POSSIBLE, CPU_OFFLINE, CPU_KERNEL_MAX };
enum { TOPO_PACKAGE, TOPO_CORE, TOPO_SELF_LIST, TOPO_SELF_MASK, TOPO_ALL_LIST, TOPO_ALL_MASK };
enum { CACHE_LEVEL, CACHE_TYPE, CACHE_SIZE, CACHE_LINE, CACHE_SETS, CACHE_WAYS, CACHE_SHARED };

/* The `arg` of the entries of one CPU's files. */
static u64 arg_of(unsigned int cpu, unsigned int index, unsigned int what)
{
	return (u64)cpu << 16 | index << 8 | what;
}
#define ARG_CPU(arg)   ((unsigned int)((arg) >> 16))
#define ARG_INDEX(arg) ((unsigned int)((arg) >> 8 & 0xff))
#define ARG_WHAT(arg)  ((unsigned int)((arg)&0xff))

struct cache {
	u32 type, level, line, partitions, ways, sets;
};

static int show_cpus(struct report *r, u64 what)
{
	const u32 online = READ_ONCE(cpus_online);

	if (what == CPU_KERNEL_MAX)
		report_printf(r, "%u\n", MMVM_MAX_CPUS - 1);
	else
		sysfs_show_list(r, what == CPU_OFFLINE ? 0 : online);
	return 0;
}

static int show_topology(struct report *r, u64 arg)
{
	const unsigned int cpu = ARG_CPU(arg);
	const u32 online = READ_ONCE(cpus_online);

	switch (ARG_WHAT(arg)) {
	case TOPO_PACKAGE:
		report_printf(r, "0\n");
		break;
	case TOPO_CORE:
		report_printf(r, "%u\n", cpu);
		break;
	case TOPO_SELF_LIST:
		sysfs_show_list(r, 1u << cpu);
		break;
	case TOPO_SELF_MASK:
		report_printf(r, "%x\n", 1u << cpu);
		break;
	case TOPO_ALL_LIST:
		sysfs_show_list(r, online);
		break;
	default:
		report_printf(r, "%x\n", online);
	}
	return 0;
}

/* The leaf that describes caches, or 0. */
static u32 cache_leaf(void)
{
	u32 a, b, c, d;

	cpuid(LEAF_AMD_MAX, 0, &a, &b, &c, &d);
	if (a >= LEAF_AMD_CACHE) {
		cpuid(LEAF_AMD_BITS, 0, &a, &b, &c, &d);
		if (c & ECX_TOPOEXT)
			return LEAF_AMD_CACHE;
	}
	cpuid(0, 0, &a, &b, &c, &d);
	return a >= LEAF_CACHE ? LEAF_CACHE : 0;
}

/* Both leaves have the same fields. false: there is no such cache. */
static bool read_cache(unsigned int index, struct cache *out)
{
	const u32 leaf = cache_leaf();
	u32 a, b, c, d;

	if (!leaf)
		return false;
	cpuid(leaf, index, &a, &b, &c, &d);
	out->type = a & 0x1f;
	out->level = a >> 5 & 7;
	out->line = (b & 0xfff) + 1;
	out->partitions = (b >> 12 & 0x3ff) + 1;
	out->ways = (b >> 22) + 1;
	out->sets = c + 1;
	return out->type >= 1 && out->type <= 3;
}

static int show_cache(struct report *r, u64 arg)
{
	static const char *const types[] = {"", "Data", "Instruction", "Unified"};
	struct cache c;

	if (!read_cache(ARG_INDEX(arg), &c))
		return -EIO;
	switch (ARG_WHAT(arg)) {
	case CACHE_LEVEL:
		report_printf(r, "%u\n", c.level);
		break;
	case CACHE_TYPE:
		report_printf(r, "%s\n", types[c.type]);
		break;
	case CACHE_SIZE:
		report_printf(r, "%luK\n", (u64)c.ways * c.partitions * c.line * c.sets / 1024);
		break;
	case CACHE_LINE:
		report_printf(r, "%u\n", c.line);
		break;
	case CACHE_SETS:
		report_printf(r, "%u\n", c.sets);
		break;
	case CACHE_WAYS:
		report_printf(r, "%u\n", c.ways);
		break;
	default: /* all CPUs share the last level */
		sysfs_show_list(r, c.level >= 3 ? READ_ONCE(cpus_online) : 1u << ARG_CPU(arg));
	}
	return 0;
}

/* ---- tables ----------------------------------------------------------------------------------- */

#define DIR "devices/system/cpu/"
static const struct sysfs_entry all_cpus[] = {
	{DIR "online", 0444, show_cpus, NULL, CPU_ONLINE},
	{DIR "possible", 0444, show_cpus, NULL, CPU_POSSIBLE},
	{DIR "present", 0444, show_cpus, NULL, CPU_POSSIBLE},
	{DIR "offline", 0444, show_cpus, NULL, CPU_OFFLINE},
	{DIR "kernel_max", 0444, show_cpus, NULL, CPU_KERNEL_MAX},
};

struct name {
	const char *name;
	unsigned int what;
};
static const struct name topology[] = {
	{"physical_package_id", TOPO_PACKAGE},
	{"die_id", TOPO_PACKAGE},
	{"core_id", TOPO_CORE},
	{"thread_siblings_list", TOPO_SELF_LIST},
	{"thread_siblings", TOPO_SELF_MASK},
	{"core_cpus_list", TOPO_SELF_LIST},
	{"core_cpus", TOPO_SELF_MASK},
	{"core_siblings_list", TOPO_ALL_LIST},
	{"core_siblings", TOPO_ALL_MASK},
	{"package_cpus_list", TOPO_ALL_LIST},
	{"package_cpus", TOPO_ALL_MASK},
};
static const struct name caches[] = {
	{"level", CACHE_LEVEL},
	{"type", CACHE_TYPE},
	{"size", CACHE_SIZE},
	{"coherency_line_size", CACHE_LINE},
	{"number_of_sets", CACHE_SETS},
	{"ways_of_associativity", CACHE_WAYS},
	{"shared_cpu_list", CACHE_SHARED},
};

/* Add a file. At boot only, so nothing is freed after -ENOMEM. */
static int add(const char *path, int (*show)(struct report *r, u64 arg), u64 arg)
{
	struct sysfs_entry *e = kzalloc(sizeof(*e), GFP_KERNEL);
	char *copy = kmalloc(strlen(path) + 1, GFP_KERNEL);

	if (!e || !copy)
		return -ENOMEM;
	memcpy(copy, path, strlen(path) + 1);
	*e = (struct sysfs_entry){copy, 0444, show, NULL, arg};
	return sysfs_register(e, 1);
}

static int register_cpu(unsigned int cpu, unsigned int nr_caches)
{
	char path[96];
	int err = 0;

	for (u32 i = 0; i < ARRAY_SIZE(topology) && !err; i++) {
		ksnprintf(path, sizeof(path), DIR "cpu%u/topology/%s", cpu, topology[i].name);
		err = add(path, show_topology, arg_of(cpu, 0, topology[i].what));
	}
	for (unsigned int index = 0; index < nr_caches && !err; index++) {
		for (u32 i = 0; i < ARRAY_SIZE(caches) && !err; i++) {
			ksnprintf(path, sizeof(path), DIR "cpu%u/cache/index%u/%s", cpu, index,
				  caches[i].name);
			err = add(path, show_cache, arg_of(cpu, index, caches[i].what));
		}
	}
	return err;
}

int sysfs_cpu_register(void)
{
	int err = sysfs_register(all_cpus, ARRAY_SIZE(all_cpus));
	unsigned int nr_caches = 0;
	struct cache c;

	/* Read the caches of this CPU only, because all CPUs are alike and each CPUID is an exit. */
	while (nr_caches < MAX_CACHES && read_cache(nr_caches, &c))
		nr_caches++;
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS && !err; cpu++)
		if (READ_ONCE(cpus_online) & 1u << cpu)
			err = register_cpu(cpu, nr_caches);
	return err;
}
