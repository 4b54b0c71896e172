/*
 * Sampled stacks.
 *
 *   timer of the vCPU's thread --signal--> KVM_RUN returns --> registers --> frames by RBP
 *
 *   table: addresses of a stack, innermost first -> how often   (open addressing)
 *
 * The guest is not trusted: a frame is followed only upwards, within a stack's reach and only a bounded number of
 * times, and what cannot be read ends the stack. The innermost caller is missing while a function has not set up
 * its frame, or has taken it down.
 *
 *   I1  samples = sum of counts + lost
 */
#include "observe/stacks.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>
#include "cli/option.h"
#include "mmvm/layout.h"
#include "observe/observers.h"

#define TABLE_SIZE	65536u /* of which only what is used takes memory */
#define USER_END	(1ull << 47)
#define MAX_STACK_BYTES 16384u
#define LINE_MAX_BYTES	4096u

struct record {
	uint64_t count;
	unsigned int n; /* 0: user mode */
	uint64_t pc[STACKS_DEPTH];
};

struct stacks {
	pthread_mutex_t lock; /* of all below */
	struct record *table;
	unsigned int used;
	uint64_t samples, lost, ticks;
	struct perf_vcpu perf[MMVM_MAX_CPUS];
	bool opened[MMVM_MAX_CPUS];
};

struct stacks *stacks_new(void)
{
	struct stacks *s = calloc(1, sizeof(*s));

	if (s)
		s->table = calloc(TABLE_SIZE, sizeof(*s->table));
	if (!s || !s->table) {
		free(s);
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void stacks_free(struct stacks *s)
{
	if (!s)
		return;
	for (unsigned int i = 0; i < MMVM_MAX_CPUS; i++)
		if (s->opened[i])
			perf_vcpu_close(&s->perf[i]);
	pthread_mutex_destroy(&s->lock);
	free(s->table);
	free(s);
}

void stacks_add(struct stacks *s, const uint64_t *pc, unsigned int n)
{
	uint64_t hash = 14695981039346656037ull;

	/* addresses differ in their low bits only: these are spread over all, and folded down */
	for (unsigned int i = 0; i < n; i++) {
		hash = (hash ^ pc[i]) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 32;
	}
	pthread_mutex_lock(&s->lock);
	s->samples++;
	for (unsigned int at = (unsigned int)hash;; at++) {
		struct record *r = &s->table[at % TABLE_SIZE];

		if (!r->count) {
			/* a quarter stays free, so that searches end soon */
			if (s->used >= TABLE_SIZE / 4 * 3) {
				s->lost++;
				break;
			}
			s->used++;
			r->n = n;
			memcpy(r->pc, pc, n * sizeof(*pc));
		} else if (r->n != n || memcmp(r->pc, pc, n * sizeof(*pc))) {
			continue;
		}
		r->count++;
		break;
	}
	pthread_mutex_unlock(&s->lock);
}

static void take(struct stacks *s, struct machine *m, const struct machine_sample *sample)
{
	uint64_t pc[STACKS_DEPTH] = {0}, frame[2], bp = sample->rbp, begin = __rdtsc();
	unsigned int n = 0;

	if (sample->rip >= USER_END) {
		pc[n++] = sample->rip;
		while (n < STACKS_DEPTH && bp >= USER_END && bp % 8 == 0 &&
		       !machine_read_virt(m, sample->cr3, bp, frame, sizeof(frame)) &&
		       frame[1] >= USER_END) {
			/* the call, not what follows it */
			pc[n++] = frame[1] - 1;
			if (frame[0] <= bp || frame[0] - bp > MAX_STACK_BYTES)
				break;
			bp = frame[0];
		}
	}
	stacks_add(s, pc, n);
	pthread_mutex_lock(&s->lock);
	s->ticks += __rdtsc() - begin;
	pthread_mutex_unlock(&s->lock);
}

/* ---- folded lines ----------------------------------------------------------------------------- */

struct line {
	char *text;
	uint64_t count;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

/** Outermost first, functions without offsets. */
static char *fold(const struct record *r, const struct symtab *symbols)
{
	char text[LINE_MAX_BYTES], name[128];
	size_t len = 0;

	if (!r->n)
		return strdup("[user]");
	text[0] = 0;
	for (unsigned int i = r->n; i-- > 0;) {
		symtab_name(symbols, r->pc[i], name, sizeof(name));
		name[strcspn(name, "+")] = 0;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? ";" : "",
					name);
		if (len >= sizeof(text) - sizeof(name) - 1)
			break;
	}
	return strdup(text);
}

int stacks_write(FILE *f, const struct stacks *s, const struct symtab *symbols)
{
	struct line *line = calloc(s->used + 1, sizeof(*line));
	unsigned int nr = 0;
	int rc = line ? 0 : -ENOMEM;

	for (unsigned int i = 0; i < TABLE_SIZE && !rc; i++) {
		if (!s->table[i].count)
			continue;
		line[nr].text = fold(&s->table[i], symbols);
		line[nr].count = s->table[i].count;
		rc = line[nr++].text ? 0 : -ENOMEM;
	}
	if (!rc)
		qsort(line, nr, sizeof(*line), by_text);
	for (unsigned int i = 0; i < nr && !rc; i++) {
		uint64_t count = line[i].count;

		/* addresses differ within a function */
		while (i + 1 < nr && !strcmp(line[i].text, line[i + 1].text))
			count += line[++i].count;
		fprintf(f, "%s %" PRIu64 "\n", line[i].text, count);
	}
	for (unsigned int i = 0; i < nr; i++)
		free(line[i].text);
	free(line);
	return rc ? rc : ferror(f) ? -EIO : 0;
}

struct emit_arg {
	const struct stacks *s;
	const struct symtab *symbols;
};

static int emit(FILE *f, const void *arg)
{
	const struct emit_arg *a = arg;

	return stacks_write(f, a->s, a->symbols);
}

/** To standard error, and into the result as a report. */
static void add_counters(struct stacks *s, struct run_result *r)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	for (unsigned int cpu = 0; f && cpu < MMVM_MAX_CPUS; cpu++) {
		uint64_t value[NR_PERF_COUNTERS];

		if (!s->opened[cpu])
			continue;
		perf_vcpu_read(&s->perf[cpu], value);
		for (unsigned int i = 0; i < NR_PERF_COUNTERS; i++) {
			enum perf_counter c = (enum perf_counter)i;

			fprintf(f, "cpu%u %s: ", cpu, perf_counter_what(c));
			if (s->perf[cpu].why[i][0])
				fprintf(f, "n/a (%s)\n", s->perf[cpu].why[i]);
			else
				fprintf(f, "%" PRIu64 "\n", value[i]);
		}
	}
	if (f && !fclose(f)) {
		fputs(text, stderr);
		run_result_add_report(r, "counters", text, len);
	}
	free(text);
}

/* ---- the observer ----------------------------------------------------------------------------- */

static bool wanted(const void *self, const struct observation *run,
		   const struct machine_config *config)
{
	const struct stacks_observer *o = self;

	return o->file || o->counters;
}

static int on_open(void *self, struct observation *run, struct machine_config *config,
		   struct mmvm_error *err)
{
	struct stacks_observer *o = self;

	o->symbols = run->symbols;
	o->stacks = stacks_new();
	if (!o->stacks)
		return mmvm_error(err, MMVM_EXIT_HOST, "no memory for stacks");
	if (o->file)
		config->vcpu_sample_ns = 1000000000u / STACKS_HZ;
	return 0;
}

static void on_vcpu_start(void *self, struct machine *m, unsigned int cpu)
{
	struct stacks_observer *o = self;

	if (!o->counters)
		return;
	perf_vcpu_open(&o->stacks->perf[cpu], 0);
	o->stacks->opened[cpu] = true;
}

static void on_vcpu_sample(void *self, struct machine *m, const struct machine_sample *sample)
{
	struct stacks_observer *o = self;

	if (o->file)
		take(o->stacks, m, sample);
}

static int on_stop(void *self, struct machine *m, const struct machine_outcome *out)
{
	struct stacks_observer *o = self;
	const struct emit_arg arg = {o->stacks, o->symbols};
	int rc;

	if (!o->file)
		return 0;
	rc = report_write_file_atomic(o->file, emit, &arg);
	if (!rc)
		return 0;
	fprintf(stderr, "mmvm: cannot write %s: %s\n", o->file, strerror(-rc));
	return MMVM_EXIT_FAILED;
}

static void on_result(void *self, struct machine *m, struct run_result *r)
{
	struct stacks_observer *o = self;

	if (o->counters)
		add_counters(o->stacks, r);
}

static void on_cost(void *self, struct machine *m, struct run_result *r)
{
	struct stacks_observer *o = self;
	const struct stacks *s = o->stacks;
	struct run_observer cost = {
		.name = "stacks", .times = s->samples, .exits = s->samples, .has_stall = true};

	if (!o->file)
		return;
	cost.ns = r->tsc_hz ? (uint64_t)((double)s->ticks * 1e9 / (double)r->tsc_hz) : 0;
	cost.stall_ns = cost.ns;
	snprintf(cost.note, sizeof(cost.note), "%u different ones, %" PRIu64 " lost", s->used,
		 s->lost);
	run_result_add_observer(r, &cost);
}

static void on_close(void *self)
{
	stacks_free(((struct stacks_observer *)self)->stacks);
}

static const struct cli_option options[] = {
	{.name = "--stacks",
	 .value = "FILE",
	 .help = "sample what the vCPUs do, as folded stacks",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct stacks_observer, file),
	 .words = "@output"},
	{.name = "--counters",
	 .help = "the processor's own counts of each vCPU",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct stacks_observer, counters)},
	{0},
};

const struct observer stacks_observer = {
	.name = "stacks",
	.what = "what the vCPUs do: sampled kernel stacks, the processor's counts",
	.size = sizeof(struct stacks_observer),
	.options = options,
	.wanted = wanted,
	.open = on_open,
	.vcpu_start = on_vcpu_start,
	.vcpu_sample = on_vcpu_sample,
	.stop = on_stop,
	.result = on_result,
	.cost = on_cost,
	.close = on_close,
};
