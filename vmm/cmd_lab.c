/*
 * mmvm lab [--icount] [--cpus N] [--memory SIZE] [-v] [--] COMMAND [ARGS]: any command, inside the lab.
 *
 * There it finds this machine's files and a /dev/kvm that works as on SVM hardware.
 */
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"
#include "commands.h"
#include "lab/lab.h"

static int parse_memory(void *base, const char *command, const struct cli_option *o,
			const char *value)
{
	struct lab_options *opt = base;
	uint64_t bytes;

	if (cli_parse_size(value, &bytes) || bytes < (256 << 20) || bytes > (64ULL << 30))
		return cli_usage_error(command, "--memory %s: from 256M to 64G", value);
	opt->ram_mb = (unsigned int)(bytes >> 20);
	return 0;
}

static int parse_cpus(void *base, const char *command, const struct cli_option *o,
		      const char *value)
{
	struct lab_options *opt = base;
	uint64_t cpus;

	if (cli_parse_u64(value, 1, 8, &cpus))
		return cli_usage_error(command, "--cpus %s: from 1 to 8", value);
	opt->cpus = (unsigned int)cpus;
	return 0;
}

static int parse_patience(void *base, const char *command, const struct cli_option *o,
			  const char *value)
{
	struct lab_options *opt = base;
	uint64_t seconds;

	if (cli_parse_u64(value, 5, 3600, &seconds))
		return cli_usage_error(command, "--patience %s: from 5 to 3600 seconds", value);
	opt->patience_s = (int)seconds;
	return 0;
}

static const struct cli_option options[] = {
	{.name = "--cpus",
	 .value = "N",
	 .help = "CPUs of the lab (1); with --icount they take turns",
	 .kind = OPTION_CALL,
	 .parse = parse_cpus},
	{.name = "--icount",
	 .help = "the TSC counts instructions; the command sees copies of the files it\n"
		 "is named on its command line",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct lab_options, icount)},
	{.name = "--memory",
	 .value = "SIZE",
	 .help = "RAM of the lab (1G)",
	 .kind = OPTION_CALL,
	 .parse = parse_memory},
	{.name = "--patience",
	 .value = "S",
	 .help = "it hangs when it says nothing for S seconds of its own time (30; with\n"
		 "--icount 240)",
	 .kind = OPTION_CALL,
	 .parse = parse_patience},
	{.name = "-v",
	 .help = "show its kernel's console",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct lab_options, verbose)},
	{0},
};

static bool takes_value(const char *name)
{
	for (const struct cli_option *o = options; o->name; o++)
		if (!strcmp(o->name, name))
			return o->value;
	return false;
}

/** Options end at "--" or at the first word that is none. */
static int cmd_lab(const struct command *self, int argc, char **argv)
{
	struct lab_options opt = {0};
	struct mmvm_error err = {0};
	int end = 2, status;

	while (end < argc && argv[end][0] == '-' && strcmp(argv[end], "--"))
		end += takes_value(argv[end]) ? 2 : 1;
	status = command_parse(self, &opt, end < argc ? end : argc, argv, NULL);
	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	if (end < argc && !strcmp(argv[end], "--"))
		end++;
	if (end >= argc)
		return cli_usage_error("lab", "no command given");
	status = lab_exec_command(argc - end, argv + end, &opt, &err);
	return status < 0 ? cli_fail(&err) : status;
}

const struct command command_lab = {
	.name = "lab",
	.run = cmd_lab,
	.what = "run any command inside the lab (QEMU emulating SVM)",
	.synopsis = "[OPTIONS] [--] COMMAND [ARGS]",
	.about = "Run a command inside QEMU's emulation of an SVM machine, with this machine's "
		 "files.",
	.options = options,
	.operands = "@file",
};
