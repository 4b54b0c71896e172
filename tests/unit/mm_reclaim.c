/*
 * The parts of reclaim: policies alone, how pages pass between the lists, when kswapd wakes and gives up,
 * what direct reclaim returns, and that reclaim never waits for itself.
 */
#include "unit.h"
#include "arch/tlb.h"
#include "mm_user.h"
#include "mm/reclaim/policy_twolist.h"

static struct host_disk *disk;

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

static struct page *page_at(struct mm_struct *mm, unsigned long addr)
{
	pte_t *pte = walk_pte(mm->pgd, addr);

	return pte && pte_present(*pte) ? pfn_to_page(pte_pfn(*pte)) : NULL;
}

static void shrink(int priority, u64 want)
{
	struct scan_control sc = {.gfp = GFP_KERNEL,
				  .highest = ZONE_MOVABLE,
				  .priority = priority,
				  .nr_to_reclaim = want};

	lru_add_drain();
	shrink_node(&node_data[0], &sc);
}

static enum page_verdict judge(unsigned int ptes, bool referenced, bool file, bool exec)
{
	const struct page_use use = {
		.ptes = ptes, .referenced = referenced, .file = file, .exec = exec};

	return twolist_judge(&use);
}

static void policies(void)
{
	CU_ASSERT_EQUAL(judge(0, false, false, false), PAGE_RECLAIM);
	CU_ASSERT_EQUAL(judge(0, true, false, false), PAGE_RECLAIM);
	CU_ASSERT_EQUAL(judge(1, false, false, false), PAGE_KEEP);
	CU_ASSERT_EQUAL(judge(1, true, false, false), PAGE_ACTIVATE);
	CU_ASSERT_EQUAL(judge(2, false, false, false), PAGE_ACTIVATE);
	CU_ASSERT_EQUAL(judge(1, false, false, true), PAGE_KEEP); /* text counts in files only */

	CU_ASSERT(inactive_is_low(99, 100));
	CU_ASSERT(!inactive_is_low(100, 100));
	CU_ASSERT(!inactive_is_low(1 << 20, 3 << 20)); /* 16 GiB: a 13th is enough */
	CU_ASSERT(inactive_is_low(1 << 18, 60 << 18));

	CU_ASSERT_EQUAL(scan_target(1 << 20, 12, 60, true), 1 << 8);
	CU_ASSERT_EQUAL(scan_target(1 << 20, 0, 60, true), 1 << 20);
	CU_ASSERT_EQUAL(scan_target(1000, 12, 60, true), 32);
	CU_ASSERT_EQUAL(scan_target(7, 12, 60, true), 7);
	CU_ASSERT_EQUAL(scan_target(1000, 0, 60, false), 0);
	CU_ASSERT_EQUAL(scan_target(1000, 12, 0, true), 0); /* no swapping before the end */
	CU_ASSERT_EQUAL(scan_target(1000, 0, 0, true), 1000);

	CU_ASSERT_EQUAL(judge(0, true, true, true), PAGE_RECLAIM);
	CU_ASSERT_EQUAL(judge(1, false, true, false), PAGE_KEEP);
	CU_ASSERT_EQUAL(judge(1, true, true, false), PAGE_ACTIVATE);
	CU_ASSERT_EQUAL(judge(1, false, true, true), PAGE_ACTIVATE); /* text that runs */
	CU_ASSERT_EQUAL(judge(2, false, true, false), PAGE_ACTIVATE);

	CU_ASSERT_EQUAL(swap_ra_window(0, 0, false), 1);
	CU_ASSERT_EQUAL(swap_ra_window(0, 0, true), 2);
	CU_ASSERT_EQUAL(swap_ra_window(1, 2, true), 4);
	CU_ASSERT_EQUAL(swap_ra_window(3, 4, true), 8);
	CU_ASSERT_EQUAL(swap_ra_window(15, 8, true), 16);
	CU_ASSERT_EQUAL(swap_ra_window(100, 16, true), 16);
	CU_ASSERT_EQUAL(swap_ra_window(0, 16, false), 8); /* by half at a time */
	CU_ASSERT_EQUAL(swap_ra_window(0, 1, false), 1);
	CU_ASSERT(swap_keep_slot(13, 100));
	CU_ASSERT(!swap_keep_slot(12, 100));
}

static void balance_between_files_and_anonymous_memory(void)
{
	const struct scan_balance even = {.inactive = {1 << 16, 1 << 14},
					  .active = {1 << 16, 1 << 16},
					  .p = {.priority = 4, .swappiness = 60, .can_swap = true}};
	struct scan_balance b = even;
	u64 t[2], share;

	/* By swappiness alone: 60 parts of 200 of each list. */
	scan_balance(&b, t);
	CU_ASSERT_EQUAL(t[0], (1 << 13) * 60 / 200);
	CU_ASSERT_EQUAL(t[1], ((1 << 12) + (1 << 10)) * 140 / 200);
	b.p.swappiness = 200;
	scan_balance(&b, t);
	CU_ASSERT_EQUAL(t[0], 1 << 13);
	CU_ASSERT_EQUAL(t[1], 0);
	b.p.swappiness = 0;
	scan_balance(&b, t);
	CU_ASSERT(t[0] == 0 && t[1] == (1 << 12) + (1 << 10));
	b = even;
	b.p.can_swap = false;
	scan_balance(&b, t);
	CU_ASSERT(t[0] == 0 && t[1] == (1 << 12) + (1 << 10));
	/* Files used once, in plenty: nothing else is touched. */
	b = even;
	b.inactive[1] = 1 << 17;
	scan_balance(&b, t);
	CU_ASSERT(t[0] == 0 && t[1] > 0);
	/* Hardly any files left, and little free: those are used by everybody. */
	b = even;
	b.p.file_is_tiny = true;
	scan_balance(&b, t);
	CU_ASSERT(t[0] == 1 << 13 && t[1] == 0);
	/* The last pass looks at everything. */
	b = even;
	b.p.priority = 0;
	scan_balance(&b, t);
	CU_ASSERT(t[0] == 1 << 17 && t[1] == (1 << 16) + (1 << 14));
	/* What has cost more is taken less, but not for ever less. */
	b = even;
	b.cost[0] = 1000;
	scan_balance(&b, t);
	share = t[0];
	CU_ASSERT(share < (1 << 13) * 60 / 200 && share > (1 << 13) * 60 / 600);
	b.cost[0] = 1000000;
	scan_balance(&b, t);
	CU_ASSERT(t[0] >= share - 2 && t[0] <= share + 2);
	b = even;
	b.cost[1] = 1000;
	scan_balance(&b, t);
	CU_ASSERT(t[0] > (1 << 13) * 60 / 200);
	/* One kind alone is as before there were two. */
	b = even;
	b.inactive[1] = b.active[1] = 0;
	scan_balance(&b, t);
	CU_ASSERT(t[0] == scan_target(1 << 17, 4, 60, true) && t[1] == 0);
}

static void a_used_page_gets_a_second_look_then_stays(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 8 << PAGE_SHIFT, RW, PRIVATE, 0);
	struct page *page;
	u64 v;

	for (int i = 0; i < 8; i++)
		user_write(mm, at + i * PAGE_SIZE, i + 1);
	lru_add_drain();
	page = page_at(mm, at);
	CU_ASSERT(PageLRU(page) && !PageActive(page));
	shrink(0, 1); /* first look: used since birth */
	CU_ASSERT_EQUAL(page_at(mm, at), page);
	CU_ASSERT(PageReferenced(page) && !PageActive(page));
	CU_ASSERT(!user_read(mm, at, &v)); /* used again */
	shrink(0, 1000);
	CU_ASSERT_EQUAL(page_at(mm, at), page);
	CU_ASSERT(PageActive(page));
	/* The others were not touched, and are gone. */
	for (int i = 1; i < 8; i++)
		CU_ASSERT_EQUAL(page_at(mm, at + i * PAGE_SIZE), NULL);
	check_all();
	/* Unused from now on, it ages and is reclaimed, too. */
	for (int i = 0; i < 6; i++)
		shrink(0, 1000);
	CU_ASSERT_EQUAL(page_at(mm, at), NULL);
	CU_ASSERT(event(PGDEACTIVATE) > 0 && event(PGREFILL) > 0);
	for (u64 i = 0; i < 8; i++)
		CU_ASSERT(!user_read(mm, at + i * PAGE_SIZE, &v) && v == i + 1);
	check_all();
	mmput(mm);
}

static void mark_page_accessed_activates_at_the_second_call(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE | MAP_POPULATE, 0);
	struct page *page = page_at(mm, at);

	lru_add_drain();
	mark_page_accessed(page);
	CU_ASSERT(PageReferenced(page) && !PageActive(page));
	mark_page_accessed(page);
	CU_ASSERT(!PageReferenced(page) && PageActive(page));
	check_all();
	lru_del(page);
	CU_ASSERT(!PageLRU(page));
	lru_add_anon(page, true);
	check_all();
	mmput(mm);
	check_all();
}

static void locked_pages_and_vmas_are_left_alone(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 4 << PAGE_SHIFT, RW, PRIVATE | MAP_LOCKED, 0);
	unsigned long b = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE | MAP_POPULATE, 0);
	struct page *page = page_at(mm, b);

	lock_page(page); /* somebody's I/O */
	for (int i = 0; i < 5; i++)
		shrink(0, 1000);
	CU_ASSERT_EQUAL(page_at(mm, b), page);
	for (int i = 0; i < 4; i++)
		CU_ASSERT(page_at(mm, at + i * PAGE_SIZE) != NULL);
	unlock_page(page);
	for (int i = 0; i < 5; i++)
		shrink(0, 1000);
	CU_ASSERT_EQUAL(page_at(mm, b), NULL);
	check_all();
	mmput(mm);
}

static void an_extra_reference_keeps_the_page(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE, 0);
	struct page *page;
	u64 v;

	user_write(mm, at, 99);
	page = page_at(mm, at);
	get_page(page); /* say, a device reads from it */
	for (int i = 0; i < 6; i++)
		shrink(0, 1000);
	/* It may be unmapped and in the swap cache, but the frame is the same. */
	CU_ASSERT(!user_read(mm, at, &v) && v == 99);
	CU_ASSERT_EQUAL(page_at(mm, at), page);
	put_page(page);
	check_all();
	mmput(mm);
	check_all();
}

static void writes_wait_for_the_disk_and_come_to_the_tail(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 64 << PAGE_SHIFT, RW, PRIVATE, 0);
	u64 rotated = event(PGROTATED), stolen = event(PGSTEAL_DIRECT);

	for (u64 i = 0; i < 64; i++)
		user_write(mm, at + i * PAGE_SIZE, i + 1);
	disk->deferred = true;
	shrink(0, 1000); /* first look */
	shrink(0, 1000); /* writes */
	CU_ASSERT_EQUAL(global_stat(NR_WRITEBACK), 64);
	CU_ASSERT_EQUAL(swap_writes_in_flight(), 64);
	CU_ASSERT_EQUAL(event(PGSTEAL_DIRECT), stolen);
	check_all();
	/* Another page, younger than all of them. */
	CU_ASSERT(do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE | MAP_POPULATE, 0) > 0);
	lru_add_drain();
	while (host_disk_complete(disk, 1))
		;
	CU_ASSERT_EQUAL(global_stat(NR_WRITEBACK), 0);
	CU_ASSERT_EQUAL(event(PGROTATED), rotated + 64);
	CU_ASSERT(!PageReclaim(list_first_entry(&root_lruvec[0].list[1], struct page, lru)));
	shrink(12, 1000); /* little effort: they lie at the tail */
	CU_ASSERT_EQUAL(event(PGSTEAL_DIRECT), stolen + 32);
	check_all();
	disk->deferred = false;
	mmput(mm);
}

static void a_page_touched_while_it_is_written_is_not_lost(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 32 << PAGE_SHIFT, RW, PRIVATE, 0);
	u64 v;

	for (u64 i = 0; i < 32; i++)
		user_write(mm, at + i * PAGE_SIZE, i + 1);
	disk->deferred = true;
	shrink(0, 1000);
	shrink(0, 1000);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	/* All are read and half written to with the old contents on their way to the disk. */
	for (u64 i = 0; i < 32; i++) {
		CU_ASSERT(!user_read(mm, at + i * PAGE_SIZE, &v) && v == i + 1);
		if (i % 2)
			CU_ASSERT(!user_write(mm, at + i * PAGE_SIZE, i + 1001));
	}
	check_all();
	while (host_disk_complete(disk, 1))
		;
	disk->deferred = false;
	for (int i = 0; i < 8; i++)
		shrink(0, 1000);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	for (u64 i = 0; i < 32; i++)
		CU_ASSERT(!user_read(mm, at + i * PAGE_SIZE, &v) && v == i + (i % 2 ? 1001 : 1));
	check_all();
	mmput(mm);
}

static void exit_while_pages_are_written(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 64 << PAGE_SHIFT, RW, PRIVATE, 0);

	for (u64 i = 0; i < 64; i++)
		user_write(mm, at + i * PAGE_SIZE, i + 1);
	disk->deferred = true;
	shrink(0, 1000);
	shrink(0, 1000);
	mmput(mm);
	check_all();
	while (host_disk_complete(disk, 1))
		;
	disk->deferred = false;
	shrink(0, 1000);
	shrink(0, 1000);
	check_all();
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
	CU_ASSERT_EQUAL(global_stat(NR_SWAPCACHE), 0);
	CU_ASSERT_EQUAL(global_stat(NR_INACTIVE_ANON) + global_stat(NR_ACTIVE_ANON), 0);
}

/* A page that two address spaces map (as after fork) is swapped out of both and comes back to one
 * frame. */
static void a_shared_page_leaves_all_its_address_spaces(void)
{
	struct mm_struct *mm = mm_alloc(), *other = mm_alloc();
	unsigned long at = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE, 0);
	struct vm_area_struct *vma = find_vma(mm, at), *copy;
	struct page *page;
	pte_t *pte;
	u64 v;

	user_write(mm, at, 5);
	copy = vma_alloc(other, at, at + PAGE_SIZE, vma->flags & ~VM_ACCOUNT, NULL);
	CU_ASSERT(!anon_vma_clone(copy, vma));
	vma_link(copy);
	vm_stat_account(other, copy->flags, 1);
	pte = walk_pte(mm->pgd, at);
	pte_set(pte, pte_wrprotect(*pte));
	flush_tlb_page(mm, at);
	pte_set(walk_pte_alloc(other, at), *pte);
	page = pfn_to_page(pte_pfn(*pte));
	get_page(page);
	atomic_add(&page->mapcount, 1);
	other->rss_anon++;
	check_all();
	for (int i = 0; i < 8; i++)
		shrink(0, 1000);
	CU_ASSERT(!page_at(mm, at) && !page_at(other, at));
	CU_ASSERT_EQUAL(swap_users(pte_to_swp_entry(*walk_pte(mm->pgd, at))), 2);
	check_all();
	CU_ASSERT(!user_read(mm, at, &v) && v == 5);
	CU_ASSERT(!pte_write(*walk_pte(mm->pgd, at))); /* the other still has the slot */
	check_all();
	CU_ASSERT(!user_write(mm, at, 6)); /* a copy: the slot's page stays as it is */
	CU_ASSERT(!user_read(other, at, &v) && v == 5);
	CU_ASSERT(!user_read(mm, at, &v) && v == 6);
	check_all();
	for (int i = 0; i < 8; i++)
		shrink(0, 1000);
	CU_ASSERT(!user_write(other, at, 7)); /* write fault straight from swap */
	CU_ASSERT(!user_read(mm, at, &v) && v == 6);
	CU_ASSERT(!user_read(other, at, &v) && v == 7);
	check_all();
	mmput(mm);
	check_all();
	mmput(other);
	check_all();
}

/* Two address spaces share a swap-cache page; the one that has written to it ends. What it wrote
 * must reach the slot, which the other one's entry names. */
static void what_a_dying_relative_wrote_is_kept(void)
{
	struct mm_struct *mm = mm_alloc(), *other = mm_alloc();
	unsigned long at = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE, 0);
	struct vm_area_struct *vma = find_vma(mm, at), *copy;
	swp_entry_t e;
	u64 v;

	user_write(mm, at, 5);
	for (int i = 0; i < 8; i++)
		shrink(0, 1000);
	CU_ASSERT(!user_read(mm, at, &v)); /* back, clean, alone: writable */
	e = (swp_entry_t){page_at(mm, at)->private_};
	CU_ASSERT(!user_write(mm, at, 6)); /* without a fault: only the PTE knows */
	CU_ASSERT(!PageDirty(page_at(mm, at)));
	/* A fork, with the child's PTE replaced by the entry at once. */
	copy = vma_alloc(other, at, at + PAGE_SIZE, vma->flags & ~VM_ACCOUNT, NULL);
	CU_ASSERT(!anon_vma_clone(copy, vma));
	vma_link(copy);
	vm_stat_account(other, copy->flags, 1);
	pte_set(walk_pte(mm->pgd, at), pte_wrprotect(*walk_pte(mm->pgd, at)));
	flush_tlb_page(mm, at);
	CU_ASSERT(!swap_duplicate(e));
	pte_set(walk_pte_alloc(other, at), swp_entry_to_pte(e));
	other->rss_swap++;
	check_all();
	mmput(mm);
	for (int i = 0; i < 8; i++)
		shrink(0, 1000);
	check_all();
	CU_ASSERT_EQUAL(global_stat(NR_SWAPCACHE), 0);
	CU_ASSERT(!user_read(other, at, &v) && v == 6);
	mmput(other);
	check_all();
}

static void kswapd_is_woken_once_and_gives_up(void)
{
	pg_data_t *node = &node_data[0];
	struct zone *z = zone_table[nr_zones - 1];
	u64 wakeups = host_nr_wakeups;
	const unsigned int others = host_nr_kthreads; /* swapon's */

	CU_ASSERT_EQUAL(kswapd_init(), 0);
	CU_ASSERT_EQUAL(host_nr_kthreads, others + 1);
	CU_ASSERT_STRING_EQUAL(host_kthreads[others].name, "kswapd0");
	wakeup_kswapd(z, GFP_KERNEL, 0, ZONE_NORMAL);
	wakeup_kswapd(z, GFP_KERNEL, 0, ZONE_NORMAL);
	CU_ASSERT_EQUAL(host_nr_wakeups, wakeups + 1);
	CU_ASSERT_EQUAL(node->kswapd_highest, ZONE_NORMAL);
	/* Balanced: nothing to do. */
	CU_ASSERT(pgdat_balanced(node, 0, ZONE_NORMAL));
	CU_ASSERT_EQUAL(balance_pgdat(node, 0, ZONE_NORMAL), 0);
	CU_ASSERT_EQUAL(node->reclaim_failures, 0);
	{
		/* Out of reach and nothing to reclaim: each run is a failure. */
		u64 marks[MAX_NR_ZONES];

		for (int i = 0; i < MAX_NR_ZONES; i++) {
			marks[i] = node->zones[i].watermark[WMARK_HIGH];
			node->zones[i].watermark[WMARK_HIGH] = 1ull << 40;
		}
		for (int i = 0; i < KSWAPD_MAX_FAILURES; i++)
			balance_pgdat(node, 0, ZONE_NORMAL);
		CU_ASSERT_EQUAL(node->reclaim_failures, KSWAPD_MAX_FAILURES);
		for (int i = 0; i < MAX_NR_ZONES; i++)
			node->zones[i].watermark[WMARK_HIGH] = marks[i];
	}
	node->reclaim_failures = 0;
}

static void direct_reclaim_says_what_it_freed(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 512 << PAGE_SHIFT, RW, PRIVATE, 0);
	u64 free;

	for (u64 i = 0; i < 512; i++)
		user_write(mm, at + i * PAGE_SIZE, i + 1);
	disk->deferred = true; /* its waits complete the writes */
	for (int i = 0; i < 3; i++) {
		drain_all_pages();
		free = nr_free_pages();
		CU_ASSERT(try_to_free_pages(GFP_KERNEL, 0) >= SWAP_CLUSTER_MAX);
		drain_all_pages();
		CU_ASSERT(nr_free_pages() >= free + SWAP_CLUSTER_MAX);
		CU_ASSERT(!(host_thread_info.flags & TIF_MEMALLOC));
	}
	check_all();
	mmput(mm);
	while (host_disk_complete(disk, 1))
		;
	disk->deferred = false;
	shrink(0, 1000);
	CU_ASSERT_EQUAL(try_to_free_pages(GFP_KERNEL, 0), 0);
	check_all();
}

static void no_io_means_no_io(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 64 << PAGE_SHIFT, RW, PRIVATE, 0);
	u64 writes = disk->pages_written;

	for (u64 i = 0; i < 64; i++)
		user_write(mm, at + i * PAGE_SIZE, i + 1);
	CU_ASSERT_EQUAL(try_to_free_pages(GFP_NOIO, 0), 0);
	CU_ASSERT_EQUAL(disk->pages_written, writes);
	check_all();
	mmput(mm);
}

static void a_zone_that_helps_nobody_is_not_emptied(void)
{
	/* A caller that can use only DMA memory gains nothing from pages above. */
	struct scan_control sc = {
		.gfp = GFP_DMA | GFP_KERNEL, .highest = ZONE_DMA, .nr_to_reclaim = 1000};
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 64 << PAGE_SHIFT, RW, PRIVATE, 0);
	s64 above = 0;

	for (u64 i = 0; i < 64; i++) {
		user_write(mm, at + i * PAGE_SIZE, i + 1);
		above += page_zone(page_at(mm, at + i * PAGE_SIZE))->type > ZONE_DMA;
	}
	CU_ASSERT(above > 0);
	lru_add_drain();
	for (int i = 0; i < 8; i++)
		shrink_node(&node_data[0], &sc);
	CU_ASSERT_EQUAL(mm->rss_anon, above);
	check_all();
	mmput(mm);
}

/* One flush for a batch of 32 pages, before any of them is written; and an address space with
 * entries to flush says so until somebody who looks at its entries has flushed them. */
static void unmapping_is_flushed_by_the_batch(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 64 << PAGE_SHIFT, RW, PRIVATE, 0);
	struct host_tlb_counts before;

	for (u64 i = 0; i < 64; i++)
		user_write(mm, at + i * PAGE_SIZE, i + 1);
	shrink(0, 1); /* first look */
	before = host_tlb;
	shrink(0, 1000);
	CU_ASSERT_EQUAL(mm->rss_swap, 64);
	CU_ASSERT_EQUAL(host_tlb.batch - before.batch, 2);
	CU_ASSERT_EQUAL(host_tlb.batched - before.batched, 64);
	CU_ASSERT_EQUAL(host_tlb.page, before.page);
	CU_ASSERT_EQUAL(mm->tlb_flush_batched, 1);
	before = host_tlb;
	CU_ASSERT_EQUAL(do_mprotect(mm, at, PAGE_SIZE, PROT_READ), 0);
	CU_ASSERT_EQUAL(host_tlb.mm - before.mm, 1);
	CU_ASSERT_EQUAL(mm->tlb_flush_batched, 0);
	mmput(mm);
	check_all();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"policies", policies},
		{"files against anonymous memory", balance_between_files_and_anonymous_memory},
		{"a_used_page_gets_a_second_look_then_stays",
		 a_used_page_gets_a_second_look_then_stays},
		{"mark_page_accessed_activates_at_the_second_call",
		 mark_page_accessed_activates_at_the_second_call},
		{"locked_pages_and_vmas_are_left_alone", locked_pages_and_vmas_are_left_alone},
		{"an_extra_reference_keeps_the_page", an_extra_reference_keeps_the_page},
		{"writes_wait_for_the_disk_and_come_to_the_tail",
		 writes_wait_for_the_disk_and_come_to_the_tail},
		{"a_page_touched_while_it_is_written_is_not_lost",
		 a_page_touched_while_it_is_written_is_not_lost},
		{"exit_while_pages_are_written", exit_while_pages_are_written},
		{"a_shared_page_leaves_all_its_address_spaces",
		 a_shared_page_leaves_all_its_address_spaces},
		{"what_a_dying_relative_wrote_is_kept", what_a_dying_relative_wrote_is_kept},
		{"kswapd_is_woken_once_and_gives_up", kswapd_is_woken_once_and_gives_up},
		{"direct_reclaim_says_what_it_freed", direct_reclaim_says_what_it_freed},
		{"no_io_means_no_io", no_io_means_no_io},
		{"unmapping_is_flushed_by_the_batch", unmapping_is_flushed_by_the_batch},
		{"a_zone_that_helps_nobody_is_not_emptied",
		 a_zone_that_helps_nobody_is_not_emptied},
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("swap", 64 * MIB);
	host_disk_mkswap(disk);
	if (do_swapon(&disk->bdev, -1))
		abort();
	return unit_run("reclaim", cases, sizeof(cases) / sizeof(cases[0]));
}
