/* Memory that is shared and anonymous: an address_space without a file, held by the VMAs that map
 * it. */
#ifndef MM_SHMEM_H
#define MM_SHMEM_H
#include "mm/cache/pagecache.h"

/** New, empty, with one reference. `account`: promise all of it now. 0 or -ENOMEM. */
int shmem_object_create(u64 size, bool account, struct address_space **mapping);
void shmem_object_get(struct address_space *mapping);
/** The last one frees the pages, and may sleep. */
void shmem_object_put(struct address_space *mapping);
/** Mappings with pages in swap, linked by dirty_list: for the audit. */
extern struct list_head shmem_swapped_list;
u64 shmem_object_ino(struct address_space *mapping);
#endif
