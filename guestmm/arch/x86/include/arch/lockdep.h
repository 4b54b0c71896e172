/* Calls to the lock-order checker from where locks are inlined: they preserve all registers, so that
 * a checker that is off costs its caller no register either. */
#ifndef ARCH_LOCKDEP_H
#define ARCH_LOCKDEP_H
#include "lib/types.h"

static inline void arch_lockdep_acquire(const void *lock, u32 key, const char *name, u32 what)
{
	__asm__ volatile("call asm_lockdep_acquire" ::"D"(lock), "S"(key), "d"(name), "c"(what)
			 : "memory", "cc");
}
static inline void arch_lockdep_release(const void *lock)
{
	__asm__ volatile("call asm_lockdep_release" ::"D"(lock) : "memory", "cc");
}
#endif
