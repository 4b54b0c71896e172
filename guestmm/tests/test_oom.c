/* Out of memory: the right process is killed, its memory comes back, the kernel and the others go
 * on. Without swap, so that it happens soon. */
#include "mm/reclaim/oom.h"
#include "tests/tests.h"

#define MEM  "memory=12M,high=2M swap=0"
#define USER MMVM_TESTF_USER

static bool reaper_idle(void *arg)
{
	return oom_reaper_idle();
}

GUEST_TEST(oom, badness_is_linuxs_formula, 0, 0, MEM)
{
	CHECK_EQ(oom_badness_points(100, 20, 3, 10000, 0), 123);
	CHECK_EQ(oom_badness_points(100, 20, 3, 10000, 500), 123 + 5000);
	CHECK_EQ(oom_badness_points(5000, 0, 0, 10000, -300), 2000);
	CHECK_EQ(oom_badness_points(5000, 0, 0, 10000, -1000), (long)(1ul << 63));
}

GUEST_TEST(oom, hog_is_killed_and_the_kernel_goes_on, USER, 120, MEM)
{
	s64 kills = ev(OOM_KILL);
	u64 before;

	CHECK_EQ(run_program("/bin/hello", ""), 0);
	sleep_ms(20);
	purge_vmap_areas();
	before = settled_free_pages();
	CHECK_EQ(SIGNALLED(run_program("/bin/oomhog", "")), 9);
	CHECK_EQ(ev(OOM_KILL) - kills, 1);
	CHECK_EQ(run_program("/bin/hello", "x"), 1 << 8);
	CHECK(wait_until(reaper_idle, NULL, 10000));
	sleep_ms(20);
	purge_vmap_areas();
	CHECK(settled_free_pages() + 8 >= before);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

GUEST_TEST(oom, the_big_one_goes_not_the_small_one, USER, 120, MEM)
{
	static const char small[] = "/bin/mapstress\0--ops\000300000\0--pages\00064";
	static const char big[] = "/bin/oomhog\0--chunk\00064";
	s64 kills = ev(OOM_KILL);
	int small_pid, big_pid;

	small_pid = process_spawn("/bin/mapstress", small, sizeof(small));
	REQUIRE(small_pid > 0);
	big_pid = process_spawn("/bin/oomhog", big, sizeof(big));
	REQUIRE(big_pid > 0);
	CHECK_EQ(SIGNALLED(process_wait(big_pid)), 9);
	CHECK_EQ(ev(OOM_KILL) - kills, 1);
	process_kill(small_pid);
	CHECK_EQ(SIGNALLED(process_wait(small_pid)), 9); /* by us: it was alive until now */
	CHECK_EQ(ev(OOM_KILL) - kills, 1);
}

GUEST_TEST(oom, again_and_again, USER, 120, MEM)
{
	for (int i = 1; i <= 2; i++) {
		CHECK_EQ(SIGNALLED(run_program("/bin/oomhog", "--chunk 1024")), 9);
		CHECK_EQ(ev(OOM_KILL), i);
	}
	CHECK_EQ(run_program("/bin/oomhog", "--mb 2"), 0);
}

GUEST_TEST(oom, swap_full_ends_the_same_way, USER, 120, "memory=12M,high=2M swap=8M")
{
	CHECK(swap_total_pages() > 0);
	CHECK_EQ(SIGNALLED(run_program("/bin/oomhog", "")), 9);
	CHECK_EQ(ev(OOM_KILL), 1);
	CHECK(ev(PSWPOUT) > 1000);
	CHECK(swap_becomes_empty());
	CHECK_EQ(run_program("/bin/hello", ""), 0);
}

GUEST_TEST(oom, nobody_to_kill_fails_the_allocation, 0, 0, MEM)
{
	LIST_HEAD(list);
	struct page *p;

	while ((p = alloc_page(__GFP_HIGH | __GFP_NOWARN)))
		list_add(&p->lru, &list);
	p = alloc_page(GFP_KERNEL | __GFP_NOWARN);
	CHECK(!p);
	CHECK_EQ(ev(OOM_KILL), 0);
	if (p)
		list_add(&p->lru, &list);
	while (!list_empty(&list)) {
		p = list_first_entry(&list, struct page, lru);
		list_del(&p->lru);
		__free_page(p);
	}
}
