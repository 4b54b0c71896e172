/*
 * Spinlocks. Holding one disables preemption; the _irqsave forms disable interrupts as well and are
 * the ones to use for locks that interrupt handlers take. Real test-and-set locks on every build.
 */
#ifndef LIB_SPINLOCK_H
#define LIB_SPINLOCK_H

#include "lib/atomic.h"
#include "lib/lockdep.h"
#include "arch/irqflags.h"
#include "arch/spin.h"
#include "arch/thread_info.h"

typedef struct {
	u32 locked;
	u32 key; /* C: lock_class_of() or 0; for the lock-order checker */
} spinlock_t;
#define SPINLOCK_INIT \
	{             \
		0, 0  \
	}
#define spin_lock_init(l)                                       \
	do {                                                    \
		static const struct lock_class_key _key = {#l}; \
		*(l) = (spinlock_t){0, lock_class_of(&_key)};   \
	} while (0)

/** Reschedule if one is due; called when preempt_count falls to 0 with interrupts on. In
 * kernel/sched.c. */
void preempt_schedule(void);

static inline void preempt_disable(void)
{
	current_thread_info()->preempt_count++;
	barrier();
}
static inline void preempt_enable(void)
{
	struct thread_info *ti = current_thread_info();

	barrier();
	if (--ti->preempt_count == 0 && unlikely(ti->need_resched))
		preempt_schedule();
}
static inline void __spin_acquire(spinlock_t *l)
{
	while (unlikely(__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE)))
		arch_spin_wait(&l->locked);
}
static inline void __spin_lock(spinlock_t *l, const char *name, u32 how)
{
	if (static_key(KEY_LOCKDEP))
		arch_lockdep_acquire(l, l->key, name, LOCK_CHECK | LOCK_HOLD | how);
	preempt_disable();
	__spin_acquire(l);
}
#define spin_lock(l) __spin_lock(l, #l, LOCK_SPIN)
/** While another lock of the same class is held. */
#define spin_lock_nested(l) __spin_lock(l, #l, LOCK_NESTED)
static inline bool __spin_trylock(spinlock_t *l, const char *name)
{
	preempt_disable();
	if (!__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE)) {
		if (static_key(KEY_LOCKDEP))
			arch_lockdep_acquire(l, l->key, name, LOCK_HOLD | LOCK_TRY);
		return true;
	}
	preempt_enable();
	return false;
}
#define spin_trylock(l) __spin_trylock(l, #l)
static inline void spin_unlock(spinlock_t *l)
{
	if (static_key(KEY_LOCKDEP))
		arch_lockdep_release(l);
	__atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
	preempt_enable();
}
/* With interrupts off nothing can preempt us, but the count is kept so that "may sleep" checks
 * hold. */
static inline unsigned long __spin_lock_irqsave(spinlock_t *l, const char *name)
{
	unsigned long flags = arch_irq_save();

	__spin_lock(l, name, LOCK_SPIN);
	return flags;
}
#define spin_lock_irqsave(l) __spin_lock_irqsave(l, #l)
static inline void spin_unlock_irqrestore(spinlock_t *l, unsigned long flags)
{
	struct thread_info *ti = current_thread_info();

	if (static_key(KEY_LOCKDEP))
		arch_lockdep_release(l);
	__atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
	ti->preempt_count--;
	arch_irq_restore(flags);
	if (unlikely(ti->need_resched) && ti->preempt_count == 0 && !arch_irqs_disabled())
		preempt_schedule();
}
static inline bool spin_is_locked(const spinlock_t *l)
{
	return READ_ONCE(l->locked) != 0;
}

#endif
