/* Times of CPUs by kind, and load averages, for /proc/stat, loadavg and uptime. */
#ifndef KERNEL_LOADAVG_H
#define KERNEL_LOADAVG_H
#include "lib/types.h"

/* Time of: programs; programs with a nice value above 0; kernel threads; idle CPUs; idle CPUs while a task waits for a
 * disk; threads that do what Linux does in soft interrupts. */
enum cpu_time { CPU_USER, CPU_NICE, CPU_KERNEL, CPU_IDLE, CPU_IOWAIT, CPU_SOFTIRQ, NR_CPU_TIMES };

struct sched_totals {
	u64 samples[2][2]; /* of CPU_USER and CPU_NICE: in the kernel, in user mode */
	u64 ns[NR_CPU_TIMES];
	u64 nr_switches, nr_forks;
	u32 nr_running, nr_iowait;
	int last_pid;
};
/** Get the totals of one CPU, or of all if cpu < 0. The CPUs are read one after the other. */
void sched_totals(struct sched_totals *t, int cpu);

#define LOAD_SHIFT 11 /* load averages are fixed-point numbers */
/** Called at least once every LOAD_PERIOD: `running` tasks run or are runnable. */
#define LOAD_PERIOD_NS 5000000000ull
extern u64 load_next; /* ktime at which the current period ends; read without a lock */
void load_update(u64 now, u32 running);
/** Get the averages over 1, 5 and 15 minutes. */
void load_read(u64 load[3], u64 now, u32 running);
/** The decay [pure]: an average after `periods` in each of which `running` tasks were counted. */
u64 load_decay(u64 load, u64 per_period, u64 running, u64 periods);
#endif
