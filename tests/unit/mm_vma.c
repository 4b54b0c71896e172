/*
 * VMAs and the calls that shape them: merge policy as a table, results and errno values as Linux
 * gives them, limits, overcommit, and the reports.
 */
#include "unit.h"
#include "mm_user.h"

static struct mm_struct *mm;
#define BASE  0x100000000000ul
#define FIXED (PRIVATE | MAP_FIXED)

static long map_at(unsigned long page, unsigned long pages, int prot)
{
	return do_mmap(mm, BASE + page * PAGE_SIZE, pages * PAGE_SIZE, prot, FIXED, 0);
}

static int unmap(unsigned long page, unsigned long pages)
{
	return do_munmap(mm, BASE + page * PAGE_SIZE, pages * PAGE_SIZE);
}

static unsigned long at(unsigned long page)
{
	return BASE + page * PAGE_SIZE;
}

/* Flags, first page of the file, pages; and what else there is. */
#define PART(f, off, n, ...)                                        \
	{                                                           \
		.flags = f, .pgoff = off, .pages = n, ##__VA_ARGS__ \
	}
enum { NONE_TOUCHES, PREV_TOUCHES, NEXT_TOUCHES, BOTH_TOUCH };

static void merge_policy_table(void)
{
	struct anon_vma *a = (void *)0x1000, *b = (void *)0x2000;
	const struct uffd_ctx *monitor = (void *)0x3000, *other = (void *)0x4000;
	static const char *heap = "[heap]";
	/* clang-format off */
	const struct {
		const char *why;
		enum vma_merge want;
		unsigned int touch; /* whether prev and next do */
		struct vma_desc prev, mid, next;
	} t[] = {
		{"all alike", VMA_MERGE_BOTH, BOTH_TOUCH,
		 PART(1, 0, 2),
		 PART(1, 2, 1),
		 PART(1, 3, 4)},
		{"next has other rights", VMA_MERGE_PREV, BOTH_TOUCH,
		 PART(1, 0, 2),
		 PART(1, 2, 1),
		 PART(3, 3, 4)},
		{"previous has other rights", VMA_MERGE_NEXT, BOTH_TOUCH,
		 PART(3, 0, 2),
		 PART(1, 2, 1),
		 PART(1, 3, 4)},
		{"nothing before", VMA_MERGE_NEXT, NEXT_TOUCHES,
		 PART(1, 0, 2),
		 PART(1, 2, 1),
		 PART(1, 3, 4)},
		{"nothing touches", VMA_MERGE_NONE, NONE_TOUCHES,
		 PART(1, 0, 2),
		 PART(1, 2, 1),
		 PART(1, 3, 4)},
		{"two families of pages stay two", VMA_MERGE_PREV, BOTH_TOUCH,
		 PART(1, 0, 2, .anon_vma = a),
		 PART(1, 2, 1),
		 PART(1, 3, 4, .anon_vma = b)},
		{"one family", VMA_MERGE_BOTH, BOTH_TOUCH,
		 PART(1, 0, 2, .anon_vma = a),
		 PART(1, 2, 1),
		 PART(1, 3, 4, .anon_vma = a)},
		{"pages do not move into a VMA that has none", VMA_MERGE_NONE, BOTH_TOUCH,
		 PART(1, 0, 2, .anon_vma = a),
		 PART(1, 2, 1, .anon_vma = b),
		 PART(1, 3, 4)},
		{"a VMA without pages joins any", VMA_MERGE_BOTH, BOTH_TOUCH,
		 PART(1, 0, 2, .anon_vma = a),
		 PART(1, 2, 1),
		 PART(1, 3, 4)},
		{"what came through a fork takes in nothing", VMA_MERGE_NEXT, BOTH_TOUCH,
		 PART(1, 0, 2, .anon_vma = a, .inherited = true),
		 PART(1, 2, 1),
		 PART(1, 3, 4)},
		{"offsets that do not continue", VMA_MERGE_NEXT, BOTH_TOUCH,
		 PART(1, 5, 2),
		 PART(1, 2, 1),
		 PART(1, 3, 4)},
		{"names", VMA_MERGE_NONE, BOTH_TOUCH,
		 PART(1, 0, 2, .name = heap),
		 PART(1, 2, 1),
		 PART(1, 3, 4, .name = heap)},
		{"who answers their faults", VMA_MERGE_NEXT, BOTH_TOUCH,
		 PART(1, 0, 2, .uffd = monitor),
		 PART(1, 2, 1, .uffd = other),
		 PART(1, 3, 4, .uffd = other)},
	};
	/* clang-format on */

	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
		enum vma_merge got = vma_merge_policy(t[i].touch & 1 ? &t[i].prev : NULL, &t[i].mid,
						      t[i].touch & 2 ? &t[i].next : NULL);

		if (got != t[i].want)
			fprintf(stderr, "merge policy: %s: %d\n", t[i].why, got);
		CU_ASSERT_EQUAL(got, t[i].want);
	}
}

static void neighbours_become_one(void)
{
	u32 n = mm->map_count;

	map_at(0, 2, RW);
	map_at(4, 2, RW);
	CU_ASSERT_EQUAL(mm->map_count, n + 2);
	map_at(2, 2, RW); /* fills the hole */
	CU_ASSERT_EQUAL(mm->map_count, n + 1);
	CU_ASSERT_EQUAL(find_vma(mm, at(3))->vm_end, at(6));
	unmap(2, 1); /* a hole makes two */
	CU_ASSERT_EQUAL(mm->map_count, n + 2);
	CU_ASSERT_EQUAL(do_mprotect(mm, at(3), 2 * PAGE_SIZE, PROT_READ), 0);
	CU_ASSERT_EQUAL(mm->map_count, n + 3);
	CU_ASSERT_EQUAL(do_mprotect(mm, at(3), 2 * PAGE_SIZE, RW), 0);
	CU_ASSERT_EQUAL(mm->map_count, n + 2);
	check_all();
	CU_ASSERT_EQUAL(unmap(0, 6), 0);
	CU_ASSERT_EQUAL(mm->map_count, n);
}

static void pages_keep_their_home_through_splits_and_merges(void)
{
	u64 v;

	map_at(0, 64, RW);
	for (unsigned long i = 0; i < 64; i++)
		CU_ASSERT(!user_write(mm, at(i), i + 100));
	for (unsigned long i = 0; i < 64; i += 2)
		CU_ASSERT(!do_mprotect(mm, at(i), PAGE_SIZE, PROT_READ));
	check_all();
	/* From the page alone its PTE is found, whichever VMA it is in now. */
	for (unsigned long i = 0; i < 64; i++) {
		struct page *page = pfn_to_page(pte_pfn(*walk_pte(mm->pgd, at(i))));
		unsigned long flags;

		page_referenced(page, &flags);
		CU_ASSERT_EQUAL(page_referenced(page, &flags), 0);
		CU_ASSERT(!user_read(mm, at(i), &v) && v == i + 100);
		CU_ASSERT_EQUAL(page_referenced(page, &flags), 1);
		CU_ASSERT_EQUAL(!(flags & VM_WRITE), i % 2 == 0);
	}
	for (unsigned long i = 0; i < 64; i += 2)
		CU_ASSERT(!do_mprotect(mm, at(i), PAGE_SIZE, RW));
	CU_ASSERT_EQUAL(find_vma(mm, at(0))->vm_end, at(64));
	check_all();
	unmap(0, 64);
}

static void mmap_errors(void)
{
	unsigned long top = TASK_SIZE;

	CU_ASSERT_EQUAL(do_mmap(mm, 0, 0, RW, PRIVATE, 0), -EINVAL);
	CU_ASSERT_EQUAL(do_mmap(mm, 0, ~0ul, RW, PRIVATE, 0), -ENOMEM);
	CU_ASSERT_EQUAL(do_mmap(mm, 0, TASK_SIZE + PAGE_SIZE, RW, PRIVATE, 0), -ENOMEM);
	CU_ASSERT_EQUAL(do_mmap(mm, BASE + 1, PAGE_SIZE, RW, FIXED, 0), -EINVAL);
	CU_ASSERT_EQUAL(do_mmap(mm, top, PAGE_SIZE, RW, FIXED, 0), -ENOMEM);
	CU_ASSERT_EQUAL(do_mmap(mm, 0, PAGE_SIZE, RW, FIXED, 0), -EPERM);
	CU_ASSERT_EQUAL(do_mmap(mm, 0, PAGE_SIZE, RW, MAP_ANONYMOUS, 0), -EINVAL);
	CU_ASSERT_EQUAL(do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE, ~0ul), -EOVERFLOW);
	map_at(3, 1, RW);
	CU_ASSERT_EQUAL(do_mmap(mm, at(2), 2 * PAGE_SIZE, RW, PRIVATE | MAP_FIXED_NOREPLACE, 0),
			-EEXIST);
	CU_ASSERT_EQUAL(do_mmap(mm, at(4), PAGE_SIZE, RW, PRIVATE | MAP_FIXED_NOREPLACE, 0),
			(long)at(4));
	unmap(0, 8);
	CU_ASSERT_EQUAL(do_munmap(mm, BASE + 1, PAGE_SIZE), -EINVAL);
	CU_ASSERT_EQUAL(do_munmap(mm, BASE, 0), -EINVAL);
	CU_ASSERT_EQUAL(do_munmap(mm, TASK_SIZE, PAGE_SIZE), -EINVAL);
	CU_ASSERT_EQUAL(do_munmap(mm, BASE, ~0ul), -EINVAL);
	CU_ASSERT_EQUAL(do_munmap(mm, BASE, 8 * PAGE_SIZE), 0); /* nothing there */
	CU_ASSERT_EQUAL(do_madvise(mm, BASE, PAGE_SIZE, 99), -EINVAL);
	CU_ASSERT_EQUAL(do_madvise(mm, BASE + 1, PAGE_SIZE, MADV_DONTNEED), -EINVAL);
	CU_ASSERT_EQUAL(do_madvise(mm, BASE, ~0ul, MADV_DONTNEED), -EINVAL);
	CU_ASSERT_EQUAL(do_madvise(mm, BASE, 0, MADV_DONTNEED), 0);
	CU_ASSERT_EQUAL(do_madvise(mm, BASE, PAGE_SIZE, MADV_DONTNEED), -ENOMEM);
	check_all();
}

static void placement(void)
{
	long a = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE, 0), b, c;

	CU_ASSERT_EQUAL(a, (long)(mm->mmap_base - PAGE_SIZE)); /* top down */
	b = do_mmap(mm, 0, 3 * PAGE_SIZE, PROT_READ, PRIVATE, 0);
	CU_ASSERT_EQUAL(b, a - 3 * (long)PAGE_SIZE);
	do_munmap(mm, b + PAGE_SIZE, PAGE_SIZE);
	c = do_mmap(mm, 0, PAGE_SIZE, PROT_EXEC, PRIVATE, 0);
	CU_ASSERT_EQUAL(c, b + (long)PAGE_SIZE); /* the highest hole that fits */
	CU_ASSERT_EQUAL(do_mmap(mm, 0, 2 * PAGE_SIZE, PROT_EXEC, PRIVATE, 0),
			b - 2 * (long)PAGE_SIZE);
	do_munmap(mm, b - 2 * PAGE_SIZE, 6 * PAGE_SIZE);
	/* A hint that is free is taken, one that is not is not. */
	CU_ASSERT_EQUAL(do_mmap(mm, at(7), PAGE_SIZE, RW, PRIVATE, 0), (long)at(7));
	a = do_mmap(mm, at(7), PAGE_SIZE, RW, PRIVATE, 0);
	CU_ASSERT(a > 0 && a != (long)at(7));
	do_munmap(mm, a, PAGE_SIZE);
	unmap(7, 1);
	a = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE | MAP_32BIT, 0);
	CU_ASSERT(a > 0 && (u64)a < 0x80000000);
	do_munmap(mm, a, PAGE_SIZE);
	/* The guard below a growing mapping stays free. */
	a = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE | MAP_GROWSDOWN, 0);
	b = do_mmap(mm, 0, PAGE_SIZE, RW, PRIVATE, 0);
	CU_ASSERT(b + PAGE_SIZE + STACK_GUARD_GAP <= (unsigned long)a);
	do_munmap(mm, a, PAGE_SIZE);
	do_munmap(mm, b, PAGE_SIZE);
	check_all();
}

/* Against a search page by page. */
static void gaps_are_found_where_they_are(void)
{
	u64 rng = 12345;
	bool used[256];

	for (int round = 0; round < 300; round++) {
		unsigned long len, lo, hi, want = 0, got;

		memset(used, 0, sizeof(used));
		for (int i = 0; i < 40; i++) {
			unsigned long p, n;

			rng = rng * 6364136223846793005ull + 1442695040888963407ull;
			p = rng >> 33 & 255;
			n = min(1 + (rng >> 50 & 7), 256 - p);
			map_at(p, n, rng >> 60 & 1 ? RW : PROT_READ);
			memset(used + p, 1, n);
		}
		for (int q = 0; q < 30; q++) {
			rng = rng * 6364136223846793005ull + 1442695040888963407ull;
			len = 1 + (rng >> 40 & 15);
			lo = rng >> 48 & 127;
			hi = lo + 1 + (rng >> 55 & 127);
			want = 0;
			for (long s = (long)hi - (long)len; s >= (long)lo && !want; s--) {
				bool free = true;

				for (unsigned long i = s; i < s + len; i++)
					free &= !used[i];
				if (free)
					want = at(s);
			}
			got = unmapped_area_topdown(mm, len * PAGE_SIZE, at(lo), at(hi));
			MUST(got == want, "gap of %lu in [%lu, %lu): %#lx, expected %#lx", len, lo,
			     hi, got, want);
		}
		if (round % 50 == 0)
			check_all();
		unmap(0, 256);
	}
	CU_ASSERT_EQUAL(find_vma_intersection(mm, at(0), at(256)), NULL);
}

static void mprotect_stops_at_a_hole(void)
{
	map_at(0, 2, RW);
	map_at(3, 2, RW);
	CU_ASSERT_EQUAL(do_mprotect(mm, at(0), 5 * PAGE_SIZE, PROT_READ), -ENOMEM);
	CU_ASSERT(!(find_vma(mm, at(1))->flags & VM_WRITE)); /* done below the hole */
	CU_ASSERT(find_vma(mm, at(3))->flags & VM_WRITE);    /* not above */
	CU_ASSERT_EQUAL(do_mprotect(mm, at(2), PAGE_SIZE, PROT_READ), -ENOMEM);
	CU_ASSERT_EQUAL(do_mprotect(mm, at(0) + 1, PAGE_SIZE, PROT_READ), -EINVAL);
	CU_ASSERT_EQUAL(do_mprotect(mm, at(0), PAGE_SIZE, 0x80), -EINVAL);
	CU_ASSERT_EQUAL(do_mprotect(mm, at(0), 0, PROT_READ), 0);
	CU_ASSERT_EQUAL(do_mprotect(mm, at(0), -PAGE_SIZE, PROT_READ), -ENOMEM);
	/* Beyond what the mapping may ever allow. */
	find_vma(mm, at(3))->flags &= ~VM_MAYEXEC;
	CU_ASSERT_EQUAL(do_mprotect(mm, at(3), PAGE_SIZE, PROT_EXEC), -EACCES);
	CU_ASSERT_EQUAL(do_mprotect(mm, at(3), PAGE_SIZE, PROT_READ), 0);
	check_all();
	unmap(0, 5);
}

static void map_count_is_limited(void)
{
	u32 old = sysctl_max_map_count;

	map_at(0, 9, RW);
	sysctl_max_map_count = mm->map_count;
	CU_ASSERT_EQUAL(unmap(4, 1), -ENOMEM); /* would be one more */
	CU_ASSERT_EQUAL(do_mprotect(mm, at(4), PAGE_SIZE, PROT_READ), -ENOMEM);
	check_all();
	CU_ASSERT_EQUAL(find_vma(mm, at(0))->vm_end, at(9));
	sysctl_max_map_count = mm->map_count + 1;
	CU_ASSERT_EQUAL(do_mprotect(mm, at(4), PAGE_SIZE, PROT_READ), -ENOMEM); /* needs two */
	CU_ASSERT_EQUAL(find_vma(mm, at(0))->vm_end, at(9));			/* and leaves one */
	check_all();
	sysctl_max_map_count = old;
	unmap(0, 9);
}

static void brk_moves_the_heap(void)
{
	struct mm_struct *m = mm_alloc();
	unsigned long b;

	m->start_brk = m->brk = 0x600000;
	m->start_data = 0x500000;
	m->end_data = 0x501000;
	CU_ASSERT_EQUAL(do_brk(m, 0), 0x600000);
	CU_ASSERT_EQUAL(do_brk(m, 0x600800), 0x600800);
	CU_ASSERT(!user_write(m, 0x600400, 77));
	CU_ASSERT_EQUAL(do_brk(m, 0x640000), 0x640000);
	CU_ASSERT_EQUAL(m->map_count, 1);
	CU_ASSERT_STRING_EQUAL(find_vma(m, 0x600000)->name, "[heap]");
	CU_ASSERT_EQUAL(do_brk(m, 0x610001), 0x610001);
	CU_ASSERT_EQUAL(find_vma(m, 0x600000)->vm_end, 0x611000);
	/* Not into what is there. */
	CU_ASSERT_EQUAL(do_mmap(m, 0x700000, PAGE_SIZE, RW, FIXED, 0), 0x700000);
	CU_ASSERT_EQUAL(do_brk(m, 0x700000), 0x610001);
	CU_ASSERT_EQUAL(do_brk(m, 0x6ff000), 0x6ff000); /* a page of distance is kept */
	CU_ASSERT_EQUAL(do_brk(m, 0x6ff001), 0x6ff000);
	CU_ASSERT_EQUAL(do_brk(m, 0x5fffff), 0x6ff000);
	host_limits[RLIMIT_DATA].cur = 0x100000;
	b = m->brk;
	CU_ASSERT_EQUAL(do_brk(m, b - 0x1000), b - 0x1000);
	host_limits[RLIMIT_DATA].cur = 0x10000;
	CU_ASSERT_EQUAL(do_brk(m, b), b - 0x1000);
	check_all();
	mmput(m);
	host_limits_reset();
}

static void limits(void)
{
	struct mm_struct *m = mm_alloc();
	long a;

	host_limits[RLIMIT_AS].cur = 16 * PAGE_SIZE;
	a = do_mmap(m, BASE, 16 * PAGE_SIZE, RW, FIXED, 0);
	CU_ASSERT_EQUAL(a, (long)BASE);
	CU_ASSERT_EQUAL(do_mmap(m, 0, PAGE_SIZE, RW, PRIVATE, 0), -ENOMEM);
	/* Over what is there it is no more than before. */
	CU_ASSERT_EQUAL(do_mmap(m, BASE, 16 * PAGE_SIZE, PROT_READ, FIXED, 0), (long)BASE);
	host_limits[RLIMIT_AS].cur = ~0ull;
	host_limits[RLIMIT_DATA].cur = 4 * PAGE_SIZE;
	CU_ASSERT_EQUAL(do_mmap(m, 0, 5 * PAGE_SIZE, RW, PRIVATE, 0), -ENOMEM);
	CU_ASSERT(do_mmap(m, 0, 5 * PAGE_SIZE, PROT_READ, PRIVATE, 0) > 0);
	host_limits[RLIMIT_DATA].cur = ~0ull;
	host_limits[RLIMIT_MEMLOCK].cur = 4 * PAGE_SIZE;
	CU_ASSERT_EQUAL(do_mmap(m, 0, 5 * PAGE_SIZE, RW, PRIVATE | MAP_LOCKED, 0), -EAGAIN);
	CU_ASSERT(do_mmap(m, 0, 4 * PAGE_SIZE, RW, PRIVATE | MAP_LOCKED, 0) > 0);
	host_limits[RLIMIT_MEMLOCK].cur = 0;
	CU_ASSERT_EQUAL(do_mmap(m, 0, PAGE_SIZE, RW, PRIVATE | MAP_LOCKED, 0), -EPERM);
	check_all();
	mmput(m);
	check_all();
	host_limits_reset();
}

static void overcommit(void)
{
	u64 ram = totalram_pages();
	u64 before = vm_committed();
	long a;

	/* The decision alone. */
	CU_ASSERT(overcommit_allows(0, 150, 1000000, 100, 50, 0, 0));
	CU_ASSERT(!overcommit_allows(0, 151, 0, 100, 50, 0, 0));
	CU_ASSERT(overcommit_allows(1, ~0ull, ~0ull, 100, 50, 0, 0));
	CU_ASSERT(overcommit_allows(2, 1, 90, 100, 50, 100, 10));
	CU_ASSERT(!overcommit_allows(2, 1, 91, 100, 50, 100, 10));
	CU_ASSERT(!overcommit_allows(2, 1, 1, 100, 50, 5, 10));
	CU_ASSERT(vm_accountable(VM_READ | VM_WRITE, 0));
	CU_ASSERT(!vm_accountable(VM_READ, 2));
	CU_ASSERT(!vm_accountable(VM_WRITE | VM_NORESERVE, 0));
	CU_ASSERT(vm_accountable(VM_WRITE | VM_NORESERVE, 2));
	CU_ASSERT(!vm_accountable(VM_WRITE | VM_SHARED, 2));

	CU_ASSERT_EQUAL(do_mmap(mm, 0, (ram + 1) << PAGE_SHIFT, RW, PRIVATE, 0), -ENOMEM);
	a = do_mmap(mm, 0, (ram + 1) << PAGE_SHIFT, RW, PRIVATE | MAP_NORESERVE, 0);
	CU_ASSERT(a > 0);
	CU_ASSERT_EQUAL(vm_committed(), before);
	do_munmap(mm, a, (ram + 1) << PAGE_SHIFT);
	a = do_mmap(mm, 0, (ram + 1) << PAGE_SHIFT, PROT_READ, PRIVATE, 0);
	CU_ASSERT(a > 0);
	CU_ASSERT_EQUAL(do_mprotect(mm, a, (ram + 1) << PAGE_SHIFT, RW), -ENOMEM);
	CU_ASSERT_EQUAL(do_mprotect(mm, a, 10 << PAGE_SHIFT, RW), 0);
	CU_ASSERT_EQUAL(vm_committed(), before + 10);
	/* A promise stays when write access is taken away. */
	CU_ASSERT_EQUAL(do_mprotect(mm, a, 10 << PAGE_SHIFT, PROT_READ), 0);
	CU_ASSERT_EQUAL(vm_committed(), before + 10);
	check_all();
	do_munmap(mm, a, (ram + 1) << PAGE_SHIFT);
	CU_ASSERT_EQUAL(vm_committed(), before);

	sysctl_overcommit_memory = 2;
	CU_ASSERT_EQUAL(vm_commit_limit(), ram / 2);
	CU_ASSERT_EQUAL(do_mmap(mm, 0, (ram / 2 + 1) << PAGE_SHIFT, RW, PRIVATE, 0), -ENOMEM);
	CU_ASSERT_EQUAL(do_mmap(mm, 0, (ram / 2 + 1) << PAGE_SHIFT, RW, PRIVATE | MAP_NORESERVE, 0),
			-ENOMEM);
	a = do_mmap(mm, 0, ram / 4 << PAGE_SHIFT, RW, PRIVATE, 0);
	CU_ASSERT(a > 0);
	CU_ASSERT_EQUAL(do_mmap(mm, 0, ram / 3 << PAGE_SHIFT, RW, PRIVATE, 0), -ENOMEM);
	do_munmap(mm, a, ram / 4 << PAGE_SHIFT);
	/* An amount instead of a part, and what is kept for administrators. */
	sysctl_overcommit_kbytes = (vm_committed() + 300) * 4;
	sysctl_admin_reserve_kbytes = 100 * 4;
	CU_ASSERT_EQUAL(vm_commit_limit(), vm_committed() + 300);
	host_task_is_admin = false;
	CU_ASSERT_EQUAL(do_mmap(mm, 0, 201 << PAGE_SHIFT, RW, PRIVATE, 0), -ENOMEM);
	host_task_is_admin = true;
	a = do_mmap(mm, 0, 201 << PAGE_SHIFT, RW, PRIVATE, 0);
	CU_ASSERT(a > 0);
	do_munmap(mm, a, 201 << PAGE_SHIFT);
	CU_ASSERT_EQUAL(do_mmap(mm, 0, 301 << PAGE_SHIFT, RW, PRIVATE, 0), -ENOMEM);
	sysctl_overcommit_kbytes = 0;
	sysctl_overcommit_memory = 1;
	a = do_mmap(mm, 0, ram * 100 << PAGE_SHIFT, RW, PRIVATE, 0);
	CU_ASSERT(a > 0);
	check_all();
	do_munmap(mm, a, ram * 100 << PAGE_SHIFT);
	sysctl_overcommit_memory = 0;
	check_all();
}

static void failed_allocations_undo_everything(void)
{
	for (u64 k = 1; k < 12; k++) {
		long a, b;

		alloc_fail_nth(k);
		a = do_mmap(mm, at(0), 9 * PAGE_SIZE, RW, FIXED, 0);
		b = a > 0 ? do_mprotect(mm, at(3), 3 * PAGE_SIZE, PROT_READ) : 0;
		CU_ASSERT(b == 0 || b == -ENOMEM);
		b = unmap(4, 1);
		CU_ASSERT(b == 0 || b == -ENOMEM);
		alloc_fail_nth(0);
		check_all();
		unmap(0, 9);
	}
	check_all();
}

static void maps_reads_as_linux_prints_it(void)
{
	struct mm_struct *m = mm_alloc();
	char text[1024];
	struct report r = {text, sizeof(text), 0, false};

	m->start_brk = m->brk = 0x600000;
	do_brk(m, 0x601000);
	mm_setup_stack(m, 0x7ffffffff000, 0x21000);
	do_mmap(m, 0x400000, 0x2000, PROT_READ | PROT_EXEC, FIXED, 0);
	report_maps(&r, m);
	/* Names begin in column 74, and a line without one ends in a blank. */
	CU_ASSERT_STRING_EQUAL(text, "00400000-00402000 r-xp 00000000 00:00 0 \n"
				     "00600000-00601000 rw-p 00000000 00:00 0         "
				     "                         [heap]\n"
				     "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0 "
				     "                         [stack]\n");
	mmput(m);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"merge_policy_table", merge_policy_table},
		{"neighbours_become_one", neighbours_become_one},
		{"pages_keep_their_home_through_splits_and_merges",
		 pages_keep_their_home_through_splits_and_merges},
		{"mmap_errors", mmap_errors},
		{"placement", placement},
		{"gaps_are_found_where_they_are", gaps_are_found_where_they_are},
		{"mprotect_stops_at_a_hole", mprotect_stops_at_a_hole},
		{"map_count_is_limited", map_count_is_limited},
		{"brk_moves_the_heap", brk_moves_the_heap},
		{"limits", limits},
		{"overcommit", overcommit},
		{"failed_allocations_undo_everything", failed_allocations_undo_everything},
		{"maps_reads_as_linux_prints_it", maps_reads_as_linux_prints_it},
	};

	host_boot_default("debug_vm");
	mm_init();
	mm = mm_alloc();
	return unit_run("vma", cases, sizeof(cases) / sizeof(cases[0]));
}
