/*
 * Faults in mappings of files that lie in memory of a device (mm/cache/dax.h).
 *
 *                 private mapping                     shared mapping
 *   read          the frame, read-only                the frame, read-only
 *   read, hole    the zero page, read-only            the zero page, read-only
 *   write         a copy, anonymous from then on      the frame, dirty, writable; a hole is filled first
 *   behind the    SIGBUS                              SIGBUS
 *   file's end
 *
 * I1  A PTE is made under invalidate_lock for reading, after a look at the size (D2 of dax.c). So truncation, which
 *     changes the size and then takes the lock for writing, unmaps every PTE that was made.
 * I2  The PTEs are special: fork, munmap, reclaim, migration and the rest take no reference and give none back.
 *
 * Nothing is mapped around a fault: there is nothing to be read, and Linux does not either.
 *
 * Locks: mmap_lock for reading; invalidate_lock; the file system's; page_table_lock; dax_lock.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/cache/dax.h"
#include "mm/phys/highmem.h"
#include "mm/cache/filemap.h"
#include "mm/phys/alloc.h"
#include "mm/fault/fault.h"
#include "mm/pgtable/pgtable.h"

static unsigned int error_to_fault(int err)
{
	return err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

/* invalidate_lock held for reading: the frame of vmf->addr, NULL for a hole. 0 or -errno. */
static int look(struct vm_fault *vmf, unsigned long index, struct page **page)
{
	struct address_space *mapping = vmf->vma->mapping;

	if (beyond_end(mapping, index))
		return -EFAULT;
	return dax_find(mapping, index, page);
}

/* Map the frame, or the zero page, where the PTE is still what it was. invalidate_lock held for reading. */
static unsigned int map_frame(struct vm_fault *vmf, unsigned long index, struct page *page,
			      bool store)
{
	struct vm_area_struct *vma = vmf->vma;
	pgprot_t bits = vma->prot | _PAGE_SPECIAL | _PAGE_ACCESSED;
	unsigned int ret = 0;
	pte_t pte;

	if (page)
		pte = mk_pte(page_to_pfn(page), bits | _PAGE_DEVMAP);
	else
		pte = mk_pte(page_to_pfn(zero_page), bits);
	if (store)
		pte = pte_mkwrite(pte_mkdirty(pte));
	spin_lock(&vmf->mm->page_table_lock);
	if (unlikely(pte_read(vmf->pte).v != vmf->orig.v))
		goto out; /* somebody else's fault */
	if (page && unlikely(!dax_claim(vma->mapping, index, page, store))) {
		ret = VM_FAULT_SIGBUS;
		goto out;
	}
	/* The trace knows frames of RAM only. */
	if (!page)
		trace_map(vmf, zero_page, ZERO);
	pte_set(vmf->pte, pte);
out:
	spin_unlock(&vmf->mm->page_table_lock);
	return ret;
}

/* A write to a private mapping: the frame, or the zero page, or nothing is there. A copy takes its place. */
static unsigned int copy_frame(struct vm_fault *vmf, unsigned long index)
{
	struct address_space *mapping = vmf->vma->mapping;
	struct page *page, *copy = alloc_private_page(vmf);
	int err;

	if (!copy)
		return VM_FAULT_OOM;
	down_read(&mapping->invalidate_lock);
	err = look(vmf, index, &page);
	if (!err && page)
		copy_highpage(copy, page);
	else if (!err)
		clear_highpage(copy);
	/* Truncation, which takes private copies as well, comes after us. */
	if (!err)
		map_private_copy(vmf, copy);
	else
		__free_page(copy);
	up_read(&mapping->invalidate_lock);
	return err ? error_to_fault(err) : 0;
}

unsigned int dax_fault(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->mapping;
	unsigned long index = linear_page_index(vmf->vma, vmf->addr);
	bool store = vmf->flags & FAULT_FLAG_WRITE;
	unsigned int ret;
	struct page *page;
	int err;

	count_vm_event(MMVM_FAULT_DAX);
	if (store && !(vmf->vma->flags & VM_SHARED))
		return copy_frame(vmf, index);
	err = dax_prepare(mapping);
	while (!err) {
		down_read(&mapping->invalidate_lock);
		err = look(vmf, index, &page);
		if (!err && (page || !store)) {
			ret = map_frame(vmf, index, page, store);
			up_read(&mapping->invalidate_lock);
			return ret;
		}
		up_read(&mapping->invalidate_lock);
		if (!err)
			err = dax_fill(mapping, index, DAX_FILL_MAPPED);
		/* dax_fill() has unmapped the zero page that may have been here. */
		vmf->orig = __pte(0);
	}
	return error_to_fault(err);
}
