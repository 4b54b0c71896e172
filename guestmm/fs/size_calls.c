/*
 * System calls about the size of files and their data on the disk: truncate(2), fallocate(2), fsync(2) and their
 * relatives, and advice about future reads.
 */
#include "lib/syscall.h"
#include "fs/internal.h"
#include "fs/notify.h"
#include "fs/target.h"

long sys_truncate(struct pt_regs *r)
{
	struct target t;
	long ret;

	if ((s64)r->rsi < 0)
		return -EINVAL;
	ret = target_get(&t, AT_FDCWD, r->rdi, 0);
	if (ret)
		return ret;
	if (!t.inode) /* a pipe or socket, by /proc/PID/fd */
		ret = -EINVAL;
	else if (S_ISDIR(t.inode->mode))
		ret = -EISDIR;
	else if (!S_ISREG(t.inode->mode))
		ret = -EINVAL;
	else if (target_read_only(&t))
		ret = -EROFS;
	else
		ret = inode_permission(t.inode, MAY_WRITE);
	if (!ret)
		ret = inode_get_write(t.inode);
	if (!ret) {
		file_remove_privs(t.inode);
		ret = vfs_truncate(t.inode, r->rsi);
		inode_put_write(t.inode);
		if (!ret)
			notify_dentry(target_dentry(&t), IN_MODIFY);
	}
	target_put(&t);
	return ret;
}

long sys_ftruncate(struct pt_regs *r)
{
	struct file *f;
	long ret;

	if ((s64)r->rsi < 0)
		return -EINVAL;
	f = fd_get(r->rdi);
	if (!f)
		return -EBADF;
	if (f->flags & O_PATH)
		ret = -EBADF;
	else if (!f->inode || !S_ISREG(f->inode->mode) || !file_can_write(f))
		ret = -EINVAL;
	else
		ret = vfs_truncate(f->inode, r->rsi);
	if (!ret)
		notify_dentry(f->path.dentry, IN_MODIFY);
	file_put(f);
	return ret;
}

#define FALLOC_KNOWN 0x7fu

static long do_fallocate(struct file *f, u32 mode, s64 offset, s64 len)
{
	struct inode *inode = f->inode;
	int err;

	if (offset < 0 || len <= 0)
		return -EINVAL;
	if (mode & ~FALLOC_KNOWN)
		return -EOPNOTSUPP;
	if (mode & FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!file_can_write(f))
		return -EBADF;
	if (!inode || (inode->mode & S_IFMT) == S_IFIFO)
		return -ESPIPE;
	if (S_ISDIR(inode->mode))
		return -EISDIR;
	if (!S_ISREG(inode->mode))
		return -ENODEV;
	if (offset > (s64)(inode->sb->max_size - len))
		return -EFBIG;
	if (!inode->ops->fallocate)
		return -EOPNOTSUPP;
	down_write(&inode->lock);
	err = inode->swapfile ? -ETXTBSY : inode->ops->fallocate(inode, mode, offset, len);
	if (!err)
		inode_touch(inode, S_CTIME | S_MTIME);
	up_write(&inode->lock);
	return err;
}

long sys_fallocate(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	long ret;

	if (!f)
		return -EBADF;
	ret = f->flags & O_PATH ? -EBADF : do_fallocate(f, r->rsi, r->rdx, r->r10);
	if (!ret)
		notify_file(f, IN_MODIFY);
	file_put(f);
	return ret;
}

/* ---- safe on the disk ------------------------------------------------------------------------- */

static long fsync_call(unsigned int fd)
{
	struct file *f = fd_get(fd);
	long ret;

	if (!f)
		return -EBADF;
	ret = f->flags & O_PATH ? -EBADF : vfs_fsync(f, 0, ~0ull);
	file_put(f);
	return ret;
}

long sys_fsync(struct pt_regs *r)
{
	return fsync_call(r->rdi);
}

/* As fsync(2): the inode is written as well, since it is in metadata that is written anyway. */
long sys_fdatasync(struct pt_regs *r)
{
	return fsync_call(r->rdi);
}

long sys_sync(struct pt_regs *r)
{
	vfs_sync();
	return 0;
}

long sys_syncfs(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	long ret;

	if (!f)
		return -EBADF;
	ret = f->flags & O_PATH ? -EBADF : f->path.mnt ? sync_filesystem(f->path.mnt->sb) : 0;
	file_put(f);
	return ret;
}

/* With any of SYNC_FILE_RANGE_WAIT_BEFORE, WRITE, WAIT_AFTER the range is written and waited for. */
long sys_sync_file_range(struct pt_regs *r)
{
	s64 offset = r->rsi, len = r->rdx;
	struct file *f;
	long ret = 0;

	if ((u32)r->r10 & ~7u || offset < 0 || len < 0 || len > __LONG_MAX__ - offset)
		return -EINVAL;
	f = fd_get(r->rdi);
	if (!f)
		return -EBADF;
	if (f->flags & O_PATH)
		ret = -EBADF;
	else if (!f->mapping)
		ret = f->inode && S_ISDIR(f->inode->mode) ? 0 : -ESPIPE;
	else if (!(f->mapping->flags & AS_SHMEM) && (u32)r->r10)
		ret = filemap_write_and_wait_range(f->mapping, offset,
						   len ? (u64)(offset + len - 1) : ~0ull);
	file_put(f);
	return ret;
}

#define FADV_RANDOM   1
#define FADV_WILLNEED 3
#define FADV_DONTNEED 4
#define FADV_NOREUSE  5

static long do_fadvise(struct file *f, u64 offset, u64 len, int advice)
{
	u64 end = len && offset + len >= offset ? offset + len : ~0ull;

	if (!f->inode)
		return -ESPIPE;
	if ((s64)len < 0 || advice < 0 || advice > FADV_NOREUSE)
		return -EINVAL;
	if (!f->mapping || f->mapping->flags & AS_SHMEM)
		return 0;
	switch (advice) {
	case FADV_RANDOM:
		f->ra.max = 0;
		break;
	case FADV_WILLNEED:
		force_page_cache_readahead(f->mapping, offset >> PAGE_SHIFT,
					   DIV_ROUND_UP(min(end, f->mapping->size), PAGE_SIZE));
		break;
	case FADV_DONTNEED:
		filemap_write_and_wait_range(f->mapping, offset, end - 1);
		invalidate_mapping_pages(f->mapping, DIV_ROUND_UP(offset, PAGE_SIZE),
					 end == ~0ull ? ~0ul : end >> PAGE_SHIFT);
		break;
	case FADV_NOREUSE:
		break;
	default: /* NORMAL, SEQUENTIAL */
		file_ra_state_init(&f->ra);
	}
	return 0;
}

long sys_fadvise64(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	long ret;

	if (!f)
		return -EBADF;
	ret = f->flags & O_PATH ? -EBADF : do_fadvise(f, r->rsi, r->rdx, (int)r->r10);
	file_put(f);
	return ret;
}

long sys_readahead(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	long ret = -EINVAL;

	if (!f)
		return -EBADF;
	if (!file_can_read(f) || f->flags & O_PATH)
		ret = -EBADF;
	else if (f->inode && S_ISREG(f->inode->mode))
		ret = do_fadvise(f, r->rsi, r->rdx, FADV_WILLNEED);
	file_put(f);
	return ret;
}
