/*
 * QEMU as the lab's machine: its command line, its process, and what comes out of it.
 */
#ifndef VMM_LAB_QEMU_H
#define VMM_LAB_QEMU_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include "lab/lab.h"

/** What leads out of the machine; each is the outer end of a socket pair. */
enum lab_channel {
	LAB_CONTROL,
	LAB_STDOUT,
	LAB_STDERR,
	LAB_CONSOLE,
	LAB_INPUT, /* to the machine, its third serial port; connected when opt->input is set */
	LAB_QEMU_STDERR,
	LAB_CLOCK,   /* leads in: own time of the machine (images/lab_init.c) */
	LAB_MONITOR, /* both ways: QEMU's machine protocol (lab/monitor.h) */
	LAB_CHANNELS
};

struct lab_qemu {
	pid_t pid;
	int fd[LAB_CHANNELS]; /* non-blocking; -1 = closed */
};

/** A folder of this machine that the lab's machine sees (9p, tag "shareN"). */
struct lab_share {
	char *path; /* real, absolute; allocated */
	bool writable;
};
#define LAB_SHARES 20

/** Where the lab's files are and which QEMU runs them. */
struct lab_files {
	char qemu[PATH_MAX + 16], kernel[PATH_MAX + 16], initrd[PATH_MAX + 16];
};

/** Look a program up in PATH. */
bool lab_find_program(const char *name, char *out, size_t size);

/** Find them. Returns 0, or -1 with a sentence in `why` that says what to do. */
int lab_find_files(struct lab_files *files, char *why, size_t size);

/**
 * Start the machine with the initramfs in `initrd_fd` and the shares. The process dies with this one, however this
 * one dies. Returns 0, or -1 with `err`.
 */
int lab_qemu_start(struct lab_qemu *q, const struct lab_files *files, int initrd_fd,
		   const struct lab_share *share, unsigned int nr_shares,
		   const struct lab_options *opt, struct mmvm_error *err);

/** End it now, and wait until it is gone. Returns its wait status. */
int lab_qemu_stop(struct lab_qemu *q);

#endif
