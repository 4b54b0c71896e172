/*
 * Clearing dirty bits: from here on, a PTE's dirty bit says "written since then".
 *
 * What a program asks for before a round whose writes it wants to find again. The page itself stays
 * as dirty as it was: the bit moves into PG_dirty, where reclaim looks as well, so nothing that was
 * written is taken for clean.
 *
 * I1. A page that was written is dirty in a PTE or in PG_dirty at any moment: PG_dirty is set
 * before the PTE's bit is cleared. I2. When mm_clean_range() returns, no TLB holds an entry that is dirty
 * already: the next write sets the bit again.
 *
 * Locks: mmap_lock for reading (the VMAs stay), page_table_lock for a table.
 */
#include "arch/tlb.h"
#include "mm/phys/folio.h"
#include "mm/virt/pgtable.h"
#include "mm/virt/vma.h"

/** PTEs of one table. Returns how many were dirty. */
static unsigned long clean_ptes(pte_t *pte, unsigned long nr)
{
	unsigned long cleaned = 0;

	for (; nr; nr--, pte++) {
		pte_t e = pte_read(pte);

		if (!pte_present(e) || !pte_dirty(e) || pte_special(e))
			continue;
		SetPageDirty(&pfn_folio(pte_pfn(e))->page);		     /* I1 */
		__atomic_fetch_and(&pte->v, ~_PAGE_DIRTY, __ATOMIC_ACQ_REL); /* the CPU sets bits */
		cleaned++;
	}
	return cleaned;
}

unsigned long mm_clean_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long cleaned = 0, next, stop;
	struct vm_area_struct *vma;

	down_read(&mm->mmap_lock);
	for (vma = find_vma(mm, start); vma && vma->vm_start < end; vma = vma_next(vma)) {
		unsigned long addr = max(start, vma->vm_start), last = min(end, vma->vm_end);

		for (; addr < last; addr = stop) {
			unsigned int level;
			pte_t *leaf = walk_leaf(mm->pgd, addr, &level, &next);

			stop = min(next, last);
			if (!leaf)
				continue;
			spin_lock(&mm->page_table_lock);
			/* A large leaf has one bit for all of it. */
			cleaned += level ? clean_ptes(leaf, 1) * level_pages(level)
					 : clean_ptes(leaf, (stop - addr) >> PAGE_SHIFT);
			spin_unlock(&mm->page_table_lock);
		}
	}
	if (cleaned)
		flush_tlb_mm(mm); /* I2 */
	up_read(&mm->mmap_lock);
	return cleaned;
}
