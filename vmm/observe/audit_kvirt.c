/*
 * The audit of the kernel's own mappings: areas of vmalloc, their guard pages, W^X.
 *
 *   tree of areas (copied, in order of address) ──┐
 *   tables of the kernel's half, leaf by leaf ────┴─> what is mapped, and what may be
 *
 *   K1  Areas lie within the vmalloc range, in order, without overlap, each at least one page longer than
 *       what it maps, and `gap` is what lies free in front of it. (vmap)
 *   K2  Of an area in use every page is mapped; of one that waits for its flush, none. (vmap)
 *   K3  In the vmalloc range nothing else is mapped: no guard page, and nothing between areas. (guard)
 *   K4  Behind an area of vmalloc are frames of its type, each behind one area only, and every frame of
 *       these types is behind one. Behind an area of vmap are frames in use. (vmap)
 *   K6  A frame of high memory is mapped behind areas and by threads' windows alone: it is not in the direct
 *       map. A window maps high memory that is in use: no thread forgets one. (highmem)
 *   K5  No page is writable and executable, by one mapping or by two of the same frame. (wx)
 *
 * The leaves come from the walk of the kernel's half (audit_mm.c). Rights are those of the leaf: the
 * guest's upper entries take none away.
 *
 * Bounds: a step of the budget for each area; the tree is entered to a depth that no red-black tree of
 * that many areas has.
 */
#include <errno.h>
#include <inttypes.h>

#include "observe/audit_impl.h"

#define LEAF_RW	  (1ull << 1)
#define LEAF_NX	  (1ull << 63)
#define MAX_DEPTH 64u

enum area_kind { AREA_ALLOC, AREA_MAP, AREA_IOREMAP }; /* as the guest's enum vmap_kind */

struct kvirt_area {
	uint64_t start, end, addr, gap;
	uint32_t nr_pages, kind, type;
	bool lazy;
	uint32_t mapped; /* as found */
};

static bool enabled(const struct audit *a)
{
	return a->root.kvirt.areas_gva;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static int load_area(struct audit *a, uint64_t node)
{
	const struct mmvm_audit_kvirt *l = &a->root.kvirt;
	uint64_t at = node - l->node_offset;
	struct kvirt_area v = {0};
	uint8_t lazy = 0;

	if (audit_read(a, at + l->start_offset, &v.start, 8) ||
	    audit_read(a, at + l->end_offset, &v.end, 8) ||
	    audit_read(a, at + l->addr_offset, &v.addr, 8) ||
	    audit_read(a, at + l->gap_offset, &v.gap, 8) ||
	    audit_read(a, at + l->nr_pages_offset, &v.nr_pages, 4) ||
	    audit_read(a, at + l->kind_offset, &v.kind, 4) ||
	    audit_read(a, at + l->type_offset, &v.type, 4) ||
	    audit_read(a, at + l->lazy_offset, &lazy, 1)) {
		audit_find(a, AUDIT_VMAP, "area %#" PRIx64 " is unreadable", at);
		return 0;
	}
	v.lazy = lazy;
	if (a->kvirt.nr == a->kvirt.room) {
		uint32_t room = a->kvirt.room ? 2 * a->kvirt.room : 64;
		struct kvirt_area *more = realloc(a->kvirt.area, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		a->kvirt.area = more;
		a->kvirt.room = room;
	}
	a->kvirt.area[a->kvirt.nr++] = v;
	return 0;
}

/* In order of address: left, node, right. */
static int load_tree(struct audit *a)
{
	const struct mmvm_audit_kvirt *l = &a->root.kvirt;
	uint64_t stack[MAX_DEPTH], node;
	unsigned int depth = 0;
	int err = 0;

	if (audit_read(a, l->areas_gva, &node, 8)) {
		audit_find(a, AUDIT_VMAP, "the tree of areas is unreadable");
		return 0;
	}
	while (!err && (node || depth)) {
		if (!audit_step(a))
			return 0;
		if (node && depth == MAX_DEPTH) {
			audit_find(a, AUDIT_VMAP, "the tree of areas is deeper than %u", MAX_DEPTH);
			return 0;
		}
		if (node) {
			stack[depth++] = node;
			if (audit_read(a, node + l->left_offset, &node, 8)) {
				audit_find(a, AUDIT_VMAP, "node %#" PRIx64 " is unreadable", node);
				return 0;
			}
			continue;
		}
		node = stack[--depth];
		err = load_area(a, node);
		if (audit_read(a, node + l->right_offset, &node, 8))
			return 0;
	}
	return err;
}

/** K1. Areas that are invalid themselves are left out of the other checks. */
static void check_areas(struct audit *a)
{
	const struct mmvm_audit_kvirt *l = &a->root.kvirt;
	uint64_t before = l->vmalloc_start;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < a->kvirt.nr; i++) {
		struct kvirt_area v = a->kvirt.area[i];
		uint64_t bytes = (uint64_t)v.nr_pages << MMVM_PAGE_SHIFT;

		if (v.start < before || v.start >= v.end || v.end > l->vmalloc_end ||
		    v.addr < v.start || v.addr >= v.end || bytes >= v.end - v.addr ||
		    (v.start | v.end | v.addr) & (MMVM_PAGE_SIZE - 1)) {
			audit_find(a, AUDIT_VMAP,
				   "area [%#" PRIx64 ", %#" PRIx64 ") after %#" PRIx64
				   " maps %u pages at %#" PRIx64,
				   v.start, v.end, before, v.nr_pages, v.addr);
			continue;
		}
		if (v.gap != v.start - before)
			audit_find(a, AUDIT_VMAP,
				   "area at %#" PRIx64 ": gap %#" PRIx64 ", is %#" PRIx64, v.start,
				   v.gap, v.start - before);
		before = v.end;
		a->kvirt.area[kept++] = v;
	}
	a->kvirt.nr = kept;
}

int audit_kvirt(struct audit *a)
{
	int err = enabled(a) ? load_tree(a) : 0;

	if (!err)
		check_areas(a);
	return err;
}

/* ---- leaves --------------------------------------------------------------------------------- */

static struct kvirt_area *area_at(struct audit *a, uint64_t addr)
{
	uint32_t low = 0, high = a->kvirt.nr;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		struct kvirt_area *v = &a->kvirt.area[mid];

		if (addr < v->start)
			high = mid;
		else if (addr >= v->end)
			low = mid + 1;
		else
			return v;
	}
	return NULL;
}

/** K4 of one page. */
static void behind_area(struct audit *a, const struct kvirt_area *v, uint64_t addr, uint64_t pfn)
{
	uint32_t i = frame_index(a, pfn);
	bool ram = i != NO_FRAME && (a->frame[i].seen & SEEN_IN_RAM);

	if (v->kind == AREA_IOREMAP)
		return;
	if (!ram || type_is_free(a->frame[i].state)) {
		audit_find(a, AUDIT_VMAP, "%#" PRIx64 " maps frame %#" PRIx64 ", which is %s", addr,
			   pfn, ram ? "free" : "not RAM");
		return;
	}
	if (v->kind != AREA_ALLOC)
		return;
	if (a->frame[i].state != v->type)
		audit_find(a, AUDIT_VMAP,
			   "%#" PRIx64 " maps frame %#" PRIx64 ", a %s page, in an area of %s",
			   addr, pfn, type_name(a->frame[i].state), type_name(v->type));
	else if (a->frame[i].seen & SEEN_VMAP)
		audit_find(a, AUDIT_VMAP, "%#" PRIx64 " maps frame %#" PRIx64 ", mapped before",
			   addr, pfn);
	a->frame[i].seen |= SEEN_VMAP;
}

static void vmalloc_leaf(struct audit *a, uint64_t addr, uint64_t pfn)
{
	struct kvirt_area *v = area_at(a, addr);
	const char *why = !v ? "no area" : v->lazy ? "an area that was freed" : NULL;

	if (!why && (addr < v->addr || addr - v->addr >= (uint64_t)v->nr_pages << MMVM_PAGE_SHIFT))
		why = "a guard page";
	if (why) {
		audit_find(a, AUDIT_GUARD, "%#" PRIx64 " maps frame %#" PRIx64 ", but is in %s",
			   addr, pfn, why);
		return;
	}
	v->mapped++;
	behind_area(a, v, addr, pfn);
}

/** K6 for a page that no area maps. */
static void highmem_leaf(struct audit *a, uint64_t addr, uint64_t pfn)
{
	const struct mmvm_audit_kvirt *l = &a->root.kvirt;
	const bool high = pfn >= l->highmem_start >> MMVM_PAGE_SHIFT;
	const uint32_t i = frame_index(a, pfn);
	const bool ram = i != NO_FRAME && (a->frame[i].seen & SEEN_IN_RAM);

	if (addr < l->kmap_start || addr >= l->kmap_end) {
		if (high && ram)
			audit_find(a, AUDIT_HIGHMEM,
				   "frame %#" PRIx64 " is high memory, and at %#" PRIx64, pfn,
				   addr);
		return;
	}
	if (!ram || !high || type_is_free(a->frame[i].state))
		audit_find(a, AUDIT_HIGHMEM,
			   "the window at %#" PRIx64 " is on frame %#" PRIx64 ", which is %s", addr,
			   pfn,
			   !ram	   ? "not RAM"
			   : !high ? "low memory"
				   : "free");
}

void audit_kvirt_leaf(struct audit *a, uint64_t addr, unsigned int level, uint64_t entry)
{
	const struct mmvm_audit_kvirt *l = &a->root.kvirt;
	uint64_t pfn = (entry & GUEST_PTE_ADDR) >> MMVM_PAGE_SHIFT;
	uint64_t pages = guest_level_size(level) >> MMVM_PAGE_SHIFT;
	uint16_t seen = SEEN_KERNEL | (entry & LEAF_RW ? SEEN_KWRITE : 0) |
			(entry & LEAF_NX ? 0 : SEEN_KEXEC);

	if (!enabled(a) || !(entry & GUEST_PTE_PRESENT) || !audit_steps(a, 1 + level))
		return;
	if ((entry & LEAF_RW) && !(entry & LEAF_NX))
		audit_find(a, AUDIT_WX, "%#" PRIx64 " is writable and executable", addr);
	if (addr >= l->vmalloc_start && addr < l->vmalloc_end)
		for (uint64_t k = 0; k < pages; k++)
			vmalloc_leaf(a, addr + (k << MMVM_PAGE_SHIFT), pfn + k);
	else if (l->highmem_start)
		for (uint64_t k = 0; k < pages; k++)
			highmem_leaf(a, addr + (k << MMVM_PAGE_SHIFT), pfn + k);
	for (uint64_t k = 0; k < pages; k++) {
		uint32_t i = frame_index(a, pfn + k);

		if (i == NO_FRAME)
			return; /* registers, or a slot that is no RAM of the guest */
		a->frame[i].seen |= seen;
	}
}

/* ---- together ------------------------------------------------------------------------------- */

void audit_kvirt_check(struct audit *a)
{
	const uint16_t both = SEEN_KWRITE | SEEN_KEXEC;

	if (!enabled(a) || a->over)
		return;
	for (uint32_t i = 0; i < a->kvirt.nr; i++) {
		const struct kvirt_area *v = &a->kvirt.area[i];

		if (!v->lazy && v->mapped != v->nr_pages)
			audit_find(a, AUDIT_VMAP,
				   "area at %#" PRIx64 ": %u pages, of which %u are mapped",
				   v->addr, v->nr_pages, v->mapped);
	}
	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct frame *f = &a->frame[i];

		if (!(f->seen & SEEN_IN_RAM))
			continue;
		if ((f->seen & both) == both)
			audit_find(a, AUDIT_WX,
				   "frame %#" PRIx64
				   " is writable by one mapping and executable by another",
				   frame_pfn(a, i));
		if ((f->state == PAGE_VMALLOC || f->state == PAGE_STACK ||
		     f->state == PAGE_PERCPU) &&
		    !(f->seen & SEEN_VMAP))
			audit_find(a, AUDIT_VMAP, "frame %#" PRIx64 ": %s page behind no area",
				   frame_pfn(a, i), type_name(f->state));
	}
}

void audit_kvirt_free(struct audit *a)
{
	free(a->kvirt.area);
}
