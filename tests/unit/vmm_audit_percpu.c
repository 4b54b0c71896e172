/*
 * The audit of per-CPU memory: two CPUs with areas of two pages, the first of which is the CPU's row of counters,
 * and one more chunk. Then each kind of damage.
 */
#include "audit_plant.h"

#define PAGE	 4096ull
#define UNIT	 (2 * PAGE)
#define CPUS	 2u
#define FIRST	 0xffffffff80200000ull /* the linker's copy, which is not mapped any more */
#define AREAS	 0xffffffffff200000ull
#define OFFSET	 (AREAS - FIRST)
#define CHUNK	 (VMALLOC + 16 * PAGE) /* behind the image's page of vmalloc */
#define GRANULES (UNIT / 4)

/* In the second page of an area. */
struct own {
	uint64_t offset;
	uint32_t number, pad;
};
struct own_chunk {
	struct mmvm_list link;
	uint64_t base, taken;
	uint32_t free, longest;
	uint64_t map[GRANULES / 64];
};
/* In a frame of its own. */
struct percpu {
	uint64_t offset[CPUS], nr_pages;
	uint32_t locked, pad;
	struct mmvm_list chunks;
	struct own_chunk chunk[2];
};
static struct percpu *pc;
static uint64_t pc_gva;
static uint32_t chunk_frame; /* first of four */

#define PC(field) (pc_gva + offsetof(struct percpu, field))

static uint64_t *pte(uint64_t gva)
{
	return entry_of(im.cr3, gva, 0, true);
}

static struct own *own(unsigned int cpu)
{
	return (struct own *)frame_ptr((*pte(AREAS + cpu * UNIT + PAGE) & 0x000ffffffffff000ull) >>
				       12);
}

static void link_chunk(unsigned int i, uint64_t base, uint32_t taken)
{
	struct own_chunk *c = &pc->chunk[i];

	c->base = base;
	c->taken = PC(chunk[i].map);
	for (uint32_t b = 0; b < taken; b++)
		c->map[b / 64] |= 1ull << b % 64;
	c->free = c->longest = GRANULES - taken;
	if (i) {
		c->link = (struct mmvm_list){.next = PC(chunks), .prev = PC(chunk[0].link)};
		pc->chunks.prev = pc->chunk[0].link.next = PC(chunk[1].link);
	} else {
		c->link = (struct mmvm_list){.next = PC(chunks), .prev = PC(chunks)};
		pc->chunks.next = pc->chunks.prev = PC(chunk[0].link);
	}
}

static void build_areas(void)
{
	pc_gva = DIRECT + ((uint64_t)im.next << 12);
	pc = (struct percpu *)frame_ptr(im.next++);
	for (unsigned int cpu = 0; cpu < CPUS; cpu++) {
		const uint64_t row = MMVM_SHARED_BASE + offsetof(struct mmvm_shared, event[cpu]);

		pc->offset[cpu] = OFFSET + cpu * UNIT;
		*pte(AREAS + cpu * UNIT) = row | P | RW;
		*pte(AREAS + cpu * UNIT + PAGE) = (uint64_t)im.next++ << 12 | P | RW;
		*own(cpu) = (struct own){.offset = pc->offset[cpu], .number = cpu};
	}
	/* Four pages of the folio's block become four single ones. */
	chunk_frame = im.folio;
	for (unsigned int k = 0; k < 4; k++) {
		set_page(chunk_frame + k, PAGE_PERCPU, 0, 1);
		*pte(CHUNK + k * PAGE) = (uint64_t)(chunk_frame + k) << 12 | P | RW;
	}
	link_chunk(0, AREAS, 1030);
	link_chunk(1, CHUNK, 3);
	pc->nr_pages = CPUS + 4;
	im.g->root.percpu = (struct mmvm_audit_percpu){
		.offsets_gva = PC(offset),
		.first_gva = FIRST,
		.own_offset_gva = FIRST + PAGE + offsetof(struct own, offset),
		.number_gva = FIRST + PAGE + offsetof(struct own, number),
		.unit = UNIT,
		.chunks_gva = PC(chunks),
		.nr_pages_gva = PC(nr_pages),
		.locked_gva = PC(locked),
		.nr_cpus = CPUS,
		.granule = 4,
		.link_offset = offsetof(struct own_chunk, link),
		.base_offset = offsetof(struct own_chunk, base),
		.free_offset = offsetof(struct own_chunk, free),
		.longest_offset = offsetof(struct own_chunk, longest),
		.taken_offset = offsetof(struct own_chunk, taken),
	};
}

static void expect_clean(void)
{
	CU_ASSERT_EQUAL(run(), 0);
	if (im.r.total)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
}

static void test_clean(void)
{
	build();
	build_areas();
	expect_clean();
}

/* A chunk that is being made: its pages are there, but neither counted nor in the list. */
static void test_half_made(void)
{
	build();
	build_areas();
	pc->nr_pages -= 4;
	pc->chunk[0].link.next = PC(chunks);
	pc->chunks.prev = PC(chunk[0].link);
	pc->locked = 1;
	expect_clean();
	pc->locked = 0;
	CU_ASSERT(run() > 0);
	CU_ASSERT_EQUAL(im.r.count[AUDIT_PERCPU_COUNT], 2);
}

/* ---- areas ---- */

static void d_offset(void)
{
	build_areas();
	pc->offset[1] += PAGE;
}
static void d_offset_of_another(void)
{
	build_areas();
	pc->offset[1] = pc->offset[0];
}
static void d_says_another_offset(void)
{
	build_areas();
	own(1)->offset += UNIT;
}
static void d_says_another_cpu(void)
{
	build_areas();
	own(1)->number = 0;
}
static void d_counters_of_another(void)
{
	build_areas();
	*pte(AREAS + UNIT) = *pte(AREAS);
}
static void d_counters_unmapped(void)
{
	build_areas();
	*pte(AREAS) = 0;
}
/* Both areas say what they should, but a write to one is a write to the other. */
static void d_areas_overlap(void)
{
	build_areas();
	pc->locked = 1; /* nobody looks at the chunk, whose units are smaller */
	im.g->root.percpu.unit = 3 * PAGE;
	pc->offset[1] = OFFSET + 3 * PAGE;
	for (unsigned int cpu = 0; cpu < CPUS; cpu++) {
		const uint64_t row = MMVM_SHARED_BASE + offsetof(struct mmvm_shared, event[cpu]);

		*pte(AREAS + cpu * 3 * PAGE) = row | P | RW;
		*pte(AREAS + cpu * 3 * PAGE + PAGE) = (uint64_t)im.next++ << 12 | P | RW;
		*((struct own *)frame_ptr(im.next - 1)) =
			(struct own){.offset = pc->offset[cpu], .number = cpu};
		*pte(AREAS + cpu * 3 * PAGE + 2 * PAGE) = (uint64_t)im.next << 12 | P | RW;
	}
}
static void d_area_in_other_use(void)
{
	build_areas();
	memcpy(frame_ptr(im.dma), own(1), sizeof(struct own));
	*pte(AREAS + UNIT + PAGE) = (uint64_t)im.dma << 12 | P | RW;
}
static void d_area_outside_of_ram(void)
{
	build_areas();
	*pte(AREAS + UNIT + PAGE) = MMVM_SHARED_BASE | P | RW;
}
static void d_offsets_unreadable(void)
{
	build_areas();
	im.g->root.percpu.offsets_gva = 0x1230;
}
static void d_too_many_cpus(void)
{
	build_areas();
	im.g->root.percpu.nr_cpus = MMVM_MAX_CPUS + 1;
}
static void d_endless_unit(void)
{
	build_areas();
	im.g->root.percpu.unit = 1ull << 40;
}

/* ---- chunks ---- */

static void d_chunk_is_the_area(void)
{
	build_areas();
	*pte(CHUNK) = *pte(AREAS + PAGE);
}
static void d_chunk_twice(void)
{
	build_areas();
	*pte(CHUNK + PAGE) = *pte(CHUNK);
}
static void d_chunk_unmapped(void)
{
	build_areas();
	*pte(CHUNK + 3 * PAGE) = 0;
}
static void d_chunk_of_free_pages(void)
{
	build_areas();
	*pte(CHUNK) = first_buddy(0, 3, 0) << 12 | P | RW;
}
static void d_chunk_lost(void)
{
	build_areas();
	pc->chunk[0].link.next = PC(chunks);
	pc->chunks.prev = PC(chunk[0].link);
}
static void d_list_broken(void)
{
	build_areas();
	pc->chunk[1].link.prev = PC(chunk[1].link);
}
static void d_list_wild(void)
{
	build_areas();
	pc->chunks.next = 0x1230;
}
static void d_sum_too_low(void)
{
	build_areas();
	pc->nr_pages--;
}
static void d_sum_with_counters(void)
{
	build_areas();
	pc->nr_pages += CPUS;
}
static void d_sum_unreadable(void)
{
	build_areas();
	im.g->root.percpu.nr_pages_gva = 0x1230;
}
static void d_free_too_much(void)
{
	build_areas();
	pc->chunk[1].free++;
}
static void d_taken_unnoticed(void)
{
	build_areas();
	pc->chunk[0].map[GRANULES / 64 - 1] |= 1ull << 63;
}
static void d_longest_too_short(void)
{
	build_areas();
	pc->chunk[1].longest--;
}
static void d_map_unreadable(void)
{
	build_areas();
	pc->chunk[1].taken = 0x1230;
}

static const struct damage damages[] = {
	PLANT(d_offset, AUDIT_PERCPU_AREA),
	PLANT(d_offset_of_another, AUDIT_PERCPU_AREA),
	PLANT(d_says_another_offset, AUDIT_PERCPU_AREA),
	PLANT(d_says_another_cpu, AUDIT_PERCPU_AREA),
	PLANT(d_counters_of_another, AUDIT_PERCPU_AREA),
	PLANT(d_counters_unmapped, AUDIT_PERCPU_AREA),
	PLANT(d_areas_overlap, AUDIT_PERCPU_AREA),
	PLANT(d_area_in_other_use, AUDIT_PERCPU_AREA),
	PLANT(d_area_outside_of_ram, AUDIT_PERCPU_AREA),
	PLANT(d_offsets_unreadable, AUDIT_PERCPU_AREA),
	PLANT(d_too_many_cpus, AUDIT_PERCPU_AREA),
	PLANT(d_endless_unit, AUDIT_PERCPU_AREA),
	PLANT(d_chunk_is_the_area, AUDIT_PERCPU_AREA),
	PLANT(d_chunk_twice, AUDIT_PERCPU_AREA),
	PLANT(d_chunk_unmapped, AUDIT_PERCPU_AREA),
	PLANT(d_chunk_of_free_pages, AUDIT_PERCPU_AREA),
	PLANT(d_chunk_lost, AUDIT_PERCPU_COUNT),
	PLANT(d_list_broken, AUDIT_PERCPU_COUNT),
	PLANT(d_list_wild, AUDIT_PERCPU_COUNT),
	PLANT(d_sum_too_low, AUDIT_PERCPU_COUNT),
	PLANT(d_sum_with_counters, AUDIT_PERCPU_COUNT),
	PLANT(d_sum_unreadable, AUDIT_PERCPU_COUNT),
	PLANT(d_free_too_much, AUDIT_PERCPU_COUNT),
	PLANT(d_taken_unnoticed, AUDIT_PERCPU_COUNT),
	PLANT(d_longest_too_short, AUDIT_PERCPU_COUNT),
	PLANT(d_map_unreadable, AUDIT_PERCPU_COUNT),
};

static void test_damages(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"clean areas", test_clean},
		{"a chunk that is being made is no finding", test_half_made},
		{"each damage is found", test_damages},
	};

	return plant_run("audit: per-CPU memory", cases, sizeof(cases) / sizeof(cases[0]));
}
