/* Waiting for several files at once: poll(2), select(2) and their like. */
#ifndef FS_POLL_H
#define FS_POLL_H
#include "fs/file.h"
#include "lib/syscall.h"

#define POLLIN	   0x001u
#define POLLPRI	   0x002u
#define POLLOUT	   0x004u
#define POLLERR	   0x008u
#define POLLHUP	   0x010u
#define POLLNVAL   0x020u
#define POLLRDNORM 0x040u
#define POLLWRNORM 0x100u

/** Set a signal mask for the time of a call, as ppoll(2) does. `user`: its address, or 0: none. 0 or -errno. */
long mask_begin(unsigned long user, u64 size);
/** Restore the old mask after the call. If `ret` is -EINTR, that is left to the frame of the signal's handler. */
void mask_end(unsigned long user, long ret);

struct psi_trigger;
/** poll() of an open pressure file. t: its trigger, or NULL. */
u32 poll_pressure(struct psi_trigger *t, struct wait_queue **wq);

#endif
