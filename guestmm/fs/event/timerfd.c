/*
 * timerfd_create(2): a timer as a file that becomes readable.
 *
 * The clocks are CLOCK_REALTIME, MONOTONIC and BOOTTIME. The time of day cannot be set here, so
 * TFD_TIMER_CANCEL_ON_SET has no effect. CLOCK_REALTIME_ALARM and BOOTTIME_ALARM would wake a sleeping machine. This
 * machine cannot sleep, so they act like the clocks without _ALARM, for callers with CAP_WAKE_ALARM, as on Linux
 * without such hardware.
 */
#include "fs/poll.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "kernel/ktimer.h"
#include "kernel/time_calls.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/syscall.h"
#include "mm/slab/slab.h"

#define TFD_TIMER_ABSTIME 1u
#define TFD_CANCEL_ON_SET 2u

struct timerfd {
	struct ktimer timer;
	struct wait_queue wq;
	int clock;
	u32 settime_flags; /* A: of the last timerfd_settime() */
};

static void on_time(struct ktimer *t)
{
	wake_up(&container_of(t, struct timerfd, timer)->wq);
}

static long timerfd_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct timerfd *t = f->private;
	u64 n;
	long err;

	if (len < sizeof(n))
		return -EINVAL;
	n = ktimer_take(&t->timer);
	if (!n && f->flags & O_NONBLOCK)
		return -EAGAIN;
	if (!n) {
		err = wait_event_interruptible(&t->wq, (n = ktimer_take(&t->timer)) != 0);
		if (err)
			return err;
	}
	return copy_to_user(buf, &n, sizeof(n)) ? -EFAULT : (long)sizeof(n);
}

static u32 timerfd_poll(struct file *f, struct wait_queue **wq)
{
	struct timerfd *t = f->private;

	if (wq)
		*wq = &t->wq;
	return READ_ONCE(t->timer.expirations) ? POLLIN : 0;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = f->private;
	u64 left, interval;

	ktimer_set(&t->timer, 0, 0, &left, &interval);
	kfree(t);
}

static void timerfd_show(struct report *r, struct file *f)
{
	struct timerfd *t = f->private;
	u64 left, interval;

	ktimer_get(&t->timer, &left, &interval);
	report_printf(r, "clockid: %d\nticks: %lu\nsettime flags: 0%o\n", t->clock,
		      (unsigned long)READ_ONCE(t->timer.expirations), READ_ONCE(t->settime_flags));
	report_printf(r, "it_value: (%lu, %lu)\nit_interval: (%lu, %lu)\n",
		      (unsigned long)(left / NSEC_PER_SEC), (unsigned long)(left % NSEC_PER_SEC),
		      (unsigned long)(interval / NSEC_PER_SEC),
		      (unsigned long)(interval % NSEC_PER_SEC));
}

static const struct file_ops timerfd_ops = {
	.read = timerfd_read,
	.llseek = noop_llseek,
	.poll = timerfd_poll,
	.show_fdinfo = timerfd_show,
	.release = timerfd_release,
};

long sys_timerfd_create(struct pt_regs *r)
{
	int clock = (int)r->rdi;
	struct timerfd *t;
	struct file *f;
	long fd;

	if (r->rsi & ~(u64)(O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
	    !clock_is_alarm(clock))
		return -EINVAL;
	if (clock_is_alarm(clock) && !capable(CAP_WAKE_ALARM))
		return -EPERM;
	t = kmalloc(sizeof(*t), GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!t)
		return -ENOMEM;
	t->timer.fn = on_time;
	t->clock = clock;
	wait_queue_init(&t->wq);
	f = file_alloc(&timerfd_ops, O_RDWR | (r->rsi & O_NONBLOCK), t);
	if (!f) {
		kfree(t);
		return -ENOMEM;
	}
	strscpy(f->label, "anon_inode:[timerfd]", sizeof(f->label));
	fd = fd_install(f, 0, r->rsi & O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

/* Get the file of a timer's descriptor, with a reference. 0 or -errno. */
static long timerfd_get(u32 fd, struct file **f)
{
	*f = fd_get(fd);
	if (!*f)
		return -EBADF;
	if ((*f)->ops == &timerfd_ops)
		return 0;
	file_put(*f);
	return -EINVAL;
}

long sys_timerfd_settime(struct pt_regs *r)
{
	u64 value, interval, left, old_interval;
	struct timerfd *t;
	struct file *f;
	long err;

	if (r->rsi & ~(u64)(TFD_TIMER_ABSTIME | TFD_CANCEL_ON_SET))
		return -EINVAL;
	err = get_user_itimer(r->rdx, TIMESPEC, &interval, &value);
	if (!err)
		err = timerfd_get(r->rdi, &f);
	if (err)
		return err;
	t = f->private;
	if (clock_is_alarm(t->clock) && !capable(CAP_WAKE_ALARM)) {
		file_put(f);
		return -EPERM;
	}
	WRITE_ONCE(t->settime_flags, (u32)r->rsi);
	if (value)
		value = r->rsi & TFD_TIMER_ABSTIME ? clock_to_ktime(t->clock, value)
						   : deadline_after(value);
	err = ktimer_set(&t->timer, value, interval, &left, &old_interval);
	if (!err && r->r10)
		err = put_user_itimer(r->r10, TIMESPEC, old_interval, left);
	file_put(f);
	return err;
}

long sys_timerfd_gettime(struct pt_regs *r)
{
	u64 left, interval;
	struct file *f;
	long err = timerfd_get(r->rdi, &f);

	if (err)
		return err;
	ktimer_get(&((struct timerfd *)f->private)->timer, &left, &interval);
	file_put(f);
	return put_user_itimer(r->rsi, TIMESPEC, interval, left);
}
