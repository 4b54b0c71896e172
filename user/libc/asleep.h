/*
 * Wait until a process sleeps in the kernel. Waiting for some milliseconds would not do: on a busy host the process may
 * need longer.
 */
#ifndef LIBC_ASLEEP_H
#define LIBC_ASLEEP_H
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/** Until thread *tid of process pid sleeps, or is gone. *tid is 0 until the thread has told it. Who sleeps has begun
 * the call that waits; so nothing before that call may sleep. */
static inline void until_asleep(pid_t pid, const pid_t *tid)
{
	char name[64], text[512];

	for (;;) {
		pid_t t = __atomic_load_n(tid, __ATOMIC_SEQ_CST);
		const char *p;
		FILE *f;

		usleep(2000);
		if (!t)
			continue;
		snprintf(name, sizeof(name), "/proc/%d/task/%d/stat", pid, t);
		f = fopen(name, "r");
		if (!f)
			return;
		p = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
		fclose(f);
		if (p && p[2] == 'S')
			return;
	}
}
#endif
