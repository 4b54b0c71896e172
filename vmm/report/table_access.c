/*
 * Accessed memory on a terminal: the working set by method and window, how good the methods were,
 * and a heatmap of characters.
 *
 *      MiB
 *     24.0 |        .::                |   a row is a part of guest RAM, high RAM on top,
 *          |  :+##*-                   |   a column some samples; the darkest character is
 *      0.0 |@@@@@@@@@@@@@@@@@@@@@@@@@@@|   the most pages accessed in one sample
 *           0 s                  12.3 s
 */
#include <inttypes.h>
#include <string.h>

#include "report/report.h"

#define MAP_ROWS    16u
#define MAP_COLUMNS 72u
#define MIB_PAGES   ((1 << 20) / MMVM_PAGE_SIZE)

/** The mean over the points whose window was complete. */
static uint64_t mean_window(const struct run_access *a, unsigned int w)
{
	unsigned int from = run_access_window[w] ? run_access_window[w] - 1 : 0, n = 0;
	uint64_t sum = 0;

	for (unsigned int i = from; i < a->nr_points; i++, n++)
		sum += a->points[i].window[w];
	return n ? (sum + n / 2) / n : 0;
}

/** "1,234", or "-" if there were not enough samples for the window. */
static const char *window_text(const struct run_access *a, unsigned int w, char *buf, size_t size)
{
	if (!a->nr_points || a->nr_points < run_access_window[w] || (w && !a->has_pages))
		return "-";
	if (!run_access_window[w])
		return format_count(a->points[a->nr_points - 1].window[w], buf, size);
	return format_count(mean_window(a, w), buf, size);
}

uint64_t run_access_interval_ns(const struct run_access *a)
{
	if (a->nr_points < 2)
		return 0;
	return (a->points[a->nr_points - 1].t_ns - a->points[0].t_ns) / (a->nr_points - 1);
}

static void put_percent(FILE *f, uint64_t part, uint64_t whole)
{
	fprintf(f, "%.2f %%", whole ? 100.0 * (double)part / (double)whole : 0.0);
}

static void put_score(FILE *f, const struct run_access *a)
{
	const struct run_access_score *s = &a->score;
	char t[32], n[32];

	if (s->rounds) {
		fprintf(f, "    %-6s of %s pages accessed in %" PRIu64 " rounds ", a->method,
			format_count(s->truth, n, sizeof(n)), s->rounds);
		if (a->has_pages) {
			fputs("missed ", f);
			put_percent(f, s->missed, s->truth);
			fprintf(f, ", took %s others for accessed (",
				format_count(s->wrong, n, sizeof(n)));
			put_percent(f, s->wrong, s->truth);
			putc(')', f);
		} else {
			fprintf(f, "counted %s", format_count(s->counted, n, sizeof(n)));
		}
		if (s->ask_ns)
			fprintf(f, ", %s to answer",
				format_ns(s->ask_ns / s->rounds, t, sizeof(t)));
		putc('\n', f);
	}
	if (s->phases)
		fprintf(f,
			"    %-6s saw %" PRIu64 " of %" PRIu64 " changes of the working set, %s "
			"later on average, %s at most\n",
			a->method, s->found, s->phases,
			format_ns(s->found ? s->lag_ns / s->found : 0, t, sizeof(t)),
			format_ns(s->lag_max_ns, n, sizeof(n)));
}

/** Pages per sample in a cell: the mean over the cell's time, of the sum over its memory. */
static double cell(const struct run_access *a, unsigned int columns, unsigned int row,
		   unsigned int column)
{
	unsigned int per = RUN_HEAT_BUCKETS / MAP_ROWS;
	unsigned int from = (unsigned int)((uint64_t)a->nr_points * column / columns);
	unsigned int to = (unsigned int)((uint64_t)a->nr_points * (column + 1) / columns);
	double sum = 0;

	for (unsigned int i = from; i < to; i++)
		for (unsigned int b = row * per; b < (row + 1) * per; b++)
			sum += a->points[i].heat[b];
	return to > from ? sum / (to - from) : 0;
}

static void put_map(FILE *f, const struct run_access *a, const struct run_result *r)
{
	static const char shade[] = " .:-=+*#%@";
	const unsigned int steps = sizeof(shade) - 2;
	unsigned int columns = a->nr_points < MAP_COLUMNS ? a->nr_points : MAP_COLUMNS, rows;
	uint64_t pages = (r->ram_low + r->ram_high) / MMVM_PAGE_SIZE;
	uint64_t per = r->heat_pages * (RUN_HEAT_BUCKETS / MAP_ROWS);
	double max = 0, seconds;
	char end[32], t[32];

	if (columns < 2 || !per || pages / per > MAP_ROWS)
		return;
	rows = (unsigned int)((pages + per - 1) / per);
	seconds = (double)a->points[a->nr_points - 1].t_ns / 1e9;
	for (unsigned int row = 0; row < rows; row++)
		for (unsigned int c = 0; c < columns; c++)
			if (cell(a, columns, row, c) > max)
				max = cell(a, columns, row, c);
	if (!(max > 0))
		return;
	fprintf(f,
		"  where, by %s: a row is %s of guest RAM%s; '%c' is none, '%c' %.0f pages a "
		"sample\n",
		a->method, format_bytes(per * MMVM_PAGE_SIZE, t, sizeof(t)),
		r->ram_high ? ", what lies above 4 GiB on top" : "", shade[0], shade[steps], max);
	for (unsigned int row = rows; row--;) {
		if (row == rows - 1 || row % 4 == 0)
			fprintf(f, "    %8.1f MiB |",
				(double)(row * per * MMVM_PAGE_SIZE) / (1 << 20));
		else
			fprintf(f, "    %12s |", "");
		for (unsigned int c = 0; c < columns; c++) {
			double v = cell(a, columns, row, c);
			unsigned int s = (unsigned int)(v / max * steps + 0.5);

			/* A value above 0 is never drawn as a blank. */
			putc(shade[v > 0 && !s ? 1 : s], f);
		}
		fputs("|\n", f);
	}
	snprintf(end, sizeof(end), "%.1f s", seconds);
	fprintf(f, "    %12s  %-*s%s\n", "",
		(int)(columns > strlen(end) ? columns - strlen(end) : 1), "0 s", end);
}

void report_table_access(FILE *f, const struct run_result *r)
{
	const struct run_access *map = NULL;
	char n[4][32], t[32];

	fprintf(f, "  %-8s %8s %10s %36s %10s\n", "", "", "", "pages accessed in the last 1, 4, 16",
		"samples,");
	fprintf(f, "  %-8s %8s %10s %12s %11s %11s %10s\n", "method", "samples", "each", "", "", "",
		"ever");
	for (unsigned int i = 0; i < r->nr_access; i++) {
		const struct run_access *a = &r->access[i];

		if (a->why[0]) {
			fprintf(f, "  %-8s n/a: ", a->method);
			put_safe(f, a->why, sizeof(a->why));
			putc('\n', f);
		}
		if (!a->nr_points)
			continue;
		fprintf(f, "  %-8s %8" PRIu64 " %10s", a->method, a->times,
			format_ns(run_access_interval_ns(a), t, sizeof(t)));
		for (unsigned int w = 0; w < RUN_ACCESS_WINDOWS; w++)
			fprintf(f, " %*s",
				w == 0	 ? 12
				: w == 3 ? 10
					 : 11,
				window_text(a, w, n[w], sizeof(n[w])));
		putc('\n', f);
		if (a->dropped)
			fprintf(f, "  %-8s %" PRIu64 " samples more than are kept\n", "",
				a->dropped);
		if (!map && a->has_pages)
			map = a;
	}
	for (unsigned int i = 0; i < r->nr_access; i++)
		if (r->access[i].score.rounds || r->access[i].score.phases) {
			fputs("  held against what the program says it accessed:\n", f);
			break;
		}
	for (unsigned int i = 0; i < r->nr_access; i++)
		put_score(f, &r->access[i]);
	if (map)
		put_map(f, map, r);
	for (unsigned int i = 0; i < r->nr_access; i++)
		if (r->access[i].nr_nodes && r->access[i].nr_points)
			report_table_nodes(f, &r->access[i]);
}
