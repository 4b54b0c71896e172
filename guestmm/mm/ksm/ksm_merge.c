/*
 * KSM and page tables: replacing the page that a place maps by a merged one.
 *
 *   take the write permission away ──> nobody else holds the page? ──> compare ──> exchange the PTE
 *
 * I1  A merged page is never written: it is copied into before anybody maps it, and no PTE that maps it is
 *     writable (anon_page_exclusive() is false for it, do_wp_page() copies).
 * I2  Contents are compared after the last PTE that was found writable has been made read-only and flushed, and
 *     with no reference but those of PTEs, the swap cache and ours; the PTE is exchanged only if it is still
 *     read-only and clean. A write between the two would have made it dirty.
 * I3  A merged page is on no LRU list and in no movable pageblock: it cannot be swapped and does not move.
 *
 * Locks: mmap_lock for reading, the page's lock, page_table_lock.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/huge/thp.h"
#include "mm/phys/highmem.h"
#include "mm/ksm/internal.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/zone.h"
#include "mm/reclaim/lru.h"
#include "mm/swap/swapcache.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"

struct mm_struct *ksm_slot_mm(struct ksm_slot *slot)
{
	struct mm_struct *mm;

	spin_lock(&ksm_list_lock);
	mm = slot->mm && mmget_not_zero(slot->mm) ? slot->mm : NULL;
	spin_unlock(&ksm_list_lock);
	return mm;
}

bool ksm_candidate(pte_t e)
{
	const struct page *page;

	if (!pte_present(e) || pte_special(e) || pte_uffd_wp(e))
		return false;
	page = pfn_to_page(pte_pfn(e));
	return PageAnon(page) && !page_in_thp(page) && !PageLazyfree(page);
}

static struct vm_area_struct *mergeable_vma(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = find_vma(mm, addr);

	return vma && vma->vm_start <= addr && (vma->flags & VM_MERGEABLE) && vma->anon_vma ? vma
											    : NULL;
}

struct page *ksm_item_page(struct ksm_item *item)
{
	struct mm_struct *mm = ksm_slot_mm(item->slot);
	struct page *page = NULL;

	if (!mm)
		return NULL;
	down_read(&mm->mmap_lock);
	if (mergeable_vma(mm, item->addr)) {
		pte_t *pte;

		spin_lock(&mm->page_table_lock);
		pte = walk_pte(mm->pgd, item->addr);
		if (pte && ksm_candidate(pte_read(pte))) {
			page = pfn_to_page(pte_pfn(pte_read(pte)));
			get_page(page);
		}
		spin_unlock(&mm->page_table_lock);
	}
	up_read(&mm->mmap_lock);
	mmput(mm);
	return page;
}

/* Clear the write permission and the dirty bit of the PTE (I2). */
static int write_protect(struct mm_struct *mm, unsigned long addr, struct page *page)
{
	int err = 0;
	pte_t *pte, e;

	/* The page is locked, so no batch of reclaim has a cleared entry of it (evict.c, I4). */
	spin_lock(&mm->page_table_lock);
	pte = pte_of_page(mm, addr, page);
	if (!pte || !ksm_candidate(pte_read(pte))) {
		err = -ENOENT;
		goto out;
	}
	e = pte_get_and_clear(pte);
	flush_tlb_page(mm, addr);
	/* Somebody else holds a reference, for example for DMA, and may read or write the page. */
	if (page_ref_count(page) != page_mapcount(page) + 1 + PageSwapCache(page)) {
		pte_set(pte, e);
		err = -EAGAIN;
		goto out;
	}
	if (pte_dirty(e) && PageSwapCache(page))
		SetPageDirty(page);
	pte_set(pte, __pte(e.v & ~(_PAGE_RW | _PAGE_DIRTY)));
out:
	spin_unlock(&mm->page_table_lock);
	return err;
}

/* Set the PTE to map `kpage`. P held. */
static void map_merged(struct vm_area_struct *vma, unsigned long addr, pte_t *pte, pte_t old,
		       struct page *kpage)
{
	struct mm_struct *mm = vma->mm;
	pte_t new = mk_pte(page_to_pfn(kpage), vma->prot);

	if (pte_young(old))
		new = pte_mkyoung(new);
	if (kpage == zero_page) {
		pte_set(pte, __pte(new.v | _PAGE_SPECIAL));
		atomic_sub(&mm->rss_anon, 1);
		trace_point(MAP, addr, .pfn = page_to_pfn(kpage), .mm = trace_mm_id(mm),
			    .arg = TRACE_MAP_ZERO);
		return;
	}
	get_page(kpage);
	if (atomic_add_return(&kpage->mapcount, 1) == 0)
		page_stat_add(kpage, NR_ANON_MAPPED, 1);
	if (vma->flags & VM_LOCKED)
		mlock_page(kpage);
	trace_point(MAP, addr, .pfn = page_to_pfn(kpage), .mm = trace_mm_id(mm),
		    .arg = TRACE_MAP_KSM);
	pte_set(pte, new);
}

/* The pages are equal and write-protected: exchange them. If it returns 0, the PTE's reference of `page` passes to
 * the caller. */
static int exchange(struct vm_area_struct *vma, unsigned long addr, struct page *page,
		    struct page *kpage)
{
	struct mm_struct *mm = vma->mm;
	int err = -EAGAIN;
	pte_t *pte, old;

	spin_lock(&mm->page_table_lock);
	pte = pte_of_page(mm, addr, page);
	if (!pte || !ksm_candidate(pte_read(pte)) || pte_write(pte_read(pte)) ||
	    pte_dirty(pte_read(pte)))
		goto out;
	old = pte_get_and_clear(pte);
	flush_tlb_page(mm, addr); /* the old frame may be freed */
	trace_point(UNMAP, addr, .pfn = page_to_pfn(page), .mm = trace_mm_id(mm),
		    .arg = TRACE_UNMAP_KSM);
	if (atomic_sub_return(&page->mapcount, 1) < 0)
		page_stat_add(page, NR_ANON_MAPPED, -1);
	if (vma->flags & VM_LOCKED)
		munlock_page(page);
	map_merged(vma, addr, pte, old, kpage);
	err = 0;
out:
	spin_unlock(&mm->page_table_lock);
	return err;
}

int ksm_merge_one(struct ksm_item *item, struct page *page, struct page *kpage)
{
	struct mm_struct *mm = ksm_slot_mm(item->slot);
	struct vm_area_struct *vma;
	int err = -ENOENT;

	if (!mm)
		return err;
	down_read(&mm->mmap_lock);
	vma = mergeable_vma(mm, item->addr);
	if (!vma)
		goto out;
	err = -EAGAIN;
	if (!trylock_page(page))
		goto out;
	err = write_protect(mm, item->addr, page);
	env_race_point("ksm: write-protected");
	if (!err && ksm_compare(page, kpage))
		err = -EAGAIN; /* the PTE stays read-only until the next write fault */
	if (!err)
		err = exchange(vma, item->addr, page, kpage);
	unlock_page(page);
	if (err)
		goto out;
	if (PageSwapCache(page))
		free_swap_cache(&page, 1);
	release_page(page); /* the PTE's */
out:
	up_read(&mm->mmap_lock);
	mmput(mm);
	return err;
}

struct page *ksm_new_page(struct ksm_item *item, const struct page *page, struct ksm_node **node)
{
	struct mm_struct *mm = ksm_slot_mm(item->slot);
	struct page *copy;

	if (!mm)
		return NULL;
	/* Not movable (I3), and on the same node: each node has its own tree. */
	copy = __alloc_pages_node(page_node_id(page), GFP_HIGHUSER | __GFP_NORETRY | __GFP_NOWARN,
				  0, PAGE_KSM);
	if (!copy)
		goto out;
	if (ksm_tree_of(copy) != ksm_tree_of(page)) {
		__free_page(copy); /* there was no memory on that node */
		copy = NULL;
		goto out;
	}
	if (mem_cgroup_charge(copy, mm, GFP_KERNEL | __GFP_NORETRY)) {
		__free_page(copy);
		copy = NULL;
		goto out;
	}
	copy_highpage(copy, page);
	*node = ksm_node_alloc(copy);
	if (!*node) {
		release_page(copy);
		copy = NULL;
		goto out;
	}
	atomic_or(&copy->flags, 1ull << PG_uptodate | 1ull << PG_swapbacked | 1ull << PG_ksm);
	copy->index = 0;
	WRITE_ONCE(copy->mapping, (void *)((unsigned long)*node | MMVM_MAPPING_KSM));
out:
	mmput(mm);
	return copy;
}

int ksm_break_range(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr, next;
	int err = 0;

	for (addr = start; addr < end && !err; addr = next) {
		unsigned int level;
		pte_t *pte = walk_leaf(mm->pgd, addr, &level, &next);

		next = min(next, end);
		if (!pte || level)
			continue;
		for (; addr < next && !err; addr += PAGE_SIZE, pte++) {
			pte_t e = pte_read(pte);

			if (pte_present(e) && !pte_special(e) && PageKsm(pfn_to_page(pte_pfn(e))))
				err = unshare_pte(vma, addr, pte);
		}
		cond_resched();
	}
	return err;
}

void ksm_break(struct ksm_item *item)
{
	struct mm_struct *mm = ksm_slot_mm(item->slot);
	struct vm_area_struct *vma;

	if (!mm)
		return;
	down_read(&mm->mmap_lock);
	vma = mergeable_vma(mm, item->addr);
	/* Without memory the place keeps the merged page, which is correct as well. */
	if (vma)
		ksm_break_range(vma, item->addr, item->addr + PAGE_SIZE);
	up_read(&mm->mmap_lock);
	mmput(mm);
}
