/*
 * Who may map an anonymous page: anon_vmas, and the VMAs that join and leave them. rmap.c walks what is
 * built here.
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
#include "lib/errno.h"
#include "mm/slab/slab.h"
#include "mm/rmap/rmap_internal.h"

static struct kmem_cache *anon_vma_cache, *chain_cache;
static struct anon_vma *free_anon_vmas; /* free_lock */
static spinlock_t free_lock = SPINLOCK_INIT;

void rmap_init(void)
{
	anon_vma_cache = kmem_cache_create("anon_vma", sizeof(struct anon_vma), 8,
					   SLAB_PANIC | SLAB_KEPT, NULL);
	chain_cache = kmem_cache_create("anon_vma_chain", sizeof(struct anon_vma_chain), 8,
					SLAB_PANIC | SLAB_ACCOUNT, NULL);
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
 * of descendants, and a line of forks in which each parent has exited does not grow chains without
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
		/* A walker with a stale pointer may hold this lock as that of a root. */
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

/* The chain's VMA has another range: is its place in the tree still right? */
static bool chain_in_order(const struct anon_vma_chain *c)
{
	const struct rb_node *prev = rb_prev(&c->rb), *next = rb_next(&c->rb);

	return (!prev ||
		chain_first(rb_entry(prev, struct anon_vma_chain, rb)) <= chain_first(c)) &&
	       (!next || chain_first(c) <= chain_first(rb_entry(next, struct anon_vma_chain, rb)));
}

void anon_vma_range_change_begin(struct vm_area_struct *vma)
{
	if (vma->anon_vma)
		spin_lock(&vma->anon_vma->root->lock);
}

void anon_vma_range_change_end(struct vm_area_struct *vma)
{
	struct anon_vma_chain *c;

	if (!vma->anon_vma)
		return;
	/* Nearly always the chain keeps its place in the tree, and only its start or its end
	 * changes. */
	list_for_each_entry (c, &vma->anon_vma_chain, same_vma) {
		if (likely(chain_in_order(c))) {
			rb_augment_path(&c->rb, chain_augment);
		} else {
			chain_remove(c);
			chain_insert(c);
		}
	}
	spin_unlock(&vma->anon_vma->root->lock);
}
