/*
 * The swap cache: pages that have a slot, while they are swapped out or in.
 *
 *   si->cache[slot] = frame + 1     the page in memory that belongs to the slot
 *                   = shadow        nothing in memory; when it was evicted (workingset.c)
 *                   = 0
 *
 * It makes sure that a slot has at most one page in memory, even if several threads fault on it. And a page that
 * was read and not written since can be dropped again without a write.
 *
 * I1  A page is in the cache exactly while it is SwapCache; then private_ is its entry, the slot
 *     has HAS_CACHE, and the cache holds one reference.
 * I2  A page enters and leaves with its page lock held. For eviction nobody else may hold a reference either: the
 *     count is checked and frozen under si->lock, under which look-ups take theirs.
 *
 * Locks: page lock > si->lock.
 */
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/workingset.h"
#include "mm/rmap/rmap.h"
#include "mm/memcg/memcg.h"
#include "mm/swap/swapcache.h"

struct page *swap_cache_lookup(swp_entry_t e)
{
	struct swap_info *si = swap_area(e);
	u64 offset = swp_offset(e);
	struct page *page = NULL;

	if (!(READ_ONCE(si->map[offset]) & SWAP_MAP_HAS_CACHE))
		return NULL;
	spin_lock(&si->lock);
	if (si->map[offset] & SWAP_MAP_HAS_CACHE) {
		page = pfn_to_page(si->cache[offset] - 1);
		get_page(page); /* the count is not 0: the cache holds a reference */
	}
	spin_unlock(&si->lock);
	return page;
}

#define trace_cache(event, page, e, how) \
	trace_point(event, (e).v, .pfn = page_to_pfn(page), .arg = TRACE_CACHE_##how)

/* lock held, HAS_CACHE set. */
static __always_inline void link_page(struct swap_info *si, struct page *page, swp_entry_t e)
{
	si->cache[swp_offset(e)] = page_to_pfn(page) + 1;
	page->private_ = e.v;
	get_page(page);
	page_stat_add(page, NR_SWAPCACHE, 1);
}

/* lock held. Forget the page; free the slot if nobody uses it. The cache's reference is the caller's now. */
static void unlink_page(struct swap_info *si, struct page *page, u64 offset, u32 shadow)
{
	si->map[offset] &= ~SWAP_MAP_HAS_CACHE;
	if (si->map[offset] & SWAP_MAP_COUNT) {
		si->cache[offset] = shadow;
	} else {
		si->map[offset] = 0;
		__swap_slot_freed(si, offset);
	}
	ClearPageSwapCache(page);
	page->private_ = 0;
	page_stat_add(page, NR_SWAPCACHE, -1);
}

bool add_to_swap(struct page *page)
{
	swp_entry_t e = swap_slot_alloc();
	struct swap_info *si;

	if (!e.v)
		return false;
	si = swap_area(e);
	if (mem_cgroup_enabled() && mem_cgroup_charge_swap(page, e)) {
		spin_lock(&si->lock);
		si->map[swp_offset(e)] = 0;
		__swap_slot_freed(si, swp_offset(e));
		spin_unlock(&si->lock);
		return false;
	}
	spin_lock(&si->lock);
	link_page(si, page, e);
	atomic_or(&page->flags, 1ull << PG_swapcache | 1ull << PG_dirty);
	trace_cache(CACHE_ADD, page, e, OUT);
	spin_unlock(&si->lock);
	return true;
}

bool swap_cache_insert_new(struct page *page, swp_entry_t e, u32 *shadow)
{
	struct swap_info *si = swap_area(e);
	u64 offset = swp_offset(e);
	bool done = false;

	spin_lock(&si->lock);
	if ((si->map[offset] & SWAP_MAP_COUNT) && !(si->map[offset] & SWAP_MAP_HAS_CACHE)) {
		si->map[offset] |= SWAP_MAP_HAS_CACHE;
		*shadow = si->cache[offset];
		page->flags |= 1ull << PG_locked | 1ull << PG_swapcache | 1ull << PG_swapbacked;
		link_page(si, page, e);
		trace_cache(CACHE_ADD, page, e, IN);
		done = true;
	}
	spin_unlock(&si->lock);
	return done;
}

void delete_from_swap_cache(struct page *page)
{
	swp_entry_t e = {page->private_};
	struct swap_info *si = swap_area(e);

	spin_lock(&si->lock);
	unlink_page(si, page, swp_offset(e), 0);
	trace_cache(CACHE_DEL, page, e, FREE);
	spin_unlock(&si->lock);
	atomic_sub(&page->refcount, 1);
}

bool try_to_free_swap(struct page *page)
{
	if (!PageSwapCache(page) || PageWriteback(page) ||
	    swap_users((swp_entry_t){page->private_}))
		return false;
	delete_from_swap_cache(page);
	return true;
}

void free_swap_cache(struct page **pages, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (!PageSwapCache(pages[i]) || page_mapped(pages[i]))
			continue;
		if (!trylock_page(pages[i])) {
			swap_note_stale();
			continue;
		}
		if (!page_mapped(pages[i]) && !try_to_free_swap(pages[i]) &&
		    PageWriteback(pages[i]))
			swap_note_stale();
		unlock_page(pages[i]);
	}
}

int swap_cache_migrate(struct folio *dst, struct folio *src, int expected)
{
	swp_entry_t e = {src->page.private_};
	struct swap_info *si = swap_area(e);
	int err = -EAGAIN;

	spin_lock(&si->lock);
	/* Look-ups take their references under the lock. */
	if (atomic_cmpxchg(&src->page.refcount, expected, expected - 1) == expected) {
		page_stat_add(&src->page, NR_SWAPCACHE, -1);
		mem_cgroup_migrate(&src->page, &dst->page); /* the level of its group, too */
		folio_set_swapcache(dst);
		link_page(si, &dst->page, e);
		folio_clear_swapcache(src);
		src->page.private_ = 0;
		err = 0;
	}
	spin_unlock(&si->lock);
	return err;
}

bool swap_cache_evict(struct page *page)
{
	swp_entry_t e = {page->private_};
	struct swap_info *si = swap_area(e);
	bool done = false;

	spin_lock(&si->lock);
	if (atomic_cmpxchg(&page->refcount, 2, 0) == 2) {
		if (unlikely(PageDirty(page))) {
			atomic_store(&page->refcount, 2);
		} else {
			unlink_page(si, page, swp_offset(e), workingset_eviction(page));
			trace_cache(CACHE_DEL, page, e, EVICT);
			done = true;
		}
	}
	spin_unlock(&si->lock);
	return done;
}
