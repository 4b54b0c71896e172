/*
 * What the parts of the fault handler share: fault.c (anonymous memory), file_fault.c, populate.c, userfault_fill.c and
 * others. Locks: mmap_lock for reading everywhere. P is page_table_lock.
 */
#ifndef MM_FAULT_H
#define MM_FAULT_H
#include "lib/trace.h"
#include "mm/reclaim/lru.h"
#include "mm/rmap/rmap.h"
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

/** Beside FAULT_FLAG_* of mm.h: a tracer reads (FOLL_FORCE in Linux). What the VMA may at most allow counts, not what
 * it allows now. */
#define FAULT_FLAG_FORCE 0x200u

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
/** The same where nothing is mapped, or userfaultfd's marker stands; and userfaultfd is asked before the page is written. */
bool finish_protected_fault(struct vm_fault *vmf, struct page *page);
/** A read of shared memory where userfaultfd's marker stands: what is mapped is protected as well. VM_FAULT_* bits. */
unsigned int do_protected_fault(struct vm_fault *vmf);
/** Nothing is mapped at the address, and the VMA has a mapping. VM_FAULT_* bits. */
unsigned int do_file_fault(struct vm_fault *vmf);
/** Does the VMA allow what FAULT_FLAG_WRITE or _EXEC in `flags` say, or else reading? */
static inline bool access_allowed(const struct vm_area_struct *vma, unsigned int flags)
{
	if (flags & FAULT_FLAG_WRITE)
		return vma->flags & VM_WRITE;
	if (flags & FAULT_FLAG_EXEC)
		return vma->flags & VM_EXEC;
	return vma->flags & VM_ACCESS_FLAGS;
}

/** Bring in what is missing at vmf->addr; the VMA allows the access. vmf->pte is its PTE, or NULL: it is looked for.
 * VM_FAULT_*. May sleep. */
unsigned int fault_page(struct vm_fault *vmf);
/** A page for private memory at vmf->addr, charged, with the VMA's anon_vma prepared; the caller fills it. NULL: no
 * memory. May sleep. */
struct page *alloc_private_page(struct vm_fault *vmf);
/** Map that page where the PTE still is vmf->orig, none or special (no reference to drop); else free it. Takes P. */
void map_private_copy(struct vm_fault *vmf, struct page *copy);
/** A write to the page that vmf->orig maps read-only in a private mapping: reused, or copied. */
unsigned int wp_private_page(struct vm_fault *vmf);
/** A tracer writes to it, and the VMA need not allow that: copied unless the page is the VMA's alone. The PTE is not
 * made writable where the VMA is not. */
unsigned int wp_forced_page(struct vm_fault *vmf);
/** The same where the VMA's mapping is AS_DAX; and a write to a frame, or to the zero page, that vmf->orig maps
 * read-only (dax_fault.c). */
unsigned int dax_fault(struct vm_fault *vmf);
/** A write to the page of the file that vmf->orig maps read-only in a shared mapping. */
unsigned int do_wp_shared(struct vm_fault *vmf);
#endif
