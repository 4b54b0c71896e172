/* User page tables: making, walking and freeing them; zapping ranges with batched TLB flushes. */
#ifndef MM_PGTABLE_H
#define MM_PGTABLE_H
#include "mm/virt/mm.h"
#include "mm/phys/folio.h"

/*
 * Levels of entries: 0 PTE (4 KiB), 1 PMD (2 MiB), 2 PUD (1 GiB), 3 the top, or 4 with five levels.
 * A leaf of level 1 or 2 is large: it has _PAGE_PSE, also while PROT_NONE has taken its present bit.
 */
#define PT_LEVEL_PTE 0u
#define PT_LEVEL_PMD 1u
#define PT_LEVEL_PUD 2u
/** Level of the entries of mm->pgd: 3, or 4 where the CPU runs with five levels. Set at boot. */
extern u8 pt_top_level;

/** Bytes, or pages, that an entry of this level covers. */
static inline unsigned long level_size(unsigned int level)
{
	return 1ul << (PAGE_SHIFT + 9 * level);
}
static inline unsigned long level_pages(unsigned int level)
{
	return 1ul << 9 * level;
}

/** Where the translation of addr ends, or NULL: a hole. *level is that of the entry: 0, a PTE, or
 * more, a large leaf. *next becomes the end of what is known: of the 2 MiB that the PTE's table
 * covers, of the large leaf, or of the hole. P held, or mmap_lock. */
pte_t *walk_leaf(pte_t *pgd, unsigned long addr, unsigned int *level, unsigned long *next);
/** The entry of `level` for addr, whatever is in it, or NULL: the table is not there, or a larger
 * leaf is. */
pte_t *walk_level(pte_t *pgd, unsigned long addr, unsigned int level);
/** The same, making missing tables. NULL: no memory, or a large leaf of a higher level. */
pte_t *walk_level_alloc(struct mm_struct *mm, unsigned long addr, unsigned int level);
static inline pte_t *pte_table(pte_t entry)
{
	return __va(entry.v & PTE_PFN_MASK);
}

/** Resident pages. */
static inline s64 mm_rss(const struct mm_struct *mm)
{
	return READ_ONCE(mm->rss_anon) + READ_ONCE(mm->rss_file) + READ_ONCE(mm->rss_shmem);
}
/** Before pages go: remember how many there were. */
static inline void update_hiwater_rss(struct mm_struct *mm)
{
	if (mm_rss(mm) > mm->hiwater_rss)
		mm->hiwater_rss = mm_rss(mm);
}

/** TLB_WHOLE_MM: all of the address space is unmapped, so that one flush of everything will do. */
enum tlb_scope { TLB_PARTS, TLB_WHOLE_MM };
/** Pages and tables that were unmapped and wait for the TLB flush before they are freed. */
#define GATHER_PAGES 120
struct mmu_gather {
	struct mm_struct *mm;
	enum tlb_scope scope;
	bool swapcache;		  /* some page may be kept by nothing but the swap cache */
	bool atomic;		  /* the caller holds a spinlock */
	bool keep_guards;	  /* leave guard markers (guard.h) */
	bool keep_wp;		  /* leave userfaultfd's markers, also for protected file pages */
	bool file_only;		  /* leave anonymous pages and swap entries alone */
	bool dax;		  /* and special PTEs are the file's */
	bool large;		  /* some of the pages were mapped by large leaves */
	unsigned long start, end; /* range to flush; start >= end: nothing */
	unsigned int nr;
	struct ptdesc *tables; /* freed tables, linked by `next` */
	struct page *pages[GATHER_PAGES];
};
void tlb_gather_mmu(struct mmu_gather *tlb, struct mm_struct *mm, enum tlb_scope scope);
/** Flush, then free what was gathered. */
void tlb_finish_mmu(struct mmu_gather *tlb);
/** Unmap the pages of [start, end): clear PTEs, drop swap entries, gather pages. mmap_lock held
 * (read is enough). */
void zap_page_range(struct mmu_gather *tlb, unsigned long start, unsigned long end);
/** Free the tables that lie wholly between floor and ceiling and cover part of [start, end).
 * mmap_lock for writing. */
void free_pgtables(struct mmu_gather *tlb, unsigned long start, unsigned long end,
		   unsigned long floor, unsigned long ceiling);
/** Change protection of the PTEs in [start, end) to the VMA's present flags, and flush. */
void change_protection(struct vm_area_struct *vma, unsigned long start, unsigned long end);
/** A zeroed page-table page, counted for mm (NULL: not counted); NULL if no memory. */
struct page *pgtable_alloc(struct mm_struct *mm);
/** One with any contents, to deposit with a huge page: thp_split_pmd() writes every entry before it is used. */
struct page *pgtable_alloc_spare(struct mm_struct *mm);
void pgtable_free(struct mm_struct *mm, struct page *page);
#endif
