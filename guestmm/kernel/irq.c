/*
 * Interrupt lines and their handlers. A line has one handler, which is never removed: devices are found once, at boot,
 * and no two share a line (mmvm/layout.h).
 *
 * A handler runs with interrupts off and must not sleep; it wakes the thread that does the work.
 */
#include "arch/boot.h"
#include "kernel/irq.h"
#include "lib/env.h"
#include "lib/errno.h"

struct irq_line {
	void (*handler)(void *arg);
	void *arg;
	const char *name;
	u64 count;
};
static struct irq_line lines[NR_IRQS];
static u64 unexpected; /* interrupts of lines without a handler */

int request_irq(u32 gsi, void (*handler)(void *arg), void *arg, const char *name)
{
	if (gsi >= NR_IRQS || !handler)
		return -EINVAL;
	if (lines[gsi].handler)
		return -EBUSY;
	lines[gsi].arg = arg;
	lines[gsi].name = name;
	atomic_store_release(&lines[gsi].handler, handler);
	ioapic_route(gsi);
	return 0;
}

void irq_handle(u32 gsi)
{
	struct irq_line *line = &lines[gsi];

	if (unlikely(gsi >= NR_IRQS || !line->handler)) {
		unexpected++;
		return;
	}
	line->count++;
	line->handler(line->arg);
}

void report_interrupts(struct report *r)
{
	for (u32 i = 0; i < NR_IRQS; i++)
		if (lines[i].handler)
			report_printf(r, "%3u: %10llu  %s\n", i, (unsigned long long)lines[i].count,
				      lines[i].name);
	report_printf(r, "ERR: %10llu\n", (unsigned long long)unexpected);
}
