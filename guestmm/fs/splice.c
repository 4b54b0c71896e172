/*
 * Moving pages between files and pipes: splice(2), tee(2), vmsplice(2). sendfile.c has sendfile(2).
 *
 *   file ──splice──> pipe     references to the file's pages in the page cache; nothing is copied
 *   pipe ──splice──> pipe     the buffers move to the other pipe
 *   pipe ───tee────> pipe     another reference to the same pages
 *   memory ─vmsplice> pipe    references to the program's pages, which it may still write to
 *   pipe ──splice──> file     copied, from the pages that the buffers refer to
 *   pipe ─vmsplice─> memory   copied
 *
 * SPLICE_F_MOVE, SPLICE_F_MORE and SPLICE_F_GIFT are hints that have no effect here. Linux uses MOVE and GIFT for FUSE
 * only, and MORE for networks.
 *
 * Locks: pipe.h. References are taken from the page cache with no pipe's lock held, so that a reader of the
 * pipe does not wait for a disk.
 */
#include "fs/async.h"
#include "fs/iovec.h"
#include "fs/notify.h"
#include "fs/pipe.h"
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "lib/string.h"
#include "mm/fault/remote.h"
#include "mm/phys/highmem.h"

#define SPLICE_F_MOVE 1u
#define SPLICE_F_MORE 4u
#define SPLICE_F_GIFT 8u
#define SPLICE_F_ALL  (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)
#define BATCH	      16u /* pages taken from a file at once */

bool can_splice_from(const struct file *f)
{
	return f->mapping && f->inode && S_ISREG(f->inode->mode);
}

void put_pieces(const struct page_piece *piece, int n)
{
	for (int i = 0; i < n; i++) {
		if (piece[i].held)
			put_page(piece[i].held);
	}
}

/* ---- waiting ---------------------------------------------------------------------------------- */

/* Wait for room in the pipe. Its lock is held on entry and on return. 0: there is room; -EPIPE (SIGPIPE was sent),
 * -EAGAIN, or a signal arrived. */
static long wait_for_room(struct pipe *p, u32 flags)
{
	while (p->readers && pipe_full(p)) {
		int err;

		if (flags & SPLICE_F_NONBLOCK)
			return -EAGAIN;
		mutex_unlock(&p->lock);
		err = wait_event_interruptible(&p->wq, !pipe_full(p) || !READ_ONCE(p->readers));
		mutex_lock(&p->lock);
		if (err)
			return err;
	}
	return p->readers ? 0 : broken_pipe();
}

/* Wait for bytes in the pipe. Its lock is held on entry and on return. 0: there are bytes, or no writers are left;
 * -EAGAIN, or a signal arrived. */
static long wait_for_data(struct pipe *p, u32 flags)
{
	while (p->writers && pipe_empty(p)) {
		int err;

		if (flags & SPLICE_F_NONBLOCK)
			return -EAGAIN;
		mutex_unlock(&p->lock);
		err = wait_event_interruptible(&p->wq, !pipe_empty(p) || !READ_ONCE(p->writers));
		mutex_lock(&p->lock);
		if (err)
			return err;
	}
	return 0;
}

static void lock_two(struct pipe *a, struct pipe *b)
{
	mutex_lock(a < b ? &a->lock : &b->lock);
	mutex_lock_nested(a < b ? &b->lock : &a->lock);
}

static void unlock_two(struct pipe *a, struct pipe *b)
{
	mutex_unlock(&a->lock);
	mutex_unlock(&b->lock);
}

/* Wait for bytes in `in`, then for room in `out`. Neither lock is held. */
static long wait_for_both(struct pipe *in, struct pipe *out, u32 flags)
{
	long err;

	mutex_lock(&in->lock);
	err = wait_for_data(in, flags);
	mutex_unlock(&in->lock);
	if (err)
		return err;
	mutex_lock(&out->lock);
	err = wait_for_room(out, flags);
	mutex_unlock(&out->lock);
	return err;
}

/* ---- file to pipe ----------------------------------------------------------------------------- */

static void push_piece(struct pipe *p, const struct page_piece *piece)
{
	struct pipe_buffer b = {.page = piece->page,
				.held = piece->held,
				.offset = piece->offset,
				.len = piece->len};

	pipe_push(p, &b);
}

long file_to_pipe(struct file *in, u64 *pos, struct pipe *p, u64 len, u32 flags)
{
	struct page_piece piece[BATCH];
	u64 done = 0;
	long ret = 0;

	if (!can_splice_from(in))
		return -EINVAL;
	do {
		u32 room;
		int n, i = 0;

		mutex_lock(&p->lock);
		/* Wait also if another writer has used the room meanwhile, because returning 0 would mean the end of
		 * the file. */
		if (!done)
			ret = wait_for_room(p, flags);
		room = p->ring_size - (p->head - p->tail);
		mutex_unlock(&p->lock);
		if (ret || !room)
			break;
		ret = n = generic_file_pieces(in->mapping, &in->ra, *pos, len - done, piece,
					      min(room, BATCH));
		if (n <= 0)
			break;
		mutex_lock(&p->lock);
		ret = p->readers ? 0 : broken_pipe();
		for (; !ret && i < n && !pipe_full(p); i++) {
			push_piece(p, &piece[i]);
			*pos += piece[i].len;
			done += piece[i].len;
		}
		mutex_unlock(&p->lock);
		put_pieces(piece + i, n - i);
	} while (!ret && done < len);
	if (!done)
		return ret;
	file_accessed(in);
	wake_up(&p->wq);
	async_notify(p, POLL_IN);
	return done;
}

/* ---- pipe to something ------------------------------------------------------------------------ */

/* A destination of bytes from a pipe. */
struct sink {
	struct file *file; /* write to it at *pos; NULL: */
	u64 *pos;
	struct iov_iter *memory;
};

/* Write bytes to the destination. Returns how many, or -errno. */
static long sink_take(const struct sink *s, const void *from, u32 n)
{
	size_t copied;

	if (s->file)
		return file_write_kernel(s->file, from, n, s->pos);
	copied = iov_copy_to(s->memory, from, n);
	return copied ? (long)copied : -EFAULT;
}

/* Copy bytes from the pipe to the destination. Waits for the first byte only. */
static long pipe_to_sink(struct pipe *p, const struct sink *s, u64 len, u32 flags)
{
	u64 done = 0;
	long ret;

	mutex_lock(&p->lock);
	ret = wait_for_data(p, flags);
	while (!ret && done < len && !pipe_empty(p)) {
		const struct pipe_buffer *b = pipe_buf(p, p->tail);
		u32 n = min((u64)b->len, len - done);
		const char *from = kmap_local_page(b->page);
		long took = sink_take(s, from + b->offset, n);

		kunmap_local(from);
		if (took <= 0) {
			ret = took;
			break;
		}
		pipe_consume(p, took);
		done += took;
		/* After a short write, try again, so that the error appears (SIGXFSZ). */
		if (signal_pending())
			break;
	}
	mutex_unlock(&p->lock);
	if (done) {
		wake_up(&p->wq);
		async_notify(p, POLL_OUT);
	}
	return done ? (long)done : ret;
}

/* ---- pipe to pipe ----------------------------------------------------------------------------- */

/* Move the first `len` bytes of the oldest buffer, or all of it, to the other pipe. Returns bytes. Both locks held. */
static u32 move_buffer(struct pipe *in, struct pipe *out, u64 len)
{
	struct pipe_buffer b = *pipe_buf(in, in->tail);

	if (b.len <= len) {
		WRITE_ONCE(in->tail, in->tail + 1);
	} else {
		if (b.held)
			get_page(b.held);
		b.len = len;
		b.flags &= ~PIPE_BUF_CAN_MERGE;
		pipe_consume(in, len);
	}
	pipe_push(out, &b);
	return b.len;
}

long pipe_to_pipe(struct pipe *in, struct pipe *out, u64 len, u32 flags)
{
	bool ended = false;
	u64 done = 0;
	long ret = 0;

	while (!ret && !done && !ended) {
		ret = wait_for_both(in, out, flags);
		if (ret)
			break;
		lock_two(in, out);
		while (done < len && out->readers && !pipe_empty(in) && !pipe_full(out))
			done += move_buffer(in, out, len - done);
		ended = pipe_empty(in) && !in->writers;
		unlock_two(in, out);
	}
	if (done) {
		wake_up(&in->wq);
		wake_up(&out->wq);
		async_notify(in, POLL_OUT);
		async_notify(out, POLL_IN);
	}
	return done ? (long)done : ret;
}

long tee_pipes(struct pipe *in, struct pipe *out, u64 len, u32 flags)
{
	long ret = wait_for_both(in, out, flags);
	u64 done = 0;

	if (ret)
		return ret;
	lock_two(in, out);
	for (u32 at = in->tail; done < len && at != in->head && out->readers && !pipe_full(out);
	     at++) {
		struct pipe_buffer b = *pipe_buf(in, at);

		if (b.held)
			get_page(b.held);
		b.flags &=
			~PIPE_BUF_CAN_MERGE; /* P3: the page has two users now, and `in` may append */
		b.len = min((u64)b.len, len - done);
		pipe_push(out, &b);
		done += b.len;
	}
	if (!done && !out->readers)
		ret = broken_pipe();
	unlock_two(in, out);
	if (done) {
		wake_up(&out->wq);
		async_notify(out, POLL_IN);
	}
	return done ? (long)done : ret;
}

/* ---- memory to pipe --------------------------------------------------------------------------- */

long memory_to_pipe(struct mm_struct *mm, struct iov_iter *v, struct pipe *p, u32 flags)
{
	u64 done = 0;
	long ret;

	mutex_lock(&p->lock);
	ret = wait_for_room(p, flags);
	while (!ret && v->left && !pipe_full(p)) {
		struct page_piece piece;
		unsigned long addr;
		u64 n = iov_piece(v, &addr);

		piece.offset = addr & (PAGE_SIZE - 1);
		piece.len = min(n, (u64)PAGE_SIZE - piece.offset);
		piece.page = get_user_page(mm, addr & PAGE_MASK, &piece.held);
		if (!piece.page) {
			ret = -EFAULT;
			break;
		}
		push_piece(p, &piece);
		iov_advance(v, piece.len);
		done += piece.len;
	}
	mutex_unlock(&p->lock);
	if (done) {
		wake_up(&p->wq);
		async_notify(p, POLL_IN);
	}
	return done ? (long)done : ret;
}

long sys_vmsplice(struct pt_regs *r)
{
	struct iov_iter v;
	struct file *f;
	struct pipe *p;
	long ret;

	if ((u32)r->r10 & ~SPLICE_F_ALL)
		return -EINVAL;
	f = fd_get(r->rdi);
	if (!f)
		return -EBADF;
	p = file_pipe(f);
	ret = f->flags & O_PATH || (!file_can_write(f) && !file_can_read(f)) ? -EBADF : 0;
	if (!ret)
		ret = iov_get(&v, r->rsi, r->rdx, IOV_LOCAL);
	if (ret)
		goto put;
	if (!v.left)
		ret = 0;
	else if (!p)
		ret = -EBADF;
	else if (file_can_write(f))
		ret = memory_to_pipe(current->mm, &v, p, r->r10);
	else
		ret = pipe_to_sink(p, &(struct sink){.memory = &v}, v.left, r->r10);
	iov_put(&v);
put:
	file_put(f);
	return ret;
}

/* ---- splice(2), tee(2) ------------------------------------------------------------------------ */

/* Check an offset in a file, and shorten the length from there if necessary. 0 or -EINVAL. */
static long check_range(u64 pos, u64 *len)
{
	if ((s64)*len < 0 || (s64)pos < 0)
		return -EINVAL;
	*len = min(*len, MAX_RW_COUNT);
	return (s64)(pos + *len) < 0 ? -EOVERFLOW : 0;
}

static long pipe_to_file(struct pipe *p, struct file *out, u64 *pos, u64 len, u32 flags)
{
	struct sink s = {.file = out, .pos = pos};
	long ret;

	if (out->flags & O_APPEND)
		return -EINVAL;
	ret = check_range(*pos, &len);
	if (!ret && !out->ops->write_kernel && !out->mapping)
		ret = -EINVAL;
	return ret ? ret : pipe_to_sink(p, &s, len, flags);
}

/* Get the offset from user memory or, if there is none, the file's own. */
static long get_offset(const struct file *f, unsigned long user, u64 *pos)
{
	*pos = f->pos;
	if (!user)
		return 0;
	if (!f->ops->llseek)
		return -EINVAL;
	return copy_from_user(pos, user, sizeof(*pos)) ? -EFAULT : 0;
}

static long put_offset(struct file *f, unsigned long user, u64 pos)
{
	if (user)
		return copy_to_user(user, &pos, sizeof(pos)) ? -EFAULT : 0;
	f->pos = pos;
	return 0;
}

long notify_transfer(struct file *in, struct file *out, long ret)
{
	if (ret > 0 && anybody_watches()) {
		notify_file(in, IN_ACCESS);
		notify_file(out, IN_MODIFY);
	}
	return ret;
}

static long do_splice(struct file *in, unsigned long in_off, struct file *out,
		      unsigned long out_off, u64 len, u32 flags)
{
	struct pipe *from = file_pipe(in), *to = file_pipe(out);
	bool nonblock = (from ? in->flags : 0) & O_NONBLOCK || (to ? out->flags : 0) & O_NONBLOCK;
	struct file *other = from ? out : in;
	unsigned long user = from ? out_off : in_off;
	u64 pos;
	long ret, err;

	if ((from && in_off) || (to && out_off))
		return -ESPIPE;
	if (!file_can_read(in) || !file_can_write(out) || (in->flags | out->flags) & O_PATH)
		return -EBADF;
	flags |= nonblock ? SPLICE_F_NONBLOCK : 0;
	if (from && to)
		return from == to ? -EINVAL : pipe_to_pipe(from, to, len, flags);
	if (!from && !to)
		return -EINVAL;
	ret = get_offset(other, user, &pos);
	if (ret)
		return ret;
	if (from)
		ret = pipe_to_file(from, out, &pos, len, flags);
	else if (!(ret = check_range(pos, &len)))
		ret = file_to_pipe(in, &pos, to, len, flags);
	err = ret < 0 ? 0 : put_offset(other, user, pos);
	return err ? err : ret;
}

long sys_splice(struct pt_regs *r)
{
	struct file *in, *out;
	long ret = -EBADF;

	if (!r->r8)
		return 0;
	if ((u32)r->r9 & ~SPLICE_F_ALL)
		return -EINVAL;
	in = fd_get(r->rdi);
	out = fd_get(r->rdx);
	if (in && out)
		ret = notify_transfer(in, out, do_splice(in, r->rsi, out, r->r10, r->r8, r->r9));
	if (out)
		file_put(out);
	if (in)
		file_put(in);
	return ret;
}

static long do_tee(struct file *in, struct file *out, u64 len, u32 flags)
{
	struct pipe *from = file_pipe(in), *to = file_pipe(out);

	if (!file_can_read(in) || !file_can_write(out) || (in->flags | out->flags) & O_PATH)
		return -EBADF;
	if (!from || !to || from == to)
		return -EINVAL;
	if ((in->flags | out->flags) & O_NONBLOCK)
		flags |= SPLICE_F_NONBLOCK;
	return tee_pipes(from, to, len, flags);
}

long sys_tee(struct pt_regs *r)
{
	struct file *in, *out;
	long ret = -EBADF;

	if ((u32)r->r10 & ~SPLICE_F_ALL)
		return -EINVAL;
	if (!r->rdx)
		return 0;
	in = fd_get(r->rdi);
	out = fd_get(r->rsi);
	if (in && out)
		ret = do_tee(in, out, r->rdx, r->r10);
	if (out)
		file_put(out);
	if (in)
		file_put(in);
	return ret;
}
