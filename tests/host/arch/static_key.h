/*
 * Static keys of the host build. KEY_NUMA is set when the machine of the test has several nodes. KEY_LOCKDEP
 * is on while two threads race: the calls to the lock-order checker go to tests/host/race.c. KEY_FAIL is
 * always on, so that faults can be injected. KEY_SMP is off: there is one CPU.
 */
#ifndef ARCH_STATIC_KEY_H
#define ARCH_STATIC_KEY_H
#include <stdbool.h>

enum static_key {
	KEY_SMP,
	KEY_NUMA,
	KEY_LOCKDEP,
	KEY_POISON,
	KEY_PCID,
	KEY_PKU,
	KEY_HIGHMEM,
	KEY_FAIL
};

extern unsigned int nr_online_nodes;
extern unsigned long highmem_start;
extern bool host_pku; /* protection keys: off, unless a test turns them on */
#ifdef HOST_RACES
extern bool host_racing;
#endif

static inline bool static_key(enum static_key key)
{
#ifdef HOST_RACES
	if (key == KEY_LOCKDEP)
		return host_racing;
#endif
	return key == KEY_FAIL || (key == KEY_HIGHMEM && highmem_start) ||
	       (key == KEY_PKU && host_pku) || (key == KEY_NUMA && nr_online_nodes > 1);
}
#endif
