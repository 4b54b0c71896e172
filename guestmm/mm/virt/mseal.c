/*
 * mseal(2): mappings whose place and rights stay as they are, until the address space goes.
 *
 * A sealed VMA has VM_SEALED. Refused with -EPERM are unmapping it, moving or resizing it, mapping over it, changing
 * its rights, and throwing away pages of anonymous memory that the program cannot write. As in Linux (6.10 and
 * later) unmapping looks at the whole range first and changes nothing; mprotect(2) and madvise(2) stop at the first
 * sealed VMA.
 *
 * S1  mm->sealed is set while any VMA has VM_SEALED: an address space without pays one test.
 *
 * Locks: mmap_lock for writing to seal.
 */
#include "lib/errno.h"
#include "mm/virt/vma.h"

bool __range_sealed(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = find_vma_intersection(mm, start, end);

	for (; vma && vma->vm_start < end; vma = vma_next(vma)) {
		if (vma->flags & VM_SEALED)
			return true;
	}
	return false;
}

/* Is all of it mapped? */
static bool has_no_hole(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = find_vma(mm, start);

	for (; vma && vma->vm_start <= start; vma = vma_next(vma)) {
		start = vma->vm_end;
		if (start >= end)
			return true;
	}
	return false;
}

int do_mseal(struct mm_struct *mm, unsigned long start, unsigned long len, unsigned long flags)
{
	unsigned long end = start + ALIGN_UP(len, PAGE_SIZE);
	struct vm_area_struct *vma;
	int err = 0;

	if (flags || (start & ~PAGE_MASK) || (len && !ALIGN_UP(len, PAGE_SIZE)) || end < start)
		return -EINVAL;
	if (start == end)
		return 0;
	down_write(&mm->mmap_lock);
	if (!has_no_hole(mm, start, end))
		err = -ENOMEM;
	vma = err ? NULL : find_vma(mm, start);
	while (!err && vma && vma->vm_start < end) {
		unsigned long to = min(end, vma->vm_end);

		if (!(vma->flags & VM_SEALED))
			err = vma_modify_flags(&vma, max(start, vma->vm_start), to,
					       vma->flags | VM_SEALED);
		if (!err)
			mm->sealed = true;
		vma = vma_next(vma);
	}
	up_write(&mm->mmap_lock);
	return err;
}
