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
	u32 nr;	 /* tasks on the queue; other CPUs read it without the lock */
	u32 cpu; /* C */
	struct list_head queue;
	struct list_head sleepers;
	struct list_head dead; /* the task that exited here; its stack may still be in use */
	struct task *curr, *idle;
	struct task *fpu_owner;
	u64 timer_at;  /* when the timer will fire, 0 = off */
	u64 sample_at; /* when to take the next sample of a program */
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

/* Unlock without checking need_resched. */
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
/** If `t` runs on the CPU of rq, which is not this one, and a flag of t is set, interrupt that CPU, so that t sees
 * its flags on the way out. rq->lock held. */
void kick_running(struct rq *rq, struct task *t);
/** The first function on the stack of a new task: releases the lock that the previous task took, and enables
 * interrupts. */
void sched_first_run(void);

/* sched_balance.c */
/** Of the allowed CPUs, the one with the fewest runnable tasks; this one if no other has fewer. */
unsigned int sched_pick_cpu(u32 allowed);
/** Number of runnable tasks on all CPUs, counting those that run. Read without locks. */
u32 sched_nr_running(void);
/** This CPU has nothing to do: move a task from another queue to its own, from the longest queue first. False: no queue
 * has a task that may move. Interrupts off. */
bool sched_pull_task(void);

/* task.c */
void tasks_init(void);
/** Tasks whose stacks this CPU has left: the reaper frees them. Interrupts off. */
void tasks_reap(struct list_head *dead);
#endif
