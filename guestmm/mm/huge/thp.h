/*
 * Transparent huge pages: anonymous and shared memory mapped by entries of 2 MiB.
 *
 *   fault on an aligned 2 MiB range ──> folio of order 9, one PMD            thp.c
 *   munmap, mprotect... of a part   ──> 512 PTEs of the same folio           thp_split.c
 *   a part is unmapped, memory short──> 512 folios of order 0                thp_split.c
 *   512 small pages                 ──> khugepaged, MADV_COLLAPSE            khugepaged.c
 *   shared memory                   ──> huge folios in its page cache        thp_shmem.c
 *
 * T1  A PMD that maps a huge page, the huge zero page included, has one page table deposited with its
 *     own table's page, so that splitting it needs no memory and cannot fail.
 * T2  large_mapcount = PMDs + PTEs that map any of it; each of them holds one reference.
 *     entire_mapcount = the PMDs. A page's own mapcount = PTEs that map this page.
 * T3  nr_pages_mapped counts, in units of MAPPED_PTE, pages with a PTE, plus MAPPED_ENTIRELY while a PMD
 *     maps it. It is even, so that a tail's `mapping` never looks like an anon_vma (rmap.h).
 * T4  A large anonymous folio is never in the swap cache: it is split before it is swapped out.
 * T5  A PMD whose page moves (pmd_is_migration()) keeps its deposited table, and is in no count of T2, T3.
 *
 * Locks: page lock > anon_vma root->lock > page_table_lock > deferred_lock; lruvec->lock inside.
 */
#ifndef MM_THP_H
#define MM_THP_H
#include "mm/cache/pagecache.h"
#include "mm/phys/folio.h"
#include "mm/pgtable/pgtable.h"

struct vm_fault;
struct report;

#define HPAGE_PMD_ORDER 9u
#define HPAGE_PMD_NR	512u

enum thp_enabled { THP_ALWAYS, THP_MADVISE, THP_NEVER, NR_THP_ENABLED };
enum thp_defrag {
	THP_DEFRAG_ALWAYS,
	THP_DEFRAG_DEFER,
	THP_DEFRAG_DEFER_MADVISE,
	THP_DEFRAG_MADVISE,
	THP_DEFRAG_NEVER,
	NR_THP_DEFRAG
};
extern const char *const thp_enabled_names[NR_THP_ENABLED];
extern const char *const thp_defrag_names[NR_THP_DEFRAG];
extern u32 thp_enabled, thp_defrag; /* /sys/kernel/mm/transparent_hugepage */
extern u64 thp_use_zero_page;
extern bool thp_ever; /* some PMD has mapped a huge page; costs nothing while false */
/** May a fault map or find a huge page at all? */
static inline bool thp_possible(void)
{
	return thp_enabled != THP_NEVER || thp_ever;
}
/** transparent_hugepage= and transparent_hugepage_shmem= on the command line; after slab. */
void thp_init(const char *cmdline);

/** Who asks for a huge page. THP_BY_ADVICE: madvise(2), which overrides settings and limits. */
enum thp_asker { THP_BY_KERNEL, THP_BY_ADVICE };
/** May huge pages be used in the VMA, by faults and khugepaged? MADV_COLLAPSE
 * (THP_BY_ADVICE) overrides "never". */
bool thp_vma_allowed(const struct vm_area_struct *vma, enum thp_asker asker);
/** Does the huge page at haddr lie in the VMA? */
static inline bool thp_fits(const struct vm_area_struct *vma, unsigned long haddr)
{
	return haddr >= vma->vm_start && haddr + PMD_SIZE <= vma->vm_end;
}
/** A fault on a PMD without a PTE table. VM_FAULT_FALLBACK: no huge page; the caller fills a PTE. */
unsigned int thp_fault(struct vm_fault *vmf);
gfp_t thp_gfp(enum thp_asker asker);
/** A huge page for the VMA, not cleared, or NULL. */
struct folio *thp_alloc(const struct vm_area_struct *vma, gfp_t gfp);
/** P held, the PMD empty: map the new folio there. Takes over the table. */
void thp_map_new(struct vm_area_struct *vma, pte_t *pmd, unsigned long haddr, struct folio *folio,
		 struct page *table, pgprot_t bits);

/* Deposited tables; P held. */
void thp_deposit(pte_t *pmd, struct page *table);
struct page *thp_withdraw(pte_t *pmd);

/* Counts; P held. */
#define MAPPED_PTE	2
#define MAPPED_ENTIRELY 0x800000
void folio_add_rmap_pmd(struct folio *folio);
void folio_remove_rmap_pmd(struct folio *folio);
void folio_add_rmap_pte(struct folio *folio, struct page *page);
void folio_remove_rmap_pte(struct folio *folio, struct page *page);
/** The same while the folio migrates: its mapping comes back, so it does not enter the list of folios to split.
 * Afterwards: */
void folio_hide_rmap_pmd(struct folio *folio);
void folio_hide_rmap_pte(struct folio *folio, struct page *page);
/** Put the folio on the list of those to be split later if only some of its pages are mapped now. It is locked. */
void thp_defer_if_partial(struct folio *folio);
/** A page of a large folio: does only this one entry map it? */
static inline bool thp_page_exclusive(const struct folio *folio, const struct page *page)
{
	/* While it moves, some of its mappings are not counted. */
	return page_mapcount(page) + folio_entire_mapcount(folio) == 1 &&
	       !PageMigrating(&folio->page);
}
/** The same for all of it. */
static inline bool thp_exclusive(const struct folio *folio)
{
	return folio_mapcount(folio) == 1 && !PageMigrating(&folio->page);
}
/** Part of a large folio, head or tail? */
static inline bool page_in_thp(const struct page *page)
{
	return PageTail(page) || PageHead(page);
}

/* thp_split.c */
/** P held: the PMD becomes a table of 512 PTEs. */
void thp_split_pmd(struct mm_struct *mm, pte_t *pmd, unsigned long haddr);
/** No huge page is to be mapped across addr. mmap_lock for writing. */
void __thp_split_at(struct mm_struct *mm, unsigned long addr);
static inline void thp_split_at(struct mm_struct *mm, unsigned long addr)
{
	if (unlikely(thp_ever) && (addr & ~PMD_MASK))
		__thp_split_at(mm, addr);
}
/** Turn a locked folio, of which the caller holds a reference, into single pages. The head stays locked and keeps
 * that reference. The other mapped pages are put on the list `to`, isolated, with a reference each, or on the LRU
 * if it is NULL. Pages that are not mapped are freed. 0; -EBUSY, -EAGAIN: others hold references or locks. */
int split_folio(struct folio *folio, struct list_head *to);
/** Some of its pages are not mapped any more: split it when memory is short. Any lock but deferred_lock may be
 * held. */
void deferred_split_folio(struct folio *folio);
/** Is it on the list of folios to be split? The answer may be stale. */
static inline bool thp_is_deferred(const struct folio *folio)
{
	return READ_ONCE(folio_links(folio)->deferred.next);
}
/** The folio is being freed. */
void thp_undefer(struct folio *folio);
/** Make every page of the folio a page of its own, with a reference for each PTE, one for the caller, and `cached`
 * more. The folio is frozen, and the locks of all that maps it are held. */
void thp_make_pages(struct folio *folio, int cached);
/** Afterwards: put the tails on `to`, or on the LRU. Those that nothing maps and no cache holds are freed. */
void thp_place_tails(struct page *head, struct list_head *to);
void thp_split_init(void);
/* For the audit. */
extern struct list_head thp_deferred;
extern u64 thp_nr_deferred;
extern struct folio *thp_huge_zero;

/* thp_shmem.c */
/* Where shared memory is huge, in the order of /sys/.../shmem_enabled; "deny" and "force" are possible only
 * there. */
enum shmem_huge {
	SHMEM_HUGE_ALWAYS,
	SHMEM_HUGE_WITHIN_SIZE,
	SHMEM_HUGE_ADVISE,
	SHMEM_HUGE_NEVER,
	SHMEM_HUGE_DENY,
	SHMEM_HUGE_FORCE,
	NR_SHMEM_HUGE,
	SHMEM_HUGE_UNMOUNTED =
		NR_SHMEM_HUGE, /* memory without a mounted file system: as shmem_enabled says */
};
extern const char *const shmem_huge_names[NR_SHMEM_HUGE];
extern u32 shmem_enabled;
extern bool shmem_huge_ever; /* something may be huge, or was; costs nothing while false */
void shmem_set_enabled(u32 mode);
/** A mount's memory is to be huge from now on. */
void shmem_huge_allow(void);
/** May a new page at the index be part of a huge one? */
bool shmem_huge_wanted(const struct address_space *mapping, unsigned long index,
		       enum shmem_create how);
/** May some memory of the mapping be huge, whatever its size? Then mmap() aligns it. NULL: shared anonymous
 * memory. */
bool shmem_huge_mount(const struct address_space *mapping);
/** May MADV_COLLAPSE be used on the mapping of a file? Only on shared memory that a PMD can map. */
bool shmem_vma_collapsible(const struct vm_area_struct *vma);
/** THPeligible in smaps: may the VMA get huge pages, by its faults or by khugepaged? */
bool thp_vma_eligible(const struct vm_area_struct *vma);
/** How a fault in the VMA makes pages. */
enum shmem_create shmem_create_for(const struct vm_area_struct *vma);
/** A new huge page around the index: the page there, its folio locked with a reference. -EEXIST: something
 * is in the range; -ENOMEM, -ENOSPC. */
int shmem_add_huge(struct address_space *mapping, unsigned long index, enum shmem_create how,
		   struct page **page);
/** Prepare a new huge page for the mapping: lock it, set the fields that the cache expects of its pages, and take
 * the cache's reference. shmem_forget_folio() undoes it. */
void shmem_prepare_folio(struct address_space *mapping, struct folio *folio, unsigned long first);
void shmem_forget_folio(struct folio *folio);
/** mapping->lock held: the folio is the cache's from now on. As radix_insert_run(). */
int shmem_insert_folio(struct address_space *mapping, struct folio *folio, unsigned long first,
		       struct radix_preload *nodes);
/** Free the part of a locked folio that lies in [start, end). True: the folio had to be split first, and the caller
 * still has to free its pages. */
bool shmem_drop_huge(struct address_space *mapping, struct folio *folio, unsigned long start,
		     unsigned long end);
/** page_cache_migrate() for huge pages of shared memory. */
int shmem_migrate_folio(struct folio *dst, struct folio *src, int expected);
/** split_folio() for shared memory. */
int split_shmem_folio(struct folio *folio, struct list_head *to);
/** thp_fault() for shared memory, when the PMD is empty. */
unsigned int shmem_huge_fault(struct vm_fault *vmf);

/* collapse_shmem.c */
/** Collapse of 2 MiB of shared memory. For madvise(MADV_COLLAPSE), or for khugepaged, within its limits and where a
 * setting makes the memory huge. mmap_lock not held. 0; -EOPNOTSUPP: no shared memory is mapped there; -EEXIST: it
 * is huge already; -EINVAL, -ENOMEM, -EAGAIN, -EBUSY. */
int shmem_collapse(struct mm_struct *mm, unsigned long haddr, enum thp_asker asker);

/* khugepaged.c */
/** Unlock the pages that a collapse has locked and isolated, and put them back on their LRU lists. */
void collapse_give_back(struct list_head *pages);
/** madvise() may reclaim and compact for it; khugepaged if khugepaged/defrag says so. */
gfp_t collapse_gfp(enum thp_asker asker);
/** Does `n` exceed `limit`, which is one of khugepaged's? Then the event is counted. */
bool khugepaged_exceeds(unsigned int n, u64 limit, enum vm_event_item event);
struct khugepaged_settings {
	u64 pages_to_scan, scan_sleep_millisecs, alloc_sleep_millisecs;
	u64 max_ptes_none, max_ptes_swap, max_ptes_shared;
	u64 pages_collapsed, full_scans; /* counts */
	u64 defrag;
};
extern struct khugepaged_settings khugepaged;
void khugepaged_start(void); /* the thread; after boot */
/** madvise(MADV_COLLAPSE) of [start, end), mmap_lock held for reading, which is dropped and taken
 * again. 0, -EINVAL, -ENOMEM, -EAGAIN, -EBUSY. */
int thp_collapse_range(struct mm_struct *mm, unsigned long start, unsigned long end);
/** A step of khugepaged over all address spaces: at most `pages` looked at. For tests, too. 0, or -ENOMEM: no huge
 * page can be allocated now. */
int khugepaged_scan(unsigned long pages);
void khugepaged_wake(void);
/** An address space has got memory that may become huge: khugepaged has work until a pass over all
 * finds none. */
void __khugepaged_enter(void);
extern bool khugepaged_has_work;
static inline void khugepaged_enter(void)
{
	if (unlikely(!READ_ONCE(khugepaged_has_work)))
		__khugepaged_enter();
}
#endif
