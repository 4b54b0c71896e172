/*
 * Print results of system calls as lines of a transcript. Transcripts of Linux and of guestmm are compared line by line
 * (tests/vm/conform_programs.sh).
 */
#ifndef LIBC_TRANSCRIPT_H
#define LIBC_TRANSCRIPT_H
#include <errno.h>
#include <stdio.h>

/** The value, or "-ERRNO" when the call failed. Eight answers are kept at a time. */
static inline const char *result(long r)
{
	static char text[8][32];
	static unsigned int at;
	char *t = text[at++ % 8];

	if (r < 0)
		snprintf(t, 32, "-%d", errno);
	else
		snprintf(t, 32, "%ld", r);
	return t;
}

/** For descriptors, numbers of processes, addresses: only whether it worked. */
static inline const char *done(long r)
{
	return r == -1 ? result(r) : "yes";
}
#endif
