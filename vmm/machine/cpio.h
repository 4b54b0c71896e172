/*
 * An initrd in memory: a cpio archive in the "newc" format, one file at a time.
 */
#ifndef VMM_MACHINE_CPIO_H
#define VMM_MACHINE_CPIO_H

#include <stddef.h>
#include "machine/machine.h"

struct cpio {
	unsigned char *data;
	size_t len, room;
	unsigned int nr; /* entries so far; also the inode numbers */
};

/** Append a regular file (mode 0755) or, with data NULL, a folder. `name` without leading slash.
 * 0 or -ENOMEM. */
int cpio_add(struct cpio *c, const char *name, const void *data, size_t len);
/** Append the host's file `path` as `name`. 0, or -1 with `err`. */
int cpio_add_file(struct cpio *c, const char *name, const char *path, struct mmvm_error *err);
/** Append another archive, which has a trailer of its own. 0 or -ENOMEM. */
int cpio_append(struct cpio *c, const void *archive, size_t len);
/** Append the trailer; the archive is c->data, c->len. 0 or -ENOMEM. */
int cpio_finish(struct cpio *c);
void cpio_free(struct cpio *c);

#endif
