/*
 * Signal-driven input and output: see fs/async.h.
 *
 * All open files with O_ASYNC are in one list, because programs have few of them. An owner is stored as a number and
 * the time at which it was set, so that a later process with the same number is not taken for it.
 *
 * Locks: async_lock, below the locks of pipes, sockets and inotify, above task_list_lock.
 */
#include "fs/async.h"
#include "fs/poll.h"
#include "arch/uaccess.h"
#include "kernel/cred.h"
#include "lib/errno.h"
#include "mm/slab/slab.h"

#define F_SETOWN	8
#define F_GETOWN	9
#define F_SETSIG	10
#define F_GETSIG	11
#define F_SETOWN_EX	15
#define F_GETOWN_EX	16
#define F_GETOWNER_UIDS 17
#define FIOASYNC	0x5452u
#define FIOSETOWN	0x8901u
#define SIOCSPGRP	0x8902u
#define FIOGETOWN	0x8903u
#define SIOCGPGRP	0x8904u
#define SI_SIGIO	(-5)
#define POLLWRBAND	0x200

enum owner_type { OWNER_THREAD, OWNER_PROCESS, OWNER_GROUP }; /* F_OWNER_* */

/** As F_SETOWN_EX passes it. */
struct owner_ex {
	s32 type, pid;
};

/** Beside the fields: async_lock. */
struct file_owner {
	struct list_head node; /* in async_files while `on` */
	bool on;
	const struct file *file; /* C */
	int fd;			 /* the descriptor for which O_ASYNC was set */
	struct owner_ex who;	 /* pid 0: nobody */
	u64 since_ns;		 /* ktime when it was set */
	u32 uid, euid;		 /* of the process that set it */
	int sig;		 /* 0: a plain SIGIO */
};

static spinlock_t async_lock = SPINLOCK_INIT;
static LIST_HEAD(async_files);
s32 nr_async_files;

/* ---- sending ---------------------------------------------------------------------------------- */

/* May the owner's setter signal t? As Linux's sigio_perm(). T held. */
static bool may_signal_owner(const struct file_owner *o, const struct task *t)
{
	const struct cred *c = t->cred;

	return c && (!o->euid || o->euid == c->suid || o->euid == c->uid || o->uid == c->suid ||
		     o->uid == c->uid);
}

static u32 band_of(int code)
{
	switch (code) {
	case POLL_IN:
		return POLLIN | POLLRDNORM;
	case POLL_OUT:
		return POLLOUT | POLLWRNORM | POLLWRBAND;
	default:
		return POLLHUP | POLLERR;
	}
}

/* Do the si_codes of this signal have other meanings than POLL_*? */
static bool has_own_codes(int sig)
{
	const u64 own = SIGBIT(SIGILL) | SIGBIT(SIGFPE) | SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) |
			SIGBIT(SIGTRAP) | SIGBIT(SIGCHLD) | SIGBIT(SIGSYS);

	return own & SIGBIT(sig);
}

/* T held. */
static int send(const struct file_owner *o, struct process *p, struct task *t, int sig,
		const struct siginfo_short *info)
{
	return o->who.type == OWNER_THREAD ? signal_thread(t, sig, info)
					   : signal_process(p, sig, info);
}

/* Signal one process or thread. If there is no room for a real-time signal, send a plain SIGIO, so that the event is
 * not lost. T held. */
static void signal_one(const struct file_owner *o, struct process *p, struct task *t, int code)
{
	struct siginfo_short plain = {SI_KERNEL, 0, 0, 0};
	struct siginfo_short info = {.code = has_own_codes(o->sig) ? SI_SIGIO : code,
				     .pid = (s32)band_of(code),
				     .value = (u32)o->fd};

	if (p->started_ns > o->since_ns || !may_signal_owner(o, t))
		return;
	if (!o->sig || send(o, p, t, o->sig, &info) == -EAGAIN)
		send(o, p, t, SIGIO, &plain);
}

static struct task *first_thread(struct process *p)
{
	return list_empty(&p->threads) ? NULL : list_first_entry(&p->threads, struct task, thread);
}

/* A thread by its number. find_task() will not do: it finds threads that have ended, whose process may be gone. T
 * held. */
static struct task *find_thread(int tid)
{
	struct process *p;
	struct task *t;

	list_for_each_entry (p, &process_list, all)
		list_for_each_entry (t, &p->threads, thread) {
			if (t->pid == tid)
				return t;
		}
	return NULL;
}

static void signal_owner(const struct file_owner *o, int code)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct process *p;
	struct task *t;

	switch (o->who.type) {
	case OWNER_THREAD:
		t = find_thread(o->who.pid);
		if (t)
			signal_one(o, t->proc, t, code);
		break;
	case OWNER_PROCESS:
		p = find_process(o->who.pid);
		t = p ? first_thread(p) : NULL;
		if (t)
			signal_one(o, p, t, code);
		break;
	case OWNER_GROUP:
		list_for_each_entry (p, &process_list, all) {
			t = first_thread(p);
			if (p->pgid == o->who.pid && t)
				signal_one(o, p, t, code);
		}
		break;
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
}

void __async_notify(const void *object, int code)
{
	unsigned long flags = spin_lock_irqsave(&async_lock);
	struct file_owner *o;

	list_for_each_entry (o, &async_files, node) {
		struct file *f = (struct file *)o->file;

		if (f->ops->async_object(f) != object || !o->who.pid)
			continue;
		if (code == POLL_OUT ? file_can_write(f) : file_can_read(f))
			signal_owner(o, code);
	}
	spin_unlock_irqrestore(&async_lock, flags);
}

/* ---- the owner -------------------------------------------------------------------------------- */

/* The file's owner struct, created if necessary. NULL: no memory. */
static struct file_owner *owner_get(struct file *f)
{
	struct file_owner *fresh, *o = atomic_load_acquire(&f->owner);
	unsigned long flags;

	if (o)
		return o;
	fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return NULL;
	fresh->file = f;
	flags = spin_lock_irqsave(&async_lock);
	o = f->owner;
	if (!o) {
		atomic_store_release(&f->owner, fresh);
		o = fresh;
		fresh = NULL;
	}
	spin_unlock_irqrestore(&async_lock, flags);
	kfree(fresh);
	return o;
}

/* T held. */
static bool owner_exists(const struct owner_ex *who)
{
	struct process *p;

	if (who->type != OWNER_GROUP)
		return find_process(who->pid) || find_thread(who->pid);
	list_for_each_entry (p, &process_list, all) {
		if (p->pgid == who->pid)
			return true;
	}
	return false;
}

static bool is_there(const struct owner_ex *who)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	bool there = owner_exists(who);

	spin_unlock_irqrestore(&task_list_lock, flags);
	return there;
}

static void set_owner(struct file_owner *o, const struct owner_ex *who)
{
	const struct cred *me = current_cred();
	unsigned long flags = spin_lock_irqsave(&async_lock);

	o->who = *who;
	o->since_ns = ktime_ns();
	o->uid = who->pid ? me->uid : 0;
	o->euid = who->pid ? me->euid : 0;
	spin_unlock_irqrestore(&async_lock, flags);
}

static long change_owner(struct file *f, const struct owner_ex *who)
{
	struct file_owner *o;

	if (who->pid && (who->pid < 0 || !is_there(who)))
		return -ESRCH;
	o = owner_get(f);
	if (!o)
		return -ENOMEM;
	set_owner(o, who);
	return 0;
}

/* A group's number is negative. */
static long set_own(struct file *f, s32 who)
{
	if (who == (s32)0x80000000)
		return -EINVAL;
	return change_owner(f, who < 0 ? &(struct owner_ex){OWNER_GROUP, -who}
				       : &(struct owner_ex){OWNER_PROCESS, who});
}

static struct owner_ex owner_of(const struct file *f)
{
	struct file_owner *o = atomic_load_acquire(&((struct file *)f)->owner);
	struct owner_ex who = {0, 0};
	unsigned long flags;

	if (!o)
		return who;
	flags = spin_lock_irqsave(&async_lock);
	who = o->who;
	spin_unlock_irqrestore(&async_lock, flags);
	if (who.pid && !is_there(&who))
		who.pid = 0;
	return who;
}

static s32 get_own(const struct file *f)
{
	struct owner_ex who = owner_of(f);

	return who.type == OWNER_GROUP ? -who.pid : who.pid;
}

static long set_own_ex(struct file *f, unsigned long user)
{
	struct owner_ex who;

	if (copy_from_user(&who, user, sizeof(who)))
		return -EFAULT;
	if (who.type < OWNER_THREAD || who.type > OWNER_GROUP)
		return -EINVAL;
	return change_owner(f, &who);
}

static long set_sig(struct file *f, unsigned long sig)
{
	struct file_owner *o;

	if (sig > NR_SIGNALS)
		return -EINVAL;
	o = owner_get(f);
	if (!o)
		return -ENOMEM;
	WRITE_ONCE(o->sig, (int)sig);
	return 0;
}

static long get_uids(const struct file *f, unsigned long user)
{
	const struct file_owner *o = atomic_load_acquire(&((struct file *)f)->owner);
	u32 ids[2] = {o ? READ_ONCE(o->uid) : 0, o ? READ_ONCE(o->euid) : 0};

	return copy_to_user(user, ids, sizeof(ids)) ? -EFAULT : 0;
}

/* ---- calls ------------------------------------------------------------------------------------ */

int async_set(struct file *f, unsigned int fd, bool on)
{
	struct file_owner *o;
	unsigned long flags;

	if (!f->ops->async_object || on == !!(f->flags & O_ASYNC))
		return 0;
	o = owner_get(f);
	if (!o)
		return -ENOMEM;
	if (on && !o->who.pid && f->ops->async_owner) {
		s32 pgid = f->ops->async_owner(f);

		set_owner(o, pgid ? &(struct owner_ex){OWNER_GROUP, pgid}
				  : &(struct owner_ex){OWNER_PROCESS, current_process()->pid});
	}
	flags = spin_lock_irqsave(&async_lock);
	if (on != o->on) {
		o->on = on;
		o->fd = (int)fd;
		if (on)
			list_add(&o->node, &async_files);
		else
			list_del(&o->node);
		atomic_add(&nr_async_files, on ? 1 : -1); /* a full barrier */
	}
	f->flags = on ? f->flags | O_ASYNC : f->flags & ~O_ASYNC;
	spin_unlock_irqrestore(&async_lock, flags);
	return 0;
}

long async_fcntl(struct file *f, int cmd, unsigned long arg)
{
	struct owner_ex who;

	switch (cmd) {
	case F_SETOWN:
		return set_own(f, (s32)arg);
	case F_GETOWN:
		return get_own(f);
	case F_SETOWN_EX:
		return set_own_ex(f, arg);
	case F_GETOWN_EX:
		who = owner_of(f);
		return copy_to_user(arg, &who, sizeof(who)) ? -EFAULT : 0;
	case F_GETOWNER_UIDS:
		return get_uids(f, arg);
	case F_SETSIG:
		return set_sig(f, arg);
	case F_GETSIG:
		return f->owner ? READ_ONCE(f->owner->sig) : 0;
	default:
		return -ENOTTY;
	}
}

long async_ioctl(struct file *f, unsigned int fd, unsigned int cmd, unsigned long arg)
{
	s32 n;

	switch (cmd) {
	case FIOASYNC:
		if (copy_from_user(&n, arg, sizeof(n)))
			return -EFAULT;
		if (!f->ops->async_object)
			return !n == !(f->flags & O_ASYNC) ? 0 : -ENOTTY;
		return async_set(f, fd, n);
	case FIOSETOWN:
	case SIOCSPGRP:
		if (!f->ops->socket)
			return -ENOTTY;
		return copy_from_user(&n, arg, sizeof(n)) ? -EFAULT : set_own(f, n);
	case FIOGETOWN:
	case SIOCGPGRP:
		if (!f->ops->socket)
			return -ENOTTY;
		n = get_own(f);
		return copy_to_user(arg, &n, sizeof(n)) ? -EFAULT : 0;
	default:
		return -ENOTTY;
	}
}

void async_release(struct file *f)
{
	struct file_owner *o = f->owner;
	unsigned long flags;

	if (o->on) {
		flags = spin_lock_irqsave(&async_lock);
		list_del(&o->node);
		atomic_sub(&nr_async_files, 1);
		spin_unlock_irqrestore(&async_lock, flags);
	}
	kfree(o);
}
