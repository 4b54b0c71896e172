/* Waiting for a lock that is held: with one thread nobody will release it, of two that race the
 * other one runs on. */
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
