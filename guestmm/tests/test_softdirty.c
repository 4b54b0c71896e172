/*
 * Soft-dirty bits from inside: they stay with their pages through swap, migration and fork, and no write is
 * missed. What programs see is compared with Linux by user/conform_softdirty; after each case the host looks
 * for entries that could be written unseen.
 */
#include "kernel/process.h"
#include "mm/move/migrate.h"
#include "mm/reclaim/lru.h"
#include "mm/pgtable/soft_dirty.h"
#include "tests/tests.h"

#define MEM   "memory=24M,high=4M swap=16M"
#define PAGES 32ul

static bool soft(struct mm_struct *mm, unsigned long addr)
{
	return pte_soft_dirty(testmm_pte(mm, addr));
}

static unsigned int nr_soft(struct mm_struct *mm, unsigned long at)
{
	unsigned int n = 0;

	for (unsigned long i = 0; i < PAGES; i++)
		n += soft(mm, at + i * PAGE_SIZE);
	return n;
}

/* All pages but the last written, all watched, then every third written. */
static unsigned long watched(struct test *t, struct mm_struct *mm)
{
	unsigned long at = testmm_map(t, mm, PAGES * PAGE_SIZE);

	for (unsigned long i = 0; i < PAGES - 1; i++)
		CHECK_EQ(testmm_write(mm, at + i * PAGE_SIZE, word_for(i, 1)), 0);
	CHECK(find_vma(mm, at)->flags & VM_SOFTDIRTY);
	CHECK_EQ(mm_clear_refs(mm, CLEAR_REFS_SOFT_DIRTY), 0);
	CHECK(!(find_vma(mm, at)->flags & VM_SOFTDIRTY));
	CHECK_EQ(nr_soft(mm, at), 0);
	for (unsigned long i = 0; i < PAGES; i += 3)
		CHECK_EQ(testmm_write(mm, at + i * PAGE_SIZE, word_for(i, 2)), 0);
	CHECK_EQ(nr_soft(mm, at), 11);
	return at;
}

enum thirds { BITS_ONLY, WORDS_TOO };

/* The bits as watched() leaves them, and the words. */
static void check_thirds(struct test *t, struct mm_struct *mm, unsigned long at, enum thirds what)
{
	u64 v;

	for (unsigned long i = 0; i < PAGES; i++) {
		CHECK_EQ(soft(mm, at + i * PAGE_SIZE), i % 3 == 0);
		if (what != WORDS_TOO || i == PAGES - 1)
			continue;
		CHECK_EQ(testmm_read(mm, at + i * PAGE_SIZE, &v), 0);
		CHECK_EQ(v, word_for(i, i % 3 ? 1 : 2));
		/* Reading gives no right to write unseen. */
		CHECK_EQ(soft(mm, at + i * PAGE_SIZE), i % 3 == 0);
		CHECK(i % 3 == 0 || !pte_write(testmm_pte(mm, at + i * PAGE_SIZE)));
	}
}

GUEST_TEST(softdirty, through_swap, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long at = watched(t, mm);

	CHECK_EQ(do_madvise(mm, at, PAGES * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK_EQ(mm->rss_swap, PAGES - 1);
	check_thirds(t, mm, at, BITS_ONLY);
	check_thirds(t, mm, at, WORDS_TOO);
	CHECK_EQ(mm->rss_swap, 0);
	/* Forgotten while it is in swap; written when it comes back. */
	CHECK_EQ(do_madvise(mm, at, PAGES * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK_EQ(mm->rss_swap, PAGES - 1);
	CHECK_EQ(mm_clear_refs(mm, CLEAR_REFS_SOFT_DIRTY), 0);
	CHECK_EQ(nr_soft(mm, at), 0);
	CHECK_EQ(testmm_write(mm, at, 5), 0);
	CHECK_EQ(nr_soft(mm, at), 1);
	mmput(mm);
}

GUEST_TEST(softdirty, through_migration, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long at = watched(t, mm);
	s64 moved = ev(PGMIGRATE_SUCCESS);
	LIST_HEAD(list);

	lru_add_drain();
	for (unsigned long i = 0; i < PAGES - 1; i++) {
		struct page *page = testmm_page(mm, at + i * PAGE_SIZE);

		REQUIRE(page && isolate_movable_page(page));
		list_add_tail(&page->lru, &list);
	}
	CHECK_EQ(migrate_pages(&list, alloc_migration_target, NULL, NULL, MIGRATE_SYNC, MR_SYSCALL,
			       NULL),
		 0);
	CHECK_EQ(ev(PGMIGRATE_SUCCESS) - moved, PAGES - 1);
	check_thirds(t, mm, at, WORDS_TOO);
	mmput(mm);
}

GUEST_TEST(softdirty, through_fork, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long at = watched(t, mm);

	child = dup_mm(mm);
	REQUIRE(child);
	check_thirds(t, child, at, WORDS_TOO);
	CHECK_EQ(testmm_write(child, at + PAGE_SIZE, 7), 0);
	CHECK(soft(child, at + PAGE_SIZE) && !soft(mm, at + PAGE_SIZE));
	/* The parent alone again: still not to be written unseen. */
	mmput(child);
	check_thirds(t, mm, at, WORDS_TOO);
	mmput(mm);
}

static bool soft_or_new(struct mm_struct *mm, unsigned long addr)
{
	return soft(mm, addr) || (find_vma(mm, addr)->flags & VM_SOFTDIRTY);
}

/* One step of a random life; `written` is what must be soft-dirty afterwards, a bit a page. */
static void step(struct mm_struct *mm, unsigned long at, u64 random, u32 *written)
{
	unsigned long i = random >> 8 & 31, n = (random >> 16 & 7) + 1, addr = at + i * PAGE_SIZE;
	unsigned long len = min(n, PAGES - i) * PAGE_SIZE;
	LIST_HEAD(list);
	struct page *page;
	u64 v;

	switch (random & 15) {
	case 0:
		*written = 0;
		mm_clear_refs(mm, CLEAR_REFS_SOFT_DIRTY);
		break;
	case 1:
		do_madvise(mm, addr, len, MADV_PAGEOUT);
		break;
	case 2:
		lru_add_drain();
		page = testmm_page(mm, addr);
		if (!page || !isolate_movable_page(page))
			break;
		list_add_tail(&page->lru, &list);
		migrate_pages(&list, alloc_migration_target, NULL, NULL, MIGRATE_SYNC, MR_SYSCALL,
			      NULL);
		putback_movable_pages(&list);
		break;
	case 3:
		do_mprotect(mm, addr, len, PROT_READ);
		do_mprotect(mm, addr, len, PROT_READ | PROT_WRITE);
		break;
	case 4: /* gone, and what is gone is not soft-dirty */
		do_madvise(mm, addr, len, MADV_DONTNEED);
		for (unsigned long k = 0; k < len >> PAGE_SHIFT; k++)
			*written &= ~(1u << (i + k));
		break;
	case 5:
		mm_clear_refs(mm, CLEAR_REFS_ALL);
		break;
	case 6:
	case 7:
	case 8:
		testmm_read(mm, addr, &v);
		break;
	default:
		testmm_write(mm, addr, random);
		*written |= 1u << i;
	}
}

/* A single space, a shared mapping and a private one: no write is missed, and nothing else is shown. */
static void random_life(struct test *t, int flags)
{
	struct mm_struct *mm = testmm_create(t);
	long at = do_mmap(mm, 0, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, 0);
	u64 random = 88172645463325252ull, writes = 0;
	u32 written = 0;

	REQUIRE(at > 0);
	mm_clear_refs(mm, CLEAR_REFS_SOFT_DIRTY);
	for (unsigned int s = 0; s < 3000 && !t->failures; s++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		step(mm, at, random, &written);
		writes += (random & 15) > 8;
		for (unsigned long i = 0; i < PAGES; i++) {
			bool is = soft_or_new(mm, at + i * PAGE_SIZE), must = written >> i & 1;

			if (is == must)
				continue;
			/* A file's page that was taken from its mapping has lost its bit, as on Linux. */
			if (must && pte_none(testmm_pte(mm, at + i * PAGE_SIZE)))
				written &= ~(1u << i);
			else
				test_fail(t, __FILE__, __LINE__, "step %u, page %lu: %d, not %d", s,
					  i, is, must);
		}
	}
	CHECK(writes > 1000);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(softdirty, no_write_is_missed, 0, 0, MEM)
{
	random_life(t, MAP_PRIVATE | MAP_ANONYMOUS);
}

GUEST_TEST(softdirty, no_write_is_missed_in_shared_memory, 0, 0, MEM)
{
	random_life(t, MAP_SHARED | MAP_ANONYMOUS);
}
