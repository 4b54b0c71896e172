/*
 * Balancing of nodes: hints, what a touch does with them, and that everything else in mm/ copes with them. Node 0
 * has the CPU, so that each number is exact. The scanner is called by hand where counts matter.
 */
#include "mm/huge/thp.h"
#include "mm/numa/balancing.h"
#include "mm/numa/mempolicy.h"
#include "mm/reclaim/lru.h"
#include "mm/pgtable/soft_dirty.h"
#include "mm/virt/vma.h"
#include "tests/tests.h"

#define SLOW  "memory=64M,high=0M cpus=1 nodes=2 swap=16M" /* node 1 has memory only */
#define PAGES 64ul

static void bind(struct test *t, struct mm_struct *mm, unsigned long addr, u16 mode, u16 flags,
		 u64 nodes, unsigned int move)
{
	struct nodemask mask = {.bits = {nodes}};

	CHECK_EQ(do_mbind(mm, addr, PAGES << PAGE_SHIFT, mode, flags, &mask, move), 0);
}

static unsigned long nr_hints(struct mm_struct *mm, unsigned long addr)
{
	unsigned long n = 0;

	for (unsigned long i = 0; i < PAGES; i++)
		n += pte_protnone(testmm_pte(mm, addr + (i << PAGE_SHIFT)));
	return n;
}

/* Written pages on the slow node, without a policy from now on; hints are allowed, but nobody scans. */
static unsigned long far_pages(struct test *t, struct mm_struct *mm)
{
	unsigned long addr = testmm_map(t, mm, PAGES << PAGE_SHIFT);

	bind(t, mm, addr, MPOL_BIND, 0, 2, 0);
	testmm_fill(t, mm, addr, PAGES, 1);
	bind(t, mm, addr, MPOL_DEFAULT, 0, 0, 0);
	CHECK_EQ(testmm_on_node(mm, addr, PAGES, 1), PAGES);
	lru_add_drain();
	numa_hints_ever = 1;
	sysctl_numa_balancing = NUMA_BALANCING_NORMAL;
	return addr;
}

struct counts {
	s64 updates, faults, local, moved, success, promoted;
};
static struct counts counts(void)
{
	return (struct counts){ev(NUMA_PTE_UPDATES),	   ev(NUMA_HINT_FAULTS),
			       ev(NUMA_HINT_FAULTS_LOCAL), ev(NUMA_PAGE_MIGRATE),
			       ev(PGMIGRATE_SUCCESS),	   ev(PGPROMOTE_SUCCESS)};
}
#define CHECK_COUNTS(was, u, f, l, m)                       \
	do {                                                \
		struct counts now = counts();               \
		CHECK_EQ(now.updates - (was).updates, u);   \
		CHECK_EQ(now.faults - (was).faults, f);     \
		CHECK_EQ(now.local - (was).local, l);       \
		CHECK_EQ(now.moved - (was).moved, m);       \
		CHECK_EQ(now.success - (was).success, m);   \
		CHECK_EQ(now.promoted - (was).promoted, m); \
		(was) = now;                                \
	} while (0)

GUEST_TEST(balancing, pages_follow_the_cpu, 0, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = far_pages(t, mm);
	struct counts was = counts();

	CHECK_EQ(numa_scan_mm(mm, 1024), PAGES);
	CHECK_EQ(nr_hints(mm, addr), PAGES);
	CHECK_EQ(numa_scan_mm(mm, 1024), 0); /* they are there already */
	CHECK_COUNTS(was, PAGES, 0, 0, 0);
	CHECK_EQ(settled_audit(), 0);
	testmm_verify(t, mm, addr, PAGES, 1);
	CHECK_COUNTS(was, 0, PAGES, 0, PAGES);
	CHECK_EQ(testmm_on_node(mm, addr, PAGES, 0), PAGES);
	CHECK_EQ(nr_hints(mm, addr), 0);
	/* At home: a fault each, and nothing moves. Their rights are what they were. */
	CHECK_EQ(numa_scan_mm(mm, 1024), PAGES);
	testmm_verify(t, mm, addr, PAGES, 1);
	CHECK_COUNTS(was, PAGES, PAGES, PAGES, 0);
	for (unsigned long i = 0; i < PAGES; i++)
		CHECK(pte_write(testmm_pte(mm, addr + (i << PAGE_SHIFT))));
	mmput(mm);
}

/* One hint, one fault, and all of it moves; at home it keeps its right to be written. */
GUEST_TEST(balancing, a_huge_page_follows_the_cpu, 0, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	struct nodemask far = {.bits = {2}}, none = {.bits = {0}};
	s64 updates, huge, thp;
	struct counts was;
	long a;

	REQUIRE(mm);
	thp_enabled = THP_ALWAYS;
	khugepaged.scan_sleep_millisecs = 0xffffffff; /* not by itself */
	a = do_mmap(mm, 0, PMD_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	REQUIRE(a > 0);
	CHECK_EQ(do_mbind(mm, a, PMD_SIZE, MPOL_BIND, 0, &far, 0), 0);
	testmm_fill(t, mm, a, 512, 1);
	CHECK_EQ(do_mbind(mm, a, PMD_SIZE, MPOL_DEFAULT, 0, &none, 0), 0);
	REQUIRE(testmm_level(mm, a) == PT_LEVEL_PMD);
	CHECK_EQ(page_node_at(mm, a), 1);
	lru_add_drain();
	numa_hints_ever = 1;
	sysctl_numa_balancing = NUMA_BALANCING_NORMAL;
	was = counts();
	updates = ev(NUMA_PTE_UPDATES);
	huge = ev(NUMA_HUGE_PTE_UPDATES);
	thp = ev(THP_MIGRATION_SUCCESS);
	CHECK_EQ(numa_scan_mm(mm, 1024), 512);
	CHECK_EQ(ev(NUMA_PTE_UPDATES) - updates, 512);
	CHECK_EQ(ev(NUMA_HUGE_PTE_UPDATES) - huge, 1);
	CHECK_EQ(numa_scan_mm(mm, 1024), 0); /* it is there already */
	CHECK(pte_protnone(pte_read(walk_level(mm->pgd, a, PT_LEVEL_PMD))));
	CHECK_EQ(settled_audit(), 0);
	testmm_verify(t, mm, a, 512, 1);
	CHECK_COUNTS(was, 512, 1, 0, 512);
	CHECK_EQ(ev(THP_MIGRATION_SUCCESS) - thp, 1);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	CHECK_EQ(page_node_at(mm, a), 0);
	CHECK_EQ(numa_scan_mm(mm, 1024), 512);
	CHECK_EQ(testmm_write(mm, a + PAGE_SIZE, word_for(a + PAGE_SIZE, 1)), 0);
	CHECK_COUNTS(was, 512, 1, 1, 0);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	/* A part unmapped: hints for its pages, which fault and stay. */
	CHECK_EQ(numa_scan_mm(mm, 1024), 512);
	CHECK_EQ(do_munmap(mm, a, PAGE_SIZE), 0);
	CHECK_EQ(testmm_level(mm, a + PAGE_SIZE), PT_LEVEL_PTE);
	CHECK_EQ(settled_audit(), 0);
	was = counts();
	testmm_verify(t, mm, a + PAGE_SIZE, 511, 1);
	CHECK_COUNTS(was, 0, 511, 511, 0);
	mmput(mm);
}

GUEST_TEST(balancing, a_scan_goes_on_where_it_was, 0, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = far_pages(t, mm);

	CHECK_EQ(numa_scan_mm(mm, 24), 24);
	CHECK_EQ(numa_scan_mm(mm, 24), 24);
	CHECK_EQ(nr_hints(mm, addr), 48);
	CHECK_EQ(numa_scan_mm(mm, 24), 16);
	CHECK_EQ(nr_hints(mm, addr), PAGES);
	mmput(mm);
}

GUEST_TEST(balancing, policies_are_kept, 0, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = far_pages(t, mm);
	struct counts was;

	/* A policy that names nodes: no hints. */
	bind(t, mm, addr, MPOL_BIND, 0, 2, 0);
	CHECK_EQ(numa_scan_mm(mm, 1024), 0);
	bind(t, mm, addr, MPOL_PREFERRED, 0, 2, 0);
	CHECK_EQ(numa_scan_mm(mm, 1024), 0);
	bind(t, mm, addr, MPOL_INTERLEAVE, 0, 3, 0);
	CHECK_EQ(numa_scan_mm(mm, 1024), 0);
	/* A bind that asks for balancing, to the far node alone: faults, but nothing moves. */
	bind(t, mm, addr, MPOL_BIND, MPOL_F_NUMA_BALANCING, 2, MPOL_MF_MOVE);
	was = counts();
	CHECK_EQ(numa_scan_mm(mm, 1024), PAGES);
	testmm_verify(t, mm, addr, PAGES, 1);
	CHECK_COUNTS(was, PAGES, PAGES, 0, 0);
	CHECK_EQ(testmm_on_node(mm, addr, PAGES, 1), PAGES);
	/* To both: they come. */
	bind(t, mm, addr, MPOL_BIND, MPOL_F_NUMA_BALANCING, 3, MPOL_MF_MOVE);
	CHECK_EQ(numa_scan_mm(mm, 1024), PAGES);
	testmm_verify(t, mm, addr, PAGES, 1);
	CHECK_COUNTS(was, PAGES, PAGES, 0, PAGES);
	CHECK_EQ(testmm_on_node(mm, addr, PAGES, 0), PAGES);
	mmput(mm);
}

GUEST_TEST(balancing, a_threads_bind_is_kept, 0, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = far_pages(t, mm);
	struct counts was = counts();
	struct nodemask far = {.bits = {2}};
	struct mempolicy *pol;

	CHECK_EQ(mpol_new(MPOL_BIND, 0, &far, &pol), 0);
	mempolicy_set_task(pol);
	CHECK_EQ(numa_scan_mm(mm, 1024), PAGES);
	testmm_verify(t, mm, addr, PAGES, 1);
	mempolicy_set_task(NULL);
	CHECK_COUNTS(was, PAGES, PAGES, 0, 0);
	CHECK_EQ(testmm_on_node(mm, addr, PAGES, 1), PAGES);
	mmput(mm);
}

GUEST_TEST(balancing, what_gets_no_hints, 0, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long addr = far_pages(t, mm);
	u64 v;

	/* Shared after a fork. */
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(numa_scan_mm(mm, 1024), 0);
	mmput(child);
	/* Without access; a hint that is there is no right. */
	CHECK_EQ(numa_scan_mm(mm, 1024), PAGES);
	CHECK_EQ(do_mprotect(mm, addr, PAGES << PAGE_SHIFT, PROT_NONE), 0);
	CHECK_EQ(testmm_read(mm, addr, &v), VM_FAULT_SIGSEGV_ACCERR);
	CHECK_EQ(numa_scan_mm(mm, 1024), 0);
	CHECK_EQ(do_mprotect(mm, addr, PAGES << PAGE_SHIFT, PROT_READ | PROT_WRITE), 0);
	CHECK_EQ(nr_hints(mm, addr), 0);
	testmm_verify(t, mm, addr, PAGES, 1);
	/* The zero page. */
	CHECK_EQ(do_madvise(mm, addr, PAGES << PAGE_SHIFT, MADV_DONTNEED), 0);
	for (unsigned long i = 0; i < PAGES; i++)
		CHECK_EQ(testmm_read(mm, addr + (i << PAGE_SHIFT), &v), 0);
	CHECK_EQ(numa_scan_mm(mm, 1024), 0);
	mmput(mm);
}

/* Fork, swap, soft-dirty bits, unmapping: with hints as without. */
GUEST_TEST(balancing, hints_disturb_nobody, 0, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long addr = far_pages(t, mm);
	u64 v;

	CHECK_EQ(numa_scan_mm(mm, 1024), PAGES);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(nr_hints(child, addr), PAGES);
	for (unsigned long i = 0; i < PAGES; i++) {
		CHECK_EQ(testmm_write(child, addr + (i << PAGE_SHIFT), i), 0);
		CHECK_EQ(testmm_read(mm, addr + (i << PAGE_SHIFT), &v), 0);
		CHECK_EQ(v, word_for(addr + (i << PAGE_SHIFT), 1));
	}
	mmput(child);
	CHECK_EQ(settled_audit(), 0);

	CHECK_EQ(numa_scan_mm(mm, 1024), PAGES);
	CHECK_EQ(mm_clear_refs(mm, CLEAR_REFS_SOFT_DIRTY), 0);
	CHECK_EQ(testmm_write(mm, addr, word_for(addr, 1)), 0);
	CHECK(pte_soft_dirty(testmm_pte(mm, addr)));
	CHECK_EQ(testmm_read(mm, addr + PAGE_SIZE, &v), 0);
	CHECK(!pte_soft_dirty(testmm_pte(mm, addr + PAGE_SIZE)));

	numa_scan_mm(mm, 1024);
	CHECK_EQ(do_madvise(mm, addr, PAGES << PAGE_SHIFT, MADV_PAGEOUT), 0);
	CHECK_EQ(mm->rss_swap, PAGES);
	testmm_verify(t, mm, addr, PAGES, 1);
	numa_scan_mm(mm, 1024);
	CHECK_EQ(do_munmap(mm, addr, (PAGES / 2) << PAGE_SHIFT), 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

static struct mm_struct *watched_mm;
static unsigned long watched_addr;

static bool all_here(void *arg)
{
	u64 v;

	for (unsigned long i = 0; i < PAGES; i++)
		testmm_read(watched_mm, watched_addr + (i << PAGE_SHIFT), &v);
	return testmm_on_node(watched_mm, watched_addr, PAGES, 0) == PAGES;
}

/* The thread, as /proc/sys/kernel/numa_balancing starts it. */
GUEST_TEST(balancing, the_scanner_finds_them, 0, 120, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	struct counts was;

	watched_mm = mm;
	watched_addr = far_pages(t, mm);
	was = counts();
	CHECK_EQ(numa_balancing_set(4), -EINVAL);
	CHECK_EQ(numa_balancing_set(NUMA_BALANCING_NORMAL), 0);
	CHECK(wait_until(all_here, NULL, 60000));
	CHECK_EQ(numa_balancing_set(0), 0);
	CHECK_EQ(counts().moved - was.moved, PAGES);
	CHECK(counts().updates - was.updates >= (s64)PAGES);
	testmm_verify(t, mm, watched_addr, PAGES, 1);
	mmput(mm);
}

GUEST_TEST(balancing, one_node_has_nothing_to_balance, 0, 0, "memory=16M,high=4M")
{
	CHECK_EQ(numa_balancing_set(NUMA_BALANCING_NORMAL), -EINVAL);
	CHECK_EQ(numa_balancing_set(0), 0);
	CHECK_EQ(sysctl_numa_balancing, 0);
}

/* The audit must find an entry without access that nobody can have made. */
GUEST_TEST(balancing, audit_finds_a_lost_right, MMVM_TESTF_EXPECT_AUDIT, 0, SLOW)
{
	struct mm_struct *mm = testmm_create(t);

	far_pages(t, mm);
	CHECK_EQ(numa_scan_mm(mm, 1024), PAGES);
	numa_hints_ever = 0;
	test_expect_audit(t, "numa_hint");
}
