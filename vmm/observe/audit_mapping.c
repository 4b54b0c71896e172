/*
 * The audit of files in memory: page cache and shared memory.
 *
 *   frames of type file, shmem ──mapping──> address_space ──radix tree──> the same frames
 *   list of what is in swap ──────────────>        └──> values: swap entries, shadows
 *
 *   C1  Each page that names a mapping is in that mapping's tree, at its index, once. (page_cache)
 *   C2  Each item of a tree is such a page, or a value. (page_cache)
 *   C3  nrpages and nrvalues of a mapping = the tree's. (cache_count)
 *   C4  A value of shared memory is a swap entry: one use of its slot (swap_map, by W1).
 *   C5  nr_file_pages, nr_shmem, nr_mapped and nr_dirty = what the walk found. (vmstat)
 *   C6  A page in a cache has one reference for that, one for each PTE and for each pipe's buffer. (used_refcount)
 *       More may be held for a while, by who reads it or waits for it; a file system keeps some
 *       pages of metadata.
 *   C7  A large folio of shared memory has each of its pages in the tree, in order, from an index that its
 *       size divides. nr_thps of a mapping = such folios in its tree. nr_shmem_hugepages counts all,
 *       nr_shmem_pmdmapped those that a PMD maps. (page_cache, cache_count, vmstat)
 *
 * Bounds: each mapping once; a step of the budget for each node, whichever tree it is in; a node's
 * level falls from parent to child, so that no path is longer than eleven.
 */
#include <errno.h>
#include <inttypes.h>

#include "observe/audit_impl.h"

#define RADIX_SHIFT    6
#define RADIX_SLOTS    64u
#define MAX_HELD       16 /* references beyond cache and PTEs that are still believed */
#define MAPPINGS_FIRST 64u

struct mappings {
	uint64_t *gva;
	uint32_t nr, room;
};

struct tree {
	uint64_t gva; /* of the address_space */
	bool shmem, secret;
	uint64_t pages, values, heads;
};

static int add_mapping(struct mappings *m, uint64_t gva)
{
	if (m->nr == m->room) {
		uint32_t room = m->room ? 2 * m->room : MAPPINGS_FIRST;
		uint64_t *more = realloc(m->gva, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		m->gva = more;
		m->room = room;
	}
	m->gva[m->nr++] = gva;
	return 0;
}

static int by_gva(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool is_cache_page(const struct audit *a, uint32_t i)
{
	const struct frame *f = &a->frame[i];

	return (f->seen & (SEEN_IN_RAM | SEEN_TAIL)) == SEEN_IN_RAM &&
	       (f->state == PAGE_FILE || f->state == PAGE_SHMEM) && a->page[i].mapping;
}

/* ---- one tree ------------------------------------------------------------------------------- */

static void value_of(struct audit *a, struct tree *t, uint64_t index, uint64_t value)
{
	uint64_t entry = value >> 1, type = entry >> 58, slot = entry & ((1ull << 50) - 1);

	t->values++;
	if (!t->shmem || (type == MMVM_SWP_GUARD && slot == MMVM_GUARD_POISON))
		return; /* a shadow, or the mark of a page that is lost */
	if (!audit_swap_use(a, type, slot))
		audit_find(a, AUDIT_SWAP_MAP,
			   "mapping %#" PRIx64 ", page %" PRIu64 " is in slot %" PRIu64
			   " of area %" PRIu64 ", which does not exist",
			   t->gva, index, slot, type);
}

/** C7, of frame i, which lies in a large folio. */
static void part_of(struct audit *a, struct tree *t, uint64_t index, uint32_t i)
{
	uint32_t h = frame_of_head(a, i);
	const struct page *head;
	uint64_t part;

	if (h == NO_FRAME || h > i || !is_cache_page(a, h) || i - h >= 1u << a->page[h].order) {
		audit_find(a, AUDIT_CACHE,
			   "mapping %#" PRIx64 ", page %" PRIu64 ": frame %#" PRIx64
			   " is a tail of no folio of a file",
			   t->gva, index, frame_pfn(a, i));
		return;
	}
	t->heads += h == i;
	head = &a->page[h];
	part = i - h;
	if (head->mapping != t->gva || head->index + part != index || !t->shmem ||
	    head->index & ((1ull << head->order) - 1))
		audit_find(a, AUDIT_CACHE,
			   "mapping %#" PRIx64 ", page %" PRIu64 ": frame %#" PRIx64
			   " is part %" PRIu64 " of the folio at page %" PRIu64
			   " of mapping %#" PRIx64,
			   t->gva, index, frame_pfn(a, i), part, head->index, head->mapping);
	else if (a->frame[i].seen & SEEN_CACHE)
		audit_find(a, AUDIT_CACHE,
			   "mapping %#" PRIx64 ", page %" PRIu64 ": frame %#" PRIx64
			   " is in trees twice",
			   t->gva, index, frame_pfn(a, i));
	a->frame[i].seen |= SEEN_CACHE;
}

static void page_of(struct audit *a, struct tree *t, uint64_t index, uint64_t gva)
{
	uint32_t i = frame_of_page(a, gva);
	const struct page *p;

	t->pages++;
	if (i != NO_FRAME && ((a->frame[i].seen & SEEN_TAIL) || a->page[i].order)) {
		part_of(a, t, index, i);
		return;
	}
	if (i == NO_FRAME || !is_cache_page(a, i)) {
		audit_find(a, AUDIT_CACHE,
			   "mapping %#" PRIx64 ", page %" PRIu64 ": item %#" PRIx64
			   " is no page of a file",
			   t->gva, index, gva);
		return;
	}
	p = &a->page[i];
	if (p->mapping != t->gva || p->index != index || (p->type == PAGE_SHMEM) != t->shmem)
		audit_find(a, AUDIT_CACHE,
			   "mapping %#" PRIx64 ", page %" PRIu64 ": frame %#" PRIx64
			   " is a %s page %" PRIu64 " of mapping %#" PRIx64,
			   t->gva, index, frame_pfn(a, i), type_name(p->type), p->index,
			   p->mapping);
	else if (a->frame[i].seen & SEEN_CACHE)
		audit_find(a, AUDIT_CACHE,
			   "mapping %#" PRIx64 ", page %" PRIu64 ": frame %#" PRIx64
			   " is in trees twice",
			   t->gva, index, frame_pfn(a, i));
	a->frame[i].seen |= SEEN_CACHE | (t->secret ? SEEN_SECRET : 0);
}

static void item_of(struct audit *a, struct tree *t, uint64_t index, uint64_t item)
{
	if (item & 1)
		value_of(a, t, index, item);
	else
		page_of(a, t, index, item);
}

static void walk_node(struct audit *a, struct tree *t, uint64_t gva, uint32_t shift, uint64_t base)
{
	const struct mmvm_audit_mapping_layout *l = &a->root.mapping;
	uint64_t slots[RADIX_SLOTS];
	uint32_t claimed;

	if (!audit_steps(a, STEPS_OF_A_NODE))
		return;
	if (audit_read(a, gva + l->node_shift_offset, &claimed, 4) || claimed != shift ||
	    audit_read(a, gva + l->node_slots_offset, slots, sizeof(slots))) {
		audit_find(a, AUDIT_CACHE,
			   "mapping %#" PRIx64 ": the node %#" PRIx64 " for pages from %" PRIu64
			   " on is none of level %u",
			   t->gva, gva, base, shift / RADIX_SHIFT);
		return;
	}
	for (uint64_t i = 0; i < RADIX_SLOTS; i++) {
		uint64_t index = base + (i << shift);

		if (!slots[i])
			continue;
		if (shift)
			walk_node(a, t, slots[i], shift - RADIX_SHIFT, index);
		else
			item_of(a, t, index, slots[i]);
	}
}

static void audit_mapping(struct audit *a, uint64_t gva)
{
	const struct mmvm_audit_mapping_layout *l = &a->root.mapping;
	struct tree t = {.gva = gva};
	uint64_t root, nrpages, nrvalues;
	uint32_t height, flags, nr_thps;

	if (!audit_step(a))
		return;
	if (audit_read(a, gva + l->root_offset, &root, 8) ||
	    audit_read(a, gva + l->height_offset, &height, 4) ||
	    audit_read(a, gva + l->flags_offset, &flags, 4) ||
	    audit_read(a, gva + l->nrpages_offset, &nrpages, 8) ||
	    audit_read(a, gva + l->nrvalues_offset, &nrvalues, 8) ||
	    audit_read(a, gva + l->nr_thps_offset, &nr_thps, 4)) {
		audit_find(a, AUDIT_CACHE, "mapping %#" PRIx64 " is unreadable", gva);
		return;
	}
	if (height > 11) {
		audit_find(a, AUDIT_CACHE, "mapping %#" PRIx64 ": a tree of height %u", gva,
			   height);
		return;
	}
	t.shmem = flags & l->shmem_flag;
	t.secret = flags & l->secret_flag;
	if (root && height)
		walk_node(a, &t, root, (height - 1) * RADIX_SHIFT, 0);
	else if (root)
		item_of(a, &t, 0, root);
	if (t.shmem)
		audit_commit_mapping(a, flags, t.pages + t.values);
	if (!a->over && (t.pages != nrpages || t.values != nrvalues))
		audit_find(a, AUDIT_CACHE_COUNT,
			   "mapping %#" PRIx64 ": nrpages %" PRIu64 ", nrvalues %" PRIu64
			   "; its tree has %" PRIu64 ", %" PRIu64,
			   gva, nrpages, nrvalues, t.pages, t.values);
	if (!a->over && l->nr_thps_offset && t.heads != nr_thps)
		audit_find(a, AUDIT_CACHE_COUNT,
			   "mapping %#" PRIx64 ": nr_thps %u; its tree has %" PRIu64
			   " large folios",
			   gva, nr_thps, t.heads);
}

/* ---- all of them ---------------------------------------------------------------------------- */

/** Mappings all of whose pages may be in swap: no page names them. */
static int add_swapped(struct audit *a, struct mappings *m)
{
	const struct mmvm_audit_mapping_layout *l = &a->root.mapping;
	struct list_walk w;
	const char *why;
	uint64_t node;
	int ret;

	if (!l->swapped_list_gva)
		return 0;
	if (list_walk_start(a, &w, l->swapped_list_gva, a->nr_frames)) {
		audit_find(a, AUDIT_ROOT, "list of shared memory in swap unreadable");
		return 0;
	}
	while ((ret = list_walk_next(a, &w, &node, &why)) > 0)
		if (add_mapping(m, node - l->swapped_offset))
			return -ENOMEM;
	if (ret < 0)
		audit_find(a, AUDIT_ROOT, "list of shared memory in swap: link %" PRIu64 " %s",
			   w.steps, why);
	return 0;
}

int audit_mappings(struct audit *a)
{
	struct mappings m = {0};
	int err = add_swapped(a, &m);

	for (uint32_t i = 0; i < a->nr_frames && !err; i++)
		if (is_cache_page(a, i))
			err = add_mapping(&m, a->page[i].mapping);
	if (m.nr)
		qsort(m.gva, m.nr, sizeof(*m.gva), by_gva);
	for (uint32_t i = 0; i < m.nr && !err && !a->over; i++)
		if (!i || m.gva[i] != m.gva[i - 1])
			audit_mapping(a, m.gva[i]);
	free(m.gva);
	return err;
}

void audit_cache_page(struct audit *a, uint32_t i, int64_t pins)
{
	const struct page *p = &a->page[i];
	int64_t expected = (int64_t)a->frame[i].mapped + a->frame[i].piped + (p->mapping != 0);

	if (p->refcount >= expected && p->refcount <= expected + pins + MAX_HELD)
		return;
	audit_find(a, AUDIT_USED_REFCOUNT,
		   "frame %#" PRIx64
		   ": %s page has refcount %d; %u PTEs, %u pipes%s, at most %" PRId64
		   " others (flags %#" PRIx64 ")",
		   frame_pfn(a, i), type_name(p->type), p->refcount, a->frame[i].mapped,
		   a->frame[i].piped, p->mapping ? " and the page cache" : "", pins + MAX_HELD,
		   p->flags & UINT64_C(0xffffffffff));
}

/** A folio that names a mapping has all its pages in its tree. The first that is missing is enough. */
static void all_parts(struct audit *a, uint32_t i, uint64_t nr)
{
	for (uint64_t k = 0; k < nr; k++) {
		if (a->frame[i + k].seen & SEEN_CACHE)
			continue;
		audit_find(a, AUDIT_CACHE,
			   "frame %#" PRIx64 ": part %" PRIu64 " of the huge page at page %" PRIu64
			   " of mapping %#" PRIx64 " is not in its tree",
			   frame_pfn(a, i), k, a->page[i].index, a->page[i].mapping);
		return;
	}
}

void audit_mappings_check(struct audit *a)
{
	uint64_t pages = 0, shmem = 0, mapped = 0, dirty = 0, thps = 0, pmd_mapped = 0;

	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct frame *f = &a->frame[i];
		uint64_t nr;

		if (is_cache_page(a, i) && a->page[i].order)
			all_parts(a, i, 1ull << a->page[i].order);
		else if (is_cache_page(a, i) && !(f->seen & SEEN_CACHE))
			audit_find(a, AUDIT_CACHE,
				   "frame %#" PRIx64 ": %s page %" PRIu64 " of mapping %#" PRIx64
				   " is not in its tree",
				   frame_pfn(a, i), type_name(a->page[i].type), a->page[i].index,
				   a->page[i].mapping);
		if ((f->seen & (SEEN_IN_RAM | SEEN_TAIL)) != SEEN_IN_RAM ||
		    (f->state != PAGE_FILE && f->state != PAGE_SHMEM))
			continue;
		nr = 1ull << a->page[i].order;
		mapped += audit_thp_mapped(a, i);
		pmd_mapped += f->pmd != 0;
		if (!(f->seen & SEEN_CACHE))
			continue;
		pages += nr;
		shmem += f->state == PAGE_SHMEM ? nr : 0;
		thps += nr > 1;
		dirty += f->state == PAGE_FILE && !(f->seen & SEEN_SECRET) &&
			 (a->page[i].flags & 1ull << PG_dirty);
	}
	audit_level(a, NR_FILE_PAGES, "nr_file_pages", pages);
	audit_level(a, NR_SHMEM, "nr_shmem", shmem);
	audit_level(a, NR_FILE_MAPPED, "nr_mapped", mapped);
	audit_level(a, NR_SHMEM_THPS, "nr_shmem_hugepages", thps);
	audit_level(a, NR_SHMEM_PMDMAPPED, "nr_shmem_pmdmapped", pmd_mapped);
	audit_level(a, NR_FILE_DIRTY, "nr_dirty", dirty);
}
