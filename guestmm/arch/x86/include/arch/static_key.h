/*
 * Static keys: a choice made once, at boot, that costs one no-op where it was not taken.
 *
 *   site:  nopl (5 bytes)   ── static_key_enable(), before text becomes read-only ──>   jmp yes
 *
 * Each site leaves its address, its target and its key in the section __static_keys, linked to its own: what the
 * linker drops takes them along. For code on hot paths that runs rarely, or not at all on the machine being
 * measured.
 */
#ifndef ARCH_STATIC_KEY_H
#define ARCH_STATIC_KEY_H
#include "lib/types.h"

enum static_key {
	KEY_SMP,     /* more than one CPU */
	KEY_NUMA,    /* more than one node */
	KEY_LOCKDEP, /* lock-order checker, `lockdep` on the command line */
	KEY_POISON, /* free pages hold a pattern (mm/phys/poison.c), `page_poison` on the command line */
	KEY_PCID, /* the CPU tags TLB entries (arch/x86/tlb.c) */
	KEY_PKU,  /* the CPU has protection keys (arch/pkey.h) */
	KEY_HIGHMEM, /* some of RAM is not in the direct map (mm/phys/highmem.h), `highmem=` on the command line */
	KEY_FAIL, /* fault injection (lib/fail.h), `fault_inject` on the command line */
};

static __always_inline bool static_key(const enum static_key key)
{
	__asm__ goto(".Lkey%=:\t.byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n\t"
		     ".pushsection __static_keys, \"ao\", @progbits, .Lkey%=\n\t"
		     ".balign 4\n\t"
		     ".long .Lkey%= - ., %l[yes] - ., %c0\n\t"
		     ".popsection" ::"i"(key)::yes);
	return false;
yes:
	return true;
}

/** Take the branch at every site of the key from now on. Boot only, before paging_init(). */
void static_key_enable(enum static_key key);
#endif
