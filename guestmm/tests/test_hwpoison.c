/*
 * Pages that are lost (MADV_HWPOISON) and frames that are withdrawn (MADV_SOFT_OFFLINE). Each case is audited from
 * outside: a frame of type hwpoison that came back would be found.
 */
#include "fs/internal.h"
#include "mm/block/bio.h"
#include "mm/huge/thp.h"
#include "mm/move/memory_failure.h"
#include "mm/swap/swapcache.h"
#include "tests/make_ext2.h"
#include "tests/tests.h"

#define MEM   "memory=64M swap=64M"
#define DISK  "memory=64M disk=16M"
#define PAGES 16

static unsigned int faults_so(struct mm_struct *mm, unsigned long a, unsigned int with)
{
	unsigned int n = 0;
	u64 v;

	for (unsigned long i = 0; i < PAGES; i++)
		n += testmm_read(mm, a + i * PAGE_SIZE, &v) == with;
	return n;
}

GUEST_TEST(hwpoison, what_is_lost_is_refused_and_never_comes_back, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE), pfn;
	u64 v = 0;

	testmm_fill(t, mm, a, PAGES, 1);
	child = dup_mm(mm);
	REQUIRE(child);
	pfn = pte_pfn(testmm_pte(mm, a + 2 * PAGE_SIZE));
	CHECK_EQ(do_madvise(mm, a + 2 * PAGE_SIZE, 3 * PAGE_SIZE, MADV_HWPOISON), 0);
	CHECK_EQ(num_poisoned_pages, 3);
	CHECK_EQ(pfn_to_page(pfn)->type, PAGE_HWPOISON);
	CHECK_EQ(faults_so(mm, a, VM_FAULT_HWPOISON), 3);
	CHECK_EQ(faults_so(child, a, VM_FAULT_HWPOISON), 3); /* it had the same pages */
	CHECK_EQ(testmm_write(mm, a + 2 * PAGE_SIZE, 1), VM_FAULT_HWPOISON);
	CHECK_EQ(mm->rss_anon, PAGES - 3);
	CHECK_EQ(child->rss_anon, PAGES - 3);
	CHECK_EQ(settled_audit(), 0);
	/* Once more: nothing is there that could be lost. */
	CHECK_EQ(do_madvise(mm, a + 2 * PAGE_SIZE, PAGE_SIZE, MADV_HWPOISON), -EFAULT);
	/* A grandchild inherits the loss; what is thrown away is empty memory. */
	mmput(child);
	child = dup_mm(mm);
	REQUIRE(child);
	CHECK_EQ(faults_so(child, a, VM_FAULT_HWPOISON), 3);
	CHECK_EQ(do_madvise(child, a, PAGES * PAGE_SIZE, MADV_GUARD_REMOVE), 0);
	CHECK_EQ(faults_so(child, a, VM_FAULT_HWPOISON), 3);
	CHECK_EQ(do_madvise(child, a + 2 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED), 0);
	CHECK_EQ(testmm_read(child, a + 2 * PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(faults_so(mm, a, VM_FAULT_HWPOISON), 3);
	mmput(child);
	mmput(mm);
	CHECK_EQ(num_poisoned_pages, 3);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(hwpoison, soft_offline_moves_the_page_away, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE), pfn[PAGES];

	testmm_fill(t, mm, a, PAGES, 1);
	child = dup_mm(mm);
	REQUIRE(child);
	for (unsigned long i = 0; i < PAGES; i++)
		pfn[i] = pte_pfn(testmm_pte(mm, a + i * PAGE_SIZE));
	CHECK_EQ(do_madvise(mm, a, PAGES * PAGE_SIZE, MADV_SOFT_OFFLINE), 0);
	CHECK_EQ(num_poisoned_pages, PAGES);
	testmm_verify(t, mm, a, PAGES, 1);
	testmm_verify(t, child, a, PAGES, 1);
	for (unsigned long i = 0; i < PAGES; i++) {
		CHECK(pte_pfn(testmm_pte(mm, a + i * PAGE_SIZE)) != pfn[i]);
		CHECK_EQ(pfn_to_page(pfn[i])->type, PAGE_HWPOISON);
		CHECK_EQ(page_ref_count(pfn_to_page(pfn[i])), 1);
	}
	mmput(child);
	mmput(mm);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(hwpoison, swap_and_huge_pages, 0, 0, MEM " append=transparent_hugepage=always")
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, 2 * PMD_SIZE), h = (a + PMD_SIZE - 1) & PMD_MASK;
	u64 v;

	testmm_fill(t, mm, h, 512, 1);
	CHECK_EQ(testmm_level(mm, h), PT_LEVEL_PMD);
	/* A part of a huge page: the rest stays. */
	CHECK_EQ(do_madvise(mm, h + 7 * PAGE_SIZE, PAGE_SIZE, MADV_HWPOISON), 0);
	CHECK_EQ(testmm_read(mm, h + 7 * PAGE_SIZE, &v), VM_FAULT_HWPOISON);
	testmm_verify(t, mm, h, 7, 1);
	testmm_verify(t, mm, h + 8 * PAGE_SIZE, 504, 1);
	CHECK_EQ(do_madvise(mm, h, 4 * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK(mm->rss_swap > 0);
	CHECK_EQ(do_madvise(mm, h, 4 * PAGE_SIZE, MADV_SOFT_OFFLINE), 0);
	testmm_verify(t, mm, h, 7, 1);
	CHECK_EQ(num_poisoned_pages, 5);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(hwpoison, what_is_locked_is_lost_and_counted_no_more, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE);
	u64 v = 0;

	CHECK_EQ(do_madvise(mm, a, PAGE_SIZE, MADV_HWPOISON), -EBUSY); /* the zero page */
	CHECK_EQ(do_madvise(mm, TASK_SIZE - PAGE_SIZE, PAGE_SIZE, MADV_HWPOISON), -EFAULT);
	CHECK_EQ(do_mlock(mm, a, 4 * PAGE_SIZE, 0), 0);
	CHECK_EQ(global_stat(NR_MLOCK), 4);
	CHECK_EQ(do_madvise(mm, a + PAGE_SIZE, PAGE_SIZE, MADV_HWPOISON), 0);
	CHECK_EQ(global_stat(NR_MLOCK), 3);
	CHECK_EQ(testmm_read(mm, a + PAGE_SIZE, &v), VM_FAULT_HWPOISON);
	CHECK_EQ(num_poisoned_pages, 1);
	CHECK_EQ(settled_audit(), 0);
	mmput(mm);
	CHECK_EQ(global_stat(NR_MLOCK), 0);
	CHECK_EQ(settled_audit(), 0);
}

/* A word of its own at the beginning of each page. */
static struct file *file_of_words(struct test *t, const char *name)
{
	struct file *f = make_file(t, name);

	for (u32 i = 0; f && i < PAGES; i++) {
		u64 w = word_for(i, 9);

		down_write(&f->inode->lock);
		CHECK_EQ(kernel_file_write(f->mapping, &w, sizeof(w), (u64)i << PAGE_SHIFT), 8);
		up_write(&f->inode->lock);
	}
	lru_add_drain_all();
	return f;
}

static u64 word_in_file(struct file *f, u32 i)
{
	u64 w = 0;

	return kernel_file_read(f->mapping, &w, sizeof(w), (u64)i << PAGE_SHIFT) == 8 ? w : 0;
}

GUEST_TEST(hwpoison, a_clean_page_of_a_file_is_read_again, 0, 0, DISK)
{
	struct mm_struct *mm = testmm_create(t), *child;
	struct block_device *bdev = find_block_device("disk0");
	unsigned long a, private;
	struct file *f;
	u64 v = 0;
	s64 read;

	dirty_writeback_centisecs = 0;
	REQUIRE(bdev && !make_ext2(bdev, 16 * 256));
	vfs_mkdir(AT_FDCWD, "/mnt", 0755);
	CHECK_EQ(vfs_mount("ext2", bdev->name, "/mnt", 0, ""), 0);
	f = file_of_words(t, "/mnt/file");
	REQUIRE(f);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull), 0);
	a = testmm_map_file(t, mm, f->mapping, f, MAP_SHARED, PAGES);
	private = testmm_map_file(t, mm, f->mapping, f, MAP_PRIVATE, PAGES);
	child = dup_mm(mm);
	REQUIRE(a && private && child);
	for (u32 i = 0; i < PAGES; i++)
		CHECK(!testmm_read(mm, a + i * PAGE_SIZE, &v) &&
		      !testmm_read(child, private + i * PAGE_SIZE, &v));
	CHECK_EQ(mm->rss_file, PAGES);
	read = ev(PGPGIN);
	CHECK_EQ(do_madvise(mm, a, 2 * PAGE_SIZE, MADV_HWPOISON), 0);
	CHECK_EQ(num_poisoned_pages, 2);
	CHECK_EQ(f->mapping->nrpages, PAGES - 2);
	CHECK_EQ(mm->rss_file, PAGES - 2);
	CHECK_EQ(child->rss_file, PAGES - 2);
	for (u32 i = 0; i < PAGES; i++) {
		CHECK(!(testmm_read(mm, a + i * PAGE_SIZE, &v) & VM_FAULT_ERROR));
		CHECK_EQ(v, word_for(i, 9));
		CHECK(!(testmm_read(child, private + i * PAGE_SIZE, &v) & VM_FAULT_ERROR));
		CHECK_EQ(v, word_for(i, 9));
	}
	CHECK(ev(PGPGIN) - read >= 8); /* in KiB: from the disk */
	CHECK_EQ(vfs_fsync(f, 0, ~0ull), 0);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	mmput(mm);
	file_put(f);
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
	CHECK_EQ(num_poisoned_pages, 2);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(hwpoison, a_dirty_page_of_a_file_is_lost_and_reported, 0, 0, DISK)
{
	struct mm_struct *mm = testmm_create(t), *child;
	struct block_device *bdev = find_block_device("disk0");
	unsigned long a, private;
	struct file *f;
	u64 v = 0;

	dirty_writeback_centisecs = 0;
	REQUIRE(bdev && !make_ext2(bdev, 16 * 256));
	vfs_mkdir(AT_FDCWD, "/mnt", 0755);
	CHECK_EQ(vfs_mount("ext2", bdev->name, "/mnt", 0, ""), 0);
	f = file_of_words(t, "/mnt/file");
	REQUIRE(f);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull), 0);
	a = testmm_map_file(t, mm, f->mapping, f, MAP_SHARED, PAGES);
	private = testmm_map_file(t, mm, f->mapping, f, MAP_PRIVATE, PAGES);
	child = dup_mm(mm);
	REQUIRE(a && private && child);
	/* One is dirty only in a page table, one only in the cache. */
	CHECK_EQ(testmm_write(mm, a + 2 * PAGE_SIZE, 7) & VM_FAULT_ERROR, 0);
	v = 8;
	down_write(&f->inode->lock);
	CHECK_EQ(kernel_file_write(f->mapping, &v, sizeof(v), 3 << PAGE_SHIFT), 8);
	up_write(&f->inode->lock);
	for (u32 i = 0; i < PAGES; i++)
		CHECK(!(testmm_read(child, private + i * PAGE_SIZE, &v) & VM_FAULT_ERROR));
	lru_add_drain_all();
	CHECK_EQ(do_madvise(child, private + 2 * PAGE_SIZE, 2 * PAGE_SIZE, MADV_HWPOISON), 0);
	CHECK_EQ(num_poisoned_pages, 2);
	CHECK_EQ(global_stat(NR_FILE_DIRTY), 0);
	/* Who had it mapped has lost it; the file has what is on the disk. */
	CHECK_EQ(testmm_read(mm, a + 2 * PAGE_SIZE, &v), VM_FAULT_HWPOISON);
	CHECK_EQ(testmm_read(child, private + 2 * PAGE_SIZE, &v), VM_FAULT_HWPOISON);
	CHECK_EQ(testmm_write(child, private + 3 * PAGE_SIZE, 1), VM_FAULT_HWPOISON);
	CHECK_EQ(word_in_file(f, 2), word_for(2, 9));
	CHECK_EQ(word_in_file(f, 3), word_for(3, 9));
	CHECK_EQ(vfs_fsync(f, 0, ~0ull), -EIO);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull), 0);
	CHECK_EQ(settled_audit(), 0);
	/* Thrown away, the address has the file's page again. */
	CHECK_EQ(do_madvise(mm, a + 2 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED), 0);
	CHECK_EQ(testmm_read(mm, a + 2 * PAGE_SIZE, &v) & VM_FAULT_ERROR, 0);
	CHECK_EQ(v, word_for(2, 9));
	mmput(child);
	mmput(mm);
	file_put(f);
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(hwpoison, shared_memory_is_lost_until_it_is_truncated, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	struct file *f = file_of_words(t, "/lost");
	unsigned long a, private;
	s64 before, promised;
	char *buf = kmalloc(4 * PAGE_SIZE, GFP_KERNEL);
	u64 v = 0;

	REQUIRE(f && buf);
	a = testmm_map_file(t, mm, f->mapping, f, MAP_SHARED, PAGES);
	private = testmm_map_file(t, mm, f->mapping, f, MAP_PRIVATE, PAGES);
	child = dup_mm(mm);
	REQUIRE(a && private && child);
	for (u32 i = 0; i < PAGES; i++)
		CHECK(!testmm_read(mm, a + i * PAGE_SIZE, &v) &&
		      !testmm_read(child, private + i * PAGE_SIZE, &v));
	before = global_stat(NR_SHMEM);
	promised = vm_committed();
	CHECK_EQ(do_madvise(mm, a + PAGE_SIZE, 2 * PAGE_SIZE, MADV_HWPOISON), 0);
	CHECK_EQ(num_poisoned_pages, 2);
	CHECK_EQ(global_stat(NR_SHMEM), before - 2);
	CHECK_EQ(vm_committed(), promised);
	CHECK_EQ(f->mapping->nrvalues, 2);
	CHECK_EQ(faults_so(mm, a, VM_FAULT_HWPOISON), 2); /* which had it */
	CHECK_EQ(faults_so(child, private, VM_FAULT_HWPOISON), 2);
	CHECK_EQ(faults_so(child, a, VM_FAULT_HWPOISON), 2); /* which ask the file */
	CHECK_EQ(faults_so(mm, private, VM_FAULT_HWPOISON), 2);
	CHECK_EQ(testmm_write(child, a + PAGE_SIZE, 1), VM_FAULT_HWPOISON);
	CHECK_EQ(testmm_write(mm, private + PAGE_SIZE, 1), VM_FAULT_HWPOISON);
	CHECK_EQ(do_madvise(mm, a + PAGE_SIZE, PAGE_SIZE, MADV_HWPOISON), -EFAULT);
	CHECK_EQ(kernel_file_read(f->mapping, buf, 4 * PAGE_SIZE, 0), PAGE_SIZE);
	CHECK_EQ(kernel_file_read(f->mapping, buf, PAGE_SIZE, PAGE_SIZE), -EIO);
	down_write(&f->inode->lock);
	CHECK_EQ(kernel_file_write(f->mapping, &v, sizeof(v), 2 << PAGE_SHIFT), -EIO);
	up_write(&f->inode->lock);
	CHECK_EQ(settled_audit(), 0);
	/* It is in no swap area, and does not keep one. */
	CHECK_EQ(do_madvise(mm, a + 8 * PAGE_SIZE, 4 * PAGE_SIZE, MADV_PAGEOUT), 0);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(do_swapoff(find_block_device("swap")), 0);
	CHECK_EQ(f->mapping->nrvalues, 2);
	/* A file that ends within the page keeps it; one that ended before it has a new one. */
	CHECK_EQ(vfs_truncate(f->inode, PAGE_SIZE + 8), 0);
	CHECK_EQ(f->mapping->nrvalues, 1);
	CHECK_EQ(testmm_read(child, a + PAGE_SIZE, &v), VM_FAULT_HWPOISON);
	CHECK_EQ(vfs_truncate(f->inode, 0), 0);
	CHECK_EQ(f->mapping->nrvalues, 0);
	CHECK_EQ(vfs_truncate(f->inode, PAGES * PAGE_SIZE), 0);
	CHECK_EQ(testmm_read(mm, a + PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(testmm_read(child, private + 2 * PAGE_SIZE, &v), 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(num_poisoned_pages, 2);
	mmput(child);
	mmput(mm);
	file_put(f);
	kfree(buf);
	CHECK_EQ(settled_audit(), 0);
}

/* Nobody but its mappings has it. Its last page is lost, so that no page of the object names it. */
GUEST_TEST(hwpoison, an_object_of_lost_pages_ends_with_its_mappings, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t), *child;
	long a = do_mmap(mm, 0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 0);
	u64 v = 0;

	CHECK_EQ(testmm_write(mm, a, 5), 0);
	CHECK_EQ(testmm_write(mm, a + PAGE_SIZE, 5), 0);
	CHECK_EQ(do_madvise(mm, a, PAGE_SIZE, MADV_SOFT_OFFLINE), 0);
	CHECK_EQ(testmm_read(mm, a, &v), 0);
	CHECK_EQ(v, 5);
	CHECK_EQ(do_madvise(mm, a, 2 * PAGE_SIZE, MADV_HWPOISON), 0);
	CHECK_EQ(num_poisoned_pages, 3);
	CHECK_EQ(global_stat(NR_SHMEM), 0);
	CHECK_EQ(mm->rss_shmem, 0);
	child = dup_mm(mm);
	REQUIRE(child);
	mmput(mm);
	CHECK_EQ(testmm_read(child, a + PAGE_SIZE, &v), VM_FAULT_HWPOISON);
	CHECK_EQ(settled_audit(), 0);
	mmput(child);
	CHECK_EQ(vm_committed(), 0);
	CHECK_EQ(settled_audit(), 0);
}

GUEST_TEST(hwpoison, one_that_is_used_again_is_found, MMVM_TESTF_EXPECT_AUDIT, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	unsigned long a = testmm_map(t, mm, PAGES * PAGE_SIZE);
	struct page *page;

	testmm_fill(t, mm, a, 1, 1);
	page = pfn_to_page(pte_pfn(testmm_pte(mm, a)));
	CHECK_EQ(do_madvise(mm, a, PAGE_SIZE, MADV_SOFT_OFFLINE), 0);
	get_page(page);
	test_expect_audit(t, "hwpoison");
}

GUEST_TEST(hwpoison, one_that_gets_free_is_found, MMVM_TESTF_EXPECT_AUDIT, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	long a = do_mmap(mm, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, 0);
	struct page *page;

	CHECK_EQ(testmm_write(mm, a, 5), 0);
	page = pfn_to_page(pte_pfn(testmm_pte(mm, a)));
	CHECK_EQ(do_madvise(mm, a, PAGE_SIZE, MADV_HWPOISON), 0);
	release_page(page);
	CHECK(page->type == PAGE_BUDDY || page->type == PAGE_PCP);
	test_expect_audit(t, "hwpoison");
}
