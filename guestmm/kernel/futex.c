/*
 * Futexes.
 *
 *   bucket[hash(mm, addr)] ──> waiter ──> waiter      each on the stack of the thread that waits
 *
 * A waiter enters its bucket before it reads the word; a waker has changed the word before it looks
 * at the bucket. So one of the two sees the other, and no wake-up is lost.
 *
 * I1  A waiter leaves its bucket only under the bucket's lock. So whoever holds that lock may use the waiters in it.
 * I2  The key of a word says where it is. In a shared mapping it is the file and the offset; in other memory, or if
 *     the caller says that the word is private, it is the address space and the address. A key holds no reference:
 *     if a file is freed while a thread waits, the worst result is a spurious wake-up, which every waiter must
 *     expect.
 *
 * Other files: futex_op.c (changing one word and waking waiters of two), futex_pi.c (locks with priority inheritance),
 * futex_robust.c (lists of the locks that a thread holds when it ends).
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

#define FUTEX_WAIT	      0
#define FUTEX_WAKE	      1
#define FUTEX_REQUEUE	      3
#define FUTEX_CMP_REQUEUE     4
#define FUTEX_WAKE_OP	      5
#define FUTEX_LOCK_PI	      6
#define FUTEX_UNLOCK_PI	      7
#define FUTEX_TRYLOCK_PI      8
#define FUTEX_WAIT_BITSET     9
#define FUTEX_WAKE_BITSET     10
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_CMP_REQUEUE_PI  12
#define FUTEX_LOCK_PI2	      13
#define FUTEX_PRIVATE	      128
#define FUTEX_CLOCK_REAL      256

#define BUCKETS 64u
static struct bucket {
	spinlock_t lock;
	struct list_head waiters; /* next NULL: never used */
} buckets[BUCKETS];

struct waiter {
	struct list_head node;
	struct bucket *bucket; /* to change it: both buckets' locks */
	struct futex_key key;
	u32 bitset;
	bool woken; /* bucket lock */
	struct wait_queue *wq;
	struct pi_requeue *pi; /* C: FUTEX_WAIT_REQUEUE_PI, else NULL */
};

/* Which processes use a word: only this one (FUTEX_PRIVATE_FLAG), or others as well. */
enum futex_scope { FUTEX_MAYBE_SHARED, FUTEX_THIS_PROCESS };

/* 0, -EINVAL, or -EFAULT: nothing is mapped at the address. For FUTEX_THIS_PROCESS the mapping is not checked. */
static int find_key(struct mm_struct *mm, unsigned long addr, enum futex_scope scope,
		    struct futex_key *key)
{
	struct vm_area_struct *vma;
	int err = -EFAULT;

	*key = (struct futex_key){mm, addr};
	if (addr & 3)
		return -EINVAL;
	if (addr >= TASK_SIZE)
		return -EFAULT;
	if (scope == FUTEX_THIS_PROCESS)
		return 0;
	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (vma && addr >= vma->vm_start && vma->flags & VM_READ)
		err = 0;
	/* VM_MAYSHARE and not VM_SHARED: a shared mapping of a file that is open for reading has only the former. */
	if (!err && vma->mapping && vma->flags & VM_MAYSHARE) {
		key->object = vma->mapping;
		key->offset =
			((u64)linear_page_index(vma, addr) << PAGE_SHIFT) | (addr & ~PAGE_MASK);
	}
	up_read(&mm->mmap_lock);
	return err;
}

static enum futex_scope scope_of(u32 private_flag)
{
	return private_flag ? FUTEX_THIS_PROCESS : FUTEX_MAYBE_SHARED;
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

long futex_wake_bitset(struct futex_key key, u32 n, u32 bitset)
{
	struct bucket *b = find_bucket(&key);
	struct waiter *w, *next;
	bool refused = false;
	long woken = 0;

	lock_bucket(b);
	list_for_each_entry_safe (w, next, &b->waiters, node) {
		if (woken == (long)n)
			break;
		if (!futex_same_key(&w->key, &key) || !(w->bitset & bitset))
			continue;
		if (unlikely(w->pi)) {
			refused = true; /* FUTEX_WAIT_REQUEUE_PI: may be moved, but not woken */
			break;
		}
		wake_one(w);
		woken++;
	}
	spin_unlock(&b->lock);
	return refused ? -EINVAL : woken;
}

long futex_wake(struct mm_struct *mm, unsigned long addr, u32 n)
{
	struct futex_key key;
	int err = find_key(mm, addr, FUTEX_MAYBE_SHARED, &key);

	return err ? err : futex_wake_bitset(key, n, ~0u);
}

/* Leave the bucket that the waiter is in now; it may have been requeued. True: it had been woken. */
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

/* A word that a thread waits for. */
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

/* Wait for n words at once. Returns the index of one that was woken, or -errno. */
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
		waits_here();
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
	/* A call with a time limit is not restarted, because the time would begin again. */
	return ret == -ERESTARTSYS && until != ~0ull ? -EINTR : ret;
}

/* Wake up to `wake` waiters of a word, and make up to `move` others wait for another word. */
static long requeue(struct futex_key key, u32 wake, u32 move, struct futex_key to)
{
	struct bucket *from = find_bucket(&key), *dest = find_bucket(&to);
	struct waiter *w, *next;
	u32 woken = 0, moved = 0;
	bool refused = false;

	/* Two buckets are locked in the order of their addresses. */
	lock_bucket(min(from, dest));
	if (from != dest)
		lock_bucket(max(from, dest));
	list_for_each_entry_safe (w, next, &from->waiters, node) {
		if (!futex_same_key(&w->key, &key))
			continue;
		if (unlikely(w->pi)) {
			refused = true;
			break;
		}
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
	return refused ? -EINVAL : (long)woken + moved;
}

/* ---- from a word to a lock with priority inheritance ---- */

/* FUTEX_WAIT_REQUEUE_PI: wait for the word until FUTEX_CMP_REQUEUE_PI moves the wait to the lock at addr2, then
 * wait for that lock. 0: the caller holds the lock. */
static long wait_requeue_pi(struct word *word, const struct futex_key *to, unsigned long addr2,
			    u64 until)
{
	struct pi_requeue pi = {.to = *to, .w.task = current};
	long ret;

	wait_queue_init(&pi.w.wq);
	word->w.pi = &pi;
	enter(&word->w, &pi.w.wq);
	ret = look(word);
	if (!ret)
		ret = futex_wait_for_grant(&pi.w, until);
	return leave(&word->w) ? futex_requeued_pi(&pi.w, addr2, ret) : ret;
}

/* Move waiters of `key` to the lock until *moved, which counts those of earlier calls too, is `max`. Returns 0, or what
 * futex_requeue_pi() returned. The bucket's lock is held. */
static long move_to_lock(struct bucket *b, const struct futex_key *key, const struct futex_key *to,
			 unsigned long addr2, u64 max, u64 *moved, struct pi_state **fresh)
{
	struct waiter *w, *next;

	list_for_each_entry_safe (w, next, &b->waiters, node) {
		long ret;

		if (!futex_same_key(&w->key, key))
			continue;
		if (*moved == max)
			break;
		if (!w->pi || !futex_same_key(&w->pi->to, to))
			return -EINVAL;
		ret = futex_requeue_pi(to, addr2, &w->pi->w, fresh);
		if (ret && ret != FUTEX_PI_WAITS)
			return ret;
		list_del(&w->node);
		w->woken = true; /* not in this bucket any more: leave() waits for the lock */
		++*moved;
	}
	return 0;
}

/* FUTEX_CMP_REQUEUE_PI: make waiters for the word at addr wait for the lock at addr2 instead. If the lock is free,
 * the first waiter gets it. Returns how many, or -errno. */
static long cmp_requeue_pi(const struct futex_key *key, const struct word *word,
			   const struct futex_key *to, unsigned long addr2, u64 max)
{
	struct bucket *b = find_bucket(key);
	struct pi_state *fresh = futex_pi_alloc();
	u64 moved = 0;
	long ret;

	if (!fresh)
		return -ENOMEM;
	do {
		lock_bucket(b);
		/* Compare the word only before the first move, because moved waiters cannot be moved back. */
		ret = moved ? 0 : look(word);
		if (ret == -EFAULT) {
			spin_unlock(&b->lock);
			ret = look(word); /* without the lock the page can be faulted in */
			if (ret)
				break;
			ret = FUTEX_PI_RETRY;
			continue;
		}
		if (!ret)
			ret = move_to_lock(b, key, to, addr2, max, &moved, &fresh);
		spin_unlock(&b->lock);
	} while (futex_pi_again(&ret, addr2));
	futex_pi_free(fresh);
	return ret ? ret : (long)moved;
}

/* ---- the calls ---- */

/* The meaning of a time argument: a duration, or a point in time on one of two clocks. */
enum futex_time { FOR_NS, UNTIL_MONO, UNTIL_REAL };

static enum futex_time until_clock(u32 realtime)
{
	return realtime ? UNTIL_REAL : UNTIL_MONO;
}

static int deadline(unsigned long uaddr, enum futex_time kind, u64 *until)
{
	u64 ns;
	int err;

	*until = TIME_FOREVER;
	if (!uaddr)
		return 0;
	err = get_user_time(uaddr, TIMESPEC, &ns);
	if (err)
		return err;
	if (kind == FOR_NS)
		*until = deadline_after(ns);
	else if (kind == UNTIL_REAL && ns != TIME_FOREVER)
		*until = ns > boot_info.epoch_ns ? ns - boot_info.epoch_ns : 0;
	else
		*until = ns;
	return 0;
}

/* Locks with priority inheritance. LOCK_PI always uses the realtime clock, which LOCK_PI2 uses only if a flag asks
 * for it. */
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
	err = deadline(r->r10, until_clock(realtime || cmd == FUTEX_LOCK_PI), &until);
	return err ? err : futex_lock_pi(key, r->rdi, until);
}

/* As in Linux, an unlock reads the word before it checks what the address is. */
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
	enum futex_scope scope = scope_of(op & FUTEX_PRIVATE);
	struct futex_key key, to;
	struct word word;
	u64 until;
	int err = find_key(current->mm, addr, scope, &key);

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
		err = deadline(r->r10,
			       cmd == FUTEX_WAIT ? FOR_NS : until_clock(op & FUTEX_CLOCK_REAL),
			       &until);
		if (err)
			return err;
		word = (struct word){
			.w = {.key = key, .bitset = val3}, .addr = addr, .expected = val};
		return do_wait(&word, 1, until);
	case FUTEX_WAKE:
		return futex_wake_bitset(key, val, ~0u);
	case FUTEX_WAKE_BITSET:
		return val3 ? futex_wake_bitset(key, val, val3) : -EINVAL;
	case FUTEX_CMP_REQUEUE:
	case FUTEX_REQUEUE:
		if ((s32)val < 0 || (s32)r->r10 < 0)
			return -EINVAL;
		err = find_key(current->mm, r->r8, scope, &to);
		if (err)
			return err;
		if (cmd == FUTEX_REQUEUE)
			return requeue(key, val, r->r10, to);
		if (copy_from_user(&now, addr, sizeof(now)))
			return -EFAULT;
		if (now != val3)
			return -EAGAIN;
		return requeue(key, val, r->r10, to);
	case FUTEX_WAIT_REQUEUE_PI:
		if (addr == r->r8)
			return -EINVAL;
		err = deadline(r->r10, until_clock(op & FUTEX_CLOCK_REAL), &until);
		if (!err)
			err = find_key(current->mm, r->r8, scope, &to);
		if (err || futex_same_key(&key, &to))
			return err ? err : -EINVAL;
		word = (struct word){
			.w = {.key = key, .bitset = ~0u}, .addr = addr, .expected = val};
		return wait_requeue_pi(&word, &to, r->r8, until);
	case FUTEX_CMP_REQUEUE_PI:
		if (op & FUTEX_CLOCK_REAL)
			return -ENOSYS;
		if ((s32)r->r10 < 0 || val != 1 || addr == r->r8)
			return -EINVAL;
		err = find_key(current->mm, r->r8, scope, &to);
		if (err || futex_same_key(&key, &to))
			return err ? err : -EINVAL;
		word = (struct word){.addr = addr, .expected = val3};
		return cmp_requeue_pi(&key, &word, &to, r->r8, (u64)val + (u32)r->r10);
	case FUTEX_WAKE_OP:
		err = find_key(current->mm, r->r8, scope, &to);
		return err ? err : futex_wake_op(key, val, to, r->r10, r->r8, val3);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
	case FUTEX_UNLOCK_PI:
	case FUTEX_TRYLOCK_PI:
		return pi_call(r, cmd, &key);
	default:
		return -ENOSYS;
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
	word->w.woken = in.flags & FUTEX_PRIVATE; /* replaced when the key is found */
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
		ret = deadline(r->r10, until_clock(clock == CLOCK_REAL), &until);
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
		enum futex_scope scope = scope_of(word[i].w.woken);

		word[i].w.woken = false;
		ret = find_key(current->mm, word[i].addr, scope, &word[i].w.key);
	}
	if (!ret)
		ret = do_wait(word, n, until);
	if (word != small)
		vfree(word);
	return ret;
}
