/*
 * mmvm compare: what differs between two runs, or between two groups of runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "commands.h"
#include "report/report.h"

#define MAX_RUNS 64u

static const struct cli_option option_table[] = {
	{.name = "-v",
	 .help = "all values that changed",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct report_options, verbose)},
	{0},
};

/** Load one side. `names` is cut at its commas, unless it is the name of a file. Returns 0, or -1
 * with `err`; side->nr runs are to be freed in any case. */
static int load_side(struct run_side *side, char *names, struct mmvm_error *err)
{
	bool one = access(names, F_OK) == 0;
	char *rest = names, *name;

	side->runs = calloc(MAX_RUNS, sizeof(*side->runs));
	if (!side->runs)
		return mmvm_error(err, MMVM_EXIT_HOST, "not enough memory");
	while ((name = one ? rest : strsep(&rest, ",")) != NULL) {
		if (side->nr == MAX_RUNS)
			return mmvm_error(err, MMVM_EXIT_USAGE, "more than %u runs on one side",
					  MAX_RUNS);
		if (!*name)
			return mmvm_error(err, MMVM_EXIT_USAGE,
					  "a file without a name between the commas");
		if (run_result_load(&side->runs[side->nr], name, err))
			return -1;
		side->nr++;
		if (one)
			break;
	}
	return 0;
}

static void free_side(struct run_side *side, char *names)
{
	for (unsigned int i = 0; i < side->nr; i++)
		run_result_free(&side->runs[i]);
	free(side->runs);
	free(names);
}

static int cmd_compare(const struct command *self, int argc, char **argv)
{
	struct report_options options = {.colour = report_want_colour(stdout)};
	struct option_list operands = {.nr = 0};
	struct run_side sides[2] = {{0}};
	struct mmvm_error err = {0};
	char *names[2] = {NULL, NULL};
	unsigned int nr;
	int status = command_parse(self, &options, argc, argv, &operands);

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	nr = operands.nr;
	if (nr > 2)
		return cli_usage_error("compare",
				       "two sides, and %s is a third; several runs of one side are "
				       "joined by commas",
				       operands.item[2]);
	for (unsigned int i = 0; i < nr; i++)
		sides[i].label = operands.item[i];
	if (nr < 2)
		return cli_usage_error("compare", "two sides are needed, and %u %s given", nr,
				       nr == 1 ? "is" : "are");
	for (unsigned int s = 0; s < 2 && !status; s++) {
		names[s] = strdup(sides[s].label);
		if (!names[s]) {
			mmvm_error(&err, MMVM_EXIT_HOST, "not enough memory");
			status = cli_fail(&err);
		} else if (load_side(&sides[s], names[s], &err)) {
			status = cli_fail(&err);
		}
	}
	if (!status && (report_compare(stdout, sides, &options) || fflush(stdout))) {
		mmvm_error(&err, MMVM_EXIT_HOST, "the comparison could not be written");
		status = cli_fail(&err);
	}
	free_side(&sides[0], names[0]);
	free_side(&sides[1], names[1]);
	return status;
}

const struct command command_compare = {
	.name = "compare",
	.run = cmd_compare,
	.what = "what changed between runs, and whether it is more than noise",
	.synopsis = "[-v] A.json[,A2.json,...] B.json[,B2.json,...]",
	.about = "Show what changed from A to B, the biggest relative change first. The files are "
		 "written by\n"
		 "`mmvm run --json FILE`. With several runs on each side it says which changes are "
		 "beyond\n"
		 "noise: those where the ranges of both sides do not meet.",
	.options = option_table,
	.operands = "@file",
};
