/* Programs that mean harm: whatever they ask, the kernel goes on and gets everything back. */
#include "mm/slab/slab.h"
#include "tests/tests.h"

#define MEM  "memory=24M,high=4M"
#define USER MMVM_TESTF_USER

/** Pages that are free when everything has been handed back. */
static u64 free_now(void)
{
	free_pages_at_rest(); /* the reaper is a thread of its own */
	slab_objects_in_use(); /* it gives back the empty slabs that caches keep: up to 8 pages each */
	return settled_free_pages();
}

/** Run it twice, with another seed: it must live, and the second run must leave nothing. If it does leave
 * something, it runs once more: a leak leaves as much again, a cache that has grown does not. Of which kinds
 * there are more pages is printed. */
static void run_twice(struct test *t, const char *program, const char *first, const char *second)
{
	u64 before, after = 0, kinds[NR_PAGE_TYPES], kinds_after[NR_PAGE_TYPES];

	CHECK_EQ(run_program(program, first), 0);
	for (int again = 0; again < 2; again++) {
		before = free_now();
		count_frames(kinds);
		CHECK_EQ(run_program(program, second), 0);
		after = free_now();
		/* Slabs that are partly used, page tables of the vmalloc area: some, but no leak's worth. */
		if (after + 24 >= before)
			break;
		count_frames(kinds_after);
		printk("%lu pages fewer are free\n", (unsigned long)(before - after));
		say_frames_grown(kinds, kinds_after);
	}
	CHECK(after + 24 >= before);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
	CHECK_EQ(run_program("/bin/hello", ""), 0);
}

GUEST_TEST(hostile, random_calls, USER, 60, MEM)
{
	run_twice(t, "/bin/fuzzcalls", "--seed 1 --calls 300", "--seed 1000 --calls 300");
}

GUEST_TEST(hostile, random_calls_long, USER | MMVM_TESTF_LAB_ONLY, 200, MEM)
{
	run_twice(t, "/bin/fuzzcalls", "--seed 20000 --calls 20000", "--seed 40000 --calls 100000");
}

GUEST_TEST(hostile, fork_without_limit, USER | MMVM_TESTF_LAB_ONLY, 60, MEM)
{
	run_twice(t, "/bin/forkbomb", "", "");
}

GUEST_TEST(hostile, map_without_limit, USER | MMVM_TESTF_LAB_ONLY, 60, MEM)
{
	run_twice(t, "/bin/maphog", "", "");
}

GUEST_TEST(hostile, handler_that_faults_ends_the_program, USER, 0, MEM)
{
	CHECK_EQ(run_program("/bin/maphog", "--most 100"), 0);
	CHECK_EQ(SIGNALLED(run_program("/bin/maphog", "--handler")), 11);
	CHECK_EQ(run_program("/bin/hello", ""), 0);
}
