/*
 * Files that are whole or not there. The content goes into a file without a name (O_TMPFILE) in the
 * target's folder, is synced, and only then takes its name: a process killed at any moment leaves a
 * whole file or none, and never a second one beside it. linkat() cannot replace, so an old file of
 * that name goes first, after the new one is safely on disk.
 *
 * Where the file system has no files without names (9p, as in the lab), the temporary file is
 * ".<name>.mmvm-<pid>" and rename() replaces the old one; there a kill can leave that file behind.
 */
#include "result/result.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

FILE *report_open_input(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), flags;

	if (fd < 0)
		return NULL;
	/* From here on who writes is waited for. */
	flags = fcntl(fd, F_GETFL);
	fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	return fdopen(fd, "r");
}

/** Write everything through a stdio stream on a duplicate of `fd`, and sync. */
static int fill(int fd, int (*emit)(FILE *f, const void *arg), const void *arg)
{
	int copy = dup(fd);
	FILE *f = copy < 0 ? NULL : fdopen(copy, "w");
	int err = 0;

	if (!f) {
		err = -errno;
		if (copy >= 0)
			close(copy);
		return err;
	}
	errno = 0;
	err = emit(f, arg);
	/* The stream's error says only that there was one; the cause is in errno of the flush. */
	if (fflush(f) || ferror(f))
		err = errno ? -errno : -EIO;
	if (fclose(f) && !err)
		err = -errno;
	if (!err && fsync(fd) && errno != EINVAL)
		err = -errno;
	return err;
}

static int emit_stdout(int (*emit)(FILE *f, const void *arg), const void *arg)
{
	int err = emit(stdout, arg);

	errno = 0;
	if (fflush(stdout) || ferror(stdout))
		err = errno ? -errno : -EIO;
	return err;
}

int report_write_file_atomic(const char *path, int (*emit)(FILE *f, const void *arg),
			     const void *arg)
{
	char folder_copy[PATH_MAX], name_copy[PATH_MAX], temp[PATH_MAX + 64], proc[64];
	const char *folder, *name;
	struct stat st;
	bool named = false;
	int fd, err;

	if (!strcmp(path, "-"))
		return emit_stdout(emit, arg);
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	/* A device or a pipe (/dev/null, /dev/stdout) is written to, not replaced. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		if (S_ISDIR(st.st_mode))
			return -EISDIR;
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		err = fill(fd, emit, arg);
		close(fd);
		return err;
	}
	strcpy(folder_copy, path);
	strcpy(name_copy, path);
	folder = dirname(folder_copy);
	name = basename(name_copy);
	snprintf(temp, sizeof(temp), "%s/.%s.mmvm-%d", folder, name, (int)getpid());

	fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		unlink(temp);
		fd = open(temp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
		named = fd >= 0;
	}
	if (fd < 0)
		return -errno;
	err = fill(fd, emit, arg);
	if (err)
		goto out;
	if (named) {
		if (rename(temp, path))
			err = -errno;
		else
			named = false;
		goto out;
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	/* Another writer may put its file there between our two calls: then it goes once more. */
	for (int tries = 0; tries < 8; tries++) {
		err = linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
		if (err != -EEXIST)
			break;
		if (unlink(path) && errno != ENOENT) {
			err = -errno;
			break;
		}
	}
out:
	if (named)
		unlink(temp);
	close(fd);
	return err;
}

int report_emit_json(FILE *f, const void *result)
{
	return report_json(f, result);
}

int report_emit_csv(FILE *f, const void *result)
{
	return report_csv(f, result);
}
