/*
 * struct page helpers: conversions, flags, reference counts. The struct itself is in mmvm/page.h,
 * because the host reads it too.
 */
#ifndef MM_PAGE_H
#define MM_PAGE_H

#include "arch/page.h"
#include "lib/atomic.h"
#include "lib/env.h"
#include "mmvm/page.h"

#define vmemmap ((struct page *)VMEMMAP_START)
static inline struct page *pfn_to_page(unsigned long pfn)
{
	return vmemmap + pfn;
}
static inline unsigned long page_to_pfn(const struct page *p)
{
	return p - vmemmap;
}
static inline phys_addr_t page_to_phys(const struct page *p)
{
	return (phys_addr_t)page_to_pfn(p) << PAGE_SHIFT;
}
static inline void *page_address(const struct page *p)
{
	return __va(page_to_phys(p));
}
/** Page of a direct-map address (kmalloc, alloc_pages); not of vmalloc or kernel-image
 * addresses. */
static inline struct page *virt_to_page(const void *va)
{
	return pfn_to_page(__pa(va) >> PAGE_SHIFT);
}
/** True when the frame has a struct page, i.e. is RAM the guest was given. */
bool pfn_valid(unsigned long pfn);
/** Where the range of RAM ends that has the frame; 0: none has. */
unsigned long pfn_valid_until(unsigned long pfn);

/* PageLocked(p), SetPageLocked(p), ClearPageLocked(p), TestSetPageLocked(p), TestClearPageLocked(p)
 * ... */
#define PAGE_FLAG(Name, flag)                                                 \
	static inline __maybe_unused bool Page##Name(const struct page *p)    \
	{                                                                     \
		return test_bit(flag, &p->flags);                             \
	}                                                                     \
	static inline __maybe_unused void SetPage##Name(struct page *p)       \
	{                                                                     \
		set_bit(flag, &p->flags);                                     \
	}                                                                     \
	static inline __maybe_unused void ClearPage##Name(struct page *p)     \
	{                                                                     \
		clear_bit(flag, &p->flags);                                   \
	}                                                                     \
	static inline __maybe_unused bool TestSetPage##Name(struct page *p)   \
	{                                                                     \
		return test_and_set_bit(flag, &p->flags);                     \
	}                                                                     \
	static inline __maybe_unused bool TestClearPage##Name(struct page *p) \
	{                                                                     \
		return test_and_clear_bit(flag, &p->flags);                   \
	}
PAGE_FLAG(Locked, PG_locked)
PAGE_FLAG(Referenced, PG_referenced)
PAGE_FLAG(Uptodate, PG_uptodate)
PAGE_FLAG(Dirty, PG_dirty)
PAGE_FLAG(LRU, PG_lru)
PAGE_FLAG(Active, PG_active)
PAGE_FLAG(Unevictable, PG_unevictable)
PAGE_FLAG(Mlocked, PG_mlocked)
PAGE_FLAG(SwapBacked, PG_swapbacked)
PAGE_FLAG(SwapCache, PG_swapcache)
PAGE_FLAG(Writeback, PG_writeback)
PAGE_FLAG(Reclaim, PG_reclaim)
PAGE_FLAG(Readahead, PG_readahead)
PAGE_FLAG(Error, PG_error)
PAGE_FLAG(Waiters, PG_waiters)
PAGE_FLAG(Isolated, PG_isolated)   /* a driver's page, taken for migration (mm/move/migrate.h) */
PAGE_FLAG(Migrating, PG_migrating) /* some PTEs are migration entries: not exclusive (locked) */
PAGE_FLAG(Workingset, PG_workingset)
PAGE_FLAG(Young, PG_young) /* accessed, and the PTE's bit taken by sampling (mm/report/access.c) */
PAGE_FLAG(Charged, PG_charged)	 /* to the memory cgroup memcg_id (mm/memcg) */
PAGE_FLAG(Ksm, PG_ksm)		 /* merged: see mm/ksm */
PAGE_FLAG(Lazyfree, PG_lazyfree) /* MADV_FREE: may go unless a PTE is dirty */

static inline int page_ref_count(const struct page *p)
{
	return READ_ONCE(p->refcount);
}
static inline void get_page(struct page *p)
{
	atomic_add(&p->refcount, 1);
}
/** Take a reference unless the page is free (refcount 0). */
bool get_page_unless_zero(struct page *p);
/** Drop a reference; the last one frees the block (order from p->order). Any context but NMI. */
void put_page(struct page *p);
static inline int page_mapcount(const struct page *p)
{
	return READ_ONCE(p->mapcount) + 1;
}
static inline bool page_mapped(const struct page *p)
{
	return page_mapcount(p) > 0;
}

static inline unsigned int page_zone_index(const struct page *p)
{
	return p->flags >> PAGE_ZONE_SHIFT & PAGE_ZONE_MASK;
}
static inline unsigned int page_node_id(const struct page *p)
{
	return p->flags >> PAGE_NODE_SHIFT & PAGE_NODE_MASK;
}

/* Page lock (PG_locked): serialises I/O, swap-cache membership and truncation. Sleeps. Holder
 * unlocks. */
void lock_page(struct page *p);
bool trylock_page(struct page *p);
void unlock_page(struct page *p);
void wait_on_page_writeback(struct page *p);
void end_page_writeback(struct page *p); /* any context; wakes waiters */
/** Sleep until done(arg), which the page's lock holder makes true before he unlocks. The caller has set
 * PG_waiters while he knew that this is yet to come. Holds no reference. */
void wait_for_unlock(const struct page *p, bool (*done)(void *arg), void *arg);
#endif
