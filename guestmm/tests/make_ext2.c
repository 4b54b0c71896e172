/*
 * The smallest ext2 there is: one group of 4K blocks, written block by block.
 */
#include "tests/make_ext2.h"
#include "fs/ext2/disk.h"
#include "fs/internal.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/block/bio.h"
#include "mm/phys/alloc.h"
#include "tests/tests.h"

#define BLOCK  4096u
#define INODES 256u
#define TABLE  (INODES * EXT2_OLD_INODE / BLOCK)

/* Where things are: super block, descriptor, bitmaps, table, the root's block. */
enum { GROUP_AT = 1, BITMAP_AT, INODES_AT, TABLE_AT, ROOT_AT = TABLE_AT + TABLE, FIRST_FREE };

static int put_block(struct block_device *bdev, struct page *page, u32 block)
{
	struct bio bio = {.bdev = bdev,
			  .op = BIO_WRITE,
			  .sector = (u64)block * 8,
			  .nr_pages = 1,
			  .pages = {page}};
	int err = submit_bio_wait(&bio);

	memset(page_address(page), 0, PAGE_SIZE);
	return err;
}

static void mark_used(u8 *map, u32 from, u32 to)
{
	for (u32 bit = from; bit < to; bit++)
		map[bit / 8] |= 1u << bit % 8;
}

static int fill(struct block_device *bdev, struct page *page, u32 blocks)
{
	void *p = page_address(page);
	struct ext2_super *es = p + EXT2_SUPER_OFFSET;
	struct ext2_group *gd = p;
	struct ext2_raw_inode *root = p + (EXT2_ROOT_INO - 1) * EXT2_OLD_INODE;
	struct ext2_dirent *de = p;
	int err;

	memset(p, 0, PAGE_SIZE);
	es->inodes_count = es->inodes_per_group = INODES;
	es->blocks_count = blocks;
	es->free_blocks_count = blocks - FIRST_FREE;
	es->free_inodes_count = INODES - EXT2_OLD_FIRST + 1;
	es->log_block_size = es->log_frag_size = 2;
	es->blocks_per_group = es->frags_per_group = BLOCK * 8;
	es->magic = EXT2_MAGIC;
	es->state = EXT2_VALID_FS;
	es->errors = EXT2_ERRORS_CONTINUE;
	err = put_block(bdev, page, 0);
	gd->block_bitmap = BITMAP_AT;
	gd->inode_bitmap = INODES_AT;
	gd->inode_table = TABLE_AT;
	gd->free_blocks_count = blocks - FIRST_FREE;
	gd->free_inodes_count = INODES - EXT2_OLD_FIRST + 1;
	gd->used_dirs_count = 1;
	err = err ? err : put_block(bdev, page, GROUP_AT);
	mark_used(p, 0, FIRST_FREE);
	mark_used(p, blocks, BLOCK * 8);
	err = err ? err : put_block(bdev, page, BITMAP_AT);
	mark_used(p, 0, EXT2_OLD_FIRST - 1);
	mark_used(p, INODES, BLOCK * 8);
	err = err ? err : put_block(bdev, page, INODES_AT);
	for (u32 i = 1; i < TABLE && !err; i++)
		err = put_block(bdev, page, TABLE_AT + i);
	root->mode = S_IFDIR | 0755;
	root->size = BLOCK;
	root->links_count = 2;
	root->blocks = BLOCK / 512;
	root->block[0] = ROOT_AT;
	err = err ? err : put_block(bdev, page, TABLE_AT);
	*de = (struct ext2_dirent){EXT2_ROOT_INO, 12, 1, 0};
	de->name[0] = '.';
	de = p + 12;
	*de = (struct ext2_dirent){EXT2_ROOT_INO, BLOCK - 12, 2, 0};
	de->name[0] = de->name[1] = '.';
	return err ? err : put_block(bdev, page, ROOT_AT);
}

int make_ext2(struct block_device *bdev, u32 blocks)
{
	struct page *page = alloc_page(GFP_KERNEL);
	int err;

	if (!page)
		return -ENOMEM;
	err = fill(bdev, page, blocks);
	__free_page(page);
	return err;
}

struct file *make_file(struct test *t, const char *name)
{
	struct file *f = NULL;

	CHECK_EQ(vfs_open(AT_FDCWD, name, O_CREAT | O_RDWR, 0644, &f), 0);
	return f;
}
