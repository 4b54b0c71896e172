/* Interrupt lines: a driver takes one, arch/ reports that it fired. */
#ifndef KERNEL_IRQ_H
#define KERNEL_IRQ_H
#include "lib/format.h"

#define NR_IRQS 24 /* pins of the I/O APIC */

/** Call handler(arg) whenever `gsi` fires: interrupts off, acknowledged already, on one CPU at a time.
 * `name` is what /proc/interrupts shows. 0, -EINVAL: no such line, -EBUSY: it is taken. */
int request_irq(u32 gsi, void (*handler)(void *arg), void *arg, const char *name);
/** Run the handler of `gsi`. Interrupts off, acknowledged already. */
void irq_handle(u32 gsi);
/** As /proc/interrupts: line, count, name. */
void report_interrupts(struct report *r);
#endif
