/*
 * The reclaim policy "s3fifo": which queue a page enters by its uses, the ghost queue, and that a scan does
 * not evict pages that are used often.
 */
#include "unit.h"
#include "mm_user.h"
#include "mm/reclaim/workingset.h"

enum { SMALL_ANON = 1, MAIN_ANON };

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

static enum page_verdict judge(unsigned int ptes, bool referenced, bool in_main, u32 counted)
{
	const struct page_use use = {
		.ptes = ptes, .referenced = referenced, .active = in_main, .policy = counted};

	return policy_s3fifo.judge(&use);
}

static void verdicts(void)
{
	CU_ASSERT_PTR_EQUAL(reclaim_policy, &policy_s3fifo);
	/* Small: read once or twice, it is evicted; three times, it is used again and again. */
	CU_ASSERT_EQUAL(judge(0, false, false, 1), PAGE_RECLAIM);
	CU_ASSERT_EQUAL(judge(0, false, false, 2), PAGE_RECLAIM);
	CU_ASSERT_EQUAL(judge(0, false, false, 3), PAGE_ACTIVATE);
	/* Mapped: the first touch, then another. */
	CU_ASSERT_EQUAL(judge(1, false, false, 0), PAGE_KEEP);
	CU_ASSERT_EQUAL(judge(0, true, false, 0), PAGE_RECLAIM);
	CU_ASSERT_EQUAL(judge(1, true, false, 0), PAGE_ACTIVATE);
	/* Main: as long as it has uses. */
	CU_ASSERT_EQUAL(judge(0, false, true, 1), PAGE_KEEP);
	CU_ASSERT_EQUAL(judge(1, false, true, 0), PAGE_KEEP);
	CU_ASSERT_EQUAL(judge(0, true, true, 0), PAGE_RECLAIM);
}

static void a_scan_leaves_the_hot_pages(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long hot = do_mmap(mm, 0, 32 << PAGE_SHIFT, RW, PRIVATE, 0);
	unsigned long cold = do_mmap(mm, 0, 512 << PAGE_SHIFT, RW, PRIVATE, 0);
	struct lruvec *lv = &root_lruvec[0];
	unsigned int kept = 0;
	u64 v;

	for (u64 i = 0; i < 32; i++)
		user_write(mm, hot + i * PAGE_SIZE, i + 1);
	shrink(0, 1); /* the touch that made them */
	for (u64 i = 0; i < 32; i++)
		CU_ASSERT(!user_read(mm, hot + i * PAGE_SIZE, &v));
	shrink(0, 1);
	CU_ASSERT_EQUAL(lv->nr[MAIN_ANON], 32);
	check_all();
	/* Four times as much memory as may stay, touched once. Meanwhile the hot ones are used. */
	for (u64 i = 0; i < 512; i++) {
		user_write(mm, cold + i * PAGE_SIZE, ~i);
		if (i % 16)
			continue;
		for (u64 h = 0; h < 32; h++)
			user_read(mm, hot + h * PAGE_SIZE, &v);
		while (lv->nr[SMALL_ANON] + lv->nr[MAIN_ANON] > 128)
			shrink(4, 1000);
	}
	for (u64 i = 0; i < 32; i++)
		kept += page_at(mm, hot + i * PAGE_SIZE) != NULL;
	CU_ASSERT_EQUAL(kept, 32);
	check_all();
	for (u64 i = 0; i < 512; i++)
		CU_ASSERT(!user_read(mm, cold + i * PAGE_SIZE, &v) && v == ~i);
	mmput(mm);
	check_all();
}

static void what_comes_back_soon_goes_to_main(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 64 << PAGE_SHIFT, RW, PRIVATE, 0);
	struct lruvec *lv = &root_lruvec[0];
	u64 activated = sum_vm_event(WORKINGSET_ACTIVATE_ANON), v;

	for (u64 i = 0; i < 64; i++)
		user_write(mm, at + i * PAGE_SIZE, i + 1);
	/* The first 32 are used twice, and get to main. */
	shrink(0, 1);
	for (u64 i = 0; i < 32; i++)
		user_read(mm, at + i * PAGE_SIZE, &v);
	for (int i = 0; i < 8 && lv->nr[SMALL_ANON]; i++)
		shrink(4, 1000);
	CU_ASSERT(lv->nr[MAIN_ANON] >= 24);
	CU_ASSERT_EQUAL(page_at(mm, at + 63 * PAGE_SIZE), NULL);
	/* The last one evicted: within the ghost queue. */
	CU_ASSERT(!user_read(mm, at + 63 * PAGE_SIZE, &v) && v == 64);
	lru_add_drain();
	CU_ASSERT(sum_vm_event(WORKINGSET_ACTIVATE_ANON) > activated);
	CU_ASSERT_EQUAL(page_list(page_at(mm, at + 63 * PAGE_SIZE)), MAIN_ANON);
	/* A shadow older than the main queue is long is void, and so is one from the main queue. */
	{
		struct page *page = alloc_pages_type(GFP_KERNEL, 0, PAGE_ANON);
		u32 shadow;

		SetPageSwapBacked(page);
		shadow = workingset_eviction(page);
		for (u64 i = 0; i <= lv->nr[MAIN_ANON]; i++)
			workingset_eviction(page);
		workingset_refault(page, shadow);
		CU_ASSERT(!PageActive(page));
		SetPageActive(page);
		shadow = workingset_eviction(page);
		ClearPageActive(page);
		workingset_refault(page, shadow);
		CU_ASSERT(!PageActive(page));
		release_page(page);
	}
	mmput(mm);
	check_all();
}

static void uses_are_counted_and_used_up(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE | MAP_POPULATE, 0);
	struct page *page = page_at(mm, at);
	struct lruvec *lv = &root_lruvec[0];
	pte_t *pte = walk_pte(mm->pgd, at);

	lru_add_drain();
	for (int i = 0; i < 5; i++)
		mark_page_accessed(page);
	CU_ASSERT_EQUAL(page->flags >> PAGE_POLICY_SHIFT & 3, 3);
	shrink(0, 1);
	CU_ASSERT_EQUAL(lv->nr[MAIN_ANON], 1);
	CU_ASSERT_EQUAL(page->flags >> PAGE_POLICY_SHIFT & 3, 0);
	mark_page_accessed(page);
	mark_page_accessed(page);
	for (int i = 2; i > 0; i--) {
		CU_ASSERT_EQUAL(page->flags >> PAGE_POLICY_SHIFT & 3, i);
		pte_test_and_clear_young(pte);
		shrink(0, 1);
		CU_ASSERT_PTR_EQUAL(page_at(mm, at), page);
	}
	for (int i = 0; i < 2; i++)
		shrink(0, 1);
	CU_ASSERT_PTR_EQUAL(page_at(mm, at), NULL);
	mmput(mm);
	check_all();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"verdicts", verdicts},
		{"a_scan_leaves_the_hot_pages", a_scan_leaves_the_hot_pages},
		{"what_comes_back_soon_goes_to_main", what_comes_back_soon_goes_to_main},
		{"uses_are_counted_and_used_up", uses_are_counted_and_used_up},
	};
	struct host_disk *disk;

	host_boot_default("debug_vm reclaim_policy=s3fifo");
	mm_init();
	disk = host_disk_create("swap", 64 * MIB);
	host_disk_mkswap(disk);
	if (do_swapon(&disk->bdev, -1))
		abort();
	return unit_run("s3fifo", cases, sizeof(cases) / sizeof(cases[0]));
}
