/*
 * mlock, munlock, mlockall: memory that stays.
 *
 * VM_LOCKED on a VMA is the promise; PG_mlocked and PG_unevictable on its pages keep reclaim from
 * looking at them again and again: they lie on the unevictable list. The promise alone would do:
 * reclaim asks the VMAs before it unmaps a page, so a page that lacks the flags, because it was on
 * its way in while the VMA was locked, is only found out later.
 *
 * I1  locked_vm = pages of the VMAs with VM_LOCKED.
 * I2  A page with PG_mlocked is or was mapped by a locked VMA, and NR_MLOCK counts it. The flags go
 *     when a locked VMA no longer maps it (munlock, munmap, copy on write), or with the page.
 *
 * As in Linux a hole is found when it is reached: what lies below it is done, and the call fails.
 *
 * Locks: mmap_lock for writing to change VMAs, for reading to fault in; lruvec->lock for page flags.
 */
#include "lib/errno.h"
#include "mm/cache/dax.h"
#include "mm/reclaim/lru.h"
#include "mm/huge/thp.h"
#include "mm/pgtable/large.h"
#include "mm/pgtable/pgtable.h"
#include "mm/virt/vma.h"

#define LOCK_FLAGS (VM_LOCKED | VM_LOCKONFAULT)

bool mlock_exceeds_limit(const struct mm_struct *mm, unsigned long flags, unsigned long pages)
{
	return (flags & VM_LOCKED) && mm->locked_vm + pages > rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
}

/* ---- pages ---- */

/* The page is mapped by the VMA, so it stays. A page in a batch or isolated is put on the list that
 * its flags name then. */
void mlock_page(struct page *page)
{
	if (!PageMlocked(page))
		lru_set_mlocked(page, LRU_KEEP);
}

void munlock_page(struct page *page)
{
	lru_set_mlocked(page, LRU_LET_GO);
}

void mlock_vma_pages(struct vm_area_struct *vma, unsigned long start, unsigned long end,
		     enum lru_keep keep)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr = start, next, stop;

	lru_add_drain();
	for (; addr < end; addr = stop) {
		unsigned int level;
		pte_t *pte = walk_leaf(mm->pgd, addr, &level, &next);

		stop = min(next, end);
		if (!pte)
			continue;
		if (unlikely(level)) {
			stop = mlock_large(vma, pte, level, addr, stop, keep);
			continue;
		}
		spin_lock(&mm->page_table_lock);
		for (; addr < stop; addr += PAGE_SIZE, pte++) {
			pte_t e = pte_read(pte);

			struct page *page = pfn_to_page(pte_pfn(e));

			if (!pte_present(e) || pte_special(e))
				continue;
			/* A large folio that is mapped by PTEs is not kept as a whole. */
			if (unlikely(page_in_thp(page))) {
				if (keep == LRU_LET_GO)
					munlock_page(&page_folio(page)->page);
				continue;
			}
			lru_set_mlocked(page, keep);
		}
		spin_unlock(&mm->page_table_lock);
	}
}

/* ---- VMAs ---- */

/* Lock flags for [start, end), a part of *pvma; afterwards *pvma contains it. */
static int mlock_fixup(struct vm_area_struct **pvma, unsigned long start, unsigned long end,
		       unsigned long lock)
{
	struct vm_area_struct *vma = *pvma;
	unsigned long old = vma->flags, flags = (old & ~LOCK_FLAGS) | lock;
	struct mm_struct *mm = vma->mm;
	long pages = (end - start) >> PAGE_SHIFT;
	int err;

	/* Pages of hugetlb, the kernel's own, and files that are memory (DAX) are never
	 * reclaimed: nothing is to be locked. */
	if (flags == old || (old & (VM_HUGETLB | VM_SPECIAL)) ||
	    (vma->mapping && mapping_is_dax(vma->mapping)))
		return 0;
	err = vma_modify_flags(pvma, start, end, flags);
	if (err)
		return err;
	vm_stat_account(mm, old, -pages);
	vm_stat_account(mm, flags, pages);
	if ((flags ^ old) & VM_LOCKED)
		mlock_vma_pages(*pvma, start, end, flags & VM_LOCKED ? LRU_KEEP : LRU_LET_GO);
	return 0;
}

static int apply_lock(struct mm_struct *mm, unsigned long start, unsigned long len,
		      unsigned long lock)
{
	unsigned long end = start + len;
	struct vm_area_struct *vma;
	int err;

	if (end < start)
		return -EINVAL;
	if (end == start)
		return 0;
	vma = find_vma(mm, start);
	for (;;) {
		if (!vma || vma->vm_start > start)
			return -ENOMEM;
		err = mlock_fixup(&vma, start, min(end, vma->vm_end), lock);
		if (err)
			return err;
		start = vma->vm_end;
		if (start >= end)
			return 0;
		vma = vma_next(vma);
	}
}

static unsigned long locked_pages(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = find_vma_intersection(mm, start, end);
	unsigned long n = 0;

	for (; vma && vma->vm_start < end; vma = vma_next(vma))
		if (vma->flags & VM_LOCKED)
			n += (min(end, vma->vm_end) - max(start, vma->vm_start)) >> PAGE_SHIFT;
	return n;
}

/* Would locking the range take more than the limit? What is locked there already counts once. */
static bool over_limit(struct mm_struct *mm, unsigned long start, unsigned long len)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	unsigned long total = mm->locked_vm + (len >> PAGE_SHIFT);

	return total > limit && total - locked_pages(mm, start, start + len) > limit;
}

/* Pages that were on their way in while the VMA was locked. */
static void mlock_late_pages(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;

	down_read(&mm->mmap_lock);
	vma = find_vma_intersection(mm, start, end);
	for (; vma && vma->vm_start < end; vma = vma_next(vma))
		if (vma->flags & VM_LOCKED)
			mlock_vma_pages(vma, max(start, vma->vm_start), min(end, vma->vm_end),
					LRU_KEEP);
	up_read(&mm->mmap_lock);
}

int do_mlock(struct mm_struct *mm, unsigned long addr, unsigned long len, int flags)
{
	unsigned long start = addr & PAGE_MASK;
	int err = -ENOMEM;

	if (flags & ~MLOCK_ONFAULT)
		return -EINVAL;
	if (!rlimit(RLIMIT_MEMLOCK))
		return -EPERM;
	len = ALIGN_UP(len + (addr - start), PAGE_SIZE);
	down_write(&mm->mmap_lock);
	if (!over_limit(mm, start, len))
		err = apply_lock(mm, start, len,
				 VM_LOCKED | (flags & MLOCK_ONFAULT ? VM_LOCKONFAULT : 0));
	up_write(&mm->mmap_lock);
	if (err || !len || (flags & MLOCK_ONFAULT))
		return err;
	err = mm_populate(mm, start, len);
	mlock_late_pages(mm, start, start + len);
	/* mlock(2) says -ENOMEM where access is denied, and -EAGAIN when there is no memory. */
	return err == -EFAULT ? -ENOMEM : err == -ENOMEM ? -EAGAIN : err;
}

int do_munlock(struct mm_struct *mm, unsigned long addr, unsigned long len)
{
	unsigned long start = addr & PAGE_MASK;
	int err;

	len = ALIGN_UP(len + (addr - start), PAGE_SIZE);
	down_write(&mm->mmap_lock);
	err = apply_lock(mm, start, len, 0);
	up_write(&mm->mmap_lock);
	return err;
}

/* A VMA that cannot be split is left as it is: here nothing is split. */
static void lock_every_vma(struct mm_struct *mm, unsigned long lock)
{
	struct vm_area_struct *vma;

	if (list_empty(&mm->mmap))
		return;
	vma = list_first_entry(&mm->mmap, struct vm_area_struct, link);
	for (; vma; vma = vma_next(vma))
		mlock_fixup(&vma, vma->vm_start, vma->vm_end, lock);
}

int do_mlockall(struct mm_struct *mm, int flags)
{
	unsigned long lock = VM_LOCKED | (flags & MCL_ONFAULT ? VM_LOCKONFAULT : 0), addr = 0;
	struct vm_area_struct *vma;
	int err = 0;

	if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
		return -EINVAL;
	if (!rlimit(RLIMIT_MEMLOCK))
		return -EPERM;
	down_write(&mm->mmap_lock);
	if ((flags & MCL_CURRENT) && mm->total_vm > rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT) {
		err = -ENOMEM;
	} else {
		mm->def_flags = flags & MCL_FUTURE ? lock : 0;
		if (flags & MCL_CURRENT)
			lock_every_vma(mm, lock);
	}
	up_write(&mm->mmap_lock);
	if (err || !(flags & MCL_CURRENT) || (flags & MCL_ONFAULT))
		return err;
	/* Pages that cannot be faulted in are left out. */
	for (;;) {
		unsigned long start = 0, end = 0;

		down_read(&mm->mmap_lock);
		vma = find_vma(mm, addr);
		if (vma) {
			start = vma->vm_start;
			end = vma->vm_end;
		}
		up_read(&mm->mmap_lock);
		if (!end)
			break;
		mm_populate(mm, start, end - start);
		mlock_late_pages(mm, start, end);
		addr = end;
	}
	return 0;
}

int do_munlockall(struct mm_struct *mm)
{
	down_write(&mm->mmap_lock);
	mm->def_flags = 0;
	lock_every_vma(mm, 0);
	up_write(&mm->mmap_lock);
	return 0;
}
