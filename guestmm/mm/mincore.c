/*
 * mincore: which pages would be there without waiting for a disk.
 *
 * A page counts if a PTE maps it, the shared zero page included, or if it is in swap but still, or
 * already, in the swap cache.
 *
 * Locks: mmap_lock for reading; entries are read without page_table_lock: the answer may be old
 * before it arrives anyway.
 */
#include "lib/errno.h"
#include "mm/lru.h"
#include "mm/pgtable.h"
#include "mm/swapcache.h"
#include "mm/vma.h"

static bool resident(pte_t e)
{
	struct page *page;
	bool there;

	if (pte_none(e) || pte_present(e))
		return !pte_none(e);
	if (!swap_entry_valid(pte_to_swp_entry(e)))
		return false;
	page = swap_cache_lookup(pte_to_swp_entry(e));
	if (!page)
		return false;
	there = PageUptodate(page);
	release_page(page);
	return there;
}

long mincore_pages(struct mm_struct *mm, unsigned long addr, unsigned long pages, u8 *vec)
{
	unsigned long end, next, stop;
	struct vm_area_struct *vma;
	long ret = -ENOMEM;

	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (!vma || vma->vm_start > addr)
		goto out;
	pages = min(pages, (vma->vm_end - addr) >> PAGE_SHIFT);
	for (end = addr + (pages << PAGE_SHIFT); addr < end; addr = stop) {
		pte_t *table = walk_pte_table(mm->pgd, addr, &next);
		unsigned long n;

		stop = min(next, end);
		n = (stop - addr) >> PAGE_SHIFT;
		for (unsigned long i = 0; i < n; i++)
			*vec++ = table && resident(pte_read(&table[pt_index(addr, 0) + i]));
	}
	ret = (long)pages;
out:
	up_read(&mm->mmap_lock);
	return ret;
}
