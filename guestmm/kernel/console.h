/* The console, for printk, panic, and the write system call. */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H
#include "lib/types.h"

/** Write bytes as they are. Any context. One exit a call where the test channel exists. */
void console_write(const char *buf, size_t n);
/** Format and write, without printk's time. Any context; long texts are cut at 1 KiB. */
void console_printf(const char *fmt, ...) __printf(1, 2);
/** The test channel exists: use it from now on. */
void console_use_testchan(void);
/** In arch/: save what a call preserves, print it and the stack, tell the VMM, stop. */
void __noreturn arch_panic(const char *message, u64 rip, u64 rbp);
#endif
