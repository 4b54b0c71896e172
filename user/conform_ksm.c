/*
 * What kernel samepage merging does, as a transcript: run unchanged on Linux and on guestmm, the two must be
 * equal (tests/vm/ksm.sh).
 *
 * After each step the scanner makes three full scans and is stopped. Then the program prints the counts of
 * /sys/kernel/mm/ksm, the process's own counts, the growth of cow_ksm, and which pages of the area share a frame.
 */
#include "transcript.h"

#define AT	       0x100000000000ul
#define KEPT	       0x200000000000ul
#define RW	       (PROT_READ | PROT_WRITE)
#define MERGE	       12
#define UNMERGE	       13
#define DIR	       "/sys/kernel/mm/ksm/"
#define PAGES	       32
#define MREMAP_MAYMOVE 1

/* Three whole passes: the first may have begun before the step. */
static void scan(void)
{
	long from = number_in(DIR "full_scans");

	write_file(DIR "run", "1");
	while (number_in(DIR "full_scans") < from + 4)
		sleep_ms(5);
	write_file(DIR "run", "0");
}

/* A letter a page: the same frame, the same letter; '.': not there. */
static void frames(unsigned long pages)
{
	static unsigned long entry[PAGES];
	char line[PAGES + 1];
	long fd = sys_open("/proc/self/pagemap", O_RDONLY, 0);
	char next = 'a';

	sys_pread(fd, entry, pages * 8, AT / PAGE_SIZE * 8);
	sys_close(fd);
	for (unsigned long i = 0; i < pages; i++) {
		line[i] = 0;
		if (!(entry[i] >> 63))
			line[i] = '.';
		for (unsigned long j = 0; j < i && !line[i]; j++)
			if (!((entry[i] ^ entry[j]) << 9))
				line[i] = line[j];
		if (!line[i])
			line[i] = next++;
	}
	line[pages] = 0;
	print("  %s\n", line);
}

static void vma_flags(void)
{
	read_file("/proc/self/smaps");
	for (char *p = text; *p; p = next_line(p)) {
		bool mg = false;

		if (memcmp(p, "100000", 6))
			continue;
		while (*p && memcmp(p, "VmFlags", 7))
			p = next_line(p);
		for (char *f = p; *f && *f != '\n'; f++)
			mg |= !memcmp(f, " mg ", 4);
		print("  a mapping%s\n", mg ? " mg" : "");
	}
}

static long cow;
static bool is_child;

static void show(const char *when, unsigned long pages)
{
	long now = vmstat("cow_ksm");

	print("%s: shared %ld sharing %ld unshared %ld volatile %ld cow +%ld", when,
	      number_in(DIR "pages_shared"), number_in(DIR "pages_sharing"),
	      number_in(DIR "pages_unshared"), number_in(DIR "pages_volatile"), now - cow);
	/* Linux 6.1 gives a child its parent's count to begin with. */
	if (!is_child)
		print(" mine %ld", number_in("/proc/self/ksm_merging_pages"));
	print("\n");
	cow = now;
	frames(pages);
}

static void area(unsigned long pages)
{
	sys_munmap(AT, 4 * PAGES * PAGE_SIZE);
	if (sys_mmap(AT, pages * PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) !=
	    (long)AT)
		print("no area\n");
	scan(); /* what was there is forgotten */
	cow = vmstat("cow_ksm");
}

static void fill(unsigned long from, unsigned long n, long v)
{
	for (unsigned long i = from; i < from + n; i++)
		put((long)(AT + i * PAGE_SIZE), v);
}

static void setting(const char *name, const char *value)
{
	char path[128], *p = path;

	for (const char *s = DIR; *s;)
		*p++ = *s++;
	while (*name)
		*p++ = *name++;
	*p = 0;
	print("%s: %s = %ld, ", path, value, write_file(path, value));
	read_file(path);
	print("%s", text);
}

static void settings(void)
{
	setting("run", "3");
	setting("run", "x");
	setting("run", "1");
	setting("run", "2");
	setting("run", "0");
	setting("pages_to_scan", "-1");
	setting("pages_to_scan", "4294967296");
	setting("pages_to_scan", "1000");
	setting("sleep_millisecs", "4294967296");
	setting("sleep_millisecs", "1");
	setting("use_zero_pages", "2");
	setting("use_zero_pages", "0");
	setting("max_page_sharing", "1");
	setting("max_page_sharing", "256");
	setting("merge_across_nodes", "2");
	setting("merge_across_nodes", "1");
}

static void arguments(void)
{
	area(4);
	T(sys_madvise(AT + 1, PAGE_SIZE, MERGE));
	T(sys_madvise(AT, 5 * PAGE_SIZE, MERGE));
	vma_flags();
	T(sys_madvise(AT + PAGE_SIZE, PAGE_SIZE, UNMERGE));
	vma_flags();
	T(sys_madvise(AT, 4 * PAGE_SIZE, UNMERGE));
	vma_flags();
	sys_mmap(AT, PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED);
	T(sys_madvise(AT, PAGE_SIZE, MERGE));
	T(sys_madvise(AT, PAGE_SIZE, UNMERGE));
	vma_flags();
}

static void one_process(void)
{
	area(12);
	fill(0, 8, 5);
	fill(8, 1, 6);
	scan();
	show("not asked for", 12);
	T(sys_madvise(AT, 12 * PAGE_SIZE, MERGE));
	scan();
	show("merged", 12);
	put(AT + 3 * PAGE_SIZE, 6);
	show("one is written", 12);
	scan();
	show("and merged with another", 12);
	fill(0, 2, 9);
	scan();
	show("two more", 12);
	print("%ld %ld %ld\n", get(AT), get(AT + 3 * PAGE_SIZE), get(AT + 4 * PAGE_SIZE));
	T(sys_mprotect(AT, 12 * PAGE_SIZE, PROT_READ));
	T(sys_madvise(AT, 4 * PAGE_SIZE, UNMERGE));
	scan();
	show("a part is not to be", 12);
	T(write_file(DIR "run", "2"));
	show("none is", 12);
	T(write_file(DIR "run", "0"));
}

static void sharing_limit(void)
{
	area(8);
	setting("max_page_sharing", "3");
	fill(0, 8, 5);
	T(sys_madvise(AT, 8 * PAGE_SIZE, MERGE));
	scan();
	show("three places a page", 8);
	print("chains %ld dups %ld\n", number_in(DIR "stable_node_chains"),
	      number_in(DIR "stable_node_dups"));
	setting("max_page_sharing", "5");
	setting("merge_across_nodes", "0");
	T(write_file(DIR "run", "2"));
	setting("merge_across_nodes", "0");
	setting("merge_across_nodes", "1");
	setting("max_page_sharing", "256");
	T(write_file(DIR "run", "0"));
}

static void zeroes(void)
{
	area(4);
	setting("use_zero_pages", "1");
	fill(0, 4, 0);
	T(sys_madvise(AT, 4 * PAGE_SIZE, MERGE));
	scan();
	show("zeroes", 4);
	put(AT, 1);
	scan();
	show("one is written", 4);
	setting("use_zero_pages", "0");
}

static void moves(void)
{
	area(8);
	fill(0, 8, 5);
	T(sys_madvise(AT, 8 * PAGE_SIZE, MERGE));
	scan();
	show("merged", 8);
	T(sys_munmap(AT, 2 * PAGE_SIZE));
	scan();
	show("two unmapped", 8);
	T(syscall6(SYS_mremap, AT + 4 * PAGE_SIZE, 4 * PAGE_SIZE, 4 * PAGE_SIZE, MREMAP_MAYMOVE | 2,
		   AT + 12 * PAGE_SIZE, 0));
	scan();
	/* Linux copies pages before it moves them, and merges them again. */
	cow = vmstat("cow_ksm");
	show("four moved", 16);
}

static void child(long unused)
{
	(void)unused;
	is_child = true;
	show("the child", 4);
	put(AT, 6);
	scan();
	show("has written", 4);
	print("%ld %ld\n", get(AT), get(AT + PAGE_SIZE));
}

static void forks(void)
{
	area(4);
	fill(0, 4, 5);
	T(sys_madvise(AT, 4 * PAGE_SIZE, MERGE));
	scan();
	cow = vmstat("cow_ksm");
	print("child: %ld\n", in_child(child, 0));
	scan();
	cow = vmstat("cow_ksm");
	show("after the child", 4);
	print("%ld\n", get(AT));
}

static void locked(void)
{
	area(4);
	fill(0, 4, 5);
	T(syscall3(SYS_mlock, AT, 2 * PAGE_SIZE, 0));
	T(sys_madvise(AT, 4 * PAGE_SIZE, MERGE));
	scan();
	show("locked", 4);
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	settings();
	/* Without memory to look at Linux's scanner does not go round. Never touched, it has no place. */
	sys_mmap(KEPT, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
	T(sys_madvise(KEPT, PAGE_SIZE, MERGE));
	arguments();
	one_process();
	sharing_limit();
	zeroes();
	moves();
	forks();
	locked();
	sys_munmap(AT, 4 * PAGES * PAGE_SIZE);
	print("end of the cases\n");
	return 0;
}
