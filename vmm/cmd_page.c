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
#include "cli.h"
#include "commands.h"
#include "observe/page_life.h"
#include "report/chrome_trace.h"
#include "report/report.h"

#define DEFAULT_LIST 20u

static void page_help(void)
{
	puts("usage: mmvm page FILE [PFN|ADDRESS] [OPTIONS]\n"
	     "Print what happened to a page in a run recorded with `mmvm run --trace FILE`: every "
	     "event\n"
	     "of a frame (PFN, hexadecimal), or of what a process had at an ADDRESS (0x...), "
	     "through\n"
	     "all its frames and swap slots, with what the host saw.\n\n"
	     "  --pid N     whose address (the first process that has one)\n"
	     "  --list [N]  the addresses with most to tell (20)\n"
	     "  --check     hold every page's life against the rules, and the trace's counts\n"
	     "              against the guest's and the disk's; exit status 1 if one is broken");
}

struct page_options {
	const char *file, *page;
	uint64_t pid, list;
	bool want_list, check, help;
};

static int parse_page(struct page_options *o, int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--pid")) {
			if (++i == argc || cli_parse_u64(argv[i], 1, UINT32_MAX, &o->pid))
				return cli_usage_error("page", "--pid needs a number");
		} else if (!strcmp(argv[i], "--list")) {
			o->want_list = true;
			o->list = DEFAULT_LIST;
			if (i + 1 < argc && !cli_parse_u64(argv[i + 1], 1, 1000000, &o->list))
				i++;
		} else if (!strcmp(argv[i], "--check")) {
			o->check = true;
		} else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			o->help = true;
		} else if (argv[i][0] == '-') {
			return cli_usage_error("page", "unknown option '%s'", argv[i]);
		} else if (!o->file) {
			o->file = argv[i];
		} else if (!o->page) {
			o->page = argv[i];
		} else {
			return cli_usage_error("page", "one page at a time, and here are %s and %s",
					       o->page, argv[i]);
		}
	}
	if (!o->help && !o->file)
		return cli_usage_error("page", "no trace given");
	if (!o->help && !!o->page + o->want_list + o->check != 1)
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

int cmd_page(int argc, char **argv)
{
	struct page_options o = {0};
	struct life_check check;
	struct mmvm_error err;
	struct trace_data t;
	int status = parse_page(&o, argc, argv), rc = 0;

	if (status)
		return status;
	if (o.help) {
		page_help();
		return MMVM_EXIT_OK;
	}
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

static void trace_help(void)
{
	puts("usage: mmvm trace FILE [OPTIONS]\n"
	     "Turn a trace of `mmvm run --trace FILE` into something to look at.\n\n"
	     "  --format chrome|text|csv   chrome: JSON that Perfetto's viewer opens (text)\n"
	     "  --only CATEGORY[,...]      kmem, migrate, fault, reclaim, swap, file,\n"
	     "                             process, sched, oom;\n"
	     "                             of the host: vmm, device, dirty, kvm\n"
	     "  -o FILE                    (standard output)");
}

static int parse_filter(struct trace_filter *filter, char *list)
{
	static const char *const known[] = {"kmem",   "migrate", "fault", "reclaim", "swap",
					    "file",   "process", "sched", "oom",     "vmm",
					    "device", "dirty",	 "kvm"};
	const unsigned int nr = sizeof(known) / sizeof(known[0]);
	char *save;

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

int cmd_trace(int argc, char **argv)
{
	const char *file = NULL, *out = "-", *format = "text";
	int (*emit)(FILE * f, const void *arg);
	struct trace_output o = {0};
	struct mmvm_error err;
	struct trace_data t;
	int rc = 0;

	for (int i = 2; i < argc && !rc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			trace_help();
			return MMVM_EXIT_OK;
		} else if (argv[i][0] == '-' && i + 1 == argc) {
			return cli_usage_error("trace", "%s: unknown, or without its value",
					       argv[i]);
		} else if (!strcmp(argv[i], "--format")) {
			format = argv[++i];
		} else if (!strcmp(argv[i], "--only")) {
			rc = parse_filter(&o.filter, argv[++i]);
		} else if (!strcmp(argv[i], "-o")) {
			out = argv[++i];
		} else if (argv[i][0] == '-' || file) {
			return cli_usage_error("trace", "unknown argument '%s'", argv[i]);
		} else {
			file = argv[i];
		}
	}
	if (rc)
		return rc;
	if (!file)
		return cli_usage_error("trace", "no trace given");
	emit = !strcmp(format, "chrome") ? trace_emit_chrome
	       : !strcmp(format, "text") ? trace_emit_text
	       : !strcmp(format, "csv")	 ? trace_emit_csv
					 : NULL;
	if (!emit)
		return cli_usage_error("trace", "--format %s: none of chrome, text, csv", format);
	if (!strcmp(out, file))
		return cli_usage_error("trace", "-o %s would overwrite the trace itself", out);
	if (trace_load(&t, file, &err))
		return cli_fail(&err);
	o.trace = &t;
	rc = report_write_file_atomic(out, emit, &o);
	trace_unload(&t);
	if (!rc)
		return MMVM_EXIT_OK;
	fprintf(stderr, "mmvm: cannot write %s: %s\n", out, strerror(-rc));
	return MMVM_EXIT_HOST;
}
