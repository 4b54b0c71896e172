/* A swap area on a RAM disk, for benchmarks and profiles. */
#ifndef TESTS_RAM_DISK_H
#define TESTS_RAM_DISK_H
#include "lib/types.h"

/** Make the disk, 32 MiB of vmalloc memory, and swap to it. Once a machine. 0 or -errno. */
int ram_disk_swapon(void);
/** Make another, empty, of 4 MiB: /dev/vdr. 0 or -ENOMEM. */
int ram_disk_add_file(void);
/** Requests it was given so far. */
u64 ram_disk_requests(void);
#endif
