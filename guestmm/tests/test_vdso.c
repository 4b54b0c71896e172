/* The vDSO's pages in address spaces, its clock while that changes under its readers, and the option that leaves it out. */
#include "arch/vdso.h"
#include "kernel/vdso.h"
#include "mm/pgtable/pgtable.h"
#include "mm/fault/special.h"
#include "mm/virt/vma.h"
#include "tests/tests.h"

#define MEM   "memory=24M,high=4M"
#define USER  MMVM_TESTF_USER
#define STACK 0x7ffffff00000ul /* any place above which there is room */
#define MAGIC 0x464c457f       /* "\177ELF" */

/* An address space with the two mappings: where the image is, or 0. */
static unsigned long with_vdso(struct test *t, struct mm_struct **mm)
{
	unsigned long at = 0;

	*mm = testmm_create(t);
	if (*mm)
		CHECK_EQ(vdso_map(*mm, STACK, 12345, &at), 0);
	return at;
}

GUEST_TEST(vdso, pages_are_the_kernels, 0, 0, MEM)
{
	struct mm_struct *mm, *child;
	unsigned long image = with_vdso(t, &mm), vvar = image - PAGE_SIZE;
	s64 faults = ev(MMVM_FAULT_SPECIAL);
	u64 v = 0;

	REQUIRE(image);
	CHECK(image > STACK && (image ^ STACK) < PMD_SIZE);
	CHECK_EQ(mm->map_count, 2);
	CHECK_EQ(mm->total_vm, 2);
	CHECK_EQ(testmm_read(mm, image, &v), 0);
	CHECK_EQ((u32)v, MAGIC);
	CHECK_EQ(testmm_read(mm, vvar + 8, &v), 0);
	CHECK_EQ(v, vdso_data()->tsc_zero);
	CHECK_EQ(ev(MMVM_FAULT_SPECIAL) - faults, 2);
	CHECK_EQ(mm_rss(mm), 0);
	CHECK(pte_special(testmm_pte(mm, image)) && !pte_write(testmm_pte(mm, image)));
	CHECK_EQ(testmm_write(mm, vvar, 1), VM_FAULT_SIGSEGV_ACCERR);
	CHECK_EQ(testmm_write(mm, image, 1), VM_FAULT_SIGSEGV_ACCERR);
	CHECK_EQ(do_mprotect(mm, vvar, PAGE_SIZE, PROT_READ | PROT_WRITE), -EACCES);
	CHECK_EQ(settled_audit(), 0);

	/* Not copied by fork(): a touch finds them again. */
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK(pte_none(testmm_pte(child, image)));
	CHECK_EQ(testmm_read(child, image, &v), 0);
	CHECK_EQ((u32)v, MAGIC);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	CHECK_EQ(do_munmap(mm, image, PAGE_SIZE), 0);
	CHECK_EQ(testmm_read(mm, image, &v), VM_FAULT_SIGSEGV_MAPERR);
	mmput(mm);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(vdso, a_written_page_is_a_copy, 0, 0, MEM)
{
	struct mm_struct *mm, *child;
	unsigned long image = with_vdso(t, &mm), moved = 0x10000000ul;
	s64 cow = ev(MMVM_FAULT_COW);
	struct page *own;
	u64 v = 0;

	REQUIRE(image);
	CHECK_EQ(do_mprotect(mm, image, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	CHECK_EQ(mm->committed, 1);
	CHECK_EQ(testmm_write(mm, image + 8, 0x1234), 0); /* nothing was there */
	CHECK_EQ(ev(MMVM_FAULT_COW) - cow, 1);
	CHECK_EQ(testmm_read(mm, image, &v), 0);
	CHECK_EQ((u32)v, MAGIC); /* the rest is the image's */
	own = testmm_page(mm, image);
	CHECK(own && PageAnon(own) && mm->rss_anon == 1);
	CHECK_EQ(settled_audit(), 0);

	/* The child shares the copy, and then has one of its own. */
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK(testmm_page(child, image) == own);
	CHECK_EQ(testmm_write(child, image + 8, 0x5678), 0);
	CHECK(testmm_page(child, image) != own);
	CHECK_EQ(testmm_read(mm, image + 8, &v), 0);
	CHECK_EQ(v, 0x1234);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);

	/* It moves with its page, and knows which page of the image it lacks afterwards. */
	CHECK_EQ(do_mremap(mm, image, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, moved),
		 moved);
	CHECK(testmm_page(mm, moved) == own);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(do_madvise(mm, moved, PAGE_SIZE, MADV_DONTNEED), 0);
	CHECK_EQ(testmm_read(mm, moved + 8, &v), 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(testmm_read(mm, moved, &v), 0);
	CHECK_EQ((u32)v, MAGIC);
	CHECK(pte_special(testmm_pte(mm, moved)));

	/* Written where the image's page is mapped already. */
	cow = ev(MMVM_FAULT_COW);
	CHECK_EQ(testmm_write(mm, moved + 8, 9), 0);
	CHECK_EQ(ev(MMVM_FAULT_COW) - cow, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK_EQ(global_stat(NR_ANON_MAPPED), 0);
	CHECK_EQ(settled_audit(), 0);
}

/* Another process's look at them (process_vm_readv(2)): the image may be read, [vvar] may not. */
GUEST_TEST(vdso, calls_that_do_not_apply, 0, 0, MEM)
{
	struct mm_struct *mm;
	unsigned long image = with_vdso(t, &mm), vvar = image - PAGE_SIZE;

	REQUIRE(image);
	CHECK_EQ(do_madvise(mm, vvar, PAGE_SIZE, MADV_DONTNEED), -EINVAL);
	CHECK_EQ(do_madvise(mm, vvar, PAGE_SIZE, MADV_PAGEOUT), -EINVAL);
	CHECK_EQ(do_madvise(mm, image, PAGE_SIZE, MADV_FREE), -EINVAL);
	CHECK_EQ(do_madvise(mm, image, PAGE_SIZE, MADV_GUARD_INSTALL), -EINVAL);
	CHECK_EQ(do_madvise(mm, image, PAGE_SIZE, MADV_MERGEABLE),
		 0); /* as Linux: nothing is merged */
	CHECK_EQ(do_mremap(mm, image, PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE, 0), -EFAULT);
	CHECK_EQ(do_mlock(mm, image, PAGE_SIZE, 0), 0);
	CHECK_EQ(mm->locked_vm, 0);
	CHECK_EQ(do_mlockall(mm, MCL_CURRENT), 0);
	CHECK_EQ(mm->locked_vm, 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

static bool flip_clock; /* until it is false */

static int clock_flipper(void *arg)
{
	u64 *flips = arg;

	while (READ_ONCE(flip_clock)) {
		vdso_set_clock(*flips % 2 ? VDSO_CLOCK_TSC : VDSO_CLOCK_NONE);
		WRITE_ONCE(*flips, *flips + 1);
		sleep_ms(1);
	}
	vdso_set_clock(VDSO_CLOCK_TSC);
	WRITE_ONCE(flip_clock, true);
	return 0;
}

static bool flipper_ended(void *arg)
{
	return READ_ONCE(flip_clock);
}

/* Readers on two CPUs, while the vDSO's way to the time changes: nothing goes back, nobody hangs. */
GUEST_TEST(vdso, clock_changes_under_its_readers, USER, 120, MEM " cpus=2")
{
	static u64 flips;

	if (vdso_data()->clock != VDSO_CLOCK_TSC) {
		test_skip(t, "user mode does not read the guest's TSC here");
		return;
	}
	WRITE_ONCE(flip_clock, true);
	REQUIRE(kthread_run(clock_flipper, &flips, "flipper") == 0);
	CHECK_EQ(run_program("/bin/clocks", "20000"), 0);
	WRITE_ONCE(flip_clock, false);
	CHECK(wait_until(flipper_ended, NULL, 10000));
	CHECK(flips > 3);
	CHECK_EQ(vdso_data()->seq & 1, 0);
	CHECK_EQ(run_program("/bin/clocks", "1000"), 0);
}

GUEST_TEST(vdso, is_left_out, USER, 0, MEM " append=vdso=0")
{
	s64 faults = ev(MMVM_FAULT_SPECIAL);
	struct mm_struct *mm;

	CHECK(!vdso_data());
	CHECK_EQ(with_vdso(t, &mm), 0);
	if (mm)
		mmput(mm);
	CHECK_EQ(run_program("/bin/clocks", "10"), 2 << 8); /* says that there is none */
	CHECK_EQ(ev(MMVM_FAULT_SPECIAL), faults);
}
