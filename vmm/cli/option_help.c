/*
 * Options from tables: the help text, the manual page, the shell's completion.
 */
#include "cli/option.h"

#include <string.h>

#define HELP_COLUMN 30

/** All tables of a command. */
static unsigned int tables(const struct command *cmd, struct option_set *sets)
{
	unsigned int nr = 0;

	if (cmd->options)
		sets[nr++].option = cmd->options;
	if (cmd->more)
		nr += cmd->more(sets + nr, OPTION_SETS_MAX - nr);
	return nr;
}

static void names_of(const struct cli_option *o, char *text, size_t size)
{
	snprintf(text, size, "%s%s%s%s%s", o->alias ? o->alias : "", o->alias ? ", " : "", o->name,
		 o->value ? " " : "", o->value ? o->value : "");
}

static void help_option(FILE *f, const struct cli_option *o)
{
	const char *line = o->help;
	char names[96];

	names_of(o, names, sizeof(names));
	if (strlen(names) + 4 > HELP_COLUMN)
		fprintf(f, "  %s\n%*s", names, HELP_COLUMN, "");
	else
		fprintf(f, "  %-*s", HELP_COLUMN - 2, names);
	while (*line) {
		size_t len = strcspn(line, "\n");

		fprintf(f, "%.*s\n", (int)len, line);
		line += len;
		if (*line)
			fprintf(f, "%*s", HELP_COLUMN, ""), line++;
	}
}

void command_help(FILE *f, const struct command *cmd)
{
	struct option_set sets[OPTION_SETS_MAX];
	unsigned int nr = tables(cmd, sets);

	fprintf(f, "usage: mmvm %s %s\n%s\n\n", cmd->name, cmd->synopsis, cmd->about);
	for (unsigned int i = 0; i < nr; i++)
		for (const struct cli_option *o = sets[i].option; o->name; o++)
			help_option(f, o);
	if (cmd->tail)
		fprintf(f, "%s%s\n", nr ? "\n" : "", cmd->tail);
}

/** Text for roff: no line begins with a control character, and a hyphen is one. */
static void roff(FILE *f, const char *text)
{
	bool begin = true;

	for (; *text; text++) {
		if (begin && (*text == '.' || *text == '\''))
			fputs("\\&", f);
		begin = *text == '\n';
		if (*text == '-')
			fputs("\\-", f);
		else if (*text == '\\')
			fputs("\\e", f);
		else
			putc(*text, f);
	}
}

void command_man(FILE *f, const struct command *cmd, const char *version)
{
	struct option_set sets[OPTION_SETS_MAX];
	unsigned int nr = tables(cmd, sets);
	char name[64];

	snprintf(name, sizeof(name), "mmvm-%s", cmd->name);
	for (char *c = name; *c; c++)
		if (*c == ' ')
			*c = '-';
	fprintf(f, ".TH \"%s\" 1 \"\" \"mmvm %s\" \"User Commands\"\n.SH NAME\n", name, version);
	roff(f, name);
	fputs(" \\- ", f);
	roff(f, cmd->what);
	fputs("\n.SH SYNOPSIS\n.B mmvm ", f);
	roff(f, cmd->name);
	fputs("\n", f);
	roff(f, cmd->synopsis);
	fputs("\n.SH DESCRIPTION\n", f);
	roff(f, cmd->about);
	fputs("\n", f);
	if (nr)
		fputs(".SH OPTIONS\n", f);
	for (unsigned int i = 0; i < nr; i++) {
		for (const struct cli_option *o = sets[i].option; o->name; o++) {
			char names[96];

			names_of(o, names, sizeof(names));
			fputs(".TP\n.B ", f);
			roff(f, names);
			fputs("\n", f);
			roff(f, o->help);
			fputs("\n", f);
		}
	}
	if (cmd->tail) {
		fputs(".SH NOTES\n", f);
		roff(f, cmd->tail);
		fputs("\n", f);
	}
	fputs(".SH EXIT STATUS\n0 all well, 1 a program or check failed, 2 wrong usage, 3 this "
	      "host "
	      "cannot run it, 4 the guest crashed, 124 time limit, 128+N ended by signal N.\n"
	      ".SH SEE ALSO\n.BR mmvm (1)\n",
	      f);
}

void command_completion(FILE *f, const struct command *cmd)
{
	struct option_set sets[OPTION_SETS_MAX];
	unsigned int nr = tables(cmd, sets);

	fprintf(f, "\t'%s')\n\t\tcase $prev in\n", cmd->name);
	for (unsigned int i = 0; i < nr; i++) {
		for (const struct cli_option *o = sets[i].option; o->name; o++) {
			if (!o->value)
				continue;
			fprintf(f, "\t\t%s%s%s) values='%s'; return ;;\n", o->alias ? o->alias : "",
				o->alias ? "|" : "", o->name, o->words ? o->words : "");
		}
	}
	fputs("\t\tesac\n\t\toptions='--help", f);
	for (unsigned int i = 0; i < nr; i++)
		for (const struct cli_option *o = sets[i].option; o->name; o++)
			fprintf(f, " %s", o->name);
	fprintf(f, "'\n\t\toperands='%s' ;;\n", cmd->operands ? cmd->operands : "");
}
