/*
 * Futexes.
 *
 *   bucket[hash(mm, addr)] ──> waiter ──> waiter      each on the stack of the thread that waits
 *
 * A waiter enters its bucket before it reads the word; a waker has changed the word before it looks
 * at the bucket. So one of the two sees the other, and no wake-up is lost.
 *
 * I1  A waiter leaves only under its bucket's lock: whoever finds it there may use it.
 * I2  The key of a word is where it lives: in a mapping that processes share, the file's page and the
 *     offset; anywhere else, or when the caller says that nobody shares it, the address space and
 *     the address. A key does not keep what it names alive: when a file goes while somebody waits,
 *     the worst that can happen is a wake-up for nothing, which every waiter must expect.
 *
 * Robust lists: a thread says where it keeps the list of locks that it holds, and when it ends the
 * words of these locks say that their owner has died. Locks with priority inheritance are futex_pi.c's.
 *
 * Locks: bucket locks, by address, above wait-queue locks; mmap_lock before them.
 */
#include "kernel/boot_info.h"
#include "kernel/futex.h"
#include "kernel/futex_internal.h"
#include "kernel/time_calls.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/virt/vma.h"

#define FUTEX_WAIT	  0
#define FUTEX_WAKE	  1
#define FUTEX_REQUEUE	  3
#define FUTEX_CMP_REQUEUE 4
#define FUTEX_WAKE_OP	  5
#define FUTEX_LOCK_PI	  6
#define FUTEX_UNLOCK_PI	  7
#define FUTEX_TRYLOCK_PI  8
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_LOCK_PI2	  13
#define FUTEX_PRIVATE	  128
#define FUTEX_CLOCK_REAL  256

#define ROBUST_LIST_LIMIT 2048
#define ROBUST_HEAD_SIZE  24

#define BUCKETS 64u
static struct bucket {
	spinlock_t lock;
	struct list_head waiters; /* next NULL: never used */
} buckets[BUCKETS];

struct waiter {
	struct list_head node;
	struct bucket *bucket; /* its lock, and that of where it goes, to change */
	struct futex_key key;
	u32 bitset;
	bool woken; /* bucket lock */
	struct wait_queue *wq;
};

/* 0, -EINVAL, or -EFAULT: no word is there. What only this process knows (`private`) is not looked at. */
static int find_key(struct mm_struct *mm, unsigned long addr, bool private, struct futex_key *key)
{
	struct vm_area_struct *vma;
	int err = -EFAULT;

	*key = (struct futex_key){mm, addr};
	if (addr & 3)
		return -EINVAL;
	if (addr >= TASK_SIZE)
		return -EFAULT;
	if (private)
		return 0;
	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (vma && addr >= vma->vm_start && vma->flags & VM_READ)
		err = 0;
	/* Not VM_SHARED: a file that was opened for reading is shared, too. */
	if (!err && vma->mapping && vma->flags & VM_MAYSHARE) {
		key->object = vma->mapping;
		key->offset =
			((u64)linear_page_index(vma, addr) << PAGE_SHIFT) | (addr & ~PAGE_MASK);
	}
	up_read(&mm->mmap_lock);
	return err;
}

static struct bucket *find_bucket(const struct futex_key *key)
{
	u64 h = ((unsigned long)key->object >> 6 ^ key->offset >> 2) * 0x9e3779b97f4a7c15ull;

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
	wake_up(w->wq); /* before it may leave (I1) */
}

static long wake_bitset(struct futex_key key, u32 n, u32 bitset)
{
	struct bucket *b = find_bucket(&key);
	struct waiter *w, *next;
	u32 woken = 0;

	lock_bucket(b);
	list_for_each_entry_safe (w, next, &b->waiters, node) {
		if (woken == n)
			break;
		if (!futex_same_key(&w->key, &key) || !(w->bitset & bitset))
			continue;
		wake_one(w);
		woken++;
	}
	spin_unlock(&b->lock);
	return woken;
}

long futex_wake(struct mm_struct *mm, unsigned long addr, u32 n)
{
	struct futex_key key;
	int err = find_key(mm, addr, false, &key);

	return err ? err : wake_bitset(key, n, ~0u);
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

/* A word that is waited for. */
struct word {
	struct waiter w;
	unsigned long addr;
	u32 expected;
};

static void enter(struct waiter *w, struct wait_queue *wq)
{
	w->wq = wq;
	w->bucket = find_bucket(&w->key);
	lock_bucket(w->bucket);
	list_add_tail(&w->node, &w->bucket->waiters);
	spin_unlock(&w->bucket->lock);
}

static long look(const struct word *word)
{
	u32 now;

	if (copy_from_user(&now, word->addr, sizeof(now)))
		return -EFAULT;
	return now == word->expected ? 0 : -EAGAIN;
}

static bool any_woken(const struct word *word, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		if (READ_ONCE(word[i].w.woken))
			return true;
	}
	return false;
}

/* Wait for one of n words to be woken. Its index, or -errno: none was. */
static long do_wait(struct word *word, u32 n, u64 until)
{
	struct wait_queue wq;
	long ret = 0, which = -1;
	u32 i;

	wait_queue_init(&wq);
	for (i = 0; i < n; i++)
		enter(&word[i].w, &wq);
	for (i = 0; !ret && i < n; i++)
		ret = look(&word[i]);
	while (!ret && !any_woken(word, n)) {
		struct wait_entry we;
		u64 ns = ktime_ns();

		if (ns >= until) {
			ret = -ETIMEDOUT;
			break;
		}
		prepare_to_wait(&wq, &we);
		if (any_woken(word, n))
			ret = 0;
		else if (signal_pending())
			ret = -ERESTARTSYS;
		else if (until == ~0ull)
			schedule();
		else
			schedule_timeout(until - ns);
		finish_wait(&wq, &we);
	}
	for (i = 0; i < n; i++) {
		if (leave(&word[i].w))
			which = i;
	}
	if (which >= 0)
		return which;
	/* A time-out is relative to the first call: it does not start again. */
	return ret == -ERESTARTSYS && until != ~0ull ? -EINTR : ret;
}

/* Wake some, and let others wait for another word instead. */
static long requeue(struct futex_key key, u32 wake, u32 move, struct futex_key to)
{
	struct bucket *from = find_bucket(&key), *dest = find_bucket(&to);
	struct waiter *w, *next;
	u32 woken = 0, moved = 0;

	/* Two buckets are locked in the order of their addresses. */
	lock_bucket(min(from, dest));
	if (from != dest)
		lock_bucket(max(from, dest));
	list_for_each_entry_safe (w, next, &from->waiters, node) {
		if (!futex_same_key(&w->key, &key))
			continue;
		if (woken < wake) {
			wake_one(w);
			woken++;
			continue;
		}
		if (moved == move)
			break;
		w->key = to;
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

/* ---- change a word, and wake two ---- */

/* 12 bits with a sign. */
static s32 signed12(u32 v)
{
	return (s32)(v << 20) >> 20;
}

/* FUTEX_OP_*: what the word becomes. False: no such operation. */
static bool apply(u32 op, u32 old, s32 arg, u32 *new)
{
	switch (op) {
	case 0:
		*new = arg;
		return true;
	case 1:
		*new = old + (u32)arg;
		return true;
	case 2:
		*new = old | (u32)arg;
		return true;
	case 3:
		*new = old & ~(u32)arg;
		return true;
	case 4:
		*new = old ^ (u32)arg;
		return true;
	}
	return false;
}

/* FUTEX_OP_CMP_*: 0, 1, or -ENOSYS. */
static int compare(u32 cmp, s32 old, s32 arg)
{
	switch (cmp) {
	case 0:
		return old == arg;
	case 1:
		return old != arg;
	case 2:
		return old < arg;
	case 3:
		return old <= arg;
	case 4:
		return old > arg;
	case 5:
		return old >= arg;
	}
	return -ENOSYS;
}

/* FUTEX_WAKE_OP: change the word at addr2 as one step, wake n1 of the first, and if its old value is as
 * wanted n2 of the second. Woken in all, or -errno. */
static long wake_op(struct futex_key first, u32 n1, struct futex_key second, u32 n2,
		    unsigned long addr2, u32 what)
{
	u32 op = what >> 28 & 7, cmp = what >> 24 & 15, old, new, seen;
	s32 arg = signed12(what >> 12 & 0xfff);
	long woken;
	int also;

	if (what >> 31)
		arg = (s32)(1u << (arg & 31));
	do {
		if (copy_from_user(&old, addr2, sizeof(old)))
			return -EFAULT;
		if (!apply(op, old, arg, &new))
			return -ENOSYS;
		if (cmpxchg_user(addr2, old, new, &seen))
			return -EFAULT;
	} while (seen != old);
	also = compare(cmp, (s32)old, signed12(what & 0xfff));
	if (also < 0)
		return also;
	woken = wake_bitset(first, n1, ~0u);
	return also ? woken + wake_bitset(second, n2, ~0u) : woken;
}

static int deadline(unsigned long uaddr, bool absolute, bool realtime, u64 *until)
{
	u64 ns;
	int err;

	*until = TIME_FOREVER;
	if (!uaddr)
		return 0;
	err = get_user_time(uaddr, false, &ns);
	if (err)
		return err;
	if (!absolute)
		*until = deadline_after(ns);
	else if (realtime && ns != TIME_FOREVER)
		*until = ns > boot_info.epoch_ns ? ns - boot_info.epoch_ns : 0;
	else
		*until = ns;
	return 0;
}

/* Locks with priority inheritance. LOCK_PI has only the clock that LOCK_PI2 must ask for. */
static long pi_call(struct pt_regs *r, int cmd, const struct futex_key *key)
{
	bool realtime = r->rsi & FUTEX_CLOCK_REAL;
	u64 until;
	int err;

	if (realtime && cmd != FUTEX_LOCK_PI2)
		return -ENOSYS;
	if (cmd == FUTEX_UNLOCK_PI)
		return futex_unlock_pi(key, r->rdi);
	if (cmd == FUTEX_TRYLOCK_PI)
		return futex_trylock_pi(key, r->rdi);
	err = deadline(r->r10, true, realtime || cmd == FUTEX_LOCK_PI, &until);
	return err ? err : futex_lock_pi(key, r->rdi, until);
}

/* As in Linux an unlock looks at the word first, wherever it is. */
static long cannot_unlock(unsigned long addr, int err)
{
	u32 word;

	if (copy_from_user(&word, addr, sizeof(word)))
		return -EFAULT;
	return (word & FUTEX_TID_MASK) != (u32)current->pid ? -EPERM : err;
}

long sys_futex(struct pt_regs *r)
{
	int op = (int)r->rsi, cmd = op & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REAL);
	unsigned long addr = r->rdi;
	u32 val = r->rdx, val3 = r->r9, now;
	bool private = op & FUTEX_PRIVATE;
	struct futex_key key, to;
	struct word word;
	u64 until;
	int err = find_key(current->mm, addr, private, &key);

	if (unlikely(err && cmd == FUTEX_UNLOCK_PI))
		return cannot_unlock(addr, err);
	if (err)
		return err;
	switch (cmd) {
	case FUTEX_WAIT:
		val3 = ~0u;
		/* fall through */
	case FUTEX_WAIT_BITSET:
		if (!val3)
			return -EINVAL;
		err = deadline(r->r10, cmd == FUTEX_WAIT_BITSET, op & FUTEX_CLOCK_REAL, &until);
		if (err)
			return err;
		word = (struct word){
			.w = {.key = key, .bitset = val3}, .addr = addr, .expected = val};
		return do_wait(&word, 1, until);
	case FUTEX_WAKE:
		return wake_bitset(key, val, ~0u);
	case FUTEX_WAKE_BITSET:
		return val3 ? wake_bitset(key, val, val3) : -EINVAL;
	case FUTEX_CMP_REQUEUE:
	case FUTEX_REQUEUE:
		if ((s32)val < 0 || (s32)r->r10 < 0)
			return -EINVAL;
		err = find_key(current->mm, r->r8, private, &to);
		if (err)
			return err;
		if (cmd == FUTEX_REQUEUE)
			return requeue(key, val, r->r10, to);
		if (copy_from_user(&now, addr, sizeof(now)))
			return -EFAULT;
		if (now != val3)
			return -EAGAIN;
		return requeue(key, val, r->r10, to);
	case FUTEX_WAKE_OP:
		err = find_key(current->mm, r->r8, private, &to);
		return err ? err : wake_op(key, val, to, r->r10, r->r8, val3);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
	case FUTEX_UNLOCK_PI:
	case FUTEX_TRYLOCK_PI:
		return pi_call(r, cmd, &key);
	default:
		return -ENOSYS; /* FUTEX_WAIT_REQUEUE_PI and its partner among them */
	}
}

/* ---- several words ---------------------------------------------------------------------------- */

#define WAITV_MAX     128u
#define FUTEX_32      2u
#define CLOCK_REAL    0
#define CLOCK_MONO    1
#define WAITV_AT_ONCE 8u /* on the stack */

struct futex_waitv {
	u64 val, addr;
	u32 flags, reserved;
};

static int get_word(struct word *word, unsigned long user)
{
	struct futex_waitv in;

	if (copy_from_user(&in, user, sizeof(in)))
		return -EFAULT;
	if (in.flags & ~(FUTEX_32 | FUTEX_PRIVATE) || in.reserved || !(in.flags & FUTEX_32))
		return -EINVAL;
	*word = (struct word){.w = {.bitset = ~0u}, .addr = in.addr, .expected = in.val};
	word->w.woken = in.flags & FUTEX_PRIVATE; /* until the key is there */
	return 0;
}

long sys_futex_waitv(struct pt_regs *r)
{
	struct word small[WAITV_AT_ONCE], *word = small;
	u32 n = r->rsi;
	u64 until = TIME_FOREVER;
	int clock = (int)r->r8;
	long ret = 0;

	if ((u32)r->rdx || !n || n > WAITV_MAX || !r->rdi)
		return -EINVAL;
	if (r->r10 && clock != CLOCK_REAL && clock != CLOCK_MONO)
		return -EINVAL;
	if (r->r10)
		ret = deadline(r->r10, true, clock == CLOCK_REAL, &until);
	if (ret)
		return ret;
	if (n > WAITV_AT_ONCE) {
		word = vmalloc(n * sizeof(*word));
		if (!word)
			return -ENOMEM;
	}
	for (u32 i = 0; !ret && i < n; i++)
		ret = get_word(&word[i], r->rdi + i * sizeof(struct futex_waitv));
	for (u32 i = 0; !ret && i < n; i++) {
		bool private = word[i].w.woken;

		word[i].w.woken = false;
		ret = find_key(current->mm, word[i].addr, private, &word[i].w.key);
	}
	if (!ret)
		ret = do_wait(word, n, until);
	if (word != small)
		vfree(word);
	return ret;
}

/* ---- robust lists ---------------------------------------------------------------------------- */

long sys_set_robust_list(struct pt_regs *r)
{
	if (r->rsi != ROBUST_HEAD_SIZE)
		return -EINVAL;
	current->robust_list = r->rdi;
	return 0;
}

long sys_get_robust_list(struct pt_regs *r)
{
	u64 size = ROBUST_HEAD_SIZE, head;
	unsigned long flags;
	struct task *t;

	flags = spin_lock_irqsave(&task_list_lock);
	t = r->rdi ? find_task((int)r->rdi) : current;
	head = t && t->user ? t->robust_list : 0;
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (!t || !t->user)
		return -ESRCH;
	if (copy_to_user(r->rdx, &size, sizeof(size)) || copy_to_user(r->rsi, &head, sizeof(head)))
		return -EFAULT;
	return 0;
}

/* The lock of an entry, whose bit 0 marks one with priority inheritance: futex_release_pi() will wake who waits
 * for that. False: the list cannot be followed. */
static bool owner_died(u64 entry, s64 offset)
{
	unsigned long addr = (entry & ~1ul) + offset;
	u32 word, seen;

	if (addr & 3)
		return false;
	do {
		if (copy_from_user(&word, addr, sizeof(word)))
			return false;
		if ((word & FUTEX_TID_MASK) != (u32)current->pid)
			return true;
		if (cmpxchg_user(addr, word, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen))
			return false;
	} while (seen != word);
	if (!(entry & 1))
		futex_wake(current->mm, addr, 1);
	return true;
}

void futex_exit_robust_list(void)
{
	struct {
		u64 next;
		s64 offset;
		u64 pending;
	} head;
	unsigned long list = current->robust_list;
	u64 entry;

	current->robust_list = 0;
	if (!list || copy_from_user(&head, list, sizeof(head)))
		return;
	entry = head.next;
	for (int i = 0; entry != list && i < ROBUST_LIST_LIMIT; i++) {
		u64 next;

		if (copy_from_user(&next, entry & ~1ul, sizeof(next)))
			return;
		if (entry != head.pending && !owner_died(entry, head.offset))
			return;
		entry = next;
	}
	if (head.pending)
		owner_died(head.pending, head.offset);
}
