/*
 * Writes cpio archives in the "newc" format (magic 070701), the one kernels take as an initrd.
 *
 *   header: magic and 13 numbers of 8 hex digits | name, NUL, padding to 4 | data, padding to 4
 *
 * An entry named TRAILER!!! ends the archive. Offsets are relative to the archive's start, so the
 * archive must be loaded at a multiple of 4.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "machine/cpio.h"

#define CPIO_HEADER   110u
#define CPIO_FILE_MAX (1ull << 30) /* larger programs than this are a mistake */

static int cpio_room(struct cpio *c, size_t more)
{
	size_t room = c->room ? c->room : 4096;
	unsigned char *data;

	if (c->len + more <= c->room)
		return 0;
	while (room < c->len + more)
		room *= 2;
	data = realloc(c->data, room);
	if (!data)
		return -ENOMEM;
	c->data = data;
	c->room = room;
	return 0;
}

static void cpio_pad(struct cpio *c)
{
	while (c->len % 4)
		c->data[c->len++] = 0;
}

/** Write header and name, and leave room for `len` bytes of data after them. */
static int cpio_entry(struct cpio *c, const char *name, unsigned int mode, size_t len)
{
	size_t name_len = strlen(name) + 1;
	char header[CPIO_HEADER + 1];
	int err = cpio_room(c, CPIO_HEADER + name_len + len + 8);

	if (err)
		return err;
	snprintf(header, sizeof(header),
		 "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ++c->nr, mode, 0u,
		 0u, 1u, 0u, (unsigned int)len, 0u, 0u, 0u, 0u, (unsigned int)name_len, 0u);
	memcpy(c->data + c->len, header, CPIO_HEADER);
	memcpy(c->data + c->len + CPIO_HEADER, name, name_len);
	c->len += CPIO_HEADER + name_len;
	cpio_pad(c);
	return 0;
}

int cpio_add(struct cpio *c, const char *name, const void *data, size_t len)
{
	int err = cpio_entry(c, name, data ? S_IFREG | 0755 : S_IFDIR | 0755, len);

	if (err)
		return err;
	if (len)
		memcpy(c->data + c->len, data, len);
	c->len += len;
	cpio_pad(c);
	return 0;
}

int cpio_add_file(struct cpio *c, const char *name, const char *path, struct mmvm_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = -1;
	size_t start = c->len, got = 0, len;
	struct stat st;

	if (fd < 0)
		return mmvm_error(err, MMVM_EXIT_USAGE, "cannot open program %s: %s", path,
				  strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > CPIO_FILE_MAX) {
		mmvm_error(err, MMVM_EXIT_USAGE, "program %s is not a regular file below 1 GiB",
			   path);
		goto out;
	}
	len = (size_t)st.st_size;
	if (cpio_entry(c, name, S_IFREG | 0755, len)) {
		mmvm_error(err, MMVM_EXIT_HOST, "no memory to read program %s", path);
		goto out;
	}
	while (got < len) {
		ssize_t n = read(fd, c->data + c->len + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			c->len = start;
			mmvm_error(err, MMVM_EXIT_USAGE, "cannot read program %s: %s", path,
				   n ? strerror(errno) : "it became shorter while being read");
			goto out;
		}
		got += (size_t)n;
	}
	c->len += len;
	cpio_pad(c);
	rc = 0;
out:
	close(fd);
	return rc;
}

int cpio_append(struct cpio *c, const void *archive, size_t len)
{
	int err = cpio_room(c, len);

	if (err)
		return err;
	memcpy(c->data + c->len, archive, len);
	c->len += len;
	return 0;
}

int cpio_finish(struct cpio *c)
{
	return cpio_entry(c, "TRAILER!!!", 0, 0);
}

void cpio_free(struct cpio *c)
{
	free(c->data);
	memset(c, 0, sizeof(*c));
}
