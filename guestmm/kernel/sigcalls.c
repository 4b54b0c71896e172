/*
 * The system calls about signals: kill(2), tkill(2), rt_sigaction(2), rt_sigprocmask(2) and their
 * like, by Linux's numbers and results. Permission to signal: may_signal() of kernel/cred.c.
 */
#include "kernel/cred.h"
#include "kernel/sigqueue.h"
#include "kernel/time_calls.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

#define SIGSET_SIZE 8
#define SS_ONSTACK  1
#define SS_DISABLE  2
#define MINSIGSTKSZ 2048
#define SIG_BLOCK   0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2

static struct siginfo_short info_from(int code)
{
	return (struct siginfo_short){code, current_process()->pid, 0, current_cred()->uid};
}

long sys_kill(struct pt_regs *r)
{
	int pid = (int)r->rdi, sig = (int)r->rsi, ret = -ESRCH;
	struct process *me = current_process(), *p;
	struct siginfo_short info = info_from(SI_USER);
	unsigned long flags;

	if (sig < 0 || sig > NR_SIGNALS)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	list_for_each_entry (p, &process_list, all) {
		bool to = pid > 0     ? p->pid == pid
			  : pid == 0  ? p->pgid == me->pgid
			  : pid == -1 ? p->pid != 1 && p != me
				      : p->pgid == -pid;

		if (!to)
			continue;
		if (!may_signal(p, sig)) {
			ret = ret ? -EPERM : 0; /* it is enough if one process got it */
			continue;
		}
		ret = 0;
		if (sig)
			(void)signal_process(p, sig, &info); /* cannot fail for lack of room */
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return ret;
}

static long do_tkill(int tgid, int tid, int sig, struct siginfo_short info)
{
	unsigned long flags;
	struct process *p;
	struct task *t;
	int ret = -ESRCH;

	if (tid <= 0 || sig < 0 || sig > NR_SIGNALS)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	list_for_each_entry (p, &process_list, all) {
		if (tgid && p->pid != tgid)
			continue;
		list_for_each_entry (t, &p->threads, thread) {
			if (t->pid != tid)
				continue;
			ret = may_signal(p, sig) ? 0 : -EPERM;
			if (sig && !ret)
				ret = signal_thread(t, sig, &info);
		}
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return ret;
}

/* Read the siginfo that the caller passes. In a signal to another process it must not claim to be from the kernel or
 * from kill(2). */
static int get_info(unsigned long user, int tgid, struct siginfo_short *info)
{
	struct {
		s32 signo, error, code, pad;
		s32 pid, uid;
		u64 value;
	} in;

	if (copy_from_user(&in, user, sizeof(in)))
		return -EFAULT;
	if ((in.code >= 0 || in.code == SI_TKILL) && tgid != current_process()->pid)
		return -EPERM;
	*info = (struct siginfo_short){in.code, in.pid, in.value, in.uid};
	return 0;
}

long sys_rt_sigqueueinfo(struct pt_regs *r)
{
	int pid = (int)r->rdi, sig = (int)r->rsi;
	struct siginfo_short info;
	unsigned long flags;
	struct process *p;
	int ret = get_info(r->rdx, pid, &info);

	if (ret)
		return ret;
	if (sig < 0 || sig > NR_SIGNALS)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	p = find_process(pid);
	ret = !p ? -ESRCH : may_signal(p, sig) ? 0 : -EPERM;
	if (!ret && sig)
		ret = signal_process(p, sig, &info);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return ret;
}

long sys_rt_tgsigqueueinfo(struct pt_regs *r)
{
	struct siginfo_short info;
	int ret = get_info(r->r10, (int)r->rdi, &info);

	if (!ret && ((int)r->rdi <= 0 || (int)r->rsi <= 0))
		ret = -EINVAL;
	return ret ? ret : do_tkill((int)r->rdi, (int)r->rsi, (int)r->rdx, info);
}

/* Wait for a signal of a set. The caller has blocked these, so the call returns the signal and no handler runs. */
long sys_rt_sigtimedwait(struct pt_regs *r)
{
	u64 set, ns = 0, until = TIME_FOREVER;
	struct siginfo_short info;
	struct wait_entry we;
	u8 out[128];
	int sig;

	if (r->r10 != SIGSET_SIZE)
		return -EINVAL;
	if (copy_from_user(&set, r->rdi, sizeof(set)))
		return -EFAULT;
	if (r->rdx) {
		int err = get_user_time(r->rdx, TIMESPEC, &ns);

		if (err)
			return err;
		until = deadline_after(ns);
	}
	set &= ~UNMASKABLE;
	while (!(sig = signal_take(set, &info))) {
		u64 now = ktime_ns();

		if (now >= until)
			return -EAGAIN;
		if (signal_pending())
			return -EINTR;
		prepare_to_wait(&signalfd_wq, &we);
		waits_here();
		if (!(signals_waiting() & set) && !signal_pending()) {
			if (until == TIME_FOREVER)
				schedule();
			else
				schedule_timeout(until - now);
		}
		finish_wait(&signalfd_wq, &we);
	}
	siginfo_fill(out, sig, &info);
	return r->rsi && copy_to_user(r->rsi, out, sizeof(out)) ? -EFAULT : sig;
}

long sys_tkill(struct pt_regs *r)
{
	return do_tkill(0, (int)r->rdi, (int)r->rsi, info_from(SI_TKILL));
}

long sys_tgkill(struct pt_regs *r)
{
	if ((int)r->rdi <= 0)
		return -EINVAL;
	return do_tkill((int)r->rdi, (int)r->rsi, (int)r->rdx, info_from(SI_TKILL));
}

/* If the new action ignores the signal, discard it where it is pending. T held. */
static void drop_ignored(struct process *p, int sig, const struct sigaction *act)
{
	if (act->handler != SIG_IGN && !(act->handler == SIG_DFL && sig == SIGCHLD))
		return;
	signal_drop_pending(p, SIGBIT(sig));
	recalc_sigpending();
}

/* Do other processes use the table of handlers, so that a change must be made in a copy? */
static bool sighand_is_others(const struct process *p)
{
	const struct sighand *s = READ_ONCE(p->sighand);

	return !s || (!s->shared && atomic_load(&s->refs) > 1);
}

long sys_rt_sigaction(struct pt_regs *r)
{
	struct process *p = current_process();
	struct sigaction act, old;
	struct sighand *fresh = NULL, *gone = NULL;
	int sig = (int)r->rdi;
	unsigned long flags;

	if (r->r10 != SIGSET_SIZE || sig < 1 || sig > NR_SIGNALS)
		return -EINVAL;
	if (r->rsi) {
		if (copy_from_user(&act, r->rsi, sizeof(act)))
			return -EFAULT;
		if (UNMASKABLE & SIGBIT(sig))
			return -EINVAL;
		act.mask &= ~UNMASKABLE;
		if (sighand_is_others(p)) {
			fresh = kmalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT | __GFP_ZERO);
			if (!fresh)
				return -ENOMEM;
			fresh->refs = 1;
		}
	}
	flags = spin_lock_irqsave(&task_list_lock);
	old = signal_action(p, sig);
	if (r->rsi) {
		/* Another thread may have made a copy meanwhile; then ours is not needed. */
		if (fresh && sighand_is_others(p)) {
			gone = p->sighand;
			if (gone)
				memcpy(fresh->action, gone->action, sizeof(fresh->action));
			p->sighand = fresh;
			fresh = NULL;
		}
		p->sighand->action[sig - 1] = act;
		drop_ignored(p, sig, &act);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	sighand_put(gone);
	sighand_put(fresh);
	if (r->rdx && copy_to_user(r->rdx, &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

void set_blocked(u64 mask)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	current->sig_blocked = mask & ~UNMASKABLE;
	recalc_sigpending();
	spin_unlock_irqrestore(&task_list_lock, flags);
}

long sys_rt_sigprocmask(struct pt_regs *r)
{
	u64 old = current->sig_blocked, set;

	if (r->r10 != SIGSET_SIZE)
		return -EINVAL;
	if (r->rsi) {
		if (copy_from_user(&set, r->rsi, sizeof(set)))
			return -EFAULT;
		switch ((int)r->rdi) {
		case SIG_BLOCK:
			set_blocked(old | set);
			break;
		case SIG_UNBLOCK:
			set_blocked(old & ~set);
			break;
		case SIG_SETMASK:
			set_blocked(set);
			break;
		default:
			return -EINVAL;
		}
	}
	return r->rdx && copy_to_user(r->rdx, &old, sizeof(old)) ? -EFAULT : 0;
}

long sys_rt_sigpending(struct pt_regs *r)
{
	struct task *t = current;
	u64 set = (t->sig_pending.set | t->proc->sig_pending.set) & t->sig_blocked;

	if (r->rsi > SIGSET_SIZE)
		return -EINVAL;
	return copy_to_user(r->rdi, &set, r->rsi) ? -EFAULT : 0;
}

/* Wait until a signal runs a handler or ends the process. */
static long wait_for_signal(void)
{
	struct wait_queue wq = WAIT_QUEUE_INIT(wq);

	(void)wait_event_interruptible(&wq, false);
	return -ERESTARTNOHAND;
}

long sys_rt_sigsuspend(struct pt_regs *r)
{
	struct task *t = current;
	u64 set;

	if (r->rsi != SIGSET_SIZE)
		return -EINVAL;
	if (copy_from_user(&set, r->rdi, sizeof(set)))
		return -EFAULT;
	t->sig_saved = t->sig_blocked;
	t->sig_restore = true;
	set_blocked(set);
	return wait_for_signal();
}

long sys_pause(struct pt_regs *r)
{
	return wait_for_signal();
}

long sys_rt_sigreturn(struct pt_regs *r)
{
	return regs_call(sigframe_pop);
}

long sys_sigaltstack(struct pt_regs *r)
{
	struct {
		u64 sp;
		u32 flags, pad;
		u64 size;
	} new, old;
	struct task *t = current;
	bool on = t->altstack_size && r->rsp - t->altstack - 1 < t->altstack_size;

	memset(&old, 0, sizeof(old));
	old.sp = t->altstack;
	old.size = t->altstack_size;
	old.flags = !t->altstack_size ? SS_DISABLE : on ? SS_ONSTACK : 0;
	if (r->rdi) {
		if (copy_from_user(&new, r->rdi, sizeof(new)))
			return -EFAULT;
		if (on)
			return -EPERM;
		if (new.flags & ~(SS_ONSTACK | SS_DISABLE) ||
		    new.flags == (SS_ONSTACK | SS_DISABLE))
			return -EINVAL;
		if (new.flags & SS_DISABLE) {
			new.sp = new.size = 0;
		} else if (new.size < MINSIGSTKSZ) {
			return -ENOMEM;
		}
		t->altstack = new.sp;
		t->altstack_size = new.size;
	}
	return r->rsi && copy_to_user(r->rsi, &old, sizeof(old)) ? -EFAULT : 0;
}
