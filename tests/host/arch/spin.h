/*
 * Waiting for a spinlock in the host build. With one thread nobody can release it, so that is a bug. When
 * two threads race, the other one runs until it has released the lock.
 */
#ifndef ARCH_SPIN_H
#define ARCH_SPIN_H
#include "arch/irqflags.h"

static inline void spin_wait(const uint32_t *locked)
{
	while (__atomic_load_n(locked, __ATOMIC_RELAXED))
		cpu_relax();
}
#define arch_spin_wait(locked) spin_wait(locked)
#endif
