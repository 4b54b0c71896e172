/*
 * The hash of a page's contents that ksmd keeps (guestmm/mm/ksm) and that the host's audit computes again.
 */
#ifndef MMVM_KSM_H
#define MMVM_KSM_H

#include <stdint.h>

/* The flag of the VMAs that may hold merged pages. */
#define MMVM_VM_MERGEABLE 0x80000000ull
/* page->mapping of a merged page: address of its struct ksm_node | 3. */
#define MMVM_MAPPING_KSM 3ull

/** FNV-1a over the 512 words of a page. */
static inline uint64_t mmvm_ksm_hash(const void *page)
{
	const uint64_t *word = (const uint64_t *)page;
	uint64_t h = 0xcbf29ce484222325ull;

	for (unsigned int i = 0; i < 512; i++) {
		h ^= word[i];
		h *= 0x100000001b3ull;
		h ^= h >> 32;
	}
	return h;
}
#endif
