/*
 * Two nodes of odd sizes, and ZONE_MOVABLE. Node 0 has 18 MiB and a page. Node 1 has the next 14 MiB less a
 * page, and 8 MiB above 4 GiB, of which movablecore= takes a part.
 */
#include "check.h"
#include "host.h"
#include "unit.h"
#include "mm/phys/internal.h"

#define MB (1ul << 20)

static unsigned int take_all(gfp_t gfp, struct list_head *list, enum zone_type type, int node)
{
	unsigned int n = 0;
	struct page *p;

	while ((p = alloc_page(gfp))) {
		list_add(&p->lru, list);
		n += page_zone(p)->type == type && (int)page_node_id(p) == node;
	}
	return n;
}

static void give_back(struct list_head *list)
{
	while (!list_empty(list)) {
		struct page *p = list_first_entry(list, struct page, lru);

		list_del(&p->lru);
		__free_page(p);
	}
	drain_all_pages();
}

static void zones_of_two_nodes(void)
{
	pg_data_t *n0 = &node_data[0], *n1 = &node_data[1];

	CU_ASSERT(n0->present && n1->present && !node_data[2].present);
	CU_ASSERT_EQUAL(n0->zones[ZONE_DMA].present, 4096);
	CU_ASSERT_EQUAL(n0->zones[ZONE_DMA32].present, 512);
	CU_ASSERT_EQUAL(n0->zones[ZONE_MOVABLE].present, 513);
	CU_ASSERT_EQUAL(n0->zones[ZONE_NORMAL].present, 0);
	CU_ASSERT_EQUAL(n1->zones[ZONE_DMA].present, 0);
	CU_ASSERT_EQUAL(n1->zones[ZONE_DMA32].present, 12 * 256 - 1);
	CU_ASSERT_EQUAL(n1->zones[ZONE_NORMAL].present, 1536);
	CU_ASSERT_EQUAL(n1->zones[ZONE_MOVABLE].present, 512);
	/* A small reserve of its own, and no share of min_free_kbytes. */
	CU_ASSERT_EQUAL(n1->zones[ZONE_MOVABLE].watermark[WMARK_MIN], 32);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void zonelist_goes_home_first(void)
{
	struct zone **z = node_data[0].zonelist;

	/* Node 0 high to low, then node 1. */
	for (; z[0] && z[1]; z++)
		CU_ASSERT(z[0]->node->id < z[1]->node->id ||
			  (z[0]->node == z[1]->node && z[0]->type > z[1]->type));
	z = node_data[1].zonelist;
	CU_ASSERT_EQUAL(z[0]->node->id, 1);
	CU_ASSERT_EQUAL(z[0]->type, ZONE_MOVABLE);
	CU_ASSERT_EQUAL(z[2]->type, ZONE_DMA32);
	CU_ASSERT_EQUAL(z[3]->node->id, 0);
}

static void movable_is_for_movable(void)
{
	struct zone *m0 = &node_data[0].zones[ZONE_MOVABLE];
	struct zone *m1 = &node_data[1].zones[ZONE_MOVABLE];
	gfp_t movable = (GFP_HIGHUSER_MOVABLE & ~__GFP_RECLAIM) | __GFP_NOWARN | __GFP_MEMALLOC;
	LIST_HEAD(list);

	take_all(GFP_NOWAIT | __GFP_MEMALLOC, &list, ZONE_MOVABLE, 1);
	CU_ASSERT_EQUAL(zone_stat(m0, NR_FREE_PAGES), 513);
	CU_ASSERT_EQUAL(zone_stat(m1, NR_FREE_PAGES), 512);
	/* Only they are left, node 0's first. */
	CU_ASSERT_EQUAL(take_all(movable | __GFP_THISNODE, &list, ZONE_MOVABLE, 0), 513);
	CU_ASSERT_EQUAL(take_all(movable, &list, ZONE_MOVABLE, 1), 512);
	CU_ASSERT_EQUAL(nr_free_pages(), 0);
	CU_ASSERT_EQUAL(check_pages(), 0);
	give_back(&list);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void this_node_only(void)
{
	LIST_HEAD(list);
	struct page *p;

	CU_ASSERT(take_all(GFP_NOWAIT | __GFP_THISNODE, &list, ZONE_DMA32, 0) > 0);
	list_for_each_entry (p, &list, lru)
		CU_ASSERT_EQUAL(page_node_id(p), 0);
	CU_ASSERT(take_all(GFP_NOWAIT, &list, ZONE_DMA32, 1) > 0);
	give_back(&list);
}

/* Blocks meet at the odd border between the nodes and never merge across it. */
static void no_merging_across_the_border(void)
{
	LIST_HEAD(list);

	take_all(GFP_NOWAIT | __GFP_MEMALLOC, &list, ZONE_DMA, 0);
	CU_ASSERT_EQUAL(nr_free_pages(), 513 + 512);
	give_back(&list);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

int main(void)
{
	static const struct host_region region[] = {
		{0, 20 * MB + PAGE_SIZE, 0},
		{20 * MB + PAGE_SIZE, 12 * MB - PAGE_SIZE, 1},
		{MMVM_RAM_HIGH_BASE, 8 * MB, 1},
	};
	static const struct unit_case cases[] = {
		{"zones of two nodes", zones_of_two_nodes},
		{"a zonelist goes home first", zonelist_goes_home_first},
		{"ZONE_MOVABLE is for movable pages", movable_is_for_movable},
		{"__GFP_THISNODE", this_node_only},
		{"no merging across a border", no_merging_across_the_border},
	};

	host_boot(region, ARRAY_SIZE(region), "quiet movablecore=4M");
	return unit_run("nodes", cases, ARRAY_SIZE(cases));
}
