/*
 * Writing a newc archive: per entry a header of 110 ASCII bytes (magic, then thirteen 8-digit hex
 * numbers), the name with its NUL, padding to 4, the data, padding to 4.
 *
 *   I1  every entry starts at a multiple of 4 from the start of the whole file
 *   I2  after an error nothing more is written, and archive_finish() returns it
 *
 * Times and owners are 0: the same input gives the same bytes, and a file whose time is not 0 after
 * the run was written by the run.
 */
#include "lab/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(struct archive *a, const void *data, size_t len)
{
	const char *p = data;

	while (len && !a->error) {
		ssize_t n = write(a->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			a->error = -errno;
			return;
		}
		p += n;
		len -= (size_t)n;
		a->size += (size_t)n;
	}
}

static void align4(struct archive *a)
{
	put(a, "\0\0\0", -a->size & 3);
}

static void put_header(struct archive *a, const char *name, uint32_t mode, uint64_t len)
{
	const char *relative = name + strspn(name, "/");
	char header[111];

	if (len > UINT32_MAX && !a->error)
		a->error = -EFBIG;
	/* ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check */
	snprintf(header, sizeof(header),
		 "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ++a->ino, mode, 0, 0,
		 1, 0, (uint32_t)len, 0, 0, 0, 0, (uint32_t)strlen(relative) + 1, 0);
	put(a, header, 110);
	put(a, relative, strlen(relative) + 1);
	align4(a);
}

static void add_parents(struct archive *a, const char *path)
{
	char folder[PATH_MAX];
	const char *slash = path;

	while ((slash = strchr(slash + 1, '/'))) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		put_header(a, folder, S_IFDIR | 0755, 0);
	}
}

int archive_open(struct archive *a, const char *base)
{
	struct stat st;
	int fd;

	memset(a, 0, sizeof(*a));
	a->fd = memfd_create("lab-initrd", MFD_CLOEXEC);
	if (a->fd < 0)
		return -errno;
	fd = open(base, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		a->error = -errno;
	} else {
		while (a->size < (uint64_t)st.st_size && !a->error) {
			ssize_t n = sendfile(a->fd, fd, NULL, (size_t)st.st_size - a->size);

			if (n <= 0)
				a->error = n ? -errno : -EIO;
			else
				a->size += (size_t)n;
		}
	}
	if (fd >= 0)
		close(fd);
	if (a->error) {
		archive_close(a);
		return a->error;
	}
	align4(a);
	return 0;
}

void archive_add(struct archive *a, const char *path, uint32_t mode, const void *data, size_t len)
{
	add_parents(a, path);
	put_header(a, path, S_IFREG | (mode & 07777), len);
	put(a, data, len);
	align4(a);
}

void archive_add_folder(struct archive *a, const char *path)
{
	add_parents(a, path);
	put_header(a, path, S_IFDIR | 0755, 0);
}

void archive_add_file(struct archive *a, const char *path, const char *from)
{
	uint64_t end;
	struct stat st;
	int fd = open(from, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st)) {
		if (!a->error)
			a->error = -errno;
		goto out;
	}
	add_parents(a, path);
	put_header(a, path, S_IFREG | (st.st_mode & 07777), (uint64_t)st.st_size);
	end = a->size + (uint64_t)st.st_size;
	while (a->size < end && !a->error) {
		ssize_t n = sendfile(a->fd, fd, NULL, end - a->size);

		/* 0: the file has become shorter than its header says */
		if (n <= 0)
			a->error = n ? -errno : -EIO;
		else
			a->size += (size_t)n;
	}
	align4(a);
out:
	if (fd >= 0)
		close(fd);
}

int archive_finish(struct archive *a)
{
	put_header(a, "TRAILER!!!", 0, 0);
	return a->error;
}

void archive_close(struct archive *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}
