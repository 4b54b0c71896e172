/*
 * The status file of a run (result/status.h), for mmvm top.
 */
#include "observe/observers.h"
#include "result/status.h"

struct status_state {
	struct status_file
		*file; /* NULL: there is no place for the file; the run goes on without it */
	struct observation *run;
	struct machine_config config;
};

static int on_open(void *self, struct observation *run, struct machine_config *config,
		   struct mmvm_error *err)
{
	struct status_state *s = self;

	s->run = run;
	s->config = *config;
	s->file = status_open(run->command);
	return 0;
}

static int on_start(void *self, struct machine *m, struct mmvm_error *err)
{
	struct status_state *s = self;

	if (s->file)
		status_describe(s->file, m, &s->config, s->run->accel);
	return 0;
}

/** From the newest sample. */
static void on_tick(void *self, struct machine *m)
{
	struct status_state *s = self;
	const struct run_result *r = s->run->result;

	if (s->file && r->nr_samples)
		status_write(s->file, m, r->samples[r->nr_samples - 1].t_ns, r->dirty_pages_total);
}

static void on_close(void *self)
{
	status_close(((struct status_state *)self)->file);
}

const struct observer status_observer = {
	.name = "status",
	.what = "a small file that mmvm top reads",
	.size = sizeof(struct status_state),
	.open = on_open,
	.start = on_start,
	.tick = on_tick,
	.close = on_close,
};
