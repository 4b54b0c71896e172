/*
 * The audit of migration entries: an entry of a page that is not being moved was left behind.
 */
#include "audit_plant.h"

static uint64_t entry_for(uint64_t pfn)
{
	return (uint64_t)MMVM_SWP_MIGRATION_WRITE << MMVM_SWP_TYPE_SHIFT |
	       pfn << MMVM_SWP_OFFSET_SHIFT;
}

static void d_entry_left_behind(void)
{
	*user_pte(8) = entry_for(im.anon[1]);
}
static void d_entry_for_no_ram(void)
{
	*user_pte(8) = entry_for(0x99999);
}
static void d_entry_for_kernel_memory(void)
{
	page(im.dma)->flags |= 1ull << PG_locked | 1ull << PG_migrating;
	*user_pte(8) = entry_for(im.dma);
}
static void d_entry_not_counted(void)
{
	/* Properly being moved, but rss counts a swap entry. */
	page(im.shmem)->flags |= 1ull << PG_locked | 1ull << PG_migrating;
	*user_pte(8) = entry_for(im.shmem);
}

/* A PMD: what it mapped, without present and PROTNONE bit. */
static void pmd_entry(uint64_t pfn)
{
	((uint64_t *)frame_ptr(im.pmd_table))[3] = pfn << 12 | RW | US | 1ull << 7;
	im.g->vma[1].end = USER_BASE + 0x400000;
}
static void d_pmd_entry_left_behind(void)
{
	page(im.folio)->type = PAGE_ANON;
	pmd_entry(im.folio);
}
static void d_pmd_entry_for_no_ram(void)
{
	pmd_entry(0x99999);
}
static void d_pmd_entry_for_a_single_page(void)
{
	page(im.shmem)->flags |= 1ull << PG_locked | 1ull << PG_migrating;
	pmd_entry(im.shmem);
}
/* The tail is named, its head is what moves; but it does not. */
static void d_part_left_behind(void)
{
	page(im.folio)->type = PAGE_ANON;
	*user_pte(8) = entry_for(im.folio + 1);
}

static uint64_t guard(void)
{
	return (uint64_t)MMVM_SWP_GUARD << MMVM_SWP_TYPE_SHIFT | 1ull << MMVM_SWP_OFFSET_SHIFT;
}
static void d_guard_in_a_file(void)
{
	im.g->root.rmap.vma_mapping_offset = offsetof(struct vma, mapping);
	im.g->root.rmap.vma_pgoff_offset = offsetof(struct vma, pgoff);
	im.g->root.rmap.vma_chains_offset = offsetof(struct vma, chains);
	im.g->vma[1].mapping = GVA(file_map);
	*user_pte(10) = guard();
}
static void d_guard_counted_as_swap(void)
{
	*user_pte(10) = guard();
	im.g->mm.swap++;
}

static const struct damage damages[] = {
	PLANT(d_entry_left_behind, AUDIT_MIGRATION),
	PLANT(d_entry_for_no_ram, AUDIT_MIGRATION),
	PLANT(d_entry_for_kernel_memory, AUDIT_MIGRATION),
	PLANT(d_entry_not_counted, AUDIT_RSS),
	PLANT(d_pmd_entry_left_behind, AUDIT_MIGRATION),
	PLANT(d_pmd_entry_for_no_ram, AUDIT_MIGRATION),
	PLANT(d_pmd_entry_for_a_single_page, AUDIT_MIGRATION),
	PLANT(d_part_left_behind, AUDIT_MIGRATION),
	PLANT(d_guard_in_a_file, AUDIT_PGTABLE),
	PLANT(d_guard_counted_as_swap, AUDIT_RSS),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

/* A page on its way is no finding: its entry counts as the page that it stands for. */
static void a_page_that_moves(void)
{
	build();
	page(im.shmem)->flags |= 1ull << PG_locked | 1ull << PG_migrating;
	*user_pte(20) = entry_for(im.shmem) | MMVM_MIGRATION_DIRTY << MMVM_SWP_OFFSET_SHIFT;
	im.g->vma[1].end = USER_BASE + 0x20000;
	im.g->mm.shmem++;
	CU_ASSERT_EQUAL(run(), 0);
}

/* A guard marker is neither a page nor swap. */
static void a_guard(void)
{
	build();
	*user_pte(10) = guard();
	CU_ASSERT_EQUAL(run(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"a page that moves", a_page_that_moves},
		{"a guard marker", a_guard},
	};

	return plant_run("audit: migration", cases, sizeof(cases) / sizeof(cases[0]));
}
