/*
 * What the calls about files answer, as a transcript: run unchanged on Linux and on guestmm, the two
 * must be equal (tests/vm/conform_files.sh).
 *
 *   conform_files                the written cases
 *   conform_files random SEED N  N operations from a generator, on a small tree of names
 *
 * All happens in a tmpfs of its own, mounted at /conform. Numbers of inodes and devices, and times,
 * are not printed; directories are listed in the order of their names.
 */
#include "conform_files.h"
#include "conform_files_data.h"
#include "conform_files_names.h"

/* ---- the cases -------------------------------------------------------------------------------- */

static void nodes(void)
{
	int p[2] = {-1, -1};

	print("nodes\n");
	T(sys_mknod("reg", 0644, 0));
	T(sys_mknod("reg2", S_IFREG | 0644, 0));
	T(sys_mknod("reg", S_IFREG | 0644, 0));
	T(sys_mknod("null", S_IFCHR | 0666, 0x103));
	T(sys_mknod("nodev", S_IFCHR | 0666, 0x7e03));
	T(sys_mknod("fifo", S_IFIFO | 0644, 0));
	T(sys_mknod("sock", S_IFSOCK | 0644, 0));
	T(sys_mknod("dir", S_IFDIR | 0644, 0));
	T(sys_mknod("odd", 0150000, 0));
	T(sys_mknod("lnk", S_IFLNK | 0777, 0));
	st("reg");
	st("null");
	st("fifo");
	st("sock");
	T(sys_open("null", O_RDWR, 0));
	T(sys_write(3, "abc", 3));
	T(sys_read(3, buf, 3));
	T(sys_lseek(3, 100, 0));
	T(sys_ftruncate(3, 0));
	T(sys_fallocate(3, 0, 0, 1));
	T(sys_fsync(3));
	T(sys_getdents(3, buf, 100));
	T(sys_close(3));
	T(sys_open("nodev", O_RDWR, 0));
	T(sys_open("sock", O_RDWR, 0));
	T(sys_open("fifo", O_WRONLY | O_NONBLOCK, 0));
	T(sys_open("fifo", O_RDONLY | O_NONBLOCK, 0));
	T(sys_read(3, buf, 10));
	T(sys_open("fifo", O_WRONLY, 0));
	T(sys_read(3, buf, 10));
	T(sys_write(4, "through", 7));
	T(sys_read(3, buf, 10));
	T(sys_lseek(3, 0, 0));
	T(sys_pread(3, buf, 1, 0));
	T(sys_close(4));
	T(sys_read(3, buf, 10));
	T(sys_close(3));
	T(sys_truncate("fifo", 0));
	T(sys_truncate("null", 0));
	T(sys_open("/dev/zero", O_RDWR, 0));
	T(sys_read(3, buf, 5000));
	T(sys_write(3, buf, 5000));
	T(sys_close(3));
	T(sys_open("/dev/full", O_RDWR, 0));
	T(sys_read(3, buf, 10));
	T(sys_write(3, buf, 10));
	T(sys_close(3));
	T(sys_open("/dev/urandom", O_RDONLY, 0));
	T(sys_read(3, buf, 100));
	T(sys_close(3));
	T(sys_pipe(p));
	T(sys_lseek(3, 0, 0));
	T(sys_pread(3, buf, 1, 0));
	T(sys_ftruncate(4, 0));
	T(sys_fsync(3));
	T(sys_getdents(3, buf, 100));
	T(sys_fcntl(3, 3, 0));
	T(sys_fcntl(4, 3, 0));
	T(sys_read(4, buf, 1));
	T(sys_write(3, buf, 1));
	T(sys_close(3));
	T(sys_close(4));
	T(sys_unlink("reg"));
	T(sys_unlink("reg2"));
	T(sys_unlink("null"));
	T(sys_unlink("nodev"));
	T(sys_unlink("fifo"));
	T(sys_unlink("sock"));
	list(".");
}

struct flock {
	short type, whence;
	long start, len;
	int pid;
};

static void show_lock(long fd, short type, long start, long len)
{
	struct flock l = {type, 0, start, len, 0};
	long ret = sys_fcntl(fd, 5, (long)&l);

	print("getlk %d %ld+%ld = %ld: %d %d %ld+%ld\n", type, start, len, ret, l.type, l.whence,
	      l.start, l.len);
}

static long lock(long fd, short type, long start, long len)
{
	struct flock l = {type, 0, start, len, 0};

	return sys_fcntl(fd, 6, (long)&l);
}

static long ofd_lock(long fd, short type, long start, long len)
{
	struct flock l = {type, 0, start, len, 0};

	return sys_fcntl(fd, 37, (long)&l);
}

/* Locks are between processes: a child looks at what its parent holds. */
static void locks(void)
{
	int status = 0;
	long pid;

	print("locks\n");
	make("f", "0123456789");
	T(sys_open("f", O_RDWR, 0));
	T(sys_open("f", O_RDONLY, 0));
	T(lock(3, 1, 10, 10));
	T(lock(3, 0, 14, 2));
	T(lock(4, 1, 0, 1));
	T(lock(4, 0, 100, 0));
	T(lock(3, 7, 0, 1));
	T(lock(3, 1, -1, 1));
	T(lock(3, 1, 5, -5));
	T(lock(99, 1, 0, 1));
	T(lock(1, 2, 0, 1) == 0 || lock(1, 2, 0, 1) == -EINVAL);
	show_lock(3, 1, 0, 0);
	pid = sys_fork();
	if (!pid) {
		show_lock(3, 1, 0, 0);
		show_lock(3, 1, 5, 6);
		show_lock(3, 0, 14, 2);
		show_lock(3, 1, 14, 2);
		show_lock(3, 1, 16, 50);
		show_lock(3, 1, 50, 1);
		show_lock(3, 0, 100, 5);
		show_lock(3, 1, 200, 5);
		T(lock(3, 1, 16, 1));
		T(lock(3, 0, 14, 1));
		T(lock(3, 1, 30, 1));
		exit(0);
	}
	sys_wait4(pid, &status, 0);
	T(lock(3, 2, 12, 3));
	pid = sys_fork();
	if (!pid) {
		show_lock(3, 1, 11, 0);
		show_lock(3, 1, 12, 2);
		show_lock(3, 1, 12, 4);
		exit(0);
	}
	sys_wait4(pid, &status, 0);
	T(sys_close(4)); /* all of them go with any descriptor */
	pid = sys_fork();
	if (!pid) {
		show_lock(3, 1, 0, 0);
		exit(0);
	}
	sys_wait4(pid, &status, 0);
	T(sys_open("f", O_RDWR, 0));
	T(sys_flock(3, 2));
	T(sys_flock(4, 2 | 4));
	T(sys_flock(4, 1 | 4));
	T(sys_flock(3, 1));
	T(sys_flock(4, 1 | 4));
	T(sys_flock(3, 2 | 4));
	T(sys_flock(4, 8));
	T(sys_flock(3, 2 | 4));
	T(sys_flock(3, 0));
	T(sys_flock(99, 1));
	T(ofd_lock(3, 1, 0, 10));
	T(ofd_lock(4, 1, 5, 10));
	T(ofd_lock(4, 1, 10, 10));
	T(lock(4, 1, 0, 1));
	T(sys_close(3));
	T(ofd_lock(4, 1, 0, 20));
	T(sys_close(4));
	T(sys_unlink("f"));
}

static void descriptors(void)
{
	uint64_t limit[2], old[2] = {0, 0};
	long n = 0, fd;

	print("descriptors\n");
	T(sys_dup(99));
	T(sys_dup(1));
	T(sys_dup2(1, 10));
	T(sys_dup2(1, 1));
	T(sys_dup2(99, 1));
	T(sys_dup2(1, -1));
	T(sys_fcntl(1, 0, 5));
	T(sys_fcntl(1, 0, -1));
	T(sys_fcntl(1, 1030, 5));
	T(sys_fcntl(6, 1, 0));
	T(sys_fcntl(99, 0, 0));
	T(sys_fcntl(1, 12345, 0));
	T(sys_close_range(3, 9, 0));
	T(sys_close(5));
	T(sys_close(10));
	T(sys_close_range(9, 3, 0));
	T(sys_close_range(3, -1, 8));
	make("f", "x");
	sys_getrlimit(7, old);
	limit[0] = 20;
	limit[1] = old[1];
	T(sys_setrlimit(7, limit));
	while (!is_error(fd = sys_open("f", O_RDONLY, 0)))
		n++;
	print("%ld opened, then %ld\n", n, fd);
	T(sys_dup(1));
	T(sys_dup2(1, 20));
	T(sys_dup2(1, 19));
	T(sys_fcntl(1, 0, 20));
	T(sys_fcntl(1, 0, 19));
	limit[0] = limit[1] + 1;
	T(sys_setrlimit(7, limit));
	limit[0] = 300;
	T(sys_setrlimit(7, limit));
	for (n = 0; n < 200; n++)
		fd = sys_open("f", O_RDONLY, 0);
	print("the last is %ld\n", fd);
	T(sys_read(219, buf, 10));
	T(sys_dup2(1, 299));
	T(sys_close(100));
	T(sys_close(50));
	T(sys_dup(1));
	T(sys_dup(1));
	T(sys_dup(1));
	T(sys_close_range(3, -1, 0));
	T(sys_close(299));
	T(sys_setrlimit(7, old));
	T(sys_unlink("f"));
}

static void copying(void)
{
	long at = 3;
	int p[2];

	print("copying\n");
	make("from", "The quick brown fox jumps over the lazy dog");
	T(sys_open("from", O_RDONLY, 0));
	T(sys_open("to", O_RDWR | O_CREAT, 0644));
	T(sys_sendfile(4, 3, NULL, 10));
	T(sys_lseek(3, 0, 1));
	T(sys_sendfile(4, 3, &at, 10));
	T(at);
	T(sys_lseek(3, 0, 1));
	T(sys_sendfile(4, 3, NULL, 1000));
	T(sys_sendfile(4, 3, NULL, 1000));
	T(sys_sendfile(3, 4, NULL, 10));
	T(sys_sendfile(4, 99, NULL, 10));
	content("to");
	T(sys_pipe(p));
	at = 0;
	T(sys_sendfile(p[1], 3, &at, 100));
	T(sys_read(p[0], buf, 100));
	T(sys_sendfile(4, p[0], NULL, 1));
	T(sys_close(5));
	T(sys_close(6));
	at = 0;
	T(sys_copy_range(3, &at, 4, NULL, 20));
	T(at);
	T(sys_copy_range(3, &at, 4, NULL, 1000));
	T(sys_copy_range(3, &at, 4, NULL, 1000));
	T(sys_copy_range(4, NULL, 3, NULL, 10));
	T(sys_copy_range(3, NULL, 1, NULL, 10) < 0);
	content("to");
	T(sys_close(3));
	T(sys_close(4));
	T(sys_unlink("from"));
	T(sys_unlink("to"));
}

static void memfds(void)
{
	long m;

	print("memfd\n");
	T(sys_memfd("name", 0x100));
	T(sys_memfd((char *)8, 0));
	memset(big, 'q', 250);
	big[250] = '\0';
	T(sys_memfd(big, 0));
	T(sys_memfd("plain", 0));
	fst(3);
	T(sys_fcntl(3, 1034, 0));
	T(sys_fcntl(3, 1033, 2));
	T(sys_fcntl(3, 3, 0));
	T(sys_fcntl(3, 1, 0));
	T(sys_close(3));
	T(sys_memfd("sealed", 3));
	T(sys_fcntl(3, 1, 0));
	T(sys_fcntl(3, 1034, 0));
	T(sys_ftruncate(3, 5000));
	T(sys_fcntl(3, 1033, 2));
	T(sys_ftruncate(3, 4000));
	T(sys_ftruncate(3, 6000));
	T(sys_fcntl(3, 1033, 4));
	T(sys_ftruncate(3, 7000));
	T(sys_pwrite(3, "x", 1, 6000));
	T(sys_pwrite(3, "x", 1, 5999));
	T(sys_fallocate(3, 0, 0, 7000));
	T(sys_fcntl(3, 1033, 0x100));
	m = syscall6(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
	T(is_error(m));
	T(sys_fcntl(3, 1033, 8));
	T(sys_munmap(m, 4096));
	T(sys_fcntl(3, 1033, 8));
	T(sys_pwrite(3, "x", 1, 0));
	T(sys_fallocate(3, 3, 0, 100));
	T(syscall6(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0));
	T(sys_fcntl(3, 1033, 1));
	T(sys_fcntl(3, 1033, 2));
	T(sys_fcntl(3, 1034, 0));
	T(sys_fcntl(1, 1034, 0));
	T(sys_close(3));
}

static void mounts(void)
{
	struct stat s;
	long fd;

	print("mounts\n");
	T(sys_mkdir("m", 0700));
	make("m/below", "x");
	T(sys_mount("none", "none", "tmpfs", 0, ""));
	T(sys_mount("none", "m", "nosuchfs", 0, ""));
	T(sys_mount("none", "m/below", "tmpfs", 0, ""));
	T(sys_mount("none", "m", "tmpfs", 0, "mode=711"));
	st("m");
	list("m");
	make("m/inside", "y");
	T(sys_rmdir("m"));
	T(sys_rename("m", "n"));
	T(sys_rename("m/inside", "outside"));
	T(sys_link("m/inside", "outside"));
	T(sys_chdir("m"));
	where();
	T(sys_umount("/conform/m", 0));
	T(sys_chdir(".."));
	where();
	fd = sys_open("m/inside", O_RDONLY, 0);
	T(sys_umount("m", 0));
	T(sys_close(fd));
	T(sys_mount("none", "m", NULL, 32 | 1, NULL));
	T(sys_open("m/new", O_CREAT | O_RDWR, 0644));
	T(sys_open("m/inside", O_RDWR, 0));
	T(sys_open("m/inside", O_CREAT | O_RDONLY, 0));
	T(sys_close(3));
	T(sys_mkdir("m/new", 0755));
	T(sys_mkdir("m/inside", 0755));
	T(sys_unlink("m/inside"));
	T(sys_unlink("m/none"));
	T(sys_chmod("m/inside", 0));
	T(sys_truncate("m/inside", 0));
	T(sys_access("m/inside", 2));
	T(sys_access("m/inside", 4));
	T(sys_rename("m/inside", "m/x"));
	T(sys_umount("m", 0));
	T(sys_umount("m", 0));
	T(sys_umount("none", 0));
	list("m");
	T(sys_unlink("m/below"));
	T(sys_rmdir("m"));
	T(sys_mkdir("root", 0755));
	T(sys_mkdir("root/in", 0755));
	if (!sys_fork()) {
		T(sys_chroot("none"));
		T(sys_chroot("root"));
		T(sys_chdir("/"));
		where();
		list("/");
		list("..");
		list("/../in/../..");
		show_stat("/conform", sys_stat("/conform", &s), &s);
		exit(0);
	}
	sys_wait4(-1, NULL, 0);
	where();
	T(sys_rmdir("root/in"));
	T(sys_rmdir("root"));
}

static void times(void)
{
	int64_t ts[4] = {1000, 5, 2000, 999999999};
	struct stat s;

	print("times\n");
	make("f", "x");
	T(sys_utimensat(AT_FDCWD, "f", ts, 0));
	sys_stat("f", &s);
	print("%lu.%lu %lu.%lu\n", s.atime, s.atime_nsec, s.mtime, s.mtime_nsec);
	ts[1] = 0x3ffffffe;
	ts[2] = 3000;
	T(sys_utimensat(AT_FDCWD, "f", ts, 0));
	sys_stat("f", &s);
	print("%lu.%lu %lu.%lu\n", s.atime, s.atime_nsec, s.mtime, s.mtime_nsec);
	ts[3] = 1000000000;
	T(sys_utimensat(AT_FDCWD, "f", ts, 0));
	T(sys_utimensat(AT_FDCWD, "none", NULL, 0));
	T(sys_utimensat(AT_FDCWD, NULL, NULL, 0));
	T(sys_utimensat(AT_FDCWD, "f", (void *)8, 0));
	T(sys_utimensat(AT_FDCWD, "f", NULL, 1));
	T(sys_utimensat(AT_FDCWD, "f", NULL, 0));
	sys_stat("f", &s);
	T(s.atime == s.mtime && s.atime > 1000000000);
	T(sys_unlink("f"));
}

/* ---- at random -------------------------------------------------------------------------------- */

static uint64_t seed;

static unsigned int pick(unsigned int n)
{
	return random_next(&seed) % n;
}

/* A path of up to three names out of four. */
static const char *some_path(char *to)
{
	char *p = to;
	unsigned int parts = 1 + pick(3);

	while (parts--) {
		if (p != to)
			*p++ = '/';
		if (!pick(20)) {
			*p++ = '.';
			*p++ = '.';
			continue;
		}
		*p++ = "abcd"[pick(4)];
	}
	if (!pick(25))
		*p++ = '/';
	*p = '\0';
	return to;
}

static void random_operation(long i)
{
	static long fds[4] = {-1, -1, -1, -1};
	static const short flags[] = {O_RDONLY,		 O_RDWR,
				      O_RDWR | O_CREAT,	 O_WRONLY | O_CREAT | O_TRUNC,
				      O_RDWR | O_CREAT,	 O_RDWR | O_CREAT | O_EXCL,
				      O_RDWR | O_APPEND, O_RDONLY | O_CREAT};
	char a[16], b[16];
	unsigned int what = pick(20), slot = pick(4), at = pick(20000), n = pick(6000);
	long ret = 0;

	some_path(a);
	some_path(b);
	switch (what) {
	case 0:
	case 1:
	case 2:
		if (fds[slot] >= 0)
			sys_close(fds[slot]);
		ret = fds[slot] = sys_open(a, flags[pick(8)], 0644);
		break;
	case 3:
	case 4:
	case 5:
		memset(big, 'A' + pick(26), sizeof(big));
		ret = sys_pwrite(fds[slot], big, n < 5000 ? n : 5000, at);
		break;
	case 6:
	case 7:
		ret = sys_pread(fds[slot], buf, n, at);
		for (long k = 0; k < ret; k++)
			at = at * 31 + (unsigned char)buf[k];
		break;
	case 8:
		ret = sys_ftruncate(fds[slot], at);
		break;
	case 9:
	case 10:
		ret = sys_mkdir(a, 0755);
		break;
	case 11:
		ret = sys_rmdir(a);
		break;
	case 12:
	case 13:
		ret = sys_unlink(a);
		break;
	case 14:
		ret = sys_rename(a, b);
		break;
	case 15:
		ret = sys_link(a, b);
		break;
	case 16:
		ret = sys_symlink(b, a);
		break;
	case 17:
		ret = sys_renameat2(AT_FDCWD, a, AT_FDCWD, b, pick(4));
		break;
	case 18:
		ret = sys_fallocate(fds[slot], pick(4), at, n);
		break;
	case 19:
		ret = sys_truncate(a, at);
		break;
	}
	print("%ld %u %s %s %u %u %u: %ld\n", i, what, a, b, slot, at, n, ret);
}

static void show_tree(char *path, size_t len, int depth)
{
	if (depth > 4)
		return;
	list(path);
	for (int i = 0; i < 4; i++) {
		struct stat s;

		path[len] = '/';
		path[len + 1] = "abcd"[i];
		path[len + 2] = '\0';
		if (!sys_lstat(path, &s)) {
			show_stat(path, 0, &s);
			if ((s.mode & S_IFMT) == S_IFDIR)
				show_tree(path, len + 2, depth + 1);
			else if ((s.mode & S_IFMT) == S_IFREG)
				content(path);
			else
				link_to(path);
		}
		path[len] = '\0';
	}
}

static uint64_t number(const char *s)
{
	uint64_t v = 1;

	return parse_size(s, &v) && v ? v : 1;
}

int main(int argc, char **argv)
{
	char path[32] = ".";

	sys_umask(022);
	sys_mkdir("/conform", 0755);
	T(sys_mount("none", "/conform", "tmpfs", 0, ""));
	T(sys_chdir("/conform"));
	if (argc == 4) {
		long n = number(argv[3]);

		sys_chroot("/conform"); /* so that ".." leads nowhere else */
		sys_chdir("/");
		seed = number(argv[2]);
		for (long i = 0; i < n; i++)
			random_operation(i);
		show_tree(path, 1, 0);
		print("%ld operations\n", n);
		return 0;
	}
	st(".");
	opening();
	opening_flags();
	opening_names();
	tmpfiles();
	reading_writing();
	reading_writing_memory();
	appending_cutting();
	allocating();
	directories();
	working_directories();
	links();
	symbolic_links();
	opening_links();
	links_to_directories();
	modes_through_links();
	chains_of_links();
	renaming();
	renaming_roots();
	renaming_flags();
	renaming_links();
	nodes();
	locks();
	descriptors();
	copying();
	memfds();
	mounts();
	times();
	st(".");
	print("end of the cases\n");
	return 0;
}
