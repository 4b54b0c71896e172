/*
 * Migration.
 *
 *   isolate ──> lock src ──> PTEs to entries ──> copy ──> swap places in the cache ──> entries to
 *   (caller)       │              │                              │                    PTEs of dst
 *                  │              └── still mapped: undo         └── references that
 *                  └── locked, being written: -EAGAIN                nobody knows: undo
 *
 * How nobody notices:
 *   the program       its PTEs are entries while the contents are copied; it waits in the fault handler
 *   readers, writers  take references under the lock of the cache, where migration checks that there
 *   of files          are none but the known ones, and puts the new page in the place of the old one
 *   who waits for     finds, with the lock, that the page has left its mapping, and looks again, as
 *   the page lock     after a truncation
 *   reclaim           does not see an isolated page
 *
 * I1  src is locked from before its first entry is made until after its last is gone, dst from before
 *     anybody can find it until then.
 * I2  References of src at the switch are exactly: the isolator's, the cache's. Others: -EAGAIN. Those
 *     that come later find no way to the page.
 * I3  Either all of src's identity moves (type, mapping, index, flags, slot, cgroup) or none.
 *
 * A huge page moves as a whole where its caller's get_new() has a place for all of it; its PMDs become entries
 * (migrate_entry.h). Where there is none it is split, and its pages move one by one. For NUMA balancing it
 * is not: it stays.
 *
 * Counted as Linux does: pgmigrate_success and pgmigrate_fail in pages, thp_migration_success, _fail and _split in
 * huge pages; one that is split is one that failed, too.
 *
 * A failure of one page is not an error: pages are pinned for reasons that pass.
 */
#include "mm/move/migrate.h"
#include "mm/phys/highmem.h"
#include "lib/errno.h"
#include "lib/fail.h"
#include "lib/trace.h"
#include "mm/cache/pagecache.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/internal.h"
#include "mm/move/memory_failure.h"
#include "mm/reclaim/lru.h"
#include "mm/swap/swapcache.h"
#include "mm/rmap/rmap.h"

#define TRIES	    10
#define TRIES_ASYNC 3

/* ---- which pages ------------------------------------------------------------------------------ */

static bool is_lru_type(const struct page *page)
{
	return page->type == PAGE_ANON || page->type == PAGE_FILE || page->type == PAGE_SHMEM;
}

bool page_is_movable(const struct page *page)
{
	if (PageTail(page) || !page_ref_count(page))
		return false;
	if (PageMovable(page))
		return page_type_in_use(page);
	return is_lru_type(page);
}

/* A driver's page. The reference keeps it; the lock keeps the driver from unmarking it. */
static bool isolate_driver_page(struct page *page)
{
	const struct movable_ops *ops;
	bool taken = false;

	if (!get_page_unless_zero(page))
		return false;
	if (!PageMovable(page) || !trylock_page(page))
		goto put;
	if (PageMovable(page) && !PageIsolated(page)) {
		ops = (const void *)((unsigned long)page->mapping - PAGE_MAPPING_MOVABLE);
		taken = ops->isolate_page(page);
		if (taken)
			SetPageIsolated(page);
	}
	unlock_page(page);
put:
	if (!taken)
		put_page(page);
	return taken;
}

bool isolate_movable_page(struct page *page)
{
	if (!page_is_movable(page))
		return false;
	return PageMovable(page) ? isolate_driver_page(page) : lru_isolate_any(page);
}

/* Return a page that isolate_driver_page() took to its driver, or free it if the driver has dropped it. */
static void putback_driver_page(struct page *page)
{
	lock_page(page);
	if (PageMovable(page)) {
		const struct movable_ops *ops =
			(const void *)((unsigned long)page->mapping - PAGE_MAPPING_MOVABLE);

		ops->putback_page(page);
	}
	ClearPageIsolated(page);
	unlock_page(page);
	put_page(page);
}

void putback_movable_pages(struct list_head *pages)
{
	struct page *page, *n;
	LIST_HEAD(lru);

	list_for_each_entry_safe (page, n, pages, lru) {
		list_del(&page->lru);
		if (PageIsolated(page))
			putback_driver_page(page);
		else
			list_add_tail(&page->lru, &lru);
	}
	lru_putback(&lru);
}

void page_set_movable(struct page *page, const struct movable_ops *ops)
{
	page->mapping = (void *)((unsigned long)ops | PAGE_MAPPING_MOVABLE);
}

void page_clear_movable(struct page *page)
{
	page->mapping = NULL;
}

gfp_t migration_gfp(const struct folio *src, gfp_t gfp)
{
	if (likely(!folio_test_large(src)))
		return gfp;
	return (gfp & ~(__GFP_KSWAPD_RECLAIM | __GFP_RETRY_MAYFAIL)) | __GFP_COMP |
	       __GFP_NOMEMALLOC | __GFP_NOWARN;
}

/* Does the page's owner use page_address()? Isolated: nobody changes what it is. */
static bool wants_address(const struct folio *src)
{
	const struct address_space *mapping = page_mapping_file(&src->page);

	return mapping && unlikely(mapping->flags & AS_LOWMEM);
}

struct folio *alloc_migration_target(struct folio *src, void *private)
{
	const int nid = private ? *(int *)private : NUMA_NO_NODE;
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_NOWARN | __GFP_NORETRY;

	if (wants_address(src))
		gfp &= ~__GFP_HIGHMEM;
	return (struct folio *)alloc_pages_node(nid, migration_gfp(src, gfp), folio_order(src));
}

/* ---- one folio -------------------------------------------------------------------------------- */

struct migration {
	new_folio_fn get_new;
	free_folio_fn put_new;
	void *private;
	enum migrate_mode mode;
	enum migrate_reason reason;
	struct list_head *from; /* where the pages of a huge page come that was split */
	/* Frames whose contents have moved, each with the isolator's reference, and what of one node's lruvec is still
	 * counted as isolated: both are settled for a batch (settle()). */
	struct list_head old;
	unsigned int nr_old;
	struct lruvec *lruvec;
	u64 moved;
};

#define SETTLE_BATCH 32u

static void settle_isolated(struct migration *m)
{
	if (m->moved)
		lru_unisolate(m->lruvec, m->moved);
	m->moved = 0;
}

static void settle(struct migration *m)
{
	settle_isolated(m);
	release_page_list(&m->old);
	m->nr_old = 0;
}

/* The pages are not isolated any more. A memory cgroup may end with its last page, so its lruvec is told at once. */
static void note_moved(struct migration *m, struct lruvec *lruvec, u64 pages)
{
	if (unlikely(lruvec->memcg)) {
		lru_unisolate(lruvec, pages);
		return;
	}
	if (lruvec != m->lruvec) {
		settle_isolated(m);
		m->lruvec = lruvec;
	}
	m->moved += pages;
}

/* What a page is to reclaim and to its file; the rest (locked, waiters, LRU, caches) belongs to the
 * frame or is set where it is earned. */
#define FLAGS_MOVED                                                                                \
	(1ull << PG_referenced | 1ull << PG_uptodate | 1ull << PG_dirty | 1ull << PG_active |      \
	 1ull << PG_swapbacked | 1ull << PG_readahead | 1ull << PG_error | 1ull << PG_workingset | \
	 1ull << PG_lazyfree | 1ull << PG_young)

static void move_identity(struct folio *dst, struct folio *src)
{
	dst->page.type = src->page.type;
	dst->page.mapping = src->page.mapping;
	dst->page.index = src->page.index;
	atomic_or(&dst->page.flags, READ_ONCE(src->page.flags) & FLAGS_MOVED);
}

static void forget_identity(struct folio *folio)
{
	atomic_and(&folio->page.flags, ~FLAGS_MOVED);
	folio->page.mapping = NULL;
	folio->page.index = 0;
}

/* dst is in its mapping now, and on no list. mlock(2) is a promise of VMAs: they renew it when they map dst
 * (rmap_migrate.c). Locked shared memory is a promise of the mapping. */
static void move_unevictable(struct folio *dst, struct folio *src)
{
	const struct address_space *mapping = page_mapping_file(&dst->page);

	lru_set_mlocked(&src->page, LRU_LET_GO);
	if (mapping && READ_ONCE(mapping->flags) & AS_UNEVICTABLE)
		lru_set_unevictable(&dst->page, LRU_KEEP);
}

static void copy_folio(struct folio *dst, struct folio *src)
{
	if (unlikely(folio_test_large(src)))
		hugetlb_copy_page(&dst->page, &src->page);
	else
		copy_highpage(&dst->page, &src->page);
}

static int switch_in_cache(struct folio *dst, struct folio *src, int expected)
{
	return unlikely(folio_test_large(src)) ? shmem_migrate_folio(dst, src, expected)
					       : page_cache_migrate(dst, src, expected);
}

/* Both locked, src unmapped. The switch: after it dst is the page, and charged for it. */
static int move_to_new_folio(struct folio *dst, struct folio *src)
{
	const bool in_file = page_mapping_file(&src->page), in_swap = folio_test_swapcache(src);
	const int expected = 1 + in_file + in_swap;
	int err = 0;

	/* Shared memory on its way from its file to the swap cache, or back. */
	if (in_file && in_swap)
		return -EAGAIN;
	if (folio_ref_count(src) != expected)
		return -EAGAIN;
	/* Nobody writes any more: there is no PTE, we hold the page lock, and a new reference
	 * would be noticed when the frames change places. */
	copy_folio(dst, src);
	move_identity(dst, src);
	if (in_file)
		err = switch_in_cache(dst, src, expected);
	else if (in_swap)
		err = swap_cache_migrate(dst, src, expected);
	else if (folio_ref_count(src) != expected)
		err = -EAGAIN;
	if (err) {
		forget_identity(dst);
		dst->page.type = PAGE_OTHER;
	} else {
		mem_cgroup_migrate(&src->page, &dst->page);
	}
	return err;
}

/* Lock and writeback, as far as the mode waits. 0, -EAGAIN (may pass soon) or -EBUSY. */
static int lock_for_migration(struct folio *src, enum migrate_mode mode)
{
	if (!folio_trylock(src)) {
		/* A thread in reclaim may hold page locks: it must not wait for another. */
		if (mode == MIGRATE_ASYNC || (current_thread_info()->flags & TIF_MEMALLOC))
			return -EAGAIN;
		folio_lock(src);
	}
	if (folio_test_writeback(src)) {
		if (mode != MIGRATE_SYNC) {
			folio_unlock(src);
			return -EBUSY;
		}
		folio_wait_writeback(src);
	}
	return 0;
}

static int migrate_driver_page(struct folio *dst, struct folio *src, enum migrate_mode mode)
{
	const struct movable_ops *ops;
	int err = lock_for_migration(src, mode);

	if (err)
		return err;
	if (!PageMovable(&src->page)) {
		ClearPageIsolated(&src->page);
		folio_unlock(src); /* the driver has released it; this is the last reference */
		return -ENOENT;
	}
	folio_trylock(dst);
	ops = (const void *)((unsigned long)src->page.mapping - PAGE_MAPPING_MOVABLE);
	dst->page.type = src->page.type;
	page_set_movable(&dst->page, ops);
	err = ops->migrate_page(&dst->page, &src->page, mode);
	if (err) {
		page_clear_movable(&dst->page);
		dst->page.type = PAGE_OTHER;
	} else {
		page_clear_movable(&src->page);
		ClearPageIsolated(&src->page);
		count_vm_event(PGMIGRATE_SUCCESS);
	}
	folio_unlock(dst);
	folio_unlock(src);
	return err;
}

static void count_success(const struct folio *folio)
{
	count_vm_events(PGMIGRATE_SUCCESS, folio_nr_pages(folio));
	if (unlikely(folio_test_large(folio)))
		count_vm_event(THP_MIGRATION_SUCCESS);
}

/* src is dst now. As long as there are entries, src says of what kind they are: then not before they are gone. */
static void finish_move(struct folio *dst, struct folio *src, struct lruvec *lruvec,
			struct migration *m)
{
	note_moved(m, lruvec, folio_nr_pages(src));
	forget_identity(src);
	lru_add(&dst->page);
}

/* One PTE maps it, and nobody else holds it, as far as can be told without locks. */
static bool looks_exclusive(const struct folio *src)
{
	const u64 not_so = 1ull << PG_head | 1ull << PG_swapcache | 1ull << PG_unevictable;

	return !(READ_ONCE(src->page.flags) & not_so) && PageAnon(&src->page) &&
	       page_mapcount(&src->page) == 1 && folio_ref_count(src) == 2;
}

/* The short way, src locked. False: the long way decides. */
static bool migrate_exclusive(struct folio *dst, struct folio *src, struct lruvec *lruvec,
			      struct migration *m)
{
	move_identity(dst, src);
	if (unlikely(!rmap_move_exclusive(&src->page, &dst->page))) {
		forget_identity(dst);
		dst->page.type = PAGE_OTHER;
		return false;
	}
	finish_move(dst, src, lruvec, m);
	return true;
}

/* 0: moved. -ENOENT: freed meanwhile. -EAGAIN, -EBUSY: it stays. */
static int migrate_lru_folio(struct folio *dst, struct folio *src, struct migration *m)
{
	struct lruvec *lruvec = page_lruvec(&src->page);
	int err = lock_for_migration(src, m->mode);

	if (err)
		return err;
	if (folio_ref_count(src) == 1) {
		folio_unlock(src); /* everybody else has let go of it */
		return -ENOENT;
	}
	if (!src->page.mapping && !folio_test_swapcache(src)) {
		folio_unlock(src); /* left its file; somebody still holds it */
		return -EAGAIN;
	}
	if (likely(looks_exclusive(src))) {
		err = should_fail(FAIL_MIGRATE) ? -EAGAIN : 0;
		if (err || migrate_exclusive(dst, src, lruvec, m)) {
			folio_unlock(src);
			return err;
		}
	}
	folio_trylock(dst); /* nobody else knows it */
	SetPageMigrating(&src->page);
	SetPageMigrating(&dst->page);
	err = folio_mapped(src) && !try_to_migrate(&src->page) ? -EAGAIN : 0;
	if (!err && should_fail(FAIL_MIGRATE))
		err = -EAGAIN;
	if (!err)
		err = move_to_new_folio(dst, src);
	if (!err && unlikely(PageUnevictable(&src->page)))
		move_unevictable(dst, src);
	/* The page must be counted before others find it in its new frame, which they may as soon as it is unlocked. */
	if (!err)
		count_success(src);
	remove_migration_ptes(&src->page, err ? &src->page : &dst->page);
	ClearPageMigrating(&src->page);
	ClearPageMigrating(&dst->page);
	if (!err)
		finish_move(dst, src, lruvec, m);
	folio_unlock(dst);
	folio_unlock(src);
	return err;
}

/* ---- a list of them --------------------------------------------------------------------------- */

/* An isolated huge page that cannot move as a whole becomes single pages on the list, which are tried next. 0,
 * or why it stays. */
static __attribute__((noinline)) int split_isolated(struct folio *src, const struct migration *m)
{
	struct lruvec *lruvec = page_lruvec(&src->page);
	u64 gone = folio_nr_pages(src) - 1;
	struct page *page, *next;
	LIST_HEAD(tails);
	int err = lock_for_migration(src, m->mode);

	if (err)
		return err;
	err = split_folio(src, &tails);
	folio_unlock(src);
	if (err)
		return err;
	list_for_each_entry_safe (page, next, &tails, lru) {
		list_move_tail(&page->lru, m->from);
		gone--;
	}
	if (gone)
		lru_unisolate(lruvec, gone); /* nobody used them: they are free */
	count_vm_event(THP_MIGRATION_FAIL);
	count_vm_event(THP_MIGRATION_SPLIT);
	return 0;
}

/* Each page of it on its way, for whoever follows one. */
static void trace_move(struct folio *dst, struct folio *src, enum migrate_reason reason)
{
	for (unsigned long i = 0; unlikely(trace_on) && i < folio_nr_pages(src); i++)
		trace_point(MIGRATE, folio_pfn(dst) + i, .pfn = folio_pfn(src) + i, .arg = reason);
}

static void give_back(struct folio *dst, const struct migration *m)
{
	if (m->put_new)
		m->put_new(dst, m->private);
	else
		folio_put(dst);
}

/* As migrate_lru_folio(); -ENOMEM: nowhere to go. */
static int migrate_one(struct folio *src, struct migration *m)
{
	const bool driver = PageIsolated(&src->page);
	struct folio *dst;
	int err;

	/* The page was freed meanwhile: no new frame is needed. */
	if (!driver && folio_ref_count(src) == 1)
		return -ENOENT;
	/* A folio that waits to be split is split before it moves (as Linux 6.12). */
	if (unlikely(folio_test_large(src)) && thp_is_deferred(src) && !split_isolated(src, m))
		return -EAGAIN;
	dst = m->get_new(src, m->private);
	if (!dst && folio_test_large(src) && m->reason != MR_NUMA_MISPLACED &&
	    !split_isolated(src, m))
		return -EAGAIN;
	if (!dst)
		return -ENOMEM;
	if (unlikely(page_is_high(&dst->page) && wants_address(src))) {
		give_back(dst, m);
		return -EBUSY;
	}
	err = driver ? migrate_driver_page(dst, src, m->mode) : migrate_lru_folio(dst, src, m);
	if (!err) {
		trace_move(dst, src, m->reason);
		release_page(&dst->page); /* the allocation's; its users have theirs */
	} else {
		give_back(dst, m);
	}
	return err;
}

int migrate_pages(struct list_head *from, new_folio_fn get_new, free_folio_fn put_new,
		  void *private, enum migrate_mode mode, enum migrate_reason reason,
		  unsigned int *moved)
{
	struct migration m = {.get_new = get_new,
			      .put_new = put_new,
			      .private = private,
			      .mode = mode,
			      .reason = reason,
			      .from = from,
			      .old = LIST_HEAD_INIT(m.old)};
	const int tries = mode == MIGRATE_ASYNC ? TRIES_ASYNC : TRIES;
	unsigned int succeeded = 0, failed = 0, failed_pages = 0, retry = 1;
	struct page *page, *next;
	LIST_HEAD(freed);
	LIST_HEAD(stay);
	int err = 0;

	for (int i = 0; i < tries && retry && err != -ENOMEM; i++) {
		retry = 0;
		list_for_each_entry_safe (page, next, from, lru) {
			const bool driver = PageIsolated(page);
			const unsigned int pages = folio_nr_pages((struct folio *)page);

			cond_resched();
			err = migrate_one((struct folio *)page, &m);
			if (err == -ENOMEM)
				break;
			retry += err == -EAGAIN;
			succeeded += err ? 0 : pages;
			if (err == -EAGAIN)
				continue;
			/* Moved, or freed while it was isolated. A driver's page is on no LRU
			 * list. */
			list_del(&page->lru);
			if (err && err != -ENOENT)
				list_add_tail(&page->lru, &stay);
			else if (driver)
				put_page(page);
			else if (!err && unlikely(reason == MR_MEMORY_FAILURE))
				page_withdraw(page); /* the last reference is its own now */
			else if (!err)
				list_add_tail(&page->lru, &m.old); /* with its last reference */
			else
				list_add_tail(&page->lru, &freed);
			if (!err && ++m.nr_old >= SETTLE_BATCH)
				settle(&m);
		}
	}
	settle(&m);
	list_splice_init(&stay, from);
	list_for_each_entry (page, from, lru) {
		failed++;
		failed_pages += folio_nr_pages((struct folio *)page);
		if (unlikely(PageHead(page)))
			count_vm_event(THP_MIGRATION_FAIL);
	}
	lru_putback(&freed); /* frees them: nobody else has a reference */
	count_vm_events(PGMIGRATE_FAIL, failed_pages);
	if (moved)
		*moved = succeeded;
	return err == -ENOMEM ? err : (int)failed;
}
