/* What the files about futexes share: where a word lives, and when a wait ends. */
#ifndef KERNEL_FUTEX_INTERNAL_H
#define KERNEL_FUTEX_INTERNAL_H
#include "kernel/process.h"

#define FUTEX_WAITERS	 0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK	 0x3fffffffu

/** Where a word lives: mm and address, or mapping and offset. */
struct futex_key {
	const void *object;
	u64 offset;
};

static inline bool futex_same_key(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

/* Locks with priority inheritance (futex_pi.c). `addr` is the word that has the key. */
/** FUTEX_LOCK_PI: 0, -EDEADLK, -ESRCH, -EPERM, -EINVAL, -ETIMEDOUT, -ERESTARTNOINTR, -EFAULT, -ENOMEM. `until` as
 * for wait. May sleep. */
long futex_lock_pi(const struct futex_key *key, unsigned long addr, u64 until);
/** FUTEX_TRYLOCK_PI: the same, -EAGAIN instead of a wait. */
long futex_trylock_pi(const struct futex_key *key, unsigned long addr);
/** FUTEX_UNLOCK_PI: 0, -EPERM (not the caller's), -EINVAL, -EFAULT. */
long futex_unlock_pi(const struct futex_key *key, unsigned long addr);
#endif
