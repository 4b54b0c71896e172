/* Pressure stall information: how long tasks stood still for lack of memory, a disk or a CPU. */
#ifndef KERNEL_PSI_H
#define KERNEL_PSI_H
#include "lib/format.h"

struct task;
struct wait_queue;
struct psi_group;

/** Tasks that wait, counted once for each resource; a look without a lock. */
extern u32 psi_stalled;
/** The worker has something to do and is not awake yet: call psi_wake_worker() where no run queue is locked. */
extern bool psi_wake_wanted;
void psi_wake_worker(void);

/* ---- what the scheduler says; its run-queue lock held, interrupts off ---- */
/** This CPU leaves `prev` and runs `next` (`idle`: that is nobody) from now on. Called while psi_stalled is not 0,
 * and when prev sleeps to wait for a disk. */
void psi_switch(struct task *prev, struct task *next, bool idle, u64 now);
/** `t` was woken; `waits`: its CPU is busy with others. Called if that is so, or if t waited for a disk. */
void psi_woken(struct task *t, bool waits, u64 now);
/** `t` leaves the queue that it waits in: another CPU runs it at once. */
void psi_taken(struct task *t);
/** This CPU runs a thread of mm (NULL: a kernel thread) from now on: for psi_switch(), which comes next. Called
 * while there are memory cgroups. Interrupts off. */
struct mm_struct;
void psi_running(unsigned int cpu, const struct mm_struct *mm);

/** A program's thread is between user mode and the kernel: it waits for nothing, else panic. With lockdep or a
 * trace. */
void psi_assert_balanced(void);

/* ---- totals and files ---- */
/** What tasks may wait for. A group has two states of each: some of its tasks wait, and none works meanwhile. */
enum psi_res { PSI_IO, PSI_MEM, PSI_CPU, NR_PSI_RESOURCES };
/** Nanoseconds that a group (NULL: the machine) has spent in the two states. */
void psi_group_totals(struct psi_group *g, enum psi_res res, u64 *some, u64 *full);
/** The machine's, of memory. */
void psi_totals(u64 *some, u64 *full);
/** Start the thread that keeps the averages. 0 or -ENOMEM. */
int psi_init(void);

/* The files cpu, io and memory of /proc/pressure; those of groups are in mm/memcg/memcg.h. */
struct psi_trigger;
/** The text of a trigger: "some|full <stall us> <window us>". It is kept in *slot until psi_trigger_free(). `g`
 * NULL: the machine's. 0; -EINVAL: no such text, a window not in 0.5 .. 10 s (and, without CAP_SYS_RESOURCE, no
 * multiple of 2 s), a threshold that is 0 or longer; -EBUSY: there is one already; -ENOMEM. */
int psi_trigger_write(struct psi_trigger **slot, struct psi_group *g, enum psi_res res,
		      const char *text);
/** Was the threshold passed since last asked? At most once in a window. `wq`, if not NULL, gets the queue that is woken
 * then. */
bool psi_trigger_take_event(struct psi_trigger *t, struct wait_queue **wq);
void psi_trigger_free(struct psi_trigger *t);
#endif
