/*
 * mincore: which pages would be there without waiting for a disk.
 *
 * A page counts if a PTE maps it, the shared zero page included, or if it is in swap but still, or
 * already, in the swap cache; where nothing is mapped of a file, if the page cache has it.
 *
 * Locks: mmap_lock for reading; entries are read without page_table_lock: the answer may be old
 * before it arrives anyway.
 */
#include "lib/errno.h"
#include "mm/rmap/migrate_entry.h"
#include "mm/reclaim/lru.h"
#include "mm/cache/pagecache.h"
#include "mm/pgtable/large.h"
#include "mm/pgtable/pgtable.h"
#include "mm/swap/swapcache.h"
#include "mm/virt/vma.h"

static bool cached(struct address_space *mapping, unsigned long index)
{
	struct page *page;
	bool there;

	if (mapping->flags & AS_SHMEM)
		return shmem_resident(mapping, index);
	page = find_get_page(mapping, index);
	there = page && PageUptodate(page);
	if (page)
		release_page(page);
	return there;
}

static bool resident(const struct vm_area_struct *vma, unsigned long addr, pte_t e)
{
	struct page *page;
	bool there;

	if (pte_none(e) || pte_is_uffd_wp_marker(e))
		return vma->mapping && !(vma->flags & VM_HUGETLB) &&
		       cached(vma->mapping, linear_page_index(vma, addr));
	if (pte_present(e))
		return true;
	if (pmd_is_migration(e) || is_migration_entry(pte_to_swp_entry(e)))
		return true; /* it only moves */
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
		unsigned int level;
		pte_t *leaf = walk_leaf(mm->pgd, addr, &level, &next);
		unsigned long n;

		stop = min(next, end);
		n = (stop - addr) >> PAGE_SHIFT;
		for (unsigned long i = 0; i < n; i++)
			*vec++ = resident(vma, addr + (i << PAGE_SHIFT),
					  leaf ? pte_read(&leaf[level ? 0 : i]) : __pte(0));
	}
	ret = (long)pages;
out:
	up_read(&mm->mmap_lock);
	return ret;
}
