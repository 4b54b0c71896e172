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
#include "files.h"

static char big[5000];
static char buf[8192];

static void result(const char *what, long ret)
{
	print("%s = %ld\n", what, ret);
}
#define T(call) result(#call, call)

static void show_stat(const char *what, long ret, const struct stat *st)
{
	if (is_error(ret)) {
		print("stat %s = %ld\n", what, ret);
		return;
	}
	/* Linux's mode as octal is more readable, but there is only %x. */
	print("stat %s mode %x nlink %lu size %ld blocks %ld uid %u gid %u rdev %lx\n", what,
	      st->mode, st->nlink, st->size, st->blocks, st->uid, st->gid, st->rdev);
}

static void st(const char *path)
{
	struct stat s;

	show_stat(path, sys_lstat(path, &s), &s);
}

static void fst(long fd)
{
	struct stat s;

	show_stat("(fd)", sys_fstat(fd, &s), &s);
}

/* ---- listing ---------------------------------------------------------------------------------- */

#define MAX_NAMES 64
static char names[MAX_NAMES][300];
static unsigned char types[MAX_NAMES];

static int read_names(const char *path)
{
	long fd = sys_open(path, O_RDONLY | O_DIRECTORY, 0), n;
	int nr = 0;

	if (is_error(fd))
		return fd;
	while ((n = sys_getdents(fd, buf, 512)) > 0) {
		for (long at = 0; at < n;) {
			struct dirent64 *d = (void *)(buf + at);
			size_t len = strlen(d->name);

			if (nr < MAX_NAMES && len < sizeof(names[0])) {
				memcpy(names[nr], d->name, len + 1);
				types[nr++] = d->type;
			}
			at += d->reclen;
		}
	}
	sys_close(fd);
	return n < 0 ? (int)n : nr;
}

static int by_name(const char *a, const char *b)
{
	return strcmp(a, b);
}

static void list(const char *path)
{
	int nr = read_names(path);

	if (nr < 0) {
		print("list %s = %d\n", path, nr);
		return;
	}
	for (int i = 1; i < nr; i++) {
		for (int j = i; j > 0 && by_name(names[j - 1], names[j]) > 0; j--) {
			char name[300];
			unsigned char type = types[j];

			memcpy(name, names[j], sizeof(name));
			memcpy(names[j], names[j - 1], sizeof(name));
			memcpy(names[j - 1], name, sizeof(name));
			types[j] = types[j - 1];
			types[j - 1] = type;
		}
	}
	print("list %s:", path);
	for (int i = 0; i < nr; i++)
		print(" %s(%d)", names[i], types[i]);
	print("\n");
}

static void content(const char *path)
{
	long fd = sys_open(path, O_RDONLY, 0), n;
	uint64_t hash = 14695981039346656037ull;
	long total = 0;

	if (is_error(fd)) {
		print("content %s = %ld\n", path, fd);
		return;
	}
	while ((n = sys_read(fd, buf, sizeof(buf))) > 0) {
		for (long i = 0; i < n; i++)
			hash = (hash ^ (unsigned char)buf[i]) * 1099511628211ull;
		total += n;
	}
	print("content %s: %ld bytes %lx, then %ld\n", path, total, hash, n);
	sys_close(fd);
}

static void make(const char *path, const char *text)
{
	long fd = sys_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (!is_error(fd)) {
		sys_write(fd, text, strlen(text));
		sys_close(fd);
	}
}

static void link_to(const char *path)
{
	long n = sys_readlink(path, buf, sizeof(buf) - 1);

	if (n >= 0)
		buf[n] = '\0';
	print("readlink %s = %ld %s\n", path, n, n >= 0 ? buf : "");
}

static void where(void)
{
	long n = sys_getcwd(buf, sizeof(buf));

	print("cwd = %ld %s\n", n, is_error(n) ? "" : buf);
}

/* ---- the cases -------------------------------------------------------------------------------- */

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
	struct iovec v[3] = {{"abc", 3}, {"", 0}, {"defg", 4}};

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

static void directories(void)
{
	long fd;

	print("directories\n");
	T(sys_mkdir("d", 0755));
	T(sys_mkdir("d", 0755));
	T(sys_mkdir("d/", 0755));
	T(sys_mkdir("", 0755));
	T(sys_mkdir("/", 0755));
	T(sys_mkdir(".", 0755));
	T(sys_mkdir("d/..", 0755));
	T(sys_mkdir("none/x", 0755));
	T(sys_mkdir("e/", 01777));
	st("d");
	st("e");
	T(sys_mkdir("d/s", 0700));
	make("d/f", "file");
	T(sys_mkdir("d/f", 0755));
	T(sys_mkdir("d/f/x", 0755));
	st("d");
	list("d");
	list("d/f");
	T(sys_rmdir("d"));
	T(sys_rmdir("d/f"));
	T(sys_rmdir("none"));
	T(sys_rmdir("."));
	T(sys_rmdir("d/."));
	T(sys_rmdir("d/.."));
	T(sys_rmdir("/"));
	T(sys_rmdir(""));
	T(sys_unlink("d"));
	T(sys_unlink("d/"));
	T(sys_unlink("d/f/"));
	T(sys_unlink("d/."));
	T(sys_unlink("/"));
	T(sys_unlink("none"));
	T(sys_unlink("none/"));
	T(sys_unlinkat(AT_FDCWD, "d/s", 0));
	T(sys_unlinkat(AT_FDCWD, "d/s", AT_REMOVEDIR));
	T(sys_unlinkat(AT_FDCWD, "d/s", 1));
	T(sys_chdir("d"));
	where();
	T(sys_chdir("f"));
	T(sys_chdir("none"));
	T(sys_rmdir("../d"));
	T(sys_unlink("f"));
	T(sys_rmdir("../d"));
	where();
	T(sys_mkdir("x", 0755));
	T(sys_open("x", O_CREAT | O_RDWR, 0644));
	T(sys_open("..", O_RDONLY, 0));
	T(sys_close(3));
	T(sys_open(".", O_RDONLY, 0));
	T(sys_getdents(3, buf, 1000));
	T(sys_close(3));
	T(sys_chdir(".."));
	where();
	fd = sys_open("e", O_RDONLY, 0);
	T(sys_mkdirat(3, "in", 0755));
	T(sys_mkdirat(99, "in", 0755));
	T(sys_getdents(fd, buf, 10));
	T(sys_getdents(fd, buf, 24));
	T(sys_getdents(fd, buf, 24));
	T(sys_getdents(fd, buf, 24));
	T(sys_getdents(fd, buf, 24));
	T(sys_lseek(fd, 0, 0));
	T(sys_getdents(fd, buf, 1000));
	T(sys_getdents(1, buf, 1000));
	T(sys_getdents(99, buf, 1000));
	T(sys_read(fd, buf, 10));
	T(sys_write(fd, buf, 10));
	T(sys_fchdir(fd));
	where();
	T(sys_chdir("/conform"));
	T(sys_fchdir(1));
	T(sys_fchdir(99));
	T(sys_close(fd));
	T(sys_getcwd(buf, 3));
	T(sys_getcwd(buf, 0));
	T(sys_getcwd((char *)8, 100));
	T(sys_rmdir("e/in"));
	T(sys_rmdir("e/"));
	list(".");
}

static void links(void)
{
	struct stat s;

	print("links\n");
	make("f", "contents");
	T(sys_link("f", "g"));
	st("f");
	T(sys_link("f", "g"));
	T(sys_link("none", "h"));
	T(sys_link("f", "none/h"));
	T(sys_link("f", ""));
	T(sys_link("", "h"));
	T(sys_link(".", "h"));
	T(sys_link("f", "h/"));
	T(sys_link("f/", "h"));
	T(sys_unlink("f"));
	st("g");
	content("g");
	T(sys_symlink("g", "s"));
	T(sys_symlink("", "empty"));
	T(sys_symlink("g", ""));
	T(sys_symlink("g", "s"));
	T(sys_symlink("g", "t/"));
	T(sys_symlink("dir/", "slash"));
	T(sys_symlink("loop2", "loop1"));
	T(sys_symlink("loop1", "loop2"));
	T(sys_symlink("/conform/g", "abs"));
	T(sys_symlink("../conform/./g", "rel"));
	T(sys_symlink("gone", "dangling"));
	T(sys_mkdir("dir", 0755));
	T(sys_symlink("dir", "todir"));
	T(sys_symlink("/conform/todir/..", "up"));
	link_to("s");
	link_to("g");
	link_to(".");
	link_to("none");
	T(sys_readlink("s", buf, 0));
	T(sys_readlink("abs", buf, 3));
	T(sys_readlink("s", buf, -1));
	T(sys_readlink("s", (char *)8, 10));
	st("s");
	show_stat("s/", sys_stat("s/", &s), &s);
	show_stat("s", sys_stat("s", &s), &s);
	content("s");
	content("abs");
	content("rel");
	content("dangling");
	content("loop1");
	T(sys_open("loop1", O_NOFOLLOW, 0));
	T(sys_open("s", O_NOFOLLOW, 0));
	T(sys_open("s", O_NOFOLLOW | O_PATH, 0));
	fst(3);
	T(sys_readlinkat(3, "", buf, 100));
	T(sys_close(3));
	T(sys_open("s", O_CREAT | O_EXCL, 0644));
	T(sys_open("dangling", O_CREAT | O_EXCL, 0644));
	T(sys_open("dangling", O_CREAT | O_RDWR, 0644));
	T(sys_close(3));
	list(".");
	T(sys_unlink("gone"));
	T(sys_open("dangling", O_CREAT | O_RDWR | O_NOFOLLOW, 0644));
	T(sys_mkdir("dangling", 0755));
	T(sys_mkdir("todir/x", 0755));
	list("dir");
	list("up");
	T(sys_rmdir("todir"));
	T(sys_rmdir("todir/"));
	T(sys_unlink("todir/"));
	T(sys_rmdir("todir/x"));
	list("todir/");
	show_stat("todir/", sys_lstat("todir/", &s), &s);
	show_stat("slash", sys_stat("slash", &s), &s);
	T(sys_open("slash", O_RDWR, 0));
	T(sys_symlink("none/", "noneslash"));
	T(sys_open("noneslash", O_CREAT | O_RDWR, 0644));
	T(sys_linkat(AT_FDCWD, "s", AT_FDCWD, "hard1", 0));
	T(sys_linkat(AT_FDCWD, "s", AT_FDCWD, "hard2", AT_SYMLINK_FOLLOW));
	T(sys_linkat(AT_FDCWD, "s", AT_FDCWD, "hard3", 1));
	st("hard1");
	st("hard2");
	T(sys_chmod("s", 0600));
	st("g");
	T(sys_chown("s", 5, 6));
	st("g");
	T(sys_chmod("dangling", 0600));
	T(sys_chmod("g", 0177777));
	st("g");
	T(sys_chown("g", -1, 7));
	st("g");
	T(sys_access("g", 0));
	T(sys_access("g", 7));
	T(sys_chmod("g", 0));
	T(sys_access("g", 1));
	T(sys_access("g", 6));
	T(sys_access("g", 8));
	T(sys_access("none", 0));
	T(sys_access("dangling", 0));
	T(sys_faccessat2(AT_FDCWD, "dangling", 0, AT_SYMLINK_NOFOLLOW));
	T(sys_faccessat2(AT_FDCWD, "g", 0, 1));
	for (int i = 0; i < 45; i++) {
		char from[4] = {'c', (char)('0' + i / 10), (char)('0' + i % 10), 0};
		char to[4] = {'c', (char)('0' + (i + 1) / 10), (char)('0' + (i + 1) % 10), 0};

		sys_symlink(to, from);
	}
	make("c45", "end of the chain");
	content("c06");
	content("c05");
	content("c04");
	for (int i = 0; i < 46; i++) {
		char from[4] = {'c', (char)('0' + i / 10), (char)('0' + i % 10), 0};

		sys_unlink(from);
	}
	T(sys_unlink("s"));
	T(sys_unlink("abs"));
	T(sys_unlink("rel"));
	T(sys_unlink("up"));
	T(sys_unlink("loop1"));
	T(sys_unlink("loop2"));
	T(sys_unlink("slash"));
	T(sys_unlink("noneslash"));
	T(sys_unlink("dangling"));
	T(sys_unlink("todir"));
	T(sys_unlink("hard1"));
	T(sys_unlink("hard2"));
	T(sys_unlink("g"));
	T(sys_rmdir("dir"));
	list(".");
}

static void renaming(void)
{
	print("renaming\n");
	make("a", "file a");
	make("b", "file b!");
	T(sys_rename("a", "c"));
	T(sys_rename("none", "c"));
	T(sys_rename("c", "b"));
	content("b");
	T(sys_rename("b", "b"));
	T(sys_link("b", "b2"));
	T(sys_rename("b", "b2"));
	list(".");
	T(sys_mkdir("d", 0755));
	T(sys_mkdir("d/e", 0755));
	T(sys_mkdir("d/e/f", 0755));
	T(sys_mkdir("x", 0755));
	T(sys_rename("d", "d/e/g"));
	T(sys_rename("d", "d/e"));
	T(sys_rename("d/e/f", "d"));
	T(sys_rename("d/e", "d"));
	T(sys_rename("d", "b"));
	T(sys_rename("b", "d"));
	T(sys_rename("b", "d/"));
	T(sys_rename("b", "n/"));
	T(sys_rename("b/", "n"));
	T(sys_rename("x", "d"));
	T(sys_rename("d", "x"));
	list("x");
	st("x");
	T(sys_rename("x/e", "y"));
	st("x");
	st("y");
	list("y");
	T(sys_rename("x", "y/"));
	T(sys_rename("x/", "z/"));
	list(".");
	T(sys_rename(".", "q"));
	T(sys_rename("z", "."));
	T(sys_rename("z", ".."));
	T(sys_rename("/", "q"));
	T(sys_rename("z", "/"));
	T(sys_rename("z/.", "q"));
	T(sys_rename("z", "/dev/q"));
	T(sys_rename("", "q"));
	T(sys_rename("z", ""));
	T(sys_rename("z", "none/q"));
	T(sys_rename("none/q", "z"));
	T(sys_rename("b/q", "z"));
	T(sys_renameat2(AT_FDCWD, "b", AT_FDCWD, "b2", 1));
	T(sys_renameat2(AT_FDCWD, "b", AT_FDCWD, "b3", 1));
	T(sys_renameat2(AT_FDCWD, "z", AT_FDCWD, ".", 1));
	T(sys_renameat2(AT_FDCWD, "b3", AT_FDCWD, "z", 2));
	T(sys_renameat2(AT_FDCWD, "b3", AT_FDCWD, "none", 2));
	T(sys_renameat2(AT_FDCWD, "b3", AT_FDCWD, "z", 3));
	T(sys_renameat2(AT_FDCWD, "b3", AT_FDCWD, "z", 8));
	T(sys_renameat2(AT_FDCWD, "y/f", AT_FDCWD, "z", 2));
	T(sys_renameat2(AT_FDCWD, "y", AT_FDCWD, "y/f", 2));
	list(".");
	list("y");
	content("y/f");
	content("z");
	T(sys_symlink("y", "l"));
	T(sys_rename("l", "l2"));
	link_to("l2");
	T(sys_rename("l2/", "l3"));
	T(sys_rename("b2", "l2"));
	st("l2");
	T(sys_open("l2", O_RDWR, 0));
	make("l3", "new one");
	T(sys_rename("l3", "l2"));
	fst(3);
	T(sys_read(3, buf, 100));
	T(sys_close(3));
	memset(big, 'n', 255);
	big[255] = '\0';
	T(sys_rename("l2", big));
	st(big);
	T(sys_rename(big, "short"));
	content("short");
	memset(big, 'm', 100);
	big[100] = '\0';
	T(sys_rename("short", big));
	make("short", "another");
	T(sys_renameat2(AT_FDCWD, big, AT_FDCWD, "short", 2));
	content("short");
	content(big);
	T(sys_unlink(big));
	T(sys_unlink("short"));
	list(".");
	list("y");
	list("b3");
	T(sys_unlink("y/f"));
	T(sys_rmdir("y"));
	T(sys_unlink("z"));
	T(sys_rmdir("z"));
	T(sys_rmdir("b3"));
	T(sys_unlink("b2"));
	list(".");
}

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
	tmpfiles();
	reading_writing();
	directories();
	links();
	renaming();
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
