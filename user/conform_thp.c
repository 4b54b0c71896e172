/*
 * What transparent huge pages do, as a transcript: run unchanged on Linux and on guestmm, the two must
 * be equal (tests/vm/conform_huge.sh).
 *
 * After each step it prints the VMAs of a fixed area from smaps (where, Rss, AnonHugePages,
 * THPeligible, hg and nh) and by how much the thp_* counters of /proc/vmstat have risen.
 *
 * khugepaged is kept asleep: it is made to scan once, then sleeps for 49 days. What memory pressure
 * decides (the late split, swap) is not part of it.
 */
#include "transcript.h"

#define PAGES	      (HUGE / PAGE_SIZE)
#define RW	      (PROT_READ | PROT_WRITE)
#define MADV_HUGE     14
#define MADV_NOHUGE   15
#define MADV_COLLAPSE 25
#define SYS_prctl     157
#define DIR	      "/sys/kernel/mm/transparent_hugepage/"

/* ---- what is seen ----------------------------------------------------------------------------- */

static const char *const counters[] = {"thp_fault_alloc", "thp_fault_fallback",
				       "thp_collapse_alloc", "thp_deferred_split_page",
				       "thp_split_pmd"};
#define NR_COUNTERS (sizeof(counters) / sizeof(counters[0]))
#include "smaps_watch.h"

static long map_at(unsigned long at, unsigned long len, int prot, int flags)
{
	return sys_mmap(at, len, prot, flags | MAP_ANONYMOUS | MAP_FIXED);
}

/* Nothing but n * 2 MiB at AT. */
static void area(unsigned long n)
{
	sys_munmap(AT, SPAN);
	if (map_at(AT, n * HUGE, RW, MAP_PRIVATE) != (long)AT)
		print("no area\n");
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

/* khugepaged may have something to look at, or see that there is nothing. Many turns and not one long sleep: that can be
 * over before anybody else has run, where the host lets the machine run now and then. */
static void let_khugepaged_run(int turns)
{
	while (turns--)
		sleep_ms(5);
}

static void enable(const char *how)
{
	sys_munmap(AT, SPAN);
	print("enabled: %s = %ld\n", how, write_file(DIR "enabled", how));
	let_khugepaged_run(40); /* it may be started by that */
}

static long advise(unsigned long at, unsigned long len, int advice)
{
	return sys_madvise(at, len, advice);
}

/* ---- settings --------------------------------------------------------------------------------- */

static void setting(const char *name, const char *value)
{
	char path[128], *p = path;
	const char *dir = DIR;

	while (*dir)
		*p++ = *dir++;
	for (const char *n = name; *n;)
		*p++ = *n++;
	*p = 0;
	if (value)
		print("%s <- %s: %ld\n", name, value, write_file(path, value));
	if (read_file(path) >= 0)
		print("%s: %s", name, text);
	else
		print("%s: not there\n", name);
}

static void settings(void)
{
	static const char *const names[] = {
		"defrag",
		"use_zero_page",
		"hpage_pmd_size",
		"khugepaged/defrag",
		"khugepaged/pages_to_scan",
		"khugepaged/scan_sleep_millisecs",
		"khugepaged/alloc_sleep_millisecs",
		"khugepaged/max_ptes_none",
		"khugepaged/max_ptes_swap",
		"khugepaged/max_ptes_shared",
	};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		setting(names[i], NULL);
	setting("enabled", "sometimes");
	setting("enabled", "madvise\n");
	setting("enabled", "never always");
	setting("defrag", "later");
	setting("defrag", "defer+madvise");
	setting("defrag", "defer");
	setting("defrag", "madvise");
	setting("use_zero_page", "2");
	setting("use_zero_page", "x");
	setting("use_zero_page", "0");
	setting("use_zero_page", "1");
	setting("khugepaged/defrag", "2");
	setting("khugepaged/pages_to_scan", "0");
	setting("khugepaged/pages_to_scan", "4294967296");
	setting("khugepaged/pages_to_scan", "-1");
	setting("khugepaged/max_ptes_none", "512");
	setting("khugepaged/max_ptes_none", "0");
	setting("khugepaged/max_ptes_none", "511");
	setting("khugepaged/max_ptes_swap", "512");
	setting("khugepaged/max_ptes_shared", "512");
	setting("khugepaged/alloc_sleep_millisecs", "4294967296");
	setting("khugepaged/scan_sleep_millisecs", "4294967295");
	setting("enabled", "always");
	/* One mapping of ours that khugepaged may look at, for good; then it sleeps. */
	put(sys_mmap(0, 2 * HUGE, RW, MAP_PRIVATE | MAP_ANONYMOUS) + (long)HUGE, 1);
	let_khugepaged_run(100);
}

/* ---- faults ----------------------------------------------------------------------------------- */

static void faults(void)
{
	print("faults\n");
	area(4);
	show("empty");
	put(AT, 1);
	show("written");
	print("%ld %ld\n", get(AT), get(AT + HUGE - 8));
	show("read there again");
	print("%ld\n", get(AT + HUGE));
	show("read: zeroes");
	print("%ld\n", get(AT + HUGE + 77 * PAGE_SIZE));
	show("more zeroes");
	put(AT + HUGE + 3 * PAGE_SIZE, 5);
	print("%ld %ld\n", get(AT + HUGE + 3 * PAGE_SIZE), get(AT + HUGE));
	show("zeroes written");
	put(AT + 2 * HUGE + 5 * PAGE_SIZE, 1);
	put(AT + 4 * HUGE - 8, 1);
	show("two more");
	sys_munmap(AT, SPAN);
	show("unmapped");

	map_at(AT + PAGE_SIZE, 3 * HUGE, RW, MAP_PRIVATE);
	put(AT + PAGE_SIZE, 1);
	show("not aligned: small");
	put(AT + HUGE, 1);
	show("in the middle: huge");
	put(AT + 3 * HUGE, 1);
	show("at the end: small");
	sys_munmap(AT, SPAN);

	map_at(AT + PAGE_SIZE, 2 * HUGE - 2 * PAGE_SIZE, RW, MAP_PRIVATE);
	put(AT + HUGE, 1);
	show("no place");
	sys_munmap(AT, SPAN);

	map_at(AT, HUGE, PROT_READ, MAP_PRIVATE);
	print("%ld\n", get(AT + 9 * PAGE_SIZE));
	show("read-only");
	T(sys_mprotect(AT, HUGE, RW));
	put(AT, 1);
	show("writable, written");
	sys_munmap(AT, SPAN);

	area(2);
	put(AT + HUGE - PAGE_SIZE, 1);
	T(sys_mprotect(AT, HUGE, 0));
	deltas(false); /* 6.1 does not count such a page in Rss, 6.12 does */
	T(sys_mprotect(AT, HUGE, RW));
	print("%ld\n", get(AT + HUGE - PAGE_SIZE));
	show("back");

	area(2);
	T(advise(AT, HUGE, MADV_NOHUGE));
	put(AT, 1);
	put(AT + HUGE, 1);
	show("the first one not");
	T(advise(AT, HUGE, MADV_HUGE));
	put(AT + PAGE_SIZE, 1);
	show("advised late");
	T(advise(AT, 3 * HUGE, MADV_HUGE));
	T(advise(AT + 1, HUGE, MADV_HUGE));
	T(advise(AT, 0, MADV_HUGE));
}

static void when_enabled(void)
{
	static const char *const how[] = {"madvise", "never", "always"};

	for (unsigned int i = 0; i < 3; i++) {
		enable(how[i]);
		area(3);
		T(advise(AT, HUGE, MADV_HUGE));
		T(advise(AT + HUGE, HUGE, MADV_NOHUGE));
		put(AT, 1);
		put(AT + HUGE, 1);
		put(AT + 2 * HUGE, 1);
		show("advised, advised against, not advised");
	}
}

/* ---- parts ------------------------------------------------------------------------------------ */

static void parts(void)
{
	print("parts\n");
	area(2);
	fill(AT, 2 * PAGES, 1000);
	show("filled");
	T(sys_munmap(AT + 100 * PAGE_SIZE, 50 * PAGE_SIZE));
	show("50 pages unmapped");
	check(AT, 100, 1000);
	check(AT + 150 * PAGE_SIZE, 2 * PAGES - 150, 1150);
	T(sys_munmap(AT, PAGE_SIZE));
	show("one more");
	T(sys_munmap(AT, HUGE));
	show("all of it");

	area(2);
	fill(AT, 2 * PAGES, 1000);
	T(sys_mprotect(AT + 10 * PAGE_SIZE, PAGE_SIZE, PROT_READ));
	show("one page read-only");
	print("%ld\n", in_child(touch, (long)AT + 10 * (long)PAGE_SIZE));
	T(sys_mprotect(AT, HUGE, RW));
	show("writable again");
	T(sys_mprotect(AT + HUGE, HUGE, PROT_READ));
	show("a whole one read-only");
	print("%ld\n", in_child(touch, (long)(AT + HUGE)));
	T(sys_mprotect(AT + HUGE, HUGE, RW));
	put(AT + HUGE, 1512);
	check(AT, 2 * PAGES, 1000);
	show("and back");

	area(3);
	fill(AT, 3 * PAGES, 1000);
	T(advise(AT, HUGE, MADV_DONTNEED));
	show("a whole one not needed");
	T(advise(AT + HUGE + PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED));
	show("a page not needed");
	print("%ld\n", get((long)(AT + HUGE + PAGE_SIZE)));
	show("and read");
	T(advise(AT + 2 * HUGE, HUGE - PAGE_SIZE, MADV_DONTNEED));
	show("all but one page not needed");
	check(AT + 3 * HUGE - PAGE_SIZE, 1, 1000 + 3 * PAGES - 1);
	put(AT + HUGE + PAGE_SIZE, 1000 + PAGES + 1);
	check(AT + HUGE, PAGES, 1000 + PAGES);
	show("written again");
}

#define MOVE 3 /* MREMAP_MAYMOVE | MREMAP_FIXED */
static void moves(void)
{
	print("moves\n");
	area(2);
	fill(AT, 2 * PAGES, 1000);
	T(syscall6(SYS_mremap, AT, HUGE, HUGE, MOVE, AT + 16 * HUGE, 0));
	show("a whole one, aligned");
	T(syscall6(SYS_mremap, AT + 16 * HUGE, HUGE, HUGE, MOVE, AT + 20 * HUGE + PAGE_SIZE, 0) &
	  0);
	show("not aligned");
	check(AT + 20 * HUGE + PAGE_SIZE, PAGES, 1000);
	T(syscall6(SYS_mremap, AT + HUGE, HUGE, HUGE - 8 * PAGE_SIZE, 0, 0, 0));
	show("shrunk");
	check(AT + HUGE, PAGES - 8, 1000 + PAGES);
	area(1);
	fill(AT, PAGES, 1);
	T(syscall6(SYS_mremap, AT, HUGE, 2 * HUGE, 0, 0, 0));
	put(AT + HUGE + PAGE_SIZE, 1);
	show("grown");
	T(syscall6(SYS_mremap, AT + 4 * PAGE_SIZE, 8 * PAGE_SIZE, 8 * PAGE_SIZE, MOVE,
		   AT + 8 * HUGE, 0));
	show("a part");
	check(AT + 8 * HUGE, 8, 5);
}

static void locks(void)
{
	print("locks\n");
	area(2);
	fill(AT, 2 * PAGES, 1);
	T(syscall3(SYS_mlock, AT, HUGE, 0));
	show("a whole one");
	T(syscall3(SYS_munlock, AT, HUGE, 0));
	show("unlocked");
	T(syscall3(SYS_mlock, AT + HUGE, 2 * PAGE_SIZE, 0));
	show("two pages");
	T(syscall3(SYS_munlock, AT, 2 * HUGE, 0));
	show("unlocked");
	sys_munmap(AT, SPAN);
	map_at(AT, 2 * HUGE, RW, MAP_PRIVATE | MAP_LOCKED);
	show("mapped locked");
	check(AT, 1, 0);
	sys_munmap(AT, SPAN);
	map_at(AT, 2 * HUGE, RW, MAP_PRIVATE | MAP_POPULATE);
	show("populated");
	sys_munmap(AT, SPAN);
	map_at(AT, 2 * HUGE, PROT_READ, MAP_PRIVATE | MAP_POPULATE);
	show("populated, read-only");
}

/* ---- fork ------------------------------------------------------------------------------------- */

static void child_looks(long addr)
{
	(void)addr;
	show("the child");
	check(AT, PAGES, 1000);
	put(AT + 3 * PAGE_SIZE, 42);
	show("the child has written");
	print("%ld\n", get(AT + 3 * PAGE_SIZE));
	put(AT + 4 * PAGE_SIZE, 43);
	show("and again");
	sys_munmap(AT + 8 * PAGE_SIZE, PAGE_SIZE);
	show("and unmapped a page");
}
static void child_drops(long addr)
{
	T(sys_munmap(AT, HUGE));
	show("the child has none");
	exit((int)addr);
}
static void child_keeps(long addr)
{
	exit(get(addr) == 1000 ? 7 : 8);
}
static void child_collapses(long addr)
{
	T(advise(AT, HUGE, MADV_COLLAPSE));
	show("the child: all shared");
	put(addr, 5);
	T(advise(AT, HUGE, MADV_COLLAPSE));
	show("one page of its own");
	check(AT + PAGE_SIZE, PAGES - 1, 1001);
}

static void forks(void)
{
	print("forks\n");
	area(1);
	fill(AT, PAGES, 1000);
	print("%ld\n", in_child(child_looks, 0));
	show("the parent");
	check(AT, PAGES, 1000);
	put(AT, 1000);
	show("the parent writes alone");
	print("%ld\n", in_child(child_drops, 3));
	put(AT, 1000);
	show("the parent writes");
	print("%ld\n", in_child(child_keeps, (long)AT));
	area(1);
	print("%ld\n", get(AT));
	print("%ld\n", in_child(touch, (long)AT));
	show("zeroes: the child has written");
	area(1);
	fill(AT, PAGES, 1);
	T(sys_munmap(AT + PAGE_SIZE, PAGE_SIZE));
	print("%ld\n", in_child(touch, (long)AT));
	show("mapped by small entries");
	put(AT, 1);
	check(AT, 1, 1);
	show("written");
}

/* ---- collapse --------------------------------------------------------------------------------- */

static void small_pages(unsigned long n, unsigned long pages)
{
	area(n);
	advise(AT, n * HUGE, MADV_NOHUGE);
	fill(AT, pages, 1000);
	advise(AT, n * HUGE, MADV_HUGE);
	deltas(false);
}

static void collapses(void)
{
	print("collapses\n");
	small_pages(2, 100);
	show("100 small pages");
	T(advise(AT, HUGE, MADV_COLLAPSE));
	show("collapsed");
	check(AT, 100, 1000);
	print("%ld\n", get((long)(AT + 100 * PAGE_SIZE)));
	T(advise(AT, HUGE, MADV_COLLAPSE));
	show("again");
	T(advise(AT, 2 * HUGE, MADV_COLLAPSE));
	show("with one that is empty");
	put(AT + HUGE + 7 * PAGE_SIZE, 7);
	T(advise(AT, 2 * HUGE, MADV_COLLAPSE));
	show("with one more");
	T(advise(AT + PAGE_SIZE, HUGE, MADV_COLLAPSE));
	T(advise(AT + 1, HUGE, MADV_COLLAPSE));
	T(advise(AT, 0, MADV_COLLAPSE));
	T(advise(AT, 4 * HUGE, MADV_COLLAPSE));
	T(advise(AT + 8 * HUGE, HUGE, MADV_COLLAPSE));

	small_pages(1, PAGES);
	T(advise(AT, HUGE, MADV_COLLAPSE));
	check(AT, PAGES, 1000);
	show("a full one");
	T(advise(AT + PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED));
	show("a page not needed");
	T(advise(AT, HUGE, MADV_COLLAPSE));
	print("%ld\n", get((long)(AT + PAGE_SIZE)));
	check(AT + 2 * PAGE_SIZE, PAGES - 2, 1002);
	show("collapsed once more");

	small_pages(1, 0);
	T(advise(AT, HUGE, MADV_COLLAPSE));
	area(1);
	T(advise(AT, HUGE, MADV_COLLAPSE));
	T(advise(AT, HUGE, MADV_NOHUGE));
	fill(AT, 2, 1);
	T(advise(AT, HUGE, MADV_COLLAPSE));
	show("advised against");
	small_pages(1, 9);
	T(sys_mprotect(AT, HUGE, PROT_READ));
	T(advise(AT, HUGE, MADV_COLLAPSE));
	show("read-only");
	T(sys_mprotect(AT, HUGE, 0));
	T(advise(AT, HUGE, MADV_COLLAPSE));
	show("no access");
	small_pages(1, 9);
	T(sys_mprotect(AT + 100 * PAGE_SIZE, PAGE_SIZE, PROT_READ));
	T(advise(AT, HUGE, MADV_COLLAPSE));
	show("three mappings");
	small_pages(1, 0);
	print("%ld\n", get(AT));
	put(AT + 20 * PAGE_SIZE, 3);
	T(advise(AT, HUGE, MADV_COLLAPSE));
	print("%ld %ld\n", get(AT), get(AT + 20 * PAGE_SIZE));
	show("zeroes and a page");
	small_pages(1, PAGES);
	print("%ld\n", in_child(child_collapses, (long)AT));
	check(AT, PAGES, 1000);
	T(advise(AT, HUGE, MADV_COLLAPSE));
	show("the parent");
	enable("never");
	small_pages(1, 10);
	T(advise(AT, HUGE, MADV_COLLAPSE));
	show("enabled or not");
	check(AT, 10, 1000);
	enable("always");
}

/* ---- prctl ------------------------------------------------------------------------------------ */

#define prctl(op, a, b) syscall6(SYS_prctl, op, a, b, 0, 0, 0)
static void child_disabled(long addr)
{
	T(prctl(42, 0, 0));
	area(1);
	put(addr, 1);
	show("the child's is small, too");
}

static void disabled(void)
{
	print("disabled\n");
	T(prctl(42, 0, 0));
	T(prctl(42, 1, 0));
	T(prctl(41, 1, 1));
	T(prctl(41, 1, 0));
	T(prctl(42, 0, 0));
	area(1);
	T(advise(AT, HUGE, MADV_HUGE));
	put(AT, 1);
	show("small");
	T(advise(AT, HUGE, MADV_COLLAPSE));
	read_file("/proc/self/status");
	lines("THP_enabled");
	print("%ld\n", in_child(child_disabled, (long)AT));
	T(prctl(41, 0, 0));
	area(1);
	put(AT, 1);
	show("huge");
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	settings();
	faults();
	when_enabled();
	parts();
	moves();
	locks();
	forks();
	collapses();
	disabled();
	sys_munmap(AT, SPAN);
	print("end of the cases\n");
	return 0;
}
