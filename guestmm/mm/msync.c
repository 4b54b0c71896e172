/*
 * msync: what is in memory is to be in the file.
 *
 * Anonymous memory has no file, so there is nothing to write; but the answers are those of any
 * mapping: holes are found, and locked memory is not to be invalidated.
 *
 * Locks: mmap_lock for reading.
 */
#include "lib/errno.h"
#include "mm/vma.h"

int do_msync(struct mm_struct *mm, unsigned long addr, unsigned long len, int flags)
{
	unsigned long end = addr + ALIGN_UP(len, PAGE_SIZE);
	struct vm_area_struct *vma;
	bool hole = false;
	int err = 0;

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || (addr & ~PAGE_MASK) ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	if (end < addr)
		return -ENOMEM;
	if (end == addr)
		return 0;
	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	for (; addr < end; addr = vma->vm_end, vma = vma_next(vma)) {
		if (!vma || vma->vm_start >= end) {
			hole = true;
			break;
		}
		if (vma->vm_start > addr) {
			hole = true;
			if (flags == MS_ASYNC)
				break; /* the one case that stops at once */
		}
		if ((flags & MS_INVALIDATE) && (vma->flags & VM_LOCKED)) {
			err = -EBUSY;
			break;
		}
	}
	up_read(&mm->mmap_lock);
	return err ? err : hole ? -ENOMEM : 0;
}
