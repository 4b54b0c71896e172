/* Kernel virtual memory: vmalloc, vmap, ioremap, guarded stacks. */
#ifndef MM_VMALLOC_H
#define MM_VMALLOC_H
#include "arch/pgtable.h"
#include "mm/phys/page.h"
#include "lib/format.h"

void vmalloc_init(void);
/** Virtually contiguous memory, followed by a guard page. NULL on failure. May sleep. */
void *vmalloc(size_t size);
void *vzalloc(size_t size);
/** As vmalloc, aligned, owner type for the pages, GFP: used for stacks (a guard page in front, too). */
void *__vmalloc(size_t size, size_t align, gfp_t gfp, enum mmvm_page_type type, const char *who);
/** For chunks of per-CPU memory: `nr` units of `unit` bytes (whole pages) behind each other, unit i of zeroed
 * pages of type PAGE_PERCPU from the node of CPU i where it has some. NULL on failure. vfree() frees it. May sleep. */
void *vmalloc_percpu(size_t unit, unsigned int nr, gfp_t gfp);
/** Entry for an address of the vmalloc area or of the windows (kmap.c), the tables above it made. NULL: no memory. */
pte_t *kernel_pte_alloc(unsigned long addr);
void vfree(const void *p);
/** Map `n` pages of the caller, who keeps their references. */
void *vmap(struct page **pages, unsigned int n, pgprot_t prot);
void vunmap(const void *p);
/** Map device registers, uncached. */
void *ioremap(phys_addr_t pa, size_t size);
void iounmap(void *p);
struct page *vmalloc_to_page(const void *p);
/** Change protection of mapped kernel pages and flush: page-aligned. Returns 0 or -EINVAL. */
int set_memory_prot(unsigned long start, unsigned int npages, pgprot_t prot);
/** Flush the TLBs now, so that the addresses of unmapped areas can be reused. */
void purge_vmap_areas(void);
void report_vmallocinfo(struct report *r);
struct mmvm_audit_kvirt;
void vmalloc_audit_layout(struct mmvm_audit_kvirt *l);
#endif
