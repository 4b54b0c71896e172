/*
 * Resource limits: getrlimit(2), setrlimit(2), prlimit(2).
 *
 * Limits belong to a process: its threads share them, fork copies them, and a vfork child has its own. All sixteen are
 * stored. Where they act:
 *
 *   AS, DATA, STACK, MEMLOCK   mm/, through rlimit() (lib/env.h); STACK also for the arguments of execve()
 *   NOFILE                     fs/fdtable.c
 *   FSIZE                      where files are written and grow
 *   CORE                       coredump.c
 *   NPROC                      fork.c, and execve() after a change of the user; not for root
 *   CPU                        cpu_timer.c
 *   SIGPENDING                 sigqueue.c
 *   NICE                       sched_calls.c
 *
 * RSS and LOCKS do nothing, as on Linux. MSGQUEUE, RTPRIO and RTTIME limit what this kernel does not have.
 *
 * A thread finds the limits of its process by thread_info->limits.
 *
 * Locks: task_list_lock to change them; readers take a single value and no lock.
 */
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "kernel/process.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/virt/mm.h"

#define INFINITY RLIM_INFINITY

/* The limits of kernel threads, and of processes that the kernel starts. Tests may change them. */
struct rlimit kernel_limits[RLIM_NLIMITS] = {
	[RLIMIT_CPU] = {INFINITY, INFINITY},
	[RLIMIT_FSIZE] = {INFINITY, INFINITY},
	[RLIMIT_DATA] = {INFINITY, INFINITY},
	[RLIMIT_STACK] = {DEFAULT_STACK_RLIMIT, INFINITY},
	[RLIMIT_CORE] = {0, INFINITY},
	[RLIMIT_RSS] = {INFINITY, INFINITY},
	[RLIMIT_NPROC] = {INFINITY, INFINITY},
	[RLIMIT_NOFILE] = {DEFAULT_FDS, MAX_FDS},
	[RLIMIT_MEMLOCK] = {DEFAULT_MEMLOCK, DEFAULT_MEMLOCK},
	[RLIMIT_AS] = {INFINITY, INFINITY},
	[RLIMIT_LOCKS] = {INFINITY, INFINITY},
	[RLIMIT_SIGPENDING] = {INFINITY, INFINITY},
	[RLIMIT_MSGQUEUE] = {819200, 819200},
	[RLIMIT_NICE] = {0, 0},
	[RLIMIT_RTPRIO] = {0, 0},
	[RLIMIT_RTTIME] = {INFINITY, INFINITY},
};

int limit_file_size(u64 size)
{
	if (likely(size <= rlimit(RLIMIT_FSIZE)))
		return 0;
	signal_current(SIGXFSZ);
	return -EFBIG;
}

/* ---- system calls ---- */

static long do_prlimit(int pid, unsigned int kind, const struct rlimit *new, struct rlimit *old)
{
	unsigned long flags;
	struct process *p;
	long err = 0;

	if (kind >= RLIM_NLIMITS)
		return -EINVAL;
	if (new) {
		if (new->cur > new->max)
			return -EINVAL;
		if (kind == RLIMIT_NOFILE && new->max > MAX_FDS)
			return -EPERM;
	}
	flags = spin_lock_irqsave(&task_list_lock);
	p = pid ? find_process(pid) : current_process();
	if (!p)
		err = -ESRCH;
	else if (!same_user(p) && !capable(CAP_SYS_RESOURCE))
		err = -EPERM;
	else if (new &&new->max > p->limits[kind].max && !capable(CAP_SYS_RESOURCE))
		err = -EPERM;
	if (!err) {
		*old = p->limits[kind];
		if (new)
			p->limits[kind] = *new;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return err;
}

static long prlimit_user(int pid, unsigned int kind, unsigned long new, unsigned long old)
{
	struct rlimit in, out;
	long err;

	if (new &&copy_from_user(&in, new, sizeof(in)))
		return -EFAULT;
	err = do_prlimit(pid, kind, new ? &in : NULL, &out);
	if (!err && old && copy_to_user(old, &out, sizeof(out)))
		err = -EFAULT;
	return err;
}

/* A NULL pointer means "not wanted" to prlimit64(2) only. */
long sys_getrlimit(struct pt_regs *r)
{
	if ((unsigned int)r->rdi >= RLIM_NLIMITS)
		return -EINVAL;
	return r->rsi ? prlimit_user(0, (unsigned int)r->rdi, 0, r->rsi) : -EFAULT;
}

long sys_setrlimit(struct pt_regs *r)
{
	return r->rsi ? prlimit_user(0, (unsigned int)r->rdi, r->rsi, 0) : -EFAULT;
}

long sys_prlimit64(struct pt_regs *r)
{
	return prlimit_user((int)r->rdi, (unsigned int)r->rsi, r->rdx, r->r10);
}
