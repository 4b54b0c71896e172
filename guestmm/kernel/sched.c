/*
 * Scheduler: round robin, preemptive, one run queue a CPU.
 *
 *   rq->queue     runnable tasks that are not running, oldest first
 *   rq->curr      the running task; the idle task is never on the queue
 *   rq->sleepers  tasks with a time limit, soonest first
 *
 * Invariants, under rq->lock:
 *   I1  a task is on the queue or current exactly when on_rq
 *   I2  only a task that calls schedule() itself leaves the queue: one that was preempted between
 *       "I will sleep" and schedule() stays runnable, so no wake-up is lost
 *   I3  the timer is armed no later than the end of the running slice while somebody waits for the
 *       CPU, and no later than the first sleeper; otherwise it is off: one program alone is never
 *       interrupted, and an idle machine stays halted
 *   I4  a dead task's stack is freed by the reaper, after the CPU has left it
 *
 * User SSE registers stay in the processor until another process wants it (rq->fpu_owner); the
 * kernel uses none. The address space stays loaded while kernel threads run (rq->active_mm), so a
 * process must leave its own before it drops it.
 *
 * Locks: wait-queue lock > rq->lock; task_list_lock > rq->lock. rq->lock is held across the switch
 * and released by the next task.
 */
#include "kernel/task.h"
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/mm.h"
#include "mm/slab.h"
#include "mm/vmalloc.h"

struct rq {
	spinlock_t lock;
	struct list_head queue;
	struct list_head sleepers;
	struct list_head dead; /* exited, waiting for the reaper */
	struct task *curr, *idle;
	struct task *fpu_owner;
	struct mm_struct *active_mm;
	u64 timer_at; /* when the timer will fire, 0 = off */
};
static struct rq runqueues[MMVM_MAX_CPUS];
static struct task idle_tasks[MMVM_MAX_CPUS];
static bool sched_running;

spinlock_t task_list_lock = SPINLOCK_INIT;
struct list_head task_list = LIST_HEAD_INIT(task_list);
int nr_tasks;
static int next_pid = 2;     /* T */
static bool first_pid_taken; /* the first process is 1; T */
static struct kmem_cache *task_cache;
static struct wait_queue reaper_wq = WAIT_QUEUE_INIT(reaper_wq);

static inline struct rq *this_rq(void)
{
	return &runqueues[cpu_id()];
}

/* ---- timer ---- */

static void timer_want(struct rq *rq, u64 now, u64 at)
{
	if (rq->timer_at && rq->timer_at <= at)
		return;
	rq->timer_at = at;
	arch_timer_oneshot(at > now ? at - now : 1);
}

static void timer_update(struct rq *rq, u64 now)
{
	if (!list_empty(&rq->sleepers))
		timer_want(rq, now, list_first_entry(&rq->sleepers, struct task, sleep)->wake_at);
	if (!list_empty(&rq->queue) && rq->curr != rq->idle)
		timer_want(rq, now, rq->curr->slice_end);
}

/* ---- making tasks runnable ---- */

static void make_runnable(struct rq *rq, struct task *t)
{
	if (t->state != TASK_SLEEPING)
		return;
	t->state = TASK_RUNNING;
	if (t->wake_at) {
		list_del(&t->sleep);
		t->wake_at = 0;
	}
	if (t->on_rq)
		return;
	t->on_rq = true;
	list_add_tail(&t->run, &rq->queue);
	if (rq->curr == rq->idle) {
		rq->curr->ti->need_resched = 1;
	} else {
		u64 now = ktime_ns();

		if (now >= rq->curr->slice_end)
			rq->curr->ti->need_resched = 1;
		else
			timer_want(rq, now, rq->curr->slice_end);
	}
}

void wake_up_task(struct task *t)
{
	struct rq *rq = &runqueues[t->ti->cpu];
	unsigned long flags = spin_lock_irqsave(&rq->lock);

	make_runnable(rq, t);
	spin_unlock_irqrestore(&rq->lock, flags);
}

void scheduler_tick(void)
{
	struct rq *rq = this_rq();
	u64 now = ktime_ns();

	spin_lock(&rq->lock);
	rq->timer_at = 0;
	while (!list_empty(&rq->sleepers)) {
		struct task *t = list_first_entry(&rq->sleepers, struct task, sleep);

		if (t->wake_at > now)
			break;
		make_runnable(rq, t);
	}
	if (rq->curr != rq->idle && !list_empty(&rq->queue) && now >= rq->curr->slice_end)
		rq->curr->ti->need_resched = 1;
	else
		timer_update(rq, now);
	__atomic_store_n(&rq->lock.locked, 0, __ATOMIC_RELEASE);
	/* No reschedule here: the end of the interrupt decides. */
	current_thread_info()->preempt_count--;
}

/* ---- switching ---- */

/* First thing on the new stack: the lock the previous task took is ours to release. */
static void finish_switch(void)
{
	struct rq *rq = this_rq();
	bool reap = !list_empty(&rq->dead);

	__atomic_store_n(&rq->lock.locked, 0, __ATOMIC_RELEASE);
	current_thread_info()->preempt_count--;
	if (unlikely(reap))
		wake_up(&reaper_wq);
}

static void switch_user_state(struct rq *rq, struct task *next)
{
	if (next->mm && next->mm != rq->active_mm) {
		arch_switch_mm(next->mm);
		rq->active_mm = next->mm;
	}
	if (!next->user)
		return;
	arch_set_kernel_stack((unsigned long)next->ti + THREAD_SIZE);
	if (rq->fpu_owner != next) {
		if (rq->fpu_owner)
			arch_fpu_save(rq->fpu_owner->fpu);
		arch_fpu_restore(next->fpu);
		rq->fpu_owner = next;
		arch_set_fs_base(next->fs_base);
	}
}

static void __schedule(bool preempt)
{
	unsigned long flags = arch_irq_save();
	struct rq *rq = this_rq();
	struct task *prev, *next;
	u64 now;

	spin_lock(&rq->lock);
	prev = rq->curr;
	prev->ti->need_resched = 0;
	if (unlikely(prev->ti->stack_magic != STACK_MAGIC))
		panic("kernel stack of %s[%d] overflowed", prev->comm, prev->pid);

	if (prev != rq->idle) {
		if (prev->state == TASK_DEAD) {
			prev->on_rq = false;
			list_add_tail(&prev->run, &rq->dead);
		} else if (prev->state == TASK_SLEEPING && !preempt) {
			prev->on_rq = false;
		} else {
			list_add_tail(&prev->run, &rq->queue);
		}
	}
	if (list_empty(&rq->queue)) {
		next = rq->idle;
	} else {
		next = list_first_entry(&rq->queue, struct task, run);
		list_del(&next->run);
	}
	rq->curr = next;
	now = ktime_ns();
	prev->run_ns += now - prev->run_since;
	next->run_since = now;
	if (next != rq->idle || !list_empty(&rq->sleepers)) {
		next->slice_end = now + TICK_NS;
		timer_update(rq, now);
	}
	if (next == prev) {
		__atomic_store_n(&rq->lock.locked, 0, __ATOMIC_RELEASE);
		prev->ti->preempt_count--;
	} else {
		next->nr_switches++;
		switch_user_state(rq, next);
		trace_point(SWITCH, next->pid);
		arch_switch_stack(&prev->ksp, next->ksp);
		finish_switch();
	}
	arch_irq_restore(flags);
}

void schedule(void)
{
	if (unlikely(current_thread_info()->preempt_count || !sched_running))
		panic("scheduling while atomic: %s, preempt_count %d", current->comm,
		      current_thread_info()->preempt_count);
	__schedule(false);
}

void preempt_schedule(void)
{
	if (!sched_running || arch_irqs_disabled())
		return;
	while (current_thread_info()->need_resched)
		__schedule(true);
}

void preempt_schedule_irq(void)
{
	struct thread_info *ti = current_thread_info();

	if (ti->need_resched && !ti->preempt_count && sched_running)
		__schedule(true);
}

void cond_resched(void)
{
	struct thread_info *ti = current_thread_info();

	if (unlikely(ti->need_resched) && !ti->preempt_count)
		preempt_schedule();
}

void sched_yield(void)
{
	__schedule(true);
}

u64 schedule_timeout(u64 ns)
{
	struct task *t = current;
	u64 until = ktime_ns() + ns, now;
	struct rq *rq = this_rq();
	unsigned long flags = spin_lock_irqsave(&rq->lock);
	struct list_head *p;

	/* Woken already since prepare_to_wait(): nothing to limit. */
	if (t->state == TASK_SLEEPING) {
		t->wake_at = until;
		list_for_each (p, &rq->sleepers) {
			if (list_entry(p, struct task, sleep)->wake_at > until)
				break;
		}
		list_add_tail(&t->sleep, p);
	}
	spin_unlock_irqrestore(&rq->lock, flags);
	schedule();
	now = ktime_ns();
	return now < until ? until - now : 0;
}

void sleep_ns(u64 ns)
{
	WRITE_ONCE(current->state, TASK_SLEEPING);
	schedule_timeout(ns);
}

bool may_sleep(void)
{
	return sched_running && !current_thread_info()->preempt_count && !arch_irqs_disabled();
}

/* ---- address spaces of tasks ---- */

void task_set_mm(struct mm_struct *mm)
{
	struct task *t = current;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct rq *rq = this_rq();

	t->mm = mm;
	t->ti->mm = mm;
	arch_switch_mm(mm);
	rq->active_mm = mm;
	spin_unlock_irqrestore(&task_list_lock, flags);
}

void kthread_use_mm(struct mm_struct *mm)
{
	BUG_ON(current->user || current->mm);
	task_set_mm(mm);
}

void kthread_unuse_mm(void)
{
	BUG_ON(current->user || !current->mm);
	task_set_mm(NULL);
}

/* ---- life of a task ---- */

static void task_start(void)
{
	finish_switch();
	arch_irq_enable();
	current->fn(current->arg);
	task_exit();
}

static struct task *__task_create(int (*fn)(void *), void *arg, const char *name, bool user)
{
	struct task *t = kmem_cache_alloc(task_cache, GFP_KERNEL | __GFP_ZERO);
	unsigned long flags;

	if (!t)
		return NULL;
	t->ti = __vmalloc(THREAD_SIZE, THREAD_SIZE, GFP_KERNEL, PAGE_STACK, name);
	if (!t->ti) {
		kmem_cache_free(task_cache, t);
		return NULL;
	}
	memset(t->ti, 0, sizeof(*t->ti));
	t->ti->task = t;
	t->ti->stack_magic = STACK_MAGIC;
	t->ti->preempt_count = 1; /* as if it had taken rq->lock itself: finish_switch() drops it */
	t->ksp = arch_init_stack(user ? ALIGN_DOWN((unsigned long)task_user_regs(t), 16ul)
				      : (unsigned long)t->ti + THREAD_SIZE,
				 task_start);
	t->fn = fn;
	t->arg = arg;
	t->user = user;
	t->state = TASK_SLEEPING;
	strscpy(t->comm, name, sizeof(t->comm));
	if (user)
		arch_fpu_init(t->fpu);

	flags = spin_lock_irqsave(&task_list_lock);
	if (user && !first_pid_taken) {
		t->pid = 1;
		first_pid_taken = true;
	} else {
		t->pid = next_pid++;
	}
	list_add_tail(&t->tasks, &task_list);
	nr_tasks++;
	spin_unlock_irqrestore(&task_list_lock, flags);
	return t;
}

struct task *task_create(int (*fn)(void *), void *arg, const char *name)
{
	return __task_create(fn, arg, name, false);
}

struct task *task_create_user(int (*fn)(void *), void *arg, const char *name)
{
	return __task_create(fn, arg, name, true);
}

int kthread_run(int (*fn)(void *), void *arg, const char *name)
{
	struct task *t = task_create(fn, arg, name);

	if (!t)
		return -ENOMEM;
	wake_up_task(t);
	return 0;
}

void task_free(struct task *t)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	list_del(&t->tasks);
	nr_tasks--;
	spin_unlock_irqrestore(&task_list_lock, flags);
	kmem_cache_free(task_cache, t);
}

void task_destroy(struct task *t)
{
	vfree(t->ti);
	task_free(t);
}

void task_exit(void)
{
	struct task *t = current;
	struct rq *rq;

	arch_irq_disable();
	rq = this_rq();
	if (rq->fpu_owner == t)
		rq->fpu_owner = NULL;
	t->state = TASK_DEAD;
	__schedule(false);
	panic("dead task %s[%d] runs again", t->comm, t->pid);
}

static int reaper(void *arg)
{
	struct rq *rq = this_rq();

	for (;;) {
		struct task *t = NULL;
		unsigned long flags;

		wait_event(&reaper_wq, !list_empty(&rq->dead));
		flags = spin_lock_irqsave(&rq->lock);
		if (!list_empty(&rq->dead)) {
			t = list_first_entry(&rq->dead, struct task, run);
			list_del(&t->run);
		}
		spin_unlock_irqrestore(&rq->lock, flags);
		if (!t)
			continue;
		vfree(t->ti);
		t->ti = NULL;
		if (t->user)
			process_dead(t);
		task_free(t);
	}
	return 0;
}

u64 task_run_ns(const struct task *t)
{
	u64 ns = READ_ONCE(t->run_ns);

	return t == current ? ns + ktime_ns() - READ_ONCE(t->run_since) : ns;
}

struct task *find_task(int pid)
{
	struct task *t;

	list_for_each_entry (t, &task_list, tasks) {
		if (t->pid == pid)
			return t;
	}
	return NULL;
}

void sched_init(void)
{
	struct rq *rq = this_rq();
	struct task *idle = &idle_tasks[cpu_id()];

	task_cache = kmem_cache_create("task", sizeof(struct task), 64, SLAB_PANIC, NULL);
	INIT_LIST_HEAD(&rq->queue);
	INIT_LIST_HEAD(&rq->sleepers);
	INIT_LIST_HEAD(&rq->dead);
	idle->ti = current_thread_info();
	idle->ti->task = idle;
	idle->ti->stack_magic = STACK_MAGIC;
	idle->state = TASK_RUNNING;
	strscpy(idle->comm, "idle", sizeof(idle->comm));
	rq->idle = idle;
	rq->curr = idle;
	sched_running = true;
	if (kthread_run(reaper, NULL, "kreaper"))
		panic("no memory for the reaper thread");
}

void cpu_idle(void)
{
	for (;;) {
		arch_irq_disable();
		if (current_thread_info()->need_resched) {
			arch_irq_enable();
			__schedule(false);
		} else {
			arch_idle();
		}
	}
}
