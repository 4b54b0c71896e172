/*
 * What the sub-commands share: parsing sizes and numbers, finding the files that were built beside
 * the program, saying what is wrong with a command line, and stopping on SIGINT and SIGTERM.
 */
#ifndef VMM_CLI_CLI_H
#define VMM_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "machine/machine.h"

/** Words of enum accel, in its order. */
#define CLI_ACCELS "auto kvm lab"

/** "48M", "1G", "4096", "16K" (powers of 1024; a plain number is bytes). Returns 0 or -EINVAL,
 * -ERANGE. */
int cli_parse_size(const char *text, uint64_t *bytes);
/** A decimal or 0x number within [min, max]. Returns 0, -EINVAL or -ERANGE. */
int cli_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value);
/** "48M" or "48M,high=8M": RAM in all, of which `high` lies above 4 GiB. Page-aligned, low part at
 * least MMVM_RAM_MIN. Returns 0, or -1 with `err`. */
int cli_parse_memory(const char *text, uint64_t *ram_low, uint64_t *ram_high,
		     struct mmvm_error *err);
/** "auto", "kvm" or "lab". Returns 0, or -1 with `err`. */
int cli_parse_accel(const char *text, enum accel *accel, struct mmvm_error *err);

/** Path of a file of the build ("images/guestmm.elf", "user/swapstress"), relative to the folder
 * the mmvm binary is in. Returns buf. */
const char *cli_built_path(const char *name, char *buf, size_t size);

/** The last file beside mmvm that a shell pattern names, in `buf`; NULL: there is none. */
const char *cli_find_built(const char *pattern, char *buf, size_t size);

/** Print "mmvm: <text>" to stderr and return the status. */
int cli_fail(const struct mmvm_error *err);
/** The same with a text; for usage errors, adds where to read more. */
int cli_usage_error(const char *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** A file that a command line names. */
struct cli_file {
	const char *option; /* "" for an argument without one */
	const char *path;   /* NULL: not given; "-" is standard input or output */
	bool output;
	const char *may_replace; /* an option whose file this output may overwrite; NULL: none */
};
/**
 * No output may be a file that is read, or another output, whatever names lead to it (links, other
 * paths): files that exist are compared by device and inode, others by folder and name. Before anything
 * is opened. 0, or the status of a usage error.
 */
int cli_check_outputs(const char *command, const struct cli_file *file, unsigned int nr);

/** What the command wants of its accelerator: anything, or that it counts instructions (--icount). */
enum accel_need { NEED_NOTHING, NEED_ICOUNT };
/** Pick the accelerator: KVM directly, or the lab. `why` says the reason in a few words. Returns
 * ACCEL_KVM or ACCEL_LAB, or -1 with `err` when that is not possible. */
int cli_choose_accel(enum accel wish, enum accel_need need, char *why, size_t size,
		     struct mmvm_error *err);

/** Let SIGINT, SIGTERM, SIGHUP (not under nohup), SIGQUIT and SIGPIPE stop `m` cleanly (NULL: back to remembering
 * only). A signal that arrived before is delivered at once. */
void cli_stop_on_signals(struct machine *m);
/** From here on a signal ends the process at once, as it did before the first call of
 * cli_stop_on_signals(); but a write that nobody reads is an error, not SIGPIPE. */
void cli_default_signals(void);
/** The signal that arrived, or 0. */
int cli_signal(void);

#endif
