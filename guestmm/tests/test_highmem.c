/*
 * High memory: what is in it, that nothing but a window reaches it, and that windows hold while threads are preempted,
 * sleep and change CPUs.
 */
#include "arch/pgtable.h"
#include "kernel/task.h"
#include "arch/tlb.h"
#include "mm/cache/pagecache.h"
#include "mm/phys/highmem.h"
#include "mm/move/migrate.h"
#include "mm/phys/internal.h"
#include "mm/reclaim/lru.h"
#include "mm/pgtable/pgtable.h"
#include "tests/tests.h"

#define MEM   "memory=40M,high=8M swap=32M append=highmem=16M"
#define DEBUG "memory=40M,high=8M swap=32M append=highmem=16M debug_vm"
#define TWO   "memory=40M,high=8M cpus=2 append=highmem=16M"
#define MIX   "memory=40M,high=8M append=highmem=16M movablecore=8M"

static struct page *high_page(gfp_t more)
{
	struct page *page = alloc_pages(GFP_HIGHUSER | more, 0);

	if (page && !page_is_high(page)) {
		__free_page(page);
		return NULL;
	}
	return page;
}

static bool in_direct_map(const struct page *page)
{
	unsigned int level;
	unsigned long next;

	return walk_leaf(kernel_pgd(), (unsigned long)page_address(page), &level, &next);
}

GUEST_TEST(highmem, a_zone_of_its_own, 0, 0, MEM)
{
	struct page *low = alloc_pages(GFP_KERNEL, 0), *high = high_page(0);

	REQUIRE(low && high);
	CHECK_EQ(page_zone(high)->type, ZONE_HIGHMEM);
	CHECK(page_to_phys(high) >= highmem_start && page_to_phys(low) < highmem_start);
	CHECK(in_direct_map(low));
	CHECK(!in_direct_map(high));
	CHECK_EQ(highmem_pages(), 16 * MIB / PAGE_SIZE);
	CHECK(!page_is_high(zero_page));
	__free_page(low);
	__free_page(high);
}

GUEST_TEST(highmem, the_kernel_gets_none, 0, 0, MEM)
{
	static struct page *held[16384];
	const s64 before = ev(PGALLOC_HIGH);
	u32 n = 0;

	while (n < ARRAY_SIZE(held) && (held[n] = alloc_pages(GFP_NOWAIT | __GFP_NOMEMALLOC, 0)))
		n++;
	CHECK(n > 1000);
	CHECK(highmem_free_pages() > 15 * MIB / PAGE_SIZE);
	CHECK_EQ(ev(PGALLOC_HIGH) - before, 0);
	for (u32 i = 0; i < n; i++) {
		CHECK(!page_is_high(held[i]));
		__free_page(held[i]);
	}
}

GUEST_TEST(highmem, windows_nest, 0, 0, DEBUG)
{
	struct page *page[KMAP_SLOTS];
	u64 *w[KMAP_SLOTS];

	for (u32 i = 0; i < KMAP_SLOTS; i++) {
		page[i] = high_page(__GFP_ZERO);
		REQUIRE(page[i]);
	}
	for (u32 i = 0; i < KMAP_SLOTS; i++) {
		w[i] = kmap_local_page(page[i]);
		CHECK_EQ(w[i][511], 0);
		w[i][511] = i + 1;
	}
	CHECK_EQ(current_thread_info()->kmap_depth, KMAP_SLOTS);
	for (u32 i = KMAP_SLOTS; i-- > 0;) {
		CHECK_EQ(w[i][511], i + 1);
		kunmap_local(&w[i][511]);
	}
	CHECK_EQ(current_thread_info()->kmap_depth, 0);
	for (u32 i = 0; i < KMAP_SLOTS; i++) {
		u64 *again = kmap_local_page(page[i]);

		CHECK_EQ(again[511], i + 1);
		CHECK(again == w[0]);
		kunmap_local(again);
		__free_page(page[i]);
	}
}

GUEST_TEST(highmem, a_use_after_the_end_is_a_fault, MMVM_TESTF_EXPECT_CRASH, 0, DEBUG)
{
	struct page *page = high_page(0);
	volatile u64 *w;

	REQUIRE(page);
	w = kmap_local_page(page);
	*w = 1;
	kunmap_local((const void *)w);
	test_expect_words(t, "not mapped");
	*w = 2;
}

/* ---- other CPUs ---- */

static u32 nr_left, nr_wrong, nr_moves;

/* One page stays mapped while the thread goes from CPU to CPU, and others come and go. */
static int wander(void *arg)
{
	struct page *mine = high_page(0), *other = high_page(0);
	u64 *w;

	if (!mine || !other) {
		atomic_add(&nr_wrong, 1);
		goto out;
	}
	w = kmap_local_page(mine);
	for (u32 i = 0; i < 400; i++) {
		const u32 cpu = cpu_id();
		u64 *v;

		*w = (unsigned long)arg + i;
		v = kmap_local_page(other);
		*v = ~*w;
		sched_set_cpus(current, 1u << (i & 1));
		sched_migrate_self();
		sleep_ns(1000);
		atomic_add(&nr_moves, cpu_id() != cpu);
		if (*w != (unsigned long)arg + i || *v != ~*w)
			atomic_add(&nr_wrong, 1);
		kunmap_local(v);
	}
	kunmap_local(w);
out:
	if (mine)
		__free_page(mine);
	if (other)
		__free_page(other);
	atomic_sub(&nr_left, 1);
	return 0;
}

static bool none_left(void *arg)
{
	return !atomic_load(&nr_left);
}

GUEST_TEST(highmem, windows_go_along_to_other_cpus, 0, 120, TWO)
{
	REQUIRE(!sched_migration_init());
	nr_left = 4;
	for (unsigned long i = 0; i < 4; i++)
		REQUIRE(!kthread_run(wander, (void *)(i * 1000000), "wander"));
	CHECK(wait_until(none_left, NULL, 60000));
	CHECK_EQ(nr_wrong, 0);
	CHECK(nr_moves > 100);
	CHECK_EQ(settled_audit(), 0);
}

/* ---- who moves there and who does not ---- */

GUEST_TEST(highmem, programs_live_there_and_swap, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	const unsigned long pages = 13000; /* more than there is */
	unsigned long a = testmm_map(t, mm, pages * PAGE_SIZE);
	const s64 before = ev(PGALLOC_HIGH), out = ev(PSWPOUT);

	REQUIRE(a);
	testmm_fill(t, mm, a, pages, 5);
	CHECK(ev(PGALLOC_HIGH) - before > 4000);
	CHECK(ev(PSWPOUT) > out);
	testmm_verify(t, mm, a, pages, 5);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

static struct folio *to_high_memory(struct folio *src, void *arg)
{
	return (struct folio *)high_page(0);
}

/* Pages of a mapping whose owner keeps addresses do not go where there are none. */
GUEST_TEST(highmem, what_needs_an_address_stays, 0, 0, MEM)
{
	static const struct address_space_ops no_disk = {};
	struct address_space mapping;
	struct page *page;
	LIST_HEAD(list);

	address_space_init(&mapping, NULL, &no_disk, AS_LOWMEM);
	page = find_or_create_page(&mapping, 0, GFP_HIGHUSER_MOVABLE);
	REQUIRE(page);
	CHECK(!page_is_high(page));
	SetPageUptodate(page);
	unlock_page(page);
	put_page(page);
	lru_add_drain_all();
	REQUIRE(isolate_movable_page(page));
	list_add(&page->lru, &list);
	CHECK_EQ(migrate_pages(&list, to_high_memory, NULL, NULL, MIGRATE_SYNC, MR_SYSCALL, NULL),
		 1);
	putback_movable_pages(&list);
	CHECK(page->mapping == &mapping);
	REQUIRE(isolate_movable_page(page));
	list_add(&page->lru, &list);
	CHECK_EQ(migrate_pages(&list, alloc_migration_target, NULL, NULL, MIGRATE_SYNC, MR_SYSCALL,
			       NULL),
		 0);
	page = find_get_page(&mapping, 0);
	REQUIRE(page);
	CHECK(!page_is_high(page));
	put_page(page);
	truncate_pagecache(&mapping, 0);
}

GUEST_TEST(highmem, movable_memory_is_high_too, 0, 0, MIX)
{
	struct page *page = alloc_pages(GFP_HIGHUSER_MOVABLE | __GFP_ZERO, 0);
	u64 word = 1;

	REQUIRE(page);
	CHECK_EQ(page_zone(page)->type, ZONE_MOVABLE);
	CHECK(page_is_high(page) && !in_direct_map(page));
	memcpy_from_page(&word, page, 8, sizeof(word));
	CHECK_EQ(word, 0);
	__free_page(page);
}

GUEST_TEST(highmem, too_much_is_refused, 0, 0, "memory=24M,high=8M append=highmem=20M")
{
	CHECK_EQ(highmem_start, 0);
	CHECK_EQ(highmem_pages(), 0);
	CHECK(!static_key(KEY_HIGHMEM));
}
