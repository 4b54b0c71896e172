/*
 * Signal-driven input and output: fcntl(2) F_SETFL O_ASYNC, F_SETOWN, F_SETSIG; ioctl(2) FIOASYNC.
 *
 *   what a file reads from or writes to (a pipe, a socket) ── async_notify() ──> its open files with O_ASYNC
 *        ──> the owner of each: SIGIO, or what F_SETSIG has chosen, with the descriptor and the events that are ready
 *
 * Pipes, sockets, the terminal and inotify have it (file_ops.async_object). Any other file keeps an owner, and
 * O_ASYNC means nothing there: both as on Linux.
 */
#ifndef FS_ASYNC_H
#define FS_ASYNC_H
#include "fs/file.h"

/* si_code of the signal. */
#define POLL_IN	 1
#define POLL_OUT 2
#define POLL_HUP 6

/** Open files with O_ASYNC: changed under async_lock, read without it. Who notifies has changed the object's state, and
 * then made a full barrier (wake_up() is one), before he reads this; who sets O_ASYNC makes one before he looks at the
 * object. So either a signal is sent, or what it would have told is there already when the call that set O_ASYNC
 * returns. */
extern s32 nr_async_files;
void __async_notify(const void *object, int code);
/** `object` can be read now (POLL_IN), written (POLL_OUT), or its other end is closed (POLL_HUP). Takes
 * task_list_lock. */
static inline void async_notify(const void *object, int code)
{
	if (unlikely(READ_ONCE(nr_async_files)))
		__async_notify(object, code);
}
/** Set or clear O_ASYNC for a descriptor. 0 (also if the file does not support it), or -ENOMEM. */
int async_set(struct file *f, unsigned int fd, bool on);
/** fcntl(2)'s F_SETOWN and its relatives. -ENOTTY: another command. */
long async_fcntl(struct file *f, int cmd, unsigned long arg);
/** ioctl(2)'s FIOASYNC; FIOSETOWN and FIOGETOWN of sockets. -ENOTTY: another command, or the file does not support
 * it. */
long async_ioctl(struct file *f, unsigned int fd, unsigned int cmd, unsigned long arg);
/** The file is being closed: no more signals are sent for it. */
void async_release(struct file *f);
#endif
