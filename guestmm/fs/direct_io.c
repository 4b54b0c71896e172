/*
 * O_DIRECT: a read comes from the disk, a write is on the disk when the call returns, and neither leaves
 * pages in the page cache.
 *
 * The bytes still pass through pages of the cache, because the cache has the locks of ranges and the
 * places of blocks. But the range is written back and dropped before the call, and again after it. So a
 * reader sees what the disk has, and an error of the disk is reported to the caller.
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

/* Dirty pages to the disk, then all unmapped ones out of the cache. */
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
	/* No disk may reach it; by way of the cache it would. */
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
