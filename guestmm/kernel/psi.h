/* Pressure stall information: how long tasks stood still for lack of memory, a disk or a CPU. */
#ifndef KERNEL_PSI_H
#define KERNEL_PSI_H
#include "lib/format.h"

struct task;
struct wait_queue;
struct psi_group;

/** Number of waiting tasks, each counted once for each resource. Read without a lock. */
extern u32 psi_stalled;
/** There is a control group besides the root, or was one. */
extern bool psi_has_groups;
/** The worker has something to do and is not awake yet: call psi_wake_worker() where no run queue is locked. */
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
/** This CPU runs a thread of mm (NULL: a kernel thread) from now on: for psi_switch(), which comes next. Called
 * if psi_has_groups. Interrupts off. */
struct mm_struct;
void psi_running(unsigned int cpu, const struct mm_struct *mm);

/** A thread enters or leaves the kernel: panic if it is still counted as waiting. Called with lockdep or a trace. */
void psi_assert_balanced(void);

/* ---- totals and files ---- */
/** What tasks may wait for. For each there are two states of a group: some tasks wait; and none works meanwhile
 * ("full"). */
enum psi_res { PSI_IO, PSI_MEM, PSI_CPU, NR_PSI_RESOURCES };
/** Nanoseconds that a group has spent in the two states. */
void psi_group_totals(struct psi_group *g, enum psi_res res, u64 *some, u64 *full);
/** psi_group_totals() of the machine and memory. */
void psi_totals(u64 *some, u64 *full);
/** Start the thread that keeps the averages. 0 or -ENOMEM. */
int psi_init(void);

/* ---- groups. NULL is the machine's, wherever a group is named ---- */
/** A control group's stalls below `parent`, with one reference: or ERR_PTR(-ENOMEM). May sleep. */
struct psi_group *psi_group_create(struct psi_group *parent);
void psi_group_get(struct psi_group *g);
/** The memory stays while a task waits in it. Any context in which memory may be freed. */
void psi_group_put(struct psi_group *g);
/** Threads of mm wait in this group from now on; takes over the reference. A wait that has begun ends where it began.
 * May sleep: it waits until nobody uses the old group. */
void psi_group_set_mm(struct mm_struct *mm, struct psi_group *g);
/** cgroup.pressure: while it is off, no time is added to the group's totals. */
bool psi_group_is_on(struct psi_group *g);
void psi_group_switch(struct psi_group *g, bool on);

/* ---- the files cpu, io and memory of /proc/pressure, and of groups ---- */
/** The text of one file. */
void psi_group_report(struct report *r, struct psi_group *g, enum psi_res res);
struct psi_trigger;
/** The text of a trigger: "some|full <stall us> <window us>". It is kept in *slot until psi_trigger_free(). 0;
 * -EINVAL: no such text, a window not in 0.5 .. 10 s (and, without CAP_SYS_RESOURCE, no
 * multiple of 2 s), a threshold that is 0 or longer; -EBUSY: there is one already; -ENOMEM. */
int psi_trigger_write(struct psi_trigger **slot, struct psi_group *g, enum psi_res res,
		      const char *text);
/** Has the trigger fired since the last call? It fires at most once in a window. *wq, if wq is not NULL, receives the
 * wait queue that is woken when it fires. */
bool psi_trigger_take_event(struct psi_trigger *t, struct wait_queue **wq);
void psi_trigger_free(struct psi_trigger *t);
#endif
