/*
 * Swap areas come and go.
 *
 * The header is mkswap's: "SWAPSPACE2" at byte 4086 of the first page; version 1 at 1024, then the
 * number of the last page, the number of bad pages, and from 1536 on their list.
 *
 * I1  An area that is given out (bdev set) has its map, cache and cluster arrays.
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
#include "mm/virt/pgtable.h"
#include "mm/memcg/memcg.h"
#include "mm/swap/swapcache.h"
#include "mm/kvirt/vmalloc.h"
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

static struct mutex swapon_mutex = MUTEX_INIT(swapon_mutex);
static int next_prio = -2; /* as Linux numbers areas without a priority of their own */

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

static int read_header(struct block_device *bdev, struct page *page)
{
	struct bio bio = {.bdev = bdev, .op = BIO_READ, .nr_pages = 1};

	if (bdev->nr_sectors < 2 * SECTORS_PER_SLOT)
		return -EINVAL;
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
	si->memcg = NULL;
	si->zswap = NULL;
	si->map = NULL;
	si->cache = NULL;
	si->cluster_free = NULL;
}

/* Map, cache and clusters for si->nr_slots, with the unusable slots marked. */
static int make_arrays(struct swap_info *si, const struct swap_header *h)
{
	si->nr_clusters = DIV_ROUND_UP(si->nr_slots, SWAP_CLUSTER);
	si->map = vzalloc(si->nr_slots);
	si->cache = vzalloc(si->nr_slots * sizeof(si->cache[0]));
	si->cluster_free = vzalloc(si->nr_clusters * sizeof(si->cluster_free[0]));
	if (!si->map || !si->cache || !si->cluster_free) {
		free_arrays(si);
		return -ENOMEM;
	}
	for (u32 c = 0; c < si->nr_clusters; c++)
		si->cluster_free[c] = min((u64)SWAP_CLUSTER, si->nr_slots - (u64)c * SWAP_CLUSTER);
	si->map[0] = SWAP_MAP_BAD;
	si->cluster_free[0]--;
	si->usable = si->nr_slots - 1;
	for (u32 i = 0; i < h->nr_badpages; i++) {
		u32 bad = h->badpages[i];

		if (si->map[bad])
			continue; /* named twice */
		si->map[bad] = SWAP_MAP_BAD;
		si->cluster_free[bad / SWAP_CLUSTER]--;
		si->usable--;
	}
	return si->usable ? 0 : -EINVAL;
}

/* Writable areas or their priorities have changed. swapon_mutex held. */
static void publish_areas(void)
{
	struct swap_info *order[MAX_SWAP_AREAS + 1] = {NULL};
	u64 total = 0;

	for (unsigned int n = 0, i = 0; i < MAX_SWAP_AREAS; i++) {
		struct swap_info *si = &swap_areas[i];
		unsigned int at;

		if (!si->writable)
			continue;
		for (at = n++; at && order[at - 1]->prio < si->prio; at--)
			order[at] = order[at - 1];
		order[at] = si;
		total += si->usable;
	}
	for (unsigned int i = 0; i <= MAX_SWAP_AREAS; i++)
		WRITE_ONCE(swap_order[i], order[i]);
	WRITE_ONCE(total_swap_pages, total);
	mmvm_shared->swap_total = total;
	swap_levels_publish();
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

int do_swapon(struct block_device *bdev, int prio)
{
	struct swap_info *si = NULL;
	struct page *page;
	long slots;
	int err;

	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	mutex_lock(&swapon_mutex);
	for (unsigned int i = MAX_SWAP_AREAS; i-- > 0;) {
		err = -EBUSY;
		if (swap_areas[i].bdev == bdev)
			goto out;
		if (!swap_areas[i].bdev)
			si = &swap_areas[i];
	}
	err = -EPERM; /* as Linux when all areas are taken */
	if (!si)
		goto out;
	err = read_header(bdev, page);
	if (err)
		goto out;
	slots = check_header(page_address(page), bdev->nr_sectors / SECTORS_PER_SLOT);
	err = slots < 0 ? (int)slots : 0;
	if (err)
		goto out;
	*si = (struct swap_info){.type = si - swap_areas, .nr_slots = slots, .cursor = 1};
	err = make_arrays(si, page_address(page));
	if (err) {
		free_arrays(si);
		goto out;
	}
	si->prio = prio >= 0 ? prio : next_prio--;
	spin_lock(&si->lock);
	si->bdev = bdev;
	si->writable = true;
	spin_unlock(&si->lock);
	/* Without these the area is not charged and not compressed: never fatal. */
	if (mem_cgroup_enabled())
		make_memcg_record(si);
	if (zswap_prepared)
		zswap_area_prepare(si);
	atomic_add(&nr_swap_pages, (s64)si->usable);
	publish_areas();
	audit_root_fill();
	printk("Adding %luk swap on /dev/%s.  Priority:%d extents:1 across:%luk\n",
	       (unsigned long)si->usable << (PAGE_SHIFT - 10), bdev->name, si->prio,
	       (unsigned long)si->usable << (PAGE_SHIFT - 10));
out:
	mutex_unlock(&swapon_mutex);
	__free_page(page);
	return err;
}

/* ---- swapoff ---- */

/* Bring back what `mm` has in the area. */
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

/* Call fn for each address space until it fails. Each mm we stop at is held, so that its place on
 * the list stays. */
static int for_each_mm(int (*fn)(struct mm_struct *mm, unsigned int type), unsigned int type)
{
	struct mm_struct *mm = NULL, *last = NULL;
	struct list_head *p;
	int err = 0;

	do {
		spin_lock(&mm_list_lock);
		for (p = last ? last->mm_list.next : mm_list.next; p != &mm_list; p = p->next) {
			mm = list_entry(p, struct mm_struct, mm_list);
			if (mmget_not_zero(mm))
				break;
		}
		spin_unlock(&mm_list_lock);
		if (last)
			mmput(last);
		last = p == &mm_list ? NULL : mm;
		if (last)
			err = fn(last, type);
	} while (last && !err);
	if (last)
		mmput(last);
	return err;
}

static int pass_lock(struct mm_struct *mm, unsigned int type)
{
	down_write(&mm->mmap_lock);
	up_write(&mm->mmap_lock);
	return 0;
}

/* Faults may still hold entries that they read before we replaced them. All of them hold their
 * mmap_lock: once we have had each for writing, nobody looks at the area's arrays any more. */
static void wait_for_faults(void)
{
	for_each_mm(pass_lock, 0);
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

static void set_writable(struct swap_info *si, bool writable)
{
	spin_lock(&si->lock);
	si->writable = writable;
	if (writable)
		atomic_add(&nr_swap_pages, (s64)(si->usable - si->inuse));
	else
		atomic_sub(&nr_swap_pages, (s64)(si->usable - si->inuse));
	spin_unlock(&si->lock);
	publish_areas();
}

int do_swapoff(struct block_device *bdev)
{
	struct swap_info *si = NULL;
	int err = -EINVAL;

	mutex_lock(&swapon_mutex);
	for (unsigned int i = 0; i < MAX_SWAP_AREAS; i++)
		if (bdev && swap_areas[i].bdev == bdev)
			si = &swap_areas[i];
	if (!si)
		goto out;
	set_writable(si, false);
	/* What is out must fit into memory and the other areas; then bring it back. A process that
	 * forks or exits meanwhile may hide an entry from one pass: repeat while there is
	 * progress. */
	err = -ENOMEM;
	if (si->inuse > nr_free_pages() + swap_free_pages() + global_stat(NR_SWAPCACHE))
		goto undo;
	do {
		err = for_each_mm(unuse_mm, si->type);
		if (!err)
			err = shmem_unuse(si->type);
		if (!err)
			err = drop_cached(si);
		/* Somebody is about to free a slot: let him, and do not wait for ever. */
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
	audit_root_fill();
out:
	mutex_unlock(&swapon_mutex);
	return err;
undo:
	set_writable(si, true);
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
		char name[32];

		if (!si->bdev)
			continue;
		ksnprintf(name, sizeof(name), "/dev/%s", si->bdev->name);
		report_printf(r, "%-40spartition\t%lu\t%s%lu\t%s%d\n", name, size,
			      size < 10000000 ? "\t" : "", used, used < 10000000 ? "\t" : "",
			      si->prio);
	}
}
