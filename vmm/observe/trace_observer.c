/*
 * mmvm run --trace FILE: the recorder (observe/trace.c) as an observer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cli/option.h"
#include "observe/observers.h"
#include "observe/trace.h"

#define DEFAULT_LIMIT (1ull << 30)

struct trace_state {
	const char *path;
	uint64_t limit, refs_ms;
	struct trace *trace;
	struct observation *run;
	struct machine_config config;
	struct trace_summary sum;
};

static bool wanted(const void *self, const struct observation *run,
		   const struct machine_config *config)
{
	return ((const struct trace_state *)self)->path != NULL;
}

static int on_open(void *self, struct observation *run, struct machine_config *config,
		   struct mmvm_error *err)
{
	struct trace_state *s = self;

	/* The guest samples for the access observer, too; once is enough for both. */
	if (s->refs_ms)
		config->access_ms = (unsigned int)s->refs_ms;
	s->run = run;
	s->config = *config;
	s->trace = trace_create(s->path, s->limit ? s->limit : DEFAULT_LIMIT, err);
	return s->trace ? 0 : -1;
}

static int on_start(void *self, struct machine *m, struct mmvm_error *err)
{
	struct trace_state *s = self;
	const struct observation *run = s->run;

	return trace_begin(s->trace, m, &s->config, run->symbols, run->accel, run->command, err);
}

static void on_tick(void *self, struct machine *m)
{
	trace_tick(((struct trace_state *)self)->trace);
}

static void on_exit_event(void *self, const struct machine_exit_event *e)
{
	trace_exit_event(((struct trace_state *)self)->trace, e);
}

static void on_device_event(void *self, const struct device_event *e)
{
	trace_device_event(((struct trace_state *)self)->trace, e);
}

static void on_ring_full(void *self, unsigned int cpu)
{
	trace_ring_full(((struct trace_state *)self)->trace, cpu);
}

/** What was recorded, and what was not. Lost records do not make a run fail: the file says so,
 * too. */
static int on_stop(void *self, struct machine *m, const struct machine_outcome *out)
{
	struct trace_state *s = self;
	const struct trace_summary *sum = &s->sum;

	trace_end(s->trace, out->kind == OUTCOME_EXITED, &s->sum);
	fprintf(stderr,
		"mmvm: trace: %" PRIu64 " records of the guest, %" PRIu64 " of the host, %" PRIu64
		" KiB in %s\n",
		sum->guest_records, sum->host_records, sum->bytes >> 10, s->path);
	if (sum->guest_dropped || sum->file_dropped)
		fprintf(stderr,
			"mmvm: trace: dropped: %" PRIu64 " that found no room in a ring, %" PRIu64
			" beyond the file's limit\n",
			sum->guest_dropped, sum->file_dropped);
	if (sum->broken_rings)
		fprintf(stderr,
			"mmvm: trace: the guest has damaged its rings (CPUs 0x%" PRIx64 ")\n",
			sum->broken_rings);
	if (!sum->write_error)
		return 0;
	fprintf(stderr, "mmvm: cannot write %s: %s\n", s->path, strerror(sum->write_error));
	return MMVM_EXIT_HOST;
}

static void on_cost(void *self, struct machine *m, struct run_result *r)
{
	const struct trace_summary *sum = &((struct trace_state *)self)->sum;

	run_result_add_observer(r, &(struct run_observer){.name = "trace",
							  .times = sum->drains,
							  .ns = sum->ns,
							  .exits = sum->full,
							  .note = "records taken"});
}

static void on_close(void *self)
{
	trace_free(((struct trace_state *)self)->trace);
}

static const struct cli_option options[] = {
	{.name = "--trace",
	 .value = "FILE",
	 .help = "record what guest and host do, for mmvm trace and mmvm page",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct trace_state, path),
	 .words = "@output"},
	{.name = "--refs",
	 .value = "MS",
	 .help = "with --trace: every MS milliseconds, which pages were used since,\n"
		 "by the accessed bits of the guest's page tables, for mmvm policy",
	 .kind = OPTION_U64,
	 .offset = offsetof(struct trace_state, refs_ms),
	 .min = 1,
	 .max = 3600000},
	{.name = "--trace-limit",
	 .value = "SIZE",
	 .help = "of that file; what comes later is counted (1G)",
	 .kind = OPTION_SIZE,
	 .offset = offsetof(struct trace_state, limit),
	 .min = 1,
	 .max = INT64_MAX},
	{0},
};

const struct observer trace_observer = {
	.name = "trace",
	.what = "a recording of what guest and host do, on one clock",
	.size = sizeof(struct trace_state),
	.options = options,
	.wanted = wanted,
	.open = on_open,
	.start = on_start,
	.tick = on_tick,
	.every_tick = true,
	.exit_event = on_exit_event,
	.device_event = on_device_event,
	.ring_full = on_ring_full,
	.stop = on_stop,
	.cost = on_cost,
	.close = on_close,
};
