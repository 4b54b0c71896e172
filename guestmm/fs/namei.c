/*
 * From a path to a place: the walk.
 *
 *   "/usr/lib/x.so"    frame 0: the caller's name, from the root or a directory
 *        │ lib is a link to "share/lib"
 *   "share/lib"        frame 1; what is left of frame 0 ("x.so") goes on when it is through
 *
 * While names are found among the dentries the walk goes on under dcache_lock and takes no reference
 * at all. Only when the file system must be asked it makes sure of where it is (walk_unlock), lets go
 * of the lock, and takes it again.
 *
 * I1  Each frame below the current one has something left, so the last component is the one with
 *     nothing behind it in the current frame when that is frame 0, or has replaced it.
 * I2  With dcache_lock held, w->path and what leads to it is alive: by w->hold, w->extra, the process's
 *     root or working directory, w->start, or because the lock has been held since it was found.
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
	/* Where the directory is no more, nothing is looked for and nothing kept. */
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

/* dcache_lock not held: a magic link. The place has references, which become the walk's. */
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
		kfree(f->buf); /* I1: nothing is left of it */
	}
	*f = (struct walk_frame){buf, buf};
	if (*buf == '/') {
		w->path = current_fs()->root;
		follow_mounts(&w->path);
	}
	return 0;
}

/* Go through one component. 1: a link is being followed. */
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

/* dcache_lock held: put `name` in front of *at. False: no room. */
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
