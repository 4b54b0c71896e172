/*
 * Stress of memory cgroups and nodes with programs of many kinds. At the end nothing may be left of them.
 *
 *    groupstress [--rounds N] [--workers N] [--steps N] [--random S] [--kinds MASK] [--disturb MASK]
 *
 * A round makes a tree of groups and starts workers in them: anonymous memory that is verified,
 * shared memory, forks, policies and moves between nodes, kernel objects, huge pages, a hog that its
 * group's limit ends. While they run, limits change, workers move between groups, groups are
 * reclaimed and read, and balancing, demotion and compaction are switched. When all have ended, it
 * must be possible to remove each group, and the machine's counts must be the same as before.
 *
 * The first round is a warm-up, after which caches of the kernel may keep memory. From then on processes,
 * Mapped, Shmem, KernelStack and AnonHugePages may not change at all. AnonPages, Committed_AS and
 * swap may differ by 64 KiB, which this program itself may come to use; groups by one tree, because a
 * page that this program shares with a worker after fork can be the worker's group's (as on Linux);
 * slab, page tables and free memory by SLACK_KB. All of that in sum, however many rounds there are.
 *
 * Needs root and cgroup2. Exit status: 0; 1 something was wrong (and it says what); 2 usage.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOP	    "/sys/fs/cgroup"
#define PAGE	    4096ul
#define WORDS	    (PAGE / sizeof(uint64_t))
#define MAX_WORKERS 32
#define SLACK_KB    1024l
#define MPOL_MOVE   2ul /* MPOL_MF_MOVE */

/* Parents before children. Workers are in the leaves alone, as the memory controller demands. */
static const char *const groups[] = {"one", "one/a", "one/b", "one/b/c", "one/b/d", "two", "three"};
#define NR_GROUPS (sizeof(groups) / sizeof(groups[0]))
static const char *const leaves[] = {"one/a", "one/b/c", "one/b/d", "two", "three"};
#define NR_LEAVES (sizeof(leaves) / sizeof(leaves[0]))

static unsigned long rounds = 3, workers = 10, steps = 60, seed = 1;
/* Which of them, as bits; for finding out what is at fault. */
static unsigned long kinds_wanted = ~0ul, disturbances = ~0ul;
static uint64_t state;

/* xorshift */
static unsigned long pick(unsigned long n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned long)(state >> 11) % n;
}

static const char *path(const char *group, const char *file)
{
	static char buf[256];

	snprintf(buf, sizeof(buf), TOP "/%s/%s", group, file);
	return buf;
}

/* 0 or errno. */
static int put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

static ssize_t get(const char *file, char *buf, size_t size)
{
	int fd = open(file, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n;
}

static void sleep_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* ---- workers ----------------------------------------------------------------------------------- */

/* Data that is not what was written: the round, and the program, has failed. */
static void wrong(const char *what, unsigned long page)
{
	fprintf(stderr, "groupstress: %s: page %lu has wrong data\n", what, page);
	_exit(1);
}

static uint64_t word_of(unsigned long page, unsigned long version)
{
	return (page + 1) * 0x9e3779b97f4a7c15ull + version;
}

/* A region that knows what is in each of its pages. */
struct region {
	volatile uint64_t *at;
	unsigned long pages;
	uint8_t version[1024]; /* 0: reads as zeroes */
};

static int region_map(struct region *r, unsigned long pages, int flags, int fd)
{
	r->pages = pages;
	memset(r->version, 0, sizeof(r->version));
	r->at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
	return r->at == MAP_FAILED ? -1 : 0;
}

static void region_write(struct region *r, unsigned long page)
{
	r->version[page] = (uint8_t)(r->version[page] % 255 + 1);
	r->at[page * WORDS] = word_of(page, r->version[page]);
	r->at[page * WORDS + WORDS - 1] = word_of(page, r->version[page]);
}

static void region_check(const struct region *r, unsigned long page, const char *what)
{
	uint64_t want = r->version[page] ? word_of(page, r->version[page]) : 0;

	if (r->at[page * WORDS] != want || r->at[page * WORDS + WORDS - 1] != want)
		wrong(what, page);
}

static void region_use(struct region *r, const char *what)
{
	unsigned long from = pick(r->pages), n = pick(64) + 1;

	for (unsigned long p = from; p < from + n && p < r->pages; p++) {
		if (pick(2))
			region_write(r, p);
		else
			region_check(r, p, what);
	}
}

static void region_unmap(struct region *r, const char *what)
{
	for (unsigned long p = 0; p < r->pages; p++)
		region_check(r, p, what);
	munmap((void *)(uintptr_t)r->at, r->pages * PAGE);
}

static void *page_at(const struct region *r, unsigned long page)
{
	return (void *)(uintptr_t)&r->at[page * WORDS];
}

static void anon(void)
{
	static const int advice[] = {MADV_PAGEOUT, MADV_COLD, MADV_WILLNEED, MADV_MERGEABLE,
				     MADV_UNMERGEABLE};
	struct region r;

	if (region_map(&r, 600, MAP_PRIVATE | MAP_ANONYMOUS, -1))
		return;
	for (unsigned long i = 0; i < steps; i++) {
		unsigned long p = pick(r.pages - 32);

		region_use(&r, "anon");
		if (!pick(4))
			madvise(page_at(&r, p), 32 * PAGE, advice[pick(5)]);
		if (!pick(8) && !madvise(page_at(&r, p), 16 * PAGE, MADV_DONTNEED))
			memset(&r.version[p], 0, 16);
	}
	region_unmap(&r, "anon");
}

static void shared(void)
{
	int fd = memfd_create("groupstress", 0);
	struct region r;

	if (fd < 0 || ftruncate(fd, 500 * PAGE) || region_map(&r, 500, MAP_SHARED, fd))
		return;
	for (unsigned long i = 0; i < steps; i++) {
		unsigned long p = pick(r.pages - 16);
		uint64_t buf[WORDS];

		region_use(&r, "shared");
		if (!pick(6) && !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					   (off_t)(p * PAGE), 16 * PAGE))
			memset(&r.version[p], 0, 16);
		if (pread(fd, buf, PAGE, (off_t)(p * PAGE)) == (ssize_t)PAGE &&
		    buf[0] != (r.version[p] ? word_of(p, r.version[p]) : 0))
			wrong("pread", p);
		if (!pick(6))
			madvise(page_at(&r, p), 16 * PAGE, MADV_PAGEOUT);
	}
	region_unmap(&r, "shared");
	close(fd);
}

static void forks(void)
{
	struct region r;

	if (region_map(&r, 200, MAP_PRIVATE | MAP_ANONYMOUS, -1))
		return;
	for (unsigned long i = 0; i < steps / 4; i++) {
		pid_t pid;
		int status;

		region_use(&r, "forks");
		pid = fork();
		if (!pid) {
			for (int n = 0; n < 4; n++)
				region_use(&r, "child");
			region_unmap(&r, "child");
			_exit(0);
		}
		if (pid < 0)
			continue;
		region_use(&r, "parent");
		if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status))
			_exit(1);
	}
	region_unmap(&r, "forks");
}

/* Policies and moves; on a machine with one node they are errors, which do not matter here. */
static void nodes(void)
{
	struct region r;

	if (region_map(&r, 400, MAP_PRIVATE | MAP_ANONYMOUS, -1))
		return;
	for (unsigned long i = 0; i < steps; i++) {
		unsigned long p = pick(r.pages - 64), mask = 1ul << pick(2), other = 3 ^ mask;
		void *page[8];
		int node[8], status[8];

		region_use(&r, "nodes");
		switch (pick(5)) {
		case 0:
			syscall(SYS_mbind, page_at(&r, p), 64 * PAGE, pick(4), &mask, 8, MPOL_MOVE);
			break;
		case 1:
			syscall(SYS_migrate_pages, 0, 8, &mask, &other);
			break;
		case 2:
			syscall(SYS_set_mempolicy, pick(4), &mask, 8);
			break;
		case 3:
			for (int n = 0; n < 8; n++) {
				page[n] = page_at(&r, p + (unsigned long)n);
				node[n] = (int)pick(2);
			}
			syscall(SYS_move_pages, 0, 8ul, page, node, status, MPOL_MOVE);
			break;
		default: {
			cpu_set_t set;

			CPU_ZERO(&set);
			CPU_SET(pick(4), &set);
			sched_setaffinity(0, sizeof(set), &set);
		}
		}
	}
	region_unmap(&r, "nodes");
}

/* Objects of the kernel that are charged: descriptors, pipes, sockets, epoll, VMAs, page tables. */
static void objects(void)
{
	char buf[1024] = {0};

	for (unsigned long i = 0; i < steps / 4; i++) {
		int fd[8][2], ep = epoll_create1(0);
		struct epoll_event e = {.events = EPOLLIN};
		char *far = mmap(NULL, 1ul << 30, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		for (int n = 0; n < 8; n++) {
			if (n & 1 ? socketpair(AF_UNIX, SOCK_STREAM, 0, fd[n]) : pipe(fd[n])) {
				fd[n][0] = fd[n][1] = -1;
				continue;
			}
			epoll_ctl(ep, EPOLL_CTL_ADD, fd[n][0], &e);
			if (write(fd[n][1], buf, sizeof(buf)) != (ssize_t)sizeof(buf))
				continue;
			if (far != MAP_FAILED)
				far[pick(1ul << 30)] = 1;
		}
		for (int n = 0; n < 8; n++) {
			close(fd[n][0]);
			close(fd[n][1]);
		}
		close(ep);
		if (far != MAP_FAILED)
			munmap(far, 1ul << 30);
	}
}

static void huge(void)
{
	struct region r;

	/* 4 MiB hold at least one aligned huge page. */
	if (region_map(&r, 1024, MAP_PRIVATE | MAP_ANONYMOUS, -1))
		return;
	madvise(page_at(&r, 0), r.pages * PAGE, MADV_HUGEPAGE);
	for (unsigned long i = 0; i < steps / 2; i++) {
		unsigned long p = pick(r.pages - 8);

		region_use(&r, "huge");
		if (!pick(8) && !madvise(page_at(&r, p), 8 * PAGE, MADV_DONTNEED))
			memset(&r.version[p], 0, 8);
		if (!pick(16))
			madvise(page_at(&r, p), 8 * PAGE, MADV_PAGEOUT);
	}
	region_unmap(&r, "huge");
}

/* Its group's limit, or the machine's memory, ends it. */
static void hog(void)
{
	for (unsigned long n = 0; n < 4096; n++) {
		char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		for (unsigned long i = 0; p != MAP_FAILED && i < 16; i++)
			p[i * PAGE] = 1;
	}
}

static void (*const kinds[])(void) = {anon, shared, forks, nodes, objects, huge, anon, hog};
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static pid_t worker[MAX_WORKERS]; /* 0: it has ended */

static int start(unsigned long i, unsigned long round)
{
	char text[32];
	pid_t pid = fork();

	if (pid < 0) {
		perror("groupstress: fork");
		return -1;
	}
	if (!pid) {
		state = seed * 1000003 + round * 1009 + i * 17 + 1;
		snprintf(text, sizeof(text), "%d", getpid());
		if (put(path(leaves[(i + round) % NR_LEAVES], "cgroup.procs"), text))
			_exit(1);
		if (kinds_wanted >> i % NR_KINDS & 1)
			kinds[i % NR_KINDS]();
		_exit(0);
	}
	worker[i] = pid;
	return 0;
}

/* ---- groups ------------------------------------------------------------------------------------ */

static int make_groups(void)
{
	for (unsigned long i = 0; i < NR_GROUPS; i++) {
		if (mkdir(path(groups[i], ""), 0755)) {
			fprintf(stderr, "groupstress: mkdir %s: %s\n", groups[i], strerror(errno));
			return -1;
		}
		if (!strcmp(groups[i], "one") || !strcmp(groups[i], "one/b"))
			put(path(groups[i], "cgroup.subtree_control"), "+memory");
	}
	put(path("one", "memory.max"), "20M");
	put(path("two", "memory.high"), "8M");
	put(path("two", "memory.max"), "16M");
	return 0;
}

static int remove_groups(unsigned long round)
{
	for (unsigned long i = NR_GROUPS; i--;) {
		int tries = 0;

		/* Who was killed leaves its group when it has ended, which may be after wait. */
		while (rmdir(path(groups[i], "")) && errno == EBUSY && ++tries < 500)
			sleep_ms(10);
		if (!access(path(groups[i], "cgroup.procs"), F_OK)) {
			fprintf(stderr, "groupstress: round %lu: group %s cannot be removed\n",
				round, groups[i]);
			return -1;
		}
	}
	return 0;
}

/* Something that a manager of groups may do at any time. */
static void disturb(void)
{
	static const char *const limits[] = {"2M", "5M", "9M", "max"};
	static const char *const files[] = {"memory.stat",     "memory.numa_stat",
					    "memory.events",   "memory.swap.current",
					    "memory.pressure", "cgroup.procs"};
	const char *g = groups[pick(NR_GROUPS)];
	char buf[8192];

	unsigned long what = pick(10);

	if (!(disturbances >> what & 1))
		return;
	switch (what) {
	case 0:
		put(path(g, "memory.high"), limits[pick(4)]);
		break;
	case 1:
		put(path(g, "memory.low"), limits[pick(3)]);
		break;
	case 2:
		put(path(g, "memory.reclaim"), "1M");
		break;
	case 3:
		put(path(g, "memory.swap.max"), pick(2) ? "max" : "3M");
		break;
	case 4:
		snprintf(buf, 32, "%d", worker[pick(workers)]);
		if (buf[0] != '0')
			put(path(leaves[pick(NR_LEAVES)], "cgroup.procs"), buf);
		break;
	case 5:
		put("/proc/sys/kernel/numa_balancing", pick(2) ? "1" : "0");
		break;
	case 6:
		put("/sys/kernel/mm/numa/demotion_enabled", pick(2) ? "1" : "0");
		break;
	case 7:
		put("/proc/sys/vm/compact_memory", "1");
		break;
	default:
		get(path(g, files[pick(6)]), buf, sizeof(buf));
		break;
	}
}

/* ---- what may not drift ------------------------------------------------------------------------ */

enum level {
	PROCESSES,
	GROUPS,
	ANON,
	MAPPED,
	SHMEM,
	STACKS,
	COMMITTED,
	SWAP,
	HUGE,
	TABLES,
	SLAB,
	FREE,
	NR_LEVELS
};
static const struct {
	const char *name;
	long slack; /* kB */
} level[NR_LEVELS] = {{"processes", 0},	    {"groups", NR_GROUPS},
		      {"AnonPages", 64},    {"Mapped", 0},
		      {"Shmem", 0},	    {"KernelStack", 0},
		      {"Committed_AS", 64}, {"swap in use", 64},
		      {"AnonHugePages", 0}, {"PageTables", SLACK_KB},
		      {"Slab", SLACK_KB},   {"MemFree", SLACK_KB}};

static long meminfo(const char *text, const char *key)
{
	char line[64];
	const char *p;

	snprintf(line, sizeof(line), "\n%s:", key);
	p = strstr(text, line);
	return p ? atol(p + strlen(line)) : -1;
}

static long count_processes(void)
{
	struct dirent *e;
	DIR *d = opendir("/proc");
	long n = 0;

	while (d && (e = readdir(d)))
		n += e->d_name[0] >= '1' && e->d_name[0] <= '9';
	if (d)
		closedir(d);
	return n;
}

/* Groups that there are, and those that were removed and are not yet gone. */
static long count_groups(void)
{
	char buf[512], *p;

	if (get(TOP "/cgroup.stat", buf, sizeof(buf)) <= 0)
		return -1;
	p = strchr(buf, '\n');
	return atol(strchr(buf, ' ')) + (p && strchr(p, ' ') ? atol(strchr(p, ' ')) : 0);
}

static void measure(long now[NR_LEVELS])
{
	char buf[8192] = "\n";

	put("/proc/sys/vm/drop_caches", "3");
	get("/proc/meminfo", buf + 1, sizeof(buf) - 1);
	for (int l = ANON; l < NR_LEVELS; l++)
		now[l] = meminfo(buf, level[l].name);
	now[SWAP] =
		meminfo(buf, "SwapTotal") - meminfo(buf, "SwapFree") + meminfo(buf, "SwapCached");
	now[PROCESSES] = count_processes();
	now[GROUPS] = count_groups();
}

/* What differs by more than it may; NR_LEVELS: nothing. */
static int drifted(const long first[NR_LEVELS], const long now[NR_LEVELS])
{
	for (int l = 0; l < NR_LEVELS; l++)
		if (labs(now[l] - first[l]) > level[l].slack)
			return l;
	return NR_LEVELS;
}

/* Pages that are still charged to a group, and their flags (KPF_*), to find out why. */
static void show_charged(void)
{
	int groups_fd = open("/proc/kpagecgroup", O_RDONLY);
	int flags_fd = open("/proc/kpageflags", O_RDONLY),
	    counts = open("/proc/kpagecount", O_RDONLY);
	uint64_t group[512], flags, count;
	struct stat root = {0};
	int shown = 0;
	ssize_t n;

	stat(TOP, &root);
	for (off_t at = 0; shown < 16 && (n = pread(groups_fd, group, sizeof(group), at)) > 0;
	     at += n) {
		for (ssize_t i = 0; i < n / 8 && shown < 16; i++) {
			if (!group[i] || group[i] == root.st_ino ||
			    pread(flags_fd, &flags, 8, at + 8 * i) != 8 ||
			    pread(counts, &count, 8, at + 8 * i) != 8)
				continue;
			fprintf(stderr, "  frame %#lx: group %lu, flags %#lx, mapped %lu times\n",
				(unsigned long)(at / 8 + i), (unsigned long)group[i],
				(unsigned long)flags, (unsigned long)count);
			shown++;
		}
	}
	close(groups_fd);
	close(flags_fd);
	close(counts);
}

static void show(unsigned long round, const long now[NR_LEVELS])
{
	printf("round %lu:", round);
	for (int l = 0; l < NR_LEVELS; l++)
		printf(" %s %ld%s", level[l].name, now[l], l + 1 < NR_LEVELS ? "," : "\n");
	fflush(stdout);
}

/* Some things are given back a little later: by the reaper, by threads of the kernel. */
static int check_drift(unsigned long round, const long first[NR_LEVELS])
{
	long now[NR_LEVELS];
	int bad = NR_LEVELS;

	for (int tries = 0; tries < 100; tries++) {
		measure(now);
		bad = drifted(first, now);
		if (bad == NR_LEVELS)
			break;
		sleep_ms(50);
	}
	show(round, now);
	if (bad == NR_LEVELS)
		return 0;
	fprintf(stderr, "groupstress: round %lu: %s was %ld, is %ld\n", round, level[bad].name,
		first[bad], now[bad]);
	show_charged();
	return -1;
}

/* ---- a round ----------------------------------------------------------------------------------- */

static unsigned long killed, ended;

/* 0, or -1: a worker failed. */
static int wait_for_workers(void)
{
	unsigned long left = workers;
	int status, failed = 0;

	while (left) {
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (!pid) {
			disturb();
			sleep_ms(3);
			continue;
		}
		if (pid < 0)
			return -1;
		left--;
		for (unsigned long i = 0; i < workers; i++)
			if (worker[i] == pid)
				worker[i] = 0;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			killed++;
		else if (WIFEXITED(status) && !WEXITSTATUS(status))
			ended++;
		else
			failed = -1;
	}
	return failed;
}

/* The huge page of zeroes is made at its first use, for good, and is nobody's. */
static void touch_huge_zero(void)
{
	const size_t size = 4ul << 20;
	volatile char *p =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char sum = 0;

	if (p == MAP_FAILED)
		return;
	madvise((void *)(uintptr_t)p, size, MADV_HUGEPAGE);
	for (size_t at = 0; at < size; at += PAGE)
		sum |= p[at];
	munmap((void *)(uintptr_t)p, size);
	if (sum)
		wrong("huge page of zeroes", 0);
}

static int one_round(unsigned long round)
{
	int failed;

	state = seed * 7919 + round + 1;
	if (make_groups())
		return -1;
	for (unsigned long i = 0; i < workers; i++)
		if (start(i, round))
			return -1;
	failed = wait_for_workers();
	put("/proc/sys/kernel/numa_balancing", "0");
	put("/sys/kernel/mm/numa/demotion_enabled", "0");
	if (failed)
		fprintf(stderr, "groupstress: round %lu: a worker failed\n", round);
	return failed | remove_groups(round);
}

int main(int argc, char **argv)
{
	long first[NR_LEVELS];
	cpu_set_t all;
	int failed = 0;

	for (int i = 1; i < argc; i += 2) {
		unsigned long *to = !strcmp(argv[i], "--rounds")    ? &rounds
				    : !strcmp(argv[i], "--workers") ? &workers
				    : !strcmp(argv[i], "--steps")   ? &steps
				    : !strcmp(argv[i], "--random")  ? &seed
				    : !strcmp(argv[i], "--kinds")   ? &kinds_wanted
				    : !strcmp(argv[i], "--disturb") ? &disturbances
								    : NULL;

		if (!to || i + 1 == argc || !(*to = strtoul(argv[i + 1], NULL, 0)) ||
		    workers > MAX_WORKERS) {
			fprintf(stderr, "usage: groupstress [--rounds N] [--workers N] [--steps N] "
					"[--random S]\n");
			return 2;
		}
	}
	mount("none", TOP, "cgroup2", 0, NULL); /* it may be there */
	if (put(TOP "/cgroup.subtree_control", "+memory")) {
		perror("groupstress: cgroup2");
		return 1;
	}
	touch_huge_zero(); /* before mlockall(), which would write to it */
	/* Threads of the kernel that begin at the first use, too, and keep their stacks: NUMA balancing's, and the one
	 * that moves tasks to other CPUs. */
	put("/proc/sys/kernel/numa_balancing", "1");
	put("/proc/sys/kernel/numa_balancing", "0");
	if (sched_getaffinity(0, sizeof(all), &all) || sched_setaffinity(0, sizeof(all), &all))
		perror("groupstress: affinity");
	/* A page of this program that comes back from swap would be charged to the group whose worker
	 * touches it first, and keep that group after its removal (as on Linux). */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		perror("groupstress: mlockall");
	printf("groupstress: seed %lu, %lu rounds, %lu workers\n", seed, rounds, workers);
	failed = one_round(0);
	sleep_ms(200);
	/* Twice: this program's own stack and buffers are there, then. */
	measure(first);
	show(0, first);
	measure(first);
	for (unsigned long round = 1; round <= rounds && !failed; round++)
		failed = one_round(round) | check_drift(round, first);
	printf("groupstress: %lu workers ended, %lu were killed: %s\n", ended, killed,
	       failed ? "FAILED" : "nothing is left");
	return failed ? 1 : 0;
}
