/*
 * The audit of hugetlb: pools, promises, references.
 *
 *   G1  The free list of a pool holds its pages that nobody refers to, each once. (hugetlb_pool)
 *   G2  nr = pages of that size; free = the list's length; surplus <= nr; resv <= free.
 *       (hugetlb_pool)
 *   G3  resv = promised to files and not in memory + promised to private owners and not used + kept
 *       by mounts with min_size. (hugetlb_reserve)
 *   G4  A page's mapcount = leaves that map it; its references are at least these and its file's.
 *       (mapcount, used_refcount)
 *
 * Bounds: as many files, regions and mounts as there are frames; each list by list_walk.
 */
#include <errno.h>
#include <inttypes.h>

#include "observe/audit_impl.h"

#define MAX_HSTATES MMVM_AUDIT_MAX_HSTATES

struct pool {
	uint64_t gva;
	uint32_t order;
	uint64_t nr, free, resv, surplus; /* as the guest counts */
	uint64_t pages, listed;
	int64_t promised; /* as found */
};

static uint64_t get64(struct audit *a, uint64_t gva)
{
	uint64_t v;

	return audit_read(a, gva, &v, sizeof(v)) ? 0 : v;
}

/** How many of [from, to) a map of promises holds. */
static uint64_t count_regions(struct audit *a, uint64_t map, uint64_t from, uint64_t to)
{
	const struct mmvm_audit_hugetlb_layout *l = &a->root.hugetlb;
	struct list_walk w;
	uint64_t node, n = 0;
	const char *why;
	int ret;

	if (list_walk_start(a, &w, map + l->map_regions_offset, a->nr_frames)) {
		audit_find(a, AUDIT_HUGETLB_RESERVE, "map of promises %#" PRIx64 " unreadable",
			   map);
		return 0;
	}
	while ((ret = list_walk_next(a, &w, &node, &why)) > 0) {
		uint64_t lo = get64(a, node + l->region_from_offset);
		uint64_t hi = get64(a, node + l->region_to_offset);

		lo = lo > from ? lo : from;
		hi = hi < to ? hi : to;
		if (lo < hi)
			n += hi - lo;
	}
	if (ret < 0)
		audit_find(a, AUDIT_HUGETLB_RESERVE,
			   "map of promises %#" PRIx64 ": region %" PRIu64 ": %s", map, w.steps,
			   why);
	return n;
}

static struct pool *pool_at(struct pool *pools, uint32_t n, uint64_t gva)
{
	for (uint32_t i = 0; i < n; i++)
		if (pools[i].gva == gva)
			return &pools[i];
	return NULL;
}

static uint32_t load_pools(struct audit *a, struct pool *pools)
{
	const struct mmvm_audit_hugetlb_layout *l = &a->root.hugetlb;
	uint32_t n = l->nr_hstates < MAX_HSTATES ? l->nr_hstates : MAX_HSTATES;

	for (uint32_t i = 0; i < n; i++) {
		struct pool *p = &pools[i];

		*p = (struct pool){.gva = l->hstates_gva + (uint64_t)i * l->hstate_stride};
		if (audit_read(a, p->gva + l->order_offset, &p->order, sizeof(p->order)))
			return 0;
		p->nr = get64(a, p->gva + l->nr_offset);
		p->free = get64(a, p->gva + l->free_offset);
		p->resv = get64(a, p->gva + l->resv_offset);
		p->surplus = get64(a, p->gva + l->surplus_offset);
	}
	return n;
}

/** G1: mark the pages on the list. */
static void walk_free_list(struct audit *a, const struct pool *p, uint64_t *listed)
{
	struct list_walk w;
	const char *why;
	uint64_t node;
	int ret;

	if (list_walk_start(a, &w, p->gva + a->root.hugetlb.free_list_offset, a->nr_frames)) {
		audit_find(a, AUDIT_HUGETLB_POOL, "free list of order %u unreadable", p->order);
		return;
	}
	while ((ret = list_walk_next(a, &w, &node, &why)) > 0) {
		uint32_t i = frame_of_lru(a, node);

		(*listed)++;
		if (i == NO_FRAME || a->page[i].type != PAGE_HUGETLB ||
		    a->page[i].order != p->order || (a->frame[i].seen & SEEN_TAIL) ||
		    a->page[i].refcount != 0)
			audit_find(a, AUDIT_HUGETLB_POOL,
				   "free list of order %u: node %#" PRIx64
				   " is no free page of this pool",
				   p->order, node);
		else
			a->frame[i].seen |= SEEN_FREE_LIST;
	}
	if (ret < 0)
		audit_find(a, AUDIT_HUGETLB_POOL, "free list of order %u: link %" PRIu64 " %s",
			   p->order, w.steps, why);
}

/** G4, and the other side of G1. */
static void check_pages(struct audit *a, struct pool *pools, uint32_t n)
{
	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct frame *f = &a->frame[i];
		const struct page *p = &a->page[i];
		int32_t mapcount, expected;
		bool in_file;

		if ((f->seen & (SEEN_IN_RAM | SEEN_TAIL)) != SEEN_IN_RAM || p->type != PAGE_HUGETLB)
			continue;
		for (uint32_t k = 0; k < n; k++)
			pools[k].pages += pools[k].order == p->order;
		if (p->refcount == 0 && !(f->seen & SEEN_FREE_LIST))
			audit_find(a, AUDIT_HUGETLB_POOL,
				   "frame %#" PRIx64 ": huge page without references is on no list",
				   frame_pfn(a, i));
		mapcount = ((const struct folio_counts *)&a->page[i + 1])->large_mapcount;
		if ((int64_t)mapcount + 1 != f->mapped)
			audit_find(a, AUDIT_MAPCOUNT,
				   "frame %#" PRIx64
				   ": huge page has mapcount %d; %u leaves map it",
				   frame_pfn(a, i), mapcount, f->mapped);
		in_file = p->mapping && !(p->mapping & 1);
		expected = (int32_t)(f->mapped + f->piped) + in_file;
		if (p->refcount < expected || p->refcount > expected + 16)
			audit_find(a, AUDIT_USED_REFCOUNT,
				   "frame %#" PRIx64 ": huge page has refcount %d; %u leaves%s",
				   frame_pfn(a, i), p->refcount, f->mapped,
				   in_file ? " and a file" : "");
	}
}

/** G3: what files and mounts were promised. */
static void walk_promises(struct audit *a, struct pool *pools, uint32_t n)
{
	const struct mmvm_audit_hugetlb_layout *l = &a->root.hugetlb;
	struct list_walk w;
	const char *why = "";
	uint64_t node;
	int ret = -1;

	if (!list_walk_start(a, &w, l->files_gva, a->nr_frames))
		while ((ret = list_walk_next(a, &w, &node, &why)) > 0) {
			uint64_t file = node - l->file_link_offset;
			struct pool *p = pool_at(pools, n, get64(a, file + l->file_hstate_offset));
			uint64_t mapping = get64(a, file + l->file_mapping_offset);

			if (!p)
				continue;
			p->promised += (int64_t)count_regions(
				a, get64(a, file + l->file_resv_offset), 0, UINT64_MAX);
			p->promised -= (int64_t)get64(a, mapping + a->root.mapping.nrpages_offset);
		}
	if (ret < 0)
		audit_find(a, AUDIT_HUGETLB_RESERVE, "list of files of huge pages: %s", why);
	ret = -1;
	if (!list_walk_start(a, &w, l->subpools_gva, a->nr_frames))
		while ((ret = list_walk_next(a, &w, &node, &why)) > 0) {
			uint64_t spool = node - l->subpool_link_offset;
			struct pool *p =
				pool_at(pools, n, get64(a, spool + l->subpool_hstate_offset));

			if (p)
				p->promised +=
					(int64_t)get64(a, spool + l->subpool_reserved_offset);
		}
	if (ret < 0)
		audit_find(a, AUDIT_HUGETLB_RESERVE, "list of mounts of huge pages: %s", why);
}

void audit_hugetlb_vma(struct audit *a, uint64_t vma, const struct vma_range *v)
{
	const struct mmvm_audit_hugetlb_layout *l = &a->root.hugetlb;
	uint64_t resv = get64(a, vma + l->vma_resv_offset), hstate, from, to, file;
	struct pool pools[MAX_HSTATES];
	uint32_t n, order;

	/* Only the process that made a private mapping has a promise. */
	if (!(resv & 1) || !l->nr_hstates)
		return;
	file = get64(a, get64(a, vma + l->vma_mapping_offset) + l->mapping_file_offset);
	hstate = get64(a, file + l->file_hstate_offset);
	n = load_pools(a, pools);
	for (uint32_t i = 0; i < n; i++) {
		if (pools[i].gva != hstate)
			continue;
		order = pools[i].order;
		from = get64(a, vma + l->vma_pgoff_offset) >> order;
		to = from + ((v->end - v->start) >> (MMVM_PAGE_SHIFT + order));
		a->hugetlb_private[i] += (int64_t)(to - from) -
					 (int64_t)count_regions(a, resv & ~UINT64_C(3), from, to);
	}
}

int audit_hugetlb(struct audit *a)
{
	struct pool pools[MAX_HSTATES];
	uint32_t n = load_pools(a, pools);

	for (uint32_t i = 0; i < n; i++)
		walk_free_list(a, &pools[i], &a->hugetlb_listed[i]);
	return 0;
}

/** G1 by node: what each has, and their sums. */
static void check_nodes(struct audit *a, const struct pool *p)
{
	const struct mmvm_audit_hugetlb_layout *l = &a->root.hugetlb;
	uint64_t pages[PAGE_NODE_MASK + 1] = {0}, listed[PAGE_NODE_MASK + 1] = {0}, surplus = 0;

	for (uint32_t i = 0; i < a->nr_frames; i++) {
		unsigned int nid = a->page[i].flags >> PAGE_NODE_SHIFT & PAGE_NODE_MASK;

		if ((a->frame[i].seen & (SEEN_IN_RAM | SEEN_TAIL)) != SEEN_IN_RAM ||
		    a->page[i].type != PAGE_HUGETLB || a->page[i].order != p->order)
			continue;
		pages[nid]++;
		listed[nid] += (a->frame[i].seen & SEEN_FREE_LIST) != 0;
	}
	for (unsigned int nid = 0; nid < MMVM_MAX_NODES; nid++) {
		uint64_t nr = get64(a, p->gva + l->nr_node_offset + 8 * nid);
		uint64_t free = get64(a, p->gva + l->free_node_offset + 8 * nid);
		uint64_t more = get64(a, p->gva + l->surplus_node_offset + 8 * nid);

		surplus += more;
		if (nr != pages[nid] || free != listed[nid] || more > nr)
			audit_find(a, AUDIT_HUGETLB_POOL,
				   "order %u, node %u: nr %" PRIu64 ", free %" PRIu64
				   ", surplus %" PRIu64 "; found %" PRIu64 " pages, %" PRIu64
				   " of them free",
				   p->order, nid, nr, free, more, pages[nid], listed[nid]);
	}
	if (surplus != p->surplus)
		audit_find(a, AUDIT_HUGETLB_POOL,
			   "order %u: surplus %" PRIu64 ", of all nodes %" PRIu64, p->order,
			   p->surplus, surplus);
}

void audit_hugetlb_check(struct audit *a)
{
	struct pool pools[MAX_HSTATES];
	uint32_t n = load_pools(a, pools);

	if (!n)
		return; /* a guest without huge pages */
	for (uint32_t i = 0; i < n; i++)
		pools[i].listed = a->hugetlb_listed[i];
	check_pages(a, pools, n);
	walk_promises(a, pools, n);
	for (uint32_t i = 0; i < n; i++) {
		struct pool *p = &pools[i];

		p->promised += a->hugetlb_private[i];
		if (p->nr != p->pages || p->free != p->listed || p->surplus > p->nr ||
		    p->resv > p->free)
			audit_find(a, AUDIT_HUGETLB_POOL,
				   "order %u: nr %" PRIu64 ", free %" PRIu64 ", promised %" PRIu64
				   ", surplus %" PRIu64 "; found %" PRIu64 " pages, %" PRIu64
				   " of them free",
				   p->order, p->nr, p->free, p->resv, p->surplus, p->pages,
				   p->listed);
		if (a->root.hugetlb.nr_node_offset)
			check_nodes(a, p);
		if ((int64_t)p->resv != p->promised)
			audit_find(a, AUDIT_HUGETLB_RESERVE,
				   "order %u: %" PRIu64 " pages are promised; mappings, files and "
				   "mounts were promised %" PRId64,
				   p->order, p->resv, p->promised);
	}
}
