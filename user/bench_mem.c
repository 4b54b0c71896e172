/*
 * What memory costs a program: system call, page faults, populate, unmapping, mapping, swap.
 *
 * One static program, the same file under Linux and under guestmm. It counts ticks of the TSC,
 * which in the lab with --icount are instructions. Each line it prints is
 *
 *     bench NAME MEDIAN MIN REPS
 *
 * with costs in thousandths of a tick for one operation (or one page, if the name says so). Each row is
 * run once to warm up, then repeated. The median is the usual cost, the minimum the cost without
 * interruptions.
 *
 *   keep |<-- window of 1 MiB -->| keep       all inside 2 MiB that one table of PTEs maps
 *
 * "keep" stays mapped and touched, so that the page table of the window is not allocated or freed during
 * a row; that is needed once for 512 pages and would blur the result.
 *
 * bench_mem swap: only the rows of swap; a swap area must be on. The window is written, swapped out with
 * MADV_PAGEOUT, and read back. Memory is not short, so the rows have the cost of moving a page and not of
 * choosing it. The kernel's counts must show that each page was swapped out and in.
 * bench_mem zswap: the same for pages that stay in zswap's pool.
 * bench_mem move: pages moved to another node by move_pages(2), and by compaction of fragmented memory.
 * Needs two nodes.
 * bench_mem group: faults and mappings in a memory cgroup.
 */
#include "bench.h"
#include "vdso.h"

#define PAGES		 256ul
#define WINDOW		 (PAGES * PAGE_SIZE)
#define TABLE		 (2ul << 20)
#define WARM		 2
#define REPS		 15
#define SWAP_REPS	 9
#define CALLS		 16u /* of a call that works on a range */
#define MADV_COLD	 20
#define MADV_PAGEOUT	 21
#define SYS_pread64	 17
#define SYS_pwrite64	 18
#define SYS_pause	 34
#define SYS_fork	 57
#define SYS_wait4	 61
#define SYS_kill	 62
#define SYS_mkdir	 83
#define SYS_rmdir	 84
#define SYS_mount	 165
#define SYS_move_pages	 279
#define SYS_memfd_create 319
#define SYS_ftruncate	 77
#define SYS_mmap	 9
#define SIGKILL		 9

static volatile char *window;

static void map_window(int flags)
{
	must(sys_mmap((unsigned long)window, WINDOW, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags),
	     "mmap");
}

static void unmap_window(void)
{
	must(sys_munmap((unsigned long)window, WINDOW), "munmap");
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

static vdso_clock_gettime vdso_gettime;

static uint64_t once_vdso_clock(void)
{
	struct vdso_timespec now;
	uint64_t t = ticks();

	for (unsigned long i = 0; i < PAGES; i++)
		vdso_gettime(1 /* CLOCK_MONOTONIC */, &now);
	return ticks() - t;
}

/* A file in memory, empty each time and as long as the window: what is dropped from the page table
 * stays in the page cache, and a read finds it there. */
static void map_shared(void)
{
	static long fd = -1;

	if (fd < 0) {
		fd = syscall3(SYS_memfd_create, (long)"shared", 0, 0);
		must(fd, "memfd_create");
	}
	must(syscall3(SYS_ftruncate, fd, 0, 0), "ftruncate");
	must(syscall3(SYS_ftruncate, fd, WINDOW, 0), "ftruncate");
	must(syscall6(SYS_mmap, (long)window, WINDOW, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_FIXED, fd, 0),
	     "mmap");
}

static uint64_t once_shared_fault(void)
{
	uint64_t t;

	map_shared();
	t = ticks();
	write_pages();
	t = ticks() - t;
	unmap_window();
	return t;
}

static uint64_t once_cached_fault(void)
{
	uint64_t t;

	map_shared();
	write_pages();
	must(sys_madvise((unsigned long)window, WINDOW, MADV_DONTNEED), "madvise");
	t = ticks();
	read_pages();
	t = ticks() - t;
	unmap_window();
	return t;
}

/* A file in memory, and calls on it of a page each. */
static long cached_file(void)
{
	static long fd;

	if (!fd) {
		fd = syscall3(SYS_memfd_create, (long)"bench", 0, 0);
		must(fd, "memfd_create");
	}
	return fd;
}

static uint64_t file_calls(long nr)
{
	static char page[PAGE_SIZE] __attribute__((aligned(4096)));
	long fd = cached_file();
	uint64_t t = ticks();

	for (unsigned long i = 0; i < PAGES; i++)
		if (syscall6(nr, fd, (long)page, PAGE_SIZE, i * PAGE_SIZE, 0, 0) != PAGE_SIZE)
			die("file", nr);
	return ticks() - t;
}

static uint64_t once_cached_write(void)
{
	return file_calls(SYS_pwrite64);
}

static uint64_t once_cached_read(void)
{
	return file_calls(SYS_pread64);
}

/* Rows on a fresh window: what comes before, and what is measured. */
static void nothing(void) {}

static uint64_t measure(void (*prepare)(void), void (*what)(void))
{
	uint64_t t;

	map_window(0);
	prepare();
	t = ticks();
	what();
	t = ticks() - t;
	unmap_window();
	return t;
}

static void drop_window(void)
{
	must(sys_madvise((unsigned long)window, WINDOW, MADV_DONTNEED), "madvise");
}

static void protect_window(void)
{
	must(sys_mprotect((unsigned long)window, WINDOW, PROT_READ), "mprotect");
}

static uint64_t once_anon_fault(void)
{
	return measure(nothing, write_pages);
}

static uint64_t once_zero_fault(void)
{
	return measure(nothing, read_pages);
}

static uint64_t once_zero_cow(void)
{
	return measure(read_pages, write_pages);
}

static uint64_t once_dontneed(void)
{
	return measure(write_pages, drop_window);
}

static uint64_t once_mprotect(void)
{
	return measure(write_pages, protect_window);
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

/* Fork, with so many pages of the parent's to share. */
#define FAMILY_PAGES 512ul
static volatile char *family;

static long fork_child(void)
{
	long child = syscall3(SYS_fork, 0, 0, 0);

	must(child, "fork");
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

	for (unsigned int i = 0; i < CALLS; i++) {
		long a = map_memory(16 * PAGE_SIZE);

		must(a, "mmap");
		sys_munmap(a, 16 * PAGE_SIZE);
	}
	return ticks() - t;
}

/** The heap's end up by 16 pages and back, untouched. */
static uint64_t once_brk(void)
{
	unsigned long end = sys_brk(0);
	uint64_t t = ticks();

	for (unsigned int i = 0; i < CALLS; i++) {
		if ((unsigned long)sys_brk(end + 16 * PAGE_SIZE) != end + 16 * PAGE_SIZE)
			die("brk", 0);
		sys_brk(end);
	}
	return ticks() - t;
}

/** A VMA for every other page of the window: mapped, its page touched, unmapped. */
static uint64_t once_vmas(void)
{
	uint64_t t = ticks();

	for (unsigned long i = 0; i < PAGES; i += 2) {
		must(sys_mmap((unsigned long)window + i * PAGE_SIZE, PAGE_SIZE,
			      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED),
		     "mmap");
		window[i * PAGE_SIZE] = 1;
	}
	for (unsigned long i = 0; i < PAGES; i += 2)
		must(sys_munmap((unsigned long)window + i * PAGE_SIZE, PAGE_SIZE), "munmap");
	return ticks() - t;
}

/** Page k of repetition i. */
static uint64_t word_of(unsigned long k, int i)
{
	return (k + 1) << 8 | (i & 0xff);
}

/** Rows of pages that go out and come back, and the events that count them. */
struct swapping {
	const char *out_row, *in_row, *out_event, *in_event;
	bool text; /* the page is full of words, of which each fifth is noise */
};

static void fill_window(int i, const struct swapping *s)
{
	for (unsigned long k = 0; k < PAGES; k++) {
		volatile uint64_t *w = (volatile uint64_t *)(window + k * PAGE_SIZE);

		for (unsigned long n = 1; s->text && n < PAGE_SIZE / sizeof(*w); n++)
			w[n] = n % 5 ? k : (word_of(k, i) * 512 + n) * 0x9e3779b97f4a7c15ull;
		*w = word_of(k, i);
	}
}

static void swap_rows(const struct swapping *s)
{
	uint64_t cost_out[SWAP_REPS], cost_in[SWAP_REPS];

	map_window(0);
	for (int i = -WARM; i < SWAP_REPS; i++) {
		uint64_t out, in, start, gone, back;

		fill_window(i, s);
		out = events(s->out_event);
		start = ticks();
		must(sys_madvise((unsigned long)window, WINDOW, MADV_PAGEOUT), "madvise");
		gone = ticks() - start;
		out = events(s->out_event) - out;
		in = events(s->in_event);
		start = ticks();
		read_pages();
		back = ticks() - start;
		in = events(s->in_event) - in;
		for (unsigned long k = 0; k < PAGES; k++)
			if (*(volatile uint64_t *)(window + k * PAGE_SIZE) != word_of(k, i))
				die("a page came back wrong", k);
		if (out != PAGES || in != PAGES) {
			print("%lu of %lu pages went out, %lu came in\n", out, PAGES, in);
			exit(1);
		}
		if (i < 0)
			continue;
		cost_out[i] = gone;
		cost_in[i] = back;
	}
	unmap_window();
	put_row(s->out_row, cost_out, SWAP_REPS, PAGES);
	put_row(s->in_row, cost_in, SWAP_REPS, PAGES);
}

/* Pages of a RAM disk, mapped and read: reclaim unmaps them in batches and frees them without a write. Each is
 * a refault when it is used again, and is read from the disk. */
static void clean_rows(void)
{
	uint64_t cost_out[SWAP_REPS], cost_in[SWAP_REPS], again = 0;
	long fd = syscall3(SYS_open, (long)"/dev/ram1", 2 /* O_RDWR */, 0);

	if (is_error(fd))
		fd = syscall3(SYS_open, (long)"/dev/vdr", 2, 0);
	must(fd, "RAM disk");
	must(syscall6(SYS_mmap, (long)window, WINDOW, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_FIXED, fd, 0),
	     "mmap");
	read_pages();
	for (int i = -WARM; i < SWAP_REPS; i++) {
		uint64_t start, gone, back;

		if (!i)
			again = events("workingset_refault_file");
		start = ticks();
		must(sys_madvise((unsigned long)window, WINDOW, MADV_PAGEOUT), "madvise");
		gone = ticks() - start;
		start = ticks();
		read_pages();
		back = ticks() - start;
		if (i < 0)
			continue;
		cost_out[i] = gone;
		cost_in[i] = back;
	}
	/* Linux adds up what its CPUs have counted in steps of at most 125. */
	again = events("workingset_refault_file") - again;
	if (again + 125 < PAGES * SWAP_REPS) {
		print("%lu of %lu clean pages refaulted\n", again, PAGES * SWAP_REPS);
		exit(1);
	}
	unmap_window();
	syscall3(SYS_close, fd, 0, 0);
	put_row("clean_out", cost_out, SWAP_REPS, PAGES);
	put_row("refault", cost_in, SWAP_REPS, PAGES);
}

static const struct swapping to_disk = {"swap_out", "swap_in", "pswpout", "pswpin", false};
static const struct swapping to_pool = {"zswap_store", "zswap_load", "zswpout", "zswpin", true};

/** Find 2 MiB under one table, leave the window in its middle unmapped, touch both sides. */
static void place_window(void)
{
	long whole = map_memory(2 * TABLE);
	unsigned long start;

	must(whole, "mmap");
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

/* ---- huge pages: 2 MiB each ------------------------------------------------------------------- */

#define HUGE_PAGES     8ul
#define HUGE_BYTES     (HUGE_PAGES * TABLE)
#define MAP_HUGETLB    0x40000
#define MADV_HUGEPAGE  14
#define MADV_NOHUGE    15
#define MADV_COLLAPSE  25
#define COLLAPSE_PAGES 512ul
static volatile char *huge; /* HUGE_BYTES, aligned; nothing is mapped there between rows */

static void map_huge(int advice)
{
	must(sys_mmap((unsigned long)huge, HUGE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED),
	     "mmap");
	must(sys_madvise((unsigned long)huge, HUGE_BYTES, advice), "madvise");
}

static void unmap_huge(void)
{
	must(sys_munmap((unsigned long)huge, HUGE_BYTES), "munmap");
}

static void touch_huge(void)
{
	for (unsigned long i = 0; i < HUGE_PAGES; i++)
		huge[i * TABLE] = 1;
}

/* So many faults, or whatever is counted, there must have been: small pages would be another row. */
static void must_count(const char *event, uint64_t before, uint64_t n)
{
	if (events(event) - before < n)
		die(event, (long)(events(event) - before));
}

/* What the processor needs to clear or copy 2 MiB, by the instruction that kernels use, too. */
static uint64_t bare_clear(void)
{
	void *to = (void *)huge;
	unsigned long n = TABLE / 8;
	uint64_t t = ticks();

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(n) : "a"(0) : "memory");
	return ticks() - t;
}
static uint64_t bare_copy(void)
{
	const void *from = (const void *)huge;
	void *to = (void *)(huge + TABLE);
	unsigned long n = TABLE / 8;
	uint64_t t = ticks();

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return ticks() - t;
}

/* The least of several runs. A timer interrupt in a single one would be subtracted from every huge
 * page, and can cost more than the fault itself. */
static uint64_t least_of(uint64_t (*once)(void))
{
	uint64_t least = ~0ull;

	for (int i = 0; i < REPS; i++) {
		uint64_t t = once();

		if (t < least)
			least = t;
	}
	return least;
}

/* Both, measured on pages that are there. */
static uint64_t clear_ticks, copy_ticks;
static void measure_bare(void)
{
	if (clear_ticks)
		return;
	map_huge(MADV_HUGEPAGE);
	touch_huge();
	clear_ticks = least_of(bare_clear);
	copy_ticks = least_of(bare_copy);
	unmap_huge();
}

/* Less the bare work; what is left may be nothing. */
static uint64_t less(uint64_t t, uint64_t bare)
{
	return t > bare ? t - bare : 0;
}

static uint64_t once_thp_fault(void)
{
	uint64_t before = events("thp_fault_alloc"), t;

	measure_bare();
	map_huge(MADV_HUGEPAGE);
	t = ticks();
	touch_huge();
	t = ticks() - t;
	unmap_huge();
	must_count("thp_fault_alloc", before, HUGE_PAGES);
	return less(t, HUGE_PAGES * clear_ticks);
}

static uint64_t once_thp_split(void)
{
	uint64_t before = events("thp_split_pmd"), t;

	map_huge(MADV_HUGEPAGE);
	touch_huge();
	t = ticks();
	for (unsigned long i = 0; i < HUGE_PAGES; i++)
		must(sys_mprotect((unsigned long)huge + i * TABLE + PAGE_SIZE, PAGE_SIZE,
				  PROT_READ),
		     "mprotect");
	t = ticks() - t;
	unmap_huge();
	must_count("thp_split_pmd", before, HUGE_PAGES);
	return t;
}

/* MADV_COLD of one page makes 512 small pages of the huge page, here and on Linux. */
static uint64_t once_thp_split_page(void)
{
	uint64_t before = events("thp_split_page"), t;

	map_huge(MADV_HUGEPAGE);
	touch_huge();
	t = ticks();
	for (unsigned long i = 0; i < HUGE_PAGES; i++)
		must(sys_madvise((unsigned long)huge + i * TABLE, PAGE_SIZE, MADV_COLD),
		     "MADV_COLD");
	t = ticks() - t;
	unmap_huge();
	must_count("thp_split_page", before, HUGE_PAGES);
	return t;
}

static uint64_t once_thp_fork(void)
{
	uint64_t t;
	long child;

	map_huge(MADV_HUGEPAGE);
	touch_huge();
	t = ticks();
	child = fork_child();
	if (!child)
		exit(0);
	t = ticks() - t;
	wait_child(child);
	unmap_huge();
	return t;
}

static uint64_t once_thp_cow(void)
{
	uint64_t before = events("thp_split_pmd"), t;
	long child;

	map_huge(MADV_HUGEPAGE);
	touch_huge();
	child = fork_child();
	if (!child)
		for (;;)
			syscall3(SYS_pause, 0, 0, 0);
	syscall3(SYS_sched_yield, 0, 0, 0);
	t = ticks();
	touch_huge();
	t = ticks() - t;
	syscall3(SYS_kill, child, SIGKILL, 0);
	wait_child(child);
	unmap_huge();
	must_count("thp_split_pmd", before, HUGE_PAGES);
	return t;
}

static uint64_t once_thp_collapse(void)
{
	uint64_t t;

	measure_bare();
	map_huge(MADV_NOHUGE);
	for (unsigned long i = 0; i < COLLAPSE_PAGES; i++)
		huge[i * PAGE_SIZE] = 1;
	must(sys_madvise((unsigned long)huge, TABLE, MADV_HUGEPAGE), "madvise");
	t = ticks();
	must(sys_madvise((unsigned long)huge, TABLE, MADV_COLLAPSE), "MADV_COLLAPSE");
	t = ticks() - t;
	unmap_huge();
	return less(t, copy_ticks);
}

static void write_sysctl(const char *path, const char *value)
{
	long fd = syscall3(SYS_open, (long)path, 1, 0);

	must(fd, path);
	must(sys_write(fd, value, strlen(value)), path);
	syscall3(SYS_close, fd, 0, 0);
}

static void set_pool(const char *pages)
{
	write_sysctl("/proc/sys/vm/nr_hugepages", pages);
}

static uint64_t once_hugetlb_fault(void)
{
	uint64_t t;

	measure_bare();
	set_pool("8");
	must(sys_mmap((unsigned long)huge, HUGE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB),
	     "mmap(MAP_HUGETLB)");
	t = ticks();
	touch_huge();
	t = ticks() - t;
	unmap_huge();
	set_pool("0");
	return less(t, HUGE_PAGES * clear_ticks);
}

static void place_huge(void)
{
	long at = map_memory(HUGE_BYTES + TABLE);

	must(at, "mmap");
	huge = (volatile char *)(((unsigned long)at + TABLE - 1) & ~(TABLE - 1));
	must(sys_munmap(at, HUGE_BYTES + TABLE), "munmap");
}

/* ---- pages that move -------------------------------------------------------------------------- */

/* One call moves the window's pages, each from the other node to `node`. */
static uint64_t once_migrate(int node)
{
	static void *page[PAGES];
	static int to[PAGES], status[PAGES];
	uint64_t t;

	for (unsigned long i = 0; i < PAGES; i++) {
		page[i] = (void *)(window + i * PAGE_SIZE);
		to[i] = node;
		status[i] = -1;
	}
	t = ticks();
	must(syscall6(SYS_move_pages, 0, PAGES, (long)page, (long)to, (long)status,
		      2 /* MPOL_MF_MOVE */),
	     "move_pages");
	t = ticks() - t;
	for (unsigned long i = 0; i < PAGES; i++)
		if (status[i] != node)
			die("move_pages: status", status[i]);
	return t;
}

static void migrate_row(void)
{
	uint64_t t[REPS] = {0};

	map_window(0);
	write_pages();
	for (int i = -WARM; i < REPS; i++) {
		uint64_t moved = events("pgmigrate_success"), once = once_migrate(i & 1);

		must_count("pgmigrate_success", moved, i > -WARM ? PAGES : 0);
		if (i >= 0)
			t[i] = once;
	}
	unmap_window();
	put_row("migrate_page", t, REPS, PAGES);
}

/* Free pages of all zones. */
static unsigned long free_pages(void)
{
	unsigned long info[16] = {0}; /* struct sysinfo: 5 is freeram, 13 mem_unit (32 bits) */

	must(syscall3(SYS_sysinfo, (long)info, 0, 0), "sysinfo");
	return info[5] * (unsigned int)info[13] / PAGE_SIZE;
}

/* Two thirds of memory are taken, and every other page is given back. So, wherever pages were placed, the two
 * scanners meet among them: what lies where pages are taken from moves to where the free ones are. */
#define COMPACT_WARM 1
#define COMPACT_REPS 3

static void compact_row(void)
{
	const unsigned long pages = free_pages() / 3 * 2, bytes = pages * PAGE_SIZE;
	volatile char *pieces = (volatile char *)map_memory(bytes);
	uint64_t t[COMPACT_REPS];

	must((long)pieces, "mmap");
	must(sys_madvise((unsigned long)pieces, bytes, MADV_NOHUGE), "madvise");
	for (int i = -COMPACT_WARM; i < COMPACT_REPS; i++) {
		uint64_t moved, once;

		for (unsigned long k = 0; k < pages; k++)
			pieces[k * PAGE_SIZE] = 1;
		for (unsigned long k = 0; k < pages; k += 2)
			must(sys_madvise((unsigned long)pieces + k * PAGE_SIZE, PAGE_SIZE,
					 MADV_DONTNEED),
			     "madvise");
		moved = events("pgmigrate_success");
		once = ticks();
		write_sysctl("/proc/sys/vm/compact_memory", "1");
		once = ticks() - once;
		moved = events("pgmigrate_success") - moved;
		/* Linux 6.12 moves a tenth of what 6.1 does. */
		if (moved < pages / 128)
			die("compaction moved too few", (long)moved);
		if (i >= 0)
			t[i] = once * 1000 / moved;
		must(sys_madvise((unsigned long)pieces, bytes, MADV_DONTNEED), "madvise");
	}
	put_row("compact_page", t, COMPACT_REPS, 1000);
}

enum policy { TWO_LISTS, GENERATIONS };

/* `once` returns the ticks of `n` operations. */
static const struct {
	const char *name;
	uint64_t (*once)(void);
	unsigned int n;
	enum policy policy; /* under which it is measured */
} rows[] = {
	{"syscall", once_syscall, PAGES, TWO_LISTS},
	{"vdso_clock", once_vdso_clock, PAGES, TWO_LISTS},
	{"anon_fault", once_anon_fault, PAGES, TWO_LISTS},
	/* right after it: free lists are as they were */
	{"anon_fault_mglru", once_anon_fault, PAGES, GENERATIONS},
	{"zero_fault", once_zero_fault, PAGES, TWO_LISTS},
	{"zero_cow", once_zero_cow, PAGES, TWO_LISTS},
	{"populate", once_populate, PAGES, TWO_LISTS},
	{"munmap", once_munmap, PAGES, TWO_LISTS},
	{"dontneed", once_dontneed, PAGES, TWO_LISTS},
	{"mprotect", once_mprotect, PAGES, TWO_LISTS},
	{"map_unmap", once_map_unmap, CALLS, TWO_LISTS},
	{"brk", once_brk, CALLS, TWO_LISTS},
	{"vmas", once_vmas, PAGES / 2, TWO_LISTS},
	{"cow_fault", once_cow, PAGES, TWO_LISTS},
	{"shared_fault", once_shared_fault, PAGES, TWO_LISTS},
	{"cached_fault", once_cached_fault, PAGES, TWO_LISTS},
	{"cached_write", once_cached_write, PAGES,
	 TWO_LISTS}, /* makes the pages that are read then */
	{"cached_read", once_cached_read, PAGES, TWO_LISTS},
	{"cached_read_mglru", once_cached_read, PAGES, GENERATIONS},
	{"fork_512", once_fork, 1, TWO_LISTS},
	{"fork_wait", once_fork_wait, 1, TWO_LISTS},
	{"thp_fault", once_thp_fault, HUGE_PAGES, TWO_LISTS},
	{"thp_split", once_thp_split, HUGE_PAGES, TWO_LISTS},
	{"thp_split_page", once_thp_split_page, HUGE_PAGES, TWO_LISTS},
	{"thp_fork", once_thp_fork, 1, TWO_LISTS},
	{"thp_cow", once_thp_cow, HUGE_PAGES, TWO_LISTS},
	{"thp_collapse", once_thp_collapse, 1, TWO_LISTS},
	{"hugetlb_fault", once_hugetlb_fault, HUGE_PAGES, TWO_LISTS},
};

static void run_row(const char *name, uint64_t (*once)(void), unsigned int n)
{
	uint64_t t[REPS] = {0};

	for (int i = 0; i < WARM; i++)
		once();
	for (int i = 0; i < REPS; i++)
		t[i] = once();
	put_row(name, t, REPS, n);
}

/** The multi-generational policy: both kernels switch it on and off by this file. Debian's 6.12 has it on. */
static bool set_policy(enum policy policy)
{
	static const char path[] = "/sys/kernel/mm/lru_gen/enabled";
	long fd = syscall3(SYS_open, (long)path, 2 /* O_RDWR */, 0);
	bool done = !is_error(fd) &&
		    syscall3(SYS_write, fd, (long)(policy == GENERATIONS ? "y" : "n"), 1) == 1;

	if (!is_error(fd))
		syscall3(SYS_close, fd, 0, 0);
	return done;
}

/* ---- in a memory cgroup ------------------------------------------------------------------------ */

#define CGROUP "/sys/fs/cgroup"
#define GROUP  CGROUP "/bench"

/* The number in a file. */
static unsigned long number_in(const char *path)
{
	char text[32] = {0};
	unsigned long n = 0;
	long fd = syscall3(SYS_open, (long)path, 0, 0);

	must(fd, path);
	must(syscall3(SYS_read, fd, (long)text, sizeof(text) - 1), path);
	syscall3(SYS_close, fd, 0, 0);
	for (const char *p = text; *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (unsigned long)(*p - '0');
	return n;
}

/* The rows are those that other groups have without a memory cgroup. The last one allocates an object for each mapping,
 * which is charged to the group. */
static void group_rows(void)
{
	unsigned long before;

	/* It may be mounted. */
	syscall6(SYS_mount, (long)"none", (long)CGROUP, (long)"cgroup2", 0, 0, 0);
	write_sysctl(CGROUP "/cgroup.subtree_control", "+memory");
	must(syscall3(SYS_mkdir, (long)GROUP, 0755, 0), "mkdir");
	write_sysctl(GROUP "/cgroup.procs", "0");
	set_policy(TWO_LISTS);
	run_row("group_fault", once_anon_fault, PAGES);
	run_row("group_map_unmap", once_map_unmap, CALLS);
	run_row("group_vmas", once_vmas, PAGES / 2);
	/* Linux charges some pages in advance. */
	before = number_in(GROUP "/memory.current");
	map_window(0);
	write_pages();
	if (number_in(GROUP "/memory.current") < before + WINDOW - 64 * PAGE_SIZE)
		die("the window was not charged", 0);
	unmap_window();
	write_sysctl(CGROUP "/cgroup.procs", "0");
	must(syscall3(SYS_rmdir, (long)GROUP, 0, 0), "rmdir");
}

int main(int argc, char **argv)
{
	place_window();
	if (argc > 1 && !strcmp(argv[1], "group")) {
		group_rows();
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "swap")) {
		swap_rows(&to_disk);
		clean_rows();
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "zswap")) {
		swap_rows(&to_pool);
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "move")) {
		migrate_row();
		compact_row();
		return 0;
	}
	vdso_gettime = (vdso_clock_gettime)vdso_function(argv, "__vdso_clock_gettime");
	if (!vdso_gettime)
		die("no vDSO", 0);
	place_huge();
	family = (volatile char *)map_memory(FAMILY_PAGES * PAGE_SIZE);
	must((long)family, "mmap");
	for (unsigned int r = 0; r < sizeof(rows) / sizeof(rows[0]); r++)
		if (set_policy(rows[r].policy) || rows[r].policy == TWO_LISTS)
			run_row(rows[r].name, rows[r].once, rows[r].n);
		else
			print("no multi-generational LRU: no row %s\n", rows[r].name);
	return 0;
}
