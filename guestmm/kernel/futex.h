/* futex(2): sleep while a word of user memory has a value, and wake who sleeps on a word. */
#ifndef KERNEL_FUTEX_H
#define KERNEL_FUTEX_H
#include "kernel/process.h"

long sys_futex(struct pt_regs *r);
/** Wake up to `n` threads that wait on this word. Returns how many. */
long futex_wake(struct mm_struct *mm, unsigned long addr, u32 n);
long sys_set_robust_list(struct pt_regs *r);
long sys_get_robust_list(struct pt_regs *r);
/** The current thread leaves its address space: the locks on its robust list say so. */
void futex_exit_robust_list(void);
#endif
