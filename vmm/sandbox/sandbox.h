/*
 * What mmvm gives up before the guest's first instruction, so that a guest that takes it over gains
 * little: privileges, descriptors, resources and system calls. doc/security.md has the whole picture.
 *
 *   process   --user, inherited descriptors, resource limits, no_new_privs      sandbox_enter_process()
 *   thread    capabilities, a seccomp filter for its kind                       both
 *
 * It cannot be left again. A system call that is not allowed ends the process with a sentence that names
 * the call and the kind of thread.
 */
#ifndef VMM_SANDBOX_SANDBOX_H
#define VMM_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

/** What a thread does, and so what it may call. */
enum sandbox_thread {
	SANDBOX_MAIN,	 /* waits, samples, writes the results: files, no programs, no network */
	SANDBOX_VCPU,	 /* runs the guest and its exits: no files are opened */
	SANDBOX_WORKER,	 /* a device's: reads and writes descriptors that it has */
	SANDBOX_CONSOLE, /* reads what is typed, writes what the monitor answers */
};

struct sandbox_config {
	bool change_user;
	uid_t uid;
	gid_t gid;
};

/** At the start of main(): notes which descriptors were inherited; makes malloc() open no files later. */
void sandbox_begin(void);
/** For the calling thread and the process. Everything that the run needs is open. 0, or -1 with a sentence
 * in `why`. The second machine of a process finds it entered. */
int sandbox_enter_process(const struct sandbox_config *config, char *why, size_t size);
/** For the calling thread, first of all. One that was started before sandbox_enter_process() also
 * becomes the user by itself: credentials belong to threads. 0 or -errno. */
int sandbox_enter_thread(enum sandbox_thread kind, const struct sandbox_config *config);

#endif
