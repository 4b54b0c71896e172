/*
 * /proc/PID/clear_refs: forgetting what was accessed, and watching what is written from now on.
 *
 * A soft-dirty bit says that the page was written, or was new, since the last "4". The CPU does not know the
 * bit, so clearing it takes the right to write as well: the next write faults, and who makes an entry
 * writable for a write sets the bit (pte_mkdirty(), _PAGE_WRITTEN).
 *
 *   VM_SOFTDIRTY set     a new mapping: all of it counts as soft-dirty, whatever its entries say
 *   VM_SOFTDIRTY clear   watched: a page counts if its entry is soft-dirty; a page that is missing does not
 *
 * S1  In a watched mapping an entry that may be written is soft-dirty. Who gives the right to write without a
 *     write (a read fault, mprotect, swap-in) must not do so there (vma_read_maps_writable(),
 *     write_needs_no_mark()). Hugetlb is not watched page by page, as in Linux.
 * S2  The bit stays with the page over fork, swap and migration. mremap() sets it.
 *
 * Where two mappings become one, the result is VM_SOFTDIRTY if one of them was: too much is shown then, never
 * too little. Linux 6.1 loses the flag in some of these cases, and the bits where mremap() moves a whole table.
 *
 * Locks: mmap_lock for writing, page_table_lock for a table.
 * Source: Documentation/admin-guide/mm/soft-dirty.rst, fs/proc/task_mmu.c of Linux.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "mm/phys/folio.h"
#include "mm/pgtable/large.h"
#include "mm/rmap/migrate_entry.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/pgtable/soft_dirty.h"
#include "mm/virt/vma.h"

/* Watch one entry. Returns whether a CPU may know it otherwise. P held. */
static bool watch_entry(pte_t *pte)
{
	pte_t e = pte_read(pte);

	if (pte_none(e))
		return false;
	if (pte_present(e) || pmd_is_migration(e)) {
		/* Only these bits: a CPU may be setting A and D. */
		atomic_and(&pte->v, ~(_PAGE_RW | _PAGE_SOFT_DIRTY));
		return pte_write(e);
	}
	if (unlikely(pte_is_migration(e))) {
		pte_t readable = swp_entry_to_pte(readable_migration_entry(pte_to_swp_entry(e)));

		e = __pte(readable.v | (e.v & SWP_KEPT_BITS));
	}
	pte_set(pte, __pte(e.v & ~MMVM_SWP_SOFT_DIRTY));
	return false;
}

/* The page was not accessed. The same. */
static bool age_entry(pte_t *pte)
{
	pte_t e = pte_read(pte);
	bool young;

	if (!pte_present(e) || pte_special(e))
		return false;
	young = pte_test_and_clear_young(pte);
	ClearPageReferenced(&pfn_folio(pte_pfn(e))->page);
	return young;
}

static bool clear_vma(struct vm_area_struct *vma, enum clear_refs what)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr = vma->vm_start, next, stop;
	bool changed = false;

	for (; addr < vma->vm_end; addr = stop) {
		unsigned int level;
		unsigned long n;
		pte_t *leaf;

		spin_lock(&mm->page_table_lock);
		/* Reclaim has cleared entries without a flush. Until then a CPU may go on
		 * writing unnoticed. */
		flush_tlb_batched_pending(mm);
		leaf = walk_leaf(mm->pgd, addr, &level, &next);
		stop = min(next, vma->vm_end);
		n = !leaf ? 0 : level ? 1 : (stop - addr) >> PAGE_SHIFT;
		for (; n; n--, leaf++)
			changed |=
				what == CLEAR_REFS_SOFT_DIRTY ? watch_entry(leaf) : age_entry(leaf);
		spin_unlock(&mm->page_table_lock);
		cond_resched();
	}
	return changed;
}

static bool concerns(const struct vm_area_struct *vma, enum clear_refs what)
{
	if (vma->flags & VM_HUGETLB)
		return false;
	return what == CLEAR_REFS_ANON ? !vma->mapping : what != CLEAR_REFS_MAPPED || vma->mapping;
}

int mm_clear_refs(struct mm_struct *mm, enum clear_refs what)
{
	struct vm_area_struct *vma;
	bool changed = false;

	if (what < CLEAR_REFS_ALL || what > CLEAR_REFS_HIWATER)
		return -EINVAL;
	down_write(&mm->mmap_lock);
	if (what == CLEAR_REFS_HIWATER) {
		mm->hiwater_rss = mm_rss(mm);
		goto out;
	}
	list_for_each_entry (vma, &mm->mmap, link) {
		if (what == CLEAR_REFS_SOFT_DIRTY)
			vma->flags &= ~VM_SOFTDIRTY;
		if (concerns(vma, what))
			changed |= clear_vma(vma, what);
	}
	if (changed)
		flush_tlb_mm(mm);
out:
	up_write(&mm->mmap_lock);
	return 0;
}
