/*
 * The room mm/swap for the rest of the kernel: swap areas and their slots.
 *
 *   swapon.c           areas come and go           swap_slots.c      slots of an area
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

/** Use a disk with a mkswap header (SWAPSPACE2, version 1) as swap; prio -1 = next lower than the
 * last. Returns 0, -EINVAL (header), -EIO, -ENOMEM, -EBUSY (already in use). May sleep. */
int do_swapon(struct block_device *bdev, int prio);
/** Bring everything back and stop using it. Returns 0, -ENOMEM (does not fit), -EINTR (killed),
 * -EINVAL. */
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
