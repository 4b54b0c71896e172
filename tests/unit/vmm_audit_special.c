/*
 * The audit of special mappings: [vdso] and [vvar], intact and damaged.
 */
#include "audit_plant.h"

#define SPECIAL (1ull << 9)

static uint32_t vvar, image;
static uint64_t names[2]; /* guest addresses */

/* Two mappings of one page and two pages; VMA 1 is the second of them, from its second page on. Entry 8 of the table
 * is its first. */
static void as_it_should_be(void)
{
	struct mmvm_audit_special_layout *l = &im.g->root.special;
	uint32_t second;

	vvar = (uint32_t)im.stack; /* any pages of the kernel's */
	image = vvar + 1;
	second = vvar + 2;
	names[0] = GVA(cache.name[0]);
	names[1] = GVA(cache.name[8]);
	*l = (struct mmvm_audit_special_layout){
		.mapping = {{.name_gva = names[0], .nr_pages = 1, .pfn = {vvar}},
			    {.name_gva = names[1], .nr_pages = 2, .pfn = {image, second}}},
		.vma_name_offset =
			offsetof(struct vma, last), /* a field that nothing else looks at here */
		.vma_pgoff_offset = offsetof(struct vma, pgoff),
	};
	im.g->vma[1].last = names[1];
	im.g->vma[1].pgoff = 1;
	*user_pte(8) = (uint64_t)second << 12 | P | US | SPECIAL;
	im.g->mm.swap = 1;
	im.g->swap_map[3] = 1;
}

static void d_writable(void)
{
	as_it_should_be();
	*user_pte(8) |= RW | MMVM_PTE_SOFT_DIRTY;
}

static void d_another_page(void)
{
	as_it_should_be();
	*user_pte(8) = (uint64_t)image << 12 | P | US | SPECIAL;
}

static void d_of_another_mapping(void)
{
	as_it_should_be();
	*user_pte(8) = (uint64_t)vvar << 12 | P | US | SPECIAL;
}

static void d_zero_page(void)
{
	as_it_should_be();
	*user_pte(8) = (uint64_t)im.zero << 12 | P | US | SPECIAL;
}

static void d_in_ordinary_memory(void)
{
	as_it_should_be();
	*user_pte(5) = (uint64_t)image << 12 | P | US | SPECIAL;
}

static const struct damage damages[] = {
	PLANT(d_writable, AUDIT_SPECIAL),	    PLANT(d_another_page, AUDIT_SPECIAL),
	PLANT(d_of_another_mapping, AUDIT_SPECIAL), PLANT(d_zero_page, AUDIT_SPECIAL),
	PLANT(d_in_ordinary_memory, AUDIT_SPECIAL),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

static void whole(void)
{
	build();
	as_it_should_be();
	CU_ASSERT_EQUAL(run(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"as it should be", whole},
	};

	return plant_run("audit: special mappings", cases, sizeof(cases) / sizeof(cases[0]));
}
