/*
 * O_DIRECT: what is read comes from the disk, what is written is there when the call returns, and nothing
 * of it stays in the page cache.
 *
 * The bytes still go through pages of the cache, which has the ranges' locks and the blocks' places;
 * but the range is written back and dropped before, and again after. So a reader sees what the disk has,
 * and an error of the disk is the caller's.
 *
 * As Linux: position, length and memory are multiples of a sector (EINVAL); files whose pages are
 * nowhere else than in memory (tmpfs, memfd), and what has no pages, cannot be opened so (EINVAL).
 */
#include "fs/file.h"
#include "lib/errno.h"

#define SECTOR_MASK 511ul

bool file_can_direct(const struct file *f)
{
	return f->mapping && !(f->mapping->flags & AS_SHMEM);
}

/* Dirty pages to the disk, then all unmapped ones out of the cache. */
static int write_and_drop(struct address_space *mapping, u64 pos, size_t len)
{
	int err = filemap_write_and_wait_range(mapping, pos, pos + len - 1);

	if (!err)
		invalidate_mapping_pages(mapping, pos >> PAGE_SHIFT,
					 ((pos + len - 1) >> PAGE_SHIFT) + 1);
	return err;
}

int __direct_begin(struct file *f, unsigned long buf, size_t len, u64 pos)
{
	if (!len)
		return 0;
	if ((buf | len | pos) & SECTOR_MASK)
		return -EINVAL;
	f->ra.max = 0; /* what is read ahead would stay */
	return write_and_drop(f->mapping, pos, len);
}

long __direct_end(struct file *f, u64 pos, long done)
{
	int err;

	if (done <= 0)
		return done;
	err = write_and_drop(f->mapping, pos, done);
	return err ? err : done;
}
