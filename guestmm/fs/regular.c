/*
 * Operations of open regular files: reading, writing, seeking, truncating, syncing. The page cache (mm/cache)
 * has the pages. This file decides whether and where they may be read or written, and updates the inode's times.
 *
 * Locks: inode->lock for writing while a file is written or truncated; readers take none.
 */
#include "fs/internal.h"
#include "kernel/boot_info.h"
#include "kernel/process.h"

int vfs_truncate(struct inode *inode, u64 size)
{
	u64 old;
	int err;

	down_write(&inode->lock);
	old = inode->i_data.size;
	if (size > old && (err = limit_file_size(size))) {
		/* limit_file_size() has sent SIGXFSZ */
	} else if (size > inode->sb->max_size) {
		err = -EFBIG;
	} else if (inode->swapfile) {
		err = -ETXTBSY;
	} else if ((size < old && inode->i_data.seals & F_SEAL_SHRINK) ||
		   (size > old && inode->i_data.seals & F_SEAL_GROW)) {
		err = -EPERM;
	} else if (inode->ops->truncate) {
		err = inode->ops->truncate(inode, size);
	} else {
		inode->i_data.size = size;
		truncate_pagecache(&inode->i_data, size);
		err = 0;
	}
	if (!err)
		inode_touch(inode, S_CTIME | S_MTIME);
	up_write(&inode->lock);
	if (!err && unlikely(READ_ONCE(inode->sb->flags) & MS_SYNCHRONOUS))
		err = sync_names(inode->sb);
	return err;
}

/* relatime: update it if it is older than the last modification or change, or than a day. */
static bool atime_is_old(const struct inode *inode)
{
	return inode->atime.sec <= inode->mtime.sec || inode->atime.sec <= inode->ctime.sec ||
	       inode->atime.sec + 86400 <= (s64)((boot_info.epoch_ns + ktime_ns()) / 1000000000u);
}

void file_accessed(struct file *f)
{
	struct inode *inode = f->inode;
	struct vfs_time now;
	u32 mnt;

	if (f->flags & O_NOATIME || !f->path.mnt || mount_read_only(f->path.mnt))
		return;
	mnt = READ_ONCE(f->path.mnt->flags);
	if (mnt & MS_NOATIME || (mnt & MS_NODIRATIME && S_ISDIR(inode->mode)))
		return;
	if (!(mnt & MS_STRICTATIME) && !atime_is_old(inode))
		return;
	now = current_time();
	if (inode->atime.sec == now.sec)
		return;
	inode->atime = now;
	mark_inode_times_dirty(inode);
}

static long regular_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	u64 start = *pos;
	long ret = direct_begin(f, buf, len, start);

	if (ret)
		return ret;
	/* DAX files have no page cache whose pages could be referenced. The lock makes sure that the frames are not
	 * freed and given to another file. */
	if (unlikely(f->mapping->flags & AS_DAX)) {
		down_read(&f->inode->lock);
		ret = generic_file_read(f->mapping, &f->ra, buf, len, pos);
		up_read(&f->inode->lock);
	} else {
		ret = generic_file_read(f->mapping, &f->ra, buf, len, pos);
	}
	if (ret > 0)
		file_accessed(f);
	return direct_end(f, start, ret);
}

int file_write_check(struct file *f, u64 *pos, size_t *len)
{
	struct inode *inode = f->inode;

	if (f->flags & O_APPEND)
		*pos = f->mapping->size;
	if (inode->swapfile)
		return -ETXTBSY;
	if (inode->i_data.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	if (S_ISREG(inode->mode)) {
		int err = limit_file_size(*pos + 1);

		if (err)
			return err;
		*len = min((u64)*len, rlimit(RLIMIT_FSIZE) - *pos);
	}
	if (*pos >= inode->sb->max_size)
		return -EFBIG;
	*len = min((u64)*len, inode->sb->max_size - *pos);
	if (inode->i_data.seals & F_SEAL_GROW) {
		if (*pos + *len > f->mapping->size)
			return -EPERM;
	}
	file_remove_privs(inode);
	return 0;
}

static bool is_synchronous(const struct file *f)
{
	return f->flags & O_DSYNC || READ_ONCE(f->inode->sb->flags) & MS_SYNCHRONOUS;
}

static long regular_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct inode *inode = f->inode;
	u64 start;
	long ret;

	if (!len)
		return 0;
	ret = direct_begin(f, buf, len, *pos);
	if (ret)
		return ret;
	down_write(&inode->lock);
	ret = file_write_check(f, pos, &len);
	start = *pos;
	if (!ret)
		ret = generic_file_write(f->mapping, buf, len, pos, inode->sb->max_size);
	if (ret > 0)
		inode_touch_data(inode);
	up_write(&inode->lock);
	if (ret > 0 && is_synchronous(f)) {
		int err = vfs_fsync(f, start, start + ret - 1);

		if (err)
			return err;
	}
	return direct_end(f, start, ret);
}

#define SEEK_DATA 3
#define SEEK_HOLE 4

/* Find the first page of data, or the first hole, at or after `offset`. */
static s64 seek_pages(struct address_space *mapping, u64 offset, bool hole)
{
	unsigned long index = offset >> PAGE_SHIFT, found = index;
	unsigned long end = DIV_ROUND_UP(mapping->size, PAGE_SIZE);
	unsigned long flags = spin_lock_irqsave(&mapping->lock);

	if (hole)
		found = radix_next_hole(&mapping->pages, index, end);
	else if (!radix_next(&mapping->pages, &found))
		found = end;
	spin_unlock_irqrestore(&mapping->lock, flags);
	return found == index ? offset : (u64)found << PAGE_SHIFT;
}

static s64 seek_extent(struct file *f, s64 offset, int whence)
{
	u64 size = f->mapping->size, at;

	if (offset < 0 || (u64)offset >= size)
		return -ENXIO;
	if (!(f->mapping->flags & AS_SHMEM)) /* a file on a disk counts as data everywhere */
		return whence == SEEK_DATA ? offset : (s64)size;
	at = seek_pages(f->mapping, offset, whence == SEEK_HOLE);
	if (at >= size)
		return whence == SEEK_DATA ? -ENXIO : (s64)size;
	return at;
}

long generic_llseek(struct file *f, s64 offset, int whence)
{
	u64 size = f->inode ? f->inode->i_data.size : 0;

	switch (whence) {
	case 0:
		break;
	case 1:
		if (__builtin_add_overflow(offset, (s64)f->pos, &offset))
			return -EINVAL;
		break;
	case 2:
		if (__builtin_add_overflow(offset, (s64)size, &offset))
			return -EINVAL;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (!f->mapping)
			return -EINVAL;
		offset = seek_extent(f, offset, whence);
		if (offset < 0)
			return offset;
		break;
	default:
		return -EINVAL;
	}
	if (offset < 0 || (f->inode && (u64)offset > f->inode->sb->max_size))
		return -EINVAL;
	f->pos = offset;
	return offset;
}

int generic_fsync(struct file *f, u64 start, u64 end)
{
	struct inode *inode = f->inode;
	int err, e;

	if (inode->i_data.flags & AS_SHMEM)
		return 0;
	err = filemap_write_and_wait_range(&inode->i_data, start, end);
	if (inode->dirty && inode->sb->ops->write_inode) {
		atomic_store(&inode->dirty, false);
		e = inode->sb->ops->write_inode(inode);
		err = err ? err : e;
	}
	if (inode->sb->ops->sync_fs) {
		e = inode->sb->ops->sync_fs(inode->sb);
		err = err ? err : e;
	}
	e = mapping_check_error(&inode->i_data, &f->wb_err);
	return err ? err : e;
}

int vfs_fsync(struct file *f, u64 start, u64 end)
{
	return f->ops->fsync ? f->ops->fsync(f, start, end) : -EINVAL;
}

static int regular_mmap(struct file *f, unsigned long vm_flags, struct file **instead)
{
	/* mmap.c checks permissions and seals. */
	if (vm_flags & VM_SHARED && vm_flags & VM_WRITE && f->inode->swapfile)
		return -ETXTBSY;
	return 0;
}

const struct file_ops generic_file_ops = {
	.read = regular_read,
	.write = regular_write,
	.llseek = generic_llseek,
	.fsync = generic_fsync,
	.mmap = regular_mmap,
};
