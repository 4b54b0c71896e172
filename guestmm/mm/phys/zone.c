/*
 * Zones and nodes: cutting RAM by what can reach it, and the hand-over from memblock.
 *
 *   pfn 0            16 MiB              4 GiB                       end
 *   | ZONE_DMA       | ZONE_DMA32        | ZONE_NORMAL   | ZONE_HIGHMEM (highmem=) | ZONE_MOVABLE (movablecore=) |
 *
 * ZONE_DEVICE, which is not RAM, is device.c's.
 *
 * Each node has its own cut. An allocation names the highest zone it can use; the zonelist of the node
 * it wants (node.c) is searched from the first zone that is low enough.
 *
 * I1  Every frame of RAM belongs to one zone; zone_table[] and node_data[] never change after boot.
 * I2  After zones_init every frame is RESERVED with refcount 1, or covered by one free block, and
 *     managed = the frames handed over.
 * I3  Only heads of blocks have been written: struct page memory comes zeroed (page.c, I2).
 */
#include "mm/phys/highmem.h"
#include "mm/phys/internal.h"
#include "mm/phys/memblock.h"
#include "lib/string.h"

pg_data_t node_data[MMVM_MAX_NODES];
struct zone *zone_table[MMVM_MAX_ZONES];
unsigned int nr_zones;
u8 gfp_zone_table[16];

#define PAGEBLOCK_PAGES (1ul << PAGEBLOCK_ORDER)
#define DMA_END_PFN	((16ul << 20) >> PAGE_SHIFT)
#define DMA32_END_PFN	((4ul << 30) >> PAGE_SHIFT)
static const char *const zone_name[MAX_NR_ZONES] = {"DMA", "DMA32", "Normal", "HighMem", "Movable"};

/* By (gfp & (__GFP_MOVABLE | __GFP_RECLAIMABLE)) >> 3. Both at once makes no sense; movable is the
 * promise that reclaimable gives as well. */
const u8 gfp_migratetype_table[4] = {MIGRATE_UNMOVABLE, MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE,
				     MIGRATE_MOVABLE};

/* ZONE_MOVABLE is for pages that can be moved and whose owner does not mind where they are. */
static enum zone_type zone_of_flags(gfp_t gfp)
{
	if (gfp & __GFP_DMA)
		return ZONE_DMA;
	if (gfp & __GFP_DMA32)
		return ZONE_DMA32;
	if (!(gfp & __GFP_HIGHMEM))
		return ZONE_NORMAL;
	return gfp & __GFP_MOVABLE ? ZONE_MOVABLE : ZONE_HIGHMEM;
}

static enum zone_type zone_type_of_pfn(const pg_data_t *node, pfn_t pfn)
{
	const struct zone *movable = &node->zones[ZONE_MOVABLE];

	if (movable->spanned && pfn >= movable->start_pfn)
		return ZONE_MOVABLE;
	if (highmem_start && pfn >= highmem_start >> PAGE_SHIFT)
		return ZONE_HIGHMEM;
	return pfn < DMA_END_PFN ? ZONE_DMA : pfn < DMA32_END_PFN ? ZONE_DMA32 : ZONE_NORMAL;
}

/* First frame after `pfn` that is of another zone. */
static pfn_t zone_border(const pg_data_t *node, pfn_t pfn)
{
	const struct zone *movable = &node->zones[ZONE_MOVABLE];
	pfn_t border = pfn < DMA_END_PFN ? DMA_END_PFN : pfn < DMA32_END_PFN ? DMA32_END_PFN : ~0ul;

	if (movable->spanned && pfn < movable->start_pfn)
		border = min(border, movable->start_pfn);
	if (pfn < highmem_start >> PAGE_SHIFT)
		border = min(border, highmem_start >> PAGE_SHIFT);
	return border;
}

static void span_zone(struct zone *z, pfn_t start, pfn_t end)
{
	pfn_t z_end = max(z->start_pfn + z->spanned, end);

	if (!z->spanned || start < z->start_pfn)
		z->start_pfn = start;
	z->spanned = z_end - z->start_pfn;
}

/* What movablecore= or kernelcore= asks for, and what there is to share it. */
struct movable_request {
	u64 pages, total;
	u64 node_pages[MMVM_MAX_NODES];
};

/* Pass 1: which nodes exist, and the frames that have a struct page. */
static void note_node(phys_addr_t base, u64 size, int node, void *arg)
{
	pfn_t start = DIV_ROUND_UP(base, PAGE_SIZE), end = (base + size) >> PAGE_SHIFT;
	struct movable_request *movable = arg;
	pg_data_t *n = &node_data[node];

	if (start >= end)
		return;
	n->present = true;
	n->id = node;
	movable->total += end - start;
	movable->node_pages[node] += end - start;
	ram_range[nr_ram_ranges++] = (struct mmvm_pfn_range){start, end};
}

/* Pass 2: ZONE_MOVABLE takes each node's share from the top of its last region. */
static void cut_movable(phys_addr_t base, u64 size, int node, void *arg)
{
	pfn_t start = DIV_ROUND_UP(base, PAGE_SIZE), end = (base + size) >> PAGE_SHIFT;
	struct zone *movable = &node_data[node].zones[ZONE_MOVABLE];
	const struct movable_request *want = arg;
	pfn_t first;
	u64 share;

	if (start >= end || !want->pages)
		return;
	/* Regions come in address order: a later one of the node replaces the cut. */
	share = want->pages * want->node_pages[node] / want->total;
	share = min(share, (u64)(end - start));
	first = ALIGN_DOWN(end - share, PAGEBLOCK_PAGES);
	first = max(first, start < DMA_END_PFN ? DMA_END_PFN : start);
	if (!share || first >= end)
		return;
	movable->start_pfn = first;
	movable->spanned = end - first;
}

/* Pass 3: spans and present pages of the zones. */
static void add_to_zones(phys_addr_t base, u64 size, int node, void *arg)
{
	pfn_t pfn = DIV_ROUND_UP(base, PAGE_SIZE), end = (base + size) >> PAGE_SHIFT;
	pg_data_t *n = &node_data[node];

	while (pfn < end) {
		pfn_t stop = min(end, zone_border(n, pfn));
		struct zone *z = &n->zones[zone_type_of_pfn(n, pfn)];

		span_zone(z, pfn, stop);
		z->present += stop - pfn;
		pfn = stop;
	}
}

static void init_zone(pg_data_t *node, enum zone_type type)
{
	static struct mmvm_shared_zone absent; /* all levels 0, for ever */
	struct zone *z = &node->zones[type];
	pfn_t first_block, last_block;
	phys_addr_t pa;

	spin_lock_init(&z->lock);
	z->node = node;
	z->type = type;
	z->shared = &absent;
	if (!z->present)
		return;
	for (unsigned int o = 0; o < NR_ORDERS; o++)
		for (unsigned int t = 0; t < NR_MIGRATETYPES; t++)
			INIT_LIST_HEAD(&z->free_area[o].free_list[t]);
	pcp_init(z);

	if (nr_zones == PAGE_ZONE_DEVICE)
		panic("more than %u zones", PAGE_ZONE_DEVICE);
	z->index = nr_zones;
	z->shared = &mmvm_shared->zone[nr_zones];
	zone_table[nr_zones++] = z;
	strscpy(z->shared->name, zone_name[type], sizeof(z->shared->name));
	z->map_start = (unsigned long)pfn_to_page(z->start_pfn);
	z->map_bytes = z->spanned * sizeof(struct page);
	z->shared->node = node->id;
	z->shared->start_pfn = z->start_pfn;
	z->shared->spanned = z->spanned;
	z->shared->present = z->present;

	first_block = z->start_pfn >> PAGEBLOCK_ORDER;
	last_block = (z->start_pfn + z->spanned - 1) >> PAGEBLOCK_ORDER;
	pa = memblock_phys_alloc(last_block - first_block + 1, 64, 0, 0);
	if (!pa)
		panic("no memory for the pageblock types of zone %s", zone_name[type]);
	memset(__va(pa), MIGRATE_MOVABLE, last_block - first_block + 1);
	z->pageblock_map =
		(unsigned long)__va(pa) - (VMEMMAP_START >> PAGEBLOCK_SHIFT) - first_block;
}

static u64 page_home(const struct zone *z)
{
	return (u64)z->index << PAGE_ZONE_SHIFT | (u64)z->node->id << PAGE_NODE_SHIFT;
}

static void reserve_frames(struct zone *z, pfn_t pfn, pfn_t end)
{
	u64 home = page_home(z);

	for (struct page *p = pfn_to_page(pfn); pfn < end; pfn++, p++) {
		p->flags = home;
		p->mapcount = -1;
		p->refcount = 1;
		page_set_state(p, PAGE_STATE(PAGE_RESERVED, 0, 0, 0));
	}
}

static void free_frames(struct zone *z, pfn_t pfn, pfn_t end)
{
	u64 home = page_home(z);

	zone_stat_add(z, NR_FREE_PAGES, end - pfn);
	z->managed += end - pfn;
	while (pfn < end) {
		unsigned int order = pfn ? __builtin_ctzl(pfn) : MAX_ORDER;
		struct page *p = pfn_to_page(pfn);

		order = min(order, (unsigned int)MAX_ORDER);
		while (pfn + (1ul << order) > end)
			order--;
		p->flags = home;
		p->mapcount = -1;
		if (static_key(KEY_POISON))
			page_poison_block(p, order);
		buddy_free(z, p, order, *pageblock_type(z, p));
		pfn += 1ul << order;
	}
}

/* Pass 4: the frames themselves. */
static void hand_over(pfn_t pfn, pfn_t end, int node, bool is_reserved, void *arg)
{
	pg_data_t *n = &node_data[node];

	while (pfn < end) {
		pfn_t stop = min(end, zone_border(n, pfn));
		struct zone *z = &n->zones[zone_type_of_pfn(n, pfn)];

		if (is_reserved)
			reserve_frames(z, pfn, stop);
		else
			free_frames(z, pfn, stop);
		pfn = stop;
	}
}

void zones_init(u64 movable_pages)
{
	struct movable_request movable = {.pages = movable_pages};

	page_wait_init();
	highmem_init();
	memblock_for_each(note_node, &movable);
	if (!nr_ram_ranges)
		panic("no RAM");
	movable.pages = min(movable.pages, movable.total);
	memblock_for_each(cut_movable, &movable);
	memblock_for_each(add_to_zones, NULL);
	for (int i = MMVM_MAX_NODES - 1; i >= 0; i--) {
		pg_data_t *node = &node_data[i];

		wait_queue_init(&node->kswapd_wait);
	}
	for (int i = 0; i < MMVM_MAX_NODES; i++)
		for (int type = 0; node_data[i].present && type < MAX_NR_ZONES; type++)
			init_zone(&node_data[i], type);

	memblock_for_each_span(hand_over, NULL);

	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];

		z->shared->managed = z->managed;
	}
	percpu_pagelist_high_fraction_changed();
	build_zonelists();
	for (unsigned int gfp = 0; gfp < ARRAY_SIZE(gfp_zone_table); gfp++)
		gfp_zone_table[gfp] = zone_of_flags(gfp);
	pcp_first_init();
	setup_per_zone_wmarks();
	mmvm_shared->totalram = totalram_pages();
}

u64 totalram_pages(void)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < nr_zones; i++)
		sum += zone_table[i]->managed;
	return sum;
}
