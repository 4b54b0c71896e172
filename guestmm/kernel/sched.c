/*
 * Scheduler: round robin, preemptive, one run queue a CPU.
 *
 *   rq->queue     runnable tasks that are not running, oldest first
 *   rq->curr      the running task; the idle task is never on the queue
 *   rq->sleepers  tasks with a time limit, soonest first
 *
 *   new task ──> the emptiest queue        idle CPU <── pulls from the longest queue
 *   woken    ──> the queue it slept on; if that CPU is busy and another idle, that one gets an interrupt.
 *                A kernel thread that frees memory (TIF_MEMALLOC) runs at once. If it waited for the end of
 *                a slice, the running task could use up the memory that it is to keep free
 *
 * Invariants, under rq->lock:
 *   I1  a task is on the queue or current exactly when on_rq
 *   I2  only a task that calls schedule() itself leaves the queue: one that was preempted between
 *       "I will sleep" and schedule() stays runnable, so no wake-up is lost
 *   I3  the timer is armed no later than the end of the running slice while somebody waits for the
 *       CPU, and no later than the first sleeper, and while a program runs every 10 ms to see whether
 *       it is in the kernel; otherwise it is off: an idle machine stays halted. A CPU arms only its
 *       own timer: a CPU that queues a task on another one sends that one an interrupt
 *       (scheduler_ipi())
 *   I4  a dead task's stack is freed by the reaper, after the CPU has left it
 *   I5  a task that was preempted in the kernel continues on the same CPU (`preempted`). So in kernel
 *       code, cpu_id() and data indexed by it stay valid until the code sleeps or yields. Other
 *       runnable tasks may be pulled by another CPU
 *   I6  t->ti->cpu changes only under the lock of the queue it names, while t does not run. A task that
 *       is being pulled is between two queues: runnable, on_rq, and on no list
 *
 * User SSE registers stay in the processor until another process uses it (rq->fpu_owner). The kernel
 * uses three of them, with interrupts off, and gives them back (arch/tails.h). With several CPUs, they
 * are saved whenever the task leaves a CPU, because it may continue
 * on another one. They are loaded again, unless the task returns to a CPU that no other task has used
 * the SSE registers of (task->fpu_cpu). The address space stays loaded while kernel threads run. Before
 * an address space is freed, its process leaves it, and other CPUs are made to (arch_release_mm()).
 *
 * Locks: wait-queue lock > rq->lock; task_list_lock > rq->lock; never two of rq->lock. It is held
 * across the switch and released by the next task, so the lock-order checker does not see it.
 * Only psi_lock, and memcg_lock inside that, are taken under it.
 */
#include "kernel/sched_internal.h"
#include "arch/tlb.h"
#include "kernel/loadavg.h"
#include "kernel/psi.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/highmem.h"
#include "mm/virt/mm.h"

DEFINE_PER_CPU_ALIGNED(struct rq, runqueues);
static u32 idle_cpus; /* A: CPUs that have nothing to do and may be halted */
static struct task idle_tasks[MMVM_MAX_CPUS];
static bool sched_running;

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
	if (rq->curr->user) {
		if (rq->sample_at <= now)
			rq->sample_at = now + TICK_NS;
		timer_want(rq, now, rq->sample_at);
	}
}

/* Count a sample of what the CPU does. Time in the kernel is estimated from samples, as in Linux without exact
 * accounting, so entering and leaving the kernel costs nothing. */
static void take_sample(struct rq *rq, u64 now, bool user_mode)
{
	if (!rq->curr->user || now < rq->sample_at)
		return;
	rq->curr->samples[user_mode]++;
	rq->samples[rq->curr->kind == CPU_NICE][user_mode]++;
	rq->sample_at = now + TICK_NS;
	if (unlikely(cpu_timers_set(rq->curr->proc)))
		atomic_or(&rq->curr->ti->flags, TIF_CPU_TIMER);
}

/* ---- making tasks runnable ---- */

/* Is it a kernel thread that frees memory, such as kswapd? */
static inline bool frees_memory(const struct task *t)
{
	return READ_ONCE(t->ti->flags) & TIF_MEMALLOC && !t->user;
}

/* Returns whether the task was not runnable before. */
static bool make_runnable(struct rq *rq, struct task *t)
{
	bool waits;
	u64 now = 0;

	if (t->state != TASK_SLEEPING)
		return false;
	t->state = TASK_RUNNING;
	if (t->wake_at) {
		list_del(&t->sleep);
		t->wake_at = 0;
	}
	if (t->on_rq)
		return false;
	t->on_rq = true;
	t->preempted = false;
	rq->nr++;
	if (unlikely(frees_memory(t)))
		list_add(&t->run, &rq->queue);
	else
		list_add_tail(&t->run, &rq->queue);
	waits = rq->curr != rq->idle || rq->nr > 1;
	if (unlikely(waits || t->psi[PSI_IO])) {
		rq->nr_iowait -= t->psi[PSI_IO] != NULL;
		now = ktime_ns();
		psi_woken(t, waits, now);
	}
	if (rq->curr == rq->idle) {
		rq->curr->ti->need_resched = 1;
	} else if (static_key(KEY_SMP) && rq != this_rq()) {
		/* Its timer is armed by scheduler_ipi(). */
	} else {
		/* Another task runs here, so t waits and `now` was read. */
		if (now >= rq->curr->slice_end || unlikely(frees_memory(t)))
			rq->curr->ti->need_resched = 1;
		else
			timer_want(rq, now, rq->curr->slice_end);
	}
	return true;
}

/* A task has become runnable on `rq`: interrupt the CPU that should run it. Interrupts off, rq->lock not held. */
static __attribute__((noinline)) void tell_cpus(struct rq *rq)
{
	unsigned int cpu = rq->cpu;
	u32 idle;

	if (rq != this_rq())
		smp_send_reschedule(cpu);
	/* The queue was changed before idle_cpus is read. An idle CPU sets its bit before it reads the queues. So one
	 * of the two sees the other. */
	smp_mb();
	idle = READ_ONCE(idle_cpus) & ~(1u << cpu | 1u << cpu_id());
	if (idle && READ_ONCE(rq->curr) != rq->idle)
		smp_send_reschedule(__builtin_ctz(idle));
}

/* A thread that runs on another CPU sees its flags only when it leaves the kernel, so interrupt that CPU. */
__attribute__((noinline)) void kick_running(struct rq *rq, struct task *t)
{
	if (READ_ONCE(rq->curr) == t && rq != this_rq() &&
	    READ_ONCE(t->ti->flags) & (TIF_KILLED | TIF_SIGPENDING | TIF_MIGRATE))
		smp_send_reschedule(rq->cpu);
}

/* Check need_resched, which rq_unlock() does not. */
static inline void cond_preempt(void)
{
	struct thread_info *ti = current_thread_info();

	if (unlikely(ti->need_resched) && ti->preempt_count == 0 && !arch_irqs_disabled())
		preempt_schedule();
}

void wake_up_task(struct task *t)
{
	unsigned long flags = arch_irq_save();
	struct rq *rq = task_rq_lock(t);
	bool woken = make_runnable(rq, t);

	if (static_key(KEY_SMP)) {
		if (!woken && t->user)
			kick_running(rq, t);
		rq_unlock(rq);
		if (woken)
			tell_cpus(rq);
	} else {
		rq_unlock(rq);
	}
	arch_irq_restore(flags);
	if (unlikely(READ_ONCE(psi_wake_wanted)))
		psi_wake_worker();
	cond_preempt();
}

void scheduler_tick(bool user_mode)
{
	struct rq *rq = this_rq();
	u64 now = ktime_ns();
	bool woken = false;

	rq_lock(rq);
	rq->timer_at = 0;
	take_sample(rq, now, user_mode);
	while (!list_empty(&rq->sleepers)) {
		struct task *t = list_first_entry(&rq->sleepers, struct task, sleep);

		if (t->wake_at > now)
			break;
		woken |= make_runnable(rq, t);
	}
	if (rq->curr != rq->idle && !list_empty(&rq->queue) && now >= rq->curr->slice_end)
		rq->curr->ti->need_resched = 1;
	else
		timer_update(rq, now);
	rq_unlock(rq);
	if (static_key(KEY_SMP) && woken)
		tell_cpus(rq);
	if (unlikely(READ_ONCE(psi_wake_wanted)))
		psi_wake_worker();
	/* No reschedule here: the end of the interrupt decides. */
}

void scheduler_ipi(void)
{
	struct rq *rq = this_rq();
	u64 now = ktime_ns();

	rq_lock(rq);
	if (rq->curr == rq->idle)
		rq->curr->ti->need_resched = 1; /* to look at all queues */
	else if (!list_empty(&rq->queue) &&
		 (now >= rq->curr->slice_end ||
		  frees_memory(list_first_entry(&rq->queue, struct task, run))))
		rq->curr->ti->need_resched = 1;
	else
		timer_update(rq, now);
	rq_unlock(rq);
}

/* ---- switching ---- */

/* First thing on the new stack: release the lock that the previous task took. */
static void finish_switch(void)
{
	struct rq *rq = this_rq();

	rq_unlock(rq);
	/* Only this CPU uses rq->dead, and interrupts are off, so no lock is needed. */
	if (unlikely(!list_empty(&rq->dead)))
		tasks_reap(&rq->dead);
}

void sched_first_run(void)
{
	finish_switch();
	arch_irq_enable();
}

static void switch_user_state(struct rq *rq, struct task *next)
{
	if (static_key(KEY_HIGHMEM))
		kmap_switch_to(next->ti);
	if (next->mm)
		arch_switch_mm(next->mm);
	if (static_key(KEY_SMP)) {
		struct task *prev = current;

		if (prev->user && prev->state != TASK_DEAD)
			arch_fpu_save(prev->fpu);
		if (rq->fpu_owner == next && next->fpu_cpu != cpu_id() + 1)
			rq->fpu_owner = NULL; /* it was elsewhere since */
		if (rq->fpu_owner != next && next->user) {
			rq->fpu_owner = NULL; /* saved when it left */
			next->fpu_cpu = cpu_id() + 1;
		}
	}
	if (!next->user)
		return;
	if (next->rseq)
		atomic_or(&next->ti->flags, TIF_RSEQ);
	arch_set_kernel_stack((unsigned long)next->ti + THREAD_SIZE);
	if (rq->fpu_owner != next) {
		if (rq->fpu_owner)
			arch_fpu_save(rq->fpu_owner->fpu);
		arch_fpu_restore(next->fpu);
		rq->fpu_owner = next;
		arch_set_fs_base(next->fs_base);
		arch_set_gs_base(next->gs_base);
	}
}

/*
 * The length of a task's slice depends on its nice value: one step is a factor of 1.25, as in Linux. A slice has
 * eight ticks at most, so that others need not wait too long, and is not so short that switching costs more.
 */
static u64 slice_ns(const struct task *t)
{
	int nice = READ_ONCE(t->turn);
	u64 ns = TICK_NS;

	if (likely(!nice))
		return ns;
	if (unlikely(nice == TURN_IDLE))
		return ns / 32;
	for (; nice > 0; nice--)
		ns = ns * 4 / 5;
	for (; nice < 0; nice++)
		ns = ns * 5 / 4;
	ns = min(ns, 8 * (u64)TICK_NS);
	return max(ns, (u64)TICK_NS / 32);
}

/* Why a task gives up the CPU */
enum leave {
	LEAVE_SLEEP,   /* it called schedule(), perhaps to sleep */
	LEAVE_YIELD,   /* it yielded, and may run again at once */
	LEAVE_PREEMPT, /* it was preempted, anywhere in the kernel */
};

static void __schedule(enum leave why)
{
	unsigned long flags = arch_irq_save();
	struct rq *rq = this_rq();
	struct task *prev, *next;
	bool pressure, slept = false;
	u64 now;

	rq_lock(rq);
	prev = rq->curr;
	pressure = READ_ONCE(psi_stalled);
	prev->ti->need_resched = 0;
	if (unlikely(prev->ti->stack_magic != STACK_MAGIC))
		panic("kernel stack of %s[%d] overflowed", prev->comm, prev->pid);

	if (prev != rq->idle) {
		if (prev->state == TASK_DEAD) {
			prev->on_rq = false;
			slept = true;
			list_add_tail(&prev->run, &rq->dead);
		} else if (prev->state == TASK_SLEEPING && why == LEAVE_SLEEP) {
			prev->on_rq = false;
			slept = true;
			if (unlikely(prev->in_iowait)) {
				rq->nr_iowait++;
				pressure = true;
			}
		} else {
			/* With a time limit it is on this CPU's list of sleepers, too. */
			prev->preempted = why == LEAVE_PREEMPT || prev->state == TASK_SLEEPING;
			list_add_tail(&prev->run, &rq->queue);
			rq->nr++;
		}
	}
	if (list_empty(&rq->queue)) {
		next = rq->idle;
		next->kind = rq->nr_iowait ? CPU_IOWAIT : CPU_IDLE;
	} else {
		next = list_first_entry(&rq->queue, struct task, run);
		list_del(&next->run);
		rq->nr--;
	}
	rq->curr = next;
	now = ktime_ns();
	prev->run_ns += now - prev->run_since;
	rq->ran_ns[prev->kind] += now - prev->run_since;
	next->run_since = now;
	if (unlikely(READ_ONCE(psi_has_groups)))
		psi_running(cpu_id(), next->mm);
	if (unlikely(pressure))
		psi_switch(prev, next, next == rq->idle, now);
	if (unlikely(now >= READ_ONCE(load_next)))
		load_update(now, sched_nr_running());
	if (static_key(KEY_SMP) && next != rq->idle)
		atomic_and(&idle_cpus, ~(1u << cpu_id()));
	if (next != rq->idle || !list_empty(&rq->sleepers)) {
		next->slice_end = now + slice_ns(next);
		timer_update(rq, now);
	}
	if (next == prev) {
		rq_unlock(rq);
	} else {
		*(slept ? &prev->nvcsw : &prev->nivcsw) += 1;
		rq->nr_switches++;
		switch_user_state(rq, next);
		trace_point(SWITCH, next->pid);
		this_cpu_write(current_ti, next->ti);
		this_cpu_write(current_task_ptr, next);
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
	__schedule(LEAVE_SLEEP);
}

void preempt_schedule(void)
{
	if (!sched_running || arch_irqs_disabled())
		return;
	while (current_thread_info()->need_resched)
		__schedule(LEAVE_PREEMPT);
}

void preempt_schedule_irq(void)
{
	struct thread_info *ti = current_thread_info();

	if (ti->need_resched && !ti->preempt_count && sched_running)
		__schedule(LEAVE_PREEMPT);
}

void cond_resched(void)
{
	struct thread_info *ti = current_thread_info();

	if (unlikely(ti->need_resched) && !ti->preempt_count)
		preempt_schedule();
}

void sched_yield(void)
{
	__schedule(LEAVE_YIELD);
}

u64 schedule_timeout(u64 ns)
{
	struct task *t = current;
	u64 until = ktime_ns() + ns, now;
	unsigned long flags = arch_irq_save();
	struct rq *rq = this_rq();
	struct list_head *p;

	rq_lock(rq);

	/* If it was woken after prepare_to_wait(), it does not sleep and needs no time limit. */
	if (t->state == TASK_SLEEPING) {
		t->wake_at = until;
		list_for_each (p, &rq->sleepers) {
			if (list_entry(p, struct task, sleep)->wake_at > until)
				break;
		}
		list_add_tail(&t->sleep, p);
	}
	rq_unlock(rq);
	arch_irq_restore(flags);
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

void task_exit(void)
{
	struct task *t = current;
	struct rq *rq;

	arch_irq_disable();
	rq = this_rq();
	if (rq->fpu_owner == t)
		rq->fpu_owner = NULL;
	t->state = TASK_DEAD;
	__schedule(LEAVE_SLEEP);
	panic("dead task %s[%d] runs again", t->comm, t->pid);
}

void sched_init_idle(unsigned int cpu, struct thread_info *ti)
{
	struct rq *rq = cpu_rq(cpu);
	struct task *idle = &idle_tasks[cpu];

	idle->ti = ti;
	ti->task = idle;
	ti->limits = kernel_limits;
	ti->cpu = cpu;
	ti->stack_magic = STACK_MAGIC;
	if (static_key(KEY_HIGHMEM) && cpu) /* kmap_init() did this for CPU 0 */
		kmap_boot_thread_init(ti, cpu);
	idle->state = TASK_RUNNING;
	idle->kind = CPU_IDLE;
	strscpy(idle->comm, "idle", sizeof(idle->comm));
	per_cpu(current_ti, cpu) = ti;
	per_cpu(current_task_ptr, cpu) = idle;
	rq->idle = idle;
	rq->curr = idle;
}

void sched_init(void)
{
	for_each_possible_cpu (cpu) {
		cpu_rq(cpu)->cpu = cpu;
		INIT_LIST_HEAD(&cpu_rq(cpu)->queue);
		INIT_LIST_HEAD(&cpu_rq(cpu)->sleepers);
		INIT_LIST_HEAD(&cpu_rq(cpu)->dead);
	}
	sched_init_idle(0, current_thread_info());
	sched_running = true;
	tasks_init();
}

/* Set this CPU's bit in idle_cpus, and then look for a task to run. Interrupts off. */
static bool found_work(void)
{
	u32 me = 1u << cpu_id();

	atomic_or(&idle_cpus, me);
	smp_mb();
	if (!sched_pull_task())
		return false;
	atomic_and(&idle_cpus, ~me);
	return true;
}

void cpu_idle(void)
{
	for (;;) {
		arch_irq_disable();
		if (current_thread_info()->need_resched || (static_key(KEY_SMP) && found_work())) {
			arch_irq_enable();
			__schedule(LEAVE_SLEEP);
		} else {
			arch_idle();
		}
	}
}
