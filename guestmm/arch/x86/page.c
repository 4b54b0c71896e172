/*
 * What the hardware offers per page: clearing, copying, and the exception table's search.
 *
 * Where ring 0 is emulated (MMVM_QUIRK_FASTOP) an iteration of `rep stosq` costs half a microsecond
 * and a page a quarter of a millisecond; one exit costs some ten microseconds. There the VMM clears
 * and copies, asked through the CPU's mailbox in the shared window. Interrupts are off from the
 * first store into the mailbox to the `out`, because an interrupt handler may want a page as well.
 */
#include "arch/boot.h"
#include "arch/clear.h"
#include "arch/io.h"
#include "arch/irqflags.h"
#include "arch/page.h"
#include "kernel/boot_info.h"
#include "mm/phys/zone.h"

int vmm_fastop(u32 op, u64 dst, u64 src, u64 len, u64 value)
{
	unsigned long flags = arch_irq_save();
	unsigned int cpu = cpu_id();
	struct mmvm_mailbox *mb = &mmvm_shared->mailbox[cpu];
	s32 result;

	mb->op = op;
	mb->dst = dst;
	mb->src = src;
	mb->len = len;
	mb->value = value;
	outb(MMVM_FASTOP_PORT, cpu);
	result = READ_ONCE(mb->result);
	arch_irq_restore(flags);
	return result;
}

/* It takes physical addresses: of the direct map, that is, not of a window onto high memory. */
static inline bool fastop_reaches(const void *kaddr)
{
	return boot_info.quirks & MMVM_QUIRK_FASTOP && (unsigned long)kaddr < VMALLOC_START;
}

void clear_pages(void *kaddr, unsigned long pages)
{
	unsigned long n = pages * (PAGE_SIZE / 8);

	if (fastop_reaches(kaddr) &&
	    !vmm_fastop(MMVM_FASTOP_FILL, __pa(kaddr), 0, pages * PAGE_SIZE, 0))
		return;
	__asm__ volatile("rep stosq" : "+D"(kaddr), "+c"(n) : "a"(0ul) : "memory");
}

void copy_pages(void *dst, const void *src, unsigned long pages)
{
	unsigned long n = pages * (PAGE_SIZE / 8);

	if (fastop_reaches(dst) && fastop_reaches(src) &&
	    !vmm_fastop(MMVM_FASTOP_COPY, __pa(dst), __pa(src), pages * PAGE_SIZE, 0))
		return;
	__asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(n)::"memory");
}

void clear_page(void *kaddr)
{
	unsigned long n = PAGE_SIZE / 8;

	if (fastop_reaches(kaddr) && !vmm_fastop(MMVM_FASTOP_FILL, __pa(kaddr), 0, PAGE_SIZE, 0))
		return;
	__asm__ volatile("rep stosq" : "+D"(kaddr), "+c"(n) : "a"(0ul) : "memory");
}

void copy_page(void *dst, const void *src)
{
	unsigned long n = PAGE_SIZE / 8;

	if (fastop_reaches(dst) && fastop_reaches(src) &&
	    !vmm_fastop(MMVM_FASTOP_COPY, __pa(dst), __pa(src), PAGE_SIZE, 0))
		return;
	__asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(n)::"memory");
}

struct exception_entry {
	unsigned long ip, fixup;
};
extern const struct exception_entry __ex_table_start[], __ex_table_end[];

/* A handful of entries: looked at one by one. */
unsigned long search_exception_table(unsigned long ip)
{
	for (const struct exception_entry *e = __ex_table_start; e < __ex_table_end; e++)
		if (e->ip == ip)
			return e->fixup;
	return 0;
}
