/*
 * mmvm bench tlb: what a memory access costs when the TLB does not hold its translation.
 *
 * Pointers are chased through footprints of 16 KiB and up (bench/chase.c), with small and with large
 * pages, the guest's and the host's. A repetition is a process of its own with new memory and a new
 * machine; the four kinds take turns, so that what changes on the host meanwhile falls on all of
 * them. Beside the times: the references of a page walk that finds nothing cached (bench/walk2d.c),
 * and the processor's own counts where it has any.
 *
 * Figures of different backends say nothing about each other: where shadows stand for the
 * second stage, 2M host pages shorten no walk of 4K guest pages; in the lab the TLB is QEMU's.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>
#include "bench/chase.h"
#include "bench/where.h"
#include "bench/program.h"
#include "bench/walk2d.h"
#include "cli/cli.h"
#include "kvm/kvm.h"
#include "lab/lab.h"
#include "result/json.h"
#include "report/report.h"
#include "sandbox/sandbox.h"

#define MAX_REPS 64u
#define NR_SIZES 2u /* WALK2D_4K, WALK2D_2M */

struct footprint {
	uint64_t kib;
	uint64_t ps[MAX_REPS], noise[MAX_REPS];
	uint64_t count_x1000[NR_PERF_COUNTERS][MAX_REPS]; /* a step */
	unsigned int nr;
};

/* One kind of pages, guest's and host's. */
struct pages {
	struct footprint footprint[CHASE_MAX_FOOTPRINTS];
	unsigned int nr;
	uint64_t huge;	/* bytes, in the last machine */
	char note[128]; /* why there is nothing */
};

struct bench {
	struct pages pages[NR_SIZES][NR_SIZES]; /* [guest][host] */
	uint64_t reps, mb, steps, tsc_hz;
	char counter_why[NR_PERF_COUNTERS][80];
	const char *json;
	enum accel accel;
	bool quick;
};

/* What a repetition's process hands over. */
struct handed {
	struct chase_result result;
	struct mmvm_error err;
	int rc;
};

static const char *const size_name[] = {"4K", "2M"};

static const struct cli_option options[] = {
	{.name = "--memory",
	 .value = "SIZE",
	 .help = "the largest footprint (64M)",
	 .kind = OPTION_MIB,
	 .offset = offsetof(struct bench, mb),
	 .min = 2,
	 .max = CHASE_MAX_MB},
	{.name = "--reps",
	 .value = "N",
	 .help = "repetitions, a process and a machine each (8)",
	 .kind = OPTION_U64,
	 .offset = offsetof(struct bench, reps),
	 .min = 1,
	 .max = MAX_REPS},
	{.name = "--steps",
	 .value = "N",
	 .help = "steps of a timed chase (100000)",
	 .kind = OPTION_U64,
	 .offset = offsetof(struct bench, steps),
	 .min = 1,
	 .max = 100000000},
	{.name = "--quick",
	 .help = "24M, 2 repetitions, 20000 steps",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct bench, quick)},
	{.name = "--json",
	 .value = "FILE",
	 .help = "the result as JSON too (-: stdout)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct bench, json),
	 .words = "@output"},
	{.name = "--accel",
	 .value = "kvm|lab",
	 .help = "where to run (kvm, or the lab when there is no KVM)",
	 .kind = OPTION_CHOICE,
	 .offset = offsetof(struct bench, accel),
	 .words = CLI_ACCELS},
	{0},
};

/* ---- measuring -------------------------------------------------------------------------------- */

static void take(struct bench *b, struct pages *p, const struct chase_result *r)
{
	b->tsc_hz = r->tsc_hz;
	memcpy(b->counter_why, r->counter_why, sizeof(b->counter_why));
	p->huge = r->huge_bytes;
	p->nr = r->nr;
	for (unsigned int i = 0; i < r->nr; i++) {
		const struct chase_sample *s = &r->sample[i];
		struct footprint *f = &p->footprint[i];

		f->kib = s->kib;
		f->ps[f->nr] = s->ps;
		f->noise[f->nr] = s->noise_ps;
		for (unsigned int k = 0; k < NR_PERF_COUNTERS; k++)
			f->count_x1000[k][f->nr] = s->count_x1000[k];
		f->nr++;
	}
}

/** One repetition of one kind of pages. 0, or -1 with `err`. */
static int repeat(struct bench *b, unsigned int guest, unsigned int host, uint64_t rep,
		  struct handed *h, struct mmvm_error *err)
{
	const struct chase_config c = {.guest = (enum walk2d_size)guest,
				       .host = (enum walk2d_size)host,
				       .mb = b->mb,
				       .steps = b->steps,
				       .seed = 0x2545f4914f6cdd1dull + rep};
	struct pages *p = &b->pages[guest][host];
	char why[200];
	int status;
	pid_t pid;

	fflush(NULL);
	memset(h, 0, sizeof(*h));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		h->rc = bench_sandbox() && sandbox_enter_process(bench_sandbox(), why, sizeof(why))
				? mmvm_error(&h->err, MMVM_EXIT_HOST, "no sandbox: %s", why)
				: chase_run(&c, &h->result, &h->err);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return mmvm_error(err, MMVM_EXIT_HOST, "fork: %s", strerror(errno));
	if (status)
		return mmvm_error(err, MMVM_EXIT_FAILED, "a repetition's process ended with %#x",
				  (unsigned int)status);
	if (h->rc == CHASE_NO_HUGE_PAGES) {
		snprintf(p->note, sizeof(p->note),
			 "the host maps %" PRIu64 " of %" PRIu64 " MiB with 2M pages",
			 h->result.huge_bytes >> 20, b->mb);
		return 0;
	}
	if (h->rc) {
		*err = h->err;
		return -1;
	}
	take(b, p, &h->result);
	return 0;
}

static int measure(struct bench *b, struct mmvm_error *err)
{
	struct handed *h =
		mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc = 0;

	if (h == MAP_FAILED)
		return mmvm_error(err, MMVM_EXIT_HOST, "mmap: %s", strerror(errno));
	for (uint64_t rep = 0; rep < b->reps; rep++)
		for (unsigned int g = 0; g < NR_SIZES; g++)
			for (unsigned int k = 0; k < NR_SIZES && !rc; k++)
				/* What the host did not give once it will not give again. */
				if (!b->pages[g][k].note[0])
					rc = repeat(b, g, k, rep, h, err);
	munmap(h, sizeof(*h));
	return rc;
}

/* ---- results ---------------------------------------------------------------------------------- */

struct walk {
	unsigned int refs[NR_SIZES][NR_SIZES]; /* [guest][host] */
};

static int walk_refs(struct walk *nested, struct walk *shadow)
{
	int rc = 0;

	for (unsigned int g = 0; g < NR_SIZES; g++) {
		for (unsigned int h = 0; h < NR_SIZES; h++) {
			struct walk2d_refs r;

			rc |= walk2d_nested((enum walk2d_size)g, (enum walk2d_size)h, 0x7000001000,
					    &r);
			nested->refs[g][h] = r.guest + r.nested;
			rc |= walk2d_shadow((enum walk2d_size)g, (enum walk2d_size)h, 0x7000001000,
					    &r);
			shadow->refs[g][h] = r.guest + r.nested;
		}
	}
	return rc;
}

static void print_walk(FILE *f, const char *name, const struct walk *w)
{
	fprintf(f, "  %-8s", name);
	for (unsigned int g = 0; g < NR_SIZES; g++)
		for (unsigned int h = 0; h < NR_SIZES; h++)
			fprintf(f, "  guest %s on host %s: %2u", size_name[g], size_name[h],
				w->refs[g][h]);
	putc('\n', f);
}

static const char *shape(enum kvm_backend backend)
{
	if (lab_inside())
		return "the lab emulates nested paging: QEMU's own TLB is what is seen, with one "
		       "step up where it ends";
	if (backend == KVM_BACKEND_PVM)
		return "PVM shadows the guest's tables: 2M host pages shorten no walk of them "
		       "while the guest's are 4K; what they still change comes from caches and "
		       "from the layer below";
	return "nested paging: steps up where the TLB ends, less high with 2M host pages";
}

static const char *ps_text(uint64_t ps, char buf[24])
{
	snprintf(buf, 24, "%" PRIu64 ".%02" PRIu64, ps / 1000, ps % 1000 / 10);
	return buf;
}

static void print_pages(FILE *f, struct bench *b, unsigned int guest, unsigned int host)
{
	struct pages *p = &b->pages[guest][host];
	char t[4][24];

	fprintf(f, "\nguest %s, host %s: ", size_name[guest], size_name[host]);
	if (!p->nr) {
		fprintf(f, "n/a: %s\n", p->note);
		return;
	}
	fprintf(f, "%" PRIu64 " MiB in 2M pages\n", p->huge >> 20);
	fprintf(f, "  %10s %12s %10s %12s %12s", "footprint", "ns a step", "least", "cycles",
		"noise floor");
	for (unsigned int c = 0; c < NR_PERF_COUNTERS; c++)
		if (!b->counter_why[c][0])
			fprintf(f, "  %s", perf_counter_name((enum perf_counter)c));
	putc('\n', f);
	for (unsigned int i = 0; i < p->nr; i++) {
		struct footprint *fp = &p->footprint[i];
		uint64_t median = bench_percentile(fp->ps, fp->nr, 50);

		fprintf(f, "  %6" PRIu64 " KiB %12s %10s %12s %12s", fp->kib, ps_text(median, t[0]),
			ps_text(fp->ps[0], t[1]),
			ps_text((uint64_t)((double)median * (double)b->tsc_hz / 1e9), t[2]),
			ps_text(bench_percentile(fp->noise, fp->nr, 50), t[3]));
		for (unsigned int c = 0; c < NR_PERF_COUNTERS; c++)
			if (!b->counter_why[c][0])
				fprintf(f, "  %*s",
					(int)strlen(perf_counter_name((enum perf_counter)c)),
					ps_text(bench_percentile(fp->count_x1000[c], fp->nr, 50),
						t[0]));
		putc('\n', f);
	}
}

static void print_counters(FILE *f, const struct bench *b)
{
	for (unsigned int c = 0; c < NR_PERF_COUNTERS; c++)
		fprintf(f, "  %-25s %s%s%s%s\n", perf_counter_name((enum perf_counter)c),
			perf_counter_what((enum perf_counter)c),
			b->counter_why[c][0] ? ": n/a (" : ", a step, warming included",
			b->counter_why[c], b->counter_why[c][0] ? ")" : "");
}

static void json_pages(struct json *j, struct bench *b, unsigned int guest, unsigned int host)
{
	struct pages *p = &b->pages[guest][host];

	json_object(j, NULL);
	json_string(j, "guest_page", size_name[guest]);
	json_string(j, "host_page", size_name[host]);
	json_string(j, "note", p->note);
	json_u64(j, "huge_bytes", p->huge);
	json_array(j, "footprints");
	for (unsigned int i = 0; i < p->nr; i++) {
		struct footprint *fp = &p->footprint[i];

		json_object(j, NULL);
		json_u64(j, "kib", fp->kib);
		json_u64(j, "samples", fp->nr);
		json_u64(j, "median_ps", bench_percentile(fp->ps, fp->nr, 50));
		json_u64(j, "min_ps", fp->ps[0]);
		json_u64(j, "noise_ps", bench_percentile(fp->noise, fp->nr, 50));
		for (unsigned int c = 0; c < NR_PERF_COUNTERS; c++) {
			char key[48];

			snprintf(key, sizeof(key), "%s_x1000",
				 perf_counter_name((enum perf_counter)c));
			if (b->counter_why[c][0])
				json_null(j, key);
			else
				json_u64(j, key, bench_percentile(fp->count_x1000[c], fp->nr, 50));
		}
		json_end_object(j);
	}
	json_end_array(j);
	json_end_object(j);
}

static void json_walk(struct json *j, const char *key, const struct walk *w)
{
	char name[16];

	json_object(j, key);
	for (unsigned int g = 0; g < NR_SIZES; g++) {
		for (unsigned int h = 0; h < NR_SIZES; h++) {
			snprintf(name, sizeof(name), "%s_%s", size_name[g], size_name[h]);
			json_u64(j, name, w->refs[g][h]);
		}
	}
	json_end_object(j);
}

static int emit_json(FILE *f, const void *arg)
{
	struct bench *b = (struct bench *)arg; /* its samples are sorted */
	struct walk nested, shadow;
	struct json j;

	if (walk_refs(&nested, &shadow))
		return -EIO;
	json_init(&j, f);
	json_object(&j, NULL);
	json_string(&j, "backend", kvm_backend_name(kvm_backend_detect()));
	json_bool(&j, "lab", lab_inside());
	json_u64(&j, "tsc_hz", b->tsc_hz);
	json_u64(&j, "steps", b->steps);
	json_walk(&j, "walk_nested", &nested);
	json_walk(&j, "walk_shadow", &shadow);
	json_array(&j, "tlb");
	for (unsigned int g = 0; g < NR_SIZES; g++)
		for (unsigned int h = 0; h < NR_SIZES; h++)
			json_pages(&j, b, g, h);
	json_end_array(&j);
	json_end_object(&j);
	json_finish(&j);
	return ferror(f) ? -EIO : 0;
}

static int report(struct bench *b)
{
	FILE *f = b->json && !strcmp(b->json, "-") ? stderr : stdout;
	enum kvm_backend backend = kvm_backend_detect();
	struct walk nested, shadow;
	int rc;

	if (walk_refs(&nested, &shadow))
		return MMVM_EXIT_FAILED;
	fprintf(f,
		"%s%s, %" PRIu64 " MiB, %" PRIu64 " repetitions, a process and a machine each; "
		"chases of %" PRIu64 " steps\n",
		kvm_backend_name(backend), lab_inside() ? " (lab)" : "", b->mb, b->reps, b->steps);
	fprintf(f, "expected: %s\n", shape(backend));
	fputs("references of a walk that finds nothing cached:\n", f);
	print_walk(f, "nested", &nested);
	print_walk(f, "shadow", &shadow);
	fputs("the processor's counts:\n", f);
	print_counters(f, b);
	for (unsigned int g = 0; g < NR_SIZES; g++)
		for (unsigned int h = 0; h < NR_SIZES; h++)
			print_pages(f, b, g, h);
	if (!b->json)
		return MMVM_EXIT_OK;
	rc = report_write_file_atomic(b->json, emit_json, b);
	if (!rc)
		return MMVM_EXIT_OK;
	fprintf(stderr, "mmvm: cannot write %s: %s\n", b->json, strerror(-rc));
	return MMVM_EXIT_HOST;
}

static int cmd_bench_tlb(const struct command *self, int argc, char **argv)
{
	static struct bench b;
	struct mmvm_error err = {0};
	int status = bench_parse(self, &b, argc, argv);

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	/* defaults of options that were not given */
	b.mb = (b.mb ? b.mb : b.quick ? 24 : 64) & ~1ull;
	b.reps = b.reps ? b.reps : b.quick ? 2 : 8;
	b.steps = b.steps ? b.steps : b.quick ? 20000 : 100000;
	if (bench_goes_to_lab(b.accel, argc, argv, &status))
		return status;
	if (measure(&b, &err))
		return cli_fail(&err);
	return report(&b);
}

const struct command command_bench_tlb = {
	.name = "bench tlb",
	.run = cmd_bench_tlb,
	.what = "what a miss of the TLB costs",
	.synopsis = "[OPTIONS]",
	.about = "Pointer chases in guest user mode over footprints from 16 KiB to --memory, with "
		 "4K and\n"
		 "2M pages of the guest's and of the host's; the references of a page walk.",
	.options = options,
};
