/*
 * Copying between files in the kernel: sendfile(2), copy_file_range(2), and writing kernel memory to a file.
 *
 *   file ─sendfile─> file     references to the page cache's pages, which are copied from
 *   file ─sendfile─> pipe     as splice(2): the pipe gets the references (splice.c)
 */
#include "fs/iovec.h"
#include "fs/notify.h"
#include "fs/pipe.h"
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "lib/string.h"
#include "mm/phys/highmem.h"

#define BATCH 16u /* pages taken from a file at once */

long file_write_kernel(struct file *out, const void *buf, size_t len, u64 *pos)
{
	struct inode *inode = out->inode;
	long ret;

	if (!out->ops->write_kernel && !out->mapping)
		return -EINVAL;
	if (out->ops->write_kernel)
		return out->ops->write_kernel(out, buf, len);
	down_write(&inode->lock);
	ret = file_write_check(out, pos, &len);
	if (!ret)
		ret = kernel_file_write(out->mapping, buf, len, *pos);
	if (ret > 0) {
		*pos += ret;
		inode_touch_data(inode);
	}
	up_write(&inode->lock);
	if (ret > 0)
		notify_file(out, IN_MODIFY);
	return ret;
}

/* Write the whole piece, or as much as possible. After a short write, write again, so that the error appears
 * (SIGXFSZ). */
static long copy_piece(struct file *out, const char *from, u32 len, u64 *pos)
{
	u32 done = 0;

	while (done < len) {
		long ret = file_write_kernel(out, from + done, len - done, pos);

		if (ret <= 0)
			return done ? (long)done : ret;
		done += (u32)ret;
	}
	return done;
}

/* Copy bytes, and advance both positions. Returns bytes, or -errno if none were copied. */
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
			const char *from = kmap_local_page(piece[i].page);

			ret = copy_piece(out, from + piece[i].offset, piece[i].len, out_pos);
			kunmap_local(from);
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
	ret = -ESPIPE;
	if (user && !in->ops->llseek)
		goto put_out;
	ret = (s64)pos < 0 ? -EINVAL
			   : notify_transfer(
				     in, out,
				     count_read(count_write(do_sendfile(out, in, &pos, r->r10))));
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
	/* Shorten the copy to RLIMIT_FSIZE. SIGXFSZ is sent only if it starts at the limit. */
	if (!ret && out_pos < rlimit(RLIMIT_FSIZE))
		len = min(len, rlimit(RLIMIT_FSIZE) - out_pos);
	if (!ret && len)
		ret = notify_transfer(
			in, out,
			count_read(count_write(copy_between(in, &in_pos, out, &out_pos, len))));
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
