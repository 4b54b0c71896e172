/* Static keys of the host build: none is ever on. */
#ifndef ARCH_STATIC_KEY_H
#define ARCH_STATIC_KEY_H
#include <stdbool.h>

enum static_key { KEY_SMP, KEY_LOCKDEP };

static inline bool static_key(enum static_key key)
{
	(void)key;
	return false;
}
#endif
