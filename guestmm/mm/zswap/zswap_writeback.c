/*
 * zswap's writeback to the disk: when the pool is full, or reclaim asks for it (shrinker_enabled), the coldest
 * pages are decompressed and written to their slots.
 *
 *   LRU tail ─> a page in the swap cache for its slot ─> decompress ─> swap_write_page()
 *                    │ slot freed, or its page is in memory: next
 *
 * An entry is read only under zswap_lru_lock, to get its slot. Once the slot's page is in the swap cache and
 * locked, the entry that the slot has then cannot be freed by others.
 *
 * Locks: writeback_mutex > page lock > zswap_lru_lock. Reclaim tries the mutex and does not wait for it, because
 * its holder allocates memory.
 */
#include "mm/zswap/zswap.h"
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/memcg/memcg.h"
#include "mm/reclaim/lru.h"
#include "mm/slab/slab.h"

#define WRITEBACK_BATCH	 32u
#define WRITEBACK_MISSES 64u /* entries that cannot be written, before a run gives up */
/* No allocation that would reclaim: reclaim waits for this writeback. */
#define WRITEBACK_GFP (__GFP_KSWAPD_RECLAIM | __GFP_NOWARN | __GFP_HIGHMEM | __GFP_MOVABLE)

spinlock_t zswap_lru_lock = SPINLOCK_INIT;
static LIST_HEAD(zswap_lru); /* zswap_lru_lock */
static u64 nr_lru;	     /* zswap_lru_lock to change */
static struct mutex writeback_mutex = MUTEX_INIT(writeback_mutex);
static struct wait_queue writeback_wait = WAIT_QUEUE_INIT(writeback_wait);
static bool writeback_wanted;

void zswap_lru_add(struct zswap_entry *entry)
{
	spin_lock(&zswap_lru_lock);
	list_add(&entry->lru, &zswap_lru);
	nr_lru++;
	spin_unlock(&zswap_lru_lock);
}

void zswap_lru_del(struct zswap_entry *entry)
{
	spin_lock(&zswap_lru_lock);
	list_del(&entry->lru);
	nr_lru--;
	spin_unlock(&zswap_lru_lock);
}

/* The slot of the coldest page that may be written; v = 0: none found. Its entry moves to the head, so that a page
 * that cannot be written now does not block the others. */
static swp_entry_t coldest(unsigned int *misses)
{
	swp_entry_t e = {0};

	spin_lock(&zswap_lru_lock);
	while (!list_empty(&zswap_lru) && *misses < WRITEBACK_MISSES + nr_lru) {
		struct zswap_entry *entry = list_last_entry(&zswap_lru, struct zswap_entry, lru);

		list_move(&entry->lru, &zswap_lru);
		if (!entry->referenced && mem_cgroup_zswap_writeback_id(entry->memcg)) {
			e = entry->e;
			break;
		}
		entry->referenced = false; /* a second chance */
		++*misses;
	}
	spin_unlock(&zswap_lru_lock);
	return e;
}

/* A locked page in the swap cache for the slot, with a reference; NULL: no memory, or the slot is free or
 * cached. */
static struct page *cache_page(swp_entry_t e)
{
	struct page *page = alloc_pages_type(WRITEBACK_GFP, 0, PAGE_ANON);
	u32 shadow;

	if (!page) {
		atomic_add(&zswap_counts.reject_reclaim_fail, 1);
		return NULL;
	}
	if (mem_cgroup_swapin_charge(page, NULL, e, WRITEBACK_GFP) ||
	    !swap_cache_insert_new(page, e, &shadow)) {
		__free_page(page);
		return NULL;
	}
	lru_add(page);
	return page;
}

/* Write one slot's page. False: it could not be. */
static bool write_slot(struct swap_write_batch *b, swp_entry_t e)
{
	struct page *page = cache_page(e);
	int err;

	if (!page)
		return false;
	err = zswap_load(page);
	if (err) {
		/* The slot was freed and reused, or its data are damaged: a fault on it reports that. */
		delete_from_swap_cache(page);
		unlock_page(page);
		release_page(page);
		return false;
	}
	SetPageUptodate(page);
	trace_point(ZSWAP_WRITEBACK, e.v, .pfn = page_to_pfn(page));
	count_vm_event(ZSWPWB);
	mem_cgroup_count_page(page, ZSWPWB);
	atomic_add(&zswap_counts.written_back_pages, 1);
	swap_write_page(b, page);
	release_page(page);
	return true;
}

/* writeback_mutex held: a swap area is not removed while we write to it. */
static u64 write_coldest(u64 nr)
{
	struct swap_write_batch b = {NULL};
	unsigned int misses = 0;
	u64 done = 0;

	while (done < nr) {
		swp_entry_t e = coldest(&misses);

		if (!e.v)
			break;
		if (write_slot(&b, e))
			done++;
		else if (++misses >= WRITEBACK_MISSES + READ_ONCE(nr_lru))
			break;
	}
	swap_write_flush(&b);
	return done;
}

u64 zswap_writeback(u64 nr)
{
	u64 done;

	if (!mutex_trylock(&writeback_mutex))
		return 0;
	done = write_coldest(nr);
	mutex_unlock(&writeback_mutex);
	return done;
}

void zswap_wait_writeback(void)
{
	mutex_lock(&writeback_mutex);
	mutex_unlock(&writeback_mutex);
}

/* ---- the thread ------------------------------------------------------------------------------- */

static int writeback_thread(void *arg)
{
	atomic_or(&current_thread_info()->flags, TIF_MEMALLOC);
	for (;;) {
		wait_event(&writeback_wait, READ_ONCE(writeback_wanted));
		WRITE_ONCE(writeback_wanted, false);
		/* Compaction alone may free enough. */
		zs_compact(zs_compactable());
		while (zs_pages() >= zswap_accept_limit()) {
			if (!zswap_writeback(WRITEBACK_BATCH))
				break;
			zs_compact(WRITEBACK_BATCH);
			cond_resched();
		}
	}
	return 0;
}

void zswap_wake_writeback(void)
{
	if (READ_ONCE(writeback_wanted))
		return;
	WRITE_ONCE(writeback_wanted, true);
	wake_up(&writeback_wait);
}

/* ---- shrinkers -------------------------------------------------------------------------------- */

static unsigned long count_compactable(struct shrinker *s, struct shrink_control *sc)
{
	return zs_compactable();
}

static unsigned long scan_compact(struct shrinker *s, struct shrink_control *sc)
{
	return zs_compact(sc->nr_to_scan);
}

/* The better pages compress, the less memory writing one of them frees. */
static unsigned long count_coldest(struct shrinker *s, struct shrink_control *sc)
{
	u64 stored = atomic_load(&zswap_counts.stored_pages);

	if (!READ_ONCE(zswap_shrinker_enabled) || !stored)
		return 0;
	return READ_ONCE(nr_lru) * zs_pages() / stored;
}

static unsigned long scan_coldest(struct shrinker *s, struct shrink_control *sc)
{
	return zswap_writeback(sc->nr_to_scan);
}

static struct shrinker compact_shrinker = {
	.name = "zswap-pool", .count = count_compactable, .scan = scan_compact};
static struct shrinker coldest_shrinker = {
	.name = "zswap", .count = count_coldest, .scan = scan_coldest};

int zswap_writeback_init(void)
{
	int err = kthread_run(writeback_thread, NULL, "zswap-shrink");

	if (err)
		return err;
	register_shrinker(&compact_shrinker);
	register_shrinker(&coldest_shrinker);
	return 0;
}
