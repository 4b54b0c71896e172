/*
 * The page cache: which pages of a file are in memory. read(2) and write(2) are in file_rw.c.
 * Invariants I1..I5 and the order of locks are in pagecache.h.
 *
 *   empty ──add──> locked, not uptodate ──read──> uptodate <──> dirty <──> writeback
 *     ^                                              │
 *     └── shadow <──evict── clean, unmapped <────────┘
 *
 * F1  nrpages, nrvalues and NR_FILE_PAGES change together with the tree, under mapping->lock.
 * F2  Whoever finds a page in the tree takes its reference under mapping->lock. So a page whose
 *     reference count was changed from 2 to 0 under that lock has no other user and gets none.
 *     (F3, on copying to and from user memory, is in file_rw.c.)
 *
 * Inserting tries without nodes set aside, which nearly always suffices; only then nodes are
 * allocated, outside the lock.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "lib/trace.h"
#include "mm/memcg/memcg.h"
#include "mm/cache/bdi.h"
#include "mm/cache/filemap.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/workingset.h"
#include "mm/slab/slab.h"

void pagecache_init(void)
{
	radix_tree_init();
	writeback_init();
	shadows_init();
}

void address_space_init(struct address_space *mapping, struct inode *host,
			const struct address_space_ops *ops, u32 flags)
{
	memset(mapping, 0, sizeof(*mapping));
	mapping->host = host;
	mapping->ops = ops;
	mapping->flags = flags;
	/* A lock class of its own: the end of a write takes a file's lock in an interrupt; shared memory's is held
	 * around locks that interrupts do not take. */
	if (flags & AS_SHMEM)
		spin_lock_init(&mapping->lock);
	else
		spin_lock_init(&mapping->lock);
	spin_lock_init(&mapping->i_mmap_lock);
	init_rwsem(&mapping->invalidate_lock);
	INIT_LIST_HEAD(&mapping->dirty_list);
	mapping->wb = &default_wb;
	INIT_LIST_HEAD(&mapping->shadow_list);
}

/* ---- finding ---------------------------------------------------------------------------------- */

struct page *find_get_page(struct address_space *mapping, unsigned long index)
{
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	struct page *page = lookup_page(mapping, index);

	if (page)
		get_page(page);
	spin_unlock_irqrestore(&mapping->lock, flags);
	return page;
}

struct page *find_lock_page(struct address_space *mapping, unsigned long index)
{
	for (;;) {
		struct page *page = find_get_page(mapping, index);

		if (!page)
			return NULL;
		lock_page(page);
		if (likely(page->mapping == mapping))
			return page;
		unlock_page(page); /* it left the cache while we waited */
		put_page(page);
	}
}

unsigned int find_get_pages(struct address_space *mapping, unsigned long *index, unsigned long end,
			    int tag, struct page **pages, unsigned int max)
{
	unsigned long flags, at = *index;
	unsigned int n = 0, got;

	flags = spin_lock_irqsave(&mapping->lock);
	/* A tail has no reference count, so this function cannot handle large folios (huge/thp_shmem.c, H1). */
	if (unlikely(mapping->nr_thps))
		end = at;
	while (n < max && at < end) {
		void **found = (void **)pages + n;

		if (tag < 0) {
			got = radix_next_many(&mapping->pages, &at, end, found, max - n);
		} else {
			*found = radix_next_tagged(&mapping->pages, &at, tag);
			got = *found && at < end;
			at = got ? at + 1 : end;
		}
		for (unsigned int i = 0; i < got; i++) {
			if (radix_is_value(found[i]))
				continue;
			pages[n] = found[i];
			get_page(pages[n++]);
		}
		if (!at)
			break; /* that was the largest index */
	}
	spin_unlock_irqrestore(&mapping->lock, flags);
	*index = at ? at : end;
	return n;
}

/* ---- entering and leaving --------------------------------------------------------------------- */

struct page *page_cache_alloc(const struct address_space *mapping, gfp_t gfp)
{
	if (unlikely(mapping->flags & AS_LOWMEM))
		gfp &= ~__GFP_HIGHMEM;
	return alloc_pages_type(gfp, 0, mapping->flags & AS_SHMEM ? PAGE_SHMEM : PAGE_FILE);
}

static void lru_add_cache_page(struct page *page, const struct address_space *mapping)
{
	if (mapping->flags & AS_SHMEM)
		SetPageSwapBacked(page);
	if (mapping->flags & AS_UNEVICTABLE)
		SetPageUnevictable(page);
	lru_add(page);
}

/* Insert the page; its slot is empty or holds a shadow. mapping->lock held. */
static int insert_page(struct page *page, struct address_space *mapping, unsigned long index,
		       struct radix_preload *preload, u32 *shadow)
{
	int err = radix_insert(&mapping->pages, index, page, preload);

	if (err == -EEXIST && !(mapping->flags & AS_SHMEM)) {
		void *item = radix_lookup(&mapping->pages, index);

		if (!radix_is_value(item))
			return err;
		radix_replace(&mapping->pages, index, page);
		*shadow = radix_value(item);
		mapping->nrvalues--;
		atomic_sub(&nr_shadows, 1);
		err = 0;
	}
	if (err)
		return err;
	mapping->nrpages++;
	trace_file(FILE_ADD, page, mapping, .arg = page->type);
	page_stat_add(page, NR_FILE_PAGES, 1);
	if (mapping->flags & AS_SHMEM)
		page_stat_add(page, NR_SHMEM, 1);
	return 0;
}

int add_to_page_cache_lru(struct page *page, struct address_space *mapping, unsigned long index,
			  u32 gfp)
{
	struct radix_preload preload = {0};
	unsigned long flags;
	u32 shadow = 0;
	int err;

	if (mem_cgroup_charge(page, NULL, gfp))
		return -ENOMEM;
	page->mapping = mapping;
	page->index = index;
	page->type = mapping->flags & AS_SHMEM ? PAGE_SHMEM : PAGE_FILE;
	SetPageLocked(page);
	get_page(page);
	for (;;) {
		flags = spin_lock_irqsave(&mapping->lock);
		err = insert_page(page, mapping, index, &preload, &shadow);
		spin_unlock_irqrestore(&mapping->lock, flags);
		if (likely(err != -ENOMEM))
			break;
		if (unlikely(preload.free))
			radix_preload_end(&preload); /* the tree has grown meanwhile */
		err = radix_preload(&preload, &mapping->pages, index, gfp);
		if (err)
			break;
	}
	if (unlikely(preload.free))
		radix_preload_end(&preload);
	if (unlikely(err)) {
		page->mapping = NULL;
		page->type = PAGE_OTHER;
		ClearPageLocked(page);
		atomic_sub(&page->refcount, 1);
		return err;
	}
	if (unlikely(shadow))
		workingset_refault(page, shadow);
	lru_add_cache_page(page, mapping);
	return 0;
}

/* mapping->lock held, page locked, neither dirty nor under writeback. The reference of the cache is
 * the caller's from now on. */
static void remove_page(struct page *page, struct address_space *mapping, void *shadow)
{
	if (shadow) {
		if (mapping->pages.tags)
			radix_tag_clear(&mapping->pages, page->index, PAGECACHE_TAG_TOWRITE);
		radix_replace(&mapping->pages, page->index, shadow);
		mapping->nrvalues++;
	} else {
		radix_delete(&mapping->pages, page->index);
	}
	trace_file(FILE_DEL, page, mapping);
	page->mapping = NULL;
	mapping->nrpages--;
	page_stat_add(page, NR_FILE_PAGES, -1);
	if (mapping->flags & AS_SHMEM)
		page_stat_add(page, NR_SHMEM, -1);
}

void delete_from_page_cache(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);
	unsigned long flags;

	if (PageDirty(page))
		cancel_dirty_page(page);
	flags = spin_lock_irqsave(&mapping->lock);
	remove_page(page, mapping, NULL);
	spin_unlock_irqrestore(&mapping->lock, flags);
	put_page(page);
}

/* What remains in the place of a page that leaves the cache. */
enum shadow { NO_SHADOW, LEAVE_SHADOW };

/* F2: remove it from the cache if only the cache and the caller hold references. */
static bool remove_unused(struct page *page, enum shadow what)
{
	struct address_space *mapping = page_mapping_file(page);
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	bool done = false;

	if (atomic_cmpxchg(&page->refcount, 2, 0) == 2) {
		if (unlikely(PageDirty(page) || PageWriteback(page))) {
			atomic_store(&page->refcount, 2);
		} else {
			void *shadow = NULL;

			if (what == LEAVE_SHADOW && shadow_wanted(mapping))
				shadow = radix_make_value(workingset_eviction(page));
			remove_page(page, mapping, shadow);
			done = true;
		}
	}
	spin_unlock_irqrestore(&mapping->lock, flags);
	return done;
}

bool page_cache_evict(struct page *page)
{
	return remove_unused(page, LEAVE_SHADOW);
}

bool page_cache_drop(struct page *page)
{
	return remove_unused(page, NO_SHADOW);
}

/* Add or remove the page in the counters of its zone. mapping->lock held. */
static void count_levels(const struct address_space *mapping, const struct page *page, bool dirty,
			 s64 n)
{
	page_stat_add(page, NR_FILE_PAGES, n);
	if (mapping->flags & AS_SHMEM)
		page_stat_add(page, NR_SHMEM, n);
	if (dirty && mapping_is_written(mapping))
		page_stat_add(page, NR_FILE_DIRTY, n);
}

int page_cache_migrate(struct folio *dst, struct folio *src, int expected)
{
	struct address_space *mapping = page_mapping_file(&src->page);
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	int err = -EAGAIN;

	/* F2. The tags stay with the index. */
	if (atomic_cmpxchg(&src->page.refcount, expected, expected - 1) == expected) {
		const bool dirty = folio_test_dirty(dst);

		folio_get(dst);
		radix_replace(&mapping->pages, src->page.index, dst);
		if (folio_zone(dst) != folio_zone(src))
			count_levels(mapping, &src->page, dirty, -1);
		mem_cgroup_migrate(&src->page, &dst->page);
		if (folio_zone(dst) != folio_zone(src))
			count_levels(mapping, &dst->page, dirty, 1);
		err = 0;
	}
	spin_unlock_irqrestore(&mapping->lock, flags);
	return err;
}

struct page *find_or_create_page(struct address_space *mapping, unsigned long index, u32 gfp)
{
	for (;;) {
		struct page *page = find_lock_page(mapping, index);
		int err;

		if (page)
			return page;
		page = page_cache_alloc(mapping, gfp);
		if (!page)
			return NULL;
		err = add_to_page_cache_lru(page, mapping, index, gfp & ~GFP_ZONE_MASK);
		if (likely(!err))
			return page;
		__free_page(page);
		if (err != -EEXIST)
			return NULL;
	}
}

/* ---- reading ---------------------------------------------------------------------------------- */

/* Read a locked page of the mapping and wait. The page is unlocked in every case. 0 or -errno. */
static int read_locked_page(struct address_space *mapping, struct page *page)
{
	int err;

	ClearPageError(page);
	err = mapping->ops->readpages(mapping, &page, 1);
	if (err)
		return err;
	lock_page(page);
	err = PageUptodate(page) || page->mapping != mapping ? 0 : -EIO;
	unlock_page(page);
	return err;
}

int page_cache_wait_uptodate(struct address_space *mapping, struct page *page)
{
	lock_page(page);
	if (PageUptodate(page) || page->mapping != mapping) {
		unlock_page(page);
		return 0;
	}
	return read_locked_page(mapping, page);
}

int page_cache_add_and_read(struct address_space *mapping, unsigned long index)
{
	struct page *page = page_cache_alloc(mapping, GFP_HIGHUSER_MOVABLE);
	int err;

	if (!page)
		return -ENOMEM;
	err = add_to_page_cache_lru(page, mapping, index, GFP_KERNEL);
	if (err) {
		__free_page(page);
		return err == -EEXIST ? 0 : err;
	}
	err = read_locked_page(mapping, page);
	put_page(page);
	return err;
}

struct page *read_cache_page(struct address_space *mapping, unsigned long index, int *err)
{
	*err = 0;
	for (;;) {
		struct page *page = find_get_page(mapping, index);

		if (likely(page)) {
			if (likely(PageUptodate(page)))
				return page;
			*err = page_cache_wait_uptodate(mapping, page);
			if (!*err && page->mapping == mapping && PageUptodate(page))
				return page;
			put_page(page);
		} else {
			down_read(&mapping->invalidate_lock);
			/* Do not add a page beyond the end after a truncation that this thread did not see (I5). */
			if (mapping->host && beyond_end(mapping, index))
				*err = -EFAULT;
			else
				*err = page_cache_add_and_read(mapping, index);
			up_read(&mapping->invalidate_lock);
		}
		if (*err)
			return NULL;
		if (unlikely(current_thread_info()->flags & TIF_KILLED)) {
			*err = -EINTR;
			return NULL;
		}
	}
}
