/*
 * The metadata's pages: an address space whose index is the block number.
 *
 * The page cache does the rest: a page is found by its block, read if it is missing, written by the flusher or
 * by sync if it is dirty, and reclaimed when it is unused. If a block is smaller than a page, the rest of the
 * page is unused.
 *
 * M1  To change a block, a task takes a reference on its page, changes it, and then marks it dirty. So if the
 *     old contents are being written meanwhile, the page is written again.
 * M2  ext2_meta_forget() is called when the block has no user any more, which its lock or its inode guarantees.
 *     So no task makes the page dirty after that.
 */
#include "fs/ext2/ext2.h"

static int meta_readpages(struct address_space *mapping, struct page **pages, unsigned int n)
{
	struct ext2_sb *sbi = container_of(mapping, struct ext2_sb, meta);
	struct ext2_io io = {.sbi = sbi, .op = BIO_READ};

	for (unsigned int i = 0; i < n; i++) {
		u32 block = pages[i]->index;

		if (unlikely(pages[i]->index >= sbi->blocks_count)) {
			unlock_page(pages[i]);
		} else if (sbi->block_size == PAGE_SIZE) {
			ext2_io_page(&io, pages[i], block);
		} else {
			struct ext2_piece piece = {block, 0, sbi->block_size};

			ext2_io_pieces(sbi, BIO_READ, pages[i], &piece, 1);
		}
	}
	ext2_io_submit(&io);
	return 0;
}

static int meta_writepage(struct page *page, struct writeback_control *wbc)
{
	struct ext2_sb *sbi = container_of(page_mapping_file(page), struct ext2_sb, meta);
	u32 block = page->index;

	set_page_writeback(page);
	unlock_page(page);
	if (sbi->block_size == PAGE_SIZE) {
		struct ext2_io io = {sbi, BIO_WRITE, wbc->bio};

		ext2_io_page(&io, page, block);
		wbc->bio = io.bio;
	} else {
		struct ext2_piece piece = {block, 0, sbi->block_size};

		ext2_io_pieces(sbi, BIO_WRITE, page, &piece, 1);
	}
	return 0;
}

static void meta_writepages_end(struct address_space *mapping, struct writeback_control *wbc)
{
	struct ext2_io io = {container_of(mapping, struct ext2_sb, meta), BIO_WRITE, wbc->bio};

	ext2_io_submit(&io);
	wbc->bio = NULL;
}

const struct address_space_ops ext2_meta_aops = {
	.readpages = meta_readpages,
	.writepage = meta_writepage,
	.writepages_end = meta_writepages_end,
};

struct page *ext2_meta_read(struct ext2_sb *sbi, u32 block, int *err)
{
	struct page *page;

	for (unsigned int tries = 0;; tries++) {
		page = read_cache_page(&sbi->meta, block, err);
		if (page)
			return page;
		/* A task that is being killed must finish its operation, so try again. */
		if (*err == -ENOMEM && tries < 10)
			sleep_ns(10000000);
		else if (*err != -EINTR)
			return NULL;
	}
}

struct page *ext2_meta_find(struct ext2_sb *sbi, u32 block)
{
	struct page *page = find_get_page(&sbi->meta, block);

	if (page && !PageUptodate(page)) {
		put_page(page);
		page = NULL;
	}
	return page;
}

struct page *ext2_meta_new(struct ext2_sb *sbi, u32 block)
{
	struct page *page = find_or_create_page(&sbi->meta, block, GFP_NOFS);

	if (!page)
		return NULL;
	memset(page_address(page), 0, PAGE_SIZE);
	SetPageUptodate(page);
	set_page_dirty(page);
	unlock_page(page);
	return page;
}

void ext2_meta_forget(struct ext2_sb *sbi, u32 block)
{
	struct page *page = find_lock_page(&sbi->meta, block);

	if (!page)
		return;
	wait_on_page_writeback(page);
	delete_from_page_cache(page);
	unlock_page(page);
	put_page(page);
}
