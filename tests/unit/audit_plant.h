/*
 * A guest memory made by hand for tests of the audit, and the planting of damage in it: 8 MiB at 0
 * and 1 MiB at 4 GiB, with page tables, a page array, buddy and per-CPU lists, a slab, an address
 * space, LRU lists and a swap map. As built, it audits clean.
 *
 * A test of a finding is a function that damages the image and a row:
 *
 *	static void d_my_damage(void) { page(im.dma)->refcount = 7; }
 *	static const struct damage damages[] = { PLANT(d_my_damage, AUDIT_USED_REFCOUNT), ... };
 *	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
 *
 * vmm_audit.c checks that each finding of mmvm/audit.h has such a row in some vmm_audit*.c.
 */
#ifndef TESTS_AUDIT_PLANT_H
#define TESTS_AUDIT_PLANT_H
#include "../host/unit.h"
#include <errno.h>
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
	uint32_t nr_thps, pad;
};

struct tree_node {
	uint64_t present;
	uint32_t shift, pad;
	uint64_t slots[64];
};

struct rb {
	uint64_t parent, left, right;
};

struct guest {
	struct mmvm_audit_root root;
	struct area {
		struct mmvm_list list[4];
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
		uint64_t max_seq, min_seq[2]; /* of a policy with generations */
	} lruvec;
	struct mmvm_list lruvecs;
	struct mmvm_list mms, caches;
	struct mm {
		struct mmvm_list link, vmas;
		uint64_t pgd;
		int64_t anon, file, shmem, swap, hugetlb, tables, committed;
	} mm;
	struct vma {
		uint64_t start, end, flags;
		struct mmvm_list link;
		uint64_t policy, held;
		uint64_t pgoff, mapping, last;
		struct mmvm_list chains;
		struct rb rb;
	} vma[2];
	struct policy {
		uint32_t mode, nodes;
	} policy;
	struct memcg {
		uint64_t id, parent;
		int64_t usage, kernel, zswap, obj;
		int64_t stat[MMVM_MAX_NODES][NR_ZONE_STAT_ITEMS];
		int64_t slab[MMVM_MAX_NODES][2];
		uint64_t min, low, effective_min, effective_low, settled_usage, settled_as_of;
	} memcg[4];
	uint64_t memcg_leaf, memcg_ids[4], memcg_settings;
	struct cache {
		struct mmvm_list link;
		char name[32];
		uint32_t size, free_ptr, first, flags;
	} cache;
	int64_t kernel_tables;
	uint64_t swap_used, swap_usable, swap_failed;
	uint8_t swap_map[64];
	struct mapping file_map, shm_map;
	struct tree_node node[3];
	struct mmvm_list swapped;
	/* Huge pages: one pool, one file with a promise, one mount. */
	struct pool {
		struct mmvm_list free_list;
		uint64_t nr, free, resv, surplus;
		uint32_t order, pad;
		uint64_t nr_node[MMVM_MAX_NODES], free_node[MMVM_MAX_NODES],
			surplus_node[MMVM_MAX_NODES];
	} pool;
	struct mmvm_list hfiles, hmounts;
	struct hfile {
		struct mmvm_list link;
		uint64_t pool, resv, mapping;
	} hfile;
	struct mapping hmapping;
	struct hmap {
		struct mmvm_list regions;
	} hmap;
	struct hregion {
		struct mmvm_list link;
		uint64_t from, to;
	} hregion;
	struct hmount {
		struct mmvm_list link;
		uint64_t pool;
		int64_t reserved;
	} hmount;
	/* Compressed pages: one class, one zspage of one page with two objects, two slots with an entry. */
	struct zclass {
		struct mmvm_list list[2];
		uint64_t zspages, used;
		uint32_t size, pages, objects, pad;
	} zclass;
	struct zspage {
		struct mmvm_list link;
		uint64_t class;
		uint32_t inuse, pad;
		uint64_t page[4], owner[2];
	} zspage;
	struct zentry {
		uint64_t slot, zspage;
		uint32_t index;
		uint16_t length, pad;
	} zentry[2];
	uint64_t zswap[64], zstored;
	/* Merged pages: in the root in vmm_audit_ksm.c alone. */
	struct mmvm_list knodes;
	struct knode {
		struct mmvm_list link;
		uint64_t page, hash, nr;
	} knode[2];
	uint64_t kshared, ksharing;
	/* Reverse map and promises: empty, and not in the root, but in vmm_audit_rmap.c. */
	struct chain {
		uint64_t vma, anon_vma, last;
		struct mmvm_list link;
		struct rb rb;
	} chain[3];
	uint64_t anon_vma_tree[2], file_tree;
	int64_t committed;
	struct mmvm_list promises;
	struct promise {
		struct mmvm_list link;
		uint64_t pages;
	} promise[2];
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
	uint64_t host_has[3]; /* frames in the balloon device's set; 0: none */
	uint64_t pmem_gpa, pmem_size, pmem_flushes; /* of the machine's one; size 0: none */
	struct audit_result r;
} im;

static inline uint8_t *frame_ptr(uint64_t pfn)
{
	return pfn < LOW_FRAMES ? im.low + pfn * 4096 : im.high + (pfn - HIGH_PFN) * 4096;
}

/** Host pointer of a frame's struct page: through the tables, as the guest sees it. */
static inline uint64_t *entry_of(uint64_t cr3, uint64_t gva, int level, bool make)
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

static inline struct page *page(uint64_t pfn)
{
	uint64_t gva = VMEMMAP + pfn * sizeof(struct page);
	uint64_t *e = entry_of(im.cr3, gva, 0, false);

	return (struct page *)(frame_ptr((*e & 0x000ffffffffff000ull) >> 12) + (gva & 4095));
}

static inline uint64_t lru_gva(uint64_t pfn)
{
	return VMEMMAP + pfn * sizeof(struct page) + offsetof(struct page, lru);
}

#define GVA(field) (im.g_gva + offsetof(struct guest, field))

/** Host address of a list node, by its guest address: in a page, or in the structures. */
static inline struct mmvm_list *node(uint64_t gva)
{
	if (gva >= VMEMMAP)
		return &page((gva - VMEMMAP) / sizeof(struct page))->lru;
	return (struct mmvm_list *)((uint8_t *)im.g + (gva - im.g_gva));
}

static inline void list_init(uint64_t head)
{
	node(head)->next = node(head)->prev = head;
}

static inline void list_add_tail(uint64_t head, uint64_t n)
{
	uint64_t last = node(head)->prev;

	node(n)->next = head;
	node(n)->prev = last;
	node(last)->next = n;
	node(head)->prev = n;
}

static inline void list_del(uint64_t n)
{
	const struct mmvm_list l = *node(n);

	node(l.prev)->next = l.next;
	node(l.next)->prev = l.prev;
}

static inline unsigned int zone_of(uint64_t pfn)
{
	return pfn >= HIGH_PFN;
}

static inline void set_page(uint64_t pfn, unsigned int type, unsigned int order, int refcount)
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
static inline uint32_t take(uint32_t *at, unsigned int order)
{
	uint32_t pfn = (*at + (1u << order) - 1) & ~((1u << order) - 1);

	*at = pfn + (1u << order);
	return pfn;
}

static inline void level_add(unsigned int zone, enum zone_stat_item item, int64_t n)
{
	im.shared.zone[zone].stat[item] += n;
}

static inline void give_buddy(uint64_t pfn, unsigned int order)
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
static inline void give_range(uint64_t from, uint64_t to)
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

static inline void add_pcp(uint64_t pfn, unsigned int list, unsigned int order)
{
	set_page(pfn, PAGE_PCP, order, 0);
	list_add_tail(GVA(pcp[0].list[0]) + list * sizeof(struct mmvm_list), lru_gva(pfn));
	im.g->pcp[0].count += 1u << order;
}

/* List 1 inactive anon, 2 active anon, 3 inactive file, 4 active file. */
static inline void add_lru(uint32_t pfn, unsigned int list)
{
	page(pfn)->flags |= 1ull << PG_lru | (uint64_t)list << PAGE_LIST_SHIFT;
	list_add_tail(GVA(lruvec.list[0]) + list * sizeof(struct mmvm_list), lru_gva(pfn));
	im.g->lruvec.nr[list]++;
	level_add(0, NR_INACTIVE_ANON + list - 1, 1);
}

static inline void add_anon(uint32_t pfn, unsigned int lru)
{
	set_page(pfn, PAGE_ANON, 0, 1);
	page(pfn)->mapcount = 0;
	page(pfn)->flags |= 1ull << PG_swapbacked | (lru == 1 ? 1ull << PG_active : 0);
	add_lru(pfn, lru + 1);
	level_add(0, NR_ANON_MAPPED, 1);
	im.g->mm.anon++;
}

static inline void fill_root(void)
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
		.paging_levels = 4,
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
		zone->nr_types = 4;
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
	r->mempolicy = (struct mmvm_audit_mempolicy_layout){
		.vma_policy_offset = offsetof(struct vma, policy),
		.vma_held_offset = offsetof(struct vma, held),
		.mode_offset = offsetof(struct policy, mode),
		.nodes_offset = offsetof(struct policy, nodes),
		.mode_bind = 2,
	};
	r->swap[0] = (struct mmvm_audit_swap){.present = 1,
					      .map_gva = GVA(swap_map),
					      .nr_slots = 64,
					      .inuse_gva = GVA(swap_used),
					      .usable_gva = GVA(swap_usable),
					      .failed_gva = GVA(swap_failed),
					      .count_mask = 0x3f,
					      .bad_value = 0x3f,
					      .has_cache_bit = 0x40};
	r->mm = (struct mmvm_audit_mm_layout){.list_offset = offsetof(struct mm, link),
					      .pgd_offset = offsetof(struct mm, pgd),
					      .rss_anon_offset = offsetof(struct mm, anon),
					      .rss_file_offset = offsetof(struct mm, file),
					      .rss_shmem_offset = offsetof(struct mm, shmem),
					      .rss_swap_offset = offsetof(struct mm, swap),
					      .hugetlb_usage_offset = offsetof(struct mm, hugetlb),
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
		.nr_thps_offset = offsetof(struct mapping, nr_thps),
		.swapped_list_gva = GVA(swapped),
		.swapped_offset = offsetof(struct mapping, swapped)};
}

/** Tables of the kernel's half, the page array behind them, the structures. */
static inline void build_kernel(void)
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
			for (unsigned int t = 0; t < 4; t++)
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

static inline void build_slab(uint32_t pfn)
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
static inline uint32_t user_table(uint32_t *at)
{
	uint32_t pfn = take(at, 0);

	set_page(pfn, PAGE_PGTABLE, 0, 1);
	level_add(0, NR_PAGETABLE, 1);
	return pfn;
}

static inline uint64_t *user_pte(unsigned int n)
{
	return (uint64_t *)frame_ptr(im.pte_table) + n;
}

/** An address space: three anon pages mapped (one of them in the swap cache too), the zero page, a
 * file page, two pages swapped out, one PROT_NONE. */
static inline void build_user(uint32_t *at)
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
		g->vma[v].flags = MMVM_VM_SOFTDIRTY;
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
	/* Two are bad; writing to 50 failed once, and to 7 while its page is cached. */
	g->swap_usable = 62;
	g->swap_failed = 1ull << 50 | 1ull << 7;
	page(im.anon[0])->flags |= 1ull << PG_swapcache;
	page(im.anon[0])->private_ = 7;
	page(im.anon[0])->refcount++;
	level_add(0, NR_SWAPCACHE, 1);
}

static inline uint64_t page_gva(uint64_t pfn)
{
	return VMEMMAP + pfn * sizeof(struct page);
}

/** A file of two levels: page 70 in memory, and dirty, a shadow behind it. Shared memory of one
 * level: page 0 in memory, page 2 in slot 9. */
static inline void build_files(uint32_t *at)
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

static inline void build(void)
{
	uint32_t at = FIRST_FREE, table;

	memset(im.low, 0, LOW_FRAMES * 4096);
	memset(im.high, 0, HIGH_FRAMES * 4096);
	memset(&im.shared, 0, sizeof(im.shared));
	memset(im.host_has, 0, sizeof(im.host_has));
	im.pmem_size = im.pmem_flushes = 0;
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

static inline bool in_balloon(void *arg, uint64_t gpa)
{
	for (unsigned int i = 0; i < 3; i++)
		if (gpa && gpa >> 12 == im.host_has[i])
			return true;
	return false;
}

static inline int run(void)
{
	struct audit_source src = {.ram = &im.ram,
				   .cr3 = im.cr3,
				   .root_gva = GVA(root),
				   .shared = &im.shared,
				   .in_balloon = in_balloon,
				   .pmem = {{im.pmem_gpa, im.pmem_size}},
				   .nr_pmem = im.pmem_size != 0,
				   .pmem_flushes = im.pmem_flushes};

	return audit_memory(&src, &im.r);
}

static inline uint64_t first_buddy(unsigned int zone, unsigned int order, unsigned int type)
{
	return (im.g->area[zone][order].list[type].next - VMEMMAP) / sizeof(struct page);
}
/** The largest order with a block in zone 1 (the high region): one block of order 8. */
#define HIGH_BLOCK first_buddy(1, 8, 0)

/* ---- planting ------------------------------------------------------------------------------- */

struct damage {
	const char *name;
	void (*do_it)(void);
	enum mmvm_audit_finding finding;
};
/* clang-format off */
#define PLANT(fn, finding) {#fn, fn, finding}
/* clang-format on */

/** The whole of a test program: memory for the image, the cases, and its end. Returns the status. */
static inline int plant_run(const char *suite, const struct unit_case *cases, unsigned int nr)
{
	int status = 1;

	im.low = aligned_alloc(4096, LOW_FRAMES * 4096);
	im.high = aligned_alloc(4096, HIGH_FRAMES * 4096);
	if (im.low && im.high)
		status = unit_run(suite, cases, nr);
	free(im.low);
	free(im.high);
	return status;
}

/** Do each damage to an image that is otherwise whole; the audit must name it. */
static inline void plant_all(const struct damage *damage, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const struct damage *d = &damage[i];
		int ret;

		build();
		d->do_it();
		ret = run();
		if (ret <= 0 || !im.r.count[d->finding]) {
			fprintf(stderr, "%s: %s not found\n", d->name,
				audit_finding_name(d->finding));
			audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
		}
		CU_ASSERT_TRUE(ret > 0);
		CU_ASSERT_TRUE(im.r.count[d->finding] > 0);
	}
}

#endif
