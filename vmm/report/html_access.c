/*
 * Accessed memory in the report: the working set over time and a heatmap for each method that has
 * pages, and how the methods compare.
 *
 * A method's points are joined to at most PLOT_POINTS intervals, like the timeline's samples
 * (html_time.c). The working set of an interval is that of its last point, heat the mean of its points.
 */
#include "report/html.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MIB_PAGES ((1 << 20) / MMVM_PAGE_SIZE)

struct intervals {
	unsigned int n;
	double t[PLOT_POINTS + 1];
	unsigned int
		first[PLOT_POINTS + 1]; /* points of interval i: first[i] ... first[i + 1] - 1 */
	double y[RUN_ACCESS_WINDOWS][PLOT_POINTS];
};

static void cut(struct intervals *iv, const struct run_access *a)
{
	unsigned int each = (a->nr_points + PLOT_POINTS - 1) / PLOT_POINTS, in = 0;

	iv->n = 0;
	for (unsigned int i = 0; i < a->nr_points; i++) {
		double t = (double)a->points[i].t_ns / 1e9;

		in++;
		if ((in < each && i + 1 < a->nr_points) || t <= iv->t[iv->n])
			continue;
		iv->t[++iv->n] = t;
		iv->first[iv->n] = i + 1;
		in = 0;
	}
	if (iv->n)
		iv->first[iv->n] = a->nr_points;
}

static const char *explain(const struct run_access *a)
{
	static const struct {
		const char *method, *text;
	} texts[] = {
		{"guest", "the guest's accessed bits, cleared by its kernel at each sample"},
		{"unmap", "the host drops its mappings of guest RAM and looks which are back"},
		{"dirty", "KVM's dirty log: only what was written"},
		{"refs", "smaps' Referenced after clear_refs"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!strcmp(a->method, texts[i].method))
			return texts[i].text;
	return "a method this mmvm does not know";
}

static void plot_windows(FILE *f, struct intervals *iv, const struct run_access *a)
{
	char title[96], caption[300], names[RUN_ACCESS_WINDOWS][64], t[32];
	uint64_t each = run_access_interval_ns(a);
	struct plot p = {
		.kind = PLOT_LINE, .title = title, .unit = "MiB", .caption = caption, .n = iv->n};

	p.t = iv->t;
	snprintf(title, sizeof(title), "Working set, by %s", a->method);
	snprintf(caption, sizeof(caption),
		 "Memory accessed at least once in the last samples: %s. One sample each %s.",
		 explain(a), format_ns(each, t, sizeof(t)));
	for (unsigned int w = 0; w < (a->has_pages ? RUN_ACCESS_WINDOWS : 1); w++) {
		unsigned int window = run_access_window[w];

		if (window)
			snprintf(names[w], sizeof(names[w]), "last %u sample%s, %s", window,
				 window == 1 ? "" : "s", format_ns(each * window, t, sizeof(t)));
		else
			snprintf(names[w], sizeof(names[w]), "ever");
		for (unsigned int i = 0; i < iv->n; i++)
			iv->y[w][i] = (double)a->points[iv->first[i + 1] - 1].window[w] / MIB_PAGES;
		p.series[p.nr_series++] = (struct plot_series){names[w], w == 3 ? 7 : w, iv->y[w]};
	}
	html_plot(f, &p);
}

static int plot_heat(FILE *f, const struct intervals *iv, const struct run_access *a,
		     const struct run_result *r)
{
	uint64_t pages = (r->ram_low + r->ram_high) / MMVM_PAGE_SIZE;
	char title[96], caption[300];
	struct heatmap h = {
		.title = title,
		.caption = caption,
		.unit = "pages accessed in a sample, of each part",
		.n = iv->n,
		.t = iv->t,
		.row_mib = (double)r->heat_pages / MIB_PAGES,
		.split_name = "above: RAM from 4 GiB on",
	};
	double *cell;

	if (!a->has_pages || !r->heat_pages || r->heat_pages > pages)
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

			for (unsigned int p = iv->first[i]; p < iv->first[i + 1]; p++)
				sum += a->points[p].heat[row];
			cell[row * h.n + i] = sum / (iv->first[i + 1] - iv->first[i]);
		}
	}
	h.cell = cell;
	if (r->ram_high)
		h.split_mib = (double)r->ram_low / (1 << 20);
	snprintf(title, sizeof(title), "Where memory is accessed, by %s: address × time",
		 a->method);
	snprintf(caption, sizeof(caption), "Each row is %llu KiB of guest-physical memory: %s.",
		 (unsigned long long)(r->heat_pages * (MMVM_PAGE_SIZE >> 10)), explain(a));
	html_heatmap(f, &h);
	free(cell);
	return 0;
}

static void percent_cell(FILE *f, uint64_t part, uint64_t whole)
{
	fprintf(f, "<td class=\"n\">%.2f %%</td>",
		whole ? 100.0 * (double)part / (double)whole : 0.0);
}

/** Write a cell with a time, or with a dash if there is none. */
static void ns_cell(FILE *f, bool there, uint64_t ns)
{
	char t[32];

	fprintf(f, "<td class=\"n\">%s</td>", there ? format_ns(ns, t, sizeof(t)) : "–");
}

static void score_row(FILE *f, const struct run_access *a)
{
	const struct run_access_score *s = &a->score;
	char n[32];

	fputs("<tr><th scope=\"row\">", f);
	html_text(f, a->method);
	fprintf(f, "</th><td class=\"n\">%s</td>", format_count(s->rounds, n, sizeof(n)));
	fprintf(f, "<td class=\"n\">%s</td>", format_count(s->truth, n, sizeof(n)));
	if (!s->rounds) {
		fputs("<td class=\"n\">–</td><td class=\"n\">–</td>", f);
	} else if (a->has_pages) {
		percent_cell(f, s->missed, s->truth);
		percent_cell(f, s->wrong, s->truth);
	} else {
		fprintf(f, "<td class=\"n\" colspan=\"2\">%s in all, without names</td>",
			format_count(s->counted, n, sizeof(n)));
	}
	ns_cell(f, s->rounds && s->ask_ns, s->rounds ? s->ask_ns / s->rounds : 0);
	ns_cell(f, s->found, s->found ? s->lag_ns / s->found : 0);
	ns_cell(f, s->found, s->lag_max_ns);
	fputs("</tr>\n", f);
}

static void put_scores(FILE *f, const struct run_result *r)
{
	bool any = false;

	for (unsigned int i = 0; i < r->nr_access; i++)
		any |= r->access[i].score.rounds || r->access[i].score.phases;
	if (!any)
		return;
	fputs("<p>Held against what the program itself says it accessed:</p>\n"
	      "<div class=\"scroll\"><table><thead><tr><th>method</th><th class=\"n\">rounds</th>"
	      "<th class=\"n\">pages accessed</th><th class=\"n\">missed</th>"
	      "<th class=\"n\">wrongly taken for accessed</th><th class=\"n\">host's answer "
	      "takes</th><th class=\"n\">sees a new working set after</th>"
	      "<th class=\"n\">at most</th></tr></thead><tbody>\n",
	      f);
	for (unsigned int i = 0; i < r->nr_access; i++)
		if (r->access[i].score.rounds || r->access[i].score.phases)
			score_row(f, &r->access[i]);
	fputs("</tbody></table></div>\n", f);
}

int html_access(FILE *f, const struct run_result *r)
{
	struct intervals *iv;
	int err = 0;

	if (!r->nr_access)
		return 0;
	iv = calloc(1, sizeof(*iv));
	if (!iv)
		return -ENOMEM;
	fputs("<h2>Accessed memory</h2>\n<div class=\"plots\">\n", f);
	for (unsigned int i = 0; i < r->nr_access && !err; i++) {
		cut(iv, &r->access[i]);
		if (!iv->n)
			continue;
		plot_windows(f, iv, &r->access[i]);
		err = plot_heat(f, iv, &r->access[i], r);
		if (!err)
			err = html_access_plots(f, &r->access[i], iv->n, iv->t, iv->first);
	}
	fputs("</div>\n", f);
	for (unsigned int i = 0; i < r->nr_access; i++)
		html_access_matrix(f, &r->access[i]);
	for (unsigned int i = 0; i < r->nr_access; i++) {
		if (!r->access[i].why[0])
			continue;
		fputs("<p class=\"note\">", f);
		html_text(f, r->access[i].method);
		fputs(": n/a, ", f);
		html_text(f, r->access[i].why);
		fputs("</p>\n", f);
	}
	put_scores(f, r);
	free(iv);
	return err;
}
