/*
 * System calls about time.
 *
 * All clocks are derived from one (kernel/time.c): CLOCK_REALTIME adds the time of day at which the VMM
 * started the guest. A sleep is a wait with a time limit. One thread runs the real-time interval timers:
 *
 *   process ── itimer_at, itimer_interval ──> on the list `timers`, soonest first
 *   ktimerd    sleeps until the first is due, sends SIGALRM, puts it back if it repeats
 *
 * I1  A process is on the list exactly while itimer_at is not 0. Whenever the time of the first entry
 *     becomes earlier, the thread is woken.
 *
 * Timers of virtual and profiling time are in cpu_timer.c.
 *
 * Locks: task_list_lock for the list and the two fields.
 */
#include "kernel/boot_info.h"
#include "kernel/time_calls.h"
#include "kernel/loadavg.h"
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/virt/mm.h"

#define TIMER_ABSTIME	1
#define CLOCK_PROCESS	2 /* CLOCK_PROCESS_CPUTIME_ID */
#define CLOCK_THREAD	3
#define ITIMER_REAL	0
#define ITIMER_PROF	2
#define USER_HZ		100
#define RUSAGE_SELF	0
#define RUSAGE_CHILDREN (-1)
#define RUSAGE_THREAD	1

static struct list_head timers = LIST_HEAD_INIT(timers); /* T: process->itimer */
static struct wait_queue timer_wq = WAIT_QUEUE_INIT(timer_wq);
static bool timer_thread; /* T: it has been started */

int get_user_time(unsigned long addr, enum time_form form, u64 *ns)
{
	u64 per_sec = form == TIMEVAL ? 1000000 : NSEC_PER_SEC;
	struct timespec ts;

	if (copy_from_user(&ts, addr, sizeof(ts)))
		return -EFAULT;
	if (ts.sec < 0 || (u64)ts.nsec >= per_sec)
		return -EINVAL;
	if ((u64)ts.sec >= TIME_FOREVER / NSEC_PER_SEC)
		*ns = TIME_FOREVER;
	else
		*ns = ts.sec * NSEC_PER_SEC + ts.nsec * (NSEC_PER_SEC / per_sec);
	return 0;
}

int put_user_time(unsigned long addr, enum time_form form, u64 ns)
{
	struct timespec ts = {ns / NSEC_PER_SEC, ns % NSEC_PER_SEC};

	if (form == TIMEVAL)
		ts.nsec /= 1000;
	return copy_to_user(addr, &ts, sizeof(ts)) ? -EFAULT : 0;
}

int get_user_itimer(unsigned long addr, enum time_form form, u64 *interval, u64 *value)
{
	int err = get_user_time(addr, form, interval);

	return err ? err : get_user_time(addr + sizeof(struct timespec), form, value);
}

int put_user_itimer(unsigned long addr, enum time_form form, u64 interval, u64 value)
{
	int err = put_user_time(addr, form, interval);

	return err ? err : put_user_time(addr + sizeof(struct timespec), form, value);
}

u64 clock_to_ktime(int clock, u64 ns)
{
	bool real = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
	u64 offset = real ? boot_info.epoch_ns : 0;

	return ns > offset ? ns - offset : 1;
}

static u64 add_time(u64 a, u64 b)
{
	return a > TIME_FOREVER - b ? TIME_FOREVER : a + b;
}

u64 deadline_after(u64 ns)
{
	return add_time(ktime_ns(), ns);
}

/* Read a clock, in nanoseconds. 0, or -EINVAL: there is no such clock. */
static int read_clock(int clock, u64 *ns)
{
	*ns = ktime_ns();
	switch (clock) {
	case CLOCK_REALTIME:
	case 5:	 /* CLOCK_REALTIME_COARSE */
	case 11: /* CLOCK_TAI: the kernel does not know the leap seconds */
		*ns += boot_info.epoch_ns;
		return 0;
	case CLOCK_MONOTONIC:
	case 4: /* CLOCK_MONOTONIC_RAW */
	case 6: /* CLOCK_MONOTONIC_COARSE */
	case CLOCK_BOOTTIME:
		return 0;
	case CLOCK_PROCESS:
		*ns = process_run_ns(current_process());
		return 0;
	case CLOCK_THREAD:
		*ns = task_run_ns(current);
		return 0;
	}
	return -EINVAL;
}

long sys_clock_gettime(struct pt_regs *r)
{
	u64 ns;
	int err = read_clock((int)r->rdi, &ns);

	return err ? err : put_user_time(r->rsi, TIMESPEC, ns);
}

long sys_clock_getres(struct pt_regs *r)
{
	u64 ns;
	int err = read_clock((int)r->rdi, &ns);

	return err || !r->rsi ? err : put_user_time(r->rsi, TIMESPEC, 1);
}

long sys_gettimeofday(struct pt_regs *r)
{
	static const u32 utc[2]; /* struct timezone: minutes west, daylight saving */

	if (r->rdi && put_user_time(r->rdi, TIMEVAL, ktime_ns() + boot_info.epoch_ns))
		return -EFAULT;
	return r->rsi && copy_to_user(r->rsi, utc, sizeof(utc)) ? -EFAULT : 0;
}

long sys_time(struct pt_regs *r)
{
	s64 now = (ktime_ns() + boot_info.epoch_ns) / NSEC_PER_SEC;

	return r->rdi && copy_to_user(r->rdi, &now, sizeof(now)) ? -EFAULT : now;
}

/* ---- sleeping -------------------------------------------------------------------------------- */

void sleep_interruptible_until(u64 until)
{
	struct wait_queue wq = WAIT_QUEUE_INIT(wq);
	struct wait_entry we;
	u64 now = ktime_ns();

	if (now >= until)
		return;
	prepare_to_wait(&wq, &we);
	waits_here();
	if (!signal_pending())
		schedule_timeout(until - now);
	finish_wait(&wq, &we);
}

/* `remains`: address for the time left if a signal ends the sleep, or 0. */
static long do_sleep(u64 until, unsigned long remains)
{
	u64 now;

	while ((now = ktime_ns()) < until && !signal_pending())
		sleep_interruptible_until(until);
	if (now >= until)
		return 0;
	if (remains && put_user_time(remains, TIMESPEC, until - now))
		return -EFAULT;
	return -EINTR;
}

long sys_nanosleep(struct pt_regs *r)
{
	u64 ns;
	int err = get_user_time(r->rdi, TIMESPEC, &ns);

	return err ? err : do_sleep(deadline_after(ns), r->rsi);
}

long sys_clock_nanosleep(struct pt_regs *r)
{
	int clock = (int)r->rdi;
	u64 ns, now;
	long err;

	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
	    !clock_is_alarm(clock))
		return clock == CLOCK_PROCESS ? -EOPNOTSUPP : -EINVAL;
	err = get_user_time(r->rdx, TIMESPEC, &ns);
	if (err || clock_is_alarm(clock))
		return err ? err : -EOPNOTSUPP;
	if (!(r->rsi & TIMER_ABSTIME))
		return do_sleep(deadline_after(ns), r->r10);
	read_clock(clock, &now);
	/* The clocks differ by a constant, so convert to the time that is left. */
	return do_sleep(ns > now ? deadline_after(ns - now) : 0, 0);
}

/* ---- interval timers ------------------------------------------------------------------------- */

/* T held. */
static void timer_insert(struct process *p)
{
	struct list_head *at;

	list_for_each (at, &timers) {
		if (list_entry(at, struct process, itimer)->itimer_at > p->itimer_at)
			break;
	}
	list_add_tail(&p->itimer, at);
}

void itimer_cancel(struct process *p)
{
	if (!p->itimer_at)
		return;
	list_del(&p->itimer);
	p->itimer_at = 0;
}

/* Send the signals that are due. Returns the time of the next one. */
static u64 run_timers(void)
{
	struct siginfo_short info = {SI_KERNEL, 0, 0, 0};
	u64 now = ktime_ns(), next = TIME_FOREVER;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	while (!list_empty(&timers)) {
		struct process *p = list_first_entry(&timers, struct process, itimer);

		next = p->itimer_at;
		if (next > now)
			break;
		next = TIME_FOREVER;
		itimer_cancel(p);
		signal_process(p, SIGALRM, &info);
		if (p->itimer_interval) {
			p->itimer_at = add_time(now, p->itimer_interval);
			timer_insert(p);
		}
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	return next;
}

static int ktimerd(void *arg)
{
	current->kind = CPU_SOFTIRQ;
	for (;;) {
		struct wait_entry we;
		u64 next, now;

		prepare_to_wait(&timer_wq, &we);
		next = run_timers();
		now = ktime_ns();
		if (next == TIME_FOREVER)
			schedule();
		else if (next > now)
			schedule_timeout(next - now);
		finish_wait(&timer_wq, &we);
	}
	return 0;
}

/* Start the thread when the first timer is set. */
static int start_timer_thread(void)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	bool start = !timer_thread;
	int err = 0;

	timer_thread = true;
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (start)
		err = kthread_run(ktimerd, NULL, "ktimerd");
	if (err) {
		flags = spin_lock_irqsave(&task_list_lock);
		timer_thread = false;
		spin_unlock_irqrestore(&task_list_lock, flags);
	}
	return err;
}

/* Arm (value 0: disarm) and return the old setting. */
static void set_timer(u64 value, u64 interval, u64 *old_value, u64 *old_interval)
{
	struct process *p = current_process();
	u64 now = ktime_ns();
	unsigned long flags = spin_lock_irqsave(&task_list_lock);

	*old_value = p->itimer_at > now ? p->itimer_at - now : p->itimer_at ? 1 : 0;
	*old_interval = p->itimer_at ? p->itimer_interval : 0;
	itimer_cancel(p);
	if (value) {
		p->itimer_at = add_time(now, value);
		p->itimer_interval = interval;
		timer_insert(p);
	}
	spin_unlock_irqrestore(&task_list_lock, flags);
	if (value)
		wake_up(&timer_wq);
}

long sys_setitimer(struct pt_regs *r)
{
	u64 value = 0, interval = 0, old_value, old_interval;
	long err;

	if ((u32)r->rdi > ITIMER_PROF)
		return -EINVAL;
	if (r->rsi) {
		err = get_user_itimer(r->rsi, TIMEVAL, &interval, &value);
		if (!err && value && (u32)r->rdi == ITIMER_REAL)
			err = start_timer_thread();
		if (err)
			return err;
	}
	if ((u32)r->rdi == ITIMER_REAL)
		set_timer(value, interval, &old_value, &old_interval);
	else
		cpu_timer_set((u32)r->rdi, value, interval, &old_value, &old_interval);
	return r->rdx ? put_user_itimer(r->rdx, TIMEVAL, old_interval, old_value) : 0;
}

long sys_getitimer(struct pt_regs *r)
{
	struct process *p = current_process();
	unsigned long flags;
	u64 now, value, interval;

	if ((u32)r->rdi > ITIMER_PROF)
		return -EINVAL;
	if ((u32)r->rdi == ITIMER_REAL) {
		now = ktime_ns();
		flags = spin_lock_irqsave(&task_list_lock);
		value = p->itimer_at > now ? p->itimer_at - now : p->itimer_at ? 1 : 0;
		interval = p->itimer_at ? p->itimer_interval : 0;
		spin_unlock_irqrestore(&task_list_lock, flags);
	} else {
		cpu_timer_get((u32)r->rdi, &value, &interval);
	}
	return put_user_itimer(r->rsi, TIMEVAL, interval, value);
}

/* Returns the seconds that were left, rounded to the nearest; at least 1 if the alarm was set. */
long sys_alarm(struct pt_regs *r)
{
	u64 value = (u32)r->rdi * NSEC_PER_SEC, old, interval;

	if (value && start_timer_thread())
		return 0; /* alarm(2) cannot fail; without memory the alarm never rings */
	set_timer(value, 0, &old, &interval);
	if (!old)
		return 0;
	return old < NSEC_PER_SEC ? 1 : (old + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
}

/* ---- what has been used ---------------------------------------------------------------------- */

/* User and system time are not distinguished here: all is user time. */
long sys_times(struct pt_regs *r)
{
	struct process *p = current_process();
	u64 tick = NSEC_PER_SEC / USER_HZ;
	u64 user, sys, child_user, child_sys;
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	s64 tms[4];

	process_times(p, &user, &sys);
	child_sys = p->children_sys_ns;
	child_user = p->children_run_ns - child_sys;
	spin_unlock_irqrestore(&task_list_lock, flags);
	tms[0] = user / tick;
	tms[1] = sys / tick;
	tms[2] = child_user / tick;
	tms[3] = child_sys / tick;
	if (r->rdi && copy_to_user(r->rdi, tms, sizeof(tms)))
		return -EFAULT;
	return ktime_ns() / tick;
}

long sys_getrusage(struct pt_regs *r)
{
	struct {
		struct timeval utime, stime;
		s64 maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd,
			msgrcv, nsignals, nvcsw, nivcsw;
	} ru;
	struct process *p = current_process();
	struct mm_struct *mm = current->mm;
	int who = (int)r->rdi;
	unsigned long flags;
	u64 user, sys, min_flt, maj_flt;

	_Static_assert(sizeof(ru) == 144, "Linux's ABI");
	memset(&ru, 0, sizeof(ru));
	switch (who) {
	case RUSAGE_SELF:
		flags = spin_lock_irqsave(&task_list_lock);
		process_times(p, &user, &sys);
		process_faults(p, &min_flt, &maj_flt);
		spin_unlock_irqrestore(&task_list_lock, flags);
		break;
	case RUSAGE_THREAD: /* faults are counted for the process only */
		user = task_run_ns(current);
		sys = task_system_ns(current, user);
		user -= sys;
		min_flt = mm->min_flt;
		maj_flt = mm->maj_flt;
		break;
	case RUSAGE_CHILDREN:
		flags = spin_lock_irqsave(&task_list_lock);
		sys = p->children_sys_ns;
		user = p->children_run_ns - sys;
		min_flt = p->children_min_flt;
		maj_flt = p->children_maj_flt;
		spin_unlock_irqrestore(&task_list_lock, flags);
		break;
	default:
		return -EINVAL;
	}
	ru.utime = (struct timeval){user / NSEC_PER_SEC, user % NSEC_PER_SEC / 1000};
	ru.stime = (struct timeval){sys / NSEC_PER_SEC, sys % NSEC_PER_SEC / 1000};
	ru.minflt = min_flt;
	ru.majflt = maj_flt;
	if (who != RUSAGE_CHILDREN) {
		s64 rss = atomic_load(&mm->rss_anon) + atomic_load(&mm->rss_file);

		ru.maxrss = max(rss, atomic_load(&mm->hiwater_rss)) << (PAGE_SHIFT - 10);
		ru.nvcsw = current->nvcsw;
		ru.nivcsw = current->nivcsw;
	}
	return copy_to_user(r->rsi, &ru, sizeof(ru)) ? -EFAULT : 0;
}
