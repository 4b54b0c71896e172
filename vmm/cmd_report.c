/*
 * mmvm report: pages, tables and metrics from the JSON of a run.
 *
 *   mmvm run --json RUN.json ...   then   mmvm report RUN.json -o report.html
 *
 * Nothing but the file is looked at: a run of yesterday, or of another machine, reports the same.
 */
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "commands.h"
#include "report/report.h"

#define MAX_BENCH 8u

struct output {
	const char *option;
	int (*emit)(FILE *f, const void *result);
	const char *path;
};

/** The run, and costs to go with it on the page. The run is first: what other outputs take. */
struct report_page {
	struct run_result result;
	struct report_costs costs;
	bool has_costs;
};

static int emit_page(FILE *f, const void *arg)
{
	const struct report_page *p = arg;

	return report_html(f, &p->result, p->has_costs ? &p->costs : NULL);
}

static void help(void)
{
	puts("usage: mmvm report RUN.json [OPTIONS]\n"
	     "Turn the result of `mmvm run --json RUN.json` into something to look at or to feed "
	     "on.\n"
	     "-: standard input or output. Without an option, the table that mmvm run prints.\n\n"
	     "  -o FILE            one HTML file with plots; opens anywhere, loads nothing\n"
	     "  --bench FILE       what operations cost, for the page: from `mmvm bench --json "
	     "FILE`,\n"
	     "                     or how long faults take: from `mmvm bench fault --json FILE`;\n"
	     "                     may be given twice\n"
	     "  --csv FILE         the timeline, one line a sample\n"
	     "  --openmetrics FILE the numbers at the end, in the OpenMetrics text format\n"
	     "  -v                 in the table: all counters, all KVM statistics, guest reports");
}

static int write_outputs(const struct output *outputs, unsigned int n, const struct report_page *p)
{
	int rc;

	for (unsigned int i = 0; i < n; i++) {
		if (!outputs[i].path)
			continue;
		rc = report_write_file_atomic(outputs[i].path, outputs[i].emit, p);
		if (rc) {
			fprintf(stderr, "mmvm: cannot write %s: %s\n", outputs[i].path,
				strerror(-rc));
			return MMVM_EXIT_HOST;
		}
	}
	return MMVM_EXIT_OK;
}

int cmd_report(int argc, char **argv)
{
	struct output outputs[] = {
		{"-o", emit_page, NULL},
		{"--csv", report_emit_csv, NULL},
		{"--openmetrics", report_emit_openmetrics, NULL},
	};
	const unsigned int nr = sizeof(outputs) / sizeof(outputs[0]);
	struct report_options options = {.colour = report_want_colour(stdout)};
	unsigned int wanted = 0, to_stdout = 0, o;
	const char *input = NULL, *bench[MAX_BENCH];
	unsigned int nr_bench = 0;
	struct mmvm_error err = {0};
	struct report_page page = {0};
	int status;

	for (int i = 2; i < argc; i++) {
		for (o = 0; o < nr && strcmp(argv[i], outputs[o].option); o++)
			;
		if (o < nr) {
			if (++i == argc)
				return cli_usage_error("report", "%s needs a file", argv[i - 1]);
			outputs[o].path = argv[i];
		} else if (!strcmp(argv[i], "--bench")) {
			if (++i == argc)
				return cli_usage_error("report", "--bench needs a file");
			if (nr_bench == MAX_BENCH)
				return cli_usage_error("report", "--bench more than %u times",
						       MAX_BENCH);
			bench[nr_bench++] = argv[i];
		} else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			help();
			return MMVM_EXIT_OK;
		} else if (!strcmp(argv[i], "-v")) {
			options.verbose = true;
		} else if (argv[i][0] == '-' && argv[i][1]) {
			return cli_usage_error("report", "unknown option %s", argv[i]);
		} else if (input) {
			return cli_usage_error("report",
					       "one file at a time, and here are %s and %s", input,
					       argv[i]);
		} else {
			input = argv[i];
		}
	}
	if (!input)
		return cli_usage_error("report", "no file given");
	for (o = 0; o < nr; o++) {
		if (!outputs[o].path)
			continue;
		wanted++;
		to_stdout += !strcmp(outputs[o].path, "-");
		if (strcmp(input, "-") && !strcmp(outputs[o].path, input))
			return cli_usage_error("report", "%s %s would overwrite the run itself",
					       outputs[o].option, input);
	}
	if (to_stdout > 1)
		return cli_usage_error("report", "two outputs cannot both go to standard output");
	if (nr_bench && !outputs[0].path)
		return cli_usage_error("report", "--bench is for the page of -o");
	for (unsigned int i = 0; i < nr_bench; i++)
		if (report_costs_load(&page.costs, bench[i], &err))
			return cli_fail(&err);
	page.has_costs = nr_bench > 0;
	if (run_result_load(&page.result, input, &err))
		return cli_fail(&err);
	if (wanted)
		status = write_outputs(outputs, nr, &page);
	else
		status = report_table(stdout, &page.result, &options) || fflush(stdout)
				 ? MMVM_EXIT_HOST
				 : MMVM_EXIT_OK;
	run_result_free(&page.result);
	return status;
}
