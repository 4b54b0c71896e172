/*
 * Signal-driven input and output: fcntl(2) F_SETFL O_ASYNC, F_SETOWN, F_SETSIG; ioctl(2) FIOASYNC.
 *
 *   what a file reads from or writes to (a pipe, a socket) ── async_notify() ──> its open files with O_ASYNC
 *        ──> the owner of each: SIGIO, or what F_SETSIG has chosen, with the descriptor and the events that are ready
 *
 * Pipes, sockets, the terminal and inotify support it (file_ops.async_object). Any other file stores an owner, but
 * O_ASYNC has no effect. Both are as on Linux.
 */
#ifndef FS_ASYNC_H
#define FS_ASYNC_H
#include "fs/file.h"

/* si_code of the signal. */
#define POLL_IN	 1
#define POLL_OUT 2
#define POLL_HUP 6

/** Number of open files with O_ASYNC: changed under async_lock, read without it. A notifier changes the object's state,
 * then executes a full barrier (wake_up() is one), then reads this. A call that sets O_ASYNC raises this, executes a
 * full barrier, and returns; the program reads the object's state after it. So either a signal is sent, or the program
 * sees the new state. */
extern s32 nr_async_files;
void __async_notify(const void *object, int code);
/** Send the signals for an object that has become readable (POLL_IN) or writable (POLL_OUT), or whose other end was
 * closed (POLL_HUP). Takes task_list_lock. */
static inline void async_notify(const void *object, int code)
{
	if (unlikely(READ_ONCE(nr_async_files)))
		__async_notify(object, code);
}
/** Set or clear O_ASYNC for a descriptor. 0 (also if the file does not support it), or -ENOMEM. */
int async_set(struct file *f, unsigned int fd, bool on);
/** fcntl(2) with F_SETOWN, F_SETSIG and related commands. -ENOTTY: it is another command. */
long async_fcntl(struct file *f, int cmd, unsigned long arg);
/** ioctl(2) with FIOASYNC, or with FIOSETOWN or FIOGETOWN on sockets. -ENOTTY: it is another command, or the file does
 * not support it. */
long async_ioctl(struct file *f, unsigned int fd, unsigned int cmd, unsigned long arg);
/** The file is being closed: no more signals are sent for it. */
void async_release(struct file *f);
#endif
