/*
 * signalfd(2): the caller's pending signals as a file.
 *
 * The file stores only a set of signals. A reader gets its own pending signals of the set. All readers wait on one
 * queue, because the file may be passed to another process, which may end at any time.
 */
#include "fs/poll.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/syscall.h"

#define SIGSET_SIZE 8

struct signalfd_siginfo {
	u32 signo;
	s32 error, code;
	u32 pid, uid;
	s32 fd;
	u32 tid, band, overrun, trapno;
	s32 status, int_value;
	u64 ptr, utime, stime, addr;
	u8 pad[48];
};
_Static_assert(sizeof(struct signalfd_siginfo) == 128, "Linux's ABI");

static u64 mask_of(const struct file *f)
{
	return (u64)READ_ONCE(f->private);
}

/* Take one pending signal and copy it to user memory. Returns its size; 0: none is pending; or -EFAULT. */
static long take_one(u64 mask, unsigned long to)
{
	struct signalfd_siginfo out = {0};
	struct siginfo_short info;
	int sig = signal_take(mask, &info);

	if (!sig)
		return 0;
	out.signo = sig;
	out.code = info.code;
	if (info.code == SI_TIMER) {
		out.tid = info.pid;
		out.overrun = info.uid;
	} else {
		out.pid = info.pid;
		out.uid = info.uid;
	}
	if (sig == SIGCHLD)
		out.status = info.value;
	else if (info.code <= 0 || info.code == SI_KERNEL)
		out.ptr = out.int_value = info.value;
	else
		out.addr = info.value;
	return copy_to_user(to, &out, sizeof(out)) ? -EFAULT : (long)sizeof(out);
}

static long signalfd_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	size_t done = 0;
	long n, err;

	if (len < sizeof(struct signalfd_siginfo))
		return -EINVAL;
	while (len - done >= sizeof(struct signalfd_siginfo)) {
		n = take_one(mask_of(f), buf + done);
		if (!n && !done) {
			if (f->flags & O_NONBLOCK)
				return -EAGAIN;
			err = wait_event_interruptible(&signalfd_wq,
						       signals_waiting() & mask_of(f));
			if (err)
				return err;
			continue;
		}
		if (n <= 0)
			return done ? (long)done : n;
		done += n;
	}
	return done;
}

static u32 signalfd_poll(struct file *f, struct wait_queue **wq)
{
	if (wq)
		*wq = &signalfd_wq;
	return signals_waiting() & mask_of(f) ? POLLIN : 0;
}

static void signalfd_show(struct report *r, struct file *f)
{
	report_printf(r, "sigmask:\t%016lx\n", (unsigned long)mask_of(f));
}

static const struct file_ops signalfd_ops = {
	.read = signalfd_read,
	.llseek = noop_llseek,
	.poll = signalfd_poll,
	.show_fdinfo = signalfd_show,
};

static long signalfd(int fd, unsigned long user, u64 size, u32 flags)
{
	struct file *f;
	long ret;
	u64 mask;

	if (size != SIGSET_SIZE || flags & ~(O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	if (copy_from_user(&mask, user, sizeof(mask)))
		return -EFAULT;
	mask &= ~UNMASKABLE;
	if (fd != -1) {
		f = fd_get(fd);
		if (!f)
			return -EBADF;
		ret = f->ops == &signalfd_ops ? fd : -EINVAL;
		if (ret >= 0)
			WRITE_ONCE(f->private, (void *)mask);
		file_put(f);
		wake_up(&signalfd_wq);
		return ret;
	}
	f = file_alloc(&signalfd_ops, O_RDWR | (flags & O_NONBLOCK), (void *)mask);
	if (!f)
		return -ENOMEM;
	strscpy(f->label, "anon_inode:[signalfd]", sizeof(f->label));
	ret = fd_install(f, 0, flags & O_CLOEXEC);
	if (ret < 0)
		file_put(f);
	return ret;
}

long sys_signalfd(struct pt_regs *r)
{
	return signalfd((int)r->rdi, r->rsi, r->rdx, 0);
}

long sys_signalfd4(struct pt_regs *r)
{
	return signalfd((int)r->rdi, r->rsi, r->rdx, r->r10);
}
