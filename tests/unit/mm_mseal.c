/*
 * mseal(2): what it refuses, what it allows, and that nothing is half done. Linux 6.1, which transcripts are
 * compared with, has no such call: the expected values are those of Documentation/userspace-api/mseal.rst
 * and mm/mseal.c of Linux 6.12.
 */
#include "unit.h"
#include "mm_user.h"

static struct mm_struct *mm;
#define BASE  0x100000000000ul
#define FIXED (PRIVATE | MAP_FIXED)

static unsigned long at(unsigned long page)
{
	return BASE + page * PAGE_SIZE;
}

static void map(unsigned long page, unsigned long n, int prot)
{
	CU_ASSERT_EQUAL(do_mmap(mm, at(page), n * PAGE_SIZE, prot, FIXED, 0), (long)at(page));
}

static int seal(unsigned long page, unsigned long n)
{
	return do_mseal(mm, at(page), n * PAGE_SIZE, 0);
}

/* Sealed memory is unmapped only when its address space ends. */
static void begin(void)
{
	mm = mm_alloc();
}

static void end(void)
{
	check_all();
	mmput(mm);
	mm = NULL;
	check_all();
}

static void arguments_are_checked(void)
{
	begin();
	map(0, 4, RW);
	map(6, 2, RW);
	CU_ASSERT_EQUAL(do_mseal(mm, at(0), PAGE_SIZE, 1), -EINVAL);
	CU_ASSERT_EQUAL(do_mseal(mm, at(0) + 1, PAGE_SIZE, 0), -EINVAL);
	CU_ASSERT_EQUAL(do_mseal(mm, at(0), ~0ul, 0), -EINVAL);
	CU_ASSERT_EQUAL(do_mseal(mm, at(4), 0, 0), 0);
	CU_ASSERT_EQUAL(seal(2, 3), -ENOMEM); /* ends in a hole: nothing is sealed */
	CU_ASSERT_EQUAL(seal(2, 5), -ENOMEM); /* a hole in the middle */
	CU_ASSERT_EQUAL(seal(5, 2), -ENOMEM); /* begins in one */
	CU_ASSERT_FALSE(mm->sealed);
	CU_ASSERT_EQUAL(do_munmap(mm, at(2), PAGE_SIZE), 0);
	end();
}

static void place_and_rights_stay(void)
{
	u64 v;

	begin();
	map(0, 16, RW);
	CU_ASSERT_EQUAL(user_write(mm, at(6), 42), 0);
	CU_ASSERT_EQUAL(do_mseal(mm, at(4), 3 * PAGE_SIZE + 1, 0), 0); /* 4 .. 7 */
	CU_ASSERT_EQUAL(seal(5, 2), 0);				       /* again */
	CU_ASSERT_EQUAL(do_munmap(mm, at(7), PAGE_SIZE), -EPERM);
	CU_ASSERT_EQUAL(do_munmap(mm, at(0), 16 * PAGE_SIZE), -EPERM);
	CU_ASSERT_EQUAL(mm->total_vm, 16); /* nothing of it */
	CU_ASSERT_EQUAL(do_mmap(mm, at(5), PAGE_SIZE, RW, FIXED, 0), -EPERM);
	CU_ASSERT_EQUAL(do_mremap(mm, at(4), 4 * PAGE_SIZE, 8 * PAGE_SIZE, MREMAP_MAYMOVE, 0),
			-EPERM);
	CU_ASSERT_EQUAL(do_mremap(mm, at(4), 4 * PAGE_SIZE, PAGE_SIZE, 0, 0), -EPERM);
	CU_ASSERT_EQUAL(
		do_mremap(mm, at(12), PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, at(5)),
		-EPERM);
	/* mprotect stops at the seal. */
	CU_ASSERT_EQUAL(do_mprotect(mm, at(2), 4 * PAGE_SIZE, PROT_READ), -EPERM);
	CU_ASSERT_EQUAL(user_write(mm, at(3), 1), VM_FAULT_SIGSEGV_ACCERR);
	CU_ASSERT_EQUAL(user_write(mm, at(4), 1), 0);
	CU_ASSERT_EQUAL(do_mprotect(mm, at(4), PAGE_SIZE, RW),
			-EPERM); /* even when it is so already */
	/* What is beside it is as before. */
	CU_ASSERT_EQUAL(do_munmap(mm, at(8), 8 * PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(user_read(mm, at(6), &v), 0);
	CU_ASSERT_EQUAL(v, 42);
	CU_ASSERT_EQUAL(do_mlock(mm, at(4), 4 * PAGE_SIZE, 0), 0);
	CU_ASSERT_EQUAL(do_munlock(mm, at(4), 4 * PAGE_SIZE), 0);
	end();
}

static void what_cannot_be_written_is_not_thrown_away(void)
{
	begin();
	map(0, 4, RW);
	map(8, 4, PROT_READ);
	CU_ASSERT_EQUAL(seal(0, 4), 0);
	CU_ASSERT_EQUAL(seal(8, 4), 0);
	CU_ASSERT_EQUAL(do_madvise(mm, at(0), PAGE_SIZE, MADV_DONTNEED), 0);
	CU_ASSERT_EQUAL(do_madvise(mm, at(8), PAGE_SIZE, MADV_DONTNEED), -EPERM);
	CU_ASSERT_EQUAL(do_madvise(mm, at(8), PAGE_SIZE, MADV_FREE), -EPERM);
	CU_ASSERT_EQUAL(do_madvise(mm, at(8), PAGE_SIZE, MADV_DONTFORK), -EPERM);
	CU_ASSERT_EQUAL(do_madvise(mm, at(8), PAGE_SIZE, MADV_WIPEONFORK), -EPERM);
	CU_ASSERT_EQUAL(do_madvise(mm, at(8), PAGE_SIZE, MADV_RANDOM), 0);
	CU_ASSERT_EQUAL(do_madvise(mm, at(8), PAGE_SIZE, MADV_COLD), 0);
	end();
}

static void the_heap_does_not_shrink_below_a_seal(void)
{
	begin();
	mm->start_brk = mm->brk = at(32);
	CU_ASSERT_EQUAL(do_brk(mm, at(36)), at(36));
	CU_ASSERT_EQUAL(seal(33, 1), 0);
	CU_ASSERT_EQUAL(do_brk(mm, at(34)), at(34));
	CU_ASSERT_EQUAL(do_brk(mm, at(32)), at(34));
	end();
}

static void a_child_inherits_seals(void)
{
	struct mm_struct *child;

	begin();
	map(0, 4, RW);
	CU_ASSERT_EQUAL(user_write(mm, at(1), 7), 0);
	CU_ASSERT_EQUAL(seal(1, 1), 0);
	child = dup_mm(mm);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT_EQUAL(do_munmap(child, at(1), PAGE_SIZE), -EPERM);
	CU_ASSERT_EQUAL(do_munmap(child, at(0), PAGE_SIZE), 0);
	CU_ASSERT_EQUAL(user_write(child, at(1), 8), 0);
	mmput(child);
	end();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"arguments_are_checked", arguments_are_checked},
		{"place_and_rights_stay", place_and_rights_stay},
		{"what_cannot_be_written_is_not_thrown_away",
		 what_cannot_be_written_is_not_thrown_away},
		{"the_heap_does_not_shrink_below_a_seal", the_heap_does_not_shrink_below_a_seal},
		{"a_child_inherits_seals", a_child_inherits_seals},
	};

	host_boot_default("debug_vm");
	mm_init();
	return unit_run("mseal", cases, sizeof(cases) / sizeof(cases[0]));
}
