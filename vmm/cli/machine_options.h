/*
 * The options that describe a machine, and from them its configuration: for every command that
 * boots a machine of the user's making.
 */
#ifndef VMM_CLI_MACHINE_OPTIONS_H
#define VMM_CLI_MACHINE_OPTIONS_H

#include <limits.h>
#include "cli/option.h"
#include "machine/cpio.h"
#include "machine/machine.h"

struct machine_options {
	struct machine_config config; /* complete after machine_options_apply() */
	const char *memory, *swap, *initrd, *root, *pin, *backing, *balloon;
	struct option_list nodes;
	struct option_list disks, pmem;
	struct option_list exec;       /* program and its arguments */
	char *append_root;	       /* the command line with root= */
	char memory_sum[24];	       /* of all nodes */
	char kernel[PATH_MAX];	       /* when none is given */
	char program[PATH_MAX];	       /* host path, "" = none */
	char exec_guest[NAME_MAX + 8]; /* "/bin/NAME" */
	char pmem_path[MMVM_MAX_PMEM][PATH_MAX];
	bool linux_guest;
	struct cpio archive;
	void *initrd_file; /* the user's, in memory */
	size_t initrd_file_len;
};

/** Their table; the base is a struct machine_options. */
extern const struct cli_option machine_option_table[];

/** The configuration without any options, with a new seed. */
void machine_options_init(struct machine_options *o);
/** Options are parsed: check them, find the files, complete the configuration but for its initrd. 0
 * or an exit status after it has said what is wrong. */
int machine_options_apply(struct machine_options *o, const char *command);
/** --node, --backing, --pin into the configuration (cli/node_options.c). 0 or an exit status. */
int machine_options_nodes(struct machine_options *o, const char *command);
int machine_options_host(struct machine_options *o, const char *command);
/** Read and pack what the guest finds as its root. 0, or -1 with err. */
int machine_options_initrd(struct machine_options *o, struct mmvm_error *err);
/** The machine has its copy. Also frees what a failure left. */
void machine_options_free(struct machine_options *o);

#endif
