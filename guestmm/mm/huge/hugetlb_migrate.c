/*
 * A huge page of a pool moves: to another node by move_pages(2), migrate_pages(2), mbind(2); out of the way of
 * alloc_contig_range().
 *
 *   protect    every leaf loses its write permission
 *   check      the only references are those of its leaves, its file and ours
 *   copy       readers continue: both frames have the same contents
 *   exchange   the file's slot, then each leaf, names the new frame
 *   free       the old frame: to the pool, or to the buddy if the new one came from there
 *
 * No migration entries are needed. A write needs a writable leaf. Only a fault makes one, and the fault waits for
 * the file's mutex; mprotect(2) leaves PG_migrating pages read-only (large.c). The write permission is not restored
 * afterwards: the next write fault finds that nothing has to be copied, and restores it.
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
#include "mm/move/migrate.h"
#include "mm/pgtable/large.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"

struct huge_move {
	struct address_space *mapping;
	struct hstate *h;
	unsigned long index; /* of the huge page in the file */
	unsigned int level;
	enum migrate_reason reason;
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
	/* Only this bit: a CPU may be setting A and D. */
	if (pte_write(pte_read(leaf)))
		atomic_and(&leaf->v, ~_PAGE_RW);
	/* An mprotect or a fork of that process may have made the leaf read-only without having flushed the TLBs
	 * yet. Flush here: a write through an old translation after the copy would be lost. */
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
	atomic_sub(&m->old->refcount, 1); /* the leaf's reference; ours keeps the page */
}

/* Are the only references those of the leaves, of the file, and ours? */
static bool nobody_else(const struct huge_move *m)
{
	return page_ref_count(m->old) ==
	       hugetlb_mapcount(m->old) + (m->old->mapping == m->mapping) + 1;
}

/* Put the new frame into the file's tree. False: somebody has taken a reference, and the old frame stays. */
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
	/* Repeat: a fork may copy a leaf to a VMA that the walk has passed already. */
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
			    .arg = m->reason);
	count_vm_events(PGMIGRATE_SUCCESS, 1l << m->h->order);
	return 0;
}

/* The page at addr, with a reference. 0 or -ENOENT, -EACCES: others map it, too. */
static int take_old(struct huge_move *m, struct mm_struct *mm, unsigned long addr,
		    enum migrate_whose whose)
{
	int err = -ENOENT;
	pte_t *leaf;

	spin_lock(&mm->page_table_lock);
	leaf = walk_level(mm->pgd, addr, m->level);
	if (leaf && pte_huge(pte_read(leaf))) {
		m->old = pfn_to_page(pte_pfn(pte_read(leaf)));
		err = whose != MIGRATE_SHARED_TOO && hugetlb_mapcount(m->old) > 1 ? -EACCES : 0;
		if (!err)
			get_page(m->old);
	}
	spin_unlock(&mm->page_table_lock);
	return err;
}

/* Where the new frame comes from: the pool, or the buddy for this move. */
enum new_frame { POOL_FRAME, FRESH_FRAME };

/* Both frames held, the file's mutex held, which is released, and both references are dropped. */
static int move_and_settle(struct huge_move *m, struct hugetlb_file *hf, enum new_frame from)
{
	int err = move(m);

	if (err)
		count_vm_events(PGMIGRATE_FAIL, 1l << m->h->order);
	if (from == FRESH_FRAME)
		hugetlb_drop_frame(m->h, err ? m->new : m->old, err ? NULL : m->new);
	else if (err)
		put_page(m->new);
	if (!err)
		put_page(m->new); /* ours; the leaves and the file have theirs */
	if (err || from != FRESH_FRAME)
		put_page(m->old); /* else it is in the buddy already */
	mutex_unlock(&hf->mutex);
	return err;
}

int hugetlb_migrate(struct vm_area_struct *vma, unsigned long addr, int nid,
		    enum migrate_whose whose)
{
	struct hugetlb_file *hf = hugetlb_file(vma->mapping);
	struct huge_move m = {.mapping = vma->mapping,
			      .h = hf->h,
			      .level = hstate_level(hf->h),
			      .reason = MR_SYSCALL};
	bool fresh;
	int err;

	addr &= ~(level_size(m.level) - 1);
	m.index = vma_huge_index(vma, addr);
	mutex_lock(&hf->mutex);
	err = take_old(&m, vma->mm, addr, whose);
	if (err)
		goto unlock;
	if ((int)page_node_id(m.old) == nid)
		goto put;
	m.new = hugetlb_take_target(m.h, nid, &fresh);
	if (!m.new) {
		err = -ENOMEM;
		goto put;
	}
	return move_and_settle(&m, hf, fresh ? FRESH_FRAME : POOL_FRAME);
put:
	put_page(m.old);
unlock:
	mutex_unlock(&hf->mutex);
	return err;
}

/* ---- out of a range --------------------------------------------------------------------------- */

/* A new frame outside of [start, end), which no pool counts; NULL: there is none. */
static struct page *frame_outside(struct hstate *h, int nid, pfn_t start, pfn_t end)
{
	struct page *tried[4], *head = NULL;
	unsigned int nr = 0;

	while (!head && nr < ARRAY_SIZE(tried)) {
		struct page *page = hugetlb_new_frame(h, nid);

		if (!page)
			break;
		if (page_to_pfn(page) + (1ul << h->order) <= start || page_to_pfn(page) >= end)
			head = page;
		else
			tried[nr++] = page;
	}
	while (nr)
		hugetlb_drop_frame(h, tried[--nr], NULL);
	return head;
}

/* Move the page at addr if its frame is in the range. mmap_lock held. The file's mutex is tried, not waited for:
 * its holder may be the one who needs the range. */
static void move_out_one(struct vm_area_struct *vma, unsigned long addr, pfn_t start, pfn_t end)
{
	struct hugetlb_file *hf = hugetlb_file(vma->mapping);
	struct huge_move m = {.mapping = vma->mapping,
			      .h = hf->h,
			      .level = hstate_level(hf->h),
			      .reason = MR_CONTIG_RANGE};

	if (!mutex_trylock(&hf->mutex))
		return;
	if (take_old(&m, vma->mm, addr, MIGRATE_SHARED_TOO))
		goto unlock;
	m.index = vma_huge_index(vma, addr);
	if (page_to_pfn(m.old) >= end || page_to_pfn(m.old) + (1ul << m.h->order) <= start)
		goto put;
	m.new = frame_outside(m.h, (int)page_node_id(m.old), start, end);
	if (!m.new)
		goto put;
	move_and_settle(&m, hf, FRESH_FRAME);
	return;
put:
	put_page(m.old);
unlock:
	mutex_unlock(&hf->mutex);
}

static void move_out_of_mm(struct mm_struct *mm, pfn_t start, pfn_t end)
{
	struct vm_area_struct *vma;

	list_for_each_entry (vma, &mm->mmap, link) {
		unsigned long size;

		if (!(vma->flags & VM_HUGETLB) || vma_hstate(vma)->order > MAX_ORDER)
			continue;
		size = hstate_size(vma_hstate(vma));
		for (unsigned long addr = vma->vm_start; addr < vma->vm_end; addr += size) {
			move_out_one(vma, addr, start, end);
			cond_resched();
		}
	}
}

void hugetlb_move_out(pfn_t start, pfn_t end)
{
	struct mm_struct *mm = NULL;

	while ((mm = mm_next(mm))) {
		if (!READ_ONCE(mm->hugetlb_usage) || !down_read_trylock(&mm->mmap_lock))
			continue;
		move_out_of_mm(mm, start, end);
		up_read(&mm->mmap_lock);
	}
}
