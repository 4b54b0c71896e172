/*
 * Compaction: the indices, when it is tried and when not, and that it makes blocks out of memory in
 * pieces without changing what is in it.
 */
#include "check.h"
#include "mm/phys/compaction.h"
#include "mm/init.h"
#include "mm_user.h"
#include "unit.h"

#define RAM_PAGES (48 * MIB / PAGE_SIZE)

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

static void indices(void)
{
	/* 100 blocks of one page; a request of 8. */
	struct frag_info f = {.free_pages = 100, .blocks_total = 100};

	CU_ASSERT_EQUAL(fragmentation_index(&f, 3), 1000 - (1000 + 100 * 1000 / 8) / 100);
	CU_ASSERT_EQUAL(unusable_index(&f, 3), 1000);
	/* Little memory, in few pieces: its lack is the reason. */
	f = (struct frag_info){.free_pages = 4, .blocks_total = 1};
	CU_ASSERT_EQUAL(fragmentation_index(&f, 3), -500);
	f = (struct frag_info){.free_pages = 4, .blocks_total = 2};
	CU_ASSERT_EQUAL(fragmentation_index(&f, 3), 250);
	/* Plenty in pieces. */
	f = (struct frag_info){.free_pages = 4000, .blocks_total = 4000};
	CU_ASSERT(fragmentation_index(&f, 9) > 990);
	/* There is a block. */
	f = (struct frag_info){.free_pages = 600, .blocks_total = 89, .blocks_suitable = 1};
	CU_ASSERT_EQUAL(fragmentation_index(&f, 9), -1000);
	CU_ASSERT_EQUAL(unusable_index(&f, 9), (600 - 512) * 1000 / 600);
	f = (struct frag_info){0};
	CU_ASSERT_EQUAL(fragmentation_index(&f, 0), 0);
	CU_ASSERT_EQUAL(unusable_index(&f, 0), 1000);
}

/* Memory full of a process's pages, every `keep`th of which stays. */
static struct mm_struct *in_pieces(unsigned long *at, unsigned long *pages, unsigned int keep)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long n = 0;

	*at = do_mmap(mm, 0, RAM_PAGES << PAGE_SHIFT, RW, PRIVATE | MAP_NORESERVE, 0);
	for (; nr_free_pages() > 700; n++)
		MUST(!user_write(mm, *at + n * PAGE_SIZE, n + 1), "page %lu", n);
	*pages = n;
	for (unsigned long i = 0; i < n; i++)
		if (i % keep)
			MUST(!do_madvise(mm, *at + i * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED),
			     "free");
	lru_add_drain();
	drain_all_pages();
	return mm;
}

static void contents(struct mm_struct *mm, unsigned long at, unsigned long pages, unsigned int keep)
{
	for (unsigned long i = 0; i < pages; i += keep) {
		u64 v = 0;

		MUST(!user_read(mm, at + i * PAGE_SIZE, &v) && v == i + 1, "page %lu is %lu", i,
		     (long)v);
	}
}

static void a_block_out_of_pieces(void)
{
	unsigned long at, n;
	struct mm_struct *mm = in_pieces(&at, &n, 2);
	u64 moved = event(PGMIGRATE_SUCCESS), stall = event(COMPACT_STALL);
	u64 success = event(COMPACTSUCCESS), scanned = event(COMPACTMIGRATE_SCANNED);
	struct frag_info f = fragmentation_info(&node_data[0].zones[ZONE_DMA32], 9);
	struct page *block;

	CU_ASSERT(fragmentation_index(&f, 9) > 900);
	CU_ASSERT_PTR_NULL(alloc_pages(GFP_NOWAIT, 9));
	block = alloc_pages(GFP_KERNEL, 9);
	CU_ASSERT_PTR_NOT_NULL_FATAL(block);
	CU_ASSERT(event(PGMIGRATE_SUCCESS) > moved);
	CU_ASSERT(event(COMPACT_STALL) > stall);
	CU_ASSERT_EQUAL(event(COMPACTSUCCESS), success + 1);
	CU_ASSERT(event(COMPACTMIGRATE_SCANNED) > scanned);
	contents(mm, at, n, 2);
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
	__free_pages(block, 9);
	mmput(mm);
	check_all();
}

static void all_of_memory(void)
{
	unsigned long at, n, blocks = 0;
	struct mm_struct *mm = in_pieces(&at, &n, 4);

	compact_memory();
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
	contents(mm, at, n, 4);
	for (unsigned int i = 0; i < nr_zones; i++)
		for (unsigned int o = 9; o < NR_ORDERS; o++)
			blocks += zone_table[i]->free_area[o].nr_free << (o - 9);
	/* All that is free but the rests of a few pageblocks, of which these zones are small. */
	CU_ASSERT(blocks * 512 > nr_free_pages() / 2);
	mmput(mm);
	check_all();
}

/* Pages that cannot move keep their places; the rest is compacted around them. */
static void pinned_pages_stay(void)
{
	unsigned long at, n;
	struct mm_struct *mm = in_pieces(&at, &n, 2);
	struct page *pinned[8];

	for (unsigned int i = 0; i < 8; i++) {
		pte_t *pte = walk_pte(mm->pgd, at + i * 64 * PAGE_SIZE);

		pinned[i] = pfn_to_page(pte_pfn(pte_read(pte)));
		get_page(pinned[i]);
	}
	compact_memory();
	for (unsigned int i = 0; i < 8; i++) {
		pte_t *pte = walk_pte(mm->pgd, at + i * 64 * PAGE_SIZE);

		CU_ASSERT_PTR_EQUAL(pfn_to_page(pte_pfn(pte_read(pte))), pinned[i]);
		put_page(pinned[i]);
	}
	contents(mm, at, n, 2);
	check_all();
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* Nothing that could be moved: it fails, and is not tried again at once. */
static void failures_are_deferred(void)
{
	struct zone *z = &node_data[0].zones[ZONE_DMA32];
	static struct page *p[RAM_PAGES];
	unsigned long n = 0;
	u64 scanned;

	compaction_defer_reset(z, 0, true);
	while (nr_free_pages() > 700)
		p[n++] = alloc_page(GFP_KERNEL);
	for (unsigned long i = 0; i < n; i += 2) {
		__free_page(p[i]);
		p[i] = NULL;
	}
	drain_all_pages();
	CU_ASSERT_EQUAL(try_to_compact_pages(&node_data[0], GFP_KERNEL, 9, MIGRATE_SYNC_LIGHT),
			COMPACT_COMPLETE);
	CU_ASSERT_EQUAL(z->compact_defer_shift, 1);
	scanned = event(COMPACTMIGRATE_SCANNED);
	CU_ASSERT_EQUAL(try_to_compact_pages(&node_data[0], GFP_KERNEL, 9, MIGRATE_SYNC_LIGHT),
			COMPACT_DEFERRED);
	CU_ASSERT_EQUAL(event(COMPACTMIGRATE_SCANNED), scanned);
	CU_ASSERT_EQUAL(try_to_compact_pages(&node_data[0], GFP_KERNEL, 9, MIGRATE_SYNC_LIGHT),
			COMPACT_COMPLETE);
	CU_ASSERT_EQUAL(z->compact_defer_shift, 2);
	for (unsigned long i = 0; i < n; i++)
		if (p[i])
			__free_page(p[i]);
	drain_all_pages();
	for (unsigned int i = 0; i < nr_zones; i++)
		compaction_defer_reset(zone_table[i], MAX_ORDER, true);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void too_little_memory_is_no_reason(void)
{
	u64 scanned = event(COMPACTMIGRATE_SCANNED);
	struct mm_struct *mm = mm_alloc();
	unsigned long n = 0,
		      at = do_mmap(mm, 0, RAM_PAGES << PAGE_SHIFT, RW, PRIVATE | MAP_NORESERVE, 0);

	while (nr_free_pages() > 300)
		MUST(!user_write(mm, at + n++ * PAGE_SIZE, 1), "page");
	CU_ASSERT_EQUAL(try_to_compact_pages(&node_data[0], GFP_KERNEL, 9, MIGRATE_ASYNC),
			COMPACT_SKIPPED);
	CU_ASSERT_EQUAL(event(COMPACTMIGRATE_SCANNED), scanned);
	mmput(mm);
}

/* Reclaimable slabs live in pageblocks of their own. */
static void reclaimable_slabs(void)
{
	struct kmem_cache *c = kmem_cache_create("shrinkable", 512, 0, SLAB_RECLAIM_ACCOUNT, NULL);
	void *obj[64];
	struct page *p;

	drain_all_pages();
	for (unsigned int i = 0; i < 64; i++)
		obj[i] = kmem_cache_alloc(c, GFP_KERNEL);
	p = virt_to_page(obj[63]);
	CU_ASSERT_EQUAL(*pageblock_type(page_zone(p), p), MIGRATE_RECLAIMABLE);
	for (unsigned int i = 0; i < 64; i++)
		kmem_cache_free(c, obj[i]);
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"reclaimable slabs", reclaimable_slabs},
		{"indices of fragmentation", indices},
		{"a block out of pieces", a_block_out_of_pieces},
		{"all of memory", all_of_memory},
		{"pinned pages stay", pinned_pages_stay},
		{"failures are deferred", failures_are_deferred},
		{"too little memory is no reason", too_little_memory_is_no_reason},
	};

	host_boot_default("debug_vm");
	mm_init();
	return unit_run("compaction", cases, ARRAY_SIZE(cases));
}
