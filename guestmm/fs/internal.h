/*
 * Declarations that only the files of fs/ share: the dentry tree, the walk, the lists of mounts.
 */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H
#include "fs/vfs.h"
#include "fs/file.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

/* ---- dcache.c --------------------------------------------------------------------------------- */
/** Guards the tree of names, reference counts of dentries and mounts, and the root and working directory of
 * processes. */
extern spinlock_t dcache_lock;
void dcache_init(void);
u32 name_hash(const struct dentry *parent, const char *name, u32 len);
/** The child with this name, perhaps a negative one, or NULL. No reference. dcache_lock held. */
struct dentry *d_find(const struct dentry *parent, const char *name, u32 len);
/** Create a dentry for a name in `parent`, not in the tree yet, with one reference. NULL: no memory. */
struct dentry *d_alloc(struct dentry *parent, const char *name, u32 len);
/** Create the root dentry of a file system. Takes over the caller's reference on `inode`. NULL: no memory. */
struct dentry *d_alloc_root(struct inode *inode);
/** Mark that something is mounted on the dentry, or (dentry_clear_mounted()) no longer. dcache_lock held. */
void dentry_set_mounted(struct dentry *d);
void dentry_clear_mounted(struct dentry *d);
/** Put the dentry into the tree, with `inode` (or NULL: negative) and the caller's reference on it. The parent's inode
 * lock is held. */
void d_add(struct dentry *d, struct inode *inode);
/** Give a negative dentry in the tree its inode, with the caller's reference. In a file system in memory the dentry
 * is the directory entry from now on, so it stays until it is unlinked. */
void d_instantiate(struct dentry *d, struct inode *inode);
/** Take the dentry of a removed name out of the tree. It is freed with its last user. */
void d_unlink(struct dentry *d);
/** A dentry's future name, with memory allocated for it. */
struct new_name {
	const char *name;
	u32 len;
	char *own; /* NULL: the name is small, or the dentry has taken it */
};
/** Allocate it. 0 or -ENOMEM. The caller does kfree(n->own) at the end. */
int d_name_alloc(struct new_name *n, const char *name, u32 len);
/** Move the dentry to a name that no other dentry has. The locks of both parents are held. */
void d_move(struct dentry *d, struct dentry *new_parent, struct new_name *n);
/** Exchange two dentries. The locks of both parents are held. */
void d_exchange(struct dentry *a, struct dentry *b);
void dget(struct dentry *d);
void dget_locked(struct dentry *d);
void dput(struct dentry *d); /* NULL is fine. May sleep */
/** Is `a` the same as `d`, or above it? dcache_lock held. */
bool d_is_ancestor(const struct dentry *a, const struct dentry *d);
/** Does the directory have positive children? */
bool d_has_children(struct dentry *d);
/** A file system is unmounted: drop the dentries below `root`, also those that are the directory entries themselves. A
 * dentry that is still in use stays, with its parents. */
void d_shrink_tree(struct dentry *root);
u64 nr_dentries(void);
/** /proc/sys/vm/vfs_cache_pressure: how many dentries and inodes to free, in per cent of what reclaim asks for. 0:
 * none. */
extern int sysctl_vfs_cache_pressure;
static inline unsigned long vfs_pressure_ratio(unsigned long objects)
{
	unsigned long percent = (unsigned long)READ_ONCE(sysctl_vfs_cache_pressure);

	return objects / 100 * percent + objects % 100 * percent / 100;
}

/* ---- inode.c ---------------------------------------------------------------------------------- */
void inode_cache_init(void);
/** Free all unused inodes of a file system. False: some are in use. */
bool evict_inodes(struct super_block *sb);
/** Write the changed inodes of sb (NULL: of all file systems) into their metadata pages. */
int sync_inodes(struct super_block *sb);
u64 nr_inodes(void);

/* ---- mount.c ---------------------------------------------------------------------------------- */
void mount_init(void);
/** All mounts. It changes under mount_mutex and dcache_lock; either is enough to read it. */
extern struct list_head mounts;
extern struct mutex mount_mutex;
/** Initialise a mount of sb, with one reference, which is attached nowhere yet. The caller has set m->root, with a
 * reference. mount_mutex held. */
void mount_init_one(struct mount *m, struct super_block *sb, const char *source);
/** The mount after m in a walk of the tree `top`, parents before children. NULL: m is the last. mount_mutex held. */
struct mount *mount_next(const struct mount *m, const struct mount *top);
/** Is m in the tree `top`? mount_mutex held. */
bool mount_is_below(const struct mount *m, const struct mount *top);
/** Attach m to `point` of `parent`, and take a reference on both. dcache_lock held. */
void mount_place(struct mount *m, struct mount *parent, struct dentry *point);
/** Attach the tree `top` to `at`, and copies of it to all mounts that receive from there (mount_share.c). `moving`:
 * detach it first from where it is mounted now. The references of `at` stay the caller's. 0; -ENOENT: the place was
 * removed; -ENOTDIR; -EINVAL; -ENOMEM. On an error nothing has changed. mount_mutex held. */
int mount_graft(struct mount *top, const struct path *at, bool moving);
/** Lock mount_mutex, and step from `at` to the root of the topmost mount there. No locks held before. */
void mount_lock_at(struct path *at);
/** Free a mount that is attached nowhere and, if it was the last mount of its file system, the file system. mount_mutex
 * held. */
void unmake_mount(struct mount *m);
/** Free a tree of mounts that was never attached. mount_mutex held. */
void unmake_tree(struct mount *top);
/** path_put() of a path that was looked up to unmount it. For MNT_EXPIRE that does not count as a use of the mount. */
void path_put_unused(struct path *path);
/** Free the detached mounts that are no longer in use. No locks held. */
void __mounts_reap(void);
extern struct list_head dead_mounts;
static inline void mounts_reap(void)
{
	if (unlikely(READ_ONCE(dead_mounts.next) != &dead_mounts))
		__mounts_reap();
}
/** dcache_lock and mount_mutex held: m is mounted nowhere. *at: where it was, with the references that it had. */
void mount_unplace(struct mount *m, struct path *at);
/** mount_mutex held: is a file open for writing, by this mount or, with `all`, by any of its file system? */
bool mount_has_writers(const struct mount *m, bool all);
/** mount_mutex held: write the inodes and what else the file system keeps. 0, or the first error. */
int sync_sb(struct super_block *sb);
/* mount_bind.c */
/** Bind mount: make `source` visible at `at`, too; with `tree` also the mounts below it. Puts `at`. 0 or -errno. */
int mount_bind(const char *source, struct path *at, bool tree);
/** Move the mount whose root is `source` to `at`. Puts `at`. 0 or -errno. */
int mount_move(const char *source, struct path *at);
/** Copy the mount of `from`, with its dentry as root. With `tree`, copy the mounts below it, too, except unbindable
 * ones. `how`: COPY_*. Returns the copy, attached nowhere, or ERR_PTR(-ENOMEM, or -EINVAL: the mount is unbindable).
 * mount_mutex held. */
struct mount *mount_copy(const struct path *from, bool tree, u32 how);
/* the copy receives from the original */
#define COPY_SLAVE 1u
/* the copy is a peer of the original; with COPY_SLAVE it is the first of a new group */
#define COPY_SHARED 2u

/* mount_share.c: mount_mutex held */
/** Set the type of a mount: MS_SHARED (the caller has set m->group), MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE. */
void mount_set_type(struct mount *m, u32 type);
/** mount(2) with one of these flags, and perhaps MS_REC and MS_SILENT. 0 or -EINVAL. */
int mount_change_type(const struct path *at, u32 flags);
/** Let a new copy of `from` join its groups. `how`: COPY_*. */
void mount_join(struct mount *copy, struct mount *from, u32 how);
/** Prepare mounting `top` at `at`, which is in a shared mount. Links the mounts that receive a copy into `receivers`,
 * by `receive`; `received` of each is its copy of the tree. 0: end it with mount_propagate_end(). -errno: nothing has
 * changed. */
int mount_propagate(struct mount *top, const struct path *at, struct list_head *receivers);
/** `attached`: the copies were attached, and the tree is shared. Otherwise the copies are freed. */
void mount_propagate_end(struct mount *top, struct list_head *receivers, bool attached);
/** Is a mount in use that umount(2) of m would unmount? `own`: the caller's references on m. dcache_lock held, too. */
bool mount_is_busy(struct mount *m, int own);
/** Link all mounts that are unmounted with the tree `top` by `going`: the tree, and its copies elsewhere. dcache_lock
 * held, too. */
void mount_collect(struct mount *top, struct list_head *going);
/** Can a process with this root name the root of m? dcache_lock held, too. */
bool mount_is_reachable(const struct mount *m, const struct path *root);
/** Write " shared:1 master:2 propagate_from:3 unbindable", as far as it holds, for /proc/PID/mountinfo. */
void mount_report_type(struct report *r, struct mount *m);
struct mount *root_mount(void);
/* mount_path.c */
/** The mount on this dentry of `parent`. NULL: there is none. dcache_lock or mount_mutex held. */
struct mount *mounted_at(const struct mount *parent, const struct dentry *point);
/** As long as something is mounted on the path, step to the root of that mount. dcache_lock held. */
void follow_mounts(struct path *path);
/** Step to the parent directory, across mounts, but not above `root`. dcache_lock held. */
void path_up(struct path *path, const struct path *root);

/* ---- namei.c ---------------------------------------------------------------------------------- */
struct walk_frame {
	char *buf;     /* the target of a symbolic link, or NULL: the caller's name */
	const char *p; /* the rest of it */
};
enum last_type { LAST_NORM, LAST_ROOT, LAST_DOT, LAST_DOTDOT };
/** A walk along a path. While dcache_lock is held, `path` has no references. `hold` and `extra` have those that are
 * needed to keep it alive when the lock is released. */
struct walk {
	struct path path;
	struct path hold;     /* with references, or empty */
	struct dentry *extra; /* with a reference, or NULL */
	struct file *start;   /* AT_*: the directory's file, or NULL */
	struct walk_frame frame[MAXSYMLINKS + 1];
	u32 depth;	  /* of the current frame */
	u32 nr_links;	  /* followed so far */
	const char *last; /* the last component */
	u32 last_len;
	enum last_type last_type;
	bool trailing;	       /* slashes follow it */
	struct file *nameless; /* with a reference: of -ENXIO, the file without a path */
};
/** Begin a walk at dfd or the root. 0: dcache_lock is held. -errno: it is not, and there is no walk to end. */
int walk_begin(struct walk *w, int dfd, const char *name);
/** Walk up to the last component, which stays in w->last. dcache_lock held before and after. */
int walk_parent(struct walk *w);
/** How to treat a symbolic link that is the last component. */
enum last_link { KEEP_LINK, FOLLOW_LINK };
/** Walk the last component. 0: w->path is the place. 1: it is a symbolic link that is being followed, so call
 * walk_parent() again. Or -errno. dcache_lock held before and after. */
int walk_last(struct walk *w, enum last_link link);
/** Follow the symbolic link d: walk its target next. 0 or -errno. dcache_lock held before and after. */
int walk_link(struct walk *w, struct dentry *d);
/** Take references on w->path and release dcache_lock. */
void walk_unlock(struct walk *w);
/** End the walk. dcache_lock not held. */
void walk_end(struct walk *w);
/** Find the dentry of `name` in dir, perhaps a negative one, with a reference. Asks the file system if necessary. 0 or
 * -errno. dir's lock is held for writing. */
int lookup_locked(struct dentry *dir, const char *name, u32 len, struct dentry **d);

/* ---- permission.c ----------------------------------------------------------------------------- */
#define MAY_EXEC  1u /* of directories: search */
#define MAY_WRITE 2u
#define MAY_READ  4u
/** Check access (MAY_*) by the caller's file-system ids and capabilities. 0 or -EACCES. */
int inode_permission(const struct inode *inode, u32 mask);
/** The same by the real ids, for access(2). */
int inode_permission_real(const struct inode *inode, u32 mask);
bool inode_owner_or_capable(const struct inode *inode);
/** May the caller create a name in `dir`, or (may_delete()) remove the one of `victim`? 0, -EACCES, or -EPERM: the
 * directory is sticky. The lock of `dir` is held. */
int may_create_in(const struct inode *dir);
int may_delete(const struct inode *dir, const struct inode *victim);
/** Set the owner of a new inode, which no other task can find yet, to the caller. `dir`: its directory. */
void inode_init_owner(struct inode *inode, const struct inode *dir);
/** The file is being written: clear set-user-ID and set-group-ID, unless the writer has CAP_FSETID. */
void file_remove_privs(struct inode *inode);

/* ---- open.c ----------------------------------------------------------------------------------- */
/** Open the file at a path. 0 and *file with a reference, or -errno. */
int open_path(const struct path *path, u32 flags, struct file **file);

/* ---- tmpfs.c, devices.c ----------------------------------------------------------------------- */
void tmpfs_init(void);
void devices_init(void);
/** Mount /dev, with the nodes of all devices. 0 or -errno. */
int devices_mount(void);

static inline bool sb_in_memory(const struct super_block *sb)
{
	return !sb->ops->read_inode;
}
#endif
