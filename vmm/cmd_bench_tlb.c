/*
 * mmvm bench tlb: what a memory access costs when its translation is not at hand.
 *
 * user/bench_tlb chases pointers through footprints of 16 KiB and up, in guest user mode, and tells
 * each time; here machines with small and with huge host pages take turns, so that what changes on
 * the host meanwhile falls on both. Beside the times: the references of a page walk that finds
 * nothing cached (bench/walk2d.c), and the processor's own count of TLB misses where it has one.
 *
 *   footprint    4K host: ns (min)    2M host: ns (min)     misses
 *
 * Figures of different backends say nothing about each other: where shadows stand for the
 * second stage, 2M host pages shorten no walk of 4K guest pages; in the lab the TLB is QEMU's.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bench/program.h"
#include "bench/tlb.h"
#include "bench/walk2d.h"
#include "cli.h"
#include "kvm/kvm.h"
#include "lab/lab.h"
#include "mmvm/testchan.h"
#include "report/json.h"
#include "report/report.h"

#define MAX_FOOTPRINTS 16u
#define MAX_SAMPLES    64u
#define NR_HOST	       2u /* WALK2D_4K, WALK2D_2M */
#define MIB	       (1ull << 20)

struct footprint {
	uint64_t kib;
	/* picoseconds a step: the better of two chases, and what they differ by */
	uint64_t ps[MAX_SAMPLES], noise[MAX_SAMPLES];
	uint64_t misses_x1000[MAX_SAMPLES]; /* a step, where there is a counter */
	unsigned int nr;
};

struct host_pages {
	struct footprint footprint[MAX_FOOTPRINTS];
	unsigned int nr;
	uint64_t huge, ram; /* bytes */
	char note[128];	    /* why there is nothing */
};

struct bench {
	struct host_pages host[NR_HOST];
	unsigned int rounds, reps;
	uint64_t mb, steps, tsc_hz;
	const char *json;
	enum accel accel;
	bool huge_wanted;	/* of the machine that runs */
	struct host_pages *now; /* the same */
	uint64_t first_ps, first_misses;
	int perf_fd;	/* of the vCPU's thread; -1: none */
	int perf_error; /* why */
	uint64_t perf_start;
};

static const char *const size_name[] = {"4K", "2M"};

static void help(void)
{
	puts("usage: mmvm bench tlb [OPTIONS]\n"
	     "Pointer chases in guest user mode over footprints from 16 KiB to most of RAM, with\n"
	     "4K and, where the host gives them, 2M host pages; the references of a page walk.\n"
	     "  --memory SIZE    guest RAM (64M)\n"
	     "  --reps N         repetitions, in two machines each (8)\n"
	     "  --steps N        steps of a timed chase (100000)\n"
	     "  --quick          40M, 2 repetitions, 20000 steps\n"
	     "  --json FILE      the result as JSON too (-: stdout)\n"
	     "  --accel kvm|lab  where to run (kvm, or the lab when there is no KVM)");
}

/* ---- the processor's own count ----------------------------------------------------------------
 */

static uint64_t perf_read(const struct bench *b)
{
	uint64_t value = 0;

	if (b->perf_fd >= 0 && read(b->perf_fd, &value, sizeof(value)) != sizeof(value))
		return 0;
	return value;
}

/** Data TLB misses of reads in guest mode, of the calling thread. */
static void perf_open(struct bench *b)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HW_CACHE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_CACHE_DTLB | PERF_COUNT_HW_CACHE_OP_READ << 8 |
			  PERF_COUNT_HW_CACHE_RESULT_MISS << 16,
		.exclude_host = 1,
	};

	b->perf_fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	b->perf_error = b->perf_fd < 0 ? errno : 0;
}

/* ---- measuring -------------------------------------------------------------------------------- */

static struct footprint *footprint_of(struct host_pages *h, uint64_t kib)
{
	for (unsigned int i = 0; i < h->nr; i++)
		if (h->footprint[i].kib == kib)
			return &h->footprint[i];
	if (h->nr == MAX_FOOTPRINTS)
		return NULL;
	h->footprint[h->nr].kib = kib;
	return &h->footprint[h->nr++];
}

/** One chase was timed. The second of a pair decides: better time, difference. */
static int take_chase(struct bench *b, const struct mmvm_round *round)
{
	uint64_t ps, misses = perf_read(b) - b->perf_start;
	struct footprint *f = footprint_of(b->now, round->base);

	if (!f || !round->pages || f->nr == MAX_SAMPLES)
		return -EINVAL;
	ps = (uint64_t)((double)round->written / (double)round->pages * 1e12 / (double)b->tsc_hz);
	misses = misses * 1000 / round->pages;
	if (!(round->number & 1)) {
		b->first_ps = ps;
		b->first_misses = misses;
		return 0;
	}
	f->ps[f->nr] = ps < b->first_ps ? ps : b->first_ps;
	f->noise[f->nr] = ps < b->first_ps ? b->first_ps - ps : ps - b->first_ps;
	f->misses_x1000[f->nr] = misses < b->first_misses ? misses : b->first_misses;
	f->nr++;
	return 0;
}

static int on_round(struct machine *m, uint64_t cr3, const struct mmvm_record *rec, void *arg)
{
	struct bench *b = arg;
	struct mmvm_round round;

	if (machine_read_virt(m, cr3, rec->value, &round, sizeof(round)))
		return -EFAULT;
	if (!strcmp(rec->name, "warm")) {
		b->tsc_hz = machine_tsc_hz(m);
		b->now->ram = machine_ram_resident(m);
		b->now->huge = bench_huge_bytes(m);
		perf_open(b);
		return b->tsc_hz ? 0 : -EINVAL;
	}
	if (!strcmp(rec->name, "arm")) {
		b->perf_start = perf_read(b);
		return 0;
	}
	return strcmp(rec->name, "chase") ? -EINVAL : take_chase(b, &round);
}

#define NO_HUGE_PAGES 1

static int ready(struct machine *m, void *arg)
{
	struct bench *b = arg;

	if (!b->huge_wanted || bench_collapse(m) >= machine_ram_resident(m) / 2)
		return 0;
	snprintf(b->now->note, sizeof(b->now->note),
		 "the host maps %" PRIu64 " of %" PRIu64 " KiB of guest RAM with 2M pages",
		 bench_huge_bytes(m) >> 10, machine_ram_resident(m) >> 10);
	return NO_HUGE_PAGES;
}

static int measure(struct bench *b, enum walk2d_size host, unsigned int reps,
		   struct mmvm_error *err)
{
	char mb[24], n[24], steps[24];
	const char *const argv[] = {"", "--mb", mb, "--reps", n, "--steps", steps, NULL};
	struct machine_config config = {
		.ram_low = b->mb * MIB,
		.cpus = 1,
		.seed = 1,
		.timeout_s = 600,
		.console_fd = -1,
		.thp = host == WALK2D_2M,
		.round = on_round,
		.arg = b,
	};
	int rc;

	snprintf(mb, sizeof(mb), "%" PRIu64, bench_tlb_region_mb(b->mb));
	snprintf(n, sizeof(n), "%u", reps);
	snprintf(steps, sizeof(steps), "%" PRIu64, b->steps);
	b->now = &b->host[host];
	b->huge_wanted = host == WALK2D_2M;
	b->perf_fd = -1;
	rc = bench_program(&config, "bench_tlb", argv, ready, err);
	if (b->perf_fd >= 0)
		close(b->perf_fd);
	return rc == NO_HUGE_PAGES ? 0 : rc;
}

/* ---- results ---------------------------------------------------------------------------------- */

struct walk {
	unsigned int refs[2][NR_HOST]; /* [guest][host] */
};

static int walk_refs(struct walk *nested, struct walk *shadow)
{
	int rc = 0;

	for (unsigned int g = 0; g < 2; g++) {
		for (unsigned int h = 0; h < NR_HOST; h++) {
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
	for (unsigned int g = 0; g < 2; g++)
		for (unsigned int h = 0; h < NR_HOST; h++)
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

static void print_host(FILE *f, struct bench *b, enum walk2d_size host)
{
	struct host_pages *h = &b->host[host];
	char t[4][24];

	fprintf(f, "\nguest 4K, host %s: ", size_name[host]);
	if (!h->nr) {
		fprintf(f, "n/a: %s\n", h->note);
		return;
	}
	fprintf(f, "%" PRIu64 " of %" PRIu64 " KiB of guest RAM in 2M pages\n", h->huge >> 10,
		h->ram >> 10);
	fprintf(f, "  %10s %12s %10s %12s %12s  %s\n", "footprint", "ns a step", "least", "cycles",
		"noise floor", "TLB misses a step");
	for (unsigned int i = 0; i < h->nr; i++) {
		struct footprint *p = &h->footprint[i];
		uint64_t median = bench_percentile(p->ps, p->nr, 50);

		fprintf(f, "  %6" PRIu64 " KiB %12s %10s %12s %12s  ", p->kib,
			ps_text(median, t[0]), ps_text(p->ps[0], t[1]),
			ps_text((uint64_t)((double)median * (double)b->tsc_hz / 1e9), t[2]),
			ps_text(bench_percentile(p->noise, p->nr, 50), t[3]));
		if (b->perf_error)
			fprintf(f, "n/a (no PMU: %s)\n", strerror(b->perf_error));
		else
			fprintf(f, "%s\n",
				ps_text(bench_percentile(p->misses_x1000, p->nr, 50), t[0]));
	}
}

static void json_host(struct json *j, struct bench *b, enum walk2d_size host)
{
	struct host_pages *h = &b->host[host];

	json_object(j, NULL);
	json_string(j, "guest_page", "4K");
	json_string(j, "host_page", size_name[host]);
	json_string(j, "note", h->note);
	json_u64(j, "huge_bytes", h->huge);
	json_array(j, "footprints");
	for (unsigned int i = 0; i < h->nr; i++) {
		struct footprint *p = &h->footprint[i];

		json_object(j, NULL);
		json_u64(j, "kib", p->kib);
		json_u64(j, "samples", p->nr);
		json_u64(j, "median_ps", bench_percentile(p->ps, p->nr, 50));
		json_u64(j, "min_ps", p->ps[0]);
		json_u64(j, "noise_ps", bench_percentile(p->noise, p->nr, 50));
		if (b->perf_error)
			json_null(j, "dtlb_misses_x1000");
		else
			json_u64(j, "dtlb_misses_x1000",
				 bench_percentile(p->misses_x1000, p->nr, 50));
		json_end_object(j);
	}
	json_end_array(j);
	json_end_object(j);
}

static void json_walk(struct json *j, const char *key, const struct walk *w)
{
	char name[16];

	json_object(j, key);
	for (unsigned int g = 0; g < 2; g++) {
		for (unsigned int h = 0; h < NR_HOST; h++) {
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
	json_init(&j, f, true);
	json_object(&j, NULL);
	json_string(&j, "backend", kvm_backend_name(kvm_backend_detect()));
	json_bool(&j, "lab", lab_inside());
	json_u64(&j, "tsc_hz", b->tsc_hz);
	json_u64(&j, "steps", b->steps);
	json_walk(&j, "walk_nested", &nested);
	json_walk(&j, "walk_shadow", &shadow);
	json_array(&j, "tlb");
	json_host(&j, b, WALK2D_4K);
	json_host(&j, b, WALK2D_2M);
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
	fprintf(f, "%s%s, %" PRIu64 " MiB, %u repetitions, chases of %" PRIu64 " steps\n",
		kvm_backend_name(backend), lab_inside() ? " (lab)" : "", b->mb, b->rounds * b->reps,
		b->steps);
	fprintf(f, "expected: %s\n", shape(backend));
	fputs("references of a walk that finds nothing cached:\n", f);
	print_walk(f, "nested", &nested);
	print_walk(f, "shadow", &shadow);
	fputs("guest 2M: n/a: guestmm maps user memory with 4K pages only\n", f);
	print_host(f, b, WALK2D_4K);
	print_host(f, b, WALK2D_2M);
	if (!b->json)
		return MMVM_EXIT_OK;
	rc = report_write_file_atomic(b->json, emit_json, b);
	if (!rc)
		return MMVM_EXIT_OK;
	fprintf(stderr, "mmvm: cannot write %s: %s\n", b->json, strerror(-rc));
	return MMVM_EXIT_HOST;
}

/* ---- options ---------------------------------------------------------------------------------- */

uint64_t bench_tlb_region_mb(uint64_t ram_mb)
{
	return ram_mb - 16 - ram_mb / 16;
}

static int parse(struct bench *b, int argc, char **argv)
{
	struct mmvm_error err;
	uint64_t n = 0;

	for (int i = 2; i < argc; i++) {
		const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(name, "tlb"))
			continue;
		if (!strcmp(name, "--quick")) {
			b->mb = 40;
			b->rounds = 1;
			b->reps = 2;
			b->steps = 20000;
			continue;
		}
		if (!value)
			return cli_usage_error("bench tlb", "unknown or incomplete option %s",
					       name);
		i++;
		if (!strcmp(name, "--memory")) {
			if (cli_parse_size(value, &n) || n < 24 * MIB || n > 2048 * MIB || n % MIB)
				return cli_usage_error("bench tlb",
						       "--memory: %s is no size of whole MiB from "
						       "24M to 2G",
						       value);
			b->mb = n / MIB;
		} else if (!strcmp(name, "--reps") || !strcmp(name, "--steps")) {
			bool reps = !strcmp(name, "--reps");

			if (cli_parse_u64(value, 1, reps ? MAX_SAMPLES : 100000000, &n))
				return cli_usage_error("bench tlb", "%s %s: no such number", name,
						       value);
			if (reps) {
				b->rounds = n % 2 ? 1 : 2;
				b->reps = (unsigned int)n / b->rounds;
			} else {
				b->steps = n;
			}
		} else if (!strcmp(name, "--json")) {
			b->json = value;
		} else if (!strcmp(name, "--accel")) {
			if (cli_parse_accel(value, &b->accel, &err))
				return cli_fail(&err);
		} else {
			return cli_usage_error("bench tlb", "unknown option %s", name);
		}
	}
	return 0;
}

int cmd_bench_tlb(int argc, char **argv)
{
	static struct bench b;
	struct mmvm_error err = {0};
	struct kvm_system sys;
	int status;

	b = (struct bench){.mb = 64, .rounds = 2, .reps = 4, .steps = 100000};
	if (argc > 3 && (!strcmp(argv[3], "--help") || !strcmp(argv[3], "-h"))) {
		help();
		return MMVM_EXIT_OK;
	}
	status = parse(&b, argc, argv);
	if (status)
		return status;
	if (b.accel != ACCEL_LAB && !kvm_system_open(&sys)) {
		kvm_system_close(&sys);
	} else if (!lab_inside()) {
		struct lab_options lab = {.ram_mb = 768};

		status = lab_exec(argc, argv, &lab, &err);
		return status < 0 ? cli_fail(&err) : status;
	}
	for (unsigned int r = 0; r < b.rounds; r++) {
		for (unsigned int h = 0; h < NR_HOST; h++) {
			/* What the host did not give once it will not give again. */
			if (b.host[h].note[0])
				continue;
			if (measure(&b, (enum walk2d_size)h, b.reps, &err))
				return cli_signal() ? 128 + cli_signal() : cli_fail(&err);
		}
	}
	return report(&b);
}
