/*
 * msync: what is in memory is to be in the file.
 *
 * MS_SYNC writes what is dirty in shared mappings of files and waits for it, as fsync(2) would, but
 * for the range only. MS_ASYNC starts nothing, as in Linux: the flusher knows of the pages already,
 * because a mapping can only write to a page that is counted as dirty. Anonymous memory has no file;
 * but the answers are those of any mapping: holes are found, and locked memory is not to be
 * invalidated.
 *
 * Locks: mmap_lock for reading, not while the disk is waited for; the file is held instead.
 */
#include "lib/errno.h"
#include "mm/virt/vma.h"

/* Write the file's part that [addr, stop) of the VMA maps. Releases mmap_lock. */
static int sync_part(const struct vm_area_struct *vma, unsigned long addr, unsigned long stop)
{
	u64 start = (u64)linear_page_index(vma, addr) << PAGE_SHIFT;
	struct file *file = vma->file;
	int err;

	file_get(file);
	up_read(&vma->mm->mmap_lock);
	err = file_sync_range(file, start, start + (stop - addr) - 1);
	file_put(file);
	return err;
}

int do_msync(struct mm_struct *mm, unsigned long addr, unsigned long len, int flags)
{
	unsigned long end = addr + ALIGN_UP(len, PAGE_SIZE), stop;
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
	while (addr < end) {
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
		if ((flags & MS_SYNC) && vma->file && (vma->flags & VM_SHARED)) {
			addr = max(addr, vma->vm_start);
			stop = min(end, vma->vm_end);
			err = sync_part(vma, addr, stop);
			if (err)
				return err; /* sync_part() has released the lock */
			if (stop >= end)
				return hole ? -ENOMEM : 0;
			down_read(&mm->mmap_lock);
			addr = stop;
			vma = find_vma(mm, addr);
			continue;
		}
		addr = vma->vm_end;
		vma = vma_next(vma);
	}
	up_read(&mm->mmap_lock);
	return err ? err : hole ? -ENOMEM : 0;
}
