/* Shadows: packing and unpacking them, and counting refaults. The policy gives them their meaning. */
#include "mm/reclaim/workingset.h"
#include "mm/memcg/memcg.h"
#include "mm/reclaim/policy.h"

u32 workingset_eviction(const struct page *page)
{
	struct lruvec *lv = page_lruvec(page);
	u32 token = lv->policy->evicted(lv, page) & SHADOW_TOKEN_MASK;

	return SHADOW_FLAG | lv->id << SHADOW_TOKEN_BITS | token;
}

static __always_inline void refault_of(struct page *page, u32 shadow)
{
	struct lruvec *lv = READ_ONCE(lruvec_table[(shadow & ~SHADOW_FLAG) >> SHADOW_TOKEN_BITS]);

	if (!lv)
		return; /* its cgroup was removed */
	count_lruvec_events(
		lv, page_is_file_lru(page) ? WORKINGSET_REFAULT_FILE : WORKINGSET_REFAULT_ANON, 1);
	lv->policy->refault(lv, page, shadow & SHADOW_TOKEN_MASK);
}

void workingset_refault(struct page *page, u32 shadow)
{
	if (!(shadow & SHADOW_FLAG))
		return;
	/* A removed cgroup frees its lruvec only after preemption was enabled on each CPU once. */
	if (mem_cgroup_enabled()) {
		preempt_disable();
		refault_of(page, shadow);
		preempt_enable();
		return;
	}
	refault_of(page, shadow);
}
