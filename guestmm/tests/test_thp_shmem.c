/*
 * Huge pages of shared memory from inside; each case is audited from outside when it has ended.
 */
#include "fs/vfs.h"
#include "lib/errno.h"
#include "mm/cache/shmem.h"
#include "mm/huge/thp.h"
#include "mm/memcg/memcg.h"
#include "mm/reclaim/lru.h"
#include "mm/pgtable/large.h"
#include "tests/tests.h"

#define HUGE PMD_SIZE
#define RW   (PROT_READ | PROT_WRITE)
#define MEM  "memory=64M"
#define SWAP "memory=64M swap=64M"

static long map(struct mm_struct *mm, unsigned long pages, u32 mode)
{
	shmem_set_enabled(mode);
	return do_mmap(mm, 0, pages * HUGE, RW, MAP_SHARED | MAP_ANONYMOUS, 0);
}

static bool nothing_committed(void *arg)
{
	return !vm_committed();
}

/* khugepaged may hold an address space for a moment, and is then who frees it. */
static void check_all_gone(struct test *t)
{
	CHECK(wait_until(nothing_committed, NULL, 5000));
	CHECK_EQ(global_stat(NR_SHMEM), 0);
}

GUEST_TEST(thp_shmem, first_touch_maps_two_mebibytes_for_relatives_too, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	s64 made = ev(THP_FILE_ALLOC), mapped = ev(THP_FILE_MAPPED);
	long a = map(mm, 2, SHMEM_HUGE_ALWAYS);

	REQUIRE(a > 0 && !(a & (HUGE - 1)));
	testmm_fill(t, mm, a, 512, 1);
	CHECK_EQ(ev(THP_FILE_ALLOC) - made, 1);
	CHECK_EQ(ev(THP_FILE_MAPPED) - mapped, 1);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	CHECK_EQ(mm->rss_shmem, 512);
	CHECK_EQ(global_stat(NR_SHMEM), 512);
	CHECK_EQ(global_stat(NR_SHMEM_THPS), 1);
	CHECK_EQ(global_stat(NR_SHMEM_PMDMAPPED), 1);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(child->rss_shmem, 0);
	testmm_verify(t, child, a, 512, 1);
	CHECK_EQ(testmm_level(child, a), PT_LEVEL_PMD);
	CHECK_EQ(ev(THP_FILE_MAPPED) - mapped, 2);
	CHECK_EQ(ev(THP_FILE_ALLOC) - made, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	mmput(mm);
	check_all_gone(t);
	CHECK_EQ(global_stat(NR_SHMEM_THPS), 0);
	CHECK_EQ(global_stat(NR_SHMEM_PMDMAPPED), 0);
	CHECK_EQ(global_stat(NR_FILE_MAPPED), 0);
}

GUEST_TEST(thp_shmem, modes_decide_who_gets_them, 0, 0, MEM)
{
	static const struct {
		u32 mode;
		int advice;
		bool huge;
	} cases[] = {
		{SHMEM_HUGE_NEVER, 0, false},	   {SHMEM_HUGE_NEVER, MADV_HUGEPAGE, false},
		{SHMEM_HUGE_ADVISE, 0, false},	   {SHMEM_HUGE_ADVISE, MADV_HUGEPAGE, true},
		{SHMEM_HUGE_ALWAYS, 0, true},	   {SHMEM_HUGE_ALWAYS, MADV_NOHUGEPAGE, false},
		{SHMEM_HUGE_WITHIN_SIZE, 0, true}, {SHMEM_HUGE_DENY, MADV_HUGEPAGE, false},
		{SHMEM_HUGE_FORCE, 0, true},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mm_struct *mm = testmm_create(t);
		s64 made = ev(THP_FILE_ALLOC);
		long a = map(mm, 1, cases[i].mode);

		REQUIRE(a > 0);
		if (cases[i].advice)
			CHECK_EQ(do_madvise(mm, a, HUGE, cases[i].advice), 0);
		CHECK_EQ(testmm_write(mm, a + 7 * PAGE_SIZE, 1), 0);
		CHECK_EQ(ev(THP_FILE_ALLOC) - made, cases[i].huge);
		CHECK_EQ(testmm_level(mm, a), cases[i].huge ? PT_LEVEL_PMD : PT_LEVEL_PTE);
		mmput(mm);
	}
	/* Nothing is promised beyond the end of what was asked for: its last part is of small pages. */
	struct mm_struct *mm = testmm_create(t);
	s64 made = ev(THP_FILE_ALLOC);
	long a;

	shmem_set_enabled(SHMEM_HUGE_WITHIN_SIZE);
	a = do_mmap(mm, 0, HUGE + 8 * PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, 0);
	REQUIRE(a > 0);
	CHECK_EQ(testmm_write(mm, a + HUGE, 1), 0);
	CHECK_EQ(ev(THP_FILE_ALLOC) - made, 0);
	CHECK_EQ(testmm_write(mm, a, 1), 0);
	CHECK_EQ(ev(THP_FILE_ALLOC) - made, 1);
	mmput(mm);
}

GUEST_TEST(thp_shmem, part_unmapped_keeps_the_folio, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	s64 pmds = ev(THP_SPLIT_PMD), pages = ev(THP_SPLIT_PAGE);
	long a = map(mm, 1, SHMEM_HUGE_ALWAYS);
	struct page *page;

	REQUIRE(a > 0);
	testmm_fill(t, mm, a, 512, 1);
	CHECK_EQ(do_munmap(mm, a + 100 * PAGE_SIZE, 50 * PAGE_SIZE), 0);
	CHECK_EQ(ev(THP_SPLIT_PMD) - pmds, 1);
	CHECK_EQ(ev(THP_SPLIT_PAGE) - pages, 0);
	CHECK_EQ(ev(THP_DEFERRED_SPLIT_PAGE), 0);
	CHECK_EQ(mm->rss_shmem, 462);
	page = testmm_page(mm, a + PAGE_SIZE);
	CHECK(PageTail(page) && page_folio(page)->page.type == PAGE_SHMEM);
	CHECK_EQ(global_stat(NR_SHMEM), 512);
	CHECK_EQ(global_stat(NR_SHMEM_PMDMAPPED), 0);
	CHECK_EQ(global_stat(NR_FILE_MAPPED), 462);
	testmm_verify(t, mm, a, 100, 1);
	/* Read-only and back: every page may be written again at once. */
	CHECK_EQ(do_mprotect(mm, a, 100 * PAGE_SIZE, PROT_READ), 0);
	CHECK_EQ(do_mprotect(mm, a, 100 * PAGE_SIZE, RW), 0);
	testmm_fill(t, mm, a, 100, 2);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK_EQ(global_stat(NR_SHMEM), 0);
}

GUEST_TEST(thp_shmem, a_hole_splits_the_folio, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	s64 split = ev(THP_SPLIT_PAGE);
	long a = map(mm, 2, SHMEM_HUGE_ALWAYS);
	u64 v = 1;

	REQUIRE(a > 0);
	testmm_fill(t, mm, a, 1024, 1);
	/* A part of the first, and the second whole. */
	CHECK_EQ(do_madvise(mm, a + 500 * PAGE_SIZE, 524 * PAGE_SIZE, MADV_REMOVE), 0);
	CHECK_EQ(ev(THP_SPLIT_PAGE) - split, 1);
	CHECK_EQ(global_stat(NR_SHMEM), 500);
	CHECK_EQ(global_stat(NR_SHMEM_THPS), 0);
	testmm_verify(t, mm, a, 500, 1);
	CHECK_EQ(settled_audit(), 0);
	CHECK(!testmm_read(mm, a + 500 * PAGE_SIZE, &v) && v == 0);
	CHECK(!testmm_read(mm, a + 1000 * PAGE_SIZE, &v) && v == 0);
	mmput(mm);
	check_all_gone(t);
}

GUEST_TEST(thp_shmem, who_holds_a_page_keeps_the_folio_and_reads_zeroes, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	s64 failed = ev(THP_SPLIT_PAGE_FAILED);
	long a = map(mm, 1, SHMEM_HUGE_ALWAYS);
	struct folio *held;
	u64 v = 1;

	REQUIRE(a > 0);
	testmm_fill(t, mm, a, 512, 1);
	CHECK_EQ(testmm_touch(mm, a, TOUCH_READ), 0);
	held = pfn_folio(pte_pfn(pte_read(walk_level(mm->pgd, a, PT_LEVEL_PMD))));
	folio_get(held);
	CHECK_EQ(do_madvise(mm, a + 10 * PAGE_SIZE, 5 * PAGE_SIZE, MADV_REMOVE), 0);
	CHECK_EQ(ev(THP_SPLIT_PAGE_FAILED) - failed, 1);
	CHECK_EQ(global_stat(NR_SHMEM_THPS), 1);
	CHECK(!testmm_read(mm, a + 12 * PAGE_SIZE, &v) && v == 0);
	testmm_verify(t, mm, a, 10, 1);
	testmm_verify(t, mm, a + 15 * PAGE_SIZE, 497, 1);
	folio_put(held);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(thp_shmem, private_mapping_copies_one_page, 0, 0, MEM)
{
	struct inode *inode = shmem_inode(0600, 2 * HUGE);
	struct mm_struct *mm = testmm_create(t), *child;
	long a;
	u64 v = 0;

	REQUIRE(inode);
	shmem_set_enabled(SHMEM_HUGE_ALWAYS);
	for (u64 i = 0; i < 512; i++)
		CHECK_EQ(kernel_file_write(&inode->i_data, &i, sizeof(i), i * PAGE_SIZE),
			 sizeof(i));
	CHECK_EQ(global_stat(NR_SHMEM_THPS), 1);
	a = testmm_map_file(t, mm, &inode->i_data, NULL, MAP_PRIVATE, HUGE / PAGE_SIZE);
	REQUIRE(a > 0);
	CHECK(!testmm_read(mm, a + 5 * PAGE_SIZE, &v) && v == 5);
	CHECK_EQ(testmm_write(mm, a + 5 * PAGE_SIZE, 99), 0);
	CHECK_EQ(mm->rss_anon, 1);
	CHECK(!testmm_read(mm, a + 6 * PAGE_SIZE, &v) && v == 6);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK(!testmm_read(child, a + 5 * PAGE_SIZE, &v) && v == 99);
	CHECK(!testmm_read(child, a + 7 * PAGE_SIZE, &v) && v == 7);
	CHECK_EQ(kernel_file_read(&inode->i_data, &v, sizeof(v), 5 * PAGE_SIZE), sizeof(v));
	CHECK_EQ(v, 5);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	mmput(mm);
	iput(inode);
	CHECK_EQ(global_stat(NR_SHMEM), 0);
}

GUEST_TEST(thp_shmem, file_ends_within_a_huge_page, 0, 0, MEM)
{
	struct inode *inode = shmem_inode(0600, HUGE);
	struct mm_struct *mm = testmm_create(t);
	u64 v = 1;
	long a;

	REQUIRE(inode);
	shmem_set_enabled(SHMEM_HUGE_ALWAYS);
	a = testmm_map_file(t, mm, &inode->i_data, NULL, MAP_SHARED, HUGE / PAGE_SIZE);
	REQUIRE(a > 0);
	testmm_fill(t, mm, a, 512, 1);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	truncate_pagecache(&inode->i_data, (inode->i_data.size = 20 * PAGE_SIZE + 100));
	CHECK_EQ(global_stat(NR_SHMEM), 21);
	CHECK_EQ(global_stat(NR_SHMEM_THPS), 0);
	testmm_verify(t, mm, a, 20, 1);
	CHECK(testmm_read(mm, a + 21 * PAGE_SIZE, &v) != 0);
	CHECK_EQ(settled_audit(), 0);
	/* Longer again, the rest of the last page is zero. */
	inode->i_data.size = HUGE;
	CHECK(!testmm_read(mm, a + 20 * PAGE_SIZE + 104, &v) && v == 0);
	mmput(mm);
	iput(inode);
	CHECK_EQ(global_stat(NR_SHMEM), 0);
}

GUEST_TEST(thp_shmem, reclaim_splits_and_swaps, 0, 120, SWAP)
{
	struct mm_struct *mm = testmm_create(t);
	s64 split = ev(THP_SPLIT_PAGE), out = ev(PSWPOUT);
	long a = map(mm, 36, SHMEM_HUGE_ALWAYS);

	REQUIRE(a > 0);
	testmm_fill(t, mm, a, 36 * 512, 1);
	CHECK(ev(THP_FILE_ALLOC) >= 8);
	CHECK(ev(THP_SPLIT_PAGE) - split >= 1);
	CHECK(ev(PSWPOUT) - out > 0);
	testmm_verify(t, mm, a, 36 * 512, 1);
	memory_settle();
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	check_all_gone(t);
}

GUEST_TEST(thp_shmem, a_memcg_counts_its_huge_pages, 0, 0, MEM)
{
	struct mem_cgroup *memcg = mem_cgroup_create(&root_mem_cgroup);
	struct mm_struct *mm = testmm_create(t);
	long a = map(mm, 2, SHMEM_HUGE_ALWAYS);

	REQUIRE(!IS_ERR(memcg) && a > 0 && !(a & (HUGE - 1)));
	testmm_fill(t, mm, a, 1, 1); /* the root's */
	mem_cgroup_get(memcg);
	mem_cgroup_set_mm(mm, memcg);
	kthread_use_mm(mm); /* shared memory is charged to who runs */
	CHECK_EQ(mem_cgroup_stat(memcg, -1, NR_SHMEM_THPS), 0);
	testmm_fill(t, mm, a + HUGE, 1, 1);
	CHECK_EQ(mem_cgroup_stat(memcg, -1, NR_SHMEM_THPS), 1);
	CHECK_EQ(mem_cgroup_stat(memcg, -1, NR_SHMEM), 512);
	CHECK_EQ(mem_cgroup_stat(memcg, -1, NR_ANON_THPS), 0);
	CHECK_EQ(mem_cgroup_vm_event(memcg, THP_FAULT_ALLOC), 0); /* of anonymous memory only */
	CHECK_EQ(settled_audit(), 0);
	kthread_unuse_mm();
	mmput(mm);
	check_all_gone(t);
	CHECK_EQ(mem_cgroup_stat(memcg, -1, NR_SHMEM_THPS), 0);
	mem_cgroup_offline(memcg);
	mem_cgroup_free_dead();
	CHECK_EQ(mem_cgroup_nr_offline(&root_mem_cgroup), 0);
}

GUEST_TEST(thp_shmem, collapse_takes_small_pages_holes_and_swap, 0, 60, SWAP)
{
	struct mm_struct *mm = testmm_create(t), *child;
	long a = map(mm, 2, SHMEM_HUGE_NEVER);
	s64 made = ev(THP_COLLAPSE_ALLOC);
	u64 v = 1;

	REQUIRE(a > 0);
	if (a & (HUGE - 1)) {
		CHECK_EQ(do_munmap(mm, a, 2 * HUGE), 0);
		a = do_mmap(mm, ALIGN_UP(a, HUGE), 2 * HUGE, RW,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, 0);
		REQUIRE(a > 0);
	}
	testmm_fill(t, mm, a, 300, 1);
	CHECK_EQ(do_madvise(mm, a + 100 * PAGE_SIZE, 100 * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK(global_stat(NR_SHMEM) < 300);
	child = dup_mm(mm);
	REQUIRE(child);
	testmm_verify(t, child, a, 50, 1);
	CHECK_EQ(do_madvise(mm, a, HUGE, MADV_COLLAPSE), 0);
	CHECK_EQ(ev(THP_COLLAPSE_ALLOC) - made, 1);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	CHECK_EQ(global_stat(NR_SHMEM), 512);
	CHECK_EQ(global_stat(NR_SHMEM_THPS), 1);
	CHECK_EQ(settled_audit(), 0);
	testmm_verify(t, mm, a, 300, 1);
	testmm_verify(t, child, a, 300, 1);
	CHECK(!testmm_read(mm, a + 400 * PAGE_SIZE, &v) && v == 0);
	/* What the child has by PTEs becomes a PMD by its own asking. */
	CHECK_EQ(do_madvise(child, a, HUGE, MADV_COLLAPSE), 0);
	testmm_verify(t, child, a, 300, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	mmput(mm);
	check_all_gone(t);
}

GUEST_TEST(thp_shmem, collapse_leaves_a_page_that_somebody_holds, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	long a = map(mm, 1, SHMEM_HUGE_ALWAYS);
	struct page *held;

	REQUIRE(a > 0);
	shmem_set_enabled(SHMEM_HUGE_NEVER);
	testmm_fill(t, mm, a, 300, 1);
	held = testmm_page(mm, a + 20 * PAGE_SIZE);
	REQUIRE(held);
	get_page(held);
	CHECK_EQ(do_madvise(mm, a, HUGE, MADV_COLLAPSE), -EAGAIN);
	CHECK_EQ(global_stat(NR_SHMEM), 300);
	testmm_verify(t, mm, a, 300, 1);
	CHECK_EQ(testmm_page(mm, a + 20 * PAGE_SIZE), held);
	put_page(held);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(do_madvise(mm, a, HUGE, MADV_COLLAPSE), 0);
	testmm_verify(t, mm, a, 300, 1);
	mmput(mm);
}

/* One pass of khugepaged: it counts why it does not make a huge page of the area. */
static void scan_refuses(struct test *t, enum vm_event_item why)
{
	s64 made = ev(THP_COLLAPSE_ALLOC), before = ev(why);

	CHECK_EQ(khugepaged_scan(1 << 20), 0);
	CHECK_EQ(ev(THP_COLLAPSE_ALLOC) - made, 0);
	CHECK_EQ(ev(why) - before, 1);
}

GUEST_TEST(thp_shmem, khugepaged_keeps_to_its_limits, 0, 60, SWAP)
{
	struct mm_struct *mm, *child;
	u64 v = 1, scans, collapsed;
	long a;

	khugepaged.scan_sleep_millisecs = 0xffffffff; /* not by itself */
	mm = testmm_create(t);
	a = map(mm, 1, SHMEM_HUGE_ALWAYS); /* for an aligned place */
	REQUIRE(a > 0 && !(a & (HUGE - 1)));
	shmem_set_enabled(SHMEM_HUGE_NEVER);
	testmm_fill(t, mm, a, 300, 1);
	CHECK_EQ(do_madvise(mm, a + 100 * PAGE_SIZE, 10 * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK_EQ(global_stat(NR_SHMEM), 290);
	child = dup_mm(mm);
	REQUIRE(child);
	/* Nobody has asked for it, whatever the settings of anonymous memory. */
	scans = khugepaged.full_scans;
	CHECK_EQ(khugepaged_scan(1 << 20), 0);
	CHECK_EQ(khugepaged.full_scans - scans, 1);
	CHECK_EQ(global_stat(NR_SHMEM_THPS), 0);
	shmem_set_enabled(SHMEM_HUGE_ADVISE);
	CHECK_EQ(do_madvise(mm, a, HUGE, MADV_HUGEPAGE), 0);
	/* What is in swap is not in memory: 222 pages are missing. */
	khugepaged.max_ptes_none = 221;
	khugepaged.max_ptes_swap = 10;
	khugepaged.max_ptes_shared = 0; /* of anonymous memory alone */
	scan_refuses(t, THP_SCAN_EXCEED_NONE_PTE);
	khugepaged.max_ptes_none = 222;
	khugepaged.max_ptes_swap = 9;
	scan_refuses(t, THP_SCAN_EXCEED_SWAP_PTE);
	CHECK_EQ(global_stat(NR_SHMEM), 290);
	khugepaged.max_ptes_swap = 10;
	testmm_verify(t, child, a, 20, 1);
	collapsed = khugepaged.pages_collapsed;
	CHECK_EQ(khugepaged_scan(1 << 20), 0);
	CHECK_EQ(khugepaged.pages_collapsed - collapsed, 1);
	CHECK_EQ(global_stat(NR_SHMEM), 512);
	CHECK_EQ(global_stat(NR_SHMEM_THPS), 1);
	CHECK_EQ(global_stat(NR_SHMEM_PMDMAPPED), 0);
	CHECK_EQ(settled_audit(), 0);
	testmm_verify(t, mm, a, 300, 1);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	testmm_verify(t, child, a, 300, 1);
	CHECK(!testmm_read(mm, a + 400 * PAGE_SIZE, &v) && v == 0);
	/* What is huge stays as it is. */
	scans = khugepaged.full_scans;
	CHECK_EQ(khugepaged_scan(1 << 20), 0);
	CHECK_EQ(khugepaged.full_scans - scans, 1);
	CHECK_EQ(global_stat(NR_SHMEM_THPS), 1);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	mmput(child);
	mmput(mm);
	check_all_gone(t);
}

GUEST_TEST(thp_shmem, each_failed_allocation_leaves_nothing, 0, 0, MEM)
{
	for (u64 k = 1; k < 80; k++) {
		struct mm_struct *mm = mm_alloc();
		u64 failed = alloc_fail_count();
		long a;

		REQUIRE(mm);
		alloc_fail_nth(k);
		a = map(mm, 2, SHMEM_HUGE_ALWAYS);
		if (a > 0) {
			testmm_touch(mm, a, TOUCH_WRITE);
			do_munmap(mm, a + PAGE_SIZE, PAGE_SIZE);
			shmem_set_enabled(SHMEM_HUGE_NEVER);
			testmm_touch(mm, a + HUGE, TOUCH_WRITE);
			do_madvise(mm, a + HUGE, HUGE, MADV_COLLAPSE);
			do_madvise(mm, a + HUGE + PAGE_SIZE, PAGE_SIZE, MADV_REMOVE);
		}
		alloc_fail_nth(0);
		mmput(mm);
		check_all_gone(t);
		CHECK_EQ(global_stat(NR_SHMEM_THPS), 0);
		if (alloc_fail_count() == failed)
			break;
	}
	lru_add_drain_all();
	CHECK_EQ(settled_audit(), 0);
}
