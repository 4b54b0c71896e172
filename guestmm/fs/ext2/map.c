/*
 * The block tree of an inode: from a block of the file to a block of the disk.
 *
 *   raw->block[0..11] ─> data
 *   raw->block[12] ─> indirect ─> data
 *   raw->block[13] ─> double ─> indirect ─> data
 *   raw->block[14] ─> triple ─> double ─> indirect ─> data        0 anywhere: a hole
 *
 * A new block and all missing indirect blocks above it are allocated first and then linked, from the bottom
 * up. So a failure leaves the tree unchanged.
 *
 * Freeing clears a pointer before the block's bit in the bitmap, and it clears the bit of an indirect block
 * before it frees the blocks below it. If a damaged tree has a block twice, this is noticed at the second visit.
 * So the cost is limited to the number of blocks on the disk times the pointers in a block.
 *
 * map_lock is held for all of this.
 */
#include "fs/ext2/ext2.h"

#define MAX_DEPTH 4

/** Slots to follow, in block[] first. Returns their number, 0 beyond the largest file. [pure] */
static unsigned int block_path(u32 ptrs, u64 iblock, u32 slot[MAX_DEPTH])
{
	u64 n = ptrs, span = ptrs;
	unsigned int depth = 2;

	if (iblock < EXT2_NDIR) {
		slot[0] = iblock;
		return 1;
	}
	iblock -= EXT2_NDIR;
	while (iblock >= span) {
		iblock -= span;
		span *= n;
		if (++depth > MAX_DEPTH)
			return 0;
	}
	slot[0] = EXT2_NDIR + depth - 2;
	for (unsigned int i = 1; i < depth; i++) {
		span /= n;
		slot[i] = iblock / span;
		iblock %= span;
	}
	return depth;
}

u64 ext2_max_size(u32 block_size)
{
	u64 n = block_size / 4;
	u64 by_tree = (EXT2_NDIR + n + n * n + n * n * n) * block_size;
	/* i_blocks is a 32-bit number of units of 512 bytes, which include indirect blocks. */
	u64 by_count = ((1ull << 32) - 1) * 512 / (n + 2) * n;

	return min(by_tree, ALIGN_DOWN(by_count, (u64)PAGE_SIZE));
}

/** The pointers on the way down to a block, as far as they exist. */
struct walk {
	u32 slot[MAX_DEPTH];
	unsigned int depth;
	unsigned int level;	      /* of the last pointer that was read */
	u32 *ptr[MAX_DEPTH];	      /* pointers on the way, [0..level] */
	struct page *page[MAX_DEPTH]; /* their pages, with references; NULL: the inode */
};

static void walk_end(struct walk *w)
{
	for (unsigned int i = 1; i <= w->level; i++)
		put_page(w->page[i]);
}

/** Walk down to block `iblock`, or to the first pointer that is 0. 0: the caller must call walk_end(). Or -errno. */
static int walk_down(struct inode *inode, u32 iblock, u32 flags, struct walk *w)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	int err = 0;

	w->level = 0;
	w->depth = block_path(sbi->ptrs, iblock, w->slot);
	if (!w->depth)
		return -EFBIG;
	w->page[0] = NULL;
	w->ptr[0] = &ext2_i(inode)->raw->block[w->slot[0]];
	while (w->level + 1 < w->depth) {
		u32 block = READ_ONCE(*w->ptr[w->level]);
		struct page *page;

		if (!block)
			return 0;
		if (unlikely(!ext2_blocks_ok(sbi, block, 1))) {
			err = ext2_error(sbi, "inode %lu: indirect block %u is no file's",
					 (unsigned long)inode->ino, block);
			goto fail;
		}
		if (flags & EXT2_MAP_NOWAIT) {
			page = ext2_meta_find(sbi, block);
			err = -EAGAIN;
		} else {
			page = ext2_meta_read(sbi, block, &err);
		}
		if (!page)
			goto fail;
		w->level++;
		w->page[w->level] = page;
		w->ptr[w->level] = (u32 *)page_address(page) + w->slot[w->level];
	}
	return 0;
fail:
	walk_end(w);
	return err;
}

/** How many blocks of the file, from the wanted one on, are below the pointer that is 0. */
static u32 hole_length(const struct ext2_sb *sbi, const struct walk *w)
{
	u64 span = 1, at = 0;

	for (unsigned int i = w->level + 1; i < w->depth; i++) {
		at = at * sbi->ptrs + w->slot[i];
		span *= sbi->ptrs;
	}
	return min(span - at, (u64)UINT32_MAX);
}

/** How many blocks of the last table are contiguous on the disk, or holes. */
static u32 run_length(const struct ext2_sb *sbi, const struct walk *w, u32 block, u32 max)
{
	u32 end = w->level ? sbi->ptrs : EXT2_NDIR, n = 1;
	const u32 *p = w->ptr[w->level];

	max = min(max, end - w->slot[w->level]);
	while (n < max && p[n] == (block ? block + n : 0))
		n++;
	return n;
}

static u32 find_goal(struct inode *inode, u32 iblock, const struct walk *w)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	const struct ext2_inode *ei = ext2_i(inode);

	if (iblock && iblock == ei->next_block)
		return ei->next_goal;
	/* The goal is after the nearest earlier block in the same table, or after the table itself. */
	if (w->level + 1 == w->depth)
		for (u32 i = 1; i <= w->slot[w->level]; i++)
			if (w->ptr[w->level][-(s32)i])
				return w->ptr[w->level][-(s32)i] + i;
	if (w->level)
		return *w->ptr[w->level - 1] + 1;
	return ext2_group_first(sbi, (inode->ino - 1) / sbi->inodes_per_group);
}

/** Allocate what is missing below the last pointer, and link it. */
static int fill_hole(struct inode *inode, u32 iblock, struct walk *w, u32 *phys)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	struct ext2_inode *ei = ext2_i(inode);
	unsigned int need = w->depth - w->level, n, tables = 0;
	struct page *table[MAX_DEPTH];
	u32 block[MAX_DEPTH], goal = find_goal(inode, iblock, w);
	int err = 0;

	for (n = 0; n < need; n++) {
		err = ext2_alloc_block(sbi, goal, &block[n]);
		if (err)
			goto undo;
		goal = block[n] + 1;
	}
	/* A reader that finds the block reads it in place (D6 of mm/cache/dax.c), so it must be zero. */
	if (sbi->dax && S_ISREG(inode->mode))
		clear_page(page_address(ext2_dax_page(sbi, block[need - 1])));
	for (; tables + 1 < need; tables++) {
		table[tables] = ext2_meta_new(sbi, block[tables]);
		if (!table[tables]) {
			err = -ENOMEM;
			goto undo;
		}
		((u32 *)page_address(table[tables]))[w->slot[w->level + 1 + tables]] =
			block[tables + 1];
	}
	WRITE_ONCE(*w->ptr[w->level], block[0]);
	if (w->level)
		set_page_dirty(w->page[w->level]);
	while (tables) {
		tables--;
		set_page_dirty(table[tables]);
		put_page(table[tables]);
	}
	inode->blocks += need * ext2_sectors(sbi);
	ext2_update_inode(inode);
	*phys = block[need - 1];
	ei->next_block = iblock + 1;
	ei->next_goal = *phys + 1;
	return 0;
undo:
	while (tables) {
		tables--;
		put_page(table[tables]);
		ext2_meta_forget(sbi, block[tables]);
	}
	while (n)
		ext2_free_blocks(sbi, block[--n], 1);
	return err;
}

/* ext2_map(). *fresh: the block was allocated by this call. */
static int map_block(struct inode *inode, u32 iblock, u32 max, u32 flags, u32 *phys, u32 *count,
		     bool *fresh)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	struct ext2_inode *ei = ext2_i(inode);
	struct walk w;
	int err;

	if (!(flags & EXT2_MAP_NOWAIT))
		mutex_lock(&ei->map_lock);
	else if (!mutex_trylock(&ei->map_lock))
		return -EAGAIN;
	err = walk_down(inode, iblock, flags, &w);
	if (err)
		goto unlock;
	*phys = w.level + 1 == w.depth ? READ_ONCE(*w.ptr[w.level]) : 0;
	*count = 1;
	if (*phys) {
		*count = run_length(sbi, &w, *phys, max);
		if (unlikely(!ext2_blocks_ok(sbi, *phys, *count)))
			err = ext2_error(sbi, "inode %lu: block %u is no file's",
					 (unsigned long)inode->ino, *phys);
	} else if (flags & EXT2_MAP_CREATE) {
		/* Allocation may wait for memory and bitmaps. */
		err = flags & EXT2_MAP_NOWAIT ? -EAGAIN : fill_hole(inode, iblock, &w, phys);
		*fresh = !err;
	} else {
		*count = w.level + 1 == w.depth ? run_length(sbi, &w, 0, max)
						: min(hole_length(sbi, &w), max);
	}
	walk_end(&w);
unlock:
	mutex_unlock(&ei->map_lock);
	return err;
}

int ext2_map(struct inode *inode, u32 iblock, u32 max, u32 flags, u32 *phys, u32 *count)
{
	bool fresh = false;

	return map_block(inode, iblock, max, flags, phys, count, &fresh);
}

int ext2_map_create(struct inode *inode, u32 iblock, bool *fresh)
{
	u32 phys, count;

	*fresh = false;
	return map_block(inode, iblock, 1, EXT2_MAP_CREATE, &phys, &count, fresh);
}

/* ---- freeing ---- */

void ext2_unmap_block(struct inode *inode, u32 iblock)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	struct ext2_inode *ei = ext2_i(inode);
	struct walk w;

	mutex_lock(&ei->map_lock);
	if (walk_down(inode, iblock, 0, &w))
		goto unlock; /* damage was found; e2fsck will free the rest */
	if (w.level + 1 == w.depth && *w.ptr[w.level]) {
		u32 block = *w.ptr[w.level];

		*w.ptr[w.level] = 0;
		if (w.level)
			set_page_dirty(w.page[w.level]);
		ext2_free_blocks(sbi, block, 1);
		inode->blocks -= min(inode->blocks, (u64)ext2_sectors(sbi));
		ei->next_block = 0;
		ext2_update_inode(inode);
	}
	walk_end(&w);
unlock:
	mutex_unlock(&ei->map_lock);
}

/** The state of freeing a tree. Data blocks that follow each other are freed together. */
struct cut {
	struct inode *inode;
	struct ext2_sb *sbi;
	bool meta; /* data blocks are in the metadata's cache, too: a directory, a symbolic link */
	u32 start, count;
	u32 freed; /* blocks, indirect ones included */
	int err;
};

static void cut_flush(struct cut *c)
{
	int err = 0;

	if (c->count)
		err = ext2_free_blocks(c->sbi, c->start, c->count);
	c->count = 0;
	if (err && !c->err)
		c->err = err;
}

static void cut_data(struct cut *c, u32 block)
{
	c->freed++;
	if (unlikely(!ext2_blocks_ok(c->sbi, block, 1))) {
		c->err = ext2_error(c->sbi, "inode %lu: block %u is no file's",
				    (unsigned long)c->inode->ino, block);
		return;
	}
	if (c->meta)
		ext2_meta_forget(c->sbi, block);
	if (c->count && c->start + c->count == block) {
		c->count++;
		return;
	}
	cut_flush(c);
	c->start = block;
	c->count = 1;
}

/**
 * Free the blocks below a pointer from number `keep` on, counted from the first of the subtree. There are
 * `level` tables between the pointer and data. After an error nothing more is freed; e2fsck does the rest.
 */
static void cut_tree(struct cut *c, u32 *ptr, unsigned int level, u64 keep)
{
	u32 block = *ptr, first;
	struct page *page;
	u64 span = 1;
	int err;

	if (!block || c->err)
		return;
	if (!level) {
		*ptr = 0;
		cut_data(c, block);
		return;
	}
	if (unlikely(!ext2_blocks_ok(c->sbi, block, 1))) {
		c->err = ext2_error(c->sbi, "inode %lu: indirect block %u is no file's",
				    (unsigned long)c->inode->ino, block);
		return;
	}
	page = ext2_meta_read(c->sbi, block, &err);
	if (!page) {
		c->err = err;
		return;
	}
	if (!keep) {
		*ptr = 0;
		cut_flush(c);
		c->freed++;
		ext2_meta_forget(c->sbi, block); /* the page stays valid by our reference */
		err = ext2_free_blocks(c->sbi, block, 1);
		if (err) {
			c->err = err;
			put_page(page);
			return;
		}
	}
	for (unsigned int i = 1; i < level; i++)
		span *= c->sbi->ptrs;
	first = keep / span;
	for (u32 i = first; i < c->sbi->ptrs && !c->err; i++)
		cut_tree(c, (u32 *)page_address(page) + i, level - 1, i == first ? keep % span : 0);
	if (keep)
		set_page_dirty(page);
	put_page(page);
	cond_resched();
}

int ext2_free_from(struct inode *inode, u32 keep)
{
	struct ext2_sb *sbi = ext2_sb(inode->sb);
	struct ext2_inode *ei = ext2_i(inode);
	struct cut c = {.inode = inode, .sbi = sbi, .meta = !S_ISREG(inode->mode)};
	u64 first = EXT2_NDIR, span = sbi->ptrs, given;

	mutex_lock(&ei->map_lock);
	for (u32 i = keep; i < EXT2_NDIR && !c.err; i++)
		cut_tree(&c, &ei->raw->block[i], 0, 0);
	for (unsigned int level = 1; level < MAX_DEPTH && !c.err; level++) {
		if (keep < first + span)
			cut_tree(&c, &ei->raw->block[EXT2_NDIR + level - 1], level,
				 keep > first ? keep - first : 0);
		first += span;
		span *= sbi->ptrs;
	}
	cut_flush(&c);
	given = (u64)c.freed * ext2_sectors(sbi);
	inode->blocks -= min(inode->blocks, given);
	ei->next_block = 0;
	ext2_update_inode(inode);
	mutex_unlock(&ei->map_lock);
	return c.err;
}
