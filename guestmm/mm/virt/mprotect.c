/*
 * mprotect: change access rights, VMA by VMA.
 *
 * As in Linux a hole in the range is found when it is reached: what lies below it is changed, and
 * the call fails with -ENOMEM. Each VMA's part is cut out first, then gets its flags, then joins
 * neighbours that became equal.
 *
 * Locks: mmap_lock for writing.
 */
#include "lib/errno.h"
#include "mm/pgtable/pgtable.h"
#include "mm/virt/pkey.h"
#include "mm/virt/vma.h"

/* New rights for [start, end), a part of *pvma, which covers it afterwards. */
static int mprotect_one(struct vm_area_struct **pvma, unsigned long start, unsigned long end,
			unsigned long flags)
{
	struct vm_area_struct *vma = *pvma;
	struct mm_struct *mm = vma->mm;
	unsigned long pages = (end - start) >> PAGE_SHIFT, old = vma->flags, charged = 0;
	int err;

	if (unlikely(old & VM_SEALED))
		return -EPERM;
	if (flags == old)
		return 0;
	/* A mapping that becomes writable is charged; the charge stays when write access is
	 * taken away. */
	if (flags & VM_WRITE) {
		if (!may_expand_vm(mm, flags, pages) && may_expand_vm(mm, old, pages))
			return -ENOMEM;
		if (!(old & (VM_ACCOUNT | VM_WRITE)) &&
		    vm_accountable(flags, sysctl_overcommit_memory)) {
			if (vm_charge(mm, pages))
				return -ENOMEM;
			charged = pages;
			flags |= VM_ACCOUNT;
		}
	}
	err = vma_modify_flags(pvma, start, end, flags);
	if (err) {
		vm_uncharge(mm, charged);
		return err;
	}
	vm_stat_account(mm, old, -(long)pages);
	vm_stat_account(mm, flags, pages);
	change_protection(*pvma, start, end);
	return 0;
}

int do_mprotect(struct mm_struct *mm, unsigned long addr, unsigned long len, int prot)
{
	return do_pkey_mprotect(mm, addr, len, prot, -1);
}

int do_pkey_mprotect(struct mm_struct *mm, unsigned long addr, unsigned long len, int prot,
		     int pkey)
{
	int grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	unsigned long rights, end;
	struct vm_area_struct *vma;
	int err = -ENOMEM;

	prot &= ~grows;
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP))
		return -EINVAL;
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (!len)
		return 0;
	len = ALIGN_UP(len, PAGE_SIZE);
	end = addr + len;
	if (end <= addr)
		return -ENOMEM;
	if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return -EINVAL;
	rights = (prot & PROT_READ ? VM_READ : 0) | (prot & PROT_WRITE ? VM_WRITE : 0) |
		 (prot & PROT_EXEC ? VM_EXEC : 0);
	down_write(&mm->mmap_lock);
	if (pkey != -1 && !mm_pkey_is_allocated(mm, pkey)) {
		err = -EINVAL;
		goto out;
	}
	vma = find_vma(mm, addr);
	if (!vma)
		goto out;
	if (grows == PROT_GROWSDOWN) {
		/* PROT_GROWSDOWN: the whole stack, down to its lowest page. */
		if (vma->vm_start >= end)
			goto out;
		err = -EINVAL;
		if (!(vma->flags & VM_GROWSDOWN))
			goto out;
		addr = vma->vm_start;
	} else if (vma->vm_start > addr) {
		goto out;
	} else if (grows) {
		err = -EINVAL; /* nothing grows up here */
		goto out;
	}
	for (;;) {
		err = -ENOMEM;
		if (!vma || vma->vm_start > addr)
			break;
		err = -EACCES; /* beyond what the mapping may ever allow */
		if (rights & ~(vma->flags >> 4))
			break;
		err = mprotect_one(&vma, addr, min(end, vma->vm_end),
				   (vma->flags & ~(VM_ACCESS_FLAGS | VM_PKEY_MASK)) | rights |
					   pkey_for_mprotect(vma, rights, pkey));
		if (err)
			break;
		addr = vma->vm_end;
		if (addr >= end)
			break;
		vma = vma_next(vma);
	}
out:
	up_write(&mm->mmap_lock);
	return err;
}
