/*
 * Exits by place, as a person reads them: sites whose instructions lie in one function are one line.
 */
#include "observe/exit_places.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/option.h"
#include "machine/exit_sites.h"
#include "observe/observers.h"

#define MAX_SITES  8192u
#define MAX_PLACES 256u
#define KERNEL_GVA (1ull << 63)

/* "name" of "name+0x12"; an address outside of the kernel belongs to the program. */
static void function_name(const struct symtab *symbols, uint64_t rip, char *buf, size_t size)
{
	char name[128];

	if (rip < KERNEL_GVA) {
		snprintf(buf, size, "(program)");
		return;
	}
	if (!symbols) {
		snprintf(buf, size, "%#" PRIx64, rip);
		return;
	}
	snprintf(buf, size, "%s", symtab_name(symbols, rip, name, sizeof(name)));
	buf[strcspn(buf, "+")] = 0;
}

static struct run_exit_place *find(struct run_exit_place *place, size_t nr,
				   const struct run_exit_place *like)
{
	for (size_t i = 0; i < nr; i++)
		if (place[i].addr == like->addr && !strcmp(place[i].reason, like->reason) &&
		    !strcmp(place[i].function, like->function))
			return &place[i];
	return NULL;
}

static int most_first(const void *a, const void *b)
{
	const struct run_exit_place *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

void exit_places_add(struct run_result *r, const struct machine *m, const struct symtab *symbols)
{
	struct exit_site *site = calloc(MAX_SITES, sizeof(*site));
	struct run_exit_place *place = calloc(MAX_PLACES, sizeof(*place));
	uint64_t counted = 0, lost = 0, cost = 0, shown = 0;
	struct run_observer o = {.name = "exit places", .has_stall = true};
	size_t nr = 0, sites;

	if (!site || !place)
		goto out;
	sites = machine_exit_sites(m, site, MAX_SITES, &counted, &lost, &cost);
	for (size_t i = 0; i < sites && i < MAX_SITES; i++) {
		struct run_exit_place p = {
			.addr = site[i].addr, .count = site[i].count, .ns = site[i].ns};
		struct run_exit_place *same;

		snprintf(p.reason, sizeof(p.reason), "%s", machine_exit_name(site[i].reason));
		snprintf(p.device, sizeof(p.device), "%s", site[i].device);
		function_name(symbols, site[i].rip, p.function, sizeof(p.function));
		same = find(place, nr, &p);
		if (same) {
			same->count += p.count;
			same->ns += p.ns;
		} else if (nr < MAX_PLACES) {
			place[nr++] = p;
		} else {
			continue;
		}
		shown += p.count;
	}
	qsort(place, nr, sizeof(*place), most_first);
	for (size_t i = 0; i < nr; i++)
		run_result_add_exit_place(r, &place[i]);
	r->has_exit_places = true;
	r->exits_placed = counted;
	r->exits_unplaced = counted - shown;
	o.times = counted;
	o.ns = o.stall_ns = cost;
	snprintf(o.note, sizeof(o.note), "the registers of the vCPU, and a table, each exit");
	run_result_add_observer(r, &o);
out:
	free(site);
	free(place);
}

/* ---- the observer ----------------------------------------------------------------------------- */

struct exit_places {
	bool on;
	const struct symtab *symbols;
};

static bool wanted(const void *self, const struct observation *run,
		   const struct machine_config *config)
{
	return ((const struct exit_places *)self)->on;
}

static int on_open(void *self, struct observation *run, struct machine_config *config,
		   struct mmvm_error *err)
{
	((struct exit_places *)self)->symbols = run->symbols;
	config->exit_sites = true;
	return 0;
}

/** The cost is in the tables of the vCPUs: it is added here, too. */
static void on_result(void *self, struct machine *m, struct run_result *r)
{
	exit_places_add(r, m, ((struct exit_places *)self)->symbols);
}

static const struct cli_option options[] = {
	{.name = "--exit-places",
	 .help = "count exits by guest address and guest function, too",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct exit_places, on)},
	{0},
};

const struct observer exit_places_observer = {
	.name = "exit-places",
	.what = "exits by device, guest address and guest function",
	.size = sizeof(struct exit_places),
	.options = options,
	.wanted = wanted,
	.open = on_open,
	.result = on_result,
};
