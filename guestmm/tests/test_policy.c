/*
 * Each reclaim policy in a machine of its own: it is the one that was asked for, memory goes to swap
 * and comes back through its lists, and the host's audit finds all of them right afterwards.
 */
#include "lib/string.h"
#include "mm/reclaim/lru.h"
#include "tests/tests.h"

#define MEM(policy) "memory=16M swap=48M append=reclaim_policy=" policy

/* Write, read back in another order, three times: pages pass all lists. Returns wrong words. */
static unsigned long work(struct mm_struct *mm, unsigned long a, unsigned long pages)
{
	unsigned long bad = 0;

	for (u64 round = 0; round < 3; round++) {
		for (unsigned long i = 0; i < pages; i++)
			bad += testmm_write(mm, a + i * PAGE_SIZE, word_for(i, round)) != 0;
		for (unsigned long i = 0, at = 0; i < pages; i++, at = (at + 7919) % pages) {
			u64 v = 0;

			/* The first 64 are used much more than the others. */
			bad += testmm_read(mm, a + at * PAGE_SIZE, &v) || v != word_for(at, round);
			if (i % 4 == 0)
				bad += testmm_read(mm, a + i / 4 % 64 * PAGE_SIZE, &v) != 0;
		}
	}
	return bad;
}

static void policy_works(struct test *t, const struct reclaim_policy *policy)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long pages = totalram_pages() * 5 / 4, on_lists = 0;
	unsigned long a = testmm_map(t, mm, pages * PAGE_SIZE);
	s64 out = (s64)sum_vm_event(PSWPOUT), in = (s64)sum_vm_event(PSWPIN);

	REQUIRE(a);
	CHECK(reclaim_policy == policy);
	CHECK_EQ(work(mm, a, pages), 0);
	CHECK(root_lruvec[0].policy == policy);
	CHECK((s64)sum_vm_event(PSWPOUT) - out > (s64)(pages - totalram_pages()));
	CHECK((s64)sum_vm_event(PSWPIN) > in);
	CHECK((s64)sum_vm_event(WORKINGSET_REFAULT_ANON) > 0);
	lru_add_drain_all();
	for (unsigned int l = 1; l <= policy->nr_lists; l++)
		on_lists += root_lruvec[0].nr[l];
	CHECK(on_lists > totalram_pages() / 2);
	mmput(mm);
}

GUEST_TEST(policy, twolist_swaps, 0, 120, MEM("twolist"))
{
	policy_works(t, &policy_twolist);
}

GUEST_TEST(policy, s3fifo_swaps, 0, 120, MEM("s3fifo"))
{
	policy_works(t, &policy_s3fifo);
	CHECK(sum_vm_event(WORKINGSET_ACTIVATE_ANON) > 0);
}

GUEST_TEST(policy, unknown_name_is_the_first, 0, 0, MEM("lifo"))
{
	CHECK(reclaim_policy == &policy_twolist);
}
