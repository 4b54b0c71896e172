/*
 * A file of the host as memory (virtio-pmem), and files of an ext2 that is mounted from it with dax: mapped where
 * they lie, private copies, holes, truncation, flushes. The host looks at all of it afterwards (vmm/observe/audit_pmem.c).
 */
#include "fs/internal.h"
#include "mm/block/bio.h"
#include "mm/cache/dax.h"
#include "mm/memcg/memcg.h"
#include "mm/phys/device.h"
#include "mm/fault/fault.h"
#include "mm/pgtable/pgtable.h"
#include "mm/fault/remote.h"
#include "tests/make_ext2.h"
#include "tests/tests.h"

#define MEM    "memory=24M,high=8M pmem=8M"
#define BLOCKS (8u * 256)
#define RW     (PROT_READ | PROT_WRITE)

static struct block_device *pmem(struct test *t)
{
	struct block_device *bdev = find_block_device("pmem0");

	if (!bdev || !bdev->dax)
		test_fail(t, __FILE__, __LINE__, "no pmem0");
	return bdev;
}

static bool mount_dax(struct test *t, const char *options)
{
	struct block_device *bdev = pmem(t);

	if (!bdev)
		return false;
	CHECK_EQ(make_ext2(bdev, BLOCKS), 0);
	vfs_mkdir(AT_FDCWD, "/mnt", 0755);
	CHECK_EQ(vfs_mount("ext2", "pmem0", "/mnt", 0, options), 0);
	return true;
}

static long file_write(struct file *f, const void *buf, size_t len, u64 pos)
{
	long n;

	down_write(&f->inode->lock);
	n = kernel_file_write(f->mapping, buf, len, pos);
	up_write(&f->inode->lock);
	return n;
}

/* A word at the beginning of each page. */
static void write_words(struct test *t, struct file *f, unsigned long pages, u64 seed)
{
	for (unsigned long i = 0; i < pages; i++) {
		u64 w[2] = {word_for(i, seed), 0};

		CHECK_EQ(file_write(f, w, sizeof(w), i << PAGE_SHIFT), sizeof(w));
	}
}

static u64 file_word(struct file *f, unsigned long index)
{
	u64 w = ~0ull;

	return kernel_file_read(f->mapping, &w, sizeof(w), index << PAGE_SHIFT) == sizeof(w)
		       ? w
		       : ~0ull;
}

static bool devmap(struct mm_struct *mm, unsigned long addr)
{
	pte_t e = testmm_pte(mm, addr);

	return pte_present(e) && pte_devmap(e) && pte_special(e) && pfn_is_device(pte_pfn(e));
}

/* The whole of a test with a dax mount: MNT and F are there in between. */
struct rig {
	struct file *f;
	struct mm_struct *mm;
};

static bool rig_up(struct test *t, struct rig *r, unsigned long pages)
{
	*r = (struct rig){0};
	if (!mount_dax(t, "dax"))
		return false;
	r->f = make_file(t, "/mnt/file");
	r->mm = testmm_create(t);
	if (!r->f || !r->mm)
		return false;
	write_words(t, r->f, pages, 1);
	return true;
}

static unsigned long map(struct test *t, struct rig *r, int flags, unsigned long pages)
{
	return r->f && r->mm ? testmm_map_file(t, r->mm, r->f->mapping, r->f, flags, pages) : 0;
}

/* The rig with a file of `pages` words that is mapped. 0: the test has failed. */
static unsigned long rig_map(struct test *t, struct rig *r, int flags, unsigned long pages)
{
	return rig_up(t, r, pages) ? map(t, r, flags, pages) : 0;
}

static void rig_down(struct test *t, struct rig *r)
{
	if (r->mm)
		mmput(r->mm);
	file_put(r->f);
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
}

GUEST_TEST(pmem, the_range_is_memory_and_no_ram, 0, 0, MEM)
{
	struct block_device *bdev = pmem(t);
	u64 free = settled_free_pages();
	unsigned long first;
	u64 *word;

	REQUIRE(bdev);
	first = page_to_pfn(bdev->dax);
	CHECK_EQ(bdev->nr_sectors, 8 * MIB / 512);
	CHECK_EQ(nr_device_ranges, 1);
	CHECK(pfn_is_device(first) && pfn_is_device(first + BLOCKS - 1));
	CHECK(!pfn_is_device(first - 1) && !pfn_is_device(first + BLOCKS));
	CHECK(!pfn_valid(first));
	CHECK(totalram_pages() <= 32 * MIB / PAGE_SIZE);
	for (unsigned int i = 0; i < nr_zones; i++)
		CHECK(zone_table[i]->start_pfn + zone_table[i]->spanned <= first);
	for (unsigned long i = 0; i < BLOCKS; i++) {
		struct page *p = bdev->dax + i;

		if (p->type != PAGE_DEVICE || p->refcount != 1 || p->mapcount != -1)
			test_fail(t, __FILE__, __LINE__, "page %lu", i);
	}
	word = page_address(bdev->dax + BLOCKS - 1);
	CHECK_EQ(*word, 0);
	*word = 0x1234;
	CHECK_EQ(*word, 0x1234);
	CHECK_EQ(device_memory_add((phys_addr_t)first << PAGE_SHIFT, MMVM_PMEM_UNIT), -EINVAL);
	CHECK_EQ(device_memory_add(0, MMVM_PMEM_UNIT), -EINVAL);
	CHECK_EQ(device_memory_add(1ull << 40, 4096), -EINVAL);
	CHECK_EQ(settled_free_pages(), free);
}

GUEST_TEST(pmem, requests_are_copies, 0, 0, MEM)
{
	struct block_device *bdev = pmem(t);
	struct page *a = alloc_page(GFP_KERNEL), *b = alloc_page(GFP_KERNEL);
	struct bio bio = {.bdev = bdev, .op = BIO_WRITE, .sector = 16, .nr_pages = 2};
	s64 in = ev(MMVM_PMEM_IN), out = ev(MMVM_PMEM_OUT);

	REQUIRE(bdev && a && b);
	memset(page_address(a), 0xa5, PAGE_SIZE);
	memset(page_address(b), 0x5b, PAGE_SIZE);
	bio.pages[0] = a;
	bio.pages[1] = b;
	CHECK_EQ(submit_bio_wait(&bio), 0);
	CHECK(!memcmp(page_address(bdev->dax + 2), page_address(a), PAGE_SIZE));
	CHECK(!memcmp(page_address(bdev->dax + 3), page_address(b), PAGE_SIZE));
	CHECK_EQ(*(u8 *)page_address(bdev->dax + 4), 0);
	/* One sector in the middle of a page. */
	memset(page_address(bdev->dax + 5), 0x77, PAGE_SIZE);
	bio = (struct bio){.bdev = bdev,
			   .op = BIO_READ,
			   .sector = 41,
			   .nr_pages = 1,
			   .offset = 1024,
			   .len = 512};
	bio.pages[0] = a;
	CHECK_EQ(submit_bio_wait(&bio), 0);
	CHECK_EQ(*((u8 *)page_address(a) + 1023), 0xa5);
	CHECK_EQ(*((u8 *)page_address(a) + 1024), 0x77);
	CHECK_EQ(*((u8 *)page_address(a) + 1535), 0x77);
	CHECK_EQ(*((u8 *)page_address(a) + 1536), 0xa5);
	CHECK_EQ(ev(MMVM_PMEM_OUT) - out, 8);
	CHECK_EQ(ev(MMVM_PMEM_IN) - in, 1);
	/* Beyond the end; what it has not. */
	bio.sector = bdev->nr_sectors;
	CHECK_EQ(submit_bio_wait(&bio), -EIO);
	bio = (struct bio){.bdev = bdev, .op = BIO_DISCARD, .nr_sectors = 8};
	CHECK_EQ(submit_bio_wait(&bio), -EOPNOTSUPP);
	__free_page(a);
	__free_page(b);
}

static int flush_many(void *bdev)
{
	int err = 0;

	for (int i = 0; i < 20 && !err; i++) {
		struct bio bio = {.bdev = bdev, .op = BIO_FLUSH};

		err = submit_bio_wait(&bio);
	}
	return err;
}

GUEST_TEST(pmem, flushes_are_answered, 0, 0, MEM)
{
	struct block_device *bdev = pmem(t);
	s64 before = ev(MMVM_PMEM_FLUSH);

	REQUIRE(bdev);
	CHECK_EQ(flush_many(bdev), 0);
	CHECK_EQ(ev(MMVM_PMEM_FLUSH) - before, 20);
	CHECK_EQ(device_flush_issued, device_flush_done);
	CHECK_EQ(ev(MMVM_PMEM_FLUSH_FAIL), 0);
}

GUEST_TEST(pmem, files_are_read_and_written_in_place, 0, 0, MEM)
{
	struct rig r;
	struct page *page;
	u8 buf[100];

	REQUIRE(rig_up(t, &r, 20)); /* indirect blocks, too */
	CHECK(mapping_is_dax(r.f->mapping));
	CHECK_EQ(r.f->mapping->nrpages, 0);
	CHECK_EQ(dax_find(r.f->mapping, 19, &page), 0);
	REQUIRE(page && pfn_is_device(page_to_pfn(page)));
	CHECK_EQ(*(u64 *)page_address(page), word_for(19, 1));
	for (unsigned long i = 0; i < 20; i++)
		CHECK_EQ(file_word(r.f, i), word_for(i, 1));
	/* Over the seam of two pages, and what lies there is what is read. */
	memset(buf, 0x3c, sizeof(buf));
	CHECK_EQ(file_write(r.f, buf, sizeof(buf), PAGE_SIZE - 50), sizeof(buf));
	CHECK_EQ(dax_find(r.f->mapping, 0, &page), 0);
	CHECK_EQ(*((u8 *)page_address(page) + PAGE_SIZE - 1), 0x3c);
	CHECK_EQ(file_word(r.f, 1) & 0xff, 0x3c);
	*((u8 *)page_address(page) + PAGE_SIZE - 1) = 0x3d;
	CHECK_EQ(kernel_file_read(r.f->mapping, buf, 1, PAGE_SIZE - 1), 1);
	CHECK_EQ(buf[0], 0x3d);
	CHECK_EQ(r.f->mapping->nrpages, 0);
	rig_down(t, &r);
}

GUEST_TEST(pmem, a_shared_mapping_maps_the_frames, 0, 0, MEM)
{
	s64 faults = ev(MMVM_FAULT_DAX);
	struct page *page;
	unsigned long at;
	struct rig r;
	u64 v;

	at = rig_map(t, &r, MAP_SHARED, 16);
	REQUIRE(at);
	for (unsigned long i = 0; i < 16; i++)
		CHECK(!testmm_read(r.mm, at + i * PAGE_SIZE, &v) && v == word_for(i, 1));
	CHECK_EQ(ev(MMVM_FAULT_DAX) - faults, 16);
	CHECK_EQ(dax_find(r.f->mapping, 3, &page), 0);
	CHECK(devmap(r.mm, at + 3 * PAGE_SIZE));
	CHECK_EQ(pte_pfn(testmm_pte(r.mm, at + 3 * PAGE_SIZE)), page_to_pfn(page));
	CHECK(!pte_write(testmm_pte(r.mm, at + 3 * PAGE_SIZE)));
	CHECK(page->mapping == r.f->mapping && page->index == 3);
	CHECK(!PageDirty(page));
	/* A store is in the file at once, and in no rss. */
	CHECK_EQ(testmm_write(r.mm, at + 3 * PAGE_SIZE, 77), 0);
	CHECK(pte_write(testmm_pte(r.mm, at + 3 * PAGE_SIZE)));
	CHECK(PageDirty(page));
	CHECK_EQ(*(u64 *)page_address(page), 77);
	CHECK_EQ(file_word(r.f, 3), 77);
	CHECK_EQ(page_ref_count(page), 1);
	CHECK_EQ(page_mapcount(page), 0);
	CHECK_EQ(mm_rss(r.mm), 0);
	CHECK_EQ(r.f->mapping->nrpages, 0);
	/* And the other way round. */
	write_words(t, r.f, 16, 2);
	CHECK(!testmm_read(r.mm, at + 3 * PAGE_SIZE, &v) && v == word_for(3, 2));
	rig_down(t, &r);
}

GUEST_TEST(pmem, fsync_takes_the_right_to_write_and_flushes, 0, 0, MEM)
{
	unsigned long at, other;
	struct page *page;
	struct rig r;
	s64 flushes;

	at = rig_map(t, &r, MAP_SHARED, 4);
	other = map(t, &r, MAP_SHARED, 4);
	REQUIRE(at && other);
	CHECK_EQ(testmm_write(r.mm, at, 5), 0);
	CHECK_EQ(testmm_write(r.mm, other, 6), 0);
	CHECK_EQ(testmm_write(r.mm, at + PAGE_SIZE, 7), 0);
	CHECK_EQ(dax_find(r.f->mapping, 0, &page), 0);
	flushes = ev(MMVM_PMEM_FLUSH);
	CHECK_EQ(vfs_fsync(r.f, 0, ~0ull), 0);
	CHECK(ev(MMVM_PMEM_FLUSH) > flushes);
	CHECK(!PageDirty(page));
	CHECK(devmap(r.mm, at) && !pte_write(testmm_pte(r.mm, at)));
	CHECK(!pte_write(testmm_pte(r.mm, other)) && !pte_dirty(testmm_pte(r.mm, other)));
	CHECK(!pte_write(testmm_pte(r.mm, at + PAGE_SIZE)));
	/* The next store is noticed. */
	CHECK_EQ(testmm_write(r.mm, other, 8), 0);
	CHECK(PageDirty(page) && pte_write(testmm_pte(r.mm, other)));
	CHECK(!pte_write(testmm_pte(r.mm, at)));
	CHECK_EQ(file_word(r.f, 0), 8);
	/* msync(2) is the same for the mapping. */
	flushes = ev(MMVM_PMEM_FLUSH);
	CHECK_EQ(do_msync(r.mm, other, PAGE_SIZE, MS_SYNC), 0);
	CHECK(ev(MMVM_PMEM_FLUSH) > flushes);
	CHECK(!PageDirty(page) && !pte_write(testmm_pte(r.mm, other)));
	rig_down(t, &r);
}

GUEST_TEST(pmem, a_private_mapping_copies, 0, 0, MEM)
{
	s64 cow = ev(MMVM_FAULT_COW);
	unsigned long at;
	struct rig r;
	u64 v;

	at = rig_map(t, &r, MAP_PRIVATE, 4);
	REQUIRE(at);
	CHECK(!testmm_read(r.mm, at, &v) && v == word_for(0, 1));
	CHECK(devmap(r.mm, at));
	CHECK_EQ(testmm_write(r.mm, at, 9), 0);		     /* after a read */
	CHECK_EQ(testmm_write(r.mm, at + PAGE_SIZE, 10), 0); /* at once */
	CHECK_EQ(ev(MMVM_FAULT_COW) - cow, 2);
	CHECK(!devmap(r.mm, at) && !devmap(r.mm, at + PAGE_SIZE));
	CHECK(PageAnon(testmm_page(r.mm, at)));
	CHECK_EQ(r.mm->rss_anon, 2);
	CHECK(!testmm_read(r.mm, at + 8, &v) && v == 0); /* the rest came along */
	CHECK_EQ(file_word(r.f, 0), word_for(0, 1));
	CHECK_EQ(file_word(r.f, 1), word_for(1, 1));
	/* What is not copied shows the file. */
	write_words(t, r.f, 4, 3);
	CHECK(!testmm_read(r.mm, at, &v) && v == 9);
	CHECK(!testmm_read(r.mm, at + 2 * PAGE_SIZE, &v) && v == word_for(2, 3));
	/* Given back, it is the file's again. */
	CHECK_EQ(do_madvise(r.mm, at, PAGE_SIZE, MADV_DONTNEED), 0);
	CHECK(!testmm_read(r.mm, at, &v) && v == word_for(0, 3));
	rig_down(t, &r);
}

GUEST_TEST(pmem, fork_shares_frames_and_copies, 0, 0, MEM)
{
	struct mm_struct *child;
	unsigned long at;
	struct rig r;
	u64 v;

	at = rig_map(t, &r, MAP_PRIVATE, 4);
	REQUIRE(at);
	CHECK_EQ(testmm_write(r.mm, at, 11), 0);
	CHECK(!testmm_read(r.mm, at + PAGE_SIZE, &v));
	child = dup_mm(r.mm);
	REQUIRE(child);
	CHECK(devmap(child, at + PAGE_SIZE));
	CHECK(!testmm_read(child, at, &v) && v == 11);
	CHECK_EQ(testmm_write(child, at, 12), 0);
	CHECK_EQ(testmm_write(child, at + PAGE_SIZE, 13), 0);
	CHECK(!testmm_read(r.mm, at, &v) && v == 11);
	CHECK(!testmm_read(r.mm, at + PAGE_SIZE, &v) && v == word_for(1, 1));
	CHECK_EQ(child->rss_anon, 2);
	mmput(child);
	rig_down(t, &r);
}

GUEST_TEST(pmem, holes_are_zero_pages_until_they_are_filled, 0, 0, MEM)
{
	unsigned long at, other, private;
	struct page *page;
	struct rig r;
	u64 v, blocks;

	REQUIRE(rig_up(t, &r, 1));
	CHECK_EQ(vfs_truncate(r.f->inode, 8 * PAGE_SIZE), 0);
	blocks = r.f->inode->blocks;
	at = map(t, &r, MAP_SHARED, 8);
	other = map(t, &r, MAP_SHARED, 8);
	private = map(t, &r, MAP_PRIVATE, 8);
	REQUIRE(at && other && private);
	for (unsigned long i = 1; i < 4; i++) {
		CHECK(!testmm_read(r.mm, at + i * PAGE_SIZE, &v) && !v);
		CHECK(!testmm_read(r.mm, other + i * PAGE_SIZE, &v) && !v);
		CHECK(!testmm_read(r.mm, private + i * PAGE_SIZE, &v) && !v);
		CHECK(testmm_page(r.mm, at + i * PAGE_SIZE) == zero_page);
	}
	CHECK_EQ(r.f->inode->blocks, blocks);
	/* Filled by a store, after it was read and before. */
	CHECK_EQ(testmm_write(r.mm, at + 2 * PAGE_SIZE, 21), 0);
	CHECK_EQ(testmm_write(r.mm, at + 5 * PAGE_SIZE, 22), 0);
	CHECK_EQ(r.f->inode->blocks, blocks + 2 * PAGE_SIZE / 512);
	CHECK(pte_none(testmm_pte(r.mm, other + 2 * PAGE_SIZE)));
	CHECK(pte_none(testmm_pte(r.mm, private + 2 * PAGE_SIZE)));
	CHECK(!testmm_read(r.mm, other + 2 * PAGE_SIZE, &v) && v == 21);
	CHECK(!testmm_read(r.mm, private + 2 * PAGE_SIZE, &v) && v == 21);
	CHECK(testmm_page(r.mm, other + PAGE_SIZE) == zero_page);
	CHECK_EQ(file_word(r.f, 5), 22);
	CHECK_EQ(file_word(r.f, 6), 0);
	/* And by write(2). */
	v = 23;
	CHECK_EQ(file_write(r.f, &v, 8, 3 * PAGE_SIZE), 8);
	CHECK(!testmm_read(r.mm, other + 3 * PAGE_SIZE, &v) && v == 23);
	CHECK(!testmm_read(r.mm, private + 3 * PAGE_SIZE, &v) && v == 23);
	/* A private write fills nothing. */
	blocks = r.f->inode->blocks;
	CHECK_EQ(testmm_write(r.mm, private + PAGE_SIZE, 24), 0);
	CHECK_EQ(r.f->inode->blocks, blocks);
	CHECK_EQ(dax_find(r.f->mapping, 1, &page), 0);
	CHECK(!page);
	rig_down(t, &r);
}

GUEST_TEST(pmem, truncation_unmaps_and_frees, 0, 0, MEM)
{
	unsigned long at, private;
	struct page *page;
	struct rig r;
	u64 v;

	at = rig_map(t, &r, MAP_SHARED, 8);
	private = map(t, &r, MAP_PRIVATE, 8);
	REQUIRE(at && private);
	for (unsigned long i = 0; i < 8; i++)
		CHECK_EQ(testmm_write(r.mm, at + i * PAGE_SIZE, i), 0);
	CHECK_EQ(testmm_write(r.mm, private + 7 * PAGE_SIZE, 99), 0);
	CHECK_EQ(testmm_write(r.mm, at + 2 * PAGE_SIZE + 200, 31), 0);
	CHECK_EQ(dax_find(r.f->mapping, 5, &page), 0);
	REQUIRE(page && page->mapping == r.f->mapping && PageDirty(page));
	CHECK_EQ(vfs_truncate(r.f->inode, 2 * PAGE_SIZE + 100), 0);
	CHECK(!page->mapping && !PageDirty(page));
	CHECK(devmap(r.mm, at + PAGE_SIZE));
	CHECK(pte_none(testmm_pte(r.mm, at + 3 * PAGE_SIZE)));
	CHECK(pte_none(testmm_pte(r.mm, private + 7 * PAGE_SIZE))); /* copies, too */
	CHECK_EQ(testmm_read(r.mm, at + 3 * PAGE_SIZE, &v), VM_FAULT_SIGBUS);
	CHECK_EQ(testmm_write(r.mm, at + 3 * PAGE_SIZE, 1), VM_FAULT_SIGBUS);
	CHECK_EQ(testmm_write(r.mm, private + 3 * PAGE_SIZE, 1), VM_FAULT_SIGBUS);
	/* Behind the end of the last page is zero, also what a mapping leaves there. */
	CHECK(!testmm_read(r.mm, at + 2 * PAGE_SIZE + 200, &v) && v == 0);
	CHECK_EQ(testmm_write(r.mm, at + 2 * PAGE_SIZE + 200, 32), 0);
	CHECK_EQ(vfs_truncate(r.f->inode, 8 * PAGE_SIZE), 0);
	CHECK(!testmm_read(r.mm, at + 2 * PAGE_SIZE + 200, &v) && v == 0);
	CHECK(!testmm_read(r.mm, at + 5 * PAGE_SIZE, &v) && v == 0);
	/* The block may be another file's now. */
	CHECK_EQ(file_word(r.f, 1), 1);
	rig_down(t, &r);
}

GUEST_TEST(pmem, a_new_file_does_not_show_an_old_one, 0, 0, MEM)
{
	struct file *g;
	unsigned long at;
	struct rig r;
	u64 v, sum = 0;

	REQUIRE(rig_up(t, &r, 1));
	g = make_file(t, "/mnt/old");
	REQUIRE(g);
	for (int i = 0; i < 700; i++) {
		v = 0xdeadbeef;
		CHECK_EQ(file_write(g, &v, 8, (u64)i * PAGE_SIZE + 64), 8);
	}
	file_put(g);
	CHECK_EQ(vfs_unlink(AT_FDCWD, "/mnt/old"), 0);
	CHECK_EQ(vfs_truncate(r.f->inode, 1000 * PAGE_SIZE), 0);
	at = map(t, &r, MAP_SHARED, 1000);
	REQUIRE(at);
	for (unsigned long i = 0; i < 1000; i++) {
		CHECK_EQ(testmm_write(r.mm, at + i * PAGE_SIZE, 1), 0);
		CHECK_EQ(testmm_read(r.mm, at + i * PAGE_SIZE + 64, &v), 0);
		sum |= v;
	}
	CHECK_EQ(sum, 0);
	rig_down(t, &r);
}

GUEST_TEST(pmem, a_full_disk_is_a_bus_error_and_enospc, 0, 0, MEM)
{
	unsigned long at, i, end = BLOCKS + 100;
	unsigned int fault = 0;
	struct rig r;
	u64 v = 5;

	REQUIRE(rig_up(t, &r, 1));
	CHECK_EQ(vfs_truncate(r.f->inode, end * PAGE_SIZE), 0);
	at = map(t, &r, MAP_SHARED, end);
	REQUIRE(at);
	for (i = 1; i < end && !fault; i++)
		fault = testmm_write(r.mm, at + i * PAGE_SIZE, i);
	CHECK_EQ(fault, VM_FAULT_SIGBUS);
	CHECK(i > BLOCKS - 100 && i < BLOCKS);
	CHECK_EQ(file_write(r.f, &v, 8, (end - 1) * PAGE_SIZE), -ENOSPC);
	CHECK_EQ(file_word(r.f, 1), 1);
	CHECK(!testmm_read(r.mm, at + (end - 1) * PAGE_SIZE, &v) && !v);
	rig_down(t, &r);
}

GUEST_TEST(pmem, others_read_and_write_by_the_page_tables, 0, 0, MEM)
{
	struct page *page, *held = NULL;
	unsigned long at;
	struct rig r;
	u64 v = 0;

	at = rig_map(t, &r, MAP_SHARED, 2);
	REQUIRE(at);
	CHECK_EQ(read_remote_vm(r.mm, at, &v, 8), 8);
	CHECK_EQ(v, word_for(0, 1));
	v = 41;
	CHECK_EQ(write_remote_vm(r.mm, at + PAGE_SIZE, &v, 8), 8);
	CHECK_EQ(file_word(r.f, 1), 41);
	/* A reference is one to a copy. */
	page = get_user_page(r.mm, at + PAGE_SIZE, &held);
	REQUIRE(page);
	CHECK(page == held && !pfn_is_device(page_to_pfn(page)));
	CHECK_EQ(*(u64 *)page_address(page), 41);
	put_page(held);
	rig_down(t, &r);
}

GUEST_TEST(pmem, protection_changes_keep_the_frames, 0, 0, MEM)
{
	unsigned long at;
	struct rig r;
	long moved;
	u64 v;

	at = rig_map(t, &r, MAP_SHARED, 4);
	REQUIRE(at);
	CHECK_EQ(testmm_write(r.mm, at, 51), 0);
	CHECK_EQ(do_mprotect(r.mm, at, PAGE_SIZE, PROT_READ), 0);
	CHECK(devmap(r.mm, at) && !pte_write(testmm_pte(r.mm, at)));
	CHECK_EQ(testmm_write(r.mm, at, 52), VM_FAULT_SIGSEGV_ACCERR);
	CHECK_EQ(do_mprotect(r.mm, at, PAGE_SIZE, PROT_NONE), 0);
	CHECK_EQ(do_mprotect(r.mm, at, PAGE_SIZE, RW), 0);
	CHECK(devmap(r.mm, at));
	CHECK_EQ(testmm_write(r.mm, at, 53), 0);
	CHECK_EQ(file_word(r.f, 0), 53);
	moved = do_mremap(r.mm, at, 4 * PAGE_SIZE, 8 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
	REQUIRE(!IS_ERR((void *)moved));
	CHECK(devmap(r.mm, moved));
	CHECK(!testmm_read(r.mm, moved, &v) && v == 53);
	rig_down(t, &r);
}

GUEST_TEST(pmem, an_inode_that_goes_forgets_its_frames, 0, 0, MEM)
{
	struct page *page;
	unsigned long at;
	struct rig r;

	at = rig_map(t, &r, MAP_SHARED, 2);
	REQUIRE(at);
	CHECK_EQ(testmm_write(r.mm, at, 61), 0);
	CHECK_EQ(dax_find(r.f->mapping, 0, &page), 0);
	CHECK_EQ(do_munmap(r.mm, at, 2 * PAGE_SIZE), 0);
	CHECK(page->mapping != NULL);
	rig_down(t, &r);
	CHECK(!page->mapping && !PageDirty(page) && list_empty(&page->lru));
	/* And mounted again without dax, it is read through the cache. */
	CHECK_EQ(vfs_mount("ext2", "pmem0", "/mnt", 0, ""), 0);
	r.f = make_file(t, "/mnt/file");
	REQUIRE(r.f);
	CHECK(!mapping_is_dax(r.f->mapping));
	CHECK_EQ(file_word(r.f, 0), 61);
	CHECK(r.f->mapping->nrpages > 0);
	file_put(r.f);
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
}

GUEST_TEST(pmem, options_are_those_of_linux, 0, 0, MEM " disk=8M")
{
	struct block_device *disk = find_block_device("disk0");
	struct file *f;

	REQUIRE(disk && mount_dax(t, "dax"));
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
	CHECK_EQ(vfs_mount("ext2", "pmem0", "/mnt", 0, "daxx"), -EINVAL);
	CHECK_EQ(vfs_mount("ext2", "pmem0", "/mnt", 0, "dax,nonsense"), -EINVAL);
	/* A disk is mounted without, and says so. */
	CHECK_EQ(make_ext2(disk, BLOCKS), 0);
	CHECK_EQ(vfs_mount("ext2", "vda", "/mnt", 0, "dax"), 0);
	f = make_file(t, "/mnt/file");
	REQUIRE(f);
	CHECK(!mapping_is_dax(f->mapping));
	file_put(f);
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
	test_expect_words(t, "DAX unsupported by block device. Turning off DAX.");
}

/* ---- two threads ------------------------------------------------------------------------------- */

struct race {
	struct rig r;
	unsigned long at;
	u32 stop;
	u64 wrong;
};

static int truncate_again(void *arg)
{
	struct race *race = arg;

	for (int i = 0; i < 150; i++) {
		vfs_truncate(race->r.f->inode, (1 + i % 7) * PAGE_SIZE);
		vfs_truncate(race->r.f->inode, 16 * PAGE_SIZE);
		if (i % 10 == 0)
			vfs_fsync(race->r.f, 0, ~0ull);
	}
	atomic_store(&race->stop, 1);
	return 0;
}

static int store_again(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->stop)) {
		for (unsigned long i = 0; i < 16; i++) {
			u64 v = 0;

			testmm_write(race->r.mm, race->at + i * PAGE_SIZE, i + 1);
			if (!testmm_read(race->r.mm, race->at + i * PAGE_SIZE, &v) && v &&
			    v != i + 1)
				race->wrong++;
		}
		cond_resched();
	}
	return 0;
}

GUEST_TEST(pmem, stores_against_truncation, 0, 60, MEM " cpus=2")
{
	static struct race race;
	struct file *g;
	u64 v;

	race.at = rig_map(t, &race.r, MAP_SHARED, 16);
	REQUIRE(race.at);
	REQUIRE(!kthread_run(truncate_again, &race, "truncate"));
	store_again(&race);
	CHECK_EQ(race.wrong, 0);
	/* Whatever blocks it had: another file's are that file's alone. */
	CHECK_EQ(vfs_truncate(race.r.f->inode, 0), 0);
	g = make_file(t, "/mnt/other");
	REQUIRE(g);
	write_words(t, g, 100, 9);
	for (unsigned long i = 0; i < 16; i++)
		CHECK_EQ(testmm_read(race.r.mm, race.at + i * PAGE_SIZE, &v), VM_FAULT_SIGBUS);
	for (unsigned long i = 0; i < 100; i++)
		CHECK_EQ(file_word(g, i), word_for(i, 9));
	file_put(g);
	rig_down(t, &race.r);
}
