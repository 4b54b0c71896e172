/*
 * What one run in the lab is given (images/lab_init.c reads it).
 */
#ifndef VMM_LAB_JOB_H
#define VMM_LAB_JOB_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include "lab/archive.h"
#include "lab/qemu.h"

/** In the environment of whatever runs in the lab. */
#define LAB_INSIDE_ENV "MMVM_LAB_INSIDE"
#define LAB_HAND_BACK  64

struct job {
	char cwd[PATH_MAX];
	struct archive archive;
	bool sealed;
	FILE *text; /* the strings for init */
	char *hand_back[LAB_HAND_BACK];
	unsigned int nr_hand_back;
	struct lab_share share[LAB_SHARES];
	unsigned int nr_shares;
};

/** Write what the run is into an archive behind the lab's image. Returns 0, or -1 with `err`. To be
 * freed either way. */
int job_prepare(struct job *job, const struct lab_files *files, int argc, char **argv,
		const struct lab_options *opt, struct mmvm_error *err);
void job_free(struct job *job);

#endif
