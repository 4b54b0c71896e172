/*
 * Mounting: checking that this is an ext2 with features that are supported.
 *
 * Everything that later code assumes about the structure of the file system is checked here, once:
 *
 *   sizes: blocks 1K, 2K, 4K; inodes a power of two from 128 bytes to a block; groups no larger than
 *          a bitmap; as many groups and inodes as the counts say; not larger than the disk
 *   features: unknown incompatible ones are refused, by name; with unknown read-only ones it is read-only
 *   groups: bitmaps and inode tables are in their group, and do not overlap
 *
 * The super block's and the descriptors' pages stay pinned. Everything else is read on demand and
 * checked on demand.
 *
 * While it is mounted for writing, EXT2_VALID_FS is not set in the super block on the disk. A later mount that
 * finds it so knows that the machine has crashed, and that e2fsck should run.
 */
#include "fs/ext2/ext2.h"
#include "fs/internal.h"
#include "fs/file.h"
#include "mm/cache/bdi.h"

#define MAX_LOGGED 20

int ext2_error(struct ext2_sb *sbi, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	if (atomic_add_return(&sbi->errors_seen, 1) <= MAX_LOGGED) {
		va_start(ap, fmt);
		kvsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		printk("EXT2-fs error (device %s): %s\n", sbi->bdev->name, text);
	}
	if (sbi->writable && !sbi->sb->read_only) {
		sbi->es->state |= EXT2_ERROR_FS;
		ext2_super_dirty(sbi);
		if (sbi->es->errors != EXT2_ERRORS_CONTINUE) {
			printk("EXT2-fs (%s): read-only from now on\n", sbi->bdev->name);
			sbi->sb->read_only = true;
		}
	}
	return -EUCLEAN;
}

void ext2_super_dirty(struct ext2_sb *sbi)
{
	set_page_dirty(sbi->super_page);
}

void ext2_group_dirty(struct ext2_sb *sbi, u32 group)
{
	set_page_dirty(sbi->group_pages[group / (sbi->block_size / sizeof(struct ext2_group))]);
}

/* ---- which blocks are the file system's own ---- */

static bool is_power_of(u32 n, u32 base)
{
	while (n > 1 && n % base == 0)
		n /= base;
	return n == 1;
}

/** Does the group begin with a copy of super block and descriptors? */
static bool has_super(const struct ext2_sb *sbi, u32 group)
{
	if (group <= 1 || !(sbi->es->feature_ro_compat & EXT2_RO_COMPAT_SPARSE_SUPER))
		return true;
	return is_power_of(group, 3) || is_power_of(group, 5) || is_power_of(group, 7);
}

static u32 super_blocks(const struct ext2_sb *sbi, u32 group)
{
	return has_super(sbi, group) ? 1 + sbi->group_blocks + sbi->reserved_gdt_blocks : 0;
}

static bool overlap(u32 a, u32 a_count, u32 b, u32 b_count)
{
	return a < b + b_count && b < a + a_count;
}

bool ext2_blocks_ok(const struct ext2_sb *sbi, u32 start, u32 count)
{
	if (start < sbi->first_data_block || start >= sbi->blocks_count ||
	    count > sbi->blocks_count - start)
		return false;
	while (count) {
		u32 group = (start - sbi->first_data_block) / sbi->blocks_per_group;
		u32 first = ext2_group_first(sbi, group);
		u32 here = min(count, first + sbi->blocks_per_group - start);
		const struct ext2_group *gd = ext2_group(sbi, group);

		if (overlap(start, here, gd->block_bitmap, 1) ||
		    overlap(start, here, gd->inode_bitmap, 1) ||
		    overlap(start, here, gd->inode_table, sbi->table_blocks) ||
		    overlap(start, here, first, super_blocks(sbi, group)))
			return false;
		start += here;
		count -= here;
	}
	return true;
}

/* ---- checks at mounting ---- */

static int refuse(const struct ext2_sb *sbi, int err, const char *why)
{
	printk("EXT2-fs (%s): not mounted: %s\n", sbi->bdev->name, why);
	return err;
}

/** The unknown features that a writer would have to support. */
static u32 unknown_to_writers(const struct ext2_super *es)
{
	if (!es->rev_level)
		return 0;
	return es->feature_ro_compat & ~(EXT2_RO_COMPAT_SPARSE_SUPER | EXT2_RO_COMPAT_LARGE_FILE);
}

static int check_features(struct ext2_sb *sbi, const struct ext2_super *es)
{
	struct super_block *sb = sbi->sb;
	char why[96];
	u32 unknown;

	if (!es->rev_level)
		return 0; /* this revision has no such fields */
	unknown = es->feature_incompat & ~EXT2_INCOMPAT_FILETYPE;
	if (unknown) {
		ksnprintf(why, sizeof(why),
			  "incompatible features 0x%x%s: made for ext3 or ext4, not ext2", unknown,
			  unknown & 4 ? " (a journal to be replayed)" : "");
		return refuse(sbi, -EINVAL, why);
	}
	unknown = unknown_to_writers(es);
	if (unknown && !sb->read_only) {
		printk("EXT2-fs (%s): features 0x%x are not known: read-only\n", sbi->bdev->name,
		       unknown);
		sb->read_only = true;
	}
	return 0;
}

/** Read and check the geometry in the super block. 0; -EINVAL: it is no ext2; -EUCLEAN: it is damaged. */
static int take_geometry(struct ext2_sb *sbi, const struct ext2_super *es)
{
	u64 groups;

	if (es->magic != EXT2_MAGIC)
		return refuse(sbi, -EINVAL, "no ext2 file system there");
	if (es->rev_level > 1)
		return refuse(sbi, -EINVAL, "its revision is not known");
	if (es->log_block_size > 2)
		return refuse(sbi, -EINVAL, "its blocks are not of 1, 2 or 4 KiB");
	sbi->block_bits = 10 + es->log_block_size;
	sbi->block_size = 1u << sbi->block_bits;
	sbi->ptrs = sbi->block_size / 4;
	sbi->inode_size = es->rev_level ? es->inode_size : EXT2_OLD_INODE;
	sbi->first_ino = es->rev_level ? es->first_ino : EXT2_OLD_FIRST;
	sbi->blocks_count = es->blocks_count;
	sbi->inodes_count = es->inodes_count;
	sbi->first_data_block = es->first_data_block;
	sbi->blocks_per_group = es->blocks_per_group;
	sbi->inodes_per_group = es->inodes_per_group;

	if (sbi->inode_size < EXT2_OLD_INODE || sbi->inode_size > sbi->block_size ||
	    sbi->inode_size & (sbi->inode_size - 1))
		return refuse(sbi, -EUCLEAN, "bad inode size");
	if (sbi->first_data_block != (sbi->block_size == EXT2_MIN_BLOCK))
		return refuse(sbi, -EUCLEAN, "bad first block");
	if (!sbi->blocks_per_group || sbi->blocks_per_group > sbi->block_size * 8 ||
	    sbi->blocks_per_group % 8 || es->log_frag_size != es->log_block_size)
		return refuse(sbi, -EUCLEAN, "bad size of groups");
	if (!sbi->inodes_per_group || sbi->inodes_per_group > sbi->block_size * 8 ||
	    sbi->inodes_per_group % (sbi->block_size / sbi->inode_size))
		return refuse(sbi, -EUCLEAN, "bad number of inodes in groups");
	if (sbi->first_ino < EXT2_OLD_FIRST || sbi->first_ino > sbi->inodes_per_group)
		return refuse(sbi, -EUCLEAN, "bad first inode");
	if (sbi->blocks_count <= sbi->first_data_block ||
	    (u64)sbi->blocks_count * ext2_sectors(sbi) > sbi->bdev->nr_sectors)
		return refuse(sbi, -EUCLEAN, "it is longer than the disk");
	groups =
		DIV_ROUND_UP((u64)sbi->blocks_count - sbi->first_data_block, sbi->blocks_per_group);
	if (groups * sbi->inodes_per_group != sbi->inodes_count)
		return refuse(sbi, -EUCLEAN, "bad number of inodes");
	sbi->nr_groups = groups;
	sbi->table_blocks = sbi->inodes_per_group / (sbi->block_size / sbi->inode_size);
	sbi->group_blocks =
		DIV_ROUND_UP(sbi->nr_groups, sbi->block_size / (u32)sizeof(struct ext2_group));
	sbi->reserved_gdt_blocks = es->rev_level && es->feature_compat & EXT2_COMPAT_RESIZE_INODE
					   ? es->reserved_gdt_blocks
					   : 0;
	if (sbi->reserved_gdt_blocks > sbi->ptrs ||
	    1 + sbi->group_blocks + sbi->reserved_gdt_blocks >= sbi->blocks_per_group)
		return refuse(sbi, -EUCLEAN, "bad number of descriptor blocks");
	return 0;
}

static int check_group(struct ext2_sb *sbi, u32 group)
{
	const struct ext2_group *gd = ext2_group(sbi, group);
	u32 first = ext2_group_first(sbi, group), size = ext2_group_size(sbi, group);
	u32 supers = super_blocks(sbi, group), table = gd->inode_table;

	if (gd->block_bitmap < first || gd->block_bitmap - first >= size ||
	    gd->inode_bitmap < first || gd->inode_bitmap - first >= size || table < first ||
	    table - first >= size || size - (table - first) < sbi->table_blocks)
		return refuse(sbi, -EUCLEAN, "a group's bitmaps or inodes lie outside of it");
	if (gd->block_bitmap == gd->inode_bitmap ||
	    overlap(gd->block_bitmap, 1, table, sbi->table_blocks) ||
	    overlap(gd->inode_bitmap, 1, table, sbi->table_blocks) ||
	    overlap(gd->block_bitmap, 1, first, supers) ||
	    overlap(gd->inode_bitmap, 1, first, supers) ||
	    overlap(table, sbi->table_blocks, first, supers))
		return refuse(sbi, -EUCLEAN, "a group's bitmaps and inodes overlap");
	if (gd->free_blocks_count > size || gd->free_inodes_count > sbi->inodes_per_group)
		return refuse(sbi, -EUCLEAN, "a group has more free than there is");
	return 0;
}

/** Pin the descriptors, check them, and add up what is free. */
static int load_groups(struct ext2_sb *sbi)
{
	u32 blocks = 0, inodes = 0;
	int err = 0;

	sbi->group_pages = kcalloc(sbi->group_blocks, sizeof(struct page *), GFP_KERNEL);
	sbi->bitmap_checked = kcalloc(sbi->nr_groups, 1, GFP_KERNEL);
	if (!sbi->group_pages || !sbi->bitmap_checked)
		return -ENOMEM;
	for (u32 i = 0; i < sbi->group_blocks; i++) {
		sbi->group_pages[i] = ext2_meta_read(sbi, sbi->first_data_block + 1 + i, &err);
		if (!sbi->group_pages[i])
			return err;
	}
	sbi->overhead = sbi->first_data_block;
	for (u32 g = 0; g < sbi->nr_groups && !err; g++) {
		err = check_group(sbi, g);
		blocks += ext2_group(sbi, g)->free_blocks_count;
		inodes += ext2_group(sbi, g)->free_inodes_count;
		sbi->overhead += 2 + sbi->table_blocks;
		if (has_super(sbi, g))
			sbi->overhead += 1 + sbi->group_blocks;
	}
	if (err)
		return err;
	if (blocks > sbi->blocks_count || sbi->overhead >= sbi->blocks_count)
		return refuse(sbi, -EUCLEAN, "more blocks are free than there are");
	/* After a crash the sum in the super block may be an old one. */
	sbi->es->free_blocks_count = blocks;
	sbi->es->free_inodes_count = inodes;
	return 0;
}

/** Read the first 4 KiB of the disk, which have the super block for any block size. */
static int read_start(struct ext2_sb *sbi, struct page *page)
{
	struct bio bio = {.bdev = sbi->bdev, .op = BIO_READ, .nr_pages = 1, .pages = {page}};

	return submit_bio_wait(&bio);
}

static int read_super(struct ext2_sb *sbi)
{
	struct page *start = alloc_page(GFP_KERNEL);
	int err;

	if (!start)
		return -ENOMEM;
	err = read_start(sbi, start);
	if (!err) {
		const struct ext2_super *es =
			(void *)((char *)page_address(start) + EXT2_SUPER_OFFSET);

		err = take_geometry(sbi, es);
		if (!err)
			err = check_features(sbi, es);
	}
	__free_page(start);
	return err;
}

static void forget_all(struct ext2_sb *sbi)
{
	if (sbi->super_page)
		put_page(sbi->super_page);
	for (u32 i = 0; sbi->group_pages && i < sbi->group_blocks; i++)
		if (sbi->group_pages[i])
			put_page(sbi->group_pages[i]);
	truncate_inode_pages(&sbi->meta);
	writeback_forget(&sbi->meta);
	kfree(sbi->group_pages);
	kfree(sbi->bitmap_checked);
	kfree(sbi);
}

static int flush_disk(struct ext2_sb *sbi)
{
	struct bio bio = {.bdev = sbi->bdev, .op = BIO_FLUSH};

	return submit_bio_wait(&bio);
}

int ext2_sync_meta(struct ext2_sb *sbi)
{
	int err = filemap_write_and_wait_range(&sbi->meta, 0, ~0ull);
	int e = flush_disk(sbi);

	return err ? err : e;
}

enum fs_state { IN_USE, CLEANLY_UNMOUNTED };

/** Record on the disk that it is mounted for writing, or that it is valid again. */
static int mark_state(struct ext2_sb *sbi, enum fs_state state)
{
	struct ext2_super *es = sbi->es;

	if (state == CLEANLY_UNMOUNTED && !(es->state & EXT2_ERROR_FS))
		es->state |= EXT2_VALID_FS;
	else
		es->state &= ~EXT2_VALID_FS;
	es->wtime = current_time().sec;
	sbi->writable = state != CLEANLY_UNMOUNTED;
	ext2_super_dirty(sbi);
	return ext2_sync_meta(sbi);
}

/** Data first: the metadata that it needs is dirty by then. */
int ext2_sync_fs(struct super_block *sb)
{
	struct ext2_sb *sbi = ext2_sb(sb);
	int err;

	sync_all_mappings();
	err = ext2_sync_meta(sbi);
	/* At the machine's end the root cannot be unmounted, so it is made read-only. */
	if (!err && sb->read_only && sbi->writable)
		err = mark_state(sbi, CLEANLY_UNMOUNTED);
	return err;
}

void ext2_put_super(struct super_block *sb)
{
	struct ext2_sb *sbi = ext2_sb(sb);

	if (sbi->writable)
		mark_state(sbi, CLEANLY_UNMOUNTED);
	forget_all(sbi);
	sb->private_ = NULL;
}

/* Parse the options, of which each must be "dax" or empty. 0 or -EINVAL. */
static int parse_options(const char *options, bool *dax)
{
	while (*options) {
		size_t n = 0;

		while (options[n] && options[n] != ',')
			n++;
		if (n == 3 && !strncmp(options, "dax", 3)) {
			*dax = true;
		} else if (n) {
			printk("ext2: no such option is known here: %s\n", options);
			return -EINVAL;
		}
		options += n + (options[n] == ',');
	}
	return 0;
}

/* Enable -o dax if the disk supports it. Otherwise mount without it and log that, as Linux's ext2. */
static void set_dax(struct ext2_sb *sbi)
{
	if (!sbi->bdev->dax)
		printk("EXT2-fs (%s): error: DAX unsupported by block device. Turning off DAX.\n",
		       sbi->bdev->name);
	else if (sbi->block_size != PAGE_SIZE)
		printk("EXT2-fs (%s): error: unsupported blocksize for DAX\n", sbi->bdev->name);
	else
		sbi->dax = sbi->bdev->dax;
}

void ext2_show_options(struct report *r, struct super_block *sb)
{
	if (ext2_sb(sb)->dax)
		report_printf(r, ",dax");
}

static int begin_writing(struct ext2_sb *sbi)
{
	struct ext2_super *es = sbi->es;

	if (!(es->state & EXT2_VALID_FS))
		printk("EXT2-fs (%s): was not unmounted in order: e2fsck should look at it\n",
		       sbi->bdev->name);
	else if (es->state & EXT2_ERROR_FS)
		printk("EXT2-fs (%s): has errors: e2fsck should look at it\n", sbi->bdev->name);
	es->mnt_count++;
	es->mtime = current_time().sec;
	return mark_state(sbi, IN_USE);
}

int ext2_remount(struct super_block *sb, bool read_only, const char *options)
{
	struct ext2_sb *sbi = ext2_sb(sb);
	bool dax = sbi->dax;
	int err = parse_options(options, &dax);

	if (err)
		return err;
	if (dax != !!sbi->dax)
		printk("EXT2-fs (%s): warning: refusing change of dax flag with busy inodes while "
		       "remounting\n",
		       sbi->bdev->name);
	if (read_only == sb->read_only)
		return 0;
	if (read_only)
		return sbi->writable ? mark_state(sbi, CLEANLY_UNMOUNTED) : 0;
	if (unknown_to_writers(sbi->es))
		return -EROFS;
	return sbi->writable ? 0 : begin_writing(sbi);
}

static int ext2_mount(struct super_block *sb, const char *options)
{
	struct ext2_sb *sbi;
	bool offset, dax = false;
	int err = parse_options(options, &dax);

	if (err)
		return err;
	sbi = kzalloc(sizeof(*sbi), GFP_KERNEL);
	if (!sbi)
		return -ENOMEM;
	sbi->sb = sb;
	sbi->bdev = sb->bdev;
	mutex_init(&sbi->alloc_lock);
	address_space_init(&sbi->meta, NULL, &ext2_meta_aops, AS_LOWMEM);
	sbi->meta.wb = bdi_of(sbi->bdev);
	init_rwsem(&sbi->meta.invalidate_lock); /* taken inside of the files': its own class */
	sb->dev = bdev_number(sbi->bdev);
	if (sbi->bdev->read_only)
		sb->read_only = true;
	err = bdev_write_back(sbi->bdev);
	if (!err)
		err = read_super(sbi);
	if (err)
		goto fail;
	sbi->meta.size = (u64)sbi->blocks_count * PAGE_SIZE;
	if (dax)
		set_dax(sbi);
	sb->private_ = sbi;
	sb->ops = &ext2_super_ops;
	sb->blocksize = sbi->block_size;
	sb->max_size = ext2_max_size(sbi->block_size);

	offset = sbi->block_size > EXT2_SUPER_OFFSET;
	sbi->super_page = ext2_meta_read(sbi, sbi->first_data_block, &err);
	if (!sbi->super_page)
		goto fail;
	sbi->es =
		(void *)((char *)page_address(sbi->super_page) + (offset ? EXT2_SUPER_OFFSET : 0));
	err = load_groups(sbi);
	if (err)
		goto fail;
	sb->root = iget(sb, EXT2_ROOT_INO, &err);
	if (!sb->root)
		goto fail;
	err = S_ISDIR(sb->root->mode) ? 0 : refuse(sbi, -EUCLEAN, "its root is no directory");
	if (!err && !sb->read_only)
		err = begin_writing(sbi);
	if (!err)
		return 0;
	iput(sb->root);
	evict_inodes(sb);
fail:
	sb->private_ = NULL;
	forget_all(sbi);
	return err;
}

static struct fs_type ext2_type = {
	.name = "ext2",
	.magic = EXT2_MAGIC,
	.xattrs = true,
	.needs_bdev = true,
	.mount = ext2_mount,
};

void ext2_init(void)
{
	if (ext2_io_init()) {
		printk("EXT2-fs: no memory\n");
		return;
	}
	ext2_file_ops = generic_file_ops;
	ext2_file_ops.fsync = ext2_fsync;
	register_filesystem(&ext2_type);
}
