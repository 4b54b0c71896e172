/*
 * Inodes: reading them from the inode table and writing them back, creating and deleting them.
 *
 * read_inode() checks the fields of an inode; block pointers are checked when they are used. The page of the
 * inode table stays pinned while the inode is in memory (X3).
 *
 * When a file without a name is closed, first its blocks are freed, then its raw inode gets a time of deletion,
 * then its bit in the bitmap is cleared. After a crash in between, the disk has an inode without links, which
 * e2fsck deletes. The disk also shows this while a file without a name is still open.
 */
#include "fs/ext2/ext2.h"

static void page_of_ino(const struct ext2_sb *sbi, u32 ino, u32 *block, u32 *offset)
{
	u32 at = (ino - 1) % sbi->inodes_per_group * sbi->inode_size;

	*block = ext2_group(sbi, (ino - 1) / sbi->inodes_per_group)->inode_table +
		 at / sbi->block_size;
	*offset = at % sbi->block_size;
}

/** Pin the raw inode. 0, -ENOMEM, -EIO, -EUCLEAN. */
static int attach(struct inode *inode)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	struct ext2_inode *ei;
	u32 block, offset;
	int err;

	if (!inode->ino || inode->ino > sbi->inodes_count)
		return ext2_error(sbi, "there is no inode %lu", (unsigned long)inode->ino);
	ei = kzalloc(sizeof(*ei), GFP_NOFS);
	if (!ei)
		return -ENOMEM;
	page_of_ino(sbi, inode->ino, &block, &offset);
	ei->page = ext2_meta_read(sbi, block, &err);
	if (!ei->page) {
		kfree(ei);
		return err;
	}
	ei->raw = (void *)((char *)page_address(ei->page) + offset);
	mutex_init(&ei->map_lock);
	spin_lock_init(&ei->raw_lock);
	inode->private_ = ei;
	return 0;
}

static void set_ops(struct inode *inode)
{
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		inode->ops = &ext2_file_iops;
		inode->fops = &ext2_file_ops;
		inode->i_data.ops = &ext2_data_aops;
		if (ext2_sb(inode->sb)->dax)
			inode->i_data.flags |= AS_DAX;
		break;
	case S_IFDIR:
		inode->ops = &ext2_dir_iops;
		inode->fops = &ext2_dir_ops;
		break;
	case S_IFLNK:
		inode->ops = &ext2_symlink_iops;
		break;
	default:
		inode->ops = &ext2_special_iops;
	}
}

/** Get a device number: in the old form with 8 bits each, or in Linux's form with 12 and 20 bits. */
static u64 get_rdev(const struct ext2_raw_inode *raw)
{
	return raw->block[0] ? raw->block[0] : raw->block[1];
}
static void put_rdev(struct ext2_raw_inode *raw, u64 rdev)
{
	raw->block[rdev > 0xffff] = rdev;
}

/** Is the file's size valid? 0 or -EUCLEAN. */
static int check_size(const struct inode *inode, u64 size)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	const char *wrong = NULL;

	if (size > ext2_max_size(sbi->block_size))
		wrong = "is longer than a file can be";
	else if (S_ISDIR(inode->mode) &&
		 (!size || size % sbi->block_size || size / sbi->block_size > sbi->blocks_count))
		wrong = "is no directory's";
	else if (S_ISLNK(inode->mode) && (!size || size >= sbi->block_size))
		wrong = "is no symbolic link's";
	if (likely(!wrong))
		return 0;
	return ext2_error(sbi, "inode %lu: its size, %lu, %s", (unsigned long)inode->ino,
			  (unsigned long)size, wrong);
}

static int read_inode(struct inode *inode)
{
	const struct ext2_raw_inode *raw;
	u64 size;
	int err = attach(inode);

	if (err)
		return err;
	raw = ext2_i(inode)->raw;
	inode->mode = raw->mode;
	inode->uid = raw->uid | (u32)raw->uid_high << 16;
	inode->gid = raw->gid | (u32)raw->gid_high << 16;
	inode->nlink = raw->links_count;
	inode->blocks = raw->blocks;
	inode->atime.sec = (s32)raw->atime;
	inode->mtime.sec = (s32)raw->mtime;
	inode->ctime.sec = (s32)raw->ctime;
	size = raw->size | (S_ISREG(inode->mode) ? (u64)raw->size_high << 32 : 0);
	if (!inode->nlink || !inode->mode) {
		err = ext2_error(ext2_sb(inode->sb), "inode %lu has a name, but is deleted",
				 (unsigned long)inode->ino);
		goto fail;
	}
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
		err = check_size(inode, size);
		if (err)
			goto fail;
		inode->i_data.size = size;
		break;
	case S_IFCHR:
	case S_IFBLK:
		inode->rdev = get_rdev(raw);
		break;
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		err = ext2_error(ext2_sb(inode->sb), "inode %lu has no type (mode 0%o)",
				 (unsigned long)inode->ino, inode->mode);
		goto fail;
	}
	set_ops(inode);
	return 0;
fail:
	put_page(ext2_i(inode)->page);
	kfree(inode->private_);
	inode->private_ = NULL;
	return err;
}

void ext2_update_inode(struct inode *inode)
{
	struct ext2_inode *ei = ext2_i(inode);
	struct ext2_raw_inode *raw = ei->raw;
	u64 size = READ_ONCE(inode->i_data.size);

	if (inode->sb->read_only)
		return;
	/* The disk stores seconds. A value that is read back must equal what stat(2) reported before. */
	inode->atime.nsec = inode->mtime.nsec = inode->ctime.nsec = 0;
	spin_lock(&ei->raw_lock);
	raw->mode = inode->mode;
	raw->uid = inode->uid;
	raw->uid_high = inode->uid >> 16;
	raw->gid = inode->gid;
	raw->gid_high = inode->gid >> 16;
	raw->links_count = inode->nlink;
	raw->blocks = inode->blocks;
	raw->atime = inode->atime.sec;
	raw->mtime = inode->mtime.sec;
	raw->ctime = inode->ctime.sec;
	raw->size = size;
	if (S_ISREG(inode->mode))
		raw->size_high = size >> 32;
	spin_unlock(&ei->raw_lock);
	set_page_dirty(ei->page);
}

static int write_inode(struct inode *inode)
{
	ext2_update_inode(inode);
	return 0;
}

struct inode *ext2_new_inode(struct inode *dir, u32 mode, u64 rdev, int *err)
{
	struct ext2_sb *sbi = ext2_sb(dir->sb);
	struct inode *inode;
	u32 ino;

	*err = ext2_alloc_ino(dir, mode, &ino);
	if (*err)
		return NULL;
	inode = new_inode(dir->sb, ino);
	if (!inode) {
		*err = -ENOMEM;
		goto free_ino;
	}
	inode->nlink = 0;
	*err = attach(inode);
	if (*err)
		goto put;
	memset(ext2_i(inode)->raw, 0, sbi->inode_size);
	ext2_i(inode)->raw->generation = get_random_u64();
	inode->mode = mode;
	inode->rdev = rdev;
	inode->blocks = 0;
	inode->atime = inode->mtime = inode->ctime = current_time();
	if ((mode & S_IFMT) == S_IFCHR || (mode & S_IFMT) == S_IFBLK)
		put_rdev(ext2_i(inode)->raw, rdev);
	set_ops(inode);
	ext2_update_inode(inode);
	insert_inode(inode);
	return inode; /* from here on evict_inode() frees it */
put:
	iput(inode); /* private_ is NULL, so evict_inode() does not free the number */
free_ino:
	ext2_free_ino(sbi, ino, S_ISDIR(mode));
	return NULL;
}

void ext2_drop_xattr_block(struct inode *inode)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	struct ext2_raw_inode *raw = ext2_i(inode)->raw;
	struct ext2_xattr_header *h;
	u32 block = raw->file_acl;
	struct page *page;
	int err;

	if (!block || !ext2_blocks_ok(sbi, block, 1))
		return;
	raw->file_acl = 0;
	page = ext2_meta_read(sbi, block, &err);
	if (!page)
		return;
	h = page_address(page);
	if (h->magic != EXT2_XATTR_MAGIC) {
		ext2_error(sbi, "inode %lu: block %u holds no attributes",
			   (unsigned long)inode->ino, block);
	} else if (h->refcount > 1) {
		h->refcount--;
		set_page_dirty(page);
	} else {
		ext2_meta_forget(sbi, block);
		ext2_free_blocks(sbi, block, 1);
	}
	put_page(page);
}

static bool has_blocks(const struct inode *inode)
{
	const struct ext2_raw_inode *raw = ext2_i(inode)->raw;
	u32 xattr = raw->file_acl ? ext2_sectors(ext2_sb(inode->sb)) : 0;

	/* The target of a short symbolic link is in the place of the block numbers. */
	return S_ISREG(inode->mode) || S_ISDIR(inode->mode) ||
	       (S_ISLNK(inode->mode) && inode->blocks > xattr);
}

static void evict_inode(struct inode *inode)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	struct ext2_inode *ei = ext2_i(inode);
	struct ext2_raw_inode *raw;

	if (!ei || sbi->sb->read_only)
		return;
	raw = ei->raw;
	inode->i_data.size = 0;
	if (has_blocks(inode))
		ext2_free_from(inode, 0);
	ext2_drop_xattr_block(inode);
	inode->nlink = 0;
	inode->blocks = 0;
	raw->dtime = current_time().sec;
	ext2_update_inode(inode);
	ext2_free_ino(sbi, inode->ino, S_ISDIR(inode->mode));
}

static void free_inode(struct inode *inode)
{
	if (!inode->private_)
		return;
	put_page(ext2_i(inode)->page);
	kfree(inode->private_);
	inode->private_ = NULL;
}

static void statfs(struct super_block *sb, struct vfs_statfs *st)
{
	struct ext2_sb *sbi = ext2_sb(sb);
	const struct ext2_super *es = sbi->es;

	memset(st, 0, sizeof(*st));
	st->type = EXT2_MAGIC;
	st->bsize = st->frsize = sbi->block_size;
	st->blocks = sbi->blocks_count - sbi->overhead;
	st->bfree = es->free_blocks_count;
	st->bavail = st->bfree > es->r_blocks_count ? st->bfree - es->r_blocks_count : 0;
	st->files = sbi->inodes_count;
	st->ffree = es->free_inodes_count;
	st->namelen = NAME_MAX;
	memcpy(st->fsid, es->uuid, sizeof(st->fsid));
}

const struct super_ops ext2_super_ops = {
	.read_inode = read_inode,
	.write_inode = write_inode,
	.evict_inode = evict_inode,
	.free_inode = free_inode,
	.xattr_load = ext2_xattr_load,
	.xattr_store = ext2_xattr_store,
	.sync_fs = ext2_sync_fs,
	.statfs = statfs,
	.remount = ext2_remount,
	.show_options = ext2_show_options,
	.put_super = ext2_put_super,
};
