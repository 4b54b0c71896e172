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

struct output {
	const char *option;
	int (*emit)(FILE *f, const void *result);
	const char *path;
};

static void help(void)
{
	puts("usage: mmvm report RUN.json [OPTIONS]\n"
	     "Turn the result of `mmvm run --json RUN.json` into something to look at or to feed "
	     "on.\n"
	     "-: standard input or output. Without an option, the table that mmvm run prints.\n\n"
	     "  -o FILE            one HTML file with plots; opens anywhere, loads nothing\n"
	     "  --csv FILE         the timeline, one line a sample\n"
	     "  --openmetrics FILE the numbers at the end, in the OpenMetrics text format\n"
	     "  -v                 in the table: all counters, all KVM statistics, guest reports");
}

static int write_outputs(const struct output *outputs, unsigned int n, const struct run_result *r)
{
	int rc;

	for (unsigned int i = 0; i < n; i++) {
		if (!outputs[i].path)
			continue;
		rc = report_write_file_atomic(outputs[i].path, outputs[i].emit, r);
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
		{"-o", report_emit_html, NULL},
		{"--csv", report_emit_csv, NULL},
		{"--openmetrics", report_emit_openmetrics, NULL},
	};
	const unsigned int nr = sizeof(outputs) / sizeof(outputs[0]);
	struct report_options options = {.colour = report_want_colour(stdout)};
	unsigned int wanted = 0, to_stdout = 0, o;
	const char *input = NULL;
	struct mmvm_error err = {0};
	struct run_result r;
	int status;

	for (int i = 2; i < argc; i++) {
		for (o = 0; o < nr && strcmp(argv[i], outputs[o].option); o++)
			;
		if (o < nr) {
			if (++i == argc)
				return cli_usage_error("report", "%s needs a file", argv[i - 1]);
			outputs[o].path = argv[i];
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
	if (run_result_load(&r, input, &err))
		return cli_fail(&err);
	if (wanted)
		status = write_outputs(outputs, nr, &r);
	else
		status = report_table(stdout, &r, &options) || fflush(stdout) ? MMVM_EXIT_HOST
									      : MMVM_EXIT_OK;
	run_result_free(&r);
	return status;
}
