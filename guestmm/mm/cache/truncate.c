/*
 * Removing pages from the cache: because the file ends before them, or because they are not needed.
 *
 * In a truncation the caller first sets the new size. Then invalidate_lock locks out faults and read-ahead, the
 * pages are unmapped, and then removed. A page that a fault had mapped before the lock was taken is unmapped once
 * more when it is locked. After that nobody finds a page beyond the size (I5).
 *
 * Locks: invalidate_lock for writing > page lock.
 */
#include "lib/string.h"
#include "mm/cache/dax.h"
#include "mm/phys/highmem.h"
#include "mm/cache/filemap.h"
#include "mm/phys/internal.h"

#define BATCH 15

void truncate_page(struct address_space *mapping, struct page *page)
{
	wait_on_page_writeback(page);
	if (page_mapped(page))
		unmap_mapping_range(mapping, page->index, page->index + 1, UNMAP_COPIES);
	if (mapping->ops->invalidate_page)
		mapping->ops->invalidate_page(page);
	cancel_dirty_page(page);
	delete_from_page_cache(page);
}

/* All pages and shadows from `start` on. */
static void drop_from(struct address_space *mapping, unsigned long start)
{
	struct page *pages[BATCH];
	unsigned long index = start, flags;
	unsigned int n;
	void *item;

	while ((n = find_get_pages(mapping, &index, ~0ul, -1, pages, BATCH))) {
		for (unsigned int i = 0; i < n; i++) {
			lock_page(pages[i]);
			if (pages[i]->mapping == mapping)
				truncate_page(mapping, pages[i]);
			unlock_page(pages[i]);
		}
		release_pages(pages, n);
		cond_resched();
	}
	if (!READ_ONCE(mapping->nrvalues))
		return;
	index = start;
	flags = spin_lock_irqsave(&mapping->lock);
	for (n = 1; (item = radix_next(&mapping->pages, &index)); n++) {
		if (radix_is_value(item)) {
			radix_delete(&mapping->pages, index);
			mapping->nrvalues--;
			atomic_sub(&nr_shadows, 1);
		}
		if (!++index)
			break;
		if (n % 256 == 0) { /* let interrupts in */
			spin_unlock_irqrestore(&mapping->lock, flags);
			flags = spin_lock_irqsave(&mapping->lock);
		}
	}
	spin_unlock_irqrestore(&mapping->lock, flags);
}

/* Zero the rest of the page that the file now ends in, if that page is in memory. */
static void zero_rest(struct address_space *mapping, u64 size)
{
	unsigned int off = size & (PAGE_SIZE - 1);
	struct page *page = find_lock_page(mapping, size >> PAGE_SHIFT);

	if (!page)
		return;
	if (PageUptodate(page)) {
		wait_on_page_writeback(page);
		memzero_page(page, off, PAGE_SIZE - off);
	}
	unlock_page(page);
	put_page(page);
}

void truncate_pagecache(struct address_space *mapping, u64 size)
{
	unsigned long first = DIV_ROUND_UP(size, PAGE_SIZE);

	if (mapping->flags & AS_SHMEM) {
		shmem_truncate(mapping, size);
		return;
	}
	if (mapping->i_mmap.node)
		unmap_mapping_range(mapping, first, ~0ul, UNMAP_COPIES);
	down_write(&mapping->invalidate_lock);
	drop_from(mapping, first);
	if (size & (PAGE_SIZE - 1))
		zero_rest(mapping, size);
	up_write(&mapping->invalidate_lock);
	/* Private copies may have been made of pages before they were removed. */
	if (mapping->i_mmap.node)
		unmap_mapping_range(mapping, first, ~0ul, UNMAP_COPIES);
}

void truncate_inode_pages(struct address_space *mapping)
{
	if (mapping->flags & AS_SHMEM) {
		shmem_truncate_range(mapping, 0, ~0ul);
		return;
	}
	if (mapping_is_dax(mapping))
		dax_forget_mapping(mapping);
	if (mapping->nrpages || mapping->nrvalues) {
		down_write(&mapping->invalidate_lock);
		drop_from(mapping, 0);
		up_write(&mapping->invalidate_lock);
	}
	shadows_forget(mapping);
}

/* Remove and free a page to which the caller holds a reference, if nobody else uses it. False: it stays, and the
 * caller keeps the reference. */
static bool try_to_drop(struct page *page)
{
	struct address_space *mapping;
	bool done = false;

	if (!trylock_page(page))
		return false;
	mapping = page_mapping_file(page);
	if (mapping && !(mapping->flags & (AS_SHMEM | AS_UNEVICTABLE)) && !PageDirty(page) &&
	    !PageWriteback(page) && !page_mapped(page)) {
		if (mapping->ops->invalidate_page)
			mapping->ops->invalidate_page(page);
		done = page_cache_drop(page);
	}
	if (!done) {
		unlock_page(page);
		return false;
	}
	ClearPageLocked(page); /* nobody can wait: no references */
	release_dead_page(page);
	return true;
}

u64 invalidate_mapping_pages(struct address_space *mapping, unsigned long start, unsigned long end)
{
	struct page *pages[BATCH];
	unsigned int n;
	u64 dropped = 0;

	if (mapping->flags & (AS_SHMEM | AS_UNEVICTABLE))
		return 0;
	lru_add_drain(); /* a queue's reference would keep a page */
	while ((n = find_get_pages(mapping, &start, end, -1, pages, BATCH))) {
		for (unsigned int i = 0; i < n; i++) {
			if (try_to_drop(pages[i]))
				dropped++;
			else
				put_page(pages[i]);
		}
		cond_resched();
	}
	return dropped;
}

static void drain_batch(void *arg)
{
	lru_add_drain();
}

u64 drop_pagecache(void)
{
	u64 dropped = 0;

	on_each_cpu(drain_batch, NULL);
	for (unsigned int r = 0; r < nr_ram_ranges; r++) {
		for (pfn_t pfn = ram_range[r].start; pfn < ram_range[r].end; pfn++) {
			struct page *page = pfn_to_page(pfn);

			if (!(pfn & 255))
				cond_resched();
			/* Tails of blocks have no references, and their type means nothing. */
			if (READ_ONCE(page->type) != PAGE_FILE || !get_page_unless_zero(page))
				continue;
			if (READ_ONCE(page->type) == PAGE_FILE && try_to_drop(page))
				dropped++;
			else
				put_page(page);
		}
	}
	count_vm_event(DROP_PAGECACHE);
	return dropped;
}
