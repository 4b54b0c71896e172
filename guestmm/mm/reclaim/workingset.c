/* Shadows: packing and unpacking them, and counting refaults. What they mean is the policy's. */
#include "mm/reclaim/workingset.h"
#include "mm/reclaim/policy.h"

u32 workingset_eviction(const struct page *page)
{
	struct lruvec *lv = page_lruvec(page);
	u32 token = lv->policy->evicted(lv, page) & SHADOW_TOKEN_MASK;

	return SHADOW_FLAG | lv->id << SHADOW_TOKEN_BITS | token;
}

void workingset_refault(struct page *page, u32 shadow)
{
	struct lruvec *lv;

	if (!(shadow & SHADOW_FLAG))
		return;
	lv = READ_ONCE(lruvec_table[(shadow & ~SHADOW_FLAG) >> SHADOW_TOKEN_BITS]);
	if (!lv)
		return; /* its cgroup is gone */
	count_vm_event(page_is_file_lru(page) ? WORKINGSET_REFAULT_FILE : WORKINGSET_REFAULT_ANON);
	lv->policy->refault(lv, page, shadow & SHADOW_TOKEN_MASK);
}
