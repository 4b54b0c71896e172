/*
 * System calls about where and how much a thread runs: affinity, nice values, scheduling classes.
 *
 * A nice value changes the length of a thread's slices (sched.c). A mask of CPUs takes effect at the
 * thread's next return to user mode.
 *
 * Locks: task_list_lock to find threads.
 */
#include "arch/smp.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "kernel/loadavg.h"
#include "kernel/process.h"
#include "kernel/time_calls.h"
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

/* The user thread `tid`; 0: the caller. NULL: there is none. T held. */
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

/* ---- permission ---- */

/* T held: may the caller change how another thread runs? */
static bool may_schedule(const struct task *t)
{
	const struct cred *me = current_cred();

	return t == current || capable(CAP_SYS_NICE) || !t->cred || me->euid == t->cred->euid ||
	       me->euid == t->cred->uid;
}

/* May the caller set this nice value? RLIMIT_NICE is the limit for lowering it. T held. */
static bool may_nice(const struct task *t, int nice)
{
	return nice >= READ_ONCE(t->nice) || capable(CAP_SYS_NICE) ||
	       (t->proc && (u64)(20 - nice) <= t->proc->limits[RLIMIT_NICE].cur);
}

/* ---- nice ---- */

/* Call fn for each thread that `which` and `who` select. Returns how many. T held. */
static unsigned int for_threads(u32 which, int who, void (*fn)(struct task *t, void *arg),
				void *arg)
{
	const u32 uid = who ? (u32)who : current_cred()->uid;
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
		if (which == PRIO_PGRP && p->pgid != who)
			continue;
		list_for_each_entry (t, &p->threads, thread) {
			if (which == PRIO_USER && (!t->cred || t->cred->uid != uid))
				continue;
			fn(t, arg);
			n++;
		}
	}
	return n;
}

/* Set the nice value of a user thread. Changes the length of its slices, and where its time is counted (CPU_NICE). */
static void task_set_nice(struct task *t, int nice)
{
	WRITE_ONCE(t->nice, nice);
	sched_set_turn(t);
	if (t->user)
		WRITE_ONCE(t->kind, nice > 0 ? CPU_NICE : CPU_USER);
}

/* The argument and result of setpriority(2). As in Linux, the result is 0 if one thread was changed, else the last
 * error. */
struct nice_change {
	int nice, err;
};

static void set_nice(struct task *t, void *arg)
{
	struct nice_change *c = arg;

	if (!may_schedule(t))
		c->err = -EPERM;
	else if (!may_nice(t, c->nice))
		c->err = -EACCES;
	else {
		task_set_nice(t, c->nice);
		c->err = c->err == -ESRCH ? 0 : c->err;
	}
}

static void best_nice(struct task *t, void *best)
{
	*(int *)best = min(*(int *)best, (int)READ_ONCE(t->nice));
}

/* Returns 20 - nice, as the system call does (the library's function differs). Of several threads: the largest. */
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
	struct nice_change c = {(int)r->rdx, -ESRCH};
	unsigned long flags;

	if ((u32)r->rdi > PRIO_USER)
		return -EINVAL;
	c.nice = c.nice < MIN_NICE ? MIN_NICE : c.nice > MAX_NICE ? MAX_NICE : c.nice;
	flags = spin_lock_irqsave(&task_list_lock);
	for_threads((u32)r->rdi, (int)r->rsi, set_nice, &c);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return c.err;
}

/* ---- classes ---- */

/*
 * There is one class. SCHED_BATCH is treated like SCHED_OTHER (in Linux it differs only when it wakes up), and
 * SCHED_IDLE has the shortest slices. The real-time classes and SCHED_DEADLINE are -EPERM, as in Linux for a group of
 * tasks that has no real-time bandwidth, which is the initial state of a group there (CONFIG_RT_GROUP_SCHED).
 */
#define SCHED_OTHER	    0
#define SCHED_FIFO	    1
#define SCHED_RR	    2
#define SCHED_BATCH	    3
#define SCHED_DEADLINE	    6
#define SCHED_RESET_ON_FORK 0x40000000
#define RT_PRIO_MAX	    99
#define SCHED_ATTR_SIZE	    48	    /* of its first version */
#define SCHED_ATTR_KNOWN    0x7full /* SCHED_FLAG_* */

/** Of sched_setattr(2) and sched_getattr(2). */
struct sched_attr {
	u32 size, policy;
	u64 flags;
	s32 nice;
	u32 priority;
	u64 runtime, deadline, period;
};
_Static_assert(sizeof(struct sched_attr) == SCHED_ATTR_SIZE, "Linux's ABI");

static long check_policy(int policy, int priority)
{
	switch (policy) {
	case SCHED_OTHER:
	case SCHED_BATCH:
	case SCHED_IDLE:
		return priority ? -EINVAL : 0;
	case SCHED_FIFO:
	case SCHED_RR:
		return priority < 1 || priority > RT_PRIO_MAX ? -EINVAL : -EPERM;
	case SCHED_DEADLINE:
		return -EPERM;
	}
	return -EINVAL;
}

/* policy < 0: unchanged. nice NULL: unchanged. */
static long set_policy(int tid, int policy, int priority, bool reset, const int *nice)
{
	unsigned long flags;
	struct task *t;
	long err = 0;

	if (tid < 0)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	t = thread_or_self(tid);
	if (!t)
		err = -ESRCH;
	else
		err = check_policy(policy < 0 ? t->policy : policy, priority);
	if (!err && !may_schedule(t))
		err = -EPERM;
	if (!err && nice && !may_nice(t, *nice))
		err = -EPERM;
	if (!err && policy >= 0) {
		t->policy = policy;
		t->policy_reset = reset;
		sched_set_turn(t);
	}
	if (!err && nice)
		task_set_nice(t, *nice);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return err;
}

long sys_sched_setscheduler(struct pt_regs *r)
{
	int policy = (int)r->rsi;
	s32 priority;

	if (policy < 0 || !r->rdx || (int)r->rdi < 0)
		return -EINVAL;
	if (copy_from_user(&priority, r->rdx, sizeof(priority)))
		return -EFAULT;
	return set_policy((int)r->rdi, policy & ~SCHED_RESET_ON_FORK, priority,
			  policy & SCHED_RESET_ON_FORK, NULL);
}

long sys_sched_setparam(struct pt_regs *r)
{
	s32 priority;

	if (!r->rsi || (int)r->rdi < 0)
		return -EINVAL;
	if (copy_from_user(&priority, r->rsi, sizeof(priority)))
		return -EFAULT;
	return set_policy((int)r->rdi, -1, priority, false, NULL);
}

long sys_sched_setattr(struct pt_regs *r)
{
	struct sched_attr a = {0};
	u32 size;
	int nice;

	if (!r->rsi || (int)r->rdi < 0 || (u32)r->rdx)
		return -EINVAL;
	if (copy_from_user(&size, r->rsi, sizeof(size)))
		return -EFAULT;
	size = size ? size : SCHED_ATTR_SIZE;
	if (size < SCHED_ATTR_SIZE || size > PAGE_SIZE)
		return -E2BIG;
	if (copy_from_user(&a, r->rsi, sizeof(a)))
		return -EFAULT;
	if ((int)a.policy < 0 || a.flags & ~SCHED_ATTR_KNOWN)
		return -EINVAL;
	nice = a.nice < MIN_NICE ? MIN_NICE : a.nice > MAX_NICE ? MAX_NICE : a.nice;
	return set_policy((int)r->rdi, (int)a.policy, (int)a.priority, a.flags & 1,
			  a.policy == SCHED_OTHER || a.policy == SCHED_BATCH ? &nice : NULL);
}

long sys_sched_getattr(struct pt_regs *r)
{
	struct sched_attr a = {.size = SCHED_ATTR_SIZE};
	unsigned long flags;
	struct task *t;

	if (!r->rsi || (int)r->rdi < 0 || (u32)r->rdx < SCHED_ATTR_SIZE ||
	    (u32)r->rdx > PAGE_SIZE || (u32)r->r10)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	t = thread_or_self((int)r->rdi);
	if (t) {
		a.policy = t->policy;
		a.flags = t->policy_reset;
		a.nice = READ_ONCE(t->nice);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!t)
		return -ESRCH;
	return copy_to_user(r->rsi, &a, sizeof(a)) ? -EFAULT : 0;
}

long sys_sched_rr_get_interval(struct pt_regs *r)
{
	if ((int)r->rdi < 0)
		return -EINVAL;
	if (!thread_exists((int)r->rdi))
		return -ESRCH;
	return put_user_time(r->rsi, TIMESPEC, TICK_NS);
}

long sys_sched_getscheduler(struct pt_regs *r)
{
	unsigned long flags;
	struct task *t;
	long ret = -ESRCH;

	if ((int)r->rdi < 0)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	t = thread_or_self((int)r->rdi);
	if (t)
		ret = t->policy | (t->policy_reset ? SCHED_RESET_ON_FORK : 0);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return ret;
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

/* SCHED_OTHER, BATCH, IDLE have no priorities. The limits of the real-time classes are Linux's. */
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
