/*
 * What writing to the knobs of reclaim, writeback and zones does, and what swapon(2) and swapoff(2) refuse, as a
 * transcript: run unchanged on Linux and on guestmm, the two must be equal (tests/vm/conform_reclaim.sh).
 * Needs root. The old values of the knobs are restored at the end.
 */
#include "files.h"

#define SYS_swapon  167
#define SYS_swapoff 168

static char text[256];

static void result(const char *what, long ret)
{
	print("%s = %ld\n", what, ret);
}
#define T(call) result(#call, call)

static long put_text(const char *path, const char *value)
{
	long fd = sys_open(path, O_WRONLY, 0), n;

	if (is_error(fd))
		return fd;
	n = sys_write(fd, value, strlen(value));
	sys_close(fd);
	return n;
}

static void show(const char *path)
{
	long fd = sys_open(path, O_RDONLY, 0), n = sys_read(fd, text, sizeof(text) - 1);

	sys_close(fd);
	text[n > 0 ? n : 0] = 0;
	print("  %s: %s", path, n > 0 ? text : "(none)\n");
}

#define VM(name) "/proc/sys/vm/" name

/* A limit in bytes and one in per cent: the one that was written last counts, the other is 0. */
static void set(const char *path, const char *value)
{
	print("%s %s", path, value);
	print("  = %ld\n", put_text(path, value));
	show(VM("dirty_bytes"));
	show(VM("dirty_ratio"));
	show(VM("dirty_background_bytes"));
	show(VM("dirty_background_ratio"));
}

static void dirty_knobs(void)
{
	set(VM("dirty_bytes"), "8192\n");
	set(VM("dirty_bytes"), "8191\n"); /* less than two pages */
	set(VM("dirty_bytes"), "0\n");
	set(VM("dirty_bytes"), "1048576\n");
	set(VM("dirty_ratio"), "0\n");
	set(VM("dirty_ratio"), "101\n");
	set(VM("dirty_ratio"), "30\n");
	set(VM("dirty_background_bytes"), "1\n");
	set(VM("dirty_background_bytes"), "0\n");
	set(VM("dirty_background_bytes"), "x\n");
	set(VM("dirty_background_bytes"), "-1\n");
	set(VM("dirty_background_ratio"), "0\n");
	set(VM("dirty_background_bytes"), "4194304\n");
	set(VM("dirty_background_ratio"), "15\n");
	set(VM("dirty_background_ratio"), "10\n");
	set(VM("dirty_ratio"), "20\n");
}

/* What a file of the zones takes, and says then: at most three numbers, one for each zone that both kernels
 * have. */
static void tune(const char *path, const char *value)
{
	unsigned int numbers = 0;
	long fd, n;

	print("%s %s", path, value);
	print("  = %ld\n", put_text(path, value));
	fd = sys_open(path, O_RDONLY, 0);
	n = sys_read(fd, text, sizeof(text) - 1);
	sys_close(fd);
	text[n > 0 ? n : 0] = 0;
	for (char *c = text; *c; c++)
		if ((*c == '\t' && ++numbers == 3) || *c == '\n')
			*c = 0;
	print("  %s\n", text);
}

/* Not here: what is no number in lowmem_reserve_ratio. Linux's handler drops the error, guestmm refuses. */
static void zone_knobs(void)
{
	tune(VM("watermark_scale_factor"), "100\n");
	tune(VM("watermark_scale_factor"), "3000\n");
	tune(VM("watermark_scale_factor"), "3001\n");
	tune(VM("watermark_scale_factor"), "0\n");
	tune(VM("watermark_scale_factor"), "-1\n");
	tune(VM("watermark_scale_factor"), "x\n");
	tune(VM("watermark_scale_factor"), "10\n");
	tune(VM("watermark_boost_factor"), "15000\n");
	tune(VM("watermark_boost_factor"), "-1\n");
	tune(VM("watermark_boost_factor"), "4294967296\n");
	tune(VM("watermark_boost_factor"), "0\n");
	tune(VM("stat_refresh"), "1\n");
	tune(VM("stat_refresh"), "x\n");
	tune(VM("min_free_kbytes"), "1024\n");
	tune(VM("min_free_kbytes"), "-1\n");
	tune(VM("min_free_kbytes"), "12k\n");
	tune(VM("min_free_kbytes"), "512\n");
	tune(VM("lowmem_reserve_ratio"), "4 8 16\n");
	tune(VM("lowmem_reserve_ratio"), "0\n");
	tune(VM("lowmem_reserve_ratio"), "-5 1\n");
	tune(VM("lowmem_reserve_ratio"), "256\t256\t32\n");
}

/* KiB in a line of /proc/meminfo. */
static long meminfo(const char *name)
{
	static char all[4096];
	long fd = sys_open("/proc/meminfo", O_RDONLY, 0), n = sys_read(fd, all, sizeof(all) - 1);
	long kb = 0;

	sys_close(fd);
	all[n > 0 ? n : 0] = 0;
	for (const char *c = all; *c; c++) {
		unsigned int i = 0;

		while (name[i] && c[i] == name[i])
			i++;
		if (name[i])
			continue;
		for (c += i; *c == ' ';)
			c++;
		for (; *c >= '0' && *c <= '9'; c++)
			kb = kb * 10 + (*c - '0');
		break;
	}
	return kb;
}

static void put_number(const char *path, long n)
{
	char digits[24];
	unsigned int at = sizeof(digits) - 1;

	digits[at] = 0;
	do
		digits[--at] = '0' + n % 10;
	while (n /= 10);
	put_text(path, digits + at);
}

/* May so much be promised? It is given back at once. */
static void promise(const char *who, long mib)
{
	long at = sys_mmap(0, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);

	print("  %s, %ld MiB: %s\n", who, mib, is_error(at) ? "no" : "yes");
	if (!is_error(at))
		sys_munmap(at, mib << 20);
}

#define SYS_setresuid 117
#define NOBODY	      65534l

/* Mode 2 with 64 MiB more than is promised now. So much is promised before that swap alone does not cover it. All
 * numbers below leave a few MiB on either side, as Linux counts promises in batches. */
static void commit_limit(void)
{
	long at, swap = meminfo("SwapTotal:") << 10, ballast = 0;

	if (swap)
		ballast = sys_mmap(0, swap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	put_text(VM("user_reserve_kbytes"), "0");
	put_text(VM("admin_reserve_kbytes"), "0");
	put_number(VM("overcommit_kbytes"),
		   meminfo("Committed_AS:") + (64 << 10) - meminfo("SwapTotal:"));
	T(put_text(VM("overcommit_memory"), "2"));
	promise("nothing reserved", 48);
	promise("nothing reserved", 80);
	put_text(VM("admin_reserve_kbytes"), "32768");
	promise("root, 32 MiB for it", 48);
	T(syscall3(SYS_setresuid, -1, NOBODY, -1));
	promise("nobody, 32 MiB for root", 48);
	promise("nobody, 32 MiB for root", 24);
	T(syscall3(SYS_setresuid, -1, 0, -1));
	/* A process leaves a 32nd of its size to others, but no more than user_reserve_kbytes. */
	at = sys_mmap(0, 1l << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
	promise("a large process, nothing reserved", 48);
	put_text(VM("user_reserve_kbytes"), "24576");
	promise("a large process, 24 MiB reserved", 48);
	promise("a large process, 24 MiB reserved", 32);
	put_text(VM("user_reserve_kbytes"), "1048576");
	promise("a large process, 1 GiB reserved", 40);
	promise("a large process, 1 GiB reserved", 24);
	sys_munmap(at, 1l << 30);
	promise("a small process, 1 GiB reserved", 48);
	if (swap)
		sys_munmap(ballast, swap);
	T(put_text(VM("overcommit_memory"), "0"));
}

static void commit_knobs(void)
{
	static const char *const values[] = {"65536\n", "0\n", "x\n", "12k\n", "4096\n"};

	for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		tune(VM("overcommit_kbytes"), values[i]);
		show(VM("overcommit_ratio"));
		tune(VM("user_reserve_kbytes"), values[i]);
		tune(VM("admin_reserve_kbytes"), values[i]);
	}
	tune(VM("overcommit_ratio"), "60\n");
	show(VM("overcommit_kbytes"));
	tune(VM("overcommit_kbytes"), "131072\n");
	show(VM("overcommit_ratio"));
	print("  limit without swap: %ld KiB\n", meminfo("CommitLimit:") - meminfo("SwapTotal:"));
	commit_limit();
	tune(VM("overcommit_ratio"), "50\n");
	show(VM("overcommit_kbytes"));
	put_text(VM("user_reserve_kbytes"), "8192");
	put_text(VM("admin_reserve_kbytes"), "2048");
}

static void swap_files(void)
{
	long fd = sys_open("/tmp_swap", O_RDWR | O_CREAT | O_TRUNC, 0600);

	T(sys_ftruncate(fd, 1 << 20));
	T(syscall3(SYS_swapon, (long)"/none", 0, 0));
	T(syscall3(SYS_swapon, 8, 0, 0));
	T(syscall3(SYS_swapon, (long)"", 0, 0));
	T(syscall3(SYS_swapon, (long)"/", 0, 0));
	T(syscall3(SYS_swapon, (long)"/proc", 0, 0));
	T(syscall3(SYS_swapon, (long)"/tmp_swap", 0, 0)); /* in memory */
	T(syscall3(SYS_swapon, (long)"/tmp_swap", 1 << 20, 0));
	T(syscall3(SYS_swapon, (long)"/tmp_swap", 0x70000, 0));
	T(syscall3(SYS_swapon, (long)"/tmp_swap/x", 0, 0));
	T(syscall3(SYS_swapoff, (long)"/tmp_swap", 0, 0));
	T(syscall3(SYS_swapoff, (long)"/none", 0, 0));
	T(syscall3(SYS_swapoff, (long)"/", 0, 0));
	T(sys_close(fd));
	T(sys_unlink("/tmp_swap"));
}

int main(int argc, char **argv)
{
	dirty_knobs();
	zone_knobs();
	commit_knobs();
	swap_files();
	print("end of the cases\n");
	return 0;
}
