/*
 * On which CPUs a task may run.
 *
 * A task that may not run on its CPU sleeps, and a kernel thread wakes it on another CPU: while it sleeps nobody
 * uses its stack (I6 of sched.c). It does so on its way to user mode, where it holds no lock.
 *
 * A signal or another sched_setaffinity(2) may wake the task before the thread does. It may then run, end and be
 * freed. So a task takes itself off the list before it continues, and the thread uses a task only while it is on
 * the list.
 *
 * Locks: migrate_lock, for the list of those tasks > rq->lock.
 */
#include "kernel/sched_internal.h"
#include "lib/errno.h"

static LIST_HEAD(migrating_tasks); /* migrate_lock */
static spinlock_t migrate_lock = SPINLOCK_INIT;
static struct wait_queue migrate_wq = WAIT_QUEUE_INIT(migrate_wq);

/* Assign a sleeping task to the queue of a CPU that it may run on. False: it does not sleep yet. */
static bool move_sleeping(struct task *t)
{
	unsigned long flags = arch_irq_save();
	struct rq *rq = task_rq_lock(t);
	bool asleep = t->state == TASK_SLEEPING && !t->on_rq && rq->curr != t;

	if (asleep)
		WRITE_ONCE(t->ti->cpu, sched_pick_cpu(t->cpus));
	rq_unlock(rq);
	arch_irq_restore(flags);
	return asleep;
}

/* Move the first task of the list, if there is one. False: it does not sleep yet, so it must run first. */
static bool move_first(void)
{
	unsigned long flags = spin_lock_irqsave(&migrate_lock);
	bool done = true;

	if (!list_empty(&migrating_tasks)) {
		struct task *t = list_first_entry(&migrating_tasks, struct task, migrate);

		done = move_sleeping(t);
		if (done) {
			list_del(&t->migrate);
			t->migrating = false;
			wake_up_task(t);
		}
	}
	spin_unlock_irqrestore(&migrate_lock, flags);
	return done;
}

static int migration_thread(void *arg)
{
	for (;;) {
		wait_event(&migrate_wq, !list_empty(&migrating_tasks));
		if (!move_first())
			sched_yield();
	}
	return 0;
}

int sched_migration_init(void)
{
	static struct mutex lock = MUTEX_INIT(lock);
	static bool running;
	int err = 0;

	mutex_lock(&lock);
	if (!running) {
		err = kthread_run(migration_thread, NULL, "migration");
		running = !err;
	}
	mutex_unlock(&lock);
	return err;
}

void sched_migrate_self(void)
{
	struct task *t = current;
	unsigned long flags;

	atomic_and(&t->ti->flags, ~TIF_MIGRATE);
	while (!(READ_ONCE(t->cpus) >> cpu_id() & 1)) {
		WRITE_ONCE(t->state, TASK_SLEEPING);
		flags = spin_lock_irqsave(&migrate_lock);
		if (!t->migrating) {
			t->migrating = true;
			list_add_tail(&t->migrate, &migrating_tasks);
		}
		spin_unlock_irqrestore(&migrate_lock, flags);
		wake_up(&migrate_wq);
		schedule(); /* a signal may wake us on the old CPU; then try again */
	}
	flags = spin_lock_irqsave(&migrate_lock);
	if (t->migrating) {
		t->migrating = false;
		list_del(&t->migrate);
	}
	spin_unlock_irqrestore(&migrate_lock, flags);
}

void sched_set_cpus(struct task *t, u32 cpus)
{
	unsigned long flags = arch_irq_save();
	struct rq *rq = task_rq_lock(t);

	t->cpus = cpus;
	atomic_or(&t->ti->flags, TIF_MIGRATE);
	kick_running(rq, t);
	rq_unlock(rq);
	arch_irq_restore(flags);
}

void sched_fork(struct task *t)
{
	t->nice = current->nice;
	if (!current->policy_reset)
		t->policy = current->policy;
	else if (t->nice < 0)
		t->nice = 0;
	if (t->user && t->nice > 0)
		t->kind = CPU_NICE;
	t->pi_boost = TURN_IDLE;
	sched_set_turn(t);
	t->cpus = READ_ONCE(current->cpus);
	if (!(t->cpus >> t->ti->cpu & 1))
		t->ti->cpu = sched_pick_cpu(t->cpus); /* no other CPU can reach the task yet (I6) */
}
