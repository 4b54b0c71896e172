/*
 * The terminal: the console as a file.
 *
 * What its other end is, the device tree says: somebody who types (a terminal, with line discipline,
 * job control and a window), a stream (bytes as they come, and an end), or nobody.
 */
#ifndef KERNEL_TTY_H
#define KERNEL_TTY_H
#include "fs/file.h"

void tty_init(void); /* device nodes: /dev/console, tty, ttyS0 */
/** The console without a name, for processes that start when there is no /dev. NULL: no memory. */
struct file *console_file(void);

/* For the driver, in its interrupt. */
/** Bytes there is room for. */
u32 tty_room(void);
void tty_receive(const u8 *bytes, u32 n);
/** A break: the stream ends, a terminal's foreground is interrupted. */
void tty_break(void);
void tty_resized(void);

/** A process that the kernel starts leads a session; the console is its terminal. T held. */
void tty_adopt_session(struct process *p);
/** T held: the leader of a session ends, and lets go of its terminal. */
void tty_session_ends(struct process *p);
/** For /proc/PID/stat: tty_nr and tpgid of a process; 0 and -1: it has no terminal. T held. */
void tty_of_process(const struct process *p, u32 *tty_nr, int *tpgid);
#endif
