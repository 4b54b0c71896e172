/*
 * Events on files, and their watchers: each event is queued for the instances that watch the file or its directory.
 * notify.h has the functions for the rest of the kernel; inotify_internal.h has the invariants.
 *
 * An event of a file is also reported for its directory, with the name by which the file was reached. Equal events in
 * succession are merged.
 */
#include "fs/async.h"
#include "fs/event/inotify_internal.h"
#include "mm/phys/alloc.h"

#define SELF_EVENTS (IN_MOVE_SELF | IN_DELETE_SELF)

spinlock_t notify_lock = SPINLOCK_INIT;
LIST_HEAD(inotify_instances);
u32 nr_watches;

/* ---- queues: notify_lock held ------------------------------------------------------------------ */

static void queue_overflow(struct inotify_instance *in)
{
	if (in->overflowed)
		return;
	in->overflowed = true;
	in->overflow = (struct queued_event){.wd = -1, .mask = IN_Q_OVERFLOW};
	list_add_tail(&in->overflow.list, &in->events);
	in->nr_events++;
	wake_up(&in->wq);
	async_notify(in, POLL_IN);
}

static bool is_repeated(const struct inotify_instance *in, s32 wd, u32 mask, const char *name,
			u32 len)
{
	const struct queued_event *last;

	if (list_empty(&in->events))
		return false;
	last = list_entry(in->events.prev, struct queued_event, list);
	return last->wd == wd && last->mask == mask && !(mask & IN_IGNORED) && last->len == len &&
	       !memcmp(last->name, name, len);
}

static void queue_event(struct inotify_instance *in, s32 wd, u32 mask, u32 cookie, const char *name,
			u32 len)
{
	struct queued_event *e;

	if (is_repeated(in, wd, mask, name, len))
		return;
	if (in->nr_events >= (u32)READ_ONCE(sysctl_inotify_max_events)) {
		queue_overflow(in);
		return;
	}
	e = kmalloc(sizeof(*e) + len + 1, GFP_ATOMIC | __GFP_ACCOUNT);
	if (!e) {
		queue_overflow(in); /* it reports that events were lost */
		return;
	}
	*e = (struct queued_event){.wd = wd, .mask = mask, .cookie = cookie, .len = len};
	memcpy(e->name, name, len);
	e->name[len] = 0;
	list_add_tail(&e->list, &in->events);
	in->nr_events++;
	wake_up(&in->wq);
	async_notify(in, POLL_IN);
}

void inotify_kill_watch(struct inotify_watch *w, struct list_head *dead)
{
	struct inotify_watch **at = &w->inode->watches;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	list_del(&w->list);
	w->in->nr_watches--;
	WRITE_ONCE(nr_watches, nr_watches - 1);
	queue_event(w->in, w->wd, IN_IGNORED, 0, "", 0);
	list_add_tail(&w->list, dead);
}

void inotify_put_watches(struct list_head *dead)
{
	struct inotify_watch *w, *n;

	list_for_each_entry_safe (w, n, dead, list) {
		iput(w->inode);
		kfree(w);
	}
}

/* Which watches get an event. Those with IN_EXCL_UNLINK do not, if it is an event of an open file whose name was
 * removed. */
enum watchers { ALL_WATCHERS, NOT_EXCL_UNLINK };

/* Queue an event for the watches of `inode`. */
static void tell(struct inode *inode, u32 mask, u32 cookie, const char *name, u32 len,
		 enum watchers who, struct list_head *dead)
{
	struct inotify_watch *w, *next;

	for (w = inode->watches; w; w = next) {
		next = w->next;
		if (!(w->mask & mask) || (who == NOT_EXCL_UNLINK && w->flags & IN_EXCL_UNLINK))
			continue;
		queue_event(w->in, w->wd, mask, cookie, name, len);
		if (w->flags & IN_ONESHOT)
			inotify_kill_watch(w, dead);
	}
}

/* ---- what happened: no lock held --------------------------------------------------------------- */

void notify_inode(struct inode *inode, u32 mask)
{
	LIST_HEAD(dead);

	if (!anybody_watches() || !READ_ONCE(inode->watches))
		return;
	if (S_ISDIR(inode->mode) && !(mask & SELF_EVENTS))
		mask |= IN_ISDIR;
	spin_lock(&notify_lock);
	tell(inode, mask, 0, "", 0, ALL_WATCHERS, &dead);
	spin_unlock(&notify_lock);
	inotify_put_watches(&dead);
}

void notify_name(struct inode *dir, const char *name, u32 len, u32 mask, u32 cookie)
{
	LIST_HEAD(dead);

	if (!anybody_watches() || !READ_ONCE(dir->watches))
		return;
	spin_lock(&notify_lock);
	tell(dir, mask, cookie, name, len, ALL_WATCHERS, &dead);
	spin_unlock(&notify_lock);
	inotify_put_watches(&dead);
}

/* The directory of the dentry, with a reference, and the dentry's name. NULL: the directory is not watched. */
static struct inode *watched_parent(struct dentry *d, char name[NAME_MAX + 1], u32 *len,
				    bool *unlinked)
{
	struct inode *dir = NULL;

	spin_lock(&dcache_lock);
	*unlinked = d->unlinked;
	if (d->parent != d && d->parent->inode && READ_ONCE(d->parent->inode->watches) &&
	    d->len <= NAME_MAX) {
		dir = d->parent->inode;
		iget_ref(dir);
		*len = d->len;
		memcpy(name, d->name, d->len);
	}
	spin_unlock(&dcache_lock);
	return dir;
}

/* How a file was reached: only an open file's events are subject to IN_EXCL_UNLINK. */
enum reached { BY_FILE, BY_NAME };

static void tell_both(struct dentry *d, u32 mask, enum reached how)
{
	struct inode *inode = d->inode, *dir;
	char name[NAME_MAX + 1];
	enum watchers who;
	bool unlinked;
	LIST_HEAD(dead);
	u32 len = 0;

	if (!inode)
		return;
	dir = watched_parent(d, name, &len, &unlinked);
	if (!dir && !READ_ONCE(inode->watches))
		return;
	if (S_ISDIR(inode->mode))
		mask |= IN_ISDIR;
	who = unlinked && how == BY_FILE ? NOT_EXCL_UNLINK : ALL_WATCHERS;
	spin_lock(&notify_lock);
	if (dir)
		tell(dir, mask, 0, name, len, who, &dead);
	tell(inode, mask, 0, "", 0, who, &dead);
	spin_unlock(&notify_lock);
	inotify_put_watches(&dead);
	iput(dir);
}

void __notify_file(struct file *f, u32 mask)
{
	if (f->path.dentry && !(f->flags & O_PATH))
		tell_both(f->path.dentry, mask, BY_FILE);
}

void notify_dentry(struct dentry *d, u32 mask)
{
	if (anybody_watches() && d)
		tell_both(d, mask, BY_NAME);
}

u32 notify_cookie(void)
{
	static u32 cookie;

	return anybody_watches() ? (u32)atomic_add_return(&cookie, 1) : 0;
}

/* Queue the event for all watchers of the inode, and end their watches. */
static void end_watches(struct inode *inode, u32 mask)
{
	LIST_HEAD(dead);

	if (!READ_ONCE(inode->watches))
		return;
	spin_lock(&notify_lock);
	tell(inode, mask, 0, "", 0, ALL_WATCHERS, &dead);
	while (inode->watches)
		inotify_kill_watch(inode->watches, &dead);
	spin_unlock(&notify_lock);
	inotify_put_watches(&dead);
}

void notify_removed(struct inode *inode)
{
	end_watches(inode, IN_DELETE_SELF);
}

/* An inode of sb that is watched, with a reference, or NULL. */
static struct inode *watched_inode(const struct super_block *sb)
{
	struct inotify_watch *w;
	struct inode *found = NULL;
	struct inotify_instance *in;

	spin_lock(&notify_lock);
	list_for_each_entry (in, &inotify_instances, all) {
		list_for_each_entry (w, &in->watches, list) {
			if (w->inode->sb == sb) /* the newest first: files before their directory */
				found = w->inode;
		}
	}
	if (found)
		iget_ref(found);
	spin_unlock(&notify_lock);
	return found;
}

void notify_unmount(struct super_block *sb)
{
	struct inode *inode;

	while (anybody_watches() && (inode = watched_inode(sb))) {
		end_watches(inode, S_ISDIR(inode->mode) ? IN_UNMOUNT | IN_ISDIR : IN_UNMOUNT);
		iput(inode);
	}
}
