/*
 * Everything at once: programs that map, swap and hog side by side while kernel threads come and
 * go. What each must find is known in advance, and the audit at the end looks at what is left.
 */
#include "tests/tests.h"

#define MEM   "memory=16M,high=4M swap=64M append=page_poison"
#define FLAGS (MMVM_TESTF_USER | MMVM_TESTF_LAB_ONLY)

static bool stop_churn;
static u32 churn_ended;

static int short_thread(void *arg)
{
	u8 *p = kmalloc(1 + get_random_u64() % 6000, GFP_KERNEL), *q = vmalloc(8 * PAGE_SIZE);

	if (p)
		p[0] = 1;
	schedule_timeout(1000000);
	kfree(p);
	vfree(q);
	return 0;
}

/** Threads, slabs and vmalloc areas come and go all the time. */
static int churn_thread(void *arg)
{
	while (!READ_ONCE(stop_churn)) {
		run_in_thread(short_thread, NULL, "short");
		sleep_ms(2);
	}
	atomic_add(&churn_ended, 1);
	return 0;
}

static bool churn_gone(void *arg)
{
	return atomic_load(&churn_ended) == 1;
}

static int spawn(const char *path, const char *const *args)
{
	char argv[256];
	u32 len = 0;

	len += strscpy(argv, path, sizeof(argv)) + 1;
	for (; *args; args++)
		len += strscpy(argv + len, *args, sizeof(argv) - len) + 1;
	return process_spawn(path, argv, len);
}

GUEST_TEST(stress, programs_swap_and_map_side_by_side, FLAGS, 300, MEM)
{
	static const char *const swap1[] = {"--mb", "12", "--passes", "2", NULL};
	static const char *const swap2[] = {"--mb", "9", "--passes", "2", "--seed", "9", NULL};
	static const char *const map[] = {"--ops", "6000", "--pages", "900", NULL};
	s64 out = ev(PSWPOUT);
	int pid[3];

	REQUIRE(!kthread_run(churn_thread, NULL, "churn"));
	pid[0] = spawn("/bin/swapstress", swap1);
	pid[1] = spawn("/bin/swapstress", swap2);
	pid[2] = spawn("/bin/mapstress", map);
	for (int i = 0; i < 3; i++) {
		REQUIRE(pid[i] > 0);
		CHECK_EQ(process_wait(pid[i]), 0);
	}
	WRITE_ONCE(stop_churn, true);
	CHECK(wait_until(churn_gone, NULL, 10000));
	CHECK(ev(PSWPOUT) > out);
	CHECK_EQ(ev(OOM_KILL), 0);
	CHECK(swap_becomes_empty());
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

GUEST_TEST(stress, a_hog_dies_and_the_others_finish, FLAGS, 300, "memory=16M,high=4M swap=16M")
{
	static const char *const swap[] = {"--mb", "6", "--passes", "3", NULL};
	static const char *const map[] = {"--ops", "4000", "--pages", "300", NULL};
	static const char *const hog[] = {"--chunk", "128", NULL};
	int pid[3];

	REQUIRE(!kthread_run(churn_thread, NULL, "churn"));
	pid[0] = spawn("/bin/swapstress", swap);
	pid[1] = spawn("/bin/mapstress", map);
	pid[2] = spawn("/bin/oomhog", hog);
	REQUIRE(pid[0] > 0 && pid[1] > 0 && pid[2] > 0);
	CHECK_EQ(SIGNALLED(process_wait(pid[2])), 9);
	CHECK_EQ(process_wait(pid[0]), 0);
	CHECK_EQ(process_wait(pid[1]), 0);
	WRITE_ONCE(stop_churn, true);
	CHECK(wait_until(churn_gone, NULL, 10000));
	CHECK_EQ(ev(OOM_KILL), 1);
	CHECK(swap_becomes_empty());
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
}

GUEST_TEST(stress, a_failing_disk_ends_programs_not_the_kernel, FLAGS, 300, MEM)
{
	static const char *const swap[] = {"--mb", "18", NULL};
	int pid, status;

	pid = spawn("/bin/swapstress", swap);
	REQUIRE(pid > 0);
	while (!ev(PSWPIN) && ev(PSWPOUT) < 2000)
		sleep_ms(5);
	CHECK_EQ(testchan_call(MMVM_REC_HOSTFAULT, "swap", 1, 1ull << 40, NULL, 0), 0);
	status = process_wait(pid);
	/* It cannot read what is on the disk: SIGBUS, or it ran out of memory first. Never wrong
	 * data, which would be exit status 1. */
	CHECK(SIGNALLED(status) == 7 || SIGNALLED(status) == 9);
	CHECK(ev(MMVM_SWAP_IO_ERROR) > 0);
	testchan_call(MMVM_REC_HOSTFAULT, "swap", 0, 0, NULL, 0);
	CHECK_EQ(run_program("/bin/hello", ""), 0);
	CHECK(stat_becomes(NR_ANON_MAPPED, 0));
}
