/*
 * mmvm report: pages, tables and metrics from the JSON of a run.
 *
 *   mmvm run --json RUN.json ...   then   mmvm report RUN.json -o report.html
 *
 * Nothing but the file is looked at: a run of yesterday, or of another machine, reports the same.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"
#include "commands.h"
#include "report/report.h"
#include "result/schema.h"
#include "versus/versus.h"

#define MAX_BENCH 8u

struct output {
	const char *option;
	int (*emit)(FILE *f, const void *result);
	const char *path;
};

struct options {
	const char *page, *svg, *csv, *openmetrics, *json;
	struct option_list bench;
	bool verbose, schema;
};

static const struct cli_option option_table[] = {
	{.name = "-o",
	 .value = "FILE",
	 .help = "one HTML file with plots, of a run or of `mmvm versus`; opens anywhere, loads "
		 "nothing",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, page),
	 .words = "@output"},
	{.name = "--bench",
	 .value = "FILE",
	 .help = "what operations cost, for the page: from `mmvm bench --json FILE`,\n"
		 "or how long faults take: from `mmvm bench fault --json FILE`;\n"
		 "may be repeated",
	 .kind = OPTION_LIST,
	 .offset = offsetof(struct options, bench),
	 .max = MAX_BENCH,
	 .words = "@file"},
	{.name = "--svg",
	 .value = "FOLDER",
	 .help = "each plot of that page as an SVG file, named after its title",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, svg),
	 .words = "@folder"},
	{.name = "--csv",
	 .value = "FILE",
	 .help = "the timeline, one line a sample",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, csv),
	 .words = "@output"},
	{.name = "--openmetrics",
	 .value = "FILE",
	 .help = "the numbers at the end, in the OpenMetrics text format",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, openmetrics),
	 .words = "@output"},
	{.name = "--json",
	 .value = "FILE",
	 .help = "the result again, as this version writes it",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, json),
	 .words = "@output"},
	{.name = "--schema",
	 .help = "no run: what a result holds, value by value (doc/result.md)",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct options, schema)},
	{.name = "-v",
	 .help = "in the table: all counters, all KVM statistics, guest reports",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct options, verbose)},
	{0},
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

static int write_plots(const char *folder, const struct report_page *p)
{
	char failed[512];
	int rc = report_svg(folder, &p->result, p->has_costs ? &p->costs : NULL, failed,
			    sizeof(failed));

	if (!rc)
		return MMVM_EXIT_OK;
	fprintf(stderr, "mmvm: cannot write %s: %s\n", failed, strerror(-rc));
	return MMVM_EXIT_HOST;
}

/** What `mmvm versus --json` wrote: its page, or its table. */
static int report_versus(const struct options *opt, const char *path)
{
	static struct versus v;
	struct mmvm_error err = {0};
	int status = MMVM_EXIT_OK, rc = 0;

	if (opt->csv || opt->openmetrics || opt->json || opt->bench.nr)
		return cli_usage_error(
			"report", "%s is of mmvm versus: it makes a page (-o) or a table", path);
	if (versus_load(&v, path, &err)) {
		status = cli_fail(&err);
		goto out;
	}
	if (opt->page)
		rc = report_write_file_atomic(opt->page, versus_emit_page, &v);
	else
		versus_table(stdout, &v, opt->verbose);
	if (rc || fflush(stdout)) {
		fprintf(stderr, "mmvm: cannot write %s: %s\n", opt->page ? opt->page : "the table",
			strerror(rc ? -rc : EIO));
		status = MMVM_EXIT_HOST;
	}
out:
	versus_free(&v);
	return status;
}

static int cmd_report(const struct command *self, int argc, char **argv)
{
	struct option_list operands = {.nr = 0};
	struct options opt = {0};
	struct report_options options = {.colour = report_want_colour(stdout)};
	unsigned int wanted = 0, to_stdout = 0, o;
	struct mmvm_error err = {0};
	struct report_page page = {0};
	const char *input;
	int status = command_parse(self, &opt, argc, argv, &operands);
	struct output outputs[] = {
		{"-o", emit_page, opt.page},
		{"--csv", report_emit_csv, opt.csv},
		{"--openmetrics", report_emit_openmetrics, opt.openmetrics},
		{"--json", report_emit_json, opt.json},
	};
	const unsigned int nr = sizeof(outputs) / sizeof(outputs[0]);

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	if (opt.schema)
		return schema_print(stdout) || fflush(stdout) ? MMVM_EXIT_HOST : MMVM_EXIT_OK;
	if (operands.nr > 1)
		return cli_usage_error("report", "one file at a time, and here are %s and %s",
				       operands.item[0], operands.item[1]);
	input = operands.item[0];
	options.verbose = opt.verbose;
	if (!input)
		return cli_usage_error("report", "no file given");
	for (o = 0; o < nr; o++) {
		if (!outputs[o].path)
			continue;
		wanted++;
		to_stdout += !strcmp(outputs[o].path, "-");
	}
	if (to_stdout > 1)
		return cli_usage_error("report", "two outputs cannot both go to standard output");
	if (opt.bench.nr && !outputs[0].path && !opt.svg)
		return cli_usage_error("report", "--bench is for the page of -o and for --svg");
	for (unsigned int i = 0; i < opt.bench.nr; i++)
		if (report_costs_load(&page.costs, opt.bench.item[i], &err))
			return cli_fail(&err);
	page.has_costs = opt.bench.nr > 0;
	if (versus_is_result(input))
		return report_versus(&opt, input);
	if (run_result_load(&page.result, input, &err))
		return cli_fail(&err);
	if (wanted)
		status = write_outputs(outputs, nr, &page);
	if (!status && opt.svg)
		status = write_plots(opt.svg, &page);
	if (!wanted && !opt.svg)
		status = report_table(stdout, &page.result, &options) || fflush(stdout)
				 ? MMVM_EXIT_HOST
				 : MMVM_EXIT_OK;
	run_result_free(&page.result);
	return status;
}

const struct command command_report = {
	.name = "report",
	.run = cmd_report,
	.what = "a page with plots, a CSV or metrics from the JSON of a run",
	.synopsis = "RUN.json [OPTIONS]",
	.about = "Turn the result of `mmvm run --json RUN.json` into something to look at or to "
		 "feed on.\n"
		 "-: standard input or output. Without an option, the table that mmvm run prints.",
	.options = option_table,
	.operands = "@file",
};
