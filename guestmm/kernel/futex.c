/*
 * Futexes.
 *
 *   bucket[hash(mm, addr)] ──> waiter ──> waiter      each on the stack of the thread that waits
 *
 * A waiter enters its bucket before it reads the word; a waker has changed the word before it looks
 * at the bucket. So one of the two sees the other, and no wake-up is lost.
 *
 * I1  A waiter leaves only under its bucket's lock: whoever finds it there may use it.
 * I2  The key is the address space and the address: words shared between processes are not known.
 *
 * Locks: bucket locks, by address, above wait-queue locks.
 */
#include "kernel/futex.h"
#include "arch/uaccess.h"
#include "lib/errno.h"

#define FUTEX_WAIT	  0
#define FUTEX_WAKE	  1
#define FUTEX_REQUEUE	  3
#define FUTEX_CMP_REQUEUE 4
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_PRIVATE	  128
#define FUTEX_CLOCK_REAL  256
#define NS_PER_SEC	  1000000000ull

#define BUCKETS 64u
static struct bucket {
	spinlock_t lock;
	struct list_head waiters; /* next NULL: never used */
} buckets[BUCKETS];

struct waiter {
	struct list_head node;
	struct bucket *bucket; /* its lock, and that of where it goes, to change */
	struct mm_struct *mm;
	unsigned long addr;
	u32 bitset;
	bool woken; /* bucket lock */
	struct wait_queue wq;
};

static struct bucket *find_bucket(struct mm_struct *mm, unsigned long addr)
{
	u64 h = ((unsigned long)mm >> 6 ^ addr >> 2) * 0x9e3779b97f4a7c15ull;

	return &buckets[h >> 32 & (BUCKETS - 1)];
}

static void lock_bucket(struct bucket *b)
{
	spin_lock(&b->lock);
	if (!b->waiters.next)
		INIT_LIST_HEAD(&b->waiters);
}

/* Lock held. */
static void wake_one(struct waiter *w)
{
	list_del(&w->node);
	w->woken = true;
	wake_up(&w->wq); /* before it may leave (I1) */
}

static long wake_bitset(struct mm_struct *mm, unsigned long addr, u32 n, u32 bitset)
{
	struct bucket *b = find_bucket(mm, addr);
	struct waiter *w, *next;
	u32 woken = 0;

	lock_bucket(b);
	list_for_each_entry_safe (w, next, &b->waiters, node) {
		if (woken == n)
			break;
		if (w->mm != mm || w->addr != addr || !(w->bitset & bitset))
			continue;
		wake_one(w);
		woken++;
	}
	spin_unlock(&b->lock);
	return woken;
}

long futex_wake(struct mm_struct *mm, unsigned long addr, u32 n)
{
	return wake_bitset(mm, addr, n, ~0u);
}

/* Leave, wherever it was requeued to. True: it had been woken. */
static bool leave(struct waiter *w)
{
	for (;;) {
		struct bucket *b = READ_ONCE(w->bucket);
		bool woken;

		spin_lock(&b->lock);
		if (b != READ_ONCE(w->bucket)) {
			spin_unlock(&b->lock);
			continue;
		}
		woken = w->woken;
		if (!woken)
			list_del(&w->node);
		spin_unlock(&b->lock);
		return woken;
	}
}

static long do_wait(unsigned long addr, u32 expected, u64 until, u32 bitset)
{
	struct waiter w = {.mm = current->mm, .addr = addr, .bitset = bitset};
	long ret = 0;
	u32 now;

	wait_queue_init(&w.wq);
	w.bucket = find_bucket(w.mm, addr);
	lock_bucket(w.bucket);
	list_add_tail(&w.node, &w.bucket->waiters);
	spin_unlock(&w.bucket->lock);

	if (copy_from_user(&now, addr, sizeof(now)))
		ret = -EFAULT;
	else if (now != expected)
		ret = -EAGAIN;
	while (!ret && !READ_ONCE(w.woken)) {
		struct wait_entry we;
		u64 ns = ktime_ns();

		if (ns >= until) {
			ret = -ETIMEDOUT;
			break;
		}
		prepare_to_wait(&w.wq, &we);
		if (READ_ONCE(w.woken))
			ret = 0;
		else if (signal_pending())
			ret = -ERESTARTSYS;
		else if (until == ~0ull)
			schedule();
		else
			schedule_timeout(until - ns);
		finish_wait(&w.wq, &we);
	}
	if (leave(&w))
		return 0;
	/* A time-out is relative to the first call: it does not start again. */
	return ret == -ERESTARTSYS && until != ~0ull ? -EINTR : ret;
}

/* Wake some, and let others wait for another word instead. */
static long requeue(unsigned long addr, u32 wake, u32 move, unsigned long to)
{
	struct mm_struct *mm = current->mm;
	struct bucket *from = find_bucket(mm, addr), *dest = find_bucket(mm, to);
	struct waiter *w, *next;
	u32 woken = 0, moved = 0;

	/* Two buckets are locked in the order of their addresses. */
	lock_bucket(min(from, dest));
	if (from != dest)
		lock_bucket(max(from, dest));
	list_for_each_entry_safe (w, next, &from->waiters, node) {
		if (w->mm != mm || w->addr != addr)
			continue;
		if (woken < wake) {
			wake_one(w);
			woken++;
			continue;
		}
		if (moved == move)
			break;
		w->addr = to;
		if (from != dest) {
			list_del(&w->node);
			WRITE_ONCE(w->bucket, dest);
			list_add_tail(&w->node, &dest->waiters);
		}
		moved++;
	}
	if (from != dest)
		spin_unlock(&max(from, dest)->lock);
	spin_unlock(&min(from, dest)->lock);
	return woken + moved;
}

static int deadline(unsigned long uaddr, bool absolute, bool realtime, u64 *until)
{
	struct {
		s64 sec, nsec;
	} ts;
	u64 ns;

	*until = ~0ull;
	if (!uaddr)
		return 0;
	if (copy_from_user(&ts, uaddr, sizeof(ts)))
		return -EFAULT;
	if (ts.sec < 0 || (u64)ts.nsec >= NS_PER_SEC)
		return -EINVAL;
	if ((u64)ts.sec > (~0ull >> 1) / NS_PER_SEC)
		return 0;
	ns = ts.sec * NS_PER_SEC + ts.nsec;
	if (!absolute)
		ns += ktime_ns();
	else if (realtime)
		ns = ns > boot_info.epoch_ns ? ns - boot_info.epoch_ns : 0;
	*until = ns;
	return 0;
}

long sys_futex(struct pt_regs *r)
{
	int op = (int)r->rsi, cmd = op & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REAL);
	unsigned long addr = r->rdi;
	u32 val = r->rdx, val3 = r->r9, now;
	u64 until;
	int err;

	if (addr & 3)
		return -EINVAL;
	if (addr >= TASK_SIZE)
		return -EFAULT;
	switch (cmd) {
	case FUTEX_WAIT:
		val3 = ~0u;
		/* fall through */
	case FUTEX_WAIT_BITSET:
		if (!val3)
			return -EINVAL;
		err = deadline(r->r10, cmd == FUTEX_WAIT_BITSET, op & FUTEX_CLOCK_REAL, &until);
		return err ? err : do_wait(addr, val, until, val3);
	case FUTEX_WAKE:
		return futex_wake(current->mm, addr, val);
	case FUTEX_WAKE_BITSET:
		return val3 ? wake_bitset(current->mm, addr, val, val3) : -EINVAL;
	case FUTEX_CMP_REQUEUE:
		if (copy_from_user(&now, addr, sizeof(now)))
			return -EFAULT;
		if (now != val3)
			return -EAGAIN;
		/* fall through */
	case FUTEX_REQUEUE:
		if (r->r8 & 3)
			return -EINVAL;
		return requeue(addr, val, r->r10, r->r8);
	default:
		return -ENOSYS;
	}
}
