/*
 * /sys/devices/system/node: the nodes, with their memory, CPUs and distances.
 * /sys/kernel/mm/mempolicy/weighted_interleave: a weight for each node.
 *
 * Format: Linux, drivers/base/node.c; Documentation/ABI/testing/sysfs-kernel-mm-mempolicy-weighted-interleave.
 * Lines of meminfo that are not counted here are left out.
 */
#include "arch/smp.h"
#include "fs/sysfs/sysfs.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/memcg/memcg.h"
#include "mm/numa/mempolicy.h"
#include "mm/phys/alloc.h"
#include "mm/phys/zone.h"
#include "mm/slab/slab.h"

static u32 cpus_of(u64 nid)
{
	u32 cpus = 0;

	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		if (cpu_is_online(cpu) && cpu_node[cpu] == nid)
			cpus |= 1u << cpu;
	return cpus;
}

static u32 nodes_with_cpus(void)
{
	u32 nodes = 0;

	for (unsigned int nid = 0; nid < MMVM_MAX_NODES; nid++)
		nodes |= (u32)(cpus_of(nid) != 0) << nid;
	return nodes;
}

static u32 nodes_with_normal_memory(void)
{
	u32 nodes = 0;

	for (unsigned int nid = 0; nid < MMVM_MAX_NODES; nid++)
		for (int type = 0; type <= ZONE_NORMAL; type++)
			nodes |= (u32)(node_data[nid].zones[type].present != 0) << nid;
	return nodes;
}

enum { ONLINE, HAS_MEMORY, HAS_NORMAL_MEMORY, HAS_CPU };

static int show_nodes(struct report *r, u64 which)
{
	switch (which) {
	case ONLINE:
		sysfs_show_list(r, memory_nodes | nodes_with_cpus());
		break;
	case HAS_MEMORY:
		sysfs_show_list(r, memory_nodes);
		break;
	case HAS_NORMAL_MEMORY:
		sysfs_show_list(r, nodes_with_normal_memory());
		break;
	case HAS_CPU:
		sysfs_show_list(r, nodes_with_cpus());
		break;
	}
	return 0;
}

/* ---- a node ----------------------------------------------------------------------------------- */

static s64 node_stat(u64 nid, enum zone_stat_item item)
{
	s64 sum = 0;

	for (int type = 0; type < MAX_NR_ZONES; type++)
		if (node_data[nid].zones[type].present)
			sum += zone_stat(&node_data[nid].zones[type], item);
	return sum;
}

static u64 node_managed(u64 nid)
{
	u64 sum = 0;

	for (int type = 0; type < MAX_NR_ZONES; type++)
		sum += node_data[nid].zones[type].managed;
	return sum;
}

static void line(struct report *r, u64 nid, const char *label, s64 pages)
{
	report_printf(r, "Node %lu %-16s%8ld kB\n", (unsigned long)nid, label, (long)(pages << 2));
}

static void pool_line(struct report *r, u64 nid, const char *label, u64 pages)
{
	report_printf(r, "Node %lu %-17s%6lu\n", (unsigned long)nid, label, (unsigned long)pages);
}

static int show_meminfo(struct report *r, u64 nid)
{
	const s64 total = (s64)node_managed(nid), free = node_stat(nid, NR_FREE_PAGES);
	const s64 active_anon = node_stat(nid, NR_ACTIVE_ANON);
	const s64 inactive_anon = node_stat(nid, NR_INACTIVE_ANON);
	const s64 active_file = node_stat(nid, NR_ACTIVE_FILE);
	const s64 inactive_file = node_stat(nid, NR_INACTIVE_FILE);
	const s64 reclaimable = node_stat(nid, NR_SLAB_RECLAIMABLE);
	const s64 unreclaimable = node_stat(nid, NR_SLAB_UNRECLAIMABLE);

	line(r, nid, "MemTotal:", total);
	line(r, nid, "MemFree:", free);
	line(r, nid, "MemUsed:", total - free);
	line(r, nid, "SwapCached:", node_stat(nid, NR_SWAPCACHE));
	line(r, nid, "Active:", active_anon + active_file);
	line(r, nid, "Inactive:", inactive_anon + inactive_file);
	line(r, nid, "Active(anon):", active_anon);
	line(r, nid, "Inactive(anon):", inactive_anon);
	line(r, nid, "Active(file):", active_file);
	line(r, nid, "Inactive(file):", inactive_file);
	line(r, nid, "Unevictable:", node_stat(nid, NR_UNEVICTABLE));
	line(r, nid, "Mlocked:", node_stat(nid, NR_MLOCK));
	line(r, nid, "Dirty:", node_stat(nid, NR_FILE_DIRTY));
	line(r, nid, "Writeback:", node_stat(nid, NR_WRITEBACK));
	line(r, nid, "FilePages:", node_stat(nid, NR_FILE_PAGES));
	line(r, nid, "Mapped:", node_stat(nid, NR_FILE_MAPPED));
	line(r, nid, "AnonPages:", node_stat(nid, NR_ANON_MAPPED));
	line(r, nid, "Shmem:", node_stat(nid, NR_SHMEM));
	report_printf(r, "Node %lu %-16s%8ld kB\n", (unsigned long)nid,
		      "KernelStack:", (long)node_stat(nid, NR_KERNEL_STACK_KB));
	line(r, nid, "PageTables:", node_stat(nid, NR_PAGETABLE));
	line(r, nid, "KReclaimable:", reclaimable);
	line(r, nid, "Slab:", reclaimable + unreclaimable);
	line(r, nid, "SReclaimable:", reclaimable);
	line(r, nid, "SUnreclaim:", unreclaimable);
	line(r, nid, "AnonHugePages:", node_stat(nid, NR_ANON_THPS) * (s64)HPAGE_PMD_NR);
	line(r, nid, "ShmemHugePages:", node_stat(nid, NR_SHMEM_THPS) * (s64)HPAGE_PMD_NR);
	line(r, nid, "ShmemPmdMapped:", node_stat(nid, NR_SHMEM_PMDMAPPED) * (s64)HPAGE_PMD_NR);
	pool_line(r, nid, "HugePages_Total:", default_hstate->nr_node[nid]);
	pool_line(r, nid, "HugePages_Free:", default_hstate->free_node[nid]);
	pool_line(r, nid, "HugePages_Surp:", default_hstate->surplus_node[nid]);
	return 0;
}

static int show_numastat(struct report *r, u64 nid)
{
	static const struct {
		const char *name;
		enum zone_stat_item item;
	} lines[] = {{"numa_hit", NUMA_HIT},	     {"numa_miss", NUMA_MISS},
		     {"numa_foreign", NUMA_FOREIGN}, {"interleave_hit", NUMA_INTERLEAVE_HIT},
		     {"local_node", NUMA_LOCAL},     {"other_node", NUMA_OTHER}};

	for (u32 i = 0; i < ARRAY_SIZE(lines); i++)
		report_printf(r, "%s %ld\n", lines[i].name, (long)node_stat(nid, lines[i].item));
	return 0;
}

static int show_vmstat(struct report *r, u64 nid)
{
#define X(item, name) report_printf(r, "%s %ld\n", name, (long)node_stat(nid, item));
	MMVM_ZONE_STATS(X)
#undef X
#define X(item, name)                                                          \
	if (item >= WORKINGSET_REFAULT_ANON && item <= WORKINGSET_NODERECLAIM) \
		report_printf(                                                 \
			r, "%s %lu\n", name,                                   \
			(unsigned long)mem_cgroup_workingset(&root_mem_cgroup, (int)nid, item));
	MMVM_VM_EVENTS(X)
#undef X
	return 0;
}

static int show_distance(struct report *r, u64 nid)
{
	const u32 online = memory_nodes | nodes_with_cpus();
	const char *between = "";

	for (unsigned int to = 0; to < MMVM_MAX_NODES; to++) {
		if (!(online & 1u << to))
			continue;
		report_printf(r, "%s%u", between, node_distance(nid, to));
		between = " ";
	}
	report_printf(r, "\n");
	return 0;
}

static int show_cpulist(struct report *r, u64 nid)
{
	sysfs_show_list(r, cpus_of(nid));
	return 0;
}

static int show_cpumap(struct report *r, u64 nid)
{
	report_printf(r, "%x\n", cpus_of(nid));
	return 0;
}

/* ---- weights ---------------------------------------------------------------------------------- */

static int show_weight(struct report *r, u64 nid)
{
	report_printf(r, "%u\n", mempolicy_weight(nid));
	return 0;
}

/* An empty text, or 0, restores the default. */
static int store_weight(const char *text, u64 nid)
{
	u64 w = 0;

	if (*text && (sysfs_parse_u64(text, &w) || w > 255))
		return -EINVAL;
	mempolicy_set_weight(nid, (u8)w);
	return 0;
}

/* ---- tables ----------------------------------------------------------------------------------- */

#define DIR "devices/system/node/"
static const struct sysfs_entry all_nodes[] = {
	{DIR "possible", 0444, show_nodes, NULL, ONLINE},
	{DIR "online", 0444, show_nodes, NULL, ONLINE},
	{DIR "has_normal_memory", 0444, show_nodes, NULL, HAS_NORMAL_MEMORY},
	{DIR "has_memory", 0444, show_nodes, NULL, HAS_MEMORY},
	{DIR "has_cpu", 0444, show_nodes, NULL, HAS_CPU},
};

/* {n}: the number of the node. */
static const struct {
	const char *path;
	u32 mode;
	int (*show)(struct report *r, u64 nid);
	int (*store)(const char *text, u64 nid);
	bool memory; /* only for nodes with memory */
} per_node[] = {
	{DIR "node%u/cpumap", 0444, show_cpumap, NULL, false},
	{DIR "node%u/cpulist", 0444, show_cpulist, NULL, false},
	{DIR "node%u/meminfo", 0444, show_meminfo, NULL, false},
	{DIR "node%u/numastat", 0444, show_numastat, NULL, false},
	{DIR "node%u/distance", 0444, show_distance, NULL, false},
	{DIR "node%u/vmstat", 0444, show_vmstat, NULL, false},
	{"kernel/mm/mempolicy/weighted_interleave/node%u", 0644, show_weight, store_weight, true},
};

static int register_node(unsigned int nid)
{
	struct sysfs_entry *e = kzalloc(sizeof(*e) * ARRAY_SIZE(per_node), GFP_KERNEL);
	u32 n = 0;

	if (!e)
		return -ENOMEM;
	for (u32 i = 0; i < ARRAY_SIZE(per_node); i++) {
		char *path;

		if (per_node[i].memory && !(memory_nodes & 1u << nid))
			continue;
		path = kmalloc(strlen(per_node[i].path) + 1, GFP_KERNEL);
		if (!path)
			return -ENOMEM; /* at boot: nothing is freed */
		ksnprintf(path, strlen(per_node[i].path) + 1, per_node[i].path, nid);
		e[n++] = (struct sysfs_entry){path, per_node[i].mode, per_node[i].show,
					      per_node[i].store, nid};
	}
	return sysfs_register(e, n);
}

int sysfs_node_register(void)
{
	const u32 online = memory_nodes | nodes_with_cpus();
	int err = sysfs_register(all_nodes, ARRAY_SIZE(all_nodes));

	for (unsigned int nid = 0; nid < MMVM_MAX_NODES && !err; nid++) {
		if (online & 1u << nid)
			err = register_node(nid);
		if (!err && (memory_nodes & 1u << nid))
			err = sysfs_hugepages_register_node(nid);
	}
	return err;
}
