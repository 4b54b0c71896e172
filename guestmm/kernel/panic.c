/*
 * Panic: print a message, then registers and stack (arch/x86/traps.c), send a message to the VMM, and stop the
 * machine. Nothing here allocates memory or waits for a lock.
 */
#include "kernel/console.h"
#include "lib/env.h"
#include "lib/format.h"

void panic(const char *fmt, ...)
{
	static char message[256];
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	arch_panic(message, (u64)__builtin_return_address(0),
		   *(const u64 *)__builtin_frame_address(0));
}
