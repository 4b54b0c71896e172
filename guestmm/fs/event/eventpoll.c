/*
 * epoll: a set of files, and a list of those that have events.
 *
 *   watched file's wait queue ── wake_up ──> on_event() ──> ready list ──> wake_up ──> epoll_wait(2)
 *                                                             │ polls the file, delivers its events
 *                                                             └─ level-triggered: back to the list
 *
 * A set holds no reference on a watched file. When the file's last descriptor is closed, the file is taken
 * out of all sets.
 *
 * I1  An item is on the ready list if an event arrived since its file was last polled. It may also be there
 *     without an event, because its file is polled before anything is delivered.
 * I2  Sets that watch sets form no cycle and no chain longer than MAX_NESTS, so waking ends.
 * I3  file->watched is changed under epoll_mutex only, an item in a set under that and ep->mutex.
 *
 * Locks, outermost first: epoll_mutex (adding sets to sets, ends of watched files and sets) > ep->mutex
 * (items of a set, handing out) > lock of a file's wait queue (interrupts off) > ep->lock (the ready
 * list). A set that is watched wakes those who watch it while the wait queue of what woke it is held:
 * wait queues of sets nest, by I2.
 */
#include "fs/file.h"
#include "fs/poll.h"
#include "arch/uaccess.h"
#include "kernel/time_calls.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/syscall.h"
#include "mm/slab/slab.h"

#define EPOLL_CTL_ADD  1
#define EPOLL_CTL_DEL  2
#define EPOLL_CTL_MOD  3
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLWAKEUP    (1u << 29)
#define EPOLLONESHOT   (1u << 30)
#define EPOLLET	       (1u << 31)
#define EPOLLRDHUP     0x2000u
#define PRIVATE_BITS   (EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET)
#define EXCLUSIVE_OK                                                                              \
	(POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLERR | POLLHUP | EPOLLET | EPOLLWAKEUP | \
	 EPOLLEXCLUSIVE)
#define MAX_NESTS  5
#define NR_BUCKETS 64u
#define MAX_EVENTS ((u32)(0x7fffffff / sizeof(struct epoll_event)))

struct epoll_event {
	u32 events;
	u64 data;
} __attribute__((packed));
_Static_assert(sizeof(struct epoll_event) == 12, "Linux's ABI");

struct eventpoll {
	struct mutex mutex;
	spinlock_t lock;
	struct list_head ready;		     /* lock: epitem->ready */
	struct wait_queue waiters;	     /* in epoll_wait(2) */
	struct wait_queue pollers;	     /* pollers and watchers of the set itself */
	struct list_head bucket[NR_BUCKETS]; /* mutex: items by file and descriptor */
	u32 nr;				     /* mutex */
	struct file *file;		     /* C: the set itself, not held */
};

struct epitem {
	struct list_head hash;	/* mutex: in a bucket */
	struct list_head ready; /* lock: while on_ready */
	bool on_ready;		/* lock */
	struct eventpoll *ep;	/* C */
	struct file *file;	/* C: not held */
	u32 fd;			/* C: the descriptor by which it was added */
	u32 events;		/* mutex to change */
	u64 data;		/* mutex */
	struct wait_queue *wq;	/* C: the file's */
	struct wait_entry we;
	struct epitem *next; /* epoll_mutex: others that watch the file */
};

static struct mutex epoll_mutex = MUTEX_INIT(epoll_mutex);

static const struct file_ops eventpoll_ops;

static bool is_eventpoll(const struct file *f)
{
	return f->ops == &eventpoll_ops;
}

static u32 file_poll(struct file *f, struct wait_queue **wq)
{
	return f->ops->poll ? f->ops->poll(f, wq) : 0;
}

static u32 item_poll(const struct epitem *it)
{
	return file_poll(it->file, NULL) & (it->events & ~PRIVATE_BITS);
}

/* ---- events ----------------------------------------------------------------------------------- */

/* Put the item on the ready list. True: it was not on it. */
static bool make_ready(struct epitem *it)
{
	struct eventpoll *ep = it->ep;
	unsigned long flags = spin_lock_irqsave(&ep->lock);
	bool fresh = !it->on_ready && it->events & ~PRIVATE_BITS;

	if (fresh) {
		it->on_ready = true;
		list_add_tail(&it->ready, &ep->ready);
	}
	spin_unlock_irqrestore(&ep->lock, flags);
	return fresh;
}

static void wake_set(struct eventpoll *ep)
{
	wake_up(&ep->waiters);
	wake_up_nested(&ep->pollers);
}

/* The watched file's queue is woken; its lock is held, interrupts are off. True: a waiter was woken, which is all
 * that EPOLLEXCLUSIVE promises. */
static bool on_event(struct wait_entry *we)
{
	struct epitem *it = container_of(we, struct epitem, we);
	bool waits = !list_empty(&it->ep->waiters.waiters) || !list_empty(&it->ep->pollers.waiters);

	make_ready(it);
	wake_set(it->ep);
	return waits;
}

/* ---- handing out ------------------------------------------------------------------------------ */

static struct epitem *next_ready(struct eventpoll *ep)
{
	unsigned long flags = spin_lock_irqsave(&ep->lock);
	struct epitem *it = NULL;

	if (!list_empty(&ep->ready)) {
		it = list_first_entry(&ep->ready, struct epitem, ready);
		list_del(&it->ready);
		it->on_ready = false;
	}
	spin_unlock_irqrestore(&ep->lock, flags);
	return it;
}

static u32 count_ready(struct eventpoll *ep)
{
	unsigned long flags = spin_lock_irqsave(&ep->lock);
	struct list_head *at;
	u32 n = 0;

	list_for_each (at, &ep->ready)
		n++;
	spin_unlock_irqrestore(&ep->lock, flags);
	return n;
}

static bool has_ready(struct eventpoll *ep)
{
	return !list_empty(&ep->ready);
}

/* Copy up to max events to user memory. Each item that is on the list at the beginning is polled once. Returns how
 * many, or -EFAULT if none was copied. ep->mutex held. */
static long hand_out(struct eventpoll *ep, unsigned long to, u32 max)
{
	u32 left = count_ready(ep), done = 0;
	struct epitem *it;

	for (; left && done < max; left--) {
		struct epoll_event e;

		it = next_ready(ep);
		if (!it)
			break;
		e.events = item_poll(it);
		e.data = it->data;
		if (!e.events)
			continue;
		if (copy_to_user(to + done * sizeof(e), &e, sizeof(e))) {
			make_ready(it);
			return done ? (long)done : -EFAULT;
		}
		done++;
		if (it->events & EPOLLONESHOT)
			it->events &= PRIVATE_BITS;
		else if (!(it->events & EPOLLET))
			make_ready(it);
	}
	/* A thread that checked the list while an item was off it may be asleep now: wake it. */
	if (has_ready(ep))
		wake_up(&ep->waiters);
	return done;
}

/* has_ready() is read without the lock and may miss a new item. So a thread checks again after it has entered the
 * queue. */
static long wait_for_events(struct eventpoll *ep, unsigned long to, u32 max, u64 until)
{
	for (;;) {
		struct wait_entry we;
		long n = 0;

		if (has_ready(ep)) {
			mutex_lock(&ep->mutex);
			n = hand_out(ep, to, max);
			mutex_unlock(&ep->mutex);
			if (n)
				return n;
		}
		if (signal_pending())
			return -EINTR;
		if (until != TIME_FOREVER && ktime_ns() >= until)
			return 0;
		prepare_to_wait(&ep->waiters, &we);
		waits_here();
		if (!has_ready(ep) && !signal_pending()) {
			u64 now = ktime_ns();

			if (until == TIME_FOREVER)
				schedule();
			else if (now < until)
				schedule_timeout(until - now);
		}
		finish_wait(&ep->waiters, &we);
	}
}

/* ---- items ------------------------------------------------------------------------------------ */

static struct list_head *bucket_of(struct eventpoll *ep, const struct file *f, u32 fd)
{
	u64 h = ((unsigned long)f >> 6) * 0x9e3779b97f4a7c15ull + fd;

	return &ep->bucket[h >> 32 & (NR_BUCKETS - 1)];
}

static struct epitem *find_item(struct eventpoll *ep, const struct file *f, u32 fd)
{
	struct epitem *it;

	list_for_each_entry (it, bucket_of(ep, f, fd), hash) {
		if (it->file == f && it->fd == fd)
			return it;
	}
	return NULL;
}

/* Take the item out of all lists, and free it. epoll_mutex and ep->mutex held. */
static void drop_item(struct epitem *it)
{
	struct eventpoll *ep = it->ep;
	struct epitem **at = &it->file->watched;
	unsigned long flags = spin_lock_irqsave(&it->wq->lock);

	list_del(&it->we.node); /* after this, no event arrives */
	spin_unlock_irqrestore(&it->wq->lock, flags);
	flags = spin_lock_irqsave(&ep->lock);
	if (it->on_ready)
		list_del(&it->ready);
	spin_unlock_irqrestore(&ep->lock, flags);
	while (*at != it)
		at = &(*at)->next;
	*at = it->next;
	list_del(&it->hash);
	ep->nr--;
	kfree(it);
}

/* Length of the longest chain of sets below `from`. -ELOOP: it is too long, or it leads to `to` (I2). epoll_mutex
 * held. */
static int depth_below(struct eventpoll *from, const struct eventpoll *to, int level)
{
	int deepest = 0;

	if (from == to || level > MAX_NESTS)
		return -ELOOP;
	for (u32 b = 0; b < NR_BUCKETS; b++) {
		struct epitem *it;

		list_for_each_entry (it, &from->bucket[b], hash) {
			int d;

			if (!is_eventpoll(it->file))
				continue;
			d = depth_below(it->file->private, to, level + 1);
			if (d < 0)
				return d;
			deepest = max(deepest, d + 1);
		}
	}
	return deepest;
}

/* Length of the longest chain of sets that watch this one. epoll_mutex held. */
static int height_above(const struct file *f, int level)
{
	int highest = 0;

	if (level > MAX_NESTS)
		return level;
	for (const struct epitem *it = f->watched; it; it = it->next)
		highest = max(highest, 1 + height_above(it->ep->file, level + 1));
	return highest;
}

static long add_item(struct eventpoll *ep, struct file *f, u32 fd, const struct epoll_event *e)
{
	struct epitem *it = kmalloc(sizeof(*it), GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	unsigned long flags;

	if (!it)
		return -ENOMEM;
	it->ep = ep;
	it->file = f;
	it->fd = fd;
	it->events = e->events;
	it->data = e->data;
	it->we.func = on_event;
	it->we.exclusive = e->events & EPOLLEXCLUSIVE;
	file_poll(f, &it->wq);
	if (!it->wq) {
		kfree(it);
		return -EPERM;
	}
	list_add(&it->hash, bucket_of(ep, f, fd));
	ep->nr++;
	it->next = f->watched;
	f->watched = it;
	flags = spin_lock_irqsave(&it->wq->lock);
	/* As in Linux, the last waiter is woken first, and exclusive waiters after all others. */
	if (it->we.exclusive)
		list_add_tail(&it->we.node, &it->wq->waiters);
	else
		list_add(&it->we.node, &it->wq->waiters);
	spin_unlock_irqrestore(&it->wq->lock, flags);
	if (item_poll(it) && make_ready(it))
		wake_set(ep);
	return 0;
}

static void modify_item(struct epitem *it, const struct epoll_event *e)
{
	it->events = e->events;
	it->data = e->data;
	smp_mb(); /* either a new event sees the new mask, or we see the event */
	if (item_poll(it) && make_ready(it))
		wake_set(it->ep);
}

static long change(struct eventpoll *ep, int op, struct file *f, u32 fd, struct epoll_event *e)
{
	struct epitem *it;
	int above, below;

	if (op == EPOLL_CTL_ADD && is_eventpoll(f)) {
		below = depth_below(f->private, ep, 0);
		above = height_above(ep->file, 0);
		if (below < 0 || above + 1 + below > MAX_NESTS - 1)
			return -ELOOP;
	}
	it = find_item(ep, f, fd);
	switch (op) {
	case EPOLL_CTL_ADD:
		e->events |= POLLERR | POLLHUP;
		return it ? -EEXIST : add_item(ep, f, fd, e);
	case EPOLL_CTL_DEL:
		if (!it)
			return -ENOENT;
		drop_item(it);
		return 0;
	case EPOLL_CTL_MOD:
		if (!it)
			return -ENOENT;
		if (it->events & EPOLLEXCLUSIVE)
			return -EINVAL;
		e->events |= POLLERR | POLLHUP;
		modify_item(it, e);
		return 0;
	}
	return -EINVAL;
}

static long check_change(struct file *epf, struct file *f, int op, struct epoll_event *e)
{
	if (!f->ops->poll || f->flags & O_PATH)
		return -EPERM;
	if (op != EPOLL_CTL_DEL)
		e->events &= ~EPOLLWAKEUP; /* nothing here ever suspends */
	if (f == epf || !is_eventpoll(epf))
		return -EINVAL;
	if (op != EPOLL_CTL_DEL && e->events & EPOLLEXCLUSIVE) {
		if (op == EPOLL_CTL_MOD || is_eventpoll(f) || e->events & ~EXCLUSIVE_OK)
			return -EINVAL;
	}
	return 0;
}

long sys_epoll_ctl(struct pt_regs *r)
{
	struct epoll_event e = {0};
	struct file *epf, *f;
	int op = (int)r->rsi;
	long ret = -EBADF;

	if (op != EPOLL_CTL_DEL && copy_from_user(&e, r->r10, sizeof(e)))
		return -EFAULT;
	epf = fd_get(r->rdi);
	if (!epf)
		return -EBADF;
	f = fd_get(r->rdx);
	if (!f)
		goto put_ep;
	ret = check_change(epf, f, op, &e);
	if (!ret) {
		struct eventpoll *ep = epf->private;

		mutex_lock(&epoll_mutex);
		mutex_lock(&ep->mutex);
		ret = change(ep, op, f, r->rdx, &e);
		mutex_unlock(&ep->mutex);
		mutex_unlock(&epoll_mutex);
	}
	file_put(f);
put_ep:
	file_put(epf);
	return ret;
}

void eventpoll_release_file(struct file *f)
{
	mutex_lock(&epoll_mutex);
	while (f->watched) {
		struct epitem *it = f->watched;
		struct mutex *m = &it->ep->mutex;

		mutex_lock(m);
		drop_item(it);
		mutex_unlock(m);
	}
	mutex_unlock(&epoll_mutex);
}

/* ---- the set as a file ------------------------------------------------------------------------ */

/* Does an item on the ready list have an event? Items without one are taken off. ep->mutex held. */
static bool anything_ready(struct eventpoll *ep)
{
	for (u32 left = count_ready(ep); left; left--) {
		struct epitem *it = next_ready(ep);

		if (!it)
			return false;
		if (item_poll(it)) {
			make_ready(it);
			wake_up(&ep->waiters);
			return true;
		}
	}
	return false;
}

/* Readable when one of its files has an event. While another thread delivers events or changes the set, the answer
 * is whether the list is empty: the caller must not sleep, and may hold the mutex of an outer set. */
static u32 eventpoll_poll(struct file *f, struct wait_queue **wq)
{
	struct eventpoll *ep = f->private;
	bool ready = has_ready(ep);

	if (wq)
		*wq = &ep->pollers;
	if (ready && mutex_trylock(&ep->mutex)) {
		ready = anything_ready(ep);
		mutex_unlock(&ep->mutex);
	}
	return ready ? POLLIN | POLLRDNORM : 0;
}

static void eventpoll_release(struct file *f)
{
	struct eventpoll *ep = f->private;

	mutex_lock(&epoll_mutex);
	mutex_lock(&ep->mutex);
	for (u32 b = 0; b < NR_BUCKETS; b++) {
		while (!list_empty(&ep->bucket[b]))
			drop_item(list_first_entry(&ep->bucket[b], struct epitem, hash));
	}
	mutex_unlock(&ep->mutex);
	mutex_unlock(&epoll_mutex);
	kfree(ep);
}

static const struct file_ops eventpoll_ops = {
	.llseek = noop_llseek,
	.poll = eventpoll_poll,
	.release = eventpoll_release,
};

static long create(u32 flags)
{
	struct eventpoll *ep = kmalloc(sizeof(*ep), GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	struct file *f;
	long fd;

	if (!ep)
		return -ENOMEM;
	mutex_init(&ep->mutex);
	spin_lock_init(&ep->lock);
	INIT_LIST_HEAD(&ep->ready);
	wait_queue_init(&ep->waiters);
	wait_queue_init(&ep->pollers);
	for (u32 b = 0; b < NR_BUCKETS; b++)
		INIT_LIST_HEAD(&ep->bucket[b]);
	f = file_alloc(&eventpoll_ops, O_RDWR, ep);
	if (!f) {
		kfree(ep);
		return -ENOMEM;
	}
	strscpy(f->label, "anon_inode:[eventpoll]", sizeof(f->label));
	ep->file = f;
	fd = fd_install(f, 0, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

long sys_epoll_create(struct pt_regs *r)
{
	return (int)r->rdi <= 0 ? -EINVAL : create(0);
}

long sys_epoll_create1(struct pt_regs *r)
{
	return r->rdi & ~(u64)O_CLOEXEC ? -EINVAL : create(r->rdi);
}

/* ---- waiting ---------------------------------------------------------------------------------- */

static long do_epoll_wait(struct pt_regs *r, u64 until)
{
	struct file *f;
	s32 max = r->rdx;
	long ret;

	if (max <= 0 || (u32)max > MAX_EVENTS)
		return -EINVAL;
	if (r->rsi >= TASK_SIZE || (u64)max * sizeof(struct epoll_event) > TASK_SIZE - r->rsi)
		return -EFAULT;
	f = fd_get(r->rdi);
	if (!f)
		return -EBADF;
	ret = is_eventpoll(f) ? wait_for_events(f->private, r->rsi, max, until) : -EINVAL;
	file_put(f);
	return ret;
}

static u64 until_ms(s32 ms)
{
	return ms < 0 ? TIME_FOREVER : ktime_ns() + ms * 1000000ull;
}

long sys_epoll_wait(struct pt_regs *r)
{
	return do_epoll_wait(r, until_ms(r->r10));
}

static long wait_with_mask(struct pt_regs *r, u64 until)
{
	long ret = mask_begin(r->r8, r->r9);

	if (ret)
		return ret;
	ret = do_epoll_wait(r, until);
	mask_end(r->r8, ret);
	return ret;
}

long sys_epoll_pwait(struct pt_regs *r)
{
	return wait_with_mask(r, until_ms(r->r10));
}

long sys_epoll_pwait2(struct pt_regs *r)
{
	u64 ns = TIME_FOREVER;
	long err = r->r10 ? get_user_time(r->r10, TIMESPEC, &ns) : 0;

	return err ? err : wait_with_mask(r, r->r10 ? deadline_after(ns) : TIME_FOREVER);
}
