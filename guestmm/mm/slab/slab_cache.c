/*
 * Slab caches: how one is laid out, made and destroyed. slab.c has the objects.
 *
 * Locks: slab_mutex for the list of caches.
 */
#include "mm/kvirt/percpu.h"
#include "mm/slab/slab_internal.h"
#include "lib/string.h"
#include "lib/errno.h"
#include "mm/memcg/memcg.h"
#include "mmvm/audit.h"

struct mutex slab_mutex = MUTEX_INIT(slab_mutex);
LIST_HEAD(slab_caches);

#define MAX_SLAB_ORDER 3
/* A slab should hold at least this many objects, so that a call of the page allocator is worth its cost. */
#define MIN_OBJECTS	   8
#define MIN_PARTIAL	   2u
#define PARTIAL_KEPT_BYTES 16384u

struct kmem_cache slab_sheaf_cache;
static struct kmem_cache cache_cache; /* of caches */

static bool fits(const struct kmem_cache *c, unsigned int order)
{
	return (PAGE_SIZE << order) >= c->offset_of_first + c->size + slab_owner_bytes(c);
}

/* The smallest order that wastes at most a 16th and holds enough objects; if there is none, the limits are relaxed
 * step by step. */
static unsigned int choose_order(const struct kmem_cache *c)
{
	for (unsigned int min_objects = MIN_OBJECTS; min_objects; min_objects /= 2)
		for (unsigned int fraction = 16; fraction >= 4; fraction /= 2)
			for (unsigned int order = 0; order <= MAX_SLAB_ORDER; order++) {
				unsigned int n, waste;

				if (!fits(c, order))
					continue;
				n = slab_objects(c, order);
				waste = (PAGE_SIZE << order) - n * c->size;
				if (n >= min_objects && waste <= (PAGE_SIZE << order) / fraction)
					return order;
			}
	return c->min_order;
}

static bool cache_init(struct kmem_cache *c, const char *name, unsigned int size,
		       unsigned int align, unsigned int flags, void (*ctor)(void *))
{
	memset(c, 0, sizeof(*c));
	strscpy(c->name, name, sizeof(c->name));
	c->object_size = size;
	c->flags = flags | slab_debug_flags(name);
	c->align = max(align, (unsigned int)sizeof(void *));
	if (flags & SLAB_HWCACHE_ALIGN) {
		unsigned int line = 64;

		while (size <= line / 2)
			line /= 2;
		c->align = max(c->align, line);
	}
	c->ctor = ctor;
	slab_layout(c);
	while (!fits(c, c->min_order))
		c->min_order++;
	if (c->min_order > MAX_ORDER)
		return false;
	c->order = choose_order(c);
	c->min_partial = max(MIN_PARTIAL, PARTIAL_KEPT_BYTES >> PAGE_SHIFT >> c->order);
	/* A sheaf holds at most about 16 KiB of objects. */
	if (!(c->flags & SLAB_DEBUG_FLAGS) && !(slab_accounting && slab_is_accounted(c)))
		c->sheaf_cap = size <= 512 ? SHEAF_MAX - 1 : size <= 2048 ? 12 : 4;
	c->sheaf = alloc_percpu(sizeof(struct sheaf *), sizeof(struct sheaf *));
	if (!c->sheaf)
		return false;
	for_each_possible_cpu (cpu)
		*per_cpu_ptr(c->sheaf, cpu) = &slab_no_sheaf;
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++)
		INIT_LIST_HEAD(&c->node[i].partial);
	return true;
}

struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align,
				     unsigned int flags, void (*ctor)(void *))
{
	struct kmem_cache *c = NULL;

	if (name && size && size <= PAGE_SIZE << MAX_ORDER && !(align & (align - 1)) &&
	    align <= PAGE_SIZE)
		c = kmem_cache_alloc(&cache_cache, GFP_KERNEL);
	if (c && !cache_init(c, name, size, align, flags, ctor)) {
		kmem_cache_free(&cache_cache, c);
		c = NULL;
	}
	if (!c) {
		if (flags & SLAB_PANIC)
			panic("cannot create slab cache %s", name ? name : "(no name)");
		return NULL;
	}
	mutex_lock(&slab_mutex);
	list_add_tail(&c->list, &slab_caches);
	mutex_unlock(&slab_mutex);
	return c;
}

int kmem_cache_destroy(struct kmem_cache *c)
{
	if (!c)
		return 0;
	mutex_lock(&slab_mutex);
	kmem_cache_shrink(c);
	if (c->nr_slabs) {
		mutex_unlock(&slab_mutex);
		printk("slab cache %s: destroyed with objects in use, %lu slabs remain\n", c->name,
		       (unsigned long)c->nr_slabs);
		return -EBUSY;
	}
	list_del(&c->list);
	mutex_unlock(&slab_mutex);
	for_each_possible_cpu (cpu) {
		struct sheaf *s = *per_cpu_ptr(c->sheaf, cpu);

		if (s != &slab_no_sheaf)
			kmem_cache_free(&slab_sheaf_cache, s);
	}
	free_percpu(c->sheaf);
	kmem_cache_free(&cache_cache, c);
	return 0;
}

void kmem_cache_init(void)
{
	cache_init(&cache_cache, "kmem_cache", sizeof(struct kmem_cache), 0, SLAB_HWCACHE_ALIGN,
		   NULL);
	cache_init(&slab_sheaf_cache, "kmem_sheaf", sizeof(struct sheaf), 0,
		   SLAB_HWCACHE_ALIGN | SLAB_KEPT, NULL);
	slab_sheaf_cache.sheaf_cap = 0;
	list_lrus_init(root_mem_cgroup.slab_lru);
	list_add_tail(&cache_cache.list, &slab_caches);
	list_add_tail(&slab_sheaf_cache.list, &slab_caches);
	kmalloc_init();
}

void slab_audit_layout(struct mmvm_audit_cache_layout *l)
{
	l->list_offset = offsetof(struct kmem_cache, list);
	l->name_offset = offsetof(struct kmem_cache, name);
	l->size_offset = offsetof(struct kmem_cache, size);
	l->free_ptr_offset = offsetof(struct kmem_cache, free_offset);
	l->offset_of_first = offsetof(struct kmem_cache, offset_of_first);
	l->flags_offset = offsetof(struct kmem_cache, flags);
	l->account_flag = SLAB_ACCOUNT;
	l->reclaim_flag = SLAB_RECLAIM_ACCOUNT;
}
