/*
 * Reading from swap, and around it.
 *
 * A miss reads a window of neighbouring slots with one request: pages that were swapped out together tend to be
 * needed together, and a request costs far more than a page. The window adapts: it grows while read-ahead pages are
 * used, shrinks by half at a time when they are not, and is one page when misses are scattered. Its state is per
 * address space and only advisory.
 *
 * A neighbour is read only if its slot is in use and not cached, and a page is available without reclaim. The run
 * around the needed slot ends at the first neighbour for which that is not so.
 *
 * Locks: called with mmap_lock held for reading; sleeps.
 */
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/phys/alloc.h"
#include "mm/phys/highmem.h"
#include "mm/reclaim/lru.h"
#include "mm/memcg/memcg.h"
#include "mm/reclaim/workingset.h"
#include "mm/swap/swapcache.h"
#include "mm/zswap/zswap.h"

/* Shared memory has no address space that counts its misses, so its window is fixed: half of the maximum. */
#define SHARED_WINDOW 8u
#define GFP_READAHEAD (__GFP_KSWAPD_RECLAIM | __GFP_HIGHMEM | __GFP_MOVABLE | __GFP_NOWARN)

unsigned int page_cluster = SWAP_RA_ORDER;

unsigned int swap_ra_window(unsigned int hits, unsigned int last, bool near)
{
	unsigned int want = 1;

	if (hits) {
		while (want < hits + 2)
			want *= 2;
	} else if (near) {
		want = 2;
	}
	want = max(want, last / 2); /* shrinks by half at a time */
	return min(want, SWAP_RA_MAX);
}

bool swap_keep_slot(u64 free, u64 total)
{
	return free > total / 8;
}

static unsigned int next_window(struct mm_struct *mm, u64 offset)
{
	unsigned int hits = READ_ONCE(mm->swap_ra_hits), win;
	u64 last = READ_ONCE(mm->swap_ra_last);
	unsigned int last_win = READ_ONCE(mm->swap_ra_win);
	bool near = offset + 1 + last_win >= last && offset <= last + 1 + last_win;

	win = swap_ra_window(hits, last_win, near && last);
	WRITE_ONCE(mm->swap_ra_hits, 0);
	WRITE_ONCE(mm->swap_ra_win, win);
	WRITE_ONCE(mm->swap_ra_last, offset);
	return win;
}

/* Worth reading as a neighbour? A racy look: swap_cache_insert_new() decides. */
static bool readable(const struct swap_info *si, u64 offset)
{
	u8 b = READ_ONCE(si->map[offset]);

	return (b & SWAP_MAP_COUNT) && (b & SWAP_MAP_COUNT) != SWAP_MAP_BAD &&
	       !(b & (SWAP_MAP_HAS_CACHE | SWAP_MAP_NO_DISK));
}

/* A new page in the cache for the slot, locked, with a reference for the caller. */
static struct page *new_cached_page(swp_entry_t e, gfp_t gfp)
{
	struct page *page = alloc_pages_type(gfp, 0, PAGE_ANON);
	u32 shadow;

	if (!page)
		return NULL;
	if (mem_cgroup_swapin_charge(page, NULL, e, gfp) ||
	    !swap_cache_insert_new(page, e, &shadow)) {
		__free_page(page);
		return NULL;
	}
	workingset_refault(page, shadow);
	lru_add(page);
	return page;
}

/* Fill a page whose slot has nothing on the disk: the contents are in zswap, or zeroes. */
static void fill_without_disk(struct page *page)
{
	const swp_entry_t e = {page->private_};
	int err = -ENOENT;

	if (swap_area(e)->zswap)
		err = zswap_load(page);
	if (!err) {
		trace_point(ZSWAP_IN, e.v, .pfn = page_to_pfn(page), .arg = !PageReadahead(page));
		count_vm_event(ZSWPIN);
		mem_cgroup_count_page(page, ZSWPIN);
	} else if (err == -ENOENT) {
		clear_highpage(page);
		trace_point(SWAP_IN_ZERO, e.v, .pfn = page_to_pfn(page),
			    .arg = !PageReadahead(page));
		count_vm_event(SWPIN_ZERO);
	}
	set_bit(err && err != -ENOENT ? PG_error : PG_uptodate, &page->flags);
	unlock_page(page);
}

/* A page for a neighbour, to be read with the wanted one; NULL ends the run. */
static struct page *new_neighbour(struct swap_info *si, u64 offset)
{
	swp_entry_t e = swp_entry(si->type, offset);
	struct page *page;

	if (!readable(si, offset))
		return NULL;
	page = new_cached_page(e, GFP_READAHEAD);
	if (!page)
		return NULL;
	SetPageReadahead(page);
	/* Check again: since the first look the slot's page may have been swapped in and out again without a write
	 * to the disk. */
	if (unlikely(READ_ONCE(si->map[offset]) & SWAP_MAP_NO_DISK)) {
		fill_without_disk(page);
		release_page(page);
		return NULL;
	}
	return page;
}

/* Read the wanted page and up to win - 1 neighbours. Returns the wanted one with a reference. */
static struct page *read_around(swp_entry_t e, unsigned int win)
{
	struct swap_info *si = swap_area(e);
	u64 offset = swp_offset(e), lo, hi;
	struct page *pages[2 * SWAP_RA_MAX], *page;
	unsigned int from = SWAP_RA_MAX, to = SWAP_RA_MAX;

	page = new_cached_page(e, GFP_HIGHUSER_MOVABLE);
	if (!page)
		return NULL;
	if (READ_ONCE(si->map[offset]) & SWAP_MAP_NO_DISK) {
		fill_without_disk(page);
		return page;
	}
	pages[to++] = page;
	/* The aligned window that holds the slot, as far as it is one run. */
	lo = max(offset & ~(u64)(win - 1), (u64)1);
	hi = min((offset & ~(u64)(win - 1)) + win, si->nr_slots);
	for (; offset > lo && (page = new_neighbour(si, offset - 1)); offset--)
		pages[--from] = page;
	offset = swp_offset(e);
	for (; offset + 1 < hi && (page = new_neighbour(si, offset + 1)); offset++)
		pages[to++] = page;
	count_vm_events(SWAP_RA, to - from - 1);
	swap_read_pages(&pages[from], to - from);
	for (unsigned int i = from; i < to; i++)
		if (i != SWAP_RA_MAX)
			release_page(pages[i]);
	return pages[SWAP_RA_MAX];
}

/* The page is not in the cache: read it. NULL: no memory, or another thread has put it there. Out of line, because most
 * touches find a page that was read ahead, and need no array of pages on the stack. */
static __attribute__((noinline)) struct page *read_missing(swp_entry_t e, struct mm_struct *mm,
							   enum swapin_how how)
{
	unsigned int most = READ_ONCE(page_cluster), win;

	win = how == SWAPIN_ALONE || !most ? 1
	      : mm			   ? next_window(mm, swp_offset(e))
					   : SHARED_WINDOW;
	return read_around(e, min(win, 1u << most));
}

struct page *swapin_readahead(swp_entry_t e, struct mm_struct *mm, enum swapin_how how, bool *major)
{
	struct page *page;

	for (;;) {
		page = swap_cache_lookup(e);
		if (likely(page)) {
			count_vm_event(MMVM_SWAP_CACHE_HIT);
			if (PageReadahead(page) && TestClearPageReadahead(page)) {
				count_vm_event(SWAP_RA_HIT);
				if (mm)
					atomic_add(&mm->swap_ra_hits, 1);
			}
			return page;
		}
		if (!swap_users(e))
			return NULL; /* freed meanwhile */
		page = read_missing(e, mm, how);
		if (page) {
			*major = true;
			return page;
		}
		/* Either there is no memory, or another thread has put the page into the cache: look up again. */
		if (!(READ_ONCE(swap_area(e)->map[swp_offset(e)]) & SWAP_MAP_HAS_CACHE))
			return NULL;
	}
}
