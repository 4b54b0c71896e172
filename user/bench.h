/*
 * Shared by programs that measure costs: ticks of the TSC (in the lab with --icount these are instructions), rows, and
 * events. To be included by one source file of a program.
 */
#ifndef USER_BENCH_H
#define USER_BENCH_H
#include "rt.h"

#define SYS_read  0
#define SYS_open  2
#define SYS_close 3

static inline uint64_t ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void die(const char *what, long error)
{
	print("bench: %s: error %ld\n", what, error);
	exit(1);
}

static inline void sort(uint64_t *v, unsigned int n)
{
	for (unsigned int i = 1; i < n; i++) {
		uint64_t x = v[i];
		unsigned int j = i;

		for (; j && v[j - 1] > x; j--)
			v[j] = v[j - 1];
		v[j] = x;
	}
}

/** Print the row of `reps` measurements of `n` operations each. Sorts them. */
static inline void put_row(const char *name, uint64_t *t, int reps, unsigned long n)
{
	sort(t, reps);
	print("bench %s %lu %lu %d\n", name, t[reps / 2] * 1000 / n, t[0] * 1000 / n, reps);
	report_bench(name, t[reps / 2] * 1000 / n, reps);
}

static inline void must(long r, const char *what)
{
	if (is_error(r))
		die(what, r);
}

/** An event's count since boot: by our kernel's call, or as Linux's /proc/vmstat says. */
static inline uint64_t events(const char *name)
{
	static char text[16384];
	long count = vm_event(name), fd, n;
	size_t len = 0, name_len = strlen(name);

	if (!is_error(count))
		return count;
	fd = syscall3(SYS_open, (long)"/proc/vmstat", 0, 0);
	must(fd, "/proc/vmstat");
	while (len < sizeof(text) - 1 &&
	       (n = syscall3(SYS_read, fd, (long)(text + len), sizeof(text) - 1 - len)) > 0)
		len += n;
	syscall3(SYS_close, fd, 0, 0);
	for (char *p = text; p + name_len + 1 < text + len; p++) {
		if (!memcmp(p, name, name_len) && p[name_len] == ' ') {
			for (count = 0, p += name_len + 1; *p >= '0' && *p <= '9'; p++)
				count = count * 10 + (*p - '0');
			return count;
		}
	}
	die(name, 0);
	return 0;
}
#endif
