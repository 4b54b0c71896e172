/*
 * Nodes: which CPU is on which, how far apart they are, and where an allocation looks.
 *
 * A node's zonelist holds its own zones from high to low, then those of the other nodes, the nearest
 * first. An allocation walks the zonelist of the node it wants: the CPU's, unless alloc_pages_node()
 * names another. __GFP_THISNODE stops at that node's last zone.
 *
 * Distances and the CPUs' nodes come from the device tree (numa-distance-map-v1, numa-node-id). Without
 * a map a node is 10 from itself and 20 from every other, as in Linux. The map may be asymmetric.
 *
 * Counters, as Linux 6.12 counts them, one for each allocation, on the zone it came from (numa_foreign:
 * on the zone it should have come from):
 *
 *                                    numa_hit   the node that was wanted
 *   memory came from                 numa_miss  another one; numa_foreign there
 *                                    numa_local, numa_other: the CPU's node, another
 *   an interleaving policy chose it    numa_interleave, besides
 *
 * They cost the short way through the allocator, so they are off on a machine with one node, where
 * they say nothing (vm.numa_stat, which Linux has for the same reason).
 *
 * Nothing here changes after boot, but for what vm.numa_stat switches.
 */
#include "lib/errno.h"
#include "mm/numa/mempolicy.h"
#include "mm/phys/internal.h"

#define LOCAL_DISTANCE	10
#define REMOTE_DISTANCE 20

u8 cpu_node[MMVM_MAX_CPUS];
DEFINE_PER_CPU(unsigned int, numa_node);
unsigned int nr_online_nodes, nr_node_ids;
u32 cpu_nodes;
u32 memory_nodes;
int numa_stat;
DEFINE_PER_CPU_ALIGNED(struct pcp_first[32], pcp_first);

static u8 distance[MMVM_MAX_NODES][MMVM_MAX_NODES]; /* 0 = not given */

int node_set_distance(unsigned int from, unsigned int to, unsigned int d)
{
	/* Linux refuses a local distance other than 10, and remote ones that are not larger. */
	if (from >= MMVM_MAX_NODES || to >= MMVM_MAX_NODES || d > 255 ||
	    (from == to ? d != LOCAL_DISTANCE : d <= LOCAL_DISTANCE))
		return -EINVAL;
	distance[from][to] = d;
	/* The map may give a distance in one direction only. */
	if (!distance[to][from])
		distance[to][from] = d;
	return 0;
}

unsigned int node_distance(unsigned int from, unsigned int to)
{
	if (from < MMVM_MAX_NODES && to < MMVM_MAX_NODES && distance[from][to])
		return distance[from][to];
	return from == to ? LOCAL_DISTANCE : REMOTE_DISTANCE;
}

int node_set_cpu(unsigned int cpu, unsigned int node)
{
	if (cpu >= MMVM_MAX_CPUS || node >= MMVM_MAX_NODES)
		return -EINVAL;
	cpu_node[cpu] = node;
	cpu_nodes |= 1u << node;
	return 0;
}

/* The nearest node with memory that is not in `used` yet; of equally near ones the next number, in a
 * ring, so that nodes do not all fall back to node 0. MMVM_MAX_NODES: there is none. */
static unsigned int nearest_node(unsigned int from, unsigned int used)
{
	unsigned int best = MMVM_MAX_NODES;

	for (unsigned int step = 0; step < MMVM_MAX_NODES; step++) {
		unsigned int n = (from + step) % MMVM_MAX_NODES;

		if (!node_data[n].present || (used & 1u << n))
			continue;
		if (best == MMVM_MAX_NODES || node_distance(from, n) < node_distance(from, best))
			best = n;
	}
	return best;
}

/* Nodes without memory have a zonelist too: a CPU may be on one. */
void build_zonelists(void)
{
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
		pg_data_t *node = &node_data[i];
		unsigned int used = 0, at = 0, n;

		node->id = i;
		while ((n = nearest_node(i, used)) < MMVM_MAX_NODES) {
			used |= 1u << n;
			for (int type = MAX_NR_ZONES - 1; type >= 0; type--)
				if (node_data[n].zones[type].managed)
					node->zonelist[at++] = &node_data[n].zones[type];
		}
		node->zonelist[at] = NULL;
	}
}

/* One CPU's entries. What cannot take the short way gets a list that is always empty: counters are on,
 * a task has a
 * policy, or no zone of the CPU's node fits (the long way knows what __GFP_THISNODE then means). */
static void point_pcp_first(unsigned int cpu)
{
	static struct per_cpu_pages none;
	const pg_data_t *node = &node_data[cpu_node[cpu]];

	/* `none` is always empty. A bulk allocation counts its 0 pages as event 0, which does no
	 * harm. */
	for (unsigned int i = 0; i < NR_PCP_LISTS; i++)
		INIT_LIST_HEAD(&none.lists[i]);
	for (unsigned int gfp = 0; gfp < 32; gfp++) {
		struct zone *const *z = node->zonelist;
		struct per_cpu_pages *pcp = &none;

		while (*z && (*z)->type > gfp_zone(gfp))
			z++;
		if (*z && (*z)->node == node && !numa_stat && !mempolicy_in_use)
			pcp = per_cpu_ptr((*z)->pcp, cpu);
		per_cpu(pcp_first, cpu)[gfp] =
			(struct pcp_first){&pcp->lists[gfp_migratetype(gfp)], pcp};
	}
}

void pcp_first_init(void)
{
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
		nr_online_nodes += node_data[i].present;
		memory_nodes |= (u32)node_data[i].present << i;
		if (node_data[i].present)
			nr_node_ids = i + 1;
	}
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		nr_node_ids = max(nr_node_ids, cpu_node[cpu] + 1u);
	numa_stat = nr_online_nodes > 1;
	for_each_possible_cpu (cpu) {
		per_cpu(numa_node, cpu) = cpu_node[cpu];
		point_pcp_first(cpu);
	}
}

static void point_this_cpu(void *arg)
{
	unsigned long flags = arch_irq_save();

	point_pcp_first(cpu_id());
	arch_irq_restore(flags);
}

void numa_stat_changed(void)
{
	on_each_cpu(point_this_cpu, NULL);
}

void numa_count(const pg_data_t *node, u32 nodes, enum zone_type highest, struct zone *z)
{
	struct zone *const *wanted = node->zonelist;

	while ((*wanted)->type > highest || !(nodes & 1u << (*wanted)->node->id))
		wanted++; /* ends at z at the latest */
	zone_stat_add(z, z->node->id == (int)numa_node_id() ? NUMA_LOCAL : NUMA_OTHER, 1);
	if (z->node == (*wanted)->node) {
		zone_stat_add(z, NUMA_HIT, 1);
	} else {
		zone_stat_add(z, NUMA_MISS, 1);
		zone_stat_add(*wanted, NUMA_FOREIGN, 1);
	}
}
