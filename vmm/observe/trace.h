/*
 * Recording a trace of a run: what the guest tells in its rings and what the host sees, in one file
 * (observe/trace_file.h).
 *
 *   trace_create -> machine_create -> trace_begin -> machine_run, trace_tick at each tick,
 *   events as they come -> trace_end -> trace_free
 */
#ifndef VMM_OBSERVE_TRACE_H
#define VMM_OBSERVE_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include "machine/machine.h"
#include "machine/observer.h"

struct trace;

/** Create the file. `limit`: bytes at most; what comes later is counted, not kept. NULL: see err. */
struct trace *trace_create(const char *path, uint64_t limit, struct mmvm_error *err);
/** The machine is there and does not run yet: rings, header, names. `accel`, `command`: for the
 * header. 0, or -1 with err. */
int trace_begin(struct trace *t, struct machine *m, const struct machine_config *config,
		const struct symtab *symbols, const char *accel, const char *command,
		struct mmvm_error *err);
/** Take what lies in the rings, read the dirty log and KVM's statistics. */
void trace_tick(struct trace *t);

/** From the threads where they happen. */
void trace_exit_event(struct trace *t, const struct machine_exit_event *e);
void trace_device_event(struct trace *t, const struct device_event *e);
void trace_ring_full(struct trace *t, unsigned int cpu);

/** What the trace has cost, and what it lost. */
struct trace_summary {
	uint64_t guest_records, host_records, guest_dropped, file_dropped, broken_rings;
	uint64_t bytes;	      /* of the file */
	uint64_t ns, drains;  /* spent in taking records, and how often */
	uint64_t full;	      /* of these because a ring was full */
	int write_error;      /* errno, or 0 */
	int64_t clock_drift;  /* ticks between the two measurements of the offset */
	uint64_t clock_error; /* ticks, of both together */
};
/** The machine has stopped: the rest of the rings, the guest's counters, the end. */
void trace_end(struct trace *t, bool exited, struct trace_summary *sum);
void trace_free(struct trace *t);

#endif
