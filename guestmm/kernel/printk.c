/*
 * The console.
 *
 * Text is written to the serial port at first, and to the test channel once the device tree has named it.
 * A line costs one exit with the test channel, and one exit per byte with the port on most hosts.
 *
 * A line is formatted into a static buffer under a spinlock with interrupts off, so that lines of different
 * contexts never mix. A crash may happen while the lock is held. If this CPU holds it, or a CPU that a crash has
 * stopped, a separate small buffer is used instead.
 */
#include "arch/io.h"
#include "arch/smp.h"
#include "kernel/console.h"
#include "kernel/testchan.h"
#include "lib/env.h"
#include "mmvm/layout.h"
#include "lib/errno.h"

#define LINE_MAX 1024

static spinlock_t console_lock = SPINLOCK_INIT;
static u32 console_owner; /* CPU + 1 that holds the lock */
static char line[LINE_MAX];
static bool use_testchan;

void console_use_testchan(void)
{
	use_testchan = true;
}

void console_write(const char *buf, size_t n)
{
	if (use_testchan && testchan_call(MMVM_REC_CONSOLE, "", 0, 0, (void *)buf, (u32)n) != -EIO)
		return;
	outsb(MMVM_SERIAL_PORT, buf, n);
}

enum stamp { NO_TIME, WITH_TIME };

static void console_vprintf(enum stamp stamp, const char *fmt, va_list ap)
{
	unsigned long flags = arch_irq_save();
	char small[128], *buf = line;
	size_t size = sizeof(line);
	int n = 0;

	while (!spin_trylock(&console_lock)) {
		if (READ_ONCE(console_owner) == cpu_id() + 1 || smp_crashed()) {
			buf = small;
			size = sizeof(small);
			break;
		}
		spin_wait(&console_lock.locked);
	}
	if (buf == line)
		WRITE_ONCE(console_owner, cpu_id() + 1);
	if (stamp == WITH_TIME) {
		u64 us = ktime_ns() / 1000;

		n = ksnprintf(buf, size, "[%5lu.%06lu] ", (unsigned long)(us / 1000000),
			      (unsigned long)(us % 1000000));
	}
	n += kvsnprintf(buf + n, size - n, fmt, ap);
	console_write(buf, min((size_t)n, size - 1));
	if (buf == line) {
		WRITE_ONCE(console_owner, 0);
		spin_unlock_irqrestore(&console_lock, flags);
	} else {
		arch_irq_restore(flags);
	}
}

void console_printf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	console_vprintf(NO_TIME, fmt, ap);
	va_end(ap);
}

void printk(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	console_vprintf(WITH_TIME, fmt, ap);
	va_end(ap);
}
