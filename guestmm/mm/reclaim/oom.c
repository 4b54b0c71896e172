/*
 * Out of memory: nothing can be reclaimed, so somebody has to go.
 *
 * The victim is the process whose end frees most, shifted by oom_score_adj (-1000 = never). It is
 * killed, and its memory is taken at once, before it gets to run and exit: it may be asleep or
 * stuck behind the very allocation that has failed. Its mm stays valid; what it reads from then on
 * does not matter, because it gets no further than its next return to user mode.
 *
 * I1  A process that is dying already is reaped before another one is killed.
 * I2  An mm is reaped once (oom_victim); one whose mmap_lock cannot be had is given up after
 *     OOM_REAP_ATTEMPTS calls, so that a stuck victim cannot hold up everybody.
 *
 * I3  Killing is decided under oom_lock, after a last look at the free lists under it: whoever waited
 *     for the lock sees what the victim before left.
 *
 * Locks: oom_lock serialises; the process list's lock is taken by for_each_process().
 */
#include <limits.h>
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/virt/pgtable.h"
#include "mm/swap/swap.h"
#include "mm/reclaim/reclaim.h"
#include "mm/virt/vma.h"

#define OOM_REAP_ATTEMPTS 10
#define K(pages)	  ((unsigned long)(pages) << (PAGE_SHIFT - 10))

static struct mutex oom_lock = MUTEX_INIT(oom_lock);

long oom_badness_points(u64 rss, u64 swap, u64 pgtable_pages, u64 totalpages, int oom_score_adj)
{
	if (oom_score_adj == -1000)
		return LONG_MIN;
	return (long)(rss + swap + pgtable_pages) + (long)oom_score_adj * (long)(totalpages / 1000);
}

static long badness(const struct process_view *p, u64 totalpages)
{
	const struct mm_struct *mm = p->mm;

	return oom_badness_points(mm_rss(mm), mm->rss_swap, mm->pgtables_bytes >> PAGE_SHIFT,
				  totalpages, p->oom_score_adj);
}

struct victim {
	struct mem_cgroup *memcg; /* only processes of this group and below; NULL: all */
	u64 totalpages;
	long points;
	int pid; /* 0: none */
	int oom_score_adj;
	char comm[16];
	bool some;	 /* there is a process with memory */
	bool dying;	 /* chosen because it dies already */
	bool reaped_one; /* somebody who was reaped is still to exit */
	struct mm_struct *mm;
};

static void victim_set(struct victim *v, const struct process_view *p)
{
	v->pid = p->pid;
	v->oom_score_adj = p->oom_score_adj;
	ksnprintf(v->comm, sizeof(v->comm), "%s", p->comm);
}

/* Is the address space charged to the group or one below it? Under the process list's lock, with interrupts
 * off, so its group cannot be freed (mm/memcg/memcg.c, I3). */
static bool in_group(const struct mm_struct *mm, const struct mem_cgroup *top)
{
	const struct mem_cgroup *memcg = READ_ONCE(mm->memcg);

	return !top || mem_cgroup_is_descendant(memcg ? memcg : &root_mem_cgroup, top);
}

static bool consider(const struct process_view *p, void *arg)
{
	struct victim *v = arg;
	long points;

	if (!p->mm || !in_group(p->mm, v->memcg))
		return true;
	v->some = true;
	if (p->mm->oom_victim) {
		v->reaped_one = true;
		return true;
	}
	if (p->exiting) { /* I1 */
		victim_set(v, p);
		v->dying = true;
		return false;
	}
	points = badness(p, v->totalpages);
	if (points != LONG_MIN && (!v->pid || points > v->points)) {
		v->points = points;
		victim_set(v, p);
	}
	return true;
}

static bool hold_mm(const struct process_view *p, void *arg)
{
	struct victim *v = arg;

	if (p->pid != v->pid)
		return true;
	if (p->mm && mmget_not_zero(p->mm))
		v->mm = p->mm;
	return false;
}

static bool print_task(const struct process_view *p, void *arg)
{
	const struct mm_struct *mm = p->mm;

	if (mm && in_group(mm, arg))
		printk("[%7d] %5d %5d %8lu %8lu %8lu %8lu %9lu %8ld %8lu         %5d %s\n", p->pid,
		       0, p->pid, (unsigned long)mm->total_vm, (unsigned long)mm_rss(mm),
		       (unsigned long)mm->rss_anon, (unsigned long)mm->rss_file,
		       (unsigned long)mm->rss_shmem, (long)mm->pgtables_bytes,
		       (unsigned long)mm->rss_swap, p->oom_score_adj, p->comm);
	return true;
}

static void dump_header(gfp_t gfp, unsigned int order)
{
	printk("Out of memory: allocation of order %u, gfp_mask=%#x; free:%lu active_anon:%lu "
	       "inactive_anon:%lu free_swap:%lukB total_swap:%lukB\n",
	       order, gfp, (unsigned long)nr_free_pages(),
	       (unsigned long)global_stat(NR_ACTIVE_ANON),
	       (unsigned long)global_stat(NR_INACTIVE_ANON), K(swap_free_pages()),
	       K(swap_total_pages()));
	printk("Tasks state (memory values in pages):\n");
	printk("[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes "
	       "swapents oom_score_adj name\n");
	for_each_process(print_task, NULL);
}

/* Take the victim's memory. Needs mmap_lock only for reading, which a victim asleep in a fault
 * holds likewise. False: its mmap_lock is held for writing. */
static bool reap(struct victim *v)
{
	struct mm_struct *mm = v->mm;
	struct vm_area_struct *vma;
	struct mmu_gather tlb;

	if (!down_read_trylock(&mm->mmap_lock)) {
		if (++mm->oom_reap_attempts >= OOM_REAP_ATTEMPTS)
			mm->oom_victim = true;
		return false;
	}
	lru_add_drain_all();
	tlb_gather_mmu(&tlb, mm, true);
	list_for_each_entry (vma, &mm->mmap, link)
		zap_page_range(&tlb, vma->vm_start, vma->vm_end);
	tlb_finish_mmu(&tlb);
	mm->oom_victim = true;
	up_read(&mm->mmap_lock);
	printk("oom_reaper: reaped process %d (%s), now anon-rss:%lukB, file-rss:%lukB, "
	       "shmem-rss:%lukB\n",
	       v->pid, v->comm, K(mm->rss_anon), K(mm->rss_file), K(mm->rss_shmem));
	return true;
}

bool oom_trylock(void)
{
	return mutex_trylock(&oom_lock);
}

void oom_unlock(void)
{
	mutex_unlock(&oom_lock);
}

/* Kill the process that v names. `whose`: "Out of memory", and so on. */
static void kill_victim(struct victim *v, const char *whose)
{
	printk("%s: Killed process %d (%s) total-vm:%lukB, anon-rss:%lukB, file-rss:%lukB, "
	       "shmem-rss:%lukB, UID:%u pgtables:%lukB oom_score_adj:%d\n",
	       whose, v->pid, v->comm, K(v->mm->total_vm), K(v->mm->rss_anon), K(v->mm->rss_file),
	       K(v->mm->rss_shmem), 0u, (unsigned long)v->mm->pgtables_bytes >> 10,
	       v->oom_score_adj);
	trace_point(OOM_KILL, v->pid);
	process_kill(v->pid);
	count_vm_event(OOM_KILL);
}

bool out_of_memory(gfp_t gfp, unsigned int order)
{
	struct victim v = {.totalpages = totalram_pages() + swap_total_pages()};

	for_each_process(consider, &v);
	if (v.pid)
		for_each_process(hold_mm, &v);
	if (v.mm) {
		if (!v.dying) {
			dump_header(gfp, order);
			kill_victim(&v, "Out of memory");
			if (v.mm->memcg)
				mem_cgroup_event(v.mm->memcg, MEMCG_OOM_KILL);
		}
		reap(&v);
	}
	if (v.mm)
		mmput(v.mm); /* the last one frees what is left */
	/* Programs there are, and none may be killed (oom_score_adj -1000): as Linux. Where there are only
	 * kernel threads the allocation fails. */
	if (v.some && !v.pid && !v.reaped_one) {
		dump_header(gfp, order);
		printk("Out of memory and no killable processes...\n");
		panic("System is deadlocked on memory");
	}
	return v.pid || v.reaped_one;
}

/* ---- memory cgroups ---- */

static bool next_of_group(const struct process_view *p, void *arg)
{
	struct victim *v = arg;

	if (!p->mm || p->exiting || p->oom_score_adj == -1000 || !in_group(p->mm, v->memcg))
		return true;
	victim_set(v, p);
	if (mmget_not_zero(p->mm))
		v->mm = p->mm;
	return !v->mm;
}

/* memory.oom.group: everything in the group that is not protected by oom_score_adj. */
static void kill_group(struct mem_cgroup *memcg)
{
	for (;;) {
		struct victim v = {.memcg = memcg};

		for_each_process(next_of_group, &v);
		if (!v.mm)
			return;
		kill_victim(&v, "Memory cgroup out of memory");
		mem_cgroup_event(memcg, MEMCG_OOM_KILL);
		reap(&v);
		mmput(v.mm);
	}
}

/* The topmost group between the victim's and `top` that is to be killed as a whole, or NULL. */
static struct mem_cgroup *group_to_kill(struct mem_cgroup *memcg, struct mem_cgroup *top)
{
	struct mem_cgroup *found = NULL;

	for (; memcg && !mem_cgroup_is_root(memcg); memcg = memcg->parent) {
		if (READ_ONCE(memcg->oom_group))
			found = memcg;
		if (memcg == top)
			break;
	}
	return found;
}

bool mem_cgroup_out_of_memory(struct mem_cgroup *memcg, gfp_t gfp, unsigned int order)
{
	struct victim v = {.memcg = memcg};
	struct mem_cgroup *own, *group;

	mutex_lock(&oom_lock);
	/* Whoever waited for the lock sees what the victim before left. */
	if (page_counter_read(&memcg->memory) < READ_ONCE(memcg->memory.max)) {
		mutex_unlock(&oom_lock);
		return true;
	}
	mem_cgroup_event(memcg, MEMCG_OOM);
	v.totalpages = min(READ_ONCE(memcg->memory.max), totalram_pages()) + swap_total_pages();
	for_each_process(consider, &v);
	if (v.pid)
		for_each_process(hold_mm, &v);
	if (v.mm) {
		own = mem_cgroup_get_from_mm(v.mm);
		group = group_to_kill(own, memcg);
		if (!v.dying) {
			dump_header(gfp, order);
			printk("oom-kill:constraint=CONSTRAINT_MEMCG,task=%s,pid=%d\n", v.comm,
			       v.pid);
			kill_victim(&v, "Memory cgroup out of memory");
			mem_cgroup_event(own, MEMCG_OOM_KILL);
		}
		reap(&v);
		if (group && !v.dying) {
			mem_cgroup_event(group, MEMCG_OOM_GROUP_KILL);
			kill_group(group);
		}
		mem_cgroup_put(own);
		mmput(v.mm);
	}
	mutex_unlock(&oom_lock);
	return v.pid || v.reaped_one;
}
