/*
 * What is counted for a memory cgroup: levels by node, events, and memory.events.
 *
 * A group keeps its own levels and vm events; a reader adds up the subtree. So counting costs one
 * atomic addition at any depth of the tree, and the counts are exact. Events of memory.events are rare.
 * They are counted in every ancestor at once, because the readers of the ancestors' files are woken, too.
 */
#include "mm/memcg/memcg.h"
#include "arch/thread_info.h"

void mem_cgroup_page_stat(const struct page *page, enum zone_stat_item item, s64 delta)
{
	atomic_add(&mem_cgroup_from_id(page->memcg_id)->stat[page_node_id(page)][item], delta);
}

void mem_cgroup_lru_stat(const struct lruvec *lv, enum zone_stat_item item, s64 delta)
{
	atomic_add(&mem_cgroup_from_id(lv->memcg)->stat[lv->node->id][item], delta);
}

void mem_cgroup_count_lruvec(const struct lruvec *lv, enum vm_event_item item, u64 n)
{
	mem_cgroup_count(mem_cgroup_from_id(lv->memcg), item, n);
}

static s64 own_stat(const struct mem_cgroup *memcg, int node, enum zone_stat_item item)
{
	s64 sum = 0;

	if (node >= 0)
		return atomic_load(&memcg->stat[node][item]);
	for (int n = 0; n < MMVM_MAX_NODES; n++)
		sum += atomic_load(&memcg->stat[n][item]);
	return sum;
}

static s64 machine_stat(int node, enum zone_stat_item item)
{
	s64 sum = 0;

	if (node < 0)
		return global_stat(item);
	for (unsigned int i = 0; i < MAX_NR_ZONES; i++) {
		const struct zone *z = &node_data[node].zones[i];

		if (z->managed)
			sum += zone_stat(z, item);
	}
	return sum;
}

s64 mem_cgroup_stat(struct mem_cgroup *memcg, int node, enum zone_stat_item item)
{
	s64 sum = 0;

	if (mem_cgroup_is_root(memcg))
		return machine_stat(node, item);
	for (struct mem_cgroup *m = mem_cgroup_iter(memcg, NULL); m; m = mem_cgroup_iter(memcg, m))
		sum += own_stat(m, node, item);
	return max(sum, (s64)0);
}

u64 mem_cgroup_vm_event(struct mem_cgroup *memcg, enum vm_event_item item)
{
	u64 sum = 0;

	if (mem_cgroup_is_root(memcg))
		return sum_vm_event(item);
	for (struct mem_cgroup *m = mem_cgroup_iter(memcg, NULL); m; m = mem_cgroup_iter(memcg, m))
		sum += atomic_load(&m->event[item]);
	return sum;
}

u64 mem_cgroup_workingset(struct mem_cgroup *top, int node, enum vm_event_item item)
{
	u64 sum = 0;

	for (struct mem_cgroup *m = mem_cgroup_iter(top, NULL); m; m = mem_cgroup_iter(top, m)) {
		const struct lruvec *lv = mem_cgroup_lruvec(m, &node_data[node]);

		sum += atomic_load(&lv->workingset[item - WORKINGSET_REFAULT_ANON]);
	}
	return sum;
}

void mem_cgroup_count_mm_slow(struct mm_struct *mm, enum vm_event_item item)
{
	struct mem_cgroup *memcg;

	/* While preemption is off, the group cannot be freed (memcg.c, I3), so no reference is needed. */
	preempt_disable();
	memcg = READ_ONCE(mm->memcg);
	if (memcg)
		mem_cgroup_count(memcg, item, 1);
	preempt_enable();
}

void mem_cgroup_event(struct mem_cgroup *memcg, enum memcg_event e)
{
	atomic_add(&memcg->events_local[e], 1);
	atomic_add(&memcg->notified[MEMCG_NOTIFY_LOCAL], 1);
	for (; memcg; memcg = memcg->parent) {
		atomic_add(&memcg->events[e], 1);
		atomic_add(&memcg->notified[MEMCG_NOTIFY_EVENTS], 1);
		wake_up(&memcg->events_wq);
	}
}

void mem_cgroup_swap_event(struct mem_cgroup *memcg, enum memcg_swap_event e)
{
	for (; memcg; memcg = memcg->parent) {
		atomic_add(&memcg->swap_events[e], 1);
		atomic_add(&memcg->notified[MEMCG_NOTIFY_SWAP], 1);
		wake_up(&memcg->events_wq);
	}
}
