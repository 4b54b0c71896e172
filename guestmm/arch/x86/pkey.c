/* The register PKRU. Its two instructions exist where CR4.PKE is set. */
#include "arch/pkey.h"

u32 arch_pkru(void)
{
	u32 pkru, zero;

	__asm__ volatile(".byte 0x0f, 0x01, 0xee" : "=a"(pkru), "=d"(zero) : "c"(0)); /* rdpkru */
	return pkru;
}

void arch_set_pkru(u32 pkru)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xef" ::"a"(pkru), "c"(0), "d"(0)
			 : "memory"); /* wrpkru */
}
