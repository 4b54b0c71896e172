/*
 * Mounts and super blocks.
 *
 *   mount ──parent, point──> mount ──> ... ──> the root's mount
 *     └── sb, root: the mounted file system, and the directory of it that is visible
 *
 * I1  dentry->mounted: at least one mount has it as its point, and holds a reference on it.
 * I2  A mount has one reference for being mounted, one for each mount on it, and one for each path in use.
 *     It can be unmounted when only the first is left.
 * I3  A super block has one mount or, by binding, more: `active` counts them. A block device has at most one
 *     super block. It is freed with its last mount.
 * I4  If there are several mounts on one dentry of a mount, one is the child there, and each other is on
 *     the root of the one below it.
 * I5  A mount that was detached while it was in use (MNT_DETACH) is freed with its last user.
 *
 * Locks: mount_mutex serialises mounting and unmounting. The lists also change under dcache_lock, which
 * walks hold.
 */
#include "fs/internal.h"
#include "fs/notify.h"
#include "kernel/cred.h"
#include "mm/phys/alloc.h"
#include "mm/block/bio.h"

LIST_HEAD(mounts);		/* dcache_lock; mount_mutex to change */
LIST_HEAD(dead_mounts);		/* dcache_lock: detached ones without users */
static LIST_HEAD(super_blocks); /* mount_mutex */
static LIST_HEAD(fs_types);	/* boot */
struct mutex mount_mutex = MUTEX_INIT(mount_mutex);
static struct mount *root;
static u64 next_dev = 20;     /* st_dev of file systems without a device: major 0 */
static int next_mount_id = 1; /* mount_mutex */

void register_filesystem(struct fs_type *type)
{
	list_add_tail(&type->list, &fs_types);
}

static struct fs_type *find_type(const char *name)
{
	struct fs_type *t;

	list_for_each_entry (t, &fs_types, list) {
		if (!strcmp(t->name, name))
			return t;
	}
	return NULL;
}

void report_filesystems(struct report *r)
{
	struct fs_type *t;

	list_for_each_entry (t, &fs_types, list)
		report_printf(r, "%s\t%s\n", t->needs_bdev ? "" : "nodev", t->name);
}

struct mount *root_mount(void)
{
	return root;
}

void __mounts_reap(void)
{
	struct mount *m;

	mutex_lock(&mount_mutex);
	for (;;) {
		spin_lock(&dcache_lock);
		m = list_empty(&dead_mounts) ? NULL
					     : list_entry(dead_mounts.next, struct mount, list);
		if (m)
			list_del(&m->list);
		spin_unlock(&dcache_lock);
		if (!m)
			break;
		unmake_mount(m);
	}
	mutex_unlock(&mount_mutex);
}

/* ---- super blocks ----------------------------------------------------------------------------- */

static struct super_block *sb_alloc(struct fs_type *type, struct block_device *bdev, u32 flags)
{
	struct super_block *sb = kzalloc(sizeof(*sb), GFP_KERNEL);

	if (!sb)
		return NULL;
	sb->type = type;
	sb->bdev = bdev;
	sb->read_only = flags & MS_RDONLY;
	sb->flags = flags & SB_FLAGS;
	sb->blocksize = PAGE_SIZE;
	sb->max_size = 0x7fffffffffffffffull;
	sb->dev = next_dev++;
	INIT_LIST_HEAD(&sb->inodes);
	mutex_init(&sb->rename_lock);
	return sb;
}

int sync_names(struct super_block *sb)
{
	if (likely(!(READ_ONCE(sb->flags) & (MS_DIRSYNC | MS_SYNCHRONOUS))) || !sb->ops->sync_fs)
		return 0;
	return sb->ops->sync_fs(sb);
}

static bool bdev_is_mounted(const struct block_device *bdev)
{
	struct super_block *sb;

	list_for_each_entry (sb, &super_blocks, list) {
		if (sb->bdev == bdev)
			return true;
	}
	return false;
}

int sync_sb(struct super_block *sb)
{
	int err = sync_inodes(sb), e = sb->ops->sync_fs ? sb->ops->sync_fs(sb) : 0;

	return err ? err : e;
}

int sync_filesystem(struct super_block *sb)
{
	int err;

	mutex_lock(&mount_mutex);
	err = sb->read_only ? 0 : sync_sb(sb);
	mutex_unlock(&mount_mutex);
	return err;
}

/* Free a super block with its dentries and inodes, which nothing else uses any more. */
static void sb_free(struct super_block *sb)
{
	d_shrink_tree(sb->root_dentry);
	dput(sb->root_dentry);
	notify_unmount(sb);
	if (!evict_inodes(sb))
		printk("VFS: inodes of a %s in use after unmounting\n", sb->type->name);
	if (sb->ops->put_super)
		sb->ops->put_super(sb);
	kfree(sb);
}

/* ---- mounting --------------------------------------------------------------------------------- */

/* At boot there is no /dev, so a disk's name ("vda") is accepted, too. */
int bdev_lookup(const char *source, struct block_device **bdev)
{
	struct device_node *node = NULL;
	struct path path;
	int err;

	if (!strchr(source, '/')) {
		*bdev = find_block_device(source);
		return *bdev ? 0 : -ENOENT;
	}
	err = path_lookup(AT_FDCWD, source, LOOKUP_FOLLOW, &path);
	if (err)
		return err;
	err = -ENOTBLK;
	if ((path.dentry->inode->mode & S_IFMT) == S_IFBLK) {
		node = find_device_node(path.dentry->inode->mode, path.dentry->inode->rdev);
		*bdev = node ? find_block_device(node->name) : NULL;
		err = *bdev ? 0 : -ENXIO;
	}
	path_put(&path);
	return err;
}

/* The flags of mount(2) that are stored in a mount. */
static u32 mount_flags(u32 flags)
{
	return flags & MNT_FLAGS & ~(flags & MS_STRICTATIME ? MS_NOATIME : 0);
}

void mount_init_one(struct mount *m, struct super_block *sb, const char *source)
{
	INIT_LIST_HEAD(&m->list);
	INIT_LIST_HEAD(&m->children);
	INIT_LIST_HEAD(&m->peers);
	INIT_LIST_HEAD(&m->slaves);
	INIT_LIST_HEAD(&m->slave);
	INIT_LIST_HEAD(&m->receive);
	INIT_LIST_HEAD(&m->going);
	m->sb = sb;
	m->refs = 1;
	m->id = next_mount_id++;
	strscpy(m->source, source, sizeof(m->source));
	sb->active++;
}

/* Mount a file system of this type, attached nowhere yet. mount_mutex held. */
static int make_mount(struct fs_type *type, const char *source, u32 flags, const char *options,
		      struct mount **result)
{
	struct block_device *bdev = NULL;
	struct mount *m = NULL;
	struct super_block *sb;
	int err;

	if (type->needs_bdev) {
		err = bdev_lookup(source, &bdev);
		if (err)
			return err;
		if (bdev_is_mounted(bdev))
			return -EBUSY;
	}
	sb = sb_alloc(type, bdev, flags);
	if (!sb)
		return -ENOMEM;
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	err = m ? type->mount(sb, options) : -ENOMEM;
	if (err)
		goto free;
	m->root = d_alloc_root(sb->root);
	if (!m->root) {
		err = -ENOMEM;
		iput(sb->root);
		evict_inodes(sb);
		if (sb->ops->put_super)
			sb->ops->put_super(sb);
		goto free;
	}
	sb->root_dentry = m->root;
	dget(m->root);
	mount_init_one(m, sb, source);
	m->read_only = sb->read_only;
	m->flags = mount_flags(flags);
	list_add_tail(&sb->list, &super_blocks);
	*result = m;
	return 0;
free:
	kfree(m);
	kfree(sb);
	return err;
}

void unmake_mount(struct mount *m)
{
	struct super_block *sb = m->sb;

	mount_set_type(m, MS_PRIVATE);
	dput(m->root);
	kfree(m);
	if (--sb->active)
		return;
	if (!sb->read_only)
		sync_sb(sb);
	list_del(&sb->list);
	sb_free(sb);
}

/* ---- the tree of mounts ----------------------------------------------------------------------- */

struct mount *mount_next(const struct mount *m, const struct mount *top)
{
	if (!list_empty(&m->children))
		return list_first_entry(&m->children, struct mount, child);
	for (; m != top; m = m->parent) {
		if (m->child.next != &m->parent->children)
			return list_entry(m->child.next, struct mount, child);
	}
	return NULL;
}

bool mount_is_below(const struct mount *m, const struct mount *top)
{
	while (m && m != top)
		m = m->parent;
	return m;
}

void mount_place(struct mount *m, struct mount *parent, struct dentry *point)
{
	struct path at = {parent, point};

	path_get_locked(&at);
	m->parent = parent;
	m->point = point;
	list_add_tail(&m->child, &parent->children);
}

/* Detach m from its place. *at receives the place, with the references that m had on it. dcache_lock and mount_mutex
 * held. */
void mount_unplace(struct mount *m, struct path *at)
{
	struct mount *other;

	*at = (struct path){m->parent, m->point};
	list_del(&m->child);
	m->parent = NULL;
	m->point = NULL;
	dentry_clear_mounted(at->dentry);
	list_for_each_entry (other, &mounts, list) {
		if (other->point == at->dentry) {
			dentry_set_mounted(at->dentry);
			break;
		}
	}
}

/* Make the mounts of an attached tree visible to walks. dcache_lock held. */
static void show_tree(struct mount *top)
{
	struct mount *m;

	for (m = top; m; m = mount_next(m, top)) {
		dentry_set_mounted(m->point);
		if (list_empty(&m->list))
			list_add_tail(&m->list, &mounts);
	}
}

/* Attach the copy that r receives at `point`. A mount that is there already is put on top of the copy, so that names
 * still lead to it. dcache_lock held. */
static void put_received(struct mount *r, struct dentry *point)
{
	struct mount *before = mounted_at(r, point);
	struct path top;

	mount_place(r->received, r, point);
	show_tree(r->received);
	if (!before)
		return;
	r->refs--;
	point->refs--; /* cannot be the last one: the caller has another */
	list_del(&before->child);
	top = (struct path){r->received, r->received->root};
	follow_mounts(&top);
	mount_place(before, top.mnt, top.dentry);
	dentry_set_mounted(top.dentry);
}

int mount_graft(struct mount *top, const struct path *at, bool moving)
{
	struct path old = {NULL, NULL};
	LIST_HEAD(receivers);
	struct mount *r;
	int err = 0;

	if (at->mnt->detached)
		return -EINVAL;
	if (S_ISDIR(top->root->inode->mode) != S_ISDIR(at->dentry->inode->mode))
		return -ENOTDIR;
	if (at->mnt->shared)
		err = mount_propagate(top, at, &receivers);
	if (err)
		return err;
	spin_lock(&dcache_lock);
	if (at->dentry->unlinked) {
		err = -ENOENT;
	} else {
		if (moving)
			mount_unplace(top, &old);
		mount_place(top, at->mnt, at->dentry);
		show_tree(top);
		list_for_each_entry (r, &receivers, receive)
			put_received(r, at->dentry);
	}
	spin_unlock(&dcache_lock);
	if (at->mnt->shared)
		mount_propagate_end(top, &receivers, !err);
	path_put(&old);
	return err;
}

void unmake_tree(struct mount *top)
{
	while (!list_empty(&top->children)) {
		struct mount *m = top;
		struct path at;

		while (!list_empty(&m->children))
			m = list_first_entry(&m->children, struct mount, child);
		at = (struct path){m->parent, m->point};
		list_del(&m->child);
		unmake_mount(m);
		path_put(&at);
	}
	unmake_mount(top);
}

void mount_lock_at(struct path *at)
{
	struct path top;

	mutex_lock(&mount_mutex);
	spin_lock(&dcache_lock);
	top = *at;
	follow_mounts(&top);
	path_get_locked(&top);
	spin_unlock(&dcache_lock);
	path_put(at);
	*at = top;
}

/* Set the flags of a mount. Flags of access times stay unless `flags` has one of them. mount_mutex held. */
static void set_flags(struct mount *m, u32 flags)
{
	const u32 times = MS_NOATIME | MS_NODIRATIME | MS_STRICTATIME;

	if (!(flags & (times | MS_RELATIME)))
		flags |= m->flags & times;
	m->read_only = flags & MS_RDONLY;
	WRITE_ONCE(m->flags, mount_flags(flags));
}

/* Set the flags of a file system. As in Linux, a remount does not change dirsync (MS_RMT_MASK). */
static void set_sb_flags(struct super_block *sb, u32 flags)
{
	const u32 may_change = MS_SYNCHRONOUS | MS_MANDLOCK | MS_LAZYTIME;

	WRITE_ONCE(sb->flags, (sb->flags & ~may_change) | (flags & may_change));
}

/* Is a file open for writing through this mount or, with `all`, through any mount of its file system? mount_mutex
 * held. */
bool mount_has_writers(const struct mount *m, bool all)
{
	const struct mount *other;

	if (!all)
		return atomic_load(&m->writers);
	list_for_each_entry (other, &mounts, list) {
		if (other->sb == m->sb && atomic_load(&other->writers))
			return true;
	}
	return false;
}

/* Remount. With MS_BIND only the mount changes, otherwise the file system and this mount. */
static int remount(const struct path *at, u32 flags, const char *options)
{
	struct mount *m = at->mnt;
	struct super_block *sb = m->sb;
	bool only_mount = flags & MS_BIND, read_only = flags & MS_RDONLY;
	int err = 0;

	if (at->dentry != m->root)
		return -EINVAL;
	mutex_lock(&mount_mutex);
	if (read_only && mount_has_writers(m, !only_mount))
		err = -EBUSY;
	else if (only_mount)
		goto set;
	else if (!sb->read_only && (read_only || sb->flags & MS_LAZYTIME))
		err = sync_sb(sb);
	if (!err && sb->bdev && sb->bdev->read_only && !read_only)
		err = -EROFS;
	if (!err && sb->ops->remount)
		err = sb->ops->remount(sb, read_only, options);
	else if (!err && *options)
		err = -EINVAL;
	if (!err) {
		sb->read_only = read_only;
		set_sb_flags(sb, flags);
	}
set:
	if (!err)
		set_flags(m, flags);
	mutex_unlock(&mount_mutex);
	return err;
}

/* Mount a file system at `at`. Puts `at`. */
static int mount_at(const char *type_name, const char *source, struct path *at, u32 flags,
		    const char *options)
{
	struct fs_type *type = find_type(type_name);
	struct mount *m;
	int err = -ENODEV;

	if (type) {
		mount_lock_at(at);
		err = make_mount(type, source, flags, options, &m);
		if (!err) {
			err = mount_graft(m, at, false);
			if (err)
				unmake_mount(m);
		}
		mutex_unlock(&mount_mutex);
	}
	path_put(at);
	return err;
}

#define MS_MGC_VAL 0xc0ed0000u /* programs older than Linux 2.4 set it in the upper half */

/* Unknown bits of flags are ignored, as in Linux. */
int vfs_mount(const char *type, const char *source, const char *target, u32 flags,
	      const char *options)
{
	struct path at;
	int err = path_lookup(AT_FDCWD, target, LOOKUP_FOLLOW, &at);

	if (err)
		return err;
	if ((flags & 0xffff0000u) == MS_MGC_VAL)
		flags &= 0xffffu;
	if (flags & MS_NOUSER) {
		err = -EINVAL;
	} else if (!capable(CAP_SYS_ADMIN)) {
		err = -EPERM;
	} else if (flags & MS_REMOUNT) {
		err = remount(&at, flags, options);
	} else if (flags & MS_BIND) {
		return mount_bind(source, &at, flags & MS_REC);
	} else if (flags & (MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED)) {
		mutex_lock(&mount_mutex);
		err = mount_change_type(&at, flags);
		mutex_unlock(&mount_mutex);
	} else if (flags & MS_MOVE) {
		return mount_move(source, &at);
	} else if (!type) {
		err = -EINVAL;
	} else if (!find_type(type)) {
		err = -ENODEV;
	} else if (!S_ISDIR(at.dentry->inode->mode)) {
		err = -ENOTDIR;
	} else {
		return mount_at(type, source, &at, flags, options);
	}
	path_put(&at);
	return err;
}

int vfs_mount_root(const char *type, const char *source, u32 flags)
{
	struct path at = {root, root->root}, top;
	int err;

	path_get(&at);
	err = mount_at(type, source, &at, flags, "");
	if (err)
		return err;
	top = (struct path){root, root->root};
	spin_lock(&dcache_lock);
	follow_mounts(&top);
	path_get_locked(&top);
	path_get_locked(&top);
	spin_unlock(&dcache_lock);
	at = top;
	fs_set_root(&top);
	fs_set_pwd(&at);
	return 0;
}

/* ---- everything ------------------------------------------------------------------------------- */

void vfs_sync(void)
{
	struct super_block *sb;

	mutex_lock(&mount_mutex);
	list_for_each_entry (sb, &super_blocks, list) {
		if (!sb->read_only)
			sync_sb(sb);
	}
	mutex_unlock(&mount_mutex);
	sync_all_mappings();
}

/* Mount the first root, an empty tmpfs that is never unmounted. */
void mount_init(void)
{
	struct fs_type *type = find_type("tmpfs");
	struct path top, also;

	if (make_mount(type, "rootfs", 0, "mode=755", &root))
		panic("VFS: no memory for the root");
	list_add_tail(&root->list, &mounts);
	top = also = (struct path){root, root->root};
	path_get(&top);
	path_get(&also);
	fs_set_root(&top);
	fs_set_pwd(&also);
}
