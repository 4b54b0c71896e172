/*
 * Demotion: cold pages of node 0, which has the CPU, move to node 1 instead of to swap, and come back when they are
 * used (numa_balancing=2).
 */
#include "mm/numa/balancing.h"
#include "mm/numa/mempolicy.h"
#include "mm/reclaim/demote.h"
#include "mm/reclaim/lru.h"
#include "mm/pgtable/soft_dirty.h"
#include "tests/tests.h"

#define SLOW  "memory=64M,high=0M cpus=1 nodes=2" /* node 1 has memory only */
#define SWAP  SLOW " swap=32M"
#define PAGES 256ul

static unsigned long written(struct test *t, struct mm_struct *mm)
{
	unsigned long addr = testmm_map(t, mm, PAGES << PAGE_SHIFT);

	testmm_fill(t, mm, addr, PAGES, 1);
	CHECK_EQ(testmm_on_node(mm, addr, PAGES, 0), PAGES);
	return addr;
}

/* Reclaim from node 0 until nothing of the mapping is left there, or in vain. */
static void shrink_node0(struct mm_struct *mm, unsigned long addr)
{
	struct thread_info *ti = current_thread_info();

	for (int i = 0; i < 20 && testmm_on_node(mm, addr, PAGES, 0); i++) {
		struct scan_control sc = {.gfp = GFP_KERNEL,
					  .nodes = 1,
					  .highest = MAX_NR_ZONES - 1,
					  .nr_to_reclaim = PAGES};

		mm_clear_refs(mm, CLEAR_REFS_ALL);
		do_madvise(mm, addr, PAGES << PAGE_SHIFT, MADV_COLD);
		lru_add_drain();
		atomic_or(&ti->flags, TIF_MEMALLOC);
		shrink_node(&node_data[0], &sc);
		atomic_and(&ti->flags, ~TIF_MEMALLOC);
	}
}

GUEST_TEST(demotion, cold_pages_move_to_the_slow_node, 0, 0, SWAP)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = written(t, mm);
	s64 moved = ev(PGMIGRATE_SUCCESS), out = ev(PSWPOUT);

	CHECK_EQ(demotion_target(0, 0), 1);
	CHECK_EQ(demotion_target(0, 2), NUMA_NO_NODE);
	CHECK_EQ(demotion_target(1, 0), NUMA_NO_NODE);
	numa_demotion_enabled = true;
	shrink_node0(mm, addr);
	CHECK_EQ(testmm_on_node(mm, addr, PAGES, 1), PAGES);
	CHECK_EQ(mm->rss_anon, PAGES);
	CHECK_EQ(ev(PSWPOUT), out);
	CHECK(ev(PGDEMOTE_DIRECT) >= (s64)PAGES);
	CHECK_EQ(ev(PGDEMOTE_DIRECT), ev(PGMIGRATE_SUCCESS) - moved);
	CHECK_EQ(ev(PGDEMOTE_KSWAPD), 0);
	CHECK_EQ(settled_audit(), 0);
	testmm_verify(t, mm, addr, PAGES, 1);
	mmput(mm);
}

GUEST_TEST(demotion, off_means_swap, 0, 0, SWAP)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = written(t, mm);

	CHECK(!numa_demotion_enabled);
	shrink_node0(mm, addr);
	CHECK_EQ(ev(PGDEMOTE_DIRECT), 0);
	CHECK_EQ(testmm_on_node(mm, addr, PAGES, 1), 0);
	CHECK(mm->rss_swap > 0);
	mmput(mm);
}

/* MADV_PAGEOUT asks for the disk. */
GUEST_TEST(demotion, pageout_is_no_demotion, 0, 0, SWAP)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = written(t, mm);

	numa_demotion_enabled = true;
	CHECK_EQ(do_madvise(mm, addr, PAGES << PAGE_SHIFT, MADV_PAGEOUT), 0);
	CHECK_EQ(mm->rss_swap, PAGES);
	CHECK_EQ(ev(PGDEMOTE_DIRECT), 0);
	mmput(mm);
}

/* Where the slow node is full, reclaim goes on as if there were none. */
GUEST_TEST(demotion, a_full_slow_node_means_swap, 0, 60, SWAP)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = written(t, mm);
	LIST_HEAD(taken);
	struct page *page;

	while ((page = __alloc_pages_node(1, __GFP_THISNODE | __GFP_NOWARN | __GFP_MOVABLE, 0,
					  PAGE_OTHER)) != NULL)
		list_add(&page->lru, &taken);
	numa_demotion_enabled = true;
	shrink_node0(mm, addr);
	CHECK_EQ(ev(PGDEMOTE_DIRECT), 0);
	CHECK(mm->rss_swap > 0);
	CHECK_EQ(settled_audit(), 0);
	while (!list_empty(&taken)) {
		page = list_first_entry(&taken, struct page, lru);
		list_del(&page->lru);
		__free_page(page);
	}
	testmm_verify(t, mm, addr, PAGES, 1);
	mmput(mm);
}

/* Without swap: kswapd has something to do all the same. The bind keeps the allocator from falling back to node 1 before
 * anybody reclaims; demotion does not ask it, as on Linux. */
GUEST_TEST(demotion, kswapd_demotes, 0, 120, SLOW)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long pages = node_data[0].zones[ZONE_DMA].managed, addr;
	struct nodemask near = {.bits = {1}};

	pages = (pages + node_data[0].zones[ZONE_DMA32].managed) * 5 / 4;
	addr = testmm_map(t, mm, pages << PAGE_SHIFT);
	CHECK_EQ(do_mbind(mm, addr, pages << PAGE_SHIFT, MPOL_BIND, 0, &near, 0), 0);
	numa_demotion_enabled = true;
	testmm_fill(t, mm, addr, pages, 1);
	CHECK(ev(PGDEMOTE_KSWAPD) > 0);
	CHECK(ev(PGDEMOTE_KSWAPD) + ev(PGDEMOTE_DIRECT) >= (s64)pages / 5);
	CHECK_EQ(ev(OOM_KILL), 0);
	CHECK_EQ(mm->rss_anon, pages);
	testmm_verify(t, mm, addr, pages, 1);
	mmput(mm);
}

/* Down by reclaim, up by use; hot pages of the fast node are not looked at. */
GUEST_TEST(demotion, what_is_used_comes_back, 0, 0, SWAP)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long addr = written(t, mm), near;
	s64 local = ev(NUMA_HINT_FAULTS_LOCAL);

	numa_demotion_enabled = true;
	shrink_node0(mm, addr);
	CHECK_EQ(testmm_on_node(mm, addr, PAGES, 1), PAGES);
	near = written(t, mm);
	lru_add_drain();
	numa_hints_ever = 1;
	sysctl_numa_balancing = NUMA_BALANCING_TIERING;
	CHECK_EQ(numa_scan_mm(mm, 4096), PAGES);
	testmm_verify(t, mm, addr, PAGES, 1);
	testmm_verify(t, mm, near, PAGES, 1);
	CHECK_EQ(ev(PGPROMOTE_SUCCESS), PAGES);
	CHECK_EQ(ev(NUMA_PAGE_MIGRATE), PAGES);
	CHECK_EQ(ev(NUMA_HINT_FAULTS_LOCAL), local);
	CHECK_EQ(testmm_on_node(mm, addr, PAGES, 0), PAGES);
	mmput(mm);
}
