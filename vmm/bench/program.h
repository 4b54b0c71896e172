/*
 * A machine that runs one of our user programs for a benchmark, its RAM warmed; and medians.
 */
#ifndef VMM_BENCH_PROGRAM_H
#define VMM_BENCH_PROGRAM_H

#include <stddef.h>
#include <stdint.h>
#include "machine/machine.h"

/** Run user/PROGRAM with argv[1..] (argv[0] is ignored) in the machine of `config`; kernel, initrd
 * and argv are filled in. Guest RAM is touched first. 0: the program ended with status 0. Else
 * -1 with `err`. */
int bench_program(struct machine_config *config, const char *program, const char *const *argv,
		  struct mmvm_error *err);

/** Sort, and give the value of which `percent` are not above; 50 is the median. n > 0. */
uint64_t bench_percentile(uint64_t *v, size_t n, unsigned int percent);

/** What a measuring process gives up (machine_config.sandbox). NULL inside of the lab: there QEMU's sandbox
 * is around all of it, and one process measures the guest and then starts programs of its own. */
const struct sandbox_config *bench_sandbox(void);

#endif
