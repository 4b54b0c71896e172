/*
 * zswap under real pressure: what stayed in the pool made no request of the host's disk; the full pool
 * goes on to the disk; its pages move; and damage to it that the host's audit must find.
 */
#include "mm/move/migrate.h"
#include "mm/phys/highmem.h"
#include "mm/reclaim/lru.h"
#include "mm/zswap/zswap.h"
#include "tests/tests.h"

#define MEM	"memory=14M,high=4M swap=48M"
#define PLANTED MMVM_TESTF_EXPECT_AUDIT

static struct mmvm_disk_stats disk_stats(struct test *t)
{
	struct mmvm_disk_stats s = {0};

	CHECK_EQ(testchan_call(MMVM_REC_DISK_STATS, "swap", 0, 0, &s, sizeof(s)), 0);
	return s;
}

/* Pages that compress to about a quarter: one word of five is noise. */
static u64 word_at(unsigned long page, unsigned int i)
{
	return i % 5 ? page : (page * 512 + i + 1) * 0x9e3779b97f4a7c15ull;
}

/* Fill the page at addr, which reclaim may take while we look: with its lock it cannot. */
static void fill_page(struct test *t, struct mm_struct *mm, unsigned long addr, unsigned long n)
{
	for (bool done = false; !done;) {
		struct page *p;
		u64 *w;

		REQUIRE(!testmm_touch(mm, addr, TOUCH_WRITE));
		p = testmm_page(mm, addr);
		if (!p || !get_page_unless_zero(p))
			continue;
		lock_page(p);
		done = testmm_page(mm, addr) == p;
		if (done) {
			w = kmap_local_page(p);
			for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
				w[i] = word_at(n, i);
			kunmap_local(w);
			SetPageDirty(p);
		}
		unlock_page(p);
		release_page(p);
	}
}

static unsigned long map_pages(struct test *t, struct mm_struct *mm, unsigned long pages)
{
	unsigned long a = testmm_map(t, mm, pages * PAGE_SIZE);

	/* fill_page() locks single pages. */
	if (a)
		CHECK_EQ(do_madvise(mm, a, pages * PAGE_SIZE, MADV_NOHUGEPAGE), 0);
	for (unsigned long n = 0; a && n < pages; n++)
		fill_page(t, mm, a + n * PAGE_SIZE, n);
	return a;
}

/* Wrong pages among all, read in an order of its own. */
static unsigned long wrong_pages(struct mm_struct *mm, unsigned long a, unsigned long pages)
{
	unsigned long bad = 0;

	for (unsigned long n = 0, at = 0; n < pages; n++, at = (at + 7919) % pages) {
		for (unsigned int i = 0; i < PAGE_SIZE / 8; i += 37) {
			u64 v = 0;

			if (testmm_read(mm, a + at * PAGE_SIZE + i * 8, &v) ||
			    v != word_at(at, i)) {
				bad++;
				break;
			}
		}
	}
	return bad;
}

static void writes_end(void)
{
	memory_settle();
	while (global_stat(NR_WRITEBACK))
		sleep_ms(1);
}

GUEST_TEST(zswap, pages_in_the_pool_make_no_request, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	const unsigned long pages = 1200;
	struct mmvm_disk_stats before = disk_stats(t), now;
	s64 out = ev(ZSWPOUT), in = ev(ZSWPIN), swpout = ev(PSWPOUT);
	unsigned long a;

	REQUIRE(!zswap_set_enabled("1"));
	a = map_pages(t, mm, pages);
	REQUIRE(a);
	CHECK_EQ(do_madvise(mm, a, pages * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK_EQ(ev(ZSWPOUT) - out, pages);
	CHECK_EQ(zswap_counts.stored_pages, pages);
	CHECK(zs_pages() > pages / 8 && zs_pages() < pages / 2);
	testchan_audit();
	CHECK_EQ(wrong_pages(mm, a, pages), 0);
	CHECK_EQ(ev(ZSWPIN) - in, pages);
	now = disk_stats(t);
	CHECK_EQ(now.reads, before.reads);
	CHECK_EQ(now.writes, before.writes);
	CHECK_EQ(ev(PSWPOUT), swpout);
	mmput(mm);
	CHECK_EQ(zs_pages(), 0);
	CHECK(swap_becomes_empty());
}

GUEST_TEST(zswap, the_full_pool_goes_on_to_the_disk, 0, 300, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	const unsigned long pages = totalram_pages() * 2;
	struct mmvm_disk_stats before = disk_stats(t), now;
	s64 out = ev(PSWPOUT), wb = ev(ZSWPWB);
	unsigned long a;

	zswap_max_pool_percent = 10;
	REQUIRE(!zswap_set_enabled("1"));
	a = map_pages(t, mm, pages);
	REQUIRE(a);
	CHECK(ev(ZSWPOUT) > (s64)pages / 4);
	CHECK_EQ(wrong_pages(mm, a, pages), 0);
	writes_end();
	now = disk_stats(t);
	CHECK(ev(ZSWPWB) > wb);
	CHECK(zswap_counts.pool_limit_hit > 0);
	/* Guest and host agree about the pages that went to the disk, written back or refused. */
	CHECK_EQ((now.sectors_written - before.sectors_written) / 8, ev(PSWPOUT) - out);
	testchan_audit();
	mmput(mm);
	CHECK(swap_becomes_empty());
	CHECK_EQ(zswap_counts.stored_pages, 0);
	CHECK_EQ(zs_pages(), 0);
}

GUEST_TEST(zswap, the_pool_moves_out_of_the_way, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	const unsigned long pages = 1000;
	unsigned int moved = 0;
	unsigned long a;

	REQUIRE(!zswap_set_enabled("1"));
	a = map_pages(t, mm, pages);
	REQUIRE(a);
	CHECK_EQ(do_madvise(mm, a, pages * PAGE_SIZE, MADV_PAGEOUT), 0);
	for (u64 slot = 1; slot < swap_areas[0].nr_slots; slot++) {
		struct zswap_entry *e = swap_areas[0].zswap[slot];
		unsigned int n = 0;
		struct page *page;
		LIST_HEAD(list);

		page = e && e->length ? e->ref.zspage->page[0] : NULL;
		if (!page || !isolate_movable_page(page))
			continue;
		list_add(&page->lru, &list);
		migrate_pages(&list, alloc_migration_target, NULL, NULL, MIGRATE_SYNC,
			      MR_COMPACTION, &n);
		putback_movable_pages(&list);
		moved += n;
	}
	CHECK(moved > pages / 2);
	testchan_audit();
	CHECK_EQ(wrong_pages(mm, a, pages), 0);
	mmput(mm);
	CHECK_EQ(zs_pages(), 0);
}

GUEST_TEST(zswap, the_shrinker_makes_room, 0, 120, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	const unsigned long pages = 800;
	s64 wb = ev(ZSWPWB);
	unsigned long a;

	zswap_shrinker_enabled = true;
	REQUIRE(!zswap_set_enabled("1"));
	a = map_pages(t, mm, pages);
	REQUIRE(a);
	CHECK_EQ(do_madvise(mm, a, pages * PAGE_SIZE, MADV_PAGEOUT), 0);
	/* The first round takes the second chance away. */
	for (int i = 0; i < 50 && ev(ZSWPWB) == wb; i++)
		shrink_slab(GFP_KERNEL, 0);
	CHECK(ev(ZSWPWB) > wb);
	writes_end();
	CHECK_EQ(wrong_pages(mm, a, pages), 0);
	mmput(mm);
	CHECK(swap_becomes_empty());
}

/* ---- damage ----------------------------------------------------------------------------------- */

/* An entry with compressed data, of a process that stays. */
static struct zswap_entry *some_entry(struct test *t)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a;

	if (zswap_set_enabled("1"))
		return NULL;
	a = map_pages(t, mm, 16);
	CHECK_EQ(do_madvise(mm, a, 16 * PAGE_SIZE, MADV_PAGEOUT), 0);
	for (u64 slot = 1; slot < swap_areas[0].nr_slots; slot++)
		if (swap_areas[0].zswap[slot])
			return swap_areas[0].zswap[slot];
	return NULL;
}

GUEST_TEST(zswap, planted_damaged_data, PLANTED, 0, MEM)
{
	struct zswap_entry *e = some_entry(t);

	REQUIRE(e);
	e->length--;
	test_expect_audit(t, "zswap_entry");
}

GUEST_TEST(zswap, planted_wrong_owner, PLANTED, 0, MEM)
{
	struct zswap_entry *e = some_entry(t);

	REQUIRE(e);
	e->ref.zspage->page[0]->index = 3;
	test_expect_audit(t, "zswap_pool");
}

GUEST_TEST(zswap, planted_lost_entry, PLANTED, 0, MEM)
{
	struct zswap_entry *e = some_entry(t);

	REQUIRE(e);
	zswap_counts.stored_pages--;
	test_expect_audit(t, "zswap_count");
}
