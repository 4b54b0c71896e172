/*
 * Which memory cgroup a slab object is charged to.
 *
 *   slab of a cache with SLAB_ACCOUNT:  | obj | obj | ... | obj | u16 owner[objects] |
 *
 * owner[i] is the id of the group that object i is charged to; 0: none, or free. It is written by who has the object:
 * after the allocator gave it, and before it takes it back.
 *
 * Caches without the flag pay nothing. Those with it have no sheaves once there are groups: a sheaf gives out
 * objects without asking anybody. So their fast paths fail, and the slow ones, which know of charging, do the work;
 * while nobody uses groups nothing is paid, either.
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
	*owner_of(c, slab, obj) = memcg->id;
	count(c, slab, memcg->id, 1);
}

void slab_account_free(const struct kmem_cache *c, void **objs, unsigned int n)
{
	if (!mem_cgroup_enabled())
		return;
	for (unsigned int i = 0; i < n; i++) {
		const struct slab *slab = slab_of(objs[i]);
		u16 *owner, id;

		if (slab->type != PAGE_SLAB || slab->cache != c)
			continue; /* put_objects() complains */
		owner = owner_of(c, slab, objs[i]);
		id = *owner;
		if (!id)
			continue;
		*owner = 0;
		count(c, slab, id, -1);
		mem_cgroup_uncharge_obj(id, c->size);
	}
}
