/* Core dumps: one thread of a process writes its memory to a file, while the others stand still. */
#ifndef KERNEL_COREDUMP_H
#define KERNEL_COREDUMP_H
#include "kernel/process.h"

/** A dump in progress. It lies on the dumper's stack. */
struct core_dump {
	struct task *dumper;	    /* C */
	const struct pt_regs *regs; /* C: the dumper's, of user mode */
	int sig;		    /* C */
	struct siginfo_short info;  /* C: of the signal */
	int nr_parked; /* T: other threads, which stand still with their registers on their stacks */
};

/* /proc/sys/kernel/core_*: fs/exec/core_name.c */
#define CORENAME_MAX 128 /* with its NUL: as Linux */
/** Get the pattern of core files' names. */
void core_pattern_get(char pattern[CORENAME_MAX]);
/** Set the pattern of core files' names (core(5)), cut to fit. 0, or -EINVAL: it names a pipe, which is not
 * supported. */
int core_pattern_set(const char *pattern);
extern int sysctl_core_uses_pid;

/** End the current process by the default action of a signal. It leaves a core if the signal causes one, and the limit,
 * the file and prctl(PR_SET_DUMPABLE) allow it. `regs` are all user-mode registers. */
void __noreturn process_exit_signal(const struct pt_regs *regs, int sig,
				    const struct siginfo_short *info);
/** Called by a killed thread before it exits: if its process is being dumped, wait until the dump is over. */
void coredump_park(void);
/** Has the process been killed while it is dumped? Then the dumper gives up. Read without a lock. */
static inline bool coredump_killed(void)
{
	return atomic_load(&current_thread_info()->flags) & TIF_KILLED;
}
#endif
