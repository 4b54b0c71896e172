/*
 * Allocating inodes, which decides in which group a new file is.
 *
 * A file is put into the group of its directory, so that the contents of a directory are near each other.
 * Directories below the root are spread: each is put into the emptiest group. Directories below those are put
 * near their parent, if its group is not fuller than most (Orlov's allocator, without its debt counters).
 */
#include "fs/ext2/bitmap.h"
#include "fs/ext2/ext2.h"

static u32 ino_group(const struct ext2_sb *sbi, u32 ino)
{
	return (ino - 1) / sbi->inodes_per_group;
}

/** Group with the most free blocks among those with no fewer free inodes than the average. */
static u32 emptiest_group(const struct ext2_sb *sbi)
{
	u32 average = sbi->es->free_inodes_count / sbi->nr_groups, best = 0, most = 0;

	for (u32 g = 0; g < sbi->nr_groups; g++) {
		const struct ext2_group *gd = ext2_group(sbi, g);

		if (gd->free_inodes_count && gd->free_inodes_count >= average &&
		    gd->free_blocks_count > most) {
			best = g;
			most = gd->free_blocks_count;
		}
	}
	return best;
}

/** The group in which the search for a directory's inode begins. alloc_lock held. */
static u32 dir_group(const struct ext2_sb *sbi, const struct inode *parent)
{
	const struct ext2_super *es = sbi->es;
	u32 group = ino_group(sbi, parent->ino);

	if (parent->ino == EXT2_ROOT_INO)
		return emptiest_group(sbi);
	for (u32 i = 0; i < sbi->nr_groups; i++) {
		u32 g = (group + i) % sbi->nr_groups;
		const struct ext2_group *gd = ext2_group(sbi, g);

		if (gd->free_inodes_count &&
		    gd->free_inodes_count >= es->free_inodes_count / sbi->nr_groups / 2 &&
		    gd->free_blocks_count >= es->free_blocks_count / sbi->nr_groups / 2)
			return g;
	}
	return group;
}

static void count_inodes(struct ext2_sb *sbi, u32 group, s32 freed, bool dir)
{
	struct ext2_group *gd = ext2_group(sbi, group);

	gd->free_inodes_count += freed;
	if (dir)
		gd->used_dirs_count -= freed;
	sbi->es->free_inodes_count += freed;
	ext2_group_dirty(sbi, group);
	ext2_super_dirty(sbi);
}

/** Allocate a free inode of the group. 0, -ENOSPC, or another error. alloc_lock held. */
static int alloc_in_group(struct ext2_sb *sbi, u32 group, bool dir, u32 *ino)
{
	u32 from = group ? 0 : sbi->first_ino - 1, bit;
	struct page *page;
	int err = -ENOSPC;

	if (!ext2_group(sbi, group)->free_inodes_count)
		return -ENOSPC;
	page = ext2_meta_read(sbi, ext2_group(sbi, group)->inode_bitmap, &err);
	if (!page)
		return err;
	bit = bitmap_next_zero(page_address(page), from, sbi->inodes_per_group);
	if (bit < sbi->inodes_per_group) {
		bitmap_set(page_address(page), bit);
		set_page_dirty(page);
		count_inodes(sbi, group, -1, dir);
		*ino = group * sbi->inodes_per_group + bit + 1;
		err = 0;
	}
	put_page(page);
	return err;
}

int ext2_alloc_ino(struct inode *dir, u32 mode, u32 *ino)
{
	struct ext2_sb *sbi = ext2_sb(dir->sb);
	int err = -ENOSPC, worst = -ENOSPC;
	u32 group;

	if (sbi->sb->read_only)
		return -EROFS;
	mutex_lock(&sbi->alloc_lock);
	group = S_ISDIR(mode) ? dir_group(sbi, dir) : ino_group(sbi, dir->ino);
	for (u32 i = 0; i < sbi->nr_groups; i++) {
		err = alloc_in_group(sbi, (group + i) % sbi->nr_groups, S_ISDIR(mode), ino);
		if (!err)
			break;
		if (err != -ENOSPC)
			worst = err;
	}
	mutex_unlock(&sbi->alloc_lock);
	return err ? worst : 0;
}

void ext2_free_ino(struct ext2_sb *sbi, u32 ino, bool dir)
{
	u32 group = ino_group(sbi, ino), bit = (ino - 1) % sbi->inodes_per_group;
	struct page *page;
	int err;

	mutex_lock(&sbi->alloc_lock);
	page = ext2_meta_read(sbi, ext2_group(sbi, group)->inode_bitmap, &err);
	if (page) {
		if (bitmap_test(page_address(page), bit)) {
			bitmap_clear(page_address(page), bit);
			set_page_dirty(page);
			count_inodes(sbi, group, 1, dir);
		} else {
			ext2_error(sbi, "inode %u is freed, but not in use", ino);
		}
		put_page(page);
	}
	mutex_unlock(&sbi->alloc_lock);
}
