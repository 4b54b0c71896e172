/*
 * A cpio archive ("newc") written to a file descriptor, to be appended to the lab's initramfs.
 *
 * Linux unpacks archives one behind the other, later entries over earlier ones, so what a run needs
 * of its own (its job, the files of a sealed run) is appended to the image that was built once.
 */
#ifndef VMM_LAB_ARCHIVE_H
#define VMM_LAB_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

struct archive {
	int fd;
	uint32_t ino;  /* number of the last entry */
	uint64_t size; /* bytes written so far, all alignment is to this */
	int error;     /* first error, -errno; later calls do nothing */
};

/** Start with the content of `base`, an archive, in a new memfd. Returns 0 or -errno. */
int archive_open(struct archive *a, const char *base);
/** Add a regular file `path` ("/a/b"; missing folders are made) with the bytes given. */
void archive_add(struct archive *a, const char *path, uint32_t mode, const void *data, size_t len);
/** Add the file `from` of this machine as `path`, keeping its permissions. */
void archive_add_file(struct archive *a, const char *path, const char *from);
/** Make a folder and those above it. */
void archive_add_folder(struct archive *a, const char *path);
/** Write the trailer. Returns 0 or the first error; the descriptor stays open either way. */
int archive_finish(struct archive *a);
void archive_close(struct archive *a);

#endif
