/* The console, for printk, panic, and the write system call. */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H
#include "lib/types.h"

/** Write bytes unchanged. Any context. With the test channel each call costs one exit. */
void console_write(const char *buf, size_t n);
/** Format and write, without the time that printk() adds. Any context. Texts are cut at 1 KiB. */
void console_printf(const char *fmt, ...) __printf(1, 2);
/** Use the test channel from now on. */
void console_use_testchan(void);
/** Print the message, the registers that a call preserves and the stack, tell the VMM, and stop. In arch/. */
void __noreturn arch_panic(const char *message, u64 rip, u64 rbp);
#endif
