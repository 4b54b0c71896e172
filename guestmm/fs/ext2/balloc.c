/*
 * Allocating and freeing blocks.
 *
 * The first free block after `goal` is allocated: first in the goal's group from the goal on, then in the
 * groups after it, then in the goal's group from its beginning. Callers pass good goals: the block after the
 * file's last one, or the group of its inode.
 *
 * X4 of ext2.h holds because bitmap, descriptor and super block change together under alloc_lock. A bitmap is
 * checked when it is first used. After that each free block in it is still compared with the file system's own
 * tables (X1). So a wrong bitmap can damage files, but not the structure of the file system.
 */
#include "fs/ext2/bitmap.h"
#include "fs/ext2/ext2.h"
#include "mm/cache/dax.h"

/** Are the group's own blocks marked as in use? */
static bool bitmap_sane(struct ext2_sb *sbi, u32 group, const void *map)
{
	const struct ext2_group *gd = ext2_group(sbi, group);
	u32 first = ext2_group_first(sbi, group);

	if (!bitmap_test(map, gd->block_bitmap - first) ||
	    !bitmap_test(map, gd->inode_bitmap - first))
		return false;
	for (u32 i = 0; i < sbi->table_blocks; i++)
		if (!bitmap_test(map, gd->inode_table - first + i))
			return false;
	return true;
}

/** Get the page of the group's bitmap, with a reference. NULL: *err has the error. alloc_lock held. */
static struct page *read_bitmap(struct ext2_sb *sbi, u32 group, int *err)
{
	struct page *page = ext2_meta_read(sbi, ext2_group(sbi, group)->block_bitmap, err);

	if (!page || sbi->bitmap_checked[group])
		return page;
	if (!bitmap_sane(sbi, group, page_address(page))) {
		*err = ext2_error(sbi, "block bitmap of group %u is damaged", group);
		put_page(page);
		return NULL;
	}
	sbi->bitmap_checked[group] = 1;
	return page;
}

static void count_blocks(struct ext2_sb *sbi, u32 group, s32 freed)
{
	ext2_group(sbi, group)->free_blocks_count += freed;
	sbi->es->free_blocks_count += freed;
	ext2_group_dirty(sbi, group);
	ext2_super_dirty(sbi);
}

/** Allocate the first free block of the group from bit `from` on. 0, -ENOSPC, or another error. alloc_lock held. */
static int alloc_in_group(struct ext2_sb *sbi, u32 group, u32 from, u32 *block)
{
	u32 size = ext2_group_size(sbi, group), bit;
	struct page *page;
	int err = -ENOSPC;

	if (!ext2_group(sbi, group)->free_blocks_count)
		return -ENOSPC;
	page = read_bitmap(sbi, group, &err);
	if (!page)
		return err;
	bit = bitmap_next_zero(page_address(page), from, size);
	if (bit == size)
		goto out;
	*block = ext2_group_first(sbi, group) + bit;
	if (unlikely(!ext2_blocks_ok(sbi, *block, 1))) {
		err = ext2_error(sbi, "block %u is free in group %u, but the file system's own",
				 *block, group);
		goto out;
	}
	bitmap_set(page_address(page), bit);
	set_page_dirty(page);
	count_blocks(sbi, group, -1);
	err = 0;
out:
	put_page(page);
	return err;
}

int ext2_alloc_block(struct ext2_sb *sbi, u32 goal, u32 *block)
{
	u32 group, from;
	int err, worst = -ENOSPC;

	if (sbi->sb->read_only)
		return -EROFS;
	if (goal < sbi->first_data_block || goal >= sbi->blocks_count)
		goal = sbi->first_data_block;
	group = (goal - sbi->first_data_block) / sbi->blocks_per_group;
	from = (goal - sbi->first_data_block) % sbi->blocks_per_group;

	mutex_lock(&sbi->alloc_lock);
	/* The goal's group is searched twice: first after the goal, and at the end as a whole. */
	for (u32 i = 0; i <= sbi->nr_groups; i++) {
		err = alloc_in_group(sbi, group, from, block);
		if (!err)
			goto out;
		if (err != -ENOSPC)
			worst = err;
		from = 0;
		if (++group == sbi->nr_groups)
			group = 0;
	}
	err = worst;
out:
	mutex_unlock(&sbi->alloc_lock);
	return err;
}

/** Free blocks of one group. alloc_lock held. */
static int free_in_group(struct ext2_sb *sbi, u32 group, u32 start, u32 count)
{
	u32 bit = start - ext2_group_first(sbi, group), i;
	int err = 0;
	struct page *page = read_bitmap(sbi, group, &err);

	if (!page)
		return err;
	for (i = 0; i < count; i++) {
		if (unlikely(!bitmap_test(page_address(page), bit + i))) {
			err = ext2_error(sbi, "block %u is freed, but not in use", start + i);
			break;
		}
		bitmap_clear(page_address(page), bit + i);
	}
	if (i) {
		set_page_dirty(page);
		count_blocks(sbi, group, i);
	}
	put_page(page);
	return err;
}

int ext2_free_blocks(struct ext2_sb *sbi, u32 start, u32 count)
{
	int err = 0;

	if (!ext2_blocks_ok(sbi, start, count))
		return ext2_error(sbi, "blocks %u to %u are no file's, but freed", start,
				  start + count - 1);
	if (sbi->dax)
		dax_forget_frames(ext2_dax_page(sbi, start), count);
	mutex_lock(&sbi->alloc_lock);
	while (count && !err) {
		u32 group = (start - sbi->first_data_block) / sbi->blocks_per_group;
		u32 here = min(count, ext2_group_first(sbi, group) + sbi->blocks_per_group - start);

		err = free_in_group(sbi, group, start, here);
		start += here;
		count -= here;
	}
	mutex_unlock(&sbi->alloc_lock);
	return err;
}
