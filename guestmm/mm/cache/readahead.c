/*
 * Read-ahead: reading the next pages while the reader works on the present ones.
 *
 *       start                     start + size - async_size      start + size
 *         |   the reader wants these      |   ahead of it             |
 *         [ ............................. M ......................... ]
 *
 * Page M carries PG_readahead. When the reader reaches it, the next window is read. It is twice as large, and its
 * first page is marked. So a sequential reader does not wait any more after the start, and at most two windows are
 * in memory that it has not used. A read that does not continue at the window is not sequential: only the pages
 * that it needs are read, and the window becomes small again.
 *
 * Read-ahead is a guess, so its pages are allocated without much effort, and pages for which there is no memory are
 * left out: the reader then reads such a page itself.
 *
 * Locks: invalidate_lock for reading around adding pages, so that none is added behind a truncation.
 */
#include "lib/errno.h"
#include "mm/cache/filemap.h"

#define GFP_READAHEAD (GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN)

void file_ra_state_init(struct file_ra_state *ra)
{
	*ra = (struct file_ra_state){.max = VM_READAHEAD_PAGES, .prev = ~0ull};
}

/* ---- policy ----------------------------------------------------------------------------------- */

static u32 first_window(u32 want, u32 most)
{
	u32 size = 1;

	while (size < want && size < most)
		size *= 2;
	if (size <= most / 32)
		return size * 4;
	if (size <= most / 4)
		return size * 2;
	return most;
}

static u32 next_window(u32 size, u32 most)
{
	if (size < most / 16)
		return size * 4;
	return size <= most / 2 ? size * 2 : most;
}

struct ra_decision readahead_policy(const struct file_ra_state *ra, unsigned long index, u32 want,
				    bool marked)
{
	u32 most = max(ra->max, 1u), size;

	if (!ra->max) /* MADV_RANDOM */
		return (struct ra_decision){index, min(want, VM_READAHEAD_PAGES), 0};
	if (ra->size && (index == ra->start + ra->size ||
			 (marked && index == ra->start + ra->size - ra->async_size))) {
		size = next_window(ra->size, most);
		return (struct ra_decision){ra->start + ra->size, size, size};
	}
	if (marked) /* a window of another reader, or this reader has jumped back into one */
		return (struct ra_decision){index + 1, most, most};
	if (!index || index == ra->prev || index == ra->prev + 1 || want > most) {
		size = first_window(want, most);
		return (struct ra_decision){index, size, size > want ? size - want : size};
	}
	return (struct ra_decision){index, want, 0};
}

/* ---- reading ---------------------------------------------------------------------------------- */

/* Read the pages of [start, start + nr) that are not in the cache; page `mark` gets PG_readahead. */
static void read_pages(struct address_space *mapping, unsigned long start, unsigned int nr,
		       unsigned long mark)
{
	struct page *spare[BIO_MAX_PAGES], *run[BIO_MAX_PAGES];
	unsigned int nr_spare = 0, nr_run = 0;
	unsigned long end = DIV_ROUND_UP(READ_ONCE(mapping->size), PAGE_SIZE);

	if (start >= end)
		return;
	end = min(end, start + nr);
	for (unsigned long index = start; index < end;) {
		struct page *page;
		int err;

		/* A page that is in the cache already ends a run: a request is for adjacent pages. */
		if (!nr_run) {
			unsigned long flags = spin_lock_irqsave(&mapping->lock);

			while (index < end) {
				void *item = radix_lookup(&mapping->pages, index);

				if (!item || radix_is_value(item))
					break;
				index++;
			}
			spin_unlock_irqrestore(&mapping->lock, flags);
			if (index == end)
				break;
		}
		if (!nr_spare)
			nr_spare = alloc_pages_bulk(GFP_READAHEAD,
						    min(end - index, (unsigned long)BIO_MAX_PAGES),
						    PAGE_FILE, spare);
		if (!nr_spare)
			break;
		page = spare[nr_spare - 1];
		err = add_to_page_cache_lru(page, mapping, index, GFP_KERNEL | __GFP_NORETRY);
		if (!err) {
			if (index == mark)
				SetPageReadahead(page);
			nr_spare--;
			run[nr_run++] = page;
			index++;
		}
		if (nr_run && (err || nr_run == BIO_MAX_PAGES)) {
			count_vm_events(MMVM_READAHEAD, nr_run);
			mapping->ops->readpages(mapping, run, nr_run);
			while (nr_run)
				put_page(run[--nr_run]);
		}
		if (err && err != -EEXIST)
			break;
	}
	if (nr_run) {
		count_vm_events(MMVM_READAHEAD, nr_run);
		mapping->ops->readpages(mapping, run, nr_run);
		while (nr_run)
			put_page(run[--nr_run]);
	}
	while (nr_spare)
		__free_page(spare[--nr_spare]);
}

void page_cache_readahead(struct address_space *mapping, struct file_ra_state *ra,
			  struct page *page, unsigned long index, unsigned long want)
{
	struct ra_decision d;
	unsigned long mark;

	if (!mapping->ops->readpages || mapping->flags & (AS_SHMEM | AS_DAX))
		return;
	if (page) {
		/* As on Linux, a page under writeback is not taken for a mark. */
		if (!TestClearPageReadahead(page) || PageWriteback(page))
			return;
		count_vm_event(MMVM_READAHEAD_ASYNC);
	}
	d = readahead_policy(ra, index, min(want, (unsigned long)VM_READAHEAD_PAGES), page != NULL);
	ra->start = d.start;
	ra->size = d.size;
	ra->async_size = d.async_size;
	mark = d.async_size ? d.start + d.size - d.async_size : ~0ul;
	down_read(&mapping->invalidate_lock);
	read_pages(mapping, d.start, d.size, mark);
	up_read(&mapping->invalidate_lock);
}

void force_page_cache_readahead(struct address_space *mapping, unsigned long start,
				unsigned long end)
{
	if (!mapping->ops->readpages || mapping->flags & (AS_SHMEM | AS_DAX))
		return;
	end = min(end, (unsigned long)DIV_ROUND_UP(READ_ONCE(mapping->size), PAGE_SIZE));
	while (start < end) {
		unsigned int n = min(end - start, (unsigned long)VM_READAHEAD_PAGES);

		down_read(&mapping->invalidate_lock);
		read_pages(mapping, start, n, ~0ul);
		up_read(&mapping->invalidate_lock);
		start += n;
		if (unlikely(current_thread_info()->flags & TIF_KILLED))
			return;
		cond_resched();
	}
}
