/*
 * The console's input: a thread that reads standard input and types it into the machine.
 *
 * On a terminal Ctrl-A is not the guest's: Ctrl-A x leaves, Ctrl-A c opens the monitor line, Ctrl-A
 * Ctrl-A types one.
 */
#ifndef VMM_CONSOLE_CONSOLE_H
#define VMM_CONSOLE_CONSOLE_H
#include <stdbool.h>
#include "machine/machine.h"

struct console;
/** A line of the monitor. Called on the console's thread. */
typedef void (*console_command_fn)(void *arg, const char *line);

/** Before the machine: sets console_* of its configuration. `input`: what the guest's end is;
 * standard input gets raw if it is a terminal and that is TTY. 0, or -1 with err. */
int console_open(struct console **out, enum console_input input, struct machine_config *config,
		 struct mmvm_error *err);
/** Begin to read. 0, or -1 with err. */
int console_start(struct console *c, struct machine *m, console_command_fn command, void *arg,
		  struct mmvm_error *err);
/** No more input from here on; the terminal is as it was. The machine still exists. */
void console_stop(struct console *c);
/** Was it left by Ctrl-A x? */
bool console_left(const struct console *c);
void console_free(struct console *c); /* NULL is fine */
#endif
