/* Waiting for a lock. tests/host/arch/ has the host build's version. */
#ifndef ARCH_SPIN_H
#define ARCH_SPIN_H
#include "lib/types.h"

/** Wait while *locked is not 0; serves other CPUs meanwhile, and gives way on the host (smp.c). */
void spin_wait(const u32 *locked);

/** The same where it is inlined: the call preserves all registers, so that a lock which is free
 * costs its function none. */
static inline void arch_spin_wait(const u32 *locked)
{
	__asm__ volatile("call asm_spin_wait" ::"D"(locked) : "memory", "cc");
}
#endif
