/*
 * mmvm bench fault: how long an access takes that faults, kind by kind, as a program in guest user
 * mode sees it.
 *
 *   guest's faults     anon, zero, cow (of the zero page), cow_fork (of a page that a child shares),
 *                      shared, file (of the page cache), swap (from the disk), swap_ahead (read ahead
 *                      already)
 *   second stage       s2_mapped, s2_cached, s2_none: by what the host still has of the page
 *   dirty log          wp: the log has taken the write permission away
 *   none               no fault: what timing costs
 *
 * user/bench_fault makes the accesses and hands its samples over; before it begins, the host's part
 * is prepared here, while the vCPU waits:
 *
 *   s2_mapped  MADV_DONTNEED (KVM drops its entry with the host's), then the VMM touches the page, one
 *              of eight: a fault of a shadow takes its neighbours along when they are mapped
 *   s2_cached  MADV_DONTNEED: the page stays in the memory file, and is mapped nowhere
 *   s2_none    MADV_REMOVE: the file has a hole, what the page held is lost
 *   wp         KVM's log is switched on
 *
 * Each kind has a witness, a counter that says that this path was taken once a sample: the guest's
 * own events, KVM's count of faults, the memory file's size, the log. Without it nothing is printed
 * as a result, and the command fails.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "bench/where.h"
#include "bench/program.h"
#include "cli/cli.h"
#include "devices/device.h"
#include "kvm/kvm.h"
#include "lab/lab.h"
#include "machine/observer.h"
#include "mmvm/testchan.h"
#include "result/json.h"
#include "report/report.h"

#define KINDS(X)                                                                                  \
	X(K_NONE, "none", "no fault: what timing costs", "pgfault: none")                         \
	X(K_ZERO, "zero", "first read: the zero page", "mmvm_fault_zero")                         \
	X(K_COW, "cow", "write after it: copy of the zero page", "mmvm_fault_cow")                \
	X(K_ANON, "anon", "first write: a fresh page", "mmvm_fault_anon")                         \
	X(K_COW_FORK, "cow_fork", "write to a page a child shares: a copy", "mmvm_fault_cow")     \
	X(K_SHARED, "shared", "first write to shared memory: a fresh page", "mmvm_fault_file")    \
	X(K_FILE, "file", "read of a cached file page, and 15 around it", "mmvm_fault_file")      \
	X(K_SWAP, "swap", "swapped out: from the disk", "pgmajfault")                             \
	X(K_AHEAD, "swap_ahead", "swapped out: read ahead already",                               \
	  "mmvm_fault_swap - pgmajfault")                                                         \
	X(K_S2_MAPPED, "s2_mapped", "second stage only: host has it mapped", "KVM pf_taken")      \
	X(K_S2_CACHED, "s2_cached", "second stage: in the host's file, unmapped", "KVM pf_taken") \
	X(K_S2_NONE, "s2_none", "second stage: the host has no page", "pages the host gave")      \
	X(K_WP, "wp", "write-protected by the dirty log", "pages of the region in the log")

#define ENUM_(id, name, text, witness) id,
enum kind { KINDS(ENUM_) NR_KINDS };
#undef ENUM_
#define INFO_(id, name, text, witness) {name, text, witness},
static const struct {
	const char *name, *text, *witness;
} info[] = {KINDS(INFO_)};
#undef INFO_

#define MAX_SAMPLES 16384u
#define MAX_PAGES   1024u
#define NR_BUCKETS  40u
#define MIB	    (1ull << 20)
#define RAM_MB	    24u

/** Everything a witness may be taken from. */
struct counts {
	uint64_t event[NR_VM_EVENT_ITEMS];
	uint64_t pf_taken, resident;
};

struct result {
	uint64_t ns[MAX_SAMPLES];
	unsigned int nr;
	uint64_t witness; /* times the path was taken, as its counter says */
};

struct bench {
	struct result kind[NR_KINDS];
	struct counts before;
	uint64_t pages, rounds, tsc_hz;
	uint64_t ticks[MAX_PAGES];		  /* of one record */
	bool ours[RAM_MB * MIB / MMVM_PAGE_SIZE]; /* frames that back the region */
	int64_t logged;				  /* of them, in the dirty log */
	const char *json;
	enum accel accel;
	bool quick;
};

static const struct cli_option options[] = {
	{.name = "--pages",
	 .value = "N",
	 .help = "accesses of a kind in a round (256)",
	 .kind = OPTION_U64,
	 .offset = offsetof(struct bench, pages),
	 .min = 16,
	 .max = MAX_PAGES},
	{.name = "--rounds",
	 .value = "N",
	 .help = "rounds (8)",
	 .kind = OPTION_U64,
	 .offset = offsetof(struct bench, rounds),
	 .min = 1,
	 .max = MAX_SAMPLES / MAX_PAGES},
	{.name = "--quick",
	 .help = "64 pages, 2 rounds",
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

/* ---- witnesses ------------------------------------------------------------------------------- */

static void take_stat(const char *scope, const struct kvm_stat *stat, void *arg)
{
	struct counts *c = arg;

	if (!strcmp(stat->name, "pf_taken") && stat->nr_values)
		c->pf_taken += stat->values[0];
}

static void take_counts(struct machine *m, struct counts *c)
{
	const struct mmvm_shared *s = machine_shared(m);

	memset(c, 0, sizeof(*c));
	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		for (unsigned int i = 0; i < NR_VM_EVENT_ITEMS; i++)
			c->event[i] += __atomic_load_n(&s->event[cpu][i], __ATOMIC_RELAXED);
	machine_kvm_stats(m, take_stat, c);
	c->resident = machine_ram_resident(m);
}

static void count_ours(uint64_t gpa, unsigned int by, void *arg)
{
	struct bench *b = arg;

	if (gpa / MMVM_PAGE_SIZE < sizeof(b->ours) && b->ours[gpa / MMVM_PAGE_SIZE] &&
	    (by & DIRTY_BY_GUEST))
		b->logged++;
}

/** How often the path of a kind was taken since `before`. `pages`: accesses that were made. */
static int64_t witness(struct bench *b, struct machine *m, enum kind kind, uint64_t pages)
{
	const uint64_t *old = b->before.event;
	struct counts now;

	take_counts(m, &now);
#define SINCE(e) (now.event[e] - old[e])
	switch (kind) {
	case K_NONE:
		return SINCE(PGFAULT) ? 0 : (int64_t)pages;
	case K_ZERO:
		return (int64_t)SINCE(MMVM_FAULT_ZERO);
	case K_COW:
	case K_COW_FORK:
		return (int64_t)SINCE(MMVM_FAULT_COW);
	case K_ANON:
		return (int64_t)SINCE(MMVM_FAULT_ANON);
	case K_SHARED:
	case K_FILE:
		return (int64_t)SINCE(MMVM_FAULT_FILE);
	case K_SWAP:
		return (int64_t)SINCE(PGMAJFAULT);
	case K_AHEAD:
		/* A fault that read from the disk and was tried again is a major one and not a swap fault:
		 * then nothing is proved, and the numbers are shown. */
		return SINCE(MMVM_FAULT_SWAP) > SINCE(PGMAJFAULT)
			       ? (int64_t)(SINCE(MMVM_FAULT_SWAP) - SINCE(PGMAJFAULT))
			       : 0;
	case K_S2_MAPPED:
	case K_S2_CACHED:
		return SINCE(PGFAULT) ? 0 : (int64_t)(now.pf_taken - b->before.pf_taken);
	case K_S2_NONE:
		return SINCE(PGFAULT) ? 0 : (int64_t)(now.resident - b->before.resident) / 4096;
	case K_WP:
		b->logged = 0;
		if (machine_dirty_read(m, DIRTY_READER_SAMPLER, count_ours, b) < 0 ||
		    machine_dirty_switch(m, DIRTY_LOGGING_OFF))
			return -EIO;
		return SINCE(PGFAULT) ? 0 : b->logged;
	default:
		return -EINVAL;
	}
#undef SINCE
}

/** What the counter must say of `nr` samples. KVM also counts the kernel's faults. */
static bool proved(enum kind kind, const struct result *r)
{
	bool exact = kind != K_S2_MAPPED && kind != K_S2_CACHED;

	return r->nr && (exact ? r->witness == r->nr : r->witness >= r->nr);
}

/* ---- the host's part ------------------------------------------------------------------------- */

static int take_away(struct machine *m, uint64_t cr3, const struct mmvm_round *round,
		     enum kind kind)
{
	int advice = kind == K_S2_NONE ? MADV_REMOVE : MADV_DONTNEED;

	for (uint64_t i = 0; i < round->pages; i++) {
		volatile uint8_t *p;
		uint64_t gpa;

		if (machine_translate(m, cr3, round->base + i * MMVM_PAGE_SIZE, &gpa))
			return -EFAULT;
		p = guest_ram_ptr(machine_ram(m), gpa & ~(MMVM_PAGE_SIZE - 1), MMVM_PAGE_SIZE);
		if (!p)
			return -EFAULT;
		if (madvise((void *)p, MMVM_PAGE_SIZE, advice))
			return -errno;
		/* Its neighbours stay unmapped, or KVM would take them along. */
		if (kind == K_S2_MAPPED && (round->base / MMVM_PAGE_SIZE + i) % 8 == 0)
			__atomic_fetch_or(p, 0, __ATOMIC_RELAXED);
	}
	return 0;
}

/** Which frames the log is to have, and nothing in it yet. */
static int protect(struct bench *b, struct machine *m, uint64_t cr3, const struct mmvm_round *round)
{
	int rc = machine_dirty_switch(m, DIRTY_LOGGING_ON);

	memset(b->ours, 0, sizeof(b->ours));
	for (uint64_t i = 0; i < round->pages && !rc; i++) {
		uint64_t gpa;

		rc = machine_translate(m, cr3, round->base + i * MMVM_PAGE_SIZE, &gpa);
		if (!rc && gpa / MMVM_PAGE_SIZE < sizeof(b->ours))
			b->ours[gpa / MMVM_PAGE_SIZE] = true;
	}
	if (!rc && machine_dirty_read(m, DIRTY_READER_SAMPLER, NULL, NULL) < 0)
		rc = -EIO;
	return rc;
}

static int begin(struct bench *b, struct machine *m, uint64_t cr3, const struct mmvm_round *round,
		 enum kind kind)
{
	int rc = 0;

	if (kind == K_S2_MAPPED || kind == K_S2_CACHED || kind == K_S2_NONE)
		rc = take_away(m, cr3, round, kind);
	else if (kind == K_WP)
		rc = protect(b, m, cr3, round);
	take_counts(m, &b->before);
	return rc;
}

static int take_samples(struct bench *b, struct machine *m, uint64_t cr3,
			const struct mmvm_round *round, enum kind kind)
{
	struct result *r = &b->kind[kind];
	int64_t taken = witness(b, m, kind, round->pages);

	if (taken < 0)
		return (int)taken;
	r->witness += (uint64_t)taken;
	if (round->pages > MAX_PAGES || r->nr + round->pages > MAX_SAMPLES)
		return -E2BIG;
	if (machine_read_virt(m, cr3, round->written, b->ticks, round->pages * sizeof(*b->ticks)))
		return -EFAULT;
	for (uint64_t i = 0; i < round->pages; i++)
		r->ns[r->nr++] = (uint64_t)((double)b->ticks[i] * 1e9 / (double)b->tsc_hz);
	return 0;
}

static int round_of_kind(struct bench *b, struct machine *m, const struct machine_request *q)
{
	const struct mmvm_record *rec = q->rec;
	struct mmvm_round round;
	const uint64_t cr3 = q->cr3;
	const char *colon;

	colon = strchr(rec->name, ':');
	if (!colon || machine_read_virt(m, cr3, rec->value, &round, sizeof(round)) ||
	    round.pages > MAX_PAGES)
		return -EINVAL;
	b->tsc_hz = machine_tsc_hz(m);
	if (!b->tsc_hz)
		return -EINVAL;
	for (unsigned int k = 0; k < NR_KINDS; k++) {
		if (strcmp(colon + 1, info[k].name))
			continue;
		if (!strncmp(rec->name, "begin:", 6))
			return begin(b, m, cr3, &round, (enum kind)k);
		return take_samples(b, m, cr3, &round, (enum kind)k);
	}
	return -EINVAL;
}

static int on_request(void *self, struct machine *m, const struct machine_request *q)
{
	int rc;

	if (q->kind != REQUEST_ROUND)
		return -ENOSYS;
	rc = round_of_kind(self, m, q);
	/* The guest's program ends; why is known here only. */
	if (rc < 0)
		fprintf(stderr, "mmvm bench fault: %.31s: %s\n", q->rec->name, strerror(-rc));
	return rc;
}

/** The log is off until it is the log's turn. */
static int on_start(void *self, struct machine *m, struct mmvm_error *err)
{
	return machine_dirty_switch(m, DIRTY_LOGGING_OFF)
		       ? mmvm_error(err, MMVM_EXIT_HOST, "the dirty log cannot be switched off")
		       : 0;
}

static const struct observer fault_observer = {
	.name = "bench-fault",
	.what = "what a program says of its faults, and the counters that prove it",
	.start = on_start,
	.request = on_request,
};

static int measure(struct bench *b, struct mmvm_error *err)
{
	char pages[24], rounds[24];
	const char *const argv[] = {"", "--pages", pages, "--rounds", rounds, NULL};
	struct observers observers = {.nr = 0};
	struct machine_config config = {
		.ram_low = RAM_MB * MIB,
		.cpus = 1,
		.seed = 1,
		.timeout_s = 600,
		.console_fd = -1,
		.dirty_log = true,
		/* protects when it is switched on, not only when it is cleared */
		.dirty_mode = DIRTY_BITMAP,
		.disk = {{.role = "swap", .size = 16 * MIB, .format_swap = true}},
		.nr_disks = 1,
		.observers = &observers,
	};
	int rc;

	snprintf(pages, sizeof(pages), "%" PRIu64, b->pages);
	snprintf(rounds, sizeof(rounds), "%" PRIu64, b->rounds);
	observers_attach(&observers, &fault_observer, b);
	rc = bench_program(&config, "bench_fault", argv, err);
	observers_close(&observers);
	return rc;
}

/* ---- results --------------------------------------------------------------------------------- */

static unsigned int bucket_of(uint64_t ns)
{
	unsigned int b = ns ? 64u - (unsigned int)__builtin_clzll(ns) : 0;

	return b < NR_BUCKETS ? b : NR_BUCKETS - 1;
}

/** Bucket 0 is 0 ns, bucket i from 2^(i-1) on, below 2^i. */
static void fill_buckets(const struct result *r, unsigned int bucket[NR_BUCKETS])
{
	memset(bucket, 0, NR_BUCKETS * sizeof(*bucket));
	for (unsigned int i = 0; i < r->nr; i++)
		bucket[bucket_of(r->ns[i])]++;
}

static void print_histogram(FILE *f, const struct result *r)
{
	static const char bar[] = "########################################";
	unsigned int bucket[NR_BUCKETS], most = 1, first = NR_BUCKETS, last = 0;
	char t[24];

	fill_buckets(r, bucket);
	for (unsigned int i = 0; i < NR_BUCKETS; i++) {
		if (!bucket[i])
			continue;
		most = bucket[i] > most ? bucket[i] : most;
		first = i < first ? i : first;
		last = i;
	}
	for (unsigned int i = first; i <= last && first < NR_BUCKETS; i++)
		fprintf(f, "    < %-9s %6u  %.*s\n", format_ns(1ull << i, t, sizeof(t)), bucket[i],
			(int)((bucket[i] * 40ull + most - 1) / most), bar);
}

static void print_kind(FILE *f, struct bench *b, enum kind k)
{
	struct result *r = &b->kind[k];
	char t[4][24];

	fprintf(f, "\n%s: %s\n", info[k].name, info[k].text);
	if (!r->nr) {
		fprintf(f, "  n/a: no access took this path (%s)\n", info[k].witness);
		return;
	}
	fprintf(f, "  %u samples, %s %" PRIu64 ": %s\n", r->nr, info[k].witness, r->witness,
		proved(k, r) ? "the path was taken" : "NOT PROVED");
	if (!proved(k, r))
		return;
	fprintf(f, "  min %s  median %s  p99 %s  max %s\n",
		format_ns(bench_percentile(r->ns, r->nr, 0), t[0], 24),
		format_ns(bench_percentile(r->ns, r->nr, 50), t[1], 24),
		format_ns(bench_percentile(r->ns, r->nr, 99), t[2], 24),
		format_ns(bench_percentile(r->ns, r->nr, 100), t[3], 24));
	print_histogram(f, r);
}

static int emit_json(FILE *f, const void *arg)
{
	struct bench *b = (struct bench *)arg; /* its samples are sorted */
	unsigned int bucket[NR_BUCKETS];
	struct json j;

	json_init(&j, f);
	json_object(&j, NULL);
	json_string(&j, "backend", kvm_backend_name(kvm_backend_detect()));
	json_bool(&j, "lab", lab_inside());
	json_u64(&j, "tsc_hz", b->tsc_hz);
	json_u64(&j, "pages", b->pages);
	json_u64(&j, "rounds", b->rounds);
	json_array(&j, "fault");
	for (unsigned int k = 0; k < NR_KINDS; k++) {
		struct result *r = &b->kind[k];

		json_object(&j, NULL);
		json_string(&j, "kind", info[k].name);
		json_u64(&j, "samples", r->nr);
		json_string(&j, "witness", info[k].witness);
		json_u64(&j, "witnessed", r->witness);
		json_bool(&j, "proved", proved((enum kind)k, r));
		if (proved((enum kind)k, r)) {
			json_u64(&j, "min_ns", bench_percentile(r->ns, r->nr, 0));
			json_u64(&j, "median_ns", bench_percentile(r->ns, r->nr, 50));
			json_u64(&j, "p99_ns", bench_percentile(r->ns, r->nr, 99));
			json_u64(&j, "max_ns", bench_percentile(r->ns, r->nr, 100));
			fill_buckets(r, bucket);
			json_array(&j, "log2_ns");
			for (unsigned int i = 0; i < NR_BUCKETS; i++)
				json_u64(&j, NULL, bucket[i]);
			json_end_array(&j);
		}
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	json_finish(&j);
	return ferror(f) ? -EIO : 0;
}

/** All kinds were seen and proved; read-ahead may have had nothing to do. */
static int report(struct bench *b)
{
	FILE *f = b->json && !strcmp(b->json, "-") ? stderr : stdout;
	int status = MMVM_EXIT_OK, rc;

	fprintf(f,
		"%s%s, %u MiB, %" PRIu64 " pages, %" PRIu64
		" rounds, a process each, all kinds in each; host memory touched before\n"
		"times by the TSC in guest user mode; they compare on this backend only\n",
		kvm_backend_name(kvm_backend_detect()), lab_inside() ? " (lab)" : "", RAM_MB,
		b->pages, b->rounds);
	for (unsigned int k = 0; k < NR_KINDS; k++) {
		print_kind(f, b, (enum kind)k);
		if (!proved((enum kind)k, &b->kind[k]) && (k != K_AHEAD || b->kind[k].nr))
			status = MMVM_EXIT_FAILED;
	}
	if (!b->json)
		return status;
	rc = report_write_file_atomic(b->json, emit_json, b);
	if (!rc)
		return status;
	fprintf(stderr, "mmvm: cannot write %s: %s\n", b->json, strerror(-rc));
	return MMVM_EXIT_HOST;
}

static int cmd_bench_fault(const struct command *self, int argc, char **argv)
{
	static struct bench b;
	struct mmvm_error err = {0};
	int status = bench_parse(self, &b, argc, argv);

	if (status)
		return status < 0 ? MMVM_EXIT_OK : status;
	/* defaults of options that were not given */
	b.pages = b.pages ? b.pages : b.quick ? 64 : 256;
	b.rounds = b.rounds ? b.rounds : b.quick ? 2 : 8;
	if (bench_goes_to_lab(b.accel, argc, argv, &status))
		return status;
	if (measure(&b, &err))
		return cli_signal() ? 128 + cli_signal() : cli_fail(&err);
	return report(&b);
}

const struct command command_bench_fault = {
	.name = "bench fault",
	.run = cmd_bench_fault,
	.what = "how long faults take, kind by kind",
	.synopsis = "[OPTIONS]",
	.about = "How long accesses take that fault, as seen in guest user mode, kind by kind:\n"
		 "histograms, and for each kind a counter that proves the path.",
	.options = options,
};
