/* Slab allocator: caches of objects, kmalloc. */
#ifndef MM_SLAB_H
#define MM_SLAB_H
#include "mm/phys/gfp.h"
#include "lib/format.h"
#include "lib/list.h"
#include "lib/spinlock.h"
#include "mm/slab/list_lru.h"

struct kmem_cache;
#define SLAB_HWCACHE_ALIGN	0x1u
#define SLAB_RECLAIM_ACCOUNT	0x2u
#define SLAB_PANIC		0x4u
#define SLAB_KEPT		0x8u /* its owner keeps objects for reuse: see slab_objects_in_use() */
#define SLAB_CONSISTENCY_CHECKS 0x10u  /* F */
#define SLAB_RED_ZONE		0x20u  /* Z */
#define SLAB_POISON		0x40u  /* P */
#define SLAB_STORE_USER		0x80u  /* U */
#define SLAB_TRACE		0x100u /* T */
#define SLAB_ACCOUNT		0x200u /* objects are charged to the allocating task's memory cgroup */

/** Create a cache; `ctor` runs once per object when its slab is made. NULL on failure. May
 * sleep. */
struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align,
				     unsigned int flags, void (*ctor)(void *));
/** All objects must be free. Returns 0 or -EBUSY (cache kept). */
int kmem_cache_destroy(struct kmem_cache *c);
void *kmem_cache_alloc(struct kmem_cache *c, gfp_t gfp);
void kmem_cache_free(struct kmem_cache *c, void *obj);
/** All or nothing: returns n or 0. */
unsigned int kmem_cache_alloc_bulk(struct kmem_cache *c, gfp_t gfp, unsigned int n, void **objs);
void kmem_cache_free_bulk(struct kmem_cache *c, unsigned int n, void **objs);
/** Give back empty slabs and sheaves. Returns pages freed. */
unsigned long kmem_cache_shrink(struct kmem_cache *c);
unsigned int kmem_cache_size(const struct kmem_cache *c);

/** 8..8192 from caches (with 96 and 192), larger straight from pages. kmalloc(0) gives
 * ZERO_SIZE_PTR. */
void *kmalloc(size_t size, gfp_t gfp);
void *kzalloc(size_t size, gfp_t gfp);
void *kcalloc(size_t n, size_t size, gfp_t gfp); /* checks overflow */
void *krealloc(void *p, size_t size, gfp_t gfp);
void kfree(void *p); /* NULL and ZERO_SIZE_PTR are fine */
size_t ksize(const void *p);
#define ZERO_SIZE_PTR ((void *)16)

/** Command line `slab_debug=FZPUT[,cache…]`; before kmem_cache_init. */
void slab_debug_setup(const char *options);
void kmem_cache_init(void);
/** Memory cgroups come into use: objects of caches with SLAB_ACCOUNT are charged from now on. May sleep. */
void slab_account_begin(void);
struct mem_cgroup;
/** All objects of one group become those of another. May sleep. */
void slab_account_reparent(struct mem_cgroup *from, struct mem_cgroup *to);
void report_slabinfo(struct report *r);
/** Objects in use, in all caches except those with SLAB_KEPT, whose owners keep objects for reuse. Flushes all
 * sheaves and frees empty slabs. For tests: an operation that fails must leave the number unchanged. May sleep. */
u64 slab_objects_in_use(void);

/* Shrinkers */

/** Reclaim's request to the shrinkers. */
struct shrink_control {
	gfp_t gfp;
	unsigned int node;	  /* objects of this node */
	struct mem_cgroup *memcg; /* charged to this group; NULL: the root */
	int priority;		  /* of reclaim: 12 (few objects) to 0 (all) */
	bool kswapd;		  /* kswapd asks */
	/* For count() and scan(): */
	struct list_lru *lru;	  /* of this node and group; NULL: the shrinker has no lists */
	unsigned long nr_to_scan; /* for scan() */
	unsigned long
		nr_scanned; /* objects scan() has looked at: nr_to_scan unless scan() sets it */
};
struct shrinker {
	/** Objects that could be freed. */
	unsigned long (*count)(struct shrinker *s, struct shrink_control *sc);
	/** Look at up to sc->nr_to_scan objects. Returns how many it freed. */
	unsigned long (*scan)(struct shrinker *s, struct shrink_control *sc);
	const char *name;
	unsigned int seeks;   /* cost of recreating an object, in disk accesses; 0: the usual 2 */
	spinlock_t *lru_lock; /* its objects are on list_lrus, under this lock; else NULL */
	enum list_lru_kind kind; /* then: which */
	u16 id;			 /* in the trace; given by register_shrinker() */
	s64 deferred;		 /* A: scans put off, of a shrinker without lists */
	struct list_head node;
};
void register_shrinker(struct shrinker *s);
void unregister_shrinker(struct shrinker *s);
/** Ask the shrinkers for their share of one node and one group. For a group that is not the root only
 * those with lists are asked. Returns objects freed. May sleep. */
unsigned long shrink_slab_group(struct shrink_control *sc);
/** The same for every node and every group. */
unsigned long shrink_slab(gfp_t gfp, int priority);
/** Free all that shrinkers can free: drop_caches. May sleep. */
void drop_slab(void);
/** How many of its objects a shrinker scans [pure]. */
unsigned long shrink_share(unsigned long objects, int priority, unsigned int seeks);
/** Id of the memory cgroup that a slab object is charged to; 0: the root. */
u16 slab_object_group(const void *obj);
#endif
