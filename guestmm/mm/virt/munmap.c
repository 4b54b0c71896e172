/*
 * munmap, and the end of an address space.
 *
 * Everything is checked and reserved first: the VMA for the split that a hole needs, and whether a page of
 * hugetlb would be cut. After that nothing can fail.
 *
 * I1 and I2 of mmap.c hold here as well: the sums of the mm follow the VMAs that leave.
 *
 * Locks: mmap_lock for writing.
 */
#include "lib/errno.h"
#include "mm/fault/userfault.h"
#include "mm/huge/hugetlb.h"
#include "mm/reclaim/lru.h"
#include "mm/pgtable/pgtable.h"
#include "mm/virt/vma.h"

/* Unmap [start, end), which starts in or before `first` and does not lie strictly inside one VMA:
 * so each VMA is removed wholly or loses one end, and nothing can fail. */
static void unmap_vmas(struct mm_struct *mm, struct vm_area_struct *first, unsigned long start,
		       unsigned long end, enum tlb_scope scope)
{
	struct vm_area_struct *prev = vma_prev(first), *vma, *next, *dead;
	unsigned long floor = prev ? prev->vm_end : 0;
	unsigned long ceiling = level_size(pt_top_level) * (PTRS_PER_PTE / 2);
	unsigned long from = max(start, first->vm_start), to = from;
	struct mmu_gather tlb;
	LIST_HEAD(gone);

	lru_add_drain(); /* so that batches do not keep the pages */
	tlb_gather_mmu(&tlb, mm, scope);
	for (vma = first; vma && vma->vm_start < end; vma = next) {
		unsigned long s = max(start, vma->vm_start), pages;

		to = min(end, vma->vm_end);
		pages = (to - s) >> PAGE_SHIFT;
		next = vma_next(vma);
		if (unlikely(vma->flags & VM_LOCKED))
			mlock_vma_pages(vma, s, to, LRU_LET_GO); /* others may map them, too */
		zap_page_range(&tlb, s, to);
		if (unlikely(vma->resv))
			hugetlb_unreserve_vma(vma, s, to);
		vm_stat_account(mm, vma->flags, -(long)pages);
		if (vma->flags & VM_ACCOUNT)
			vm_uncharge(mm, pages);
		if (s > vma->vm_start) {
			vma_set_range(vma, vma->vm_start, s);
			floor = s;
		} else if (to < vma->vm_end) {
			vma_set_range(vma, to, vma->vm_end);
			break;
		} else {
			vma_unlink(vma);
			list_add_tail(&vma->link, &gone);
		}
	}
	if (vma) /* what is left of the last one, or the one behind */
		ceiling = vma->vm_start;
	/* VMA by VMA: the gaps between them have no tables, and are most of an address space. A table that two of
	 * them share is freed with the second. vma_free() comes first: after it rmap does not find the tables. */
	list_for_each_entry_safe (dead, next, &gone, link) {
		unsigned long dead_end = dead->vm_end;

		vma_free(dead);
		if (&next->link == &gone || next->vm_start <= dead_end + level_size(1))
			continue;
		free_pgtables(&tlb, from, dead_end, floor, next->vm_start);
		from = next->vm_start;
	}
	free_pgtables(&tlb, from, to, floor, ceiling);
	tlb_finish_mmu(&tlb);
}

/* Would an end of [start, end) cut a page of hugetlb? `first` is the VMA of start. */
static int munmap_splits_huge_page(struct mm_struct *mm, const struct vm_area_struct *first,
				   unsigned long start, unsigned long end)
{
	const struct vm_area_struct *last;
	int err = start > first->vm_start ? vma_may_split(first, start) : 0;

	if (err || end <= first->vm_end)
		return err ? err : end < first->vm_end ? vma_may_split(first, end) : 0;
	last = find_vma(mm, end);
	return last && end > last->vm_start ? vma_may_split(last, end) : 0;
}

int __do_munmap(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = find_vma_intersection(mm, start, end);
	int err;

	if (!vma)
		return 0;
	if (range_sealed(mm, start, end))
		return -EPERM;
	err = munmap_splits_huge_page(mm, vma, start, end);
	if (err)
		return err;
	if (start > vma->vm_start && end < vma->vm_end) {
		/* A hole in the middle needs one VMA more than there was. */
		err = vma_split(vma, end);
		if (err)
			return err;
	}
	if (unlikely(atomic_load(&nr_uffd_unmap))) {
		err = uffd_unmap_begin(mm, vma, start, end);
		if (err)
			return err;
	}
	unmap_vmas(mm, vma, start, end, TLB_PARTS);
	return 0;
}

int do_munmap_locked(struct mm_struct *mm, unsigned long addr, unsigned long len)
{
	if ((addr & ~PAGE_MASK) || addr > TASK_SIZE || !len || len > TASK_SIZE - addr)
		return -EINVAL;
	len = ALIGN_UP(len, PAGE_SIZE);
	if (len > TASK_SIZE - addr)
		return -EINVAL;
	return __do_munmap(mm, addr, addr + len);
}

int do_munmap(struct mm_struct *mm, unsigned long addr, unsigned long len)
{
	struct uffd_change *changes;
	int err;

	down_write(&mm->mmap_lock);
	err = do_munmap_locked(mm, addr, len);
	changes = uffd_take_changes(mm);
	up_write(&mm->mmap_lock);
	if (unlikely(changes))
		uffd_unmap_complete(changes);
	return err;
}

/* Of what the program has unmapped, split or moved since, the rest that lies where it was attached. */
int do_munmap_attached(struct mm_struct *mm, unsigned long addr,
		       bool (*attached)(const struct file *f, u64 *size))
{
	struct vm_area_struct *vma, *next;
	const struct file *file = NULL;
	struct uffd_change *changes;
	int err = 0;
	u64 size = 0;

	down_write(&mm->mmap_lock);
	for (vma = find_vma(mm, addr); vma && !err; vma = next) {
		unsigned long start = vma->vm_start, end = vma->vm_end;
		u64 its;

		next = vma_next(vma);
		if (file && end - addr > ALIGN_UP(size, PAGE_SIZE))
			break;
		if (!vma->file || (file && vma->file != file) ||
		    (start - addr) >> PAGE_SHIFT != vma->pgoff || !attached(vma->file, &its))
			continue;
		file = vma->file;
		size = vma->flags & VM_HUGETLB ? vma->mapping->size : its;
		err = __do_munmap(mm, start, end);
	}
	changes = uffd_take_changes(mm);
	up_write(&mm->mmap_lock);
	if (unlikely(changes))
		uffd_unmap_complete(changes);
	return err ? err : file ? 0 : -EINVAL;
}

void exit_mmap(struct mm_struct *mm)
{
	down_write(&mm->mmap_lock);
	update_hiwater_rss(mm);
	if (!list_empty(&mm->mmap))
		unmap_vmas(mm, list_first_entry(&mm->mmap, struct vm_area_struct, link), 0, ~0ul,
			   TLB_WHOLE_MM);
	mm->brk = mm->start_brk;
	up_write(&mm->mmap_lock);
}
