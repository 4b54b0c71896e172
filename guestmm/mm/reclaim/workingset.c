/*
 * Refaults: was a page thrown out that should have stayed?
 *
 * Each node has a clock that ticks when a page leaves the inactive list, by eviction or activation.
 * Eviction leaves the clock's reading in the slot (a shadow). When the page comes back, the ticks
 * since then tell how much longer the inactive list would have had to be to keep it. If the active
 * pages could have made that much room, the page belongs among them: it is activated at once and
 * competes with them, instead of going round through swap again and again.
 *
 *   shadow: bit 31 = 1, bits 28..30 node, bits 0..27 clock
 *
 * Locks: none; the clocks are atomic and a lost tick does no harm.
 */
#include "mm/reclaim/lru.h"
#include "mm/swap/swapcache.h"

#define CLOCK_BITS 28
#define CLOCK_MASK ((1u << CLOCK_BITS) - 1)
_Static_assert(MMVM_MAX_NODES <= 8, "three bits of node in a shadow");

static u32 node_clock[MMVM_MAX_NODES]; /* A */

void workingset_age(unsigned int node, u64 pages)
{
	atomic_add(&node_clock[node], (u32)pages);
}

u32 workingset_eviction(const struct page *page)
{
	unsigned int node = page_node_id(page);
	u32 now = atomic_add_return(&node_clock[node], 1u);

	return SHADOW_FLAG | node << CLOCK_BITS | (now & CLOCK_MASK);
}

bool workingset_was_active(u32 evicted_at, u32 now, u64 workingset)
{
	return ((now - evicted_at) & CLOCK_MASK) <= workingset;
}

void workingset_refault(struct page *page, u32 shadow)
{
	unsigned int node = shadow >> CLOCK_BITS & 7;
	pg_data_t *pgdat = &node_data[node];
	bool file = !PageSwapBacked(page);
	u64 workingset;

	if (!(shadow & SHADOW_FLAG))
		return;
	lru_note_cost(pgdat, file, 1, 0);
	/* What competes with the page, but for its own kind's inactive ones. */
	workingset = pgdat->nr_lru[LRU_ACTIVE_ANON] + pgdat->nr_lru[LRU_ACTIVE_FILE];
	if (file) {
		count_vm_event(WORKINGSET_REFAULT_FILE);
		if (swap_free_pages())
			workingset += pgdat->nr_lru[LRU_INACTIVE_ANON];
		else
			workingset -= pgdat->nr_lru[LRU_ACTIVE_ANON];
	} else {
		count_vm_event(WORKINGSET_REFAULT_ANON);
		workingset += pgdat->nr_lru[LRU_INACTIVE_FILE];
	}
	if (!workingset_was_active(shadow, atomic_load(&node_clock[node]), workingset))
		return;
	SetPageActive(page);
	SetPageWorkingset(page);
	workingset_age(node, 1);
	count_vm_event(file ? WORKINGSET_ACTIVATE_FILE : WORKINGSET_ACTIVATE_ANON);
}
