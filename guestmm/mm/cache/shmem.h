/*
 * Shared memory. Memory that is shared and anonymous is an address_space without a file, held by the VMAs that
 * map it.
 */
#ifndef MM_SHMEM_H
#define MM_SHMEM_H
#include "mm/cache/pagecache.h"
#include "mm/pgtable/guard.h"
#include "mm/reclaim/lru.h"

/** New, empty, with one reference. `account`: promise all of it now. 0 or -ENOMEM. */
int shmem_object_create(u64 size, bool account, struct address_space **mapping);
void shmem_object_get(struct address_space *mapping);
/** Drop a reference. The last one frees the pages, and may sleep. */
void shmem_object_put(struct address_space *mapping);
u64 shmem_object_ino(struct address_space *mapping);
/** Mappings with pages in swap, linked by dirty_list: for the audit. */
extern struct list_head shmem_swapped_list;
/** Unlock what shmem_get_page() returned, and drop the reference. */
static inline void shmem_put_page(struct page *page)
{
	struct page *head = &page_folio(page)->page;

	unlock_page(head);
	release_page(head);
}

/** Count `n` pages more of the zone and group of `page`. */
static inline void shmem_count_page(struct page *page, s64 n)
{
	page_stat_add(page, NR_SHMEM, n);
	page_stat_add(page, NR_FILE_PAGES, n);
}

/* shmem_swap.c */
/** Put the page of a swap entry in the tree back into it: locked, with a reference. -EAGAIN: the tree holds another
 * item now; -ENOMEM, -EIO. *major: it was read from the disk. */
int shmem_swapin(struct address_space *mapping, unsigned long index, swp_entry_t entry,
		 struct page **pagep, bool *major);
/** A locked page of shared memory that no page table maps is lost: a value that shmem_is_lost() takes its place until it
 * is truncated. The cache's reference is dropped. */
void shmem_lose_page(struct page *page);
static inline bool shmem_is_lost(void *value)
{
	return is_poison_entry((swp_entry_t){radix_value(value)});
}
/** Drop a use of the slot. If only the swap cache uses the slot then, free the cached page with it. */
void shmem_drop_swap_use(swp_entry_t entry);
/** If no page of the mapping is in swap any more, take it off the list that swapoff walks. Sleeps while swapoff
 * works on the mapping. */
void shmem_forget_swapped(struct address_space *mapping);

/* For huge/thp_shmem.c and huge/collapse_shmem.c. */
#define SHMEM_PAGE_FLAGS (1ull << PG_uptodate | 1ull << PG_swapbacked | 1ull << PG_dirty)
/** Charge n pages against overcommit and the limit. False: they do not fit. */
bool shmem_charge(struct address_space *mapping, unsigned long n);
void shmem_uncharge(struct address_space *mapping, unsigned long n);
#endif
