/* Threads: preemption, sleeping, locks that sleep, and what ending a thread gives back. */
#include "tests/tests.h"

#define MEM "memory=24M,high=4M"

static volatile u64 spins[2];
static volatile bool stop;
static u32 nr_ended; /* atomic */

static int spin_thread(void *arg)
{
	volatile u64 *count = arg;

	/* Never calls anything that could give the CPU away. */
	while (!stop)
		(*count)++;
	atomic_add(&nr_ended, 1);
	return 0;
}

static bool both_ended(void *arg)
{
	return atomic_load(&nr_ended) == 2;
}

static u64 seen[2];

static bool both_advanced(void *arg)
{
	return READ_ONCE(spins[0]) > seen[0] && READ_ONCE(spins[1]) > seen[1];
}

static bool first_advanced(void *arg)
{
	return READ_ONCE(spins[0]) > seen[0];
}

static bool one_ended(void *arg)
{
	return atomic_load(&nr_ended) == 1;
}

GUEST_TEST(sched, two_busy_threads_both_advance, 0, 0, MEM)
{
	REQUIRE(!kthread_run(spin_thread, (void *)&spins[0], "spin0"));
	REQUIRE(!kthread_run(spin_thread, (void *)&spins[1], "spin1"));
	for (int round = 0; round < 3; round++) {
		seen[0] = spins[0];
		seen[1] = spins[1];
		/* We come back at all only because the timer takes the CPU from them. */
		sleep_ms(60);
		CHECK(wait_until(both_advanced, NULL, 20000));
	}
	stop = true;
	CHECK(wait_until(both_ended, NULL, 20000));
}

/* On one CPU: on another the thread would go on. */
GUEST_TEST(sched, preempt_disable_keeps_the_cpu, 0, 0, MEM " cpus=1")
{
	u64 before, after, end;

	REQUIRE(!kthread_run(spin_thread, (void *)&spins[0], "spin"));
	seen[0] = 0;
	CHECK(wait_until(first_advanced, NULL, 20000));
	preempt_disable();
	before = spins[0];
	end = ktime_ns() + 40000000; /* several time slices */
	while (ktime_ns() < end)
		cpu_relax();
	after = spins[0];
	preempt_enable();
	CHECK_EQ(after, before);
	seen[0] = after;
	CHECK(wait_until(first_advanced, NULL, 20000));
	stop = true;
	CHECK(wait_until(one_ended, NULL, 20000));
}

GUEST_TEST(sched, sleep_takes_as_long_as_asked, 0, 0, MEM)
{
	for (u64 ms = 5; ms <= 80; ms *= 2) {
		u64 start, took;

		/* Never less; once in many tries it is no more than that (a busy host takes its time). */
		for (unsigned int tries = 0; tries < 20; tries++) {
			start = ktime_ns();
			sleep_ms(ms);
			took = ktime_ns() - start;
			CHECK(took >= ms * 1000000);
			if (took < (ms + 200) * 1000000)
				break;
		}
		CHECK(took < (ms + 200) * 1000000);
	}
}

static struct mutex mutex = MUTEX_INIT(mutex);
static u64 shared_value;
static u32 nr_done;

static int mutex_thread(void *arg)
{
	for (int i = 0; i < 200; i++) {
		u64 v;

		mutex_lock(&mutex);
		v = shared_value;
		if (i % 20 == 0)
			schedule_timeout(500000); /* let the others try in the middle */
		WRITE_ONCE(shared_value, v + 1);
		mutex_unlock(&mutex);
	}
	atomic_add(&nr_done, 1);
	return 0;
}

static bool all_done(void *arg)
{
	return atomic_load(&nr_done) == (u32)(unsigned long)arg;
}

GUEST_TEST(sched, mutex_excludes, 0, 0, MEM)
{
	for (int i = 0; i < 4; i++)
		REQUIRE(!kthread_run(mutex_thread, NULL, "mutex"));
	CHECK(wait_until(all_done, (void *)4ul, 20000));
	CHECK_EQ(shared_value, 800);
	CHECK(mutex_trylock(&mutex));
	CHECK(!mutex_trylock(&mutex));
	mutex_unlock(&mutex);
}

GUEST_TEST(sched, mutex_unlocked_twice_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	mutex_unlock(&mutex);
	CHECK(!"the second unlock went through");
}

static struct rw_semaphore sem;
static s32 readers_inside; /* atomic */
static bool writer_inside;
static u32 broken;

/** Both threads stay until the other is inside too: no clock decides whether they share. */
static int sharing_thread(void *arg)
{
	down_read(&sem);
	atomic_add(&readers_inside, 1);
	while (atomic_load(&readers_inside) < 2)
		sleep_ms(1);
	atomic_add(&nr_done, 1);
	while (atomic_load(&nr_done) < 2)
		sleep_ms(1);
	up_read(&sem);
	atomic_add(&nr_done, 1);
	return 0;
}

static int reader_thread(void *arg)
{
	for (int i = 0; i < 10; i++) {
		down_read(&sem);
		atomic_add(&readers_inside, 1);
		if (writer_inside)
			broken++;
		schedule_timeout(1000000);
		atomic_sub(&readers_inside, 1);
		up_read(&sem);
	}
	atomic_add(&nr_done, 1);
	return 0;
}

static int writer_thread(void *arg)
{
	for (int i = 0; i < 10; i++) {
		down_write(&sem);
		writer_inside = true;
		if (atomic_load(&readers_inside))
			broken++;
		schedule_timeout(500000);
		writer_inside = false;
		up_write(&sem);
		schedule_timeout(500000);
	}
	atomic_add(&nr_done, 1);
	return 0;
}

GUEST_TEST(sched, rwsem_shares_readers_and_excludes_writers, 0, 0, MEM)
{
	init_rwsem(&sem);
	for (int i = 0; i < 2; i++)
		REQUIRE(!kthread_run(sharing_thread, NULL, "sharer"));
	REQUIRE(wait_until(all_done, (void *)4ul, 20000));
	atomic_sub(&readers_inside, 2);
	atomic_sub(&nr_done, 4);
	for (int i = 0; i < 3; i++)
		REQUIRE(!kthread_run(reader_thread, NULL, "reader"));
	REQUIRE(!kthread_run(writer_thread, NULL, "writer"));
	CHECK(wait_until(all_done, (void *)4ul, 20000));
	CHECK_EQ(broken, 0);
	CHECK(!sem.count);
	down_write(&sem);
	CHECK(!down_read_trylock(&sem));
	up_write(&sem);
	CHECK(down_read_trylock(&sem));
	up_read(&sem);
}

static int one_write(void *arg)
{
	down_write(&sem);
	up_write(&sem);
	atomic_add(&nr_done, 1);
	return 0;
}

static bool somebody_waits(void *arg)
{
	return !list_empty(&sem.wq.waiters);
}

GUEST_TEST(sched, the_last_reader_wakes_the_writer, 0, 0, MEM)
{
	init_rwsem(&sem);
	down_read(&sem);
	REQUIRE(!kthread_run(one_write, NULL, "writer"));
	REQUIRE(wait_until(somebody_waits, NULL, 20000));
	CHECK_EQ(atomic_load(&nr_done), 0);
	up_read(&sem);
	CHECK(wait_until(all_done, (void *)1ul, 20000));
	CHECK(!sem.count);
}

static struct wait_queue wq;
static bool woken;

static int waker_thread(void *arg)
{
	sleep_ms(10);
	WRITE_ONCE(woken, true);
	wake_up(&wq);
	return 7;
}

GUEST_TEST(sched, wait_event_sleeps_until_woken, 0, 0, MEM)
{
	u64 start = ktime_ns();

	wait_queue_init(&wq);
	REQUIRE(!kthread_run(waker_thread, NULL, "waker"));
	wait_event(&wq, READ_ONCE(woken));
	CHECK(ktime_ns() - start >= 10000000);
	CHECK_EQ(run_in_thread(waker_thread, NULL, "waker"), 7);
}

static int null_thread(void *arg)
{
	return 0;
}

GUEST_TEST(sched, ended_threads_give_everything_back, 0, 0, MEM)
{
	u64 before;

	for (int i = 0; i < 5; i++)
		run_in_thread(null_thread, NULL, "warm");
	before = free_pages_at_rest();
	for (int i = 0; i < 40; i++)
		CHECK_EQ(run_in_thread(null_thread, NULL, "short"), 0);
	/* 40 stacks are 160 pages; a slab or two of tasks may stay cached. */
	CHECK(free_pages_reach(before - 8));
}

GUEST_TEST(sched, sleeping_with_a_lock_held_stops_the_kernel, MMVM_TESTF_EXPECT_CRASH, 0, MEM)
{
	static spinlock_t lock = SPINLOCK_INIT;

	spin_lock(&lock);
	schedule_timeout(1000000);
	CHECK(!"it slept");
}
