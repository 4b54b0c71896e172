/* Interrupt lines: what arch/ calls when one fires. request_irq() is in kernel.h. */
#ifndef KERNEL_IRQ_H
#define KERNEL_IRQ_H
#include "lib/format.h"

#define NR_IRQS 24 /* pins of the I/O APIC */

/** Run the handler of `gsi`. Interrupts off, acknowledged already. */
void irq_handle(u32 gsi);
/** As /proc/interrupts: line, count, name. */
void report_interrupts(struct report *r);
#endif
