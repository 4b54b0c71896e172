/*
 * Huge pages for anonymous memory, by fault.
 *
 *   PMD                       read                         write
 *   empty                     the huge zero page           new cleared huge page
 *   huge zero page            spurious                     split: the one small page is filled (fault.c)
 *   huge page, hint           numa_hint_fault(): it may move to this CPU's node
 *   huge page, moving         the fault waits
 *   huge page, read-only      spurious                     made writable if nobody shares it, else split:
 *                                                          the one small page is copied (fault.c)
 *
 * As in Linux 6.12 a huge page that is shared is not copied whole, nor the huge zero page replaced as a whole:
 * copying 2 MiB for one written word rarely pays.
 *
 * Source: Documentation/admin-guide/mm/transhuge.rst.
 */
#include "mm/huge/thp.h"
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/huge/hugetlb.h"
#include "mm/memcg/memcg.h"
#include "mm/numa/balancing.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/fault/fault.h"
#include "mm/pgtable/large.h"
#include "mm/rmap/migrate_entry.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

const char *const thp_enabled_names[NR_THP_ENABLED] = {"always", "madvise", "never"};
const char *const thp_defrag_names[NR_THP_DEFRAG] = {"always", "defer", "defer+madvise", "madvise",
						     "never"};
u32 thp_enabled = THP_MADVISE, thp_defrag = THP_DEFRAG_MADVISE;
u64 thp_use_zero_page = 1;
bool thp_ever;

struct folio *thp_huge_zero; /* allocated at the first use, never freed; cmpxchg */

#define GFP_TRANSHUGE_LIGHT \
	((GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN) & ~__GFP_RECLAIM)
#define GFP_TRANSHUGE (GFP_TRANSHUGE_LIGHT | __GFP_DIRECT_RECLAIM)

/* Which of the names the option has on the command line; the last one that is one of them. -1: none. Another value is
 * named in the log. */
static int option_choice(const char *cmdline, const char *option, const char *const *names, u32 nr)
{
	int choice = -1;

	boot_option_asked(option);
	for (const char *s = cmdline; s && *s; s++) {
		const char *v = s + strlen(option) + 1;
		int found = -1;

		if ((s != cmdline && s[-1] != ' ') || strncmp(s, option, strlen(option)) ||
		    (v[-1] && v[-1] != ' ' && v[-1] != '='))
			continue;
		for (u32 i = 0; v[-1] == '=' && i < nr; i++) {
			size_t len = strlen(names[i]);

			if (!strncmp(v, names[i], len) && (!v[len] || v[len] == ' '))
				found = (int)i;
		}
		if (found < 0)
			printk("%s= cannot parse, ignored\n", option);
		else
			choice = found;
	}
	return choice;
}

void thp_init(const char *cmdline)
{
	int i = option_choice(cmdline, "transparent_hugepage", thp_enabled_names, NR_THP_ENABLED);

	if (i >= 0)
		thp_enabled = i;
	i = option_choice(cmdline, "transparent_hugepage_shmem", shmem_huge_names, NR_SHMEM_HUGE);
	if (i >= 0)
		shmem_set_enabled(i);
	thp_split_init();
}

/* ---- where and how ---------------------------------------------------------------------------- */

bool thp_vma_allowed(const struct vm_area_struct *vma, enum thp_asker asker)
{
	if (vma->mapping || vma->file || vma->mm->thp_disabled ||
	    (vma->flags & (VM_HUGETLB | VM_NOHUGEPAGE | VM_UFFD)))
		return false;
	/* A stack that still grows is better off with small pages. */
	if (vma->flags & VM_GROWSDOWN)
		return false;
	if (!thp_fits(vma, ALIGN_UP(vma->vm_start, PMD_SIZE)))
		return false;
	return asker == THP_BY_ADVICE || thp_enabled == THP_ALWAYS ||
	       (thp_enabled == THP_MADVISE && (vma->flags & VM_HUGEPAGE));
}

gfp_t thp_gfp(enum thp_asker asker)
{
	switch (thp_defrag) {
	case THP_DEFRAG_ALWAYS:
		return GFP_TRANSHUGE | (asker == THP_BY_ADVICE ? 0 : __GFP_NORETRY);
	case THP_DEFRAG_DEFER:
		return GFP_TRANSHUGE_LIGHT | __GFP_KSWAPD_RECLAIM;
	case THP_DEFRAG_DEFER_MADVISE:
		return GFP_TRANSHUGE_LIGHT |
		       (asker == THP_BY_ADVICE ? __GFP_DIRECT_RECLAIM : __GFP_KSWAPD_RECLAIM);
	case THP_DEFRAG_MADVISE:
		return GFP_TRANSHUGE_LIGHT | (asker == THP_BY_ADVICE ? __GFP_DIRECT_RECLAIM : 0);
	default:
		return GFP_TRANSHUGE_LIGHT;
	}
}

struct folio *thp_alloc(const struct vm_area_struct *vma, gfp_t gfp)
{
	return (struct folio *)alloc_pages_type(gfp, HPAGE_PMD_ORDER, PAGE_ANON);
}

/* ---- deposited tables: a list that begins in the PMD table's own page ---------------------------- */

static struct ptdesc *table_of_entry(const pte_t *pmd)
{
	return page_ptdesc(virt_to_page((void *)((unsigned long)pmd & PAGE_MASK)));
}

void thp_deposit(pte_t *pmd, struct page *table)
{
	struct ptdesc *of = table_of_entry(pmd), *pt = page_ptdesc(table);

	pt->next = of->deposited;
	of->deposited = pt;
}

struct page *thp_withdraw(pte_t *pmd)
{
	struct ptdesc *of = table_of_entry(pmd), *pt = of->deposited;

	BUG_ON(!pt); /* T1 */
	of->deposited = pt->next;
	pt->next = NULL;
	return ptdesc_page(pt);
}

/* ---- counts ----------------------------------------------------------------------------------- */

static bool is_anon(const struct folio *folio)
{
	return PageAnon(&folio->page);
}

static void stat_mapped(struct folio *folio, s64 pages)
{
	if (pages)
		page_stat_add(&folio->page, is_anon(folio) ? NR_ANON_MAPPED : NR_FILE_MAPPED,
			      pages);
}

static void stat_pmd_mapped(struct folio *folio, s64 n)
{
	page_stat_add(&folio->page, is_anon(folio) ? NR_ANON_THPS : NR_SHMEM_PMDMAPPED, n);
}

/* Pages that PTEs map. */
static int pages_mapped(int nr)
{
	return (nr & (MAPPED_ENTIRELY - 1)) / MAPPED_PTE;
}

void folio_add_rmap_pmd(struct folio *folio)
{
	struct folio_counts *c = folio_counts(folio);

	if (atomic_add_return(&c->entire_mapcount, 1) == 0) {
		int nr = atomic_add_return(&c->nr_pages_mapped, MAPPED_ENTIRELY);

		stat_mapped(folio, HPAGE_PMD_NR - pages_mapped(nr));
		stat_pmd_mapped(folio, 1);
	}
	atomic_add(&c->large_mapcount, 1);
}

/* Returns whether only a part is mapped from now on. */
static bool remove_rmap_pmd(struct folio *folio)
{
	struct folio_counts *c = folio_counts(folio);
	int nr;

	atomic_sub(&c->large_mapcount, 1);
	if (atomic_sub_return(&c->entire_mapcount, 1) >= 0)
		return false;
	nr = pages_mapped(atomic_sub_return(&c->nr_pages_mapped, MAPPED_ENTIRELY));
	stat_mapped(folio, -(s64)(HPAGE_PMD_NR - nr));
	stat_pmd_mapped(folio, -1);
	return nr && nr < (int)HPAGE_PMD_NR;
}

void folio_remove_rmap_pmd(struct folio *folio)
{
	if (remove_rmap_pmd(folio) && is_anon(folio))
		deferred_split_folio(folio);
}

void folio_hide_rmap_pmd(struct folio *folio)
{
	remove_rmap_pmd(folio);
}

void folio_add_rmap_pte(struct folio *folio, struct page *page)
{
	struct folio_counts *c = folio_counts(folio);

	if (atomic_add_return(&page->mapcount, 1) == 0 &&
	    atomic_add_return(&c->nr_pages_mapped, MAPPED_PTE) < MAPPED_ENTIRELY)
		stat_mapped(folio, 1);
	atomic_add(&c->large_mapcount, 1);
}

/* The same for a PTE. */
static bool remove_rmap_pte(struct folio *folio, struct page *page)
{
	struct folio_counts *c = folio_counts(folio);
	int nr;

	atomic_sub(&c->large_mapcount, 1);
	if (atomic_sub_return(&page->mapcount, 1) >= 0)
		return false;
	nr = atomic_sub_return(&c->nr_pages_mapped, MAPPED_PTE);
	if (nr >= MAPPED_ENTIRELY)
		return false;
	stat_mapped(folio, -1);
	return nr;
}

void folio_remove_rmap_pte(struct folio *folio, struct page *page)
{
	if (remove_rmap_pte(folio, page) && is_anon(folio))
		deferred_split_folio(folio);
}

void folio_hide_rmap_pte(struct folio *folio, struct page *page)
{
	remove_rmap_pte(folio, page);
}

void thp_defer_if_partial(struct folio *folio)
{
	int nr = READ_ONCE(folio_counts(folio)->nr_pages_mapped);

	if (is_anon(folio) && nr && nr < (int)HPAGE_PMD_NR * MAPPED_PTE)
		deferred_split_folio(folio);
}

/* ---- faults ----------------------------------------------------------------------------------- */

void thp_map_new(struct vm_area_struct *vma, pte_t *pmd, unsigned long haddr, struct folio *folio,
		 struct page *table, pgprot_t bits)
{
	struct page *head = &folio->page;

	head->flags |= ANON_PAGE_FLAGS;
	if (unlikely(vma->flags & VM_LOCKED)) {
		head->flags |= LOCKED_PAGE_FLAGS;
		page_stat_add(head, NR_MLOCK, HPAGE_PMD_NR);
	}
	head->mapping = (void *)((unsigned long)vma->anon_vma | PAGE_MAPPING_ANON);
	head->index = linear_page_index(vma, haddr);
	folio_add_rmap_pmd(folio);
	__lru_add(head);
	thp_deposit(pmd, table);
	WRITE_ONCE(thp_ever, true);
	pte_set(pmd, mk_pte(folio_pfn(folio), vma->prot | _PAGE_PSE | bits));
	atomic_add(&vma->mm->rss_anon, (s64)HPAGE_PMD_NR);
	trace_point(MAP, haddr, .pfn = folio_pfn(folio), .mm = trace_mm_id(vma->mm),
		    .arg = TRACE_MAP_ANON, .order = HPAGE_PMD_ORDER);
}

static struct folio *get_huge_zero(void)
{
	struct folio *folio = READ_ONCE(thp_huge_zero);

	if (likely(folio))
		return folio;
	folio = (struct folio *)alloc_pages_type(
		(GFP_TRANSHUGE_LIGHT | __GFP_ZERO) & ~__GFP_MOVABLE, HPAGE_PMD_ORDER, PAGE_ZERO);
	if (!folio) {
		count_vm_event(THP_ZERO_PAGE_ALLOC_FAILED);
		return NULL;
	}
	count_vm_event(THP_ZERO_PAGE_ALLOC);
	if (__sync_bool_compare_and_swap(&thp_huge_zero, NULL, folio))
		return folio;
	folio_put(folio);
	return READ_ONCE(thp_huge_zero);
}

/* A read of an empty PMD. */
static unsigned int map_huge_zero(struct vm_fault *vmf, pte_t *pmd, struct page *table)
{
	struct folio *zero = get_huge_zero();
	struct mm_struct *mm = vmf->mm;

	if (!zero) {
		pgtable_free(mm, table);
		count_vm_event(THP_FAULT_FALLBACK);
		return VM_FAULT_FALLBACK;
	}
	spin_lock(&mm->page_table_lock);
	if (likely(!pte_read(pmd).v)) {
		thp_deposit(pmd, table);
		table = NULL;
		WRITE_ONCE(thp_ever, true);
		pte_set(pmd, mk_pte(folio_pfn(zero),
				    vmf->vma->prot | _PAGE_PSE | _PAGE_SPECIAL | _PAGE_ACCESSED));
	}
	spin_unlock(&mm->page_table_lock);
	if (table)
		pgtable_free(mm, table);
	count_vm_event(MMVM_FAULT_ZERO);
	return 0;
}

/* A cleared huge page, or NULL. The VMA's anon_vma is prepared, and the table is allocated. */
static struct folio *new_page(struct vm_fault *vmf)
{
	struct folio *folio = thp_alloc(
		vmf->vma, thp_gfp(vmf->vma->flags & VM_HUGEPAGE ? THP_BY_ADVICE : THP_BY_KERNEL));

	if (!folio) {
		count_vm_event(THP_FAULT_FALLBACK);
		return NULL;
	}
	if (mem_cgroup_charge(&folio->page, vmf->mm, GFP_KERNEL)) {
		folio_put(folio);
		count_vm_event(THP_FAULT_FALLBACK);
		return NULL;
	}
	hugetlb_clear_page(&folio->page);
	return folio;
}

static unsigned int fault_empty(struct vm_fault *vmf, unsigned long haddr)
{
	struct vm_area_struct *vma = vmf->vma;
	struct mm_struct *mm = vmf->mm;
	struct folio *folio;
	struct page *table;
	pte_t *pmd;

	khugepaged_enter();
	if (anon_vma_prepare(vma))
		return VM_FAULT_OOM;
	pmd = walk_level_alloc(mm, haddr, PT_LEVEL_PMD);
	table = pmd ? pgtable_alloc_spare(mm) : NULL;
	if (!table)
		return VM_FAULT_OOM;
	if (!(vmf->flags & FAULT_FLAG_WRITE) && thp_use_zero_page)
		return map_huge_zero(vmf, pmd, table);
	folio = new_page(vmf);
	if (!folio) {
		pgtable_free(mm, table);
		return VM_FAULT_FALLBACK;
	}
	spin_lock(&mm->page_table_lock);
	if (likely(!pte_read(pmd).v)) {
		thp_map_new(vma, pmd, haddr, folio, table,
			    _PAGE_ACCESSED | _PAGE_WRITTEN |
				    (vma->flags & VM_WRITE ? _PAGE_RW : 0));
		folio = NULL;
	}
	spin_unlock(&mm->page_table_lock);
	if (folio) {
		folio_put(folio);
		pgtable_free(mm, table);
		return 0;
	}
	count_vm_event(THP_FAULT_ALLOC);
	mem_cgroup_count_mm(mm, THP_FAULT_ALLOC);
	count_vm_event(MMVM_FAULT_ANON);
	return 0;
}

/* A write to the huge zero page: it is split into small zero pages, one of which is replaced. */
static unsigned int write_zero(struct vm_fault *vmf, pte_t *pmd, unsigned long haddr)
{
	spin_lock(&vmf->mm->page_table_lock);
	if (pte_huge(pte_read(pmd)))
		thp_split_pmd(vmf->mm, pmd, haddr);
	spin_unlock(&vmf->mm->page_table_lock);
	return VM_FAULT_FALLBACK;
}

/* A write to a huge page that is mapped read-only. */
static unsigned int write_protected(struct vm_fault *vmf, pte_t *pmd, unsigned long haddr)
{
	struct mm_struct *mm = vmf->mm;
	unsigned int ret = VM_FAULT_FALLBACK;
	struct folio *folio;
	pte_t e;

	spin_lock(&mm->page_table_lock);
	e = pte_read(pmd);
	if (!pte_huge(e) || !pte_present(e) || pte_write(e) || pte_special(e)) {
		ret = 0; /* changed meanwhile: fault again */
		goto out;
	}
	folio = pfn_folio(pte_pfn(e));
	if (is_anon(folio) ? thp_exclusive(folio) : !!(vmf->vma->flags & VM_SHARED)) {
		pte_set(pmd, pte_mkwrite(pte_mkdirty(pte_mkyoung(e))));
		count_vm_event(PGREUSE);
		ret = 0;
	} else {
		thp_split_pmd(mm, pmd, haddr);
	}
out:
	spin_unlock(&mm->page_table_lock);
	return ret;
}

unsigned int thp_fault(struct vm_fault *vmf)
{
	unsigned long haddr = vmf->addr & PMD_MASK;
	pte_t *pmd = walk_level(vmf->mm->pgd, haddr, PT_LEVEL_PMD);
	pte_t e = pmd ? pte_read(pmd) : __pte(0);

	if (!e.v && vmf->vma->mapping)
		return vmf->vma->mapping->flags & AS_SHMEM && shmem_huge_ever
			       ? shmem_huge_fault(vmf)
			       : VM_FAULT_FALLBACK;
	if (!e.v)
		return thp_vma_allowed(vmf->vma, THP_BY_KERNEL) && thp_fits(vmf->vma, haddr)
			       ? fault_empty(vmf, haddr)
			       : VM_FAULT_FALLBACK;
	if (!pte_huge(e))
		return VM_FAULT_FALLBACK; /* another thread has put a table here */
	if (unlikely(!pte_present(e))) {
		migration_entry_wait(vmf->mm, pmd, e);
		return 0;
	}
	/* The VMA allows the access, so this is no PROT_NONE. */
	if (static_key(KEY_NUMA) && pte_protnone(e)) {
		vmf->pte = pmd;
		vmf->orig = e;
		numa_hint_fault(vmf);
		return 0; /* if the write is still not allowed, it faults again */
	}
	if ((vmf->flags & FAULT_FLAG_WRITE) && !pte_write(e))
		return pte_special(e) ? write_zero(vmf, pmd, haddr)
				      : write_protected(vmf, pmd, haddr);
	/* Another thread has handled the fault, or this CPU's translation is older than the PMD. */
	flush_tlb_page(vmf->mm, vmf->addr);
	count_vm_event(MMVM_FAULT_SPURIOUS);
	return 0;
}
