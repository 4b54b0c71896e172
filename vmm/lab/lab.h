/*
 * The lab: the same command inside QEMU, which emulates an SVM machine with nested paging.
 *
 * For hosts whose KVM cannot run ring 0 at speed (KVM-PVM) or that have no KVM at all, and, with
 * icount, for exact costs: the TSC then counts retired instructions, the nested guest's too.
 */
#ifndef VMM_LAB_H
#define VMM_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include "machine/machine.h"

/** How a lab hung, or was lost. Neither can be the guest's doing: the lab's own Linux says every second that it lives. */
enum lab_hang {
	LAB_NO_HANG,
	LAB_EMULATOR_HUNG, /* QEMU is busy, and its processors execute nothing */
	LAB_SILENT,	   /* they execute, and the lab's Linux does nothing that can be seen */
	LAB_RESET, /* several processors, and QEMU ended: one of them had a triple fault (doc/lab.md) */
};

/** What the command gets as standard input: nothing, what ours gives as a pipe, or a terminal that
 * follows ours (in raw mode while the command runs). */
enum lab_input { LAB_INPUT_NONE, LAB_INPUT_PIPE, LAB_INPUT_TTY };

#define LAB_PATIENCE_S 30 /* the default of patience_s, without icount */

struct lab_options {
	bool icount;	   /* count instructions: the clock is their count, of all CPUs together */
	bool la57;	   /* its CPU has page tables of five levels: lab_wants_la57() */
	bool verbose;	   /* the lab kernel's console goes to stderr as it comes */
	unsigned int cpus; /* of the lab's machine; 0 = 1. With icount they take turns */
	unsigned int ram_mb; /* RAM of the lab; 0 = default */
	bool memory_cgroups; /* its Linux has the memory controller, which costs it a little everywhere */
	unsigned int nodes; /* even shares of that RAM to its Linux; 0 = one node */
	unsigned int
		timeout_s; /* the command ends itself after that; 0 = no limit. It is kept, too,
				 * when the reader of our output does not read */
	int patience_s; /* silence, in own time, after which a lab that has booted hangs; 0 = default */
	int boot_patience_s;  /* the same before it has booted */
	enum lab_input input; /* not with icount: when input comes is nobody's count */
	const char *const
		*files; /* with icount: files that the command only reads, beside those that
				   * its line names; ends with NULL. NULL: none */
	int stdout_fd;	/* where the command's standard output goes; 0 = to ours */
	/** Takes the command's standard output as it comes instead; NULL: it goes to stdout_fd. */
	void (*output)(const char *data, size_t len, void *arg);
	void *output_arg;
	enum lab_hang *hang; /* set when the lab hung: the run may be repeated. May be NULL */
};

/** Does a guest's command line (NULL: none) ask for five levels? The lab is without them otherwise: its
 * own kernel would use them, too, and be slower. */
bool lab_wants_la57(const char *append);

/** QEMU is installed and the lab's image built. When not, `why` says what to do. */
bool lab_available(char *why, size_t size);

/** True inside the lab (so that reports name the backend, and nobody nests a lab). */
bool lab_inside(void);

/**
 * Run an mmvm command line inside the lab: argv[0] is the program, argv[1] the sub-command; options
 * "--accel X" and "--icount" are taken out and "--accel kvm" is put in. Output, files and
 * environment are as if local. Returns the command's exit status (128 + signal when it died of one,
 * or when mmvm itself was interrupted); -1 with `err` filled, status MMVM_EXIT_HOST, when the lab
 * itself failed.
 */
int lab_exec(int argc, char **argv, const struct lab_options *opt, struct mmvm_error *err);

/** The same for any command; argv[0] is looked up in PATH inside the lab. */
int lab_exec_command(int argc, char **argv, const struct lab_options *opt, struct mmvm_error *err);

#endif
