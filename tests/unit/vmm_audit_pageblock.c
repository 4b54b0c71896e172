/* The audit of pageblocks: unmovable pages where only movable ones may be, free pages of a wrong type. */
#include "audit_plant.h"

#define MOVABLE 1
#define CMA	3

/* Four pageblocks in the low zone, all movable; their types lie behind the cache's name. */
static uint8_t *block_types(void)
{
	struct mmvm_audit_zone *z = &im.g->root.zone[0];

	z->pageblock_gva = GVA(cache.name) + 16;
	z->pageblock_order = 9;
	z->cma_type = CMA;
	z->movable_type = MOVABLE;
	z->nr_block_types = 3;
	memset(im.g->cache.name + 16, MOVABLE, 4);
	return (uint8_t *)im.g->cache.name + 16;
}

static void area(uint64_t start, uint64_t pages)
{
	block_types();
	im.g->root.zone[0].cma_start = start;
	im.g->root.zone[0].cma_pages = pages;
}

static void d_slab_in_movable(void)
{
	block_types();
	im.g->root.zone[0].movable = 1;
}
static void d_kernel_page_in_cma(void)
{
	area(512, 512); /* the slab, tables and a stack are there */
}
static void d_free_of_another_type(void)
{
	area(1024, 512); /* free, on an ordinary list */
}
static void d_cma_list_outside(void)
{
	block_types();
	page(first_buddy(0, 10, MOVABLE))->migratetype = CMA;
}
static void d_types_unreadable(void)
{
	block_types();
	im.g->root.zone[0].pageblock_gva = 0xffff000000000000ull;
}
static void d_no_type_for_a_frame(void)
{
	block_types();
	im.g->root.zone[0].pageblock_first = 2;
}
static void d_unknown_type(void)
{
	block_types()[3] = 7;
}
static void d_area_of_unmovable_type(void)
{
	area(1024, 512);
	block_types()[2] = 0;
}
static void d_free_cma_level(void)
{
	block_types();
	level_add(0, NR_FREE_CMA, 3);
}

static const struct damage damages[] = {
	PLANT(d_slab_in_movable, AUDIT_UNMOVABLE),
	PLANT(d_kernel_page_in_cma, AUDIT_UNMOVABLE),
	PLANT(d_free_of_another_type, AUDIT_PAGEBLOCK),
	PLANT(d_cma_list_outside, AUDIT_PAGEBLOCK),
	PLANT(d_types_unreadable, AUDIT_PAGEBLOCK),
	PLANT(d_no_type_for_a_frame, AUDIT_PAGEBLOCK),
	PLANT(d_unknown_type, AUDIT_PAGEBLOCK),
	PLANT(d_area_of_unmovable_type, AUDIT_PAGEBLOCK),
	PLANT(d_free_cma_level, AUDIT_FREE_PAGES),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

static void clean(void)
{
	int ret = run();

	CU_ASSERT_EQUAL(ret, 0);
	if (ret)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
}

static void ordinary_blocks_hold_anything(void)
{
	build();
	block_types();
	clean();
}

/* Area and ZONE_MOVABLE with what may be there: free blocks, moved to the list of the area. */
static void an_area_that_is_free(void)
{
	uint64_t pfn;

	build();
	pfn = first_buddy(0, 10, MOVABLE);
	area(pfn, 1024);
	node(node(lru_gva(pfn))->prev)->next = node(lru_gva(pfn))->next; /* off its list */
	node(node(lru_gva(pfn))->next)->prev = node(lru_gva(pfn))->prev;
	list_add_tail(GVA(area[0][10]) + CMA * sizeof(struct mmvm_list), lru_gva(pfn));
	page(pfn)->migratetype = CMA;
	level_add(0, NR_FREE_CMA, 1024);
	clean();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"ordinary pageblocks hold anything", ordinary_blocks_hold_anything},
		{"a free area", an_area_that_is_free},
	};

	return plant_run("audit: pageblocks", cases, sizeof(cases) / sizeof(cases[0]));
}
