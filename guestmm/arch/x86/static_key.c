/*
 * Turning static keys on (arch/static_key.h): each site's no-op becomes a jump.
 *
 * Runs on the VMM's page tables, where text is writable, on the only CPU there is: no other one can
 * be in the middle of an instruction that changes. The jump back from this loop is serialising
 * enough for code that was never executed or fetched since; a CPU that prefetched sees the store
 * (APM vol. 2, 7.6.1: self-modifying code).
 */
#include "arch/boot.h"
#include "arch/static_key.h"
#include "lib/string.h"

struct key_site {
	s32 site, target; /* from the field itself */
	u32 key;
};
extern const struct key_site __static_keys_start[], __static_keys_end[];

__init void static_key_enable(enum static_key key)
{
	for (const struct key_site *s = __static_keys_start; s < __static_keys_end; s++) {
		u8 *at = (u8 *)&s->site + s->site;
		s32 distance = (s32)((const u8 *)&s->target + s->target - (at + 5));

		if (s->key != key)
			continue;
		*at = 0xe9; /* jmp rel32 */
		memcpy(at + 1, &distance, sizeof(distance));
	}
}
