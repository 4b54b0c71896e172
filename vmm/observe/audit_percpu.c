/*
 * The audit of per-CPU memory: the CPUs' areas, and the chunks that alloc_percpu() cuts.
 *
 *   __per_cpu_offset[] ──> areas, page by page ─┐
 *   list of chunks ──────> units, page by page ─┴─> frames, each in one place; Percpu of /proc/meminfo
 *
 *   P1  Offsets are a unit apart, so that one pointer leads to every CPU's copy in every chunk. The area at an
 *       offset says the same offset of itself, and its CPU's number. (percpu_area)
 *   P2  The first page of an area is its CPU's row of counters in the window that the monitor reads. Behind the
 *       others are frames taken at boot, no frame in two places. (percpu_area)
 *   P3  The units of a chunk, but for the first chunk, are percpu pages, each in one chunk. (percpu_area)
 *   P4  Percpu = the frames of the areas and of all percpu pages, and no percpu page is outside the chunks.
 *       (percpu_count)
 *   P5  In each chunk the granules that are taken and those that count as free are a unit, and no run of free
 *       ones is longer than what the chunk says. (percpu_count)
 *
 * P3 and P4 are not looked at while the guest makes a chunk or gives one back.
 *
 * Bounds: units are checked to be small first; there are no more chunks than frames; a step of the budget for each
 * page and for each 64 granules.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

#include "observe/audit_impl.h"

#define MAX_UNIT (256u << 10)
#define MAX_MAP	 (MAX_UNIT / 4 / 64)

struct chunk {
	uint64_t base, taken;
	uint32_t free, longest;
};

/** Frame of the page at gva, noted as one of per-CPU memory, or NO_FRAME: a finding. */
static uint32_t claim_page(struct audit *a, uint64_t gva, unsigned int type)
{
	struct guest_leaf leaf;
	uint32_t i;

	if (guest_tables_find(&a->tables, gva, &leaf)) {
		audit_find(a, AUDIT_PERCPU_AREA, "%#" PRIx64 " is not mapped", gva);
		return NO_FRAME;
	}
	i = frame_index(a, leaf.gpa >> MMVM_PAGE_SHIFT);
	if (i == NO_FRAME || !(a->frame[i].seen & SEEN_IN_RAM) || a->frame[i].state != type ||
	    (a->frame[i].seen & SEEN_PERCPU)) {
		audit_find(a, AUDIT_PERCPU_AREA, "%#" PRIx64 " maps %#" PRIx64 ", %s", gva,
			   leaf.gpa,
			   i == NO_FRAME || !(a->frame[i].seen & SEEN_IN_RAM) ? "which is not RAM"
			   : a->frame[i].state != type ? "a page in other use"
						       : "mapped before");
		return NO_FRAME;
	}
	a->frame[i].seen |= SEEN_PERCPU;
	return i;
}

/* ---- P1, P2 ----------------------------------------------------------------------------------- */

static void check_area(struct audit *a, unsigned int cpu, uint64_t offset)
{
	const struct mmvm_audit_percpu *l = &a->root.percpu;
	const uint64_t at = l->first_gva + offset;
	const uint64_t row = MMVM_SHARED_BASE + offsetof(struct mmvm_shared, event[cpu]);
	struct guest_leaf leaf;
	uint64_t own = 0;
	uint32_t number = 0;

	if (audit_read(a, l->own_offset_gva + offset, &own, sizeof(own)) ||
	    audit_read(a, l->number_gva + offset, &number, sizeof(number)) || own != offset ||
	    number != cpu)
		audit_find(a, AUDIT_PERCPU_AREA,
			   "CPU %u's area at %#" PRIx64 " is that of CPU %u, offset %#" PRIx64
			   "; expected %#" PRIx64,
			   cpu, at, number, own, offset);
	if (guest_tables_find(&a->tables, at, &leaf) || leaf.gpa != row)
		audit_find(a, AUDIT_PERCPU_AREA,
			   "CPU %u's area at %#" PRIx64
			   " does not begin with its counters at %#" PRIx64,
			   cpu, at, row);
	for (uint64_t k = MMVM_PAGE_SIZE; k < l->unit && audit_step(a); k += MMVM_PAGE_SIZE)
		claim_page(a, at + k, PAGE_RESERVED);
}

static void check_areas(struct audit *a)
{
	const struct mmvm_audit_percpu *l = &a->root.percpu;
	uint64_t offset, first = 0;

	for (unsigned int cpu = 0; cpu < l->nr_cpus && !a->over; cpu++) {
		if (audit_read(a, l->offsets_gva + 8 * cpu, &offset, sizeof(offset))) {
			audit_find(a, AUDIT_PERCPU_AREA, "the offsets are unreadable");
			return;
		}
		if (!cpu)
			first = offset;
		if (offset != first + cpu * l->unit) {
			audit_find(a, AUDIT_PERCPU_AREA,
				   "CPU %u's offset is %#" PRIx64 ", expected %#" PRIx64, cpu,
				   offset, first + cpu * l->unit);
			continue;
		}
		check_area(a, cpu, offset);
	}
}

/* ---- P3, P5 ----------------------------------------------------------------------------------- */

/** P5 */
static void check_map(struct audit *a, const struct chunk *c)
{
	const uint32_t granules = (uint32_t)(a->root.percpu.unit / a->root.percpu.granule);
	uint64_t map[MAX_MAP];
	uint32_t taken = 0, run = 0, longest = 0;

	if (audit_read(a, c->taken, map, granules / 8)) {
		audit_find(a, AUDIT_PERCPU_COUNT, "chunk at %#" PRIx64 ": its map is unreadable",
			   c->base);
		return;
	}
	for (uint32_t i = 0; i < granules; i++) {
		if (i % 64 == 0 && !audit_step(a))
			return;
		if (map[i / 64] >> i % 64 & 1) {
			taken++;
			run = 0;
		} else if (++run > longest) {
			longest = run;
		}
	}
	if (taken + c->free != granules || longest > c->longest)
		audit_find(a, AUDIT_PERCPU_COUNT,
			   "chunk at %#" PRIx64
			   ": of %u granules %u are taken and %u count as free; "
			   "%u are free in a row, it says at most %u",
			   c->base, granules, taken, c->free, longest, c->longest);
}

static int read_chunk(struct audit *a, uint64_t at, struct chunk *c)
{
	const struct mmvm_audit_percpu *l = &a->root.percpu;

	if (audit_read(a, at + l->base_offset, &c->base, sizeof(c->base)) ||
	    audit_read(a, at + l->taken_offset, &c->taken, sizeof(c->taken)) ||
	    audit_read(a, at + l->free_offset, &c->free, sizeof(c->free)) ||
	    audit_read(a, at + l->longest_offset, &c->longest, sizeof(c->longest)))
		return -EFAULT;
	return 0;
}

/** P3 */
static void claim_chunk(struct audit *a, uint64_t base)
{
	const uint64_t bytes = a->root.percpu.nr_cpus * a->root.percpu.unit;

	for (uint64_t k = 0; k < bytes && audit_step(a); k += MMVM_PAGE_SIZE)
		claim_page(a, base + k, PAGE_PERCPU);
}

static void check_chunks(struct audit *a, uint64_t area, bool locked)
{
	const struct mmvm_audit_percpu *l = &a->root.percpu;
	const char *why = "unreadable";
	struct list_walk w;
	struct chunk c;
	uint64_t node;
	int r = list_walk_start(a, &w, l->chunks_gva, a->nr_frames);

	while (!r && (r = list_walk_next(a, &w, &node, &why)) > 0) {
		r = read_chunk(a, node - l->link_offset, &c);
		if (r)
			break;
		check_map(a, &c);
		if (c.base != area && !locked)
			claim_chunk(a, c.base);
	}
	if (r < 0 && !a->over)
		audit_find(a, AUDIT_PERCPU_COUNT, "the list of chunks is broken: %s", why);
}

/** P4 */
static void check_sum(struct audit *a)
{
	const struct mmvm_audit_percpu *l = &a->root.percpu;
	const uint64_t areas = l->nr_cpus * ((l->unit >> MMVM_PAGE_SHIFT) - 1);
	uint64_t pages = 0, outside = 0, claimed;

	for (uint32_t i = 0; i < a->nr_frames; i++)
		if (a->frame[i].state == PAGE_PERCPU && (a->frame[i].seen & SEEN_IN_RAM)) {
			pages++;
			outside += !(a->frame[i].seen & SEEN_PERCPU);
		}
	if (outside)
		audit_find(a, AUDIT_PERCPU_COUNT, "%" PRIu64 " percpu pages are in no chunk",
			   outside);
	if (audit_read(a, l->nr_pages_gva, &claimed, sizeof(claimed)))
		audit_find(a, AUDIT_PERCPU_COUNT, "the count of pages is unreadable");
	else if (claimed != areas + pages)
		audit_find(a, AUDIT_PERCPU_COUNT,
			   "areas have %" PRIu64 " pages, chunks %" PRIu64
			   "; the guest counts %" PRIu64,
			   areas, pages, claimed);
}

void audit_percpu_check(struct audit *a)
{
	const struct mmvm_audit_percpu *l = &a->root.percpu;
	uint32_t locked = 0;
	uint64_t first = 0;

	if (!l->nr_cpus)
		return;
	if (l->nr_cpus > MMVM_MAX_CPUS || l->granule < 4 || l->unit > MAX_UNIT || !l->unit ||
	    l->unit & (MMVM_PAGE_SIZE - 1) || l->unit / l->granule % 64) {
		audit_find(a, AUDIT_PERCPU_AREA, "%u CPUs with units of %" PRIu64 " bytes",
			   l->nr_cpus, l->unit);
		return;
	}
	audit_read(a, l->locked_gva, &locked, sizeof(locked));
	audit_read(a, l->offsets_gva, &first, sizeof(first));
	check_areas(a);
	check_chunks(a, l->first_gva + first, locked);
	if (!locked && !a->over)
		check_sum(a);
}
