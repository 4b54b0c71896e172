/*
 * The audit of protection keys: each page table entry has the key of its mapping.
 */
#include "audit_plant.h"

#define KEY(n) ((uint64_t)(n) << MMVM_PTE_PKEY_SHIFT)

static void d_another_key(void)
{
	*user_pte(0) |= KEY(3);
}

static void d_lost_key(void)
{
	im.g->vma[0].flags |= 5ull << MMVM_VM_PKEY_SHIFT;
	for (unsigned int i = 0; i < 6; i++)
		*user_pte(i) |= KEY(5);
	*user_pte(3) &= ~KEY(15); /* PROT_NONE keeps it, too */
}

static const struct damage damages[] = {
	PLANT(d_another_key, AUDIT_PKEY),
	PLANT(d_lost_key, AUDIT_PKEY),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

static void whole(void)
{
	build();
	im.g->vma[0].flags |= 15ull << MMVM_VM_PKEY_SHIFT;
	for (unsigned int i = 0; i < 6; i++)
		*user_pte(i) |= KEY(15);
	CU_ASSERT_EQUAL(run(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"as it should be", whole},
	};

	return plant_run("audit: protection keys", cases, sizeof(cases) / sizeof(cases[0]));
}
