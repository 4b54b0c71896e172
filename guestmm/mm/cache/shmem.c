/*
 * Shared memory: pages of tmpfs files, memfd, and of mappings that are shared and anonymous.
 *
 *   address_space (AS_SHMEM) ── radix tree: index ─> page, PAGE_SHMEM    in memory
 *                                                 ─> swap entry (value)  in swap
 *                                                 ─> nothing             zeroes, not made yet
 *
 * The radix tree is the only place that knows where a page is: page tables hold no swap entries for
 * shared memory. Reclaim unmaps a page everywhere, puts its entry into the tree, and from there on it
 * is a page of the swap cache like any other; who touches it next brings it back.
 *
 *      shmem_writeout()                                     swap_write_page()
 *   PAGE_SHMEM in the page cache ──> PAGE_ANON in the swap cache, no mapping ──> disk
 *        ^                                    │                                   │
 *        └────────── bring_back() ────────────┴────────<──── swapin_readahead() ──┘
 *
 * Memory that is shared and anonymous has a shmem_object instead of a file (shmem_object.c).
 *
 * I1  A page of shared memory is PAGE_SHMEM, up to date, dirty and swap-backed. NR_SHMEM and
 *     NR_FILE_PAGES count it.
 * I2  A value in the tree is a swap entry whose slot counts it as one user. nrvalues counts them.
 * I3  A mapping with values is on shmem_swapped_list (by dirty_list, which the flusher never uses for
 *     shared memory), so that swapoff finds it. It leaves with its last value.
 * I4  What can be filled is promised: an object with AS_CHARGED as a whole when it was made, other
 *     shared memory page by page, when a page or entry comes into the tree and until it goes.
 * I5  mapping->limit counts each page and entry in the tree.
 *
 * Locks: page lock > address_space lock (interrupts off). swapped_lock is taken alone.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/huge/thp.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/cache/pagecache.h"
#include "mm/virt/rmap.h"
#include "mm/cache/shmem.h"
#include "mm/swap/swapcache.h"
#include "mm/virt/vma.h"
#include "mm/phys/zone.h"

LIST_HEAD(shmem_swapped_list); /* swapped_lock */
static spinlock_t swapped_lock = SPINLOCK_INIT;
static struct address_space *in_swapoff; /* swapped_lock: swapoff works on it, it may not go */
static struct wait_queue swapoff_wait = WAIT_QUEUE_INIT(swapoff_wait);

#define TRUNCATE_BATCH 16u

/* ---- the list of what is in swap ---- */

static void note_swapped(struct address_space *mapping)
{
	spin_lock(&swapped_lock);
	if (list_empty(&mapping->dirty_list))
		list_add_tail(&mapping->dirty_list, &shmem_swapped_list);
	spin_unlock(&swapped_lock);
}

/* If nothing of the mapping is in swap: off the list. False: not while swapoff works on it. */
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

/* ---- pages into the tree and out of it ---- */

static void count_page(struct page *page, s64 n)
{
	page_stat_add(page, NR_SHMEM, n);
	page_stat_add(page, NR_FILE_PAGES, n);
}

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

/* A new page at index, of zeroes or with these contents: locked, with a reference. -EEXIST: somebody was
 * faster. */
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
		copy_page(page_address(page), contents);
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
			count_page(page, 1);
		}
		spin_unlock_irqrestore(&mapping->lock, flags);
		if (likely(err != -ENOMEM))
			break;
		/* Nearly always there is room in the nodes that are there. */
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

/* Take a locked, unmapped page of the tree out of it; the cache's reference goes. */
static void remove_page(struct address_space *mapping, struct page *page)
{
	unsigned long flags = spin_lock_irqsave(&mapping->lock);

	radix_delete(&mapping->pages, page->index);
	page->mapping = NULL;
	mapping->nrpages--;
	count_page(page, -1);
	spin_unlock_irqrestore(&mapping->lock, flags);
	shmem_uncharge(mapping, 1);
	atomic_sub(&page->refcount, 1);
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
	/* Before the entry is there to be truncated: until then our page lock keeps the mapping. */
	note_swapped(mapping);
	flags = spin_lock_irqsave(&mapping->lock);
	/* The page cache's, the swap cache's and the caller's; look-ups take theirs under the lock. */
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
	count_page(page, -1);
	spin_unlock_irqrestore(&mapping->lock, flags);
	return true;
}

/* The swap-cache page for the entry, locked, written and up to date, with a reference. */
static struct page *swapped_page(swp_entry_t entry, int *err, bool *major)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		bool started = false;
		struct page *page = swapin_readahead(entry, NULL, attempt > 0, &started);

		*major |= started;
		*err = -ENOMEM; /* the entry is in use: by us */
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

/* Drop a use of the slot; if only the swap cache has it now, that goes, too. */
static void drop_use(swp_entry_t entry)
{
	struct page *page = swap_free_and_get_cached(entry);

	if (page) {
		free_swap_cache(&page, 1);
		release_page(page);
	}
}

/* Put the page of a swap entry in the tree back into it: locked, with a reference. -EAGAIN: the
 * entry is not there any more. */
static int bring_back(struct address_space *mapping, unsigned long index, swp_entry_t entry,
		      struct page **pagep, bool *major)
{
	struct page *page;
	unsigned long flags;
	int err = 0;

	/* The entry may go before we look at its slot, and then its area: count ourselves first. */
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
	count_page(page, 1);
	spin_unlock_irqrestore(&mapping->lock, flags);
	delete_from_swap_cache(page);
	swap_free(entry);
	atomic_or(&page->flags, SHMEM_PAGE_FLAGS);
	ClearPageReclaim(page);
	if (unlikely(READ_ONCE(mapping->flags) & AS_UNEVICTABLE))
		lru_set_unevictable(page, true);
	forget_swapped(mapping);
	*pagep = page;
	err = 0;
out:
	drop_use(entry);
	return err;
}

/* ---- what everybody uses ---- */

/* mapping->lock held, and released: part of a large folio, which is locked and gets a reference.
 * -EAGAIN: look again. */
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
		if (item)
			err = bring_back(mapping, index, (swp_entry_t){radix_value(item)}, pagep,
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

/* Page locked. False: it has been split, so its pages are to be looked at. */
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
		unmap_mapping_range(mapping, page->index, page->index + 1, false);
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
		drop_use((swp_entry_t){radix_value(value)});
		shmem_uncharge(mapping, 1);
	}
	return there;
}

void shmem_truncate_range(struct address_space *mapping, unsigned long start, unsigned long end)
{
	unsigned long index[TRUNCATE_BATCH];
	void *items[TRUNCATE_BATCH];
	unsigned int n, missed;

	do { /* again where reclaim or a fault moved something between memory and swap */
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
	wait_event(&swapoff_wait, forget_swapped(mapping));
}

void shmem_set_unevictable(struct address_space *mapping, bool on)
{
	unsigned long index[TRUNCATE_BATCH], from = 0;
	void *items[TRUNCATE_BATCH];
	unsigned int n;

	/* Pages that are made meanwhile look at the flag. */
	if (on)
		atomic_or(&mapping->flags, AS_UNEVICTABLE);
	else
		atomic_and(&mapping->flags, ~AS_UNEVICTABLE);
	lru_add_drain_all();
	while ((n = next_items(mapping, &from, ~0ul, items, index))) {
		unsigned int nr = 0;

		for (unsigned int i = 0; i < n; i++) {
			if (radix_is_value(items[i]))
				continue;
			lru_set_unevictable(items[i], on);
			if (!on)
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

	unmap_mapping_range(mapping, first, ~0ul, true);
	shmem_truncate_range(mapping, first, ~0ul);
	/* Copies made of pages that were still there when we began. */
	unmap_mapping_range(mapping, first, ~0ul, true);
	/* Who makes the file longer again finds zeroes. A page that cannot be read keeps what it has:
	 * nobody can read it. */
	if (off && !shmem_get_page(mapping, size >> PAGE_SHIFT, SHMEM_FIND, &page, NULL)) {
		memset((char *)page_address(page) + off, 0, PAGE_SIZE - off);
		shmem_put_page(page);
	}
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

/* ---- files of shared memory: what the page cache asks for ---- */

static int shmem_write_begin(struct address_space *mapping, u64 pos, unsigned int len,
			     struct page **page)
{
	bool major = false;

	return shmem_get_page(mapping, pos >> PAGE_SHIFT, SHMEM_CREATE, page, &major);
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
