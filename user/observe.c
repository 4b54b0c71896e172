/*
 * Run a program and print what the kernel counted meanwhile. It runs unchanged on Linux and on guestmm.
 *
 *   observe [KNOB=VALUE...] PROGRAM [ARGUMENTS...]
 *
 * Without a program it prints only the size of memory.
 *
 * With a word curve=MS before the program it takes a sample of the program's first process every MS milliseconds: a line
 * "curve: TICKS RSS REFERENCED SWAP" with the values of smaps_rollup in KiB; REFERENCED is since the previous sample.
 * Each sample clears the accessed bits (clear_refs), so reclaim does not see them: such a run has other counts than a
 * run without samples.
 *
 * KNOB is a file below /proc/sys with dots for slashes (vm.page-cluster=0).
 *
 * If there is a file /modules, the program is the first process of a small Linux system, and sets that up:
 * /proc, /dev, the console, the modules that are named in /modules, swap on /dev/vda. At the end it powers
 * the machine off. Each result is a line
 * "observe: NAME VALUE": what was counted in /proc/vmstat between the start of the program and its
 * end, ticks of the TSC (which count instructions under icount), memory before it, its exit status.
 */
#include "files.h"
#include "rt.h"

#define SYS_nanosleep	 35
#define SYS_mkdir	 83
#define SYS_fork	 57
#define SYS_execve	 59
#define SYS_wait4	 61
#define SYS_sync	 162
#define SYS_mount	 165
#define SYS_swapon	 167
#define SYS_reboot	 169
#define SYS_finit_module 313
#define REBOOT_MAGIC	 0xfee1dead
#define REBOOT_MAGIC_2	 0x28121969
#define REBOOT_POWER_OFF 0x4321fedc
#define MAX_COUNTS	 400
#define NAME_LEN	 48

struct count {
	char name[NAME_LEN];
	uint64_t value;
};
static struct count before[MAX_COUNTS], after[MAX_COUNTS];

/* Kept until the end: printing takes time. */
#define MAX_SAMPLES 400
static struct {
	uint64_t ticks, rss, referenced, swap;
} sample[MAX_SAMPLES];
static unsigned int nr_samples;
static unsigned long curve_ms; /* 0: none are taken */

static uint64_t ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* A small file as text, or "". */
static const char *read_text(const char *path)
{
	static char text[32768];
	long fd = sys_open(path, O_RDONLY, 0), n;
	size_t len = 0;

	while (!is_error(fd) && len < sizeof(text) - 1 &&
	       (n = sys_read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	if (!is_error(fd))
		sys_close(fd);
	text[len] = 0;
	return text;
}

/* Lines "name value" or "name: value kB". Returns how many. */
static unsigned int read_counts(const char *path, struct count *c)
{
	const char *p = read_text(path);
	unsigned int n = 0;

	while (*p && n < MAX_COUNTS) {
		size_t len = 0;

		while (*p && *p != ' ' && *p != ':' && *p != '\n' && len < NAME_LEN - 1)
			c[n].name[len++] = *p++;
		c[n].name[len] = 0;
		while (*p == ':' || *p == ' ')
			p++;
		for (c[n].value = 0; *p >= '0' && *p <= '9'; p++)
			c[n].value = c[n].value * 10 + (uint64_t)(*p - '0');
		while (*p && *p != '\n')
			p++;
		p += *p == '\n';
		n += len > 0;
	}
	return n;
}

/* "some avg10=... total=N": microseconds that some task waited for memory. */
static uint64_t memory_stall(void)
{
	const char *p = read_text("/proc/pressure/memory");
	uint64_t us = 0;

	while (*p && memcmp(p, "total=", 6))
		p++;
	for (p += *p ? 6 : 0; *p >= '0' && *p <= '9'; p++)
		us = us * 10 + (uint64_t)(*p - '0');
	return us;
}

static void set_knob(const char *word, const char *value)
{
	char path[128] = "/proc/sys/";
	size_t n = strlen(path);
	long fd;

	for (; word < value - 1 && n < sizeof(path) - 1; word++)
		path[n++] = *word == '.' ? '/' : *word;
	path[n] = 0;
	fd = sys_open(path, O_WRONLY, 0);
	if (is_error(fd) || is_error(sys_write((int)fd, value, strlen(value))))
		print("observe: cannot set %s\n", path);
	if (!is_error(fd))
		sys_close(fd);
}

static void mount_at(const char *type, const char *at)
{
	syscall3(SYS_mkdir, (long)at, 0755, 0);
	syscall6(SYS_mount, (long)type, (long)at, (long)type, 0, 0, 0);
}

static void insert_modules(void)
{
	const char *p = read_text("/modules");
	char names[1024], path[96];
	size_t len = strlen(p);

	if (len >= sizeof(names))
		return;
	memcpy(names, p, len + 1);
	for (char *name = names; *name;) {
		size_t n = 0;
		long fd;

		memcpy(path, "/lib/", 5);
		while (name[n] && name[n] != '\n' && n < sizeof(path) - 6) {
			path[5 + n] = name[n];
			n++;
		}
		path[5 + n] = 0;
		fd = sys_open(path, O_RDONLY, 0);
		if (is_error(fd) || is_error(syscall3(SYS_finit_module, fd, (long)"", 0)))
			print("observe: cannot load %s\n", path);
		sys_close(fd);
		name += n + (name[n] == '\n');
	}
}

static void first_process(void)
{
	mount_at("proc", "/proc");
	mount_at("devtmpfs", "/dev");
	for (int fd = 0; fd < 3; fd++) {
		sys_close(fd);
		sys_open("/dev/console", O_RDWR, 0);
	}
	insert_modules();
	for (int i = 0; i < 200 && is_error(syscall3(SYS_swapon, (long)"/dev/vda", 0, 0)); i++)
		syscall3(SYS_sched_yield, 0, 0, 0);
}

static uint64_t named(const struct count *c, unsigned int n, const char *name)
{
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(c[i].name, name))
			return c[i].value;
	return 0;
}

/* "/proc/PID/NAME" */
static void process_path(char *path, long pid, const char *name)
{
	char digits[24];
	size_t n = 0, len = strlen("/proc/");

	memcpy(path, "/proc/", len);
	for (; pid || !n; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	while (n)
		path[len++] = digits[--n];
	path[len++] = '/';
	memcpy(path + len, name, strlen(name) + 1);
}

static void clear_accessed(long pid)
{
	char path[64];
	long fd;

	process_path(path, pid, "clear_refs");
	fd = sys_open(path, O_WRONLY, 0);
	if (is_error(fd) || is_error(sys_write((int)fd, "1", 1)))
		print("observe: cannot write %s\n", path);
	if (!is_error(fd))
		sys_close(fd);
}

/* Nothing is kept of a process that has ended: it has no memory any more. */
static void take_sample(long pid, uint64_t start)
{
	static struct count c[64];
	char path[64];
	unsigned int n;

	process_path(path, pid, "smaps_rollup");
	n = read_counts(path, c);
	if (nr_samples == MAX_SAMPLES || !named(c, n, "Rss"))
		return;
	sample[nr_samples].ticks = ticks() - start;
	sample[nr_samples].rss = named(c, n, "Rss");
	sample[nr_samples].referenced = named(c, n, "Referenced");
	sample[nr_samples].swap = named(c, n, "Swap");
	nr_samples++;
	clear_accessed(pid);
}

static long watch(long pid, int *status)
{
	const uint64_t start = ticks();
	long time[2] = {(long)(curve_ms / 1000), (long)(curve_ms % 1000 * 1000000)}, got;

	for (;;) {
		syscall3(SYS_nanosleep, (long)time, 0, 0);
		got = syscall6(SYS_wait4, pid, (long)status, 1 /* WNOHANG */, 0, 0, 0);
		if (got)
			return got;
		take_sample(pid, start);
	}
}

static void say_samples(void)
{
	for (unsigned int i = 0; i < nr_samples; i++)
		print("curve: %lu %lu %lu %lu\n", sample[i].ticks, sample[i].rss,
		      sample[i].referenced, sample[i].swap);
}

static int run_and_wait(char **argv)
{
	char *env[] = {NULL};
	int status = 0;
	long pid = syscall3(SYS_fork, 0, 0, 0);

	if (!pid) {
		syscall3(SYS_execve, (long)argv[0], (long)argv, (long)env);
		print("observe: cannot run %s\n", argv[0]);
		exit(127);
	}
	if (is_error(pid) ||
	    is_error(curve_ms ? watch(pid, &status)
			      : syscall6(SYS_wait4, pid, (long)&status, 0, 0, 0, 0)))
		return 126;
	return status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
}

static void say_differences(unsigned int nr_before, unsigned int nr_after)
{
	for (unsigned int i = 0; i < nr_after; i++) {
		/* Levels are not counts of what happened. */
		if (!memcmp(after[i].name, "nr_", 3) && memcmp(after[i].name, "nr_tlb_", 7))
			continue;
		for (unsigned int k = 0; k < nr_before; k++)
			if (!strcmp(before[k].name, after[i].name) &&
			    after[i].value >= before[k].value)
				print("observe: %s %lu\n", after[i].name,
				      after[i].value - before[k].value);
	}
}

int main(int argc, char **argv)
{
	bool first = read_text("/modules")[0];
	unsigned int nr_before, nr_after;
	uint64_t start, stall;
	int at = 1, status;

	if (first)
		first_process();
	for (; at < argc; at++) {
		const char *p = argv[at];

		while (*p && *p != '=' && *p != '/')
			p++;
		/* Linux passes boot options that it does not know on to its first process. */
		if (first && *p != '=' && argv[at][0] != '/')
			continue;
		if (*p != '=')
			break;
		if (!memcmp(argv[at], "curve=", 6)) {
			for (p++; *p >= '0' && *p <= '9'; p++)
				curve_ms = curve_ms * 10 + (unsigned long)(*p - '0');
			continue;
		}
		set_knob(argv[at], p + 1);
	}
	nr_before = read_counts("/proc/meminfo", before);
	for (unsigned int i = 0; i < nr_before; i++)
		if (!strcmp(before[i].name, "MemTotal") ||
		    !strcmp(before[i].name, "MemAvailable") || !strcmp(before[i].name, "SwapTotal"))
			print("observe: %s %lu\n", before[i].name, before[i].value);
	if (at >= argc) {
		print("usage: observe [KNOB=VALUE...] PROGRAM [ARGUMENTS...]\n");
		status = 2;
		goto out;
	}
	stall = memory_stall();
	nr_before = read_counts("/proc/vmstat", before);
	start = ticks();
	status = run_and_wait(argv + at);
	start = ticks() - start;
	nr_after = read_counts("/proc/vmstat", after);
	stall = memory_stall() - stall;
	say_differences(nr_before, nr_after);
	say_samples();
	print("observe: stall_us %lu\n", stall);
	print("observe: ticks %lu\n", start);
	print("observe: status %d\n", status);
out:
	if (first) {
		syscall3(SYS_sync, 0, 0, 0);
		syscall6(SYS_reboot, REBOOT_MAGIC, REBOOT_MAGIC_2, REBOOT_POWER_OFF, 0, 0, 0);
	}
	return status;
}
