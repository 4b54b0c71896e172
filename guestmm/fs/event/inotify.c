/*
 * inotify(7): the files from which programs read events, and the system calls. notify.c queues the events.
 */
#include "fs/event/inotify_internal.h"
#include "fs/poll.h"
#include "fs/user_path.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "lib/syscall.h"
#include "mm/phys/alloc.h"

#define ALL_BITS                                                                                 \
	(IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW | \
	 IN_EXCL_UNLINK | IN_MASK_ADD | IN_MASK_CREATE | IN_ISDIR | IN_ONESHOT)
#define WATCH_COST 1280 /* bytes of a watch and its inode, as Linux estimates */

/* As read(2) gives it; the name follows. */
struct inotify_event {
	s32 wd;
	u32 mask, cookie, len;
};

int sysctl_inotify_max_instances = 128, sysctl_inotify_max_watches = 8192,
    sysctl_inotify_max_events = 16384;

/* As in Linux, watches may use a hundredth of memory. */
void inotify_setup(void)
{
	u64 n = totalram_pages() / 100 * PAGE_SIZE / WATCH_COST;

	n = max(n, (u64)8192);
	sysctl_inotify_max_watches = (int)min(n, (u64)1 << 20);
}

/* ---- the file ---------------------------------------------------------------------------------- */

/* Bytes of the event for read(2). The name is padded with zeroes. */
static size_t event_size(const struct queued_event *e)
{
	return sizeof(struct inotify_event) +
	       (e->len ? ALIGN_UP(e->len + 1, sizeof(struct inotify_event)) : 0);
}

/* Take the next event off the queue. NULL: there is none; ERR_PTR(-EINVAL): the buffer is too small for it. */
static struct queued_event *take_event(struct inotify_instance *in, size_t room)
{
	struct queued_event *e = NULL;

	spin_lock(&notify_lock);
	if (!list_empty(&in->events)) {
		e = list_entry(in->events.next, struct queued_event, list);
		if (event_size(e) > room) {
			e = ERR_PTR(-EINVAL);
		} else {
			list_del(&e->list);
			in->nr_events--;
			if (e == &in->overflow) /* its contents never change */
				in->overflowed = false;
		}
	}
	spin_unlock(&notify_lock);
	return e;
}

/* Copy the event to user memory, and free it, also after an error. */
static long give_event(struct inotify_instance *in, struct queued_event *e, unsigned long buf)
{
	struct inotify_event head = {e->wd, e->mask, e->cookie,
				     (u32)(event_size(e) - sizeof(head))};
	long ret = (long)event_size(e);

	if (copy_to_user(buf, &head, sizeof(head)) ||
	    copy_to_user(buf + sizeof(head), e->name, e->len) ||
	    clear_user(buf + sizeof(head) + e->len, head.len - e->len))
		ret = -EFAULT;
	if (e != &in->overflow)
		kfree(e);
	return ret;
}

static long inotify_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	struct inotify_instance *in = f->private;
	size_t done = 0;

	if (pos != &f->pos) /* pread(2) */
		return -ESPIPE;
	for (;;) {
		struct queued_event *e = take_event(in, len - done);
		long ret;

		if (IS_ERR(e))
			return done ? (long)done : PTR_ERR(e);
		if (e) {
			ret = give_event(in, e, buf + done);
			if (ret < 0)
				return ret;
			done += ret;
			continue;
		}
		if (done)
			return (long)done;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		ret = wait_event_interruptible(&in->wq, READ_ONCE(in->nr_events));
		if (ret)
			return ret;
	}
}

static u32 inotify_poll(struct file *f, struct wait_queue **wq)
{
	struct inotify_instance *in = f->private;

	if (wq)
		*wq = &in->wq;
	return READ_ONCE(in->nr_events) ? POLLIN : 0;
}

static long inotify_ioctl(struct file *f, unsigned int cmd, unsigned long arg)
{
	struct inotify_instance *in = f->private;
	const struct queued_event *e;
	s32 bytes = 0;

	if (cmd != FIONREAD)
		return -ENOTTY;
	spin_lock(&notify_lock);
	list_for_each_entry (e, &in->events, list)
		bytes += (s32)event_size(e);
	spin_unlock(&notify_lock);
	return copy_to_user(arg, &bytes, sizeof(bytes)) ? -EFAULT : 0;
}

static void inotify_show(struct report *r, struct file *f)
{
	struct inotify_instance *in = f->private;
	const struct inotify_watch *w;

	spin_lock(&notify_lock);
	list_for_each_entry (w, &in->watches, list)
		report_printf(r, "inotify wd:%x ino:%lx sdev:%x mask:%x ignored_mask:0\n", w->wd,
			      (unsigned long)w->inode->ino, (u32)w->inode->sb->dev,
			      (w->mask & IN_ALL_EVENTS) | w->flags);
	spin_unlock(&notify_lock);
}

static void inotify_release(struct file *f)
{
	struct inotify_instance *in = f->private;
	struct queued_event *e, *n;
	LIST_HEAD(dead);

	spin_lock(&notify_lock);
	while (!list_empty(&in->watches))
		inotify_kill_watch(list_entry(in->watches.next, struct inotify_watch, list), &dead);
	list_del(&in->all);
	spin_unlock(&notify_lock);
	inotify_put_watches(&dead);
	list_for_each_entry_safe (e, n, &in->events, list) {
		if (e != &in->overflow)
			kfree(e);
	}
	kfree(in);
}

static const void *inotify_async(struct file *f)
{
	return f->private;
}

static const struct file_ops inotify_ops = {
	.async_object = inotify_async,
	.read = inotify_read,
	.llseek = noop_llseek,
	.ioctl = inotify_ioctl,
	.poll = inotify_poll,
	.show_fdinfo = inotify_show,
	.release = inotify_release,
};

/* ---- system calls ------------------------------------------------------------------------------ */

/* notify_lock held. */
static u32 instances_of_user(u32 uid)
{
	const struct inotify_instance *in;
	u32 n = 0;

	list_for_each_entry (in, &inotify_instances, all)
		n += in->uid == uid;
	return n;
}

/* notify_lock held. */
static u32 watches_of_user(u32 uid)
{
	const struct inotify_instance *in;
	u32 n = 0;

	list_for_each_entry (in, &inotify_instances, all) {
		if (in->uid == uid)
			n += in->nr_watches;
	}
	return n;
}

static long create(u32 flags)
{
	struct inotify_instance *in;
	struct file *f;
	bool many;
	long fd;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	in = kzalloc(sizeof(*in), GFP_KERNEL_ACCOUNT);
	if (!in)
		return -ENOMEM;
	INIT_LIST_HEAD(&in->watches);
	INIT_LIST_HEAD(&in->events);
	wait_queue_init(&in->wq);
	in->uid = current_cred()->uid;
	spin_lock(&notify_lock);
	many = instances_of_user(in->uid) >= (u32)READ_ONCE(sysctl_inotify_max_instances);
	if (!many)
		list_add_tail(&in->all, &inotify_instances);
	spin_unlock(&notify_lock);
	if (many) {
		kfree(in);
		return -EMFILE;
	}
	f = file_alloc(&inotify_ops, O_RDONLY | (flags & O_NONBLOCK), in);
	if (!f) {
		spin_lock(&notify_lock);
		list_del(&in->all);
		spin_unlock(&notify_lock);
		kfree(in);
		return -ENOMEM;
	}
	strscpy(f->label, "anon_inode:inotify", sizeof(f->label));
	fd = fd_install(f, 0, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

long sys_inotify_init(struct pt_regs *r)
{
	return create(0);
}

long sys_inotify_init1(struct pt_regs *r)
{
	return create((u32)r->rdi);
}

/* The file of a descriptor, with a reference: -EBADF, -EINVAL. */
static struct file *get_instance(unsigned int fd)
{
	struct file *f = fd_get(fd);

	if (!f || f->flags & O_PATH) {
		if (f)
			file_put(f);
		return ERR_PTR(-EBADF);
	}
	if (f->ops != &inotify_ops) {
		file_put(f);
		return ERR_PTR(-EINVAL);
	}
	return f;
}

/* Change or add the watch of `inode`. If *spare is used for it, it becomes NULL. notify_lock held. */
static long update_watch(struct inotify_instance *in, struct inode *inode, u32 arg,
			 struct inotify_watch **spare)
{
	u32 mask = (arg & IN_ALL_EVENTS) | IN_UNMOUNT, flags = arg & (IN_EXCL_UNLINK | IN_ONESHOT);
	struct inotify_watch *w;

	for (w = inode->watches; w; w = w->next) {
		if (w->in != in)
			continue;
		if (arg & IN_MASK_CREATE)
			return -EEXIST;
		w->mask = arg & IN_MASK_ADD ? w->mask | mask : mask;
		w->flags = arg & IN_MASK_ADD ? w->flags | flags : flags;
		return w->wd;
	}
	if (in->last_wd == 0x7fffffff)
		return -ENOSPC;
	in->last_wd++; /* as in Linux, a refused watch uses a number, too */
	if (watches_of_user(in->uid) >= (u32)READ_ONCE(sysctl_inotify_max_watches))
		return -ENOSPC;
	w = *spare;
	*spare = NULL;
	iget_ref(inode);
	*w = (struct inotify_watch){
		.in = in, .inode = inode, .wd = in->last_wd, .mask = mask, .flags = flags};
	w->next = inode->watches;
	inode->watches = w;
	list_add_tail(&w->list, &in->watches);
	in->nr_watches++;
	WRITE_ONCE(nr_watches, nr_watches + 1);
	return w->wd;
}

static long add_watch(struct inotify_instance *in, unsigned long name, u32 arg)
{
	struct inotify_watch *spare;
	struct user_path p;
	struct path path;
	long ret = user_path_get(&p, name);

	if (ret < 0)
		return ret;
	ret = path_lookup(AT_FDCWD, p.name,
			  (arg & IN_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) |
				  (arg & IN_ONLYDIR ? LOOKUP_DIRECTORY : 0),
			  &path);
	user_path_put(&p);
	if (ret)
		return ret;
	ret = inode_permission(path.dentry->inode, MAY_READ);
	spare = ret ? NULL : kmalloc(sizeof(*spare), GFP_KERNEL_ACCOUNT);
	if (!ret && !spare)
		ret = -ENOMEM;
	if (!ret) {
		spin_lock(&notify_lock);
		ret = update_watch(in, path.dentry->inode, arg, &spare);
		spin_unlock(&notify_lock);
	}
	kfree(spare);
	path_put(&path);
	return ret;
}

long sys_inotify_add_watch(struct pt_regs *r)
{
	u32 mask = (u32)r->rdx;
	struct file *f;
	long ret;

	if (mask & ~ALL_BITS || !(mask & ALL_BITS))
		return -EINVAL;
	f = fd_get(r->rdi);
	if (!f)
		return -EBADF;
	file_put(f);
	if (mask & IN_MASK_ADD && mask & IN_MASK_CREATE)
		return -EINVAL;
	f = get_instance(r->rdi);
	if (IS_ERR(f))
		return PTR_ERR(f);
	ret = add_watch(f->private, r->rsi, mask);
	file_put(f);
	return ret;
}

long sys_inotify_rm_watch(struct pt_regs *r)
{
	struct file *f = get_instance(r->rdi);
	struct inotify_watch *w, *found = NULL;
	struct inotify_instance *in;
	LIST_HEAD(dead);

	if (IS_ERR(f))
		return PTR_ERR(f);
	in = f->private;
	spin_lock(&notify_lock);
	list_for_each_entry (w, &in->watches, list) {
		if (w->wd == (s32)r->rsi)
			found = w;
	}
	if (found)
		inotify_kill_watch(found, &dead);
	spin_unlock(&notify_lock);
	inotify_put_watches(&dead);
	file_put(f);
	return found ? 0 : -EINVAL;
}
