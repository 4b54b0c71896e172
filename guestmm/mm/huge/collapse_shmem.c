/*
 * Collapse of shared memory: madvise(MADV_COLLAPSE) and khugepaged replace the pages of 2 MiB of a file by one huge
 * page. The old pages may be in memory, in swap, or not allocated yet.
 *
 *   look       khugepaged alone: max_ptes_none limits the pages that are not in memory, max_ptes_swap those
 *              in swap. Who shares them does not matter: nobody gets a copy, all map the same folio.
 *   read       what is in swap
 *   take       each page locked (trylock), off the LRU; then no entry maps any of them, in any process, and
 *              the only references are the cache's and ours: who wants to read or write waits for a lock
 *   copy       nobody else can look
 *   exchange   under the mapping's lock: the counts are frozen, the slots name the parts of the folio
 *   map        the caller's PTE table, which is empty now, is freed; for MADV_COLLAPSE a PMD maps the folio at
 *              once. Others map it by their next fault.
 *
 * If anybody else holds a reference on one of the pages, the collapse fails with -EAGAIN.
 *
 * Locks: mmap_lock for writing > page locks (trylock) > i_mmap_lock > page_table_lock; page locks >
 * address_space lock.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "mm/cache/shmem.h"
#include "mm/phys/highmem.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/fault/fault.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

struct shmem_collapse {
	struct mm_struct *mm;
	unsigned long haddr, first; /* index of haddr in the file */
	struct vm_area_struct *vma; /* valid while mmap_lock is held */
	struct address_space *mapping;
	struct folio *folio;
	struct list_head pages; /* the pages that were taken */
	unsigned int nr;	/* of them */
	enum thp_asker asker;	/* THP_BY_ADVICE: khugepaged's limits and settings do not apply */
};

/* mmap_lock held. 0; -EOPNOTSUPP: no shared memory is mapped there; -EINVAL. */
static int find(struct shmem_collapse *c)
{
	struct vm_area_struct *vma = find_vma(c->mm, c->haddr);

	if (!vma || vma->vm_start > c->haddr || !vma->mapping || !(vma->mapping->flags & AS_SHMEM))
		return -EOPNOTSUPP;
	c->vma = vma;
	c->mapping = vma->mapping;
	c->first = linear_page_index(vma, c->haddr);
	if (!thp_fits(vma, c->haddr) || shmem_create_for(vma) == SHMEM_CREATE_SMALL ||
	    c->first & (HPAGE_PMD_NR - 1) ||
	    c->first + HPAGE_PMD_NR > DIV_ROUND_UP(READ_ONCE(c->mapping->size), PAGE_SIZE))
		return -EINVAL;
	return c->asker == THP_BY_ADVICE ||
			       shmem_huge_wanted(c->mapping, c->first, shmem_create_for(vma))
		       ? 0
		       : -EINVAL;
}

/* For khugepaged. mmap_lock held. 0: it is worth it; -EEXIST: a PMD maps it already; -EAGAIN. */
static int look(struct shmem_collapse *c)
{
	pte_t *pmd = walk_level(c->mm->pgd, c->haddr, PT_LEVEL_PMD);
	unsigned int present = 0, swapped = 0;
	unsigned long at = c->first, flags;
	void *item;
	int err = 0;

	if (pmd && pte_huge(pte_read(pmd)))
		return -EEXIST;
	flags = spin_lock_irqsave(&c->mapping->lock);
	while (!err && (item = radix_next(&c->mapping->pages, &at)) &&
	       at < c->first + HPAGE_PMD_NR) {
		at++;
		if (!radix_is_value(item))
			present++;
		else if (khugepaged_exceeds(++swapped, khugepaged.max_ptes_swap,
					    THP_SCAN_EXCEED_SWAP_PTE))
			err = -EAGAIN;
	}
	spin_unlock_irqrestore(&c->mapping->lock, flags);
	if (!err && khugepaged_exceeds(HPAGE_PMD_NR - present, khugepaged.max_ptes_none,
				       THP_SCAN_EXCEED_NONE_PTE))
		err = -EAGAIN;
	return err;
}

/* Read the range's pages from swap. mmap_lock held for reading. -EEXIST: one large folio covers the range
 * already. */
static int read_swapped(struct shmem_collapse *c)
{
	for (unsigned long i = c->first; i < c->first + HPAGE_PMD_NR; i++) {
		struct page *page;
		int err;

		if (i > c->first && shmem_resident(c->mapping, i))
			continue;
		err = shmem_get_page(c->mapping, i, SHMEM_FIND, &page, NULL);
		if (err && err != -ENOENT)
			return err;
		if (err)
			continue;
		if (page_in_thp(page))
			err = -EEXIST;
		shmem_put_page(page);
		if (err)
			return err;
	}
	return 0;
}

/* ---- taking ------------------------------------------------------------------------------------- */

/* The page at the index, with a reference. NULL: the cache holds no page there, or *err is set. */
static struct page *look_up(struct shmem_collapse *c, unsigned long index, int *err)
{
	unsigned long flags = spin_lock_irqsave(&c->mapping->lock);
	struct page *page = radix_lookup(&c->mapping->pages, index);

	*err = 0;
	if (page && radix_is_value(page))
		*err = -EAGAIN; /* it was swapped out again */
	else if (page && page_in_thp(page))
		*err = -EEXIST;
	else if (page)
		get_page(page);
	spin_unlock_irqrestore(&c->mapping->lock, flags);
	return *err ? NULL : page;
}

static int take_page(struct shmem_collapse *c, struct page *page, unsigned long index)
{
	int err = -EAGAIN;

	if (!trylock_page(page)) {
		release_page(page);
		return err;
	}
	if (page_mapping_file(page) == c->mapping && page->index == index &&
	    !PageUnevictable(page) && lru_isolate(page)) {
		list_add_tail(&page->lru, &c->pages);
		c->nr++;
		err = 0;
	} else {
		unlock_page(page);
	}
	release_page(page); /* the reference that look_up() took */
	return err;
}

static int take_pages(struct shmem_collapse *c)
{
	struct page *page;

	for (unsigned long i = c->first; i < c->first + HPAGE_PMD_NR; i++) {
		int err;

		page = look_up(c, i, &err);
		if (page)
			err = take_page(c, page, i);
		if (err)
			return err;
	}
	unmap_mapping_range(c->mapping, c->first, c->first + HPAGE_PMD_NR, LEAVE_COPIES);
	/* A thread that now finds one of them waits for its lock before it looks at the contents. */
	list_for_each_entry (page, &c->pages, lru) {
		if (page_ref_count(page) != 2 || page_mapped(page))
			return -EAGAIN;
	}
	return 0;
}

static void copy(struct shmem_collapse *c)
{
	unsigned long next = c->first;
	struct page *page;

	list_for_each_entry (page, &c->pages, lru) {
		for (; next < page->index; next++)
			clear_highpage(folio_page(c->folio, next - c->first));
		copy_highpage(folio_page(c->folio, next++ - c->first), page);
	}
	for (; next < c->first + HPAGE_PMD_NR; next++)
		clear_highpage(folio_page(c->folio, next - c->first));
}

/* ---- exchange ----------------------------------------------------------------------------------- */

/* Freeze the counts of the pages at 0 if the cache and we hold the only references. mapping->lock held, so nobody
 * can look a page up meanwhile. False: some page has another reference; nothing is frozen. */
static bool freeze(struct shmem_collapse *c)
{
	unsigned int frozen = 0;
	struct page *page;

	list_for_each_entry (page, &c->pages, lru) {
		if (atomic_cmpxchg(&page->refcount, 2, 0) != 2)
			break;
		frozen++;
	}
	if (frozen == c->nr)
		return true;
	list_for_each_entry (page, &c->pages, lru) {
		if (!frozen--)
			break;
		atomic_store(&page->refcount, 2);
	}
	return false;
}

static void forget_pages(struct shmem_collapse *c)
{
	struct page *page;

	list_for_each_entry (page, &c->pages, lru) {
		radix_delete(&c->mapping->pages, page->index);
		page->mapping = NULL;
		page_stat_add(page, NR_SHMEM, -1);
		page_stat_add(page, NR_FILE_PAGES, -1);
		atomic_store(&page->refcount, 1); /* ours */
	}
	c->mapping->nrpages -= c->nr;
}

/* Replace the pages in the tree by the folio. False: the pages in the tree have changed, or one is in use. */
static bool exchange(struct shmem_collapse *c, struct radix_preload *nodes)
{
	unsigned long flags = spin_lock_irqsave(&c->mapping->lock);
	unsigned long at = c->first, found = 0;
	bool done = false;

	/* Count the pages: another thread may have added one in the meantime. */
	while (radix_next(&c->mapping->pages, &at) && at < c->first + HPAGE_PMD_NR) {
		at++;
		found++;
	}
	if (found == c->nr && freeze(c)) {
		forget_pages(c);
		done = !shmem_insert_folio(c->mapping, c->folio, c->first, nodes);
		VM_BUG_ON(!done);
	}
	spin_unlock_irqrestore(&c->mapping->lock, flags);
	return done;
}

static int replace(struct shmem_collapse *c)
{
	unsigned int holes = HPAGE_PMD_NR - c->nr;
	struct radix_preload nodes;
	int err;

	if (!shmem_charge(c->mapping, holes))
		return -ENOMEM;
	/* The tree may be empty by then, or high. */
	err = radix_preload_run(&nodes, NULL, c->first, HPAGE_PMD_NR, GFP_KERNEL);
	if (err)
		goto uncharge;
	copy(c);
	shmem_prepare_folio(c->mapping, c->folio, c->first);
	if (!exchange(c, &nodes)) {
		shmem_forget_folio(c->folio);
		err = -EAGAIN;
	}
	radix_preload_end(&nodes);
	if (!err)
		return 0;
uncharge:
	shmem_uncharge(c->mapping, holes);
	return err;
}

/* ---- the caller's PMD ---------------------------------------------------------------------------- */

/* Take the PTE table of the range out of the page-table tree. mmap_lock held for writing. NULL: there is no table,
 * or some of its entries are in use. */
static struct page *retract_table(struct shmem_collapse *c)
{
	pte_t *pmd = walk_level(c->mm->pgd, c->haddr, PT_LEVEL_PMD), *pte;
	struct page *table = NULL;

	if (!pmd || !pte_read(pmd).v || pte_huge(pte_read(pmd)))
		return NULL;
	/* Unmapping the file walks page tables under i_mmap_lock alone. */
	spin_lock(&c->mapping->i_mmap_lock);
	spin_lock(&c->mm->page_table_lock);
	pte = pte_table(pte_read(pmd));
	for (unsigned int i = 0; i < HPAGE_PMD_NR; i++)
		if (pte_read(&pte[i]).v)
			goto out;
	table = pfn_to_page(pte_pfn(pte_read(pmd)));
	pte_set(pmd, __pte(0));
	flush_tlb_mm(c->mm); /* paging-structure caches as well */
out:
	spin_unlock(&c->mm->page_table_lock);
	spin_unlock(&c->mapping->i_mmap_lock);
	return table;
}

/* Free the range's PTE table, so that a PMD can map the folio. MADV_COLLAPSE maps it now; after khugepaged the
 * program's next fault does. mmap_lock held for writing. */
static void map_huge(struct shmem_collapse *c)
{
	struct vm_fault vmf = {.mm = c->mm, .vma = c->vma, .addr = c->haddr};
	struct page *table = retract_table(c);

	if (c->asker == THP_BY_ADVICE)
		shmem_huge_fault(&vmf);
	if (table)
		pgtable_free(c->mm, table);
}

/* The page is huge already, but PTEs map it, or nothing does: map it by a PMD. */
static int map_locked(struct shmem_collapse *c)
{
	int err = find(c);

	if (!err)
		map_huge(c);
	return err ? err : -EEXIST;
}

/* mmap_lock for writing. */
static int collapse_locked(struct shmem_collapse *c)
{
	int err = find(c);

	if (!err)
		err = take_pages(c);
	if (!err)
		err = replace(c);
	collapse_give_back(&c->pages);
	if (!err) {
		lru_add(&c->folio->page);
		folio_unlock(c->folio);
		shmem_huge_allow();
	}
	if (!err || err == -EEXIST)
		map_huge(c);
	return err;
}

int shmem_collapse(struct mm_struct *mm, unsigned long haddr, enum thp_asker asker)
{
	struct shmem_collapse c = {.mm = mm, .haddr = haddr, .asker = asker};
	bool mapped;
	int err;

	INIT_LIST_HEAD(&c.pages);
	down_read(&mm->mmap_lock);
	err = find(&c);
	if (!err && asker != THP_BY_ADVICE)
		err = look(&c);
	mapped = err == -EEXIST;
	if (!err)
		err = read_swapped(&c);
	up_read(&mm->mmap_lock);
	if (err == -EEXIST && !mapped) {
		down_write(&mm->mmap_lock);
		err = map_locked(&c);
		up_write(&mm->mmap_lock);
	}
	if (err)
		return err;
	c.folio =
		(struct folio *)alloc_pages_type(collapse_gfp(asker), HPAGE_PMD_ORDER, PAGE_SHMEM);
	if (!c.folio) {
		count_vm_event(THP_COLLAPSE_ALLOC_FAILED);
		return -ENOMEM;
	}
	if (mem_cgroup_charge(&c.folio->page, mm, GFP_KERNEL)) {
		folio_put(c.folio);
		return -EBUSY;
	}
	count_vm_event(THP_COLLAPSE_ALLOC);
	mem_cgroup_count_page(&c.folio->page, THP_COLLAPSE_ALLOC);
	lru_add_drain_all(); /* a batch holds references */
	down_write(&mm->mmap_lock);
	err = collapse_locked(&c);
	up_write(&mm->mmap_lock);
	release_page(&c.folio->page); /* the cache has its own */
	return err;
}
