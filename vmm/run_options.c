/* The command line of mmvm run. Options of the machine are in cli/machine_options.c, those of observers beside them. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "commands.h"
#include "lab/lab.h"
#include "run.h"

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

#define AT(field) .offset = offsetof(struct run_options, field)
const struct cli_option run_option_table[] = {
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
	{.name = "--console",
	 .value = "serial|virtio",
	 .help = "the terminal's device (serial): ttyS0, or hvc0, which tells Linux the\n"
		 "window's size",
	 .kind = OPTION_CHOICE,
	 AT(console),
	 .words = "serial virtio"},
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

unsigned int run_more_options(struct option_set *out, unsigned int max)
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

/** A program that needs a terminal: a shell without a script, or busybox as one. */
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

enum console_input run_console_input(const struct run *run)
{
	if (run->opt.interactive)
		return CONSOLE_INPUT_TTY;
	return run->machine.exec.nr && !isatty(STDIN_FILENO) ? CONSOLE_INPUT_STREAM
							     : CONSOLE_INPUT_NONE;
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

int run_parse(struct run *run, int argc, char **argv)
{
	struct option_set set[OPTION_SETS_MAX] = {{run_option_table, &run->opt},
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
	c->virtio_console = run->opt.console == CONSOLE_VIRTIO;
	if (c->virtio_console && run_console_input(run) == CONSOLE_INPUT_STREAM)
		return cli_usage_error(
			"run", "--console virtio cannot tell the guest that standard input is at "
			       "its end: use -i, or the serial console");
	sampled = observers_need_samples(&run->observers, c);
	if (sampled && !c->tick_ms)
		return cli_usage_error("run", "--%s needs samples: --sample MS", sampled->name);
	run->observers.run.sample_ms = c->tick_ms;
	/* --dirty none: no observers, and no samples unless somebody needs them. */
	if (!c->dirty_log && !sampled) {
		run->observers.run.sample_ms = c->tick_ms = 0;
		c->untimed = true;
	}
	return check_json_folder(run->opt.json);
}
