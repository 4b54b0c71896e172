/*
 * Adding and removing swap areas.
 *
 * The header is mkswap's: "SWAPSPACE2" at byte 4086 of the first page; version 1 at 1024, then the
 * number of the last page, the number of bad pages, and from 1536 on their list.
 *
 * I1  An area in use (bdev set) has its map, cache and cluster arrays.
 * I2  swapoff: no new slots first; then every entry is replaced by its page; at inuse = 0 nothing
 *     names the area any more.
 *
 * Locks: swapon_mutex serialises both calls; si->lock for the rest.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/init.h"
#include "mm/reclaim/lru.h"
#include "mm/cache/pagecache.h"
#include "mm/pgtable/pgtable.h"
#include "mm/memcg/memcg.h"
#include "mm/swap/swapcache.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/slab/slab.h"
#include "mm/zswap/zswap.h"

struct swap_header {
	u8 boot[1024];
	u32 version;
	u32 last_page;
	u32 nr_badpages;
	u8 uuid[16], label[16];
	u32 padding[117];
	u32 badpages[];
};
_Static_assert(offsetof(struct swap_header, badpages) == 1536, "mkswap's layout");
#define SWAP_MAGIC_OFFSET (PAGE_SIZE - 10)
#define SWAP_MAX_BADPAGES ((SWAP_MAGIC_OFFSET - 1536) / 4)
#define SWAP_MAX_SLOTS	  (1ull << 31) /* version 1 counts in 32 bits; a slot index stays below */

struct mutex swapon_mutex = MUTEX_INIT(swapon_mutex);
static int next_prio = -2; /* for areas without a given priority; numbered as on Linux */

u64 swap_total_pages(void)
{
	return READ_ONCE(total_swap_pages);
}

u64 swap_free_pages(void)
{
	s64 n = atomic_load(&nr_swap_pages);

	return n > 0 ? n : 0;
}

/* Slots of the area by its header, or -EINVAL. Everything read from the disk is checked. */
static long check_header(const struct swap_header *h, u64 disk_pages)
{
	u64 slots = (u64)h->last_page + 1;

	if (memcmp((const u8 *)h + SWAP_MAGIC_OFFSET, "SWAPSPACE2", 10) || h->version != 1)
		return -EINVAL;
	if (!h->last_page || slots > disk_pages || slots > SWAP_MAX_SLOTS)
		return -EINVAL;
	if (h->nr_badpages > SWAP_MAX_BADPAGES)
		return -EINVAL;
	for (u32 i = 0; i < h->nr_badpages; i++)
		if (!h->badpages[i] || h->badpages[i] >= slots)
			return -EINVAL;
	return slots;
}

static int read_header(const struct swap_source *s, struct page *page)
{
	struct bio bio = {.bdev = s->bdev, .op = BIO_READ, .nr_pages = 1};

	if (s->bdev->nr_sectors < 2 * SECTORS_PER_SLOT)
		return -EINVAL;
	if (s->extent) {
		if (!s->nr_extents || s->extent[0].first)
			return -EINVAL;
		bio.sector = s->extent[0].sector;
	}
	bio.pages[0] = page;
	return submit_bio_wait(&bio) ? -EIO : 0;
}

static void free_arrays(struct swap_info *si)
{
	vfree(si->map);
	vfree(si->cache);
	vfree(si->cluster_free);
	vfree(si->memcg);
	vfree(si->zswap);
	vfree(si->failed);
	vfree(si->to_discard);
	si->to_discard = NULL;
	si->failed = NULL;
	si->memcg = NULL;
	si->zswap = NULL;
	si->map = NULL;
	si->cache = NULL;
	si->cluster_free = NULL;
}

/* Mark a slot as never to be used. Harmless if it is marked already. */
static void mark_bad(struct swap_info *si, u64 slot)
{
	if (si->map[slot])
		return;
	si->map[slot] = SWAP_MAP_BAD;
	si->cluster_free[slot / SWAP_CLUSTER]--;
	si->usable--;
}

/* Pages of the file that do not lie in one piece on the disk. */
static void mark_outside(struct swap_info *si)
{
	u64 slot = 0;

	for (u32 i = 0; i < si->nr_extents; i++) {
		for (; slot < si->extent[i].first && slot < si->nr_slots; slot++)
			mark_bad(si, slot);
		slot = si->extent[i].first + si->extent[i].nr;
	}
	for (; slot < si->nr_slots; slot++)
		mark_bad(si, slot);
}

/* Map, cache and clusters for si->nr_slots, with the unusable slots marked. */
static int make_arrays(struct swap_info *si, const struct swap_header *h)
{
	si->nr_clusters = DIV_ROUND_UP(si->nr_slots, SWAP_CLUSTER);
	si->map = vzalloc(si->nr_slots);
	si->cache = vzalloc(si->nr_slots * sizeof(si->cache[0]));
	si->cluster_free = vzalloc(si->nr_clusters * sizeof(si->cluster_free[0]));
	si->failed = vzalloc(DIV_ROUND_UP(si->nr_slots, 64) * sizeof(si->failed[0]));
	if (!si->map || !si->cache || !si->cluster_free || !si->failed) {
		free_arrays(si);
		return -ENOMEM;
	}
	for (u32 c = 0; c < si->nr_clusters; c++)
		si->cluster_free[c] = min((u64)SWAP_CLUSTER, si->nr_slots - (u64)c * SWAP_CLUSTER);
	si->usable = si->nr_slots;
	mark_bad(si, 0);
	for (u32 i = 0; i < h->nr_badpages; i++)
		mark_bad(si, h->badpages[i]);
	if (si->extent)
		mark_outside(si);
	return si->usable ? 0 : -EINVAL;
}

/* Writable areas or their priorities have changed. swapon_mutex held. */
static void publish_areas(void)
{
	struct swap_info *order[MAX_SWAP_AREAS + 1] = {NULL};

	for (unsigned int n = 0, i = 0; i < MAX_SWAP_AREAS; i++) {
		struct swap_info *si = &swap_areas[i];
		unsigned int at;

		if (!si->writable)
			continue;
		for (at = n++; at && order[at - 1]->prio < si->prio; at--)
			order[at] = order[at - 1];
		order[at] = si;
	}
	for (unsigned int i = MAX_SWAP_AREAS; i-- > 0;) {
		if (!order[i])
			continue;
		WRITE_ONCE(order[i]->nr_equal, order[i + 1] && order[i + 1]->prio == order[i]->prio
						       ? order[i + 1]->nr_equal + 1
						       : 1);
	}
	for (unsigned int i = 0; i <= MAX_SWAP_AREAS; i++)
		WRITE_ONCE(swap_order[i], order[i]);
	swap_total_publish();
	swap_levels_publish();
}

/* Pages of the disk from the area's first to its last, without the header, as Linux says it. */
static u64 across(const struct swap_info *si)
{
	u64 lo = ~0ull, hi = 0;

	if (!si->extent)
		return si->usable;
	for (u32 i = 0; i < si->nr_extents; i++) {
		const struct swap_extent *x = &si->extent[i];

		/* The header's page does not count. */
		lo = min(lo, x->sector / SECTORS_PER_SLOT + !x->first);
		hi = max(hi, x->sector / SECTORS_PER_SLOT + x->nr);
	}
	return hi - lo;
}

/* swapon_mutex held. */
static int make_memcg_record(struct swap_info *si)
{
	u16 *record = vzalloc(si->nr_slots * sizeof(*record));

	if (!record)
		return -ENOMEM;
	spin_lock(&si->lock);
	si->memcg = record;
	si->has_records = true;
	spin_unlock(&si->lock);
	return 0;
}

int swap_memcg_prepare(void)
{
	int err = 0;

	mutex_lock(&swapon_mutex);
	for (unsigned int i = 0; i < MAX_SWAP_AREAS && !err; i++) {
		if (swap_areas[i].bdev && !swap_areas[i].memcg)
			err = make_memcg_record(&swap_areas[i]);
	}
	mutex_unlock(&swapon_mutex);
	return err;
}

int swap_zswap_prepare(void)
{
	int err;

	mutex_lock(&swapon_mutex);
	err = zswap_prepare();
	mutex_unlock(&swapon_mutex);
	return err;
}

void swap_slot_set_memcg(swp_entry_t e, u16 id)
{
	struct swap_info *si = swap_area(e);

	spin_lock(&si->lock);
	si->memcg[swp_offset(e)] = id;
	spin_unlock(&si->lock);
}

struct mem_cgroup *swap_slot_memcg(swp_entry_t e)
{
	struct swap_info *si = swap_area(e);
	struct mem_cgroup *memcg = NULL;

	spin_lock(&si->lock);
	if (si->memcg && si->memcg[swp_offset(e)]) {
		memcg = mem_cgroup_from_id(si->memcg[swp_offset(e)]);
		mem_cgroup_get(memcg);
	}
	spin_unlock(&si->lock);
	return memcg;
}

static bool is_source(const struct swap_info *si, struct block_device *bdev, const void *file)
{
	return si->bdev && si->file == file && (file || si->bdev == bdev);
}

/* /dev/NAME for a disk. */
static char *copy_name(const struct swap_source *s)
{
	char disk[32];
	const char *name = s->name;
	char *copy;

	if (!name) {
		ksnprintf(disk, sizeof(disk), "/dev/%s", s->bdev->name);
		name = disk;
	}
	copy = kmalloc(strlen(name) + 1, GFP_KERNEL);
	if (copy)
		memcpy(copy, name, strlen(name) + 1);
	return copy;
}

/* Find a free entry of swap_areas[] for a new area. 0, -EBUSY or -EPERM. swapon_mutex held. */
static int find_place(const struct swap_source *s, struct swap_info **place)
{
	*place = NULL;
	for (unsigned int i = MAX_SWAP_AREAS; i-- > 0;) {
		if (is_source(&swap_areas[i], s->bdev, s->file))
			return -EBUSY;
		if (!swap_areas[i].bdev)
			*place = &swap_areas[i];
	}
	return *place ? 0 : -EPERM; /* as Linux when all areas are taken */
}

/* Set up discard as the flags ask. With ONCE, PAGES is ignored, as on Linux. If there is no memory for the bits,
 * clusters are not discarded later; that is no error. */
static void prepare_discard(struct swap_info *si, const struct swap_source *s)
{
	bool pages = !(s->flags & SWAP_FLAG_DISCARD_ONCE);
	bool once = !pages || !(s->flags & SWAP_FLAG_DISCARD_PAGES);

	if (!(s->flags & SWAP_FLAG_DISCARD) || !s->bdev->has_discard)
		return;
	if (once)
		swap_discard_area(si, s->bdev);
	if (pages && !swap_discard_start())
		si->to_discard = vzalloc(DIV_ROUND_UP(si->nr_clusters, 64) * sizeof(u64));
}

int swapon_area(const struct swap_source *s, int prio)
{
	struct swap_info *si = NULL;
	struct page *page;
	char *name;
	long slots;
	int err = -ENOMEM;

	page = alloc_page(GFP_KERNEL);
	name = copy_name(s);
	mutex_lock(&swapon_mutex);
	if (!page || !name)
		goto out;
	err = find_place(s, &si);
	if (!err)
		err = read_header(s, page);
	if (!err)
		swap_stale_start();
	if (err)
		goto out;
	slots = check_header(page_address(page),
			     s->file ? s->nr_pages : s->bdev->nr_sectors / SECTORS_PER_SLOT);
	err = slots < 0 ? (int)slots : 0;
	if (err)
		goto out;
	*si = (struct swap_info){.type = si - swap_areas,
				 .nr_slots = slots,
				 .cursor = 1,
				 .extent = s->extent,
				 .nr_extents = s->nr_extents,
				 .file = s->file};
	err = make_arrays(si, page_address(page));
	if (err) {
		free_arrays(si);
		si->extent = NULL; /* the caller's */
		goto out;
	}
	si->name = name;
	name = NULL;
	prepare_discard(si, s);
	si->prio = prio >= 0 ? prio : next_prio--;
	spin_lock(&si->lock);
	si->bdev = s->bdev;
	si->writable = true;
	spin_unlock(&si->lock);
	/* If these fail, the area's slots are not charged or not compressed; that is no error. */
	if (mem_cgroup_enabled())
		make_memcg_record(si);
	if (zswap_prepared)
		zswap_area_prepare(si);
	atomic_add(&nr_swap_pages, (s64)si->usable);
	publish_areas();
	audit_root_fill();
	printk("Adding %luk swap on %s.  Priority:%d extents:%u across:%luk\n",
	       (unsigned long)si->usable << (PAGE_SHIFT - 10), si->name, si->prio,
	       si->extent ? si->nr_extents : 1, (unsigned long)across(si) << (PAGE_SHIFT - 10));
out:
	mutex_unlock(&swapon_mutex);
	kfree(name);
	if (page)
		__free_page(page);
	return err;
}

int do_swapon(struct block_device *bdev, int prio)
{
	return swapon_area(&(struct swap_source){.bdev = bdev}, prio);
}

/* ---- swapoff ---- */

/* Swap in the pages that `mm` has in the area. */
static int unuse_mm(struct mm_struct *mm, unsigned int type)
{
	struct vm_area_struct *vma;
	unsigned long addr, next;
	int err = 0;

	down_read(&mm->mmap_lock);
	list_for_each_entry (vma, &mm->mmap, link) {
		for (addr = vma->vm_start; addr < vma->vm_end && !err; addr = next) {
			unsigned int level;
			pte_t *pte = walk_leaf(mm->pgd, addr, &level, &next);

			next = min(next, vma->vm_end);
			if (!pte || level)
				continue;
			for (; addr < next && !err; addr += PAGE_SIZE, pte++) {
				while (!err && pte_is_swap(pte_read(pte)) &&
				       swp_type(pte_to_swp_entry(pte_read(pte))) == type) {
					err = swap_in_pte(vma, addr, pte);
					if (current_thread_info()->flags & TIF_KILLED)
						err = -EINTR;
				}
			}
		}
		if (err)
			break;
	}
	up_read(&mm->mmap_lock);
	return err;
}

/* Every address space, until one fails. */
static int unuse_all(unsigned int type)
{
	struct mm_struct *mm = NULL;
	int err = 0;

	while (!err && (mm = mm_next(mm)))
		err = unuse_mm(mm, type);
	if (mm)
		mmput(mm);
	return err;
}

/* Faults may still hold entries that they read before those were replaced. Such a fault holds its mmap_lock: after
 * each was taken for writing here, nobody uses the area's arrays any more. */
static void wait_for_faults(void)
{
	for (struct mm_struct *mm = mm_next(NULL); mm; mm = mm_next(mm)) {
		down_write(&mm->mmap_lock);
		up_write(&mm->mmap_lock);
	}
}

/* Slots that only the cache still owns. */
static int drop_cached(struct swap_info *si)
{
	for (u64 i = 1; i < si->nr_slots && READ_ONCE(si->inuse); i++) {
		swp_entry_t e = swp_entry(si->type, i);
		struct page *page = swap_cache_lookup(e);

		if (!page)
			continue;
		lock_page(page);
		wait_on_page_writeback(page);
		if (PageSwapCache(page) && page->private_ == e.v)
			try_to_free_swap(page);
		unlock_page(page);
		release_page(page);
		if (current_thread_info()->flags & TIF_KILLED)
			return -EINTR;
	}
	return 0;
}

/* Stop giving out slots of the area. */
static void close_area(struct swap_info *si)
{
	spin_lock(&si->lock);
	si->writable = false;
	atomic_sub(&nr_swap_pages, (s64)(si->usable - si->inuse));
	spin_unlock(&si->lock);
	publish_areas();
}

static void reopen_area(struct swap_info *si)
{
	spin_lock(&si->lock);
	si->writable = true;
	atomic_add(&nr_swap_pages, (s64)(si->usable - si->inuse));
	spin_unlock(&si->lock);
	publish_areas();
}

int do_swapoff(struct block_device *bdev)
{
	return swapoff_area(bdev, NULL);
}

int swapoff_area(struct block_device *bdev, void *file)
{
	struct swap_info *si = NULL;
	int err = -EINVAL;

	mutex_lock(&swapon_mutex);
	for (unsigned int i = 0; i < MAX_SWAP_AREAS; i++)
		if ((bdev || file) && is_source(&swap_areas[i], bdev, file))
			si = &swap_areas[i];
	if (!si)
		goto out;
	close_area(si);
	/* The swapped pages must fit into memory and the other areas; then read them back. One pass may miss an
	 * entry of a process that forks or exits meanwhile, so repeat while there is progress. */
	err = -ENOMEM;
	if (si->inuse > nr_free_pages() + swap_free_pages() + global_stat(NR_SWAPCACHE))
		goto undo;
	do {
		err = unuse_all(si->type);
		if (!err)
			err = shmem_unuse(si->type);
		if (!err)
			err = drop_cached(si);
		/* Another thread is about to free a slot: give it time, but do not wait for ever. */
		if (!err && si->inuse)
			cond_resched();
		if (!err && (current_thread_info()->flags & TIF_KILLED))
			err = si->inuse ? -EINTR : 0;
	} while (!err && si->inuse);
	if (err)
		goto undo;
	zswap_wait_writeback();
	while (swap_writes_in_flight())
		swap_wait_for_write();
	wait_for_faults();
	spin_lock(&si->lock);
	si->bdev = NULL;
	spin_unlock(&si->lock);
	free_arrays(si);
	vfree(si->extent);
	kfree(si->name);
	si->extent = NULL;
	si->name = NULL;
	si->file = NULL;
	audit_root_fill();
out:
	mutex_unlock(&swapon_mutex);
	return err;
undo:
	reopen_area(si);
	goto out;
}

/* ---- from outside ---- */

void report_swaps(struct report *r)
{
	report_printf(r, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	for (unsigned int i = 0; i < MAX_SWAP_AREAS; i++) {
		const struct swap_info *si = &swap_areas[i];
		unsigned long size = si->usable << (PAGE_SHIFT - 10);
		unsigned long used = si->inuse << (PAGE_SHIFT - 10);

		if (!si->bdev)
			continue;
		report_printf(r, "%-40s%s\t%lu\t%s%lu\t%s%d\n", si->name,
			      si->file ? "file\t" : "partition", size, size < 10000000 ? "\t" : "",
			      used, used < 10000000 ? "\t" : "", si->prio);
	}
}
