/* Declarations that the terminal's files share: tty.c, tty_jobs.c. */
#ifndef FS_TTY_INTERNAL_H
#define FS_TTY_INTERNAL_H
#include "fs/tty.h"
#include "kernel/process.h"

/* tty.c */
/** Is the console a terminal, rather than a stream or nothing? */
bool tty_is_terminal(void);
/** The terminal's device number. */
u32 tty_number(void);

/* tty_jobs.c */
/** Send `sig` to the foreground group, if there is one. Takes task_list_lock. */
void tty_signal_foreground(int sig);
/** Does the caller's session have the terminal? */
bool tty_is_mine(void);
/** The session that has the terminal, and its foreground group; 0: none. */
int tty_session(void);
int tty_foreground(void);
/** May the caller use its terminal? 0, or for a process in the background: -EIO, or -ERESTARTSYS after `sig` was sent
 * to its group. A task that ignores or blocks SIGTTOU may use it. */
long tty_check_foreground(int sig);
/** ioctl(TIOCSPGRP): `arg` points to a group of the caller's session. */
long tty_set_foreground(unsigned long arg);
/** ioctl(TIOCSCTTY), and open(2): make it the terminal of the session that the caller leads. 0 or -EPERM. */
long tty_set_controlling(void);
/** ioctl(TIOCNOTTY). */
long tty_give_up(void);
#endif
