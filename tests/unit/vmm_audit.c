/*
 * The audit against a guest memory made by hand (audit_plant.h). The whole image audits clean; then
 * each kind of damage is done to it, one at a time, and the audit must name it. Last, bytes are
 * changed at random: the audit may say what it likes, but must come to an end and touch nothing
 * outside (ASan watches).
 */
#include "audit_plant.h"
#include <glob.h>

static void test_clean(void)
{
	uint64_t sum = 0;
	int ret;

	build();
	ret = run();
	if (ret)
		audit_print(stderr, "", &im.r, AUDIT_WITH_STATES);
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
static void d_swap_usable(void)
{
	im.g->swap_usable = 63;
}
static void d_swap_failed(void)
{
	im.g->swap_failed |= 1ull << 20; /* free */
}
static void d_swap_unmarked(void)
{
	im.g->swap_map[50] = 0; /* the bad slot is handed out again */
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

static const struct damage damages[] = {
	PLANT(d_magic, AUDIT_ROOT),
	PLANT(d_version, AUDIT_ROOT),
	PLANT(d_not_ready, AUDIT_ROOT),
	PLANT(d_ranges, AUDIT_ROOT),
	PLANT(d_huge_range, AUDIT_ROOT),
	PLANT(d_page_array, AUDIT_ROOT),
	PLANT(d_invalid, AUDIT_PAGE_STATE),
	PLANT(d_type, AUDIT_PAGE_STATE),
	PLANT(d_order, AUDIT_PAGE_STATE),
	PLANT(d_tail_listed, AUDIT_PAGE_OVERLAP),
	PLANT(d_free_refcount, AUDIT_FREE_REFCOUNT),
	PLANT(d_pcp_refcount, AUDIT_FREE_REFCOUNT),
	PLANT(d_free_mapcount, AUDIT_FREE_REFCOUNT),
	PLANT(d_used_refcount, AUDIT_USED_REFCOUNT),
	PLANT(d_slab_refcount, AUDIT_USED_REFCOUNT),
	PLANT(d_anon_few, AUDIT_USED_REFCOUNT),
	PLANT(d_anon_many, AUDIT_USED_REFCOUNT),
	PLANT(d_buddy_next, AUDIT_BUDDY_LIST),
	PLANT(d_buddy_prev, AUDIT_BUDDY_LIST),
	PLANT(d_buddy_loop, AUDIT_BUDDY_LIST),
	PLANT(d_buddy_type, AUDIT_BUDDY_LIST),
	PLANT(d_buddy_migrate, AUDIT_BUDDY_LIST),
	PLANT(d_buddy_zone, AUDIT_BUDDY_LIST),
	PLANT(d_buddy_lost, AUDIT_BUDDY_LIST),
	PLANT(d_nr_free, AUDIT_BUDDY_COUNT),
	PLANT(d_unmerged, AUDIT_BUDDY_UNMERGED),
	PLANT(d_free_pages, AUDIT_FREE_PAGES),
	PLANT(d_pcp_link, AUDIT_PCP_LIST),
	PLANT(d_pcp_cpu, AUDIT_PCP_LIST),
	PLANT(d_pcp_order, AUDIT_PCP_LIST),
	PLANT(d_pcp_lost, AUDIT_PCP_LIST),
	PLANT(d_pcp_count, AUDIT_PCP_COUNT),
	PLANT(d_slab_out, AUDIT_SLAB_FREELIST),
	PLANT(d_slab_skew, AUDIT_SLAB_FREELIST),
	PLANT(d_slab_loop, AUDIT_SLAB_FREELIST),
	PLANT(d_slab_count, AUDIT_SLAB_COUNT),
	PLANT(d_slab_objects, AUDIT_SLAB_COUNT),
	PLANT(d_slab_cache, AUDIT_SLAB_COUNT),
	PLANT(d_tail_no_head, AUDIT_FOLIO_TAIL),
	PLANT(d_tail_other_head, AUDIT_FOLIO_TAIL),
	PLANT(d_tail_referenced, AUDIT_FOLIO_TAIL),
	PLANT(d_tail_mapped, AUDIT_FOLIO_TAIL),
	PLANT(d_tail_type, AUDIT_FOLIO_TAIL),
	PLANT(d_head_alone, AUDIT_FOLIO_TAIL),
	PLANT(d_stray_tail, AUDIT_STRAY_TAIL),
	PLANT(d_tail_of_plain, AUDIT_STRAY_TAIL),
	PLANT(d_tail_left_behind, AUDIT_STRAY_TAIL),
	PLANT(d_table_hole, AUDIT_PGTABLE),
	PLANT(d_table_type, AUDIT_PGTABLE),
	PLANT(d_table_twice, AUDIT_PGTABLE),
	PLANT(d_table_self, AUDIT_PGTABLE),
	PLANT(d_leaf_hole, AUDIT_PGTABLE),
	PLANT(d_leaf_slab, AUDIT_PGTABLE),
	PLANT(d_special, AUDIT_PGTABLE),
	PLANT(d_kernel_half, AUDIT_PGTABLE),
	PLANT(d_pgd, AUDIT_PGTABLE),
	PLANT(d_tables_bytes, AUDIT_PGTABLE_COUNT),
	PLANT(d_kernel_tables, AUDIT_PGTABLE_COUNT),
	PLANT(d_table_lost, AUDIT_PGTABLE_COUNT),
	PLANT(d_mapcount, AUDIT_MAPCOUNT),
	PLANT(d_file_mapcount, AUDIT_MAPCOUNT),
	PLANT(d_dma_mapcount, AUDIT_MAPCOUNT),
	PLANT(d_free_mapped, AUDIT_FREE_MAPPED),
	PLANT(d_lru_link, AUDIT_LRU_LIST),
	PLANT(d_lru_wrong, AUDIT_LRU_LIST),
	PLANT(d_lru_node, AUDIT_LRU_LIST),
	PLANT(d_lru_lost, AUDIT_LRU_LIST),
	PLANT(d_lru_free, AUDIT_LRU_LIST),
	PLANT(d_lru_count, AUDIT_LRU_COUNT),
	PLANT(d_lru_number, AUDIT_LRU_LIST),
	PLANT(d_lru_kind, AUDIT_LRU_LIST),
	PLANT(d_lru_stale_number, AUDIT_LRU_LIST),
	PLANT(d_lru_own_count, AUDIT_LRU_COUNT),
	PLANT(d_lruvec_link, AUDIT_LRU_LIST),
	PLANT(d_lruvec_node, AUDIT_LRU_LIST),
	PLANT(d_lruvec_policy, AUDIT_LRU_LIST),
	PLANT(d_swap_users, AUDIT_SWAP_MAP),
	PLANT(d_swap_nobody, AUDIT_SWAP_MAP),
	PLANT(d_swap_cache_bit, AUDIT_SWAP_MAP),
	PLANT(d_swap_cached, AUDIT_SWAP_MAP),
	PLANT(d_swap_twice, AUDIT_SWAP_MAP),
	PLANT(d_swap_slot, AUDIT_SWAP_MAP),
	PLANT(d_swap_type, AUDIT_SWAP_MAP),
	PLANT(d_swap_bad, AUDIT_SWAP_MAP),
	PLANT(d_swap_map, AUDIT_SWAP_MAP),
	PLANT(d_swap_used, AUDIT_SWAP_COUNT),
	PLANT(d_swap_usable, AUDIT_SWAP_COUNT),
	PLANT(d_swap_failed, AUDIT_SWAP_BAD),
	PLANT(d_swap_unmarked, AUDIT_SWAP_BAD),
	PLANT(d_rss_anon, AUDIT_RSS),
	PLANT(d_rss_file, AUDIT_RSS),
	PLANT(d_rss_swap, AUDIT_RSS),
	PLANT(d_rss_shmem, AUDIT_RSS),
	PLANT(d_cache_index, AUDIT_CACHE),
	PLANT(d_cache_lost, AUDIT_CACHE),
	PLANT(d_cache_twice, AUDIT_CACHE),
	PLANT(d_cache_item, AUDIT_CACHE),
	PLANT(d_cache_wild, AUDIT_CACHE),
	PLANT(d_cache_level, AUDIT_CACHE),
	PLANT(d_cache_loop, AUDIT_CACHE),
	PLANT(d_cache_height, AUDIT_CACHE),
	PLANT(d_cache_mapping, AUDIT_CACHE),
	PLANT(d_cache_pages, AUDIT_CACHE_COUNT),
	PLANT(d_cache_values, AUDIT_CACHE_COUNT),
	PLANT(d_cache_references, AUDIT_USED_REFCOUNT),
	PLANT(d_cache_few_references, AUDIT_USED_REFCOUNT),
	PLANT(d_shmem_slot, AUDIT_SWAP_MAP),
	PLANT(d_shmem_unused, AUDIT_SWAP_MAP),
	PLANT(d_swapped_list, AUDIT_ROOT),
	PLANT(d_vma_order, AUDIT_VMA),
	PLANT(d_vma_empty, AUDIT_VMA),
	PLANT(d_vma_gap, AUDIT_VMA),
	PLANT(d_vma_list, AUDIT_VMA),
	PLANT(d_total, AUDIT_TOTAL),
	PLANT(d_vmstat_anon, AUDIT_VMSTAT),
	PLANT(d_vmstat_tables, AUDIT_VMSTAT),
	PLANT(d_vmstat_cached, AUDIT_VMSTAT),
	PLANT(d_vmstat_file_pages, AUDIT_VMSTAT),
	PLANT(d_vmstat_shmem, AUDIT_VMSTAT),
	PLANT(d_vmstat_mapped, AUDIT_VMSTAT),
	PLANT(d_vmstat_dirty, AUDIT_VMSTAT),
};

static void test_damages(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

/** Each finding of mmvm/audit.h is planted in some vmm_audit*.c: they are read as text. */
static void test_all_are_planted(void)
{
#define NAME_(name, text, why) #name,
	static const char *const names[] = {MMVM_AUDIT_FINDINGS(NAME_)};
#undef NAME_
	bool planted[NR_AUDIT_FINDINGS] = {false};
	char pattern[sizeof(__FILE__) + 8] = __FILE__, line[512];
	glob_t files;

	strcpy(strrchr(pattern, '.'), "*.c");
	if (glob(pattern, 0, NULL, &files)) {
		printf("skipped: the sources are not here ");
		return;
	}
	for (size_t i = 0; i < files.gl_pathc; i++) {
		FILE *f = fopen(files.gl_pathv[i], "r");

		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		while (fgets(line, sizeof(line), f)) {
			char fn[64], finding[64];

			if (sscanf(line, "\tPLANT(%63[^,], %63[^)])", fn, finding) != 2)
				continue;
			for (unsigned int k = 0; k < NR_AUDIT_FINDINGS; k++)
				planted[k] |= !strcmp(names[k], finding);
		}
		fclose(f);
	}
	globfree(&files);
	for (unsigned int k = 0; k < NR_AUDIT_FINDINGS; k++) {
		if (!planted[k])
			fprintf(stderr, "no vmm_audit*.c plants %s\n", names[k]);
		CU_ASSERT_TRUE(planted[k]);
	}
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
	audit_print(f, "> ", &im.r, AUDIT_WITH_STATES);
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
	static const struct unit_case cases[] = {
		{"a whole memory is clean", test_clean},
		{"each damage is named", test_damages},
		{"each finding is planted", test_all_are_planted},
		{"pins need a reason", test_pins},
		{"many findings are bounded", test_many},
		{"random damage ends", test_hostile},
	};

	return plant_run("audit", cases, sizeof(cases) / sizeof(cases[0]));
}
