/*
 * The processor's own counts of what a vCPU did, where the host lets us have them: opened for one
 * thread, guest mode only. What cannot be had says why, and is never 0.
 */
#ifndef VMM_OBSERVE_PERF_H
#define VMM_OBSERVE_PERF_H

#include <stdbool.h>
#include <stdint.h>

/* Number, name, what it counts. */
#define PERF_COUNTERS(X)                                                               \
	X(PERF_DTLB_MISSES, "dtlb_misses", "data TLB misses of reads")                 \
	X(PERF_WALK_CYCLES, "walk_cycles", "cycles of page walks for reads")           \
	X(PERF_EPT_CYCLES, "second_stage_walk_cycles", "cycles of second-stage walks") \
	X(PERF_CYCLES, "cycles", "core cycles")                                        \
	X(PERF_INSTRUCTIONS, "instructions", "instructions retired")

#define PERF_ENUM_(id, name, what) id,
enum perf_counter { PERF_COUNTERS(PERF_ENUM_) NR_PERF_COUNTERS };
#undef PERF_ENUM_

const char *perf_counter_name(enum perf_counter c);
const char *perf_counter_what(enum perf_counter c);

struct perf_vcpu {
	int fd[NR_PERF_COUNTERS]; /* -1: not available */
	char why[NR_PERF_COUNTERS][80];
};
/** Open what there is for thread `tid` (0: this one). Always close. */
void perf_vcpu_open(struct perf_vcpu *p, int tid);
void perf_vcpu_close(struct perf_vcpu *p);
/** The counts since opening, 0 for those not available; scaled when the kernel had to share. */
void perf_vcpu_read(const struct perf_vcpu *p, uint64_t value[NR_PERF_COUNTERS]);

#endif
