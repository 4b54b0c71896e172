/*
 * The vDSO: an ELF image that the kernel maps into every program, so that reading the clock is no system
 * call. The C library finds it by AT_SYSINFO_EHDR and these functions by name, as on Linux.
 *
 * The code runs in user mode, anywhere in the address space, and has no data of its own. The page before
 * it is [vvar] (arch/vdso.h). A clock that is not there, or a machine whose user mode reads another TSC
 * than the kernel, is asked for by the system call, with its result.
 *
 * As on Linux a bad pointer is a SIGSEGV here, not EFAULT.
 *
 * Sources: vdso(7); Linux, Documentation/ABI/stable/vdso.
 */
#include "arch/vdso.h"

#define NSEC_PER_SEC 1000000000ull

#define NR_gettimeofday	 96
#define NR_time		 201
#define NR_clock_gettime 228
#define NR_clock_getres	 229
#define NR_getcpu	 309

/* clockid_t */
#define CLOCK_REALTIME	       0
#define CLOCK_MONOTONIC	       1
#define CLOCK_MONOTONIC_RAW    4
#define CLOCK_REALTIME_COARSE  5
#define CLOCK_MONOTONIC_COARSE 6
#define CLOCK_BOOTTIME	       7
#define CLOCK_TAI	       11

struct timespec {
	int64_t sec, nsec;
};
struct timeval {
	int64_t sec, usec;
};
struct timezone {
	int32_t minuteswest, dsttime;
};

/* Its address comes from the linker script: a page before the image. */
extern const volatile struct vdso_data vdso_data __attribute__((visibility("hidden")));

int __vdso_clock_gettime(int clock, struct timespec *ts);
int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz);
int64_t __vdso_time(int64_t *t);
int __vdso_clock_getres(int clock, struct timespec *res);
int __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused);

static long syscall2(long nr, const void *a, const void *b)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return ret;
}

/* Not before the loads and not after what comes next: the fence orders it as far as a clock needs. */
static inline uint64_t rdtsc_ordered(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

/* x86 keeps loads in order; only the compiler has to. */
static inline void barrier(void)
{
	__asm__ volatile("" ::: "memory");
}

enum clock_kind { SINCE_BOOT, TIME_OF_DAY };

/* Nanoseconds, or 0: ask the kernel. The clock stands at 0 only before there are programs. */
static inline uint64_t read_clock(enum clock_kind kind)
{
	uint32_t seq;
	uint64_t ns;

	do {
		while ((seq = vdso_data.seq) & 1)
			__asm__ volatile("pause");
		barrier();
		if (__builtin_expect(vdso_data.clock != VDSO_CLOCK_TSC, 0))
			return 0;
		ns = (uint64_t)(((unsigned __int128)(rdtsc_ordered() - vdso_data.tsc_zero) *
				 vdso_data.ns_per_tick) >>
				32);
		if (kind == TIME_OF_DAY)
			ns += vdso_data.epoch_ns;
		barrier();
	} while (__builtin_expect(vdso_data.seq != seq, 0));
	return ns;
}

/* Which clock is that? False: one that only the kernel knows, or none. */
static inline int clock_kind(int clock, enum clock_kind *kind)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_TAI:
		*kind = TIME_OF_DAY;
		return 1;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		*kind = SINCE_BOOT;
		return 1;
	}
	return 0;
}

int __vdso_clock_gettime(int clock, struct timespec *ts)
{
	enum clock_kind kind;
	uint64_t ns;

	if (!clock_kind(clock, &kind) || !(ns = read_clock(kind)))
		return (int)syscall2(NR_clock_gettime, (void *)(long)clock, ts);
	ts->sec = ns / NSEC_PER_SEC;
	ts->nsec = ns % NSEC_PER_SEC;
	return 0;
}

int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz)
{
	uint64_t ns = read_clock(TIME_OF_DAY);

	if (!ns)
		return (int)syscall2(NR_gettimeofday, tv, tz);
	if (tv) {
		tv->sec = ns / NSEC_PER_SEC;
		tv->usec = ns % NSEC_PER_SEC / 1000;
	}
	if (tz) { /* the kernel knows no other zone */
		tz->minuteswest = 0;
		tz->dsttime = 0;
	}
	return 0;
}

int64_t __vdso_time(int64_t *t)
{
	uint64_t ns = read_clock(TIME_OF_DAY);
	int64_t sec = ns / NSEC_PER_SEC;

	if (!ns)
		return syscall2(NR_time, t, 0);
	if (t)
		*t = sec;
	return sec;
}

int __vdso_clock_getres(int clock, struct timespec *res)
{
	enum clock_kind kind;

	if (!clock_kind(clock, &kind))
		return (int)syscall2(NR_clock_getres, (void *)(long)clock, res);
	if (res) {
		res->sec = 0;
		res->nsec = 1;
	}
	return 0;
}

int __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused)
{
	uint32_t limit;

	if (!vdso_data.getcpu)
		return (int)syscall2(NR_getcpu, cpu, node);
	__asm__ volatile("lsl %1, %0" : "=r"(limit) : "r"(VDSO_CPUNODE_SEG));
	if (cpu)
		*cpu = limit & ((1u << VDSO_CPU_BITS) - 1);
	if (node)
		*node = limit >> VDSO_CPU_BITS;
	return 0;
}

#define ALIAS(name) __attribute__((weak, alias("__vdso_" #name)))
int clock_gettime(int clock, struct timespec *ts) ALIAS(clock_gettime);
int gettimeofday(struct timeval *tv, struct timezone *tz) ALIAS(gettimeofday);
int64_t time(int64_t *t) ALIAS(time);
int clock_getres(int clock, struct timespec *res) ALIAS(clock_getres);
int getcpu(uint32_t *cpu, uint32_t *node, void *unused) ALIAS(getcpu);

/* The note that debuggers and C libraries look for: made for this kernel interface. */
static const struct {
	uint32_t namesz, descsz, type;
	char name[8];
	uint32_t version;
} note __attribute__((section(".note.linux"), aligned(4), used)) = {6, 4, 0, "Linux", 0x060100};
