/* ext2 inside the guest, without programs: on a disk that the test formats itself, in memory that is
 * smaller than the files, and with requests that fail. The host's e2fsck has its say in
 * tests/vm/ext2.sh, the many small things in tests/model/ext2.c. */
#include "fs/ext2/disk.h"
#include "fs/internal.h"
#include "fs/pipe.h"
#include "mm/phys/alloc.h"
#include "mm/block/bio.h"
#include "mm/memcg/memcg.h"
#include "mm/reclaim/lru.h"
#include "mm/slab/slab.h"
#include "tests/tests.h"

#define MEM    "memory=16M,high=4M disk=48M"
#define BLOCK  4096u
#define BLOCKS (48u * 256)
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

/** The smallest ext2 there is: one group of 4K blocks. */
static int make_ext2(struct block_device *bdev, struct page *page)
{
	void *p = page_address(page);
	struct ext2_super *es = p + EXT2_SUPER_OFFSET;
	struct ext2_group *gd = p;
	struct ext2_raw_inode *root = p + (EXT2_ROOT_INO - 1) * EXT2_OLD_INODE;
	struct ext2_dirent *de = p;
	int err;

	memset(p, 0, PAGE_SIZE);
	es->inodes_count = es->inodes_per_group = INODES;
	es->blocks_count = BLOCKS;
	es->free_blocks_count = BLOCKS - FIRST_FREE;
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
	gd->free_blocks_count = BLOCKS - FIRST_FREE;
	gd->free_inodes_count = INODES - EXT2_OLD_FIRST + 1;
	gd->used_dirs_count = 1;
	err = err ? err : put_block(bdev, page, GROUP_AT);
	mark_used(p, 0, FIRST_FREE);
	mark_used(p, BLOCKS, BLOCK * 8);
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

/** The disk, formatted and mounted on /mnt, or NULL. */
static struct block_device *mount_new(struct test *t)
{
	struct block_device *bdev = find_block_device("disk0");
	struct page *page = alloc_page(GFP_KERNEL);

	if (!bdev || !page) {
		test_fail(t, __FILE__, __LINE__, "no disk, or no memory");
		return NULL;
	}
	CHECK_EQ(make_ext2(bdev, page), 0);
	__free_page(page);
	vfs_mkdir(AT_FDCWD, "/mnt", 0755);
	CHECK_EQ(vfs_mount("ext2", bdev->name, "/mnt", 0, ""), 0);
	return bdev;
}

static struct file *open_file(struct test *t, const char *name)
{
	struct file *f = NULL;

	CHECK_EQ(vfs_open(AT_FDCWD, name, O_CREAT | O_RDWR, 0644, &f), 0);
	return f;
}

#define CHUNK 65536u

static void fill(u64 *w, u64 at, u64 file)
{
	for (u32 i = 0; i < CHUNK / 8; i++)
		w[i] = word_for(at / 8 + i, file);
}

/** Write [0, size) of a file; bytes written, or -errno when nothing was. */
static s64 write_all(struct file *f, u64 *buf, u64 size, u64 id)
{
	s64 done = 0;

	for (u64 at = 0; at < size; at += CHUNK) {
		long n;

		fill(buf, at, id);
		down_write(&f->inode->lock);
		n = kernel_file_write(f->mapping, buf, CHUNK, at);
		up_write(&f->inode->lock);
		if (n < 0)
			return done ? done : n;
		done += n;
		if (n < (long)CHUNK)
			break;
	}
	return done;
}

static bool holds(struct file *f, u64 *buf, u64 *want, u64 size, u64 id)
{
	for (u64 at = 0; at < size; at += CHUNK) {
		u64 n = min(size - at, (u64)CHUNK);

		fill(want, at, id);
		if (kernel_file_read(f->mapping, buf, n, at) != (long)n || memcmp(buf, want, n))
			return false;
	}
	return true;
}

GUEST_TEST(ext2, files_larger_than_memory_come_back, 0, 60, MEM)
{
	u64 *buf = kmalloc(CHUNK, GFP_KERNEL), *want = kmalloc(CHUNK, GFP_KERNEL);
	struct file *f;

	REQUIRE(buf && want && mount_new(t));
	f = open_file(t, "/mnt/large");
	REQUIRE(f);
	CHECK_EQ(write_all(f, buf, 32 * MIB, 1), 32 * MIB);
	CHECK(holds(f, buf, want, 32 * MIB, 1));
	CHECK_EQ(vfs_fsync(f, 0, ~0ull, false), 0);
	file_put(f);
	CHECK_EQ(vfs_umount("/mnt"), 0);
	CHECK_EQ(vfs_mount("ext2", "vda", "/mnt", MS_RDONLY, ""), 0);
	CHECK_EQ(vfs_open(AT_FDCWD, "/mnt/large", O_RDONLY, 0, &f), 0);
	CHECK(holds(f, buf, want, 32 * MIB, 1));
	file_put(f);
	CHECK_EQ(vfs_open(AT_FDCWD, "/mnt/other", O_CREAT | O_RDWR, 0600, &f), -EROFS);
	CHECK_EQ(vfs_umount("/mnt"), 0);
	kfree(buf);
	kfree(want);
}

static u64 shrink_inodes(void)
{
	struct shrink_control sc = {.gfp = GFP_KERNEL, .priority = 0};

	return shrink_slab_group(&sc);
}

/* An unused file that has pages keeps them for a round; then its pages are dropped, then the inode. */
GUEST_TEST(ext2, inodes_under_pressure_give_their_pages_first, 0, 60, MEM)
{
	struct list_lru *lru = &root_mem_cgroup.slab_lru[LIST_LRU_INODE][0];
	u64 *buf = kmalloc(CHUNK, GFP_KERNEL), inodes;
	s64 stolen, freed;
	struct file *f;

	REQUIRE(buf && mount_new(t));
	drop_slab();
	inodes = nr_inodes();
	f = open_file(t, "/mnt/unused");
	REQUIRE(f);
	CHECK_EQ(write_all(f, buf, 2 * CHUNK, 1), 2 * CHUNK);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull, false), 0);
	vfs_sync();
	file_put(f);
	CHECK_EQ(lru->nr, 0); /* its name has it */
	CHECK_EQ(nr_inodes(), inodes + 1);
	stolen = ev(PGINODESTEAL);
	/* The name is freed first, and asked for two inodes the shrinker turns the one round, and takes its
	 * pages. */
	CHECK_EQ(shrink_inodes(), 1);
	CHECK_EQ(lru->nr, 1);
	CHECK_EQ(ev(PGINODESTEAL) - stolen, 2 * CHUNK / PAGE_SIZE);
	CHECK_EQ(nr_inodes(), inodes + 1);
	freed = ev(SLABS_SCANNED);
	CHECK_EQ(shrink_inodes(), 1);
	CHECK_EQ(ev(SLABS_SCANNED) - freed, 1);
	CHECK_EQ(nr_inodes(), inodes);
	CHECK_EQ(lru->nr, 0);
	CHECK_EQ(ev(KSWAPD_INODESTEAL), 0);
	CHECK_EQ(vfs_umount("/mnt"), 0);
	kfree(buf);
}

GUEST_TEST(ext2, full_disk_gives_back_what_is_freed, 0, 60, MEM)
{
	u64 *buf = kmalloc(CHUNK, GFP_KERNEL), *want = kmalloc(CHUNK, GFP_KERNEL);
	struct vfs_statfs before, now;
	struct path path;
	struct file *f;
	s64 n;

	REQUIRE(buf && want && mount_new(t));
	CHECK_EQ(path_lookup(AT_FDCWD, "/mnt", 0, &path), 0);
	path.mnt->sb->ops->statfs(path.mnt->sb, &before);
	f = open_file(t, "/mnt/all");
	REQUIRE(f);
	n = write_all(f, buf, 64 * MIB, 2);
	CHECK(n > (s64)(46 * MIB) && n < (s64)(48 * MIB));
	CHECK_EQ(f->mapping->size, n);
	path.mnt->sb->ops->statfs(path.mnt->sb, &now);
	CHECK_EQ(now.bfree, 0);
	CHECK(holds(f, buf, want, n, 2));
	CHECK_EQ(vfs_truncate(f->inode, 5000), 0);
	CHECK(holds(f, buf, want, 5000, 2));
	path.mnt->sb->ops->statfs(path.mnt->sb, &now);
	CHECK_EQ(now.bfree, before.bfree - 2);
	file_put(f);
	CHECK_EQ(vfs_unlink(AT_FDCWD, "/mnt/all", false), 0);
	path.mnt->sb->ops->statfs(path.mnt->sb, &now);
	CHECK_EQ(now.bfree, before.bfree);
	CHECK_EQ(now.ffree, before.ffree);
	path_put(&path);
	CHECK_EQ(vfs_umount("/mnt"), 0);
	kfree(buf);
	kfree(want);
}

GUEST_TEST(ext2, disk_error_is_told_to_fsync, 0, 60, MEM)
{
	u64 *buf = kmalloc(CHUNK, GFP_KERNEL), *want = kmalloc(CHUNK, GFP_KERNEL);
	struct block_device *bdev;
	struct file *f;

	REQUIRE(buf && want && (bdev = mount_new(t)));
	f = open_file(t, "/mnt/file");
	REQUIRE(f);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull, false), 0);
	CHECK_EQ(write_all(f, buf, 4 * CHUNK, 3), 4 * CHUNK);
	CHECK_EQ(testchan_call(MMVM_REC_HOSTFAULT, bdev->role, 1, 1, NULL, 0), 0);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull, false), -EIO);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull, false), 0); /* told once */
	CHECK_EQ(write_all(f, buf, 4 * CHUNK, 4), 4 * CHUNK);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull, false), 0);
	CHECK(holds(f, buf, want, 4 * CHUNK, 4));
	file_put(f);
	CHECK_EQ(vfs_umount("/mnt"), 0);
	kfree(buf);
	kfree(want);
}

/* From the disk through the page cache into a pipe: the pages that were read are the pipe's, too. */
GUEST_TEST(ext2, spliced_pages_are_the_page_cache, 0, 60, MEM)
{
	u64 *buf = kmalloc(CHUNK, GFP_KERNEL), pos = 0;
	struct file *f, *end[2];
	struct pipe *p;
	const struct io_counts *io = &current_thread_info()->io;
	u64 written = io->write_bytes, cancelled = io->cancelled_write_bytes, read;
	s64 before;

	REQUIRE(buf && mount_new(t) && !pipe_files(end, 0));
	p = end[0]->private;
	f = open_file(t, "/mnt/spliced");
	REQUIRE(f);
	CHECK_EQ(write_all(f, buf, CHUNK, 1), CHUNK);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull, false), 0);
	CHECK_EQ(invalidate_mapping_pages(f->mapping, 0, ~0ul), CHUNK / PAGE_SIZE);
	CHECK(io->write_bytes - written >= CHUNK); /* the file's pages, and the disk's own */
	CHECK_EQ(io->cancelled_write_bytes, cancelled);
	before = ev(PGPGIN);
	read = io->read_bytes;
	CHECK_EQ(file_to_pipe(f, &pos, p, 2 * CHUNK, 0), CHUNK);
	CHECK_EQ(io->read_bytes - read, CHUNK);
	CHECK_EQ((ev(PGPGIN) - before) * 1024, CHUNK);
	lru_add_drain_all();
	for (u32 i = 0; i < CHUNK / PAGE_SIZE; i++) {
		struct pipe_buffer *b = pipe_buf(p, p->tail + i);
		struct page *page = find_get_page(f->mapping, i);

		REQUIRE(page);
		CHECK(page == b->page && page_ref_count(page) == 3);
		CHECK_EQ(*(u64 *)page_address(page), word_for(i * PAGE_SIZE / 8, 1));
		put_page(page);
	}
	CHECK_EQ(testchan_audit(), 0);
	/* Neither reclaim nor drop_caches takes them. */
	CHECK_EQ(invalidate_mapping_pages(f->mapping, 0, ~0ul), 0);
	file_put(end[0]);
	file_put(end[1]);
	CHECK_EQ(invalidate_mapping_pages(f->mapping, 0, ~0ul), CHUNK / PAGE_SIZE);
	/* Written, and cut off before the disk had it. */
	CHECK_EQ(write_all(f, buf, CHUNK, 2), CHUNK);
	CHECK_EQ(vfs_truncate(f->inode, PAGE_SIZE), 0);
	CHECK_EQ(io->cancelled_write_bytes - cancelled, CHUNK - PAGE_SIZE);
	file_put(f);
	CHECK_EQ(vfs_umount("/mnt"), 0);
	kfree(buf);
}
