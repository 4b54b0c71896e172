/* The audit of memory cgroups: a page charged to nobody, counts that do not add up. */
#include "audit_plant.h"

/* Root (id 0) > group 1 > group 2: an anonymous page is 1's, a shared one 2's, and a kernel page 2's. */
static void charge(uint32_t pfn, uint16_t id)
{
	page(pfn)->flags |= 1ull << PG_charged;
	page(pfn)->memcg_id = id;
	for (uint64_t g = id;; g = g - 1) {
		im.g->memcg[g].usage += 1ll << page(pfn)->order;
		if (!g)
			break;
	}
}

static void make_groups(void)
{
	for (uint16_t id = 0; id < 3; id++) {
		im.g->memcg[id].id = id;
		im.g->memcg[id].parent = id ? GVA(memcg[0]) + (id - 1u) * sizeof(struct memcg) : 0;
		im.g->memcg_ids[id] = id ? GVA(memcg[0]) + id * sizeof(struct memcg) : 0;
	}
	im.g->memcg_leaf = GVA(memcg_ids);
	im.g->root.memcg = (struct mmvm_audit_memcg_layout){
		.root_gva = GVA(memcg[0]),
		.ids_gva = GVA(memcg_leaf),
		.nr_leaves = 1,
		.ids_per_leaf = 4,
		.id_offset = offsetof(struct memcg, id),
		.parent_offset = offsetof(struct memcg, parent),
		.usage_offset = offsetof(struct memcg, usage),
		.kernel_offset = offsetof(struct memcg, kernel),
		.zswap_offset = offsetof(struct memcg, zswap),
	};
	charge(im.anon[0], 1);
	charge(im.anon[1], 2);
	charge(im.stack, 2);
	im.g->memcg[2].kernel = 1ll << page(im.stack)->order;
}

static void d_page_of_no_group(void)
{
	make_groups();
	page(im.anon[0])->memcg_id = 3;
	im.g->memcg[0].usage--;
	im.g->memcg[1].usage--;
}
static void d_charged_to_nobody(void)
{
	make_groups();
	page(im.anon[0])->memcg_id = 0;
}
static void d_name_left_behind(void)
{
	make_groups();
	page(im.anon[3])->memcg_id = 2;
}
static void d_one_too_many(void)
{
	make_groups();
	im.g->memcg[2].usage++;
}
static void d_parent_misses_one(void)
{
	make_groups();
	im.g->memcg[1].usage--;
}
static void d_root_misses_one(void)
{
	make_groups();
	im.g->memcg[0].usage--;
}
static void d_circle(void)
{
	make_groups();
	im.g->memcg[1].parent = GVA(memcg[0]) + 2 * sizeof(struct memcg);
}
static void d_kernel_page_uncounted(void)
{
	make_groups();
	im.g->memcg[2].kernel = 0;
}
static void d_zswap_uncounted(void)
{
	make_groups();
	im.g->memcg[2].zswap = 4097;
}
static void d_no_ids(void)
{
	make_groups();
	im.g->root.memcg.ids_per_leaf = 1u << 31;
}

static const struct damage damages[] = {
	PLANT(d_page_of_no_group, AUDIT_MEMCG_PAGE),
	PLANT(d_charged_to_nobody, AUDIT_MEMCG_PAGE),
	PLANT(d_name_left_behind, AUDIT_MEMCG_PAGE),
	PLANT(d_one_too_many, AUDIT_MEMCG_CHARGE),
	PLANT(d_parent_misses_one, AUDIT_MEMCG_CHARGE),
	PLANT(d_root_misses_one, AUDIT_MEMCG_CHARGE),
	PLANT(d_circle, AUDIT_MEMCG_CHARGE),
	PLANT(d_kernel_page_uncounted, AUDIT_MEMCG_KERNEL),
	PLANT(d_zswap_uncounted, AUDIT_MEMCG_CHARGE),
	PLANT(d_no_ids, AUDIT_ROOT),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

/* All groups, what nobody is charged for, and what is free: the machine. */
static void it_adds_up(void)
{
	build();
	make_groups();
	CU_ASSERT_EQUAL(run(), 0);
	CU_ASSERT(im.r.has_memcg);
	CU_ASSERT_EQUAL(im.r.nr_memcgs, 2);
	CU_ASSERT_EQUAL(im.r.memcg_charged, 2 + (1u << page(im.stack)->order));
	CU_ASSERT_EQUAL(im.r.memcg_charged + im.r.memcg_uncharged + im.r.memcg_free,
			LOW_FRAMES + HIGH_FRAMES);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"it adds up", it_adds_up},
	};

	return plant_run("audit: memory cgroups", cases, sizeof(cases) / sizeof(cases[0]));
}
