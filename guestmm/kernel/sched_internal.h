/*
 * The run queues, for the files of the scheduler: sched.c (which task runs), sched_balance.c and affinity.c (on
 * which CPU), sched_stat.c (for how long). The invariants are in sched.c.
 */
#ifndef KERNEL_SCHED_INTERNAL_H
#define KERNEL_SCHED_INTERNAL_H
#include "arch/smp.h"
#include "kernel/loadavg.h"
#include "kernel/task.h"

/* Lock: its own, interrupts off. */
struct rq {
	spinlock_t lock;
	u32 nr;	 /* on the queue; others look at it without the lock */
	u32 cpu; /* C */
	struct list_head queue;
	struct list_head sleepers;
	struct list_head dead; /* exited, this CPU has not left its stack yet */
	struct task *curr, *idle;
	struct task *fpu_owner;
	u64 timer_at;  /* when the timer will fire, 0 = off */
	u64 sample_at; /* when to look whether the program is in the kernel */
	u64 ran_ns[NR_CPU_TIMES], nr_switches;
	u64 samples[2][2]; /* of CPU_USER and CPU_NICE: in the kernel, in user mode */
	u32 nr_iowait;	   /* tasks that sleep until a disk wakes them and left from here */
} __attribute__((aligned(64)));
DECLARE_PER_CPU(struct rq, runqueues);
#define cpu_rq(cpu) (&per_cpu(runqueues, cpu))

static inline struct rq *this_rq(void)
{
	return this_cpu_ptr(&runqueues);
}

static inline void rq_lock(struct rq *rq)
{
	preempt_disable();
	__spin_acquire(&rq->lock);
}

/* Without a look at need_resched. */
static inline void rq_unlock(struct rq *rq)
{
	__atomic_store_n(&rq->lock.locked, 0, __ATOMIC_RELEASE);
	current_thread_info()->preempt_count--;
}

/* The queue of the task, locked; interrupts off. */
static inline struct rq *task_rq_lock(const struct task *t)
{
	struct rq *rq = cpu_rq(READ_ONCE(t->ti->cpu));

	rq_lock(rq);
	if (static_key(KEY_SMP)) {
		while (unlikely(rq != cpu_rq(READ_ONCE(t->ti->cpu)))) { /* I6 */
			rq_unlock(rq);
			rq = cpu_rq(READ_ONCE(t->ti->cpu));
			rq_lock(rq);
		}
	}
	return rq;
}

/* sched.c */
/** rq->lock held: if `t` runs on that CPU, which is not this one, and has a flag that asks for its attention,
 * interrupt that CPU: it sees its flags on the way out of an interrupt. */
void kick_running(struct rq *rq, struct task *t);
/** First thing on the stack of a new task: releases what the one before it held, and turns interrupts on. */
void sched_first_run(void);

/* sched_balance.c */
/** The CPU, of those allowed, where the fewest tasks want to run: this one, if no other is better. */
unsigned int sched_pick_cpu(u32 allowed);
/** Runnable tasks on all CPUs, the running ones included. A look without locks. */
u32 sched_nr_running(void);
/** This CPU has nothing to do: move a task to its queue, from the longest one if that has one that may move. False: no
 * queue has. Interrupts off. */
bool sched_pull_task(void);

/* task.c */
void tasks_init(void);
/** Tasks whose stacks this CPU has left: the reaper frees them. Interrupts off. */
void tasks_reap(struct list_head *dead);
#endif
