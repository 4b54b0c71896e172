/*
 * Whom the OOM killer chooses in generated cases (200, or as many as are asked for): a transcript to compare.
 *
 *    oomtable [CASES]
 *
 * In each case two to five processes of one cgroup have certain amounts of memory and values of oom_score_adj, and
 * one of them grows until a process is killed. The choice must not depend on how much of the group's limit the kernel
 * itself uses, so a case in which two scores are close to each other is replaced by another one. Runs unchanged on
 * Linux 6.1 and on guestmm; as root.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	  4096ul
#define LIMIT	  3072l /* pages of the group */
#define MAX_TASKS 5
#define STEP	  32l  /* pages by which the one grows */
#define APART	  60l  /* pages between the two highest scores, */
#define APART_TOP 400l /* if one is of the process that grows: its size is known only so well */
#define GROUP	  "/sys/fs/cgroup/oomtable"

struct task {
	long pages, adj;
	pid_t pid;
	int to, from;
};

static unsigned long long state = 88172645463325252ull;

static unsigned long pick(unsigned long n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned long)(state >> 11) % n;
}

/* 0, or -1. */
static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ok;

	if (fd < 0)
		return -1;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok ? 0 : -1;
}

static long oom_kills(void)
{
	char text[256];
	int fd = open(GROUP "/memory.events", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *p;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -1;
	text[n] = 0;
	p = strstr(text, "oom_kill ");
	return p ? atol(p + 9) : -1;
}

/* ---- cases ---- */

static long score(const struct task *t, long pages)
{
	return t->adj == -1000 ? -1000000 : pages + t->adj * LIMIT / 1000;
}

/* Is it clear who has the highest score? Process 0 grows to what the others leave. */
static int is_clear(const struct task *t, int n)
{
	long others = 0, best = -1000000, second = -1000000;
	int who = 0;

	for (int i = 1; i < n; i++)
		others += t[i].pages;
	for (int i = 0; i < n; i++) {
		long s = score(&t[i], i ? t[i].pages : LIMIT - others);

		if (s >= best) {
			second = best;
			best = s;
			who = i;
		} else if (s > second) {
			second = s;
		}
	}
	if (best == -1000000)
		return 0;
	if (best - score(&t[0], LIMIT - others) < APART_TOP && who)
		return 0;
	return best - second >= (who ? APART : APART_TOP);
}

static int generate(struct task *t)
{
	int n;

	do {
		n = 2 + (int)pick(MAX_TASKS - 1);
		for (int i = 0; i < n; i++) {
			t[i].pages =
				i ? 16 + (long)pick(LIMIT * 2 / 3 / (unsigned long)(n - 1)) : 16;
			switch (pick(6)) {
			case 0:
			case 1:
				t[i].adj = 0;
				break;
			case 2:
				t[i].adj = -1000;
				break;
			default:
				t[i].adj = (long)pick(1900) - 900;
			}
		}
	} while (!is_clear(t, n));
	return n;
}

/* ---- processes ---- */

/* Orders are numbers of pages to touch; each is answered with a byte. */
static void obey(int in, int out)
{
	long pages;

	while (read(in, &pages, sizeof(pages)) == sizeof(pages)) {
		char *p = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (long i = 0; i < pages; i++)
			p[(size_t)i * PAGE] = 1;
		write(out, "", 1);
	}
	_exit(0);
}

static void start(struct task *t)
{
	int to[2], from[2];
	char text[64];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		exit(1);
	fflush(stdout);
	t->pid = fork();
	if (!t->pid) {
		close(to[1]);
		close(from[0]);
		obey(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	t->to = to[1];
	t->from = from[0];
	snprintf(text, sizeof(text), "%d", t->pid);
	if (put(GROUP "/cgroup.procs", text))
		printf("cannot move a process: %d\n", errno);
	snprintf(text, sizeof(text), "/proc/%d/oom_score_adj", t->pid);
	{
		char adj[16];

		snprintf(adj, sizeof(adj), "%ld", t->adj);
		if (put(text, adj))
			printf("cannot set %s\n", text);
	}
}

static int touch(struct task *t, long pages)
{
	char answer;

	return write(t->to, &pages, sizeof(pages)) == sizeof(pages) &&
			       read(t->from, &answer, 1) == 1
		       ? 0
		       : -1;
}

/* Index of the process that was killed, or -1; all are gone afterwards. */
static int end(struct task *t, int n)
{
	int victim = -1;

	/* A killed process is gone soon; the others are still there. */
	for (int tries = 0; tries < 1000 && victim < 0; tries++) {
		for (int i = 0; i < n && victim < 0; i++)
			if (waitpid(t[i].pid, NULL, WNOHANG) == t[i].pid)
				victim = i;
		if (victim < 0)
			usleep(10000);
	}
	for (int i = 0; i < n; i++) {
		close(t[i].to);
		close(t[i].from);
		if (i == victim)
			continue;
		kill(t[i].pid, SIGKILL);
		waitpid(t[i].pid, NULL, 0);
	}
	return victim;
}

static void play(int nr)
{
	struct task t[MAX_TASKS];
	int n = generate(t), victim;
	char limit[32];

	if (mkdir(GROUP, 0755))
		printf("mkdir: %d\n", errno);
	snprintf(limit, sizeof(limit), "%ld", LIMIT * (long)PAGE);
	put(GROUP "/memory.max", limit);
	put(GROUP "/memory.swap.max", "0");
	for (int i = 0; i < n; i++) {
		start(&t[i]);
		if (touch(&t[i], t[i].pages))
			printf("case %d: process %d died early\n", nr, i);
	}
	for (long grown = 0; grown < LIMIT && !oom_kills(); grown += STEP)
		if (touch(&t[0], STEP))
			break;
	printf("case %d:", nr);
	for (int i = 0; i < n; i++)
		printf(" %ld/%ld", t[i].pages, t[i].adj);
	victim = end(t, n);
	printf(" -> %d, oom_kill %ld\n", victim, oom_kills());
	/* Its last processes may not have left yet. */
	for (int i = 0; i < 500 && rmdir(GROUP); i++)
		usleep(10000);
}

int main(int argc, char **argv)
{
	int cases = argc > 1 ? atoi(argv[1]) : 200;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (access("/sys/fs/cgroup/cgroup.procs", F_OK)) {
		mkdir("/sys/fs/cgroup", 0755);
		if (mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL)) {
			printf("cgroup2 cannot be mounted: %s\n", strerror(errno));
			return 1;
		}
	}
	put("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	printf("== table\n");
	for (int i = 0; i < cases; i++)
		play(i);
	printf("== end\n");
	return 0;
}
