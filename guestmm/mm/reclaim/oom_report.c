/*
 * What the OOM killer prints, in the format of Linux 6.12: who ran out of memory, how much memory of each kind
 * there is, which processes exist, and why one of them was chosen.
 *
 * There are no cpusets, so that ",cpuset=...,mems_allowed=..." is left out, as Linux leaves it out when it is
 * built without them.
 */
#include "mm/memcg/memcg.h"
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/oom.h"
#include "mm/swap/swap.h"
#include "mm/pgtable/pgtable.h"
#include "lib/format.h"

#define K(pages) ((unsigned long)(pages) << (PAGE_SHIFT - 10))

int sysctl_oom_dump_tasks = 1;

/* In Linux's order (include/trace/events/mmflags.h): the first entry whose flags are all set names them. */
static const struct {
	gfp_t flags;
	const char *name;
} gfp_names[] = {
#define N(flag)             \
	{                   \
		flag, #flag \
	}
	N(GFP_HIGHUSER_MOVABLE),
	N(GFP_HIGHUSER),
	N(GFP_USER),
	N(GFP_KERNEL_ACCOUNT),
	N(GFP_KERNEL),
	N(GFP_NOFS),
	N(GFP_ATOMIC),
	N(GFP_NOIO),
	N(GFP_NOWAIT),
	N(GFP_DMA),
	N(__GFP_HIGHMEM),
	N(GFP_DMA32),
	N(__GFP_HIGH),
	N(__GFP_IO),
	N(__GFP_FS),
	N(__GFP_NOWARN),
	N(__GFP_RETRY_MAYFAIL),
	N(__GFP_NOFAIL),
	N(__GFP_NORETRY),
	N(__GFP_COMP),
	N(__GFP_ZERO),
	N(__GFP_NOMEMALLOC),
	N(__GFP_MEMALLOC),
	N(__GFP_THISNODE),
	N(__GFP_RECLAIMABLE),
	N(__GFP_MOVABLE),
	N(__GFP_ACCOUNT),
	N(__GFP_RECLAIM),
	N(__GFP_DIRECT_RECLAIM),
	N(__GFP_KSWAPD_RECLAIM),
#undef N
};

void gfp_to_text(char *buf, size_t size, gfp_t gfp)
{
	const char *between = "";
	u32 n = 0;

	buf[0] = 0;
	for (u32 i = 0; i < ARRAY_SIZE(gfp_names) && gfp; i++) {
		if ((gfp & gfp_names[i].flags) != gfp_names[i].flags)
			continue;
		gfp &= ~gfp_names[i].flags;
		n += ksnprintf(buf + n, size - n, "%s%s", between, gfp_names[i].name);
		between = "|";
	}
	if (gfp || !n)
		ksnprintf(buf + n, size - n, "%s%#x", between, gfp);
}

/* The process list's lock is held with interrupts off, so the process's group cannot be freed (mm/memcg/memcg.c,
 * I3). */
bool oom_in_group(const struct mm_struct *mm, const struct mem_cgroup *top)
{
	const struct mem_cgroup *memcg = READ_ONCE(mm->memcg);

	return !top || mem_cgroup_is_descendant(memcg ? memcg : &root_mem_cgroup, top);
}

static bool print_task(const struct process_view *p, void *arg)
{
	const struct oom_control *oc = arg;
	const struct mm_struct *mm = p->mm;

	if (mm && oom_in_group(mm, oc->memcg) && oom_view_on_nodes(p, oc->nodes))
		printk("[%7d] %5u %5d %8lu %8lu %8lu %8lu %9lu %8ld %8lu         %5d %s\n", p->pid,
		       oom_view_uid(p), p->pid, (unsigned long)mm->total_vm,
		       (unsigned long)mm_rss(mm), (unsigned long)mm->rss_anon,
		       (unsigned long)mm->rss_file, (unsigned long)mm->rss_shmem,
		       (long)mm->pgtables_bytes, (unsigned long)mm->rss_swap, p->oom_score_adj,
		       p->comm);
	return true;
}

#define LEVEL(item) ((unsigned long)global_stat(item))

static void print_machine(void)
{
	printk("Mem-Info:\n");
	printk("active_anon:%lu inactive_anon:%lu isolated_anon:%lu\n", LEVEL(NR_ACTIVE_ANON),
	       LEVEL(NR_INACTIVE_ANON), LEVEL(NR_ISOLATED_ANON));
	printk(" active_file:%lu inactive_file:%lu isolated_file:%lu\n", LEVEL(NR_ACTIVE_FILE),
	       LEVEL(NR_INACTIVE_FILE), LEVEL(NR_ISOLATED_FILE));
	printk(" unevictable:%lu dirty:%lu writeback:%lu\n", LEVEL(NR_UNEVICTABLE),
	       LEVEL(NR_FILE_DIRTY), LEVEL(NR_WRITEBACK));
	printk(" slab_reclaimable:%lu slab_unreclaimable:%lu\n", LEVEL(NR_SLAB_RECLAIMABLE),
	       LEVEL(NR_SLAB_UNRECLAIMABLE));
	printk(" mapped:%lu shmem:%lu pagetables:%lu\n", LEVEL(NR_FILE_MAPPED), LEVEL(NR_SHMEM),
	       LEVEL(NR_PAGETABLE));
	printk(" free:%lu\n", (unsigned long)nr_free_pages());
	for (unsigned int i = 0; i < nr_zones; i++) {
		const struct zone *z = zone_table[i];

		if (z->managed)
			printk("Node %d %s free:%lukB min:%lukB low:%lukB high:%lukB "
			       "present:%lukB managed:%lukB\n",
			       z->node->id, z->shared->name, K(zone_stat(z, NR_FREE_PAGES)),
			       K(z->watermark[WMARK_MIN]), K(z->watermark[WMARK_LOW]),
			       K(z->watermark[WMARK_HIGH]), K(z->present), K(z->managed));
	}
	printk("Free swap  = %lukB\n", K(swap_free_pages()));
	printk("Total swap = %lukB\n", K(swap_total_pages()));
}

static void print_limit(const char *what, const struct page_counter *c)
{
	const u64 max = READ_ONCE(c->max);
	char limit[24];

	if (max > 1ull << 50)
		ksnprintf(limit, sizeof(limit), "unlimited");
	else
		ksnprintf(limit, sizeof(limit), "%lukB", K(max));
	printk("%s: usage %lukB, limit %s\n", what, K(page_counter_read(c)), limit);
}

/* "0-1,3" */
static void nodes_to_text(char *buf, size_t size, u32 nodes)
{
	const char *between = "";
	u32 n = 0;

	buf[0] = 0;
	for (unsigned int nid = 0; nid < MMVM_MAX_NODES; nid++) {
		unsigned int last = nid;

		if (!(nodes & 1u << nid))
			continue;
		while (nodes & 2u << last)
			last++;
		n += ksnprintf(buf + n, size - n, last > nid ? "%s%u-%u" : "%s%u", between, nid,
			       last);
		between = ",";
		nid = last;
	}
}

static void print_summary(const struct oom_control *oc, const struct oom_victim *v)
{
	static const char *const constraints[] = {"CONSTRAINT_NONE", "CONSTRAINT_MEMORY_POLICY",
						  "CONSTRAINT_MEMCG"};
	/* Static, because the stack is small; oom_lock allows one report at a time. Long paths are cut. */
	static char own[128], over[128];
	char nodes[32] = "(null)";

	if (oc->constraint == OOM_MEMORY_POLICY)
		nodes_to_text(nodes, sizeof(nodes), oc->nodes);
	oom_group_paths(v->pid, oc->memcg, own, over, sizeof(own));
	printk("oom-kill:constraint=%s,nodemask=%s%s%s,task_memcg=%s,task=%s,pid=%d,uid=%u\n",
	       constraints[oc->constraint], nodes, oc->memcg ? ",oom_memcg=" : ",global_oom",
	       oc->memcg ? over : "", own, v->comm, v->pid, v->uid);
}

void oom_report(const struct oom_control *oc, const struct oom_victim *v)
{
	static char gfp[160]; /* oom_lock */
	struct oom_victim me = {0};

	oom_current(&me);
	gfp_to_text(gfp, sizeof(gfp), oc->gfp);
	printk("%s invoked oom-killer: gfp_mask=%#x(%s), order=%u, oom_score_adj=%d\n", me.comm,
	       oc->gfp, gfp, oc->order, me.oom_score_adj);
	if (oc->memcg) {
		print_limit("memory", &oc->memcg->memory);
		print_limit("swap", &oc->memcg->swap);
	} else {
		print_machine();
	}
	if (READ_ONCE(sysctl_oom_dump_tasks)) {
		printk("Tasks state (memory values in pages):\n");
		printk("[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem "
		       "pgtables_bytes swapents oom_score_adj name\n");
		for_each_process(print_task, (void *)oc);
	}
	if (v)
		print_summary(oc, v);
}
