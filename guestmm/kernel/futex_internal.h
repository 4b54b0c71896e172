/* Declarations that the futex files share. */
#ifndef KERNEL_FUTEX_INTERNAL_H
#define KERNEL_FUTEX_INTERNAL_H
#include "kernel/process.h"

#define FUTEX_WAITERS	 0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK	 0x3fffffffu

/** Where a word is: mm and address, or mapping and offset (I2 of futex.c). */
struct futex_key {
	const void *object;
	u64 offset;
};

static inline bool futex_same_key(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

struct pi_state;

/** How a waiter received the lock: its owner unlocked it, or died. */
enum pi_grant { NOT_YET, GRANTED, GRANTED_BY_DEATH };

/** A task that waits for a lock with priority inheritance. On its stack. */
struct pi_waiter {
	struct list_head node;	/* pi_lock: state->waiters */
	struct pi_state *state; /* pi_lock */
	struct task *task;	/* C */
	enum pi_grant how;	/* pi_lock to change */
	struct wait_queue wq;
};

/** A task in FUTEX_WAIT_REQUEUE_PI. It waits first for a word and, once another task has moved it, for a lock. */
struct pi_requeue {
	struct futex_key to; /* C: the lock's */
	struct pi_waiter w;  /* both waits are on its wq */
};

/** Wake up to `n` waiters of the word whose bitsets meet `bitset` (futex.c). How many, or -EINVAL: one of them waits for
 * a lock with priority inheritance. */
long futex_wake_bitset(struct futex_key key, u32 n, u32 bitset);
/** FUTEX_WAKE_OP (futex_op.c): apply `what` to the word at addr2, whose key is `second`, and wake waiters of both
 * words. Returns how many were woken, or -ENOSYS, -EFAULT. May sleep. */
long futex_wake_op(struct futex_key first, u32 n1, struct futex_key second, u32 n2,
		   unsigned long addr2, u32 what);

/* Locks with priority inheritance (futex_pi.c). `addr` is the word that has the key. */
/** FUTEX_LOCK_PI: 0, -EDEADLK, -ESRCH, -EPERM, -EINVAL, -ETIMEDOUT, -ERESTARTNOINTR, -EFAULT, -ENOMEM. `until` as
 * for wait. May sleep. */
long futex_lock_pi(const struct futex_key *key, unsigned long addr, u64 until);
/** FUTEX_TRYLOCK_PI: the same, -EAGAIN instead of a wait. */
long futex_trylock_pi(const struct futex_key *key, unsigned long addr);
/** FUTEX_UNLOCK_PI: 0, -EPERM (not the caller's), -EINVAL, -EFAULT. */
long futex_unlock_pi(const struct futex_key *key, unsigned long addr);

/* FUTEX_CMP_REQUEUE_PI moves waiters of a word (futex.c) to a lock (futex_pi.c). */
/** Allocate what futex_requeue_pi() needs for a lock that becomes contended. Free it with futex_pi_free(). */
struct pi_state *futex_pi_alloc(void);
void futex_pi_free(struct pi_state *s);
/** Take the lock for w->task, or queue w for it. 0: the task has the lock, and w->how is GRANTED. FUTEX_PI_WAITS: it
 * waits. FUTEX_PI_RETRY: call futex_pi_again(), then try again. -EDEADLK, -ESRCH, -EPERM, -EINVAL: neither. If it
 * uses *fresh, it sets that to NULL. The bucket's lock is held, so that the task cannot leave. */
#define FUTEX_PI_RETRY 1
#define FUTEX_PI_WAITS 2
long futex_requeue_pi(const struct futex_key *to, unsigned long addr, struct pi_waiter *w,
		      struct pi_state **fresh);
/** After a result *ret: should the caller try again? Faults the word in if necessary. False: *ret is the result of the
 * system call. No lock held. */
bool futex_pi_again(long *ret, unsigned long addr);
/** Sleep until the lock is granted: 0; else -ETIMEDOUT at `until` (ns, ~0: never), or -ERESTARTNOINTR. */
long futex_wait_for_grant(struct pi_waiter *w, u64 until);
/** Called by the task that was moved, when its wait ended with `ret` (0: granted). Returns 0: it has the lock;
 * -ETIMEDOUT; -EAGAIN: a signal arrived; -EFAULT. */
long futex_requeued_pi(struct pi_waiter *w, unsigned long addr, long ret);
#endif
