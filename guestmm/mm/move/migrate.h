/*
 * Migration: moving the contents of a frame to another frame, while everybody who uses the page finds
 * it under the address he knew.
 *
 * Movable are folios on an LRU list (anonymous, of the swap cache, of files, shared memory; huge ones, too) and pages
 * of a driver that has said how (struct movable_ops). Everything else is pinned where it is: slabs,
 * page tables, stacks, and any page that somebody holds a reference on whom migration does not know, such as a
 * device that reads it. Locked memory (mlock) moves, too: it promises that no access waits for a disk, not that a page
 * keeps its frame. vm.compact_unevictable_allowed = 0 keeps compaction away from it.
 *
 * Callers collect pages with isolate_movable_page() or lru_isolate() on a list, give it to
 * migrate_pages(), and give what is left back with putback_movable_pages(). The protocol is in
 * migrate.c.
 *
 * Locks: page lock > i_mmap_lock or anon_vma lock > page_table_lock > address_space lock or swap area's
 * lock. migrate_pages() is called with none of them and may sleep, but for MIGRATE_ASYNC, which waits
 * for nobody.
 */
#ifndef MM_MIGRATE_H
#define MM_MIGRATE_H
#include "arch/pgtable.h"
#include "mm/phys/folio.h"

enum migrate_mode {
	MIGRATE_ASYNC,	    /* skip pages that are locked or being written */
	MIGRATE_SYNC_LIGHT, /* wait for locks, not for writes */
	MIGRATE_SYNC,	    /* wait for both */
};

/** Why pages move: for the trace. */
enum migrate_reason {
	MR_COMPACTION,
	MR_MEMORY_FAILURE,
	MR_MEMORY_HOTPLUG,
	MR_SYSCALL,
	MR_MEMPOLICY_MBIND,
	MR_NUMA_MISPLACED,
	MR_CONTIG_RANGE,
	MR_DEMOTION,
};

/** Where to: a folio of src's order with one reference, type and mapping not set; NULL: there is none,
 * and migrate_pages() ends. */
typedef struct folio *(*new_folio_fn)(struct folio *src, void *private);
/** A folio that get_new gave was not needed. */
typedef void (*free_folio_fn)(struct folio *dst, void *private);

/**
 * Move the isolated pages of `from`, which are linked by lru. What could not be moved stays on the
 * list; what was moved leaves it. Each page is tried up to ten times (MIGRATE_ASYNC: three). put_new
 * may be NULL: folio_put().
 * Returns the number of pages that stayed, or -ENOMEM when get_new gave NULL. *moved (may be NULL) is
 * the number of pages moved. A huge page for which get_new gives NULL is split, and its pages are tried on
 * their own; on the list it counts as one.
 */
int migrate_pages(struct list_head *from, new_folio_fn get_new, free_folio_fn put_new,
		  void *private, enum migrate_mode mode, enum migrate_reason reason,
		  unsigned int *moved);

/** May this page be moved, as far as can be told without taking it? Stale answers are possible. */
bool page_is_movable(const struct page *page);
/** Take a page for migration: off its LRU list or from its driver, with a reference. False: it cannot be
 * moved, or not now. May sleep for a driver's page. */
bool isolate_movable_page(struct page *page);
/** Return what isolate_movable_page() took, and drop the references. */
void putback_movable_pages(struct list_head *pages);

/** The flags for a page in src's place: for a huge page without kswapd's help, and compound. */
gfp_t migration_gfp(const struct folio *src, gfp_t gfp);
/** get_new for callers that care only for the node: *(int *)private, NUMA_NO_NODE for any. */
struct folio *alloc_migration_target(struct folio *src, void *private);

/* ---- pages of drivers */

/**
 * A driver whose pages can move. The page lock is held in all three calls.
 * isolate    the driver shall not use the page until migrate or putback; false: it cannot now
 * migrate    copy src to dst and use dst from now on; 0 or -EAGAIN. dst has been marked movable by it
 * putback    use the page again
 */
struct movable_ops {
	bool (*isolate_page)(struct page *page);
	int (*migrate_page)(struct page *dst, struct page *src, enum migrate_mode mode);
	void (*putback_page)(struct page *page);
};
#define PAGE_MAPPING_MOVABLE 2ul
/** Page locked. The driver holds a reference for as long as the page is marked. */
void page_set_movable(struct page *page, const struct movable_ops *ops);
/** Page locked. It is no longer movable; an isolated one is freed by the code that isolated it. */
void page_clear_movable(struct page *page);
static inline bool PageMovable(const struct page *page)
{
	return ((unsigned long)READ_ONCE(page->mapping) & 3) == PAGE_MAPPING_MOVABLE;
}

/* ---- what else mm/ needs to know */

/** The folio's frame changes: the caches' part. Page locks of both held, src unmapped; `expected` is
 * the number of references that are known of. 0, or -EAGAIN: somebody came. filemap.c, swap_cache.c. */
int page_cache_migrate(struct folio *dst, struct folio *src, int expected);
int swap_cache_migrate(struct folio *dst, struct folio *src, int expected);

/** Move what the locked, isolated anonymous src is to dst, which has its identity already and which nobody else knows:
 * contents, PTE, charge; it is counted, too. Only if one PTE and the isolator are all that holds src, which is in no swap cache. False:
 * there is more, and nothing has changed. rmap_migrate.c. */
bool rmap_move_exclusive(struct page *src, struct page *dst);
/** Replace every PTE of the locked page by a migration entry. False: some are left; undo with
 * remove_migration_ptes(). rmap_migrate.c. */
bool try_to_migrate(struct page *page);
/** Replace every migration entry of the locked `src` by `with`, which is no page: a marker, or nothing. The page is not
 * mapped there any more, and counts in no rss. */
void replace_migration_ptes(struct page *src, pte_t with);
/** Replace every migration entry of `src` by a PTE of `dst`, which may be src itself. Both locked. */
void remove_migration_ptes(struct page *src, struct page *dst);
/** Pages that only one process maps, or also those that others map: MPOL_MF_MOVE, MPOL_MF_MOVE_ALL. */
enum migrate_whose { MIGRATE_OWN, MIGRATE_SHARED_TOO };
#endif
