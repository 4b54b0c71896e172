/*
 * Pages that are lost (MADV_HWPOISON) and frames that are withdrawn (MADV_SOFT_OFFLINE). Each case is audited from
 * outside: a frame of type hwpoison that came back would be found.
 */
#include "mm/huge/thp.h"
#include "mm/move/memory_failure.h"
#include "mm/swap/swapcache.h"
#include "tests/tests.h"

#define MEM   "memory=64M swap=64M"
#define PAGES 16

static unsigned int faults_so(struct mm_struct *mm, unsigned long a, unsigned int with)
{
	unsigned int n = 0;
	u64 v;

	for (unsigned long i = 0; i < PAGES; i++)
		n += testmm_read(mm, a + i * PAGE_SIZE, &v) == with;
	return n;
}

GUEST_TEST(hwpoison, what_is_lost_is_refused_and_never_comes_back, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE), pfn;
	u64 v = 0;

	testmm_fill(t, mm, a, PAGES, 1);
	child = dup_mm(mm);
	REQUIRE(child);
	pfn = pte_pfn(testmm_pte(mm, a + 2 * PAGE_SIZE));
	CHECK_EQ(do_madvise(mm, a + 2 * PAGE_SIZE, 3 * PAGE_SIZE, MADV_HWPOISON), 0);
	CHECK_EQ(num_poisoned_pages, 3);
	CHECK_EQ(pfn_to_page(pfn)->type, PAGE_HWPOISON);
	CHECK_EQ(faults_so(mm, a, VM_FAULT_HWPOISON), 3);
	CHECK_EQ(faults_so(child, a, VM_FAULT_HWPOISON), 3); /* it had the same pages */
	CHECK_EQ(testmm_write(mm, a + 2 * PAGE_SIZE, 1), VM_FAULT_HWPOISON);
	CHECK_EQ(mm->rss_anon, PAGES - 3);
	CHECK_EQ(child->rss_anon, PAGES - 3);
	CHECK_EQ(settled_audit(), 0);
	/* Once more: nothing is there that could be lost. */
	CHECK_EQ(do_madvise(mm, a + 2 * PAGE_SIZE, PAGE_SIZE, MADV_HWPOISON), -EFAULT);
	/* A grandchild inherits the loss; what is thrown away is empty memory. */
	mmput(child);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(faults_so(child, a, VM_FAULT_HWPOISON), 3);
	CHECK_EQ(do_madvise(child, a, PAGES * PAGE_SIZE, MADV_GUARD_REMOVE), 0);
	CHECK_EQ(faults_so(child, a, VM_FAULT_HWPOISON), 3);
	CHECK_EQ(do_madvise(child, a + 2 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED), 0);
	CHECK_EQ(testmm_read(child, a + 2 * PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(faults_so(mm, a, VM_FAULT_HWPOISON), 3);
	mmput(child);
	mmput(mm);
	CHECK_EQ(num_poisoned_pages, 3);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(hwpoison, soft_offline_moves_the_page_away, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE), pfn[PAGES];

	testmm_fill(t, mm, a, PAGES, 1);
	child = dup_mm(mm);
	REQUIRE(child);
	for (unsigned long i = 0; i < PAGES; i++)
		pfn[i] = pte_pfn(testmm_pte(mm, a + i * PAGE_SIZE));
	CHECK_EQ(do_madvise(mm, a, PAGES * PAGE_SIZE, MADV_SOFT_OFFLINE), 0);
	CHECK_EQ(num_poisoned_pages, PAGES);
	testmm_verify(t, mm, a, PAGES, 1);
	testmm_verify(t, child, a, PAGES, 1);
	for (unsigned long i = 0; i < PAGES; i++) {
		CHECK(pte_pfn(testmm_pte(mm, a + i * PAGE_SIZE)) != pfn[i]);
		CHECK_EQ(pfn_to_page(pfn[i])->type, PAGE_HWPOISON);
		CHECK_EQ(page_ref_count(pfn_to_page(pfn[i])), 1);
	}
	mmput(child);
	mmput(mm);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(hwpoison, swap_and_huge_pages, 0, 0, MEM " append=transparent_hugepage=always")
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 2 * PMD_SIZE), h = (a + PMD_SIZE - 1) & PMD_MASK;
	u64 v;

	testmm_fill(t, mm, h, 512, 1);
	CHECK_EQ(testmm_level(mm, h), PT_LEVEL_PMD);
	/* A part of a huge page: the rest stays. */
	CHECK_EQ(do_madvise(mm, h + 7 * PAGE_SIZE, PAGE_SIZE, MADV_HWPOISON), 0);
	CHECK_EQ(testmm_read(mm, h + 7 * PAGE_SIZE, &v), VM_FAULT_HWPOISON);
	testmm_verify(t, mm, h, 7, 1);
	testmm_verify(t, mm, h + 8 * PAGE_SIZE, 504, 1);
	CHECK_EQ(do_madvise(mm, h, 4 * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK(mm->rss_swap > 0);
	CHECK_EQ(do_madvise(mm, h, 4 * PAGE_SIZE, MADV_SOFT_OFFLINE), 0);
	testmm_verify(t, mm, h, 7, 1);
	CHECK_EQ(num_poisoned_pages, 5);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(hwpoison, what_is_not_anonymous_is_busy, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	long shared =
		do_mmap(mm, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, 0);
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE);
	u64 v = 0;

	CHECK_EQ(do_madvise(mm, a, PAGE_SIZE, MADV_HWPOISON), -EBUSY); /* the zero page */
	CHECK_EQ(testmm_write(mm, shared, 5), 0);
	CHECK_EQ(do_madvise(mm, shared, PAGE_SIZE, MADV_HWPOISON), -EBUSY);
	CHECK_EQ(testmm_read(mm, shared, &v), 0);
	CHECK_EQ(v, 5);
	CHECK_EQ(do_madvise(mm, shared, PAGE_SIZE, MADV_SOFT_OFFLINE), 0);
	CHECK_EQ(testmm_read(mm, shared, &v), 0);
	CHECK_EQ(v, 5);
	CHECK_EQ(do_madvise(mm, TASK_SIZE - PAGE_SIZE, PAGE_SIZE, MADV_HWPOISON), -EFAULT);
	CHECK_EQ(num_poisoned_pages, 1);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(hwpoison, one_that_is_used_again_is_found, MMVM_TESTF_EXPECT_AUDIT, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE);
	struct page *page;

	testmm_fill(t, mm, a, 1, 1);
	page = pfn_to_page(pte_pfn(testmm_pte(mm, a)));
	CHECK_EQ(do_madvise(mm, a, PAGE_SIZE, MADV_SOFT_OFFLINE), 0);
	get_page(page);
	test_expect_audit(t, "hwpoison");
}
