/*
 * eventfd(2): a counter as a file. Writing adds to it. Reading sets it to 0 and returns the old value, or with
 * EFD_SEMAPHORE subtracts 1.
 *
 * Lock: e->lock (interrupts off) for the counter.
 */
#include "fs/poll.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/syscall.h"
#include "mm/slab/slab.h"

#define EFD_SEMAPHORE 1u
#define COUNT_MAX     (~0ull - 1) /* the largest value it can have */

struct eventfd {
	spinlock_t lock;
	u64 count; /* lock */
	bool semaphore;
	struct wait_queue wq;
};

/* The value that a read returns. 0: it must wait. */
static u64 try_take(struct eventfd *e)
{
	unsigned long flags = spin_lock_irqsave(&e->lock);
	u64 v = e->semaphore && e->count ? 1 : e->count;

	e->count -= v;
	spin_unlock_irqrestore(&e->lock, flags);
	return v;
}

static bool try_add(struct eventfd *e, u64 v)
{
	unsigned long flags = spin_lock_irqsave(&e->lock);
	bool room = COUNT_MAX - e->count >= v;

	if (room)
		e->count += v;
	spin_unlock_irqrestore(&e->lock, flags);
	return room;
}

static long eventfd_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct eventfd *e = f->private;
	u64 v = 0;
	long err;

	if (len < sizeof(v))
		return -EINVAL;
	v = try_take(e);
	if (!v && f->flags & O_NONBLOCK)
		return -EAGAIN;
	if (!v) {
		err = wait_event_interruptible(&e->wq, (v = try_take(e)) != 0);
		if (err)
			return err;
	}
	wake_up(&e->wq);
	return copy_to_user(buf, &v, sizeof(v)) ? -EFAULT : (long)sizeof(v);
}

static long eventfd_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct eventfd *e = f->private;
	long err;
	u64 v;

	if (len < sizeof(v))
		return -EINVAL;
	if (copy_from_user(&v, buf, sizeof(v)))
		return -EFAULT;
	if (v == ~0ull)
		return -EINVAL;
	if (!try_add(e, v)) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible(&e->wq, try_add(e, v));
		if (err)
			return err;
	}
	wake_up(&e->wq);
	return sizeof(v);
}

static u32 eventfd_poll(struct file *f, struct wait_queue **wq)
{
	struct eventfd *e = f->private;
	u64 count = READ_ONCE(e->count);

	if (wq)
		*wq = &e->wq;
	return (count ? POLLIN : 0) | (count < COUNT_MAX ? POLLOUT : 0);
}

static void eventfd_show(struct report *r, struct file *f)
{
	const struct eventfd *e = f->private;

	report_printf(r, "eventfd-count: %16lx\n", (unsigned long)READ_ONCE(e->count));
}

static void eventfd_release(struct file *f)
{
	kfree(f->private);
}

static const struct file_ops eventfd_ops = {
	.read = eventfd_read,
	.write = eventfd_write,
	.llseek = noop_llseek,
	.poll = eventfd_poll,
	.show_fdinfo = eventfd_show,
	.release = eventfd_release,
};

static long create(u32 count, u32 flags)
{
	struct eventfd *e;
	struct file *f;
	long fd;

	if (flags & ~(EFD_SEMAPHORE | O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	e = kmalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	*e = (struct eventfd){.count = count, .semaphore = flags & EFD_SEMAPHORE};
	spin_lock_init(&e->lock);
	wait_queue_init(&e->wq);
	f = file_alloc(&eventfd_ops, O_RDWR | (flags & O_NONBLOCK), e);
	if (!f) {
		kfree(e);
		return -ENOMEM;
	}
	strscpy(f->label, "anon_inode:[eventfd]", sizeof(f->label));
	fd = fd_install(f, 0, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

long sys_eventfd(struct pt_regs *r)
{
	return create(r->rdi, 0);
}

long sys_eventfd2(struct pt_regs *r)
{
	return create(r->rdi, r->rsi);
}
