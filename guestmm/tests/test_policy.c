/*
 * Each reclaim policy in a machine of its own: it is the one that was asked for, memory goes to swap
 * and comes back through its lists, and the host's audit finds all of them right afterwards.
 */
#include "lib/string.h"
#include "mm/memcg/memcg.h"
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
	CHECK((s64)sum_vm_event(WORKINGSET_RESTORE_ANON) > 0);
	CHECK_EQ(mem_cgroup_workingset(&root_mem_cgroup, 0, WORKINGSET_RESTORE_ANON),
		 sum_vm_event(WORKINGSET_RESTORE_ANON));
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

GUEST_TEST(policy, mglru_swaps, 0, 180, MEM("mglru"))
{
	policy_works(t, &policy_mglru);
	/* It aged: generations began. */
	CHECK(root_lruvec[0].nr[1] + root_lruvec[0].nr[2] + root_lruvec[0].nr[3] +
		      root_lruvec[0].nr[4] ==
	      lruvec_level(&root_lruvec[0], NR_INACTIVE_ANON));
}

static bool stop_changing, changing;
static unsigned int nr_changes;

/* Under pressure, again and again, another policy. */
static int change_policies(void *arg)
{
	static const char *const names[] = {"s3fifo", "mglru", "twolist"};

	while (!READ_ONCE(stop_changing)) {
		if (reclaim_policy_set(names[nr_changes % ARRAY_SIZE(names)]))
			break;
		WRITE_ONCE(nr_changes, nr_changes + 1);
		sleep_ms(20);
	}
	WRITE_ONCE(changing, false);
	return 0;
}

GUEST_TEST(policy, changes_while_memory_is_short, 0, 240, MEM("twolist"))
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long pages = totalram_pages() * 5 / 4, on_lists = 0;
	unsigned long a = testmm_map(t, mm, pages * PAGE_SIZE);

	REQUIRE(a);
	changing = true;
	REQUIRE(!kthread_run(change_policies, NULL, "changer"));
	/* How much is done between two changes is up to the machine. */
	for (int i = 0; i < 100 && READ_ONCE(changing) && READ_ONCE(nr_changes) <= 6; i++)
		CHECK_EQ(work(mm, a, pages), 0);
	WRITE_ONCE(stop_changing, true);
	while (READ_ONCE(changing))
		sleep_ms(5);
	CHECK(nr_changes > 6);
	CHECK_EQ(reclaim_policy_set("fifo"), -EINVAL);
	/* Each list that is not of the policy in force is empty. */
	memory_settle();
	lru_add_drain_all();
	for (unsigned int l = 1; l < LRU_MAX_LISTS; l++) {
		on_lists += root_lruvec[0].nr[l];
		CHECK(l <= reclaim_policy->nr_lists || !root_lruvec[0].nr[l]);
	}
	CHECK(on_lists > totalram_pages() / 2);
	testchan_audit();
	CHECK_EQ(work(mm, a, pages / 2), 0);
	mmput(mm);
}
