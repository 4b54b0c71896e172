/*
 * Mappings that are moved, locked, paged out or given up: contents, reverse map, accounting, LRU lists and
 * swap are checked against each other after each case. Each allocation is made to fail in turn.
 */
#include "unit.h"
#include "mm_user.h"

static struct mm_struct *mm;
static struct host_disk *disk;
#define BASE  0x100000000000ul
#define FIXED (PRIVATE | MAP_FIXED)

static unsigned long at(unsigned long page)
{
	return BASE + page * PAGE_SIZE;
}

static void map_filled(unsigned long page, unsigned long n)
{
	CU_ASSERT_EQUAL(do_mmap(mm, at(page), n * PAGE_SIZE, RW, FIXED, 0), (long)at(page));
	for (unsigned long i = 0; i < n; i++)
		CU_ASSERT_EQUAL(user_write(mm, at(page + i), 1000 + i), 0);
}

/* Pages from `page` on hold what page `first` and its followers were given. */
static void expect_filled(struct mm_struct *m, unsigned long page, unsigned long first,
			  unsigned long n)
{
	u64 v, wrong = 0;

	for (unsigned long i = 0; i < n; i++)
		wrong += user_read(m, at(page + i), &v) || v != 1000 + first + i;
	CU_ASSERT_EQUAL(wrong, 0);
}

static long move(unsigned long from, unsigned long n, unsigned long to, unsigned long m)
{
	return do_mremap(mm, at(from), n * PAGE_SIZE, m * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			 at(to));
}

static int advise(unsigned long page, unsigned long n, int advice)
{
	return do_madvise(mm, at(page), n * PAGE_SIZE, advice);
}

/* Everything back to nothing, and nothing is left of it. */
static void clear_all(void)
{
	check_all();
	CU_ASSERT_EQUAL(do_munmap(mm, BASE, 1ul << 30), 0);
	check_all();
	CU_ASSERT_EQUAL(mm->total_vm, 0);
	CU_ASSERT_EQUAL(mm->committed, 0);
	CU_ASSERT_EQUAL(mm->locked_vm, 0);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
	CU_ASSERT_EQUAL(nr_lazyfree, 0);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 0);
}

static void reclaim(u64 pages)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .priority = 0, .nr_to_reclaim = pages};

	lru_add_drain();
	shrink_node(&node_data[0], &sc);
}

static bool present(unsigned long page)
{
	pte_t *pte = walk_pte(mm->pgd, at(page));

	return pte && pte_present(pte_read(pte));
}

/* ---- mremap ---- */

static void moved_pages_keep_contents_and_frames(void)
{
	u64 before = sum_vm_event(PGFAULT);
	pte_t old;

	map_filled(3, 700); /* unaligned, over table borders on both sides */
	old = pte_read(walk_pte(mm->pgd, at(3)));
	before = sum_vm_event(PGFAULT);
	CU_ASSERT_EQUAL(move(3, 700, 2048 + 509, 800), (long)at(2048 + 509));
	CU_ASSERT_EQUAL(pte_read(walk_pte(mm->pgd, at(2048 + 509))).v, old.v);
	check_all();
	expect_filled(mm, 2048 + 509, 0, 700);
	CU_ASSERT_EQUAL(sum_vm_event(PGFAULT), before); /* moved, not faulted in again */
	CU_ASSERT_EQUAL(user_write(mm, at(3), 1), VM_FAULT_SIGSEGV_MAPERR);
	CU_ASSERT_EQUAL(user_write(mm, at(2048 + 509 + 799), 5), 0);
	CU_ASSERT_EQUAL(mm->total_vm, 800);
	CU_ASSERT_EQUAL(mm->committed, 800);
	clear_all();
}

static void reclaim_finds_moved_pages(void)
{
	u64 out = sum_vm_event(PSWPOUT);

	map_filled(0, 64);
	CU_ASSERT_EQUAL(move(16, 32, 200, 32), (long)at(200));
	reclaim(64);
	reclaim(64);
	CU_ASSERT(sum_vm_event(PSWPOUT) - out >= 64);
	check_all();
	/* And entries of swap move as pages do. */
	CU_ASSERT(!present(200));
	CU_ASSERT_EQUAL(move(200, 32, 400, 32), (long)at(400));
	check_all();
	expect_filled(mm, 0, 0, 16);
	expect_filled(mm, 400, 16, 32);
	expect_filled(mm, 48, 48, 16);
	clear_all();
}

static void what_is_put_back_is_one_again(void)
{
	map_filled(0, 24);
	CU_ASSERT_EQUAL(mm->map_count, 1);
	move(8, 8, 100, 8);
	CU_ASSERT_EQUAL(mm->map_count, 3);
	move(100, 8, 8, 8);
	CU_ASSERT_EQUAL(mm->map_count, 1);
	expect_filled(mm, 0, 0, 24);
	clear_all();
}

static void every_failure_leaves_the_old_mapping(void)
{
	unsigned int failed = 0, moved = 0;

	for (u64 k = 1; k < 40 && !moved; k++) {
		long r;

		map_filled(8, 1100);
		alloc_fail_nth(k);
		/* 300 pages from the middle: two splits, a VMA, chains, three tables. */
		r = move(500, 300, 10000 + 400, 1200);
		alloc_fail_nth(0);
		check_all();
		if (r == -ENOMEM) {
			failed++;
			expect_filled(mm, 8, 0, 1100);
			CU_ASSERT_EQUAL(mm->map_count, 1);
			CU_ASSERT_EQUAL(mm->total_vm, 1100);
			CU_ASSERT_EQUAL(mm->committed, 1100);
		} else {
			CU_ASSERT_EQUAL(r, (long)at(10400));
			expect_filled(mm, 10400, 492, 300);
			moved++;
		}
		clear_all();
	}
	CU_ASSERT_EQUAL(moved, 1);
	CU_ASSERT(failed >= 6);
}

static void relatives_keep_theirs(void)
{
	struct mm_struct *child;
	u64 v = 0;

	map_filled(0, 40);
	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT_EQUAL(move(0, 40, 300, 40), (long)at(300));
	check_all();
	CU_ASSERT_EQUAL(user_write(mm, at(300), 7), 0); /* a copy: the child shares the page */
	CU_ASSERT_EQUAL(user_read(child, at(0), &v), 0);
	CU_ASSERT_EQUAL(v, 1000);
	reclaim(200);
	reclaim(200);
	check_all();
	expect_filled(mm, 301, 1, 39);
	expect_filled(child, 0, 0, 40);
	mmput(child);
	clear_all();
}

static void dontunmap_leaves_zeroes(void)
{
	u64 v = 1;

	map_filled(0, 8);
	CU_ASSERT_EQUAL(do_mremap(mm, at(0), 8 * PAGE_SIZE, 8 * PAGE_SIZE,
				  MREMAP_MAYMOVE | MREMAP_DONTUNMAP, at(50)),
			(long)at(50));
	check_all();
	CU_ASSERT_EQUAL(mm->total_vm, 16);
	CU_ASSERT_EQUAL(mm->committed, 16);
	expect_filled(mm, 50, 0, 8);
	CU_ASSERT_EQUAL(user_read(mm, at(3), &v), 0);
	CU_ASSERT_EQUAL(v, 0);
	CU_ASSERT_EQUAL(user_write(mm, at(3), 9), 0); /* a new family of pages */
	clear_all();
}

/* ---- mlock ---- */

static void lock_and_unlock_move_pages_between_lists(void)
{
	map_filled(0, 16);
	lru_add_drain();
	CU_ASSERT_EQUAL(do_mlock(mm, at(4), 8 * PAGE_SIZE, 0), 0);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 8);
	CU_ASSERT_EQUAL(global_stat(NR_UNEVICTABLE), 8);
	check_all();
	reclaim(100);
	reclaim(100);
	for (unsigned long i = 0; i < 16; i++)
		CU_ASSERT_EQUAL(present(i), i >= 4 && i < 12);
	CU_ASSERT_EQUAL(do_munlock(mm, at(4), 4 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 4);
	CU_ASSERT_EQUAL(mm->locked_vm, 4);
	check_all();
	reclaim(100);
	reclaim(100);
	CU_ASSERT(!present(4));
	CU_ASSERT(present(8));
	expect_filled(mm, 0, 0, 16);
	clear_all();
}

static void what_was_in_swap_is_locked_in_memory(void)
{
	map_filled(0, 16);
	CU_ASSERT_EQUAL(advise(0, 16, MADV_PAGEOUT), 0);
	CU_ASSERT(!present(0));
	CU_ASSERT_EQUAL(do_mlock(mm, at(0), 16 * PAGE_SIZE, 0), 0);
	CU_ASSERT(present(15));
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 16);
	clear_all();
}

static void a_relatives_page_is_not_locked_for_ever(void)
{
	struct mm_struct *child;

	map_filled(0, 8);
	CU_ASSERT_EQUAL(do_mlock(mm, at(0), 8 * PAGE_SIZE, 0), 0);
	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT_EQUAL(child->locked_vm, 0);
	do_munmap(mm, at(0), 8 * PAGE_SIZE);
	lru_add_drain();
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 0);
	CU_ASSERT_EQUAL(global_stat(NR_UNEVICTABLE), 0);
	reclaim(100);
	reclaim(100);
	CU_ASSERT_EQUAL(child->rss_anon, 0);
	expect_filled(child, 0, 0, 8);
	mmput(child);
	clear_all();
}

static void copies_are_locked_not_the_relatives_page(void)
{
	struct mm_struct *child;

	map_filled(0, 8);
	CU_ASSERT_EQUAL(do_mlock(mm, at(0), 8 * PAGE_SIZE, 0), 0);
	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	for (unsigned long i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(user_write(mm, at(i), 7), 0);
	lru_add_drain();
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 8);
	CU_ASSERT_EQUAL(global_stat(NR_UNEVICTABLE), 8);
	reclaim(100);
	reclaim(100);
	CU_ASSERT_EQUAL(child->rss_anon, 0);
	CU_ASSERT_EQUAL(mm->rss_anon, 8);
	expect_filled(child, 0, 0, 8);
	mmput(child);
	clear_all();
}

static void locked_mappings_grow_filled(void)
{
	CU_ASSERT_EQUAL(do_mmap(mm, at(0), 4 * PAGE_SIZE, RW, FIXED | MAP_LOCKED, 0), (long)at(0));
	CU_ASSERT_EQUAL(do_mremap(mm, at(0), 4 * PAGE_SIZE, 8 * PAGE_SIZE, 0, 0), (long)at(0));
	CU_ASSERT_EQUAL(mm->rss_anon, 8);
	CU_ASSERT_EQUAL(mm->locked_vm, 8);
	CU_ASSERT_EQUAL(move(0, 8, 100, 12), (long)at(100));
	CU_ASSERT_EQUAL(mm->rss_anon, 12);
	CU_ASSERT_EQUAL(mm->locked_vm, 12);
	lru_add_drain();
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 12);
	host_limits[RLIMIT_MEMLOCK].cur = 12 * PAGE_SIZE;
	CU_ASSERT_EQUAL(do_mremap(mm, at(100), 12 * PAGE_SIZE, 13 * PAGE_SIZE, 0, 0), -EAGAIN);
	host_limits[RLIMIT_MEMLOCK].cur = 8 * MIB;
	clear_all();
	host_limits_reset();
}

/* ---- madvise ---- */

static void pageout_writes_and_frees(void)
{
	u64 out = sum_vm_event(PSWPOUT), in = sum_vm_event(PSWPIN), written = disk->pages_written;

	map_filled(0, 100);
	CU_ASSERT_EQUAL(advise(10, 80, MADV_PAGEOUT), 0);
	CU_ASSERT_EQUAL(sum_vm_event(PSWPOUT) - out, 80);
	CU_ASSERT_EQUAL(disk->pages_written - written, 80);
	CU_ASSERT_EQUAL(mm->rss_anon, 20);
	CU_ASSERT_EQUAL(mm->rss_swap, 80);
	CU_ASSERT_EQUAL(global_stat(NR_SWAPCACHE), 0);
	check_all();
	expect_filled(mm, 0, 0, 100);
	CU_ASSERT_EQUAL(sum_vm_event(PSWPIN) - in, 80); /* from the disk, not from memory */
	/* Not written since: dropped, without a second write. */
	CU_ASSERT_EQUAL(advise(10, 80, MADV_PAGEOUT), 0);
	CU_ASSERT_EQUAL(sum_vm_event(PSWPOUT) - out, 80);
	CU_ASSERT_EQUAL(mm->rss_anon, 20);
	expect_filled(mm, 0, 0, 100);
	clear_all();
}

static void pageout_that_cannot_write_keeps_the_page(void)
{
	map_filled(0, 40);
	disk->fail_at = 1;
	CU_ASSERT_EQUAL(advise(0, 40, MADV_PAGEOUT), 0);
	disk->fail_at = 0;
	check_all();
	expect_filled(mm, 0, 0, 40);
	clear_all();
}

static void cold_pages_go_first(void)
{
	map_filled(0, 64);
	CU_ASSERT_EQUAL(advise(32, 32, MADV_COLD), 0);
	CU_ASSERT_EQUAL(mm->rss_anon, 64);
	reclaim(32); /* the others have an accessed bit still, and get a second look */
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(present(i), i < 32);
	expect_filled(mm, 0, 0, 64);
	clear_all();
}

static void freed_pages_go_without_a_write(void)
{
	u64 out = sum_vm_event(PSWPOUT), v = 0;

	map_filled(0, 32);
	CU_ASSERT_EQUAL(advise(0, 32, MADV_FREE), 0);
	CU_ASSERT_EQUAL(nr_lazyfree, 32);
	expect_filled(mm, 5, 5, 1); /* nothing happens before memory is scarce */
	CU_ASSERT_EQUAL(user_write(mm, at(7), 77), 0);
	check_all();
	reclaim(64);
	reclaim(64);
	check_all();
	CU_ASSERT_EQUAL(user_read(mm, at(7), &v), 0);
	CU_ASSERT_EQUAL(v, 77); /* written after: kept, by way of the disk */
	CU_ASSERT(sum_vm_event(PSWPOUT) - out <= 1);
	for (unsigned long i = 0; i < 32; i++) {
		CU_ASSERT_EQUAL(user_read(mm, at(i), &v), 0);
		CU_ASSERT_EQUAL(v, i == 7 ? 77 : 0);
	}
	clear_all();
}

static void freed_pages_are_dropped_from_swap_too(void)
{
	u64 v = 1;

	map_filled(0, 32);
	advise(0, 32, MADV_PAGEOUT);
	expect_filled(mm, 0, 0, 4); /* some are back, with a slot */
	CU_ASSERT_EQUAL(advise(0, 32, MADV_FREE), 0);
	check_all();
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
	CU_ASSERT_EQUAL(user_read(mm, at(31), &v), 0);
	CU_ASSERT_EQUAL(v, 0);
	clear_all();
}

static void a_relative_keeps_what_is_freed(void)
{
	struct mm_struct *child;

	map_filled(0, 16);
	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT_EQUAL(advise(0, 16, MADV_FREE), 0);
	CU_ASSERT_EQUAL(nr_lazyfree, 0);
	reclaim(100);
	reclaim(100);
	expect_filled(child, 0, 0, 16);
	mmput(child);
	/* The other order: what is already free to go is copied. */
	CU_ASSERT_EQUAL(advise(0, 16, MADV_FREE), 0);
	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	reclaim(100);
	reclaim(100);
	check_all();
	mmput(child);
	clear_all();
}

static void forks_heed_advice(void)
{
	struct mm_struct *child;
	u64 v = 1;

	map_filled(0, 12);
	CU_ASSERT_EQUAL(advise(0, 4, MADV_DONTFORK), 0);
	CU_ASSERT_EQUAL(advise(4, 4, MADV_WIPEONFORK), 0);
	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	check_all();
	CU_ASSERT_EQUAL(child->total_vm, 8);
	CU_ASSERT_EQUAL(user_read(child, at(0), &v), VM_FAULT_SIGSEGV_MAPERR);
	CU_ASSERT_EQUAL(user_read(child, at(4), &v), 0);
	CU_ASSERT_EQUAL(v, 0);
	expect_filled(child, 8, 8, 4);
	expect_filled(mm, 0, 0, 12);
	mmput(child);
	clear_all();
}

static void mincore_knows_memory_from_disk(void)
{
	u8 vec[700];

	map_filled(0, 600); /* over a table's border */
	advise(100, 10, MADV_PAGEOUT);
	CU_ASSERT_EQUAL(mincore_pages(mm, at(0), 700, vec), 600);
	for (unsigned int i = 0; i < 600; i++)
		CU_ASSERT_EQUAL(vec[i], i < 100 || i >= 110);
	CU_ASSERT_EQUAL(mincore_pages(mm, at(600), 1, vec), -ENOMEM);
	clear_all();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"moved_pages_keep_contents_and_frames", moved_pages_keep_contents_and_frames},
		{"reclaim_finds_moved_pages", reclaim_finds_moved_pages},
		{"what_is_put_back_is_one_again", what_is_put_back_is_one_again},
		{"every_failure_leaves_the_old_mapping", every_failure_leaves_the_old_mapping},
		{"relatives_keep_theirs", relatives_keep_theirs},
		{"dontunmap_leaves_zeroes", dontunmap_leaves_zeroes},
		{"lock_and_unlock_move_pages_between_lists",
		 lock_and_unlock_move_pages_between_lists},
		{"what_was_in_swap_is_locked_in_memory", what_was_in_swap_is_locked_in_memory},
		{"a_relatives_page_is_not_locked_for_ever",
		 a_relatives_page_is_not_locked_for_ever},
		{"copies_are_locked_not_the_relatives_page",
		 copies_are_locked_not_the_relatives_page},
		{"locked_mappings_grow_filled", locked_mappings_grow_filled},
		{"pageout_writes_and_frees", pageout_writes_and_frees},
		{"pageout_that_cannot_write_keeps_the_page",
		 pageout_that_cannot_write_keeps_the_page},
		{"cold_pages_go_first", cold_pages_go_first},
		{"freed_pages_go_without_a_write", freed_pages_go_without_a_write},
		{"freed_pages_are_dropped_from_swap_too", freed_pages_are_dropped_from_swap_too},
		{"a_relative_keeps_what_is_freed", a_relative_keeps_what_is_freed},
		{"forks_heed_advice", forks_heed_advice},
		{"mincore_knows_memory_from_disk", mincore_knows_memory_from_disk},
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("swap", 64 * MIB);
	host_disk_mkswap(disk);
	if (do_swapon(&disk->bdev, -1))
		return 1;
	mm = mm_alloc();
	return unit_run("mremap, mlock, madvise", cases, sizeof(cases) / sizeof(cases[0]));
}
