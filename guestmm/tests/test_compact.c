/*
 * The exam: memory full of single pages, every other one freed. Half of memory is free, and there is no
 * block of 2 MiB. After compaction there is, what was in the pages still is, and the frames that moved
 * are known: the trace has a record of each (migrate), and the audit finds every page at its new place.
 */
#include "mm/move/compaction.h"
#include "mm/phys/internal.h"
#include "tests/tests.h"

#define MEM	  "memory=56M,high=24M"
#define MAX_PAGES 16384ul

static pfn_t was[MAX_PAGES];
/* By frame of all zones, counted through: whose page it holds; 0: not a user's. */
static u64 holds[MAX_PAGES];

/* A page of user memory by what it is, wherever it lies. */
static u64 identity(const struct page *p)
{
	if (page_ref_count(p) <= 0 ||
	    (p->type != PAGE_ANON && p->type != PAGE_FILE && p->type != PAGE_SHMEM))
		return 0;
	return ((u64)p->mapping * 31 + p->index) * 0x9e3779b97f4a7c15ull | 1;
}

/* Note what each frame holds. Returns how many hold a user's page that they did not hold at the last
 * call: those that pages have moved to, if none has been allocated since. */
static s64 frames_with_another_page(struct test *t)
{
	unsigned long n = 0;
	s64 changed = 0;

	for (unsigned int i = 0; i < nr_zones; i++) {
		const struct zone *z = zone_table[i];

		for (pfn_t pfn = z->start_pfn; pfn < z->start_pfn + z->spanned; pfn++, n++) {
			u64 now = pfn_valid(pfn) ? identity(pfn_to_page(pfn)) : 0;

			if (n == MAX_PAGES) {
				CHECK(n < MAX_PAGES);
				return -1;
			}
			changed += now && now != holds[n];
			holds[n] = now;
		}
	}
	return changed;
}

static struct mm_struct *in_pieces(struct test *t, unsigned long *at, unsigned long *pages)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a, n = 0, most = min(settled_free_pages(), (u64)MAX_PAGES);

	if (!mm)
		return NULL;
	a = testmm_map(t, mm, most * PAGE_SIZE);
	if (!a)
		return NULL;
	/* Single pages, also with transparent_hugepage=always. */
	CHECK_EQ(do_madvise(mm, a, most * PAGE_SIZE, MADV_NOHUGEPAGE), 0);
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
	/* This one wakes nobody: kcompactd would be faster than who compacts for itself. */
	CHECK(!alloc_pages(__GFP_NOWARN, 9));
	block = alloc_pages(GFP_KERNEL | __GFP_NOWARN, 9);
	REQUIRE(block);
	CHECK(ev(COMPACTSUCCESS) >= 1);
	CHECK(ev(COMPACT_STALL) >= ev(COMPACTSUCCESS));
	CHECK_EQ(ev(OOM_KILL), 0);
	/* kcompactd may be moving pages all the while: each is counted before it can be seen to have moved. */
	moved = check_contents(t, mm, a, pages);
	CHECK(moved > 0);
	/* Two rounds may have moved a page twice. */
	CHECK(ev(PGMIGRATE_SUCCESS) - migrated >= (s64)moved);
	memory_settle();
	CHECK_EQ(settled_audit(), 0);
	__free_pages(block, 9);
	mmput(mm);
}

/* Locked memory is compacted, too, unless vm.compact_unevictable_allowed says no. */
GUEST_TEST(compact, locked_memory_if_allowed, 0, 120, MEM)
{
	const s64 before = global_stat(NR_MLOCK);
	unsigned long a, pages, locked = 0, step;
	struct mm_struct *mm = in_pieces(t, &a, &pages);

	REQUIRE(mm);
	step = pages / 256 & ~1ul; /* all over memory, of those that are there */
	REQUIRE(step);
	for (unsigned long i = 0; i < pages && locked < 256; i += step, locked++)
		CHECK_EQ(do_mlock(mm, a + i * PAGE_SIZE, PAGE_SIZE, 0), 0);
	for (int allowed = 0; allowed < 2; allowed++) {
		unsigned long moved = 0;

		sysctl_compact_unevictable_allowed = allowed;
		compact_memory();
		memory_settle();
		for (unsigned long i = 0; i < locked * step; i += step) {
			const struct page *page = testmm_page(mm, a + i * PAGE_SIZE);

			CHECK(PageMlocked(page));
			moved += page_to_pfn(page) != was[i];
		}
		CHECK_EQ(moved > 0, allowed);
		CHECK_EQ(global_stat(NR_MLOCK) - before, (s64)locked);
		check_contents(t, mm, a, pages);
		CHECK_EQ(settled_audit(), 0);
	}
	mmput(mm);
	CHECK_EQ(global_stat(NR_MLOCK), before);
}

GUEST_TEST(compact, all_of_memory_on_request, 0, 120, MEM)
{
	unsigned long a, pages, blocks = 0;
	struct mm_struct *mm = in_pieces(t, &a, &pages);
	s64 migrated;

	REQUIRE(mm);
	memory_settle();
	frames_with_another_page(t);
	migrated = ev(PGMIGRATE_SUCCESS);
	compact_memory();
	memory_settle();
	/* One round moves a page once: exactly the frames that changed were counted. */
	migrated = ev(PGMIGRATE_SUCCESS) - migrated;
	CHECK_EQ(frames_with_another_page(t), migrated);
	for (unsigned int i = 0; i < nr_zones; i++)
		for (unsigned int o = 9; o < NR_ORDERS; o++)
			blocks += zone_table[i]->free_area[o].nr_free << (o - 9);
	/* All that is free but the rests of some pageblocks. */
	CHECK(blocks * 512 * 2 > nr_free_pages());
	CHECK(check_contents(t, mm, a, pages) > 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}
