/* futex(2): sleep while a word of user memory has a value, and wake the sleepers of a word. */
#ifndef KERNEL_FUTEX_H
#define KERNEL_FUTEX_H
#include "kernel/process.h"

/** Wake up to `n` threads that wait on this word. Returns how many. */
long futex_wake(struct mm_struct *mm, unsigned long addr, u32 n);
/** The current thread leaves its address space: the locks on its robust list say so. */
void futex_exit_robust_list(void);
/** It hands on the locks with priority inheritance that it holds while others wait for them. After its robust list. */
void __futex_release_pi(void);
static inline void futex_release_pi(void)
{
	struct list_head *owned = &current->pi_owned;

	if (unlikely(owned->next && !list_empty(owned)))
		__futex_release_pi();
}
#endif
