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

static const struct command *const commands[] = {
	&command_run,	 &command_test,	   &command_bench, &command_profile,
	&command_report, &command_compare, &command_page,  &command_trace,
	&command_top,	 &command_doctor,  &command_lab,   &command_policy,
};
#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int usage(FILE *to, int status)
{
	fprintf(to, "usage: mmvm COMMAND [OPTIONS]\n\n");
	for (unsigned int i = 0; i < NR_COMMANDS; i++)
		fprintf(to, "  %-8s %s\n", commands[i]->name, commands[i]->what);
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
	for (unsigned int i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i]->name))
			return commands[i]->run(commands[i], argc, argv);
	fprintf(stderr, "mmvm: there is no command '%s'\n\n", argv[1]);
	return usage(stderr, MMVM_EXIT_USAGE);
}
