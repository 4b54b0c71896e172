/* The terminal: the console as a file. */
#ifndef KERNEL_TTY_H
#define KERNEL_TTY_H
#include "fs/file.h"

void tty_init(void); /* device nodes: /dev/console, tty, ttyS0 */
/** The console without a name, for processes that start when there is no /dev. NULL: no memory. */
struct file *console_file(void);
#endif
