/*
 * The swap map against counters in an array: slots are taken, shared, freed, cached and uncached at
 * random, 300,000 times, until the area is full and again.
 *   swapmap [SEED [OPS]]
 */
#include "../unit/mm_user.h"

#define SLOTS	 1500u
#define MAX_USED 40u /* users of one slot */

struct model_slot {
	bool taken;
	unsigned int users;
	struct page *page; /* in the cache */
};
static struct model_slot model[SLOTS + 1];
static unsigned int nr_taken;
static u64 rng;

static u64 next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static void forget_if_unused(unsigned int i)
{
	if (model[i].taken && !model[i].users && !model[i].page) {
		model[i].taken = false;
		nr_taken--;
	}
}

/* A page goes into the cache with a new slot, as reclaim does it. */
static void take(void)
{
	struct page *page = alloc_pages_type(GFP_KERNEL, 0, PAGE_ANON);
	unsigned int i;

	MUST(page, "memory for the test");
	lock_page(page);
	if (!add_to_swap(page)) {
		MUST(nr_taken == SLOTS - 1, "full with %u slots taken", nr_taken);
		unlock_page(page);
		__free_page(page);
		return;
	}
	i = swp_offset((swp_entry_t){page->private_});
	MUST(i && i < SLOTS && !model[i].taken, "slot %u given twice", i);
	model[i] = (struct model_slot){true, 0, page};
	nr_taken++;
	unlock_page(page);
}

static void uncache(unsigned int i)
{
	struct page *page = model[i].page;
	bool evict = next_random() % 2;

	lock_page(page);
	SetPageDirty(page);
	MUST(!swap_cache_evict(page), "a dirty page was evicted");
	ClearPageDirty(page);
	if (evict && model[i].users) {
		u64 extra = next_random() % 4 == 0;

		if (extra)
			get_page(page);
		MUST(swap_cache_evict(page) == !extra, "eviction with %lu extra references",
		     (long)extra);
		if (extra) {
			atomic_sub(&page->refcount, 1);
			MUST(swap_cache_evict(page), "eviction");
		}
		ClearPageLocked(page);
		LIST_HEAD(dead);
		list_add(&page->lru, &dead);
		free_dead_pages(&dead);
	} else if (!model[i].users || evict) {
		delete_from_swap_cache(page);
		unlock_page(page);
		__free_page(page);
	} else {
		MUST(!try_to_free_swap(page), "a slot in use was given up");
		unlock_page(page);
		return;
	}
	model[i].page = NULL;
	forget_if_unused(i);
}

static void step(void)
{
	unsigned int i = 1 + next_random() % (SLOTS - 1);
	swp_entry_t e = swp_entry(0, i);
	struct page *page;
	u32 shadow;

	switch (next_random() % 6) {
	case 0:
	case 1:
		take();
		break;
	case 2:
		if (model[i].taken && model[i].users < MAX_USED) {
			MUST(!swap_duplicate(e), "duplicate");
			model[i].users++;
		}
		break;
	case 3:
		if (!model[i].users)
			break;
		model[i].users--;
		page = swap_free_and_get_cached(e);
		MUST(page == (model[i].users ? NULL : model[i].page), "last user, cached page");
		if (page)
			atomic_sub(&page->refcount, 1);
		forget_if_unused(i);
		break;
	case 4:
		page = swap_cache_lookup(e);
		MUST(page == model[i].page, "look-up of slot %u", i);
		if (page)
			atomic_sub(&page->refcount, 1);
		if (model[i].page)
			uncache(i);
		break;
	case 5:
		page = alloc_pages_type(GFP_KERNEL, 0, PAGE_ANON);
		MUST(page, "memory for the test");
		if (swap_cache_insert_new(page, e, &shadow)) {
			MUST(model[i].users && !model[i].page, "cached twice, or a free slot");
			model[i].page = page;
			unlock_page(page);
		} else {
			MUST(!model[i].users || model[i].page, "not cached");
			__free_page(page);
		}
		break;
	}
}

static void check(void)
{
	struct swap_info *si = &swap_areas[0];
	unsigned int per_cluster[SLOTS / SWAP_CLUSTER + 1] = {0};

	for (unsigned int i = 1; i < SLOTS; i++) {
		MUST((si->map[i] & SWAP_MAP_COUNT) == model[i].users, "users of slot %u", i);
		MUST(!(si->map[i] & SWAP_MAP_HAS_CACHE) == !model[i].page, "cache of slot %u", i);
		per_cluster[i / SWAP_CLUSTER] += !model[i].taken;
		MUST(swap_users(swp_entry(0, i)) == model[i].users, "swap_users");
	}
	for (unsigned int c = 0; c < si->nr_clusters; c++)
		MUST(si->cluster_free[c] == per_cluster[c], "cluster %u: %u free, is %u", c,
		     si->cluster_free[c], per_cluster[c]);
	MUST(si->inuse == nr_taken && nr_swap_pages == SLOTS - 1 - nr_taken, "counts");
	MUST(mmvm_shared->swap_free == (u64)nr_swap_pages, "shared window");
}

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20261121;
	u64 ops = argc > 2 ? strtoull(argv[2], NULL, 0) : 300000;
	struct host_disk *disk;
	unsigned int high = 0;

	printf("swap map model: seed %lu, %lu operations\n", (long)seed, (long)ops);
	fflush(stdout);
	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("swap", (u64)SLOTS << PAGE_SHIFT);
	host_disk_mkswap(disk);
	if (do_swapon(&disk->bdev, -1))
		abort();
	rng = seed * 2 + 1;
	for (u64 i = 0; i < ops; i++) {
		step();
		high = max(high, nr_taken);
		if (i % 500 == 0)
			check();
	}
	check();
	MUST(high == SLOTS - 1, "the area was never full (%u)", high);
	for (unsigned int i = 1; i < SLOTS; i++) {
		for (; model[i].users; model[i].users--)
			swap_free(swp_entry(0, i));
		if (model[i].page)
			uncache(i);
		else
			forget_if_unused(i);
	}
	check();
	MUST(!nr_taken, "%u slots are left", nr_taken);
	MUST(!do_swapoff(&disk->bdev), "swapoff");
	printf("swap map model: ok\n");
	return 0;
}
