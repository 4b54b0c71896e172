/*
 * Data of regular files, between the page cache and the disk.
 *
 *   reading:  pages are read in runs of blocks that are contiguous on the disk; holes are zeroes
 *   writing:  blocks are allocated before the page is dirty: by write_begin for the bytes written, by
 *             page_mkwrite for a mapped page. So the writer, and not fsync, gets the error of a full disk.
 *   writepage: writes the blocks of the page. Where there is none (a file grew over the rest of a page
 *             that was mapped), one is allocated, unless the data are all zero: then it stays a hole.
 *
 * F1  A dirty page's blocks exist, except in the case above.
 * F2  Blocks that a failed write has allocated are freed again: beyond the end (X5), and within the file,
 *     where they would show data of a deleted file (X6).
 * F3  The part of the last page that is beyond the end is zeroed before the page is written.
 */
#include "fs/ext2/ext2.h"
#include "fs/file.h"
#include "mm/cache/dax.h"
#include "mm/phys/highmem.h"

/** Pieces of a page: with 1K blocks at most four. */
#define MAX_PIECES (PAGE_SIZE / EXT2_MIN_BLOCK)

/** A run of blocks of the file whose place on the disk is known. `phys` 0: a hole. */
struct run {
	u32 iblock, phys, count;
};

static int run_get(struct inode *inode, u32 iblock, u32 max, struct run *run)
{
	int err;

	if (iblock - run->iblock < run->count)
		return 0;
	run->iblock = iblock;
	err = ext2_map(inode, iblock, max, 0, &run->phys, &run->count);
	if (err)
		run->count = 0;
	return err;
}
static u32 run_phys(const struct run *run, u32 iblock)
{
	return run->phys ? run->phys + (iblock - run->iblock) : 0;
}

/** Number of blocks of page `index` that are before the end of the file. */
static u32 blocks_in_page(const struct ext2_sb *sbi, u64 size, unsigned long index)
{
	u64 start = (u64)index << PAGE_SHIFT;

	if (size <= start)
		return 0;
	return min(DIV_ROUND_UP(size - start, sbi->block_size), PAGE_SIZE / (u64)sbi->block_size);
}

/** Add block number `i` of a page to its pieces: to the last one if it follows it on the disk. */
static unsigned int add_piece(const struct ext2_sb *sbi, struct ext2_piece *piece, unsigned int n,
			      u32 i, u32 block)
{
	struct ext2_piece *last = &piece[n - 1];

	if (n && last->offset + last->len == i * sbi->block_size &&
	    last->block + last->len / sbi->block_size == block) {
		last->len += sbi->block_size;
		return n;
	}
	piece[n] = (struct ext2_piece){block, i * sbi->block_size, sbi->block_size};
	return n + 1;
}

/** Start reading one locked page. -errno: not started, still locked. */
static int read_one(struct inode *inode, struct page *page, u32 ahead, struct run *run,
		    struct ext2_io *io)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	u32 per = PAGE_SIZE / sbi->block_size, first = page->index * per;
	u32 need = blocks_in_page(sbi, READ_ONCE(inode->i_data.size), page->index);
	struct ext2_piece piece[MAX_PIECES];
	unsigned int n = 0;
	int err;

	for (u32 i = 0; i < need; i++) {
		u32 block;

		err = run_get(inode, first + i, ahead * per, run);
		if (err)
			return err;
		block = run_phys(run, first + i);
		if (block)
			n = add_piece(sbi, piece, n, i, block);
	}
	if (n == 1 && piece[0].len == PAGE_SIZE) {
		ext2_io_page(io, page, piece[0].block);
		return 0;
	}
	clear_highpage(page);
	if (n) {
		ext2_io_pieces(sbi, BIO_READ, page, piece, n);
	} else {
		SetPageUptodate(page);
		unlock_page(page);
	}
	return 0;
}

static int readpages(struct address_space *mapping, struct page **pages, unsigned int n)
{
	struct inode *inode = mapping->host;
	struct ext2_io io = {.sbi = ext2_sb(inode->sb), .op = BIO_READ};
	struct run run = {0};
	int err = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (!err)
			err = read_one(inode, pages[i], n - i, &run, &io);
		if (err)
			unlock_page(pages[i]);
	}
	ext2_io_submit(&io);
	return err;
}

/** Find the blocks of a dirty page, as pieces. Returns the number of pieces, or -errno. */
static int place_page(struct inode *inode, struct page *page, u32 need, bool for_reclaim,
		      struct ext2_piece *piece)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	u32 first = page->index * (PAGE_SIZE / sbi->block_size), flags, count, block;
	unsigned int n = 0;
	int err;

	flags = for_reclaim ? EXT2_MAP_NOWAIT : 0;
	for (u32 i = 0; i < need; i++) {
		err = ext2_map(inode, first + i, 1, flags, &block, &count);
		if (!err && !block &&
		    !page_range_is_zero(page, i * sbi->block_size, sbi->block_size))
			err = ext2_map(inode, first + i, 1, flags | EXT2_MAP_CREATE, &block,
				       &count);
		if (err)
			return err;
		if (block)
			n = add_piece(sbi, piece, n, i, block);
	}
	return n;
}

static void writepages_end(struct address_space *mapping, struct writeback_control *wbc)
{
	struct ext2_io io = {ext2_sb(mapping->host->sb), BIO_WRITE, wbc->bio};

	ext2_io_submit(&io);
	wbc->bio = NULL;
}

static int writepage(struct page *page, struct writeback_control *wbc)
{
	struct address_space *mapping = page_mapping_file(page);
	struct inode *inode = mapping->host;
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	u64 size = READ_ONCE(mapping->size), start = (u64)page->index << PAGE_SHIFT;
	u32 need = blocks_in_page(sbi, size, page->index);
	struct ext2_piece piece[MAX_PIECES];
	int n = place_page(inode, page, need, wbc->for_reclaim, piece);

	if (n < 0) {
		set_page_dirty(page);
		if (n != -EAGAIN)
			mapping_set_error(mapping, n);
		unlock_page(page);
		return n;
	}
	if (size - start < PAGE_SIZE && size > start)
		memzero_page(page, size - start, PAGE_SIZE - (size - start));
	set_page_writeback(page);
	unlock_page(page);
	if (!n) {
		end_page_writeback(page);
	} else if (n == 1 && piece[0].len == PAGE_SIZE) {
		struct ext2_io io = {sbi, BIO_WRITE, wbc->bio};

		ext2_io_page(&io, page, piece[0].block);
		wbc->bio = io.bio;
	} else {
		/* Submit the request that is half filled before waiting for one from the pool: waiting could not end
		 * otherwise. */
		writepages_end(mapping, wbc);
		ext2_io_pieces(sbi, BIO_WRITE, page, piece, n);
	}
	return 0;
}

/** The page will not be written: free the blocks that were allocated for it, so that they are holes again (X6). The
 * page is locked. */
static void give_back(struct inode *inode, unsigned long index, u8 fresh)
{
	u32 first = index * (PAGE_SIZE / ext2_sb(inode->sb)->block_size);

	for (u32 i = 0; fresh; i++, fresh >>= 1)
		if (fresh & 1)
			ext2_unmap_block(inode, first + i);
}

/** Allocate blocks of the locked page for bytes [from, to): all of them or none. *fresh: a bit for
 * each block of the page that is new. */
static int reserve(struct inode *inode, unsigned long index, u32 from, u32 to, u8 *fresh)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	u32 first = index * (PAGE_SIZE / sbi->block_size);

	*fresh = 0;
	for (u32 i = from / sbi->block_size; i * sbi->block_size < to; i++) {
		bool is_new;
		int err = ext2_map_create(inode, first + i, &is_new);

		if (err) {
			give_back(inode, index, *fresh);
			return err;
		}
		*fresh |= is_new << i;
	}
	return 0;
}

/** Free blocks beyond the end of the file (F2). inode->lock held for writing. */
static void trim(struct inode *inode)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);

	ext2_free_from(inode, DIV_ROUND_UP(inode->i_data.size, sbi->block_size));
}

/** Get a page of the file, locked. It is uptodate, unless [from, to) covers all of it within the file. */
static int get_for_write(struct inode *inode, unsigned long index, u32 from, u32 to,
			 struct page **result)
{
	struct address_space *mapping = &inode->i_data;
	u64 start = (u64)index << PAGE_SHIFT;
	struct page *page;
	int err;

	page = find_or_create_page(mapping, index, GFP_NOFS | __GFP_HIGHMEM | __GFP_MOVABLE);
	if (!page)
		return -ENOMEM;
	*result = page;
	if (PageUptodate(page) || (!from && to == PAGE_SIZE))
		return 0;
	if (start >= mapping->size) {
		clear_highpage(page);
		SetPageUptodate(page);
		return 0;
	}
	unlock_page(page);
	put_page(page);
	page = read_cache_page(mapping, index, &err);
	if (!page)
		return err;
	lock_page(page); /* still the file's page: the inode's lock prevents truncation */
	*result = page;
	return 0;
}

static int write_begin(struct address_space *mapping, u64 pos, unsigned int len,
		       struct page **result)
{
	struct inode *inode = mapping->host;
	u32 from = pos & (PAGE_SIZE - 1);
	struct page *page;
	int err;

	if (inode->sb->read_only)
		return -EROFS;
	if (pos + len > inode->sb->max_size)
		return -EFBIG;
	do {
		err = get_for_write(inode, pos >> PAGE_SHIFT, from, from + len, &page);
		if (err)
			return err;
		if (likely(page->mapping == mapping))
			break;
		unlock_page(page); /* it was reclaimed between reading and locking */
		put_page(page);
	} while (true);
	/* A dirty page of one block has it (F1). */
	err = ext2_i(inode)->fresh = 0;
	if (!PageDirty(page) || inode->sb->blocksize != PAGE_SIZE)
		err = reserve(inode, page->index, from, from + len, &ext2_i(inode)->fresh);
	if (err) {
		unlock_page(page);
		put_page(page);
		if (pos + len > mapping->size)
			trim(inode);
		return err;
	}
	*result = page;
	return 0;
}

/** If a file has 2 GiB or more, set the feature for large files in the super block. */
static void note_large_file(struct ext2_sb *sbi, u64 size)
{
	if (size < 1ull << 31 || sbi->es->feature_ro_compat & EXT2_RO_COMPAT_LARGE_FILE)
		return;
	mutex_lock(&sbi->alloc_lock);
	sbi->es->feature_ro_compat |= EXT2_RO_COMPAT_LARGE_FILE;
	sbi->es->rev_level = 1;
	ext2_super_dirty(sbi);
	mutex_unlock(&sbi->alloc_lock);
}

static int write_end(struct address_space *mapping, u64 pos, unsigned int len, unsigned int copied,
		     struct page *page)
{
	struct inode *inode = mapping->host;
	u64 size = mapping->size;

	if (!PageUptodate(page)) {
		if (copied < len)
			copied = 0; /* the rest of the page is not uptodate */
		else
			SetPageUptodate(page);
	}
	if (copied) {
		if (pos + copied > size) {
			WRITE_ONCE(mapping->size, pos + copied);
			note_large_file(ext2_sb(inode->sb), pos + copied);
			ext2_update_inode(inode);
		}
		set_page_dirty(page);
	} else {
		give_back(inode, page->index, ext2_i(inode)->fresh);
	}
	unlock_page(page);
	put_page(page);
	if (copied < len && pos + len > size)
		trim(inode);
	return copied;
}

static int page_mkwrite(struct page *page)
{
	struct address_space *mapping = page_mapping_file(page);
	struct inode *inode = mapping->host;
	u64 size = READ_ONCE(mapping->size), start = (u64)page->index << PAGE_SHIFT;
	u8 fresh;

	if (inode->sb->read_only)
		return -EROFS;
	if (size <= start)
		return -EFAULT;
	/* The caller sets the page dirty before it unlocks it. */
	return reserve(inode, page->index, 0, min(size - start, (u64)PAGE_SIZE), &fresh);
}

static int dax_frame(struct address_space *mapping, unsigned long index, enum dax_frame_look look,
		     struct page **page)
{
	bool create = look == DAX_FRAME_MAKE;
	struct inode *inode = mapping->host;
	u32 phys, count;
	int err;

	if (create && inode->sb->read_only)
		return -EROFS;
	if (index > UINT32_MAX)
		return -EFBIG;
	err = ext2_map(inode, index, 1, create ? EXT2_MAP_CREATE : 0, &phys, &count);
	if (!err && phys)
		*page = ext2_dax_page(ext2_sb(inode->sb), phys);
	return err;
}

static void dax_write_end(struct address_space *mapping, u64 end, u64 wanted)
{
	struct inode *inode = mapping->host;

	if (end > mapping->size) {
		WRITE_ONCE(mapping->size, end);
		note_large_file(ext2_sb(inode->sb), end);
		ext2_update_inode(inode);
	}
	if (end < wanted && wanted > mapping->size)
		trim(inode);
}

const struct address_space_ops ext2_data_aops = {
	.readpages = readpages,
	.writepage = writepage,
	.writepages_end = writepages_end,
	.write_begin = write_begin,
	.write_end = write_end,
	.page_mkwrite = page_mkwrite,
	.dax_frame = dax_frame,
	.dax_write_end = dax_write_end,
};

/** Zero the rest of the last block, also on the disk, because a file that grows again must show zeroes. */
static int zero_tail(struct inode *inode, u64 size)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	u32 offset = size & (PAGE_SIZE - 1), phys, count;
	struct page *page;
	int err;

	/* A mapping may have stored data after the old end, too. */
	if (sbi->dax)
		return dax_zero_tail(&inode->i_data, min(size, inode->i_data.size));
	if (!(size & (sbi->block_size - 1)) || size >= inode->i_data.size)
		return 0;
	err = ext2_map(inode, size / sbi->block_size, 1, 0, &phys, &count);
	if (err || !phys)
		return err;
	page = read_cache_page(&inode->i_data, size >> PAGE_SHIFT, &err);
	if (!page)
		return err;
	lock_page(page);
	memzero_page(page, offset, PAGE_SIZE - offset);
	set_page_dirty(page);
	unlock_page(page);
	put_page(page);
	return 0;
}

static int truncate(struct inode *inode, u64 size)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	u64 old = inode->i_data.size;
	int err;

	if (inode->sb->read_only)
		return -EROFS;
	if (size > inode->sb->max_size)
		return -EFBIG;
	err = zero_tail(inode, size);
	if (err)
		return err;
	WRITE_ONCE(inode->i_data.size, size);
	note_large_file(sbi, size);
	ext2_update_inode(inode);
	if (size >= old)
		return 0;
	truncate_pagecache(&inode->i_data, size);
	return ext2_free_from(inode, DIV_ROUND_UP(size, sbi->block_size));
}

/**
 * Write the file's data, then all metadata of the file system, because there is no list of the metadata of one
 * file. This also makes sure that no deleted file still claims a block of this file on the disk.
 */
int ext2_fsync(struct file *f, u64 start, u64 end)
{
	struct inode *inode = f->inode;
	int err = 0, e;

	if (S_ISREG(inode->mode))
		err = filemap_write_and_wait_range(&inode->i_data, start, end);
	ext2_update_inode(inode);
	e = ext2_sync_meta(ext2_sb(inode->sb));
	err = err ? err : e;
	e = mapping_check_error(&inode->i_data, &f->wb_err);
	return err ? err : e;
}

static int bmap(struct inode *inode, u64 index, u64 max, u64 *sector, u64 *nr)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	u32 per_page = PAGE_SIZE / sbi->block_size, phys, count;
	u64 want = min(max * per_page, (u64)(1u << 20));
	int err = ext2_map(inode, index * per_page, want, 0, &phys, &count);

	if (err)
		return err;
	if (!phys)
		return -EINVAL;
	*nr = count / per_page;
	*sector = (u64)phys * ext2_sectors(sbi);
	/* The blocks of the page are in several places. None of them may be a hole. */
	for (u32 i = count; !*nr && i < per_page; i += count) {
		err = ext2_map(inode, index * per_page + i, per_page - i, 0, &phys, &count);
		if (err || !phys)
			return err ? err : -EINVAL;
	}
	return 0;
}

const struct inode_ops ext2_file_iops = {
	.truncate = truncate,
	.bmap = bmap,
	.dirty = ext2_update_inode,
};
struct file_ops ext2_file_ops;
