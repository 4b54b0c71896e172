/*
 * Accesses by node on a terminal: the matrix (node of the CPU, node of the page), each of its pairs over
 * time, and the pages that moved to another node.
 *
 *    from CPUs of    pages of node 0  pages of node 1
 *    node 0                    1,234               12
 *    node 1                        0            5,678
 *    several                      40                0    CPUs of both, or unknown
 *
 *    node 0 to node 0 |@@@@%%#*+=-.   |   a column some samples; the darkest character is the most
 */
#include <string.h>

#include "report/report.h"

#define COLUMNS 60u

#define MOVE_(field, item) {#field, offsetof(struct run_access_moves, field)},
const struct report_access_move report_access_move[REPORT_ACCESS_MOVES] = {RUN_ACCESS_MOVES(MOVE_)};
#undef MOVE_

static const char pair_shade[] = " .:-=+*#%@";

/** Draw values as a line of characters, one for each; the darkest character is `max`. */
static void put_line(FILE *f, const double *v, unsigned int n, double max)
{
	const unsigned int steps = sizeof(pair_shade) - 2;

	putc('|', f);
	for (unsigned int c = 0; c < n; c++) {
		unsigned int s = max > 0 ? (unsigned int)(v[c] / max * steps + 0.5) : 0;

		putc(pair_shade[v[c] > 0 && !s ? 1 : s], f);
	}
	fputs("|\n", f);
}

/** Means over time of a pair, in `n` columns. Returns the largest. */
static double pair_columns(const struct run_access *a, unsigned int pair, double *v, unsigned int n)
{
	double max = 0;

	for (unsigned int c = 0; c < n; c++) {
		unsigned int from = (unsigned int)((uint64_t)a->nr_points * c / n);
		unsigned int to = (unsigned int)((uint64_t)a->nr_points * (c + 1) / n);

		v[c] = 0;
		for (unsigned int i = from; i < to; i++)
			v[c] += a->points[i].pair[pair];
		v[c] /= to - from;
		if (v[c] > max)
			max = v[c];
	}
	return max;
}

static uint64_t move_at(const struct run_access *a, unsigned int point, size_t move)
{
	uint64_t v;

	memcpy(&v, (const char *)&a->points[point].moves + move, sizeof(v));
	return v;
}

/** Growth of a counter over time, in `n` columns. Returns the largest. */
static double move_columns(const struct run_access *a, size_t move, double *v, unsigned int n)
{
	double max = 0;

	for (unsigned int c = 0; c < n; c++) {
		unsigned int from = (unsigned int)((uint64_t)a->nr_points * c / n);
		unsigned int to = (unsigned int)((uint64_t)a->nr_points * (c + 1) / n);
		uint64_t before = from ? move_at(a, from - 1, move) : 0;
		uint64_t now = move_at(a, to - 1, move);

		v[c] = now > before ? (double)(now - before) : 0;
		if (v[c] > max)
			max = v[c];
	}
	return max;
}

const char *report_access_cpus(const struct run_access *a, unsigned int cpu, char *buf, size_t size)
{
	if (cpu < a->nr_nodes)
		snprintf(buf, size, "node %u", cpu);
	else
		snprintf(buf, size, "several");
	return buf;
}

uint64_t report_access_pair(const struct run_access *a, unsigned int cpu, unsigned int node)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < a->nr_points; i++)
		sum += a->points[i].pair[run_access_pair(a->nr_nodes, cpu, node)];
	return sum;
}

void report_table_nodes(FILE *f, const struct run_access *a)
{
	unsigned int columns = a->nr_points < COLUMNS ? a->nr_points : COLUMNS;
	double v[COLUMNS], max = 0, m;
	char name[32], n[32];

	fprintf(f, "  by node, by %s: pages accessed, summed over %u samples\n    %-14s", a->method,
		a->nr_points, "from CPUs of");
	for (unsigned int node = 0; node < a->nr_nodes; node++)
		fprintf(f, "  pages of node %u", node);
	putc('\n', f);
	for (unsigned int cpu = 0; cpu <= a->nr_nodes; cpu++) {
		fprintf(f, "    %-14s", report_access_cpus(a, cpu, name, sizeof(name)));
		for (unsigned int node = 0; node < a->nr_nodes; node++)
			fprintf(f, " %16s",
				format_count(report_access_pair(a, cpu, node), n, sizeof(n)));
		putc('\n', f);
	}
	for (unsigned int p = 0; p < (a->nr_nodes + 1) * a->nr_nodes; p++) {
		m = pair_columns(a, p, v, columns);
		max = m > max ? m : max;
	}
	fprintf(f, "  over time; '@' is %.0f pages a sample; of what moved, the most in a column\n",
		max);
	for (unsigned int p = 0; p < (a->nr_nodes + 1) * a->nr_nodes; p++) {
		if (!(pair_columns(a, p, v, columns) > 0))
			continue;
		fprintf(f, "    %7s to node %u %12s ",
			report_access_cpus(a, p / a->nr_nodes, name, sizeof(name)), p % a->nr_nodes,
			"");
		put_line(f, v, columns, max);
	}
	for (unsigned int i = 0; i < REPORT_ACCESS_MOVES; i++) {
		size_t move = report_access_move[i].offset;

		m = move_columns(a, move, v, columns);
		if (!(m > 0))
			continue;
		fprintf(f, "    %-22s %6s ", report_access_move[i].name,
			format_count(move_at(a, a->nr_points - 1, move), n, sizeof(n)));
		put_line(f, v, columns, m);
	}
}
