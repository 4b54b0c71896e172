/* The interface between the files of the page cache. Nothing outside mm/ includes this. */
#ifndef MM_FILEMAP_H
#define MM_FILEMAP_H
#include "mm/phys/alloc.h"
#include "mm/reclaim/lru.h"
#include "mm/cache/pagecache.h"
#include "mm/swap/swapcache.h"
#include "mm/phys/zone.h"

#define GFP_ZONE_MASK (__GFP_DMA | __GFP_DMA32 | __GFP_HIGHMEM | __GFP_MOVABLE)

/* filemap.c */
/** A new page of the mapping's page type, for add_to_page_cache_lru(). NULL if no memory. */
struct page *page_cache_alloc(const struct address_space *mapping, gfp_t gfp);
/** The page in the cache at index, or NULL; no reference is taken. mapping->lock held. */
static inline struct page *lookup_page(const struct address_space *mapping, unsigned long index)
{
	void *item = radix_lookup(&mapping->pages, index);

	return likely(!radix_is_value(item)) ? item : NULL;
}
/** Does the page at index lie wholly beyond the end of the file, as it is now? */
static inline bool beyond_end(const struct address_space *mapping, unsigned long index)
{
	return index >= DIV_ROUND_UP(READ_ONCE(mapping->size), PAGE_SIZE);
}
/** A page with a reference was found not uptodate: wait for the read that is under way, or read it. Returns
 * 0 (then look again whether it is still in the cache) or -errno. Sleeps. */
int page_cache_wait_uptodate(struct address_space *mapping, struct page *page);
/** Add one page and read it alone: there is no memory for more, or read-ahead is off. invalidate_lock held
 * for reading. Returns 0 (also when somebody else has added the page) or -errno. Sleeps. */
int page_cache_add_and_read(struct address_space *mapping, unsigned long index);
/** As page_cache_evict(), but leave no shadow, because the page is not needed. */
bool page_cache_drop(struct page *page);

/* writeback.c */
void writeback_init(void);
/** A locked page leaves the cache and was never written: uncount it. */
void cancel_dirty_page(struct page *page);
/** One pass of the flusher: mappings dirty since before `expired` wholly, and others from the oldest
 * on while more than the background limit is dirty. Returns pages that were written. */
u64 writeback_pass(u64 expired);
/** Pages that may be dirty before the flusher works, and before writers wait. */
void dirty_limits(u64 *background, u64 *limit);
/** What limits dirty memory: of each pair, bytes where they are not 0, per cent of the memory that could
 * be dirty otherwise. */
struct dirty_knobs {
	unsigned int background_ratio, ratio;
	u64 background_bytes, bytes;
};
/** The limits for this much memory [pure]. */
void dirty_limits_of(u64 dirtyable, const struct dirty_knobs *k, u64 *background, u64 *limit);

/* shadow.c */
extern s64 nr_shadows; /* A: in all trees */
void shadows_init(void);
/** May eviction leave a shadow? mapping->lock held. Notes that the mapping has some. */
bool shadow_wanted(struct address_space *mapping);
/** The mapping has no shadows any more, or is about to be freed. */
void shadows_forget(struct address_space *mapping);

#endif
