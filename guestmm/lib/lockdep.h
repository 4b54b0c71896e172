/*
 * Lock-order checker: what the locks tell it. The checker is kernel/lockdep.c.
 *
 * On with `lockdep` on the kernel's command line. Off, each lock and unlock holds one no-op of five
 * bytes (arch/static_key.h) and nothing else.
 */
#ifndef LIB_LOCKDEP_H
#define LIB_LOCKDEP_H
#include "arch/static_key.h"
#include "lib/types.h"

/** Locks made at one place are one class: a static one of these at each spin_lock_init(). */
struct lock_class_key {
	const char *name;
};
/** A class in 32 bits: it lies in the kernel image, the top 2 GiB. 0 = none given. */
static inline u32 lock_class_of(const struct lock_class_key *key)
{
	return (u32)(unsigned long)key;
}

#define LOCK_SPIN   0x0u
#define LOCK_SLEEP  0x1u  /* mutex, rw_semaphore */
#define LOCK_READ   0x2u  /* others may have it likewise */
#define LOCK_TRY    0x4u  /* does not wait: what is held already is not in front of it */
#define LOCK_NESTED 0x8u  /* another one of the same class may be held: their order is known */
#define LOCK_CHECK  0x10u /* is about to wait for it */
#define LOCK_HOLD   0x20u /* has it now */

/** `key` is lock_class_of() or 0: then a static lock is a class of its own, and others are told
 * apart by `name`, the text at the place that takes them. */
void lockdep_acquire(const void *lock, u32 key, const char *name, u32 what, unsigned long ip);
void lockdep_release(const void *lock);

#include "arch/lockdep.h"

/* In interrupts: what the interrupted code holds does not come before what we take. */
void lockdep_irq_enter(void);
void lockdep_irq_exit(void);
/** A new thread holds nothing. */
struct thread_info;
void lockdep_thread_init(struct thread_info *ti);
/** Memory for what it learns; until then it looks at nothing. Boot, memblock is there. */
void lockdep_init(void);
/** No lock is checked any more. For a crash: it may have come while the checker was busy, and its
 * report takes locks. Any context. */
void lockdep_off(void);
#endif
