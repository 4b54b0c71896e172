/*
 * What tunes the zones: kernelcore= and movablecore= with nothing unmovable in ZONE_MOVABLE, and the numbers of
 * /proc/sys/vm that set reserves, marks and the sizes of per-CPU lists. Each change is followed to the pages
 * that it lets through.
 */
#include "mm/phys/internal.h"
#include "tests/tests.h"

#define MEM	   "memory=32M,high=8M" /* of 32 MiB: 16 DMA, 8 DMA32, 8 NORMAL */
#define MOVABLE	   "memory=32M,high=8M append=movablecore=4M"
#define KERNELCORE "memory=32M,high=8M append=kernelcore=28M"
#define PLANTED	   MMVM_TESTF_EXPECT_AUDIT

static struct zone *zone_of(enum zone_type type)
{
	for (unsigned int i = 0; i < nr_zones; i++)
		if (zone_table[i]->type == type && zone_table[i]->managed)
			return zone_table[i];
	return NULL;
}

/* Pages until there are none; how many of them lie in `z`. */
static unsigned long take_all(gfp_t gfp, struct list_head *list, const struct zone *z,
			      unsigned long *inside)
{
	struct page *p;
	unsigned long n = 0;

	*inside = 0;
	while ((p = alloc_page(gfp | __GFP_NOWARN))) {
		list_add(&p->lru, list);
		*inside += page_zone(p) == z;
		n++;
	}
	return n;
}

static void give_back(struct list_head *list)
{
	struct page *p, *next;

	list_for_each_entry_safe (p, next, list, lru)
		__free_page(p);
	INIT_LIST_HEAD(list);
	drain_all_pages();
}

static void only_movable_pages(struct test *t, unsigned long at_least)
{
	struct zone *z = zone_of(ZONE_MOVABLE);
	unsigned long n, inside, at;
	struct mm_struct *mm;
	LIST_HEAD(list);
	s64 free;

	REQUIRE(z);
	CHECK(z->managed >= at_least);
	drain_all_pages();
	free = zone_stat(z, NR_FREE_PAGES);
	n = take_all(GFP_ATOMIC, &list, z, &inside);
	CHECK(n > 1000);
	CHECK_EQ(inside, 0);
	drain_all_pages();
	CHECK_EQ(zone_stat(z, NR_FREE_PAGES), free);
	give_back(&list);
	/* Who can be moved has it to himself. */
	mm = testmm_create(t);
	REQUIRE(mm);
	at = testmm_map(t, mm, 512 * PAGE_SIZE);
	for (unsigned int i = 0; i < 512; i++) {
		CHECK_EQ(testmm_write(mm, at + i * PAGE_SIZE, i), 0);
		inside += page_zone(testmm_page(mm, at + i * PAGE_SIZE)) == z;
	}
	CHECK(inside > 480); /* all but what per-CPU lists of other zones had */
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(zone, nothing_unmovable_in_movable, 0, 120, MOVABLE)
{
	only_movable_pages(t, 1024);
}

GUEST_TEST(zone, kernelcore_leaves_the_rest_to_movable, 0, 120, KERNELCORE)
{
	struct zone *z = zone_of(ZONE_MOVABLE);

	only_movable_pages(t, 1024);
	CHECK_EQ(z->present, 4 * MIB / PAGE_SIZE);
}

GUEST_TEST(zone, of_both_the_larger_kernel_part_counts, 0, 0,
	   "memory=32M,high=8M append=movablecore=4M kernelcore=50%")
{
	struct zone *z = zone_of(ZONE_MOVABLE);

	REQUIRE(z);
	CHECK_EQ(z->present, 4 * MIB / PAGE_SIZE);
}

GUEST_TEST(zone, planted_unmovable, PLANTED, 0, MOVABLE)
{
	/* A kernel page that says of itself that it can be moved. */
	struct page *p = alloc_page(GFP_HIGHUSER_MOVABLE);

	REQUIRE(p && page_zone(p)->type == ZONE_MOVABLE);
	p->type = PAGE_KMALLOC;
	test_expect_audit(t, "unmovable");
}

GUEST_TEST(zone, lowmem_reserve_ratio_acts, 0, 0, MEM)
{
	struct zone *dma = zone_of(ZONE_DMA), *dma32 = zone_of(ZONE_DMA32),
		    *normal = zone_of(ZONE_NORMAL);
	unsigned long inside, all;
	LIST_HEAD(list);

	REQUIRE(dma && dma32 && normal);
	CHECK_EQ(dma->lowmem_reserve[ZONE_NORMAL], (dma32->managed + normal->managed) / 256);
	lowmem_reserve_ratio[ZONE_DMA] = 4;
	lowmem_reserve_ratio_changed();
	CHECK_EQ(dma->lowmem_reserve[ZONE_DMA32], dma32->managed / 4);
	CHECK_EQ(dma->lowmem_reserve[ZONE_NORMAL], (dma32->managed + normal->managed) / 4);
	take_all(GFP_NOWAIT, &list, dma, &inside);
	drain_all_pages();
	CHECK(zone_stat(dma, NR_FREE_PAGES) + 64 >
	      (s64)(dma->lowmem_reserve[ZONE_NORMAL] + dma->watermark[WMARK_MIN]));
	give_back(&list);
	lowmem_reserve_ratio[ZONE_DMA] = 0; /* none */
	lowmem_reserve_ratio_changed();
	CHECK_EQ(dma->lowmem_reserve[ZONE_NORMAL], 0);
	take_all(GFP_NOWAIT, &list, dma, &all);
	CHECK(all > inside + dma32->managed / 8 + normal->managed / 8);
	CHECK(zone_stat(dma, NR_FREE_PAGES) <= (s64)dma->watermark[WMARK_MIN]);
	give_back(&list);
}

GUEST_TEST(zone, scale_factor_and_min_free_set_the_marks, 0, 0, MEM)
{
	struct zone *z = zone_of(ZONE_NORMAL);
	u64 min_before;

	REQUIRE(z);
	min_before = z->watermark[WMARK_MIN];
	watermark_scale_factor = 1000;
	setup_per_zone_wmarks();
	CHECK_EQ(z->watermark[WMARK_LOW], z->watermark[WMARK_MIN] + z->managed / 10);
	CHECK_EQ(z->watermark[WMARK_HIGH], z->watermark[WMARK_LOW] + z->managed / 10);
	CHECK_EQ(z->watermark[WMARK_MIN], min_before);
	watermark_scale_factor = 10;
	min_free_kbytes *= 2;
	setup_per_zone_wmarks();
	CHECK(z->watermark[WMARK_MIN] >= 2 * min_before &&
	      z->watermark[WMARK_MIN] <= 2 * min_before + 1);
}

/* Frees that stay in the CPU's lists. */
static u32 cached_after_freeing(struct test *t, struct zone *z, unsigned int n)
{
	struct page *p[256];

	for (unsigned int i = 0; i < n; i++) {
		p[i] = alloc_page(GFP_KERNEL);
		CHECK(p[i] && page_zone(p[i]) == z);
		if (!p[i])
			return 0;
	}
	drain_all_pages();
	for (unsigned int i = 0; i < n; i++)
		__free_page(p[i]);
	return this_cpu_ptr(z->pcp)->count;
}

/* On one CPU: the share of a zone is divided among the CPUs of its node. */
GUEST_TEST(zone, high_fraction_lets_lists_grow, 0, 0, MEM " cpus=1")
{
	struct zone *z = zone_of(ZONE_NORMAL);
	u32 usual;

	REQUIRE(z);
	usual = per_cpu_ptr(z->pcp, 0)->high;
	CHECK_EQ(usual, zone_pcp_high(z->managed));
	CHECK(usual < 200);
	CHECK(cached_after_freeing(t, z, 200) <= usual);
	percpu_pagelist_high_fraction = 8;
	percpu_pagelist_high_fraction_changed();
	CHECK_EQ(per_cpu_ptr(z->pcp, 0)->high, z->managed / 8);
	CHECK(cached_after_freeing(t, z, 200) >= 200);
	percpu_pagelist_high_fraction = 0;
	percpu_pagelist_high_fraction_changed();
	CHECK_EQ(per_cpu_ptr(z->pcp, 0)->high, usual);
	CHECK(cached_after_freeing(t, z, 200) <= usual);
}
