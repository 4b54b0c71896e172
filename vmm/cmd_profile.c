/*
 * mmvm profile OPERATION: what one operation costs in the guest, function by function, in
 * instructions. Nothing is sampled: the vCPU is single-stepped from the operation's beginning to
 * its end.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "bench/profile.h"
#include "cli/cli.h"
#include "commands.h"
#include "harness/harness.h"
#include "lab/lab.h"

enum format { FORMAT_TABLE, FORMAT_FOLDED, FORMAT_TREE };
static void (*const print[])(FILE *f, const struct profile *p) = {
	profile_print_table, profile_print_folded, profile_print_tree};

struct options {
	const char *op, *kernel;
	enum format format;
	enum accel accel;
	bool list;
};

static const struct cli_option options[] = {
	{.name = "--list",
	 .help = "the operations",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct options, list)},
	{.name = "--format",
	 .value = "table|folded|tree",
	 .help = "by function (table), as stacks for flamegraph.pl, as a call tree",
	 .kind = OPTION_CHOICE,
	 .offset = offsetof(struct options, format),
	 .words = "table folded tree"},
	{.name = "--accel",
	 .value = "auto|kvm|lab",
	 .help = "where to run (auto)",
	 .kind = OPTION_CHOICE,
	 .offset = offsetof(struct options, accel),
	 .words = CLI_ACCELS},
	{.name = "--kernel",
	 .value = "FILE",
	 .help = "guest kernel (images/guestmm.elf of the build)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, kernel),
	 .words = "@file"},
	{0},
};

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
	/* stacks are for programs to read: messages about them are printed elsewhere */
	f = o->format == FORMAT_FOLDED ? stderr : stdout;
	fprintf(f, "%s: %llu instructions, %u repetitions, ", p->op, (unsigned long long)p->min,
		p->reps);
	if (p->identical)
		fputs("all identical", f);
	else
		fprintf(f, "%llu at most, the cheapest is shown", (unsigned long long)p->max);
	fprintf(f, " (%s%s)\n", backend, lab_inside() ? " in the lab" : "");
	print[o->format](stdout, p);
	profiler_free(profiler);
	return fflush(stdout) ? MMVM_EXIT_FAILED : MMVM_EXIT_OK;
}

static int cmd_profile(const struct command *self, int argc, char **argv)
{
	struct option_list operands = {.nr = 0};
	struct options o = {0};
	char kernel[4096], why[256];
	struct mmvm_error err = {0};
	int status = command_parse(self, &o, argc, argv, &operands), accel;

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	if (operands.nr > 1)
		return cli_usage_error("profile", "one operation at a time");
	o.op = operands.item[0];
	if (!o.op && !o.list)
		return cli_usage_error("profile", "which operation? --list names them");
	if (!o.kernel)
		o.kernel = cli_built_path("images/guestmm.elf", kernel, sizeof(kernel));
	if (o.list)
		return list(o.kernel);
	accel = cli_choose_accel(o.accel, NEED_NOTHING, why, sizeof(why), &err);
	if (accel < 0)
		return cli_fail(&err);
	if (accel == ACCEL_LAB) {
		struct lab_options lab = {0};

		status = lab_exec(argc, argv, &lab, &err);
		return status < 0 ? cli_fail(&err) : status;
	}
	return profile_here(&o);
}

const struct command command_profile = {
	.name = "profile",
	.run = cmd_profile,
	.what = "what one operation costs in the guest, function by function",
	.synopsis = "[OPTIONS] OPERATION",
	.about = "What one operation costs in the guest kernel, by function, in exact "
		 "instructions: the CPU is\n"
		 "single-stepped from its beginning to its end, interrupts held back, after it has "
		 "been warmed.",
	.options = options,
	.tail = "Where KVM emulates ring 0 (PVM), a repeated string instruction is one step, not "
		"one a\n"
		"turn.",
};
