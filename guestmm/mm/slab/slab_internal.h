/*
 * Slab allocator: what the files of this folder share. The essay is in slab.c.
 */
#ifndef MM_SLAB_INTERNAL_H
#define MM_SLAB_INTERNAL_H
#include "mm/phys/folio.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab.h"
#include "arch/percpu.h"

#define SHEAF_MAX  31
#define CACHE_NAME 32

/* A CPU's stack of free objects of one cache: 256 bytes. Owner only, interrupts off. */
struct sheaf {
	u32 nr, cap;
	void *obj[SHEAF_MAX];
};

struct cache_node {
	spinlock_t list_lock;
	struct list_head partial; /* slabs with at least one free object; list_lock */
	u64 nr_partial;
};

/* Lock legend: C constant after creation, I interrupts off on the owner CPU, N list_lock, A
 * atomic. */
struct kmem_cache {
	struct sheaf *__percpu *sheaf; /* C. Each CPU's, I */
	u32 object_size;	       /* C: as asked for */
	u32 size;		       /* C: from object to object */
	u32 free_offset;	       /* C: where a free object keeps the pointer to the next */
	u32 offset_of_first;	       /* C: slab start to first object */
	u32 inuse;	     /* C: bytes of an object before the allocator's own data after it */
	u32 align, flags;    /* C */
	u32 sheaf_cap;	     /* C: 0 = no sheaves (debugging, and the sheaves' own cache) */
	u32 min_partial;     /* C: number of empty slabs that may stay */
	u8 order, min_order; /* C: of a slab; min_order when memory is short */
	void (*ctor)(void *obj); /* C */
	struct cache_node node[MMVM_MAX_NODES];
	u64 nr_slabs, nr_objects;   /* A */
	char name[CACHE_NAME];	    /* C */
	struct list_head list;	    /* slab_mutex: in slab_caches */
	u64 nr_refills, nr_flushes; /* sheaves filled and emptied; relaxed */
};

#define SLAB_DEBUG_FLAGS \
	(SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_TRACE)

/* slab_cache.c */
extern struct mutex slab_mutex;
extern struct kmem_cache slab_sheaf_cache;
/* slab.c: an empty sheaf without room, used by CPUs that have none: pops and pushes fail. */
extern struct sheaf slab_no_sheaf;

static inline void *get_free_pointer(const struct kmem_cache *c, const void *obj)
{
	return *(void *const *)((const char *)obj + c->free_offset);
}
static inline void set_free_pointer(const struct kmem_cache *c, void *obj, void *next)
{
	*(void **)((char *)obj + c->free_offset) = next;
}
/** The slab that holds the object. */
static inline struct slab *slab_of(const void *obj)
{
	return (struct slab *)page_folio(virt_to_page(obj));
}
static inline void *slab_address(const struct slab *slab)
{
	return page_address(slab_page(slab));
}

/** Bytes per object after the last object of a slab: the id of the group it is charged to. */
static inline unsigned int slab_owner_bytes(const struct kmem_cache *c)
{
	return c->flags & SLAB_ACCOUNT ? sizeof(u16) : 0;
}
/** Objects in a slab of this order. */
static inline unsigned int slab_objects(const struct kmem_cache *c, unsigned int order)
{
	return ((PAGE_SIZE << order) - c->offset_of_first) / (c->size + slab_owner_bytes(c));
}

static inline void *sheaf_pop(struct kmem_cache *c)
{
	unsigned long flags = arch_irq_save();
	struct sheaf *s = this_cpu_read(*c->sheaf);
	void *obj = NULL;

	if (likely(s->nr))
		obj = s->obj[--s->nr];
	arch_irq_restore(flags);
	return obj;
}
static inline bool sheaf_push(struct kmem_cache *c, void *obj)
{
	unsigned long flags = arch_irq_save();
	struct sheaf *s = this_cpu_read(*c->sheaf);
	bool room = s->nr < s->cap;

	if (likely(room))
		s->obj[s->nr++] = obj;
	arch_irq_restore(flags);
	return room;
}

/* slab.c: out of line */
void *slab_alloc_slow(struct kmem_cache *c, gfp_t gfp, const void *caller);
void slab_free_slow(struct kmem_cache *c, void *obj, const void *caller);
void *slab_clear(struct kmem_cache *c, void *obj);
static inline void *slab_alloc(struct kmem_cache *c, gfp_t gfp, const void *caller)
{
	void *obj;

	if (unlikely(alloc_fail_countdown))
		return slab_alloc_slow(c, gfp, caller);
	obj = sheaf_pop(c);
	if (unlikely(!obj || (gfp & __GFP_ZERO)))
		return obj ? slab_clear(c, obj) : slab_alloc_slow(c, gfp, caller);
	return obj;
}

/* kmalloc.c */
void kmalloc_init(void);

/* account.c */
struct mem_cgroup;
/** Mark all objects of a new slab as not charged. */
void slab_account_init(const struct kmem_cache *c, struct slab *slab);
/** Are objects of the cache charged, once there are groups? Then: */
static inline bool slab_is_accounted(const struct kmem_cache *c)
{
	return unlikely(c->flags & SLAB_ACCOUNT);
}
/** Charge an object that is about to be allocated: as mem_cgroup_charge_obj(). */
struct mem_cgroup *slab_account_charge(const struct kmem_cache *c, gfp_t gfp);
/** Record the charge in the object, or, if obj is NULL because there was no memory, undo it. */
void slab_account_commit(const struct kmem_cache *c, struct mem_cgroup *memcg, void *obj);
/** Uncharge objects that are being freed; those that are not charged are skipped. No lock held. */
void slab_account_free(const struct kmem_cache *c, void **objs, unsigned int n);
extern bool slab_accounting; /* boot, or memcg's first use: no sheaves for such caches */

/* slab_debug.c */
/** Debug flags that the command line wants for a cache of this name. */
u32 slab_debug_flags(const char *name);
/** Room for red zones, poison and tracks: fills size, inuse, free_offset, offset_of_first. */
void slab_layout(struct kmem_cache *c);
/** A new slab's object becomes free. */
void slab_debug_init(struct kmem_cache *c, void *obj);
/** An object is allocated or freed: check it (panics with what is wrong), mark it. list_lock
 * held. */
void slab_debug_alloc(struct kmem_cache *c, struct slab *slab, void *obj, const void *caller);
void slab_debug_free(struct kmem_cache *c, struct slab *slab, void *obj, const void *caller);

#endif
