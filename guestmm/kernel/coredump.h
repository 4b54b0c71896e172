/* Ending with a core: the threads of a process stand still while one of them writes down its memory. */
#ifndef KERNEL_COREDUMP_H
#define KERNEL_COREDUMP_H
#include "kernel/process.h"

/** A dump under way; on the dumper's stack. */
struct core_dump {
	struct task *dumper;	    /* C */
	const struct pt_regs *regs; /* C: the dumper's, of user mode */
	int sig;		    /* C */
	struct siginfo_short info;  /* C: of the signal */
	int nr_parked; /* T: other threads, which stand still with their registers on their stacks */
};

/* /proc/sys/kernel/core_*: fs/exec/core_name.c */
#define CORENAME_MAX 128 /* with its NUL: as Linux */
/** The name pattern as it is. */
void core_pattern_get(char pattern[CORENAME_MAX]);
/** core(5)'s pattern from now on, cut to fit. -EINVAL: a pipe, to which nothing is dumped here. */
int core_pattern_set(const char *pattern);
extern int sysctl_core_uses_pid;

/** The default action of a signal that ends the current process: with a core dump if the signal causes one, and the
 * limit, the file and prctl(PR_SET_DUMPABLE) allow it. `regs`: all user-mode registers. */
void __noreturn process_exit_signal(const struct pt_regs *regs, int sig,
				    const struct siginfo_short *info);
/** A killed thread on its way out of user mode: if its process is being dumped, stand still until that is over. */
void coredump_park(void);
/** The dump has been given up, as its process is killed. A look without a lock. */
static inline bool coredump_killed(void)
{
	return atomic_load(&current_thread_info()->flags) & TIF_KILLED;
}
#endif
