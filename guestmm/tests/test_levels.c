/*
 * The levels of page tables: four, or five where the CPU has them (la57=). The same tests run with
 * both (tests/vm/levels.sh).
 */
#include "arch/processor.h"
#include "mm/pgtable/large.h"
#include "tests/tests.h"

#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define HIGH (1ul << 52)

GUEST_TEST(levels, kernel_and_cpu_agree, 0, 0, "")
{
	bool five = READ_CR(4) & CR4_LA57;

	CHECK_EQ(pt_top_level, five ? 4 : 3);
	CHECK_EQ(TASK_SIZE, five ? (1ul << 56) - PAGE_SIZE : DEFAULT_MAP_WINDOW);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(levels, nobody_gets_high_addresses_unasked, 0, 0, "")
{
	struct mm_struct *mm = testmm_create(t);
	long a = do_mmap(mm, 0, 16 * PAGE_SIZE, RW, ANON, 0);

	CHECK(a > 0 && (unsigned long)a + 16 * PAGE_SIZE <= DEFAULT_MAP_WINDOW);
	a = do_mmap(mm, DEFAULT_MAP_WINDOW - PAGE_SIZE, 16 * PAGE_SIZE, RW, ANON, 0);
	CHECK(a > 0 && (unsigned long)a + 16 * PAGE_SIZE <= TASK_SIZE);
	CHECK_EQ(do_mmap(mm, TASK_SIZE, PAGE_SIZE, RW, ANON | MAP_FIXED, 0), -ENOMEM);
	mmput(mm);
}

/* Words at both ends of the fifth level: pages, fork, copies, tables that come and go. */
GUEST_TEST(levels, high_addresses, 0, 0, "")
{
	struct mm_struct *mm = testmm_create(t), *child;
	s64 tables = mm->pgtables_bytes;
	long a = do_mmap(mm, HIGH, 4 * PAGE_SIZE, RW, ANON | MAP_FIXED, 0), b;
	u64 v = 0;

	if (pt_top_level == 3) {
		CHECK_EQ(a, -ENOMEM);
		b = do_mmap(mm, HIGH, PAGE_SIZE, RW, ANON, 0);
		CHECK(b > 0 && (unsigned long)b < DEFAULT_MAP_WINDOW);
		mmput(mm);
		return;
	}
	CHECK_EQ(a, HIGH);
	b = do_mmap(mm, HIGH, 4 * PAGE_SIZE, RW, ANON, 0); /* taken: near the top */
	CHECK((unsigned long)b > HIGH && (unsigned long)b < TASK_SIZE);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, 10 + i), 0);
		CHECK_EQ(testmm_write(mm, b + i * PAGE_SIZE, 20 + i), 0);
	}
	CHECK_EQ(mm->pgtables_bytes - tables, 2 * 4 * PAGE_SIZE);
	CHECK_EQ(settled_audit(), 0);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(testmm_write(child, a + PAGE_SIZE, 99), 0);
	CHECK_EQ(testmm_read(mm, a + PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 11);
	CHECK_EQ(testmm_read(child, b + 3 * PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 23);
	CHECK_EQ(do_mremap(child, b, 4 * PAGE_SIZE, 4 * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   HIGH + (1ul << 49)),
		 HIGH + (1ul << 49));
	CHECK_EQ(testmm_read(child, HIGH + (1ul << 49) + 2 * PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 22);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	/* The last mapping takes all four tables with it. */
	CHECK_EQ(do_munmap(mm, a, 4 * PAGE_SIZE), 0);
	CHECK_EQ(mm->pgtables_bytes - tables, 4 * PAGE_SIZE);
	CHECK_EQ(do_munmap(mm, b, 4 * PAGE_SIZE), 0);
	CHECK_EQ(mm->pgtables_bytes, tables);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}
