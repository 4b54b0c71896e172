/*
 * Each place that flushes for large pages: after it, no translation that the fake TLB was given
 * disagrees with the tables (tests/host/tlb.c). Transparent huge pages, anonymous and of shared memory; pages
 * of a pool. Where a flush must come before something else, another thread looks at each point
 * (tests/host/race.h). tests/mutation/tlb.bugs takes each of the flushes away.
 */
#include "mm/cache/shmem.h"
#include "mm/huge/hugetlb.h"
#include "mm_user.h"
#include "race.h"
#include "unit.h"

#define SHARED (MAP_SHARED | MAP_ANONYMOUS)

static struct mm_struct *mm;
static unsigned long at; /* 2 MiB, aligned */

/* 2 MiB that a PMD maps, written through the PMD. */
static void huge_memory(int flags)
{
	long addr;

	thp_enabled = THP_ALWAYS;
	shmem_set_enabled(SHMEM_HUGE_ALWAYS);
	mm = mm_alloc();
	addr = do_mmap(mm, 64 * PMD_SIZE, PMD_SIZE, RW, flags | MAP_FIXED, 0);
	MUST(addr > 0, "mmap: %ld", addr);
	at = addr;
	user_put(mm, at, 1);
	user_put(mm, at + 5 * PAGE_SIZE, 6);
	MUST(flags & MAP_HUGETLB || pte_huge(pte_read(walk_level(mm->pgd, at, PT_LEVEL_PMD))),
	     "no huge page");
}

static void end(void)
{
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	mmput(mm);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	shmem_set_enabled(SHMEM_HUGE_NEVER);
	thp_enabled = THP_NEVER;
	check_all();
}

/* ---- transparent huge pages ------------------------------------------------------------------- */

static void a_fault_for_nothing(void)
{
	unsigned int entries;
	u64 spurious;

	huge_memory(PRIVATE);
	entries = host_tlb_entries(mm);
	spurious = sum_vm_event(MMVM_FAULT_SPURIOUS);
	CU_ASSERT_EQUAL(handle_mm_fault(mm, at, FAULT_FLAG_WRITE | FAULT_FLAG_USER), 0);
	CU_ASSERT_EQUAL(sum_vm_event(MMVM_FAULT_SPURIOUS), spurious + 1);
	CU_ASSERT_EQUAL(host_tlb_entries(mm), entries - 1);
	end();
}

/* A VMA ends within the huge page: its PMD becomes a table, and nothing else changes. */
static void split_pmd(void)
{
	huge_memory(PRIVATE);
	CU_ASSERT_EQUAL(do_madvise(mm, at, 8 * PAGE_SIZE, MADV_DONTFORK), 0);
	CU_ASSERT(!pte_huge(pte_read(walk_level(mm->pgd, at, PT_LEVEL_PMD))));
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(user_get(mm, at + 5 * PAGE_SIZE), 6);
	end();
}

/* Another CPU has read the part that this one writes. */
static void copy_on_write_of_a_part(void)
{
	struct mm_struct *child;

	huge_memory(PRIVATE);
	child = dup_mm(mm);
	user_put(mm, at + 9 * PAGE_SIZE, 10); /* split by now */
	CU_ASSERT_EQUAL(user_get(mm, at + 5 * PAGE_SIZE), 6);
	CU_ASSERT_EQUAL(handle_mm_fault(mm, at + 5 * PAGE_SIZE, FAULT_FLAG_WRITE | FAULT_FLAG_USER),
			0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	user_put(mm, at + 5 * PAGE_SIZE, 60);
	CU_ASSERT_EQUAL(user_get(child, at + 5 * PAGE_SIZE), 6);
	mmput(child);
	end();
}

static void fork_mprotect_mremap(void)
{
	struct mm_struct *child;

	huge_memory(PRIVATE);
	child = dup_mm(mm);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	mmput(child);
	user_put(mm, at, 2);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PMD_SIZE, PROT_READ), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(user_get(mm, at), 2);
	CU_ASSERT_EQUAL(do_mremap(mm, at, PMD_SIZE, PMD_SIZE,
				  MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
				  at + 8 * PMD_SIZE),
			(long)(at + 8 * PMD_SIZE));
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	end();
}

static void dontneed(void)
{
	huge_memory(PRIVATE);
	CU_ASSERT_EQUAL(do_madvise(mm, at, PMD_SIZE, MADV_DONTNEED), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(user_get(mm, at), 0);
	end();
}

/* 512 small pages, known to the TLB, and their table. */
static void collapse(void)
{
	const u64 collapsed = sum_vm_event(THP_COLLAPSE_ALLOC);

	mm = mm_alloc();
	at = do_mmap(mm, 64 * PMD_SIZE, PMD_SIZE, RW, PRIVATE | MAP_FIXED, 0);
	for (unsigned long i = 0; i < HPAGE_PMD_NR; i++)
		user_put(mm, at + i * PAGE_SIZE, i + 1);
	CU_ASSERT_EQUAL(do_madvise(mm, at, PMD_SIZE, MADV_COLLAPSE), 0);
	CU_ASSERT_EQUAL(sum_vm_event(THP_COLLAPSE_ALLOC), collapsed + 1);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(user_get(mm, at + 5 * PAGE_SIZE), 6);
	end();
}

/* A table that maps nothing, but through which a CPU has walked, is in the PMD's way. */
static void collapse_of_shared_memory(void)
{
	struct mm_struct *child;
	pte_t *pte;

	mm = mm_alloc();
	at = do_mmap(mm, 64 * PMD_SIZE, PMD_SIZE, RW, SHARED | MAP_FIXED, 0);
	child = dup_mm(mm);
	for (unsigned long i = 0; i < HPAGE_PMD_NR; i++)
		user_put(mm, at + i * PAGE_SIZE, i + 1);
	CU_ASSERT_EQUAL(user_get(child, at), 1);
	CU_ASSERT_EQUAL(do_madvise(child, at, PMD_SIZE, MADV_DONTNEED), 0);
	pte = walk_pte(child->pgd, at);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pte);
	host_tlb_load_table(child, at, table_frame(pte));
	CU_ASSERT_EQUAL(do_madvise(child, at, PMD_SIZE, MADV_COLLAPSE), 0);
	CU_ASSERT(pte_huge(pte_read(walk_level(child->pgd, at, PT_LEVEL_PMD))));
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(user_get(child, at + 5 * PAGE_SIZE), 6);
	mmput(child);
	end();
}

/* A TLB that keeps the entry would not set the A bit again. */
static void cold_shared_memory(void)
{
	huge_memory(SHARED);
	lru_add_drain();
	CU_ASSERT_EQUAL(do_madvise(mm, at, PMD_SIZE, MADV_COLD), 0);
	CU_ASSERT(!pte_young(pte_read(walk_level(mm->pgd, at, PT_LEVEL_PMD))));
	CU_ASSERT_EQUAL(host_tlb_stale_in(mm, at, at + PMD_SIZE, true), 0);
	end();
}

/* ---- before nobody maps it --------------------------------------------------------------------- */

static struct page *watched;

static void zap(void *arg)
{
	MUST(!do_madvise(mm, at, PMD_SIZE, MADV_DONTNEED), "MADV_DONTNEED");
}

static bool mapped(const struct page *page)
{
	return page_mapcount(page) + folio_entire_mapcount(page_folio(page)) > 0;
}

/* Whoever finds that nobody maps a dirty page of a file may write it out, or split it, at once. */
static void look(void *arg)
{
	unsigned long pfn;

	MUST(mapped(watched) || !host_tlb_lookup(mm, at + 5 * PAGE_SIZE, true, &pfn),
	     "nobody maps the page, and a CPU writes to it");
}

static void nobody_maps_what_a_tlb_writes(bool by_ptes)
{
	const struct host_racer a = {"zap", zap, NULL}, b = {"look", look, NULL};
	bool met = true;

	for (unsigned int when = 1; met; when++) {
		pte_t e;

		huge_memory(SHARED);
		e = pte_read(walk_level(mm->pgd, at, PT_LEVEL_PMD));
		watched = pfn_to_page(pte_pfn(e)) + 5;
		if (by_ptes) {
			MUST(!do_mprotect(mm, at, PAGE_SIZE, PROT_READ), "mprotect");
			user_put(mm, at + 5 * PAGE_SIZE, 6);
		}
		MUST(by_ptes == !pte_huge(pte_read(walk_level(mm->pgd, at, PT_LEVEL_PMD))), "PMD");
		met = host_race(&a, &b, when, RACE_EAGER);
		end();
	}
}

static void zapped_by_pmd(void)
{
	nobody_maps_what_a_tlb_writes(false);
}

static void zapped_by_ptes(void)
{
	nobody_maps_what_a_tlb_writes(true);
}

/* ---- pages of a pool --------------------------------------------------------------------------- */

static void pool_memory(int flags)
{
	huge_memory(flags | MAP_HUGETLB);
}

/* check_all() knows no pages of a pool. */
static void pool_end(void)
{
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	mmput(mm);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(default_hstate->free, default_hstate->nr);
}

static void pool_fault_for_nothing(void)
{
	unsigned int entries;

	pool_memory(PRIVATE);
	entries = host_tlb_entries(mm);
	CU_ASSERT_EQUAL(handle_mm_fault(mm, at, FAULT_FLAG_WRITE | FAULT_FLAG_USER), 0);
	CU_ASSERT_EQUAL(host_tlb_entries(mm), entries - 1);
	pool_end();
}

static void pool_copy_on_write(void)
{
	struct mm_struct *child;

	pool_memory(PRIVATE);
	child = dup_mm(mm);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(user_get(mm, at), 1);
	CU_ASSERT_EQUAL(handle_mm_fault(mm, at, FAULT_FLAG_WRITE | FAULT_FLAG_USER), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	user_put(mm, at, 2);
	CU_ASSERT_EQUAL(user_get(child, at), 1);
	mmput(child);
	pool_end();
}

static void pool_mprotect(void)
{
	pool_memory(SHARED);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PMD_SIZE, PROT_READ), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(do_madvise(mm, at, PMD_SIZE, MADV_DONTNEED), 0);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	pool_end();
}

static int node_of_page(void)
{
	return (int)page_node_id(
		pfn_to_page(pte_pfn(pte_read(walk_level(mm->pgd, at, PT_LEVEL_PMD)))));
}

static void move(void *arg)
{
	int err, nid = !node_of_page();

	down_read(&mm->mmap_lock);
	err = hugetlb_migrate(find_vma(mm, at), at, nid, MIGRATE_SHARED_TOO);
	up_read(&mm->mmap_lock);
	MUST(!err, "migration: %d", err);
}

static void pool_migration(void)
{
	int nid;

	pool_memory(PRIVATE);
	nid = node_of_page();
	move(NULL);
	CU_ASSERT_EQUAL(node_of_page(), !nid);
	CU_ASSERT_EQUAL(host_tlb_stale(), 0);
	CU_ASSERT_EQUAL(user_get(mm, at + 5 * PAGE_SIZE), 6);
	pool_end();
}

static bool wrote;

/* A CPU that has a translation writes, whatever the tables say by now. */
static void write_by_tlb(void *arg)
{
	unsigned long pfn;

	wrote = host_tlb_lookup(mm, at, true, &pfn);
	if (wrote)
		*(u64 *)__va((phys_addr_t)pfn << PAGE_SHIFT) = 100;
}

/* `pending`: mprotect() has made the leaf read-only, and its flush is still to come. */
static void write_beside_migration(bool pending)
{
	const struct host_racer a = {"migrate", move, NULL}, b = {"write", write_by_tlb, NULL};
	unsigned int writes = 0;
	bool met = true;

	for (unsigned int when = 1; met; when++) {
		pte_t *pmd;

		pool_memory(SHARED);
		pmd = walk_level(mm->pgd, at, PT_LEVEL_PMD);
		if (pending)
			pte_set(pmd, pte_wrprotect(pte_read(pmd)));
		met = host_race(&a, &b, when, RACE_EAGER);
		writes += wrote;
		CU_ASSERT_EQUAL(user_get(mm, at), wrote ? 100 : 1);
		pool_end();
	}
	CU_ASSERT(writes > 0);
}

static void pool_write_is_not_lost(void)
{
	write_beside_migration(false);
}

static void pool_write_before_mprotect_returns(void)
{
	write_beside_migration(true);
}

static const struct host_region nodes[] = {{0, 48 * MIB, 0}, {4ul << 30, 48 * MIB, 1}};

int main(void)
{
	static const struct unit_case cases[] = {
		{"a fault for nothing owes a TLB flush", a_fault_for_nothing},
		{"a PMD that is split owes a TLB flush", split_pmd},
		{"copy on write of a part owes a TLB flush", copy_on_write_of_a_part},
		{"fork, mprotect, mremap owe a TLB flush", fork_mprotect_mremap},
		{"MADV_DONTNEED owes a TLB flush", dontneed},
		{"a collapse owes a TLB flush", collapse},
		{"a collapse of shared memory owes a TLB flush", collapse_of_shared_memory},
		{"MADV_COLD of shared memory owes a TLB flush", cold_shared_memory},
		{"a dirty huge page of shared memory is flushed first", zapped_by_pmd},
		{"a dirty part of one is flushed first", zapped_by_ptes},
		{"pool: a fault for nothing owes a TLB flush", pool_fault_for_nothing},
		{"pool: fork and copy on write owe a TLB flush", pool_copy_on_write},
		{"pool: mprotect and MADV_DONTNEED owe a TLB flush", pool_mprotect},
		{"pool: a migration owes a TLB flush", pool_migration},
		{"pool: a write beside a migration is kept", pool_write_is_not_lost},
		{"pool: one through a leaf that mprotect changes, too",
		 pool_write_before_mprotect_returns},
	};

	host_race_init();
	host_boot(nodes, ARRAY_SIZE(nodes), "debug_vm");
	mm_init();
	MUST(!hugetlb_set_pool_node(default_hstate, 0, 2), "pool of node 0");
	MUST(!hugetlb_set_pool_node(default_hstate, 1, 2), "pool of node 1");
	MUST(default_hstate->free == 4, "pools");
	return unit_run("tlb_huge", cases, ARRAY_SIZE(cases));
}
