/*
 * Signals: which thread gets them, and what happens then.
 *
 *   sender ──> pending (of the process, or of one thread) ──> TIF_SIGPENDING of a thread that does
 *              not block it ──> on its way to user mode: handler, ignored, or the end
 *
 * A standard signal is one bit, with the origin of its first arrival; further ones that arrive while it is pending
 * are merged with it. Real-time signals queue (sigqueue.c).
 *
 * I1  TIF_SIGPENDING is set while a signal is pending that the thread does not block. Others only
 *     set it; the thread clears it, by recalc_sigpending().
 * I2  An ignored signal is never pending, unless it is blocked (it may be handled later).
 * I3  SIGKILL is never pending: it marks all threads at once.
 *
 * Locks: task_list_lock for the masks, the pending sets, and sighand.
 */
#include "kernel/cred.h"
#include "kernel/coredump.h"
#include "kernel/testchan.h"
#include "kernel/sigqueue.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/memcg/memcg.h"
#include "mm/slab/slab.h"

/* ---- what a process does on a signal ---- */

void sighand_put(struct sighand *s)
{
	if (s && atomic_dec_and_test(&s->refs))
		kfree(s);
}

static struct sighand *sighand_copy(const struct sighand *old)
{
	struct sighand *s = kmalloc(sizeof(*s), GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!s)
		return NULL;
	s->refs = 1;
	if (old)
		memcpy(s->action, old->action, sizeof(s->action));
	return s;
}

int sighand_fork(struct process *child, struct process *parent, bool share)
{
	struct sighand *copy = NULL, *gone = NULL;
	unsigned long flags;

	/* A table that the child is to share must exist. A table that other processes share (CLONE_SIGHAND) is copied
	 * now. */
	if (share || (parent->sighand && parent->sighand->shared)) {
		copy = sighand_copy(parent->sighand);
		if (!copy)
			return -ENOMEM;
		copy->shared = share;
	}
	flags = spin_lock_irqsave(&task_list_lock);
	if (share && parent->sighand && parent->sighand->shared) {
		gone = copy;
		child->sighand = parent->sighand;
		atomic_add(&child->sighand->refs, 1);
	} else if (share) {
		gone = parent->sighand;
		if (gone)
			memcpy(copy->action, gone->action, sizeof(copy->action));
		atomic_store(&copy->refs, 2);
		child->sighand = parent->sighand = copy;
	} else if (copy) {
		memcpy(copy->action, parent->sighand->action, sizeof(copy->action));
		child->sighand = copy;
	} else if (parent->sighand) {
		child->sighand = parent->sighand;
		atomic_add(&child->sighand->refs, 1);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	sighand_put(gone);
	return 0;
}

struct sigaction signal_action(const struct process *p, int sig)
{
	return p->sighand ? p->sighand->action[sig - 1] : (struct sigaction){0};
}

int sighand_exec(struct process *p)
{
	struct sighand *old = p->sighand, *s;
	unsigned long flags;
	bool any = false;

	if (!old)
		return 0;
	for (int i = 0; i < NR_SIGNALS; i++)
		any |= old->action[i].handler == SIG_IGN;
	s = any ? kmalloc(sizeof(*s), GFP_KERNEL_ACCOUNT | __GFP_ZERO) : NULL;
	if (any && !s)
		return -ENOMEM;
	for (int i = 0; any && i < NR_SIGNALS; i++) {
		if (old->action[i].handler == SIG_IGN)
			s->action[i].handler = SIG_IGN;
	}
	if (s)
		s->refs = 1;
	flags = spin_lock_irqsave(&task_list_lock);
	p->sighand = s;
	spin_unlock_irqrestore(&task_list_lock, flags);
	sighand_put(old);
	return 0;
}

#define DEFAULT_IGNORED (SIGBIT(SIGCHLD) | SIGBIT(SIGCONT) | SIGBIT(SIGURG) | SIGBIT(SIGWINCH))
#define STOPPING	(SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))

static bool is_ignored(const struct process *p, int sig)
{
	unsigned long h = p->sighand ? p->sighand->action[sig - 1].handler : SIG_DFL;

	return h == SIG_IGN || (h == SIG_DFL && DEFAULT_IGNORED & SIGBIT(sig));
}

/* ---- stopping -----------------------------------------------------------------------------------
 *
 *   SIGSTOP ──> stop_sig set ──> each thread on its way to user mode: signal_stop() ──> all stand still
 *                                                                                          │ CLD_STOPPED
 *   SIGCONT ──> stop_sig 0, all woken, CLD_CONTINUED <─────────────────────────────────────┘
 *
 * I3  A thread stands still only while stop_sig is set and the thread is not killed. */

void signal_drop_pending(struct process *p, u64 set)
{
	struct task *t;

	sigqueue_drop(&p->sig_pending, set);
	list_for_each_entry (t, &p->threads, thread)
		sigqueue_drop(&t->sig_pending, set);
}

void signal_prepare(struct process *p, int sig)
{
	if (SIGBIT(sig) & STOPPING) {
		signal_drop_pending(p, SIGBIT(SIGCONT));
	} else if (sig == SIGCONT) {
		signal_drop_pending(p, STOPPING);
		if (!p->stop_sig)
			return;
		p->stop_sig = 0;
		if (p->nr_stopped == p->nr_live) {
			p->stop_report = false;
			p->cont_report = true;
			notify_parent_stop(p, CLD_CONTINUED, SIGCONT);
		}
		wake_up(&p->stop_wq);
	}
}

void check_all_stopped(struct process *p)
{
	if (!p->stop_sig || p->group_exit || !p->nr_live || p->nr_stopped != p->nr_live)
		return;
	p->stop_report = true;
	notify_parent_stop(p, CLD_STOPPED, p->stop_sig);
}

bool group_is_orphaned(int pgid)
{
	struct process *p;

	list_for_each_entry (p, &process_list, all) {
		if (p->pgid == pgid && !p->zombie && p->parent && p->parent->pgid != pgid &&
		    p->parent->sid == p->sid)
			return false;
	}
	return true;
}

/* Perform the default action of a signal that stops the process. False: it is ignored. T held. */
static bool begin_stop(struct process *p, int sig)
{
	struct task *t;

	if (sig != SIGSTOP && group_is_orphaned(p->pgid))
		return false;
	p->stop_sig = sig;
	p->cont_report = false;
	list_for_each_entry (t, &p->threads, thread) {
		if (!t->mm)
			continue;
		atomic_or(&t->ti->flags, TIF_SIGPENDING);
		wake_up_task(t);
	}
	return true;
}

/* Stand still if the process is stopping. True: it did, so there may be new signals. */
static bool signal_stop(void)
{
	struct process *p = current_process();
	u32 *tif = &current_thread_info()->flags;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	bool stop = p->stop_sig && !p->group_exit && !(atomic_load(tif) & TIF_KILLED);

	if (stop) {
		p->nr_stopped++;
		check_all_stopped(p);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!stop)
		return false;
	wait_event(&p->stop_wq, !READ_ONCE(p->stop_sig) || atomic_load(tif) & TIF_KILLED);
	flags = spin_lock_irqsave(&task_list_lock);
	p->nr_stopped--;
	recalc_sigpending();
	spin_unlock_irqrestore(&task_list_lock, flags);
	return true;
}

struct wait_queue signalfd_wq = WAIT_QUEUE_INIT(signalfd_wq);

u64 signals_waiting(void)
{
	return READ_ONCE(current->sig_pending.set) | READ_ONCE(current->proc->sig_pending.set);
}

/* Take the pending signal `sig` of the current thread or its process. A standard signal is taken from both, because its
 * two bits are one signal with one origin. T held. */
static void take_pending(int sig, struct siginfo_short *info)
{
	struct task *t = current;
	struct process *p = t->proc;
	bool own = t->sig_pending.set & SIGBIT(sig);

	*info = sig < SIGRTMIN ? p->info[sig - 1] : (struct siginfo_short){SI_USER, 0, 0, 0};
	sigqueue_take(own ? &t->sig_pending : &p->sig_pending, sig, info);
	if (own && sig < SIGRTMIN)
		sigqueue_take(&p->sig_pending, sig, info);
}

int signal_take(u64 set, struct siginfo_short *info)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct task *t = current;
	struct process *p = t->proc;
	int sig = 0;

	set &= t->sig_pending.set | p->sig_pending.set;
	if (set) {
		sig = __builtin_ctzll(set) + 1;
		take_pending(sig, info);
		recalc_sigpending();
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return sig;
}

/* ---- sending ---- */

/* The signal is pending: make the thread that is to take it notice it. T held. */
static void wake_taker(struct task *taker)
{
	wake_up(&signalfd_wq);
	if (!taker)
		return;
	atomic_or(&taker->ti->flags, TIF_SIGPENDING);
	wake_up_task(taker);
}

/* Find a thread of the process that does not block the signal; *taker NULL: there is none. False: the signal is ignored
 * (I2). T held. */
static bool find_taker(struct process *p, int sig, struct task **taker)
{
	u64 bit = SIGBIT(sig);
	bool blocked = false;
	struct task *t;

	*taker = NULL;
	list_for_each_entry (t, &p->threads, thread) {
		if (!t->mm)
			continue;
		if (t->sig_blocked & bit)
			blocked = true;
		else if (!*taker)
			*taker = t;
	}
	return blocked || !is_ignored(p, sig);
}

int signal_process(struct process *p, int sig, const struct siginfo_short *info)
{
	struct task *taker;
	int err = 0;

	if (p->zombie || (p->group_exit && !(p->core && sig == SIGKILL)))
		return 0;
	if (sig == SIGKILL) {
		kill_process(p, SIGKILL, 0);
		return 0;
	}
	signal_prepare(p, sig);
	if (!find_taker(p, sig, &taker))
		return 0;
	if (sig >= SIGRTMIN)
		err = sigqueue_send(p, &p->sig_pending, sig, info);
	else if (!(p->sig_pending.set & SIGBIT(sig)))
		p->info[sig - 1] = *info;
	if (err)
		return err;
	p->sig_pending.set |= SIGBIT(sig);
	wake_taker(taker);
	return 0;
}

int signal_thread(struct task *t, int sig, const struct siginfo_short *info)
{
	struct process *p = t->proc;
	unsigned long h = signal_action(p, sig).handler;
	int err = 0;

	if (!t->mm || (p->group_exit && !(p->core && sig == SIGKILL)))
		return 0;
	if (sig == SIGKILL) {
		kill_process(p, SIGKILL, 0);
		return 0;
	}
	signal_prepare(p, sig);
	if (h == SIG_IGN && !(t->sig_blocked & SIGBIT(sig)))
		return 0;
	if (sig >= SIGRTMIN)
		err = sigqueue_send(p, &t->sig_pending, sig, info);
	else if (!((p->sig_pending.set | t->sig_pending.set) & SIGBIT(sig)))
		p->info[sig - 1] = *info;
	if (err)
		return err;
	t->sig_pending.set |= SIGBIT(sig);
	wake_taker(t->sig_blocked & SIGBIT(sig) ? NULL : t);
	return 0;
}

void signal_send_queued(struct process *p, struct task *t, struct sigqueue *q)
{
	struct sigpending *pending = t ? &t->sig_pending : &p->sig_pending;
	struct task *taker = t;

	if (p->zombie || p->group_exit || (t && !t->mm))
		return;
	signal_prepare(p, q->sig);
	if (t) {
		if (is_ignored(p, q->sig) && !(t->sig_blocked & SIGBIT(q->sig)))
			return;
		taker = t->sig_blocked & SIGBIT(q->sig) ? NULL : t;
	} else if (!find_taker(p, q->sig, &taker)) {
		return;
	}
	if (q->sig < SIGRTMIN && pending->set & SIGBIT(q->sig))
		return;
	if (q->sig == SIGKILL) {
		kill_process(p, SIGKILL, 0);
		return;
	}
	sigqueue_add(pending, q);
	pending->set |= SIGBIT(q->sig);
	wake_taker(taker);
}

void signal_current(int sig)
{
	struct siginfo_short info = {SI_USER, current_process()->pid, 0, current_cred()->uid};
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	signal_thread(current, sig, &info);
	spin_unlock_irqrestore(&task_list_lock, flags);
}

void recalc_sigpending(void)
{
	struct task *t = current;

	if ((t->sig_pending.set | t->proc->sig_pending.set) & ~t->sig_blocked || t->fault.sig ||
	    t->proc->stop_sig)
		atomic_or(&t->ti->flags, TIF_SIGPENDING);
	else
		atomic_and(&t->ti->flags, ~TIF_SIGPENDING);
}

/* ---- delivery ---- */

struct delivery {
	int sig; /* 0: nothing to deliver */
	struct sigaction act;
	struct siginfo_short info;
	struct fault_info fault; /* sig != 0: the signal comes from an exception */
};

/* Take the next signal to act on. Ignored ones are dropped. */
static void dequeue(struct delivery *d)
{
	struct task *t = current;
	struct process *p = t->proc;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	d->sig = d->fault.sig = 0;
	if (t->fault.sig) {
		d->fault = t->fault;
		d->sig = t->fault.sig;
		t->fault.sig = 0;
		d->act = signal_action(p, d->sig);
		if (d->fault.fatal)
			d->act.handler = SIG_DFL;
		d->info = (struct siginfo_short){d->fault.code, d->fault.pkey, d->fault.addr, 0};
	}
	while (!d->sig) {
		u64 set = (t->sig_pending.set | p->sig_pending.set) & ~t->sig_blocked;
		int sig;

		if (!set)
			break;
		sig = __builtin_ctzll(set) + 1;
		take_pending(sig, &d->info);
		if (is_ignored(p, sig))
			continue;
		if (SIGBIT(sig) & STOPPING && signal_action(p, sig).handler == SIG_DFL) {
			if (begin_stop(p, sig))
				break;
			continue;
		}
		d->sig = sig;
		d->act = signal_action(p, sig);
	}
	if (d->sig && d->act.flags & SA_RESETHAND && d->act.handler > SIG_IGN)
		p->sighand->action[d->sig - 1].handler = SIG_DFL;
	recalc_sigpending();
	spin_unlock_irqrestore(&task_list_lock, flags);
}

/* After an interrupted system call: let it run again, or make it return -EINTR. */
static void restart_or_fail(struct pt_regs *regs, const struct delivery *d)
{
	long ret = regs->rax;
	bool again = !d->sig;

	if (ret != -ERESTARTSYS && ret != -ERESTARTNOHAND && ret != -ERESTARTNOINTR)
		return;
	again |= ret == -ERESTARTNOINTR;
	if (ret == -ERESTARTSYS && d->sig && d->act.flags & SA_RESTART)
		again = true;
	if (again) {
		regs->rax = regs->orig_rax;
		regs->rip -= 2; /* SYSCALL has two bytes */
	} else {
		regs->rax = -EINTR;
	}
}

static void block_during_handler(const struct delivery *d)
{
	struct task *t = current;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	t->sig_blocked |= d->act.mask & ~UNMASKABLE;
	if (!(d->act.flags & SA_NODEFER))
		t->sig_blocked |= SIGBIT(d->sig);
	recalc_sigpending();
	spin_unlock_irqrestore(&task_list_lock, flags);
}

static void restore_saved_mask(void)
{
	struct task *t = current;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	t->sig_restore = false;
	t->sig_blocked = t->sig_saved;
	recalc_sigpending();
	spin_unlock_irqrestore(&task_list_lock, flags);
}

void deliver_signals(struct pt_regs *regs, bool in_syscall)
{
	struct task *t = current;
	struct delivery d;
	u64 mask;

	/* A signal that was taken before the stop is delivered after it. */
	dequeue(&d);
	while (!d.sig && signal_stop())
		dequeue(&d);
	if (in_syscall)
		restart_or_fail(regs, &d);
	if (!d.sig) {
		if (t->sig_restore)
			restore_saved_mask();
		return;
	}
	if (d.act.handler <= SIG_IGN) {
		if (!in_syscall)
			regs->orig_rax = -1ull; /* for a core: no system call */
		process_exit_signal(regs, d.sig, &d.info);
	}
	if (t->rseq)
		rseq_resume(regs);
	mask = t->sig_restore ? t->sig_saved : t->sig_blocked;
	if (sigframe_push(regs, d.sig, &d.act, &d.info, d.fault.sig ? &d.fault : NULL, mask))
		process_exit_signal(regs, SIGSEGV, &(struct siginfo_short){.code = SI_KERNEL});
	t->sig_restore = false;
	block_during_handler(&d);
}

/* ---- exceptions, and the way out ---- */

void process_fault(struct pt_regs *regs, const struct fault_info *f, const char *why)
{
	struct task *t = current;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	bool handled = signal_action(t->proc, f->sig).handler > SIG_IGN &&
		       !(t->sig_blocked & SIGBIT(f->sig));
	char text[192];

	t->fault = *f;
	t->fault.fatal = !handled;
	recalc_sigpending();
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (handled)
		return;
	ksnprintf(text, sizeof(text), "%s[%d]: %s at %lx ip %lx sp %lx error %lx", t->comm, t->pid,
		  why, f->addr, (unsigned long)regs->rip, (unsigned long)regs->rsp, f->error);
	printk("%s\n", text);
	/* Report only processes that the kernel started. A child's end is its parent's business. */
	if (!t->proc->parent)
		testchan_record(MMVM_REC_KILLED, t->comm, f->sig, f->addr, text);
}

/* A thread whose process is ending. */
static void __noreturn killed_exit(struct pt_regs *regs, bool in_syscall)
{
	struct task *t = current;

	if (!in_syscall)
		regs->orig_rax = -1ull; /* for a core: no system call */
	if (!t->proc->parent && t->proc->group_exit && t->proc->exit_status == SIGKILL)
		testchan_printf(MMVM_REC_KILLED, t->comm, SIGKILL, "%s[%d]: killed", t->comm,
				t->pid);
	thread_killed();
}

/* Make the system call that was deferred until all registers are in the frame (regs_call()). */
static void make_regs_call(struct pt_regs *regs)
{
	long (*fn)(struct pt_regs *) = current->regs_call;
	u16 nr = (u16)regs->orig_rax; /* execve() and rt_sigreturn() change it */

	current->regs_call = NULL;
	regs->rax = fn(regs);
	trace_point(SYS_EXIT, regs->rax, .arg = nr, .mm = trace_mm_id(current->mm));
}

void exit_to_user_work(struct pt_regs *regs, bool in_syscall)
{
	struct thread_info *ti = current_thread_info();

	for (;;) {
		u32 flags = atomic_load(&ti->flags);
		bool bad_rip = regs->rip >> 47;

		if (likely(!flags && !ti->need_resched && !bad_rip))
			return;
		arch_irq_enable();
		if (flags & TIF_KILLED)
			killed_exit(regs, in_syscall);
		if (flags & TIF_FILES)
			task_close_files();
		if (flags & TIF_MIGRATE)
			sched_migrate_self();
		if (flags & TIF_CPU_TIMER) {
			atomic_and(&ti->flags, ~TIF_CPU_TIMER);
			cpu_timers_run();
		}
		if (flags & TIF_REGS_CALL) {
			atomic_and(&ti->flags, ~TIF_REGS_CALL);
			make_regs_call(regs);
			in_syscall = false; /* none of these calls is interrupted */
		} else if (flags & TIF_SIGPENDING) {
			deliver_signals(regs, in_syscall);
			in_syscall = false;
		} else if (flags & TIF_MEMCG_HIGH) {
			atomic_and(&ti->flags, ~TIF_MEMCG_HIGH);
			mem_cgroup_handle_over_high();
		} else if (flags & TIF_RSEQ) {
			rseq_resume(regs);
		} else if (bad_rip) {
			struct fault_info f = {.sig = SIGSEGV, .code = SI_KERNEL, .trap = 13};

			process_fault(regs, &f, "bad instruction address");
		}
		if (ti->need_resched)
			sched_yield();
		arch_irq_disable();
	}
}
