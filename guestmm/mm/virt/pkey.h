/* Protection keys: which a program has allocated, and which a mapping's pages have. */
#ifndef MM_PKEY_H
#define MM_PKEY_H
#include "arch/pkey.h"
#include "mm/virt/mm_types.h"

static inline int vma_pkey(const struct vm_area_struct *vma)
{
	return (vma->flags & VM_PKEY_MASK) >> VM_PKEY_SHIFT;
}
/** May a program give this key to its pages? mmap_lock held. */
bool mm_pkey_is_allocated(const struct mm_struct *mm, int pkey);
/** The key that mprotect(2) or pkey_mprotect(2) gives to a part of a VMA, as VM_* flags. `pkey` -1: none was
 * named. mmap_lock for writing. */
unsigned long pkey_for_mprotect(struct vm_area_struct *vma, unsigned long access, int pkey);
/** VM_* flags of a new mapping that may only be executed: its key forbids reading. mmap_lock for writing. */
unsigned long pkey_execute_only(struct mm_struct *mm);
/** Key of the mapping at addr, 0 where there is none. Takes mmap_lock for reading. */
int pkey_at(struct mm_struct *mm, unsigned long addr);
/** pkey_alloc(2) and pkey_free(2), of the current thread. */
int do_pkey_alloc(struct mm_struct *mm, unsigned long flags, unsigned long rights);
int do_pkey_free(struct mm_struct *mm, int pkey);
#endif
