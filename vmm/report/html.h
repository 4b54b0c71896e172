/*
 * Pieces of the HTML report: text made safe, and plots drawn as SVG.
 *
 *   html.c        the page: what is said, in which order
 *   html_parts.c  headings, numbers, tables
 *   html_host.c   what the host saw
 *   html_time.c   everything over time
 *   html_access.c accessed memory: working sets, heat, how good the methods are
 *   html_nodes.c  accesses by node of the CPU and of the page
 *   html_fragmentation.c  free blocks, huge pages, migrate types
 *   html_latency.c distributions of times
 *   html_bench.c  what operations cost
 *   html_plot.c   axes, lines, areas, heat, bars
 *   html_style.c  colours and layout
 *
 * Plots are 480 units wide, and a unit is about one pixel at any width of the page, so that text in them
 * is always large enough: a wide page shows two plots side by side.
 */
#ifndef VMM_REPORT_HTML_H
#define VMM_REPORT_HTML_H

#include <stdio.h>
#include "report/report.h"

/** Colours are named by the style sheet: var(--c0) ... var(--c9), var(--h1) ... var(--h8). */
#define HTML_COLOURS 10u
#define HTML_HEATS   8u
#define PLOT_SERIES  12u
#define PLOT_POINTS  240u /* intervals at most */

enum plot_kind {
	PLOT_STEP,  /* y[i] holds from t[i] to t[i + 1]: rates */
	PLOT_LINE,  /* y[i] is the level at t[i + 1] */
	PLOT_STACK, /* the same, series stacked on each other */
	PLOT_STEPS, /* PLOT_STEP, series stacked on each other */
};

struct plot_series {
	const char *name;
	unsigned int colour;
	const double *y; /* plot.n values */
};

struct plot {
	enum plot_kind kind;
	const char *title, *unit, *caption;
	unsigned int n;	 /* intervals, 1 ... PLOT_POINTS */
	const double *t; /* seconds: n + 1 values that rise */
	unsigned int nr_series;
	struct plot_series series[PLOT_SERIES];
	double limit; /* draw a horizontal line here; 0: none */
	const char *limit_name;
};

/** A heatmap: rows from bottom to top, time from left to right. */
struct heatmap {
	const char *title, *caption, *unit;
	unsigned int n;	 /* columns */
	const double *t; /* seconds: n + 1 values that rise */
	unsigned int rows;
	const double *cell; /* rows x n, row by row */
	double row_mib;	    /* height of a row */
	double split_mib;   /* RAM above this lies elsewhere; none when 0 */
	const char *split_name;
};

/** A row of a bar chart: its name, a text, and the length of the bar. */
struct bar {
	const char *name, *text;
	double value;
	unsigned int colour;
};

/** Write text that may stand between tags or in a quoted attribute. Invalid bytes become U+FFFD. */
void html_text(FILE *f, const char *s);
void html_plot(FILE *f, const struct plot *p);
void html_heatmap(FILE *f, const struct heatmap *h);
/** Bars as a table, so that names wrap and can be copied. */
void html_bars(FILE *f, const struct bar *bars, unsigned int n);

/* html_parts.c */
void html_heading(FILE *f, const char *text);
/** Format a text, and write it with html_text(). */
void html_put(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void html_count(FILE *f, uint64_t n);
void html_level(FILE *f, int64_t n);
void html_cell_count(FILE *f, uint64_t n);
void html_cell_text(FILE *f, const char *class, const char *text);
/** A table that can be scrolled sideways. The names of columns end with NULL; those of numbers begin with '#'. */
void html_table_begin(FILE *f, const char *const *columns);
void html_table_end(FILE *f);
void html_row_begin(FILE *f, const char *name);
/** A list of names and values in as many columns as fit. Zero values are left out; html_flow_end() says how many. */
void html_flow_begin(FILE *f, const char *summary);
void html_flow_end(FILE *f, unsigned int zeroes);

/* html_host.c */
/** Exits, page sizes, disks, and what watching has cost. */
void html_host(FILE *f, const struct run_result *r);
/** KVM's statistics. */
void html_kvm(FILE *f, const struct run_result *r);

void html_style(FILE *f);
/** The table of `mmvm bench`. */
void html_costs(FILE *f, const struct report_costs *c);
/** Distributions of times: of the run's exits, and of faults if `costs` has them. */
void html_latency(FILE *f, const struct run_result *r, const struct report_costs *costs);
struct json_value;
/** Adds what `mmvm bench fault --json` wrote. 0, or -1 with `err`. */
int report_latencies_read(struct report_costs *c, const struct json_value *root, const char *path,
			  struct mmvm_error *err);
/** Working sets, heat and scores of access sampling; nothing when there was none. 0 or -ENOMEM. */
int html_access(FILE *f, const struct run_result *r);
/** Accesses by node over time, and pages that moved (html_nodes.c), in the intervals of html_access(). Writes nothing
 * for a machine without nodes. 0 or -ENOMEM. */
int html_access_plots(FILE *f, const struct run_access *a, unsigned int n, const double *t,
		      const unsigned int *first);
/** The same as a table, summed over the run. */
void html_access_matrix(FILE *f, const struct run_access *a);
/** Fragmentation of free memory, over time and by address (html_fragmentation.c), in the intervals of html_timeline():
 * interval i has samples first[i] ... first[i + 1] - 1. Writes nothing if it was not sampled. 0 or -ENOMEM. */
int html_fragmentation(FILE *f, const struct run_result *r, unsigned int n, const double *t,
		       const unsigned int *first);
/** Every plot over time that the samples allow. Returns 0 or -ENOMEM. */
int html_timeline(FILE *f, const struct run_result *r);

#endif
