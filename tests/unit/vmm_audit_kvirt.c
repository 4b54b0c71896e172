/*
 * The audit of the kernel's own mappings: two areas, one of a page of vmalloc and one of a stack of four,
 * and one that was freed; the other mappings are not executable. Then each kind of damage.
 */
#include "audit_plant.h"

#define NX	 (1ull << 63)
#define PAGE	 4096ull
#define STACK_AT (VMALLOC + 4 * PAGE) /* a guard page in front */

struct vmap {
	uint64_t parent, left, right; /* the node */
	uint64_t start, end, addr, gap;
	uint32_t nr_pages, kind, type;
	uint8_t lazy;
};
struct areas {
	uint64_t root;
	struct vmap vmap[3];
};

/* They have a frame of their own, which the image has as reserved. */
static struct areas *areas;
static uint64_t areas_gva;

#define AREA_GVA(i) (areas_gva + offsetof(struct areas, vmap) + (i) * sizeof(struct vmap))

static uint64_t *pte(uint64_t gva)
{
	return entry_of(im.cr3, gva, 0, false);
}

static void build_areas(void)
{

	for (uint64_t gpa = 0; gpa < LOW_FRAMES << 12; gpa += 2 << 20)
		*entry_of(im.cr3, DIRECT + gpa, 1, false) |= NX;
	for (uint64_t f = HIGH_PFN; f < HIGH_PFN + HIGH_FRAMES; f++)
		*pte(DIRECT + (f << 12)) |= NX;
	for (uint64_t f = 0; f < LOW_FRAMES; f += 64)
		*pte(VMEMMAP + f * 64) |= NX;
	for (uint64_t f = HIGH_PFN; f < HIGH_PFN + HIGH_FRAMES; f += 64)
		*pte(VMEMMAP + f * 64) |= NX;
	*pte(VMALLOC) |= NX;
	for (uint64_t i = 0; i < 4; i++)
		*pte(STACK_AT + i * PAGE) = (im.stack + i) << 12 | P | RW | NX;

	areas = (struct areas *)frame_ptr(im.next);
	areas_gva = DIRECT + ((uint64_t)im.next << 12);
	areas->vmap[0] = (struct vmap){.start = VMALLOC,
				       .end = VMALLOC + 2 * PAGE,
				       .addr = VMALLOC,
				       .nr_pages = 1,
				       .type = PAGE_VMALLOC};
	areas->vmap[1] = (struct vmap){.left = AREA_GVA(0),
				       .right = AREA_GVA(2),
				       .start = STACK_AT - PAGE,
				       .end = STACK_AT + 5 * PAGE,
				       .addr = STACK_AT,
				       .gap = PAGE,
				       .nr_pages = 4,
				       .type = PAGE_STACK};
	areas->vmap[2] = (struct vmap){.start = STACK_AT + 5 * PAGE,
				       .end = STACK_AT + 8 * PAGE,
				       .addr = STACK_AT + 5 * PAGE,
				       .nr_pages = 2,
				       .type = PAGE_VMALLOC,
				       .lazy = 1};
	areas->root = AREA_GVA(1);
	im.g->root.kvirt = (struct mmvm_audit_kvirt){
		.areas_gva = areas_gva,
		.vmalloc_start = VMALLOC,
		.vmalloc_end = VMALLOC + (1ull << 40),
		.left_offset = offsetof(struct vmap, left),
		.right_offset = offsetof(struct vmap, right),
		.start_offset = offsetof(struct vmap, start),
		.end_offset = offsetof(struct vmap, end),
		.addr_offset = offsetof(struct vmap, addr),
		.gap_offset = offsetof(struct vmap, gap),
		.nr_pages_offset = offsetof(struct vmap, nr_pages),
		.kind_offset = offsetof(struct vmap, kind),
		.type_offset = offsetof(struct vmap, type),
		.lazy_offset = offsetof(struct vmap, lazy),
	};
}

static void test_clean(void)
{
	build();
	build_areas();
	CU_ASSERT_EQUAL(run(), 0);
	if (im.r.total)
		audit_print(stderr, "  ", &im.r, true);
}

static void d_guard_behind(void)
{
	build_areas();
	*pte(VMALLOC + PAGE) = (uint64_t)im.dma << 12 | P | RW | NX;
}
static void d_guard_before(void)
{
	build_areas();
	*pte(STACK_AT - PAGE) = (uint64_t)im.dma << 12 | P | RW | NX;
}
static void d_between(void)
{
	build_areas();
	*pte(VMALLOC + 2 * PAGE) = (uint64_t)im.dma << 12 | P | RW | NX;
}
static void d_freed(void)
{
	build_areas();
	*pte(STACK_AT + 5 * PAGE) = (uint64_t)im.dma << 12 | P | RW | NX;
}
static void d_unmapped(void)
{
	build_areas();
	*pte(STACK_AT + PAGE) = 0;
}
static void d_lost(void)
{
	build_areas();
	areas->vmap[1].left = 0;
}
static void d_overlap(void)
{
	build_areas();
	areas->vmap[0].end = STACK_AT;
}
static void d_no_guard(void)
{
	build_areas();
	areas->vmap[1].nr_pages = 5;
}
static void d_gap(void)
{
	build_areas();
	areas->vmap[1].gap = 0;
}
static void d_wrong_type(void)
{
	build_areas();
	*pte(VMALLOC) = (uint64_t)im.dma << 12 | P | RW | NX;
}
static void d_twice(void)
{
	build_areas();
	*pte(STACK_AT + PAGE) = *pte(STACK_AT);
}
static void d_free_page(void)
{
	build_areas();
	*pte(VMALLOC) = first_buddy(0, 3, 0) << 12 | P | RW | NX;
}
static void d_loop(void)
{
	build_areas();
	areas->vmap[0].left = AREA_GVA(1);
}
static void d_wild(void)
{
	build_areas();
	areas->root = 0x1230;
}
static void d_wx(void)
{
	build_areas();
	*pte(VMALLOC) &= ~NX;
}
static void d_wx_alias(void)
{
	build_areas();
	*pte(VMALLOC) = ((uint64_t)im.vmalloc << 12 | P) & ~RW;
}

static const struct damage damages[] = {
	PLANT(d_guard_behind, AUDIT_GUARD),
	PLANT(d_guard_before, AUDIT_GUARD),
	PLANT(d_between, AUDIT_GUARD),
	PLANT(d_freed, AUDIT_GUARD),
	PLANT(d_unmapped, AUDIT_VMAP),
	PLANT(d_lost, AUDIT_VMAP),
	PLANT(d_overlap, AUDIT_VMAP),
	PLANT(d_no_guard, AUDIT_VMAP),
	PLANT(d_gap, AUDIT_VMAP),
	PLANT(d_wrong_type, AUDIT_VMAP),
	PLANT(d_twice, AUDIT_VMAP),
	PLANT(d_free_page, AUDIT_VMAP),
	PLANT(d_loop, AUDIT_VMAP),
	PLANT(d_wild, AUDIT_VMAP),
	PLANT(d_wx, AUDIT_WX),
	PLANT(d_wx_alias, AUDIT_WX),
};

static void test_damages(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"clean areas", test_clean},
		{"each damage is found", test_damages},
	};

	return plant_run("audit: the kernel's mappings", cases, sizeof(cases) / sizeof(cases[0]));
}
