/*
 * `mmvm versus` as a page: the table, and a plot of the working sets of all systems on one axis of time.
 *
 * Systems take different times. A curve whose system has ended is 0 from there on.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "report/html.h"
#include "versus/versus.h"

/* The lab's clock counts instructions: 1 tick is 1 ns (--icount). */
#define TICKS_PER_S 1e9

/** A value of a point, KiB. */
enum level { REFERENCED, RSS, SWAP };

static double level_of(const struct versus_point *p, enum level level)
{
	return (double)(level == REFERENCED ? p->referenced
			: level == RSS	    ? p->rss
					    : p->swap) /
	       1024;
}

/** The level of a system at a time: that of the first point at or after it; 0 when it has ended. */
static double level_at(const struct versus_curve *c, double seconds, enum level level)
{
	for (unsigned int i = 0; i < c->nr; i++)
		if ((double)c->point[i].ticks / TICKS_PER_S >= seconds)
			return level_of(&c->point[i], level);
	return 0;
}

static int put_curves(FILE *f, const struct versus *v, enum level level, const char *title,
		      const char *caption)
{
	struct plot p = {.kind = PLOT_STEP, .title = title, .unit = "MiB", .caption = caption};
	double end = 0, *t, *y;
	unsigned int longest = 0;

	for (unsigned int i = 0; i < v->nr; i++) {
		const struct versus_curve *c = &v->system[i].curve;

		if (c->nr && (double)c->point[c->nr - 1].ticks / TICKS_PER_S > end)
			end = (double)c->point[c->nr - 1].ticks / TICKS_PER_S;
		longest = c->nr > longest ? c->nr : longest;
	}
	if (!longest)
		return 0;
	p.n = longest < PLOT_POINTS ? longest : PLOT_POINTS;
	t = calloc(p.n + 1 + (size_t)p.n * v->nr, sizeof(*t));
	if (!t)
		return -ENOMEM;
	y = t + p.n + 1;
	for (unsigned int k = 0; k <= p.n; k++)
		t[k] = end * k / p.n;
	for (unsigned int i = 0; i < v->nr; i++) {
		for (unsigned int k = 0; k < p.n; k++)
			y[i * p.n + k] =
				level_at(&v->system[i].curve, (t[k] + t[k + 1]) / 2, level);
		p.series[i] = (struct plot_series){v->system[i].name, i, y + (size_t)i * p.n};
	}
	p.t = t;
	p.nr_series = v->nr;
	html_plot(f, &p);
	free(t);
	return 0;
}

static void put_cell(FILE *f, const struct versus_system *s, const char *name)
{
	char text[32];
	bool found;
	uint64_t n = versus_value(&s->run[0], name, &found);

	if (!found)
		fputs("<td class=\"n\">&ndash;</td>", f);
	else
		fprintf(f, "<td class=\"n\">%s%s</td>", format_count(n, text, sizeof(text)),
			s->nr_runs > 1 && !versus_repeats(s, name) ? " ~" : "");
}

static bool any_has(const struct versus *v, const char *name)
{
	bool found = false;

	for (unsigned int i = 0; i < v->nr && !found; i++)
		versus_value(&v->system[i].run[0], name, &found);
	return found;
}

static void put_table(FILE *f, const struct versus *v)
{
	const char *name;

	fputs("<div class=\"scroll\"><table class=\"costs\"><thead><tr><th scope=\"col\"></th>", f);
	for (unsigned int i = 0; i < v->nr; i++) {
		fputs("<th scope=\"col\" class=\"n\">", f);
		html_text(f, v->system[i].name);
		fputs("</th>", f);
	}
	fputs("</tr></thead><tbody>\n<tr><th scope=\"row\">RAM, KiB</th>", f);
	for (unsigned int i = 0; i < v->nr; i++)
		fprintf(f, "<td class=\"n\">%" PRIu64 "</td>", v->system[i].memory >> 10);
	fputs("</tr>\n", f);
	for (unsigned int r = 0; (name = versus_row_name(r)); r++) {
		if (!any_has(v, name))
			continue;
		fputs("<tr><th scope=\"row\">", f);
		html_text(f, versus_row_label(r));
		fputs("</th>", f);
		for (unsigned int i = 0; i < v->nr; i++)
			put_cell(f, &v->system[i], name);
		fputs("</tr>\n", f);
	}
	fputs("</tbody></table></div>\n", f);
}

static void put_command(FILE *f, const struct versus *v)
{
	const char *base = strrchr(v->program, '/');

	html_text(f, base ? base + 1 : v->program);
	for (unsigned int i = 0; i < v->nr_args; i++) {
		putc(' ', f);
		html_text(f, v->args[i]);
	}
}

int versus_emit_page(FILE *f, const void *versus)
{
	const struct versus *v = versus;
	int rc;

	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'; img-src data:\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n<title>mmvm versus</title>\n",
	      f);
	html_style(f);
	fputs("</head><body><main>\n<h1>", f);
	put_command(f, v);
	fputs("</h1>\n<p>On Linux ", f);
	html_text(f, v->release);
	fprintf(f,
		" and on guestmm with each of its reclaim policies: the same program, the same "
		"memory "
		"available, %" PRIu64 " MiB of swap, in the lab with --icount.</p>\n",
		v->swap >> 20);
	if (v->curve_ms)
		fputs("<h2>Working sets side by side</h2>\n<div class=\"plots\">\n", f);
	rc = put_curves(f, v, REFERENCED, "Working set: memory referenced in an interval",
			"Accessed bits, read and cleared at the end of each interval, in a run of "
			"its own.");
	if (!rc)
		rc = put_curves(f, v, RSS, "Memory that the process has",
				"Rss of its first process.");
	if (!rc)
		rc = put_curves(f, v, SWAP, "Memory in swap", "Swap of its first process.");
	if (rc)
		return rc;
	if (v->curve_ms)
		fprintf(f,
			"</div>\n<p class=\"note\">An interval is %u ms. Time is the machine's: 1 "
			"ns is "
			"one instruction. A system whose line is 0 has ended.</p>\n",
			v->curve_ms);
	fputs("<h2>What was counted</h2>\n", f);
	put_table(f, v);
	if (v->runs > 1)
		fprintf(f,
			"<p class=\"note\">Values of the first of %u runs. ~: the runs differed; a "
			"value "
			"without a mark was the same to the digit.</p>\n",
			v->runs);
	fputs("<p class=\"note\">Made by mmvm report from a JSON file alone; every number here is "
	      "in "
	      "it.</p>\n</main></body></html>\n",
	      f);
	return ferror(f) ? -EIO : 0;
}
