/* Numbers of tasks. */
#ifndef KERNEL_PID_H
#define KERNEL_PID_H
#include "lib/types.h"

#define PID_MAX_DEFAULT 32768
#define PID_MAX_LEAST	301
#define PID_MAX_LIMIT	(4 * 1024 * 1024)

/** Numbers are below this: /proc/sys/kernel/pid_max. */
extern int sysctl_pid_max;

/** Take a number that no task, process, group or session has. 0: there is none. T held. */
int pid_take(void);
/** pid_last(): the number that was taken last. pid_taken(): how many were taken in all. */
int pid_last(void);
u64 pid_taken(void);
#endif
