/*
 * What the files of fs/ share and nobody else needs: the dentry tree, the walk, the lists.
 */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H
#include "fs/vfs.h"
#include "fs/file.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

/* ---- dcache.c --------------------------------------------------------------------------------- */
/** Guards the tree of names, reference counts of dentries and mounts, and where processes are. */
extern spinlock_t dcache_lock;
void dcache_init(void);
u32 name_hash(const struct dentry *parent, const char *name, u32 len);
/** dcache_lock held: the child of that name, negative ones included, or NULL. No reference. */
struct dentry *d_find(const struct dentry *parent, const char *name, u32 len);
/** A dentry in no tree that knows its parent, with one reference, or NULL. */
struct dentry *d_alloc(struct dentry *parent, const char *name, u32 len);
/** The root of a file system: takes over the caller's reference on `inode`. NULL: no memory. */
struct dentry *d_alloc_root(struct inode *inode);
/** dcache_lock held: something is mounted on the dentry; and no longer. */
void dentry_set_mounted(struct dentry *d);
void dentry_clear_mounted(struct dentry *d);
/** The parent's inode lock held: put it into the tree; `inode` (or NULL) with its reference. */
void d_add(struct dentry *d, struct inode *inode);
/** A negative dentry in the tree gets its inode, with the caller's reference. In a file system that
 * lives in memory it is the directory entry from now on, and stays. */
void d_instantiate(struct dentry *d, struct inode *inode);
/** The name has been removed: nobody finds it any more. The dentry is freed with its last user. */
void d_unlink(struct dentry *d);
/** A name a dentry is going to have, with the memory for it. */
struct new_name {
	const char *name;
	u32 len;
	char *own; /* NULL: small enough, or used */
};
/** 0 or -ENOMEM; kfree(n->own) at the end. */
int d_name_alloc(struct new_name *n, const char *name, u32 len);
/** Both parents' locks held: the dentry moves to a name that no other has. */
void d_move(struct dentry *d, struct dentry *new_parent, struct new_name *n);
/** Two dentries change places. */
void d_exchange(struct dentry *a, struct dentry *b);
void dget(struct dentry *d);
void dget_locked(struct dentry *d);
void dput(struct dentry *d); /* NULL is fine. May sleep */
/** Is `a` the same as `d`, or above it? dcache_lock held. */
bool d_is_ancestor(const struct dentry *a, const struct dentry *d);
/** Has the directory positive children? */
bool d_has_children(struct dentry *d);
/** A file system is unmounted: drop the cached dentries below `root`, those that are the directory entries themselves,
 * too. One that somebody still uses stays, with those above it. */
void d_shrink_tree(struct dentry *root);
u64 nr_dentries(void);
/** How readily dentries and inodes are freed, in per cent of what reclaim asks for; 0: never. */
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
/** mount_mutex serialises mounting; the list changes under dcache_lock, too. */
extern struct list_head mounts;
extern struct mutex mount_mutex;
/** mount_mutex held, m->root and its reference set: one more mount of sb, attached nowhere, with one reference. */
void mount_init_one(struct mount *m, struct super_block *sb, const char *source);
/** mount_mutex held: the next of the tree that begins with top, parents before their children. NULL: m is the last. */
struct mount *mount_next(const struct mount *m, const struct mount *top);
/** mount_mutex held: is m in the tree that begins with top? */
bool mount_is_below(const struct mount *m, const struct mount *top);
/** dcache_lock held: m is mounted on `point` of `parent` from now on, which gets a reference on both. */
void mount_place(struct mount *m, struct mount *parent, struct dentry *point);
/** mount_mutex held: put the tree `top` on `at`, and copies of it on all that receive from there. `moving`: it is
 * mounted somewhere, and is not after that. The references of `at` stay the caller's. 0, -ENOENT: the place was
 * removed, -ENOTDIR, -EINVAL, -ENOMEM: nothing has changed. */
int mount_graft(struct mount *top, const struct path *at, bool moving);
/** No locks held: lock mount_mutex, and go to the top of what is mounted at `at`. */
void mount_lock_at(struct path *at);
/** mount_mutex held: free a mount that is attached nowhere; with the last one of a file system that as well. */
void unmake_mount(struct mount *m);
/** mount_mutex held: free a tree that was never attached. */
void unmake_tree(struct mount *top);
/** path_put() of a path that was looked up to unmount it: that is no use of the mount (MNT_EXPIRE). */
void path_put_unused(struct path *path);
/** Free the detached mounts that have no user any more. No locks held. */
void __mounts_reap(void);
extern struct list_head dead_mounts;
static inline void mounts_reap(void)
{
	if (unlikely(READ_ONCE(dead_mounts.next) != &dead_mounts))
		__mounts_reap();
}
/* mount_bind.c */
/** What `source` names is at `at` as well; with `tree` what is mounted below it, too. `at` is put. 0 or -errno. */
int mount_bind(const char *source, struct path *at, bool tree);
/** The mount whose root `source` names is at `at` instead of where it was. `at` is put. 0 or -errno. */
int mount_move(const char *source, struct path *at);
/** mount_mutex held: a copy of `from`'s mount that begins at its dentry and, with `tree`, of what is mounted below,
 * but for unbindable mounts. Attached nowhere. `how`: COPY_*. -EINVAL: it is unbindable; -ENOMEM. */
struct mount *mount_copy(const struct path *from, bool tree, u32 how);
/* receives from what it is a copy of */
#define COPY_SLAVE 1u
/* is a peer of what it is a copy of; with COPY_SLAVE the first of a new group */
#define COPY_SHARED 2u

/* mount_share.c: mount_mutex held */
/** MS_SHARED (m->group is set), MS_PRIVATE, MS_SLAVE or MS_UNBINDABLE. */
void mount_set_type(struct mount *m, u32 type);
/** mount(2) with one of the four, MS_REC and MS_SILENT: 0 or -EINVAL. */
int mount_change_type(const struct path *at, u32 flags);
/** A new copy joins the groups that it belongs to. `how`: COPY_*. */
void mount_join(struct mount *copy, struct mount *from, u32 how);
/** `top` is to be mounted at `at`, a shared place. Each mount in `receivers`, linked by `receive`, has its copy of the
 * tree in `received`. End it with mount_propagate_end(). -errno: nothing has changed. */
int mount_propagate(struct mount *top, const struct path *at, struct list_head *receivers);
/** `attached`: the tree is shared from now on. Else the copies are freed. */
void mount_propagate_end(struct mount *top, struct list_head *receivers, bool attached);
/** dcache_lock held, too: is something used that umount(2) of m would unmount? `own`: the caller's references on m. */
bool mount_is_busy(struct mount *m, int own);
/** dcache_lock held, too: link by `going` what is unmounted with the tree `top`: the tree, and its copies elsewhere. */
void mount_collect(struct mount *top, struct list_head *going);
/** dcache_lock held, too: can m's root be named by who has this root? */
bool mount_is_reachable(const struct mount *m, const struct path *root);
/** " shared:1 master:2 propagate_from:3 unbindable", as in /proc/PID/mountinfo. */
void mount_report_type(struct report *r, struct mount *m);
struct mount *root_mount(void);
/* mount_path.c */
/** dcache_lock or mount_mutex held: what is mounted there. NULL: nothing. */
struct mount *mounted_at(const struct mount *parent, const struct dentry *point);
/** While something is mounted here, step to its root. dcache_lock held. */
void follow_mounts(struct path *path);
/** dcache_lock held: one step up, through mounts, not above `root`. */
void path_up(struct path *path, const struct path *root);

/* ---- namei.c ---------------------------------------------------------------------------------- */
struct walk_frame {
	char *buf;     /* the target of a symbolic link, or NULL: the caller's name */
	const char *p; /* what is left of it */
};
enum last_type { LAST_NORM, LAST_ROOT, LAST_DOT, LAST_DOTDOT };
/** A walk along a path. While dcache_lock is held `path` needs no references; `hold` and `extra`
 * keep alive what it needs beyond that. */
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
	struct file *nameless; /* with a reference: what -ENXIO is about, or NULL */
};
/** Begin at dfd or the root: 0 with dcache_lock held, or -errno without it and nothing to end. */
int walk_begin(struct walk *w, int dfd, const char *name);
/** Walk up to the last component, which stays in w->last. dcache_lock held before and after. */
int walk_parent(struct walk *w);
/** What becomes of a symbolic link as the last component. */
enum last_link { KEEP_LINK, FOLLOW_LINK };
/** Take the last component: 1 = it was a symbolic link and is being followed: walk_parent() again;
 * 0 = w->path is the place; or -errno. dcache_lock held before and after. */
int walk_last(struct walk *w, enum last_link link);
/** Push the symbolic link d, so that its target is walked next. dcache_lock held before and after. */
int walk_link(struct walk *w, struct dentry *d);
/** Take references on w->path and release dcache_lock. */
void walk_unlock(struct walk *w);
/** The end, dcache_lock not held. */
void walk_end(struct walk *w);
/** dir's lock held for writing: the dentry of `name`, asked from the file system if need be, with a
 * reference. */
int lookup_locked(struct dentry *dir, const char *name, u32 len, struct dentry **d);

/* ---- permission.c ----------------------------------------------------------------------------- */
#define MAY_EXEC  1u /* of directories: search */
#define MAY_WRITE 2u
#define MAY_READ  4u
/** By the caller's file-system ids and capabilities. 0 or -EACCES. */
int inode_permission(const struct inode *inode, u32 mask);
/** The same by the real ids, for access(2). */
int inode_permission_real(const struct inode *inode, u32 mask);
bool inode_owner_or_capable(const struct inode *inode);
/** Names in `dir`: 0, -EACCES, or -EPERM for a directory that is sticky. Its lock held. */
int may_create_in(const struct inode *dir);
int may_delete(const struct inode *dir, const struct inode *victim);
/** A new inode, not yet known to anybody else, belongs to the caller; `dir`: where it was made. */
void inode_init_owner(struct inode *inode, const struct inode *dir);
/** The file is written to: drop set-user-ID and set-group-ID, unless the writer has CAP_FSETID. */
void file_remove_privs(struct inode *inode);

/* ---- open.c ----------------------------------------------------------------------------------- */
/** Open what a path leads to. */
int open_path(const struct path *path, u32 flags, struct file **file);

/* ---- tmpfs.c, devices.c ----------------------------------------------------------------------- */
void tmpfs_init(void);
void devices_init(void);
/** /dev with the nodes of all devices. 0 or -errno. */
int devices_mount(void);

static inline bool sb_in_memory(const struct super_block *sb)
{
	return !sb->ops->read_inode;
}
#endif
