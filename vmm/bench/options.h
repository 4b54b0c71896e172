/*
 * Options of the `mmvm bench` commands that measure times, in a table; and where they run.
 */
#ifndef VMM_BENCH_OPTIONS_H
#define VMM_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "machine/machine.h"

enum bench_option_kind {
	BENCH_OPT_NUMBER, /* uint64_t, min to max */
	BENCH_OPT_MIB,	  /* uint64_t: whole MiB, min to max of them */
	BENCH_OPT_TEXT,	  /* const char * */
	BENCH_OPT_ACCEL,  /* enum accel */
	BENCH_OPT_FLAG,	  /* bool, takes no value */
};
struct bench_option {
	const char *name;
	enum bench_option_kind kind;
	void *to;
	uint64_t min, max;
};

/** Parse argv[2..], in which `command` stands somewhere and is passed over. The table ends with a
 * name of NULL. 0; a status after an error was told; -1: `--help` is asked for. */
int bench_parse_options(const char *command, int argc, char **argv,
			const struct bench_option *table);

/** Where there is no KVM, or the lab is asked for, and this is not the lab yet: run the same command
 * there. True: done, and *status is the command's. */
bool bench_goes_to_lab(enum accel accel, int argc, char **argv, int *status);

#endif
