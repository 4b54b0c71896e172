/*
 * Mappings of a file, from inside: what faults bring from the disk, what shared writes leave on it,
 * pages that reclaim takes and gives back, and the host's audit while all of that is mapped. The file
 * is the swap disk, after swapoff, through its page cache: no file system's doing is seen here.
 */
#include "mm/cache/filemap.h"
#include "mm/cache/pagecache.h"
#include "mm/virt/vma.h"
#include "tests/tests.h"

#define MEM   "memory=24M,high=4M swap=40M append=page_poison"
#define RW    (PROT_READ | PROT_WRITE)
#define PAGES 256ul

/* The disk, with a word of its own in each of its first pages, none of them in memory. */
static struct address_space *take_file(struct test *t, unsigned long pages)
{
	struct block_device *bdev = find_block_device("swap");
	struct address_space *mapping;

	if (!bdev || do_swapoff(bdev) || !(mapping = bdev_mapping(bdev))) {
		test_fail(t, __FILE__, __LINE__, "no disk to map");
		return NULL;
	}
	for (unsigned long i = 0; i < pages; i++) {
		u64 w = word_for(i, 5);

		if (kernel_file_write(mapping, &w, sizeof(w), i << PAGE_SHIFT) != sizeof(w)) {
			test_fail(t, __FILE__, __LINE__, "page %lu cannot be written", i);
			return NULL;
		}
	}
	CHECK_EQ(filemap_write_and_wait_range(mapping, 0, ~0ull >> 1), 0);
	invalidate_mapping_pages(mapping, 0, ~0ul);
	return mapping;
}

GUEST_TEST(file, faults_bring_what_the_disk_has, 0, 30, MEM)
{
	struct address_space *mapping = take_file(t, PAGES);
	struct mm_struct *mm = testmm_create(t);
	unsigned long at =
		mapping && mm ? testmm_map_file(t, mm, mapping, NULL, MAP_PRIVATE, PAGES) : 0;
	s64 major = ev(PGMAJFAULT), faults = ev(PGFAULT);
	u64 v;

	REQUIRE(at);
	for (unsigned long i = 0; i < PAGES; i++)
		CHECK(!testmm_read(mm, at + i * PAGE_SIZE, &v) && v == word_for(i, 5));
	CHECK(ev(PGMAJFAULT) - major >= 1);
	CHECK(ev(PGMAJFAULT) - major < (s64)PAGES / 8);
	CHECK(ev(PGFAULT) - faults < (s64)PAGES / 2);
	CHECK_EQ(mm->rss_file, PAGES);
	CHECK_EQ(global_stat(NR_FILE_MAPPED), PAGES);
	/* Written: a copy, and the file is as it was. */
	CHECK_EQ(testmm_write(mm, at, 1), 0);
	CHECK_EQ(mm->rss_anon, 1);
	CHECK_EQ(mm->rss_file, PAGES - 1);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(do_madvise(mm, at, PAGE_SIZE, MADV_DONTNEED), 0);
	CHECK(!testmm_read(mm, at, &v) && v == word_for(0, 5));
	CHECK_EQ(global_stat(NR_FILE_DIRTY), 0);
	mmput(mm);
	CHECK_EQ(global_stat(NR_FILE_MAPPED), 0);
}

GUEST_TEST(file, shared_writes_reach_the_disk, 0, 30, MEM)
{
	struct address_space *mapping = take_file(t, PAGES);
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long at =
		mapping && mm ? testmm_map_file(t, mm, mapping, NULL, MAP_SHARED, PAGES) : 0;
	s64 mkwrite = ev(MMVM_FAULT_MKWRITE);
	u64 v;

	REQUIRE(at);
	child = dup_mm(mm);
	REQUIRE(child);
	for (unsigned long i = 0; i < PAGES; i += 2)
		CHECK_EQ(testmm_write(mm, at + i * PAGE_SIZE, word_for(i, 6)), 0);
	CHECK(global_stat(NR_FILE_DIRTY) > 0);
	for (unsigned long i = 0; i < PAGES; i++)
		CHECK(!testmm_read(child, at + i * PAGE_SIZE, &v) &&
		      v == word_for(i, i & 1 ? 5 : 6));
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(filemap_write_and_wait_range(mapping, 0, ~0ull >> 1), 0);
	CHECK_EQ(global_stat(NR_FILE_DIRTY), 0);
	CHECK(!pte_write(testmm_pte(mm, at)));
	CHECK_EQ(testmm_write(child, at, word_for(0, 7)), 0);
	CHECK(ev(MMVM_FAULT_MKWRITE) > mkwrite);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	mmput(child);
	CHECK_EQ(filemap_write_and_wait_range(mapping, 0, ~0ull >> 1), 0);
	/* From the disk again. */
	invalidate_mapping_pages(mapping, 0, ~0ul);
	CHECK_EQ(mapping->nrpages, 0);
	for (unsigned long i = 0; i < PAGES; i++)
		CHECK(kernel_file_read(mapping, &v, 8, i << PAGE_SHIFT) == 8 &&
		      v == word_for(i, i == 0  ? 7
				       : i & 1 ? 5
					       : 6));
}

GUEST_TEST(file, truncated_while_mapped, 0, 30, MEM)
{
	struct address_space *mapping = take_file(t, 32);
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long at = mapping && mm ? testmm_map_file(t, mm, mapping, NULL, MAP_SHARED, 32)
					 : 0,
		      own;
	u64 size, v;

	REQUIRE(at);
	own = testmm_map_file(t, mm, mapping, NULL, MAP_PRIVATE, 32);
	for (unsigned long i = 0; i < 32; i++) {
		CHECK_EQ(testmm_touch(mm, at + i * PAGE_SIZE, i & 1 ? TOUCH_WRITE : TOUCH_READ), 0);
		CHECK_EQ(testmm_touch(mm, own + i * PAGE_SIZE, i & 2 ? TOUCH_WRITE : TOUCH_READ),
			 0);
	}
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(testmm_touch(child, at + 20 * PAGE_SIZE, TOUCH_WRITE), 0);
	size = mapping->size;
	mapping->size = 10 * PAGE_SIZE + 100;
	truncate_pagecache(mapping, mapping->size);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(testmm_read(child, at + 20 * PAGE_SIZE, &v), VM_FAULT_SIGBUS);
	CHECK_EQ(testmm_read(mm, own + 11 * PAGE_SIZE, &v), VM_FAULT_SIGBUS);
	CHECK_EQ(testmm_write(mm, own + 31 * PAGE_SIZE, 1), VM_FAULT_SIGBUS);
	CHECK_EQ(testmm_touch(child, own + 3 * PAGE_SIZE, TOUCH_WRITE), 0);
	CHECK_EQ(testmm_touch(mm, at + 10 * PAGE_SIZE, TOUCH_WRITE), 0);
	mapping->size = size;
	CHECK(!testmm_read(mm, at + 20 * PAGE_SIZE, &v) && v == word_for(20, 5));
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	mmput(child);
}

/* A file larger than memory, read and written through a mapping, beside anonymous memory. */
GUEST_TEST(file, larger_than_memory_through_a_mapping, MMVM_TESTF_LAB_ONLY, 90, MEM)
{
	unsigned long pages = 36 * MIB / PAGE_SIZE, at, own;
	struct address_space *mapping = take_file(t, 0);
	struct mm_struct *mm = testmm_create(t);
	s64 steal = ev(PGSTEAL_FILE), refaults = ev(WORKINGSET_REFAULT_FILE);
	u64 v;

	REQUIRE(mapping && mm);
	at = testmm_map_file(t, mm, mapping, NULL, MAP_SHARED, pages);
	own = testmm_map(t, mm, 4 * MIB);
	REQUIRE(at && own);
	for (unsigned long i = 0; i < 4 * MIB / PAGE_SIZE; i++)
		CHECK_EQ(testmm_write(mm, own + i * PAGE_SIZE, i), 0);
	for (unsigned long i = 0; i < pages; i++)
		CHECK_EQ(testmm_write(mm, at + i * PAGE_SIZE, word_for(i, 9)), 0);
	for (unsigned long i = 0; i < pages; i++)
		CHECK(!testmm_read(mm, at + i * PAGE_SIZE, &v) && v == word_for(i, 9));
	for (unsigned long i = 0; i < 4 * MIB / PAGE_SIZE; i++)
		CHECK(!testmm_read(mm, own + i * PAGE_SIZE, &v) && v == i);
	CHECK(ev(PGSTEAL_FILE) - steal > (s64)pages / 2);
	CHECK(ev(WORKINGSET_REFAULT_FILE) > refaults);
	CHECK_EQ(ev(OOM_KILL), 0);
	memory_settle();
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
}

GUEST_TEST(file, programs_map_files, MMVM_TESTF_USER, 30, "memory=24M,high=4M")
{
	CHECK_EQ(run_program("/bin/mapfile", ""), 0);
	CHECK(stat_becomes(NR_FILE_MAPPED, 0));
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(file, audit_finds_a_page_of_another_place, MMVM_TESTF_EXPECT_AUDIT, 0, MEM)
{
	struct address_space *mapping = take_file(t, 4);
	struct page *page;
	int err;

	REQUIRE(mapping);
	page = read_cache_page(mapping, 2, &err);
	REQUIRE(page);
	page->index = 3;
	put_page(page);
	test_expect_audit(t, "page_cache");
}

GUEST_TEST(file, audit_finds_a_dirty_page_that_is_not_counted, MMVM_TESTF_EXPECT_AUDIT, 0, MEM)
{
	struct address_space *mapping = take_file(t, 4);
	struct page *page;
	int err;

	REQUIRE(mapping);
	page = read_cache_page(mapping, 2, &err);
	REQUIRE(page);
	SetPageDirty(page);
	put_page(page);
	test_expect_audit(t, "vmstat");
}
