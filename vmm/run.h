/*
 * mmvm run, in parts: cmd_run.c is the way of a run, run_options.c reads the command line, run_lab.c hands the run to the
 * lab.
 */
#ifndef MMVM_RUN_H
#define MMVM_RUN_H
#include <limits.h>
#include "cli/machine_options.h"
#include "cli/option.h"
#include "console/console.h"
#include "monitor.h"
#include "observe/observers.h"
#include "sandbox/sandbox.h"

/** Set for the inner mmvm of the lab: the command line of the outer one; and when somebody types at that one. */
#define COMMAND_ENV	"MMVM_COMMAND"
#define INTERACTIVE_ENV "MMVM_INTERACTIVE"

struct run_options {
	const char *json;
	const char *perf_symbols; /* folder */
	enum accel accel;
	enum console_device { CONSOLE_SERIAL, CONSOLE_VIRTIO } console;
	bool icount, verbose, interactive;
	unsigned int sandbox_off;
	struct sandbox_config sandbox;
};

struct run {
	struct run_options opt;
	struct machine_options machine;
	struct observers observers;
	struct run_result result;
	struct symtab *symbols;
	struct console *console; /* NULL: the guest gets no input */
	struct monitor monitor;
	char root_image[PATH_MAX]; /* made of a folder, removed at the end; "": none */
};

extern const struct cli_option run_option_table[];
/** The other tables: of the machine, and of each observer. For help, manual page and completion. */
unsigned int run_more_options(struct option_set *out, unsigned int max);
/** The command line into *run; what contradicts itself, or could not be written, is a usage error. 0, or the status to
 * end with; -1: help was shown. */
int run_parse(struct run *run, int argc, char **argv);
/** What the guest's console gets. */
enum console_input run_console_input(const struct run *run);
/** Run in the lab: the same command line, in a Linux under QEMU. The exit status. */
int run_in_lab(const struct run *run, int argc, char **argv);
/** A folder as root: an image is made of it, and takes its place here and on the inner command line. 0, or the exit
 * status. */
int run_make_root(struct run *run, int argc, char **argv);
#endif
