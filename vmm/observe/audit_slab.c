/*
 * The audit of slabs.
 *
 *   S1  A slab's cache is on the guest's list of caches. (slab_count)
 *   S2  slab->objects objects of the cache's size fit into the block. (slab_count)
 *   S3  The free list, from slab->freelist, visits objects of this slab only, each once.
 *       (slab_freelist)
 *   S4  Objects not on the free list = slab->inuse. (slab_count)
 *   S5  Tails carry the head's cache, and type SLAB. (folio_tail)
 *
 *   S6  A free object is charged to no memory cgroup. (memcg_object)
 *
 * Objects that the guest's per-CPU layers hold count as in use here: they are not on the slab's
 * list.
 */
#include <errno.h>
#include <inttypes.h>

#include "observe/audit_impl.h"

struct cache {
	uint64_t gva;
	char name[33];
	uint32_t size, free_ptr, first;
	bool accounted; /* the slabs say whose their objects are */
	bool reclaimable;
};

/** Read the caches' list into an array. Returns how many. */
static unsigned int load_caches(struct audit *a, struct cache *cache, unsigned int max)
{
	const struct mmvm_audit_cache_layout *l = &a->root.cache;
	struct list_walk w;
	const char *why;
	unsigned int nr = 0;
	uint64_t node;
	int ret;

	if (list_walk_start(a, &w, a->root.cache_list_gva, max)) {
		audit_find(a, AUDIT_ROOT, "list of slab caches unreadable");
		return 0;
	}
	while ((ret = list_walk_next(a, &w, &node, &why)) > 0) {
		struct cache *c = &cache[nr];
		uint32_t flags = 0;

		memset(c, 0, sizeof(*c));
		c->gva = node - l->list_offset;
		if (audit_read(a, c->gva + l->name_offset, c->name, 32) ||
		    audit_read(a, c->gva + l->size_offset, &c->size, 4) ||
		    audit_read(a, c->gva + l->free_ptr_offset, &c->free_ptr, 4) ||
		    audit_read(a, c->gva + l->offset_of_first, &c->first, 4) ||
		    (l->account_flag && audit_read(a, c->gva + l->flags_offset, &flags, 4))) {
			audit_find(a, AUDIT_ROOT, "slab cache at %#" PRIx64 " unreadable", c->gva);
			return nr;
		}
		c->accounted = flags & l->account_flag;
		c->reclaimable = flags & l->reclaim_flag;
		/* The name is printed: keep it plain. */
		for (char *s = c->name; *s; s++)
			if (*s < 0x20 || *s > 0x7e)
				*s = '?';
		if (c->size < 8 || c->size > 1u << 22 || c->free_ptr > c->size - 8) {
			audit_find(a, AUDIT_ROOT, "cache %s: size %u, free pointer at %u", c->name,
				   c->size, c->free_ptr);
			continue;
		}
		nr++;
	}
	if (ret < 0)
		audit_find(a, AUDIT_ROOT, "list of slab caches: link %" PRIu64 " %s", w.steps, why);
	return nr;
}

/** S6, and what each group has. `seen`: a bit for each free object. `owners`: behind the objects. */
static void add_owners(struct audit *a, const struct cache *c, uint64_t pfn, const struct slab *p,
		       const uint8_t *seen, const uint8_t *owners)
{
	const unsigned int node = p->flags >> PAGE_NODE_SHIFT & PAGE_NODE_MASK;

	for (uint32_t n = 0; n < p->objects; n++) {
		uint16_t id;

		memcpy(&id, owners + 2ull * n, sizeof(id));
		if (!id)
			continue;
		a->obj_bytes[id] += c->size;
		if (node < MMVM_MAX_NODES)
			a->obj_by_node[id][node][c->reclaimable] += c->size;
		if (seen[n / 8] & 1u << n % 8)
			audit_find(a, AUDIT_MEMCG_OBJECT,
				   "slab at frame %#" PRIx64
				   " (%s): object %u is free, and charged to memory cgroup %u",
				   pfn, c->name, n, id);
	}
}

static void check_slab(struct audit *a, const struct cache *c, uint64_t pfn, const struct slab *p)
{
	uint64_t bytes = MMVM_PAGE_SIZE << p->order;
	uint64_t base = a->root.direct_map_gva + (pfn << MMVM_PAGE_SHIFT);
	uint64_t first = base + c->first, at = p->freelist;
	/* One bit an object; a slab of order 10 with 8-byte objects has 2^19. */
	uint8_t small[128] = {0}, *seen = small, *big = NULL;
	uint64_t nr_free = 0;
	const uint8_t *data =
		guest_ram_ptr(a->src->ram, pfn << MMVM_PAGE_SHIFT, MMVM_PAGE_SIZE << p->order);

	if (!data || c->first > bytes ||
	    (uint64_t)p->objects * (c->size + (c->accounted ? 2u : 0)) > bytes - c->first) {
		audit_find(a, AUDIT_SLAB_COUNT,
			   "slab at frame %#" PRIx64 " (%s): %u objects of %u bytes do not fit",
			   pfn, c->name, p->objects, c->size);
		return;
	}
	if (p->objects > 8 * sizeof(small)) {
		big = calloc(1, p->objects / 8 + 1);
		if (!big)
			return;
		seen = big;
	}
	while (at) {
		uint64_t n = (at - first) / c->size;

		if (at < first || (at - first) % c->size || n >= p->objects) {
			audit_find(a, AUDIT_SLAB_FREELIST,
				   "slab at frame %#" PRIx64 " (%s): free list leads to %#" PRIx64
				   ", which is no object of it",
				   pfn, c->name, at);
			goto out;
		}
		if (seen[n / 8] & 1u << n % 8) {
			audit_find(a, AUDIT_SLAB_FREELIST,
				   "slab at frame %#" PRIx64 " (%s): free list comes to object "
				   "%" PRIu64 " twice",
				   pfn, c->name, n);
			goto out;
		}
		seen[n / 8] |= (uint8_t)(1u << n % 8);
		nr_free++;
		memcpy(&at, data + (at - base) + c->free_ptr, sizeof(at));
	}
	if (p->inuse + nr_free != p->objects)
		audit_find(a, AUDIT_SLAB_COUNT,
			   "slab at frame %#" PRIx64 " (%s): %" PRIu64 " in use and %" PRIu64
			   " free of %u objects",
			   pfn, c->name, p->inuse, nr_free, p->objects);
	if (c->accounted && a->obj_bytes)
		add_owners(a, c, pfn, p, seen, data + c->first + (uint64_t)p->objects * c->size);
out:
	free(big);
}

static int by_gva(const void *a, const void *b)
{
	const struct cache *x = a, *y = b;

	return x->gva < y->gva ? -1 : x->gva > y->gva;
}

int audit_slab(struct audit *a)
{
	struct cache *cache = calloc(MMVM_AUDIT_MAX_CACHES, sizeof(*cache));
	const struct cache *last = NULL;
	unsigned int nr;

	if (cache && a->root.memcg.root_gva) {
		a->obj_bytes = calloc(MAX_MEMCG_IDS, sizeof(*a->obj_bytes));
		a->obj_by_node = calloc(MAX_MEMCG_IDS, sizeof(*a->obj_by_node));
	}
	if (!cache || (a->root.memcg.root_gva && !(a->obj_bytes && a->obj_by_node))) {
		free(cache);
		return -ENOMEM;
	}
	nr = load_caches(a, cache, MMVM_AUDIT_MAX_CACHES);
	qsort(cache, nr, sizeof(*cache), by_gva);
	a->out->nr_caches = nr;
	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct slab *p = (const struct slab *)&a->page[i];
		const struct cache key = {.gva = p->cache};

		if ((a->frame[i].seen & (SEEN_IN_RAM | SEEN_TAIL)) != SEEN_IN_RAM ||
		    a->frame[i].state != PAGE_SLAB || p->order >= MMVM_AUDIT_MAX_ORDERS)
			continue;
		if (!audit_step(a))
			break;
		/* Neighbours often belong to one cache. */
		if (!last || last->gva != p->cache)
			last = bsearch(&key, cache, nr, sizeof(*cache), by_gva);
		if (!last)
			audit_find(a, AUDIT_SLAB_COUNT,
				   "slab at frame %#" PRIx64 ": %#" PRIx64 " is no cache",
				   frame_pfn(a, i), p->cache);
		else
			check_slab(a, last, frame_pfn(a, i), p);
		for (uint32_t t = 1; t < 1u << p->order; t++)
			if (p[t].type != PAGE_SLAB || p[t].cache != p->cache) {
				audit_find(a, AUDIT_FOLIO_TAIL,
					   "slab at frame %#" PRIx64 ": tail %u is %s of cache "
					   "%#" PRIx64 "; the head's is %#" PRIx64,
					   frame_pfn(a, i), t, type_name(p[t].type), p[t].cache,
					   p->cache);
				break;
			}
	}
	free(cache);
	return 0;
}

void audit_slab_free(struct audit *a)
{
	free(a->obj_bytes);
	free(a->obj_by_node);
}
