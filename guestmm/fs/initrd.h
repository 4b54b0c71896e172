/* newc cpio archives, read in place. The VMM puts one into guest memory as the initial root. */
#ifndef FS_INITRD_H
#define FS_INITRD_H
#include "lib/types.h"

/** An entry; name and data point into the archive. */
struct cpio_entry {
	const char *name;
	const u8 *data;
	u32 mode, size, ino, nlink;
	u32 dev_major, dev_minor;   /* its old device: with ino, which hard links are one file */
	u32 rdev_major, rdev_minor; /* the device of a special file */
};
/** Decode the entry at *pos, and advance *pos past it. The last entry is named "TRAILER!!!". 0, or -EINVAL: the archive
 * is damaged here. [pure] */
int cpio_next(const u8 *image, size_t size, size_t *pos, struct cpio_entry *e);
/** The name without leading "./" and "/", which do not distinguish names. */
const char *cpio_plain_name(const char *name);
/**
 * Find the regular file `path` ("/bin/hello", "./bin/hello" and "bin/hello" are one name) in the
 * archive [image, image + size). On success *data points into it. Returns 0, -ENOENT, -EISDIR, or
 * -EINVAL when the archive is damaged before the file is found. Pure.
 */
int cpio_find(const void *image, size_t size, const char *path, const void **data, size_t *len);
#endif
