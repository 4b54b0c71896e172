/* The tails of a large block, written 16 bytes at a time. */
#ifndef ARCH_TAILS_H
#define ARCH_TAILS_H
#include <stddef.h>
#include "arch/irqflags.h"
#include "mmvm/page.h"

/* Where the three stores of each page lie. What is between the second and the third keeps its value. */
_Static_assert(offsetof(struct page, flags) == 0 && offsetof(struct page, mapping) == 24 &&
		       offsetof(struct page, index) == 32 && offsetof(struct page, mapcount) == 48,
	       "arch_fill_tails() writes bytes 0 to 31 and 48 to 63");

#define ARCH_TAILS_MIN 16ul /* pages of the smallest block that arch_fill_tails() takes */

/**
 * Make pages head + 1 to head + pages - 1 equal to `tail`, but for index and private_. `pages` is a multiple of 16.
 *
 * Uses xmm0 to xmm2 and gives them back. They hold a program's values, perhaps of a thread that does not run
 * (kernel/sched.c). So interrupts are off: no other thread may run, and save or load them, before they are back.
 * Interrupts wait for 1,600 instructions at 512 pages.
 */
static inline void arch_fill_tails(struct page *head, unsigned long pages, const struct page *tail)
{
	struct page *page = head, *end = head + pages;
	unsigned char kept[3 * 16];
	unsigned long flags = arch_irq_save();

	/* clang-format off */
	__asm__ volatile("movups %%xmm0, (%[kept])\n"
			 "movups %%xmm1, 16(%[kept])\n"
			 "movups %%xmm2, 32(%[kept])\n"
			 "movups (%[tail]), %%xmm0\n"
			 "movups 16(%[tail]), %%xmm1\n"
			 "movups 48(%[tail]), %%xmm2\n"
			 "jmp 2f\n" /* the head is left as it is */
			 "1:\n"
			 "movups %%xmm0, (%[page])\n"
			 "movups %%xmm1, 16(%[page])\n"
			 "movups %%xmm2, 48(%[page])\n"
			 "2:\n"
			 ".irp i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
			 "movups %%xmm0, 64*\\i(%[page])\n"
			 "movups %%xmm1, 64*\\i+16(%[page])\n"
			 "movups %%xmm2, 64*\\i+48(%[page])\n"
			 ".endr\n"
			 "add $16*64, %[page]\n"
			 "cmp %[end], %[page]\n"
			 "jb 1b\n"
			 "movups (%[kept]), %%xmm0\n"
			 "movups 16(%[kept]), %%xmm1\n"
			 "movups 32(%[kept]), %%xmm2\n"
			 : [page] "+r"(page)
			 : [end] "r"(end), [tail] "r"(tail), [kept] "r"(kept)
			 : "memory", "cc");
	/* clang-format on */
	arch_irq_restore(flags);
}
#endif
