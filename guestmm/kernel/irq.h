/* Interrupt lines: a driver requests one, and arch/ calls irq_handle() when it fires. */
#ifndef KERNEL_IRQ_H
#define KERNEL_IRQ_H
#include "lib/format.h"

#define NR_IRQS 24 /* pins of the I/O APIC */

/** Call handler(arg) whenever line `gsi` fires: with interrupts off, after it was acknowledged, on one CPU at a time.
 * /proc/interrupts shows `name`. 0, -EINVAL: there is no such line, -EBUSY: it has a handler. */
int request_irq(u32 gsi, void (*handler)(void *arg), void *arg, const char *name);
/** Run the handler of line `gsi`. Interrupts are off, and the interrupt was acknowledged. */
void irq_handle(u32 gsi);
/** Write the text of /proc/interrupts. */
void report_interrupts(struct report *r);
#endif
