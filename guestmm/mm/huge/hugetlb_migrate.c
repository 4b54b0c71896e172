/*
 * A huge page of a pool moves to another node: move_pages(2), migrate_pages(2), mbind(2).
 *
 *   protect    every leaf loses its write permission
 *   check      nobody holds the page but its leaves, its file and us
 *   copy       readers go on: both frames hold the same
 *   exchange   the file's slot, then each leaf, names the new frame
 *   free       the old frame: to the pool, or to the buddy if the new one came from there
 *
 * No migration entries are needed. A write needs a leaf that is writable, and only a fault makes one, which
 * waits for the file's mutex (mprotect(2) leaves PG_migrating pages read-only, large.c). Nobody gives the
 * write permission back afterwards: the next write fault finds that nothing has to be copied.
 *
 * G1  From `protect` to the end both frames have PG_migrating and the file's mutex is held.
 * G2  Every leaf of the page, private ones too, lies in a VMA of its file's i_mmap, at the page's index.
 *
 * Locks: mmap_lock > file's mutex > i_mmap_lock > page_table_lock; mapping->lock.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/huge/hugetlb.h"
#include "mm/phys/internal.h"
#include "mm/phys/migrate.h"
#include "mm/virt/large.h"
#include "mm/virt/rmap.h"
#include "mm/virt/vma.h"

struct huge_move {
	struct address_space *mapping;
	struct hstate *h;
	unsigned long index; /* of the huge page in the file */
	unsigned int level;
	struct page *old, *new;
};

/* P held: the leaf maps m->old. */
typedef void (*leaf_fn)(struct huge_move *m, struct mm_struct *mm, unsigned long addr, pte_t *leaf);

static void each_leaf(struct huge_move *m, leaf_fn what)
{
	const unsigned long first = m->index << m->h->order;
	const unsigned long last = first + (1ul << m->h->order) - 1;
	struct vm_area_struct *vma;

	spin_lock(&m->mapping->i_mmap_lock);
	for (vma = i_mmap_first(m->mapping, first, last); vma;
	     vma = i_mmap_next(vma, first, last)) {
		const unsigned long addr = vma->vm_start + ((first - vma->pgoff) << PAGE_SHIFT);
		pte_t *leaf;

		spin_lock(&vma->mm->page_table_lock);
		leaf = walk_level(vma->mm->pgd, addr, m->level);
		if (leaf && pte_huge(pte_read(leaf)) &&
		    pte_pfn(pte_read(leaf)) == page_to_pfn(m->old))
			what(m, vma->mm, addr, leaf);
		spin_unlock(&vma->mm->page_table_lock);
	}
	spin_unlock(&m->mapping->i_mmap_lock);
}

static void protect_leaf(struct huge_move *m, struct mm_struct *mm, unsigned long addr, pte_t *leaf)
{
	if (!pte_write(pte_read(leaf)))
		return;
	/* Only this bit: a CPU may be setting A and D. */
	atomic_and(&leaf->v, ~_PAGE_RW);
	flush_tlb_page(mm, addr);
}

static void switch_leaf(struct huge_move *m, struct mm_struct *mm, unsigned long addr, pte_t *leaf)
{
	pte_t e = pte_get_and_clear(leaf);

	/* Before the old frame is freed, and before anybody can write the new one. */
	flush_tlb_page(mm, addr);
	trace_point(UNMAP, addr, .pfn = pte_pfn(e), .mm = trace_mm_id(mm),
		    .arg = TRACE_UNMAP_MIGRATE, .order = m->h->order);
	get_page(m->new);
	hugetlb_add_rmap(m->new, 1);
	trace_point(MAP, addr, .pfn = page_to_pfn(m->new), .mm = trace_mm_id(mm),
		    .arg = TRACE_MAP_MIGRATE, .order = m->h->order);
	pte_set(leaf, __pte((e.v & ~PTE_PFN_MASK) | (u64)page_to_pfn(m->new) << PAGE_SHIFT));
	hugetlb_add_rmap(m->old, -1);
	atomic_sub(&m->old->refcount, 1); /* the leaf's; ours is there */
}

/* References: of the leaves, of the file, ours. */
static bool nobody_else(const struct huge_move *m)
{
	return page_ref_count(m->old) ==
	       hugetlb_mapcount(m->old) + (m->old->mapping == m->mapping) + 1;
}

/* The new frame is the page. False: somebody has come, and the old one still is. */
static bool exchange(struct huge_move *m)
{
	unsigned long flags = spin_lock_irqsave(&m->mapping->lock);
	const bool in_file = m->old->mapping == m->mapping, alone = nobody_else(m);

	if (alone) {
		m->new->mapping = m->old->mapping;
		m->new->index = m->old->index;
		m->new->private_ = m->old->private_; /* the mount counts it as before */
	}
	if (alone && in_file) {
		get_page(m->new);
		radix_replace(&m->mapping->pages, m->index, m->new);
		atomic_sub(&m->old->refcount, 1); /* the file's */
	}
	spin_unlock_irqrestore(&m->mapping->lock, flags);
	if (!alone)
		return false;
	/* A fork that copies a leaf meanwhile may put the copy where the walk has been already. */
	while (hugetlb_mapcount(m->old)) {
		each_leaf(m, switch_leaf);
		cond_resched();
	}
	m->old->mapping = NULL;
	m->old->private_ = 0;
	return true;
}

static int move(struct huge_move *m)
{
	int err = -EAGAIN;

	SetPageMigrating(m->old);
	SetPageMigrating(m->new);
	each_leaf(m, protect_leaf);
	if (nobody_else(m)) {
		hugetlb_copy_page(m->new, m->old);
		err = exchange(m) ? 0 : -EAGAIN;
	}
	ClearPageMigrating(m->old);
	ClearPageMigrating(m->new);
	if (err)
		return err;
	for (unsigned long i = 0; i < 1ul << m->h->order; i++)
		trace_point(MIGRATE, page_to_pfn(m->new) + i, .pfn = page_to_pfn(m->old) + i,
			    .arg = MR_SYSCALL);
	count_vm_events(PGMIGRATE_SUCCESS, 1l << m->h->order);
	return 0;
}

/* The page at addr, with a reference. 0 or -ENOENT, -EACCES: others map it, too. */
static int take_old(struct huge_move *m, struct mm_struct *mm, unsigned long addr, bool shared_too)
{
	int err = -ENOENT;
	pte_t *leaf;

	spin_lock(&mm->page_table_lock);
	leaf = walk_level(mm->pgd, addr, m->level);
	if (leaf && pte_huge(pte_read(leaf))) {
		m->old = pfn_to_page(pte_pfn(pte_read(leaf)));
		err = !shared_too && hugetlb_mapcount(m->old) > 1 ? -EACCES : 0;
		if (!err)
			get_page(m->old);
	}
	spin_unlock(&mm->page_table_lock);
	return err;
}

int hugetlb_migrate(struct vm_area_struct *vma, unsigned long addr, int nid, bool shared_too)
{
	struct hugetlb_file *hf = hugetlb_file(vma->mapping);
	struct huge_move m = {.mapping = vma->mapping, .h = hf->h, .level = hstate_level(hf->h)};
	bool fresh;
	int err;

	addr &= ~(level_size(m.level) - 1);
	m.index = vma_huge_index(vma, addr);
	mutex_lock(&hf->mutex);
	err = take_old(&m, vma->mm, addr, shared_too);
	if (err)
		goto unlock;
	if ((int)page_node_id(m.old) == nid)
		goto put;
	m.new = hugetlb_take_target(m.h, nid, &fresh);
	if (!m.new) {
		err = -ENOMEM;
		goto put;
	}
	err = move(&m);
	if (err)
		count_vm_events(PGMIGRATE_FAIL, 1l << m.h->order);
	if (fresh)
		hugetlb_drop_frame(m.h, err ? m.new : m.old, err ? NULL : m.new);
	else if (err)
		put_page(m.new);
	if (!err)
		put_page(m.new); /* ours; the leaves and the file have theirs */
	if (!err && fresh)
		goto unlock; /* that was m.old */
put:
	put_page(m.old);
unlock:
	mutex_unlock(&hf->mutex);
	return err;
}
