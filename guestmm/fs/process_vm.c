/*
 * process_vm_readv(2), process_vm_writev(2), process_madvise(2), process_mrelease(2): another process's memory.
 *
 * Bytes are copied through a page of the kernel. One side is in the caller's address space and may fault; the other is
 * accessed through its page tables (mm/fault/remote.c). Bytes that were copied before an error are counted.
 *
 * The caller must be allowed to trace the process (ptrace(2)): the same user, or CAP_SYS_PTRACE.
 */
#include "fs/iovec.h"
#include "fs/process_vm.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "kernel/process.h"
#include "lib/errno.h"
#include "lib/syscall.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/oom.h"
#include "mm/virt/mm.h"
#include "mm/fault/remote.h"

/* May the caller access the process, by ptrace(2)'s rules? T held. */
static bool may_access(const struct process *p)
{
	const struct cred *me = current_cred();
	const struct task *t;

	if (p == current_process() || capable(CAP_SYS_PTRACE))
		return true;
	list_for_each_entry (t, &p->threads, thread) {
		const struct cred *c = t->cred;

		if (c && (me->uid != c->euid || me->uid != c->suid || me->uid != c->uid ||
			  me->gid != c->egid || me->gid != c->sgid || me->gid != c->gid ||
			  c->permitted & ~me->permitted))
			return false;
		if (t->mm && READ_ONCE(t->mm->dumpable) != MM_DUMP_USER)
			return false;
	}
	return true;
}

/* The process that a thread belongs to. It is not found by the task, because a task that ends may outlive its
 * process. T held. */
static const struct process *process_of(int tid)
{
	const struct process *p;
	const struct task *t;

	list_for_each_entry (p, &process_list, all) {
		list_for_each_entry (t, &p->threads, thread) {
			if (t->pid == tid)
				return p;
		}
	}
	return NULL;
}

int process_access_mm(int pid, struct mm_struct **mm)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	const struct process *p = process_of(pid);
	int owner = p ? p->pid : 0;
	bool may = p && may_access(p);

	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!p)
		return -ESRCH;
	if (!may)
		return -EACCES;
	*mm = process_get_mm(owner);
	return *mm ? 0 : -ESRCH;
}

/* Copy up to a page between the caller's memory and the other's. Returns the number of bytes copied. */
static size_t move(struct mm_struct *mm, unsigned long theirs, unsigned long mine, void *page,
		   size_t n, bool write)
{
	if (write) {
		if (copy_from_user(page, mine, n))
			return 0;
		return write_remote_vm(mm, theirs, page, n);
	}
	n = read_remote_vm(mm, theirs, page, n);
	return n && copy_to_user(mine, page, n) ? 0 : n;
}

enum direction { FROM_PROCESS, TO_PROCESS };

static long transfer(struct mm_struct *mm, struct iov_iter *local, struct iov_iter *remote,
		     enum direction dir)
{
	void *page = (void *)__get_free_pages(GFP_KERNEL, 0);
	unsigned long mine, theirs;
	size_t done = 0;
	long err = 0;

	if (!page)
		return -ENOMEM;
	while (!err && !(atomic_load(&current_thread_info()->flags) & TIF_KILLED)) {
		size_t n = iov_piece(local, &mine), m = n ? iov_piece(remote, &theirs) : 0;

		n = min(n, m);
		if (!n)
			break;
		/* Copy at most to the end of a page on either side, so that a page is copied as a whole or not at
		 * all. */
		n = min(n, PAGE_SIZE - (theirs & ~PAGE_MASK));
		n = min(n, PAGE_SIZE - (mine & ~PAGE_MASK));
		m = theirs < TASK_SIZE ? move(mm, theirs, mine, page, n, dir == TO_PROCESS) : 0;
		if (m < n)
			err = -EFAULT;
		done += m;
		iov_advance(local, m);
		iov_advance(remote, m);
		cond_resched();
	}
	free_pages((unsigned long)page, 0);
	return done ? (long)done : err;
}

static long process_vm(struct pt_regs *r, enum direction dir)
{
	struct iov_iter local, remote;
	struct mm_struct *mm;
	long ret;

	if (r->r9)
		return -EINVAL;
	ret = iov_get(&local, r->rsi, r->rdx, IOV_LOCAL);
	if (ret)
		return ret;
	if (!local.left)
		goto put_local;
	ret = iov_get(&remote, r->r10, r->r8, IOV_REMOTE);
	if (ret)
		goto put_local;
	ret = remote.left ? process_access_mm((int)r->rdi, &mm) : 0;
	if (!ret && remote.left) {
		ret = transfer(mm, &local, &remote, dir);
		mmput(mm);
	}
	ret = ret == -EACCES ? -EPERM : ret; /* this call returns EPERM, as in Linux */
	iov_put(&remote);
put_local:
	iov_put(&local);
	return ret;
}

long sys_process_vm_readv(struct pt_regs *r)
{
	return process_vm(r, FROM_PROCESS);
}

long sys_process_vm_writev(struct pt_regs *r)
{
	return process_vm(r, TO_PROCESS);
}

/* ---- advice ----------------------------------------------------------------------------------- */

/* For another process only advice is allowed that does not change the contents of its memory. */
static bool may_advise(int advice)
{
	return advice == MADV_COLD || advice == MADV_PAGEOUT || advice == MADV_WILLNEED;
}

/* Guards are allowed in the caller's own memory only, without a privilege, as in Linux 6.13. */
static bool is_own_guard(int pid, int advice)
{
	return pid == current_process()->pid &&
	       (advice == MADV_GUARD_INSTALL || advice == MADV_GUARD_REMOVE);
}

/* The pid of a pidfd's process, or -errno. */
static int pid_of(unsigned int fd)
{
	bool nonblock;
	struct process *p = pidfd_get_process(fd, &nonblock);
	int pid = -EBADF;

	if (p) {
		pid = READ_ONCE(p->collected) ? -ESRCH : p->pid;
		process_put(p);
	}
	return pid;
}

long sys_process_madvise(struct pt_regs *r)
{
	struct mm_struct *mm;
	struct iov_iter v;
	unsigned long addr;
	long ret = 0, done = 0;
	int pid;
	size_t n;

	if (r->r8)
		return -EINVAL;
	ret = iov_get(&v, r->rsi, r->rdx, IOV_LOCAL);
	if (ret)
		return ret;
	ret = pid = pid_of(r->rdi);
	if (pid > 0)
		ret = may_advise((int)r->r10) || is_own_guard(pid, (int)r->r10)
			      ? process_access_mm(pid, &mm)
			      : -EINVAL;
	if (ret)
		goto put;
	if (!is_own_guard(pid, (int)r->r10) &&
	    !capable(CAP_SYS_NICE)) /* as in Linux 6.1, even for the caller's own memory */
		ret = -EPERM;
	while (!ret && (n = iov_piece(&v, &addr))) {
		ret = do_madvise(mm, addr, n, (int)r->r10);
		if (!ret) {
			iov_advance(&v, n);
			done += n;
		}
	}
	mmput(mm);
put:
	iov_put(&v);
	return done ? done : ret;
}

/* ---- memory of a dying process ---------------------------------------------------------------- */

/* T held: are all processes that use this address space about to end? */
static bool all_are_dying(const struct mm_struct *mm)
{
	const struct process *p;
	const struct task *t;

	list_for_each_entry (p, &process_list, all) {
		list_for_each_entry (t, &p->threads, thread) {
			if (t->mm == mm && (!p->group_exit || p->core))
				return false;
		}
	}
	return true;
}

long sys_process_mrelease(struct pt_regs *r)
{
	struct mm_struct *mm;
	unsigned long flags;
	bool dying;
	int pid;

	if ((u32)r->rsi)
		return -EINVAL;
	pid = pid_of(r->rdi);
	if (pid < 0)
		return pid;
	mm = process_get_mm(pid);
	if (!mm)
		return -ESRCH;
	flags = spin_lock_irqsave(&task_list_lock);
	dying = all_are_dying(mm);
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (dying)
		mm_release_early(mm);
	mmput(mm);
	return dying ? 0 : -EINVAL;
}
