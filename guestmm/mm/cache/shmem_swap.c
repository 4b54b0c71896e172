/*
 * Shared memory in swap: swapping out, swapping in, and swapoff.
 *
 * Only the radix tree records where a page is: page tables hold no swap entries for shared memory. Reclaim unmaps a
 * page everywhere and puts its entry into the tree; from then on it is an ordinary page of the swap cache. The next
 * access swaps it in.
 *
 *      shmem_writeout()                                     swap_write_page()
 *   PAGE_SHMEM in the page cache ──> PAGE_ANON in the swap cache, no mapping ──> disk
 *        ^                                    │                                   │
 *        └──────── shmem_swapin() ────────────┴────────<──── swapin_readahead() ──┘
 *
 * I1  A mapping with values is on shmem_swapped_list (by dirty_list, which the flusher never uses for shared
 *     memory), so that swapoff finds it. It leaves with its last value. shmem.c has the other invariants.
 *
 * Locks: page lock > address_space lock (interrupts off). swapped_lock is taken alone.
 */
#include "lib/errno.h"
#include "mm/cache/pagecache.h"
#include "mm/cache/shmem.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/swap/swapcache.h"
#include "mm/phys/zone.h"

LIST_HEAD(shmem_swapped_list); /* swapped_lock */
static spinlock_t swapped_lock = SPINLOCK_INIT;
static struct address_space *in_swapoff; /* swapped_lock: swapoff works on it: do not free it */
static struct wait_queue swapoff_wait = WAIT_QUEUE_INIT(swapoff_wait);

/* ---- the list of what is in swap ---- */

static void note_swapped(struct address_space *mapping)
{
	spin_lock(&swapped_lock);
	if (list_empty(&mapping->dirty_list))
		list_add_tail(&mapping->dirty_list, &shmem_swapped_list);
	spin_unlock(&swapped_lock);
}

/* If no page of the mapping is in swap, take it off the list. False: swapoff works on it, try again. */
static bool forget_swapped(struct address_space *mapping)
{
	bool ok = true;

	if (list_empty(&mapping->dirty_list))
		return true;
	spin_lock(&swapped_lock);
	if (!READ_ONCE(mapping->nrvalues)) {
		ok = in_swapoff != mapping;
		if (ok)
			list_del_init(&mapping->dirty_list);
	}
	spin_unlock(&swapped_lock);
	return ok;
}

void shmem_forget_swapped(struct address_space *mapping)
{
	wait_event(&swapoff_wait, forget_swapped(mapping));
}

/* ---- swap ---- */

bool shmem_writeout(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);
	unsigned long flags;
	swp_entry_t entry;

	if ((mapping->flags & AS_UNEVICTABLE) || !add_to_swap(page))
		return false;
	entry = (swp_entry_t){page->private_};
	if (swap_duplicate(entry))
		panic("swap: a new slot has too many users");
	/* Before the entry is in the tree, where a truncation could find it: until then our page lock keeps the
	 * mapping from being freed. */
	note_swapped(mapping);
	flags = spin_lock_irqsave(&mapping->lock);
	/* 3: the references of the page cache, the swap cache and the caller. Look-ups take theirs under the
	 * lock. */
	if (page_ref_count(page) != 3) {
		spin_unlock_irqrestore(&mapping->lock, flags);
		swap_free(entry);
		delete_from_swap_cache(page);
		return false;
	}
	radix_replace(&mapping->pages, page->index, radix_make_value(entry.v));
	mapping->nrpages--;
	mapping->nrvalues++;
	page->mapping = NULL;
	page->type = PAGE_ANON;
	atomic_sub(&page->refcount, 1);
	shmem_count_page(page, -1);
	spin_unlock_irqrestore(&mapping->lock, flags);
	return true;
}

void shmem_lose_page(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);
	unsigned long flags;

	note_swapped(mapping); /* the page lock keeps the mapping from being freed, as above */
	flags = spin_lock_irqsave(&mapping->lock);
	radix_replace(&mapping->pages, page->index,
		      radix_make_value(pte_to_swp_entry(poison_pte()).v));
	mapping->nrpages--;
	mapping->nrvalues++;
	page->mapping = NULL;
	atomic_sub(&page->refcount, 1);
	shmem_count_page(page, -1);
	spin_unlock_irqrestore(&mapping->lock, flags);
}

/* The swap-cache page for the entry, locked, written and up to date, with a reference. */
static struct page *swapped_page(swp_entry_t entry, int *err, bool *major)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		bool started = false;
		struct page *page = swapin_readahead(
			entry, NULL, attempt ? SWAPIN_ALONE : SWAPIN_AROUND, &started);

		*major |= started;
		*err = -ENOMEM; /* we hold a use of the entry, so it did not vanish */
		if (!page)
			return NULL;
		*err = -EAGAIN;
		lock_page(page);
		if (unlikely(!PageSwapCache(page) || page->private_ != entry.v)) {
			unlock_page(page);
			release_page(page);
			return NULL;
		}
		wait_on_page_writeback(page);
		if (likely(PageUptodate(page)))
			return page;
		/* Another slot of the same read may have caused the error: read this one again, alone. */
		*err = -EIO;
		delete_from_swap_cache(page);
		unlock_page(page);
		release_page(page);
	}
	return NULL;
}

void shmem_drop_swap_use(swp_entry_t entry)
{
	struct page *page = swap_free_and_get_cached(entry);

	if (page) {
		free_swap_cache(&page, 1);
		release_page(page);
	}
}

int shmem_swapin(struct address_space *mapping, unsigned long index, swp_entry_t entry,
		 struct page **pagep, bool *major)
{
	struct page *page;
	unsigned long flags;
	int err = 0;

	/* The entry may be freed before we look at its slot, and then its area may be removed: take a use of the
	 * slot first. */
	flags = spin_lock_irqsave(&mapping->lock);
	if (radix_lookup(&mapping->pages, index) != radix_make_value(entry.v))
		err = -EAGAIN;
	else
		err = swap_duplicate(entry);
	spin_unlock_irqrestore(&mapping->lock, flags);
	if (err)
		return err;
	page = swapped_page(entry, &err, major);
	if (!page)
		goto out;
	flags = spin_lock_irqsave(&mapping->lock);
	if (unlikely(radix_lookup(&mapping->pages, index) != radix_make_value(entry.v))) {
		spin_unlock_irqrestore(&mapping->lock, flags);
		unlock_page(page);
		release_page(page);
		err = -EAGAIN;
		goto out;
	}
	radix_replace(&mapping->pages, index, page);
	page->type = PAGE_SHMEM;
	page->mapping = (void *)mapping;
	page->index = index;
	get_page(page);
	mapping->nrpages++;
	mapping->nrvalues--;
	shmem_count_page(page, 1);
	spin_unlock_irqrestore(&mapping->lock, flags);
	delete_from_swap_cache(page);
	swap_free(entry);
	atomic_or(&page->flags, SHMEM_PAGE_FLAGS);
	ClearPageReclaim(page);
	if (unlikely(READ_ONCE(mapping->flags) & AS_UNEVICTABLE))
		lru_set_unevictable(page, LRU_KEEP);
	forget_swapped(mapping);
	*pagep = page;
	err = 0;
out:
	shmem_drop_swap_use(entry);
	return err;
}

/* ---- swapoff ---- */

/* First entry of the area at or after *index. */
static bool find_entry(struct address_space *mapping, unsigned int type, unsigned long *index)
{
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	void *item;

	while ((item = radix_next(&mapping->pages, index))) {
		if (radix_is_value(item) && swp_type((swp_entry_t){radix_value(item)}) == type)
			break;
		(*index)++;
	}
	spin_unlock_irqrestore(&mapping->lock, flags);
	return item;
}

static int unuse_mapping(struct address_space *mapping, unsigned int type)
{
	unsigned long index = 0;
	struct page *page;
	bool major = false;
	int err;

	while (find_entry(mapping, type, &index)) {
		err = shmem_get_page(mapping, index, SHMEM_FIND, &page, &major);
		if (err && err != -ENOENT)
			return err;
		if (!err)
			shmem_put_page(page);
		if (current_thread_info()->flags & TIF_KILLED)
			return -EINTR;
	}
	return 0;
}

int shmem_unuse(unsigned int type)
{
	struct address_space *mapping;
	LIST_HEAD(done);
	int err = 0;

	spin_lock(&swapped_lock);
	while (!err && !list_empty(&shmem_swapped_list)) {
		mapping = list_first_entry(&shmem_swapped_list, struct address_space, dirty_list);
		list_move_tail(&mapping->dirty_list, &done);
		in_swapoff = mapping;
		spin_unlock(&swapped_lock);
		err = unuse_mapping(mapping, type);
		spin_lock(&swapped_lock);
		in_swapoff = NULL;
		if (!READ_ONCE(mapping->nrvalues))
			list_del_init(&mapping->dirty_list);
		wake_up(&swapoff_wait);
	}
	list_splice_init(&done, &shmem_swapped_list);
	spin_unlock(&swapped_lock);
	return err;
}
