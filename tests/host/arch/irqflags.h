/*
 * Interrupt flag of the host build: a variable. Bit 9 of the saved flags as on x86, so that code
 * which looks at it (the allocator's context check) runs unchanged.
 */
#ifndef ARCH_IRQFLAGS_H
#define ARCH_IRQFLAGS_H
#include <stdbool.h>

extern bool host_irqs_off;
/** Called from spin loops: one CPU that waits for a lock waits for ever, so this panics at last. */
void host_spin_wait(void);

static inline unsigned long arch_irq_save(void)
{
	unsigned long flags = host_irqs_off ? 0 : 1ul << 9;

	host_irqs_off = true;
	return flags;
}
static inline void arch_irq_restore(unsigned long flags)
{
	if (flags & (1ul << 9))
		host_irqs_off = false;
}
static inline void arch_irq_enable(void)
{
	host_irqs_off = false;
}
static inline void arch_irq_disable(void)
{
	host_irqs_off = true;
}
static inline bool arch_irqs_disabled(void)
{
	return host_irqs_off;
}
static inline void cpu_relax(void)
{
	host_spin_wait();
}
#endif
