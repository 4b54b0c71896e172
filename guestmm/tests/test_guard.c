/*
 * Guard markers: what they refuse, what keeps them, what takes them away. Each case is audited from outside.
 */
#include "mm/huge/thp.h"
#include "mm/pgtable/guard.h"
#include "mm/virt/vma.h"
#include "tests/tests.h"

#define MEM   "memory=64M"
#define PAGES 16
#define RW    (PROT_READ | PROT_WRITE)

static int install(struct mm_struct *mm, unsigned long a, unsigned long pages)
{
	return do_madvise(mm, a, pages << PAGE_SHIFT, MADV_GUARD_INSTALL);
}
static int take_away(struct mm_struct *mm, unsigned long a, unsigned long pages)
{
	return do_madvise(mm, a, pages << PAGE_SHIFT, MADV_GUARD_REMOVE);
}

/* How many of the pages refuse a read as if nothing were mapped. */
static unsigned int guarded(struct mm_struct *mm, unsigned long a, unsigned long pages)
{
	unsigned int n = 0;
	u64 v;

	for (unsigned long i = 0; i < pages; i++)
		n += testmm_read(mm, a + i * PAGE_SIZE, &v) == VM_FAULT_SIGSEGV_MAPERR;
	return n;
}

static void fill(struct test *t, struct mm_struct *mm, unsigned long a, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, i), 0);
}

GUEST_TEST(guard, refuses_and_is_taken_away, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE);
	u64 v = 1;

	fill(t, mm, a, PAGES);
	CHECK_EQ(install(mm, a + 2 * PAGE_SIZE, 4), 0);
	CHECK_EQ(guarded(mm, a, PAGES), 4);
	CHECK_EQ(testmm_write(mm, a + 3 * PAGE_SIZE, 1), VM_FAULT_SIGSEGV_MAPERR);
	CHECK_EQ(mm->map_count, 1);
	CHECK_EQ(mm->rss_anon, PAGES - 4); /* what was there has gone */
	CHECK_EQ(mm->rss_swap, 0);
	CHECK_EQ(settled_audit(), 0);
	/* Again, and more: what is guarded stays so. */
	CHECK_EQ(install(mm, a, PAGES), 0);
	CHECK_EQ(guarded(mm, a, PAGES), PAGES);
	CHECK_EQ(mm->rss_anon, 0);
	CHECK_EQ(take_away(mm, a + PAGE_SIZE, 2), 0);
	CHECK_EQ(guarded(mm, a, PAGES), PAGES - 2);
	CHECK_EQ(testmm_read(mm, a + PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 0);
	/* Taking away leaves pages alone. */
	CHECK_EQ(testmm_write(mm, a + 2 * PAGE_SIZE, 7), 0);
	CHECK_EQ(take_away(mm, a, PAGES), 0);
	CHECK_EQ(testmm_read(mm, a + 2 * PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 7);
	CHECK_EQ(guarded(mm, a, PAGES), 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(guard, advice_keeps_it_and_unmapping_does_not, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE), len = PAGES * PAGE_SIZE;

	fill(t, mm, a, PAGES);
	CHECK_EQ(install(mm, a + 4 * PAGE_SIZE, 4), 0);
	CHECK_EQ(do_madvise(mm, a, len, MADV_FREE), 0);
	CHECK_EQ(do_madvise(mm, a, len, MADV_COLD), 0);
	CHECK_EQ(do_madvise(mm, a, len, MADV_WILLNEED), 0);
	CHECK_EQ(do_madvise(mm, a, len, MADV_DONTNEED), 0);
	CHECK_EQ(guarded(mm, a, PAGES), 4);
	CHECK_EQ(do_mprotect(mm, a, len, PROT_READ), 0);
	CHECK_EQ(do_mprotect(mm, a, len, RW), 0);
	CHECK_EQ(guarded(mm, a, PAGES), 4);
	CHECK_EQ(do_madvise(mm, a, len, MADV_POPULATE_WRITE), -EFAULT);
	CHECK_EQ(settled_audit(), 0);
	/* What is mapped anew is not guarded. */
	CHECK_EQ(do_mmap(mm, a + 5 * PAGE_SIZE, PAGE_SIZE, RW,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0),
		 a + 5 * PAGE_SIZE);
	CHECK_EQ(guarded(mm, a, PAGES), 3);
	CHECK_EQ(do_munmap(mm, a, len), 0);
	CHECK_EQ(mm->pgtables_bytes, PAGE_SIZE); /* the top table alone */
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(guard, children_and_moves_take_it_along, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE);
	unsigned long b = testmm_map(t, mm, 4 * PAGE_SIZE), to;

	/* Nothing was ever touched: the child must find the markers all the same. */
	CHECK_EQ(install(mm, a, 3), 0);
	CHECK_EQ(install(mm, b, 4), 0);
	CHECK_EQ(do_madvise(mm, b, 4 * PAGE_SIZE, MADV_WIPEONFORK), 0);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(guarded(child, a, PAGES), 3);
	CHECK_EQ(guarded(child, b, 4), 0);
	CHECK_EQ(take_away(child, a, 3), 0);
	CHECK_EQ(guarded(mm, a, PAGES), 3);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	to = testmm_map(t, mm, PAGES * PAGE_SIZE);
	CHECK_EQ(do_mremap(mm, a, PAGES * PAGE_SIZE, PAGES * PAGE_SIZE,
			   MREMAP_MAYMOVE | MREMAP_FIXED, to),
		 to);
	CHECK_EQ(guarded(mm, to, PAGES), 3);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(guard, where_it_may_not_be, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 4 * PAGE_SIZE);
	long shared = do_mmap(mm, 0, 4 * PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, 0);

	CHECK_EQ(install(mm, shared, 4), -EINVAL);
	CHECK_EQ(take_away(mm, shared, 4), -EINVAL);
	CHECK_EQ(install(mm, a, 1), 0);
	CHECK_EQ(do_mlock(mm, a + PAGE_SIZE, PAGE_SIZE, 0), 0);
	CHECK_EQ(install(mm, a + PAGE_SIZE, 1), -EINVAL);
	/* Where it is already it may be locked, and taken away. */
	do_mlock(mm, a, PAGE_SIZE, MLOCK_ONFAULT);
	CHECK_EQ(guarded(mm, a, 4), 1);
	CHECK_EQ(take_away(mm, a, 1), 0);
	CHECK_EQ(guarded(mm, a, 4), 0);
	/* A hole does not stop it. */
	CHECK_EQ(do_munmap(mm, a, 3 * PAGE_SIZE), 0);
	CHECK_EQ(install(mm, a, 4), -ENOMEM);
	CHECK_EQ(guarded(mm, a + 3 * PAGE_SIZE, 1), 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(guard, in_huge_pages_and_not_collapsed, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long next;
	unsigned int level;
	long a;

	thp_enabled = THP_ALWAYS;
	khugepaged.scan_sleep_millisecs = 0xffffffff;
	a = do_mmap(mm, 0, 2 * PMD_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	REQUIRE(a > 0 && !(a & ~PMD_MASK));
	CHECK_EQ(testmm_write(mm, a, 1), 0);
	CHECK_EQ(testmm_write(mm, a + PMD_SIZE, 1), 0);
	CHECK(walk_leaf(mm->pgd, a, &level, &next) && level == PT_LEVEL_PMD);
	/* A part of the first, all of the second. */
	CHECK_EQ(install(mm, a + 8 * PAGE_SIZE, 8), 0);
	CHECK_EQ(install(mm, a + PMD_SIZE, 512), 0);
	CHECK_EQ(guarded(mm, a, 1024), 520);
	CHECK_EQ(settled_audit(), 0);
	CHECK(do_madvise(mm, a, PMD_SIZE, MADV_COLLAPSE) < 0);
	CHECK_EQ(guarded(mm, a, 512), 8);
	CHECK_EQ(take_away(mm, a, 1024), 0);
	CHECK_EQ(guarded(mm, a, 1024), 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}
