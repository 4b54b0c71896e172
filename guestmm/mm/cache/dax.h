/*
 * Files whose pages are not cached: they lie in device memory that the CPU can address (mm/phys/device.h), and are
 * read, written and mapped in place.
 */
#ifndef MM_DAX_H
#define MM_DAX_H
#include "mm/cache/pagecache.h"

static inline bool mapping_is_dax(const struct address_space *mapping)
{
	return mapping->flags & AS_DAX;
}

/** The frame of page `index`; NULL: a hole. 0 or -errno. The caller locks truncation out (D2). */
int dax_find(struct address_space *mapping, unsigned long index, struct page **page);

enum dax_fill {
	DAX_FILL_WRITTEN, /* a write, which may be beyond the end. inode->lock held for writing */
	DAX_FILL_MAPPED,  /* a store by a mapping: -EFAULT beyond the end */
};
/** If page `index` is a hole, fill it with a zeroed frame, and unmap the zero page in its place. 0 (also if there
 * is a frame already), -ENOSPC, -EIO ... Takes invalidate_lock for writing. Sleeps. */
int dax_fill(struct address_space *mapping, unsigned long index, enum dax_fill why);

/** Before the first dax_claim() of a mapping. 0 or -ENOMEM. */
int dax_prepare(struct address_space *mapping);
/** The frame is about to be mapped as page `index`; with `store`, writable: it is dirty from now on. P held. False:
 * the frame belongs to another file already: the file system is damaged. */
bool dax_claim(struct address_space *mapping, unsigned long index, struct page *page, bool store);

/** Write-protect the PTEs of shared mappings and clear the dirty flags of the frames: what was stored before is on
 * disk after the next flush of the device. Always 0. */
int dax_writeback(struct address_space *mapping);
/** Zero the last page from byte `size`, the end of the file, on: mappings may have stored there. inode->lock held
 * for writing. 0 or -errno. */
int dax_zero_tail(struct address_space *mapping, u64 size);

/** n frames from `page` on belong to no file any more. Nothing maps them (D3). */
void dax_forget_frames(struct page *page, unsigned long n);
/** The mapping ends. */
void dax_forget_mapping(struct address_space *mapping);
#endif
