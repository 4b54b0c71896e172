/*
 * The balloon and free page reporting. The host is an array here: what it holds, the order of its requests,
 * and what happens when it refuses.
 */
#include "check.h"
#include "lib/errno.h"
#include "mm/phys/alloc.h"
#include "mm/move/balloon.h"
#include "mm/phys/internal.h"
#include "mm/move/migrate.h"
#include "mm/move/reporting.h"
#include "mm_user.h"
#include "unit.h"

#define FRAMES (1u << 21)

static struct {
	u8 has[FRAMES];
	u64 pages, told;
	bool gone; /* it says no */
	u64 ranges, bytes;
	bool all_allocated;
} host;

static int tell(enum balloon_way way, const u32 *pfn, u32 n)
{
	if (host.gone)
		return -EIO;
	MUST(n >= 1 && n <= BALLOON_BATCH, "a batch");
	host.told++;
	for (u32 i = 0; i < n; i++) {
		MUST(pfn[i] < FRAMES && host.has[pfn[i]] == (way == BALLOON_DEFLATED),
		     "in once, out once");
		/* B2: while the host has it, it is nobody else's. */
		MUST(pfn_to_page(pfn[i])->type == PAGE_BALLOON, "told while it is a balloon page");
		host.has[pfn[i]] = way == BALLOON_INFLATED;
		host.pages += way == BALLOON_INFLATED ? 1 : -1;
	}
	return 0;
}

static const struct balloon_host ops = {.tell = tell, .deflate_on_oom = true};

static u64 free_now(void)
{
	drain_all_pages();
	return nr_free_pages();
}

static void in_and_out(void)
{
	const u64 before = free_now();

	CU_ASSERT_EQUAL(balloon_inflate(10), 10);
	CU_ASSERT_EQUAL(host.pages, 10);
	CU_ASSERT_EQUAL(balloon_pages(), 10);
	CU_ASSERT_EQUAL(free_now(), before - 10);
	CU_ASSERT_EQUAL(balloon_inflate(1000), BALLOON_BATCH);
	CU_ASSERT_EQUAL(host.pages, 10 + BALLOON_BATCH);
	CU_ASSERT_EQUAL(check_pages(), 0);
	CU_ASSERT_EQUAL(balloon_deflate(20), 20);
	CU_ASSERT_EQUAL(balloon_deflate(1000), BALLOON_BATCH - 10);
	CU_ASSERT_EQUAL(balloon_deflate(1), 0);
	CU_ASSERT_EQUAL(host.pages, 0);
	CU_ASSERT_EQUAL(balloon_pages(), 0);
	CU_ASSERT_EQUAL(free_now(), before);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void a_host_that_says_no(void)
{
	const u64 before = free_now();

	host.gone = true;
	CU_ASSERT_EQUAL(balloon_inflate(10), 0);
	CU_ASSERT_EQUAL(balloon_pages(), 0);
	CU_ASSERT_EQUAL(free_now(), before);
	host.gone = false;
	CU_ASSERT_EQUAL(balloon_inflate(10), 10);
	/* It goes with the pages: they are the guest's again. */
	host.gone = true;
	CU_ASSERT_EQUAL(balloon_deflate(10), 10);
	CU_ASSERT_EQUAL(free_now(), before);
	host.gone = false;
	memset(host.has, 0, sizeof(host.has));
	host.pages = 0;
}

/* The k-th page is not to be had: those before it are given. */
static void short_of_pages(void)
{
	for (u64 k = 1; k <= 5; k++) {
		alloc_fail_nth(k);
		CU_ASSERT_EQUAL(balloon_inflate(8), k - 1);
		alloc_fail_nth(0);
		CU_ASSERT_EQUAL(host.pages, k - 1);
		CU_ASSERT_EQUAL(balloon_deflate(8), k - 1);
	}
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static struct page *a_page(void)
{
	for (u32 pfn = 0; pfn < FRAMES; pfn++)
		if (host.has[pfn])
			return pfn_to_page(pfn);
	return NULL;
}

static int move(struct page *page)
{
	LIST_HEAD(list);
	int left;

	if (!isolate_movable_page(page))
		return -1;
	list_add(&page->lru, &list);
	left = migrate_pages(&list, alloc_migration_target, NULL, NULL, MIGRATE_SYNC, MR_SYSCALL,
			     NULL);
	putback_movable_pages(&list);
	return left;
}

static void pages_move(void)
{
	const s64 migrated = sum_vm_event(BALLOON_MIGRATE);
	struct page *page;

	CU_ASSERT_EQUAL(balloon_inflate(3), 3);
	page = a_page();
	CU_ASSERT_PTR_NOT_NULL_FATAL(page);
	CU_ASSERT(page_is_movable(page));
	CU_ASSERT_EQUAL(move(page), 0);
	CU_ASSERT_EQUAL(sum_vm_event(BALLOON_MIGRATE) - migrated, 1);
	CU_ASSERT_EQUAL(host.pages, 3);
	CU_ASSERT(!host.has[page_to_pfn(page)]);
	CU_ASSERT_NOT_EQUAL(page->type, PAGE_BALLOON);
	CU_ASSERT_EQUAL(balloon_pages(), 3);
	CU_ASSERT_EQUAL(check_pages(), 0);
	/* The host says no: it stays where it is, and is still the balloon's. */
	page = a_page();
	host.gone = true;
	CU_ASSERT_EQUAL(move(page), 1);
	host.gone = false;
	CU_ASSERT(host.has[page_to_pfn(page)] && page->type == PAGE_BALLOON);
	/* One that somebody has taken is passed over, and found again when it is back. */
	CU_ASSERT(isolate_movable_page(page));
	CU_ASSERT_EQUAL(balloon_deflate(3), 2);
	CU_ASSERT_EQUAL(balloon_pages(), 1);
	{
		LIST_HEAD(list);

		list_add(&page->lru, &list);
		putback_movable_pages(&list);
	}
	CU_ASSERT_EQUAL(balloon_deflate(3), 1);
	CU_ASSERT_EQUAL(host.pages, 0);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void out_of_memory_takes_back(void)
{
	CU_ASSERT_EQUAL(balloon_oom(), 0);
	CU_ASSERT_EQUAL(balloon_inflate(5), 5);
	CU_ASSERT_EQUAL(balloon_oom(), 5);
	CU_ASSERT_EQUAL(host.pages, 0);
}

/* ---- reporting -------------------------------------------------------------------------------- */

static int report(const struct reported_range *range, u32 n)
{
	MUST(n >= 1 && n <= REPORTING_CAPACITY, "a batch");
	for (u32 i = 0; i < n; i++) {
		struct page *page = pfn_to_page(range[i].start >> PAGE_SHIFT);

		MUST(range[i].bytes == PAGE_SIZE << page->order && page->order >= PAGEBLOCK_ORDER &&
			     range[i].start % range[i].bytes == 0,
		     "a large block");
		/* G1 */
		host.all_allocated &= page->type == PAGE_OTHER && page->refcount == 1;
		host.bytes += range[i].bytes;
	}
	host.ranges += n;
	return host.gone ? -EIO : 0;
}

/* Free blocks that are large enough, by what is marked. */
static u64 blocks(bool marked)
{
	u64 n = 0;

	for (unsigned int i = 0; i < nr_zones; i++)
		for (unsigned int o = PAGEBLOCK_ORDER; o <= MAX_ORDER; o++)
			for (unsigned int t = 0; t < NR_MIGRATETYPES; t++) {
				struct page *page;

				list_for_each_entry (page,
						     &zone_table[i]->free_area[o].free_list[t], lru)
					n += (page->cpu == BUDDY_REPORTED) == marked;
			}
	return n;
}

static void blocks_are_reported_once(void)
{
	const u64 before = free_now(), large = blocks(false) + blocks(true);
	struct page *page;
	u64 n;

	CU_ASSERT(large > 0);
	CU_ASSERT_EQUAL(blocks(true), 0);
	host.all_allocated = true;
	CU_ASSERT_EQUAL(page_reporting_round(report), 0);
	CU_ASSERT(host.all_allocated);
	CU_ASSERT_EQUAL(host.ranges, blocks(true));
	CU_ASSERT(host.ranges > 0 && host.ranges <= large);
	CU_ASSERT_EQUAL(nr_free_pages(), before);
	CU_ASSERT_EQUAL(check_pages(), 0);
	n = host.ranges;
	CU_ASSERT_EQUAL(page_reporting_round(report), 0);
	CU_ASSERT_EQUAL(host.ranges, n);
	/* Used and free again: told again. */
	page = alloc_pages(GFP_KERNEL, MAX_ORDER);
	CU_ASSERT_PTR_NOT_NULL_FATAL(page);
	CU_ASSERT_NOT_EQUAL(page->cpu, BUDDY_REPORTED);
	__free_pages(page, MAX_ORDER);
	CU_ASSERT_EQUAL(page_reporting_round(report), 0);
	CU_ASSERT_EQUAL(host.ranges, n + 1);
	/* The host has had enough: nothing is marked, nothing is lost. */
	page = alloc_pages(GFP_KERNEL, MAX_ORDER);
	__free_pages(page, MAX_ORDER);
	host.gone = true;
	CU_ASSERT_EQUAL(page_reporting_round(report), -EIO);
	host.gone = false;
	CU_ASSERT_EQUAL(blocks(true), n - 1);
	CU_ASSERT_EQUAL(nr_free_pages(), before);
	CU_ASSERT_EQUAL(check_pages(), 0);
}

static void frozen_for_good(void)
{
	CU_ASSERT_EQUAL(balloon_inflate(2), 2);
	balloon_freeze();
	CU_ASSERT_EQUAL(balloon_inflate(1), 0);
	CU_ASSERT_EQUAL(balloon_deflate(1), 0);
	CU_ASSERT_EQUAL(balloon_pages(), 2);
	page_reporting_freeze();
	CU_ASSERT_EQUAL(page_reporting_round(report), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"in and out", in_and_out},
		{"a host that says no", a_host_that_says_no},
		{"short of pages", short_of_pages},
		{"pages move", pages_move},
		{"out of memory takes back", out_of_memory_takes_back},
		{"blocks are reported once", blocks_are_reported_once},
		{"frozen for good", frozen_for_good},
	};

	host_boot_default("debug_vm");
	mm_init();
	balloon_register(&ops);
	return unit_run("mm: balloon", cases, ARRAY_SIZE(cases));
}
