/*
 * The terminal: the console as a file.
 *
 * The device tree says what its other end is: a user's terminal (with line discipline, job control and a window), a
 * stream (bytes as they arrive, and an end), or nothing.
 */
#ifndef FS_TTY_H
#define FS_TTY_H
#include "fs/file.h"

void tty_init(void); /* device nodes: /dev/console, tty, ttyS0 */
/** Open the console without a name, for processes that start when there is no /dev. NULL: no memory. */
struct file *console_file(void);

/** Get tty_nr and tpgid of a process for /proc/PID/stat. 0 and -1: it has no terminal. T held. */
void tty_of_process(const struct process *p, u32 *tty_nr, int *tpgid);
#endif
