/*
 * mmvm versus: one static program on Linux and on guestmm under each of its reclaim policies, in the same
 * machine, watched by the same observers.
 *
 *   run.c      one machine: its archive, its process, what it said
 *   report.c   table and JSON
 *   load.c     back from JSON
 *   page.c     the page that mmvm report makes of it
 *
 * On both sides user/observe runs the program and says what the kernel counted meanwhile; the host
 * counts the disk's requests. Machines run one after the other, in the lab, with --icount, so that
 * time is instructions.
 */
#ifndef VMM_VERSUS_VERSUS_H
#define VMM_VERSUS_VERSUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "machine/machine.h"

#define VERSUS_MAX_SYSTEMS 8u
#define VERSUS_MAX_RUNS	   8u
#define VERSUS_MAX_VALUES  512u

struct versus_value {
	char name[48];
	uint64_t value;
};

/** What one run has said: counts of the kernel and, as host_*, of the host. */
struct versus_run {
	struct versus_value value[VERSUS_MAX_VALUES];
	unsigned int nr;
};

/** Memory of the program's first process at one moment, KiB. `referenced`: since the moment before. */
struct versus_point {
	uint64_t ticks; /* since it started */
	uint64_t rss, referenced, swap;
};
#define VERSUS_MAX_POINTS 400u
struct versus_curve {
	struct versus_point point[VERSUS_MAX_POINTS];
	unsigned int nr;
};

/** A kernel, with a policy. */
struct versus_system {
	char name[32];	    /* "linux", or guestmm's policy */
	const char *policy; /* NULL: Linux */
	uint64_t memory;    /* bytes of RAM */
	struct versus_run run[VERSUS_MAX_RUNS];
	unsigned int nr_runs;
	struct versus_curve curve; /* of a run of its own: looking clears the accessed bits */
};

struct versus {
	const char *kernel;  /* Linux: a bzImage */
	const char *modules; /* folder of its drivers: .../kernel/drivers */
	const char *program; /* a static ELF of the host */
	const char *const *args;
	unsigned int nr_args;
	const char *const *knobs; /* "vm.page-cluster=0": set on both sides before the program */
	unsigned int nr_knobs;
	uint64_t memory; /* RAM of the Linux machine, bytes */
	uint64_t swap;	 /* bytes */
	unsigned int runs;
	unsigned int curve_ms; /* a point every so many milliseconds; 0: no curves */
	char release[64];      /* of the Linux kernel, as its file says */
	struct versus_system system[VERSUS_MAX_SYSTEMS];
	unsigned int nr;
};

/** Run everything. guestmm's machines get so much RAM that the same memory is available to the program
 * (MemAvailable before it starts) as on Linux. 0, or -1 with `err`. */
int versus_measure(struct versus *v, struct mmvm_error *err);

/** A value by its name. Names that begin with "allocstall" are one: Linux counts by zone. *found may
 * be NULL. */
uint64_t versus_value(const struct versus_run *run, const char *name, bool *found);
/** Take a line that user/observe has printed. False: it is none. */
bool versus_take_line(struct versus_run *run, const char *line);

/** The same for a point of the curve. */
bool versus_take_point(struct versus_curve *curve, const char *line);

/** Is this file what `mmvm versus --json` wrote? False too when it cannot be read. */
bool versus_is_result(const char *path);
/** Read such a file. 0, or -1 with `err`. versus_free() in either case. */
int versus_load(struct versus *v, const char *path, struct mmvm_error *err);
void versus_free(struct versus *v);

/** Rows of metrics, a column a system; all: every counter that either side has. */
void versus_table(FILE *f, const struct versus *v, bool all);
/** report_write_file_atomic()'s emit; `versus`: struct versus. */
int versus_emit_json(FILE *f, const void *versus);
/** The same as one HTML page that needs nothing else, with the curves. */
int versus_emit_page(FILE *f, const void *versus);

/** The table's rows: name of a value and what people call it. NULL after the last. */
const char *versus_row_name(unsigned int row);
const char *versus_row_label(unsigned int row);
/** Had every run of the system the same value, to the digit? */
bool versus_repeats(const struct versus_system *s, const char *name);
#endif
