/*
 * Names and files: the virtual file system.
 *
 *   struct file ──> struct path: (mount, dentry) ──> inode ──> super_block ──> file system
 *                                     │                └─ address_space i_data: the pages
 *                                     └ parent, children by hash: the tree of names that was walked
 *
 * A dentry is a name in a directory. A negative dentry (inode NULL) records that there is no such name. The cache
 * of dentries and inodes shrinks under memory pressure, but a dentry that is open, mounted, a working directory, or a
 * parent of a cached dentry stays. In file systems in memory (tmpfs, proc's static part) the dentry is the directory
 * entry: it stays until it is unlinked.
 *
 * Permissions are checked in fs/permission.c, by the caller's credentials (kernel/cred.h).
 *
 * Locks, outermost first: sb->rename_lock > inode->lock of the parent > of the child > (pagecache.h).
 * dcache_lock (spinlock): the tree of dentries, reference counts that fall to zero, mounts. inode_lock
 * (spinlock): inode hash and lists. mount_mutex (fs/mount.c): what changes mounts and super blocks.
 *
 * Beside the fields: the lock that protects them; A atomic, C constant once the object can be found.
 */
#ifndef FS_VFS_H
#define FS_VFS_H
#include "lib/format.h"
#include "lib/mode.h"
#include "mm/cache/pagecache.h"

#define NAME_MAX    255
#define PATH_MAX    4096
#define MAXSYMLINKS 40
#define DNAME_SMALL 32

struct inode;
struct dentry;
struct path;
struct super_block;
struct file;
struct file_ops;
struct vfs_stat;
struct vfs_statfs;

struct vfs_time {
	s64 sec;
	s32 nsec;
};

/** The kind of inode determines which of these are set. All may sleep; 0 or -errno. The parent directory's lock is
 * held where a `dir` is given (create, unlink...: for writing). */
struct inode_ops {
	/** Find `name` in dir. *inode receives its inode, with a reference. -ENOENT: there is no such name. */
	int (*lookup)(struct inode *dir, const char *name, u32 len, struct inode **inode);
	/** Create a regular file, directory or node, depending on mode; rdev is for nodes. *inode receives the new
	 * inode with a reference. */
	int (*create)(struct inode *dir, const char *name, u32 len, u32 mode, u64 rdev,
		      struct inode **inode);
	int (*symlink)(struct inode *dir, const char *name, u32 len, const char *target,
		       struct inode **inode);
	int (*link)(struct inode *dir, const char *name, u32 len, struct inode *inode);
	int (*unlink)(struct inode *dir, const char *name, u32 len, struct inode *inode);
	int (*rmdir)(struct inode *dir, const char *name, u32 len, struct inode *inode);
	/** `victim`: the present inode of new_name, or NULL. */
	int (*rename)(struct inode *old_dir, const char *old_name, u32 old_len, struct inode *inode,
		      struct inode *new_dir, const char *new_name, u32 new_len,
		      struct inode *victim);
	/** Copy a symbolic link's target to buf, with its NUL. Returns its length or -errno. */
	long (*readlink)(struct inode *inode, char *buf, size_t size);
	/** A magic link (proc): get the place itself, with references. NULL: readlink() has the target. */
	int (*follow)(struct inode *inode, struct path *path);
	/** When follow() returns -ENXIO: the file without a path, with a reference, or NULL. */
	struct file *(*follow_file)(struct inode *inode);
	/** Create a file without a name in dir's file system, with nlink 0 (O_TMPFILE). NULL: -EOPNOTSUPP. */
	int (*tmpfile)(struct inode *dir, u32 mode, struct inode **inode);
	/** fallocate(2) with mode FALLOC_FL_*; inode->lock held. NULL: -EOPNOTSUPP. */
	int (*fallocate)(struct inode *inode, u32 mode, u64 offset, u64 len);
	/** Set the file's size: blocks, i_data.size, pages. NULL: only i_data changes. inode->lock held. */
	int (*truncate)(struct inode *inode, u64 size);
	/** Find the place of page `index` of the file on the disk: its first sector, and how many pages (at most `max`)
	 * follow each other there. 0; *nr is 0 if the page is not contiguous, or not aligned to a page. -EINVAL: it
	 * is a hole. NULL: such files cannot be swap areas. */
	int (*bmap)(struct inode *inode, u64 index, u64 max, u64 *sector, u64 *nr);
	/** Mode, owner or times of the inode have changed: arrange that they are written. NULL: nothing to do. */
	void (*dirty)(struct inode *inode);
	/** Fill in the parts of stat(2)'s answer that are not in struct inode. NULL: there are none. */
	void (*getattr)(struct inode *inode, struct vfs_stat *st);
};

/** stat(2)'s answer, as x86-64 Linux lays it out. */
struct vfs_stat {
	u64 dev, ino, nlink;
	u32 mode, uid, gid, pad;
	u64 rdev;
	s64 size, blksize, blocks;
	u64 atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec;
	s64 unused[3];
};
_Static_assert(sizeof(struct vfs_stat) == 144, "Linux's ABI");

struct inode {
	struct super_block *sb; /* C */
	u64 ino;		/* C */
	s32 refs;     /* A; at 0 it stays cached while nlink != 0 and its file system has a disk */
	u32 mode;     /* lock */
	u32 uid, gid; /* lock */
	u32 nlink;    /* lock */
	u64 rdev;     /* C */
	u64 blocks;   /* lock: of 512 bytes */
	struct vfs_time atime, mtime, ctime; /* lock; A for atime */
	const struct inode_ops *ops;	     /* C */
	const struct file_ops *fops;	     /* C: what open() gives the file */
	struct rw_semaphore lock;	     /* its own */
	struct address_space i_data; /* its own: regular files, block devices, fs metadata */
	struct list_head sb_list;    /* inode_lock: sb->inodes */
	struct list_head hash;	     /* inode_lock: by (sb, ino) */
	struct list_head lru;	     /* inode_lock: while it is unused */
	bool rotated;		     /* inode_lock: the shrinker has skipped it once */
	s32 writers;		     /* A: files open for writing; below 0: running programs */
	bool dirty;		     /* A: the inode's fields have changed and must be written */
	bool swapfile;	/* lock: a swap area: may not be written, mapped writable, cut, unlinked */
	u8 state;	/* inode_lock: being read, or freed */
	void *private_; /* C, what it points to is the file system's */
	struct xattr *xattrs;	       /* lock: xattr.c */
	bool xattrs_loaded;	       /* lock: for file systems that have them on a disk */
	struct inotify_watch *watches; /* notify_lock: event/notify.c */
};

struct dentry {
	s32 refs;		   /* dcache_lock */
	u32 hash;		   /* C while in the tree */
	struct dentry *parent;	   /* dcache_lock; the root: itself */
	struct inode *inode;	   /* dcache_lock; NULL: negative */
	struct list_head children; /* dcache_lock */
	struct list_head sibling;  /* dcache_lock */
	struct list_head bucket;   /* dcache_lock: hash of (parent, name) */
	struct list_head lru;	   /* dcache_lock: unused */
	u64 cookie;		   /* dcache_lock: its place in the directory's order */
	bool unlinked;		   /* dcache_lock: its name was removed */
	bool mounted;		   /* dcache_lock: something is mounted on it */
	bool pinned;		   /* dcache_lock: it is the directory entry, with a reference */
	bool tmpfile;		   /* C: created without a name, may get one (O_TMPFILE) */
	u32 len;		   /* dcache_lock */
	const char *name;	   /* dcache_lock: small, or memory of its own */
	char small[DNAME_SMALL];   /* dcache_lock */
};

/** A mounted file system. Groups of mounts, and propagation between them, are in mount_share.c. */
struct mount {
	struct super_block *sb;	   /* C */
	struct mount *parent;	   /* dcache_lock: NULL: the root */
	struct dentry *point;	   /* dcache_lock: in the parent, with a reference */
	struct dentry *root;	   /* C: with a reference */
	struct list_head list;	   /* dcache_lock: all mounts */
	struct list_head children; /* dcache_lock, to change mount_mutex, too: mounts on it */
	struct list_head child;	   /* dcache_lock: in the parent's children */
	s32 refs;		   /* dcache_lock: paths in use, child mounts, being mounted */
	bool read_only;	 /* mount_mutex to change, read without it; see mount_read_only() */
	bool detached;	 /* dcache_lock: it was taken out of the tree; freed with its last user */
	bool expire;	 /* dcache_lock: not used since an umount with MNT_EXPIRE */
	bool shared;	 /* mount_mutex: mounts on it are mounted on its peers, too */
	bool unbindable; /* mount_mutex: bind mounts do not copy it */
	s32 writers;	 /* A: files that were opened for writing through it */
	int id;		 /* C: as /proc/PID/mountinfo names it */
	int group;	 /* mount_mutex: the number of its peers' group, 0: it is not shared */
	struct list_head peers;	  /* mount_mutex: the others of its group; empty: none */
	struct mount *master;	  /* mount_mutex: of a slave, one of the group it receives from */
	struct list_head slaves;  /* mount_mutex: the mounts that have it as master */
	struct list_head slave;	  /* mount_mutex: in the master's slaves */
	struct list_head receive; /* mount_mutex: during one call: in a list of receivers */
	struct mount *received;	  /* mount_mutex: during one call: the copy that it receives */
	struct list_head going; /* mount_mutex: during one call: in the list of mounts to unmount */
	u32 flags;		/* mount_mutex to change, read without it: MS_* of MNT_FLAGS */
	char source[32];	/* C */
};

struct path {
	struct mount *mnt;
	struct dentry *dentry;
};

struct super_ops {
	/** Read the inode with number inode->ino into memory. NULL: inodes exist as long as their dentries. */
	int (*read_inode)(struct inode *inode);
	/** Copy the inode's fields to its metadata page, which is written later. */
	int (*write_inode)(struct inode *inode);
	/** Called when refs and nlink are 0: free the blocks and the inode on the disk. */
	void (*evict_inode)(struct inode *inode);
	/** Free inode->private_. Memory only. */
	void (*free_inode)(struct inode *inode);
	/** Load the inode's extended attributes, with xattr_add() for each, when they are first used. inode->lock is
	 * held for writing. NULL: they exist in memory only. */
	int (*xattr_load)(struct inode *inode);
	/** inode->xattrs has changed: store it. On an error the caller restores the old value: -ENOSPC, -EIO ... */
	int (*xattr_store)(struct inode *inode);
	/** Write everything to the disk, and wait. */
	int (*sync_fs)(struct super_block *sb);
	void (*statfs)(struct super_block *sb, struct vfs_statfs *st);
	/** Make the file system read-only or writable. All data have been written before. `options`: mount(2)'s
	 * string. NULL: nothing to do, and there are no options. */
	int (*remount)(struct super_block *sb, bool read_only, const char *options);
	/** Write ",name=value" for each option that differs from its default, for /proc/mounts. NULL: no options. */
	void (*show_options)(struct report *r, struct super_block *sb);
	void (*put_super)(struct super_block *sb);
};

/** statfs(2)'s answer. */
struct vfs_statfs {
	s64 type, bsize;
	u64 blocks, bfree, bavail, files, ffree;
	s32 fsid[2];
	s64 namelen, frsize, flags, spare[4];
};
_Static_assert(sizeof(struct vfs_statfs) == 120, "Linux's ABI");

struct super_block {
	const struct fs_type *type;  /* C */
	const struct super_ops *ops; /* C */
	struct block_device *bdev;   /* C; NULL: none */
	u64 dev;		     /* C: st_dev */
	u32 blocksize;		     /* C */
	u64 max_size;		     /* C: of a file */
	bool read_only;		     /* mount_mutex to change, read without it */
	u32 flags;		     /* mount_mutex to change, read without it: MS_* of SB_FLAGS */
	struct inode *root;	     /* C, with a reference */
	struct dentry *root_dentry;  /* C, with a reference */
	s32 active;		     /* mount_mutex: its mounts */
	struct list_head inodes;     /* inode_lock */
	struct mutex rename_lock;    /* its own */
	struct list_head list;	     /* mount_mutex: all super blocks */
	void *private_;		     /* C, what it points to is the file system's */
};

/** Is the mount or its file system read-only? */
static inline bool mount_read_only(const struct mount *m)
{
	return READ_ONCE(m->read_only) || READ_ONCE(m->sb->read_only);
}

struct fs_type {
	const char *name; /* "ext2", "tmpfs", "proc" */
	u32 magic;	  /* statfs */
	bool needs_bdev;
	bool xattrs;	     /* files have extended attributes (xattr.c) */
	bool volatile_names; /* names appear and disappear by themselves (proc): ask each time */
	/** Fill in sb and create its root inode. `options`: mount(2)'s string or "". 0 or -errno. */
	int (*mount)(struct super_block *sb, const char *options);
	struct list_head list;
};
void register_filesystem(struct fs_type *type);

/* inode.c */
/** Create an inode that is in no hash, with one reference, for file systems in memory and for new files. NULL: no
 * memory. */
struct inode *new_inode(struct super_block *sb, u64 ino);
/** Put the inode, which must be complete, into the hash. */
void insert_inode(struct inode *inode);
/** Get inode `ino` of sb, with a reference, from the cache or by read_inode(). NULL: *err has the error. May sleep. */
struct inode *iget(struct super_block *sb, u64 ino, int *err);
void iget_ref(struct inode *inode); /* one more reference */
void iput(struct inode *inode);	    /* NULL is fine. May sleep */
void mark_inode_dirty(struct inode *inode);
struct vfs_time current_time(void);
#define S_MTIME 1u
#define S_CTIME 2u
/** Set the selected times of the inode to the present. Marks it dirty. */
void inode_touch(struct inode *inode, unsigned int which);
/** Mark an inode dirty of which only times have changed. With MS_LAZYTIME they stay in memory until the inode is
 * synced, changed in another way, or freed. */
void mark_inode_times_dirty(struct inode *inode);
/** Update mtime and ctime after a write. */
void inode_touch_data(struct inode *inode);
/** Call it after a change of names. With MS_DIRSYNC or MS_SYNCHRONOUS it writes them to the disk. No locks held. 0 or
 * -errno. */
int sync_names(struct super_block *sb);

/* fs_struct.c: where a process is in the tree of names */
struct fs_struct {
	s32 refs;	       /* A: processes that share it (CLONE_FS) */
	u32 umask;	       /* A */
	struct path root, pwd; /* dcache_lock; with references */
};
/** The fs_struct of the current process; in a kernel thread, the kernel's own. */
struct fs_struct *current_fs(void);
/* fs_dup(), fs_get(), fs_put(): kernel/fs_hooks.h. */
/** Change the working directory. Takes over the path's references. */
void fs_set_pwd(struct path *path);
void fs_set_root(struct path *path);
void fs_get_pwd(struct path *path); /* with references */
enum fs_place { PLACE_CWD, PLACE_ROOT };
/** Its root or working directory, with references. */
void fs_get_place(struct fs_struct *fs, enum fs_place place, struct path *path);

/* namei.c */
#define LOOKUP_FOLLOW	    1u /* a symbolic link at the end, too */
#define LOOKUP_DIRECTORY    2u
#define AT_FDCWD	    (-100)
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_REMOVEDIR	    0x200
#define AT_EACCESS	    0x200
#define AT_SYMLINK_FOLLOW   0x400
#define AT_NO_AUTOMOUNT	    0x800
#define AT_EMPTY_PATH	    0x1000
/** Look a name up. *path receives its place, with references, to be dropped with path_put(). `dfd`: the directory of
 * relative names. 0 or -errno. */
int path_lookup(int dfd, const char *name, u32 flags, struct path *path);
/** The same. If the name is /proc/PID/fd/N of a file without a path (a pipe), *path is empty and *file receives the
 * file with a reference. */
int path_lookup_file(int dfd, const char *name, u32 flags, struct path *path, struct file **file);
void path_put(struct path *path);
void path_get(const struct path *path);
void path_get_locked(const struct path *path); /* dcache_lock held */
/** Write the full name to the end of buf, with " (deleted)" as in Linux. Returns its start, or NULL: it is too long. */
char *path_name(const struct path *path, char *buf, size_t size);
#define MS_RDONLY      1u
#define MS_NOSUID      2u
#define MS_NODEV       4u
#define MS_NOEXEC      8u
#define MS_SYNCHRONOUS 16u
#define MS_REMOUNT     32u
#define MS_MANDLOCK    64u
#define MS_DIRSYNC     128u
#define MS_NOSYMFOLLOW 256u
#define MS_NOATIME     1024u
#define MS_NODIRATIME  2048u
#define MS_BIND	       4096u
#define MS_MOVE	       8192u
#define MS_REC	       16384u
#define MS_SILENT      32768u
#define MS_UNBINDABLE  (1u << 17)
#define MS_PRIVATE     (1u << 18)
#define MS_SLAVE       (1u << 19)
#define MS_SHARED      (1u << 20)
#define MS_RELATIME    (1u << 21)
#define MS_STRICTATIME (1u << 24)
#define MS_LAZYTIME    (1u << 25)
#define MS_NOUSER      (1u << 31)
/** The flags of a mount. */
#define MNT_FLAGS                                                                         \
	(MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW | MS_NOATIME | MS_NODIRATIME | \
	 MS_STRICTATIME)
/** The flags of a file system, which hold for all its mounts. MS_MANDLOCK is shown but has no effect, as in Linux since
 * 5.15. */
#define SB_FLAGS (MS_SYNCHRONOUS | MS_MANDLOCK | MS_DIRSYNC | MS_LAZYTIME)
/** Does MS_NOEXEC forbid to execute files there? */
static inline bool path_noexec(const struct path *path)
{
	return path->mnt && READ_ONCE(path->mnt->flags) & MS_NOEXEC;
}
/** Mount a file system at a path, as mount(2). 0 or -errno. */
int vfs_mount(const char *type, const char *source, const char *target, u32 flags,
	      const char *options);
/** Unmount, as umount2(2) with these flags. 0 or -errno. */
int vfs_umount(const char *target, u32 flags);
/** At boot: mount a disk ("/dev/vda" or "vda") as the root of programs that are started later. 0 or -errno. */
int vfs_mount_root(const char *type, const char *source, u32 flags);
/** Write all dirty data of a file system, and wait (syncfs(2)). 0 or -errno. */
int sync_filesystem(struct super_block *sb);
void report_mounts(struct report *r);	   /* as /proc/mounts */
void report_mountinfo(struct report *r);   /* as /proc/PID/mountinfo */
void report_filesystems(struct report *r); /* as /proc/filesystems */
/** Find a disk by the path of its block special file, or by its name ("vda"). 0, -ENOENT, -ENOTBLK, -ENXIO... */
int bdev_lookup(const char *path, struct block_device **bdev);
/** Write everything that is dirty and wait: sync(2). */
void vfs_sync(void);
/** swapoff(2) of all swap files whose contents fit into memory (swap_calls.c). */
void swap_files_off(void);
/** Shutdown: sync and unmount the file systems on disks. */
void vfs_shutdown(void);

/** Count a writer of the file, or (the next ones) a program that runs it. A file cannot have both: 0 or -ETXTBSY. */
int inode_get_write(struct inode *inode);
void inode_put_write(struct inode *inode);

/* open.c: for the kernel's own use; system calls are in fs/file_calls.c */
/** Open a file as open(2) does, with flags O_*. *file receives it with a reference. 0 or -errno. */
/** Open a regular file to run it. The caller must be allowed to execute it. */
int vfs_open_exec(const char *name, struct file **file);
int vfs_open(int dfd, const char *name, u32 flags, u32 mode, struct file **file);
int vfs_mkdir(int dfd, const char *name, u32 mode);
/** Create a directory or a special file with exactly this mode, regardless of the umask. For the kernel. */
int vfs_make_exact(const char *name, u32 mode, u64 rdev);
int vfs_mknod(int dfd, const char *name, u32 mode, u64 rdev);
int vfs_symlink(const char *target, int dfd, const char *name);
int vfs_link(int odfd, const char *old, int ndfd, const char *name, u32 flags);
int vfs_unlink(int dfd, const char *name);
int vfs_rmdir(int dfd, const char *name);
int vfs_rename(int odfd, const char *old, int ndfd, const char *name, u32 flags);
int vfs_truncate(struct inode *inode, u64 size);
void vfs_getattr(struct inode *inode, struct vfs_stat *st);
/** Open an inode that has no path (memfd, shared anonymous memory). `name` is shown: "/memfd:x (deleted)". */
struct file *file_from_inode(struct inode *inode, const char *name, u32 flags);

#define FALLOC_FL_KEEP_SIZE  1u
#define FALLOC_FL_PUNCH_HOLE 2u
/** Create a regular file in memory without a name, for memfd. Returns its inode with a reference. */
struct inode *shmem_inode(u32 mode, u64 size);
/** The file was read: update atime if relatime asks for it. */
void file_accessed(struct file *f);

/* The file_ops of regular files with pages in i_data. */
extern const struct file_ops generic_file_ops;
extern const struct file_ops simple_dir_ops; /* directories whose dentries are their contents */

/** Single operations of generic_file_ops, for the file_ops of file systems. */
long generic_llseek(struct file *f, s64 offset, int whence);
int generic_fsync(struct file *f, u64 start, u64 end);
/** fsync(2) of any file; bytes [start, end]. */
int vfs_fsync(struct file *f, u64 start, u64 end);
/** The file's name as /proc shows it: "/tmp/x", "/memfd:x (deleted)", "pipe:[7]". It is in buf, or a constant. */
const char *file_name(struct file *f, char *buf, size_t size);
/** The number that stat(2) shows for a file without an inode. Both ends of a pipe have the same. */
u64 file_number(const struct file *f);

/** Reading a directory. actor() stores one entry. False: the buffer is full, and the next call begins at the same
 * pos. */
struct dir_context {
	bool (*actor)(struct dir_context *ctx, const char *name, u32 len, u64 ino, u32 type);
	u64 pos; /* the directory's own numbering; 0, 1 are "." and ".." by convention */
};
/** Store "." and "..", and advance ctx->pos from 0 to 2. False: the buffer is full. */
bool dir_emit_dots(struct file *f, struct dir_context *ctx);

/* seq: files whose contents are produced when opened for reading (proc) */
/** Create a read-only file whose text `show` generates at the first read. NULL: no memory. */
struct inode *report_inode(struct super_block *sb, u64 ino, u32 mode,
			   void (*show)(struct report *r, struct inode *inode));

/* devices.c: the devices of character and block special files. Registering one makes /dev/NAME. */
struct device_node {
	const char *name; /* "null", "vda" */
	u32 mode;	  /* S_IFCHR | 0666 */
	u64 rdev;	  /* MKDEV */
	const struct file_ops *ops;
	/** Set file->mapping and file->private at open(2). NULL: nothing to do. 0 or -errno. */
	int (*open)(struct file *f, struct device_node *dev);
	void *private_;
	struct list_head list;
};
#define MKDEV(major, minor) ((u64)(major) << 8 | (minor)) /* for minor < 256, as stat(2) has it */
void register_device_node(struct device_node *dev);
struct device_node *find_device_node(u32 mode, u64 rdev);

/* block_dev.c: disks as files */
void blockdev_init(void); /* after the drivers: a node for each disk */
/** Create a node in /dev for a disk. 0 or -ENOMEM. */
int blockdev_add_node(struct block_device *bdev);
void hwrng_init(void); /* hwrng.c: after the drivers: /dev/hwrng, if there is one */
u64 bdev_number(const struct block_device *bdev); /* st_dev, st_rdev */
/** Write the dirty pages of the device file to the disk. Called before a file system reads the disk. 0 or -errno. */
int bdev_write_back(struct block_device *bdev);

void proc_init(void);	    /* registers proc, and mounts it on /proc */
void ext2_init(void);	    /* makes it known */
bool mount_root(void);	    /* root=DISK on the command line; false: the root stays in memory */
void vfs_init(void);	    /* caches, tmpfs, devices, the root: an empty tmpfs */
int initramfs_unpack(void); /* the device tree's cpio archive into the root; frees its memory */
#endif
