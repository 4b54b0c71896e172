/* Kernel timers: a thread calls a function at a given time, once or periodically. */
#ifndef KERNEL_KTIMER_H
#define KERNEL_KTIMER_H
#include "lib/list.h"
#include "lib/types.h"

struct ktimer {
	struct list_head list; /* ktimer_lock, while `at` is not 0 */
	u64 at;		       /* ktimer_lock: ktime of the next call; 0: none */
	u64 interval;	       /* ktimer_lock: ns between later expirations; 0: it expires once */
	u64 expirations;       /* ktimer_lock: expirations since ktimer_take() was last called */
	/** Called by the timers' thread with ktimer_lock held. It may wake tasks, and must not sleep. */
	void (*fn)(struct ktimer *t);
};

/** Set the timer to expire at ktime `at` (0: off), and clear its expirations. *left and *old_interval receive the old
 * setting in ns; *left 0: it was off. 0, or -ENOMEM: the timers' thread could not be started. May sleep. */
int ktimer_set(struct ktimer *t, u64 at, u64 interval, u64 *left, u64 *old_interval);
void ktimer_get(struct ktimer *t, u64 *left, u64 *interval);
/** The number of expirations since the last call. */
u64 ktimer_take(struct ktimer *t);
#endif
