/*
 * Timers and limits on the time that a process runs: ITIMER_VIRTUAL (in user mode, SIGVTALRM) and
 * ITIMER_PROF (in all, SIGPROF) of setitimer(2), and RLIMIT_CPU (SIGXCPU each second past the soft
 * limit, SIGKILL at the hard one).
 *
 * The timer that samples a running program every 10 ms (take_sample() in sched.c) sets TIF_CPU_TIMER when the
 * process has a timer or a limit. The thread then checks its process's time on its way to user mode. So signals are
 * up to 10 ms late, as on Linux without high-resolution timers, and never early. A process without timer and limit
 * pays nothing. The time of a thread that is running on another CPU is known only up to its last switch.
 *
 * Locks: task_list_lock for the timers.
 */
#include "kernel/process.h"
#include "kernel/time_calls.h"
#include "mm/virt/mm.h"

#define ITIMER_VIRTUAL 1u

bool cpu_timers_set(const struct process *p)
{
	return p && (READ_ONCE(p->limits[RLIMIT_CPU].cur) != RLIM_INFINITY ||
		     READ_ONCE(p->cpu_timers[0].at) || READ_ONCE(p->cpu_timers[1].at));
}

/* The time that timer `which` measures. T held. */
static u64 counted_ns(struct process *p, u32 which)
{
	u64 user, sys;

	process_times(p, &user, &sys);
	return which == ITIMER_VIRTUAL ? user : user + sys;
}

static void read_timer(const struct cpu_timer *t, u64 now, u64 *left, u64 *interval)
{
	*left = t->at > now ? t->at - now : t->at ? TICK_NS : 0;
	*interval = t->at ? t->interval : 0;
}

void cpu_timer_get(u32 which, u64 *left, u64 *interval)
{
	struct process *p = current_process();
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	read_timer(&p->cpu_timers[which - ITIMER_VIRTUAL], counted_ns(p, which), left, interval);
	spin_unlock_irqrestore(&task_list_lock, flags);
}

void cpu_timer_set(u32 which, u64 value, u64 interval, u64 *left, u64 *old_interval)
{
	struct process *p = current_process();
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	struct cpu_timer *t = &p->cpu_timers[which - ITIMER_VIRTUAL];
	u64 now = counted_ns(p, which);

	read_timer(t, now, left, old_interval);
	WRITE_ONCE(t->at, !value ? 0 : value < TIME_FOREVER - now ? now + value : TIME_FOREVER);
	t->interval = interval;
	spin_unlock_irqrestore(&task_list_lock, flags);
}

/* T held. */
static void run_timer(struct process *p, struct cpu_timer *t, u64 now, int sig)
{
	struct siginfo_short info = {SI_KERNEL, 0, 0, 0};

	if (likely(!t->at || now < t->at))
		return;
	WRITE_ONCE(t->at, t->interval && t->interval < TIME_FOREVER - now ? now + t->interval : 0);
	signal_process(p, sig, &info);
}

/* T held. */
static void run_limit(struct process *p, u64 ran_ns)
{
	struct siginfo_short info = {SI_KERNEL, 0, 0, 0};
	struct rlimit *l = &p->limits[RLIMIT_CPU];
	u64 seconds = ran_ns / NSEC_PER_SEC;

	if (seconds >= l->max) {
		signal_process(p, SIGKILL, &info);
	} else if (seconds >= l->cur) {
		WRITE_ONCE(l->cur, l->cur + 1); /* the next signal comes in a second, as in Linux */
		signal_process(p, SIGXCPU, &info);
	}
}

void cpu_timers_run(void)
{
	struct process *p = current_process();
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	u64 user, sys;

	process_times(p, &user, &sys);
	run_timer(p, &p->cpu_timers[0], user, SIGVTALRM);
	run_timer(p, &p->cpu_timers[1], user + sys, SIGPROF);
	run_limit(p, user + sys);
	spin_unlock_irqrestore(&task_list_lock, flags);
}
