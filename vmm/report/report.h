/*
 * A result for people: tables, pages, comparisons, and what is printed of a machine that crashed.
 * The model is result/result.h; nothing here knows who observed it.
 */
#ifndef VMM_REPORT_REPORT_H
#define VMM_REPORT_REPORT_H

#include "result/result.h"

/* Writers. They return 0, or -EIO when the stream failed (a full disk). */
struct report_options {
	bool colour;  /* see report_want_colour() */
	bool verbose; /* all guest counters, all KVM statistics, the reports' text */
};
/** True when `f` is a terminal and NO_COLOR is not set. */
bool report_want_colour(FILE *f);
int report_table(FILE *f, const struct run_result *r, const struct report_options *opt);
/** The part of the table about accessed memory. */
void report_table_access(FILE *f, const struct run_result *r);
/** What operations cost, from a file of `mmvm bench --json`. */
#define REPORT_MAX_COSTS 64u
struct report_cost {
	char title[64];
	uint64_t linux_x1000, guest_x1000; /* thousandths of an instruction; 0: not measured */
};
/** Times of one kind of event: count[0] of those of 0 ns, count[i] of those from 2^(i-1) ns on. */
#define REPORT_MAX_LATENCIES   24u
#define REPORT_LATENCY_BUCKETS 40u
struct report_latency {
	char name[32];
	uint64_t count[REPORT_LATENCY_BUCKETS];
};
struct report_costs {
	char linux_release[64];
	unsigned int nr;
	struct report_cost rows[REPORT_MAX_COSTS];
	/* of `mmvm bench fault` */
	char latency_backend[32];
	bool latency_lab;
	unsigned int nr_latencies;
	struct report_latency latency[REPORT_MAX_LATENCIES];
};
/** Adds a file of `mmvm bench --json` or of `mmvm bench fault --json`. Returns 0, or -1 with `err`,
 * as run_result_load() does. `c` begins as zeroes. */
int report_costs_load(struct report_costs *c, const char *path, struct mmvm_error *err);

/** The counters of struct run_access_moves: name, and where. */
struct report_access_move {
	const char *name;
	size_t offset;
};
#define REPORT_ACCESS_MOVES (sizeof(struct run_access_moves) / sizeof(uint64_t))
extern const struct report_access_move report_access_move[REPORT_ACCESS_MOVES];
/** Pages accessed by CPUs of `cpu` (nr_nodes: of several nodes) on `node`, summed over points. */
uint64_t report_access_pair(const struct run_access *a, unsigned int cpu, unsigned int node);
/** "node 1" or "several". Returns buf. */
const char *report_access_cpus(const struct run_access *a, unsigned int cpu, char *buf,
			       size_t size);
/** The matrix of accesses by node; nr_nodes and points are not 0. */
void report_table_nodes(FILE *f, const struct run_access *a);

/** One HTML page that needs nothing else, with plots; `costs` may be NULL. Also -ENOMEM. */
int report_html(FILE *f, const struct run_result *r, const struct report_costs *costs);

/** Each plot of that page as an SVG file in `folder`, which is made; the name is the plot's title.
 * Returns 0 or -errno, and then `failed` is the path that it is about. */
int report_svg(const char *folder, const struct run_result *r, const struct report_costs *costs,
	       char *failed, size_t size);

/** Runs that belong together, at least one. */
struct run_side {
	const char *label;
	struct run_result *runs;
	unsigned int nr;
};
/** What changed from side[0] to side[1], biggest first; with several runs a side, what of it is
 * beyond noise. Returns 0, -ENOMEM or -EIO. */
int report_compare(FILE *f, const struct run_side side[2], const struct report_options *opt);

/** Registers, the symbolised stack and the last lines of the console of a machine that crashed (or
 * stopped while its registers could be read). `symbols` may be NULL; reads guest memory of `m`. */
void report_crash(FILE *f, struct machine *m, const struct machine_outcome *out,
		  const struct symtab *symbols);
/** The last `lines` lines of a console, each behind `indent`, safe for a terminal. */
void report_console_tail(FILE *f, const char *indent, const char *console, unsigned int lines);

/** Text of one line (cut at `max` bytes), and of many (each line behind `indent`), with what could
 * drive a terminal replaced. */
void put_safe(FILE *f, const char *s, size_t max);
void put_lines(FILE *f, const char *indent, const char *s);

#endif
