/*
 * What the host saw of a run, as HTML: exits, page sizes, disks, KVM's statistics, what watching has cost.
 */
#include "report/html.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BARS 64u

static const struct run_kvm_stat *kvm_stat(const struct run_result *r, const char *name)
{
	for (unsigned int i = 0; i < r->nr_kvm; i++)
		if (!strcmp(r->kvm[i].name, name) && r->kvm[i].nr_values == 1)
			return &r->kvm[i];
	return NULL;
}

static void put_page_sizes(FILE *f, const struct run_result *r)
{
	static const struct {
		const char *stat, *name;
		unsigned int shift;
	} sizes[] = {
		{"pages_4k", "4 KiB", 12}, {"pages_2m", "2 MiB", 21}, {"pages_1g", "1 GiB", 30}};
	struct bar bars[3];
	char text[3][80], bytes[32], n[32];
	unsigned int nr = 0;

	for (unsigned int i = 0; i < 3; i++) {
		const struct run_kvm_stat *s = kvm_stat(r, sizes[i].stat);
		uint64_t count;

		if (!s)
			continue;
		count = s->values[0];
		snprintf(text[nr], sizeof(text[nr]), "%s pages = %s",
			 format_count(count, n, sizeof(n)),
			 count >> (63 - sizes[i].shift)
				 ? "more than there is"
				 : format_bytes(count << sizes[i].shift, bytes, sizeof(bytes)));
		bars[nr] = (struct bar){sizes[i].name, text[nr],
					(double)count * (double)(1ull << sizes[i].shift), i};
		nr++;
	}
	if (!nr)
		return;
	html_heading(f, "Page sizes KVM maps guest RAM with, at the end");
	html_bars(f, bars, nr);
}

static int by_time(const void *a, const void *b)
{
	const struct run_exit *x = *(const struct run_exit *const *)a;
	const struct run_exit *y = *(const struct run_exit *const *)b;

	return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : strcmp(x->name, y->name);
}

#define MAX_PLACES 40

static void put_exit_places(FILE *f, const struct run_result *r)
{
	static const char *const columns[] = {"reason and place", "#exits", "#time", NULL};

	if (!r->has_exit_places)
		return;
	html_heading(f, "Exits to the VMM, by place");
	html_table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_places && i < MAX_PLACES; i++) {
		const struct run_exit_place *p = &r->places[i];
		char name[192], where[64] = "", time[32];

		if (p->addr)
			snprintf(where, sizeof(where), " %#" PRIx64 " %s", p->addr, p->device);
		snprintf(name, sizeof(name), "%s%s in %s", p->reason, where, p->function);
		html_row_begin(f, name);
		html_cell_count(f, p->count);
		html_cell_text(f, "n", format_ns(p->ns, time, sizeof(time)));
		fputs("</tr>\n", f);
	}
	html_table_end(f);
}

static void put_exits(FILE *f, const struct run_result *r)
{
	const struct run_exit *sorted[MAX_BARS];
	struct bar bars[MAX_BARS];
	char text[MAX_BARS][96], total[32], each[32], n[32];
	unsigned int nr = 0;

	for (unsigned int i = 0; i < r->nr_exits && nr < MAX_BARS; i++)
		if (r->exits[i].count)
			sorted[nr++] = &r->exits[i];
	if (!nr)
		return;
	qsort(sorted, nr, sizeof(sorted[0]), by_time);
	for (unsigned int i = 0; i < nr; i++) {
		const struct run_exit *e = sorted[i];

		if (!r->has_exit_times) {
			snprintf(text[i], sizeof(text[i]), "%s, not timed",
				 format_count(e->count, n, sizeof(n)));
			bars[i] = (struct bar){e->name, text[i], (double)e->count, 6};
			continue;
		}
		snprintf(text[i], sizeof(text[i]), "%s in all = %s × %s",
			 format_ns(e->ns, total, sizeof(total)),
			 format_count(e->count, n, sizeof(n)),
			 format_ns(e->ns / e->count, each, sizeof(each)));
		bars[i] = (struct bar){e->name, text[i], (double)e->ns, 6};
	}
	html_heading(f, "Exits to the VMM, by reason");
	html_bars(f, bars, nr);
	fprintf(f,
		"<p class=\"note\">Bars: %s. Only exits that reach the VMM; those KVM handles "
		"itself are in its statistics below.</p>\n",
		r->has_exit_times ? "time the VMM spent on that reason" : "how often");
}

/** Pages found dirty that the program did not name, by reason; only after an exact comparison. */
static void put_reasons(FILE *f, const struct run_result *r)
{
	static const char *const columns[] = {"why they were in the log", "#pages", NULL};

	if (!r->nr_reasons)
		return;
	html_heading(f, "Pages written beside those the program says it wrote");
	html_table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_reasons; i++) {
		html_row_begin(f, r->reasons[i].name);
		html_cell_count(f, r->reasons[i].value);
		fputs("</tr>\n", f);
	}
	html_table_end(f);
}

/** What watching has cost. */
static void put_observers(FILE *f, const struct run_result *r)
{
	static const char *const columns[] = {
		"observer", "#times", "#time in all", "#exits caused", "#guest stood still",
		"",	    NULL};
	char text[32];

	if (!r->nr_observers)
		return;
	html_heading(f, "What watching has cost");
	html_table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_observers; i++) {
		const struct run_observer *o = &r->observers[i];

		html_row_begin(f, o->name);
		html_cell_count(f, o->times);
		html_cell_text(f, "n", format_ns(o->ns, text, sizeof(text)));
		html_cell_count(f, o->exits);
		html_cell_text(f, "n",
			       o->has_stall ? format_ns(o->stall_ns, text, sizeof(text))
					    : "not known");
		html_cell_text(f, "wide", o->note);
		fputs("</tr>\n", f);
	}
	html_table_end(f);
}

static void put_disks(FILE *f, const struct run_result *r)
{
	static const char *const columns[] = {"",	 "#size",    "#reads",	 "#read",
					      "#writes", "#written", "#flushes", "#discards",
					      "#errors", NULL};
	char text[32];

	if (!r->nr_disks)
		return;
	html_heading(f, "Disks");
	html_table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_disks; i++) {
		const struct run_disk *d = &r->disks[i];

		html_row_begin(f, d->role);
		html_cell_text(f, "n", format_bytes(d->size, text, sizeof(text)));
		html_cell_count(f, d->stats.reads);
		html_cell_text(f, "n",
			       format_bytes(d->stats.sectors_read << 9, text, sizeof(text)));
		html_cell_count(f, d->stats.writes);
		html_cell_text(f, "n",
			       format_bytes(d->stats.sectors_written << 9, text, sizeof(text)));
		html_cell_count(f, d->stats.flushes);
		html_cell_count(f, d->stats.discards);
		html_cell_count(f, d->stats.errors);
		fputs("</tr>\n", f);
	}
	html_table_end(f);
}

static void put_pmem(FILE *f, const struct run_result *r)
{
	static const char *const columns[] = {"", "#size", "#flushes", "#errors", NULL};
	char text[32];

	if (!r->nr_pmem)
		return;
	html_heading(f, "Files that are memory");
	html_table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_pmem; i++) {
		const struct run_pmem *p = &r->pmem[i];

		html_row_begin(f, p->role);
		html_cell_text(f, "n", format_bytes(p->size, text, sizeof(text)));
		html_cell_count(f, p->flushes);
		html_cell_count(f, p->errors);
		fputs("</tr>\n", f);
	}
	html_table_end(f);
}

static void put_unit(FILE *f, const struct run_kvm_stat *s)
{
	if (strcmp(s->unit, "none") && s->unit[0]) {
		putc(' ', f);
		if (s->exponent)
			fprintf(f, "× %d<sup>%d</sup> ", s->base, s->exponent);
		html_text(f, s->unit);
	}
}

void html_kvm(FILE *f, const struct run_result *r)
{
	unsigned int zeroes = 0;
	bool hist = false;
	char ns[32];

	if (!r->nr_kvm)
		return;
	html_heading(f, "KVM's own statistics");
	html_flow_begin(f, "By the names KVM gives them; vCPUs summed");
	for (unsigned int i = 0; i < r->nr_kvm; i++) {
		const struct run_kvm_stat *s = &r->kvm[i];

		if (s->nr_values != 1) {
			hist = true;
			continue;
		}
		if (!s->values[0]) {
			zeroes++;
			continue;
		}
		fputs("<tr><th scope=\"row\">", f);
		html_text(f, s->name);
		fputs(" <small>", f);
		html_text(f, s->scope);
		fputs("</small></th><td class=\"n\">", f);
		if (!strcmp(s->unit, "seconds") && s->base == 10 && s->exponent == -9) {
			fputs(format_ns(s->values[0], ns, sizeof(ns)), f);
		} else {
			html_count(f, s->values[0]);
			put_unit(f, s);
		}
		fputs("</td></tr>\n", f);
	}
	html_flow_end(f, zeroes);
	for (unsigned int i = 0; hist && i < r->nr_kvm; i++) {
		const struct run_kvm_stat *s = &r->kvm[i];
		struct bar bars[MAX_BARS];
		char name[MAX_BARS][32], text[MAX_BARS][32];
		unsigned int nr = 0;

		for (unsigned int v = 0; s->nr_values > 1 && v < s->nr_values && nr < MAX_BARS;
		     v++) {
			if (!s->values[v])
				continue;
			if (!strcmp(s->kind, "log"))
				snprintf(name[nr], sizeof(name[nr]), "from 2^%u", v ? v - 1 : 0);
			else
				snprintf(name[nr], sizeof(name[nr]), "bucket %u", v);
			format_count(s->values[v], text[nr], sizeof(text[nr]));
			bars[nr] = (struct bar){name[nr], text[nr], (double)s->values[v], 2};
			nr++;
		}
		if (!nr)
			continue;
		fputs("<details><summary>", f);
		html_put(f, "%s, histogram", s->name);
		put_unit(f, s);
		fputs("</summary>\n", f);
		html_bars(f, bars, nr);
		fputs("</details>\n", f);
	}
}

void html_host(FILE *f, const struct run_result *r)
{
	put_observers(f, r);
	put_reasons(f, r);
	put_page_sizes(f, r);
	put_exits(f, r);
	put_exit_places(f, r);
	put_disks(f, r);
	put_pmem(f, r);
}
