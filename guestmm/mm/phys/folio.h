/*
 * Folios: the unit of everything above the buddy allocator.
 *
 *   order 0      | page |                            a folio of one page
 *   order n      | head | tail | tail | ...          2^n pages, allocated with __GFP_COMP
 *                   ^______|______|                  tail->lru.next = head | 1
 *
 * References, flags, LRU links, mapping and index belong to the head. A tail has refcount 0, so
 * nobody can take a reference on it by mistake; its mapcount counts the PTEs that map that very page.
 * What a large folio counts as a whole lies in its first two tails (struct folio_counts, struct
 * folio_links in mmvm/page.h).
 *
 * I1  page_folio() is right for every page whose folio somebody holds. Without a reference the answer
 *     may be stale: take one with folio_try_get(), then look again.
 * I2  A folio is freed whole, with the order it was allocated with; its tails then have bit 0 of
 *     lru.next clear, no mapping, and are like any other free page.
 *
 * New code takes struct folio. A struct page is one frame: what a PTE maps, what is copied, cleared or
 * put on a bus. The Page...() functions of page.h work on heads and single pages only.
 */
#ifndef MM_FOLIO_H
#define MM_FOLIO_H
#include "mm/phys/alloc.h"
#include "mm/phys/page.h"
#include "mm/phys/zone.h"

/** A head page or a single page, never a tail. */
struct folio {
	struct page page;
};

/** The folio that a page belongs to: one load. */
static inline struct folio *page_folio(const struct page *page)
{
	unsigned long next = (unsigned long)READ_ONCE(page->lru.next);

	return unlikely(next & 1) ? (struct folio *)(next - 1) : (struct folio *)page;
}
static inline bool PageTail(const struct page *page)
{
	return (unsigned long)READ_ONCE(page->lru.next) & 1;
}
static inline bool PageHead(const struct page *page)
{
	return test_bit(PG_head, &page->flags);
}
/** Of more than one page. */
static inline bool folio_test_large(const struct folio *folio)
{
	return test_bit(PG_head, &folio->page.flags);
}
static inline unsigned int folio_order(const struct folio *folio)
{
	return folio->page.order;
}
static inline unsigned long folio_nr_pages(const struct folio *folio)
{
	return 1ul << folio->page.order;
}
/** Bytes. */
static inline size_t folio_size(const struct folio *folio)
{
	return PAGE_SIZE << folio->page.order;
}
static inline struct page *folio_page(struct folio *folio, unsigned long i)
{
	return &folio->page + i;
}
static inline unsigned long folio_page_idx(const struct folio *folio, const struct page *page)
{
	return page - &folio->page;
}
static inline unsigned long folio_pfn(const struct folio *folio)
{
	return page_to_pfn(&folio->page);
}
static inline struct folio *pfn_folio(unsigned long pfn)
{
	return page_folio(pfn_to_page(pfn));
}
static inline void *folio_address(const struct folio *folio)
{
	return page_address(&folio->page);
}
static inline struct zone *folio_zone(const struct folio *folio)
{
	return page_zone(&folio->page);
}
static inline pg_data_t *folio_pgdat(const struct folio *folio)
{
	return page_pgdat(&folio->page);
}
static inline unsigned int folio_nid(const struct folio *folio)
{
	return page_node_id(&folio->page);
}
/** Offset in pages of one of its pages within the mapping. */
static inline unsigned long folio_page_index(const struct folio *folio, const struct page *page)
{
	return folio->page.index + folio_page_idx(folio, page);
}

/** 2^order pages as one folio with one reference, or NULL. Sleeps as the flags say. */
static inline struct folio *folio_alloc(gfp_t gfp, unsigned int order)
{
	return (struct folio *)alloc_pages(gfp | __GFP_COMP, order);
}

static inline int folio_ref_count(const struct folio *folio)
{
	return page_ref_count(&folio->page);
}
static inline void folio_get(struct folio *folio)
{
	get_page(&folio->page);
}
/** Take a reference unless the folio is free. */
static inline bool folio_try_get(struct folio *folio)
{
	return get_page_unless_zero(&folio->page);
}
/** Drop a reference; the last one frees the folio. Any context but NMI. */
static inline void folio_put(struct folio *folio)
{
	put_page(&folio->page);
}
static inline void folio_ref_add(struct folio *folio, int n)
{
	atomic_add(&folio->page.refcount, n);
}
/** Drop some, but not the last. */
static inline void folio_ref_sub(struct folio *folio, int n)
{
	atomic_sub(&folio->page.refcount, n);
}

/* The first and second tail. Only of large folios; the second of order 2 and more. */
static inline struct folio_counts *folio_counts(const struct folio *folio)
{
	return (struct folio_counts *)(folio + 1);
}
static inline struct folio_links *folio_links(const struct folio *folio)
{
	return (struct folio_links *)(folio + 2);
}
/** Mappings of any of its pages, whatever their size. */
static inline int folio_mapcount(const struct folio *folio)
{
	if (likely(!folio_test_large(folio)))
		return READ_ONCE(folio->page.mapcount) + 1;
	return READ_ONCE(folio_counts(folio)->large_mapcount) + 1;
}
static inline bool folio_mapped(const struct folio *folio)
{
	return folio_mapcount(folio) > 0;
}
/** Mappings of the whole by one entry. */
static inline int folio_entire_mapcount(const struct folio *folio)
{
	return folio_test_large(folio) ? READ_ONCE(folio_counts(folio)->entire_mapcount) + 1 : 0;
}

/** Entries that map this page, small ones and those that map all of its folio. */
static inline int folio_page_mapcount(const struct page *page)
{
	return page_mapcount(page) + folio_entire_mapcount(page_folio(page));
}

/* folio_test_dirty(f), folio_set_dirty(f), folio_clear_dirty(f), folio_test_set_dirty(f),
 * folio_test_clear_dirty(f) ... */
#define FOLIO_FLAG(name, Name)                                                     \
	static inline __maybe_unused bool folio_test_##name(const struct folio *f) \
	{                                                                          \
		return Page##Name(&f->page);                                       \
	}                                                                          \
	static inline __maybe_unused void folio_set_##name(struct folio *f)        \
	{                                                                          \
		SetPage##Name(&f->page);                                           \
	}                                                                          \
	static inline __maybe_unused void folio_clear_##name(struct folio *f)      \
	{                                                                          \
		ClearPage##Name(&f->page);                                         \
	}                                                                          \
	static inline __maybe_unused bool folio_test_set_##name(struct folio *f)   \
	{                                                                          \
		return TestSetPage##Name(&f->page);                                \
	}                                                                          \
	static inline __maybe_unused bool folio_test_clear_##name(struct folio *f) \
	{                                                                          \
		return TestClearPage##Name(&f->page);                              \
	}
FOLIO_FLAG(locked, Locked)
FOLIO_FLAG(referenced, Referenced)
FOLIO_FLAG(uptodate, Uptodate)
FOLIO_FLAG(dirty, Dirty)
FOLIO_FLAG(lru, LRU)
FOLIO_FLAG(active, Active)
FOLIO_FLAG(unevictable, Unevictable)
FOLIO_FLAG(mlocked, Mlocked)
FOLIO_FLAG(swapbacked, SwapBacked)
FOLIO_FLAG(swapcache, SwapCache)
FOLIO_FLAG(writeback, Writeback)
FOLIO_FLAG(reclaim, Reclaim)
FOLIO_FLAG(readahead, Readahead)
FOLIO_FLAG(error, Error)
FOLIO_FLAG(workingset, Workingset)
FOLIO_FLAG(young, Young)
FOLIO_FLAG(lazyfree, Lazyfree)

/* The folio lock and writeback: see page.h. */
static inline void folio_lock(struct folio *folio)
{
	lock_page(&folio->page);
}
static inline bool folio_trylock(struct folio *folio)
{
	return trylock_page(&folio->page);
}
static inline void folio_unlock(struct folio *folio)
{
	unlock_page(&folio->page);
}
static inline void folio_wait_writeback(struct folio *folio)
{
	wait_on_page_writeback(&folio->page);
}
static inline void folio_end_writeback(struct folio *folio)
{
	end_page_writeback(&folio->page);
}

/* Overlays of other owners' pages. */
static inline struct page *slab_page(const struct slab *slab)
{
	return (struct page *)slab;
}
static inline struct page *ptdesc_page(const struct ptdesc *pt)
{
	return (struct page *)pt;
}
static inline struct ptdesc *page_ptdesc(const struct page *page)
{
	return (struct ptdesc *)page;
}
#endif
