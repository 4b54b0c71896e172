/*
 * Access to user memory from the kernel. Faults are resolved as if the program had made them; what
 * cannot be resolved ends the copy through the exception table. May sleep; no spinlock held.
 */
#ifndef ARCH_UACCESS_H
#define ARCH_UACCESS_H
#include "lib/types.h"

/** Each returns the number of bytes NOT copied or cleared: 0 when all went well. Addresses outside
 * user space are refused whole. */
size_t copy_to_user(unsigned long to, const void *from, size_t n);
size_t copy_from_user(void *to, unsigned long from, size_t n);
size_t clear_user(unsigned long to, size_t n);
/** Copy a string with its NUL, at most `n` bytes. Returns its length without NUL, -EFAULT, or
 * -ENAMETOOLONG when no NUL was found. */
long strncpy_from_user(char *to, unsigned long from, size_t n);
/** Replace `old` by `new` in one atomic step; *seen is the value found. `addr` is a multiple of 4. 0 or -EFAULT. */
int cmpxchg_user(unsigned long addr, u32 old, u32 new, u32 *seen);
#endif
