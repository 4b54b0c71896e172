/*
 * Pointer chases in a guest of our own making: no kernel, a page of code in user mode, page tables
 * written by the host with 4 KiB or with 2 MiB pages.
 */
#ifndef VMM_BENCH_CHASE_H
#define VMM_BENCH_CHASE_H

#include <stdint.h>
#include "bench/walk2d.h"
#include "machine/machine.h"
#include "observe/perf.h"

#define CHASE_MAX_FOOTPRINTS 16u
#define CHASE_MAX_MB	     512u

struct chase_config {
	enum walk2d_size guest, host; /* page sizes */
	uint64_t mb;		      /* the largest footprint */
	uint64_t steps;		      /* of a timed chase */
	uint64_t seed;		      /* of the order; not 0 */
};
struct chase_sample {
	uint64_t kib;
	uint64_t ps, noise_ps; /* a step: the better of two chases, their difference */
	uint64_t count_x1000[NR_PERF_COUNTERS]; /* a step, of the better one */
};
struct chase_result {
	struct chase_sample sample[CHASE_MAX_FOOTPRINTS];
	unsigned int nr;
	uint64_t tsc_hz;
	uint64_t huge_bytes; /* of the memory chased through, that the host maps with 2 MiB pages */
	char counter_why[NR_PERF_COUNTERS][80]; /* empty: counted */
};

/** Footprints of 16 KiB, four times that, and so on, and `mb`. 0, CHASE_NO_HUGE_PAGES when 2 MiB host
 * pages were not to be had, or -1 with `err`. */
#define CHASE_NO_HUGE_PAGES 1
int chase_run(const struct chase_config *c, struct chase_result *out, struct mmvm_error *err);

#endif
