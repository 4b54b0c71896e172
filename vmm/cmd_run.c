/*
 * mmvm run: boot a guest, run a program in it, show what its memory manager did. The other parts: run.h.
 *
 *   options -> machine_config + list of observers -> machine_run() -> run_result -> table, JSON
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/perf_symbols.h"
#include "commands.h"
#include "lab/lab.h"
#include "report/report.h"
#include "run.h"

static int exit_status(const struct run_result *r)
{
	switch (r->outcome.kind) {
	case OUTCOME_EXITED:
		return r->outcome.status || !run_result_checks_ok(r) || r->audit_findings
			       ? MMVM_EXIT_FAILED
			       : MMVM_EXIT_OK;
	case OUTCOME_CRASHED:
		return MMVM_EXIT_CRASHED;
	case OUTCOME_TIMEOUT:
		return MMVM_EXIT_TIMEOUT;
	case OUTCOME_STOPPED:
		/* Without a signal the user has ended the session. */
		return cli_signal() ? 128 + cli_signal() : MMVM_EXIT_OK;
	default:
		return MMVM_EXIT_HOST;
	}
}

/** Crash report, table, JSON. Returns the exit status. */
static int report(struct run *run, struct machine *m)
{
	struct report_options opt = {.colour = report_want_colour(stdout),
				     .verbose = run->opt.verbose};
	struct run_result *r = &run->result;
	const char *console;
	size_t len;
	int rc;

	r->exit_status = exit_status(r);
	console = machine_console(m, &len);
	if (len && console[len - 1] != '\n')
		putchar('\n');
	if (r->outcome.kind == OUTCOME_CRASHED || r->outcome.kind == OUTCOME_TIMEOUT)
		report_crash(stdout, m, &r->outcome, run->symbols);
	rc = report_table(stdout, r, &opt);
	if (fflush(stdout) || rc) {
		fprintf(stderr, "mmvm: cannot write the report: %s\n", strerror(errno));
		if (!r->exit_status)
			r->exit_status = MMVM_EXIT_HOST;
	}
	if (!run->opt.json)
		return r->exit_status;
	rc = report_write_file_atomic(run->opt.json, report_emit_json, r);
	if (rc) {
		fprintf(stderr, "mmvm: cannot write %s: %s\n", run->opt.json, strerror(-rc));
		if (!r->exit_status)
			r->exit_status = MMVM_EXIT_HOST;
	}
	return r->exit_status;
}

static void on_monitor_line(void *monitor, const char *line)
{
	monitor_command(monitor, line);
}

static int open_console(struct run *run, struct mmvm_error *err)
{
	enum console_input input = run_console_input(run);

	return input ? console_open(&run->console, input, &run->machine.config, err) : 0;
}

static int start_console(struct run *run, struct machine *m, struct mmvm_error *err)
{
	run->monitor = (struct monitor){.m = m, .symbols = run->symbols};
	return run->console ? console_start(run->console, m, on_monitor_line, &run->monitor, err)
			    : 0;
}

static int run_here(struct run *run)
{
	struct machine_config *c = &run->machine.config;
	struct machine_outcome out;
	struct mmvm_error err = {0};
	struct machine *m;
	int status, watch_status;

	if (machine_options_initrd(&run->machine, &err))
		return cli_fail(&err);
	run->symbols = symtab_load(c->kernel);
	run->observers.run.symbols = run->symbols;
	run->observers.run.result = &run->result;
	run->observers.run.accel = run->result.accel;
	run->observers.run.command = run->result.command;
	if (open_console(run, &err))
		return cli_fail(&err);
	observers_drop_unwanted(&run->observers, c);
	c->observers = &run->observers;
	if (!run->opt.sandbox_off)
		c->sandbox = &run->opt.sandbox;
	else if (run->opt.sandbox.change_user)
		return cli_usage_error("run", "--user goes with the sandbox, which is off");
	cli_stop_on_signals(NULL);
	m = machine_create(c, &err);
	if (!m)
		return cli_fail(&err);
	machine_options_free(&run->machine);
	cli_stop_on_signals(m);
	if (start_console(run, m, &err)) {
		machine_destroy(m);
		return cli_fail(&err);
	}
	machine_run(m, &out);
	if (run->console)
		console_stop(run->console);
	/* All that is left to do may be cut short: it writes whole files or none. */
	cli_default_signals();
	watch_status = observers_stop(&run->observers, m, &out);
	observers_result(&run->observers, m, &run->result);
	status = report(run, m);
	machine_destroy(m);
	return status ? status : watch_status;
}

static int run_somewhere(struct run *run, int argc, char **argv)
{
	struct run_result *r = &run->result;
	struct mmvm_error err = {0};
	int accel, status;

	if (run->opt.perf_symbols && !lab_inside() &&
	    perf_symbols_write(run->opt.perf_symbols, run->machine.config.kernel, &err))
		return cli_fail(&err);
	if (lab_inside() && getenv(COMMAND_ENV))
		run_result_set_command(r, 1, (char *[]){getenv(COMMAND_ENV)});
	else
		run_result_set_command(r, argc, argv);
	accel = cli_choose_accel(run->opt.accel, run->opt.icount ? NEED_ICOUNT : NEED_NOTHING,
				 r->accel_why, sizeof(r->accel_why), &err);
	if (accel < 0)
		return cli_fail(&err);
	status = run_make_root(run, argc, argv);
	if (status)
		return status;
	if (accel == ACCEL_LAB) {
		fprintf(stderr, "mmvm: running in the lab (%s)\n", r->accel_why);
		return run_in_lab(run, argc, argv);
	}
	snprintf(r->accel, sizeof(r->accel), "%s", lab_inside() ? "lab" : "kvm");
	if (run->opt.accel == ACCEL_AUTO && !lab_inside())
		fprintf(stderr, "mmvm: running directly (%s)\n", r->accel_why);
	return run_here(run);
}

static int cmd_run(const struct command *self, int argc, char **argv)
{
	struct run *run = calloc(1, sizeof(*run));
	struct mmvm_error err = {0};
	int status;

	if (!run)
		return MMVM_EXIT_HOST;
	machine_options_init(&run->machine);
	run_result_init(&run->result);
	if (observers_attach_all(&run->observers, &err)) {
		status = cli_fail(&err);
		goto out;
	}
	status = run_parse(run, argc, argv);
	if (status)
		status = status < 0 ? MMVM_EXIT_OK : status;
	else
		status = run_somewhere(run, argc, argv);
out:
	if (run->root_image[0])
		unlink(run->root_image);
	free(run->machine.append_root);
	console_free(run->console);
	observers_close(&run->observers);
	symtab_free(run->symbols);
	machine_options_free(&run->machine);
	run_result_free(&run->result);
	free(run);
	return status;
}

const struct command command_run = {
	.name = "run",
	.run = cmd_run,
	.what = "boot a guest, run a program in it, show what its memory manager did",
	.synopsis = "[OPTIONS]",
	.about = "Boot a guest whose kernel is a memory manager, run a program in it, and show "
		 "what both\n"
		 "sides saw. Sizes: 4096, 64K, 48M, 1G.",
	.options = run_option_table,
	.more = run_more_options,
};
