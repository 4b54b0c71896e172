/*
 * The files of /proc about the whole machine. Those about memory are reports of mm/; the others are written here, in
 * the formats of Linux 6.12.
 */
#include "kernel/lockdep_report.h"
#include "kernel/boot_info.h"
#include "fs/proc/proc.h"
#include "fs/ipc/ipc.h"
#include "kernel/loadavg.h"
#include "kernel/time_calls.h"
#include "kernel/version.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/init.h"
#include "mm/virt/mm.h"
#include "mm/slab/slab.h"
#include "mm/swap/swap.h"
#include "mm/reclaim/reclaim.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/zone.h"

#define USER_HZ	  100
#define TICKS(ns) ((unsigned long)((ns) / (NSEC_PER_SEC / USER_HZ)))

#define PASS(name)                                                           \
	static int show_##name(struct report *r, const struct proc_ctx *ctx) \
	{                                                                    \
		report_##name(r);                                            \
		return 0;                                                    \
	}
PASS(meminfo)
PASS(vmstat)
PASS(buddyinfo)
PASS(pagetypeinfo)
PASS(zoneinfo)
PASS(slabinfo)
PASS(vmallocinfo)
PASS(swaps)
PASS(mounts)
PASS(mountinfo)
PASS(filesystems)
PASS(sysvipc_shm)
PASS(sysvipc_sem)

static int show_lockdep(struct report *r, const struct proc_ctx *ctx)
{
	return lockdep_report(r);
}

static int show_uptime(struct report *r, const struct proc_ctx *ctx)
{
	struct sched_totals t;
	u64 up = ktime_ns() / 10000000, idle;

	sched_totals(&t, -1);
	idle = t.ns[CPU_IDLE] / 10000000;
	report_printf(r, "%lu.%02lu %lu.%02lu\n", (unsigned long)up / 100, (unsigned long)up % 100,
		      (unsigned long)idle / 100, (unsigned long)idle % 100);
	return 0;
}

/* Write a fixed-point number with 11 bits of fraction, with two decimals. */
static void show_load(struct report *r, u64 load)
{
	load += 10; /* round: half of 1/100 */
	report_printf(r, "%lu.%02lu ", (unsigned long)(load >> 11),
		      (unsigned long)((load & 2047) * 100 >> 11));
}

static int show_loadavg(struct report *r, const struct proc_ctx *ctx)
{
	struct sched_totals t;
	u64 load[3];

	sched_totals(&t, -1);
	load_read(load, ktime_ns(), t.nr_running);
	for (int i = 0; i < 3; i++)
		show_load(r, load[i]);
	report_printf(r, "%u/%u %d\n", t.nr_running, (unsigned int)nr_tasks, t.last_pid);
	return 0;
}

static void cpu_line(struct report *r, const char *name, const struct sched_totals *t)
{
	/*
	 * user nice system idle iowait irq softirq steal guest guest_nice
	 *
	 * irq: handlers run with interrupts off, and no tick can find one. So it is 0 on Linux on x86, too, without
	 * CONFIG_IRQ_TIME_ACCOUNTING. steal: the VMM offers no steal time (MSR_KVM_STEAL_TIME). No guests here.
	 */
	report_printf(r, "%s %lu %lu %lu %lu %lu 0 %lu 0 0 0\n", name, TICKS(t->ns[CPU_USER]),
		      TICKS(t->ns[CPU_NICE]), TICKS(t->ns[CPU_KERNEL]), TICKS(t->ns[CPU_IDLE]),
		      TICKS(t->ns[CPU_IOWAIT]), TICKS(t->ns[CPU_SOFTIRQ]));
}

static int show_stat(struct report *r, const struct proc_ctx *ctx)
{
	struct sched_totals t;
	char name[16];

	sched_totals(&t, -1);
	cpu_line(r, "cpu ", &t);
	for (u32 cpu = 0; cpu < boot_info.nr_cpus; cpu++) {
		struct sched_totals one;

		sched_totals(&one, cpu);
		ksnprintf(name, sizeof(name), "cpu%u", cpu);
		cpu_line(r, name, &one);
	}
	report_printf(r, "ctxt %lu\nbtime %lu\nprocesses %lu\nprocs_running %u\nprocs_blocked %u\n",
		      (unsigned long)t.nr_switches,
		      (unsigned long)(boot_info.epoch_ns / NSEC_PER_SEC), (unsigned long)t.nr_forks,
		      t.nr_running, t.nr_iowait);
	return 0;
}

static int show_version(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%s version %s (%s)\n", GUESTMM_SYSNAME, GUESTMM_RELEASE, GUESTMM_HOST);
	return 0;
}

static int show_cmdline(struct report *r, const struct proc_ctx *ctx)
{
	report_printf(r, "%s\n", boot_info.cmdline ? boot_info.cmdline : "");
	return 0;
}

static int show_cpuinfo(struct report *r, const struct proc_ctx *ctx)
{
	for (u32 cpu = 0; cpu < boot_info.nr_cpus; cpu++)
		report_printf(r, "processor\t: %u\ncpu MHz\t\t: %lu.%03lu\n\n", cpu,
			      (unsigned long)(boot_info.tsc_hz / 1000000),
			      (unsigned long)(boot_info.tsc_hz / 1000 % 1000));
	return 0;
}

static long read_self(char *buf, size_t size, const struct proc_ctx *ctx)
{
	return ksnprintf(buf, size, "%d", current_process() ? current_process()->pid : 0);
}

static long read_thread_self(char *buf, size_t size, const struct proc_ctx *ctx)
{
	const struct process *p = current_process();

	return p ? ksnprintf(buf, size, "%d/task/%d", p->pid, current->pid) : -ENOENT;
}

static long read_mounts(char *buf, size_t size, const struct proc_ctx *ctx)
{
	return ksnprintf(buf, size, "self/mounts");
}

const struct proc_entry proc_system_entries[] = {
	{"self", PROC_ROOT, S_IFLNK | 0777, .readlink = read_self},
	{"mounts", PROC_ROOT, S_IFLNK | 0777, .readlink = read_mounts},
	{"mounts", PROC_PID, S_IFREG | 0444, .show = show_mounts},
	{"mountinfo", PROC_PID, S_IFREG | 0444, .show = show_mountinfo},
	{"thread-self", PROC_ROOT, S_IFLNK | 0777, .readlink = read_thread_self},
	{"meminfo", PROC_ROOT, S_IFREG | 0444, .show = show_meminfo},
	{"vmstat", PROC_ROOT, S_IFREG | 0444, .show = show_vmstat},
	{"buddyinfo", PROC_ROOT, S_IFREG | 0444, .show = show_buddyinfo},
	{"pagetypeinfo", PROC_ROOT, S_IFREG | 0400, .show = show_pagetypeinfo},
	{"zoneinfo", PROC_ROOT, S_IFREG | 0444, .show = show_zoneinfo},
	{"slabinfo", PROC_ROOT, S_IFREG | 0400, .show = show_slabinfo},
	{"vmallocinfo", PROC_ROOT, S_IFREG | 0400, .show = show_vmallocinfo},
	{"lockdep", PROC_ROOT, S_IFREG | 0400, .show = show_lockdep},
	{"kpagecount", PROC_ROOT, S_IFREG | 0400, .read = proc_read_kpagecount},
	{"kpagecgroup", PROC_ROOT, S_IFREG | 0400, .read = proc_read_kpagecgroup},
	{"kpageflags", PROC_ROOT, S_IFREG | 0400, .read = proc_read_kpageflags},
	{"config.gz", PROC_ROOT, S_IFREG | 0444, .read = proc_read_config},
	{"swaps", PROC_ROOT, S_IFREG | 0444, .show = show_swaps},
	{"filesystems", PROC_ROOT, S_IFREG | 0444, .show = show_filesystems},
	{"shm", PROC_SYSVIPC, S_IFREG | 0444, .show = show_sysvipc_shm},
	{"sem", PROC_SYSVIPC, S_IFREG | 0444, .show = show_sysvipc_sem},
	{"uptime", PROC_ROOT, S_IFREG | 0444, .show = show_uptime},
	{"loadavg", PROC_ROOT, S_IFREG | 0444, .show = show_loadavg},
	{"stat", PROC_ROOT, S_IFREG | 0444, .show = show_stat},
	{"version", PROC_ROOT, S_IFREG | 0444, .show = show_version},
	{"cmdline", PROC_ROOT, S_IFREG | 0444, .show = show_cmdline},
	{"cpuinfo", PROC_ROOT, S_IFREG | 0444, .show = show_cpuinfo},
	{.name = NULL},
};
