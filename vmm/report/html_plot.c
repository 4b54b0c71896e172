/*
 * Plots as SVG, drawn without a library or a script.
 *
 *        title, legend (HTML: they wrap)
 *   TOP  +----------------------------+
 *   unit |           plot area        |   all coordinates are in units of the viewBox,
 *   ticks|                            |   WIDTH x HEIGHT; y grows downwards
 *        +----------------------------+
 *  LEFT        ticks        time, s     RIGHT
 *
 * Over each interval lies an invisible column. Its <title> has the numbers, which a browser shows when
 * the pointer is over it.
 *
 * I1: no coordinate leaves the drawing: values are clamped to [0, top of the axis], and an axis
 *     reaches above its largest value.
 */
#include "report/html.h"

#include <string.h>

#include "result/json.h"

#define WIDTH  480.0
#define HEIGHT 250.0
#define LEFT   58.0
#define RIGHT  12.0
#define TOP    22.0
#define BOTTOM 42.0
#define AREA_W (WIDTH - LEFT - RIGHT)
#define AREA_H (HEIGHT - TOP - BOTTOM)

struct axis {
	double top, step; /* highest value drawn, distance of ticks */
	double per;	  /* units of the values in one unit of the axis */
	const char *unit;
};

void html_text(FILE *f, const char *s)
{
	size_t len = strlen(s);

	while (len) {
		size_t n = utf8_char(s, len);
		unsigned char c = (unsigned char)*s;

		if (n == 0 || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ||
		    (n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0)) {
			fputs("\357\277\275", f);
			n = n ? n : 1;
		} else if (c == '<') {
			fputs("&lt;", f);
		} else if (c == '>') {
			fputs("&gt;", f);
		} else if (c == '&') {
			fputs("&amp;", f);
		} else if (c == '"') {
			fputs("&quot;", f);
		} else {
			fwrite(s, 1, n, f);
		}
		s += n;
		len -= n;
	}
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static double clamp(double v, double max)
{
	return v > 0 ? (v < max ? v : max) : 0;
}

/** Ticks at 1, 2 or 5 times a power of ten, about `ticks` of them up to `max`. */
static void axis_fit(struct axis *a, double max, unsigned int ticks)
{
	double raw, power = 1, lead;
	unsigned int nr;

	max /= a->per;
	if (!(max > 1e-9))
		max = 1;
	raw = max / ticks;
	while (power * 10 <= raw)
		power *= 10;
	while (power > raw)
		power /= 10;
	lead = raw / power;
	a->step = power * (lead <= 1.001 ? 1 : lead <= 2.001 ? 2 : lead <= 5.001 ? 5 : 10);
	nr = (unsigned int)(max / a->step);
	a->top = a->step * (nr * a->step < max * 0.999 ? nr + 1 : nr);
}

/** As many decimals as the distance of the ticks needs. */
static void tick_text(const struct axis *a, double v, char *buf, size_t size)
{
	const char *suffix = "";
	double step = a->step;
	int decimals = 0;

	if (a->top >= 5e9) {
		v /= 1e9;
		step /= 1e9;
		suffix = "G";
	} else if (a->top >= 5e6) {
		v /= 1e6;
		step /= 1e6;
		suffix = "M";
	} else if (a->top >= 5e3) {
		v /= 1e3;
		step /= 1e3;
		suffix = "k";
	}
	while (decimals < 9 && step < 0.999) {
		step *= 10;
		decimals++;
	}
	snprintf(buf, size, "%.*f%s", decimals, v, v > 0 ? suffix : "");
}

static void time_axis(struct axis *a, double seconds)
{
	static const struct {
		double per;
		const char *unit;
	} units[] = {{3600, "time, hours"},
		     {60, "time, minutes"},
		     {1, "time, seconds"},
		     {1e-3, "time, milliseconds"},
		     {1e-6, "time, microseconds"}};
	size_t i = 0;

	/* From ten minutes on, minutes are used. */
	while (i < 4 && seconds < units[i].per * (i < 2 ? 10 : 1))
		i++;
	a->per = units[i].per;
	a->unit = units[i].unit;
	axis_fit(a, seconds, 6);
	a->top = seconds / a->per;
}

static double x_of(const struct axis *a, double t)
{
	return LEFT + AREA_W * clamp(t / a->per / (a->top > 0 ? a->top : 1), 1);
}

static double y_of(const struct axis *a, double v)
{
	return TOP + AREA_H * (1 - clamp(v / a->per / a->top, 1));
}

static void figure_begin(FILE *f, const char *title)
{
	fputs("<figure><figcaption><b>", f);
	html_text(f, title);
	fputs("</b></figcaption>\n", f);
}

static void svg_begin(FILE *f, const char *title)
{
	fprintf(f, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
	html_text(f, title);
	fputs("\">\n", f);
}

static void figure_end(FILE *f, const char *caption)
{
	fputs("</svg>\n", f);
	if (caption && *caption) {
		fputs("<p class=\"note\">", f);
		html_text(f, caption);
		fputs("</p>\n", f);
	}
	fputs("</figure>\n", f);
}

static void svg_text(FILE *f, double x, double y, const char *anchor, const char *s)
{
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	html_text(f, s);
	fputs("</text>\n", f);
}

static void draw_axes(FILE *f, const struct axis *tx, const struct axis *vy)
{
	char tick[32];

	svg_text(f, 4, 13, "start", vy->unit);
	for (unsigned int i = 0; i * vy->step <= vy->top * 1.001; i++) {
		double y = y_of(vy, i * vy->step * vy->per);

		fprintf(f, "<path class=\"%s\" d=\"M%.1f %.1fH%.1f\"/>\n", i ? "grid" : "axis",
			LEFT, y, WIDTH - RIGHT);
		tick_text(vy, i * vy->step, tick, sizeof(tick));
		svg_text(f, LEFT - 6, y + 4, "end", tick);
	}
	for (unsigned int i = 0; i * tx->step <= tx->top * 1.001; i++) {
		double x = x_of(tx, i * tx->step * tx->per);

		fprintf(f, "<path class=\"axis\" d=\"M%.1f %.1fv4\"/>\n", x, HEIGHT - BOTTOM);
		tick_text(tx, i * tx->step, tick, sizeof(tick));
		svg_text(f, x, HEIGHT - BOTTOM + 17, "middle", tick);
	}
	svg_text(f, LEFT + AREA_W / 2, HEIGHT - 8, "middle", tx->unit);
}

static void legend(FILE *f, const struct plot *p)
{
	fputs("<ul class=\"legend\">", f);
	for (unsigned int s = 0; s < p->nr_series; s++) {
		fprintf(f, "<li><i style=\"background:var(--c%u)\"></i>",
			p->series[s].colour % HTML_COLOURS);
		html_text(f, p->series[s].name);
		fputs("</li>", f);
	}
	if (p->limit > 0 && p->limit_name) {
		fputs("<li><i class=\"dash\"></i>", f);
		html_text(f, p->limit_name);
		fputs("</li>", f);
	}
	fputs("</ul>\n", f);
}

/** Write a number with three significant figures and separated thousands. */
static void put_value(FILE *f, double v)
{
	char text[32];

	if (v > 0 && v < 100)
		fprintf(f, "%.3g", v);
	else
		fputs(format_count((uint64_t)clamp(v + 0.5, 1e18), text, sizeof(text)), f);
}

static void draw_series(FILE *f, const struct plot *p, const struct axis *tx, const struct axis *vy,
			const struct plot_series *s, double *below)
{
	fprintf(f, "<path class=\"%s\" style=\"--c:var(--c%u)\" d=\"",
		p->kind == PLOT_STEPS ? "cells"
		: below		      ? "area"
				      : "line",
		s->colour % HTML_COLOURS);
	for (unsigned int i = 0; i < p->n; i++) {
		double from = x_of(tx, p->t[i]), to = x_of(tx, p->t[i + 1]);
		double y = y_of(vy, s->y[i] + (below ? below[i] : 0));

		if (p->kind == PLOT_STEP || p->kind == PLOT_STEPS)
			fprintf(f, i ? "V%.1fH%.1f" : "M%.1f %.1fH%.1f", i ? y : from, i ? to : y,
				to);
		else
			fprintf(f, "%c%.1f %.1f", i ? 'L' : 'M', to, y);
	}
	for (unsigned int i = p->n; below && i--;) {
		double y = y_of(vy, below[i]);

		if (p->kind == PLOT_STEPS)
			fprintf(f, "V%.1fH%.1f", y, x_of(tx, p->t[i]));
		else
			fprintf(f, "L%.1f %.1f", x_of(tx, p->t[i + 1]), y);
		below[i] += clamp(s->y[i], 1e18);
	}
	fputs(below ? "Z\"/>\n" : "\"/>\n", f);
}

static void draw_tips(FILE *f, const struct plot *p, const struct axis *tx)
{
	for (unsigned int i = 0; i < p->n; i++) {
		double from = x_of(tx, p->t[i]), to = x_of(tx, p->t[i + 1]);

		fprintf(f,
			"<rect class=\"tip\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
			"height=\"%.1f\"><title>%.2f s",
			from, TOP, to - from, AREA_H, p->t[i + 1]);
		for (unsigned int s = 0; s < p->nr_series; s++) {
			putc('\n', f);
			html_text(f, p->series[s].name);
			fputs(": ", f);
			put_value(f, p->series[s].y[i]);
			putc(' ', f);
			html_text(f, p->unit);
		}
		fputs("</title></rect>\n", f);
	}
}

void html_plot(FILE *f, const struct plot *p)
{
	struct axis tx, vy = {.per = 1, .unit = p->unit};
	double below[PLOT_POINTS] = {0}, max = p->limit;
	bool stacked = p->kind == PLOT_STACK || p->kind == PLOT_STEPS;

	for (unsigned int i = 0; i < p->n; i++) {
		double sum = 0;

		for (unsigned int s = 0; s < p->nr_series; s++) {
			double y = clamp(p->series[s].y[i], 1e18);

			sum = stacked ? sum + y : larger(sum, y);
		}
		max = larger(max, sum);
	}
	time_axis(&tx, p->t[p->n]);
	axis_fit(&vy, max, 5);
	figure_begin(f, p->title);
	legend(f, p);
	svg_begin(f, p->title);
	draw_axes(f, &tx, &vy);
	for (unsigned int s = 0; s < p->nr_series; s++)
		draw_series(f, p, &tx, &vy, &p->series[s], stacked ? below : NULL);
	if (p->limit > 0)
		fprintf(f, "<path class=\"limit\" d=\"M%.1f %.1fH%.1f\"/>\n", LEFT,
			y_of(&vy, p->limit), WIDTH - RIGHT);
	draw_tips(f, p, &tx);
	figure_end(f, p->caption);
}

/** The colour of a cell: 0 for no value, else 1 ... HTML_HEATS. Each stands for twice the value of the one before; the
 * last is `max`. */
static unsigned int heat_of(double v, double max)
{
	unsigned int heat = HTML_HEATS;

	if (!(v > 0))
		return 0;
	while (heat > 1 && v * 2 <= max) {
		v *= 2;
		heat--;
	}
	return heat;
}

static void heat_legend(FILE *f, const struct heatmap *h, double max)
{
	fputs("<ul class=\"legend\"><li>", f);
	html_text(f, h->unit);
	fputs(":</li><li><i class=\"empty\"></i>0</li>", f);
	for (unsigned int heat = 1; heat <= HTML_HEATS; heat++) {
		fprintf(f, "<li><i style=\"background:var(--h%u)\"></i>%s", heat,
			heat == 1 ? "&gt; 0" : "&gt; ");
		if (heat > 1)
			put_value(f, max / (double)(1u << (HTML_HEATS - heat + 1)));
		fputs("</li>", f);
	}
	fputs("</ul>\n", f);
}

void html_heatmap(FILE *f, const struct heatmap *h)
{
	struct axis tx, vy = {.per = 1, .unit = "guest RAM, MiB"};
	double max = 0;

	for (unsigned int i = 0; i < h->rows * h->n; i++)
		max = larger(max, h->cell[i]);
	time_axis(&tx, h->t[h->n]);
	axis_fit(&vy, h->rows * h->row_mib, 5);
	vy.top = h->rows * h->row_mib;
	figure_begin(f, h->title);
	heat_legend(f, h, max);
	svg_begin(f, h->title);
	fprintf(f, "<rect class=\"empty\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
		LEFT, TOP, AREA_W, AREA_H);
	/* One path a colour, one rectangle a cell. */
	for (unsigned int heat = 1; heat <= HTML_HEATS; heat++) {
		fprintf(f, "<path class=\"cells\" style=\"fill:var(--h%u)\" d=\"", heat);
		for (unsigned int row = 0; row < h->rows; row++) {
			double low = y_of(&vy, row * h->row_mib),
			       high = y_of(&vy, (row + 1) * h->row_mib);

			for (unsigned int i = 0; i < h->n; i++) {
				double from = x_of(&tx, h->t[i]), to = x_of(&tx, h->t[i + 1]);

				if (heat_of(h->cell[row * h->n + i], max) == heat)
					fprintf(f, "M%.1f %.1fH%.1fV%.1fH%.1fz", from, high, to,
						low, from);
			}
		}
		fputs("\"/>\n", f);
	}
	draw_axes(f, &tx, &vy);
	if (h->split_mib > 0) {
		double y = y_of(&vy, h->split_mib);

		fprintf(f, "<path class=\"limit\" d=\"M%.1f %.1fH%.1f\"/>\n", LEFT, y,
			WIDTH - RIGHT);
		fputs("<g class=\"halo\">", f);
		svg_text(f, WIDTH - RIGHT - 4, y - 5, "end", h->split_name);
		fputs("</g>\n", f);
	}
	figure_end(f, h->caption);
}

void html_bars(FILE *f, const struct bar *bars, unsigned int n)
{
	double max = 0;

	for (unsigned int i = 0; i < n; i++)
		max = larger(max, bars[i].value);
	fputs("<table class=\"bars\">\n", f);
	for (unsigned int i = 0; i < n; i++) {
		fputs("<tr><th scope=\"row\">", f);
		html_text(f, bars[i].name);
		fputs("</th><td>", f);
		if (bars[i].value > 0)
			fprintf(f,
				"<div class=\"bar\" style=\"width:%.1f%%;background:var(--c%u)\">"
				"</div>",
				100 * clamp(bars[i].value / max, 1), bars[i].colour % HTML_COLOURS);
		fputs("</td><td class=\"n\">", f);
		html_text(f, bars[i].text);
		fputs("</td></tr>\n", f);
	}
	fputs("</table>\n", f);
}
