/*
 * mmvm page: the life of one page, from a trace. mmvm trace: all of a trace, for other programs.
 *
 *   mmvm run --trace FILE ...   then   mmvm page FILE --list, mmvm page FILE 0x7f0000001000
 *
 * A number is a frame if it is one of the machine's RAM, else an address.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "commands.h"
#include "report/page_life.h"
#include "report/chrome_trace.h"
#include "report/report.h"

#define DEFAULT_LIST 20u

struct page_options {
	const char *file, *page;
	uint64_t pid, list;
	bool want_list, check;
};

static const struct cli_option page_table[] = {
	{.name = "--pid",
	 .value = "N",
	 .help = "whose address (the first process that has one)",
	 .kind = OPTION_U64,
	 .offset = offsetof(struct page_options, pid),
	 .min = 1,
	 .max = UINT32_MAX},
	{.name = "--list",
	 .help = "the addresses with most to tell; a number after it says how many (20)",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct page_options, want_list)},
	{.name = "--check",
	 .help = "hold every page's life against the rules, and the trace's counts\n"
		 "against the guest's and the disk's; exit status 1 if one is broken",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct page_options, check)},
	{0},
};

static int parse_page(const struct command *self, struct page_options *o, int argc, char **argv)
{
	struct option_list operands = {.nr = 0};
	int rc = command_parse(self, o, argc, argv, &operands);

	if (rc)
		return rc;
	if (operands.nr > 2)
		return cli_usage_error("page", "one page at a time, and here are %s and %s",
				       operands.item[1], operands.item[2]);
	o->file = operands.item[0];
	o->page = operands.item[1];
	o->list = DEFAULT_LIST;
	if (o->want_list && o->page && !cli_parse_u64(o->page, 1, 1000000, &o->list))
		o->page = NULL;
	if (!o->file)
		return cli_usage_error("page", "no trace given");
	if (!!o->page + o->want_list + o->check != 1)
		return cli_usage_error("page", "one of a page, --list and --check");
	if (o->pid && !o->page)
		return cli_usage_error("page", "--pid goes with an address");
	return 0;
}

/** An exit status, or -errno in *rc. */
static int print_page(const struct trace_data *t, const struct page_options *o, int *rc)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(o->page, &end, 16);
	if (errno || *end || end == o->page)
		return cli_usage_error("page", "%s: neither a frame nor an address (hexadecimal)",
				       o->page);
	if (!o->pid && trace_pfn_ok(t, n))
		*rc = life_print_frame(stdout, t, n);
	else
		*rc = life_print_address(stdout, t, n, (uint32_t)o->pid);
	return MMVM_EXIT_OK;
}

static int cmd_page(const struct command *self, int argc, char **argv)
{
	struct page_options o = {0};
	struct life_check check;
	struct mmvm_error err;
	struct trace_data t;
	int status = parse_page(self, &o, argc, argv), rc = 0;

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	if (trace_load(&t, o.file, &err))
		return cli_fail(&err);
	life_print_head(stdout, &t);
	if (o.want_list) {
		rc = life_print_list(stdout, &t, (unsigned int)o.list);
	} else if (o.check) {
		rc = life_check(&t, &check);
		if (!rc) {
			life_print_check(stdout, &check);
			status = life_check_ok(&check) ? MMVM_EXIT_OK : MMVM_EXIT_FAILED;
		}
	} else {
		status = print_page(&t, &o, &rc);
	}
	trace_unload(&t);
	if (rc || fflush(stdout)) {
		fprintf(stderr, "mmvm: page: %s\n", strerror(rc ? -rc : errno));
		return MMVM_EXIT_HOST;
	}
	return status;
}

struct trace_options {
	enum { TRACE_CHROME, TRACE_TEXT, TRACE_CSV, TRACE_PRESSURE } format;
	const char *out;
	struct trace_filter filter;
};

static int parse_filter(void *base, const char *command, const struct cli_option *opt,
			const char *value)
{
	struct trace_filter *filter = &((struct trace_options *)base)->filter;
	static const char *const known[] = {"kmem", "migrate", "fault", "reclaim", "swap",
					    "file", "process", "sched", "oom",	   "pressure",
					    "vmm",  "device",  "dirty", "kvm",	   "refs"};
	const unsigned int nr = sizeof(known) / sizeof(known[0]);
	char list[256], *save;

	snprintf(list, sizeof(list), "%s", value);
	for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		unsigned int i = 0;

		while (i < nr && strcmp(word, known[i]))
			i++;
		if (i == nr)
			return cli_usage_error("trace", "--only %s: there is no such category",
					       word);
		if (filter->nr < sizeof(filter->category) / sizeof(filter->category[0]))
			filter->category[filter->nr++] = known[i];
	}
	return 0;
}

static const struct cli_option trace_table[] = {
	{.name = "--format",
	 .value = "chrome|text|csv|pressure",
	 .help = "chrome: JSON that Perfetto's viewer opens; pressure: what the guest's\n"
		 "files /proc/pressure/* should have said, each time they were read (text)",
	 .kind = OPTION_CHOICE,
	 .offset = offsetof(struct trace_options, format),
	 .words = "chrome text csv pressure"},
	{.name = "--only",
	 .value = "CATEGORY[,...]",
	 .help = "kmem, migrate, fault, reclaim, swap, file, process, sched, oom,\n"
		 "pressure; of the host: vmm, device, dirty, kvm",
	 .kind = OPTION_CALL,
	 .words = "kmem migrate fault reclaim swap file process sched oom pressure vmm device "
		  "dirty kvm",
	 .parse = parse_filter},
	{.name = "-o",
	 .value = "FILE",
	 .help = "(standard output)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct trace_options, out),
	 .words = "@output"},
	{0},
};

static int cmd_trace(const struct command *self, int argc, char **argv)
{
	static int (*const emit[])(FILE * f, const void *arg) = {
		trace_emit_chrome, trace_emit_text, trace_emit_csv, trace_emit_pressure};
	struct trace_options opt = {.format = TRACE_TEXT, .out = "-"};
	struct option_list operands = {.nr = 0};
	struct trace_output o = {0};
	const char *file, *out;
	struct mmvm_error err;
	struct trace_data t;
	int rc = command_parse(self, &opt, argc, argv, &operands);

	if (rc)
		return rc < 0 ? MMVM_EXIT_OK : rc;
	if (!operands.nr)
		return cli_usage_error("trace", "no trace given");
	if (operands.nr > 1)
		return cli_usage_error("trace", "unknown argument '%s'", operands.item[1]);
	file = operands.item[0];
	out = opt.out;
	o.filter = opt.filter;
	if (trace_load(&t, file, &err))
		return cli_fail(&err);
	o.trace = &t;
	rc = report_write_file_atomic(out, emit[opt.format], &o);
	trace_unload(&t);
	if (!rc)
		return MMVM_EXIT_OK;
	fprintf(stderr, "mmvm: cannot write %s: %s\n", out, strerror(-rc));
	return MMVM_EXIT_HOST;
}

const struct command command_page = {
	.name = "page",
	.run = cmd_page,
	.what = "the life of a page, from a run recorded with --trace",
	.synopsis = "FILE [PFN|ADDRESS] [OPTIONS]",
	.about = "Print what happened to a page in a run recorded with `mmvm run --trace FILE`: "
		 "every event\n"
		 "of a frame (PFN, hexadecimal), or of what a process had at an ADDRESS (0x...), "
		 "through\n"
		 "all its frames and swap slots, with what the host saw.",
	.options = page_table,
	.operands = "@file",
};

const struct command command_trace = {
	.name = "trace",
	.run = cmd_trace,
	.what = "such a recording for Perfetto's viewer, as text, as CSV, or its pressure",
	.synopsis = "FILE [OPTIONS]",
	.about = "Turn a trace of `mmvm run --trace FILE` into something to look at.",
	.options = trace_table,
	.operands = "@file",
};
