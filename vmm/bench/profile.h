/*
 * Profiles of guest operations: the tests "profile.NAME" of the guest kernel, each run in a machine
 * of its own that is single-stepped between the operation's marks.
 */
#ifndef VMM_BENCH_PROFILE_H
#define VMM_BENCH_PROFILE_H

#include "machine/machine.h"
#include "observe/step_profile.h"

#define PROFILE_SUITE "profile."

/** Profile the operation: NULL with `err` when the host cannot, the guest failed, or there is no
 * such operation. `backend` (32 bytes) gets the host's name for itself. Free with
 * profiler_free(); what is to be seen is profiler_result(). */
struct profiler *profile_operation(const char *kernel, const char *op, char *backend,
				   struct mmvm_error *err);

#endif
