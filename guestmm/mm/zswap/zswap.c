/*
 * zswap: storing and loading.
 *
 *   evict.c ── dirty, not zero ──> zswap_store ─> same value everywhere? ─> entry, no memory
 *                                       │ compress (lib/lz4.c) ─> pool (zs_pool.c)
 *                                       └─ full, too large, no memory ─> the disk
 *   swap_readahead.c ── no-disk slot ──> zswap_load: the page is dirty, the entry is gone
 *
 * Loading a page frees its compressed copy: keeping both would cost the memory that was to be saved (Linux 6.12
 * does the same, "exclusive loads").
 *
 * I1  zswap[slot] of an area is an entry whose e is that slot; then the slot's byte has
 *     SWAP_MAP_NO_DISK. NO_DISK without an entry means a page of zeroes.
 * I2  Each entry is in one zswap[] only; with a length it is on the LRU and its ref is an object of
 *     the pool.
 * I3  stored_pages = entries; same_filled_pages = those without a length.
 *
 * Compression works in buffers of the CPU, with preemption off; nothing in between sleeps.
 */
#include "mm/zswap/zswap.h"
#include "mm/phys/highmem.h"
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
static DEFINE_PER_CPU(struct workspace *, workspaces); /* C once prepared; preemption off */
static struct kmem_cache *entry_cache;		       /* C once prepared */
static bool was_full; /* R: the pool was full and is still above the accept threshold */

bool zswap_same_filled(const void *page, u64 *value)
{
	const u64 *w = page;

	/* Most pages with different words already differ in the last word. */
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

/* Free an entry that is already unlinked. */
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
	struct workspace *w = this_cpu_read(workspaces);
	const void *p = kmap_local_page(page);
	size_t len = lz4_compress(p, PAGE_SIZE, w->data, sizeof(w->data), &w->table);
	int err;

	kunmap_local(p);

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

/* Make the entry the contents of its slot. */
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

static bool same_filled(const struct page *page, u64 *value)
{
	const void *p = kmap_local_page(page);
	bool same = zswap_same_filled(p, value);

	kunmap_local(p);
	return same;
}

bool zswap_store(struct page *page)
{
	swp_entry_t e = {page->private_};
	struct zswap_entry *entry;
	u64 value;
	int err = 0;

	if (!swap_area(e)->zswap)
		return false; /* at swapon there was no memory for the area's array */
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
	if (same_filled(page, &value)) {
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
static int fill_words(const struct zswap_entry *entry, u64 *w)
{
	struct workspace *ws;
	long n;

	if (!entry->length) {
		for (unsigned int i = 0; i < PAGE_SIZE / sizeof(*w); i++)
			w[i] = entry->value;
		return 0;
	}
	preempt_disable();
	ws = this_cpu_read(workspaces);
	zs_load(&entry->ref, ws->data, entry->length);
	n = lz4_decompress(ws->data, entry->length, w, PAGE_SIZE);
	preempt_enable();
	return n == (long)PAGE_SIZE ? 0 : -EIO;
}

static int fill_page(const struct zswap_entry *entry, struct page *page)
{
	u64 *w = kmap_local_page(page);
	int err = fill_words(entry, w);

	kunmap_local(w);
	return err;
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
		/* Keep the entry for inspection: there is no other copy of the slot's contents. */
		atomic_add(&zswap_counts.decompress_fail, 1);
		printk("zswap: slot %lu of area %u does not decompress\n", (unsigned long)offset,
		       si->type);
		return -EIO;
	}
	/* Set before the entry is freed: from now on the page is the only copy. */
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
		struct workspace **w = &per_cpu(workspaces, cpu);

		if (!*w)
			*w = kmalloc(sizeof(**w), GFP_KERNEL);
		if (!*w)
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
