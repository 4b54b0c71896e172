/*
 * mmvm test: the guest's own tests, each in a fresh machine.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/cli.h"
#include "commands.h"
#include "harness/harness.h"
#include "kvm/kvm.h"
#include "lab/lab.h"
#include "machine/cpio.h"
#include "report/report.h"

#define MAX_PATTERNS 64
/** Set for the inner mmvm of the lab: where to begin. Verdicts go out as messages (relay.c). */
#define RELAY_ENV "MMVM_RELAY"
#define HANGS_MAX 3u /* of the lab, in one test */

struct options {
	bool list, verbose;
	struct option_list patterns;
	unsigned int jobs;
	uint64_t seed;
	bool has_seed;
	enum test_format format;
	enum accel accel;
	const char *kernel, *append;
	double scale;
	unsigned int cpus, lab_cpus, first, sandbox_off;
	unsigned int shard,
		shards; /* every shards-th test, from the shard-th (1, 2 ...) on; 0: all */
};

static int parse_scale(void *base, const char *command, const struct cli_option *opt,
		       const char *text)
{
	struct options *o = base;
	char *end;

	o->scale = strtod(text, &end);
	if (!*end && end != text && o->scale >= 0.01 && o->scale <= 1000)
		return 0;
	return cli_usage_error(command, "--timeout-scale %s: from 0.01 to 1000", text);
}

static int parse_shard(void *base, const char *command, const struct cli_option *opt,
		       const char *text)
{
	struct options *o = base;
	int end = 0;

	if (sscanf(text, "%9u/%9u%n", &o->shard, &o->shards, &end) == 2 && !text[end] &&
	    o->shard >= 1 && o->shard <= o->shards)
		return 0;
	return cli_usage_error(command, "--shard %s: K/N, with K from 1 to N", text);
}

static int parse_seed(void *base, const char *command, const struct cli_option *opt,
		      const char *text)
{
	struct options *o = base;

	o->has_seed = true;
	return cli_parse_u64(text, 0, UINT64_MAX, &o->seed)
		       ? cli_usage_error(command, "--seed %s: not a number", text)
		       : 0;
}

static const struct cli_option options[] = {
	{.name = "--list",
	 .help = "name them, with their flags, and run none",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct options, list)},
	{.name = "-k",
	 .value = "PATTERN",
	 .help = "only tests whose name holds PATTERN, or matches it as a glob\n"
		 "(may be given more than once: any of them)",
	 .kind = OPTION_LIST,
	 .offset = offsetof(struct options, patterns),
	 .max = MAX_PATTERNS},
	{.name = "--shard",
	 .value = "K/N",
	 .help = "every N-th of them, from the K-th on: N machines share the work",
	 .kind = OPTION_CALL,
	 .parse = parse_shard},
	{.name = "-j",
	 .value = "N",
	 .help = "so many machines at a time (1)",
	 .kind = OPTION_UINT,
	 .offset = offsetof(struct options, jobs),
	 .min = 1,
	 .max = 64},
	{.name = "--format",
	 .value = "pretty|tap|junit",
	 .help = "how results are printed (pretty)",
	 .kind = OPTION_CHOICE,
	 .offset = offsetof(struct options, format),
	 .words = "pretty tap junit"},
	{.name = "--accel",
	 .value = "auto|kvm|lab",
	 .help = "where to run (auto)",
	 .kind = OPTION_CHOICE,
	 .offset = offsetof(struct options, accel),
	 .words = CLI_ACCELS},
	{.name = "--seed",
	 .value = "N",
	 .help = "seed of everything random (printed; new each time)",
	 .kind = OPTION_CALL,
	 .parse = parse_seed},
	{.name = "--kernel",
	 .value = "ELF",
	 .help = "the guest kernel (images/guestmm.elf beside mmvm)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, kernel),
	 .words = "@file"},
	{.name = "--timeout-scale",
	 .value = "X",
	 .help = "time limits times X, that after which the lab hangs as well (1)",
	 .kind = OPTION_CALL,
	 .parse = parse_scale},
	{.name = "--cpus",
	 .value = "N",
	 .help = "CPUs of tests that do not ask for a number (1)",
	 .kind = OPTION_UINT,
	 .offset = offsetof(struct options, cpus),
	 .min = 1,
	 .max = MMVM_MAX_CPUS},
	{.name = "--lab-cpus",
	 .value = "N",
	 .help = "CPUs of the lab (1: more are slower, but truly run side by side)",
	 .kind = OPTION_UINT,
	 .offset = offsetof(struct options, lab_cpus),
	 .min = 1,
	 .max = MMVM_MAX_CPUS},
	{.name = "--append",
	 .value = "STR",
	 .help = "more for the guest kernel's command line, e.g. lockdep",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, append)},
	{.name = "--sandbox",
	 .value = "on|off",
	 .help = "give up privileges and system calls before a guest begins (on)",
	 .kind = OPTION_CHOICE,
	 .offset = offsetof(struct options, sandbox_off),
	 .words = "on off"},
	{.name = "-v",
	 .help = "show audits of tests that pass as well",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct options, verbose)},
	{0},
};

static void list_tests(const struct mmvm_test_desc *const *t, unsigned int nr, unsigned int width)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} flags[] = {{MMVM_TESTF_LAB_ONLY, "lab"},
		     {MMVM_TESTF_EXPECT_CRASH, "crash"},
		     {MMVM_TESTF_EXPECT_AUDIT, "audit"},
		     {MMVM_TESTF_USER, "user"}};

	for (unsigned int i = 0; i < nr; i++) {
		printf("%-*s %4u s  %s", (int)width, t[i]->name, plan_limit_s(t[i], false, 1),
		       t[i]->args);
		for (size_t f = 0; f < sizeof(flags) / sizeof(flags[0]); f++)
			if (t[i]->flags & flags[f].flag)
				printf(" [%s]", flags[f].name);
		putchar('\n');
	}
}

/** The user programs of the build as /bin/NAME, but for those that no test starts: with a C library (NAME.musl,
 * NAME.glibc) they are large, and bench_* are for `mmvm bench`. The guest's tests run in little memory. */
static int build_initrd(struct cpio *cpio, struct mmvm_error *err)
{
	char folder[4096], path[8192], name[300];
	struct dirent *e;
	struct stat st;
	int ret = 0;
	DIR *dir;

	if (cpio_add(cpio, "bin", NULL, 0))
		return mmvm_error(err, MMVM_EXIT_HOST, "out of memory");
	dir = opendir(cli_built_path("user", folder, sizeof(folder)));
	while (dir && !ret && (e = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		/* Programs; the compiler leaves other files beside them. */
		if (strchr(e->d_name, '.') || !strncmp(e->d_name, "bench_", 6) || stat(path, &st) ||
		    !S_ISREG(st.st_mode) || access(path, X_OK))
			continue;
		snprintf(name, sizeof(name), "bin/%s", e->d_name);
		ret = cpio_add_file(cpio, name, path, err);
	}
	if (dir)
		closedir(dir);
	if (!ret && cpio_finish(cpio))
		ret = mmvm_error(err, MMVM_EXIT_HOST, "out of memory");
	return ret;
}

/** The tests that are asked for; *matched counts those of other shards, too. Tests that this backend is too slow
 * for are put out as skipped. */
static unsigned int select_tests(const struct catalog *c, const struct options *o,
				 const struct mmvm_test_desc **chosen, unsigned int *matched)
{
	unsigned int nr = 0;

	*matched = 0;

	for (unsigned int i = 0; i < c->nr; i++) {
		bool wanted = o->patterns.nr == 0;

		if (c->test[i].flags & MMVM_TESTF_BENCH)
			continue;
		for (unsigned int p = 0; p < o->patterns.nr; p++)
			wanted |= catalog_match(c->test[i].name, o->patterns.item[p]);
		if (!wanted)
			continue;
		if (!o->shards || *matched % o->shards == o->shard - 1)
			chosen[nr++] = &c->test[i];
		++*matched;
	}
	return nr;
}

/** Run the chosen tests here. Returns the exit status. */
static int run_here(const struct options *o, const struct mmvm_test_desc **t, unsigned int nr,
		    struct harness *h, const char *backend)
{
	struct test_output out = {.format = o->format, .f = stdout};
	struct mmvm_error err;
	unsigned int kept = 0;
	int ret;

	out.colour = report_want_colour(stdout);
	for (unsigned int i = 0; i < nr; i++)
		if (strlen(t[i]->name) > out.width)
			out.width = (unsigned int)strlen(t[i]->name);
	if (output_begin(&out, nr, h->seed, backend)) {
		mmvm_error(&err, MMVM_EXIT_HOST, "out of memory");
		return cli_fail(&err);
	}
	for (unsigned int i = 0; i < nr; i++) {
		struct verdict skip = {
			.kind = VERDICT_SKIP,
			.reason = "too long where ring 0 is emulated: use --accel lab"};

		if (h->emulated && t[i]->flags & MMVM_TESTF_LAB_ONLY)
			output_test(&out, t[i], &skip);
		else
			t[kept++] = t[i];
	}
	ret = runner_run(h, t, kept, &out, &err);
	output_end(&out);
	if (ret < 0)
		return cli_fail(&err);
	if (ret > 0)
		return 128 + ret;
	return out.failed || !out.passed ? MMVM_EXIT_FAILED : MMVM_EXIT_OK;
}

/** Silence after which the lab hangs, in seconds. It says once a second that it lives. */
static int patience(double scale)
{
	double s = LAB_PATIENCE_S * scale;

	return s < 5 ? 5 : s > 3600 ? 3600 : (int)s;
}

static const char *what_hung(enum lab_hang hang)
{
	switch (hang) {
	case LAB_EMULATOR_HUNG:
		return "emulator hung (its processors executed nothing, though QEMU was busy)";
	case LAB_RESET:
		return "emulator ended (reset in its mode of several processors)";
	default:
		return "Linux hung (no sign of life)";
	}
}

/**
 * Run the chosen tests in the lab: the whole command goes into one, so that it boots once and not
 * once a test. When the lab hangs, another lab takes the suite up at the test that was running.
 */
static int run_in_lab(int argc, char **argv, const struct options *o,
		      const struct mmvm_test_desc *const *t, unsigned int nr)
{
	struct test_output out = {.format = o->format, .f = stdout};
	struct relay relay = {.o = &out, .t = t, .nr = nr};
	enum lab_hang hang = LAB_NO_HANG;
	struct lab_options lab = {.cpus = o->lab_cpus,
				  .la57 = lab_wants_la57(o->append),
				  .output = relay_take,
				  .output_arg = &relay,
				  .hang = &hang,
				  .patience_s = patience(o->scale)};
	unsigned int hangs = 0, hung_at = 0;
	char seed[24], first[24], **v = calloc((size_t)argc + 3, sizeof(*v));
	struct mmvm_error err;
	int status = -1, n = argc;

	if (!v) {
		mmvm_error(&err, MMVM_EXIT_HOST, "out of memory");
		return cli_fail(&err);
	}
	memcpy(v, argv, (size_t)argc * sizeof(*v));
	snprintf(seed, sizeof(seed), "%" PRIu64, o->seed);
	v[n++] = (char *)"--seed";
	v[n++] = seed;
	out.colour = report_want_colour(stdout);
	for (unsigned int i = 0; i < nr; i++)
		if (strlen(t[i]->name) > out.width)
			out.width = (unsigned int)strlen(t[i]->name);
	do {
		snprintf(first, sizeof(first), "%u", relay.done);
		setenv(RELAY_ENV, first, 1);
		hang = LAB_NO_HANG;
		relay_restart(&relay);
		status = lab_exec(n, v, &lab, &err);
		if (!hang || relay.done == nr)
			break;
		hangs = relay.done == hung_at ? hangs + 1 : 1;
		hung_at = relay.done;
		fprintf(stderr, "mmvm: the lab's %s in or before %s: repeated\n", what_hung(hang),
			t[relay.done]->name);
	} while (hangs < HANGS_MAX);
	if (relay.error == -EPROTO)
		status = mmvm_error(&err, MMVM_EXIT_HOST,
				    "the answer of the lab is damaged behind test %u", relay.done);
	if (relay.begun && (status == MMVM_EXIT_OK || status == MMVM_EXIT_FAILED || status < 0))
		output_end(&out);
	relay_restart(&relay);
	free(v);
	if (status < 0)
		return cli_fail(&err);
	if (status != MMVM_EXIT_OK && status != MMVM_EXIT_FAILED)
		return status;
	/* The last lab may have had nothing but what passed. */
	return out.failed || !out.passed ? MMVM_EXIT_FAILED : MMVM_EXIT_OK;
}

/** Run the chosen tests in machines of this host. `kernel` and `chosen` stay the caller's. */
static int run_on_host(struct options *o, const struct mmvm_test_desc **chosen, unsigned int nr,
		       const char *kernel)
{
	enum kvm_backend backend = kvm_backend_detect();
	struct harness h = {
		.kernel = kernel,
		.seed = o->seed,
		.emulated = backend == KVM_BACKEND_PVM,
		.scale = o->scale,
		.cpus = o->cpus,
		.append = o->append,
		.jobs = o->jobs,
		.verbose = o->verbose,
		.child = job_child,
		.sandbox = !o->sandbox_off,
		.grace_s = 20,
	};
	struct cpio cpio = {0};
	struct mmvm_error err;
	char where[64];
	int status;

	if (build_initrd(&cpio, &err)) {
		status = cli_fail(&err);
		goto out;
	}
	if (lab_inside() && getenv(RELAY_ENV)) {
		o->format = FORMAT_RELAY;
		o->first = (unsigned int)strtoul(getenv(RELAY_ENV), NULL, 10);
		o->first = o->first < nr ? o->first : nr;
	}
	h.symbols = symtab_load(kernel);
	h.initrd = cpio.data;
	h.initrd_len = cpio.len;
	snprintf(where, sizeof(where), "%s%s", kvm_backend_name(backend),
		 lab_inside() ? " in the lab" : "");
	status = run_here(o, chosen + o->first, nr - o->first, &h, where);
	symtab_free((struct symtab *)h.symbols);
out:
	cpio_free(&cpio);
	return status;
}

static int cmd_test(const struct command *self, int argc, char **argv)
{
	struct options o = {.jobs = 1, .scale = 1, .accel = ACCEL_AUTO};
	const struct mmvm_test_desc **chosen = NULL;
	char built[4096], why[256];
	const char *kernel;
	struct catalog c = {0};
	struct mmvm_error err;
	unsigned int nr, matched, width = 0;
	int status = command_parse(self, &o, argc, argv, NULL), accel;

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	kernel = o.kernel ? o.kernel : cli_built_path("images/guestmm.elf", built, sizeof(built));
	if (catalog_load(kernel, &c, &err))
		return cli_fail(&err);
	chosen = calloc(c.nr ? c.nr : 1, sizeof(*chosen));
	if (!chosen) {
		mmvm_error(&err, MMVM_EXIT_HOST, "out of memory");
		status = cli_fail(&err);
		goto out;
	}
	nr = select_tests(&c, &o, chosen, &matched);
	if (!nr && matched) {
		fprintf(stderr, "mmvm: shard %u/%u has none of the %u tests that match\n", o.shard,
			o.shards, matched);
		goto out;
	}
	if (!nr) {
		mmvm_error(&err, MMVM_EXIT_FAILED, "no test of %s matches: nothing ran", kernel);
		status = cli_fail(&err);
		goto out;
	}
	if (o.list) {
		for (unsigned int i = 0; i < nr; i++)
			if (strlen(chosen[i]->name) > width)
				width = (unsigned int)strlen(chosen[i]->name);
		list_tests(chosen, nr, width);
		goto out;
	}
	accel = cli_choose_accel(o.accel, NEED_NOTHING, why, sizeof(why), &err);
	if (accel < 0) {
		status = cli_fail(&err);
		goto out;
	}
	if (!o.has_seed && getrandom(&o.seed, sizeof(o.seed), 0) != sizeof(o.seed))
		o.seed = (uint64_t)getpid();
	if (accel == ACCEL_LAB) {
		status = run_in_lab(argc, argv, &o, chosen, nr);
		goto out;
	}
	status = run_on_host(&o, chosen, nr, kernel);
out:
	free(chosen);
	catalog_free(&c);
	return status;
}

const struct command command_test = {
	.name = "test",
	.run = cmd_test,
	.what = "run the guest's test suites, each test in a fresh machine",
	.synopsis = "[OPTIONS]",
	.about = "Run the guest's tests, each in a fresh machine; memory is audited after each.",
	.options = options,
	.tail = "Status: 0 when something ran and nothing failed, 1 otherwise, 2 usage, 3 this "
		"host\n"
		"cannot run it.",
};
