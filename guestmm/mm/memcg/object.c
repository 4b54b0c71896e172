/*
 * Slab objects and memory cgroups: an object is charged to the group of the task that allocates it, until it is freed.
 *
 * Objects are smaller than pages. Their bytes are summed up in the group itself (obj_bytes); memory.current has them in
 * whole pages of that sum: a page more is charged when the sum begins a new one. Each addition knows the sums before
 * and after itself, so the pages are exact in any order of allocations and frees on several CPUs.
 *
 * I1  Pages charged for objects = obj_bytes rounded up, but for charges under way.
 * I2  obj_bytes = the sizes of all objects whose slab names the group (mm/slab/account.c). The audit adds them up.
 */
#include "mm/memcg/memcg.h"
#include "arch/thread_info.h"
#include "lib/errno.h"

static s64 pages_of(s64 bytes)
{
	return bytes > 0 ? (s64)DIV_ROUND_UP((u64)bytes, PAGE_SIZE) : 0;
}

/* Add to the number of pages charged for objects; negative: subtract. */
static void change_pages(struct mem_cgroup *memcg, s64 pages)
{
	if (pages > 0)
		page_counter_charge(&memcg->memory, (u64)pages);
	else if (pages < 0)
		page_counter_uncharge(&memcg->memory, (u64)-pages);
	if (pages)
		atomic_add(&memcg->kernel_pages, pages);
}

struct mem_cgroup *mem_cgroup_charge_obj(u32 bytes, gfp_t gfp)
{
	struct mm_struct *mm = current_thread_info()->mm;
	struct mem_cgroup *memcg;
	s64 after, more;

	/* Work on behalf of nobody, or perhaps in an interrupt: the machine's. */
	if (!mm || !(gfp & __GFP_DIRECT_RECLAIM))
		return NULL;
	memcg = mem_cgroup_get_from_mm(mm);
	if (mem_cgroup_is_root(memcg))
		return NULL;
	after = atomic_add_return(&memcg->obj_bytes, (s64)bytes);
	more = pages_of(after) - pages_of(after - bytes);
	if (!more)
		return memcg;
	if (likely(!mem_cgroup_try_charge(memcg, (u64)more, gfp))) {
		atomic_add(&memcg->kernel_pages, more);
		return memcg;
	}
	/* The sum may have changed meanwhile: what taking the bytes away frees need not be what they would have
	 * cost. */
	after = atomic_sub_return(&memcg->obj_bytes, (s64)bytes);
	change_pages(memcg, more - (pages_of(after + bytes) - pages_of(after)));
	mem_cgroup_put(memcg);
	return ERR_PTR(-ENOMEM);
}

void mem_cgroup_take_obj(struct mem_cgroup *memcg, u32 bytes)
{
	s64 after = atomic_add_return(&memcg->obj_bytes, (s64)bytes);

	mem_cgroup_get(memcg);
	change_pages(memcg, pages_of(after) - pages_of(after - bytes));
}

void mem_cgroup_uncharge_obj(u16 id, u32 bytes)
{
	struct mem_cgroup *memcg = mem_cgroup_from_id(id);
	s64 after = atomic_sub_return(&memcg->obj_bytes, (s64)bytes);

	change_pages(memcg, pages_of(after) - pages_of(after + bytes));
	mem_cgroup_put(memcg);
}

void mem_cgroup_count_obj(u16 id, int node, bool reclaimable, s64 bytes)
{
	atomic_add(&mem_cgroup_from_id(id)->slab_bytes[node][reclaimable], bytes);
}

u64 mem_cgroup_slab_bytes(struct mem_cgroup *top, int node, bool reclaimable)
{
	s64 sum = 0;

	for (struct mem_cgroup *m = mem_cgroup_iter(top, NULL); m; m = mem_cgroup_iter(top, m))
		for (int n = 0; n < MMVM_MAX_NODES; n++)
			if (node < 0 || node == n)
				sum += atomic_load(&m->slab_bytes[n][reclaimable]);
	return (u64)max(sum, (s64)0);
}
