/*
 * Options, each declared once. From a table come parsing, the help text, the manual page and the
 * shell's completion.
 *
 *   static const struct cli_option options[] = {
 *           {"--cpus", NULL, "N", "processors (1)", OPTION_UINT, offsetof(struct x, cpus), 1, 16},
 *           {0}};
 *
 * A table speaks of one struct, its base: the value is stored at `offset`. A command parses
 * several tables at once, each with its base (its own options, those of the machine, those of each
 * observer).
 */
#ifndef VMM_CLI_OPTION_H
#define VMM_CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
	OPTION_FLAG,   /* bool; takes no value */
	OPTION_TEXT,   /* const char * */
	OPTION_UINT,   /* unsigned int, min to max */
	OPTION_U64,    /* uint64_t, min to max */
	OPTION_SIZE,   /* uint64_t, bytes, min to max; written 4096, 64K, 48M, 1G */
	OPTION_MIB,    /* uint64_t, MiB, min to max; written as a size */
	OPTION_CHOICE, /* int or enum: the number of the word in `words`, from 0 */
	OPTION_LIST,   /* struct option_list; may be given up to `max` times */
	OPTION_REST,   /* struct option_list: the value and all up to the next option, or "--" and
			* all to the end */
	OPTION_CALL,   /* parse() does it */
};

#define OPTION_LIST_MAX 256u
/** Arguments in their order, followed by NULL. */
struct option_list {
	const char *item[OPTION_LIST_MAX + 1];
	unsigned int nr;
};

struct cli_option {
	const char *name;  /* "--memory"; NULL ends a table */
	const char *alias; /* "-m", or NULL */
	const char *value; /* what help calls its value: "SIZE" */
	const char *help;  /* lines with a newline between them */
	enum option_kind kind;
	size_t offset;
	uint64_t min, max;
	/** What the value may be: words with a space between them, of which OPTION_CHOICE takes no
	 * others; "@file", which is read; "@output", which is written; or "@folder". */
	const char *words;
	/** Files that are written in a "@folder": names with a space between them. */
	const char *writes;
	/** The option whose file this "@output" may overwrite. */
	const char *may_replace;
	/** OPTION_CALL: `base` is that of the table. Returns 0, or an exit status after it has said
	 * what is wrong. */
	int (*parse)(void *base, const char *command, const struct cli_option *option,
		     const char *value);
};

/** Room for names that are put together from a folder and a file. */
struct option_names {
	char path[4][4096];
	unsigned int nr;
};

/** A table and its base. */
struct option_set {
	const struct cli_option *option;
	void *base;
};
#define OPTION_SETS_MAX 32u

/** A sub-command. `name` may be two words ("bench dirty"). */
struct command {
	const char *name;
	int (*run)(const struct command *self, int argc, char **argv);
	const char *what;     /* one line */
	const char *synopsis; /* what follows the name: "RUN.json [OPTIONS]" */
	const char *about;    /* a paragraph */
	const struct cli_option *options;
	/** More tables; NULL: none. Returns how many, at most `max`. The bases are not set. */
	unsigned int (*more)(struct option_set *out, unsigned int max);
	const char *tail;     /* after the options in the help, or NULL */
	const char *operands; /* for the shell: as cli_option.words ("@file": they are inputs) */
};

struct cli_file;
/** The files that the values name, in the order of the tables. Folders' files are kept in `names`. Returns
 * how many; at most `max`. */
unsigned int option_files(const struct option_set *sets, unsigned int nr, struct cli_file *file,
			  unsigned int max, struct option_names *names);

/**
 * Parse argv[first..], and refuse outputs that would overwrite an input or another output
 * (cli_check_outputs()). Arguments that are no options go to `operands` (NULL: there may be none).
 * Returns 0; an exit status after it has said what is wrong; or -1: help was asked for and printed.
 */
int option_parse(const struct command *cmd, const struct option_set *sets, unsigned int nr,
		 int argc, char **argv, int first, struct option_list *operands);
/** For a command with one table whose base is `base`, arguments from argv[2] on. */
int command_parse(const struct command *cmd, void *base, int argc, char **argv,
		  struct option_list *operands);

/** `mmvm COMMAND --help`. */
void command_help(FILE *f, const struct command *cmd);
/** The manual page mmvm-COMMAND(1), in man(7). */
void command_man(FILE *f, const struct command *cmd, const char *version);
/** The part of the bash completion for this command: a case of its options. */
void command_completion(FILE *f, const struct command *cmd);

#endif
