/* Clearing and copying of huge pages: what clear_page() and copy_page() do (arch/page.h), for many. */
#ifndef ARCH_CLEAR_H
#define ARCH_CLEAR_H

/** Clear at most 2 MiB, which are contiguous in the direct map. Interrupts may arrive meanwhile. */
void clear_pages(void *kaddr, unsigned long pages);
void copy_pages(void *dst, const void *src, unsigned long pages);
#endif
