/*
 * Transparent huge pages from inside; each case is audited from outside when it has ended.
 */
#include "arch/switch.h"
#include "lib/string.h"
#include "mm/huge/thp.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/internal.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/lru.h"
#include "mm/pgtable/large.h"
#include "tests/tests.h"

#define HUGE PMD_SIZE
#define RW   (PROT_READ | PROT_WRITE)
#define MEM  "memory=64M"
#define SWAP "memory=64M swap=64M"

static long map(struct mm_struct *mm, unsigned long pages)
{
	thp_enabled = THP_ALWAYS;
	khugepaged.scan_sleep_millisecs = 0xffffffff; /* not by itself */
	return do_mmap(mm, 0, pages * HUGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, 0);
}

static struct folio *folio_at(struct mm_struct *mm, unsigned long addr)
{
	unsigned long next;
	unsigned int level;
	pte_t *leaf = walk_leaf(mm->pgd, addr, &level, &next);

	return leaf ? pfn_folio(leaf_pfn(pte_read(leaf), level, addr)) : NULL;
}

GUEST_TEST(thp, first_write_maps_two_mebibytes, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	s64 faults = ev(THP_FAULT_ALLOC);
	long a = map(mm, 2);

	REQUIRE(a > 0 && !(a & (HUGE - 1)));
	testmm_fill(t, mm, a, 512, 1);
	CHECK_EQ(ev(THP_FAULT_ALLOC) - faults, 1);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	CHECK_EQ(mm->rss_anon, 512);
	CHECK_EQ(global_stat(NR_ANON_THPS), 1);
	testmm_verify(t, mm, a, 512, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK_EQ(global_stat(NR_ANON_THPS), 0);
}

/* The tails are written by SSE registers, which may hold the values of any program. What they are filled with
 * has the head's address, which no program has: so they are not equal by chance. */
GUEST_TEST(thp, a_new_folio_leaves_sse_registers_alone, 0, 0, MEM)
{
	static u8 before[ARCH_FPU_SIZE] __attribute__((aligned(64)));
	static u8 after[ARCH_FPU_SIZE] __attribute__((aligned(64)));
	struct folio *folio;

	preempt_disable(); /* nobody else loads them meanwhile */
	arch_fpu_save(before);
	folio = folio_alloc(GFP_NOWAIT | __GFP_NOWARN, HPAGE_PMD_ORDER);
	arch_fpu_save(after);
	preempt_enable();
	REQUIRE(folio);
	CHECK(PageTail(folio_page(folio, HPAGE_PMD_NR - 1)));
	CHECK(!memcmp(before, after, sizeof(before)));
	folio_put(folio);
}

static void check_group(struct test *t, struct mem_cgroup *memcg, s64 mapped, u64 faulted,
			u64 collapsed)
{
	CHECK_EQ(mem_cgroup_stat(memcg, -1, NR_ANON_THPS), mapped);
	CHECK_EQ(mem_cgroup_vm_event(memcg, THP_FAULT_ALLOC), faulted);
	CHECK_EQ(mem_cgroup_vm_event(memcg, THP_COLLAPSE_ALLOC), collapsed);
	CHECK_EQ(settled_audit(), 0); /* memcg_level is among its findings */
}

GUEST_TEST(thp, a_memcg_counts_its_huge_pages, 0, 0, MEM)
{
	struct mem_cgroup *memcg = mem_cgroup_create(&root_mem_cgroup);
	struct mm_struct *mm = testmm_create(t);
	long a = map(mm, 3);

	REQUIRE(!IS_ERR(memcg) && a > 0);
	testmm_fill(t, mm, a, 1, 1); /* the root's */
	mem_cgroup_get(memcg);
	mem_cgroup_set_mm(mm, memcg);
	check_group(t, memcg, 0, 0, 0);
	testmm_fill(t, mm, a + HUGE, 1, 1);
	check_group(t, memcg, 1, 1, 0);
	CHECK_EQ(do_madvise(mm, a + 2 * HUGE, HUGE, MADV_NOHUGEPAGE), 0);
	testmm_fill(t, mm, a + 2 * HUGE, 5, 1);
	check_group(t, memcg, 1, 1, 0);
	CHECK_EQ(do_madvise(mm, a + 2 * HUGE, HUGE, MADV_HUGEPAGE), 0);
	CHECK_EQ(do_madvise(mm, a + 2 * HUGE, HUGE, MADV_COLLAPSE), 0);
	check_group(t, memcg, 2, 1, 1);
	/* A PMD that is split maps no huge page any more. */
	CHECK_EQ(do_mprotect(mm, a + HUGE, PAGE_SIZE, PROT_READ), 0);
	check_group(t, memcg, 1, 1, 1);
	mmput(mm);
	check_group(t, memcg, 0, 1, 1);
	mem_cgroup_offline(memcg);
	mem_cgroup_free_dead();
	CHECK_EQ(mem_cgroup_nr_offline(&root_mem_cgroup), 0);
}

GUEST_TEST(thp, reads_share_the_huge_zero_page, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	long a = map(mm, 1);
	u64 v = 1;

	REQUIRE(a > 0);
	CHECK_EQ(testmm_read(mm, a + 5 * PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	CHECK_EQ(mm->rss_anon, 0);
	CHECK_EQ(settled_audit(), 0);
	/* Of 2 MiB of zeroes one page is written. */
	CHECK_EQ(testmm_write(mm, a + 5 * PAGE_SIZE, 7), 0);
	CHECK_EQ(mm->rss_anon, 1);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PTE);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(testmm_read(mm, a + 6 * PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 0);
	mmput(mm);
}

GUEST_TEST(thp, part_unmapped_splits_the_pmd_only, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	s64 pmds = ev(THP_SPLIT_PMD), pages = ev(THP_SPLIT_PAGE),
	    later = ev(THP_DEFERRED_SPLIT_PAGE);
	long a = map(mm, 1);
	struct folio *f;

	REQUIRE(a > 0);
	testmm_fill(t, mm, a, 512, 1);
	CHECK_EQ(do_munmap(mm, a + 100 * PAGE_SIZE, 50 * PAGE_SIZE), 0);
	CHECK_EQ(ev(THP_SPLIT_PMD) - pmds, 1);
	CHECK_EQ(ev(THP_SPLIT_PAGE) - pages, 0);
	CHECK_EQ(ev(THP_DEFERRED_SPLIT_PAGE) - later, 1);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PTE);
	CHECK_EQ(mm->rss_anon, 462);
	f = folio_at(mm, a);
	CHECK(folio_test_large(f));
	CHECK_EQ(folio_mapcount(f), 462);
	testmm_verify(t, mm, a, 100, 1);
	CHECK_EQ(settled_audit(), 0);
	/* Memory is short: the shrinker splits it, and the 50 pages are free. */
	lru_add_drain_all();
	shrink_slab(GFP_KERNEL, 0);
	CHECK_EQ(ev(THP_SPLIT_PAGE) - pages, 1);
	CHECK(!folio_test_large(folio_at(mm, a)));
	testmm_verify(t, mm, a, 100, 1);
	testmm_verify(t, mm, a + 150 * PAGE_SIZE, 362, 1);
	lru_add_drain_all();
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(thp, fork_shares_the_pmd_and_a_write_copies_one_page, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	long a = map(mm, 1);

	REQUIRE(a > 0);
	testmm_fill(t, mm, a, 512, 1);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(testmm_level(child, a), PT_LEVEL_PMD);
	CHECK_EQ(folio_entire_mapcount(folio_at(mm, a)), 2);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(testmm_write(child, a + 3 * PAGE_SIZE, 42), 0);
	CHECK_EQ(testmm_level(child, a), PT_LEVEL_PTE);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	testmm_verify(t, mm, a, 512, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	testmm_verify(t, child, a, 3, 1);
	testmm_verify(t, child, a + 4 * PAGE_SIZE, 508, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
}

GUEST_TEST(thp, mprotect_mremap_dontneed_of_parts, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	long a = map(mm, 4), b;
	u64 v = 1;

	REQUIRE(a > 0);
	testmm_fill(t, mm, a, 2048, 1);
	CHECK_EQ(do_mprotect(mm, a + 10 * PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
	CHECK_EQ(testmm_touch(mm, a + 10 * PAGE_SIZE, TOUCH_WRITE), VM_FAULT_SIGSEGV_ACCERR);
	CHECK_EQ(do_mprotect(mm, a + HUGE, HUGE, PROT_READ), 0);
	CHECK_EQ(testmm_level(mm, a + HUGE), PT_LEVEL_PMD);
	CHECK_EQ(do_mprotect(mm, a + HUGE, HUGE, RW), 0);
	CHECK_EQ(do_madvise(mm, a + 2 * HUGE + PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED), 0);
	CHECK_EQ(testmm_read(mm, a + 2 * HUGE + PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 0);
	b = do_mremap(mm, a + 3 * HUGE, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, a - 16 * HUGE);
	CHECK_EQ(b, a - 16 * (long)HUGE);
	CHECK_EQ(testmm_level(mm, b), PT_LEVEL_PMD);
	b = do_mremap(mm, b, HUGE, HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, a - 20 * HUGE + PAGE_SIZE);
	CHECK_EQ(testmm_level(mm, b), PT_LEVEL_PTE);
	testmm_verify(t, mm, a + HUGE, 513, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(thp, collapse_makes_one_page_of_512, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	long a;

	thp_enabled = THP_NEVER;
	a = do_mmap(mm, 0, 2 * HUGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	REQUIRE(a > 0);
	a = ALIGN_UP(a, HUGE);
	testmm_fill(t, mm, a, 300, 1);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PTE);
	CHECK_EQ(do_madvise(mm, a, HUGE, MADV_COLLAPSE), 0);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	CHECK_EQ(mm->rss_anon, 512);
	testmm_verify(t, mm, a, 300, 1);
	lru_add_drain_all();
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

/* One pass of khugepaged: it counts why it does not make a huge page of the area. */
static void scan_refuses(struct test *t, enum vm_event_item why)
{
	s64 made = ev(THP_COLLAPSE_ALLOC), before = ev(why);

	CHECK_EQ(khugepaged_scan(1 << 20), 0);
	CHECK_EQ(ev(THP_COLLAPSE_ALLOC) - made, 0);
	CHECK_EQ(ev(why) - before, 1);
}

GUEST_TEST(thp, khugepaged_keeps_to_its_limits, 0, 60, SWAP)
{
	struct mm_struct *mm = testmm_create(t), *child;
	u64 collapsed;
	long a = map(mm, 1);

	REQUIRE(a > 0);
	CHECK_EQ(do_madvise(mm, a, HUGE, MADV_NOHUGEPAGE), 0);
	testmm_fill(t, mm, a, 300, 1);
	CHECK_EQ(do_madvise(mm, a + 100 * PAGE_SIZE, 10 * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK_EQ(mm->rss_anon, 290);
	/* 212 were never there, 10 are in swap, 284 a child shares. */
	child = dup_mm(mm);
	REQUIRE(child);
	testmm_fill(t, mm, a, 6, 1); /* the same words, in copies */
	CHECK_EQ(do_madvise(mm, a, HUGE, MADV_HUGEPAGE), 0);
	khugepaged.max_ptes_none = 211;
	khugepaged.max_ptes_swap = 10;
	khugepaged.max_ptes_shared = 284;
	scan_refuses(t, THP_SCAN_EXCEED_NONE_PTE);
	khugepaged.max_ptes_none = 212;
	khugepaged.max_ptes_swap = 9;
	scan_refuses(t, THP_SCAN_EXCEED_SWAP_PTE);
	khugepaged.max_ptes_swap = 10;
	khugepaged.max_ptes_shared = 283;
	scan_refuses(t, THP_SCAN_EXCEED_SHARED_PTE);
	khugepaged.max_ptes_shared = 284;
	collapsed = khugepaged.pages_collapsed;
	CHECK_EQ(khugepaged_scan(1 << 20), 0);
	CHECK_EQ(khugepaged.pages_collapsed - collapsed, 1);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	CHECK_EQ(settled_audit(), 0);
	testmm_verify(t, mm, a, 300, 1);
	testmm_verify(t, child, a, 300, 1);
	mmput(child);
	mmput(mm);
}

GUEST_TEST(thp, reclaim_splits_and_swaps, 0, 120, SWAP)
{
	struct mm_struct *mm = testmm_create(t);
	s64 out = ev(PSWPOUT);
	long a = map(mm, 36);

	REQUIRE(a > 0);
	testmm_fill(t, mm, a, 36 * 512, 1);
	CHECK(ev(PSWPOUT) > out);
	testmm_verify(t, mm, a, 36 * 512, 1);
	memory_settle();
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(thp, each_failed_allocation_leaves_nothing, 0, 0, MEM)
{
	for (u64 k = 1; k < 60; k++) {
		struct mm_struct *mm = mm_alloc(), *child = NULL;
		u64 failed = alloc_fail_count();
		long a;

		REQUIRE(mm);
		alloc_fail_nth(k);
		a = map(mm, 2);
		if (a > 0) {
			testmm_touch(mm, a, TOUCH_WRITE);
			testmm_touch(mm, a + HUGE, TOUCH_READ);
			child = dup_mm(mm);
			if (child)
				testmm_touch(child, a, TOUCH_WRITE);
			do_munmap(mm, a + PAGE_SIZE, PAGE_SIZE);
			do_madvise(mm, a, HUGE, MADV_COLLAPSE);
		}
		alloc_fail_nth(0);
		if (child)
			mmput(child);
		mmput(mm);
		CHECK_EQ(global_stat(NR_ANON_THPS), 0);
		if (alloc_fail_count() == failed)
			break;
	}
	lru_add_drain_all();
	CHECK_EQ(settled_audit(), 0);
}

/* Two address spaces, a parent and its child, against plain arrays: one word a page. */
#define PAGES 2048u

struct twin {
	struct mm_struct *mm;
	u64 word[PAGES]; /* 0: never written, or thrown away */
};

static void random_op(struct test *t, struct twin *w, unsigned long a, u64 r)
{
	unsigned long page = r % PAGES, n = min(1 + (r >> 12) % 700, PAGES - page);
	unsigned long at = a + page * PAGE_SIZE, to;
	long moved;
	u64 v = 0;

	switch (r >> 40 & 15) {
	case 0 ... 5:
		n = min(n, 40ul);
		for (unsigned long i = 0; i < n; i++) {
			w->word[page + i] = word_for(at + i * PAGE_SIZE, r);
			CHECK_EQ(testmm_write(w->mm, at + i * PAGE_SIZE, w->word[page + i]), 0);
		}
		break;
	case 6 ... 8:
		n = min(n, 40ul);
		for (unsigned long i = 0; i < n; i++) {
			CHECK_EQ(testmm_read(w->mm, at + i * PAGE_SIZE, &v), 0);
			CHECK_EQ(v, w->word[page + i]);
		}
		break;
	case 9:
		CHECK_EQ(do_madvise(w->mm, at, n * PAGE_SIZE, MADV_DONTNEED), 0);
		memset(&w->word[page], 0, n * sizeof(w->word[0]));
		break;
	case 10:
		CHECK_EQ(do_mprotect(w->mm, at, n * PAGE_SIZE, PROT_READ), 0);
		CHECK_EQ(do_mprotect(w->mm, a, PAGES * PAGE_SIZE, RW), 0);
		break;
	case 11:
		do_madvise(w->mm, at & ~(HUGE - 1), HUGE, MADV_COLLAPSE);
		break;
	case 12:
		do_madvise(w->mm, at, n * PAGE_SIZE, MADV_PAGEOUT);
		break;
	case 13:
		do_madvise(w->mm, at, n * PAGE_SIZE,
			   r & 1ull << 60 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		break;
	case 14:
		/* There and back: the words stay. A range of several VMAs does not move. */
		to = a - 64 * HUGE + page * PAGE_SIZE + (r & PAGE_SIZE);
		moved = do_mremap(w->mm, at, n * PAGE_SIZE, n * PAGE_SIZE,
				  MREMAP_MAYMOVE | MREMAP_FIXED, to);
		if (moved == -EFAULT)
			break;
		CHECK_EQ(moved, (long)to);
		CHECK_EQ(do_mremap(w->mm, to, n * PAGE_SIZE, n * PAGE_SIZE,
				   MREMAP_MAYMOVE | MREMAP_FIXED, at),
			 (long)at);
		break;
	case 15:
		if (r & 1ull << 61)
			khugepaged_scan(4096);
		else
			shrink_slab(GFP_KERNEL, 0);
		break;
	}
}

/* Meanwhile another thread moves every page that can move, huge ones as a whole if there is room. */
static struct mutex still = MUTEX_INIT(still); /* held: nothing moves */
static bool stop_moving;
static u32 movers_gone;

/* Up to `n` folios, from frame *from on, which is the first frame of the machine again at the end. */
static void move_some(pfn_t *from, unsigned int n)
{
	LIST_HEAD(list);

	lru_add_drain_all();
	for (unsigned int r = 0; r < nr_ram_ranges; r++)
		for (pfn_t pfn = max(ram_range[r].start, *from); pfn < ram_range[r].end; pfn++) {
			struct page *page = pfn_to_page(pfn);

			if (!isolate_movable_page(page))
				continue;
			list_add_tail(&page->lru, &list);
			migrate_pages(&list, alloc_migration_target, NULL, NULL, MIGRATE_SYNC,
				      MR_SYSCALL, NULL);
			putback_movable_pages(&list);
			if (!--n) {
				*from = pfn + 1;
				return;
			}
		}
	*from = 0;
}

/* A few at a time: with several CPUs on one of the host each flush waits for the others' turns. */
static int mover(void *arg)
{
	pfn_t from = 0;

	while (!READ_ONCE(stop_moving)) {
		mutex_lock(&still);
		move_some(&from, 16);
		mutex_unlock(&still);
		sleep_ms(5);
	}
	atomic_add(&movers_gone, 1);
	return 0;
}

static bool mover_gone(void *arg)
{
	return atomic_load(&movers_gone) == 1;
}

static void random_operations(struct test *t, unsigned int ops)
{
	struct twin *twin = vmalloc(2 * sizeof(*twin));
	long a;

	REQUIRE(twin);
	memset(twin, 0, 2 * sizeof(*twin));
	twin[0].mm = testmm_create(t);
	a = map(twin[0].mm, PAGES / 512);
	REQUIRE(a > 0);
	for (unsigned int i = 0; i < ops; i++) {
		u64 r = get_random_u64();

		if (r % 61 == 0 && twin[1].mm) {
			mmput(twin[r >> 8 & 1].mm);
			if (!(r >> 8 & 1))
				twin[0] = twin[1];
			twin[1].mm = NULL;
		} else if (r % 61 == 1 && !twin[1].mm) {
			twin[1] = twin[0];
			twin[1].mm = dup_mm(twin[0].mm);
			if (!twin[1].mm)
				continue;
		} else {
			random_op(t, &twin[twin[1].mm && (r >> 20 & 1)], a, r);
		}
		if (i % 100 == 79) {
			mutex_lock(&still);
			memory_settle();
			lru_add_drain_all();
			CHECK_EQ(settled_audit(), 0);
			mutex_unlock(&still);
		}
	}
	for (unsigned int k = 0; k < 2; k++) {
		if (!twin[k].mm)
			continue;
		for (unsigned long i = 0; i < PAGES; i++) {
			u64 v = 0;

			CHECK_EQ(testmm_read(twin[k].mm, a + i * PAGE_SIZE, &v), 0);
			CHECK_EQ(v, twin[k].word[i]);
		}
		mmput(twin[k].mm);
	}
	vfree(twin);
	CHECK_EQ(global_stat(NR_ANON_THPS), 0);
	CHECK_EQ(thp_nr_deferred, 0);
}

GUEST_TEST(thp, random_operations_1_cpu, 0, 240, "memory=64M swap=64M")
{
	random_operations(t, 800);
}

GUEST_TEST(thp, random_operations_2_cpus, 0, 240, "memory=64M swap=64M cpus=2")
{
	random_operations(t, 500);
}

GUEST_TEST(thp, random_operations_4_cpus, 0, 240, "memory=64M swap=64M cpus=4")
{
	random_operations(t, 500);
}

/* How many huge pages the two meet at depends on the host, so pages of any size are counted; then one that stands still
 * moves for certain. */
static void random_operations_and_moves(struct test *t, unsigned int ops)
{
	s64 moved = ev(PGMIGRATE_SUCCESS), whole;
	struct mm_struct *mm;
	pfn_t from = 0;
	u64 v = 0;
	long a;

	REQUIRE(!kthread_run(mover, NULL, "mover"));
	random_operations(t, ops);
	WRITE_ONCE(stop_moving, true);
	REQUIRE(wait_until(mover_gone, NULL, 60000));
	CHECK(ev(PGMIGRATE_SUCCESS) - moved > 10);

	mm = testmm_create(t);
	a = map(mm, 1);
	REQUIRE(a > 0 && !testmm_write(mm, a + 9 * PAGE_SIZE, 99) && folio_at(mm, a));
	whole = ev(THP_MIGRATION_SUCCESS);
	move_some(&from, ~0u);
	CHECK_EQ(ev(THP_MIGRATION_SUCCESS) - whole, 1);
	CHECK(!testmm_read(mm, a + 9 * PAGE_SIZE, &v) && v == 99);
	mmput(mm);
}

GUEST_TEST(thp, random_operations_while_pages_move, 0, 240, "memory=64M swap=64M cpus=2")
{
	random_operations_and_moves(t, 80);
}

GUEST_TEST(thp, random_operations_while_pages_move_4_cpus, 0, 240, "memory=64M swap=64M cpus=4")
{
	random_operations_and_moves(t, 80);
}

#define PLANTED MMVM_TESTF_EXPECT_AUDIT

static struct folio *planted(struct test *t)
{
	struct mm_struct *mm = testmm_create(t);
	long a = map(mm, 1);

	return a > 0 && !testmm_touch(mm, a, TOUCH_WRITE) ? folio_at(mm, a) : NULL;
}

GUEST_TEST(thp, planted_compound_mapcount, PLANTED, 0, MEM)
{
	struct folio *f = planted(t);

	REQUIRE(f);
	folio_counts(f)->entire_mapcount++;
	test_expect_audit(t, "mapcount");
}

GUEST_TEST(thp, planted_deferred_count, PLANTED, 0, MEM)
{
	REQUIRE(planted(t));
	thp_nr_deferred++;
	test_expect_audit(t, "thp_deferred");
}

GUEST_TEST(thp, planted_deferred_whole, PLANTED, 0, MEM)
{
	struct folio *f = planted(t);

	REQUIRE(f);
	deferred_split_folio(f);
	test_expect_audit(t, "thp_deferred");
}

GUEST_TEST(thp, planted_table_lost, PLANTED, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	long a = map(mm, 1);

	REQUIRE(a > 0 && !testmm_touch(mm, a, TOUCH_WRITE));
	thp_withdraw(walk_level(mm->pgd, a, PT_LEVEL_PMD));
	test_expect_audit(t, "pgtable_count");
}

GUEST_TEST(thp, planted_wrong_list, PLANTED, 0, MEM)
{
	struct folio *f = planted(t);

	REQUIRE(f);
	lru_add_drain_all();
	set_bit(PG_unevictable, &f->page.flags);
	test_expect_audit(t, "lru_list");
}
