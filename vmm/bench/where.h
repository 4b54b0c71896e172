/*
 * Options of the `mmvm bench` commands that measure times; and where they run.
 */
#ifndef VMM_BENCH_WHERE_H
#define VMM_BENCH_WHERE_H

#include <stdbool.h>
#include <stdint.h>
#include "cli/option.h"
#include "machine/machine.h"

/** Parse argv[2..] by cmd->options, with `base`; the command's own second word stands somewhere among
 * them. As option_parse(). */
int bench_parse(const struct command *cmd, void *base, int argc, char **argv);

extern const struct command command_bench_boot, command_bench_dirty, command_bench_tlb,
	command_bench_fault;

/** Where there is no KVM, or the lab is asked for, and this is not the lab yet: run the same command
 * there. True: done, and *status is the command's. */
bool bench_goes_to_lab(enum accel accel, int argc, char **argv, int *status);

#endif
