/*
 * Pages of equal contents become one. Passes are made by hand, one ksm_scan(PASS) each, so every count is exact;
 * each case is audited from outside as well.
 */
#include "mm/huge/thp.h"
#include "mm/ksm/ksm.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/vmscan.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"
#include "tests/tests.h"

#define MEM  "memory=64M"
#define SWAP "memory=64M swap=64M"
#define PASS (~0ull)

/* The last word tells pages of different kinds apart; the first 8 bytes are what testmm_write() writes. */
static void fill(struct test *t, struct mm_struct *mm, unsigned long a, unsigned long n, u64 v)
{
	for (unsigned long i = 0; i < n; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, v), 0);
}

static unsigned long mergeable(struct test *t, struct mm_struct *mm, unsigned long pages)
{
	unsigned long a = testmm_map(t, mm, pages << PAGE_SHIFT);

	CHECK_EQ(do_madvise(mm, a, pages << PAGE_SHIFT, MADV_MERGEABLE), 0);
	return a;
}

/* The first pass learns the contents, the second compares them. */
static void passes(unsigned int n)
{
	while (n--)
		ksm_scan(PASS);
}

static void check_counts(struct test *t, u64 shared, u64 sharing, u64 unshared)
{
	struct ksm_counts c = ksm_read_counts();

	CHECK_EQ(c.pages_shared, shared);
	CHECK_EQ(c.pages_sharing, sharing);
	CHECK_EQ(c.pages_unshared, unshared);
}

static bool merged(struct mm_struct *mm, unsigned long addr)
{
	struct page *page = testmm_page(mm, addr);

	return page && PageKsm(page) && !pte_write(testmm_pte(mm, addr));
}

/* The first records take pages for their slabs. */
static void warm_up(struct test *t)
{
	struct mm_struct *mm = testmm_create(t);

	fill(t, mm, mergeable(t, mm, 2), 2, 1);
	passes(2);
	check_counts(t, 1, 1, 0);
	mmput(mm);
	check_counts(t, 0, 0, 0);
}

GUEST_TEST(ksm, equal_pages_of_one_process_become_one, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = mergeable(t, mm, 12);
	u64 free, v;

	warm_up(t);
	fill(t, mm, a, 8, 7);
	fill(t, mm, a + 8 * PAGE_SIZE, 1, 8); /* like no other */
	passes(1);
	check_counts(t, 0, 0, 0);
	CHECK_EQ(ksm_read_counts().rmap_items, 9); /* what was never touched has no place */
	free = settled_free_pages();
	passes(1);
	check_counts(t, 1, 7, 1);
	CHECK_EQ(settled_free_pages() - free, 7);
	for (unsigned int i = 0; i < 8; i++) {
		CHECK(merged(mm, a + i * PAGE_SIZE));
		CHECK(testmm_page(mm, a + i * PAGE_SIZE) == testmm_page(mm, a));
		CHECK_EQ(testmm_read(mm, a + i * PAGE_SIZE, &v), 0);
		CHECK_EQ(v, 7);
	}
	CHECK(!merged(mm, a + 8 * PAGE_SIZE));
	CHECK_EQ(page_mapcount(testmm_page(mm, a)), 8);
	CHECK_EQ(mm->rss_anon, 9);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 2);
	CHECK_EQ(settled_audit(), 0);
	/* What is merged stays so. */
	passes(2);
	check_counts(t, 1, 7, 1);
	CHECK_EQ(ksm_read_counts().full_scans, 6);
	mmput(mm);
	check_counts(t, 0, 0, 0);
	CHECK_EQ(ksm_read_counts().rmap_items, 0);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

GUEST_TEST(ksm, pages_of_two_processes_and_a_third_later, 0, 0, MEM)
{
	struct mm_struct *one = testmm_create(t), *two = testmm_create(t), *three;
	unsigned long a = mergeable(t, one, 2), b = mergeable(t, two, 2), c;

	fill(t, one, a, 2, 5);
	fill(t, two, b, 2, 5);
	passes(2);
	check_counts(t, 1, 3, 0);
	CHECK(testmm_page(one, a) == testmm_page(two, b));
	CHECK_EQ(ksm_mm_counts(one).merging_pages, 2);
	CHECK_EQ(ksm_mm_counts(two).merging_pages, 2);
	/* A page like a merged one joins in the first pass that sees it. */
	three = testmm_create(t);
	c = mergeable(t, three, 1);
	fill(t, three, c, 1, 5);
	passes(1);
	check_counts(t, 1, 4, 0);
	CHECK(testmm_page(three, c) == testmm_page(one, a));
	CHECK_EQ(settled_audit(), 0);
	mmput(one);
	check_counts(t, 1, 2, 0);
	CHECK_EQ(page_mapcount(testmm_page(three, c)), 3);
	mmput(two);
	mmput(three);
	check_counts(t, 0, 0, 0);
}

GUEST_TEST(ksm, a_write_copies_and_the_others_keep_their_contents, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = mergeable(t, mm, 3);
	s64 cow = ev(COW_KSM), reuse;
	u64 v;

	fill(t, mm, a, 3, 5);
	passes(2);
	check_counts(t, 1, 2, 0);
	CHECK_EQ(testmm_write(mm, a + PAGE_SIZE, 6), 0);
	CHECK_EQ(ev(COW_KSM) - cow, 1);
	CHECK(!merged(mm, a + PAGE_SIZE));
	CHECK_EQ(testmm_read(mm, a, &v), 0);
	CHECK_EQ(v, 5);
	CHECK_EQ(settled_audit(), 0);
	passes(1);
	check_counts(t, 1, 1, 0);
	/* Even the last place copies: the page is what its contents are. */
	reuse = ev(PGREUSE);
	CHECK_EQ(testmm_write(mm, a, 6), 0);
	CHECK_EQ(testmm_write(mm, a + 2 * PAGE_SIZE, 6), 0);
	CHECK_EQ(ev(COW_KSM) - cow, 3);
	CHECK_EQ(ev(PGREUSE) - reuse, 0);
	CHECK_EQ(mm->rss_anon, 3);
	passes(1);
	check_counts(t, 0, 0, 1); /* the second one was known as 6 already */
	passes(1);
	check_counts(t, 1, 2, 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(ksm, what_is_written_between_passes_is_not_merged, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = mergeable(t, mm, 2);

	for (u64 v = 1; v < 4; v++) {
		fill(t, mm, a, 2, v);
		passes(1);
		check_counts(t, 0, 0, 0);
	}
	CHECK_EQ(ksm_read_counts().rmap_items, 2);
	passes(1);
	check_counts(t, 1, 1, 0);
	mmput(mm);
}

GUEST_TEST(ksm, unmergeable_gives_each_its_own_page, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = mergeable(t, mm, 8);
	struct vm_area_struct *vma;
	s64 cow = ev(COW_KSM);
	u64 v;

	fill(t, mm, a, 8, 5);
	passes(2);
	check_counts(t, 1, 7, 0);
	/* Also where nobody may write. */
	CHECK_EQ(do_mprotect(mm, a, 8 * PAGE_SIZE, PROT_READ), 0);
	CHECK_EQ(do_madvise(mm, a + 2 * PAGE_SIZE, 4 * PAGE_SIZE, MADV_UNMERGEABLE), 0);
	CHECK_EQ(ev(COW_KSM) - cow, 4);
	vma = find_vma(mm, a + 2 * PAGE_SIZE);
	CHECK_EQ(vma->vm_end - vma->vm_start, 4 * PAGE_SIZE);
	CHECK(!(vma->flags & VM_MERGEABLE));
	for (unsigned int i = 0; i < 8; i++) {
		CHECK_EQ(merged(mm, a + i * PAGE_SIZE), i < 2 || i > 5);
		CHECK(!pte_write(testmm_pte(mm, a + i * PAGE_SIZE)));
		CHECK_EQ(testmm_read(mm, a + i * PAGE_SIZE, &v), 0);
		CHECK_EQ(v, 5);
	}
	CHECK_EQ(settled_audit(), 0);
	passes(1);
	check_counts(t, 1, 3, 0);
	mmput(mm);
}

GUEST_TEST(ksm, run_2_undoes_it_all, 0, 0, MEM)
{
	struct mm_struct *one = testmm_create(t), *two = testmm_create(t);
	unsigned long a = mergeable(t, one, 4), b = mergeable(t, two, 4);

	fill(t, one, a, 4, 5);
	fill(t, two, b, 4, 5);
	passes(2);
	check_counts(t, 1, 7, 0);
	CHECK_EQ(ksm_set_merge_across_nodes(false), -EBUSY);
	CHECK_EQ(ksm_set_max_page_sharing(3), -EBUSY);
	CHECK_EQ(ksm_set_run(KSM_RUN_UNMERGE), 0);
	check_counts(t, 0, 0, 0);
	CHECK_EQ(ksm_read_counts().rmap_items, 0);
	for (unsigned int i = 0; i < 4; i++)
		CHECK(!merged(one, a + i * PAGE_SIZE) && !merged(two, b + i * PAGE_SIZE));
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 8);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(ksm_set_merge_across_nodes(false), 0);
	CHECK_EQ(ksm_set_max_page_sharing(3), 0);
	CHECK_EQ(ksm_set_run(KSM_RUN_STOP), 0);
	passes(2);
	/* Three places a page: 3 + 3 + 2. */
	check_counts(t, 3, 5, 0);
	CHECK_EQ(ksm_read_counts().stable_node_chains, 1);
	CHECK_EQ(ksm_read_counts().stable_node_dups, 3);
	CHECK_EQ(settled_audit(), 0);
	mmput(one);
	mmput(two);
	check_counts(t, 0, 0, 0);
	CHECK_EQ(ksm_read_counts().stable_node_chains, 0);
	CHECK_EQ(ksm_read_counts().stable_node_dups, 0);
}

GUEST_TEST(ksm, a_child_shares_and_is_scanned, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long a = mergeable(t, mm, 4);
	u64 v;

	fill(t, mm, a, 4, 5);
	passes(2);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK(merged(child, a));
	CHECK_EQ(page_mapcount(testmm_page(mm, a)), 8);
	check_counts(t, 1, 3, 0); /* until the scanner sees the child's places */
	passes(1);
	check_counts(t, 1, 7, 0);
	CHECK_EQ(testmm_write(child, a, 6), 0);
	CHECK_EQ(testmm_read(mm, a, &v), 0);
	CHECK_EQ(v, 5);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	check_counts(t, 1, 3, 0); /* the place that was written is found by the next pass */
	passes(1);
	check_counts(t, 1, 2, 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	check_counts(t, 0, 0, 0);
}

GUEST_TEST(ksm, zeroes_map_the_zero_page, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = mergeable(t, mm, 3);

	ksm.use_zero_pages = 1;
	fill(t, mm, a, 3, 0);
	CHECK_EQ(mm->rss_anon, 3);
	passes(2);
	check_counts(t, 0, 0, 0);
	CHECK_EQ(mm->rss_anon, 0);
	CHECK(pte_special(testmm_pte(mm, a)));
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(testmm_write(mm, a, 1), 0);
	CHECK_EQ(mm->rss_anon, 1);
	ksm.use_zero_pages = 0;
	mmput(mm);
}

GUEST_TEST(ksm, a_page_that_is_held_is_left_alone, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = mergeable(t, mm, 2);
	struct page *page;

	fill(t, mm, a, 2, 5);
	page = testmm_page(mm, a);
	get_page(page); /* as for DMA */
	passes(3);
	check_counts(t, 0, 0, 1);
	CHECK(testmm_page(mm, a) == page);
	release_page(page);
	passes(2);
	check_counts(t, 1, 1, 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(ksm, moved_and_unmapped_places, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = mergeable(t, mm, 8), room = testmm_map(t, mm, 8 * PAGE_SIZE);
	u64 v;

	fill(t, mm, a, 8, 5);
	passes(2);
	check_counts(t, 1, 7, 0);
	CHECK_EQ(do_munmap(mm, a, 2 * PAGE_SIZE), 0);
	CHECK_EQ(do_mremap(mm, a + 4 * PAGE_SIZE, 4 * PAGE_SIZE, 4 * PAGE_SIZE,
			   MREMAP_MAYMOVE | MREMAP_FIXED, room),
		 room);
	CHECK(merged(mm, room));
	CHECK_EQ(testmm_read(mm, room + 3 * PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 5);
	CHECK_EQ(settled_audit(), 0);
	passes(1);
	check_counts(t, 1, 5, 0);
	CHECK_EQ(ksm_read_counts().rmap_items, 6);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(ksm, what_may_not_be_merged_is_passed_over, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	long shared = do_mmap(mm, 0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, 0);

	REQUIRE(shared > 0);
	CHECK_EQ(do_madvise(mm, shared, 2 * PAGE_SIZE, MADV_MERGEABLE), 0);
	CHECK(!(find_vma(mm, shared)->flags & VM_MERGEABLE));
	fill(t, mm, shared, 2, 5);
	passes(3);
	CHECK_EQ(ksm_read_counts().rmap_items, 0);
	/* All that is private, now and later. */
	CHECK_EQ(ksm_set_merge_any(mm, true), 0);
	CHECK(!(find_vma(mm, shared)->flags & VM_MERGEABLE));
	{
		unsigned long a = testmm_map(t, mm, 2 * PAGE_SIZE);

		CHECK(find_vma(mm, a)->flags & VM_MERGEABLE);
		fill(t, mm, a, 2, 5);
		passes(2);
		check_counts(t, 1, 1, 0);
		CHECK_EQ(ksm_set_merge_any(mm, false), 0);
		CHECK(!(find_vma(mm, a)->flags & VM_MERGEABLE));
		CHECK(!merged(mm, a));
	}
	mmput(mm);
}

GUEST_TEST(ksm, locked_memory_stays_counted, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = mergeable(t, mm, 4);

	fill(t, mm, a, 4, 5);
	CHECK_EQ(do_mlock(mm, a, 2 * PAGE_SIZE, 0), 0);
	CHECK_EQ(global_stat(NR_MLOCK), 2);
	passes(2);
	check_counts(t, 1, 3, 0);
	CHECK_EQ(global_stat(NR_MLOCK), 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK_EQ(global_stat(NR_MLOCK), 0);
}

GUEST_TEST(ksm, merged_pages_stay_when_memory_is_short, 0, 0, SWAP)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = mergeable(t, mm, 64), i;
	LIST_HEAD(none);
	u64 v;

	fill(t, mm, a, 32, 5);
	for (i = 32; i < 64; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, 100 + i), 0);
	passes(2);
	check_counts(t, 1, 31, 32);
	CHECK_EQ(do_madvise(mm, a, 64 * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK_EQ(mm->rss_swap, 32);
	CHECK_EQ(mm->rss_anon, 32);
	CHECK(merged(mm, a));
	CHECK(!lru_isolate(testmm_page(mm, a)));
	CHECK_EQ(settled_audit(), 0);
	for (i = 32; i < 64; i++) {
		CHECK_EQ(testmm_read(mm, a + i * PAGE_SIZE, &v), 0);
		CHECK_EQ(v, 100 + i);
	}
	/* Pages that came back from swap, still with their slots, merge as others. */
	fill(t, mm, a + 32 * PAGE_SIZE, 32, 5);
	passes(2);
	check_counts(t, 1, 63, 0);
	CHECK_EQ(mm->rss_anon, 64);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

static bool full_scans_reach(u64 n)
{
	return ksm_read_counts().full_scans >= n;
}

GUEST_TEST(ksm, the_thread_merges_by_itself, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = mergeable(t, mm, 16);

	fill(t, mm, a, 16, 5);
	ksm.sleep_millisecs = 1;
	ksm.pages_to_scan = 5;
	CHECK_EQ(ksm_set_run(KSM_RUN_MERGE), 0);
	while (!full_scans_reach(3))
		sleep_ns(1000000);
	check_counts(t, 1, 15, 0);
	CHECK_EQ(ksm_set_run(KSM_RUN_STOP), 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}
