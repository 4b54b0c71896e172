/*
 * madvise: MADV_DONTNEED throws pages away, MADV_WILLNEED brings them back from swap early.
 *
 * As in Linux, a hole does not stop the work: the mapped parts are done, and the call then returns
 * -ENOMEM.
 *
 * Locks: mmap_lock for reading: the VMAs stay, only PTEs change.
 */
#include "lib/errno.h"
#include "mm/lru.h"
#include "mm/pgtable.h"
#include "mm/swapcache.h"
#include "mm/vma.h"

static int madvise_dontneed(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct mmu_gather tlb;

	if (vma->flags & VM_LOCKED)
		return -EINVAL;
	tlb_gather_mmu(&tlb, vma->mm, false);
	zap_page_range(&tlb, start, end);
	tlb_finish_mmu(&tlb);
	return 0;
}

/* Start reads for what is in swap; nobody waits for them. */
static void madvise_willneed(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr, next;

	for (addr = start; addr < end; addr = next) {
		pte_t *table = walk_pte_table(mm->pgd, addr, &next);

		next = min(next, end);
		if (!table)
			continue;
		for (; addr < next; addr += PAGE_SIZE) {
			pte_t e = pte_read(&table[pt_index(addr, 0)]);
			struct page *page;
			bool major = false;

			if (!pte_is_swap(e) || !swap_entry_valid(pte_to_swp_entry(e)))
				continue;
			page = swapin_readahead(pte_to_swp_entry(e), mm, false, &major);
			if (page)
				release_page(page);
		}
	}
}

int do_madvise(struct mm_struct *mm, unsigned long addr, unsigned long len, int advice)
{
	unsigned long end, start, stop;
	struct vm_area_struct *vma;
	bool hole = false;
	int err = 0;

	if (advice < MADV_NORMAL || advice > MADV_DONTNEED)
		return -EINVAL;
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	end = addr + ALIGN_UP(len, PAGE_SIZE);
	if (end < addr || (len && !ALIGN_UP(len, PAGE_SIZE)))
		return -EINVAL;
	if (end == addr)
		return 0;
	lru_add_drain();
	down_read(&mm->mmap_lock);
	for (start = addr; start < end; start = stop) {
		vma = find_vma(mm, start);
		if (!vma || vma->vm_start >= end) {
			hole = true;
			break;
		}
		if (vma->vm_start > start) {
			hole = true;
			start = vma->vm_start;
		}
		stop = min(end, vma->vm_end);
		if (advice == MADV_DONTNEED)
			err = madvise_dontneed(vma, start, stop);
		else if (advice == MADV_WILLNEED)
			madvise_willneed(vma, start, stop);
		/* NORMAL, RANDOM, SEQUENTIAL speak of files: accepted, nothing to do. */
		if (err)
			break;
	}
	up_read(&mm->mmap_lock);
	return err ? err : hole ? -ENOMEM : 0;
}
