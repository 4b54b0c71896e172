/* Page faults one kind at a time, each proven by the counter of its kind and by the PTE it left. */
#include "kernel/process.h"
#include "mm/phys/highmem.h"
#include "tests/tests.h"

#define MEM "memory=24M,high=4M"

/** The counters of the kinds, before and after one access. */
struct kinds {
	s64 pgfault, pgmajfault, zero, anon, cow, swap, stack, segv;
};

static struct kinds kinds_now(void)
{
	return (struct kinds){
		ev(PGFAULT),	    ev(PGMAJFAULT),	 ev(MMVM_FAULT_ZERO),  ev(MMVM_FAULT_ANON),
		ev(MMVM_FAULT_COW), ev(MMVM_FAULT_SWAP), ev(MMVM_FAULT_STACK), ev(MMVM_FAULT_SEGV),
	};
}

GUEST_TEST(fault, read_maps_the_zero_page, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 4 * PAGE_SIZE);
	struct kinds k = kinds_now();
	u64 free, v = 1;

	REQUIRE(a);
	CHECK_EQ(testmm_read(mm, a, &v), 0);
	CHECK_EQ(v, 0);
	free = settled_free_pages();
	CHECK_EQ(testmm_read(mm, a + PAGE_SIZE, &v), 0);
	CHECK_EQ(settled_free_pages(), free); /* no page was needed */
	CHECK_EQ(kinds_now().zero - k.zero, 2);
	CHECK_EQ(kinds_now().anon - k.anon, 0);
	CHECK_EQ(kinds_now().pgfault - k.pgfault, 2);
	CHECK_EQ(kinds_now().pgmajfault - k.pgmajfault, 0);
	CHECK(testmm_page(mm, a) == zero_page);
	CHECK(pte_special(testmm_pte(mm, a)) && !pte_write(testmm_pte(mm, a)));
	CHECK_EQ(mm->rss_anon, 0);
	mmput(mm);
}

GUEST_TEST(fault, write_makes_an_anonymous_page, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 4 * PAGE_SIZE);
	struct kinds k = kinds_now();
	struct page *p;
	u64 *word;

	REQUIRE(a);
	CHECK_EQ(testmm_write(mm, a + 8, 5), 0);
	CHECK_EQ(kinds_now().anon - k.anon, 1);
	CHECK_EQ(kinds_now().zero - k.zero, 0);
	p = testmm_page(mm, a);
	REQUIRE(p);
	CHECK_EQ(p->type, PAGE_ANON);
	CHECK_EQ(page_mapcount(p), 1);
	CHECK(pte_write(testmm_pte(mm, a)));
	CHECK_EQ(mm->rss_anon, 1);
	CHECK_EQ(mm->min_flt, 1);
	/* The rest of the page is zero. */
	word = kmap_local_page(p);
	for (unsigned int i = 2; i < PAGE_SIZE / 8; i++)
		CHECK_EQ(word[i], 0);
	kunmap_local(word);
	mmput(mm);
}

GUEST_TEST(fault, write_after_read_replaces_the_zero_page, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, PAGE_SIZE);
	struct kinds k;
	u64 v = 1;

	REQUIRE(a);
	CHECK_EQ(testmm_read(mm, a, &v), 0);
	k = kinds_now();
	CHECK_EQ(testmm_write(mm, a, 77), 0);
	CHECK_EQ(kinds_now().cow - k.cow, 1);
	CHECK(testmm_page(mm, a) != zero_page);
	CHECK_EQ(testmm_read(mm, a, &v), 0);
	CHECK_EQ(v, 77);
	CHECK_EQ(mm->rss_anon, 1);
	/* The zero page itself stayed zero. */
	CHECK_EQ(*(u64 *)page_address(zero_page), 0);
	mmput(mm);
}

GUEST_TEST(fault, no_access_and_no_mapping_are_told_apart, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 2 * PAGE_SIZE);
	struct kinds k = kinds_now();

	REQUIRE(a);
	CHECK_EQ(do_mprotect(mm, a, PAGE_SIZE, PROT_READ), 0);
	CHECK_EQ(testmm_touch(mm, a, TOUCH_WRITE), VM_FAULT_SIGSEGV_ACCERR);
	CHECK_EQ(testmm_touch(mm, a, TOUCH_READ), 0);
	CHECK_EQ(do_mprotect(mm, a, PAGE_SIZE, PROT_NONE), 0);
	CHECK_EQ(testmm_touch(mm, a, TOUCH_READ), VM_FAULT_SIGSEGV_ACCERR);
	CHECK_EQ(testmm_touch(mm, a - 64 * MIB, TOUCH_READ), VM_FAULT_SIGSEGV_MAPERR);
	CHECK_EQ(handle_mm_fault(mm, a + PAGE_SIZE, FAULT_FLAG_USER | FAULT_FLAG_EXEC),
		 VM_FAULT_SIGSEGV_ACCERR);
	CHECK_EQ(kinds_now().segv - k.segv, 4);
	mmput(mm);
}

GUEST_TEST(fault, protection_change_keeps_the_contents, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, PAGE_SIZE);
	struct page *p;
	u64 v = 0;

	REQUIRE(a);
	CHECK_EQ(testmm_write(mm, a, 1234), 0);
	p = testmm_page(mm, a);
	CHECK_EQ(do_mprotect(mm, a, PAGE_SIZE, PROT_NONE), 0);
	CHECK(pte_protnone(testmm_pte(mm, a)));
	CHECK(!(pte_val(testmm_pte(mm, a)) & _PAGE_PRESENT));
	CHECK_EQ(do_mprotect(mm, a, PAGE_SIZE, PROT_READ), 0);
	CHECK_EQ(testmm_read(mm, a, &v), 0);
	CHECK_EQ(v, 1234);
	CHECK(testmm_page(mm, a) == p);
	CHECK_EQ(do_mprotect(mm, a, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	CHECK_EQ(testmm_write(mm, a, 4321), 0);
	CHECK(testmm_page(mm, a) == p); /* sole owner: used again, not copied */
	mmput(mm);
}

GUEST_TEST(fault, stack_grows_down_to_its_limit, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	const unsigned long top = 0x7ffff0000000ul;
	struct kinds k = kinds_now();
	struct vm_area_struct *vma;

	REQUIRE(mm);
	REQUIRE(!mm_setup_stack(mm, top, 4 * PAGE_SIZE));
	CHECK_EQ(testmm_touch(mm, top - 8, TOUCH_WRITE), 0);
	CHECK_EQ(kinds_now().stack - k.stack, 0);
	CHECK_EQ(testmm_touch(mm, top - 100 * PAGE_SIZE, TOUCH_WRITE), 0);
	CHECK_EQ(kinds_now().stack - k.stack, 1);
	vma = find_vma(mm, top - 1);
	REQUIRE(vma);
	CHECK_EQ(vma->vm_start, top - 100 * PAGE_SIZE);
	kernel_limits[RLIMIT_STACK].cur = 128 * PAGE_SIZE;
	CHECK_EQ(testmm_touch(mm, top - 129 * PAGE_SIZE, TOUCH_WRITE), VM_FAULT_SIGSEGV_MAPERR);
	CHECK_EQ(testmm_touch(mm, top - 128 * PAGE_SIZE, TOUCH_WRITE), 0);
	kernel_limits[RLIMIT_STACK].cur = DEFAULT_STACK_RLIMIT;
	mmput(mm);
}

GUEST_TEST(fault, stack_keeps_its_distance_from_what_lies_below, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	const unsigned long top = 0x7ffff0000000ul, below = top - 400 * PAGE_SIZE;

	REQUIRE(mm);
	REQUIRE(!mm_setup_stack(mm, top, 4 * PAGE_SIZE));
	CHECK_EQ(do_mmap(mm, below, PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0),
		 below);
	/* The gap is 256 pages (1 MiB), as in Linux. */
	CHECK_EQ(testmm_touch(mm, below + 300 * PAGE_SIZE, TOUCH_WRITE), 0);
	CHECK(testmm_touch(mm, below + 200 * PAGE_SIZE, TOUCH_WRITE) != 0);
	mmput(mm);
}

GUEST_TEST(fault, dontneed_makes_zero_again, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 16 * PAGE_SIZE);
	u64 v = 1, free;

	REQUIRE(a);
	for (int i = 0; i < 16; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, i + 1), 0);
	CHECK_EQ(mm->rss_anon, 16);
	free = settled_free_pages();
	CHECK_EQ(do_madvise(mm, a, 8 * PAGE_SIZE, MADV_DONTNEED), 0);
	CHECK_EQ(mm->rss_anon, 8);
	CHECK_EQ(settled_free_pages(), free + 8);
	CHECK_EQ(testmm_read(mm, a, &v), 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(testmm_read(mm, a + 8 * PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 9);
	mmput(mm);
}

GUEST_TEST(fault, populate_touches_everything_at_once, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	struct kinds k;
	long a;

	REQUIRE(mm);
	a = do_mmap(mm, 0, 64 * PAGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, 0);
	REQUIRE(a > 0);
	CHECK_EQ(mm->rss_anon, 64);
	k = kinds_now();
	for (int i = 0; i < 64; i++)
		CHECK_EQ(testmm_write(mm, a + i * PAGE_SIZE, i), 0);
	CHECK_EQ(kinds_now().anon, k.anon); /* no fault was left */
	mmput(mm);
}

GUEST_TEST(fault, page_tables_are_counted, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	s64 before = global_stat(NR_PAGETABLE), bytes = mm->pgtables_bytes;
	unsigned long a = testmm_map(t, mm, PAGE_SIZE);

	REQUIRE(a);
	CHECK_EQ(testmm_touch(mm, a, TOUCH_WRITE), 0);
	CHECK_EQ(global_stat(NR_PAGETABLE) - before, 3); /* PUD, PMD and PTE tables */
	CHECK_EQ(mm->pgtables_bytes - bytes, 3 * PAGE_SIZE);
	mmput(mm);
	CHECK_EQ(global_stat(NR_PAGETABLE), before - 1); /* and the top one with the mm */
}
