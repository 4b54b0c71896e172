/*
 * Guard regions: madvise(MADV_GUARD_INSTALL) and MADV_GUARD_REMOVE, as Linux 6.13 has them. Inaccessible pages
 * without VMAs of their own: a stack's guard page costs a page-table entry, and no split.
 *
 *   touch                       SIGSEGV, whatever the VMA allows
 *   MADV_DONTNEED, MADV_FREE    the marker stays
 *   munmap, exit, a new mapping gone
 *   fork                        copied; not with MADV_WIPEONFORK
 *   mprotect, mremap            kept, moved along
 *
 * I1  A marker is only in a private anonymous VMA with an anon_vma: so fork() copies its tables.
 *
 * Locks: mmap_lock for reading, page_table_lock.
 */
#include "mm/pgtable/guard.h"
#include "arch/tlb.h"
#include "lib/errno.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/pgtable/tlb_pending.h"
#include "mm/virt/vma.h"

static bool may_guard(const struct vm_area_struct *vma, unsigned long forbidden)
{
	return !vma->mapping && !vma->file &&
	       (vma->flags & (VM_MAYWRITE | VM_HUGETLB | VM_SPECIAL | forbidden)) == VM_MAYWRITE;
}

static void zap(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct mmu_gather tlb;

	tlb_gather_mmu(&tlb, vma->mm, TLB_PARTS);
	tlb.keep_guards = true;
	zap_page_range(&tlb, start, end);
	tlb_finish_mmu(&tlb);
}

/* A lost page stays lost. */
static bool is_installed_or_lost(pte_t e)
{
	return pte_is_guard(e) && !pte_is_uffd_wp_marker(e);
}

/* Guard what is empty from `addr` on, of one table. Returns how far it got: a page that is there stops it. */
static unsigned long fill_table(struct mm_struct *mm, pte_t *pte, unsigned long addr,
				unsigned long end)
{
	spin_lock(&mm->page_table_lock);
	for (; addr < end; addr += PAGE_SIZE, pte++) {
		if (is_installed_or_lost(pte_read(pte)))
			continue;
		if (!pte_none(pte_read(pte)))
			break;
		pte_set(pte, guard_pte());
	}
	spin_unlock(&mm->page_table_lock);
	return addr;
}

int guard_install(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr = start;
	int err;

	if (!may_guard(vma, VM_LOCKED))
		return -EINVAL;
	err = anon_vma_prepare(vma);
	while (!err && addr < end) {
		unsigned long stop = min((addr & PMD_MASK) + PMD_SIZE, end), done = addr, next;
		unsigned int level;
		pte_t *pte = walk_leaf(mm->pgd, addr, &level, &next);

		if (!pte || !level) {
			pte = walk_pte_alloc(mm, addr);
			if (pte)
				done = fill_table(mm, pte, addr, stop);
			else if (!walk_leaf(mm->pgd, addr, &level, &next))
				err = -ENOMEM;
		}
		/* The entry is not empty, or another thread's fault was faster: zap, and try
		 * again. */
		if (!err && done < stop) {
			zap(vma, done, stop);
			if (task_interrupted())
				err = -EINTR;
		}
		addr = done;
		cond_resched();
	}
	/* An empty entry may have been cleared by a thread that has not flushed yet. */
	if (mm_tlb_flush_pending(mm))
		flush_tlb_mm(mm);
	return err;
}

int guard_remove(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr, next;

	if (!may_guard(vma, 0))
		return -EINVAL;
	for (addr = start; addr < end; addr = next) {
		unsigned int level;
		pte_t *pte = walk_leaf(mm->pgd, addr, &level, &next);

		next = min(next, end);
		if (!pte || level)
			continue;
		/* No CPU has a translation of a guard marker. */
		spin_lock(&mm->page_table_lock);
		for (; addr < next; addr += PAGE_SIZE, pte++)
			if (pte_is_swap(pte_read(pte)) &&
			    is_installed_guard(pte_to_swp_entry(pte_read(pte))))
				pte_set(pte, __pte(0));
		spin_unlock(&mm->page_table_lock);
		cond_resched();
	}
	return 0;
}
