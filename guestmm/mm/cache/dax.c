/*
 * Files without a page cache.
 *
 *   address_space (AS_DAX) ──ops->dax_frame──> frame of the device     where the file system has the block
 *        │                                       │
 *        │ private_                              │ page->mapping, page->index: since it was first mapped
 *        └──> dax_mapping: clean ─> page ─> page │ page->lru
 *                          dirty ─> page         │ PG_dirty
 *
 * read(2) and write(2) copy from and to the frames (file_rw.c). A mapping's PTEs name the frames themselves
 * (mm/fault/dax_fault.c), or, where a file has a hole and is only read, the zero page. All of these PTEs are special:
 * no reference, no mapcount, not in any rss, as in Linux.
 *
 * Frames have no reference counts: only the file system's block tree says which file owns a frame.
 *
 * D1  A PTE into a device range is special and devmap, lies in a VMA of an AS_DAX mapping, and its frame's page has
 *     that mapping and the page offset of the address: set before the PTE (dax_claim()).
 * D2  A frame is looked up and used while truncation is locked out, by invalidate_lock or inode->lock. A PTE is
 *     made under invalidate_lock, after a check of the size.
 * D3  A block is freed after the file has been cut or its last user has closed it, and after unmap_mapping_range():
 *     no PTE names it then. dax_forget_frames() then clears page->mapping.
 * D4  A PTE of a shared mapping is writable only while its page is PG_dirty. dax_writeback() clears the flags first
 *     and then write-protects: the bytes of a store in between are flushed too, and a later store faults.
 * D5  A hole is filled under invalidate_lock for writing, and PTEs that map the zero page in its place are removed
 *     before the lock is released: no reader keeps a zero page where the file has data.
 * D6  A new frame is zeroed before the block tree names it (fs/ext2/map.c): nobody can read data of a deleted file.
 *
 * What is dirty is not on disk until the device has been flushed: fsync(2) always does that after dax_writeback().
 *
 * Locks: inode->lock > mmap_lock > invalidate_lock > the file system's > i_mmap_lock > page_table_lock > dax_lock, innermost.
 */
#include "mm/cache/dax.h"
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/cache/filemap.h"
#include "mm/slab/slab.h"
#include "mm/pgtable/pgtable.h"
#include "mm/virt/vma.h"

struct dax_mapping {
	struct list_head clean, dirty; /* dax_lock: page->lru */
};

static spinlock_t dax_lock =
	SPINLOCK_INIT; /* the lists; page->mapping, index, PG_dirty of frames */

int dax_find(struct address_space *mapping, unsigned long index, struct page **page)
{
	*page = NULL;
	return mapping->ops->dax_frame(mapping, index, DAX_FRAME_FIND, page);
}

int dax_fill(struct address_space *mapping, unsigned long index, enum dax_fill why)
{
	struct page *page = NULL;
	int err;

	down_write(&mapping->invalidate_lock);
	if (why == DAX_FILL_MAPPED && beyond_end(mapping, index))
		err = -EFAULT;
	else
		err = mapping->ops->dax_frame(mapping, index, DAX_FRAME_MAKE, &page);
	if (!err)
		unmap_mapping_range(mapping, index, index + 1, LEAVE_COPIES); /* D5 */
	up_write(&mapping->invalidate_lock);
	return err;
}

int dax_prepare(struct address_space *mapping)
{
	struct dax_mapping *d;

	if (likely(READ_ONCE(mapping->private_)))
		return 0;
	d = kmalloc(sizeof(*d), GFP_NOFS);
	if (!d)
		return -ENOMEM;
	INIT_LIST_HEAD(&d->clean);
	INIT_LIST_HEAD(&d->dirty);
	spin_lock(&dax_lock);
	if (!mapping->private_) {
		atomic_store_release(&mapping->private_, d);
		d = NULL;
	}
	spin_unlock(&dax_lock);
	kfree(d);
	return 0;
}

bool dax_claim(struct address_space *mapping, unsigned long index, struct page *page, bool store)
{
	struct dax_mapping *d = mapping->private_;
	bool ok;

	spin_lock(&dax_lock);
	ok = !page->mapping || (page->mapping == mapping && page->index == index);
	if (ok && !page->mapping) {
		page->mapping = mapping;
		page->index = index;
		list_add(&page->lru, &d->clean);
	}
	if (ok && store && !PageDirty(page)) {
		SetPageDirty(page);
		list_move(&page->lru, &d->dirty);
	}
	spin_unlock(&dax_lock);
	return ok;
}

/* dax_lock held. */
static void forget(struct page *page)
{
	if (!page->mapping)
		return;
	list_del_init(&page->lru);
	ClearPageDirty(page);
	page->mapping = NULL;
	page->index = 0;
}

void dax_forget_frames(struct page *page, unsigned long n)
{
	for (; n; n--, page++) {
		if (!READ_ONCE(page->mapping))
			continue;
		spin_lock(&dax_lock);
		forget(page);
		spin_unlock(&dax_lock);
	}
}

/* The first page of a list, or NULL. dax_lock held. */
static struct page *first_page(struct list_head *list)
{
	return list_empty(list) ? NULL : list_first_entry(list, struct page, lru);
}

void dax_forget_mapping(struct address_space *mapping)
{
	struct dax_mapping *d = mapping->private_;
	struct page *page;

	if (!d)
		return;
	do {
		spin_lock(&dax_lock);
		page = first_page(&d->dirty);
		if (!page)
			page = first_page(&d->clean);
		if (page)
			forget(page);
		spin_unlock(&dax_lock);
	} while (page);
	mapping->private_ = NULL;
	kfree(d);
}

/* ---- writing back ------------------------------------------------------------------------------ */

/* i_mmap_lock held. */
static void write_protect_vma(struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr = vma->vm_start, next;
	bool changed = false;
	unsigned int level;

	while (addr < vma->vm_end) {
		pte_t *pte;

		spin_lock(&mm->page_table_lock);
		pte = walk_leaf(mm->pgd, addr, &level, &next);
		next = min(next, vma->vm_end);
		for (; pte && !level && addr < next; addr += PAGE_SIZE, pte++) {
			pte_t e = pte_read(pte);

			if (!pte_present(e) || !pte_devmap(e) || !(e.v & (_PAGE_RW | _PAGE_DIRTY)))
				continue;
			/* Atomic: a CPU may set A and D meanwhile. What it stores is still flushed. */
			atomic_and(&pte->v, ~(_PAGE_RW | _PAGE_DIRTY));
			changed = true;
		}
		spin_unlock(&mm->page_table_lock);
		addr = next;
	}
	/* All stores fault only after the flush. */
	if (changed)
		flush_tlb_range(mm, vma->vm_start, vma->vm_end);
}

int dax_writeback(struct address_space *mapping)
{
	struct dax_mapping *d = READ_ONCE(mapping->private_);
	struct vm_area_struct *vma;
	bool any = false;
	struct page *page;

	if (!d)
		return 0;
	do {
		spin_lock(&dax_lock);
		page = first_page(&d->dirty);
		if (page) {
			ClearPageDirty(page);
			list_move(&page->lru, &d->clean);
			any = true;
		}
		spin_unlock(&dax_lock);
	} while (page);
	if (!any)
		return 0;
	spin_lock(&mapping->i_mmap_lock);
	for (vma = i_mmap_first(mapping, 0, ~0ul); vma; vma = i_mmap_next(vma, 0, ~0ul))
		if (vma->flags & VM_SHARED)
			write_protect_vma(vma);
	spin_unlock(&mapping->i_mmap_lock);
	return 0;
}

int dax_zero_tail(struct address_space *mapping, u64 size)
{
	unsigned int offset = size & (PAGE_SIZE - 1);
	struct page *page;
	int err;

	if (!offset)
		return 0;
	err = dax_find(mapping, size >> PAGE_SHIFT, &page);
	if (!err && page)
		memset((char *)page_address(page) + offset, 0, PAGE_SIZE - offset);
	return err;
}
