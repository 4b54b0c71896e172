/* The virtual file system: what Linux answers, what is left behind, caches that shrink, memory that
 * runs out on the way. */
#include "fs/internal.h"
#include "fs/pipe.h"
#include "fs/poll.h"
#include "tests/tests.h"

#define MEM  "memory=24M,high=4M"
#define USER MMVM_TESTF_USER

static int make_file(const char *path, const char *text)
{
	struct file *f;
	long n;
	int err = vfs_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &f);

	if (err)
		return err;
	n = kernel_file_write(f->mapping, text, strlen(text), 0);
	file_put(f);
	return n < 0 ? (int)n : 0;
}

/* All that reclaim would ask the caches for. */
static void shrink_all(void)
{
	for (int i = 0; i < 20; i++)
		shrink_slab(GFP_KERNEL, 0);
}

GUEST_TEST(vfs, programs_leave_nothing_behind, USER | MMVM_TESTF_LAB_ONLY, 120, MEM)
{
	u64 dentries, inodes;

	CHECK_EQ(run_program("/bin/conform_files", ""), 0);
	CHECK_EQ(vfs_umount("/conform", 0), 0);
	shrink_all();
	dentries = nr_dentries();
	inodes = nr_inodes();
	CHECK_EQ(run_program("/bin/conform_files", "random 3 4000"), 0);
	CHECK_EQ(vfs_umount("/conform", 0), 0);
	shrink_all();
	CHECK_EQ(nr_dentries(), dentries);
	CHECK_EQ(nr_inodes(), inodes);
}

GUEST_TEST(vfs, names_that_are_not_there_are_forgotten, 0, 60, MEM)
{
	struct path path;
	char name[32];
	u64 before;

	shrink_all();
	before = nr_dentries();
	for (int i = 0; i < 500; i++) {
		ksnprintf(name, sizeof(name), "/none%d", i);
		CHECK_EQ(path_lookup(AT_FDCWD, name, 0, &path), -ENOENT);
	}
	CHECK_EQ(nr_dentries(), before + 500);
	CHECK_EQ(path_lookup(AT_FDCWD, "/none7", 0, &path), -ENOENT);
	CHECK_EQ(nr_dentries(), before + 500);
	shrink_all();
	CHECK_EQ(nr_dentries(), before);
}

GUEST_TEST(vfs, an_open_file_outlives_its_name, 0, 60, MEM)
{
	u64 inodes = nr_inodes(), shmem;
	struct file *f;
	char buf[64];

	CHECK_EQ(make_file("/victim", "still here"), 0);
	REQUIRE(!vfs_open(AT_FDCWD, "/victim", O_RDWR, 0, &f));
	shmem = global_stat(NR_SHMEM);
	CHECK_EQ(vfs_unlink(AT_FDCWD, "/victim"), 0);
	CHECK_EQ(global_stat(NR_SHMEM), shmem);
	CHECK_EQ(kernel_file_read(f->mapping, buf, 10, 0), 10);
	CHECK(!memcmp(buf, "still here", 10));
	CHECK(!strcmp(file_name(f, buf, sizeof(buf)), "/victim (deleted)"));
	file_put(f);
	CHECK_EQ(global_stat(NR_SHMEM), shmem - 1);
	CHECK_EQ(nr_inodes(), inodes);
}

GUEST_TEST(vfs, a_mount_in_use_stays, 0, 60, MEM)
{
	struct file *f;

	CHECK_EQ(vfs_mkdir(AT_FDCWD, "/m", 0755), 0);
	CHECK_EQ(vfs_mount("tmpfs", "none", "/m", 0, "nr_inodes=4"), 0);
	CHECK_EQ(make_file("/m/a", "x"), 0);
	REQUIRE(!vfs_open(AT_FDCWD, "/m/a", O_RDONLY, 0, &f));
	CHECK_EQ(vfs_umount("/m", 0), -EBUSY);
	file_put(f);
	CHECK_EQ(make_file("/m/b", "x"), 0);
	CHECK_EQ(make_file("/m/c", "x"), 0);
	CHECK_EQ(make_file("/m/d", "x"), -ENOSPC); /* the root is one of four */
	CHECK_EQ(vfs_unlink(AT_FDCWD, "/m/a"), 0);
	CHECK_EQ(make_file("/m/d", "x"), 0);
	CHECK_EQ(vfs_umount("/m", 0), 0);
	CHECK_EQ(vfs_rmdir(AT_FDCWD, "/m"), 0);
}

static bool fifo_opening, fifo_closed; /* A: the writer is about to open it; has closed it again */

static int opens_and_closes(void *arg)
{
	struct file *f;

	WRITE_ONCE(fifo_opening, true);
	if (!vfs_open(AT_FDCWD, "/fifo", O_WRONLY, 0, &f))
		file_put(f);
	WRITE_ONCE(fifo_closed, true);
	return 0;
}

/* The reader wakes the writer when its slice is over, so that the writer runs at once, and has closed the FIFO before the
 * reader looks for it. The reader must not wait for another one. */
GUEST_TEST(vfs, a_fifo_reader_sees_a_writer_that_has_left, 0, 30, MEM " cpus=1")
{
	unsigned int left = 0;

	CHECK_EQ(vfs_mknod(AT_FDCWD, "/fifo", S_IFIFO | 0644, 0), 0);
	for (int i = 0; i < 50 && !left; i++) {
		struct file *f;

		fifo_opening = fifo_closed = false;
		REQUIRE(!kthread_run(opens_and_closes, NULL, "writer"));
		while (!READ_ONCE(fifo_opening))
			sleep_ms(1);
		sleep_ms(1);
		while (ktime_ns() < READ_ONCE(current->slice_end))
			cpu_relax();
		REQUIRE(!vfs_open(AT_FDCWD, "/fifo", O_RDONLY, 0, &f));
		left += READ_ONCE(fifo_closed);
		while (!READ_ONCE(fifo_closed))
			sleep_ms(1);
		CHECK_EQ(f->ops->poll(f, NULL), POLLHUP);
		CHECK_EQ(file_pipe(f)->writers, 0);
		file_put(f);
	}
	CHECK(left > 0); /* else this was not tested */
	CHECK_EQ(vfs_unlink(AT_FDCWD, "/fifo"), 0);
}
