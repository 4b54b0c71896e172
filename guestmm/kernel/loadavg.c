/*
 * Load averages: the number of tasks that run or are runnable, averaged over 1, 5 and 15 minutes.
 *
 *   load = load * e + running * (1 - e)      every 5 seconds, e = exp(-5 s / 1, 5, 15 min)
 *
 * No timer fires every 5 seconds. Instead, the averages are updated when the scheduler switches tasks and
 * when they are read. If several periods have passed, each is counted with the tasks that run now.
 *
 * There is no lock, but a flag that is set while one CPU updates the averages. Other CPUs then do not.
 */
#include "kernel/loadavg.h"
#include "lib/atomic.h"
#include "lib/env.h"

#define ONE (1ull << LOAD_SHIFT)

/* exp(-1/12), exp(-1/60), exp(-1/180) */
static const u64 decay[3] = {1884, 2014, 2037};
static u64 average[3];
u64 load_next = LOAD_PERIOD_NS;
static u32 busy;

/* x to the power of n; x and the result are fixed-point numbers, n is an integer. */
static u64 power(u64 x, u64 n)
{
	u64 result = ONE;

	for (; n; n >>= 1) {
		if (n & 1)
			result = (result * x + ONE / 2) >> LOAD_SHIFT;
		x = (x * x + ONE / 2) >> LOAD_SHIFT;
	}
	return result;
}

u64 load_decay(u64 load, u64 per_period, u64 running, u64 periods)
{
	u64 e = power(per_period, periods), active = running << LOAD_SHIFT;
	u64 sum = load * e + active * (ONE - e);

	if (active >= load)
		sum += ONE - 1; /* round up, so that a rising average reaches its limit */
	return sum >> LOAD_SHIFT;
}

void load_update(u64 now, u32 running)
{
	u64 periods;

	if (now < READ_ONCE(load_next) || atomic_xchg(&busy, 1))
		return;
	if (now >= load_next) {
		periods = (now - load_next) / LOAD_PERIOD_NS + 1;
		for (int i = 0; i < 3; i++)
			average[i] = load_decay(average[i], decay[i], running, periods);
		WRITE_ONCE(load_next, load_next + periods * LOAD_PERIOD_NS);
	}
	atomic_store_release(&busy, 0);
}

void load_read(u64 load[3], u64 now, u32 running)
{
	load_update(now, running);
	for (int i = 0; i < 3; i++)
		load[i] = READ_ONCE(average[i]);
}
