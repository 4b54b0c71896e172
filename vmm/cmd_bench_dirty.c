/*
 * mmvm bench dirty: what the dirty log costs, against its kind and the size of memory.
 *
 * Each repetition runs every kind and size once, each in a process of its own, so that what changes
 * on the host while we measure (other load, frequency) falls on all alike. The median is printed, in
 * the lines of the kernel's dirty_log_perf_test, then a table with the range.
 *
 * The noise floor is measured, too: two passes without a log, one after the other, ought to take the
 * same time. What they differ by is what no figure here can tell from nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench/dirty.h"
#include "bench/where.h"
#include "cli/cli.h"
#include "kvm/kvm.h"
#include "lab/lab.h"
#include "machine/machine.h"
#include "result/json.h"
#include "report/report.h"

#define MAX_SIZES 8u
#define MAX_MODES 3u
#define MAX_REPS  64u
#define NS_PER_S  UINT64_C(1000000000)

struct config {
	const char *mode;
	uint64_t mb;
	struct dirty_run run[MAX_REPS];
	unsigned int nr; /* runs that were measured */
	char note[256];	 /* why there are fewer */
};

struct options {
	const char *mode[MAX_MODES];
	uint64_t mb[MAX_SIZES];
	unsigned int nr_modes, nr_sizes, reps, iterations;
	const char *json;
	enum accel accel;
	bool quick;
};

struct bench {
	struct options opt;
	struct config *config;
	unsigned int nr;
	uint64_t order[MAX_REPS * (DIRTY_MAX_ITERATIONS + 2)]; /* scratch */
};

/** Median, least and most of some values. */
struct spread {
	uint64_t median, min, max;
};

/* ---- options --------------------------------------------------------------------------------- */

static int add_mode(struct options *o, const char *text)
{
	enum dirty_mode mode;

	if (o->nr_modes == MAX_MODES || dirty_mode_parse(text, &mode) || mode == DIRTY_AUTO)
		return cli_usage_error("bench dirty",
				       "--mode: %s is none of bitmap, bitmap-manual, ring", text);
	o->mode[o->nr_modes++] = dirty_mode_name(mode);
	return 0;
}

static int add_size(struct options *o, const char *text)
{
	uint64_t bytes;

	if (o->nr_sizes == MAX_SIZES || cli_parse_size(text, &bytes) || bytes < 1u << 20 ||
	    bytes > 2048ull << 20 || bytes % (1u << 20))
		return cli_usage_error("bench dirty",
				       "--memory: %s is no size of whole MiB up to 2G, or too many",
				       text);
	o->mb[o->nr_sizes++] = bytes >> 20;
	return 0;
}

static int add_list(struct options *o, const char *list,
		    int (*add)(struct options *o, const char *text))
{
	char copy[256], *save = NULL;
	int rc = 0;

	snprintf(copy, sizeof(copy), "%s", list);
	for (char *word = strtok_r(copy, ",", &save); word && !rc;
	     word = strtok_r(NULL, ",", &save))
		rc = add(o, word);
	return rc;
}

static int parse_modes(void *base, const char *command, const struct cli_option *opt,
		       const char *value)
{
	struct options *o = base;

	o->nr_modes = 0;
	return add_list(o, value, add_mode);
}

static int parse_sizes(void *base, const char *command, const struct cli_option *opt,
		       const char *value)
{
	struct options *o = base;

	o->nr_sizes = 0;
	return add_list(o, value, add_size);
}

static const struct cli_option options[] = {
	{.name = "--mode",
	 .value = "LIST",
	 .help = "bitmap,bitmap-manual,ring (all that KVM has)",
	 .kind = OPTION_CALL,
	 .words = "bitmap bitmap-manual ring",
	 .parse = parse_modes},
	{.name = "--memory",
	 .value = "LIST",
	 .help = "sizes of the region that is written (8M,16M,32M)",
	 .kind = OPTION_CALL,
	 .parse = parse_sizes},
	{.name = "--iterations",
	 .value = "N",
	 .help = "passes with the log on (3)",
	 .kind = OPTION_UINT,
	 .offset = offsetof(struct options, iterations),
	 .min = 1,
	 .max = DIRTY_MAX_ITERATIONS},
	{.name = "--reps",
	 .value = "N",
	 .help = "repetitions, each a process of its own (8)",
	 .kind = OPTION_UINT,
	 .offset = offsetof(struct options, reps),
	 .min = 1,
	 .max = MAX_REPS},
	{.name = "--quick",
	 .help = "3 repetitions of 4M,8M",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct options, quick)},
	{.name = "--json",
	 .value = "FILE",
	 .help = "the result as JSON too (-: stdout)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct options, json),
	 .words = "@output"},
	{.name = "--accel",
	 .value = "kvm|lab",
	 .help = "where to run (kvm, or the lab when there is no KVM)",
	 .kind = OPTION_CHOICE,
	 .offset = offsetof(struct options, accel),
	 .words = CLI_ACCELS},
	{0},
};

/** Set the defaults of options that were not given. */
static int complete(struct options *o)
{
	int rc = 0;

	if (!o->reps)
		o->reps = o->quick ? 3 : 8;
	if (!o->nr_modes)
		rc = add_list(o, "bitmap,bitmap-manual,ring", add_mode);
	if (!o->nr_sizes && !rc)
		rc = add_list(o, o->quick ? "4M,8M" : "8M,16M,32M", add_size);
	return rc;
}

/* ---- measuring ------------------------------------------------------------------------------- */

static void take_lines(struct config *c, int fd)
{
	struct dirty_run run = {0};
	char line[512];
	bool noted = false;
	FILE *f;

	lseek(fd, 0, SEEK_SET);
	f = fdopen(dup(fd), "r");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "note ", 5)) {
			snprintf(c->note, sizeof(c->note), "%.250s", line + 5);
			noted = true;
		} else if (dirty_run_line(&run, line)) {
			fprintf(stderr, "mmvm bench: not understood: %s\n", line);
			noted = true;
		}
	}
	fclose(f);
	if (!noted && run.iterations)
		c->run[c->nr++] = run;
}

/** One machine, in a process of its own. Returns 0, or a status to end with. */
static int measure(struct config *c, unsigned int iterations)
{
	char self[4096], mb[24], n[24];
	char *argv[] = {
		self, (char *)"bench", (char *)"--inner", (char *)"dirty", (char *)c->mode, mb, n,
		NULL};
	int fd = memfd_create("bench", MFD_CLOEXEC), status = 0;
	pid_t pid;

	if (fd < 0)
		return MMVM_EXIT_HOST;
	snprintf(mb, sizeof(mb), "%" PRIu64, c->mb);
	snprintf(n, sizeof(n), "%u", iterations);
	cli_built_path("mmvm", self, sizeof(self));
	fflush(NULL);
	pid = fork();
	if (!pid) {
		dup2(fd, STDOUT_FILENO);
		execv(self, argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		status = MMVM_EXIT_HOST;
	else
		status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : 0;
	take_lines(c, fd);
	close(fd);
	return status;
}

static int measure_all(struct bench *b)
{
	bool live = isatty(STDERR_FILENO);
	int status = 0;

	for (unsigned int rep = 0; rep < b->opt.reps && !status; rep++) {
		for (unsigned int i = 0; i < b->nr && !status; i++) {
			struct config *c = &b->config[i];

			if (live)
				fprintf(stderr, "\r\033[Krepetition %u of %u: %s, %" PRIu64 " MiB",
					rep + 1, b->opt.reps, c->mode, c->mb);
			/* It would fail again for the same reason. */
			if (!c->note[0])
				status = measure(c, b->opt.iterations);
		}
	}
	if (live)
		fputs("\r\033[K", stderr);
	return status;
}

/* ---- results --------------------------------------------------------------------------------- */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static struct spread spread_of(uint64_t *v, unsigned int n)
{
	struct spread s = {0};

	if (!n)
		return s;
	qsort(v, n, sizeof(*v), compare_u64);
	s.min = v[0];
	s.max = v[n - 1];
	s.median = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
	return s;
}

static struct spread value_spread(struct bench *b, const struct config *c, enum dirty_value v)
{
	for (unsigned int r = 0; r < c->nr; r++)
		b->order[r] = c->run[r].value[v];
	return spread_of(b->order, c->nr);
}

static struct spread iter_spread(struct bench *b, const struct config *c, unsigned int i,
				 enum dirty_iter_value v)
{
	for (unsigned int r = 0; r < c->nr; r++)
		b->order[r] = c->run[r].iter[i][v];
	return spread_of(b->order, c->nr);
}

static uint64_t pages_of(const struct config *c)
{
	return (c->mb << 20) / 4096;
}

/** Picoseconds a page that a pass over protected pages takes more than one without a log. The last
 * iteration: by then all pages were cleared at least once. Never below 0: that is noise. */
static struct spread redirty_ps(struct bench *b, const struct config *c)
{
	for (unsigned int r = 0; r < c->nr; r++) {
		uint64_t with = c->run[r].iter[b->opt.iterations - 1][DI_DIRTY];
		uint64_t plain = c->run[r].value[DV_PLAIN];

		b->order[r] = with > plain ? (with - plain) * 1000 / pages_of(c) : 0;
	}
	return spread_of(b->order, c->nr);
}

/** Picoseconds a page by which two equal passes differ. */
static struct spread noise_ps(struct bench *b, const struct config *c)
{
	for (unsigned int r = 0; r < c->nr; r++) {
		uint64_t x = c->run[r].value[DV_PLAIN], y = c->run[r].value[DV_AGAIN];

		b->order[r] = (x > y ? x - y : y - x) * 1000 / pages_of(c);
	}
	return spread_of(b->order, c->nr);
}

static void print_time(FILE *f, const char *what, uint64_t ns)
{
	fprintf(f, "%s: %" PRIu64 ".%.9" PRIu64 "s\n", what, ns / NS_PER_S, ns % NS_PER_S);
}

static void print_total(FILE *f, const char *what, uint64_t ns, unsigned int n)
{
	uint64_t avg = ns / n;

	fprintf(f,
		"%s dirty log over %u iterations took %" PRIu64 ".%.9" PRIu64 "s. (Avg %" PRIu64
		".%.9" PRIu64 "s/iteration)\n",
		what, n, ns / NS_PER_S, ns % NS_PER_S, avg / NS_PER_S, avg % NS_PER_S);
}

#define TEXT_(id, name, text) text,
static const char *const value_texts[] = {DIRTY_VALUES(TEXT_)};
static const char *const iter_texts[] = {DIRTY_ITER_VALUES(TEXT_)};
#undef TEXT_

/** The medians, line by line as dirty_log_perf_test has them. */
static void print_lines(FILE *f, struct bench *b, const struct config *c)
{
	uint64_t total[NR_DIRTY_ITER_VALUES] = {0};
	bool clears = strcmp(c->mode, "bitmap") != 0;
	char what[64];

	fprintf(f, "\n%s, %" PRIu64 " MiB, %" PRIu64 " pages: medians of %u\n", c->mode, c->mb,
		pages_of(c), c->nr);
	fprintf(f, "Test iterations: %u\n", b->opt.iterations);
	print_time(f, value_texts[DV_POPULATE], value_spread(b, c, DV_POPULATE).median);
	print_time(f, value_texts[DV_PLAIN], value_spread(b, c, DV_PLAIN).median);
	print_time(f, value_texts[DV_ENABLE], value_spread(b, c, DV_ENABLE).median);
	for (unsigned int i = 0; i < b->opt.iterations; i++) {
		putc('\n', f);
		for (unsigned int v = 0; v < NR_DIRTY_ITER_VALUES; v++) {
			uint64_t median = iter_spread(b, c, i, v).median;

			total[v] += median;
			if (v == DI_PAGES || (v == DI_CLEAR && !clears))
				continue;
			snprintf(what, sizeof(what), "Iteration %u %s", i + 1, iter_texts[v]);
			print_time(f, what, median);
		}
	}
	putc('\n', f);
	print_time(f, value_texts[DV_DISABLE], value_spread(b, c, DV_DISABLE).median);
	print_total(f, "Get", total[DI_GET], b->opt.iterations);
	if (clears)
		print_total(f, "Clear", total[DI_CLEAR], b->opt.iterations);
}

static const char *ps_text(uint64_t ps, char buf[24])
{
	snprintf(buf, 24, "%" PRIu64 ".%" PRIu64 " ns", ps / 1000, ps % 1000 / 100);
	return buf;
}

static void print_table(FILE *f, struct bench *b)
{
	unsigned int last = b->opt.iterations - 1;
	char t[6][24];

	fprintf(f, "\n%-14s %7s %10s %10s %10s %10s  %s\n", "", "memory", "enable", "get", "clear",
		"disable", "a page written again: median (least .. most)   noise floor");
	for (unsigned int i = 0; i < b->nr; i++) {
		const struct config *c = &b->config[i];
		struct spread again;

		if (!c->nr) {
			fprintf(f, "%-14s %3" PRIu64 " MiB  n/a: %s\n", c->mode, c->mb,
				c->note[0] ? c->note : "no result");
			continue;
		}
		again = redirty_ps(b, c);
		fprintf(f, "%-14s %3" PRIu64 " MiB %10s %10s %10s %10s", c->mode, c->mb,
			format_ns(value_spread(b, c, DV_ENABLE).median, t[0], 24),
			format_ns(iter_spread(b, c, last, DI_GET).median, t[1], 24),
			strcmp(c->mode, "bitmap")
				? format_ns(iter_spread(b, c, last, DI_CLEAR).median, t[2], 24)
				: "with get",
			format_ns(value_spread(b, c, DV_DISABLE).median, t[3], 24));
		fprintf(f, "  %10s (%s .. %s)   %s\n", ps_text(again.median, t[0]),
			ps_text(again.min, t[1]), ps_text(again.max, t[2]),
			ps_text(noise_ps(b, c).median, t[3]));
	}
}

static void json_spread(struct json *j, const char *key, struct spread s)
{
	json_object(j, key);
	json_u64(j, "median", s.median);
	json_u64(j, "min", s.min);
	json_u64(j, "max", s.max);
	json_end_object(j);
}

#define NAME_(id, name, text) name,
static const char *const value_names[] = {DIRTY_VALUES(NAME_)};
static const char *const iter_names[] = {DIRTY_ITER_VALUES(NAME_)};
#undef NAME_

static int emit_json(FILE *f, const void *arg)
{
	struct bench *b = (struct bench *)arg; /* its scratch is used */
	struct json j;
	char key[32];

	json_init(&j, f);
	json_object(&j, NULL);
	json_string(&j, "backend", kvm_backend_name(kvm_backend_detect()));
	json_u64(&j, "repetitions", b->opt.reps);
	json_u64(&j, "iterations", b->opt.iterations);
	json_array(&j, "dirty");
	for (unsigned int i = 0; i < b->nr; i++) {
		const struct config *c = &b->config[i];

		json_object(&j, NULL);
		json_string(&j, "mode", c->mode);
		json_u64(&j, "pages", pages_of(c));
		json_u64(&j, "measured", c->nr);
		json_string(&j, "note", c->note);
		for (unsigned int v = 0; c->nr && v < NR_DIRTY_VALUES; v++) {
			snprintf(key, sizeof(key), "%s_ns", value_names[v]);
			json_spread(&j, key, value_spread(b, c, v));
		}
		json_array(&j, "passes");
		for (unsigned int n = 0; c->nr && n < b->opt.iterations; n++) {
			json_object(&j, NULL);
			for (unsigned int v = 0; v < NR_DIRTY_ITER_VALUES; v++) {
				snprintf(key, sizeof(key), "%s%s", iter_names[v],
					 v == DI_PAGES ? "" : "_ns");
				json_spread(&j, key, iter_spread(b, c, n, v));
			}
			json_end_object(&j);
		}
		json_end_array(&j);
		if (c->nr) {
			json_spread(&j, "again_ps_per_page", redirty_ps(b, c));
			json_spread(&j, "noise_ps_per_page", noise_ps(b, c));
		}
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	json_finish(&j);
	return ferror(f) ? -EIO : 0;
}

/** Are all results present? Kinds that this KVM does not support are not missing. */
static int report(struct bench *b)
{
	FILE *f = b->opt.json && !strcmp(b->opt.json, "-") ? stderr : stdout;
	unsigned int measured = 0;
	int rc;

	fprintf(f, "%s, %u repetitions, interleaved, a process each; host memory touched before\n",
		kvm_backend_name(kvm_backend_detect()), b->opt.reps);
	for (unsigned int i = 0; i < b->nr; i++) {
		measured += b->config[i].nr;
		if (b->config[i].nr)
			print_lines(f, b, &b->config[i]);
	}
	print_table(f, b);
	if (b->opt.json) {
		rc = report_write_file_atomic(b->opt.json, emit_json, b);
		if (rc) {
			fprintf(stderr, "mmvm: cannot write %s: %s\n", b->opt.json, strerror(-rc));
			return MMVM_EXIT_HOST;
		}
	}
	return measured ? MMVM_EXIT_OK : MMVM_EXIT_HOST;
}

static int run_in_lab(int argc, char **argv)
{
	struct lab_options lab = {.ram_mb = 768};
	struct mmvm_error err = {0};
	int status = lab_exec(argc, argv, &lab, &err);

	return status < 0 ? cli_fail(&err) : status;
}

static int cmd_bench_dirty(const struct command *self, int argc, char **argv)
{
	struct bench b = {.opt = {.iterations = 3}};
	struct kvm_system sys;
	int status = bench_parse(self, &b.opt, argc, argv);

	if (!status)
		status = complete(&b.opt);
	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	if (b.opt.accel != ACCEL_LAB && !kvm_system_open(&sys))
		kvm_system_close(&sys);
	else if (!lab_inside())
		return run_in_lab(argc, argv);
	b.config = calloc((size_t)b.opt.nr_modes * b.opt.nr_sizes, sizeof(*b.config));
	if (!b.config) {
		fputs("mmvm: no memory\n", stderr);
		return MMVM_EXIT_HOST;
	}
	for (unsigned int m = 0; m < b.opt.nr_modes; m++)
		for (unsigned int s = 0; s < b.opt.nr_sizes; s++)
			b.config[b.nr++] =
				(struct config){.mode = b.opt.mode[m], .mb = b.opt.mb[s]};
	status = measure_all(&b);
	if (!status)
		status = report(&b);
	free(b.config);
	return status;
}

const struct command command_bench_dirty = {
	.name = "bench dirty",
	.run = cmd_bench_dirty,
	.what = "what the dirty log costs",
	.synopsis = "[OPTIONS]",
	.about =
		"What the dirty log costs on this host: enable, get, clear, disable, and writing "
		"again\n"
		"to pages that it protects. Lines as the kernel's dirty_log_perf_test prints them.",
	.options = options,
};
