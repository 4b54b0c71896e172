/*
 * The audit against a guest memory made by hand: 8 MiB at 0 and 1 MiB at 4 GiB, with page tables, a
 * page array, buddy and per-CPU lists, a slab, an address space, LRU lists and a swap map. The
 * whole image audits clean; then each kind of damage is done to it, one at a time, and the audit
 * must name it. Last, bytes are changed at random: the audit may say what it likes, but must come
 * to an end and touch nothing outside (ASan watches).
 */
#include "../host/unit.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mmvm/page.h"
#include "observe/audit.h"

#define LOW_FRAMES  2048ull
#define HIGH_FRAMES 256ull
#define HIGH_PFN    0x100000ull
#define DIRECT	    0xffff888000000000ull
#define VMEMMAP	    0xffffea0000000000ull
#define VMALLOC	    0xffffc90000000000ull
#define FIRST_FREE  512u /* frames below are RESERVED: tables, the page array, the structures */
#define NODE_GVA    0xffffffff81000000ull
#define USER_BASE   0x400000ull

#define P   1ull
#define RW  2ull
#define US  4ull
#define PSE (1ull << 7)

/* The guest's structures, in frames of their own, at these offsets of `base`. */
struct mapping {
	uint64_t root;
	uint32_t height, flags;
	uint64_t pages, values;
	struct mmvm_list swapped;
};

struct tree_node {
	uint64_t present;
	uint32_t shift, pad;
	uint64_t slots[64];
};

struct guest {
	struct mmvm_audit_root root;
	struct area {
		struct mmvm_list list[3];
		uint64_t nr_free;
	} area[2][11];
	struct pcp {
		struct mmvm_list list[4];
		uint32_t count, pad;
	} pcp[2];
	struct lruvec {
		struct mmvm_list link;
		uint64_t node, memcg;
		uint32_t policy, pad;
		struct mmvm_list list[MMVM_AUDIT_MAX_LRU_LISTS + 1];
		uint64_t nr[MMVM_AUDIT_MAX_LRU_LISTS + 1];
	} lruvec;
	struct mmvm_list lruvecs;
	struct mmvm_list mms, caches;
	struct mm {
		struct mmvm_list link, vmas;
		uint64_t pgd;
		int64_t anon, file, shmem, swap, tables;
	} mm;
	struct vma {
		uint64_t start, end, flags;
		struct mmvm_list link;
	} vma[2];
	struct cache {
		struct mmvm_list link;
		char name[32];
		uint32_t size, free_ptr, first;
	} cache;
	int64_t kernel_tables;
	uint64_t swap_used;
	uint8_t swap_map[64];
	struct mapping file_map, shm_map;
	struct tree_node node[3];
	struct mmvm_list swapped;
};

static struct image {
	uint8_t *low, *high;
	struct guest_ram ram;
	struct mmvm_shared shared;
	uint64_t cr3;
	uint32_t next; /* next RESERVED frame */
	struct guest *g;
	uint64_t g_gva;
	uint32_t pte_table, pmd_table; /* frames of the user tables */
	uint32_t anon[4], slab, stack, folio, pcp0, pcp1, zero, vmalloc, dma, file, shmem;
	struct audit_result r;
} im;

static uint8_t *frame_ptr(uint64_t pfn)
{
	return pfn < LOW_FRAMES ? im.low + pfn * 4096 : im.high + (pfn - HIGH_PFN) * 4096;
}

/** Host pointer of a frame's struct page: through the tables, as the guest sees it. */
static uint64_t *entry_of(uint64_t cr3, uint64_t gva, int level, bool make)
{
	uint64_t table = cr3 >> 12;

	for (int l = 3;; l--) {
		uint64_t *e = (uint64_t *)frame_ptr(table) + (gva >> (12 + 9 * l) & 511);

		if (l == level)
			return e;
		if (!*e && make)
			*e = (uint64_t)im.next++ << 12 | P | RW | US;
		if (!*e)
			return NULL;
		table = (*e & 0x000ffffffffff000ull) >> 12;
	}
}

static struct page *page(uint64_t pfn)
{
	uint64_t gva = VMEMMAP + pfn * sizeof(struct page);
	uint64_t *e = entry_of(im.cr3, gva, 0, false);

	return (struct page *)(frame_ptr((*e & 0x000ffffffffff000ull) >> 12) + (gva & 4095));
}

static uint64_t lru_gva(uint64_t pfn)
{
	return VMEMMAP + pfn * sizeof(struct page) + offsetof(struct page, lru);
}

#define GVA(field) (im.g_gva + offsetof(struct guest, field))

/** Host address of a list node, by its guest address: in a page, or in the structures. */
static struct mmvm_list *node(uint64_t gva)
{
	if (gva >= VMEMMAP)
		return &page((gva - VMEMMAP) / sizeof(struct page))->lru;
	return (struct mmvm_list *)((uint8_t *)im.g + (gva - im.g_gva));
}

static void list_init(uint64_t head)
{
	node(head)->next = node(head)->prev = head;
}

static void list_add_tail(uint64_t head, uint64_t n)
{
	uint64_t last = node(head)->prev;

	node(n)->next = head;
	node(n)->prev = last;
	node(last)->next = n;
	node(head)->prev = n;
}

static unsigned int zone_of(uint64_t pfn)
{
	return pfn >= HIGH_PFN;
}

static void set_page(uint64_t pfn, unsigned int type, unsigned int order, int refcount)
{
	struct page *p = page(pfn);

	memset(p, 0, sizeof(*p));
	p->flags = (uint64_t)zone_of(pfn) << PAGE_ZONE_SHIFT;
	p->type = (uint8_t)type;
	p->order = (uint8_t)order;
	p->refcount = refcount;
	p->mapcount = -1;
}

/** Take `1 << order` aligned frames from the low region. */
static uint32_t take(uint32_t *at, unsigned int order)
{
	uint32_t pfn = (*at + (1u << order) - 1) & ~((1u << order) - 1);

	*at = pfn + (1u << order);
	return pfn;
}

static void level_add(unsigned int zone, enum zone_stat_item item, int64_t n)
{
	im.shared.zone[zone].stat[item] += n;
}

static void give_buddy(uint64_t pfn, unsigned int order)
{
	unsigned int z = zone_of(pfn), type = order >= 9;

	set_page(pfn, PAGE_BUDDY, order, 0);
	page(pfn)->migratetype = (uint8_t)type;
	list_add_tail(GVA(area[0][0]) + (z * 11 + order) * sizeof(struct area) +
			      type * sizeof(struct mmvm_list),
		      lru_gva(pfn));
	im.g->area[z][order].nr_free++;
	level_add(z, NR_FREE_PAGES, 1ll << order);
}

/** All frames of [from, to) to the buddy lists, in the largest blocks that fit. */
static void give_range(uint64_t from, uint64_t to)
{
	while (from < to) {
		unsigned int order = 0;

		while (order < 10 && !(from & ((2ull << order) - 1)) &&
		       from + (2ull << order) <= to)
			order++;
		give_buddy(from, order);
		from += 1ull << order;
	}
}

static void add_pcp(uint64_t pfn, unsigned int list, unsigned int order)
{
	set_page(pfn, PAGE_PCP, order, 0);
	list_add_tail(GVA(pcp[0].list[0]) + list * sizeof(struct mmvm_list), lru_gva(pfn));
	im.g->pcp[0].count += 1u << order;
}

/* List 1 inactive anon, 2 active anon, 3 inactive file, 4 active file. */
static void add_lru(uint32_t pfn, unsigned int list)
{
	page(pfn)->flags |= 1ull << PG_lru | (uint64_t)list << PAGE_LIST_SHIFT;
	list_add_tail(GVA(lruvec.list[0]) + list * sizeof(struct mmvm_list), lru_gva(pfn));
	im.g->lruvec.nr[list]++;
	level_add(0, NR_INACTIVE_ANON + list - 1, 1);
}

static void add_anon(uint32_t pfn, unsigned int lru)
{
	set_page(pfn, PAGE_ANON, 0, 1);
	page(pfn)->mapcount = 0;
	page(pfn)->flags |= 1ull << PG_swapbacked | (lru == 1 ? 1ull << PG_active : 0);
	add_lru(pfn, lru + 1);
	level_add(0, NR_ANON_MAPPED, 1);
	im.g->mm.anon++;
}

static void fill_root(void)
{
	struct mmvm_audit_root *r = &im.g->root;

	*r = (struct mmvm_audit_root){
		.magic = MMVM_AUDIT_MAGIC,
		.version = MMVM_CONTRACT_VERSION,
		.size = sizeof(*r),
		.ready = 1,
		.vmemmap_gva = VMEMMAP,
		.direct_map_gva = DIRECT,
		.kernel_pgd_gva = DIRECT + im.cr3,
		.nr_ranges = 2,
		.nr_zones = 2,
		.range = {{0, LOW_FRAMES}, {HIGH_PFN, HIGH_PFN + HIGH_FRAMES}},
		.mm_list_gva = GVA(mms),
		.cache_list_gva = GVA(caches),
		.kernel_pgtables_gva = GVA(kernel_tables),
	};
	for (unsigned int z = 0; z < 2; z++) {
		struct mmvm_audit_zone *zone = &r->zone[z];

		zone->present = 1;
		zone->free_area_gva = GVA(area[0][0]) + z * 11 * sizeof(struct area);
		zone->area_stride = sizeof(struct area);
		zone->nr_free_offset = offsetof(struct area, nr_free);
		zone->nr_orders = 11;
		zone->nr_types = 3;
		zone->pcp_gva[0] = GVA(pcp[0]) + z * sizeof(struct pcp);
		zone->pcp_count_offset = offsetof(struct pcp, count);
		zone->nr_pcp_lists = 4;
		for (unsigned int l = 0; l < 4; l++)
			zone->pcp_list_order[l] = (uint8_t)(l / 2);
	}
	r->node[0].present = 1;
	r->node[0].node_gva = NODE_GVA;
	r->lruvec_list_gva = GVA(lruvecs);
	r->lruvec =
		(struct mmvm_audit_lruvec_layout){.link_offset = offsetof(struct lruvec, link),
						  .policy_offset = offsetof(struct lruvec, policy),
						  .node_offset = offsetof(struct lruvec, node),
						  .memcg_offset = offsetof(struct lruvec, memcg),
						  .list_offset = offsetof(struct lruvec, list),
						  .nr_offset = offsetof(struct lruvec, nr)};
	for (unsigned int l = 0; l < 4; l++)
		r->policy[0].list[l] = (struct mmvm_audit_lru_list){
			.flags_mask = 1ull << PG_active | 1ull << PG_unevictable,
			.flags_value = l & 1 ? 1ull << PG_active : 0,
			.level = NR_INACTIVE_ANON + l,
			.kind = l < 2 ? MMVM_LRU_ANON : MMVM_LRU_FILE};
	r->policy[0].nr_lists = 4;
	r->swap[0] = (struct mmvm_audit_swap){.present = 1,
					      .map_gva = GVA(swap_map),
					      .nr_slots = 64,
					      .inuse_gva = GVA(swap_used),
					      .count_mask = 0x3f,
					      .bad_value = 0x3f,
					      .has_cache_bit = 0x40};
	r->mm = (struct mmvm_audit_mm_layout){.list_offset = offsetof(struct mm, link),
					      .pgd_offset = offsetof(struct mm, pgd),
					      .rss_anon_offset = offsetof(struct mm, anon),
					      .rss_file_offset = offsetof(struct mm, file),
					      .rss_shmem_offset = offsetof(struct mm, shmem),
					      .rss_swap_offset = offsetof(struct mm, swap),
					      .pgtables_offset = offsetof(struct mm, tables),
					      .vma_list_offset = offsetof(struct mm, vmas),
					      .vma_link_offset = offsetof(struct vma, link),
					      .vma_start_offset = offsetof(struct vma, start),
					      .vma_end_offset = offsetof(struct vma, end),
					      .vma_flags_offset = offsetof(struct vma, flags)};
	r->cache = (struct mmvm_audit_cache_layout){
		.list_offset = offsetof(struct cache, link),
		.name_offset = offsetof(struct cache, name),
		.size_offset = offsetof(struct cache, size),
		.free_ptr_offset = offsetof(struct cache, free_ptr),
		.offset_of_first = offsetof(struct cache, first),
	};
	r->mapping = (struct mmvm_audit_mapping_layout){
		.root_offset = offsetof(struct mapping, root),
		.height_offset = offsetof(struct mapping, height),
		.flags_offset = offsetof(struct mapping, flags),
		.shmem_flag = 4,
		.nrpages_offset = offsetof(struct mapping, pages),
		.nrvalues_offset = offsetof(struct mapping, values),
		.node_shift_offset = offsetof(struct tree_node, shift),
		.node_slots_offset = offsetof(struct tree_node, slots),
		.swapped_list_gva = GVA(swapped),
		.swapped_offset = offsetof(struct mapping, swapped)};
}

/** Tables of the kernel's half, the page array behind them, the structures. */
static void build_kernel(void)
{
	uint32_t pages;

	im.next = 16;
	im.cr3 = (uint64_t)im.next++ << 12;
	for (uint64_t gpa = 0; gpa < LOW_FRAMES << 12; gpa += 2 << 20)
		*entry_of(im.cr3, DIRECT + gpa, 1, true) = gpa | P | RW | PSE;
	for (uint64_t f = HIGH_PFN; f < HIGH_PFN + HIGH_FRAMES; f++)
		*entry_of(im.cr3, DIRECT + (f << 12), 0, true) = f << 12 | P | RW;
	for (uint64_t f = 0; f < LOW_FRAMES; f += 64)
		*entry_of(im.cr3, VMEMMAP + f * 64, 0, true) = (uint64_t)im.next++ << 12 | P | RW;
	for (uint64_t f = HIGH_PFN; f < HIGH_PFN + HIGH_FRAMES; f += 64)
		*entry_of(im.cr3, VMEMMAP + f * 64, 0, true) = (uint64_t)im.next++ << 12 | P | RW;
	pages = (sizeof(struct guest) + 4095) / 4096;
	im.g = (struct guest *)frame_ptr(im.next);
	im.g_gva = DIRECT + ((uint64_t)im.next << 12);
	im.next += pages;
	for (uint64_t f = 0; f < FIRST_FREE; f++)
		set_page(f, PAGE_RESERVED, 0, 1);

	for (unsigned int z = 0; z < 2; z++) {
		for (unsigned int o = 0; o < 11; o++)
			for (unsigned int t = 0; t < 3; t++)
				list_init(GVA(area[0][0]) + (z * 11 + o) * sizeof(struct area) +
					  t * sizeof(struct mmvm_list));
		for (unsigned int l = 0; l < 4; l++)
			list_init(GVA(pcp[0]) + z * sizeof(struct pcp) +
				  l * sizeof(struct mmvm_list));
	}
	list_init(GVA(lruvecs));
	im.g->lruvec.node = NODE_GVA;
	list_add_tail(GVA(lruvecs), GVA(lruvec.link));
	for (unsigned int l = 0; l <= MMVM_AUDIT_MAX_LRU_LISTS; l++)
		list_init(GVA(lruvec.list[0]) + l * sizeof(struct mmvm_list));
	list_init(GVA(mms));
	list_init(GVA(caches));
	list_init(GVA(mm.vmas));
	list_init(GVA(swapped));
	fill_root();
}

static void build_slab(uint32_t pfn)
{
	struct slab *p;

	im.g->cache = (struct cache){.name = "widgets", .size = 64, .free_ptr = 8, .first = 128};
	list_add_tail(GVA(caches), GVA(cache.link));
	set_page(pfn, PAGE_SLAB, 0, 1);
	p = (struct slab *)page(pfn);
	p->cache = GVA(cache);
	p->objects = 62;
	p->inuse = 60;
	/* Two free: object 5, then object 2. */
	p->freelist = DIRECT + ((uint64_t)pfn << 12) + 128 + 5 * 64;
	*(uint64_t *)(frame_ptr(pfn) + 128 + 5 * 64 + 8) =
		DIRECT + ((uint64_t)pfn << 12) + 128 + 2 * 64;
	*(uint64_t *)(frame_ptr(pfn) + 128 + 2 * 64 + 8) = 0;
}

/** A user's tables are pages of the guest, not RESERVED ones. */
static uint32_t user_table(uint32_t *at)
{
	uint32_t pfn = take(at, 0);

	set_page(pfn, PAGE_PGTABLE, 0, 1);
	level_add(0, NR_PAGETABLE, 1);
	return pfn;
}

static uint64_t *user_pte(unsigned int n)
{
	return (uint64_t *)frame_ptr(im.pte_table) + n;
}

/** An address space: three anon pages mapped (one of them in the swap cache too), the zero page, a
 * file page, two pages swapped out, one PROT_NONE. */
static void build_user(uint32_t *at)
{
	uint32_t pgd = user_table(at), pud = user_table(at);
	struct guest *g = im.g;

	im.pmd_table = user_table(at);
	im.pte_table = user_table(at);
	memcpy(frame_ptr(pgd) + 2048, frame_ptr(im.cr3 >> 12) + 2048, 2048);
	((uint64_t *)frame_ptr(pgd))[0] = (uint64_t)pud << 12 | P | RW | US;
	((uint64_t *)frame_ptr(pud))[0] = (uint64_t)im.pmd_table << 12 | P | RW | US;
	((uint64_t *)frame_ptr(im.pmd_table))[2] = (uint64_t)im.pte_table << 12 | P | RW | US;
	g->mm.pgd = DIRECT + ((uint64_t)pgd << 12);
	g->mm.tables = 4 * 4096;
	list_add_tail(GVA(mms), GVA(mm.link));
	for (unsigned int v = 0; v < 2; v++) {
		g->vma[v].start = USER_BASE + v * 0x8000;
		g->vma[v].end = g->vma[v].start + 0x6000;
		list_add_tail(GVA(mm.vmas), GVA(vma[0].link) + v * sizeof(struct vma));
	}
	for (unsigned int i = 0; i < 4; i++) {
		im.anon[i] = take(at, 0);
		add_anon(im.anon[i], i & 1);
		*user_pte(i) = (uint64_t)im.anon[i] << 12 | P | US | RW;
	}
	*user_pte(3) = (uint64_t)im.anon[3] << 12 | 1ull << 8; /* PROT_NONE */
	im.file = take(at, 0);
	set_page(im.file, PAGE_FILE, 0, 2);
	page(im.file)->mapcount = 0;
	add_lru(im.file, 3);
	level_add(0, NR_FILE_MAPPED, 1);
	g->mm.file = 1;
	*user_pte(4) = (uint64_t)im.file << 12 | P | US;
	*user_pte(5) = (uint64_t)im.zero << 12 | P | US | 1ull << 9;

	/* Slot 3: swapped out, two users. Slot 7: in use by nobody but the cache of anon[0]. */
	*user_pte(8) = *user_pte(9) = 3ull << MMVM_SWP_OFFSET_SHIFT;
	g->mm.swap = 2;
	g->swap_map[3] = 2;
	g->swap_map[7] = 0x40;
	g->swap_map[0] = 0x3f;
	g->swap_map[50] = 0x3f;
	g->swap_used = 2;
	page(im.anon[0])->flags |= 1ull << PG_swapcache;
	page(im.anon[0])->private_ = 7;
	page(im.anon[0])->refcount++;
	level_add(0, NR_SWAPCACHE, 1);
}

static uint64_t page_gva(uint64_t pfn)
{
	return VMEMMAP + pfn * sizeof(struct page);
}

/** A file of two levels: page 70 in memory, and dirty, a shadow behind it. Shared memory of one
 * level: page 0 in memory, page 2 in slot 9. */
static void build_files(uint32_t *at)
{
	struct guest *g = im.g;
	struct page *p;

	g->file_map = (struct mapping){.root = GVA(node[0]), .height = 2, .pages = 1, .values = 1};
	g->node[0].shift = 6;
	g->node[0].slots[1] = GVA(node[1]);
	g->node[1].slots[6] = page_gva(im.file);
	g->node[1].slots[7] = 1000 << 1 | 1;
	p = page(im.file);
	p->mapping = GVA(file_map);
	p->index = 70;
	p->flags |= 1ull << PG_dirty;
	level_add(0, NR_FILE_DIRTY, 1);

	g->shm_map = (struct mapping){
		.root = GVA(node[2]), .height = 1, .flags = 4, .pages = 1, .values = 1};
	im.shmem = take(at, 0);
	set_page(im.shmem, PAGE_SHMEM, 0, 1);
	p = page(im.shmem);
	p->mapping = GVA(shm_map);
	p->flags |= 1ull << PG_swapbacked;
	add_lru(im.shmem, 1);
	g->node[2].slots[0] = page_gva(im.shmem);
	g->node[2].slots[2] = 9 << 1 | 1;
	list_add_tail(GVA(swapped), GVA(shm_map.swapped));
	g->swap_map[9] = 1;
	g->swap_used++;
	level_add(0, NR_SHMEM, 1);
	level_add(0, NR_FILE_PAGES, 2);
}

static void build(void)
{
	uint32_t at = FIRST_FREE, table;

	memset(im.low, 0, LOW_FRAMES * 4096);
	memset(im.high, 0, HIGH_FRAMES * 4096);
	memset(&im.shared, 0, sizeof(im.shared));
	im.ram = (struct guest_ram){
		.region = {{.gpa = 0, .size = LOW_FRAMES << 12, .hva = im.low},
			   {.gpa = HIGH_PFN << 12, .size = HIGH_FRAMES << 12, .hva = im.high}},
		.nr = 2};
	build_kernel();
	im.slab = take(&at, 0);
	build_slab(im.slab);
	im.zero = take(&at, 0);
	set_page(im.zero, PAGE_ZERO, 0, 1);
	im.g->root.zero_page_pfn = im.zero;
	im.vmalloc = take(&at, 0);
	set_page(im.vmalloc, PAGE_VMALLOC, 0, 1);
	level_add(0, NR_VMALLOC, 1);
	im.dma = take(&at, 0);
	set_page(im.dma, PAGE_DMA, 0, 1);
	/* The vmalloc area's last table is a page of the guest, counted by it. */
	*entry_of(im.cr3, VMALLOC, 1, true) = 0;
	table = user_table(&at);
	im.g->kernel_tables = 1;
	*entry_of(im.cr3, VMALLOC, 1, false) = (uint64_t)table << 12 | P | RW;
	*entry_of(im.cr3, VMALLOC, 0, false) = (uint64_t)im.vmalloc << 12 | P | RW;
	build_user(&at);
	build_files(&at);
	im.stack = take(&at, 2);
	/* What lies before an aligned block is free: here it is made to be nothing. */
	for (uint32_t f = FIRST_FREE; f < im.stack; f++)
		if (page(f)->type == PAGE_INVALID)
			set_page(f, PAGE_OTHER, 0, 1);
	set_page(im.stack, PAGE_STACK, 2, 1);
	im.folio = take(&at, 2);
	set_page(im.folio, PAGE_KMALLOC, 2, 1);
	page(im.folio)->flags |= 1ull << PG_head;
	for (uint32_t i = 1; i < 4; i++) {
		set_page(im.folio + i, PAGE_INVALID, 0, 0);
		page(im.folio + i)->lru.next = page_gva(im.folio) | 1;
	}
	im.pcp1 = take(&at, 1);
	add_pcp(im.pcp1, 2, 1);
	im.pcp0 = take(&at, 0);
	add_pcp(im.pcp0, 0, 0);
	add_pcp(take(&at, 0), 0, 0);
	/* A block's tail may hold anything: here, what it was before. */
	page(im.stack + 1)->type = PAGE_BUDDY;
	page(im.stack + 1)->order = 3;
	give_range(at, LOW_FRAMES);
	give_range(HIGH_PFN, HIGH_PFN + HIGH_FRAMES);
}

static int run(void)
{
	struct audit_source src = {
		.ram = &im.ram, .cr3 = im.cr3, .root_gva = GVA(root), .shared = &im.shared};

	return audit_memory(&src, &im.r);
}

static void test_clean(void)
{
	uint64_t sum = 0;
	int ret;

	build();
	ret = run();
	if (ret)
		audit_print(stderr, "", &im.r, true);
	CU_ASSERT_EQUAL(ret, 0);
	CU_ASSERT_EQUAL(im.r.ram_frames, LOW_FRAMES + HIGH_FRAMES);
	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++)
		sum += im.r.frames[t];
	CU_ASSERT_EQUAL(sum, LOW_FRAMES + HIGH_FRAMES);
	CU_ASSERT_EQUAL(im.r.frames[PAGE_ANON], 4);
	CU_ASSERT_EQUAL(im.r.frames[PAGE_PGTABLE], 5);
	CU_ASSERT_EQUAL(im.r.frames[PAGE_STACK], 4);
	CU_ASSERT_EQUAL(im.r.frames[PAGE_PCP], 4);
	CU_ASSERT_EQUAL(im.r.nr_mm, 1);
	CU_ASSERT_EQUAL(im.r.nr_caches, 1);
	CU_ASSERT_EQUAL(im.r.nr_swap_used, 3);
}

/* ---- one damage each ------------------------------------------------------------------------ */

static uint64_t first_buddy(unsigned int zone, unsigned int order, unsigned int type)
{
	return (im.g->area[zone][order].list[type].next - VMEMMAP) / sizeof(struct page);
}
/** The largest order with a block in zone 1 (the high region): one block of order 8. */
#define HIGH_BLOCK first_buddy(1, 8, 0)

static void d_magic(void)
{
	im.g->root.magic++;
}
static void d_version(void)
{
	im.g->root.version++;
}
static void d_not_ready(void)
{
	im.g->root.ready = 0;
}
static void d_ranges(void)
{
	im.g->root.nr_ranges = 200;
}
static void d_huge_range(void)
{
	im.g->root.range[1].end_pfn = 1ull << 50;
}
static void d_page_array(void)
{
	im.g->root.vmemmap_gva = 0x1000;
}
static void d_invalid(void)
{
	page(im.dma)->type = PAGE_INVALID;
}
static void d_type(void)
{
	page(im.dma)->type = 200;
}
static void d_order(void)
{
	page(im.dma)->order = 10;
}
static void d_tail_listed(void)
{
	uint64_t head = GVA(area[0][0]);

	page(im.stack + 1)->lru.next = 0;
	page(im.stack + 1)->order = 0;
	list_add_tail(head, lru_gva(im.stack + 1));
	im.g->area[0][0].nr_free++;
	level_add(0, NR_FREE_PAGES, 1);
}
static void d_free_refcount(void)
{
	page(HIGH_BLOCK)->refcount = 1;
}
static void d_pcp_refcount(void)
{
	page(im.pcp0)->refcount = 1;
}
static void d_free_mapcount(void)
{
	page(HIGH_BLOCK)->mapcount = 0;
}
static void d_used_refcount(void)
{
	page(im.dma)->refcount = 0;
}
static void d_slab_refcount(void)
{
	page(im.slab)->refcount = 2;
}
static void d_anon_few(void)
{
	page(im.anon[0])->refcount--;
}
static void d_anon_many(void)
{
	page(im.anon[1])->refcount++;
}
static void d_buddy_next(void)
{
	page(HIGH_BLOCK)->lru.next = 0x123456;
}
static void d_buddy_prev(void)
{
	page(HIGH_BLOCK)->lru.prev = lru_gva(im.slab);
}
static void d_buddy_loop(void)
{
	page(HIGH_BLOCK)->lru.next = lru_gva(HIGH_BLOCK);
}
static void d_buddy_type(void)
{
	page(HIGH_BLOCK)->type = PAGE_OTHER;
	page(HIGH_BLOCK)->refcount = 1;
}
static void d_buddy_migrate(void)
{
	page(HIGH_BLOCK)->migratetype = 2;
}
static void d_buddy_zone(void)
{
	page(HIGH_BLOCK)->flags = 0;
}
static void d_buddy_lost(void)
{
	uint64_t pfn = HIGH_BLOCK, head = page(pfn)->lru.next;

	node(head)->next = node(head)->prev = head;
	im.g->area[1][8].nr_free--;
	level_add(1, NR_FREE_PAGES, -256);
	(void)pfn;
}
static void d_nr_free(void)
{
	im.g->area[1][8].nr_free++;
}
static void d_unmerged(void)
{
	uint64_t pfn = HIGH_BLOCK, head = page(pfn)->lru.next;

	node(head)->next = node(head)->prev = head;
	im.g->area[1][8].nr_free--;
	level_add(1, NR_FREE_PAGES, -256);
	give_buddy(pfn, 7);
	give_buddy(pfn + 128, 7);
}
static void d_free_pages(void)
{
	level_add(1, NR_FREE_PAGES, 1);
}
static void d_pcp_link(void)
{
	page(im.pcp0)->lru.next = 1;
}
static void d_pcp_cpu(void)
{
	page(im.pcp0)->cpu = 3;
}
static void d_pcp_order(void)
{
	page(im.pcp1)->order = 0;
}
static void d_pcp_lost(void)
{
	list_init(GVA(pcp[0].list[2]));
	im.g->pcp[0].count -= 2;
}
static void d_pcp_count(void)
{
	im.g->pcp[0].count++;
}
static void d_slab_out(void)
{
	*(uint64_t *)(frame_ptr(im.slab) + 128 + 5 * 64 + 8) += 1 << 20;
}
static void d_slab_skew(void)
{
	page(im.slab)->index += 4;
}
static void d_slab_loop(void)
{
	*(uint64_t *)(frame_ptr(im.slab) + 128 + 2 * 64 + 8) = page(im.slab)->index;
}
static void d_slab_count(void)
{
	page(im.slab)->private_++;
}
static void d_slab_objects(void)
{
	((struct slab *)page(im.slab))->objects = 63;
	page(im.slab)->private_++;
}
static void d_tail_no_head(void)
{
	page(im.folio + 2)->lru.next = 0;
}
static void d_tail_other_head(void)
{
	page(im.folio + 3)->lru.next = page_gva(im.stack) | 1;
}
static void d_tail_referenced(void)
{
	page(im.folio + 1)->refcount = 1;
}
static void d_tail_mapped(void)
{
	page(im.folio + 3)->mapcount = 0;
}
static void d_tail_type(void)
{
	page(im.folio + 1)->type = PAGE_ANON;
}
static void d_head_alone(void)
{
	page(im.dma)->flags |= 1ull << PG_head;
}
static void d_stray_tail(void)
{
	page(im.dma)->lru.next = page_gva(im.folio) | 1;
}
static void d_tail_of_plain(void)
{
	page(im.stack + 3)->lru.next = page_gva(im.stack) | 1;
}
static void d_tail_left_behind(void)
{
	page(im.pcp1 + 1)->lru.next = page_gva(im.pcp1) | 1;
}
static void d_slab_cache(void)
{
	page(im.slab)->mapping += 8;
}
static void d_table_hole(void)
{
	((uint64_t *)frame_ptr(im.pmd_table))[7] = 0x9999999000ull | 7;
}
static void d_table_type(void)
{
	((uint64_t *)frame_ptr(im.pmd_table))[7] = (uint64_t)im.dma << 12 | 7;
}
static void d_table_twice(void)
{
	((uint64_t *)frame_ptr(im.pmd_table))[3] = (uint64_t)im.pte_table << 12 | 7;
}
static void d_table_self(void)
{
	((uint64_t *)frame_ptr(im.pmd_table))[9] = (uint64_t)im.pmd_table << 12 | 7;
}
static void d_leaf_hole(void)
{
	*user_pte(10) = 0x9999999000ull | 7;
}
static void d_leaf_slab(void)
{
	*user_pte(10) = (uint64_t)im.slab << 12 | 7;
}
static void d_special(void)
{
	*user_pte(5) = (uint64_t)im.anon[0] << 12 | P | US | 1ull << 9;
}
static void d_kernel_half(void)
{
	uint64_t pgd = im.g->mm.pgd - DIRECT;

	((uint64_t *)frame_ptr(pgd >> 12))[400] = 0x1000 | P;
}
static void d_pgd(void)
{
	im.g->mm.pgd = 0x1000;
}
static void d_tables_bytes(void)
{
	im.g->mm.tables += 4096;
}
static void d_kernel_tables(void)
{
	im.g->kernel_tables = 9;
}
static void d_table_lost(void)
{
	page(im.dma)->type = PAGE_PGTABLE;
	level_add(0, NR_PAGETABLE, 1);
}
static void d_mapcount(void)
{
	page(im.anon[1])->mapcount = 1;
	page(im.anon[1])->refcount = 2;
}
static void d_file_mapcount(void)
{
	page(im.file)->mapcount = -1;
}
static void d_dma_mapcount(void)
{
	page(im.dma)->mapcount = 0;
}
static void d_free_mapped(void)
{
	*user_pte(10) = HIGH_BLOCK << 12 | 7;
}
static void d_lru_link(void)
{
	page(im.anon[1])->lru.prev = 0;
}
static void d_lru_wrong(void)
{
	page(im.anon[1])->flags &= ~(1ull << PG_active);
}
static void d_lru_node(void)
{
	page(im.anon[1])->flags |= 1ull << PAGE_NODE_SHIFT;
}
static void d_lru_lost(void)
{
	page(im.dma)->flags |= 1ull << PG_lru;
	page(im.dma)->type = PAGE_SHMEM;
}
static void d_lru_free(void)
{
	page(im.pcp0)->flags |= 1ull << PG_lru;
}
static void d_lru_count(void)
{
	level_add(0, NR_ACTIVE_ANON, 1);
}
static void d_lru_number(void)
{
	page(im.anon[1])->flags ^= 3ull << PAGE_LIST_SHIFT;
}
static void d_lru_kind(void)
{
	page(im.file)->type = PAGE_SHMEM;
}
static void d_lru_stale_number(void)
{
	page(im.pcp0)->flags |= 2ull << PAGE_LIST_SHIFT;
}
static void d_lru_own_count(void)
{
	im.g->lruvec.nr[2]++;
}
static void d_lruvec_link(void)
{
	im.g->lruvec.link.next = 8;
}
static void d_lruvec_node(void)
{
	im.g->lruvec.node++;
}
static void d_lruvec_policy(void)
{
	im.g->lruvec.policy = 3;
}
static void d_swap_users(void)
{
	im.g->swap_map[3] = 1;
}
static void d_swap_nobody(void)
{
	im.g->swap_map[12] = 1;
	im.g->swap_used++;
}
static void d_swap_cache_bit(void)
{
	im.g->swap_map[7] = 1;
}
static void d_swap_cached(void)
{
	page(im.anon[0])->private_ = 9;
}
static void d_swap_twice(void)
{
	page(im.anon[1])->flags |= 1ull << PG_swapcache;
	page(im.anon[1])->refcount++;
	page(im.anon[1])->private_ = 7;
	level_add(0, NR_SWAPCACHE, 1);
}
static void d_swap_slot(void)
{
	*user_pte(8) = 64ull << MMVM_SWP_OFFSET_SHIFT;
}
static void d_swap_type(void)
{
	*user_pte(8) |= 3ull << MMVM_SWP_TYPE_SHIFT;
}
static void d_swap_bad(void)
{
	*user_pte(8) = 50ull << MMVM_SWP_OFFSET_SHIFT;
}
static void d_swap_map(void)
{
	im.g->root.swap[0].map_gva = 0x7000;
}
static void d_swap_used(void)
{
	im.g->swap_used = 5;
}
static void d_rss_anon(void)
{
	im.g->mm.anon--;
}
static void d_rss_file(void)
{
	im.g->mm.file = 0;
}
static void d_rss_shmem(void)
{
	im.g->mm.shmem = 1;
}
static void d_cache_index(void)
{
	page(im.file)->index++;
}
static void d_cache_lost(void)
{
	im.g->node[1].slots[6] = 0;
}
static void d_cache_twice(void)
{
	im.g->node[1].slots[9] = page_gva(im.file);
}
static void d_cache_item(void)
{
	im.g->node[1].slots[9] = page_gva(im.anon[1]);
}
static void d_cache_wild(void)
{
	im.g->node[1].slots[9] = 0x123456789a0;
}
static void d_cache_level(void)
{
	im.g->node[1].shift = 6;
}
static void d_cache_loop(void)
{
	im.g->node[0].slots[3] = GVA(node[0]);
}
static void d_cache_height(void)
{
	im.g->shm_map.height = 64;
}
static void d_cache_mapping(void)
{
	page(im.file)->mapping = 0x1000;
}
static void d_cache_pages(void)
{
	im.g->file_map.pages++;
}
static void d_cache_values(void)
{
	im.g->shm_map.values = 0;
}
static void d_cache_references(void)
{
	page(im.shmem)->refcount = 40;
}
static void d_cache_few_references(void)
{
	page(im.file)->refcount = 1;
}
static void d_shmem_slot(void)
{
	im.g->node[2].slots[2] = 3ull << 59 | 19;
}
static void d_shmem_unused(void)
{
	im.g->node[2].slots[2] = 0;
}
static void d_swapped_list(void)
{
	im.g->shm_map.swapped.next = 0;
}
static void d_vmstat_file_pages(void)
{
	level_add(0, NR_FILE_PAGES, 1);
}
static void d_vmstat_shmem(void)
{
	level_add(1, NR_SHMEM, -1);
}
static void d_vmstat_mapped(void)
{
	level_add(0, NR_FILE_MAPPED, 1);
}
static void d_vmstat_dirty(void)
{
	page(im.file)->flags &= ~(1ull << PG_dirty);
}
static void d_rss_swap(void)
{
	im.g->mm.swap = 5;
}
static void d_vma_order(void)
{
	im.g->vma[1].start = im.g->vma[0].start;
}
static void d_vma_empty(void)
{
	im.g->vma[1].end = im.g->vma[1].start;
}
static void d_vma_gap(void)
{
	im.g->vma[0].end -= 0x2000;
}
static void d_vma_list(void)
{
	im.g->vma[0].link.next = 0;
}
static void d_total(void)
{
	im.g->root.range[1].end_pfn--;
}
static void d_vmstat_anon(void)
{
	level_add(1, NR_ANON_MAPPED, -1);
}
static void d_vmstat_tables(void)
{
	level_add(0, NR_PAGETABLE, 4);
}
static void d_vmstat_cached(void)
{
	level_add(0, NR_SWAPCACHE, 1);
}

static const struct damage {
	const char *name;
	void (*do_it)(void);
	enum mmvm_audit_finding finding;
} damages[] = {
#define D(fn, finding)           \
	{                        \
#fn, fn, finding \
	}
	D(d_magic, AUDIT_ROOT),
	D(d_version, AUDIT_ROOT),
	D(d_not_ready, AUDIT_ROOT),
	D(d_ranges, AUDIT_ROOT),
	D(d_huge_range, AUDIT_ROOT),
	D(d_page_array, AUDIT_ROOT),
	D(d_invalid, AUDIT_PAGE_STATE),
	D(d_type, AUDIT_PAGE_STATE),
	D(d_order, AUDIT_PAGE_STATE),
	D(d_tail_listed, AUDIT_PAGE_OVERLAP),
	D(d_free_refcount, AUDIT_FREE_REFCOUNT),
	D(d_pcp_refcount, AUDIT_FREE_REFCOUNT),
	D(d_free_mapcount, AUDIT_FREE_REFCOUNT),
	D(d_used_refcount, AUDIT_USED_REFCOUNT),
	D(d_slab_refcount, AUDIT_USED_REFCOUNT),
	D(d_anon_few, AUDIT_USED_REFCOUNT),
	D(d_anon_many, AUDIT_USED_REFCOUNT),
	D(d_buddy_next, AUDIT_BUDDY_LIST),
	D(d_buddy_prev, AUDIT_BUDDY_LIST),
	D(d_buddy_loop, AUDIT_BUDDY_LIST),
	D(d_buddy_type, AUDIT_BUDDY_LIST),
	D(d_buddy_migrate, AUDIT_BUDDY_LIST),
	D(d_buddy_zone, AUDIT_BUDDY_LIST),
	D(d_buddy_lost, AUDIT_BUDDY_LIST),
	D(d_nr_free, AUDIT_BUDDY_COUNT),
	D(d_unmerged, AUDIT_BUDDY_UNMERGED),
	D(d_free_pages, AUDIT_FREE_PAGES),
	D(d_pcp_link, AUDIT_PCP_LIST),
	D(d_pcp_cpu, AUDIT_PCP_LIST),
	D(d_pcp_order, AUDIT_PCP_LIST),
	D(d_pcp_lost, AUDIT_PCP_LIST),
	D(d_pcp_count, AUDIT_PCP_COUNT),
	D(d_slab_out, AUDIT_SLAB_FREELIST),
	D(d_slab_skew, AUDIT_SLAB_FREELIST),
	D(d_slab_loop, AUDIT_SLAB_FREELIST),
	D(d_slab_count, AUDIT_SLAB_COUNT),
	D(d_slab_objects, AUDIT_SLAB_COUNT),
	D(d_slab_cache, AUDIT_SLAB_COUNT),
	D(d_tail_no_head, AUDIT_FOLIO_TAIL),
	D(d_tail_other_head, AUDIT_FOLIO_TAIL),
	D(d_tail_referenced, AUDIT_FOLIO_TAIL),
	D(d_tail_mapped, AUDIT_FOLIO_TAIL),
	D(d_tail_type, AUDIT_FOLIO_TAIL),
	D(d_head_alone, AUDIT_FOLIO_TAIL),
	D(d_stray_tail, AUDIT_STRAY_TAIL),
	D(d_tail_of_plain, AUDIT_STRAY_TAIL),
	D(d_tail_left_behind, AUDIT_STRAY_TAIL),
	D(d_table_hole, AUDIT_PGTABLE),
	D(d_table_type, AUDIT_PGTABLE),
	D(d_table_twice, AUDIT_PGTABLE),
	D(d_table_self, AUDIT_PGTABLE),
	D(d_leaf_hole, AUDIT_PGTABLE),
	D(d_leaf_slab, AUDIT_PGTABLE),
	D(d_special, AUDIT_PGTABLE),
	D(d_kernel_half, AUDIT_PGTABLE),
	D(d_pgd, AUDIT_PGTABLE),
	D(d_tables_bytes, AUDIT_PGTABLE_COUNT),
	D(d_kernel_tables, AUDIT_PGTABLE_COUNT),
	D(d_table_lost, AUDIT_PGTABLE_COUNT),
	D(d_mapcount, AUDIT_MAPCOUNT),
	D(d_file_mapcount, AUDIT_MAPCOUNT),
	D(d_dma_mapcount, AUDIT_MAPCOUNT),
	D(d_free_mapped, AUDIT_FREE_MAPPED),
	D(d_lru_link, AUDIT_LRU_LIST),
	D(d_lru_wrong, AUDIT_LRU_LIST),
	D(d_lru_node, AUDIT_LRU_LIST),
	D(d_lru_lost, AUDIT_LRU_LIST),
	D(d_lru_free, AUDIT_LRU_LIST),
	D(d_lru_count, AUDIT_LRU_COUNT),
	D(d_lru_number, AUDIT_LRU_LIST),
	D(d_lru_kind, AUDIT_LRU_LIST),
	D(d_lru_stale_number, AUDIT_LRU_LIST),
	D(d_lru_own_count, AUDIT_LRU_COUNT),
	D(d_lruvec_link, AUDIT_LRU_LIST),
	D(d_lruvec_node, AUDIT_LRU_LIST),
	D(d_lruvec_policy, AUDIT_LRU_LIST),
	D(d_swap_users, AUDIT_SWAP_MAP),
	D(d_swap_nobody, AUDIT_SWAP_MAP),
	D(d_swap_cache_bit, AUDIT_SWAP_MAP),
	D(d_swap_cached, AUDIT_SWAP_MAP),
	D(d_swap_twice, AUDIT_SWAP_MAP),
	D(d_swap_slot, AUDIT_SWAP_MAP),
	D(d_swap_type, AUDIT_SWAP_MAP),
	D(d_swap_bad, AUDIT_SWAP_MAP),
	D(d_swap_map, AUDIT_SWAP_MAP),
	D(d_swap_used, AUDIT_SWAP_COUNT),
	D(d_rss_anon, AUDIT_RSS),
	D(d_rss_file, AUDIT_RSS),
	D(d_rss_swap, AUDIT_RSS),
	D(d_rss_shmem, AUDIT_RSS),
	D(d_cache_index, AUDIT_CACHE),
	D(d_cache_lost, AUDIT_CACHE),
	D(d_cache_twice, AUDIT_CACHE),
	D(d_cache_item, AUDIT_CACHE),
	D(d_cache_wild, AUDIT_CACHE),
	D(d_cache_level, AUDIT_CACHE),
	D(d_cache_loop, AUDIT_CACHE),
	D(d_cache_height, AUDIT_CACHE),
	D(d_cache_mapping, AUDIT_CACHE),
	D(d_cache_pages, AUDIT_CACHE_COUNT),
	D(d_cache_values, AUDIT_CACHE_COUNT),
	D(d_cache_references, AUDIT_USED_REFCOUNT),
	D(d_cache_few_references, AUDIT_USED_REFCOUNT),
	D(d_shmem_slot, AUDIT_SWAP_MAP),
	D(d_shmem_unused, AUDIT_SWAP_MAP),
	D(d_swapped_list, AUDIT_ROOT),
	D(d_vma_order, AUDIT_VMA),
	D(d_vma_empty, AUDIT_VMA),
	D(d_vma_gap, AUDIT_VMA),
	D(d_vma_list, AUDIT_VMA),
	D(d_total, AUDIT_TOTAL),
	D(d_vmstat_anon, AUDIT_VMSTAT),
	D(d_vmstat_tables, AUDIT_VMSTAT),
	D(d_vmstat_cached, AUDIT_VMSTAT),
	D(d_vmstat_file_pages, AUDIT_VMSTAT),
	D(d_vmstat_shmem, AUDIT_VMSTAT),
	D(d_vmstat_mapped, AUDIT_VMSTAT),
	D(d_vmstat_dirty, AUDIT_VMSTAT),
};

static void test_damages(void)
{
	bool covered[NR_AUDIT_FINDINGS] = {false};

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		const struct damage *d = &damages[i];
		int ret;

		build();
		d->do_it();
		ret = run();
		covered[d->finding] = true;
		if (ret <= 0 || !im.r.count[d->finding]) {
			fprintf(stderr, "%s: %s not found\n", d->name,
				audit_finding_name(d->finding));
			audit_print(stderr, "  ", &im.r, true);
		}
		CU_ASSERT_TRUE(ret > 0);
		CU_ASSERT_TRUE(im.r.count[d->finding] > 0);
	}
	/* Every finding of the contract can be found. */
	for (unsigned int k = 0; k < NR_AUDIT_FINDINGS; k++)
		CU_ASSERT_TRUE(covered[k]);
}

/** Pins are allowed where the flags say why, and only there. */
static void test_pins(void)
{
	build();
	page(im.anon[1])->refcount++;
	page(im.anon[1])->flags |= 1ull << PG_locked;
	CU_ASSERT_EQUAL(run(), 0);
	page(im.anon[1])->refcount += 2;
	CU_ASSERT_EQUAL(run(), 1);
	CU_ASSERT_EQUAL(im.r.count[AUDIT_USED_REFCOUNT], 1);
}

/** Findings without number are counted, and kept within the bound. */
static void test_many(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f;

	build();
	for (uint64_t pfn = 0; pfn < LOW_FRAMES; pfn++) {
		page(pfn)->type = 99;
		page(pfn)->order = 77;
	}
	CU_ASSERT_TRUE(run() >= (int)LOW_FRAMES);
	CU_ASSERT_TRUE(im.r.nr_kept <= AUDIT_MAX_KEPT);
	CU_ASSERT_EQUAL(im.r.count[AUDIT_PAGE_STATE], LOW_FRAMES);
	f = open_memstream(&text, &len);
	audit_print(f, "> ", &im.r, true);
	fclose(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "> audit: page_state: 2048 times in all"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "> pages by state:"));
	free(text);
}

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/** Does the walk of the tables, which may be damaged, to the page array reach RAM? */
static bool page_reachable(uint64_t pfn)
{
	uint64_t gva = VMEMMAP + pfn * sizeof(struct page), table = im.cr3 >> 12;

	for (int l = 3; l >= 0; l--) {
		uint64_t e = ((uint64_t *)frame_ptr(table))[gva >> (12 + 9 * l) & 511];

		table = (e & 0x000ffffffffff000ull) >> 12;
		if (!e || table >= LOW_FRAMES)
			return false;
	}
	return true;
}

/** Damage at random to everything the audit reads: it ends, and stays inside. */
static void test_hostile(void)
{
	uint64_t seed = 0x9e3779b97f4a7c15ull;
	unsigned int found = 0;

	for (unsigned int round = 0; round < 1500; round++) {
		unsigned int hits = 1 + (unsigned int)(next_random(&seed) % 8);

		if (round % 10 == 0)
			build();
		for (unsigned int h = 0; h < hits; h++) {
			uint64_t where = next_random(&seed), what = next_random(&seed);
			uint8_t *at;

			switch (where % 4) {
			case 0: /* the structures */
				at = (uint8_t *)im.g + where / 4 % sizeof(*im.g);
				break;
			case 1: /* the page array and the tables */
				at = im.low + where / 4 % ((uint64_t)im.next * 4096);
				break;
			case 2: /* tables and pages of the user */
				at = im.low + FIRST_FREE * 4096ull + where / 4 % (32 * 4096);
				break;
			default: /* one struct page, a whole pointer */
				if (!page_reachable(where / 4 % (FIRST_FREE + 40)))
					continue;
				at = (uint8_t *)page(where / 4 % (FIRST_FREE + 40)) + (what & 56);
				memcpy(at, &what, 8);
				continue;
			}
			*at ^= (uint8_t)(1u << what % 8);
		}
		/* The page array's own tables may be gone: then page() cannot be used. */
		if (run() != 0)
			found++;
		if (im.r.count[AUDIT_ROOT])
			build();
	}
	CU_ASSERT_TRUE(found > 1000);
}

int main(void)
{
	int status;
	static const struct unit_case cases[] = {
		{"a whole memory is clean", test_clean}, {"each damage is named", test_damages},
		{"pins need a reason", test_pins},	 {"many findings are bounded", test_many},
		{"random damage ends", test_hostile},
	};

	im.low = aligned_alloc(4096, LOW_FRAMES * 4096);
	im.high = aligned_alloc(4096, HIGH_FRAMES * 4096);
	if (!im.low || !im.high)
		return 1;
	status = unit_run("audit", cases, sizeof(cases) / sizeof(cases[0]));
	free(im.low);
	free(im.high);
	return status;
}
