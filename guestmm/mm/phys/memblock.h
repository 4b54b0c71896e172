/* Boot memory: memory and reserved regions before the buddy exists; then an exact hand-over. */
#ifndef MM_MEMBLOCK_H
#define MM_MEMBLOCK_H
#include "lib/types.h"

/** Add RAM [base, base+size) on `node`. Returns 0, -EINVAL (overlap, wrap) or -ENOMEM (table
 * full). */
int memblock_add(phys_addr_t base, u64 size, int node);
int memblock_reserve(phys_addr_t base, u64 size);
int memblock_free(phys_addr_t base, u64 size);
/** Zeroed boot memory, bottom up within [min, max); 0 on failure. `max` 0 = no limit. */
phys_addr_t memblock_phys_alloc(u64 size, u64 align, phys_addr_t lo, phys_addr_t hi);
/** Allocate below this address only from now on. */
void memblock_set_limit(phys_addr_t limit);
/** Is something reserved at or above the address? */
bool memblock_reserved_from(phys_addr_t addr);
u64 memblock_total(void);	/* bytes of RAM */
phys_addr_t memblock_end(void); /* end of the highest RAM region */
/** Visit RAM regions in address order. */
void memblock_for_each(void (*fn)(phys_addr_t base, u64 size, int node, void *arg), void *arg);
#endif
