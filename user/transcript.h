/*
 * Shared by programs about huge pages that print a transcript: calls with their results, lines of files,
 * children. Not every program uses all functions.
 */
#ifndef USER_TRANSCRIPT_H
#define USER_TRANSCRIPT_H
#include "files.h"

#pragma GCC diagnostic ignored "-Wunused-function"

#define MIB	     (1ul << 20)
#define HUGE	     (2 * MIB)
#define MAP_LOCKED   0x2000
#define MAP_HUGETLB  0x40000
#define MAP_HUGE_2MB (21 << 26)
#define MFD_CLOEXEC  1
#define MFD_HUGETLB  4
#define MADV_FREE    8
#define MADV_REMOVE  9
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#define SYS_mincore  27
#define SYS_munlock  150
#define SYS_mremap   25

static char text[65536];

static void result(const char *what, long ret)
{
	/* Addresses differ; that there is one is what counts. */
	if (ret > 65536)
		print("%s = address%s\n", what, ret % HUGE ? "" : ", aligned");
	else
		print("%s = %ld\n", what, ret);
}
#define T(call)                    \
	({                         \
		long _r = call;    \
		result(#call, _r); \
		_r;                \
	})

static long read_file(const char *path)
{
	long fd = sys_open(path, O_RDONLY, 0), n = 0, got;

	if (is_error(fd))
		return fd;
	while ((got = sys_read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	sys_close(fd);
	text[n] = 0;
	return n;
}

static long write_file(const char *path, const char *what)
{
	long fd = sys_open(path, O_WRONLY, 0), ret;

	if (is_error(fd))
		return fd;
	ret = sys_pwrite(fd, what, strlen(what), 0);
	sys_close(fd);
	return ret;
}

static char *next_line(char *p)
{
	while (*p && *p != '\n')
		p++;
	return *p ? p + 1 : p;
}

/* Lines of text that begin with `start`. */
static void lines(const char *start)
{
	size_t len = strlen(start);

	for (char *p = text; *p;) {
		char *end = p;

		while (*end && *end != '\n')
			end++;
		if ((size_t)(end - p) >= len && !memcmp(p, start, len)) {
			char saved = *end;

			*end = 0;
			print("  %s\n", p);
			*end = saved;
		}
		p = *end ? end + 1 : end;
	}
}

/* The number after `name`, if the line begins with it. */
static bool number_of(const char *p, const char *name, long *n)
{
	size_t len = strlen(name);

	if (memcmp(p, name, len))
		return false;
	for (p += len; *p == ' ' || *p == '\t' || *p == ':';)
		p++;
	for (*n = 0; *p >= '0' && *p <= '9'; p++)
		*n = *n * 10 + (*p - '0');
	return true;
}

static long number_in(const char *path)
{
	long n = 0;

	if (read_file(path) < 0)
		return -1;
	for (char *p = text; *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (*p - '0');
	return n;
}

/* A counter of /proc/vmstat, or -1 */
static long vmstat(const char *name)
{
	size_t len = strlen(name);
	long n;

	read_file("/proc/vmstat");
	for (char *p = text; *p; p = next_line(p))
		if (number_of(p, name, &n) && p[len] == ' ')
			return n;
	return -1;
}

/* For what works by itself. */
static void sleep_ms(long ms)
{
	long t[2] = {ms / 1000, ms % 1000 * 1000000};

	syscall3(SYS_nanosleep, (long)t, 0, 0);
}

static void put(long addr, long n)
{
	*(volatile long *)addr = n;
}
static long get(long addr)
{
	return *(volatile long *)addr;
}

/* Run fn in a child. How it ended: 0, its exit status, or 1000 and a signal. */
static long in_child(void (*fn)(long), long arg)
{
	int status = 0;
	long pid = sys_fork();

	if (!pid) {
		fn(arg);
		exit(0);
	}
	sys_wait4(pid, &status, 0);
	return status & 0x7f ? 1000 + (status & 0x7f) : status >> 8 & 0xff;
}
static void touch(long addr)
{
	put(addr, 77);
}
static void look(long addr)
{
	exit((int)get(addr));
}
#endif
