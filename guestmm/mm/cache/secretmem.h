/*
 * Memory that only its programs see: the files of memfd_secret(2).
 */
#ifndef MM_SECRETMEM_H
#define MM_SECRETMEM_H
#include "mm/cache/pagecache.h"

extern const struct address_space_ops secretmem_aops;

static inline bool mapping_is_secret(const struct address_space *mapping)
{
	return mapping && mapping->flags & AS_SECRET;
}

/** The page at `index`: locked, uptodate, with a reference; made if need be. NULL: *err is -ENOMEM, -EFAULT (beyond
 * the end). May sleep. */
struct page *secretmem_get_page(struct address_space *mapping, unsigned long index, int *err);
/** Is some of [start, end) secret memory of mm? Takes mmap_lock for reading. */
bool mm_range_secret(struct mm_struct *mm, unsigned long start, unsigned long end);
#endif
