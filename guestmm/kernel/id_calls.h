/* System calls about who a process is: groups and sessions, users, names, where it may run. */
#ifndef KERNEL_ID_CALLS_H
#define KERNEL_ID_CALLS_H
#include "kernel/process.h"

long sys_getpgid(struct pt_regs *r);
long sys_getpgrp(struct pt_regs *r);
long sys_getsid(struct pt_regs *r);
long sys_setpgid(struct pt_regs *r);
long sys_setsid(struct pt_regs *r);
long sys_getresid(struct pt_regs *r);
long sys_set_id(struct pt_regs *r);
long sys_setre_id(struct pt_regs *r);
long sys_setres_id(struct pt_regs *r);
long sys_getgroups(struct pt_regs *r);
long sys_setgroups(struct pt_regs *r);
long sys_prctl(struct pt_regs *r);
long sys_personality(struct pt_regs *r);
long sys_sched_getaffinity(struct pt_regs *r);
long sys_sched_setaffinity(struct pt_regs *r);
long sys_getcpu(struct pt_regs *r);
long sys_sched_getscheduler(struct pt_regs *r);
long sys_sched_getparam(struct pt_regs *r);
long sys_sched_priority_limit(struct pt_regs *r);
long sys_getpriority(struct pt_regs *r);
long sys_setpriority(struct pt_regs *r);
#endif
