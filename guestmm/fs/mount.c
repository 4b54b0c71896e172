/*
 * Mounts and super blocks: which file system is where.
 *
 *   mount ──parent, point──> mount ──> ... ──> the root's mount
 *     └── sb, root: what is there
 *
 * I1  dentry->mounted: at least one mount has it as its point, and holds a reference on it.
 * I2  A mount's references: one for being mounted, one for each mount on it, each path in use. It can
 *     be taken away when only the first is left.
 * I3  Each mount has a super block of its own; a block device has at most one.
 *
 * Locks: mount_mutex serialises mounting and unmounting; the list is changed under dcache_lock, which
 * is what walks hold.
 */
#include "fs/internal.h"
#include "mm/phys/alloc.h"
#include "mm/block/bio.h"

static LIST_HEAD(mounts);	/* dcache_lock; mount_mutex to change */
static LIST_HEAD(super_blocks); /* mount_mutex */
static LIST_HEAD(fs_types);	/* boot */
static struct mutex mount_mutex = MUTEX_INIT(mount_mutex);
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

/* ---- walking through mounts: dcache_lock held -------------------------------------------------- */

static struct mount *mounted_at(const struct path *path)
{
	struct mount *m, *found = NULL;

	list_for_each_entry (m, &mounts, list) {
		if (m->parent == path->mnt && m->point == path->dentry)
			found = m;
	}
	return found;
}

void follow_mounts(struct path *path)
{
	while (path->dentry->mounted) {
		struct mount *m = mounted_at(path);

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

void path_put(struct path *path)
{
	struct dentry *d = path->dentry;
	struct mount *m = path->mnt;

	if (!d)
		return;
	path->dentry = NULL;
	path->mnt = NULL;
	dput(d); /* before the mount: umount waits for nobody */
	spin_lock(&dcache_lock);
	m->refs--;
	spin_unlock(&dcache_lock);
}

/* ---- super blocks ----------------------------------------------------------------------------- */

static struct super_block *sb_alloc(struct fs_type *type, struct block_device *bdev, bool read_only)
{
	struct super_block *sb = kzalloc(sizeof(*sb), GFP_KERNEL);

	if (!sb)
		return NULL;
	sb->type = type;
	sb->bdev = bdev;
	sb->read_only = read_only;
	sb->blocksize = PAGE_SIZE;
	sb->max_size = 0x7fffffffffffffffull;
	sb->dev = next_dev++;
	INIT_LIST_HEAD(&sb->inodes);
	mutex_init(&sb->rename_lock);
	return sb;
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

/* The super block's own references are the last: its tree of names and its inodes go. */
static void sb_free(struct super_block *sb, struct dentry *root_dentry)
{
	d_shrink_tree(root_dentry, true);
	dput(root_dentry);
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
	sb = sb_alloc(type, bdev, flags & MS_RDONLY);
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
	m->sb = sb;
	m->refs = 1;
	m->read_only = sb->read_only;
	m->flags = flags & MNT_FLAGS;
	m->id = next_mount_id++;
	strscpy(m->source, source, sizeof(m->source));
	list_add_tail(&sb->list, &super_blocks);
	*result = m;
	return 0;
free:
	kfree(m);
	kfree(sb);
	return err;
}

/* Free a mount that is attached nowhere, and its file system. mount_mutex held. */
static void unmake_mount(struct mount *m)
{
	list_del(&m->sb->list);
	sb_free(m->sb, m->root);
	kfree(m);
}

/* mount_mutex held. The references of `at` are the mount's now if it succeeds. */
static int attach(struct mount *m, const struct path *at)
{
	int err = 0;

	spin_lock(&dcache_lock);
	if (at->dentry->unlinked) {
		err = -ENOENT;
	} else {
		m->parent = at->mnt;
		m->point = at->dentry;
		dentry_set_mounted(m->point, true);
		list_add_tail(&m->list, &mounts);
	}
	spin_unlock(&dcache_lock);
	return err;
}

static int remount(const struct path *at, u32 flags, const char *options)
{
	struct mount *m = at->mnt;
	int err = 0;

	if (at->dentry != m->root)
		return -EINVAL;
	mutex_lock(&mount_mutex);
	if (flags & MS_RDONLY && !m->read_only)
		err = sync_sb(m->sb);
	if (!err && m->sb->bdev && m->sb->bdev->read_only && !(flags & MS_RDONLY))
		err = -EROFS;
	if (!err && m->sb->ops->remount)
		err = m->sb->ops->remount(m->sb, flags & MS_RDONLY, options);
	else if (!err && *options)
		err = -EINVAL;
	if (!err) {
		m->read_only = m->sb->read_only = flags & MS_RDONLY;
		WRITE_ONCE(m->flags, flags & MNT_FLAGS);
	}
	mutex_unlock(&mount_mutex);
	return err;
}

/* Make a mount and put it on `at`, whose references go in any case. */
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
			err = attach(m, at);
			if (err)
				unmake_mount(m);
		}
		mutex_unlock(&mount_mutex);
	}
	if (err)
		path_put(at);
	return err;
}

int vfs_mount(const char *type, const char *source, const char *target, u32 flags,
	      const char *options)
{
	struct path at;
	int err = path_lookup(AT_FDCWD, target, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &at);

	if (err)
		return err;
	if (flags & MS_REMOUNT) {
		err = remount(&at, flags, options);
		path_put(&at);
		return err;
	}
	if (flags & (MS_BIND | MS_MOVE | MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED)) {
		/* Nothing is propagated: all mounts are private. */
		err = at.dentry == at.mnt->root && !(flags & ~(MS_PRIVATE | MS_REC | MS_SILENT))
			      ? 0
			      : -EINVAL;
		path_put(&at);
		return err;
	}
	return mount_at(type, source, &at, flags, options);
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

/* mount_mutex held: write everything, then take it out of the tree unless somebody uses it. */
static int do_umount(struct mount *m)
{
	struct path at = {m->parent, m->point};
	struct mount *other;
	int err = 0;

	if (!m->parent)
		return -EINVAL;
	if (!m->sb->read_only)
		sync_sb(m->sb);
	spin_lock(&dcache_lock);
	if (m->refs > 1) {
		err = -EBUSY;
	} else {
		list_del(&m->list);
		dentry_set_mounted(m->point, false);
		list_for_each_entry (other, &mounts, list) {
			if (other->point == m->point)
				dentry_set_mounted(m->point, true);
		}
	}
	spin_unlock(&dcache_lock);
	if (err)
		return err;
	unmake_mount(m);
	path_put(&at);
	return 0;
}

int vfs_umount(const char *target)
{
	struct path path;
	struct mount *m;
	int err = path_lookup(AT_FDCWD, target, LOOKUP_FOLLOW, &path);

	if (err)
		return err;
	mutex_lock(&mount_mutex);
	m = path.mnt;
	err = path.dentry == m->root ? 0 : -EINVAL;
	path_put(&path); /* it would be a user */
	if (!err)
		err = do_umount(m);
	mutex_unlock(&mount_mutex);
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

/* Mounts on mounts go first, so the newest does. What is in use stays mounted, but is in sync. */
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
			if (m->sb->bdev && !do_umount(m)) {
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

/* "rw,nosuid,noexec,relatime", in Linux's order. */
static void report_mount_flags(struct report *r, const struct mount *m)
{
	static const struct {
		u32 flag;
		const char *text;
	} names[] = {
		{MS_SYNCHRONOUS, ",sync"}, {MS_NOSUID, ",nosuid"},   {MS_NODEV, ",nodev"},
		{MS_NOEXEC, ",noexec"},	   {MS_NOATIME, ",noatime"}, {MS_NODIRATIME, ",nodiratime"},
	};
	u32 flags = READ_ONCE(m->flags);

	report_printf(r, "%s", m->read_only ? "ro" : "rw");
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].flag)
			report_printf(r, "%s", names[i].text);
	if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
		report_printf(r, ",relatime");
}

/* A line for each mount, with the name of its place. */
static void report_each_mount(struct report *r,
			      void (*line)(struct report *r, const struct mount *m,
					   const char *name))
{
	char *buf = (char *)__get_free_pages(GFP_KERNEL, 0);
	struct mount *m;

	if (!buf)
		return;
	mutex_lock(&mount_mutex);
	list_for_each_entry (m, &mounts, list) {
		struct path p = {m, m->root};
		const char *name = path_name(&p, buf, PAGE_SIZE);

		line(r, m, name ? name : "?");
	}
	mutex_unlock(&mount_mutex);
	free_pages((unsigned long)buf, 0);
}

static void mounts_line(struct report *r, const struct mount *m, const char *name)
{
	report_printf(r, "%s %s %s ", m->source, name, m->sb->type->name);
	report_mount_flags(r, m);
	if (m->sb->ops->show_options)
		m->sb->ops->show_options(r, m->sb);
	report_printf(r, " 0 0\n");
}

void report_mounts(struct report *r)
{
	report_each_mount(r, mounts_line);
}

/* Each mount shows its file system from the root on: there are no bind mounts. */
static void mountinfo_line(struct report *r, const struct mount *m, const char *name)
{
	report_printf(r, "%d %d %u:%u / %s ", m->id, m->parent ? m->parent->id : m->id,
		      (u32)(m->sb->dev >> 8 & 0xfff),
		      (u32)(m->sb->dev & 0xff) | (u32)(m->sb->dev >> 12 & 0xfff00), name);
	report_mount_flags(r, m);
	report_printf(r, " - %s %s %s", m->sb->type->name, m->source,
		      m->sb->read_only ? "ro" : "rw");
	if (m->sb->ops->show_options)
		m->sb->ops->show_options(r, m->sb);
	report_printf(r, "\n");
}

void report_mountinfo(struct report *r)
{
	report_each_mount(r, mountinfo_line);
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
