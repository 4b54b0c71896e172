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
 * Lock: psi_lock, innermost, interrupts off.
 */
#include "kernel/psi.h"
#include "kernel/loadavg.h"
#include "kernel/task.h"

enum { SOME, FULL, NR_STATES };
#define PERIOD_NS 2000000000ull

u32 psi_stalled;
static spinlock_t psi_lock = SPINLOCK_INIT;
static bool productive[MMVM_MAX_CPUS]; /* psi_lock */
static u64 since;		       /* psi_lock: up to here the totals are right */
static u64 total[NR_STATES];	       /* psi_lock: ns */
static u64 average[NR_STATES][3];      /* psi_lock: percent, fixed point */
static u64 averaged[NR_STATES];	       /* psi_lock: totals that are in the averages */
static u64 next_average = PERIOD_NS;   /* psi_lock */
static bool averaging;		       /* psi_lock: the thread is at work, or about to be */
static bool thread_runs;	       /* boot */
static struct wait_queue averages_wq = WAIT_QUEUE_INIT(averages_wq);
/* exp(-2 s / 10, 60, 300 s) */
static const u64 decay[3] = {1677, 1981, 2034};

/* psi_lock held: everything up to now, in the state that has been. */
static void account(u64 now)
{
	u64 ns = now > since ? now - since : 0;
	bool full = true;

	since = max(since, now);
	if (!psi_stalled)
		return;
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		full = full && !productive[cpu];
	total[SOME] += ns;
	if (full)
		total[FULL] += ns;
}

void psi_switch(unsigned int cpu, bool gets_on, u64 now)
{
	spin_lock(&psi_lock);
	account(now);
	productive[cpu] = gets_on;
	spin_unlock(&psi_lock);
}

void psi_memstall_enter(void)
{
	unsigned long flags;
	bool wake;
	u64 now;

	if (current->memstall++)
		return;
	flags = spin_lock_irqsave(&psi_lock);
	now = ktime_ns();
	account(now);
	if (!psi_stalled++) {
		for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
			productive[cpu] = sched_gets_on(cpu);
	}
	productive[cpu_id()] = false;
	wake = !averaging && thread_runs;
	averaging |= wake;
	spin_unlock_irqrestore(&psi_lock, flags);
	if (unlikely(wake))
		wake_up(&averages_wq);
}

void psi_memstall_leave(void)
{
	unsigned long flags;

	if (--current->memstall)
		return;
	flags = spin_lock_irqsave(&psi_lock);
	account(ktime_ns());
	psi_stalled--;
	productive[cpu_id()] = true;
	spin_unlock_irqrestore(&psi_lock, flags);
}

/* psi_lock held. Of periods that nobody looked at, all but the last count as without stalls: the thread
 * sleeps through those that had none. */
static void update_averages(u64 now)
{
	u64 periods;

	if (now < next_average)
		return;
	periods = (now - next_average) / PERIOD_NS + 1;
	next_average += periods * PERIOD_NS;
	for (int s = 0; s < NR_STATES; s++) {
		u64 percent = min(total[s] - averaged[s], PERIOD_NS) * 100 / PERIOD_NS;

		averaged[s] = total[s];
		for (int i = 0; i < 3; i++) {
			average[s][i] = load_decay(average[s][i], decay[i], 0, periods - 1);
			average[s][i] = load_decay(average[s][i], decay[i], percent, 1);
		}
	}
}

/* psi_lock held: nothing is left to do until somebody stalls. */
static bool all_is_quiet(void)
{
	for (int s = 0; s < NR_STATES; s++) {
		if (total[s] != averaged[s])
			return false;
		for (int i = 0; i < 3; i++)
			if (average[s][i])
				return false;
	}
	return !psi_stalled;
}

static int averages_thread(void *arg)
{
	for (;;) {
		unsigned long flags;
		u64 now, until;

		wait_event(&averages_wq, READ_ONCE(averaging));
		flags = spin_lock_irqsave(&psi_lock);
		now = ktime_ns();
		account(now);
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

void psi_totals(u64 *some, u64 *full)
{
	unsigned long flags = spin_lock_irqsave(&psi_lock);

	account(ktime_ns());
	*some = total[SOME];
	*full = total[FULL];
	spin_unlock_irqrestore(&psi_lock, flags);
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

void report_pressure_memory(struct report *r)
{
	u64 avg[NR_STATES][3], ns[NR_STATES], now;
	unsigned long flags = spin_lock_irqsave(&psi_lock);

	now = ktime_ns();
	account(now);
	update_averages(now);
	for (int s = 0; s < NR_STATES; s++) {
		ns[s] = total[s];
		for (int i = 0; i < 3; i++)
			avg[s][i] = average[s][i];
	}
	spin_unlock_irqrestore(&psi_lock, flags);
	line(r, "some", avg[SOME], ns[SOME]);
	line(r, "full", avg[FULL], ns[FULL]);
}
