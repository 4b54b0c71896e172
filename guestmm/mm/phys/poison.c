/*
 * Poison of free pages, as Linux's `page_poison`: who frees a block fills it with PAGE_POISON, who allocates it looks
 * whether that is still there. A write through a stale pointer, a stale TLB entry or by a device to a page that was
 * freed is so found at the page's next allocation; who reads a freed page finds the pattern.
 *
 * The sites are static keys: no-ops unless the machine was booted with `page_poison`. Free pages are then not reported to
 * the host (mm/move/reporting.c): it would give them back as zeroes.
 */
#include "lib/string.h"
#include "mm/phys/internal.h"
#include "mm/phys/highmem.h"

#define PAGE_POISON 0xaaaaaaaaaaaaaaaaull /* Linux's byte, eight times */

void page_poison_block(struct page *page, unsigned int order)
{
	for (unsigned long i = 0; i < 1ul << order; i++) {
		u64 *word = kmap_local_page(page + i);

		for (unsigned long n = 0; n < PAGE_SIZE / sizeof(*word); n++)
			word[n] = PAGE_POISON;
		kunmap_local(word);
	}
}

#ifndef MMVM_HOSTED
void page_poison(struct page *page)
{
	page_poison_block(page, page->order);
}
#endif

void page_check_poison(const struct page *page, unsigned int order)
{
	for (unsigned long i = 0; i < 1ul << order; i++) {
		const u64 *word = kmap_local_page(page + i);

		for (unsigned long n = 0; n < PAGE_SIZE / sizeof(*word); n++)
			if (unlikely(word[n] != PAGE_POISON))
				panic("pagealloc: memory corruption: a free page was written, "
				      "frame %lx "
				      "offset %lx: %lx",
				      (unsigned long)page_to_pfn(page),
				      (i << PAGE_SHIFT) + n * sizeof(*word),
				      (unsigned long)word[n]);
		kunmap_local(word);
	}
}
