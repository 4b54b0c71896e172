/* Processes from outside: what forktest and sigtest find from inside, what the kernel counts
 * meanwhile, and that nothing is left of any of it. */
#include "mm/reclaim/lru.h"
#include "tests/tests.h"

#define MEM  "memory=24M,high=4M append=page_poison"
#define USER MMVM_TESTF_USER

/** What is there when everything has been handed back. */
struct left {
	u64 free;    /* pages; those of slabs too: how full slabs are depends on who comes when */
	u64 objects; /* that somebody has, of all slab caches */
};

/** The reaper is a thread of its own, so look until nothing changes any more. */
static struct left left_now(void)
{
	struct left now = {0};
	unsigned int same = 0;
	u64 before;

	do {
		before = now.free;
		sleep_ms(5);
		purge_vmap_areas();
		lru_add_drain_all(); /* batches hold references */
		now.free = settled_free_pages() + global_stat(NR_SLAB_RECLAIMABLE) +
			   global_stat(NR_SLAB_UNRECLAIMABLE);
		same = now.free == before ? same + 1 : 0;
	} while (same < 4);
	now.objects = slab_objects_in_use();
	return now;
}

/** Run a case of forktest until a run has left as much as there was before it: the first runs read
 * files and fill caches, but what leaks a page or an object a run never comes to that. */
static void run_case(struct test *t, const char *program, const char *args)
{
	struct left before, after = {0};
	unsigned int runs = 0;

	do {
		before = after;
		CHECK_EQ(run_program(program, args), 0);
		after = left_now();
	} while (++runs < 6 &&
		 (runs == 1 || after.free < before.free || after.objects > before.objects));
	CHECK(after.free >= before.free);
	CHECK(after.objects <= before.objects);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

GUEST_TEST(fork, children_live_and_die, USER, 0, MEM)
{
	run_case(t, "/bin/forktest", "identity");
	run_case(t, "/bin/forktest", "zombies");
	run_case(t, "/bin/forktest", "waitid");
}

GUEST_TEST(fork, orphans_find_a_parent, USER, 0, MEM)
{
	run_case(t, "/bin/forktest", "orphans");
}

GUEST_TEST(fork, killed_and_ignored_children, USER, 0, MEM)
{
	run_case(t, "/bin/forktest", "killing");
	run_case(t, "/bin/forktest", "ignored");
}

GUEST_TEST(fork, memory_is_shared_until_written, USER, 0, MEM)
{
	s64 cow = ev(MMVM_FAULT_COW);

	run_case(t, "/bin/forktest", "contents");
	/* 64 by each child, and half of them again by the parent unless the child came first. */
	CHECK(ev(MMVM_FAULT_COW) - cow >= 2 * 64);
	run_case(t, "/bin/forktest", "owner");
}

GUEST_TEST(fork, a_family_of_31, USER, 60, MEM)
{
	run_case(t, "/bin/forktest", "family");
}

GUEST_TEST(fork, faults_and_limits_of_processes, USER, 0, MEM)
{
	run_case(t, "/bin/forktest", "usage");
	run_case(t, "/bin/forktest", "limited");
}

GUEST_TEST(fork, vfork_and_exec, USER, 0, MEM)
{
	run_case(t, "/bin/forktest", "borrowed");
	run_case(t, "/bin/forktest", "exec");
}

GUEST_TEST(fork, pipes, USER, 0, MEM)
{
	run_case(t, "/bin/forktest", "pipes");
}

GUEST_TEST(fork, storm_is_stopped_and_forgotten, USER | MMVM_TESTF_LAB_ONLY, 60, MEM)
{
	run_case(t, "/bin/forktest", "storm");
}

GUEST_TEST(fork, storm_where_memory_is_short, USER | MMVM_TESTF_LAB_ONLY, 60, "memory=12M,high=4M")
{
	run_case(t, "/bin/forktest", "storm");
}

GUEST_TEST(fork, shared_pages_go_to_swap_and_back, USER | MMVM_TESTF_LAB_ONLY, 60,
	   "memory=24M,high=4M swap=64M")
{
	s64 in = ev(PSWPIN), out = ev(PSWPOUT), cow = ev(MMVM_FAULT_COW);

	CHECK_EQ(run_program("/bin/forktest", "pressure 20M"), 0);
	CHECK(ev(PSWPOUT) - out > 2000);
	CHECK(ev(PSWPIN) - in > 1000);
	CHECK(ev(MMVM_FAULT_COW) - cow > 1000);
	CHECK_EQ(ev(OOM_KILL), 0);
	CHECK(stat_becomes(NR_ANON_MAPPED, 0));
	CHECK(swap_becomes_empty());
}

/* ---- fork with each allocation failing ---- */

GUEST_TEST(fork, failure_at_every_allocation_leaves_nothing, USER | MMVM_TESTF_LAB_ONLY, 120, MEM)
{
	struct left before, now;
	u64 failures = 0, k;

	CHECK_EQ(run_program("/bin/forktest", "trying"), 0);
	before = left_now();
	for (k = 1; k < 200; k++) {
		u64 failed = alloc_fail_count();
		int status;

		/* Counted from the program's start: k sweeps over exec, faults, fork and wait. */
		drain_all_pages();
		alloc_fail_nth(k);
		status = run_program("/bin/forktest", "trying");
		alloc_fail_nth(0);
		if (alloc_fail_count() == failed) {
			CHECK_EQ(status, 0);
			break;
		}
		failures += status != 0;
		now = left_now();
		if (now.free < before.free || now.objects > before.objects)
			test_fail(
				t, __FILE__, __LINE__,
				"allocation %lu failing: %ld pages are gone, %ld objects are left",
				(unsigned long)k, (long)(before.free - now.free),
				(long)(now.objects - before.objects));
	}
	CHECK(k > 20 && k < 200);
	CHECK(failures > 0);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

/* ---- copies of an address space, one by one ---- */

GUEST_TEST(fork, copies_share_pages_and_lose_the_right_to_write, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long a = mm ? testmm_map(t, mm, 600 * PAGE_SIZE) : 0;
	u64 v = 0;

	REQUIRE(a);
	for (int i = 0; i < 600; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, i), 0);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(child->rss_anon, 600);
	CHECK_EQ(child->pgtables_bytes, mm->pgtables_bytes);
	CHECK(!pte_write(testmm_pte(mm, a)) && !pte_write(testmm_pte(child, a)));
	CHECK_EQ(testmm_write(child, a + 599 * PAGE_SIZE, 7), 0);
	CHECK(!testmm_read(mm, a + 599 * PAGE_SIZE, &v) && v == 599);
	mmput(mm);
	CHECK(!testmm_read(child, a + 5 * PAGE_SIZE, &v) && v == 5);
	CHECK_EQ(page_mapcount(testmm_page(child, a)), 1);
	mmput(child);
}

/* ---- signals ---- */

GUEST_TEST(signal, handlers_repair_faults_and_change_registers, USER, 0, MEM)
{
	run_case(t, "/bin/sigtest", "repaired");
	run_case(t, "/bin/sigtest", "changed");
	run_case(t, "/bin/sigtest", "preserved");
}

GUEST_TEST(signal, masks_and_other_stacks, USER, 0, MEM)
{
	run_case(t, "/bin/sigtest", "masks");
	run_case(t, "/bin/sigtest", "stack");
}

GUEST_TEST(signal, calls_are_broken_off_or_restarted, USER, 0, MEM)
{
	run_case(t, "/bin/sigtest", "restart");
	run_case(t, "/bin/sigtest", "children");
}

GUEST_TEST(signal, frames_that_are_not_right, USER, 0, MEM)
{
	run_case(t, "/bin/sigtest", "frames");
	run_case(t, "/bin/sigtest", "hostile");
}
