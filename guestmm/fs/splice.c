/*
 * From file to file: splice(2), tee(2), vmsplice(2), sendfile(2), copy_file_range(2).
 *
 *   file ──splice──> pipe     references to the file's pages in the page cache; nothing is copied
 *   pipe ──splice──> pipe     buffers change hands
 *   pipe ───tee────> pipe     another reference to the same pages
 *   memory ─vmsplice> pipe    references to the program's pages, which it may still write to
 *   pipe ──splice──> file     copied, from the pages that the buffers refer to
 *   pipe ─vmsplice─> memory   copied
 *   file ─sendfile─> file     as file to pipe and pipe to file, without the pipe
 *
 * SPLICE_F_MOVE, SPLICE_F_MORE and SPLICE_F_GIFT are hints that change nothing here. Linux heeds MOVE and GIFT
 * for FUSE only, MORE for networks.
 *
 * Locks: pipe.h. References are taken from the page cache with no pipe's lock held, so that a reader of the
 * pipe does not wait for a disk.
 */
#include "fs/iovec.h"
#include "fs/pipe.h"
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "lib/string.h"
#include "mm/virt/remote.h"

#define SPLICE_F_MOVE 1u
#define SPLICE_F_MORE 4u
#define SPLICE_F_GIFT 8u
#define SPLICE_F_ALL  (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)
#define BATCH	      16u /* pages taken from a file at once */

/* ---- writing what pages hold ------------------------------------------------------------------ */

/* Kernel memory into a file that need not be in the page cache. */
static long write_kernel(struct file *out, const void *buf, size_t len, u64 *pos)
{
	struct inode *inode = out->inode;
	long ret;

	if (!out->ops->write_kernel && !out->mapping)
		return -EINVAL;
	if (out->ops->write_kernel)
		return out->ops->write_kernel(out, buf, len);
	down_write(&inode->lock);
	if (out->flags & O_APPEND)
		*pos = out->mapping->size;
	if (inode->i_data.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) ||
	    (inode->i_data.seals & F_SEAL_GROW && *pos + len > out->mapping->size))
		ret = -EPERM;
	else if (*pos >= inode->sb->max_size)
		ret = -EFBIG;
	else if ((ret = limit_file_size(*pos + len)))
		ret = -EFBIG;
	else
		ret = kernel_file_write(out->mapping, buf,
					min((u64)len, inode->sb->max_size - *pos), *pos);
	if (ret > 0) {
		*pos += ret;
		inode_touch(inode, true);
	}
	up_write(&inode->lock);
	return ret;
}

static bool can_splice_from(const struct file *f)
{
	return f->mapping && f->inode && S_ISREG(f->inode->mode);
}

static void put_pieces(const struct page_piece *piece, int n)
{
	for (int i = 0; i < n; i++) {
		if (piece[i].held)
			put_page(piece[i].held);
	}
}

/* Returns bytes, or -errno for none. Positions move by them. */
static long copy_between(struct file *in, u64 *in_pos, struct file *out, u64 *out_pos, u64 len)
{
	struct page_piece piece[BATCH];
	bool more = true;
	long ret = 0;
	u64 done = 0;

	while (more && done < len) {
		int n = generic_file_pieces(in->mapping, &in->ra, *in_pos, len - done, piece,
					    BATCH);

		ret = n;
		if (n <= 0)
			break;
		for (int i = 0; more && i < n; i++) {
			const char *from = (char *)page_address(piece[i].page) + piece[i].offset;

			ret = write_kernel(out, from, piece[i].len, out_pos);
			if (ret > 0) {
				*in_pos += ret;
				done += ret;
			}
			more = ret == piece[i].len && !signal_pending();
		}
		put_pieces(piece, n);
	}
	if (done)
		file_accessed(in);
	return done ? (long)done : ret;
}

/* ---- waiting ---------------------------------------------------------------------------------- */

/* lock held, and again on return. 0: there is room; -EPIPE (and the signal), -EAGAIN, or a signal came. */
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

/* lock held, and again on return. 0: there are bytes, or nobody is left to write some; -EAGAIN, or a signal. */
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

/* Until there are bytes in `in` and buffers in `out`, one after the other, none of them held. */
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
	long ret;

	if (!can_splice_from(in))
		return -EINVAL;
	mutex_lock(&p->lock);
	ret = wait_for_room(p, flags);
	mutex_unlock(&p->lock);
	while (!ret && done < len && !pipe_full(p)) {
		u32 room = READ_ONCE(p->ring_size) - (READ_ONCE(p->head) - READ_ONCE(p->tail));
		int n = generic_file_pieces(in->mapping, &in->ra, *pos, len - done, piece,
					    min(room, BATCH)),
		    i = 0;

		ret = n;
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
		/* Another writer took the room: wait again, as nothing was done. */
		if (!ret && !done && i < n) {
			mutex_lock(&p->lock);
			ret = wait_for_room(p, flags);
			mutex_unlock(&p->lock);
		}
	}
	if (!done)
		return ret;
	file_accessed(in);
	wake_up(&p->wq);
	return done;
}

/* ---- pipe to something ------------------------------------------------------------------------ */

/* Where bytes of a pipe go to. */
struct sink {
	struct file *file; /* at *pos; or NULL: */
	u64 *pos;
	struct iov_iter *memory;
};

/* Bytes that were taken, or -errno. */
static long sink_take(const struct sink *s, const void *from, u32 n)
{
	size_t copied;

	if (s->file)
		return write_kernel(s->file, from, n, s->pos);
	copied = iov_copy_to(s->memory, from, n);
	return copied ? (long)copied : -EFAULT;
}

/* Waits for the first byte only. */
static long pipe_to_sink(struct pipe *p, const struct sink *s, u64 len, u32 flags)
{
	u64 done = 0;
	long ret;

	mutex_lock(&p->lock);
	ret = wait_for_data(p, flags);
	while (!ret && done < len && !pipe_empty(p)) {
		const struct pipe_buffer *b = pipe_buf(p, p->tail);
		u32 n = min((u64)b->len, len - done);
		long took = sink_take(s, (char *)page_address(b->page) + b->offset, n);

		if (took <= 0) {
			ret = took;
			break;
		}
		pipe_consume(p, took);
		done += took;
		if (took < n || signal_pending())
			break;
	}
	mutex_unlock(&p->lock);
	if (done)
		wake_up(&p->wq);
	return done ? (long)done : ret;
}

/* ---- pipe to pipe ----------------------------------------------------------------------------- */

/* Both locks held: the oldest buffer's first `len` bytes, or all of it, change hands. Returns bytes. */
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
	if (done)
		wake_up(&out->wq);
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
	if (done)
		wake_up(&p->wq);
	return done ? (long)done : ret;
}

long sys_vmsplice(struct pt_regs *r)
{
	struct file *f = (u32)r->r10 & ~SPLICE_F_ALL ? NULL : fd_get(r->rdi);
	struct iov_iter v;
	struct pipe *p;
	long ret;

	if (!f)
		return (u32)r->r10 & ~SPLICE_F_ALL ? -EINVAL : -EBADF;
	p = file_pipe(f);
	ret = f->flags & O_PATH || (!file_can_write(f) && !file_can_read(f)) ? -EBADF : 0;
	if (!ret)
		ret = iov_get(&v, r->rsi, r->rdx, true);
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

/* An offset in a file, and a length from there. 0 or -EINVAL. */
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

/* A user's offset, or the file's own. */
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
		ret = do_splice(in, r->rsi, out, r->r10, r->r8, r->r9);
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

/* ---- sendfile(2), copy_file_range(2) ---------------------------------------------------------- */

/* A call that read and wrote has returned: for /proc/PID/io. */
static long counted(long ret)
{
	struct io_counts *io = &current_thread_info()->io;

	io->syscr++;
	io->syscw++;
	io->rchar += ret > 0 ? ret : 0;
	io->wchar += ret > 0 ? ret : 0;
	return ret;
}

static long do_sendfile(struct file *out, struct file *in, u64 *pos, u64 len)
{
	struct pipe *p = file_pipe(out);

	if (!file_can_read(in) || in->flags & O_PATH || !file_can_write(out) || out->flags & O_PATH)
		return -EBADF;
	if (!can_splice_from(in))
		return -EINVAL;
	len = min(len, MAX_RW_COUNT);
	if (p)
		return file_to_pipe(in, pos, p, len,
				    out->flags & O_NONBLOCK ? SPLICE_F_NONBLOCK : 0);
	if (out->flags & O_APPEND)
		return -EINVAL;
	return copy_between(in, pos, out, &out->pos, len);
}

long sys_sendfile(struct pt_regs *r)
{
	struct file *in = fd_get(r->rsi), *out;
	unsigned long user = r->rdx;
	u64 pos;
	long ret = -EBADF;

	if (!in)
		return -EBADF;
	out = fd_get(r->rdi);
	if (!out)
		goto put_in;
	pos = in->pos;
	ret = -EFAULT;
	if (user && copy_from_user(&pos, user, sizeof(pos)))
		goto put_out;
	ret = (s64)pos < 0 ? -EINVAL : counted(do_sendfile(out, in, &pos, r->r10));
	if (user && copy_to_user(user, &pos, sizeof(pos)))
		ret = -EFAULT;
	else if (ret > 0 && !user)
		in->pos = pos;
put_out:
	file_put(out);
put_in:
	file_put(in);
	return ret;
}

static long check_copy_range(const struct file *in, const struct file *out, u64 in_pos, u64 out_pos,
			     u64 len)
{
	if (!file_can_read(in) || in->flags & O_PATH || !file_can_write(out) ||
	    out->flags & (O_PATH | O_APPEND))
		return -EBADF;
	if ((in->inode && S_ISDIR(in->inode->mode)) || (out->inode && S_ISDIR(out->inode->mode)))
		return -EISDIR;
	if (!in->mapping || !out->mapping || !S_ISREG(in->inode->mode) ||
	    !S_ISREG(out->inode->mode))
		return -EINVAL;
	if (in->inode->sb->type != out->inode->sb->type)
		return -EXDEV;
	if (in_pos + len < in_pos || out_pos + len < out_pos)
		return -EOVERFLOW;
	if (in->inode == out->inode && in_pos < out_pos + len && out_pos < in_pos + len)
		return -EINVAL;
	return 0;
}

long sys_copy_file_range(struct pt_regs *r)
{
	struct file *in = fd_get(r->rdi), *out = NULL;
	u64 in_pos, out_pos, len = min(r->r8, 0x7ffff000ul);
	long ret = -EBADF;

	if (in)
		out = fd_get(r->rdx);
	if (!in || !out)
		goto put;
	ret = -EFAULT;
	in_pos = in->pos;
	out_pos = out->pos;
	if ((r->rsi && copy_from_user(&in_pos, r->rsi, 8)) ||
	    (r->r10 && copy_from_user(&out_pos, r->r10, 8)))
		goto put;
	ret = (u32)r->r9 ? -EINVAL : check_copy_range(in, out, in_pos, out_pos, len);
	if (!ret && len)
		ret = counted(copy_between(in, &in_pos, out, &out_pos, len));
	if (ret <= 0)
		goto put;
	if (!r->rsi)
		in->pos = in_pos;
	else if (copy_to_user(r->rsi, &in_pos, 8))
		ret = -EFAULT;
	if (!r->r10)
		out->pos = out_pos;
	else if (copy_to_user(r->r10, &out_pos, 8))
		ret = -EFAULT;
put:
	if (out)
		file_put(out);
	if (in)
		file_put(in);
	return ret;
}
