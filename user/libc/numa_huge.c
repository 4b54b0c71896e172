/*
 * Huge pages that move between nodes, as Linux moves them: a transcript to compare.
 *
 *    numa_huge
 *
 * Runs unchanged on Linux 6.1 with two nodes (numa=fake=2) and on guestmm with two nodes. After each step it prints
 * on which nodes the first and the last page are, how much of the memory huge pages map, and by how much the
 * counters have risen.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define HUGE 0x200000ul
#define AT   ((char *)0x100000000000)

enum { DEFAULT, PREFERRED, BIND, INTERLEAVE };
#define STRICT	 1
#define MOVE	 2
#define MOVE_ALL 4
#define DIR	 "/sys/kernel/mm/transparent_hugepage/"

static const char *result(long r)
{
	static char buf[32];

	if (r >= 0)
		snprintf(buf, sizeof(buf), "%ld", r);
	else
		snprintf(buf, sizeof(buf), "errno %d", errno);
	return buf;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("%s: %s\n", path, result(-1));
	close(fd);
}

/* ---- what is seen ----------------------------------------------------------------------------- */

static const char *const counter[] = {
	"thp_migration_success", "thp_migration_fail", "thp_migration_split", "pgmigrate_success",
	"pgmigrate_fail",	 "thp_split_page",     "thp_split_pmd"};
#define NR (sizeof(counter) / sizeof(counter[0]))
static long before[NR];

static void deltas(int print)
{
	FILE *f = fopen("/proc/vmstat", "r");
	char name[64];
	long value;

	while (f && fscanf(f, "%63s %ld", name, &value) == 2)
		for (unsigned int i = 0; i < NR; i++)
			if (!strcmp(name, counter[i])) {
				if (print && value != before[i])
					printf(" %s +%ld", name, value - before[i]);
				before[i] = value;
			}
	if (f)
		fclose(f);
}

static long smaps(const char *field)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[256], want[64];
	long sum = 0, value;
	int in = 0;

	snprintf(want, sizeof(want), "%s: %%ld", field);
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			in = start >= (unsigned long)AT && end <= (unsigned long)AT + 16 * HUGE;
		else if (in && sscanf(line, want, &value) == 1)
			sum += value;
	}
	if (f)
		fclose(f);
	return sum;
}

static int node_of(char *p)
{
	void *at = p;
	int status = 99;

	if (syscall(SYS_move_pages, 0, 1ul, &at, NULL, &status, 0) < 0)
		return 98;
	return status;
}

static void show(const char *what)
{
	printf("  %s: nodes %d %d huge %ld", what, node_of(AT), node_of(AT + HUGE - PAGE),
	       smaps("AnonHugePages") + smaps("ShmemPmdMapped"));
	deltas(1);
	printf("\n");
	deltas(0);
}

/* ---- steps ------------------------------------------------------------------------------------ */

static void fill(unsigned long n)
{
	for (unsigned long i = 0; i < n / PAGE; i++)
		*(unsigned long *)(AT + i * PAGE) = 77 + i;
}

static void check(unsigned long n)
{
	unsigned long wrong = 0;

	for (unsigned long i = 0; i < n / PAGE; i++)
		wrong += *(unsigned long *)(AT + i * PAGE) != 77 + i;
	printf("  %lu wrong\n", wrong);
}

static long mbind(char *p, unsigned long len, int mode, unsigned long nodes, int flags)
{
	return syscall(SYS_mbind, p, len, mode, nodes ? &nodes : NULL, 64ul, flags);
}

/* n huge pages at AT, on node 0. */
static void area(const char *what, unsigned long n, int flags)
{
	munmap(AT, 16 * HUGE);
	printf("%s\n", what);
	if (mmap(AT, n * HUGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	    AT)
		exit(3);
	madvise(AT, n * HUGE, MADV_HUGEPAGE);
	mbind(AT, n * HUGE, BIND, 1, 0);
	fill(n * HUGE);
	mbind(AT, n * HUGE, DEFAULT, 0, 0);
	deltas(0);
}

static void move(const char *what, int pid, int n, const unsigned long *page, int node, int flags)
{
	int nodes[8], status[8];
	void *at[8];
	long r;

	for (int i = 0; i < n; i++) {
		at[i] = AT + page[i] * PAGE;
		nodes[i] = node;
		status[i] = 99;
	}
	r = syscall(SYS_move_pages, pid, (long)n, at, nodes, status, flags);
	printf("  %s: %s:", what, result(r));
	for (int i = 0; i < n; i++)
		printf(" %d", status[i]);
	printf("\n");
}

static void by_move_pages(int flags)
{
	static const unsigned long one[] = {3}, several[] = {0, 1, 2, 3, 511}, two[] = {5, 512 + 5};

	area(flags & MAP_SHARED ? "move_pages, shared memory" : "move_pages", 2, flags);
	show("before");
	move("one of its pages", 0, 1, one, 1, MOVE);
	show("moved");
	move("several", 0, 5, several, 0, MOVE);
	show("moved back");
	move("two huge pages", 0, 2, two, 1, MOVE);
	show("moved");
	move("where they are", 0, 2, two, 1, MOVE);
	show("not moved");
	check(2 * HUGE);
}

static void by_migrate_pages(void)
{
	unsigned long from = 1, to = 2;

	area("migrate_pages", 2, MAP_PRIVATE);
	printf("  %s\n", result(syscall(SYS_migrate_pages, 0, 64ul, &from, &to)));
	printf("  nodes %d %d huge %ld\n", node_of(AT), node_of(AT + HUGE), smaps("AnonHugePages"));
	printf("  %s\n", result(syscall(SYS_migrate_pages, 0, 64ul, &to, &from)));
	printf("  nodes %d %d huge %ld\n", node_of(AT), node_of(AT + HUGE), smaps("AnonHugePages"));
	deltas(0);
	check(2 * HUGE);
}

static void by_mbind(int flags)
{
	area(flags & MAP_SHARED ? "mbind, shared memory" : "mbind", 1, flags);
	printf("  %s\n", result(mbind(AT, HUGE, BIND, 2, MOVE | STRICT)));
	show("all of it");
	printf("  %s\n", result(mbind(AT, HUGE, DEFAULT, 0, 0)));
	printf("  %s\n", result(mbind(AT, HUGE, BIND, 1, STRICT)));
	show("asked only");
	printf("  %s\n", result(mbind(AT, HUGE, BIND, 1, MOVE)));
	show("back");
	check(HUGE);
	printf("  %s\n", result(mbind(AT + 16 * PAGE, 16 * PAGE, BIND, 2, MOVE)));
	/* Linux does not split the PMD of a file but drops it: reading maps the pages again. */
	(void)*(volatile char *)AT;
	(void)*(volatile char *)(AT + HUGE - PAGE);
	show("a part of it");
	check(HUGE);
}

/* One page read-only: PTEs map the huge page. */
static void mapped_by_ptes(void)
{
	static const unsigned long page[] = {9};

	area("mapped by PTEs", 1, MAP_PRIVATE);
	mprotect(AT + PAGE, PAGE, PROT_READ);
	show("protected");
	move("one of its pages", 0, 1, page, 1, MOVE);
	show("moved");
	check(HUGE);
}

static void what_others_use(void)
{
	static const unsigned long page[] = {9};
	int go[2], c = 0, status;
	pid_t child;

	area("shared with a child", 1, MAP_PRIVATE);
	if (pipe(go))
		exit(3);
	child = fork();
	if (!child) {
		if (read(go[0], &c, 1) < 0)
			_exit(1);
		check(HUGE);
		fflush(stdout);
		_exit(0);
	}
	move("what is ours alone", 0, 1, page, 1, MOVE);
	show("not moved");
	move("all", 0, 1, page, 1, MOVE_ALL);
	show("moved");
	printf("  %s\n", result(mbind(AT, HUGE, BIND, 1, MOVE)));
	show("bind, not moved");
	printf("  %s\n", result(mbind(AT, HUGE, BIND, 1, MOVE_ALL)));
	show("bind, moved");
	fflush(stdout);
	if (write(go[1], &c, 1) != 1)
		exit(3);
	waitpid(child, &status, 0);
	close(go[0]);
	close(go[1]);
	deltas(0);
	check(HUGE);
	move("ours again", 0, 1, page, 1, MOVE);
	show("moved");
}

static void nothing_is_there(void)
{
	static const unsigned long page[] = {0, 9};

	munmap(AT, 16 * HUGE);
	printf("the huge zero page\n");
	if (mmap(AT, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) != AT)
		exit(3);
	madvise(AT, HUGE, MADV_HUGEPAGE);
	deltas(0);
	printf("  %d\n", AT[5]);
	move("zeroes", 0, 2, page, 1, MOVE);
	show("not moved");
	printf("  %s\n", result(mbind(AT, HUGE, BIND, 2, MOVE | STRICT)));
	show("nor by mbind");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	write_file("/proc/sys/kernel/numa_balancing", "0"); /* its hints hide pages */
	write_file(DIR "enabled", "madvise");
	write_file(DIR "use_zero_page", "1"); /* off on Linux with less than 512 MiB */
	write_file(DIR "shmem_enabled", "advise");
	write_file(DIR "khugepaged/scan_sleep_millisecs", "4294967295");
	printf("== huge start\n");
	by_move_pages(MAP_PRIVATE);
	by_move_pages(MAP_SHARED);
	by_migrate_pages();
	by_mbind(MAP_PRIVATE);
	by_mbind(MAP_SHARED);
	mapped_by_ptes();
	what_others_use();
	nothing_is_there();
	printf("== huge end\n");
	return 0;
}
