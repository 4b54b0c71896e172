/*
 * Large leaves in user page tables: entries of level 1 and 2 that map 2 MiB or 1 GiB.
 *
 * What is mapped so is a page of hugetlb (PAGE_HUGETLB): it is mapped whole, always, and the head's
 * mapcount counts leaves.
 *
 * I1  A large leaf lies in one VMA, aligned to its size, and maps a block of at least that order.
 * I2  It keeps _PAGE_PSE in every state, so that no walk takes it for a table.
 * I3  mm->hugetlb_usage = pages of 4 KiB that leaves of hugetlb map; they are in no rss counter.
 *
 * Locks: mmap_lock; page_table_lock for every look at the entry.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/huge/hugetlb.h"
#include "mm/virt/large.h"
#include "mm/virt/rmap.h"
#include "mm/virt/vma.h"

/* ---- unmapping --------------------------------------------------------------------------------
 */

/* Pages in the gather that are blocks carry a mark in the pointer: they are not freed one by one
 * with the others. */
#define GATHER_LARGE 1ul

static void gather_large(struct mmu_gather *tlb, struct page *head)
{
	tlb->pages[tlb->nr++] = (struct page *)((unsigned long)head | GATHER_LARGE);
	tlb->large = true;
}

void tlb_release_large(struct mmu_gather *tlb)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < tlb->nr; i++) {
		unsigned long p = (unsigned long)tlb->pages[i];

		if (p & GATHER_LARGE)
			put_page((struct page *)(p & ~GATHER_LARGE));
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
	gather_large(tlb, head);
}

unsigned long zap_large(struct mmu_gather *tlb, pte_t *leaf, unsigned int level, unsigned long addr,
			unsigned long end)
{
	struct mm_struct *mm = tlb->mm;
	pte_t e;

	spin_lock(&mm->page_table_lock);
	e = pte_read(leaf);
	if (!pte_huge(e)) {
		spin_unlock(&mm->page_table_lock);
		return addr;
	}
	VM_BUG_ON(!covers_leaf(level, addr, end));
	end = addr + level_size(level);
	if (tlb->file_only && PageAnon(pfn_to_page(pte_pfn(e)))) {
		spin_unlock(&mm->page_table_lock);
		return end;
	}
	e = pte_get_and_clear(leaf);
	trace_point(UNMAP, addr, .pfn = pte_pfn(e), .mm = trace_mm_id(mm), .arg = TRACE_UNMAP_ZAP,
		    .order = 9 * level);
	zap_hugetlb(tlb, e, level);
	spin_unlock(&mm->page_table_lock);
	tlb->start = min(tlb->start, addr);
	tlb->end = max(tlb->end, end);
	return end;
}

/* ---- rights -----------------------------------------------------------------------------------
 */

/* Spare the next write a fault? Shared pages may be written by all; a private one if it is not the
 * file's and nobody else maps it. */
static bool may_stay_writable(const struct vm_area_struct *vma, const struct page *head)
{
	return (vma->flags & VM_SHARED) || hugetlb_page_exclusive(head);
}

unsigned long change_large(struct vm_area_struct *vma, pte_t *leaf, unsigned int level,
			   unsigned long addr, unsigned long end, bool *changed)
{
	struct mm_struct *mm = vma->mm;
	pte_t e, new;

	spin_lock(&mm->page_table_lock);
	e = pte_read(leaf);
	if (!pte_huge(e)) {
		spin_unlock(&mm->page_table_lock);
		return addr;
	}
	VM_BUG_ON(!covers_leaf(level, addr, end));
	e = pte_get_and_clear(leaf); /* with the last A and D bits */
	new = __pte((e.v & (PTE_PFN_MASK | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_SPECIAL)) |
		    _PAGE_PSE | vma->prot);
	if ((vma->flags & VM_WRITE) && may_stay_writable(vma, pfn_to_page(pte_pfn(e))))
		new = pte_mkwrite(new);
	pte_set(leaf, new);
	*changed |= new.v != e.v;
	spin_unlock(&mm->page_table_lock);
	return addr + level_size(level);
}

unsigned long mlock_large(struct vm_area_struct *vma, pte_t *leaf, unsigned int level,
			  unsigned long addr, unsigned long end, bool lock)
{
	/* Pages of hugetlb are on no LRU list and never leave. */
	return min(end, (addr & ~(level_size(level) - 1)) + level_size(level));
}

/* ---- fork -------------------------------------------------------------------------------------
 */

int copy_large(struct vm_area_struct *child, struct vm_area_struct *vma, pte_t *leaf,
	       unsigned int level, unsigned long addr, bool *protected)
{
	struct mm_struct *oldmm = vma->mm, *mm = child->mm;
	pte_t *dst = walk_level_alloc(mm, addr, level);
	struct page *head;
	pte_t e;

	if (!dst)
		return -ENOMEM;
	spin_lock(&oldmm->page_table_lock);
	spin_lock_nested(&mm->page_table_lock);
	e = pte_read(leaf);
	if (!pte_huge(e))
		goto out;
	head = pfn_to_page(pte_pfn(e));
	get_page(head);
	hugetlb_add_rmap(head, 1);
	atomic_add(&mm->hugetlb_usage, (s64)level_pages(level));
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
	return 0;
}

/* ---- mremap -----------------------------------------------------------------------------------
 */

bool move_large(struct mm_struct *mm, pte_t *dst, pte_t *src, unsigned int level,
		unsigned long from, unsigned long to)
{
	pte_t e = pte_read(src);

	if (!pte_huge(e))
		return false;
	VM_BUG_ON(pte_read(dst).v);
	pte_set(dst, pte_get_and_clear(src));
	return true;
}
