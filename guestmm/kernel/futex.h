/* futex(2): sleep while a word of user memory has a value, and wake the sleepers of a word. */
#ifndef KERNEL_FUTEX_H
#define KERNEL_FUTEX_H
#include "kernel/process.h"

/** Wake up to `n` threads that wait on this word. Returns how many. */
long futex_wake(struct mm_struct *mm, unsigned long addr, u32 n);
/** The current thread leaves its address space: mark the locks on its robust list with FUTEX_OWNER_DIED. */
void futex_exit_robust_list(void);
/** Pass the current thread's contended locks with priority inheritance to the first waiter of each. Call it after
 * futex_exit_robust_list(). */
void __futex_release_pi(void);
static inline void futex_release_pi(void)
{
	struct list_head *owned = &current->pi_owned;

	if (unlikely(owned->next && !list_empty(owned)))
		__futex_release_pi();
}
#endif
