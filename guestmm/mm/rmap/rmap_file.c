/*
 * Reverse map of files: who maps this page of the file?
 *
 *   page->mapping ──> address_space ── i_mmap: interval tree of VMAs by page offset
 *   page->index ─────────────────────────> those that cover it: vm_start + (index - pgoff) pages
 *
 * A page of a file needs to remember nothing about its mappings: its place in the file names them
 * all, in all address spaces. The tree's nodes are the VMAs themselves. Each knows the highest page
 * offset of its subtree, so a search enters only subtrees that reach far enough, and costs
 * O(log n + hits), whatever else maps other parts of the file.
 *
 * I1  A VMA is in mapping->i_mmap exactly while vma->mapping is set and it is in its address
 *     space's tree; its page tables stay while it is there. So under i_mmap_lock alone the tables
 *     of the VMAs found may be walked.
 * I2  vma->shared_subtree_last = max over the subtree of the last page offset.
 * I3  VMAs with the same first offset are in the order in which they came: a child of fork() comes
 *     after its parent. Who empties all mappings therefore sees a page that is being copied either
 *     in the parent, before, or in the child, after.
 * I4  nr_mmap_writable = VMAs of the tree with VM_SHARED and VM_MAYWRITE, and those being made; or -1.
 * I5  A PTE of a shared mapping of a file is writable only while the page is PG_dirty
 *     (pagecache.h, I4): page_mkclean() takes the right away before a write.
 *
 * Locks: page lock > i_mmap_lock > page_table_lock > address_space lock. An anon_vma's root lock is
 * taken inside i_mmap_lock where both are needed.
 */
#include "lib/errno.h"
#include "arch/tlb.h"
#include "lib/trace.h"
#include "mm/reclaim/lru.h"
#include "mm/cache/dax.h"
#include "mm/cache/pagecache.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap.h"
#include "mm/virt/vma.h"
#include "mm/phys/zone.h"

u64 i_mmap_visits;

/* ---- the interval tree ---- */

static struct vm_area_struct *node_vma(struct rb_node *n)
{
	return rb_entry(n, struct vm_area_struct, shared_rb);
}

static unsigned long last_offset(const struct vm_area_struct *vma)
{
	return vma->pgoff + vma_pages(vma) - 1;
}

static void i_mmap_augment(struct rb_node *node)
{
	struct vm_area_struct *vma = node_vma(node);
	unsigned long last = last_offset(vma);

	if (node->left)
		last = max(last, node_vma(node->left)->shared_subtree_last);
	if (node->right)
		last = max(last, node_vma(node->right)->shared_subtree_last);
	vma->shared_subtree_last = last;
}

static void i_mmap_insert(struct vm_area_struct *vma)
{
	struct rb_root *root = &vma->mapping->i_mmap;
	struct rb_node **link = &root->node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = vma->pgoff < node_vma(parent)->pgoff ? &parent->left : &parent->right;
	}
	rb_insert(root, &vma->shared_rb, parent, link, i_mmap_augment);
}

/* First VMA in tree order, of the subtree n, that has part of [first, last]. */
static struct vm_area_struct *search(struct rb_node *n, unsigned long first, unsigned long last)
{
	while (n) {
		struct vm_area_struct *vma = node_vma(n);

		i_mmap_visits++;
		if (vma->shared_subtree_last < first)
			return NULL;
		if (n->left && node_vma(n->left)->shared_subtree_last >= first) {
			/* Something on the left ends late enough. If it starts too late, so do
			 * we and all on the right. */
			n = n->left;
			continue;
		}
		if (vma->pgoff > last)
			return NULL;
		if (last_offset(vma) >= first)
			return vma;
		n = n->right;
	}
	return NULL;
}

struct vm_area_struct *i_mmap_first(struct address_space *mapping, unsigned long first,
				    unsigned long last)
{
	return search(mapping->i_mmap.node, first, last);
}

u64 i_mmap_count(struct address_space *mapping)
{
	struct vm_area_struct *vma;
	u64 n = 0;

	spin_lock(&mapping->i_mmap_lock);
	for (vma = i_mmap_first(mapping, 0, ~0ul); vma; vma = i_mmap_next(vma, 0, ~0ul))
		n++;
	spin_unlock(&mapping->i_mmap_lock);
	return n;
}

struct vm_area_struct *i_mmap_next(struct vm_area_struct *vma, unsigned long first,
				   unsigned long last)
{
	struct rb_node *n = &vma->shared_rb, *below;

	for (;;) {
		if (n->right && node_vma(n->right)->shared_subtree_last >= first)
			return search(n->right, first, last);
		do {
			below = n;
			n = rb_parent(n);
			if (!n)
				return NULL;
		} while (n->right == below);
		vma = node_vma(n);
		i_mmap_visits++;
		if (vma->pgoff > last)
			return NULL;
		if (last_offset(vma) >= first)
			return vma;
	}
}

/* ---- writing through a mapping ---------- */

int mapping_map_writable(struct address_space *mapping)
{
	int err = 0;

	spin_lock(&mapping->i_mmap_lock);
	if (mapping->nr_mmap_writable < 0)
		err = -EPERM;
	else
		mapping->nr_mmap_writable++;
	spin_unlock(&mapping->i_mmap_lock);
	return err;
}

void mapping_unmap_writable(struct address_space *mapping)
{
	spin_lock(&mapping->i_mmap_lock);
	mapping->nr_mmap_writable--;
	spin_unlock(&mapping->i_mmap_lock);
}

int mapping_deny_writable(struct address_space *mapping)
{
	int err = 0;

	spin_lock(&mapping->i_mmap_lock);
	if (mapping->nr_mmap_writable)
		err = -EBUSY;
	else
		mapping->nr_mmap_writable = -1;
	spin_unlock(&mapping->i_mmap_lock);
	return err;
}

void mapping_allow_writable(struct address_space *mapping)
{
	spin_lock(&mapping->i_mmap_lock);
	mapping->nr_mmap_writable = 0;
	spin_unlock(&mapping->i_mmap_lock);
}

static bool may_write_shared(const struct vm_area_struct *vma)
{
	return (vma->flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE);
}

/* ---- VMAs join and leave ---- */

void i_mmap_link(struct vm_area_struct *vma)
{
	struct address_space *mapping = vma->mapping;

	spin_lock(&mapping->i_mmap_lock);
	if (may_write_shared(vma))
		mapping->nr_mmap_writable++;
	i_mmap_insert(vma);
	spin_unlock(&mapping->i_mmap_lock);
}

void i_mmap_unlink(struct vm_area_struct *vma)
{
	struct address_space *mapping = vma->mapping;

	spin_lock(&mapping->i_mmap_lock);
	if (may_write_shared(vma))
		mapping->nr_mmap_writable--;
	rb_erase(&mapping->i_mmap, &vma->shared_rb, i_mmap_augment);
	spin_unlock(&mapping->i_mmap_lock);
}

void i_mmap_range_change_begin(struct vm_area_struct *vma)
{
	spin_lock(&vma->mapping->i_mmap_lock);
	rb_erase(&vma->mapping->i_mmap, &vma->shared_rb, i_mmap_augment);
}

void i_mmap_range_change_end(struct vm_area_struct *vma)
{
	i_mmap_insert(vma);
	spin_unlock(&vma->mapping->i_mmap_lock);
}

/* ---- walking ---- */

void rmap_walk_file(struct page *page, rmap_fn fn, void *arg)
{
	if (page_mapped(page))
		rmap_walk_file_entries(page, fn, arg);
}

static inline void walk(struct page *page, unsigned long last, rmap_fn fn, void *arg)
{
	struct address_space *mapping = page_mapping_file(page);
	unsigned long index = page->index;
	struct vm_area_struct *vma;

	if (!mapping)
		return;
	last += index;
	spin_lock(&mapping->i_mmap_lock);
	for (vma = i_mmap_first(mapping, index, last); vma; vma = i_mmap_next(vma, index, last))
		if (!fn(page, vma, vma->vm_start + ((index - vma->pgoff) << PAGE_SHIFT), arg))
			break;
	spin_unlock(&mapping->i_mmap_lock);
}

void rmap_walk_file_entries(struct page *page, rmap_fn fn, void *arg)
{
	walk(page, 0, fn, arg);
}

void rmap_walk_large_file(struct folio *folio, rmap_fn fn, void *arg)
{
	walk(&folio->page, folio_nr_pages(folio) - 1, fn, arg);
}

void page_remove_file_rmap(struct page *page, struct mm_struct *mm)
{
	atomic_sub(mm_rss_counter(mm, page), 1);
	if (atomic_sub_return(&page->mapcount, 1) < 0)
		page_stat_add(page, NR_FILE_MAPPED, -1);
}

bool unmap_file_one(struct page *page, struct vm_area_struct *vma, unsigned long addr, void *arg)
{
	struct mm_struct *mm = vma->mm;
	bool go_on = true;
	pte_t *pte, old;

	spin_lock(&mm->page_table_lock);
	pte = pte_of_page(mm, addr, page);
	if (!pte)
		goto out;
	if (vma->flags & VM_LOCKED) {
		go_on = false;
		goto out;
	}
	old = pte_get_and_clear(pte);
	if (unlikely(pte_uffd_wp(old)))
		pte_set(pte, uffd_wp_marker());
	unmap_flush(mm, addr, arg); /* the D bit is right before that: see unmap_one() */
	if (pte_dirty(old))
		set_page_dirty(page);
	trace_point(UNMAP, addr, .pfn = page_to_pfn(page), .mm = trace_mm_id(mm),
		    .arg = TRACE_UNMAP_RECLAIM);
	page_remove_file_rmap(page, mm);
	go_on = page_mapped(page);
	atomic_sub(&page->refcount, 1); /* the PTE's; the caller holds another */
out:
	spin_unlock(&mm->page_table_lock);
	return go_on;
}

static bool mkclean_one(struct page *page, struct vm_area_struct *vma, unsigned long addr,
			void *arg)
{
	struct mm_struct *mm = vma->mm;
	bool *dirty = arg;
	pte_t *pte, old;

	if (!(vma->flags & VM_SHARED))
		return true; /* a private mapping writes to its own copy */
	spin_lock(&mm->page_table_lock);
	pte = pte_of_page(mm, addr, page);
	if (pte && (pte_read(pte).v & (_PAGE_RW | _PAGE_DIRTY))) {
		old = pte_get_and_clear(pte);
		pte_set(pte, __pte(old.v & ~(_PAGE_RW | _PAGE_DIRTY)));
		/* Only after this do all writes fault. */
		flush_tlb_page(mm, addr);
		*dirty |= pte_dirty(old);
	}
	spin_unlock(&mm->page_table_lock);
	return true;
}

bool page_mkclean(struct page *page)
{
	bool dirty = false;

	rmap_walk_file(page, mkclean_one, &dirty);
	return dirty;
}

void unmap_mapping_range(struct address_space *mapping, unsigned long start, unsigned long end,
			 enum unmap_copies copies)
{
	struct vm_area_struct *vma;

	if (start >= end || !READ_ONCE(mapping->i_mmap.node))
		return;
	spin_lock(&mapping->i_mmap_lock);
	for (vma = i_mmap_first(mapping, start, end - 1); vma;
	     vma = i_mmap_next(vma, start, end - 1)) {
		unsigned long from = max(start, vma->pgoff), to = min(end, last_offset(vma) + 1);
		struct mmu_gather tlb;

		tlb_gather_mmu(&tlb, vma->mm, TLB_PARTS);
		tlb.atomic = true;
		tlb.file_only = copies != UNMAP_COPIES;
		tlb.dax = mapping_is_dax(mapping);
		tlb.keep_wp = true; /* the next page of the file is protected as this one */
		zap_page_range(&tlb, vma->vm_start + ((from - vma->pgoff) << PAGE_SHIFT),
			       vma->vm_start + ((to - vma->pgoff) << PAGE_SHIFT));
		tlb_finish_mmu(&tlb);
	}
	spin_unlock(&mapping->i_mmap_lock);
}
