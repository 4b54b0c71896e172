/*
 * Contiguous memory: a range of frames is emptied by moving what is in it.
 *
 * Locks: none on entry, may sleep.
 */
#ifndef MM_CONTIG_H
#define MM_CONTIG_H
#include "mm/phys/alloc.h"

/** Make frames [start, end) of one zone the caller's, as single pages with one reference each. 0, -EBUSY:
 * something there cannot be moved, -ENOMEM: nowhere to move it to, -EINVAL: not the frames of one zone. */
int alloc_contig_range(pfn_t start, pfn_t end);
void free_contig_range(pfn_t start, unsigned long nr);
/** `nr` frames, a power of two, aligned to their size, larger than the buddy allocator can give: the first
 * range of a zone that can be emptied; not of ZONE_MOVABLE, for they will not move. Single pages as above.
 * NULL: there is none. */
struct page *alloc_contig_pages(unsigned long nr, gfp_t gfp);

/** The area of cma=SIZE[@START]: reserved before the zones are made, lent to movable pages after. Boot. */
void cma_reserve(const char *option, char *why, size_t why_size);
void cma_activate(void);
/** `nr` frames of the area, the first aligned to 2^align frames. NULL: none, or the area is too full.
 * cma_release() returns whether they were the area's. */
struct page *cma_alloc(unsigned long nr, unsigned int align);
bool cma_release(struct page *page, unsigned long nr);
u64 cma_total_pages(void);
#endif
