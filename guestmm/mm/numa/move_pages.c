/*
 * Moving pages to other nodes on request: move_pages(2) for single pages, migrate_pages(2) for a whole address
 * space. Neither changes a policy.
 *
 * migrate_pages(): a node of `from` maps to the node of `to` of the same rank (round, if `to` has fewer). One
 * source node is emptied at a time. First comes a node whose target is not a source any more, so that no page is
 * moved twice (Linux, do_migrate_pages()).
 */
#include "lib/errno.h"
#include "mm/huge/hugetlb.h"
#include "mm/numa/mempolicy.h"
#include "mm/phys/internal.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/lru.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

/* A walk over addresses that mostly follow each other: the table is looked up anew where one does not. P held. */
struct walker {
	pte_t *leaf;
	unsigned int level;
	unsigned long from, next; /* what `leaf` and the entries behind it map */
};

/* The page at addr. NULL: *err is the status that move_pages(2) reports. P and mmap_lock held. */
static struct page *find_page(struct walker *w, struct vm_area_struct *vma, unsigned long addr,
			      int *err)
{
	pte_t e = __pte(0);

	if (addr - w->from >= w->next - w->from) {
		w->leaf = walk_leaf(vma->mm->pgd, addr, &w->level, &w->next);
		w->from = addr;
	}
	if (w->leaf)
		e = pte_read(w->level ? w->leaf : w->leaf + ((addr - w->from) >> PAGE_SHIFT));
	if (pte_present(e) && !pte_special(e))
		return pfn_to_page(pte_pfn(e));
	/* The zero page cannot be moved; anonymous memory that was never touched has no page. */
	*err = pte_present(e) || (pte_none(e) && !vma->mapping) ? -EFAULT : -ENOENT;
	return NULL;
}

/* The head of what is to move for addr. NULL: nothing, *err says why. P held. */
static struct page *page_to_move(struct walker *w, struct vm_area_struct *vma, unsigned long addr,
				 int nid, enum migrate_whose whose, int *err)
{
	struct page *page = find_page(w, vma, addr, err);

	if (!page)
		return NULL;
	*err = 0;
	if ((int)page_node_id(page) == nid)
		return NULL;
	*err = -EACCES;
	if (folio_page_mapcount(page) > 1 && whose != MIGRATE_SHARED_TOO)
		return NULL;
	*err = -EBUSY;
	page = &page_folio(page)->page; /* it moves as a whole */
	return page_is_movable(page) && !PageMovable(page) ? page : NULL;
}

unsigned long move_pages_isolate(struct mm_struct *mm, const unsigned long *addr, unsigned long n,
				 int nid, enum migrate_whose whose, struct list_head *list,
				 int *err)
{
	struct vm_area_struct *vma = NULL;
	struct page *found[MOVE_CHUNK];
	unsigned long nr = 0, taken;
	struct walker w = {0};

	n = min(n, MOVE_CHUNK);
	*err = 1;
	down_read(&mm->mmap_lock);
	spin_lock(&mm->page_table_lock);
	for (; nr < n && *err == 1; nr += *err == 1) {
		const unsigned long at = addr[nr];

		if (!vma || at < vma->vm_start || at >= vma->vm_end)
			vma = find_vma(mm, at);
		if (!vma || vma->vm_start > at) {
			*err = -EFAULT;
			break;
		}
		found[nr] = page_to_move(&w, vma, at & PAGE_MASK, nid, whose, err);
		if (found[nr])
			*err = 1;
	}
	/* While the lock is held nobody unmaps and frees them. */
	taken = lru_isolate_run(found, nr, list);
	if (taken < nr)
		*err = -EBUSY;
	spin_unlock(&mm->page_table_lock);
	if (*err == -EBUSY) {
		vma = find_vma(mm, addr[taken]);
		if (vma->flags & VM_HUGETLB)
			*err = hugetlb_migrate(vma, addr[taken], nid, whose);
	}
	up_read(&mm->mmap_lock);
	return taken;
}

int move_page_isolate(struct mm_struct *mm, unsigned long addr, int nid, enum migrate_whose whose,
		      struct list_head *list)
{
	int err;

	move_pages_isolate(mm, &addr, 1, nid, whose, list, &err);
	return err;
}

static struct folio *node_target(struct folio *src, void *private)
{
	const int nid = *(int *)private;
	const gfp_t gfp =
		GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;

	return (struct folio *)__alloc_pages_node(nid, migration_gfp(src, gfp), folio_order(src),
						  PAGE_OTHER);
}

int move_list_to_node(struct list_head *list, int nid)
{
	int stayed;

	if (list_empty(list))
		return 0;
	stayed = migrate_pages(list, node_target, NULL, &nid, MIGRATE_SYNC, MR_SYSCALL, NULL);
	if (!list_empty(list))
		putback_movable_pages(list);
	return stayed;
}

int page_node_at(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma;
	const struct page *page;
	struct walker w = {0};
	int nid = -EFAULT;

	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (vma && vma->vm_start <= addr) {
		spin_lock(&mm->page_table_lock);
		page = find_page(&w, vma, addr & PAGE_MASK, &nid);
		if (page)
			nid = page_node_id(page);
		spin_unlock(&mm->page_table_lock);
	}
	up_read(&mm->mmap_lock);
	return nid;
}

/* ---- a whole address space -------------------------------------------------------------------- */

int node_of_leaf(struct mm_struct *mm, unsigned long addr)
{
	unsigned int level;
	unsigned long next;
	const pte_t *leaf;
	int nid = -1;

	spin_lock(&mm->page_table_lock);
	leaf = walk_leaf(mm->pgd, addr, &level, &next);
	if (leaf && pte_present(pte_read(leaf)))
		nid = (int)page_node_id(pfn_to_page(pte_pfn(pte_read(leaf))));
	spin_unlock(&mm->page_table_lock);
	return nid;
}

/* mmap_lock held for reading. Take the pages of [addr, end), of one table or one huge page, that are on node
 * `from`. */
static void take_from_node(struct mm_struct *mm, unsigned long addr, unsigned long end, int from,
			   enum migrate_whose whose, struct list_head *list)
{
	unsigned int level;
	unsigned long next;
	pte_t *leaf;

	spin_lock(&mm->page_table_lock);
	leaf = walk_leaf(mm->pgd, addr, &level, &next);
	for (; leaf && addr < end; addr += level ? end - addr : PAGE_SIZE, leaf++) {
		pte_t e = pte_read(leaf);
		struct page *page;

		if (!pte_present(e) || pte_special(e))
			continue;
		page = pfn_to_page(pte_pfn(e));
		if ((int)page_node_id(page) != from ||
		    (folio_page_mapcount(page) > 1 && whose != MIGRATE_SHARED_TOO))
			continue;
		page = &page_folio(page)->page;
		if (isolate_movable_page(page))
			list_add_tail(&page->lru, list);
	}
	spin_unlock(&mm->page_table_lock);
}

/* mmap_lock held. Returns how many pages stayed. */
static int move_hugetlb_from(struct vm_area_struct *vma, int from, int to, enum migrate_whose whose)
{
	const unsigned long size = hstate_size(vma_hstate(vma));
	int stayed = 0;

	for (unsigned long addr = vma->vm_start; addr < vma->vm_end; addr += size) {
		if (node_of_leaf(vma->mm, addr) != from)
			continue;
		/* -EACCES: other processes map the page, too. It is not moved, and that is no failure. */
		int err = hugetlb_migrate(vma, addr, to, whose);

		stayed += err && err != -EACCES && err != -ENOENT;
		cond_resched();
	}
	return stayed;
}

static int migrate_to_node(struct mm_struct *mm, int from, int to, enum migrate_whose whose)
{
	struct vm_area_struct *vma;
	unsigned long next, stop;
	int stayed = 0, err;
	LIST_HEAD(list);

	down_read(&mm->mmap_lock);
	list_for_each_entry (vma, &mm->mmap, link) {
		if (vma->flags & VM_HUGETLB) {
			stayed += move_hugetlb_from(vma, from, to, whose);
			continue;
		}
		for (unsigned long addr = vma->vm_start; addr < vma->vm_end; addr = stop) {
			unsigned int level;

			walk_leaf(mm->pgd, addr, &level, &next);
			stop = min(next, vma->vm_end);
			take_from_node(mm, addr, stop, from, whose, &list);
			cond_resched();
		}
	}
	up_read(&mm->mmap_lock);
	err = move_list_to_node(&list, to);
	return err < 0 ? err : err + stayed;
}

/* Rank of node `nid` in a set that contains it. */
static unsigned int rank(u32 nodes, unsigned int nid)
{
	return __builtin_popcount(nodes & ((1u << nid) - 1));
}

static int mapped_node(u32 from, u32 to, unsigned int nid)
{
	unsigned int n = rank(from, nid) % (unsigned int)__builtin_popcount(to);

	while (n--)
		to &= to - 1;
	return __builtin_ctz(to);
}

long do_migrate_pages(struct mm_struct *mm, u32 from, u32 to, enum migrate_whose whose)
{
	u32 left = from & memory_nodes;
	long stayed = 0;

	if (!to)
		return 0;
	lru_add_drain_all();
	while (left) {
		int source = -1, dest = 0, n;

		for (unsigned int nid = 0; nid < MMVM_MAX_NODES; nid++) {
			if (!(left & 1u << nid))
				continue;
			/* If the sets differ in size, pages on a node of the target set stay. */
			if (__builtin_popcount(from) != __builtin_popcount(to) && (to & 1u << nid))
				continue;
			dest = mapped_node(from, to, nid);
			if (dest == (int)nid)
				continue;
			source = (int)nid;
			if (!(left & 1u << dest))
				break; /* the target is not a source any more */
		}
		if (source < 0)
			break;
		dest = mapped_node(from, to, source);
		left &= ~(1u << source);
		n = migrate_to_node(mm, source, dest, whose);
		if (n < 0)
			return n;
		stayed += n;
	}
	return stayed;
}
