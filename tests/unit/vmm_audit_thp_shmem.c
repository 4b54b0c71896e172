/*
 * The audit of huge pages of shared memory: the image's compound block as a folio in the tree of the
 * shared memory that is there; then each kind of damage.
 */
#include "audit_plant.h"

#define FIRST 4u /* index of the folio, which has as many pages */
#define PAGES 4u

static void build_folio(void)
{
	struct folio_counts *c = (struct folio_counts *)page(im.folio + 1);

	page(im.folio)->type = PAGE_SHMEM;
	page(im.folio)->mapping = GVA(shm_map);
	page(im.folio)->index = FIRST;
	c->large_mapcount = c->entire_mapcount = -1;
	for (uint32_t i = 0; i < PAGES; i++)
		im.g->node[2].slots[FIRST + i] = page_gva(im.folio + i);
	im.g->shm_map.pages += PAGES;
	im.g->shm_map.nr_thps = 1;
	level_add(0, NR_SHMEM, PAGES);
	level_add(0, NR_FILE_PAGES, PAGES);
	level_add(0, NR_SHMEM_THPS, 1);
}

static void test_clean(void)
{
	build();
	build_folio();
	CU_ASSERT_EQUAL(run(), 0);
	if (im.r.total)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
}

static void d_wrong_order(void)
{
	build_folio();
	im.g->node[2].slots[FIRST + 1] = page_gva(im.folio + 2);
	im.g->node[2].slots[FIRST + 2] = page_gva(im.folio + 1);
}
static void d_twice(void)
{
	build_folio();
	im.g->node[2].slots[FIRST + 1] = page_gva(im.folio + 2);
}
static void d_missing(void)
{
	build_folio();
	im.g->node[2].slots[FIRST + 3] = 0;
	im.g->shm_map.pages--;
}
static void d_unaligned(void)
{
	build_folio();
	for (uint32_t i = 0; i < PAGES; i++)
		im.g->node[2].slots[FIRST + i] = 0;
	for (uint32_t i = 0; i < PAGES; i++)
		im.g->node[2].slots[FIRST + 1 + i] = page_gva(im.folio + i);
	page(im.folio)->index = FIRST + 1;
}
static void d_other_mapping(void)
{
	build_folio();
	page(im.folio)->mapping = GVA(file_map);
}
static void d_no_mapping(void)
{
	build_folio();
	page(im.folio)->mapping = 0;
}
static void d_stray_tail(void)
{
	build_folio();
	page(im.folio + 3)->lru.next = page_gva(im.file) | 1;
}
static void d_nr_thps(void)
{
	build_folio();
	im.g->shm_map.nr_thps = 2;
}
static void d_nrpages(void)
{
	build_folio();
	im.g->shm_map.pages -= 3;
}
static void d_huge_level(void)
{
	build_folio();
	level_add(0, NR_SHMEM_THPS, 1);
}
static void d_pmd_level(void)
{
	build_folio();
	level_add(0, NR_SHMEM_PMDMAPPED, 1);
}
static void d_shmem_level(void)
{
	build_folio();
	level_add(0, NR_SHMEM, -3);
}
static void d_references(void)
{
	build_folio();
	page(im.folio)->refcount = 0;
}
static void d_entire(void)
{
	build_folio();
	((struct folio_counts *)page(im.folio + 1))->entire_mapcount++;
}
static void d_tail_mapcount(void)
{
	build_folio();
	page(im.folio + 2)->mapcount = 0;
}

static const struct damage damages[] = {
	PLANT(d_wrong_order, AUDIT_CACHE),
	PLANT(d_twice, AUDIT_CACHE),
	PLANT(d_missing, AUDIT_CACHE),
	PLANT(d_unaligned, AUDIT_CACHE),
	PLANT(d_other_mapping, AUDIT_CACHE),
	PLANT(d_no_mapping, AUDIT_CACHE),
	PLANT(d_stray_tail, AUDIT_FOLIO_TAIL),
	PLANT(d_nr_thps, AUDIT_CACHE_COUNT),
	PLANT(d_nrpages, AUDIT_CACHE_COUNT),
	PLANT(d_huge_level, AUDIT_VMSTAT),
	PLANT(d_pmd_level, AUDIT_VMSTAT),
	PLANT(d_shmem_level, AUDIT_VMSTAT),
	PLANT(d_references, AUDIT_USED_REFCOUNT),
	PLANT(d_entire, AUDIT_MAPCOUNT),
	PLANT(d_tail_mapcount, AUDIT_MAPCOUNT),
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

	return plant_run("audit: huge pages of shared memory", cases,
			 sizeof(cases) / sizeof(cases[0]));
}
