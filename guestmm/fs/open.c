/*
 * Opening a file by its name.
 *
 * Opening with O_CREAT walks to the directory. If the name has a dentry, that is used. Otherwise the
 * directory is locked, the name is looked up again, and the file is created if it does not exist. All
 * checks come before the file is created; after them only the file system can fail.
 *
 * Lock: the directory's inode lock while a file is created in it.
 */
#include "fs/internal.h"
#include "fs/notify.h"
#include "kernel/process.h"
#include "mm/cache/secretmem.h"

#define O_TMPFILE_BIT 020000000u /* O_TMPFILE without O_DIRECTORY */
#define OPEN_FLAGS                                                                            \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | \
	 O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | \
	 O_TMPFILE | O_ASYNC /* only stored and shown, as on Linux */)

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

/* May the inode be opened with these flags? A file that this call has created may be, whatever its mode is. */
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
	if (writes && mount_read_only(path->mnt) && S_ISREG(inode->mode))
		return -EROFS;
	if (((inode->mode & S_IFMT) == S_IFCHR || (inode->mode & S_IFMT) == S_IFBLK) &&
	    READ_ONCE(path->mnt->flags) & MS_NODEV)
		return -EACCES;
	return (inode->mode & S_IFMT) == S_IFSOCK ? -ENXIO : 0;
}

/* Open a special file: find its device by its number. */
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
		if (f->inode->i_data.ops) /* else its text is generated (proc) */
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

/* ---- running programs and writers -------------------------------------------------------------- */

/* I1  inode->writers counts the files open for writing; or, below 0, the address spaces that run it. */

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

/* Did this call create the file? Then its mode is not checked. */
enum opening { OPEN_EXISTING, OPEN_MADE };

static int open_made(const struct path *path, u32 flags, enum opening how, struct file **file)
{
	int err = may_open(path, flags, how == OPEN_MADE);
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
		atomic_add(&path->mnt->writers, 1);
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
	if (flags & O_TRUNC && S_ISREG(f->inode->mode))
		notify_dentry(path->dentry, IN_MODIFY);
	if (f->writer && (flags & O_ACCMODE) == O_RDONLY) {
		/* It was counted as a writer only to truncate the file. */
		inode_put_write(f->inode);
		atomic_sub(&path->mnt->writers, 1);
		f->writer = false;
	}
done:
	*file = f;
	return 0;
put:
	f->flags |= O_PATH; /* it was never open, so closing it reports no event */
	file_put(f);
	return err;
}

int open_path(const struct path *path, u32 flags, struct file **file)
{
	return open_made(path, flags, OPEN_EXISTING, file);
}

struct file *file_from_inode(struct inode *inode, const char *name, u32 flags)
{
	struct file *f = file_alloc(inode->fops, flags, NULL);

	if (!f)
		return NULL;
	iget_ref(inode);
	f->inode = inode;
	f->writer = (flags & O_ACCMODE) != O_RDONLY && !inode_get_write(inode);
	/* File operations must not access the pages of secret memory. */
	f->mapping = mapping_is_secret(&inode->i_data) ? NULL : &inode->i_data;
	strscpy(f->label, name, sizeof(f->label));
	file_ra_state_init(&f->ra);
	f->wb_err = mapping_sample_error(&inode->i_data);
	return f;
}

/* Find or create the last component in the directory w->path, which has references. *d receives its dentry, with a
 * reference; *made: it was created. dcache_lock not held before and after. */
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
	else if (mount_read_only(w->path.mnt))
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
	notify_name(dir->inode, w->last, w->last_len, IN_CREATE, 0);
	inode_touch(dir->inode, S_CTIME | S_MTIME);
	*made = true;
unlock:
	up_write(&dir->inode->lock);
	if (*made && !err) {
		err = sync_names(dir->inode->sb);
		if (err)
			dput(*d);
	}
	return err;
}

/* walk_last(), but create the file if it does not exist. dcache_lock held before and after. */
static int walk_create(struct walk *w, u32 flags, u32 mode, bool *made)
{
	struct dentry *d;
	int err;

	if (w->last_type != LAST_NORM)
		return walk_last(w, FOLLOW_LINK);
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
	if (mount_read_only(dir->mnt))
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
	err = open_made(&path, flags & ~(O_TMPFILE | O_EXCL), OPEN_MADE, file);
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

/* Opening /proc/PID/fd/N of a file without a path: open the same object again, with new flags. */
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
		if (!inode || !S_ISREG(inode->mode) || mapping_is_secret(&inode->i_data))
			return -ENXIO; /* sockets and similar files, as in Linux */
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
				      : walk_last(&w, flags & O_NOFOLLOW ? KEEP_LINK : FOLLOW_LINK);
	} while (err > 0);
	if (!err && w.trailing && !S_ISDIR(w.path.dentry->inode->mode))
		err = -ENOTDIR;
	walk_unlock(&w);
	if (err == -ENXIO && w.nameless)
		err = open_again(w.nameless, flags, file);
	else if (!err && flags & O_TMPFILE_BIT)
		err = open_tmpfile(&w.path, flags, mode, file);
	else if (!err) /* a newly created file is empty */
		err = open_made(&w.path, made ? flags & ~(O_TRUNC | O_CREAT | O_EXCL) : flags,
				made ? OPEN_MADE : OPEN_EXISTING, file);
	walk_end(&w);
	return err;
}

int vfs_open_exec(const char *name, struct file **file)
{
	struct path path;
	int err = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW, &path);

	if (err)
		return err;
	/* Only execute permission is needed, not read permission. */
	if (!S_ISREG(path.dentry->inode->mode))
		err = -EACCES;
	else
		err = inode_permission(path.dentry->inode, MAY_EXEC);
	if (!err)
		err = open_made(&path, O_RDONLY, OPEN_MADE, file);
	if (!err)
		notify_file(*file, IN_OPEN);
	path_put(&path);
	return err;
}
