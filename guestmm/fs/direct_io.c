/*
 * O_DIRECT: a read comes from the disk, a write is on the disk when the call returns, and neither leaves
 * pages in the page cache.
 *
 * The bytes still pass through the page cache, which has the locks of ranges and knows the places of blocks.
 * But the range is written back and dropped both before and after the transfer. So a reader gets the data of
 * the disk, and an error of the disk is reported to the caller.
 *
 * As in Linux: position, length and memory must be multiples of a sector (EINVAL). Files that exist only
 * in memory (tmpfs, memfd) and files without pages cannot be opened with O_DIRECT (EINVAL).
 */
#include "fs/file.h"
#include "lib/errno.h"
#include "kernel/task.h"
#include "mm/cache/secretmem.h"

#define SECTOR_MASK 511ul

bool file_can_direct(const struct file *f)
{
	return f->mapping && !(f->mapping->flags & AS_SHMEM);
}

/* Write the dirty pages of the range to the disk, then drop its unmapped pages. */
static int write_and_drop(struct address_space *mapping, u64 pos, size_t len)
{
	int err;

	if (mapping->flags & AS_DAX)
		return 0; /* the file has no page cache to bypass */
	err = filemap_write_and_wait_range(mapping, pos, pos + len - 1);
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
	/* A disk may not access secret memory. The copy through the cache would, so refuse it. */
	if (unlikely(mm_range_secret(current->mm, buf, buf + len)))
		return -EFAULT;
	f->ra.max = 0; /* pages that were read ahead would stay in the cache */
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
