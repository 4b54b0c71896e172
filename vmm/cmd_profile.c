/*
 * mmvm profile OPERATION: what one operation costs in the guest, function by function, in
 * instructions. Nothing is sampled: the vCPU is single-stepped from the operation's beginning to
 * its end.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bench/profile.h"
#include "cli.h"
#include "commands.h"
#include "harness/harness.h"
#include "lab/lab.h"

typedef void (*profile_printer)(FILE *f, const struct profile *p);

struct options {
	const char *op, *kernel;
	profile_printer print;
	enum accel accel;
	bool list;
};

static void help(void)
{
	puts("usage: mmvm profile [OPTIONS] OPERATION\n"
	     "What one operation costs in the guest kernel, by function, in exact instructions: "
	     "the "
	     "CPU is\n"
	     "single-stepped from its beginning to its end, interrupts held back, after it has "
	     "been "
	     "warmed.\n"
	     "  --list                      the operations\n"
	     "  --format table|folded|tree  by function (table), as stacks for flamegraph.pl, as a "
	     "call tree\n"
	     "  --accel auto|kvm|lab        where to run (auto: hardware, or else the lab)\n"
	     "  --kernel FILE               guest kernel (images/guestmm.elf of the build)\n"
	     "Where KVM emulates ring 0 (PVM), a repeated string instruction is one step, not one "
	     "a "
	     "turn.");
}

/** Returns 0, or a status; -1: all done. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct {
		const char *name;
		profile_printer print;
	} formats[] = {{"table", profile_print_table},
		       {"folded", profile_print_folded},
		       {"tree", profile_print_tree}};
	struct mmvm_error err;

	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			help();
			return -1;
		} else if (!strcmp(argv[i], "--list")) {
			o->list = true;
		} else if (!strcmp(argv[i], "--format") && i + 1 < argc) {
			o->print = NULL;
			i++;
			for (size_t k = 0; k < sizeof(formats) / sizeof(formats[0]); k++)
				if (!strcmp(argv[i], formats[k].name))
					o->print = formats[k].print;
			if (!o->print)
				return cli_usage_error("profile",
						       "--format %s: choose table, folded or tree",
						       argv[i]);
		} else if (!strcmp(argv[i], "--accel") && i + 1 < argc) {
			if (cli_parse_accel(argv[++i], &o->accel, &err))
				return cli_fail(&err);
		} else if (!strcmp(argv[i], "--kernel") && i + 1 < argc) {
			o->kernel = argv[++i];
		} else if (argv[i][0] == '-' || o->op) {
			return cli_usage_error("profile", "unknown or incomplete option %s",
					       argv[i]);
		} else {
			o->op = argv[i];
		}
	}
	if (!o->op && !o->list)
		return cli_usage_error("profile", "which operation? --list names them");
	return 0;
}

static int list(const char *kernel)
{
	struct mmvm_error err = {0};
	struct catalog c;

	if (catalog_load(kernel, &c, &err))
		return cli_fail(&err);
	for (unsigned int i = 0; i < c.nr; i++)
		if (!strncmp(c.test[i].name, PROFILE_SUITE, strlen(PROFILE_SUITE)))
			puts(c.test[i].name + strlen(PROFILE_SUITE));
	catalog_free(&c);
	return MMVM_EXIT_OK;
}

static int profile_here(const struct options *o)
{
	struct mmvm_error err = {0};
	char backend[32] = "";
	struct profiler *profiler = profile_operation(o->kernel, o->op, backend, &err);
	const struct profile *p;
	FILE *f;

	if (!profiler)
		return cli_fail(&err);
	p = profiler_result(profiler);
	/* stacks are for programs to read: what is said about them goes elsewhere */
	f = o->print == profile_print_folded ? stderr : stdout;
	fprintf(f, "%s: %llu instructions, %u repetitions, ", p->op, (unsigned long long)p->min,
		p->reps);
	if (p->identical)
		fputs("all identical", f);
	else
		fprintf(f, "%llu at most, the cheapest is shown", (unsigned long long)p->max);
	fprintf(f, " (%s%s)\n", backend, lab_inside() ? " in the lab" : "");
	o->print(stdout, p);
	profiler_free(profiler);
	return fflush(stdout) ? MMVM_EXIT_FAILED : MMVM_EXIT_OK;
}

int cmd_profile(int argc, char **argv)
{
	struct options o = {.print = profile_print_table};
	char kernel[4096], why[256];
	struct mmvm_error err = {0};
	int status = parse(argc, argv, &o), accel;

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	if (!o.kernel)
		o.kernel = cli_built_path("images/guestmm.elf", kernel, sizeof(kernel));
	if (o.list)
		return list(o.kernel);
	accel = cli_choose_accel(o.accel, false, why, sizeof(why), &err);
	if (accel < 0)
		return cli_fail(&err);
	if (accel == ACCEL_LAB) {
		struct lab_options lab = {0};

		status = lab_exec(argc, argv, &lab, &err);
		return status < 0 ? cli_fail(&err) : status;
	}
	return profile_here(&o);
}
