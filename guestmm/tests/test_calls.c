/*
 * The memory calls with everything real: mappings that move while another process swaps, pages
 * written on request by a disk that takes its time, and the conformance program under audit (what
 * it says is compared with Linux by tests/vm/conform.sh; here it is what it leaves that counts).
 */
#include "mm/reclaim/lru.h"
#include "mm/virt/mm.h"
#include "tests/tests.h"

#define MEM  "memory=24M,high=4M swap=48M"
#define USER MMVM_TESTF_USER

static void fill(struct test *t, struct mm_struct *mm, unsigned long a, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, word_for(i + 64, 5)), 0);
}

static unsigned long wrong(struct mm_struct *mm, unsigned long a, unsigned long pages)
{
	unsigned long bad = 0;
	u64 v = 0;

	for (unsigned long i = 0; i < pages; i++)
		bad += testmm_read(mm, a + i * PAGE_SIZE, &v) || v != word_for(i + 64, 5);
	return bad;
}

GUEST_TEST(calls, conform_leaves_nothing, USER | MMVM_TESTF_LAB_ONLY, 120, MEM)
{
	u64 committed = vm_committed(); /* what the root's files hold */

	CHECK_EQ(run_program("/bin/conform", "mmap mprotect parts mremap lock random_mremap"), 0);
	CHECK_EQ(run_program("/bin/conform", "advice memlock limits random_all"), 0);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
	CHECK_EQ(global_stat(NR_MLOCK), 0);
	CHECK_EQ(nr_lazyfree, 0);
	CHECK_EQ(vm_committed(), committed);
	CHECK(swap_becomes_empty());
}

/* The same with reclaim at work in every one of its pages. */
GUEST_TEST(calls, conform_while_another_swaps, USER | MMVM_TESTF_LAB_ONLY, 200,
	   "memory=12M,high=2M swap=48M")
{
	static const char hog[] = "/bin/swapstress\0--mb\00018";
	static const char conform[] = "/bin/conform\0mremap\0random_mremap\0memlock\0random_all";
	s64 out = ev(PSWPOUT);
	int a = process_spawn("/bin/swapstress", hog, sizeof(hog));
	int b = process_spawn("/bin/conform", conform, sizeof(conform));

	REQUIRE(a > 0 && b > 0);
	CHECK_EQ(process_wait(b), 0);
	CHECK_EQ(process_wait(a), 0);
	CHECK(ev(PSWPOUT) - out > 500);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
	CHECK(swap_becomes_empty());
}

GUEST_TEST(calls, pageout_writes_through_the_disk, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a, pages = 64;
	s64 out = ev(PSWPOUT), in = ev(PSWPIN);

	REQUIRE(mm);
	a = testmm_map(t, mm, pages * PAGE_SIZE);
	REQUIRE(a);
	fill(t, mm, a, pages);
	CHECK_EQ(do_madvise(mm, a, pages * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK_EQ(ev(PSWPOUT) - out, pages);
	CHECK_EQ(mm->rss_anon, 0);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(wrong(mm, a, pages), 0);
	CHECK_EQ(ev(PSWPIN) - in, pages);
	/* Clean: dropped without a write. */
	CHECK_EQ(do_madvise(mm, a, pages * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK_EQ(ev(PSWPOUT) - out, pages);
	mmput(mm);
	CHECK(swap_becomes_empty());
}

GUEST_TEST(calls, swapped_and_locked_mappings_move, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a, b, pages = 64, half = pages / 2 * PAGE_SIZE;

	REQUIRE(mm);
	a = testmm_map(t, mm, pages * PAGE_SIZE);
	b = testmm_map(t, mm, 4 * pages * PAGE_SIZE);
	REQUIRE(a && b);
	fill(t, mm, a, pages);
	CHECK_EQ(do_madvise(mm, a, half, MADV_PAGEOUT), 0);
	CHECK_EQ(do_mremap(mm, a, 2 * half, 2 * half, MREMAP_MAYMOVE | MREMAP_FIXED, b), (long)b);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(do_mlock(mm, b, 2 * half, 0), 0);
	CHECK_EQ(mm->rss_anon, pages);
	CHECK_EQ(do_madvise(mm, b, half, MADV_PAGEOUT), -EINVAL);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(wrong(mm, b, pages), 0);
	mmput(mm);
	CHECK_EQ(global_stat(NR_MLOCK), 0);
	CHECK(swap_becomes_empty());
}

GUEST_TEST(calls, freed_pages_cost_no_write, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a, pages = 64;
	s64 out = ev(PSWPOUT), lazy = ev(PGLAZYFREE), freed = ev(PGLAZYFREED);

	REQUIRE(mm);
	a = testmm_map(t, mm, pages * PAGE_SIZE);
	REQUIRE(a);
	fill(t, mm, a, pages);
	CHECK_EQ(do_madvise(mm, a, pages * PAGE_SIZE, MADV_FREE), 0);
	CHECK_EQ(nr_lazyfree, pages);
	CHECK_EQ(ev(PGLAZYFREE) - lazy, pages);
	CHECK_EQ(testmm_write(mm, a, 42), 0);
	CHECK_EQ(do_madvise(mm, a, pages * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK_EQ(mm->rss_anon, 0);
	CHECK_EQ(ev(PSWPOUT) - out, 1); /* the one that was written to again */
	CHECK_EQ(nr_lazyfree, 0);
	CHECK_EQ(ev(PGLAZYFREED) - freed, pages - 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK(swap_becomes_empty());
}
