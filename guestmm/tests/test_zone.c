/* Zones: watermarks, fallback in the zonelist, the reserve that keeps low zones for those who need
 * them, and the levels that the host reads. */
#include "tests/tests.h"

#define MEM "memory=32M,high=8M" /* 16 MiB DMA, 8 MiB DMA32, 8 MiB NORMAL */

static struct zone *zone_of(enum zone_type type)
{
	for (unsigned int i = 0; i < nr_zones; i++)
		if (zone_table[i]->type == type && zone_table[i]->managed)
			return zone_table[i];
	return NULL;
}

GUEST_TEST(zone, layout_follows_the_machine, 0, 0, MEM)
{
	struct zone *dma = zone_of(ZONE_DMA), *dma32 = zone_of(ZONE_DMA32),
		    *normal = zone_of(ZONE_NORMAL);

	REQUIRE(dma && dma32 && normal);
	CHECK_EQ((dma->start_pfn + dma->spanned) << PAGE_SHIFT, 16 * MIB);
	CHECK_EQ(dma32->present << PAGE_SHIFT, 8 * MIB);
	CHECK_EQ(normal->start_pfn << PAGE_SHIFT, MMVM_RAM_HIGH_BASE);
	CHECK_EQ(normal->present << PAGE_SHIFT, 8 * MIB);
	for (unsigned int i = 0; i < nr_zones; i++)
		CHECK(zone_table[i]->managed <= zone_table[i]->present);
}

GUEST_TEST(zone, watermarks_are_in_order_and_share_min_free, 0, 0, MEM)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];

		if (!z->managed)
			continue;
		CHECK(z->watermark[WMARK_MIN] > 0);
		CHECK(z->watermark[WMARK_MIN] < z->watermark[WMARK_LOW]);
		CHECK(z->watermark[WMARK_LOW] < z->watermark[WMARK_HIGH]);
		CHECK(z->watermark[WMARK_HIGH] < z->managed / 4);
		sum += z->watermark[WMARK_MIN];
		for (int w = 0; w < NR_WMARK; w++)
			CHECK_EQ(z->shared->wmark[w], z->watermark[w]); /* what the host sees */
	}
	/* Rounding may lose a page a zone. */
	CHECK(sum <= min_free_kbytes / 4 + nr_zones);
	CHECK(sum + nr_zones >= min_free_kbytes / 4);
}

GUEST_TEST(zone, low_zones_keep_a_reserve_from_high_callers, 0, 0, MEM)
{
	struct zone *dma = zone_of(ZONE_DMA), *normal = zone_of(ZONE_NORMAL);

	REQUIRE(dma && normal);
	CHECK(dma->lowmem_reserve[ZONE_NORMAL] > 0);
	CHECK(dma->lowmem_reserve[ZONE_NORMAL] >= dma->lowmem_reserve[ZONE_DMA32]);
	CHECK_EQ(dma->lowmem_reserve[ZONE_DMA], 0);
	CHECK_EQ(normal->lowmem_reserve[ZONE_NORMAL], 0);
}

GUEST_TEST(zone, allocation_falls_back_from_high_to_low, 0, 0, MEM)
{
	struct zone *z[3] = {zone_of(ZONE_DMA), zone_of(ZONE_DMA32), zone_of(ZONE_NORMAL)};
	s64 before[3];
	u64 got[3] = {0};
	LIST_HEAD(list);
	struct page *p;
	int turns = 0, last = ZONE_NORMAL;

	REQUIRE(z[0] && z[1] && z[2]);
	before[0] = ev(PGALLOC_DMA);
	before[1] = ev(PGALLOC_DMA32);
	before[2] = ev(PGALLOC_NORMAL);
	while ((p = alloc_page(__GFP_NOWARN))) {
		int type = page_zone(p)->type;

		REQUIRE(type <= ZONE_NORMAL);
		got[type]++;
		turns += type != last;
		last = type;
		list_add(&p->lru, &list);
	}
	/* NORMAL first, then DMA32, then DMA down to its reserve; pages cached per CPU blur the
	 * borders a little. */
	CHECK(got[ZONE_NORMAL] > 1000);
	CHECK(got[ZONE_DMA32] > 1000);
	CHECK(got[ZONE_DMA] > 0);
	CHECK(turns <= 20);
	CHECK(zone_stat(z[0], NR_FREE_PAGES) > (s64)z[0]->lowmem_reserve[ZONE_NORMAL]);
	CHECK_EQ(ev(PGALLOC_DMA) - before[0], got[0]);
	CHECK_EQ(ev(PGALLOC_DMA32) - before[1], got[1]);
	CHECK_EQ(ev(PGALLOC_NORMAL) - before[2], got[2]);
	/* Who needs DMA memory still gets some. */
	p = alloc_page(GFP_DMA | __GFP_NOWARN);
	CHECK(p && page_zone(p)->type == ZONE_DMA);
	if (p)
		list_add(&p->lru, &list);
	while (!list_empty(&list)) {
		p = list_first_entry(&list, struct page, lru);
		list_del(&p->lru);
		__free_page(p);
	}
}

GUEST_TEST(zone, watermark_policy_by_hand, 0, 0, MEM)
{
	struct zone *z = zone_of(ZONE_NORMAL);
	u64 free;

	REQUIRE(z);
	drain_all_pages();
	free = zone_stat(z, NR_FREE_PAGES);
	CHECK(zone_watermark_ok(z, 0, free - 2, ZONE_NORMAL, 0));
	CHECK(!zone_watermark_ok(z, 0, free + 1, ZONE_NORMAL, 0));
	/* High priority may use half of the mark. */
	CHECK(zone_watermark_ok(z, 0, free + free / 2, ZONE_NORMAL, ALLOC_HIGH));
	CHECK(!zone_watermark_ok(z, 0, free * 3, ZONE_NORMAL, ALLOC_HIGH));
}

GUEST_TEST(zone, levels_move_with_the_pages, 0, 0, MEM)
{
	struct zone *z = zone_of(ZONE_NORMAL);
	struct page *p[32];
	s64 before;

	REQUIRE(z);
	drain_all_pages();
	before = zone_stat(z, NR_FREE_PAGES);
	for (int i = 0; i < 32; i++) {
		p[i] = alloc_pages(GFP_KERNEL, 4);
		REQUIRE(p[i] && page_zone(p[i]) == z);
	}
	drain_all_pages();
	CHECK_EQ(zone_stat(z, NR_FREE_PAGES), before - 32 * 16);
	CHECK_EQ(mmvm_shared->zone[z->index].stat[NR_FREE_PAGES], before - 32 * 16);
	for (int i = 0; i < 32; i++)
		__free_pages(p[i], 4);
	drain_all_pages();
	CHECK_EQ(zone_stat(z, NR_FREE_PAGES), before);
}
