/*
 * Pressure stall information for memory.
 *
 *   some   at least one task waits for memory: reclaims itself, or waits for a page that was evicted
 *          too early to come back
 *   full   and no CPU gets on: each idles, or runs a task that waits in this sense
 *
 * Time is added to the two totals whenever the state may change: a task begins or ends to stall, or,
 * while any does, a CPU switches. Averages over 10, 60 and 300 seconds are brought up to date every two
 * seconds by a thread of their own, whoever reads them; it sleeps while there was no stall and all
 * averages are 0. Format and meaning: Documentation/accounting/psi.rst.
 *
 * I1  productive[] is right while psi_stalled != 0: the first that stalls looks at all CPUs, every
 *     switch from then on tells.
 *
 * Groups: each memory cgroup has a struct psi_group of its own, and the machine has one. A task stalls in its
 * cgroup's and in all above it. In a group `full` means that no CPU runs a task of the group that gets on.
 *
 * I2  A group is on stalled_groups while a task in it stalls, and on active_groups from then on until its
 *     averages are 0 again. Its productive[] is right while it is on the first list.
 * I3  running[cpu] is the id of the memory cgroup of the task that the CPU runs, or of one that it ran: an id is
 *     looked up under memcg_lock, since its group may be gone.
 *
 * Lock: psi_lock, interrupts off; only memcg_lock is taken inside.
 */
#include "kernel/psi.h"
#include "kernel/loadavg.h"
#include "kernel/task.h"
#include "mm/memcg/memcg.h"
#include "mm/slab/slab.h"

enum { SOME, FULL, NR_STATES };
#define PERIOD_NS 2000000000ull

u32 psi_stalled;
static spinlock_t psi_lock = SPINLOCK_INIT;

/* All psi_lock. */
struct psi_group {
	struct mem_cgroup *memcg;      /* C: NULL: the machine's */
	struct list_head stalled_link; /* I2 */
	struct list_head active_link;  /* I2 */
	u32 stalled;		       /* tasks */
	bool productive[MMVM_MAX_CPUS];
	u64 since;		   /* up to here the totals are right */
	u64 total[NR_STATES];	   /* ns */
	u64 average[NR_STATES][3]; /* percent, fixed point */
	u64 averaged[NR_STATES];   /* totals that are in the averages */
};
static struct psi_group machine = {.stalled_link = LIST_HEAD_INIT(machine.stalled_link),
				   .active_link = LIST_HEAD_INIT(machine.active_link)};
static LIST_HEAD(stalled_groups);    /* psi_lock */
static LIST_HEAD(active_groups);     /* psi_lock */
static u16 running[MMVM_MAX_CPUS];   /* the CPU itself; I3 */
static u64 next_average = PERIOD_NS; /* psi_lock */
static bool averaging;		     /* psi_lock: the thread is at work, or about to be */
static bool thread_runs;	     /* boot */
static struct wait_queue averages_wq = WAIT_QUEUE_INIT(averages_wq);
/* exp(-2 s / 10, 60, 300 s) */
static const u64 decay[3] = {1677, 1981, 2034};

/* psi_lock held: everything up to now, in the state that has been. */
static void account(struct psi_group *g, u64 now)
{
	u64 ns = now > g->since ? now - g->since : 0;
	bool full = true;

	g->since = max(g->since, now);
	if (!g->stalled)
		return;
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		full = full && !g->productive[cpu];
	g->total[SOME] += ns;
	if (full)
		g->total[FULL] += ns;
}

static void account_all(u64 now)
{
	struct psi_group *g;

	list_for_each_entry (g, &active_groups, active_link)
		account(g, now);
}

/* Does the CPU run a task of the group, as far as known? */
static bool runs_in(const struct psi_group *g, unsigned int cpu)
{
	const struct mem_cgroup *memcg;
	unsigned long flags;
	bool yes;

	if (!g->memcg)
		return true;
	flags = spin_lock_irqsave(&memcg_lock);
	memcg = mem_cgroup_from_id(READ_ONCE(running[cpu]));
	yes = memcg && mem_cgroup_is_descendant(memcg, g->memcg);
	spin_unlock_irqrestore(&memcg_lock, flags);
	return yes;
}

void psi_running(unsigned int cpu, const struct mm_struct *mm)
{
	const struct mem_cgroup *memcg = mm ? READ_ONCE(mm->memcg) : NULL;

	WRITE_ONCE(running[cpu], memcg ? memcg->id : 0);
}

void psi_switch(unsigned int cpu, bool gets_on, u64 now)
{
	struct psi_group *g;

	spin_lock(&psi_lock);
	list_for_each_entry (g, &stalled_groups, stalled_link) {
		account(g, now);
		g->productive[cpu] = gets_on && runs_in(g, cpu);
	}
	spin_unlock(&psi_lock);
}

/* psi_lock held. One task more stalls in the group. */
static void stall(struct psi_group *g, u64 now)
{
	account(g, now);
	if (!g->stalled++) {
		list_add_tail(&g->stalled_link, &stalled_groups);
		if (list_empty(&g->active_link))
			list_add_tail(&g->active_link, &active_groups);
		for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
			g->productive[cpu] = sched_gets_on(cpu) && runs_in(g, cpu);
	}
	g->productive[cpu_id()] = false;
}

static void unstall(struct psi_group *g, u64 now)
{
	account(g, now);
	if (!--g->stalled)
		list_del_init(&g->stalled_link);
	g->productive[cpu_id()] = true;
}

void psi_memstall_enter(void)
{
	unsigned long flags;
	bool wake;
	u64 now;

	if (current->memstall++)
		return;
	/* The task may be moved to another group meanwhile: it leaves the one that it entered. */
	if (mem_cgroup_enabled() && current->mm)
		current->memstall_group = mem_cgroup_get_from_mm(current->mm);
	flags = spin_lock_irqsave(&psi_lock);
	now = ktime_ns();
	psi_stalled++;
	stall(&machine, now);
	for (struct mem_cgroup *m = current->memstall_group; m; m = m->parent)
		if (m->psi)
			stall(m->psi, now);
	wake = !averaging && thread_runs;
	averaging |= wake;
	spin_unlock_irqrestore(&psi_lock, flags);
	if (unlikely(wake))
		wake_up(&averages_wq);
}

void psi_memstall_leave(void)
{
	struct mem_cgroup *group;
	unsigned long flags;
	u64 now;

	if (--current->memstall)
		return;
	group = current->memstall_group;
	current->memstall_group = NULL;
	flags = spin_lock_irqsave(&psi_lock);
	now = ktime_ns();
	psi_stalled--;
	unstall(&machine, now);
	for (struct mem_cgroup *m = group; m; m = m->parent)
		if (m->psi)
			unstall(m->psi, now);
	spin_unlock_irqrestore(&psi_lock, flags);
	if (group)
		mem_cgroup_put(group);
}

/* psi_lock held. `periods` have passed; all but the last count as without stalls. */
static void update_group(struct psi_group *g, u64 periods)
{
	for (int s = 0; s < NR_STATES; s++) {
		u64 percent = min(g->total[s] - g->averaged[s], PERIOD_NS) * 100 / PERIOD_NS;

		g->averaged[s] = g->total[s];
		for (int i = 0; i < 3; i++) {
			u64 *avg = &g->average[s][i];

			*avg = load_decay(*avg, decay[i], 0, periods - 1);
			*avg = load_decay(*avg, decay[i], percent, 1);
		}
	}
}

/* psi_lock held. Of periods that nobody looked at, all but the last count as without stalls: the thread
 * sleeps through those that had none. */
static void update_averages(u64 now)
{
	struct psi_group *g;
	u64 periods;

	if (now < next_average)
		return;
	periods = (now - next_average) / PERIOD_NS + 1;
	next_average += periods * PERIOD_NS;
	list_for_each_entry (g, &active_groups, active_link)
		update_group(g, periods);
}

/* psi_lock held: nothing is left to do for the group until somebody stalls. */
static bool is_quiet(const struct psi_group *g)
{
	for (int s = 0; s < NR_STATES; s++) {
		if (g->total[s] != g->averaged[s])
			return false;
		for (int i = 0; i < 3; i++)
			if (g->average[s][i])
				return false;
	}
	return !g->stalled;
}

/* psi_lock held: forget the groups that are quiet. Is there none left? */
static bool all_is_quiet(void)
{
	struct psi_group *g, *next;

	list_for_each_entry_safe (g, next, &active_groups, active_link)
		if (is_quiet(g))
			list_del_init(&g->active_link);
	return list_empty(&active_groups);
}

static int averages_thread(void *arg)
{
	for (;;) {
		unsigned long flags;
		u64 now, until;

		wait_event(&averages_wq, READ_ONCE(averaging));
		flags = spin_lock_irqsave(&psi_lock);
		now = ktime_ns();
		account_all(now);
		update_averages(now);
		until = next_average;
		if (all_is_quiet())
			averaging = false;
		spin_unlock_irqrestore(&psi_lock, flags);
		if (until > now)
			sleep_ns(until - now);
	}
	return 0;
}

int psi_init(void)
{
	int err = kthread_run(averages_thread, NULL, "psi_avgs");

	thread_runs = !err;
	return err;
}

void psi_group_totals(struct psi_group *g, u64 *some, u64 *full)
{
	unsigned long flags = spin_lock_irqsave(&psi_lock);

	account(g, ktime_ns());
	*some = g->total[SOME];
	*full = g->total[FULL];
	spin_unlock_irqrestore(&psi_lock, flags);
}

void psi_totals(u64 *some, u64 *full)
{
	psi_group_totals(&machine, some, full);
}

static void line(struct report *r, const char *name, const u64 avg[3], u64 ns)
{
	static const char *const label[3] = {"avg10", "avg60", "avg300"};

	report_printf(r, "%s", name);
	for (int i = 0; i < 3; i++)
		report_printf(
			r, " %s=%lu.%02lu", label[i], (unsigned long)(avg[i] >> LOAD_SHIFT),
			(unsigned long)((avg[i] & ((1u << LOAD_SHIFT) - 1)) * 100 >> LOAD_SHIFT));
	report_printf(r, " total=%lu\n", (unsigned long)(ns / 1000));
}

void psi_group_report(struct report *r, struct psi_group *g)
{
	u64 avg[NR_STATES][3], ns[NR_STATES], now;
	unsigned long flags = spin_lock_irqsave(&psi_lock);

	if (!g)
		g = &machine;
	now = ktime_ns();
	account_all(now);
	update_averages(now);
	for (int s = 0; s < NR_STATES; s++) {
		ns[s] = g->total[s];
		for (int i = 0; i < 3; i++)
			avg[s][i] = g->average[s][i];
	}
	spin_unlock_irqrestore(&psi_lock, flags);
	line(r, "some", avg[SOME], ns[SOME]);
	line(r, "full", avg[FULL], ns[FULL]);
}

void report_pressure_memory(struct report *r)
{
	psi_group_report(r, &machine);
}

/* ---- memory cgroups --------------------------------------------------------------------------- */

struct psi_group *psi_group_create(struct mem_cgroup *memcg)
{
	struct psi_group *g = kzalloc(sizeof(*g), GFP_KERNEL);

	if (g) {
		g->memcg = memcg;
		INIT_LIST_HEAD(&g->stalled_link);
		INIT_LIST_HEAD(&g->active_link);
	}
	return g;
}

void psi_group_destroy(struct psi_group *g)
{
	unsigned long flags;

	if (!g)
		return;
	flags = spin_lock_irqsave(&psi_lock);
	list_del_init(&g->stalled_link);
	list_del_init(&g->active_link);
	spin_unlock_irqrestore(&psi_lock, flags);
	kfree(g);
}
