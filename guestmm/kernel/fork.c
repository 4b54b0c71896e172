/*
 * fork, vfork, clone: a new thread, in a new process or in this one.
 *
 *   task_create_user ──> process (or ours) ──> memory ──> files ──> registers ──> published, runs
 *        each step may fail; the steps before it are undone in reverse
 *
 * The child starts in child_start() on its own stack, whose top holds a copy of the parent's user
 * registers with rax = 0, and leaves for user mode as from a system call.
 *
 * I1  A task is added to proc->threads, and a process to process_list, only when nothing can fail any
 *     more. So no other task ever sees an incomplete one.
 * I2  No thread is added to a process that is ending: publish() checks group_exit under task_list_lock.
 */
#include "kernel/cred.h"
#include "kernel/process.h"
#include "arch/tlb.h"
#include "arch/uaccess.h"
#include "kernel/cgroup.h"
#include "kernel/pid.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/virt/mm.h"
#include "mm/phys/alloc.h"
#include "mm/phys/zone.h"
#include "mm/numa/mempolicy.h"

struct clone_args {
	u32 flags; /* CLONE_* */
	int exit_signal;
	unsigned long stack; /* 0: the parent's */
	unsigned long parent_tid, child_tid, tls;
	unsigned long pidfd; /* CLONE_PIDFD: where its number is written */
};

#define CLONE_SUPPORTED                                                                     \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_PIDFD | CLONE_VFORK |    \
	 CLONE_PARENT | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | \
	 CLONE_CHILD_CLEARTID | CLONE_DETACHED | CLONE_UNTRACED | CLONE_CHILD_SETTID | CLONE_IO)

/* Parents in vfork. */
static struct wait_queue vfork_wq = WAIT_QUEUE_INIT(vfork_wq);

void vfork_release(void)
{
	struct process *p = current_process();

	if (p->mm_released)
		return;
	atomic_store_release(&p->mm_released, true);
	wake_up(&vfork_wq);
}

static int vfork_wait(struct process *child)
{
	u32 *flags = &current_thread_info()->flags;

	wait_event(&vfork_wq,
		   atomic_load_acquire(&child->mm_released) || atomic_load(flags) & TIF_KILLED);
	return 0;
}

static int child_start(void *arg)
{
	struct task *t = current;
	u32 tid = t->pid;

	if (t->set_child_tid)
		copy_to_user(t->set_child_tid, &tid, sizeof(tid));
	arch_return_to_user(task_user_regs(t));
}

int sysctl_threads_max;

/* As in Linux: as many threads as have room for their stacks in an eighth of memory. */
int threads_max(void)
{
	unsigned long most = totalram_pages() / (8 * THREAD_SIZE / PAGE_SIZE);

	return READ_ONCE(sysctl_threads_max) ?: (int)max(most, (unsigned long)THREADS_MAX_LEAST);
}

static bool too_many_tasks(void)
{
	int nr = READ_ONCE(nr_tasks);

	return nr >= threads_max() || nr >= READ_ONCE(sysctl_pid_max) - 1;
}

static int check_flags(const struct clone_args *a)
{
	u32 f = a->flags;

	if (f & ~CLONE_SUPPORTED)
		return -EINVAL;
	if ((f & CLONE_THREAD && !(f & CLONE_SIGHAND)) || (f & CLONE_SIGHAND && !(f & CLONE_VM)))
		return -EINVAL;
	/* A process, not a thread; and CLONE_DETACHED is reserved for a later meaning. */
	if (f & CLONE_PIDFD && f & (CLONE_DETACHED | CLONE_THREAD))
		return -EINVAL;
	if (f & CLONE_SETTLS && a->tls >= TASK_SIZE)
		return -EPERM;
	return a->exit_signal > NR_SIGNALS ? -EINVAL : 0;
}

static void copy_thread(struct task *t, const struct pt_regs *regs, const struct clone_args *a)
{
	struct task *me = current;
	struct pt_regs *child = task_user_regs(t);

	*child = *regs;
	child->rax = 0;
	if (a->stack)
		child->rsp = a->stack;
	arch_fpu_save(t->fpu); /* the caller's are in the processor */
	t->fs_base = a->flags & CLONE_SETTLS ? a->tls : me->fs_base;
	t->gs_base = me->gs_base;
	sched_fork(t);
	mempolicy_fork(t->ti);
	t->cred = cred_get(me->cred);
	t->sig_blocked = me->sig_blocked;
	t->oom_score_adj = me->oom_score_adj;
	if (!(a->flags & CLONE_VM) || a->flags & CLONE_VFORK) {
		t->altstack = me->altstack;
		t->altstack_size = me->altstack_size;
	}
	if (!(a->flags & CLONE_VM)) {
		t->rseq = me->rseq;
		t->rseq_sig = me->rseq_sig;
	}
	if (a->flags & CLONE_CHILD_SETTID)
		t->set_child_tid = a->child_tid;
	if (a->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = a->child_tid;
}

/* Create a process for the new thread. It is in no list yet. */
static int new_process(struct task *t, const struct clone_args *a)
{
	struct process *me = current_process();
	struct process *p = process_alloc(me, me->comm);

	if (!p)
		return -ENOMEM;
	p->pid = t->pid;
	/* With CLONE_PARENT the caller's parent gets the signal, so the caller cannot choose another one. */
	p->exit_signal = a->flags & CLONE_PARENT ? me->exit_signal : a->exit_signal;
	if (a->flags & CLONE_FILES) {
		p->files = me->files;
		files_get(p->files);
	} else {
		p->files = files_dup(me->files);
	}
	if (a->flags & CLONE_FS) {
		p->fs = me->fs;
		fs_get(p->fs);
	} else {
		p->fs = fs_dup(me->fs);
	}
	if (!p->files || !p->fs || sighand_fork(p, me, a->flags & CLONE_SIGHAND)) {
		fs_put(p->fs);
		files_put(p->files);
		process_put(p);
		return -ENOMEM;
	}
	task_set_process(t, p);
	return 0;
}

/* Add the task, and its process if that is new, to the lists. False: the process is ending (I2). T held. */
static bool publish(struct task *t, struct mm_struct *mm, const struct clone_args *a)
{
	struct process *me = current_process(), *p = t->proc;

	if (me->group_exit || atomic_load(&current_thread_info()->flags) & TIF_KILLED)
		return false;
	t->mm = mm;
	t->ti->mm = mm;
	if (p != me) {
		p->pgid = me->pgid;
		p->sid = me->sid;
		p->parent = a->flags & CLONE_PARENT ? me->parent : me;
		if (p->parent) {
			p->ppid = p->parent->pid;
			list_add_tail(&p->sibling, &p->parent->children);
		}
		list_add_tail(&p->all, &process_list);
		cgroup_fork(p, me);
	}
	list_add_tail(&t->thread, &p->threads);
	p->nr_threads++;
	p->nr_live++;
	return true;
}

/* The number of threads of one process that run as this user. A first thread that has ended counts as long as the
 * process exists, because its number is in use. T held. */
static u64 nr_user_threads(const struct process *p, u32 uid)
{
	bool first_is_gone = true;
	const struct task *t;
	u64 n = 0;

	list_for_each_entry (t, &p->threads, thread) {
		n += t->cred && t->cred->uid == uid;
		first_is_gone &= t->pid != p->pid;
	}
	return n + (first_is_gone && p->exit_uid == uid);
}

bool user_has_processes(u32 uid, u64 many)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	const struct process *p;
	u64 n = 0;

	list_for_each_entry (p, &process_list, all) {
		n += nr_user_threads(p, uid);
		if (n >= many)
			break;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return n >= many;
}

/* RLIMIT_NPROC: processes and threads of the caller's real user, until they have been waited for. Root has no such
 * limit. */
static bool user_has_too_many(void)
{
	const struct cred *me = current_cred();
	u64 limit = rlimit(RLIMIT_NPROC);

	return limit != RLIM_INFINITY && me->uid && user_has_processes(me->uid, limit) &&
	       !capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN);
}

/* The child's memory: the caller's, or a copy of it. NULL: no memory. */
static struct mm_struct *child_mm(struct task *t, const struct clone_args *a)
{
	struct mm_struct *mm = current->mm;

	if (!(a->flags & CLONE_VM))
		return dup_mm(mm);
	mmget(mm);
	if (t->proc != current_process()) { /* faults before the fork do not count for the child */
		t->proc->past_min_flt = -(s64)mm->min_flt;
		t->proc->past_maj_flt = -(s64)mm->maj_flt;
	}
	return mm;
}

/* Publish the task, and let the file of its pidfd, if it has one, refer to the process. False: the caller is being
 * killed. */
static bool publish_with_pidfd(struct task *t, struct mm_struct *mm, const struct clone_args *a,
			       struct file *pidfd)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	bool ok = publish(t, mm, a);

	if (ok && pidfd)
		pidfd_name(pidfd, t->proc);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return ok;
}

/* Free the process that new_process() created for a task that was not published. */
static void drop_new_process(struct task *t)
{
	if (t->proc == current_process())
		return;
	fs_put(t->proc->fs);
	files_put(t->proc->files);
	process_put(t->proc);
}

static long do_clone(struct pt_regs *regs, const struct clone_args *a)
{
	struct process *me = current_process(), *vfork_child = NULL;
	struct file *pidfd_held = NULL;
	struct mm_struct *mm;
	int pidfd = -1;
	struct task *t;
	u32 tid;
	long ret;

	ret = check_flags(a);
	if (ret)
		return ret;
	if (too_many_tasks() || user_has_too_many())
		return -EAGAIN;
	current->nproc_exceeded = false;
	t = task_create_user(child_start, NULL, current->comm);
	if (!t)
		return -ENOMEM;
	tid = t->pid;
	if (a->flags & CLONE_THREAD) {
		task_set_process(t, me);
	} else {
		ret = new_process(t, a);
		if (ret)
			goto free_task;
	}
	copy_thread(t, regs, a);
	ret = -ENOMEM;
	mm = child_mm(t, a);
	if (!mm)
		goto free_process;
	if (a->flags & CLONE_PIDFD) {
		ret = pidfd = pidfd_begin(a->pidfd, &pidfd_held);
		if (pidfd < 0)
			goto free_mm;
	}
	if (a->flags & CLONE_PARENT_SETTID)
		copy_to_user(a->parent_tid, &tid, sizeof(tid)); /* as Linux: failure is ignored */
	if (a->flags & CLONE_VFORK && t->proc != me) {
		vfork_child = t->proc;
		process_get(vfork_child);
	}
	if (!publish_with_pidfd(t, mm, a, pidfd_held)) {
		ret = -EINTR; /* the caller is being killed and will not see it */
		goto close_pidfd;
	}
	if (pidfd_held)
		pidfd_end(pidfd_held, -1);
	trace_point(FORK, tid, .mm = trace_mm_id(mm));
	if (t->proc != me)
		cgroup_post_fork(t->proc, mm);
	wake_up_task(t);
	if (vfork_child) {
		vfork_wait(vfork_child);
		process_put(vfork_child);
	}
	return tid;
close_pidfd:
	if (vfork_child)
		process_put(vfork_child);
	if (pidfd_held)
		pidfd_end(pidfd_held, pidfd);
free_mm:
	mmput(mm);
free_process:
	drop_new_process(t);
free_task:
	task_destroy(t);
	return ret;
}

static long fork_call(struct pt_regs *r)
{
	struct clone_args a = {.exit_signal = SIGCHLD};

	return do_clone(r, &a);
}

static long vfork_call(struct pt_regs *r)
{
	/* The memory is shared: what the child writes before it runs a program, the parent sees. */
	struct clone_args a = {.flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD};

	return do_clone(r, &a);
}

static long clone_call(struct pt_regs *r)
{
	struct clone_args a = {
		.flags = (u32)r->rdi & ~0xffu,
		.exit_signal = r->rdi & 0xff,
		.stack = r->rsi,
		.parent_tid = r->rdx,
		.child_tid = r->r10,
		.tls = r->r8,
		.pidfd = r->rdx, /* the same place as parent_tid: one of the two */
	};

	if (a.flags & CLONE_PIDFD && a.flags & CLONE_PARENT_SETTID)
		return -EINVAL;
	return do_clone(r, &a);
}

long sys_fork(struct pt_regs *r)
{
	return regs_call(fork_call);
}

long sys_vfork(struct pt_regs *r)
{
	return regs_call(vfork_call);
}

long sys_clone(struct pt_regs *r)
{
	return regs_call(clone_call);
}

/* clone3(2): the arguments are in a struct. If it is longer than ours, the rest must be 0. */
static long clone3_call(struct pt_regs *r)
{
	struct {
		u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
		u64 set_tid, set_tid_size, cgroup;
	} in = {0};
	struct clone_args a;

	if (r->rsi < 64)
		return -EINVAL;
	if (r->rsi > PAGE_SIZE)
		return -E2BIG;
	if (copy_from_user(&in, r->rdi, min(r->rsi, sizeof(in))))
		return -EFAULT;
	for (u64 at = sizeof(in); at < r->rsi; at++) {
		u8 byte;

		if (copy_from_user(&byte, r->rdi + at, 1))
			return -EFAULT;
		if (byte)
			return -E2BIG;
	}
	/* Unlike clone(2), the low byte of flags is not a signal. set_tid and cgroup are not supported. */
	if (in.flags & 0xff || in.flags >> 32 || in.set_tid || in.set_tid_size || in.cgroup ||
	    in.exit_signal > NR_SIGNALS || !in.stack != !in.stack_size ||
	    (in.flags & (CLONE_THREAD | CLONE_PARENT) && in.exit_signal))
		return -EINVAL;
	a = (struct clone_args){
		.flags = in.flags,
		.exit_signal = in.exit_signal,
		.stack = in.stack ? in.stack + in.stack_size : 0,
		.parent_tid = in.parent_tid,
		.child_tid = in.child_tid,
		.tls = in.tls,
		.pidfd = in.pidfd,
	};
	return do_clone(r, &a);
}

long sys_clone3(struct pt_regs *r)
{
	return regs_call(clone3_call);
}
