/*
 * mmvm run: boot a guest, run a program in it, show what its memory manager did.
 *
 *   options -> machine_config + list of observers -> machine_run() -> run_result -> table, JSON
 */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/machine_options.h"
#include "cli/perf_symbols.h"
#include "cli/root_image.h"
#include "commands.h"
#include "console/console.h"
#include "lab/lab.h"
#include "monitor.h"
#include "observe/console.h"
#include "observe/observers.h"
#include "report/report.h"
#include "sandbox/sandbox.h"
#include "result/status.h"

/** Set for the inner mmvm of the lab: the command line of the outer one. */
#define COMMAND_ENV "MMVM_COMMAND"

struct run_options {
	const char *json;
	const char *perf_symbols; /* folder */
	enum accel accel;
	bool icount, verbose, interactive;
	unsigned int sandbox_off;
	struct sandbox_config sandbox;
};

struct run {
	struct run_options opt;
	struct machine_options machine;
	struct observers observers;
	struct run_result result;
	struct symtab *symbols;
	struct console *console; /* NULL: the guest gets no input */
	struct monitor monitor;
	char root_image[PATH_MAX]; /* made of a folder, removed at the end; "": none */
};

/** A name or a number; the group is the user's own. */
static int parse_user(void *base, const char *command, const struct cli_option *option,
		      const char *value)
{
	struct sandbox_config *s = &((struct run_options *)base)->sandbox;
	const struct passwd *entry = getpwnam(value);
	uint64_t id;

	if (geteuid())
		return cli_usage_error(command, "--user %s: only root can become another user",
				       value);
	if (!entry && !cli_parse_u64(value, 1, UINT32_MAX - 1, &id)) {
		entry = getpwuid((uid_t)id);
		if (!entry) {
			*s = (struct sandbox_config){true, (uid_t)id, (gid_t)id};
			return 0;
		}
	}
	if (!entry || !entry->pw_uid)
		return cli_usage_error(command, "--user %s: no such user, or root itself", value);
	*s = (struct sandbox_config){true, entry->pw_uid, entry->pw_gid};
	return 0;
}
/** Set for the inner mmvm of the lab when somebody types at the outer one. */
#define INTERACTIVE_ENV "MMVM_INTERACTIVE"

#define AT(field) .offset = offsetof(struct run_options, field)
static const struct cli_option options[] = {
	{.name = "--json",
	 .value = "FILE",
	 .help = "write the result as JSON too (-: stdout)",
	 .kind = OPTION_TEXT,
	 AT(json),
	 .words = "@output"},
	{.name = "--accel",
	 .value = "auto|kvm|lab",
	 .help = "where to run (auto)",
	 .kind = OPTION_CHOICE,
	 AT(accel),
	 .words = CLI_ACCELS},
	{.name = "--interactive",
	 .alias = "-i",
	 .help = "type to the guest: its console is a terminal. Ctrl-A x leaves,\n"
		 "Ctrl-A c opens the monitor line. Default when the program is a shell\n"
		 "and this a terminal. Without it --exec reads standard input, if that\n"
		 "is not a terminal",
	 .kind = OPTION_FLAG,
	 AT(interactive)},
	{.name = "--icount",
	 .help = "in the lab, count instructions exactly",
	 .kind = OPTION_FLAG,
	 AT(icount)},
	{.name = "--perf-symbols",
	 .value = "DIR",
	 .help = "write guest.kallsyms and guest.modules there, for\n"
		 "perf kvm --guest --guestkallsyms=DIR/guest.kallsyms\n"
		 "--guestmodules=DIR/guest.modules record|report",
	 .kind = OPTION_TEXT,
	 AT(perf_symbols),
	 .words = "@folder",
	 .writes = "guest.kallsyms guest.modules"},
	{.name = "--sandbox",
	 .value = "on|off",
	 .help = "give up privileges and system calls before the guest begins (on)",
	 .kind = OPTION_CHOICE,
	 AT(sandbox_off),
	 .words = "on off"},
	{.name = "--user",
	 .value = "NAME",
	 .help = "as root: go on as this user (or number) when everything is open",
	 .kind = OPTION_CALL,
	 .parse = parse_user},
	{.name = "--verbose",
	 .alias = "-v",
	 .help = "all counters, all KVM statistics, guest reports",
	 .kind = OPTION_FLAG,
	 AT(verbose)},
	{0},
};
#undef AT

static unsigned int more_options(struct option_set *out, unsigned int max)
{
	out[0] = (struct option_set){.option = machine_option_table};
	return 1 + observers_option_tables(out + 1, max - 1);
}

/** Nor may an output be a file that the command line names otherwise: a program of the build, the kernel
 * that is taken when none is named. */
static int check_outputs(const struct run *run, const struct option_set *set, unsigned int nr)
{
	struct cli_file file[64];
	struct option_names names;
	unsigned int n = option_files(set, nr, file, 62, &names);

	file[n++] = (struct cli_file){.option = "--kernel", .path = run->machine.config.kernel};
	if (run->machine.program[0])
		file[n++] = (struct cli_file){.option = "--exec", .path = run->machine.program};
	return cli_check_outputs("run", file, n);
}

/** A program that wants somebody who types: a shell without a script, or busybox as one. */
static bool is_shell(const struct machine_options *o)
{
	static const char *const shells[] = {"sh", "ash", "bash", "dash", "ksh", "zsh"};
	const char *const *args = o->exec.item;
	const char *base;

	if (!o->exec.nr)
		return false;
	base = strrchr(*args, '/');
	base = base ? base + 1 : *args;
	args++;
	if (!strcmp(base, "busybox") && *args)
		base = *args++;
	while (*args && !strcmp(*args, "-i"))
		args++;
	for (size_t i = 0; !*args && i < sizeof(shells) / sizeof(shells[0]); i++)
		if (!strcmp(base, shells[i]))
			return true;
	return false;
}

/** What the guest's console gets. */
static enum console_input console_input(const struct run *run)
{
	if (run->opt.interactive)
		return CONSOLE_INPUT_TTY;
	return run->machine.exec.nr && !isatty(STDIN_FILENO) ? CONSOLE_INPUT_STREAM
							     : CONSOLE_INPUT_NONE;
}

static int parse(struct run *run, int argc, char **argv)
{
	struct option_set set[OPTION_SETS_MAX] = {{options, &run->opt},
						  {machine_option_table, &run->machine}};
	struct machine_config *c = &run->machine.config;
	const struct observer *sampled;
	unsigned int nr = 2;
	int rc;

	nr += observers_option_sets(&run->observers, set + nr, OPTION_SETS_MAX - nr);
	rc = option_parse(&command_run, set, nr, argc, argv, 2, NULL);
	if (!rc)
		rc = machine_options_apply(&run->machine, "run");
	if (rc)
		return rc;
	rc = check_outputs(run, set, nr);
	if (rc)
		return rc;
	run->opt.interactive |= lab_inside() && getenv(INTERACTIVE_ENV);
	run->opt.interactive |=
		is_shell(&run->machine) && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (run->opt.interactive && run->opt.icount)
		return cli_usage_error("run", "--icount makes the same run every time: nobody can "
					      "type to it");
	sampled = observers_need_samples(&run->observers, c);
	if (sampled && !c->tick_ms)
		return cli_usage_error("run", "--%s needs samples: --sample MS", sampled->name);
	run->observers.run.sample_ms = c->tick_ms;
	/* --dirty none: no observers, and no samples unless somebody needs them. */
	if (!c->dirty_log && !sampled) {
		run->observers.run.sample_ms = c->tick_ms = 0;
		c->untimed = true;
	}
	return 0;
}

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
		/* Without a signal it was the user who left. */
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
	enum console_input input = console_input(run);

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

static int run_in_lab(const struct run *run, int argc, char **argv)
{
	struct lab_options lab = {.icount = run->opt.icount,
				  .la57 = lab_wants_la57(run->machine.config.append),
				  .verbose = run->opt.verbose,
				  .timeout_s = run->machine.config.timeout_s};
	const struct machine_config *c = &run->machine.config;
	struct status_file *top = status_open(run->result.command);
	struct mmvm_error err = {0};
	int status = -1, lock[sizeof(c->disk) / sizeof(c->disk[0])];

	memset(lock, -1, sizeof(lock));

	if (isatty(STDOUT_FILENO))
		setenv(CONSOLE_LIVE_ENV, "1", 1);
	/* What reports show is what was typed here. */
	setenv(COMMAND_ENV, run->result.command, 1);
	if (run->opt.interactive)
		setenv(INTERACTIVE_ENV, "1", 1);
	if (console_input(run) && !run->opt.icount)
		lab.input = run->opt.interactive && isatty(STDIN_FILENO) ? LAB_INPUT_TTY
									 : LAB_INPUT_PIPE;
	/* A sealed run does not see this machine's files: it takes no samples for others. */
	if (top && !run->opt.icount)
		setenv(STATUS_ENV, status_path(top), 1);
	for (unsigned int i = 0; i < c->nr_disks; i++) {
		lock[i] = machine_disk_lock(&c->disk[i], &err);
		if (lock[i] == -1)
			goto out;
	}
	status = lab_exec(argc, argv, &lab, &err);
out:
	for (unsigned int i = 0; i < c->nr_disks; i++)
		if (lock[i] >= 0)
			close(lock[i]);
	status_close(top);
	return status < 0 ? cli_fail(&err) : status;
}

/** A result that cannot be written is known before the run, not after it. */
static int check_json_folder(const char *path)
{
	char dir[PATH_MAX];
	char *slash;

	if (!path || !strcmp(path, "-"))
		return 0;
	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = 0;
	if (!access(slash ? dir : ".", W_OK | X_OK))
		return 0;
	return cli_usage_error("run", "--json %s: cannot write into that folder: %s", path,
			       strerror(errno));
}

/** A folder as root: the image that is made of it takes its place, here and on the inner command line. */
static int make_root(struct run *run, int argc, char **argv)
{
	struct machine_options *o = &run->machine;
	struct mmvm_error err = {0};
	static char option[PATH_MAX + 8];
	struct stat st;

	if (!o->root || stat(o->root, &st) || !S_ISDIR(st.st_mode))
		return 0;
	if (root_image_make(o->root, run->root_image, sizeof(run->root_image), &err)) {
		run->root_image[0] = '\0';
		return cli_fail(&err);
	}
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--exec") || !strcmp(argv[i], "--"))
			break;
		if (!strcmp(argv[i], "--root") && i + 1 < argc) {
			argv[i + 1] = run->root_image;
		} else if (!strncmp(argv[i], "--root=", 7)) {
			snprintf(option, sizeof(option), "--root=%s", run->root_image);
			argv[i] = option;
		}
	}
	for (unsigned int i = 0; i < o->config.nr_disks; i++)
		if (o->config.disk[i].path == o->root)
			o->config.disk[i].path = run->root_image;
	return 0;
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
	accel = cli_choose_accel(run->opt.accel, run->opt.icount, r->accel_why,
				 sizeof(r->accel_why), &err);
	if (accel < 0)
		return cli_fail(&err);
	status = make_root(run, argc, argv);
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
	status = parse(run, argc, argv);
	if (!status)
		status = check_json_folder(run->opt.json);
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
	.options = options,
	.more = more_options,
};
