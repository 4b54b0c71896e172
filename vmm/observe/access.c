/*
 * Samples of accessed pages: from each method's bits to points over time.
 *
 *   guest's record ─┐
 *   host's methods ─┴─> now ──> point: pages, windows, heat ──> run_access
 *                        └────> round (access_score.c)
 *
 * The working set in a window of k samples is the pages seen by at least one of the last k: for
 * each frame it is enough to remember the number of the sample that saw it last.
 *
 * A method's samples have a time base of their own: the guest's come when its thread runs, the
 * host's at the sampler's ticks. The first sample of a host method is only its beginning: what it
 * finds dates from the machine's making.
 *
 * The guest is not trusted: it may send records as often as it likes (points are bounded, then
 * counted as dropped), and its bitmap is taken only where RAM is.
 *
 * Lock A (w->lock) for all of it: vCPU threads bring the guest's samples and rounds, the sampler's
 * thread asks the host. Lock D (dirty log) is taken inside of it.
 */
#include "observe/access.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/option.h"
#include "devices/device.h"
#include "mmvm/access.h"
#include "observe/observers.h"
#include "observe/sample.h"

#define PHASE_SEEN_PERCENT 90u

static const char *const method_name[NR_ACCESS_METHODS] = {"guest", "unmap", "dirty", "refs"};

const char *access_method_name(enum access_method method)
{
	return method_name[method];
}

int access_parse(const char *text, unsigned int *methods, bool *all)
{
	*methods = 0;
	*all = false;
	if (!strcmp(text, "none"))
		return 0;
	while (*text) {
		size_t len = strcspn(text, ",");
		unsigned int i = 0;

		if (len == 3 && !memcmp(text, "all", 3)) {
			*methods = (1u << NR_ACCESS_METHODS) - 1;
			*all = true;
		} else if (len == 4 && !memcmp(text, "host", 4)) {
			*methods |= 1u << ACCESS_UNMAP;
		} else {
			while (i < NR_ACCESS_METHODS && (strlen(method_name[i]) != len ||
							 memcmp(text, method_name[i], len) != 0))
				i++;
			if (i == NR_ACCESS_METHODS)
				return -EINVAL;
			*methods |= 1u << i;
		}
		text += len;
		if (*text && !*++text)
			return -EINVAL;
	}
	return *methods ? 0 : -EINVAL;
}

uint64_t access_frame(const struct guest_ram *ram, uint64_t gpa)
{
	uint64_t first = 0;

	for (unsigned int i = 0; i < ram->nr; i++) {
		const struct guest_ram_region *r = &ram->region[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size)
			return first + (gpa - r->gpa) / MMVM_PAGE_SIZE;
		first += r->size / MMVM_PAGE_SIZE;
	}
	return UINT64_MAX;
}

static uint64_t words(const struct access_watch *w)
{
	return (w->nr_frames + 63) / 64;
}

static int source_init(struct access_watch *w, enum access_method method)
{
	struct access_source *s = &w->source[method];

	s->on = true;
	w->any = true;
	s->out.has_pages = method != ACCESS_REFS;
	if (!s->out.has_pages)
		return 0;
	s->now = calloc(words(w), sizeof(*s->now));
	s->round = calloc(words(w), sizeof(*s->round));
	s->last = calloc(w->nr_frames, sizeof(*s->last));
	return s->now && s->round && s->last ? 0 : -ENOMEM;
}

/** Nodes have their shares of RAM in order (machine/numa.c), so their frames follow each other. */
static int pairs_init(struct access_watch *w, const struct machine_config *c)
{
	struct access_pairs *p = &w->pairs;
	uint64_t end = 0;

	if (machine_nr_nodes(c) < 2)
		return 0;
	p->nr_nodes = machine_nr_nodes(c);
	w->source[ACCESS_GUEST].out.nr_nodes = p->nr_nodes;
	for (unsigned int n = 0; n <= p->nr_nodes; n++) {
		p->row[n] = calloc(words(w), sizeof(*p->row[n]));
		if (!p->row[n])
			return -ENOMEM;
		if (n < p->nr_nodes)
			p->end[n] = end += c->node[n].memory / MMVM_PAGE_SIZE;
	}
	return 0;
}

int access_init(struct access_watch *w, unsigned int methods, struct machine_config *c,
		unsigned int sample_ms, uint64_t begin_ns)
{
	int rc = 0;

	memset(w, 0, sizeof(*w));
	pthread_mutex_init(&w->lock, NULL);
	w->begin_ns = begin_ns;
	w->nr_frames = (c->ram_low + c->ram_high) / MMVM_PAGE_SIZE;
	w->heat_pages = (w->nr_frames + RUN_HEAT_BUCKETS - 1) / RUN_HEAT_BUCKETS;
	for (unsigned int i = 0; i < NR_ACCESS_METHODS; i++) {
		snprintf(w->source[i].out.method, sizeof(w->source[i].out.method), "%s",
			 method_name[i]);
		if (!rc && (methods >> i & 1))
			rc = source_init(w, (enum access_method)i);
	}
	if (!rc && w->any) {
		w->phase = calloc(words(w), sizeof(*w->phase));
		w->before = calloc(words(w), sizeof(*w->before));
		w->truth = calloc(words(w), sizeof(*w->truth));
		if (!w->phase || !w->before || !w->truth)
			rc = -ENOMEM;
	}
	if (w->source[ACCESS_GUEST].on) {
		c->access_ms = sample_ms;
		rc = rc ? rc : pairs_init(w, c);
	}
	return rc;
}

void access_free(struct access_watch *w)
{
	for (unsigned int i = 0; i < NR_ACCESS_METHODS; i++) {
		free(w->source[i].now);
		free(w->source[i].round);
		free(w->source[i].last);
		run_access_free(&w->source[i].out);
	}
	for (unsigned int n = 0; n <= MMVM_MAX_NODES; n++)
		free(w->pairs.row[n]);
	free(w->phase);
	free(w->before);
	free(w->truth);
	access_host_close(w->host);
	w->host = NULL;
	w->any = false;
}

int access_open(struct access_watch *w, struct machine *m, bool all, struct mmvm_error *err)
{
	char why[NR_ACCESS_METHODS][ACCESS_WHY] = {{0}};
	bool want[NR_ACCESS_METHODS];

	if (!w->any)
		return 0;
	for (unsigned int i = 0; i < NR_ACCESS_METHODS; i++)
		want[i] = w->source[i].on;
	if (want[ACCESS_UNMAP] || want[ACCESS_REFS]) {
		w->host = access_host_open(m, want, why);
		if (!w->host)
			return mmvm_error(err, MMVM_EXIT_HOST, "no memory for access sampling");
	}
	if (machine_runs_linux(m))
		snprintf(why[ACCESS_GUEST], ACCESS_WHY, "a Linux guest does not send samples");
	else if (machine_ram_end(m) > MMVM_ACCESS_FRAMES * MMVM_PAGE_SIZE)
		snprintf(why[ACCESS_GUEST], ACCESS_WHY, "it knows the first 16 GiB of addresses");
	if (!machine_dirty_on(m))
		snprintf(why[ACCESS_DIRTY], ACCESS_WHY, "no dirty log is kept");
	for (unsigned int i = 0; i < NR_ACCESS_METHODS; i++) {
		struct access_source *s = &w->source[i];

		if (!s->on || !why[i][0])
			continue;
		if (!all)
			return mmvm_error(err, MMVM_EXIT_HOST, "--access %s does not work here: %s",
					  method_name[i], why[i]);
		snprintf(s->out.why, sizeof(s->out.why), "%.*s", (int)ACCESS_WHY - 1, why[i]);
		s->on = false;
	}
	pthread_mutex_lock(&w->lock);
	access_ask_host(w, m);
	for (unsigned int i = 0; i < NR_ACCESS_METHODS; i++)
		if (w->source[i].on && w->source[i].now)
			memset(w->source[i].now, 0, words(w) * sizeof(uint64_t));
	pthread_mutex_unlock(&w->lock);
	return 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/** The destination of pages of the log. */
struct frames {
	const struct guest_ram *ram;
	uint64_t *bits;
};

static void dirty_page(uint64_t gpa, unsigned int by, void *arg)
{
	struct frames *to = arg;
	uint64_t f = access_frame(to->ram, gpa);

	to->bits[f / 64] |= 1ull << f % 64;
}

void access_ask_host(struct access_watch *w, struct machine *m)
{
	for (unsigned int i = ACCESS_UNMAP; i < NR_ACCESS_METHODS; i++) {
		struct access_source *s = &w->source[i];
		struct frames to = {machine_ram(m), s->now};
		uint64_t t0 = machine_now_ns();
		int64_t n;

		if (!s->on)
			continue;
		n = i == ACCESS_UNMAP ? access_host_unmap(w->host, s->now)
		    : i == ACCESS_REFS
			    ? access_host_refs(w->host)
			    : machine_dirty_read(m, DIRTY_READER_ACCESS, dirty_page, &to);
		s->out.ns += machine_now_ns() - t0;
		s->out.ask_ns = machine_now_ns() - t0;
		s->out.times++;
		if (n < 0) {
			snprintf(s->out.why, sizeof(s->out.why), "it failed while running: %s",
				 strerror((int)-n));
			s->on = false;
			continue;
		}
		s->out.pages_total += (uint64_t)n;
		s->out.pages_now = (uint64_t)n;
	}
}

void access_take_guest(struct access_watch *w, struct machine *m, unsigned int cpu_node)
{
	const struct mmvm_shared *sh = machine_shared(m);

#define MOVE_(field, item) w->pairs.moves.field = sampler_event(sh, item);
	RUN_ACCESS_MOVES(MOVE_)
#undef MOVE_
	access_take_bitmap(w, machine_ram(m), machine_access_bitmap(m), cpu_node);
}

void access_take_bitmap(struct access_watch *w, const struct guest_ram *ram, uint64_t *from,
			unsigned int cpu_node)
{
	struct access_pairs *pairs = &w->pairs;
	uint64_t *to = w->source[ACCESS_GUEST].now, first = 0;
	uint64_t *row = pairs->row[cpu_node < pairs->nr_nodes ? cpu_node : pairs->nr_nodes];

	for (unsigned int i = 0; i < ram->nr; i++) {
		uint64_t pages = ram->region[i].size / MMVM_PAGE_SIZE;
		uint64_t pfn = ram->region[i].gpa / MMVM_PAGE_SIZE, end = pfn + pages;

		for (uint64_t word = pfn / 64; word * 64 < end; word++) {
			uint64_t bits = __atomic_load_n(&from[word], __ATOMIC_RELAXED);

			if (!bits)
				continue;
			bits = __atomic_exchange_n(&from[word], 0, __ATOMIC_RELAXED);
			for (; bits; bits &= bits - 1) {
				uint64_t at = word * 64 + (unsigned int)__builtin_ctzll(bits);
				uint64_t frame = first + at - pfn;

				if (at < pfn || at >= end)
					continue;
				to[frame / 64] |= 1ull << frame % 64;
				if (row)
					row[frame / 64] |= 1ull << frame % 64;
			}
		}
		first += pages;
	}
}

/* ---- points ---------------------------------------------------------------------------------- */

/** Has the method seen the set that the program accesses now? */
static void look_for_phase(struct access_watch *w, struct access_source *s, uint64_t now)
	NEEDS_LOCK(w->lock)
{
	uint64_t seen = 0;

	if (!s->lagging || !s->now)
		return;
	for (uint64_t i = 0; i < words(w); i++)
		seen += (uint64_t)__builtin_popcountll(w->phase[i] & s->now[i]);
	if (seen * 100 < w->phase_size * PHASE_SEEN_PERCENT)
		return;
	s->lagging = false;
	now -= w->phase_ns;
	s->out.score.found++;
	s->out.score.lag_ns += now;
	if (now > s->out.score.lag_max_ns)
		s->out.score.lag_max_ns = now;
}

/** Pages of each window, and the heat, of the sample that has just been taken. */
static void count(struct access_watch *w, struct access_source *s, struct run_access_point *p)
	NEEDS_LOCK(w->lock)
{
	for (uint64_t f = 0; f < w->nr_frames; f++) {
		uint64_t age;

		if (s->now[f / 64] >> f % 64 & 1) {
			s->last[f] = (uint32_t)s->point;
			p->heat[f / w->heat_pages]++;
		}
		if (!s->last[f])
			continue;
		age = s->point - s->last[f];
		for (unsigned int i = 0; i < RUN_ACCESS_WINDOWS; i++)
			p->window[i] += !run_access_window[i] || age < run_access_window[i];
	}
}

/** The matrix of the sample that has just been taken, and an empty one for the next. */
static void count_pairs(struct access_watch *w, struct run_access_point *p) NEEDS_LOCK(w->lock)
{
	struct access_pairs *pairs = &w->pairs;

	for (unsigned int cpu = 0; cpu <= pairs->nr_nodes; cpu++) {
		uint64_t *row = pairs->row[cpu], frame = 0;

		for (unsigned int node = 0; node < pairs->nr_nodes; node++)
			for (; frame < pairs->end[node]; frame++)
				p->pair[run_access_pair(pairs->nr_nodes, cpu, node)] +=
					row[frame / 64] >> frame % 64 & 1;
		memset(row, 0, words(w) * sizeof(*row));
	}
	p->moves = pairs->moves;
}

void access_point(struct access_watch *w, enum access_method method)
{
	struct access_source *s = &w->source[method];
	struct run_access_point p = {.t_ns = machine_now_ns() - w->begin_ns};

	look_for_phase(w, s, p.t_ns + w->begin_ns);
	s->point++;
	if (s->now) {
		count(w, s, &p);
		if (method == ACCESS_GUEST && w->pairs.nr_nodes)
			count_pairs(w, &p);
		for (uint64_t i = 0; i < words(w); i++) {
			s->round[i] |= s->now[i];
			s->now[i] = 0;
		}
	} else {
		p.window[0] = (uint32_t)s->out.pages_now;
		s->out.round_pages += s->out.pages_now;
	}
	run_access_add_point(&s->out, &p);
}

/** Discard what the host's methods have recorded so far. Lock A held. */
static void forget(struct access_watch *w) NEEDS_LOCK(w->lock)
{
	for (unsigned int i = ACCESS_UNMAP; i < NR_ACCESS_METHODS; i++)
		if (w->source[i].on && w->source[i].now)
			memset(w->source[i].now, 0, words(w) * sizeof(uint64_t));
}

void access_tick(struct access_watch *w, struct machine *m)
{
	if (!w->any)
		return;
	pthread_mutex_lock(&w->lock);
	access_ask_host(w, m);
	if (w->audited) {
		w->audited = false;
		forget(w);
		pthread_mutex_unlock(&w->lock);
		return;
	}
	for (unsigned int i = ACCESS_UNMAP; i < NR_ACCESS_METHODS; i++)
		if (w->source[i].on)
			access_point(w, (enum access_method)i);
	pthread_mutex_unlock(&w->lock);
}

unsigned int access_record_node(const struct access_watch *w, const char *name)
{
	if (name[0] < '0' || name[0] >= (char)('0' + w->pairs.nr_nodes) || name[1])
		return ACCESS_CPU_UNKNOWN;
	return (unsigned int)(name[0] - '0');
}

void access_record(struct access_watch *w, struct machine *m, const struct mmvm_record *rec)
{
	struct access_source *s = &w->source[ACCESS_GUEST];
	uint64_t t0 = machine_now_ns();

	if (!s->on)
		return;
	pthread_mutex_lock(&w->lock);
	access_take_guest(w, m, access_record_node(w, rec->name));
	s->out.records++;
	s->out.pages_total += rec->value;
	s->out.guest_ticks += rec->value2;
	/* With a name, more records of this sampling follow (mmvm/access.h). */
	if (!rec->name[0]) {
		s->out.times++;
		access_point(w, ACCESS_GUEST);
	}
	s->out.ns += machine_now_ns() - t0;
	pthread_mutex_unlock(&w->lock);
}

/* ---- the end --------------------------------------------------------------------------------- */

/** The guest's ticks as time; 0 when its clock is not known. */
static uint64_t ticks_ns(uint64_t ticks, uint64_t hz)
{
	return hz ? (uint64_t)((double)ticks * 1e9 / (double)hz) : 0;
}

static void add_cost(const struct access_source *s, struct machine *m, struct run_result *r,
		     enum access_method method)
{
	struct run_observer o = {.times = s->out.times, .ns = s->out.ns};
	uint64_t hz = machine_tsc_hz(m), walk = ticks_ns(s->out.guest_ticks, hz);
	char text[32];

	snprintf(o.name, sizeof(o.name), "access: %s", method_name[method]);
	switch (method) {
	case ACCESS_GUEST:
		o.exits = s->out.records;
		o.has_stall = hz != 0;
		o.stall_ns = walk + s->out.ns;
		snprintf(o.note, sizeof(o.note), "%s in the guest, from begin to end of its walks",
			 format_ns(walk, text, sizeof(text)));
		break;
	case ACCESS_UNMAP:
		snprintf(o.note, sizeof(o.note),
			 "%" PRIu64
			 " pages dropped, each a fault; the log has pages only read, too",
			 s->out.pages_total);
		break;
	case ACCESS_DIRTY:
		snprintf(o.note, sizeof(o.note), "beside what the dirty log costs");
		break;
	default:
		snprintf(o.note, sizeof(o.note), "all mappings of the VMM lose their bits");
		break;
	}
	run_result_add_observer(r, &o);
}

void access_finish(struct access_watch *w, struct machine *m, struct run_result *r)
{
	if (!w->any)
		return;
	if (!w->audited)
		access_tick(w, m);
	for (unsigned int i = 0; i < NR_ACCESS_METHODS; i++) {
		struct access_source *s = &w->source[i];

		if (!s->on && !s->out.why[0])
			continue;
		run_result_add_access(r, &s->out);
		if (s->on)
			add_cost(s, m, r, (enum access_method)i);
	}
}

/* ---- the observer ----------------------------------------------------------------------------- */

struct access_observer {
	struct access_watch watch;
	unsigned int methods; /* as bits */
	bool all, open;
};

static int parse_methods(void *base, const char *command, const struct cli_option *o,
			 const char *value)
{
	struct access_observer *a = base;

	if (!access_parse(value, &a->methods, &a->all))
		return 0;
	return cli_usage_error(
		command, "--access %s: none of guest, unmap, host, dirty, refs, all, none", value);
}

static bool wanted(const void *self, const struct observation *run,
		   const struct machine_config *config)
{
	return ((const struct access_observer *)self)->methods != 0;
}

static int on_open(void *self, struct observation *run, struct machine_config *config,
		   struct mmvm_error *err)
{
	struct access_observer *a = self;

	a->open = true;
	if (access_init(&a->watch, a->methods, config, run->sample_ms, run->begin_ns))
		return mmvm_error(err, MMVM_EXIT_HOST, "no memory for access sampling");
	return 0;
}

static int on_start(void *self, struct machine *m, struct mmvm_error *err)
{
	struct access_observer *a = self;

	return access_open(&a->watch, m, a->all, err);
}

static void on_tick(void *self, struct machine *m)
{
	access_tick(&((struct access_observer *)self)->watch, m);
}

static int on_request(void *self, struct machine *m, const struct machine_request *q)
{
	struct access_watch *w = &((struct access_observer *)self)->watch;

	/* An audit reads all memory by the host's mappings: a point before it, none of it. */
	if (q->kind == REQUEST_AUDIT) {
		access_tick(w, m);
		w->audited = true;
	}
	if (q->kind != REQUEST_ROUND || strncmp(q->rec->name, "access-", 7))
		return -ENOSYS;
	return access_round(w, m, q->cr3, q->rec);
}

static void on_record(void *self, struct machine *m, const struct mmvm_record *rec)
{
	access_record(&((struct access_observer *)self)->watch, m, rec);
}

/** The costs are in the methods' own counts: they are added here, too. */
static void on_result(void *self, struct machine *m, struct run_result *r)
{
	access_finish(&((struct access_observer *)self)->watch, m, r);
}

static void on_close(void *self)
{
	struct access_observer *a = self;

	if (a->open)
		access_free(&a->watch);
}

static const struct cli_option options[] = {
	{.name = "--access",
	 .value = "METHOD[,...]",
	 .help = "how accesses to memory are sampled: guest (its accessed bits), unmap or\n"
		 "host (mappings dropped and looked for), dirty (writes), refs (smaps),\n"
		 "all, none (none)",
	 .kind = OPTION_CALL,
	 .words = "guest unmap host dirty refs all none",
	 .parse = parse_methods},
	{0},
};

const struct observer access_observer = {
	.name = "access",
	.what = "which pages the guest accesses, by several methods; working sets",
	.size = sizeof(struct access_observer),
	.options = options,
	.wanted = wanted,
	.needs_samples = true,
	.open = on_open,
	.start = on_start,
	.tick = on_tick,
	.request = on_request,
	.record = on_record,
	.result = on_result,
	.close = on_close,
};
