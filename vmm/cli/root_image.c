/*
 * An ext2 image of a folder: mke2fs(8) of e2fsprogs makes it (-d), with owners, modes and links as they
 * are. Symbolic links are not followed; what cannot be read is missing, and mke2fs says so.
 */
#include "cli/root_image.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "result/result.h"

#define BLOCK	   4096u
#define LEAST_FREE (64u << 20) /* bytes */
#define MOST_OPEN  16

extern char **environ;

/* What nftw(3) has counted: it passes nothing through. */
static uint64_t bytes, files;

static int count(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path;
	(void)type;
	(void)at;
	files++;
	if (S_ISREG(st->st_mode))
		bytes += ((uint64_t)st->st_size + BLOCK - 1) / BLOCK * BLOCK;
	else
		bytes += BLOCK;
	return 0;
}

/* Run a program, and collect its stderr. Its exit status, or -errno. */
static int run(char **argv)
{
	pid_t pid;
	int status, rc = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);

	if (rc)
		return -rc;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int root_image_make(const char *folder, char *path, size_t size, struct mmvm_error *err)
{
	const char *tmp = getenv("TMPDIR");
	char blocks[32], inodes[32];
	char *argv[] = {"mke2fs", "-q",	  "-F", "-t",		"ext2", "-b",	"4096",
			"-N",	  inodes, "-d", (char *)folder, path,	blocks, NULL};
	uint64_t total;
	int fd, rc;

	bytes = files = 0;
	if (nftw(folder, count, MOST_OPEN, FTW_PHYS))
		return mmvm_error(err, MMVM_EXIT_USAGE, "--root %s: cannot be read: %s", folder,
				  strerror(errno));
	total = bytes + bytes / 8 + (bytes > LEAST_FREE ? bytes : LEAST_FREE);
	snprintf(path, size, "%s/mmvm-root.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	fd = mkstemp(path);
	if (fd < 0)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot make %s: %s", path, strerror(errno));
	close(fd);
	snprintf(blocks, sizeof(blocks), "%llu", (unsigned long long)(total / BLOCK));
	snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)(files * 2 + 4096));
	rc = run(argv);
	if (!rc)
		return 0;
	unlink(path);
	if (rc < 0)
		return mmvm_error(
			err, MMVM_EXIT_HOST,
			"--root %s: cannot run mke2fs: %s (it is in e2fsprogs; or give an "
			"ext2 image)",
			folder, strerror(-rc));
	return mmvm_error(err, MMVM_EXIT_HOST, "--root %s: mke2fs failed with status %d", folder,
			  rc);
}
