/*
 * The run time of our user programs: no C library. rt.c has the entry point, memory functions and a
 * small printf; here are the system calls, by Linux's numbers, so that the same ELF runs on Linux.
 */
#ifndef USER_RT_H
#define USER_RT_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mmvm_calls.h"

#define PAGE_SIZE 4096ul

#define SYS_write	  1
#define SYS_mmap	  9
#define SYS_mprotect	  10
#define SYS_munmap	  11
#define SYS_brk		  12
#define SYS_sched_yield	  24
#define SYS_madvise	  28
#define SYS_mlock	  149
#define SYS_nanosleep	  35
#define SYS_getpid	  39
#define SYS_exit	  60
#define SYS_uname	  63
#define SYS_sysinfo	  99
#define SYS_getppid	  110
#define SYS_clock_gettime 228
#define SYS_exit_group	  231
#define SYS_getrandom	  318

#define PROT_NONE	    0
#define PROT_READ	    1
#define PROT_WRITE	    2
#define PROT_EXEC	    4
#define MAP_SHARED	    1
#define MAP_PRIVATE	    2
#define MAP_FIXED	    0x10
#define MAP_ANONYMOUS	    0x20
#define MAP_GROWSDOWN	    0x100
#define MAP_NORESERVE	    0x4000
#define MAP_POPULATE	    0x8000
#define MAP_FIXED_NOREPLACE 0x100000
#define MADV_NORMAL	    0
#define MADV_WILLNEED	    3
#define MADV_DONTNEED	    4
#define MADV_PAGEOUT	    21

#define ENOENT 2
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EEXIST 17
#define EINVAL 22
#define ENOSYS 38

/** One system call: the result, or -errno. */
static inline long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
static inline long syscall3(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}

/** True for the -errno range of a system call's result. */
static inline bool is_error(long ret)
{
	return (unsigned long)ret >= -4095ul;
}

/** Address, or -errno: check with is_error(). */
static inline long sys_mmap(unsigned long addr, unsigned long len, int prot, int flags)
{
	return syscall6(SYS_mmap, addr, len, prot, flags, -1, 0);
}
/** Fresh private zeroed memory, readable and writable. */
static inline long map_memory(unsigned long len)
{
	return sys_mmap(0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
}
static inline long sys_munmap(unsigned long addr, unsigned long len)
{
	return syscall3(SYS_munmap, addr, len, 0);
}
static inline long sys_mprotect(unsigned long addr, unsigned long len, int prot)
{
	return syscall3(SYS_mprotect, addr, len, prot);
}
static inline long sys_madvise(unsigned long addr, unsigned long len, int advice)
{
	return syscall3(SYS_madvise, addr, len, advice);
}
static inline long sys_brk(unsigned long brk)
{
	return syscall3(SYS_brk, brk, 0, 0);
}
static inline long sys_write(int fd, const void *buf, size_t len)
{
	return syscall3(SYS_write, fd, (long)buf, len);
}
static inline long sys_getpid(void)
{
	return syscall3(SYS_getpid, 0, 0, 0);
}

/** End the program: never returns. */
void exit(int status) __attribute__((noreturn));

/* Progress and measurements for the VMM; nothing where the private call is not known. */
void report_progress(const char *phase, uint64_t done, uint64_t total);
void report_bench(const char *name, uint64_t cost_x1000, uint64_t reps);
/** The kernel's count of a vm event, or -errno (-ENOSYS: not our kernel). */
long vm_event(const char *name);

/** Monotonic clock in nanoseconds. */
uint64_t now_ns(void);
/** Bytes of RAM the kernel manages, or 0 when it does not say. */
uint64_t total_ram(void);

/** Output to standard output, whole at the newline or the end; %d %u %x %lx %s %c %p %% with l, z
 * and width. */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** "64M", "12k", "100": false when it is not a size. */
bool parse_size(const char *s, uint64_t *out);

/** xorshift64*: the next of a sequence; *state must not be 0. */
uint64_t random_next(uint64_t *state);

void *memset(void *dst, int c, size_t n);
void *memcpy(void *dst, const void *src, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);

int main(int argc, char **argv);
#endif
