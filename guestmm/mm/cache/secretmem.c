/*
 * Secret memory: files whose pages the kernel itself cannot reach (memfd_secret(2)).
 *
 *   new, zeroed ──into the cache, locked──> hidden ──> uptodate, mapped by programs
 *                                                          │ the file is deleted: unmapped
 *   buddy <── out of the cache <── cleared <── shown again ┘
 *
 * A hidden page is not mapped in the direct map (arch/direct_map.h), so a stray read by the kernel faults, also one
 * that an attacker causes. Programs reach the page by their own PTEs, and so do copies from and to user memory.
 *
 * I1  A page is hidden exactly while it is uptodate in the cache of a mapping with AS_SECRET. It changes under the
 *     page lock. (The audit: secret_page.)
 * I2  Nobody reads or writes its contents by page_address(): an open secret file has no mapping of its own, so no
 *     file call finds the pages; the file cannot be truncated; its pages are unevictable, so they are not swapped,
 *     moved or merged; and code that follows another program's PTEs refuses such mappings (fault/remote.c).
 * I3  A hidden page is never free: when the file is deleted, the page is mapped again before it leaves the cache.
 *
 * Source: Linux, mm/secretmem.c.
 */
#include "mm/cache/secretmem.h"
#include "arch/direct_map.h"
#include "lib/errno.h"
#include "mm/cache/filemap.h"
#include "mm/phys/alloc.h"
#include "mm/virt/vma.h"

/* A locked, unmapped page leaves the cache. */
static void secretmem_invalidate_page(struct page *page)
{
	if (!PageUptodate(page))
		return;
	direct_map_show(page);
	clear_page(page_address(page));
	ClearPageUptodate(page);
	count_vm_event(MMVM_SECRET_SHOWN);
}

const struct address_space_ops secretmem_aops = {.invalidate_page = secretmem_invalidate_page};

/* A new page at `index`, locked, hidden. NULL: *err; -EEXIST: there is one. */
static struct page *add_page(struct address_space *mapping, unsigned long index, int *err)
{
	/* Not movable, because a move copies the contents; not from high memory, which has no direct map to hide it
	 * from. */
	struct page *page = alloc_pages_type(GFP_USER | __GFP_ZERO, 0, PAGE_FILE);

	*err = -ENOMEM;
	if (!page)
		return NULL;
	*err = add_to_page_cache_lru(page, mapping, index, GFP_KERNEL);
	if (*err) {
		__free_page(page);
		return NULL;
	}
	*err = direct_map_hide(page);
	if (*err) {
		delete_from_page_cache(page);
		unlock_page(page);
		release_page(page);
		return NULL;
	}
	SetPageUptodate(page);
	/* Dirty from the start: the contents are never written anywhere, so a PTE may be writable at once. */
	SetPageDirty(page);
	count_vm_event(MMVM_SECRET_HIDDEN);
	return page;
}

struct page *secretmem_get_page(struct address_space *mapping, unsigned long index, int *err)
{
	struct page *page;

	do {
		*err = 0;
		page = find_lock_page(mapping, index);
		if (page && PageUptodate(page))
			return page;
		if (page) { /* it could not be hidden, or the file has been deleted */
			unlock_page(page);
			release_page(page);
			*err = -EEXIST;
			continue;
		}
		down_read(&mapping->invalidate_lock);
		if (beyond_end(mapping, index))
			*err = -EFAULT;
		else
			page = add_page(mapping, index, err);
		up_read(&mapping->invalidate_lock);
	} while (*err == -EEXIST);
	return page;
}

bool mm_range_secret(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;
	bool secret = false;

	down_read(&mm->mmap_lock);
	vma = find_vma_intersection(mm, start, end);
	for (; vma && vma->vm_start < end && !secret; vma = vma_next(vma))
		secret = mapping_is_secret(vma->mapping);
	up_read(&mm->mmap_lock);
	return secret;
}
