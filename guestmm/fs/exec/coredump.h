/* Core files. */
#ifndef FS_COREDUMP_H
#define FS_COREDUMP_H
#include "kernel/coredump.h"

/** The name of the core of the current process, in a pattern: 0 or -ENAMETOOLONG. */
int core_name(char *out, size_t size, const char *pattern, const struct core_dump *core);
#endif
