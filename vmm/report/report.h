/*
 * A result for people: tables, pages, comparisons, and the report of a crash. The model is
 * result/result.h. Nothing here depends on the observers that filled it.
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
/** Add a file of `mmvm bench --json` or of `mmvm bench fault --json` to `c`, which the caller has zeroed before the
 * first one. Returns 0, or -1 with `err`, as run_result_load() does. */
int report_costs_load(struct report_costs *c, const char *path, struct mmvm_error *err);

/** A counter of struct run_access_moves: its name and offset. */
struct report_access_move {
	const char *name;
	size_t offset;
};
#define REPORT_ACCESS_MOVES (sizeof(struct run_access_moves) / sizeof(uint64_t))
extern const struct report_access_move report_access_move[REPORT_ACCESS_MOVES];
/** Pages on `node` accessed by CPUs of node `cpu` (nr_nodes: by CPUs of several nodes), summed over all points. */
uint64_t report_access_pair(const struct run_access *a, unsigned int cpu, unsigned int node);
/** "node 1" or "several". Returns buf. */
const char *report_access_cpus(const struct run_access *a, unsigned int cpu, char *buf,
			       size_t size);
/** The matrix of accesses by node; nr_nodes and points are not 0. */
void report_table_nodes(FILE *f, const struct run_access *a);

/** Write an HTML page with plots that needs no further file. `costs` may be NULL. 0, -EIO or -ENOMEM. */
int report_html(FILE *f, const struct run_result *r, const struct report_costs *costs);

/** Write each plot of that page as an SVG file, named after its title, to `folder`, which is created. Returns 0, or
 * -errno and the path of the file that failed in `failed`. */
int report_svg(const char *folder, const struct run_result *r, const struct report_costs *costs,
	       char *failed, size_t size);

/** One side of a comparison: one or more runs. */
struct run_side {
	const char *label;
	struct run_result *runs;
	unsigned int nr;
};
/** Print what changed from side[0] to side[1], largest changes first. With several runs on a side, changes beyond noise
 * are separate. Returns 0, -ENOMEM or -EIO. */
int report_compare(FILE *f, const struct run_side side[2], const struct report_options *opt);

/** Print registers, the stack with symbols and the last lines of the console of a machine that crashed, or that stopped
 * while its registers could be read. `symbols` may be NULL. Reads guest memory of `m`. */
void report_crash(FILE *f, struct machine *m, const struct machine_outcome *out,
		  const struct symtab *symbols);
/** Print the last `lines` lines of a console, each after `indent`, made safe for a terminal. */
void report_console_tail(FILE *f, const char *indent, const char *console, unsigned int lines);

/** Print text in which all bytes that could control a terminal are replaced: put_safe() one line, cut at `max` bytes;
 * the other several lines, each after `indent`. */
void put_safe(FILE *f, const char *s, size_t max);
void put_lines(FILE *f, const char *indent, const char *s);

#endif
