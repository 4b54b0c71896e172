/*
 * The memory balloon. The host is asked each time what it has: pages in the device's set, and how much
 * memory guest RAM really takes there.
 */
#include "mm/move/balloon.h"
#include "mm/move/migrate.h"
#include "mm/move/reporting.h"
#include "tests/tests.h"

#define MEM	"memory=32M balloon=0"
#define PLANTED MMVM_TESTF_EXPECT_AUDIT
#define WAIT_MS 600000ul /* until nothing changes any more; the run's own limit comes first */

static struct mmvm_balloon host_set(u64 target)
{
	struct mmvm_balloon b = {0};

	if (testchan_call(MMVM_REC_BALLOON, "", target, 0, &b, sizeof(b)))
		b.target = ~0ull;
	return b;
}

static struct mmvm_balloon host_look(void)
{
	return host_set(MMVM_BALLOON_LOOK);
}

/* The driver has written `actual` when it is there. */
static bool is_there(void *arg)
{
	const struct mmvm_balloon b = host_look();

	return b.actual == *(u64 *)arg && balloon_pages() == *(u64 *)arg;
}

static bool balloon_to(u64 pages)
{
	host_set(pages);
	return wait_until(is_there, &pages, WAIT_MS);
}

/* Write to `nr` pages and free them again. Returns how it was meanwhile: the host has given memory for all. */
static struct mmvm_balloon use_pages(u32 nr)
{
	struct page *page, *next;
	struct mmvm_balloon b;
	LIST_HEAD(used);

	while (nr--) {
		page = alloc_page(GFP_KERNEL | __GFP_NORETRY);
		if (!page)
			break;
		memset(page_address(page), 0x5a, PAGE_SIZE);
		list_add(&page->lru, &used);
	}
	b = host_look();
	list_for_each_entry_safe (page, next, &used, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
	return b;
}

GUEST_TEST(balloon, the_host_gets_the_memory, 0, 0, MEM)
{
	const u64 nr = 2048;
	const s64 inflated = ev(BALLOON_INFLATE), deflated = ev(BALLOON_DEFLATE);
	struct mmvm_balloon before, full, empty;
	u64 free_before, free_full;

	page_reporting_freeze(); /* what is free stays the guest's here */
	use_pages(5000);
	free_before = settled_free_pages();
	before = host_look();
	CHECK_EQ(before.pages, 0);
	REQUIRE(balloon_to(nr));
	full = host_look();
	free_full = settled_free_pages();
	CHECK_EQ(full.pages, nr);
	CHECK_EQ(full.inflated - before.inflated, nr);
	CHECK(full.given_back - before.given_back >= nr);
	CHECK_EQ(ev(BALLOON_INFLATE) - inflated, nr);
	/* Whatever else happens meanwhile takes a few pages. */
	CHECK(before.resident - full.resident + 64 >= nr);
	CHECK(free_before - free_full + 64 >= nr && free_before - free_full <= nr + 64);
	CHECK_EQ(settled_audit(), 0);

	REQUIRE(balloon_to(100));
	CHECK_EQ(host_look().pages, 100);
	CHECK_EQ(ev(BALLOON_DEFLATE) - deflated, nr - 100);
	REQUIRE(balloon_to(0));
	empty = host_look();
	CHECK_EQ(empty.pages, 0);
	CHECK_EQ(empty.deflated, nr);
	CHECK(settled_free_pages() + 64 >= free_before);
	use_pages(5000);
	CHECK(host_look().resident + 64 >= before.resident);
}

GUEST_TEST(balloon, there_from_the_start, 0, 0, "memory=32M balloon=8M")
{
	u64 nr = 2048;

	CHECK_EQ(host_look().target, nr);
	CHECK(wait_until(is_there, &nr, WAIT_MS));
	CHECK_EQ(host_look().pages, nr);
}

GUEST_TEST(balloon, pages_move, 0, 0, MEM)
{
	const s64 migrated = ev(BALLOON_MIGRATE);
	struct mmvm_balloon before, after;
	unsigned int moved = 0, taken = 0;
	LIST_HEAD(list);

	REQUIRE(balloon_to(600));
	before = host_look();
	for (unsigned int i = 0; i < nr_zones; i++) {
		const struct zone *z = zone_table[i];

		for (pfn_t pfn = z->start_pfn; pfn < z->start_pfn + z->spanned; pfn++) {
			struct page *page = pfn_valid(pfn) ? pfn_to_page(pfn) : NULL;

			if (!page || page->type != PAGE_BALLOON || taken == 300 ||
			    !isolate_movable_page(page))
				continue;
			list_add(&page->lru, &list);
			taken++;
		}
	}
	CHECK_EQ(taken, 300);
	CHECK_EQ(migrate_pages(&list, alloc_migration_target, NULL, NULL, MIGRATE_SYNC, MR_SYSCALL,
			       &moved),
		 0);
	CHECK_EQ(moved, 300);
	CHECK_EQ(ev(BALLOON_MIGRATE) - migrated, 300);
	after = host_look();
	CHECK_EQ(after.pages, 600);
	CHECK_EQ(after.inflated - before.inflated, 300);
	CHECK_EQ(after.deflated - before.deflated, 300);
	CHECK_EQ(settled_audit(), 0);
	REQUIRE(balloon_to(0));
}

static bool stats_came(void *arg)
{
	return host_look().nr_stats >= *(u64 *)arg;
}

GUEST_TEST(balloon, statistics_when_asked, 0, 0, MEM)
{
	u64 more = host_look().nr_stats + 1;
	struct mmvm_balloon b;
	u64 free;

	host_set(MMVM_BALLOON_STATS);
	REQUIRE(wait_until(stats_came, &more, WAIT_MS));
	free = nr_free_pages() << PAGE_SHIFT;
	b = host_look();
	CHECK(b.stat_free + 2 * MIB > free && b.stat_free < free + 2 * MIB);
	/* Only when it is asked: the buffer is with the host meanwhile. */
	CHECK_EQ(b.nr_stats, more);
}

GUEST_TEST(balloon, short_of_memory_takes_pages_back, 0, 0, MEM)
{
	const s64 deflated = ev(BALLOON_DEFLATE), kills = ev(OOM_KILL);
	struct page *page, *next;
	LIST_HEAD(used);
	u32 n = 0;

	REQUIRE(balloon_to(3000));
	/* Until all that was free is gone, and some of what the host had. */
	while (ev(BALLOON_DEFLATE) - deflated < 1000 && n < 20000) {
		page = alloc_page(GFP_KERNEL | __GFP_NOWARN);
		if (!page)
			break;
		list_add(&page->lru, &used);
		n++;
	}
	CHECK(ev(BALLOON_DEFLATE) - deflated >= 1000);
	CHECK_EQ(ev(OOM_KILL), kills);
	CHECK(balloon_pages() <= 2000);
	CHECK_EQ(host_look().pages, balloon_pages());
	list_for_each_entry_safe (page, next, &used, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

static bool two_rounds_later(void *arg)
{
	return page_reporting_rounds() >= *(u64 *)arg + 2;
}

/* Pages that were used and freed are the host's again; those of now keep what is in them. */
GUEST_TEST(balloon, free_pages_are_reported, 0, 0, MEM)
{
	struct page *kept = alloc_page(GFP_KERNEL);
	struct mmvm_balloon full, after, later;
	u64 round;

	REQUIRE(kept != NULL);
	memset(page_address(kept), 0x77, PAGE_SIZE);
	full = use_pages(5000);
	CHECK(full.resident >= 5000);
	drain_all_pages();
	round = page_reporting_rounds();
	REQUIRE(wait_until(two_rounds_later, &round, WAIT_MS));
	after = host_look();
	CHECK(after.reported >= 2048);
	CHECK_EQ(after.given_back, after.reported);
	CHECK(after.resident + 2048 <= full.resident);
	CHECK_EQ(after.pages, 0);
	/* What has been reported is not reported again, but for blocks that were split and merged. */
	round = page_reporting_rounds();
	REQUIRE(wait_until(two_rounds_later, &round, WAIT_MS));
	later = host_look();
	printk("reported %lu, then %lu\n", after.reported, later.reported - after.reported);
	CHECK(later.reported - after.reported <= 3072);
	/* And can be used. */
	CHECK(use_pages(5000).resident >= 5000);
	for (u32 i = 0; i < PAGE_SIZE; i++)
		CHECK(((u8 *)page_address(kept))[i] == 0x77);
	__free_page(kept);
}

/* ---- damage that the audit must see ----------------------------------------------------------- */

static struct page *a_balloon_page(void)
{
	for (unsigned int i = 0; i < nr_zones; i++)
		for (pfn_t pfn = zone_table[i]->start_pfn;
		     pfn < zone_table[i]->start_pfn + zone_table[i]->spanned; pfn++)
			if (pfn_valid(pfn) && pfn_to_page(pfn)->type == PAGE_BALLOON)
				return pfn_to_page(pfn);
	return NULL;
}

GUEST_TEST(balloon, audit_sees_a_page_used_that_the_host_has, PLANTED, 0, MEM)
{
	struct page *page;

	REQUIRE(balloon_to(64));
	page = a_balloon_page();
	REQUIRE(page != NULL);
	page->type = PAGE_OTHER;
	test_expect_audit(t, "balloon_set");
}

GUEST_TEST(balloon, audit_sees_a_page_that_the_host_lacks, PLANTED, 0, MEM)
{
	struct page *page = alloc_page(GFP_KERNEL);

	REQUIRE(page != NULL);
	page->type = PAGE_BALLOON;
	test_expect_audit(t, "balloon_set");
}

GUEST_TEST(balloon, audit_sees_a_page_off_the_list, PLANTED, 0, MEM)
{
	struct page *page;

	REQUIRE(balloon_to(64));
	page = a_balloon_page();
	REQUIRE(page != NULL);
	list_del(&page->lru);
	test_expect_audit(t, "balloon_list");
}
