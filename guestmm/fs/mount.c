/*
 * Mounts and super blocks: which file system is where.
 *
 *   mount ──parent, point──> mount ──> ... ──> the root's mount
 *     └── sb, root: what is there
 *
 * I1  dentry->mounted: at least one mount has it as its point, and holds a reference on it.
 * I2  A mount's references: one for being mounted, one for each mount on it, each path in use. It can
 *     be taken away when only the first is left.
 * I3  A super block has one mount or, by binding, more: `active` counts them. A block device has at most one
 *     super block. It is freed with its last mount.
 * I4  A mount that was taken out of the tree while it was in use (MNT_DETACH) is freed with its last user.
 *
 * Locks: mount_mutex serialises mounting and unmounting; the list is changed under dcache_lock, which
 * is what walks hold.
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

static int sync_sb(struct super_block *sb)
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

/* Only the super block's own references are left: free its dentries and inodes. */
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

/* For the boot, when there is no /dev, also "vda". */
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

/* What a mount keeps of mount(2)'s flags. */
static u32 mount_flags(u32 flags)
{
	return flags & MNT_FLAGS & ~(flags & MS_STRICTATIME ? MS_NOATIME : 0);
}

void mount_init_one(struct mount *m, struct super_block *sb, const char *source)
{
	m->sb = sb;
	m->refs = 1;
	m->id = next_mount_id++;
	strscpy(m->source, source, sizeof(m->source));
	sb->active++;
}

/* mount_mutex held: a file system of this type, in a mount that is nowhere yet. */
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

	dput(m->root);
	kfree(m);
	if (--sb->active)
		return;
	if (!sb->read_only)
		sync_sb(sb);
	list_del(&sb->list);
	sb_free(sb);
}

int mount_attach(struct mount *m, const struct path *at)
{
	int err = 0;

	spin_lock(&dcache_lock);
	if (at->dentry->unlinked) {
		err = -ENOENT;
	} else {
		m->parent = at->mnt;
		m->point = at->dentry;
		dentry_set_mounted(m->point);
		list_add_tail(&m->list, &mounts);
	}
	spin_unlock(&dcache_lock);
	return err;
}

/* Flags of a mount from now on; without a word on access times these stay as they are. mount_mutex held. */
static void set_flags(struct mount *m, u32 flags)
{
	const u32 times = MS_NOATIME | MS_NODIRATIME | MS_STRICTATIME;

	if (!(flags & (times | MS_RELATIME)))
		flags |= m->flags & times;
	m->read_only = flags & MS_RDONLY;
	WRITE_ONCE(m->flags, mount_flags(flags));
}

/* Of the file system; Linux leaves dirsync as it was mounted (MS_RMT_MASK). */
static void set_sb_flags(struct super_block *sb, u32 flags)
{
	const u32 may_change = MS_SYNCHRONOUS | MS_MANDLOCK | MS_LAZYTIME;

	WRITE_ONCE(sb->flags, (sb->flags & ~may_change) | (flags & may_change));
}

/* mount_mutex held: is a file open for writing, by this mount or, with `all`, by any of its file system? */
static bool has_writers(const struct mount *m, bool all)
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

/* MS_BIND: of the mount alone. Else of the file system, and of this mount. */
static int remount(const struct path *at, u32 flags, const char *options)
{
	struct mount *m = at->mnt;
	struct super_block *sb = m->sb;
	bool only_mount = flags & MS_BIND, read_only = flags & MS_RDONLY;
	int err = 0;

	if (at->dentry != m->root)
		return -EINVAL;
	mutex_lock(&mount_mutex);
	if (read_only && has_writers(m, !only_mount))
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

/* Make a mount and attach it to `at`, whose references are dropped in any case. */
static int mount_at(const char *type_name, const char *source, struct path *at, u32 flags,
		    const char *options)
{
	struct fs_type *type = find_type(type_name);
	struct mount *m;
	int err = -ENODEV;

	if (type) {
		mutex_lock(&mount_mutex);
		err = make_mount(type, source, flags, options, &m);
		if (!err) {
			err = mount_attach(m, at);
			if (err)
				unmake_mount(m);
		}
		mutex_unlock(&mount_mutex);
	}
	if (err)
		path_put(at);
	return err;
}

#define MS_MGC_VAL 0xc0ed0000u /* programs older than Linux 2.4 put it in front */

/* Bits that no flag has are ignored, as Linux does. */
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
		err = mount_bind(source, &at, flags & MS_REC);
	} else if (flags & (MS_MOVE | MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED)) {
		/* Nothing is propagated: all mounts are private. */
		err = at.dentry == at.mnt->root && !(flags & ~(MS_PRIVATE | MS_REC | MS_SILENT))
			      ? 0
			      : -EINVAL;
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

/* dcache_lock and mount_mutex held: out of the tree. *at: where it was, with the references that it had. */
static void take_out(struct mount *m, struct path *at)
{
	struct mount *other;

	*at = (struct path){m->parent, m->point};
	list_del(&m->list);
	dentry_clear_mounted(m->point);
	list_for_each_entry (other, &mounts, list) {
		if (other->point == m->point)
			dentry_set_mounted(m->point);
	}
	m->parent = NULL;
	m->point = NULL;
}

/* mount_mutex held: write everything, then take it out of the tree unless somebody uses it. `own`: references of the
 * caller's. */
static int do_umount(struct mount *m, int own)
{
	struct path at;
	int err = 0;

	if (!m->parent)
		return -EINVAL;
	if (!m->sb->read_only && m->sb->active == 1)
		sync_sb(m->sb);
	spin_lock(&dcache_lock);
	if (m->refs > 1 + own) {
		err = -EBUSY;
	} else {
		take_out(m, &at);
		m->refs--; /* the last user, here the caller, frees it */
		m->detached = true;
	}
	spin_unlock(&dcache_lock);
	if (err)
		return err;
	path_put(&at);
	if (!own)
		unmake_mount(m);
	return 0;
}

static bool is_below(const struct mount *m, const struct mount *top)
{
	while (m && m != top)
		m = m->parent;
	return m;
}

/* The newest first: what is mounted on a mount is newer. */
int mount_detach_tree(struct mount *top)
{
	struct list_head *p, *prev;

	if (!top->parent)
		return -EINVAL;
	for (p = mounts.prev; p != &mounts; p = prev) {
		struct mount *m = list_entry(p, struct mount, list);
		struct path at;
		bool gone;

		prev = p->prev;
		if (!is_below(m, top))
			continue;
		spin_lock(&dcache_lock);
		take_out(m, &at);
		m->detached = true;
		gone = !--m->refs;
		spin_unlock(&dcache_lock);
		path_put(&at);
		if (gone)
			unmake_mount(m);
	}
	return 0;
}

#define MNT_FORCE	1u /* for file systems whose server may be unreachable: there are none here */
#define MNT_DETACH	2u
#define MNT_EXPIRE	4u
#define UMOUNT_NOFOLLOW 8u

/* mount_mutex held. The caller has one reference. 0: it has not been used since the last such call. */
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

/* mount_mutex held: what umount(2) of one's own root does is to make the file system read-only. */
static int umount_root(struct mount *m)
{
	struct super_block *sb = m->sb;
	int err;

	if (sb->read_only)
		return 0;
	if (has_writers(m, true))
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
		err = flags & MNT_DETACH ? mount_detach_tree(m) : do_umount(m, 1);
out:
	mutex_unlock(&mount_mutex);
	path_put_unused(&path); /* perhaps the last user */
	return err;
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

/* Mounts on other mounts are unmounted first, so begin with the newest. A mount in use stays, but is synced. */
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

/* The first root: an empty tmpfs that is never taken away. */
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
