/*
 * Freeing pages that stay in the swap cache although nobody needs their slot.
 *
 * Whoever drops the last use of a slot frees its cached page (free_swap_cache()). It cannot wait, so it leaves a
 * page that is locked or being written: typically one of a process that was killed while it was being swapped out.
 * Such a page and its slot would stay until reclaim reaches it, and with them the memory cgroup that they are
 * charged to. So a caller that could not free a page sets a flag, and the thread "swapstale" waits for the page and
 * frees it.
 *
 * I1  When the flag is set, the thread scans every slot. After the scan, a slot that only the swap cache used and
 *     whose page was not mapped is free, or has a user again.
 * I2  swapon and swapoff wait for a scan that is under way (swapon_mutex), so the areas stay.
 *
 * Locks: swapon_mutex > page lock > si->lock. Setting the flag takes only the lock of a wait queue.
 */
#include "mm/reclaim/lru.h"
#include "mm/swap/swapcache.h"

static struct wait_queue stale_wq = WAIT_QUEUE_INIT(stale_wq);
static bool wanted; /* A: a scan was asked for and has not begun */

void swap_note_stale(void)
{
	if (READ_ONCE(wanted))
		return;
	WRITE_ONCE(wanted, true);
	wake_up(&stale_wq);
}

/* Read without a lock: free_one() decides under the page's lock. */
static bool only_cached(const struct swap_info *si, u64 slot)
{
	return (READ_ONCE(si->map[slot]) & (SWAP_MAP_COUNT | SWAP_MAP_HAS_CACHE)) ==
	       SWAP_MAP_HAS_CACHE;
}

static void free_one(swp_entry_t e)
{
	struct page *page = swap_cache_lookup(e);

	if (!page)
		return;
	/* A mapped page may keep its slot: if it stays clean, it need not be written again. */
	if (!page_mapped(page)) {
		lock_page(page);
		wait_on_page_writeback(page);
		if (!page_mapped(page) && page->private_ == e.v && try_to_free_swap(page))
			count_vm_event(MMVM_SWAP_STALE);
		unlock_page(page);
	}
	release_page(page);
}

void swap_stale_work(void)
{
	WRITE_ONCE(wanted, false);
	mutex_lock(&swapon_mutex);
	for (unsigned int i = 0; i < MAX_SWAP_AREAS; i++) {
		const struct swap_info *si = &swap_areas[i];

		for (u64 slot = 1; si->bdev && slot < si->nr_slots; slot++) {
			if (unlikely(only_cached(si, slot)))
				free_one(swp_entry(si->type, slot));
			if (!(slot % 1024))
				cond_resched();
		}
	}
	mutex_unlock(&swapon_mutex);
}

static int swapstale(void *arg)
{
	for (;;) {
		wait_event(&stale_wq, READ_ONCE(wanted));
		swap_stale_work();
	}
	return 0;
}

void swap_stale_start(void)
{
	static bool started; /* swapon_mutex */

	/* Without the thread such pages wait for reclaim. */
	if (!started)
		started = !kthread_run(swapstale, NULL, "swapstale");
}
