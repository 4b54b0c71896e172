/*
 * The page allocator on the default machine (40 MiB low, 8 MiB above 4 GiB): what memblock hands over at
 * boot, each path through allocation and free, each rule of the GFP flags, and each check. Counters prove
 * that the path was taken.
 */
#include "check.h"
#include "host.h"
#include "unit.h"
#include "lib/string.h"
#include "mm/init.h"
#include "mm/phys/internal.h"
#include "mm/phys/memblock.h"
#include "mm/slab/slab.h"

#define FRAMES (48u << 20 >> PAGE_SHIFT)

static struct zone *zone_by_type(enum zone_type type)
{
	return &node_data[0].zones[type];
}

/* Allocate single pages until there are none; they hang together by lru. */
static unsigned int exhaust(gfp_t gfp, struct list_head *list)
{
	unsigned int n = 0;
	struct page *p;

	while ((p = alloc_page(gfp | __GFP_NOWARN))) {
		list_add(&p->lru, list);
		n++;
	}
	return n;
}

static void give_back(struct list_head *list)
{
	while (!list_empty(list)) {
		struct page *p = list_first_entry(list, struct page, lru);

		list_del(&p->lru);
		__free_page(p);
	}
}

/* ---- boot ---- */

static void boot_hands_over_every_frame(void)
{
	u64 reserved = count_frames(PAGE_RESERVED), present = 0;

	for (unsigned int i = 0; i < nr_zones; i++)
		present += zone_table[i]->present;
	CU_ASSERT_EQUAL(nr_zones, 3);
	CU_ASSERT_EQUAL(present, FRAMES);
	CU_ASSERT_EQUAL(totalram_pages(), FRAMES - reserved);
	CU_ASSERT(reserved >= 16 && reserved < 64);
	CU_ASSERT_EQUAL(zone_by_type(ZONE_DMA)->present, 4096);
	CU_ASSERT_EQUAL(zone_by_type(ZONE_DMA32)->present, 6144);
	CU_ASSERT_EQUAL(zone_by_type(ZONE_NORMAL)->present, 2048);
	CU_ASSERT_EQUAL(check_pages(), 0);
	CU_ASSERT(pfn_valid(0) && pfn_valid(10239) && !pfn_valid(10240));
	CU_ASSERT(pfn_valid(1ul << 20) && !pfn_valid((1ul << 20) + 2048));
}

/* A block that nobody cut has but its head written. */
static void boot_writes_heads_only(void)
{
	struct zone *z = zone_by_type(ZONE_DMA32);
	struct page *head = list_last_entry(&z->free_area[MAX_ORDER].free_list[MIGRATE_MOVABLE],
					    struct page, lru);

	CU_ASSERT_EQUAL(head->type, PAGE_BUDDY);
	CU_ASSERT_EQUAL(head->order, MAX_ORDER);
	for (unsigned int i = 1; i < 1u << MAX_ORDER; i++)
		if (head[i].flags || head[i].type != PAGE_INVALID)
			CU_FAIL("a tail was written");
}

static void boot_memory_joins(void)
{
	u64 total = totalram_pages(), managed = zone_by_type(ZONE_DMA)->managed;

	/* The first 64 KiB were the firmware's. Frames that are given in part stay reserved. */
	free_reserved_area(100, 2 * PAGE_SIZE + 100, "one");
	CU_ASSERT_EQUAL(totalram_pages(), total + 1);
	free_reserved_area(0, PAGE_SIZE, "first");
	free_reserved_area(2 * PAGE_SIZE, 65536 + 100, "firmware");
	CU_ASSERT_EQUAL(totalram_pages(), total + 16);
	CU_ASSERT_EQUAL(zone_by_type(ZONE_DMA)->managed, managed + 16);
	CU_ASSERT_PTR_NOT_NULL(strstr(host_log(), "Freeing firmware memory: 56K"));
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void watermarks_are_linuxs(void)
{
	u64 kb = min_free_kbytes, lowmem = totalram_pages() - 16; /* as it was at boot */
	u64 min_sum = 0;

	CU_ASSERT(kb * kb <= lowmem * 4 * 16 && (kb + 1) * (kb + 1) > lowmem * 4 * 16);
	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];
		u64 gap = max(z->watermark[WMARK_MIN] / 4, z->shared->managed / 1000);

		min_sum += z->watermark[WMARK_MIN];
		CU_ASSERT(z->watermark[WMARK_LOW] - z->watermark[WMARK_MIN] - gap <= 1);
		CU_ASSERT_EQUAL(z->watermark[WMARK_HIGH] - z->watermark[WMARK_LOW],
				z->watermark[WMARK_LOW] - z->watermark[WMARK_MIN]);
		CU_ASSERT_EQUAL(z->shared->wmark[WMARK_HIGH], z->watermark[WMARK_HIGH]);
	}
	CU_ASSERT(kb / 4 - min_sum < nr_zones); /* shares, each rounded down */
	/* 8 MiB above protect DMA32 by a 256th of it, DMA by a 256th of all above. */
	CU_ASSERT_EQUAL(zone_by_type(ZONE_DMA32)->lowmem_reserve[ZONE_NORMAL], 2048 / 256);
	CU_ASSERT_EQUAL(zone_by_type(ZONE_DMA)->lowmem_reserve[ZONE_NORMAL], (6144 + 2048) / 256);
	CU_ASSERT_EQUAL(zone_by_type(ZONE_DMA)->lowmem_reserve[ZONE_DMA], 0);
}

static void watermark_rules(void)
{
	static struct mmvm_shared_zone shared;
	static struct zone z = {.shared = &shared};

	shared.stat[NR_FREE_PAGES] = 101;
	z.lowmem_reserve[ZONE_NORMAL] = 50;
	CU_ASSERT(zone_watermark_ok(&z, 0, 100, ZONE_DMA32, 0));
	CU_ASSERT(!zone_watermark_ok(&z, 0, 101, ZONE_DMA32, 0));
	CU_ASSERT(!zone_watermark_ok(&z, 0, 100, ZONE_NORMAL, 0)); /* reserve on top */
	CU_ASSERT(zone_watermark_ok(&z, 0, 50, ZONE_NORMAL, 0));
	CU_ASSERT(zone_watermark_ok(&z, 0, 200, ZONE_DMA32, ALLOC_HIGH));
	CU_ASSERT(!zone_watermark_ok(&z, 0, 202, ZONE_DMA32, ALLOC_HIGH));
	CU_ASSERT(zone_watermark_ok(&z, 0, 264, ZONE_DMA32, ALLOC_HIGH | ALLOC_HARDER));
	/* Enough pages, but no block; then a block of a higher order. */
	CU_ASSERT(!zone_watermark_ok(&z, 3, 10, ZONE_DMA32, 0));
	z.free_area[2].nr_free = 20;
	CU_ASSERT(!zone_watermark_ok(&z, 3, 10, ZONE_DMA32, 0));
	z.free_area[5].nr_free = 1;
	CU_ASSERT(zone_watermark_ok(&z, 3, 10, ZONE_DMA32, 0));
	CU_ASSERT(
		!zone_watermark_ok(&z, 3, 94, ZONE_DMA32, 0)); /* the block's own pages count off */
}

static void flags_name_zones(void)
{
	CU_ASSERT_EQUAL(gfp_zone(GFP_KERNEL), ZONE_NORMAL);
	CU_ASSERT_EQUAL(gfp_zone(GFP_KERNEL | __GFP_DMA), ZONE_DMA);
	CU_ASSERT_EQUAL(gfp_zone(GFP_KERNEL | __GFP_DMA32), ZONE_DMA32);
	CU_ASSERT_EQUAL(gfp_zone(GFP_HIGHUSER), ZONE_HIGHMEM);
	CU_ASSERT_EQUAL(gfp_zone(GFP_HIGHUSER_MOVABLE), ZONE_MOVABLE);
	CU_ASSERT_EQUAL(gfp_zone(__GFP_MOVABLE), ZONE_NORMAL);
	CU_ASSERT_EQUAL(gfp_migratetype(GFP_KERNEL), MIGRATE_UNMOVABLE);
	CU_ASSERT_EQUAL(gfp_migratetype(GFP_HIGHUSER_MOVABLE), MIGRATE_MOVABLE);
	CU_ASSERT_EQUAL(gfp_migratetype(__GFP_RECLAIMABLE), MIGRATE_RECLAIMABLE);
	for (unsigned int i = 0; i < 3; i++) {
		static const gfp_t gfp[] = {__GFP_DMA, __GFP_DMA32, 0};
		struct page *p = alloc_page(GFP_KERNEL | gfp[i]);

		CU_ASSERT_PTR_EQUAL(page_zone(p), zone_by_type(i));
		__free_page(p);
	}
}

/* ---- per-CPU lists ---- */

static void hot_path_takes_the_page_just_freed(void)
{
	struct page *a = alloc_page(GFP_KERNEL), *b;
	u64 refills, drains;
	s64 free;

	__free_page(a);
	refills = sum_vm_event(MMVM_PCP_REFILL);
	drains = sum_vm_event(MMVM_PCP_DRAIN);
	free = nr_free_pages();
	for (int i = 0; i < 1000; i++) {
		b = alloc_page(GFP_KERNEL);
		CU_ASSERT_PTR_EQUAL(a, b);
		__free_page(b);
	}
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_PCP_REFILL), refills);
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_PCP_DRAIN), drains);
	CU_ASSERT_EQUAL(nr_free_pages(), free);
}

static void refill_and_drain_in_batches(void)
{
	struct zone *z = zone_by_type(ZONE_NORMAL);
	struct per_cpu_pages *pcp = per_cpu_ptr(z->pcp, 0);
	u64 refills, drains;
	LIST_HEAD(list);

	drain_local_pages();
	CU_ASSERT_EQUAL(pcp->count, 0);
	refills = sum_vm_event(MMVM_PCP_REFILL);
	for (unsigned int i = 0; i < 10 * pcp->batch; i++)
		list_add(&alloc_page(GFP_KERNEL)->lru, &list);
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_PCP_REFILL) - refills, 10);
	drains = sum_vm_event(MMVM_PCP_DRAIN);
	give_back(&list);
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_PCP_DRAIN) - drains, 6); /* 10 came, 4 may stay */
	CU_ASSERT_EQUAL(pcp->count, pcp->high);
	CU_ASSERT_EQUAL(check_pages(), 0);
	drain_all_pages();
	CU_ASSERT_EQUAL(pcp->count, 0);
}

static void batch_grows_with_the_zone(void)
{
	CU_ASSERT_EQUAL(zone_pcp_batch(10), 1);
	CU_ASSERT_EQUAL(zone_pcp_batch(256), 4);
	CU_ASSERT_EQUAL(zone_pcp_batch(2048), 8);
	CU_ASSERT_EQUAL(zone_pcp_batch(4095), 8);
	CU_ASSERT_EQUAL(zone_pcp_batch(10 * 1024), 32);
	CU_ASSERT_EQUAL(zone_pcp_batch(1 << 24), 64);
	CU_ASSERT_EQUAL(zone_pcp_high(2048), 32);
}

static void bulk(void)
{
	static struct page *pages[16000];
	u64 allocated = sum_vm_event(PGALLOC_NORMAL), failures = alloc_fail_count();
	unsigned int n = alloc_pages_bulk(GFP_KERNEL | __GFP_ZERO, 100, PAGE_DMA, pages);

	CU_ASSERT_EQUAL(n, 100);
	CU_ASSERT_EQUAL(sum_vm_event(PGALLOC_NORMAL) - allocated, 100);
	for (unsigned int i = 0; i < n; i++) {
		CU_ASSERT(pages[i]->type == PAGE_DMA && pages[i]->refcount == 1);
		CU_ASSERT_EQUAL(*(u64 *)page_address(pages[i]), 0);
		*(u64 *)page_address(pages[i]) = 1; /* for the next to find */
		for (unsigned int k = 0; k < i; k++)
			if (pages[k] == pages[i])
				CU_FAIL("one page twice");
		__free_page(pages[i]);
	}
	alloc_fail_nth(30);
	n = alloc_pages_bulk(GFP_KERNEL, 100, PAGE_DMA, pages);
	CU_ASSERT_EQUAL(n, 29);
	CU_ASSERT_EQUAL(alloc_fail_count() - failures, 1);
	while (n)
		__free_page(pages[--n]);
	/* All there is, and not more. */
	n = alloc_pages_bulk(GFP_NOWAIT, ARRAY_SIZE(pages), PAGE_DMA, pages);
	CU_ASSERT(n > 10000 && n < FRAMES);
	CU_ASSERT_EQUAL(check_pages(), 0);
	while (n)
		__free_page(pages[--n]);
}

static void freed_lists_and_split_blocks(void)
{
	struct page *block = alloc_pages(GFP_KERNEL, 4);
	u64 freed = sum_vm_event(PGFREE);
	LIST_HEAD(list);

	CU_ASSERT_EQUAL(block->order, 4);
	split_page(block, 4);
	CU_ASSERT_EQUAL(check_pages(), 0);
	for (unsigned int i = 0; i < 16; i++) {
		CU_ASSERT_EQUAL(block[i].refcount, 1);
		CU_ASSERT_EQUAL(block[i].order, 0);
		CU_ASSERT_PTR_EQUAL(page_zone(&block[i]), page_zone(block));
		block[i].refcount = 0;
		list_add(&block[i].lru, &list);
	}
	free_unref_page_list(&list);
	CU_ASSERT(list_empty(&list));
	CU_ASSERT_EQUAL(sum_vm_event(PGFREE) - freed, 16);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void references(void)
{
	struct page *p;

	drain_all_pages(); /* or the free below may go on to the buddy at once */
	p = alloc_pages(GFP_KERNEL | __GFP_COMP, 2);
	CU_ASSERT(test_bit(PG_head, &p->flags));
	get_page(p);
	CU_ASSERT(get_page_unless_zero(p));
	CU_ASSERT_EQUAL(page_ref_count(p), 3);
	put_page(p);
	__free_pages(p, 2);
	CU_ASSERT_EQUAL(p->type, PAGE_OTHER);
	put_page(p);
	CU_ASSERT_EQUAL(p->type, PAGE_PCP);
	CU_ASSERT(!get_page_unless_zero(p));
	CU_ASSERT(!test_bit(PG_head, &p->flags));
}

static void addresses(void)
{
	unsigned long a = __get_free_pages(GFP_KERNEL, 3), z;
	struct page *p = virt_to_page((void *)a);

	CU_ASSERT(a && IS_ALIGNED(a, PAGE_SIZE));
	CU_ASSERT_EQUAL((unsigned long)page_address(p), a);
	memset((void *)a, 0xff, PAGE_SIZE << 3);
	free_pages(a, 3);
	free_pages(0, 0);
	for (int order = 0; order < 5; order++) {
		z = __get_free_pages(GFP_KERNEL | __GFP_ZERO, order);
		for (unsigned long i = 0; i < (PAGE_SIZE << order) / 8; i += 8)
			if (((u64 *)z)[i])
				CU_FAIL("not zero");
		memset((void *)z, 0xff, PAGE_SIZE << order);
		free_pages(z, order);
	}
	z = get_zeroed_page(GFP_KERNEL);
	CU_ASSERT_EQUAL(*(u64 *)z, 0);
	free_pages(z, 0);
	CU_ASSERT_PTR_NULL(alloc_pages(GFP_KERNEL, MAX_ORDER + 1));
}

static void largest_blocks(void)
{
	struct page *p[16];
	unsigned int n = 0;

	drain_all_pages();
	while (n < 16 && (p[n] = alloc_pages(GFP_NOWAIT, MAX_ORDER))) {
		CU_ASSERT(IS_ALIGNED(page_to_pfn(p[n]), 1ul << MAX_ORDER));
		n++;
	}
	CU_ASSERT(n >= 8);
	CU_ASSERT_EQUAL(check_pages(), 0);
	while (n)
		__free_pages(p[--n], MAX_ORDER);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* ---- memory is short ---- */

/* Each kind of allocation goes deeper than the one before, and leaves the rest alone. */
static void reserves_in_steps(void)
{
	struct zone *dma = zone_by_type(ZONE_DMA), *normal = zone_by_type(ZONE_NORMAL);
	u64 free_before, dma32 = sum_vm_event(PGALLOC_DMA32);
	LIST_HEAD(list);

	drain_all_pages();
	free_before = nr_free_pages();
	exhaust(GFP_NOWAIT, &list);
	CU_ASSERT(sum_vm_event(PGALLOC_DMA32) > dma32); /* fell back to lower zones */
	CU_ASSERT(zone_stat(normal, NR_FREE_PAGES) <= (s64)normal->watermark[WMARK_MIN]);
	CU_ASSERT(zone_stat(normal, NR_FREE_PAGES) + 8 > (s64)normal->watermark[WMARK_MIN]);
	/* What could go higher leaves lowmem_reserve in the low zone ... */
	CU_ASSERT(zone_stat(dma, NR_FREE_PAGES) + 8 >
		  (s64)(dma->watermark[WMARK_MIN] + dma->lowmem_reserve[ZONE_NORMAL]));
	/* ... which is there for those who cannot. */
	CU_ASSERT(exhaust(GFP_NOWAIT | __GFP_DMA, &list) >= dma->lowmem_reserve[ZONE_NORMAL] / 2);
	CU_ASSERT_EQUAL(exhaust(GFP_NOWAIT, &list), 0);
	CU_ASSERT(exhaust(GFP_ATOMIC, &list) > normal->watermark[WMARK_MIN] / 2);
	CU_ASSERT(zone_stat(normal, NR_FREE_PAGES) <= (s64)normal->watermark[WMARK_MIN] * 3 / 8);
	CU_ASSERT(nr_free_pages() > 0);
	CU_ASSERT_EQUAL(exhaust(GFP_NOWAIT | __GFP_MEMALLOC | __GFP_NOMEMALLOC, &list), 0);
	CU_ASSERT(exhaust(GFP_NOWAIT | __GFP_MEMALLOC, &list) > 0);
	CU_ASSERT_EQUAL(nr_free_pages(), 0);
	CU_ASSERT_EQUAL(check_pages(), 0);
	give_back(&list);
	drain_all_pages();
	CU_ASSERT_EQUAL(nr_free_pages(), free_before);
}

static void threads_that_may_use_all(void)
{
	static const u32 tif[] = {TIF_MEMALLOC, TIF_OOM_VICTIM, TIF_KILLED};
	LIST_HEAD(list);

	exhaust(GFP_ATOMIC, &list);
	for (unsigned int i = 0; i < ARRAY_SIZE(tif); i++) {
		struct page *p;

		host_set_tif(tif[i]);
		p = alloc_page(GFP_NOWAIT);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		__free_page(p);
		drain_all_pages();
		host_set_tif(0);
		CU_ASSERT_PTR_NULL(alloc_page(GFP_NOWAIT));
	}
	give_back(&list);
}

static void giving_up(void)
{
	u64 stalls = sum_vm_event(ALLOCSTALL), kills = sum_vm_event(OOM_KILL);
	LIST_HEAD(list);

	exhaust(GFP_ATOMIC | __GFP_MEMALLOC, &list);
	host_log_clear();
	CU_ASSERT_PTR_NULL(alloc_page(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN));
	CU_ASSERT(sum_vm_event(ALLOCSTALL) > stalls);
	CU_ASSERT_STRING_EQUAL(host_log(), "");
	CU_ASSERT_PTR_NULL(alloc_page(GFP_KERNEL | __GFP_RETRY_MAYFAIL));
	CU_ASSERT_PTR_NOT_NULL(strstr(host_log(), "page allocation failure: order:0"));
	CU_ASSERT_PTR_NULL(alloc_page(GFP_NOFS));
	CU_ASSERT_PTR_NULL(alloc_pages(GFP_KERNEL, 5));
	CU_ASSERT_EQUAL(sum_vm_event(OOM_KILL), kills); /* none of these kills */
	/* A thread in reclaim does not reclaim. */
	stalls = sum_vm_event(ALLOCSTALL);
	host_set_tif(TIF_MEMALLOC);
	CU_ASSERT_PTR_NULL(alloc_page(GFP_KERNEL));
	host_set_tif(0);
	CU_ASSERT_EQUAL(sum_vm_event(ALLOCSTALL), stalls);
	give_back(&list);
}

/* One round of reclaim, or all of them, when counts promise that it could help. */
static void how_long_to_try(void)
{
	struct kmem_cache *c = kmem_cache_create("r", 4096, 0, SLAB_RECLAIM_ACCOUNT, NULL);
	static void *objs[400];
	LIST_HEAD(list);
	u64 stalls;

	CU_ASSERT_EQUAL(kmem_cache_alloc_bulk(c, GFP_KERNEL, ARRAY_SIZE(objs), objs), 400);
	exhaust(GFP_ATOMIC | __GFP_MEMALLOC, &list);
	stalls = sum_vm_event(ALLOCSTALL);
	CU_ASSERT_PTR_NULL(alloc_page(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN));
	CU_ASSERT_EQUAL(sum_vm_event(ALLOCSTALL) - stalls, 1);
	CU_ASSERT_PTR_NULL(alloc_page(GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN));
	CU_ASSERT_EQUAL(sum_vm_event(ALLOCSTALL) - stalls, 1 + 17);
	CU_ASSERT_PTR_NULL(alloc_pages(GFP_KERNEL | __GFP_NOWARN, 4)); /* costly: not worth it */
	CU_ASSERT_EQUAL(sum_vm_event(ALLOCSTALL) - stalls, 1 + 17 + 1);
	give_back(&list);
	kmem_cache_free_bulk(c, ARRAY_SIZE(objs), objs);
	CU_ASSERT_EQUAL(kmem_cache_destroy(c), 0);
}

/* The block is there, in pieces on the per-CPU lists. */
static void lists_are_drained_for_a_block(void)
{
	struct page *block = alloc_pages(GFP_KERNEL, 3);
	u64 drains;
	LIST_HEAD(list);

	split_page(block, 3);
	exhaust(GFP_ATOMIC | __GFP_MEMALLOC, &list);
	for (unsigned int i = 0; i < 8; i++)
		__free_page(block + i);
	CU_ASSERT_EQUAL(nr_free_pages(), 0);
	drains = sum_vm_event(MMVM_PCP_DRAIN);
	CU_ASSERT_PTR_EQUAL(alloc_pages(GFP_KERNEL | __GFP_MEMALLOC | __GFP_NOWARN, 3), block);
	CU_ASSERT(sum_vm_event(MMVM_PCP_DRAIN) > drains);
	__free_pages(block, 3);
	give_back(&list);
}

static LIST_HEAD(hostages);
static unsigned int nr_rescues;
static void rescue(struct bio *bio)
{
	nr_rescues++;
	give_back(&hostages);
}

static void nofail_waits_for_memory(void)
{
	struct host_disk *d = host_disk_create("rescue", 1 << 20);
	struct bio bio = {.bdev = &d->bdev, .op = BIO_FLUSH, .end_io = rescue};
	struct page *p;

	exhaust(GFP_ATOMIC | __GFP_MEMALLOC, &hostages);
	d->deferred = true;
	submit_bio(&bio);
	p = alloc_page(GFP_NOFS | __GFP_NOFAIL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(nr_rescues, 1); /* it did have to wait */
	__free_page(p);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void failure_on_request(void)
{
	u64 failures = alloc_fail_count();
	struct page *a, *b, *c;

	alloc_fail_nth(2);
	a = alloc_page(GFP_KERNEL);
	b = alloc_page(GFP_KERNEL);
	c = alloc_page(GFP_KERNEL);
	CU_ASSERT_PTR_NOT_NULL(a);
	CU_ASSERT_PTR_NULL(b);
	CU_ASSERT_PTR_NOT_NULL(c);
	CU_ASSERT_EQUAL(alloc_fail_count() - failures, 1);
	__free_page(a);
	__free_page(c);
	alloc_fail_nth(1);
	a = alloc_page(GFP_KERNEL | __GFP_NOFAIL);
	CU_ASSERT_PTR_NOT_NULL(a);
	CU_ASSERT_EQUAL(alloc_fail_count() - failures, 1);
	__free_page(a);
	alloc_fail_nth(0);
}

/* ---- migrate types ---- */

static void policy_of_fallback(void)
{
	CU_ASSERT_EQUAL(buddy_fallbacks(MIGRATE_UNMOVABLE)[0], MIGRATE_RECLAIMABLE);
	CU_ASSERT_EQUAL(buddy_fallbacks(MIGRATE_UNMOVABLE)[1], MIGRATE_MOVABLE);
	CU_ASSERT_EQUAL(buddy_fallbacks(MIGRATE_MOVABLE)[0], MIGRATE_RECLAIMABLE);
	CU_ASSERT_EQUAL(buddy_fallbacks(MIGRATE_RECLAIMABLE)[0], MIGRATE_UNMOVABLE);
	CU_ASSERT_EQUAL(buddy_fallbacks(MIGRATE_RECLAIMABLE)[2], NR_MIGRATETYPES);
	CU_ASSERT(buddy_may_claim(0, MIGRATE_UNMOVABLE));
	CU_ASSERT(buddy_may_claim(0, MIGRATE_RECLAIMABLE));
	CU_ASSERT(!buddy_may_claim(3, MIGRATE_MOVABLE));
	CU_ASSERT(buddy_may_claim(4, MIGRATE_MOVABLE));
	/* half of the pageblock free, or like us */
	CU_ASSERT(buddy_should_claim(MIGRATE_UNMOVABLE, MIGRATE_MOVABLE, 256, 256));
	CU_ASSERT(!buddy_should_claim(MIGRATE_UNMOVABLE, MIGRATE_MOVABLE, 100, 400));
	CU_ASSERT(buddy_should_claim(MIGRATE_UNMOVABLE, MIGRATE_MOVABLE, 100, 200));
	CU_ASSERT(!buddy_should_claim(MIGRATE_UNMOVABLE, MIGRATE_RECLAIMABLE, 100, 0));
	CU_ASSERT(buddy_should_claim(MIGRATE_MOVABLE, MIGRATE_UNMOVABLE, 100, 200));
	CU_ASSERT(!buddy_should_claim(MIGRATE_MOVABLE, MIGRATE_UNMOVABLE, 100, 100));
}

static void unmovable_takes_a_pageblock_over(void)
{
	u64 falls, steals;
	struct page *p;
	LIST_HEAD(list);
	unsigned int before = 0, after = 0;

	drain_all_pages();
	for (pfn_t pfn = 0; pfn < 4096; pfn += 512)
		before += *pageblock_type(zone_by_type(ZONE_DMA), pfn_to_page(pfn)) ==
			  MIGRATE_RECLAIMABLE;
	falls = sum_vm_event(MMVM_BUDDY_FALLBACK);
	steals = sum_vm_event(MMVM_BUDDY_STEAL_BLOCK);
	p = alloc_page(GFP_KERNEL | __GFP_DMA | __GFP_RECLAIMABLE);
	for (pfn_t pfn = 0; pfn < 4096; pfn += 512)
		after += *pageblock_type(zone_by_type(ZONE_DMA), pfn_to_page(pfn)) ==
			 MIGRATE_RECLAIMABLE;
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_BUDDY_FALLBACK) - falls, 1);
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_BUDDY_STEAL_BLOCK) - steals, 1);
	CU_ASSERT(after > before);
	CU_ASSERT_EQUAL(*pageblock_type(page_zone(p), p), MIGRATE_RECLAIMABLE);
	/* The next ones need no fallback: they fill the block. */
	falls = sum_vm_event(MMVM_BUDDY_FALLBACK);
	for (int i = 0; i < 300; i++) {
		struct page *q = alloc_page(GFP_KERNEL | __GFP_DMA | __GFP_RECLAIMABLE);

		list_add(&q->lru, &list);
	}
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_BUDDY_FALLBACK), falls);
	give_back(&list);
	__free_page(p);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* ---- the page lock ---- */

static struct page *locked;
static void end_read(struct bio *bio)
{
	unlock_page(locked);
}
static void end_write(struct bio *bio)
{
	end_page_writeback(locked);
}

static void page_lock_and_writeback(void)
{
	struct host_disk *d = host_disk_create("lock", 1 << 20);
	struct bio read = {.bdev = &d->bdev, .op = BIO_FLUSH, .end_io = end_read};
	struct bio write = {.bdev = &d->bdev, .op = BIO_FLUSH, .end_io = end_write};
	u64 wakeups;

	locked = alloc_page(GFP_KERNEL);
	CU_ASSERT(trylock_page(locked));
	CU_ASSERT(!trylock_page(locked));
	d->deferred = true;
	submit_bio(&read);
	wakeups = host_nr_wakeups;
	lock_page(locked); /* sleeps until the read ends */
	CU_ASSERT_EQUAL(host_nr_wakeups - wakeups, 1);
	SetPageWriteback(locked);
	submit_bio(&write);
	wait_on_page_writeback(locked);
	CU_ASSERT(!PageWriteback(locked));
	CU_ASSERT_EQUAL(host_nr_wakeups - wakeups, 2);
	unlock_page(locked);
	lock_page(locked);
	unlock_page(locked);
	CU_ASSERT_EQUAL(host_nr_wakeups - wakeups, 2); /* nobody waits: nobody is woken */
	wait_on_page_writeback(locked);
	__free_page(locked);
}

/* ---- misuse ---- */

static struct page *victim;
static void free_twice(void *order)
{
	__free_pages(victim, (unsigned long)order);
	__free_pages(victim, (unsigned long)order);
}
static void put_twice(void *arg)
{
	put_page(victim);
	put_page(victim);
}
static void free_other_order(void *arg)
{
	__free_pages(victim, 1);
}
static void free_reserved(void *arg)
{
	__free_page(pfn_to_page(16));
}
static void free_locked(void *arg)
{
	lock_page(victim);
	__free_page(victim);
}
static void free_mapped(void *arg)
{
	victim->mapcount = 0;
	__free_page(victim);
}
static void unlock_twice(void *arg)
{
	unlock_page(victim);
}
static void split_shared(void *arg)
{
	get_page(victim);
	split_page(victim, 0);
}
static void sleep_under_lock(void *arg)
{
	static spinlock_t lock = SPINLOCK_INIT;

	spin_lock(&lock);
	alloc_page(GFP_KERNEL);
}
static void sleep_in_interrupt(void *arg)
{
	arch_irq_disable();
	alloc_page(GFP_KERNEL);
}
static void bulk_sleep_under_lock(void *arg)
{
	struct page *pages[2];

	preempt_disable();
	alloc_pages_bulk(GFP_KERNEL, 2, PAGE_OTHER, pages);
}
static void slab_sleep_under_lock(void *arg)
{
	preempt_disable();
	for (int i = 0; i < 100; i++)
		kmalloc(512, GFP_KERNEL);
}
static void nofail_atomic(void *arg)
{
	LIST_HEAD(list);

	exhaust(GFP_ATOMIC | __GFP_MEMALLOC, &list);
	alloc_page(GFP_ATOMIC | __GFP_NOFAIL);
}
static void free_not_boot_memory(void *arg)
{
	free_reserved_area(20ul << 20, (20ul << 20) + PAGE_SIZE, "oops");
}

static void misuse_is_named(void)
{
	victim = alloc_page(GFP_KERNEL);
	CU_ASSERT(host_panics(free_twice, (void *)0, "double free"));
	CU_ASSERT(host_panics(put_twice, NULL, "double free"));
	CU_ASSERT(host_panics(free_other_order, NULL, "freed with another order"));
	CU_ASSERT(host_panics(free_reserved, NULL, "never allocated"));
	CU_ASSERT(host_panics(free_locked, NULL, "still in use"));
	CU_ASSERT(host_panics(free_mapped, NULL, "freed while mapped"));
	CU_ASSERT(host_panics(unlock_twice, NULL, "was not locked"));
	CU_ASSERT(host_panics(split_shared, NULL, "one owner"));
	__free_page(victim);
	victim = alloc_pages(GFP_KERNEL, 8);
	CU_ASSERT(host_panics(free_twice, (void *)8, "double free"));
	CU_ASSERT(host_panics(free_other_order, NULL, "freed with another order"));
	__free_pages(victim, 8);
	CU_ASSERT(host_panics(sleep_under_lock, NULL, "sleeping is not allowed"));
	CU_ASSERT(host_panics(sleep_in_interrupt, NULL, "sleeping is not allowed"));
	CU_ASSERT(host_panics(bulk_sleep_under_lock, NULL, "sleeping is not allowed"));
	CU_ASSERT(host_panics(slab_sleep_under_lock, NULL, "sleeping is not allowed"));
	CU_ASSERT(host_panics(nofail_atomic, NULL, "NOFAIL"));
	CU_ASSERT(host_panics(free_not_boot_memory, NULL, "is not boot memory"));
	CU_ASSERT_EQUAL(check_pages(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"boot writes heads only", boot_writes_heads_only},
		{"boot hands over every frame", boot_hands_over_every_frame},
		{"boot memory joins", boot_memory_joins},
		{"watermarks are Linux's", watermarks_are_linuxs},
		{"watermark rules", watermark_rules},
		{"flags name zones", flags_name_zones},
		{"hot path takes the page just freed", hot_path_takes_the_page_just_freed},
		{"refill and drain in batches", refill_and_drain_in_batches},
		{"batch grows with the zone", batch_grows_with_the_zone},
		{"bulk", bulk},
		{"freed lists and split blocks", freed_lists_and_split_blocks},
		{"references", references},
		{"addresses", addresses},
		{"largest blocks", largest_blocks},
		{"policy of fallback", policy_of_fallback},
		{"a type takes a pageblock over", unmovable_takes_a_pageblock_over},
		{"reserves in steps", reserves_in_steps},
		{"threads that may use all", threads_that_may_use_all},
		{"giving up", giving_up},
		{"how long to try", how_long_to_try},
		{"lists are drained for a block", lists_are_drained_for_a_block},
		{"NOFAIL waits for memory", nofail_waits_for_memory},
		{"failure on request", failure_on_request},
		{"page lock and writeback", page_lock_and_writeback},
		{"misuse is named", misuse_is_named},
	};

	host_boot_default("");
	return unit_run("pages", cases, ARRAY_SIZE(cases));
}
