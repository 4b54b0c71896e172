/*
 * Names: the VFS's operations on directories, and symbolic links.
 *
 * A name is added after its inode is complete, and an inode loses a link after the name was removed. So after a
 * crash an inode may have too many links, which e2fsck corrects, but each name has a valid inode.
 *
 * The ".." of a subdirectory must be the directory in which it was found. So even on a damaged disk the
 * directories form a tree.
 */
#include "fs/ext2/ext2.h"

static int lookup(struct inode *dir, const char *name, u32 len, struct inode **inode)
{
	struct ext2_sb *sbi = ext2_sb(dir->sb);
	u32 ino, up;
	int err = ext2_dir_find(dir, name, len, &ino);

	if (err)
		return err;
	if (ino < sbi->first_ino && ino != EXT2_ROOT_INO)
		return ext2_error(sbi, "directory %lu names inode %u, which is no file's",
				  (unsigned long)dir->ino, ino);
	*inode = iget(dir->sb, ino, &err);
	if (!*inode)
		return err;
	if (!S_ISDIR((*inode)->mode))
		return 0;
	err = ext2_dir_find(*inode, "..", 2, &up);
	if (err == -ENOENT || (!err && (up != dir->ino || ino == EXT2_ROOT_INO)))
		err = ext2_error(sbi, "directory %u is named in %lu, but belongs elsewhere", ino,
				 (unsigned long)dir->ino);
	if (err)
		iput(*inode);
	return err;
}

static void change_links(struct inode *inode, s32 by)
{
	inode->nlink += by;
	inode_touch(inode, S_CTIME);
	ext2_update_inode(inode);
}

/** Add a name for a new inode, which is its first link. If that fails, the inode is freed. */
static int enter(struct inode *dir, const char *name, u32 len, struct inode *fresh,
		 struct inode **inode)
{
	int err;

	fresh->nlink = S_ISDIR(fresh->mode) ? 2 : 1;
	ext2_update_inode(fresh);
	err = ext2_dir_add(dir, name, len, fresh);
	if (err) {
		fresh->nlink = 0;
		iput(fresh);
		return err;
	}
	if (S_ISDIR(fresh->mode))
		change_links(dir, 1);
	*inode = fresh;
	return 0;
}

static int create(struct inode *dir, const char *name, u32 len, u32 mode, u64 rdev,
		  struct inode **inode)
{
	struct inode *fresh;
	int err;

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	if (S_ISDIR(mode) && dir->nlink >= EXT2_LINK_MAX)
		return -EMLINK;
	fresh = ext2_new_inode(dir, mode, rdev, &err);
	if (!fresh)
		return err;
	if (S_ISDIR(mode)) {
		err = ext2_dir_make(fresh, dir);
		if (err) {
			iput(fresh);
			return err;
		}
	}
	return enter(dir, name, len, fresh, inode);
}

/** Create a file without a name. On the disk it is a deleted file until it gets a name. */
static int tmpfile(struct inode *dir, u32 mode, struct inode **inode)
{
	int err;

	*inode = ext2_new_inode(dir, mode, 0, &err);
	return err;
}

/** A link's target that is longer than this has its own block. */
#define FAST_SYMLINK (EXT2_N_BLOCKS * sizeof(u32))

static int set_target(struct inode *inode, const char *target, u32 len)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	struct page *page;
	u32 phys, count;
	int err;

	inode->i_data.size = len;
	if (len < FAST_SYMLINK) {
		memcpy(ext2_i(inode)->raw->block, target, len);
		return 0;
	}
	err = ext2_map(inode, 0, 1, EXT2_MAP_CREATE, &phys, &count);
	if (err)
		return err;
	page = ext2_meta_new(sbi, phys);
	if (!page)
		return -ENOMEM;
	memcpy(page_address(page), target, len);
	set_page_dirty(page);
	put_page(page);
	return 0;
}

static int symlink(struct inode *dir, const char *name, u32 len, const char *target,
		   struct inode **inode)
{
	size_t tlen = strlen(target);
	struct inode *fresh;
	int err;

	if (len > NAME_MAX || tlen >= dir->sb->blocksize)
		return -ENAMETOOLONG;
	fresh = ext2_new_inode(dir, S_IFLNK | 0777, 0, &err);
	if (!fresh)
		return err;
	err = set_target(fresh, target, tlen);
	if (err) {
		iput(fresh);
		return err;
	}
	return enter(dir, name, len, fresh, inode);
}

static long readlink(struct inode *inode, char *buf, size_t size)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	const struct ext2_raw_inode *raw = ext2_i(inode)->raw;
	u32 xattr = raw->file_acl ? ext2_sectors(sbi) : 0, phys, count;
	size_t len = inode->i_data.size, most;
	struct page *page = NULL;
	const char *target;
	int err;

	if (inode->blocks <= xattr) {
		target = (const char *)raw->block;
		most = FAST_SYMLINK;
	} else {
		err = ext2_map(inode, 0, 1, 0, &phys, &count);
		if (err)
			return err;
		if (!phys)
			return ext2_error(sbi, "symbolic link %lu has no target",
					  (unsigned long)inode->ino);
		page = ext2_meta_read(sbi, phys, &err);
		if (!page)
			return err;
		target = page_address(page);
		most = sbi->block_size;
	}
	len = strnlen(target, min(len, most));
	if (len + 1 > size) {
		err = -ENAMETOOLONG;
	} else {
		memcpy(buf, target, len);
		buf[len] = '\0';
		err = 0;
	}
	if (page)
		put_page(page);
	return err ? err : (long)len;
}

static int link(struct inode *dir, const char *name, u32 len, struct inode *inode)
{
	int err;

	if (inode->nlink >= EXT2_LINK_MAX)
		return -EMLINK;
	change_links(inode, 1);
	err = ext2_dir_add(dir, name, len, inode);
	if (err)
		change_links(inode, -1);
	return err;
}

static int unlink(struct inode *dir, const char *name, u32 len, struct inode *inode)
{
	int err = ext2_dir_remove(dir, name, len);

	if (!err)
		change_links(inode, -1);
	return err;
}

static int rmdir(struct inode *dir, const char *name, u32 len, struct inode *inode)
{
	int err = ext2_dir_empty(inode);

	if (!err)
		err = ext2_dir_remove(dir, name, len);
	if (err)
		return err;
	change_links(inode, -(s32)inode->nlink); /* the links of its "." and its name */
	change_links(dir, -1);
	return 0;
}

/** The new name is added first, so that after a crash the file has two names and not none. */
static int rename(struct inode *old_dir, const char *old_name, u32 old_len, struct inode *inode,
		  struct inode *new_dir, const char *new_name, u32 new_len, struct inode *victim)
{
	bool dir = S_ISDIR(inode->mode);
	int err;

	if (victim && S_ISDIR(victim->mode)) {
		err = ext2_dir_empty(victim);
		if (err)
			return err;
	}
	if (dir && !victim && new_dir != old_dir && new_dir->nlink >= EXT2_LINK_MAX)
		return -EMLINK;
	if (victim)
		err = ext2_dir_set(new_dir, new_name, new_len, inode);
	else
		err = ext2_dir_add(new_dir, new_name, new_len, inode);
	if (err)
		return err;
	err = ext2_dir_remove(old_dir, old_name, old_len);
	if (err) /* the VFS has found it before, so the disk has failed meanwhile */
		return ext2_error(ext2_sb(inode->sb), "inode %lu has two names after a rename",
				  (unsigned long)inode->ino);
	if (victim) {
		change_links(victim, S_ISDIR(victim->mode) ? -(s32)victim->nlink : -1);
		if (dir)
			change_links(new_dir, -1); /* the victim's ".." */
	}
	if (dir && new_dir != old_dir) {
		err = ext2_dir_set(inode, "..", 2, new_dir);
		change_links(old_dir, -1);
		change_links(new_dir, 1);
	}
	inode_touch(inode, S_CTIME);
	ext2_update_inode(inode);
	return err;
}

const struct inode_ops ext2_dir_iops = {
	.lookup = lookup,
	.create = create,
	.tmpfile = tmpfile,
	.symlink = symlink,
	.link = link,
	.unlink = unlink,
	.rmdir = rmdir,
	.rename = rename,
	.dirty = ext2_update_inode,
};
const struct inode_ops ext2_symlink_iops = {
	.readlink = readlink,
	.dirty = ext2_update_inode,
};
const struct inode_ops ext2_special_iops = {
	.dirty = ext2_update_inode,
};
