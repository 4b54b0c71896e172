/*
 * read(2) and write(2) on files of the page cache, and the same for the kernel's own buffers.
 *
 * F3  Data is copied to user memory from a page with a reference that is not locked. A reader may therefore
 *     still get bytes that were cut off while it copied; it never gets bytes beyond the size that it read
 *     after it had found the page. Data is copied from user memory into a locked page with page faults
 *     prevented; a copy that would have faulted is short, and is repeated after the memory was touched
 *     without the lock.
 *
 * F1 and F2 are in filemap.c, I1..I5 in pagecache.h.
 *
 * Locks: the caller holds the file's lock around a write. mapping->lock, page locks and invalidate_lock are
 * taken here, none of them on entry or return.
 */
#include "arch/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/cache/dax.h"
#include "mm/phys/highmem.h"
#include "mm/cache/filemap.h"
#include "mm/virt/mm.h"

#define READ_BATCH 15u /* pages looked up at once */

/* The next pages from index to last that a reader can use without waiting: in the cache, uptodate, and none but the
 * first marked for read-ahead. */
static unsigned int find_get_ready(struct address_space *mapping, unsigned long index,
				   unsigned long last, struct page **pages, unsigned int max)
{
	unsigned long flags = spin_lock_irqsave(&mapping->lock);
	unsigned int n = 0;

	do {
		struct page *page = lookup_page(mapping, index);
		u64 f;

		if (!page)
			break;
		f = READ_ONCE(page->flags);
		if (n && ((f >> PG_readahead & 1) || !(f >> PG_uptodate & 1)))
			break;
		get_page(page);
		pages[n++] = page;
		if (!(f >> PG_uptodate & 1))
			break; /* if it is the first page, the caller waits for it */
	} while (n < max && index++ < last);
	spin_unlock_irqrestore(&mapping->lock, flags);
	return n;
}

/* Pages for a reader from `index` on, with references, the first of them uptodate; 0: the file ends
 * before. -errno. */
static int get_pages_to_read(struct address_space *mapping, struct file_ra_state *ra,
			     unsigned long index, unsigned long last, struct page **pages)
{
	for (;;) {
		unsigned int n = find_get_ready(mapping, index, last, pages, READ_BATCH);
		int err = 0;

		if (unlikely(!n)) {
			count_vm_event(MMVM_CACHE_MISS);
			page_cache_readahead(mapping, ra, NULL, index, last - index + 1);
			n = find_get_ready(mapping, index, last, pages, READ_BATCH);
			if (!n) {
				down_read(&mapping->invalidate_lock);
				if (!beyond_end(mapping, index))
					err = page_cache_add_and_read(mapping, index);
				up_read(&mapping->invalidate_lock);
				if (err)
					return err;
				if (beyond_end(mapping, index))
					return 0;
				goto again;
			}
		}
		if (unlikely(PageReadahead(pages[0])))
			page_cache_readahead(mapping, ra, pages[0], index, last - index + 1);
		if (likely(PageUptodate(pages[0])))
			return n;
		err = page_cache_wait_uptodate(mapping, pages[0]);
		if (!err && PageUptodate(pages[0]) && pages[0]->mapping == mapping)
			return n;
		for (unsigned int i = 0; i < n; i++)
			put_page(pages[i]);
		if (err)
			return err;
	again:
		if (unlikely(current_thread_info()->flags & TIF_KILLED))
			return -EINTR;
	}
}

/* The buffer that the bytes are copied to or from. */
struct io_target {
	unsigned long user;
	char *kernel; /* NULL: user memory */
};

/* Copy n bytes to the target. Returns how many could not be copied. */
static inline size_t give(struct io_target *t, const char *from, size_t n)
{
	size_t left = 0;

	if (likely(!t->kernel)) {
		left = from ? copy_to_user(t->user, from, n) : clear_user(t->user, n);
		t->user += n;
	} else {
		if (from)
			memcpy(t->kernel, from, n);
		else
			memset(t->kernel, 0, n);
		t->kernel += n;
	}
	return left;
}

/* shmem: the page at pos, from memory or from swap, or the zero page if there is none. 1 or -errno. */
static int shmem_piece(struct address_space *mapping, u64 pos, struct page_piece *piece)
{
	struct page *page = NULL;
	bool major = false;
	int err = shmem_get_page(mapping, pos >> PAGE_SHIFT, SHMEM_FIND, &page, &major);

	if (err && err != -ENOENT)
		return err == -EHWPOISON ? -EIO : err;
	piece->page = err ? zero_page : page;
	piece->held = err ? NULL : &page_folio(page)->page;
	if (!err) {
		unlock_page(piece->held);
		mark_page_accessed(piece->held);
	}
	return 1;
}

/* As give(), from one page. */
static size_t give_page(struct io_target *t, struct page *page, unsigned int offset, size_t n)
{
	const char *p = kmap_local_page(page);
	size_t left = give(t, p + offset, n);

	kunmap_local(p);
	return left;
}

static long read_shmem_page(struct address_space *mapping, struct io_target *t, u64 at, size_t n)
{
	struct page_piece piece;
	size_t left;
	int err = shmem_piece(mapping, at, &piece);

	if (err < 0)
		return err;
	if (!piece.held)
		return give(t, NULL, n);
	left = give_page(t, piece.page, at & (PAGE_SIZE - 1), n);
	put_page(piece.held);
	return left;
}

/* Truncation is locked out by the inode's lock, or by invalidate_lock if the target is kernel memory. */
static long read_dax_page(struct address_space *mapping, struct io_target *t, u64 at, size_t n)
{
	struct page *page;
	long left;

	if (t->kernel)
		down_read(&mapping->invalidate_lock);
	left = dax_find(mapping, at >> PAGE_SHIFT, &page);
	if (!left)
		left = give(t, page ? (char *)page_address(page) + (at & (PAGE_SIZE - 1)) : NULL,
			    n);
	if (t->kernel)
		up_read(&mapping->invalidate_lock);
	return left;
}

static long read_file(struct address_space *mapping, struct file_ra_state *ra, struct io_target *t,
		      size_t len, u64 *pos)
{
	struct page *pages[READ_BATCH];
	size_t done = 0;
	long err = 0;

	while (done < len && !err) {
		u64 at = *pos, size = READ_ONCE(mapping->size), end;
		unsigned long index = at >> PAGE_SHIFT;
		int n;

		if (at >= size)
			break;
		end = min(at + (len - done), size);
		if (mapping->flags & (AS_SHMEM | AS_DAX)) {
			size_t bytes = min(end - at, PAGE_SIZE - (at & (PAGE_SIZE - 1)));
			long left = mapping_is_dax(mapping)
					    ? read_dax_page(mapping, t, at, bytes)
					    : read_shmem_page(mapping, t, at, bytes);

			if (left < 0) {
				err = left;
				break;
			}
			done += bytes - left;
			*pos += bytes - left;
			err = left ? -EFAULT : 0;
			continue;
		}
		n = get_pages_to_read(mapping, ra, index, (end - 1) >> PAGE_SHIFT, pages);
		if (n <= 0) {
			err = n;
			break;
		}
		/* The size may have changed while we waited; the pages are uptodate now. */
		end = min(end, READ_ONCE(mapping->size));
		for (int i = 0; i < n; i++) {
			u64 from = *pos;

			if (likely(!err && from < end)) {
				unsigned int off = from & (PAGE_SIZE - 1);
				size_t bytes = min(end - from, (u64)PAGE_SIZE - off);
				size_t left = give_page(t, pages[i], off, bytes);

				if (index + i != ra->prev || !off)
					mark_page_accessed(pages[i]);
				ra->prev = index + i;
				done += bytes - left;
				*pos = from + bytes - left;
				if (unlikely(left))
					err = -EFAULT;
			}
			put_page(pages[i]);
		}
		if (unlikely(current_thread_info()->flags & TIF_KILLED) && !err)
			err = -EINTR;
	}
	return done ? (long)done : err;
}

long generic_file_read(struct address_space *mapping, struct file_ra_state *ra, unsigned long buf,
		       size_t len, u64 *pos)
{
	struct io_target t = {.user = buf};

	return read_file(mapping, ra, &t, len, pos);
}

long kernel_file_read(struct address_space *mapping, void *buf, size_t len, u64 pos)
{
	struct io_target t = {.kernel = buf};
	struct file_ra_state ra;

	file_ra_state_init(&ra);
	return read_file(mapping, &ra, &t, len, &pos);
}

/* ---- references instead of copies ------------------------------------------------------------- */

/* Copy the bytes into a new page, as Linux does: a reference to the frame itself would later show the contents of
 * another file. 1 or -errno. */
static int dax_piece(struct address_space *mapping, u64 pos, struct page_piece *piece)
{
	struct page *page, *copy = alloc_pages_type(GFP_KERNEL_ACCOUNT, 0, PAGE_PIPE);
	int err;

	if (!copy)
		return -ENOMEM;
	down_read(&mapping->invalidate_lock);
	err = dax_find(mapping, pos >> PAGE_SHIFT, &page);
	if (!err && page)
		copy_page(page_address(copy), page_address(page));
	else if (!err)
		clear_page(page_address(copy));
	up_read(&mapping->invalidate_lock);
	if (err) {
		__free_page(copy);
		return err;
	}
	piece->page = piece->held = copy;
	return 1;
}

int generic_file_pieces(struct address_space *mapping, struct file_ra_state *ra, u64 pos,
			size_t len, struct page_piece *piece, unsigned int max)
{
	struct page *pages[READ_BATCH];
	u64 size = READ_ONCE(mapping->size), end;
	int n, used = 0;

	if (mapping->flags & AS_HUGETLB)
		return -EINVAL;
	if (pos >= size || !len)
		return 0;
	end = pos + min((u64)len, size - pos);
	if (mapping->flags & AS_SHMEM) {
		n = shmem_piece(mapping, pos, piece);
	} else if (mapping_is_dax(mapping)) {
		n = dax_piece(mapping, pos, piece);
	} else {
		unsigned long first = pos >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT;

		n = get_pages_to_read(mapping, ra, first, min(last, first + max - 1), pages);
		/* The size may have changed while we waited; the pages are uptodate now. */
		end = min(end, READ_ONCE(mapping->size));
		for (int i = 0; i < n; i++) {
			piece[i].page = piece[i].held = pages[i];
			mark_page_accessed(pages[i]);
		}
		if (n > 0)
			ra->prev = first + n - 1;
	}
	for (int i = 0; i < n; i++) {
		if (pos >= end) {
			if (piece[i].held)
				put_page(piece[i].held);
			continue;
		}
		piece[i].offset = pos & (PAGE_SIZE - 1);
		piece[i].len = min(end - pos, (u64)PAGE_SIZE - piece[i].offset);
		pos += piece[i].len;
		used++;
	}
	return n < 0 ? n : used;
}

/* ---- writing ---------------------------------------------------------------------------------- */

/* Fault in the source of a copy, so that the copy, which may not fault, is likely to succeed. */
static int fault_in_readable(unsigned long addr, size_t n)
{
	unsigned long end = addr + n;
	char c;

	for (; addr < end; addr = (addr | (PAGE_SIZE - 1)) + 1)
		if (copy_from_user(&c, addr, 1))
			return -EFAULT;
	return 0;
}

/* Faults are allowed here: the caller holds the inode's lock, which locks truncation out, and mmap_lock is taken
 * inside it. */
static long write_dax(struct address_space *mapping, struct io_target *t, size_t len, u64 *pos)
{
	const u64 wanted = *pos + len;
	size_t done = 0;
	long err = 0;

	if (wanted > mapping->size)
		err = dax_zero_tail(mapping, mapping->size);
	while (!err && done < len) {
		unsigned int off = *pos & (PAGE_SIZE - 1);
		size_t n = min(len - done, PAGE_SIZE - off), left = 0;
		struct page *page;

		err = dax_find(mapping, *pos >> PAGE_SHIFT, &page);
		if (!err && !page) {
			err = dax_fill(mapping, *pos >> PAGE_SHIFT, DAX_FILL_WRITTEN);
			continue;
		}
		if (err)
			break;
		if (t->kernel)
			memcpy((char *)page_address(page) + off, t->kernel + done, n);
		else
			left = copy_from_user((char *)page_address(page) + off, t->user + done, n);
		done += n - left;
		*pos += n - left;
		if (left)
			err = -EFAULT;
		else if (unlikely(current_thread_info()->flags & TIF_KILLED))
			err = -EINTR;
		cond_resched();
	}
	mapping->ops->dax_write_end(mapping, done ? *pos : 0, wanted);
	return done ? (long)done : err;
}

static long write_file(struct address_space *mapping, struct io_target *t, size_t len, u64 *pos,
		       u64 limit)
{
	const struct address_space_ops *ops = mapping->ops;
	size_t done = 0, cap = PAGE_SIZE;
	long err = 0;

	if (!len)
		return 0;
	if (!ops->write_begin)
		return -EINVAL;
	if (*pos >= limit)
		return -EFBIG;
	len = min((u64)len, limit - *pos);
	if (mapping_is_dax(mapping))
		return write_dax(mapping, t, len, pos);
	while (done < len) {
		u64 at = *pos;
		unsigned int off = at & (PAGE_SIZE - 1);
		size_t room = min(cap, PAGE_SIZE - off);
		unsigned int n = min(len - done, room), copied = n;
		struct page *page;
		char *to;
		int took;

		err = ops->write_begin(mapping, at, n, &page);
		if (err)
			break;
		to = kmap_local_page(page);
		if (t->kernel) {
			memcpy(to + off, t->kernel + done, n);
		} else {
			preempt_disable(); /* faults are not resolved: F3 */
			copied -= copy_from_user(to + off, t->user + done, n);
			preempt_enable();
		}
		kunmap_local(to);
		mark_page_accessed(&page_folio(page)->page);
		took = ops->write_end(mapping, at, n, copied, page);
		if (unlikely(took < 0)) {
			err = took;
			break;
		}
		done += took;
		*pos = at + took;
		if (unlikely(copied < n)) {
			err = fault_in_readable(t->user + done, n - took);
			if (err && (took || !copied))
				break;
			/* The bytes of a new page count only if all that write_begin was asked for were copied. If
			 * the rest of the source cannot be read, ask for fewer. */
			cap = err ? copied : PAGE_SIZE;
			err = 0;
		} else {
			cap = PAGE_SIZE;
		}
		balance_dirty_pages(mapping);
		if (unlikely(current_thread_info()->flags & TIF_KILLED)) {
			err = -EINTR;
			break;
		}
	}
	/* The page beyond the end was added for a write that failed: remove it (I5). */
	if (unlikely(err) && *pos >= mapping->size && !(mapping->flags & AS_SHMEM))
		truncate_pagecache(mapping, mapping->size);
	return done ? (long)done : err;
}

long generic_file_write(struct address_space *mapping, unsigned long buf, size_t len, u64 *pos,
			u64 limit)
{
	struct io_target t = {.user = buf};

	return write_file(mapping, &t, len, pos, limit);
}

long kernel_file_write(struct address_space *mapping, const void *buf, size_t len, u64 pos)
{
	struct io_target t = {.kernel = (char *)(unsigned long)buf};

	return write_file(mapping, &t, len, &pos, ~0ull);
}
