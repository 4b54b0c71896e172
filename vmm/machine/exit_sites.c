/*
 * Exits by place.
 *
 *   vCPU thread ── (reason, address, RIP) ──> its own hash table, open addressing, fixed size
 *   after the run: the tables' entries, sorted and added up
 *
 * The address and RIP are the guest's choice, so a hostile guest may fill the table; then exits are
 * counted as lost, and nothing else happens. RIP costs a KVM_GET_REGS an exit, which is why this is
 * done on request only.
 */
#include "machine/exit_sites.h"
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>
#include "machine/internal.h"

#define SLOTS  4096u /* a power of two */
#define PROBES 32u

struct entry {
	uint64_t addr, rip, count, ticks; /* count 0: free */
	unsigned int reason;
};
struct exit_table {
	uint64_t lost, cost;
	struct entry entry[SLOTS];
};

struct exit_table *exit_table_new(void)
{
	return calloc(1, sizeof(struct exit_table));
}

void exit_table_free(struct exit_table *t)
{
	free(t);
}

uint64_t exit_table_lost(const struct exit_table *t)
{
	return t->lost;
}

void exit_table_cost(struct exit_table *t, uint64_t ticks)
{
	t->cost += ticks;
}

void exit_table_add(struct exit_table *t, unsigned int reason, uint64_t addr, uint64_t rip,
		    uint64_t ticks)
{
	uint64_t h = (addr * 0x9e3779b97f4a7c15ull) ^ (rip * 0xc2b2ae3d27d4eb4full) ^ reason;

	h ^= h >> 29;
	for (unsigned int i = 0; i < PROBES; i++) {
		struct entry *e = &t->entry[(h + i) & (SLOTS - 1)];

		if (!e->count) {
			e->addr = addr;
			e->rip = rip;
			e->reason = reason;
		} else if (e->addr != addr || e->rip != rip || e->reason != reason) {
			continue;
		}
		e->count++;
		e->ticks += ticks;
		return;
	}
	t->lost++;
}

void exit_table_each(const struct exit_table *t,
		     void (*fn)(unsigned int reason, uint64_t addr, uint64_t rip, uint64_t count,
				uint64_t ticks, void *arg),
		     void *arg)
{
	for (unsigned int i = 0; i < SLOTS; i++) {
		const struct entry *e = &t->entry[i];

		if (e->count)
			fn(e->reason, e->addr, e->rip, e->count, e->ticks, arg);
	}
}

/* ---- all vCPUs together ---------------------------------------------------------------------- */

struct collection {
	struct exit_site *site;
	size_t nr, room;
	double ns_per_tick;
};

static void collect(unsigned int reason, uint64_t addr, uint64_t rip, uint64_t count,
		    uint64_t ticks, void *arg)
{
	struct collection *c = arg;

	if (c->nr == c->room)
		return;
	c->site[c->nr++] = (struct exit_site){.reason = reason,
					      .addr = addr,
					      .rip = rip,
					      .count = count,
					      .ns = (uint64_t)((double)ticks * c->ns_per_tick),
					      .device = ""};
}

static int same_place(const void *a, const void *b)
{
	const struct exit_site *x = a, *y = b;

	if (x->reason != y->reason)
		return x->reason < y->reason ? -1 : 1;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->rip < y->rip ? -1 : x->rip > y->rip;
}

static int most_first(const void *a, const void *b)
{
	const struct exit_site *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return same_place(a, b);
}

static const char *device_at(const struct machine *m, unsigned int reason, uint64_t addr)
{
	bool pio = reason == EXIT_PIO_IN || reason == EXIT_PIO_OUT;

	if (!pio && reason != EXIT_MMIO_READ && reason != EXIT_MMIO_WRITE)
		return "";
	for (unsigned int i = 0; i < m->nr_devices; i++) {
		const struct device *d = m->device[i];

		if (d->pio == pio && addr >= d->base && addr - d->base < d->size)
			return d->role[0] ? d->role : d->model->name;
	}
	return "";
}

size_t machine_exit_sites(const struct machine *m, struct exit_site *out, size_t max,
			  uint64_t *counted, uint64_t *lost, uint64_t *cost_ns)
{
	uint64_t ticks = __rdtsc() - m->tsc0, ns = machine_now_ns() - m->ns0;
	struct collection c = {.room = (size_t)SLOTS * m->nr_vcpus,
			       .ns_per_tick = ticks ? (double)ns / (double)ticks : 0};
	size_t nr = 0;

	*counted = *lost = *cost_ns = 0;
	c.site = calloc(c.room, sizeof(*c.site));
	if (!c.site)
		return 0;
	for (unsigned int i = 0; i < m->nr_vcpus; i++) {
		if (!m->vcpu[i].exit_table)
			continue;
		exit_table_each(m->vcpu[i].exit_table, collect, &c);
		*lost += exit_table_lost(m->vcpu[i].exit_table);
		*cost_ns += (uint64_t)((double)m->vcpu[i].exit_table->cost * c.ns_per_tick);
	}
	qsort(c.site, c.nr, sizeof(*c.site), same_place);
	for (size_t i = 0; i < c.nr; i++) {
		*counted += c.site[i].count;
		if (nr && !same_place(&c.site[nr - 1], &c.site[i])) {
			c.site[nr - 1].count += c.site[i].count;
			c.site[nr - 1].ns += c.site[i].ns;
		} else {
			c.site[nr++] = c.site[i];
		}
	}
	*counted += *lost;
	qsort(c.site, nr, sizeof(*c.site), most_first);
	for (size_t i = 0; i < nr && i < max; i++) {
		out[i] = c.site[i];
		out[i].device = device_at(m, out[i].reason, out[i].addr);
	}
	free(c.site);
	return nr;
}
