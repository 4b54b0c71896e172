/*
 * Declarations that the two files of inotify(7) share: notify.c, which queues events, and inotify.c, which has the
 * files that programs read.
 *
 *   instance (a file) ──watches──> watch ──> inode <──watches── other instances' watches
 *        └─events──> event, event...             read(2) takes them
 *
 * I1  A watch is in two lists, its inode's and its instance's, and holds a reference on the inode.
 *     inotify_kill_watch() takes it out of both lists and queues IN_IGNORED. The reference is dropped later, when no
 *     lock is held.
 * I2  nr_events of an instance is at most max_queued_events. If there are more, the overflow event is queued, once.
 * I3  nr_watches counts the watches in lists.
 *
 * Watches and events are charged to the group of the task that causes them. (Linux charges events to the instance's.)
 *
 * Locks: notify_lock for all lists. Nothing sleeps under it. It is taken inside the locks of directories, and
 * wait-queue locks inside it.
 */
#ifndef FS_EVENT_INOTIFY_INTERNAL_H
#define FS_EVENT_INOTIFY_INTERNAL_H
#include "fs/internal.h"
#include "fs/notify.h"

struct queued_event {
	struct list_head list;
	s32 wd;
	u32 mask, cookie;
	u32 len; /* of the name, without its NUL; 0: none */
	char name[];
};

struct inotify_instance {
	struct list_head all;	   /* notify_lock: in instances */
	struct list_head watches;  /* notify_lock */
	struct list_head events;   /* notify_lock */
	u32 nr_events, nr_watches; /* notify_lock */
	s32 last_wd;		   /* notify_lock */
	u32 uid;		   /* C */
	bool overflowed;	   /* notify_lock: `overflow` is queued */
	struct wait_queue wq;
	struct queued_event overflow; /* notify_lock */
};

struct inotify_watch {
	struct inotify_instance *in;
	struct inode *inode;	    /* with a reference */
	struct inotify_watch *next; /* notify_lock: in inode->watches */
	struct list_head list;	    /* notify_lock: in in->watches; then of those to be freed */
	s32 wd;
	u32 mask;  /* notify_lock: IN_ALL_EVENTS, IN_UNMOUNT */
	u32 flags; /* notify_lock: IN_EXCL_UNLINK, IN_ONESHOT */
};

extern spinlock_t notify_lock;
extern struct list_head inotify_instances; /* notify_lock */

/** Take the watch out of its lists and put it into `dead`, for inotify_put_watches(). notify_lock held. */
void inotify_kill_watch(struct inotify_watch *w, struct list_head *dead);
/** Free the watches that inotify_kill_watch() took out. No lock held. May sleep. */
void inotify_put_watches(struct list_head *dead);
#endif
