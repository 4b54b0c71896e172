/*
 * Spinlocks. Holding one disables preemption; the _irqsave forms disable interrupts as well and are
 * the ones to use for locks that interrupt handlers take. Real test-and-set locks on every build.
 */
#ifndef LIB_SPINLOCK_H
#define LIB_SPINLOCK_H

#include "lib/atomic.h"
#include "arch/irqflags.h"
#include "arch/spin.h"
#include "arch/thread_info.h"

typedef struct {
	u32 locked;
} spinlock_t;
#define SPINLOCK_INIT \
	{             \
		0     \
	}
static inline void spin_lock_init(spinlock_t *l)
{
	l->locked = 0;
}

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
static inline void spin_lock(spinlock_t *l)
{
	preempt_disable();
	__spin_acquire(l);
}
static inline bool spin_trylock(spinlock_t *l)
{
	preempt_disable();
	if (!__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE))
		return true;
	preempt_enable();
	return false;
}
static inline void spin_unlock(spinlock_t *l)
{
	__atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
	preempt_enable();
}
/* With interrupts off nothing can preempt us, but the count is kept so that "may sleep" checks
 * hold. */
static inline unsigned long spin_lock_irqsave(spinlock_t *l)
{
	unsigned long flags = arch_irq_save();

	spin_lock(l);
	return flags;
}
static inline void spin_unlock_irqrestore(spinlock_t *l, unsigned long flags)
{
	struct thread_info *ti = current_thread_info();

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
