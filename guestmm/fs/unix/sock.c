/*
 * The socket and its file: read(2), write(2), poll(2).
 */
#include "fs/unix/unix.h"
#include "fs/poll.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

#define POLLRDHUP 0x2000u

spinlock_t unix_lock = SPINLOCK_INIT;
struct list_head unix_all = LIST_HEAD_INIT(unix_all);
static u64 next_number = 1; /* A: what /proc calls a socket */

struct unix_cred unix_my_cred(void)
{
	const struct cred *c = current_cred();

	return (struct unix_cred){current_process() ? current_process()->pid : 0, c->euid, c->egid};
}

struct unix_sock *unix_alloc(int type)
{
	struct unix_sock *s = kmalloc(sizeof(*s), GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!s)
		return NULL;
	s->refs = 1;
	s->type = type;
	s->sndbuf = s->rcvbuf = UNIX_SNDBUF;
	INIT_LIST_HEAD(&s->queue);
	mutex_init(&s->read_lock);
	mutex_init(&s->bind_lock);
	wait_queue_init(&s->wq);
	spin_lock(&unix_lock);
	list_add_tail(&s->all, &unix_all);
	spin_unlock(&unix_lock);
	return s;
}

void unix_get(struct unix_sock *s)
{
	atomic_add(&s->refs, 1);
}

void unix_put(struct unix_sock *s)
{
	if (!s || !atomic_dec_and_test(&s->refs))
		return;
	spin_lock(&unix_lock);
	list_del(&s->all);
	spin_unlock(&unix_lock);
	unix_name_put(s->name);
	if (s->inode)
		iput(s->inode);
	kfree(s);
}

struct unix_sock *unix_of(const struct file *f)
{
	return f->ops == &unix_file_ops ? f->private : NULL;
}

struct file *unix_file(struct unix_sock *s, u32 flags)
{
	struct file *f = file_alloc(&unix_file_ops, O_RDWR | (flags & O_NONBLOCK), s);

	if (!f)
		return NULL;
	ksnprintf(f->label, sizeof(f->label), "socket:[%lu]",
		  (unsigned long)atomic_add_return(&next_number, 1ull));
	spin_lock(&unix_lock);
	s->file = f;
	spin_unlock(&unix_lock);
	return f;
}

u64 unix_deadline(const struct file *f, u32 flags, u64 timeout)
{
	if (f->flags & O_NONBLOCK || flags & MSG_DONTWAIT)
		return 0;
	return timeout ? ktime_ns() + timeout : ~0ull;
}

/* ---- as a file ---------------------------------------------------------------------------------- */

static long unix_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct iov_iter iov;
	struct unix_msg m = {.iov = &iov};
	long ret;

	iov_one(&iov, buf, len);
	ret = unix_receive(f, f->private, &m);
	unix_name_put(m.from);
	return ret;
}

static long unix_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct iov_iter iov;
	struct unix_msg m = {.iov = &iov};

	iov_one(&iov, buf, len);
	return unix_send(f, f->private, &m);
}

static long unix_write_kernel(struct file *f, const void *buf, size_t len)
{
	struct unix_msg m = {.kernel = buf, .kernel_len = len};

	return unix_send(f, f->private, &m);
}

static long unix_vector(struct file *f, unsigned long vec, u64 n, bool write)
{
	struct iov_iter iov;
	struct unix_msg m = {.iov = &iov};
	long ret = iov_get(&iov, vec, n, IOV_LOCAL);

	if (ret)
		return ret;
	ret = write ? unix_send(f, f->private, &m) : unix_receive(f, f->private, &m);
	unix_name_put(m.from);
	iov_put(&iov);
	return ret;
}

/* unix_lock held: is there room for more from s? */
static bool may_send(const struct unix_sock *s)
{
	const struct unix_sock *peer = s->peer;

	if (s->type == SOCK_DGRAM && peer && peer->peer != s && peer->nr_queued > UNIX_DGRAM_QUEUE)
		return false;
	return !peer || peer->queued * 4 <= s->sndbuf;
}

static u32 unix_poll(struct file *f, struct wait_queue **wq)
{
	struct unix_sock *s = f->private;
	u32 mask = 0;

	if (wq)
		*wq = &s->wq;
	spin_lock(&unix_lock);
	if (s->error)
		mask |= POLLERR;
	if (s->shut == (UNIX_SHUT_RD | UNIX_SHUT_WR))
		mask |= POLLHUP;
	if (s->shut & UNIX_SHUT_RD)
		mask |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (s->nr_queued)
		mask |= POLLIN | POLLRDNORM;
	if (s->type != SOCK_DGRAM && s->state == UNIX_CLOSE)
		mask |= POLLHUP;
	if (s->state != UNIX_LISTEN && may_send(s))
		mask |= POLLOUT | POLLWRNORM;
	spin_unlock(&unix_lock);
	return mask;
}

static long unix_ioctl(struct file *f, unsigned int cmd, unsigned long arg)
{
	struct unix_sock *s = f->private;
	s32 n = -1;

	if (cmd != FIONREAD)
		return -ENOTTY;
	spin_lock(&unix_lock);
	if (s->state != UNIX_LISTEN) {
		n = (s32)s->queued;
		if (s->type == SOCK_STREAM && !list_empty(&s->queue))
			n -= (s32)list_first_entry(&s->queue, struct unix_message, node)->at;
		if (s->type == SOCK_DGRAM) /* of the next message alone */
			n = list_empty(&s->queue)
				    ? 0
				    : (s32)list_first_entry(&s->queue, struct unix_message, node)
					      ->len;
	}
	spin_unlock(&unix_lock);
	if (n < 0)
		return -EINVAL;
	return copy_to_user(arg, &n, sizeof(n)) ? -EFAULT : 0;
}

static const void *unix_async(struct file *f)
{
	return f->private;
}

const struct file_ops unix_file_ops = {
	.async_object = unix_async,
	.socket = true,
	.read = unix_read,
	.write = unix_write,
	.write_kernel = unix_write_kernel,
	.vector = unix_vector,
	.ioctl = unix_ioctl,
	.poll = unix_poll,
	.release = unix_release,
};
