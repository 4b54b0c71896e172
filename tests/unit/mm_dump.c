/*
 * What a core dump reads of an address space: get_dump_page(). It changes nothing, except that pages in swap
 * are read back.
 */
#include <CUnit/Basic.h>
#include "mm/pgtable/guard.h"
#include "mm/fault/remote.h"
#include "mm_user.h"
#include "unit.h"

static struct host_disk *disk;
static struct mm_struct *mm;

static unsigned long map(unsigned long pages, int prot, int flags)
{
	long a = do_mmap(mm, 0, pages * PAGE_SIZE, prot, flags, 0);

	CU_ASSERT_FATAL(a > 0);
	return a;
}

/* The first word that is dumped of a page; -1: a hole. */
static s64 dumped(unsigned long addr)
{
	struct page *held, *page = get_dump_page(mm, addr, &held);
	s64 word;

	if (!page)
		return -1;
	memcpy(&word, host_page(page), sizeof(word));
	CU_ASSERT(page_ref_count(held) > 0);
	put_page(held);
	return word;
}

static void private_memory(void)
{
	unsigned long a = map(6, RW, PRIVATE);
	s64 rss, tables;
	u64 v;

	user_put(mm, a, 11);
	CU_ASSERT_EQUAL(user_read(mm, a + PAGE_SIZE, &v), 0); /* the zero page */
	user_put(mm, a + 3 * PAGE_SIZE, 33);
	CU_ASSERT_EQUAL(do_mprotect(mm, a + 3 * PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	user_put(mm, a + 4 * PAGE_SIZE, 44);
	CU_ASSERT_EQUAL(do_madvise(mm, a + 4 * PAGE_SIZE, PAGE_SIZE, MADV_GUARD_INSTALL), 0);
	rss = mm->rss_anon;
	tables = mm->pgtables_bytes;
	CU_ASSERT_EQUAL(dumped(a), 11);
	CU_ASSERT_EQUAL(dumped(a + PAGE_SIZE), -1);
	CU_ASSERT_EQUAL(dumped(a + 2 * PAGE_SIZE), -1);
	CU_ASSERT_EQUAL(dumped(a + 3 * PAGE_SIZE), 33);
	CU_ASSERT_EQUAL(dumped(a + 4 * PAGE_SIZE), -1);
	CU_ASSERT_EQUAL(dumped(a + 5 * PAGE_SIZE), -1);
	CU_ASSERT_EQUAL(dumped(a + 6 * PAGE_SIZE), -1); /* nothing is mapped there */
	CU_ASSERT_EQUAL(dumped(a - MIB), -1);
	CU_ASSERT_EQUAL(mm->rss_anon, rss);
	CU_ASSERT_EQUAL(mm->pgtables_bytes, tables);
	CU_ASSERT_EQUAL(do_madvise(mm, a + 4 * PAGE_SIZE, PAGE_SIZE, MADV_GUARD_REMOVE), 0);
	check_all();
	CU_ASSERT_EQUAL(do_munmap(mm, a, 6 * PAGE_SIZE), 0);
}

static void shared_memory(void)
{
	unsigned long a = map(4, RW, MAP_SHARED | MAP_ANONYMOUS);
	s64 rss;

	user_put(mm, a + PAGE_SIZE, 22);
	user_put(mm, a + 2 * PAGE_SIZE, 33);
	/* In the cache, but in no table any more. */
	CU_ASSERT_EQUAL(do_madvise(mm, a + 2 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED), 0);
	rss = mm->rss_shmem;
	CU_ASSERT_EQUAL(dumped(a), -1);
	CU_ASSERT_EQUAL(dumped(a + PAGE_SIZE), 22);
	CU_ASSERT_EQUAL(dumped(a + 2 * PAGE_SIZE), 33);
	CU_ASSERT_EQUAL(dumped(a + 3 * PAGE_SIZE), -1);
	CU_ASSERT_EQUAL(mm->rss_shmem, rss);
	check_all();
	CU_ASSERT_EQUAL(do_munmap(mm, a, 4 * PAGE_SIZE), 0);
}

static void page_out(unsigned long a, unsigned long pages)
{
	for (int i = 0; i < 20 && mm->rss_swap < (s64)pages; i++) {
		CU_ASSERT_EQUAL(do_madvise(mm, a, pages * PAGE_SIZE, MADV_PAGEOUT), 0);
		while (host_disk_complete(disk, 100))
			;
	}
	CU_ASSERT_EQUAL_FATAL(mm->rss_swap, pages);
}

static void swapped_memory(void)
{
	unsigned long a = map(8, RW, PRIVATE);

	for (u64 i = 0; i < 8; i++)
		user_put(mm, a + i * PAGE_SIZE, 100 + i);
	page_out(a, 8);
	CU_ASSERT_EQUAL(do_mprotect(mm, a + 4 * PAGE_SIZE, 4 * PAGE_SIZE, PROT_NONE), 0);
	for (u64 i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(dumped(a + i * PAGE_SIZE), 100 + (s64)i);
	CU_ASSERT_EQUAL(mm->rss_swap, 0);
	check_all();
	CU_ASSERT_EQUAL(do_munmap(mm, a, 8 * PAGE_SIZE), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"private memory", private_memory},
		{"shared memory", shared_memory},
		{"swapped memory", swapped_memory},
	};

	host_boot_default("debug_vm");
	mm_init();
	disk = host_disk_create("swap", 16 * MIB);
	host_disk_mkswap(disk);
	MUST(!do_swapon(&disk->bdev, -1), "swapon");
	mm = mm_alloc();
	return unit_run("mm_dump", cases, ARRAY_SIZE(cases));
}
