/* System calls about time: clocks, sleeping, interval timers, and what a process has used. */
#ifndef KERNEL_TIME_CALLS_H
#define KERNEL_TIME_CALLS_H
#include "kernel/process.h"

#define CLOCK_REALTIME	0
#define CLOCK_MONOTONIC 1
#define CLOCK_BOOTTIME	7
/* These clocks would wake a sleeping machine by its real-time clock. This machine has no such clock. As on Linux
 * without one, only timerfd_create(2) accepts them. */
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

/** Read a time from user memory. *ns is at most the clock's largest value. 0, -EFAULT, -EINVAL. */
int get_user_time(unsigned long addr, enum time_form form, u64 *ns);
/** The ktime `ns` nanoseconds from now; TIME_FOREVER if that is beyond the clock's largest value. */
u64 deadline_after(u64 ns);
/** Write a time to user memory. 0 or -EFAULT. */
int put_user_time(unsigned long addr, enum time_form form, u64 ns);
/** The same for struct itimerspec or struct itimerval: interval, then value. */
int get_user_itimer(unsigned long addr, enum time_form form, u64 *interval, u64 *value);
int put_user_itimer(unsigned long addr, enum time_form form, u64 interval, u64 value);
/** The ktime at which the clock will show `ns`. Never 0. */
u64 clock_to_ktime(int clock, u64 ns);
/** Sleep until `until` (ktime), a signal, or a wake-up. May return early. */
void sleep_interruptible_until(u64 until);

/** Get or set ITIMER_VIRTUAL or ITIMER_PROF of the current process: nanoseconds left (0: off) and interval. Setting it
 * returns the old values. */
void cpu_timer_get(u32 which, u64 *left, u64 *interval);
void cpu_timer_set(u32 which, u64 value, u64 interval, u64 *left, u64 *old_interval);

/** The process ends: cancel its real-time interval timer. T held. */
void itimer_cancel(struct process *p);
#endif
