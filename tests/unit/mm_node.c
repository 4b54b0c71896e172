/*
 * The order in which an allocation looks at nodes: three nodes with memory and one without, distances from a
 * map, CPUs on different nodes. Node 0 is nearer to 2 than to 1.
 */
#include "check.h"
#include "host.h"
#include "unit.h"
#include "lib/errno.h"
#include "mm/phys/folio.h"
#include "mm/phys/internal.h"

#define MB (1ul << 20)

/* Order in which the zonelist of a node comes to the nodes. */
static void order_of_nodes(unsigned int nid, int order[4])
{
	unsigned int n = 0;
	int last = -1;

	for (unsigned int i = 0; i < 4; i++)
		order[i] = -1;
	for (struct zone **z = node_data[nid].zonelist; *z; z++) {
		if ((*z)->node->id == last)
			continue;
		last = (*z)->node->id;
		CU_ASSERT_FATAL(n < 4);
		order[n++] = last;
	}
}

static void nearest_first(void)
{
	static const int expected[4][4] = {
		{0, 2, 1, -1}, {1, 0, 2, -1}, {2, 0, 1, -1}, {1, 0, 2, -1}};

	for (unsigned int nid = 0; nid < 4; nid++) {
		int order[4];

		order_of_nodes(nid, order);
		for (unsigned int i = 0; i < 4; i++)
			CU_ASSERT_EQUAL(order[i], expected[nid][i]);
	}
	CU_ASSERT_EQUAL(node_distance(0, 0), 10);
	CU_ASSERT_EQUAL(node_distance(0, 2), 15);
	CU_ASSERT_EQUAL(node_distance(2, 0), 15);
	CU_ASSERT_EQUAL(node_distance(1, 2), 40);
	CU_ASSERT_EQUAL(node_distance(0, 7), 20); /* not in the map */
}

static void bad_maps(void)
{
	CU_ASSERT_EQUAL(node_set_distance(8, 0, 20), -EINVAL);
	CU_ASSERT_EQUAL(node_set_distance(0, 1, 10), -EINVAL);
	CU_ASSERT_EQUAL(node_set_distance(0, 1, 256), -EINVAL);
	CU_ASSERT_EQUAL(node_set_distance(4, 4, 11), -EINVAL);
	CU_ASSERT_EQUAL(node_set_cpu(8, 0), -EINVAL);
	CU_ASSERT_EQUAL(node_set_cpu(0, 8), -EINVAL);
}

static unsigned int node_of_allocation(gfp_t gfp, unsigned int order)
{
	struct page *p = alloc_pages(gfp, order);
	unsigned int nid = page_node_id(p);

	__free_pages(p, order);
	return nid;
}

static void cpus_allocate_at_home(void)
{
	static const unsigned int home[] = {0, 1, 2, 1}; /* CPU 3 is on node 3, next to 1 */

	for (unsigned int cpu = 0; cpu < 4; cpu++) {
		host_set_cpu(cpu);
		for (unsigned int order = 0; order <= MAX_ORDER; order++)
			CU_ASSERT_EQUAL(node_of_allocation(GFP_KERNEL, order), home[cpu]);
		/* The lowest zone is on node 0 alone. */
		CU_ASSERT_EQUAL(node_of_allocation(GFP_KERNEL | __GFP_DMA, 0), 0);
	}
	host_set_cpu(0);
}

static void asked_for(void)
{
	for (int nid = 0; nid < 3; nid++)
		for (unsigned int order = 0; order < 5; order++) {
			struct page *p = alloc_pages_node(nid, GFP_KERNEL, order);

			CU_ASSERT_EQUAL(page_node_id(p), (unsigned int)nid);
			CU_ASSERT_EQUAL(page_ref_count(p), 1);
			__free_pages(p, order);
		}
	/* A node without memory: its neighbour's, or nothing. */
	CU_ASSERT_PTR_NULL(alloc_pages_node(3, GFP_NOWAIT | __GFP_THISNODE, 0));
	CU_ASSERT_EQUAL(node_of_allocation(GFP_KERNEL, 0), 0);
	CU_ASSERT_PTR_NULL(alloc_pages_node(1, GFP_NOWAIT | __GFP_DMA | __GFP_THISNODE, 0));
}

struct counts {
	s64 hit, miss, foreign, local, other;
};

static struct counts counts_of(unsigned int nid)
{
	struct counts c = {0};

	for (unsigned int t = 0; t < MAX_NR_ZONES; t++) {
		const struct zone *z = &node_data[nid].zones[t];

		c.hit += zone_stat(z, NUMA_HIT);
		c.miss += zone_stat(z, NUMA_MISS);
		c.foreign += zone_stat(z, NUMA_FOREIGN);
		c.local += zone_stat(z, NUMA_LOCAL);
		c.other += zone_stat(z, NUMA_OTHER);
	}
	return c;
}

static void expect(unsigned int nid, struct counts before, s64 hit, s64 miss, s64 foreign,
		   s64 local, s64 other)
{
	struct counts now = counts_of(nid);

	CU_ASSERT_EQUAL(now.hit - before.hit, hit);
	CU_ASSERT_EQUAL(now.miss - before.miss, miss);
	CU_ASSERT_EQUAL(now.foreign - before.foreign, foreign);
	CU_ASSERT_EQUAL(now.local - before.local, local);
	CU_ASSERT_EQUAL(now.other - before.other, other);
}

static void counters(void)
{
	struct counts c[3];
	struct page *p, *next;
	unsigned int n1, n0 = 0;
	LIST_HEAD(list);

	/* One allocation counts once, whatever its order. */
	for (unsigned int i = 0; i < 3; i++)
		c[i] = counts_of(i);
	__free_pages(alloc_pages(GFP_KERNEL, 0), 0);
	__free_pages(alloc_pages(GFP_KERNEL, 4), 4);
	__free_pages(alloc_pages_node(2, GFP_KERNEL, 1), 1);
	expect(0, c[0], 2, 0, 0, 2, 0);
	expect(1, c[1], 0, 0, 0, 0, 0);
	expect(2, c[2], 1, 0, 0, 0, 1);

	/* A full node's allocations are foreign to it and missed by the nearest. */
	host_set_cpu(1);
	for (unsigned int i = 0; i < 3; i++)
		c[i] = counts_of(i);
	for (n1 = 0; (p = alloc_pages(GFP_NOWAIT | __GFP_THISNODE, 0)); n1++)
		list_add(&p->lru, &list);
	expect(1, c[1], n1, 0, 0, n1, 0);
	for (; n0 < 10; n0++) {
		p = alloc_pages(GFP_NOWAIT, 0);
		CU_ASSERT_EQUAL(page_node_id(p), 0);
		list_add(&p->lru, &list);
	}
	expect(1, c[1], n1, 0, n0, n1, 0);
	expect(0, c[0], 0, n0, 0, 0, n0);
	list_for_each_entry_safe (p, next, &list, lru)
		__free_page(p);
	host_set_cpu(0);
	drain_all_pages();
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* vm.numa_stat = 0: nothing is counted, and the short way is taken again. */
static void counting_can_be_switched_off(void)
{
	struct counts c0, c1;
	struct page *p[70];

	numa_stat = 0;
	numa_stat_changed();
	c0 = counts_of(0);
	c1 = counts_of(1);
	__free_page(alloc_page(GFP_KERNEL));
	CU_ASSERT(!list_empty(per_cpu(pcp_first, 0)[GFP_KERNEL & 0x1f].list));
	CU_ASSERT_EQUAL(alloc_pages_bulk(GFP_KERNEL, 70, PAGE_OTHER, p), 70);
	for (unsigned int i = 0; i < 70; i++)
		__free_page(p[i]);
	expect(0, c0, 0, 0, 0, 0, 0);
	/* The short way must not be open to another node's zone: __GFP_THISNODE would take it. */
	CU_ASSERT(list_empty(per_cpu(pcp_first, 1)[__GFP_DMA].list));
	host_set_cpu(1);
	CU_ASSERT_PTR_NULL(alloc_pages(GFP_NOWAIT | __GFP_DMA | __GFP_THISNODE, 0));
	host_set_cpu(0);
	expect(1, c1, 0, 0, 0, 0, 0);
	numa_stat = 1;
	numa_stat_changed();
	CU_ASSERT(list_empty(per_cpu(pcp_first, 0)[GFP_KERNEL & 0x1f].list));
}

int main(void)
{
	static const struct host_region region[] = {
		{0, 24 * MB, 0},
		{24 * MB, 12 * MB, 1},
		{36 * MB, 12 * MB, 2},
	};
	static const struct unit_case cases[] = {
		{"a zonelist goes to the nearest next", nearest_first},
		{"distances that cannot be", bad_maps},
		{"CPUs allocate at home", cpus_allocate_at_home},
		{"a node that is asked for", asked_for},
		{"hits and misses are counted", counters},
		{"counting can be switched off", counting_can_be_switched_off},
	};
	int bad = 0;

	bad |= node_set_distance(0, 1, 30);
	bad |= node_set_distance(0, 2, 15);
	bad |= node_set_distance(1, 2, 40);
	bad |= node_set_distance(3, 1, 12);
	for (unsigned int cpu = 0; cpu < 4; cpu++)
		bad |= node_set_cpu(cpu, cpu);
	if (bad)
		return 1;
	host_boot(region, ARRAY_SIZE(region), "quiet");
	return unit_run("placement on nodes", cases, ARRAY_SIZE(cases));
}
