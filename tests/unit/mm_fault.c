/*
 * Faults, one kind at a time: what the PTE becomes, what is counted, how many pages it takes, and that
 * everything is freed in the end.
 */
#include "unit.h"
#include "arch/tlb.h"
#include "mm_user.h"

static struct mm_struct *mm;

static unsigned long map(unsigned long len, int prot)
{
	long a = do_mmap(mm, 0, len, prot, PRIVATE, 0);

	CU_ASSERT_FATAL(a > 0);
	return a;
}

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

static void read_maps_the_zero_page(void)
{
	u64 zero = event(MMVM_FAULT_ZERO), anon = event(MMVM_FAULT_ANON), v = 1;
	unsigned long a = map(2 * PAGE_SIZE, RW);

	CU_ASSERT(!user_read(mm, a, &v) && v == 0);
	CU_ASSERT(pte_special(pte_read(walk_pte(mm->pgd, a))));
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	CU_ASSERT_EQUAL(page_ref_count(zero_page), 1);
	CU_ASSERT_EQUAL(event(MMVM_FAULT_ZERO), zero + 1);
	CU_ASSERT_EQUAL(event(MMVM_FAULT_ANON), anon);
	check_all();
	do_munmap(mm, a, 2 * PAGE_SIZE);
}

static void write_after_read_copies_the_zero_page(void)
{
	u64 cow = event(MMVM_FAULT_COW), flushes = host_tlb.page, v = 1;
	unsigned long a = map(PAGE_SIZE, RW);

	CU_ASSERT(!user_read(mm, a, &v));
	CU_ASSERT(!user_write(mm, a, 7));
	CU_ASSERT_EQUAL(event(MMVM_FAULT_COW), cow + 1);
	CU_ASSERT(host_tlb.page > flushes); /* another CPU may still see the zero page */
	CU_ASSERT_EQUAL(mm->rss_anon, 1);
	CU_ASSERT(!user_read(mm, a, &v) && v == 7);
	CU_ASSERT(!user_read(mm, a + 8, &v) && v == 0);
	check_all();
	do_munmap(mm, a, PAGE_SIZE);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
}

static void each_rights_violation_has_its_signal(void)
{
	unsigned long a = map(PAGE_SIZE, PROT_READ), none = map(PAGE_SIZE, PROT_NONE);
	u64 segv = event(MMVM_FAULT_SEGV), v;

	CU_ASSERT_EQUAL(user_write(mm, a, 1), VM_FAULT_SIGSEGV_ACCERR);
	CU_ASSERT_EQUAL(user_read(mm, none, &v), VM_FAULT_SIGSEGV_ACCERR);
	CU_ASSERT_EQUAL(handle_mm_fault(mm, a, FAULT_FLAG_EXEC), VM_FAULT_SIGSEGV_ACCERR);
	do_munmap(mm, a, PAGE_SIZE);
	do_munmap(mm, none, PAGE_SIZE);
	CU_ASSERT_EQUAL(user_read(mm, a, &v), VM_FAULT_SIGSEGV_MAPERR);
	CU_ASSERT_EQUAL(user_read(mm, 0, &v), VM_FAULT_SIGSEGV_MAPERR);
	CU_ASSERT_EQUAL(user_read(mm, TASK_SIZE + PAGE_SIZE, &v), VM_FAULT_SIGSEGV_MAPERR);
	CU_ASSERT_EQUAL(event(MMVM_FAULT_SEGV), segv + 6);
}

static void protection_none_keeps_the_page(void)
{
	unsigned long a = map(PAGE_SIZE, RW);
	u64 v;

	CU_ASSERT(!user_write(mm, a, 42));
	CU_ASSERT(!do_mprotect(mm, a, PAGE_SIZE, PROT_NONE));
	CU_ASSERT(pte_protnone(pte_read(walk_pte(mm->pgd, a))));
	CU_ASSERT_EQUAL(user_read(mm, a, &v), VM_FAULT_SIGSEGV_ACCERR);
	CU_ASSERT_EQUAL(mm->rss_anon, 1);
	check_all();
	CU_ASSERT(!do_mprotect(mm, a, PAGE_SIZE, PROT_READ));
	CU_ASSERT(!user_read(mm, a, &v) && v == 42);
	CU_ASSERT_EQUAL(user_write(mm, a, 1), VM_FAULT_SIGSEGV_ACCERR);
	CU_ASSERT(!do_mprotect(mm, a, PAGE_SIZE, RW));
	{
		/* Alone on the page: writable again without a fault. */
		u64 faults = event(PGFAULT);

		CU_ASSERT(!user_write(mm, a, 43));
		CU_ASSERT_EQUAL(event(PGFAULT), faults);
	}
	do_munmap(mm, a, PAGE_SIZE);
}

static void write_to_an_unshared_read_only_pte_reuses_the_page(void)
{
	unsigned long a = map(PAGE_SIZE, RW);
	u64 reuse = event(PGREUSE), v;
	pte_t *pte;
	pfn_t pfn;

	CU_ASSERT(!user_write(mm, a, 5));
	pte = walk_pte(mm->pgd, a);
	pfn = pte_pfn(*pte);
	pte_set(pte, pte_wrprotect(*pte));
	flush_tlb_page(mm, a);
	CU_ASSERT(!user_write(mm, a, 6));
	CU_ASSERT_EQUAL(event(PGREUSE), reuse + 1);
	CU_ASSERT_EQUAL(pte_pfn(*walk_pte(mm->pgd, a)), pfn);
	CU_ASSERT(!user_read(mm, a, &v) && v == 6);
	do_munmap(mm, a, PAGE_SIZE);
}

/* What fork will make: two address spaces with one page, read-only in both. */
static void write_to_a_shared_page_copies_it(void)
{
	struct mm_struct *other = mm_alloc();
	unsigned long a = map(PAGE_SIZE, RW);
	struct vm_area_struct *vma, *copy;
	struct page *page;
	pte_t *pte, *pte2;
	u64 v;

	CU_ASSERT(!user_write(mm, a, 11));
	vma = find_vma(mm, a);
	copy = vma_alloc(other, a, a + PAGE_SIZE, vma->flags & ~VM_ACCOUNT, NULL);
	CU_ASSERT(!anon_vma_clone(copy, vma));
	vma_link(copy);
	vm_stat_account(other, copy->flags, 1);
	pte = walk_pte(mm->pgd, a);
	pte_set(pte, pte_wrprotect(*pte));
	flush_tlb_page(mm, a);
	pte2 = walk_pte_alloc(other, a);
	pte_set(pte2, *pte);
	page = pfn_to_page(pte_pfn(*pte));
	get_page(page);
	atomic_add(&page->mapcount, 1);
	other->rss_anon++;
	check_all();

	CU_ASSERT(!user_write(other, a, 12));
	CU_ASSERT(pte_pfn(*walk_pte(other->pgd, a)) != page_to_pfn(page));
	CU_ASSERT(!user_read(mm, a, &v) && v == 11);
	CU_ASSERT(!user_read(other, a, &v) && v == 12);
	CU_ASSERT_EQUAL(page_mapcount(page), 1);
	check_all();
	mmput(other);
	CU_ASSERT(!user_write(mm, a, 13)); /* the last one may have it */
	CU_ASSERT_EQUAL(pte_pfn(*walk_pte(mm->pgd, a)), page_to_pfn(page));
	check_all();
	do_munmap(mm, a, PAGE_SIZE);
}

static void a_stack_grows_down_to_its_limit(void)
{
	struct mm_struct *m = mm_alloc();
	unsigned long top = 0x7ffffffde000, below;
	u64 stack = event(MMVM_FAULT_STACK), v;

	CU_ASSERT(!mm_setup_stack(m, top, 132 << 10));
	CU_ASSERT(!user_write(m, top - 8, 1));
	CU_ASSERT_EQUAL(event(MMVM_FAULT_STACK), stack);
	CU_ASSERT(!user_write(m, top - MIB, 2));
	CU_ASSERT_EQUAL(event(MMVM_FAULT_STACK), stack + 1);
	CU_ASSERT_EQUAL(find_vma(m, top - 8)->vm_start, top - MIB);
	CU_ASSERT(!user_read(m, top - 8, &v) && v == 1);
	check_all();
	host_limits[RLIMIT_STACK].cur = 2 * MIB;
	CU_ASSERT_EQUAL(user_write(m, top - 2 * MIB - 8, 3), VM_FAULT_SIGSEGV_MAPERR);
	CU_ASSERT(!user_write(m, top - 2 * MIB, 3));
	/* The guard: not up to a mapping below. */
	host_limits[RLIMIT_STACK].cur = 64 * MIB;
	below = top - 8 * MIB;
	CU_ASSERT_EQUAL(do_mmap(m, below, PAGE_SIZE, RW, PRIVATE | MAP_FIXED, 0), (long)below);
	CU_ASSERT_EQUAL(user_write(m, below + PAGE_SIZE + STACK_GUARD_GAP - 8, 4),
			VM_FAULT_SIGSEGV_MAPERR);
	CU_ASSERT(!user_write(m, below + PAGE_SIZE + STACK_GUARD_GAP, 4));
	check_all();
	mmput(m);
	host_limits_reset();
}

static void populate_maps_everything_at_once(void)
{
	unsigned long a;
	u64 faults;

	a = do_mmap(mm, 0, MIB, RW, PRIVATE | MAP_POPULATE, 0);
	CU_ASSERT_EQUAL(mm->rss_anon, 256);
	faults = event(PGFAULT);
	for (unsigned long i = 0; i < 256; i++)
		CU_ASSERT(!user_write(mm, a + i * PAGE_SIZE, i));
	CU_ASSERT_EQUAL(event(PGFAULT), faults);
	CU_ASSERT_EQUAL(mm_populate(mm, a, MIB + PAGE_SIZE), -ENOMEM); /* a hole after it */
	check_all();
	do_munmap(mm, a, MIB);
	a = do_mmap(mm, 0, MIB, PROT_READ, PRIVATE | MAP_POPULATE, 0);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	CU_ASSERT(pte_special(*walk_pte(mm->pgd, a + 255 * PAGE_SIZE)));
	do_munmap(mm, a, MIB);
}

static void dontneed_gives_pages_back_and_reads_zero(void)
{
	unsigned long a = map(MIB, RW);
	u64 flushes, free, v;

	for (unsigned long i = 0; i < 256; i++)
		CU_ASSERT(!user_write(mm, a + i * PAGE_SIZE, i + 1));
	lru_add_drain();
	drain_all_pages();
	free = nr_free_pages();
	flushes = host_tlb.page + host_tlb.range + host_tlb.mm;
	CU_ASSERT(!do_madvise(mm, a, MIB, MADV_DONTNEED));
	flushes = host_tlb.page + host_tlb.range + host_tlb.mm - flushes;
	CU_ASSERT(flushes <= 1 + 256 / GATHER_PAGES); /* one a batch, not one a page */
	drain_all_pages();
	CU_ASSERT_EQUAL(nr_free_pages(), free + 256);
	CU_ASSERT_EQUAL(mm->rss_anon, 0);
	CU_ASSERT(!user_read(mm, a, &v) && v == 0);
	check_all();
	do_munmap(mm, a, MIB);
}

static void tables_go_with_the_last_mapping(void)
{
	s64 before = mm->pgtables_bytes;
	unsigned long base = 0x10000000000, i;
	u64 free;

	drain_all_pages();
	free = nr_free_pages();
	for (i = 0; i < 8; i++) {
		unsigned long a = base + i * (1ul << PUD_SHIFT);

		CU_ASSERT_EQUAL(do_mmap(mm, a, PAGE_SIZE, RW, PRIVATE | MAP_FIXED, 0), (long)a);
		CU_ASSERT(!user_write(mm, a, 1));
	}
	CU_ASSERT_EQUAL(mm->pgtables_bytes - before, (1 + 8 + 8) * (s64)PAGE_SIZE);
	check_all();
	do_munmap(mm, base + (1ul << PUD_SHIFT), 6ul << PUD_SHIFT);
	CU_ASSERT_EQUAL(mm->pgtables_bytes - before, (1 + 2 + 2) * (s64)PAGE_SIZE);
	check_all();
	do_munmap(mm, base, 8ul << PUD_SHIFT);
	CU_ASSERT_EQUAL(mm->pgtables_bytes, before);
	drain_all_pages();
	CU_ASSERT(nr_free_pages() + 8 >= free); /* slab objects may keep a page or two */
}

static void a_failed_allocation_leaves_nothing(void)
{
	for (u64 k = 1; k <= 8; k++) {
		struct mm_struct *m;
		unsigned long a;
		unsigned int ret;
		u64 failed;

		m = mm_alloc();
		a = do_mmap(m, 0, PAGE_SIZE, RW, PRIVATE, 0);
		failed = alloc_fail_count();
		alloc_fail_nth(k);
		ret = user_write(m, a, 1);
		alloc_fail_nth(0);
		if (alloc_fail_count() > failed)
			CU_ASSERT_EQUAL(ret, VM_FAULT_OOM);
		CU_ASSERT(!user_write(m, a, 1));
		check_all();
		mmput(m);
	}
}

static void exit_gives_everything_back(void)
{
	struct mm_struct *m;
	u64 free;

	/* Once, so that caches have what they keep. */
	for (int round = 0; round < 3; round++) {
		lru_add_drain();
		drain_all_pages();
		free = nr_free_pages();
		m = mm_alloc();
		for (unsigned long i = 0; i < 100; i++) {
			unsigned long a = do_mmap(m, 0, 64 << 10, i % 2 ? RW : PROT_READ,
						  PRIVATE | (i % 3 ? MAP_POPULATE : 0), 0);
			u64 v;

			user_read(m, a + 4096, &v);
		}
		check_all();
		mmput(m);
		lru_add_drain();
		drain_all_pages();
	}
	CU_ASSERT_EQUAL(nr_free_pages(), free);
}

static void locked_memory_is_unevictable(void)
{
	unsigned long a = do_mmap(mm, 0, 64 << 10, RW, PRIVATE | MAP_LOCKED, 0);

	CU_ASSERT_EQUAL(mm->locked_vm, 16);
	lru_add_drain();
	CU_ASSERT_EQUAL(global_stat(NR_UNEVICTABLE), 16);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 16);
	check_all();
	CU_ASSERT_EQUAL(do_madvise(mm, a, 4096, MADV_DONTNEED), -EINVAL);
	do_munmap(mm, a, 64 << 10);
	CU_ASSERT_EQUAL(global_stat(NR_UNEVICTABLE), 0);
	CU_ASSERT_EQUAL(global_stat(NR_MLOCK), 0);
	CU_ASSERT_EQUAL(mm->locked_vm, 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"read_maps_the_zero_page", read_maps_the_zero_page},
		{"write_after_read_copies_the_zero_page", write_after_read_copies_the_zero_page},
		{"each_rights_violation_has_its_signal", each_rights_violation_has_its_signal},
		{"protection_none_keeps_the_page", protection_none_keeps_the_page},
		{"write_to_an_unshared_read_only_pte_reuses_the_page",
		 write_to_an_unshared_read_only_pte_reuses_the_page},
		{"write_to_a_shared_page_copies_it", write_to_a_shared_page_copies_it},
		{"a_stack_grows_down_to_its_limit", a_stack_grows_down_to_its_limit},
		{"populate_maps_everything_at_once", populate_maps_everything_at_once},
		{"dontneed_gives_pages_back_and_reads_zero",
		 dontneed_gives_pages_back_and_reads_zero},
		{"tables_go_with_the_last_mapping", tables_go_with_the_last_mapping},
		{"a_failed_allocation_leaves_nothing", a_failed_allocation_leaves_nothing},
		{"exit_gives_everything_back", exit_gives_everything_back},
		{"locked_memory_is_unevictable", locked_memory_is_unevictable},
	};

	host_boot_default("debug_vm");
	mm_init();
	mm = mm_alloc();
	return unit_run("faults", cases, sizeof(cases) / sizeof(cases[0]));
}
