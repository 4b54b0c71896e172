/*
 * Pages and the fixed kernel address map of x86-64 (48-bit, and the upper end of 57-bit), shared by the guest and
 * by the host build of mm/.
 *
 *   ffff888000000000  direct map of RAM, without high memory (PAGE_OFFSET)
 *   ffffc90000000000  vmalloc area, 1 TiB used here
 *   ffffca0000000000  threads' windows onto high memory (mm/kvirt/kmap.c)
 *   ffffea0000000000  vmemmap: struct page of frame 0
 *   ffffffff80000000  kernel image (physical + this)
 *   ffffffffff000000  fixmap
 *   ffffffffff200000  the CPUs' areas, static part (arch/percpu.h)
 */
#ifndef ARCH_PAGE_H
#define ARCH_PAGE_H

#include "lib/types.h"
#include "mmvm/layout.h"

#define PAGE_SHIFT  12
#define PAGE_SIZE   (1ul << PAGE_SHIFT)
#define PAGE_MASK   (~(PAGE_SIZE - 1))
#define PMD_SHIFT   21
#define PMD_SIZE    (1ul << PMD_SHIFT)
#define PMD_MASK    (~(PMD_SIZE - 1))
#define PUD_SHIFT   30
#define PGDIR_SHIFT 39

/** Where mappings are placed that no address was named for, programs and stacks. */
#define DEFAULT_MAP_WINDOW 0x00007ffffffff000ul
/** The end of what a program may map: the same, or 56 bits with page tables of five levels. */
extern unsigned long task_size;
#define TASK_SIZE task_size

#ifndef MMVM_HOSTED
#define PAGE_OFFSET	0xffff888000000000ul
#define VMALLOC_START	0xffffc90000000000ul
#define VMALLOC_END	0xffffca0000000000ul
#define KMAP_START	0xffffca0000000000ul
#define KMAP_BOOT_START 0xffffce0000000000ul
#define KMAP_END	0xffffce8000000000ul
#define VMEMMAP_START	0xffffea0000000000ul
#define FIXMAP_START	0xffffffffff000000ul
#else
/* The host build points these at its arenas; see tests/host/. */
extern unsigned long host_page_offset, host_vmemmap, host_vmalloc, host_kmap;
#define PAGE_OFFSET	host_page_offset
#define VMEMMAP_START	host_vmemmap
#define VMALLOC_START	host_vmalloc
#define VMALLOC_END	(host_vmalloc + (64ul << 30))
#define KMAP_START	host_kmap
#define KMAP_BOOT_START host_kmap
#define KMAP_END	(host_kmap + (16ul << 20))
#endif

static inline void *__va(phys_addr_t pa)
{
	return (void *)(PAGE_OFFSET + pa);
}
/** Physical address of a direct-map address; not for vmalloc or kernel-image addresses. */
static inline phys_addr_t __pa(const void *va)
{
	return (unsigned long)va - PAGE_OFFSET;
}

/** Clear or copy one page by kernel (direct-map) address. Through the VMM where ring 0 is
 * emulated. */
void clear_page(void *kaddr);
void copy_page(void *dst, const void *src);

#endif
