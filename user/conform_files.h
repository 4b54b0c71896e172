/*
 * How user/conform_files.c prints what calls about files return: results, attributes, lists, contents.
 */
#ifndef USER_CONFORM_FILES_H
#define USER_CONFORM_FILES_H
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
#endif
