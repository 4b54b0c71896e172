/*
 * Swap slots: which pages of the disk are in use, and by how many.
 *
 *   map[]      one byte a slot: users, cached?, nothing on the disk? [hdr][1][0][41][0][80]...
 *   cluster    256 slots; cluster_free[] counts its free ones
 *   cursor     goes up slot by slot inside a cluster, then to the next wholly free cluster; only
 *              when there is none, to any cluster with room
 *
 * So pages that reclaim evicts together get neighbouring slots: one request writes up to 32 of them, and one
 * request reads neighbours back.
 *
 * I1  inuse = slots whose byte is neither 0 nor BAD; cluster_free[c] = slots of c whose byte is 0.
 * I2  A slot's count = PTEs and slots of shared memory's trees that hold its entry. HAS_CACHE is set while cache[]
 *     names a page that has the entry in private_.
 * I3  nr_swap_pages = sum of (usable - inuse) over writable areas.
 *
 * I4  total_swap_pages = sum of usable over writable areas; swap_order lists just these.
 *
 * I5  A slot whose write failed (failed[]) keeps its users: their page exists only in memory. When the last user
 *     has dropped it, the slot becomes BAD and is not used any more.
 *
 * Areas of the same priority take turns: SWAP_TURN slots from one, then from the next.
 *
 * Locks: si->lock, under page_table_lock; never taken by interrupts. total_lock is under it.
 */
#include "lib/errno.h"
#include "mm/memcg/memcg.h"
#include "mm/swap/swapcache.h"
#include "mm/phys/zone.h"
#include "mm/zswap/zswap.h"

struct swap_info swap_areas[SWAP_TYPES];
struct swap_info *swap_order[MAX_SWAP_AREAS + 1];
s64 nr_swap_pages;
u32 swap_nr_failed;
u64 total_swap_pages;
static spinlock_t total_lock = SPINLOCK_INIT;
static u64 swap_turn; /* A: slots handed out where areas are equal */

void swap_total_publish(void)
{
	u64 total = 0;

	/* The last caller has seen the changes of all callers before it. */
	spin_lock(&total_lock);
	for (unsigned int i = 0; i < MAX_SWAP_AREAS; i++)
		if (swap_areas[i].writable)
			total += READ_ONCE(swap_areas[i].usable);
	WRITE_ONCE(total_swap_pages, total);
	mmvm_shared->swap_total = total;
	spin_unlock(&total_lock);
}

/* The extent that holds the slot, or the last one before it. */
static const struct swap_extent *find_extent(const struct swap_info *si, u64 slot)
{
	u32 lo = 0, hi = si->nr_extents;

	while (hi - lo > 1) {
		u32 mid = lo + (hi - lo) / 2;

		if (si->extent[mid].first <= slot)
			lo = mid;
		else
			hi = mid;
	}
	return &si->extent[lo];
}

u64 swap_extent_sector(const struct swap_info *si, u64 slot)
{
	const struct swap_extent *x = find_extent(si, slot);

	if (slot - x->first >= x->nr)
		panic("swap: slot %lu of area %u is in no extent", (unsigned long)slot, si->type);
	return x->sector + (slot - x->first) * SECTORS_PER_SLOT;
}

u64 swap_run_length(const struct swap_info *si, u64 slot, u64 max)
{
	const struct swap_extent *x;

	if (!si->extent)
		return max;
	x = find_extent(si, slot);
	return slot - x->first < x->nr ? min(max, x->first + x->nr - slot) : 0;
}

/* First free slot in [from, end), or 0. lock held. */
static u64 scan_slots(const struct swap_info *si, u64 from, u64 end)
{
	for (; from < end; from++)
		if (!si->map[from])
			return from;
	return 0;
}

/* The cluster to use after `from`: a wholly free one, else one with room; nr_clusters: none. lock held. */
static u32 next_cluster(const struct swap_info *si, u32 from)
{
	u32 some = si->nr_clusters;

	for (u32 i = 0, c = from; i < si->nr_clusters; i++) {
		c = c + 1 < si->nr_clusters ? c + 1 : 0;
		if (si->cluster_free[c] == SWAP_CLUSTER)
			return c;
		if (si->cluster_free[c] && some == si->nr_clusters)
			some = c;
	}
	return some;
}

/* lock held. Returns 0 when full. */
static u64 take_slot(struct swap_info *si)
{
	u32 c = si->cursor / SWAP_CLUSTER;
	u64 slot = 0, end;

	if (si->inuse >= si->usable)
		return 0;
	if (c < si->nr_clusters && si->cluster_free[c]) {
		end = min((u64)(c + 1) * SWAP_CLUSTER, si->nr_slots);
		slot = scan_slots(si, si->cursor, end);
	}
	if (!slot) {
		c = next_cluster(si, c < si->nr_clusters ? c : si->nr_clusters - 1);
		if (c == si->nr_clusters)
			return 0;
		end = min((u64)(c + 1) * SWAP_CLUSTER, si->nr_slots);
		slot = scan_slots(si, (u64)c * SWAP_CLUSTER, end);
		if (!slot)
			panic("swap: cluster %u says %u free slots, and has none", c,
			      si->cluster_free[c]);
	}
	si->cursor = slot + 1;
	si->map[slot] = SWAP_MAP_HAS_CACHE;
	si->cluster_free[c]--;
	si->inuse++;
	return slot;
}

/* A slot of the area, or 0. */
static inline __attribute__((always_inline)) u64 area_slot_alloc(struct swap_info *si)
{
	u64 slot = 0;

	if (READ_ONCE(si->inuse) >= READ_ONCE(si->usable))
		return 0;
	spin_lock(&si->lock);
	if (si->writable)
		slot = take_slot(si);
	if (slot)
		atomic_sub(&nr_swap_pages, 1);
	spin_unlock(&si->lock);
	if (slot)
		swap_levels_publish();
	return slot;
}

/* Allocate from areas of the same priority, swap_order[at] to [at + nr), beginning with the one whose turn it
 * is. */
static __attribute__((noinline)) swp_entry_t equal_slot_alloc(unsigned int at, u32 nr)
{
	u64 turn = (atomic_add_return(&swap_turn, 1) - 1) / SWAP_TURN;

	for (u32 k = 0; k < nr; k++) {
		struct swap_info *si = READ_ONCE(swap_order[at + (turn + k) % nr]);
		u64 slot = si ? area_slot_alloc(si) : 0;

		if (slot)
			return swp_entry(si->type, slot);
	}
	return (swp_entry_t){0};
}

swp_entry_t swap_slot_alloc(void)
{
	struct swap_info *si;

	/* The list may change during the loop: under its lock an area that was removed is not writable. */
	for (unsigned int i = 0; (si = READ_ONCE(swap_order[i])); i++) {
		u32 nr = READ_ONCE(si->nr_equal);

		if (unlikely(nr > 1 && i + nr <= MAX_SWAP_AREAS)) {
			swp_entry_t e = equal_slot_alloc(i, nr);

			if (e.v)
				return e;
			i += nr - 1;
		} else {
			u64 slot = area_slot_alloc(si);

			if (slot)
				return swp_entry(si->type, slot);
		}
	}
	return (swp_entry_t){0};
}

void swap_slot_fail(swp_entry_t e)
{
	struct swap_info *si = swap_area(e);
	u64 slot = swp_offset(e);

	/* The page's writeback keeps the slot in use (swap_io.c, I1). */
	if (test_and_set_bit(slot % 64, &si->failed[slot / 64]))
		return;
	atomic_add(&swap_nr_failed, 1);
	count_vm_event(MMVM_SWAP_BAD_SLOT);
}

/* lock held. The last user of a slot that cannot be written has dropped it (I5). */
static __attribute__((noinline, cold)) void retire_slot(struct swap_info *si, u64 slot)
{
	si->map[slot] = SWAP_MAP_BAD;
	atomic_sub(&swap_nr_failed, 1);
	si->usable--;
	si->inuse--;
	swap_total_publish();
}

bool swap_entry_valid(swp_entry_t e)
{
	return swp_type(e) < MAX_SWAP_AREAS && swap_area(e)->bdev && swp_offset(e) &&
	       swp_offset(e) < swap_area(e)->nr_slots;
}

/* lock held. */
static __attribute__((noinline, cold)) void forget_records(struct swap_info *si, u64 offset)
{
	if (si->memcg) {
		if (si->memcg[offset])
			mem_cgroup_uncharge_swap(si->memcg[offset]);
		si->memcg[offset] = 0;
	}
	if (si->zswap)
		zswap_forget(si, offset);
}

void __swap_slot_freed(struct swap_info *si, u64 offset)
{
	si->cache[offset] = 0; /* a shadow, if any */
	if (unlikely(si->has_records))
		forget_records(si, offset);
	if (swap_slot_failed(swp_entry(si->type, offset))) {
		retire_slot(si, offset);
		return;
	}
	si->inuse--;
	if (++si->cluster_free[offset / SWAP_CLUSTER] == SWAP_CLUSTER && unlikely(si->to_discard))
		swap_discard_cluster(si, offset / SWAP_CLUSTER);
	if (si->writable) {
		atomic_add(&nr_swap_pages, 1);
		swap_levels_publish();
	}
}

int swap_duplicate(swp_entry_t e)
{
	struct swap_info *si = swap_area(e);
	u64 offset = swp_offset(e);
	int err = 0;

	spin_lock(&si->lock);
	if (likely((si->map[offset] & SWAP_MAP_COUNT) < SWAP_MAP_MAX))
		si->map[offset]++;
	else
		err = -ENOMEM;
	spin_unlock(&si->lock);
	return err;
}

static __attribute__((noinline, cold)) void no_users(const struct swap_info *si, u64 offset)
{
	panic("swap: slot %lu of area %u freed, but its byte is %#x", (unsigned long)offset,
	      si->type, si->map[offset]);
}

/* lock held. Returns the slot's byte after a PTE's use is dropped. */
static __always_inline u8 drop_user(struct swap_info *si, u64 offset)
{
	u8 byte = si->map[offset], users = byte & SWAP_MAP_COUNT;

	if (unlikely(!users || users == SWAP_MAP_BAD))
		no_users(si, offset);
	si->map[offset] = --byte;
	if (byte & (SWAP_MAP_COUNT | SWAP_MAP_HAS_CACHE))
		return byte;
	si->map[offset] = 0;
	__swap_slot_freed(si, offset);
	return si->map[offset]; /* the slot may have become bad */
}

void swap_free(swp_entry_t e)
{
	struct swap_info *si = swap_area(e);

	spin_lock(&si->lock);
	drop_user(si, swp_offset(e));
	spin_unlock(&si->lock);
}

struct page *swap_free_and_get_cached(swp_entry_t e)
{
	struct swap_info *si = swap_area(e);
	struct page *page = NULL;

	spin_lock(&si->lock);
	if ((drop_user(si, swp_offset(e)) & ~SWAP_MAP_NO_DISK) == SWAP_MAP_HAS_CACHE) {
		page = pfn_to_page(si->cache[swp_offset(e)] - 1);
		if (!get_page_unless_zero(page))
			page = NULL;
	}
	spin_unlock(&si->lock);
	return page;
}
