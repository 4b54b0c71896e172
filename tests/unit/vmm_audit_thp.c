/*
 * The audit of transparent huge pages: the image's compound block as an anonymous folio that nobody
 * maps but the deferred list names; then each kind of damage.
 */
#include "audit_plant.h"

static uint64_t nr_deferred_gva(void)
{
	return GVA(pool.nr);
}

static void build_folio(void)
{
	struct folio_counts *c = (struct folio_counts *)page(im.folio + 1);

	page(im.folio)->type = PAGE_ANON;
	c->large_mapcount = c->entire_mapcount = -1;
	list_init(GVA(hfiles));
	im.g->pool.nr = 0;
	im.g->root.thp_deferred_gva = GVA(hfiles);
	im.g->root.thp_nr_deferred_gva = nr_deferred_gva();
}

static void test_clean(void)
{
	build();
	build_folio();
	CU_ASSERT_EQUAL(run(), 0);
	if (im.r.total)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
}

static void d_count(void)
{
	build_folio();
	im.g->pool.nr = 2;
}
static void d_wild(void)
{
	build_folio();
	list_add_tail(GVA(hfiles), GVA(hmounts));
	im.g->pool.nr = 1;
}
static void d_list(void)
{
	build_folio();
	im.g->root.thp_deferred_gva = 0x1234;
}
static void d_entire(void)
{
	build_folio();
	((struct folio_counts *)page(im.folio + 1))->entire_mapcount++;
}
static void d_total(void)
{
	build_folio();
	((struct folio_counts *)page(im.folio + 1))->large_mapcount += 3;
}
static void d_parts(void)
{
	build_folio();
	((struct folio_counts *)page(im.folio + 1))->nr_pages_mapped = 2;
}
static void d_tail_mapcount(void)
{
	build_folio();
	page(im.folio + 3)->mapcount = 0;
}
static void d_references(void)
{
	build_folio();
	page(im.folio)->refcount = 100;
}
static void d_level(void)
{
	build_folio();
	im.shared.zone[0].stat[NR_ANON_THPS] = 1;
}

static const struct damage damages[] = {
	PLANT(d_count, AUDIT_THP_DEFERRED),	PLANT(d_wild, AUDIT_THP_DEFERRED),
	PLANT(d_list, AUDIT_THP_DEFERRED),	PLANT(d_entire, AUDIT_MAPCOUNT),
	PLANT(d_total, AUDIT_MAPCOUNT),		PLANT(d_parts, AUDIT_MAPCOUNT),
	PLANT(d_tail_mapcount, AUDIT_MAPCOUNT), PLANT(d_references, AUDIT_USED_REFCOUNT),
	PLANT(d_level, AUDIT_VMSTAT),
};

static void test_damages(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"a clean folio", test_clean},
		{"each damage is found", test_damages},
	};

	return plant_run("audit: huge pages", cases, sizeof(cases) / sizeof(cases[0]));
}
