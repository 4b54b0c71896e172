/*
 * The multi-generational policy: the controller, generations and their ages, which pages a walk protects,
 * the filter of hot tables, pages used in the last seconds, and changing the policy of a running machine.
 */
#include "unit.h"
#include "mm_user.h"
#include "mm/reclaim/mglru.h"
#include "mm/reclaim/workingset.h"

static struct host_disk *disk;

static struct page *page_at(struct mm_struct *mm, unsigned long addr)
{
	pte_t *pte = walk_pte(mm->pgd, addr);

	return pte && pte_present(*pte) ? pfn_to_page(pte_pfn(*pte)) : NULL;
}

static unsigned int resident(struct mm_struct *mm, unsigned long at, u64 pages)
{
	unsigned int n = 0;

	for (u64 i = 0; i < pages; i++)
		n += page_at(mm, at + i * PAGE_SIZE) != NULL;
	return n;
}

/* A pass, as kswapd makes it. */
static u64 shrink(int priority, u64 want)
{
	struct scan_control sc = {.gfp = GFP_KERNEL,
				  .highest = ZONE_MOVABLE,
				  .priority = priority,
				  .kswapd = true,
				  .nr_to_reclaim = want};

	lru_add_drain();
	shrink_node(&node_data[0], &sc);
	return sc.nr_reclaimed;
}

static u64 on_lists(const struct lruvec *lv)
{
	u64 n = 0;

	for (unsigned int l = 1; l <= lv->policy->nr_lists; l++)
		n += lv->nr[l];
	return n;
}

/* Every list holds what its count says, and pages that carry its number. */
static void check_lists(const struct lruvec *lv)
{
	for (unsigned int l = 0; l < LRU_MAX_LISTS; l++) {
		struct page *page;
		u64 n = 0;

		list_for_each_entry (page, &lv->list[l], lru) {
			MUST(page_list(page) == l && PageLRU(page), "page on list %u says %u", l,
			     page_list(page));
			n++;
		}
		MUST(n == lv->nr[l], "list %u: %lu, count %lu", l, (long)n, (long)lv->nr[l]);
		MUST(!n || l <= lv->policy->nr_lists, "list %u is not of the policy", l);
	}
}

static void the_controller(void)
{
	struct mglru_pos base = {.refaulted = 100, .total = 1000, .gain = 1};
	struct mglru_pos p = {.refaulted = 10, .total = 10, .gain = 2};

	/* Too few refaults to say anything. */
	CU_ASSERT(mglru_refaults_less(&base, &p));
	/* At gain 2 it has to refault more than twice as often. */
	p.refaulted = 180;
	p.total = 1000;
	CU_ASSERT(mglru_refaults_less(&base, &p));
	p.refaulted = 200;
	CU_ASSERT(!mglru_refaults_less(&base, &p));
	p.gain = 1;
	p.refaulted = 90;
	CU_ASSERT(mglru_refaults_less(&base, &p));
	CU_ASSERT_EQUAL(mglru_tier(0), 0);
	CU_ASSERT_EQUAL(mglru_tier(1), 0);
	CU_ASSERT_EQUAL(mglru_tier(2), 1);
	CU_ASSERT_EQUAL(mglru_tier(4), 2);
	CU_ASSERT_EQUAL(mglru_tier(7), 3);
}

static void what_is_used_stays(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long hot = do_mmap(mm, 0, 64 << PAGE_SHIFT, RW, PRIVATE, 0);
	unsigned long cold = do_mmap(mm, 0, 1024 << PAGE_SHIFT, RW, PRIVATE, 0);
	struct lruvec *lv = &root_lruvec[0];
	u64 v, majors;

	for (u64 i = 0; i < 64; i++)
		user_write(mm, hot + i * PAGE_SIZE, i + 1);
	majors = sum_vm_event(PGMAJFAULT);
	for (u64 i = 0; i < 1024; i++) {
		user_write(mm, cold + i * PAGE_SIZE, ~i);
		if (i % 16)
			continue;
		/* Between any two passes the hot ones are used, as they would be. */
		for (int k = 0; k < 50 && on_lists(lv) > 256; k++) {
			for (u64 h = 0; h < 64; h++)
				user_read(mm, hot + h * PAGE_SIZE, &v);
			shrink(4, 32);
		}
		check_lists(lv);
	}
	CU_ASSERT(on_lists(lv) <= 300);
	CU_ASSERT_EQUAL(resident(mm, hot, 64), 64);
	CU_ASSERT_EQUAL(sum_vm_event(PGMAJFAULT), majors);
	check_all();
	for (u64 i = 0; i < 1024; i++)
		CU_ASSERT(!user_read(mm, cold + i * PAGE_SIZE, &v) && v == ~i);
	mmput(mm);
	check_lists(lv);
	check_all();
}

/* Nothing that is in use is taken before a walk has had the chance to see it unused. */
static void the_two_youngest_are_left_alone(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 200 << PAGE_SHIFT, RW, PRIVATE, 0);

	for (u64 i = 0; i < 200; i++)
		user_write(mm, at + i * PAGE_SIZE, i);
	/* The first pass begins a generation; the pages are in the one before. */
	shrink(0, 1);
	CU_ASSERT_EQUAL(resident(mm, at, 200), 200);
	for (int i = 0; i < 6 && resident(mm, at, 200); i++)
		shrink(0, ~0ull);
	CU_ASSERT_EQUAL(resident(mm, at, 200), 0);
	mmput(mm);
	check_all();
}

static void the_young_have_time(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 100 << PAGE_SHIFT, RW, PRIVATE, 0);

	for (u64 i = 0; i < 100; i++)
		user_write(mm, at + i * PAGE_SIZE, i);
	shrink(0, 1);
	mglru_min_ttl_ns = ~0ull >> 1;
	for (int i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(shrink(0, ~0ull), 0);
	CU_ASSERT_EQUAL(resident(mm, at, 100), 100);
	mglru_min_ttl_ns = 0;
	for (int i = 0; i < 8; i++)
		shrink(0, ~0ull);
	CU_ASSERT_EQUAL(resident(mm, at, 100), 0);
	mmput(mm);
	check_all();
}

static void the_filter_of_hot_tables(void)
{
	u64 seq = 1000;
	unsigned int wrong = 0;

	/* Nothing is known of a walk that does not follow the last one. */
	CU_ASSERT(mglru_table_is_hot(0, seq, (void *)0x1000));
	mglru_walk(&root_lruvec[0], seq - 1);
	CU_ASSERT(!mglru_table_is_hot(0, seq, (void *)0x7000));
	for (unsigned long t = 1; t <= 300; t++)
		mglru_table_found_hot(0, seq - 1, (void *)(t * PAGE_SIZE));
	for (unsigned long t = 1; t <= 300; t++)
		CU_ASSERT(mglru_table_is_hot(0, seq, (void *)(t * PAGE_SIZE)));
	for (unsigned long t = 1000; t < 2000; t++)
		wrong += mglru_table_is_hot(0, seq, (void *)(t * PAGE_SIZE));
	CU_ASSERT(wrong < 50);
}

/* rmap finds one accessed bit: its neighbours' are cleared too, and their pages move to the youngest. */
static void a_look_around(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 128 << PAGE_SHIFT, RW, PRIVATE, 0);
	unsigned long vm_flags, base = (at + 0x3ffff) & ~0x3fffful;
	u64 young = 0;

	for (u64 i = 0; i < 128; i++)
		user_write(mm, at + i * PAGE_SIZE, i);
	CU_ASSERT(page_referenced(page_at(mm, base + 5 * PAGE_SIZE), &vm_flags));
	for (u64 i = 0; i < 64; i++)
		young += pte_young(*walk_pte(mm->pgd, base + i * PAGE_SIZE));
	CU_ASSERT_EQUAL(young, 0);
	CU_ASSERT(page_at(mm, base + 9 * PAGE_SIZE)->flags >> PAGE_POLICY_SHIFT & 7);
	mmput(mm);
	check_all();
}

static void uses_through_files_count(void)
{
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE | MAP_POPULATE, 0);
	struct page *page = page_at(mm, at);

	for (int i = 0; i < 20; i++)
		mark_page_accessed(page);
	CU_ASSERT_EQUAL(page->flags >> (PAGE_POLICY_SHIFT + 3) & 7, 7);
	mmput(mm);
}

/* ---- changing the policy ---------------------------------------------------------------------- */

static void policies_change_without_loss(void)
{
	static const char *const turns[] = {"twolist", "s3fifo",  "mglru",
					    "s3fifo",  "twolist", "mglru"};
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, 800 << PAGE_SHIFT, RW, PRIVATE, 0);
	struct lruvec *lv = &root_lruvec[0];
	u64 v;

	CU_ASSERT_EQUAL(reclaim_policy_set("lru"), -EINVAL);
	for (u64 i = 0; i < 800; i++)
		user_write(mm, at + i * PAGE_SIZE, i * 3);
	for (unsigned int t = 0; t < ARRAY_SIZE(turns); t++) {
		u64 before;

		lru_add_drain();
		before = on_lists(lv);
		CU_ASSERT_EQUAL(reclaim_policy_set(turns[t]), 0);
		CU_ASSERT_STRING_EQUAL(lv->policy->name, turns[t]);
		CU_ASSERT_STRING_EQUAL(reclaim_policies[lv->policy_index]->name, turns[t]);
		CU_ASSERT_EQUAL(on_lists(lv), before);
		CU_ASSERT_EQUAL(global_stat(NR_INACTIVE_ANON) + global_stat(NR_ACTIVE_ANON),
				(s64)before);
		check_lists(lv);
		check_all();
		for (u64 i = t; i < 800; i += 3)
			CU_ASSERT(!user_read(mm, at + i * PAGE_SIZE, &v) && v == i * 3);
		for (int k = 0; k < 10 && on_lists(lv) > 500; k++)
			shrink(2, 64);
		check_lists(lv);
		check_all();
	}
	/* Pages that are out while the policy changes come back to lists of the new one. */
	{
		struct scan_control sc = {
			.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .kswapd = true};
		struct isolated iso = ISOLATED_INIT(iso, lv, 0);
		const struct reclaim_policy *old = lv->policy;

		for (int k = 0; k < 4 && !iso.nr; k++) {
			old->age(lv, 0, 32, &sc);
			old->isolate(&iso, 16, &sc);
		}
		CU_ASSERT(iso.nr > 0);
		reclaim_policy_set("twolist");
		old->put_back(&iso);
		check_lists(lv);
		check_all();
		reclaim_policy_set("mglru");
	}
	for (u64 i = 0; i < 800; i++)
		CU_ASSERT(!user_read(mm, at + i * PAGE_SIZE, &v) && v == i * 3);
	mmput(mm);
	check_lists(lv);
	check_all();
}

static void twice_the_memory(void)
{
	u64 n = 80 * MIB / PAGE_SIZE, v;
	struct mm_struct *mm = mm_alloc();
	unsigned long at = do_mmap(mm, 0, n << PAGE_SHIFT, RW, PRIVATE, 0);

	for (u64 i = 0; i < n; i++)
		MUST(!user_write(mm, at + i * PAGE_SIZE, i ^ 0x5a5a), "page %lu", (long)i);
	check_lists(&root_lruvec[0]);
	for (u64 j = 0, i = 0; j < n; j++, i = (i + 7919) % n)
		MUST(!user_read(mm, at + i * PAGE_SIZE, &v) && v == (i ^ 0x5a5a), "page %lu",
		     (long)i);
	CU_ASSERT_EQUAL(sum_vm_event(OOM_KILL), 0);
	check_lists(&root_lruvec[0]);
	check_all();
	mmput(mm);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
	check_all();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"the_controller", the_controller},
		{"the_two_youngest_are_left_alone", the_two_youngest_are_left_alone},
		{"what_is_used_stays", what_is_used_stays},
		{"the_young_have_time", the_young_have_time},
		{"the_filter_of_hot_tables", the_filter_of_hot_tables},
		{"a_look_around", a_look_around},
		{"uses_through_files_count", uses_through_files_count},
		{"policies_change_without_loss", policies_change_without_loss},
		{"twice_the_memory", twice_the_memory},
	};

	host_boot_default("debug_vm reclaim_policy=mglru");
	mm_init();
	disk = host_disk_create("swap", 160 * MIB);
	host_disk_mkswap(disk);
	if (do_swapon(&disk->bdev, -1))
		abort();
	return unit_run("mglru", cases, sizeof(cases) / sizeof(cases[0]));
}
