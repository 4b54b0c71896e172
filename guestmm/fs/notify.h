/*
 * Reports of what happens to files, for watchers (inotify(7)). While nobody watches anything, each call is
 * one look at a counter.
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

/** Number of watches. Read without a lock: a caller that reads 0 is ordered before the first watch. */
extern u32 nr_watches;
static inline bool anybody_watches(void)
{
	return unlikely(READ_ONCE(nr_watches));
}

/* The functions below may sleep. They take no lock of a file system, but dcache_lock for a moment. */
void __notify_file(struct file *f, u32 mask);
/** By an open file: IN_ACCESS, IN_MODIFY, IN_OPEN, IN_CLOSE_*. Its watchers and those of its directory get the event. */
static inline void notify_file(struct file *f, u32 mask)
{
	if (anybody_watches())
		__notify_file(f, mask);
}
/** The same by a name: IN_ATTRIB, IN_MODIFY. The caller has a reference. */
void notify_dentry(struct dentry *d, u32 mask);
/** To those who watch the inode itself: IN_MOVE_SELF, and IN_ATTRIB for another number of names. */
void notify_inode(struct inode *inode, u32 mask);
/** A name in a directory: IN_CREATE, IN_DELETE, IN_MOVED_*; with IN_ISDIR for a directory's. */
void notify_name(struct inode *dir, const char *name, u32 len, u32 mask, u32 cookie);
/** For the two halves of a move. */
u32 notify_cookie(void);
/** The inode has no name and no user any more: IN_DELETE_SELF, and nobody watches it. */
void notify_removed(struct inode *inode);
/** The file system is being unmounted: send IN_UNMOUNT, before its inodes are freed. */
void notify_unmount(struct super_block *sb);

/* /proc/sys/fs/inotify */
extern int sysctl_inotify_max_instances, sysctl_inotify_max_watches, sysctl_inotify_max_events;
/** Boot: how many watches a user may have. */
void inotify_setup(void);
#endif
