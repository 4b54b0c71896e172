/* Fault injection (fail.h): counting down to the one that fails. */
#include "lib/fail.h"

u64 fail_left[NR_FAIL_POINTS];
static u64 failed[NR_FAIL_POINTS]; /* A */

bool fail_step(u64 *count)
{
	u64 left = READ_ONCE(*count), seen;

	/* Several CPUs count; it stays at 0 when they have. */
	while (left && (seen = atomic_cmpxchg(count, left, left - 1)) != left)
		left = seen;
	return left == 1;
}

bool fail_count_down(enum fail_point point)
{
	if (!fail_step(&fail_left[point]))
		return false;
	atomic_add(&failed[point], 1);
	return true;
}

bool fail_nth(enum fail_point point, u64 k)
{
	WRITE_ONCE(fail_left[point], k);
	return static_key(KEY_FAIL);
}

u64 fail_count(enum fail_point point)
{
	return atomic_load(&failed[point]);
}
