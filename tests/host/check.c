/*
 * The walk over physical memory. It walks the lists first and notes each frame that they cover. Then it
 * walks RAM block by block: what the head of a block says must agree with the lists, and no block may lie
 * inside of another.
 */
#include "check.h"
#include <stdio.h>
#include <stdlib.h>
#include "host.h"
#include "mm/phys/internal.h"
#include "mm/slab/slab_internal.h"

static unsigned int findings;

#define FIND(cond, ...)                                         \
	do {                                                    \
		if (!(cond) && findings++ < 8) {                \
			fprintf(stderr, "check: " __VA_ARGS__); \
			fputc('\n', stderr);                    \
		}                                               \
	} while (0)

/* What the lists say of each frame: 0 nothing, else type. By frame number: 2 MiB of bytes. */
static u8 *covered;

static void cover(const struct page *p, u8 type)
{
	pfn_t pfn = page_to_pfn(p);

	FIND(IS_ALIGNED(pfn, 1ul << p->order), "block %lx of order %u is not aligned", pfn,
	     p->order);
	for (pfn_t i = pfn; i < pfn + (1ul << p->order); i++) {
		FIND(pfn_valid(i), "free block %lx reaches frame %lx, which is no RAM", pfn, i);
		FIND(!covered[i], "frame %lx is on two lists", i);
		covered[i] = type;
	}
}

static bool is_free_head(const struct zone *z, pfn_t pfn, unsigned int order)
{
	const struct page *p = pfn_to_page(pfn);

	return pfn - z->start_pfn < z->spanned && p->type == PAGE_BUDDY && p->order == order &&
	       covered[pfn] == PAGE_BUDDY && page_zone(p) == z;
}

static void check_buddy(struct zone *z)
{
	s64 pages = 0;

	for (unsigned int o = 0; o < NR_ORDERS; o++) {
		u64 n = 0;

		for (unsigned int t = 0; t < NR_MIGRATETYPES; t++) {
			struct page *p;

			list_for_each_entry (p, &z->free_area[o].free_list[t], lru) {
				FIND(p->type == PAGE_BUDDY && p->order == o && p->migratetype == t,
				     "buddy I1: %lx on list %u/%u has type %u order %u list %u",
				     page_to_pfn(p), o, t, p->type, p->order, p->migratetype);
				FIND(!p->refcount, "buddy I1: free %lx has references",
				     page_to_pfn(p));
				FIND(page_zone(p) == z, "zone I1: %lx is of another zone",
				     page_to_pfn(p));
				FIND(p->lru.next->prev == &p->lru, "list of order %u is broken", o);
				cover(p, PAGE_BUDDY);
				n++;
			}
		}
		FIND(n == z->free_area[o].nr_free, "buddy I2: order %u has %lu, nr_free %lu", o,
		     (unsigned long)n, (unsigned long)z->free_area[o].nr_free);
		pages += n << o;
	}
	FIND(pages == zone_stat(z, NR_FREE_PAGES), "NR_FREE_PAGES %ld, lists hold %ld",
	     (long)zone_stat(z, NR_FREE_PAGES), (long)pages);
	for (unsigned int o = 0; o < MAX_ORDER; o++)
		for (unsigned int t = 0; t < NR_MIGRATETYPES; t++) {
			struct page *p;

			list_for_each_entry (p, &z->free_area[o].free_list[t], lru)
				FIND(!is_free_head(z, page_to_pfn(p) ^ (1ul << o), o),
				     "buddy I3: %lx and its buddy of order %u are both free",
				     page_to_pfn(p), o);
		}
}

static void check_pcp(struct zone *z)
{
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++) {
		struct per_cpu_pages *pcp = per_cpu_ptr(z->pcp, cpu);
		u32 pages = 0;

		for (unsigned int i = 0; i < NR_PCP_LISTS; i++) {
			struct page *p;

			list_for_each_entry (p, &pcp->lists[i], lru) {
				FIND(p->type == PAGE_PCP && p->order == i / NR_PCP_MIGRATETYPES &&
					     p->migratetype == i % NR_PCP_MIGRATETYPES &&
					     p->cpu == cpu && !p->refcount && page_zone(p) == z,
				     "pcp I1: %lx on list %u is wrong", page_to_pfn(p), i);
				cover(p, PAGE_PCP);
				pages += 1u << p->order;
			}
		}
		FIND(pages == pcp->count, "pcp I2: count %u, lists hold %u", pcp->count, pages);
	}
}

static void walk_heads(void (*fn)(const struct page *p, void *arg), void *arg)
{
	for (unsigned int r = 0; r < nr_ram_ranges; r++)
		for (pfn_t pfn = ram_range[r].start; pfn < ram_range[r].end;) {
			const struct page *p = pfn_to_page(pfn);

			fn(p, arg);
			pfn += p->order <= MAX_ORDER ? 1ul << p->order : 1;
		}
}

static void check_head(const struct page *p, void *arg)
{
	pfn_t pfn = page_to_pfn(p);

	FIND(p->type > PAGE_INVALID && p->type < NR_PAGE_TYPES, "frame %lx has type %u", pfn,
	     p->type);
	if (p->type == PAGE_BUDDY || p->type == PAGE_PCP) {
		FIND(covered[pfn] == p->type, "%lx says it is free, but is on no list", pfn);
		return;
	}
	FIND(p->refcount > 0, "%lx of type %u has refcount %d", pfn, p->type, p->refcount);
	for (pfn_t i = pfn; i < pfn + (1ul << p->order); i++)
		FIND(!covered[i], "A1: %lx of type %u covers the free frame %lx", pfn, p->type, i);
}

unsigned int check_pages(void)
{
	findings = 0;
	covered = calloc(1, HOST_PHYS_SIZE >> PAGE_SHIFT);
	if (!covered)
		abort();
	for (unsigned int i = 0; i < nr_zones; i++) {
		check_buddy(zone_table[i]);
		check_pcp(zone_table[i]);
	}
	walk_heads(check_head, NULL);
	free(covered);
	return findings;
}

struct counting {
	unsigned int type;
	u64 frames;
};

static void count_head(const struct page *p, void *arg)
{
	struct counting *c = arg;

	if (p->type == c->type)
		c->frames += 1ul << p->order;
}

u64 count_frames(unsigned int type)
{
	struct counting c = {type, 0};

	walk_heads(count_head, &c);
	return c.frames;
}

u64 count_free(void)
{
	return count_frames(PAGE_BUDDY) + count_frames(PAGE_PCP);
}

/* ---- slabs ---- */

struct slab_counts {
	struct kmem_cache *c;
	u64 slabs, objects;
};

static bool on_list(const struct list_head *list, const struct page *p)
{
	const struct list_head *at;

	list_for_each (at, list)
		if (at == &p->lru)
			return true;
	return false;
}

static void check_slab(const struct page *page, void *arg)
{
	const struct slab *p = (const struct slab *)page;
	struct slab_counts *n = arg;
	struct kmem_cache *c = n->c;
	unsigned long base = (unsigned long)page_address(page);
	u8 seen[4096] = {0};
	u64 nr_free = 0;

	if (p->type != PAGE_SLAB || p->cache != c)
		return;
	n->slabs++;
	n->objects += p->objects;
	FIND(p->objects <= sizeof(seen) && p->objects * c->size <= PAGE_SIZE << p->order,
	     "%s: a slab with %u objects", c->name, p->objects);
	for (void *obj = p->freelist; obj; obj = get_free_pointer(c, obj)) {
		unsigned long at = (unsigned long)obj - base - c->offset_of_first;

		if (at % c->size || at / c->size >= p->objects || seen[at / c->size]++) {
			FIND(false, "slab I1: %s: free list leaves the slab or loops", c->name);
			return;
		}
		nr_free++;
	}
	FIND(nr_free + p->inuse == p->objects, "slab I1: %s: %lu free, %lu out, %u objects",
	     c->name, (unsigned long)nr_free, (unsigned long)p->inuse, p->objects);
	FIND(on_list(&c->node[page_node_id(page)].partial, page) == (p->freelist != NULL),
	     "slab I2: %s: slab with %lu free is %son the partial list", c->name,
	     (unsigned long)nr_free, p->freelist ? "not " : "");
	for (unsigned int i = 1; i < 1u << p->order; i++)
		FIND(p[i].type == PAGE_SLAB && p[i].cache == c &&
			     page_folio(&page[i]) == (const struct folio *)page,
		     "slab I3: %s: tail %u", c->name, i);
}

unsigned int check_slabs(void)
{
	struct kmem_cache *c;

	findings = 0;
	list_for_each_entry (c, &slab_caches, list) {
		struct slab_counts n = {c, 0, 0};
		const struct list_head *at;

		walk_heads(check_slab, &n);
		FIND(n.slabs == c->nr_slabs, "%s: %lu slabs, nr_slabs %lu", c->name,
		     (unsigned long)n.slabs, (unsigned long)c->nr_slabs);
		FIND(n.objects == c->nr_objects, "%s: %lu objects, nr_objects %lu", c->name,
		     (unsigned long)n.objects, (unsigned long)c->nr_objects);
		for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
			u64 partial = 0;

			list_for_each (at, &c->node[i].partial)
				partial++;
			FIND(partial == c->node[i].nr_partial, "%s: nr_partial", c->name);
		}
		for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
			FIND((*per_cpu_ptr(c->sheaf, cpu))->nr <=
				     (*per_cpu_ptr(c->sheaf, cpu))->cap,
			     "%s: sheaf over its size", c->name);
	}
	return findings;
}
