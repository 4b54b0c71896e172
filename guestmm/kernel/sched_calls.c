/*
 * System calls about where and how much a thread runs: affinity, nice values, scheduling classes.
 *
 * There is one class, SCHED_OTHER. A nice value changes the length of a thread's turns (sched.c); a mask
 * of CPUs is obeyed from the thread's next return to user mode on.
 *
 * Locks: task_list_lock to find threads.
 */
#include "arch/smp.h"
#include "arch/uaccess.h"
#include "kernel/process.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/zone.h"

#define PRIO_PROCESS 0
#define PRIO_PGRP    1
#define PRIO_USER    2
#define MIN_NICE     (-20)
#define MAX_NICE     19

static u64 online_mask(void)
{
	u64 mask = 0;

	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		mask |= (u64)cpu_is_online(cpu) << cpu;
	return mask;
}

/* T held. The user thread, 0 = the caller, or NULL. */
static struct task *thread_or_self(int tid)
{
	struct task *t = tid ? find_task(tid) : current;

	return t && t->user ? t : NULL;
}

static bool thread_exists(int tid)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	bool there = thread_or_self(tid) != NULL;

	spin_unlock_irqrestore(&task_list_lock, flags);
	return there;
}

/* ---- affinity ---- */

long sys_sched_getaffinity(struct pt_regs *r)
{
	u64 mask = online_mask();
	unsigned long flags;
	struct task *t;

	if ((u32)r->rsi < sizeof(mask) || r->rsi & 7)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	t = thread_or_self((int)r->rdi);
	if (t)
		mask &= READ_ONCE(t->cpus);
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!t)
		return -ESRCH;
	return copy_to_user(r->rdx, &mask, sizeof(mask)) ? -EFAULT : (long)sizeof(mask);
}

long sys_sched_setaffinity(struct pt_regs *r)
{
	size_t n = min((size_t)(u32)r->rsi, sizeof(u64));
	unsigned long flags;
	struct task *t;
	u64 mask = 0;
	int err;

	if (copy_from_user(&mask, r->rdx, n))
		return -EFAULT;
	if (!thread_exists((int)r->rdi))
		return -ESRCH;
	mask &= online_mask();
	if (!mask)
		return -EINVAL;
	err = sched_migration_init();
	if (err)
		return err;
	flags = spin_lock_irqsave(&task_list_lock);
	t = thread_or_self((int)r->rdi);
	if (t)
		sched_set_cpus(t, mask);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return t ? 0 : -ESRCH;
}

long sys_getcpu(struct pt_regs *r)
{
	u32 cpu = cpu_id(), node = cpu_node[cpu];

	if ((r->rdi && copy_to_user(r->rdi, &cpu, sizeof(cpu))) ||
	    (r->rsi && copy_to_user(r->rsi, &node, sizeof(node))))
		return -EFAULT;
	return 0;
}

/* ---- nice ---- */

/* T held: call fn for each thread that `which` and `who` mean. Their number. */
static unsigned int for_threads(u32 which, int who, void (*fn)(struct task *t, int *arg), int *arg)
{
	struct process *p;
	unsigned int n = 0;
	struct task *t;

	if (which == PRIO_PROCESS) {
		t = thread_or_self(who);
		if (t)
			fn(t, arg);
		return t != NULL;
	}
	if (which == PRIO_PGRP && !who)
		who = current_process()->pgid;
	list_for_each_entry (p, &process_list, all) {
		if (which == PRIO_PGRP ? p->pgid != who : who != 0) /* everybody is user 0 */
			continue;
		list_for_each_entry (t, &p->threads, thread) {
			fn(t, arg);
			n++;
		}
	}
	return n;
}

static void set_nice(struct task *t, int *nice)
{
	WRITE_ONCE(t->nice, *nice);
}

static void best_nice(struct task *t, int *best)
{
	*best = min(*best, (int)READ_ONCE(t->nice));
}

/* 20 - nice, as the system call (not the library's function) says it; of several the best. */
long sys_getpriority(struct pt_regs *r)
{
	int best = MAX_NICE + 1;
	unsigned long flags;
	unsigned int n;

	if ((u32)r->rdi > PRIO_USER)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	n = for_threads((u32)r->rdi, (int)r->rsi, best_nice, &best);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return n ? 20 - best : -ESRCH;
}

long sys_setpriority(struct pt_regs *r)
{
	int nice = (int)r->rdx;
	unsigned long flags;
	unsigned int n;

	if ((u32)r->rdi > PRIO_USER)
		return -EINVAL;
	nice = nice < MIN_NICE ? MIN_NICE : nice > MAX_NICE ? MAX_NICE : nice;
	flags = spin_lock_irqsave(&task_list_lock);
	n = for_threads((u32)r->rdi, (int)r->rsi, set_nice, &nice);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return n ? 0 : -ESRCH;
}

/* ---- classes ---- */

long sys_sched_getscheduler(struct pt_regs *r)
{
	return (int)r->rdi < 0 ? -EINVAL : thread_exists((int)r->rdi) ? 0 : -ESRCH;
}

long sys_sched_getparam(struct pt_regs *r)
{
	s32 priority = 0;

	if ((int)r->rdi < 0 || !r->rsi)
		return -EINVAL;
	if (!thread_exists((int)r->rdi))
		return -ESRCH;
	return copy_to_user(r->rsi, &priority, sizeof(priority)) ? -EFAULT : 0;
}

/* SCHED_OTHER, BATCH, IDLE have no priorities; the real-time classes are as Linux says. */
long sys_sched_priority_limit(struct pt_regs *r)
{
	switch ((int)r->rdi) {
	case 0:
	case 3:
	case 5:
		return 0;
	case 1:
	case 2:
		return r->orig_rax == 146 ? 99 : 1;
	}
	return -EINVAL;
}
