/*
 * remap_file_pages, process_mrelease, scheduling classes and nice values of others: a transcript to compare
 * (tests/vm/conform_programs.sh). mseal(2), which Linux 6.1 does not have, is tested in tests/unit/mm_mseal.c.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transcript.h"

#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#define PAGES 8
static long size;

static long remap(void *at, long pages, int prot, long pgoff, int flags)
{
	return syscall(SYS_remap_file_pages, at, pages * size, prot, pgoff, flags);
}

static void show(const char *what, const char *p)
{
	printf("%s:", what);
	for (int i = 0; i < PAGES; i++)
		printf(" %d", p[i * size]);
	printf("\n");
}

static void other_pages(void)
{
	int fd = memfd_create("pages", 0);
	char *p, *private, *anon;

	if (ftruncate(fd, 2 * PAGES * size))
		return;
	p = mmap(NULL, PAGES * size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, PAGES * size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	anon = mmap(NULL, PAGES * size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < PAGES; i++)
		p[i * size] = anon[i * size] = (char)(i + 1);
	printf("prot %s", result(remap(p, 1, PROT_READ, 0, 0)));
	printf(" nothing %s", result(remap(p, 0, 0, 0, 0)));
	printf(" private %s", result(remap(private, 1, 0, 3, 0)));
	printf(" beyond the mapping %s", result(remap(p + size, PAGES, 0, 0, 0)));
	printf(" not mapped %s", result(remap((void *)(16 * 4096), 1, 0, 0, 0)));
	printf(" offset %s\n", result(syscall(SYS_remap_file_pages, p, size, 0, -1l, 0)));
	printf("one page %s", result(remap(p + size, 1, 0, 6, 0)));
	printf(" two %s", result(remap(p + 4 * size, 2, 0, 0, MAP_NONBLOCK)));
	printf(" not aligned %s\n", result(remap(p + 3 * size + 100, 1, 0, 7, 0)));
	show("reversed in parts", p);
	p[size] = 77;
	printf("the page has two places: %d %d\n", p[size], p[6 * size]);
	printf("over several mappings %s", result(remap(p, 4, 0, 4, 0)));
	printf(" back %s\n", result(remap(p, PAGES, 0, 0, 0)));
	show("back", p);
	printf("shared memory without a name %s\n", result(remap(anon + 2 * size, 1, 0, 7, 0)));
	show("anonymous", anon);
	mprotect(p, PAGES * size, PROT_READ);
	printf("what can only be read %s\n", result(remap(p, 1, 0, 5, 0)));
	printf("first page now %d\n", p[0]);
	close(fd);
	printf("without the descriptor %s %d\n", result(remap(p, 1, 0, 2, 0)), p[0]);
}

static void dying(void)
{
	int pipes[2], fd;
	char c, *p;
	pid_t child;

	printf("flags %s", result(syscall(SYS_process_mrelease, -1, 1)));
	printf(" descriptor %s", result(syscall(SYS_process_mrelease, -1, 0)));
	printf(" not a pidfd %s", result(syscall(SYS_process_mrelease, 0, 0)));
	fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	printf(" who lives %s\n", result(syscall(SYS_process_mrelease, fd, 0)));
	close(fd);
	if (pipe(pipes))
		return;
	fflush(stdout);
	child = fork();
	if (!child) {
		p = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(p, 1, 4 << 20);
		if (write(pipes[1], "r", 1) == 1)
			pause();
		_exit(1);
	}
	fd = (int)syscall(SYS_pidfd_open, child, 0);
	if (read(pipes[0], &c, 1) != 1)
		return;
	kill(child, SIGKILL);
	{
		long r = syscall(SYS_process_mrelease, fd, 0);

		/* It may have gone already. */
		printf("who is dying: %d\n", r == 0 || (r == -1 && errno == ESRCH));
	}
	waitpid(child, NULL, 0);
	printf("who is gone %s\n", result(syscall(SYS_process_mrelease, fd, 0)));
}

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/* The C library's own may do something else (musl). */
static long set_policy(pid_t pid, int policy, int priority)
{
	return syscall(SYS_sched_setscheduler, pid, policy, &priority);
}

static void classes(void)
{
	struct attr a = {.size = sizeof(a), .policy = 3, .nice = 3};
	int p0 = 0, p1 = 1;

	printf("batch %s", result(set_policy(0, 3, 0)));
	printf(" is %s", result(syscall(SYS_sched_getscheduler, 0)));
	printf(" idle %s", result(set_policy(0, 5, 0)));
	printf(" is %s", result(syscall(SYS_sched_getscheduler, 0)));
	printf(" other %s", result(set_policy(0, 0x40000000, 0)));
	printf(" is %s", result(syscall(SYS_sched_getscheduler, 0)));
	printf(" again %s\n", result(set_policy(0, 0, 0)));
	printf("with a priority %s", result(set_policy(0, 0, 1)));
	printf(" no such %s", result(set_policy(0, 77, 0)));
	printf(" fifo without %s", result(set_policy(0, 1, 0)));
	printf(" nobody %s", result(set_policy(0x3fffffff, 0, 0)));
	printf(" negative %s", result(set_policy(-1, 0, 0)));
	printf(" address %s\n", result(syscall(SYS_sched_setscheduler, 0, 0, 8)));
	printf("setparam %s", result(syscall(SYS_sched_setparam, 0, &p0)));
	printf(" of a priority %s", result(syscall(SYS_sched_setparam, 0, &p1)));
	printf(" nothing %s\n", result(syscall(SYS_sched_setparam, 0, NULL)));
	printf("setattr %s", result(syscall(SYS_sched_setattr, 0, &a, 0)));
	memset(&a, 0xff, sizeof(a));
	printf(" getattr %s", result(syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0)));
	printf(" size %u policy %u nice %d priority %u", a.size, a.policy, a.nice, a.priority);
	printf(" small %s", result(syscall(SYS_sched_getattr, 0, &a, 40, 0)));
	a.policy = 0;
	a.nice = 0;
	printf(" flags %s", result(syscall(SYS_sched_setattr, 0, &a, 1)));
	a.size = 40;
	printf(" size %s", result(syscall(SYS_sched_setattr, 0, &a, 0)));
	a.size = 48;
	printf(" back %s\n", result(syscall(SYS_sched_setattr, 0, &a, 0)));
}

static void nice_values(void)
{
	pid_t root = getpid(), child;

	fflush(stdout);
	child = fork();
	if (!child) {
		setpriority(PRIO_PROCESS, 0, 5);
		if (setgid(1000) || setuid(1000))
			_exit(1);
		printf("down %s", result(setpriority(PRIO_PROCESS, 0, 3)));
		printf(" up %s", result(setpriority(PRIO_PROCESS, 0, 7)));
		printf(" root's %s", result(setpriority(PRIO_PROCESS, root, 10)));
		printf(" user's %s", result(setpriority(PRIO_USER, 0, 8)));
		printf(" of nobody %s", result(setpriority(PRIO_USER, 4242, 8)));
		printf(" is %s", result(getpriority(PRIO_PROCESS, 0)));
		printf(" best of the user %s", result(getpriority(PRIO_USER, 1000)));
		printf(" root's class %s", result(set_policy(root, 3, 0)));
		setrlimit(RLIMIT_NICE, &(struct rlimit){0, 0});
		printf(" down %s\n", result(setpriority(PRIO_PROCESS, 0, 7)));
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

int main(void)
{
	size = sysconf(_SC_PAGESIZE);
	setvbuf(stdout, NULL, _IOLBF, 0);
	other_pages();
	dying();
	classes();
	nice_values();
	puts("end");
	return 0;
}
