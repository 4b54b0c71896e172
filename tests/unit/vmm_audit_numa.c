/*
 * The audit of NUMA policies: no page lies on a node that its mapping is not bound to.
 */
#include "audit_plant.h"

#define BIND 2

static void bind_vma(unsigned int i, uint32_t nodes)
{
	im.g->policy = (struct policy){BIND, nodes};
	im.g->vma[i].policy = GVA(policy);
	im.g->vma[i].held = 1;
}

static void d_page_on_a_forbidden_node(void)
{
	bind_vma(0, 1u << 1); /* all pages are on node 0 */
}
static void d_moved_away(void)
{
	bind_vma(0, 1u << 0);
	page(im.anon[2])->flags |= 3ull << PAGE_NODE_SHIFT;
}
static void d_bound_to_nothing(void)
{
	bind_vma(0, 0);
}
static void d_policy_unreadable(void)
{
	bind_vma(0, 1);
	im.g->vma[0].policy = 0xdead000000001000ull;
}

static const struct damage damages[] = {
	PLANT(d_page_on_a_forbidden_node, AUDIT_MEMPOLICY),
	PLANT(d_bound_to_nothing, AUDIT_MEMPOLICY),
	PLANT(d_policy_unreadable, AUDIT_MEMPOLICY),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

/* A page of another node: more is wrong with it than that, since its zone says where it is. */
static void moved_away(void)
{
	build();
	d_moved_away();
	CU_ASSERT(run() > 0);
	CU_ASSERT_EQUAL(im.r.count[AUDIT_MEMPOLICY], 1);
}

static void what_is_allowed(void)
{
	build();
	bind_vma(0, 1);
	CU_ASSERT_EQUAL(run(), 0);
	/* It was there before the bind. */
	build();
	bind_vma(0, 2);
	im.g->vma[0].held = 0;
	CU_ASSERT_EQUAL(run(), 0);
	/* Only a preference. */
	build();
	bind_vma(0, 2);
	im.g->policy.mode = 1;
	CU_ASSERT_EQUAL(run(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"moved away", moved_away},
		{"what is allowed", what_is_allowed},
	};

	return plant_run("audit: policies", cases, sizeof(cases) / sizeof(cases[0]));
}
