/*
 * Policies of address ranges: mbind(2), set_mempolicy_home_node(2), and get_mempolicy(2) for an address.
 *
 * mbind() first looks at the pages in memory (STRICT: a page on another node ends it with -EIO; MOVE: such pages
 * are isolated). Then it sets the policy of the VMAs, and then moves the isolated pages.
 *
 * vma->policy_held: every anonymous page that the VMA maps is where a bind allows it. It is set when mbind()
 * leaves no page elsewhere, and cleared when a page is mapped that was not allocated for the VMA
 * (mempolicy_note_placement()): from swap, or moved on request. While it is set, a page
 * elsewhere is an error, which the audit finds from outside.
 *
 * Locks: mmap_lock for writing, from the look at the pages to the end of the move, as in Linux 6.1.
 */
#include "mm/numa/mempolicy.h"
#include "lib/errno.h"
#include "mm/huge/hugetlb.h"
#include "mm/phys/internal.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/lru.h"
#include "mm/rmap/migrate_entry.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

struct look {
	const struct nodemask *nodes;
	unsigned int move;	 /* MPOL_MF_* */
	bool stuck;		 /* some pages on other nodes cannot be isolated */
	bool hugetlb;		 /* some pages on other nodes are a pool's: move_hugetlb() */
	const struct page *last; /* the last huge page taken: more entries may map it */
	struct list_head pages;
};

static bool on_node_of(const struct page *page, const struct nodemask *nodes)
{
	return nodes->bits[0] >> page_node_id(page) & 1;
}

/* Handle a page that is on none of the nodes. 0, or -EIO to end the call. A huge page is isolated as a whole at its
 * first entry. P held. */
static int misplaced_page(struct look *l, struct page *page)
{
	struct page *head = &page_folio(page)->page;

	if (!(l->move & (MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)))
		return l->move & MPOL_MF_STRICT ? -EIO : 0;
	if (page->type == PAGE_HUGETLB) {
		l->hugetlb = true;
		return 0;
	}
	/* Pages that other processes map are not moved. */
	if (!(l->move & MPOL_MF_MOVE_ALL) && folio_page_mapcount(page) > 1)
		return 0;
	if (isolate_movable_page(head)) {
		list_add_tail(&head->lru, &l->pages);
		l->last = head;
	} else if ((l->move & MPOL_MF_STRICT) && head != l->last) {
		l->stuck = true;
	}
	return 0;
}

static int look_at_vma(struct look *l, struct vm_area_struct *vma, unsigned long start,
		       unsigned long end)
{
	struct mm_struct *mm = vma->mm;
	unsigned long next, stop;
	int err = 0;

	for (unsigned long addr = start; addr < end && !err; addr = stop) {
		unsigned int level;
		pte_t *leaf;

		cond_resched();
		spin_lock(&mm->page_table_lock);
		leaf = walk_leaf(mm->pgd, addr, &level, &next);
		stop = min(next, end);
		for (; leaf && addr < stop && !err; addr += PAGE_SIZE, leaf++) {
			pte_t e = pte_read(leaf);
			struct page *page;

			if (pte_present(e) && !pte_special(e)) {
				page = pfn_to_page(pte_pfn(e));
				if (!on_node_of(page, l->nodes))
					err = misplaced_page(l, page);
			}
			if (level)
				break;
		}
		spin_unlock(&mm->page_table_lock);
	}
	return err;
}

/* Check that the range is mapped without a hole, and look at the nodes of its pages. */
static int look_at_range(struct look *l, struct mm_struct *mm, unsigned long start,
			 unsigned long end, bool holes_ok)
{
	struct vm_area_struct *vma = find_vma_intersection(mm, start, end);
	int err = 0;

	if (!vma)
		return -EFAULT;
	if (vma->vm_start > start && !holes_ok)
		return -EFAULT;
	for (; vma && vma->vm_start < end && !err; vma = vma_next(vma)) {
		const struct vm_area_struct *next = vma_next(vma);

		if (!holes_ok && vma->vm_end < end && (!next || next->vm_start > vma->vm_end))
			return -EFAULT;
		err = look_at_vma(l, vma, max(start, vma->vm_start), min(end, vma->vm_end));
	}
	return err;
}

/* Set the policy of the part [start, end) of *vma. */
static int set_policy(struct vm_area_struct **vma, unsigned long start, unsigned long end,
		      struct mempolicy *pol)
{
	struct mempolicy *old = (*vma)->policy;
	int err;

	if (mpol_equal(old, pol))
		return 0;
	err = vma_cut_out(vma, start, end);
	if (err)
		return err;
	(*vma)->policy = mpol_get(pol);
	mpol_put(old);
	*vma = vma_merge_around(*vma);
	return 0;
}

/* Are all anonymous pages of the VMA where its bind allows them? */
static bool all_in_place(const struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->mm;
	unsigned long next, stop;
	bool yes = true;

	for (unsigned long addr = vma->vm_start; addr < vma->vm_end && yes; addr = stop) {
		unsigned int level;
		pte_t *leaf;

		cond_resched();
		spin_lock(&mm->page_table_lock);
		leaf = walk_leaf(mm->pgd, addr, &level, &next);
		stop = min(next, vma->vm_end);
		for (; leaf && addr < stop && yes;
		     addr += level ? stop - addr : PAGE_SIZE, leaf++) {
			pte_t e = pte_read(leaf);
			const struct page *page;

			if (!pte_present(e) || pte_special(e))
				continue;
			page = &pfn_folio(pte_pfn(e))->page;
			yes = !PageAnon(page) || (vma->policy->nodes & 1u << page_node_id(page));
		}
		spin_unlock(&mm->page_table_lock);
	}
	return yes;
}

static void note_held(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = find_vma_intersection(mm, start, end);

	for (; vma && vma->vm_start < end; vma = vma_next(vma))
		vma->policy_held =
			vma->policy && vma->policy->mode == MPOL_BIND && all_in_place(vma);
}

/* Move each page to the first node of the set that has room. Returns how many stayed. mmap_lock held. */
static int move_hugetlb(const struct look *l, struct mm_struct *mm, unsigned long start,
			unsigned long end)
{
	struct vm_area_struct *vma = find_vma_intersection(mm, start, end);
	int stayed = 0;

	for (; vma && vma->vm_start < end; vma = vma_next(vma)) {
		unsigned long addr = max(start, vma->vm_start), stop = min(end, vma->vm_end);

		if (!(vma->flags & VM_HUGETLB))
			continue;
		for (; addr < stop; addr += hugetlb_step(vma, addr)) {
			int nid = node_of_leaf(mm, addr), err = -ENOMEM;

			if (nid < 0 || l->nodes->bits[0] >> nid & 1)
				continue;
			for (nid = 0; err == -ENOMEM && nid < MMVM_MAX_NODES; nid++)
				if (l->nodes->bits[0] >> nid & 1)
					err = hugetlb_migrate(vma, addr, nid,
							      l->move & MPOL_MF_MOVE_ALL
								      ? MIGRATE_SHARED_TOO
								      : MIGRATE_OWN);
			stayed += err && err != -EACCES;
		}
	}
	return stayed;
}

static int set_range_policy(struct mm_struct *mm, unsigned long start, unsigned long end,
			    struct mempolicy *pol)
{
	struct vm_area_struct *vma = find_vma_intersection(mm, start, end);
	int err = 0;

	while (vma && vma->vm_start < end && !err) {
		err = set_policy(&vma, max(start, vma->vm_start), min(end, vma->vm_end), pol);
		vma = vma_next(vma);
	}
	return err;
}

static struct folio *policy_target(struct folio *src, void *pol)
{
	const gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;

	return (struct folio *)mempolicy_alloc_at(pol, src->page.index, migration_gfp(src, gfp),
						  folio_order(src), PAGE_OTHER);
}

long do_mbind(struct mm_struct *mm, unsigned long start, unsigned long len, u16 mode, u16 flags,
	      const struct nodemask *nodes, unsigned int move)
{
	struct look l = {.nodes = nodes, .pages = LIST_HEAD_INIT(l.pages)};
	unsigned long end;
	struct mempolicy *pol;
	int err, stayed = 0;

	if (start & ~PAGE_MASK)
		return -EINVAL;
	if (mode == MPOL_DEFAULT)
		move &= ~MPOL_MF_STRICT;
	end = start + ALIGN_UP(len, PAGE_SIZE);
	if (end < start)
		return -EINVAL;
	if (end == start)
		return 0;
	err = mpol_new(mode, flags, nodes, &pol);
	if (err)
		return err;
	l.move = move;
	if (move & (MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		lru_add_drain_all();
	down_write(&mm->mmap_lock);
	err = look_at_range(&l, mm, start, end, !pol);
	if (!err)
		err = set_range_policy(mm, start, end, pol);
	if (!err && !list_empty(&l.pages))
		stayed = migrate_pages(&l.pages, policy_target, NULL, pol, MIGRATE_SYNC,
				       MR_MEMPOLICY_MBIND, NULL);
	if (!err && l.hugetlb)
		stayed |= move_hugetlb(&l, mm, start, end);
	if (!list_empty(&l.pages))
		putback_movable_pages(&l.pages);
	if (pol && mode == MPOL_BIND)
		note_held(mm, start, end);
	up_write(&mm->mmap_lock);
	mpol_put(pol);
	if (!err && (l.stuck || (stayed && (move & MPOL_MF_STRICT))))
		err = -EIO;
	return err;
}

long do_set_home_node(struct mm_struct *mm, unsigned long start, unsigned long len,
		      unsigned long home)
{
	unsigned long end = start + ALIGN_UP(len, PAGE_SIZE);
	struct vm_area_struct *vma;
	int err = -ENOENT;

	if ((start & ~PAGE_MASK) || home >= MMVM_MAX_NODES || !(memory_nodes & 1u << home) ||
	    end < start)
		return -EINVAL;
	if (end == start)
		return 0;
	down_write(&mm->mmap_lock);
	vma = find_vma_intersection(mm, start, end);
	for (; vma && vma->vm_start < end; vma = vma_next(vma)) {
		struct mempolicy *new;

		if (!vma->policy)
			continue;
		if (vma->policy->mode != MPOL_BIND && vma->policy->mode != MPOL_PREFERRED_MANY) {
			err = -EOPNOTSUPP;
			break;
		}
		new = mpol_with_home(vma->policy, (int)home);
		if (!new) {
			err = -ENOMEM;
			break;
		}
		err = set_policy(&vma, max(start, vma->vm_start), min(end, vma->vm_end), new);
		mpol_put(new);
		if (err)
			break;
	}
	up_write(&mm->mmap_lock);
	return err;
}

int mempolicy_at(struct mm_struct *mm, unsigned long addr, struct mempolicy **pol)
{
	const struct vm_area_struct *vma;
	int err = -EFAULT;

	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (vma && vma->vm_start <= addr) {
		*pol = mpol_get(vma->policy);
		err = 0;
	}
	up_read(&mm->mmap_lock);
	return err;
}

/* The frame at addr, a zero page too. NULL: none. P held. */
static struct page *page_at(struct mm_struct *mm, unsigned long addr)
{
	unsigned long next;
	unsigned int level;
	pte_t *leaf = walk_leaf(mm->pgd, addr, &level, &next);
	pte_t e = leaf ? pte_read(leaf) : __pte(0);

	return pte_present(e) ? pfn_to_page(pte_pfn(e)) : NULL;
}

int node_of_address(struct mm_struct *mm, unsigned long addr)
{
	/* A page that was faulted in may be reclaimed before it is looked up: try a limited number of times. */
	for (int i = 0; i < 16; i++) {
		const struct page *page;
		int nid = -1;

		spin_lock(&mm->page_table_lock);
		page = page_at(mm, addr & PAGE_MASK);
		if (page)
			nid = page_node_id(page);
		spin_unlock(&mm->page_table_lock);
		if (nid >= 0)
			return nid;
		if (mm_populate_as(mm, addr & PAGE_MASK, PAGE_SIZE, POPULATE_READ))
			break;
	}
	return -EFAULT;
}
