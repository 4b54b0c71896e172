/* Pressure: there is none while there is memory, some while a program needs more, none afterwards. */
#include "kernel/ktimer.h"
#include "kernel/loadavg.h"
#include "kernel/psi.h"
#include "kernel/task.h"
#include "lib/errno.h"
#include "tests/tests.h"

#define MEM "memory=24M,high=4M swap=64M"

GUEST_TEST(psi, pressure_begins_and_ends_with_its_cause, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long pages = totalram_pages() * 5 / 4;
	unsigned long a = testmm_map(t, mm, pages * PAGE_SIZE);
	u64 some, full, some_then, full_then, begin, v;

	REQUIRE(a);
	for (unsigned long i = 0; i < 200; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, i), 0);
	begin = ktime_ns();
	psi_totals(&some, &full);
	CHECK_EQ(some, 0); /* memory enough for that */
	CHECK_EQ(full, 0);

	for (unsigned long i = 0; i < pages; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, i), 0);
	for (unsigned long i = 0; i < pages; i += 7)
		CHECK(!testmm_read(mm, a + i * PAGE_SIZE, &v) && v == i);
	psi_totals(&some, &full);
	CHECK(some > 0);
	CHECK(full > 0); /* one CPU: while it reclaims nothing else runs */
	CHECK(full <= some);
	CHECK(some <= ktime_ns() - begin);

	mmput(mm);
	/* kswapd comes to rest, sooner or later: then nothing is added. */
	for (int tries = 0; tries < 100; tries++) {
		psi_totals(&some_then, &full_then);
		sleep_ms(50);
		psi_totals(&some, &full);
		if (some == some_then)
			break;
	}
	CHECK_EQ(READ_ONCE(psi_stalled), 0);
	CHECK_EQ(some, some_then);
	CHECK_EQ(full, full_then);
}

/* "avg10=12.34" of the first line, in hundredths. */
static u64 some_avg10(void)
{
	static char buf[512];
	struct report r = {.buf = buf, .size = sizeof(buf)};
	const char *p;
	u64 n = 0;

	psi_group_report(&r, NULL, PSI_MEM);
	for (p = buf; *p && strncmp(p, "avg10=", 6); p++)
		;
	for (p += 6; (*p >= '0' && *p <= '9') || *p == '.'; p++)
		n = *p == '.' ? n : n * 10 + (*p - '0');
	return n;
}

GUEST_TEST(psi, averages_are_right_though_nobody_reads, 0, 60, "")
{
	/* 1 - exp(-2 n / 10) of n periods of two seconds, in hundredths of a percent */
	static const u64 after[] = {0,	  1813, 3297, 4512, 5507, 6321, 6988, 7534,
				    7981, 8347, 8647, 8892, 9093, 9257, 9392};
	u64 avg, begin = ktime_ns(), least, most;

	/* Three whole periods and a bit: 45 %. Of one reading at the end that knew only of the last
	 * period 18 % would be left. A busy host makes it more periods: as many as the clock says. */
	psi_memstall_enter();
	sleep_ms(8100);
	psi_memstall_leave();
	least = (ktime_ns() - begin) / 2000000000 - 1;
	avg = some_avg10();
	most = (ktime_ns() - begin) / 2000000000 + 1;
	REQUIRE(least >= 3 && most < ARRAY_SIZE(after));
	CHECK(avg > after[least] - 500);
	CHECK(avg < after[most - 1] + 500);
	begin = ktime_ns();
	sleep_ms(4100);
	least = some_avg10();
	CHECK(least < avg);
	/* What is left of it after so many periods */
	most = (ktime_ns() - begin) / 2000000000 + 1;
	REQUIRE(most < ARRAY_SIZE(after));
	CHECK(least > avg * (10000 - after[most]) / 10000 - 50);
}

GUEST_TEST(psi, load_averages_decay, 0, 0, "")
{
	u64 load = 0;

	/* One task for ever: up to one, and within a hundredth of it after five times the period. */
	for (int i = 0; i < 60; i++)
		load = load_decay(load, 1884, 1, 1);
	CHECK(load > (99ul << LOAD_SHIFT) / 100 && load <= 1ul << LOAD_SHIFT);
	/* Many periods at once are the same as one after the other, but for rounding. */
	CHECK(load_decay(load, 1884, 0, 12) <= load_decay(load, 1884, 0, 6));
	CHECK(load_decay(1ul << LOAD_SHIFT, 1884, 0, 12) > 700);
	CHECK(load_decay(1ul << LOAD_SHIFT, 1884, 0, 12) < 800); /* 1/e of 2048 is 753 */
	CHECK_EQ(load_decay(1ul << LOAD_SHIFT, 1884, 0, 100000), 0);
}

/* The averages of 1, 5 and 15 minutes after one minute with one task: 1 - exp(-1), 1 - exp(-1/5) and
 * 1 - exp(-1/15). The time is made up, and far enough ahead that the scheduler adds nothing. */
GUEST_TEST(psi, load_averages_have_their_periods, 0, 0, "")
{
	u64 load[3];

	load_update(load_next + 100000 * LOAD_PERIOD_NS, 0);
	load_read(load, load_next - 1, 0);
	CHECK_EQ(load[0] + load[1] + load[2], 0);
	load_read(load, load_next + 11 * LOAD_PERIOD_NS, 1);
	CHECK(load[0] > 1264 && load[0] < 1324); /* 1295 of 2048 */
	CHECK(load[1] > 363 && load[1] < 380);	 /* 371 */
	CHECK(load[2] > 125 && load[2] < 139);	 /* 132 */
}

/* ---- groups ---- */

static bool spinning;

static int spin(void *arg)
{
	while (READ_ONCE(spinning))
		cond_resched();
	return 0;
}

static struct psi_group *new_group(struct test *t, struct psi_group *parent)
{
	struct psi_group *g = psi_group_create(parent);

	CHECK(!IS_ERR(g));
	return IS_ERR(g) ? NULL : g;
}

/* A stall counts in the task's group and in those above it, not beside it. While another group's thread runs,
 * the machine makes progress, and the group does not. */
GUEST_TEST(psi, a_group_stalls_by_itself, 0, 60, "cpus=1")
{
	struct mm_struct *mm = testmm_create(t);
	struct psi_group *a = new_group(t, NULL), *b, *beside;
	u64 some, full, some_a, full_a, all_some, all_full;

	REQUIRE(a);
	b = new_group(t, a);
	beside = new_group(t, a);
	REQUIRE(b && beside);
	psi_group_get(b);
	psi_group_set_mm(mm, b);
	kthread_use_mm(mm);

	psi_memstall_enter();
	sleep_ms(30);
	psi_memstall_leave();
	psi_group_totals(b, PSI_MEM, &some, &full);
	CHECK(some >= 30000000);
	CHECK_EQ(full, some); /* the CPU idled */
	psi_group_totals(a, PSI_MEM, &some_a, &full_a);
	CHECK_EQ(some_a, some);
	CHECK_EQ(full_a, full);
	psi_group_totals(beside, PSI_MEM, &some_a, &full_a);
	CHECK_EQ(some_a, 0);
	CHECK_EQ(full_a, 0);

	psi_totals(&all_some, &all_full);
	CHECK_EQ(all_some, some);
	spinning = true;
	CHECK_EQ(kthread_run(spin, NULL, "spin"), 0);
	psi_memstall_enter();
	sleep_ms(50);
	psi_memstall_leave();
	spinning = false;
	psi_group_totals(b, PSI_MEM, &some_a, &full_a);
	CHECK(some_a - some >= 50000000);
	CHECK_EQ(full_a - full, some_a - some); /* nobody of the group got on */
	psi_totals(&some, &full);
	CHECK_EQ(some, some_a);
	CHECK(full - all_full < (some_a - all_some) / 2); /* the other thread did */

	kthread_unuse_mm();
	mmput(mm);
	psi_group_put(beside);
	psi_group_put(b);
	psi_group_put(a);
}

/* cgroup.pressure: a group that is off counts nothing, those above it do; it begins anew in the state that it is in. */
GUEST_TEST(psi, a_group_that_is_off_counts_nothing, 0, 60, "cpus=1")
{
	struct mm_struct *mm = testmm_create(t);
	struct psi_group *a = new_group(t, NULL), *b;
	u64 some, full, some_a, full_a, then, begin;

	REQUIRE(a);
	b = new_group(t, a);
	REQUIRE(b);
	psi_group_get(b);
	psi_group_set_mm(mm, b);
	kthread_use_mm(mm);
	CHECK(psi_group_is_on(b));
	psi_group_switch(b, false);
	CHECK(!psi_group_is_on(b) && psi_group_is_on(a) && psi_group_is_on(NULL));
	psi_memstall_enter();
	sleep_ms(30);
	psi_group_totals(b, PSI_MEM, &some, &full);
	psi_group_totals(a, PSI_MEM, &some_a, &full_a);
	CHECK_EQ(some + full, 0);
	CHECK(some_a >= 30000000);
	begin = ktime_ns();
	psi_group_switch(b, true); /* a task waits in it */
	sleep_ms(30);
	psi_memstall_leave();
	then = ktime_ns() - begin;
	psi_group_totals(b, PSI_MEM, &some, &full);
	CHECK(some >= 30000000 && some <= then);
	CHECK_EQ(full, some);
	kthread_unuse_mm();
	mmput(mm);
	psi_group_put(b);
	psi_group_put(a);
}

/* ---- waiting for a CPU, for a disk; triggers ---- */

static u32 spins;

static int spin_counting(void *arg)
{
	while (READ_ONCE(spinning)) {
		atomic_add(&spins, 1);
		cond_resched();
	}
	return 0;
}

/* Two that want one CPU: one of them always waits. The machine never waits "full" for its CPU. */
GUEST_TEST(psi, who_could_run_and_does_not_waits_for_a_cpu, 0, 60, "cpus=1")
{
	u64 some, full, then, before, begin, mem, mem_full;

	/* Alone: next to nothing. Once in many tries (a kernel thread that wakes waits for its turn, for long where
	 * the host is busy). */
	for (int tries = 0; tries < 20; tries++) {
		sleep_ms(20);
		psi_group_totals(NULL, PSI_CPU, &then, &full);
		begin = ktime_ns();
		while (ktime_ns() - begin < 50000000)
			cpu_relax();
		psi_group_totals(NULL, PSI_CPU, &some, &full);
		if (some - then < 10000000)
			break;
	}
	CHECK(some - then < 10000000);

	spinning = true;
	CHECK_EQ(kthread_run(spin_counting, NULL, "spin"), 0);
	/* The other may run between a look at the count and one at the clock. So no longer than from before the first count, and
	 * for most of the time from after it. */
	before = ktime_ns();
	psi_group_totals(NULL, PSI_CPU, &then, &full);
	begin = ktime_ns();
	while (ktime_ns() - begin < 200000000)
		cond_resched();
	psi_group_totals(NULL, PSI_CPU, &some, &full);
	spinning = false;
	CHECK(spins > 0); /* the other did run */
	CHECK(some - then > 150000000);
	CHECK(some - then <= ktime_ns() - before);
	CHECK_EQ(full, 0);
	psi_totals(&mem, &mem_full);
	CHECK_EQ(mem, 0);
	for (int tries = 0; tries < 20; tries++) {
		sleep_ms(50);
		psi_group_totals(NULL, PSI_CPU, &then, &full);
		sleep_ms(50);
		psi_group_totals(NULL, PSI_CPU, &some, &full);
		if (some - then < 10000000)
			break;
	}
	CHECK(some - then < 10000000);
}

/* A sleep that a disk is to end: some, and full while nobody runs. */
GUEST_TEST(psi, who_sleeps_for_a_disk_waits_for_io, 0, 60, "cpus=1")
{
	u64 some, full, then, full_then, mem, mem_full;

	/* Once in many tries nobody else runs for long: where the host is busy, a kernel thread's turn may last. */
	for (int tries = 0; tries < 20; tries++) {
		psi_group_totals(NULL, PSI_IO, &then, &full_then);
		io_wait_begin();
		sleep_ns(30000000);
		io_wait_end();
		psi_group_totals(NULL, PSI_IO, &some, &full);
		CHECK(some - then >= 30000000);
		if (full - full_then > (some - then) / 2)
			break;
	}
	CHECK(full - full_then > (some - then) / 2);
	then = some;
	full_then = full;
	sleep_ns(30000000); /* for nothing */
	psi_group_totals(NULL, PSI_IO, &some, &full);
	CHECK_EQ(some, then);

	spinning = true;
	CHECK_EQ(kthread_run(spin_counting, NULL, "spin"), 0);
	io_wait_begin();
	sleep_ns(50000000);
	io_wait_end();
	spinning = false;
	psi_group_totals(NULL, PSI_IO, &some, &full);
	CHECK(some - then >= 50000000);
	CHECK(full - full_then < (some - then) / 2);
	psi_totals(&mem, &mem_full);
	CHECK_EQ(mem, 0);
}

GUEST_TEST(psi, a_trigger_fires_once_in_a_window, 0, 120, "cpus=1")
{
	struct psi_trigger *slot = NULL, *other = NULL;
	u64 begin, took = 0;
	bool fired = false;

	CHECK_EQ(psi_trigger_write(&slot, NULL, PSI_MEM, "some 600000 500000"), -EINVAL);
	CHECK_EQ(psi_trigger_write(&slot, NULL, PSI_MEM, "some 0 500000"), -EINVAL);
	CHECK_EQ(psi_trigger_write(&slot, NULL, PSI_MEM, "some 100 499999"), -EINVAL);
	CHECK_EQ(psi_trigger_write(&slot, NULL, PSI_MEM, "some 100 10000001"), -EINVAL);
	CHECK_EQ(psi_trigger_write(&slot, NULL, PSI_MEM, "some 100"), -EINVAL);
	CHECK_EQ(psi_trigger_write(&slot, NULL, PSI_MEM, "all 100 500000"), -EINVAL);
	CHECK(slot == NULL);
	CHECK_EQ(psi_trigger_write(&slot, NULL, PSI_MEM, "some 200000 1000000"), 0);
	CHECK_EQ(psi_trigger_write(&slot, NULL, PSI_MEM, "some 200000 1000000"), -EBUSY);
	CHECK_EQ(psi_trigger_write(&other, NULL, PSI_IO, "some 200000 1000000"), 0);
	REQUIRE(slot && other);

	/* Too little; where the host is busy it may have been more, and is tried again. */
	for (int tries = 0; tries < 20; tries++) {
		begin = ktime_ns();
		psi_memstall_enter();
		sleep_ms(50);
		psi_memstall_leave();
		took = ktime_ns() - begin;
		sleep_ms(150);
		fired = psi_trigger_take_event(slot, NULL);
		if (took < 200000000)
			break;
		sleep_ms(1100); /* that is no longer in the window */
		psi_trigger_take_event(slot, NULL);
	}
	CHECK(took < 200000000);
	CHECK(!fired);
	begin = ktime_ns();
	psi_memstall_enter();
	sleep_ms(300);
	while (!psi_trigger_take_event(slot, NULL)) {
		sleep_ms(20);
		REQUIRE(ktime_ns() - begin < 60000000000ull);
	}
	CHECK(!psi_trigger_take_event(slot, NULL)); /* said */
	while (!psi_trigger_take_event(slot, NULL)) {
		sleep_ms(20);
		REQUIRE(ktime_ns() - begin < 60000000000ull);
	}
	CHECK(ktime_ns() - begin > 1000000000); /* a window after the first time */
	psi_memstall_leave();
	CHECK(!psi_trigger_take_event(other, NULL)); /* that was no I/O */
	psi_trigger_free(slot);
	psi_trigger_free(other);
	CHECK_EQ(READ_ONCE(psi_stalled), 0);
}

/* A stall that is never left: found where the thread is back at the border of user mode. */
GUEST_TEST(psi, a_stall_left_behind_is_found, MMVM_TESTF_EXPECT_CRASH, 60, "")
{
	test_expect_words(t, "with 1 stalls for memory");
	psi_assert_balanced();
	psi_memstall_enter();
	psi_memstall_enter();
	psi_memstall_leave();
	psi_assert_balanced();
}

/* A group that is removed while a task of it waits: its memory, and that of the group above, stays until the task leaves
 * it. */
GUEST_TEST(psi, a_task_may_wait_in_a_group_that_is_gone, 0, 60, "cpus=1")
{
	struct mm_struct *mm = testmm_create(t);
	struct psi_group *above = new_group(t, NULL), *a;
	u64 some, full;

	REQUIRE(mm && above);
	a = new_group(t, above);
	REQUIRE(a);
	psi_group_set_mm(mm, a);
	kthread_use_mm(mm);
	psi_memstall_enter();
	psi_group_put(above);	    /* but for the one of its child */
	psi_group_set_mm(mm, NULL); /* the last one of the child */
	sleep_ms(20);
	psi_memstall_leave();
	psi_totals(&some, &full);
	CHECK(some >= 20000000);
	sleep_ms(2100); /* the worker frees it */
	CHECK_EQ(READ_ONCE(psi_stalled), 0);
	kthread_unuse_mm();
	mmput(mm);
}

static bool has_expired;

static void expire_slowly(struct ktimer *t)
{
	u64 end = ktime_ns() + 30000000;

	while (ktime_ns() < end)
		;
	WRITE_ONCE(has_expired, true);
}

/* Timers expire in a thread, whose time is what soft interrupts are on Linux, and not the system's. */
GUEST_TEST(psi, time_of_expired_timers_is_softirq, 0, 60, "cpus=1")
{
	static struct ktimer timer = {.fn = expire_slowly};
	struct sched_totals before, after;
	u64 left, interval;

	sched_totals(&before, -1);
	REQUIRE(ktimer_set(&timer, ktime_ns() + 1000000, 0, &left, &interval) == 0);
	/* Then its turn has ended: there is one CPU. */
	while (!READ_ONCE(has_expired))
		sleep_ns(1000000);
	sched_totals(&after, -1);
	CHECK_EQ(ktimer_take(&timer), 1);
	CHECK(after.ns[CPU_SOFTIRQ] - before.ns[CPU_SOFTIRQ] >= 30000000);
}

/* Who sleeps for a disk is counted as blocked, and the CPU's idle time meanwhile as iowait. */
GUEST_TEST(psi, idle_time_with_a_task_at_the_disk_is_iowait, 0, 60, "cpus=1")
{
	struct sched_totals before, after;
	u64 switches = current->nvcsw;

	sched_totals(&before, -1);
	io_wait_begin();
	sleep_ns(60000000);
	io_wait_end();
	sched_totals(&after, -1);
	CHECK(after.ns[CPU_IOWAIT] - before.ns[CPU_IOWAIT] > 30000000);
	CHECK_EQ(after.nr_iowait, 0);
	CHECK(current->nvcsw > switches);
	sched_totals(&before, -1);
	sleep_ns(60000000);
	sched_totals(&after, -1);
	CHECK_EQ(after.ns[CPU_IOWAIT], before.ns[CPU_IOWAIT]);
	CHECK(after.ns[CPU_IDLE] - before.ns[CPU_IDLE] > 30000000);
}
