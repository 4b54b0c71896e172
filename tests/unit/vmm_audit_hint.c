/*
 * The audit of NUMA hints: an entry without access in a mapping that allows access must be a hint.
 */
#include "audit_plant.h"

static uint64_t ever_gva(void)
{
	return GVA(root.numa_hints_gva); /* any word of the guest's: its low half is not 0 */
}
static void d_never_on(void)
{
	im.g->vma[0].flags |= MMVM_VM_ACCESS; /* entry 3 allows no access */
}
static void d_zero_page(void)
{
	im.g->root.numa_hints_gva = ever_gva();
	*user_pte(5) = (*user_pte(5) & ~(uint64_t)P) | 1ull << 8;
	*user_pte(3) |= P;
	im.g->vma[0].flags |= MMVM_VM_ACCESS;
}

static const struct damage damages[] = {
	PLANT(d_never_on, AUDIT_NUMA_HINT),
	PLANT(d_zero_page, AUDIT_NUMA_HINT),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

static void a_hint(void)
{
	build();
	im.g->root.numa_hints_gva = ever_gva();
	im.g->vma[0].flags |= MMVM_VM_ACCESS;
	CU_ASSERT_EQUAL(run(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"a hint", a_hint},
	};

	return plant_run("audit: hints of balancing", cases, sizeof(cases) / sizeof(cases[0]));
}
