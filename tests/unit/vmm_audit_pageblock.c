/* The audit of pageblocks: unmovable pages where only movable ones may be, free pages of a wrong type. */
#include "audit_plant.h"

#define CMA 5

/* Four pageblocks in the low zone; the image has room for their types behind the cache's name. */
static uint8_t *block_types(void)
{
	struct mmvm_audit_zone *z = &im.g->root.zone[0];

	z->pageblock_gva = GVA(cache.name) + 16;
	z->pageblock_order = 9;
	z->cma_type = CMA;
	memset(im.g->cache.name + 16, 1, 4);
	return (uint8_t *)im.g->cache.name + 16;
}

static void d_slab_in_movable(void)
{
	block_types();
	im.g->root.zone[0].movable = 1;
}
static void d_kernel_page_in_cma(void)
{
	block_types()[1] = CMA; /* 512..1023: the slab, tables and stack are there */
}
static void d_free_of_another_type(void)
{
	block_types()[2] = CMA; /* 1024..1535: free, on an ordinary list */
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

static const struct damage damages[] = {
	PLANT(d_slab_in_movable, AUDIT_UNMOVABLE),
	PLANT(d_kernel_page_in_cma, AUDIT_UNMOVABLE),
	PLANT(d_free_of_another_type, AUDIT_PAGEBLOCK),
	PLANT(d_types_unreadable, AUDIT_PAGEBLOCK),
	PLANT(d_no_type_for_a_frame, AUDIT_PAGEBLOCK),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

static void ordinary_blocks_hold_anything(void)
{
	build();
	block_types();
	CU_ASSERT_EQUAL(run(), 0);
}

int main(void)
{
	int status;
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"ordinary pageblocks hold anything", ordinary_blocks_hold_anything},
	};

	if (!plant_begin())
		return 1;
	status = unit_run("audit: pageblocks", cases, sizeof(cases) / sizeof(cases[0]));
	plant_end();
	return status;
}
