/*
 * Populating: pages are faulted in before anybody touches them (MAP_POPULATE, mlock, MADV_POPULATE_READ and _WRITE).
 *
 * Each page takes the way of a fault (fault.c), but for the walk of the page tables, which is made once a table.
 *
 * Locks: mmap_lock for reading. It is released while user memory answers for a page (userfaultfd).
 */
#include "lib/errno.h"
#include "mm/cache/secretmem.h"
#include "mm/fault/fault.h"
#include "mm/fault/userfault.h"
#include "mm/huge/hugetlb.h"
#include "mm/pgtable/pgtable.h"

int mm_populate_as(struct mm_struct *mm, unsigned long addr, unsigned long len, enum populate how)
{
	unsigned long end = addr + ALIGN_UP(len, PAGE_SIZE), next, step = PAGE_SIZE;
	struct vm_fault vmf = {.mm = mm};
	int err = 0;

	addr &= PAGE_MASK;
	down_read(&mm->mmap_lock);
	while (addr < end && !err) {
		struct vm_area_struct *vma = find_vma(mm, addr);
		unsigned long known = 0; /* vmf.pte is in a table, which covers up to here */
		unsigned int level = 0;
		bool write;

		if (!vma || vma->vm_start > addr) {
			err = -ENOMEM; /* a hole */
			break;
		}
		/* As mapped: private writable memory is copied now, shared memory is only read. */
		write = how == POPULATE_AS_MAPPED
				? (vma->flags & (VM_WRITE | VM_SHARED)) == VM_WRITE
				: how == POPULATE_WRITE;
		vmf.vma = vma;
		vmf.flags = write ? FAULT_FLAG_WRITE : 0;
		if (!access_allowed(vma, vmf.flags) || mapping_is_secret(vma->mapping)) {
			err = -EFAULT;
			break;
		}
		for (next = min(end, vma->vm_end); addr < next && !err; addr += step) {
			unsigned int ret;
			pte_t e;

			vmf.addr = addr;
			step = PAGE_SIZE;
			if (likely(addr < known)) {
				vmf.pte++;
			} else {
				unsigned long stop;

				vmf.pte = walk_leaf(mm->pgd, addr, &level, &stop);
				known = vmf.pte && !level ? stop : 0;
				/* A large leaf is there as a whole. */
				if (vmf.pte && level)
					step = stop - addr;
			}
			e = vmf.pte ? pte_read(vmf.pte) : __pte(0);
			if (pte_present(e) && (pte_write(e) || !vmf.flags))
				continue;
			if (unlikely(vma->flags & VM_HUGETLB))
				step = hugetlb_step(vma, addr);
			if (!known)
				vmf.pte = NULL;
			ret = fault_page(&vmf);
			if (unlikely(ret & VM_FAULT_USERFAULT)) {
				/* This may take long, so mmap_lock is released. The VMA is
				 * looked up again after that. */
				up_read(&mm->mmap_lock);
				ret = userfault_wait(&vmf, ret);
				if (ret || task_interrupted())
					return ret ? -EFAULT : -EINTR;
				down_read(&mm->mmap_lock);
				break;
			}
			if (ret & VM_FAULT_OOM)
				err = -ENOMEM;
			else if (ret & VM_FAULT_ERROR)
				err = -EFAULT;
			else /* nobody touched it, but it is a fault: as Linux counts them */
				atomic_add(ret & VM_FAULT_MAJOR ? &mm->maj_flt : &mm->min_flt, 1);
		}
	}
	up_read(&mm->mmap_lock);
	return err;
}

int mm_populate(struct mm_struct *mm, unsigned long addr, unsigned long len)
{
	return mm_populate_as(mm, addr, len, POPULATE_AS_MAPPED);
}
