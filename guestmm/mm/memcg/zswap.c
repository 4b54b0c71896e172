/*
 * zswap and memory cgroups: a compressed page is charged to the group of the page that it was.
 *
 * Each group counts its own bytes; a reader adds up the subtree. memory.current counts the sum too,
 * rounded up to whole pages: one more page is charged whenever the sum crosses a multiple of the page size.
 */
#include "mm/memcg/memcg.h"
#include "mm/zswap/zswap.h"

static u64 pages_of(s64 bytes)
{
	return bytes > 0 ? DIV_ROUND_UP((u64)bytes, PAGE_SIZE) : 0;
}

void mem_cgroup_zswap_usage(struct mem_cgroup *top, u64 *bytes, u64 *pages)
{
	s64 b = 0, p = 0;

	if (mem_cgroup_is_root(top)) {
		*bytes = zs_pages() << PAGE_SHIFT;
		*pages = atomic_load(&zswap_counts.stored_pages);
		return;
	}
	for (struct mem_cgroup *m = mem_cgroup_iter(top, NULL); m; m = mem_cgroup_iter(top, m)) {
		b += atomic_load(&m->zswap_bytes);
		p += atomic_load(&m->zswapped);
	}
	*bytes = max(b, (s64)0);
	*pages = max(p, (s64)0);
}

bool mem_cgroup_may_zswap(const struct page *page)
{
	for (struct mem_cgroup *m = mem_cgroup_of(page); m && !mem_cgroup_is_root(m);
	     m = m->parent) {
		u64 bytes, pages, limit = READ_ONCE(m->zswap_max);

		if (limit >= PAGE_COUNTER_MAX)
			continue;
		mem_cgroup_zswap_usage(m, &bytes, &pages);
		if (!limit || bytes >> PAGE_SHIFT >= limit)
			return false;
	}
	return true;
}

u16 mem_cgroup_charge_zswap(const struct page *page, u32 bytes)
{
	struct mem_cgroup *memcg = mem_cgroup_of(page);
	s64 after, more;

	if (mem_cgroup_is_root(memcg))
		return 0;
	mem_cgroup_get(memcg);
	after = atomic_add_return(&memcg->zswap_bytes, (s64)bytes);
	more = pages_of(after) - pages_of(after - bytes);
	if (more) {
		page_counter_charge(&memcg->memory, more);
		atomic_add(&memcg->kernel_pages, more);
	}
	atomic_add(&memcg->zswapped, 1);
	mem_cgroup_count(memcg, ZSWPOUT, 1);
	return memcg->id;
}

void mem_cgroup_uncharge_zswap(u16 id, u32 bytes)
{
	struct mem_cgroup *memcg = mem_cgroup_from_id(id);
	s64 after = atomic_sub_return(&memcg->zswap_bytes, (s64)bytes);
	s64 less = pages_of(after + bytes) - pages_of(after);

	if (less) {
		page_counter_uncharge(&memcg->memory, less);
		atomic_add(&memcg->kernel_pages, -less);
	}
	atomic_sub(&memcg->zswapped, 1);
	mem_cgroup_put(memcg);
}

bool mem_cgroup_zswap_writeback_id(u16 id)
{
	for (const struct mem_cgroup *m = mem_cgroup_from_id(id); m; m = m->parent)
		if (READ_ONCE(m->no_zswap_writeback))
			return false;
	return true;
}

bool mem_cgroup_zswap_writeback(const struct page *page)
{
	return mem_cgroup_zswap_writeback_id(mem_cgroup_of(page)->id);
}
