/*
 * Bind mounts: a part of the tree of names seen at a second place (mount(2), MS_BIND, MS_REC), and mounts that move to
 * another place (MS_MOVE).
 *
 *   source: mount S, dentry d  ──>  a new mount of S's file system whose root is d, on the target
 *
 * The new mount has its own flags, at first those of S, so one place may be read-only and the other not
 * (MS_REMOUNT | MS_BIND). With MS_REC each mount on S below d is copied, too, and put on the same dentry in the copy.
 * A mount whose parent is shared cannot move, because the mounts that received a copy would have to lose it.
 *
 * Locks: mount_mutex for all of it.
 */
#include "fs/internal.h"

/* A mount of `from`'s file system that begins at `top`. NULL: no memory. */
static struct mount *copy_one(struct mount *from, struct dentry *top, u32 how)
{
	struct mount *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (!m)
		return NULL;
	dget(top);
	m->root = top;
	mount_init_one(m, from->sb, from->source);
	m->read_only = from->read_only;
	m->flags = from->flags;
	mount_join(m, from, how);
	return m;
}

/* m is a mount below from->mnt. Is it also below the dentry of `from`, and to be copied? Takes dcache_lock. */
static bool is_copied(const struct mount *m, const struct path *from)
{
	bool yes;

	if (m->unbindable)
		return false;
	if (m->parent != from->mnt)
		return true;
	spin_lock(&dcache_lock);
	yes = d_is_ancestor(from->dentry, m->point);
	spin_unlock(&dcache_lock);
	return yes;
}

/* The next mount of the tree below top that is not below m. */
static struct mount *next_beside(struct mount *m, const struct mount *top)
{
	while (m->child.next == &m->parent->children) {
		m = m->parent;
		if (m == top)
			return NULL;
	}
	return list_entry(m->child.next, struct mount, child);
}

struct mount *mount_copy(const struct path *from, bool tree, u32 how)
{
	struct mount *top, *m, *last = from->mnt, *copy;

	if (from->mnt->unbindable)
		return ERR_PTR(-EINVAL);
	copy = top = copy_one(from->mnt, from->dentry, how);
	if (!top)
		return ERR_PTR(-ENOMEM);
	m = tree ? mount_next(from->mnt, from->mnt) : NULL;
	while (m) {
		struct mount *one;

		if (!is_copied(m, from)) {
			m = next_beside(m, from->mnt);
			continue;
		}
		for (; last != m->parent; last = last->parent)
			copy = copy->parent;
		one = copy_one(m, m->root, how);
		if (!one) {
			unmake_tree(top);
			return ERR_PTR(-ENOMEM);
		}
		spin_lock(&dcache_lock);
		mount_place(one, copy, m->point);
		spin_unlock(&dcache_lock);
		copy = one;
		last = m;
		m = mount_next(m, from->mnt);
	}
	return top;
}

int mount_bind(const char *source, struct path *at, bool tree)
{
	struct path from;
	struct mount *m;
	int err = *source ? path_lookup(AT_FDCWD, source, LOOKUP_FOLLOW, &from) : -EINVAL;

	if (err)
		goto put;
	mount_lock_at(at);
	m = from.mnt->detached || at->mnt->detached ? ERR_PTR(-EINVAL) : mount_copy(&from, tree, 0);
	if (IS_ERR(m)) {
		err = PTR_ERR(m);
	} else {
		err = mount_graft(m, at, false);
		if (err)
			unmake_tree(m);
	}
	mutex_unlock(&mount_mutex);
	path_put(&from);
put:
	path_put(at);
	return err;
}

static bool has_unbindable(const struct mount *top)
{
	for (const struct mount *m = top; m; m = mount_next(m, top)) {
		if (m->unbindable)
			return true;
	}
	return false;
}

static int may_move(const struct path *from, const struct path *at)
{
	const struct mount *m = from->mnt;

	if (at->mnt->detached || m->detached || !m->parent || from->dentry != m->root)
		return -EINVAL;
	if (S_ISDIR(from->dentry->inode->mode) != S_ISDIR(at->dentry->inode->mode))
		return -EINVAL;
	if (m->parent->shared || (at->mnt->shared && has_unbindable(m)))
		return -EINVAL;
	return mount_is_below(at->mnt, m) ? -ELOOP : 0;
}

int mount_move(const char *source, struct path *at)
{
	struct path from;
	int err = *source ? path_lookup(AT_FDCWD, source, LOOKUP_FOLLOW, &from) : -EINVAL;

	if (err)
		goto put;
	mount_lock_at(at);
	err = may_move(&from, at);
	if (!err)
		err = mount_graft(from.mnt, at, true);
	mutex_unlock(&mount_mutex);
	path_put(&from);
put:
	path_put(at);
	return err;
}
