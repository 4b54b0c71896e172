/* Waiting for several files at once: poll(2), select(2) and their like. */
#ifndef KERNEL_POLL_H
#define KERNEL_POLL_H
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

#endif
