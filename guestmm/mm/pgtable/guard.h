/*
 * Guard markers: a PTE that says that nothing may be here (madvise(MADV_GUARD_INSTALL), guard.c).
 *
 * A swap entry of a reserved type with offset 1. It is no swap: it counts in no rss, and has no slot. Other offsets of
 * the type are other markers: of lost pages (below), and of userfaultfd's protection where nothing is mapped
 * (uffd_wp_marker() in arch/pgtable.h).
 */
#ifndef MM_GUARD_H
#define MM_GUARD_H
#include "arch/pgtable.h"
#include "mm/virt/mm_types.h"

static inline bool is_guard_entry(swp_entry_t e)
{
	return swp_type(e) == MMVM_SWP_GUARD;
}
static inline bool pte_is_guard(pte_t pte)
{
	return pte_is_swap(pte) && is_guard_entry(pte_to_swp_entry(pte));
}
/** What madvise(MADV_GUARD_INSTALL) has set, and nothing else of this kind. */
static inline bool is_installed_guard(swp_entry_t e)
{
	return is_guard_entry(e) && swp_offset(e) == MMVM_GUARD_INSTALLED;
}
static inline pte_t guard_pte(void)
{
	return swp_entry_to_pte(swp_entry(MMVM_SWP_GUARD, MMVM_GUARD_INSTALLED));
}
/** The same kind of entry says that the page that was here is lost (mm/move/memory_failure.h). It stays until it is
 * unmapped or thrown away. */
static inline pte_t poison_pte(void)
{
	return swp_entry_to_pte(swp_entry(MMVM_SWP_GUARD, MMVM_GUARD_POISON));
}
static inline bool is_poison_entry(swp_entry_t e)
{
	return is_guard_entry(e) && swp_offset(e) == MMVM_GUARD_POISON;
}

/** Throw away what is in [start, end), a part of a private anonymous VMA, and guard it. mmap_lock for reading.
 * 0, -EINVAL (no such VMA, or locked), -ENOMEM, -EINTR. */
int guard_install(struct vm_area_struct *vma, unsigned long start, unsigned long end);
/** Take the guards away; what else is there stays. 0 or -EINVAL. */
int guard_remove(struct vm_area_struct *vma, unsigned long start, unsigned long end);
#endif
