/*
 * The simulator's memory has one memory cgroup, the root: memcg_in_use stays 0, so that the policies never ask for
 * another. What they are linked against answers for the root all the same.
 */
#include "mm/memcg/memcg.h"

struct mem_cgroup root_mem_cgroup;
u32 memcg_in_use;
unsigned long __per_cpu_offset[MMVM_MAX_CPUS];
unsigned int nr_cpu_ids = 1;

struct mem_cgroup *mem_cgroup_from_id(u16 id)
{
	return &root_mem_cgroup;
}

struct mem_cgroup *mem_cgroup_iter(struct mem_cgroup *top, struct mem_cgroup *prev)
{
	return prev ? NULL : top;
}

struct lruvec *mem_cgroup_page_lruvec(const struct page *page)
{
	return &root_lruvec[page_node_id(page)];
}

void mem_cgroup_page_stat(const struct page *page, enum zone_stat_item item, s64 delta) {}

void mem_cgroup_lru_stat(const struct lruvec *lv, enum zone_stat_item item, s64 delta) {}

void mem_cgroup_count_lruvec(const struct lruvec *lv, enum vm_event_item item, u64 n) {}
