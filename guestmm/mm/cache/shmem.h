/* Memory that is shared and anonymous: an address_space without a file, held by the VMAs that map
 * it. */
#ifndef MM_SHMEM_H
#define MM_SHMEM_H
#include "mm/cache/pagecache.h"
#include "mm/reclaim/lru.h"

/** New, empty, with one reference. `account`: promise all of it now. 0 or -ENOMEM. */
int shmem_object_create(u64 size, bool account, struct address_space **mapping);
void shmem_object_get(struct address_space *mapping);
/** The last one frees the pages, and may sleep. */
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

/* For huge/thp_shmem.c and huge/collapse_shmem.c. */
#define SHMEM_PAGE_FLAGS (1ull << PG_uptodate | 1ull << PG_swapbacked | 1ull << PG_dirty)
/** Promise n pages, within the limit. False: there is no room. */
bool shmem_charge(struct address_space *mapping, unsigned long n);
void shmem_uncharge(struct address_space *mapping, unsigned long n);
#endif
