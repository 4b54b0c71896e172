/*
 * The timeline of a run as plots. Samples are joined to at most PLOT_POINTS intervals:
 *
 *   samples   |s0 |s1 |s2 |s3 |s4 |s5 |s6 |      t = 0 is the start of machine_run()
 *   intervals |     0     |     1     | 2 |      `each` samples to one, the last may have fewer
 *
 * A rate is the number of events in an interval divided by its length, so joining samples loses no
 * event. A level is that of the interval's last sample.
 *
 * I1: t rises strictly: samples at the same instant are joined with their successor.
 */
#include "report/html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIB_PAGES ((1 << 20) / MMVM_PAGE_SIZE)

struct timeline {
	FILE *f;
	const struct run_result *r;
	unsigned int n, each;
	double t[PLOT_POINTS + 1]; /* seconds */
	/* Samples of interval i are first[i] ... first[i + 1] - 1. */
	unsigned int first[PLOT_POINTS + 1];
	double y[PLOT_SERIES][PLOT_POINTS];
	char caption[200];
};

static void cut(struct timeline *tl)
{
	const struct run_result *r = tl->r;
	unsigned int in = 0;

	tl->each = (r->nr_samples + PLOT_POINTS - 1) / PLOT_POINTS;
	for (unsigned int i = 0; i < r->nr_samples; i++) {
		double t = (double)r->samples[i].t_ns / 1e9;

		in++;
		if ((in < tl->each && i + 1 < r->nr_samples) || t <= tl->t[tl->n])
			continue;
		tl->t[++tl->n] = t;
		tl->first[tl->n] = i + 1;
		in = 0;
	}
	/* Samples at the end with the same time belong to the last interval. */
	if (tl->n)
		tl->first[tl->n] = r->nr_samples;
}

static const char *caption(struct timeline *tl, const char *text)
{
	if (tl->each > 1)
		snprintf(tl->caption, sizeof(tl->caption), "%s Each step joins %u samples.", text,
			 tl->each);
	else
		snprintf(tl->caption, sizeof(tl->caption), "%s", text);
	return tl->caption;
}

static uint64_t counter_at(const struct run_sample *s, size_t field)
{
	uint64_t v;

	memcpy(&v, (const char *)s + field, sizeof(v));
	return v;
}

/** The rate per second of a rising counter. If the guest makes it fall, the rate is zero. */
static bool rate(struct timeline *tl, unsigned int series, size_t field)
{
	uint64_t before = 0;
	bool any = false;

	for (unsigned int i = 0; i < tl->n; i++) {
		uint64_t now = counter_at(&tl->r->samples[tl->first[i + 1] - 1], field);

		tl->y[series][i] =
			now > before ? (double)(now - before) / (tl->t[i + 1] - tl->t[i]) : 0;
		any |= now > before;
		before = now;
	}
	return any;
}

/** Pages to MiB. If the guest reports a level below zero, it is drawn as zero. */
static double mib(int64_t pages)
{
	return pages > 0 ? (double)pages / MIB_PAGES : 0;
}

static void plot(struct timeline *tl, struct plot *p, const char *text)
{
	p->n = tl->n;
	p->t = tl->t;
	p->caption = caption(tl, text);
	html_plot(tl->f, p);
}

static void plot_dirty(struct timeline *tl)
{
	struct plot p = {
		.kind = PLOT_STEP,
		.title = "Guest memory being written",
		.unit = "pages/s",
		.nr_series = 1,
		.series = {{"found dirty by the host", 0, tl->y[0]}},
	};

	if (!tl->r->has_dirty)
		return;
	for (unsigned int i = 0; i < tl->n; i++) {
		double sum = 0;

		for (unsigned int s = tl->first[i]; s < tl->first[i + 1]; s++)
			sum += (double)tl->r->samples[s].dirty;
		tl->y[0][i] = sum / (tl->t[i + 1] - tl->t[i]);
	}
	plot(tl, &p,
	     "Distinct 4 KiB pages between two looks at KVM's dirty log, by the time between them: "
	     "a page written twice in between counts once.");
}

/** Plot the pages found dirty by their owner in the guest: the owners with most pages, and the sum of the others. */
static void plot_owners(struct timeline *tl)
{
#define TYPE_NAME_(name, text) text,
	static const char *const names[] = {MMVM_PAGE_TYPES(TYPE_NAME_)};
#undef TYPE_NAME_
	enum { OWNERS = 7 };
	struct plot p = {
		.kind = PLOT_STEPS,
		.title = "Who owns what is written",
		.unit = "pages/s",
	};
	const struct run_result *r = tl->r;
	uint64_t sums[NR_PAGE_TYPES] = {0};
	unsigned int place[NR_PAGE_TYPES];
	bool any = false;

	for (unsigned int s = 0; s < r->nr_samples; s++) {
		for (unsigned int t = 0; r->samples[s].has_owner && t < NR_PAGE_TYPES; t++) {
			sums[t] += r->samples[s].dirty_owner[t];
			any |= sums[t] > 0;
		}
	}
	if (!any)
		return;
	/* A type's series is the number of types with more pages. The last series has all further types. */
	memset(tl->y, 0, sizeof(tl->y));
	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++) {
		place[t] = 0;
		for (unsigned int other = 0; other < NR_PAGE_TYPES; other++)
			place[t] += sums[other] > sums[t] || (other < t && sums[other] == sums[t]);
		if (place[t] > OWNERS)
			place[t] = OWNERS;
		if (!sums[t])
			continue;
		p.series[place[t]] = (struct plot_series){place[t] == OWNERS ? "others" : names[t],
							  place[t], tl->y[place[t]]};
		if (place[t] + 1 > p.nr_series)
			p.nr_series = place[t] + 1;
	}
	for (unsigned int i = 0; i < tl->n; i++) {
		for (unsigned int s = tl->first[i]; s < tl->first[i + 1]; s++)
			for (unsigned int t = 0; r->samples[s].has_owner && t < NR_PAGE_TYPES; t++)
				tl->y[place[t]][i] += (double)r->samples[s].dirty_owner[t] /
						      (tl->t[i + 1] - tl->t[i]);
	}
	plot(tl, &p,
	     "The same pages, by what the guest's page array says they were when the host looked.");
}

#define FIELD(name) __builtin_offsetof(struct run_sample, name)

static void plot_rates(struct timeline *tl)
{
	struct plot swap = {
		.kind = PLOT_STEP,
		.title = "Swapping",
		.unit = "pages/s",
		.nr_series = 2,
		.series = {{"swapped out", 1, tl->y[0]}, {"swapped in", 0, tl->y[1]}},
	};
	struct plot faults = {
		.kind = PLOT_STEP,
		.title = "Page faults in the guest",
		.unit = "faults/s",
		.nr_series = 2,
		.series = {{"all", 2, tl->y[0]}, {"major (from disk)", 3, tl->y[1]}},
	};
	struct plot exits = {
		.kind = PLOT_STEP,
		.title = "Exits to the VMM",
		.unit = "exits/s",
		.nr_series = 1,
		.series = {{"all reasons", 6, tl->y[0]}},
	};
	bool out = rate(tl, 0, FIELD(pswpout)), in = rate(tl, 1, FIELD(pswpin));

	if (out || in)
		plot(tl, &swap, "Guest's own counters pswpout and pswpin.");
	out = rate(tl, 0, FIELD(pgfault));
	in = rate(tl, 1, FIELD(pgmajfault));
	if (out || in)
		plot(tl, &faults, "Guest's own counters pgfault and pgmajfault.");
	if (rate(tl, 0, FIELD(exits)))
		plot(tl, &exits, "Host's count; what KVM handles itself is not among them.");
}

/** Plot the second stage of translation: how much it maps, and how often it faulted. */
static void plot_second_stage(struct timeline *tl)
{
	struct plot mapped = {
		.kind = PLOT_STACK,
		.title = "Guest RAM mapped by KVM, by page size",
		.unit = "MiB",
		.nr_series = 3,
		.series = {{"4 KiB pages", 0, tl->y[0]},
			   {"2 MiB pages", 1, tl->y[1]},
			   {"1 GiB pages", 2, tl->y[2]}},
	};
	struct plot faults = {
		.kind = PLOT_STEP,
		.title = "Faults KVM took",
		.unit = "faults/s",
		.nr_series = 1,
		.series = {{"pf_taken", 8, tl->y[0]}},
	};
	bool any = false;

	for (unsigned int i = 0; i < tl->n; i++) {
		const struct run_sample *s = &tl->r->samples[tl->first[i + 1] - 1];

		for (unsigned int size = 0; size < 3; size++) {
			tl->y[size][i] =
				(double)s->mapped[size] * (double)(1u << 9 * size) / MIB_PAGES;
			any |= tl->y[size][i] > 0;
		}
	}
	if (any)
		plot(tl, &mapped,
		     "KVM's pages_4k, pages_2m, pages_1g. Large pages are split where dirty pages "
		     "are logged; with shadow paging, maps go as the guest's tables do.");
	if (rate(tl, 0, FIELD(pf_taken)))
		plot(tl, &faults,
		     "KVM's pf_taken, vCPUs summed: second-stage faults, and with shadow paging "
		     "the "
		     "guest's own ones as well.");
}

static void plot_written(struct timeline *tl)
{
	struct plot p = {
		.kind = PLOT_LINE,
		.title = "Memory written at least once",
		.unit = "MiB",
		.nr_series = 1,
		.series = {{"distinct pages found dirty, so far", 0, tl->y[0]}},
		.limit = (double)(tl->r->ram_low + tl->r->ram_high) / (1 << 20),
		.limit_name = "all guest RAM",
	};
	bool any = false;

	for (unsigned int i = 0; i < tl->n; i++) {
		uint64_t n = tl->r->samples[tl->first[i + 1] - 1].dirty_distinct;

		tl->y[0][i] = mib((int64_t)(n & INT64_MAX));
		any |= n > 0;
	}
	if (tl->r->has_dirty && any)
		plot(tl, &p, "Every 4 KiB page the host ever found dirty counts once.");
}

static void plot_zones(struct timeline *tl)
{
	const struct run_result *r = tl->r;
	char names[PLOT_SERIES][48];
	struct plot p = {
		.kind = PLOT_LINE,
		.title = "Free memory by zone",
		.unit = "MiB",
		.limit_name = "low watermarks, summed: below it kswapd runs",
	};
	double low = 0;

	for (unsigned int z = 0; z < r->nr_zones && z < PLOT_SERIES; z++) {
		low += (double)r->zones[z].wmark[1] / MIB_PAGES;
		snprintf(names[z], sizeof(names[z]), "node %u %s", r->zones[z].node,
			 r->zones[z].name);
		for (unsigned int i = 0; i < tl->n; i++) {
			const struct run_sample *s = &r->samples[tl->first[i + 1] - 1];

			tl->y[z][i] = z < s->nr_zones ? mib(s->zone_free[z]) : 0;
		}
		p.series[p.nr_series++] = (struct plot_series){names[z], z, tl->y[z]};
	}
	if (!p.nr_series)
		return;
	p.limit = low;
	plot(tl, &p, "nr_free_pages of each zone.");
}

static void plot_levels(struct timeline *tl)
{
	static const struct {
		const char *name;
		unsigned int colour;
		int item[2];
	} parts[] = {
		{"active anon", 0, {NR_ACTIVE_ANON, -1}},
		{"inactive anon", 5, {NR_INACTIVE_ANON, NR_ISOLATED_ANON}},
		{"active file", 2, {NR_ACTIVE_FILE, -1}},
		{"inactive file", 4, {NR_INACTIVE_FILE, -1}},
		{"unevictable", 8, {NR_UNEVICTABLE, -1}},
		{"slab", 3, {NR_SLAB_RECLAIMABLE, NR_SLAB_UNRECLAIMABLE}},
		{"page tables", 1, {NR_PAGETABLE, -1}},
		{"vmalloc", 6, {NR_VMALLOC, -1}},
		{"free", 9, {NR_FREE_PAGES, -1}},
	};
	struct plot p = {
		.kind = PLOT_STACK,
		.title = "Where the guest's memory is",
		.unit = "MiB",
		.limit_name = "all memory the page allocator has",
		.limit = mib((int64_t)(tl->r->totalram_pages & INT64_MAX)),
	};

	for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
		bool any = false;

		for (unsigned int i = 0; i < tl->n; i++) {
			const struct run_sample *s = &tl->r->samples[tl->first[i + 1] - 1];
			double *y = &tl->y[p.nr_series][i];

			*y = mib(s->level[parts[k].item[0]]);
			if (parts[k].item[1] >= 0)
				*y += mib(s->level[parts[k].item[1]]);
			any |= *y > 0;
		}
		/* A part that is always zero is left out of the legend. */
		if (!any)
			continue;
		p.series[p.nr_series] =
			(struct plot_series){parts[k].name, parts[k].colour, tl->y[p.nr_series]};
		p.nr_series++;
	}
	if (p.nr_series)
		plot(tl, &p,
		     "LRU lists and other uses, from the zones' levels. The gap below the line is "
		     "memory in none of them: the kernel's own pages, per-CPU lists.");
}

static void plot_swap_use(struct timeline *tl)
{
	const uint64_t total = tl->r->swap_total;
	struct plot p = {
		.kind = PLOT_LINE,
		.title = "Swap space in use",
		.unit = "MiB",
		.nr_series = 1,
		.series = {{"in use", 1, tl->y[0]}},
	};
	bool any = false;

	for (unsigned int i = 0; i < tl->n; i++) {
		uint64_t left = tl->r->samples[tl->first[i + 1] - 1].swap_free;

		/* Before the guest has its swap device, both are 0. */
		tl->y[0][i] = left && left < total ? mib((int64_t)(total - left)) : 0;
		any |= tl->y[0][i] > 0;
	}
	if (any)
		plot(tl, &p, "Slots of the swap area that hold a page.");
}

static int plot_heat(struct timeline *tl)
{
	const struct run_result *r = tl->r;
	struct heatmap h = {
		.title = "Where memory is written: address × time",
		.unit = "pages/s of each part",
		.n = tl->n,
		.t = tl->t,
		.row_mib = (double)r->heat_pages / MIB_PAGES,
		.split_name = "above: RAM from 4 GiB on",
	};
	uint64_t pages = (r->ram_low + r->ram_high) / MMVM_PAGE_SIZE;
	char text[160];
	bool any = false;
	double *cell;

	if (!r->has_dirty || !r->heat_pages || r->heat_pages > pages || !pages)
		return 0;
	h.rows = (unsigned int)((pages + r->heat_pages - 1) / r->heat_pages);
	if (h.rows > RUN_HEAT_BUCKETS)
		h.rows = RUN_HEAT_BUCKETS;
	cell = calloc((size_t)h.rows * h.n, sizeof(*cell));
	if (!cell)
		return -ENOMEM;
	for (unsigned int row = 0; row < h.rows; row++) {
		for (unsigned int i = 0; i < h.n; i++) {
			double sum = 0;

			for (unsigned int s = tl->first[i]; s < tl->first[i + 1]; s++)
				sum += r->samples[s].heat[row];
			cell[row * h.n + i] = sum / (tl->t[i + 1] - tl->t[i]);
			any |= sum > 0;
		}
	}
	h.cell = cell;
	if (r->ram_high)
		h.split_mib = (double)r->ram_low / (1 << 20);
	snprintf(text, sizeof(text),
		 "Each row is %llu KiB of guest-physical memory, from KVM's dirty log.",
		 (unsigned long long)(r->heat_pages * (MMVM_PAGE_SIZE >> 10)));
	h.caption = caption(tl, text);
	if (any)
		html_heatmap(tl->f, &h);
	free(cell);
	return 0;
}

int html_timeline(FILE *f, const struct run_result *r)
{
	struct timeline *tl = calloc(1, sizeof(*tl));
	int err = 0;

	if (!tl)
		return -ENOMEM;
	tl->f = f;
	tl->r = r;
	cut(tl);
	if (!tl->n) {
		fputs("<p class=\"note\">The run has no samples: nothing is known over time.</p>\n",
		      f);
		goto out;
	}
	fputs("<div class=\"plots\">\n", f);
	plot_dirty(tl);
	err = plot_heat(tl);
	plot_owners(tl);
	plot_levels(tl);
	plot_zones(tl);
	plot_rates(tl);
	plot_swap_use(tl);
	plot_second_stage(tl);
	plot_written(tl);
	if (!err)
		err = html_fragmentation(f, r, tl->n, tl->t, tl->first);
	fputs("</div>\n", f);
out:
	free(tl);
	return err;
}
