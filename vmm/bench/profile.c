/*
 * One operation, one machine, one profile.
 *
 * The machine is the one the guest's test asks for, its seed is fixed, and there is no disk behind
 * it: what the guest does from its first instruction on depends on nothing but the clock.
 */
#include "bench/profile.h"
#include "bench/program.h"

#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "harness/harness.h"
#include "machine/cpio.h"
#include "observe/audit_observer.h"
#include "report/report.h"

#define LIMIT_S 120

struct run {
	const struct symtab *symbols;
	struct profiler *profiler;
};

static const char *name_of(const void *arg, uint64_t rip, char *buf, size_t size)
{
	return symtab_name(arg, rip, buf, size);
}

static void on_step(void *self, struct machine *m, const struct machine_step *step)
{
	profiler_step(((struct run *)self)->profiler, step);
}

static const struct observer step_observer = {
	.name = "steps",
	.what = "every instruction of one operation",
	.step = on_step,
};

/** The plan of test "profile.OP". */
static int find_plan(const char *kernel, const char *test, struct test_plan *plan,
		     struct mmvm_error *err)
{
	struct catalog c;
	int rc = -1;

	if (catalog_load(kernel, &c, err))
		return -1;
	mmvm_error(err, MMVM_EXIT_USAGE, "there is no operation '%s' (mmvm profile --list)",
		   test + strlen(PROFILE_SUITE));
	for (unsigned int i = 0; i < c.nr; i++)
		if (!strcmp(c.test[i].name, test))
			rc = plan_parse(c.test[i].args, plan, err);
	catalog_free(&c);
	return rc;
}

static int run_machine(struct machine_config *config, const char *op, char *backend,
		       struct mmvm_error *err)
{
	struct machine_outcome outcome;
	struct machine *m = machine_create(config, err);
	int rc = 0;

	if (!m)
		return -1;
	snprintf(backend, 32, "%s", machine_backend(m));
	cli_stop_on_signals(m);
	machine_run(m, &outcome);
	cli_stop_on_signals(NULL);
	if (outcome.kind != OUTCOME_EXITED || outcome.status) {
		report_console_tail(stderr, "    ", machine_console(m, NULL), 12);
		rc = mmvm_error(err,
				outcome.kind == OUTCOME_STOPPED	  ? 128 + cli_signal()
				: outcome.kind == OUTCOME_TIMEOUT ? MMVM_EXIT_TIMEOUT
				: outcome.kind == OUTCOME_CRASHED ? MMVM_EXIT_CRASHED
								  : MMVM_EXIT_FAILED,
				"%s: guest %s, status %d %s", op, outcome_name(outcome.kind),
				outcome.status, outcome.text);
	}
	machine_destroy(m);
	return rc;
}

struct profiler *profile_operation(const char *kernel, const char *op, char *backend,
				   struct mmvm_error *err)
{
	char test[64], path[4096];
	struct audit_watch audit = {.prefix = "    "};
	struct observers observers = {.nr = 0};
	struct machine_config config = {.kernel = kernel,
					.test = test,
					.seed = 1,
					.timeout_s = LIMIT_S,
					.console_fd = -1,
					.observers = &observers,
					.sandbox = bench_sandbox()};
	struct profiler *done = NULL;
	const struct profile *p;
	struct cpio initrd = {0};
	struct run run = {0};
	struct test_plan plan;

	snprintf(test, sizeof(test), PROFILE_SUITE "%.40s", op);
	if (find_plan(kernel, test, &plan, err))
		return NULL;
	config.ram_low = plan.ram_low;
	config.ram_high = plan.ram_high;
	config.cpus = plan.cpus;
	run.symbols = symtab_load(kernel);
	run.profiler = profiler_new(name_of, run.symbols);
	observers.run.symbols = run.symbols;
	observers_attach(&observers, &step_observer, &run);
	observers_attach(&observers, &audit_observer, &audit);
	cli_built_path("user/profile_mem", path, sizeof(path));
	if (!run.symbols || !run.profiler) {
		mmvm_error(err, MMVM_EXIT_HOST, "%s: cannot read its symbols", kernel);
		goto out;
	}
	if (cpio_add_file(&initrd, "user/profile_mem", path, err) || cpio_finish(&initrd)) {
		if (!*err->text)
			mmvm_error(err, MMVM_EXIT_HOST, "out of memory");
		goto out;
	}
	config.initrd = initrd.data;
	config.initrd_len = initrd.len;
	if (run_machine(&config, op, backend, err))
		goto out;
	p = profiler_result(run.profiler);
	if (*p->error) {
		mmvm_error(err, MMVM_EXIT_HOST, "%s: %s", op, p->error);
		goto out;
	}
	done = run.profiler;
	run.profiler = NULL;
out:
	cpio_free(&initrd);
	profiler_free(run.profiler);
	symtab_free((struct symtab *)run.symbols);
	return done;
}
