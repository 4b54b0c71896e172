/*
 * userfaultfd's events: a transcript to compare with Linux's (tests/vm/conform_programs.sh). A worker copies, moves and
 * discards memory; the main thread reads the events. Addresses are pages of one reserved area.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transcript.h"

#ifndef SYS_userfaultfd
#define SYS_userfaultfd 323
#endif
#define PAGE	4096ul
#define PAGES	64ul
#define API	0xc018aa3fu
#define REG	0xc020aa00u
#define UNREG	0x8010aa01u
#define COPY	0xc028aa03u
#define ZERO	0xc020aa04u
#define WP	0xc018aa06u
#define MISSING 1
#define PROTECT 2
#define FORK	(1ull << 1)
#define REMAP	(1ull << 2)
#define REMOVE	(1ull << 3)
#define UNMAP	(1ull << 6)
#define EVENTS	(FORK | REMAP | REMOVE | UNMAP)

struct msg {
	uint8_t event, pad[7];
	uint64_t arg[3];
};

static int uffd, child_fd = -1, over[2];
static char *area;
static char from[PAGE];

static int new_uffd(uint64_t features)
{
	uint64_t api[3] = {0xaa, features, 0};
	int fd = (int)syscall(SYS_userfaultfd, O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, API, api))
		puts("no API");
	return fd;
}

static long reg(unsigned long page, unsigned long pages, uint64_t mode)
{
	uint64_t r[4] = {(uint64_t)(area + page * PAGE), pages * PAGE, mode, 0};

	return ioctl(uffd, REG, r);
}

static long copy(int fd, unsigned long page, char value, uint64_t mode)
{
	uint64_t c[5] = {(uint64_t)(area + page * PAGE), (uint64_t)from, PAGE, mode, 99};
	long r;

	memset(from, value, PAGE);
	r = ioctl(fd, COPY, c);
	printf("copy %s (%ld)\n", result(r), (long)c[4]);
	return r;
}

static long wp(int fd, unsigned long page, unsigned long pages, uint64_t mode)
{
	uint64_t r[3] = {(uint64_t)(area + page * PAGE), pages * PAGE, mode};

	return ioctl(fd, WP, r);
}

/* Fresh, private, empty memory. */
static void fresh(unsigned long page, unsigned long pages)
{
	mmap(area + page * PAGE, pages * PAGE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static long at(uint64_t addr)
{
	return ((long)addr - (long)area) / (long)PAGE;
}

static void fdinfo(const char *what, int fd)
{
	char path[64], text[256];
	ssize_t n;
	int f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = open(path, O_RDONLY);
	n = read(f, text, sizeof(text) - 1);
	close(f);
	text[n > 0 ? n : 0] = 0;
	/* Which ioctls there are: without UFFDIO_POISON, which is newer than some a transcript is compared with. */
	if (n > 0 && strrchr(text, ':')) {
		char *at = strrchr(text, ':') + 1;
		unsigned long ioctls = strtoul(at, NULL, 16) & ~0x100ul;

		snprintf(at, sizeof(text) - (at - text), "%lx\n", ioctls);
	}
	printf("%s: %s", what, strstr(text, "pending") ? strstr(text, "pending") : "nothing\n");
}

/* One message, which is there. */
static void show(int fd)
{
	struct msg m;
	long r = read(fd, &m, sizeof(m));

	if (r != sizeof(m)) {
		printf("  %s\n", result(r));
		return;
	}
	switch (m.event) {
	case 0x12:
		printf("  fault: flags %lx page %ld\n", (unsigned long)m.arg[0], at(m.arg[1]));
		break;
	case 0x13:
		child_fd = (int)m.arg[0];
		printf("  fork: a descriptor %d flags %x\n", child_fd >= 0,
		       fcntl(child_fd, F_GETFL) & O_NONBLOCK);
		break;
	case 0x14:
		printf("  remap: %ld to %ld, %ld pages\n", at(m.arg[0]), at(m.arg[1]),
		       (long)(m.arg[2] / PAGE));
		break;
	case 0x15:
	case 0x16:
		printf("  %s: %ld to %ld\n", m.event == 0x15 ? "remove" : "unmap", at(m.arg[0]),
		       at(m.arg[1]));
		break;
	default:
		printf("  event %x\n", m.event);
	}
}

static void await(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	poll(&p, 1, -1);
}

static void *(*work)(void);
static void *worker(void *arg)
{
	void *r = work();

	(void)arg;
	if (write(over[1], "x", 1) != 1)
		return NULL;
	return r;
}

/* A worker does it; all that is read until it has done it. */
static void *during(const char *what, void *(*fn)(void))
{
	pthread_t t;
	void *r;
	char c;

	printf("%s\n", what);
	work = fn;
	pthread_create(&t, NULL, worker, NULL);
	for (;;) {
		struct pollfd p[2] = {{uffd, POLLIN, 0}, {over[0], POLLIN, 0}};

		poll(p, 2, -1);
		if (p[0].revents & POLLIN)
			show(uffd);
		else if (p[1].revents)
			break;
	}
	if (read(over[0], &c, 1) != 1)
		puts("lost");
	pthread_join(t, &r);
	return r;
}

/* ---- what is thrown away ---- */

static void *dontneed(void)
{
	return (void *)(long)madvise(area + 2 * PAGE, 2 * PAGE, MADV_DONTNEED);
}
static void *dontneed_part(void)
{
	return (void *)(long)madvise(area, 12 * PAGE, MADV_DONTNEED);
}
static void *free_it(void)
{
	return (void *)(long)madvise(area + 4 * PAGE, PAGE, MADV_FREE);
}
static void *locked(void)
{
	long r = mlock(area + 5 * PAGE, PAGE);

	r = r ? r : madvise(area + 5 * PAGE, PAGE, MADV_DONTNEED);
	munlock(area + 5 * PAGE, PAGE);
	return (void *)r;
}
static void *cold(void)
{
	return (void *)(long)madvise(area + 4 * PAGE, PAGE, MADV_COLD);
}
static void *hole(void)
{
	return (void *)(long)madvise(area + 24 * PAGE, 2 * PAGE, MADV_REMOVE);
}

static void removing(void)
{
	pthread_t t;

	puts("== remove");
	fresh(0, 8);
	memset(area, 1, 8 * PAGE);
	mmap(area + 24 * PAGE, 8 * PAGE, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memset(area + 24 * PAGE, 2, 8 * PAGE);
	printf("register %s %s\n", result(reg(0, 8, MISSING)), result(reg(24, 8, MISSING)));
	printf("dontneed %ld\n", (long)during("dontneed", dontneed));
	/* It is asked for, not emptied, before somebody has read of it. */
	copy(uffd, 2, 'a', 0);
	printf("is there: %c\n", area[2 * PAGE]);
	puts("not read yet");
	work = dontneed;
	pthread_create(&t, NULL, worker, NULL);
	await(uffd);
	printf("is there: %c\n", area[2 * PAGE]);
	copy(uffd, 3, 'b', 0);
	printf("protect %s\n", result(wp(uffd, 3, 1, 1)));
	fdinfo("an event is no fault", uffd);
	show(uffd);
	pthread_join(t, NULL);
	if (read(over[0], from, 1) != 1)
		puts("lost");
	copy(uffd, 3, 'b', 0);
	printf("more than is registered %ld\n",
	       (long)during("dontneed, a part registered", dontneed_part));
	printf("free %ld\n", (long)during("free", free_it));
	copy(uffd, 5, 'l', 0);
	printf("locked %ld\n", (long)during("locked", locked));
	printf("cold %ld\n", (long)during("cold", cold));
	printf("remove %ld\n", (long)during("a hole", hole));
	copy(uffd, 24, 'h', 0);
	printf("the hole was filled: %c %d\n", area[24 * PAGE], area[26 * PAGE]);
}

/* ---- what is unmapped ---- */

static void *unmap_middle(void)
{
	return (void *)(long)munmap(area + 2 * PAGE, 2 * PAGE);
}
static void *unmap_more(void)
{
	return (void *)(long)munmap(area + 6 * PAGE, 6 * PAGE);
}
static void *unmap_other(void)
{
	return (void *)(long)munmap(area + 40 * PAGE, PAGE);
}
static void *map_over(void)
{
	fresh(4, 1);
	area[4 * PAGE] = 1; /* no longer registered */
	return NULL;
}
static void *shrinks(void)
{
	return (void *)(long)(mremap(area, 2 * PAGE, PAGE, 0) == area);
}

static void unmapping(void)
{
	puts("== unmap");
	fresh(0, 16);
	printf("register %s\n", result(reg(0, 8, MISSING)));
	printf("a hole %ld\n", (long)during("munmap", unmap_middle));
	copy(uffd, 2, 'a', 0);
	printf("beyond %ld\n", (long)during("munmap, a part registered", unmap_more));
	printf("another %ld\n", (long)during("munmap elsewhere", unmap_other));
	during("mapped over", map_over);
	printf("shorter %ld\n", (long)during("mremap to less", shrinks));
}

/* ---- what moves ---- */

static void *moves(void)
{
	return (void *)at((uint64_t)mremap(area, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
					   area + 32 * PAGE));
}
static void *moves_over(void)
{
	return (void *)at((uint64_t)mremap(area + 32 * PAGE, 4 * PAGE, 2 * PAGE,
					   MREMAP_MAYMOVE | MREMAP_FIXED, area + 8 * PAGE));
}
static void *stays(void)
{
	return (void *)at((uint64_t)mremap(area + 8 * PAGE, 2 * PAGE, 2 * PAGE,
					   MREMAP_MAYMOVE | MREMAP_FIXED | 4, area + 48 * PAGE));
}
static void *longer(void)
{
	munmap(area + 50 * PAGE, 2 * PAGE);
	return (void *)at((uint64_t)mremap(area + 48 * PAGE, 2 * PAGE, 4 * PAGE, 0));
}
static void *reads_moved(void)
{
	return (void *)(long)area[35 * PAGE];
}
static void *writes_moved(void)
{
	area[32 * PAGE] = 7;
	return NULL;
}

static void answer(const char *what, void *(*fn)(void), unsigned long page, int protected)
{
	pthread_t t;
	void *r;
	char c;

	printf("%s\n", what);
	work = fn;
	pthread_create(&t, NULL, worker, NULL);
	await(uffd);
	fdinfo("a fault", uffd);
	show(uffd);
	fdinfo("it was read", uffd);
	if (protected)
		printf("unprotect %s\n", result(wp(uffd, page, 1, 0)));
	else
		copy(uffd, page, 'q', 0);
	pthread_join(t, &r);
	printf("%ld\n", (long)r);
	if (read(over[0], &c, 1) != 1)
		puts("lost");
}

static void moving(void)
{
	puts("== remap");
	fresh(0, 4);
	area[0] = 3;
	printf("register %s", result(reg(0, 4, MISSING | PROTECT)));
	printf(" protect %s\n", result(wp(uffd, 0, 1, 1)));
	printf("at %ld\n", (long)during("mremap", moves));
	answer("a page that was not there", reads_moved, 35, 0);
	answer("one that is protected", writes_moved, 32, 1);
	printf("there %d\n", area[32 * PAGE]);
	fresh(8, 4);
	printf("register %s\n", result(reg(8, 4, MISSING)));
	printf("at %ld\n", (long)during("mremap over another, and shorter", moves_over));
	printf("at %ld\n", (long)during("mremap, and the old place stays", stays));
	printf("at %ld\n", (long)during("mremap to more", longer));
}

/* ---- what is copied ---- */

static int child_status;
static void *forks(void)
{
	pid_t pid = fork();

	if (!pid) {
		int sum = ++*(volatile char *)area; /* protected; the others are missing */

		sum += *(volatile char *)(area + 3 * PAGE);
		sum += *(volatile char *)(area + 10 * PAGE);
		_exit(sum);
	}
	waitpid(pid, &child_status, 0);
	return NULL;
}

static void forking(void)
{
	pthread_t t;
	char c;

	puts("== fork");
	fresh(0, 4);
	fresh(8, 4);
	area[0] = 3;
	printf("register %s", result(reg(0, 4, MISSING | PROTECT)));
	printf(" %s %s\n", result(reg(8, 4, MISSING)), result(wp(uffd, 0, 1, 1)));
	work = forks;
	pthread_create(&t, NULL, worker, NULL);
	await(uffd);
	copy(uffd, 1, 'a', 0);
	show(uffd);
	await(child_fd);
	show(child_fd);
	printf("unprotect %s\n", result(wp(child_fd, 0, 1, 0)));
	await(child_fd);
	show(child_fd);
	copy(child_fd, 3, 5, 0);
	await(child_fd);
	show(child_fd);
	copy(child_fd, 10, 7, 0);
	pthread_join(t, NULL);
	printf("the child saw %d, its parent has %d\n", WEXITSTATUS(child_status), area[0]);
	copy(child_fd, 1, 1, 0);
	close(child_fd);
	copy(uffd, 3, 9, 0);
	printf("the parent's own: %d\n", area[3 * PAGE]);
	if (read(over[0], &c, 1) != 1)
		puts("lost");
	close(uffd);
	fresh(0, 4);
	printf("closed: %d\n", area[1 * PAGE]);
}

static void *leave(void)
{
	fresh(0, PAGES);
	return NULL;
}

int main(void)
{
	uint64_t api[3] = {0xaa, 0, 0};
	int fd, status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (pipe(over))
		return 1;
	/* What is unmapped in it is too small for a thread's stack: a page around it stays. */
	area = mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	area += PAGE;
	fd = (int)syscall(SYS_userfaultfd, 0);
	fdinfo("no API yet", fd);
	printf("API %s", result(ioctl(fd, API, api)));
	printf(" events %lx\n", (unsigned long)(api[1] & EVENTS));
	close(fd);
	fflush(stdout);
	if (!fork()) {
		int other = (int)syscall(SYS_userfaultfd, 1);

		if (setgid(65534) || setuid(65534))
			_exit(2);
		api[1] = REMAP | UNMAP | REMOVE | FORK;
		printf("a user: fork %s", result(ioctl(other, API, api)));
		printf(" %lx", (unsigned long)api[1]);
		api[0] = 0xaa;
		api[1] = REMAP | UNMAP | REMOVE;
		printf(" the others %s\n", result(ioctl(other, API, api)));
		_exit(0);
	}
	wait(&status);
	uffd = new_uffd(EVENTS);
	fdinfo("events", uffd);
	removing();
	during("at the end", leave);
	unmapping();
	during("at the end", leave);
	moving();
	during("at the end", leave);
	forking();
	puts("end");
	return 0;
}
