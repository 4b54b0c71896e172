/*
 * Pipes: reading, writing, named pipes, pipe(2). The structure of a pipe is described in fs/pipe.h.
 *
 * I1  A write of up to PIPE_BUF bytes is never split (pipe(7)): all of it is appended to the last page, or it gets
 *     one buffer.
 * I2  As in Linux, a write appends to the last page only the part that does not fill a page. So a pipe is full when
 *     all its buffers are used, even if they hold few bytes.
 */
#include "fs/pipe.h"
#include "fs/async.h"
#include "fs/poll.h"
#include "kernel/cred.h"
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "lib/string.h"
#include "mm/slab/slab.h"
#include "mm/phys/highmem.h"
#include "mmvm/audit.h"

#define PIPE_MAX_BYTES (1u << 31)

unsigned int pipe_max_size = 1u << 20;

static spinlock_t pipes_lock = SPINLOCK_INIT;
static LIST_HEAD(pipes); /* pipes_lock */

static bool packetized(const struct file *f)
{
	return f->flags & O_DIRECT;
}

static void pipe_free(struct pipe *p)
{
	/* No other task can find the pipe. The lock tells the audit that references are being dropped. */
	mutex_lock(&p->lock);
	while (!pipe_empty(p))
		pipe_consume(p, pipe_buf(p, p->tail)->len);
	spin_lock(&pipes_lock);
	list_del(&p->all);
	spin_unlock(&pipes_lock);
	mutex_unlock(&p->lock);
	kfree(p->bufs);
	kfree(p);
}

/* Copy bytes from the pipe, up to len and to the end of the first packet (P4). Returns bytes, or -EFAULT if none
 * could be copied. lock held. */
static long copy_out(struct pipe *p, unsigned long buf, size_t len)
{
	size_t done = 0;
	bool packet = false;

	while (done < len && !pipe_empty(p) && !packet) {
		const struct pipe_buffer *b = pipe_buf(p, p->tail);
		u32 n = min(len - done, (size_t)b->len);

		if (copy_page_to_user(buf + done, b->page, b->offset, n))
			return done ? (long)done : -EFAULT;
		done += n;
		packet = b->flags & PIPE_BUF_PACKET;
		pipe_consume(p, packet ? b->len : n);
	}
	return done;
}

/* If the part of a write that does not fill a page fits in the last page, append it. Returns bytes, or -EFAULT. lock
 * held. */
static long append(struct pipe *p, unsigned long buf, size_t len)
{
	u32 n = len & (PAGE_SIZE - 1), end;
	struct pipe_buffer *last;

	if (!n || pipe_empty(p))
		return 0;
	last = pipe_buf(p, p->head - 1);
	end = last->offset + last->len;
	if (!(last->flags & PIPE_BUF_CAN_MERGE) || end + n > PAGE_SIZE)
		return 0;
	if (copy_from_user((char *)page_address(last->page) + end, buf, n))
		return -EFAULT;
	last->len += n;
	return n;
}

/* Copy as many bytes as there are free buffers for. Returns bytes, or -errno if none were copied. lock held. */
static long fill(struct pipe *p, unsigned long buf, size_t len, u32 flags)
{
	size_t done = 0;

	while (done < len && !pipe_full(p)) {
		struct page *page = alloc_pages_type(GFP_KERNEL_ACCOUNT, 0, PAGE_PIPE);
		struct pipe_buffer b = {.page = page,
					.held = page,
					.len = min(len - done, PAGE_SIZE),
					.flags = flags};

		if (!page)
			return done ? (long)done : -ENOMEM;
		if (copy_from_user(page_address(page), buf + done, b.len)) {
			pipe_buf_put(&b);
			return done ? (long)done : -EFAULT;
		}
		pipe_push(p, &b);
		done += b.len;
	}
	return done ? (long)done : -EAGAIN;
}

static long pipe_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct pipe *p = f->private;
	long ret;
	int err;

	if (!len)
		return 0;
	for (;;) {
		mutex_lock(&p->lock);
		ret = copy_out(p, buf, len);
		if (!ret && p->writers)
			ret = -EAGAIN;
		mutex_unlock(&p->lock);
		if (ret != -EAGAIN)
			break;
		if (f->flags & O_NONBLOCK)
			break;
		err = wait_event_interruptible(&p->wq, !pipe_empty(p) || !READ_ONCE(p->writers));
		if (err)
			return err;
	}
	if (ret > 0)
		wake_up(&p->wq);
	async_notify(p, POLL_OUT); /* as in Linux, after each read, even if the pipe was not full */
	return ret;
}

long broken_pipe(void)
{
	signal_current(SIGPIPE);
	return -EPIPE;
}

static long pipe_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct pipe *p = f->private;
	size_t done = 0;
	long ret = 0;

	while (done < len) {
		mutex_lock(&p->lock);
		if (!p->readers)
			ret = -EPIPE;
		else if (done || !(ret = append(p, buf, len)))
			ret = fill(p, buf + done, len - done,
				   packetized(f) ? PIPE_BUF_PACKET : PIPE_BUF_CAN_MERGE);
		mutex_unlock(&p->lock);
		if (ret > 0) {
			done += ret;
			wake_up(&p->wq);
			continue;
		}
		if (ret != -EAGAIN || f->flags & O_NONBLOCK)
			break;
		async_notify(p, POLL_IN);
		ret = wait_event_interruptible(&p->wq, !pipe_full(p) || !READ_ONCE(p->readers));
		if (ret)
			break;
	}
	if (len)
		async_notify(p, POLL_IN);
	if (done)
		return done;
	return ret == -EPIPE ? broken_pipe() : ret;
}

static long pipe_ioctl(struct file *f, unsigned int cmd, unsigned long arg)
{
	struct pipe *p = f->private;
	s32 n = 0;

	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&p->lock);
	for (u32 at = p->tail; at != p->head; at++)
		n += pipe_buf(p, at)->len;
	mutex_unlock(&p->lock);
	return copy_to_user(arg, &n, sizeof(n)) ? -EFAULT : 0;
}

/* Is the file the reading end? */
static bool is_reader(const struct file *f)
{
	return (f->flags & O_ACCMODE) != O_WRONLY;
}

static bool is_writer(const struct file *f)
{
	return (f->flags & O_ACCMODE) != O_RDONLY;
}

static u32 pipe_poll(struct file *f, struct wait_queue **wq)
{
	struct pipe *p = f->private;
	u32 mask = 0;

	if (wq)
		*wq = &p->wq;
	if (is_reader(f)) {
		mask |= pipe_empty(p) ? 0 : POLLIN | POLLRDNORM;
		/* Not if there has been no writer yet. */
		if (!READ_ONCE(p->writers) && READ_ONCE(p->opened_w) != f->pos)
			mask |= POLLHUP;
	}
	if (is_writer(f)) {
		mask |= pipe_full(p) ? 0 : POLLOUT | POLLWRNORM;
		mask |= READ_ONCE(p->readers) ? 0 : POLLERR;
	}
	return mask;
}

static struct mutex fifo_lock = MUTEX_INIT(fifo_lock);
static LIST_HEAD(fifos); /* fifo_lock: named pipes that are open */

static void pipe_release(struct file *f)
{
	struct pipe *p = f->private;
	bool last;

	mutex_lock(&fifo_lock);
	mutex_lock(&p->lock);
	p->readers -= is_reader(f);
	p->writers -= is_writer(f);
	last = !p->readers && !p->writers;
	mutex_unlock(&p->lock);
	if (last && p->inode)
		list_del(&p->node);
	/* Hold fifo_lock. Otherwise the other end could be closed meanwhile, the pipe freed and its memory used for
	 * another pipe, and a wait for an opener could be lost. */
	if (!last) {
		wake_up(&p->wq);
		if (!p->readers != !p->writers) {
			async_notify(p, POLL_IN);
			async_notify(p, POLL_OUT);
		}
	}
	mutex_unlock(&fifo_lock);
	if (last)
		pipe_free(p);
}

static const void *pipe_async(struct file *f)
{
	return f->private;
}

static const struct file_ops pipe_ops = {
	.async_object = pipe_async,
	.read = pipe_read,
	.write = pipe_write,
	.ioctl = pipe_ioctl,
	.poll = pipe_poll,
	.release = pipe_release,
};

static struct pipe *pipe_alloc(const struct inode *inode)
{
	struct pipe *p = kmalloc(sizeof(*p), GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!p)
		return NULL;
	p->bufs = kmalloc(PIPE_DEF_BUFFERS * sizeof(*p->bufs), GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!p->bufs) {
		kfree(p);
		return NULL;
	}
	p->ring_size = PIPE_DEF_BUFFERS;
	mutex_init(&p->lock);
	wait_queue_init(&p->wq);
	p->inode = inode;
	spin_lock(&pipes_lock);
	list_add(&p->all, &pipes);
	spin_unlock(&pipes_lock);
	return p;
}

/* ---- named pipes ------------------------------------------------------------------------------ */

/* fifo_lock held. */
static struct pipe *find_fifo(const struct inode *inode)
{
	struct pipe *p;

	list_for_each_entry (p, &fifos, node) {
		if (p->inode == inode)
			return p;
	}
	p = pipe_alloc(inode);
	if (p)
		list_add(&p->node, &fifos);
	return p;
}

/* Wait until the other end is open, or has been opened. The caller's end is counted already. */
static int wait_for_other_end(struct file *f, struct pipe *p, u32 seen_r, u32 seen_w)
{
	if (is_reader(f) && is_writer(f))
		return 0;
	if (is_reader(f)) {
		if (f->flags & O_NONBLOCK)
			return 0;
		return wait_event_interruptible(&p->wq, READ_ONCE(p->writers) ||
								READ_ONCE(p->opened_w) != seen_w);
	}
	return wait_event_interruptible(&p->wq,
					READ_ONCE(p->readers) || READ_ONCE(p->opened_r) != seen_r);
}

int fifo_open(struct file *f)
{
	u32 seen_r, seen_w;
	struct pipe *p;
	bool met;
	int err;

	mutex_lock(&fifo_lock);
	p = find_fifo(f->inode);
	if (!p) {
		mutex_unlock(&fifo_lock);
		return -ENOMEM;
	}
	if (!is_reader(f) && f->flags & O_NONBLOCK && !p->readers) {
		if (!p->writers) {
			list_del(&p->node);
			pipe_free(p);
		}
		mutex_unlock(&fifo_lock);
		return -ENXIO;
	}
	mutex_lock(&p->lock);
	seen_r = p->opened_r;
	seen_w = p->opened_w;
	/* An opener that waits for us may run, write and close before we look again: then it has been there. */
	met = is_reader(f) ? p->writers : p->readers;
	p->readers += is_reader(f);
	p->writers += is_writer(f);
	p->opened_r += is_reader(f);
	p->opened_w += is_writer(f);
	mutex_unlock(&p->lock);
	mutex_unlock(&fifo_lock);
	f->private = p;
	f->pos = seen_w - met; /* for poll(): a pipe has no position, so the field is free */
	wake_up(&p->wq);
	err = met ? 0 : wait_for_other_end(f, p, seen_r, seen_w);
	if (err) {
		pipe_release(f);
		return err;
	}
	f->ops = &pipe_ops;
	return 0;
}

struct pipe *file_pipe(const struct file *f)
{
	return f->ops == &pipe_ops && !(f->flags & O_PATH) ? f->private : NULL;
}

long pipe_capacity(const struct file *f)
{
	const struct pipe *p = file_pipe(f);

	return p ? (long)READ_ONCE(p->ring_size) << PAGE_SHIFT : -EBADF;
}

/* lock held. */
static long resize_ring(struct pipe *p, u32 slots)
{
	u32 used = p->head - p->tail;
	struct pipe_buffer *bufs;

	if (used > slots)
		return -EBUSY;
	bufs = kmalloc(slots * sizeof(*bufs), GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!bufs)
		return -ENOMEM;
	for (u32 i = 0; i < used; i++)
		bufs[i] = *pipe_buf(p, p->tail + i);
	kfree(p->bufs);
	p->bufs = bufs;
	p->tail = 0;
	p->head = used;
	WRITE_ONCE(p->ring_size, slots);
	return (long)slots << PAGE_SHIFT;
}

long pipe_set_size(struct file *f, unsigned long size)
{
	struct pipe *p = file_pipe(f);
	unsigned long bytes = pipe_round_size(size);
	long ret;

	if (!p)
		return -EBADF;
	if ((u32)size > PIPE_MAX_BYTES)
		return -EINVAL;
	mutex_lock(&p->lock);
	if (bytes > (unsigned long)p->ring_size << PAGE_SHIFT && bytes > READ_ONCE(pipe_max_size) &&
	    !capable(CAP_SYS_RESOURCE))
		ret = -EPERM;
	else
		ret = resize_ring(p, bytes >> PAGE_SHIFT);
	mutex_unlock(&p->lock);
	wake_up(&p->wq);
	return ret;
}

struct file *pipe_open_again(struct file *old, u32 flags)
{
	struct pipe *p = old->private;
	struct file *f;

	if (old->ops != &pipe_ops)
		return NULL;
	f = file_alloc(&pipe_ops, flags & (O_ACCMODE | O_NONBLOCK), p);
	if (!f)
		return ERR_PTR(-ENOMEM);
	if (old->inode) {
		f->inode = old->inode;
		iget_ref(f->inode);
	}
	/* `old` is an open end, so the pipe exists. As in Linux, opening an end does not wait, because both ends have
	 * been opened before. */
	mutex_lock(&p->lock);
	f->pos = p->opened_w;
	p->readers += is_reader(f);
	p->writers += is_writer(f);
	p->opened_r += is_reader(f);
	p->opened_w += is_writer(f);
	mutex_unlock(&p->lock);
	wake_up(&p->wq);
	return f;
}

/* ---- pipe(2) ---------------------------------------------------------------------------------- */

int pipe_files(struct file *end[2], u32 flags)
{
	struct pipe *p = pipe_alloc(NULL);

	if (!p)
		return -ENOMEM;
	p->readers = p->writers = p->opened_r = p->opened_w = 1;
	end[0] = file_alloc(&pipe_ops, O_RDONLY | (flags & (O_NONBLOCK | O_DIRECT)), p);
	end[1] = file_alloc(&pipe_ops, O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)), p);
	if (end[0] && end[1])
		return 0;
	kfree(end[0]);
	kfree(end[1]);
	pipe_free(p);
	return -ENOMEM;
}

static long do_pipe(unsigned long user_fds, u32 flags)
{
	struct file *end[2];
	int fd[2];
	long err = pipe_files(end, flags);

	if (err)
		return err;
	err = fd[0] = fd_install(end[0], 0, flags & O_CLOEXEC);
	if (err < 0)
		goto put_both;
	err = fd[1] = fd_install(end[1], 0, flags & O_CLOEXEC);
	if (err < 0)
		goto close_read;
	if (!copy_to_user(user_fds, fd, sizeof(fd)))
		return 0;
	err = -EFAULT;
	fd_close(fd[1]);
	fd_close(fd[0]);
	return err;
close_read:
	fd_close(fd[0]);
	file_put(end[1]);
	return err;
put_both:
	file_put(end[0]);
	file_put(end[1]);
	return err;
}

long sys_pipe(struct pt_regs *r)
{
	return do_pipe(r->rdi, 0);
}

long sys_pipe2(struct pt_regs *r)
{
	if (r->rsi & ~(u64)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	return do_pipe(r->rdi, r->rsi);
}

extern struct mmvm_audit_root mmvm_audit_root;

void pipe_init(void)
{
	mmvm_audit_root.pipes = (struct mmvm_audit_pipe_layout){
		.list_gva = (u64)(unsigned long)&pipes,
		.link_offset = offsetof(struct pipe, all),
		.locked_offset = offsetof(struct pipe, lock.locked),
		.bufs_offset = offsetof(struct pipe, bufs),
		.ring_offset = offsetof(struct pipe, ring_size),
		.head_offset = offsetof(struct pipe, head),
		.tail_offset = offsetof(struct pipe, tail),
		.buf_stride = sizeof(struct pipe_buffer),
		.buf_page_offset = offsetof(struct pipe_buffer, page),
		.buf_held_offset = offsetof(struct pipe_buffer, held),
		.buf_start_offset = offsetof(struct pipe_buffer, offset),
		.buf_len_offset = offsetof(struct pipe_buffer, len),
	};
}
