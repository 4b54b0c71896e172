/*
 * Out of memory: nothing can be reclaimed, so a process is killed.
 *
 * The victim is the process whose end frees most, adjusted by oom_score_adj (-1000 = never); of equals the one that
 * is last in the process list. It is killed, and the reaper frees its memory (oom_reaper.c).
 *
 *   constraint       when                                    who may be the victim
 *   MEMCG            a memory cgroup is full                 processes in it and below
 *   MEMORY_POLICY    a bind allows some nodes only           not those bound to others
 *   NONE             else                                    all
 *
 * I1  A process that is dying already is reaped before another one is killed.
 * I2  An mm is reaped once (oom_victim). If its mmap_lock cannot be taken, the reaper gives up, so that a stuck
 *     victim cannot block everybody.
 * I3  Killing is decided under oom_lock, after a last look at the free lists under it: a thread that waited for the
 *     lock sees what the previous victim freed. If a victim frees memory between that look and the decision, the
 *     count `freed` shows it, and nobody is killed.
 * I4  Nobody is killed while the reaper still has to reap or free an mm, even one that no process uses any more.
 *     Nor while a victim without an mm, or with a reaped one, still has open files: memfds hold memory, too. These
 *     waits end after EXIT_WAIT_NS, because the victim may wait for a lock held by the thread that needs memory.
 * I5  All processes that share the victim's mm die with it: the reaper takes it from them all.
 * I6  Process 1 is never chosen while another process may be chosen or is still exiting. Linux never chooses it and
 *     panics; here one program is often the only one.
 *
 * Locks: oom_lock serialises; the process list's lock is taken by for_each_process().
 */
#include <limits.h>
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/alloc.h"
#include "mm/move/balloon.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/oom.h"
#include "mm/reclaim/reclaim.h"
#include "mm/swap/swap.h"
#include "mm/pgtable/pgtable.h"
#include "mm/virt/vma.h"

#define K(pages)       ((unsigned long)(pages) << (PAGE_SHIFT - 10))
#define REAPER_WAIT_NS 1000000ull
#define EXIT_WAIT_NS   2000000000ull

int sysctl_panic_on_oom, sysctl_oom_kill_allocating_task;
static struct mutex oom_lock = MUTEX_INIT(oom_lock);
static u32 freed;      /* A: how often a victim has freed memory */
static u32 freed_seen; /* oom_lock: `freed` before the last look for memory */

void oom_memory_freed(void)
{
	atomic_add(&freed, 1);
}

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

/* ---- victim ----------------------------------------------------------------------------------- */

struct search {
	const struct oom_control *oc;
	struct oom_victim victim;
	struct oom_victim init; /* process 1, if it may be killed at all */
	u64 now;		/* ktime */
	long points;
	bool some;	   /* there is a process with memory */
	bool dying;	   /* chosen because it is dying already */
	bool ignore_dying; /* the dying process shares its mm with one that is not dying */
	bool waiting;	 /* the reaper works on a victim, or a victim has yet to close its files */
	bool reaped_one; /* a task that was reaped has not exited yet */
};

static void choose(struct oom_victim *v, const struct process_view *p)
{
	v->pid = p->pid;
	v->oom_score_adj = p->oom_score_adj;
	v->uid = oom_view_uid(p);
	ksnprintf(v->comm, sizeof(v->comm), "%s", p->comm);
}

/* Did it begin, and at most EXIT_WAIT_NS ago? Another CPU may have begun after `now` was read. */
static bool began_lately(const struct search *s, u64 since)
{
	return since && (s64)(s->now - since) < (s64)EXIT_WAIT_NS;
}

/* Is the reaper dropping the reference of an mm? If it is the last one, that frees the page tables. */
static bool reaper_frees(const struct search *s)
{
	return began_lately(s, oom_reaper_since());
}

static bool wait_for_victim(struct search *s)
{
	s->waiting = true;
	s->victim.pid = 0;
	return false;
}

/* The process has lost its memory, but may still have open files. */
static bool consider_rest(struct search *s, const struct process_view *p)
{
	s->reaped_one = true;
	return began_lately(s, p->oom_since) ? wait_for_victim(s) : true;
}

static bool consider(const struct process_view *p, void *arg)
{
	struct search *s = arg;
	long points;

	if (!p->mm) {
		if (s->oc->memcg &&
		    !mem_cgroup_is_descendant(p->memcg ? p->memcg : &root_mem_cgroup, s->oc->memcg))
			return true;
		return consider_rest(s, p);
	}
	if (!oom_in_group(p->mm, s->oc->memcg) || !oom_view_on_nodes(p, s->oc->nodes))
		return true;
	s->some = true;
	if (p->mm->oom_victim)
		return consider_rest(s, p);
	if (oom_reap_pending(p->mm))
		return wait_for_victim(s);
	if (p->exiting && !s->ignore_dying) { /* I1 */
		choose(&s->victim, p);
		s->dying = true;
		return false;
	}
	if (p->exiting && p->oom_since)
		return consider_rest(s, p);
	points = badness(p, s->oc->totalpages);
	if (points == LONG_MIN)
		return true;
	if (p->pid == 1) { /* I6 */
		choose(&s->init, p);
	} else if (!s->victim.pid || points >= s->points) {
		s->points = points;
		choose(&s->victim, p);
	}
	return true;
}

static bool hold_mm(const struct process_view *p, void *arg)
{
	struct oom_victim *v = arg;

	if (p->pid != v->pid)
		return true;
	if (p->mm && mmget_not_zero(p->mm))
		v->mm = p->mm;
	return false;
}

/* Tasks that share the victim's mm and do not die (I5). */
struct sharers {
	const struct oom_victim *v;
	int pid;   /* one of them that may be killed; 0: none */
	bool init; /* process 1 is one */
};

static bool find_sharers(const struct process_view *p, void *arg)
{
	struct sharers *s = arg;

	if (p->mm != s->v->mm || p->pid == s->v->pid || p->exiting)
		return true;
	if (p->pid == 1)
		s->init = true;
	else
		s->pid = p->pid;
	return true;
}

static struct sharers sharers_of(const struct oom_victim *v)
{
	struct sharers s = {.v = v};

	for_each_process(find_sharers, &s);
	return s;
}

/* The victim, with a reference on its mm if that still exists. */
static void search(struct search *s)
{
	struct oom_victim *v = &s->victim;
	struct sharers sharers;

	s->now = ktime_ns();
	if (oom_reap_pending_in(s->oc->memcg) || reaper_frees(s)) { /* I4 */
		s->waiting = true;
		return;
	}
	for (;;) {
		for_each_process(consider, s);
		if (!v->pid && !s->waiting && !s->reaped_one)
			*v = s->init;
		if (v->pid)
			for_each_process(hold_mm, v);
		if (!s->dying || !v->mm)
			return;
		sharers = sharers_of(v);
		if (!sharers.pid && !sharers.init)
			return;
		/* Its end would not free the memory, because another process shares it: do not prefer it for dying
		 * already. */
		mmput(v->mm);
		*s = (struct search){.oc = s->oc, .now = s->now, .ignore_dying = true};
	}
}

/* vm.oom_kill_allocating_task: choose the process that allocates. */
static bool consider_current(const struct process_view *p, void *arg)
{
	struct search *s = arg;

	if (!p->mm || p->mm != current_thread_info()->mm)
		return true;
	if (!p->exiting && !p->mm->oom_victim && p->oom_score_adj != -1000 && p->pid != 1 &&
	    oom_view_on_nodes(p, s->oc->nodes))
		choose(&s->victim, p);
	return false;
}

static void set_constraint(struct oom_control *oc)
{
	u64 pages = 0;

	oc->totalpages = totalram_pages() + swap_total_pages();
	if (oc->memcg) {
		oc->constraint = OOM_MEMCG;
		oc->totalpages = min(READ_ONCE(oc->memcg->memory.max), totalram_pages()) +
				 min(READ_ONCE(oc->memcg->swap.max), swap_total_pages());
	} else if (memory_nodes & ~oc->nodes) {
		oc->constraint = OOM_MEMORY_POLICY;
		for (unsigned int i = 0; i < nr_zones; i++)
			if (oc->nodes & 1u << zone_table[i]->node->id)
				pages += zone_table[i]->present;
		oc->totalpages = pages + swap_total_pages();
	} else {
		oc->nodes = ALL_NODES;
	}
}

static void check_panic(const struct oom_control *oc)
{
	const int on = READ_ONCE(sysctl_panic_on_oom);

	if (!on || (on != 2 && oc->constraint != OOM_NONE))
		return;
	oom_report(oc, NULL);
	panic("Out of memory: %s panic_on_oom is enabled", on == 2 ? "compulsory" : "system-wide");
}

/* ---- killing ---------------------------------------------------------------------------------- */

bool oom_trylock(void)
{
	if (!mutex_trylock(&oom_lock))
		return false;
	freed_seen = atomic_load(&freed);
	return true;
}

void oom_unlock(void)
{
	mutex_unlock(&oom_lock);
}

/* `whose` begins the message: "Out of memory", and so on. */
static void kill_victim(const struct oom_victim *v, const char *whose)
{
	printk("%s: Killed process %d (%s) total-vm:%lukB, anon-rss:%lukB, file-rss:%lukB, "
	       "shmem-rss:%lukB, UID:%u pgtables:%lukB oom_score_adj:%d\n",
	       whose, v->pid, v->comm, K(v->mm->total_vm), K(v->mm->rss_anon), K(v->mm->rss_file),
	       K(v->mm->rss_shmem), v->uid, (unsigned long)v->mm->pgtables_bytes >> 10,
	       v->oom_score_adj);
	trace_point(OOM_KILL, v->pid);
	process_kill(v->pid);
	count_vm_event(OOM_KILL);
	for (int pid; (pid = sharers_of(v).pid) != 0;) /* I5 */
		process_kill(pid);
}

/* Queue the victim's mm for the reaper; takes over the reference on v->mm. If process 1 shares the mm, as with its
 * vfork child, it is not reaped. */
static void reap_victim(const struct oom_victim *v)
{
	if (v->pid != 1 && sharers_of(v).init)
		mmput(v->mm);
	else
		oom_reap(v);
}

/* Has memory been freed since the last look for it (I3)? Then a victim that is not dying yet is spared, and the
 * reference on its mm is dropped. */
static bool spared(const struct search *s)
{
	if (s->dying || atomic_load(&freed) == freed_seen)
		return false;
	mmput(s->victim.mm);
	return true;
}

bool out_of_memory_on(u32 nodes, gfp_t gfp, unsigned int order)
{
	struct oom_control oc = {.gfp = gfp, .order = order, .nodes = nodes};
	struct search s = {.oc = &oc};
	struct oom_victim *v = &s.victim;
	const char *whose = "Out of memory";

	set_constraint(&oc);
	/* Like Linux's oom_notify_list: before anything else is decided. */
	if (balloon_oom())
		return true;
	check_panic(&oc);
	if (READ_ONCE(sysctl_oom_kill_allocating_task)) {
		whose = "Out of memory (oom_kill_allocating_task)";
		for_each_process(consider_current, &s);
	}
	if (v->pid) {
		for_each_process(hold_mm, v);
	} else {
		whose = "Out of memory";
		search(&s);
	}
	if (v->mm && !spared(&s)) {
		if (s.dying) {
			process_is_oom_victim(v->pid);
		} else {
			oom_report(&oc, v);
			kill_victim(v, whose);
			if (v->mm->memcg)
				mem_cgroup_event(v->mm->memcg, MEMCG_OOM_KILL);
		}
		reap_victim(v);
	}
	freed_seen = atomic_load(&freed);
	/* As Linux: panic if there are programs but none may be killed (oom_score_adj -1000). If there are only
	 * kernel threads, the allocation fails. */
	if (s.some && !v->pid && !s.reaped_one && !s.waiting) {
		oom_report(&oc, NULL);
		printk("Out of memory and no killable processes...\n");
		panic("System is deadlocked on memory");
	}
	return v->pid || s.reaped_one || s.waiting;
}

bool out_of_memory(gfp_t gfp, unsigned int order)
{
	return out_of_memory_on(ALL_NODES, gfp, order);
}

/* ---- memory cgroups ---- */

static bool next_of_group(const struct process_view *p, void *arg)
{
	struct search *s = arg;

	if (!p->mm || p->exiting || p->oom_score_adj == -1000 || p->pid == 1 ||
	    !oom_in_group(p->mm, s->oc->memcg))
		return true;
	choose(&s->victim, p);
	if (mmget_not_zero(p->mm))
		s->victim.mm = p->mm;
	return !s->victim.mm;
}

/* memory.oom.group: everything in the group that is not protected by oom_score_adj. */
static void kill_group(struct mem_cgroup *memcg)
{
	const struct oom_control oc = {.memcg = memcg, .nodes = ALL_NODES};

	for (;;) {
		struct search s = {.oc = &oc};

		for_each_process(next_of_group, &s);
		if (!s.victim.mm)
			return;
		kill_victim(&s.victim, "Memory cgroup out of memory");
		mem_cgroup_event(memcg, MEMCG_OOM_KILL);
		reap_victim(&s.victim);
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

/* oom_lock held. */
static void kill_in_group(struct search *s, struct mem_cgroup *memcg)
{
	struct oom_victim *v = &s->victim;
	struct mem_cgroup *own = mem_cgroup_get_from_mm(v->mm), *group = group_to_kill(own, memcg);

	if (s->dying) {
		process_is_oom_victim(v->pid);
	} else {
		oom_report(s->oc, v);
		kill_victim(v, "Memory cgroup out of memory");
		mem_cgroup_event(own, MEMCG_OOM_KILL);
	}
	reap_victim(v);
	if (group && !s->dying) {
		mem_cgroup_event(group, MEMCG_OOM_GROUP_KILL);
		kill_group(group);
	}
	mem_cgroup_put(own);
}

bool mem_cgroup_out_of_memory(struct mem_cgroup *memcg, gfp_t gfp, unsigned int order)
{
	struct oom_control oc = {.gfp = gfp, .order = order, .nodes = ALL_NODES, .memcg = memcg};
	struct search s = {.oc = &oc};

	mutex_lock(&oom_lock);
	freed_seen = atomic_load(&freed);
	/* The previous victim may have freed enough while this thread waited for the lock. */
	if (page_counter_read(&memcg->memory) < READ_ONCE(memcg->memory.max)) {
		mutex_unlock(&oom_lock);
		return true;
	}
	mem_cgroup_event(memcg, MEMCG_OOM);
	set_constraint(&oc);
	check_panic(&oc);
	search(&s);
	if (s.victim.mm && !spared(&s))
		kill_in_group(&s, memcg);
	mutex_unlock(&oom_lock);
	/* Give the reaper time; otherwise the charging thread would only come back here. */
	if (s.waiting || s.victim.mm)
		sleep_ns(REAPER_WAIT_NS);
	return s.victim.pid || s.reaped_one || s.waiting;
}
