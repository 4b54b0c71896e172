/*
 * Huge pages that move, from inside: whole, in pieces, to another node, and half way, where the audit is to know
 * the entries. What random operations do while all pages move is in test_thp.c.
 */
#include "lib/errno.h"
#include "mm/huge/thp.h"
#include "mm/numa/mempolicy.h"
#include "mm/move/contig.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/lru.h"
#include "mm/rmap/migrate_entry.h"
#include "tests/tests.h"

#define MEM "memory=64M"
#define TWO "memory=64M nodes=2"

static long map_huge(struct test *t, struct mm_struct *mm, int flags)
{
	long a;

	thp_enabled = THP_ALWAYS;
	shmem_set_enabled(SHMEM_HUGE_ALWAYS);
	khugepaged.scan_sleep_millisecs = 0xffffffff; /* not by itself */
	a = do_mmap(mm, 0, PMD_SIZE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, 0);
	if (a <= 0)
		return a;
	testmm_fill(t, mm, a, 512, 1);
	lru_add_drain_all();
	return testmm_level(mm, a) == PT_LEVEL_PMD ? a : -EINVAL;
}

static struct folio *folio_at(struct mm_struct *mm, unsigned long addr)
{
	return pfn_folio(pte_pfn(pte_read(walk_level(mm->pgd, addr, PT_LEVEL_PMD))));
}

static struct folio *nowhere(struct folio *src, void *private)
{
	return folio_test_large(src) ? NULL : alloc_migration_target(src, private);
}

static int move(struct folio *folio, new_folio_fn where)
{
	LIST_HEAD(list);
	int left;

	if (!isolate_movable_page(&folio->page))
		return -EBUSY;
	list_add(&folio->page.lru, &list);
	left = migrate_pages(&list, where, NULL, NULL, MIGRATE_SYNC, MR_SYSCALL, NULL);
	putback_movable_pages(&list);
	return left;
}

static void moves_whole(struct test *t, int flags)
{
	struct mm_struct *mm = testmm_create(t);
	s64 moved = ev(THP_MIGRATION_SUCCESS), pages = ev(PGMIGRATE_SUCCESS);
	s64 split = ev(THP_SPLIT_PMD), anon = global_stat(NR_ANON_MAPPED);
	struct folio *src;
	long a;

	REQUIRE(mm);
	a = map_huge(t, mm, flags);
	REQUIRE(a > 0);
	anon = global_stat(NR_ANON_MAPPED);
	src = folio_at(mm, a);
	CHECK_EQ(move(src, alloc_migration_target), 0);
	CHECK_EQ(ev(THP_MIGRATION_SUCCESS) - moved, 1);
	CHECK_EQ(ev(PGMIGRATE_SUCCESS) - pages, 512);
	CHECK_EQ(ev(THP_SPLIT_PMD), split);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	CHECK(folio_at(mm, a) != src);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), anon);
	testmm_verify(t, mm, a, 512, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(thp_migrate, anonymous_memory_moves_whole, 0, 0, MEM)
{
	moves_whole(t, MAP_PRIVATE);
}

GUEST_TEST(thp_migrate, shared_memory_moves_whole, 0, 0, MEM)
{
	moves_whole(t, MAP_SHARED);
}

GUEST_TEST(thp_migrate, in_pieces_where_there_is_no_place, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	s64 split = ev(THP_MIGRATION_SPLIT), fail = ev(THP_MIGRATION_FAIL);
	s64 pages = ev(PGMIGRATE_SUCCESS);
	long a;

	REQUIRE(mm);
	a = map_huge(t, mm, MAP_PRIVATE);
	REQUIRE(a > 0);
	CHECK_EQ(move(folio_at(mm, a), nowhere), 0);
	CHECK_EQ(ev(THP_MIGRATION_SPLIT) - split, 1);
	CHECK_EQ(ev(THP_MIGRATION_FAIL) - fail, 1);
	CHECK_EQ(ev(PGMIGRATE_SUCCESS) - pages, 512);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PTE);
	testmm_verify(t, mm, a, 512, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

/* Half way, with the entry of a PMD, then with those of its 512 PTEs: the audit knows both. */
static void half_way(struct test *t, int flags)
{
	struct mm_struct *mm = testmm_create(t);
	struct folio *folio;
	LIST_HEAD(list);
	long a;

	REQUIRE(mm);
	a = map_huge(t, mm, flags);
	REQUIRE(a > 0);
	folio = folio_at(mm, a);
	REQUIRE(isolate_movable_page(&folio->page));
	REQUIRE(folio_trylock(folio));
	SetPageMigrating(&folio->page);
	REQUIRE(try_to_migrate(&folio->page));
	CHECK(pmd_is_migration(pte_read(walk_level(mm->pgd, a, PT_LEVEL_PMD))));
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(do_munmap(mm, a, 4 * PAGE_SIZE), 0);
	CHECK(pte_is_migration(pte_read(walk_pte(mm->pgd, a + 4 * PAGE_SIZE))));
	CHECK_EQ(settled_audit(), 0);
	remove_migration_ptes(&folio->page, &folio->page);
	ClearPageMigrating(&folio->page);
	folio_unlock(folio);
	list_add(&folio->page.lru, &list);
	putback_movable_pages(&list);
	CHECK_EQ(folio_mapcount(folio), 508);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(thp_migrate, the_audit_knows_entries_of_anonymous_memory, 0, 0, MEM)
{
	half_way(t, MAP_PRIVATE);
}

GUEST_TEST(thp_migrate, the_audit_knows_entries_of_shared_memory, 0, 0, MEM)
{
	half_way(t, MAP_SHARED);
}

GUEST_TEST(thp_migrate, to_another_node_and_back, 0, 0, TWO)
{
	struct mm_struct *mm = testmm_create(t);
	s64 moved = ev(THP_MIGRATION_SUCCESS);
	LIST_HEAD(list);
	int home;
	long a;

	REQUIRE(mm);
	a = map_huge(t, mm, MAP_PRIVATE);
	REQUIRE(a > 0);
	home = page_node_at(mm, a);
	REQUIRE(home == 0 || home == 1);
	CHECK_EQ(move_page_isolate(mm, a + 9 * PAGE_SIZE, !home, MIGRATE_OWN, &list), 1);
	CHECK_EQ(move_list_to_node(&list, !home), 0);
	CHECK_EQ(page_node_at(mm, a), !home);
	CHECK_EQ(do_migrate_pages(mm, 1u << !home, 1u << home, MIGRATE_OWN), 0);
	CHECK_EQ(page_node_at(mm, a), home);
	CHECK_EQ(ev(THP_MIGRATION_SUCCESS) - moved, 2);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	testmm_verify(t, mm, a, 512, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(thp_migrate, out_of_a_contiguous_range, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	s64 moved = ev(THP_MIGRATION_SUCCESS), split = ev(THP_SPLIT_PAGE);
	pfn_t pfn;
	long a;

	REQUIRE(mm);
	a = map_huge(t, mm, MAP_PRIVATE);
	REQUIRE(a > 0);
	pfn = folio_pfn(folio_at(mm, a));
	CHECK_EQ(alloc_contig_range(pfn, pfn + 512), 0);
	CHECK_EQ(ev(THP_MIGRATION_SUCCESS) - moved, 1);
	CHECK_EQ(ev(THP_SPLIT_PAGE), split);
	free_contig_range(pfn, 512);
	testmm_verify(t, mm, a, 512, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(thp_migrate, planted_entry_left_behind, MMVM_TESTF_EXPECT_AUDIT, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	pte_t *pmd;
	long a;

	REQUIRE(mm);
	a = map_huge(t, mm, MAP_PRIVATE);
	REQUIRE(a > 0);
	pmd = walk_level(mm->pgd, a, PT_LEVEL_PMD);
	pte_set(pmd, make_pmd_migration_entry(pte_read(pmd)));
	test_expect_audit(t, "migration");
}
