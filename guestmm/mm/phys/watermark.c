/*
 * Watermarks: how much of a zone is kept for whom.
 *
 *   free pages
 *   ---- high   kswapd sleeps above
 *   ---- low    kswapd is woken below; ordinary allocations first try to stay above
 *   ---- min    ordinary allocations stop; __GFP_HIGH goes on to a half, reclaim itself to nothing
 *
 * min_free_kbytes is the square root of 16 times the memory in KiB, between 128 KiB and 256 MiB: a
 * large machine needs more, but not in proportion. Each zone gets its share; low and high lie above
 * by a quarter of min, or by watermark_scale_factor ten-thousandths of the zone if that is more.
 *
 * An allocation that takes pages of a pageblock of another type mixes what can move with what cannot, and
 * no large block will come of it again. watermark_boost_factor lets it raise the marks of the zone by the
 * pages of a pageblock: kswapd frees that much more, without swap, wakes kcompactd, and takes the boost
 * back.
 *
 * lowmem_reserve keeps a low zone from being filled by allocations that could have gone higher:
 * such an allocation must leave that many pages more. All of it as in Linux 6.12
 * (Documentation/admin-guide/sysctl/vm.rst), so that numbers can be compared.
 */
#include "mm/phys/internal.h"

u64 min_free_kbytes;
u64 watermark_scale_factor = 10;

u64 watermark_boost_factor;

/* Ratio: one page of a higher zone in this many is reserved below; 0 = none. */
u32 lowmem_reserve_ratio[MAX_NR_ZONES] = {256, 256, 32, 0, 0};

static u64 isqrt(u64 n)
{
	u64 root = 0, bit = 1ull << 62;

	while (bit > n)
		bit >>= 2;
	for (; bit; bit >>= 2) {
		if (n >= root + bit) {
			n -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return root;
}

static u64 clamp_u64(u64 v, u64 lo, u64 hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

/* Of a zone with a CMA area: is there a free block on a list that the caller may use? */
static __attribute__((noinline, cold)) bool has_usable_block(const struct zone *z, unsigned int o,
							     unsigned int alloc_flags)
{
	for (unsigned int t = 0; t < NR_MIGRATETYPES; t++)
		if ((t != MIGRATE_CMA || (alloc_flags & ALLOC_CMA)) &&
		    !list_empty(&z->free_area[o].free_list[t]))
			return true;
	return false;
}

bool zone_watermark_ok(const struct zone *z, unsigned int order, u64 mark, enum zone_type highest,
		       unsigned int alloc_flags)
{
	s64 free = zone_stat(z, NR_FREE_PAGES) - ((1l << order) - 1);
	s64 need = mark;

	if (unlikely(z->cma_pages) && !(alloc_flags & ALLOC_CMA))
		free -= zone_stat(z, NR_FREE_CMA);
	if (alloc_flags & ALLOC_HIGH) {
		/* The boost is for large blocks: reserves for single pages do not grow with it. */
		if (!order)
			need -= z->watermark_boost;
		need -= need / 2;
	}
	if (alloc_flags & ALLOC_HARDER)
		need -= need / 4;
	if (free <= need + (s64)z->lowmem_reserve[highest])
		return false;
	if (!order)
		return true;
	for (unsigned int o = order; o < NR_ORDERS; o++)
		if (z->free_area[o].nr_free &&
		    (likely(!z->cma_pages) || has_usable_block(z, o, alloc_flags)))
			return true;
	return false;
}

static void setup_lowmem_reserve(pg_data_t *node)
{
	for (int i = 0; i < MAX_NR_ZONES - 1; i++) {
		struct zone *z = &node->zones[i];
		u64 above = 0;

		for (int j = i + 1; j < MAX_NR_ZONES; j++) {
			above += node->zones[j].managed;
			z->lowmem_reserve[j] = lowmem_reserve_ratio[i] && z->managed
						       ? above / lowmem_reserve_ratio[i]
						       : 0;
		}
	}
}

void lowmem_reserve_ratio_changed(void)
{
	for (int i = 0; i < MMVM_MAX_NODES; i++)
		if (node_data[i].present)
			setup_lowmem_reserve(&node_data[i]);
}

/* zone->lock held. */
static void set_boost(struct zone *z, u64 boost)
{
	for (unsigned int w = 0; w < NR_WMARK; w++) {
		z->watermark[w] += boost - z->watermark_boost;
		z->shared->wmark[w] = z->watermark[w];
	}
	z->watermark_boost = boost;
}

void boost_watermark(struct zone *z)
{
	const u64 step = 1ul << PAGEBLOCK_ORDER;
	u64 most;

	/* Otherwise a small zone would be half empty. */
	if (!watermark_boost_factor || step * 4 > z->managed)
		return;
	most = (z->watermark[WMARK_HIGH] - z->watermark_boost) * watermark_boost_factor / 10000;
	if (!most)
		return;
	most = max(most, step);
	set_boost(z, min(z->watermark_boost + step, most));
	z->boosted = true;
}

void unboost_watermark(struct zone *z, u64 pages)
{
	unsigned long flags = spin_lock_irqsave(&z->lock);

	set_boost(z, z->watermark_boost - min(pages, z->watermark_boost));
	spin_unlock_irqrestore(&z->lock, flags);
}

void setup_per_zone_wmarks(void)
{
	u64 lowmem = 0, pages_min;

	for (unsigned int i = 0; i < nr_zones; i++)
		if (zone_table[i]->type < ZONE_HIGHMEM)
			lowmem += zone_table[i]->managed;
	if (!min_free_kbytes)
		min_free_kbytes =
			clamp_u64(isqrt(lowmem * (PAGE_SIZE / 1024) * 16), 128, 256 * 1024);
	pages_min = min_free_kbytes / (PAGE_SIZE / 1024);

	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];
		u64 share = lowmem ? pages_min * z->managed / lowmem : 0, gap;
		unsigned long flags = spin_lock_irqsave(&z->lock);

		/* No allocation that must not fail uses these zones: reclaim gets a small
		 * reserve. */
		if (z->type >= ZONE_HIGHMEM)
			z->watermark[WMARK_MIN] = clamp_u64(z->managed / 1024, 32, 128);
		else
			z->watermark[WMARK_MIN] = share;
		gap = max(share / 4, z->managed * watermark_scale_factor / 10000);
		z->watermark[WMARK_LOW] = z->watermark[WMARK_MIN] + gap;
		z->watermark[WMARK_HIGH] = z->watermark[WMARK_LOW] + gap;
		z->watermark_boost = 0;
		for (unsigned int w = 0; w < NR_WMARK; w++)
			z->shared->wmark[w] = z->watermark[w];
		spin_unlock_irqrestore(&z->lock, flags);
	}
	lowmem_reserve_ratio_changed();
}
