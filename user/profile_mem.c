/*
 * Operations for `mmvm profile`: profile_mem NAME repeats one operation, and marks its beginning and end for
 * the VMM, which single-steps it.
 *
 *   keep |<-- window of 1 MiB -->| keep       all inside 2 MiB that one table of PTEs maps
 *
 * "keep" stays mapped and touched, so that the page table of the window is not allocated or freed.
 */
#include "rt.h"

#define PAGES		 256ul
#define WINDOW		 (PAGES * PAGE_SIZE)
#define TABLE		 (2ul << 20)
#define WARM		 4
#define REPS		 5
#define PER_CALL	 16ul /* pages of an operation on a range */
#define FAMILY_PAGES	 512ul
#define SYS_pread64	 17
#define SYS_pwrite64	 18
#define SYS_pause	 34
#define SYS_fork	 57
#define SYS_wait4	 61
#define SYS_kill	 62
#define SYS_memfd_create 319
#define SIGKILL		 9

static volatile char *window;
static const char *op;
static bool marked; /* not while warming */

static void die(const char *what, long error)
{
	print("profile_mem: %s: error %ld\n", what, error);
	exit(1);
}

static void begin(void)
{
	if (marked)
		syscall6(MMVM_SYS_REPORT, MMVM_USER_PROFILE, (long)op, 1, 0, 0, 0);
}

static void end(void)
{
	if (marked)
		syscall6(MMVM_SYS_REPORT, MMVM_USER_PROFILE, (long)op, 0, 0, 0, 0);
}

static void must(long r, const char *what)
{
	if (is_error(r))
		die(what, r);
}

static void map_window(void)
{
	must(sys_mmap((unsigned long)window, WINDOW, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED),
	     "mmap");
}

/** Find 2 MiB under one table, leave the window in its middle, touch both sides. */
static void place_window(void)
{
	long whole = map_memory(2 * TABLE);
	unsigned long start;

	must(whole, "mmap");
	start = (whole + TABLE - 1) & ~(TABLE - 1);
	window = (volatile char *)start + 64 * PAGE_SIZE;
	*(volatile char *)start = 1;
	window[WINDOW + 16 * PAGE_SIZE] = 1;
	/* not adjacent to anything: mapping the window neither merges nor splits */
	sys_munmap((unsigned long)window - 8 * PAGE_SIZE, WINDOW + 16 * PAGE_SIZE);
	map_window();
}

/** The child sleeps until it is killed. */
static long fork_child(void)
{
	long child = syscall3(SYS_fork, 0, 0, 0);

	must(child, "fork");
	if (!child)
		for (;;)
			syscall3(SYS_pause, 0, 0, 0);
	return child;
}

static void bury(long child)
{
	syscall3(SYS_kill, child, SIGKILL, 0);
	must(syscall6(SYS_wait4, child, 0, 0, 0, 0, 0), "wait");
}

/** A write to a page that a sleeping child shares. */
static void cow_fault(volatile char *page)
{
	long child;

	*page = 1;
	child = fork_child();
	syscall3(SYS_sched_yield, 0, 0, 0); /* let it fall asleep */
	begin();
	*page = 1;
	end();
	bury(child);
}

/** Memory that parent and child share after a fork. */
static void touch_family(void)
{
	static volatile char *family;

	if (!family) {
		family = (volatile char *)map_memory(FAMILY_PAGES * PAGE_SIZE);
		must((long)family, "mmap");
	}
	for (unsigned long i = 0; i < FAMILY_PAGES; i++)
		family[i * PAGE_SIZE] = 1;
}

/** Until the parent goes on. Steps take so long that the child runs first, and falls asleep. */
static void fork_once(void)
{
	long child;

	touch_family();
	begin();
	child = fork_child();
	end();
	bury(child);
}

/** Until the child is dead and buried. It ends at once. */
static void fork_wait(void)
{
	long child;

	touch_family();
	begin();
	child = syscall3(SYS_fork, 0, 0, 0);
	if (!child)
		exit(0);
	must(syscall6(SYS_wait4, child, 0, 0, 0, 0, 0), "wait");
	end();
}

/** One call that reads or writes page `i` of a file in memory, which has that page. */
static void file_call(long nr, unsigned long i)
{
	static char page[PAGE_SIZE] __attribute__((aligned(4096)));
	static long fd;
	long r;

	if (!fd) {
		fd = syscall3(SYS_memfd_create, (long)"profile", 0, 0);
		must(fd, "memfd_create");
	}
	/* Pages before and after it, too: the tree has the depth of a file that is in use. */
	for (unsigned long k = 0; k < PAGES; k += PER_CALL)
		syscall6(SYS_pwrite64, fd, (long)page, PAGE_SIZE, k * PAGE_SIZE, 0, 0);
	begin();
	r = syscall6(nr, fd, (long)page, PAGE_SIZE, i * PER_CALL * PAGE_SIZE, 0, 0);
	end();
	if (r != PAGE_SIZE)
		die(op, r);
}

/** One touch of a page. False: `op` is something else. */
static bool touch_once(volatile char *page)
{
	const unsigned long addr = (unsigned long)page;

	if (!strcmp(op, "syscall")) {
		begin();
		syscall3(SYS_getppid, 0, 0, 0);
		end();
	} else if (!strcmp(op, "anon_fault")) {
		begin();
		*page = 1;
		end();
	} else if (!strcmp(op, "zero_fault")) {
		begin();
		(void)*page;
		end();
	} else if (!strcmp(op, "zero_cow")) {
		(void)*page;
		begin();
		*page = 1;
		end();
	} else if (!strcmp(op, "shared_fault") || !strcmp(op, "cached_fault")) {
		must(sys_mmap(addr, PER_CALL * PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED),
		     op);
		if (*op == 'c') {
			for (unsigned long k = 0; k < PER_CALL; k++)
				page[k * PAGE_SIZE] = 1;
			sys_madvise(addr, PER_CALL * PAGE_SIZE, MADV_DONTNEED);
		}
		begin();
		if (*op == 'c')
			(void)*page;
		else
			*page = 1;
		end();
	} else if (!strcmp(op, "cow_fault")) {
		cow_fault(page);
	} else {
		return false;
	}
	return true;
}

/** A child, a call on a file, a mapping. False: `op` is something else. */
static bool call_once(unsigned long addr, unsigned long i)
{
	long r = 0;

	if (!strcmp(op, "fork_512")) {
		fork_once();
	} else if (!strcmp(op, "fork_wait")) {
		fork_wait();
	} else if (!strcmp(op, "cached_read")) {
		file_call(SYS_pread64, i);
	} else if (!strcmp(op, "cached_write")) {
		file_call(SYS_pwrite64, i);
	} else if (!strcmp(op, "brk")) {
		addr = sys_brk(0);
		begin();
		r = sys_brk(addr + PER_CALL * PAGE_SIZE);
		sys_brk(addr);
		end();
	} else if (!strcmp(op, "vmas")) {
		sys_munmap(addr, PER_CALL * PAGE_SIZE);
		addr += 4 * PAGE_SIZE;
		begin();
		r = sys_mmap(addr, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
		*(volatile char *)addr = 1;
		sys_munmap(addr, PAGE_SIZE);
		end();
	} else if (!strcmp(op, "populate")) {
		sys_munmap(addr, PER_CALL * PAGE_SIZE);
		begin();
		r = sys_mmap(addr, PER_CALL * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE);
		end();
	} else if (!strcmp(op, "map_unmap")) {
		begin();
		r = map_memory(PER_CALL * PAGE_SIZE);
		if (!is_error(r))
			r = sys_munmap(r, PER_CALL * PAGE_SIZE);
		end();
	} else {
		return false;
	}
	must(r, op);
	return true;
}

/** Each repetition has pages of its own: `i` counts from 0, warming included. */
static void once(unsigned long i)
{
	volatile char *page = window + i * PER_CALL * PAGE_SIZE;
	unsigned long addr = (unsigned long)page;
	long r = 0;

	if (touch_once(page) || call_once(addr, i))
		return;
	for (unsigned long k = 0; k < PER_CALL; k++)
		page[k * PAGE_SIZE] = 1;
	begin();
	if (!strcmp(op, "munmap"))
		r = sys_munmap(addr, PER_CALL * PAGE_SIZE);
	else if (!strcmp(op, "dontneed"))
		r = sys_madvise(addr, PER_CALL * PAGE_SIZE, MADV_DONTNEED);
	else if (!strcmp(op, "mprotect"))
		r = sys_mprotect(addr, PER_CALL * PAGE_SIZE, PROT_READ);
	else
		die("unknown operation", 0);
	end();
	must(r, op);
}

/** Bytes of free memory and free swap. */
static void sizes(unsigned long *free, unsigned long *swap)
{
	struct mmvm_sysinfo si;

	must(syscall3(SYS_sysinfo, (long)&si, 0, 0), "sysinfo");
	*free = si.freeram * si.mem_unit;
	*swap = si.freeswap * si.mem_unit;
	if (!*swap)
		die("no swap area is on", 0);
}

static void write_all(volatile char *area, unsigned long bytes)
{
	for (unsigned long at = 0; at < bytes; at += PAGE_SIZE)
		area[at] = (char)(at / PAGE_SIZE % 251 + 1);
}

static void read_pages(volatile char *area, unsigned long first, unsigned long nr)
{
	for (unsigned long k = first; k < first + nr; k++)
		if (area[k * PAGE_SIZE] != (char)(k % 251 + 1))
			die("a page came back wrong", (long)k);
}

/** Pages come in and none has to go: the area is pushed out by a larger one, which then goes away.
 * One fault reads some neighbours, too; an operation is PER_CALL pages in order. */
static void swap_in(void)
{
	unsigned long free, swap, bytes = (WARM + REPS) * 4 * PER_CALL * PAGE_SIZE;
	volatile char *area = (volatile char *)map_memory(bytes), *hog;

	must((long)area, "mmap");
	sizes(&free, &swap);
	write_all(area, bytes);
	hog = (volatile char *)map_memory(free + 2 * bytes);
	must((long)hog, "mmap");
	write_all(hog, free + 2 * bytes);
	sys_munmap((unsigned long)hog, free + 2 * bytes);
	for (unsigned long i = 0; i < WARM + REPS; i++) {
		marked = i >= WARM;
		begin();
		read_pages(area, i * 4 * PER_CALL, PER_CALL);
		end();
	}
}

int main(int argc, char **argv)
{
	if (argc < 2)
		die("which operation?", 0);
	op = argv[1];
	if (!strcmp(op, "swap_in")) {
		swap_in();
	} else {
		bool forks = !strcmp(op, "fork_512") || !strcmp(op, "fork_wait");
		unsigned long reps = forks ? 2 : REPS; /* they are long */

		place_window();
		for (unsigned long i = 0; i < WARM + reps; i++) {
			marked = i >= WARM;
			once(i);
		}
	}
	return 0;
}
