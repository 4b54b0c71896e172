/*
 * How deep each kind of allocation may take a zone, to the page: ZONE_DMA, which GFP_DMA alone is confined
 * to, is emptied until the allocation fails. Per-CPU lists are drained after each page near the end, so
 * that NR_FREE_PAGES is what the zone has.
 */
#include "mm/phys/internal.h"
#include "tests/tests.h"

#define MEM  "memory=32M,high=8M cpus=1"
#define NEAR 256 /* pages: more than a per-CPU list is refilled with */

static struct zone *dma_zone(void)
{
	for (unsigned int i = 0; i < nr_zones; i++)
		if (zone_table[i]->type == ZONE_DMA)
			return zone_table[i];
	return NULL;
}

static u64 managed_pages(void)
{
	u64 n = 0;

	for (unsigned int i = 0; i < nr_zones; i++)
		n += zone_table[i]->managed;
	return n;
}

static s64 free_in(struct zone *z)
{
	drain_all_pages();
	return zone_stat(z, NR_FREE_PAGES);
}

/* The free pages that are left when `gfp` gets none any more. All are returned. */
static s64 floor_of(struct test *t, struct zone *z, gfp_t gfp)
{
	const s64 before = free_in(z);
	struct page *p, *next;
	LIST_HEAD(list);
	s64 left;

	while (zone_stat(z, NR_FREE_PAGES) > (s64)z->watermark[WMARK_HIGH] + NEAR) {
		p = alloc_page(__GFP_DMA | __GFP_NOWARN);
		if (!p)
			break;
		list_add(&p->lru, &list);
	}
	drain_all_pages();
	for (;;) {
		p = alloc_page(gfp | __GFP_DMA | __GFP_NOWARN);
		if (!p)
			break;
		CHECK(page_zone(p) == z);
		list_add(&p->lru, &list);
		drain_all_pages();
	}
	left = free_in(z);
	list_for_each_entry_safe (p, next, &list, lru)
		__free_page(p);
	CHECK_EQ(free_in(z), before);
	return left;
}

GUEST_TEST(reserve, each_flag_goes_so_deep_and_no_deeper, 0, 120, MEM)
{
	struct zone *z = dma_zone();
	s64 min;

	REQUIRE(z);
	min_free_kbytes = 1024; /* numbers that differ after each halving */
	setup_per_zone_wmarks();
	min = (s64)z->watermark[WMARK_MIN];
	CHECK(min > 64);
	CHECK_EQ(min, (s64)(256 * z->managed / managed_pages()));
	CHECK_EQ(floor_of(t, z, 0), min);
	CHECK_EQ(floor_of(t, z, __GFP_HIGH | __GFP_DIRECT_RECLAIM | __GFP_NORETRY), min - min / 2);
	CHECK_EQ(floor_of(t, z, GFP_ATOMIC), (min - min / 2) - (min - min / 2) / 4);
	CHECK_EQ(floor_of(t, z, __GFP_MEMALLOC), 0);
	CHECK_EQ(floor_of(t, z, __GFP_MEMALLOC | __GFP_NOMEMALLOC), min);
	/* Who reclaims, for the pages that it needs to free others. */
	current_thread_info()->flags |= TIF_MEMALLOC;
	CHECK_EQ(floor_of(t, z, 0), 0);
	CHECK_EQ(floor_of(t, z, __GFP_NOMEMALLOC), min);
	CHECK_EQ(floor_of(t, z, GFP_ATOMIC | __GFP_NOMEMALLOC),
		 (min - min / 2) - (min - min / 2) / 4);
	current_thread_info()->flags &= ~TIF_MEMALLOC;
	CHECK_EQ(floor_of(t, z, 0), min);
}

static bool not_boosted(void *zone)
{
	return !READ_ONCE(((struct zone *)zone)->watermark_boost);
}

/* Pages of `gfp` from the zone, until it is boosted or has none above its marks. */
static void take_from(struct zone *z, gfp_t gfp, struct list_head *list)
{
	struct page *p;

	while (!z->watermark_boost && (p = alloc_page(gfp | __GFP_NOWARN))) {
		if (page_zone(p) != z) {
			__free_page(p);
			break;
		}
		list_add(&p->lru, list);
	}
}

/* All of it is pages that can move, then every other one is free; then what cannot move comes. */
static u64 boost_by_mixing(struct zone *z)
{
	LIST_HEAD(movable);
	LIST_HEAD(unmovable);
	struct page *p, *next;
	unsigned int n = 0;
	u64 boost;

	take_from(z, __GFP_MOVABLE | __GFP_HIGHMEM, &movable);
	list_for_each_entry_safe (p, next, &movable, lru) {
		if (n++ % 2)
			continue;
		list_del(&p->lru);
		__free_page(p);
	}
	drain_all_pages();
	take_from(z, 0, &unmovable);
	boost = z->watermark_boost;
	list_splice_init(&unmovable, &movable);
	list_for_each_entry_safe (p, next, &movable, lru)
		__free_page(p);
	drain_all_pages();
	return boost;
}

/* The zone's marks rise by a pageblock, or to 1.5 times the high mark if that is less, but by a pageblock at
 * least; kswapd lowers them again. */
GUEST_TEST(reserve, a_block_of_another_type_boosts_the_marks, 0, 120, "memory=96M,high=64M cpus=1")
{
	u64 mark[NR_WMARK];
	struct zone *z = NULL;
	bool as_before;

	for (unsigned int i = 0; i < nr_zones; i++)
		if (zone_table[i]->type == ZONE_NORMAL)
			z = zone_table[i];
	REQUIRE(z && z->managed > 8000);
	memcpy(mark, z->watermark, sizeof(mark));
	/* 0: none, whatever is mixed. */
	CHECK_EQ(watermark_boost_factor, 0);
	CHECK_EQ(boost_by_mixing(z), 0);
	watermark_boost_factor = 15000;
	preempt_disable(); /* kswapd would take it back */
	CHECK_EQ(boost_by_mixing(z), 512);
	for (unsigned int w = 0; w < NR_WMARK; w++) {
		CHECK_EQ(z->watermark[w], mark[w] + 512);
		CHECK_EQ(z->shared->wmark[w], z->watermark[w]);
	}
	watermark_boost_factor = 0;
	/* The next allocation tells kswapd. */
	__free_page(alloc_page(GFP_NOWAIT));
	preempt_enable();
	REQUIRE(wait_until(not_boosted, z, 60000));
	as_before = !memcmp(mark, z->watermark, sizeof(mark));
	CHECK(as_before);
}
