/*
 * mmvm: a testbed for memory management on KVM. This file finds the sub-command; each lives in its
 * own cmd_*.c.
 */
#include <stdio.h>
#include <string.h>
#include "commands.h"
#include "machine/machine.h"
#include "mmvm/layout.h"

#define MMVM_VERSION "0.1"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{"run", cmd_run, "boot a guest, run a program in it, show what its memory manager did"},
	{"test", cmd_test, "run the guest's test suites, each test in a fresh machine"},
	{"bench", cmd_bench, "what operations cost, in guestmm and in Linux"},
	{"profile", cmd_profile, "what one operation costs in the guest, function by function"},
	{"report", cmd_report, "a page with plots, a CSV or metrics from the JSON of a run"},
	{"compare", cmd_compare, "what changed between runs, and whether it is more than noise"},
	{"page", cmd_page, "the life of a page, from a run recorded with --trace"},
	{"trace", cmd_trace, "such a recording for Perfetto's viewer, as text or as CSV"},
	{"top", cmd_top, "a running machine in the terminal"},
	{"doctor", cmd_doctor, "what this host can do, and what is missing"},
	{"lab", cmd_lab, "run any command inside the lab (QEMU emulating SVM)"},
};

static int usage(FILE *to, int status)
{
	fprintf(to, "usage: mmvm COMMAND [OPTIONS]\n\n");
	for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].what);
	fprintf(to, "\n`mmvm COMMAND --help` lists a command's options.\n"
		    "Exit status: 0 all well, 1 a program or check failed, 2 wrong usage, 3 this "
		    "host cannot run it,\n4 the guest crashed, 124 time limit, 128+N ended by "
		    "signal N.\n");
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, MMVM_EXIT_USAGE);
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return usage(stdout, MMVM_EXIT_OK);
	if (!strcmp(argv[1], "--version")) {
		printf("mmvm %s, contract version %u\n", MMVM_VERSION, MMVM_CONTRACT_VERSION);
		return MMVM_EXIT_OK;
	}
	for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc, argv);
	fprintf(stderr, "mmvm: there is no command '%s'\n\n", argv[1]);
	return usage(stderr, MMVM_EXIT_USAGE);
}
