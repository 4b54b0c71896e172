/*
 * Creating, removing and renaming names.
 *
 * Each operation walks to the directory, locks it, looks the name up again under the lock, checks
 * everything, and then calls the file system, which is the last step that can fail. After that the
 * dentries are changed.
 *
 * Locks: rename_lock of the file system if there are two directories, so that no directory moves while it
 * is checked whether one is below the other; then the directories, the upper one first; then the victim.
 *
 * Source for the order of errors: Linux's man-pages, and its answers (tests/vm/conform.sh).
 */
#include "fs/internal.h"
#include "fs/notify.h"
#include "kernel/cred.h"
#include "mm/phys/alloc.h"

/* A name in a locked directory. */
struct entry {
	struct walk w;	  /* w.path: the directory, with references */
	struct dentry *d; /* with a reference */
};

/* Walk to the directory of the last component. w->path has references; dcache_lock is not held. */
static int parent_begin(struct walk *w, int dfd, const char *name)
{
	int err = walk_begin(w, dfd, name);

	if (err)
		return err;
	err = walk_parent(w);
	walk_unlock(w);
	if (err)
		walk_end(w);
	return err;
}

/* Lock the directory, and look its entry up. */
static int entry_lock(struct entry *e)
{
	struct dentry *dir = e->w.path.dentry;
	int err;

	down_write(&dir->inode->lock);
	err = lookup_locked(dir, e->w.last, e->w.last_len, &e->d);
	if (err)
		up_write(&dir->inode->lock);
	return err;
}

static void entry_unlock(struct entry *e)
{
	up_write(&e->w.path.dentry->inode->lock);
	dput(e->d);
}

/* The kind of a new or removed name. The name of a directory may end with a slash. */
enum name_kind { OF_FILE, OF_DIRECTORY };

/* Prepare to create a name. 0: the directory is locked, and e->d is negative. */
static int create_begin(struct entry *e, int dfd, const char *name, enum name_kind kind)
{
	int err = parent_begin(&e->w, dfd, name);

	if (err)
		return err;
	err = -EEXIST;
	if (e->w.last_type != LAST_NORM)
		goto end;
	err = entry_lock(e);
	if (err)
		goto end;
	if (e->d->inode)
		err = -EEXIST;
	else if (e->w.trailing && kind != OF_DIRECTORY)
		err = -ENOENT;
	else if (mount_read_only(e->w.path.mnt))
		err = -EROFS;
	else if (e->d->unlinked) /* the directory is */
		err = -ENOENT;
	else
		err = may_create_in(e->w.path.dentry->inode);
	if (!err)
		return 0;
	entry_unlock(e);
end:
	walk_end(&e->w);
	return err;
}

/* Finish creating a name. `err` is the file system's result, and `inode` the new inode. Returns the result of the
 * call. */
static int create_end(struct entry *e, int err, struct inode *inode)
{
	if (!err) {
		d_instantiate(e->d, inode);
		inode_touch(e->w.path.dentry->inode, S_CTIME | S_MTIME);
		notify_name(e->w.path.dentry->inode, e->w.last, e->w.last_len,
			    IN_CREATE | (S_ISDIR(inode->mode) ? IN_ISDIR : 0), 0);
	}
	entry_unlock(e);
	if (!err)
		err = sync_names(e->w.path.mnt->sb);
	walk_end(&e->w);
	return err;
}

static int make_node(int dfd, const char *name, u32 mode, u64 rdev)
{
	struct inode *inode = NULL, *dir;
	struct entry e;
	int err = create_begin(&e, dfd, name, S_ISDIR(mode) ? OF_DIRECTORY : OF_FILE);

	if (err)
		return err;
	dir = e.w.path.dentry->inode;
	err = dir->ops->create ? dir->ops->create(dir, e.w.last, e.w.last_len, mode, rdev, &inode)
			       : -EPERM;
	if (!err)
		inode_init_owner(inode, dir);
	return create_end(&e, err, inode);
}

static u32 masked(u32 mode)
{
	return mode & ~atomic_load(&current_fs()->umask);
}

int vfs_mkdir(int dfd, const char *name, u32 mode)
{
	return make_node(dfd, name, S_IFDIR | (masked(mode) & 01777), 0);
}

int vfs_make_exact(const char *name, u32 mode, u64 rdev)
{
	return make_node(AT_FDCWD, name, mode, rdev);
}

int vfs_mknod(int dfd, const char *name, u32 mode, u64 rdev)
{
	switch (mode & S_IFMT) {
	case 0:
		mode |= S_IFREG;
		break;
	case S_IFCHR:
	case S_IFBLK:
		if (!capable(CAP_MKNOD))
			return -EPERM;
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	return make_node(dfd, name, (mode & S_IFMT) | (masked(mode) & 07777), rdev);
}

int vfs_symlink(const char *target, int dfd, const char *name)
{
	struct inode *inode = NULL, *dir;
	struct entry e;
	int err;

	if (!*target)
		return -ENOENT;
	err = create_begin(&e, dfd, name, OF_FILE);
	if (err)
		return err;
	dir = e.w.path.dentry->inode;
	err = dir->ops->symlink ? dir->ops->symlink(dir, e.w.last, e.w.last_len, target, &inode)
				: -EPERM;
	if (!err)
		inode_init_owner(inode, dir);
	return create_end(&e, err, inode);
}

/* Create another name for the file at `old`. */
static int link_path(struct path *old, int dfd, const char *name)
{
	struct inode *inode = old->dentry->inode, *dir;
	struct entry e;
	int err = create_begin(&e, dfd, name, OF_FILE);

	if (err)
		return err;
	dir = e.w.path.dentry->inode;
	if (e.w.path.mnt != old->mnt)
		err = -EXDEV;
	else if (S_ISDIR(inode->mode) || !dir->ops->link)
		err = -EPERM;
	else if (!inode->nlink && !old->dentry->tmpfile)
		err = -ENOENT;
	if (!err)
		err = dir->ops->link(dir, e.w.last, e.w.last_len, inode);
	if (!err) {
		iget_ref(inode);
		inode_touch(inode, S_CTIME);
		notify_inode(inode, IN_ATTRIB);
	}
	return create_end(&e, err, inode);
}

/* As with Linux's protected_hardlinks=1, which distributions set: a user other than the owner may link a file only
 * if it is a regular one, not set-user-ID, that the user may read and write. */
static int may_link(const struct inode *inode)
{
	if (inode_owner_or_capable(inode))
		return 0;
	if (!S_ISREG(inode->mode) || inode->mode & 04000 || (inode->mode & 02010) == 02010 ||
	    inode_permission(inode, MAY_READ | MAY_WRITE))
		return -EPERM;
	return 0;
}

int vfs_link(int odfd, const char *old, int ndfd, const char *name, u32 flags)
{
	struct path path;
	struct file *f;
	int err;

	if (flags & ~(u32)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!*old && flags & AT_EMPTY_PATH) {
		f = fd_get(odfd);
		if (!f)
			return -EBADF;
		err = f->path.dentry ? link_path(&f->path, ndfd, name) : -ENOENT;
		file_put(f);
		return err;
	}
	err = path_lookup(odfd, old, flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0, &path);
	if (err)
		return err;
	err = may_link(path.dentry->inode);
	if (!err)
		err = link_path(&path, ndfd, name);
	path_put(&path);
	return err;
}

/* ---- removing --------------------------------------------------------------------------------- */

/* May the name be removed, as far as names and permissions are concerned? */
static int may_remove(const struct entry *e, bool is_dir)
{
	const struct inode *inode = e->d->inode;

	if (!inode)
		return -ENOENT;
	if (is_dir) {
		if (!S_ISDIR(inode->mode))
			return -ENOTDIR;
	} else {
		if (S_ISDIR(inode->mode))
			return -EISDIR;
		if (e->w.trailing)
			return -ENOTDIR;
	}
	return e->d->mounted ? -EBUSY : 0;
}

/* Remove the entry. Its directory is locked. */
static int remove_entry(struct entry *e, bool is_dir)
{
	struct inode *dir = e->w.path.dentry->inode, *victim = e->d->inode;
	int (*op)(struct inode *, const char *, u32, struct inode *);
	int err = victim ? may_delete(dir, victim) : 0;

	if (!err)
		err = may_remove(e, is_dir);
	if (err)
		return err;
	op = is_dir ? dir->ops->rmdir : dir->ops->unlink;
	if (!op)
		return -EPERM;
	down_write_nested(&victim->lock); /* below its directory, which we hold */
	if (is_dir && sb_in_memory(victim->sb) && d_has_children(e->d))
		err = -ENOTEMPTY;
	if (!err)
		err = op(dir, e->w.last, e->w.last_len, victim);
	up_write(&victim->lock);
	if (err)
		return err;
	d_unlink(e->d);
	inode_touch(victim, S_CTIME);
	inode_touch(dir, S_CTIME | S_MTIME);
	return 0;
}

static int remove_name(int dfd, const char *name, enum name_kind kind)
{
	static const int no_dir[] = {
		[LAST_ROOT] = -EBUSY, [LAST_DOT] = -EINVAL, [LAST_DOTDOT] = -ENOTEMPTY};
	struct entry e;
	int err = parent_begin(&e.w, dfd, name);

	if (err)
		return err;
	if (e.w.last_type != LAST_NORM) {
		err = kind == OF_DIRECTORY ? no_dir[e.w.last_type] : -EISDIR;
		goto end;
	}
	err = -EROFS;
	if (mount_read_only(e.w.path.mnt))
		goto end;
	err = entry_lock(&e);
	if (err)
		goto end;
	err = remove_entry(&e, kind == OF_DIRECTORY);
	if (!err && kind != OF_DIRECTORY)
		notify_inode(e.d->inode, IN_ATTRIB);
	entry_unlock(&e); /* drops the last reference, which reports IN_DELETE_SELF */
	if (!err) {
		notify_name(e.w.path.dentry->inode, e.w.last, e.w.last_len,
			    IN_DELETE | (kind == OF_DIRECTORY ? IN_ISDIR : 0), 0);
		err = sync_names(e.w.path.mnt->sb);
	}
end:
	walk_end(&e.w);
	return err;
}

int vfs_unlink(int dfd, const char *name)
{
	return remove_name(dfd, name, OF_FILE);
}

int vfs_rmdir(int dfd, const char *name)
{
	return remove_name(dfd, name, OF_DIRECTORY);
}

/* ---- renaming --------------------------------------------------------------------------------- */

#define RENAME_NOREPLACE 1u
#define RENAME_EXCHANGE	 2u

/* Lock two directories, the upper one first. */
static void lock_two(struct dentry *a, struct dentry *b)
{
	bool b_first;

	if (a == b) {
		down_write(&a->inode->lock);
		return;
	}
	mutex_lock(&a->inode->sb->rename_lock);
	spin_lock(&dcache_lock);
	b_first = d_is_ancestor(b, a);
	spin_unlock(&dcache_lock);
	down_write(b_first ? &b->inode->lock : &a->inode->lock);
	down_write_nested(b_first ? &a->inode->lock : &b->inode->lock);
}

static void unlock_two(struct dentry *a, struct dentry *b)
{
	up_write(&a->inode->lock);
	if (a == b)
		return;
	up_write(&b->inode->lock);
	mutex_unlock(&a->inode->sb->rename_lock);
}

static bool leads_to(const struct dentry *a, const struct dentry *d)
{
	bool yes;

	spin_lock(&dcache_lock);
	yes = d_is_ancestor(a, d);
	spin_unlock(&dcache_lock);
	return yes;
}

/* May the entry be renamed, as far as names are concerned? Both directories are locked. */
static int rename_check(const struct entry *from, const struct entry *to, u32 flags)
{
	const struct inode *old = from->d->inode, *new = to->d->inode;

	if (!old)
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && new)
		return -EEXIST;
	if (flags & RENAME_EXCHANGE) {
		if (!new)
			return -ENOENT;
		if (!S_ISDIR(new->mode) && to->w.trailing)
			return -ENOTDIR;
	}
	if (!S_ISDIR(old->mode)) {
		if (from->w.trailing || (!(flags & RENAME_EXCHANGE) && to->w.trailing))
			return -ENOTDIR;
	}
	if (leads_to(from->d, to->w.path.dentry)) /* a directory cannot move into itself */
		return -EINVAL;
	if (leads_to(to->d, from->w.path.dentry))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	if (to->d->unlinked)
		return -ENOENT;
	if (new && !(flags & RENAME_EXCHANGE)) {
		if (S_ISDIR(old->mode) && !S_ISDIR(new->mode))
			return -ENOTDIR;
		if (!S_ISDIR(old->mode) && S_ISDIR(new->mode))
			return -EISDIR;
	}
	return from->d->mounted || to->d->mounted ? -EBUSY : 0;
}

static int exchange(struct entry *from, struct entry *to)
{
	struct inode *a = from->w.path.dentry->inode, *b = to->w.path.dentry->inode;

	if (!sb_in_memory(a->sb) || !a->ops->rename)
		return -EINVAL;
	if (a != b) {
		a->nlink += S_ISDIR(to->d->inode->mode) - S_ISDIR(from->d->inode->mode);
		b->nlink += S_ISDIR(from->d->inode->mode) - S_ISDIR(to->d->inode->mode);
	}
	d_exchange(from->d, to->d);
	inode_touch(from->d->inode, S_CTIME);
	inode_touch(to->d->inode, S_CTIME);
	inode_touch(a, S_CTIME | S_MTIME);
	inode_touch(b, S_CTIME | S_MTIME);
	return 0;
}

static int do_rename(struct entry *from, struct entry *to)
{
	struct inode *dir = from->w.path.dentry->inode, *new_dir = to->w.path.dentry->inode;
	struct inode *inode = from->d->inode, *victim = to->d->inode;
	struct new_name n;
	int err;

	if (!dir->ops->rename)
		return -EPERM;
	err = d_name_alloc(&n, to->w.last, to->w.last_len);
	if (err)
		return err;
	if (victim)
		down_write_nested(&victim->lock); /* below the directories, which we hold */
	if (victim && S_ISDIR(victim->mode) && sb_in_memory(victim->sb) && d_has_children(to->d))
		err = -ENOTEMPTY;
	if (!err)
		err = dir->ops->rename(dir, from->w.last, from->w.last_len, inode, new_dir,
				       to->w.last, to->w.last_len, victim);
	if (victim)
		up_write(&victim->lock);
	if (!err) {
		d_unlink(to->d);
		d_move(from->d, to->w.path.dentry, &n);
		inode_touch(inode, S_CTIME);
		if (victim)
			inode_touch(victim, S_CTIME);
		inode_touch(dir, S_CTIME | S_MTIME);
		inode_touch(new_dir, S_CTIME | S_MTIME);
	}
	kfree(n.own);
	return err;
}

/* Moving a directory to another parent changes its "..", so it needs write permission. */
static int rename_permission(const struct entry *from, const struct entry *to, u32 flags)
{
	const struct inode *a = from->w.path.dentry->inode, *b = to->w.path.dentry->inode;
	const struct inode *old = from->d->inode, *new = to->d->inode;
	int err = may_delete(a, old);

	if (!err)
		err = new ? may_delete(b, new) : may_create_in(b);
	if (!err && a != b && S_ISDIR(old->mode))
		err = inode_permission(old, MAY_WRITE);
	if (!err && a != b && flags & RENAME_EXCHANGE && S_ISDIR(new->mode))
		err = inode_permission(new, MAY_WRITE);
	return err;
}

/* `inode` has moved; `victim` had its new name before, or NULL. */
static void notify_move(struct entry *from, struct entry *to, struct inode *inode,
			struct inode *victim)
{
	u32 cookie = notify_cookie(), dir = S_ISDIR(inode->mode) ? IN_ISDIR : 0;

	notify_name(from->w.path.dentry->inode, from->w.last, from->w.last_len, IN_MOVED_FROM | dir,
		    cookie);
	notify_name(to->w.path.dentry->inode, to->w.last, to->w.last_len, IN_MOVED_TO | dir,
		    cookie);
	if (victim)
		notify_inode(victim, IN_ATTRIB);
	notify_inode(inode, IN_MOVE_SELF);
}

/* Rename after both walks: lock, look up, check, and do it. */
static int rename_entries(struct entry *from, struct entry *to, u32 flags)
{
	struct dentry *a = from->w.path.dentry, *b = to->w.path.dentry;
	int err;

	lock_two(a, b);
	err = lookup_locked(a, from->w.last, from->w.last_len, &from->d);
	if (err)
		goto unlock;
	err = lookup_locked(b, to->w.last, to->w.last_len, &to->d);
	if (err)
		goto put_from;
	err = rename_check(from, to, flags);
	if (!err)
		err = rename_permission(from, to, flags);
	if (!err && from->d->inode != to->d->inode) { /* else both are names of one file */
		struct inode *inode = from->d->inode, *other = to->d->inode;
		bool swap = flags & RENAME_EXCHANGE;

		err = swap ? exchange(from, to) : do_rename(from, to);
		if (!err)
			notify_move(from, to, inode, swap ? NULL : other);
		if (!err && swap)
			notify_move(to, from, other, NULL);
	}
	dput(to->d);
put_from:
	dput(from->d);
unlock:
	unlock_two(a, b);
	return err;
}

int vfs_rename(int odfd, const char *old, int ndfd, const char *name, u32 flags)
{
	struct entry *e; /* allocated, because two walks need much stack */
	int err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	e = kmalloc(2 * sizeof(*e), GFP_KERNEL);
	if (!e)
		return -ENOMEM;
	err = parent_begin(&e[0].w, odfd, old);
	if (err)
		goto free;
	err = parent_begin(&e[1].w, ndfd, name);
	if (err)
		goto end_old;
	err = 0;
	if (e[0].w.path.mnt != e[1].w.path.mnt)
		err = -EXDEV;
	else if (e[0].w.last_type != LAST_NORM)
		err = -EBUSY;
	else if (e[1].w.last_type != LAST_NORM)
		err = flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	else if (mount_read_only(e[0].w.path.mnt))
		err = -EROFS;
	if (!err)
		err = rename_entries(&e[0], &e[1], flags);
	if (!err)
		err = sync_names(e[0].w.path.mnt->sb);
	walk_end(&e[1].w);
end_old:
	walk_end(&e[0].w);
free:
	kfree(e);
	return err;
}
