/*
 * madvise: what a program knows about the future of its pages.
 *
 *   DONTNEED (_LOCKED)          thrown away at once: zeroes, or what the file has, on the next touch
 *   WILLNEED                    back from swap, or read from the file, early
 *   REMOVE                      a hole in the file: what is shared is gone for everybody
 *   FREE                        free to take until written again; nothing happens before it is scarce
 *   COLD, PAGEOUT               as if unused for long; written to swap and freed now
 *   POPULATE_READ, _WRITE       faulted in now
 *   GUARD_INSTALL, _REMOVE      thrown away, and any touch is an error (guard.c)
 *   MERGEABLE, UNMERGEABLE      scanned for equal pages (mm/ksm); each page its own again
 *   NORMAL ... KEEPONFORK       a VM_* flag that fault, fork or others look at
 *
 * As in Linux a hole does not stop the work: the mapped parts are done, and the call then returns
 * -ENOMEM. An error in one VMA does stop it.
 *
 * Locks: mmap_lock for reading where only PTEs change; for writing where a VMA's flags do.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "mm/fault/userfault.h"
#include "mm/reclaim/lru.h"
#include "mm/cache/secretmem.h"
#include "mm/move/memory_failure.h"
#include "mm/cache/shmem.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/ksm/ksm.h"
#include "mm/memcg/memcg.h"
#include "mm/pgtable/guard.h"
#include "mm/pgtable/large.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/swap/swapcache.h"
#include "mm/virt/vma.h"
#include "mm/reclaim/vmscan.h"

static int madvise_dontneed(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct mmu_gather tlb;

	if (unlikely(vma->flags & VM_PFNMAP))
		return -EINVAL;
	if (unlikely(vma->flags & VM_HUGETLB)) {
		unsigned long mask = hstate_size(vma_hstate(vma)) - 1;

		if (start & mask)
			return -EINVAL;
		end &= ~mask; /* as Linux: a part of a page at the end stays */
	}
	tlb_gather_mmu(&tlb, vma->mm, TLB_PARTS);
	tlb.keep_guards = true;
	tlb.keep_wp = vma->mapping;
	zap_page_range(&tlb, start, end);
	tlb_finish_mmu(&tlb);
	return 0;
}

/* Bring shared memory back from swap. */
static void willneed_shmem(struct address_space *mapping, unsigned long index, unsigned long stop)
{
	struct page *page;
	bool major = false;

	for (; index < stop; index++)
		if (!shmem_get_page(mapping, index, SHMEM_FIND, &page, &major))
			shmem_put_page(page);
}

/* Start reads for what is in swap, or on the file's disk; nobody waits for them. */
static int madvise_willneed(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr, next;

	if (vma->mapping) {
		unsigned long from = linear_page_index(vma, start);
		unsigned long to = from + ((end - start) >> PAGE_SHIFT);

		if (vma->mapping->flags & AS_SHMEM)
			willneed_shmem(vma->mapping, from, to);
		else if (!(vma->mapping->flags & AS_HUGETLB))
			force_page_cache_readahead(vma->mapping, from, to);
	}
	for (addr = start; addr < end; addr = next) {
		unsigned int level;
		pte_t *pte = walk_leaf(mm->pgd, addr, &level, &next);

		next = min(next, end);
		if (!pte || level)
			continue;
		for (; addr < next; addr += PAGE_SIZE, pte++) {
			pte_t e = pte_read(pte);
			struct page *page;
			bool major = false;

			if (!pte_is_swap(e) || !swap_entry_valid(pte_to_swp_entry(e)))
				continue;
			page = swapin_readahead(pte_to_swp_entry(e), mm, SWAPIN_AROUND, &major);
			if (page)
				release_page(page);
		}
	}
	return 0;
}

/* A huge page is advised about page by page: split it. True: PTEs are there to be looked at. */
static bool split_for_advice(struct mm_struct *mm, pte_t *pmd)
{
	struct folio *folio = NULL;
	bool done = true;
	pte_t e;

	spin_lock(&mm->page_table_lock);
	e = pte_read(pmd);
	if (pte_huge(e) && pte_present(e) && !pte_special(e)) {
		folio = pfn_folio(pte_pfn(e));
		folio_get(folio);
	}
	spin_unlock(&mm->page_table_lock);
	if (!folio)
		return !pte_huge(e); /* zeroes: nothing to give; or it moves */
	if (folio_mapcount(folio) == 1 && folio_trylock(folio)) {
		done = !split_folio(folio, NULL);
		folio_unlock(folio);
	} else {
		done = false;
	}
	release_page(&folio->page);
	lru_add_drain();
	return done || !pte_huge(pte_read(pmd));
}

/* ---- COLD and PAGEOUT ---- */

/* P held: make the pages of one table's entries look unused, and take those that only this process
 * maps off their LRU list onto `out`. Returns whether an accessed bit was cleared. */
static bool isolate_cold(pte_t *pte, unsigned long n, struct list_head *out)
{
	bool young = false;

	for (; n; n--, pte++) {
		pte_t e = pte_read(pte);
		struct page *page;

		if (!pte_present(e) || pte_special(e))
			continue;
		page = pfn_to_page(pte_pfn(e));
		/* Others may have use for it. */
		if (page_mapcount(page) != 1)
			continue;
		young |= pte_test_and_clear_young(pte);
		if (lru_isolate(page))
			list_add(&page->lru, out);
	}
	return young;
}

/* A huge page of shared memory that only this process maps is taken as a whole: splitting it would take
 * away the entries by which its pages are found. False: the PMD maps no such page. */
static bool isolate_cold_shmem(struct mm_struct *mm, pte_t *pmd, struct list_head *out)
{
	struct page *head;
	bool shmem = false;
	pte_t e;

	spin_lock(&mm->page_table_lock);
	e = pte_read(pmd);
	head = pte_huge(e) && pte_present(e) && !pte_special(e) ? pfn_to_page(pte_pfn(e)) : NULL;
	if (head && head->type == PAGE_SHMEM) {
		shmem = true;
		if (folio_mapcount((struct folio *)head) == 1) {
			pte_test_and_clear_young(pmd);
			if (lru_isolate(head))
				list_add(&head->lru, out);
		}
	}
	spin_unlock(&mm->page_table_lock);
	return shmem;
}

static int madvise_cold(struct vm_area_struct *vma, unsigned long start, unsigned long end,
			bool pageout)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr, next, stop;
	LIST_HEAD(pages);

	if (vma->flags & (VM_LOCKED | VM_HUGETLB | VM_PFNMAP))
		return -EINVAL;
	lru_add_drain_all();
	for (addr = start; addr < end; addr = stop) {
		unsigned int level;
		pte_t *leaf = walk_leaf(mm->pgd, addr, &level, &next);

		stop = min(next, end);
		if (!leaf)
			continue;
		if (unlikely(level)) {
			if (!covers_leaf(level, addr, stop) ||
			    !isolate_cold_shmem(mm, leaf, &pages)) {
				if (split_for_advice(mm, leaf))
					stop = addr;
				continue;
			}
			flush_tlb_range(mm, addr, stop);
		} else {
			spin_lock(&mm->page_table_lock);
			/* A CPU whose TLB keeps an entry would not set the bit again. */
			if (isolate_cold(leaf, (stop - addr) >> PAGE_SHIFT, &pages))
				flush_tlb_range(mm, addr, stop);
			spin_unlock(&mm->page_table_lock);
		}
		if (pageout)
			reclaim_pages(&pages);
		else
			deactivate_pages(&pages);
		cond_resched();
	}
	return 0;
}

/* ---- FREE ---- */

/* The contents of the page may go: no slot of swap holds them, and no D bit asks to keep them. A
 * page that others share, or that is being written, is left alone. */
static bool page_make_lazyfree(struct page *page)
{
	bool alone;

	if (page_mapcount(page) != 1 || unlikely(PageKsm(page)) || !trylock_page(page))
		return false;
	alone = page_mapcount(page) == 1 && (!PageSwapCache(page) || try_to_free_swap(page));
	if (alone) {
		ClearPageDirty(page);
		if (!TestSetPageLazyfree(page)) {
			atomic_add(&nr_lazyfree, 1);
			count_vm_event(PGLAZYFREE);
			mem_cgroup_count_page(page, PGLAZYFREE);
		}
	}
	unlock_page(page);
	return alone;
}

/* P held. Returns whether a TLB entry may be wrong now. */
static bool free_ptes(struct mm_struct *mm, pte_t *pte, unsigned long n, struct list_head *out)
{
	bool flush = false;

	for (; n; n--, pte++) {
		pte_t e = pte_read(pte);
		struct page *page;

		if (pte_is_swap(e)) {
			if (!swap_entry_valid(pte_to_swp_entry(e)))
				continue;
			pte_set(pte, __pte(0));
			atomic_sub(&mm->rss_swap, 1);
			page = swap_free_and_get_cached(pte_to_swp_entry(e));
			if (page) {
				free_swap_cache(&page, 1);
				release_page(page);
			}
			continue;
		}
		if (!pte_present(e) || pte_special(e))
			continue;
		page = pfn_to_page(pte_pfn(e));
		if (unlikely(page_in_thp(page)) || !page_make_lazyfree(page))
			continue;
		if (pte_dirty(e) || pte_young(e)) {
			atomic_and(&pte->v, ~(_PAGE_DIRTY | _PAGE_ACCESSED));
			flush = true;
		}
		if (lru_isolate(page))
			list_add(&page->lru, out);
	}
	return flush;
}

static int madvise_free(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = vma->mm;
	unsigned long addr, next, stop;
	LIST_HEAD(pages);

	if (vma->mapping || vma->flags & VM_SPECIAL)
		return -EINVAL; /* for anonymous memory only */
	for (addr = start; addr < end; addr = stop) {
		unsigned int level;
		pte_t *leaf = walk_leaf(mm->pgd, addr, &level, &next);

		stop = min(next, end);
		if (!leaf)
			continue;
		if (unlikely(level)) {
			if (split_for_advice(mm, leaf))
				stop = addr;
			continue;
		}
		spin_lock(&mm->page_table_lock);
		flush_tlb_batched_pending(mm);
		/* A CPU that knows the entry as dirty would not say so again. */
		if (free_ptes(mm, leaf, (stop - addr) >> PAGE_SHIFT, &pages))
			flush_tlb_range(mm, addr, stop);
		spin_unlock(&mm->page_table_lock);
		deactivate_pages(&pages);
		cond_resched();
	}
	return 0;
}

/* ---- REMOVE ---- */

/* A hole in the file: all mappings read zeroes. */
static int madvise_remove(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	unsigned long from = linear_page_index(vma, start);
	unsigned long to = from + ((end - start) >> PAGE_SHIFT);

	if ((vma->flags & VM_LOCKED) || !vma->mapping)
		return -EINVAL;
	if ((vma->flags & (VM_SHARED | VM_MAYWRITE)) != (VM_SHARED | VM_MAYWRITE))
		return -EACCES;
	if (vma->mapping->flags & AS_HUGETLB)
		return hugetlb_punch_hole_bytes(vma->mapping, (u64)from << PAGE_SHIFT,
						(u64)to << PAGE_SHIFT);
	if (!(vma->mapping->flags & AS_SHMEM))
		return -EOPNOTSUPP; /* no file system here can do without blocks it has */
	if (atomic_load(&vma->mapping->seals) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	unmap_mapping_range(vma->mapping, from, to, LEAVE_COPIES);
	shmem_truncate_range(vma->mapping, from, to);
	return 0;
}

/* ---- flags ---- */

static int madvise_flags(struct vm_area_struct **pvma, unsigned long start, unsigned long end,
			 int advice)
{
	struct vm_area_struct *vma = *pvma;
	unsigned long flags = vma->flags;
	int err;

	switch (advice) {
	case MADV_NORMAL:
		flags &= ~(VM_RAND_READ | VM_SEQ_READ);
		break;
	case MADV_RANDOM:
		flags = (flags & ~VM_SEQ_READ) | VM_RAND_READ;
		break;
	case MADV_SEQUENTIAL:
		flags = (flags & ~VM_RAND_READ) | VM_SEQ_READ;
		break;
	case MADV_DONTFORK:
		flags |= VM_DONTCOPY;
		break;
	case MADV_DOFORK:
		if (flags & VM_IO)
			return -EINVAL;
		flags &= ~VM_DONTCOPY;
		break;
	case MADV_WIPEONFORK:
		if (vma->file || (flags & VM_SHARED))
			return -EINVAL;
		flags |= VM_WIPEONFORK;
		break;
	case MADV_KEEPONFORK:
		flags &= ~VM_WIPEONFORK;
		break;
	case MADV_DONTDUMP:
		flags |= VM_DONTDUMP;
		break;
	case MADV_DODUMP:
		if (flags & VM_SPECIAL)
			return -EINVAL;
		flags &= ~VM_DONTDUMP;
		break;
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
		err = ksm_madvise(vma, start, end, advice == MADV_MERGEABLE, &flags);
		if (err)
			return err == -ENOMEM ? -EAGAIN : err;
		break;
	case MADV_HUGEPAGE:
		flags = (flags & ~VM_NOHUGEPAGE) | VM_HUGEPAGE;
		khugepaged_enter();
		break;
	case MADV_NOHUGEPAGE:
		flags = (flags & ~VM_HUGEPAGE) | VM_NOHUGEPAGE;
		break;
	}
	if (flags == vma->flags)
		return 0;
	err = vma_modify_flags(pvma, start, end, flags);
	return err == -ENOMEM ? -EAGAIN
			      : err; /* madvise(2): of the kernel's own, not the caller's */
}

/* mmap_lock is dropped meanwhile. */
static int madvise_collapse(struct vm_area_struct **pvma, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = (*pvma)->mm;
	int err;

	if ((*pvma)->mapping ? !shmem_vma_collapsible(*pvma)
			     : !thp_vma_allowed(*pvma, THP_BY_ADVICE) || !(*pvma)->anon_vma)
		return -EINVAL;
	err = thp_collapse_range(mm, start, end);
	*pvma = find_vma(mm, end - 1);
	return err ? err : *pvma ? 0 : -EINVAL;
}

/* ---- the call ---- */

enum advice_kind { ADVICE_NONE, ADVICE_PTES, ADVICE_FLAGS, ADVICE_POPULATE, ADVICE_INJECT };

static enum advice_kind advice_kind(int advice)
{
	switch (advice) {
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_COLLAPSE:
	case MADV_GUARD_INSTALL:
	case MADV_GUARD_REMOVE:
		return ADVICE_PTES;
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
		return ADVICE_FLAGS;
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return ADVICE_POPULATE;
	case MADV_HWPOISON:
	case MADV_SOFT_OFFLINE:
		return ADVICE_INJECT;
	default:
		return ADVICE_NONE;
	}
}

/* Would a sealed mapping lose what it holds? */
static bool discards(int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_DONTFORK:
	case MADV_WIPEONFORK:
	case MADV_GUARD_INSTALL:
		return true;
	}
	return false;
}

static bool is_readonly_anon(const struct vm_area_struct *vma)
{
	return !vma->mapping && !(vma->flags & (VM_SHARED | VM_WRITE));
}

/* Will the advice empty a part of the VMA, as far as its flags allow? */
static bool empties(const struct vm_area_struct *vma, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
		return !(vma->flags & (VM_LOCKED | VM_PFNMAP));
	case MADV_DONTNEED_LOCKED:
		return !(vma->flags & VM_PFNMAP);
	case MADV_FREE:
		return !(vma->flags & (VM_LOCKED | VM_SPECIAL)) && !vma->mapping;
	case MADV_REMOVE:
		return !(vma->flags & VM_LOCKED) && vma->mapping &&
		       (vma->flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE);
	}
	return false;
}

/* A monitor reads of it first; the VMA may be another one then, or shorter. */
static int let_monitor_read(struct vm_area_struct **pvma, unsigned long start, unsigned long *end,
			    int advice)
{
	struct mm_struct *mm = (*pvma)->mm;

	if (!empties(*pvma, advice) || !uffd_remove(*pvma, start, *end))
		return 0;
	*pvma = find_vma_intersection(mm, start, start + 1);
	if (!*pvma)
		return -ENOMEM;
	*end = min(*end, (*pvma)->vm_end);
	return empties(*pvma, advice) ? 0 : -EINVAL;
}

/* Advice for [start, end), a part of *pvma; afterwards *pvma contains its end. */
static int madvise_vma(struct vm_area_struct **pvma, unsigned long start, unsigned long end,
		       int advice)
{
	struct vm_area_struct *vma = *pvma;

	if (unlikely(vma->flags & VM_SEALED) && discards(advice) && is_readonly_anon(vma))
		return -EPERM;
	if (unlikely(vma->uffd)) {
		int err = let_monitor_read(pvma, start, &end, advice);

		if (err)
			return err;
		vma = *pvma;
	}
	switch (advice) {
	case MADV_WILLNEED:
		return madvise_willneed(vma, start, end);
	case MADV_DONTNEED:
		return vma->flags & VM_LOCKED ? -EINVAL : madvise_dontneed(vma, start, end);
	case MADV_DONTNEED_LOCKED:
		if (vma->flags & VM_LOCKED)
			mlock_vma_pages(vma, start, end, LRU_LET_GO);
		return madvise_dontneed(vma, start, end);
	case MADV_FREE:
		return vma->flags & VM_LOCKED ? -EINVAL : madvise_free(vma, start, end);
	case MADV_REMOVE:
		return madvise_remove(vma, start, end);
	case MADV_GUARD_INSTALL:
		return guard_install(vma, start, end);
	case MADV_GUARD_REMOVE:
		return guard_remove(vma, start, end);
	case MADV_COLLAPSE:
		return madvise_collapse(pvma, start, end);
	case MADV_COLD:
	case MADV_PAGEOUT:
		return madvise_cold(vma, start, end, advice == MADV_PAGEOUT);
	default:
		return madvise_flags(pvma, start, end, advice);
	}
}

static int walk_vmas(struct mm_struct *mm, unsigned long start, unsigned long end, int advice)
{
	struct vm_area_struct *vma = find_vma(mm, start);
	bool hole = false;
	int err;

	for (;;) {
		if (!vma)
			return -ENOMEM;
		if (vma->vm_start > start) {
			hole = true;
			start = vma->vm_start;
			if (start >= end)
				break;
		}
		err = madvise_vma(&vma, start, min(end, vma->vm_end), advice);
		if (err)
			return err;
		start = vma->vm_end;
		if (start >= end)
			break;
		vma = vma_next(vma);
	}
	return hole ? -ENOMEM : 0;
}

/* Fault in what is mapped of [addr, end). Takes mmap_lock itself, VMA by VMA. */
static int madvise_populate(struct mm_struct *mm, unsigned long addr, unsigned long end, bool write)
{
	bool hole = false;
	int err = 0;

	while (addr < end && !err) {
		struct vm_area_struct *vma;
		unsigned long stop = 0;

		down_read(&mm->mmap_lock);
		vma = find_vma(mm, addr);
		if (vma) {
			hole |= vma->vm_start > addr;
			addr = max(addr, vma->vm_start);
			stop = min(end, vma->vm_end);
			if (addr < end &&
			    (!(vma->flags & (write ? VM_WRITE : VM_READ)) ||
			     vma->flags & (VM_IO | VM_PFNMAP) || mapping_is_secret(vma->mapping)))
				err = -EINVAL;
		} else {
			err = -ENOMEM;
		}
		up_read(&mm->mmap_lock);
		if (!err && addr < end)
			err = mm_populate_as(mm, addr, stop - addr,
					     write ? POPULATE_WRITE : POPULATE_READ);
		addr = stop;
	}
	return err ? err : hole ? -ENOMEM : 0;
}

int do_madvise(struct mm_struct *mm, unsigned long addr, unsigned long len, int advice)
{
	enum advice_kind kind = advice_kind(advice);
	unsigned long end = addr + ALIGN_UP(len, PAGE_SIZE);
	int err;

	if (kind == ADVICE_NONE || (addr & ~PAGE_MASK))
		return -EINVAL;
	if (end < addr || (len && !ALIGN_UP(len, PAGE_SIZE)))
		return -EINVAL;
	if (end == addr)
		return 0;
	if (kind == ADVICE_POPULATE)
		return madvise_populate(mm, addr, end, advice == MADV_POPULATE_WRITE);
	if (kind == ADVICE_INJECT)
		return madvise_inject_error(mm, addr, end,
					    advice == MADV_HWPOISON ? INJECT_HWPOISON
								    : INJECT_SOFT_OFFLINE);
	if (kind == ADVICE_FLAGS) {
		down_write(&mm->mmap_lock);
		err = walk_vmas(mm, addr, end, advice);
		up_write(&mm->mmap_lock);
		return err;
	}
	lru_add_drain();
	down_read(&mm->mmap_lock);
	err = walk_vmas(mm, addr, end, advice);
	up_read(&mm->mmap_lock);
	return err;
}
