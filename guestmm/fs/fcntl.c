/*
 * fcntl(2): descriptors' and files' flags, seals, and locks on ranges of files; flock(2).
 *
 * All locks are in one list, because programs hold few. There are three kinds, by their owner:
 *
 *   fcntl F_SETLK       the descriptor table: released when the process closes any descriptor of the file
 *   fcntl F_OFD_SETLK   the open file
 *   flock               the open file; it locks the whole file, and does not conflict with the other two
 *
 * I1  Locks of one owner on one file do not overlap; setting one cuts or removes the locks that it overlaps.
 * I2  Two owners' locks overlap only if both are shared.
 *
 * If an F_SETLKW would close a cycle of processes that wait for each other, it fails with -EDEADLK.
 *
 * Locks: locks_lock; memory for cutting is allocated before it is taken.
 */
#include "fs/async.h"
#include "fs/pipe.h"
#include "lib/syscall.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab/slab.h"

#define F_DUPFD		0
#define F_GETFD		1
#define F_SETFD		2
#define F_GETFL		3
#define F_SETFL		4
#define F_GETLK		5
#define F_SETLK		6
#define F_SETLKW	7
#define F_OFD_GETLK	36
#define F_OFD_SETLK	37
#define F_OFD_SETLKW	38
#define F_DUPFD_CLOEXEC 1030
#define F_SETPIPE_SZ	1031
#define F_GETPIPE_SZ	1032
#define F_ADD_SEALS	1033
#define F_GET_SEALS	1034
#define FD_CLOEXEC	1

#define F_RDLCK 0
#define F_WRLCK 1
#define F_UNLCK 2

struct flock64 {
	short type, whence;
	s32 pad;
	s64 start, len;
	s32 pid, pad2;
};
_Static_assert(sizeof(struct flock64) == 32, "Linux's ABI");

struct file_lock {
	struct list_head node;
	const struct inode *inode;
	const void *owner;
	bool whole; /* flock's */
	bool exclusive;
	s32 pid;	/* -1: the lock of an open file */
	u64 start, end; /* inclusive */
};

static spinlock_t locks_lock = SPINLOCK_INIT;
static LIST_HEAD(all_locks);
static u32 nr_locks;
static LIST_HEAD(waiting); /* waiters with a process's lock on a range */
static struct wait_queue locks_wq = WAIT_QUEUE_INIT(locks_wq);

/* ---- the list: locks_lock held ----------------------------------------------------------------- */

/* Only process locks take part in the search for deadlocks, as on Linux. */
static bool of_process(const struct file_lock *l)
{
	return !l->whole && l->pid != -1;
}

static bool overlap(const struct file_lock *a, const struct file_lock *b)
{
	return a->inode == b->inode && a->whole == b->whole && a->start <= b->end &&
	       b->start <= a->end;
}

static struct file_lock *find_conflict(const struct file_lock *want)
{
	struct file_lock *l;

	list_for_each_entry (l, &all_locks, node) {
		if (l->owner != want->owner && overlap(l, want) &&
		    (l->exclusive || want->exclusive))
			return l;
	}
	return NULL;
}

/** A waiter, on its own stack. */
struct lock_waiter {
	struct list_head node;
	const struct file_lock *want;
};

static const struct file_lock *wanted_by(const void *owner)
{
	struct lock_waiter *w;

	list_for_each_entry (w, &waiting, node) {
		if (w->want->owner == owner)
			return w->want;
	}
	return NULL;
}

#define MAX_DEADLOCK 10 /* owners in a circle, as Linux */

/* Does the holder of the wanted lock wait, directly or through others, for a lock of the caller? */
static bool would_deadlock(const struct file_lock *want)
{
	const struct file_lock *next = want;

	for (int i = 0; next && i < MAX_DEADLOCK; i++) {
		const struct file_lock *held = find_conflict(next);

		if (!held)
			return false;
		if (held->owner == want->owner)
			return true;
		next = wanted_by(held->owner);
	}
	return false;
}

/* Add a lock. The locks of an owner are together, sorted by range. The order decides which conflict F_GETLK reports. */
static void add_lock(struct file_lock *l)
{
	struct list_head *before = &all_locks;
	struct file_lock *o;

	list_for_each_entry (o, &all_locks, node) {
		if (o->owner != l->owner || o->inode != l->inode || o->whole != l->whole)
			continue;
		before = o->start > l->start ? &o->node : o->node.next;
		if (o->start > l->start)
			break;
	}
	list_add_tail(&l->node, before);
	nr_locks++;
}

/* Remove the range of `want` from its owner's locks. *spare is used for the second half of a lock that is cut in two.
 * Memory of removed locks is put into *garbage. Returns whether anything was removed. */
static bool cut(const struct file_lock *want, struct file_lock **spare, struct list_head *garbage)
{
	struct file_lock *l, *next;
	bool found = false;

	list_for_each_entry_safe (l, next, &all_locks, node) {
		if (l->owner != want->owner || !overlap(l, want))
			continue;
		found = true;
		if (l->start < want->start && l->end > want->end) {
			struct file_lock *rest = *spare;

			*spare = NULL;
			*rest = *l;
			rest->start = want->end + 1;
			l->end = want->start - 1;
			add_lock(rest);
		} else if (l->start < want->start) {
			l->end = want->start - 1;
		} else if (l->end > want->end) {
			l->start = want->end + 1;
		} else {
			list_move(&l->node, garbage);
			nr_locks--;
		}
	}
	return found;
}

static void free_garbage(struct list_head *garbage)
{
	struct file_lock *l, *next;

	list_for_each_entry_safe (l, next, garbage, node)
		kfree(l);
}

/* ---- setting ---------------------------------------------------------------------------------- */

enum lock_op { SET_LOCK, SET_LOCK_AND_WAIT, REMOVE_LOCK };

/* 0, -EAGAIN, -ENOMEM. */
static int try_lock(const struct file_lock *want, enum lock_op op)
{
	bool unlock = op == REMOVE_LOCK;
	struct file_lock *fresh = NULL, *spare = kmalloc(sizeof(*spare), GFP_KERNEL_ACCOUNT);
	LIST_HEAD(garbage);
	bool woke = false;
	int err = 0;

	if (!unlock)
		fresh = kmalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!spare || (!unlock && !fresh)) {
		kfree(spare);
		kfree(fresh);
		return -ENOMEM;
	}
	spin_lock(&locks_lock);
	if (!unlock && find_conflict(want)) {
		err = -EAGAIN;
	} else {
		woke = cut(want, &spare, &garbage);
		if (fresh) {
			*fresh = *want;
			add_lock(fresh);
			fresh = NULL;
		}
	}
	spin_unlock(&locks_lock);
	free_garbage(&garbage);
	kfree(spare);
	kfree(fresh);
	if (woke)
		wake_up(&locks_wq);
	return err;
}

/* try_lock() for a caller that would wait: also -EDEADLK, for locks of processes on ranges. */
static int try_lock_waiting(const struct file_lock *want)
{
	int err = try_lock(want, SET_LOCK);

	if (err != -EAGAIN || !of_process(want))
		return err;
	spin_lock(&locks_lock);
	if (would_deadlock(want))
		err = -EDEADLK;
	spin_unlock(&locks_lock);
	return err;
}

static int set_lock(const struct file_lock *want, enum lock_op op)
{
	struct lock_waiter me = {.want = want};
	int err = try_lock(want, op), broken;

	if (err != -EAGAIN || op != SET_LOCK_AND_WAIT)
		return err;
	/* The waiter enters the list before it searches for a cycle. So if two waiters close a cycle at the same time,
	 * one of them finds it. */
	INIT_LIST_HEAD(&me.node);
	spin_lock(&locks_lock);
	if (of_process(want))
		list_add_tail(&me.node, &waiting);
	spin_unlock(&locks_lock);
	broken = wait_event_interruptible(&locks_wq, (err = try_lock_waiting(want)) != -EAGAIN);
	spin_lock(&locks_lock);
	list_del(&me.node);
	spin_unlock(&locks_lock);
	return broken ? broken : err;
}

/* flock(2) locks a whole file, the others lock ranges. */
enum which_locks { RANGE_LOCKS, ALL_LOCKS };

static void remove_all(const void *owner, const struct inode *inode, enum which_locks which)
{
	struct file_lock *l, *next;
	LIST_HEAD(garbage);

	if (!READ_ONCE(nr_locks))
		return;
	spin_lock(&locks_lock);
	list_for_each_entry_safe (l, next, &all_locks, node) {
		if (l->owner == owner && l->inode == inode && (which == ALL_LOCKS || !l->whole)) {
			list_move(&l->node, &garbage);
			nr_locks--;
		}
	}
	spin_unlock(&locks_lock);
	if (list_empty(&garbage))
		return;
	free_garbage(&garbage);
	wake_up(&locks_wq);
}

void locks_remove_posix(struct file *f, struct files *files)
{
	if (f->inode)
		remove_all(files, f->inode, RANGE_LOCKS);
}

void locks_remove_file(struct file *f)
{
	remove_all(f, f->inode, ALL_LOCKS);
}

#define LOCK_SH 1
#define LOCK_EX 2
#define LOCK_NB 4
#define LOCK_UN 8

long sys_flock(struct pt_regs *r)
{
	struct file *f = fd_get(r->rdi);
	u32 op = (u32)r->rsi & ~LOCK_NB;
	struct file_lock want;
	long ret;

	if (!f)
		return -EBADF;
	ret = -EINVAL;
	if (op != LOCK_SH && op != LOCK_EX && op != LOCK_UN)
		goto put;
	ret = -EBADF;
	if (f->flags & O_PATH || !f->inode)
		goto put;
	want = (struct file_lock){
		.inode = f->inode,
		.owner = f,
		.whole = true,
		.exclusive = op == LOCK_EX,
		.end = ~0ull,
	};
	ret = set_lock(&want, op == LOCK_UN	 ? REMOVE_LOCK
			      : r->rsi & LOCK_NB ? SET_LOCK
						 : SET_LOCK_AND_WAIT);
put:
	file_put(f);
	return ret;
}

/* Get the range of a struct flock. 0 or -errno. */
static int lock_range(const struct file *f, const struct flock64 *u, struct file_lock *l)
{
	s64 start = u->start;

	switch (u->whence) {
	case 0:
		break;
	case 1:
		start += f->pos;
		break;
	case 2:
		start += f->inode->i_data.size;
		break;
	default:
		return -EINVAL;
	}
	if (u->len < 0) {
		l->end = start - 1;
		start += u->len;
	} else if (!u->len) {
		l->end = ~0ull >> 1;
	} else if (__builtin_add_overflow(start, u->len - 1, (s64 *)&l->end)) {
		return -EOVERFLOW;
	}
	if (start < 0)
		return -EINVAL;
	l->start = start;
	return 0;
}

static long fcntl_lock(struct file *f, int cmd, unsigned long arg)
{
	bool ofd = cmd >= F_OFD_GETLK;
	struct file_lock want = {0}, *other;
	struct flock64 u;
	int err;

	if (copy_from_user(&u, arg, sizeof(u)))
		return -EFAULT;
	if (!f->inode)
		return -EINVAL;
	if (ofd && u.pid)
		return -EINVAL;
	err = lock_range(f, &u, &want);
	if (err)
		return err;
	want.inode = f->inode;
	want.owner = ofd ? (void *)f : (void *)current_process()->files;
	want.exclusive = u.type == F_WRLCK;
	want.pid = ofd ? -1 : current_process()->pid;
	if (cmd != F_GETLK && cmd != F_OFD_GETLK) {
		if (u.type != F_RDLCK && u.type != F_WRLCK && u.type != F_UNLCK)
			return -EINVAL;
		if ((u.type == F_RDLCK && !file_can_read(f)) ||
		    (u.type == F_WRLCK && !file_can_write(f)))
			return -EBADF;
		return set_lock(&want, u.type == F_UNLCK			? REMOVE_LOCK
				       : cmd == F_SETLKW || cmd == F_OFD_SETLKW ? SET_LOCK_AND_WAIT
										: SET_LOCK);
	}
	if (u.type != F_RDLCK && u.type != F_WRLCK)
		return -EINVAL;
	spin_lock(&locks_lock);
	other = find_conflict(&want);
	u.type = F_UNLCK;
	if (other) {
		u.type = other->exclusive ? F_WRLCK : F_RDLCK;
		u.whence = 0;
		u.start = other->start;
		u.len = other->end == ~0ull >> 1 ? 0 : other->end - other->start + 1;
		u.pid = other->pid;
	}
	spin_unlock(&locks_lock);
	return copy_to_user(arg, &u, sizeof(u)) ? -EFAULT : 0;
}

/* ---- seals ------------------------------------------------------------------------------------ */

static long add_seals(struct file *f, u32 seals)
{
	struct inode *inode = f->inode;
	long ret = 0;

	if (!inode || !(inode->i_data.flags & AS_SHMEM))
		return -EINVAL;
	if (!file_can_write(f))
		return -EPERM;
	if (seals &
	    ~(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EINVAL;
	down_write(&inode->lock);
	if (inode->i_data.seals & F_SEAL_SEAL)
		ret = -EPERM;
	else if (seals & F_SEAL_WRITE && !(inode->i_data.seals & F_SEAL_WRITE))
		ret = mapping_deny_writable(&inode->i_data);
	if (!ret) {
		bool denied = seals & ~inode->i_data.seals & F_SEAL_WRITE;

		atomic_or(&inode->i_data.seals, seals);
		if (denied)
			mapping_allow_writable(&inode->i_data);
	}
	up_write(&inode->lock);
	return ret;
}

static long get_seals(const struct file *f)
{
	if (!f->inode || !(f->inode->i_data.flags & AS_SHMEM))
		return -EINVAL;
	return f->inode->i_data.seals;
}

/* ---- the call --------------------------------------------------------------------------------- */

#define SETFL_MASK (O_APPEND | O_NONBLOCK | O_NOATIME | O_DIRECT)

static long file_command(struct file *f, unsigned int fd, int cmd, unsigned long arg)
{
	long err;

	switch (cmd) {
	case F_GETFL:
		return f->flags;
	case F_SETFL:
		if (arg & O_DIRECT && !(f->flags & O_DIRECT) && !file_can_direct(f) &&
		    pipe_capacity(f) < 0) /* a pipe: packets */
			return -EINVAL;
		err = async_set(f, fd, arg & O_ASYNC);
		if (err)
			return err;
		f->flags = (f->flags & ~SETFL_MASK) | (arg & SETFL_MASK);
		return 0;
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return fcntl_lock(f, cmd, arg);
	case F_ADD_SEALS:
		return add_seals(f, arg);
	case F_GET_SEALS:
		return get_seals(f);
	case F_SETPIPE_SZ:
		return pipe_set_size(f, arg);
	case F_GETPIPE_SZ:
		return pipe_capacity(f);
	default:
		err = async_fcntl(f, cmd, arg);
		return err == -ENOTTY ? -EINVAL : err;
	}
}

long sys_fcntl(struct pt_regs *r)
{
	unsigned int fd = r->rdi;
	int cmd = r->rsi;
	struct file *f;
	long ret;

	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		f = fd_get(fd);
		if (!f)
			return -EBADF;
		file_put(f);
		return fd_dup_from(fd, r->rdx, cmd == F_DUPFD_CLOEXEC ? O_CLOEXEC : 0);
	case F_GETFD:
		return fd_get_cloexec(fd);
	case F_SETFD:
		return fd_set_cloexec(fd, r->rdx & FD_CLOEXEC);
	}
	f = fd_get(fd);
	if (!f)
		return -EBADF;
	ret = f->flags & O_PATH && cmd != F_GETFL ? -EBADF : file_command(f, fd, cmd, r->rdx);
	file_put(f);
	return ret;
}
