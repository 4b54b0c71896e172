/*
 * Fills a run_result from a machine, while it runs: one sample a tick.
 *
 * sample_end.c adds what is known at the end, and compares what guest and host count.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include "devices/devices.h"
#include "kvm/kvm.h"
#include "observe/observers.h"
#include "observe/page_state.h"
#include "observe/sample.h"

#define BITS 64u

uint64_t sampler_event(const struct mmvm_shared *sh, enum vm_event_item item)
{
	uint64_t sum = 0;

	for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
		sum += __atomic_load_n(&sh->event[cpu][item], __ATOMIC_RELAXED);
	return sum;
}

int64_t sampler_level(const struct mmvm_shared *sh, unsigned int zone, enum zone_stat_item item)
{
	return __atomic_load_n(&sh->zone[zone].stat[item], __ATOMIC_RELAXED);
}

int sampler_init(struct sampler *s, struct run_result *result, const struct machine_config *c)
{
	uint64_t pages = (c->ram_low + c->ram_high) / MMVM_PAGE_SIZE;
	struct utsname u;

	memset(s, 0, sizeof(*s));
	s->result = result;
	s->ram_low = c->ram_low;
	s->dirty = c->dirty_log;
	s->observed = c->dirty_log || c->tick_ms;
	if (c->dirty_log) {
		s->dirty_seen = calloc((pages + BITS - 1) / BITS, sizeof(unsigned long));
		s->dirty_now = calloc((pages + BITS - 1) / BITS, sizeof(unsigned long));
		if (!s->dirty_seen || !s->dirty_now)
			return -ENOMEM;
		s->words = (pages + BITS - 1) / BITS;
	}
	result->heat_pages = (pages + RUN_HEAT_BUCKETS - 1) / RUN_HEAT_BUCKETS;
	s->begin_ns = machine_now_ns();
	result->started_unix_ns = machine_unix_ns();
	result->ram_low = c->ram_low;
	result->ram_high = c->ram_high;
	result->cpus = c->cpus;
	result->seed = c->seed;
	result->timeout_s = c->timeout_s;
	snprintf(result->backing, sizeof(result->backing), "%s", ram_backing_name(c->backing));
	s->nr_nodes = c->nr_nodes;
	memcpy(s->node, c->node, sizeof(s->node));
	snprintf(result->kernel_path, sizeof(result->kernel_path), "%s", c->kernel);
	if (!uname(&u))
		snprintf(result->host_kernel, sizeof(result->host_kernel), "%.32s %.60s", u.sysname,
			 u.release);
	return 0;
}

void sampler_free(struct sampler *s)
{
	free(s->dirty_seen);
	free(s->dirty_now);
	page_state_close(s->states);
	s->dirty_seen = s->dirty_now = NULL;
	s->states = NULL;
}

static void page_dirty(uint64_t gpa, void *arg)
{
	struct sampler *s = arg;
	uint64_t page =
		(gpa < s->ram_low ? gpa : gpa - MMVM_RAM_HIGH_BASE + s->ram_low) / MMVM_PAGE_SIZE;
	unsigned long bit = 1ul << page % BITS;

	s->heat[page / s->result->heat_pages]++;
	s->dirty_now[page / BITS] |= bit;
	if (!(s->dirty_seen[page / BITS] & bit)) {
		s->dirty_seen[page / BITS] |= bit;
		s->dirty_pages++;
	}
}

/** Sort the pages of this sample by owner, zone and region. The guest runs on meanwhile: a page that
 * changed hands since it was written counts for its new owner. */
static void sort_dirty(struct sampler *s, struct machine *m, struct run_sample *sample)
{
	unsigned int column[MMVM_MAX_ZONES + 1], n = 0;
	uint64_t t0 = machine_now_ns();

	if (!s->states && page_state_open(m, s->symbols, &s->states))
		s->states = NULL;
	/* Zones by their column in the result. */
	for (unsigned int i = 0; i < MMVM_MAX_ZONES; i++)
		column[i] = machine_shared(m)->zone[i].name[0] ? n++ : MMVM_MAX_ZONES;
	column[MMVM_MAX_ZONES] = MMVM_MAX_ZONES;
	sample->has_owner = s->states != NULL;
	if (s->states)
		page_state_begin(s->states);
	for (uint64_t w = 0; w < s->words; w++) {
		unsigned long bits = s->dirty_now[w];

		for (s->dirty_now[w] = 0; s->states && bits; bits &= bits - 1) {
			uint64_t at =
				(w * BITS + (unsigned int)__builtin_ctzl(bits)) * MMVM_PAGE_SIZE;
			bool high = at >= s->ram_low;
			unsigned int zone;

			if (high)
				at += MMVM_RAM_HIGH_BASE - s->ram_low;
			sample->dirty_owner[page_state_get(s->states, at, &zone)]++;
			sample->dirty_region[high]++;
			if (column[zone] < MMVM_MAX_ZONES)
				sample->dirty_zone[column[zone]]++;
		}
	}
	s->sort_ns += machine_now_ns() - t0;
}

static void sample_dirty(struct sampler *s, struct machine *m, struct run_sample *sample)
{
	int64_t n;

	if (!s->dirty)
		return;
	s->heat = sample->heat;
	n = machine_dirty_collect(m, page_dirty, s);
	s->heat = NULL;
	if (n < 0) {
		s->dirty = false;
		return;
	}
	sample->dirty = (uint64_t)n;
	s->result->dirty_pages_total += (uint64_t)n;
	sort_dirty(s, m, sample);
}

/** The few of KVM's statistics that are worth a look at each tick. */
static void tick_kvm_stat(const char *scope, const struct kvm_stat *stat, void *arg)
{
	static const char *const mapped[] = {"pages_4k", "pages_2m", "pages_1g"};
	struct run_sample *sample = arg;

	if (stat->nr_values != 1)
		return;
	for (unsigned int i = 0; i < 3; i++) {
		if (strcmp(stat->name, mapped[i]))
			continue;
		sample->mapped[i] = stat->values[0];
		sample->has_kvm = true;
	}
	if (!strcmp(stat->name, "pf_taken"))
		sample->pf_taken += stat->values[0]; /* vCPUs sum */
}

void sampler_tick(struct sampler *s, struct machine *m)
{
	uint64_t t0 = machine_now_ns();
	const struct mmvm_shared *sh = machine_shared(m);
	struct exit_stat exits[MACHINE_MAX_EXITS];
	unsigned int nr = machine_exit_stats(m, exits, MACHINE_MAX_EXITS);
	struct run_sample sample = {
		.t_ns = machine_now_ns() - s->begin_ns,
		.pswpin = sampler_event(sh, PSWPIN),
		.pswpout = sampler_event(sh, PSWPOUT),
		.pgfault = sampler_event(sh, PGFAULT),
		.pgmajfault = sampler_event(sh, PGMAJFAULT),
		.progress_done = __atomic_load_n(&sh->progress_done, __ATOMIC_RELAXED),
		.progress_total = __atomic_load_n(&sh->progress_total, __ATOMIC_RELAXED),
		.swap_free = __atomic_load_n(&sh->swap_free, __ATOMIC_RELAXED),
	};

	for (unsigned int i = 0; i < nr; i++)
		sample.exits += exits[i].count;
	/* Zones stand in the same order here and in add_zones(): slots in use, lowest first. */
	for (unsigned int i = 0; i < MMVM_MAX_ZONES; i++) {
		int64_t n;

		if (!sh->zone[i].name[0])
			continue;
		n = sampler_level(sh, i, NR_FREE_PAGES);
		sample.zone_free[sample.nr_zones++] = n;
		if (n > 0)
			sample.free_pages += (uint64_t)n;
		/* Guest values: they may overflow by malice; wrap, as unsigned numbers may. */
		for (unsigned int item = 0; item < NR_ZONE_STAT_ITEMS; item++)
			sample.level[item] = (int64_t)((uint64_t)sample.level[item] +
						       (uint64_t)sampler_level(sh, i, item));
	}
	sample_dirty(s, m, &sample);
	sample.dirty_distinct = s->dirty_pages;
	machine_kvm_stats(m, tick_kvm_stat, &sample);
	s->last = sample;
	run_result_add_sample(s->result, &sample);
	s->ticks++;
	s->tick_ns += machine_now_ns() - t0;
}

const char *sampler_line(const struct run_sample *now, const struct run_sample *before, char *buf,
			 size_t size)
{
	double s = (double)(now->t_ns - before->t_ns) / 1e9, per = s > 0 ? 1 / s : 0;
	int n = snprintf(buf, size, "%6.1f s", (double)now->t_ns / 1e9);

	if (now->progress_total && n >= 0 && (size_t)n < size)
		n += snprintf(buf + n, size - (size_t)n, "  %3.0f %%",
			      100.0 * (double)now->progress_done / (double)now->progress_total);
	/* A guest that keeps no statistics: what the host sees. */
	if (!now->nr_zones && n >= 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n, "  dirty %6.0f/s  exits %6.0f/s",
			 (double)now->dirty * per, (double)(now->exits - before->exits) * per);
	else if (n >= 0 && (size_t)n < size)
		snprintf(buf + n, size - (size_t)n,
			 "  dirty %6.0f/s  swap out %6.0f/s  in %6.0f/s  free %" PRIu64 " pages",
			 (double)now->dirty * per, (double)(now->pswpout - before->pswpout) * per,
			 (double)(now->pswpin - before->pswpin) * per, now->free_pages);
	return buf;
}

/* ---- the observer ----------------------------------------------------------------------------- */

static int on_open(void *self, struct observation *run, struct machine_config *config,
		   struct mmvm_error *err)
{
	struct sampler *s = self;

	if (sampler_init(s, run->result, config))
		return mmvm_error(err, MMVM_EXIT_HOST, "no memory for the sampler");
	s->symbols = run->symbols;
	return 0;
}

static void on_tick(void *self, struct machine *m)
{
	sampler_tick(self, m);
}

static int on_stop(void *self, struct machine *m, const struct machine_outcome *out)
{
	sampler_finish(self, m, out);
	return 0;
}

static void on_cost(void *self, struct machine *m, struct run_result *r)
{
	if (((struct sampler *)self)->observed)
		sampler_add_observers(self, m);
}

static void on_close(void *self)
{
	sampler_free(self);
}

const struct observer sampler_observer = {
	.name = "samples",
	.what = "counters, levels, the dirty log and KVM's statistics at each tick; the checks of "
		"guest against host",
	.size = sizeof(struct sampler),
	.open = on_open,
	.tick = on_tick,
	.stop = on_stop,
	.cost = on_cost,
	.close = on_close,
};
