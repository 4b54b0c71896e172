/*
 * Path lookup: the walk from a name to its mount and dentry.
 *
 *   "/usr/lib/x.so"    frame 0: the caller's name, from the root or a directory
 *        │ lib is a link to "share/lib"
 *   "share/lib"        frame 1; after it the walk continues with the rest of frame 0 ("x.so")
 *
 * While all names are in the dentry cache, the walk holds dcache_lock and takes no references. When it must
 * ask the file system, it takes references on its path (walk_unlock), releases the lock, and takes it again
 * afterwards.
 *
 * I1  Each frame below the current one has a rest. So a component is the last one of the whole path if
 *     nothing follows it in the current frame and that is the lowest one.
 * I2  While dcache_lock is held, w->path and its parents stay alive: because of w->hold, w->extra, w->start,
 *     the process's root or working directory, or because the lock was held since they were found.
 *
 * Locks: dcache_lock; directories' locks while the file system is asked, dcache_lock not held.
 */
#include "fs/internal.h"
#include "mm/phys/alloc.h"

/* ---- references ------------------------------------------------------------------------------- */

void walk_unlock(struct walk *w)
{
	struct path old = w->hold;
	struct dentry *extra = w->extra;

	path_get_locked(&w->path);
	w->hold = w->path;
	w->extra = NULL;
	spin_unlock(&dcache_lock);
	path_put(&old);
	dput(extra);
}

void walk_end(struct walk *w)
{
	if (w->nameless)
		file_put(w->nameless);
	path_put(&w->hold);
	dput(w->extra);
	w->extra = NULL;
	for (u32 i = 0; i <= w->depth; i++)
		kfree(w->frame[i].buf);
	if (w->start)
		file_put(w->start);
}

static int start_at(struct walk *w, int dfd)
{
	if (dfd == AT_FDCWD) {
		spin_lock(&dcache_lock);
		w->path = current_fs()->pwd;
		return 0;
	}
	w->start = current->proc ? fd_get(dfd) : NULL;
	if (!w->start)
		return -EBADF;
	if (!w->start->path.dentry) {
		file_put(w->start);
		return -ENOTDIR;
	}
	spin_lock(&dcache_lock);
	w->path = w->start->path;
	return 0;
}

int walk_begin(struct walk *w, int dfd, const char *name)
{
	w->hold = (struct path){NULL, NULL};
	w->extra = NULL;
	w->start = NULL;
	w->nameless = NULL;
	w->depth = 0;
	w->nr_links = 0;
	w->frame[0] = (struct walk_frame){NULL, name};
	w->trailing = false;
	if (!*name)
		return -ENOENT;
	if (*name != '/')
		return start_at(w, dfd);
	spin_lock(&dcache_lock);
	w->path = current_fs()->root;
	return 0;
}

/* ---- one component ---------------------------------------------------------------------------- */

int lookup_locked(struct dentry *dir, const char *name, u32 len, struct dentry **result)
{
	struct inode *inode = NULL;
	struct dentry *d;
	int err;

	spin_lock(&dcache_lock);
	d = d_find(dir, name, len);
	if (d)
		dget_locked(d);
	spin_unlock(&dcache_lock);
	if (d) {
		*result = d;
		return 0;
	}
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	d = d_alloc(dir, name, len);
	if (!d)
		return -ENOMEM;
	/* In a removed directory there are no names, and none are cached. */
	err = dir->unlinked ? -ENOENT : dir->inode->ops->lookup(dir->inode, name, len, &inode);
	if (err && err != -ENOENT) {
		dput(d);
		return err;
	}
	if (dir->unlinked)
		d->unlinked = true;
	else
		d_add(d, err ? NULL : inode);
	*result = d;
	return 0;
}

/* Look a name of w->path up in the file system. dcache_lock held before and after. */
static int lookup_slow(struct walk *w, const char *name, u32 len, struct dentry **result)
{
	struct dentry *dir, *d;
	int err;

	walk_unlock(w);
	dir = w->path.dentry;
	down_write(&dir->inode->lock);
	err = lookup_locked(dir, name, len, &d);
	up_write(&dir->inode->lock);
	spin_lock(&dcache_lock);
	if (err)
		return err;
	w->extra = d;
	*result = d;
	return 0;
}

/* This link is done: continue with the rest of the path that contained it. */
static void pop_frames(struct walk *w)
{
	while (w->depth && !*w->frame[w->depth].p)
		kfree(w->frame[w->depth--].buf);
}

static int read_link(struct inode *inode, char **buf)
{
	size_t size = inode->i_data.size ? inode->i_data.size + 1 : PATH_MAX;
	char *b;
	long len;

	b = kmalloc(min(size, (size_t)PATH_MAX), GFP_KERNEL);
	if (!b)
		return -ENOMEM;
	len = inode->ops->readlink(inode, b, min(size, (size_t)PATH_MAX));
	if (len <= 0) {
		kfree(b);
		return len ? (int)len : -ENOENT;
	}
	*buf = b;
	return 0;
}

/* Follow a magic link. The references on the new place belong to the walk. dcache_lock not held. */
static int jump(struct walk *w, struct inode *inode)
{
	struct path to;
	int err = inode->ops->follow(inode, &to);

	spin_lock(&dcache_lock);
	if (!err) {
		struct path old = w->hold;

		w->path = w->hold = to;
		spin_unlock(&dcache_lock);
		path_put(&old);
		spin_lock(&dcache_lock);
	}
	return err;
}

int walk_link(struct walk *w, struct dentry *d)
{
	struct walk_frame *f = &w->frame[w->depth];
	struct inode *inode = d->inode;
	char *buf = NULL;
	int err;

	if (++w->nr_links > MAXSYMLINKS || READ_ONCE(w->path.mnt->flags) & MS_NOSYMFOLLOW)
		return -ELOOP;
	iget_ref(inode);
	walk_unlock(w);
	if (inode->ops->follow) {
		err = jump(w, inode);
		spin_unlock(&dcache_lock);
		if (err == -ENXIO && inode->ops->follow_file && !w->depth && !*f->p && !w->trailing)
			w->nameless = inode->ops->follow_file(inode);
	} else {
		err = read_link(inode, &buf);
	}
	iput(inode);
	spin_lock(&dcache_lock);
	if (err || !buf)
		return err;
	if (*f->p) {
		f = &w->frame[++w->depth];
	} else {
		kfree(f->buf); /* it has no rest (I1) */
	}
	*f = (struct walk_frame){buf, buf};
	if (*buf == '/') {
		w->path = current_fs()->root;
		follow_mounts(&w->path);
	}
	return 0;
}

/* Walk one component. 0; 1: it is a link, which is walked next; or -errno. */
static int step(struct walk *w, const char *name, u32 len, enum last_link link)
{
	struct inode *dir = w->path.dentry->inode;
	struct dentry *d;
	int err;

	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	err = inode_permission(dir, MAY_EXEC);
	if (unlikely(err))
		return err;
	if (name[0] == '.' && len == 1)
		return 0;
	if (name[0] == '.' && name[1] == '.' && len == 2) {
		path_up(&w->path, &current_fs()->root);
		return 0;
	}
	d = d_find(w->path.dentry, name, len);
	if (!d) {
		err = lookup_slow(w, name, len, &d);
		if (err)
			return err;
	}
	if (!d->inode)
		return -ENOENT;
	if (link == FOLLOW_LINK && S_ISLNK(d->inode->mode)) {
		err = walk_link(w, d);
		return err ? err : 1;
	}
	w->path.dentry = d;
	follow_mounts(&w->path);
	return 0;
}

static enum last_type type_of(const char *name, u32 len)
{
	if (name[0] != '.' || len > 2)
		return LAST_NORM;
	if (len == 1)
		return LAST_DOT;
	return name[1] == '.' ? LAST_DOTDOT : LAST_NORM;
}

int walk_parent(struct walk *w)
{
	for (;;) {
		struct walk_frame *f;
		const char *p, *end;
		int err;

		pop_frames(w);
		f = &w->frame[w->depth];
		for (p = f->p; *p == '/'; p++)
			;
		if (!*p && w->depth) {
			f->p = p;
			continue;
		}
		for (end = p; *end && *end != '/'; end++)
			;
		w->last = p;
		w->last_len = end - p;
		w->last_type = *p ? type_of(p, w->last_len) : LAST_ROOT;
		for (f->p = end; *f->p == '/'; f->p++)
			;
		if (!*f->p && !w->depth) {
			w->trailing |= f->p != end;
			if (*p && !S_ISDIR(w->path.dentry->inode->mode))
				return -ENOTDIR;
			return 0;
		}
		err = step(w, p, w->last_len, FOLLOW_LINK);
		if (err < 0)
			return err;
	}
}

int walk_last(struct walk *w, enum last_link link)
{
	if (w->last_type == LAST_ROOT)
		return 0;
	return step(w, w->last, w->last_len, w->trailing ? FOLLOW_LINK : link);
}

/* ---- looking up ------------------------------------------------------------------------------- */

int path_lookup(int dfd, const char *name, u32 flags, struct path *path)
{
	return path_lookup_file(dfd, name, flags, path, NULL);
}

int path_lookup_file(int dfd, const char *name, u32 flags, struct path *path, struct file **file)
{
	struct walk w;
	int err = walk_begin(&w, dfd, name);

	if (err)
		return err;
	do {
		err = walk_parent(&w);
		if (!err)
			err = walk_last(&w, flags & LOOKUP_FOLLOW ? FOLLOW_LINK : KEEP_LINK);
	} while (err > 0);
	if (!err && (w.trailing || flags & LOOKUP_DIRECTORY) &&
	    !S_ISDIR(w.path.dentry->inode->mode))
		err = -ENOTDIR;
	if (!err) {
		*path = w.path;
		path_get_locked(path);
	}
	spin_unlock(&dcache_lock);
	if (file && w.nameless) {
		*file = w.nameless;
		w.nameless = NULL;
		*path = (struct path){NULL, NULL};
		err = 0;
	}
	walk_end(&w);
	return err;
}

/* Put `name` before *at. False: there is no room. dcache_lock held. */
static bool prepend(char *buf, char **at, const char *name, u32 len)
{
	if ((size_t)(*at - buf) < len + 1)
		return false;
	*at -= len;
	memcpy(*at, name, len);
	*--*at = '/';
	return true;
}

char *path_name(const struct path *path, char *buf, size_t size)
{
	static const char deleted[] = " (deleted)";
	struct path p = *path;
	char *at = buf + size;
	bool ok = true;

	spin_lock(&dcache_lock);
	*--at = '\0';
	if (p.dentry->unlinked) {
		at -= sizeof(deleted) - 1;
		memcpy(at, deleted, sizeof(deleted) - 1);
	}
	while (ok) {
		if (p.dentry == p.mnt->root) {
			if (!p.mnt->parent || (p.mnt == current_fs()->root.mnt &&
					       p.dentry == current_fs()->root.dentry))
				break;
			p = (struct path){p.mnt->parent, p.mnt->point};
			continue;
		}
		if (p.mnt == current_fs()->root.mnt && p.dentry == current_fs()->root.dentry)
			break;
		if (p.dentry->parent == p.dentry) /* it was moved out of the bound directory */
			break;
		ok = prepend(buf, &at, p.dentry->name, p.dentry->len);
		p.dentry = p.dentry->parent;
	}
	spin_unlock(&dcache_lock);
	if (ok && *at != '/')
		*--at = '/';
	return ok ? at : NULL;
}
