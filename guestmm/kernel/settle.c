/*
 * The end of a run, before the host audits all memory: programs end, background work ends, per-CPU lists are
 * emptied. The audit compares counts that the guest changes in several steps, so it must not run in the middle of
 * such a change.
 *
 * Locks: task_list_lock while processes are killed. Both functions sleep.
 */
#include "kernel/boot.h"
#include "kernel/process.h"
#include "mm/memcg/memcg.h"
#include "mm/move/balloon.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/oom.h"

#define MS 1000000ull
#define PATIENCE \
	60000u /* ms; where ring 0 is emulated and traced, a large program takes seconds to end */

/* Send SIGKILL to all remaining processes. False: there were none. */
static bool kill_all(void)
{
	unsigned long flags = spin_lock_irqsave(&task_list_lock);
	bool any = !list_empty(&process_list);
	struct process *p;

	list_for_each_entry (p, &process_list, all)
		kill_process(p, SIGKILL, 0);
	spin_unlock_irqrestore(&task_list_lock, flags);
	return any;
}

bool processes_end(void)
{
	for (u32 i = 0; i < PATIENCE; i++) {
		if (!kill_all())
			return true;
		sleep_ns(MS);
	}
	return false;
}

bool memory_is_quiet(void)
{
	return !global_stat(NR_WRITEBACK) && !global_stat(NR_ISOLATED_ANON) &&
	       !global_stat(NR_ISOLATED_FILE) && oom_reaper_idle() && balloon_is_quiet() &&
	       cpus_are_idle();
}

void memory_settle(void)
{
	sleep_ns(10 * MS);
	for (u32 i = 0; i < PATIENCE && !memory_is_quiet(); i++)
		sleep_ns(MS);
	lru_add_drain_all();
	drain_all_pages();
	mem_cgroup_settle_protection();
}
