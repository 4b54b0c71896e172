/* Listing directories, and files without names. Copying from file to file: fs/splice.c. */
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "fs/file.h"
#include "fs/notify.h"
#include "fs/tmpfs.h"
#include "fs/user_path.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/slab/slab.h"

/* ---- directories ------------------------------------------------------------------------------ */

struct dirent64 {
	u64 ino;
	s64 off; /* position of the next entry */
	u16 reclen;
	u8 type;
	char name[];
};
#define DIRENT_NAME 19 /* offset of the name: 64-bit form */

struct getdents {
	struct dir_context ctx;
	unsigned long to, left;
	unsigned long previous; /* user address of the last entry, whose `off` is not set yet */
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
	if (err != -ENOENT)
		notify_file(f, IN_ACCESS);
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

enum dirent_form { DIRENT64, OLD_DIRENT };

static long getdents_call(struct pt_regs *r, enum dirent_form form)
{
	struct file *f = file_lock_position(r->rdi);
	struct getdents g = {
		.ctx.actor = emit,
		.to = r->rsi,
		.left = (u32)r->rdx,
		.old_form = form == OLD_DIRENT,
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
	return getdents_call(r, DIRENT64);
}

long sys_getdents(struct pt_regs *r)
{
	return getdents_call(r, OLD_DIRENT);
}

/* ---- memory as a file -------------------------------------------------------------------------- */

#define MFD_CLOEXEC	  1u
#define MFD_ALLOW_SEALING 2u
#define MFD_HUGETLB	  4u
#define MFD_HUGE_SHIFT	  26 /* the bits from here on are log2 of the page size; 0: the default */
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
	ret = fd_install(f, 0, flags & MFD_CLOEXEC ? O_CLOEXEC : 0);
	if (ret < 0)
		file_put(f);
	return ret;
}
