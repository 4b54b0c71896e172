/*
 * Shared memory: pages of tmpfs files, memfd, and of mappings that are shared and anonymous.
 *
 *   address_space (AS_SHMEM) ── radix tree: index ─> page, PAGE_SHMEM    in memory
 *                                                 ─> swap entry (value)  in swap
 *                                                 ─> poison entry (value)  lost: -EHWPOISON
 *                                                 ─> nothing             zeroes, not made yet
 *
 * shmem_swap.c moves pages to swap and back.
 *
 * Memory that is shared and anonymous has a shmem_object instead of a file (shmem_object.c).
 *
 * I1  A page of shared memory is PAGE_SHMEM, up to date, dirty and swap-backed. NR_SHMEM and
 *     NR_FILE_PAGES count it.
 * I2  A value in the tree is a swap entry whose slot counts it as one user, or says that the page is lost
 *     (mm/move/memory_failure.c). nrvalues counts both.
 * I3  A mapping with values is on shmem_swapped_list, so that swapoff finds it (shmem_swap.c).
 * I4  Shared memory is charged against overcommit: an object with AS_CHARGED as a whole when it is made, other
 *     shared memory page by page, while a page or entry is in the tree.
 * I5  mapping->limit counts each page and entry in the tree.
 *
 * Locks: page lock > address_space lock (interrupts off).
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/huge/thp.h"
#include "mm/phys/highmem.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/cache/pagecache.h"
#include "mm/rmap/rmap.h"
#include "mm/cache/shmem.h"
#include "mm/virt/vma.h"
#include "mm/phys/zone.h"

#define TRUNCATE_BATCH 16u

/* ---- pages into the tree and out of it ---- */

static inline bool take_of_limit(struct shmem_limit *limit, unsigned long n)
{
	u64 max;

	if (!limit)
		return true;
	max = atomic_load(&limit->max);
	if (atomic_add_return(&limit->used, n) <= max || !max)
		return true;
	atomic_sub(&limit->used, n);
	return false;
}

static inline bool charge_pages(struct address_space *mapping, unsigned long n)
{
	if (!take_of_limit(mapping->limit, n))
		return false;
	if ((mapping->flags & AS_CHARGED) || !vm_charge_object(n))
		return true;
	if (mapping->limit)
		atomic_sub(&mapping->limit->used, n);
	return false;
}

bool shmem_charge(struct address_space *mapping, unsigned long n)
{
	return charge_pages(mapping, n);
}

void shmem_uncharge(struct address_space *mapping, unsigned long n)
{
	if (!(mapping->flags & AS_CHARGED))
		vm_uncharge_object(n);
	if (mapping->limit)
		atomic_sub(&mapping->limit->used, n);
}

/* A new page at index, of zeroes or with these contents: locked, with a reference. -EEXIST: another thread has
 * added one. */
static __always_inline int insert_new(struct address_space *mapping, unsigned long index,
				      const void *contents, struct page **pagep)
{
	struct radix_preload preload = {0};
	struct page *page;
	unsigned long flags;
	int err;

	if (!charge_pages(mapping, 1))
		return -ENOSPC;
	err = -ENOMEM;
	page = alloc_pages_type(GFP_HIGHUSER_MOVABLE | (contents ? 0 : __GFP_ZERO), 0, PAGE_SHMEM);
	if (!page)
		goto uncharge;
	if (contents)
		memcpy_to_page(page, 0, contents, PAGE_SIZE);
	if (mem_cgroup_charge(page, NULL, GFP_KERNEL)) {
		__free_page(page);
		goto uncharge;
	}
	page->flags |= SHMEM_PAGE_FLAGS | 1ull << PG_locked;
	if (mapping->flags & AS_UNEVICTABLE)
		page->flags |= 1ull << PG_unevictable;
	page->mapping = (void *)mapping;
	page->index = index;
	page->refcount = 2; /* one is the cache's, one the caller's; nobody else knows the page */
	for (;;) {
		flags = spin_lock_irqsave(&mapping->lock);
		err = radix_insert(&mapping->pages, index, page, &preload);
		if (likely(!err)) {
			mapping->nrpages++;
			shmem_count_page(page, 1);
		}
		spin_unlock_irqrestore(&mapping->lock, flags);
		if (likely(err != -ENOMEM))
			break;
		/* Nearly always the existing nodes have room. */
		radix_preload_end(&preload);
		err = radix_preload(&preload, &mapping->pages, index, GFP_KERNEL);
		if (err)
			break;
	}
	radix_preload_end(&preload);
	if (unlikely(err))
		goto free;
	lru_add(page);
	*pagep = page;
	return 0;
free:
	page->refcount = 1;
	page->flags &= PAGE_FORGET_MASK;
	page->mapping = NULL;
	__free_page(page);
uncharge:
	shmem_uncharge(mapping, 1);
	return err;
}

static int new_page(struct address_space *mapping, unsigned long index, enum shmem_create how,
		    struct page **pagep)
{
	int err;

	if (unlikely(shmem_huge_ever) && shmem_huge_wanted(mapping, index, how) &&
	    !shmem_add_huge(mapping, index, how, pagep))
		return 0;
	err = insert_new(mapping, index, NULL, pagep);
	return unlikely(err == -EEXIST) ? -EAGAIN : err;
}

int shmem_add_page(struct address_space *mapping, unsigned long index, const void *contents,
		   struct page **pagep)
{
	return contents ? insert_new(mapping, index, contents, pagep)
			: insert_new(mapping, index, NULL, pagep);
}

/* Take a locked, unmapped page of the tree out of it; the cache's reference is dropped. */
static void remove_page(struct address_space *mapping, struct page *page)
{
	unsigned long flags = spin_lock_irqsave(&mapping->lock);

	radix_delete(&mapping->pages, page->index);
	page->mapping = NULL;
	mapping->nrpages--;
	shmem_count_page(page, -1);
	spin_unlock_irqrestore(&mapping->lock, flags);
	shmem_uncharge(mapping, 1);
	atomic_sub(&page->refcount, 1);
}

/* ---- what everybody uses ---- */

/* The page is part of a large folio: take a reference on the folio and lock it. mapping->lock is held on entry and
 * released. -EAGAIN: look up again. */
static __attribute__((noinline)) int get_large(struct address_space *mapping, struct page *page,
					       unsigned long index, unsigned long flags)
{
	struct folio *folio = page_folio(page);

	folio_get(folio);
	spin_unlock_irqrestore(&mapping->lock, flags);
	folio_lock(folio);
	if (likely(page_folio(page) == folio && page_mapping_file(&folio->page) == mapping &&
		   folio_page_index(folio, page) == index))
		return 0;
	shmem_put_page(&folio->page);
	return -EAGAIN;
}

bool shmem_resident(struct address_space *mapping, unsigned long index)
{
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	void *item = radix_lookup(&mapping->pages, index);

	spin_unlock_irqrestore(&mapping->lock, flags);
	return item && !radix_is_value(item);
}

int shmem_get_page(struct address_space *mapping, unsigned long index, enum shmem_create how,
		   struct page **pagep, bool *major)
{
	bool waited = false;
	int err;

	if (!major)
		major = &waited;
	do {
		unsigned long flags = spin_lock_irqsave(&mapping->lock);
		void *item = radix_lookup(&mapping->pages, index);
		struct page *page = item;

		if (item && !radix_is_value(item)) {
			if (unlikely(mapping->nr_thps) && page_in_thp(page)) {
				*pagep = page;
				err = get_large(mapping, page, index, flags);
				continue;
			}
			get_page(page);
			spin_unlock_irqrestore(&mapping->lock, flags);
			lock_page(page);
			if (likely(page->mapping == mapping && page->index == index)) {
				*pagep = page;
				return 0;
			}
			unlock_page(page);
			release_page(page);
			err = -EAGAIN;
			continue;
		}
		spin_unlock_irqrestore(&mapping->lock, flags);
		if (item && unlikely(shmem_is_lost(item)))
			err = -EHWPOISON;
		else if (item)
			err = shmem_swapin(mapping, index, (swp_entry_t){radix_value(item)}, pagep,
					   major);
		else
			err = how ? new_page(mapping, index, how, pagep) : -ENOENT;
	} while (err == -EAGAIN);
	return err;
}

/* Up to TRUNCATE_BATCH items of [*from, end): pages with references, values; for a large folio its head,
 * once. *from moves on. */
static unsigned int next_items(struct address_space *mapping, unsigned long *from,
			       unsigned long end, void **items, unsigned long *index)
{
	unsigned long at = *from, flags = spin_lock_irqsave(&mapping->lock);
	unsigned int n = 0;

	while (n < TRUNCATE_BATCH && at < end) {
		void *item = radix_next(&mapping->pages, &at);

		if (!item || at >= end)
			break;
		index[n] = at;
		if (!radix_is_value(item)) {
			if (unlikely(mapping->nr_thps) && page_in_thp(item)) {
				item = page_folio(item);
				at = ((struct page *)item)->index + HPAGE_PMD_NR - 1;
			}
			get_page(item);
		}
		at++;
		items[n++] = item;
	}
	spin_unlock_irqrestore(&mapping->lock, flags);
	*from = at;
	return n;
}

/* Page locked. False: it was split, so look at its pages one by one. */
static bool drop_locked_page(struct address_space *mapping, struct page *page, unsigned long start,
			     unsigned long end)
{
	if (page->mapping != mapping)
		return true;
	if (unlikely(PageHead(page)))
		return !shmem_drop_huge(mapping, (struct folio *)page, start, end);
	if (page->index < start || page->index >= end)
		return false;
	if (unlikely(page_mapped(page)))
		unmap_mapping_range(mapping, page->index, page->index + 1, LEAVE_COPIES);
	remove_page(mapping, page);
	return true;
}

static bool drop_page(struct address_space *mapping, struct page *page, unsigned long start,
		      unsigned long end)
{
	bool done;

	lock_page(page);
	done = drop_locked_page(mapping, page, start, end);
	unlock_page(page);
	return done;
}

void shmem_drop_beyond_end(struct address_space *mapping, struct page *page)
{
	struct page *head = &page_folio(page)->page;
	unsigned long end = DIV_ROUND_UP(READ_ONCE(mapping->size), PAGE_SIZE);

	if (head->index >= end)
		drop_locked_page(mapping, head, end, ~0ul);
}

/* Take the value out if it is still there. */
static bool drop_value(struct address_space *mapping, unsigned long index, void *value)
{
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	bool there = radix_lookup(&mapping->pages, index) == value;

	if (there) {
		radix_delete(&mapping->pages, index);
		mapping->nrvalues--;
	}
	spin_unlock_irqrestore(&mapping->lock, flags);
	if (there) {
		if (likely(!shmem_is_lost(value)))
			shmem_drop_swap_use((swp_entry_t){radix_value(value)});
		shmem_uncharge(mapping, 1);
	}
	return there;
}

void shmem_truncate_range(struct address_space *mapping, unsigned long start, unsigned long end)
{
	unsigned long index[TRUNCATE_BATCH];
	void *items[TRUNCATE_BATCH];
	unsigned int n, missed;

	do { /* repeat if reclaim or a fault moved pages between memory and swap meanwhile */
		unsigned long from = start;

		missed = 0;
		while ((n = next_items(mapping, &from, end, items, index))) {
			unsigned int nr = 0;

			for (unsigned int i = 0; i < n; i++) {
				if (radix_is_value(items[i])) {
					missed += !drop_value(mapping, index[i], items[i]);
					continue;
				}
				missed += !drop_page(mapping, items[i], start, end);
				items[nr++] = items[i];
			}
			release_pages((struct page **)items, nr);
			cond_resched();
		}
	} while (missed);
	shmem_forget_swapped(mapping);
}

void shmem_set_unevictable(struct address_space *mapping, enum lru_keep keep)
{
	unsigned long index[TRUNCATE_BATCH], from = 0;
	void *items[TRUNCATE_BATCH];
	unsigned int n;

	/* Set the flag first: pages that are made meanwhile check it. */
	if (keep == LRU_KEEP)
		atomic_or(&mapping->flags, AS_UNEVICTABLE);
	else
		atomic_and(&mapping->flags, ~AS_UNEVICTABLE);
	lru_add_drain_all();
	while ((n = next_items(mapping, &from, ~0ul, items, index))) {
		unsigned int nr = 0;

		for (unsigned int i = 0; i < n; i++) {
			if (radix_is_value(items[i]))
				continue;
			lru_set_unevictable(items[i], keep);
			if (keep == LRU_LET_GO)
				count_vm_event(UNEVICTABLE_PGSCANNED);
			items[nr++] = items[i];
		}
		release_pages((struct page **)items, nr);
		cond_resched();
	}
}

void shmem_truncate(struct address_space *mapping, u64 size)
{
	unsigned long first = DIV_ROUND_UP(size, PAGE_SIZE), off = size & (PAGE_SIZE - 1);
	struct page *page;

	unmap_mapping_range(mapping, first, ~0ul, UNMAP_COPIES);
	shmem_truncate_range(mapping, first, ~0ul);
	/* Private copies may have been made of pages before they were removed. */
	unmap_mapping_range(mapping, first, ~0ul, UNMAP_COPIES);
	/* If the file is made longer again, the part reads as zeroes. A page that cannot be read keeps its
	 * contents, which stay unreadable. */
	if (off && !shmem_get_page(mapping, size >> PAGE_SHIFT, SHMEM_FIND, &page, NULL)) {
		memzero_page(page, off, PAGE_SIZE - off);
		shmem_put_page(page);
	}
}

/* ---- files of shared memory: what the page cache asks for ---- */

static int shmem_write_begin(struct address_space *mapping, u64 pos, unsigned int len,
			     struct page **page)
{
	bool major = false;
	int err = shmem_get_page(mapping, pos >> PAGE_SHIFT, SHMEM_CREATE, page, &major);

	return unlikely(err == -EHWPOISON) ? -EIO : err;
}

static int shmem_write_end(struct address_space *mapping, u64 pos, unsigned int len,
			   unsigned int copied, struct page *page)
{
	if (copied && pos + copied > mapping->size)
		WRITE_ONCE(mapping->size, pos + copied);
	shmem_put_page(page);
	return copied;
}

const struct address_space_ops shmem_aops = {
	.write_begin = shmem_write_begin,
	.write_end = shmem_write_end,
};
