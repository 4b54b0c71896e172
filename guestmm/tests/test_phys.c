/*
 * Physical memory in the running kernel: the hand-over from memblock, struct pages, the buddy's
 * lists, the per-CPU lists, GFP rules. Each case reads the counters that prove which path it took.
 */
#include "mm/phys/memblock.h"
#include "tests/tests.h"

#define MEM "memory=32M,high=8M" /* 16 MiB DMA, 8 MiB DMA32, 8 MiB NORMAL */

#define MEM_SMALL "memory=16M,high=4M"

GUEST_TEST(memblock, hand_over_is_exact, 0, 0, MEM)
{
	u64 present = 0, managed = 0;

	for (unsigned int i = 0; i < nr_zones; i++) {
		present += zone_table[i]->present;
		managed += zone_table[i]->managed;
	}
	CHECK_EQ(present * PAGE_SIZE, memblock_total());
	CHECK_EQ(memblock_total(), 32 * MIB);
	CHECK_EQ(managed, totalram_pages());
	/* 32 MiB of which the kernel, its page tables and struct pages keep less than an eighth. */
	CHECK(managed > present * 7 / 8);
	CHECK(nr_free_pages() <= managed);
	CHECK_EQ(mmvm_shared->totalram, totalram_pages());
}

GUEST_TEST(memblock, every_frame_has_one_owner, 0, 0, MEM)
{
	u64 by_type[NR_PAGE_TYPES], seen, present = 0;

	drain_all_pages();
	seen = count_frames(by_type);
	for (unsigned int i = 0; i < nr_zones; i++)
		present += zone_table[i]->present;
	CHECK_EQ(seen, present);
	CHECK_EQ(by_type[PAGE_INVALID], 0);
	CHECK_EQ(by_type[PAGE_BUDDY], nr_free_pages());
	CHECK_EQ(by_type[PAGE_RESERVED], present - totalram_pages());
}

GUEST_TEST(page, conversions_agree, 0, 0, MEM)
{
	struct page *p = alloc_page(GFP_KERNEL);

	REQUIRE(p);
	CHECK(virt_to_page(page_address(p)) == p);
	CHECK(pfn_to_page(page_to_pfn(p)) == p);
	CHECK_EQ(__pa(page_address(p)), page_to_phys(p));
	CHECK(pfn_valid(page_to_pfn(p)));
	CHECK(!pfn_valid(MMVM_RAM_LOW_MAX >> PAGE_SHIFT)); /* the hole */
	CHECK(!pfn_valid(memblock_end() >> PAGE_SHIFT));
	CHECK_EQ(p->refcount, 1);
	CHECK_EQ(page_mapcount(p), 0);
	CHECK_EQ(p->order, 0);
	CHECK(page_to_pfn(p) >= page_zone(p)->start_pfn);
	CHECK(page_to_pfn(p) < page_zone(p)->start_pfn + page_zone(p)->spanned);
	get_page(p);
	CHECK_EQ(p->refcount, 2);
	put_page(p);
	CHECK_EQ(p->refcount, 1);
	put_page(p);
	CHECK(p->type == PAGE_PCP || p->type == PAGE_BUDDY);
	CHECK(!get_page_unless_zero(p));
}

static struct page *locked_page;
static u32 lock_order;

static int lock_page_thread(void *arg)
{
	lock_page(locked_page);
	lock_order = lock_order * 10 + 2;
	unlock_page(locked_page);
	return 0;
}

static bool both_had_the_lock(void *arg)
{
	return READ_ONCE(lock_order) >= 10;
}

GUEST_TEST(page, lock_makes_others_wait, 0, 0, MEM)
{
	locked_page = alloc_page(GFP_KERNEL);
	REQUIRE(locked_page);
	REQUIRE(trylock_page(locked_page));
	CHECK(!trylock_page(locked_page));
	REQUIRE(!kthread_run(lock_page_thread, NULL, "locker"));
	sleep_ms(20);
	lock_order = lock_order * 10 + 1; /* it waits, so we are first */
	unlock_page(locked_page);
	CHECK(wait_until(both_had_the_lock, NULL, 10000));
	lock_page(locked_page); /* the other has let it go */
	unlock_page(locked_page);
	CHECK_EQ(lock_order, 12);
	__free_page(locked_page);
}

GUEST_TEST(page, double_free_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	struct page *p = alloc_page(GFP_KERNEL);

	__free_page(p);
	__free_page(p);
	CHECK(!"the second free went through");
}

GUEST_TEST(page, free_with_wrong_order_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	__free_pages(alloc_pages(GFP_KERNEL, 2), 1);
	CHECK(!"the free went through");
}

GUEST_TEST(page, free_of_locked_page_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	struct page *p = alloc_page(GFP_KERNEL);

	lock_page(p);
	__free_page(p);
	CHECK(!"the free went through");
}

GUEST_TEST(page, free_of_tail_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	struct page *p = alloc_pages(GFP_KERNEL, 1);

	__free_page(p + 1);
	CHECK(!"the free went through");
}

GUEST_TEST(buddy, every_order_aligned_and_returned, 0, 0, MEM)
{
	u64 before = settled_free_pages();

	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		struct page *p = alloc_pages(GFP_KERNEL, order);

		REQUIRE(p);
		CHECK_EQ(page_to_pfn(p) & ((1ul << order) - 1), 0);
		CHECK_EQ(p->order, order);
		CHECK_EQ(p->refcount, 1);
		CHECK(settled_free_pages() == before - (1ul << order));
		__free_pages(p, order);
		CHECK_EQ(settled_free_pages(), before);
	}
	CHECK(!alloc_pages(GFP_KERNEL | __GFP_NOWARN, MAX_ORDER + 1));
}

static void blocks_by_order(u64 nr[NR_ORDERS])
{
	drain_all_pages();
	for (unsigned int o = 0; o < NR_ORDERS; o++) {
		nr[o] = 0;
		for (unsigned int i = 0; i < nr_zones; i++)
			nr[o] += zone_table[i]->free_area[o].nr_free;
	}
}

GUEST_TEST(buddy, split_pages_merge_again, 0, 0, MEM)
{
	u64 before[NR_ORDERS], after[NR_ORDERS];
	const unsigned int order = 7, n = 1u << order;
	struct page *p;

	blocks_by_order(before);
	p = alloc_pages(GFP_KERNEL, order);
	REQUIRE(p);
	split_page(p, order);
	for (unsigned int i = 0; i < n; i++)
		CHECK_EQ(p[i].refcount, 1);
	/* Odd frames first: nothing can merge until the even ones come. */
	for (unsigned int i = 1; i < n; i += 2)
		__free_page(p + i);
	blocks_by_order(after);
	CHECK(after[0] >= before[0] + n / 2);
	for (unsigned int i = 0; i < n; i += 2)
		__free_page(p + i);
	blocks_by_order(after);
	for (unsigned int o = 0; o < NR_ORDERS; o++)
		CHECK_EQ(after[o], before[o]);
}

#define NR_BLOCKS 160
static struct {
	struct page *page;
	unsigned int order;
} blocks[NR_BLOCKS];

GUEST_TEST(buddy, random_blocks_never_overlap, 0, 0, MEM)
{
	u64 before = settled_free_pages(), nr_made = 0;

	for (int op = 0; op < 1500; op++) {
		unsigned int i = get_random_u64() % NR_BLOCKS, order = get_random_u64() % 6;

		if (blocks[i].page) {
			unsigned long n = 1ul << blocks[i].order;
			u64 *first = page_address(blocks[i].page);
			u64 *last = (u64 *)((u8 *)first + n * PAGE_SIZE) - 1;

			/* Ours still: nobody else was given these frames. */
			CHECK_EQ(*first, i);
			CHECK_EQ(*last, ~(u64)i);
			__free_pages(blocks[i].page, blocks[i].order);
			blocks[i].page = NULL;
			continue;
		}
		blocks[i].page = alloc_pages(GFP_NOWAIT, order);
		if (blocks[i].page) {
			u64 *first = page_address(blocks[i].page);

			nr_made++;
			blocks[i].order = order;
			first[0] = i;
			first[(PAGE_SIZE << order) / 8 - 1] = ~(u64)i;
		}
	}
	CHECK(nr_made > 500);
	for (int i = 0; i < NR_BLOCKS; i++)
		if (blocks[i].page)
			__free_pages(blocks[i].page, blocks[i].order);
	CHECK_EQ(settled_free_pages(), before);
}

/** Take every page that these flags can have, linked by lru. Returns how many. */
static u64 take_all(gfp_t gfp, struct list_head *list)
{
	struct page *p;
	u64 n = 0;

	while ((p = alloc_page(gfp | __GFP_NOWARN))) {
		list_add(&p->lru, list);
		n++;
	}
	return n;
}

static void give_back(struct list_head *list)
{
	while (!list_empty(list)) {
		struct page *p = list_first_entry(list, struct page, lru);

		list_del(&p->lru);
		__free_page(p);
	}
}

GUEST_TEST(buddy, movable_falls_back_to_other_types, 0, 0, MEM_SMALL)
{
	u64 before = settled_free_pages();
	s64 fallback = ev(MMVM_BUDDY_FALLBACK), stolen = ev(MMVM_BUDDY_STEAL_BLOCK);
	LIST_HEAD(movable);
	LIST_HEAD(unmovable);

	/* Fill memory with one type, free it, and the next type must take pageblocks over. */
	CHECK(take_all(__GFP_MOVABLE, &movable) > 1000);
	give_back(&movable);
	CHECK(take_all(0, &unmovable) > 1000);
	CHECK(ev(MMVM_BUDDY_FALLBACK) > fallback);
	CHECK(ev(MMVM_BUDDY_STEAL_BLOCK) > stolen);
	give_back(&unmovable);
	CHECK_EQ(settled_free_pages(), before);
}

GUEST_TEST(pcp, empty_list_is_refilled_by_a_batch, 0, 0, MEM)
{
	struct page *p[64];
	s64 refills, drains;

	drain_all_pages();
	refills = ev(MMVM_PCP_REFILL);
	drains = ev(MMVM_PCP_DRAIN);
	for (int i = 0; i < 64; i++) {
		p[i] = alloc_page(GFP_KERNEL);
		REQUIRE(p[i]);
	}
	refills = ev(MMVM_PCP_REFILL) - refills;
	CHECK(refills >= 1);
	CHECK(refills < 64); /* a batch each, not a page each */
	for (int i = 0; i < 64; i++)
		__free_page(p[i]);
	CHECK(ev(MMVM_PCP_DRAIN) > drains); /* 64 pages are beyond `high` */
}

GUEST_TEST(pcp, last_freed_is_first_out, 0, 0, MEM)
{
	struct page *p = alloc_page(GFP_KERNEL), *q;
	s64 refills = ev(MMVM_PCP_REFILL);

	REQUIRE(p);
	for (int i = 0; i < 100; i++) {
		__free_page(p);
		q = alloc_page(GFP_KERNEL);
		CHECK(q == p);
		p = q;
	}
	__free_page(p);
	CHECK_EQ(ev(MMVM_PCP_REFILL), refills); /* the buddy was never asked */
}

GUEST_TEST(pcp, drain_returns_everything_to_the_buddy, 0, 0, MEM)
{
	struct page *p = alloc_page(GFP_KERNEL);

	REQUIRE(p);
	__free_page(p);
	CHECK_EQ(p->type, PAGE_PCP);
	drain_all_pages();
	for (unsigned int i = 0; i < nr_zones; i++)
		CHECK_EQ(this_cpu_ptr(zone_table[i]->pcp)->count, 0);
}

GUEST_TEST(gfp, zone_modifiers_are_obeyed, 0, 0, MEM)
{
	static const struct {
		gfp_t gfp;
		enum zone_type zone;
	} want[] = {
		{GFP_KERNEL, ZONE_NORMAL},
		{GFP_KERNEL | GFP_DMA32, ZONE_DMA32},
		{GFP_KERNEL | GFP_DMA, ZONE_DMA},
		{GFP_HIGHUSER_MOVABLE, ZONE_NORMAL},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(want); i++) {
		struct page *p = alloc_page(want[i].gfp);

		REQUIRE(p);
		CHECK_EQ(page_zone(p)->type, want[i].zone);
		if (want[i].zone == ZONE_DMA)
			CHECK(page_to_phys(p) < 16 * MIB);
		if (want[i].zone == ZONE_DMA32)
			CHECK(page_to_phys(p) < 4096 * MIB);
		__free_page(p);
	}
}

GUEST_TEST(gfp, zero_flag_clears_a_dirty_page, 0, 0, MEM)
{
	unsigned long addr = __get_free_pages(GFP_KERNEL, 1);
	unsigned long again;
	u64 sum = 0;

	REQUIRE(addr);
	memset((void *)addr, 0xff, 2 * PAGE_SIZE);
	free_pages(addr, 1);
	again = __get_free_pages(GFP_KERNEL | __GFP_ZERO, 1);
	CHECK_EQ(again, addr); /* the same frames, so it was clearing that made them zero */
	for (unsigned long i = 0; i < 2 * PAGE_SIZE; i += 8)
		sum |= *(u64 *)(again + i);
	CHECK_EQ(sum, 0);
	free_pages(again, 1);
}

GUEST_TEST(gfp, atomic_may_go_deeper_than_nowait, 0, 0, MEM_SMALL)
{
	u64 before = settled_free_pages();
	s64 stalls = ev(ALLOCSTALL);
	LIST_HEAD(list);
	u64 nowait, atomic, memalloc;

	nowait = take_all(0, &list);
	CHECK(nowait > 1000);
	CHECK(nr_free_pages() > 0);
	atomic = take_all(__GFP_HIGH, &list);
	CHECK(atomic > 0);
	memalloc = take_all(__GFP_MEMALLOC, &list);
	CHECK(memalloc > 0);
	CHECK_EQ(nr_free_pages(), 0);
	CHECK_EQ(ev(ALLOCSTALL), stalls); /* none of these may sleep */
	give_back(&list);
	CHECK_EQ(settled_free_pages(), before);
}

GUEST_TEST(gfp, noretry_fails_instead_of_killing, 0, 0, MEM_SMALL)
{
	s64 stalls = ev(ALLOCSTALL), kills = ev(OOM_KILL);
	LIST_HEAD(list);

	take_all(__GFP_HIGH, &list);
	CHECK(!alloc_page(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN));
	CHECK(ev(ALLOCSTALL) > stalls);
	CHECK(!alloc_page(GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN));
	CHECK_EQ(ev(OOM_KILL), kills);
	give_back(&list);
}

static struct list_head nofail_pages;
static bool nofail_waits, nofail_releasing, nofail_released;

static int release_later(void *arg)
{
	while (!READ_ONCE(nofail_waits))
		sleep_ms(1);
	sleep_ms(30);
	WRITE_ONCE(nofail_releasing, true);
	give_back(&nofail_pages);
	WRITE_ONCE(nofail_released, true);
	return 0;
}

static bool is_released(void *arg)
{
	return READ_ONCE(nofail_released);
}

GUEST_TEST(gfp, nofail_waits_until_there_is_memory, 0, 0, MEM_SMALL)
{
	LIST_HEAD(got);
	unsigned int n = 0;
	u64 start;

	INIT_LIST_HEAD(&nofail_pages);
	REQUIRE(!kthread_run(release_later, NULL, "release"));
	take_all(__GFP_MEMALLOC, &nofail_pages);
	CHECK_EQ(nr_free_pages(), 0);
	start = ktime_ns();
	WRITE_ONCE(nofail_waits, true);
	/* Reclaim may find a few pages in slabs; then there is nothing until the other thread
	 * gives back what we took. */
	while (!READ_ONCE(nofail_releasing) && n++ < 1000) {
		struct page *p = alloc_page(GFP_NOIO | __GFP_NOFAIL);

		REQUIRE(p);
		list_add(&p->lru, &got);
	}
	CHECK(nofail_releasing);
	CHECK(n < 1000);
	CHECK(ktime_ns() - start >= 30000000);
	give_back(&got);
	CHECK(wait_until(is_released, NULL, 5000));
}

GUEST_TEST(gfp, sleeping_allocation_under_a_lock_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	static spinlock_t lock = SPINLOCK_INIT;

	spin_lock(&lock);
	alloc_page(GFP_KERNEL);
	CHECK(!"it went through");
}
