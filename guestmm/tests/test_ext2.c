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
#include "tests/make_ext2.h"
#include "tests/tests.h"

#define MEM    "memory=16M,high=4M disk=48M"
#define BLOCK  4096u
#define BLOCKS (48u * 256)

/** The disk, formatted and mounted on /mnt, or NULL. */
static struct block_device *mount_new(struct test *t)
{
	struct block_device *bdev = find_block_device("disk0");

	if (!bdev) {
		test_fail(t, __FILE__, __LINE__, "no disk");
		return NULL;
	}
	CHECK_EQ(make_ext2(bdev, BLOCKS), 0);
	vfs_mkdir(AT_FDCWD, "/mnt", 0755);
	CHECK_EQ(vfs_mount("ext2", bdev->name, "/mnt", 0, ""), 0);
	return bdev;
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
	f = make_file(t, "/mnt/large");
	REQUIRE(f);
	CHECK_EQ(write_all(f, buf, 32 * MIB, 1), 32 * MIB);
	CHECK(holds(f, buf, want, 32 * MIB, 1));
	CHECK_EQ(vfs_fsync(f, 0, ~0ull), 0);
	file_put(f);
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
	CHECK_EQ(vfs_mount("ext2", "vda", "/mnt", MS_RDONLY, ""), 0);
	CHECK_EQ(vfs_open(AT_FDCWD, "/mnt/large", O_RDONLY, 0, &f), 0);
	CHECK(holds(f, buf, want, 32 * MIB, 1));
	file_put(f);
	CHECK_EQ(vfs_open(AT_FDCWD, "/mnt/other", O_CREAT | O_RDWR, 0600, &f), -EROFS);
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
	kfree(buf);
	kfree(want);
}

/* Sectors that the disk has written, as the VMM counts them. */
static u64 disk_writes(void)
{
	struct mmvm_disk_stats s;

	testchan_call(MMVM_REC_DISK_STATS, "disk0", 0, 0, &s, sizeof(s));
	return s.sectors_written;
}

/* With MS_DIRSYNC each change of a name is on the disk when the call returns, and without it none is. */
GUEST_TEST(ext2, dirsync_writes_each_name, 0, 60, MEM)
{
	struct block_device *bdev = mount_new(t);
	u64 before;

	REQUIRE(bdev);
	for (int synchronous = 0; synchronous < 2; synchronous++) {
		CHECK_EQ(vfs_umount("/mnt", 0), 0);
		CHECK_EQ(vfs_mount("ext2", bdev->name, "/mnt", synchronous ? MS_DIRSYNC : 0, ""),
			 0);
#define WRITES(call)                                           \
	do {                                                   \
		before = disk_writes();                        \
		CHECK_EQ(call, 0);                             \
		CHECK_EQ(disk_writes() > before, synchronous); \
	} while (0)
		WRITES(vfs_mkdir(AT_FDCWD, "/mnt/dir", 0755));
		WRITES(vfs_mknod(AT_FDCWD, "/mnt/dir/file", 0644, 0));
		WRITES(vfs_symlink("file", AT_FDCWD, "/mnt/dir/link"));
		WRITES(vfs_link(AT_FDCWD, "/mnt/dir/file", AT_FDCWD, "/mnt/other", 0));
		WRITES(vfs_rename(AT_FDCWD, "/mnt/other", AT_FDCWD, "/mnt/third", 0));
		WRITES(vfs_unlink(AT_FDCWD, "/mnt/third"));
		WRITES(vfs_unlink(AT_FDCWD, "/mnt/dir/link"));
		WRITES(vfs_unlink(AT_FDCWD, "/mnt/dir/file"));
		WRITES(vfs_rmdir(AT_FDCWD, "/mnt/dir"));
	}
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
}

/* Reads change a file's access time. With MS_LAZYTIME nothing of that is written until the file system is
 * synchronised, and then it is; a file whose inode leaves memory keeps it, too. */
GUEST_TEST(ext2, lazytime_keeps_times_in_memory, 0, 60, MEM)
{
	struct block_device *bdev = mount_new(t);
	struct vfs_stat st;
	struct file *f;
	u64 before;
	s64 old;

	REQUIRE(bdev);
	for (int lazy = 0; lazy < 2; lazy++) {
		CHECK_EQ(vfs_umount("/mnt", 0), 0);
		CHECK_EQ(vfs_mount("ext2", bdev->name, "/mnt",
				   MS_STRICTATIME | (lazy ? MS_LAZYTIME : 0), ""),
			 0);
		f = make_file(t, "/mnt/file");
		REQUIRE(f);
		vfs_sync();
		old = f->inode->atime.sec = 1000;
		before = disk_writes();
		file_accessed(f);
		CHECK(f->inode->atime.sec != old);
		sync_all_mappings(); /* as the flusher does */
		CHECK_EQ(disk_writes() > before, !lazy);
		before = disk_writes();
		vfs_sync();
		CHECK_EQ(disk_writes() > before, lazy);
		f->inode->atime.sec = 2000;
		mark_inode_times_dirty(f->inode);
		file_put(f);
		CHECK_EQ(vfs_umount("/mnt", 0), 0);
		CHECK_EQ(vfs_mount("ext2", bdev->name, "/mnt", MS_RDONLY, ""), 0);
		CHECK_EQ(vfs_open(AT_FDCWD, "/mnt/file", O_RDONLY, 0, &f), 0);
		vfs_getattr(f->inode, &st);
		CHECK_EQ(f->inode->atime.sec, 2000);
		file_put(f);
	}
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
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
	f = make_file(t, "/mnt/unused");
	REQUIRE(f);
	CHECK_EQ(write_all(f, buf, 2 * CHUNK, 1), 2 * CHUNK);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull), 0);
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
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
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
	f = make_file(t, "/mnt/all");
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
	CHECK_EQ(vfs_unlink(AT_FDCWD, "/mnt/all"), 0);
	path.mnt->sb->ops->statfs(path.mnt->sb, &now);
	CHECK_EQ(now.bfree, before.bfree);
	CHECK_EQ(now.ffree, before.ffree);
	path_put(&path);
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
	kfree(buf);
	kfree(want);
}

GUEST_TEST(ext2, disk_error_is_told_to_fsync, 0, 60, MEM)
{
	u64 *buf = kmalloc(CHUNK, GFP_KERNEL), *want = kmalloc(CHUNK, GFP_KERNEL);
	struct block_device *bdev;
	struct file *f;

	REQUIRE(buf && want && (bdev = mount_new(t)));
	f = make_file(t, "/mnt/file");
	REQUIRE(f);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull), 0);
	CHECK_EQ(write_all(f, buf, 4 * CHUNK, 3), 4 * CHUNK);
	CHECK_EQ(testchan_call(MMVM_REC_HOSTFAULT, bdev->role, 1, 1, NULL, 0), 0);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull), -EIO);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull), 0); /* told once */
	CHECK_EQ(write_all(f, buf, 4 * CHUNK, 4), 4 * CHUNK);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull), 0);
	CHECK(holds(f, buf, want, 4 * CHUNK, 4));
	file_put(f);
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
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
	f = make_file(t, "/mnt/spliced");
	REQUIRE(f);
	CHECK_EQ(write_all(f, buf, CHUNK, 1), CHUNK);
	CHECK_EQ(vfs_fsync(f, 0, ~0ull), 0);
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
	CHECK_EQ(settled_audit(), 0);
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
	CHECK_EQ(vfs_umount("/mnt", 0), 0);
	kfree(buf);
}
