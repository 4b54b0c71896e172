/* System calls about time: clocks, sleeping, interval timers, and what a process has used. */
#ifndef KERNEL_TIME_CALLS_H
#define KERNEL_TIME_CALLS_H
#include "kernel/process.h"

#define CLOCK_REALTIME	0
#define CLOCK_MONOTONIC 1
#define CLOCK_BOOTTIME	7
/* They would wake a machine that sleeps, by its clock of real time. This machine has neither: as on Linux then, only
 * timerfd_create(2) has them. */
#define CLOCK_REALTIME_ALARM 8
#define CLOCK_BOOTTIME_ALARM 9
static inline bool clock_is_alarm(int clock)
{
	return clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
}

#define NSEC_PER_SEC 1000000000ull
#define TIME_FOREVER (~0ull)

struct timespec {
	s64 sec, nsec;
};
struct timeval {
	s64 sec, usec;
};

#define RUSAGE_SIZE 144 /* of struct rusage, which begins with two timevals */

/* How a program writes a time: seconds and nanoseconds, or seconds and microseconds. */
enum time_form { TIMESPEC, TIMEVAL };

/** Read a time from user memory. 0, -EFAULT, -EINVAL. *ns is cut off
 * where the clock ends. */
int get_user_time(unsigned long addr, enum time_form form, u64 *ns);
/** ktime in `ns` from now; TIME_FOREVER where the clock ends. */
u64 deadline_after(u64 ns);
/** Returns 0 or -EFAULT. */
int put_user_time(unsigned long addr, enum time_form form, u64 ns);
/** The same for struct itimerspec or struct itimerval: interval, then value. */
int get_user_itimer(unsigned long addr, enum time_form form, u64 *interval, u64 *value);
int put_user_itimer(unsigned long addr, enum time_form form, u64 interval, u64 value);
/** ktime at which a clock says `ns`; never 0. */
u64 clock_to_ktime(int clock, u64 ns);
/** Sleep until `until` (ktime), a signal, or a wake-up. May return early. */
void sleep_interruptible_until(u64 until);

/** Timers of the current process on the time it runs, `which` is ITIMER_VIRTUAL or ITIMER_PROF: nanoseconds left
 * (0: off) and interval. Setting one returns the old setting. */
void cpu_timer_get(u32 which, u64 *left, u64 *interval);
void cpu_timer_set(u32 which, u64 value, u64 interval, u64 *left, u64 *old_interval);

/** The process ends: its timer with it. T held. */
void itimer_cancel(struct process *p);
#endif
