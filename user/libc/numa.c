/*
 * System calls about NUMA policies as Linux answers them: a transcript to compare.
 *
 *    numa
 *
 * Runs unchanged on Linux 6.1 with two nodes (numa=fake=2) and on guestmm with two nodes; CPU 0 is on node 0.
 * Printed are errors, policies, and on which nodes pages are that a policy has placed.
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

enum { DEFAULT, PREFERRED, BIND, INTERLEAVE, LOCAL, PREFERRED_MANY };
#define STATIC	 (1 << 15)
#define RELATIVE (1 << 14)
#define BALANCE	 (1 << 13)
#define F_NODE	 1
#define F_ADDR	 2
#define F_MEMS	 4
#define STRICT	 1
#define MOVE	 2
#define MOVE_ALL 4

static const char *result(long r)
{
	static char buf[2][32];
	static int which;
	char *p = buf[which ^= 1];

	if (r >= 0) {
		snprintf(p, sizeof(buf[0]), "%ld", r);
		return p;
	}
	switch (errno) {
#define E(name)    \
	case name: \
		return #name
		E(EPERM);
		E(ENOENT);
		E(ESRCH);
		E(EIO);
		E(ENODEV);
		E(EFAULT);
		E(EINVAL);
		E(EACCES);
		E(EBUSY);
		E(ENOMEM);
		E(ENOSYS);
		E(EOPNOTSUPP);
#undef E
	}
	snprintf(p, sizeof(buf[0]), "errno %d", errno);
	return p;
}

static long set_mempolicy(int mode, const unsigned long *nodes, unsigned long max)
{
	return syscall(SYS_set_mempolicy, mode, nodes, max);
}

static long get_mempolicy(int *mode, unsigned long *nodes, unsigned long max, const void *addr,
			  unsigned long flags)
{
	return syscall(SYS_get_mempolicy, mode, nodes, max, addr, flags);
}

static long mbind(const void *addr, unsigned long len, int mode, const unsigned long *nodes,
		  unsigned long max, unsigned int flags)
{
	return syscall(SYS_mbind, addr, len, mode, nodes, max, flags);
}

static long home_node(const void *addr, unsigned long len, unsigned long node, unsigned long flags)
{
	return syscall(450, addr, len, node, flags);
}

static char *map(unsigned long pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED)
		exit(3);
	return p;
}

static void touch(char *p, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		p[i * PAGE] = 1;
}

/* "0011": the node of each page; '.': none. */
static void nodes_of(const char *what, char *p, unsigned long pages)
{
	printf("%s: ", what);
	for (unsigned long i = 0; i < pages; i++) {
		void *at = p + i * PAGE;
		int status = -1;
		long r = syscall(SYS_move_pages, 0, 1ul, &at, NULL, &status, 0);

		if (r < 0)
			printf("[%s]", result(r));
		else if (status < 0)
			printf(status == -ENOENT ? "-" : status == -EFAULT ? "." : "?");
		else
			printf("%d", status);
	}
	printf("\n");
}

static void show_policy(const char *what, const void *addr, unsigned long flags)
{
	unsigned long nodes[2] = {~0ul, ~0ul};
	int mode = -1;
	long r = get_mempolicy(&mode, nodes, 128, addr, flags);

	if (r < 0)
		printf("%s: %s\n", what, result(r));
	else
		printf("%s: mode %#x nodes %#lx %#lx\n", what, mode, nodes[0], nodes[1]);
}

static void try_set(int mode, unsigned long nodes, unsigned long max)
{
	long r = set_mempolicy(mode, &nodes, max);

	printf("set_mempolicy(%#x, %#lx, %lu) = %s\n", mode, nodes, max, result(r));
	show_policy("  now", NULL, 0);
}

static void thread_policies(void)
{
	static const int modes[] = {DEFAULT, PREFERRED,	     BIND, INTERLEAVE,
				    LOCAL,   PREFERRED_MANY, 17};
	static const int flags[] = {0,	     STATIC,	      RELATIVE, STATIC | RELATIVE,
				    BALANCE, BALANCE | STATIC};
	static const unsigned long sets[] = {0, 1, 2, 3, 4, 5, 6, 1ul << 40};
	static char page[2 * PAGE];

	printf("== thread\n");
	for (unsigned int m = 0; m < sizeof(modes) / sizeof(*modes); m++)
		for (unsigned int f = 0; f < sizeof(flags) / sizeof(*flags); f++)
			for (unsigned int s = 0; s < sizeof(sets) / sizeof(*sets); s++)
				try_set(modes[m] | flags[f], sets[s], 64);
	for (unsigned long max = 0; max < 4; max++)
		try_set(BIND, 3, max);
	try_set(BIND, 3, 65);
	try_set(BIND | 1 << 20, 1, 64);
	printf("no set: %s\n", result(set_mempolicy(BIND, NULL, 64)));
	printf("no set, default: %s\n", result(set_mempolicy(DEFAULT, NULL, 64)));
	printf("no set, local: %s\n", result(set_mempolicy(LOCAL, NULL, 0)));
	printf("bad set: %s\n", result(set_mempolicy(BIND, (void *)1, 64)));
	memset(page, 0, sizeof(page));
	page[0] = 1;
	printf("long set: %s\n", result(set_mempolicy(BIND, (void *)page, 8193)));
	printf("longest set: %s\n", result(set_mempolicy(BIND, (void *)page, 32769)));
	printf("too long a set: %s\n", result(set_mempolicy(BIND, (void *)page, 32770)));
	page[200] = 1;
	printf("a node beyond all: %s\n", result(set_mempolicy(BIND, (void *)page, 8193)));
	page[200] = 0;
	page[100] = 1;
	printf("a node within: %s\n", result(set_mempolicy(BIND, (void *)page, 8193)));
	set_mempolicy(DEFAULT, NULL, 0);
}

static void asking(void)
{
	unsigned long nodes[2] = {~0ul, ~0ul}, two = 3;
	char *p = map(4);
	int mode;

	printf("== get\n");
	show_policy("default", NULL, 0);
	show_policy("allowed", NULL, F_MEMS);
	show_policy("allowed, node", NULL, F_MEMS | F_NODE);
	show_policy("allowed, addr", NULL, F_MEMS | F_ADDR);
	show_policy("unknown flag", NULL, 8);
	show_policy("address without flag", p, 0);
	show_policy("vma", p, F_ADDR);
	show_policy("no vma", (void *)PAGE, F_ADDR);
	show_policy("node of the default", NULL, F_NODE);
	show_policy("node of a page", p, F_ADDR | F_NODE);
	for (unsigned long max = 0; max < 4; max++)
		printf("max %lu: %s %lx\n", max,
		       result(get_mempolicy(&mode, nodes, max, NULL, F_MEMS)), nodes[0]);
	printf("bad mode: %s\n", result(get_mempolicy((int *)1, NULL, 0, NULL, 0)));
	printf("bad set: %s\n", result(get_mempolicy(&mode, (void *)1, 64, NULL, 0)));
	printf("too long: %s\n", result(get_mempolicy(&mode, nodes, 40000, NULL, 0)));
	printf("nothing: %s\n", result(get_mempolicy(NULL, NULL, 0, NULL, 0)));
	set_mempolicy(INTERLEAVE, &two, 64);
	show_policy("interleave", NULL, 0);
	show_policy("vma under interleave", p, F_ADDR);
	set_mempolicy(DEFAULT, NULL, 0);
	munmap(p, 4 * PAGE);
}

static void placing(void)
{
	static const struct {
		const char *name;
		int mode;
		unsigned long nodes;
	} cases[] = {{"bind 0", BIND, 1},
		     {"bind 1", BIND, 2},
		     {"prefer 1", PREFERRED, 2},
		     {"local", LOCAL, 0},
		     {"many 1", PREFERRED_MANY, 2},
		     {"interleave 1", INTERLEAVE, 2},
		     {"static 1", BIND | STATIC, 6},
		     {"relative 3", BIND | RELATIVE, 8}};

	printf("== place\n");
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *p = map(8);

		printf("%s: %s\n", cases[i].name,
		       result(set_mempolicy(cases[i].mode, &cases[i].nodes, 64)));
		touch(p, 8);
		nodes_of("  thread", p, 8);
		set_mempolicy(DEFAULT, NULL, 0);
		munmap(p, 8 * PAGE);
		p = map(8);
		printf("%s: %s\n", cases[i].name,
		       result(mbind(p, 8 * PAGE, cases[i].mode, &cases[i].nodes, 64, 0)));
		show_policy("  vma", p, F_ADDR);
		nodes_of("  untouched", p, 2);
		touch(p, 8);
		nodes_of("  vma", p, 8);
		munmap(p, 8 * PAGE);
	}
}

static void binding(void)
{
	static const unsigned long n0 = 1, n1 = 2, both = 3, none = 0, far = 4;
	char *p = map(8), *hole = map(12);
	static const unsigned int flags[] = {
		0, STRICT, MOVE, MOVE | STRICT, MOVE_ALL, MOVE_ALL | STRICT, 8, 16};

	printf("== mbind\n");
	set_mempolicy(BIND, &n0, 64);
	touch(p, 8);
	nodes_of("start", p, 8);
	for (unsigned int f = 0; f < sizeof(flags) / sizeof(*flags); f++) {
		printf("to 1, flags %u: %s\n", flags[f],
		       result(mbind(p, 8 * PAGE, BIND, &n1, 64, flags[f])));
		nodes_of("  pages", p, 8);
		show_policy("  policy", p, F_ADDR);
		printf("back: %s\n", result(mbind(p, 8 * PAGE, BIND, &n0, 64, MOVE)));
		nodes_of("  pages", p, 8);
	}
	printf("a part: %s\n", result(mbind(p + 2 * PAGE, 3 * PAGE, BIND, &n1, 64, MOVE | STRICT)));
	nodes_of("  pages", p, 8);
	show_policy("  before", p + PAGE, F_ADDR);
	show_policy("  within", p + 4 * PAGE, F_ADDR);
	show_policy("  after", p + 5 * PAGE, F_ADDR);
	printf("strict over both: %s\n", result(mbind(p, 8 * PAGE, BIND, &n0, 64, STRICT)));
	printf("strict, both allowed: %s\n", result(mbind(p, 8 * PAGE, BIND, &both, 64, STRICT)));
	printf("default, strict, move: %s\n",
	       result(mbind(p, 8 * PAGE, DEFAULT, NULL, 0, STRICT | MOVE)));
	show_policy("  policy", p, F_ADDR);
	printf("default with a set: %s\n", result(mbind(p, 8 * PAGE, DEFAULT, &n0, 64, 0)));
	printf("empty set: %s\n", result(mbind(p, 8 * PAGE, BIND, &none, 64, 0)));
	printf("no such node: %s\n", result(mbind(p, 8 * PAGE, BIND, &far, 64, 0)));
	printf("odd address: %s\n", result(mbind(p + 1, PAGE, BIND, &n0, 64, 0)));
	printf("odd length: %s\n", result(mbind(p, 1, BIND, &n0, 64, 0)));
	show_policy("  one page", p, F_ADDR);
	show_policy("  next page", p + PAGE, F_ADDR);
	printf("nothing: %s\n", result(mbind(p, 0, BIND, &n0, 64, 0)));
	printf("wraps: %s\n", result(mbind(p, -PAGE * 2, BIND, &n0, 64, 0)));
	printf("unmapped: %s\n", result(mbind((void *)PAGE, PAGE, BIND, &n0, 64, 0)));
	printf("unmapped, default: %s\n", result(mbind((void *)PAGE, PAGE, DEFAULT, NULL, 0, 0)));
	munmap(hole + 4 * PAGE, 4 * PAGE);
	printf("hole: %s\n", result(mbind(hole, 12 * PAGE, BIND, &n0, 64, 0)));
	show_policy("  before", hole, F_ADDR);
	printf("hole, strict: %s\n", result(mbind(hole, 12 * PAGE, BIND, &n0, 64, STRICT)));
	printf("hole at the start: %s\n",
	       result(mbind(hole + 4 * PAGE, 8 * PAGE, BIND, &n0, 64, 0)));
	printf("hole at the end: %s\n", result(mbind(hole, 6 * PAGE, BIND, &n0, 64, 0)));
	printf("hole, default: %s\n", result(mbind(hole, 12 * PAGE, DEFAULT, NULL, 0, 0)));
	printf("locked: %s", result(mbind(p, 8 * PAGE, BIND, &n0, 64, MOVE)));
	printf(" %s", result(mlock(p, 8 * PAGE)));
	printf(" %s\n", result(mbind(p, 8 * PAGE, BIND, &n1, 64, MOVE | STRICT)));
	nodes_of("  pages", p, 8);
	set_mempolicy(DEFAULT, NULL, 0);
	munmap(p, 8 * PAGE);
	munmap(hole, 4 * PAGE);
	munmap(hole + 8 * PAGE, 4 * PAGE);

	p = map(8);
	printf("interleave: %s\n", result(mbind(p, 8 * PAGE, INTERLEAVE, &both, 64, 0)));
	touch(p, 8);
	/* Which node is first depends on the address. */
	{
		int first = -1, second = -1;
		void *at = p;

		syscall(SYS_move_pages, 0, 1ul, &at, NULL, &first, 0);
		for (int i = 1; i < 8; i++) {
			at = p + i * PAGE;
			syscall(SYS_move_pages, 0, 1ul, &at, NULL, &second, 0);
			printf("%c", second == first ? 's' : 'o');
		}
		printf("\n");
	}
	munmap(p, 8 * PAGE);
}

static void homes(void)
{
	static const unsigned long n1 = 2, both = 3;
	char *p = map(8);

	printf("== home\n");
	printf("no policy: %s\n", result(home_node(p, 8 * PAGE, 1, 0)));
	mbind(p, 8 * PAGE, BIND, &both, 64, 0);
	printf("bind: %s\n", result(home_node(p, 8 * PAGE, 1, 0)));
	touch(p, 4);
	nodes_of("  pages", p, 4);
	printf("flags: %s\n", result(home_node(p, 8 * PAGE, 1, 1)));
	printf("odd: %s\n", result(home_node(p + 1, 8 * PAGE, 1, 0)));
	printf("node 7: %s\n", result(home_node(p, 8 * PAGE, 7, 0)));
	printf("node 5000: %s\n", result(home_node(p, 8 * PAGE, 5000, 0)));
	printf("nothing: %s\n", result(home_node(p, 0, 1, 0)));
	printf("wraps: %s\n", result(home_node(p, -PAGE * 2, 1, 0)));
	printf("unmapped: %s\n", result(home_node((void *)PAGE, PAGE, 1, 0)));
	mbind(p, 8 * PAGE, PREFERRED_MANY, &both, 64, 0);
	printf("many: %s\n", result(home_node(p, 8 * PAGE, 0, 0)));
	mbind(p + 4 * PAGE, 4 * PAGE, PREFERRED, &n1, 64, 0);
	printf("preferred: %s\n", result(home_node(p, 8 * PAGE, 1, 0)));
	munmap(p, 8 * PAGE);
}

static void moving(void)
{
	static const unsigned long n0 = 1, n1 = 2, both = 3, none = 0, far = 4;
	void *at[6];
	int nodes[6], status[6];
	char *p = map(8), *ro;
	pid_t child;
	int ws;

	printf("== move\n");
	set_mempolicy(BIND, &n0, 64);
	touch(p, 4);
	ro = map(2);
	(void)*(volatile char *)ro; /* the zero page */
	at[0] = p;
	at[1] = p + PAGE;
	at[2] = p + 5 * PAGE; /* untouched */
	at[3] = ro;
	at[4] = (void *)PAGE; /* unmapped */
	at[5] = p + 2 * PAGE + 77;
	for (int i = 0; i < 6; i++)
		nodes[i] = 1;
#define TRY(what, pid, n, pg, nd, st, fl)                                              \
	do {                                                                           \
		long r_;                                                               \
		for (int i = 0; i < 6; i++)                                            \
			status[i] = 99;                                                \
		r_ = syscall(SYS_move_pages, pid, (unsigned long)(n), pg, nd, st, fl); \
		printf("%s: %s", what, result(r_));                                    \
		for (int i = 0; i < 6; i++)                                            \
			printf(" %d", status[i]);                                      \
		printf("\n");                                                          \
	} while (0)
	TRY("ask", 0, 6, at, NULL, status, 0);
	TRY("to 1", 0, 6, at, nodes, status, MOVE);
	TRY("again", 0, 6, at, nodes, status, MOVE);
	nodes[0] = nodes[5] = 0;
	TRY("both ways", 0, 6, at, nodes, status, MOVE);
	nodes[1] = 7;
	TRY("no such node", 0, 6, at, nodes, status, MOVE);
	nodes[1] = -1;
	TRY("negative", 0, 6, at, nodes, status, MOVE);
	nodes[1] = 1;
	TRY("flags", 0, 6, at, nodes, status, 8);
	TRY("strict", 0, 6, at, nodes, status, STRICT);
	TRY("no flags", 0, 2, at, nodes, status, 0);
	TRY("nothing", 0, 0, at, nodes, status, MOVE);
	TRY("nobody", 99999, 1, at, nodes, status, MOVE);
	TRY("bad pages", 0, 1, (void *)1, nodes, status, MOVE);
	TRY("bad nodes", 0, 1, at, (void *)1, status, MOVE);
	TRY("bad status", 0, 1, at, nodes, (void *)1, MOVE);
	nodes[0] = 1;
	child = fork();
	if (!child) {
		for (;;)
			pause();
	}
	TRY("shared", 0, 1, at, nodes, status, MOVE);
	TRY("shared, all", 0, 1, at, nodes, status, MOVE_ALL);
	nodes[0] = 0;
	TRY("the child's", child, 1, at, nodes, status, MOVE_ALL);
	printf("== migrate\n");
	printf("the child's: %s\n", result(syscall(SYS_migrate_pages, child, 64ul, &n0, &n1)));
	kill(child, 9);
	waitpid(child, &ws, 0);
	nodes_of("  pages", p, 4);
	printf("to 0: %s\n", result(syscall(SYS_migrate_pages, 0, 64ul, &n1, &n0)));
	nodes_of("  pages", p, 4);
	printf("same: %s\n", result(syscall(SYS_migrate_pages, 0, 64ul, &both, &both)));
	nodes_of("  pages", p, 4);
	printf("to none: %s\n", result(syscall(SYS_migrate_pages, 0, 64ul, &n1, &none)));
	printf("from none: %s\n", result(syscall(SYS_migrate_pages, 0, 64ul, &none, &n1)));
	printf("to a missing one: %s\n", result(syscall(SYS_migrate_pages, 0, 64ul, &n1, &far)));
	printf("from a missing one: %s\n", result(syscall(SYS_migrate_pages, 0, 64ul, &far, &n1)));
	printf("nobody: %s\n", result(syscall(SYS_migrate_pages, 99999, 64ul, &n1, &n0)));
	printf("bad set: %s\n", result(syscall(SYS_migrate_pages, 0, 64ul, 1ul, &n0)));
	set_mempolicy(DEFAULT, NULL, 0);
	munmap(p, 8 * PAGE);
	munmap(ro, 2 * PAGE);
}

/* The line of numa_maps for an address, without the address. */
static void maps_line(const char *what, const void *p)
{
	char line[512], key[32];
	FILE *f = fopen("/proc/self/numa_maps", "r");

	snprintf(key, sizeof(key), "%08lx ", (unsigned long)p);
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			printf("%s: %s", what, line + strlen(key));
	if (f)
		fclose(f);
	else
		printf("%s: no numa_maps\n", what);
}

static void maps(void)
{
	static const unsigned long n0 = 1, n1 = 2, both = 3;
	static const struct {
		int mode;
		const unsigned long *nodes;
	} cases[] = {{DEFAULT, NULL},	     {BIND, &n1},
		     {BIND | STATIC, &both}, {BIND | RELATIVE, &n0},
		     {PREFERRED, &n1},	     {INTERLEAVE, &n1},
		     {LOCAL, NULL},	     {PREFERRED_MANY, &both}};

	printf("== numa_maps\n");
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *p = map(4);

		mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC); /* by itself */
		printf("%s\n", result(mbind(p, 4 * PAGE, cases[i].mode, cases[i].nodes,
					    cases[i].nodes ? 64 : 0, 0)));
		maps_line("  empty", p);
		if (cases[i].mode != LOCAL && cases[i].mode != DEFAULT) {
			touch(p, 3);
			maps_line("  touched", p);
		}
		munmap(p, 4 * PAGE);
	}
}

static void show_file(const char *path)
{
	char buf[256];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n >= 0)
		buf[n] = 0;
	printf("%s: %s%s", path, n < 0 ? result(n) : buf, n < 0 ? "\n" : "");
	if (fd >= 0)
		close(fd);
}

static void files(void)
{
	printf("== files\n");
	show_file("/sys/devices/system/node/online");
	show_file("/sys/devices/system/node/has_memory");
	show_file("/sys/devices/system/node/node0/cpulist");
}

int main(void)
{
	unsigned int cpu = 9, node = 9;

	setvbuf(stdout, NULL, _IOLBF, 0);
	syscall(SYS_getcpu, &cpu, &node, NULL);
	printf("== start\ncpu %u node %u\n", cpu, node);
	thread_policies();
	asking();
	placing();
	binding();
	homes();
	moving();
	maps();
	files();
	printf("== end\n");
	return 0;
}
