/* What the two halves of the fault handler share: fault.c (anonymous memory) and file_fault.c. */
#ifndef MM_FAULT_H
#define MM_FAULT_H
#include "lib/trace.h"
#include "mm/reclaim/lru.h"
#include "mm/virt/rmap.h"
#include "mm/virt/vma.h"
#include "mm/phys/zone.h"

struct vm_fault {
	struct mm_struct *mm;
	struct vm_area_struct *vma;
	unsigned long addr; /* page aligned */
	unsigned int flags;
	union {
		pte_t *pte;
		struct uffd_ctx *uffd; /* with VM_FAULT_USERFAULT: a reference */
	};
	pte_t orig;
	bool dirtied; /* a page of the file has become dirty: the writer may have to wait */
};

/* Flags of a page that a fault has just filled. */
#define ANON_PAGE_FLAGS	  (1ull << PG_uptodate | 1ull << PG_swapbacked)
#define LOCKED_PAGE_FLAGS (1ull << PG_unevictable | 1ull << PG_mlocked)

#define trace_map(vmf, page, why)                                                             \
	trace_point(MAP, (vmf)->addr, .pfn = page_to_pfn(page), .mm = trace_mm_id((vmf)->mm), \
		    .arg = TRACE_MAP_##why)

/** P held, PTE still what it was: map a page that nobody else knows yet. */
static __always_inline void map_new_page(struct vm_fault *vmf, struct page *page)
{
	struct vm_area_struct *vma = vmf->vma;
	pte_t pte = mk_pte(page_to_pfn(page), vma->prot | _PAGE_ACCESSED | _PAGE_WRITTEN);

	page->flags |= ANON_PAGE_FLAGS;
	if (unlikely(vma->flags & VM_LOCKED)) {
		page->flags |= LOCKED_PAGE_FLAGS;
		page_stat_add(page, NR_MLOCK, 1);
	}
	page_add_new_anon_rmap(page, vma, vmf->addr);
	page_stat_add(page, NR_ANON_MAPPED, 1);
	__lru_add(page);
	pte_set(vmf->pte, vma->flags & VM_WRITE ? pte_mkwrite(pte) : pte);
}

/** Map the locked page where nothing is mapped, and unlock it; takes its reference over. False: something
 * is there now. */
bool finish_file_fault(struct vm_fault *vmf, struct page *page, pgprot_t bits);
/** Nothing is mapped at the address, and the VMA has a mapping. VM_FAULT_* bits. */
unsigned int do_file_fault(struct vm_fault *vmf);
/** A write to the page of the file that vmf->orig maps read-only in a shared mapping. */
unsigned int do_wp_shared(struct vm_fault *vmf);
#endif
