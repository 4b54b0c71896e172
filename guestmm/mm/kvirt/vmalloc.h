/* Kernel virtual memory: vmalloc, vmap, ioremap, guarded stacks. */
#ifndef MM_VMALLOC_H
#define MM_VMALLOC_H
#include "arch/pgtable.h"
#include "mm/phys/page.h"
#include "lib/format.h"

void vmalloc_init(void);
/** Virtually contiguous memory with a guard page behind. NULL on failure. May sleep. */
void *vmalloc(size_t size);
void *vzalloc(size_t size);
/** As vmalloc, aligned, owner type for the pages, GFP: used for stacks (guard page in front
 * too). */
void *__vmalloc(size_t size, size_t align, gfp_t gfp, enum mmvm_page_type type, const char *who);
void vfree(const void *p);
/** Map `n` pages of the caller's. The pages stay the caller's. */
void *vmap(struct page **pages, unsigned int n, pgprot_t prot);
void vunmap(const void *p);
/** Map device registers, uncached. */
void *ioremap(phys_addr_t pa, size_t size);
void iounmap(void *p);
struct page *vmalloc_to_page(const void *p);
/** Change protection of mapped kernel pages and flush: page-aligned. Returns 0 or -EINVAL. */
int set_memory_prot(unsigned long start, unsigned int npages, pgprot_t prot);
/** Unmapped but not yet reusable areas are purged now. */
void purge_vmap_areas(void);
void report_vmallocinfo(struct report *r);
struct mmvm_audit_kvirt;
void vmalloc_audit_layout(struct mmvm_audit_kvirt *l);
#endif
