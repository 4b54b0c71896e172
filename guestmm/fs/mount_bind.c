/*
 * Bind mounts: a part of the tree of names seen at a second place (mount(2), MS_BIND, MS_REC).
 *
 *   source: mount S, dentry d  ──>  a new mount of S's file system whose root is d, on the target
 *
 * The new mount has its own flags, which are S's at first: one place may be read-only and the other not
 * (MS_REMOUNT | MS_BIND). With MS_REC each mount on S below d is copied, too, and put on the same dentry in the copy.
 *
 * Locks: mount_mutex for all of it.
 */
#include "fs/internal.h"

/* A mount of `from`'s file system that begins at `top`. NULL: no memory. */
static struct mount *copy_mount(const struct mount *from, struct dentry *top)
{
	struct mount *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (!m)
		return NULL;
	dget(top);
	m->root = top;
	mount_init_one(m, from->sb, from->source);
	m->read_only = from->read_only;
	m->flags = from->flags;
	return m;
}

static bool is_ancestor(const struct dentry *top, const struct dentry *d)
{
	bool yes;

	spin_lock(&dcache_lock);
	yes = d_is_ancestor(top, d);
	spin_unlock(&dcache_lock);
	return yes;
}

static int put_on(struct mount *m, struct mount *parent, struct dentry *point)
{
	struct path at = {parent, point};
	int err;

	path_get(&at);
	err = mount_attach(m, &at);
	if (err) {
		path_put(&at);
		unmake_mount(m);
	}
	return err;
}

/* Copy the mounts below `from`, each onto the copy of its parent. The new mounts follow `last` in the list and are
 * not copied themselves. After an error the caller removes all copies. */
static int copy_below(const struct path *from, const struct mount *last)
{
	struct mount *m;
	int err = 0;

	list_for_each_entry (m, &mounts, list) {
		struct mount *copy;

		if (!err && m->parent && m->parent->copy &&
		    (m->parent != from->mnt || is_ancestor(from->dentry, m->point))) {
			copy = copy_mount(m, m->root);
			err = copy ? put_on(copy, m->parent->copy, m->point) : -ENOMEM;
			if (!err)
				m->copy = copy;
		}
		if (m == last)
			break;
	}
	return err;
}

int mount_bind(const char *source, const struct path *at, bool tree)
{
	struct path from;
	struct mount *m, *last;
	int err = *source ? path_lookup(AT_FDCWD, source, LOOKUP_FOLLOW, &from) : -EINVAL;

	if (err)
		return err;
	mutex_lock(&mount_mutex);
	last = list_entry(mounts.prev, struct mount, list);
	if (S_ISDIR(from.dentry->inode->mode) != S_ISDIR(at->dentry->inode->mode))
		err = -ENOTDIR;
	else if (from.mnt->detached || at->mnt->detached)
		err = -EINVAL;
	m = err ? NULL : copy_mount(from.mnt, from.dentry);
	if (!err && !m)
		err = -ENOMEM;
	if (!err)
		err = put_on(m, at->mnt, at->dentry);
	if (!err && tree) {
		from.mnt->copy = m;
		err = copy_below(&from, last);
		if (err)
			mount_detach_tree(m);
		list_for_each_entry (m, &mounts, list)
			m->copy = NULL;
	}
	mutex_unlock(&mount_mutex);
	path_put(&from);
	return err;
}
