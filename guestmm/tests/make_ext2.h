/* An ext2 file system for tests. */
#ifndef TESTS_MAKE_EXT2_H
#define TESTS_MAKE_EXT2_H
#include "lib/types.h"

struct block_device;
/** Format the disk: `blocks` blocks of 4 KiB, at most 32768, and an empty root. 0 or -errno. */
int make_ext2(struct block_device *bdev, u32 blocks);
struct file;
struct test;
/** Open a file for reading and writing, made if it is not there. NULL: the test has failed. */
struct file *make_file(struct test *t, const char *name);
#endif
