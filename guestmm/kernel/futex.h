/* futex(2): sleep while a word of user memory has a value, and wake who sleeps on a word. */
#ifndef KERNEL_FUTEX_H
#define KERNEL_FUTEX_H
#include "kernel/process.h"

/** Wake up to `n` threads that wait on this word. Returns how many. */
long futex_wake(struct mm_struct *mm, unsigned long addr, u32 n);
/** The current thread leaves its address space: the locks on its robust list say so. */
void futex_exit_robust_list(void);
#endif
