/*
 * Taking mounts out of the tree: umount(2), lazily, after a time without use, and all of them at the end.
 *
 * A mount that leaves is first out of the tree, under dcache_lock, so that no walk finds it. Then it loses its references: on its
 * place, and the one for being mounted. Whoever drops the last one frees it. What receives from the place (mount_share.c) is
 * unmounted with it.
 *
 * Locks: as in mount.c.
 */
#include "fs/internal.h"
#include "kernel/cred.h"

#define MNT_FORCE	1u /* for file systems with a server, of which there are none here */
#define MNT_DETACH	2u
#define MNT_EXPIRE	4u
#define UMOUNT_NOFOLLOW 8u

static bool has_going_child(const struct mount *m)
{
	const struct mount *c;

	list_for_each_entry (c, &m->children, child) {
		if (!list_empty(&c->going))
			return true;
	}
	return false;
}

/* `top` is on the root of `leaves`, which is being unmounted. Move it down to the place of `leaves` or, if the mount
 * below is being unmounted as well, to the place of the lowest such mount. dcache_lock held. */
static void put_lower(struct mount *top, struct mount *leaves)
{
	struct path at, old;
	struct mount *c;

	while (leaves->parent && !list_empty(&leaves->parent->going))
		leaves = leaves->parent;
	at = (struct path){leaves->parent, leaves->point};
	list_for_each_entry (c, &at.mnt->children, child) {
		if (c->point == at.dentry && list_empty(&c->going)) {
			at = (struct path){c, c->root};
			follow_mounts(&at);
			break;
		}
	}
	mount_unplace(top, &old);
	old.mnt->refs--;
	old.dentry->refs--; /* cannot be the last one: the mount has one on its root */
	mount_place(top, at.mnt, at.dentry);
	dentry_set_mounted(at.dentry);
}

/* Take m out of the tree. A mount on top of it stays. The references on its place are kept for later; m->received is
 * the mount of that place. mount_mutex and dcache_lock held. */
static void take_out(struct mount *m)
{
	struct mount *top = mounted_at(m, m->root);
	struct path at;

	if (top)
		put_lower(top, m);
	mount_set_type(m, MS_PRIVATE);
	mount_unplace(m, &at);
	m->received = at.mnt;
	m->point = at.dentry;
	m->detached = true;
	list_del(&m->list);
}

/* Take the tree out, and the copies that are unmounted with it. Unless `lazily`, fail if one of them is in use, not
 * counting the caller's `own` references on the first mount. mount_mutex held. */
static int take_out_tree(struct mount *top, bool lazily, int own)
{
	LIST_HEAD(going);
	LIST_HEAD(out);
	struct mount *m, *next;
	bool busy;

	if (!top->parent)
		return -EINVAL;
	spin_lock(&dcache_lock);
	busy = !lazily && mount_is_busy(top, own);
	if (!busy)
		mount_collect(top, &going);
	while (!list_empty(&going)) {
		list_for_each_entry_safe (m, next, &going, going) {
			if (has_going_child(m))
				continue;
			take_out(m);
			list_move_tail(&m->going, &out);
		}
	}
	spin_unlock(&dcache_lock);
	while (!list_empty(&out)) {
		struct path at;
		bool unused;

		m = list_first_entry(&out, struct mount, going);
		list_del_init(&m->going);
		at = (struct path){m->received, m->point};
		m->received = NULL;
		m->point = NULL;
		path_put(&at);
		spin_lock(&dcache_lock);
		unused = !--m->refs; /* otherwise its last user frees it */
		spin_unlock(&dcache_lock);
		if (unused)
			unmake_mount(m);
	}
	return busy ? -EBUSY : 0;
}

/* Write everything, then take the mount out of the tree unless it is in use. `own`: the caller's references on it.
 * mount_mutex held. */
static int do_umount(struct mount *m, int own)
{
	if (m->parent && !m->sb->read_only && m->sb->active == 1)
		sync_sb(m->sb);
	return take_out_tree(m, false, own);
}

/* MNT_EXPIRE. 0: the mount was not used since the last such call, so it may be unmounted. The caller has one reference.
 * mount_mutex held. */
static int expire(struct mount *m, u32 flags)
{
	int err = 0;

	if (m == current_fs()->root.mnt || flags & (MNT_FORCE | MNT_DETACH))
		return -EINVAL;
	spin_lock(&dcache_lock);
	if (m->refs != 2)
		err = -EBUSY;
	else if (!m->expire)
		err = -EAGAIN;
	m->expire |= err == -EAGAIN;
	spin_unlock(&dcache_lock);
	return err;
}

/* umount(2) of the caller's root makes the file system read-only instead. mount_mutex held. */
static int umount_root(struct mount *m)
{
	struct super_block *sb = m->sb;
	int err;

	if (sb->read_only)
		return 0;
	if (mount_has_writers(m, true))
		return -EBUSY;
	err = sync_sb(sb);
	if (!err && sb->ops->remount)
		err = sb->ops->remount(sb, true, "");
	if (!err)
		sb->read_only = true;
	return err;
}

int vfs_umount(const char *target, u32 flags)
{
	struct path path;
	struct mount *m;
	int err = path_lookup(AT_FDCWD, target, flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &path);

	if (err)
		return err;
	mutex_lock(&mount_mutex);
	m = path.mnt;
	if (!capable(CAP_SYS_ADMIN))
		err = -EPERM;
	else if (path.dentry != m->root || m->detached)
		err = -EINVAL;
	else if (flags & MNT_EXPIRE)
		err = expire(m, flags);
	if (err)
		goto out;
	if (m == current_fs()->root.mnt && !(flags & MNT_DETACH))
		err = umount_root(m);
	else
		err = flags & MNT_DETACH ? take_out_tree(m, true, 1) : do_umount(m, 1);
out:
	mutex_unlock(&mount_mutex);
	path_put_unused(&path); /* may free the mount */
	return err;
}

/* Unmount the newest mounts first, because they may be on older ones. A mount in use stays, but is synced. */
void vfs_shutdown(void)
{
	struct mount *m;
	bool progress;

	swap_files_off();
	vfs_sync();
	mutex_lock(&mount_mutex);
	do {
		progress = false;
		for (struct list_head *p = mounts.prev; p != &mounts; p = p->prev) {
			m = list_entry(p, struct mount, list);
			if (m->sb->bdev && !do_umount(m, 0)) {
				progress = true;
				break;
			}
		}
	} while (progress);
	list_for_each_entry (m, &mounts, list) {
		if (m->sb->bdev && !m->sb->read_only && m->sb->ops->sync_fs) {
			m->sb->read_only = true;
			sync_sb(m->sb);
		}
	}
	mutex_unlock(&mount_mutex);
}
