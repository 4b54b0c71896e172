/*
 * What happens at a memory cgroup's limits.
 *
 *   memory.max    a charge that does not fit reclaims from the group, then kills in it (charge.c)
 *   memory.high   the task that went above it reclaims on its way to user mode, then sleeps, the
 *                 longer the further the group is above
 *   memory.min    never reclaimed while the group stays below it
 *   memory.low    reclaimed only when nothing else is left, and not by kswapd
 *
 * The sleep grows with the square of the excess: 0.25 s for an excess of 1/8 of `high`, two seconds
 * at most. (Linux 6.12 also scales it by the number of pages charged: mm/memcontrol.c,
 * calculate_high_delay().)
 */
#include "mm/memcg/memcg.h"
#include "arch/thread_info.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/vmscan.h"

#define HIGH_BATCH	  32u /* pages to reclaim each time a task finds its group above `high` */
#define HIGH_ROUNDS	  16
#define HIGH_SLEEP_MAX_NS 2000000000ull
#define HIGH_SLEEP_MIN_NS 10000000ull /* a shorter sleep is not worth a switch of tasks */
#define EXCESS_SHIFT	  10	      /* fixed point of the excess as a part of `high` */

u64 mem_cgroup_high_sleep_ns(u64 usage, u64 high)
{
	u64 excess, ns;

	if (usage <= high)
		return 0;
	excess = ((usage - high) << EXCESS_SHIFT) / max(high, (u64)1);
	if (excess >= 1u << EXCESS_SHIFT)
		return HIGH_SLEEP_MAX_NS;
	ns = excess * excess * (HIGH_SLEEP_MAX_NS >> (2 * EXCESS_SHIFT - 3));
	ns = min(ns, HIGH_SLEEP_MAX_NS);
	return ns < HIGH_SLEEP_MIN_NS ? 0 : ns;
}

/* The longest sleep that the group or one of its ancestors asks for, in ns. */
static u64 worst_sleep(struct mem_cgroup *memcg)
{
	u64 ns = 0;

	for (; memcg; memcg = memcg->parent)
		ns = max(ns, mem_cgroup_high_sleep_ns(page_counter_read(&memcg->memory),
						      READ_ONCE(memcg->memory.high)));
	return ns;
}

void mem_cgroup_handle_over_high(void)
{
	struct mem_cgroup *memcg = mem_cgroup_get_from_mm(current_thread_info()->mm);
	u64 ns;

	for (struct mem_cgroup *m = memcg; m; m = m->parent) {
		if (page_counter_read(&m->memory) <= READ_ONCE(m->memory.high))
			continue;
		mem_cgroup_event(m, MEMCG_HIGH);
		for (int i = 0; i < HIGH_ROUNDS; i++) {
			if (page_counter_read(&m->memory) <= READ_ONCE(m->memory.high) ||
			    !mem_cgroup_reclaim(m, HIGH_BATCH, GFP_KERNEL))
				break;
		}
	}
	ns = worst_sleep(memcg);
	if (ns && !task_interrupted()) {
		psi_memstall_enter();
		sleep_ns(ns);
		psi_memstall_leave();
	}
	mem_cgroup_put(memcg);
}

/* ---- protection ------------------------------------------------------------------------------- */

/* Sums over the children of `parent`: of min(usage, min) and of min(usage, low). */
static void siblings_claims(struct mem_cgroup *parent, u64 *min_sum, u64 *low_sum)
{
	unsigned long flags = spin_lock_irqsave(&memcg_lock);
	struct mem_cgroup *m;

	*min_sum = *low_sum = 0;
	list_for_each_entry (m, &parent->children, sibling) {
		u64 usage = page_counter_read(&m->memory);

		*min_sum += min(usage, m->memory.min);
		*low_sum += min(usage, m->memory.low);
	}
	spin_unlock_irqrestore(&memcg_lock, flags);
}

/* Counts changes of min and low. Protection computed under an older value is out of date. Never 0. */
static u64 settings_generation = 1; /* memcg_lock */

void mem_cgroup_protection_changed(void)
{
	WRITE_ONCE(settings_generation, settings_generation + 1);
}

enum memcg_protection mem_cgroup_update_protection(struct mem_cgroup *top, struct mem_cgroup *memcg)
{
	struct mem_cgroup *parent = memcg->parent;
	struct protection p = {.usage = page_counter_read(&memcg->memory)};
	u64 must = READ_ONCE(memcg->memory.min), should = READ_ONCE(memcg->memory.low);
	u64 min_sum, low_sum;

	/* min and low do not protect a group from reclaim that is aimed at the group itself. */
	if (memcg == top || mem_cgroup_is_root(memcg)) {
		must = should = 0;
	} else if (parent != top && !mem_cgroup_is_root(parent)) {
		siblings_claims(parent, &min_sum, &low_sum);
		p.setting = must;
		p.parent_effective = READ_ONCE(parent->memory.effective_min);
		p.siblings = min_sum;
		must = effective_protection(&p);
		p.setting = should;
		p.parent_effective = READ_ONCE(parent->memory.effective_low);
		p.siblings = low_sum;
		should = effective_protection(&p);
	}
	WRITE_ONCE(memcg->settled_as_of, 0);
	WRITE_ONCE(memcg->memory.effective_min, must);
	WRITE_ONCE(memcg->memory.effective_low, should);
	if (memcg == top || mem_cgroup_is_root(memcg))
		return MEMCG_UNPROTECTED;
	return p.usage <= must	   ? MEMCG_BELOW_MIN
	       : p.usage <= should ? MEMCG_BELOW_LOW
				   : MEMCG_UNPROTECTED;
}

void mem_cgroup_settle_protection(void)
{
	struct mem_cgroup *top = &root_mem_cgroup;
	u64 as_of = READ_ONCE(settings_generation);

	if (!mem_cgroup_enabled())
		return;
	/* Record the usages first: if one changes afterwards, the audit sees that another one was used here. */
	for (struct mem_cgroup *m = mem_cgroup_iter(top, NULL); m; m = mem_cgroup_iter(top, m))
		WRITE_ONCE(m->settled_usage, page_counter_read(&m->memory));
	for (struct mem_cgroup *m = mem_cgroup_iter(top, NULL); m; m = mem_cgroup_iter(top, m)) {
		mem_cgroup_update_protection(top, m);
		WRITE_ONCE(m->settled_as_of, as_of);
	}
}

u64 mem_cgroup_settings_gva(void)
{
	return (unsigned long)&settings_generation;
}

u64 mem_cgroup_reclaim(struct mem_cgroup *memcg, u64 nr, gfp_t gfp)
{
	return try_to_free_group_pages(memcg, nr, gfp);
}
