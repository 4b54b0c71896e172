/*
 * Compare two sets of runs, value by value: what changed, and whether the change is more than noise.
 *
 *   run_result of each run -> rows {name, values of side A, values of side B} -> sorted -> tables
 *
 * A value is compared if every run of both sides has it. With one run on a side nothing is known about
 * noise. With more, a change is beyond noise if the ranges (least to greatest) of the two sides do not
 * overlap. That is an order statistic, so it assumes nothing about the distribution of the values. If
 * all runs are alike, the ranges of n and m runs are still apart for 2 n! m! / (n + m)! of the values;
 * that number is printed.
 */
#include "report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAME_WIDTH 39u
#define SHOWN	   30u /* rows of a table unless all are wanted */

enum value_kind { VALUE_COUNT, VALUE_NS, VALUE_BYTES };

struct row {
	char name[112];
	enum value_kind kind;
	unsigned int seen[2]; /* runs of a side that have it */
	double sum[2];
	uint64_t min[2], max[2];
	double weight; /* larger mean / smaller mean; the sort key */
};

struct table {
	struct row *rows;
	unsigned int nr, room;
	unsigned int side; /* the side that is being filled */
	bool no_memory;
};

static void add(struct table *t, enum value_kind kind, uint64_t value, const char *prefix,
		const char *name, const char *suffix)
{
	char full[sizeof(t->rows->name)];
	struct row *row;
	unsigned int i;

	snprintf(full, sizeof(full), "%s%s%s", prefix, name, suffix);
	for (i = 0; i < t->nr && strcmp(t->rows[i].name, full); i++)
		;
	if (i == t->nr) {
		if (t->nr == t->room) {
			unsigned int room = t->room ? t->room * 2 : 256;

			row = realloc(t->rows, room * sizeof(*row));
			if (!row) {
				t->no_memory = true;
				return;
			}
			t->rows = row;
			t->room = room;
		}
		memset(&t->rows[t->nr], 0, sizeof(*row));
		strcpy(t->rows[t->nr].name, full);
		t->rows[t->nr++].kind = kind;
	}
	row = &t->rows[i];
	if (!row->seen[t->side] || value < row->min[t->side])
		row->min[t->side] = value;
	if (!row->seen[t->side] || value > row->max[t->side])
		row->max[t->side] = value;
	row->sum[t->side] += (double)value;
	row->seen[t->side]++;
}

static void add_timeline(struct table *t, const struct run_result *r)
{
	uint64_t low = UINT64_MAX, swap = 0;

	for (unsigned int i = 0; i < r->nr_samples; i++) {
		const struct run_sample *s = &r->samples[i];

		/* No zone yet: the guest has not booted. */
		if (s->nr_zones && s->free_pages < low)
			low = s->free_pages;
		if (s->swap_free && r->swap_total > s->swap_free &&
		    r->swap_total - s->swap_free > swap)
			swap = r->swap_total - s->swap_free;
	}
	if (low != UINT64_MAX)
		add(t, VALUE_COUNT, low, "free pages, least of all samples", "", "");
	if (r->nr_samples)
		add(t, VALUE_COUNT, swap, "swap pages in use, most of all samples", "", "");
}

static enum value_kind kvm_kind(const struct run_kvm_stat *s)
{
	if (!strcmp(s->unit, "seconds") && s->base == 10 && s->exponent == -9)
		return VALUE_NS;
	return !strcmp(s->unit, "bytes") && !s->exponent ? VALUE_BYTES : VALUE_COUNT;
}

static void add_run(struct table *t, const struct run_result *r)
{
	add(t, VALUE_NS, r->wall_ns, "wall time", "", "");
	add(t, VALUE_NS, r->first_run_ns, "start to first guest instruction", "", "");
	if (r->boot_ticks)
		add(t, VALUE_COUNT, r->boot_ticks, "boot, TSC ticks", "", "");
	add(t, VALUE_BYTES, r->vmm_bytes, "VMM memory", "", "");
	add(t, VALUE_BYTES, r->guest_ram_resident, "guest RAM resident", "", "");
	if (r->has_dirty) {
		add(t, VALUE_COUNT, r->dirty_pages_total, "pages found dirty", "", "");
		add(t, VALUE_COUNT, r->dirty_pages_distinct, "pages found dirty, distinct", "", "");
	}
	if (r->has_audit)
		add(t, VALUE_COUNT, r->audit_findings, "audit findings", "", "");
	add_timeline(t, r);
	for (unsigned int i = 0; i < r->nr_counters; i++)
		add(t, VALUE_COUNT, r->counters[i].value, "guest ", r->counters[i].name, "");
	for (unsigned int i = 0; i < r->nr_pmem; i++) {
		const struct run_pmem *p = &r->pmem[i];

		add(t, VALUE_COUNT, p->flushes, "", p->role, " flushes");
		add(t, VALUE_COUNT, p->errors, "", p->role, " errors");
	}
	for (unsigned int i = 0; i < r->nr_disks; i++) {
		const struct run_disk *d = &r->disks[i];

		add(t, VALUE_COUNT, d->stats.reads, "disk ", d->role, " reads");
		add(t, VALUE_COUNT, d->stats.writes, "disk ", d->role, " writes");
		add(t, VALUE_COUNT, d->stats.flushes, "disk ", d->role, " flushes");
		add(t, VALUE_COUNT, d->stats.errors, "disk ", d->role, " errors");
		add(t, VALUE_BYTES, d->stats.sectors_read << 9, "disk ", d->role, " read");
		add(t, VALUE_BYTES, d->stats.sectors_written << 9, "disk ", d->role, " written");
	}
	for (unsigned int i = 0; i < r->nr_kvm; i++)
		if (r->kvm[i].nr_values == 1)
			add(t, kvm_kind(&r->kvm[i]), r->kvm[i].values[0], "KVM ", r->kvm[i].name,
			    strcmp(r->kvm[i].scope, "vm") ? "" : " (vm)");
	for (unsigned int i = 0; i < r->nr_access; i++) {
		const struct run_access *a = &r->access[i];
		uint64_t sum = 0;

		for (unsigned int p = 0; p < a->nr_points; p++)
			sum += a->points[p].window[0];
		if (a->nr_points)
			add(t, VALUE_COUNT, sum / a->nr_points, "pages accessed a sample, by ",
			    a->method, "");
	}
	for (unsigned int i = 0; i < r->nr_exits; i++) {
		add(t, VALUE_COUNT, r->exits[i].count, "exit ", r->exits[i].name, ", count");
		if (r->has_exit_times)
			add(t, VALUE_NS, r->exits[i].ns, "exit ", r->exits[i].name, ", time");
	}
}

/* ---- are these runs of the same thing? ------------------------------------------------------- */

static void set_up(const struct run_result *r, unsigned int what, char *buf, size_t size)
{
	char low[32], high[32];

	switch (what) {
	case 0:
		snprintf(buf, size, "%s, accel %s", r->backend, r->accel);
		break;
	case 1:
		snprintf(buf, size, "%s", r->host_kernel);
		break;
	case 2:
		snprintf(buf, size, "%s + %s, %u CPU", format_bytes(r->ram_low, low, sizeof(low)),
			 format_bytes(r->ram_high, high, sizeof(high)), r->cpus);
		break;
	case 3:
		snprintf(buf, size, "%" PRIu64 " pages", r->swap_total);
		break;
	default:
		snprintf(buf, size, "%s, status %d", outcome_name(r->outcome.kind), r->exit_status);
		break;
	}
}

static void put_set_up(FILE *f, const struct run_side side[2])
{
	static const char *const names[] = {"backend", "host kernel", "RAM, CPUs", "swap space",
					    "outcome"};
	char first[128], other[128];
	bool any = false;

	for (unsigned int what = 0; what < 5; what++) {
		set_up(&side[0].runs[0], what, first, sizeof(first));
		for (unsigned int i = 1; i < side[0].nr + side[1].nr; i++) {
			const struct run_result *r =
				i < side[0].nr ? &side[0].runs[i] : &side[1].runs[i - side[0].nr];

			set_up(r, what, other, sizeof(other));
			if (!strcmp(first, other))
				continue;
			if (!any)
				fputs("not the same set-up:\n", f);
			any = true;
			fprintf(f, "  %-12s ", names[what]);
			put_safe(f, first, sizeof(first));
			fputs("  |  ", f);
			put_safe(f, other, sizeof(other));
			if (what == 0)
				fputs("\n               times of different backends say nothing "
				      "about "
				      "each other",
				      f);
			putc('\n', f);
			break;
		}
	}
	if (any)
		putc('\n', f);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static double mean(const struct row *row, unsigned int side)
{
	return row->sum[side] / row->seen[side];
}

static bool ranges_apart(const struct row *row)
{
	return row->max[0] < row->min[1] || row->max[1] < row->min[0];
}

static bool changed(const struct row *row)
{
	return row->min[0] != row->min[1] || row->max[0] != row->max[1] ||
	       row->min[0] != row->max[0];
}

static int by_change(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight < y->weight ? 1 : -1;
	return strcmp(x->name, y->name);
}

static const char *value_text(enum value_kind kind, double v, char *buf, size_t size)
{
	uint64_t n = (uint64_t)(v + 0.5);

	if (v >= 1.8e19)
		n = UINT64_MAX;
	if (kind == VALUE_NS)
		return format_ns(n, buf, size);
	if (kind == VALUE_BYTES)
		return format_bytes(n, buf, size);
	return format_count(n, buf, size);
}

/** Half the width of the range divided by the mean: how far a single run may be from the mean. */
static const char *spread_text(const struct row *row, unsigned int side, char *buf, size_t size)
{
	double m = mean(row, side);

	if (row->seen[side] < 2)
		snprintf(buf, size, "%s", "");
	else if (!(m > 0))
		snprintf(buf, size, "+-0.0 %%");
	else
		snprintf(buf, size, "+-%.1f %%",
			 50.0 * (double)(row->max[side] - row->min[side]) / m);
	return buf;
}

static void put_row(FILE *f, const struct row *row)
{
	double a = mean(row, 0), b = mean(row, 1);
	size_t len = strlen(row->name);
	char at[40], bt[40], as[32], bs[32], change[32];

	if (!(a > 0))
		snprintf(change, sizeof(change), "from 0");
	else if (b > a * 100)
		snprintf(change, sizeof(change), "x %.0f", b / a);
	else
		snprintf(change, sizeof(change), "%+.1f %%", 100 * (b / a - 1));
	fputs("  ", f);
	put_safe(f, row->name, NAME_WIDTH);
	fprintf(f, "%*s %14s %8s %14s %8s %10s\n", (int)(len < NAME_WIDTH ? NAME_WIDTH - len : 0),
		"", value_text(row->kind, a, at, sizeof(at)), spread_text(row, 0, as, sizeof(as)),
		value_text(row->kind, b, bt, sizeof(bt)), spread_text(row, 1, bs, sizeof(bs)),
		change);
}

/** Print the rows that changed: beyond noise (`apart` 1), not beyond noise (0), or all (< 0). */
static void put_table(FILE *f, const struct table *t, const unsigned int runs[2], int apart,
		      const char *title, const struct report_options *opt)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < t->nr; i++) {
		const struct row *row = &t->rows[i];

		if (row->seen[0] != runs[0] || row->seen[1] != runs[1] || !changed(row) ||
		    (apart >= 0 && ranges_apart(row) != (bool)apart))
			continue;
		if (nr++ == 0) {
			if (opt->colour)
				fprintf(f, "\033[1m%s\033[0m\n", title);
			else
				fprintf(f, "%s\n", title);
			fprintf(f, "  %-39s %14s %8s %14s %8s %10s\n", "", "A", "", "B", "",
				"change");
		}
		if (nr <= SHOWN || opt->verbose)
			put_row(f, row);
	}
	if (nr > SHOWN && !opt->verbose)
		fprintf(f, "  ... and %u more that changed less (-v shows all)\n", nr - SHOWN);
	if (nr)
		putc('\n', f);
}

/** For runs that are alike, the ranges of one value in so many are apart by chance. */
static double chance(unsigned int n, unsigned int m)
{
	double ways = 1;

	for (unsigned int i = 1; i <= n; i++)
		ways = ways * (m + i) / i;
	return ways / 2;
}

static void put_counts(FILE *f, const struct table *t, const unsigned int runs[2])
{
	unsigned int same = 0, alone[2] = {0, 0}, partly = 0;

	for (unsigned int i = 0; i < t->nr; i++) {
		const struct row *row = &t->rows[i];

		if (row->seen[0] == runs[0] && row->seen[1] == runs[1])
			same += !changed(row);
		else if (row->seen[0] && row->seen[1])
			partly++;
		else
			alone[row->seen[0] ? 0 : 1]++;
	}
	fprintf(f, "%u value%s the same in all runs", same, same == 1 ? " is" : "s are");
	if (alone[0] || alone[1])
		fprintf(f, "; %u only in A, %u only in B", alone[0], alone[1]);
	if (partly)
		fprintf(f, "; %u not in every run", partly);
	fputs(".\n", f);
}

int report_compare(FILE *f, const struct run_side side[2], const struct report_options *opt)
{
	const unsigned int runs[2] = {side[0].nr, side[1].nr};
	bool noise = runs[0] > 1 && runs[1] > 1;
	struct table t = {0};

	for (t.side = 0; t.side < 2; t.side++)
		for (unsigned int i = 0; i < side[t.side].nr; i++)
			add_run(&t, &side[t.side].runs[i]);
	if (t.no_memory) {
		free(t.rows);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < t.nr; i++) {
		struct row *row = &t.rows[i];
		double a, b;

		if (row->seen[0] != runs[0] || row->seen[1] != runs[1])
			continue;
		a = mean(row, 0);
		b = mean(row, 1);
		row->weight = a == b  ? 1
			      : a > b ? (b > 0 ? a / b : 1e300)
				      : (a > 0 ? b / a : 1e300);
	}
	qsort(t.rows, t.nr, sizeof(*t.rows), by_change);

	fprintf(f, "A: %u run%s, ", runs[0], runs[0] == 1 ? "" : "s");
	put_safe(f, side[0].label, 80);
	fprintf(f, "\nB: %u run%s, ", runs[1], runs[1] == 1 ? "" : "s");
	put_safe(f, side[1].label, 80);
	fputs("\n\n", f);
	put_set_up(f, side);
	if (noise) {
		put_table(f, &t, runs, 1, "beyond noise: the ranges of the two sides do not meet",
			  opt);
		put_table(f, &t, runs, 0, "within noise: they do", opt);
	} else {
		put_table(f, &t, runs, -1, "changed", opt);
	}
	put_counts(f, &t, runs);
	if (noise)
		fprintf(f,
			"+- is half the range of a side's runs. Of values that did not change, 1 "
			"in "
			"%.0f looks\nbeyond noise by chance with so many runs.\n",
			chance(runs[0], runs[1]));
	else
		fputs("One run on a side tells nothing about noise: give several, as A1,A2,A3 "
		      "B1,B2,B3.\n",
		      f);
	free(t.rows);
	return ferror(f) ? -EIO : 0;
}
