/*
 * Pressure stall information: which tasks stall, and for how long.
 *
 *   io      some   a task sleeps until a disk has answered
 *           full   and no task runs or waits for a CPU
 *   memory  some   a task waits for memory: it reclaims, or waits for a page that was evicted too early
 *           full   and no CPU works: each idles, or runs a task that waits in this sense
 *   cpu     some   a task could run, and its CPU runs another one
 *           full   and no task of the group runs. The machine never is in this state: its CPU would run the task
 *
 * Time is added to the totals whenever the state may change: when a task begins or stops to wait and, while a task
 * waits, when a CPU switches tasks. Format and meaning: Documentation/accounting/psi.rst. Linux has a state for each
 * CPU and weighs them. Here all CPUs together have one state, which needs no weights, so the host can compute the
 * same totals.
 *
 * I1  runs[] and productive[] are up to date while psi_stalled != 0: the first task that waits reads the state of all
 *     CPUs, and from then on each switch of tasks updates it.
 * I2  A group is on stalled_groups while a task in it waits, and on psi_active_groups from then on until its
 *     averages are 0 again and no trigger watches. Its runs[] and productive[] are right while it is on the first.
 * I3  running[cpu] is the group of the task that the CPU runs, or of one that it ran, NULL for the machine's. A group
 *     whose last reference is dropped is taken out of it under psi_lock, before its memory is freed.
 * I4  task->psi[res] is the group in which the task waits for `res`, NULL while it does not. It leaves the group
 *     that it entered, wherever its process has moved meanwhile. The group's memory stays until then (`orphan`).
 *
 * I5  mm->psi is NULL (the machine's) or holds a reference. Only psi_group_set_mm() changes it while threads run in the
 *     address space. Before it drops the old group it waits until every CPU has passed a point with preemption on, so a
 *     reader needs only to switch preemption off.
 *
 * Each control group has a struct psi_group, whatever its controllers, and the machine has one. A task waits in its
 * group's and in all above.
 *
 * Lock: psi_lock, interrupts off, taken inside the run-queue lock; nothing is taken inside. So nobody is woken here:
 * psi_wake_wanted says that somebody should be.
 */
#include "kernel/psi_internal.h"
#include "lib/errno.h"
#include "lib/trace.h"
#include "mm/slab/slab.h"

u32 psi_stalled;
bool psi_has_groups;
spinlock_t psi_lock = SPINLOCK_INIT;
struct psi_group psi_machine = {.stalled_link = LIST_HEAD_INIT(psi_machine.stalled_link),
				.active_link = LIST_HEAD_INIT(psi_machine.active_link),
				.triggers = LIST_HEAD_INIT(psi_machine.triggers)};
static LIST_HEAD(stalled_groups); /* psi_lock */
LIST_HEAD(psi_active_groups);
static struct psi_group *running[MMVM_MAX_CPUS]; /* A: the CPU itself; I3 */
static u64 latest;				 /* psi_lock: psi_now() */

u64 psi_now(u64 now)
{
	latest = max(latest, now);
	if (unlikely(latest >= psi_next_average))
		psi_end_periods(latest);
	return latest;
}

void psi_account(struct psi_group *g, u64 now)
{
	u64 ns = now - g->since;

	g->since = now;
	for (u32 left = g->states; left; left &= left - 1)
		g->total[__builtin_ctz(left)] += ns;
}

static bool none(const bool *cpus)
{
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		if (cpus[cpu])
			return false;
	return true;
}

static u32 states_of(const struct psi_group *g)
{
	u32 states = 0;

	if (g->off)
		return 0;
	if (g->waiting[PSI_IO]) {
		states |= 1u << PSI_STATE(PSI_IO, SOME);
		if (!g->waiting[PSI_CPU] && none(g->runs))
			states |= 1u << PSI_STATE(PSI_IO, FULL);
	}
	if (g->waiting[PSI_MEM]) {
		states |= 1u << PSI_STATE(PSI_MEM, SOME);
		if (none(g->productive))
			states |= 1u << PSI_STATE(PSI_MEM, FULL);
	}
	if (g->waiting[PSI_CPU]) {
		states |= 1u << PSI_STATE(PSI_CPU, SOME);
		if (g->parent && none(g->runs))
			states |= 1u << PSI_STATE(PSI_CPU, FULL);
	}
	return states;
}

/* After psi_account(): the group's counts have changed. */
static void new_state(struct psi_group *g)
{
	u32 states = states_of(g), changed = states ^ g->states;

	g->states = states;
	if (!g->parent && unlikely(trace_on)) {
		for (; changed; changed &= changed - 1) {
			u32 s = __builtin_ctz(changed);

			if (states >> s & 1)
				trace_point(STALL_BEGIN, g->since, .arg = (u16)s);
			else
				trace_point(STALL_END, g->since, .arg = (u16)s);
		}
	}
}

/* Does running[] say that the CPU runs a task of the group? */
static bool runs_in(const struct psi_group *g, unsigned int cpu)
{
	const struct psi_group *r;

	if (!g->parent)
		return true;
	for (r = atomic_load(&running[cpu]); r && r != g; r = r->parent)
		;
	return r;
}

void psi_running(unsigned int cpu, const struct mm_struct *mm)
{
	atomic_store(&running[cpu], mm ? READ_ONCE(mm->psi) : NULL);
}

/* The group in which the task waits from now on. Preemption off, so that it stays: I5. */
static struct psi_group *group_of(const struct task *t)
{
	struct psi_group *g = t->mm ? READ_ONCE(t->mm->psi) : NULL;

	return g ? g : &psi_machine;
}

/* Count one more waiting task in the group. The caller calls new_state() after it. */
static void enter(struct psi_group *g, enum psi_res res, u64 now)
{
	bool first = !psi_group_waits(g);

	psi_account(g, now);
	g->waiting[res]++;
	if (!first)
		return;
	list_add_tail(&g->stalled_link, &stalled_groups);
	if (list_empty(&g->active_link))
		list_add_tail(&g->active_link, &psi_active_groups);
	psi_want_worker();
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++) {
		enum sched_cpu_state s = sched_cpu_state(cpu);

		g->runs[cpu] = s != SCHED_CPU_IDLE && runs_in(g, cpu);
		g->productive[cpu] = g->runs[cpu] && s == SCHED_CPU_WORKS;
	}
}

static void leave(struct psi_group *g, enum psi_res res, u64 now)
{
	psi_account(g, now);
	g->waiting[res]--;
	if (!psi_group_waits(g))
		list_del_init(&g->stalled_link);
}

/* The same for the group of a task and its ancestors. */
static void enter_all(struct task *t, enum psi_res res, u64 now)
{
	psi_stalled++;
	t->psi[res] = group_of(t);
	for (struct psi_group *g = t->psi[res]; g; g = g->parent)
		enter(g, res, now);
}

/* The task stops waiting. Returns the group that it was counted in, which may be freed once psi_lock is released. */
static struct psi_group *leave_all(struct task *t, enum psi_res res, u64 now)
{
	struct psi_group *own = t->psi[res];

	psi_stalled--;
	t->psi[res] = NULL;
	for (struct psi_group *g = own; g; g = g->parent)
		leave(g, res, now);
	return own;
}

static void new_state_all(struct psi_group *g)
{
	for (; g; g = g->parent)
		new_state(g);
}

/* ---- waiting for memory ----------------------------------------------------------------------- */

void psi_memstall_enter(void)
{
	struct task *t = current;
	unsigned long flags;
	u64 now;

	if (t->memstall++)
		return;
	flags = spin_lock_irqsave(&psi_lock);
	now = psi_now(ktime_ns());
	enter_all(t, PSI_MEM, now);
	for (struct psi_group *g = t->psi[PSI_MEM]; g; g = g->parent) {
		g->productive[cpu_id()] = false;
		new_state(g);
	}
	spin_unlock_irqrestore(&psi_lock, flags);
	if (unlikely(READ_ONCE(psi_wake_wanted)))
		psi_wake_worker();
}

void psi_memstall_leave(void)
{
	struct task *t = current;
	struct psi_group *own;
	unsigned long flags;
	u64 now;

	if (--t->memstall)
		return;
	flags = spin_lock_irqsave(&psi_lock);
	now = psi_now(ktime_ns());
	own = leave_all(t, PSI_MEM, now);
	for (struct psi_group *g = own; g; g = g->parent) {
		g->productive[cpu_id()] = g->runs[cpu_id()];
		new_state(g);
	}
	spin_unlock_irqrestore(&psi_lock, flags);
}

/* ---- waiting for a disk, or for a CPU ---------------------------------------------------------- */

void io_wait_begin(void)
{
	current->in_iowait = true;
}

void io_wait_end(void)
{
	current->in_iowait = false;
}

void psi_switch(struct task *prev, struct task *next, bool idle, u64 now)
{
	struct psi_group *left = NULL, *g;
	unsigned int cpu = cpu_id();

	spin_lock(&psi_lock);
	now = psi_now(now);
	if (prev != next) {
		if (prev->on_rq) /* which the idle task never is */
			enter_all(prev, PSI_CPU, now);
		else if (prev->in_iowait && prev->state == TASK_SLEEPING)
			enter_all(prev, PSI_IO, now);
	}
	if (next->psi[PSI_CPU])
		left = leave_all(next, PSI_CPU, now);
	list_for_each_entry (g, &stalled_groups, stalled_link) {
		psi_account(g, now);
		g->runs[cpu] = !idle && runs_in(g, cpu);
		g->productive[cpu] = g->runs[cpu] && !next->memstall;
		new_state(g);
	}
	new_state_all(left); /* groups in which no task waits any more */
	spin_unlock(&psi_lock);
}

void psi_woken(struct task *t, bool waits, u64 now)
{
	spin_lock(&psi_lock);
	now = psi_now(now);
	if (t->psi[PSI_IO])
		new_state_all(leave_all(t, PSI_IO, now));
	if (waits && !t->psi[PSI_CPU]) {
		enter_all(t, PSI_CPU, now);
		new_state_all(t->psi[PSI_CPU]);
	}
	spin_unlock(&psi_lock);
}

void psi_taken(struct task *t)
{
	spin_lock(&psi_lock);
	if (t->psi[PSI_CPU])
		new_state_all(leave_all(t, PSI_CPU, psi_now(ktime_ns())));
	spin_unlock(&psi_lock);
}

void psi_assert_balanced(void)
{
	const struct task *t = current;

	if (unlikely(t->memstall || t->in_iowait || t->psi[PSI_MEM] || t->psi[PSI_IO]))
		panic("psi: %s[%d] goes to or comes from user mode with %u stalls for memory%s",
		      t->comm, t->pid, t->memstall, t->in_iowait ? ", and waits for a disk" : "");
}

/* ---- totals ------------------------------------------------------------------------------------ */

void psi_group_totals(struct psi_group *g, enum psi_res res, u64 *some, u64 *full)
{
	unsigned long flags = spin_lock_irqsave(&psi_lock);

	g = g ? g : &psi_machine;
	psi_account(g, psi_now(ktime_ns()));
	*some = g->total[PSI_STATE(res, SOME)];
	*full = g->total[PSI_STATE(res, FULL)];
	spin_unlock_irqrestore(&psi_lock, flags);
}

void psi_totals(u64 *some, u64 *full)
{
	psi_group_totals(NULL, PSI_MEM, some, full);
}

/* ---- control groups --------------------------------------------------------------------------- */

struct psi_group *psi_group_create(struct psi_group *parent)
{
	struct psi_group *g = kzalloc(sizeof(*g), GFP_KERNEL);

	if (!g)
		return ERR_PTR(-ENOMEM);
	g->refs = 1;
	g->parent = parent ? parent : &psi_machine;
	psi_group_get(parent);
	INIT_LIST_HEAD(&g->stalled_link);
	INIT_LIST_HEAD(&g->active_link);
	INIT_LIST_HEAD(&g->triggers);
	WRITE_ONCE(psi_has_groups, true);
	return g;
}

void psi_group_get(struct psi_group *g)
{
	if (g && g != &psi_machine)
		atomic_add(&g->refs, 1);
}

/* Its last reference was dropped. While a task waits in it, the memory stays: the worker frees it then. Tasks that wait
 * in a group wait in those above it, too, so that these stay as long. */
static void destroy(struct psi_group *g)
{
	unsigned long flags = spin_lock_irqsave(&psi_lock);
	bool waits = psi_group_waits(g);

	g->orphan = true;
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		atomic_cmpxchg(&running[cpu], g, NULL); /* I3 */
	if (!waits)
		list_del_init(&g->active_link);
	spin_unlock_irqrestore(&psi_lock, flags);
	if (!waits)
		kfree(g);
}

void psi_group_put(struct psi_group *g)
{
	while (g && g != &psi_machine && !atomic_sub_return(&g->refs, 1)) {
		struct psi_group *parent = g->parent;

		destroy(g);
		g = parent;
	}
}

void psi_group_set_mm(struct mm_struct *mm, struct psi_group *g)
{
	struct psi_group *old = atomic_xchg(&mm->psi, g);

	if (!old)
		return;
	synchronize_cpus(); /* I5 */
	psi_group_put(old);
}

void psi_exit_mm(struct mm_struct *mm)
{
	psi_group_put(mm->psi);
	mm->psi = NULL;
}

bool psi_group_is_on(struct psi_group *g)
{
	return !READ_ONCE((g ? g : &psi_machine)->off);
}

void psi_group_switch(struct psi_group *g, bool on)
{
	unsigned long flags = spin_lock_irqsave(&psi_lock);

	g = g ? g : &psi_machine;
	psi_account(g, psi_now(ktime_ns()));
	g->off = !on;
	new_state(g);
	spin_unlock_irqrestore(&psi_lock, flags);
}
