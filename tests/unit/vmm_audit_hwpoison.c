/* The audit of frames that were withdrawn from use: one that is used again, and a wrong count. */
#include "audit_plant.h"

static int64_t *counted;

/* The page of DMA becomes one that is withdrawn. */
static void withdraw(void)
{
	counted = (int64_t *)frame_ptr(im.next);
	*counted = 1;
	im.g->root.poisoned_gva = DIRECT + ((uint64_t)im.next << 12);
	page(im.dma)->type = PAGE_HWPOISON;
}

static void test_clean(void)
{
	build();
	withdraw();
	CU_ASSERT_EQUAL(run(), 0);
	if (im.r.total)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
	CU_ASSERT_EQUAL(im.r.frames[PAGE_HWPOISON], 1);
}

static void d_another_reference(void)
{
	withdraw();
	page(im.dma)->refcount = 2;
}
static void d_mapped(void)
{
	withdraw();
	*user_pte(30) = (uint64_t)im.dma << 12 | P | US;
}
static void d_in_a_tree(void)
{
	withdraw();
	im.g->node[1].slots[6] = page_gva(im.dma);
}
static void d_too_few(void)
{
	withdraw();
	*counted = 0;
}
static void d_too_many(void)
{
	withdraw();
	*counted = 2;
}
static void d_unreadable(void)
{
	withdraw();
	im.g->root.poisoned_gva = 0x1230;
}

static const struct damage damages[] = {
	PLANT(d_another_reference, AUDIT_HWPOISON),
	PLANT(d_mapped, AUDIT_HWPOISON),
	PLANT(d_in_a_tree, AUDIT_CACHE),
	PLANT(d_too_few, AUDIT_HWPOISON),
	PLANT(d_too_many, AUDIT_HWPOISON),
	PLANT(d_unreadable, AUDIT_HWPOISON),
};

static void test_damages(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"one page withdrawn", test_clean},
		{"each damage is found", test_damages},
	};

	return plant_run("audit: withdrawn pages", cases, sizeof(cases) / sizeof(cases[0]));
}
