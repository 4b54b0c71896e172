/* Pressure stall information: how long tasks stood still for lack of memory, a disk or a CPU. */
#ifndef KERNEL_PSI_H
#define KERNEL_PSI_H
#include "lib/format.h"

struct task;
struct wait_queue;
struct psi_group;

/** Number of waiting tasks, each counted once for each resource. Read without a lock. */
extern u32 psi_stalled;
/** The worker has something to do but sleeps: call psi_wake_worker() when no run queue is locked. */
extern bool psi_wake_wanted;
void psi_wake_worker(void);

/* ---- what the scheduler says; its run-queue lock held, interrupts off ---- */
/** This CPU switches from `prev` to `next`; `idle`: next is the idle task. Called while psi_stalled is not 0, and when
 * prev begins to wait for a disk. */
void psi_switch(struct task *prev, struct task *next, bool idle, u64 now);
/** `t` was woken. `waits`: its CPU runs another task. Called if that is so, or if t waited for a disk. */
void psi_woken(struct task *t, bool waits, u64 now);
/** Another CPU takes `t` from the queue that it waits in, and runs it at once. */
void psi_taken(struct task *t);
/** This CPU will run a thread of mm (NULL: a kernel thread). Called before psi_switch(), while there are memory
 * cgroups. Interrupts off. */
struct mm_struct;
void psi_running(unsigned int cpu, const struct mm_struct *mm);

/** A thread enters or leaves the kernel: panic if it is still counted as waiting. Called with lockdep or a trace. */
void psi_assert_balanced(void);

/* ---- totals and files ---- */
/** What tasks may wait for. For each there are two states of a group: some tasks wait; and none works meanwhile
 * ("full"). */
enum psi_res { PSI_IO, PSI_MEM, PSI_CPU, NR_PSI_RESOURCES };
/** Nanoseconds that a group (NULL: the machine) has spent in the two states. */
void psi_group_totals(struct psi_group *g, enum psi_res res, u64 *some, u64 *full);
/** psi_group_totals() of the machine and memory. */
void psi_totals(u64 *some, u64 *full);
/** Start the thread that keeps the averages. 0 or -ENOMEM. */
int psi_init(void);

/* The files cpu, io and memory of /proc/pressure; those of groups are in mm/memcg/memcg.h. */
struct psi_trigger;
/** Create a trigger from its text, "some|full <stall us> <window us>", for group g (NULL: the machine). It is stored in
 * *slot until psi_trigger_free(). 0; -EBUSY: *slot has a trigger; -ENOMEM; -EINVAL: bad text, a window outside of 0.5
 * to 10 s or, without CAP_SYS_RESOURCE, no multiple of 2 s, or a threshold that is 0 or longer than the window. */
int psi_trigger_write(struct psi_trigger **slot, struct psi_group *g, enum psi_res res,
		      const char *text);
/** Has the trigger fired since the last call? It fires at most once in a window. *wq, if wq is not NULL, receives the
 * wait queue that is woken when it fires. */
bool psi_trigger_take_event(struct psi_trigger *t, struct wait_queue **wq);
void psi_trigger_free(struct psi_trigger *t);
#endif
