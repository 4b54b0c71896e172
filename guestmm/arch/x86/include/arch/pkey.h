/*
 * Protection keys of user pages: four bits of an entry name a key, and the register PKRU says for each key
 * whether the thread may read or write pages that have it. Sources: Intel SDM vol. 3, 4.6.2; APM vol. 2, 5.6.6.
 */
#ifndef ARCH_PKEY_H
#define ARCH_PKEY_H
#include "arch/static_key.h"
#include "lib/types.h"

#define NR_PKEYS	    16
#define PKRU_DEFAULT	    0x55555554u /* of a new program: key 0 everything, others nothing */
#define PKEY_DISABLE_ACCESS 1u
#define PKEY_DISABLE_WRITE  2u

/** Does the CPU have them, and were they turned on? Constant after boot. */
static __always_inline bool arch_has_pkeys(void)
{
	return static_key(KEY_PKU);
}
/** PKRU of the current thread. It is part of what arch_fpu_save() keeps. Only where arch_has_pkeys(). */
u32 arch_pkru(void);
void arch_set_pkru(u32 pkru);
#endif
