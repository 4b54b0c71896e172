/*
 * Latency distributions as a chart: a row for each kind of event, bars over a logarithmic time
 * axis. From the run itself: how long the VMM took for each reason of exit. From
 * `mmvm bench fault --json`: how long each kind of fault takes as a program sees it.
 *
 *   pio_out       |      ▂█▅▁          |   bucket i of a row holds times from first x 2^i to twice
 *   mmio_write    |   ▁▆█▃             |   that; a bar's height is its share of the row's events,
 *                 1 us    10 us   100 us   the highest bar of a row is as high as the row
 */
#include "report/html.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "result/json_read.h"

#define WIDTH  480.0
#define LEFT   118.0
#define RIGHT  28.0
#define TOP    6.0
#define ROW    26.0
#define BOTTOM 40.0

/** A chart: rows of buckets. The first bucket begins at first_ns. */
struct chart {
	double first_ns;
	unsigned int low, high; /* buckets in use: [low, high) */
	unsigned int nr;
	const struct report_latency *rows;
};

static void find_range(struct chart *c)
{
	c->low = REPORT_LATENCY_BUCKETS;
	c->high = 0;
	for (unsigned int r = 0; r < c->nr; r++) {
		for (unsigned int b = 0; b < REPORT_LATENCY_BUCKETS; b++) {
			if (!c->rows[r].count[b])
				continue;
			c->low = b < c->low ? b : c->low;
			c->high = b + 1 > c->high ? b + 1 : c->high;
		}
	}
}

static double x_of(const struct chart *c, double bucket)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * (bucket - c->low) / (c->high - c->low);
}

static double bucket_ns(const struct chart *c, unsigned int bucket)
{
	double ns = c->first_ns;

	while (bucket--)
		ns *= 2;
	return ns;
}

/** Draw the axis: marks at powers of ten, which lie between the edges of buckets. */
static void draw_axis(FILE *f, const struct chart *c, double height)
{
	double low = bucket_ns(c, c->low), high = bucket_ns(c, c->high), last = 0;
	char text[32];

	for (double ns = 1; ns <= high && ns < 1e18; ns *= 10) {
		double at = c->low, edge = low;

		if (ns < low)
			continue;
		while (edge * 2 <= ns) {
			edge *= 2;
			at++;
		}
		/* The axis is logarithmic between two edges, too, but a linear position is exact enough. */
		at += (ns - edge) / edge;
		if (at > c->high)
			break;
		fprintf(f, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", x_of(c, at), TOP,
			height - BOTTOM);
		if (last > 0 && x_of(c, at) - last < 50)
			continue;
		last = x_of(c, at);
		format_ns((uint64_t)ns, text, sizeof(text));
		fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", last,
			height - BOTTOM + 16, text);
	}
	fprintf(f,
		"<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">time for one, "
		"logarithmic</text>\n",
		LEFT + (WIDTH - LEFT - RIGHT) / 2, height - 6);
}

static void draw_row(FILE *f, const struct chart *c, unsigned int row)
{
	const struct report_latency *l = &c->rows[row];
	double base = TOP + ROW * (row + 1) - 2;
	uint64_t most = 1, sum = 0;
	char a[32], b[32], n[32];

	for (unsigned int i = 0; i < REPORT_LATENCY_BUCKETS; i++) {
		most = l->count[i] > most ? l->count[i] : most;
		sum += l->count[i];
	}
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6, base - 6);
	html_text(f, l->name);
	fprintf(f, "</text><path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>\n", LEFT, base,
		WIDTH - RIGHT);
	for (unsigned int i = c->low; i < c->high; i++) {
		double h = (ROW - 6) * (double)l->count[i] / (double)most;
		double x = x_of(c, i), w = x_of(c, i + 1) - x;

		if (!l->count[i])
			continue;
		/* One event among millions is still seen. */
		h = h < 1 ? 1 : h;
		fprintf(f,
			"<rect class=\"cells\" style=\"fill:var(--c%u)\" x=\"%.1f\" y=\"%.1f\" "
			"width=\"%.1f\" height=\"%.1f\"><title>",
			row % 2 ? 5u : 0u, x + 0.5, base - h, w - 1, h);
		html_text(f, l->name);
		fprintf(f, ": %s of %s from %s to %s</title></rect>\n",
			format_count(l->count[i], n, sizeof(n)),
			format_count(sum, (char[32]){0}, 32),
			format_ns((uint64_t)bucket_ns(c, i), a, sizeof(a)),
			format_ns((uint64_t)bucket_ns(c, i + 1), b, sizeof(b)));
	}
}

static void draw(FILE *f, struct chart *c, const char *title, const char *caption)
{
	double height = TOP + ROW * c->nr + BOTTOM;

	find_range(c);
	if (c->low >= c->high)
		return;
	fputs("<figure><figcaption><b>", f);
	html_text(f, title);
	fprintf(f, "</b></figcaption>\n<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"",
		WIDTH, height);
	html_text(f, title);
	fputs("\">\n", f);
	draw_axis(f, c, height);
	for (unsigned int r = 0; r < c->nr; r++)
		draw_row(f, c, r);
	fputs("</svg>\n<p class=\"note\">", f);
	html_text(f, caption);
	fputs("</p></figure>\n", f);
}

static void draw_exits(FILE *f, const struct run_result *r)
{
	struct report_latency *rows = calloc(r->nr_exits, sizeof(*rows));
	struct chart c = {.first_ns = (double)r->exit_tick_ps / 1000, .rows = rows};

	for (unsigned int i = 0; rows && i < r->nr_exits; i++) {
		const struct run_exit *e = &r->exits[i];
		uint64_t sum = 0;

		for (unsigned int b = 0; b < RUN_EXIT_BUCKETS; b++)
			sum += e->log2_ticks[b];
		if (!sum)
			continue;
		snprintf(rows[c.nr].name, sizeof(rows[c.nr].name), "%s", e->name);
		memcpy(rows[c.nr++].count, e->log2_ticks, sizeof(e->log2_ticks));
	}
	if (c.nr)
		draw(f, &c, "Exits to the VMM: how long each took",
		     "From the return of KVM_RUN to the next call of it, by reason; buckets "
		     "double. "
		     "The highest bar of a row is its most frequent bucket.");
	free(rows);
}

void html_latency(FILE *f, const struct run_result *r, const struct report_costs *costs)
{
	bool exits = r->has_exit_times && r->exit_tick_ps, faults = costs && costs->nr_latencies;
	char caption[300];

	if (!exits && !faults)
		return;
	fputs("<h2>How long things take</h2>\n<div class=\"plots\">\n", f);
	if (exits)
		draw_exits(f, r);
	if (faults) {
		struct chart c = {
			.first_ns = 0.5, .nr = costs->nr_latencies, .rows = costs->latency};

		snprintf(caption, sizeof(caption),
			 "mmvm bench fault on %s%s: what a program in the guest waits for one "
			 "access. A run of its own, not the one above.",
			 costs->latency_backend, costs->latency_lab ? ", in the lab" : "");
		draw(f, &c, "Faults: how long each took", caption);
	}
	fputs("</div>\n", f);
}

/* ---- the file of mmvm bench fault -------------------------------------------------------------- */

static int bad(struct mmvm_error *err, const char *path, const char *what)
{
	return mmvm_error(err, MMVM_EXIT_USAGE, "%s is no result of mmvm bench fault: %s", path,
			  what);
}

int report_latencies_read(struct report_costs *c, const struct json_value *root, const char *path,
			  struct mmvm_error *err)
{
	const struct json_value *list = json_get(root, "fault"), *v = json_get(root, "backend");

	if (v && v->type == JSON_STRING)
		snprintf(c->latency_backend, sizeof(c->latency_backend), "%.*s",
			 (int)sizeof(c->latency_backend) - 1, v->text);
	v = json_get(root, "lab");
	c->latency_lab = v && v->type == JSON_BOOL && v->boolean;
	for (const struct json_value *k = list->first; k; k = k->next) {
		const struct json_value *name = json_get(k, "kind"), *n = json_get(k, "log2_ns");
		struct report_latency *row = &c->latency[c->nr_latencies];
		unsigned int i = 0;

		if (!name || name->type != JSON_STRING)
			return bad(err, path, "a kind has no name");
		/* If it was not proved that a path was taken, it has no times. */
		if (!n || n->type == JSON_NULL)
			continue;
		if (n->type != JSON_ARRAY || c->nr_latencies == REPORT_MAX_LATENCIES)
			return bad(err, path, "log2_ns is no list, or there are too many kinds");
		snprintf(row->name, sizeof(row->name), "%.*s", (int)sizeof(row->name) - 1,
			 name->text);
		for (n = n->first; n; n = n->next, i++)
			if (i == REPORT_LATENCY_BUCKETS || json_to_u64(n, &row->count[i]))
				return bad(err, path, "log2_ns holds what is no number");
		c->nr_latencies++;
	}
	return 0;
}
