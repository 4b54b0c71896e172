/*
 * Pressure: averages over 10, 60 and 300 seconds, the thread that keeps them, and the text of the files.
 *
 *   average = average * e + percent * (1 - e)      every 2 seconds, e = exp(-2 s / 10, 60, 300 s)
 *
 * `percent` is the part of the period that was spent in the state. Periods end at multiples of 2 s of ktime_ns().
 * When a state changes after such a point, the averages are first updated up to that point (psi_now()). So they
 * depend only on the times of the states, and not on readers or on when the thread runs. The host computes the
 * same from the trace (vmm/observe/pressure.c).
 *
 * The thread sleeps while no group is active (I2 of psi.c). Otherwise it runs after each period, and ten times in
 * each window of a trigger.
 */
#include "kernel/loadavg.h"
#include "kernel/psi_internal.h"
#include "lib/trace.h"
#include "mm/slab/slab.h"

u64 psi_next_average = PSI_PERIOD_NS;
bool psi_wake_wanted;
static bool averaging;	 /* psi_lock: the thread works, or is about to */
static bool thread_runs; /* set at boot */
static struct wait_queue averages_wq = WAIT_QUEUE_INIT(averages_wq);
/* exp(-2 s / 10, 60, 300 s) */
static const u64 decay[3] = {1677, 1981, 2034};

void psi_want_worker(void)
{
	if (averaging || !thread_runs)
		return;
	averaging = true;
	WRITE_ONCE(psi_wake_wanted, true);
}

void psi_wake_worker(void)
{
	WRITE_ONCE(psi_wake_wanted, false);
	wake_up(&averages_wq);
}

/* Update the averages for one period, `percent` of which was spent in the state. False: none has changed. */
static bool average_period(u64 average[3], u64 percent)
{
	bool changed = false;

	for (int i = 0; i < 3; i++) {
		u64 before = average[i];

		average[i] = load_decay(before, decay[i], percent, 1);
		changed |= average[i] != before;
	}
	return changed;
}

/* The group has been accounted up to the end of the first of `periods` periods, and has not changed since. */
static void average_group(struct psi_group *g, u64 periods)
{
	for (unsigned int s = 0; s < NR_PSI_STATES; s++) {
		u64 percent = (g->total[s] - g->averaged[s]) * 100 / PSI_PERIOD_NS;
		u64 after = g->states >> s & 1 ? 100 : 0;

		average_period(g->average[s], percent);
		for (u64 n = periods - 1; n && average_period(g->average[s], after); n--)
			;
		g->averaged[s] = g->total[s] + (after ? (periods - 1) * PSI_PERIOD_NS : 0);
	}
}

void psi_end_periods(u64 now)
{
	u64 periods = (now - psi_next_average) / PSI_PERIOD_NS + 1;
	struct psi_group *g;

	list_for_each_entry (g, &psi_active_groups, active_link) {
		psi_account(g, psi_next_average);
		average_group(g, periods);
	}
	psi_next_average += periods * PSI_PERIOD_NS;
}

/* Is there nothing to do for the group until a task waits in it? psi_lock held. */
static bool is_quiet(const struct psi_group *g)
{
	if (psi_group_waits(g))
		return false;
	if (g->orphan)
		return true;
	for (unsigned int s = 0; s < NR_PSI_STATES; s++) {
		if (g->total[s] != g->averaged[s])
			return false;
		for (int i = 0; i < 3; i++)
			if (g->average[s][i])
				return false;
	}
	return !psi_triggers_pending(g);
}

/* Update all groups, and drop the idle ones from the list; orphans among them are moved to `dead`. Returns the time
 * of the next update; ~0: when a task begins to wait. psi_lock held. */
static u64 look_at_groups(u64 now, struct list_head *dead, bool *fired)
{
	struct psi_group *g, *next;
	u64 until = ~0ull;

	list_for_each_entry_safe (g, next, &psi_active_groups, active_link) {
		u64 trigger;

		psi_account(g, now);
		trigger = psi_update_triggers(g, now, fired);
		if (!is_quiet(g)) {
			trigger = min(trigger, psi_next_average);
			until = min(until, trigger);
			continue;
		}
		list_del_init(&g->active_link);
		if (g->orphan)
			list_add_tail(&g->active_link, dead);
	}
	return until;
}

static int averages_thread(void *arg)
{
	for (;;) {
		struct psi_group *g, *next;
		unsigned long flags;
		LIST_HEAD(dead);
		bool fired = false;
		u64 now, until;

		wait_event(&averages_wq, READ_ONCE(averaging));
		flags = spin_lock_irqsave(&psi_lock);
		now = psi_now(ktime_ns());
		until = look_at_groups(now, &dead, &fired);
		if (until == ~0ull)
			averaging = false;
		spin_unlock_irqrestore(&psi_lock, flags);
		if (fired)
			psi_wake_pollers();
		list_for_each_entry_safe (g, next, &dead, active_link)
			kfree(g);
		if (until != ~0ull && until > now)
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

void psi_group_report(struct report *r, struct psi_group *g, enum psi_res res)
{
	u64 avg[2][3], ns[2], now;
	unsigned long flags = spin_lock_irqsave(&psi_lock);

	if (!g)
		g = &psi_machine;
	now = psi_now(ktime_ns());
	psi_account(g, now);
	for (unsigned int s = 0; s < 2; s++) {
		ns[s] = g->total[PSI_STATE(res, s)];
		for (int i = 0; i < 3; i++)
			avg[s][i] = g->average[PSI_STATE(res, s)][i];
	}
	if (g == &psi_machine)
		trace_point(STALL_READ, now, .arg = (u16)res);
	spin_unlock_irqrestore(&psi_lock, flags);
	line(r, "some", avg[SOME], ns[SOME]);
	line(r, "full", avg[FULL], ns[FULL]);
}
