/*
 * mmvm: a testbed for memory management on KVM. This file finds the sub-command; each lives in its
 * own cmd_*.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bench/where.h"
#include "cli/cli.h"
#include "commands.h"
#include "machine/machine.h"
#include "mmvm/layout.h"
#include "report/report.h"
#include "sandbox/sandbox.h"

#define MMVM_VERSION "0.1"

static const struct command *const commands[] = {
	&command_run,	  &command_test,   &command_bench,  &command_profile, &command_report,
	&command_compare, &command_page,   &command_trace,  &command_top,     &command_doctor,
	&command_lab,	  &command_policy, &command_versus,
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

/** All commands that have options, those of two words too. */
static const struct command *any_command(unsigned int i)
{
	static const struct command *const two_words[] = {&command_bench_boot, &command_bench_dirty,
							  &command_bench_tlb, &command_bench_fault};
	const unsigned int nr = sizeof(two_words) / sizeof(two_words[0]);

	if (i < NR_COMMANDS)
		return commands[i];
	return i - NR_COMMANDS < nr ? two_words[i - NR_COMMANDS] : NULL;
}

/** The script that bash runs: what may stand at the cursor. */
static int completion(void)
{
	const struct command *c;

	fputs("# bash completion for mmvm(1), written by `mmvm completion`\n"
	      "_mmvm_tables() {\n\tcase $command in\n",
	      stdout);
	for (unsigned int i = 0; (c = any_command(i)); i++)
		command_completion(stdout, c);
	fputs("\tesac\n}\n"
	      "_mmvm() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal command=${COMP_WORDS[1]} values options operands candidates\n"
	      "\tunset values\n"
	      "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\tcandidates='help",
	      stdout);
	for (unsigned int i = 0; i < NR_COMMANDS; i++)
		printf(" %s", commands[i]->name);
	fputs("'\n\telse\n"
	      "\t\tcase \"$command ${COMP_WORDS[2]}\" in\n"
	      "\t\t'bench dirty'|'bench tlb'|'bench fault')\n"
	      "\t\t\t[ \"$COMP_CWORD\" = 2 ] || command=\"bench ${COMP_WORDS[2]}\" ;;\n"
	      "\t\tesac\n"
	      "\t\t_mmvm_tables\n"
	      "\t\tif [ -n \"${values+set}\" ]; then candidates=$values\n"
	      "\t\telif [ \"${cur#-}\" != \"$cur\" ]; then candidates=$options\n"
	      "\t\telse candidates=${operands:-$options}; fi\n"
	      "\tfi\n"
	      "\tcase $candidates in\n"
	      "\t@file | @output) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
	      "\t@folder) COMPREPLY=($(compgen -d -- \"$cur\")) ;;\n"
	      "\t*) COMPREPLY=($(compgen -W \"$candidates\" -- \"$cur\")) ;;\n"
	      "\tesac\n}\n"
	      "complete -F _mmvm mmvm\n",
	      stdout);
	return fflush(stdout) ? MMVM_EXIT_HOST : MMVM_EXIT_OK;
}

/** mmvm(1): the commands. */
static void man_page(FILE *f)
{
	fprintf(f,
		".TH MMVM 1 \"\" \"mmvm %s\" \"User Commands\"\n.SH NAME\n"
		"mmvm \\- a testbed for memory management\n.SH SYNOPSIS\n.B mmvm\nCOMMAND "
		"[OPTIONS]\n"
		".SH DESCRIPTION\nA small KVM monitor in which boots a small kernel whose memory "
		"manager is real, watched from outside.\n.SH COMMANDS\n",
		MMVM_VERSION);
	for (unsigned int i = 0; i < NR_COMMANDS; i++)
		fprintf(f, ".TP\n.BR mmvm\\-%s (1)\n%s\n", commands[i]->name, commands[i]->what);
}

/** Write a manual page for each command into a folder. */
static int man_pages(const char *folder)
{
	const struct command *c = NULL;

	for (unsigned int i = 0; i == 0 || (c = any_command(i - 1)); i++) {
		char path[4096], name[64];
		FILE *f;

		snprintf(name, sizeof(name), "%s%s", c ? "-" : "", c ? c->name : "");
		for (char *p = name; *p; p++)
			*p = *p == ' ' ? '-' : *p;
		snprintf(path, sizeof(path), "%s/mmvm%s.1", folder, name);
		f = fopen(path, "we");
		if (f && c)
			command_man(f, c, MMVM_VERSION);
		else if (f)
			man_page(f);
		if (!f || fclose(f)) {
			fprintf(stderr, "mmvm: cannot write %s: %s\n", path, strerror(errno));
			return MMVM_EXIT_HOST;
		}
	}
	return MMVM_EXIT_OK;
}

/** `mmvm help [COMMAND]`. */
static int help(const char *name)
{
	const struct command *c;

	for (unsigned int i = 0; name && (c = any_command(i)); i++) {
		if (strcmp(c->name, name) != 0)
			continue;
		command_help(stdout, c);
		return MMVM_EXIT_OK;
	}
	return usage(name ? stderr : stdout, name ? MMVM_EXIT_USAGE : MMVM_EXIT_OK);
}

int main(int argc, char **argv)
{
	sandbox_begin();
	if (argc < 2)
		return usage(stderr, MMVM_EXIT_USAGE);
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help(argc > 2 ? argv[2] : NULL);
	/* For make install. */
	if (!strcmp(argv[1], "completion"))
		return completion();
	if (!strcmp(argv[1], "man") && argc == 3)
		return man_pages(argv[2]);
	if (!strcmp(argv[1], "--version")) {
		printf("mmvm %s, contract version %u\n", MMVM_VERSION, MMVM_CONTRACT_VERSION);
		return MMVM_EXIT_OK;
	}
	for (unsigned int i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i]->name))
			return commands[i]->run(commands[i], argc, argv);
	fputs("mmvm: there is no command '", stderr);
	put_safe(stderr, argv[1], 256);
	fputs("'\n\n", stderr);
	return usage(stderr, MMVM_EXIT_USAGE);
}
