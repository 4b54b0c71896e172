/*
 * Migration of huge pages: as a whole where there is room for one, in pieces where there is none. While the
 * entry of a PMD says that the page is being moved, unmapping, protecting, locking, moving and splitting do
 * what they would do to the page, and fork waits.
 */
#include "check.h"
#include "mm/init.h"
#include "mm/numa/mempolicy.h"
#include "mm/move/contig.h"
#include "mm/move/migrate.h"
#include "mm/rmap/migrate_entry.h"
#include "mm_user.h"
#include "unit.h"

#define AREA   0x100000000000ul
#define AWAY   (AREA + 64 * PMD_SIZE)
#define SHARED (MAP_SHARED | MAP_ANONYMOUS)

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

static pte_t *pmd_of(struct mm_struct *mm, unsigned long addr)
{
	pte_t *pmd = walk_level(mm->pgd, addr, PT_LEVEL_PMD);

	MUST(pmd, "no PMD");
	return pmd;
}

static void write_all(struct mm_struct *mm, unsigned long addr, u64 seed)
{
	for (unsigned long i = 0; i < HPAGE_PMD_NR; i++)
		CU_ASSERT_EQUAL(user_write(mm, addr + i * PAGE_SIZE, seed + i), 0);
}

/* From the first-th page on. */
static bool holds(struct mm_struct *mm, unsigned long addr, u64 seed, unsigned long first,
		  unsigned long n)
{
	for (unsigned long i = first; i < first + n; i++) {
		u64 value = 0;

		if (user_read(mm, addr + i * PAGE_SIZE, &value) || value != seed + i)
			return false;
	}
	return true;
}

/* A process with a huge page at AREA. */
static struct mm_struct *with_huge(int flags)
{
	struct mm_struct *mm = mm_alloc();

	MUST(do_mmap(mm, AREA, PMD_SIZE, RW, flags | MAP_FIXED, 0) == AREA, "mmap");
	write_all(mm, AREA, 1000);
	MUST(pte_huge(pte_read(pmd_of(mm, AREA))), "no huge page");
	return mm;
}

static struct folio *folio_at(struct mm_struct *mm, unsigned long addr)
{
	return pfn_folio(pte_pfn(pte_read(pmd_of(mm, addr))));
}

static struct folio *nowhere(struct folio *src, void *private)
{
	return folio_test_large(src) ? NULL : alloc_migration_target(src, private);
}

/* Returns what migrate_pages() does. */
static int move(struct folio *folio, new_folio_fn where, enum migrate_reason reason,
		unsigned int *moved)
{
	LIST_HEAD(list);
	int left;

	lru_add_drain();
	MUST(isolate_movable_page(&folio->page), "isolate");
	list_add(&folio->page.lru, &list);
	left = migrate_pages(&list, where, NULL, NULL, MIGRATE_SYNC, reason, moved);
	putback_movable_pages(&list);
	return left;
}

static void whole(int flags, bool file)
{
	struct mm_struct *mm = with_huge(flags), *child = dup_mm(mm);
	struct folio *src = folio_at(mm, AREA), *dst;
	u64 success = event(PGMIGRATE_SUCCESS), thp = event(THP_MIGRATION_SUCCESS);
	u64 split = event(THP_SPLIT_PMD);
	const s64 rss = mm_rss(mm);
	unsigned int moved;

	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT(!file || holds(child, AREA, 1000, 0, HPAGE_PMD_NR));
	CU_ASSERT_EQUAL(move(src, alloc_migration_target, MR_SYSCALL, &moved), 0);
	CU_ASSERT_EQUAL(moved, HPAGE_PMD_NR);
	CU_ASSERT_EQUAL(event(PGMIGRATE_SUCCESS) - success, HPAGE_PMD_NR);
	CU_ASSERT_EQUAL(event(THP_MIGRATION_SUCCESS) - thp, 1);
	CU_ASSERT_EQUAL(event(THP_SPLIT_PMD), split);
	dst = folio_at(mm, AREA);
	CU_ASSERT_PTR_NOT_EQUAL(dst, src);
	CU_ASSERT_PTR_EQUAL(dst, folio_at(child, AREA));
	CU_ASSERT_EQUAL(src->page.type, PAGE_BUDDY);
	CU_ASSERT_EQUAL(folio_entire_mapcount(dst), 2);
	CU_ASSERT_EQUAL(mm_rss(mm), rss);
	CU_ASSERT(holds(mm, AREA, 1000, 0, HPAGE_PMD_NR));
	CU_ASSERT(holds(child, AREA, 1000, 0, HPAGE_PMD_NR));
	check_all();
	mmput(child);
	write_all(mm, AREA, 5);
	CU_ASSERT(holds(mm, AREA, 5, 0, HPAGE_PMD_NR));
	check_all();
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void anonymous_memory(void)
{
	whole(PRIVATE, false);
}

static void shared_memory(void)
{
	whole(SHARED, true);
}

static void split_where_there_is_no_place(void)
{
	struct mm_struct *mm = with_huge(PRIVATE);
	u64 success = event(PGMIGRATE_SUCCESS), fail = event(THP_MIGRATION_FAIL);
	u64 split = event(THP_MIGRATION_SPLIT);
	struct folio *src = folio_at(mm, AREA);
	unsigned int moved;

	CU_ASSERT_EQUAL(move(src, nowhere, MR_SYSCALL, &moved), 0);
	CU_ASSERT_EQUAL(moved, HPAGE_PMD_NR);
	CU_ASSERT_EQUAL(event(PGMIGRATE_SUCCESS) - success, HPAGE_PMD_NR);
	CU_ASSERT_EQUAL(event(THP_MIGRATION_FAIL) - fail, 1);
	CU_ASSERT_EQUAL(event(THP_MIGRATION_SPLIT) - split, 1);
	CU_ASSERT(!pte_huge(pte_read(pmd_of(mm, AREA))));
	CU_ASSERT(holds(mm, AREA, 1000, 0, HPAGE_PMD_NR));
	check_all();
	mmput(mm);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* For balancing it is not worth being split. */
static void balancing_does_not_split(void)
{
	struct mm_struct *mm = with_huge(PRIVATE);
	u64 fail = event(THP_MIGRATION_FAIL), pages = event(PGMIGRATE_FAIL);
	unsigned int moved;

	CU_ASSERT_EQUAL(move(folio_at(mm, AREA), nowhere, MR_NUMA_MISPLACED, &moved), -ENOMEM);
	CU_ASSERT_EQUAL(moved, 0);
	CU_ASSERT(pte_huge(pte_read(pmd_of(mm, AREA))));
	CU_ASSERT_EQUAL(event(THP_MIGRATION_FAIL) - fail, 1);
	CU_ASSERT_EQUAL(event(PGMIGRATE_FAIL) - pages, HPAGE_PMD_NR);
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* Of which only some pages are used: what is not used is freed, not copied. */
static void a_part_is_mapped(void)
{
	struct mm_struct *mm = with_huge(PRIVATE);
	struct folio *src = folio_at(mm, AREA);
	u64 success = event(PGMIGRATE_SUCCESS);
	unsigned int moved;

	CU_ASSERT_EQUAL(do_munmap(mm, AREA + 8 * PAGE_SIZE, PMD_SIZE - 8 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(thp_nr_deferred, 1);
	CU_ASSERT_EQUAL(move(src, alloc_migration_target, MR_SYSCALL, &moved), 0);
	CU_ASSERT_EQUAL(moved, 8);
	CU_ASSERT_EQUAL(event(PGMIGRATE_SUCCESS) - success, 8);
	CU_ASSERT_EQUAL(thp_nr_deferred, 0);
	CU_ASSERT(holds(mm, AREA, 1000, 0, 8));
	check_all();
	mmput(mm);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void somebody_holds_it(void)
{
	struct mm_struct *mm = with_huge(PRIVATE);
	struct folio *src = folio_at(mm, AREA);
	u64 fail = event(THP_MIGRATION_FAIL);
	unsigned int moved;

	folio_get(src);
	CU_ASSERT_EQUAL(move(src, alloc_migration_target, MR_SYSCALL, &moved), 1);
	CU_ASSERT_EQUAL(moved, 0);
	CU_ASSERT_EQUAL(event(THP_MIGRATION_FAIL) - fail, 1);
	CU_ASSERT_PTR_EQUAL(folio_at(mm, AREA), src);
	CU_ASSERT(pte_write(pte_read(pmd_of(mm, AREA))));
	folio_put(src);
	CU_ASSERT(holds(mm, AREA, 1000, 0, HPAGE_PMD_NR));
	check_all();
	mmput(mm);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* ---- half way --------------------------------------------------------------------------------- */

static struct folio *half_way(struct mm_struct *mm)
{
	struct folio *folio = folio_at(mm, AREA);
	pte_t e;

	lru_add_drain();
	MUST(isolate_movable_page(&folio->page), "isolate");
	MUST(folio_trylock(folio), "lock");
	SetPageMigrating(&folio->page);
	MUST(try_to_migrate(&folio->page), "try_to_migrate");
	e = pte_read(pmd_of(mm, AREA));
	MUST(pmd_is_migration(e) && pte_pfn(e) == folio_pfn(folio) && pte_write(e), "entry");
	MUST(!folio_mapped(folio) && folio_ref_count(folio) == 1 + (folio->page.type == PAGE_SHMEM),
	     "nothing maps it");
	return folio;
}

static void finish(struct folio *folio)
{
	LIST_HEAD(list);

	remove_migration_ptes(&folio->page, &folio->page);
	ClearPageMigrating(&folio->page);
	folio_unlock(folio);
	list_add(&folio->page.lru, &list);
	putback_movable_pages(&list);
}

/* Where somebody waits for the entry: it is brought back then. */
static struct folio *finishes;
static bool finish_it(void)
{
	struct folio *folio = finishes;

	if (!folio)
		return false;
	finishes = NULL;
	finish(folio);
	return true;
}

static void finish_when_waited_for(struct folio *folio)
{
	finishes = folio;
	host_idle_hook = finish_it;
}

static void was_waited_for(void)
{
	host_idle_hook = NULL;
	CU_ASSERT_PTR_NULL(finishes);
	if (finishes)
		finish_it();
}

static void end(struct mm_struct *mm)
{
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void all_is_unmapped(void)
{
	struct mm_struct *mm = with_huge(PRIVATE);
	struct folio *folio = half_way(mm);

	CU_ASSERT_EQUAL(do_munmap(mm, AREA, PMD_SIZE), 0);
	CU_ASSERT_EQUAL(mm_rss(mm), 0);
	finish(folio);
	CU_ASSERT_EQUAL(folio->page.type, PAGE_BUDDY);
	end(mm);
}

static void a_part_is_unmapped(int flags)
{
	struct mm_struct *mm = with_huge(flags);
	struct folio *folio = half_way(mm);

	CU_ASSERT_EQUAL(do_munmap(mm, AREA + 16 * PAGE_SIZE, 16 * PAGE_SIZE), 0);
	CU_ASSERT(!pte_huge(pte_read(pmd_of(mm, AREA))));
	CU_ASSERT(pte_is_migration(pte_read(walk_pte(mm->pgd, AREA))));
	CU_ASSERT_EQUAL(mm_rss(mm), HPAGE_PMD_NR - 16);
	finish(folio);
	CU_ASSERT_EQUAL(folio_mapcount(folio), HPAGE_PMD_NR - 16);
	CU_ASSERT_EQUAL(thp_nr_deferred, !(flags & MAP_SHARED));
	CU_ASSERT(holds(mm, AREA, 1000, 0, 16));
	CU_ASSERT(holds(mm, AREA, 1000, 32, HPAGE_PMD_NR - 32));
	end(mm);
}

static void a_part_of_anonymous_memory_is_unmapped(void)
{
	a_part_is_unmapped(PRIVATE);
}

static void a_part_of_shared_memory_is_unmapped(void)
{
	a_part_is_unmapped(SHARED);
}

/* Read-only, and back: it is a fault that lets it be written again. */
static void it_is_protected(void)
{
	struct mm_struct *mm = with_huge(PRIVATE);
	struct folio *folio = half_way(mm);

	CU_ASSERT_EQUAL(do_mprotect(mm, AREA, PMD_SIZE, PROT_READ), 0);
	CU_ASSERT(!pte_write(pte_read(pmd_of(mm, AREA))));
	CU_ASSERT_EQUAL(do_mprotect(mm, AREA, PMD_SIZE, RW), 0);
	finish(folio);
	CU_ASSERT(pte_huge(pte_read(pmd_of(mm, AREA))));
	CU_ASSERT(!pte_write(pte_read(pmd_of(mm, AREA))));
	CU_ASSERT(holds(mm, AREA, 1000, 0, HPAGE_PMD_NR));
	write_all(mm, AREA, 7);
	CU_ASSERT(pte_huge(pte_read(pmd_of(mm, AREA))));
	end(mm);
}

static void no_access_is_kept(void)
{
	struct mm_struct *mm = with_huge(PRIVATE);
	struct folio *folio = half_way(mm);

	CU_ASSERT_EQUAL(do_mprotect(mm, AREA, PMD_SIZE, PROT_NONE), 0);
	CU_ASSERT(pmd_is_migration(pte_read(pmd_of(mm, AREA))));
	finish(folio);
	CU_ASSERT(pte_protnone(pte_read(pmd_of(mm, AREA))));
	CU_ASSERT_NOT_EQUAL(user_write(mm, AREA, 1), 0);
	end(mm);
}

static void it_is_moved_by_mremap(void)
{
	struct mm_struct *mm = with_huge(PRIVATE);
	struct folio *folio = half_way(mm);

	CU_ASSERT_EQUAL(
		do_mremap(mm, AREA, PMD_SIZE, PMD_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, AWAY), AWAY);
	CU_ASSERT(pmd_is_migration(pte_read(pmd_of(mm, AWAY))));
	/* A part of it once more, not aligned: pieces. */
	CU_ASSERT_EQUAL(do_mremap(mm, AWAY, 10 * PAGE_SIZE, 10 * PAGE_SIZE,
				  MREMAP_MAYMOVE | MREMAP_FIXED, AREA + PAGE_SIZE),
			AREA + PAGE_SIZE);
	finish(folio);
	CU_ASSERT_EQUAL(folio_mapcount(folio), HPAGE_PMD_NR);
	CU_ASSERT(holds(mm, AREA + PAGE_SIZE, 1000, 0, 10));
	CU_ASSERT(holds(mm, AWAY, 1000, 10, HPAGE_PMD_NR - 10));
	end(mm);
}

static void it_is_locked(void)
{
	struct mm_struct *mm = with_huge(PRIVATE);
	struct folio *folio = half_way(mm);
	unsigned int moved;

	finish_when_waited_for(folio);
	CU_ASSERT_EQUAL(do_mlock(mm, AREA, PMD_SIZE, 0), 0);
	was_waited_for();
	CU_ASSERT(folio_test_mlocked(folio));
	CU_ASSERT(!lru_isolate(&folio->page));
	CU_ASSERT_EQUAL(move(folio, alloc_migration_target, MR_SYSCALL, &moved), 0);
	CU_ASSERT_PTR_NOT_EQUAL(folio_at(mm, AREA), folio);
	CU_ASSERT(folio_test_mlocked(folio_at(mm, AREA)));
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), HPAGE_PMD_NR);
	end(mm);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 0);
}

static void faults_and_fork_wait(void)
{
	struct mm_struct *mm = with_huge(PRIVATE), *child;
	u64 waits = event(MMVM_MIGRATION_WAIT);
	struct folio *folio = half_way(mm);
	u8 vec[2];

	CU_ASSERT_EQUAL(mincore_pages(mm, AREA, 2, vec), 2);
	CU_ASSERT(vec[0] & vec[1] & 1);
	finish_when_waited_for(folio);
	CU_ASSERT(holds(mm, AREA, 1000, 3, 1));
	was_waited_for();
	finish_when_waited_for(half_way(mm));
	child = dup_mm(mm);
	was_waited_for();
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT_PTR_EQUAL(folio_at(child, AREA), folio);
	CU_ASSERT_EQUAL(event(MMVM_MIGRATION_WAIT) - waits, 2);
	mmput(child);
	end(mm);
}

/* Two processes map it; one entry is still missing: nobody may take it for his own. */
static void not_exclusive_while_it_moves(void)
{
	struct mm_struct *mm = with_huge(PRIVATE), *child = dup_mm(mm);
	struct folio *folio = folio_at(mm, AREA);

	SetPageMigrating(&folio->page);
	CU_ASSERT_EQUAL(do_munmap(child, AREA, PMD_SIZE), 0);
	CU_ASSERT_EQUAL(folio_mapcount(folio), 1);
	CU_ASSERT(!thp_exclusive(folio));
	CU_ASSERT(!thp_page_exclusive(folio, folio_page(folio, 3)));
	ClearPageMigrating(&folio->page);
	CU_ASSERT(thp_exclusive(folio));
	mmput(child);
	end(mm);
}

/* ---- who calls it ----------------------------------------------------------------------------- */

static void move_pages_call(void)
{
	struct mm_struct *mm = with_huge(PRIVATE);
	LIST_HEAD(list);

	lru_add_drain();
	CU_ASSERT_EQUAL(page_node_at(mm, AREA + 5 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(move_page_isolate(mm, AREA + 5 * PAGE_SIZE, 1, MIGRATE_OWN, &list), 1);
	/* It is on the list already. */
	CU_ASSERT_EQUAL(move_page_isolate(mm, AREA + 6 * PAGE_SIZE, 1, MIGRATE_OWN, &list), -EBUSY);
	CU_ASSERT_EQUAL(move_list_to_node(&list, 1), 0);
	CU_ASSERT_EQUAL(page_node_at(mm, AREA + 7 * PAGE_SIZE), 1);
	CU_ASSERT(pte_huge(pte_read(pmd_of(mm, AREA))));
	CU_ASSERT(holds(mm, AREA, 1000, 0, HPAGE_PMD_NR));
	check_all();
	CU_ASSERT_EQUAL(do_migrate_pages(mm, 2, 1, MIGRATE_OWN), 0);
	CU_ASSERT_EQUAL(page_node_at(mm, AREA), 0);
	CU_ASSERT(pte_huge(pte_read(pmd_of(mm, AREA))));
	end(mm);
}

static void mbind_call(void)
{
	const struct nodemask second = {.bits = {2}}, first = {.bits = {1}};
	u64 thp = event(THP_MIGRATION_SUCCESS);
	struct mm_struct *mm = with_huge(SHARED);

	CU_ASSERT_EQUAL(
		do_mbind(mm, AREA, PMD_SIZE, MPOL_BIND, 0, &second, MPOL_MF_MOVE | MPOL_MF_STRICT),
		0);
	CU_ASSERT_EQUAL(page_node_at(mm, AREA), 1);
	CU_ASSERT_EQUAL(event(THP_MIGRATION_SUCCESS) - thp, 1);
	/* Mapped by PTEs it moves as a whole, too. */
	CU_ASSERT_EQUAL(do_mprotect(mm, AREA, PAGE_SIZE, PROT_READ), 0);
	CU_ASSERT(!pte_huge(pte_read(pmd_of(mm, AREA))));
	CU_ASSERT(holds(mm, AREA, 1000, 0, HPAGE_PMD_NR)); /* the TLB knows them */
	CU_ASSERT_EQUAL(
		do_mbind(mm, AREA, PMD_SIZE, MPOL_BIND, 0, &first, MPOL_MF_MOVE | MPOL_MF_STRICT),
		0);
	CU_ASSERT_EQUAL(page_node_at(mm, AREA + PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(event(THP_MIGRATION_SUCCESS) - thp, 2);
	CU_ASSERT(holds(mm, AREA, 1000, 0, HPAGE_PMD_NR));
	end(mm);
}

static void contiguous_range(void)
{
	struct mm_struct *mm = with_huge(PRIVATE);
	u64 thp = event(THP_MIGRATION_SUCCESS), split = event(THP_SPLIT_PAGE);
	pfn_t pfn = folio_pfn(folio_at(mm, AREA));

	CU_ASSERT_EQUAL(alloc_contig_range(pfn, pfn + HPAGE_PMD_NR), 0);
	CU_ASSERT_EQUAL(event(THP_MIGRATION_SUCCESS) - thp, 1);
	CU_ASSERT_EQUAL(event(THP_SPLIT_PAGE), split);
	CU_ASSERT(pte_huge(pte_read(pmd_of(mm, AREA))));
	CU_ASSERT(holds(mm, AREA, 1000, 0, HPAGE_PMD_NR));
	free_contig_range(pfn, HPAGE_PMD_NR);
	end(mm);
}

static const struct host_region ram[] = {{0, 64 * MIB, 0}, {0x4000000, 64 * MIB, 1}};

int main(void)
{
	static const struct unit_case cases[] = {
		{"anonymous memory", anonymous_memory},
		{"shared memory", shared_memory},
		{"split where there is no place", split_where_there_is_no_place},
		{"balancing does not split", balancing_does_not_split},
		{"a part is mapped", a_part_is_mapped},
		{"somebody holds it", somebody_holds_it},
		{"all is unmapped half way", all_is_unmapped},
		{"a part is unmapped half way", a_part_of_anonymous_memory_is_unmapped},
		{"a part of shared memory", a_part_of_shared_memory_is_unmapped},
		{"it is protected half way", it_is_protected},
		{"no access is kept", no_access_is_kept},
		{"it is moved by mremap half way", it_is_moved_by_mremap},
		{"it is locked half way", it_is_locked},
		{"faults and fork wait", faults_and_fork_wait},
		{"not exclusive while it moves", not_exclusive_while_it_moves},
		{"move_pages and migrate_pages", move_pages_call},
		{"mbind", mbind_call},
		{"a contiguous range", contiguous_range},
	};

	host_boot(ram, 2, "debug_vm");
	mm_init();
	thp_enabled = THP_ALWAYS;
	shmem_set_enabled(SHMEM_HUGE_ALWAYS);
	return unit_run("migration of huge pages", cases, sizeof(cases) / sizeof(cases[0]));
}
