/*
 * The audit of soft-dirty bits: an entry that is clean must not be writable, or a write would go unnoticed.
 */
#include "audit_plant.h"

static void d_writable(void)
{
	im.g->vma[0].flags &= ~(uint64_t)MMVM_VM_SOFTDIRTY;
	*user_pte(0) &= ~(uint64_t)RW;
	*user_pte(2) &= ~(uint64_t)RW;
}

static const struct damage damages[] = {
	PLANT(d_writable, AUDIT_SOFT_DIRTY),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

/* As it should be: soft-dirty what may be written, in a mapping that is watched. */
static void what_is_watched(void)
{
	build();
	im.g->vma[0].flags &= ~(uint64_t)MMVM_VM_SOFTDIRTY;
	for (unsigned int i = 0; i < 3; i++)
		*user_pte(i) |= MMVM_PTE_SOFT_DIRTY;
	*user_pte(1) &= ~(uint64_t)(RW | MMVM_PTE_SOFT_DIRTY);
	*user_pte(8) |= MMVM_SWP_SOFT_DIRTY;
	CU_ASSERT_EQUAL(run(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"what is watched", what_is_watched},
	};

	return plant_run("audit: soft-dirty", cases, sizeof(cases) / sizeof(cases[0]));
}
