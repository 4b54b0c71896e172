/*
 * Migration entries: what a PTE holds while its page moves.
 *
 * A swap entry of one of two reserved types, whose offset is the old frame and the accessed and dirty
 * bits that the PTE had. The entry exists only while the old page is locked (and PG_migrating), so
 * under the page_table_lock the page that it names is what it was, and stays.
 *
 * A PMD that maps a huge page becomes another kind of entry: it stays as it was, frame, rights, accessed
 * and dirty bits and _PAGE_PSE, but for its present bit, and no PROTNONE bit is set. Where only a part of
 * it is meant it becomes 512 entries of PTEs (thp_split_pmd()), which name their own frames.
 *
 * Who finds one and needs the page waits (migration_entry_wait) and looks again. Who only unmaps drops
 * it. rss counts it as the page that it stands for; mapcount and references do not.
 */
#ifndef MM_MIGRATE_ENTRY_H
#define MM_MIGRATE_ENTRY_H
#include "arch/pgtable.h"
#include "mm/phys/folio.h"
#include "mm/virt/mm_types.h"

static inline bool is_migration_entry(swp_entry_t e)
{
	return swp_type(e) >= MMVM_SWP_MIGRATION_READ;
}
static inline bool pte_is_migration(pte_t pte)
{
	return pte_is_swap(pte) && is_migration_entry(pte_to_swp_entry(pte));
}
static inline bool is_writable_migration_entry(swp_entry_t e)
{
	return swp_type(e) == MMVM_SWP_MIGRATION_WRITE;
}
/** The entry for a PTE that mapped a frame. */
static inline swp_entry_t make_migration_entry(pte_t old)
{
	return swp_entry(pte_write(old) ? MMVM_SWP_MIGRATION_WRITE : MMVM_SWP_MIGRATION_READ,
			 pte_pfn(old) | (pte_young(old) ? MMVM_MIGRATION_YOUNG : 0) |
				 (pte_dirty(old) ? MMVM_MIGRATION_DIRTY : 0));
}
/** The same without the right to write. */
static inline swp_entry_t readable_migration_entry(swp_entry_t e)
{
	return swp_entry(MMVM_SWP_MIGRATION_READ, swp_offset(e));
}
static inline unsigned long migration_entry_pfn(swp_entry_t e)
{
	return swp_offset(e) & MMVM_MIGRATION_PFN;
}
/** The page that moves: of a large folio, its head. */
static inline struct page *migration_entry_page(swp_entry_t e)
{
	return &pfn_folio(migration_entry_pfn(e))->page;
}

/* ---- PMDs that mapped a huge page */

static inline bool pmd_is_migration(pte_t e)
{
	return pte_huge(e) && !pte_present(e);
}
static inline pte_t make_pmd_migration_entry(pte_t old)
{
	return __pte(old.v & ~(_PAGE_PRESENT | _PAGE_PROTNONE));
}
/** The entry of the i-th PTE, where a PMD's entry becomes a table. */
static inline pte_t pmd_migration_part(pte_t pmd, unsigned int i)
{
	pte_t part = mk_pte(pte_pfn(pmd) + i, pmd.v & ~(PTE_PFN_MASK | _PAGE_PSE));

	return swp_pte_keep(swp_entry_to_pte(make_migration_entry(part)), part);
}

/** The PTE that the entry stands for, to count it as such. P held. */
static inline pte_t migration_entry_pte(swp_entry_t e)
{
	return mk_pte(swp_offset(e) & MMVM_MIGRATION_PFN,
		      _PAGE_PRESENT | (swp_offset(e) & MMVM_MIGRATION_YOUNG ? _PAGE_ACCESSED : 0) |
			      (swp_offset(e) & MMVM_MIGRATION_DIRTY ? _PAGE_DIRTY : 0));
}

/** Sleep until the entry at `pte`, a PMD's or a PTE's, whose value was `entry`, has gone. mmap_lock held (read is
 * enough), nothing else. */
void migration_entry_wait(struct mm_struct *mm, pte_t *pte, pte_t entry);
#endif
