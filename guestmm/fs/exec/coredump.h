/* Core files. */
#ifndef FS_COREDUMP_H
#define FS_COREDUMP_H
#include "kernel/coredump.h"

/** Make the name of the current process's core from a pattern (core(5)). 0 or -ENAMETOOLONG. */
int core_name(char *out, size_t size, const char *pattern, const struct core_dump *core);
#endif
