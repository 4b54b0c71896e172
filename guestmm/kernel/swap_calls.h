/* swapon(2), swapoff(2) (kernel/swap_calls.c), for the table in syscalls.c. */
#ifndef KERNEL_SWAP_CALLS_H
#define KERNEL_SWAP_CALLS_H
struct pt_regs;

long sys_swapon(struct pt_regs *r);
long sys_swapoff(struct pt_regs *r);
#endif
