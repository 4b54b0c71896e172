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
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
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

/* The file's page is one of memfd_secret: its PMD is split, its own entry empty. */
static uint64_t *hide_file_page(void)
{
	uint64_t base = im.file & ~511ull, *pmd, *table;

	build_areas();
	table = (uint64_t *)frame_ptr(im.next + 1);
	for (uint64_t i = 0; i < 512; i++)
		table[i] = (base + i) << 12 | P | RW | NX;
	table[im.file & 511] = 0;
	pmd = entry_of(im.cr3, DIRECT + (base << 12), 1, false);
	*pmd = (uint64_t)(im.next + 1) << 12 | P | RW;
	im.g->root.mapping.secret_flag = 64;
	im.g->file_map.flags |= 64;
	level_add(0, NR_FILE_DIRTY, -1); /* there is no disk that it would be written to */
	page(im.file)->flags |= 1ull << PG_uptodate;
	return table;
}

static void test_secret(void)
{
	build();
	hide_file_page();
	CU_ASSERT_EQUAL(run(), 0);
	if (im.r.total)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
	/* On its way in or out. */
	build();
	hide_file_page()[im.file & 511] = (uint64_t)im.file << 12 | P | RW | NX;
	page(im.file)->flags |= 1ull << PG_locked;
	CU_ASSERT_EQUAL(run(), 0);
}

static void d_secret_is_mapped(void)
{
	hide_file_page()[im.file & 511] = (uint64_t)im.file << 12 | P | RW | NX;
}
static void d_secret_has_an_alias(void)
{
	/* Where the page next to it should be mapped. */
	uint64_t other = (im.file ^ 1) & 511, *table = hide_file_page();

	table[im.file & 511] = table[other];
	table[other] = (uint64_t)im.file << 12 | P | RW | NX;
}
static void d_stays_hidden(void)
{
	hide_file_page()[(im.file ^ 1) & 511] = 0;
}

/* ---- high memory: all above 4 GiB, not in the direct map, and a window onto one page of it ---- */

#define KMAP (VMALLOC + 256 * PAGE) /* in a table that exists */

static void build_highmem(void)
{
	build_areas();
	for (uint64_t f = HIGH_PFN; f < HIGH_PFN + HIGH_FRAMES; f++)
		*pte(DIRECT + (f << 12)) = 0;
	im.g->root.kvirt.highmem_start = HIGH_PFN << 12;
	im.g->root.kvirt.kmap_start = KMAP;
	im.g->root.kvirt.kmap_end = KMAP + 256 * PAGE;
	im.g->root.kvirt.vmalloc_end = KMAP;
}
/* A frame of the free block of order 8 becomes somebody's. */
static uint64_t high_in_use(void)
{
	uint64_t pfn = HIGH_BLOCK;

	list_del(lru_gva(pfn));
	im.g->area[1][8].nr_free--;
	level_add(1, NR_FREE_PAGES, -256);
	set_page(pfn, PAGE_DMA, 0, 1);
	give_range(pfn + 1, pfn + 256);
	return pfn;
}
static void window(uint64_t pfn)
{
	build_highmem();
	*pte(KMAP + 16 * PAGE) = pfn << 12 | P | RW | NX;
}
static void test_clean_highmem(void)
{
	build();
	window(high_in_use());
	CU_ASSERT_EQUAL(run(), 0);
	if (im.r.total)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
}
static void d_in_direct_map(void)
{
	build_highmem();
	*pte(DIRECT + (HIGH_PFN << 12)) = HIGH_PFN << 12 | P | RW | NX;
}
static void d_window_forgotten(void)
{
	window(first_buddy(0, 3, 0));
}
static void d_window_on_low(void)
{
	window(im.dma);
}

static const struct damage damages[] = {
	PLANT(d_secret_is_mapped, AUDIT_SECRET),
	PLANT(d_secret_has_an_alias, AUDIT_SECRET),
	PLANT(d_stays_hidden, AUDIT_SECRET),
	PLANT(d_in_direct_map, AUDIT_HIGHMEM),
	PLANT(d_window_forgotten, AUDIT_HIGHMEM),
	PLANT(d_window_on_low, AUDIT_HIGHMEM),
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
		{"secret memory", test_secret},
		{"clean high memory", test_clean_highmem},
		{"each damage is found", test_damages},
	};

	return plant_run("audit: the kernel's mappings", cases, sizeof(cases) / sizeof(cases[0]));
}
