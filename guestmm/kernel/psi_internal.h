/*
 * Pressure, for its own files: psi.c (which tasks wait, and for how long), psi_average.c (averages, the worker),
 * and psi_trigger.c (triggers). The invariants are in psi.c.
 */
#ifndef KERNEL_PSI_INTERNAL_H
#define KERNEL_PSI_INTERNAL_H
#include "kernel/psi.h"
#include "kernel/task.h"
#include "mm/virt/mm_types.h"
#include "mmvm/trace.h"

enum { SOME, FULL };
#define PSI_STATE(res, full) ((res)*2u + (full))
#define NR_PSI_STATES	     (NR_PSI_RESOURCES * 2u)
#define PSI_PERIOD_NS	     2000000000ull

/* Lock: psi_lock for all fields except the constant ones (C). */
struct psi_group {
	struct psi_group *parent;      /* C, with a reference; NULL: this is the machine's */
	s32 refs;		       /* A: a control group, address spaces, triggers, children */
	struct list_head stalled_link; /* I2 */
	struct list_head active_link;  /* I2 */
	u32 waiting[NR_PSI_RESOURCES]; /* tasks */
	u32 states;		       /* bit PSI_STATE() */
	bool off;		       /* nothing is counted (cgroup.pressure): `states` is 0 */
	bool orphan; /* no reference is left: the worker frees it when no task waits in it */
	bool runs[MMVM_MAX_CPUS];	/* the CPU runs a task of the group; I2 */
	bool productive[MMVM_MAX_CPUS]; /* and the task does not stall for memory; I2 */
	u64 since;			/* time up to which the totals are complete */
	u64 total[NR_PSI_STATES];	/* ns */
	u64 average[NR_PSI_STATES][3];	/* percent, fixed point */
	u64 averaged[NR_PSI_STATES];	/* the part of the totals that is in the averages */
	struct list_head triggers;
};
extern struct psi_group psi_machine;
extern spinlock_t psi_lock;
extern struct list_head psi_active_groups; /* psi_lock */
extern u64 psi_next_average;		   /* psi_lock: ktime, the end of the running period */

static inline bool psi_group_waits(const struct psi_group *g)
{
	return g->waiting[PSI_IO] | g->waiting[PSI_MEM] | g->waiting[PSI_CPU];
}

/* All of these are called with psi_lock held. */
/** The present time on psi's own clock, which never runs backwards. Updates the averages if a period has ended. */
u64 psi_now(u64 now);
/** Add the time up to `now` to the totals of the group's present state. */
void psi_account(struct psi_group *g, u64 now);
/** The current period, and perhaps further ones, have ended by `now`: update the averages of all active groups. */
void psi_end_periods(u64 now);
/** A group became active: the worker has something to do. */
void psi_want_worker(void);
/** Check the triggers of the group. Returns when to check again, or ~0. Sets *fired if a trigger fired: then the caller
 * releases psi_lock and calls psi_wake_pollers(). */
u64 psi_update_triggers(struct psi_group *g, u64 now, bool *fired);
void psi_wake_pollers(void);
/** Will a trigger of the group fire even if no task stalls any more? */
bool psi_triggers_pending(const struct psi_group *g);
#endif
