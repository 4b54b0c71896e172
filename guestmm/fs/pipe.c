/*
 * Pipes: a ring of pages between two files.
 *
 *   page[ (tail >> 12) % 16 ] ... bytes [tail, head) ... page[ (head >> 12) % 16 ]
 *
 * I1  head - tail <= 64 KiB; pages exist for what is between the two, and at most one more.
 * I2  A write of up to PIPE_BUF bytes is taken whole (pipe(7)).
 * I3  packet[]: the parts of [tail, head) that were written with O_DIRECT (pipe(2)), in order, none empty. A
 *     read returns bytes of one packet only and drops the rest of it. There are at most PIPE_PAGES, as many
 *     as Linux has buffers: no more is written until one is read.
 *
 * Locks: p->lock, above mmap_lock: user memory is touched while it is held.
 */
#include "fs/poll.h"
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/slab/slab.h"

#define PIPE_PAGES 16u
#define PIPE_SIZE  (PIPE_PAGES << PAGE_SHIFT)
#define PIPE_BUF   4096u

struct pipe {
	struct mutex lock;
	struct wait_queue wq;	   /* for data, room, and ends */
	u32 readers, writers;	   /* lock */
	u32 opened_r, opened_w;	   /* lock: how many times, so that who waits for the other end sees
				      one that has gone again */
	const struct inode *inode; /* C: a named pipe's, or NULL */
	struct list_head node;	   /* fifo_lock: named pipes that are open */
	u32 head, tail;		   /* lock: bytes written and read since the beginning, wrapping */
	u32 first_packet, nr_packets; /* lock: packet[first % PIPE_PAGES] is the oldest */
	struct {
		u32 start, end; /* lock: positions, as head and tail */
	} packet[PIPE_PAGES];
	void *page[PIPE_PAGES];
};

static bool packetized(const struct file *f)
{
	return f->flags & O_DIRECT;
}

static void **page_at(struct pipe *p, u32 pos)
{
	return &p->page[(pos >> PAGE_SHIFT) % PIPE_PAGES];
}

static void pipe_free(struct pipe *p)
{
	for (unsigned int i = 0; i < PIPE_PAGES; i++) {
		if (p->page[i])
			__free_page(virt_to_page(p->page[i]));
	}
	kfree(p);
}

/* lock held. Bytes up to `pos` have been read: drop the pages that hold no other bytes. */
static void advance_tail(struct pipe *p, u32 pos)
{
	while (p->tail != pos) {
		u32 at = p->tail & (PAGE_SIZE - 1);
		u32 n = min((u32)(pos - p->tail), (u32)PAGE_SIZE - at);
		void **page = page_at(p, p->tail);

		p->tail += n;
		/* The head may be in this page already, one time round the ring later. */
		if (at + n == PAGE_SIZE && p->head - p->tail <= PIPE_SIZE - PAGE_SIZE) {
			__free_page(virt_to_page(*page));
			*page = NULL;
		}
	}
}

/* lock held. Copies the bytes before `end`, up to len. Returns bytes, or -EFAULT for none. */
static long copy_until(struct pipe *p, u32 end, unsigned long buf, size_t len)
{
	size_t done = 0;

	while (done < len && p->tail != end) {
		u32 at = p->tail & (PAGE_SIZE - 1);
		size_t left = min(len - done, (size_t)(end - p->tail));
		size_t n = min(left, PAGE_SIZE - at);

		if (copy_to_user(buf + done, (char *)*page_at(p, p->tail) + at, n))
			return done ? (long)done : -EFAULT;
		advance_tail(p, p->tail + n);
		done += n;
	}
	return done;
}

/* lock held. Copies the bytes in the pipe, up to len and to the end of the first packet (I3). Returns bytes, or
 * -EFAULT for none. */
static long copy_out(struct pipe *p, unsigned long buf, size_t len)
{
	u32 start, end;
	long ret, got;

	if (likely(!p->nr_packets))
		return copy_until(p, p->head, buf, len);
	start = p->packet[p->first_packet % PIPE_PAGES].start;
	end = p->packet[p->first_packet % PIPE_PAGES].end;
	ret = copy_until(p, start, buf, len);
	if (ret < 0 || (size_t)ret == len || p->tail != start)
		return ret;
	got = copy_until(p, end, buf + ret, len - ret);
	if (got < 0)
		return ret ? ret : got;
	advance_tail(p, end);
	p->first_packet++;
	p->nr_packets--;
	return ret + got;
}

/* Where a write's bytes come from. */
struct source {
	unsigned long user;
	const char *kernel; /* NULL: user memory */
};

/* The next n bytes. 0 or -EFAULT. */
static int fetch(struct source *src, void *to, size_t n)
{
	if (src->kernel) {
		memcpy(to, src->kernel, n);
		src->kernel += n;
		return 0;
	}
	if (copy_from_user(to, src->user, n))
		return -EFAULT;
	src->user += n;
	return 0;
}

/* lock held. Copies as much as there is room for. Returns bytes, or -errno for none. */
static long copy_in(struct pipe *p, struct source src, size_t len)
{
	size_t done = 0;
	long err = 0;

	while (done < len && p->head - p->tail < PIPE_SIZE) {
		u32 at = p->head & (PAGE_SIZE - 1);
		size_t room = min(len - done, (size_t)(PIPE_SIZE - (p->head - p->tail)));
		size_t n = min(room, PAGE_SIZE - at);
		void **page = page_at(p, p->head);

		if (!*page)
			*page = (void *)__get_free_pages(GFP_KERNEL_ACCOUNT, 0);
		err = *page ? 0 : -ENOMEM;
		if (!err)
			err = fetch(&src, (char *)*page + at, n);
		if (err)
			break;
		p->head += n;
		done += n;
	}
	return done ? (long)done : err;
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
			return ret;
		err = wait_event_interruptible(&p->wq, READ_ONCE(p->head) != READ_ONCE(p->tail) ||
							       !READ_ONCE(p->writers));
		if (err)
			return err;
	}
	if (ret > 0)
		wake_up(&p->wq);
	return ret;
}

static long broken_pipe(void)
{
	signal_current(SIGPIPE);
	return -EPIPE;
}

/* Is there room for `need` bytes, and for another packet? A look without the lock. */
static bool has_room(const struct pipe *p, u32 need)
{
	return PIPE_SIZE - (READ_ONCE(p->head) - READ_ONCE(p->tail)) >= need &&
	       READ_ONCE(p->nr_packets) < PIPE_PAGES;
}

/* lock held, and there is room for a packet (I3). Returns as copy_in(). */
static long packet_in(struct pipe *p, struct source src, size_t len)
{
	u32 i = (p->first_packet + p->nr_packets) % PIPE_PAGES, start = p->head;
	long ret = copy_in(p, src, len);

	if (ret > 0) {
		p->packet[i].start = start;
		p->packet[i].end = p->head;
		WRITE_ONCE(p->nr_packets, p->nr_packets + 1);
	}
	return ret;
}

static long write_from(struct file *f, struct source src, size_t len)
{
	struct pipe *p = f->private;
	bool packets = packetized(f);
	size_t done = 0;
	long ret = 0;

	while (done < len) {
		size_t n = packets ? min(len - done, (size_t)PIPE_BUF) : len - done;
		u32 need = packets || len <= PIPE_BUF ? n : 1; /* I2 */

		mutex_lock(&p->lock);
		if (!p->readers)
			ret = -EPIPE;
		else if (!has_room(p, need))
			ret = -EAGAIN;
		else
			ret = packets ? packet_in(p, src, n) : copy_in(p, src, n);
		mutex_unlock(&p->lock);
		if (ret > 0) {
			done += ret;
			if (src.kernel)
				src.kernel += ret;
			else
				src.user += ret;
			wake_up(&p->wq);
			continue;
		}
		if (ret != -EAGAIN || f->flags & O_NONBLOCK)
			break;
		ret = wait_event_interruptible(&p->wq, has_room(p, need) || !READ_ONCE(p->readers));
		if (ret)
			break;
	}
	if (done)
		return done;
	return ret == -EPIPE ? broken_pipe() : ret;
}

static long pipe_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	return write_from(f, (struct source){.user = buf}, len);
}

static long pipe_write_kernel(struct file *f, const void *buf, size_t len)
{
	return write_from(f, (struct source){.kernel = buf}, len);
}

static long pipe_ioctl(struct file *f, unsigned int cmd, unsigned long arg)
{
	struct pipe *p = f->private;
	s32 n = READ_ONCE(p->head) - READ_ONCE(p->tail);

	if (cmd != FIONREAD)
		return -ENOTTY;
	return copy_to_user(arg, &n, sizeof(n)) ? -EFAULT : 0;
}

/* Which ends a file is. */
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
	u32 used = READ_ONCE(p->head) - READ_ONCE(p->tail), mask = 0;

	if (wq)
		*wq = &p->wq;
	if (is_reader(f)) {
		mask |= used ? POLLIN | POLLRDNORM : 0;
		/* Not before there was a writer. */
		if (!READ_ONCE(p->writers) && READ_ONCE(p->opened_w) != f->pos)
			mask |= POLLHUP;
	}
	if (is_writer(f)) {
		mask |= has_room(p, PIPE_BUF) ? POLLOUT | POLLWRNORM : 0;
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
	/* Under fifo_lock: without it who holds the other end could close it, and the pipe, and the
	 * next one in its memory, would be gone from under us; its opener's wait could be lost. */
	if (!last)
		wake_up(&p->wq);
	mutex_unlock(&fifo_lock);
	if (last)
		pipe_free(p);
}

static const struct file_ops pipe_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.write_kernel = pipe_write_kernel,
	.ioctl = pipe_ioctl,
	.poll = pipe_poll,
	.release = pipe_release,
};

static struct pipe *pipe_alloc(const struct inode *inode)
{
	struct pipe *p = kmalloc(sizeof(*p), GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!p)
		return NULL;
	mutex_init(&p->lock);
	wait_queue_init(&p->wq);
	p->inode = inode;
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

/* Counted as an end already: wait until the other end is, or has been, opened. */
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
	p->readers += is_reader(f);
	p->writers += is_writer(f);
	p->opened_r += is_reader(f);
	p->opened_w += is_writer(f);
	mutex_unlock(&p->lock);
	mutex_unlock(&fifo_lock);
	f->private = p;
	f->pos = seen_w; /* for poll; a pipe has no position */
	wake_up(&p->wq);
	err = wait_for_other_end(f, p, seen_r, seen_w);
	if (err) {
		pipe_release(f);
		return err;
	}
	f->ops = &pipe_ops;
	return 0;
}

long pipe_capacity(const struct file *f)
{
	return f->ops == &pipe_ops ? (long)PIPE_SIZE : -EBADF;
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
	/* `old` holds an end, so the pipe is there; as Linux: both ends have been open, nobody waits. */
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

static long do_pipe(unsigned long user_fds, u32 flags)
{
	struct pipe *p = pipe_alloc(NULL);
	struct file *rd, *wr;
	int fd[2];
	long err = -ENOMEM;

	if (!p)
		return -ENOMEM;
	p->readers = p->writers = p->opened_r = p->opened_w = 1;
	rd = file_alloc(&pipe_ops, O_RDONLY | (flags & (O_NONBLOCK | O_DIRECT)), p);
	wr = file_alloc(&pipe_ops, O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)), p);
	if (!rd || !wr) {
		kfree(rd);
		kfree(wr);
		kfree(p);
		return -ENOMEM;
	}
	err = fd[0] = fd_install(rd, 0, flags & O_CLOEXEC);
	if (err < 0)
		goto put_both;
	err = fd[1] = fd_install(wr, 0, flags & O_CLOEXEC);
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
	file_put(wr);
	return err;
put_both:
	file_put(rd);
	file_put(wr);
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
