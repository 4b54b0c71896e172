/*
 * Accesses by node in the report: the matrix as a table, its pairs over time as a plot and, on the same
 * time axis, the pages that moved to another node and the hint faults.
 */
#include "report/html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The last series is the sum of all pairs that have none of their own. */
#define PAIRS_SHOWN (PLOT_SERIES - 1)

struct node_plots {
	const struct run_access *a;
	unsigned int n; /* intervals */
	const double *t;
	const unsigned int *first; /* points of interval i: first[i] ... first[i + 1] - 1 */
	double y[PLOT_SERIES][PLOT_POINTS];
	char name[PLOT_SERIES][48];
};

static unsigned int nr_pairs(const struct run_access *a)
{
	return (a->nr_nodes + 1) * a->nr_nodes;
}

/** Adds a pair's mean over the points of each interval to a series. */
static void add_pair(struct node_plots *np, unsigned int pair, double *y)
{
	for (unsigned int i = 0; i < np->n; i++) {
		double sum = 0;

		for (unsigned int p = np->first[i]; p < np->first[i + 1]; p++)
			sum += np->a->points[p].pair[pair];
		y[i] += sum / (np->first[i + 1] - np->first[i]);
	}
}

static void plot_pairs(FILE *f, struct node_plots *np)
{
	const struct run_access *a = np->a;
	struct plot p = {
		.kind = PLOT_STACK,
		.title = "Accesses by node of the CPU and node of the page",
		.unit = "pages",
		.caption =
			"Pages found accessed in a sample, mean of each interval. \"several\": "
			"CPUs "
			"of more than one node had the address space loaded, so the accessed bit "
			"does not tell which.",
		.n = np->n,
		.t = np->t,
	};
	char cpus[32];

	memset(np->y, 0, sizeof(np->y));
	for (unsigned int pair = 0; pair < nr_pairs(a); pair++) {
		unsigned int cpu = pair / a->nr_nodes, node = pair % a->nr_nodes, s = p.nr_series;

		if (!report_access_pair(a, cpu, node))
			continue;
		if (s > PAIRS_SHOWN)
			s = PAIRS_SHOWN; /* a further one of the other pairs */
		else
			p.series[p.nr_series++] =
				(struct plot_series){np->name[s], s % HTML_COLOURS, np->y[s]};
		if (s == PAIRS_SHOWN)
			snprintf(np->name[s], sizeof(np->name[s]), "other pairs");
		else
			snprintf(np->name[s], sizeof(np->name[s]), "%s to node %u",
				 report_access_cpus(a, cpu, cpus, sizeof(cpus)), node);
		add_pair(np, pair, np->y[s]);
	}
	if (p.nr_series)
		html_plot(f, &p);
}

static uint64_t move_at(const struct run_access *a, unsigned int point, size_t move)
{
	uint64_t v;

	memcpy(&v, (const char *)&a->points[point].moves + move, sizeof(v));
	return v;
}

static void plot_moves(FILE *f, struct node_plots *np)
{
	struct plot p = {
		.kind = PLOT_STEP,
		.title = "Pages that moved, and hint faults",
		.unit = "per second",
		.caption = "The guest's counters: migrations of any kind, those of NUMA balancing, "
			   "demotions to a slower node and promotions back.",
		.n = np->n,
		.t = np->t,
	};

	for (unsigned int m = 0; m < REPORT_ACCESS_MOVES && p.nr_series < PLOT_SERIES; m++) {
		unsigned int s = p.nr_series;
		uint64_t before = 0;
		bool any = false;

		for (unsigned int i = 0; i < np->n; i++) {
			uint64_t now =
				move_at(np->a, np->first[i + 1] - 1, report_access_move[m].offset);

			np->y[s][i] = now > before
					      ? (double)(now - before) / (np->t[i + 1] - np->t[i])
					      : 0;
			any |= now > before;
			before = now;
		}
		if (any)
			p.series[p.nr_series++] = (struct plot_series){report_access_move[m].name,
								       s % HTML_COLOURS, np->y[s]};
	}
	if (p.nr_series)
		html_plot(f, &p);
}

int html_access_plots(FILE *f, const struct run_access *a, unsigned int n, const double *t,
		      const unsigned int *first)
{
	struct node_plots *np;

	if (!a->nr_nodes || !n)
		return 0;
	np = malloc(sizeof(*np));
	if (!np)
		return -ENOMEM;
	np->a = a;
	np->n = n;
	np->t = t;
	np->first = first;
	plot_pairs(f, np);
	plot_moves(f, np);
	free(np);
	return 0;
}

void html_access_matrix(FILE *f, const struct run_access *a)
{
	char text[32];

	if (!a->nr_nodes || !a->nr_points)
		return;
	fprintf(f,
		"<p>Pages accessed, by node, summed over %u samples:</p>\n<div class=\"scroll\">"
		"<table><thead><tr><th>from CPUs of</th>",
		a->nr_points);
	for (unsigned int node = 0; node < a->nr_nodes; node++)
		fprintf(f, "<th class=\"n\">pages of node %u</th>", node);
	fputs("</tr></thead><tbody>\n", f);
	for (unsigned int cpu = 0; cpu <= a->nr_nodes; cpu++) {
		fprintf(f, "<tr><th scope=\"row\">%s</th>",
			report_access_cpus(a, cpu, text, sizeof(text)));
		for (unsigned int node = 0; node < a->nr_nodes; node++)
			fprintf(f, "<td class=\"n\">%s</td>",
				format_count(report_access_pair(a, cpu, node), text, sizeof(text)));
		fputs("</tr>\n", f);
	}
	fputs("</tbody></table></div>\n", f);
}
