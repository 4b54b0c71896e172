/* Out of memory: the right process is killed, its memory comes back, the kernel and the others go
 * on. Without swap, so that it happens soon. */
#include "kernel/process.h"
#include "mm/reclaim/oom.h"
#include "mm/reclaim/reclaim.h"
#include "mm/virt/mm.h"
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
	before = free_pages_at_rest();
	CHECK_EQ(SIGNALLED(run_program("/bin/oomhog", "")), 9);
	CHECK_EQ(ev(OOM_KILL) - kills, 1);
	CHECK_EQ(run_program("/bin/hello", "x"), 1 << 8);
	CHECK(wait_until(reaper_idle, NULL, 10000));
	CHECK(free_pages_reach(before - 8));
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

static int spawn(const char *path, const char *options)
{
	char argv[128];
	u32 n = strscpy(argv, path, sizeof(argv)) + 1;

	for (; *options; options++)
		argv[n++] = *options == ' ' ? 0 : *options;
	argv[n++] = 0;
	return process_spawn(path, argv, n);
}

struct big_enough {
	struct mm_struct *mm;
	s64 pages;
};

static bool is_big_enough(void *arg)
{
	const struct big_enough *b = arg;

	return READ_ONCE(b->mm->rss_anon) >= b->pages;
}

/* A program that has taken so much and sleeps; its mm with a reference. */
static int sleeping_hog(struct test *t, const char *options, s64 pages, struct mm_struct **mm)
{
	const int pid = spawn("/bin/oomhog", options);
	struct big_enough big = {.pages = pages};

	*mm = pid > 0 ? process_get_mm(pid) : NULL;
	if (!*mm)
		return -1;
	big.mm = *mm;
	CHECK(wait_until(is_big_enough, &big, 60000));
	return pid;
}

static bool kill_one(void)
{
	bool hope;

	while (!oom_trylock())
		sleep_ms(1);
	hope = out_of_memory(GFP_KERNEL, 0);
	oom_unlock();
	return hope;
}

/* The victim ends while the reaper cannot have its mmap_lock: the queue's reference keeps all of its memory, and
 * no list of processes shows it. False: the reaper had given it up by then. */
static bool end_a_victim_before_it_is_reaped(struct test *t, s64 *kills)
{
	struct mm_struct *mm;
	int pid = sleeping_hog(t, "--mb 3 --stay 1", 768, &mm);
	bool held;

	if (pid < 0)
		return false;
	down_write(&mm->mmap_lock);
	CHECK(kill_one());
	CHECK_EQ(ev(OOM_KILL), ++*kills);
	CHECK_EQ(SIGNALLED(process_wait(pid)),
		 9); /* no mm, no files: nothing of it but the queue */
	CHECK(kill_one());
	held = !READ_ONCE(mm->oom_victim);
	if (held)
		CHECK_EQ(ev(OOM_KILL), *kills);
	CHECK(mm->rss_anon >= 768);
	up_write(&mm->mmap_lock);
	mmput(mm);
	CHECK(wait_until(reaper_idle, NULL, 60000));
	return held;
}

GUEST_TEST(oom, a_victim_that_ended_unreaped_spares_the_others, USER, 120, MEM)
{
	s64 kills = ev(OOM_KILL);
	bool held = false;

	for (int tries = 0; tries < 5 && !held; tries++) {
		struct mm_struct *mm;
		int other = sleeping_hog(t, "--mb 1 --stay 1", 256, &mm);

		REQUIRE(other > 0);
		mmput(mm);
		held = end_a_victim_before_it_is_reaped(t, &kills);
		process_kill(other);
		CHECK_EQ(SIGNALLED(process_wait(other)), 9);
		kills = ev(OOM_KILL);
	}
	CHECK(held);
}

static void prefer_as_victim(int pid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p = find_process(pid);
	struct task *t;

	if (p)
		list_for_each_entry (t, &p->threads, thread)
			t->oom_score_adj = 1000;
	spin_unlock_irqrestore(&task_list_lock, flags);
}

/* What it holds is its file's, and comes back when that is closed, long after the reaper. */
GUEST_TEST(oom, a_victims_memfd_is_waited_for, USER, 300, "memory=16M,high=4M swap=16M")
{
	int other = spawn("/bin/swapstress", "--mb 5 --passes 20"), hog;

	REQUIRE(other > 0);
	hog = spawn("/bin/oomhog", "--memfd 1");
	REQUIRE(hog > 0);
	prefer_as_victim(hog);
	CHECK_EQ(SIGNALLED(process_wait(hog)), 9);
	CHECK_EQ(process_wait(other), 0);
	CHECK_EQ(ev(OOM_KILL), 1);
	CHECK(swap_becomes_empty());
}

/* There is a program, and the OOM killer may not choose it: Linux's words, not an endless loop. */
GUEST_TEST(oom, nobody_who_may_be_killed_stops_the_kernel, USER | MMVM_TESTF_EXPECT_CRASH, 120, MEM)
{
	test_expect_words(t, "-1000 oomhog");
	test_expect_words(t, "Out of memory and no killable processes...");
	test_expect_words(t, "Kernel panic: System is deadlocked on memory");
	run_program("/bin/oomhog", "--protect 1");
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
