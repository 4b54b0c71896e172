/* Protection keys in address spaces: who has which, and that each entry has its mapping's. Each case is audited from outside. */
#include "mm/pgtable/pgtable.h"
#include "mm/virt/pkey.h"
#include "mm/virt/vma.h"
#include "tests/tests.h"

#define MEM "memory=24M,high=4M swap=48M"
#define RW  (PROT_READ | PROT_WRITE)

static u64 entry_key(struct mm_struct *mm, unsigned long a)
{
	return testmm_pte(mm, a).v >> _PAGE_PKEY_SHIFT & 0xf;
}

static bool no_keys(struct test *t)
{
	if (!arch_has_pkeys())
		test_skip(t, "the CPU has no protection keys");
	return !arch_has_pkeys();
}

GUEST_TEST(pkey, entries_follow_the_mapping, 0, 0, MEM)
{
	const unsigned long pages = 16;
	struct mm_struct *mm, *child;
	unsigned long a;
	int one, two;

	if (no_keys(t))
		return;
	mm = testmm_create(t);
	REQUIRE(mm);
	a = testmm_map(t, mm, pages * PAGE_SIZE);
	testmm_fill(t, mm, a, pages, 3);
	CHECK_EQ(mm->pkey_map, 1);
	CHECK_EQ(do_pkey_mprotect(mm, a, PAGE_SIZE, RW, 1), -EINVAL);
	one = do_pkey_alloc(mm, 0, 0);
	two = do_pkey_alloc(mm, 0, 0);
	CHECK_EQ(one, 1);
	CHECK_EQ(two, 2);
	CHECK_EQ(do_pkey_mprotect(mm, a, 8 * PAGE_SIZE, RW, one), 0);
	CHECK_EQ(do_pkey_mprotect(mm, a + 4 * PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ, two), 0);
	CHECK_EQ(mm->map_count, 4);
	CHECK_EQ(entry_key(mm, a), one);
	CHECK_EQ(entry_key(mm, a + 5 * PAGE_SIZE), two);
	CHECK_EQ(entry_key(mm, a + 8 * PAGE_SIZE), 0);
	CHECK_EQ(pkey_at(mm, a + 5 * PAGE_SIZE), two);
	CHECK_EQ(settled_audit(), 0);

	/* To swap and back, and into a child and its copies. */
	CHECK_EQ(do_madvise(mm, a, pages * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK_EQ(mm->rss_anon, 0);
	testmm_verify(t, mm, a, pages, 3);
	CHECK_EQ(entry_key(mm, a), one);
	CHECK_EQ(entry_key(mm, a + 5 * PAGE_SIZE), two);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(child->pkey_map, mm->pkey_map);
	CHECK_EQ(testmm_write(child, a + 8, 1), 0);
	CHECK_EQ(entry_key(child, a), one);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);

	/* What is moved, closed and opened keeps its key; what is mapped anew has none. */
	CHECK_EQ(do_mprotect(mm, a, 2 * PAGE_SIZE, PROT_NONE), 0);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(do_mprotect(mm, a, 2 * PAGE_SIZE, RW), 0);
	CHECK_EQ(entry_key(mm, a), one);
	CHECK_EQ(do_pkey_free(mm, two), 0);
	CHECK_EQ(do_pkey_free(mm, two), -EINVAL);
	CHECK_EQ(pkey_at(mm, a + 5 * PAGE_SIZE), two); /* K3 */
	CHECK_EQ(do_pkey_mprotect(mm, a, 8 * PAGE_SIZE, RW, 0), 0);
	CHECK_EQ(mm->map_count, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK(swap_becomes_empty());
}

GUEST_TEST(pkey, huge_pages_have_keys, 0, 0, "memory=64M append=transparent_hugepage=always")
{
	struct mm_struct *mm;
	unsigned long a;
	int key;

	if (no_keys(t))
		return;
	mm = testmm_create(t);
	REQUIRE(mm);
	a = ALIGN_UP(testmm_map(t, mm, 4 * PMD_SIZE), PMD_SIZE);
	CHECK_EQ(testmm_write(mm, a, 1), 0);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	key = do_pkey_alloc(mm, 0, 0);
	CHECK_EQ(do_pkey_mprotect(mm, a, PMD_SIZE, RW, key), 0);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PMD);
	CHECK_EQ(settled_audit(), 0);
	/* A part of it: small pages, each with its key. */
	CHECK_EQ(do_pkey_mprotect(mm, a, PMD_SIZE / 2, RW, 0), 0);
	CHECK_EQ(testmm_level(mm, a), PT_LEVEL_PTE);
	CHECK_EQ(entry_key(mm, a), 0);
	CHECK_EQ(entry_key(mm, a + PMD_SIZE / 2), key);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}
