/*
 * The lock-order checker names what could deadlock, although nothing does: each of these cases ends
 * in a panic, and the host looks for its words (MMVM_TESTF_EXPECT_CRASH; test_expect_words()).
 */
#include "kernel/task.h"
#include "mm/huge/hugetlb.h"
#include "tests/tests.h"

#define ON "memory=24M,high=4M append=lockdep"

static spinlock_t lock_a = SPINLOCK_INIT, lock_b = SPINLOCK_INIT, lock_c = SPINLOCK_INIT;
static struct mutex mutex_a = MUTEX_INIT(mutex_a), mutex_b = MUTEX_INIT(mutex_b);

/* A macro, because a lock's name is the text at the place that takes it. */
#define take_two(first, second)      \
	do {                         \
		spin_lock(first);    \
		spin_lock(second);   \
		spin_unlock(second); \
		spin_unlock(first);  \
	} while (0)

GUEST_TEST(lockdep, honest_orders_pass, 0, 30, ON)
{
	unsigned long flags;

	CHECK(static_key(KEY_LOCKDEP));
	for (int i = 0; i < 3; i++) {
		take_two(&lock_a, &lock_b);
		take_two(&lock_b, &lock_c);
		take_two(&lock_a, &lock_c);
	}
	mutex_lock(&mutex_a);
	mutex_lock(&mutex_b);
	flags = spin_lock_irqsave(&lock_a);
	spin_unlock_irqrestore(&lock_a, flags);
	/* Out of order is no inversion. */
	mutex_unlock(&mutex_a);
	mutex_unlock(&mutex_b);
}

static int a_then_b(void *arg)
{
	take_two(&lock_a, &lock_b);
	return 0;
}

GUEST_TEST(lockdep, an_inversion_is_named, MMVM_TESTF_EXPECT_CRASH, 30, ON)
{
	test_expect_words(t, "lockdep: &lock_a is taken while &lock_b is held");
	CHECK_EQ(run_in_thread(a_then_b, NULL, "a-then-b"), 0);
	spin_lock(&lock_b);
	spin_lock(&lock_a);
}

GUEST_TEST(lockdep, a_cycle_of_three_is_named, MMVM_TESTF_EXPECT_CRASH, 30, ON)
{
	test_expect_words(t, "lockdep: &lock_a is taken while &lock_c is held");
	take_two(&lock_a, &lock_b);
	take_two(&lock_b, &lock_c);
	spin_lock(&lock_c);
	spin_lock(&lock_a);
}

GUEST_TEST(lockdep, mutexes_are_ordered_too, MMVM_TESTF_EXPECT_CRASH, 30, ON)
{
	test_expect_words(t, "sleeping lock is taken while sleeping lock is held");
	mutex_lock(&mutex_a);
	mutex_lock(&mutex_b);
	mutex_unlock(&mutex_b);
	mutex_unlock(&mutex_a);
	mutex_lock(&mutex_b);
	mutex_lock(&mutex_a);
}

GUEST_TEST(lockdep, a_mutex_under_a_spinlock_is_named, MMVM_TESTF_EXPECT_CRASH, 30, ON)
{
	test_expect_words(t, "which sleeps, is taken while &lock_a is held");
	spin_lock(&lock_a);
	mutex_lock(&mutex_a);
}

GUEST_TEST(lockdep, a_lock_taken_twice_is_named, MMVM_TESTF_EXPECT_CRASH, 30, ON)
{
	test_expect_words(t, "lockdep: &lock_a is taken again by its owner");
	spin_lock(&lock_a);
	spin_lock(&lock_a);
}

/* Interrupts take it, and a thread takes it with interrupts on: the handler could meet its own CPU
 * as the owner. */
static void take_in_irq(void *arg)
{
	spin_lock(&lock_b);
	spin_unlock(&lock_b);
}

GUEST_TEST(lockdep, a_lock_of_interrupts_taken_with_them_on_is_named, MMVM_TESTF_EXPECT_CRASH, 30,
	   "memory=24M,high=4M cpus=2 append=lockdep")
{
	test_expect_words(t, "lockdep: &lock_b is taken in interrupts");
	on_each_cpu(take_in_irq, NULL);
	spin_lock(&lock_b);
	spin_unlock(&lock_b);
}

/* Locks that are nested before there is a task. */
GUEST_TEST(lockdep, locks_of_boot_are_checked, 0, 30,
	   "memory=48M,high=8M append=lockdep hugepages=2")
{
	CHECK(static_key(KEY_LOCKDEP));
	CHECK_EQ(hstates[0].nr, 2);
}

/* A fault within the checker, which has its own lock then. The report takes locks. */
GUEST_TEST(lockdep, a_crash_of_the_checker_is_reported, MMVM_TESTF_EXPECT_CRASH, 30, ON)
{
	spinlock_t l; /* no static lock: its class is its name */

	test_expect_words(t, "null pointer: not mapped at 0000000000000008");
	lockdep_acquire(&l, 0, (const char *)8, LOCK_CHECK | LOCK_HOLD, 0);
}
