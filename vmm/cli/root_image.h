/* A folder of this machine as the root of a guest: an ext2 image made of it. */
#ifndef VMM_CLI_ROOT_IMAGE_H
#define VMM_CLI_ROOT_IMAGE_H

#include <stddef.h>
#include "machine/machine.h"

/**
 * Make an ext2 image of what the folder contains, with room for as much again (64 MiB at least), in
 * $TMPDIR; its path in path[size]. 0, or -1 with err. The caller removes it.
 */
int root_image_make(const char *folder, char *path, size_t size, struct mmvm_error *err);

#endif
