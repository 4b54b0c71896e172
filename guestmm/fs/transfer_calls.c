/*
 * Listing directories, copying from file to file, and files without names.
 *
 * A copy from file to file goes through a page of kernel memory: from the page cache by
 * kernel_file_read(), to it by kernel_file_write(), and to pipes and terminals by their write_kernel.
 */
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "fs/file.h"
#include "fs/tmpfs.h"
#include "fs/user_path.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/slab/slab.h"

/* ---- directories ------------------------------------------------------------------------------ */

struct dirent64 {
	u64 ino;
	s64 off; /* where the next one is */
	u16 reclen;
	u8 type;
	char name[];
};
#define DIRENT_NAME 19 /* offset of the name: 64-bit form */

struct getdents {
	struct dir_context ctx;
	unsigned long to, left;
	unsigned long previous; /* user address of the last entry, whose `off` is still to be set */
	bool old_form;		/* getdents(2): type in the last byte */
	long err;
};

static bool emit(struct dir_context *ctx, const char *name, u32 len, u64 ino, u32 type)
{
	struct getdents *g = container_of(ctx, struct getdents, ctx);
	u32 head = g->old_form ? DIRENT_NAME - 1 : DIRENT_NAME;
	u16 reclen = ALIGN_UP(head + len + 1 + g->old_form, 8);
	u8 record[ALIGN_UP(DIRENT_NAME + NAME_MAX + 2, 8)];
	s64 off = ctx->pos;

	if (reclen > g->left) {
		g->err = g->previous ? 0 : -EINVAL;
		return false;
	}
	if (g->previous && copy_to_user(g->previous + 8, &off, sizeof(off)))
		goto fault;
	memset(record, 0, reclen);
	memcpy(record, &ino, 8);
	memcpy(record + 16, &reclen, 2);
	memcpy(record + head, name, len);
	record[g->old_form ? reclen - 1 : 18] = type;
	if (copy_to_user(g->to, record, reclen))
		goto fault;
	g->previous = g->to;
	g->to += reclen;
	g->left -= reclen;
	return true;
fault:
	g->err = -EFAULT;
	return false;
}

static long do_getdents(struct file *f, struct getdents *g, unsigned long buf)
{
	struct inode *dir = f->inode;
	s64 off;
	int err;

	if (!f->ops->iterate)
		return -ENOTDIR;
	down_read(&dir->lock);
	g->ctx.pos = f->pos;
	err = !dir->nlink ? -ENOENT : f->ops->iterate(f, &g->ctx);
	f->pos = g->ctx.pos;
	up_read(&dir->lock);
	if (g->previous) {
		off = f->pos;
		if (copy_to_user(g->previous + 8, &off, sizeof(off)))
			return -EFAULT;
		return g->to - buf;
	}
	if (!err)
		file_accessed(f);
	return err ? err : g->err;
}

static long getdents_call(struct pt_regs *r, bool old_form)
{
	struct file *f = file_lock_position(r->rdi);
	struct getdents g = {
		.ctx.actor = emit,
		.to = r->rsi,
		.left = (u32)r->rdx,
		.old_form = old_form,
	};
	long ret;

	if (!f)
		return -EBADF;
	ret = f->flags & O_PATH ? -EBADF : do_getdents(f, &g, r->rsi);
	file_unlock_position(f);
	return ret;
}

long sys_getdents64(struct pt_regs *r)
{
	return getdents_call(r, false);
}

long sys_getdents(struct pt_regs *r)
{
	return getdents_call(r, true);
}

/* ---- from file to file ------------------------------------------------------------------------ */

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

static long copy_between(struct file *in, u64 *in_pos, struct file *out, u64 *out_pos, u64 len)
{
	void *page = (void *)__get_free_pages(GFP_KERNEL, 0);
	long ret = 0;
	u64 done = 0;

	if (!page)
		return -ENOMEM;
	while (done < len) {
		long got = kernel_file_read(in->mapping, page, min(len - done, PAGE_SIZE), *in_pos);

		ret = got;
		if (got <= 0)
			break;
		ret = write_kernel(out, page, got, out_pos);
		if (ret <= 0)
			break;
		*in_pos += ret;
		done += ret;
		if (ret < got || signal_pending())
			break;
	}
	free_pages((unsigned long)page, 0);
	if (done && in->inode)
		file_accessed(in);
	return done ? (long)done : ret;
}

static long do_sendfile(struct file *out, struct file *in, u64 *pos, u64 len)
{
	if (!file_can_read(in) || in->flags & O_PATH || !file_can_write(out) || out->flags & O_PATH)
		return -EBADF;
	if (!in->mapping || !S_ISREG(in->inode->mode))
		return -EINVAL;
	if (out->flags & O_APPEND)
		return -EINVAL;
	return copy_between(in, pos, out, &out->pos, min(len, 0x7ffff000ul));
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
	ret = (s64)pos < 0 ? -EINVAL : do_sendfile(out, in, &pos, r->r10);
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
		ret = copy_between(in, &in_pos, out, &out_pos, len);
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

/* ---- memory as a file -------------------------------------------------------------------------- */

#define MFD_CLOEXEC	  1u
#define MFD_ALLOW_SEALING 2u
#define MFD_HUGETLB	  4u
#define MFD_HUGE_SHIFT	  26 /* log2 of the page size from here on, 0: the default */
#define MFD_HUGE_MASK	  0x3fu
#define MFD_NAME_MAX	  249

long sys_memfd_create(struct pt_regs *r)
{
	struct inode *inode;
	struct user_path p;
	struct file *f;
	char label[32];
	u32 flags = r->rsi, size = 0;
	long ret;

	if (flags & MFD_HUGETLB) {
		size = flags >> MFD_HUGE_SHIFT & MFD_HUGE_MASK;
		flags &= ~(MFD_HUGE_MASK << MFD_HUGE_SHIFT);
	}
	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB))
		return -EINVAL;
	ret = user_path_get(&p, r->rdi);
	if (ret < 0)
		return ret == -ENAMETOOLONG ? -EINVAL : ret;
	if (ret > MFD_NAME_MAX) {
		user_path_put(&p);
		return -EINVAL;
	}
	ksnprintf(label, sizeof(label), "/memfd:%s", p.name);
	user_path_put(&p);
	if (flags & MFD_HUGETLB)
		inode = hugetlb_inode(0777, size);
	else
		inode = shmem_inode(0777, 0);
	if (!inode || IS_ERR(inode))
		return inode ? PTR_ERR(inode) : -ENOMEM;
	if (flags & MFD_ALLOW_SEALING)
		inode->i_data.seals = 0;
	f = file_from_inode(inode, label, O_RDWR | O_LARGEFILE);
	iput(inode);
	if (!f)
		return -ENOMEM;
	ret = fd_install(f, 0, flags & MFD_CLOEXEC);
	if (ret < 0)
		file_put(f);
	return ret;
}
