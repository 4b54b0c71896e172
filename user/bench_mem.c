/*
 * What memory costs a program: system call, page faults, populate, unmapping, mapping, swap.
 *
 * One static program, the same file under Linux and under guestmm. It counts ticks of the TSC,
 * which in the lab with --icount are instructions. Each line it prints is
 *
 *     bench NAME MEDIAN MIN REPS
 *
 * with costs in thousandths of a tick for one operation (one page where the name says so). Every
 * row is warmed first, then repeated; the median is what one may expect, the minimum what it costs
 * when nothing comes between.
 *
 *   keep |<-- window of 1 MiB -->| keep       all inside 2 MiB that one table of PTEs maps
 *
 * "keep" stays mapped and touched, so that the table under the window neither comes nor goes:
 * tables are one page in 512 and would blur the row.
 *
 * bench_mem swap: only the swap row, where a swap area is on. It writes all of an area larger than
 * free memory, over and over: each page that comes in pushes another one out. The kernel's own
 * count of pages swapped in tells how many rounds of out and in the ticks are to be shared among,
 * whatever the kernel chose to keep.
 */
#include "rt.h"

#define PAGES	  256ul
#define WINDOW	  (PAGES * PAGE_SIZE)
#define TABLE	  (2ul << 20)
#define WARM	  2
#define REPS	  15
#define SWAP_REPS 5
#define SYS_read  0
#define SYS_open  2
#define SYS_close 3
#define SYS_pause 34
#define SYS_fork  57
#define SYS_wait4 61
#define SYS_kill  62
#define SIGKILL	  9

static volatile char *window;

static inline uint64_t ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static void die(const char *what, long error)
{
	print("bench_mem: %s: error %ld\n", what, error);
	exit(1);
}

static void sort(uint64_t *v, unsigned int n)
{
	for (unsigned int i = 1; i < n; i++) {
		uint64_t x = v[i];
		unsigned int j = i;

		for (; j && v[j - 1] > x; j--)
			v[j] = v[j - 1];
		v[j] = x;
	}
}

/** `once` returns the ticks of `n` operations. */
static void row(const char *name, uint64_t (*once)(void), unsigned int n)
{
	uint64_t t[REPS];

	for (int i = 0; i < WARM; i++)
		once();
	for (int i = 0; i < REPS; i++)
		t[i] = once();
	sort(t, REPS);
	print("bench %s %lu %lu %d\n", name, t[REPS / 2] * 1000 / n, t[0] * 1000 / n, REPS);
	report_bench(name, t[REPS / 2] * 1000 / n, REPS);
}

static void map_window(int flags)
{
	long r = sys_mmap((unsigned long)window, WINDOW, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags);

	if (is_error(r))
		die("mmap", r);
}

static void unmap_window(void)
{
	long r = sys_munmap((unsigned long)window, WINDOW);

	if (r)
		die("munmap", r);
}

static void drop_window(void)
{
	long r = sys_madvise((unsigned long)window, WINDOW, MADV_DONTNEED);

	if (r)
		die("madvise", r);
}

static void write_pages(void)
{
	for (unsigned long i = 0; i < PAGES; i++)
		window[i * PAGE_SIZE] = 1;
}

static void read_pages(void)
{
	for (unsigned long i = 0; i < PAGES; i++)
		(void)window[i * PAGE_SIZE];
}

static uint64_t once_syscall(void)
{
	uint64_t t = ticks();

	for (unsigned long i = 0; i < PAGES; i++)
		syscall3(SYS_getppid, 0, 0, 0);
	return ticks() - t;
}

static uint64_t once_anon_fault(void)
{
	uint64_t t;

	map_window(0);
	t = ticks();
	write_pages();
	t = ticks() - t;
	unmap_window();
	return t;
}

static uint64_t once_zero_fault(void)
{
	uint64_t t;

	map_window(0);
	t = ticks();
	read_pages();
	t = ticks() - t;
	unmap_window();
	return t;
}

static uint64_t once_populate(void)
{
	uint64_t t = ticks();

	map_window(MAP_POPULATE);
	t = ticks() - t;
	unmap_window();
	return t;
}

static uint64_t once_munmap(void)
{
	uint64_t t;

	map_window(0);
	write_pages();
	t = ticks();
	unmap_window();
	return ticks() - t;
}

static uint64_t once_dontneed(void)
{
	uint64_t t;

	map_window(0);
	write_pages();
	t = ticks();
	drop_window();
	t = ticks() - t;
	unmap_window();
	return t;
}

/* Fork, with so many pages of the parent's to share. */
#define FAMILY_PAGES 512ul
static volatile char *family;

static long fork_child(void)
{
	long child = syscall3(SYS_fork, 0, 0, 0);

	if (is_error(child))
		die("fork", child);
	return child;
}

static void wait_child(long child)
{
	long r = syscall6(SYS_wait4, child, 0, 0, 0, 0, 0);

	if (r != child)
		die("wait", r);
}

static void touch_family(void)
{
	for (unsigned long i = 0; i < FAMILY_PAGES; i++)
		family[i * PAGE_SIZE] = 1;
}

/** Until the parent goes on. */
static uint64_t once_fork(void)
{
	uint64_t t;
	long child;

	touch_family();
	t = ticks();
	child = fork_child();
	if (!child)
		exit(0);
	t = ticks() - t;
	wait_child(child);
	return t;
}

/** Until the child is dead and buried. */
static uint64_t once_fork_wait(void)
{
	uint64_t t;
	long child;

	touch_family();
	t = ticks();
	child = fork_child();
	if (!child)
		exit(0);
	wait_child(child);
	return ticks() - t;
}

/** Writes to pages that a sleeping child shares. */
static uint64_t once_cow(void)
{
	uint64_t t;
	long child;

	map_window(0);
	write_pages();
	child = fork_child();
	if (!child)
		for (;;)
			syscall3(SYS_pause, 0, 0, 0);
	syscall3(SYS_sched_yield, 0, 0, 0); /* let it fall asleep */
	t = ticks();
	write_pages();
	t = ticks() - t;
	syscall3(SYS_kill, child, SIGKILL, 0);
	wait_child(child);
	unmap_window();
	return t;
}

static uint64_t once_map_unmap(void)
{
	uint64_t t = ticks();

	for (int i = 0; i < 16; i++) {
		long a = map_memory(16 * PAGE_SIZE);

		if (is_error(a))
			die("mmap", a);
		sys_munmap(a, 16 * PAGE_SIZE);
	}
	return ticks() - t;
}

/** Pages swapped in since boot: by our kernel's call, or as Linux's /proc/vmstat says. */
static uint64_t pages_swapped_in(void)
{
	static char text[16384];
	long count = vm_event("pswpin"), fd, n;
	size_t len = 0;

	if (!is_error(count))
		return count;
	fd = syscall3(SYS_open, (long)"/proc/vmstat", 0, 0);
	if (is_error(fd))
		die("/proc/vmstat", fd);
	while (len < sizeof(text) - 1 &&
	       (n = syscall3(SYS_read, fd, (long)(text + len), sizeof(text) - 1 - len)) > 0)
		len += n;
	syscall3(SYS_close, fd, 0, 0);
	for (char *p = text; p + 7 < text + len; p++) {
		if (!memcmp(p, "pswpin ", 7)) {
			for (count = 0, p += 7; *p >= '0' && *p <= '9'; p++)
				count = count * 10 + (*p - '0');
			return count;
		}
	}
	die("/proc/vmstat has no pswpin", 0);
	return 0;
}

/** Pages that do not all fit in free memory, but in memory and swap together. */
static unsigned long area_pages(void)
{
	struct mmvm_sysinfo si;
	unsigned long free, swap;
	long r = syscall3(SYS_sysinfo, (long)&si, 0, 0);

	if (r)
		die("sysinfo", r);
	free = si.freeram * si.mem_unit / PAGE_SIZE;
	swap = si.freeswap * si.mem_unit / PAGE_SIZE;
	if (!swap)
		die("no swap area is on", 0);
	return free + (swap < free ? swap : free) / 2;
}

static void swap_row(void)
{
	unsigned long pages = area_pages();
	uint64_t cost[SWAP_REPS];
	long a = map_memory(pages * PAGE_SIZE);

	if (is_error(a))
		die("mmap", a);
	for (int i = -1; i < SWAP_REPS; i++) {
		uint64_t in = pages_swapped_in(), t = ticks();

		for (unsigned long k = 0; k < pages; k++) {
			volatile uint64_t *p = (volatile uint64_t *)(a + k * PAGE_SIZE);

			if (i >= 0 && *p != k + i)
				die("a page came back wrong", k);
			*p = k + i + 1;
		}
		t = ticks() - t;
		in = pages_swapped_in() - in;
		if (i < 0)
			continue;
		if (!in)
			die("nothing was swapped", i);
		cost[i] = t * 1000 / in;
	}
	sort(cost, SWAP_REPS);
	print("bench swap_out_in %lu %lu %d\n", cost[SWAP_REPS / 2], cost[0], SWAP_REPS);
	report_bench("swap_out_in", cost[SWAP_REPS / 2], SWAP_REPS);
}

/** Find 2 MiB under one table, leave the window in its middle unmapped, touch both sides. */
static void place_window(void)
{
	long whole = map_memory(2 * TABLE);
	unsigned long start;

	if (is_error(whole))
		die("mmap", whole);
	start = (whole + TABLE - 1) & ~(TABLE - 1);
	window = (volatile char *)start + 64 * PAGE_SIZE;
	window[-(long)PAGE_SIZE] = 1;
	window[WINDOW] = 1;
	unmap_window();
	/* not adjacent to anything: mapping the window neither merges nor splits */
	sys_munmap((unsigned long)window - 8 * PAGE_SIZE, 8 * PAGE_SIZE);
	sys_munmap((unsigned long)window + WINDOW, 8 * PAGE_SIZE);
	*(volatile char *)start = 1;
	window[WINDOW + 16 * PAGE_SIZE] = 1;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "swap")) {
		swap_row();
		return 0;
	}
	place_window();
	row("syscall", once_syscall, PAGES);
	row("anon_fault", once_anon_fault, PAGES);
	row("zero_fault", once_zero_fault, PAGES);
	row("populate", once_populate, PAGES);
	row("munmap", once_munmap, PAGES);
	row("dontneed", once_dontneed, PAGES);
	row("map_unmap", once_map_unmap, 16);
	row("cow_fault", once_cow, PAGES);
	family = (volatile char *)map_memory(FAMILY_PAGES * PAGE_SIZE);
	if (is_error((long)family))
		die("mmap", (long)family);
	row("fork_512", once_fork, 1);
	row("fork_wait", once_fork_wait, 1);
	return 0;
}
