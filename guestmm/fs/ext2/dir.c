/*
 * Directories: entries in blocks.
 *
 *   block: | ino rec_len len type name... | ino rec_len ... | 0 rec_len (free) | ... |
 *
 * rec_len is the distance to the next entry; that of the last entry ends with the block. To remove an entry,
 * its room is added to the entry before it; the first entry of a block gets inode 0 instead. A directory grows
 * by blocks and never shrinks.
 *
 * Entries are read by get_entry(), which copies the head and checks the copy. So checked values are used even
 * if a damaged disk lets two directories share a block. A hole or a bad entry is damage (-EUCLEAN).
 *
 * The hash trees of ext3 are in blocks that look like ordinary entries and free space. When such a directory
 * is changed, its INDEX flag is cleared, and it is an ordinary directory from then on.
 *
 * All callers hold the directory's lock, for writing if names change.
 */
#include "fs/ext2/ext2.h"
#include "fs/file.h"

/** Head of an entry, checked. */
struct entry {
	u32 ino;
	u16 rec_len;
	u8 len, type;
	const char *name;
};

/** The place of an entry. */
struct place {
	struct page *page; /* with a reference */
	u32 offset;
	s32 before; /* offset of the entry before it in the block, or -1 */
};

static u32 dir_blocks(const struct inode *dir)
{
	return dir->i_data.size / ext2_sb(dir->sb)->block_size;
}

/** Get a block of the directory, with a reference. NULL: *err has the error. */
static struct page *dir_block(struct inode *dir, u32 n, int *err)
{
	struct ext2_sb *sbi = ext2_sb(dir->sb);
	u32 phys, count;

	*err = ext2_map(dir, n, 1, 0, &phys, &count);
	if (*err)
		return NULL;
	if (!phys) {
		*err = ext2_error(sbi, "directory %lu has a hole at block %u",
				  (unsigned long)dir->ino, n);
		return NULL;
	}
	return ext2_meta_read(sbi, phys, err);
}

/** Copy and check the entry at `offset` of a block. 0 or -EUCLEAN. */
static int get_entry(const struct inode *dir, struct page *page, u32 offset, struct entry *e)
{
	struct ext2_sb *sbi = ext2_sb(dir->sb);
	const struct ext2_dirent *de = (void *)((char *)page_address(page) + offset);
	const char *wrong = NULL;

	if (offset + EXT2_MIN_DIRENT > sbi->block_size) {
		wrong = "too near the end of the block";
		goto out;
	}
	e->ino = READ_ONCE(de->inode);
	e->rec_len = READ_ONCE(de->rec_len);
	e->len = READ_ONCE(de->name_len);
	e->type = READ_ONCE(de->type);
	e->name = de->name;
	if (e->rec_len < EXT2_MIN_DIRENT || e->rec_len % 4)
		wrong = "rec_len is no length";
	else if (offset + e->rec_len > sbi->block_size)
		wrong = "it crosses the end of the block";
	else if (e->rec_len < EXT2_DIRENT(e->len))
		wrong = "rec_len is too short for the name";
	else if (e->ino > sbi->inodes_count)
		wrong = "there is no such inode";
	else if (e->ino && !e->len)
		wrong = "it has no name";
out:
	if (likely(!wrong))
		return 0;
	return ext2_error(sbi, "directory %lu: bad entry at %u of block %lu: %s",
			  (unsigned long)dir->ino, offset, (unsigned long)page->index, wrong);
}

/** Find a name. 0: *at and *e are set, and the caller puts at->page; -ENOENT; or another error. */
static int find_place(struct inode *dir, const char *name, u32 len, struct place *at,
		      struct entry *e)
{
	struct ext2_sb *sbi = ext2_sb(dir->sb);
	u32 nr = dir_blocks(dir);
	int err;

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	for (u32 n = 0; n < nr; n++) {
		at->page = dir_block(dir, n, &err);
		if (!at->page)
			return err;
		at->before = -1;
		for (at->offset = 0; at->offset < sbi->block_size; at->offset += e->rec_len) {
			err = get_entry(dir, at->page, at->offset, e);
			if (err) {
				put_page(at->page);
				return err;
			}
			if (e->ino && e->len == len && !memcmp(e->name, name, len))
				return 0;
			at->before = at->offset;
		}
		put_page(at->page);
		cond_resched();
	}
	return -ENOENT;
}

int ext2_dir_find(struct inode *dir, const char *name, u32 len, u32 *ino)
{
	struct place at;
	struct entry e;
	int err = find_place(dir, name, len, &at, &e);

	if (err)
		return err;
	*ino = e.ino;
	put_page(at.page);
	return 0;
}

static u8 type_of(const struct ext2_sb *sbi, u32 mode)
{
	static const u8 type[16] = {
		[S_IFREG >> 12] = EXT2_FT_REG,	[S_IFDIR >> 12] = EXT2_FT_DIR,
		[S_IFCHR >> 12] = EXT2_FT_CHR,	[S_IFBLK >> 12] = EXT2_FT_BLK,
		[S_IFIFO >> 12] = EXT2_FT_FIFO, [S_IFSOCK >> 12] = EXT2_FT_SOCK,
		[S_IFLNK >> 12] = EXT2_FT_LNK,
	};

	return sbi->es->feature_incompat & EXT2_INCOMPAT_FILETYPE ? type[mode >> 12 & 15] : 0;
}

static void put_entry(const struct ext2_sb *sbi, struct page *page, u32 offset, u32 rec_len,
		      const char *name, u32 len, const struct inode *inode)
{
	struct ext2_dirent *de = (void *)((char *)page_address(page) + offset);

	de->inode = inode->ino;
	de->rec_len = rec_len;
	de->name_len = len;
	de->type = type_of(sbi, inode->mode);
	memcpy(de->name, name, len);
}

/** Call it after a change of entries: marks the page dirty, and updates the directory's times. */
static void dir_changed(struct inode *dir, struct page *page)
{
	struct ext2_inode *ei = ext2_i(dir);

	set_page_dirty(page);
	ei->raw->flags &= ~EXT2_INDEX_FL;
	inode_touch(dir, S_CTIME | S_MTIME);
	ext2_update_inode(dir);
}

/** Add an entry to this block. 1; 0: there is no room; or -EUCLEAN. */
static int add_to_block(struct inode *dir, struct page *page, const char *name, u32 len,
			const struct inode *inode)
{
	struct ext2_sb *sbi = ext2_sb(dir->sb);
	u32 need = EXT2_DIRENT(len), used;
	struct entry e;
	int err;

	for (u32 offset = 0; offset < sbi->block_size; offset += e.rec_len) {
		err = get_entry(dir, page, offset, &e);
		if (err)
			return err;
		used = e.ino ? EXT2_DIRENT(e.len) : 0;
		if (e.rec_len < used + need)
			continue;
		if (used)
			((struct ext2_dirent *)((char *)page_address(page) + offset))->rec_len =
				used;
		put_entry(sbi, page, offset + used, e.rec_len - used, name, len, inode);
		dir_changed(dir, page);
		return 1;
	}
	return 0;
}

/** Add a block to the directory. *page receives it with a reference; it is one free entry. */
static int grow(struct inode *dir, struct page **page)
{
	struct ext2_sb *sbi = ext2_sb(dir->sb);
	u32 n = dir_blocks(dir), phys, count;
	struct ext2_dirent *de;
	int err;

	err = ext2_map(dir, n, 1, EXT2_MAP_CREATE, &phys, &count);
	if (err)
		return err;
	*page = ext2_meta_new(sbi, phys);
	if (!*page) {
		ext2_free_from(dir, n);
		return -ENOMEM;
	}
	de = page_address(*page);
	de->rec_len = sbi->block_size;
	set_page_dirty(*page);
	dir->i_data.size += sbi->block_size;
	ext2_update_inode(dir);
	return 0;
}

int ext2_dir_add(struct inode *dir, const char *name, u32 len, const struct inode *inode)
{
	struct ext2_inode *ei = ext2_i(dir);
	u32 nr = dir_blocks(dir);
	struct page *page;
	int err;

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	for (u32 n = ei->room_hint; n < nr; n++) {
		page = dir_block(dir, n, &err);
		if (!page)
			return err;
		err = add_to_block(dir, page, name, len, inode);
		put_page(page);
		if (err)
			return err < 0 ? err : 0;
		/* A short name might still fit before this block, but that is not worth a search. */
		ei->room_hint = n + 1;
	}
	err = grow(dir, &page);
	if (err)
		return err;
	err = add_to_block(dir, page, name, len, inode);
	ei->room_hint = nr;
	put_page(page);
	return err < 0 ? err : 0;
}

int ext2_dir_remove(struct inode *dir, const char *name, u32 len)
{
	struct ext2_dirent *de;
	struct place at;
	struct entry e;
	int err = find_place(dir, name, len, &at, &e);

	if (err)
		return err;
	de = (void *)((char *)page_address(at.page) + at.offset);
	de->inode = 0;
	if (at.before >= 0) {
		de = (void *)((char *)page_address(at.page) + at.before);
		de->rec_len = at.offset + e.rec_len - at.before;
	}
	dir_changed(dir, at.page);
	put_page(at.page);
	ext2_i(dir)->room_hint = 0;
	return 0;
}

int ext2_dir_set(struct inode *dir, const char *name, u32 len, const struct inode *inode)
{
	struct place at;
	struct entry e;
	int err = find_place(dir, name, len, &at, &e);

	if (err)
		return err;
	put_entry(ext2_sb(dir->sb), at.page, at.offset, e.rec_len, name, len, inode);
	dir_changed(dir, at.page);
	put_page(at.page);
	return 0;
}

int ext2_dir_make(struct inode *dir, const struct inode *parent)
{
	struct ext2_sb *sbi = ext2_sb(dir->sb);
	struct page *page;
	int err = grow(dir, &page);

	if (err)
		return err;
	put_entry(sbi, page, 0, EXT2_DIRENT(1), ".", 1, dir);
	put_entry(sbi, page, EXT2_DIRENT(1), sbi->block_size - EXT2_DIRENT(1), "..", 2, parent);
	set_page_dirty(page);
	put_page(page);
	return 0;
}

static bool is_dot(const struct entry *e)
{
	return e->name[0] == '.' && (e->len == 1 || (e->len == 2 && e->name[1] == '.'));
}

int ext2_dir_empty(struct inode *dir)
{
	struct ext2_sb *sbi = ext2_sb(dir->sb);
	u32 nr = dir_blocks(dir);
	int err = 0;

	for (u32 n = 0; n < nr && !err; n++) {
		struct page *page = dir_block(dir, n, &err);
		struct entry e;

		if (!page)
			return err;
		for (u32 offset = 0; offset < sbi->block_size && !err; offset += e.rec_len) {
			err = get_entry(dir, page, offset, &e);
			if (!err && e.ino && !is_dot(&e))
				err = -ENOTEMPTY;
		}
		put_page(page);
	}
	return err;
}

/** DT_* of getdents. */
static u32 dt_of(const struct ext2_sb *sbi, u8 type)
{
	static const u8 dt[] = {0, 8, 4, 2, 6, 1, 12, 10};

	if (!(sbi->es->feature_incompat & EXT2_INCOMPAT_FILETYPE) || type >= ARRAY_SIZE(dt))
		return 0;
	return dt[type];
}

/** Pass the entries of one block to the reader. 1: continue with the next block; 0: the reader's buffer is full.
 * ctx->pos is a byte offset in the directory. If entries have changed, it may be inside one; then the next entry is
 * read. */
static int emit_block(struct inode *dir, struct page *page, u64 start, struct dir_context *ctx)
{
	struct ext2_sb *sbi = ext2_sb(dir->sb);
	struct entry e;
	int err;

	for (u32 offset = 0; offset < sbi->block_size; offset += e.rec_len) {
		err = get_entry(dir, page, offset, &e);
		if (err)
			return err;
		if (start + offset < ctx->pos)
			continue;
		ctx->pos = start + offset;
		if (e.ino && !ctx->actor(ctx, e.name, e.len, e.ino, dt_of(sbi, e.type)))
			return 0;
		ctx->pos = start + offset + e.rec_len;
	}
	ctx->pos = start + sbi->block_size;
	return 1;
}

static int dir_iterate(struct file *f, struct dir_context *ctx)
{
	struct inode *dir = f->inode;
	u32 nr = dir_blocks(dir);
	int err = 1;

	for (u64 n = ctx->pos / ext2_sb(dir->sb)->block_size; n < nr && err > 0; n++) {
		struct page *page = dir_block(dir, n, &err);

		if (!page)
			return err;
		err = emit_block(dir, page, n * ext2_sb(dir->sb)->block_size, ctx);
		put_page(page);
	}
	return min(err, 0);
}

const struct file_ops ext2_dir_ops = {
	.llseek = generic_llseek,
	.iterate = dir_iterate,
	.fsync = ext2_fsync,
};
