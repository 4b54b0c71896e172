/*
 * Clearing the dirty bits of PTEs, so that afterwards a set bit means "written since".
 *
 * A program asks for this before a period whose writes it wants to find. The page itself stays dirty: the bit moves
 * into PG_dirty, which reclaim checks as well, so a written page is never mistaken for a clean one.
 *
 * I1. A page that was written is dirty in a PTE or in PG_dirty at any moment: PG_dirty is set
 *     before the PTE's bit is cleared.
 * I2. When mm_clean_range() returns, no TLB holds an entry that is dirty already: the next write
 *     sets the bit again.
 *
 * Locks: mmap_lock for reading (the VMAs stay), page_table_lock for a table.
 */
#include "arch/tlb.h"
#include "mm/phys/folio.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/pgtable/tlb_pending.h"
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
	inc_tlb_flush_pending(mm);
	for (vma = find_vma(mm, start); vma && vma->vm_start < end; vma = vma_next(vma)) {
		unsigned long addr = max(start, vma->vm_start), last = min(end, vma->vm_end);

		for (; addr < last; addr = stop) {
			unsigned int level;
			pte_t *leaf = walk_leaf(mm->pgd, addr, &level, &next);

			stop = min(next, last);
			if (!leaf)
				continue;
			spin_lock(&mm->page_table_lock);
			flush_tlb_batched_pending(mm);
			/* A large leaf has one bit for all of it. */
			cleaned += level ? clean_ptes(leaf, 1) * level_pages(level)
					 : clean_ptes(leaf, (stop - addr) >> PAGE_SHIFT);
			spin_unlock(&mm->page_table_lock);
		}
	}
	if (cleaned || mm_tlb_flush_nested(mm))
		flush_tlb_mm(mm); /* I2 */
	dec_tlb_flush_pending(mm);
	up_read(&mm->mmap_lock);
	return cleaned;
}
