/*
 * Paths across mounts: from a mount point to the root that is mounted there, and from that root up again.
 *
 * A path holds one reference on its mount and one on its dentry.
 *
 * Locks: dcache_lock. A path is never put while it is held.
 */
#include "fs/internal.h"

struct mount *mounted_at(const struct mount *parent, const struct dentry *point)
{
	struct mount *m;

	list_for_each_entry (m, &parent->children, child) {
		if (m->point == point)
			return m;
	}
	return NULL;
}

void follow_mounts(struct path *path)
{
	while (path->dentry->mounted) {
		struct mount *m = mounted_at(path->mnt, path->dentry);

		if (!m)
			return;
		path->mnt = m;
		path->dentry = m->root;
	}
}

void path_up(struct path *path, const struct path *top)
{
	for (;;) {
		if (path->dentry == top->dentry && path->mnt == top->mnt)
			break;
		if (path->dentry != path->mnt->root) {
			path->dentry = path->dentry->parent;
			break;
		}
		if (!path->mnt->parent)
			break;
		path->dentry = path->mnt->point;
		path->mnt = path->mnt->parent;
	}
	follow_mounts(path);
}

void path_get_locked(const struct path *path)
{
	path->mnt->refs++;
	dget_locked(path->dentry);
}

void path_get(const struct path *path)
{
	spin_lock(&dcache_lock);
	path_get_locked(path);
	spin_unlock(&dcache_lock);
}

/* The last user of a detached mount may hold locks that come after mount_mutex. So the mount is freed later, on the
 * way to user mode or at the end of the thread, like the files of file_put_later(). */
static void free_later(struct mount *m)
{
	spin_lock(&dcache_lock);
	list_add_tail(&m->list, &dead_mounts);
	spin_unlock(&dcache_lock);
	if (current->user)
		atomic_or(&current->ti->flags, TIF_FILES);
	else
		mounts_reap();
}

static void put(struct path *path, bool used)
{
	struct dentry *d = path->dentry;
	struct mount *m = path->mnt;
	bool gone;

	if (!d)
		return;
	path->dentry = NULL;
	path->mnt = NULL;
	dput(d); /* before the mount's reference: umount(2) does not wait for users */
	spin_lock(&dcache_lock);
	gone = !--m->refs && m->detached;
	if (used)
		m->expire = false;
	spin_unlock(&dcache_lock);
	if (unlikely(gone))
		free_later(m);
}

void path_put(struct path *path)
{
	put(path, true);
}

void path_put_unused(struct path *path)
{
	put(path, false);
}
