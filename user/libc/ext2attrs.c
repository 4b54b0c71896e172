/*
 * Extended attributes of ext2, for tests/vm/ext2.sh: creates them on a disk, or prints those that are there.
 *    ext2attrs DISK make | look      Needs root. Prints each answer; the script checks them.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "transcript.h"

#define DIR "/attrs"

static char big[4096], value[8192];

static void make_file(const char *name)
{
	close(open(name, O_CREAT | O_WRONLY, 0644));
}

static void list(const char *name)
{
	ssize_t n = listxattr(name, value, sizeof(value));

	printf("list of %s: %s", name, result(n));
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(value + at) + 1)
		printf(" %s", value + at);
	printf("\n");
}

static void show(const char *file, const char *name)
{
	ssize_t n = getxattr(file, name, value, sizeof(value) - 1);

	printf("%s %s: %s", file, name, result(n));
	if (n >= 0)
		value[n] = 0;
	printf(" %.40s\n", n >= 0 ? value : "");
}

static void blocks(const char *what)
{
	struct statvfs fs;
	struct stat st;

	statvfs(".", &fs);
	stat("file", &st);
	printf("%s: %ld of 512 bytes, %ld free\n", what, (long)st.st_blocks, (long)fs.f_bfree);
}

static void make(void)
{
	const int before = umask(0);
	struct statvfs fs;

	umask(before);
	make_file("file");
	mkdir("dir", 0755);
	symlink("file", "link");
	make_file("gone");
	memset(big, 'v', sizeof(big));
	blocks("without");
	printf("set %s", result(setxattr("file", "user.two", "second", 6, 0)));
	printf(" %s", result(setxattr("file", "user.one", "1", 1, 0)));
	printf(" %s", result(setxattr("file", "user.empty", "", 0, 0)));
	printf(" %s", result(setxattr("file", "trusted.t", "trust", 5, 0)));
	printf(" %s", result(setxattr("file", "security.s", "safe", 4, 0)));
	printf(" directory %s", result(setxattr("dir", "user.d", "of a directory", 14, 0)));
	printf(" link %s", result(lsetxattr("link", "trusted.l", "of a link", 9, 0)));
	printf(" user.'s of a link %s\n", result(lsetxattr("link", "user.l", "x", 1, 0)));
	blocks("with");
	printf("create again %s", result(setxattr("file", "user.one", "x", 1, XATTR_CREATE)));
	printf(" replace nothing %s", result(setxattr("file", "user.none", "x", 1, XATTR_REPLACE)));
	printf(" ACL %s", result(setxattr("file", "system.posix_acl_access", "x", 1, 0)));
	printf(" larger than a block %s\n", result(setxattr("file", "user.big", big, 4096, 0)));
	list("file");
	show("file", "user.one");
	printf("change %s", result(setxattr("file", "user.one", "another value", 13, 0)));
	printf(" take away %s", result(removexattr("file", "user.two")));
	printf(" again %s\n", result(removexattr("file", "user.two")));
	list("file");
	/* One that comes and goes. */
	statvfs(".", &fs);
	setxattr("gone", "user.x", "x", 1, 0);
	removexattr("gone", "user.x");
	list("gone");
	setxattr("gone", "user.x", "x", 1, 0);
	unlink("gone");
	blocks("one deleted");
}

static void look(void)
{
	list("file");
	show("file", "user.one");
	show("file", "user.empty");
	show("file", "trusted.t");
	show("file", "security.s");
	show("dir", "user.d");
	list("other");
	show("other", "user.host");
	printf("change %s\n", result(setxattr("other", "user.guest", "here", 4, 0)));
	list("other");
	printf("take away %s\n", result(removexattr("dir", "user.d")));
	list("dir");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir(DIR, 0755);
	if (argc < 3 || mount(argv[1], DIR, "ext2", 0, "") || chdir(DIR))
		return 1;
	if (!strcmp(argv[2], "make"))
		make();
	else
		look();
	chdir("/");
	printf("umount %s\n", result(umount(DIR)));
	puts("end");
	return 0;
}
