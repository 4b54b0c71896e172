/*
 * Which memory cgroup a slab object is charged to.
 *
 *   slab of a cache with SLAB_ACCOUNT:  | obj | obj | ... | obj | u16 owner[objects] |
 *
 * owner[i] is the id of the group that object i is charged to; 0: none, or free. The code that allocates the object
 * writes it after the allocation, and clears it before the object is freed. When the group's directory is removed,
 * its parent takes the object over (slab_account_reparent()); otherwise a dentry that is used now and then would
 * keep the group for ever. Both sides change it atomically: whoever exchanges the id owns the charge that it stands
 * for.
 *
 * Caches without the flag have no extra cost. Caches with it have no sheaves once there are groups, because a sheaf
 * gives out objects without charging them. So their fast paths fail, and the slow paths charge. While no group
 * exists there is no cost either.
 */
#include "mm/memcg/memcg.h"
#include "mm/slab/slab_internal.h"
#include "lib/errno.h"
#include "lib/string.h"

bool slab_accounting;

static u16 *owners_of(const struct kmem_cache *c, const struct slab *slab)
{
	return (u16 *)((char *)slab_address(slab) + c->offset_of_first +
		       (unsigned long)slab->objects * c->size);
}

static u16 *owner_of(const struct kmem_cache *c, const struct slab *slab, const void *obj)
{
	unsigned long at =
		(unsigned long)obj - (unsigned long)slab_address(slab) - c->offset_of_first;

	return owners_of(c, slab) + at / c->size;
}

void slab_account_init(const struct kmem_cache *c, struct slab *slab)
{
	if (slab_owner_bytes(c))
		memset(owners_of(c, slab), 0, slab->objects * sizeof(u16));
}

u16 slab_object_group(const void *obj)
{
	const struct slab *slab;

	if (!mem_cgroup_enabled())
		return 0;
	slab = slab_of(obj);
	if (slab->type != PAGE_SLAB || !slab_owner_bytes(slab->cache))
		return 0;
	return *owner_of(slab->cache, slab, obj);
}

struct mem_cgroup *slab_account_charge(const struct kmem_cache *c, gfp_t gfp)
{
	return mem_cgroup_enabled() ? mem_cgroup_charge_obj(c->size, gfp) : NULL;
}

static void count(const struct kmem_cache *c, const struct slab *slab, u16 id, s64 sign)
{
	mem_cgroup_count_obj(id, page_node_id(slab_page(slab)), c->flags & SLAB_RECLAIM_ACCOUNT,
			     sign * (s64)c->size);
}

/* Uncharge one object of the group `id`. 0: the object was not charged. */
static void uncharge(const struct kmem_cache *c, const struct slab *slab, u16 id)
{
	if (!id)
		return;
	count(c, slab, id, -1);
	mem_cgroup_uncharge_obj(id, c->size);
}

void slab_account_commit(const struct kmem_cache *c, struct mem_cgroup *memcg, void *obj)
{
	const struct slab *slab;

	if (!memcg)
		return;
	if (!obj) {
		mem_cgroup_uncharge_obj(memcg->id, c->size);
		return;
	}
	slab = slab_of(obj);
	count(c, slab, memcg->id, 1);
	/* The last step: from now on slab_account_reparent() may take the object over, and the group be freed. */
	WRITE_ONCE(*owner_of(c, slab, obj), memcg->id);
}

void slab_account_free(const struct kmem_cache *c, void **objs, unsigned int n)
{
	if (!mem_cgroup_enabled())
		return;
	for (unsigned int i = 0; i < n; i++) {
		const struct slab *slab = slab_of(objs[i]);
		u16 *owner;

		if (slab->type != PAGE_SLAB || slab->cache != c)
			continue; /* put_objects() complains */
		owner = owner_of(c, slab, objs[i]);
		/* Its group may be changing: slab_account_reparent(). */
		if (READ_ONCE(*owner))
			uncharge(c, slab, atomic_xchg(owner, 0));
	}
}

/* ---- a group's directory is removed ---- */

/* If the object is `from`'s, it becomes `to`'s. */
static void reparent_one(const struct kmem_cache *c, const struct slab *slab, u16 *owner,
			 struct mem_cgroup *from, struct mem_cgroup *to)
{
	if (READ_ONCE(*owner) != from->id)
		return;
	/* Charge the object first: once the id is set, others may free it. The root's id is 0, and nothing is
	 * charged to it. */
	if (to->id) {
		mem_cgroup_take_obj(to, c->size);
		count(c, slab, to->id, 1);
	}
	if (atomic_cmpxchg(owner, from->id, to->id) == from->id)
		uncharge(c, slab, from->id);
	else
		uncharge(c, slab, to->id); /* the object has been freed in the meantime */
}

/* The cache, if it still exists and is accounted; else NULL. A frame that is read without a lock may hold any
 * pointer. slab_mutex held. */
static struct kmem_cache *accounted_cache(const void *cache)
{
	struct kmem_cache *c;

	list_for_each_entry (c, &slab_caches, list) {
		if (c == cache)
			return slab_is_accounted(c) ? c : NULL;
	}
	return NULL;
}

static void reparent_slab(struct page *page, struct mem_cgroup *from, struct mem_cgroup *to)
{
	struct slab *slab = (struct slab *)page;
	struct kmem_cache *c = accounted_cache(READ_ONCE(slab->cache));
	struct cache_node *n;
	unsigned long flags;

	if (!c)
		return;
	n = &c->node[page_node_id(page)];
	/* A slab with an object in use is not freed while we hold the lock. */
	flags = spin_lock_irqsave(&n->list_lock);
	if (slab->type == PAGE_SLAB && slab->cache == c && slab->inuse)
		for (u32 i = 0; i < slab->objects; i++)
			reparent_one(c, slab, owners_of(c, slab) + i, from, to);
	spin_unlock_irqrestore(&n->list_lock, flags);
}

void slab_account_reparent(struct mem_cgroup *from, struct mem_cgroup *to)
{
	if (!atomic_load(&from->obj_bytes))
		return;
	mutex_lock(&slab_mutex);
	/* Full slabs are on no list: all frames are looked at. */
	for (unsigned int r = 0; r < nr_ram_ranges; r++)
		for (pfn_t pfn = ram_range[r].start; pfn < ram_range[r].end; pfn++) {
			struct page *page = pfn_to_page(pfn);

			if (unlikely(READ_ONCE(page->type) == PAGE_SLAB && !PageTail(page)))
				reparent_slab(page, from, to);
			if (!(pfn & 1023))
				cond_resched();
			if (!atomic_load(&from->obj_bytes))
				goto out;
		}
out:
	mutex_unlock(&slab_mutex);
}
