/* Static keys of the host build. KEY_NUMA says what nodes there are. Locks look at KEY_LOCKDEP: it is on
 * while two threads race, and what the checker would hear goes to tests/host/race.c. Faults can always be injected
 * (KEY_FAIL). There is one CPU (KEY_SMP). */
#ifndef ARCH_STATIC_KEY_H
#define ARCH_STATIC_KEY_H
#include <stdbool.h>

enum static_key { KEY_SMP, KEY_NUMA, KEY_LOCKDEP, KEY_POISON, KEY_FAIL };

extern unsigned int nr_online_nodes;
#ifdef HOST_RACES
extern bool host_racing;
#endif

static inline bool static_key(enum static_key key)
{
#ifdef HOST_RACES
	if (key == KEY_LOCKDEP)
		return host_racing;
#endif
	return key == KEY_FAIL || (key == KEY_NUMA && nr_online_nodes > 1);
}
#endif
