/* The terminal mmvm runs on: raw while a guest's console is on it, as it was on every way out. */
#ifndef VMM_CONSOLE_TERMINAL_H
#define VMM_CONSOLE_TERMINAL_H
#include <stdint.h>

/** Every key as a byte, nothing echoed, no key a signal. Output is processed as before, so that "\n"
 * still begins a new line. Undone by terminal_restore(), at exit, and before a signal ends or stops
 * the process. 0 or -errno. One terminal at a time. */
int terminal_raw(int fd);
/** As it was. Async-signal-safe; may be called more than once. */
void terminal_restore(void);
/** Size of its window; 0 and 0 when it has none. */
void terminal_size(int fd, uint16_t *rows, uint16_t *cols);
#endif
