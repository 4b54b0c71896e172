/* Static keys of the host build. Locks look at KEY_LOCKDEP: it is on while two threads race, and
 * what the checker would hear goes to tests/host/race.c. The others are never on. */
#ifndef ARCH_STATIC_KEY_H
#define ARCH_STATIC_KEY_H
#include <stdbool.h>

enum static_key { KEY_SMP, KEY_LOCKDEP };

#ifdef HOST_RACES
extern bool host_racing;
#endif

static inline bool static_key(enum static_key key)
{
#ifdef HOST_RACES
	return key == KEY_LOCKDEP && host_racing;
#else
	(void)key;
	return false;
#endif
}
#endif
