/*
 * Compaction: the fragmentation indices, when compaction is tried and when it is deferred, and that it makes
 * free blocks out of fragmented memory without changing the contents of pages.
 */
#include "check.h"
#include "mm/move/compaction.h"
#include "mm/phys/internal.h"
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

/* A free block of the highest order whose second half begins with a page that looks like a free block of
 * one page: when it was freed last, its neighbour at 512 was taken off the lists and left as it was. */
static struct page *stale_half(struct page *block)
{
	for (unsigned int i = 0; i < 1024; i++) {
		block[i].refcount = 1;
		block[i].mapcount = -1;
		block[i].flags = block->flags;
		page_set_state(&block[i], PAGE_STATE(PAGE_OTHER, 0, 0, 0));
	}
	for (unsigned int i = 0; i < 1024; i++)
		if (i != 513)
			__free_page(&block[i]);
	drain_all_pages();
	__free_page(&block[513]);
	drain_all_pages();
	return block;
}

/* The scanners of compaction and of contiguous allocations ask for the head before they believe a page in
 * the middle of a block. */
static void a_stale_tail_is_no_free_page(void)
{
	struct page *block = alloc_pages(GFP_NOWAIT, 10);
	pfn_t pfn;

	CU_ASSERT_PTR_NOT_NULL_FATAL(block);
	pfn = page_to_pfn(block);
	CU_ASSERT_PTR_EQUAL(block_head(pfn + 700), block); /* in use */
	stale_half(block);
	CU_ASSERT(block->type == PAGE_BUDDY && block->order == 10);
	CU_ASSERT(block[512].type == PAGE_BUDDY && block[512].order == 0);
	CU_ASSERT_PTR_EQUAL(block_head(pfn), block);
	CU_ASSERT_PTR_EQUAL(block_head(pfn + 512), block);
	CU_ASSERT_PTR_EQUAL(block_head(pfn + 1023), block);
	CU_ASSERT_PTR_NULL(block_head(HOST_PHYS_SIZE / PAGE_SIZE + 4096));
	compact_memory();
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
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

/* Locked pages move, unless vm.compact_unevictable_allowed is 0. */
static void locked_pages_are_asked_for(void)
{
	struct page *locked[64];
	unsigned long at, n;
	struct mm_struct *mm = in_pieces(&at, &n, 2);

	const unsigned long step =
		n / ARRAY_SIZE(locked) & ~1ul; /* all over memory, of those that are there */

	for (unsigned int i = 0; i < ARRAY_SIZE(locked); i++) {
		const unsigned long addr = at + i * step * PAGE_SIZE;

		CU_ASSERT_EQUAL(do_mlock(mm, addr, PAGE_SIZE, 0), 0);
		locked[i] = pfn_to_page(pte_pfn(pte_read(walk_pte(mm->pgd, addr))));
	}
	for (int allowed = 0; allowed < 2; allowed++) {
		unsigned int moved = 0;

		sysctl_compact_unevictable_allowed = allowed;
		compact_memory();
		for (unsigned int i = 0; i < ARRAY_SIZE(locked); i++) {
			pte_t *pte = walk_pte(mm->pgd, at + i * step * PAGE_SIZE);

			moved += pfn_to_page(pte_pfn(pte_read(pte))) != locked[i];
			CU_ASSERT(PageMlocked(pfn_to_page(pte_pfn(pte_read(pte)))));
		}
		CU_ASSERT_EQUAL(moved > 0, allowed);
		CU_ASSERT_EQUAL(global_stat(NR_MLOCK), ARRAY_SIZE(locked));
		contents(mm, at, n, 2);
		check_all();
	}
	mmput(mm);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 0);
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

	compaction_defer_reset(z, 0);
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
		compaction_defer_reset(zone_table[i], MAX_ORDER);
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
		{"locked pages are asked for", locked_pages_are_asked_for},
		{"failures are deferred", failures_are_deferred},
		{"too little memory is no reason", too_little_memory_is_no_reason},
		{"a stale tail is no free page", a_stale_tail_is_no_free_page},
	};

	host_boot_default("debug_vm");
	mm_init();
	return unit_run("compaction", cases, ARRAY_SIZE(cases));
}
