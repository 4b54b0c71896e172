/*
 * The slab allocator: objects of one size from blocks of pages.
 *
 *   kmem_cache --sheaf-------> | obj | obj | obj | ...      free objects, popped and pushed
 *       |
 *       +--node[n].partial--> slab --> slab --> ...          (slab->list)
 *                              |
 *                              +--freelist--> obj --> obj --> 0   free objects, linked inside
 *
 * A slab is a block of 2^order pages. Its free objects are linked through themselves. In addition each CPU has a
 * sheaf, an array of free objects: allocation pops, freeing pushes, with interrupts off meanwhile. An empty sheaf
 * is filled to half from partial slabs under list_lock, a full one is emptied to half; so list_lock is taken about
 * once in a dozen calls.
 *
 * A slab is a compound block whose struct page is seen as struct slab (mmvm/page.h).
 *
 * I1  type PAGE_SLAB, cache = the cache, freelist = first free object or NULL, inuse = objects not on
 *     the slab's free list (in use, or in a sheaf), objects = all of them.
 * I2  A slab is on its node's partial list exactly when freelist is not NULL.
 * I3  Tails, too, have type PAGE_SLAB and the cache, so that kfree() finds the cache of any address
 *     without finding the head.
 * I4  A cache with debug flags has no sheaves: each object passes slab_debug.c on its way.
 * I5  An object with a constructor is constructed whenever it is free; then its link lies behind
 *     it.
 *
 * Locks: slab_mutex (list of caches; sleeps)  >  list_lock (interrupts off)  >  zone->lock. Pages
 * are allocated and freed with no list_lock held.
 */
#include "mm/kvirt/percpu.h"
#include "mm/slab/slab_internal.h"
#include "lib/string.h"
#include "lib/errno.h"
#include "mm/memcg/memcg.h"
#include "mmvm/audit.h"

struct sheaf slab_no_sheaf;

/* ---- slabs ---- */

static void account(const struct kmem_cache *c, const struct slab *slab, s64 sign)
{
	page_stat_add(slab_page(slab),
		      c->flags & SLAB_RECLAIM_ACCOUNT ? NR_SLAB_RECLAIMABLE : NR_SLAB_UNRECLAIMABLE,
		      sign * (1l << slab->order));
}

/* A new slab, every object free, on no list. Called without locks. */
static struct slab *new_slab(struct kmem_cache *c, gfp_t gfp)
{
	unsigned int order = c->order;
	struct page *page = NULL;
	struct slab *slab;
	gfp_t try;
	char *obj;
	u32 n;

	if (c->flags & SLAB_RECLAIM_ACCOUNT)
		gfp |= __GFP_RECLAIMABLE; /* a shrinker can empty it: keep it with other reclaimable pages */
	try = (gfp | __GFP_NOWARN | __GFP_NORETRY | __GFP_COMP) & ~(gfp_t)__GFP_NOFAIL;
	if (order > c->min_order)
		page = alloc_pages_type(try, order, PAGE_SLAB);
	if (!page) {
		order = c->min_order;
		page = alloc_pages_type(gfp | __GFP_COMP, order, PAGE_SLAB);
	}
	if (!page)
		return NULL;
	slab = (struct slab *)page;
	slab->cache = c;
	for (unsigned int i = 1; i < 1u << order; i++) {
		slab[i].type = PAGE_SLAB;
		slab[i].cache = c;
	}
	n = slab_objects(c, order);
	obj = (char *)slab_address(slab) + c->offset_of_first;
	slab->freelist = obj;
	slab->inuse = 0;
	slab->objects = n;
	for (u32 i = 0; i < n; i++, obj += c->size) {
		if (c->flags & SLAB_DEBUG_FLAGS)
			slab_debug_init(c, obj);
		if (c->ctor)
			c->ctor(obj);
		set_free_pointer(c, obj, i + 1 < n ? obj + c->size : NULL);
	}
	slab_account_init(c, slab);
	atomic_add(&c->nr_slabs, 1);
	atomic_add(&c->nr_objects, n);
	account(c, slab, 1);
	return slab;
}

static void discard_slab(struct kmem_cache *c, struct slab *slab)
{
	unsigned int order = slab->order;

	account(c, slab, -1);
	atomic_sub(&c->nr_slabs, 1);
	atomic_sub(&c->nr_objects, slab->objects);
	slab->objects = 0;
	slab->cache = NULL;
	/* A stale pointer into the slab must not find the cache any more. */
	for (unsigned int i = 1; i < 1u << order; i++) {
		slab[i].type = PAGE_INVALID;
		slab[i].cache = NULL;
	}
	__free_pages(slab_page(slab), order);
}

static struct cache_node *node_of(struct kmem_cache *c, const struct slab *slab)
{
	return &c->node[page_node_id(slab_page(slab))];
}

static void add_partial(struct cache_node *n, struct slab *slab)
{
	list_add(&slab->list, &n->partial);
	n->nr_partial++;
}

static void del_partial(struct cache_node *n, struct slab *slab)
{
	__list_del(slab->list.prev, slab->list.next);
	n->nr_partial--;
}

/* ---- taking objects: list_lock held ---- */

static unsigned int take_from_slab(struct kmem_cache *c, struct slab *slab, void **objs,
				   unsigned int want, const void *caller)
{
	void *obj = slab->freelist;
	unsigned int n = 0;

	while (n < want && obj) {
		void *next = get_free_pointer(c, obj);

		if (unlikely(c->flags & SLAB_DEBUG_FLAGS))
			slab_debug_alloc(c, slab, obj, caller);
		objs[n++] = obj;
		obj = next;
	}
	slab->freelist = obj;
	slab->inuse += n;
	if (unlikely(slab->inuse > slab->objects))
		bad_page(slab_page(slab), "slab gives out more objects than it has");
	return n;
}

static unsigned int take_partial(struct kmem_cache *c, void **objs, unsigned int want,
				 const void *caller)
{
	unsigned int got = 0;

	for (unsigned int i = 0; i < MMVM_MAX_NODES && got < want; i++) {
		struct cache_node *n = &c->node[i];
		unsigned long flags;

		if (!READ_ONCE(n->nr_partial))
			continue;
		flags = spin_lock_irqsave(&n->list_lock);
		while (got < want && !list_empty(&n->partial)) {
			struct slab *slab = list_first_entry(&n->partial, struct slab, list);

			got += take_from_slab(c, slab, objs + got, want - got, caller);
			if (!slab->freelist)
				del_partial(n, slab);
		}
		spin_unlock_irqrestore(&n->list_lock, flags);
	}
	return got;
}

/* At least one and up to `want` objects, or none when there is no memory. */
static unsigned int take_objects(struct kmem_cache *c, gfp_t gfp, void **objs, unsigned int want,
				 const void *caller)
{
	unsigned int got = take_partial(c, objs, want, caller);
	struct cache_node *n;
	struct slab *slab;
	unsigned long flags;

	if (got)
		return got;
	slab = new_slab(c, gfp);
	if (!slab)
		return 0;
	n = node_of(c, slab);
	flags = spin_lock_irqsave(&n->list_lock);
	got = take_from_slab(c, slab, objs, want, caller);
	if (slab->freelist)
		add_partial(n, slab);
	spin_unlock_irqrestore(&n->list_lock, flags);
	return got;
}

/* ---- putting objects back ---- */

/* Return an object to its slab. An empty slab beyond the limit is put on `empty` (linked by list). list_lock
 * held. */
static void put_object(struct kmem_cache *c, struct cache_node *n, struct slab *slab, void *obj,
		       struct list_head *empty, const void *caller)
{
	if (unlikely(c->flags & SLAB_DEBUG_FLAGS))
		slab_debug_free(c, slab, obj, caller);
	if (unlikely(!slab->inuse || slab->freelist == obj))
		bad_page(slab_page(slab), "double free of a slab object");
	set_free_pointer(c, obj, slab->freelist);
	if (!slab->freelist)
		add_partial(n, slab);
	slab->freelist = obj;
	if (--slab->inuse == 0 && n->nr_partial > c->min_partial) {
		del_partial(n, slab);
		list_add(&slab->list, empty);
	}
}

static void discard_slabs(struct kmem_cache *c, struct list_head *empty)
{
	while (!list_empty(empty)) {
		struct slab *slab = list_first_entry(empty, struct slab, list);

		list_del(&slab->list);
		discard_slab(c, slab);
	}
}

static void put_objects(struct kmem_cache *c, void **objs, unsigned int n, const void *caller)
{
	struct cache_node *locked = NULL;
	unsigned long flags = 0;
	LIST_HEAD(empty);

	if (slab_is_accounted(c))
		slab_account_free(c, objs, n);
	for (unsigned int i = 0; i < n; i++) {
		struct slab *slab = slab_of(objs[i]);
		struct cache_node *node = node_of(c, slab);

		if (unlikely(slab->type != PAGE_SLAB || slab->cache != c))
			bad_page(slab_page(slab), "object freed to a cache that it is not from");
		if (unlikely(node != locked)) {
			if (locked)
				spin_unlock_irqrestore(&locked->list_lock, flags);
			locked = node;
			flags = spin_lock_irqsave(&locked->list_lock);
		}
		put_object(c, node, slab, objs[i], &empty, caller);
	}
	if (locked)
		spin_unlock_irqrestore(&locked->list_lock, flags);
	discard_slabs(c, &empty);
}

/* ---- sheaves ---- */

/* Give this CPU a sheaf; it has none yet. Losing a race or finding no memory only costs speed. */
static void add_sheaf(struct kmem_cache *c)
{
	struct sheaf **slot, *s;
	unsigned long flags;
	void *obj;

	if (!take_objects(&slab_sheaf_cache, GFP_NOWAIT, &obj, 1, NULL))
		return;
	s = obj;
	s->nr = 0;
	s->cap = c->sheaf_cap;
	flags = arch_irq_save();
	slot = this_cpu_ptr(c->sheaf);
	if (*slot == &slab_no_sheaf && c->sheaf_cap) {
		*slot = s;
		s = NULL;
	}
	arch_irq_restore(flags);
	if (s)
		slab_free_slow(&slab_sheaf_cache, s, NULL);
}

void *slab_clear(struct kmem_cache *c, void *obj)
{
	return memset(obj, 0, c->object_size);
}

/* The sheaf was empty. One object for the caller, the rest of the batch for the sheaf. */
__attribute__((noinline)) void *slab_alloc_slow(struct kmem_cache *c, gfp_t gfp, const void *caller)
{
	void *objs[SHEAF_MAX], *obj;
	struct mem_cgroup *memcg = NULL;
	unsigned int got, kept = 0;
	unsigned long flags;
	struct sheaf *s;

	if (unlikely(alloc_fail_countdown) && alloc_should_fail(gfp))
		return NULL;
	if (gfp & __GFP_DIRECT_RECLAIM)
		gfp = alloc_check_context(gfp);
	if (slab_is_accounted(c)) {
		memcg = slab_account_charge(c, gfp);
		if (IS_ERR(memcg))
			return NULL;
	}
	if (c->sheaf_cap && this_cpu_read(*c->sheaf) == &slab_no_sheaf)
		add_sheaf(c);
	got = take_objects(c,
			   gfp & ~(gfp_t)(__GFP_ZERO | __GFP_DMA | __GFP_DMA32 | __GFP_HIGHMEM |
					  __GFP_MOVABLE | __GFP_RECLAIMABLE),
			   objs, c->sheaf_cap / 2 + 1, caller);
	obj = got ? objs[--got] : NULL;
	if (unlikely(memcg))
		slab_account_commit(c, memcg, obj);
	if (!obj)
		return NULL;

	flags = arch_irq_save();
	s = this_cpu_read(*c->sheaf);
	while (kept < got && s->nr < s->cap)
		s->obj[s->nr++] = objs[kept++];
	arch_irq_restore(flags);
	c->nr_refills++;
	if (kept < got) /* an interrupt filled it, or we are on another CPU now */
		put_objects(c, objs + kept, got - kept, caller);
	return gfp & __GFP_ZERO ? slab_clear(c, obj) : obj;
}

/* The sheaf was full, or there is none. */
__attribute__((noinline)) void slab_free_slow(struct kmem_cache *c, void *obj, const void *caller)
{
	void *objs[SHEAF_MAX + 1];
	unsigned int n = 0, keep;
	unsigned long flags = arch_irq_save();
	struct sheaf *s = this_cpu_read(*c->sheaf);

	/* The objects at the bottom are least likely to be in the CPU's cache. */
	keep = s->cap / 2;
	if (s->nr > keep) {
		n = s->nr - keep;
		memcpy(objs, s->obj, n * sizeof(void *));
		memmove(s->obj, s->obj + n, keep * sizeof(void *));
		s->nr = keep;
	}
	if (s->cap)
		s->obj[s->nr++] = obj;
	else
		objs[n++] = obj;
	arch_irq_restore(flags);
	c->nr_flushes++;
	put_objects(c, objs, n, caller);
}

/* Flush this CPU's sheaf. */
static void flush_sheaf(void *arg)
{
	struct kmem_cache *c = arg;
	void *objs[SHEAF_MAX];
	unsigned long flags = arch_irq_save();
	struct sheaf *s = this_cpu_read(*c->sheaf);
	unsigned int n = s->nr;

	memcpy(objs, s->obj, n * sizeof(void *));
	s->nr = 0;
	arch_irq_restore(flags);
	put_objects(c, objs, n, NULL);
}

/* Free this CPU's sheaf, of a cache that is to have none any more. */
static void drop_sheaf(void *arg)
{
	struct kmem_cache *c = arg;
	unsigned long flags = arch_irq_save();
	struct sheaf *s = this_cpu_read(*c->sheaf);

	this_cpu_write(*c->sheaf, &slab_no_sheaf);
	arch_irq_restore(flags);
	if (s == &slab_no_sheaf)
		return;
	put_objects(c, s->obj, s->nr, NULL);
	slab_free_slow(&slab_sheaf_cache, s, NULL);
}

void slab_account_begin(void)
{
	struct kmem_cache *c;

	mutex_lock(&slab_mutex);
	if (!slab_accounting) {
		slab_accounting = true;
		list_for_each_entry (c, &slab_caches, list) {
			if (!slab_is_accounted(c))
				continue;
			WRITE_ONCE(c->sheaf_cap, 0); /* add_sheaf() makes no new one */
			on_each_cpu(drop_sheaf, c);
		}
	}
	mutex_unlock(&slab_mutex);
}

/* ---- the interface ---- */

void *kmem_cache_alloc(struct kmem_cache *c, gfp_t gfp)
{
	return slab_alloc(c, gfp, __builtin_return_address(0));
}

void kmem_cache_free(struct kmem_cache *c, void *obj)
{
	if (unlikely(!sheaf_push(c, obj)))
		slab_free_slow(c, obj, __builtin_return_address(0));
}

static unsigned int alloc_one_by_one(struct kmem_cache *c, gfp_t gfp, unsigned int n, void **objs,
				     const void *caller)
{
	unsigned int got;

	for (got = 0; got < n; got++) {
		objs[got] = slab_alloc(c, gfp, caller);
		if (!objs[got]) {
			kmem_cache_free_bulk(c, got, objs);
			return 0;
		}
	}
	return n;
}

unsigned int kmem_cache_alloc_bulk(struct kmem_cache *c, gfp_t gfp, unsigned int n, void **objs)
{
	const void *caller = __builtin_return_address(0);
	unsigned int got = 0;
	unsigned long flags;
	struct sheaf *s;

	if (slab_is_accounted(c))
		return alloc_one_by_one(c, gfp, n, objs, caller);
	flags = arch_irq_save();
	s = this_cpu_read(*c->sheaf);
	while (got < n && s->nr)
		objs[got++] = s->obj[--s->nr];
	arch_irq_restore(flags);
	if (got < n && (gfp & __GFP_DIRECT_RECLAIM))
		gfp = alloc_check_context(gfp);
	while (got < n) {
		unsigned int more = 0;

		if (!(unlikely(alloc_fail_countdown) && alloc_should_fail(gfp)))
			more = take_objects(c, gfp & ~(gfp_t)__GFP_ZERO, objs + got, n - got,
					    caller);
		if (!more) {
			put_objects(c, objs, got, caller);
			return 0;
		}
		got += more;
	}
	if (gfp & __GFP_ZERO)
		for (unsigned int i = 0; i < n; i++)
			slab_clear(c, objs[i]);
	return n;
}

void kmem_cache_free_bulk(struct kmem_cache *c, unsigned int n, void **objs)
{
	unsigned long flags = arch_irq_save();
	struct sheaf *s = this_cpu_read(*c->sheaf);
	unsigned int i = 0;

	while (i < n && s->nr < s->cap)
		s->obj[s->nr++] = objs[i++];
	arch_irq_restore(flags);
	put_objects(c, objs + i, n - i, __builtin_return_address(0));
}

unsigned int kmem_cache_size(const struct kmem_cache *c)
{
	return c->object_size;
}

unsigned long kmem_cache_shrink(struct kmem_cache *c)
{
	unsigned long pages = 0;

	on_each_cpu(flush_sheaf, c);
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
		struct cache_node *n = &c->node[i];
		struct slab *slab, *next;
		unsigned long flags;
		LIST_HEAD(empty);

		flags = spin_lock_irqsave(&n->list_lock);
		list_for_each_entry_safe (slab, next, &n->partial, list) {
			if (slab->inuse)
				continue;
			del_partial(n, slab);
			list_add(&slab->list, &empty);
			pages += 1ul << slab->order;
		}
		spin_unlock_irqrestore(&n->list_lock, flags);
		discard_slabs(c, &empty);
	}
	return pages;
}
