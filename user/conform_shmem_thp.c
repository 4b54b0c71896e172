/*
 * What huge pages of shared memory do, as a transcript: run unchanged on Linux and on guestmm, the two
 * must be equal (tests/vm/conform_huge.sh).
 *
 * After each step all mapped memory is read. Then the program prints the VMAs of a fixed area from smaps, and
 * the growth of thp_* counters. Not covered: how many entries remain when a huge one is split (none in Linux, all
 * in guestmm), and what depends on memory pressure.
 */
#include "transcript.h"

static const char *const counters[] = {"thp_file_alloc",  "thp_file_fallback",	"thp_file_mapped",
				       "thp_fault_alloc", "thp_collapse_alloc", "thp_split_page"};
#define NR_COUNTERS (sizeof(counters) / sizeof(counters[0]))
#include "smaps_watch.h"

#define PAGES	      (HUGE / PAGE_SIZE)
#define RW	      (PROT_READ | PROT_WRITE)
#define DIR	      "/sys/kernel/mm/transparent_hugepage/"
#define MADV_HUGE     14
#define MADV_NOHUGE   15
#define MADV_COLLAPSE 25
#define PUNCH	      3 /* FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE */
#define KEEP_SIZE     1

static void mode(const char *how)
{
	sys_munmap(AT, SPAN);
	print("shmem_enabled <- %s: %ld\n", how, write_file(DIR "shmem_enabled", how));
	read_file(DIR "shmem_enabled");
	print("  %s", text);
	deltas(false);
}

static void fill(unsigned long at, unsigned long pages, long n)
{
	for (unsigned long i = 0; i < pages; i++)
		put((long)(at + i * PAGE_SIZE), n + (long)i);
}

static void check(unsigned long at, unsigned long pages, long n)
{
	unsigned long wrong = 0;

	for (unsigned long i = 0; i < pages; i++)
		wrong += get((long)(at + i * PAGE_SIZE)) != n + (long)i;
	print("  %lu pages, %lu wrong\n", pages, wrong);
}

static long map_shared(unsigned long at, unsigned long len)
{
	return sys_mmap(at, len, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED);
}

static long map_fd(long fd, unsigned long at, unsigned long len, int prot, int flags, long pos)
{
	return syscall6(SYS_mmap, (long)at, (long)len, prot, flags | MAP_FIXED, fd, pos);
}

/* ---- modes ------------------------------------------------------------------------------------- */

static void one_mode(const char *how, int advice)
{
	mode(how);
	map_shared(AT, 2 * HUGE + 5 * PAGE_SIZE);
	if (advice)
		print("advice %d: %ld\n", advice, sys_madvise(AT, 2 * HUGE, advice));
	put((long)(AT + 3 * PAGE_SIZE), 1);
	get((long)(AT + HUGE));
	show("the first written, the second read");
}

static void modes(void)
{
	one_mode("never", 0);
	one_mode("never", MADV_HUGE);
	one_mode("advise", 0);
	one_mode("advise", MADV_HUGE);
	one_mode("always", 0);
	one_mode("always", MADV_NOHUGE);
	one_mode("within_size", 0);
	one_mode("deny", MADV_HUGE);
	one_mode("force", 0);
	mode("sometimes");
	mode("never\n");
}

/* ---- shared and anonymous ----------------------------------------------------------------------- */

static void child_reads(long n)
{
	check(AT, PAGES, n);
	show("the child");
	fill(AT, 10, 7);
}

static void relatives(void)
{
	mode("always");
	map_shared(AT, HUGE);
	fill(AT, PAGES, 100);
	show("written");
	print("child: %ld\n", in_child(child_reads, 100));
	check(AT, 10, 7);
	check(AT + 10 * PAGE_SIZE, PAGES - 10, 110);
	show("the parent");
}

static void parts(void)
{
	mode("always");
	map_shared(AT, 2 * HUGE);
	fill(AT, 2 * PAGES, 1);
	sys_munmap(AT + 100 * PAGE_SIZE, 50 * PAGE_SIZE);
	check(AT, 100, 1);
	check(AT + 150 * PAGE_SIZE, PAGES - 150, 151);
	show("50 pages unmapped");
	T(sys_mprotect(AT + HUGE, 10 * PAGE_SIZE, PROT_READ));
	check(AT + HUGE, PAGES, 1 + PAGES);
	show("10 pages protected");
	T(sys_mprotect(AT + HUGE, 10 * PAGE_SIZE, RW));
	fill(AT + HUGE, PAGES, 5);
	show("written again");
	T(sys_madvise(AT + HUGE, HUGE, 4));
	check(AT + HUGE, PAGES, 5);
	show("MADV_DONTNEED, and read");
	T(sys_madvise(AT + HUGE + 20 * PAGE_SIZE, 8 * PAGE_SIZE, MADV_REMOVE));
	check(AT + HUGE, 20, 5);
	check(AT + HUGE + 28 * PAGE_SIZE, PAGES - 28, 33);
	print("hole: %ld\n", get((long)(AT + HUGE + 24 * PAGE_SIZE)));
	show("a hole");
	T(sys_madvise(AT + HUGE, HUGE, MADV_REMOVE));
	print("hole: %ld\n", get((long)(AT + HUGE + 30 * PAGE_SIZE)));
	show("all removed, one page read");
}

/* ---- files -------------------------------------------------------------------------------------- */

static void blocks(long fd)
{
	struct stat st;

	sys_fstat(fd, &st);
	print("  size %ld, blocks %ld\n", (long)st.size, (long)st.blocks);
}

static void file(const char *what, long fd)
{
	long n = 5;

	print("%s\n", what);
	deltas(false);
	T(sys_ftruncate(fd, 3 * HUGE));
	T(sys_pwrite(fd, &n, sizeof(n), 100));
	blocks(fd);
	show("a word is written");
	T(sys_fallocate(fd, 0, HUGE, HUGE + 1));
	blocks(fd);
	show("fallocate");
	T(map_fd(fd, AT, 3 * HUGE, RW, MAP_SHARED, 0));
	fill(AT, 3 * PAGES, 1);
	show("mapped");
	T(sys_fallocate(fd, PUNCH, HUGE, HUGE));
	blocks(fd);
	check(AT, PAGES, 1);
	check(AT + 2 * HUGE, PAGES, 1 + 2 * PAGES);
	show("a whole hole");
	T(sys_fallocate(fd, PUNCH, 10 * PAGE_SIZE + 8, PAGE_SIZE));
	check(AT, 10, 1);
	blocks(fd);
	check(AT + 12 * PAGE_SIZE, PAGES - 12, 13);
	T(sys_ftruncate(fd, 2 * HUGE + 7 * PAGE_SIZE + 9));
	blocks(fd);
	check(AT + 2 * HUGE, 8, 1 + 2 * PAGES);
	print("behind the end: %ld\n", in_child(touch, (long)(AT + 2 * HUGE + 8 * PAGE_SIZE)));
	T(sys_ftruncate(fd, 3 * HUGE));
	print("behind the old end: %ld\n", get((long)(AT + 2 * HUGE + 7 * PAGE_SIZE + 16)));
	sys_munmap(AT, SPAN);
	T(sys_ftruncate(fd, 0));
	blocks(fd);
	T(sys_ftruncate(fd, HUGE));
	deltas(false);
	T(map_fd(fd, AT, HUGE, RW, MAP_PRIVATE, 0));
	get((long)AT);
	show("private: read");
	put((long)(AT + 3 * PAGE_SIZE), 9);
	print("  %ld\n", sys_pread(fd, &n, sizeof(n), 3 * PAGE_SIZE));
	print("  %ld %ld\n", n, get((long)(AT + 3 * PAGE_SIZE)));
	sys_munmap(AT, SPAN);
	T(map_fd(fd, AT + PAGE_SIZE, HUGE, RW, MAP_SHARED, 0));
	fill(AT + PAGE_SIZE, PAGES, 3);
	show("at an address that does not suit");
	sys_munmap(AT, SPAN);
	sys_close(fd);
}

/* What /proc/mounts has, without an option that Debian's Linux shows by default. */
static void show_mount(void)
{
	static const char extra[] = ",inode64";
	const size_t n = sizeof(extra) - 1;

	read_file("/proc/mounts");
	for (char *p = text; *p; p++)
		while (!memcmp(p, extra, n))
			for (char *to = p; (*to = to[n]);)
				to++;
	lines("none /huge");
}

static void options(const char *how)
{
	print("%s: %ld\n", how, sys_mount("none", "/huge", "tmpfs", 0, how));
	show_mount();
}

static void mounts(void)
{
	mode("never");
	T(sys_mkdir("/huge", 0755));
	options("huge=sometimes");
	options("huge=deny");
	options("huge=");
	options("size=64M,huge=never");
	sys_umount("/huge", 0);
	options("size=64M,huge=within_size");
	file("a file of a mount, within its size", sys_open("/huge/a", O_RDWR | O_CREAT, 0600));
	print("%ld\n", sys_mount("none", "/huge", "tmpfs", 32, "huge=always"));
	show_mount();
	file("always", sys_open("/huge/b", O_RDWR | O_CREAT, 0600));
	mode("deny");
	file("denied", sys_open("/huge/c", O_RDWR | O_CREAT, 0600));
	T(sys_umount("/huge", 0));
	/* Two MiB do not fit: small pages do. */
	mode("never");
	options("size=1M,huge=always");
	long fd = sys_open("/huge/a", O_RDWR | O_CREAT, 0600), n = 1;

	deltas(false);
	T(sys_pwrite(fd, &n, sizeof(n), 0));
	blocks(fd);
	show("no room for a huge one");
	sys_close(fd);
	T(sys_umount("/huge", 0));
}

/* ---- collapse ----------------------------------------------------------------------------------- */

static void collapses(void)
{
	mode("never");
	map_shared(AT, 2 * HUGE);
	fill(AT, PAGES, 1);
	show("small pages");
	T(sys_madvise(AT, HUGE, MADV_COLLAPSE));
	check(AT, PAGES, 1);
	show("collapsed");
	T(sys_madvise(AT, HUGE, MADV_COLLAPSE));
	show("again");
	fill(AT + HUGE, 3, 1);
	T(sys_madvise(AT + HUGE, HUGE, MADV_COLLAPSE));
	check(AT + HUGE, 3, 1);
	print("  %ld\n", get((long)(AT + HUGE + 9 * PAGE_SIZE)));
	show("three pages collapsed");
	T(sys_madvise(AT, PAGE_SIZE, MADV_COLLAPSE));
}

/* ---- khugepaged ---------------------------------------------------------------------------------- */

static const char *const refusals[] = {"thp_scan_exceed_none_pte", "thp_scan_exceed_swap_pte",
				       "thp_scan_exceed_share_pte"};

/* Two passes, since the first may have begun before the last setting; then it sleeps for 49 days. Each write
 * wakes it. How often it refuses a range depends on the number of passes: printed is whether. */
static void khugepaged_runs(const char *what)
{
	long scans = number_in(DIR "khugepaged/full_scans"), refused[3], done = 0;

	for (int i = 0; i < 3; i++)
		refused[i] = vmstat(refusals[i]);
	for (int i = 0; i < 3000 && done < 2; i++) {
		write_file(DIR "khugepaged/scan_sleep_millisecs", "10");
		sleep_ms(20);
		done = number_in(DIR "khugepaged/full_scans") - scans;
	}
	write_file(DIR "khugepaged/scan_sleep_millisecs", "4294967295");
	print("two passes: %s\n", done < 2 ? "no" : "yes");
	for (int i = 0; i < 3; i++)
		if (vmstat(refusals[i]) != refused[i])
			print("  %s\n", refusals[i]);
	show(what);
}

static void khugepaged(void)
{
	/* Linux 6.1's works only where anonymous memory may be huge, too. */
	write_file(DIR "enabled", "madvise");
	write_file(DIR "khugepaged/scan_sleep_millisecs", "4294967295");
	mode("never");
	map_shared(AT, 2 * HUGE);
	fill(AT, 300, 1);
	fill(AT + HUGE, PAGES, 7);
	show("small pages");
	T(sys_madvise(AT, HUGE, MADV_HUGE));
	khugepaged_runs("never");
	T(write_file(DIR "shmem_enabled", "advise"));
	T(write_file(DIR "khugepaged/max_ptes_none", "0"));
	khugepaged_runs("none may be missing");
	T(write_file(DIR "khugepaged/max_ptes_none", "212"));
	T(write_file(DIR "khugepaged/max_ptes_shared", "0"));
	khugepaged_runs("212 may be missing");
	check(AT, 300, 1);
	check(AT + HUGE, PAGES, 7);
	print("  %ld\n", get((long)(AT + 400 * PAGE_SIZE)));
	show("read");
	T(write_file(DIR "shmem_enabled", "always"));
	khugepaged_runs("always");
	check(AT + HUGE, PAGES, 7);
	show("read");
	sys_munmap(AT, SPAN);
	show("unmapped");
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	modes();
	relatives();
	parts();
	mode("always");
	file("memfd", sys_memfd("x", 0));
	mounts();
	collapses();
	khugepaged();
	mode("never");
	print("end of the cases\n");
	return 0;
}
