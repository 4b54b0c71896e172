/*
 * Two groups on two nodes: a worker in each reads and writes its own memory over and over.
 *
 *    nodegroups [--mb N] [--ms N] PHASE...
 *
 *      local      each worker runs on a CPU of the node that its memory is on
 *      crossed    each runs on a CPU of the other node
 *      moved      as before, and migrate_pages() has brought the memory to the CPUs
 *      balanced   as before, and NUMA balancing is on: hint faults bring it there
 *      squeezed   as before, and group b's memory.high is half of what its worker uses
 *
 * A phase takes at least so many milliseconds. In every SLICE of them each worker makes WHOLE passes
 * over its memory, however long they take: a slow machine needs more time, and no pass is missed. A
 * sampler with a period of half a slice takes at least as many samples of a phase as it has slices. At
 * its end the program prints what each group has on each node (memory.numa_stat). At the end both
 * groups are removed. `mmvm run --access guest` draws who accessed what.
 *
 * Needs root, cgroup2 at /sys/fs/cgroup, CPUs 0 and 1 in nodes 0 and 1. Exit status: 0, 1 something
 * failed (and it says what), 2 usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOP  "/sys/fs/cgroup"
#define PAGE 4096ul
#define MIB  0x100000ul

enum {
	SLICE = 200, /* milliseconds */
	WHOLE = 1,
};

static unsigned long megabytes = 6, milliseconds = 1000;

static struct worker {
	const char *group;
	pid_t pid;
	int go[2];   /* a byte written here: begin */
	int pass[2]; /* a byte read here: the memory is there, or one more pass has been made */
} worker[2] = {{.group = "a"}, {.group = "b"}};

static void fail(const char *what)
{
	fprintf(stderr, "nodegroups: %s: %s\n", what, strerror(errno));
	for (int i = 0; i < 2; i++)
		if (worker[i].pid > 0)
			kill(worker[i].pid, SIGKILL);
	exit(1);
}

static const char *path(const char *group, const char *file)
{
	static char buf[128];

	snprintf(buf, sizeof(buf), TOP "/%s/%s", group, file);
	return buf;
}

static void put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(file);
	close(fd);
}

/* The number after `key` on the line of memory.numa_stat that begins with `line`, in MiB. */
static double on_node(const char *group, const char *line, const char *key)
{
	char buf[4096], *p;
	int fd = open(path(group, "memory.numa_stat"), O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n < 0)
		fail("memory.numa_stat");
	close(fd);
	buf[n] = 0;
	p = strstr(buf, line);
	p = p ? strstr(p, key) : NULL;
	return p ? (double)strtoul(p + strlen(key), NULL, 10) / MIB : 0;
}

static void run_on(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set))
		fail("sched_setaffinity");
}

/* Each pass touches every page once; then it pauses, so that two workers fit on slow machines. */
static void work(volatile unsigned long *p, unsigned long words, int pass)
{
	struct timespec pause = {.tv_nsec = 2000000};

	for (;;) {
		for (unsigned long i = 0; i < words; i += PAGE / sizeof(*p))
			p[i]++;
		if (write(pass, "p", 1) != 1)
			_exit(1);
		nanosleep(&pause, NULL);
	}
}

static void start(struct worker *w, int cpu)
{
	char byte;

	if (mkdir(path(w->group, ""), 0755) || pipe(w->go) || pipe(w->pass))
		fail(w->group);
	w->pid = fork();
	if (w->pid < 0)
		fail("fork");
	if (!w->pid) {
		unsigned long size = megabytes * MIB;
		volatile unsigned long *p;

		run_on(0, cpu);
		put(path(w->group, "cgroup.procs"), "0");
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			_exit(1);
		for (unsigned long i = 0; i < size; i += PAGE)
			p[i / sizeof(*p)] = i;
		if (write(w->pass[1], "m", 1) != 1 || read(w->go[0], &byte, 1) != 1)
			_exit(1);
		work(p, size / sizeof(*p), w->pass[1]);
	}
	close(w->pass[1]); /* a worker that dies is the end of its pipe */
	if (read(w->pass[0], &byte, 1) != 1)
		fail("the worker");
}

static void move_memory(pid_t pid, int from, int to)
{
	unsigned long old = 1ul << from, new = 1ul << to;

	/* The kernel reads one bit less than the argument says. */
	if (syscall(SYS_migrate_pages, pid, 8 * sizeof(old) + 1, &old, &new) < 0)
		fail("migrate_pages");
}

static void begin(const char *phase)
{
	char limit[32];

	if (!strcmp(phase, "local") || !strcmp(phase, "crossed")) {
		for (int i = 0; i < 2; i++)
			run_on(worker[i].pid, *phase == 'l' ? i : 1 - i);
	} else if (!strcmp(phase, "moved")) {
		for (int i = 0; i < 2; i++)
			move_memory(worker[i].pid, i, 1 - i);
	} else if (!strcmp(phase, "balanced")) {
		put("/proc/sys/kernel/numa_balancing", "1");
	} else if (!strcmp(phase, "squeezed")) {
		snprintf(limit, sizeof(limit), "%lu", megabytes * MIB / 2);
		put(path("b", "memory.high"), limit);
	} else {
		errno = EINVAL;
		fail(phase);
	}
}

static void sleep_ms(unsigned long ms)
{
	struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000 * 1000000)};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* Until the worker has made so many passes, from beginning to end, after the call. */
static void wait_passes(struct worker *w, int passes)
{
	static char buf[65536]; /* what a pipe holds */
	struct pollfd old = {.fd = w->pass[0], .events = POLLIN};

	/* Those that it has made before, and the one that it is in. */
	if (poll(&old, 1, 0) > 0 && read(old.fd, buf, sizeof(buf)) <= 0)
		fail("the worker");
	for (int i = 0; i < passes + 1; i++)
		if (read(old.fd, buf, 1) != 1)
			fail("the worker");
}

static void let_them_work(void)
{
	for (unsigned long ms = 0; ms < milliseconds; ms += SLICE) {
		sleep_ms(SLICE);
		for (int i = 0; i < 2; i++)
			wait_passes(&worker[i], WHOLE);
	}
}

static void report(const char *phase)
{
	for (int i = 0; i < 2; i++)
		printf("%-9s group %s: anon on node 0 %5.1f MiB, on node 1 %5.1f MiB\n",
		       i ? "" : phase, worker[i].group, on_node(worker[i].group, "anon ", "N0="),
		       on_node(worker[i].group, "anon ", "N1="));
	fflush(stdout);
}

static void remove_group(struct worker *w)
{
	int status;

	kill(w->pid, SIGKILL);
	if (waitpid(w->pid, &status, 0) != w->pid)
		fail("waitpid");
	w->pid = 0;
	if (!WIFSIGNALED(status) || rmdir(path(w->group, "")))
		fail(w->group);
}

int main(int argc, char **argv)
{
	int i = 1;

	for (; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
		unsigned long *to = !strcmp(argv[i], "--mb")   ? &megabytes
				    : !strcmp(argv[i], "--ms") ? &milliseconds
							       : NULL;

		if (!to || !(*to = strtoul(argv[i + 1], NULL, 10)))
			break;
	}
	if (i >= argc || !strncmp(argv[i], "--", 2)) {
		fprintf(stderr, "usage: nodegroups [--mb N] [--ms N] "
				"local|crossed|moved|balanced|squeezed ...\n");
		return 2;
	}
	mount("none", TOP, "cgroup2", 0, NULL); /* it may be there */
	put(TOP "/cgroup.subtree_control", "+memory");
	for (int w = 0; w < 2; w++)
		start(&worker[w], w);
	for (int first = i; i < argc; i++) {
		begin(argv[i]);
		for (int w = 0; i == first && w < 2; w++)
			if (write(worker[w].go[1], "g", 1) != 1)
				fail("the worker");
		let_them_work();
		report(argv[i]);
	}
	for (int w = 0; w < 2; w++)
		remove_group(&worker[w]);
	return 0;
}
