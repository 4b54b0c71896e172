/*
 * Building requests from pages and blocks, and handling their end.
 *
 *   whole pages, next to each other on the disk ──> one bio of up to 32 pages
 *   a page whose blocks are scattered           ──> a bio for each piece, and a count of pending pieces
 *
 * Requests come from pools with a reserve, because pages are written when memory is short.
 *
 * E1  A page that is being read is locked, and is unlocked when its I/O ends. A page that is being written has
 *     PG_writeback, which is cleared when its I/O ends. Either happens once, after the last piece.
 * E2  A page that could not be read is not uptodate. A write error is stored in the mapping, for fsync. The
 *     mapping exists until writeback ends.
 */
#include "fs/ext2/ext2.h"
#include "mm/slab/mempool.h"

#define RESERVE 8

/** A page that is read or written in pieces. */
struct page_pieces {
	struct page *page;
	s32 pending; /* A */
	s32 err;     /* A */
};

static struct mempool *bio_pool, *pieces_pool;

static struct mempool *pool_of(const char *name, unsigned int size)
{
	struct kmem_cache *cache = kmem_cache_create(name, size, 0, SLAB_PANIC, NULL);

	return mempool_create(RESERVE, mempool_alloc_slab, mempool_free_slab, cache);
}

int ext2_io_init(void)
{
	bio_pool = pool_of("ext2_bio", sizeof(struct bio));
	pieces_pool = pool_of("ext2_pieces", sizeof(struct page_pieces));
	return bio_pool && pieces_pool ? 0 : -ENOMEM;
}

static void end_page(struct page *page, enum bio_op op, int err)
{
	if (op == BIO_READ) {
		if (likely(!err))
			SetPageUptodate(page);
		else
			SetPageError(page);
		unlock_page(page);
	} else {
		if (unlikely(err))
			mapping_set_error(page_mapping_file(page), err);
		end_page_writeback(page);
	}
}

static void end_whole(struct bio *bio)
{
	for (u32 i = 0; i < bio->nr_pages; i++)
		end_page(bio->pages[i], bio->op, bio->status);
	mempool_free(bio_pool, bio);
}

static struct bio *new_bio(struct ext2_sb *sbi, enum bio_op op, u32 block)
{
	struct bio *bio = mempool_alloc(bio_pool, GFP_NOIO);

	bio->bdev = sbi->bdev;
	bio->op = op;
	bio->sector = (u64)block * ext2_sectors(sbi);
	bio->nr_pages = 0;
	bio->nr_sectors = 0;
	bio->offset = 0;
	bio->len = 0;
	return bio;
}

void ext2_io_submit(struct ext2_io *io)
{
	if (io->bio)
		submit_bio(io->bio);
	io->bio = NULL;
}

void ext2_io_page(struct ext2_io *io, struct page *page, u32 block)
{
	struct bio *bio = io->bio;

	if (bio &&
	    (bio->nr_pages == BIO_MAX_PAGES ||
	     bio->sector + bio->nr_pages * (PAGE_SIZE / 512) != (u64)block * ext2_sectors(io->sbi)))
		ext2_io_submit(io);
	if (!io->bio) {
		io->bio = new_bio(io->sbi, io->op, block);
		io->bio->end_io = end_whole;
	}
	io->bio->pages[io->bio->nr_pages++] = page;
}

static void end_piece(struct bio *bio)
{
	struct page_pieces *pp = bio->private_;

	if (unlikely(bio->status))
		atomic_store(&pp->err, bio->status);
	if (atomic_dec_and_test(&pp->pending)) {
		end_page(pp->page, bio->op, atomic_load(&pp->err));
		mempool_free(pieces_pool, pp);
	}
	mempool_free(bio_pool, bio);
}

void ext2_io_pieces(struct ext2_sb *sbi, enum bio_op op, struct page *page,
		    const struct ext2_piece *piece, unsigned int n)
{
	struct page_pieces *pp = mempool_alloc(pieces_pool, GFP_NOIO);

	*pp = (struct page_pieces){.page = page, .pending = n};
	for (unsigned int i = 0; i < n; i++) {
		struct bio *bio = new_bio(sbi, op, piece[i].block);

		bio->nr_pages = 1;
		bio->pages[0] = page;
		bio->offset = piece[i].offset;
		bio->len = piece[i].len;
		bio->private_ = pp;
		bio->end_io = end_piece;
		submit_bio(bio);
	}
}
