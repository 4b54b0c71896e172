/*
 * The exam: memory full of single pages, every other one freed. Half of memory is free, and there is no
 * block of 2 MiB. After compaction there is, what was in the pages still is, and the frames that moved
 * are known: the trace has a record of each (migrate), and the audit finds every page at its new place.
 */
#include "mm/phys/compaction.h"
#include "mm/phys/internal.h"
#include "tests/tests.h"

#define MEM	  "memory=56M,high=24M"
#define MAX_PAGES 16384ul

static pfn_t was[MAX_PAGES];

static struct mm_struct *in_pieces(struct test *t, unsigned long *at, unsigned long *pages)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a, n = 0, most = min(settled_free_pages(), (u64)MAX_PAGES);

	if (!mm)
		return NULL;
	a = testmm_map(t, mm, most * PAGE_SIZE);
	if (!a)
		return NULL;
	for (; n < most && settled_free_pages() > 700; n++)
		CHECK_EQ(testmm_write(mm, a + n * PAGE_SIZE, word_for(a + n * PAGE_SIZE, 3)), 0);
	for (unsigned long i = 1; i < n; i += 2)
		CHECK_EQ(do_madvise(mm, a + i * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED), 0);
	for (unsigned long i = 0; i < n; i += 2)
		was[i] = page_to_pfn(testmm_page(mm, a + i * PAGE_SIZE));
	*at = a;
	*pages = n;
	settled_free_pages();
	return mm;
}

static unsigned long check_contents(struct test *t, struct mm_struct *mm, unsigned long a,
				    unsigned long pages)
{
	unsigned long moved = 0;
	u64 v;

	for (unsigned long i = 0; i < pages; i += 2) {
		CHECK_EQ(testmm_read(mm, a + i * PAGE_SIZE, &v), 0);
		CHECK_EQ(v, word_for(a + i * PAGE_SIZE, 3));
		moved += page_to_pfn(testmm_page(mm, a + i * PAGE_SIZE)) != was[i];
	}
	return moved;
}

GUEST_TEST(compact, every_other_page_freed, 0, 120, MEM)
{
	s64 migrated = ev(PGMIGRATE_SUCCESS);
	unsigned long a, pages, moved;
	struct mm_struct *mm = in_pieces(t, &a, &pages);
	struct page *block;

	REQUIRE(mm);
	CHECK(pages >= 256);
	CHECK(!alloc_pages(GFP_NOWAIT | __GFP_NOWARN, 9));
	block = alloc_pages(GFP_KERNEL | __GFP_NOWARN, 9);
	REQUIRE(block);
	CHECK(ev(COMPACTSUCCESS) >= 1);
	CHECK(ev(COMPACT_STALL) >= ev(COMPACTSUCCESS));
	CHECK_EQ(ev(OOM_KILL), 0);
	moved = check_contents(t, mm, a, pages);
	CHECK(moved > 0);
	CHECK(ev(PGMIGRATE_SUCCESS) > migrated);
	memory_settle(); /* kswapd and kcompactd come to rest */
	CHECK_EQ(testchan_audit(), 0);
	__free_pages(block, 9);
	mmput(mm);
}

GUEST_TEST(compact, all_of_memory_on_request, 0, 120, MEM)
{
	unsigned long a, pages, blocks = 0;
	struct mm_struct *mm = in_pieces(t, &a, &pages);

	REQUIRE(mm);
	compact_memory();
	settled_free_pages();
	for (unsigned int i = 0; i < nr_zones; i++)
		for (unsigned int o = 9; o < NR_ORDERS; o++)
			blocks += zone_table[i]->free_area[o].nr_free << (o - 9);
	/* All that is free but the rests of some pageblocks. */
	CHECK(blocks * 512 * 2 > nr_free_pages());
	CHECK(check_contents(t, mm, a, pages) > 0);
	CHECK_EQ(testchan_audit(), 0);
	mmput(mm);
}
