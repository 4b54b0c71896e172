/*
 * The audit of userfaultfd's write protection: a protected entry must not be writable, and lies in a
 * registered mapping.
 */
#include "audit_plant.h"

static void d_writable(void)
{
	im.g->vma[0].flags |= MMVM_VM_UFFD_WP;
	*user_pte(1) |= MMVM_PTE_UFFD_WP | RW;
}
static void d_nobody_to_ask(void)
{
	*user_pte(1) = (*user_pte(1) & ~(uint64_t)RW) | MMVM_PTE_UFFD_WP;
}
static void d_swapped_nobody_to_ask(void)
{
	*user_pte(8) |= MMVM_SWP_UFFD_WP;
}
/* Nothing is there: a marker. */
static uint64_t marker(uint64_t bits)
{
	return (uint64_t)MMVM_SWP_GUARD << MMVM_SWP_TYPE_SHIFT |
	       (uint64_t)MMVM_GUARD_UFFD_WP << MMVM_SWP_OFFSET_SHIFT | bits;
}
static void d_marker_nobody_to_ask(void)
{
	*user_pte(10) = marker(MMVM_SWP_UFFD_WP);
}
static void d_marker_without_its_bit(void)
{
	im.g->vma[1].flags |= MMVM_VM_UFFD_WP;
	*user_pte(10) = marker(0);
}

static const struct damage damages[] = {
	PLANT(d_writable, AUDIT_UFFD_WP),
	PLANT(d_nobody_to_ask, AUDIT_UFFD_WP),
	PLANT(d_swapped_nobody_to_ask, AUDIT_UFFD_WP),
	PLANT(d_marker_nobody_to_ask, AUDIT_UFFD_WP),
	PLANT(d_marker_without_its_bit, AUDIT_UFFD_WP),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

/* As it should be, in memory and in swap: no finding, and the slot is found beside the bit. */
static void what_is_protected(void)
{
	build();
	im.g->vma[0].flags |= MMVM_VM_UFFD_WP;
	im.g->vma[1].flags |= MMVM_VM_UFFD_WP;
	*user_pte(1) = (*user_pte(1) & ~(uint64_t)RW) | MMVM_PTE_UFFD_WP;
	*user_pte(8) |= MMVM_SWP_UFFD_WP;
	*user_pte(10) = marker(MMVM_SWP_UFFD_WP);
	CU_ASSERT_EQUAL(run(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"what is protected", what_is_protected},
	};

	return plant_run("audit: write protection", cases, sizeof(cases) / sizeof(cases[0]));
}
