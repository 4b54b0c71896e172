/*
 * Faults on huge pages of a pool.
 *
 *                 private mapping                     shared mapping
 *   empty         the file's page if there is one,    the file's page, made if missing
 *                 else a new one of its own
 *   write to a    own already: writable               writable
 *   read-only     else a copy
 *   leaf
 *
 * When the pool is empty, the process that made the private mapping has priority: the page is unmapped from
 * its children, so that only the owner maps it, and a later touch by a child gets SIGBUS. A child that
 * cannot have a copy gets SIGBUS itself.
 *
 * Locks: mmap_lock for reading; the file's mutex: one fault at a time on a file, so a promise is not
 * used twice for one index; page_table_lock last.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "mm/huge/hugetlb.h"
#include "mm/phys/alloc.h"
#include "mm/fault/fault.h"
#include "mm/pgtable/large.h"
#include "mm/rmap/rmap.h"

struct huge_fault {
	struct vm_fault *vmf;
	struct vm_area_struct *vma;
	struct hugetlb_file *hf;
	struct address_space *mapping;
	unsigned long addr, index;
	unsigned int level;
	pte_t *leaf;
};

static unsigned int alloc_error(int err)
{
	return err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

bool hugetlb_page_exclusive(const struct page *head)
{
	return PageAnon(head) && hugetlb_mapcount(head) == 1;
}

static bool beyond_end(const struct huge_fault *f)
{
	return f->index >= READ_ONCE(f->mapping->size) / hstate_size(f->hf->h);
}

enum leaf_right { LEAF_READ, LEAF_WRITE };

/* P held. */
static void set_leaf(const struct huge_fault *f, struct page *head, enum leaf_right right)
{
	pte_t e = mk_pte(page_to_pfn(head), f->vma->prot | _PAGE_PSE | _PAGE_ACCESSED);

	if (right == LEAF_WRITE)
		e = pte_mkwrite(e);
	if (f->vmf->flags & FAULT_FLAG_WRITE)
		e = pte_mkdirty(e);
	pte_set(f->leaf, e);
	trace_point(MAP, f->addr, .pfn = page_to_pfn(head), .mm = trace_mm_id(f->vma->mm),
		    .arg = TRACE_MAP_ANON, .order = head->order);
}

/* Map a new page as a private page of the VMA. */
static void set_private(const struct huge_fault *f, struct page *head)
{
	head->mapping = (void *)((unsigned long)f->vma->anon_vma | PAGE_MAPPING_ANON);
	head->index = f->vma->pgoff + ((f->addr - f->vma->vm_start) >> PAGE_SHIFT);
	hugetlb_clear_restore(head);
}

/* The page to map, with a reference. For a shared mapping it is a page of the file. *fresh: it is a new private
 * page of the faulting process. NULL: *ret holds the result of the fault. */
static struct page *get_page_for(struct huge_fault *f, bool *fresh, unsigned int *ret)
{
	struct page *head = hugetlb_find_page(f->mapping, f->index);
	int err;

	*fresh = false;
	if (head)
		return head;
	if (beyond_end(f)) {
		*ret = VM_FAULT_SIGBUS;
		return NULL;
	}
	head = hugetlb_alloc_page(f->vma, f->addr, &err);
	if (!head) {
		*ret = alloc_error(err);
		return NULL;
	}
	hugetlb_clear_page(head);
	*fresh = true;
	if (!(f->vma->flags & VM_MAYSHARE))
		return head;
	err = hugetlb_add_page(f->mapping, head, f->index);
	if (err) {
		hugetlb_undo_alloc(f->vma, f->addr, head);
		*ret = alloc_error(err);
		return NULL;
	}
	*fresh = false;
	return head;
}

static unsigned int no_page(struct huge_fault *f)
{
	struct mm_struct *mm = f->vma->mm;
	unsigned int ret = 0;
	struct page *head;
	bool fresh;

	if (vma_is_unmapped(f->vma)) {
		printk("hugetlb: inadequate hugepage pool at %#lx\n", f->addr);
		return VM_FAULT_SIGBUS;
	}
	if (!(f->vma->flags & VM_MAYSHARE) && anon_vma_prepare(f->vma))
		return VM_FAULT_OOM;
	head = get_page_for(f, &fresh, &ret);
	if (!head)
		return ret;
	spin_lock(&mm->page_table_lock);
	if (fresh)
		set_private(f, head);
	hugetlb_add_rmap(head, 1);
	atomic_add(&mm->hugetlb_usage, (s64)level_pages(f->level));
	set_leaf(f, head,
		 ((f->vma->flags & VM_WRITE) && (fresh || (f->vma->flags & VM_SHARED)))
			 ? LEAF_WRITE
			 : LEAF_READ);
	spin_unlock(&mm->page_table_lock);
	count_vm_event(fresh ? MMVM_FAULT_ANON : MMVM_FAULT_FILE);
	return 0;
}

/* ---- a write to what is read-only ------------------------------------------------------------- */

/* The pool is empty and this process made the mapping: unmap the page from everybody else. */
static void take_from_children(struct huge_fault *f)
{
	unsigned long first = f->index << f->hf->h->order;
	unsigned long last = first + (1ul << f->hf->h->order) - 1;
	struct vm_area_struct *vma;

	spin_lock(&f->mapping->i_mmap_lock);
	for (vma = i_mmap_first(f->mapping, first, last); vma;
	     vma = i_mmap_next(vma, first, last)) {
		unsigned long addr;
		struct mmu_gather tlb;

		/* Shared mappings use the file's page; the owner keeps its own. */
		if (vma == f->vma || (vma->flags & VM_MAYSHARE) || vma_owns_reserve(vma))
			continue;
		addr = vma->vm_start + ((first - vma->pgoff) << PAGE_SHIFT);
		tlb_gather_mmu(&tlb, vma->mm, TLB_PARTS);
		tlb.atomic = true;
		vma_set_unmapped(vma);
		zap_page_range(&tlb, addr, addr + level_size(f->level));
		tlb_finish_mmu(&tlb);
	}
	spin_unlock(&f->mapping->i_mmap_lock);
}

static void make_writable(struct huge_fault *f, pte_t orig)
{
	struct mm_struct *mm = f->vma->mm;

	spin_lock(&mm->page_table_lock);
	if (pte_read(f->leaf).v == orig.v)
		pte_set(f->leaf, pte_mkwrite(pte_mkdirty(pte_mkyoung(orig))));
	spin_unlock(&mm->page_table_lock);
	count_vm_event(PGREUSE);
}

/* Map the copy in place of `old`. False: the leaf has changed. */
static bool replace_leaf(struct huge_fault *f, pte_t orig, struct page *old, struct page *copy)
{
	struct mm_struct *mm = f->vma->mm;
	bool same;

	spin_lock(&mm->page_table_lock);
	/* A CPU may have set the bits A and D meanwhile: they do not count as a change. */
	same = !((pte_read(f->leaf).v ^ orig.v) & ~(_PAGE_ACCESSED | _PAGE_DIRTY));
	if (same) {
		pte_set(f->leaf, __pte(0));
		flush_tlb_page(mm, f->addr);
		set_private(f, copy);
		hugetlb_add_rmap(copy, 1);
		hugetlb_add_rmap(old, -1);
		set_leaf(f, copy, LEAF_WRITE);
		count_vm_event(MMVM_FAULT_COW);
	}
	spin_unlock(&mm->page_table_lock);
	return same;
}

static unsigned int copy_on_write(struct huge_fault *f, pte_t orig)
{
	struct page *old = pfn_to_page(pte_pfn(orig)), *copy;
	int err;

	if ((f->vma->flags & VM_MAYSHARE) || hugetlb_page_exclusive(old)) {
		make_writable(f, orig);
		return 0;
	}
	if (anon_vma_prepare(f->vma))
		return VM_FAULT_OOM;
	get_page(old);
	copy = hugetlb_alloc_page(f->vma, f->addr, &err);
	if (!copy && err == -ENOSPC && vma_owns_reserve(f->vma) && PageAnon(old)) {
		take_from_children(f);
		if (hugetlb_page_exclusive(old)) {
			put_page(old);
			make_writable(f, orig);
			return 0;
		}
		copy = hugetlb_alloc_page(f->vma, f->addr, &err);
	}
	if (!copy) {
		put_page(old);
		return alloc_error(err);
	}
	hugetlb_copy_page(copy, old);
	if (replace_leaf(f, orig, old, copy))
		put_page(old); /* the leaf's */
	else
		hugetlb_undo_alloc(f->vma, f->addr, copy);
	put_page(old);
	return 0;
}

/* ---- the fault -------------------------------------------------------------------------------- */

unsigned int hugetlb_fault(struct vm_fault *vmf)
{
	struct huge_fault f = {.vmf = vmf, .vma = vmf->vma, .mapping = vmf->vma->mapping};
	unsigned int ret = 0;
	pte_t e;

	f.hf = hugetlb_file(f.mapping);
	f.level = hstate_level(f.hf->h);
	f.addr = vmf->addr & ~(level_size(f.level) - 1);
	f.index = vma_huge_index(f.vma, f.addr);
	f.leaf = walk_level_alloc(vmf->mm, f.addr, f.level);
	if (!f.leaf)
		return VM_FAULT_OOM;
	mutex_lock(&f.hf->mutex);
	e = pte_read(f.leaf);
	if (e.v && (!(vmf->flags & FAULT_FLAG_WRITE) || pte_write(e))) {
		/* Another thread has handled the fault, or this CPU's translation is older than the leaf. */
		flush_tlb_page(vmf->mm, vmf->addr);
		count_vm_event(MMVM_FAULT_SPURIOUS);
		goto out;
	}
	if (!e.v) {
		ret = no_page(&f);
		e = pte_read(f.leaf);
	}
	/* A private write to the file's own page needs a copy at once. */
	if (!ret && (vmf->flags & FAULT_FLAG_WRITE) && !pte_write(e))
		ret = copy_on_write(&f, e);
out:
	mutex_unlock(&f.hf->mutex);
	return ret;
}
