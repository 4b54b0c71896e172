/*
 * Events of files, for watchers (inotify(7)). While there are no watches, each call only reads a counter.
 */
#ifndef FS_NOTIFY_H
#define FS_NOTIFY_H
#include "fs/file.h"

#define IN_ACCESS	 0x1u
#define IN_MODIFY	 0x2u
#define IN_ATTRIB	 0x4u
#define IN_CLOSE_WRITE	 0x8u
#define IN_CLOSE_NOWRITE 0x10u
#define IN_OPEN		 0x20u
#define IN_MOVED_FROM	 0x40u
#define IN_MOVED_TO	 0x80u
#define IN_CREATE	 0x100u
#define IN_DELETE	 0x200u
#define IN_DELETE_SELF	 0x400u
#define IN_MOVE_SELF	 0x800u
#define IN_ALL_EVENTS	 0xfffu
#define IN_UNMOUNT	 0x2000u
#define IN_Q_OVERFLOW	 0x4000u
#define IN_IGNORED	 0x8000u
#define IN_ONLYDIR	 0x1000000u
#define IN_DONT_FOLLOW	 0x2000000u
#define IN_EXCL_UNLINK	 0x4000000u
#define IN_MASK_CREATE	 0x10000000u
#define IN_MASK_ADD	 0x20000000u
#define IN_ISDIR	 0x40000000u
#define IN_ONESHOT	 0x80000000u

/** Number of watches. Read without a lock: if a caller reads 0, its event counts as earlier than the first watch. */
extern u32 nr_watches;
static inline bool anybody_watches(void)
{
	return unlikely(READ_ONCE(nr_watches));
}

/* The functions below may sleep. They take dcache_lock briefly, and no lock of a file system. */
void __notify_file(struct file *f, u32 mask);
/** Report an event of an open file: IN_ACCESS, IN_MODIFY, IN_OPEN, IN_CLOSE_*. The file's watchers and those of its
 * directory receive it. */
static inline void notify_file(struct file *f, u32 mask)
{
	if (anybody_watches())
		__notify_file(f, mask);
}
/** Report an event of a file that was accessed by a name: IN_ATTRIB, IN_MODIFY. The caller has a reference. */
void notify_dentry(struct dentry *d, u32 mask);
/** Report an event to watchers of the inode itself: IN_MOVE_SELF, and IN_ATTRIB when its number of names changes. */
void notify_inode(struct inode *inode, u32 mask);
/** Report an event of a name in `dir`: IN_CREATE, IN_DELETE, IN_MOVED_*, with IN_ISDIR if the name is a directory's. */
void notify_name(struct inode *dir, const char *name, u32 len, u32 mask, u32 cookie);
/** A new number that connects IN_MOVED_FROM and IN_MOVED_TO of one move. */
u32 notify_cookie(void);
/** The inode has lost its last name and user: report IN_DELETE_SELF, and remove its watches. */
void notify_removed(struct inode *inode);
/** The file system is being unmounted: send IN_UNMOUNT, before its inodes are freed. */
void notify_unmount(struct super_block *sb);

/* /proc/sys/fs/inotify */
extern int sysctl_inotify_max_instances, sysctl_inotify_max_watches, sysctl_inotify_max_events;
/** At boot: compute how many watches a user may have. */
void inotify_setup(void);
#endif
