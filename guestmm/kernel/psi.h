/* Pressure stall information: how long tasks stood still for lack of memory. [C2, the system's part] */
#ifndef KERNEL_PSI_H
#define KERNEL_PSI_H
#include "lib/format.h"

/** Tasks between psi_memstall_enter() and _leave() (lib/env.h); a look without a lock. */
extern u32 psi_stalled;
/** This CPU has begun to run something that gets on (true), or idles or stalls. Interrupts off. */
void psi_switch(unsigned int cpu, bool productive, u64 now);
/** This CPU runs a thread of mm (NULL: a kernel thread) from now on: for psi_switch(), which comes next. Called
 * while there are memory cgroups. Interrupts off. */
struct mm_struct;
void psi_running(unsigned int cpu, const struct mm_struct *mm);
/** Nanoseconds in which some task stalled, and in which none got on. */
void psi_totals(u64 *some, u64 *full);
/** The same of a memory cgroup. */
struct psi_group;
void psi_group_totals(struct psi_group *g, u64 *some, u64 *full);
/** Start the thread that keeps the averages. 0 or -ENOMEM. */
int psi_init(void);
/** /proc/pressure/memory. */
void report_pressure_memory(struct report *r);
#endif
