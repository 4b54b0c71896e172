/* Pages of the kernel's own that a program sees in its address space: [vdso], [vvar]. */
#ifndef MM_SPECIAL_H
#define MM_SPECIAL_H
#include "mm/fault/fault.h"

/** Constant once it has been installed anywhere. */
struct special_mapping {
	char name[8];	     /* as /proc/PID/maps shows it. First: vma->name points here */
	unsigned long flags; /* VM_*; VM_DONTEXPAND is added */
	struct page **pages;
	u32 nr_pages;
};

/** Boot: make it known to the audit, before it is installed anywhere. */
void special_mapping_register(const struct special_mapping *sm);
/** Map all of it at `addr`, which is free. mmap_lock held for writing. 0 or -ENOMEM. */
int install_special_mapping(struct mm_struct *mm, unsigned long addr,
			    const struct special_mapping *sm);
/** Nothing is mapped at the address, in a VMA with VM_DONTEXPAND. VM_FAULT_* bits. */
unsigned int special_fault(struct vm_fault *vmf);
/** A write to what vmf->orig maps read-only in such a VMA. */
unsigned int special_wp_fault(struct vm_fault *vmf);
/** What the host's audit may find mapped in such VMAs, and nowhere else. */
void special_audit_layout(struct mmvm_audit_special_layout *l);
#endif
