/* Interrupt flag. tests/host/arch/ has the host build's version. */
#ifndef ARCH_IRQFLAGS_H
#define ARCH_IRQFLAGS_H
#include <stdbool.h>
static inline unsigned long arch_irq_save(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
	return flags;
}
static inline void arch_irq_restore(unsigned long flags)
{
	if (flags & (1ul << 9))
		__asm__ volatile("sti" ::: "memory");
}
static inline void arch_irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}
static inline void arch_irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}
static inline bool arch_irqs_disabled(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return !(flags & (1ul << 9));
}
static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}
#endif
