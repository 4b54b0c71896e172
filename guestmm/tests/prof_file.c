/*
 * Operations for `mmvm profile` on the page cache: a page that is in memory, read and written as by
 * read(2) and write(2) but to kernel memory, and found. The file is in memory
 * only: what a file system adds is not in the numbers.
 */
#include "mm/cache/filemap.h"
#include "tests/prof.h"

static struct address_space *mapping;
static char *buf;
static u64 at;

static void op_file_read(void)
{
	if (kernel_file_read(mapping, buf, PAGE_SIZE, at) != PAGE_SIZE)
		panic("short read");
}

static void op_file_write(void)
{
	if (kernel_file_write(mapping, buf, PAGE_SIZE, at) != PAGE_SIZE)
		panic("short write");
}

static void op_find_page(void)
{
	struct page *page = find_get_page(mapping, at >> PAGE_SHIFT);

	put_page(page);
}

/** Pages into the cache and out of it again: 16 that are wanted and 16 ahead of them, by a read and a
 * truncation. */
static void op_file_fill_16(void)
{
	static char big[16 * PAGE_SIZE];

	if (kernel_file_read(mapping, big, sizeof(big), 0) != sizeof(big))
		panic("short read");
	truncate_inode_pages(mapping);
}

static int readpages(struct address_space *m, struct page **pages, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		memset(page_address(pages[i]), 0, PAGE_SIZE);
		SetPageUptodate(pages[i]);
		unlock_page(pages[i]);
	}
	return 0;
}

static int write_begin(struct address_space *m, u64 pos, unsigned int len, struct page **page)
{
	*page = find_or_create_page(m, pos >> PAGE_SHIFT, GFP_HIGHUSER_MOVABLE);
	return *page ? 0 : -ENOMEM;
}

static int write_end(struct address_space *m, u64 pos, unsigned int len, unsigned int copied,
		     struct page *page)
{
	set_page_dirty(page);
	unlock_page(page);
	put_page(page);
	return copied;
}

static const struct address_space_ops memory_aops = {
	.readpages = readpages, .write_begin = write_begin, .write_end = write_end};

static void profile_file(struct test *t, const char *name, void (*fn)(void))
{
	static struct address_space m;

	address_space_init(&m, NULL, &memory_aops, 0);
	m.size = 16 * PAGE_SIZE * 16;
	mapping = &m;
	buf = kmalloc(PAGE_SIZE, GFP_KERNEL);
	REQUIRE(buf);
	for (at = 0; at < m.size; at += PAGE_SIZE)
		CHECK_EQ(kernel_file_read(mapping, buf, PAGE_SIZE, at), PAGE_SIZE);
	at = 70 * PAGE_SIZE;
	profile_kernel(t, name, fn);
	truncate_inode_pages(mapping);
	kfree(buf);
}

GUEST_TEST(profile, file_read, MMVM_TESTF_BENCH, 60, "memory=64M,high=16M")
{
	profile_file(t, "file_read", op_file_read);
}

GUEST_TEST(profile, file_write, MMVM_TESTF_BENCH, 60, "memory=64M,high=16M")
{
	profile_file(t, "file_write", op_file_write);
}

GUEST_TEST(profile, file_fill_16, MMVM_TESTF_BENCH, 60, "memory=64M,high=16M")
{
	profile_file(t, "file_fill_16", op_file_fill_16);
}

GUEST_TEST(profile, find_page, MMVM_TESTF_BENCH, 60, "memory=64M,high=16M")
{
	profile_file(t, "find_page", op_find_page);
}
