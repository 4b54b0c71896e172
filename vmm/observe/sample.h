/*
 * The sampler: what a machine looks like at each tick, and at the end, put into a run_result.
 *
 *   sampler_init -> sampler_tick at each tick -> sampler_finish when the machine has stopped
 *
 * Everything the guest wrote is taken as numbers and copied; nothing of it is used as an index or a
 * pointer.
 */
#ifndef VMM_OBSERVE_SAMPLE_H
#define VMM_OBSERVE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>
#include "machine/machine.h"
#include "result/result.h"

struct sampler {
	struct run_result *result;
	uint64_t begin_ns;
	/* One bit a page of RAM, high RAM behind low RAM: found dirty at least once. */
	unsigned long *dirty_seen;
	uint64_t ram_low;
	unsigned int nr_nodes;
	struct machine_node node[MMVM_MAX_NODES]; /* as asked for */
	uint64_t dirty_pages;			  /* bits in dirty_seen */
	bool observed;				  /* anything at all was looked at while it ran */
	uint64_t words;				  /* of the bitmaps */
	bool dirty;				  /* the log is kept and could be read so far */
	uint32_t *heat;				  /* of the sample being taken */
	/* Pages of that sample, as bits like dirty_seen, until they are sorted by their owners. */
	unsigned long *dirty_now;
	const struct symtab
		*symbols; /* set by the caller: to find the guest's page array, or NULL */
	struct page_state *states;
	uint64_t ticks, tick_ns, sort_ns; /* what sampling has cost, sort_ns is part of tick_ns */
	struct run_sample last;
};

/** Start: from here time is counted. Returns 0 or -ENOMEM. */
int sampler_init(struct sampler *s, struct run_result *result, const struct machine_config *config);
void sampler_free(struct sampler *s);
/** Take one sample and add it to the result; s->last holds it. */
void sampler_tick(struct sampler *s, struct machine *m);
/** The machine has stopped: last sample, all counters, and the checks of guest against host. */
void sampler_finish(struct sampler *s, struct machine *m, const struct machine_outcome *out);

/** Add what sampling has cost to the result (sample_end.c). */
void sampler_add_observers(struct sampler *s, struct machine *m);

/** A guest event, summed over CPUs. */
uint64_t sampler_event(const struct mmvm_shared *sh, enum vm_event_item item);
/** A level of the zone in slot `zone`. */
int64_t sampler_level(const struct mmvm_shared *sh, unsigned int zone, enum zone_stat_item item);

/** The live line: progress, rates since the previous sample, memory. Returns buf. */
const char *sampler_line(const struct run_sample *now, const struct run_sample *before, char *buf,
			 size_t size);

#endif
