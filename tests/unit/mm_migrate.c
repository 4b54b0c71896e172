/*
 * Migration: each kind of page keeps its contents, its place and its counts when its frame changes; pages
 * that must not move do not; every path that meets a migration entry does the right thing. Last, processes
 * that map, write, fork, protect, move, unmap and swap are played against plain arrays, byte for byte, while
 * their pages move.
 */
#include "check.h"
#include "mm/cache/filemap.h"
#include "mm/init.h"
#include "mm/move/migrate.h"
#include "mm/rmap/migrate_entry.h"
#include "mm_user.h"
#include "unit.h"

#define SHARED	   (MAP_SHARED | MAP_ANONYMOUS)
#define FILE_PAGES 64ul

static struct host_disk *disk, *swap;
static struct address_space *dev;
static struct file *file;

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

static pte_t pte_at(struct mm_struct *mm, unsigned long addr)
{
	pte_t *pte = walk_pte(mm->pgd, addr);

	return pte ? pte_read(pte) : __pte(0);
}

static struct page *page_at(struct mm_struct *mm, unsigned long addr)
{
	pte_t e = pte_at(mm, addr);

	return pte_present(e) && !pte_special(e) ? pfn_to_page(pte_pfn(e)) : NULL;
}

static unsigned long map(struct mm_struct *mm, unsigned long pages, int flags)
{
	long at = do_mmap(mm, 0, pages << PAGE_SHIFT, RW, flags, 0);

	MUST(at > 0, "mmap: %ld", at);
	return at;
}

static int may_map(struct map_source *src, unsigned long vm_flags)
{
	return 0;
}

static unsigned long map_file(struct mm_struct *mm, int flags, unsigned long pages)
{
	struct map_source src = {.file = file,
				 .mapping = dev,
				 .readable = true,
				 .writable = true,
				 .prepare = may_map};
	long at = do_mmap_file(mm, 0, pages << PAGE_SHIFT, RW, flags, 0, &src);

	MUST(at > 0, "mmap: %ld", at);
	return at;
}

/* Where pages go: `fail_at` counts down to a failure. */
static unsigned int fail_at, asked;

static struct folio *target(struct folio *src, void *private)
{
	asked++;
	if (fail_at && !--fail_at)
		return NULL;
	return alloc_migration_target(src, private);
}

/* 1: moved; 0: it stayed; -1: could not even be taken. */
static int move_page_mode(struct page *page, enum migrate_mode mode)
{
	unsigned int moved;
	LIST_HEAD(list);
	int left;

	lru_add_drain();
	if (!isolate_movable_page(page))
		return -1;
	list_add(&page->lru, &list);
	left = migrate_pages(&list, target, NULL, NULL, mode, MR_SYSCALL, &moved);
	MUST((left == 0) == list_empty(&list), "%d left", left);
	putback_movable_pages(&list);
	return moved;
}

static int move_page(struct page *page)
{
	return move_page_mode(page, MIGRATE_SYNC);
}

static void swap_all_out(struct mm_struct *mm)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};

	for (int i = 0; i < 20 && mm->rss_anon; i++) {
		lru_add_drain();
		shrink_node(&node_data[0], &sc);
		while (host_disk_complete(swap, 100))
			;
	}
}

/* ---- kinds of pages --------------------------------------------------------------------------- */

static void fill(struct page *page, u64 seed)
{
	u64 *w = host_page(page);

	for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
		w[i] = seed * (i + 1);
}

static bool filled(const struct page *page, u64 seed)
{
	const u64 *w = host_page(page);

	for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
		if (w[i] != seed * (i + 1))
			return false;
	return true;
}

static void anonymous(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map(mm, 4, PRIVATE);
	u64 success = event(PGMIGRATE_SUCCESS), index;
	struct page *old, *new;

	user_put(mm, at, 1);
	old = page_at(mm, at);
	fill(old, 77);
	index = old->index;
	CU_ASSERT_EQUAL(move_page(old), 1);
	new = page_at(mm, at);
	CU_ASSERT_PTR_NOT_EQUAL(new, old);
	CU_ASSERT(filled(new, 77));
	CU_ASSERT_EQUAL(new->type, PAGE_ANON);
	CU_ASSERT_EQUAL(new->index, index);
	CU_ASSERT(PageUptodate(new) && PageSwapBacked(new) && !PageMigrating(new) &&
		  !PageLocked(new));
	CU_ASSERT(!PageWaiters(new));
	CU_ASSERT(old->type == PAGE_PCP || old->type == PAGE_BUDDY);
	CU_ASSERT_EQUAL(event(PGMIGRATE_SUCCESS) - success, 1);
	/* Still its own: written without a copy. */
	CU_ASSERT(pte_write(pte_at(mm, at)));
	check_all();
	user_put(mm, at, 2);
	CU_ASSERT_PTR_EQUAL(page_at(mm, at), new);
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* The short way alone: what one PTE maps moves under the locks of one walk; where there is more, nothing changes. */
static void without_an_entry(void)
{
	struct mm_struct *mm = mm_alloc(), *child;
	unsigned long at = map(mm, 1, PRIVATE);
	struct page *old, *dst = alloc_page(GFP_HIGHUSER_MOVABLE);
	u64 success = event(PGMIGRATE_SUCCESS);
	pte_t before;

	user_put(mm, at, 1);
	old = page_at(mm, at);
	fill(old, 78);
	lru_add_drain();
	MUST(isolate_movable_page(old) && trylock_page(old), "isolate");
	before = pte_at(mm, at);

	get_page(old); /* somebody reads it */
	CU_ASSERT(!rmap_move_exclusive(old, dst));
	put_page(old);
	find_vma(mm, at)->flags |= VM_LOCKED;
	CU_ASSERT(!rmap_move_exclusive(old, dst));
	find_vma(mm, at)->flags &= ~VM_LOCKED;
	CU_ASSERT_EQUAL(pte_at(mm, at).v, before.v);
	child = dup_mm(mm);
	before = pte_at(mm, at);
	CU_ASSERT(!rmap_move_exclusive(old, dst));
	CU_ASSERT_EQUAL(pte_at(mm, at).v, before.v);
	CU_ASSERT_EQUAL(pte_at(child, at).v & PTE_PFN_MASK, before.v & PTE_PFN_MASK);
	mmput(child);
	CU_ASSERT_EQUAL(page_ref_count(dst), 1);
	CU_ASSERT_EQUAL(page_mapcount(dst), 0);
	CU_ASSERT_EQUAL(event(PGMIGRATE_SUCCESS), success);

	dst->type = old->type;
	dst->mapping = old->mapping;
	dst->index = old->index;
	dst->flags |= old->flags & (1ull << PG_uptodate | 1ull << PG_swapbacked);
	CU_ASSERT(rmap_move_exclusive(old, dst));
	CU_ASSERT_EQUAL(pte_at(mm, at).v & ~PTE_PFN_MASK, before.v & ~PTE_PFN_MASK);
	CU_ASSERT_PTR_EQUAL(page_at(mm, at), dst);
	CU_ASSERT(filled(dst, 78));
	CU_ASSERT_EQUAL(page_mapcount(old), 0);
	CU_ASSERT_EQUAL(page_ref_count(old), 1);
	CU_ASSERT_EQUAL(page_mapcount(dst), 1);
	CU_ASSERT_EQUAL(page_ref_count(dst), 2);
	CU_ASSERT_EQUAL(event(PGMIGRATE_SUCCESS) - success, 1);

	lru_unisolate(page_lruvec(old), 1);
	old->mapping = NULL;
	unlock_page(old);
	put_page(old);
	lru_add(dst);
	put_page(dst);
	lru_add_drain();
	check_all();
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void shared_by_fork(void)
{
	struct mm_struct *mm = mm_alloc(), *child;
	unsigned long at = map(mm, 1, PRIVATE);
	struct page *new;

	user_put(mm, at, 1);
	child = dup_mm(mm);
	fill(page_at(mm, at), 5);
	CU_ASSERT_EQUAL(move_page(page_at(mm, at)), 1);
	new = page_at(mm, at);
	CU_ASSERT_PTR_EQUAL(page_at(child, at), new);
	CU_ASSERT_EQUAL(page_mapcount(new), 2);
	CU_ASSERT(filled(new, 5));
	check_all();
	user_put(child, at, 9); /* a copy, for the page is shared */
	CU_ASSERT_EQUAL(user_get(mm, at), 5);
	CU_ASSERT_EQUAL(user_get(child, at), 9);
	check_all();
	mmput(mm);
	mmput(child);
	check_all();
}

static void in_the_swap_cache(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map(mm, 8, PRIVATE);
	struct page *old;

	for (int i = 0; i < 8; i++)
		user_put(mm, at + i * PAGE_SIZE, 100 + i);
	swap_all_out(mm);
	CU_ASSERT_EQUAL(mm->rss_swap, 8);
	CU_ASSERT_EQUAL(user_get(mm, at), 100);
	old = page_at(mm, at);
	CU_ASSERT_FATAL(old && PageSwapCache(old)); /* the slot was kept */
	CU_ASSERT_EQUAL(move_page(old), 1);
	CU_ASSERT(PageSwapCache(page_at(mm, at)));
	check_all();
	/* One that was read ahead, and that nothing maps. */
	old = swap_cache_lookup(pte_to_swp_entry(pte_at(mm, at + PAGE_SIZE)));
	if (old) {
		put_page(old);
		CU_ASSERT_EQUAL(move_page(old), 1);
		check_all();
	}
	for (int i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(user_get(mm, at + i * PAGE_SIZE), 100 + i);
	/* Dirty again, out, and back: the slot's contents are the new ones. */
	user_put(mm, at, 200);
	CU_ASSERT_EQUAL(move_page(page_at(mm, at)), 1);
	swap_all_out(mm);
	CU_ASSERT_EQUAL(user_get(mm, at), 200);
	check_all();
	mmput(mm);
	check_all();
}

static void of_files(void)
{
	struct mm_struct *mm = mm_alloc(), *other = mm_alloc();
	unsigned long a = map_file(mm, MAP_SHARED, 8), b = map_file(other, MAP_PRIVATE, 8);
	struct page *old, *new;

	user_put(mm, a, 41);
	CU_ASSERT_EQUAL(user_get(other, b), 41);
	old = page_at(mm, a);
	CU_ASSERT(PageDirty(old));
	CU_ASSERT_EQUAL(move_page(old), 1);
	new = page_at(mm, a);
	CU_ASSERT_PTR_NOT_EQUAL(new, old);
	CU_ASSERT_PTR_EQUAL(page_at(other, b), new);
	CU_ASSERT_PTR_EQUAL(find_get_page(dev, 0), new);
	put_page(new);
	CU_ASSERT(PageDirty(new));
	check_all();
	user_put(mm, a, 42);
	CU_ASSERT_EQUAL(filemap_write_and_wait_range(dev, 0, ~0ull >> 1), 0);
	CU_ASSERT_EQUAL(*(u64 *)disk->data, 42);
	CU_ASSERT(!PageDirty(page_at(mm, a)));
	CU_ASSERT_EQUAL(global_stat(NR_FILE_DIRTY), 0);
	/* Clean and not mapped. */
	old = find_get_page(dev, 3);
	if (old) {
		put_page(old);
		CU_ASSERT_EQUAL(move_page(old), 1);
		CU_ASSERT_PTR_NULL(page_mapping_file(old));
	}
	mmput(mm);
	mmput(other);
	truncate_inode_pages(dev);
	check_all();
}

static void of_shared_memory(void)
{
	struct mm_struct *mm = mm_alloc(), *child;
	unsigned long at = map(mm, 4, SHARED);
	struct page *new;

	user_put(mm, at, 1);
	child = dup_mm(mm);
	CU_ASSERT_EQUAL(user_get(child, at), 1);
	CU_ASSERT_EQUAL(move_page(page_at(mm, at)), 1);
	new = page_at(mm, at);
	CU_ASSERT_PTR_EQUAL(page_at(child, at), new);
	user_put(child, at, 2);
	CU_ASSERT_EQUAL(user_get(mm, at), 2);
	check_all();
	mmput(mm);
	mmput(child);
	check_all();
}

/* MADV_FREE: what was written after it stays, what was not may go; moving changes neither. */
static void freed_lazily(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map(mm, 2, PRIVATE);

	user_put(mm, at, 1);
	user_put(mm, at + PAGE_SIZE, 2);
	lru_add_drain();
	CU_ASSERT_EQUAL(do_madvise(mm, at, 2 * PAGE_SIZE, MADV_FREE), 0);
	user_put(mm, at, 3);
	CU_ASSERT_EQUAL(nr_lazyfree, 2);
	CU_ASSERT_EQUAL(move_page(page_at(mm, at)), 1);
	CU_ASSERT_EQUAL(move_page(page_at(mm, at + PAGE_SIZE)), 1);
	CU_ASSERT_EQUAL(nr_lazyfree, 2);
	CU_ASSERT(pte_dirty(pte_at(mm, at)));
	CU_ASSERT(!pte_dirty(pte_at(mm, at + PAGE_SIZE)));
	swap_all_out(mm);
	CU_ASSERT_EQUAL(user_get(mm, at), 3);
	CU_ASSERT_EQUAL(user_get(mm, at + PAGE_SIZE), 0);
	mmput(mm);
	CU_ASSERT_EQUAL(nr_lazyfree, 0);
	check_all();
}

/* ---- what must not move ----------------------------------------------------------------------- */

static void what_stays(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map(mm, 4, PRIVATE);
	struct folio *large = folio_alloc(GFP_KERNEL, 2);
	void *object = kmalloc(100, GFP_KERNEL);
	u64 fail;
	struct page *p;

	user_put(mm, at, 1);
	p = page_at(mm, at);
	fill(p, 3);
	/* Somebody reads or writes it whom nobody knows. */
	get_page(p);
	fail = event(PGMIGRATE_FAIL);
	CU_ASSERT_EQUAL(move_page(p), 0);
	CU_ASSERT_EQUAL(event(PGMIGRATE_FAIL) - fail, 1);
	CU_ASSERT_PTR_EQUAL(page_at(mm, at), p);
	CU_ASSERT(pte_write(pte_at(mm, at)) && filled(p, 3));
	CU_ASSERT(!PageMigrating(p) && !PageLocked(p) && PageLRU(p));
	put_page(p);
	check_all();
	CU_ASSERT_EQUAL(move_page(p), 1);

	/* Kernel memory, free memory, tails, page tables. */
	CU_ASSERT_EQUAL(move_page(virt_to_page(object)), -1);
	CU_ASSERT_EQUAL(move_page(&large->page), -1);
	CU_ASSERT_EQUAL(move_page(folio_page(large, 1)), -1);
	CU_ASSERT_EQUAL(move_page(virt_to_page(mm->pgd)), -1);
	folio_put(large);
	CU_ASSERT_EQUAL(move_page(&large->page), -1);

	/* One that is written just now is waited for or skipped, one that somebody locked too. */
	user_put(mm, at + 3 * PAGE_SIZE, 3);
	p = page_at(mm, at + 3 * PAGE_SIZE);
	lock_page(p);
	CU_ASSERT_EQUAL(move_page_mode(p, MIGRATE_ASYNC), 0);
	host_set_tif(TIF_MEMALLOC);
	CU_ASSERT_EQUAL(move_page(p), 0);
	host_set_tif(0);
	SetPageWriteback(p);
	unlock_page(p);
	CU_ASSERT_EQUAL(move_page_mode(p, MIGRATE_SYNC_LIGHT), 0);
	ClearPageWriteback(p);
	CU_ASSERT_EQUAL(move_page(p), 1);
	kfree(object);
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* ---- who meets an entry ----------------------------------------------------------------------- */

/* A page half way: entries in place of its PTEs. */
static struct page *half_way(struct mm_struct *mm, unsigned long addr)
{
	struct page *page = page_at(mm, addr);

	lru_add_drain();
	MUST(isolate_movable_page(page), "isolate");
	MUST(trylock_page(page), "lock");
	SetPageMigrating(page);
	MUST(try_to_migrate(page), "try_to_migrate");
	MUST(pte_is_migration(pte_at(mm, addr)), "entry");
	return page;
}

static void finish(struct page *page)
{
	LIST_HEAD(list);

	remove_migration_ptes(page, page);
	ClearPageMigrating(page);
	unlock_page(page);
	list_add(&page->lru, &list);
	putback_movable_pages(&list);
}

/* The page at addr is locked, counted as such, and not `old`. */
static void moved_and_locked(struct mm_struct *mm, unsigned long addr, const struct page *old)
{
	struct page *p = page_at(mm, addr);

	lru_add_drain();
	CU_ASSERT_PTR_NOT_EQUAL(p, old);
	CU_ASSERT(PageMlocked(p) && PageUnevictable(p) && PageLRU(p));
	CU_ASSERT(!PageMlocked(old) && !PageUnevictable(old));
}

/* mlock(2) keeps a page in memory, not in its frame. */
static void locked_memory_moves(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map(mm, 4, PRIVATE), sh = map(mm, 2, SHARED);
	const s64 before = global_stat(NR_MLOCK);
	struct page *p;

	user_put(mm, at, 1);
	CU_ASSERT_EQUAL(do_mlock(mm, at, PAGE_SIZE, 0), 0);
	p = page_at(mm, at);
	CU_ASSERT(page_is_movable(p));
	lru_add_drain();
	CU_ASSERT(!lru_isolate(p)); /* for reclaim it is not there */
	CU_ASSERT_EQUAL(move_page(p), 1);
	moved_and_locked(mm, at, p);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK) - before, 1);

	/* One that somebody else refers to stays, and stays locked. */
	p = page_at(mm, at);
	get_page(p);
	CU_ASSERT_EQUAL(move_page(p), 0);
	put_page(p);
	CU_ASSERT(PageMlocked(p) && page_at(mm, at) == p);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK) - before, 1);

	/* Locked and unlocked while there is an entry. */
	user_put(mm, at + PAGE_SIZE, 2);
	p = half_way(mm, at + PAGE_SIZE);
	CU_ASSERT_EQUAL(do_mlock(mm, at + PAGE_SIZE, PAGE_SIZE, MLOCK_ONFAULT), 0);
	finish(p);
	CU_ASSERT(PageMlocked(p));
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK) - before, 2);

	/* Shared memory that SHM_LOCK locks: the mapping's promise. */
	user_put(mm, sh, 3);
	p = page_at(mm, sh);
	shmem_set_unevictable(page_mapping_file(p), LRU_KEEP);
	CU_ASSERT(PageUnevictable(p) && !PageMlocked(p));
	CU_ASSERT_EQUAL(move_page(p), 1);
	lru_add_drain();
	CU_ASSERT_PTR_NOT_EQUAL(page_at(mm, sh), p);
	CU_ASSERT(PageUnevictable(page_at(mm, sh)) && !PageMlocked(page_at(mm, sh)));

	CU_ASSERT_EQUAL(do_munlock(mm, at, 2 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), before);
	CU_ASSERT(!PageUnevictable(page_at(mm, at)));
	check_all();
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(global_stat(NR_UNEVICTABLE), 0);
}

static struct page *finishes;

static bool finish_it(void)
{
	if (!finishes)
		return false;
	finish(finishes);
	finishes = NULL;
	return true;
}

static void faults_wait(void)
{
	struct mm_struct *mm = mm_alloc(), *child;
	unsigned long at = map(mm, 2, PRIVATE);
	u64 waits = event(MMVM_MIGRATION_WAIT);

	host_idle_hook = finish_it;
	user_put(mm, at, 1);
	finishes = half_way(mm, at);
	CU_ASSERT_EQUAL(user_get(mm, at), 1);
	CU_ASSERT_EQUAL(event(MMVM_MIGRATION_WAIT) - waits, 1);
	finishes = half_way(mm, at);
	user_put(mm, at, 2);
	CU_ASSERT_EQUAL(event(MMVM_MIGRATION_WAIT) - waits, 2);
	CU_ASSERT_EQUAL(user_get(mm, at), 2);
	/* fork() waits, too, and then shares the page. */
	finishes = half_way(mm, at);
	child = dup_mm(mm);
	CU_ASSERT_PTR_NULL(finishes);
	CU_ASSERT_EQUAL(page_mapcount(page_at(mm, at)), 2);
	CU_ASSERT(!pte_write(pte_at(mm, at)) && !pte_write(pte_at(child, at)));
	CU_ASSERT_EQUAL(event(MMVM_MIGRATION_WAIT) - waits, 3);
	host_idle_hook = NULL;
	check_all();
	mmput(mm);
	mmput(child);
	check_all();
}

static void zapped_half_way(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map(mm, 2, PRIVATE), sh = map(mm, 2, SHARED),
		      f = map_file(mm, MAP_SHARED, 2);
	unsigned long addr[] = {at, sh, f};

	for (unsigned int i = 0; i < 3; i++) {
		struct page *p;
		s64 rss;

		user_put(mm, addr[i], 7);
		user_put(mm, addr[i] + PAGE_SIZE, 8);
		rss = mm_rss(mm);
		p = half_way(mm, addr[i]);
		CU_ASSERT_EQUAL(mm_rss(mm), rss);
		CU_ASSERT_EQUAL(do_madvise(mm, addr[i], PAGE_SIZE, MADV_DONTNEED), 0);
		CU_ASSERT(pte_none(pte_at(mm, addr[i])));
		CU_ASSERT_EQUAL(mm_rss(mm), rss - 1);
		finish(p);
		CU_ASSERT(pte_none(pte_at(mm, addr[i])));
		check_all();
		CU_ASSERT_EQUAL(user_get(mm, addr[i]), i == 0 ? 0 : 7);
	}
	/* A file that gets shorter takes the entries of its pages along, and leaves those of copies. */
	{
		struct page *p, *q;

		user_put(mm, at, 1);
		p = half_way(mm, f);
		q = half_way(mm, at);
		unmap_mapping_range(dev, 0, 2, LEAVE_COPIES);
		CU_ASSERT(pte_none(pte_at(mm, f)));
		CU_ASSERT(pte_is_migration(pte_at(mm, at)));
		finish(p);
		finish(q);
	}
	/* The whole address space ends. */
	{
		struct page *p = half_way(mm, at + PAGE_SIZE);

		CU_ASSERT_EQUAL(do_munmap(mm, at, 2 * PAGE_SIZE), 0);
		finish(p);
	}
	mmput(mm);
	truncate_inode_pages(dev);
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void protected_moved_locked_half_way(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = map(mm, 4, PRIVATE);
	u8 vec[4];
	struct page *p;
	long to;

	for (int i = 0; i < 4; i++)
		user_put(mm, at + i * PAGE_SIZE, 10 + i);
	p = half_way(mm, at);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PAGE_SIZE, PROT_READ), 0);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PAGE_SIZE, RW), 0);
	CU_ASSERT(!is_writable_migration_entry(pte_to_swp_entry(pte_at(mm, at))));
	CU_ASSERT_EQUAL(mincore_pages(mm, at, 4, vec), 4);
	CU_ASSERT(vec[0] & 1);
	finish(p);
	CU_ASSERT(!pte_write(pte_at(mm, at)));
	user_put(mm, at, 20); /* without a copy */
	CU_ASSERT_PTR_EQUAL(page_at(mm, at), p);

	p = half_way(mm, at);
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PAGE_SIZE, PROT_NONE), 0);
	finish(p);
	CU_ASSERT(pte_protnone(pte_at(mm, at)));
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PAGE_SIZE, RW), 0);
	CU_ASSERT_EQUAL(user_get(mm, at), 20);

	p = half_way(mm, at + PAGE_SIZE);
	to = do_mremap(mm, at + PAGE_SIZE, PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
	CU_ASSERT_FATAL(to > 0);
	CU_ASSERT(pte_is_migration(pte_at(mm, to)));
	finish(p);
	CU_ASSERT_PTR_EQUAL(page_at(mm, to), p);
	CU_ASSERT_EQUAL(user_get(mm, to), 11);

	p = half_way(mm, at + 2 * PAGE_SIZE);
	finishes = p;
	host_idle_hook = finish_it;
	CU_ASSERT_EQUAL(do_mlock(mm, at + 2 * PAGE_SIZE, PAGE_SIZE, 0), 0);
	host_idle_hook = NULL;
	if (finishes)
		finish(finishes);
	finishes = NULL;
	CU_ASSERT(PageMlocked(page_at(mm, at + 2 * PAGE_SIZE)));
	check_all();
	mmput(mm);
	check_all();
}

/* While only one of two PTEs is an entry, the other's writer must not take the page for his own. */
static void not_exclusive_half_way(void)
{
	struct mm_struct *mm = mm_alloc(), *child;
	unsigned long at = map(mm, 1, PRIVATE);
	struct page *p;
	pte_t *pte;

	user_put(mm, at, 1);
	child = dup_mm(mm);
	p = half_way(mm, at);
	/* As if the child's were back already. */
	pte = walk_pte(child->pgd, at);
	pte_set(pte, mk_pte(page_to_pfn(p), find_vma(child, at)->prot));
	get_page(p);
	atomic_add(&p->mapcount, 1);
	page_stat_add(p, NR_ANON_MAPPED, 1);
	CU_ASSERT_EQUAL(page_mapcount(p), 1);
	user_put(child, at, 2);
	CU_ASSERT_PTR_NOT_EQUAL(page_at(child, at), p);
	finish(p);
	CU_ASSERT_EQUAL(user_get(mm, at), 1);
	check_all();
	mmput(mm);
	mmput(child);
	check_all();
}

/* ---- pages of drivers ------------------------------------------------------------------------- */

static struct {
	struct page *page;
	bool busy, fails;
	unsigned int isolated, migrated, putback;
} driver;

static bool driver_isolate(struct page *page)
{
	driver.isolated++;
	return !driver.busy;
}

static int driver_migrate(struct page *dst, struct page *src, enum migrate_mode mode)
{
	MUST(PageLocked(dst) && PageLocked(src), "locks");
	if (driver.fails)
		return -EAGAIN;
	driver.migrated++;
	copy_page(host_page(dst), host_page(src));
	get_page(dst);
	put_page(src);
	driver.page = dst;
	return 0;
}

static void driver_putback(struct page *page)
{
	driver.putback++;
}

static const struct movable_ops driver_ops = {driver_isolate, driver_migrate, driver_putback};

static void of_a_driver(void)
{
	u64 free_before;
	struct page *old;

	drain_all_pages();
	free_before = nr_free_pages();
	driver.page = old = alloc_pages_type(GFP_HIGHUSER_MOVABLE, 0, PAGE_BALLOON);
	lock_page(old);
	page_set_movable(old, &driver_ops);
	unlock_page(old);
	CU_ASSERT(page_is_movable(old));
	fill(old, 9);
	driver.busy = true;
	CU_ASSERT_EQUAL(move_page(old), -1);
	driver.busy = false;
	driver.fails = true;
	CU_ASSERT_EQUAL(move_page(old), 0);
	CU_ASSERT_EQUAL(driver.putback, 1);
	driver.fails = false;
	CU_ASSERT_EQUAL(move_page(old), 1);
	CU_ASSERT_EQUAL(driver.migrated, 1);
	CU_ASSERT_PTR_NOT_EQUAL(driver.page, old);
	CU_ASSERT(filled(driver.page, 9) && driver.page->type == PAGE_BALLOON);
	CU_ASSERT(PageMovable(driver.page));
	CU_ASSERT_EQUAL(page_ref_count(driver.page), 1);
	CU_ASSERT(old->type == PAGE_PCP || old->type == PAGE_BUDDY);
	/* The driver lets go of a page that somebody has taken. */
	CU_ASSERT(isolate_movable_page(driver.page));
	lock_page(driver.page);
	page_clear_movable(driver.page);
	unlock_page(driver.page);
	put_page(driver.page);
	{
		LIST_HEAD(list);

		list_add(&driver.page->lru, &list);
		CU_ASSERT_EQUAL(
			migrate_pages(&list, target, NULL, NULL, MIGRATE_SYNC, MR_SYSCALL, NULL),
			0);
		CU_ASSERT(list_empty(&list));
	}
	drain_all_pages();
	CU_ASSERT_EQUAL(nr_free_pages(), free_before);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* ---- no memory -------------------------------------------------------------------------------- */

/* The k-th page finds no place: what was moved before stays moved, the rest stays, nothing is lost. */
static void kth_allocation_fails(void)
{
	struct mm_struct *mm = mm_alloc();
	const unsigned int n = 12;
	unsigned long at = map(mm, n, PRIVATE);

	for (unsigned int k = 1; k <= n + 1; k++) {
		unsigned int moved;
		LIST_HEAD(list);
		int left;

		for (unsigned int i = 0; i < n; i++)
			user_put(mm, at + i * PAGE_SIZE, k * 100 + i);
		lru_add_drain();
		for (unsigned int i = 0; i < n; i++) {
			struct page *p = page_at(mm, at + i * PAGE_SIZE);

			MUST(isolate_movable_page(p), "isolate");
			list_add_tail(&p->lru, &list);
		}
		fail_at = k;
		left = migrate_pages(&list, target, NULL, NULL, MIGRATE_SYNC, MR_SYSCALL, &moved);
		CU_ASSERT_EQUAL(left, k <= n ? -ENOMEM : 0);
		CU_ASSERT_EQUAL(moved, k <= n ? k - 1 : n);
		fail_at = 0;
		putback_movable_pages(&list);
		check_all();
		for (unsigned int i = 0; i < n; i++)
			CU_ASSERT_EQUAL(user_get(mm, at + i * PAGE_SIZE), k * 100 + i);
	}
	mmput(mm);
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
}

/* ---- against plain arrays --------------------------------------------------------------------- */

#define PROCS	  4
#define MAX_PAGES 24u
#define BYTES	  (MAX_PAGES * PAGE_SIZE)

static struct process {
	struct mm_struct *mm;
	unsigned long at;
	unsigned int pages;
	bool writable;
	u8 shadow[BYTES];
} proc[PROCS];

static u64 rnd_state = 12345;

static u32 rnd(u32 n)
{
	rnd_state = rnd_state * 6364136223846793005ull + 1442695040888963407ull;
	return (rnd_state >> 33) % n;
}

static void begin(struct process *p)
{
	p->mm = mm_alloc();
	p->pages = 1 + rnd(MAX_PAGES);
	p->at = map(p->mm, p->pages, PRIVATE);
	p->writable = true;
	memset(p->shadow, 0, sizeof(p->shadow));
}

static void verify(struct process *p)
{
	for (unsigned int i = 0; i < p->pages; i++) {
		unsigned int fault;
		const u8 *page = user_touch(p->mm, p->at + i * PAGE_SIZE, false, &fault);

		MUST(page && !memcmp(page, p->shadow + i * PAGE_SIZE, PAGE_SIZE),
		     "page %u of process %ld", i, (long)(p - proc));
	}
}

static void one_step(struct process *p)
{
	struct process *q = &proc[rnd(PROCS)];
	unsigned int i, n;
	struct page *page;
	long to;

	if (!p->mm) {
		begin(p);
		return;
	}
	i = rnd(p->pages);
	n = 1 + rnd(p->pages - i);
	switch (rnd(16)) {
	default: /* write one byte range */
		if (p->writable) {
			unsigned int off = rnd(PAGE_SIZE), len = 1 + rnd(PAGE_SIZE - off), fault;
			u8 *at = user_touch(p->mm, p->at + i * PAGE_SIZE + off, true, &fault);

			MUST(at, "write");
			memset(at, rnd(256), len);
			memcpy(p->shadow + i * PAGE_SIZE + off, at, len);
		}
		break;
	case 0 ... 3:
		page = page_at(p->mm, p->at + i * PAGE_SIZE);
		if (page)
			move_page_mode(page, rnd(3));
		break;
	case 4:
		if (q->mm && q != p) {
			mmput(q->mm);
			q->mm = NULL;
		}
		if (q != p) {
			*q = *p;
			q->mm = dup_mm(p->mm);
		}
		break;
	case 5:
		MUST(!do_madvise(p->mm, p->at + i * PAGE_SIZE, n * PAGE_SIZE, MADV_DONTNEED),
		     "madvise");
		memset(p->shadow + i * PAGE_SIZE, 0, n * PAGE_SIZE);
		break;
	case 6:
		p->writable = !p->writable;
		MUST(!do_mprotect(p->mm, p->at, p->pages * PAGE_SIZE, p->writable ? RW : PROT_READ),
		     "mprotect");
		break;
	case 7:
		n = 1 + rnd(MAX_PAGES);
		to = do_mremap(p->mm, p->at, p->pages * PAGE_SIZE, n * PAGE_SIZE, MREMAP_MAYMOVE,
			       0);
		MUST(to > 0, "mremap: %ld", to);
		if (n > p->pages)
			memset(p->shadow + p->pages * PAGE_SIZE, 0, (n - p->pages) * PAGE_SIZE);
		p->at = to;
		p->pages = n;
		break;
	case 8:
		do_madvise(p->mm, p->at + i * PAGE_SIZE, n * PAGE_SIZE, MADV_PAGEOUT);
		break;
	case 9:
		if (rnd(8) == 0) {
			mmput(p->mm);
			p->mm = NULL;
		}
		break;
	}
}

static void processes_against_arrays(void)
{
	u64 moved = event(PGMIGRATE_SUCCESS), out = event(PSWPOUT);
	const char *steps = getenv("MMVM_STEPS");
	unsigned long n = steps ? strtoul(steps, NULL, 10) : 20000;

	for (unsigned long s = 0; s < n; s++) {
		struct process *p = &proc[rnd(PROCS)];

		one_step(p);
		if (s % 16 == 0 && p->mm)
			verify(p);
		if (s % 64 == 0)
			check_all();
	}
	for (unsigned int i = 0; i < PROCS; i++)
		if (proc[i].mm) {
			verify(&proc[i]);
			mmput(proc[i].mm);
			proc[i].mm = NULL;
		}
	check_all();
	CU_ASSERT_EQUAL(check_pages(), 0);
	/* Both ways were taken, and often. */
	CU_ASSERT(event(PGMIGRATE_SUCCESS) - moved > n / 20);
	CU_ASSERT(event(PSWPOUT) - out > n / 200);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"locked memory moves", locked_memory_moves},
		{"an anonymous page", anonymous},
		{"a page moves without an entry", without_an_entry},
		{"a page shared by fork", shared_by_fork},
		{"pages of the swap cache", in_the_swap_cache},
		{"pages of files", of_files},
		{"shared memory", of_shared_memory},
		{"pages freed lazily", freed_lazily},
		{"what stays", what_stays},
		{"faults wait for an entry", faults_wait},
		{"entries are zapped", zapped_half_way},
		{"entries are protected, moved and locked", protected_moved_locked_half_way},
		{"not exclusive while it moves", not_exclusive_half_way},
		{"a driver's page", of_a_driver},
		{"the k-th allocation fails", kth_allocation_fails},
		{"processes against arrays", processes_against_arrays},
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("data", FILE_PAGES * PAGE_SIZE);
	swap = host_disk_create("swap", 16 * MIB);
	host_disk_mkswap(swap);
	MUST(!do_swapon(&swap->bdev, -1), "swapon");
	dev = bdev_mapping(&disk->bdev);
	MUST(dev, "bdev_mapping");
	dev->size = FILE_PAGES * PAGE_SIZE;
	file = host_file("/the/file");
	return unit_run("migration", cases, ARRAY_SIZE(cases));
}
