/*
 * Data of deleted files must not appear in other files:   stale DISK
 *
 * The disk is filled with 'S', all of it is deleted, and then writes fail in all possible ways: the
 * user's memory cannot be read at the start or half way, the disk is full after some of the page's
 * blocks, a store through a shared mapping finds it full. No 'S' may be read afterwards, at once and
 * from the disk (mounted again).
 */
#include "fs.h"

#define SIGBUS 7
#define FILE   "/mnt/file"
#define FILLER "/mnt/filler"

static unsigned int failures;
static const char *disk;
static char block[1024], page[PAGE_SIZE], got[8 * PAGE_SIZE];

#define CHECK_EQ(a, b)                                                                    \
	do {                                                                              \
		long _a = (long)(a), _b = (long)(b);                                      \
		if (_a != _b) {                                                           \
			print("FAIL line %d: %s = %ld, not %ld\n", __LINE__, #a, _a, _b); \
			failures++;                                                       \
		}                                                                         \
	} while (0)

/** Fill the disk with 'S'; the file stays. */
static int make_filler(void)
{
	int fd = (int)sys_open(FILLER, O_RDWR | O_CREAT | O_TRUNC, 0600);
	uint64_t pos = 0;
	long ret;

	memset(block, 'S', sizeof(block));
	while ((ret = sys_pwrite(fd, block, sizeof(block), pos)) > 0)
		pos += ret;
	CHECK_EQ(ret, -ENOSPC);
	CHECK_EQ(sys_fsync(fd), 0);
	return fd;
}

/** The disk is full but for `blocks` of 1 KiB, which held 'S'. */
static void leave_blocks(int filler, unsigned int blocks)
{
	struct fs_stat st;

	CHECK_EQ(sys_fstat(filler, &st), 0);
	CHECK_EQ(syscall3(77, filler, (st.size & ~1023l) - 1024l * blocks, 0), 0);
	CHECK_EQ(sys_fsync(filler), 0);
}

static void look(const char *what, int fd)
{
	long n = sys_pread(fd, got, sizeof(got), 0), stale = 0;

	for (long i = 0; i < n; i++)
		stale += got[i] == 'S';
	if (n < 0 || stale) {
		print("FAIL %s: %ld bytes read, %ld of a deleted file\n", what, n, stale);
		failures++;
	}
}

static int remount(int fd)
{
	sys_close(fd);
	CHECK_EQ(sys_umount("/mnt"), 0);
	CHECK_EQ(sys_mount(disk, "/mnt", "ext2", 0), 0);
	return (int)sys_open(FILE, O_RDWR, 0);
}

static int new_file(long size)
{
	int fd = (int)sys_open(FILE, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK_EQ(syscall3(77, fd, size, 0), 0);
	CHECK_EQ(sys_fsync(fd), 0);
	return fd;
}

/** Memory that cannot be read, at once (`good` 0) or behind `good` bytes, to [pos, pos + len). */
static void bad_memory(size_t good, size_t len, uint64_t pos, long size)
{
	char *two = (char *)map_memory(2 * PAGE_SIZE), *from = two + PAGE_SIZE - good;
	int fd = new_file(size);
	struct fs_stat st;

	syscall3(11, (long)two + PAGE_SIZE, PAGE_SIZE, 0);
	memset(two, 'n', PAGE_SIZE);
	CHECK_EQ(sys_pwrite(fd, from, len, pos), good ? (long)good : -EFAULT);
	look("bad memory", fd);
	fd = remount(fd);
	look("bad memory, from the disk", fd);
	CHECK_EQ(sys_fstat(fd, &st), 0);
	if (!good)
		CHECK_EQ(st.blocks, 0); /* what was allocated is free again */
	sys_close(fd);
	syscall3(11, (long)two, 2 * PAGE_SIZE, 0);
}

/** A page into a hole when there are fewer blocks free than it has: by pwrite, or by a store. */
static void full_disk(unsigned int blocks, bool mapped)
{
	int fd = new_file(3 * PAGE_SIZE), filler = make_filler(), status;

	leave_blocks(filler, blocks);
	memset(page, 'n', sizeof(page));
	if (!mapped) {
		CHECK_EQ(sys_pwrite(fd, page, PAGE_SIZE, 0), -ENOSPC);
	} else {
		long pid = syscall3(57, 0, 0, 0);

		if (!pid) {
			volatile char *m =
				(char *)sys_mmap_file(PAGE_SIZE, PROT_READ | PROT_WRITE, 1, fd, 0);

			m[5] = 'n';
			exit(0);
		}
		syscall6(61, pid, (long)&status, 0, 0, 0, 0);
		CHECK_EQ(status & 0x7f, SIGBUS);
	}
	look(mapped ? "full, mapped" : "full", fd);
	sys_close(filler);
	fd = remount(fd);
	look("full, from the disk", fd);
	sys_close(fd);
	CHECK_EQ(sys_unlink(FILLER), 0);
}

int main(int argc, char **argv)
{
	struct fs_statfs before, after;
	int fd;

	if (argc != 2) {
		print("usage: stale DISK\n");
		return 2;
	}
	disk = argv[1];
	sys_mkdir("/mnt", 0755);
	CHECK_EQ(sys_mount(disk, "/mnt", "ext2", 0), 0);
	fd = make_filler();
	sys_close(fd);
	CHECK_EQ(sys_unlink(FILLER), 0);
	CHECK_EQ(syscall3(137, (long)"/mnt", (long)&before, 0), 0);

	bad_memory(0, PAGE_SIZE, 0, PAGE_SIZE);
	bad_memory(0, PAGE_SIZE, 0, 0);
	bad_memory(0, PAGE_SIZE, 3 * PAGE_SIZE, PAGE_SIZE); /* beyond the end */
	bad_memory(0, 100, 2000, 2 * PAGE_SIZE);
	bad_memory(1500, PAGE_SIZE, 0, 2 * PAGE_SIZE);
	bad_memory(1500, PAGE_SIZE, 300, 100);
	bad_memory(1, 2 * PAGE_SIZE, PAGE_SIZE - 1, 4 * PAGE_SIZE);
	for (unsigned int blocks = 1; blocks < 4; blocks++) {
		full_disk(blocks, false);
		full_disk(blocks, true);
	}
	CHECK_EQ(sys_unlink(FILE), 0);
	CHECK_EQ(syscall3(137, (long)"/mnt", (long)&after, 0), 0);
	CHECK_EQ(after.bfree, before.bfree);
	CHECK_EQ(sys_umount("/mnt"), 0);
	print("stale %s\n", failures ? "FAILED" : "passed");
	return failures != 0;
}
