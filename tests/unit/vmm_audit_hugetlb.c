/*
 * The audit of hugetlb: a pool of two pages, one free and one in a file, a file that was promised
 * three, a mount that keeps one; then each kind of damage.
 */
#include "audit_plant.h"

static void build_pool(void)
{
	struct guest *g = im.g;
	struct folio_counts *c = (struct folio_counts *)page(im.folio + 1);
	struct page *head = page(im.folio);

	/* The compound block of the image becomes the pool's free page, a single one its page in use. */
	head->type = PAGE_HUGETLB;
	head->refcount = 0;
	c->large_mapcount = c->entire_mapcount = -1;
	g->pool = (struct pool){
		.nr = 1, .free = 1, .resv = 1, .order = 2, .nr_node = {1}, .free_node = {1}};
	list_init(GVA(pool.free_list));
	list_add_tail(GVA(pool.free_list), lru_gva(im.folio));
	list_init(GVA(hfiles));
	list_init(GVA(hmounts));
	list_init(GVA(hmap.regions));
	g->hfile.pool = GVA(pool);
	g->hfile.resv = GVA(hmap);
	g->hfile.mapping = GVA(hmapping);
	list_add_tail(GVA(hfiles), GVA(hfile.link));
	g->hregion.from = 5;
	g->hregion.to = 6;
	list_add_tail(GVA(hmap.regions), GVA(hregion.link));
	g->hmount.pool = GVA(pool);
	list_add_tail(GVA(hmounts), GVA(hmount.link));
	g->root.hugetlb = (struct mmvm_audit_hugetlb_layout){
		.hstates_gva = GVA(pool),
		.nr_hstates = 1,
		.hstate_stride = sizeof(struct pool),
		.order_offset = offsetof(struct pool, order),
		.free_list_offset = offsetof(struct pool, free_list),
		.nr_offset = offsetof(struct pool, nr),
		.free_offset = offsetof(struct pool, free),
		.resv_offset = offsetof(struct pool, resv),
		.surplus_offset = offsetof(struct pool, surplus),
		.nr_node_offset = offsetof(struct pool, nr_node),
		.free_node_offset = offsetof(struct pool, free_node),
		.surplus_node_offset = offsetof(struct pool, surplus_node),
		.files_gva = GVA(hfiles),
		.subpools_gva = GVA(hmounts),
		.file_link_offset = offsetof(struct hfile, link),
		.file_hstate_offset = offsetof(struct hfile, pool),
		.file_resv_offset = offsetof(struct hfile, resv),
		.file_mapping_offset = offsetof(struct hfile, mapping),
		.subpool_link_offset = offsetof(struct hmount, link),
		.subpool_hstate_offset = offsetof(struct hmount, pool),
		.subpool_reserved_offset = offsetof(struct hmount, reserved),
		.map_regions_offset = offsetof(struct hmap, regions),
		.region_from_offset = offsetof(struct hregion, from),
		.region_to_offset = offsetof(struct hregion, to),
	};
}

static void test_clean(void)
{
	build();
	build_pool();
	CU_ASSERT_EQUAL(run(), 0);
	if (im.r.total)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
}

static void d_nr(void)
{
	build_pool();
	im.g->pool.nr++;
}
static void d_free(void)
{
	build_pool();
	im.g->pool.free--;
	im.g->pool.resv--;
	im.g->hregion.to = 5;
}
static void d_nr_node(void)
{
	build_pool();
	im.g->pool.nr_node[0] = 0;
	im.g->pool.nr_node[1] = 1;
}
static void d_free_node(void)
{
	build_pool();
	im.g->pool.free_node[0] = 0;
}
static void d_surplus_node(void)
{
	build_pool();
	im.g->pool.surplus_node[0] = 1;
}
static void d_overdrawn(void)
{
	build_pool();
	im.g->pool.resv = 2;
	im.g->hregion.to = 7;
}
static void d_listed_in_use(void)
{
	build_pool();
	page(im.folio)->refcount = 1;
}
static void d_lost(void)
{
	build_pool();
	list_init(GVA(pool.free_list));
}
static void d_loop(void)
{
	build_pool();
	node(lru_gva(im.folio))->next = lru_gva(im.folio);
}
static void d_resv(void)
{
	build_pool();
	im.g->pool.resv = 0;
}
static void d_region(void)
{
	build_pool();
	im.g->hregion.to = 9;
}
static void d_mount(void)
{
	build_pool();
	im.g->hmount.reserved = 1;
}
static void d_map(void)
{
	build_pool();
	im.g->hfile.resv = 0x1234;
}
static void d_mapcount(void)
{
	build_pool();
	((struct folio_counts *)page(im.folio + 1))->large_mapcount = 0;
}
static void d_usage(void)
{
	build_pool();
	im.g->mm.hugetlb = 512;
}

static const struct damage damages[] = {
	PLANT(d_nr, AUDIT_HUGETLB_POOL),
	PLANT(d_free, AUDIT_HUGETLB_POOL),
	PLANT(d_nr_node, AUDIT_HUGETLB_POOL),
	PLANT(d_free_node, AUDIT_HUGETLB_POOL),
	PLANT(d_surplus_node, AUDIT_HUGETLB_POOL),
	PLANT(d_overdrawn, AUDIT_HUGETLB_POOL),
	PLANT(d_listed_in_use, AUDIT_HUGETLB_POOL),
	PLANT(d_lost, AUDIT_HUGETLB_POOL),
	PLANT(d_loop, AUDIT_HUGETLB_POOL),
	PLANT(d_resv, AUDIT_HUGETLB_RESERVE),
	PLANT(d_region, AUDIT_HUGETLB_RESERVE),
	PLANT(d_mount, AUDIT_HUGETLB_RESERVE),
	PLANT(d_map, AUDIT_HUGETLB_RESERVE),
	PLANT(d_mapcount, AUDIT_MAPCOUNT),
	PLANT(d_usage, AUDIT_RSS),
};

static void test_damages(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"a clean pool", test_clean},
		{"each damage is found", test_damages},
	};

	return plant_run("audit: hugetlb", cases, sizeof(cases) / sizeof(cases[0]));
}
