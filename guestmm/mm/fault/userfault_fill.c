/*
 * userfaultfd: the answers. UFFDIO_COPY and UFFDIO_ZEROPAGE fill an empty PTE, UFFDIO_CONTINUE maps a page that the
 * file has already, UFFDIO_POISON leaves the marker of a page that is lost (mm/pgtable/guard.h). userfault.c has the faults that wait for them.
 *
 * Locks: mmap_lock for reading; page_table_lock for the PTE.
 */
#include "mm/fault/userfault.h"
#include "mm/phys/highmem.h"
#include "arch/static_key.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/cache/pagecache.h"
#include "mm/phys/alloc.h"
#include "mm/pgtable/guard.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"

/* Nothing is there, but perhaps a marker, whose protection ends with an answer that does not ask for it. */
static bool may_be_filled(pte_t e)
{
	return pte_none(e) || pte_is_uffd_wp_marker(e);
}

/* A page of its own. */
static int fill_anon(struct vm_fault *vmf, const void *contents, enum uffd_fill how)
{
	struct mm_struct *mm = vmf->mm;
	struct page *page;
	int err = -EEXIST;

	page = alloc_private_page(vmf);
	if (!page)
		return -ENOMEM;
	memcpy_to_page(page, 0, contents, PAGE_SIZE);
	spin_lock(&mm->page_table_lock);
	if (may_be_filled(pte_read(vmf->pte))) {
		map_new_page(vmf, page);
		if (how == UFFD_FILL_WP) /* no CPU knows it yet */
			pte_set(vmf->pte, pte_mkuffd_wp(pte_read(vmf->pte)));
		trace_map(vmf, page, ANON);
		atomic_add(&mm->rss_anon, 1);
		err = 0;
	}
	spin_unlock(&mm->page_table_lock);
	if (err)
		__free_page(page);
	return err;
}

/* Zeroes need no page of their own before they are written. They are as protected as the marker (or nothing), which
 * `expected` says is there. */
static int fill_zero(struct vm_fault *vmf, pte_t expected)
{
	int err = -EEXIST;

	spin_lock(&vmf->mm->page_table_lock);
	if (pte_read(vmf->pte).v == expected.v) {
		pte_t zero = mk_pte(page_to_pfn(zero_page),
				    vmf->vma->prot | _PAGE_SPECIAL | _PAGE_ACCESSED);

		pte_set(vmf->pte, pte_none(expected) ? zero : pte_mkuffd_wp(zero));
		trace_map(vmf, zero_page, ZERO);
		err = 0;
	}
	spin_unlock(&vmf->mm->page_table_lock);
	return err;
}

/* mmap_lock held: map a page of the file. UFFD_MAP_PRESENT: the one that it has; else a new one with these contents,
 * and the file must not have one yet. */
static int fill_shmem(struct vm_fault *vmf, const void *contents, enum uffd_fill how)
{
	struct address_space *mapping = vmf->vma->mapping;
	unsigned long index = linear_page_index(vmf->vma, vmf->addr);
	struct page *page;
	int err;

	if (index >= DIV_ROUND_UP(READ_ONCE(mapping->size), PAGE_SIZE))
		return -EFAULT;
	if (how == UFFD_MAP_PRESENT)
		err = shmem_get_page(mapping, index, SHMEM_FIND, &page, NULL);
	else
		err = shmem_add_page(mapping, index, contents, &page);
	if (err)
		return err == -ENOENT ? -EFAULT : err == -EHWPOISON ? -EIO : err;
	if (how == UFFD_FILL_WP)
		return finish_protected_fault(vmf, page) ? 0 : -EEXIST;
	spin_lock(&vmf->mm->page_table_lock);
	if (pte_is_uffd_wp_marker(pte_read(vmf->pte)))
		pte_set(vmf->pte, __pte(0));
	spin_unlock(&vmf->mm->page_table_lock);
	return finish_file_fault(vmf, page, _PAGE_ACCESSED) ? 0 : -EEXIST;
}

unsigned int userfault_marker(struct vm_fault *vmf)
{
	unsigned int ret = userfault_check(vmf);

	if (ret)
		return ret;
	if (vmf->vma->mapping)
		return do_protected_fault(vmf);
	count_vm_event(MMVM_FAULT_ZERO);
	fill_zero(vmf, vmf->orig); /* or another thread was faster */
	return 0;
}

/* What fork(2) copies of private memory has an anon_vma: the marker must be among it. */
static int fill_poison(struct vm_fault *vmf)
{
	const struct vm_area_struct *vma = vmf->vma;
	int err = -EEXIST;

	if (vma->mapping && linear_page_index(vma, vmf->addr) >=
				    DIV_ROUND_UP(READ_ONCE(vma->mapping->size), PAGE_SIZE))
		return -EFAULT;
	if (!(vma->flags & VM_SHARED) && anon_vma_prepare(vmf->vma))
		return -ENOMEM;
	spin_lock(&vmf->mm->page_table_lock);
	if (pte_none(pte_read(vmf->pte))) {
		pte_set(vmf->pte, poison_pte());
		err = 0;
	}
	spin_unlock(&vmf->mm->page_table_lock);
	return err;
}

int uffd_fill(struct uffd_ctx *ctx, unsigned long addr, unsigned long end, const void *contents,
	      enum uffd_fill how)
{
	struct mm_struct *mm = uffd_get_mm(ctx);
	struct vm_fault vmf = {.mm = mm, .addr = addr, .flags = FAULT_FLAG_WRITE};
	struct thread_info *ti = current_thread_info();
	unsigned int level;
	unsigned long next;
	int err = -ENOENT;

	if (!mm)
		return -ESRCH;
	down_read(&mm->mmap_lock);
	vmf.vma = uffd_find_registered(mm, addr, end);
	if (uffd_changing(ctx))
		err = -EAGAIN;
	if (!vmf.vma || err == -EAGAIN)
		goto out;
	err = 0;
	if (how == UFFD_MAP_PRESENT && !(uffd_is_shmem(vmf.vma) && vmf.vma->flags & VM_SHARED))
		err = -EINVAL;
	if (how == UFFD_FILL_WP && !(vmf.vma->flags & VM_UFFD_WP))
		err = -EINVAL;
	if (err)
		goto out;
	if (static_key(KEY_NUMA) && vmf.vma->policy) {
		ti->vma_index = linear_page_index(vmf.vma, addr);
		ti->vma_policy = vmf.vma->policy;
	}
	vmf.pte = walk_pte_alloc(mm, addr);
	if (!vmf.pte)
		err = walk_leaf(mm->pgd, addr, &level, &next) ? -EEXIST : -ENOMEM;
	else if (how == UFFD_POISON)
		err = fill_poison(&vmf);
	else if (vmf.vma->flags & VM_SHARED)
		err = fill_shmem(&vmf, contents, how);
	else
		err = contents ? fill_anon(&vmf, contents, how) : fill_zero(&vmf, __pte(0));
	ti->vma_policy = NULL;
out:
	up_read(&mm->mmap_lock);
	mmput(mm);
	return err;
}

int uffd_may_fill(struct uffd_ctx *ctx, unsigned long addr, unsigned long end)
{
	struct mm_struct *mm = uffd_get_mm(ctx);
	bool may;

	if (!mm)
		return -ESRCH;
	down_read(&mm->mmap_lock);
	may = uffd_find_registered(mm, addr, end);
	up_read(&mm->mmap_lock);
	mmput(mm);
	return may ? 0 : -ENOENT;
}
