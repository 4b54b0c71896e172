/*
 * mmvm versus: one static program on Linux and on guestmm under each of its reclaim policies, in the same
 * machine, watched by the same observers.
 *
 *   run.c      one machine: its archive, its process, what it said
 *   report.c   table and JSON
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

/** A kernel, with a policy. */
struct versus_system {
	char name[32];	    /* "linux", or guestmm's policy */
	const char *policy; /* NULL: Linux */
	uint64_t memory;    /* bytes of RAM */
	struct versus_run run[VERSUS_MAX_RUNS];
	unsigned int nr_runs;
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
	char release[64]; /* of the Linux kernel, as its file says */
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

/** Rows of metrics, a column a system; all: every counter that either side has. */
void versus_table(FILE *f, const struct versus *v, bool all);
/** report_write_file_atomic()'s emit; `versus`: struct versus. */
int versus_emit_json(FILE *f, const void *versus);
#endif
