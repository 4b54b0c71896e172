/*
 * Frames that are withdrawn from use.
 *
 *   MADV_HWPOISON      page ──isolate, lock──> PTEs are migration entries ──> markers: SIGBUS    frame: type hwpoison
 *                      clean page of a file                               ──> nothing: read again
 *   MADV_SOFT_OFFLINE  page ──migrate_pages()──> another frame                                   frame: type hwpoison
 *
 * Both begin as a migration does, so that its protocol (migrate.c) keeps everybody else away: who touches the page
 * meanwhile waits, and who holds a reference that nobody knows of makes it fail.
 *
 * I1  A frame of type PAGE_HWPOISON has one reference, which is never dropped; a reader that found the page just before
 *     it left its file has another until it notices. It is on no list, in no cache and in no page table. So it is never
 *     free, and nobody is given it. (The audit: hwpoison.)
 * I2  num_poisoned_pages is the number of such frames.
 * I3  A marker (poison_pte()) stands where the contents were lost. It has no reference and counts in no rss.
 * I4  In the tree of shared memory the same entry, as a value, stands for the page (shmem_lose_page()).
 *
 * A page of a file has its contents on the disk as well. If it was clean nothing is lost. If it was dirty the file has
 * an error, which fsync(2) reports once to each opener, and who had it mapped gets SIGBUS; others read what is on the disk.
 *
 * Source: Linux, mm/memory-failure.c; Documentation/mm/hwpoison.rst. What Linux can do and this cannot: lose pages of
 * hugetlb, KSM and swap slots that others use: -EBUSY.
 */
#include "mm/move/memory_failure.h"
#include "lib/errno.h"
#include "mm/cache/shmem.h"
#include "mm/huge/thp.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/alloc.h"
#include "mm/pgtable/guard.h"
#include "mm/phys/internal.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/lru.h"
#include "mm/swap/swapcache.h"
#include "mm/fault/remote.h"
#include "mm/rmap/rmap.h"

#define TRIES 10 /* as Linux: a page may be on its way to a list */

s64 num_poisoned_pages;

void page_withdraw(struct page *page)
{
	page->mapping = NULL;
	page->index = 0;
	page->private_ = 0;
	page->type = PAGE_HWPOISON;
	atomic_add(&num_poisoned_pages, 1);
	printk("Memory failure: %#lx: withdrawn\n", page_to_pfn(page));
}

/* Off its list, with a second reference. */
static bool isolate(struct page *page)
{
	for (int i = 0; i < TRIES; i++) {
		if (isolate_movable_page(page))
			return true;
		if (!page_is_movable(page))
			return false;
		lru_add_drain_all();
	}
	return false;
}

static void put_back(struct page *page)
{
	LIST_HEAD(list);

	list_add(&page->lru, &list);
	putback_movable_pages(&list);
}

/* Every mapping of the locked page becomes an entry, and only `expected` references are left. False: it is as before. */
static bool cut_off(struct page *page, int expected)
{
	SetPageMigrating(page);
	if ((!page_mapped(page) || try_to_migrate(page)) && page_ref_count(page) == expected)
		return true;
	remove_migration_ptes(page, page);
	ClearPageMigrating(page);
	return false;
}

/* Locked, isolated, two references of ours: take its identity away. False: it is as before. */
static bool lose_anon(struct page *page)
{
	if (!PageAnon(page) || PageKsm(page))
		return false;
	wait_on_page_writeback(page);
	/* Its slot may have older contents, which other processes would find. */
	if (PageSwapCache(page) && !try_to_free_swap(page))
		return false;
	if (!cut_off(page, 2))
		return false;
	replace_migration_ptes(page, poison_pte());
	ClearPageMigrating(page);
	return true;
}

/* May the page leave its file? Not where its owner keeps addresses of it, and not where it is all there is and nobody
 * would notice that it is gone. */
static bool file_can_lose(const struct address_space *mapping)
{
	if (mapping->flags & (AS_SECRET | AS_LOWMEM | AS_HUGETLB | AS_DAX))
		return false;
	return mapping->flags & AS_SHMEM || mapping_is_written(mapping);
}

/* The same for a page of a file. Once the entries are replaced there is no way back: until then the page must have no
 * other user, and who comes later finds it locked, and then gone, as in a truncation. */
static bool lose_cached(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);
	const bool shmem = mapping && mapping->flags & AS_SHMEM;
	bool lost;

	if (!mapping || PageSwapCache(page) || !file_can_lose(mapping))
		return false;
	wait_on_page_writeback(page);
	if (!cut_off(page, 3))
		return false;
	lost = shmem || PageDirty(page);
	replace_migration_ptes(page, lost ? poison_pte() : __pte(0));
	ClearPageMigrating(page);
	if (lost && !shmem)
		mapping_set_error(mapping, -EIO);
	if (shmem)
		shmem_lose_page(page);
	else
		truncate_page(mapping, page);
	return true;
}

/* Locked, off its list, of no cache, in no page table: the frame is nobody's. */
static void become_nobodys(struct page *page, struct lruvec *lruvec)
{
	const u64 keep = 1ull << PG_locked | 1ull << PG_waiters;

	if (PageUnevictable(page))
		lru_set_mlocked(page, LRU_LET_GO);
	lru_unisolate(lruvec, 1);
	if (PageCharged(page))
		mem_cgroup_uncharge(page);
	atomic_and(&page->flags, ~((1ull << NR_PAGE_FLAGS) - 1) | keep);
	page_withdraw(page);
}

int memory_failure(struct page *page)
{
	bool lost;

	if (!isolate(page)) {
		release_page(page);
		return -EBUSY;
	}
	lock_page(page);
	if (PageMovable(page))
		lost = false;
	else
		lost = page_mapping_file(page) ? lose_cached(page) : lose_anon(page);
	if (lost)
		become_nobodys(page, page_lruvec(page));
	unlock_page(page);
	if (!lost) {
		put_back(page);
		release_page(page);
		return -EBUSY;
	}
	atomic_sub(&page->refcount, 1); /* the isolator's; the caller's is the page's own now */
	return 0;
}

int soft_offline_page(struct page *page)
{
	LIST_HEAD(list);
	int nid = page_node_id(page), left;

	if (!isolate(page)) {
		release_page(page);
		return -EBUSY;
	}
	/* A second reference would keep the page where it is. */
	atomic_sub(&page->refcount, 1);
	list_add(&page->lru, &list);
	left = migrate_pages(&list, alloc_migration_target, NULL, &nid, MIGRATE_SYNC,
			     MR_MEMORY_FAILURE, NULL);
	putback_movable_pages(&list);
	return left ? -EBUSY : 0;
}

/* The page at addr, single, with a reference. */
static struct page *page_at(struct mm_struct *mm, unsigned long addr, int *err)
{
	for (int i = 0; i < TRIES; i++) {
		struct page *held, *page = get_user_page(mm, addr, &held);

		*err = page ? -EBUSY : -EFAULT;
		if (!page || !held)
			return NULL; /* the zero page and its like */
		if (page == held && !PageHead(page))
			return page;
		lock_page(held);
		*err = held->type == PAGE_HUGETLB ? -EBUSY
						  : split_folio((struct folio *)held, NULL);
		unlock_page(held);
		release_page(held);
		cond_resched();
	}
	return NULL;
}

int madvise_inject_error(struct mm_struct *mm, unsigned long start, unsigned long end,
			 enum inject_kind kind)
{
	int err = 0;

	for (; start < end && !err; start += PAGE_SIZE) {
		struct page *page = page_at(mm, start, &err);

		if (page)
			err = kind == INJECT_HWPOISON ? memory_failure(page)
						      : soft_offline_page(page);
	}
	return err;
}
