/*
 * ext2 in memory.
 *
 *   super_block ─private_─> ext2_sb ── meta: address_space, a page per block of metadata
 *   inode ─private_─> ext2_inode ── raw: the inode as it lies in its (pinned) metadata page
 *
 * There are two caches, and no block is in both. Data of regular files is in the address space of the
 * file, by file offset. Everything else (super block, descriptors, bitmaps, inode tables, indirect blocks,
 * directories, long symbolic links) is in `meta`, by block number. A page of `meta` holds one block even if
 * blocks are smaller than pages, so writing a page never writes a neighbouring block, which may be data.
 *
 * X1  A block number from the disk is used only after ext2_blocks_ok().
 * X2  A block that is freed leaves `meta` before its bit in the bitmap is cleared.
 * X3  An inode in memory pins the page with its raw inode: updating it cannot fail. Block pointers
 *     live in the raw inode only; size, mode, times in struct inode, copied by ext2_update_inode().
 * X4  Bits set in bitmaps, counts in descriptors and in the super block agree whenever alloc_lock is
 *     free.
 * X5  No block of a file lies beyond its size rounded up to a block.
 * X6  No file shows what a deleted file left in a block. Each block of a file holds what was written to
 *     the file, or zeroes, or its page in memory is dirty. So before the lock of its page is released, a
 *     new block has a dirty page, or it has been made a hole again.
 *
 * Locks, outermost first: those of vfs.h > page lock of data > map_lock (an inode's block tree) >
 * alloc_lock (bitmaps and counts) > page lock of metadata > raw_lock.
 */
#ifndef EXT2_EXT2_H
#define EXT2_EXT2_H
#include "fs/ext2/disk.h"
#include "fs/vfs.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/slab/slab.h"

struct ext2_sb {
	struct super_block *sb;	    /* C */
	struct block_device *bdev;  /* C */
	struct address_space meta;  /* pages of metadata by block number */
	struct page *super_page;    /* C: pinned */
	struct ext2_super *es;	    /* alloc_lock: in super_page */
	struct page **group_pages;  /* C: pinned */
	u8 *bitmap_checked;	    /* alloc_lock: a byte a group */
	u32 block_size, block_bits; /* C */
	u32 ptrs;		    /* C: block numbers in a block */
	u32 blocks_count, first_data_block, blocks_per_group;		/* C */
	u32 inodes_count, inodes_per_group, inode_size, first_ino;	/* C */
	u32 nr_groups, table_blocks, group_blocks, reserved_gdt_blocks; /* C */
	u64 overhead; /* C: blocks that never hold data */
	struct mutex alloc_lock;
	u32 errors_seen;  /* A: limits the messages in the log */
	bool writable;	  /* mounted for writing: the disk's state is not valid meanwhile */
	struct page *dax; /* C: -o dax: the page of block 0; NULL: data go through the page cache */
};

struct ext2_inode {
	struct page *page;	    /* C: of the inode table, pinned */
	struct ext2_raw_inode *raw; /* raw_lock; block[]: map_lock */
	spinlock_t raw_lock;
	struct mutex map_lock;
	u32 next_block, next_goal; /* map_lock: where a sequential writer continues */
	u32 room_hint;		   /* dir's lock: no room for a long name before this block */
	u8 fresh; /* inode->lock: blocks of the page being written that were allocated for it */
};

static inline struct ext2_sb *ext2_sb(const struct super_block *sb)
{
	return sb->private_;
}
static inline struct ext2_inode *ext2_i(const struct inode *inode)
{
	return inode->private_;
}
static inline u32 ext2_sectors(const struct ext2_sb *sbi)
{
	return sbi->block_size / 512;
}
/** The group descriptor. `group` is below nr_groups. */
static inline struct ext2_group *ext2_group(const struct ext2_sb *sbi, u32 group)
{
	u32 per = sbi->block_size / sizeof(struct ext2_group);

	return (struct ext2_group *)page_address(sbi->group_pages[group / per]) + group % per;
}
static inline u32 ext2_group_first(const struct ext2_sb *sbi, u32 group)
{
	return sbi->first_data_block + group * sbi->blocks_per_group;
}
/** Number of blocks in a group. The last group may be short. */
static inline u32 ext2_group_size(const struct ext2_sb *sbi, u32 group)
{
	return min(sbi->blocks_per_group, sbi->blocks_count - ext2_group_first(sbi, group));
}

/* super.c */
void ext2_init(void);
/** Report damage: log it (a limited number of times), record it in the super block, and make the file system
 * read-only if the super block asks for that. Returns -EUCLEAN. */
int ext2_error(struct ext2_sb *sbi, const char *fmt, ...) __printf(2, 3);
/** Are blocks [start, start + count) on the disk, and not used by the file system's own tables? */
bool ext2_blocks_ok(const struct ext2_sb *sbi, u32 start, u32 count);
/** With -o dax: the page of a data block that ext2_blocks_ok() has checked. Blocks are as large as pages then. */
static inline struct page *ext2_dax_page(const struct ext2_sb *sbi, u32 block)
{
	return sbi->dax + block;
}
/** Write all metadata to the disk, and flush the disk's cache. 0 or -EIO. */
int ext2_sync_meta(struct ext2_sb *sbi);
int ext2_sync_fs(struct super_block *sb);
int ext2_remount(struct super_block *sb, bool read_only, const char *options);
void ext2_show_options(struct report *r, struct super_block *sb);
void ext2_put_super(struct super_block *sb);
void ext2_super_dirty(struct ext2_sb *sbi);
void ext2_group_dirty(struct ext2_sb *sbi, u32 group);

/* io.c */
/** A request that is being built. Pages that follow each other on the disk share one request. */
struct ext2_io {
	struct ext2_sb *sbi;
	enum bio_op op;
	struct bio *bio;
};
int ext2_io_init(void);
/** Add a whole page at a block. It is locked (for reading) or under writeback (for writing), and is unlocked or
 * marked done when its I/O ends. */
void ext2_io_page(struct ext2_io *io, struct page *page, u32 block);
void ext2_io_submit(struct ext2_io *io);
/** A piece of a page whose blocks do not follow each other: bytes [offset, offset + len). */
struct ext2_piece {
	u32 block, offset, len;
};
void ext2_io_pieces(struct ext2_sb *sbi, enum bio_op op, struct page *page,
		    const struct ext2_piece *piece, unsigned int n);

/* meta.c */
extern const struct address_space_ops ext2_meta_aops;
/** Get the page of a metadata block, which is read if necessary, with a reference. NULL: *err has the error. */
struct page *ext2_meta_read(struct ext2_sb *sbi, u32 block, int *err);
/** The same, but NULL if it is not in memory. */
struct page *ext2_meta_find(struct ext2_sb *sbi, u32 block);
/** Get a page of zeroes for a new metadata block, dirty, with a reference. NULL: no memory. */
struct page *ext2_meta_new(struct ext2_sb *sbi, u32 block);
/** The block is freed: drop its page from the cache without writing it. */
void ext2_meta_forget(struct ext2_sb *sbi, u32 block);

/* balloc.c */
/** Allocate a block, near `goal` if possible. 0, -ENOSPC, -EROFS, -EIO, -EUCLEAN. */
int ext2_alloc_block(struct ext2_sb *sbi, u32 goal, u32 *block);
/** Free blocks. 0, or -EUCLEAN: they are not in use, or do not belong to files. */
int ext2_free_blocks(struct ext2_sb *sbi, u32 start, u32 count);

/* ialloc.c */
/** Allocate an inode number for a child of `dir`. 0, -ENOSPC, -EROFS, -EIO. */
int ext2_alloc_ino(struct inode *dir, u32 mode, u32 *ino);
void ext2_free_ino(struct ext2_sb *sbi, u32 ino, bool dir);

/* map.c: the block tree of an inode */
#define EXT2_MAP_CREATE 1u /* allocate what is missing; one block at a time */
#define EXT2_MAP_NOWAIT 2u /* -EAGAIN rather than wait for a lock or the disk */
/** Find block `iblock` of the file on the disk: *phys (0: it is a hole), and in *count how many blocks (at most `max`)
 * follow each other there. 0 or -errno. */
int ext2_map(struct inode *inode, u32 iblock, u32 max, u32 flags, u32 *phys, u32 *count);
/** Allocate block `iblock` unless it exists. *fresh: it was allocated now and may hold data of a deleted file, so the
 * caller must overwrite all of it, or call ext2_unmap_block(). 0 or -errno. */
int ext2_map_create(struct inode *inode, u32 iblock, bool *fresh);
/** Make one data block a hole again. Its indirect blocks stay. */
void ext2_unmap_block(struct inode *inode, u32 iblock);
/** Free all blocks of the file from number `keep` on. Continues after an error. 0 or the first error. */
int ext2_free_from(struct inode *inode, u32 keep);
/** The largest size of a file, in bytes, with this block size. [pure] */
u64 ext2_max_size(u32 block_size);

/* inode.c */
extern const struct super_ops ext2_super_ops;
/** Create an inode for a child of dir, in the hash, with nlink 0 and a reference. NULL: *err has the error. */
struct inode *ext2_new_inode(struct inode *dir, u32 mode, u64 rdev, int *err);
/** Copy the fields of struct inode to the raw inode. Cannot fail. */
void ext2_update_inode(struct inode *inode);

/** The file gives up its block of extended attributes: drop the block's count of users, and free it with the last
 * one. */
void ext2_drop_xattr_block(struct inode *inode);

/* xattr.c: as struct super_ops says */
int ext2_xattr_load(struct inode *inode);
int ext2_xattr_store(struct inode *inode);

/* file.c */
extern const struct address_space_ops ext2_data_aops;
extern const struct inode_ops ext2_file_iops;
extern struct file_ops ext2_file_ops; /* generic_file_ops with our fsync; filled by ext2_init */
int ext2_fsync(struct file *f, u64 start, u64 end);

/* dir.c */
extern const struct file_ops ext2_dir_ops;
/** Find a name. 0 and *ino, -ENOENT, or another error. */
int ext2_dir_find(struct inode *dir, const char *name, u32 len, u32 *ino);
/** Add a name that does not exist yet. 0, -ENOSPC... */
int ext2_dir_add(struct inode *dir, const char *name, u32 len, const struct inode *inode);
/** Remove a name. 0 or -ENOENT. */
int ext2_dir_remove(struct inode *dir, const char *name, u32 len);
/** Let an existing name refer to another inode. */
int ext2_dir_set(struct inode *dir, const char *name, u32 len, const struct inode *inode);
/** Write the first block of a new directory, with "." and "..". */
int ext2_dir_make(struct inode *dir, const struct inode *parent);
/** Is the directory empty, except for "." and ".."? 0 or -ENOTEMPTY. */
int ext2_dir_empty(struct inode *dir);

/* namei.c */
extern const struct inode_ops ext2_dir_iops, ext2_symlink_iops, ext2_special_iops;
#endif
