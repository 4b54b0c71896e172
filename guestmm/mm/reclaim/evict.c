/*
 * Eviction: what happens to pages that the policy has isolated. Here reclaim acts; what to take is
 * decided by the policy (judge).
 *
 *   isolated page ─> used since? ──KEEP──────> PG_referenced, back
 *                         │        ──ACTIVATE──> PG_active, back
 *                         │RECLAIM
 *                         v
 *                    slot in swap, PTEs replaced by its entry
 *                         │  dirty ──> write, back to the list; its end lets the policy know
 *                         v  clean
 *                    out of the swap cache, freed
 *
 * Pages of files that were not used are unmapped, too; those that are clean are freed at once, and
 * leave a shadow where they were; the others wait for the flusher. Shared memory moves to swap, out
 * of its file's tree.
 *
 * I1  Nothing here waits for memory: requests come from a pool, slots from an array, and who
 *     reclaims has TIF_MEMALLOC, so that what drivers allocate comes from the reserves.
 * I2  No page lock is waited for: a locked page is in use by its locker, and skipped.
 * I3  A page leaves memory only if the cache's reference and ours are the only ones
 *     (swap_cache_evict), and only if its slot holds its contents or it was never needed.
 *
 * Locks: no spinlock is held on entry. Takes page locks (trylock), then those of rmap, swap and the
 * page cache.
 */
#include "lib/trace.h"
#include "mm/reclaim/lru.h"
#include "mm/cache/pagecache.h"
#include "mm/virt/rmap.h"
#include "mm/reclaim/vmscan.h"

static bool page_is_zero(const u64 *w)
{
	for (unsigned int i = 0; i < PAGE_SIZE / sizeof(*w); i++)
		if (w[i])
			return false;
	return true;
}

/* The slot of a page that is all zeroes needs no disk. Returns whether it was recorded so. */
static bool record_zero_page(struct page *page)
{
	swp_entry_t e = {page->private_};
	struct swap_info *si = swap_area(e);
	bool zero = page_is_zero(page_address(page));

	/* A slot may have been written before with other contents: its mark must be made to agree,
	 * whether it is set or cleared. */
	if (zero || (READ_ONCE(si->map[swp_offset(e)]) & SWAP_MAP_ZERO)) {
		spin_lock(&si->lock);
		if (zero)
			si->map[swp_offset(e)] |= SWAP_MAP_ZERO;
		else
			si->map[swp_offset(e)] &= ~SWAP_MAP_ZERO;
		spin_unlock(&si->lock);
	}
	if (zero) {
		ClearPageDirty(page);
		count_vm_event(SWPOUT_ZERO);
		trace_point(SWAP_OUT_ZERO, e.v, .pfn = page_to_pfn(page));
	}
	return zero;
}

enum outcome { OUT_FREED, OUT_KEEP, OUT_ACTIVATE, OUT_WRITING };

/* Start writing a locked, dirty, unmapped page of a file. It is unlocked, whatever happens. */
static void write_file_page(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);
	struct writeback_control wbc = {.start = page->index,
					.end = page->index + 1,
					.nr_to_write = 1,
					.for_reclaim = true};

	if (!mapping->ops->writepage || !clear_page_dirty_for_io(page)) {
		unlock_page(page);
		return;
	}
	/* An error is remembered for fsync; the page is dirty again. */
	if (!mapping->ops->writepage(page, &wbc) && mapping->ops->writepages_end)
		mapping->ops->writepages_end(mapping, &wbc);
}

/* A locked page of a file that nobody has used. */
static enum outcome shrink_file_page(struct page *page, struct scan_control *sc)
{
	if (page_mapped(page) && !try_to_unmap(page))
		return OUT_ACTIVATE;
	if (PageDirty(page)) {
		/* One page here and one there is what disks are slow at: the flusher writes files
		 * in their order. Only when it does not come along do we. */
		if (!sc->may_writepage || !(sc->gfp & __GFP_FS)) {
			sc->nr_dirty++;
			return OUT_KEEP;
		}
		write_file_page(page);
		return OUT_WRITING;
	}
	return page_cache_evict(page) ? OUT_FREED : OUT_KEEP;
}

/* One locked page, as far as it goes. OUT_WRITING: unlocked already. */
static enum outcome shrink_locked_page(const struct reclaim_policy *policy, struct page *page,
				       struct scan_control *sc)
{
	bool file = page_is_file_lru(page), clean;
	struct page_use use;
	unsigned long vm_flags;
	unsigned int ptes;

	if (PageWriteback(page)) {
		sc->nr_dirty += file;
		return OUT_KEEP;
	}
	ptes = page_referenced(page, &vm_flags);
	if (vm_flags & VM_LOCKED)
		return OUT_ACTIVATE;
	use = (struct page_use){.ptes = ptes,
				.referenced = TestClearPageReferenced(page),
				.file = file,
				.exec = vm_flags & VM_EXEC,
				.active = PageActive(page),
				.policy = READ_ONCE(page->flags) >> PAGE_POLICY_SHIFT &
					  PAGE_POLICY_MASK};
	switch (policy->judge(&use)) {
	case PAGE_KEEP:
		SetPageReferenced(page);
		return OUT_KEEP;
	case PAGE_ACTIVATE:
		return OUT_ACTIVATE;
	case PAGE_RECLAIM:
		break;
	}
	if (PageError(page) && PageDirty(page)) {
		/* A write failed: go round once before the next try. */
		ClearPageError(page);
		return OUT_ACTIVATE;
	}
	if (PageLazyfree(page) && !PageSwapCache(page) && page_mapped(page)) {
		if (try_to_discard(page) && atomic_cmpxchg(&page->refcount, 1, 0) == 1)
			return OUT_FREED;
		page_clear_lazyfree(page); /* written again: like any other */
	}
	if (page_mapping_file(page)) {
		if (file)
			return shrink_file_page(page, sc);
		/* Shared memory: into the swap cache, and from there like any other. */
		if (!(sc->gfp & __GFP_IO) || (page_mapped(page) && !try_to_unmap(page)) ||
		    !shmem_writeout(page))
			return OUT_ACTIVATE;
	}
	if (!PageSwapCache(page)) {
		if (!page_mapped(page))
			return OUT_KEEP; /* its owner is letting go of it */
		if (!(sc->gfp & __GFP_IO) || !add_to_swap(page))
			return OUT_ACTIVATE; /* swap is full: no use in looking again soon */
	}
	if (page_mapped(page) && !try_to_unmap(page)) {
		try_to_free_swap(page);
		return OUT_ACTIVATE;
	}
	clean = !PageDirty(page);
	if (!clean) {
		if (!swap_users((swp_entry_t){page->private_})) {
			/* Unmapped for good while we held it: nobody wants the contents. */
			ClearPageDirty(page);
		} else if (!record_zero_page(page)) {
			if (!(sc->gfp & __GFP_IO))
				return OUT_KEEP;
			swap_write_page(&sc->writes, page);
			return OUT_WRITING;
		}
	}
	clean = clean && !PageReclaim(page); /* and was not written by us just now */
	if (!swap_cache_evict(page))
		return OUT_KEEP;
	if (clean)
		count_vm_event(MMVM_SWAP_DROP_CLEAN);
	return OUT_FREED;
}

void evict_isolated(struct isolated *iso, struct list_head *dead, struct scan_control *sc,
		    struct evict_result *result)
{
	const struct reclaim_policy *policy = iso->lruvec->policy;
	LIST_HEAD(keep);

	*result = (struct evict_result){0};
	while (!list_empty(&iso->pages)) {
		struct page *page = list_last_entry(&iso->pages, struct page, lru);
		enum outcome what = OUT_KEEP;

		list_del(&page->lru);
		if (trylock_page(page)) {
			what = shrink_locked_page(policy, page, sc);
			if (what == OUT_FREED)
				ClearPageLocked(page); /* nobody can wait: no references */
			else if (what != OUT_WRITING)
				unlock_page(page);
		}
		if (what == OUT_FREED) {
			result->freed += page_lru_pages(page);
			list_add_tail(&page->lru, dead);
			continue;
		}
		if (what == OUT_ACTIVATE) {
			SetPageActive(page);
			result->activated += page_lru_pages(page);
		}
		list_add(&page->lru, &keep);
	}
	list_splice_init(&keep, &iso->pages);
}

/* ---- what has been written --------------------------------------------------------------------
 */

static bool evict_clean(struct page *page)
{
	if (PageSwapCache(page))
		return swap_cache_evict(page);
	return page_mapping_file(page) && page_is_file_lru(page) && page_cache_evict(page);
}

u64 evict_written(struct list_head *pages, struct list_head *dead)
{
	struct page *page, *n;
	u64 freed = 0;

	list_for_each_entry_safe (page, n, pages, lru) {
		wait_on_page_writeback(page);
		if (page_mapped(page) || !trylock_page(page))
			continue;
		if (!page_mapped(page) && !PageWriteback(page) && !PageDirty(page) &&
		    evict_clean(page)) {
			ClearPageLocked(page);
			list_move_tail(&page->lru, dead);
			freed += page_lru_pages(page);
		} else {
			unlock_page(page);
		}
	}
	return freed;
}
