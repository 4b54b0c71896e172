/*
 * The lock-order checker of the host build. Where the guest would call the checker, two racing threads may
 * change places (race.h).
 */
#ifndef ARCH_LOCKDEP_H
#define ARCH_LOCKDEP_H
#include "lib/types.h"

#ifdef HOST_RACES
bool host_race_point(const char *where);
static inline void arch_lockdep_acquire(const void *lock, u32 key, const char *name, u32 what)
{
	host_race_point(name);
}
#else
static inline void arch_lockdep_acquire(const void *lock, u32 key, const char *name, u32 what) {}
#endif
static inline void arch_lockdep_release(const void *lock) {}
#endif
