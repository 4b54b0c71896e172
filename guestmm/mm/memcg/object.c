/*
 * Slab objects and memory cgroups: an object is charged to the group of the task that allocates it, until it is freed.
 *
 * Objects are smaller than pages. The group adds up their bytes in obj_bytes, and memory.current counts that sum,
 * rounded up to whole pages: one more page is charged whenever the sum crosses a multiple of the page size. Each
 * atomic addition returns the sum, so it knows which pages it crossed, and the charge is exact for any order of
 * allocations and frees on several CPUs.
 *
 * I1  Pages charged for objects = obj_bytes rounded up, except while a charge is under way.
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

	/* Kernel threads work for no group, and who may not sleep may be in an interrupt: the object is the root's. */
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
	/* The sum may have changed meanwhile, so taking the bytes away may free another number of pages than adding
	 * them needed. */
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
