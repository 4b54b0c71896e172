/* Static keys of the host build: none is ever on, but for the one that says what zones there are. */
#ifndef ARCH_STATIC_KEY_H
#define ARCH_STATIC_KEY_H
#include <stdbool.h>

enum static_key { KEY_SMP, KEY_NUMA, KEY_LOCKDEP };

extern unsigned int nr_online_nodes;
static inline bool static_key(enum static_key key)
{
	return key == KEY_NUMA && nr_online_nodes > 1;
}
#endif
