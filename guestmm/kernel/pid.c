/*
 * Numbers of tasks.
 *
 * Numbers are given out in rising order up to pid_max, and then again from 300 on, as in Linux, so that a number is not
 * used again soon. In the first round each number is new, so in_use() need not be asked.
 *
 * I1  A number is in use as long as a task, a zombie, a process group or a session has it.
 *
 * Lock: task_list_lock.
 */
#include "kernel/pid.h"
#include "kernel/process.h"

#define RESERVED_PIDS 300 /* lower numbers are given out in the first round only */

int sysctl_pid_max = PID_MAX_DEFAULT;
static int next_pid = 2; /* T; 1 is kept for the first program */
static int last_pid = 1; /* T */
static u64 taken;	 /* T */
static bool wrapped;	 /* T: the first round is over: numbers may be in use */

/* T held: I1. */
static bool in_use(int pid)
{
	const struct process *p;
	const struct task *t;

	list_for_each_entry (t, &task_list, tasks) {
		if (t->pid == pid)
			return true;
	}
	list_for_each_entry (p, &process_list, all) {
		if (p->pid == pid || p->pgid == pid || p->sid == pid)
			return true;
	}
	return false;
}

int pid_take(void)
{
	int most = READ_ONCE(sysctl_pid_max);

	for (int tries = 0; tries < most; tries++) {
		int pid = next_pid++;

		if (unlikely(pid >= most)) {
			pid = RESERVED_PIDS;
			next_pid = pid + 1;
			wrapped = true;
		}
		if (unlikely(wrapped) && in_use(pid))
			continue;
		last_pid = pid;
		taken++;
		return pid;
	}
	return 0;
}

int pid_last(void)
{
	return READ_ONCE(last_pid);
}

u64 pid_taken(void)
{
	return READ_ONCE(taken);
}
