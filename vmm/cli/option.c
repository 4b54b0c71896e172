/*
 * Options from tables: the parser. Every message names the option, the value and what is wanted.
 */
#include "cli/option.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"

#define MIB (1ull << 20)

static const struct cli_option *find(const struct option_set *sets, unsigned int nr,
				     const char *arg, void **base)
{
	for (unsigned int i = 0; i < nr; i++) {
		for (const struct cli_option *o = sets[i].option; o && o->name; o++) {
			if (strcmp(o->name, arg) && (!o->alias || strcmp(o->alias, arg)))
				continue;
			*base = sets[i].base;
			return o;
		}
	}
	return NULL;
}

static bool known(const struct option_set *sets, unsigned int nr, const char *arg)
{
	void *base;

	return find(sets, nr, arg, &base) || !strcmp(arg, "--help") || !strcmp(arg, "-h");
}

/** Number of `value` among the words, or -1. */
static int word_number(const char *words, const char *value)
{
	size_t len = strlen(value);
	int n = 0;

	for (const char *w = words; *w; n++) {
		size_t l = strcspn(w, " ");

		if (l == len && !memcmp(w, value, l))
			return n;
		w += l + (w[l] == ' ');
	}
	return -1;
}

static int take_size(const char *command, const struct cli_option *o, void *to, const char *value)
{
	uint64_t unit = o->kind == OPTION_MIB ? MIB : 1, n;

	if (cli_parse_size(value, &n))
		return cli_usage_error(command, "%s %s: not a size like 64K, 48M or 1G", o->name,
				       value);
	if (n % unit || n / unit < o->min || n / unit > o->max) {
		if (o->kind == OPTION_MIB)
			return cli_usage_error(
				command, "%s %s: not whole MiB from %" PRIu64 "M to %" PRIu64 "M",
				o->name, value, o->min, o->max);
		return cli_usage_error(command, "%s %s: not from %" PRIu64 " to %" PRIu64 " bytes",
				       o->name, value, o->min, o->max);
	}
	*(uint64_t *)to = n / unit;
	return 0;
}

/** The value of option `o`, stored at `to` in `base`. 0 or an exit status. */
static int take(const char *command, const struct cli_option *o, void *base, const char *value)
{
	void *to = (char *)base + o->offset;
	struct option_list *list = to;
	uint64_t n;
	int word;

	switch (o->kind) {
	case OPTION_TEXT:
		*(const char **)to = value;
		return 0;
	case OPTION_UINT:
	case OPTION_U64:
		if (cli_parse_u64(value, o->min, o->max, &n))
			return cli_usage_error(command,
					       "%s %s: not a number from %" PRIu64 " to %" PRIu64,
					       o->name, value, o->min, o->max);
		if (o->kind == OPTION_UINT)
			*(unsigned int *)to = (unsigned int)n;
		else
			*(uint64_t *)to = n;
		return 0;
	case OPTION_SIZE:
	case OPTION_MIB:
		return take_size(command, o, to, value);
	case OPTION_CHOICE:
		word = word_number(o->words, value);
		if (word < 0)
			return cli_usage_error(command, "%s %s: none of %s", o->name, value,
					       o->words);
		*(int *)to = word;
		return 0;
	case OPTION_LIST:
		if (list->nr == o->max)
			return cli_usage_error(command, "%s: at most %" PRIu64 " times", o->name,
					       o->max);
		list->item[list->nr++] = value;
		return 0;
	case OPTION_CALL:
		return o->parse(base, command, o, value);
	default:
		return 0;
	}
}

/** argv[i] and what follows. Returns the index after the last, or -1: too many. */
static int take_rest(const struct option_set *sets, unsigned int nr, struct option_list *list,
		     int argc, char **argv, int i)
{
	bool all = false;

	list->nr = 0;
	for (; i < argc; i++) {
		if (!all && list->nr && !strcmp(argv[i], "--")) {
			all = true;
			continue;
		}
		if (!all && list->nr && known(sets, nr, argv[i]))
			break;
		if (list->nr == OPTION_LIST_MAX)
			return -1;
		list->item[list->nr++] = argv[i];
	}
	return i;
}

static void add_file(struct cli_file *file, unsigned int max, unsigned int *n,
		     const struct cli_option *o, const char *path)
{
	if (path && *n < max)
		file[(*n)++] = (struct cli_file){.option = o->name,
						 .path = path,
						 .output = strcmp(o->words, "@file") != 0,
						 .may_replace = o->may_replace};
}

/** The files that are written in folder `folder`. */
static void add_written(struct cli_file *file, unsigned int max, unsigned int *n,
			const struct cli_option *o, const char *folder, struct option_names *names)
{
	const unsigned int room = sizeof(names->path) / sizeof(names->path[0]);

	if (!folder || !o->writes)
		return;
	for (const char *w = o->writes; *w && names->nr < room;) {
		size_t len = strcspn(w, " ");
		char *path = names->path[names->nr++];

		snprintf(path, sizeof(names->path[0]), "%s/%.*s", folder, (int)len, w);
		add_file(file, max, n, o, path);
		w += len + (w[len] == ' ');
	}
}

unsigned int option_files(const struct option_set *sets, unsigned int nr, struct cli_file *file,
			  unsigned int max, struct option_names *names)
{
	unsigned int n = 0;

	names->nr = 0;
	for (unsigned int s = 0; s < nr; s++) {
		for (const struct cli_option *o = sets[s].option; o && o->name; o++) {
			const void *at = (const char *)sets[s].base + o->offset;
			const struct option_list *list = at;

			if (!o->words || o->words[0] != '@')
				continue;
			if (o->kind == OPTION_LIST) {
				for (unsigned int i = 0; i < list->nr; i++)
					add_file(file, max, &n, o, list->item[i]);
			} else if (o->kind == OPTION_TEXT && !strcmp(o->words, "@folder")) {
				add_written(file, max, &n, o, *(const char *const *)at, names);
			} else if (o->kind == OPTION_TEXT) {
				add_file(file, max, &n, o, *(const char *const *)at);
			}
		}
	}
	return n;
}

/** No output is an input. 0 or an exit status. */
static int check_files(const struct command *cmd, const struct option_set *sets, unsigned int nr,
		       const struct option_list *operands)
{
	static const struct cli_option operand = {.name = "", .words = "@file"};
	const unsigned int max = 2 * OPTION_LIST_MAX + 64;
	struct option_names *names = malloc(sizeof(*names));
	struct cli_file *file = calloc(max, sizeof(*file));
	int status = MMVM_EXIT_HOST;
	unsigned int n;

	if (names && file) {
		n = option_files(sets, nr, file, max, names);
		for (unsigned int i = 0; operands && i < operands->nr; i++)
			if (cmd->operands && !strcmp(cmd->operands, "@file"))
				add_file(file, max, &n, &operand, operands->item[i]);
		status = cli_check_outputs(cmd->name, file, n);
	}
	free(file);
	free(names);
	return status;
}

int option_parse(const struct command *cmd, const struct option_set *sets, unsigned int nr,
		 int argc, char **argv, int first, struct option_list *operands)
{
	int status;

	for (int i = first; i < argc;) {
		const struct cli_option *o;
		void *base;

		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			command_help(stdout, cmd);
			return -1;
		}
		o = find(sets, nr, argv[i], &base);
		if (!o && operands && (argv[i][0] != '-' || !argv[i][1])) {
			if (operands->nr == OPTION_LIST_MAX)
				return cli_usage_error(cmd->name, "too many arguments");
			operands->item[operands->nr++] = argv[i++];
			continue;
		}
		if (!o)
			return cli_usage_error(cmd->name, "unknown option '%s'", argv[i]);
		if (o->kind == OPTION_FLAG) {
			*(bool *)((char *)base + o->offset) = true;
			i++;
			continue;
		}
		if (i + 1 >= argc)
			return cli_usage_error(cmd->name, "%s needs a value: %s", argv[i],
					       o->value);
		if (o->kind == OPTION_REST) {
			i = take_rest(sets, nr, (void *)((char *)base + o->offset), argc, argv,
				      i + 1);
			if (i < 0)
				return cli_usage_error(cmd->name, "more than %u arguments for %s",
						       OPTION_LIST_MAX - 1, o->name);
			continue;
		}
		status = take(cmd->name, o, base, argv[i + 1]);
		if (status)
			return status;
		i += 2;
	}
	return check_files(cmd, sets, nr, operands);
}

int command_parse(const struct command *cmd, void *base, int argc, char **argv,
		  struct option_list *operands)
{
	const struct option_set set = {cmd->options, base};

	return option_parse(cmd, &set, 1, argc, argv, 2, operands);
}
