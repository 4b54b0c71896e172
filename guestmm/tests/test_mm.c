/*
 * Address spaces, worked on from kernel code: what mmap, munmap, mprotect, brk and madvise leave
 * behind in VMAs, page tables and counters.
 */
#include "tests/tests.h"

#define MEM "memory=24M,high=4M"

static u32 nr_vmas(struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	u32 n = 0;

	list_for_each_entry (vma, &mm->mmap, link)
		n++;
	return n;
}

static long map_at(struct mm_struct *mm, unsigned long addr, unsigned long len, int prot, int flags)
{
	return do_mmap(mm, addr, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, 0);
}

GUEST_TEST(mm, address_space_gives_everything_back, 0, 0, MEM)
{
	u64 before = 0;

	/* The first round warms the slab caches, which keep what they have. */
	for (int round = 0; round < 3; round++) {
		struct mm_struct *mm = testmm_create(t);
		unsigned long addr;

		REQUIRE(mm);
		addr = testmm_map(t, mm, 4 * MIB);
		CHECK_EQ(do_madvise(mm, addr, 4 * MIB, MADV_NOHUGEPAGE), 0);
		for (unsigned long off = 0; off < 4 * MIB; off += 64 * KIB)
			CHECK_EQ(testmm_touch(mm, addr + off, TOUCH_WRITE), 0);
		CHECK_EQ(mm->rss_anon, 64);
		if (round)
			CHECK(settled_free_pages() + 64 < before);
		mmput(mm);
		if (round)
			CHECK_EQ(settled_free_pages(), before);
		before = settled_free_pages();
	}
}

GUEST_TEST(mm, neighbours_merge_and_holes_split, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a;
	u32 base;

	REQUIRE(mm);
	base = nr_vmas(mm);
	a = testmm_map(t, mm, 64 * PAGE_SIZE);
	REQUIRE(a);
	CHECK_EQ(nr_vmas(mm), base + 1);
	CHECK_EQ(do_munmap(mm, a + 16 * PAGE_SIZE, 16 * PAGE_SIZE), 0);
	CHECK_EQ(nr_vmas(mm), base + 2);
	CHECK_EQ(do_mprotect(mm, a, 8 * PAGE_SIZE, PROT_READ), 0);
	CHECK_EQ(nr_vmas(mm), base + 3);
	CHECK_EQ(do_mprotect(mm, a, 8 * PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	CHECK_EQ(nr_vmas(mm), base + 2); /* merged again */
	CHECK_EQ(map_at(mm, a + 16 * PAGE_SIZE, 16 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED),
		 a + 16 * PAGE_SIZE);
	CHECK_EQ(nr_vmas(mm), base + 1); /* the hole is filled, all three are one */
	CHECK_EQ(mm->map_count, base + 1);
	mmput(mm);
}

GUEST_TEST(mm, errors_are_those_of_linux, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a;

	REQUIRE(mm);
	CHECK_EQ(map_at(mm, 0, 0, PROT_READ, 0), -EINVAL);
	CHECK_EQ(map_at(mm, 0x1001, PAGE_SIZE, PROT_READ, MAP_FIXED), -EINVAL);
	CHECK_EQ(map_at(mm, 0, TASK_SIZE + PAGE_SIZE, PROT_READ, 0), -ENOMEM);
	CHECK_EQ(map_at(mm, TASK_SIZE - PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ, MAP_FIXED), -ENOMEM);
	CHECK_EQ(do_mmap(mm, 0, PAGE_SIZE, PROT_READ, MAP_ANONYMOUS, 0), -EINVAL);
	a = testmm_map(t, mm, 4 * PAGE_SIZE);
	CHECK_EQ(map_at(mm, a + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED_NOREPLACE), -EEXIST);
	CHECK_EQ(do_munmap(mm, a + 1, PAGE_SIZE), -EINVAL);
	CHECK_EQ(do_munmap(mm, a, 0), -EINVAL);
	CHECK_EQ(do_mprotect(mm, a + 1, PAGE_SIZE, PROT_READ), -EINVAL);
	CHECK_EQ(do_mprotect(mm, a + 2 * PAGE_SIZE, 8 * PAGE_SIZE, PROT_READ), -ENOMEM);
	CHECK_EQ(do_madvise(mm, a + 1, PAGE_SIZE, MADV_DONTNEED), -EINVAL);
	CHECK_EQ(do_madvise(mm, a, PAGE_SIZE, 12345), -EINVAL);
	CHECK_EQ(do_madvise(mm, a, 8 * PAGE_SIZE, MADV_DONTNEED), -ENOMEM);
	CHECK_EQ(do_munmap(mm, a + 64 * MIB, PAGE_SIZE), 0); /* nothing there is no error */
	mmput(mm);
}

GUEST_TEST(mm, hint_is_taken_when_free, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a;

	REQUIRE(mm);
	CHECK_EQ(map_at(mm, 0x10000000, PAGE_SIZE, PROT_READ, 0), 0x10000000);
	a = map_at(mm, 0x10000000, PAGE_SIZE, PROT_READ, 0);
	CHECK(a != 0x10000000 && a < TASK_SIZE); /* taken: another place */
	CHECK(map_at(mm, 0, PAGE_SIZE, PROT_READ, MAP_32BIT) < 0x80000000l);
	mmput(mm);
}

GUEST_TEST(mm, munmap_frees_pages_and_tables, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	s64 tables;
	unsigned long a;
	u64 free;

	REQUIRE(mm);
	tables = mm->pgtables_bytes;
	a = testmm_map(t, mm, 8 * MIB);
	CHECK_EQ(testmm_touch(mm, a, TOUCH_WRITE), 0); /* the slabs that this needs stay */
	CHECK_EQ(do_munmap(mm, a, 8 * MIB), 0);
	CHECK_EQ(testmm_map(t, mm, 8 * MIB), a);
	CHECK_EQ(do_madvise(mm, a, 8 * MIB, MADV_NOHUGEPAGE), 0);
	free = settled_free_pages();
	for (unsigned long off = 0; off < 8 * MIB; off += MIB)
		CHECK_EQ(testmm_touch(mm, a + off, TOUCH_WRITE), 0);
	CHECK(mm->pgtables_bytes >= tables + 4 * (s64)PAGE_SIZE);
	CHECK_EQ(mm->rss_anon, 8);
	CHECK_EQ(do_munmap(mm, a, 8 * MIB), 0);
	CHECK_EQ(mm->rss_anon, 0);
	CHECK_EQ(mm->pgtables_bytes, tables);
	CHECK(settled_free_pages() >= free);
	CHECK_EQ(testmm_touch(mm, a, TOUCH_READ), VM_FAULT_SIGSEGV_MAPERR);
	mmput(mm);
}

GUEST_TEST(mm, brk_grows_and_shrinks, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long start;

	REQUIRE(mm);
	down_write(&mm->mmap_lock);
	mm->start_brk = mm->brk = 0x20000000;
	up_write(&mm->mmap_lock);
	start = do_brk(mm, 0);
	CHECK_EQ(start, 0x20000000);
	CHECK_EQ(do_brk(mm, start + 10 * PAGE_SIZE), start + 10 * PAGE_SIZE);
	CHECK_EQ(testmm_touch(mm, start + 9 * PAGE_SIZE, TOUCH_WRITE), 0);
	CHECK_EQ(testmm_touch(mm, start + 10 * PAGE_SIZE, TOUCH_WRITE), VM_FAULT_SIGSEGV_MAPERR);
	CHECK_EQ(do_brk(mm, start + 2 * PAGE_SIZE), start + 2 * PAGE_SIZE);
	CHECK_EQ(mm->rss_anon, 0);
	CHECK_EQ(do_brk(mm, start - PAGE_SIZE), start + 2 * PAGE_SIZE); /* refused */
	mmput(mm);
}

GUEST_TEST(mm, overcommit_refuses_what_can_never_be, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	u64 committed;

	REQUIRE(mm);
	committed = vm_committed();
	CHECK_EQ(map_at(mm, 0, 1ul << 40, PROT_READ | PROT_WRITE, 0), -ENOMEM);
	CHECK_EQ(vm_committed(), committed);
	/* Reserving nothing is another matter. */
	CHECK(map_at(mm, 0, 1ul << 40, PROT_READ | PROT_WRITE, MAP_NORESERVE) > 0);
	testmm_map(t, mm, MIB);
	CHECK_EQ(vm_committed(), committed + 256);
	sysctl_overcommit_memory = 2;
	CHECK_EQ(map_at(mm, 0, 100 * MIB, PROT_READ | PROT_WRITE, 0), -ENOMEM);
	sysctl_overcommit_memory = 1;
	CHECK(map_at(mm, 0, 100 * MIB, PROT_READ | PROT_WRITE, 0) > 0);
	sysctl_overcommit_memory = 0;
	mmput(mm);
	CHECK_EQ(vm_committed(), committed);
}

GUEST_TEST(mm, maps_are_printed_as_linux_does, 0, 0, MEM)
{
	static char buf[2048];
	struct report r = {.buf = buf, .size = sizeof(buf)};
	struct mm_struct *mm = testmm_create(t);

	REQUIRE(mm);
	CHECK_EQ(map_at(mm, 0x10000000, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED),
		 0x10000000);
	CHECK_EQ(map_at(mm, 0x20000000, PAGE_SIZE, PROT_READ | PROT_EXEC, MAP_FIXED), 0x20000000);
	report_maps(&r, mm);
	CHECK(!r.overflow);
	CHECK(strstr(buf, "10000000-10002000 rw-p 00000000 00:00 0"));
	CHECK(strstr(buf, "20000000-20001000 r-xp 00000000 00:00 0"));
	mmput(mm);
}

#define NR_MODEL 128
GUEST_TEST(mm, random_operations_agree_with_a_model, 0, 0, MEM)
{
	static u64 model[NR_MODEL]; /* 0 = not mapped, 1 = mapped and zero, else first word */
	struct mm_struct *mm = testmm_create(t);
	const unsigned long base = 0x30000000;
	u64 seen[3] = {0};

	REQUIRE(mm);
	for (int op = 0; op < 600; op++) {
		unsigned int first = get_random_u64() % NR_MODEL;
		unsigned int n = min(1 + (unsigned int)(get_random_u64() % 12), NR_MODEL - first);
		unsigned long addr = base + first * PAGE_SIZE;

		switch (get_random_u64() % 5) {
		case 0:
			CHECK_EQ(map_at(mm, addr, n * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED),
				 addr);
			for (unsigned int i = first; i < first + n; i++)
				model[i] = 1;
			break;
		case 1:
			CHECK_EQ(do_munmap(mm, addr, n * PAGE_SIZE), 0);
			memset(&model[first], 0, n * sizeof(model[0]));
			break;
		default:
			for (unsigned int i = first; i < first + n; i++) {
				unsigned long a = base + i * PAGE_SIZE;
				u64 v = get_random_u64() | 2;

				if (get_random_u64() & 1) {
					unsigned int err = testmm_write(mm, a, v);

					CHECK_EQ(err, model[i] ? 0 : VM_FAULT_SIGSEGV_MAPERR);
					if (model[i])
						model[i] = v;
					seen[0] += !err;
				} else {
					unsigned int err = testmm_read(mm, a, &v);

					CHECK_EQ(err, model[i] ? 0 : VM_FAULT_SIGSEGV_MAPERR);
					if (model[i])
						CHECK_EQ(v, model[i] == 1 ? 0 : model[i]);
					seen[err ? 2 : 1]++;
				}
			}
		}
	}
	CHECK(seen[0] > 100 && seen[1] > 100 && seen[2] > 20);
	mmput(mm);
}
