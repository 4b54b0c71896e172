/*
 * Cases of user/conform_files.c about opening, reading and writing.
 */
#include "conform_files.h"

static void opening(void)
{
	print("opening\n");
	T(sys_open("none", O_RDONLY, 0));
	T(sys_open("", O_RDONLY, 0));
	T(sys_open("", O_CREAT | O_RDWR, 0644));
	T(sys_open((char *)8, O_RDONLY, 0));
	T(sys_open("a", O_CREAT | O_RDWR, 0644));
	T(sys_open("a", O_CREAT | O_EXCL | O_RDWR, 0644));
	T(sys_open("a", O_CREAT | O_RDONLY, 0600));
	T(sys_close(3));
	T(sys_close(4));
	T(sys_close(4));
	st("a");
	T(sys_open("a/", O_RDONLY, 0));
	T(sys_open("a/b", O_RDONLY, 0));
	T(sys_open("a/b", O_CREAT | O_RDWR, 0644));
	T(sys_open("b/", O_CREAT | O_RDWR, 0644));
	T(sys_open("none/b", O_CREAT | O_RDWR, 0644));
	T(sys_open(".", O_RDONLY, 0));
	T(sys_close(3));
	T(sys_open(".", O_RDWR, 0));
	T(sys_open(".", O_RDONLY | O_TRUNC, 0));
	T(sys_open(".", O_RDONLY | O_CREAT, 0));
	T(sys_open(".", O_WRONLY, 0));
	T(sys_open("/", O_RDWR, 0));
	T(sys_open("/", O_CREAT, 0));
	T(sys_open("..", O_CREAT | O_EXCL, 0));
}

static void opening_flags(void)
{
	T(sys_open("a", O_DIRECTORY, 0));
	T(sys_open("a", O_PATH, 0));
	T(sys_read(3, buf, 1));
	T(sys_write(3, buf, 1));
	T(sys_fchmod(3, 0600));
	T(sys_ftruncate(3, 0));
	T(sys_lseek(3, 0, 0));
	T(sys_fcntl(3, 3, 0));
	fst(3);
	T(sys_close(3));
	T(sys_open("a", 3, 0));
	T(sys_read(3, buf, 1));
	T(sys_write(3, buf, 1));
	T(sys_fcntl(3, 3, 0));
	T(sys_close(3));
	T(sys_open("a", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0));
	T(sys_fcntl(3, 3, 0));
	T(sys_fcntl(3, 1, 0));
	T(sys_fcntl(3, 4, 0));
	T(sys_fcntl(3, 3, 0));
	T(sys_fcntl(3, 2, 0));
	T(sys_fcntl(3, 1, 0));
	T(sys_read(3, buf, 1));
	T(sys_close(3));
	T(sys_unlink("a"));
	T(sys_open("a", O_RDWR | O_CREAT, 07777));
	T(sys_close(3));
	st("a");
	T(sys_umask(0));
	T(sys_umask(0177777));
	T(sys_umask(022));
	T(sys_open("mode", O_RDWR | O_CREAT, 0666));
	st("mode");
	T(sys_close(3));
	T(sys_unlink("mode"));
}

static void opening_names(void)
{
	memset(big, 'x', 4999);
	T(sys_open(big, O_RDONLY, 0));
	big[4095] = '\0';
	T(sys_open(big, O_RDONLY, 0));
	big[256] = '\0';
	T(sys_open(big, O_RDONLY, 0));
	T(sys_open(big, O_RDWR | O_CREAT, 0644));
	T(sys_mkdir(big, 0755));
	big[255] = '\0';
	T(sys_open(big, O_RDWR | O_CREAT, 0644));
	T(sys_close(3));
	T(sys_unlink(big));
	T(sys_unlink("a"));
	T(sys_openat(99, "a", O_RDONLY, 0));
	T(sys_openat(1000000, "a", O_RDONLY, 0));
	T(sys_openat(99, "/conform", O_RDONLY, 0));
	T(sys_openat(3, "a", O_CREAT | O_RDWR, 0644));
	T(sys_openat(4, "b", O_RDONLY, 0));
	T(sys_openat(0, "b", O_RDONLY, 0));
	T(sys_close(3));
	T(sys_close(4));
	T(sys_unlink("/conform/a"));
	T(sys_unlink("a"));
}

static void tmpfiles(void)
{
	print("tmpfiles\n");
	T(sys_open(".", O_TMPFILE, 0600));
	T(sys_open(".", O_TMPFILE | O_RDWR | O_CREAT, 0600));
	T(sys_open("none", O_TMPFILE | O_RDWR, 0600));
	make("f", "x");
	T(sys_open("f", O_TMPFILE | O_RDWR, 0600));
	T(sys_open(".", O_TMPFILE | O_RDWR, 0640));
	fst(3);
	T(sys_write(3, "hello", 5));
	T(sys_linkat(3, "", AT_FDCWD, "named", AT_EMPTY_PATH));
	fst(3);
	content("named");
	T(sys_close(3));
	T(sys_open(".", O_TMPFILE | O_RDWR | O_EXCL, 0640));
	T(sys_linkat(3, "", AT_FDCWD, "named2", AT_EMPTY_PATH));
	T(sys_close(3));
	list(".");
	T(sys_unlink("named"));
	T(sys_unlink("f"));
}

static void reading_writing(void)
{
	print("reading and writing\n");
	T(sys_open("f", O_CREAT | O_RDWR | O_TRUNC, 0644));
	T(sys_write(3, "hello world", 11));
	T(sys_lseek(3, 0, 1));
	T(sys_read(3, buf, 10));
	T(sys_lseek(3, 6, 0));
	T(sys_read(3, buf, 100));
	T(sys_read(3, buf, 100));
	T(sys_pread(3, buf, 5, 3));
	T(sys_pread(3, buf, 5, 10));
	T(sys_pread(3, buf, 5, 11));
	T(sys_pread(3, buf, 5, 1000000));
	T(sys_pread(3, buf, 5, -1));
	T(sys_pwrite(3, "XY", 2, -1));
	T(sys_pwrite(3, "XY", 2, 0));
	T(sys_lseek(3, 0, 1));
	T(sys_lseek(3, -1, 0));
	T(sys_lseek(3, -12, 2));
	T(sys_lseek(3, -11, 2));
	T(sys_lseek(3, 0, 9));
	T(sys_lseek(3, 0x7fffffffffffffffL, 0));
	T(sys_lseek(3, 1, 1));
	T(sys_lseek(3, 100000, 0));
	T(sys_write(3, "end", 3));
	fst(3);
	T(sys_lseek(3, 0, 3));
	T(sys_lseek(3, 0, 4));
	T(sys_lseek(3, 5000, 3));
	T(sys_lseek(3, 5000, 4));
	T(sys_lseek(3, 100003, 3));
	T(sys_lseek(3, 100003, 4));
	T(sys_lseek(3, 99000, 4));
	content("f");
}

static void reading_writing_memory(void)
{
	struct iovec v[3] = {{"abc", 3}, {"", 0}, {"defg", 4}};

	T(sys_read(3, (void *)8, 10));
	T(sys_lseek(3, 0, 0));
	T(sys_read(3, (void *)8, 10));
	T(sys_write(3, (void *)8, 10));
	T(sys_read(3, buf, 0));
	T(sys_write(3, buf, 0));
	T(sys_read(3, buf, -1));
	T(sys_read(99, buf, 1));
	T(sys_writev(3, v, 3));
	T(sys_writev(3, v, -1));
	T(sys_writev(3, v, 1025));
	T(sys_writev(3, v, 0));
	v[2].len = -1;
	T(sys_writev(3, v, 3));
	v[2].len = 4;
	v[2].base = (void *)8;
	T(sys_writev(3, v, 3));
	T(sys_lseek(3, 0, 1));
	T(sys_close(3));
}

static void appending_cutting(void)
{
	T(sys_open("f", O_RDWR | O_APPEND, 0));
	T(sys_lseek(3, 0, 1));
	T(sys_write(3, "tail", 4));
	T(sys_lseek(3, 0, 1));
	T(sys_pwrite(3, "more", 4, 0));
	T(sys_lseek(3, 0, 1));
	fst(3);
	content("f");
	T(sys_close(3));
	T(sys_truncate("f", 50));
	content("f");
	T(sys_truncate("f", 5000));
	st("f");
	content("f");
	T(sys_truncate("f", -1));
	T(sys_truncate("none", 1));
	T(sys_truncate(".", 1));
	T(sys_open("f", O_RDONLY, 0));
	T(sys_ftruncate(3, 1));
	T(sys_ftruncate(3, -1));
	T(sys_write(3, "x", 1));
	T(sys_close(3));
	T(sys_open("f", O_RDWR | O_TRUNC, 0));
	fst(3);
}

static void allocating(void)
{
	T(sys_fallocate(3, 0, 0, 10000));
	fst(3);
	T(sys_fallocate(3, 1, 10000, 10000));
	fst(3);
	memset(big, 'y', sizeof(big));
	T(sys_pwrite(3, big, 5000, 0));
	T(sys_pwrite(3, big, 5000, 5000));
	T(sys_fallocate(3, 3, 100, 200));
	T(sys_fallocate(3, 3, 4000, 5000));
	fst(3);
	content("f");
	T(sys_fallocate(3, 2, 0, 100));
	T(sys_fallocate(3, 0, -1, 100));
	T(sys_fallocate(3, 0, 0, 0));
	T(sys_fallocate(3, 0x10, 0, 10));
	T(sys_fallocate(3, 0x1000, 0, 10));
	T(sys_fallocate(99, 0, 0, 10));
	T(sys_fsync(3));
	T(sys_fsync(99));
	T(sys_close(3));
	T(sys_unlink("f"));
}
