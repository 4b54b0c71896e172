/*
 * The kernel of the Linux column: Debian's that the lab has, or another.
 */
#ifndef VMM_BENCH_KERNEL_H
#define VMM_BENCH_KERNEL_H

#include <stddef.h>
#include "machine/machine.h"

/**
 * Make a lab with the kernel `wanted`, unless it has been made before, and put its folder in `folder`. `wanted` is
 * the beginning of a release ("6.12") or, with a slash, a file. A package that is not installed is downloaded, which
 * takes a minute. Returns 0, or -1 with `err`.
 */
int bench_find_kernel(const char *wanted, char *folder, size_t size, struct mmvm_error *err);

#endif
