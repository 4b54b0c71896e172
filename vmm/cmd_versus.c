/*
 * mmvm versus: a program on Linux and on guestmm with each reclaim policy, side by side.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "commands.h"
#include "policy/policy.h"
#include "result/result.h"
#include "versus/versus.h"

struct versus_options {
	struct option_list exec, knobs;
	const char *policies, *kernel, *modules, *json;
	uint64_t memory, swap;
	unsigned int runs, curve_ms;
	bool all;
};
#define AT(field) .offset = offsetof(struct versus_options, field)

static const struct cli_option option_table[] = {
	{.name = "--exec",
	 .value = "PROGRAM [ARG...]",
	 .help = "static program: a path, or one of those built beside mmvm (user/)",
	 .kind = OPTION_REST,
	 AT(exec),
	 .words = "@file"},
	{.name = "--memory",
	 .alias = "-m",
	 .value = "SIZE",
	 .help = "RAM of the Linux machine (96M); guestmm gets so much that the same memory\n"
		 "is available to the program",
	 .kind = OPTION_SIZE,
	 AT(memory),
	 .min = 64ull << 20,
	 .max = 2ull << 30},
	{.name = "--swap",
	 .value = "SIZE",
	 .help = "swap disk (128M)",
	 .kind = OPTION_SIZE,
	 AT(swap),
	 .min = 1ull << 20,
	 .max = 8ull << 30},
	{.name = "--policies",
	 .value = "LIST",
	 .help = "guestmm's reclaim policies (all it has)",
	 .kind = OPTION_TEXT,
	 AT(policies)},
	{.name = "--sysctl",
	 .value = "NAME=VALUE",
	 .help = "set on both sides before the program, like vm.page-cluster=0",
	 .kind = OPTION_LIST,
	 AT(knobs),
	 .max = 16},
	{.name = "--runs",
	 .value = "N",
	 .help = "runs of each system, to see what repeats (2)",
	 .kind = OPTION_UINT,
	 AT(runs),
	 .min = 1,
	 .max = VERSUS_MAX_RUNS},
	{.name = "--curve",
	 .value = "MS",
	 .help = "one more run of each system, for working sets side by side: what was\n"
		 "referenced in each MS milliseconds of the machine's time",
	 .kind = OPTION_UINT,
	 AT(curve_ms),
	 .min = 1,
	 .max = 60000},
	{.name = "--linux",
	 .value = "FILE",
	 .help = "Linux kernel, a bzImage (Debian's, of the lab)",
	 .kind = OPTION_TEXT,
	 AT(kernel),
	 .words = "@file"},
	{.name = "--modules",
	 .value = "FOLDER",
	 .help = "its drivers: .../kernel/drivers (those beside it)",
	 .kind = OPTION_TEXT,
	 AT(modules),
	 .words = "@folder"},
	{.name = "--json",
	 .value = "FILE",
	 .help = "all values of all runs",
	 .kind = OPTION_TEXT,
	 AT(json),
	 .words = "@file"},
	{.name = "-v", .help = "every counter of either kernel", .kind = OPTION_FLAG, AT(all)},
	{0},
};

/** The version that a bzImage names (setup header, kernel_version at 0x20e), or "". */
static void read_release(const char *kernel, char *buf, size_t size)
{
	uint16_t at = 0;
	FILE *f = fopen(kernel, "re");

	buf[0] = 0;
	if (f && !fseek(f, 0x20e, SEEK_SET) && fread(&at, sizeof(at), 1, f) == 1 && at &&
	    !fseek(f, 0x200 + at, SEEK_SET)) {
		size_t n = fread(buf, 1, size - 1, f);

		buf[n] = 0;
		buf[strcspn(buf, " ")] = 0;
		for (char *p = buf; *p; p++)
			if (*p < '!' || *p > '~')
				*p = '?';
	}
	if (f)
		fclose(f);
}

static bool guest_has_policy(const char *name)
{
	const char *known;

	for (unsigned int i = 0; (known = policy_guest_name(i)); i++)
		if (!strcmp(known, name))
			return true;
	return false;
}

/** Linux, then each policy. 0, or an exit status. */
static int choose_systems(struct versus *v, char *list)
{
	const char *name;
	char *rest = list;

	strcpy(v->system[v->nr++].name, "linux");
	for (unsigned int i = 0;
	     list ? (name = strsep(&rest, ",")) != NULL : (name = policy_guest_name(i)) != NULL;
	     i++) {
		struct versus_system *s = &v->system[v->nr];

		if (!guest_has_policy(name))
			return cli_usage_error("versus", "--policies: guestmm has no policy %s",
					       name);
		if (v->nr++ == VERSUS_MAX_SYSTEMS)
			return cli_usage_error("versus", "too many policies");
		snprintf(s->name, sizeof(s->name), "%s", name);
		s->policy = name;
	}
	return 0;
}

static int check_files(const struct versus *v)
{
	const char *const file[] = {v->program, v->kernel, v->modules};

	for (unsigned int i = 0; i < 3; i++) {
		if (!file[i])
			return cli_usage_error("versus",
					       "the lab has no Linux kernel with its modules: give "
					       "--linux and --modules");
		if (access(file[i], R_OK))
			return cli_usage_error("versus", "cannot open %s", file[i]);
	}
	return 0;
}

static int cmd_versus(const struct command *self, int argc, char **argv)
{
	static struct versus v;
	struct versus_options o = {
		.memory = 96ull << 20, .swap = 128ull << 20, .runs = 2, .exec = {.nr = 0}};
	char name[300], program[4096], kernel[4096], modules[4096], *list = NULL;
	struct mmvm_error err = {0};
	int status = command_parse(self, &o, argc, argv, NULL), rc;

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	if (!o.exec.nr)
		return cli_usage_error("versus", "--exec PROGRAM is needed");
	snprintf(name, sizeof(name), "user/%s", o.exec.item[0]);
	v.program = strchr(o.exec.item[0], '/') ? o.exec.item[0]
						: cli_find_built(name, program, sizeof(program));
	v.kernel = o.kernel ? o.kernel
			    : cli_find_built("lab/pkg/boot/vmlinuz-*", kernel, sizeof(kernel));
	v.modules = o.modules ? o.modules
			      : cli_find_built("lab/pkg/lib/modules/*/kernel/drivers", modules,
					       sizeof(modules));
	v.args = o.exec.item + 1;
	v.nr_args = o.exec.nr - 1;
	v.knobs = o.knobs.item;
	v.nr_knobs = o.knobs.nr;
	v.memory = o.memory;
	v.swap = o.swap;
	v.runs = o.runs;
	v.curve_ms = o.curve_ms;
	if (!v.program)
		return cli_usage_error("versus", "no program %s", o.exec.item[0]);
	status = check_files(&v);
	if (status)
		return status;
	list = o.policies ? strdup(o.policies) : NULL;
	status = choose_systems(&v, list);
	if (!status) {
		cli_stop_on_signals(NULL);
		read_release(v.kernel, v.release, sizeof(v.release));
		if (versus_measure(&v, &err)) {
			status = cli_fail(&err);
			goto out;
		}
		versus_table(stdout, &v, o.all);
		rc = o.json ? report_write_file_atomic(o.json, versus_emit_json, &v) : 0;
		if (rc || fflush(stdout)) {
			mmvm_error(&err, MMVM_EXIT_HOST, "cannot write %s: %s",
				   rc ? o.json : "the table", strerror(rc ? -rc : EIO));
			status = cli_fail(&err);
		}
	}
out:
	free(list);
	return status;
}

const struct command command_versus = {
	.name = "versus",
	.run = cmd_versus,
	.what = "a program on Linux and on guestmm, side by side",
	.synopsis = "[OPTIONS] --exec PROGRAM [ARG...]",
	.about = "Run a static program under Linux and under guestmm with each of its reclaim "
		 "policies, in\n"
		 "the lab with --icount, with the same memory available and the same swap. Shows "
		 "what both\n"
		 "kernels counted, what the host saw, and instructions; and what repeats to the "
		 "digit.",
	.options = option_table,
};
