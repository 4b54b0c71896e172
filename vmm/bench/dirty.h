/*
 * What the dirty log costs: `mmvm bench dirty`.
 *
 *   cmd_bench_dirty -- for each repetition, for each mode and size, a process of its own --
 *                          `mmvm bench --inner dirty MODE MB ITERATIONS`   bench_dirty()
 *
 * Lines of the inner command, read by the outer one; NAME is of enum dirty_value:
 *   dirty NAME VALUE    nanoseconds (pages for "pages")
 *   dirty NAME@I VALUE  of iteration I
 *   note TEXT           why there is nothing
 */
#ifndef VMM_BENCH_DIRTY_H
#define VMM_BENCH_DIRTY_H

#include <stdint.h>
#include <stdio.h>

#define DIRTY_MAX_ITERATIONS 16u

/** One value a machine. */
#define DIRTY_VALUES(X)                                                               \
	X(DV_POPULATE, "populate", "Populate memory time")                            \
	X(DV_PLAIN, "plain", "Write pass without a log time") /* the better of two */ \
	X(DV_AGAIN, "again", "The same again time")	      /* the other */         \
	X(DV_ENABLE, "enable", "Enabling dirty logging time")                         \
	X(DV_DISABLE, "disable", "Disabling dirty logging time")                      \
	X(DV_AFTER, "after", "Write pass afterwards time")
/** One value an iteration. */
#define DIRTY_ITER_VALUES(X)                         \
	X(DI_DIRTY, "dirty", "dirty memory time")    \
	X(DI_GET, "get", "get dirty log time")       \
	X(DI_CLEAR, "clear", "clear dirty log time") \
	X(DI_PAGES, "pages", "pages in the log")

#define DIRTY_ENUM_(id, name, text) id,
enum dirty_value { DIRTY_VALUES(DIRTY_ENUM_) NR_DIRTY_VALUES };
enum dirty_iter_value { DIRTY_ITER_VALUES(DIRTY_ENUM_) NR_DIRTY_ITER_VALUES };
#undef DIRTY_ENUM_

struct dirty_run {
	uint64_t value[NR_DIRTY_VALUES];
	uint64_t iter[DIRTY_MAX_ITERATIONS][NR_DIRTY_ITER_VALUES];
	unsigned int iterations; /* seen */
};

/** Inner: one machine. Returns 0, or -1 with a note written. */
int bench_dirty(FILE *out, const char *mode, uint64_t mb, unsigned int iterations);
/** Take a line of the inner command; 0 or -EINVAL. */
int dirty_run_line(struct dirty_run *run, const char *line);

#endif
