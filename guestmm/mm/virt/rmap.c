/*
 * Reverse map of anonymous memory: who maps this page?
 *
 *   page->mapping ──> anon_vma <── chain ──> VMA        page->index tells where in the VMA
 *                        │ interval tree of chains by page offset
 *
 * A VMA gets an anon_vma with its first page. Splits share it, so a page only needs to remember the
 * anon_vma of its birth; the interval tree finds the VMAs that cover its index in O(log n + hits),
 * whatever else shares the anon_vma. A VMA may take part in several anon_vmas (of the processes it
 * was forked from); all anon_vmas of such a tree are locked by their root's lock.
 *
 * I1  A VMA with pages in its range has vma->anon_vma, and a chain to every anon_vma that a page
 *     mapped in it may name.
 * I2  refs = chains + children; at 0 the anon_vma returns to a free list that is never given back.
 *     So its memory is an anon_vma for ever: a walker that read a stale pointer may take the lock,
 *     and then sees from page->mapping and mapcount that it came too late.
 * I3  While a page is mapped, a chain that covers it exists: VMAs leave after their pages are gone.
 * I4  A VMA's chains are at most as many as its living ancestors and twice that of dead ones that
 *     still have two lines of descendants: an anon_vma whose VMAs have all gone is used again.
 *
 * Locks: mmap_lock > root->lock > page_table_lock.
 */
#include "arch/tlb.h"
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/reclaim/policy.h"
#include "mm/virt/pgtable.h"
#include "mm/virt/rmap.h"
#include "mm/slab/slab.h"
#include "mm/swap/swapcache.h"
#include "mm/virt/vma.h"
#include "mm/phys/zone.h"

static struct kmem_cache *anon_vma_cache, *chain_cache;
static struct anon_vma *free_anon_vmas; /* free_lock */
static spinlock_t free_lock = SPINLOCK_INIT;

void rmap_init(void)
{
	anon_vma_cache = kmem_cache_create("anon_vma", sizeof(struct anon_vma), 8,
					   SLAB_PANIC | SLAB_KEPT, NULL);
	chain_cache = kmem_cache_create("anon_vma_chain", sizeof(struct anon_vma_chain), 8,
					SLAB_PANIC, NULL);
}

static struct anon_vma *anon_vma_alloc(void)
{
	struct anon_vma *av;

	spin_lock(&free_lock);
	av = free_anon_vmas;
	if (av)
		free_anon_vmas = av->next_free;
	spin_unlock(&free_lock);
	if (!av) {
		av = kmem_cache_alloc(anon_vma_cache, GFP_KERNEL);
		if (!av)
			return NULL;
		spin_lock_init(&av->lock);
	}
	av->root = av;
	av->parent = av;
	av->refs = 0;
	av->nr_children = 0;
	av->nr_homes = 0;
	av->vmas.node = NULL;
	return av;
}

/* Drop a reference; the last one drops the parent's, and so on up to the root. */
static void anon_vma_put(struct anon_vma *av)
{
	while (atomic_dec_and_test(&av->refs)) {
		struct anon_vma *parent = av->parent, *root = av->root;

		if (parent != av) {
			spin_lock(&root->lock);
			parent->nr_children--;
			spin_unlock(&root->lock);
		}
		spin_lock(&free_lock);
		av->next_free = free_anon_vmas;
		free_anon_vmas = av;
		spin_unlock(&free_lock);
		if (parent == av)
			return;
		av = parent;
	}
}

/* ---- interval tree: chains ordered by their VMA's first page offset ---- */

static unsigned long chain_first(const struct anon_vma_chain *c)
{
	return c->vma->pgoff;
}
static unsigned long chain_last(const struct anon_vma_chain *c)
{
	return c->vma->pgoff + vma_pages(c->vma) - 1;
}

static void chain_augment(struct rb_node *node)
{
	struct anon_vma_chain *c = rb_entry(node, struct anon_vma_chain, rb);
	unsigned long last = chain_last(c), sub;

	if (node->left) {
		sub = rb_entry(node->left, struct anon_vma_chain, rb)->subtree_last;
		last = max(last, sub);
	}
	if (node->right) {
		sub = rb_entry(node->right, struct anon_vma_chain, rb)->subtree_last;
		last = max(last, sub);
	}
	c->subtree_last = last;
}

static void chain_insert(struct anon_vma_chain *c)
{
	struct rb_root *root = &c->anon_vma->vmas;
	struct rb_node **link = &root->node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = chain_first(c) < chain_first(rb_entry(parent, struct anon_vma_chain, rb))
			       ? &parent->left
			       : &parent->right;
	}
	rb_insert(root, &c->rb, parent, link, chain_augment);
}

static void chain_remove(struct anon_vma_chain *c)
{
	rb_erase(&c->anon_vma->vmas, &c->rb, chain_augment);
}

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

/* ---- VMAs join and leave ---- */

static void chain_link(struct anon_vma_chain *c, struct vm_area_struct *vma, struct anon_vma *av)
{
	c->vma = vma;
	c->anon_vma = av;
	atomic_add(&av->refs, 1);
	list_add_tail(&c->same_vma, &vma->anon_vma_chain);
	chain_insert(c);
}

/* A neighbour that would merge with `vma` if access rights were equal (mprotect may make them so)
 * lends its anon_vma: with two different ones they could never merge. Only an anon_vma that the
 * neighbour has alone, not one inherited through a fork. */
static struct anon_vma *reusable_anon_vma(struct vm_area_struct *vma, struct vm_area_struct *near)
{
	struct vm_area_struct *lo, *hi;

	if (!near || !near->anon_vma)
		return NULL;
	lo = near->vm_start < vma->vm_start ? near : vma;
	hi = lo == near ? vma : near;
	if (lo->vm_end != hi->vm_start || lo->pgoff + vma_pages(lo) != hi->pgoff ||
	    ((lo->flags ^ hi->flags) & ~(VM_ACCESS_FLAGS | VM_ACCOUNT)) || lo->name != hi->name)
		return NULL;
	return near->anon_vma_chain.next == near->anon_vma_chain.prev ? near->anon_vma : NULL;
}

int __anon_vma_prepare(struct vm_area_struct *vma)
{
	struct anon_vma_chain *c = kmem_cache_alloc(chain_cache, GFP_KERNEL);
	struct anon_vma *av, *fresh = NULL;

	if (!c)
		return -ENOMEM;
	av = reusable_anon_vma(vma, vma_next(vma));
	if (!av)
		av = reusable_anon_vma(vma, vma_prev(vma));
	if (!av) {
		av = fresh = anon_vma_alloc();
		if (!av) {
			kmem_cache_free(chain_cache, c);
			return -ENOMEM;
		}
		fresh->refs = 1; /* ours until linked */
	}
	spin_lock(&av->root->lock);
	spin_lock(&vma->mm->page_table_lock); /* another thread's fault may have been first */
	if (!vma->anon_vma) {
		WRITE_ONCE(vma->anon_vma, av);
		av->nr_homes++;
		chain_link(c, vma, av);
		c = NULL;
	}
	spin_unlock(&vma->mm->page_table_lock);
	spin_unlock(&av->root->lock);
	if (fresh)
		anon_vma_put(fresh);
	if (c)
		kmem_cache_free(chain_cache, c);
	return 0;
}

/* Chains for dst to every anon_vma of src, not linked yet. */
static int chains_alloc(struct list_head *fresh, struct vm_area_struct *src)
{
	struct anon_vma_chain *from, *c, *n;

	list_for_each_entry (from, &src->anon_vma_chain, same_vma) {
		c = kmem_cache_alloc(chain_cache, GFP_KERNEL);
		if (!c)
			goto nomem;
		c->anon_vma = from->anon_vma;
		list_add_tail(&c->same_vma, fresh);
	}
	return 0;
nomem:
	list_for_each_entry_safe (c, n, fresh, same_vma)
		kmem_cache_free(chain_cache, c);
	return -ENOMEM;
}

int anon_vma_clone(struct vm_area_struct *dst, struct vm_area_struct *src)
{
	struct anon_vma_chain *c, *n;
	LIST_HEAD(fresh);

	if (!src->anon_vma)
		return 0;
	if (chains_alloc(&fresh, src))
		return -ENOMEM;
	spin_lock(&src->anon_vma->root->lock);
	list_for_each_entry_safe (c, n, &fresh, same_vma)
		chain_link(c, dst, c->anon_vma);
	dst->anon_vma = src->anon_vma;
	dst->anon_vma->nr_homes++;
	spin_unlock(&src->anon_vma->root->lock);
	return 0;
}

/* May a child make this ancestor's anon_vma its home instead of one of its own? Only if no VMA has
 * it as its home any more, and at most one child could: so its tree never holds more than a line
 * of descendants, and a line of forks, each of whose parents has gone, does not grow chains without
 * end (I4). */
static bool anon_vma_orphan(const struct anon_vma *av)
{
	return av->nr_homes == 0 && av->nr_children < 2;
}

int anon_vma_fork(struct vm_area_struct *dst, struct vm_area_struct *src)
{
	struct anon_vma *root, *home = NULL, *own = NULL;
	struct anon_vma_chain *c, *n, *own_chain = NULL;
	LIST_HEAD(fresh);

	if (!src->anon_vma)
		return 0;
	if (chains_alloc(&fresh, src))
		return -ENOMEM;
	root = src->anon_vma->root;
	own = anon_vma_alloc();
	own_chain = kmem_cache_alloc(chain_cache, GFP_KERNEL);
	if (!own || !own_chain)
		goto nomem;
	own->refs = 1; /* ours until linked */
	spin_lock(&root->lock);
	list_for_each_entry_safe (c, n, &fresh, same_vma) {
		if (!home && anon_vma_orphan(c->anon_vma))
			home = c->anon_vma;
		chain_link(c, dst, c->anon_vma);
	}
	if (!home) {
		home = own;
		/* A walker that came here by a stale pointer may hold it as a root's. */
		spin_lock_nested(&own->lock);
		WRITE_ONCE(own->root, root);
		spin_unlock(&own->lock);
		own->parent = src->anon_vma;
		own->parent->nr_children++;
		atomic_add(&own->parent->refs, 1);
		chain_link(own_chain, dst, own);
		own_chain = NULL;
	}
	home->nr_homes++;
	dst->anon_vma = home;
	spin_unlock(&root->lock);
	anon_vma_put(own);
	if (own_chain)
		kmem_cache_free(chain_cache, own_chain);
	return 0;
nomem:
	if (own_chain)
		kmem_cache_free(chain_cache, own_chain);
	if (own) {
		own->refs = 1;
		anon_vma_put(own);
	}
	list_for_each_entry_safe (c, n, &fresh, same_vma)
		kmem_cache_free(chain_cache, c);
	return -ENOMEM;
}

void unlink_anon_vmas(struct vm_area_struct *vma)
{
	struct anon_vma_chain *c, *n;
	struct anon_vma *root;

	if (!vma->anon_vma)
		return;
	root = vma->anon_vma->root;
	spin_lock(&root->lock);
	list_for_each_entry (c, &vma->anon_vma_chain, same_vma)
		chain_remove(c);
	vma->anon_vma->nr_homes--;
	spin_unlock(&root->lock);
	list_for_each_entry_safe (c, n, &vma->anon_vma_chain, same_vma) {
		anon_vma_put(c->anon_vma);
		kmem_cache_free(chain_cache, c);
	}
	INIT_LIST_HEAD(&vma->anon_vma_chain);
	vma->anon_vma = NULL;
}

void anon_vma_move(struct vm_area_struct *dst, struct vm_area_struct *src)
{
	struct anon_vma *root = src->anon_vma->root;
	struct anon_vma_chain *c;

	spin_lock(&root->lock);
	list_for_each_entry (c, &src->anon_vma_chain, same_vma) {
		chain_remove(c);
		c->vma = dst;
		chain_insert(c);
	}
	list_splice_init(&src->anon_vma_chain, &dst->anon_vma_chain);
	dst->anon_vma = src->anon_vma;
	src->anon_vma = NULL;
	spin_unlock(&root->lock);
}

void anon_vma_range_change_begin(struct vm_area_struct *vma)
{
	struct anon_vma_chain *c;

	if (!vma->anon_vma)
		return;
	spin_lock(&vma->anon_vma->root->lock);
	list_for_each_entry (c, &vma->anon_vma_chain, same_vma)
		chain_remove(c);
}

void anon_vma_range_change_end(struct vm_area_struct *vma)
{
	struct anon_vma_chain *c;

	if (!vma->anon_vma)
		return;
	list_for_each_entry (c, &vma->anon_vma_chain, same_vma)
		chain_insert(c);
	spin_unlock(&vma->anon_vma->root->lock);
}

void page_add_anon_rmap(struct page *page, struct vm_area_struct *vma, unsigned long addr)
{
	if (atomic_add_return(&page->mapcount, 1) == 0) {
		struct anon_vma *home = vma->anon_vma;

		/* First mapping since it came back: whoever maps it now is its home. If others hold
		 * its entry, too, they are relatives: only the root's tree reaches all of them. */
		if (swap_users((swp_entry_t){page->private_}) > 1)
			home = home->root;
		page->mapping = (void *)((unsigned long)home | PAGE_MAPPING_ANON);
		page->index = linear_page_index(vma, addr);
		page_stat_add(page, NR_ANON_MAPPED, 1);
	}
}

/* ---- walking ---- */

static bool any_mapping(const struct page *page, bool entries)
{
	return entries || folio_mapped((const struct folio *)page);
}

/* Pages that nothing maps are looked up only for `entries`. */
static struct anon_vma *lock_anon(struct page *page, bool entries)
{
	struct anon_vma *av = page_anon_vma(page), *root;

	if (!av || !any_mapping(page, entries))
		return NULL;
	for (;;) {
		root = READ_ONCE(av->root);
		spin_lock(&root->lock);
		if (likely(root == READ_ONCE(av->root)))
			break;
		spin_unlock(&root->lock); /* recycled under us (I2) */
	}
	if (page_anon_vma(page) == av && any_mapping(page, entries))
		return root;
	spin_unlock(&root->lock);
	return NULL;
}

struct anon_vma *rmap_lock_anon(struct page *page)
{
	return lock_anon(page, false);
}

void rmap_unlock_anon(struct anon_vma *root)
{
	spin_unlock(&root->lock);
}

void rmap_for_each_vma(struct page *page, unsigned long nr, rmap_fn fn, void *arg)
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

static void walk_anon(struct page *page, rmap_fn fn, void *arg, bool entries)
{
	struct anon_vma *root = lock_anon(page, entries);

	if (!root)
		return;
	rmap_for_each_vma(page, 1ul << page->order, fn, arg);
	rmap_unlock_anon(root);
}

void rmap_walk_anon(struct page *page, rmap_fn fn, void *arg)
{
	walk_anon(page, fn, arg, false);
}

void rmap_walk(struct page *page, rmap_fn fn, void *arg)
{
	if (PageAnon(page))
		walk_anon(page, fn, arg, false);
	else
		rmap_walk_file(page, fn, arg);
}

void rmap_walk_entries(struct page *page, rmap_fn fn, void *arg)
{
	if (PageAnon(page))
		walk_anon(page, fn, arg, true);
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
		rmap_walk_anon(page, referenced_one, &r);
	else
		rmap_walk_file(page, referenced_one, &r);
	/* What sampling took out of the PTEs; a plain test first: rarely anybody samples. */
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
	if (!batch) {
		flush_tlb_page(mm, addr);
		return;
	}
	tlb_batch_add(batch, mm, addr, READ_ONCE(mm->cpumask));
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
	/* A CPU that still has the entry writes on only if it has set the D bit: a clean entry is
	 * walked again for that, and is gone. So the bit is right; what a batch must wait for with
	 * its flush is the page's contents. */
	old = pte_get_and_clear(pte);
	unmap_flush(mm, addr, arg);
	if (pte_dirty(old))
		SetPageDirty(page);
	pte_set(pte, unlikely(pte_uffd_wp(old)) ? pte_mkuffd_wp(swp_entry_to_pte(entry))
						: swp_entry_to_pte(entry));
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
		rmap_walk_anon(page, unmap_one, batch);
	else
		rmap_walk_file(page, unmap_file_one, batch);
	return !page_mapped(page);
}

bool try_to_unmap(struct page *page)
{
	return try_to_unmap_batched(page, NULL);
}
