/*
 * Special mappings: a few pages of the kernel's own, which every program may see ([vdso], [vvar]).
 *
 *   vma->name ──> struct special_mapping: name, flags, pages
 *   PTE       ──> one of its pages, special: no reference, no mapcount, not in RSS
 *
 * They belong to no file and are on no LRU list: reclaim, migration and KSM never see them. fork() does
 * not copy the PTEs; a touch maps the page again. A program that may write to one (mprotect(2) of a
 * mapping with VM_MAYWRITE) gets a copy of its own, as of a private file.
 *
 * I1  A VMA has VM_DONTEXPAND exactly when its name is that of a special_mapping.
 * I2  A PTE of such a VMA maps an anonymous page, or the mapping's page at the VMA's offset, read-only
 *     and special. No other PTE maps those pages. (The audit: special_mapping.)
 *
 * Locks: mmap_lock for reading, page_table_lock. What is known is written at boot only.
 */
#include "mm/fault/special.h"
#include "mm/phys/highmem.h"
#include "lib/errno.h"
#include "mm/pgtable/pgtable.h"

static const struct special_mapping *of_vma(const struct vm_area_struct *vma)
{
	return (const struct special_mapping *)vma->name;
}

/* For the audit. Boot: one thread. */
static const struct special_mapping *known[MMVM_AUDIT_MAX_SPECIAL];

void special_mapping_register(const struct special_mapping *sm)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(known); i++) {
		if (!known[i]) {
			known[i] = sm;
			return;
		}
	}
	panic("too many special mappings");
}

void special_audit_layout(struct mmvm_audit_special_layout *l)
{
	l->vma_name_offset = offsetof(struct vm_area_struct, name);
	l->vma_pgoff_offset = offsetof(struct vm_area_struct, pgoff);
	for (unsigned int i = 0; i < ARRAY_SIZE(known) && known[i]; i++) {
		l->mapping[i].name_gva = (unsigned long)known[i]->name;
		l->mapping[i].nr_pages = known[i]->nr_pages;
		for (unsigned int n = 0; n < known[i]->nr_pages; n++)
			l->mapping[i].pfn[n] = page_to_pfn(known[i]->pages[n]);
	}
}

int install_special_mapping(struct mm_struct *mm, unsigned long addr,
			    const struct special_mapping *sm)
{
	unsigned long pages = sm->nr_pages, end = addr + (pages << PAGE_SHIFT);
	unsigned long flags = sm->flags | VM_DONTEXPAND | VM_SOFTDIRTY;
	struct vm_area_struct *vma;

	if (!may_expand_vm(mm, flags, pages))
		return -ENOMEM;
	vma = vma_alloc(mm, addr, end, flags, sm->name);
	if (!vma)
		return -ENOMEM;
	vma->pgoff = 0; /* the page's place in the mapping, wherever it is moved to */
	vma_link(vma);
	vm_stat_account(mm, flags, pages);
	return 0;
}

unsigned int special_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	const struct special_mapping *sm = of_vma(vma);
	unsigned long index = linear_page_index(vma, vmf->addr);
	struct page *page;

	if (index >= sm->nr_pages)
		return VM_FAULT_SIGBUS;
	page = sm->pages[index];
	spin_lock(&vmf->mm->page_table_lock);
	vmf->orig = pte_read(vmf->pte);
	if (likely(pte_none(vmf->orig))) {
		vmf->orig = mk_pte(page_to_pfn(page), vma->prot | _PAGE_SPECIAL | _PAGE_ACCESSED);
		pte_set(vmf->pte, vmf->orig);
		trace_map(vmf, page, FILE);
	}
	spin_unlock(&vmf->mm->page_table_lock);
	count_vm_event(MMVM_FAULT_SPECIAL);
	if (!(vmf->flags & FAULT_FLAG_WRITE) || !pte_present(vmf->orig) || pte_write(vmf->orig))
		return 0;
	return special_wp_fault(vmf);
}

unsigned int special_wp_fault(struct vm_fault *vmf)
{
	struct page *copy;

	if (!pte_special(vmf->orig))
		return wp_private_page(vmf); /* it has its copy, which a child shares */
	copy = alloc_private_page(vmf);
	if (!copy)
		return VM_FAULT_OOM;
	copy_highpage(copy, pfn_to_page(pte_pfn(vmf->orig)));
	map_private_copy(vmf, copy);
	return 0;
}
