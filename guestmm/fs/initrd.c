/*
 * Reading a newc cpio archive in place.
 *
 *   +---------------------+-----------+-------+------------+-------+---- ...
 *   | header: 110 letters | name\0    | pad 4 | file       | pad 4 | next header
 *   +---------------------+-----------+-------+------------+-------+---- ...
 *
 * The header is "070701" and thirteen numbers of eight hexadecimal digits: inode, mode, uid, gid,
 * links, mtime, size, four device numbers, length of the name with its NUL, checksum. Padding is
 * counted from the start of the archive. "TRAILER!!!" ends it. Format: cpio(5).
 *
 * I1: no byte outside [image, image + size) is read, whatever the numbers in the archive say: each
 *     length is compared with the remaining size before it is used.
 *
 * No locks: the archive is never written.
 */
#include "fs/initrd.h"
#include "fs/vfs.h"
#include "lib/errno.h"
#include "lib/string.h"

#define CPIO_HEADER  110
#define CPIO_MAGIC   "070701"
#define CPIO_NUMBERS 13

/* The header's numbers, by their index. */
enum {
	CPIO_INO,
	CPIO_MODE,
	CPIO_UID,
	CPIO_GID,
	CPIO_NLINK,
	CPIO_MTIME,
	CPIO_SIZE,
	CPIO_MAJOR,
	CPIO_MINOR,
	CPIO_RMAJOR,
	CPIO_RMINOR,
	CPIO_NAMESIZE,
};

/** Number `nr` of a header, or -EINVAL when it is not eight hexadecimal digits. */
static s64 cpio_number(const char *header, unsigned int nr)
{
	const char *p = header + 6 + nr * 8;
	s64 v = 0;

	for (int i = 0; i < 8; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v = v << 4 | (c - 'A' + 10);
		else
			return -EINVAL;
	}
	return v;
}

int cpio_next(const u8 *image, size_t size, size_t *pos, struct cpio_entry *e)
{
	s64 number[CPIO_NUMBERS], file_size, name_size;
	const char *header;
	size_t at = *pos;

	if (at > size || size - at < CPIO_HEADER)
		return -EINVAL;
	header = (const char *)image + at;
	if (memcmp(header, CPIO_MAGIC, 6))
		return -EINVAL;
	for (unsigned int i = 0; i < CPIO_NUMBERS; i++) {
		number[i] = cpio_number(header, i);
		if (number[i] < 0)
			return -EINVAL;
	}
	file_size = number[CPIO_SIZE];
	name_size = number[CPIO_NAMESIZE];
	if (name_size < 1)
		return -EINVAL;

	at += CPIO_HEADER;
	if (size - at < (u64)name_size || image[at + name_size - 1] != '\0')
		return -EINVAL;
	e->name = (const char *)image + at;
	at = ALIGN_UP(at + name_size, 4ul);
	if (at > size || size - at < (u64)file_size)
		return -EINVAL;
	e->data = image + at;
	e->size = file_size;
	e->ino = number[CPIO_INO];
	e->mode = number[CPIO_MODE];
	e->nlink = number[CPIO_NLINK];
	e->dev_major = number[CPIO_MAJOR];
	e->dev_minor = number[CPIO_MINOR];
	e->rdev_major = number[CPIO_RMAJOR];
	e->rdev_minor = number[CPIO_RMINOR];
	*pos = ALIGN_UP(at + file_size, 4ul);
	return 0;
}

const char *cpio_plain_name(const char *name)
{
	while (name[0] == '/' || (name[0] == '.' && name[1] == '/'))
		name++;
	return name;
}

int cpio_find(const void *image, size_t size, const char *path, const void **data, size_t *len)
{
	struct cpio_entry e;
	size_t pos = 0;

	path = cpio_plain_name(path);
	for (;;) {
		int err = cpio_next(image, size, &pos, &e);

		if (err)
			return err;
		if (!strcmp(e.name, "TRAILER!!!"))
			return -ENOENT;
		if (strcmp(cpio_plain_name(e.name), path))
			continue;
		if ((e.mode & S_IFMT) != S_IFREG)
			return -EISDIR;
		*data = e.data;
		*len = e.size;
		return 0;
	}
}
