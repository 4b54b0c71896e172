/*
 * The end of processes, and the signal that the parent gets for it.
 *
 *   thread: process_exit ── leaves memory and files ──> dead ── reaper frees the stack ──┐
 *   process:   zombie when its last thread's stack is gone <─────────────────────────────┘
 *                └─ parent: SIGCHLD, wait(2) collects it │ no parent waits: freed at once
 *
 * So when a parent has collected the status, all memory of the process has been freed.
 *
 * I1  A zombie has no threads, no memory, no files.
 * I2  Children of a process that ends become children of process 1, or of the kernel if there is no
 *     process 1.
 *
 * Locks: task_list_lock; it is taken above wait-queue locks and the run-queue lock.
 */
#include "kernel/process.h"
#include "arch/tlb.h"
#include "arch/uaccess.h"
#include "kernel/coredump.h"
#include "kernel/cred.h"
#include "kernel/futex.h"
#include "kernel/sigqueue.h"
#include "kernel/time_calls.h"
#include "kernel/cgroup.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/virt/mm.h"
#include "mm/numa/mempolicy.h"
#include "mm/reclaim/oom.h"

/* Kernel threads wait here for the processes that the kernel has started. */
static struct wait_queue exit_wq = WAIT_QUEUE_INIT(exit_wq);
/* Threads that wait for the other threads of their process to exit. */
static struct wait_queue group_wq = WAIT_QUEUE_INIT(group_wq);

/* ---- ending ---- */

void thread_release_mm(void)
{
	struct task *t = current;
	u32 zero = 0;

	if (!t->mm)
		return;
	if (t->robust_list)
		futex_exit_robust_list();
	futex_release_pi();
	if (!t->clear_child_tid)
		return;
	if (!copy_to_user(t->clear_child_tid, &zero, sizeof(zero)))
		futex_wake(t->mm, t->clear_child_tid, 1);
	t->clear_child_tid = 0;
}

static void __noreturn thread_exit(void)
{
	struct task *t = current;
	struct process *p = t->proc;
	struct mm_struct *mm = t->mm;
	unsigned long flags;
	bool last, oom;

	thread_release_mm();
	flags = spin_lock_irqsave(&task_list_lock);
	t->pi_gone = true;
	last = --p->nr_live == 0;
	/* Add its counts to the process's now: once the lock is released, its stack may be freed. */
	io_counts_add(&p->dead_io, &t->ti->io);
	memset(&t->ti->io, 0, sizeof(t->ti->io));
	check_all_stopped(p);
	if (unlikely(p->core))
		wake_up(&p->core_wq);
	if (last) {
		p->group_exit = true;
		itimer_cancel(p);
		tty_session_ends(p);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	futex_release_pi(); /* locks that another task has passed to it since the first call */
	if (last)
		trace_point(EXIT, p->exit_status, .mm = trace_mm_id(mm));
	/* Leave the address space before dropping it: nothing may run on freed tables. */
	task_set_mm(NULL);
	if (last)
		vfork_release();
	atomic_and(&t->ti->flags, ~(TIF_KILLED | TIF_OOM_VICTIM | TIF_SIGPENDING));
	if (mm && last)
		process_leaves_mm(p, mm);
	if (mm)
		mmput(mm);
	task_close_files();
	mempolicy_exit(t->ti);
	if (last) {
		struct files *files = p->files;
		struct fs_struct *fs = p->fs;

		sem_exit(p);
		posix_timers_exit(p);
		/* Other tasks read these under the lock. */
		flags = spin_lock_irqsave(&task_list_lock);
		p->files = NULL;
		p->fs = NULL;
		spin_unlock_irqrestore(&task_list_lock, flags);
		files_put(files);
		fs_put(fs);
		task_close_files(); /* files that were in the queues of closed sockets */
		flags = spin_lock_irqsave(&task_list_lock);
		oom = p->oom_since != 0;
		p->oom_since = 0;
		spin_unlock_irqrestore(&task_list_lock, flags);
		if (oom)
			oom_memory_freed();
	}
	task_exit();
}

void kill_process(struct process *p, int status, u32 tif)
{
	struct task *t;

	/* If the process is being dumped, SIGKILL and the OOM killer still decide its exit status. */
	if (!p->group_exit || p->core) {
		p->group_exit = true;
		p->exit_status = status;
	}
	list_for_each_entry (t, &p->threads, thread) {
		/* A thread without mm is exiting already, and its stack may have been freed. */
		if (!t->mm)
			continue;
		atomic_or(&t->ti->flags, TIF_KILLED | tif);
		wake_up_task(t);
	}
}

void process_exit(int status)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	kill_process(current->proc, status, 0);
	spin_unlock_irqrestore(&task_list_lock, flags);
	thread_exit();
}

void thread_killed(void)
{
	coredump_park();
	thread_exit();
}

bool kill_other_threads(void)
{
	struct task *me = current, *t;
	struct process *p = me->proc;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	bool mine = !p->group_exit && !p->group_exec; /* of two in execve() one survives */

	if (mine)
		p->group_exec = true;
	if (mine && p->nr_threads > 1) {
		list_for_each_entry (t, &p->threads, thread) {
			if (t == me || !t->mm)
				continue;
			atomic_or(&t->ti->flags, TIF_KILLED);
			wake_up_task(t);
		}
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!mine)
		return false;
	wait_event(&group_wq, READ_ONCE(p->nr_threads) == 1);
	WRITE_ONCE(p->group_exec, false);
	return true;
}

/* Remove the process from the list and the tree. The caller drops their reference after releasing T. T held. */
void process_unlink(struct process *p)
{
	list_del(&p->all);
	if (p->parent)
		list_del(&p->sibling);
	p->parent = NULL;
	p->collected = true;
}

/* Send the parent its signal. True: no parent will collect the status, so the caller must free the process. T held. */
static bool notify_parent(struct process *p)
{
	struct process *parent = p->parent;
	struct siginfo_short info;
	struct sigaction act;
	bool unwanted = false;

	if (!parent) {
		wake_up(&exit_wq);
		return !p->kernel_waits;
	}
	if (p->exit_signal == SIGCHLD) {
		act = signal_action(parent, SIGCHLD);
		unwanted = act.handler == SIG_IGN || act.flags & SA_NOCLDWAIT;
	}
	info.code = p->exit_status & 0x7f ? CLD_KILLED : CLD_EXITED;
	info.pid = p->pid;
	info.uid = p->exit_uid;
	info.value = p->exit_status & 0x7f ? p->exit_status & 0x7f : p->exit_status >> 8 & 0xff;
	if (p->exit_signal)
		signal_process(parent, p->exit_signal, &info);
	wake_up(&parent->wait);
	return unwanted;
}

void notify_parent_stop(struct process *p, int code, int sig)
{
	struct siginfo_short info = {.code = code, .pid = p->pid, .value = sig};
	struct process *parent = p->parent;
	struct sigaction act;

	if (!parent)
		return;
	act = signal_action(parent, SIGCHLD);
	if (act.handler != SIG_IGN && !(act.flags & SA_NOCLDSTOP))
		signal_process(parent, SIGCHLD, &info);
	wake_up(&parent->wait);
}

/* Move the children that nobody will wait for to `dead`, linked by `sibling`. T held. */
static void reparent_children(struct process *p, struct list_head *dead)
{
	struct process *init = find_process(1), *c, *n;
	struct siginfo_short info = {SI_USER, p->pid, 0, 0};

	if (init == p || (init && init->group_exit))
		init = NULL;
	list_for_each_entry_safe (c, n, &p->children, sibling) {
		list_del(&c->sibling);
		c->parent = init;
		/* Its old parent chose the signal for its end; process 1 expects SIGCHLD. */
		c->exit_signal = SIGCHLD;
		WRITE_ONCE(c->ppid, init ? init->pid : 0);
		if (init)
			list_add_tail(&c->sibling, &init->children);
		if (c->pdeath_signal && !c->zombie)
			signal_process(c, c->pdeath_signal, &info);
		if (c->zombie && notify_parent(c)) {
			process_unlink(c);
			list_add_tail(&c->sibling, dead);
		}
	}
}

/* Does p keep the group from being orphaned: as a member whose parent is outside the group, or as the parent of a
 * member? T held. */
static bool ties_group(const struct process *p, int pgid)
{
	const struct process *c;

	if (p->pgid == pgid)
		return p->parent && p->parent->pgid != pgid && p->parent->sid == p->sid;
	list_for_each_entry (c, &p->children, sibling) {
		if (c->pgid == pgid && c->sid == p->sid)
			return true;
	}
	return false;
}

/* The children of p are about to get another parent. Mark the stopped groups that this may orphan. T held. */
static void note_orphans(const struct process *p)
{
	struct process *c;

	list_for_each_entry (c, &process_list, all)
		c->may_be_orphan = c->stop_sig && c->sid == p->sid && ties_group(p, c->pgid);
}

/* Called when a process has ended and its children have another parent: each marked group that is orphaned now gets
 * SIGHUP and SIGCONT (POSIX.1-2017, exit()). T held. */
static void free_orphans(void)
{
	struct siginfo_short info = {SI_KERNEL, 0, 0, 0};
	struct process *c, *q;

	list_for_each_entry (c, &process_list, all) {
		if (!c->may_be_orphan || !group_is_orphaned(c->pgid))
			continue;
		list_for_each_entry (q, &process_list, all) {
			if (q->pgid != c->pgid)
				continue;
			q->may_be_orphan = false;
			signal_process(q, SIGHUP, &info);
			signal_process(q, SIGCONT, &info);
		}
	}
}

void process_dead(struct task *t)
{
	struct process *p = t->proc, *c, *n;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	LIST_HEAD(dead);

	sigqueue_drop(&t->sig_pending, ~0ull);
	if (p->nr_threads == 1)
		sigqueue_drop(&p->sig_pending, ~0ull);
	p->exit_uid = t->cred ? t->cred->uid : 0;
	list_del(&t->thread);
	p->dead_run_ns += t->run_ns;
	p->dead_sys_ns += task_system_ns(t, t->run_ns);
	if (--p->nr_threads) {
		wake_up(&group_wq);
	} else {
		note_orphans(p);
		reparent_children(p, &dead);
		p->zombie = true;
		free_orphans();
		cgroup_exit(p);
		wake_up(&p->exit_wq);
		if (notify_parent(p)) {
			process_unlink(p);
			list_add_tail(&p->sibling, &dead);
		}
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	list_for_each_entry_safe (c, n, &dead, sibling)
		process_put(c);
}

/* ---- waiting for programs that the kernel started ---- */

/* Take the zombie with this pid, for which the kernel waits, out of the tree. NULL: there is none. *there: the process
 * exists but has not ended yet. */
static struct process *take_kernel_child(int pid, bool *there)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p = find_process(pid);

	*there = p && p->kernel_waits;
	if (!*there || !p->zombie)
		p = NULL;
	else
		process_unlink(p);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return p;
}

int process_wait(int pid)
{
	struct process *p;
	bool there;
	int status;

	wait_event(&exit_wq, (p = take_kernel_child(pid, &there)) || !there);
	if (!p)
		return -ECHILD;
	status = p->exit_status;
	process_put(p);
	return status;
}

/* ---- calls ---- */

long sys_exit_group(struct pt_regs *r)
{
	process_exit((r->rdi & 0xff) << 8);
}

long sys_exit(struct pt_regs *r)
{
	struct process *p = current_process();
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	/* The last thread's status is the process's. */
	if (p->nr_live == 1 && !p->group_exit)
		p->exit_status = (r->rdi & 0xff) << 8;
	spin_unlock_irqrestore(&task_list_lock, flags);
	thread_exit();
}
