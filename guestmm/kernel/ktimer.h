/* Timers of the kernel: a function called by a thread at a time, once or again and again. */
#ifndef KERNEL_KTIMER_H
#define KERNEL_KTIMER_H
#include "lib/list.h"
#include "lib/types.h"

struct ktimer {
	struct list_head list; /* ktimer_lock, while `at` is not 0 */
	u64 at;		       /* ktimer_lock: ktime of the next call; 0: none */
	u64 interval;	       /* ktimer_lock: ns between later expirations; 0: it expires once */
	u64 expirations;       /* ktimer_lock: calls that were due since last taken */
	/** Called by the timers' thread with ktimer_lock held: it may wake, and must not sleep. */
	void (*fn)(struct ktimer *t);
};

/** Set it (at 0: off), forget expirations; what it was before: time left in ns (0: off) and interval. 0,
 * or -ENOMEM: the timers' thread could not be started. May sleep. */
int ktimer_set(struct ktimer *t, u64 at, u64 interval, u64 *left, u64 *old_interval);
void ktimer_get(struct ktimer *t, u64 *left, u64 *interval);
/** Expirations since last asked. */
u64 ktimer_take(struct ktimer *t);
#endif
