/*
 * Waiting for children: wait4(2) and waitid(2).
 *
 * Lock: task_list_lock, for the tree and for what a child has to report.
 */
#include "kernel/process.h"
#include "arch/uaccess.h"
#include "kernel/time_calls.h"
#include "lib/errno.h"

#define WNOHANG	   1u
#define WUNTRACED  2u
#define WSTOPPED   2u
#define WEXITED	   4u
#define WCONTINUED 8u
#define WNOWAIT	   0x1000000u
#define WNOTHREAD  0x20000000u
#define WALL	   0x40000000u
#define WCLONE	   0x80000000u
#define P_ALL	   0
#define P_PID	   1
#define P_PGID	   2
#define P_PIDFD	   3

struct waiting {
	int type, id; /* P_* */
	u32 options;
	/* out */
	int pid, status; /* status: as wait4(2) gives it */
	int code, value; /* as waitid(2) does */
	u64 user_ns, sys_ns, min_flt, maj_flt;
};

static bool wanted_child(const struct process *p, const struct waiting *w)
{
	if (w->type == P_PID && p->pid != w->id)
		return false;
	if (w->type == P_PGID && p->pgid != w->id)
		return false;
	if (w->options & WALL)
		return true;
	return !(w->options & WCLONE) == (p->exit_signal == SIGCHLD);
}

/* Resources used by the process and by the children that it has waited for. T held. */
static void child_times(struct process *p, struct waiting *w)
{
	process_times(p, &w->user_ns, &w->sys_ns);
	w->user_ns += p->children_run_ns - p->children_sys_ns;
	w->sys_ns += p->children_sys_ns;
	process_faults(p, &w->min_flt, &w->maj_flt);
	w->min_flt += p->children_min_flt;
	w->maj_flt += p->children_maj_flt;
}

/* Has the child stopped or continued, and does the caller wait for that? Then report it. T held. */
static bool take_stop(struct process *p, struct waiting *w)
{
	bool keep = w->options & WNOWAIT;

	if (w->options & WSTOPPED && p->stop_report) {
		w->status = p->stop_sig << 8 | 0x7f;
		w->code = CLD_STOPPED;
		w->value = p->stop_sig;
		p->stop_report = keep;
		return true;
	}
	if (w->options & WCONTINUED && p->cont_report) {
		w->status = 0xffff;
		w->code = CLD_CONTINUED;
		w->value = SIGCONT;
		p->cont_report = keep;
		return true;
	}
	return false;
}

/* Look for a child to report, and collect it. 1: one was found; 0: none yet; -ECHILD: there is none to wait for. */
static int try_wait(struct process *me, struct waiting *w)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p, *found = NULL;
	int ret = -ECHILD;

	list_for_each_entry (p, &me->children, sibling) {
		if (!wanted_child(p, w))
			continue;
		ret = 0;
		if (p->zombie && w->options & WEXITED) {
			found = p;
			break;
		}
		if (!p->zombie && take_stop(p, w)) {
			ret = 1;
			w->pid = p->pid;
			child_times(p, w);
			break;
		}
	}
	if (found) {
		ret = 1;
		w->pid = found->pid;
		w->status = found->exit_status;
		w->code = w->status & 0x7f ? CLD_KILLED : CLD_EXITED;
		w->value = w->status & 0x7f ? w->status & 0x7f : w->status >> 8 & 0xff;
		child_times(found, w);
		if (w->options & WNOWAIT) {
			found = NULL;
		} else {
			me->children_run_ns += w->user_ns + w->sys_ns;
			me->children_sys_ns += w->sys_ns;
			me->children_min_flt += w->min_flt;
			me->children_maj_flt += w->maj_flt;
			io_counts_add(&me->dead_io, &found->dead_io);
			process_unlink(found);
		}
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (found)
		process_put(found);
	return ret;
}

static int do_wait(struct waiting *w)
{
	struct process *me = current_process();
	int ret = 0, err;

	if (w->options & WNOHANG)
		return try_wait(me, w);
	err = wait_event_interruptible(&me->wait, (ret = try_wait(me, w)) != 0);
	return err ? err : ret;
}

/* Write a child's struct rusage. Its times and page faults are known; the other fields are 0. */
static int put_rusage(unsigned long to, const struct waiting *w)
{
	const unsigned long times = 2 * sizeof(struct timeval), faults = times + 4 * sizeof(u64);
	u64 flt[2] = {w->min_flt, w->maj_flt};

	if (!to)
		return 0;
	if (put_user_time(to, TIMEVAL, w->user_ns) ||
	    put_user_time(to + sizeof(struct timeval), TIMEVAL, w->sys_ns) ||
	    clear_user(to + times, RUSAGE_SIZE - times) ||
	    copy_to_user(to + faults, flt, sizeof(flt)))
		return -EFAULT;
	return 0;
}

long sys_wait4(struct pt_regs *r)
{
	struct waiting w = {.options = r->rdx};
	int pid = (int)r->rdi, ret;

	if (w.options & ~(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | WCLONE))
		return -EINVAL;
	if (pid == -2147483647 - 1)
		return -ESRCH;
	w.options |= WEXITED;
	if (pid > 0) {
		w.type = P_PID;
		w.id = pid;
	} else if (pid == -1) {
		w.type = P_ALL;
	} else {
		w.type = P_PGID;
		w.id = pid ? -pid : current_process()->pgid;
	}
	ret = do_wait(&w);
	if (ret <= 0)
		return ret;
	if (r->rsi && copy_to_user(r->rsi, &w.status, sizeof(w.status)))
		return -EFAULT;
	if (put_rusage(r->r10, &w))
		return -EFAULT;
	return w.pid;
}

/* P_PIDFD: the descriptor's process. A descriptor with O_NONBLOCK acts like WNOHANG, but the result is -EAGAIN. */
static int pidfd_waited_for(struct waiting *w, bool *nonblock)
{
	struct process *p = w->id < 0 ? NULL : pidfd_get_process(w->id, nonblock);

	if (!p)
		return w->id < 0 ? -EINVAL : -EBADF;
	w->type = P_PID;
	w->id = p->pid;
	process_put(p);
	return 0;
}

long sys_waitid(struct pt_regs *r)
{
	struct waiting w = {.type = (int)r->rdi, .id = (int)r->rsi, .options = r->r10};
	struct siginfo_short info;
	u8 out[128] = {0};
	bool nonblock = false;
	int ret;

	if (w.options &
	    ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | WNOTHREAD | WALL | WCLONE))
		return -EINVAL;
	if (!(w.options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	if (w.type == P_PIDFD) {
		ret = pidfd_waited_for(&w, &nonblock);
		if (ret)
			return ret;
		if (nonblock)
			w.options |= WNOHANG;
	}
	if (w.type != P_ALL && w.type != P_PID && w.type != P_PGID)
		return -EINVAL;
	if (w.type == P_PID && w.id <= 0)
		return -EINVAL;
	if (w.type == P_PGID && w.id < 0)
		return -EINVAL;
	if (w.type == P_PGID && !w.id)
		w.id = current_process()->pgid;
	ret = do_wait(&w);
	if (!ret && nonblock && !(r->r10 & WNOHANG))
		ret = -EAGAIN;
	if (ret < 0)
		return ret;
	if (ret) {
		info.code = w.code;
		info.pid = w.pid;
		info.value = w.value;
		siginfo_fill(out, SIGCHLD, &info);
	}
	if (r->rdx && copy_to_user(r->rdx, out, sizeof(out)))
		return -EFAULT;
	return put_rusage(r->r8, &w);
}
