/*
 * Opening, and what open files do that are regular files or directories in a file system.
 *
 * Opening with O_CREAT walks to the directory; a name that is among the dentries is taken as it is,
 * otherwise the directory is locked, the name looked up again, and the file made if it is not there.
 * Everything that can fail for other reasons than the file system's comes before the file is made.
 *
 * Locks: the directory's while a file is made; the inode's for writing, truncating, and (reading) for
 * listing a directory.
 */
#include "kernel/boot_info.h"
#include "fs/internal.h"
#include "kernel/process.h"
#include "mm/phys/alloc.h"

#define O_TMPFILE_BIT 020000000u /* O_TMPFILE without O_DIRECTORY */
#define OPEN_FLAGS                                                                            \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | \
	 O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | \
	 O_TMPFILE)

bool file_can_write(const struct file *f)
{
	u32 mode = f->flags & O_ACCMODE;

	return mode == O_WRONLY || mode == O_RDWR;
}

bool file_can_read(const struct file *f)
{
	u32 mode = f->flags & O_ACCMODE;

	return mode == O_RDONLY || mode == O_RDWR;
}

/* ---- opening ---------------------------------------------------------------------------------- */

static const struct file_ops path_only_ops; /* O_PATH: no operation at all */

static u32 open_mask(u32 flags)
{
	static const u32 of[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};

	return of[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

/* May this inode be opened like that? What has just been made may, whatever its mode says. */
static int may_open(const struct path *path, u32 flags, bool made)
{
	const struct inode *inode = path->dentry->inode;
	bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;

	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (flags & O_DIRECTORY && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (S_ISLNK(inode->mode))
		return flags & O_PATH ? 0 : -ELOOP;
	if (flags & O_PATH)
		return 0;
	if (S_ISDIR(inode->mode) && (writes || flags & O_CREAT))
		return -EISDIR;
	if (!made) {
		int err = inode_permission(inode, open_mask(flags));

		if (err)
			return err;
	}
	if (flags & O_NOATIME && !inode_owner_or_capable(inode))
		return -EPERM;
	if (S_ISDIR(inode->mode))
		return 0;
	if (writes && path->mnt->read_only && S_ISREG(inode->mode))
		return -EROFS;
	if (((inode->mode & S_IFMT) == S_IFCHR || (inode->mode & S_IFMT) == S_IFBLK) &&
	    READ_ONCE(path->mnt->flags) & MS_NODEV)
		return -EACCES;
	return (inode->mode & S_IFMT) == S_IFSOCK ? -ENXIO : 0;
}

/* A special file: what its number says. */
static int open_device(struct file *f)
{
	struct device_node *d = find_device_node(f->inode->mode, f->inode->rdev);

	if (!d)
		return -ENXIO;
	f->ops = d->ops;
	return d->open ? d->open(f, d) : 0;
}

static int connect(struct file *f)
{
	switch (f->inode->mode & S_IFMT) {
	case S_IFREG:
		if (f->inode->i_data.ops) /* else its contents are made when read (proc) */
			f->mapping = &f->inode->i_data;
		break;
	case S_IFCHR:
	case S_IFBLK:
		return open_device(f);
	case S_IFIFO:
		return fifo_open(f);
	}
	f->ops = f->inode->fops;
	if (!f->ops)
		return -ENXIO;
	return f->ops->open ? f->ops->open(f) : 0;
}

/* ---- running programs and writers ----
 *
 * I1  inode->writers counts the files open for writing; or, below 0, the address spaces that run it.
 */

int inode_get_write(struct inode *inode)
{
	s32 n = atomic_load(&inode->writers), seen;

	while (n >= 0) {
		seen = atomic_cmpxchg(&inode->writers, n, n + 1);
		if (seen == n)
			return 0;
		n = seen;
	}
	return -ETXTBSY;
}

void inode_put_write(struct inode *inode)
{
	atomic_sub(&inode->writers, 1);
}

int exe_file_get(struct file *f)
{
	s32 n = atomic_load(&f->inode->writers), seen;

	while (n <= 0) {
		seen = atomic_cmpxchg(&f->inode->writers, n, n - 1);
		if (seen == n) {
			file_get(f);
			return 0;
		}
		n = seen;
	}
	return -ETXTBSY;
}

void exe_file_put(struct file *f)
{
	atomic_add(&f->inode->writers, 1);
	file_put(f);
}

static int open_made(const struct path *path, u32 flags, bool made, struct file **file)
{
	int err = may_open(path, flags, made);
	struct file *f;

	if (err)
		return err;
	f = file_alloc(&path_only_ops, flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC),
		       NULL);
	if (!f)
		return -ENOMEM;
	f->path = *path;
	path_get(path);
	f->inode = path->dentry->inode;
	iget_ref(f->inode);
	file_ra_state_init(&f->ra);
	if (flags & O_PATH)
		goto done;
	if (S_ISREG(f->inode->mode) && ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC)) {
		err = inode_get_write(f->inode);
		if (err)
			goto put;
		f->writer = true;
	}
	err = connect(f);
	if (err) {
		f->ops = &path_only_ops; /* nothing to release */
		goto put;
	}
	if (f->mapping)
		f->wb_err = mapping_sample_error(f->mapping);
	if (flags & O_DIRECT && !file_can_direct(f))
		err = -EINVAL;
	else if (flags & O_TRUNC && S_ISREG(f->inode->mode))
		err = vfs_truncate(f->inode, 0);
	if (err)
		goto put;
	if (f->writer && (flags & O_ACCMODE) == O_RDONLY) {
		/* It wrote only to cut the file off. */
		inode_put_write(f->inode);
		f->writer = false;
	}
done:
	*file = f;
	return 0;
put:
	file_put(f);
	return err;
}

int open_path(const struct path *path, u32 flags, struct file **file)
{
	return open_made(path, flags, false, file);
}

struct file *file_from_inode(struct inode *inode, const char *name, u32 flags)
{
	struct file *f = file_alloc(inode->fops, flags, NULL);

	if (!f)
		return NULL;
	iget_ref(inode);
	f->inode = inode;
	f->writer = (flags & O_ACCMODE) != O_RDONLY && !inode_get_write(inode);
	f->mapping = &inode->i_data;
	strscpy(f->label, name, sizeof(f->label));
	file_ra_state_init(&f->ra);
	f->wb_err = mapping_sample_error(f->mapping);
	return f;
}

/* dcache_lock not held before and after, w->path (the directory) with references: the file there,
 * made if need be. *d with a reference; *made: it is new. */
static int open_create(struct walk *w, u32 flags, u32 mode, struct dentry **d, bool *made)
{
	struct dentry *dir = w->path.dentry;
	struct inode *inode;
	int err;

	down_write(&dir->inode->lock);
	err = lookup_locked(dir, w->last, w->last_len, d);
	if (err || (*d)->inode)
		goto unlock;
	if ((*d)->unlinked)
		err = -ENOENT;
	else if (w->path.mnt->read_only)
		err = -EROFS;
	else if (!dir->inode->ops->create)
		err = -EACCES;
	else
		err = may_create_in(dir->inode);
	if (!err)
		err = dir->inode->ops->create(dir->inode, w->last, w->last_len, S_IFREG | mode, 0,
					      &inode);
	if (err) {
		dput(*d);
		goto unlock;
	}
	inode_init_owner(inode, dir->inode);
	d_instantiate(*d, inode);
	inode_touch(dir->inode, true);
	*made = true;
unlock:
	up_write(&dir->inode->lock);
	return err;
}

/* dcache_lock held before and after. As walk_last(), but the file is made if it is not there. */
static int walk_create(struct walk *w, u32 flags, u32 mode, bool *made)
{
	struct dentry *d;
	int err;

	if (w->last_type != LAST_NORM)
		return walk_last(w, true);
	if (w->trailing)
		return -EISDIR;
	d = d_find(w->path.dentry, w->last, w->last_len);
	if (!d || !d->inode) {
		walk_unlock(w);
		err = open_create(w, flags, mode, &d, made);
		spin_lock(&dcache_lock);
		if (err)
			return err;
		w->extra = d;
	}
	if (flags & O_EXCL && !*made)
		return -EEXIST;
	if (S_ISLNK(d->inode->mode)) {
		if (flags & O_NOFOLLOW)
			return -ELOOP;
		err = walk_link(w, d);
		return err ? err : 1;
	}
	w->path.dentry = d;
	follow_mounts(&w->path);
	return 0;
}

/* A file without a name in the directory the walk has led to. References as open_path() takes. */
static int open_tmpfile(const struct path *dir, u32 flags, u32 mode, struct file **file)
{
	struct inode *parent = dir->dentry->inode, *inode;
	struct path path = {dir->mnt, NULL};
	char name[24];
	int err;

	if (!S_ISDIR(parent->mode))
		return -ENOTDIR;
	if (dir->mnt->read_only)
		return -EROFS;
	if (!parent->ops->tmpfile)
		return -EOPNOTSUPP;
	err = may_create_in(parent);
	if (!err)
		err = parent->ops->tmpfile(parent, S_IFREG | mode, &inode);
	if (err)
		return err;
	inode_init_owner(inode, parent);
	ksnprintf(name, sizeof(name), "#%lu", (unsigned long)inode->ino);
	path.dentry = d_alloc(dir->dentry, name, strlen(name));
	if (!path.dentry) {
		iput(inode);
		return -ENOMEM;
	}
	path.dentry->inode = inode;
	path.dentry->unlinked = true;
	path.dentry->tmpfile = !(flags & O_EXCL);
	err = open_made(&path, flags & ~(O_TMPFILE | O_EXCL), true, file);
	dput(path.dentry);
	return err;
}

static int check_flags(u32 *flags)
{
	*flags &= OPEN_FLAGS;
	if (*flags & O_PATH) {
		*flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
		return 0;
	}
	if (*flags & O_TMPFILE_BIT) {
		if ((*flags & (O_TMPFILE | O_CREAT)) != O_TMPFILE ||
		    !(*flags & (O_WRONLY | O_RDWR)))
			return -EINVAL;
		return 0;
	}
	if ((*flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
		return -EINVAL;
	*flags |= O_LARGEFILE;
	return 0;
}

/* /proc/PID/fd/N of a file without a path: the same thing once more, opened as is said now. */
static int open_again(struct file *old, u32 flags, struct file **file)
{
	struct inode *inode = old->inode;
	struct file *f;

	if (flags & (O_PATH | O_DIRECTORY))
		return flags & O_PATH ? -ENXIO : -ENOTDIR;
	f = pipe_open_again(old, flags);
	if (IS_ERR(f))
		return PTR_ERR(f);
	if (!f) {
		if (!inode || !S_ISREG(inode->mode))
			return -ENXIO; /* sockets and their like, as Linux */
		f = file_from_inode(inode, old->label,
				    flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC));
		if (!f)
			return -ENOMEM;
		if (flags & O_TRUNC) {
			int err = vfs_truncate(inode, 0);

			if (err) {
				file_put(f);
				return err;
			}
		}
	}
	*file = f;
	return 0;
}

int vfs_open(int dfd, const char *name, u32 flags, u32 mode, struct file **file)
{
	bool made = false;
	struct walk w;
	int err = check_flags(&flags);

	if (err)
		return err;
	mode &= 07777 & ~atomic_load(&current_fs()->umask);
	err = walk_begin(&w, dfd, name);
	if (err)
		return err;
	do {
		err = walk_parent(&w);
		if (err)
			break;
		err = flags & O_CREAT ? walk_create(&w, flags, mode, &made)
				      : walk_last(&w, !(flags & O_NOFOLLOW));
	} while (err > 0);
	if (!err && w.trailing && !S_ISDIR(w.path.dentry->inode->mode))
		err = -ENOTDIR;
	walk_unlock(&w);
	if (err == -ENXIO && w.nameless)
		err = open_again(w.nameless, flags, file);
	else if (!err && flags & O_TMPFILE_BIT)
		err = open_tmpfile(&w.path, flags, mode, file);
	else if (!err) /* a newly created file is empty */
		err = open_made(&w.path, made ? flags & ~(O_TRUNC | O_CREAT | O_EXCL) : flags, made,
				file);
	walk_end(&w);
	return err;
}

int vfs_open_exec(const char *name, struct file **file)
{
	struct path path;
	int err = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW, &path);

	if (err)
		return err;
	/* Who may run it need not be allowed to read it. */
	if (!S_ISREG(path.dentry->inode->mode))
		err = -EACCES;
	else
		err = inode_permission(path.dentry->inode, MAY_EXEC);
	if (!err)
		err = open_made(&path, O_RDONLY, true, file);
	path_put(&path);
	return err;
}

int vfs_truncate(struct inode *inode, u64 size)
{
	u64 old;
	int err;

	if (size > inode->sb->max_size)
		return -EFBIG;
	down_write(&inode->lock);
	old = inode->i_data.size;
	if ((size < old && inode->i_data.seals & F_SEAL_SHRINK) ||
	    (size > old && inode->i_data.seals & F_SEAL_GROW)) {
		err = -EPERM;
	} else if (size > old && (err = limit_file_size(size))) {
		/* SIGXFSZ is on its way */
	} else if (inode->ops->truncate) {
		err = inode->ops->truncate(inode, size);
	} else {
		inode->i_data.size = size;
		truncate_pagecache(&inode->i_data, size);
		err = 0;
	}
	if (!err)
		inode_touch(inode, true);
	up_write(&inode->lock);
	return err;
}

/* ---- regular files ---------------------------------------------------------------------------- */

/* relatime: it is older than what was written, or than a day. */
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

	if (f->flags & O_NOATIME || !f->path.mnt || f->path.mnt->read_only)
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
	mark_inode_dirty(inode);
}

static long regular_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	u64 start = *pos;
	long ret = direct_begin(f, buf, len, start);

	if (ret)
		return ret;
	ret = generic_file_read(f->mapping, &f->ra, buf, len, pos);
	if (ret > 0)
		file_accessed(f);
	return direct_end(f, start, ret);
}

/* inode->lock held: what a write of len bytes at *pos may do. */
static int write_check(struct file *f, u64 *pos, size_t *len)
{
	struct inode *inode = f->inode;

	if (f->flags & O_APPEND)
		*pos = f->mapping->size;
	if (inode->i_data.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	if (*pos >= inode->sb->max_size)
		return -EFBIG;
	if (S_ISREG(inode->mode)) {
		int err = limit_file_size(*pos + 1);

		if (err)
			return err;
		*len = min((u64)*len, rlimit(RLIMIT_FSIZE) - *pos);
	}
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
	return f->flags & O_DSYNC ||
	       (f->path.mnt && READ_ONCE(f->path.mnt->flags) & MS_SYNCHRONOUS);
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
	ret = write_check(f, pos, &len);
	start = *pos;
	if (!ret)
		ret = generic_file_write(f->mapping, buf, len, pos, inode->sb->max_size);
	if (ret > 0)
		inode_touch(inode, true);
	up_write(&inode->lock);
	if (ret > 0 && is_synchronous(f)) {
		int err = vfs_fsync(f, start, start + ret - 1, !(f->flags & O_SYNC & ~O_DSYNC));

		if (err)
			return err;
	}
	return direct_end(f, start, ret);
}

#define SEEK_DATA 3
#define SEEK_HOLE 4

/* First page of data, or hole, at or behind `offset`. */
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
	if (!(f->mapping->flags & AS_SHMEM)) /* what is on the disk may all be data */
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

int generic_fsync(struct file *f, u64 start, u64 end, bool datasync)
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

int vfs_fsync(struct file *f, u64 start, u64 end, bool datasync)
{
	return f->ops->fsync ? f->ops->fsync(f, start, end, datasync) : -EINVAL;
}

static int regular_mmap(struct file *f, unsigned long vm_flags, struct file **instead)
{
	return 0; /* rights and seals are mmap.c's */
}

const struct file_ops generic_file_ops = {
	.read = regular_read,
	.write = regular_write,
	.llseek = generic_llseek,
	.fsync = generic_fsync,
	.mmap = regular_mmap,
};

/* ---- directories whose dentries are their contents ---------------------------------------------- */

/* The first child with a name at or behind the position `cookie`, with a reference. Its name is copied,
 * for names change. */
static struct dentry *child_at(struct dentry *dir, u64 cookie, char name[NAME_MAX + 1])
{
	struct dentry *d, *found = NULL;

	spin_lock(&dcache_lock);
	list_for_each_entry (d, &dir->children, sibling) {
		if (d->inode && d->cookie >= cookie) {
			dget_locked(d);
			memcpy(name, d->name, d->len + 1);
			found = d;
			break;
		}
	}
	spin_unlock(&dcache_lock);
	return found;
}

/* dcache_lock not held; the directory's lock is, so that its children stay. */
static struct dentry *child_behind(struct dentry *dir, struct dentry *d, char name[NAME_MAX + 1])
{
	struct list_head *p;
	struct dentry *found = NULL;

	spin_lock(&dcache_lock);
	for (p = d->sibling.next; p != &dir->children; p = p->next) {
		struct dentry *c = list_entry(p, struct dentry, sibling);

		if (c->inode) {
			dget_locked(c);
			memcpy(name, c->name, c->len + 1);
			found = c;
			break;
		}
	}
	spin_unlock(&dcache_lock);
	dput(d);
	return found;
}

/** "." and ".." for any directory; ctx->pos 0 and 1. True: both have been given. */
bool dir_emit_dots(struct file *f, struct dir_context *ctx)
{
	struct dentry *dir = f->path.dentry;

	if (ctx->pos == 0) {
		if (!ctx->actor(ctx, ".", 1, dir->inode->ino, S_IFDIR >> 12))
			return false;
		ctx->pos = 1;
	}
	if (ctx->pos == 1) {
		if (!ctx->actor(ctx, "..", 2, dir->parent->inode->ino, S_IFDIR >> 12))
			return false;
		ctx->pos = 2;
	}
	return true;
}

static int simple_iterate(struct file *f, struct dir_context *ctx)
{
	struct dentry *dir = f->path.dentry, *d;
	char name[NAME_MAX + 1];

	if (!dir_emit_dots(f, ctx))
		return 0;
	d = child_at(dir, ctx->pos, name);
	while (d) {
		ctx->pos = d->cookie;
		if (!ctx->actor(ctx, name, strlen(name), d->inode->ino, d->inode->mode >> 12)) {
			dput(d);
			return 0;
		}
		ctx->pos = d->cookie + 1;
		d = child_behind(dir, d, name);
	}
	return 0;
}

static int dir_fsync(struct file *f, u64 start, u64 end, bool datasync)
{
	return f->inode->sb->ops->sync_fs ? f->inode->sb->ops->sync_fs(f->inode->sb) : 0;
}

const struct file_ops simple_dir_ops = {
	.llseek = generic_llseek,
	.iterate = simple_iterate,
	.fsync = dir_fsync,
};

/* ---- files in /proc/PID/maps ------------------------------------------------------------------ */

const char *file_name(struct file *f, char *buf, size_t size)
{
	const char *name;

	if (f->path.dentry) {
		name = path_name(&f->path, buf, size);
		return name ? name : "";
	}
	if (!f->label[0])
		return "";
	ksnprintf(buf, size, "%s (deleted)", f->label);
	return buf;
}

void file_describe(struct file *f, u32 *major, u32 *minor, u64 *ino, char *buf, size_t size)
{
	char *page = (char *)__get_free_pages(GFP_KERNEL, 0);
	u64 dev = f->inode ? f->inode->sb->dev : 0;

	*major = dev >> 8;
	*minor = dev & 0xff;
	*ino = f->inode ? f->inode->ino : 0;
	strscpy(buf, page ? file_name(f, page, PAGE_SIZE) : "", size);
	if (page)
		free_pages((unsigned long)page, 0);
}
