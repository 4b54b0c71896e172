/*
 * zswap: storing and loading.
 *
 *   evict.c ── dirty, not zero ──> zswap_store ─> same value everywhere? ─> entry, no memory
 *                                       │ compress (lib/lz4.c) ─> pool (zs_pool.c)
 *                                       └─ full, too large, no memory ─> the disk
 *   swap_readahead.c ── no-disk slot ──> zswap_load: the page is dirty, the entry is gone
 *
 * A page that comes back takes its contents along: keeping them twice would cost the memory that was
 * to be saved (Linux 6.12 does the same, "exclusive loads").
 *
 * I1  zswap[slot] of an area is an entry whose e is that slot; then the slot's byte has
 *     SWAP_MAP_NO_DISK. Not so: the byte's NO_DISK means a page of zeroes.
 * I2  Each entry is in one zswap[] only; with a length it is on the LRU and its ref is an object of
 *     the pool.
 * I3  stored_pages = entries; same_filled_pages = those without a length.
 *
 * Compression works in buffers of the CPU, with preemption off; nothing in between sleeps.
 */
#include "mm/zswap/zswap.h"
#include "lib/errno.h"
#include "lib/lz4.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/memcg/memcg.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/slab/slab.h"

#define ZSWAP_GFP (__GFP_KSWAPD_RECLAIM | __GFP_NOWARN | __GFP_HIGHMEM | __GFP_MOVABLE)

struct workspace {
	u8 data[ZS_MAX_SIZE];
	struct lz4_table table;
};

struct zswap_counts zswap_counts;
bool zswap_prepared;
static struct workspace *workspaces[MMVM_MAX_CPUS]; /* C once prepared; preemption off */
static struct kmem_cache *entry_cache;		    /* C once prepared */
static bool was_full; /* R: the pool has reached its limit and not yet come down */

bool zswap_same_filled(const void *page, u64 *value)
{
	const u64 *w = page;

	/* Most pages that are not differ at their end. */
	if (w[0] != w[PAGE_SIZE / sizeof(*w) - 1])
		return false;
	for (unsigned int i = 1; i < PAGE_SIZE / sizeof(*w) - 1; i++)
		if (w[i] != w[0])
			return false;
	*value = w[0];
	return true;
}

u64 zswap_limit(void)
{
	return totalram_pages() * READ_ONCE(zswap_max_pool_percent) / 100;
}

u64 zswap_accept_limit(void)
{
	return zswap_limit() * READ_ONCE(zswap_accept_threshold_percent) / 100;
}

bool zswap_has_room(void)
{
	u64 pages = zs_pages();

	if (pages >= zswap_limit()) {
		WRITE_ONCE(was_full, true);
		atomic_add(&zswap_counts.pool_limit_hit, 1);
		return false;
	}
	if (READ_ONCE(was_full)) {
		if (pages >= zswap_accept_limit())
			return false;
		WRITE_ONCE(was_full, false);
	}
	return true;
}

/* ---- entries ---------------------------------------------------------------------------------- */

/* Unlinked already. */
static void free_entry(struct zswap_entry *entry)
{
	if (entry->length)
		zs_free(&entry->ref);
	else
		atomic_sub(&zswap_counts.same_filled_pages, 1);
	atomic_sub(&zswap_counts.stored_pages, 1);
	if (unlikely(entry->memcg))
		mem_cgroup_uncharge_zswap(entry->memcg, entry->length);
	kmem_cache_free(entry_cache, entry);
}

void zswap_forget(struct swap_info *si, u64 offset)
{
	struct zswap_entry *entry = si->zswap[offset];

	if (!entry)
		return;
	si->zswap[offset] = NULL;
	if (entry->length)
		zswap_lru_del(entry);
	free_entry(entry);
}

/* Compress into the pool. 0 or -errno. Preemption off. */
static int compress(struct zswap_entry *entry, const struct page *page)
{
	struct workspace *w = workspaces[cpu_id()];
	size_t len =
		lz4_compress(page_address(page), PAGE_SIZE, w->data, sizeof(w->data), &w->table);
	int err;

	if (!len) {
		atomic_add(&zswap_counts.reject_compress_poor, 1);
		return -ENOSPC;
	}
	err = zs_store(w->data, len, ZSWAP_GFP, &entry->ref);
	if (err)
		atomic_add(&zswap_counts.reject_alloc_fail, 1);
	else
		entry->length = len;
	return err;
}

/* The slot's contents are the entry's from now on. */
static void publish(struct zswap_entry *entry)
{
	struct swap_info *si = swap_area(entry->e);
	u64 offset = swp_offset(entry->e);

	atomic_add(&zswap_counts.stored_pages, 1);
	if (!entry->length)
		atomic_add(&zswap_counts.same_filled_pages, 1);
	spin_lock(&si->lock);
	si->zswap[offset] = entry;
	si->map[offset] |= SWAP_MAP_NO_DISK;
	if (entry->length)
		zswap_lru_add(entry);
	spin_unlock(&si->lock);
}

bool zswap_store(struct page *page)
{
	swp_entry_t e = {page->private_};
	struct zswap_entry *entry;
	u64 value;
	int err = 0;

	if (!swap_area(e)->zswap)
		return false; /* no memory for its array at swapon */
	if (mem_cgroup_enabled() && !mem_cgroup_may_zswap(page))
		return false;
	if (!zswap_has_room()) {
		zswap_wake_writeback();
		return false;
	}
	entry = kmem_cache_alloc(entry_cache, ZSWAP_GFP & ~(__GFP_HIGHMEM | __GFP_MOVABLE));
	if (!entry) {
		atomic_add(&zswap_counts.reject_kmemcache_fail, 1);
		return false;
	}
	*entry = (struct zswap_entry){.e = e, .referenced = true};
	if (zswap_same_filled(page_address(page), &value)) {
		entry->value = value;
	} else {
		preempt_disable();
		err = compress(entry, page);
		preempt_enable();
	}
	if (err) {
		kmem_cache_free(entry_cache, entry);
		return false;
	}
	if (mem_cgroup_enabled())
		entry->memcg = mem_cgroup_charge_zswap(page, entry->length);
	publish(entry);
	ClearPageDirty(page);
	count_vm_event(ZSWPOUT);
	trace_point(ZSWAP_OUT, e.v, .pfn = page_to_pfn(page), .arg = entry->length);
	return true;
}

/* 0 or -EIO. */
static int fill_page(const struct zswap_entry *entry, struct page *page)
{
	u64 *w = page_address(page);
	struct workspace *ws;
	long n;

	if (!entry->length) {
		for (unsigned int i = 0; i < PAGE_SIZE / sizeof(*w); i++)
			w[i] = entry->value;
		return 0;
	}
	preempt_disable();
	ws = workspaces[cpu_id()];
	zs_load(&entry->ref, ws->data, entry->length);
	n = lz4_decompress(ws->data, entry->length, w, PAGE_SIZE);
	preempt_enable();
	return n == (long)PAGE_SIZE ? 0 : -EIO;
}

int zswap_load(struct page *page)
{
	swp_entry_t e = {page->private_};
	struct swap_info *si = swap_area(e);
	u64 offset = swp_offset(e);
	const struct zswap_entry *entry = si->zswap ? READ_ONCE(si->zswap[offset]) : NULL;

	if (!entry)
		return -ENOENT;
	if (fill_page(entry, page)) {
		/* The entry stays: it is evidence, and the slot has nothing better. */
		atomic_add(&zswap_counts.decompress_fail, 1);
		printk("zswap: slot %lu of area %u does not decompress\n", (unsigned long)offset,
		       si->type);
		return -EIO;
	}
	/* Before the entry is gone: from now on the page has the only copy. */
	SetPageDirty(page);
	spin_lock(&si->lock);
	zswap_forget(si, offset);
	si->map[offset] &= ~SWAP_MAP_NO_DISK;
	spin_unlock(&si->lock);
	return 0;
}

/* ---- areas ------------------------------------------------------------------------------------ */

int zswap_area_prepare(struct swap_info *si)
{
	struct zswap_entry **array;

	if (si->zswap)
		return 0;
	array = vzalloc(si->nr_slots * sizeof(*array));
	if (!array)
		return -ENOMEM;
	spin_lock(&si->lock);
	si->zswap = array;
	si->has_records = true;
	spin_unlock(&si->lock);
	return 0;
}

int zswap_prepare(void)
{
	const u32 nr_cpus = min(mmvm_shared->nr_cpus, (u32)MMVM_MAX_CPUS);

	if (!entry_cache)
		entry_cache =
			kmem_cache_create("zswap_entry", sizeof(struct zswap_entry), 0, 0, NULL);
	if (!entry_cache)
		return -ENOMEM;
	for (unsigned int cpu = 0; cpu < max(nr_cpus, 1u); cpu++) {
		if (!workspaces[cpu])
			workspaces[cpu] = kmalloc(sizeof(*workspaces[cpu]), GFP_KERNEL);
		if (!workspaces[cpu])
			return -ENOMEM;
	}
	for (unsigned int i = 0; i < MAX_SWAP_AREAS; i++) {
		int err = swap_areas[i].bdev ? zswap_area_prepare(&swap_areas[i]) : 0;

		if (err)
			return err;
	}
	WRITE_ONCE(zswap_prepared, true);
	return 0;
}
