/* Tasks that may not run where they are: the thread that moves them, and those that leave before it comes. */
#include "kernel/task.h"
#include "tests/tests.h"

#define TWO "memory=24M,high=4M cpus=2"

static u32 nr_left;	 /* A: threads that have not ended */
static u32 nr_on_list;	 /* A: threads that went on and were still to be moved */
static u32 nr_misplaced; /* A: threads that went on where they may not run */
static u32 may_end;

static int hop(void *arg)
{
	sched_migrate_self();
	if (!(READ_ONCE(current->cpus) >> cpu_id() & 1))
		atomic_add(&nr_misplaced, 1);
	if (READ_ONCE(current->migrating))
		atomic_add(&nr_on_list, 1);
	while (!READ_ONCE(may_end))
		cond_resched();
	atomic_sub(&nr_left, 1);
	return 0;
}

static bool none_left(void *arg)
{
	return !atomic_load(&nr_left);
}

/* A thread that begins on `cpu` and may run only on the other one. */
static struct task *start_hop(unsigned int cpu)
{
	struct task *task = task_create(hop, NULL, "hop");

	if (!task)
		return NULL;
	WRITE_ONCE(may_end, 0);
	atomic_add(&nr_left, 1);
	task->bound = true; /* not taken by an idle CPU */
	task->ti->cpu = cpu;
	task->cpus = 1u << !cpu;
	wake_up_task(task);
	return task;
}

GUEST_TEST(affinity, a_task_moves_to_where_it_may_run, 0, 60, TWO)
{
	REQUIRE(!sched_migration_init());
	for (unsigned int i = 0; i < 40; i++) {
		REQUIRE(start_hop(i & 1));
		WRITE_ONCE(may_end, 1);
		CHECK(wait_until(none_left, NULL, 5000));
	}
	CHECK_EQ(nr_misplaced, 0);
	CHECK_EQ(nr_on_list, 0);
}

/* It may run there again before it was moved: it takes itself off the list, ends, and its memory is used
 * again. Without that the thread that moves tasks reads freed memory. */
GUEST_TEST(affinity, a_task_that_need_not_move_leaves_the_list, 0, 120, TWO)
{
	u32 met = 0;

	REQUIRE(!sched_migration_init());
	for (unsigned int i = 0; i < 6000 && met < 20; i++) {
		struct task *task = start_hop(i & 1);

		REQUIRE(task);
		for (u32 tries = 0; tries < 1000 && !READ_ONCE(task->migrating); tries++)
			cond_resched();
		preempt_disable();
		met += READ_ONCE(task->migrating);
		sched_set_cpus(task, 3);
		wake_up_task(task);
		preempt_enable();
		WRITE_ONCE(may_end, 1);
		CHECK(wait_until(none_left, NULL, 5000));
	}
	CHECK(met > 0);
	CHECK_EQ(nr_misplaced, 0);
	CHECK_EQ(nr_on_list, 0);
}
