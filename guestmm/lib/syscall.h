/*
 * Prototypes of all system calls' functions, from their one table. Each takes the saved registers;
 * arguments are rdi, rsi, rdx, r10, r8, r9. The result is a value or -errno.
 */
#ifndef LIB_SYSCALL_H
#define LIB_SYSCALL_H
#include "mmvm/syscalls.h"

struct pt_regs;

#define PROTOTYPE_(nr, name, fn, ...) long fn(struct pt_regs *r);
MMVM_SYSCALLS(PROTOTYPE_)
#undef PROTOTYPE_
#endif
