/*
 * Large leaves in user page tables: entries of level 1 and 2 that map 2 MiB or 1 GiB.
 *
 * What is mapped so is a page of hugetlb (PAGE_HUGETLB), which is mapped whole, always, or a huge page
 * of anonymous memory (mm/huge/thp.h), whose PMD becomes a table where only a part is meant.
 *
 * I1  A large leaf lies in one VMA, aligned to its size, and maps a block of at least that order.
 * I2  It keeps _PAGE_PSE in every state, so that no walk takes it for a table.
 *     Without present and PROTNONE bit it stands for a huge page that moves (migrate_entry.h).
 * I3  mm->hugetlb_usage = pages of 4 KiB that leaves of hugetlb map; they are in no rss counter.
 *
 * Locks: mmap_lock; page_table_lock for every look at the entry.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/reclaim/lru.h"
#include "mm/pgtable/large.h"
#include "mm/rmap/migrate_entry.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

/* ---- unmapping ---- */

/* Pages in the gather that are blocks carry a mark in the pointer: they are not freed one by one
 * with the others. */

struct page *gather_mark_large(struct mmu_gather *tlb, struct page *head)
{
	tlb->large = true;
	return (struct page *)((unsigned long)head | GATHER_LARGE);
}

void tlb_release_large(struct mmu_gather *tlb)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < tlb->nr; i++) {
		unsigned long p = (unsigned long)tlb->pages[i];

		if (p & GATHER_LARGE)
			release_page((struct page *)(p & ~GATHER_LARGE));
		else
			tlb->pages[left++] = tlb->pages[i];
	}
	tlb->nr = left;
	tlb->large = false;
}

/* P held. */
static void zap_hugetlb(struct mmu_gather *tlb, pte_t e, unsigned int level)
{
	struct page *head = pfn_to_page(pte_pfn(e));

	hugetlb_add_rmap(head, -1);
	atomic_sub(&tlb->mm->hugetlb_usage, (s64)level_pages(level));
	tlb->pages[tlb->nr++] = gather_mark_large(tlb, head);
}

/* P held: a PMD of anonymous memory. Returns the deposited table. */
static struct page *zap_thp(struct mmu_gather *tlb, pte_t *pmd, pte_t e)
{
	if (!pte_special(e)) {
		struct folio *folio = pfn_folio(pte_pfn(e));

		atomic_sub(PageAnon(&folio->page) ? &tlb->mm->rss_anon : &tlb->mm->rss_shmem,
			   (s64)HPAGE_PMD_NR);
		if (likely(!pmd_is_migration(e))) {
			folio_remove_rmap_pmd(folio);
			tlb->pages[tlb->nr++] = gather_mark_large(tlb, &folio->page);
		}
	}
	return thp_withdraw(pmd);
}

static bool is_hugetlb(pte_t e)
{
	return pfn_to_page(pte_pfn(e))->type == PAGE_HUGETLB;
}

/* P held. The entry is large, and all of it is meant. False: look again; a huge page has been split
 * where only a part was. */
static bool whole_leaf(struct mm_struct *mm, pte_t *leaf, unsigned int level, unsigned long addr,
		       unsigned long end)
{
	pte_t e = pte_read(leaf);

	if (!pte_huge(e))
		return false;
	if (likely(covers_leaf(level, addr, end)))
		return true;
	VM_BUG_ON(is_hugetlb(e));
	thp_split_pmd(mm, leaf, addr & PMD_MASK);
	return false;
}

unsigned long zap_large(struct mmu_gather *tlb, pte_t *leaf, unsigned int level, unsigned long addr,
			unsigned long end)
{
	struct mm_struct *mm = tlb->mm;
	struct page *table = NULL;
	pte_t e;

	spin_lock(&mm->page_table_lock);
	if (!whole_leaf(mm, leaf, level, addr, end)) {
		spin_unlock(&mm->page_table_lock);
		return addr;
	}
	e = pte_read(leaf);
	end = addr + level_size(level);
	if (tlb->file_only && PageAnon(pfn_to_page(pte_pfn(e)))) {
		spin_unlock(&mm->page_table_lock);
		return end;
	}
	e = pte_get_and_clear(leaf);
	/* As zap_file_rmap() in pgtable.c: nobody writes any more before it counts as unmapped. */
	if (pte_dirty(e) && !pte_special(e) && !PageAnon(pfn_to_page(pte_pfn(e))))
		flush_tlb_range(mm, addr, end);
	if (pte_present(e))
		trace_point(UNMAP, addr, .pfn = pte_pfn(e), .mm = trace_mm_id(mm),
			    .arg = TRACE_UNMAP_ZAP, .order = 9 * level);
	if (is_hugetlb(e))
		zap_hugetlb(tlb, e, level);
	else
		table = zap_thp(tlb, leaf, e);
	spin_unlock(&mm->page_table_lock);
	if (table)
		pgtable_free(mm, table); /* no CPU has ever seen it */
	tlb->start = min(tlb->start, addr);
	tlb->end = max(tlb->end, end);
	return end;
}

/* ---- rights ---- */

/* Spare the next write a fault? Shared pages may be written by all; a private one if it is not the
 * file's and nobody else maps it. */
static bool may_stay_writable(const struct vm_area_struct *vma, pte_t e)
{
	const struct page *head = pfn_to_page(pte_pfn(e));

	if (pte_special(e))
		return false;
	if (!is_hugetlb(e) && !write_needs_no_mark(vma, e))
		return false;
	if (head->type == PAGE_SHMEM)
		return vma->flags & VM_SHARED;
	if (!is_hugetlb(e))
		return thp_exclusive((const struct folio *)head);
	/* hugetlb_migrate.c is copying the page: writers wait in the fault. */
	return !PageMigrating(head) && ((vma->flags & VM_SHARED) || hugetlb_page_exclusive(head));
}

unsigned long change_large(struct vm_area_struct *vma, pte_t *leaf, unsigned int level,
			   unsigned long addr, unsigned long end, bool *changed)
{
	struct mm_struct *mm = vma->mm;
	pte_t e, new;

	spin_lock(&mm->page_table_lock);
	if (!whole_leaf(mm, leaf, level, addr, end)) {
		spin_unlock(&mm->page_table_lock);
		return addr;
	}
	if (unlikely(pmd_is_migration(pte_read(leaf)))) {
		/* A fault makes it writable: only then is it known whether the page is shared. */
		pte_set(leaf, pte_wrprotect(pte_read(leaf)));
		goto out;
	}
	e = pte_get_and_clear(leaf); /* with the last A and D bits */
	new = __pte((e.v & (PTE_PFN_MASK | _PAGE_ACCESSED | _PAGE_WRITTEN | _PAGE_SPECIAL)) |
		    _PAGE_PSE | vma->prot);
	if ((vma->flags & VM_WRITE) && may_stay_writable(vma, e))
		new = pte_mkwrite(new);
	pte_set(leaf, new);
	*changed |= new.v != e.v;
out:
	spin_unlock(&mm->page_table_lock);
	return addr + level_size(level);
}

unsigned long mlock_large(struct vm_area_struct *vma, pte_t *leaf, unsigned int level,
			  unsigned long addr, unsigned long end, enum lru_keep keep)
{
	struct mm_struct *mm = vma->mm;
	unsigned long next = (addr & ~(level_size(level) - 1)) + level_size(level);
	pte_t e;

	/* Pages of hugetlb are on no LRU list and never leave. */
	if (vma->flags & VM_HUGETLB)
		return min(end, next);
	spin_lock(&mm->page_table_lock);
	if (whole_leaf(mm, leaf, level, addr, end)) {
		e = pte_read(leaf);
		/* A migration entry: the page is locked when it is mapped again. */
		if (pte_present(e) && !pte_special(e))
			lru_set_mlocked(pfn_to_page(pte_pfn(e)), keep);
		addr = next;
	}
	spin_unlock(&mm->page_table_lock);
	return addr;
}

/* ---- fork ---- */

int copy_large(struct vm_area_struct *child, struct vm_area_struct *vma, pte_t *leaf,
	       unsigned int level, unsigned long addr, bool *protected)
{
	struct mm_struct *oldmm = vma->mm, *mm = child->mm;
	pte_t *dst = walk_level_alloc(mm, addr & ~(level_size(level) - 1), level);
	struct page *table = NULL, *head;
	bool moves = false;
	int ret = 0;
	pte_t e;

	if (!dst)
		return -ENOMEM;
	if (!(vma->flags & VM_HUGETLB)) {
		table = pgtable_alloc_spare(mm);
		if (!table)
			return -ENOMEM;
	}
	spin_lock(&oldmm->page_table_lock);
	spin_lock_nested(&mm->page_table_lock);
	e = pte_read(leaf);
	if (!pte_huge(e)) {
		ret = -EAGAIN; /* split meanwhile */
		goto out;
	}
	moves = pmd_is_migration(e);
	if (unlikely(moves)) {
		ret = -EAGAIN;
		goto out;
	}
	/* A huge page that does not lie wholly in the VMA is copied by its PTEs. */
	if (table && !thp_fits(vma, addr & PMD_MASK)) {
		thp_split_pmd(oldmm, leaf, addr & PMD_MASK);
		ret = -EAGAIN;
		goto out;
	}
	head = pfn_to_page(pte_pfn(e));
	if (head->type == PAGE_SHMEM)
		goto out; /* it is there for the child to find */
	if (table) {
		thp_deposit(dst, table);
		table = NULL;
	}
	if (is_hugetlb(e)) {
		get_page(head);
		hugetlb_add_rmap(head, 1);
		atomic_add(&mm->hugetlb_usage, (s64)level_pages(level));
	} else if (!pte_special(e)) {
		get_page(head);
		folio_add_rmap_pmd((struct folio *)head);
		atomic_add(&mm->rss_anon, (s64)HPAGE_PMD_NR);
	}
	if (!(vma->flags & VM_SHARED) && pte_write(e)) {
		/* Only this bit: a CPU may be setting A and D. */
		atomic_and(&leaf->v, ~_PAGE_RW);
		*protected = true;
		e = pte_wrprotect(e);
	}
	pte_set(dst, pte_mkold(e));
out:
	spin_unlock(&mm->page_table_lock);
	spin_unlock(&oldmm->page_table_lock);
	if (table)
		pgtable_free(mm, table);
	if (unlikely(moves))
		migration_entry_wait(oldmm, leaf, e); /* entries are not copied */
	return ret;
}

/* ---- mremap ---- */

bool large_moves_whole(struct mm_struct *mm, unsigned int level, unsigned long from,
		       unsigned long to, unsigned long n)
{
	pte_t *dst;

	if (!covers_leaf(level, from, from + n) || (to & (level_size(level) - 1)))
		return false;
	/* A table may be there already, for a neighbour. */
	dst = walk_level(mm->pgd, to, level);
	return !dst || !pte_read(dst).v;
}

void split_large(struct mm_struct *mm, pte_t *leaf, unsigned long addr)
{
	spin_lock(&mm->page_table_lock);
	if (pte_huge(pte_read(leaf)))
		thp_split_pmd(mm, leaf, addr & PMD_MASK);
	spin_unlock(&mm->page_table_lock);
}

bool move_large(struct mm_struct *mm, pte_t *dst, pte_t *src, unsigned int level,
		unsigned long from, unsigned long to)
{
	pte_t e = pte_read(src);

	if (!pte_huge(e))
		return false;
	VM_BUG_ON(pte_read(dst).v);
	if (!is_hugetlb(e))
		thp_deposit(dst, thp_withdraw(src));
	/* As in Linux, a page that has moved counts as written. */
	pte_set(dst, pte_mksoft_dirty(pte_get_and_clear(src)));
	return true;
}
