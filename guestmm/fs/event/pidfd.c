/*
 * pidfd_open(2) and related calls: a file that refers to a process. With it a program can wait for the
 * process and signal it without the risk that its number belongs to another process by then. The file is
 * readable once the process has ended.
 *
 * Lock: task_list_lock for p->zombie and p->collected.
 */
#include "fs/event/pidfd.h"
#include "fs/poll.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/syscall.h"

static u32 pidfd_poll(struct file *f, struct wait_queue **wq)
{
	struct process *p = READ_ONCE(f->private);

	if (!p)
		return 0;
	if (wq)
		*wq = &p->exit_wq;
	return READ_ONCE(p->zombie) ? POLLIN | POLLRDNORM : 0;
}

static void pidfd_release(struct file *f)
{
	if (f->private)
		process_put(f->private);
}

static void pidfd_show(struct report *r, struct file *f)
{
	struct process *p = pidfd_process(f);
	int pid;

	if (!p)
		return;
	pid = READ_ONCE(p->collected) ? -1 : p->pid;
	report_printf(r, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
	process_put(p);
}

static const struct file_ops pidfd_ops = {
	.poll = pidfd_poll, .release = pidfd_release, .show_fdinfo = pidfd_show};

struct process *pidfd_process(const struct file *f)
{
	struct process *p = f->ops == &pidfd_ops ? READ_ONCE(f->private) : NULL;

	if (p)
		process_get(p);
	return p;
}

/* Get the process that a descriptor refers to, with a reference. 0 or -EBADF. */
static int pidfd_get(unsigned int fd, struct process **p, u32 *file_flags)
{
	struct file *f = fd_get(fd);

	if (!f)
		return -EBADF;
	*p = pidfd_process(f);
	*file_flags = f->flags;
	file_put(f);
	return *p ? 0 : -EBADF;
}

struct process *pidfd_get_process(unsigned int fd, bool *nonblock)
{
	struct process *p = NULL;
	u32 flags = 0;

	if (pidfd_get(fd, &p, &flags))
		return NULL;
	*nonblock = flags & O_NONBLOCK;
	return p;
}

struct file *pidfd_file(struct process *p, u32 flags)
{
	struct file *f = file_alloc(&pidfd_ops, O_RDWR | (flags & O_NONBLOCK), p);

	if (!f)
		return NULL;
	if (p)
		process_get(p);
	strscpy(f->label, "anon_inode:[pidfd]", sizeof(f->label));
	return f;
}

int pidfd_begin(unsigned long user, struct file **held)
{
	struct file *f = pidfd_file(NULL, 0);
	int fd;

	if (!f)
		return -ENOMEM;
	file_get(f);
	fd = fd_install(f, 0, O_CLOEXEC);
	if (fd < 0) {
		file_put(f);
		file_put(f);
		return fd;
	}
	if (copy_to_user(user, &fd, sizeof(fd))) {
		pidfd_end(f, fd);
		return -EFAULT;
	}
	*held = f; /* another thread may close the descriptor meanwhile */
	return fd;
}

void pidfd_end(struct file *held, int fd)
{
	if (fd >= 0)
		fd_close(fd);
	file_put(held);
}

void pidfd_name(struct file *f, struct process *p)
{
	process_get(p);
	WRITE_ONCE(f->private, p);
}

long sys_pidfd_open(struct pt_regs *r)
{
	int pid = (int)r->rdi;
	struct process *p;
	unsigned long flags;
	struct file *f;
	bool thread;
	long fd;

	if (r->rsi & ~(u64)O_NONBLOCK || pid <= 0)
		return -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	p = find_process(pid);
	thread = !p && find_task(pid);
	if (p)
		process_get(p);
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!p)
		return thread ? -EINVAL : -ESRCH;
	f = pidfd_file(p, r->rsi);
	process_put(p);
	if (!f)
		return -ENOMEM;
	fd = fd_install(f, 0, O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

/* Read and check the siginfo of the signal to send: its number and code. */
static long check_info(unsigned long user, int sig, struct siginfo_short *info, bool self)
{
	struct {
		s32 signo, error, code, pad;
		s32 pid, uid;
		u64 value;
	} si;

	*info = (struct siginfo_short){SI_USER, current_process()->pid, 0, current_cred()->uid};
	if (!user)
		return 0;
	if (copy_from_user(&si, user, sizeof(si)))
		return -EFAULT;
	if (si.signo != sig)
		return -EINVAL;
	/* A signal to another process must not claim to be from the kernel or from kill(2). */
	if (!self && (si.code >= 0 || si.code == SI_TKILL))
		return -EPERM;
	*info = (struct siginfo_short){si.code, si.pid, si.value, si.uid};
	return 0;
}

long sys_pidfd_send_signal(struct pt_regs *r)
{
	struct siginfo_short info;
	int sig = (int)r->rsi;
	unsigned long flags;
	struct process *p;
	u32 file_flags;
	long ret;

	if (r->r10)
		return -EINVAL;
	ret = pidfd_get(r->rdi, &p, &file_flags);
	if (ret)
		return ret;
	ret = check_info(r->rdx, sig, &info, p == current_process());
	if (!ret && (sig < 0 || sig > NR_SIGNALS))
		ret = -EINVAL;
	flags = spin_lock_irqsave(&task_list_lock);
	if (!ret && p->collected)
		ret = -ESRCH;
	if (!ret && !may_signal(p, sig))
		ret = -EPERM;
	if (!ret && sig)
		ret = signal_process(p, sig, &info);
	spin_unlock_irqrestore(&task_list_lock, flags);
	process_put(p);
	return ret;
}

long sys_pidfd_getfd(struct pt_regs *r)
{
	struct files *files = NULL;
	struct file *got = NULL;
	unsigned long flags;
	struct process *p;
	u32 file_flags;
	long ret;

	if (r->rdx)
		return -EINVAL;
	ret = pidfd_get(r->rdi, &p, &file_flags);
	if (ret)
		return ret;
	flags = spin_lock_irqsave(&task_list_lock);
	if (p->files) {
		files = p->files;
		files_get(files);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	process_put(p);
	if (!files)
		return -ESRCH;
	got = files_lookup(files, r->rsi);
	files_put(files);
	if (!got)
		return -EBADF;
	ret = fd_install(got, 0, O_CLOEXEC);
	if (ret < 0)
		file_put(got);
	return ret;
}
