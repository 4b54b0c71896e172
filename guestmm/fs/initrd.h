/* The initial RAM disk: a newc cpio archive that the VMM puts into guest memory, read in place. */
#ifndef FS_INITRD_H
#define FS_INITRD_H
#include "lib/types.h"

/**
 * Find the regular file `path` ("/bin/hello", "./bin/hello" and "bin/hello" are one name) in the
 * archive the device tree names. On success *data points into the archive, which stays where it is.
 * Returns 0, -ENOENT, -EISDIR, or -EINVAL when the archive is damaged before the file is found.
 */
int initrd_find(const char *path, const void **data, size_t *len);

/** The same in any archive: [image, image + size). Pure. */
int cpio_find(const void *image, size_t size, const char *path, const void **data, size_t *len);
#endif
