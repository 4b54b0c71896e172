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
#include "cli.h"
#include "commands.h"
#include "harness/harness.h"
#include "kvm/kvm.h"
#include "lab/lab.h"
#include "machine/cpio.h"
#include "report/report.h"

#define MAX_PATTERNS 64

struct options {
	bool list, verbose;
	const char *pattern[MAX_PATTERNS];
	unsigned int nr_patterns;
	uint64_t jobs, seed;
	bool has_seed;
	enum test_format format;
	enum accel accel;
	const char *kernel, *append;
	double scale;
	uint64_t cpus, lab_cpus;
};

static void help(void)
{
	puts("usage: mmvm test [OPTIONS]\n"
	     "Run the guest's tests, each in a fresh machine; memory is audited after each.\n"
	     "  --list               name them, with their flags, and run none\n"
	     "  -k PATTERN           only tests whose name holds PATTERN, or matches it as a glob\n"
	     "                       (may be given more than once: any of them)\n"
	     "  -j N                 so many machines at a time (1)\n"
	     "  --format FORMAT      pretty, tap or junit (pretty)\n"
	     "  --accel ACCEL        auto, kvm or lab (auto)\n"
	     "  --seed N             seed of everything random (printed; new each time)\n"
	     "  --kernel ELF         the guest kernel (images/guestmm.elf beside mmvm)\n"
	     "  --timeout-scale X    time limits times X (1)\n"
	     "  --cpus N             CPUs of tests that do not ask for a number (1)\n"
	     "  --lab-cpus N         CPUs of the lab (1: more are slower, but truly run side by "
	     "side)\n"
	     "  --append STR         more for the guest kernel's command line, e.g. lockdep\n"
	     "  -v                   show audits of tests that pass as well\n"
	     "Status: 0 when something ran and nothing failed, 1 otherwise, 2 usage, 3 this host\n"
	     "cannot run it.");
}

static int parse_format(const char *text, enum test_format *format)
{
	static const char *const names[] = {"pretty", "tap", "junit"};

	for (unsigned int i = 0; i < 3; i++) {
		if (!strcmp(text, names[i])) {
			*format = (enum test_format)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_scale(const char *text, double *scale)
{
	char *end;

	*scale = strtod(text, &end);
	return *end || end == text || !(*scale >= 0.01 && *scale <= 1000) ? -EINVAL : 0;
}

/** 0, or an exit status (with -1 for "help was given: status 0"). */
static int parse(int argc, char **argv, struct options *o)
{
	struct mmvm_error err;

	for (int i = 2; i < argc; i++) {
		const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(a, "--help") || !strcmp(a, "-h")) {
			help();
			return -1;
		} else if (!strcmp(a, "--list")) {
			o->list = true;
			continue;
		} else if (!strcmp(a, "-v")) {
			o->verbose = true;
			continue;
		} else if (strcmp(a, "-k") && strcmp(a, "-j") && strcmp(a, "--format") &&
			   strcmp(a, "--accel") && strcmp(a, "--seed") && strcmp(a, "--kernel") &&
			   strcmp(a, "--timeout-scale") && strcmp(a, "--cpus") &&
			   strcmp(a, "--append") && strcmp(a, "--lab-cpus")) {
			return cli_usage_error("test", "unknown option %s", a);
		} else if (!value) {
			return cli_usage_error("test", "%s needs a value", a);
		}
		i++;
		if (!strcmp(a, "-k")) {
			if (o->nr_patterns == MAX_PATTERNS)
				return cli_usage_error("test", "at most %d patterns", MAX_PATTERNS);
			o->pattern[o->nr_patterns++] = value;
		} else if (!strcmp(a, "-j")) {
			if (cli_parse_u64(value, 1, 64, &o->jobs))
				return cli_usage_error("test", "-j %s: from 1 to 64", value);
		} else if (!strcmp(a, "--format")) {
			if (parse_format(value, &o->format))
				return cli_usage_error("test", "--format %s: pretty, tap or junit",
						       value);
		} else if (!strcmp(a, "--accel")) {
			if (cli_parse_accel(value, &o->accel, &err))
				return cli_usage_error("test", "%s", err.text);
		} else if (!strcmp(a, "--seed")) {
			if (cli_parse_u64(value, 0, UINT64_MAX, &o->seed))
				return cli_usage_error("test", "--seed %s: a number", value);
			o->has_seed = true;
		} else if (!strcmp(a, "--kernel")) {
			o->kernel = value;
		} else if (!strcmp(a, "--append")) {
			o->append = value;
		} else if (!strcmp(a, "--cpus") || !strcmp(a, "--lab-cpus")) {
			if (cli_parse_u64(value, 1, MMVM_MAX_CPUS,
					  a[2] == 'l' ? &o->lab_cpus : &o->cpus))
				return cli_usage_error("test", "%s %s: from 1 to %u", a, value,
						       MMVM_MAX_CPUS);
		} else if (parse_scale(value, &o->scale)) {
			return cli_usage_error("test", "--timeout-scale %s: from 0.01 to 1000",
					       value);
		}
	}
	return 0;
}

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

/** All user programs of the build as /bin/NAME. */
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
		if (stat(path, &st) || !S_ISREG(st.st_mode) || access(path, X_OK))
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

/** The tests that are asked for. Tests that this backend is too slow for are put out as skipped. */
static unsigned int select_tests(const struct catalog *c, const struct options *o,
				 const struct mmvm_test_desc **chosen)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < c->nr; i++) {
		bool wanted = o->nr_patterns == 0;

		if (c->test[i].flags & MMVM_TESTF_BENCH)
			continue;
		for (unsigned int p = 0; p < o->nr_patterns; p++)
			wanted |= catalog_match(c->test[i].name, o->pattern[p]);
		if (wanted)
			chosen[nr++] = &c->test[i];
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

int cmd_test(int argc, char **argv)
{
	struct options o = {.jobs = 1, .scale = 1, .accel = ACCEL_AUTO};
	const struct mmvm_test_desc **chosen = NULL;
	char kernel[4096], why[256];
	struct catalog c = {0};
	struct cpio cpio = {0};
	struct harness h = {0};
	struct mmvm_error err;
	enum kvm_backend backend;
	unsigned int nr, width = 0;
	int status = parse(argc, argv, &o), accel;

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	h.kernel =
		o.kernel ? o.kernel : cli_built_path("images/guestmm.elf", kernel, sizeof(kernel));
	if (catalog_load(h.kernel, &c, &err))
		return cli_fail(&err);
	chosen = calloc(c.nr ? c.nr : 1, sizeof(*chosen));
	if (!chosen) {
		mmvm_error(&err, MMVM_EXIT_HOST, "out of memory");
		status = cli_fail(&err);
		goto out;
	}
	nr = select_tests(&c, &o, chosen);
	if (!nr) {
		mmvm_error(&err, MMVM_EXIT_FAILED, "no test of %s matches: nothing ran", h.kernel);
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
	accel = cli_choose_accel(o.accel, false, why, sizeof(why), &err);
	if (accel < 0) {
		status = cli_fail(&err);
		goto out;
	}
	if (accel == ACCEL_LAB) {
		struct lab_options lab = {.cpus = (unsigned int)o.lab_cpus};

		/* The whole command goes into one lab: it boots once, not once a test. */
		status = lab_exec(argc, argv, &lab, &err);
		if (status < 0)
			status = cli_fail(&err);
		goto out;
	}
	if (build_initrd(&cpio, &err)) {
		status = cli_fail(&err);
		goto out;
	}
	if (!o.has_seed && getrandom(&o.seed, sizeof(o.seed), 0) != sizeof(o.seed))
		o.seed = (uint64_t)getpid();
	backend = kvm_backend_detect();
	h.symbols = symtab_load(h.kernel);
	h.initrd = cpio.data;
	h.initrd_len = cpio.len;
	h.seed = o.seed;
	h.emulated = backend == KVM_BACKEND_PVM;
	h.scale = o.scale;
	h.cpus = (unsigned int)o.cpus;
	h.append = o.append;
	h.jobs = (unsigned int)o.jobs;
	h.verbose = o.verbose;
	h.child = job_child;
	h.grace_s = 20;
	snprintf(why, sizeof(why), "%s%s", kvm_backend_name(backend),
		 lab_inside() ? " in the lab" : "");
	status = run_here(&o, chosen, nr, &h, why);
	symtab_free((struct symtab *)h.symbols);
out:
	cpio_free(&cpio);
	free(chosen);
	catalog_free(&c);
	return status;
}
