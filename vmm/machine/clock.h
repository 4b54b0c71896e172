/* The clocks of the VMM, in nanoseconds. */
#ifndef VMM_MACHINE_CLOCK_H
#define VMM_MACHINE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_read_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/** For durations: CLOCK_MONOTONIC. */
static inline uint64_t machine_now_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

/** Since 1970: CLOCK_REALTIME. */
static inline uint64_t machine_unix_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

#endif
