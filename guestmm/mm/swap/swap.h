/*
 * The room mm/swap for the rest of the kernel: swap areas and their slots.
 *
 *   swapon.c           adding, removing areas           swap_slots.c      slots of an area
 *   swap_cache.c       pages that have a slot      swap_io.c         requests to the disk
 *   swap_readahead.c   reading back                swapcache.h       the room from inside
 *
 * Ownership: each PTE (or shmem tree slot) that holds a swap entry owns one use of the slot; the
 * swap cache owns another (HAS_CACHE) and one reference of the cached page.
 *
 * Lock order, this room's part: page lock > page_table_lock > swap_info->lock. The pool lock of
 * swap I/O is innermost, interrupts off.
 */
#ifndef MM_SWAP_H
#define MM_SWAP_H
#include "lib/format.h"
#include "mm/block/bio.h"
#include "arch/pgtable.h"
#include "mm/phys/zone.h"

struct swap_extent;
/** The source of a new swap area: a disk, or a file on one. */
struct swap_source {
	struct block_device *bdev;
	void *file;	  /* whose file it is; NULL: the disk */
	const char *name; /* path of the file, copied */
	u64 nr_pages;	  /* of the file */
	/* Where its pages lie, in order (swapcache.h). Allocated with vmalloc(); becomes the area's when swapon
	 * succeeds. Pages outside of all extents are not used. */
	struct swap_extent *extent;
	u32 nr_extents;
	u32 flags; /* SWAP_FLAG_DISCARD*; no effect on a disk without discard */
};
/** With SWAP_FLAG_DISCARD: ONCE is only at swapon, PAGES only later; neither: both. */
#define SWAP_FLAG_DISCARD	0x10000u
#define SWAP_FLAG_DISCARD_ONCE	0x20000u
#define SWAP_FLAG_DISCARD_PAGES 0x40000u
/** Use it as swap. It has a mkswap header (SWAPSPACE2, version 1). prio -1: next lower than the last.
 * Returns 0, -EINVAL (header), -EIO, -ENOMEM, -EBUSY (already in use), -EPERM (too many). May sleep. */
int swapon_area(const struct swap_source *source, int prio);
/** The same for a disk. */
int do_swapon(struct block_device *bdev, int prio);
/** Read all pages back into memory and stop using the disk or, if `file` is not NULL, the file. Returns 0, -ENOMEM
 * (they do not fit), -EINTR (killed), -EINVAL. */
int swapoff_area(struct block_device *bdev, void *file);
int do_swapoff(struct block_device *bdev);
/** vm.page-cluster: log2 of the most pages that one miss reads, 0 to 4 (Linux: 3 by default). */
extern unsigned int page_cluster;
u64 swap_total_pages(void);
u64 swap_free_pages(void);
void report_swaps(struct report *r);

struct mm_struct;
struct vm_area_struct;

/** Add or drop a reference of a swap slot for a PTE. */
int swap_duplicate(swp_entry_t e);
void swap_free(swp_entry_t e);
#endif
