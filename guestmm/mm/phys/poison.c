/*
 * Poison of free pages, as Linux's `page_poison`: who frees a block fills it with PAGE_POISON, who allocates it looks
 * whether that is still there. A write through a stale pointer, a stale TLB entry or by a device to a page that was
 * freed is so found at the page's next allocation; who reads a freed page finds the pattern.
 *
 * The sites are static keys: no-ops unless the machine was booted with `page_poison`. Free pages are then not reported to
 * the host (reporting.c): it would give them back as zeroes.
 */
#include "lib/string.h"
#include "mm/phys/internal.h"

#define PAGE_POISON 0xaaaaaaaaaaaaaaaaull /* Linux's byte, eight times */

void page_poison_block(struct page *page, unsigned int order)
{
	u64 *word = page_address(page);

	for (unsigned long n = PAGE_SIZE / sizeof(*word) << order; n; n--)
		*word++ = PAGE_POISON;
}

#ifndef MMVM_HOSTED
void page_poison(struct page *page)
{
	page_poison_block(page, page->order);
}
#endif

void page_check_poison(const struct page *page, unsigned int order)
{
	const u64 *start = page_address(page), *word = start;

	for (unsigned long n = PAGE_SIZE / sizeof(*word) << order; n; n--, word++)
		if (unlikely(*word != PAGE_POISON))
			panic("pagealloc: memory corruption: a free page was written, frame %lx "
			      "offset %lx: %lx",
			      (unsigned long)page_to_pfn(page),
			      (unsigned long)((const char *)word - (const char *)start),
			      (unsigned long)*word);
}
