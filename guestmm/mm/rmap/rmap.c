/*
 * Reverse map of anonymous memory: find the PTEs that map a page, to look at their accessed bits or to
 * replace them. How an anon_vma comes to know its VMAs, and I1..I4, are in anon_vma.c.
 *
 * Locks: mmap_lock > root->lock > page_table_lock.
 */
#include "arch/tlb.h"
#include "lib/trace.h"
#include "mm/reclaim/policy.h"
#include "mm/pgtable/tlb_pending.h"
#include "mm/pgtable/pgtable.h"
#include "mm/rmap/rmap_internal.h"
#include "mm/swap/swapcache.h"
#include "mm/phys/zone.h"

/* ---- the chains that cover a page ---- */

/* First chain in tree order that has part of [first, last]. */
static struct anon_vma_chain *chain_first_covering(struct rb_root *root, unsigned long first,
						   unsigned long last)
{
	struct rb_node *n = root->node;

	while (n) {
		struct anon_vma_chain *c = rb_entry(n, struct anon_vma_chain, rb);

		if (c->subtree_last < first)
			return NULL;
		if (n->left &&
		    rb_entry(n->left, struct anon_vma_chain, rb)->subtree_last >= first) {
			/* Something on the left reaches index; all of it starts before us, so if
			 * none of it covers index, we and the right do not start early enough. */
			n = n->left;
			continue;
		}
		if (chain_first(c) > last)
			return NULL;
		if (chain_last(c) >= first)
			return c;
		n = n->right;
	}
	return NULL;
}

static struct anon_vma_chain *chain_next_covering(struct anon_vma_chain *c, unsigned long first,
						  unsigned long last)
{
	struct rb_node *n;

	for (n = rb_next(&c->rb); n; n = rb_next(n)) {
		c = rb_entry(n, struct anon_vma_chain, rb);
		if (chain_first(c) > last)
			return NULL;
		if (chain_last(c) >= first)
			return c;
	}
	return NULL;
}

/* ---- entering ---- */

void page_add_anon_rmap(struct page *page, struct vm_area_struct *vma, unsigned long addr)
{
	if (atomic_add_return(&page->mapcount, 1) == 0) {
		struct anon_vma *home = vma->anon_vma;

		/* The first mapping since the page was read back: this VMA becomes its home.
		 * Other holders of the swap entry are relatives, and only the root's tree
		 * reaches all of them. */
		if (swap_users((swp_entry_t){page->private_}) > 1)
			home = home->root;
		page->mapping = (void *)((unsigned long)home | PAGE_MAPPING_ANON);
		page->index = linear_page_index(vma, addr);
		page_stat_add(page, NR_ANON_MAPPED, 1);
	}
}

/* ---- walking ---- */

/* Look for what maps the page, or also for migration entries where nothing maps it. */
enum rmap_what { RMAP_MAPPED, RMAP_ENTRIES };

static bool any_mapping(const struct page *page, enum rmap_what what)
{
	return what == RMAP_ENTRIES || folio_mapped((const struct folio *)page);
}

/* Pages that nothing maps are looked up only for `entries`. */
static __always_inline struct anon_vma *lock_anon(struct page *page, enum rmap_what what)
{
	struct anon_vma *av = page_anon_vma(page), *root;

	if (!av || !any_mapping(page, what))
		return NULL;
	for (;;) {
		root = READ_ONCE(av->root);
		spin_lock(&root->lock);
		if (likely(root == READ_ONCE(av->root)))
			break;
		spin_unlock(&root->lock); /* recycled under us (I2) */
	}
	if (page_anon_vma(page) == av && any_mapping(page, what))
		return root;
	spin_unlock(&root->lock);
	return NULL;
}

struct anon_vma *rmap_lock_anon(struct page *page)
{
	return lock_anon(page, RMAP_MAPPED);
}

void rmap_unlock_anon(struct anon_vma *root)
{
	spin_unlock(&root->lock);
}

static __always_inline void for_each_vma(struct page *page, unsigned long nr, rmap_fn fn, void *arg)
{
	struct anon_vma *av = page_anon_vma(page);
	unsigned long index = page->index, last = index + nr - 1;
	struct anon_vma_chain *c;

	for (c = chain_first_covering(&av->vmas, index, last); c;
	     c = chain_next_covering(c, index, last)) {
		struct vm_area_struct *vma = c->vma;

		if (!fn(page, vma, vma->vm_start + ((index - vma->pgoff) << PAGE_SHIFT), arg))
			break;
	}
}

void rmap_for_each_vma(struct page *page, unsigned long nr, rmap_fn fn, void *arg)
{
	for_each_vma(page, nr, fn, arg);
}

/* In one piece with its parts: reclaim walks three times for each page. */
static __always_inline void walk_anon(struct page *page, rmap_fn fn, void *arg, enum rmap_what what)
{
	struct anon_vma *root = lock_anon(page, what);

	if (!root)
		return;
	for_each_vma(page, 1ul << page->order, fn, arg);
	rmap_unlock_anon(root);
}

void rmap_walk_anon(struct page *page, rmap_fn fn, void *arg)
{
	walk_anon(page, fn, arg, RMAP_MAPPED);
}

void rmap_walk(struct page *page, rmap_fn fn, void *arg)
{
	if (PageAnon(page))
		walk_anon(page, fn, arg, RMAP_MAPPED);
	else
		rmap_walk_file(page, fn, arg);
}

void rmap_walk_entries(struct page *page, rmap_fn fn, void *arg)
{
	if (PageAnon(page))
		walk_anon(page, fn, arg, RMAP_ENTRIES);
	else
		rmap_walk_file_entries(page, fn, arg);
}

pte_t *pte_of_page(struct mm_struct *mm, unsigned long addr, const struct page *page)
{
	pte_t *pte = walk_pte(mm->pgd, addr), entry;

	if (!pte)
		return NULL;
	entry = pte_read(pte);
	if (!pte_present(entry) || pte_special(entry) || pte_pfn(entry) != page_to_pfn(page))
		return NULL;
	return pte;
}

struct referenced {
	unsigned int count;
	int left; /* mapcount still unseen */
	unsigned long vm_flags;
};

/* P held: the same for a large folio, mapped by a PMD or by PTEs, some of which the VMA may have. */
static void large_referenced(struct folio *folio, struct vm_area_struct *vma, unsigned long addr,
			     struct referenced *r)
{
	unsigned long end = min(addr + folio_size(folio), vma->vm_end), next;
	bool young = false, mapped = false;

	for (addr = max(addr, vma->vm_start); addr < end; addr = next) {
		unsigned int level;
		pte_t *leaf = walk_leaf(vma->mm->pgd, addr, &level, &next);

		next = min(next, end);
		for (; leaf && addr < next; addr += PAGE_SIZE, leaf++) {
			pte_t e = pte_read(leaf);

			if (pte_present(e) && !pte_special(e) && pfn_folio(pte_pfn(e)) == folio) {
				mapped = true;
				young |= pte_young(e) && pte_test_and_clear_young(leaf);
			}
			if (level)
				break;
		}
	}
	r->count += young;
	if (mapped)
		r->vm_flags |= vma->flags;
}

static bool referenced_one(struct page *page, struct vm_area_struct *vma, unsigned long addr,
			   void *arg)
{
	struct mm_struct *mm = vma->mm;
	struct referenced *r = arg;
	pte_t *pte;

	spin_lock(&mm->page_table_lock);
	if (unlikely(PageHead(page))) {
		large_referenced((struct folio *)page, vma, addr, r);
		spin_unlock(&mm->page_table_lock);
		return true;
	}
	pte = pte_of_page(mm, addr, page);
	if (pte) {
		/* No flush: a CPU that still has the translation cached delays the next sighting
		 * of an access, which costs nothing but a little accuracy. */
		if (pte_young(pte_read(pte)) && pte_test_and_clear_young(pte)) {
			r->count++;
			if (unlikely(reclaim_policy->look_around))
				reclaim_policy->look_around(vma, addr, pte);
		}
		r->vm_flags |= vma->flags;
		r->left--;
	}
	spin_unlock(&mm->page_table_lock);
	return r->left > 0;
}

unsigned int page_referenced(struct page *page, unsigned long *vm_flags)
{
	struct referenced r = {0, page_mapcount(page), 0};

	if (PageAnon(page))
		walk_anon(page, referenced_one, &r, RMAP_MAPPED);
	else if (unlikely(PageHead(page)))
		rmap_walk_large_file((struct folio *)page, referenced_one, &r);
	else
		rmap_walk_file(page, referenced_one, &r);
	/* Accesses that sampling has taken out of the PTEs. A plain test first, because sampling
	 * is rare. */
	if (unlikely(PageYoung(page)) && TestClearPageYoung(page) && !r.count)
		r.count = 1;
	*vm_flags = r.vm_flags;
	return r.count;
}

#define trace_unmap(mm_, page, addr, why)                                          \
	trace_point(UNMAP, addr, .pfn = page_to_pfn(page), .mm = trace_mm_id(mm_), \
		    .arg = TRACE_UNMAP_##why)

void unmap_flush(struct mm_struct *mm, unsigned long addr, struct tlb_batch *batch)
{
	tlb_batch_add(batch, mm, addr, tlb_changed(mm));
	mm->tlb_flush_batched = 1;
}

static bool unmap_one(struct page *page, struct vm_area_struct *vma, unsigned long addr, void *arg)
{
	swp_entry_t entry = {page->private_};
	struct mm_struct *mm = vma->mm;
	pte_t *pte, old;
	bool go_on = true;

	spin_lock(&mm->page_table_lock);
	pte = pte_of_page(mm, addr, page);
	if (!pte)
		goto out;
	if ((vma->flags & VM_LOCKED) || swap_duplicate(entry)) {
		go_on = false;
		goto out;
	}
	/* A CPU with a stale translation can write without a fault only if the D bit was set:
	 * for a clean entry it walks the table again, and finds it empty. So the D bit read here
	 * is final. The contents are final only after the batch's flush. */
	old = pte_get_and_clear(pte);
	unmap_flush(mm, addr, arg);
	if (pte_dirty(old))
		SetPageDirty(page);
	pte_set(pte, swp_pte_keep(swp_entry_to_pte(entry), old));
	atomic_sub(&mm->rss_anon, 1);
	atomic_add(&mm->rss_swap, 1);
	trace_unmap(mm, page, addr, RECLAIM);
	go_on = atomic_sub_return(&page->mapcount, 1) >= 0;
	if (!go_on)
		page_stat_add(page, NR_ANON_MAPPED, -1);
	atomic_sub(&page->refcount, 1); /* the PTE's; the caller holds another */
out:
	spin_unlock(&mm->page_table_lock);
	return go_on;
}

static bool discard_one(struct page *page, struct vm_area_struct *vma, unsigned long addr,
			void *arg)
{
	struct mm_struct *mm = vma->mm;
	pte_t *pte, old;

	spin_lock(&mm->page_table_lock);
	pte = pte_of_page(mm, addr, page);
	if (!pte)
		goto out;
	old = pte_get_and_clear(pte);
	flush_tlb_page(mm, addr); /* nobody can write any more; the D bit tells whether one has */
	if (pte_dirty(old) || (vma->flags & VM_LOCKED) || page_ref_count(page) != 2 ||
	    page_mapcount(page) != 1) {
		pte_set(pte, old);
	} else {
		trace_unmap(mm, page, addr, DISCARD);
		atomic_sub(&mm->rss_anon, 1);
		atomic_sub(&page->mapcount, 1);
		page_stat_add(page, NR_ANON_MAPPED, -1);
		atomic_sub(&page->refcount, 1);
	}
out:
	spin_unlock(&mm->page_table_lock);
	return !pte; /* there is only one */
}

bool try_to_discard(struct page *page)
{
	rmap_walk_anon(page, discard_one, NULL);
	return !page_mapped(page);
}

bool try_to_unmap_batched(struct page *page, struct tlb_batch *batch)
{
	if (PageAnon(page))
		walk_anon(page, unmap_one, batch, RMAP_MAPPED);
	else
		rmap_walk_file(page, unmap_file_one, batch);
	return !page_mapped(page);
}
