/* System calls about memory (kernel/memory_calls.c), for the table in syscalls.c. */
#ifndef KERNEL_MEMORY_CALLS_H
#define KERNEL_MEMORY_CALLS_H
struct pt_regs;

long sys_mmap(struct pt_regs *r);
long sys_munmap(struct pt_regs *r);
long sys_mprotect(struct pt_regs *r);
long sys_brk(struct pt_regs *r);
long sys_madvise(struct pt_regs *r);
long sys_mremap(struct pt_regs *r);
long sys_msync(struct pt_regs *r);
long sys_mincore(struct pt_regs *r);
long sys_mlock(struct pt_regs *r);
long sys_mlock2(struct pt_regs *r);
long sys_munlock(struct pt_regs *r);
long sys_mlockall(struct pt_regs *r);
long sys_munlockall(struct pt_regs *r);
long sys_getrlimit(struct pt_regs *r);
long sys_setrlimit(struct pt_regs *r);
long sys_prlimit64(struct pt_regs *r);
#endif
