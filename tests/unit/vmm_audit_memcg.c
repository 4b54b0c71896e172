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
		.obj_offset = offsetof(struct memcg, obj),
		.stat_offset = offsetof(struct memcg, stat),
		.slab_offset = offsetof(struct memcg, slab),
	};
	charge(im.anon[0], 1);
	charge(im.anon[1], 2);
	charge(im.stack, 2);
	im.g->memcg[2].kernel = 1ll << page(im.stack)->order;
	/* The two anonymous pages are mapped; the even ones are inactive, the odd active. */
	im.g->memcg[1].stat[0][NR_ANON_MAPPED] = im.g->memcg[1].stat[0][NR_INACTIVE_ANON] = 1;
	im.g->memcg[1].stat[0][NR_SWAPCACHE] = 1;
	im.g->memcg[2].stat[0][NR_ANON_MAPPED] = im.g->memcg[2].stat[0][NR_ACTIVE_ANON] = 1;
	im.g->memcg[2].stat[0][NR_KERNEL_STACK_KB] = 4ll << page(im.stack)->order;
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
/* The slab's last two objects make room for owners: objects 7 and 9 are group 2's, 64 bytes each. */
static uint16_t *make_objects(void)
{
	struct slab *p = (struct slab *)page(im.slab);
	uint16_t *owner = (uint16_t *)(frame_ptr(im.slab) + 128 + 60 * 64);

	make_groups();
	p->objects = 60;
	p->inuse = 58;
	im.g->root.cache.flags_offset = offsetof(struct cache, flags);
	im.g->root.cache.account_flag = 0x200;
	im.g->root.cache.reclaim_flag = 0x1;
	im.g->cache.flags = 0x201;
	for (unsigned int i = 0; i < 60; i++)
		owner[i] = i == 7 || i == 9 ? 2 : 0;
	im.g->memcg[2].obj = im.g->memcg[2].slab[0][1] = 128;
	im.g->memcg[2].kernel++;
	for (unsigned int id = 0; id < 3; id++)
		im.g->memcg[id].usage++;
	return owner;
}
static void d_object_uncounted(void)
{
	make_objects()[11] = 2;
}
static void d_object_of_no_group(void)
{
	make_objects()[11] = 3;
}
static void d_free_object_charged(void)
{
	make_objects()[5] = 2;
	im.g->memcg[2].obj += 64;
}
static void d_object_bytes_too_many(void)
{
	make_objects();
	im.g->memcg[2].obj += 64;
}
static void d_objects_not_in_usage(void)
{
	make_objects();
	im.g->memcg[0].usage--;
}
static void d_objects_not_in_kernel(void)
{
	make_objects();
	im.g->memcg[2].kernel--;
}
static void d_no_room_for_owners(void)
{
	make_objects();
	((struct slab *)page(im.slab))->objects = 62;
	((struct slab *)page(im.slab))->inuse = 60;
}
static void d_no_ids(void)
{
	make_groups();
	im.g->root.memcg.ids_per_leaf = 1u << 31;
}

static void d_level_drifts(void)
{
	make_groups();
	im.g->memcg[1].stat[0][NR_ANON_MAPPED]++;
}
static void d_level_negative(void)
{
	make_groups();
	im.g->memcg[2].stat[0][NR_PAGETABLE] = -1;
}
static void d_level_on_other_node(void)
{
	make_groups();
	im.g->memcg[2].stat[0][NR_KERNEL_STACK_KB] -= 4;
	im.g->memcg[2].stat[1][NR_KERNEL_STACK_KB] += 4;
}
/* Charged to 2, but on a list that counts for 1. */
static void d_list_of_other_group(void)
{
	make_groups();
	im.g->memcg[2].stat[0][NR_ACTIVE_ANON]--;
	im.g->memcg[1].stat[0][NR_ACTIVE_ANON]++;
}
static void d_file_uncounted(void)
{
	make_groups();
	charge(im.file, 1);
}
/* Group 1 says that it has a huge page, of one kind and of the other. */
static void d_huge_page_too_many(void)
{
	make_groups();
	im.g->memcg[1].stat[0][NR_ANON_THPS] = 1;
}
static void d_huge_shmem_too_many(void)
{
	make_groups();
	im.g->memcg[1].stat[0][NR_SHMEM_THPS] = 1;
}
static void d_objects_on_other_node(void)
{
	make_objects();
	im.g->memcg[2].slab[0][1] -= 64;
	im.g->memcg[2].slab[1][1] += 64;
}
static void d_objects_of_other_kind(void)
{
	make_objects();
	im.g->memcg[2].slab[0][1] = 0;
	im.g->memcg[2].slab[0][0] = 128;
}

/*
 * Root > 1 > 2 and 3. 3 has four pages of the compressed pool, 2 a page and a stack; 1 protects less than they claim.
 *
 *   min:  1 has 4 pages;        3 claims all 4, 2 claims 2:            4 * 4 / 6 = 2 and 4 * 2 / 6 = 1
 *   low:  1 has 100;            3 claims 3, 2 none:                3 and 0
 */
static void settle(void)
{
	for (unsigned int id = 0; id < 4; id++) {
		im.g->memcg[id].settled_usage = im.g->memcg[id].usage;
		im.g->memcg[id].settled_as_of = 7;
	}
}

static void protect(uint16_t id, uint64_t min, uint64_t low, uint64_t effective_min,
		    uint64_t effective_low)
{
	im.g->memcg[id].min = min;
	im.g->memcg[id].low = low;
	im.g->memcg[id].effective_min = effective_min;
	im.g->memcg[id].effective_low = effective_low;
}

static void make_protection(void)
{
	make_groups();
	im.g->root.memcg.settings_gva = GVA(memcg_settings);
	im.g->root.memcg.settled_usage_offset = offsetof(struct memcg, settled_usage);
	im.g->root.memcg.settled_as_of_offset = offsetof(struct memcg, settled_as_of);
	im.g->root.memcg.min_offset = offsetof(struct memcg, min);
	im.g->root.memcg.low_offset = offsetof(struct memcg, low);
	im.g->root.memcg.effective_min_offset = offsetof(struct memcg, effective_min);
	im.g->root.memcg.effective_low_offset = offsetof(struct memcg, effective_low);
	im.g->memcg_settings = 7;
	im.g->memcg[3].id = 3;
	im.g->memcg[3].parent = GVA(memcg[1]);
	im.g->memcg_ids[3] = GVA(memcg[3]);
	im.g->memcg[3].zswap = 4 * 4096;
	im.g->memcg[3].kernel = im.g->memcg[3].usage = 4;
	im.g->memcg[1].usage += 4;
	im.g->memcg[0].usage += 4;
	protect(1, 4, 100, 4, 100);
	protect(2, 2, 0, 1, 0);
	protect(3, 4, 3, 2, 3);
	settle();
}
static void d_min_beyond_the_parents(void)
{
	make_protection();
	im.g->memcg[3].effective_min = 4;
}
static void d_low_forgotten(void)
{
	make_protection();
	im.g->memcg[3].effective_low = 0;
}
static void d_setting_below_the_root_ignored(void)
{
	make_protection();
	im.g->memcg[1].effective_min = 3;
}
static void d_protected_more_than_used(void)
{
	make_protection();
	im.g->memcg[3].low = im.g->memcg[3].effective_low = 50;
}

static const struct damage damages[] = {
	PLANT(d_min_beyond_the_parents, AUDIT_MEMCG_PROTECTION),
	PLANT(d_low_forgotten, AUDIT_MEMCG_PROTECTION),
	PLANT(d_setting_below_the_root_ignored, AUDIT_MEMCG_PROTECTION),
	PLANT(d_protected_more_than_used, AUDIT_MEMCG_PROTECTION),
	PLANT(d_level_drifts, AUDIT_MEMCG_LEVEL),
	PLANT(d_level_negative, AUDIT_MEMCG_LEVEL),
	PLANT(d_level_on_other_node, AUDIT_MEMCG_LEVEL),
	PLANT(d_list_of_other_group, AUDIT_MEMCG_LEVEL),
	PLANT(d_file_uncounted, AUDIT_MEMCG_LEVEL),
	PLANT(d_huge_page_too_many, AUDIT_MEMCG_LEVEL),
	PLANT(d_huge_shmem_too_many, AUDIT_MEMCG_LEVEL),
	PLANT(d_objects_on_other_node, AUDIT_MEMCG_LEVEL),
	PLANT(d_objects_of_other_kind, AUDIT_MEMCG_LEVEL),
	PLANT(d_page_of_no_group, AUDIT_MEMCG_PAGE),
	PLANT(d_charged_to_nobody, AUDIT_MEMCG_PAGE),
	PLANT(d_name_left_behind, AUDIT_MEMCG_PAGE),
	PLANT(d_one_too_many, AUDIT_MEMCG_CHARGE),
	PLANT(d_parent_misses_one, AUDIT_MEMCG_CHARGE),
	PLANT(d_root_misses_one, AUDIT_MEMCG_CHARGE),
	PLANT(d_circle, AUDIT_MEMCG_CHARGE),
	PLANT(d_kernel_page_uncounted, AUDIT_MEMCG_KERNEL),
	PLANT(d_zswap_uncounted, AUDIT_MEMCG_CHARGE),
	PLANT(d_object_uncounted, AUDIT_MEMCG_OBJECT),
	PLANT(d_object_of_no_group, AUDIT_MEMCG_OBJECT),
	PLANT(d_free_object_charged, AUDIT_MEMCG_OBJECT),
	PLANT(d_object_bytes_too_many, AUDIT_MEMCG_OBJECT),
	PLANT(d_objects_not_in_usage, AUDIT_MEMCG_CHARGE),
	PLANT(d_objects_not_in_kernel, AUDIT_MEMCG_KERNEL),
	PLANT(d_no_room_for_owners, AUDIT_SLAB_COUNT),
	PLANT(d_no_ids, AUDIT_ROOT),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

/* Objects that add up are no finding. */
static void objects_add_up(void)
{
	build();
	make_objects();
	CU_ASSERT_EQUAL(run(), 0);
	CU_ASSERT(im.r.has_memcg);
}

/* Protection that adds up is no finding, nor is one that was worked out for other usages or settings. */
static void protection_is_shared(void)
{
	build();
	make_protection();
	CU_ASSERT_EQUAL(run(), 0);
	CU_ASSERT_EQUAL(im.r.memcg_protections, 3);
	for (int old = 0; old < 3; old++) {
		build();
		make_protection();
		im.g->memcg[3].effective_min = 1;
		if (old == 0)
			im.g->memcg_settings = 8;
		else if (old == 1)
			im.g->memcg[2].settled_usage = 9; /* its sibling's */
		else
			im.g->memcg[3].settled_as_of = 0;
		CU_ASSERT_EQUAL(run(), 0);
		CU_ASSERT_EQUAL(im.r.memcg_protections, old == 0 ? 0 : 1);
	}
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
		{"objects add up", objects_add_up},
		{"protection is shared", protection_is_shared},
	};

	return plant_run("audit: memory cgroups", cases, sizeof(cases) / sizeof(cases[0]));
}
